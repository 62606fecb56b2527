//! Upkeep of repositories over the API: maintenance, locks, passwords, accounts.

use super::Errors;
use super::jobs::RunAnswer;
use crate::domain::health::Sample;
use crate::domain::rotation::Rotation;
use crate::domain::upkeep::{Chore, Plan};
use crate::http::guard::{Admin, Guarded, Operator, Viewer};
use crate::http::params::Input;
use crate::http::problem::ApiError;
use crate::service::accounts::{self, AccountInput};
use crate::service::health::{self, HealthView};
use crate::service::locks::{self, Locks};
use crate::service::retention::{self, SchedulePlan};
use crate::service::upkeep::{self, Upkeep};
use crate::service::{Services, rotation};
use actix_web::{HttpResponse, get, post, put, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::secret::Secret;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Show a repository's maintenance
///
/// The plan, and how far each chore is.
#[utoipa::path(operation_id = "getMaintenance", tag = "repositories", params(("id" = RepositoryId, Path)), responses((status = 200, body = Upkeep), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/maintenance")]
pub async fn get_maintenance(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<web::Json<Upkeep>, ApiError> {
    Ok(web::Json(upkeep::get(&s, *id).await?))
}

/// What a repository's maintenance should be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MaintenanceInput {
    /// The host that forgets, prunes and checks; it needs a credential, a full one for forget and prune.
    #[serde(default)]
    pub maintenance_host_id: Option<HostId>,
    /// The plan; what is left out has its default.
    #[serde(default)]
    pub plan: Plan,
}

/// Change a repository's maintenance
#[utoipa::path(operation_id = "putMaintenance", tag = "repositories", params(("id" = RepositoryId, Path)), request_body = MaintenanceInput, responses((status = 200, body = Upkeep), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[put("/repositories/{id}/maintenance")]
pub async fn put_maintenance(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    input: Input<MaintenanceInput>,
) -> Result<web::Json<Upkeep>, ApiError> {
    let input = input.read()?;
    Ok(web::Json(upkeep::put(&s, &who.actor, *id, input.maintenance_host_id, input.plan).await?))
}

/// Which chores to do.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChoresInput {
    /// They start in order, one after the other, whatever the plan and its window say.
    #[schema(min_items = 1, max_items = 6)]
    pub chores: Vec<Chore>,
}

/// Run maintenance now
#[utoipa::path(operation_id = "runMaintenance", tag = "repositories", params(("id" = RepositoryId, Path)), request_body = ChoresInput, responses((status = 202, body = Upkeep), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/repositories/{id}/maintenance/run")]
pub async fn run_maintenance(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    input: Input<ChoresInput>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Accepted().json(upkeep::run_now(&s, &who.actor, *id, input.read()?.chores).await?))
}

/// List a repository's locks
///
/// As they were last seen, with who holds them.
#[utoipa::path(operation_id = "listLocks", tag = "repositories", params(("id" = RepositoryId, Path)), responses((status = 200, body = Locks), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/locks")]
pub async fn list_locks(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<web::Json<Locks>, ApiError> {
    Ok(web::Json(locks::of_repository(&s, *id).await?))
}

/// Look at a repository's locks anew
///
/// One job for each restic repository: where the address holds `{host}` each host has its own. One that is pending is answered, not doubled.
#[utoipa::path(operation_id = "lookAtLocks", tag = "repositories", params(("id" = RepositoryId, Path)), responses((status = 202, body = RunAnswers), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/repositories/{id}/locks/look")]
pub async fn look_at_locks(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<HttpResponse, ApiError> {
    let jobs = locks::look(&s, &who.actor, *id).await?;
    Ok(HttpResponse::Accepted().json(RunAnswers { items: jobs.into_iter().map(RunAnswer::of).collect() }))
}

/// The new password.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateInput {
    /// Left out, a strong one is made that nobody needs to know.
    #[serde(default)]
    pub password: Option<Secret>,
}

/// Change a repository's password
///
/// With no gap: a key for the new password is added, every host gets it, one tries it, and only then the old key goes.
#[utoipa::path(operation_id = "rotatePassword", tag = "repositories", params(("id" = RepositoryId, Path)), request_body = RotateInput, responses((status = 202, body = Rotation), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/repositories/{id}/rotate-password")]
pub async fn rotate_password(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    input: Input<RotateInput>,
) -> Result<HttpResponse, ApiError> {
    Ok(HttpResponse::Accepted().json(rotation::start(&s, &who.actor, *id, input.read()?.password).await?))
}

/// An account that was made.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct AccountAnswer {
    /// Its name.
    pub user: String,
    /// The line for the server's `.htpasswd`.
    pub line: String,
    /// The job that writes it, if a host was named for it.
    pub job: Option<RunAnswer>,
}

