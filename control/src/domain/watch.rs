//! Watching: of which hosts somebody should be told, and why. Alerts are what comes of it; how they are kept is `store::alerts`.
//!
//! A host is told of once: that its backups fail, or else that they are too old; and beside that, that its agent is silent, where somebody
//! wants to know.

use super::alert::{AlertKind, Severity};
use super::fleet::{Lifecycle, ONLINE_WITHIN};
use super::protection::{MANUAL_DAYS, Protection, Standing, Trouble};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::time::Duration;

/// The kinds that are decided here.
pub const KINDS: [AlertKind; 3] = [AlertKind::BackupFailed, AlertKind::BackupOverdue, AlertKind::HostOffline];

const HOUR: Duration = Duration::from_secs(3600);
/// A new host may take a day until its first backup.
const FIRST: Duration = Duration::from_secs(24 * 3600);
/// A year, in hours.
const MAX_HOURS: u32 = 366 * 24;
/// A year, in days.
const MAX_DAYS: u32 = 366;

/// What holds for all hosts that say nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct General {
    /// For how many days a backup of a manual schedule counts.
    #[schema(minimum = 1, maximum = 366)]
    pub manual_limit_days: u32,
    /// After how many hours of silence of a host an alert tells of it; none for never.
    #[schema(minimum = 1, maximum = 8784)]
    pub offline_alert_hours: Option<u32>,
}

impl Default for General {
    fn default() -> Self {
        Self { manual_limit_days: MANUAL_DAYS, offline_alert_hours: None }
    }
}

impl General {
    /// How long the newest backup of a manual schedule counts.
    #[must_use]
    pub fn manual_limit(self) -> Duration {
        24 * HOUR * self.manual_limit_days
    }

    /// Everything that is wrong; empty means fine.
    #[must_use]
    pub fn check(self) -> Vec<FieldError> {
        let mut wrong = vec![];
        if !(1..=MAX_DAYS).contains(&self.manual_limit_days) {
            wrong.push(FieldError { pointer: "/manual_limit_days".into(), detail: format!("1 to {MAX_DAYS} days") });
        }
        wrong.extend(hours(self.offline_alert_hours, "/offline_alert_hours"));
        wrong
    }
}

/// What holds for one host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// After how many hours without a good backup an alert tells of it; none for when the schedules say that it is too old.
    #[schema(minimum = 1, maximum = 8784)]
    pub backup_hours: Option<u32>,
    /// After how many hours of silence an alert tells of it; none for what holds in general.
    #[schema(minimum = 1, maximum = 8784)]
    pub offline_hours: Option<u32>,
}

impl Limits {
    /// Everything that is wrong; empty means fine.
    #[must_use]
    pub fn check(self) -> Vec<FieldError> {
        let both = [(self.backup_hours, "/limits/backup_hours"), (self.offline_hours, "/limits/offline_hours")];
        both.into_iter().filter_map(|(value, pointer)| hours(value, pointer)).collect()
    }
}

fn hours(value: Option<u32>, pointer: &str) -> Option<FieldError> {
    let wrong = value.is_some_and(|n| !(1..=MAX_HOURS).contains(&n));
    wrong.then(|| FieldError { pointer: pointer.into(), detail: format!("1 to {MAX_HOURS} hours, or left out") })
}

/// What is looked at of a host.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Which.
    pub id: HostId,
    /// Pending, enrolled or retired.
    pub lifecycle: Lifecycle,
    /// How well it is protected.
    pub standing: Standing,
    /// What holds for it.
    pub limits: Limits,
    /// When its agent was last heard from.
    pub last_seen: Option<Timestamp>,
    /// When its agent came.
    pub enrolled_at: Option<Timestamp>,
    /// Somebody has stopped its schedules for now, and knows.
    pub paused: bool,
}

/// A condition of a host, as an alert tells it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// Which.
    pub kind: AlertKind,
    /// What it holds for.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, for people.
    pub detail: String,
}

/// An alert is opened or changed, or its condition has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It holds, and is not told of in these words yet.
    Holds(Condition),
    /// It holds no more.
    Ended(AlertKind, String),
}

fn minute(at: Timestamp) -> String {
    at.to_utc().format("%Y-%m-%d %H:%M UTC").to_string()
}

fn condition(host: &Watched, kind: AlertKind, severity: Severity, detail: String) -> Condition {
    Condition { kind, subject: format!("host:{}", host.id), severity, detail }
}

