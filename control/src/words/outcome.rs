//! What came of an operation, in sentences and headings. Which of them a page shows, with which figures and links, is decided in
//! `http::pages::outcome`.

use super::figures::{capital, plural, size};
use restic_manager_shared::wire::operation::{DeleteVerdict, DiffSide, ProbeReport, ReadData, StatsMode};

/// Headings of tables and columns.
pub mod heading {
    /// What a folder holds.
    pub const FILES_AND_FOLDERS: &str = "Files and folders";
    /// Columns of it.
    pub const ENTRIES: [&str; 5] = ["Path", "Kind", "Size", "Changed", "Rights"];
    /// What was looked for.
    pub const FOUND: &str = "Found";
    /// Columns of it.
    pub const FINDS: [&str; 4] = ["Path", "Snapshot", "Size", "Changed"];
    /// What two snapshots do not have in common.
    pub const DIFFERENCES: &str = "Differences";
    /// Columns of it.
    pub const CHANGES: [&str; 2] = ["Path", "What"];
    /// Snapshots that a check found damaged.
    pub const TOUCHED: &str = "Snapshots that are touched";
    /// Packs that a check found damaged.
    pub const PACKS: &str = "Damaged packs";
    /// A column of ids of snapshots.
    pub const SNAPSHOT: [&str; 1] = ["Snapshot"];
    /// A column of ids of packs.
    pub const PACK: [&str; 1] = ["Pack"];
    /// What a dry run would remove.
    pub const WOULD_GO: &str = "Would go";
    /// What was removed.
    pub const REMOVED: &str = "Removed";
    /// What was to be removed, and is not.
    pub const STILL_THERE: &str = "Still there";
    /// Locks that are there.
    pub const THERE: &str = "There";
    /// Columns of locks.
    pub const LOCKS: [&str; 5] = ["Machine", "Process", "User", "Kind", "Made or renewed"];
    /// Snapshots that others stand for.
    pub const REPLACED: &str = "Replaced";
    /// Columns of them.
    pub const PAIRS: [&str; 2] = ["Was", "Is now"];
    /// Keys of a repository.
    pub const KEYS: &str = "Keys";
    /// Columns of them.
    pub const KEY: [&str; 4] = ["Key", "Made by", "When", ""];
}

/// Names of figures.
pub mod figure {
    /// An archive's path.
    pub const FILE: &str = "File";
    /// A size.
    pub const SIZE: &str = "Size";
    /// Of data before it was compressed.
    pub const UNCOMPRESSED: &str = "Before compression";
    /// How many times smaller.
    pub const COMPRESSION: &str = "Compression";
    /// What compression saves.
    pub const SAVED: &str = "Saved by it";
    /// How many.
    pub const FILES_AND_FOLDERS: &str = "Files and folders";
    /// How many.
    pub const BLOBS: &str = "Blobs";
    /// How many.
    pub const SNAPSHOTS: &str = "Snapshots";
    /// In both of two snapshots, but not the same.
    pub const CHANGED_FILES: &str = "Changed files";
    /// In one of two snapshots.
    pub const ONLY_NEWER: &str = "Only in the newer";
    /// In one of two snapshots.
    pub const ONLY_OLDER: &str = "Only in the older";
    /// What a check looked at.
    pub const TESTED: &str = "Tested";
    /// What a check found.
    pub const ERRORS: &str = "Errors";
    /// Of a prune.
    pub const WOULD_FREE: &str = "Would free";
    /// Of a prune.
    pub const FREED: &str = "Freed";
    /// Of a prune.
    pub const IN_PACKS: &str = "In packs that go";
    /// Of a prune.
    pub const REWRITTEN: &str = "Rewritten";
    /// Of a prune.
    pub const FREED_BY_THAT: &str = "Freed by that";
    /// Of a prune.
    pub const REMAINS: &str = "Remains";
    /// Of a prune.
    pub const UNUSED: &str = "Unused, stays";
    /// Of a test of a connection.
    pub const REPOSITORY: &str = "Repository";
    /// Of a test of a connection.
    pub const PASSWORD_FITS: &str = "Password fits";
    /// Of a test of a connection.
    pub const CAN_DELETE: &str = "Can delete";
}

