//! A repository, its credentials, its upkeep and the change of its password, as pages say it.

use super::figures::{number, size};
use crate::domain::health::{Full, Stretch};
use crate::domain::locks::{Unknown, Verdict};
use crate::domain::rotation::Stage;
use crate::domain::upkeep::Chore;
use restic_manager_shared::wire::operation::DeleteVerdict;
use restic_manager_shared::wire::state::CredentialMode;

/// What a credential is meant to do.
#[must_use]
pub const fn mode(mode: CredentialMode) -> &'static str {
    match mode {
        CredentialMode::AppendOnly => "append-only",
        CredentialMode::Full => "full",
    }
}

/// What is proven of a credential.
#[must_use]
pub const fn proof(verdict: Option<DeleteVerdict>, append_only: bool) -> &'static str {
    match (verdict, append_only) {
        (None, _) => "not tested yet",
        (Some(DeleteVerdict::AppendOnly), true) => "append-only, proven",
        (Some(DeleteVerdict::AppendOnly), false) => "cannot delete, though it should",
        (Some(DeleteVerdict::CanDelete), true) => "can delete",
        (Some(DeleteVerdict::CanDelete), false) => "can delete, as it should",
        (Some(DeleteVerdict::CannotTell), _) => "cannot tell",
    }
}

/// When the storage will be full. `room_known` is whether a quota or the room that is left is known.
#[must_use]
pub fn full(full: Full, room_known: bool) -> String {
    match full {
        Full::Unknown if room_known => "not known before three days of counts".into(),
        Full::Unknown => "unknown: no quota is set, and this storage does not say what is free".into(),
        Full::Never => "it does not grow".into(),
        Full::At { days, .. } if days < 1.0 => "now, or within a day".into(),
        Full::At { days, .. } if days < 60.0 => format!("in {days:.0} days"),
        Full::At { days, .. } if days < 1000.0 => format!("in {:.0} months", days / 30.4),
        Full::At { .. } => "in some years".into(),
    }
}

/// How many times smaller.
#[must_use]
pub fn times(ratio: Option<f64>) -> Option<String> {
    ratio.map(|n| format!("{n:.2}\u{d7}"))
}

/// What repositories come to: how many, how many bytes they hold, and of how many it is proven that hosts cannot delete.
#[must_use]
pub fn summary(count: usize, stored: Option<u64>, safe: usize) -> String {
    let count = if count == 1 { "1 repository".into() } else { format!("{} repositories", number(count as u64)) };
    let stored = stored.map(|n| format!("{} stored", size(n)));
    let safe = format!("{} append-only, proven", number(safe as u64));
    [Some(count), stored, Some(safe)].into_iter().flatten().collect::<Vec<_>>().join(" \u{b7} ")
}

/// No host may use it.
pub const NO_HOST: &str = "No host yet";
/// Every credential is full.
pub const ALL_CAN_DELETE: &str = "Hosts can delete";
/// No host that backs up can delete.
pub const PROVEN: &str = "Append-only, proven";
/// Some host may be able to.
pub const NOT_PROVEN: &str = "Not proven";
/// Nobody has looked at the locks.
pub const NOT_LOOKED: &str = "Not looked at";
/// There are no locks.
pub const NO_LOCKS: &str = "None";
/// Jobs hold them.
pub const LOCKS_IN_USE: &str = "In use";
/// Their processes are gone.
pub const LOCKS_DEAD: &str = "Left behind";
/// Nobody knows whose they are.
pub const LOCKS_UNKNOWN: &str = "Not explained";

/// Damage that an alert tells of.
#[must_use]
pub fn damaged(detail: &str) -> String {
    format!("It is damaged: {detail}")
}

/// A tab.
pub const MAINTENANCE: &str = "Maintenance";

/// A chore whose job is not over.
pub const CHORE_GOES_ON: &str = "Goes on";
/// A chore that somebody asked for.
pub const CHORE_ASKED: &str = "Asked for";
/// A chore that was not done yet.
pub const CHORE_NEVER: &str = "Never done";

/// How far the reading of all data is.
#[must_use]
pub fn read(done: usize, of: u64) -> String {
    format!("{done} of {of} parts read in this cycle")
}

/// The steps of a change of the password.
pub const ROTATION: [(Stage, &str); 4] = [
    (Stage::Adding, "Add a key"),
    (Stage::Pushing, "Tell the hosts"),
    (Stage::Verifying, "Try it"),
    (Stage::Removing, "Remove the old key"),
];

/// Why a change of the password cannot begin.
pub const ROTATION_UNDER_WAY: &str = "A change is under way. How far it is stands under Settings.";
/// Why a change of the password cannot begin.
pub const OLD_KEY_WOULD_STAY: &str = "No host has a full credential, so nobody could remove the old key: the old password would still open the repository. Give a host a full credential under Hosts first.";

