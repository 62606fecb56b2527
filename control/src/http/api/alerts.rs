//! Alerts over the API.

use super::Errors;
use crate::domain::alert::Alert;
use crate::http::guard::{Guarded, Operator, Viewer};
use crate::http::params::Paging;
use crate::http::problem::ApiError;
use crate::service::{Services, alerts};
use actix_web::{HttpResponse, get, post, web};
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
    let page = alerts::list(&s, query.open, query.cursor, limit).await?;
    Ok(web::Json(AlertList { items: page.items, next: page.next }))
}

/// Acknowledge an alert
///
/// It stays open until its condition ends.
#[utoipa::path(operation_id = "acknowledgeAlert", tag = "alerts", params(("id" = AlertId, Path)), responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/alerts/{id}/acknowledge")]
pub async fn acknowledge_alert(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<AlertId>,
) -> Result<HttpResponse, ApiError> {
    alerts::acknowledge(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}
