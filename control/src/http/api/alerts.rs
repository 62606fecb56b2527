//! Alerts over the API.

use super::Errors;
use crate::domain::alert::Alert;
use crate::http::guard::{Guarded, Operator, Viewer};
use crate::http::params::{Input, Paging};
use crate::http::problem::ApiError;
use crate::service::alerts::Acknowledgement;
use crate::service::channels::Delivery;
use crate::service::{ActError, Services, alerts, channels};
use actix_web::{HttpResponse, delete, get, post, web};
use restic_manager_shared::id::AlertId;
use serde::{Deserialize, Serialize};

/// A page of alerts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AlertList {
    /// The newest first.
    pub items: Vec<Alert>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// Which alerts.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AlertQuery {
    /// Only those that hold now.
    #[serde(default)]
    pub open: bool,
    /// Of those that hold now, only what is about hosts with this tag: they, their schedules, or a repository that they use.
    pub host_tag: Option<String>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// List alerts
#[utoipa::path(operation_id = "listAlerts", tag = "alerts", params(AlertQuery), responses((status = 200, body = AlertList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/alerts")]
pub async fn list_alerts(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<AlertQuery>,
) -> Result<web::Json<AlertList>, ApiError> {
    let query = query.into_inner();
    let limit = Paging { limit: query.limit, cursor: None }.limit()?;
    let page = match query.host_tag {
        Some(tag) if query.open => alerts::open_of_tag(&s, tag, query.cursor, limit).await?,
        Some(_) => return Err(ActError::field("/host_tag", "goes only with open=true").into()),
        None => alerts::list(&s, query.open, query.cursor, limit).await?,
    };
    Ok(web::Json(AlertList { items: page.items, next: page.next }))
}

/// Acknowledge an alert
///
/// It stays open until its condition ends, but no channel is reminded of it: until the date that is given, or else for as long as it is open.
#[utoipa::path(operation_id = "acknowledgeAlert", tag = "alerts", params(("id" = AlertId, Path)), request_body = Option<Acknowledgement>, responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/alerts/{id}/acknowledge")]
pub async fn acknowledge_alert(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<AlertId>,
    input: Input<Acknowledgement>,
) -> Result<HttpResponse, ApiError> {
    alerts::acknowledge(&s, &who.actor, *id, input.read_or_default()?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Take an acknowledgement back
///
/// The alert is as one that nobody knows of.
#[utoipa::path(operation_id = "reopenAlert", tag = "alerts", params(("id" = AlertId, Path)), responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[delete("/alerts/{id}/acknowledge")]
pub async fn reopen_alert(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<AlertId>,
) -> Result<HttpResponse, ApiError> {
    alerts::reopen(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A page of deliveries.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DeliveryList {
    /// The newest first.
    pub items: Vec<Delivery>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// List who was told of an alert
///
/// Each channel with what it was told, when, and what is in the way if it was not.
#[utoipa::path(operation_id = "listDeliveries", tag = "alerts", params(("id" = AlertId, Path), Paging), responses((status = 200, body = DeliveryList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/alerts/{id}/deliveries")]
pub async fn list_deliveries(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<AlertId>,
    paging: web::Query<Paging>,
) -> Result<web::Json<DeliveryList>, ApiError> {
    let limit = paging.limit()?;
    let page = channels::deliveries_of(&s, *id, paging.into_inner().cursor, limit).await?;
    Ok(web::Json(DeliveryList { items: page.items, next: page.next }))
}
