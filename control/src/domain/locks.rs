//! Locks of a repository and who holds them. restic names a machine and a process; two machines may have one name, and process numbers come
//! back. The manager knows more: which job ran which process on which host, and whether its agent saw it end.

use super::job::{Job, JobState};
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::LockRecord;
use serde::Serialize;
use std::time::Duration;

/// A host's clock may be off by so much when it writes the time into a lock.
const SLACK: Duration = Duration::from_secs(10 * 60);

/// A job that could have made a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Which.
    pub job: JobId,
    /// On which host.
    pub host: HostId,
    /// That machine's own name, as restic writes it into a lock.
    pub hostname: String,
    /// The processes that it ran.
    pub pids: Vec<u32>,
    /// Where it is in its life.
    pub state: JobState,
    /// From when.
    pub from: Timestamp,
    /// Until when; none while it goes on.
    pub until: Option<Timestamp>,
}

impl Known {
    /// A job with the processes that it ran.
    #[must_use]
    pub fn of(job: &Job, hostname: String, pids: Vec<u32>) -> Self {
        Self {
            job: job.id,
            host: job.host_id,
            hostname,
            pids,
            state: job.state,
            from: job.started_at.unwrap_or(job.queued_at),
            until: job.finished_at,
        }
    }

    fn made(&self, lock: &LockRecord) -> bool {
        let slack = i64::try_from(SLACK.as_micros()).unwrap_or(0);
        let after = lock.time.micros() >= self.from.micros() - slack;
        let before = self.until.is_none_or(|until| lock.time.micros() <= until.micros() + slack);
        self.hostname.eq_ignore_ascii_case(&lock.hostname) && self.pids.contains(&lock.pid) && after && before
    }
}

/// Who holds a lock, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "holder", rename_all = "snake_case")]
pub enum Holder {
    /// A job that runs.
    Running {
        /// Which.
        job: JobId,
        /// Where.
        host: HostId,
    },
    /// A job that has ended, and whose agent saw its process end: the lock may go.
    Dead {
        /// Which.
        job: JobId,
        /// Where.
        host: HostId,
    },
    /// A job whose agent is silent: its process may live on.
    Silent {
        /// Which.
        job: JobId,
        /// Where.
        host: HostId,
    },
    /// Nothing that is known here: somebody runs restic by hand, or another manager does. A person decides.
    Unknown {
        /// The machine that the lock names.
        hostname: String,
        /// The process there.
        pid: u32,
    },
}

/// Finds the holder of a lock. Where several jobs fit, one that may live goes before one that is dead.
#[must_use]
pub fn holder(lock: &LockRecord, known: &[Known]) -> Holder {
    let fits: Vec<Holder> = known.iter().filter(|k| k.made(lock)).map(of_known).collect();
    let of_kind = |wanted: fn(&Holder) -> bool| fits.iter().find(|h| wanted(h)).cloned();
    of_kind(|h| matches!(h, Holder::Running { .. }))
        .or_else(|| of_kind(|h| matches!(h, Holder::Silent { .. })))
        .or_else(|| of_kind(|h| matches!(h, Holder::Dead { .. })))
        .unwrap_or_else(|| Holder::Unknown { hostname: lock.hostname.clone(), pid: lock.pid })
}

fn of_known(known: &Known) -> Holder {
    let (job, host) = (known.job, known.host);
    match known.state {
        JobState::Queued | JobState::Dispatched | JobState::Running => Holder::Running { job, host },
        JobState::Lost => Holder::Silent { job, host },
        JobState::Succeeded
        | JobState::Warning
        | JobState::Failed
        | JobState::Cancelled
        | JobState::Skipped
        | JobState::Missed => Holder::Dead { job, host },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_tied_to_the_job_whose_process_made_it() {
        let at = Timestamp::from_seconds;
        let lock = |hostname: &str, pid, time| LockRecord {
            id: "a".into(),
            time,
            exclusive: false,
            hostname: hostname.into(),
            username: String::new(),
            pid,
        };
        let (job, host) = (JobId::new(), HostId::new());
        let known =
            |state, until| Known { job, host, hostname: "web".into(), pids: vec![7, 8], state, from: at(1_000), until };
        let unknown = |hostname: &str, pid| Holder::Unknown { hostname: hostname.into(), pid };
        let ended = known(JobState::Failed, Some(at(2_000)));
        for (lock, known, want) in [
            (lock("web", 7, at(1_500)), vec![known(JobState::Running, None)], Holder::Running { job, host }),
            (lock("WEB", 8, at(1_500)), vec![ended.clone()], Holder::Dead { job, host }),
            (lock("web", 7, at(1_500)), vec![known(JobState::Lost, Some(at(2_000)))], Holder::Silent { job, host }),
            (lock("web", 9, at(1_500)), vec![ended.clone()], unknown("web", 9)),
            (lock("db", 7, at(1_500)), vec![ended.clone()], unknown("db", 7)),
            (lock("web", 7, at(90_000)), vec![ended.clone()], unknown("web", 7)),
            (lock("web", 7, at(10)), vec![ended.clone()], unknown("web", 7)),
            // Two hosts of one name: the one that lives counts.
            (
                lock("web", 7, at(1_500)),
                vec![ended, Known { host: HostId::new(), ..known(JobState::Running, None) }],
                Holder::Running { job, host },
            ),
        ] {
            let got = holder(&lock, &known);
            match (&got, &want) {
                (Holder::Running { .. }, Holder::Running { .. }) => {}
                _ => assert_eq!(got, want),
            }
        }
    }
}
