//! Repositories.

use super::bridge::parse;
use super::schema::{repositories, schedules};
use super::{Conn, StoreResult};
use crate::domain::repository::Repository;
use diesel::prelude::*;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;

/// A repository with its password as it is kept: encrypted.
#[derive(Clone, Debug)]
pub struct RepositoryRecord {
    /// What people see.
    pub repository: Repository,
    /// The password, encrypted at rest.
    pub password_sealed: String,
}

type Row = (String, String, String, String, bool, String, i64, i64);

fn record(row: Row) -> StoreResult<RepositoryRecord> {
    Ok(RepositoryRecord {
        repository: Repository {
            id: parse("repositories.id", &row.0)?,
            name: row.1,
            url: row.2,
            backend: parse("repositories.backend", &row.3)?,
            init_if_missing: row.4,
            created_at: Timestamp::from_micros(row.6),
            updated_at: Timestamp::from_micros(row.7),
        },
        password_sealed: row.5,
    })
}

/// Adds a repository.
///
/// # Errors
/// `Duplicate` if the name is taken.
pub fn insert(conn: &mut Conn, r: &RepositoryRecord) -> StoreResult<()> {
    let repository = &r.repository;
    diesel::insert_into(repositories::table)
        .values((
            repositories::id.eq(repository.id.to_string()),
            repositories::name.eq(&repository.name),
            repositories::url.eq(&repository.url),
            repositories::backend.eq(repository.backend.as_str()),
            repositories::init_if_missing.eq(repository.init_if_missing),
            repositories::password_sealed.eq(&r.password_sealed),
            repositories::created_at.eq(repository.created_at.micros()),
            repositories::updated_at.eq(repository.updated_at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Stores the changed fields of a repository. False if it is not there.
///
/// # Errors
/// `Duplicate` if the name is taken.
pub fn update(conn: &mut Conn, r: &RepositoryRecord) -> StoreResult<bool> {
    let repository = &r.repository;
    let changed = diesel::update(repositories::table.find(repository.id.to_string()))
        .set((
            repositories::name.eq(&repository.name),
            repositories::url.eq(&repository.url),
            repositories::backend.eq(repository.backend.as_str()),
            repositories::init_if_missing.eq(repository.init_if_missing),
            repositories::password_sealed.eq(&r.password_sealed),
            repositories::updated_at.eq(repository.updated_at.micros()),
        ))
        .execute(conn)?;
    Ok(changed > 0)
}

/// One repository.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: RepositoryId) -> StoreResult<Option<RepositoryRecord>> {
    repositories::table.find(id.to_string()).first::<Row>(conn).optional()?.map(record).transpose()
}

/// Repositories after `after` by name.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn, after: Option<&str>, limit: i64) -> StoreResult<Vec<Repository>> {
    let rows = repositories::table
        .filter(repositories::name.gt(after.unwrap_or("").to_owned()))
        .order(repositories::name)
        .limit(limit)
        .load::<Row>(conn)?;
    rows.into_iter().map(|row| Ok(record(row)?.repository)).collect()
}

/// How many schedules back up to it.
///
/// # Errors
/// When the database fails.
pub fn schedules_using(conn: &mut Conn, id: RepositoryId) -> StoreResult<i64> {
    Ok(schedules::table.filter(schedules::repository_id.eq(id.to_string())).count().get_result(conn)?)
}

/// Forgets a repository, with the hosts' credentials and snapshots' metadata. The storage is not touched. False if it is not there.
///
/// # Errors
/// `StillUsed` while a schedule backs up to it.
pub fn delete(conn: &mut Conn, id: RepositoryId) -> StoreResult<bool> {
    Ok(diesel::delete(repositories::table.find(id.to_string())).execute(conn)? > 0)
}