/// How far a change of the password is.
#[must_use]
pub const fn rotation(stage: Stage) -> &'static str {
    match stage {
        Stage::Adding => "A host adds the key of the new password. Until it is there, the old one is in force.",
        Stage::Pushing => "The key is there. Every host gets the new password; the old one still opens the repository.",
        Stage::Verifying => "Every host has the new password. One of them tries it.",
        Stage::Removing => "The new password works. The old key is removed.",
        Stage::OldKeyStays => {
            "The new password is in force. The old one still opens the repository: no host has a full credential to remove its key."
        }
        Stage::Stuck => "A step did not work. The repository still opens with what the hosts have.",
    }
}

/// The stored size over time, in a sentence: how much at first and at last, and when.
#[must_use]
pub fn stored((first, from): (&str, &str), (last, to): (&str, &str)) -> String {
    format!("Stored size: {first} on {from}, {last} on {to}")
}

/// Who applies the rules of retention in a repository that this host may only append to.
#[must_use]
pub fn applied_by(repository: &str, maintenance: Option<&str>) -> String {
    match maintenance {
        Some(host) => format!("{repository} is append-only for this host: {host} applies the rule."),
        None => format!(
            "{repository} is append-only for this host and has no maintenance host: nobody applies the rule yet."
        ),
    }
}

/// The host itself applies the rules of retention.
#[must_use]
pub fn applied_here(repository: &str, maintenance: Option<&str>) -> String {
    match maintenance {
        Some(host) => format!("{host} applies the rule in {repository}."),
        None => format!("{repository} has no maintenance host: nobody applies the rule yet."),
    }
}

/// A schedule has a repository that its host has no credential for.
#[must_use]
pub fn no_access(repository: &str) -> String {
    format!("This host has no credential for {repository} yet: the schedule cannot run.")
}

/// A repository to choose, with what the host may do there.
#[must_use]
pub fn choice(name: &str, mode: Option<CredentialMode>) -> String {
    match mode {
        Some(CredentialMode::AppendOnly) => format!("{name} (append-only)"),
        Some(CredentialMode::Full) => format!("{name} (full)"),
        None => format!("{name} (no credential yet)"),
    }
}

/// Whether the process that made a lock still runs.
#[must_use]
pub const fn process(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Held { .. } => "its process runs",
        Verdict::Dead { .. } => "its process is gone",
        Verdict::Unknown { why: Unknown::NotOurs } => "nobody here knows whether its process runs",
        Verdict::Unknown { why: Unknown::Unconfirmed { .. } } => {
            "its host has not said yet whether its process is gone"
        }
        Verdict::Unknown { why: Unknown::Ambiguous { .. } } => "one of several processes, and not all of them are gone",
    }
}

/// What is asked before something is done to a repository: the question, what the button says, and what is said of it.
pub mod ask {
    use super::Chore;

    /// A chore, or all of them.
    #[must_use]
    pub fn chores(chore: Option<Chore>, name: &str) -> (String, String) {
        match chore {
            Some(chore) => {
                (format!("Run \u{201c}{}\u{201d} in {name} now?", chore.title()), format!("Run {}", chore.title()))
            }
            None => (format!("Run all chores in {name} now?"), "Run all".into()),
        }
    }

    /// What it takes away, and what not.
    #[must_use]
    pub fn chores_mean(chore: Option<Chore>) -> Vec<&'static str> {
        let forget = "Snapshots that no keep rule of their schedule keeps are removed and cannot be restored afterwards. More than the plan’s \
                      ceiling allows waits for a person; those of hosts whose retention is frozen stay.";
        let prune = "Data that no snapshot needs is deleted: forgotten snapshots cannot be recovered afterwards. Backups wait while it runs.";
        match chore {
            Some(Chore::Forget) => vec![forget, "What would go stands under Retention."],
            Some(Chore::Prune) => vec![prune, "Snapshots that are there stay."],
            Some(Chore::Snapshots | Chore::Check | Chore::ReadData | Chore::Stats) => vec!["Nothing is removed."],
            None => {
                vec!["Chores start one after the other: list, forget, prune, check, read and count.", forget, prune]
            }
        }
    }

    /// Who does it.
    #[must_use]
    pub fn does(host: Option<&str>) -> String {
        host.map_or_else(|| "A host whose credential can does it.".into(), |host| format!("{host} does it."))
    }

    /// Nobody can.
    pub const NONE_CAN_DELETE: &str =
        "No host has a full credential, so nobody can remove anything here. Give one to a host under Hosts first.";
}

/// How far back a picture goes.
#[must_use]
pub const fn stretch(stretch: Stretch) -> &'static str {
    match stretch {
        Stretch::Month => "30 days",
        Stretch::Year => "12 months",
        Stretch::All => "All",
    }
}
