//! Alerts: their conditions, and whom they are about.

use super::figures::Moment;
use crate::domain::alert::AlertKind;
use restic_manager_shared::time::Timestamp;

/// The condition in a few words.
#[must_use]
pub const fn title(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::CredentialCanDelete => "A credential that should only append can delete",
        AlertKind::UnattestedSnapshots => "Snapshots that no job of ours made",
        AlertKind::RetentionCeiling => "Retention waits for a person",
        AlertKind::RetentionFrozen => "Retention is frozen",
        AlertKind::RepositoryDamaged => "The repository is damaged",
        AlertKind::MaintenanceFailed => "Maintenance failed",
        AlertKind::ForeignLock => "A lock that nothing known explains",
        AlertKind::RotationStuck => "The change of a password does not go on",
        AlertKind::DrillFailed => "A restore drill failed",
        AlertKind::BackupFailed => "Backups fail",
        AlertKind::BackupOverdue => "The newest backup is too old",
        AlertKind::HostOffline => "The host is silent",
        AlertKind::RolloutStopped => "A roll-out of the agent stopped",
    }
}

/// The condition with what it is about: a host, a repository, or a host's part of a repository.
#[must_use]
pub fn headline(kind: AlertKind, host: Option<&str>, repository: Option<&str>) -> String {
    let place = match (repository, host) {
        (Some(repository), Some(host)) => format!("{repository} of {host}"),
        (Some(name), None) | (None, Some(name)) => name.to_owned(),
        (None, None) => return title(kind).to_owned(),
    };
    match (kind, host, repository) {
        (AlertKind::CredentialCanDelete, Some(host), Some(repository)) => {
            format!("The credential of {host} for {repository} can delete")
        }
        (AlertKind::CredentialCanDelete, _, _) => format!("A credential of {place} that should only append can delete"),
        (AlertKind::UnattestedSnapshots, _, _) => format!("Snapshots in {place} that no job of ours made"),
        (AlertKind::RetentionCeiling, _, _) => format!("Retention in {place} waits for a person"),
        (AlertKind::RetentionFrozen, _, _) => format!("Retention of {place} is frozen"),
        (AlertKind::RepositoryDamaged, _, _) => format!("The repository {place} is damaged"),
        (AlertKind::MaintenanceFailed, _, _) => format!("Maintenance of {place} failed"),
        (AlertKind::ForeignLock, _, _) => format!("{place} has a lock that nothing known explains"),
        (AlertKind::RotationStuck, _, _) => format!("The change of the password of {place} does not go on"),
        (AlertKind::DrillFailed, _, _) => format!("A restore drill of {place} failed"),
        (AlertKind::BackupFailed, _, _) => format!("Backups of {place} fail"),
        (AlertKind::BackupOverdue, _, _) => format!("The newest backup of {place} is too old"),
        (AlertKind::HostOffline, _, _) => format!("{place} is silent"),
        (AlertKind::RolloutStopped, _, _) => title(kind).to_owned(),
    }
}

/// What the link of an alert says that leads to where it is dealt with.
#[must_use]
pub const fn way(kind: AlertKind) -> &'static str {
    match kind {
        AlertKind::BackupFailed | AlertKind::BackupOverdue | AlertKind::HostOffline | AlertKind::RetentionFrozen => {
            "Open host"
        }
        AlertKind::UnattestedSnapshots => "See snapshots",
        AlertKind::RetentionCeiling => "See what would go",
        AlertKind::MaintenanceFailed => "Open maintenance",
        AlertKind::DrillFailed => "See drills",
        AlertKind::RolloutStopped => "Open releases",
        AlertKind::CredentialCanDelete
        | AlertKind::RepositoryDamaged
        | AlertKind::ForeignLock
        | AlertKind::RotationStuck => "Open repository",
    }
}

/// Why it is so, before what the alert says.
#[must_use]
pub fn because(why: &str, detail: &str) -> String {
    format!("{why}. {detail}")
}

/// An act.
pub const REMOVE_LOCK: &str = "Remove lock…";
/// An act: to all hosts.
pub const OPEN_HOSTS: &str = "Open hosts";

/// How a minute stands in the detail of an alert, which is stored and told in UTC: such as `2026-11-26 23:00 UTC`.
const MINUTE: &str = "0000-00-00 00:00 UTC";

