//! Jobs that have ended, put in as they would be had they run here: for the seed of a fleet. Not for what agents report; that goes the way of
//! `fires` and `job_steps`.

use super::bridge::to_json;
use super::jobs::append_log;
use super::schema::jobs;
use super::{Conn, StoreResult};
use crate::domain::job::{JobKind, JobResult, JobState};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::progress::LogLine;

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
    /// Its last word.
    pub line: &'a LogLine,
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
            ),
        ))
        .execute(conn)?;
    append_log(conn, id, 1, std::slice::from_ref(past.line))?;
    Ok(id)
}
