//! Schedules over the API.

use super::Errors;
use super::jobs::{RunAnswer, run_answer};
use crate::domain::fires::{self, Preview, PreviewInput};
use crate::domain::schedule::{Schedule, ScheduleInput};
use crate::http::guard::{Guarded, Operator, Viewer};
use crate::http::params::{IdempotencyKey, Input};
use crate::http::problem::ApiError;
use crate::service::{ActError, Services, jobs, schedules};
use actix_web::{HttpResponse, delete, get, post, put, web};
use restic_manager_shared::id::ScheduleId;
use restic_manager_shared::time::Timestamp;

/// Try a cron line
///
/// What it means in plain words and when it fires, with notes where a clock change matters. Nothing is saved.
#[utoipa::path(operation_id = "previewSchedule", tag = "schedules", request_body = PreviewInput, responses((status = 200, body = Preview), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[post("/schedules/preview")]
pub async fn preview_schedule(_: Guarded<Viewer>, input: Input<PreviewInput>) -> Result<web::Json<Preview>, ApiError> {
    Ok(web::Json(fires::preview(&input.read()?, Timestamp::now()).map_err(ActError::Invalid)?))
}

/// Show a schedule
#[utoipa::path(operation_id = "getSchedule", tag = "schedules", params(("id" = ScheduleId, Path)), responses((status = 200, body = Schedule), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/schedules/{id}")]
pub async fn get_schedule(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
) -> Result<web::Json<Schedule>, ApiError> {
    Ok(web::Json(schedules::get(&s, *id).await?))
}

/// Change a schedule
///
/// Replaces all of it. A run in progress keeps its old settings.
#[utoipa::path(operation_id = "updateSchedule", tag = "schedules", params(("id" = ScheduleId, Path)), request_body = ScheduleInput, responses((status = 200, body = Schedule), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[put("/schedules/{id}")]
pub async fn update_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    input: Input<ScheduleInput>,
) -> Result<web::Json<Schedule>, ApiError> {
    Ok(web::Json(schedules::update(&s, &who.actor, *id, input.read()?).await?))
}

/// Delete a schedule
///
/// Its snapshots and jobs stay.
#[utoipa::path(operation_id = "deleteSchedule", tag = "schedules", params(("id" = ScheduleId, Path)), responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[delete("/schedules/{id}")]
pub async fn delete_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
) -> Result<HttpResponse, ApiError> {
    schedules::delete(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Run a schedule now
///
/// Any enabled schedule, cron or manual. While the host is offline the job waits, and the answer says so.
#[utoipa::path(operation_id = "runSchedule", tag = "jobs", params(("id" = ScheduleId, Path), ("Idempotency-Key" = Option<String>, Header)), responses((status = 202, body = RunAnswer), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/schedules/{id}/run")]
pub async fn run_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    key: IdempotencyKey,
) -> Result<HttpResponse, ApiError> {
    Ok(run_answer(jobs::run_schedule(&s, &who.actor, *id, false, key.0).await?))
}

/// Try a schedule without making a snapshot
///
/// restic looks at everything and says what a run would add.
#[utoipa::path(operation_id = "dryRunSchedule", tag = "schedules", params(("id" = ScheduleId, Path), ("Idempotency-Key" = Option<String>, Header)), responses((status = 202, body = RunAnswer), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/schedules/{id}/dry-run")]
pub async fn dry_run_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    key: IdempotencyKey,
) -> Result<HttpResponse, ApiError> {
    Ok(run_answer(jobs::run_schedule(&s, &who.actor, *id, true, key.0).await?))
}
