//! Jobs and their logs. Each step of a job's life is an update whose condition names the state it leaves: whoever comes second
//! changes nothing and is told so.

use super::bridge::{from_json, parse, parse_opt, time, to_json};
use super::conn::Backend;
use super::schema::{job_log, jobs};
use super::{Conn, StoreError, StoreResult};
use crate::domain::job::{Job, JobKind, JobResult, JobState};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::progress::{LogLine, Progress};

const ANSWER: (jobs::event_seq, jobs::cancel_requested_at) = (jobs::event_seq, jobs::cancel_requested_at);
const OPEN: [&str; 3] = ["queued", "dispatched", "running"];

/// A job with what only the server needs of it.
#[derive(Clone, Debug)]
pub struct JobRecord {
    /// What people see.
    pub job: Job,
    /// What to do; none for a fire of which nothing came.
    pub task: Option<Task>,
    /// The desired state that it was made for.
    pub state_version: i64,
    /// The last chunk stored of the current attempt.
    pub chunk_seq: i64,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
struct Row {
    id: String,
    host_id: String,
    schedule_id: Option<String>,
    repository_id: Option<String>,
    kind: String,
    state: String,
    attempt: i32,
    state_version: i64,
    task: Option<String>,
    requested_by: String,
    due_at: Option<i64>,
    stands_for: Option<String>,
    queued_at: i64,
    dispatched_at: Option<i64>,
    started_at: Option<i64>,
    finished_at: Option<i64>,
    cancel_requested_at: Option<i64>,
    chunk_seq: i64,
    event_seq: i64,
    progress: Option<String>,
    result: Option<String>,
}

impl TryFrom<Row> for JobRecord {
    type Error = StoreError;
    fn try_from(row: Row) -> StoreResult<Self> {
        let job = Job {
            id: parse("jobs.id", &row.id)?,
            host_id: parse("jobs.host_id", &row.host_id)?,
            schedule_id: parse_opt("jobs.schedule_id", row.schedule_id.as_deref())?,
            repository_id: parse_opt("jobs.repository_id", row.repository_id.as_deref())?,
            kind: parse("jobs.kind", &row.kind)?,
            state: parse("jobs.state", &row.state)?,
            attempt: row.attempt,
            requested_by: row.requested_by,
            due_at: time(row.due_at),
            stands_for: row.stands_for.as_deref().map(|s| from_json("jobs.stands_for", s)).transpose()?,
            queued_at: Timestamp::from_micros(row.queued_at),
            dispatched_at: time(row.dispatched_at),
            started_at: time(row.started_at),
            finished_at: time(row.finished_at),
            cancel_requested_at: time(row.cancel_requested_at),
            seq: row.event_seq,
            progress: row.progress.as_deref().map(|p| from_json("jobs.progress", p)).transpose()?,
            result: row.result.as_deref().map(|r| from_json("jobs.result", r)).transpose()?,
        };
        Ok(Self {
            job,
            task: row.task.as_deref().map(|t| from_json("jobs.task", t)).transpose()?,
            state_version: row.state_version,
            chunk_seq: row.chunk_seq,
        })
    }
}

/// A job to be queued.
#[derive(Clone, Debug)]
pub struct NewJob {
    /// Identity.
    pub id: JobId,
    /// Whose.
    pub host_id: HostId,
    /// A run of which schedule.
    pub schedule_id: Option<ScheduleId>,
    /// What to do.
    pub task: Task,
    /// The desired state that it is made for.
    pub state_version: i64,
    /// Who asked.
    pub requested_by: String,
    /// The same key twice is the same job.
    pub idempotency_key: Option<String>,
    /// When.
    pub now: Timestamp,
}

/// Queues a job, with its first log line.
///
/// # Errors
/// `Duplicate` if the idempotency key was used.
pub fn insert(conn: &mut Conn, new: &NewJob, line: &LogLine) -> StoreResult<()> {
    diesel::insert_into(jobs::table)
        .values((
            jobs::id.eq(new.id.to_string()),
            jobs::host_id.eq(new.host_id.to_string()),
            jobs::schedule_id.eq(new.schedule_id.map(|id| id.to_string())),
            jobs::repository_id.eq(new.task.repository_id().to_string()),
            jobs::kind.eq(JobKind::from(&new.task).as_str()),
            jobs::state.eq(JobState::Queued.as_str()),
            jobs::state_version.eq(new.state_version),
            jobs::task.eq(to_json("jobs.task", &new.task)?),
            jobs::requested_by.eq(&new.requested_by),
            jobs::idempotency_key.eq(new.idempotency_key.as_deref()),
            jobs::queued_at.eq(new.now.micros()),
        ))
        .execute(conn)?;
    append_log(conn, new.id, 1, std::slice::from_ref(line))
}

/// One job.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: JobId) -> StoreResult<Option<JobRecord>> {
    jobs::table
        .find(id.to_string())
        .select(Row::as_select())
        .first(conn)
        .optional()?
        .map(JobRecord::try_from)
        .transpose()
}

/// The job that was queued with this idempotency key.
///
/// # Errors
/// When the database fails.
pub fn by_key(conn: &mut Conn, key: &str) -> StoreResult<Option<JobRecord>> {
    jobs::table
        .filter(jobs::idempotency_key.eq(key))
        .select(Row::as_select())
        .first(conn)
        .optional()?
        .map(JobRecord::try_from)
        .transpose()
}

