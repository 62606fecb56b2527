//! The steps of a job's life: each is an update whose condition names the state it leaves, so whoever comes second changes nothing and is
//! told so.

use super::bridge::{parse, to_json};
use super::jobs::{append_log, running};
use super::schema::jobs;
use super::{Conn, StoreResult};
use crate::domain::job::{JobResult, JobState};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::progress::{LogLine, Progress};

const ANSWER: (jobs::event_seq, jobs::cancel_requested_at) = (jobs::event_seq, jobs::cancel_requested_at);

/// Offers a waiting job once more and answers the number of this offer. None if it no longer waits.
///
/// # Errors
/// When the database fails.
pub fn dispatch(conn: &mut Conn, id: JobId, now: Timestamp) -> StoreResult<Option<i32>> {
    Ok(diesel::update(jobs::table.find(id.to_string()).filter(jobs::state.eq_any(["queued", "dispatched"])))
        .set((
            jobs::state.eq(JobState::Dispatched.as_str()),
            jobs::attempt.eq(jobs::attempt + 1),
            jobs::dispatched_at.eq(now.micros()),
            jobs::event_seq.eq(jobs::event_seq + 1),
        ))
        .returning(jobs::attempt)
        .get_result(conn)
        .optional()?)
}

/// Lets one attempt start. False if this attempt is not the one that waits.
///
/// # Errors
/// When the database fails.
pub fn claim(
    conn: &mut Conn,
    host: HostId,
    id: JobId,
    attempt: i32,
    now: Timestamp,
    lease: Timestamp,
) -> StoreResult<bool> {
    let changed = diesel::update(
        jobs::table
            .find(id.to_string())
            .filter(jobs::host_id.eq(host.to_string()))
            .filter(jobs::state.eq(JobState::Dispatched.as_str()))
            .filter(jobs::attempt.eq(attempt)),
    )
    .set((
        jobs::state.eq(JobState::Running.as_str()),
        jobs::started_at.eq(now.micros()),
        jobs::lease_until.eq(lease.micros()),
        jobs::chunk_seq.eq(0),
        jobs::event_seq.eq(jobs::event_seq + 1),
    ))
    .execute(conn)?;
    Ok(changed > 0)
}

/// A job that waits, runs or is lost has run at its host, before this database forgot: its end comes next, under this attempt.
///
/// # Errors
/// When the database fails.
pub fn take_up(conn: &mut Conn, id: JobId, attempt: i32, at: Timestamp, lease: Timestamp) -> StoreResult<()> {
    let open = [JobState::Queued, JobState::Dispatched, JobState::Running, JobState::Lost].map(JobState::as_str);
    diesel::update(jobs::table.find(id.to_string()).filter(jobs::state.eq_any(open)))
        .set((
            jobs::state.eq(JobState::Running.as_str()),
            jobs::attempt.eq(attempt),
            jobs::started_at.eq(at.micros()),
            jobs::finished_at.eq(None::<i64>),
            jobs::lease_until.eq(lease.micros()),
            jobs::event_seq.eq(jobs::event_seq + 1),
        ))
        .execute(conn)?;
    Ok(())
}

/// Stores the next chunk of an attempt and renews the lease; answers whether somebody asked for the job to stop. None if it is not
/// the next one, or the attempt no longer runs.
///
/// # Errors
/// When the database fails.
pub fn chunk(
    conn: &mut Conn,
    (id, attempt, seq): (JobId, i32, i64),
    progress: Option<&Progress>,
    lines: &[LogLine],
    lease: Timestamp,
) -> StoreResult<Option<bool>> {
    let progress = progress.map(|p| to_json("jobs.progress", p)).transpose()?;
    let target = jobs::table
        .find(id.to_string())
        .filter(jobs::attempt.eq(attempt))
        .filter(jobs::chunk_seq.eq(seq - 1))
        .filter(jobs::state.eq_any(["running", "lost"]));
    // A chunk from a job that was taken for lost shows that it runs after all.
    let alive = (
        jobs::state.eq(JobState::Running.as_str()),
        jobs::finished_at.eq(None::<i64>),
        jobs::result.eq(None::<String>),
        jobs::chunk_seq.eq(seq),
        jobs::event_seq.eq(jobs::event_seq + 1),
        jobs::lease_until.eq(lease.micros()),
    );
    let event = match &progress {
        Some(text) => diesel::update(target).set((alive, jobs::progress.eq(text))).returning(ANSWER).get_result(conn),
        None => diesel::update(target).set(alive).returning(ANSWER).get_result(conn),
    };
    let event: Option<(i64, Option<i64>)> = event.optional()?;
    if let Some((event, _)) = event
        && !lines.is_empty()
    {
        append_log(conn, id, event, lines)?;
    }
    Ok(event.map(|(_, cancel)| cancel.is_some()))
}

