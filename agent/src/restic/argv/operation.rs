//! What restic can be asked to do, with everything that it needs to know for it: one of these is one command line.

use super::{Backup, Restore};
use crate::restic::command::Command;
use crate::restic::needs::Ability;
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::wire::operation::{PruneOptions, ReadData, StatsMode, TagChange};
use restic_manager_shared::wire::restore::ArchiveFormat;
use std::path::Path;

/// What restic is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // the fields are those of the tasks on the wire, which explain them
pub enum Operation<'a> {
    /// Make a snapshot.
    Backup(Backup<'a>),
    /// Make the repository.
    Init,
    /// List snapshots with all that is known of them: those that the ids name; without ids this host's, or everybody's.
    Snapshots { ids: &'a [String], all_hosts: bool },
    /// List the ids of all snapshots, without a lock.
    ListSnapshots,
    /// List the ids of the locks.
    ListLocks,
    /// Show a lock.
    CatLock { id: &'a str },
    /// Show the repository's own settings: the cheapest proof that the password fits.
    CatConfig,
    /// List a folder of a snapshot.
    Ls { snapshot: &'a str, path: &'a str, recursive: bool },
    /// Look for names.
    Find { pattern: &'a str, snapshots: &'a [String], ignore_case: bool },
    /// Look which snapshots need these packs.
    FindPacks { packs: &'a [String] },
    /// Look whether a snapshot, or any, has folders that cannot be read, by looking for a name that nothing has.
    FindUnreadable { snapshot: Option<&'a str> },
    /// Count.
    Stats { mode: StatsMode, snapshots: &'a [String] },
    /// Compare.
    Diff { from: &'a str, to: &'a str, metadata: bool },
    /// Test.
    Check { read_data: ReadData, limit_download_kib: Option<u32> },
    /// Remove snapshots.
    Forget { ids: &'a [String], dry_run: bool },
    /// Free space.
    Prune { options: &'a PruneOptions },
    /// Remove locks: stale ones, or all.
    Unlock { all: bool },
    /// Copy snapshots from the repository that the environment names.
    Copy { snapshots: &'a [String] },
    /// Change tags.
    Tag { snapshots: &'a [String], change: &'a TagChange },
    /// Take paths out.
    Rewrite { snapshots: &'a [String], excludes: &'a [String], forget: bool, dry_run: bool },
    /// Make the index anew.
    RepairIndex { read_all_packs: bool },
    /// Save what can be saved of packs.
    RepairPacks { packs: &'a [String] },
    /// Make snapshots usable again.
    RepairSnapshots { snapshots: &'a [String], forget: bool, dry_run: bool },
    /// List the keys.
    KeyList,
    /// Add a key, whose password is in the file.
    KeyAdd { password_file: &'a Path },
    /// Remove a key.
    KeyRemove { key: &'a str },
    /// Remove old caches.
    CacheCleanup,
    /// Bring files back.
    Restore(Restore<'a>),
    /// Print a folder as an archive.
    Dump { snapshot: &'a str, path: &'a str, format: ArchiveFormat },
    /// List everything in a snapshot.
    Tree { snapshot: &'a str },
}

impl Operation<'_> {
    /// The command that it is for restic.
    #[must_use]
    pub const fn command(&self) -> Command {
        match self {
            Self::Backup(_) => Command::Backup,
            Self::Init => Command::Init,
            Self::Snapshots { .. } => Command::Snapshots,
            Self::ListSnapshots | Self::ListLocks => Command::List,
            Self::CatLock { .. } | Self::CatConfig => Command::Cat,
            Self::Ls { .. } => Command::Ls,
            Self::Find { .. } | Self::FindPacks { .. } | Self::FindUnreadable { .. } => Command::Find,
            Self::Stats { .. } => Command::Stats,
            Self::Diff { .. } => Command::Diff,
            Self::Check { .. } => Command::Check,
            Self::Forget { .. } => Command::Forget,
            Self::Prune { .. } => Command::Prune,
            Self::Unlock { .. } => Command::Unlock,
            Self::Copy { .. } => Command::Copy,
            Self::Tag { .. } => Command::Tag,
            Self::Rewrite { .. } => Command::Rewrite,
            Self::RepairIndex { .. } => Command::RepairIndex,
            Self::RepairPacks { .. } => Command::RepairPacks,
            Self::RepairSnapshots { .. } => Command::RepairSnapshots,
            Self::KeyList => Command::KeyList,
            Self::KeyAdd { .. } => Command::KeyAdd,
            Self::KeyRemove { .. } => Command::KeyRemove,
            Self::CacheCleanup => Command::Cache,
            Self::Restore(_) => Command::Restore,
            Self::Dump { .. } => Command::Dump,
            Self::Tree { .. } => Command::Ls,
        }
    }

    /// What this version lacks to do it at all.
    #[must_use]
    pub fn lacks(&self, version: Version) -> Option<Ability> {
        let needed = match self {
            Self::Rewrite { .. } => Ability::Rewrite,
            Self::RepairPacks { .. } => Ability::RepairPacks,
            Self::RepairSnapshots { .. } => Ability::RepairSnapshots,
            Self::Restore(restore) if restore.needs_plans() => Ability::RestorePlans,
            Self::Restore(_)
            | Self::Dump { .. }
            | Self::Tree { .. }
            | Self::Backup(_)
            | Self::Init
            | Self::Snapshots { .. }
            | Self::ListSnapshots
            | Self::ListLocks
            | Self::CatLock { .. }
            | Self::CatConfig
            | Self::Ls { .. }
            | Self::Find { .. }
            | Self::FindPacks { .. }
            | Self::FindUnreadable { .. }
            | Self::Stats { .. }
            | Self::Diff { .. }
            | Self::Check { .. }
            | Self::Forget { .. }
            | Self::Prune { .. }
            | Self::Unlock { .. }
            | Self::Copy { .. }
            | Self::Tag { .. }
            | Self::RepairIndex { .. }
            | Self::KeyList
            | Self::KeyAdd { .. }
            | Self::KeyRemove { .. }
            | Self::CacheCleanup => return None,
        };
        (!needed.is_in(version)).then_some(needed)
    }
}
