//! Protection: whether what a host is to back up is backed up lately enough. Not whether its agent is there; that is `fleet`.
//!
//! A schedule's newest backup counts if it is younger than one interval plus grace. A host is as well protected as the worst of its
//! schedules; manual ones only count where there are no others.

use super::fleet::Lifecycle;
use super::job::JobState;
use super::schedule::{Schedule, zone};
use super::text_enum;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::time::Duration;

text_enum! {
    /// How well a host is protected.
    Protection {
        /// Its newest backups are young enough.
        Protected = "protected",
        /// They are, but the last run failed or left something out.
        Warning = "warning",
        /// They are not, and the last run failed.
        Failing = "failing",
        /// They are not, and no run failed: none came.
        TooOld = "too_old",
        /// Something that it is to back up never was.
        Never = "never",
        /// It is to back up nothing: no schedule is enabled.
        Unplanned = "unplanned",
    }
}

impl Protection {
    /// Whether a host in this state counts as protected.
    #[must_use]
    pub const fn counts(self) -> bool {
        match self {
            Self::Protected | Self::Warning => true,
            Self::Failing | Self::TooOld | Self::Never | Self::Unplanned => false,
        }
    }
}

text_enum! {
    /// What the last runs of a host came to.
    Trouble {
        /// All is well.
        None = "none",
        /// Something was left out.
        Warning = "warning",
        /// One failed.
        Failed = "failed",
    }
}

/// What a schedule's backups came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Track {
    /// When the newest run that ended had started.
    pub run_at: Timestamp,
    /// How it ended.
    pub last_end: JobState,
    /// When the newest good one had started.
    pub good_at: Option<Timestamp>,
    /// The bytes that it covers.
    pub good_bytes: Option<i64>,
}

impl Track {
    /// The track after one more run; the same if the run says nothing. Ends may come late and out of order, so a run older than the
    /// newest one changes nothing but what it is newer than.
    #[must_use]
    pub fn after(before: Option<Self>, run_at: Timestamp, end: JobState, bytes: Option<i64>) -> Option<Self> {
        let good = match end {
            JobState::Succeeded | JobState::Warning => true,
            JobState::Failed | JobState::Lost => false,
            JobState::Queued
            | JobState::Dispatched
            | JobState::Running
            | JobState::Cancelled
            | JobState::Skipped
            | JobState::Missed => return before,
        };
        let mut track = before.unwrap_or(Self { run_at, last_end: end, good_at: None, good_bytes: None });
        if run_at >= track.run_at {
            (track.run_at, track.last_end) = (run_at, end);
        }
        if good && track.good_at.is_none_or(|at| run_at >= at) {
            (track.good_at, track.good_bytes) = (Some(run_at), bytes);
        }
        Some(track)
    }
}

/// What is kept of a host, so that its state at any time is a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether a schedule is enabled.
    pub planned: bool,
    /// The start of the newest good backup of the schedule that is worst off.
    pub good_at: Option<Timestamp>,
    /// The bytes that the newest good backups cover.
    pub good_bytes: Option<i64>,
    /// Until when it is protected; none if something was never backed up.
    pub protected_until: Option<Timestamp>,
    /// What its last runs came to.
    pub trouble: Trouble,
}

impl Standing {
    /// How well a host is protected now. One whose agent never came was never backed up, whatever waits for it.
    #[must_use]
    pub fn of(&self, lifecycle: Lifecycle, now: Timestamp) -> Protection {
        match lifecycle {
            Lifecycle::Pending => Protection::Never,
            Lifecycle::Enrolled | Lifecycle::Retired => self.at(now),
        }
    }

    fn at(&self, now: Timestamp) -> Protection {
        match (self.planned, self.protected_until) {
            (false, _) => Protection::Unplanned,
            (true, None) => Protection::Never,
            (true, Some(until)) if until > now => match self.trouble {
                Trouble::None => Protection::Protected,
                Trouble::Warning | Trouble::Failed => Protection::Warning,
            },
            (true, Some(_)) => match self.trouble {
                Trouble::Failed => Protection::Failing,
                Trouble::None | Trouble::Warning => Protection::TooOld,
            },
        }
    }
}

/// How well a host is protected, as the API tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HostProtection {
    /// In one word.
    pub state: Protection,
    /// When the newest good backup of the schedule that is worst off started.
    pub last_good_at: Option<Timestamp>,
    /// Until when the newest backups count; none if something was never backed up.
    pub until: Option<Timestamp>,
    /// The bytes that the newest good backups cover.
    pub bytes: Option<i64>,
}

