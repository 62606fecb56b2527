//! Enrollment tokens. Only their hashes are kept.

use super::bridge::{from_json, parse, parse_opt, time, to_json};
use super::schema::enrollment_tokens;
use super::{Conn, StoreResult};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, RepositoryId, TokenId};
use restic_manager_shared::time::Timestamp;

/// An enrollment token's record.
#[derive(Clone, Debug)]
pub struct TokenRecord {
    /// Identity.
    pub id: TokenId,
    /// SHA-256, hex.
    pub token_hash: String,
    /// The host that it makes.
    pub host_id: HostId,
    /// Whether the host's name was given with it; else the agent names itself.
    pub named: bool,
    /// The first schedule's paths; may be empty.
    pub initial_paths: Vec<String>,
    /// The repository that the host will use.
    pub repository_id: Option<RepositoryId>,
    /// The host's storage secrets, encrypted at rest.
    pub credential_sealed: Option<String>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// When an agent used it.
    pub used_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
}

type Row =
    (String, String, String, bool, String, Option<String>, Option<String>, String, i64, i64, Option<i64>, Option<i64>);

fn record(row: Row) -> StoreResult<TokenRecord> {
    Ok(TokenRecord {
        id: parse("enrollment_tokens.id", &row.0)?,
        token_hash: row.1,
        host_id: parse("enrollment_tokens.host_id", &row.2)?,
        named: row.3,
        initial_paths: from_json("enrollment_tokens.initial_paths", &row.4)?,
        repository_id: parse_opt("enrollment_tokens.repository_id", row.5.as_deref())?,
        credential_sealed: row.6,
        created_by: row.7,
        created_at: Timestamp::from_micros(row.8),
        expires_at: Timestamp::from_micros(row.9),
        used_at: time(row.10),
        revoked_at: time(row.11),
    })
}

/// Adds a token.
///
/// # Errors
/// When the database fails.
pub fn insert(conn: &mut Conn, t: &TokenRecord) -> StoreResult<()> {
    diesel::insert_into(enrollment_tokens::table)
        .values((
            enrollment_tokens::id.eq(t.id.to_string()),
            enrollment_tokens::token_hash.eq(&t.token_hash),
            enrollment_tokens::host_id.eq(t.host_id.to_string()),
            enrollment_tokens::named.eq(t.named),
            enrollment_tokens::initial_paths.eq(to_json("enrollment_tokens.initial_paths", &t.initial_paths)?),
            enrollment_tokens::repository_id.eq(t.repository_id.map(|id| id.to_string())),
            enrollment_tokens::credential_sealed.eq(t.credential_sealed.as_deref()),
            enrollment_tokens::created_by.eq(&t.created_by),
            enrollment_tokens::created_at.eq(t.created_at.micros()),
            enrollment_tokens::expires_at.eq(t.expires_at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The token with that hash, whatever became of it.
///
/// # Errors
/// When the database fails.
pub fn by_hash(conn: &mut Conn, hash: &str) -> StoreResult<Option<TokenRecord>> {
    enrollment_tokens::table
        .filter(enrollment_tokens::token_hash.eq(hash))
        .first::<Row>(conn)
        .optional()?
        .map(record)
        .transpose()
}

/// The newest token of a host.
///
/// # Errors
/// When the database fails.
pub fn newest_of_host(conn: &mut Conn, host: HostId) -> StoreResult<Option<TokenRecord>> {
    enrollment_tokens::table
        .filter(enrollment_tokens::host_id.eq(host.to_string()))
        .order(enrollment_tokens::created_at.desc())
        .first::<Row>(conn)
        .optional()?
        .map(record)
        .transpose()
}

/// Uses a token up. False if another agent was first.
///
/// # Errors
/// When the database fails.
pub fn consume(conn: &mut Conn, id: TokenId, now: Timestamp) -> StoreResult<bool> {
    let changed = diesel::update(
        enrollment_tokens::table
            .find(id.to_string())
            .filter(enrollment_tokens::used_at.is_null())
            .filter(enrollment_tokens::revoked_at.is_null()),
    )
    .set(enrollment_tokens::used_at.eq(now.micros()))
    .execute(conn)?;
    Ok(changed > 0)
}

/// Takes back the unused tokens of a host.
///
/// # Errors
/// When the database fails.
pub fn revoke_of_host(conn: &mut Conn, host: HostId, now: Timestamp) -> StoreResult<()> {
    diesel::update(
        enrollment_tokens::table
            .filter(enrollment_tokens::host_id.eq(host.to_string()))
            .filter(enrollment_tokens::used_at.is_null())
            .filter(enrollment_tokens::revoked_at.is_null()),
    )
    .set(enrollment_tokens::revoked_at.eq(now.micros()))
    .execute(conn)?;
    Ok(())
}
