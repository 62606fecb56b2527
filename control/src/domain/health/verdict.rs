//! How a repository is on the whole: every trouble that is found, each with its weight, and the heaviest of them as the verdict.

use super::super::alert::{AlertKind, Severity};
use super::super::text_enum;
use super::super::upkeep::Chore;
use super::trouble::Trouble;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use serde::Serialize;
use std::time::Duration;

text_enum! {
    /// How bad something is, in order.
    Level {
        /// Nothing was proven, counted, checked or backed up yet, so nothing can be said.
        Unknown = "unknown",
        /// Nothing to do.
        Ok = "ok",
        /// To be looked at soon.
        Warning = "warning",
        /// To be looked at now: data may be lost, or backups stop.
        Critical = "critical",
    }
}

text_enum! {
    /// What a probe found out about a credential that should only be able to add.
    AppendOnly {
        /// It cannot delete.
        Proven = "proven",
        /// It can.
        CanDelete = "can_delete",
        /// The storage does not let it be seen.
        CannotTell = "cannot_tell",
        /// Nobody has looked yet, or too long ago.
        NotProbed = "not_probed",
    }
}

/// What is known about a repository.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Findings {
    /// When it came to be known here.
    pub known_since: Option<Timestamp>,
    /// When a check last found no error.
    pub checked_at: Option<Timestamp>,
    /// Chores whose last run failed.
    pub failed: Vec<Chore>,
    /// Locks of jobs that have ended and whose process is gone.
    pub dead_locks: usize,
    /// Locks of which nobody knows whose they are.
    pub unknown_locks: usize,
    /// What is known of hosts' append-only credentials, with the host's name; those that are proven need not be among them.
    pub append_only: Vec<(String, AppendOnly)>,
    /// In how many days it is full, if it grows.
    pub full_in_days: Option<f64>,
    /// Snapshots that no job of ours made.
    pub unattested: usize,
    /// A check found damage, and none has found it sound since.
    pub damaged: bool,
    /// Whether anything was ever proven, counted, checked or backed up there.
    pub looked_at: bool,
    /// Open alerts about it, one for each kind.
    pub alerts: Vec<OpenAlert>,
    /// Schedules whose newest backup failed, by cause; hosts' own causes among them.
    pub failing: Vec<Failing>,
    /// Enabled schedules that have backed up there, or tried to.
    pub schedules: u64,
    /// Hosts have credentials, and each of them may delete.
    pub none_append_only: bool,
    /// The plan forgets or prunes, hosts have credentials, and none of them may delete.
    pub none_can_forget: bool,
    /// A change of its password does not go on.
    pub rotation_stuck: bool,
}

/// Open alerts of one kind about a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenAlert {
    /// Their condition.
    pub kind: AlertKind,
    /// The worst of them.
    pub severity: Severity,
    /// How many there are.
    pub count: u64,
    /// What the first of them says.
    pub detail: String,
}

/// Schedules whose newest backup failed for one cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing {
    /// What it said; none if nothing is known.
    pub cause: Option<CauseCode>,
    /// How many schedules.
    pub count: u64,
}

/// Whether a backup failed for something that lies with the repository and not with its host.
#[must_use]
pub const fn lies_with_repository(cause: CauseCode) -> bool {
    use CauseCode as C;
    matches!(
        cause,
        C::RepositoryLocked
            | C::RepositoryMissing
            | C::WrongPassword
            | C::RepositoryUnreachable
            | C::StorageUnauthorized
            | C::StorageForbidden
            | C::StorageFull
            | C::StorageTls
            | C::RepositoryDamaged
    )
}

/// From where on something is a trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A check should have succeeded within so many days; three times as long is critical.
    pub check_days: u32,
    /// Warn if it is full within so many days.
    pub full_warning_days: u32,
    /// It is critical within so many.
    pub full_critical_days: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { check_days: 14, full_warning_days: 14, full_critical_days: 3 }
    }
}

/// A trouble with its weight and in words.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = WeighedTrouble)]
pub struct Weighed {
    /// What it is.
    #[serde(flatten)]
    pub trouble: Trouble,
    /// How bad.
    pub level: Level,
    /// The same in words.
    pub text: String,
}

/// How a repository is.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = RepositoryHealth)]
pub struct Health {
    /// On the whole: as its worst trouble.
    pub level: Level,
    /// Its troubles, the worst first.
    pub troubles: Vec<Weighed>,
}

/// Weighs what is known about a repository.
#[must_use]
pub fn verdict(findings: &Findings, limits: Limits, now: Timestamp) -> Health {
    let weigh = |trouble: Trouble| Weighed { level: trouble.level(limits), text: trouble.to_string(), trouble };
    let mut troubles: Vec<Weighed> = troubles(findings, limits, now).into_iter().map(weigh).collect();
    troubles.sort_by_key(|one| std::cmp::Reverse(one.level));
    let unharmed = if findings.looked_at { Level::Ok } else { Level::Unknown };
    Health { level: troubles.first().map_or(unharmed, |worst| worst.level), troubles }
}

