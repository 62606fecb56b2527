//! What stands on the page of a job that failed beside its own words: what else fails for the same cause, and what is known of the locks in its
//! way.

use super::names::Names;
use super::view::JobRow;
use crate::domain::health::lies_with_repository;
use crate::domain::job::Job;
use crate::domain::locks::{Holder, Judged, Unknown, Verdict};
use crate::http::problem::ApiError;
use crate::service::{ActError, Services, jobs, locks, protection};
use crate::words::{Moment, capital, cause as words};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use serde::Serialize;

/// Jobs of the same cause.
const ALIKE: i64 = 6;
/// Locks that are told of.
const LOCKS: usize = 5;

/// What else fails for the same cause.
#[derive(Debug, Serialize)]
pub struct Alike {
    /// Hosts that it holds up now.
    pub hosts: i64,
    /// The newest other jobs.
    pub jobs: Vec<JobRow>,
}

/// A lock.
#[derive(Debug, Serialize)]
pub struct LockFact {
    /// Who holds it, and whether it still runs.
    pub text: String,
    /// The process.
    pub process: String,
    /// When the job of its holder started.
    pub since: Option<Moment>,
    /// When the lock was made or renewed last.
    pub renewed: Moment,
    /// That job.
    pub job: Option<String>,
}

/// What is known of the locks in a job's way.
#[derive(Debug, Serialize)]
pub struct LockFacts {
    /// The locks as they were last seen.
    pub locks: Vec<LockFact>,
    /// When that was.
    pub seen: Option<Moment>,
}

/// What else fails for the cause of a job, if others do.
///
/// # Errors
/// When the database fails.
pub async fn alike(s: &Services, job: &Job, names: &mut Names, now: Timestamp) -> Result<Option<Alike>, ApiError> {
    let cause = job.result.as_ref().and_then(|r| r.cause.as_ref()).map(|c| c.code).filter(|c| lies_with_repository(*c));
    // Where each host has a repository of its own, a lock is in nobody else's way.
    let cause = cause.filter(|code| job.of_host_id.is_none() || *code != CauseCode::RepositoryLocked);
    let Some(about) = job.repository_id.zip(cause) else { return Ok(None) };
    let found = protection::failed_alike(s, job.id, about, ALIKE).await?;
    if found.jobs.is_empty() {
        return Ok(None);
    }
    Ok(Some(Alike { hosts: found.hosts, jobs: names.rows(s, &found.jobs, now).await? }))
}

/// What is known of the locks in a job's way; none if no lock was.
///
/// # Errors
/// When the database fails.
pub async fn lock_facts(s: &Services, job: &Job, now: Timestamp) -> Result<Option<LockFacts>, ApiError> {
    let locked =
        job.result.as_ref().and_then(|r| r.cause.as_ref()).is_some_and(|c| c.code == CauseCode::RepositoryLocked);
    let Some(repository) = job.repository_id.filter(|_| locked) else { return Ok(None) };
    let known = match locks::of_repository(s, repository).await {
        Ok(known) => known,
        Err(ActError::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let of_place = known.items.iter().filter(|judged| judged.lock.of_host_id == job.of_host_id);
    let mut facts = vec![];
    for judged in of_place.take(LOCKS) {
        facts.push(fact(s, judged, now).await?);
    }
    Ok(Some(LockFacts { locks: facts, seen: known.seen_at.map(|at| Moment::new(at, now)) }))
}

/// The job that a lock is of, if only one comes into question.
fn holder(verdict: &Verdict) -> Option<&Holder> {
    match verdict {
        Verdict::Held { by } | Verdict::Unknown { why: Unknown::Unconfirmed { by } } => Some(by),
        Verdict::Dead { of } => of.first().filter(|_| of.len() == 1),
        Verdict::Unknown { why: Unknown::NotOurs | Unknown::Ambiguous { .. } } => None,
    }
}

async fn fact(s: &Services, judged: &Judged, now: Timestamp) -> Result<LockFact, ApiError> {
    let lock = &judged.lock;
    let job = match holder(&judged.verdict) {
        Some(by) => Some(jobs::get(s, by.job_id).await?),
        None => None,
    };
    Ok(LockFact {
        text: capital(&judged.text),
        process: words::lock_of(lock.pid, &lock.username, &lock.hostname, lock.exclusive),
        since: job.as_ref().and_then(|job| job.started_at).map(|at| Moment::new(at, now)),
        renewed: Moment::new(lock.time, now),
        job: job.map(|job| job.id.to_string()),
    })
}
