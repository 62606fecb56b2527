//! Recovery kits: that one was made of a repository, when, by whom and of what state of its secrets. Never what is in it.

use super::bridge::parse;
use super::schema::recovery_kits;
use super::{Conn, StoreResult};
use diesel::prelude::*;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use std::collections::HashMap;

/// A kit that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KitRecord {
    /// Of what: changes with each secret and address that the kit would hold.
    pub basis: String,
    /// When.
    pub made_at: Timestamp,
    /// By whom.
    pub made_by: String,
}

/// The newest kit of each repository.
///
/// # Errors
/// When the database fails.
pub fn all(conn: &mut Conn) -> StoreResult<HashMap<RepositoryId, KitRecord>> {
    let rows = recovery_kits::table.load::<(String, String, i64, String)>(conn)?;
    rows.into_iter()
        .map(|(id, basis, at, made_by)| {
            let kit = KitRecord { basis, made_at: Timestamp::from_micros(at), made_by };
            Ok((parse("recovery_kits.repository_id", &id)?, kit))
        })
        .collect()
}

/// Notes that a kit was made, over the one before.
///
/// # Errors
/// When the database fails.
pub fn put(conn: &mut Conn, repository: RepositoryId, kit: &KitRecord) -> StoreResult<()> {
    diesel::delete(recovery_kits::table.find(repository.to_string())).execute(conn)?;
    diesel::insert_into(recovery_kits::table)
        .values((
            recovery_kits::repository_id.eq(repository.to_string()),
            recovery_kits::basis.eq(&kit.basis),
            recovery_kits::made_at.eq(kit.made_at.micros()),
            recovery_kits::made_by.eq(&kit.made_by),
        ))
        .execute(conn)?;
    Ok(())
}
