//! Operations: what restic can be asked to do besides a backup, with the parameters that each takes and what comes of it. A parameter is
//! always a value with a type, never a piece of a command line.

pub use super::job_secrets::{JobSecrets, job_seal_name};
use super::restore::{DrillReport, RestoreReport};
use crate::id::RepositoryId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The most entries of a list (`ls`, `find`, `diff`) that travel in one outcome; the rest is counted.
pub const MAX_ENTRIES: usize = 2_000;

/// What `stats` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StatsMode {
    /// The size that a restore would have.
    #[default]
    RestoreSize,
    /// The size of files with the same content counted once.
    FilesByContents,
    /// What is stored: the blobs, compressed.
    RawData,
    /// Blobs, counted for each file.
    BlobsPerFile,
}

/// How much of the stored data `check` reads, besides the structure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "read", rename_all = "snake_case")]
pub enum ReadData {
    /// None: the structure only.
    #[default]
    Nothing,
    /// All of it.
    Everything,
    /// Part `part` of `of` equal parts: after all parts everything was read (`--read-data-subset n/t`).
    Part {
        /// Which, from 1.
        #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 256))]
        part: u32,
        /// Of how many.
        #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 256))]
        of: u32,
    },
    /// A random share in percent.
    Percent {
        /// 1 to 100.
        #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 100))]
        percent: u32,
    },
}

/// How `prune` works. Everything left out has restic's default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct PruneOptions {
    /// Unused data to leave: `5%`, `2G`, `unlimited` (`--max-unused`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_unused: Option<String>,
    /// The most to rewrite in one run, such as `10G` (`--max-repack-size`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_repack_size: Option<String>,
    /// Rewrite packs of metadata only (`--repack-cacheable-only`).
    pub repack_cacheable_only: bool,
    /// Rewrite small packs (`--repack-small`).
    pub repack_small: bool,
    /// Compress what is stored uncompressed (`--repack-uncompressed`).
    pub repack_uncompressed: bool,
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Upload limit in KiB/s; none means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 4_294_967_295_u64))]
    pub limit_upload_kib: Option<u32>,
    /// Download limit in KiB/s; none means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 4_294_967_295_u64))]
    pub limit_download_kib: Option<u32>,
}

/// What `tag` changes. `set` goes with neither of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct TagChange {
    /// Tags to add.
    pub add: Vec<String>,
    /// Tags to take away.
    pub remove: Vec<String>,
    /// These and no others.
    pub set: Option<Vec<String>>,
}

/// A restic process of an ended job, whose lock may have stayed behind. The agent that gets it ran the process itself; it looks once more
/// that the process is gone before it touches the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DeadProcess {
    /// The process id, as the lock names it.
    pub pid: u32,
    /// When its job started: no lock of it is older.
    pub from: Timestamp,
    /// When its job ended: no lock of it is newer, because a living process renews its lock every five minutes.
    pub until: Timestamp,
}

/// A lock in a repository, as restic wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LockRecord {
    /// Its id, 64 hex digits. The holder renews it every five minutes under a new id.
    pub id: String,
    /// When it was made or renewed.
    pub time: Timestamp,
    /// Nobody else may work on the repository meanwhile.
    pub exclusive: bool,
    /// The machine's own name. Two machines may have the same.
    pub hostname: String,
    /// The user there.
    #[serde(default)]
    pub username: String,
    /// The process there.
    pub pid: u32,
}

/// A key of a repository: each opens it with a password of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct KeyRecord {
    /// Its id: 64 hex digits, or the first 8 from restic 0.14.
    pub id: String,
    /// Whether this host's password is its password.
    pub current: bool,
    /// Who made it.
    #[serde(default)]
    pub username: String,
    /// On which machine.
    #[serde(default)]
    pub hostname: String,
    /// When, as restic prints it: local time of the machine that listed it, which the agent sets to UTC.
    #[serde(default)]
    pub created: String,
}

