//! What a queued job waits for, in words and with the job that is in its way. Decided in `domain::delivery`.

use super::names::Names;
use super::view::kind_word;
use crate::domain::delivery::WaitsFor;
use crate::domain::job::{Job, JobState};
use crate::http::problem::ApiError;
use crate::service::{Services, jobs};
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
        None if job.state == JobState::Dispatched => plain("It is offered to the host, which takes it now."),
        None => return Ok(None),
        Some(WaitsFor::Host) => {
            let host = names.host(s, job.host_id).await?;
            plain(format!("{host} is offline. The job waits until it is back."))
        }
        Some(WaitsFor::Slot) => plain("The host takes it as soon as it has room."),
        Some(WaitsFor::FleetLimit) => plain("Waits for a free place: as many jobs run as the whole fleet may."),
        Some(WaitsFor::Turn { job: other }) => {
            behind(s, other, names, ", which works on this repository from the same host.").await?
        }
        Some(WaitsFor::Exclusive { job: other, .. }) => {
            behind(s, other, names, ", which has the repository for itself.").await?
        }
        Some(WaitsFor::Others { job: other, count, .. }) => {
            let more = match count {
                0 | 1 => String::new(),
                2 => " and 1 other job".to_owned(),
                n => format!(" and {} other jobs", n - 1),
            };
            behind(s, other, names, &format!("{more}: it needs the repository for itself.")).await?
        }
    };
    Ok(Some(waits))
}

async fn behind(s: &Services, other: JobId, names: &mut Names, rest: &str) -> Result<Waits, ApiError> {
    let job = jobs::get(s, other).await?;
    let name = format!("{} on {}", kind_word(job.kind), names.host(s, job.host_id).await?);
    Ok(Waits { text: "Waits for".into(), job: Some(other.to_string()), name, rest: rest.to_owned() })
}
