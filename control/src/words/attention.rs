//! What needs a person, in sentences: what is wrong, what that means, and what there is to do.

use super::figures::Moment;
use crate::domain::protection::Protection;
use restic_manager_shared::wire::job::CauseCode;

/// A repository whose name nobody knows, at the beginning of a sentence.
pub const A_REPOSITORY: &str = "A repository";
/// An act.
pub const LOOK_AT_LOCK: &str = "Look at the lock";
/// An act.
pub const REMOVE_LOCKS: &str = "Remove lock…";
/// An act: to the job that says it.
pub const WHY: &str = "Why";
/// A new command for a host whose agent never came.
pub const INSTALL: &str = "Install command…";
/// An act.
pub const OPEN_HOST: &str = "Open host";

/// Hosts that are not named.
#[must_use]
pub fn more(n: usize) -> String {
    format!("{n} more")
}

/// An act: to all of them.
#[must_use]
pub fn all(n: i64) -> String {
    format!("All {n}")
}

/// A host's name, and that it is paused if it is.
#[must_use]
pub fn name(name: &str, paused: bool) -> String {
    if paused { format!("{name} (paused)") } else { name.to_owned() }
}

/// Why hosts cannot back up to a repository.
#[must_use]
pub fn failing(repository: &str, code: Option<CauseCode>) -> String {
    match code {
        Some(CauseCode::RepositoryLocked) => format!("{repository} is locked"),
        Some(CauseCode::RepositoryMissing) => format!("{repository} is not at its address"),
        Some(CauseCode::WrongPassword) => format!("{repository} does not open with its password"),
        Some(CauseCode::RepositoryUnreachable) => format!("{repository} cannot be reached"),
        Some(CauseCode::StorageUnauthorized | CauseCode::StorageForbidden) => {
            format!("{repository} refuses the credential")
        }
        Some(CauseCode::StorageFull) => format!("{repository} has no room left"),
        Some(CauseCode::RepositoryDamaged) => format!("{repository} is damaged"),
        // Whatever else it is lies with the hosts, and their jobs say it.
        _ => format!("{repository} takes no backups"),
    }
}

/// What that means for the hosts that are named after it.
#[must_use]
pub fn failing_means(hosts: usize) -> String {
    match hosts {
        1 => "1 host cannot back up there, and the newest backups are too old:".into(),
        n => format!("{n} hosts cannot back up there, and the newest backups are too old:"),
    }
}

/// One host that is silent and whose backup is too old.
#[must_use]
pub fn offline(host: &str) -> String {
    format!("{host} is offline, and its newest backup is too old")
}

/// One host whose backup is too old.
#[must_use]
pub fn too_old(host: &str) -> String {
    format!("The newest backup of {host} is too old")
}

/// One host whose agent never came.
#[must_use]
pub fn never_connected(host: &str) -> String {
    format!("{host} has never connected")
}

/// One host without a whole backup.
#[must_use]
pub fn never_backed_up(host: &str) -> String {
    format!("{host} was never backed up in full")
}

/// Hosts that are unprotected without a failure; one of them is told by name where there is more to say.
#[must_use]
pub fn silent(state: Protection, hosts: i64) -> String {
    match (state, hosts) {
        (Protection::TooOld, n) => format!("The newest backups of {n} hosts are too old"),
        (Protection::Never, n) => format!("{n} hosts were never backed up"),
        (_, 1) => "1 host has no enabled schedule".into(),
        (_, n) => format!("{n} hosts have no enabled schedule"),
    }
}

/// Since when a host's backup is too old.
#[must_use]
pub fn last_good(at: &Moment) -> String {
    format!("Last good backup {}.", at.ago)
}

/// Since when a host waits for its first backup.
#[must_use]
pub fn added(at: &Moment) -> String {
    format!("Added {}.", at.ago)
}

/// Whom an alert is about, and what it says.
#[must_use]
pub fn alert(subject: &str, detail: &str) -> String {
    format!("{subject}: {detail}")
}

/// A pause: until when.
#[must_use]
pub fn paused(until: Option<&Moment>) -> String {
    until.map_or_else(|| "Paused".into(), |until| format!("Paused until {}", until.short))
}

/// A pause in one sentence: until when, and by whom. `until` is what [`paused`] says.
#[must_use]
pub fn paused_by(until: &str, by: &str) -> String {
    format!("{until} by {by}.")
}
