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
    /// How it begins; none for one that was made before this was kept.
    pub prefix: Option<String>,
    /// When it was last used, and from which address.
    pub used: Option<(Timestamp, String)>,
}

/// Adds a token.
///
/// # Errors
/// `Duplicate` if there is or was one of that identity.
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
            api_tokens::prefix.eq(&t.prefix),
        ))
        .execute(conn)?;
    Ok(())
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = api_tokens)]
struct Row {
    id: String,
    name: String,
    token_hash: String,
    role: String,
    created_by: String,
    created_at: i64,
    expires_at: Option<i64>,
    prefix: Option<String>,
    last_used_at: Option<i64>,
    last_used_from: Option<String>,
}

fn token(row: Row) -> StoreResult<ApiTokenRecord> {
    Ok(ApiTokenRecord {
        id: parse("api_tokens.id", &row.id)?,
        name: row.name,
        token_hash: row.token_hash,
        role: parse("api_tokens.role", &row.role)?,
        created_by: row.created_by,
        created_at: Timestamp::from_micros(row.created_at),
        expires_at: time(row.expires_at),
        prefix: row.prefix,
        used: time(row.last_used_at).zip(row.last_used_from),
    })
}

/// All tokens that were not revoked, by name.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn) -> StoreResult<Vec<ApiTokenRecord>> {
    let kept = api_tokens::table.filter(api_tokens::revoked_at.is_null());
    let rows = kept.order((api_tokens::name, api_tokens::id)).select(Row::as_select()).load(conn)?;
    rows.into_iter().map(token).collect()
}

/// Notes that a token was used, unless a later use is known.
///
/// # Errors
/// When the database fails.
pub fn used(conn: &mut Conn, id: ApiTokenId, at: Timestamp, from: &str) -> StoreResult<()> {
    let earlier = api_tokens::last_used_at.is_null().or(api_tokens::last_used_at.lt(at.micros()));
    diesel::update(api_tokens::table.filter(api_tokens::id.eq(id.to_string())).filter(earlier))
        .set((api_tokens::last_used_at.eq(at.micros()), api_tokens::last_used_from.eq(from)))
        .execute(conn)?;
    Ok(())
}

/// Revokes a token; answers its record, or none if there is no such token any more.
///
/// # Errors
/// When the database fails.
pub fn revoke(conn: &mut Conn, id: ApiTokenId, now: Timestamp) -> StoreResult<Option<ApiTokenRecord>> {
    let live = api_tokens::table.find(id.to_string()).filter(api_tokens::revoked_at.is_null());
    let Some(record) = live.select(Row::as_select()).first(conn).optional()?.map(token).transpose()? else {
        return Ok(None);
    };
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
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map(token).transpose()
}
