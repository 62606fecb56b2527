//! Jobs over the API.

use super::Errors;
use crate::domain::job::{Job, JobEvents, JobKind, JobState};
use crate::domain::operation::{Operation, operations as table};
use crate::http::guard::{Guarded, Operator, Viewer};
use crate::http::params::{IdempotencyKey, Input, Paging};
use crate::http::problem::ApiError;
use crate::service::jobs::Queued;
use crate::service::operations::JobInput;
use crate::service::{ActError, Services, jobs, operations};
use crate::store::jobs::Filter;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// A page of jobs.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JobList {
    /// Newest first.
    pub items: Vec<Job>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// A job that was queued.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunAnswer {
    /// The job.
    pub job: Job,
    /// Whether the host is online; else the job waits until it is.
    pub host_online: bool,
    /// What will happen, for people.
    pub note: String,
}

impl RunAnswer {
    /// The job, and what will happen.
    pub(super) fn of(queued: Queued) -> Self {
        let note = if queued.host_online {
            "The host gets it now."
        } else {
            "The host is offline. The job waits until it is back."
        };
        Self { job: queued.job, host_online: queued.host_online, note: note.into() }
    }
}

/// 202 with the job.
pub(super) fn run_answer(queued: Queued) -> HttpResponse {
    HttpResponse::Accepted().json(RunAnswer::of(queued))
}

/// What a list of jobs is narrowed to.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct JobQuery {
    /// One host's.
    pub host_id: Option<HostId>,
    /// Of hosts with this tag.
    pub host_tag: Option<String>,
    /// One schedule's.
    pub schedule_id: Option<ScheduleId>,
    /// One repository's.
    pub repository_id: Option<RepositoryId>,
    /// Of this kind.
    pub kind: Option<JobKind>,
    /// In this state.
    pub state: Option<JobState>,
    /// Queued since then.
    pub since: Option<Timestamp>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// List jobs
#[utoipa::path(operation_id = "listJobs", tag = "jobs", params(JobQuery), responses((status = 200, body = JobList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/jobs")]
pub async fn list_jobs(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<JobQuery>,
) -> Result<web::Json<JobList>, ApiError> {
    let query = query.into_inner();
    let filter = Filter {
        host: query.host_id,
        host_tag: query.host_tag,
        schedule: query.schedule_id,
        repository: query.repository_id,
        kinds: query.kind.into_iter().collect(),
        states: query.state.into_iter().collect(),
        since: query.since,
    };
    let paging = Paging { limit: query.limit, cursor: query.cursor };
    let page = jobs::list(&s, filter, paging.cursor.clone(), paging.limit()?).await?;
    Ok(web::Json(JobList { items: page.items, next: page.next }))
}

/// Run an operation
///
/// On the host that is named, or on the repository's maintenance host, or on one that can. What takes something away for good needs
/// `confirm`; the refusal without it says what that is. `GET /api/v1/operations` lists what there is and who may ask for it.
#[utoipa::path(operation_id = "requestJob", tag = "jobs", params(("Idempotency-Key" = Option<String>, Header)), request_body = JobInput, responses((status = 202, body = RunAnswer), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/jobs")]
pub async fn request_job(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    key: IdempotencyKey,
    input: Input<JobInput>,
) -> Result<HttpResponse, ApiError> {
    Ok(run_answer(operations::request(&s, &who.actor, input.read()?, key.0).await?))
}

/// The operations.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OperationList {
    /// All that there are.
    pub items: Vec<Operation>,
}

/// List the operations
///
/// What each does, who may ask for it, which credential it needs, and how it gets on with others.
#[utoipa::path(operation_id = "listOperations", tag = "jobs", responses((status = 200, body = OperationList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/operations")]
pub async fn list_operations(_: Guarded<Viewer>) -> web::Json<OperationList> {
    web::Json(OperationList { items: table().collect() })
}

/// Show a job
#[utoipa::path(operation_id = "getJob", tag = "jobs", params(("id" = JobId, Path)), responses((status = 200, body = Job), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/jobs/{id}")]
pub async fn get_job(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<JobId>,
) -> Result<web::Json<Job>, ApiError> {
    Ok(web::Json(jobs::get(&s, *id).await?))
}

/// Cancel a job
///
/// One that waits stops at once; one that runs as soon as its agent hears of it.
#[utoipa::path(operation_id = "cancelJob", tag = "jobs", params(("id" = JobId, Path)), responses((status = 202, body = Job), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/jobs/{id}/cancel")]
pub async fn cancel_job(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<JobId>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Accepted().json(jobs::cancel(&s, &who.actor, *id).await?))
}

/// From where, and how long to wait.
#[derive(Clone, Copy, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// The `seq` of the last answer; 0 for everything.
    #[serde(default)]
    #[param(minimum = 0)]
    pub after: i64,
    /// Seconds to wait for something new; at most 55.
    #[serde(default)]
    #[param(minimum = 0, maximum = 55)]
    pub wait: u32,
}

/// Watch a job
///
/// Answers at once when something came after the cursor, else when it does or the wait ends. Repeat with the `seq` of the answer
/// until `finished`; a reconnect loses nothing.
#[utoipa::path(operation_id = "watchJob", tag = "jobs", params(("id" = JobId, Path), EventQuery), responses((status = 200, body = JobEvents), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/jobs/{id}/events")]
pub async fn watch_job(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<JobId>,
    query: web::Query<EventQuery>,
) -> Result<web::Json<JobEvents>, ApiError> {
    if query.after < 0 {
        return Err(ActError::field("/after", "0 or the seq of an answer").into());
    }
    if query.wait > 55 {
        return Err(ActError::field("/wait", "0 to 55 seconds").into());
    }
    Ok(web::Json(jobs::events(&s, *id, query.after, Duration::from_secs(query.wait.into())).await?))
}
