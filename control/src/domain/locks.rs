//! Locks: who holds a lock of a repository, and when it may be removed without a person. By knowledge and never by age: a lock is dead
//! only if the job that made it is known, has ended, and the agent that ran it says that the process is gone.
//!
//! restic itself knows less. Its `unlock` removes what names its own host and a process that is not there, and whatever was not refreshed
//! for half an hour. So on one of two machines with the same name it removes the live lock of the other, and on any machine that of a
//! laptop that sleeps. Where that would happen, `unlock` is not run either.

use super::job::JobState;
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

/// A lock as its file says. The holder writes it anew every five minutes, with another id and time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RepositoryLock)]
pub struct Lock {
    /// Whose own repository it is in, where the address holds `{host}`.
    #[serde(default)]
    pub of_host_id: Option<HostId>,
    /// Its id, until it is refreshed.
    pub id: String,
    /// When it was made or refreshed last, by its host's clock.
    pub time: Timestamp,
    /// The name that the host gives itself; several may have it.
    pub hostname: String,
    /// The user that restic runs as.
    #[serde(default)]
    pub username: String,
    /// The process.
    pub pid: u32,
    /// Whether it shuts out every other operation, or only those that change what is there.
    #[serde(default)]
    pub exclusive: bool,
}

/// A restic process that an agent started for a job in this repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The host whose agent started it.
    pub host_id: HostId,
    /// That host's name here.
    pub host: String,
    /// The name that the host gives itself today, as `unlock` will see it there. A lock that it made under another name is nobody's.
    pub hostname: String,
    /// The job.
    pub job_id: JobId,
    /// Where the job is in its life.
    pub state: JobState,
    /// The process.
    pub pid: u32,
    /// When it was started, by the host's clock.
    pub started: Timestamp,
    /// When it ended, by the host's clock, as far as is known.
    pub ended: Option<Timestamp>,
    /// Whether the agent has looked and says that the process is gone.
    pub gone: bool,
}

/// How far a lock's time may lie outside of its process's life: both are read off one clock, but not at the same moment.
const SLACK: Duration = Duration::from_secs(60);
/// The age from which restic's own `unlock` takes any lock for stale, less than its 30 minutes for clocks that differ.
const RESTIC_STALE: Duration = Duration::from_secs(25 * 60);

/// The process that made a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = LockHolder)]
pub struct Holder {
    /// The host whose agent started it.
    pub host_id: HostId,
    /// That host's name here.
    pub host: String,
    /// Its job.
    pub job_id: JobId,
}

/// What is known about a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "verdict", rename_all = "snake_case")]
#[schema(as = LockVerdict)]
pub enum Verdict {
    /// A job that has not ended holds it.
    Held {
        /// Whose it is.
        by: Holder,
    },
    /// Its job has ended and its process is gone: it may be removed.
    Dead {
        /// Whose it was. Several only if hosts share a name and number, and each of theirs is gone.
        of: Vec<Holder>,
    },
    /// A person decides.
    Unknown {
        /// Why it cannot be told.
        why: Unknown,
    },
}

/// Why it cannot be told whether a lock is dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = LockUnknown)]
pub enum Unknown {
    /// No job of ours ran restic under this number at that time on a host of that name.
    NotOurs,
    /// Its job has ended, but the agent has not said that the process is gone.
    Unconfirmed {
        /// Whose it is.
        by: Holder,
    },
    /// Several hosts of that name ran restic under this number at that time, and not each of them is done with it.
    Ambiguous {
        /// Whose it may be.
        of: Vec<Holder>,
    },
}

fn names(holders: &[Holder]) -> String {
    holders.iter().map(|h| h.host.as_str()).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Held { by } => write!(f, "held by a running job on {}", by.host),
            Self::Dead { of } => write!(f, "left behind by a job on {} that has ended; its process is gone", names(of)),
            Self::Unknown { why: Unknown::NotOurs } => {
                f.write_str("no job of ours made it: find out who uses the repository before you remove it")
            }
            Self::Unknown { why: Unknown::Unconfirmed { by } } => {
                write!(f, "its job on {} has ended, but that host has not said yet that the process is gone", by.host)
            }
            Self::Unknown { why: Unknown::Ambiguous { of } } => {
                write!(f, "several hosts call themselves so, and it may be held by any of {}", names(of))
            }
        }
    }
}

