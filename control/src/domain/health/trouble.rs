//! A trouble of a repository: what is not as it should be, in words, and how bad it is. Which troubles there are is found out in `verdict`.

use super::super::alert::{AlertKind, Severity};
use super::super::upkeep::Chore;
use super::verdict::{Level, Limits};
use restic_manager_shared::wire::job::CauseCode;
use serde::Serialize;
use std::fmt;

/// Hosts that a text names.
const NAMED: usize = 3;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(tag = "trouble", rename_all = "snake_case")]
#[schema(as = HealthTrouble)]
pub enum Trouble {
    /// A check found damage.
    Damaged,
    /// No check has succeeded yet.
    NeverChecked {
        /// For so many days.
        days: u64,
    },
    /// The last check that succeeded is long ago.
    CheckOverdue {
        /// So many days.
        days: u64,
    },
    /// The last run of a chore failed.
    ChoreFailed {
        /// Which.
        chore: Chore,
    },
    /// Dead processes of ours left locks behind.
    DeadLocks {
        /// So many.
        count: usize,
    },
    /// Somebody that we do not know holds locks.
    UnknownLocks {
        /// So many.
        count: usize,
    },
    /// Credentials that should only add can delete.
    CanDelete {
        /// Of these hosts.
        hosts: Vec<String>,
    },
    /// It is not proven that credentials can only add.
    AppendOnlyNotProven {
        /// Of these hosts.
        hosts: Vec<String>,
    },
    /// The room is used up soon.
    Full {
        /// In so many days, rounded down.
        days: u64,
    },
    /// There are snapshots that no job of ours made.
    Unattested {
        /// So many.
        count: usize,
    },
    /// The newest backups of schedules failed for something that lies with the repository.
    BackupsFail {
        /// What it is.
        cause: CauseCode,
        /// Of so many schedules.
        count: u64,
        /// Of so many that back up there.
        of: u64,
    },
    /// Every credential may delete, so nothing protects the backups from a host that is taken over.
    NoneAppendOnly,
    /// No credential may delete, so nothing is ever forgotten or pruned.
    NoneCanForget,
    /// A change of the password does not go on.
    RotationStuck,
    /// An alert about it is open that nothing above tells of.
    Alert {
        /// Its condition.
        alert: AlertKind,
        /// How bad it is.
        severity: Severity,
        /// How many of the kind are open.
        count: u64,
        /// What the first of them says.
        detail: String,
    },
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => {
                f.write_str("a check found damage: see its job for which snapshots are touched and what to do")
            }
            Self::NeverChecked { days } => write!(f, "no check has succeeded in {days} days"),
            Self::CheckOverdue { days } => write!(f, "the last check that succeeded was {days} days ago"),
            Self::ChoreFailed { chore: Chore::Check | Chore::ReadData } => {
                f.write_str("the last check failed: see its job for what is damaged")
            }
            Self::ChoreFailed { chore: chore @ (Chore::Snapshots | Chore::Forget | Chore::Prune | Chore::Stats) } => {
                write!(f, "the last \"{}\" failed", chore.title())
            }
            Self::DeadLocks { count } => {
                write!(f, "{count} left by processes that are gone: they will be removed", count = locks(*count))
            }
            Self::UnknownLocks { count } => write!(f, "{} of unknown holders", locks(*count)),
            Self::CanDelete { hosts } => {
                write!(f, "the append-only credential can delete on {}", named(hosts))
            }
            Self::AppendOnlyNotProven { hosts } => {
                write!(f, "it is not proven that the credential is append-only on {}", named(hosts))
            }
            Self::Full { days: 0 } => f.write_str("the storage is full, or will be within a day"),
            Self::Full { days } => write!(f, "the storage will be full in {days} days"),
            Self::Unattested { count: 1 } => f.write_str("1 snapshot was not made by a job of ours"),
            Self::Unattested { count } => write!(f, "{count} snapshots were not made by a job of ours"),
            Self::BackupsFail { cause, count, of } => {
                write!(f, "the newest {} failed: {}", backups(*count, *of), why(*cause))
            }
            Self::NoneAppendOnly => f.write_str(
                "every credential can delete: whoever takes such a host over can delete its backups. Give hosts that back up append-only ones",
            ),
            Self::NoneCanForget => f.write_str(
                "no host has a full credential, so nothing is forgotten or pruned: the storage only grows",
            ),
            Self::RotationStuck => f.write_str("the change of its password does not go on: see Settings"),
            Self::Alert { count: 0 | 1, detail, .. } => f.write_str(detail),
            Self::Alert { count, detail, .. } => write!(f, "{count} alerts are open, such as: {detail}"),
        }
    }
}

