//! Daily summaries: what a channel is told once a day, on quiet days too, when the next one is due, and what becomes of one that is late. Not how it
//! is said; that is `words::summary`.

use super::alert::{AlertKind, Severity};
use super::protection::Protection;
use super::upkeep::newest_fire;
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::id::{AlertId, HostId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The most hosts, and the most alerts, that a summary names; of more it says how many.
pub const NAMED: i64 = 10;
/// A summary that could not go out at its time still goes out so much later; after that it waits for the next time.
pub const LATE: Duration = Duration::from_secs(6 * 3600);
/// What it sums up if there was none before, or none for long.
pub const DAY: Duration = Duration::from_secs(24 * 3600);
/// It goes back no further than this.
const LONGEST: Duration = Duration::from_secs(7 * 24 * 3600);

/// When a channel has its summary.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SummaryPlan {
    /// The time of day, such as `08:00`. One that the clocks skip is right after they have changed; one that comes twice counts once.
    #[schema(pattern = "^([01][0-9]|2[0-3]):[0-5][0-9]$")]
    pub at: String,
    /// The IANA zone that it is read in, and that the summary tells times in.
    #[serde(default = "utc")]
    pub timezone: String,
}

fn utc() -> String {
    Tz::UTC.name().into()
}

fn time_of_day(text: &str) -> Option<(u8, u8)> {
    let (hour, minute) = text.split_once(':')?;
    let number = |part: &str, below: u8| {
        let two = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
        two.then(|| part.parse().ok()).flatten().filter(|n| *n < below)
    };
    Some((number(hour, 24)?, number(minute, 60)?))
}

impl SummaryPlan {
    /// Whether its time of day is one.
    #[must_use]
    pub fn has_time(&self) -> bool {
        time_of_day(&self.at).is_some()
    }

    /// Whether its zone is one.
    #[must_use]
    pub fn has_zone(&self) -> bool {
        self.timezone.parse::<Tz>().is_ok()
    }

    /// Its zone.
    #[must_use]
    pub fn zone(&self) -> Tz {
        self.timezone.parse().unwrap_or(Tz::UTC)
    }

    /// The same as a schedule's line, so that both mean the same when clocks change.
    fn line(&self) -> Option<Crontab> {
        let (hour, minute) = time_of_day(&self.at)?;
        format!("{minute} {hour} * * *").parse().ok()
    }

    /// When the first one after an instant is due.
    #[must_use]
    pub fn next_after(&self, after: Timestamp) -> Option<Timestamp> {
        self.line()?.next_after(after.to_utc(), self.zone()).map(Timestamp::from)
    }
}

/// What is to be done about a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Nothing yet.
    Wait,
    /// It goes out: one, however many were due. The next is due then.
    Send(Option<Timestamp>),
    /// It is too late for it, so it waits until then.
    Pass(Option<Timestamp>),
}

/// What is to be done about a summary that was due at an instant.
#[must_use]
pub fn turn(plan: &SummaryPlan, due: Timestamp, now: Timestamp) -> Turn {
    if now < due {
        return Turn::Wait;
    }
    // The server may have been away for days: the newest is the one that counts.
    let newest = plan.line().and_then(|line| newest_fire(&line, plan.zone(), due, now)).unwrap_or(due);
    let next = plan.next_after(now);
    if now.since(newest) <= LATE { Turn::Send(next) } else { Turn::Pass(next) }
}

/// Since when a summary sums up, given when the last one that arrived was made.
#[must_use]
pub fn since(last: Option<Timestamp>, now: Timestamp) -> Timestamp {
    last.filter(|at| now.since(*at) <= LONGEST).unwrap_or(now - DAY)
}

/// How jobs ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Jobs {
    /// Well.
    pub succeeded: i64,
    /// With something left out.
    pub warnings: i64,
    /// Failed, or lost.
    pub failed: i64,
    /// Not at all: they should have started, and did not.
    pub missed: i64,
    /// Bytes that backups added to their repositories.
    pub added_bytes: i64,
}

/// A host that is not protected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AtRisk {
    /// Which.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub state: Protection,
    /// When its newest good backup started.
    pub last_good_at: Option<Timestamp>,
    /// Why its last backup failed.
    pub cause: Option<CauseCode>,
    /// Where that was to go.
    pub repository: Option<String>,
    /// Whether somebody has paused it.
    pub paused: bool,
}

/// An alert that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenAlert {
    /// Which.
    pub id: AlertId,
    /// Its condition.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// What exactly is wrong.
    pub detail: String,
    /// The repository that it is about, by name.
    pub repository: Option<String>,
    /// The host.
    pub host: Option<String>,
    /// The schedule.
    pub schedule: Option<String>,
    /// Since when.
    pub opened_at: Timestamp,
    /// Whether somebody has said that it is known.
    pub acknowledged: bool,
}

