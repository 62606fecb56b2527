//! Upkeep: the maintenance plan of a repository. Which of forget, prune, check, reading the data and stats is due, in which order they
//! go, and what one that is due still waits for. Not what they do, nor on which host.

use super::text_enum;
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};
use std::fmt;

mod window;

pub use window::{NotWindow, Window};

text_enum! {
    /// A part of maintenance, in the order in which they go when they are due together: what forget lets go, prune removes; what prune
    /// left, check looks at; and the figures are taken of the result.
    Chore {
        /// Remove the snapshots that no schedule keeps.
        Forget = "forget",
        /// Remove the data that no snapshot needs.
        Prune = "prune",
        /// Check the structure.
        Check = "check",
        /// Read a part of the data and check it.
        ReadData = "read_data",
        /// Take the figures for the history.
        Stats = "stats",
    }
}

impl Chore {
    /// Whether restic locks the repository for itself alone, so that backups do not run meanwhile. Check does, too.
    #[must_use]
    pub const fn exclusive(self) -> bool {
        match self {
            Self::Forget | Self::Prune | Self::Check | Self::ReadData => true,
            Self::Stats => false,
        }
    }
}

/// When a chore runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UpkeepLine)]
pub struct Line {
    /// A crontab(5) line of five fields, in the plan's zone.
    #[schema(example = "30 4 * * 0")]
    pub cron: String,
    /// Whether it runs at all.
    #[serde(default = "enabled")]
    pub enabled: bool,
}

const fn enabled() -> bool {
    true
}

/// The maintenance plan of a repository. What is left out never runs by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upkeep {
    /// When snapshots are removed.
    pub forget: Option<Line>,
    /// When data is removed.
    pub prune: Option<Line>,
    /// When the structure is checked.
    pub check: Option<Line>,
    /// When a part of the data is read.
    pub read_data: Option<Line>,
    /// When figures are taken.
    pub stats: Option<Line>,
    /// IANA zone of the lines and the window; UTC if none.
    pub timezone: Option<String>,
    /// The time of day outside of which nothing starts; any time if none.
    pub window: Option<Window>,
}

fn at(pointer: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), detail: detail.into() }
}

impl Upkeep {
    /// The line of a chore.
    #[must_use]
    pub const fn line(&self, chore: Chore) -> Option<&Line> {
        match chore {
            Chore::Forget => self.forget.as_ref(),
            Chore::Prune => self.prune.as_ref(),
            Chore::Check => self.check.as_ref(),
            Chore::ReadData => self.read_data.as_ref(),
            Chore::Stats => self.stats.as_ref(),
        }
    }

    /// The zone of its lines.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.timezone.as_deref().and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
    }

    /// Everything that is wrong with it, below this JSON pointer. Empty means fine.
    #[must_use]
    pub fn check(&self, pointer: &str) -> Vec<FieldError> {
        let mut wrong = Vec::new();
        for chore in Chore::ALL {
            let at = |detail: String| at(format!("{pointer}/{chore}/cron"), detail);
            match self.line(*chore).map(|line| line.cron.parse::<Crontab>()) {
                None => {}
                Some(Err(error)) => wrong.push(at(error.to_string())),
                Some(Ok(cron)) if cron.next_after(chrono::DateTime::UNIX_EPOCH, Tz::UTC).is_none() => {
                    wrong.push(at("there is no such day in that month, so it would never run".into()));
                }
                Some(Ok(_)) => {}
            }
        }
        if self.timezone.as_deref().is_some_and(|zone| zone.parse::<Tz>().is_err()) {
            wrong.push(at(format!("{pointer}/timezone"), "not an IANA time zone such as Europe/Berlin"));
        }
        wrong
    }

    /// When a chore's line fires next after an instant; none if it does not run by itself.
    #[must_use]
    pub fn next(&self, chore: Chore, after: Timestamp) -> Option<Timestamp> {
        let line = self.line(chore).filter(|line| line.enabled)?;
        let cron: Crontab = line.cron.parse().ok()?;
        cron.next_after(after.to_utc(), self.zone()).map(Timestamp::from)
    }
}

/// What is known of a chore in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// The chore.
    pub chore: Chore,
    /// From when on its line counts: when the plan was made or changed, or when the chore was last begun, the later of them.
    pub since: Timestamp,
    /// Whether one is queued or running already.
    pub pending: bool,
}

/// A chore that is to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = UpkeepDue)]
pub struct Due {
    /// Which.
    pub chore: Chore,
    /// Since when it is due.
    pub due_at: Timestamp,
}

