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

/// Kinds of what a preview lists.
pub mod kind {
    /// All of it.
    pub const ALL: &str = "All";
    /// What was not there.
    pub const NEW: &str = "New";
    /// What was there, and other.
    pub const REPLACED: &str = "Replaced";
    /// What the snapshot does not have.
    pub const DELETED: &str = "Deleted";
}

/// What a preview lists, and its columns.
pub const WOULD_HAPPEN: (&str, [&str; 3]) = ("File by file", ["Path", "What", "Size"]);
/// What a drill lists, and its columns.
pub const FILES: (&str, [&str; 4]) = ("Files", ["Path", "Size", "Proof", "Note"]);
/// What it means that a restore ended early.
pub const PARTIAL: &str = "It ended in the middle. What is there stays, and the same restore again goes on from it.";

/// How many files were restored, or would be.
#[must_use]
pub fn files(n: u64, dry_run: bool) -> String {
    match (dry_run, n) {
        (true, 0) => "A restore would bring back nothing: all of it is there".to_owned(),
        (true, _) => {
            plural(n, "A restore would bring back 1 file", |n| format!("A restore would bring back {n} files"))
        }
        (false, 0) => "Nothing was restored: all of it is there".to_owned(),
        (false, _) => plural(n, "1 file restored", |n| format!("{n} files restored")),
    }
}

/// Questions of a preview.
pub mod question {
    /// Whether it fits.
    pub const ROOM: &str = "Room";
    /// Whether the agent may.
    pub const RIGHTS: &str = "Rights";
    /// What is there already.
    pub const THERE: &str = "Files that are there";
}

/// What is known of the agent's rights after a preview.
pub const MAY: &str = "The host’s policy allows the place, and the agent can write there.";

/// Whether there is room; sizes such as `1.2 GiB`.
#[must_use]
pub fn room(needs: &str, free: Option<&str>, fits: bool) -> String {
    match free {
        None => format!("Needs {needs}; the host does not say what is free"),
        Some(free) if fits => format!("Fits: needs {needs}, {free} free"),
        Some(free) => format!("Does not fit: needs {needs}, {free} free"),
    }
}

fn some_files(n: u64) -> String {
    plural(n, "1 file", |n| format!("{n} files"))
}

/// What becomes of files that are there: how many are replaced (if that is known) and removed.
#[must_use]
pub fn there(replaced: Option<u64>, removed: u64) -> String {
    match (replaced, removed) {
        (None, 0) => "This version of restic does not tell which files it replaces".to_owned(),
        (None, n) => {
            format!("{} would be removed; which files it replaces, this version of restic does not tell", some_files(n))
        }
        (Some(0), 0) => "None is replaced or removed".to_owned(),
        (Some(n), 0) => format!("{} would be replaced", some_files(n)),
        (Some(0), n) => format!("{} would be removed", some_files(n)),
        (Some(n), gone) => format!("{} would be replaced, {} removed", some_files(n), some_files(gone)),
    }
}

/// What is ticked before files that are there change.
#[must_use]
pub fn agree(replaced: Option<u64>, removed: u64, host: &str) -> String {
    match (replaced, removed) {
        (Some(0), 0) => format!("Restore to where the files were on {host}"),
        (None, 0) => format!("Replace files on {host}"),
        (Some(n), 0) => format!("Replace {} on {host}", some_files(n)),
        (Some(0), gone) => format!("Remove {} from {host}", some_files(gone)),
        (Some(n), gone) => format!("Replace {} and remove {} on {host}", some_files(n), some_files(gone)),
        (None, gone) => format!("Replace files and remove {} on {host}", some_files(gone)),
    }
}

/// What the button of a preview does.
#[must_use]
pub fn press(files: Option<u64>, host: &str) -> String {
    match files {
        None | Some(0) => format!("Restore to {host}"),
        Some(n) => plural(n, "Restore 1 file", |n| format!("Restore {n} files")),
    }
}

/// What was restored, or would be, where files and folders are not told apart.
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
        RestoreAction::Create => "new",
        RestoreAction::Unknown => "changed",
    }
}

/// What would become of a file, beside its sign.
#[must_use]
pub const fn would_be(action: RestoreAction) -> &'static str {
    match action {
        RestoreAction::Create => "new",
        RestoreAction::Overwrite => "replaced",
        RestoreAction::Delete => "deleted",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_change_is_counted_by_name() {
        for (replaced, removed, want) in [
            (Some(2), 0, "Replace 2 files on web-01"),
            (Some(1), 1, "Replace 1 file and remove 1 file on web-01"),
            (Some(0), 3, "Remove 3 files from web-01"),
            (None, 0, "Replace files on web-01"),
            (Some(0), 0, "Restore to where the files were on web-01"),
        ] {
            assert_eq!(agree(replaced, removed, "web-01"), want);
        }
        assert_eq!(press(Some(716), "web-01"), "Restore 716 files");
        assert_eq!(press(None, "web-01"), "Restore to web-01");
        assert_eq!(room("1.2 GiB", Some("37.6 GiB"), true), "Fits: needs 1.2 GiB, 37.6 GiB free");
        assert_eq!(files(716, true), "A restore would bring back 716 files");
    }
}