fn troubles(findings: &Findings, limits: Limits, now: Timestamp) -> Vec<Trouble> {
    let count = |count: usize| (count > 0).then_some(count);
    let failed = findings.failed.iter().map(|chore| Trouble::ChoreFailed { chore: *chore });
    let mut found: Vec<Trouble> = findings.damaged.then_some(Trouble::Damaged).into_iter().chain(failed).collect();
    found.extend(findings.rotation_stuck.then_some(Trouble::RotationStuck));
    found.extend(findings.failing.iter().filter_map(|one| failing(*one, findings.schedules)));
    found.extend(unchecked(findings, limits, now));
    found.extend(hosts(findings, &[AppendOnly::CanDelete]).map(|hosts| Trouble::CanDelete { hosts }));
    let unproven = [AppendOnly::CannotTell, AppendOnly::NotProbed];
    found.extend(hosts(findings, &unproven).map(|hosts| Trouble::AppendOnlyNotProven { hosts }));
    let near = |days: &f64| *days <= f64::from(limits.full_warning_days);
    found.extend(findings.full_in_days.filter(near).map(|days| Trouble::Full { days: days.max(0.0) as u64 }));
    found.extend(count(findings.unknown_locks).map(|count| Trouble::UnknownLocks { count }));
    found.extend(count(findings.dead_locks).map(|count| Trouble::DeadLocks { count }));
    found.extend(count(findings.unattested).map(|count| Trouble::Unattested { count }));
    found.extend(findings.none_append_only.then_some(Trouble::NoneAppendOnly));
    found.extend(findings.none_can_forget.then_some(Trouble::NoneCanForget));
    let told = |alert: &&OpenAlert| !found.iter().any(|trouble| trouble.tells_of(alert.kind));
    let others: Vec<Trouble> = findings.alerts.iter().filter(told).map(open).collect();
    found.extend(others);
    found
}

fn open(alert: &OpenAlert) -> Trouble {
    let OpenAlert { kind, severity, count, detail } = alert.clone();
    Trouble::Alert { alert: kind, severity, count, detail }
}

/// What fails for something that lies with a host is told of that host.
fn failing(one: Failing, of: u64) -> Option<Trouble> {
    let cause = one.cause.filter(|cause| lies_with_repository(*cause))?;
    Some(Trouble::BackupsFail { cause, count: one.count, of: of.max(one.count) })
}

/// A repository that is new here has as long for its first check as for any other.
fn unchecked(findings: &Findings, limits: Limits, now: Timestamp) -> Option<Trouble> {
    const DAY: u64 = 86_400;
    let silent = now.since(findings.checked_at.or(findings.known_since)?);
    let days = silent.as_secs() / DAY;
    let late = silent > Duration::from_secs(u64::from(limits.check_days) * DAY);
    late.then_some(match findings.checked_at {
        Some(_) => Trouble::CheckOverdue { days },
        None => Trouble::NeverChecked { days },
    })
}