/// The unfinished job of a schedule, if there is one.
///
/// # Errors
/// When the database fails.
pub fn open_of_schedule(conn: &mut Conn, schedule: ScheduleId) -> StoreResult<Option<JobId>> {
    let id = jobs::table
        .filter(jobs::schedule_id.eq(schedule.to_string()))
        .filter(jobs::state.eq_any(OPEN))
        .select(jobs::id)
        .first::<String>(conn)
        .optional()?;
    id.map(|id| parse("jobs.id", &id)).transpose()
}

/// The unfinished jobs of a host, oldest first: what a poll looks at.
///
/// # Errors
/// When the database fails.
pub fn open_of_host(conn: &mut Conn, host: HostId) -> StoreResult<Vec<JobRecord>> {
    let rows = jobs::table
        .filter(jobs::host_id.eq(host.to_string()))
        .filter(jobs::state.eq_any(OPEN))
        .order((jobs::queued_at, jobs::id))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(JobRecord::try_from).collect()
}

/// What a list of jobs is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One host's.
    pub host: Option<HostId>,
    /// One schedule's.
    pub schedule: Option<ScheduleId>,
    /// In these states; empty for all.
    pub states: Vec<JobState>,
}

/// A place in a list, newest first: everything queued before this.
pub type Before = (Timestamp, JobId);

/// Jobs, newest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn, filter: &Filter, before: Option<Before>, limit: i64) -> StoreResult<Vec<Job>> {
    let mut query = jobs::table.select(Row::as_select()).into_boxed::<Backend>();
    if let Some(host) = filter.host {
        query = query.filter(jobs::host_id.eq(host.to_string()));
    }
    if let Some(schedule) = filter.schedule {
        query = query.filter(jobs::schedule_id.eq(schedule.to_string()));
    }
    if !filter.states.is_empty() {
        let states: Vec<&'static str> = filter.states.iter().map(|s| s.as_str()).collect();
        query = query.filter(jobs::state.eq_any(states));
    }
    if let Some((at, id)) = before {
        let (at, id) = (at.micros(), id.to_string());
        query = query.filter(jobs::queued_at.lt(at).or(jobs::queued_at.eq(at).and(jobs::id.lt(id))));
    }
    let rows = query.order((jobs::queued_at.desc(), jobs::id.desc())).limit(limit).load(conn)?;
    rows.into_iter().map(|row| Ok(JobRecord::try_from(row)?.job)).collect()
}

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
        jobs::finished_at.eq(at.micros()),
        jobs::lease_until.eq(None::<i64>),
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
    now: Timestamp,
    line: &LogLine,
) -> StoreResult<bool> {
    let event: Option<i64> =
        diesel::update(jobs::table.find(id.to_string()).filter(jobs::state.eq_any(["queued", "dispatched"])))
            .set((
                jobs::state.eq(JobState::Cancelled.as_str()),
                jobs::cancel_requested_at.eq(now.micros()),
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
pub fn request_cancel(conn: &mut Conn, id: JobId, now: Timestamp, line: &LogLine) -> StoreResult<bool> {
    let event: Option<i64> = diesel::update(
        jobs::table
            .find(id.to_string())
            .filter(jobs::state.eq(JobState::Running.as_str()))
            .filter(jobs::cancel_requested_at.is_null()),
    )
    .set((jobs::cancel_requested_at.eq(now.micros()), jobs::event_seq.eq(jobs::event_seq + 1)))
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
        .filter(jobs::state.eq(JobState::Running.as_str()))
        .filter(jobs::lease_until.lt(until.micros()))
        .select((jobs::id, jobs::attempt))
        .limit(limit)
        .load::<(String, i32)>(conn)?;
    rows.into_iter().map(|(id, attempt)| Ok((parse("jobs.id", &id)?, attempt))).collect()
}

/// How many jobs are in each of these states.
///
/// # Errors
/// When the database fails.
pub fn count(conn: &mut Conn, states: &[JobState]) -> StoreResult<i64> {
    let states: Vec<&'static str> = states.iter().map(|s| s.as_str()).collect();
    Ok(jobs::table.filter(jobs::state.eq_any(states)).count().get_result(conn)?)
}

pub(super) fn append_log(conn: &mut Conn, id: JobId, seq: i64, lines: &[LogLine]) -> StoreResult<()> {
    diesel::insert_into(job_log::table)
        .values((
            job_log::job_id.eq(id.to_string()),
            job_log::seq.eq(seq),
            job_log::lines.eq(to_json("job_log.lines", &lines)?),
        ))
        .execute(conn)?;
    Ok(())
}

/// Log entries after an event, oldest first: (event, lines).
///
/// # Errors
/// When the database fails.
pub fn log_after(conn: &mut Conn, id: JobId, after: i64, limit: i64) -> StoreResult<Vec<(i64, Vec<LogLine>)>> {
    let rows = job_log::table
        .filter(job_log::job_id.eq(id.to_string()))
        .filter(job_log::seq.gt(after))
        .order(job_log::seq)
        .limit(limit)
        .select((job_log::seq, job_log::lines))
        .load::<(i64, String)>(conn)?;
    rows.into_iter().map(|(seq, lines)| Ok((seq, from_json("job_log.lines", &lines)?))).collect()
}