/// The chores that are to be queued now, in the order in which they go. However often one was due meanwhile, and however long its host
/// was offline, it is queued once, and not while one is pending.
#[must_use]
pub fn due(plan: &Upkeep, known: &[Known], now: Timestamp) -> Vec<Due> {
    let due = |chore: Chore| {
        let known = known.iter().find(|known| known.chore == chore).filter(|known| !known.pending)?;
        plan.next(chore, known.since).filter(|due_at| *due_at <= now).map(|due_at| Due { chore, due_at })
    };
    Chore::ALL.iter().filter_map(|chore| due(*chore)).collect()
}

/// A job that runs in the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Running {
    /// Which.
    pub job_id: JobId,
    /// Whether it locks the repository for itself alone.
    pub exclusive: bool,
}

/// What a chore that is queued waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = ChoreWaitsFor)]
pub enum WaitsFor {
    /// The window to open.
    Window {
        /// When it does.
        opens_at: Timestamp,
    },
    /// A chore that goes before it.
    Chore {
        /// Which.
        chore: Chore,
    },
    /// Jobs that it would disturb, or that would disturb it.
    Jobs {
        /// Which.
        jobs: Vec<JobId>,
    },
}

impl fmt::Display for WaitsFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Window { opens_at } => write!(f, "waits for the maintenance window at {opens_at}"),
            Self::Chore { chore } => write!(f, "waits for {chore}, which goes first"),
            Self::Jobs { jobs } if jobs.len() == 1 => f.write_str("waits for a job that runs in the repository"),
            Self::Jobs { jobs } => write!(f, "waits for {} jobs that run in the repository", jobs.len()),
        }
    }
}

/// What the queued chores of a repository wait for, in the order in which they go; none: it may start. One goes at a time, and a chore
/// that runs is one of the running jobs.
#[must_use]
pub fn order(plan: &Upkeep, pending: &[Chore], running: &[Running], now: Timestamp) -> Vec<(Chore, Option<WaitsFor>)> {
    let closed = plan.window.and_then(|window| window.opens_after(now, plan.zone()));
    let mut first = None;
    let mut waits = |chore: Chore| {
        let earlier = first.map(|chore| WaitsFor::Chore { chore });
        first = first.or(Some(chore));
        closed.map(|opens_at| WaitsFor::Window { opens_at }).or(earlier).or_else(|| disturbed(chore, running))
    };
    Chore::ALL.iter().filter(|chore| pending.contains(chore)).map(|chore| (*chore, waits(*chore))).collect()
}