fn hosts(findings: &Findings, proofs: &[AppendOnly]) -> Option<Vec<String>> {
    let named = findings.append_only.iter().filter(|(_, proof)| proofs.contains(proof));
    let hosts: Vec<String> = named.map(|(host, _)| host.clone()).collect();
    (!hosts.is_empty()).then_some(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_000 * 86_400);

    fn days_ago(days: i64) -> Option<Timestamp> {
        Some(Timestamp::from_seconds((1_000 - days) * 86_400))
    }

    fn fine() -> Findings {
        Findings { known_since: days_ago(500), checked_at: days_ago(7), looked_at: true, ..Findings::default() }
    }

    fn of(proof: AppendOnly) -> Vec<(String, AppendOnly)> {
        vec![("web".into(), AppendOnly::Proven), ("db".into(), proof)]
    }

    #[test]
    fn each_trouble_has_its_weight() {
        use Level::{Critical, Ok, Warning};
        for (findings, level, text) in [
            (fine(), Ok, ""),
            (Findings { checked_at: days_ago(15), ..fine() }, Warning, "the last check that succeeded was 15 days ago"),
            (Findings { checked_at: days_ago(42), ..fine() }, Critical, "42 days ago"),
            (Findings { checked_at: None, known_since: days_ago(3), ..fine() }, Ok, ""),
            (
                Findings { checked_at: None, known_since: days_ago(20), ..fine() },
                Warning,
                "no check has succeeded in 20 days",
            ),
            (Findings { failed: vec![Chore::Prune], ..fine() }, Warning, "the last \"Prune\" failed"),
            (Findings { failed: vec![Chore::ReadData], ..fine() }, Critical, "what is damaged"),
            (Findings { dead_locks: 1, ..fine() }, Warning, "1 lock left"),
            (Findings { unknown_locks: 2, ..fine() }, Warning, "2 locks of unknown"),
            (Findings { append_only: of(AppendOnly::Proven), ..fine() }, Ok, ""),
            (Findings { append_only: of(AppendOnly::CannotTell), ..fine() }, Warning, "append-only on db"),
            (Findings { append_only: of(AppendOnly::NotProbed), ..fine() }, Warning, "append-only on db"),
            (Findings { append_only: of(AppendOnly::CanDelete), ..fine() }, Critical, "can delete on db"),
            (Findings { full_in_days: Some(14.5), ..fine() }, Ok, ""),
            (Findings { full_in_days: Some(13.9), ..fine() }, Warning, "full in 13 days"),
            (Findings { full_in_days: Some(2.0), ..fine() }, Critical, "full in 2 days"),
            (Findings { full_in_days: Some(0.0), ..fine() }, Critical, "the storage is full"),
            (Findings { unattested: 5, ..fine() }, Warning, "5 snapshots were not"),
        ] {
            let health = verdict(&findings, Limits::default(), NOW);
            let said = health.troubles.first().map(|one| one.text.clone()).unwrap_or_default();
            assert_eq!(health.level, level, "{findings:?}");
            assert!(said.contains(text) && said.is_empty() == text.is_empty(), "{said:?} is not {text:?}");
        }
    }

    #[test]
    fn what_is_open_makes_it_no_longer_healthy() {
        use CauseCode::{HookFailed, RepositoryLocked};
        use Level::{Critical, Ok, Unknown, Warning};
        let failing = |cause, count| vec![Failing { cause: Some(cause), count }];
        let alert = |kind, severity, count| OpenAlert { kind, severity, count, detail: "nobody can prune".into() };
        let locked = failing(RepositoryLocked, 8);
        let drill = vec![alert(AlertKind::DrillFailed, Severity::Critical, 3)];
        let failed = vec![alert(AlertKind::MaintenanceFailed, Severity::Warning, 1)];
        for (findings, level, text) in [
            (Findings::default(), Unknown, ""),
            (Findings { none_append_only: true, ..Findings::default() }, Warning, "every credential can delete"),
            (Findings { none_can_forget: true, ..fine() }, Warning, "no host has a full credential"),
            (Findings { rotation_stuck: true, ..fine() }, Warning, "the change of its password"),
            (
                Findings { failing: locked.clone(), schedules: 8, ..fine() },
                Critical,
                "8 of 8 schedules failed: it is locked",
            ),
            (Findings { failing: locked, schedules: 9, ..fine() }, Warning, "8 of 9 schedules"),
            (
                Findings { failing: failing(RepositoryLocked, 1), schedules: 1, ..fine() },
                Critical,
                "the newest backup failed",
            ),
            (Findings { failing: failing(HookFailed, 8), schedules: 8, ..fine() }, Ok, ""),
            (Findings { alerts: drill, ..fine() }, Critical, "3 alerts are open, such as: nobody can prune"),
            (Findings { alerts: failed.clone(), ..fine() }, Warning, "nobody can prune"),
            (Findings { alerts: failed, failed: vec![Chore::Prune], ..fine() }, Warning, "the last \"Prune\" failed"),
        ] {
            let health = verdict(&findings, Limits::default(), NOW);
            let said = health.troubles.first().map(|one| one.text.clone()).unwrap_or_default();
            assert_eq!(health.level, level, "{findings:?}");
            assert!(said.contains(text) && said.is_empty() == text.is_empty(), "{said:?} is not {text:?}");
            assert!(health.troubles.len() < 2, "one trouble is told once: {:?}", health.troubles);
        }
    }

    #[test]
    fn of_many_hosts_three_are_named() {
        let hosts: Vec<String> = (0..5_000).map(|n| format!("host-{n}")).collect();
        let text = Trouble::CanDelete { hosts }.to_string();
        assert_eq!(text, "the append-only credential can delete on host-0, host-1, host-2 and 4997 more");
    }

    #[test]
    fn the_worst_comes_first() {
        let findings = Findings { unattested: 1, append_only: of(AppendOnly::CanDelete), dead_locks: 1, ..fine() };
        let health = verdict(&findings, Limits::default(), NOW);
        let json = serde_json::to_value(&health).expect("json");
        assert_eq!((&json["level"], &json["troubles"][0]["trouble"]), (&"critical".into(), &"can_delete".into()));
        assert_eq!(health.troubles.len(), 3);
    }

    proptest! {
        #[test]
        fn waiting_never_makes_it_better(days in 0..100i64, more in 0..100u64, full in prop::option::of(0.0..40.0f64)) {
            let findings = Findings { checked_at: days_ago(days), full_in_days: full, ..fine() };
            let soon = verdict(&findings, Limits::default(), NOW);
            let late = verdict(&findings, Limits::default(), NOW + Duration::from_secs(more * 86_400));
            prop_assert!(late.level >= soon.level);
        }
    }
}
