//! What every request and answer passes: limits, errors of the extractors, security headers, the log.

use super::problem::{answer, problem};
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::{DefaultHeaders, Next};
use actix_web::{Error, error, web};
use restic_manager_shared::wire::MAX_BODY;
use std::time::Instant;

/// Where scripts, styles and pictures may come from: this site, and nowhere else; nothing inline.
const CSP: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; \
                   form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

/// Security headers of every answer.
#[must_use]
pub fn headers() -> DefaultHeaders {
    DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, CSP))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "same-origin"))
        .add((header::X_FRAME_OPTIONS, "DENY"))
        .add(("cross-origin-opener-policy", "same-origin"))
        .add(("permissions-policy", "camera=(), geolocation=(), microphone=()"))
}

fn fail(
    error: impl std::fmt::Debug + std::fmt::Display + 'static,
    status: StatusCode,
    code: &str,
    title: &str,
) -> Error {
    let detail = error.to_string();
    error::InternalError::from_response(error, answer(&problem(status, code, title, Some(detail)))).into()
}

/// A body that could not be taken in.
#[must_use]
pub fn body_error(cause: &Error) -> Error {
    let status = cause.as_response_error().status_code();
    let text = cause.to_string();
    if status == StatusCode::PAYLOAD_TOO_LARGE {
        fail(text, status, "too_large", "The body is over 1 MiB")
    } else {
        fail(text, StatusCode::BAD_REQUEST, "malformed", "The body could not be read")
    }
}

/// What is said of an address that cannot be one of ours.
const NO_ADDRESS: &str = "the identity in this address is not one; look for what you want by its name";

/// Limits and error answers of the extractors.
pub fn extractors(config: &mut web::ServiceConfig) {
    let path = web::PathConfig::default()
        .error_handler(|_, _| fail(NO_ADDRESS, StatusCode::NOT_FOUND, "not_found", "There is no such thing"));
    let query = web::QueryConfig::default().error_handler(|e, _| {
        fail(e, StatusCode::BAD_REQUEST, "malformed", "The query is not what this operation takes")
    });
    config.app_data(path).app_data(query).app_data(web::PayloadConfig::new(MAX_BODY));
}

/// Refuses addresses that hold a NUL: no name has one, and PostgreSQL takes none in a text, so that a filter would fail there.
///
/// # Errors
/// When there is one, and those of the handler.
pub async fn no_nul<B: MessageBody>(req: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    if req.uri().path_and_query().is_some_and(|asked| asked.as_str().contains("%00")) {
        let cause = "%00 is in it; leave it out";
        return Err(fail(cause, StatusCode::BAD_REQUEST, "malformed", "The address holds a NUL"));
    }
    next.call(req).await
}

/// One log line per request. Paths hold ids, never secrets; queries are left out.
///
/// # Errors
/// Those of the handler.
pub async fn log<B: MessageBody>(req: ServiceRequest, next: Next<B>) -> Result<ServiceResponse<B>, Error> {
    let (method, path) = (req.method().clone(), req.path().to_owned());
    #[allow(clippy::disallowed_methods)] // measured for the log only
    let started = Instant::now();
    let response = next.call(req).await?;
    let (status, ms) = (response.status().as_u16(), started.elapsed().as_millis());
    if status >= 500 {
        tracing::error!(%method, path, status, ms, "request");
    } else {
        tracing::debug!(%method, path, status, ms, "request");
    }
    Ok(response)
}