fn disturbed(chore: Chore, running: &[Running]) -> Option<WaitsFor> {
    let jobs: Vec<JobId> =
        running.iter().filter(|job| chore.exclusive() || job.exclusive).map(|job| job.job_id).collect();
    (!jobs.is_empty()).then_some(WaitsFor::Jobs { jobs })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn plan(json: serde_json::Value) -> Upkeep {
        serde_json::from_value(json).expect("a plan")
    }

    fn nightly() -> Upkeep {
        plan(json!({"forget": {"cron": "0 1 * * *"}, "prune": {"cron": "0 1 * * 0"}, "check": {"cron": "0 5 1 * *"},
            "stats": {"cron": "0 1 * * *", "enabled": false}, "timezone": "Europe/Berlin", "window": "22:00-06:00"}))
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("time")
    }

    fn known(since: &str, pending: &[Chore]) -> Vec<Known> {
        Chore::ALL
            .iter()
            .map(|chore| Known { chore: *chore, since: at(since), pending: pending.contains(chore) })
            .collect()
    }

    #[test]
    fn what_was_due_often_is_queued_once() {
        use Chore::{Check, Forget, Prune};
        // 2027-03-07 is a Sunday; 01:00 in Berlin is 00:00 UTC.
        for (since, now, pending, expected) in [
            ("2027-03-06T12:00:00Z", "2027-03-06T23:59:59Z", vec![], vec![]),
            ("2027-03-06T12:00:00Z", "2027-03-07T00:00:00Z", vec![], vec![Forget, Prune]),
            ("2027-03-06T12:00:00Z", "2027-03-07T00:00:00Z", vec![Forget], vec![Prune]),
            ("2027-03-07T00:00:00Z", "2027-03-07T00:00:01Z", vec![], vec![]),
            ("2027-02-01T12:00:00Z", "2027-03-20T00:00:00Z", vec![], vec![Forget, Prune, Check]),
            ("2027-02-01T12:00:00Z", "2027-03-20T00:00:00Z", vec![Forget, Prune, Check], vec![]),
        ] {
            let due = due(&nightly(), &known(since, &pending), at(now));
            assert_eq!(due.iter().map(|d| d.chore).collect::<Vec<_>>(), expected, "{since} to {now}, {pending:?}");
        }
        let first = due(&nightly(), &known("2027-03-01T12:00:00Z", &[]), at("2027-03-20T00:00:00Z"))[0];
        assert_eq!(first.due_at, at("2027-03-02T00:00:00Z"), "since when it is due");
        assert_eq!(due(&nightly(), &[], at("2027-03-20T00:00:00Z")), [], "nothing is known of the repository");
    }

    #[test]
    fn chores_go_one_after_the_other_and_disturb_nobody() {
        use Chore::{Forget, Prune, Stats};
        let job = |n: u128, exclusive| Running { job_id: JobId(uuid::Uuid::from_u128(n)), exclusive };
        let jobs = |ns: &[u128]| Some(WaitsFor::Jobs { jobs: ns.iter().map(|n| job(*n, false).job_id).collect() });
        let (night, noon) = (at("2027-03-07T00:00:00Z"), at("2027-03-07T12:00:00Z"));
        let window = Some(WaitsFor::Window { opens_at: at("2027-03-07T21:00:00Z") });
        let after = |chore| Some(WaitsFor::Chore { chore });
        for (pending, running, now, expected) in [
            (vec![], vec![], night, vec![]),
            (vec![Prune, Forget], vec![], night, vec![(Forget, None), (Prune, after(Forget))]),
            (vec![Prune], vec![job(1, false), job(2, true)], night, vec![(Prune, jobs(&[1, 2]))]),
            (vec![Stats], vec![job(1, false)], night, vec![(Stats, None)]),
            (vec![Stats], vec![job(1, false), job(2, true)], night, vec![(Stats, jobs(&[2]))]),
            (vec![Forget, Stats], vec![job(1, true)], noon, vec![(Forget, window.clone()), (Stats, window.clone())]),
        ] {
            assert_eq!(order(&nightly(), &pending, &running, now), expected, "{pending:?} {running:?}");
        }
    }

    #[test]
    fn a_plan_is_checked_by_field() {
        let wrong = plan(json!({"forget": {"cron": "61 1 * * *"}, "read_data": {"cron": "0 0 31 2 *"},
            "timezone": "Mars/Base"}));
        let pointers: Vec<String> = wrong.check("/upkeep").into_iter().map(|e| e.pointer).collect();
        assert_eq!(pointers, ["/upkeep/forget/cron", "/upkeep/read_data/cron", "/upkeep/timezone"]);
        assert_eq!((nightly().check(""), Upkeep::default().check("")), (vec![], vec![]));
        assert_eq!(plan(serde_json::to_value(nightly()).expect("json")), nightly());
    }

    proptest! {
        #[test]
        fn order_and_exclusion_hold(
            pending in prop::sample::subsequence(Chore::ALL.to_vec(), 0..=5),
            running in prop::collection::vec(any::<bool>(), 0..4),
            minutes in 0..3_000_000u64,
        ) {
            let running: Vec<Running> =
                running.into_iter().map(|exclusive| Running { job_id: JobId::new(), exclusive }).collect();
            let now = at("2025-01-01T00:00:00Z") + std::time::Duration::from_secs(minutes * 60);
            let order = order(&nightly(), &pending, &running, now);
            prop_assert_eq!(order.iter().map(|(chore, _)| *chore).collect::<Vec<_>>(), pending);
            let starts: Vec<Chore> = order.iter().filter(|(_, waits)| waits.is_none()).map(|(chore, _)| *chore).collect();
            prop_assert!(starts.len() <= 1 && starts.first().is_none_or(|chore| *chore == order[0].0));
            if let Some(chore) = starts.first() {
                prop_assert!(!running.iter().any(|job| job.exclusive || chore.exclusive()));
            }
        }

        #[test]
        fn once_begun_a_chore_rests_until_its_line_fires_again(hours in 1..20_000u64) {
            let (start, plan) = (at("2025-01-01T00:00:00Z"), nightly());
            let now = start + std::time::Duration::from_secs(hours * 3600);
            let mut all = known("2025-01-01T00:00:00Z", &[]);
            for due in due(&plan, &all, now) {
                prop_assert!(due.due_at > start && due.due_at <= now);
                all.iter_mut().filter(|known| known.chore == due.chore).for_each(|known| known.since = now);
            }
            prop_assert_eq!(due(&plan, &all, now), []);
        }
    }
}
