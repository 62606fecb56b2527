//! Locks: who holds what, and cleaning up after the dead. A lock goes by itself only when the job that made it is known, has ended, and the
//! agent that ran it finds the process gone. Age proves nothing.

use super::jobs::{Ask, Queued, Request, queue, queued};
use super::operations::{choose_host, online_now};
use super::outcomes::subject;
use super::repositories::load as load_repository;
use super::upkeep::places;
use super::{ActError, Refusal, Services};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::job::{Job, JobKind, JobState};
use crate::domain::locks::{Child, Cleanup, Judged, Lock, Unknown, Verdict, cleanup, judge};
use crate::domain::permission::{Actor, Role};
use crate::domain::place::Place;
use crate::store::hosts::HostRecord;
use crate::store::jobs::JobRecord;
use crate::store::{Conn, StoreError, alerts, hosts, jobs, snapshots, standing, upkeep};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{CauseCode, FinishReport, Task};
use restic_manager_shared::wire::operation::{DeadProcess, LockRecord};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A host's clock may be off by so much when it writes the time into a lock.
const SLACK: Duration = Duration::from_secs(10 * 60);
/// So many of a repository's newest jobs are looked at for the maker of a lock.
const RECENT: i64 = 500;
/// Before anything that a person asked for.
const FIRST: i32 = 100;
/// Who cleans up.
const NAME: &str = "locks";
/// So many of a repository's newest removals of locks are looked at for those that did not come about.
const CLEANUPS: i64 = 50;
/// Where many hosts meet one lock, a look that was just made is not made again.
const JUST: Duration = Duration::from_secs(5 * 60);

/// The locks of a repository.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Locks {
    /// As they were last seen, with who holds each.
    pub items: Vec<Judged>,
    /// When somebody last looked; none if nobody has.
    pub seen_at: Option<Timestamp>,
    /// How the dead ones among them can be removed.
    pub cleanup: Cleanup,
}

/// Has the host that ran a dead restic remove the lock that it left.
pub(super) fn clean_after(
    conn: &mut Conn,
    record: &JobRecord,
    report: &FinishReport,
    now: Timestamp,
) -> Result<(), ActError> {
    let Some(repository_id) = record.job.repository_id else { return Ok(()) };
    let started = record.job.started_at.unwrap_or(record.job.queued_at);
    let from = Timestamp::from_micros(started.micros().saturating_sub(micros(SLACK)));
    let until = now + SLACK;
    let dead = report.pids.iter().map(|pid| DeadProcess { pid: *pid, from, until }).collect();
    let place = Place { repository: repository_id, host: record.job.of_host_id };
    clean(conn, place, record.job.host_id, dead, now)
}

/// Asks again for clean-ups that did not come about, as when the storage was away: before the next work in a place, and when a lock was in
/// its way.
pub(super) fn clean_again(conn: &mut Conn, place: Place, now: Timestamp) -> Result<(), ActError> {
    let mut cleanups = jobs::newest_of_kind(conn, place.repository, JobKind::Unlock, CLEANUPS)?;
    let label = Actor::system(NAME).label();
    cleanups.retain(|c| c.job.place() == Some(place) && c.job.requested_by == label);
    if cleanups.iter().any(|c| !c.job.state.finished()) {
        return Ok(());
    }
    let mut left: BTreeMap<HostId, Vec<DeadProcess>> = BTreeMap::new();
    for undone in cleanups.iter().take_while(|c| did_not_come_about(&c.job)) {
        if let Some(Task::Unlock { dead, .. }) = &undone.task {
            left.entry(undone.job.host_id).or_default().extend(dead);
        }
    }
    for (host, mut dead) in left {
        dead.sort_by_key(|d| (d.pid, d.from));
        dead.dedup();
        clean(conn, place, host, dead, now)?;
    }
    Ok(())
}