/// A file, folder or link in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Entry {
    /// The whole path in the snapshot.
    pub path: String,
    /// `file`, `dir`, `symlink`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// Bytes; only files have one.
    #[serde(default)]
    pub size: Option<u64>,
    /// When its content was last changed.
    #[serde(default)]
    pub mtime: Option<Timestamp>,
    /// As `ls -l` writes it.
    #[serde(default)]
    pub permissions: String,
    /// The snapshot that it was found in; for `find`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
}

/// A difference between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Change {
    /// The path; a folder's ends in `/`.
    pub path: String,
    /// `+` added, `-` removed, `M` content, `T` type, `U` metadata, or several.
    pub modifier: String,
}

/// One side of a difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DiffSide {
    /// Files.
    pub files: u64,
    /// Folders.
    pub dirs: u64,
    /// Links and the like.
    pub others: u64,
    /// Blobs of data.
    pub data_blobs: u64,
    /// Blobs of metadata.
    pub tree_blobs: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What restic reported as broken.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct CheckReport {
    /// What was read besides the structure.
    pub read_data: ReadData,
    /// How many groups of errors; 0 means sound.
    pub errors: u64,
    /// Packs that are damaged, as far as restic names them.
    pub broken_packs: Vec<String>,
    /// Snapshots that need a damaged or missing piece, as far as it could be found out.
    pub broken_snapshots: Vec<String>,
    /// restic advises `repair index`.
    pub suggest_repair_index: bool,
    /// restic advises `prune`.
    pub suggest_prune: bool,
    /// restic's words for the errors, at most a hundred.
    pub messages: Vec<String>,
}

/// What `stats` counted. What a mode does not count is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct StatsReport {
    /// What was counted.
    pub mode: StatsMode,
    /// Bytes.
    pub total_size: u64,
    /// Files and folders.
    pub total_file_count: Option<u64>,
    /// Blobs.
    pub total_blob_count: Option<u64>,
    /// Snapshots looked at.
    pub snapshots_count: Option<u64>,
    /// Bytes before compression; `raw_data` of restic 0.17 and later.
    pub total_uncompressed_size: Option<u64>,
    /// How many times smaller; `raw_data` of restic 0.17 and later.
    pub compression_ratio: Option<f64>,
    /// Percent of the data that is compressed at all.
    pub compression_progress: Option<f64>,
    /// Percent saved by compression.
    pub compression_space_saving: Option<f64>,
    /// Bytes that are free for the agent where the repository is, if that is a folder of its host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_free: Option<u64>,
    /// Bytes of that file system in all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub storage_total: Option<u64>,
}

/// What `prune` said that it did, or with a dry run would do. Bytes are restic's own, rounded to three decimals of their unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct PruneReport {
    /// Nothing was done.
    pub dry_run: bool,
    /// Bytes to rewrite.
    pub repack_bytes: Option<u64>,
    /// Bytes freed by that.
    pub repack_frees_bytes: Option<u64>,
    /// Bytes in packs that are deleted.
    pub delete_bytes: Option<u64>,
    /// Bytes freed in all.
    pub total_bytes: Option<u64>,
    /// Bytes that remain.
    pub remaining_bytes: Option<u64>,
    /// Bytes of unused data that stay.
    pub unused_bytes: Option<u64>,
}

/// How a snapshot was replaced by another: by `tag` or `rewrite`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Replaced {
    /// The old id.
    pub old: String,
    /// The new one.
    pub new: String,
}

/// Whether a credential can delete at its storage. Found out by asking for the deletion of something that cannot exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum DeleteVerdict {
    /// Proven that it cannot: the storage refuses data and index, and lets only locks go.
    AppendOnly,
    /// It can delete.
    CanDelete,
    /// The storage or what is in between does not say.
    #[default]
    CannotTell,
}

