//! Credentials: what one host uses for one repository.

use super::bridge::{from_json, from_word, parse, time, to_json, word};
use super::host_search::has_tag;
use super::schema::{host_credentials, hosts};
use super::{Conn, StoreError, StoreResult};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{DeleteVerdict, ProbeReport};
use restic_manager_shared::wire::state::CredentialMode;
use std::collections::HashSet;
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
    /// Another address of the same repository for this host, such as the writable server that only the maintenance host reaches.
    pub url: Option<String>,
    /// What the last probe found, and when.
    pub proof: Option<(ProbeReport, Timestamp)>,
}

/// The spelling of a mode in the database.
#[must_use]
pub const fn mode_text(mode: CredentialMode) -> &'static str {
    match mode {
        CredentialMode::AppendOnly => "append_only",
        CredentialMode::Full => "full",
    }
}

pub(super) fn mode_of(text: &str) -> StoreResult<CredentialMode> {
    match text {
        "append_only" => Ok(CredentialMode::AppendOnly),
        "full" => Ok(CredentialMode::Full),
        other => Err(StoreError::Corrupt { what: "host_credentials.mode", value: other.to_owned() }),
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = host_credentials)]
struct Row {
    id: String,
    host_id: String,
    repository_id: String,
    mode: String,
    secrets_sealed: String,
    updated_at: i64,
    url: Option<String>,
    proof: Option<String>,
    proof_at: Option<i64>,
}

