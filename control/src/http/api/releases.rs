//! Releases of the agent and how they roll out, over the API.

use super::Errors;
use crate::domain::release::Stage;
use crate::http::guard::{Admin, Guarded, Viewer};
use crate::http::params::Input;
use crate::http::problem::ApiError;
use crate::http::release_file;
use crate::service::releases::Release;
use crate::service::rollouts::{Act, RolloutView};
use crate::service::{Services, releases, rollouts};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, get, post, put, web};
use futures_util::StreamExt as _;
use restic_manager_shared::id::HostId;
use restic_manager_shared::release::SignedManifest;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The releases.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ReleaseList {
    /// All of them, the newest upload first.
    pub items: Vec<Release>,
    /// Always none: there is one page.
    pub next: Option<String>,
}

/// List releases
#[utoipa::path(operation_id = "listReleases", tag = "releases", responses((status = 200, body = ReleaseList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/releases")]
pub async fn list_releases(_: Guarded<Viewer>, s: web::Data<Services>) -> Result<web::Json<ReleaseList>, ApiError> {
    Ok(web::Json(ReleaseList { items: releases::list(&s).await?, next: None }))
}

/// Download the agent
///
/// The program of a release, as it was signed and uploaded. `Range: bytes=N-` goes on from an offset. Compare its SHA-256 with the one in the
/// list: the list comes over the connection to this server, the signature from whoever made the release.
#[utoipa::path(operation_id = "downloadRelease", tag = "releases", params(("version" = String, Path), ("target" = String, Path)), responses((status = 200, description = "The whole file", content_type = "application/octet-stream"), (status = 206, description = "The file from an offset on", content_type = "application/octet-stream"), (status = 416, description = "The offset is beyond its end"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/releases/{version}/{target}/file")]
pub async fn download_release(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    path: web::Path<(String, String)>,
    req: HttpRequest,
) -> Result<HttpResponse, ApiError> {
    let name = if path.1.contains("windows") { "restic-manager-agent.exe" } else { "restic-manager-agent" };
    let save = (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\""));
    release_file::answer(&s, (&path.0, &path.1), &req, |answer| {
        answer.insert_header(save);
    })
    .await
}

/// A release to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseInput {
    /// What `restic-manager release sign` wrote.
    pub signed: SignedManifest,
    /// What is new in it.
    #[serde(default)]
    #[schema(max_length = 2000)]
    pub notes: String,
}

/// Add a release
///
/// The release waits for its file, which is uploaded to `/releases/{version}/{target}/file`.
#[utoipa::path(operation_id = "createRelease", tag = "releases", request_body = ReleaseInput, responses((status = 201, body = Release), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/releases")]
pub async fn create_release(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<ReleaseInput>,
) -> Result<HttpResponse, ApiError> {
    let ReleaseInput { signed, notes } = input.read()?;
    Ok(HttpResponse::Created().json(releases::add(&s, &who.actor, signed, notes).await?))
}

/// Upload the file of a release
///
/// The binary as it is. Not more than the signed size is taken, and nothing else than what was signed is kept.
#[utoipa::path(operation_id = "uploadReleaseFile", tag = "releases", params(("version" = String, Path), ("target" = String, Path)), request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses((status = 200, body = Release), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[put("/releases/{version}/{target}/file")]
pub async fn upload_release_file(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    path: web::Path<(String, String)>,
    mut body: web::Payload,
) -> Result<web::Json<Release>, ApiError> {
    let mut incoming = releases::receive(&s, &path.0, &path.1).await?;
    while let Some(part) = body.next().await {
        let part = part.map_err(|e| ApiError::Malformed(e.to_string()))?;
        incoming.write(&part).await?;
    }
    Ok(web::Json(incoming.finish(&s, &who.actor).await?))
}

/// Withdraw a release
///
/// Nobody is offered it any more. Hosts that run it go on.
#[utoipa::path(operation_id = "withdrawRelease", tag = "releases", params(("version" = String, Path), ("target" = String, Path)), responses((status = 200, body = Release), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/releases/{version}/{target}/withdraw")]
pub async fn withdraw_release(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    path: web::Path<(String, String)>,
) -> Result<web::Json<Release>, ApiError> {
    Ok(web::Json(releases::withdraw(&s, &who.actor, &path.0, &path.1).await?))
}

/// How many hosts run a version of the agent.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct VersionCount {
    /// The version.
    pub version: String,
    /// How many enrolled hosts run it.
    pub hosts: i64,
}

