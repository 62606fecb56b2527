//! Jobs on the wire: offer, claim, finish.

pub use super::cause::{Cause, CauseCode};
use super::operation::{CopySource, DeadProcess, Outcome, PruneOptions, ReadData, StatsMode, TagChange};
use super::state::BackupSpec;
use crate::id::{JobId, RepositoryId, ScheduleId};
use crate::seal::Sealed;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A job that waits for its host. The agent journals it, then claims it; only a claim that wins may start restic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Offer {
    /// The job.
    pub id: JobId,
    /// Which offer of it this is; a claim for an older one is refused.
    pub attempt: i32,
    /// The schedule it belongs to, if any.
    #[serde(default)]
    pub schedule_id: Option<ScheduleId>,
    /// The desired state that the job was made for: the agent must hold at least this version before it starts.
    pub state_version: i64,
    /// What to do.
    pub task: Task,
    /// The address of the repository for this job, where it is not the host's own: the maintenance host works on other hosts' too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository_url: Option<String>,
    /// [`super::operation::JobSecrets`] as JSON, sealed for the use [`super::operation::job_seal_name`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets: Option<Sealed>,
}

/// What a job does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
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

/// `POST /agent/v1/jobs/{id}/claim`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimRequest {
    /// The attempt that was offered.
    pub attempt: i32,
}

/// The claim is won: start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ClaimResponse {
    /// Seconds that the job lives without a sign from the agent.
    pub lease: u32,
}

/// `POST /agent/v1/jobs/{id}/finish`. Kept on the agent's disk until it is answered with 200.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FinishReport {
    /// The attempt that was claimed.
    pub attempt: i32,
    /// How it ended.
    pub end: End,
    /// Why, unless it succeeded.
    #[serde(default)]
    pub cause: Option<Cause>,
    /// restic's exit status; none if it did not exit by itself.
    #[serde(default)]
    pub exit_code: Option<i32>,
    /// When restic started, by the agent's clock corrected by the server's.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// What a backup did.
    #[serde(default)]
    pub summary: Option<BackupSummary>,
    /// Snapshots that the job made or listed.
    #[serde(default)]
    pub snapshots: Vec<SnapshotRecord>,
    /// Whether `snapshots` is everything that this host has in the repository: what is not in it is gone.
    #[serde(default)]
    pub snapshots_complete: bool,
    /// Items that could not be read or written, at most [`MAX_ITEM_ERRORS`].
    #[serde(default)]
    pub item_errors: Vec<ItemError>,
    /// How many more there were.
    #[serde(default)]
    pub item_errors_omitted: u64,
    /// The restic command line, secrets out.
    #[serde(default)]
    pub command: Option<String>,
    /// The restic version that ran.
    #[serde(default)]
    pub restic_version: Option<String>,
    /// What came of it, for operations other than a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The restic processes that it ran, all of them gone: a lock that names one of them is nobody's any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pids: Vec<u32>,
}

/// The most item errors that a report carries.
pub const MAX_ITEM_ERRORS: usize = 200;

/// How a job ended, as the agent saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// restic ended with 0 and said what it did.
    Succeeded,
    /// There is a snapshot, but some of the source could not be read (restic's exit status 3).
    Warning,
    /// It did not work.
    Failed,
    /// Somebody asked for it to stop.
    Cancelled,
}

/// One path that restic could not handle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemError {
    /// The path; empty when restic did not name one.
    pub item: String,
    /// What restic said.
    pub message: String,
}

/// What a backup did, in restic's own figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BackupSummary {
    /// Files not in the parent snapshot.
    pub files_new: u64,
    /// Files that differ from the parent's.
    pub files_changed: u64,
    /// Files as in the parent.
    pub files_unmodified: u64,
    /// Folders not in the parent.
    pub dirs_new: u64,
    /// Folders that differ.
    pub dirs_changed: u64,
    /// Folders as in the parent.
    pub dirs_unmodified: u64,
    /// Bytes of new data before compression.
    pub data_added: u64,
    /// Bytes added to the repository; restic 0.17 and later say it.
    pub data_added_packed: Option<u64>,
    /// Files looked at.
    pub total_files_processed: u64,
    /// Bytes looked at.
    pub total_bytes_processed: u64,
    /// Seconds from start to end.
    pub total_duration: f64,
    /// The snapshot, 64 hex digits; none when nothing changed and none was made.
    pub snapshot_id: Option<String>,
}

/// A snapshot's metadata, as restic lists it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SnapshotRecord {
    /// 64 hex digits.
    pub id: String,
    /// The snapshot's own time. Not proof of anything: whoever writes a snapshot chooses it.
    pub time: Timestamp,
    /// restic's host name of it.
    pub hostname: String,
    /// restic's user name of it.
    #[serde(default)]
    pub username: Option<String>,
    /// What it covers.
    pub paths: Vec<String>,
    /// Its tags.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The snapshot it was compared with; not known right after a backup.
    #[serde(default)]
    pub parent: Option<String>,
    /// restic's figures about it, where the snapshot carries them.
    #[serde(default)]
    pub summary: Option<BackupSummary>,
}

/// The tag that ties a snapshot to its schedule, should the control plane's records be lost.
#[must_use]
pub fn schedule_tag(id: ScheduleId) -> String {
    format!("rm-schedule-{id}")
}

/// The tag that ties a snapshot to its job.
#[must_use]
pub fn job_tag(id: JobId) -> String {
    format!("rm-job-{id}")
}
