//! Jobs and their logs: putting them in and looking at them. Their steps are in `job_steps`.

pub use super::job_list::{Before, Filter, list};

use super::bridge::{from_json, parse, parse_opt, place_host, time, to_json};
pub use super::job_steps::{
    cancel_waiting, chunk, claim, dispatch, finish, keep_outcome, lease_ended, request_cancel, take_up,
};
use super::schema::{hosts, job_log, jobs};
use super::{Conn, StoreError, StoreResult};
use crate::domain::job::{Job, JobKind, JobState};
use crate::domain::place::Place;
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::progress::LogLine;

/// Who asked for what a host tells again.
const BY_RECALL: &str = "system:recall";

/// A job that is not over. Word for word the condition of the indexes of open jobs: with the states as parameters neither database could
/// tell that such an index has all that is asked for, and would look through every job that ever was.
pub(super) fn open() -> SqlLiteral<Bool> {
    sql("jobs.state IN ('queued', 'dispatched', 'running')")
}

/// A job that runs: the condition of the index of leases.
pub(super) fn running() -> SqlLiteral<Bool> {
    sql("jobs.state = 'running'")
}

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
    /// Larger is offered first.
    pub priority: i32,
    /// The chore of its repository that it does, if it is one.
    pub chore: Option<String>,
    /// Secrets for this job alone, encrypted at rest.
    pub secrets_sealed: Option<String>,
    /// The restic processes that it ran.
    pub pids: Vec<u32>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = jobs)]
pub(super) struct Row {
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
    priority: i32,
    chore: Option<String>,
    secrets_sealed: Option<String>,
    outcome: Option<String>,
    pids: Option<String>,
    place: String,
    cancel_requested_by: Option<String>,
}

