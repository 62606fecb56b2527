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
