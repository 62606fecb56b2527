//! The contract for people: `/api/openapi.json`, and a browsable page at `/api/docs` that loads nothing from elsewhere.

use actix_web::web;
use utoipa::openapi::OpenApi;
use utoipa_swagger_ui::SwaggerUi;

/// Registers both.
pub fn configure(config: &mut web::ServiceConfig, document: OpenApi) {
    config
        .service(SwaggerUi::new("/api/docs/{_:.*}").url("/api/openapi.json", document))
        .service(web::redirect("/api/docs", "/api/docs/"));
}
