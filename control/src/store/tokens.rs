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

type Row = (String, String, String, String, String, i64, Option<i64>, Option<i64>);

fn token(row: Row) -> StoreResult<ApiTokenRecord> {
    Ok(ApiTokenRecord {
        id: parse("api_tokens.id", &row.0)?,
        name: row.1,
        token_hash: row.2,
        role: parse("api_tokens.role", &row.3)?,
        created_by: row.4,
        created_at: Timestamp::from_micros(row.5),
        expires_at: time(row.6),
    })
}

/// All tokens that were not revoked, by name.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn) -> StoreResult<Vec<ApiTokenRecord>> {
    let kept = api_tokens::table.filter(api_tokens::revoked_at.is_null());
    let rows = kept.order((api_tokens::name, api_tokens::id)).load::<Row>(conn)?;
    rows.into_iter().map(token).collect()
}

/// Revokes a token; answers its record, or none if there is no such token any more.
///
/// # Errors
/// When the database fails.
pub fn revoke(conn: &mut Conn, id: ApiTokenId, now: Timestamp) -> StoreResult<Option<ApiTokenRecord>> {
    let live = api_tokens::table.find(id.to_string()).filter(api_tokens::revoked_at.is_null());
    let Some(record) = live.first::<Row>(conn).optional()?.map(token).transpose()? else { return Ok(None) };
    diesel::update(api_tokens::table.find(id.to_string()))
        .set(api_tokens::revoked_at.eq(now.micros()))
        .execute(conn)?;
    Ok(Some(record))
}

/// The live token with that hash.
///
/// # Errors
/// When the database fails.
pub fn by_hash(conn: &mut Conn, hash: &str, now: Timestamp) -> StoreResult<Option<ApiTokenRecord>> {
    let row = api_tokens::table
        .filter(api_tokens::token_hash.eq(hash))
        .filter(api_tokens::revoked_at.is_null())
        .filter(api_tokens::expires_at.is_null().or(api_tokens::expires_at.gt(now.micros())))
        .first::<Row>(conn)
        .optional()?;
    row.map(token).transpose()
}
