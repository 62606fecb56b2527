//! Errors as answers: `application/problem+json` (RFC 9457) with a stable code.

use crate::service::{ActError, Refusal, ReleaseRefusal};
use crate::store::StoreError;
use actix_web::http::{StatusCode, header};
use actix_web::{HttpResponse, ResponseError};
use restic_manager_shared::wire::problem::{PROBLEM_JSON, Problem};
use std::collections::BTreeMap;
use std::fmt;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Response, ResponseBuilder};

/// An error on its way out.
#[derive(Debug)]
pub enum ApiError {
    /// The act was not done.
    Act(ActError),
    /// The body is not what the operation takes; the text says where.
    Malformed(String),
    /// The body is not JSON.
    MediaType,
}

impl ApiError {
    /// It as a problem document.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Act(error) => describe(error),
            Self::Malformed(why) => problem(
                StatusCode::BAD_REQUEST,
                "malformed",
                "The body is not what this operation takes",
                Some(why.clone()),
            ),
            Self::MediaType => problem(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "unsupported_media_type",
                "Send application/json",
                Some("The body must be JSON, with the header Content-Type: application/json.".into()),
            ),
        }
    }
}

impl From<ActError> for ApiError {
    fn from(error: ActError) -> Self {
        Self::Act(error)
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::Act(refusal.into())
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem().title)
    }
}

/// A problem with the usual parts.
#[must_use]
pub fn problem(status: StatusCode, code: &str, title: &str, detail: Option<String>) -> Problem {
    Problem {
        kind: format!("/problems/{}", code.replace('_', "-")),
        title: title.to_owned(),
        status: status.as_u16(),
        code: code.to_owned(),
        detail,
        errors: vec![],
        server_time: None,
        job_id: None,
    }
}

/// A problem as an answer.
#[must_use]
pub fn answer(problem: &Problem) -> HttpResponse {
    let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = HttpResponse::build(status);
    if status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    response
        .insert_header((header::CONTENT_TYPE, PROBLEM_JSON))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(serde_json::to_vec(problem).unwrap_or_default())
}

/// The status that a refusal is answered with.
#[must_use]
pub const fn status_of(refusal: &Refusal) -> StatusCode {
    match refusal {
        Refusal::Unauthenticated
        | Refusal::WrongLogin
        | Refusal::TokenUnknown
        | Refusal::AgentUnknown
        | Refusal::ClockSkew(_) => StatusCode::UNAUTHORIZED,
        Refusal::Forbidden | Refusal::CrossSite | Refusal::WrongSetupToken | Refusal::BadProof => StatusCode::FORBIDDEN,
        Refusal::TokenUsed
        | Refusal::TokenExpired
        | Refusal::TokenRevoked
        | Refusal::Release(ReleaseRefusal::Withdrawn) => StatusCode::GONE,
        Refusal::RateLimited(_) => StatusCode::TOO_MANY_REQUESTS,
        Refusal::AgentTooOld => StatusCode::UPGRADE_REQUIRED,
        Refusal::SetupDone
        | Refusal::KeyInUse
        | Refusal::DuplicateAgent
        | Refusal::NameTaken(_)
        | Refusal::PickSchedule(_)
        | Refusal::ScheduleDisabled
        | Refusal::NoRepository
        | Refusal::NoCredential
        | Refusal::AlreadyRunning(_)
        | Refusal::HostNotEnrolled
        | Refusal::RepositoryInUse(_)
        | Refusal::JobFinished
        | Refusal::StaleAttempt
        | Refusal::ConfirmationNeeded(_)
        | Refusal::CredentialAppendOnly
        | Refusal::ResticTooOld { .. }
        | Refusal::NoHostCan
        | Refusal::CredentialInUse(_)
        | Refusal::RotationUnderWay
        | Refusal::NoKeepRule
        | Refusal::RetentionFrozen(_)
        | Refusal::HostOffline(_)
        | Refusal::LookFailed(_)
        | Refusal::LastAdmin
        | Refusal::Release(_) => StatusCode::CONFLICT,
        Refusal::NoAnswer => StatusCode::GATEWAY_TIMEOUT,
        Refusal::StillReading => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// An act's error as a problem. Broken insides are logged here and not told.
#[must_use]
pub fn describe(error: &ActError) -> Problem {
    match error {
        ActError::Invalid(errors) => Problem {
            errors: errors.clone(),
            ..problem(
                StatusCode::UNPROCESSABLE_ENTITY,
                "invalid",
                "Some fields are not valid",
                errors.first().map(|e| format!("{}: {}", e.pointer.trim_start_matches('/'), e.detail)),
            )
        },
        ActError::NotFound(noun) => problem(
            StatusCode::NOT_FOUND,
            &format!("{}_not_found", noun.word()),
            &format!("There is no such {}", noun.word()),
            Some("It was deleted, or the address is wrong.".into()),
        ),
        ActError::Refused(refusal) => Problem {
            server_time: if let Refusal::ClockSkew(now) = refusal { Some(*now) } else { None },
            job_id: if let Refusal::AlreadyRunning(job) = refusal { Some(*job) } else { None },
            ..problem(status_of(refusal), refusal.code(), refusal.title(), Some(refusal.detail()))
        },
        ActError::Store(StoreError::Unavailable(why)) => {
            tracing::error!(why, "the database is not available");
            let hint = "The database does not answer. Agents go on by their schedules; try again in a moment.";
            problem(
                StatusCode::SERVICE_UNAVAILABLE,
                "database_unavailable",
                "The server cannot answer now",
                Some(hint.into()),
            )
        }
        ActError::Store(error) => {
            tracing::error!(%error, "a request failed in the database");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The server failed",
                Some("Its log says why.".into()),
            )
        }
        ActError::Internal(why) => {
            tracing::error!(why, "a request failed");
            problem(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "The server failed",
                Some("Its log says why.".into()),
            )
        }
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.problem().status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = answer(&self.problem());
        let wait = match self {
            Self::Act(ActError::Refused(Refusal::RateLimited(wait))) => Some(wait.as_secs().max(1)),
            Self::Act(ActError::Refused(Refusal::StillReading)) => Some(2),
            _ => None,
        };
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
        }
        response
    }
}

/// The errors that any operation may answer with; attach with `responses(..., Errors)`.
#[derive(Debug)]
pub struct Errors;

impl utoipa::IntoResponses for Errors {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        [
            ("400", "The request is malformed"),
            ("401", "No identity, or not a valid one"),
            ("403", "The role does not allow it"),
            ("404", "No such thing"),
            ("405", "The path does not take that method"),
            ("409", "A rule says no; `code` says which"),
            ("413", "The body is too large"),
            ("415", "The body is not JSON"),
            ("422", "Some fields are not valid; `errors` says which"),
            ("429", "Too many tries"),
            ("500", "The server failed"),
            ("503", "The database does not answer"),
        ]
        .into_iter()
        .map(|(status, text)| {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
            (status.to_owned(), ResponseBuilder::new().description(text).content(PROBLEM_JSON, content).build().into())
        })
        .collect()
    }
}
