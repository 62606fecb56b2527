//! The restore wizard: snapshot, files, target, preview, run. Each step is a page and a form, so it works without script, and what was chosen is
//! kept: whoever leaves half-way finds it again.

pub mod calendar;
pub mod files;
pub mod find;
pub mod start;
pub mod target;
pub mod would;

use super::names::Names;
use crate::domain::job::{Job, JobKind};
use crate::domain::snapshot::Snapshot;
use crate::http::problem::ApiError;
use crate::service::restores::Opened;
use crate::service::{ActError, Noun, Services, restores};
use crate::words::job::IN_PLACE;
use crate::words::{Moment, things};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::restore::RestoreTarget;
use serde::Serialize;

/// What stands above and beside each step.
#[derive(Debug, Serialize)]
pub struct Head {
    /// The restore's identity.
    pub id: String,
    /// Which step this is, from 2.
    pub step: u8,
    /// Whose files they are.
    pub from: String,
    /// Their host's identity, if it is one of ours.
    pub host_id: Option<String>,
    /// Files in the snapshot and their bytes, where that is known.
    pub whole: Option<(u64, u64)>,
    /// When the snapshot was taken.
    pub at: Moment,
    /// The snapshot's first eight digits.
    pub short: String,
    /// The repository's name.
    pub repository: String,
    /// What was ticked.
    pub ticked: Vec<String>,
}

impl Head {
    async fn of(s: &Services, opened: &Opened, step: u8, names: &mut Names) -> Result<Self, ApiError> {
        let snapshot = there(opened)?;
        let from = match snapshot.host_id {
            Some(host) => names.host(s, host).await?,
            None => snapshot.hostname.clone(),
        };
        let repository = names.repository(s, snapshot.repository_id).await?;
        Ok(Self {
            id: opened.restore.id.to_string(),
            step,
            from,
            host_id: snapshot.host_id.map(|id| id.to_string()),
            whole: snapshot.summary.as_ref().map(|s| (s.total_files_processed, s.total_bytes_processed)),
            at: Moment::new(snapshot.time, Timestamp::now()),
            short: snapshot.id.chars().take(8).collect(),
            repository: repository.unwrap_or_else(|| things::REPOSITORY.into()),
            ticked: opened.restore.draft.paths.iter().cloned().collect(),
        })
    }
}

/// A restore whose job runs or has run, as its job's page shows it.
#[derive(Debug, Serialize)]
pub struct Ran {
    /// What stands above each step.
    pub head: Head,
    /// The place.
    pub place: String,
    /// It is a folder, whose path can be copied.
    pub folder: bool,
}

impl Ran {
    /// The restore that a job does, if somebody put one together; none once its snapshot is gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(s: &Services, job: &Job, names: &mut Names) -> Result<Option<Self>, ApiError> {
        if job.kind != JobKind::Restore {
            return Ok(None);
        }
        let Some(opened) = restores::of_job(s, job.id).await?.filter(|opened| opened.snapshot.is_some()) else {
            return Ok(None);
        };
        let head = Head::of(s, &opened, if job.state.finished() { 6 } else { 5 }, names).await?;
        let (place, folder) = match &opened.restore.draft.target {
            Some(RestoreTarget::Folder { path }) => (path.clone(), true),
            Some(RestoreTarget::Original) | None => (IN_PLACE.into(), false),
        };
        Ok(Some(Self { head, place, folder }))
    }
}

/// The snapshot, if it is still there.
fn there(opened: &Opened) -> Result<&Snapshot, ApiError> {
    opened.snapshot.as_ref().ok_or_else(|| ActError::NotFound(Noun::Snapshot).into())
}
