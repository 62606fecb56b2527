//! `/agent/v1`: what agents say and hear. `ARCHITECTURE.md` walks through it and says why.

pub mod releases;

use super::guard::AgentHost;
use super::params::{Input, Site};
use super::problem::{ApiError, Errors};
use crate::service::{ActError, Services, enrollment, fires, ingest, poll, queries, recall};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, post, web};
use restic_manager_shared::id::{JobId, QueryId};
use restic_manager_shared::wire::enroll::{EnrollRequest, EnrollResponse};
use restic_manager_shared::wire::fire::FireReport;
use restic_manager_shared::wire::job::{ClaimRequest, ClaimResponse, FinishReport};
use restic_manager_shared::wire::operation::SnapshotsPart;
use restic_manager_shared::wire::poll::{PollRequest, PollResponse};
use restic_manager_shared::wire::progress::{ChunkRequest, ChunkResponse};
use restic_manager_shared::wire::query::QueryAnswer;
use restic_manager_shared::wire::recall::{RecallRequest, RecallResponse};
use serde::Serialize;

/// An answer that no cache on the way may keep.
fn fresh(body: &impl Serialize) -> HttpResponse {
    HttpResponse::Ok().insert_header((header::CACHE_CONTROL, "no-store")).json(body)
}

/// Enrol an agent
///
/// Trades a one-time token for an identity.
#[utoipa::path(operation_id = "enroll", tag = "agent", request_body = EnrollRequest, responses((status = 200, body = EnrollResponse), (status = 410, description = "The token was used, has expired or was taken back"), (status = 426, description = "The agent is too old"), Errors), security(()), extensions(("x-role" = json!("enrollment-token"))))]
#[post("/enroll")]
pub async fn enroll(
    s: web::Data<Services>,
    site: web::Data<Site>,
    req: HttpRequest,
    body: Input<EnrollRequest>,
) -> Result<HttpResponse, ApiError> {
    Ok(fresh(&enrollment::enroll(&s, body.read()?, site.address(&req)).await?))
}

/// Poll
///
/// Held until there is something to say, at most as long as asked for.
#[utoipa::path(operation_id = "poll", tag = "agent", request_body = PollRequest, responses((status = 200, body = PollResponse), (status = 426, description = "The agent is too old"), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[post("/poll")]
pub async fn poll_host(
    host: AgentHost,
    s: web::Data<Services>,
    body: Input<PollRequest>,
) -> Result<HttpResponse, ApiError> {
    Ok(fresh(&poll::poll(&s, host.0, &body.read()?).await?))
}

/// Tell a fire
///
/// What became of a fire of the host's own scheduler. The same one told twice is one job.
#[utoipa::path(operation_id = "tellFire", tag = "agent", request_body = FireReport, responses((status = 200, body = ClaimResponse), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[post("/fires")]
pub async fn tell_fire(
    host: AgentHost,
    s: web::Data<Services>,
    body: Input<FireReport>,
) -> Result<HttpResponse, ApiError> {
    Ok(fresh(&fires::tell(&s, host.0, body.read()?).await?))
}

/// Claim a job
///
/// Only a claim that is answered with 200 may start restic.
#[utoipa::path(operation_id = "claimJob", tag = "agent", params(("id" = JobId, Path)), request_body = ClaimRequest, responses((status = 200, body = ClaimResponse), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[post("/jobs/{id}/claim")]
pub async fn claim_job(
    host: AgentHost,
    s: web::Data<Services>,
    id: web::Path<JobId>,
    body: Input<ClaimRequest>,
) -> Result<HttpResponse, ApiError> {
    Ok(fresh(&ingest::claim(&s, host.0, *id, body.read()?.attempt).await?))
}

/// Report progress
///
/// Chunks are numbered; one that was stored before is dropped, one that comes too early is answered with the last one stored.
#[utoipa::path(operation_id = "reportChunk", tag = "agent", params(("id" = JobId, Path)), request_body = ChunkRequest, responses((status = 200, body = ChunkResponse), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[post("/jobs/{id}/chunks")]
pub async fn report_chunk(
    host: AgentHost,
    s: web::Data<Services>,
    id: web::Path<JobId>,
    body: Input<ChunkRequest>,
) -> Result<HttpResponse, ApiError> {
    let chunk = body.read()?;
    if chunk.seq < 1 {
        return Err(ActError::field("/seq", "chunks are numbered from 1").into());
    }
    Ok(fresh(&ingest::chunk(&s, host.0, *id, chunk).await?))
}

/// Report a part of a list of snapshots
///
/// Ahead of the job's end, in parts that fit a request. The same part may come twice.
#[utoipa::path(operation_id = "reportSnapshots", tag = "agent", params(("id" = JobId, Path)), request_body = SnapshotsPart, responses((status = 200, description = "Stored"), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[post("/jobs/{id}/snapshots")]
pub async fn report_snapshots(
    host: AgentHost,
    s: web::Data<Services>,
    id: web::Path<JobId>,
    body: Input<SnapshotsPart>,
) -> Result<HttpResponse, ApiError> {
    ingest::snapshots(&s, host.0, *id, body.read()?).await?;
    Ok(fresh(&serde_json::json!({})))
}

/// Report the end of a job
///
/// Repeated until it is answered with 200.
#[utoipa::path(operation_id = "finishJob", tag = "agent", params(("id" = JobId, Path)), request_body = FinishReport, responses((status = 200, description = "Stored"), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[post("/jobs/{id}/finish")]
pub async fn finish_job(
    host: AgentHost,
    s: web::Data<Services>,
    id: web::Path<JobId>,
    body: Input<FinishReport>,
) -> Result<HttpResponse, ApiError> {
    ingest::finish(&s, host.0, *id, body.read()?).await?;
    Ok(fresh(&serde_json::json!({})))
}

/// Tell again of a job
///
/// After the control plane came out of an export: before the end of a job is told that it may have forgotten.
#[utoipa::path(operation_id = "recallJob", tag = "agent", params(("id" = JobId, Path)), request_body = RecallRequest, responses((status = 200, body = RecallResponse), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[post("/jobs/{id}/recall")]
pub async fn recall_job(
    host: AgentHost,
    s: web::Data<Services>,
    id: web::Path<JobId>,
    body: Input<RecallRequest>,
) -> Result<HttpResponse, ApiError> {
    Ok(fresh(&recall::recall(&s, host.0, *id, body.read()?).await?))
}

/// Answer a question
///
/// 404 means that nobody waits for the answer any more.
#[utoipa::path(operation_id = "answerQuery", tag = "agent", params(("id" = QueryId, Path)), request_body = QueryAnswer, responses((status = 200, description = "Handed on"), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[post("/queries/{id}/answer")]
pub async fn answer_query(
    host: AgentHost,
    s: web::Data<Services>,
    id: web::Path<QueryId>,
    body: Input<QueryAnswer>,
) -> Result<HttpResponse, ApiError> {
    queries::answer(&s, host.0, *id, body.read()?)?;
    Ok(fresh(&serde_json::json!({})))
}