/// A job met a lock: the host that ran it looks who holds it, so that whoever comes finds that told. Nobody asks while a look is under way, or
/// just was.
pub(super) fn look_after(conn: &mut Conn, place: Place, host: HostId, now: Timestamp) -> Result<(), ActError> {
    let fresh = |at: Timestamp| now.since(at) < JUST;
    let newest = jobs::newest_of_kind(conn, place.repository, JobKind::Locks, CLEANUPS)?;
    let under_way = |job: &Job| !job.state.finished() || fresh(job.queued_at);
    if newest.iter().any(|look| look.job.place() == Some(place) && under_way(&look.job)) {
        return Ok(());
    }
    let task = Task::Locks { repository_id: place.repository };
    match queue(conn, &Request::system(NAME, now), Ask { priority: FIRST, of: place.host, ..Ask::of(host, task) }) {
        Ok(_) | Err(ActError::Store(StoreError::Duplicate(_))) => Ok(()),
        Err(ActError::Store(error)) => Err(error.into()),
        // The end of the job counts all the same.
        Err(error) => {
            tracing::warn!(%host, %error, "nobody looks at a lock");
            Ok(())
        }
    }
}

fn did_not_come_about(job: &Job) -> bool {
    match job.state {
        JobState::Lost => true,
        JobState::Failed => {
            let cause = job.result.as_ref().and_then(|r| r.cause.as_ref());
            cause.is_some_and(|c| matches!(c.code, CauseCode::RepositoryUnreachable | CauseCode::AgentRestarted))
        }
        JobState::Queued
        | JobState::Dispatched
        | JobState::Running
        | JobState::Succeeded
        | JobState::Warning
        | JobState::Cancelled
        | JobState::Skipped
        | JobState::Missed => false,
    }
}

