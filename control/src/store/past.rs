//! Jobs that have ended, put in as they would be had they run here: for the seed of a fleet. Not for what agents report; that goes the way of
//! `fires` and `job_steps`.

use super::bridge::to_json;
use super::job_steps::added;
use super::jobs::append_log;
use super::schema::jobs;
use super::{Conn, StoreResult};
use crate::domain::job::{JobKind, JobResult, JobState};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::progress::LogLine;
use std::time::Duration;

/// A fire of a schedule that has ended.
#[derive(Clone, Copy, Debug)]
pub struct PastFire<'a> {
    /// Whose.
    pub host_id: HostId,
    /// Of which schedule.
    pub schedule_id: ScheduleId,
    /// Where to.
    pub repository_id: RepositoryId,
    /// What was to be done, as JSON: the same for all fires of a schedule. None if nothing came of it.
    pub task: Option<&'a str>,
    /// How it ended.
    pub state: JobState,
    /// When it was due.
    pub due: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
    /// What came of it.
    pub result: Option<&'a JobResult>,
    /// What it said, its last word last.
    pub lines: &'a [LogLine],
}

/// Puts it in.
///
/// # Errors
/// `Duplicate` if it is there already.
pub fn insert(conn: &mut Conn, past: &PastFire<'_>) -> StoreResult<JobId> {
    let id = JobId::of_fire(past.schedule_id, past.due);
    let ran = past.task.is_some();
    diesel::insert_into(jobs::table)
        .values((
            (
                jobs::id.eq(id.to_string()),
                jobs::host_id.eq(past.host_id.to_string()),
                jobs::schedule_id.eq(past.schedule_id.to_string()),
                jobs::repository_id.eq(past.repository_id.to_string()),
                jobs::kind.eq(JobKind::Backup.as_str()),
                jobs::state.eq(past.state.as_str()),
                jobs::attempt.eq(i32::from(ran)),
                jobs::state_version.eq(1),
                jobs::task.eq(past.task),
            ),
            (
                jobs::requested_by.eq("system:schedule"),
                jobs::due_at.eq(past.due.micros()),
                jobs::queued_at.eq(past.due.micros()),
                jobs::started_at.eq(ran.then_some(past.due.micros())),
                jobs::finished_at.eq(past.ended.micros()),
                jobs::result.eq(past.result.map(|r| to_json("jobs.result", r)).transpose()?),
                jobs::added_bytes.eq(past.result.and_then(added)),
            ),
        ))
        .execute(conn)?;
    append_log(conn, id, 1, past.lines)?;
    Ok(id)
}

/// Puts the jobs that were queued since then in once more, so much earlier: without logs, for fleets with a very long past. Answers how many.
///
/// # Errors
/// When the database fails.
pub fn repeat(conn: &mut Conn, since: Timestamp, earlier: Duration) -> StoreResult<usize> {
    // Each database makes identities in its own words.
    let id = match conn {
        Conn::Sqlite(_) => {
            "substr(x, 1, 8) || '-' || substr(x, 9, 4) || '-4' || substr(x, 14, 3) || '-8' || substr(x, 18, 3) || '-' || substr(x, 21)"
        }
        Conn::Pg(_) => "x",
    };
    let random = match conn {
        Conn::Sqlite(_) => "lower(hex(randomblob(16)))",
        Conn::Pg(_) => "gen_random_uuid()::text",
    };
    let by = i64::try_from(earlier.as_micros()).unwrap_or(i64::MAX);
    let statement = format!(
        "INSERT INTO jobs (id, host_id, schedule_id, repository_id, kind, state, attempt, state_version, task, requested_by, due_at, \
         queued_at, started_at, finished_at, result, place, added_bytes) \
         SELECT {id}, host_id, schedule_id, repository_id, kind, state, attempt, state_version, task, requested_by, due_at - {by}, \
         queued_at - {by}, started_at - {by}, finished_at - {by}, result, place, added_bytes FROM (SELECT jobs.*, {random} AS x FROM jobs \
         WHERE queued_at >= {}) AS past",
        since.micros()
    );
    Ok(diesel::sql_query(statement).execute(conn)?)
}
