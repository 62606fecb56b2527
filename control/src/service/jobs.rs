//! Jobs: Run now, cancel, and watching. A job is queued in one transaction; its host's parked poll is woken after the commit. What is
//! asked of restic besides a backup is in `operations`.

use super::hosts::load as load_host;
use super::schedules::load as load_schedule;
use super::{ActError, Listed, Noun, Refusal, Services, after, at_and_id, audit, page};
use crate::domain::delivery::WaitsFor;
use crate::domain::fleet::{HostState, Lifecycle};
use crate::domain::job::{Job, JobEvents, JobKind, JobResult, JobState, PickRefused, pick_schedule};
use crate::domain::operation::{Sharing, destruction};
use crate::domain::permission::Actor;
use crate::domain::schedule::Schedule;
use crate::store::jobs::{Filter, NewJob};
use crate::store::{Conn, jobs, schedules};
use restic_manager_shared::id::{HostId, JobId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{Cause, CauseCode, Task};
use restic_manager_shared::wire::progress::{LogLevel, LogLine};
use std::collections::HashMap;
use std::time::Duration;

/// The longest that a watcher is held.
pub const MAX_WAIT: Duration = Duration::from_secs(55);
/// Log entries in one answer.
const ENTRIES: i64 = 200;

/// A queued job, and whether it waits for its host.
#[derive(Debug)]
pub struct Queued {
    /// The job.
    pub job: Job,
    /// Whether the host is online; else the job waits until it is.
    pub host_online: bool,
}

/// Who asks for a job, when, and by which key the same request is known again.
pub(super) struct Request {
    pub(super) actor: Actor,
    pub(super) now: Timestamp,
    pub(super) key: Option<String>,
}

impl Request {
    /// The key is the caller's own: another caller's key of the same spelling is another key.
    pub(super) fn new(actor: &Actor, target: &str, key: Option<String>) -> Result<Self, ActError> {
        if key.as_deref().is_some_and(|k| k.is_empty() || k.len() > 200 || k.chars().any(char::is_control)) {
            return Err(ActError::field("/Idempotency-Key", "1 to 200 characters, without control characters"));
        }
        let key = key.map(|k| format!("{} {target} {k}", actor.label()));
        Ok(Self { actor: actor.clone(), now: Timestamp::now(), key })
    }

    /// The server itself asks.
    pub(super) fn system(name: &str, now: Timestamp) -> Self {
        Self { actor: Actor::system(name), now, key: None }
    }

    pub(super) fn known(&self, conn: &mut Conn) -> Result<Option<Job>, ActError> {
        let Some(key) = &self.key else { return Ok(None) };
        Ok(jobs::by_key(conn, key)?.map(|r| r.job))
    }
}

/// A job to be queued.
pub(super) struct Ask<'a> {
    pub(super) id: JobId,
    pub(super) host: HostId,
    pub(super) schedule: Option<&'a Schedule>,
    pub(super) task: Task,
    /// Whose own repository is meant, where the address holds `{host}`; the host's itself if none.
    pub(super) of: Option<HostId>,
    /// Larger goes first.
    pub(super) priority: i32,
    /// The chore of the repository that it does.
    pub(super) chore: Option<String>,
    /// Secrets for this job alone, encrypted for its row.
    pub(super) secrets_sealed: Option<String>,
}

impl Ask<'_> {
    /// What a person asks for.
    pub(super) fn of(host: HostId, task: Task) -> Self {
        Self { id: JobId::new(), host, schedule: None, task, of: None, priority: 0, chore: None, secrets_sealed: None }
    }
}

fn line(at: Timestamp, text: impl Into<String>) -> LogLine {
    LogLine { at, level: LogLevel::Info, text: text.into() }
}

/// Runs a schedule now, cron or manual; with `dry_run` it only says what would be done.
///
/// # Errors
/// The schedule is disabled, has no repository, or its last run is not over.
pub async fn run_schedule(
    s: &Services,
    actor: &Actor,
    id: ScheduleId,
    dry_run: bool,
    key: Option<String>,
) -> Result<Queued, ActError> {
    let request = Request::new(actor, &format!("schedule:{id}:{dry_run}"), key)?;
    let job =
        s.db.write(move |conn| match request.known(conn)? {
            Some(job) => Ok(job),
            None => {
                let schedule = load_schedule(conn, id)?;
                queue_backup(conn, &request, &schedule, dry_run)
            }
        })
        .await?;
    queued(s, job).await
}

