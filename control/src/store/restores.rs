//! Restores that somebody is putting together, or has started.

use super::bridge::{from_json, parse, parse_opt, to_json};
use super::schema::restores;
use super::{Conn, StoreResult};
use crate::domain::restore::Draft;
use diesel::prelude::*;
use restic_manager_shared::id::{JobId, RepositoryId, RestoreId};
use restic_manager_shared::time::Timestamp;

/// A restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoreRecord {
    /// Its identity.
    pub id: RestoreId,
    /// Where the snapshot is.
    pub repository_id: RepositoryId,
    /// restic's id of it.
    pub snapshot_id: String,
    /// Who puts it together.
    pub created_by: String,
    /// What was chosen so far.
    pub draft: Draft,
    /// The job that says what it would do.
    pub preview_job_id: Option<JobId>,
    /// The job that does it.
    pub job_id: Option<JobId>,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

#[derive(Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = restores, treat_none_as_null = true)]
struct Row {
    id: String,
    repository_id: String,
    snapshot_id: String,
    created_by: String,
    draft: String,
    preview_job_id: Option<String>,
    job_id: Option<String>,
    created_at: i64,
    updated_at: i64,
}

fn record(row: Row) -> StoreResult<RestoreRecord> {
    Ok(RestoreRecord {
        id: parse("restores.id", &row.id)?,
        repository_id: parse("restores.repository_id", &row.repository_id)?,
        snapshot_id: row.snapshot_id,
        created_by: row.created_by,
        draft: from_json("restores.draft", &row.draft)?,
        preview_job_id: parse_opt("restores.preview_job_id", row.preview_job_id.as_deref())?,
        job_id: parse_opt("restores.job_id", row.job_id.as_deref())?,
        created_at: Timestamp::from_micros(row.created_at),
        updated_at: Timestamp::from_micros(row.updated_at),
    })
}

fn row(r: &RestoreRecord) -> StoreResult<Row> {
    Ok(Row {
        id: r.id.to_string(),
        repository_id: r.repository_id.to_string(),
        snapshot_id: r.snapshot_id.clone(),
        created_by: r.created_by.clone(),
        draft: to_json("restores.draft", &r.draft)?,
        preview_job_id: r.preview_job_id.map(|id| id.to_string()),
        job_id: r.job_id.map(|id| id.to_string()),
        created_at: r.created_at.micros(),
        updated_at: r.updated_at.micros(),
    })
}

/// Begins one.
///
/// # Errors
/// When the database fails.
pub fn insert(conn: &mut Conn, restore: &RestoreRecord) -> StoreResult<()> {
    diesel::insert_into(restores::table).values(row(restore)?).execute(conn)?;
    Ok(())
}

/// Keeps what was chosen.
///
/// # Errors
/// When the database fails.
pub fn update(conn: &mut Conn, restore: &RestoreRecord) -> StoreResult<()> {
    diesel::update(restores::table.find(restore.id.to_string())).set(row(restore)?).execute(conn)?;
    Ok(())
}

/// One of them.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: RestoreId) -> StoreResult<Option<RestoreRecord>> {
    restores::table.find(id.to_string()).select(Row::as_select()).first(conn).optional()?.map(record).transpose()
}

/// The one that a job does.
///
/// # Errors
/// When the database fails.
pub fn of_job(conn: &mut Conn, job: JobId) -> StoreResult<Option<RestoreRecord>> {
    let rows = restores::table.filter(restores::job_id.eq(job.to_string()));
    rows.select(Row::as_select()).first(conn).optional()?.map(record).transpose()
}

/// Those of a person that have not been started, the last changed first.
///
/// # Errors
/// When the database fails.
pub fn unfinished(conn: &mut Conn, person: &str, limit: i64) -> StoreResult<Vec<RestoreRecord>> {
    let rows = restores::table
        .filter(restores::created_by.eq(person))
        .filter(restores::job_id.is_null())
        .order(restores::updated_at.desc())
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(record).collect()
}

/// Removes one.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut Conn, id: RestoreId) -> StoreResult<()> {
    diesel::delete(restores::table.find(id.to_string())).execute(conn)?;
    Ok(())
}

/// Removes those that were last changed before an instant. Answers how many.
///
/// # Errors
/// When the database fails.
pub fn delete_before(conn: &mut Conn, before: Timestamp) -> StoreResult<usize> {
    Ok(diesel::delete(restores::table.filter(restores::updated_at.lt(before.micros()))).execute(conn)?)
}
