//! What a policy comes to once a schedule has run for long: how many snapshots it keeps, and how far back. An estimate from the line
//! alone; what is kept of the real ones is the parent's business.

use super::{Candidate, Fate, Policy, apply};
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::time::Duration;

/// Fires that are looked at: of an hourly line more than a year.
const FIRES: usize = 10_000;
const DAY: u64 = 86_400;
/// How far back the line is followed at most.
const REACH: Duration = Duration::from_secs(11 * 366 * DAY);

/// What is kept in the long run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Foreseen {
    /// Snapshots.
    pub snapshots: u32,
    /// How old the oldest of them is, in days.
    pub days: u32,
    /// There will be more and older ones: the policy reaches back further than was looked.
    pub more: bool,
}

/// How long the fires that are looked at take, by the distance of the next ones.
fn reach(cron: &Crontab, zone: Tz, now: Timestamp) -> Duration {
    let some: Vec<Timestamp> = cron.fires(now.to_utc(), zone).take(64).map(Timestamp::from).collect();
    match (some.first(), some.last()) {
        (Some(first), Some(last)) if some.len() > 1 => {
            let steps = u32::try_from(some.len() - 1).unwrap_or(1);
            (last.since(*first) / steps * u32::try_from(FIRES).unwrap_or(u32::MAX)).min(REACH)
        }
        _ => REACH,
    }
}

/// What the policy keeps of the snapshots that the line would have made by now. Rules by tags count for nothing: nobody knows them yet.
#[must_use]
pub fn foresee(policy: Policy<'_>, cron: &Crontab, zone: Tz, now: Timestamp) -> Foreseen {
    let from = now - reach(cron, zone, now);
    let fires: Vec<Timestamp> =
        cron.fires(from.to_utc(), zone).map(Timestamp::from).take_while(|at| *at < now).take(2 * FIRES).collect();
    let candidates: Vec<Candidate<'_>> = fires.iter().map(|at| Candidate { id: "", time: *at, tags: &[] }).collect();
    let fates = apply(policy, &candidates, zone, now);
    let kept: Vec<Timestamp> =
        fires.iter().zip(&fates).filter(|(_, f)| matches!(f, Fate::Keep(_))).map(|(at, _)| *at).collect();
    let oldest = kept.first().copied();
    Foreseen {
        snapshots: u32::try_from(kept.len()).unwrap_or(u32::MAX),
        days: oldest.map_or(0, |at| u32::try_from(now.since(at).as_secs() / DAY).unwrap_or(u32::MAX)),
        more: oldest.is_some() && oldest == fires.first().copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::retention::{Count, Retention};

    #[test]
    fn the_long_run_is_told() {
        let now = Timestamp::parse("2026-11-19T09:42:00Z").expect("a time");
        let of = |n| Some(Count::Of(n));
        let usual = Retention { keep_daily: of(7), keep_weekly: of(4), keep_monthly: of(12), ..Retention::default() };
        let last = Retention { keep_last: of(3), ..Retention::default() };
        let yearly = Retention { keep_yearly: of(100), ..Retention::default() };
        for (what, line, retention, want) in [
            // 7 days, 2 more Sundays, the ends of 11 more months.
            ("daily", "30 2 * * *", &usual, (20, 323, false)),
            ("hourly keeps the same", "0 * * * *", &usual, (20, 322, false)),
            ("the last three", "30 2 * * *", &last, (3, 2, false)),
            ("further back than was looked", "30 2 * * *", &yearly, (13, 4025, true)),
        ] {
            let seen = foresee(retention.policy().expect("fine"), &line.parse().expect("a line"), Tz::UTC, now);
            assert_eq!((seen.snapshots, seen.days, seen.more), want, "{what}");
        }
    }
}
