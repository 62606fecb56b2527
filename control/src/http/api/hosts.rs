//! Hosts over the API.

use super::Errors;
use crate::domain::fleet::Host;
use crate::domain::job::Job;
use crate::domain::protection::Protection;
use crate::domain::schedule::{Schedule, ScheduleInput};
use crate::domain::watch::Limits;
use crate::http::api::jobs::{JobList, RunAnswer, run_answer};
use crate::http::api::snapshots::SnapshotList;
use crate::http::guard::{Admin, Guarded, Operator, Viewer};
use crate::http::params::{IdempotencyKey, Input, Paging};
use crate::http::problem::ApiError;
use crate::service::hosts::HostChange;
use crate::service::repositories::CredentialInput;
use crate::service::{ActError, Services, hosts, jobs, repositories, schedules, snapshots};
use crate::store::host_search;
use crate::store::jobs::Filter;
use actix_web::{HttpResponse, delete, get, post, put, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::wire::enroll::Os;
use serde::{Deserialize, Serialize};

/// A page of hosts.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HostList {
    /// By name.
    pub items: Vec<Host>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// A host's schedules.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ScheduleList {
    /// Oldest first, all of them.
    pub items: Vec<Schedule>,
    /// Always null: a host has a handful.
    pub next: Option<String>,
}

/// What can be changed of a host.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostInput {
    /// Its name.
    #[schema(min_length = 1, max_length = 63)]
    pub name: String,
    /// Free labels.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub tags: Vec<String>,
    /// When alerts tell of it; left out, that stays as it is.
    #[serde(default, deserialize_with = "crate::domain::strict::object")]
    pub limits: Option<Limits>,
}

/// What a list of hosts is narrowed to.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HostFilter {
    /// In the name or tags.
    #[serde(default)]
    pub q: Option<String>,
    /// How well it is protected.
    #[serde(default)]
    pub state: Option<Protection>,
    /// Its system.
    #[serde(default)]
    pub os: Option<Os>,
    /// A tag that it has.
    #[serde(default)]
    pub tag: Option<String>,
    /// A repository that one of its schedules backs up to.
    #[serde(default)]
    pub repository_id: Option<RepositoryId>,
}

impl HostFilter {
    /// The same, as the list takes it.
    ///
    /// # Errors
    /// A NUL in a text: no name has one, and PostgreSQL takes none.
    pub fn read(self) -> Result<host_search::Filter, ApiError> {
        let Self { q, state, os, tag, repository_id: repository } = self;
        if [&q, &tag].into_iter().flatten().any(|text| text.contains('\0')) {
            return Err(ActError::field("/filter", "holds a NUL").into());
        }
        let said = |text: Option<String>| text.map(|t| t.trim().to_owned()).filter(|t| !t.is_empty());
        Ok(host_search::Filter { text: said(q), states: state.into_iter().collect(), os, tag: said(tag), repository })
    }
}

/// Which hosts, and which page of them.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct HostQuery {
    /// In the name or tags.
    pub q: Option<String>,
    /// How well it is protected.
    pub state: Option<Protection>,
    /// Its system.
    pub os: Option<Os>,
    /// A tag that it has.
    pub tag: Option<String>,
    /// A repository that one of its schedules backs up to.
    pub repository_id: Option<RepositoryId>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// List hosts
///
/// By name, without retired ones.
#[utoipa::path(operation_id = "listHosts", tag = "hosts", params(HostQuery), responses((status = 200, body = HostList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/hosts")]
pub async fn list_hosts(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<HostQuery>,
) -> Result<web::Json<HostList>, ApiError> {
    let HostQuery { q, state, os, tag, repository_id, limit, cursor } = query.into_inner();
    let paging = Paging { limit, cursor };
    let filter = HostFilter { q, state, os, tag, repository_id }.read()?;
    let limit = paging.limit()?;
    let page = hosts::found(&s, filter, paging.cursor, limit).await?;
    Ok(web::Json(HostList { items: page.items, next: page.next }))
}

