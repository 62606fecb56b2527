//! Recall: jobs that an agent ran after the export was taken that this control plane came out of. They are there again, with their ends, and
//! nothing of them is believed that a job of ours would be believed: who asked for them is not known any more.

use super::{ActError, Noun, Services};
use crate::domain::job::JobState;
use crate::domain::place::Place;
use crate::store::jobs::{self, Recalled};
use crate::store::{Conn, repositories, schedules};
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::progress::{LogLevel, LogLine};
use restic_manager_shared::wire::recall::{RecallRequest, RecallResponse, Restored};
use std::time::Duration;

/// A job that was taken so long before the export may have ended after it.
const SLACK: Duration = Duration::from_secs(7 * 86_400);

/// Takes a job back. Answers the attempt under which its end is wanted.
///
/// # Errors
/// Another host's job, or one that this control plane has no reason to have forgotten.
pub async fn recall(s: &Services, host: HostId, id: JobId, told: RecallRequest) -> Result<RecallResponse, ActError> {
    let now = Timestamp::now();
    let (restored, lease) = (s.restored.clone(), now + s.leased());
    let attempt =
        s.db.write(move |conn| match jobs::get(conn, id)?.map(|record| record.job) {
            Some(job) if job.host_id != host => Err(ActError::NotFound(Noun::Job)),
            Some(job) if job.state.takes_end() || matches!(job.state, JobState::Queued | JobState::Dispatched) => {
                let attempt = job.attempt.max(told.attempt);
                jobs::take_up(conn, id, attempt, told.accepted_at.min(now), lease)?;
                Ok(attempt)
            }
            Some(job) => Ok(job.attempt),
            None => {
                let Some(restored) = restored.filter(|r| is_recent(&told, r)) else {
                    return Err(ActError::NotFound(Noun::Job));
                };
                insert(conn, host, id, &told, (&restored, now, lease))?;
                Ok(told.attempt)
            }
        })
        .await?;
    s.hub.jobs.wake(id);
    Ok(RecallResponse { attempt })
}

fn is_recent(told: &RecallRequest, restored: &Restored) -> bool {
    told.accepted_at >= restored.since - SLACK
}

fn insert(
    conn: &mut Conn,
    host: HostId,
    id: JobId,
    told: &RecallRequest,
    (restored, now, lease): (&Restored, Timestamp, Timestamp),
) -> Result<(), ActError> {
    let schedule = told.schedule_id.map(|id| schedules::get(conn, id)).transpose()?.flatten();
    let repository = told.task.repository_id().map(|id| repositories::get(conn, id)).transpose()?.flatten();
    let place = repository.map(|r| Place::of(r.repository.id, &r.repository.url, host));
    let text = format!(
        "told again by its host: it ran after {}, the moment of the export that this control plane came out of. Who asked for it \
         is not known any more, and its log is not here",
        restored.since
    );
    let recalled = Recalled {
        id,
        host_id: host,
        schedule_id: schedule.filter(|s| s.host_id == host).map(|s| s.id),
        place,
        kind: (&told.task).into(),
        attempt: told.attempt,
        state_version: told.state_version,
        at: told.accepted_at.min(now),
        lease,
    };
    Ok(jobs::insert_recalled(conn, &recalled, &LogLine { at: now, level: LogLevel::Warning, text })?)
}