/// Make an account at a rest-server for a host
///
/// The host gets its password at once. The account's line is answered, and written by the agent beside the storage if one is named and its
/// policy allows it.
#[utoipa::path(operation_id = "createAccount", tag = "repositories", params(("id" = RepositoryId, Path)), request_body = AccountInput, responses((status = 201, body = AccountAnswer), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/repositories/{id}/accounts")]
pub async fn create_account(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    input: Input<AccountInput>,
) -> Result<HttpResponse, ApiError> {
    let account = accounts::create(&s, &who.actor, *id, input.read()?).await?;
    let job = account.job.map(RunAnswer::of);
    Ok(HttpResponse::Created().json(AccountAnswer { user: account.user, line: account.line, job }))
}

/// What retention would do.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RetentionPreview {
    /// For each schedule, by host and name.
    pub items: Vec<SchedulePlan>,
}

/// Preview a repository's retention
///
/// For each snapshot whether it stays or goes, and why.
#[utoipa::path(operation_id = "previewRetention", tag = "snapshots", params(("id" = RepositoryId, Path)), responses((status = 200, body = RetentionPreview), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/retention")]
pub async fn preview_retention(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<web::Json<RetentionPreview>, ApiError> {
    Ok(web::Json(RetentionPreview { items: retention::preview(&s, *id).await? }))
}

/// What a person has seen in the preview and agrees to remove.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RetentionInput {
    /// Whole ids. What retention does not select, or no longer selects, stays.
    #[schema(min_items = 1, max_items = 5000)]
    pub snapshots: BTreeSet<String>,
}

/// Jobs that were queued.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RunAnswers {
    /// One for each restic repository: where the address holds `{host}` each host has its own.
    pub items: Vec<RunAnswer>,
}

/// Carry out a repository's retention
///
/// Removes the snapshots that were seen in the preview and that retention still selects, also beyond the ceiling. Their data goes with the
/// next prune.
#[utoipa::path(operation_id = "carryOutRetention", tag = "snapshots", params(("id" = RepositoryId, Path)), request_body = RetentionInput, responses((status = 202, body = RunAnswers), Errors), security(("bearer" = [])), extensions(("x-role" = json!("operator"))))]
#[post("/repositories/{id}/retention")]
pub async fn carry_out_retention(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    input: Input<RetentionInput>,
) -> Result<HttpResponse, ApiError> {
    let jobs = retention::carry_out(&s, &who.actor, *id, input.read()?.snapshots).await?;
    Ok(HttpResponse::Accepted().json(RunAnswers { items: jobs.into_iter().map(RunAnswer::of).collect() }))
}

/// Show a repository's health
///
/// Its newest figures, how it grows and when it is full, checks, proofs, locks, and what is not as it should be.
#[utoipa::path(operation_id = "getRepositoryHealth", tag = "repositories", params(("id" = RepositoryId, Path)), responses((status = 200, body = HealthView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/health")]
pub async fn get_health(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<web::Json<HealthView>, ApiError> {
    Ok(web::Json(health::of_repository(&s, *id).await?))
}

/// A repository's figures over time.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SampleList {
    /// Oldest first; thinned with age.
    pub items: Vec<Sample>,
}

/// List a repository's figures over time
#[utoipa::path(operation_id = "listRepositorySamples", tag = "repositories", params(("id" = RepositoryId, Path)), responses((status = 200, body = SampleList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/health/history")]
pub async fn list_samples(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<web::Json<SampleList>, ApiError> {
    Ok(web::Json(SampleList { items: health::history(&s, *id).await? }))
}