/// An update that did not work.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FailedHost {
    /// Where.
    pub host_id: HostId,
    /// The host's name.
    pub host: String,
    /// Which release.
    pub version: String,
    /// Why, in the agent's words.
    pub error: String,
    /// When.
    pub at: Timestamp,
    /// Whether somebody has said since then that it may be tried again.
    pub may_try_again: bool,
}

/// How the roll-out stands.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct RolloutStanding {
    /// The roll-out that counts; none if there was never one.
    pub rollout: Option<RolloutView>,
    /// Versions in the fleet, the newest first.
    pub versions: Vec<VersionCount>,
    /// Where updates did not work, the newest 50.
    pub failed: Vec<FailedHost>,
}

/// See the roll-out
#[utoipa::path(operation_id = "getRollout", tag = "releases", responses((status = 200, body = RolloutStanding), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/rollout")]
pub async fn get_rollout(_: Guarded<Viewer>, s: web::Data<Services>) -> Result<web::Json<RolloutStanding>, ApiError> {
    let failed = rollouts::refused(&s).await?.into_iter().map(|r| FailedHost {
        host_id: r.host,
        host: r.name,
        version: r.failed.version,
        error: r.failed.error,
        at: r.failed.at,
        may_try_again: r.forgiven,
    });
    let versions = rollouts::versions(&s).await?.into_iter().map(|(version, hosts)| VersionCount { version, hosts });
    Ok(web::Json(RolloutStanding {
        rollout: rollouts::current(&s).await?,
        versions: versions.collect(),
        failed: failed.collect(),
    }))
}

/// A roll-out to be.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutInput {
    /// The release.
    pub version: String,
    /// Its stages; left out for the usual ones: the tag `canary` and 5 %, 25 %, 80 %, all.
    pub stages: Option<Vec<Stage>>,
}

/// Roll a release out
///
/// The roll-out before it ends where it is.
#[utoipa::path(operation_id = "startRollout", tag = "releases", request_body = RolloutInput, responses((status = 201, body = RolloutView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/rollout")]
pub async fn start_rollout(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<RolloutInput>,
) -> Result<HttpResponse, ApiError> {
    let RolloutInput { version, stages } = input.read()?;
    Ok(HttpResponse::Created().json(rollouts::start(&s, &who.actor, version, stages).await?))
}

/// Pause the roll-out
///
/// Nobody new is offered the release, and updates that were not put in place yet are left.
#[utoipa::path(operation_id = "pauseRollout", tag = "releases", responses((status = 200, body = RolloutView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/rollout/pause")]
pub async fn pause_rollout(who: Guarded<Admin>, s: web::Data<Services>) -> Result<web::Json<RolloutView>, ApiError> {
    Ok(web::Json(rollouts::act(&s, &who.actor, Act::Pause).await?))
}

/// Go on with the roll-out
///
/// Hosts where the update failed stay as they are.
#[utoipa::path(operation_id = "resumeRollout", tag = "releases", responses((status = 200, body = RolloutView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/rollout/resume")]
pub async fn resume_rollout(who: Guarded<Admin>, s: web::Data<Services>) -> Result<web::Json<RolloutView>, ApiError> {
    Ok(web::Json(rollouts::act(&s, &who.actor, Act::Resume).await?))
}

/// Begin the next stage now
///
/// Whatever the gate of this one says.
#[utoipa::path(operation_id = "advanceRollout", tag = "releases", responses((status = 200, body = RolloutView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/rollout/advance")]
pub async fn advance_rollout(who: Guarded<Admin>, s: web::Data<Services>) -> Result<web::Json<RolloutView>, ApiError> {
    Ok(web::Json(rollouts::act(&s, &who.actor, Act::Advance).await?))
}

/// Roll back
///
/// Hosts that run the release are offered the one from before.
#[utoipa::path(operation_id = "rollBack", tag = "releases", responses((status = 200, body = RolloutView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/rollout/roll-back")]
pub async fn roll_back(who: Guarded<Admin>, s: web::Data<Services>) -> Result<web::Json<RolloutView>, ApiError> {
    Ok(web::Json(rollouts::act(&s, &who.actor, Act::RollBack).await?))
}

/// Try a failed update again
///
/// A release that did not work on a host is not offered to it again until somebody says so.
#[utoipa::path(operation_id = "retryUpdate", tag = "releases", params(("id" = HostId, Path)), responses((status = 204, description = "It may be tried again"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/hosts/{id}/update/retry")]
pub async fn retry_update(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    rollouts::retry(&s, &who.actor, *id).await?;
    Ok(HttpResponse::NoContent().finish())
}