/// Nothing was changed: it was a dry run.
pub const DRY: &str = "Nothing was done.";
/// No file was found.
pub const NOTHING_FOUND: &str = "Nothing was found";
/// A cache was cleaned.
pub const CACHE: &str = "Old caches were looked for";
/// An archive was written.
pub const ARCHIVE: &str = "The archive is on the host";
/// An outcome that this server does not know.
pub const UNKNOWN: (&str, &str) = (
    "The agent reports something that this server does not know",
    "It is newer than the server. The log below has its words.",
);

/// What the repository holds.
#[must_use]
pub fn snapshots(n: u64) -> String {
    plural(n, "1 snapshot is in the repository", |n| format!("{n} snapshots are in the repository"))
}

/// Entries of a folder.
#[must_use]
pub fn listed(n: u64) -> String {
    plural(n, "1 entry listed", |n| format!("{n} entries listed"))
}

/// Entries that were looked for.
#[must_use]
pub fn found(n: u64) -> String {
    plural(n, "1 entry was found", |n| format!("{n} entries were found"))
}

/// Snapshots that were copied.
#[must_use]
pub fn copied(n: u64) -> String {
    plural(n, "1 snapshot copied", |n| format!("{n} snapshots copied"))
}

/// Snapshots that were not copied, because they were there.
#[must_use]
pub fn there_already(n: u64) -> String {
    plural(n, "1 was there already.", |n| format!("{n} were there already."))
}

/// The host's restic.
#[must_use]
pub fn version(version: &str) -> String {
    format!("The host has restic {version}")
}

/// An account at the storage.
#[must_use]
pub fn account(user: &str) -> String {
    format!("The account {user} stands in the storage\u{2019}s file of accounts")
}

/// What was counted, and how much it is.
#[must_use]
pub fn counted(mode: StatsMode, bytes: u64) -> String {
    let size = size(bytes);
    match mode {
        StatsMode::RestoreSize => format!("A restore would write {size}"),
        StatsMode::FilesByContents => format!("Files, equal ones once, come to {size}"),
        StatsMode::RawData => format!("Stored are {size}"),
        StatsMode::BlobsPerFile => format!("Blobs, for each file, come to {size}"),
    }
}

/// What only one of two snapshots holds.
#[must_use]
pub fn side(side: &DiffSide) -> String {
    let size = size(side.bytes);
    plural(side.files, &format!("{size} in 1 file"), |n| format!("{size} in {n} files"))
}

/// How an entry changed, from restic's letters.
#[must_use]
pub fn change(modifier: &str) -> String {
    let words = modifier.chars().map(|c| match c {
        '+' => "added",
        '-' => "removed",
        'T' => "other type",
        'U' => "metadata",
        // M, and what restic may come to say.
        _ => "changed",
    });
    words.collect::<Vec<_>>().join(", ")
}

/// How many differences there are.
#[must_use]
pub fn differences(n: u64) -> String {
    match n {
        0 => "The two do not differ".into(),
        n => plural(n, "1 difference between the two", |n| format!("{n} differences between the two")),
    }
}

/// What a check looked at.
#[must_use]
pub fn tested(read: ReadData) -> String {
    match read {
        ReadData::Nothing => "the structure only".into(),
        ReadData::Everything => "the structure and all data".into(),
        ReadData::Part { part, of } => format!("the structure and part {part} of {of} of the data"),
        ReadData::Percent { percent } => format!("the structure and {percent} % of the data"),
    }
}

/// What a check found.
#[must_use]
pub fn errors(n: u64) -> String {
    match n {
        0 => "No error was found".into(),
        n => plural(n, "1 error was found", |n| format!("{n} errors were found")),
    }
}