/// What a backup added to its repository, in bytes.
pub(super) fn added(result: &JobResult) -> Option<i64> {
    let summary = result.summary.as_ref()?;
    Some(i64::try_from(summary.data_added_packed.unwrap_or(summary.data_added)).unwrap_or(i64::MAX))
}

/// Stores how a job ended, with a log line. False if it has an end already, or this attempt never started.
///
/// # Errors
/// When the database fails.
pub fn finish(
    conn: &mut Conn,
    (id, attempt): (JobId, i32),
    state: JobState,
    result: &JobResult,
    at: Timestamp,
    line: &LogLine,
) -> StoreResult<bool> {
    let event: Option<i64> = diesel::update(
        jobs::table
            .find(id.to_string())
            .filter(jobs::attempt.eq(attempt))
            .filter(jobs::state.eq_any(["running", "lost"])),
    )
    .set((
        jobs::state.eq(state.as_str()),
        jobs::result.eq(to_json("jobs.result", result)?),
        jobs::added_bytes.eq(added(result)),
        jobs::finished_at.eq(at.micros()),
        jobs::lease_until.eq(None::<i64>),
        jobs::secrets_sealed.eq(None::<String>),
        jobs::event_seq.eq(jobs::event_seq + 1),
    ))
    .returning(jobs::event_seq)
    .get_result(conn)
    .optional()?;
    let Some(event) = event else { return Ok(false) };
    append_log(conn, id, event, std::slice::from_ref(line))?;
    Ok(true)
}

/// Cancels a job that has not started. False if it has.
///
/// # Errors
/// When the database fails.
pub fn cancel_waiting(
    conn: &mut Conn,
    id: JobId,
    result: &JobResult,
    (by, now): (&str, Timestamp),
    line: &LogLine,
) -> StoreResult<bool> {
    let event: Option<i64> =
        diesel::update(jobs::table.find(id.to_string()).filter(jobs::state.eq_any(["queued", "dispatched"])))
            .set((
                jobs::state.eq(JobState::Cancelled.as_str()),
                jobs::cancel_requested_at.eq(now.micros()),
                jobs::cancel_requested_by.eq(by),
                jobs::finished_at.eq(now.micros()),
                jobs::result.eq(to_json("jobs.result", result)?),
                jobs::event_seq.eq(jobs::event_seq + 1),
            ))
            .returning(jobs::event_seq)
            .get_result(conn)
            .optional()?;
    let Some(event) = event else { return Ok(false) };
    append_log(conn, id, event, std::slice::from_ref(line))?;
    Ok(true)
}

/// Asks for a running job to stop. False if it does not run, or was asked before.
///
/// # Errors
/// When the database fails.
pub fn request_cancel(conn: &mut Conn, id: JobId, (by, now): (&str, Timestamp), line: &LogLine) -> StoreResult<bool> {
    let event: Option<i64> = diesel::update(
        jobs::table
            .find(id.to_string())
            .filter(jobs::state.eq(JobState::Running.as_str()))
            .filter(jobs::cancel_requested_at.is_null()),
    )
    .set((
        jobs::cancel_requested_at.eq(now.micros()),
        jobs::cancel_requested_by.eq(by),
        jobs::event_seq.eq(jobs::event_seq + 1),
    ))
    .returning(jobs::event_seq)
    .get_result(conn)
    .optional()?;
    let Some(event) = event else { return Ok(false) };
    append_log(conn, id, event, std::slice::from_ref(line))?;
    Ok(true)
}

/// Jobs whose lease ended before `until`.
///
/// # Errors
/// When the database fails.
pub fn lease_ended(conn: &mut Conn, until: Timestamp, limit: i64) -> StoreResult<Vec<(JobId, i32)>> {
    let rows = jobs::table
        .filter(running())
        .filter(jobs::lease_until.lt(until.micros()))
        .select((jobs::id, jobs::attempt))
        .limit(limit)
        .load::<(String, i32)>(conn)?;
    rows.into_iter().map(|(id, attempt)| Ok((parse("jobs.id", &id)?, attempt))).collect()
}

/// Keeps what came of a job beyond how it ended, and which processes it ran.
///
/// # Errors
/// When the database fails.
pub fn keep_outcome(conn: &mut Conn, id: JobId, outcome: Option<&Outcome>, pids: &[u32]) -> StoreResult<()> {
    let outcome = outcome.map(|o| to_json("jobs.outcome", o)).transpose()?;
    diesel::update(jobs::table.find(id.to_string()))
        .set((jobs::outcome.eq(outcome), jobs::pids.eq(to_json("jobs.pids", &pids)?)))
        .execute(conn)?;
    Ok(())
}
