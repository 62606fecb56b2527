//! `/healthz` says that the process serves; `/readyz` that the database answers too.

use super::problem::ApiError;
use crate::service::{ActError, Services, users};
use actix_web::{HttpResponse, get, web};

/// Whether the process serves.
#[utoipa::path(operation_id = "healthz", tag = "server", responses((status = 200, description = "It serves", body = String, content_type = "text/plain")), security(()), extensions(("x-role" = json!("anyone"))))]
#[get("/healthz")]
pub async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain").body("ok\n")
}

/// Whether requests can be answered: the database is there and the server is not stopping.
#[utoipa::path(operation_id = "readyz", tag = "server", responses((status = 200, description = "Ready", body = String, content_type = "text/plain"), super::problem::Errors), security(()), extensions(("x-role" = json!("anyone"))))]
#[get("/readyz")]
pub async fn readyz(s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    if *s.stopping.borrow() {
        return Err(ActError::Store(crate::store::StoreError::Unavailable("the server is stopping".into())).into());
    }
    users::setup_open(&s).await?;
    Ok(HttpResponse::Ok().content_type("text/plain").body("ready\n"))
}
