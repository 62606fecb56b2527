//! The restore wizard: snapshot, files, target, preview, run. Each step is a page and a form, so it works without script, and what was chosen is
//! kept: whoever leaves half-way finds it again.

pub mod files;
pub mod find;
pub mod start;
pub mod target;

use super::names::Names;
use crate::domain::snapshot::Snapshot;
use crate::http::problem::ApiError;
use crate::service::restores::Opened;
use crate::service::{ActError, Noun, Services};
use crate::words::Moment;
use crate::words::things;
use restic_manager_shared::time::Timestamp;
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
            at: Moment::new(snapshot.time, Timestamp::now()),
            short: snapshot.id.chars().take(8).collect(),
            repository: repository.unwrap_or_else(|| things::REPOSITORY.into()),
            ticked: opened.restore.draft.paths.iter().cloned().collect(),
        })
    }
}

/// The snapshot, if it is still there.
fn there(opened: &Opened) -> Result<&Snapshot, ApiError> {
    opened.snapshot.as_ref().ok_or_else(|| ActError::NotFound(Noun::Snapshot).into())
}