/// What damage means for snapshots.
#[must_use]
pub fn touched(snapshots: u64) -> String {
    match snapshots {
        0 => "Which snapshots are touched could not be found out.".into(),
        n => plural(n, "1 snapshot is touched; all others can be restored.", |n| {
            format!("{n} snapshots are touched; all others can be restored.")
        }),
    }
}

/// What to do after a check: each a sentence and what its link says.
pub mod advice {
    /// Data is stored twice.
    pub const PRUNE: (&str, &str) = ("restic advises to prune: some data is stored twice.", "Prune");
    /// Damage was found.
    pub const COPY_AWAY: (&str, &str) = ("Copy the repository\u{2019}s files away before anything else.", "");
    /// The index is damaged.
    pub const REPAIR_INDEX: (&str, &str) = ("Make the index anew.", "Repair the index");
    /// Packs are damaged.
    pub const REPAIR_PACKS: (&str, &str) = ("Save what can be saved of the damaged packs.", "Repair packs");
    /// Snapshots are damaged.
    pub const REPAIR_SNAPSHOTS: (&str, &str) =
        ("Write the snapshots that are touched anew, without what is lost.", "Repair snapshots");
    /// At the end.
    pub const BACK_UP: (&str, &str) = ("Run a backup of each host: what its source still has is stored anew.", "");
}

/// Snapshots that were forgotten, or would be.
#[must_use]
pub fn forgotten(n: u64, dry_run: bool) -> String {
    if dry_run {
        plural(n, "1 snapshot would go", |n| format!("{n} snapshots would go"))
    } else {
        plural(n, "1 snapshot was removed", |n| format!("{n} snapshots were removed"))
    }
}

/// What that means: nothing, the next prune, or that some are left.
#[must_use]
pub fn forgotten_means(left: u64, dry_run: bool) -> String {
    match (left, dry_run) {
        (0, true) => DRY.into(),
        (0, false) => "Their data goes with the next prune.".into(),
        (n, _) => plural(n, "1 is still there: the storage did not let them go.", |n| {
            format!("{n} are still there: the storage did not let them go.")
        }),
    }
}

/// What a prune freed, or would free.
#[must_use]
pub fn pruned(freed: Option<u64>, dry_run: bool) -> String {
    let freed = freed.map_or_else(|| "an unknown amount".into(), size);
    if dry_run { format!("A prune would free {freed}") } else { capital(&format!("{freed} freed")) }
}

/// Locks that were removed, and those that are there.
#[must_use]
pub fn locks(removed: u64, left: u64) -> String {
    match (removed, left) {
        (0, 0) => "There are no locks".into(),
        (0, n) => plural(n, "1 lock is there", |n| format!("{n} locks are there")),
        (n, 0) => plural(n, "1 lock was removed; none is left", |n| format!("{n} locks were removed; none is left")),
        (n, m) => {
            let removed = plural(n, "1 lock was removed", |n| format!("{n} locks were removed"));
            plural(m, &format!("{removed}, 1 is left"), |m| format!("{removed}, {m} are left"))
        }
    }
}

/// Where more is said about locks that are left.
pub const LOCKS_LEFT: &str = "The repository\u{2019}s page says whose they are.";

/// How a lock is held.
#[must_use]
pub const fn lock_kind(exclusive: bool) -> &'static str {
    if exclusive { "exclusive" } else { "shared" }
}

/// Snapshots whose tags changed.
#[must_use]
pub fn tagged(n: u64) -> String {
    match n {
        0 => "No snapshot was changed".into(),
        n => plural(n, "1 snapshot has other tags and another id now", |n| {
            format!("{n} snapshots have other tags and other ids now")
        }),
    }
}

/// Snapshots that were written without some paths, or would be.
#[must_use]
pub fn rewritten(n: u64, dry_run: bool) -> String {
    match (n, dry_run) {
        (0, true) => "No snapshot would be changed".into(),
        (0, false) => "No snapshot holds what was to be taken out".into(),
        (n, true) => plural(n, "1 snapshot would be written anew", |n| format!("{n} snapshots would be written anew")),
        (n, false) => plural(n, "1 snapshot was written anew", |n| format!("{n} snapshots were written anew")),
    }
}

