//! Repositories.

use super::bridge::{from_json, parse, parse_opt, to_json};
use super::host_search::has_tag;
use super::schema::{host_credentials, hosts, repositories, schedules};
use super::{Conn, StoreResult};
use crate::domain::repository::Repository;
use crate::domain::upkeep::Plan;
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
    /// Its maintenance plan, as JSON.
    pub plan: Plan,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = repositories)]
struct Row {
    id: String,
    name: String,
    url: String,
    backend: String,
    init_if_missing: bool,
    password_sealed: String,
    created_at: i64,
    updated_at: i64,
    maintenance_host_id: Option<String>,
    plan: String,
    quota_bytes: Option<i64>,
    ca_pem: Option<String>,
    rotation: Option<String>,
}

fn record(row: Row) -> StoreResult<RepositoryRecord> {
    Ok(RepositoryRecord {
        repository: Repository {
            id: parse("repositories.id", &row.id)?,
            name: row.name,
            url: row.url,
            backend: parse("repositories.backend", &row.backend)?,
            init_if_missing: row.init_if_missing,
            maintenance_host_id: parse_opt("repositories.maintenance_host_id", row.maintenance_host_id.as_deref())?,
            quota_bytes: row.quota_bytes.and_then(|n| u64::try_from(n).ok()),
            ca_pem: row.ca_pem,
            rotation: row.rotation.as_deref().map(|r| from_json("repositories.rotation", r)).transpose()?,
            created_at: Timestamp::from_micros(row.created_at),
            updated_at: Timestamp::from_micros(row.updated_at),
        },
        password_sealed: row.password_sealed,
        plan: from_json("repositories.plan", &row.plan)?,
    })
}

/// What can be changed of a repository.
macro_rules! changeable {
    ($r:expr) => {{
        let repository = &$r.repository;
        (
            repositories::name.eq(&repository.name),
            repositories::url.eq(&repository.url),
            repositories::backend.eq(repository.backend.as_str()),
            repositories::init_if_missing.eq(repository.init_if_missing),
            repositories::password_sealed.eq(&$r.password_sealed),
            repositories::updated_at.eq(repository.updated_at.micros()),
            repositories::maintenance_host_id.eq(repository.maintenance_host_id.map(|id| id.to_string())),
            repositories::plan.eq(to_json("repositories.plan", &$r.plan)?),
            repositories::quota_bytes.eq(repository.quota_bytes.and_then(|n| i64::try_from(n).ok())),
            repositories::ca_pem.eq(repository.ca_pem.as_deref()),
            repositories::rotation.eq(repository
                .rotation
                .as_ref()
                .map(|r| to_json("repositories.rotation", r))
                .transpose()?),
        )
    }};
}

/// How many there are.
///
/// # Errors
/// When the database fails.
pub fn count(conn: &mut Conn) -> StoreResult<i64> {
    Ok(repositories::table.count().get_result(conn)?)
}

/// All repositories by name, with the bytes that each may store.
///
/// # Errors
/// When the database fails.
pub fn limits(conn: &mut Conn) -> StoreResult<Vec<(RepositoryId, String, Option<u64>)>> {
    let rows = repositories::table
        .order(repositories::name)
        .select((repositories::id, repositories::name, repositories::quota_bytes))
        .load::<(String, String, Option<i64>)>(conn)?;
    rows.into_iter()
        .map(|(id, name, quota)| Ok((parse("repositories.id", &id)?, name, quota.and_then(|n| u64::try_from(n).ok()))))
        .collect()
}

/// Adds a repository.
///
/// # Errors
/// `Duplicate` if the name is taken.
pub fn insert(conn: &mut Conn, r: &RepositoryRecord) -> StoreResult<()> {
    diesel::insert_into(repositories::table)
        .values((
            repositories::id.eq(r.repository.id.to_string()),
            repositories::created_at.eq(r.repository.created_at.micros()),
            changeable!(r),
        ))
        .execute(conn)?;
    Ok(())
}

/// Stores the changed fields of a repository. False if it is not there.
///
/// # Errors
/// `Duplicate` if the name is taken.
pub fn update(conn: &mut Conn, r: &RepositoryRecord) -> StoreResult<bool> {
    let changed =
        diesel::update(repositories::table.find(r.repository.id.to_string())).set(changeable!(r)).execute(conn)?;
    Ok(changed > 0)
}

/// One repository.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: RepositoryId) -> StoreResult<Option<RepositoryRecord>> {
    repositories::table.find(id.to_string()).select(Row::as_select()).first(conn).optional()?.map(record).transpose()
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
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| Ok(record(row)?.repository)).collect()
}

/// A page of the repositories that hosts with a tag hold a credential for, by name.
///
/// # Errors
/// When the database fails.
pub fn list_of_tagged(conn: &mut Conn, tag: &str, after: Option<&str>, limit: i64) -> StoreResult<Vec<Repository>> {
    let theirs = host_credentials::table.inner_join(hosts::table).filter(has_tag(tag)?);
    let rows = repositories::table
        .filter(repositories::name.gt(after.unwrap_or("").to_owned()))
        .filter(repositories::id.eq_any(theirs.select(host_credentials::repository_id)))
        .order(repositories::name)
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(|row| Ok(record(row)?.repository)).collect()
}

/// All repositories, for the background.
///
/// # Errors
/// When the database fails.
pub fn all(conn: &mut Conn) -> StoreResult<Vec<RepositoryRecord>> {
    let rows = repositories::table.order(repositories::name).select(Row::as_select()).load(conn)?;
    rows.into_iter().map(record).collect()
}

/// The password that is to be in force once its key is there, encrypted at rest.
///
/// # Errors
/// When the database fails.
pub fn pending_password(conn: &mut Conn, id: RepositoryId) -> StoreResult<Option<String>> {
    let found = repositories::table.find(id.to_string()).select(repositories::pending_password_sealed);
    Ok(found.first::<Option<String>>(conn).optional()?.flatten())
}

/// Keeps or drops the password that is to be in force.
///
/// # Errors
/// When the database fails.
pub fn put_pending_password(conn: &mut Conn, id: RepositoryId, sealed: Option<&str>) -> StoreResult<()> {
    diesel::update(repositories::table.find(id.to_string()))
        .set(repositories::pending_password_sealed.eq(sealed))
        .execute(conn)?;
    Ok(())
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
