//! What jobs do: each kind of task with its parameters. How a job is offered, claimed and ended is in [`super::job`].

use super::operation::{CopySource, DeadProcess, PruneOptions, ReadData, StatsMode, TagChange};
use super::restore::{ArchiveFormat, Overwrite, RestoreTarget};
use super::state::BackupSpec;
use crate::id::RepositoryId;
use serde::{Deserialize, Serialize};

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // a handful are in memory at once
pub enum Task {
    /// Make a snapshot.
    Backup {
        /// Where to.
        repository_id: RepositoryId,
        /// What.
        backup: BackupSpec,
        /// Say what would be done, and make none.
        #[serde(default, skip_serializing_if = "is_false")]
        dry_run: bool,
    },
    /// Make the repository at its address.
    Init {
        /// Which.
        repository_id: RepositoryId,
    },
    /// List the snapshots of this host in the repository, or of all hosts.
    Snapshots {
        /// Which.
        repository_id: RepositoryId,
        /// Everybody's.
        #[serde(default, skip_serializing_if = "is_false")]
        all_hosts: bool,
    },
    /// List a folder of a snapshot.
    Ls {
        /// Which repository.
        repository_id: RepositoryId,
        /// The whole snapshot id.
        snapshot: String,
        /// The folder; `/` for the top.
        path: String,
        /// And all below it.
        #[serde(default)]
        recursive: bool,
    },
    /// Look for names.
    Find {
        /// Which repository.
        repository_id: RepositoryId,
        /// A name or glob.
        pattern: String,
        /// Whole snapshot ids; none for all of this host.
        #[serde(default)]
        snapshots: Vec<String>,
        /// Upper and lower case are the same.
        #[serde(default)]
        ignore_case: bool,
    },
    /// Count.
    Stats {
        /// Which repository.
        repository_id: RepositoryId,
        /// What.
        mode: StatsMode,
        /// Whole snapshot ids; none for everything in the repository.
        #[serde(default)]
        snapshots: Vec<String>,
    },
    /// Compare two snapshots.
    Diff {
        /// Which repository.
        repository_id: RepositoryId,
        /// The older, a whole id.
        from: String,
        /// The newer, a whole id.
        to: String,
        /// Changes of metadata count too.
        #[serde(default)]
        metadata: bool,
    },
    /// Test that the repository is sound.
    Check {
        /// Which repository.
        repository_id: RepositoryId,
        /// How much of the data to read.
        #[serde(default)]
        read_data: ReadData,
        /// Download limit in KiB/s; none means no limit.
        #[serde(default)]
        limit_download_kib: Option<u32>,
    },
    /// Remove snapshots by their ids. A policy never travels: what it keeps is worked out by the control plane.
    Forget {
        /// Which repository.
        repository_id: RepositoryId,
        /// Whole ids, at least one.
        snapshots: Vec<String>,
        /// Say what would be done, and do nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// Free the space that no snapshot needs.
    Prune {
        /// Which repository.
        repository_id: RepositoryId,
        /// How.
        #[serde(default)]
        options: PruneOptions,
    },
    /// Remove locks: those of dead processes of this host; or all, if a person says so.
    Unlock {
        /// Which repository.
        repository_id: RepositoryId,
        /// Processes of this host whose locks may go.
        #[serde(default)]
        dead: Vec<DeadProcess>,
        /// All locks, also of those that work.
        #[serde(default)]
        remove_all: bool,
    },
    /// List the locks.
    Locks {
        /// Which repository.
        repository_id: RepositoryId,
    },
    /// Copy snapshots into this repository.
    Copy {
        /// The target.
        repository_id: RepositoryId,
        /// From where.
        from: CopySource,
    },
    /// Change tags of snapshots; they get new ids by it.
    Tag {
        /// Which repository.
        repository_id: RepositoryId,
        /// Whole ids, at least one.
        snapshots: Vec<String>,
        /// How.
        change: TagChange,
    },
    /// Take paths out of snapshots; they get new ids by it.
    Rewrite {
        /// Which repository.
        repository_id: RepositoryId,
        /// Whole ids, at least one.
        snapshots: Vec<String>,
        /// restic exclude patterns of what goes.
        excludes: Vec<String>,
        /// Remove the old snapshots afterwards.
        #[serde(default)]
        forget: bool,
        /// Say what would be done, and do nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// Make the index anew.
    RepairIndex {
        /// Which repository.
        repository_id: RepositoryId,
        /// Read all packs instead of trusting what the index says.
        #[serde(default)]
        read_all_packs: bool,
    },
    /// Save what can be saved of damaged packs.
    RepairPacks {
        /// Which repository.
        repository_id: RepositoryId,
        /// Whole ids, at least one.
        packs: Vec<String>,
    },
    /// Make snapshots usable again that miss pieces, without those.
    RepairSnapshots {
        /// Which repository.
        repository_id: RepositoryId,
        /// Whole ids; none for all.
        #[serde(default)]
        snapshots: Vec<String>,
        /// Remove the damaged ones afterwards.
        #[serde(default)]
        forget: bool,
        /// Say what would be done, and do nothing.
        #[serde(default)]
        dry_run: bool,
    },
    /// List the keys.
    KeyList {
        /// Which repository.
        repository_id: RepositoryId,
    },
    /// Add a key; its password is among the job's own secrets.
    KeyAdd {
        /// Which repository.
        repository_id: RepositoryId,
    },
    /// Remove a key.
    KeyRemove {
        /// Which repository.
        repository_id: RepositoryId,
        /// Its id.
        key: String,
    },
    /// Remove caches on the host that no repository has used for a month.
    CacheCleanup {},
    /// Say which restic there is.
    Version {},
    /// Test the connection: does it answer, is it a repository, does the password fit, can the credential delete.
    Probe {
        /// Which repository.
        repository_id: RepositoryId,
    },
    /// Write an account of a host into the storage's file of accounts, which this host's policy must allow.
    WriteAccount {
        /// The repository whose storage it is.
        repository_id: RepositoryId,
        /// The account's name; its line is among the job's own secrets.
        user: String,
    },
    /// Bring files back from a snapshot. With `repository` among the job's own secrets the host needs no credential of its own.
    Restore {
        /// Which repository.
        repository_id: RepositoryId,
        /// The whole snapshot id.
        snapshot: String,
        /// What: paths as restic lists them; folders with all below them. None for everything.
        #[serde(default)]
        paths: Vec<String>,
        /// Where to.
        target: RestoreTarget,
        /// What becomes of files that are there already.
        #[serde(default)]
        overwrite: Overwrite,
        /// Remove what is in the restored folders and not in the snapshot.
        #[serde(default, skip_serializing_if = "is_false")]
        delete: bool,
        /// Read back what was written, and compare.
        #[serde(default, skip_serializing_if = "is_false")]
        verify: bool,
        /// Say what would be done, and do nothing.
        #[serde(default, skip_serializing_if = "is_false")]
        dry_run: bool,
    },
    /// Make an archive of a folder of a snapshot, as a file on the host.
    Archive {
        /// Which repository.
        repository_id: RepositoryId,
        /// The whole snapshot id.
        snapshot: String,
        /// The folder or file; `/` for all.
        path: String,
        /// Of which format.
        #[serde(default)]
        format: ArchiveFormat,
        /// The file to make: an absolute path on the host where nothing is yet.
        target: String,
    },
    /// Prove that a snapshot can be restored: bring some of its files back to a scratch folder, compare them, and remove them.
    Drill {
        /// Which repository.
        repository_id: RepositoryId,
        /// The whole snapshot id.
        snapshot: String,
        /// These files: those whose last proof is oldest. What is not in the snapshot is left out and said.
        #[serde(default)]
        paths: Vec<String>,
        /// And so many more by chance.
        #[serde(default)]
        random: u32,
        /// No more bytes than this in all; 0 for no limit.
        #[serde(default)]
        max_bytes: u64,
    },
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde wants a reference
const fn is_false(flag: &bool) -> bool {
    !*flag
}

impl Task {
    /// The repository that it works on, if it works on one.
    #[must_use]
    pub const fn repository_id(&self) -> Option<RepositoryId> {
        match self {
            Self::Backup { repository_id, .. }
            | Self::Init { repository_id }
            | Self::Snapshots { repository_id, .. }
            | Self::Ls { repository_id, .. }
            | Self::Find { repository_id, .. }
            | Self::Stats { repository_id, .. }
            | Self::Diff { repository_id, .. }
            | Self::Check { repository_id, .. }
            | Self::Forget { repository_id, .. }
            | Self::Prune { repository_id, .. }
            | Self::Unlock { repository_id, .. }
            | Self::Locks { repository_id }
            | Self::Copy { repository_id, .. }
            | Self::Tag { repository_id, .. }
            | Self::Rewrite { repository_id, .. }
            | Self::RepairIndex { repository_id, .. }
            | Self::RepairPacks { repository_id, .. }
            | Self::RepairSnapshots { repository_id, .. }
            | Self::KeyList { repository_id }
            | Self::KeyAdd { repository_id }
            | Self::KeyRemove { repository_id, .. }
            | Self::Probe { repository_id }
            | Self::Restore { repository_id, .. }
            | Self::Archive { repository_id, .. }
            | Self::Drill { repository_id, .. }
            | Self::WriteAccount { repository_id, .. } => Some(*repository_id),
            Self::CacheCleanup {} | Self::Version {} => None,
        }
    }

    /// The repository in which it waits for its turn on the host: one job at a time. What takes no lock there waits for nobody.
    #[must_use]
    pub const fn lane(&self) -> Option<RepositoryId> {
        match self {
            Self::Probe { .. } | Self::Locks { .. } | Self::Unlock { .. } | Self::WriteAccount { .. } => None,
            _ => self.repository_id(),
        }
    }
}