impl TryFrom<Row> for JobRecord {
    type Error = StoreError;
    fn try_from(row: Row) -> StoreResult<Self> {
        let job = Job {
            id: parse("jobs.id", &row.id)?,
            host_id: parse("jobs.host_id", &row.host_id)?,
            schedule_id: parse_opt("jobs.schedule_id", row.schedule_id.as_deref())?,
            repository_id: parse_opt("jobs.repository_id", row.repository_id.as_deref())?,
            of_host_id: place_host("jobs.place", &row.place)?,
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
            cancel_requested_by: row.cancel_requested_by,
            seq: row.event_seq,
            progress: row.progress.as_deref().map(|p| from_json("jobs.progress", p)).transpose()?,
            result: row.result.as_deref().map(|r| from_json("jobs.result", r)).transpose()?,
            outcome: row.outcome.as_deref().map(|o| from_json("jobs.outcome", o)).transpose()?,
            waits_for: None,
        };
        Ok(Self {
            job,
            task: row.task.as_deref().map(|t| from_json("jobs.task", t)).transpose()?,
            state_version: row.state_version,
            chunk_seq: row.chunk_seq,
            priority: row.priority,
            chore: row.chore,
            secrets_sealed: row.secrets_sealed,
            pids: row.pids.as_deref().map(|p| from_json("jobs.pids", p)).transpose()?.unwrap_or_default(),
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
    /// Whose own repository it works on, where the address holds `{host}`.
    pub of_host_id: Option<HostId>,
    /// The desired state that it is made for.
    pub state_version: i64,
    /// Who asked.
    pub requested_by: String,
    /// The same key twice is the same job.
    pub idempotency_key: Option<String>,
    /// Larger is offered first; 0 for what a person asked for.
    pub priority: i32,
    /// The chore of its repository that it does; only one open job does it at a time.
    pub chore: Option<String>,
    /// Secrets for this job alone, encrypted at rest.
    pub secrets_sealed: Option<String>,
    /// When.
    pub now: Timestamp,
}

/// Queues a job, with its first log line.
///
/// # Errors
/// `Duplicate` if the idempotency key was used, or an open job does the chore already.
pub fn insert(conn: &mut Conn, new: &NewJob, line: &LogLine) -> StoreResult<()> {
    diesel::insert_into(jobs::table)
        .values((
            jobs::id.eq(new.id.to_string()),
            jobs::host_id.eq(new.host_id.to_string()),
            jobs::schedule_id.eq(new.schedule_id.map(|id| id.to_string())),
            jobs::repository_id.eq(new.task.repository_id().map(|id| id.to_string())),
            jobs::kind.eq(JobKind::from(&new.task).as_str()),
            jobs::state.eq(JobState::Queued.as_str()),
            jobs::state_version.eq(new.state_version),
            jobs::task.eq(to_json("jobs.task", &new.task)?),
            jobs::requested_by.eq(&new.requested_by),
            jobs::idempotency_key.eq(new.idempotency_key.as_deref()),
            jobs::queued_at.eq(new.now.micros()),
            jobs::place.eq(new.of_host_id.map(|id| id.to_string()).unwrap_or_default()),
            jobs::priority.eq(new.priority),
            jobs::chore.eq(new.chore.as_deref()),
            jobs::secrets_sealed.eq(new.secrets_sealed.as_deref()),
        ))
        .execute(conn)?;
    append_log(conn, new.id, 1, std::slice::from_ref(line))
}

/// A job that its host ran, and that this control plane has no memory of.
#[derive(Clone, Copy, Debug)]
pub struct Recalled {
    /// Its identity.
    pub id: JobId,
    /// Whose.
    pub host_id: HostId,
    /// Of which schedule, if that is there.
    pub schedule_id: Option<ScheduleId>,
    /// Where, if that is there.
    pub place: Option<Place>,
    /// What it was.
    pub kind: JobKind,
    /// The attempt that ran.
    pub attempt: i32,
    /// The desired state that was in force.
    pub state_version: i64,
    /// When its host took it.
    pub at: Timestamp,
    /// Until when its end may come.
    pub lease: Timestamp,
}

/// Stores a job that its host ran, as running. It has no task: what it was asked to do is its host's word only, so nothing of its outcome is
/// taken over.
///
/// # Errors
/// When the database fails.
pub fn insert_recalled(conn: &mut Conn, job: &Recalled, line: &LogLine) -> StoreResult<()> {
    diesel::insert_into(jobs::table)
        .values((
            jobs::id.eq(job.id.to_string()),
            jobs::host_id.eq(job.host_id.to_string()),
            jobs::schedule_id.eq(job.schedule_id.map(|id| id.to_string())),
            jobs::repository_id.eq(job.place.map(|p| p.repository.to_string())),
            jobs::place.eq(job.place.and_then(|p| p.host).map(|id| id.to_string()).unwrap_or_default()),
            jobs::kind.eq(job.kind.as_str()),
            jobs::state.eq(JobState::Running.as_str()),
            jobs::attempt.eq(job.attempt),
            jobs::state_version.eq(job.state_version),
            jobs::requested_by.eq(BY_RECALL),
            jobs::queued_at.eq(job.at.micros()),
            jobs::started_at.eq(job.at.micros()),
            jobs::lease_until.eq(job.lease.micros()),
        ))
        .execute(conn)?;
    append_log(conn, job.id, 1, std::slice::from_ref(line))
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
        .filter(open())
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
        .filter(open())
        .order((jobs::queued_at, jobs::id))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(JobRecord::try_from).collect()
}

/// The unfinished jobs of these repositories, on all hosts, oldest first.
///
/// # Errors
/// When the database fails.
pub fn open_of_repositories(conn: &mut Conn, ids: &[RepositoryId]) -> StoreResult<Vec<JobRecord>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = jobs::table
        .filter(jobs::repository_id.eq_any(ids))
        .filter(open())
        .order((jobs::queued_at, jobs::id))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(JobRecord::try_from).collect()
}

/// The places of a repository where a job has started.
///
/// # Errors
/// When the database fails.
pub fn places_worked_in(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<Place>> {
    let rows: Vec<String> = jobs::table
        .filter(jobs::repository_id.eq(repository.to_string()))
        .filter(jobs::started_at.is_not_null())
        .select(jobs::place)
        .distinct()
        .load(conn)?;
    rows.iter().map(|text| Ok(Place { repository, host: place_host("jobs.place", text)? })).collect()
}

/// Hosts for which jobs of this repository wait: they may go on when one has ended.
///
/// # Errors
/// When the database fails.
pub fn waiting_hosts(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<HostId>> {
    let rows = jobs::table
        .filter(jobs::repository_id.eq(repository.to_string()))
        .filter(open())
        .filter(jobs::state.eq(JobState::Queued.as_str()))
        .select(jobs::host_id)
        .distinct()
        .load::<String>(conn)?;
    rows.iter().map(|id| parse("jobs.host_id", id)).collect()
}

/// The newest jobs of a repository, open and ended, newest first.
///
/// # Errors
/// When the database fails.
pub fn recent_of_repository(conn: &mut Conn, repository: RepositoryId, limit: i64) -> StoreResult<Vec<JobRecord>> {
    let rows = jobs::table
        .filter(jobs::repository_id.eq(repository.to_string()))
        .order((jobs::queued_at.desc(), jobs::id.desc()))
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(JobRecord::try_from).collect()
}

/// When these jobs started and ended: (id, from, until).
///
/// # Errors
/// When the database fails.
pub fn windows(conn: &mut Conn, ids: &[JobId]) -> StoreResult<Vec<(JobId, Timestamp, Option<Timestamp>)>> {
    let mut found = Vec::with_capacity(ids.len());
    for part in ids.chunks(500) {
        let part: Vec<String> = part.iter().map(ToString::to_string).collect();
        let rows = jobs::table
            .filter(jobs::id.eq_any(part))
            .select((jobs::id, jobs::queued_at, jobs::started_at, jobs::finished_at))
            .load::<(String, i64, Option<i64>, Option<i64>)>(conn)?;
        for (id, queued, started, finished) in rows {
            found.push((parse("jobs.id", &id)?, Timestamp::from_micros(started.unwrap_or(queued)), time(finished)));
        }
    }
    Ok(found)
}

/// The newest jobs of a kind in a repository, newest first.
///
/// # Errors
/// When the database fails.
pub fn newest_of_kind(
    conn: &mut Conn,
    repository: RepositoryId,
    kind: JobKind,
    limit: i64,
) -> StoreResult<Vec<JobRecord>> {
    let rows = jobs::table
        .filter(jobs::repository_id.eq(repository.to_string()))
        .filter(jobs::kind.eq(kind.as_str()))
        .order((jobs::queued_at.desc(), jobs::id.desc()))
        .limit(limit)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(JobRecord::try_from).collect()
}

/// The newest job of each of these hosts that has one.
///
/// # Errors
/// When the database fails.
pub fn newest_of_hosts(conn: &mut Conn, ids: &[HostId]) -> StoreResult<Vec<Job>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let of_host = diesel::alias!(jobs as of_host);
    let newest = of_host
        .filter(of_host.field(jobs::host_id).eq(hosts::id))
        .order((of_host.field(jobs::queued_at).desc(), of_host.field(jobs::id).desc()))
        .select(of_host.field(jobs::id))
        .limit(1)
        .single_value();
    let wanted = hosts::table.filter(hosts::id.eq_any(ids)).select(newest);
    let rows = jobs::table.filter(jobs::id.nullable().eq_any(wanted)).select(Row::as_select()).load(conn)?;
    rows.into_iter().map(|row| Ok(JobRecord::try_from(row)?.job)).collect()
}

/// How many jobs that are not over are in one of these states.
///
/// # Errors
/// When the database fails.
pub fn count_open(conn: &mut Conn, states: &[JobState]) -> StoreResult<i64> {
    let states: Vec<&'static str> = states.iter().map(|s| s.as_str()).collect();
    Ok(jobs::table.filter(open()).filter(jobs::state.eq_any(states)).count().get_result(conn)?)
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
