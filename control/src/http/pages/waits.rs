//! What a queued job waits for, in words and with the job that is in its way. Decided in `domain::delivery`.

use super::names::Names;
use super::view::kind_word;
use crate::domain::delivery::WaitsFor;
use crate::domain::job::{Job, JobState};
use crate::http::problem::ApiError;
use crate::service::{Services, jobs};
use crate::words::job::waits as words;
use restic_manager_shared::id::JobId;
use serde::Serialize;

/// What a job waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Waits {
    /// The words, up to the job that is in its way.
    pub text: String,
    /// That job.
    pub job: Option<String>,
    /// What it is called.
    pub name: String,
    /// The words after it.
    pub rest: String,
}

fn plain(text: impl Into<String>) -> Waits {
    Waits { text: text.into(), job: None, name: String::new(), rest: String::new() }
}

/// What a job waits for, if it waits.
///
/// # Errors
/// When the database fails.
pub async fn of(s: &Services, job: &Job, names: &mut Names) -> Result<Option<Waits>, ApiError> {
    let waits = match job.waits_for.filter(|_| job.state == JobState::Queued) {
        None if job.state == JobState::Dispatched => plain(words::OFFERED),
        None => return Ok(None),
        Some(WaitsFor::Host) => plain(words::host(&names.host(s, job.host_id).await?)),
        Some(WaitsFor::Slot) => plain(words::SLOT),
        Some(WaitsFor::FleetLimit) => plain(words::FLEET),
        Some(WaitsFor::Turn { job: other }) => behind(s, other, names, words::turn()).await?,
        Some(WaitsFor::Exclusive { job: other, .. }) => behind(s, other, names, words::exclusive()).await?,
        Some(WaitsFor::Others { job: other, count, .. }) => behind(s, other, names, words::others(count)).await?,
    };
    Ok(Some(waits))
}

async fn behind(s: &Services, other: JobId, names: &mut Names, (text, rest): words::Around) -> Result<Waits, ApiError> {
    let job = jobs::get(s, other).await?;
    let name = words::other(kind_word(job.kind), &names.host(s, job.host_id).await?);
    Ok(Waits { text: text.into(), job: Some(other.to_string()), name, rest })
}
