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
    /// The host whose data it is; none if restic's host name of it is no host here.
    pub host_id: Option<HostId>,
    /// Whose own repository holds it, where the repository's address holds `{host}`.
    pub of_host_id: Option<HostId>,
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
    /// A job of ours reported it, and its time lies in that job's time. Only such a snapshot may displace others.
    pub attested: bool,
}