/// Runs the schedule that a host's Run now means.
///
/// # Errors
/// `PickSchedule` if that is not clear.
pub async fn run_host(s: &Services, actor: &Actor, host: HostId, key: Option<String>) -> Result<Queued, ActError> {
    let request = Request::new(actor, &format!("host:{host}"), key)?;
    let job =
        s.db.write(move |conn| {
            if let Some(job) = request.known(conn)? {
                return Ok(job);
            }
            load_host(conn, host)?;
            let schedules = schedules::of_host(conn, host)?;
            let schedule = pick_schedule(&schedules).map_err(|refused| match refused {
                PickRefused::NoneEnabled => Refusal::PickSchedule("This host has no enabled schedule."),
                PickRefused::Several => Refusal::PickSchedule("This host has several enabled schedules."),
            })?;
            queue_backup(conn, &request, schedule, false)
        })
        .await?;
    queued(s, job).await
}

/// Queues a run of a schedule, if its rules allow it.
pub(super) fn queue_backup(
    conn: &mut Conn,
    request: &Request,
    schedule: &Schedule,
    dry_run: bool,
) -> Result<Job, ActError> {
    if !schedule.enabled {
        return Err(Refusal::ScheduleDisabled.into());
    }
    let repository_id = schedule.repository_id.ok_or(Refusal::NoRepository)?;
    if let Some(running) = jobs::open_of_schedule(conn, schedule.id)? {
        return Err(Refusal::AlreadyRunning(running).into());
    }
    let task = Task::Backup { repository_id, backup: schedule.backup(), dry_run };
    queue(conn, request, Ask { schedule: Some(schedule), ..Ask::of(schedule.host_id, task) })
}

/// Queues a job, if its host can do it.
pub(super) fn queue(conn: &mut Conn, request: &Request, ask: Ask<'_>) -> Result<Job, ActError> {
    let record = load_host(conn, ask.host)?;
    if record.lifecycle != Lifecycle::Enrolled {
        return Err(Refusal::HostNotEnrolled.into());
    }
    super::operations::check_host(conn, &record, &ask.task, ask.secrets_sealed.is_some())?;
    let kind = JobKind::from(&ask.task);
    let place = super::operations::place_of(conn, &ask.task, ask.of.unwrap_or(ask.host))?;
    if let Some(place) = place.filter(|_| kind.operation().sharing != Sharing::Free) {
        super::locks::clean_again(conn, place, request.now)?;
    }
    let of_host_id = place.and_then(|p| p.host);
    let new = NewJob {
        id: ask.id,
        host_id: ask.host,
        schedule_id: ask.schedule.map(|s| s.id),
        task: ask.task,
        of_host_id,
        state_version: record.schedule_version,
        requested_by: request.actor.label(),
        idempotency_key: request.key.clone(),
        priority: ask.priority,
        chore: ask.chore,
        secrets_sealed: ask.secrets_sealed,
        now: request.now,
    };
    let said = match ask.schedule {
        Some(s) => format!("queued by {} (schedule \u{201c}{}\u{201d})", request.actor.label(), s.name),
        None => format!("queued by {}", request.actor.label()),
    };
    jobs::insert(conn, &new, &line(request.now, said))?;
    let destroys = destruction(&new.task);
    let detail = serde_json::json!({
        "host": ask.host, "schedule": new.schedule_id, "repository": new.task.repository_id(), "kind": kind, "destroys": destroys,
    });
    audit::record(conn, &request.actor, request.now, "job.run", &format!("job:{}", new.id), &detail)?;
    load(conn, new.id)
}

fn load(conn: &mut Conn, id: JobId) -> Result<Job, ActError> {
    jobs::get(conn, id)?.map(|r| r.job).ok_or(ActError::NotFound(Noun::Job))
}

pub(super) async fn queued(s: &Services, job: Job) -> Result<Queued, ActError> {
    s.hub.hosts.wake(job.host_id);
    let host_online = super::hosts::get(s, job.host_id).await?.state == HostState::Online;
    Ok(Queued { job, host_online })
}

