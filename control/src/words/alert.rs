//! Alerts: their conditions, and whom they are about.

use super::figures::Moment;
use crate::domain::alert::AlertKind;

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