fn record(row: Row) -> StoreResult<CredentialRecord> {
    let proof = row.proof.as_deref().map(|p| from_json("host_credentials.proof", p)).transpose()?;
    Ok(CredentialRecord {
        id: parse("host_credentials.id", &row.id)?,
        host_id: parse("host_credentials.host_id", &row.host_id)?,
        repository_id: parse("host_credentials.repository_id", &row.repository_id)?,
        mode: mode_of(&row.mode)?,
        secrets_sealed: row.secrets_sealed,
        at: Timestamp::from_micros(row.updated_at),
        url: row.url,
        proof: proof.zip(time(row.proof_at)),
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
            host_credentials::url.eq(c.url.as_deref()),
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
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(record).collect()
}

/// Which of these hosts hold a credential for which repository.
///
/// # Errors
/// When the database fails.
pub fn held_by(conn: &mut Conn, hosts: &[HostId]) -> StoreResult<Vec<(HostId, RepositoryId)>> {
    let ids: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let rows = host_credentials::table
        .filter(host_credentials::host_id.eq_any(ids))
        .select((host_credentials::host_id, host_credentials::repository_id))
        .load::<(String, String)>(conn)?;
    let ids = |(host, repository): &(String, String)| {
        Ok((parse("host_credentials.host_id", host)?, parse("host_credentials.repository_id", repository)?))
    };
    rows.iter().map(ids).collect()
}

/// The repositories that hosts with a tag hold a credential for.
///
/// # Errors
/// When the database fails.
pub fn repositories_of_tagged(conn: &mut Conn, tag: &str) -> StoreResult<HashSet<RepositoryId>> {
    let rows = host_credentials::table
        .inner_join(hosts::table)
        .filter(has_tag(tag)?)
        .select(host_credentials::repository_id)
        .distinct()
        .load::<String>(conn)?;
    rows.iter().map(|id| parse("host_credentials.repository_id", id)).collect()
}

/// The credential that opens a repository which all its hosts share: an append-only one if there is one, since reading needs no more.
///
/// # Errors
/// When the database fails.
pub fn door(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Option<CredentialRecord>> {
    for mode in [CredentialMode::AppendOnly, CredentialMode::Full] {
        let first = host_credentials::table
            .filter(host_credentials::repository_id.eq(repository.to_string()))
            .filter(host_credentials::mode.eq(mode_text(mode)))
            .select(diesel::dsl::min(host_credentials::id))
            .first::<Option<String>>(conn)?;
        if let Some(id) = first {
            return host_credentials::table
                .find(id)
                .select(Row::as_select())
                .first(conn)
                .optional()?
                .map(record)
                .transpose();
        }
    }
    Ok(None)
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

/// The credential of a host for a repository.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, host: HostId, repository: RepositoryId) -> StoreResult<Option<CredentialRecord>> {
    host_credentials::table
        .filter(host_credentials::host_id.eq(host.to_string()))
        .filter(host_credentials::repository_id.eq(repository.to_string()))
        .select(Row::as_select())
        .first(conn)
        .optional()?
        .map(record)
        .transpose()
}

/// All credentials for a repository.
///
/// # Errors
/// When the database fails.
pub fn of_repository(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<CredentialRecord>> {
    let rows = host_credentials::table
        .filter(host_credentials::repository_id.eq(repository.to_string()))
        .order(host_credentials::host_id)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(record).collect()
}

/// Credentials of one mode for a repository of which the last probe said the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// For what.
    pub repository_id: RepositoryId,
    /// What they may do there.
    pub mode: CredentialMode,
    /// What the last probe said of deleting, if it is young enough to count.
    pub proof: Option<DeleteVerdict>,
    /// How many there are.
    pub count: u64,
}

/// What a probe said, if it did so since then; empty otherwise.
fn verdict_since(since: Timestamp) -> String {
    format!("(CASE WHEN host_credentials.proof_at >= {} THEN host_credentials.proof_verdict END)", since.micros())
}

fn verdict_of(word: Option<String>) -> StoreResult<Option<DeleteVerdict>> {
    word.map(|v| from_word("host_credentials.proof_verdict", &v)).transpose()
}

/// How many credentials of these repositories stand how, by what probes since then said.
///
/// # Errors
/// When the database fails.
pub fn standings(conn: &mut Conn, of: &[RepositoryId], since: Timestamp) -> StoreResult<Vec<Standing>> {
    let by = format!("host_credentials.repository_id, host_credentials.mode, {}", verdict_since(since));
    let of: Vec<String> = of.iter().map(ToString::to_string).collect();
    let rows = host_credentials::table
        .filter(host_credentials::repository_id.eq_any(of))
        .group_by(sql::<(Text, Text, Nullable<Text>)>(&by))
        .select(sql::<(Text, Text, Nullable<Text>, BigInt)>(&format!("{by}, COUNT(*)")))
        .load::<(String, String, Option<String>, i64)>(conn)?;
    rows.into_iter()
        .map(|(repository, mode, verdict, count)| {
            Ok(Standing {
                repository_id: parse("host_credentials.repository_id", &repository)?,
                mode: mode_of(&mode)?,
                proof: verdict_of(verdict)?,
                count: u64::try_from(count).unwrap_or(0),
            })
        })
        .collect()
}

/// The hosts whose append-only credentials for a repository no probe since then has proven to be so, by name, and what it said instead.
///
/// # Errors
/// When the database fails.
pub fn not_append_only(
    conn: &mut Conn,
    repository: RepositoryId,
    since: Timestamp,
) -> StoreResult<Vec<(String, Option<DeleteVerdict>)>> {
    let verdict = verdict_since(since);
    let proven = word("host_credentials.proof_verdict", &DeleteVerdict::AppendOnly)?;
    let rows = host_credentials::table
        .inner_join(hosts::table)
        .filter(host_credentials::repository_id.eq(repository.to_string()))
        .filter(host_credentials::mode.eq(mode_text(CredentialMode::AppendOnly)))
        .filter(sql::<Bool>(&format!("COALESCE({verdict}, '') <> ")).bind::<Text, _>(proven))
        .order(hosts::name)
        .select((hosts::name, sql::<Nullable<Text>>(&verdict)))
        .load::<(String, Option<String>)>(conn)?;
    rows.into_iter().map(|(name, verdict)| Ok((name, verdict_of(verdict)?))).collect()
}

/// Credentials whose last probe is older than `before`, or that were never probed.
///
/// # Errors
/// When the database fails.
pub fn unproven(conn: &mut Conn, before: Timestamp, limit: i64) -> StoreResult<Vec<CredentialRecord>> {
    let rows = host_credentials::table
        .filter(host_credentials::proof_at.is_null().or(host_credentials::proof_at.lt(before.micros())))
        .order((host_credentials::proof_at, host_credentials::id))
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(record).collect()
}

/// Keeps what a probe found.
///
/// # Errors
/// When the database fails.
pub fn keep_proof(
    conn: &mut Conn,
    host: HostId,
    repository: RepositoryId,
    proof: &ProbeReport,
    at: Timestamp,
) -> StoreResult<()> {
    diesel::update(
        host_credentials::table
            .filter(host_credentials::host_id.eq(host.to_string()))
            .filter(host_credentials::repository_id.eq(repository.to_string())),
    )
    .set((
        host_credentials::proof.eq(to_json("host_credentials.proof", proof)?),
        host_credentials::proof_at.eq(at.micros()),
        host_credentials::proof_verdict.eq(word("host_credentials.proof_verdict", &proof.can_delete)?),
    ))
    .execute(conn)?;
    Ok(())
}

/// Takes a credential from a host. False if it had none.
///
/// # Errors
/// When the database fails.
pub fn remove(conn: &mut Conn, host: HostId, repository: RepositoryId) -> StoreResult<bool> {
    let target = host_credentials::table
        .filter(host_credentials::host_id.eq(host.to_string()))
        .filter(host_credentials::repository_id.eq(repository.to_string()));
    Ok(diesel::delete(target).execute(conn)? > 0)
}