/// What a summary says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// When it was made.
    pub at: Timestamp,
    /// Since when it sums up.
    pub since: Timestamp,
    /// The IANA zone that it tells times in.
    pub timezone: String,
    /// Only hosts with one of these tags; all if empty.
    pub tags: Vec<String>,
    /// How many hosts there are.
    pub hosts: i64,
    /// How many of them are protected.
    pub protected: i64,
    /// How jobs ended.
    pub jobs: Jobs,
    /// Hosts that are not protected, the worst first; [`NAMED`] at most.
    pub at_risk: Vec<AtRisk>,
    /// How many more there are.
    pub at_risk_more: i64,
    /// Open alerts, the worst first, those that somebody knows of last; [`NAMED`] at most.
    pub alerts: Vec<OpenAlert>,
    /// How many more there are.
    pub alerts_more: i64,
}

impl Summary {
    /// Whether there is nothing that anybody has to look at.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.protected == self.hosts && self.alerts.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(at: &str, timezone: &str) -> SummaryPlan {
        SummaryPlan { at: at.into(), timezone: timezone.into() }
    }

    fn t(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    #[test]
    fn times_of_day_and_zones_are_checked() {
        for (at, zone, fine) in [
            ("08:00", "Europe/Berlin", (true, true)),
            ("00:00", "UTC", (true, true)),
            ("23:59", "UTC", (true, true)),
            ("24:00", "UTC", (false, true)),
            ("8:00", "UTC", (false, true)),
            ("08:60", "UTC", (false, true)),
            ("08:00:00", "UTC", (false, true)),
            ("+8:00", "UTC", (false, true)),
            ("", "Mars/Base", (false, false)),
        ] {
            let plan = plan(at, zone);
            assert_eq!((plan.has_time(), plan.has_zone()), fine, "{at} {zone}");
        }
    }

    #[test]
    fn the_next_one_is_due_by_the_clock_of_its_zone_also_when_that_changes() {
        for (at, zone, after, next) in [
            ("08:00", "UTC", "2026-11-28T07:59:59Z", "2026-11-28T08:00:00Z"),
            ("08:00", "UTC", "2026-11-28T08:00:00Z", "2026-11-29T08:00:00Z"),
            ("08:00", "Europe/Berlin", "2026-11-28T06:59:59Z", "2026-11-28T07:00:00Z"),
            // Skipped: right after the jump. Twice: once.
            ("02:30", "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-28T01:00:00Z"),
            ("02:30", "Europe/Berlin", "2027-03-28T01:00:00Z", "2027-03-29T00:30:00Z"),
            ("02:30", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T00:30:00Z"),
            ("02:30", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"),
        ] {
            assert_eq!(plan(at, zone).next_after(t(after)), Some(t(next)), "{at} {zone} after {after}");
        }
    }

    #[test]
    fn one_goes_out_however_many_were_due_and_none_too_late() {
        let eight = plan("08:00", "UTC");
        let due = t("2026-11-20T08:00:00Z");
        for (now, want) in [
            ("2026-11-20T07:59:59Z", Turn::Wait),
            ("2026-11-20T08:00:00Z", Turn::Send(Some(t("2026-11-21T08:00:00Z")))),
            ("2026-11-20T14:00:00Z", Turn::Send(Some(t("2026-11-21T08:00:00Z")))),
            ("2026-11-20T14:00:01Z", Turn::Pass(Some(t("2026-11-21T08:00:00Z")))),
            // Days of downtime: one, if it is not long past the newest, or else the next.
            ("2026-11-25T08:10:00Z", Turn::Send(Some(t("2026-11-26T08:00:00Z")))),
            ("2026-11-25T20:00:00Z", Turn::Pass(Some(t("2026-11-26T08:00:00Z")))),
            ("2026-11-26T07:00:00Z", Turn::Pass(Some(t("2026-11-26T08:00:00Z")))),
        ] {
            assert_eq!(turn(&eight, due, t(now)), want, "{now}");
        }
    }

    #[test]
    fn it_sums_up_since_the_last_one_but_not_since_long_ago() {
        let now = t("2026-11-28T08:00:00Z");
        for (last, want) in [
            (None, "2026-11-27T08:00:00Z"),
            (Some("2026-11-27T08:00:10Z"), "2026-11-27T08:00:10Z"),
            (Some("2026-11-25T08:00:00Z"), "2026-11-25T08:00:00Z"),
            (Some("2026-10-25T08:00:00Z"), "2026-11-27T08:00:00Z"),
        ] {
            assert_eq!(since(last.map(t), now), t(want), "{last:?}");
        }
    }
}