fn clean(conn: &mut Conn, place: Place, host: HostId, dead: Vec<DeadProcess>, now: Timestamp) -> Result<(), ActError> {
    let task = Task::Unlock { repository_id: place.repository, dead, remove_all: false };
    let ask = Ask { priority: FIRST, of: place.host, ..Ask::of(host, task) };
    match queue(conn, &Request::system(NAME, now), ask) {
        Ok(_) => Ok(()),
        Err(ActError::Store(StoreError::Duplicate(_))) => Ok(()),
        Err(ActError::Store(error)) => Err(error.into()),
        // The host lost its credential meanwhile, or is retired: nobody can clean up by himself.
        Err(error) => {
            tracing::warn!(%host, %error, "a lock may stay behind");
            Ok(())
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Keeps which locks there are. One that nothing known explains is an alert.
pub(super) fn seen(conn: &mut Conn, place: Place, locks: &[LockRecord], now: Timestamp) -> Result<(), ActError> {
    upkeep::put_locks(conn, place, locks, now)?;
    let children = children(conn, place.repository)?;
    let judged = judge(&locks.iter().map(|record| lock(place, record)).collect::<Vec<_>>(), &children);
    let foreign: Vec<&Judged> = judged
        .iter()
        .filter(|j| matches!(j.verdict, Verdict::Unknown { why: Unknown::NotOurs | Unknown::Ambiguous { .. } }))
        .collect();
    let about = (AlertKind::ForeignLock, &*subject(place));
    match foreign.first() {
        None => {
            alerts::resolve(conn, about, now)?;
        }
        Some(first) => {
            let detail = format!(
                "locks that belong to no job that is known here: {}; one is of process {} on {}: {}",
                foreign.len(),
                first.lock.pid,
                first.lock.hostname,
                first.text
            );
            alerts::raise(conn, about, Severity::Warning, &detail, now)?;
        }
    }
    Ok(())
}

fn lock(place: Place, record: &LockRecord) -> Lock {
    Lock {
        of_host_id: place.host,
        id: record.id.clone(),
        time: record.time,
        hostname: record.hostname.clone(),
        username: record.username.clone(),
        pid: record.pid,
        exclusive: record.exclusive,
    }
}

/// The restic processes that jobs ran in a repository: those of open jobs, and of the newest that have ended.
fn children(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<Child>, ActError> {
    let mut found = vec![];
    for record in jobs::recent_of_repository(conn, repository, RECENT)? {
        let running = record.job.progress.as_ref().and_then(|p| p.pid).filter(|pid| !record.pids.contains(pid));
        if record.pids.is_empty() && running.is_none() {
            continue;
        }
        let Some(host) = hosts::get(conn, record.job.host_id)? else { continue };
        let child = |pid, gone| Child {
            host_id: host.id,
            host: host.name.clone(),
            hostname: host.hostname.clone(),
            job_id: record.job.id,
            state: record.job.state,
            pid,
            started: record.job.started_at.unwrap_or(record.job.queued_at),
            ended: record.job.finished_at,
            gone,
        };
        // What a report names is gone: the agent waited for it. What only the progress names may live.
        found.extend(record.pids.iter().map(|pid| child(*pid, true)));
        found.extend(running.map(|pid| child(pid, false)));
    }
    Ok(found)
}

/// The locks of a repository as they were last seen.
///
/// # Errors
/// When there is no such repository.
pub async fn of_repository(s: &Services, id: RepositoryId) -> Result<Locks, ActError> {
    s.db.read(move |conn| {
        load_repository(conn, id)?;
        let locks = upkeep::locks(conn, id)?;
        let seen_at = locks.iter().map(|(_, _, at)| *at).max().max(standing::looked_at_locks(conn, id)?);
        let locks: Vec<Lock> = locks.iter().map(|(place, record, _)| lock(*place, record)).collect();
        // Whose a lock could be takes some looking; mostly there is none.
        let children = if locks.is_empty() { vec![] } else { children(conn, id)? };
        let items = judge(&locks, &children);
        let idle = jobs::open_of_repositories(conn, &[id])?.is_empty();
        Ok(Locks { cleanup: cleanup(&items, idle, Timestamp::now()), items, seen_at })
    })
    .await
}

/// Looks anew at the locks of a repository: one job for each restic repository that it stands for. One that is looked at already is not
/// asked twice, and where nothing ever happened there is nothing to look at.
///
/// # Errors
/// No such repository, or no host that can look at any of it.
pub async fn look(s: &Services, actor: &Actor, id: RepositoryId) -> Result<Vec<Queued>, ActError> {
    if !actor.role.covers(Role::Operator) {
        return Err(Refusal::Forbidden.into());
    }
    let request = Request { actor: actor.clone(), now: Timestamp::now(), key: None };
    let online = online_now(s);
    let jobs = s.db.write(move |conn| look_everywhere(conn, &request, id, &online)).await?;
    let mut answers = vec![];
    for job in jobs {
        answers.push(queued(s, job).await?);
    }
    Ok(answers)
}

fn look_everywhere(
    conn: &mut Conn,
    request: &Request,
    id: RepositoryId,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<Vec<Job>, ActError> {
    let record = load_repository(conn, id)?;
    let open = jobs::open_of_repositories(conn, &[id])?;
    let mut used: BTreeSet<Place> = jobs::places_worked_in(conn, id)?.into_iter().collect();
    used.extend(snapshots::count_by_place(conn, id)?.into_iter().map(|(place, _)| place));
    let (mut looks, mut refused) = (vec![], None);
    for place in places(conn, &record)?.into_iter().filter(|p| p.host.is_none() || used.contains(p)) {
        let pending = open.iter().find(|o| o.job.kind == JobKind::Locks && o.job.place() == Some(place));
        if let Some(pending) = pending {
            looks.push(pending.job.clone());
            continue;
        }
        let task = Task::Locks { repository_id: id };
        let chosen = choose_host(conn, &task, None, place.host, online);
        match chosen.and_then(|host| queue(conn, request, Ask { of: place.host, ..Ask::of(host, task) })) {
            Ok(job) => looks.push(job),
            // The others can be looked at all the same.
            Err(ActError::Refused(why)) => refused = Some(why),
            Err(error) => return Err(error),
        }
    }
    match refused {
        Some(why) if looks.is_empty() => Err(why.into()),
        Some(_) | None => Ok(looks),
    }
}
