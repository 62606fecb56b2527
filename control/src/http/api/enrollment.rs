//! Enrollment tokens over the API.

use super::Errors;
use crate::http::guard::{Guarded, Operator};
use crate::http::params::{Input, Site};
use crate::http::problem::ApiError;
use crate::service::Services;
use crate::service::enrollment::{self, NewToken, TokenInput};
use actix_web::{HttpRequest, HttpResponse, post, web};

/// Make an enrollment token
///
/// It works once. Paths given with it become an enabled, editable manual schedule when the host enrols. A newer token for the same
/// host replaces this one.
#[utoipa::path(operation_id = "createEnrollmentToken", tag = "hosts", request_body = TokenInput, responses((status = 201, body = NewToken), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/enrollment-tokens")]
pub async fn create_enrollment_token(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    site: web::Data<Site>,
    req: HttpRequest,
    input: Input<TokenInput>,
) -> Result<HttpResponse, ApiError> {
    let token = enrollment::create_token(&s, &who.actor, input.read()?, &site.base_url(&req)).await?;
    Ok(HttpResponse::Created().json(token))
}
