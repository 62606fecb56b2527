//! Snapshots, as metadata: what restic says of them, tied to the job and schedule that made them.

use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::BackupSummary;
use serde::Serialize;

/// A snapshot in a repository.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Snapshot {
    /// restic's id, 64 hex digits.
    pub id: String,
    /// The repository that holds it.
    pub repository_id: RepositoryId,
    /// The host whose data it is.
    pub host_id: HostId,
    /// The schedule that made it, if one of ours did.
    pub schedule_id: Option<ScheduleId>,
    /// The job that made it, if one of ours did.
    pub job_id: Option<JobId>,
    /// The snapshot's own time.
    pub time: Timestamp,
    /// restic's host name of it.
    pub hostname: String,
    /// restic's user name of it.
    pub username: Option<String>,
    /// What it covers.
    pub paths: Vec<String>,
    /// Its tags, without those that restic-manager gives.
    pub tags: Vec<String>,
    /// The snapshot it was compared with, if known.
    pub parent: Option<String>,
    /// restic's figures about it.
    pub summary: Option<BackupSummary>,
}
