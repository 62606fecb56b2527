//! The commands of restic that the agent uses, and what differs between them: how long each waits for a lock, and what may have been done
//! when it is stopped in the middle. A command is restic's word; what a job needs of several commands is the performer's business.

/// Which command runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `backup`.
    Backup,
    /// `init`.
    Init,
    /// `snapshots`.
    Snapshots,
    /// `list snapshots` or `list locks`.
    List,
    /// `cat lock` or `cat config`.
    Cat,
    /// `ls`.
    Ls,
    /// `find`.
    Find,
    /// `stats`.
    Stats,
    /// `diff`.
    Diff,
    /// `check`.
    Check,
    /// `forget`.
    Forget,
    /// `prune`.
    Prune,
    /// `unlock`.
    Unlock,
    /// `copy`.
    Copy,
    /// `tag`.
    Tag,
    /// `rewrite`.
    Rewrite,
    /// `repair index`, of old versions `rebuild-index`.
    RepairIndex,
    /// `repair packs`.
    RepairPacks,
    /// `repair snapshots`.
    RepairSnapshots,
    /// `key list`.
    KeyList,
    /// `key add`.
    KeyAdd,
    /// `key remove`.
    KeyRemove,
    /// `cache --cleanup`.
    Cache,
    /// `restore`.
    Restore,
    /// `dump`.
    Dump,
}

impl Command {
    /// How long restic waits for a lock, where it knows how to (`--retry-lock`). Work on the whole repository waits longer: a backup in
    /// its way ends, and nobody sits in front of it.
    #[must_use]
    pub const fn patience(self) -> Option<&'static str> {
        match self {
            Self::Backup
            | Self::Snapshots
            | Self::Ls
            | Self::Find
            | Self::Stats
            | Self::Diff
            | Self::KeyList
            | Self::Restore
            | Self::Dump
            | Self::Copy => Some("5m"),
            Self::Check
            | Self::Forget
            | Self::Prune
            | Self::Tag
            | Self::Rewrite
            | Self::RepairIndex
            | Self::RepairPacks
            | Self::RepairSnapshots
            | Self::KeyAdd
            | Self::KeyRemove => Some("15m"),
            // These take no lock, or are asked not to.
            Self::Init | Self::List | Self::Cat | Self::Unlock | Self::Cache => None,
        }
    }

    /// What is true of the repository when it was stopped in the middle.
    #[must_use]
    pub const fn when_stopped(self) -> &'static str {
        match self {
            Self::Backup => "restic was stopped and made no snapshot",
            Self::Init => "restic was stopped; a part of the repository may be there already",
            Self::Snapshots
            | Self::List
            | Self::Cat
            | Self::Ls
            | Self::Find
            | Self::Stats
            | Self::Diff
            | Self::KeyList => "restic was stopped; it had only looked",
            Self::Check => "restic was stopped before it had looked at everything; nothing is known of the rest",
            Self::Forget => "restic was stopped; some of the snapshots may be gone already",
            Self::Prune => {
                "restic was stopped; no snapshot lost anything, and what was not freed yet the next prune will free"
            }
            Self::Unlock => "restic was stopped; some of the locks may be gone already",
            Self::Copy => {
                "restic was stopped; snapshots that were copied already stay, and the next copy goes on from there"
            }
            Self::Tag => "restic was stopped; some of the snapshots may be changed already",
            Self::Rewrite | Self::RepairSnapshots => {
                "restic was stopped; some of the snapshots may be replaced already, the others are as they were"
            }
            Self::RepairIndex => "restic was stopped; the index is as it was or partly made anew, so run it again",
            Self::RepairPacks => "restic was stopped; run it again before anything else",
            Self::KeyAdd => "restic was stopped; the key may have been added already",
            Self::KeyRemove => "restic was stopped; the key may be gone already",
            Self::Cache => "restic was stopped; some of the old caches may be gone already",
            Self::Restore => {
                "restic was stopped; what was restored so far stays at the target, some of it may be incomplete, and the same restore \
                 again, overwriting what has changed, completes it"
            }
            Self::Dump => "restic was stopped; the archive was removed",
        }
    }
}
