//! Locks: which there are, and the removal of those whose process is proven dead. restic's own `unlock` believes every lock of a machine of
//! the same name whose process is not here; two machines may have one name, so a lock is matched here by process, time and machine, and
//! exactly that lock is removed.

use super::{Repository, Work, worked};
use crate::client::storage::Storage;
use crate::facts;
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use crate::restic::judge::Verdict;
use crate::restic::signal;
use restic_manager_shared::restic::address::Location;
use restic_manager_shared::restic::locks;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{CauseCode, End};
use restic_manager_shared::wire::operation::{DeadProcess, LockRecord, Outcome};
use restic_manager_shared::wire::progress::LogLevel;
use std::time::Duration;

/// Each lock costs a start of restic; more than this are not looked at one by one.
const MOST: usize = 100;
/// Clocks that differ by less are not corrected, and times of processes are told in steps.
const SLACK: Duration = Duration::from_secs(10);

impl Work<'_> {
    pub(super) async fn locks(&self, repository: &Repository) -> Done {
        match self.read_locks(repository).await {
            Ok(left) => self.told(Vec::new(), left),
            Err(verdict) => self.failed(verdict),
        }
    }

    fn told(&self, removed: Vec<LockRecord>, left: Vec<LockRecord>) -> Done {
        let outcome = Some(Outcome::Locks { removed, left });
        Done { outcome, ..Done::from(Verdict { end: End::Succeeded, cause: None }) }
    }

    /// The locks that are there now. One that goes meanwhile is none.
    async fn read_locks(&self, repository: &Repository) -> Result<Vec<LockRecord>, Verdict> {
        let ids = self.listed(repository, Operation::ListLocks).await?;
        if ids.len() > MOST {
            self.say(LogLevel::Warning, &format!("{} locks are there; the first {MOST} are looked at", ids.len()));
        }
        let mut found = Vec::new();
        for id in ids.iter().take(MOST) {
            let mut run = self.run(repository, Operation::CatLock { id }).await?;
            if run.ended.stopped.is_some() {
                return Err(self.done(&run).verdict);
            }
            if let Gathered::Document(text) = run.transcript.take_gathered() {
                found.extend(locks::parse(id, &text));
            }
        }
        Ok(found)
    }

    pub(super) async fn unlock(&self, repository: &Repository, dead: &[DeadProcess], remove_all: bool) -> Done {
        let before = match self.read_locks(repository).await {
            Ok(locks) => locks,
            Err(verdict) => return self.failed(verdict),
        };
        let done = if remove_all {
            self.restic_unlocks(repository, true).await
        } else {
            self.remove_dead(repository, &before, dead).await
        };
        // What is gone now was removed, or ended by itself.
        match self.read_locks(repository).await {
            Ok(left) => {
                let removed = before.into_iter().filter(|l| !left.iter().any(|k| k.id == l.id)).collect();
                Done { outcome: Some(Outcome::Locks { removed, left }), ..done }
            }
            Err(verdict) if worked(&done) => self.failed(verdict),
            Err(_) => done,
        }
    }

    async fn restic_unlocks(&self, repository: &Repository, all: bool) -> Done {
        match self.run(repository, Operation::Unlock { all }).await {
            Ok(run) => self.done(&run),
            Err(verdict) => self.failed(verdict),
        }
    }

    async fn remove_dead(&self, r: &Repository, locks: &[LockRecord], dead: &[DeadProcess]) -> Done {
        let here = facts::hostname();
        let offset = self.agent.client.now().micros() - Timestamp::now().micros();
        let corrected = |t: Timestamp| Timestamp::from_micros(t.micros().saturating_add(offset));
        let proven: Vec<&LockRecord> = locks
            .iter()
            .filter(|l| {
                l.hostname == here && is_left_behind(l.pid, l.time, corrected(l.time), dead, signal::alive_since)
            })
            .collect();
        let mut done = Done::from(Verdict { end: End::Succeeded, cause: None });
        if proven.is_empty() {
            self.say(LogLevel::Info, "no lock is proven to be of a dead process of this host");
            return done;
        }
        for lock in &proven {
            self.say(LogLevel::Info, &format!("the process {} is gone: removing its lock {}", lock.pid, lock.id));
            match self.remove_lock(r, &lock.id).await {
                Removal::Done => {}
                Removal::Failed(verdict) => done = self.failed(verdict),
                Removal::OnlyByRestic => {
                    let ours: Vec<_> = locks.iter().filter(|l| l.hostname == here).collect();
                    if ours.len() == proven.len() {
                        return self.restic_unlocks(r, false).await;
                    }
                    let message = "this backend's locks can only be removed by restic's own unlock, and that would also take locks that \
                                   are not proven dead: other locks are there from machines of this name";
                    return self.failed(Verdict::failed(CauseCode::RemovalRefused, message));
                }
            }
        }
        done
    }

    async fn remove_lock(&self, repository: &Repository, id: &str) -> Removal {
        let location = Location::parse(&repository.spec.url);
        if let Some(folder) = location.local() {
            return match std::fs::remove_file(folder.join("locks").join(id)) {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                    Removal::Failed(Verdict::failed(CauseCode::RemovalRefused, format!("the lock {id} stays: {e}")))
                }
                Ok(()) | Err(_) => Removal::Done,
            };
        }
        let around = &self.around;
        let storage =
            Storage::rest(&repository.spec.url, &repository.secrets, around.proxy.as_deref(), around.ca.as_deref());
        let answer = match storage {
            Ok(Some(storage)) => storage.delete("locks", id).await,
            Ok(None) => return Removal::OnlyByRestic,
            Err(e) => Err(e),
        };
        match answer {
            Ok(200..=299 | 404) => Removal::Done,
            Ok(status) => Removal::Failed(Verdict::failed(
                CauseCode::RemovalRefused,
                format!("the lock {id} stays: the storage answers {status}"),
            )),
            Err(e) => Removal::Failed(Verdict::failed(CauseCode::RepositoryUnreachable, e.to_string())),
        }
    }
}