/// Stops a job: one that waits at once, one that runs as soon as its agent hears of it.
///
/// # Errors
/// The job has ended.
pub async fn cancel(s: &Services, actor: &Actor, id: JobId) -> Result<Job, ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    let job =
        s.db.write(move |conn| {
            let job = load(conn, id)?;
            let message = format!("cancelled by {}", actor.label());
            let cause = Cause { code: CauseCode::Cancelled, message: message.clone() };
            let result = JobResult { cause: Some(cause), ..JobResult::default() };
            let said = line(now, message);
            let label = actor.label();
            let by = (label.as_str(), now);
            if jobs::cancel_waiting(conn, id, &result, by, &said)? || jobs::request_cancel(conn, id, by, &said)? {
                let detail = serde_json::json!({"host": job.host_id});
                audit::record(conn, &actor, now, "job.cancel", &format!("job:{id}"), &detail)?;
            } else if job.state.finished() {
                return Err(Refusal::JobFinished.into());
            }
            load(conn, id)
        })
        .await?;
    s.hub.jobs.wake(id);
    s.hub.hosts.wake(job.host_id);
    Ok(job)
}

/// The newest job of each of these hosts that has one.
///
/// # Errors
/// When the database fails.
pub async fn newest_of_hosts(s: &Services, ids: Vec<HostId>) -> Result<HashMap<HostId, Job>, ActError> {
    let found = s.db.read(move |conn| Ok::<_, ActError>(jobs::newest_of_hosts(conn, &ids)?)).await?;
    Ok(found.into_iter().map(|job| (job.host_id, job)).collect())
}

/// One job.
///
/// # Errors
/// When there is no such job.
pub async fn get(s: &Services, id: JobId) -> Result<Job, ActError> {
    let (mut job, waits_for) =
        s.db.read(move |conn| {
            let job = load(conn, id)?;
            let waits_for = super::operations::waits_for(conn, &job)?;
            Ok::<_, ActError>((job, waits_for))
        })
        .await?;
    job.waits_for = waits_for;
    if job.state == JobState::Queued && job.waits_for.is_none() {
        let online = super::hosts::get(s, job.host_id).await?.state == HostState::Online;
        job.waits_for = Some(if online { WaitsFor::Slot } else { WaitsFor::Host });
    }
    Ok(job)
}

/// Jobs, newest first. The cursor is `<microseconds>.<job id>`.
///
/// # Errors
/// A cursor that is not one of this list.
pub async fn list(s: &Services, filter: Filter, cursor: Option<String>, limit: i64) -> Result<Listed<Job>, ActError> {
    let before = after(cursor, at_and_id)?;
    let items =
        s.db.read(move |conn| {
            if let Some(host) = filter.host {
                load_host(conn, host)?;
            }
            Ok::<_, ActError>(jobs::list(conn, &filter, before, limit + 1)?)
        })
        .await?;
    Ok(page(items, limit, |j| format!("{}.{}", j.queued_at.micros(), j.id)))
}

/// What happened to a job after an event; waits up to `wait` for something to happen.
///
/// # Errors
/// When there is no such job.
pub async fn events(s: &Services, id: JobId, after: i64, wait: Duration) -> Result<JobEvents, ActError> {
    let ticket = s.hub.jobs.ticket(id);
    let mut stopping = s.stopping.clone();
    let deadline = tokio::time::Instant::now() + wait.min(MAX_WAIT);
    loop {
        let mut next = std::pin::pin!(ticket.next());
        next.as_mut().enable();
        let events = s.db.read(move |conn| look(conn, id, after)).await?;
        if events.seq > after || events.finished || *stopping.borrow() {
            return Ok(events);
        }
        tokio::select! {
            () = next => {}
            _ = stopping.changed() => {}
            () = tokio::time::sleep_until(deadline) => return Ok(events),
        }
    }
}

fn look(conn: &mut Conn, id: JobId, after: i64) -> Result<JobEvents, ActError> {
    // The log first: a line that comes between the two reads is then seen next time, not lost.
    let entries = jobs::log_after(conn, id, after, ENTRIES)?;
    let job = load(conn, id)?;
    let more = entries.len() == usize::try_from(ENTRIES).unwrap_or(usize::MAX);
    let last = entries.last().map(|(seq, _)| *seq);
    let seq = if more { last.unwrap_or(job.seq) } else { job.seq };
    Ok(JobEvents {
        state: job.state,
        seq,
        progress: job.progress,
        lines: entries.into_iter().flat_map(|(_, lines)| lines).collect(),
        finished: job.state.finished() && !more,
    })
}
