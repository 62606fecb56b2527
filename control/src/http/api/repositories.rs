//! Repositories over the API.

use super::Errors;
use super::jobs::{RunAnswer, run_answer};
use crate::domain::repository::Repository;
use crate::http::guard::{Admin, Guarded, Operator, Viewer};
use crate::http::params::{IdempotencyKey, Input, Paging};
use crate::http::problem::ApiError;
use crate::service::repositories::RepositoryInput;
use crate::service::{Services, jobs, repositories};
use actix_web::{HttpResponse, delete, get, post, put, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use serde::{Deserialize, Serialize};

/// A page of repositories.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RepositoryList {
    /// By name.
    pub items: Vec<Repository>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// Which host does it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnHost {
    /// A host with a credential for the repository.
    pub host_id: HostId,
}

/// List repositories
#[utoipa::path(operation_id = "listRepositories", tag = "repositories", params(Paging), responses((status = 200, body = RepositoryList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories")]
pub async fn list_repositories(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    paging: web::Query<Paging>,
) -> Result<web::Json<RepositoryList>, ApiError> {
    let limit = paging.limit()?;
    let page = repositories::list(&s, paging.into_inner().cursor, limit).await?;
    Ok(web::Json(RepositoryList { items: page.items, next: page.next }))
}

/// Add a repository
///
/// Nothing is made at the storage by this.
#[utoipa::path(operation_id = "createRepository", tag = "repositories", request_body = RepositoryInput, responses((status = 201, body = Repository), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/repositories")]
pub async fn create_repository(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<RepositoryInput>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Created().json(repositories::add(&s, &who.actor, input.read()?).await?))
}

/// Show a repository
#[utoipa::path(operation_id = "getRepository", tag = "repositories", params(("id" = RepositoryId, Path)), responses((status = 200, body = Repository), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}")]
pub async fn get_repository(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<web::Json<Repository>, ApiError> {
    Ok(web::Json(repositories::get(&s, *id).await?))
}

/// Change a repository
///
/// What is known of it here; the repository's own password is not changed by this.
#[utoipa::path(operation_id = "updateRepository", tag = "repositories", params(("id" = RepositoryId, Path)), request_body = RepositoryInput, responses((status = 200, body = Repository), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[put("/repositories/{id}")]
pub async fn update_repository(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    input: Input<RepositoryInput>,
) -> Result<web::Json<Repository>, ApiError> {
    Ok(web::Json(repositories::update(&s, &who.actor, *id, input.read()?).await?))
}

/// Forget a repository
///
/// Refused while schedules back up to it. The storage is not touched.
#[utoipa::path(operation_id = "deleteRepository", tag = "repositories", params(("id" = RepositoryId, Path)), responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[delete("/repositories/{id}")]
pub async fn delete_repository(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<HttpResponse, ApiError> {
    repositories::delete(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Make the repository at its address
///
/// The host runs `restic init`.
#[utoipa::path(operation_id = "initRepository", tag = "repositories", params(("id" = RepositoryId, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = OnHost, responses((status = 202, body = RunAnswer), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/repositories/{id}/init")]
pub async fn init_repository(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    key: IdempotencyKey,
    on: Input<OnHost>,
) -> Result<HttpResponse, ApiError> {
    Ok(run_answer(jobs::init(&s, &who.actor, *id, on.read()?.host_id, key.0).await?))
}

/// List a host's snapshots anew
///
/// The host runs `restic snapshots`; what is no longer there disappears from the lists.
#[utoipa::path(operation_id = "refreshSnapshots", tag = "snapshots", params(("id" = RepositoryId, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = OnHost, responses((status = 202, body = RunAnswer), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/repositories/{id}/snapshots/refresh")]
pub async fn refresh_snapshots(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    key: IdempotencyKey,
    on: Input<OnHost>,
) -> Result<HttpResponse, ApiError> {
    Ok(run_answer(jobs::refresh_snapshots(&s, &who.actor, *id, on.read()?.host_id, key.0).await?))
}
