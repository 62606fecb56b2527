//! Pausing hosts and schedules over the API.

use super::Errors;
use crate::domain::fleet::Host;
use crate::domain::pause::PauseInput;
use crate::domain::schedule::Schedule;
use crate::http::guard::{Guarded, Operator};
use crate::http::params::Input;
use crate::http::problem::ApiError;
use crate::service::{Services, pauses};
use actix_web::{post, web};
use restic_manager_shared::id::{HostId, ScheduleId};

/// Pause a host
///
/// None of its schedules starts by itself, and no drill of them, until the pause ends; what would have is not missed and not made up for.
/// Run now still works, and the maintenance of its repositories goes on. The agent holds to it offline. A pause that holds is replaced.
#[utoipa::path(operation_id = "pauseHost", tag = "hosts", params(("id" = HostId, Path)), request_body = PauseInput, responses((status = 200, body = Host), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/hosts/{id}/pause")]
pub async fn pause_host(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    input: Input<PauseInput>,
) -> Result<web::Json<Host>, ApiError> {
    Ok(web::Json(pauses::pause_host(&s, &who.actor, *id, input.read()?).await?))
}

/// End a host's pause
///
/// Schedules that are paused by themselves stay so. Without a pause nothing changes.
#[utoipa::path(operation_id = "resumeHost", tag = "hosts", params(("id" = HostId, Path)), responses((status = 200, body = Host), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/hosts/{id}/resume")]
pub async fn resume_host(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<web::Json<Host>, ApiError> {
    Ok(web::Json(pauses::resume_host(&s, &who.actor, *id).await?))
}

/// Pause a schedule
///
/// It does not start by itself, and no drill of it, until the pause ends; what would have is not missed and not made up for. Run now still
/// works: a person who presses it means it. The agent holds to it offline. A pause that holds is replaced.
#[utoipa::path(operation_id = "pauseSchedule", tag = "schedules", params(("id" = ScheduleId, Path)), request_body = PauseInput, responses((status = 200, body = Schedule), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/schedules/{id}/pause")]
pub async fn pause_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    input: Input<PauseInput>,
) -> Result<web::Json<Schedule>, ApiError> {
    Ok(web::Json(pauses::pause_schedule(&s, &who.actor, *id, input.read()?).await?))
}

/// End a schedule's own pause
///
/// A pause of its host stays. Without a pause nothing changes.
#[utoipa::path(operation_id = "resumeSchedule", tag = "schedules", params(("id" = ScheduleId, Path)), responses((status = 200, body = Schedule), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/schedules/{id}/resume")]
pub async fn resume_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
) -> Result<web::Json<Schedule>, ApiError> {
    Ok(web::Json(pauses::resume_schedule(&s, &who.actor, *id).await?))
}
