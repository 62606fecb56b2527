//! Alerts: conditions that hold for a subject, and that somebody should know of. Opened once, updated while they hold, resolved by
//! themselves when they end.

use super::text_enum;
use restic_manager_shared::id::AlertId;
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
    /// When it ended.
    pub resolved_at: Option<Timestamp>,
}