/// For how many days the newest backup of a manual schedule counts, unless the settings say otherwise.
pub const MANUAL_DAYS: u32 = 7;
/// As long as anybody asks.
const FOR_GOOD: Duration = Duration::from_secs(36_500 * DAY);
const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// How late a run may be: half an interval, at least an hour and at most a day, and what the schedule is spread by.
fn grace(interval: Duration, jitter_minutes: u32) -> Duration {
    let half = (interval / 2).clamp(Duration::from_secs(HOUR), Duration::from_secs(DAY));
    half + Duration::from_secs(u64::from(jitter_minutes) * 60)
}

/// Until when a backup that started at `good_at` counts. A line that never fires again takes no backup's standing away.
fn until(schedule: &Schedule, good_at: Timestamp, host_zone: Option<&str>, manual_limit: Duration) -> Timestamp {
    let Some(cron) = schedule.cron.as_deref().filter(|_| !schedule.manual) else { return good_at + manual_limit };
    let zone = zone(schedule.timezone.as_deref(), host_zone);
    let mut fires = cron
        .parse::<Crontab>()
        .into_iter()
        .flat_map(|c| c.fires(good_at.to_utc(), zone).take(2).map(Timestamp::from).collect::<Vec<_>>());
    match (fires.next(), fires.next()) {
        (Some(first), Some(second)) => {
            let interval = second.since(first);
            // On Friday evening the next run may be Monday's; right before a run it is not that run alone that counts.
            first.max(good_at + interval) + grace(interval, schedule.firing.jitter_minutes)
        }
        (Some(first), None) => first + Duration::from_secs(DAY),
        (None, _) => good_at + FOR_GOOD,
    }
}

const fn trouble(end: JobState) -> Trouble {
    match end {
        JobState::Failed | JobState::Lost => Trouble::Failed,
        JobState::Warning => Trouble::Warning,
        JobState::Queued
        | JobState::Dispatched
        | JobState::Running
        | JobState::Succeeded
        | JobState::Cancelled
        | JobState::Skipped
        | JobState::Missed => Trouble::None,
    }
}

const fn weight(trouble: Trouble) -> u8 {
    match trouble {
        Trouble::None => 0,
        Trouble::Warning => 1,
        Trouble::Failed => 2,
    }
}

