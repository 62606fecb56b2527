//! Credentials: what one host uses for one repository.

use super::bridge::parse;
use super::schema::host_credentials;
use super::{Conn, StoreError, StoreResult};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::state::CredentialMode;
use uuid::Uuid;

/// A host's credential for a repository.
#[derive(Clone, Debug)]
pub struct CredentialRecord {
    /// The row's identity, which the encryption is bound to.
    pub id: Uuid,
    /// Whose.
    pub host_id: HostId,
    /// For what.
    pub repository_id: RepositoryId,
    /// What it may do there.
    pub mode: CredentialMode,
    /// Storage user, password and environment, encrypted at rest.
    pub secrets_sealed: String,
    /// When it was made or changed.
    pub at: Timestamp,
}

/// The spelling of a mode in the database.
#[must_use]
pub const fn mode_text(mode: CredentialMode) -> &'static str {
    match mode {
        CredentialMode::AppendOnly => "append_only",
        CredentialMode::Full => "full",
    }
}

fn mode_of(text: &str) -> StoreResult<CredentialMode> {
    match text {
        "append_only" => Ok(CredentialMode::AppendOnly),
        "full" => Ok(CredentialMode::Full),
        other => Err(StoreError::Corrupt { what: "host_credentials.mode", value: other.to_owned() }),
    }
}

type Row = (String, String, String, String, String, i64, i64);

fn record(row: Row) -> StoreResult<CredentialRecord> {
    Ok(CredentialRecord {
        id: parse("host_credentials.id", &row.0)?,
        host_id: parse("host_credentials.host_id", &row.1)?,
        repository_id: parse("host_credentials.repository_id", &row.2)?,
        mode: mode_of(&row.3)?,
        secrets_sealed: row.4,
        at: Timestamp::from_micros(row.6),
    })
}

/// Stores a credential, over the one that the host had for the repository.
///
/// # Errors
/// When the database fails.
pub fn put(conn: &mut Conn, c: &CredentialRecord) -> StoreResult<()> {
    let (host, repository) = (c.host_id.to_string(), c.repository_id.to_string());
    diesel::delete(
        host_credentials::table
            .filter(host_credentials::host_id.eq(&host))
            .filter(host_credentials::repository_id.eq(&repository)),
    )
    .execute(conn)?;
    diesel::insert_into(host_credentials::table)
        .values((
            host_credentials::id.eq(c.id.to_string()),
            host_credentials::host_id.eq(&host),
            host_credentials::repository_id.eq(&repository),
            host_credentials::mode.eq(mode_text(c.mode)),
            host_credentials::secrets_sealed.eq(&c.secrets_sealed),
            host_credentials::created_at.eq(c.at.micros()),
            host_credentials::updated_at.eq(c.at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// All credentials of a host.
///
/// # Errors
/// When the database fails.
pub fn of_host(conn: &mut Conn, host: HostId) -> StoreResult<Vec<CredentialRecord>> {
    let rows = host_credentials::table
        .filter(host_credentials::host_id.eq(host.to_string()))
        .order(host_credentials::repository_id)
        .load::<Row>(conn)?;
    rows.into_iter().map(record).collect()
}

/// The hosts that hold a credential for a repository.
///
/// # Errors
/// When the database fails.
pub fn hosts_of(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<HostId>> {
    let rows = host_credentials::table
        .filter(host_credentials::repository_id.eq(repository.to_string()))
        .select(host_credentials::host_id)
        .load::<String>(conn)?;
    rows.iter().map(|id| parse("host_credentials.host_id", id)).collect()
}

/// Whether the host holds a credential for the repository.
///
/// # Errors
/// When the database fails.
pub fn exists(conn: &mut Conn, host: HostId, repository: RepositoryId) -> StoreResult<bool> {
    Ok(diesel::select(diesel::dsl::exists(
        host_credentials::table
            .filter(host_credentials::host_id.eq(host.to_string()))
            .filter(host_credentials::repository_id.eq(repository.to_string())),
    ))
    .get_result(conn)?)
}