/// That its backups fail, or are too old.
fn backups(host: &Watched, now: Timestamp) -> Option<Condition> {
    let standing = &host.standing;
    let state = standing.of(host.lifecycle, now);
    let newest = || match standing.good_at {
        Some(at) => format!("the newest good backup started at {}", minute(at)),
        None => "nothing was ever backed up in full".to_owned(),
    };
    let failed =
        |severity| condition(host, AlertKind::BackupFailed, severity, format!("the last run failed; {}", newest()));
    let overdue = |detail| condition(host, AlertKind::BackupOverdue, Severity::Critical, detail);
    let is_late = host.limits.backup_hours.is_some_and(|limit| {
        let since = standing.good_at.or(host.enrolled_at);
        since.is_some_and(|at| now.since(at) > HOUR * limit)
    });
    let is_new = host.enrolled_at.is_none_or(|at| now.since(at) < FIRST);
    match (state, standing.trouble) {
        (Protection::Unplanned, _) => None,
        (Protection::Failing, _) => Some(failed(Severity::Critical)),
        (_, Trouble::Failed) if is_late => Some(failed(Severity::Critical)),
        (Protection::Never, Trouble::Failed) => Some(failed(Severity::Critical)),
        (_, Trouble::Failed) => Some(failed(Severity::Warning)),
        (Protection::Never, Trouble::None | Trouble::Warning) if is_new && !is_late => None,
        (Protection::Never | Protection::TooOld, Trouble::None | Trouble::Warning) => Some(overdue(newest())),
        (Protection::Protected | Protection::Warning, Trouble::None | Trouble::Warning) => {
            let limit = host.limits.backup_hours.filter(|_| is_late)?;
            Some(overdue(format!("older than {limit} hours: {}", newest())))
        }
    }
}

/// That its agent is silent, counted from when this server could have heard it.
fn silence(host: &Watched, general: General, since: Timestamp, now: Timestamp) -> Option<Condition> {
    let limit = host.limits.offline_hours.or(general.offline_alert_hours)?;
    let seen = host.last_seen?;
    let silent = now.since(seen.max(since));
    (silent > (HOUR * limit).max(ONLINE_WITHIN)).then(|| {
        let detail = format!("its agent was last heard from at {}", minute(seen));
        condition(host, AlertKind::HostOffline, Severity::Warning, detail)
    })
}

/// Everything that holds now. `since` is when this server began to hear agents.
#[must_use]
pub fn conditions(hosts: &[Watched], general: General, since: Timestamp, now: Timestamp) -> Vec<Condition> {
    let enrolled = hosts.iter().filter(|h| h.lifecycle == Lifecycle::Enrolled);
    enrolled.flat_map(|host| [backups(host, now), silence(host, general, since, now)]).flatten().collect()
}

/// Subjects of hosts that are paused: somebody knows of them.
#[must_use]
pub fn quiet(hosts: &[Watched]) -> HashSet<String> {
    hosts.iter().filter(|host| host.paused).map(|host| format!("host:{}", host.id)).collect()
}