/// What a host's schedules and their tracks come to. The newest backup of a manual schedule counts for `manual_limit`.
#[must_use]
pub fn standing(schedules: &[(Schedule, Option<Track>)], host_zone: Option<&str>, manual_limit: Duration) -> Standing {
    let enabled = || schedules.iter().filter(|(s, _)| s.enabled);
    let with_cron = enabled().any(|(s, _)| !s.manual);
    let counted: Vec<_> = enabled().filter(|(s, _)| !with_cron || !s.manual).collect();
    let good = |t: Option<Track>| t.and_then(|t| t.good_at);
    let worst = counted
        .iter()
        .map(|(s, track)| good(*track).map(|at| (until(s, at, host_zone, manual_limit), at)))
        .reduce(|a, b| a.min(b)) // none, something that never was, comes before all
        .flatten();
    let bytes: Vec<i64> = counted.iter().filter_map(|(_, t)| t.and_then(|t| t.good_bytes)).collect();
    Standing {
        planned: !counted.is_empty(),
        good_at: worst.map(|(_, at)| at),
        good_bytes: (!bytes.is_empty()).then(|| bytes.iter().sum()),
        protected_until: worst.map(|(until, _)| until),
        trouble: counted
            .iter()
            .filter_map(|(_, t)| t.map(|t| trouble(t.last_end)))
            .max_by_key(|t| weight(*t))
            .unwrap_or(Trouble::None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::schedule::Retention;
    use restic_manager_shared::id::{HostId, ScheduleId};
    use restic_manager_shared::wire::state::{BackupOptions, Firing};

    fn schedule(cron: Option<&str>, enabled: bool) -> Schedule {
        Schedule {
            id: ScheduleId::new(),
            host_id: HostId::new(),
            repository_id: None,
            name: String::new(),
            enabled,
            manual: cron.is_none(),
            cron: cron.map(Into::into),
            timezone: None,
            paths: vec![],
            excludes: vec![],
            tags: vec![],
            options: BackupOptions::default(),
            firing: Firing::default(),
            paused: None,
            pauses: vec![],
            drill: None,
            retention: Retention::default(),
            created_at: Timestamp::from_seconds(0),
            updated_at: Timestamp::from_seconds(0),
        }
    }

    const MANUAL: Duration = Duration::from_secs(7 * DAY);

    fn t(text: &str) -> Timestamp {
        Timestamp::parse(text).expect(text)
    }

    fn track(end: JobState, good: Option<&str>) -> Option<Track> {
        let good_at = good.map(t);
        Some(Track {
            run_at: good_at.unwrap_or(t("2026-11-19T00:00:00Z")),
            last_end: end,
            good_at,
            good_bytes: Some(1),
        })
    }

    #[test]
    fn a_backup_counts_for_one_interval_and_grace() {
        for (cron, zone, good, until_text) in [
            // The next run and half a day.
            (Some("30 2 * * *"), None, "2026-11-18T02:30:05Z", "2026-11-19T14:30:05Z"),
            // In the host's zone 02:30 is 01:30 UTC.
            (Some("30 2 * * *"), Some("Europe/Berlin"), "2026-11-18T01:30:00Z", "2026-11-19T13:30:00Z"),
            // Started by hand a minute before the run: a day from then, not a minute.
            (Some("30 2 * * *"), None, "2026-11-18T02:29:00Z", "2026-11-19T14:29:00Z"),
            // Hourly: never less than an hour of grace.
            (Some("0 * * * *"), None, "2026-11-18T02:00:00Z", "2026-11-18T04:00:00Z"),
            // Working days: Friday's counts until Monday's is late.
            (Some("0 20 * * mon-fri"), None, "2026-11-20T20:00:00Z", "2026-11-24T08:00:00Z"),
            // Weekly: at most a day of grace.
            (Some("0 3 * * sun"), None, "2026-11-15T03:00:00Z", "2026-11-23T03:00:00Z"),
            // Manual: seven days.
            (None, None, "2026-11-18T02:00:00Z", "2026-11-25T02:00:00Z"),
        ] {
            assert_eq!(until(&schedule(cron, true), t(good), zone, MANUAL), t(until_text), "{cron:?} {good}");
        }
    }

    #[test]
    fn a_host_is_as_well_off_as_the_worst_of_what_counts() {
        let daily = || schedule(Some("0 2 * * *"), true);
        let (off, manual) = (schedule(Some("0 2 * * *"), false), || schedule(None, true));
        let fresh = |end| track(end, Some("2026-11-19T02:00:00Z"));
        let old = |end| track(end, Some("2026-11-10T02:00:00Z"));
        use JobState::{Failed, Lost, Succeeded, Warning};
        for (what, given, state) in [
            ("nothing planned", vec![], Protection::Unplanned),
            ("all disabled", vec![(off.clone(), fresh(Succeeded))], Protection::Unplanned),
            ("fresh", vec![(daily(), fresh(Succeeded))], Protection::Protected),
            ("fresh with a warning", vec![(daily(), fresh(Warning))], Protection::Warning),
            ("fresh, but the last run failed", vec![(daily(), fresh(Failed))], Protection::Warning),
            ("old and failing", vec![(daily(), old(Failed))], Protection::Failing),
            ("old and lost", vec![(daily(), old(Lost))], Protection::Failing),
            ("old and silent", vec![(daily(), old(Succeeded))], Protection::TooOld),
            ("never ran", vec![(daily(), None)], Protection::Never),
            ("never succeeded", vec![(daily(), track(Failed, None))], Protection::Never),
            ("one of two never", vec![(daily(), fresh(Succeeded)), (daily(), None)], Protection::Never),
            ("one of two old", vec![(daily(), fresh(Succeeded)), (daily(), old(Succeeded))], Protection::TooOld),
            ("a disabled one does not count", vec![(daily(), fresh(Succeeded)), (off, None)], Protection::Protected),
            ("nor a manual one beside it", vec![(daily(), fresh(Succeeded)), (manual(), None)], Protection::Protected),
            ("manual only", vec![(manual(), fresh(Succeeded))], Protection::Protected),
            ("manual only, old", vec![(manual(), old(Succeeded))], Protection::TooOld),
        ] {
            assert_eq!(standing(&given, None, MANUAL).at(t("2026-11-19T09:42:00Z")), state, "{what}");
        }
    }

    #[test]
    fn ends_that_come_late_change_only_what_they_are_newer_than() {
        let at = Timestamp::from_seconds;
        let first = Track::after(None, at(100), JobState::Succeeded, Some(7));
        let failed = Track::after(first, at(200), JobState::Failed, None);
        let expect = Track { run_at: at(200), last_end: JobState::Failed, good_at: Some(at(100)), good_bytes: Some(7) };
        assert_eq!(failed, Some(expect));
        let late = Track::after(failed, at(150), JobState::Warning, Some(8));
        assert_eq!(late, Some(Track { good_at: Some(at(150)), good_bytes: Some(8), ..expect }));
        assert_eq!(Track::after(late, at(50), JobState::Succeeded, Some(1)), late);
        assert_eq!(Track::after(late, at(300), JobState::Cancelled, None), late);
        // A run that was taken for lost and did well after all.
        let lost = Track::after(None, at(10), JobState::Lost, None);
        assert_eq!(
            Track::after(lost, at(10), JobState::Succeeded, None).map(|t| t.last_end),
            Some(JobState::Succeeded)
        );
    }
}