/// What an alert says, with the minutes in it as clocks of the viewer show them.
#[must_use]
pub fn in_zone(detail: &str, now: Timestamp) -> String {
    let (mut rest, mut said) = (detail, String::with_capacity(detail.len()));
    while let Some(first) = rest.chars().next() {
        if let Some(at) = rest.get(..MINUTE.len()).and_then(minute) {
            said.push_str(&Moment::new(at, now).short);
            rest = &rest[MINUTE.len()..];
        } else {
            said.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    said
}

fn minute(text: &str) -> Option<Timestamp> {
    let same = |(c, like): (char, char)| if like == '0' { c.is_ascii_digit() } else { c == like };
    text.chars().zip(MINUTE.chars()).all(same).then_some(())?;
    Timestamp::parse(&format!("{}T{}:00Z", text.get(..10)?, text.get(11..16)?)).ok()
}

/// A repository that an alert is about; none if it was deleted.
#[must_use]
pub fn repository(name: Option<&str>) -> String {
    name.map_or_else(|| "Repository that was deleted".into(), |name| format!("Repository {name}"))
}

/// A host that an alert is about.
#[must_use]
pub fn host(name: &str) -> String {
    format!("Host {name}")
}

/// What an alert says that holds for many hosts.
#[must_use]
pub fn crowd(hosts: i64) -> String {
    format!("On {hosts} hosts. What they have in common, the dashboard says.")
}

/// What is said where nothing is wrong; `last` is when the newest alert opened that there was.
#[must_use]
pub fn quiet(last: Option<&Moment>) -> String {
    match last {
        None => "No alert is open that nobody knows of.".into(),
        Some(at) => format!("No alert is open that nobody knows of. The last one opened {}.", at.ago),
    }
}

/// Whom such an alert is about.
pub const CROWD: &str = "These hosts, the worst first";
/// How bad a condition is, and from when on it holds.
#[must_use]
pub const fn rule(kind: AlertKind) -> (&'static str, &'static str) {
    match kind {
        AlertKind::BackupFailed => ("warning; critical once the host is not protected", "1 failed run"),
        AlertKind::BackupOverdue => {
            ("critical", "one interval plus grace; see the settings and each host’s own limits")
        }
        AlertKind::HostOffline => ("warning", "as long as the settings or the host’s own limits say"),
        AlertKind::RepositoryDamaged => ("critical", "at once, when a check or a restore finds an error"),
        AlertKind::CredentialCanDelete => ("critical", "at once, when a proof is not refused"),
        AlertKind::UnattestedSnapshots => ("critical", "at once, when snapshots are listed that no job made"),
        AlertKind::RetentionCeiling => ("warning", "when more would go than the plan allows at once"),
        AlertKind::RetentionFrozen => ("warning", "as long as a host’s retention is frozen"),
        AlertKind::MaintenanceFailed => ("warning", "1 failed run of a chore"),
        AlertKind::ForeignLock => ("warning", "when nothing that is known explains a lock"),
        AlertKind::RotationStuck => ("warning", "when the change of a password cannot go on"),
        AlertKind::DrillFailed => ("critical; warning if nothing could be proven", "1 failed drill"),
        AlertKind::RolloutStopped => ("warning", "when too many hosts fail or fall silent after an update"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_headline_names_what_it_is_about() {
        for kind in AlertKind::ALL.iter().filter(|kind| **kind != AlertKind::RolloutStopped) {
            assert!(headline(*kind, Some("web-01"), None).contains("web-01"), "{kind}");
            let both = headline(*kind, Some("web-01"), Some("vault"));
            assert!(both.contains("web-01") && both.contains("vault"), "{both}");
            assert_eq!(headline(*kind, None, None), title(*kind));
        }
    }

    #[test]
    fn minutes_are_told_by_the_viewer_s_clock() {
        let now = Timestamp::parse("2026-11-28T09:00:00Z").expect("valid");
        let said = in_zone("ü: the newest good backup started at 2026-11-26 23:00 UTC; so", now);
        assert_eq!(said, "ü: the newest good backup started at Thu 23:00; so");
        for same in ["", "2026-11-26", "2026-11-26 23:00 CET", "20x6-11-26 23:00 UTC", "2026-99-26 23:00 UTC"] {
            assert_eq!(in_zone(same, now), same);
        }
    }
}
