//! A repository, its credentials, its upkeep and the change of its password, as pages say it.

use crate::domain::health::Full;

use crate::domain::rotation::Stage;
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

/// Damage that an alert tells of.
#[must_use]
pub fn damaged(detail: &str) -> String {
    format!("It is damaged: {detail}")
}

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