impl Verdict {
    /// Whether the lock may be removed.
    #[must_use]
    pub const fn dead(&self) -> bool {
        match self {
            Self::Dead { .. } => true,
            Self::Held { .. } | Self::Unknown { .. } => false,
        }
    }
}

/// A lock with what is known about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = JudgedLock)]
pub struct Judged {
    /// The lock.
    pub lock: Lock,
    /// Whose it is, and whether it may be removed.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// The same in words.
    pub text: String,
}

impl Child {
    /// Whether this process can have written the lock: a number is used again, so the time must fit too.
    fn made(&self, lock: &Lock) -> bool {
        let before = lock.time + SLACK < self.started;
        let after = self.ended.is_some_and(|ended| lock.time > ended + SLACK);
        self.hostname == lock.hostname && self.pid == lock.pid && !before && !after
    }

    fn dead(&self) -> bool {
        self.state.finished() && self.gone
    }

    fn holder(&self) -> Holder {
        Holder { host_id: self.host_id, host: self.host.clone(), job_id: self.job_id }
    }
}

/// Says of each lock of a repository whose it is, by the processes that our agents started there.
#[must_use]
pub fn judge(locks: &[Lock], children: &[Child]) -> Vec<Judged> {
    let judged = |lock: &Lock| {
        let verdict = verdict(lock, children);
        Judged { lock: lock.clone(), text: verdict.to_string(), verdict }
    };
    locks.iter().map(judged).collect()
}

fn verdict(lock: &Lock, children: &[Child]) -> Verdict {
    let makers: Vec<&Child> = children.iter().filter(|child| child.made(lock)).collect();
    let of = || makers.iter().map(|child| child.holder()).collect();
    match makers.as_slice() {
        [] => Verdict::Unknown { why: Unknown::NotOurs },
        all if all.iter().all(|child| child.dead()) => Verdict::Dead { of: of() },
        [one] if one.state.finished() => Verdict::Unknown { why: Unknown::Unconfirmed { by: one.holder() } },
        [one] => Verdict::Held { by: one.holder() },
        _ => Verdict::Unknown { why: Unknown::Ambiguous { of: of() } },
    }
}

/// How the dead locks of a repository can be removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = LockCleanup)]
pub struct Cleanup {
    /// Hosts on which a plain `restic unlock` removes at least one dead lock, and no other. The first choice.
    pub unlock_on: Vec<HostId>,
    /// Whether `restic unlock --remove-all` would do no harm, from any host: every lock is dead and no job of ours runs. For when the
    /// owner is not there, or its number is in use again so that restic takes the process for alive.
    pub remove_all: bool,
    /// Locks that stand in the way of both. A person decides about them.
    pub blocked_by: Vec<String>,
}

/// Works out how the dead locks can be removed. `idle`: no job of ours runs in the repository, or is about to.
#[must_use]
pub fn cleanup(locks: &[Judged], idle: bool, now: Timestamp) -> Cleanup {
    let dead: Vec<(&Lock, &[Holder])> = locks
        .iter()
        .filter_map(|judged| match &judged.verdict {
            Verdict::Dead { of } => Some((&judged.lock, of.as_slice())),
            Verdict::Held { .. } | Verdict::Unknown { .. } => None,
        })
        .collect();
    if dead.is_empty() {
        return Cleanup::default();
    }
    let owners: BTreeSet<(HostId, &str)> =
        dead.iter().flat_map(|(lock, of)| of.iter().map(|h| (h.host_id, lock.hostname.as_str()))).collect();
    let safe = |(host, name): &(HostId, &str)| !locks.iter().any(|one| harmed(one, *host, name, now));
    let unlock_on: BTreeSet<HostId> = owners.into_iter().filter(safe).map(|(host, _)| host).collect();
    let remove_all = idle && dead.len() == locks.len();
    let stuck = unlock_on.is_empty() && !remove_all;
    let others = locks.iter().filter(|judged| stuck && !judged.verdict.dead());
    Cleanup {
        unlock_on: unlock_on.into_iter().collect(),
        remove_all,
        blocked_by: others.map(|judged| judged.lock.id.clone()).collect(),
    }
}

