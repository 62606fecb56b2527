//! Repositories over the API.

use super::Errors;
use super::jobs::{RunAnswer, run_answer};
use super::snapshots::SnapshotList;
use crate::domain::backend::{Setting, settings};
use crate::domain::repository::Backend;
use crate::domain::repository::Repository;
use crate::http::guard::{Admin, Guarded, Operator, Viewer};
use crate::http::params::{IdempotencyKey, Input, Paging};
use crate::http::problem::ApiError;
use crate::service::operations::JobInput;
use crate::service::repositories::{CredentialView, RepositoryInput};
use crate::service::snapshots::Filter;
use crate::service::{Services, operations, repositories, snapshots};
use actix_web::{HttpResponse, delete, get, post, put, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::wire::job::Task;
use serde::{Deserialize, Serialize};

/// A page of repositories.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RepositoryList {
    /// By name.
    pub items: Vec<Repository>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// Which repositories.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct RepositoryQuery {
    /// That hosts with this tag use.
    pub host_tag: Option<String>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Which host does it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OnHost {
    /// A host with a credential for the repository.
    pub host_id: HostId,
}

/// List repositories
#[utoipa::path(operation_id = "listRepositories", tag = "repositories", params(RepositoryQuery), responses((status = 200, body = RepositoryList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories")]
pub async fn list_repositories(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<RepositoryQuery>,
) -> Result<web::Json<RepositoryList>, ApiError> {
    let query = query.into_inner();
    let limit = Paging { limit: query.limit, cursor: None }.limit()?;
    let page = match query.host_tag {
        Some(tag) => repositories::list_of_tagged(&s, tag, query.cursor, limit).await?,
        None => repositories::list(&s, query.cursor, limit).await?,
    };
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
    let task = Task::Init { repository_id: *id };
    let input = JobInput { host_id: Some(on.read()?.host_id), of_host_id: None, task, confirm: false };
    Ok(run_answer(operations::request(&s, &who.actor, input, key.0).await?))
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
    let task = Task::Snapshots { repository_id: *id, all_hosts: false };
    let input = JobInput { host_id: Some(on.read()?.host_id), of_host_id: None, task, confirm: false };
    Ok(run_answer(operations::request(&s, &who.actor, input, key.0).await?))
}

/// The hosts that may use a repository.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CredentialList {
    /// By the hosts' names.
    pub items: Vec<CredentialView>,
}

/// List who may use a repository
///
/// With what the last probe of each credential found, and when.
#[utoipa::path(operation_id = "listCredentials", tag = "repositories", params(("id" = RepositoryId, Path)), responses((status = 200, body = CredentialList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/credentials")]
pub async fn list_credentials(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<web::Json<CredentialList>, ApiError> {
    Ok(web::Json(CredentialList { items: repositories::used_by(&s, *id).await? }))
}

/// Which snapshots.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SnapshotQuery {
    /// One schedule's.
    pub schedule_id: Option<restic_manager_shared::id::ScheduleId>,
    /// Only those that a job of ours vouches for, or only those that none does.
    pub attested: Option<bool>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// List a repository's snapshots
///
/// Newest first, of all hosts, as far as they were reported or listed.
#[utoipa::path(operation_id = "listRepositorySnapshots", tag = "snapshots", params(("id" = RepositoryId, Path), SnapshotQuery), responses((status = 200, body = SnapshotList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/snapshots")]
pub async fn list_repository_snapshots(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<SnapshotQuery>,
) -> Result<web::Json<SnapshotList>, ApiError> {
    let query = query.into_inner();
    let limit = Paging { limit: query.limit, cursor: None }.limit()?;
    let filter =
        Filter { repository: Some(*id), schedule: query.schedule_id, attested: query.attested, ..Filter::default() };
    let page = snapshots::list(&s, filter, query.cursor, limit).await?;
    Ok(web::Json(SnapshotList { items: page.items, next: page.next }))
}

/// Snapshots to vouch for.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Vouch {
    /// Whole ids.
    #[schema(min_items = 1, max_items = 5000)]
    pub snapshots: Vec<String>,
}

/// Vouch for snapshots
///
/// For those that no job of ours made, such as from before restic-manager came. From then on retention counts and removes them.
#[utoipa::path(operation_id = "vouchForSnapshots", tag = "snapshots", params(("id" = RepositoryId, Path)), request_body = Vouch, responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/repositories/{id}/snapshots/vouch")]
pub async fn vouch_for_snapshots(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    input: Input<Vouch>,
) -> Result<HttpResponse, ApiError> {
    snapshots::vouch(&s, &who.actor, *id, input.read()?.snapshots).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// A kind of storage and its settings.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BackendView {
    /// Which.
    pub backend: Backend,
    /// What a credential for it takes in `env`.
    pub settings: Vec<Setting>,
}

/// The kinds of storage.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct BackendList {
    /// All that restic knows.
    pub items: Vec<BackendView>,
}

/// List the kinds of storage
///
/// And which settings a credential for each takes.
#[utoipa::path(operation_id = "listBackends", tag = "repositories", responses((status = 200, body = BackendList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/backends")]
pub async fn list_backends(_: Guarded<Viewer>) -> web::Json<BackendList> {
    let view = |backend: &Backend| BackendView { backend: *backend, settings: settings(*backend).to_vec() };
    web::Json(BackendList { items: Backend::ALL.iter().map(view).collect() })
}
