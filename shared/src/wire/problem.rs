//! Errors on the wire: `application/problem+json` (RFC 9457) with a stable `code` that programs compare.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The media type of an error body.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The body of every error answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// A relative reference that names the kind of problem: `/problems/` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    /// What went wrong, in a few words.
    pub title: String,
    /// The HTTP status, repeated.
    #[cfg_attr(feature = "openapi", schema(minimum = 400, maximum = 599))]
    pub status: u16,
    /// The stable name of the problem, such as `token_used`.
    pub code: String,
    /// What it means here and what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub detail: Option<String>,
    /// One entry for each rejected field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[cfg_attr(feature = "openapi", schema(required = false))]
    pub errors: Vec<FieldError>,
    /// The server's clock, sent with `clock_skew` so that an agent can correct its own by the difference.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub server_time: Option<Timestamp>,
    /// The job that stands in the way, with `already_running`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub job_id: Option<crate::id::JobId>,
}

/// One rejected field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FieldError {
    /// The field, as a JSON pointer such as `/paths/0`.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}