/// Show a host
#[utoipa::path(operation_id = "getHost", tag = "hosts", params(("id" = HostId, Path)), responses((status = 200, body = Host), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/hosts/{id}")]
pub async fn get_host(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<web::Json<Host>, ApiError> {
    Ok(web::Json(hosts::get(&s, *id).await?))
}

/// Rename or tag a host, or say when alerts tell of it
#[utoipa::path(operation_id = "updateHost", tag = "hosts", params(("id" = HostId, Path)), request_body = HostInput, responses((status = 200, body = Host), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[put("/hosts/{id}")]
pub async fn update_host(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    input: Input<HostInput>,
) -> Result<web::Json<Host>, ApiError> {
    let HostInput { name, tags, limits } = input.read()?;
    Ok(web::Json(hosts::update(&s, &who.actor, *id, HostChange { name, tags, limits }).await?))
}

/// Delete a host
///
/// With its schedules, jobs and snapshots' metadata; its agent is refused at once. The repository keeps its snapshots.
#[utoipa::path(operation_id = "deleteHost", tag = "hosts", params(("id" = HostId, Path)), responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[delete("/hosts/{id}")]
pub async fn delete_host(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    hosts::delete(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List a host's schedules
#[utoipa::path(operation_id = "listSchedules", tag = "schedules", params(("id" = HostId, Path)), responses((status = 200, body = ScheduleList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/hosts/{id}/schedules")]
pub async fn list_schedules(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<web::Json<ScheduleList>, ApiError> {
    Ok(web::Json(ScheduleList { items: schedules::of_host(&s, *id).await?, next: None }))
}

/// Add a schedule to a host
#[utoipa::path(operation_id = "createSchedule", tag = "schedules", params(("id" = HostId, Path)), request_body = ScheduleInput, responses((status = 201, body = Schedule), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/hosts/{id}/schedules")]
pub async fn create_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    input: Input<ScheduleInput>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Created().json(schedules::add(&s, &who.actor, *id, input.read()?).await?))
}

/// List a host's snapshots
///
/// Newest first, as far as they were reported.
#[utoipa::path(operation_id = "listSnapshots", tag = "snapshots", params(("id" = HostId, Path), Paging), responses((status = 200, body = SnapshotList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/hosts/{id}/snapshots")]
pub async fn list_snapshots(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    paging: web::Query<Paging>,
) -> Result<web::Json<SnapshotList>, ApiError> {
    let limit = paging.limit()?;
    let page = snapshots::of_host(&s, *id, paging.into_inner().cursor, limit).await?;
    Ok(web::Json(SnapshotList { items: page.items, next: page.next }))
}

/// List a host's jobs
#[utoipa::path(operation_id = "listHostJobs", tag = "jobs", params(("id" = HostId, Path), Paging), responses((status = 200, body = JobList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/hosts/{id}/jobs")]
pub async fn list_host_jobs(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    paging: web::Query<Paging>,
) -> Result<web::Json<JobList>, ApiError> {
    let limit = paging.limit()?;
    let filter = Filter { host: Some(*id), ..Filter::default() };
    let page = jobs::list(&s, filter, paging.into_inner().cursor, limit).await?;
    Ok(web::Json(JobList { items: page.items as Vec<Job>, next: page.next }))
}

/// Run a host's schedule now
///
/// Takes the only enabled manual schedule, else the only enabled one; otherwise 409 `pick_schedule`.
#[utoipa::path(operation_id = "runHost", tag = "jobs", params(("id" = HostId, Path), ("Idempotency-Key" = Option<String>, Header)), responses((status = 202, body = RunAnswer), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/hosts/{id}/run")]
pub async fn run_host(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    key: IdempotencyKey,
) -> Result<HttpResponse, ApiError> {
    Ok(run_answer(jobs::run_host(&s, &who.actor, *id, key.0).await?))
}

/// Give a host a credential for a repository
///
/// Replaces the one it had. Schedules of the host that have no repository yet get this one.
#[utoipa::path(operation_id = "putCredential", tag = "repositories", params(("id" = HostId, Path), ("repository_id" = RepositoryId, Path)), request_body = CredentialInput, responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[put("/hosts/{id}/credentials/{repository_id}")]
pub async fn put_credential(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    ids: web::Path<(HostId, RepositoryId)>,
    input: Input<CredentialInput>,
) -> Result<HttpResponse, ApiError> {
    let (host, repository) = ids.into_inner();
    repositories::put_credential(&s, &who.actor, host, repository, input.read()?).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Take a credential from a host
///
/// Refused while schedules of the host back up with it.
#[utoipa::path(operation_id = "removeCredential", tag = "repositories", params(("id" = HostId, Path), ("repository_id" = RepositoryId, Path)), responses((status = 204), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[delete("/hosts/{id}/credentials/{repository_id}")]
pub async fn remove_credential(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    ids: web::Path<(HostId, RepositoryId)>,
) -> Result<HttpResponse, ApiError> {
    let (host, repository) = ids.into_inner();
    repositories::remove_credential(&s, &who.actor, host, repository).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Why a host's retention should not run.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FreezeInput {
    /// For people.
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: String,
}

/// Freeze a host's retention
///
/// Nothing of it is forgotten until a person lets it run again.
#[utoipa::path(operation_id = "freezeHost", tag = "hosts", params(("id" = HostId, Path)), request_body = FreezeInput, responses((status = 200, body = Host), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/hosts/{id}/freeze")]
pub async fn freeze_host(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    input: Input<FreezeInput>,
) -> Result<web::Json<Host>, ApiError> {
    Ok(web::Json(hosts::freeze(&s, &who.actor, *id, Some(input.read()?.reason)).await?))
}

/// Let a host's retention run again
#[utoipa::path(operation_id = "thawHost", tag = "hosts", params(("id" = HostId, Path)), responses((status = 200, body = Host), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[delete("/hosts/{id}/freeze")]
pub async fn thaw_host(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<web::Json<Host>, ApiError> {
    Ok(web::Json(hosts::freeze(&s, &who.actor, *id, None).await?))
}
