//! Locks: who holds what, and cleaning up after the dead. A lock goes by itself only when the job that made it is known, has ended, and the
//! agent that ran it finds the process gone. Age proves nothing.

use super::jobs::{Ask, Request, queue};
use super::repositories::load as load_repository;
use super::{ActError, Services};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::locks::{Holder, Known, holder};
use crate::store::jobs::JobRecord;
use crate::store::{Conn, StoreError, alerts, hosts, jobs, upkeep};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{FinishReport, Task};
use restic_manager_shared::wire::operation::{DeadProcess, LockRecord};
use serde::Serialize;
use std::time::Duration;

/// A host's clock may be off by so much when it writes the time into a lock.
const SLACK: Duration = Duration::from_secs(10 * 60);
/// Before anything that a person asked for.
const FIRST: i32 = 100;

/// A lock and what is known of its holder.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LockView {
    /// The lock.
    pub lock: LockRecord,
    /// When it was seen.
    pub seen_at: Timestamp,
    /// Who holds it, as far as it is known here.
    pub holder: Holder,
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
    let task = Task::Unlock { repository_id, dead, remove_all: false };
    let request = Request::system("locks", now);
    let ask = Ask { priority: FIRST, ..Ask::of(record.job.host_id, task) };
    match queue(conn, &request, ask) {
        Ok(_) => Ok(()),
        Err(ActError::Store(StoreError::Duplicate(_))) => Ok(()),
        Err(ActError::Store(error)) => Err(error.into()),
        // The host lost its credential meanwhile, or is retired: nobody can clean up by himself.
        Err(error) => {
            tracing::warn!(job = %record.job.id, %error, "a lock may stay behind");
            Ok(())
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Keeps which locks there are. One that nothing known explains is an alert.
pub(super) fn seen(
    conn: &mut Conn,
    repository: RepositoryId,
    locks: &[LockRecord],
    now: Timestamp,
) -> Result<(), ActError> {
    upkeep::put_locks(conn, repository, locks, now)?;
    let known = known(conn, repository)?;
    let foreign: Vec<&LockRecord> =
        locks.iter().filter(|lock| matches!(holder(lock, &known), Holder::Unknown { .. })).collect();
    let about = (AlertKind::ForeignLock, &*format!("repository:{repository}"));
    match foreign.first() {
        None => {
            alerts::resolve(conn, about, now)?;
        }
        Some(lock) => {
            let detail = format!(
                "{} locks belong to no job that is known here; one is of process {} on {}",
                foreign.len(),
                lock.pid,
                lock.hostname
            );
            alerts::raise(conn, about, Severity::Warning, &detail, now)?;
        }
    }
    Ok(())
}

/// The jobs that could have made a lock in a repository: open ones, and the newest ended ones with their processes.
fn known(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<Known>, ActError> {
    let mut known = vec![];
    for record in jobs::recent_of_repository(conn, repository, 500)? {
        let Some(host) = hosts::get(conn, record.job.host_id)? else { continue };
        let running = record.job.progress.as_ref().and_then(|p| p.pid);
        let pids: Vec<u32> = record.pids.iter().copied().chain(running).collect();
        if !pids.is_empty() {
            known.push(Known::of(&record.job, host.hostname, pids));
        }
    }
    Ok(known)
}

/// The locks of a repository as they were last seen.
///
/// # Errors
/// When there is no such repository.
pub async fn of_repository(s: &Services, id: RepositoryId) -> Result<Vec<LockView>, ActError> {
    s.db.read(move |conn| {
        load_repository(conn, id)?;
        let known = known(conn, id)?;
        let locks = upkeep::locks(conn, id)?;
        Ok(locks.into_iter().map(|(lock, seen_at)| LockView { holder: holder(&lock, &known), lock, seen_at }).collect())
    })
    .await
}