/// What makes the open alerts say what holds. Of those that are quiet nothing new is told, and what is open stays so while it holds: a
/// pause mends nothing.
#[must_use]
pub fn changes(open: &[Condition], holds: &[Condition], quiet: &HashSet<String>) -> Vec<Change> {
    let told: HashSet<&Condition> = open.iter().collect();
    let about: HashSet<(AlertKind, &str)> = holds.iter().map(|c| (c.kind, c.subject.as_str())).collect();
    let ended = open.iter().filter(|c| !about.contains(&(c.kind, c.subject.as_str())));
    let ended: Vec<Change> = ended.map(|c| Change::Ended(c.kind, c.subject.clone())).collect();
    let new = holds.iter().filter(|c| !told.contains(c) && !quiet.contains(&c.subject)).cloned().map(Change::Holds);
    new.chain(ended).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn host(good: Option<i64>, until: Option<i64>, trouble: Trouble) -> Watched {
        let at = Timestamp::from_seconds;
        Watched {
            id: HostId::new(),
            lifecycle: Lifecycle::Enrolled,
            standing: Standing {
                planned: true,
                good_at: good.map(at),
                good_bytes: None,
                protected_until: until.map(at),
                trouble,
            },
            limits: Limits::default(),
            last_seen: Some(at(100 * DAY)),
            enrolled_at: Some(at(0)),
            paused: false,
        }
    }

    fn told(host: &Watched, general: General, now: i64) -> Vec<(AlertKind, Severity)> {
        let now = Timestamp::from_seconds(now);
        let found = conditions(std::slice::from_ref(host), general, Timestamp::from_seconds(0), now);
        found.into_iter().map(|c| (c.kind, c.severity)).collect()
    }

    #[test]
    fn a_host_is_told_of_once_for_its_backups() {
        use AlertKind::{BackupFailed, BackupOverdue};
        use Severity::{Critical, Warning};
        let now = 100 * DAY;
        let (fresh, old) = ((Some(now - 3600), Some(now + 3600)), (Some(now - 3 * DAY), Some(now - DAY)));
        let limited = |hours| Limits { backup_hours: Some(hours), offline_hours: None };
        for (what, (good, until), trouble, limits, want) in [
            ("well", fresh, Trouble::None, Limits::default(), None),
            ("left something out", fresh, Trouble::Warning, Limits::default(), None),
            ("failed, and protected still", fresh, Trouble::Failed, Limits::default(), Some((BackupFailed, Warning))),
            ("failing", old, Trouble::Failed, Limits::default(), Some((BackupFailed, Critical))),
            ("too old", old, Trouble::None, Limits::default(), Some((BackupOverdue, Critical))),
            ("never", (None, None), Trouble::None, Limits::default(), Some((BackupOverdue, Critical))),
            ("never, and failed", (None, None), Trouble::Failed, Limits::default(), Some((BackupFailed, Critical))),
            ("within its own limit", fresh, Trouble::None, limited(2), None),
            (
                "its own limit is shorter",
                (Some(now - 7200), fresh.1),
                Trouble::None,
                limited(1),
                Some((BackupOverdue, Critical)),
            ),
            (
                "its own limit is longer, the schedules say too old",
                old,
                Trouble::None,
                limited(99),
                Some((BackupOverdue, Critical)),
            ),
        ] {
            let host = Watched { limits, ..host(good, until, trouble) };
            assert_eq!(told(&host, General::default(), now), want.into_iter().collect::<Vec<_>>(), "{what}");
        }
        let new = Watched { enrolled_at: Some(Timestamp::from_seconds(now - 3600)), ..host(None, None, Trouble::None) };
        assert_eq!(told(&new, General::default(), now), [], "a new host has a day");
        let pending = Watched { lifecycle: Lifecycle::Pending, ..host(None, None, Trouble::None) };
        assert_eq!(told(&pending, General::default(), now), []);
    }

    #[test]
    fn silence_is_told_where_somebody_wants_to_know_and_counts_from_when_it_could_be_heard() {
        let well = host(Some(100 * DAY), Some(200 * DAY), Trouble::None);
        let after = |hours: i64| 100 * DAY + hours * 3600 + 1;
        let general = General { offline_alert_hours: Some(4), ..General::default() };
        let own = Watched { limits: Limits { backup_hours: None, offline_hours: Some(8) }, ..well.clone() };
        let offline = [(AlertKind::HostOffline, Severity::Warning)];
        assert_eq!(told(&well, General::default(), after(99)), []);
        assert_eq!(told(&well, general, after(3)), []);
        assert_eq!(told(&well, general, after(4)), offline);
        assert_eq!(told(&own, general, after(4)), []);
        assert_eq!(told(&own, general, after(8)), offline);
        let now = Timestamp::from_seconds(after(9));
        assert_eq!(conditions(&[own], general, Timestamp::from_seconds(after(3)), now), [], "the server was down");
    }

    #[test]
    fn only_what_differs_is_changed() {
        let now = Timestamp::from_seconds(100 * DAY);
        let failing = host(Some(90 * DAY), Some(95 * DAY), Trouble::Failed);
        let holds = conditions(std::slice::from_ref(&failing), General::default(), now, now);
        let none = HashSet::new();
        assert_eq!(changes(&[], &holds, &none), [Change::Holds(holds[0].clone())]);
        assert_eq!(changes(&holds, &holds, &none), []);
        let milder = Condition { severity: Severity::Warning, ..holds[0].clone() };
        assert_eq!(changes(&[milder], &holds, &none), [Change::Holds(holds[0].clone())]);
        let ended = [Change::Ended(AlertKind::BackupFailed, holds[0].subject.clone())];
        assert_eq!(changes(&holds, &[], &none), ended);
        let quiet = quiet(&[Watched { paused: true, ..failing }]);
        assert_eq!(changes(&[], &holds, &quiet), [], "somebody knows");
        assert_eq!(changes(&holds, &holds, &quiet), [], "a pause mends nothing");
        assert_eq!(changes(&holds, &[], &quiet), ended, "a good run does");
    }

    #[test]
    fn limits_are_checked() {
        assert!(General::default().check().is_empty() && Limits::default().check().is_empty());
        let general = General { manual_limit_days: 0, offline_alert_hours: Some(0) };
        assert_eq!(general.check().len(), 2);
        assert_eq!(Limits { backup_hours: Some(9000), offline_hours: Some(1) }.check().len(), 1);
    }
}
