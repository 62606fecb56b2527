//! Releases on their way to agents.

use crate::http::guard::AgentHost;
use crate::http::problem::{ApiError, Errors};
use crate::http::release_file;
use crate::service::Services;
use actix_web::{HttpRequest, HttpResponse, get, web};

/// Fetch a release
///
/// The binary. `Range: bytes=N-` goes on from an offset.
#[utoipa::path(operation_id = "fetchRelease", tag = "agent", params(("version" = String, Path), ("target" = String, Path)), responses((status = 200, description = "The whole file"), (status = 206, description = "The file from an offset on"), (status = 416, description = "The offset is beyond its end"), Errors), security(("agent" = [])), extensions(("x-role" = json!("agent"))))]
#[get("/releases/{version}/{target}")]
pub async fn fetch_release(
    _host: AgentHost,
    s: web::Data<Services>,
    path: web::Path<(String, String)>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    release_file::answer(&s, (&path.0, &path.1), &req, |_| {}).await
}