/// Whether restic's `unlock`, run on a host that calls itself so, would remove this lock although nobody knows that it is dead.
fn harmed(judged: &Judged, host: HostId, hostname: &str, now: Timestamp) -> bool {
    let namesake = judged.lock.hostname == hostname;
    let old = now.since(judged.lock.time) >= RESTIC_STALE;
    match &judged.verdict {
        Verdict::Dead { .. } => false,
        // Its process is there for restic to see, so it stays unless it is not refreshed.
        Verdict::Held { by } if by.host_id == host => old,
        Verdict::Held { .. } | Verdict::Unknown { .. } => namesake || old,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(100_000);

    fn host(n: u128) -> HostId {
        HostId(uuid::Uuid::from_u128(n))
    }

    fn lock(hostname: &str, pid: u32, seconds: i64) -> Lock {
        Lock {
            of_host_id: None,
            id: format!("{hostname}-{pid}"),
            time: Timestamp::from_seconds(seconds),
            hostname: hostname.into(),
            username: "root".into(),
            pid,
            exclusive: false,
        }
    }

    /// A process of host `n` that ran from 98,000 on; until 99,000 if its job is over.
    fn child(n: u128, hostname: &str, pid: u32, state: JobState, gone: bool) -> Child {
        Child {
            host_id: host(n),
            host: format!("host{n}"),
            hostname: hostname.into(),
            job_id: JobId(uuid::Uuid::from_u128(n)),
            state,
            pid,
            started: Timestamp::from_seconds(98_000),
            ended: state.finished().then_some(Timestamp::from_seconds(99_000)),
            gone,
        }
    }

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Held { .. } => "held",
            Verdict::Dead { .. } => "dead",
            Verdict::Unknown { why: Unknown::NotOurs } => "not ours",
            Verdict::Unknown { why: Unknown::Unconfirmed { .. } } => "unconfirmed",
            Verdict::Unknown { why: Unknown::Ambiguous { .. } } => "ambiguous",
        }
    }

    #[test]
    fn only_a_known_ended_and_confirmed_process_is_dead() {
        use JobState::{Cancelled, Failed, Lost, Running, Succeeded};
        let old = lock("web", 7, 98_500);
        for (case, lock, children, expected) in [
            ("nobody knows it, however old", lock("web", 7, 0), vec![], "not ours"),
            ("another number", lock("web", 8, 98_500), vec![child(1, "web", 7, Failed, true)], "not ours"),
            ("another host", lock("db", 7, 98_500), vec![child(1, "web", 7, Failed, true)], "not ours"),
            (
                "the number before its process",
                lock("web", 7, 97_000),
                vec![child(1, "web", 7, Failed, true)],
                "not ours",
            ),
            (
                "the number after its process",
                lock("web", 7, 99_100),
                vec![child(1, "web", 7, Failed, true)],
                "not ours",
            ),
            ("running", old.clone(), vec![child(1, "web", 7, Running, false)], "held"),
            ("running, process not found", old.clone(), vec![child(1, "web", 7, Running, true)], "held"),
            ("killed", old.clone(), vec![child(1, "web", 7, Failed, true)], "dead"),
            ("cancelled", old.clone(), vec![child(1, "web", 7, Cancelled, true)], "dead"),
            ("lost, then its agent came back", old.clone(), vec![child(1, "web", 7, Lost, true)], "dead"),
            ("lost", old.clone(), vec![child(1, "web", 7, Lost, false)], "unconfirmed"),
            ("ended, not looked yet", old.clone(), vec![child(1, "web", 7, Succeeded, false)], "unconfirmed"),
            (
                "a twin is still at it",
                old.clone(),
                vec![child(1, "web", 7, Failed, true), child(2, "web", 7, Running, false)],
                "ambiguous",
            ),
            (
                "both twins are done",
                old,
                vec![child(1, "web", 7, Failed, true), child(2, "web", 7, Failed, true)],
                "dead",
            ),
        ] {
            let judged = judge(&[lock], &children);
            assert_eq!(word(&judged[0].verdict), expected, "{case}: {}", judged[0].text);
        }
    }

    #[test]
    fn unlock_runs_only_where_it_removes_nothing_else() {
        use JobState::{Failed, Running};
        let killed = || (lock("web", 7, 98_500), child(1, "web", 7, Failed, true));
        let (fresh, old) = (99_900, 98_000);
        for (case, others, idle, expected) in [
            ("alone", vec![], true, (vec![1], true, 0)),
            ("alone, but a job begins", vec![], false, (vec![1], false, 0)),
            (
                "beside a live one elsewhere",
                vec![(lock("db", 5, fresh), child(2, "db", 5, Running, false))],
                false,
                (vec![1], false, 0),
            ),
            (
                "beside a live one of a namesake",
                vec![(lock("web", 5, fresh), child(2, "web", 5, Running, false))],
                false,
                (vec![], false, 1),
            ),
            (
                "beside its own live one",
                vec![(lock("web", 5, fresh), child(1, "web", 5, Running, false))],
                false,
                (vec![1], false, 0),
            ),
            (
                "beside one that sleeps",
                vec![(lock("db", 5, old), child(2, "db", 5, Running, false))],
                false,
                (vec![], false, 1),
            ),
            (
                "beside a stranger's",
                vec![(lock("laptop", 5, fresh), child(2, "x", 5, Running, false))],
                true,
                (vec![1], false, 0),
            ),
            (
                "beside a stranger's old one",
                vec![(lock("laptop", 5, old), child(2, "x", 5, Running, false))],
                true,
                (vec![], false, 1),
            ),
            ("two dead ones", vec![(lock("db", 5, old), child(2, "db", 5, Failed, true))], true, (vec![1, 2], true, 0)),
        ] {
            let (locks, children): (Vec<Lock>, Vec<Child>) = others.into_iter().chain([killed()]).unzip();
            let made = cleanup(&judge(&locks, &children), idle, NOW);
            let hosts = expected.0.into_iter().map(host).collect();
            assert_eq!(
                (made.unlock_on, made.remove_all, made.blocked_by.len()),
                (hosts, expected.1, expected.2),
                "{case}"
            );
        }
        assert_eq!(cleanup(&judge(&[lock("web", 1, 0)], &[]), true, NOW), Cleanup::default(), "nothing is dead");
    }

    fn state() -> impl Strategy<Value = JobState> {
        prop::sample::select(JobState::ALL)
    }

    proptest! {
        #[test]
        fn nothing_alive_is_ever_removed(
            locks in prop::collection::vec(("[ab]", 1..4u32, 97_000..100_000i64), 1..5),
            children in prop::collection::vec((1..4u128, 1..4u32, state(), any::<bool>()), 0..6),
            idle: bool,
        ) {
            let locks: Vec<Lock> = locks.iter().map(|(name, pid, time)| lock(name, *pid, *time)).collect();
            // Hosts 1 and 3 have one name.
            let name = |n: u128| if n % 2 == 1 { "a" } else { "b" };
            let children: Vec<Child> =
                children.iter().map(|(n, pid, state, gone)| child(*n, name(*n), *pid, *state, *gone)).collect();
            let judged = judge(&locks, &children);
            for one in &judged {
                let dead = one.verdict.dead();
                let alive = children.iter().any(|c| c.made(&one.lock) && !(c.state.finished() && c.gone));
                prop_assert!(!dead || !alive);
                prop_assert!(!dead || children.iter().any(|c| c.made(&one.lock)));
            }
            let made = cleanup(&judged, idle, NOW);
            prop_assert!(!made.remove_all || judged.iter().all(|one| one.verdict.dead()));
            prop_assert!(!made.remove_all || idle);
            // What restic would remove on such a host: its own name with a process that is not there, and all that is old.
            for host in &made.unlock_on {
                let name = &children.iter().find(|c| c.host_id == *host).expect("known").hostname;
                for one in judged.iter().filter(|one| !one.verdict.dead()) {
                    let there = children.iter().any(|c| c.host_id == *host && c.made(&one.lock) && !c.state.finished());
                    let old = NOW.since(one.lock.time) >= Duration::from_secs(30 * 60);
                    prop_assert!(!old && (one.lock.hostname != *name || there), "{:?}", one);
                }
            }
        }
    }
}