/// What that means.
#[must_use]
pub const fn rewritten_means(n: u64, dry_run: bool, forgotten: bool) -> &'static str {
    match (n, dry_run, forgotten) {
        (0, ..) => "",
        (_, true, _) => DRY,
        (_, false, true) => "The originals are gone. Their data goes with the next prune.",
        (_, false, false) => "The originals are still there, with what was taken out of the copies.",
    }
}

/// Snapshots that were repaired, or would be.
#[must_use]
pub fn repaired(n: u64, dry_run: bool) -> String {
    match (n, dry_run) {
        (0, true) => "Nothing would be changed".into(),
        (0, false) => "The repair is done".into(),
        (n, true) => plural(n, "1 snapshot would be replaced", |n| format!("{n} snapshots would be replaced")),
        (n, false) => plural(n, "1 snapshot was replaced", |n| format!("{n} snapshots were replaced")),
    }
}

/// What to do after a repair.
pub const REPAIRED_THEN: &str = "Run a check to see how it is now.";

/// Keys of a repository: one that came or went, or how many there are.
#[must_use]
pub fn keys(n: u64, added: Option<&str>, removed: Option<&str>) -> String {
    match (added, removed) {
        (Some(key), _) => format!("The key {key} was added"),
        (None, Some(key)) => format!("The key {key} was removed"),
        (None, None) => plural(n, "1 key opens the repository", |n| format!("{n} keys open the repository")),
    }
}

/// What is special about a key.
#[must_use]
pub const fn key_note(own: bool, new: bool) -> &'static str {
    match (own, new) {
        (true, _) => "this host\u{2019}s",
        (false, true) => "new",
        (false, false) => "",
    }
}

/// What a test of a connection found.
#[must_use]
pub const fn probed(probe: &ProbeReport) -> &'static str {
    match (probe.exists, probe.password_ok) {
        (false, _) => "There is no repository at the address",
        (true, Some(false)) => "The repository is there, but the password does not open it",
        (true, _) => "The storage answers, and the repository is there",
    }
}

/// What it means.
#[must_use]
pub const fn probed_means(verdict: DeleteVerdict) -> &'static str {
    match verdict {
        DeleteVerdict::AppendOnly => {
            "Proven that this credential cannot delete backups. Nothing was changed by the test."
        }
        DeleteVerdict::CanDelete => {
            "This credential can delete backups. That is right for a maintenance host, and wrong for any other."
        }
        DeleteVerdict::CannotTell => "Whether the credential can delete could not be found out.",
    }
}

/// Whether a repository is there.
#[must_use]
pub const fn exists(exists: bool) -> &'static str {
    if exists { "there" } else { "not there" }
}

/// Whether its password fits.
#[must_use]
pub const fn fits(password_ok: Option<bool>) -> &'static str {
    match password_ok {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not tried",
    }
}

/// Whether a credential can delete.
#[must_use]
pub const fn deletes(verdict: DeleteVerdict) -> &'static str {
    match verdict {
        DeleteVerdict::AppendOnly => "no: it can only append",
        DeleteVerdict::CanDelete => "yes",
        DeleteVerdict::CannotTell => "cannot tell",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_and_several_are_whole_sentences() {
        assert_eq!(snapshots(1), "1 snapshot is in the repository");
        assert_eq!(snapshots(1200), "1,200 snapshots are in the repository");
        assert_eq!(locks(2, 1), "2 locks were removed, 1 is left");
        assert_eq!(locks(1, 2), "1 lock was removed, 2 are left");
        assert_eq!(pruned(None, false), "An unknown amount freed");
        assert_eq!(forgotten_means(0, false), "Their data goes with the next prune.");
        assert_eq!(side(&DiffSide { files: 1, bytes: 1024, ..DiffSide::default() }), "1.0 KiB in 1 file");
        assert_eq!(change("+U"), "added, metadata");
    }
}
