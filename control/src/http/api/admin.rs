//! Users, API tokens and the audit log over the API.

use super::Errors;
use crate::domain::permission::Role;
use crate::http::guard::{Admin, Guarded};
use crate::http::params::{Input, Paging};
use crate::http::problem::ApiError;
use crate::service::{Services, audit, tokens, users};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::UserId;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A user to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct UserInput {
    /// Sign-in name.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// At least 10 characters, none of the commonest.
    pub password: Secret,
    /// What they may do.
    pub role: Role,
}

/// A user that was added.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NewUser {
    /// Identity.
    pub id: UserId,
}

/// Add a user
#[utoipa::path(operation_id = "createUser", tag = "administration", request_body = UserInput, responses((status = 201, body = NewUser), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/users")]
pub async fn create_user(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<UserInput>,
) -> Result<HttpResponse, ApiError> {
    let UserInput { name, password, role } = input.read()?;
    let id = users::add(&s, &who.actor, name, password, role).await?;
    Ok(HttpResponse::Created().json(NewUser { id }))
}

/// An API token to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiTokenInput {
    /// What it is for.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// What it may do.
    pub role: Role,
}

/// An API token, shown once.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NewApiToken {
    /// The token. It is not kept and cannot be shown again.
    pub token: String,
}

/// Make an API token
#[utoipa::path(operation_id = "createApiToken", tag = "administration", request_body = ApiTokenInput, responses((status = 201, body = NewApiToken), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/api-tokens")]
pub async fn create_api_token(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<ApiTokenInput>,
) -> Result<HttpResponse, ApiError> {
    let ApiTokenInput { name, role } = input.read()?;
    let token = tokens::add(&s, &who.actor, name, role).await?;
    Ok(HttpResponse::Created().json(NewApiToken { token: token.reveal().to_owned() }))
}

/// One entry of the audit log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditEvent {
    /// Its number; counts up without gaps.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: String,
    /// What.
    pub action: String,
    /// To what.
    pub subject: String,
    /// More about it, as JSON text.
    pub detail: String,
    /// SHA-256 over the hash of the entry before and this one.
    pub hash: String,
}

/// A page of the audit log.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AuditList {
    /// Newest first.
    pub items: Vec<AuditEvent>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// Read the audit log
#[utoipa::path(operation_id = "listAuditEvents", tag = "administration", params(Paging), responses((status = 200, body = AuditList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[get("/audit-events")]
pub async fn list_audit_events(
    _: Guarded<Admin>,
    s: web::Data<Services>,
    paging: web::Query<Paging>,
) -> Result<web::Json<AuditList>, ApiError> {
    let limit = paging.limit()?;
    let page = audit::list(&s, paging.into_inner().cursor, limit).await?;
    let event = |c: crate::store::audit::Chained| AuditEvent {
        seq: c.seq,
        at: c.entry.at,
        actor: c.entry.actor,
        address: c.entry.address,
        action: c.entry.action,
        subject: c.entry.subject,
        detail: c.entry.detail,
        hash: c.hash,
    };
    Ok(web::Json(AuditList { items: page.items.into_iter().map(event).collect(), next: page.next }))
}
