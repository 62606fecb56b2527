//! Alerts: conditions that hold for a subject, and that somebody should know of. Opened once, updated while they hold, resolved by
//! themselves when they end.

use super::text_enum;
use restic_manager_shared::id::{AlertId, HostId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

text_enum! {
    /// The condition.
    AlertKind {
        /// A credential that should only append can delete.
        CredentialCanDelete = "credential_can_delete",
        /// Snapshots that no job of ours made, or whose time does not fit its job.
        UnattestedSnapshots = "unattested_snapshots",
        /// A retention run would remove more than it may without a person.
        RetentionCeiling = "retention_ceiling",
        /// The retention of a host is frozen.
        RetentionFrozen = "retention_frozen",
        /// The repository is damaged.
        RepositoryDamaged = "repository_damaged",
        /// A chore of the repository failed, or nobody can do it.
        MaintenanceFailed = "maintenance_failed",
        /// A lock is there that nothing known explains.
        ForeignLock = "foreign_lock",
        /// A change of the repository's password does not go on.
        RotationStuck = "rotation_stuck",
        /// A restore drill failed, or found files that are not what was backed up.
        DrillFailed = "drill_failed",
        /// The last run of a host's backups failed.
        BackupFailed = "backup_failed",
        /// A host's newest good backup is too old, or there never was one.
        BackupOverdue = "backup_overdue",
        /// A host's agent has been silent for too long.
        HostOffline = "host_offline",
        /// An update of the agent failed on a host, so its roll-out stopped.
        RolloutStopped = "rollout_stopped",
    }
}

text_enum! {
    /// How bad it is.
    Severity {
        /// Worth a look.
        Warning = "warning",
        /// Backups are at risk.
        Critical = "critical",
    }
}

/// A condition that holds, or held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Alert {
    /// Its identity.
    pub id: AlertId,
    /// The condition.
    pub kind: AlertKind,
    /// What it holds for, such as `repository:<id>`.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about, for people.
    pub detail: String,
    /// Since when it holds.
    pub opened_at: Timestamp,
    /// When it was last seen to hold.
    pub updated_at: Timestamp,
    /// When somebody said that it is known.
    pub acknowledged_at: Option<Timestamp>,
    /// Who did.
    pub acknowledged_by: Option<String>,
    /// Why, in their words.
    pub acknowledged_reason: Option<String>,
    /// Until when that holds; none as long as the alert is open.
    pub acknowledged_until: Option<Timestamp>,
    /// When it ended.
    pub resolved_at: Option<Timestamp>,
}

/// What an alert is about, by its subject such as `repository:<id>/host:<id>`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// The repository.
    pub repository: Option<RepositoryId>,
    /// The host.
    pub host: Option<HostId>,
    /// The schedule.
    pub schedule: Option<ScheduleId>,
}

impl About {
    /// What a subject names; what it does not know it passes over.
    #[must_use]
    pub fn of(subject: &str) -> Self {
        let mut about = Self::default();
        for part in subject.split('/') {
            match part.split_once(':') {
                Some(("repository", id)) => about.repository = id.parse().ok(),
                Some(("host", id)) => about.host = id.parse().ok(),
                Some(("schedule", id)) => about.schedule = id.parse().ok(),
                _ => {}
            }
        }
        about
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_name_what_they_are_about() {
        let (repository, host, schedule) = (RepositoryId::new(), HostId::new(), ScheduleId::new());
        let about = |text: &str| About::of(text);
        let both = About { repository: Some(repository), host: Some(host), schedule: None };
        assert_eq!(about(&format!("host:{host}/repository:{repository}")), both);
        assert_eq!(about(&format!("repository:{repository}/prune")).repository, Some(repository));
        assert_eq!(about(&format!("repository:{repository}/schedule:{schedule}")).schedule, Some(schedule));
        assert_eq!(about("something else"), About::default());
    }
}