fn backups(count: u64, of: u64) -> String {
    match (count, of) {
        (1, 1) => "backup".into(),
        (count, of) => format!("backups of {count} of {of} schedules"),
    }
}

/// Why backups to a repository fail, as the end of a sentence.
const fn why(cause: CauseCode) -> &'static str {
    match cause {
        CauseCode::RepositoryLocked => "it is locked",
        CauseCode::RepositoryMissing => "it is not at its address",
        CauseCode::WrongPassword => "it does not open with its password",
        CauseCode::RepositoryUnreachable => "it cannot be reached",
        CauseCode::StorageUnauthorized | CauseCode::StorageForbidden => "the storage refuses the credential",
        CauseCode::StorageFull => "the storage has no room left",
        CauseCode::StorageTls => "the certificate of the storage is not trusted",
        CauseCode::RepositoryDamaged => "it is damaged",
        _ => "see the jobs",
    }
}

/// Some hosts by name, and how many more there are.
fn named(hosts: &[String]) -> String {
    let first = hosts.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match hosts.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

fn locks(count: usize) -> String {
    if count == 1 { "1 lock".into() } else { format!("{count} locks") }
}

impl Trouble {
    /// How bad it is.
    #[must_use]
    pub fn level(&self, limits: Limits) -> Level {
        let overdue = u64::from(limits.check_days) * 3;
        match self {
            Self::NeverChecked { days } | Self::CheckOverdue { days } if *days < overdue => Level::Warning,
            Self::NeverChecked { .. } | Self::CheckOverdue { .. } => Level::Critical,
            Self::ChoreFailed { chore: Chore::Check | Chore::ReadData } => Level::Critical,
            Self::ChoreFailed { chore: Chore::Snapshots | Chore::Forget | Chore::Prune | Chore::Stats } => {
                Level::Warning
            }
            Self::DeadLocks { .. } | Self::UnknownLocks { .. } => Level::Warning,
            Self::Damaged | Self::CanDelete { .. } => Level::Critical,
            Self::AppendOnlyNotProven { .. } | Self::Unattested { .. } => Level::Warning,
            Self::Full { days } if *days < u64::from(limits.full_critical_days) => Level::Critical,
            Self::Full { .. } => Level::Warning,
            // Where every schedule fails, nothing is backed up there any more.
            Self::BackupsFail { count, of, .. } if count >= of => Level::Critical,
            Self::BackupsFail { .. } => Level::Warning,
            Self::NoneAppendOnly | Self::NoneCanForget | Self::RotationStuck => Level::Warning,
            Self::Alert { severity: Severity::Critical, .. } => Level::Critical,
            Self::Alert { severity: Severity::Warning, .. } => Level::Warning,
        }
    }

    /// Whether it tells of what an alert of this kind tells of.
    pub(super) const fn tells_of(&self, kind: AlertKind) -> bool {
        match kind {
            AlertKind::RepositoryDamaged => matches!(self, Self::Damaged),
            AlertKind::CredentialCanDelete => matches!(self, Self::CanDelete { .. }),
            AlertKind::UnattestedSnapshots => matches!(self, Self::Unattested { .. }),
            AlertKind::MaintenanceFailed => matches!(self, Self::ChoreFailed { .. }),
            AlertKind::ForeignLock => matches!(self, Self::UnknownLocks { .. }),
            AlertKind::RotationStuck => matches!(self, Self::RotationStuck),
            AlertKind::RetentionCeiling
            | AlertKind::RetentionFrozen
            | AlertKind::DrillFailed
            | AlertKind::BackupFailed
            | AlertKind::BackupOverdue
            | AlertKind::HostOffline
            | AlertKind::RolloutStopped => false,
        }
    }
}
