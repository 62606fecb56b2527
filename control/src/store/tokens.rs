//! API tokens: for scripts. Only their hashes are kept.

use super::bridge::{parse, time};
use super::schema::api_tokens;
use super::{Conn, StoreResult};
use crate::domain::permission::Role;
use diesel::prelude::*;
use restic_manager_shared::id::ApiTokenId;
use restic_manager_shared::time::Timestamp;

/// An API token's record.
#[derive(Clone, Debug)]
pub struct ApiTokenRecord {
    /// Identity.
    pub id: ApiTokenId,
    /// What it is for.
    pub name: String,
    /// SHA-256, hex.
    pub token_hash: String,
    /// What it may do.
    pub role: Role,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when; none for ever.
    pub expires_at: Option<Timestamp>,
}

/// Adds a token.
///
/// # Errors
/// When the database fails.
pub fn insert(conn: &mut Conn, t: &ApiTokenRecord) -> StoreResult<()> {
    diesel::insert_into(api_tokens::table)
        .values((
            api_tokens::id.eq(t.id.to_string()),
            api_tokens::name.eq(&t.name),
            api_tokens::token_hash.eq(&t.token_hash),
            api_tokens::role.eq(t.role.as_str()),
            api_tokens::created_by.eq(&t.created_by),
            api_tokens::created_at.eq(t.created_at.micros()),
            api_tokens::expires_at.eq(t.expires_at.map(Timestamp::micros)),
        ))
        .execute(conn)?;
    Ok(())
}

/// The live token with that hash.
///
/// # Errors
/// When the database fails.
pub fn by_hash(conn: &mut Conn, hash: &str, now: Timestamp) -> StoreResult<Option<ApiTokenRecord>> {
    type Row = (String, String, String, String, String, i64, Option<i64>, Option<i64>);
    let row = api_tokens::table
        .filter(api_tokens::token_hash.eq(hash))
        .filter(api_tokens::revoked_at.is_null())
        .filter(api_tokens::expires_at.is_null().or(api_tokens::expires_at.gt(now.micros())))
        .first::<Row>(conn)
        .optional()?;
    row.map(|row| {
        Ok(ApiTokenRecord {
            id: parse("api_tokens.id", &row.0)?,
            name: row.1,
            token_hash: row.2,
            role: parse("api_tokens.role", &row.3)?,
            created_by: row.4,
            created_at: Timestamp::from_micros(row.5),
            expires_at: time(row.6),
        })
    })
    .transpose()
}