/// What a connection test found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ProbeReport {
    /// A repository is at the address.
    pub exists: bool,
    /// The password opens it; none if there was nothing to open.
    pub password_ok: Option<bool>,
    /// Whether the credential can delete.
    pub can_delete: DeleteVerdict,
    /// What was asked and what the storage answered, for people.
    pub evidence: Vec<String>,
    /// The repository's own id, if it was opened.
    pub repository: Option<String>,
}

/// What came of an operation, beyond how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Outcome {
    /// The snapshots were listed; they travel on their own.
    Snapshots {
        /// How many there are.
        count: u64,
    },
    /// A folder of a snapshot.
    Ls {
        /// Folders and files in restic's order, at most [`MAX_ENTRIES`].
        entries: Vec<Entry>,
        /// How many more there were.
        omitted: u64,
    },
    /// Where something was found.
    Find {
        /// Newest snapshot first, at most [`MAX_ENTRIES`].
        entries: Vec<Entry>,
        /// How many more there were.
        omitted: u64,
    },
    /// Sizes.
    Stats(StatsReport),
    /// Differences.
    Diff {
        /// At most [`MAX_ENTRIES`].
        changes: Vec<Change>,
        /// How many more there were.
        omitted: u64,
        /// Files changed.
        changed_files: u64,
        /// What is only in the second.
        added: DiffSide,
        /// What is only in the first.
        removed: DiffSide,
    },
    /// Whether the repository is sound.
    Check(CheckReport),
    /// Snapshots that are gone now; looked up afterwards, because not every restic tells when the storage refused.
    Forget {
        /// Nothing was done.
        dry_run: bool,
        /// Ids that are gone, or with a dry run would be.
        removed: Vec<String>,
        /// Ids that are still there.
        left: Vec<String>,
    },
    /// Space freed.
    Prune(PruneReport),
    /// Locks.
    Locks {
        /// Those that were removed.
        removed: Vec<LockRecord>,
        /// Those that are there.
        left: Vec<LockRecord>,
    },
    /// Snapshots copied.
    Copy {
        /// How many snapshots were new in the target.
        copied: u64,
        /// How many were there already.
        skipped: u64,
    },
    /// Snapshots that have other ids now.
    Tag {
        /// Old and new ids.
        replaced: Vec<Replaced>,
    },
    /// Snapshots without what was excluded.
    Rewrite {
        /// Nothing was done.
        dry_run: bool,
        /// Old and new ids.
        replaced: Vec<Replaced>,
        /// Whether the old ones are gone.
        forgotten: bool,
    },
    /// A repair was run.
    Repair {
        /// Nothing was done.
        dry_run: bool,
        /// Snapshots that were replaced.
        replaced: Vec<Replaced>,
    },
    /// Keys.
    Keys {
        /// All that there are now.
        keys: Vec<KeyRecord>,
        /// The one that was added.
        added: Option<String>,
        /// The one that was removed.
        removed: Option<String>,
    },
    /// Old caches were removed.
    Cache {
        /// restic's words.
        said: Vec<String>,
    },
    /// Which restic there is.
    Version {
        /// `0.18.0`
        version: String,
    },
    /// What a connection test found.
    Probe(ProbeReport),
    /// The account stands in the storage's file of accounts.
    Account {
        /// Which.
        user: String,
    },
    /// Files were brought back, or with a dry run would be.
    Restore(RestoreReport),
    /// An archive was made.
    Archive {
        /// The file.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// Whether files of a snapshot could be restored.
    Drill(DrillReport),
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// Snapshots of a repository, in parts that fit a request: `POST /agent/v1/jobs/{id}/snapshots`, before the job's end is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotsPart {
    /// The attempt that was claimed.
    pub attempt: i32,
    /// Some of the list. The same part may come twice.
    pub snapshots: Vec<super::job::SnapshotRecord>,
}

/// The repository that snapshots are copied from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CopySource {
    /// Which; the host needs a credential for it too.
    pub repository_id: RepositoryId,
    /// Whole snapshot ids; none for all snapshots of this host.
    #[serde(default)]
    pub snapshots: Vec<String>,
}
