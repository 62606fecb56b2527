//! Jobs on the wire: offer, claim, finish.

pub use super::cause::{Cause, CauseCode};
use super::operation::Outcome;
pub use super::task::Task;
use crate::id::{JobId, ScheduleId};
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
