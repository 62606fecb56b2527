//! What stands around the operations of restic where they are asked for: groups, what each needs, and what its form asks. Their titles and what
//! each does are in the operations' own table (`domain::operation`), which the API and the documents show too.

use crate::domain::job::JobKind;
use crate::domain::operation::{Need, Sharing};

/// A group of operations: they change nothing.
pub const LOOK: &str = "Look";
/// A group of operations: they keep a repository in order.
pub const UPKEEP: &str = "Upkeep";
/// A group of operations: they change snapshots.
pub const CHANGE: &str = "Change";
/// A group of operations.
pub const KEYS: &str = "Keys and hosts";

/// Where an operation is asked for, if it has no form of its own.
#[must_use]
pub const fn elsewhere(kind: JobKind) -> Option<&'static str> {
    match kind {
        JobKind::Backup => Some("Run now on a schedule of a host."),
        JobKind::KeyAdd => Some("Change the password, under Settings: it adds the new key before it removes the old."),
        JobKind::WriteAccount => Some("Make an account, under Hosts."),
        JobKind::Restore | JobKind::Archive => Some("Browse a snapshot of a host, and tick what to bring back."),
        JobKind::Drill => Some("Restore drills of a schedule."),
        _ => None,
    }
}

/// What a host must have for it.
#[must_use]
pub const fn need(need: Need) -> &'static str {
    match need {
        Need::Nothing => "no credential",
        Need::Any => "any credential",
        Need::Full => "full credential",
    }
}

/// How it goes with other jobs on the repository.
#[must_use]
pub const fn sharing(sharing: Sharing) -> &'static str {
    match sharing {
        Sharing::Free => "waits for nobody",
        Sharing::Shared => "runs beside others",
        Sharing::Exclusive => "runs alone",
    }
}

/// The fields of the forms.
pub mod form {
    /// What stands above a field, and below it.
    pub type Words = (&'static str, &'static str);

    /// Snapshots that must be named.
    pub const SNAPSHOTS: Words =
        ("Snapshots", "Whole ids, one on each line. Ticking them under Snapshots fills them in.");
    /// Snapshots that may be named.
    pub const SOME: Words = ("Only these snapshots", "Whole ids, one on each line. Empty means all.");
    /// Whether nothing is done.
    pub const DRY_RUN: Words = ("Dry run", "Say what would be done, and do nothing.");
    /// How fast at most.
    pub const LIMIT_DOWN: Words = ("Download limit", "KiB/s; empty means no limit.");
    /// How fast at most.
    pub const LIMIT_UP: Words = ("Upload limit", "KiB/s; empty means no limit.");
    /// What a check reads.
    pub const READ: Words = ("Test", "Reading data takes long and costs traffic.");
    /// A choice of it.
    pub const READ_NOTHING: &str = "the structure only";
    /// A choice of it.
    pub const READ_PERCENT: &str = "and a random share of the data";
    /// A choice of it.
    pub const READ_PART: &str = "and one part of the data";
    /// A choice of it.
    pub const READ_EVERYTHING: &str = "and all data";
    /// How large a share a check reads.
    pub const PERCENT: Words = ("Share", "Percent, for a random share.");
    /// Which part a check reads.
    pub const PART: Words = ("Part", "Which, for one part.");
    /// Of how many.
    pub const PARTS: Words = ("Of", "How many parts, at most 256.");
    /// What is counted.
    pub const MODE: Words = ("Count", "");
    /// A choice of it.
    pub const COUNT_STORED: &str = "what is stored";
    /// A choice of it.
    pub const COUNT_RESTORED: &str = "what a restore would write";
    /// A choice of it.
    pub const COUNT_FILES: &str = "files, equal ones once";
    /// A choice of it.
    pub const COUNT_BLOBS: &str = "blobs, for each file";
    /// Whose snapshots are listed.
    pub const ALL_HOSTS: Words = ("Of all hosts", "Otherwise of the host that lists.");
    /// Which locks are removed.
    pub const REMOVE_ALL: Words = ("All locks", "Also those of jobs that run now.");
    /// How an index is repaired.
    pub const READ_ALL_PACKS: Words = ("Read all packs", "Takes long.");
    /// A key of the repository.
    pub const KEY: Words = ("Key", "Its id, as List keys shows it.");
    /// One snapshot.
    pub const SNAPSHOT: Words = ("Snapshot", "Its whole id.");
    /// A folder of it.
    pub const FOLDER: Words = ("Folder", "Such as /srv; / is the top.");
    /// How deep.
    pub const RECURSIVE: Words = ("And all below it", "");
    /// What is looked for.
    pub const PATTERN: Words = ("Name", "A name or pattern, such as *.odt.");
    /// How it is looked for.
    pub const IGNORE_CASE: Words = ("Upper and lower case are the same", "");
    /// What is compared.
    pub const FROM: Words = ("Older snapshot", "Its whole id.");
    /// With what.
    pub const TO: Words = ("Newer snapshot", "Its whole id.");
    /// How it is compared.
    pub const METADATA: Words = ("Changes of metadata count too", "");
    /// What a prune leaves.
    pub const MAX_UNUSED: Words = ("Unused data may stay", "5%, 2G or unlimited; empty means restic\u{2019}s 5%.");
    /// What a prune rewrites at most.
    pub const MAX_REPACK_SIZE: Words = ("Rewrite at most", "Such as 10G; empty means no limit.");
    /// What a prune rewrites.
    pub const CACHEABLE_ONLY: Words = ("Rewrite metadata only", "");
    /// What a prune rewrites.
    pub const REPACK_SMALL: Words = ("Rewrite small packs", "");
    /// What a prune rewrites.
    pub const REPACK_UNCOMPRESSED: Words = ("Compress what is not", "");
    /// The repository that is copied from.
    pub const SOURCE: Words = ("From", "The host needs a credential for it too.");
    /// Tags to add.
    pub const ADD_TAGS: Words = ("Add tags", "Separate with commas.");
    /// Tags to remove.
    pub const REMOVE_TAGS: Words = ("Take tags away", "");
    /// All tags.
    pub const SET_TAGS: Words = ("These tags and no others", "Goes with neither of the two before.");
    /// What is taken out of history.
    pub const EXCLUDES: Words = ("Take out", "restic\u{2019}s patterns, one on each line.");
    /// What becomes of the snapshots from before.
    pub const FORGET_ORIGINALS: Words =
        ("Remove the originals afterwards", "Otherwise what was taken out is still there.");
    /// Packs that are damaged.
    pub const PACKS: Words = ("Damaged packs", "Whole ids, one on each line, as a check names them.");
    /// What becomes of the damaged snapshots.
    pub const FORGET_DAMAGED: Words = ("Remove the damaged originals afterwards", "");
}
