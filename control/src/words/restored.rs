//! What came of a restore or a drill, in sentences. Which figures go with it is decided in `http::pages::outcome`.

use super::figures::plural;
use restic_manager_shared::wire::restore::{Proof, RestoreAction};

/// Names of figures; two of a kind are what was done, and what would be.
pub mod figure {
    /// Where to.
    pub const PLACE: &str = "Place";
    /// How much.
    pub const BYTES: &str = "Bytes";
    /// Entries that were not there before.
    #[must_use]
    pub const fn new(dry_run: bool) -> &'static str {
        if dry_run { "Would be new" } else { "New" }
    }
    /// Entries that were there, and other.
    #[must_use]
    pub const fn overwritten(dry_run: bool) -> &'static str {
        if dry_run { "Would be overwritten" } else { "Overwritten" }
    }
    /// Entries that were there already.
    pub const KEPT: &str = "Left as they are";
    /// Entries that the snapshot does not have.
    #[must_use]
    pub const fn removed(dry_run: bool) -> &'static str {
        if dry_run { "Would be removed" } else { "Removed" }
    }
    /// Files that were read again.
    pub const VERIFIED: &str = "Read back and equal";
    /// Room at the target.
    pub const FREE: &str = "Free before";
    /// Files that a drill proved.
    pub const PROVEN: &str = "Proven";
    /// Files that it did not.
    pub const NOT_PROVEN: &str = "Not proven";
    /// Bytes that it restored.
    pub const RESTORED: &str = "Restored";
    /// Files that it chose from.
    pub const OF: &str = "Files in the snapshot";
}

/// What a preview lists, and its columns.
pub const WOULD_CHANGE: (&str, [&str; 2]) = ("Would change", ["Path", "What"]);
/// What a drill lists, and its columns.
pub const FILES: (&str, [&str; 4]) = ("Files", ["Path", "Size", "Proof", "Note"]);
/// What it means that a restore ended early.
pub const PARTIAL: &str = "It ended in the middle. What is there stays, and the same restore again goes on from it.";

/// What was restored, or would be.
#[must_use]
pub fn restored(n: u64, dry_run: bool) -> String {
    if dry_run {
        plural(n, "A restore would bring back 1 file or folder", |n| {
            format!("A restore would bring back {n} files and folders")
        })
    } else {
        plural(n, "1 file or folder restored", |n| format!("{n} files and folders restored"))
    }
}

/// What a restore does to an entry that is there.
#[must_use]
pub const fn action(action: RestoreAction) -> &'static str {
    match action {
        RestoreAction::Overwrite => "overwritten",
        RestoreAction::Delete => "removed",
        RestoreAction::Unknown => "changed",
    }
}

/// What a drill came to when all is proven.
#[must_use]
pub fn proven(n: u64) -> String {
    plural(n, "1 file is proven restorable", |n| format!("{n} files are proven restorable"))
}

/// What a drill came to when something is not.
#[must_use]
pub fn not_proven(n: u64) -> String {
    plural(n, "1 file could not be proven restorable", |n| format!("{n} files could not be proven restorable"))
}

/// What a drill found out about a file.
#[must_use]
pub const fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::EqualToSource => "equal to the file on the host",
        Proof::HashVerified => "its hashes fit",
        Proof::Differs => "differs",
        Proof::NotRestored => "could not be restored",
        Proof::NotThere => "not in the snapshot",
        Proof::Unknown => "unknown",
    }
}