enum Removal {
    Done,
    Failed(Verdict),
    OnlyByRestic,
}

/// Whether a lock was left behind by one of the processes that are said to be dead: its number fits, the lock is from that process' time,
/// and no process of the number lives that could have written it. `time` is the lock's by this machine's clock, `corrected` by the server's.
fn is_left_behind(
    pid: u32,
    time: Timestamp,
    corrected: Timestamp,
    dead: &[DeadProcess],
    alive_since: impl Fn(u32) -> Option<Timestamp>,
) -> bool {
    let slack = i64::try_from(SLACK.as_micros()).unwrap_or(0);
    let fits = |d: &&DeadProcess| {
        let at = corrected.micros();
        d.pid == pid && at >= d.from.micros() - slack && at <= d.until.micros() + slack
    };
    // A process that was born after the lock did not write it.
    dead.iter().any(|d| fits(&d)) && alive_since(pid).is_none_or(|born| born.micros() > time.micros() + slack)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lock_of_a_dead_process_is_left_behind() {
        let at = Timestamp::from_seconds;
        let dead = [DeadProcess { pid: 7, from: at(1000), until: at(2000) }];
        let none = None;
        for (what, pid, time, alive, want) in [
            ("its lock", 7, 1500, none, true),
            ("the lock it renewed last", 7, 1999, none, true),
            ("clocks that differ a little", 7, 995, none, true),
            ("another process' lock", 8, 1500, none, false),
            ("an older lock", 7, 900, none, false),
            ("a newer lock: somebody lives", 7, 2300, none, false),
            ("the number is used again, by a later process", 7, 1500, Some(2500), true),
            ("the process lives", 7, 1500, Some(1000), false),
            ("a process born so close that nobody knows", 7, 1500, Some(1505), false),
        ] {
            let is = is_left_behind(pid, at(time), at(time), &dead, |_| alive.map(at));
            assert_eq!(is, want, "{what}");
        }
        // This machine's clock is an hour behind the server's.
        assert!(is_left_behind(7, at(1500 - 3600), at(1500), &dead, |_| Some(at(1600 - 3600))));
        assert!(!is_left_behind(7, at(1500 - 3600), at(1500), &dead, |_| Some(at(900 - 3600))));
    }
}
