//! Recovery kits over the API.

use super::Errors;
use crate::http::guard::{Admin, Guarded, Viewer};
use crate::http::params::Input;
use crate::http::problem::ApiError;
use crate::service::recovery::{Closed, KitState, Made};
use crate::service::{ActError, Services, recovery};
use actix_web::http::header::{self, ContentDisposition, DispositionParam, DispositionType};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::secret::Secret;
use serde::{Deserialize, Serialize};

/// How repositories stand.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct KitStates {
    /// All that a host can open.
    pub items: Vec<KitState>,
    /// There is no next page.
    pub next: Option<String>,
}

/// How the kit is to be made.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct KitRequest {
    /// Of which repository; of all if left out.
    #[serde(default)]
    pub repository_id: Option<RepositoryId>,
    /// Encrypt it with age; `age -d` opens it.
    #[serde(default)]
    #[schema(value_type = Option<String>, min_length = 12)]
    pub passphrase: Option<Secret>,
    /// Make it readable for whoever finds it. Must be said if there is no passphrase.
    #[serde(default)]
    pub plain: bool,
}

/// A kit as a download.
#[must_use]
pub fn handed_over(made: Made) -> HttpResponse {
    let disposition = ContentDisposition {
        disposition: DispositionType::Attachment,
        parameters: vec![DispositionParam::Filename(made.name)],
    };
    HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .body(made.content)
}

/// List recovery kits
///
/// Of which repositories a kit was made, and where another is due.
#[utoipa::path(operation_id = "listRecoveryKits", tag = "repositories", responses((status = 200, body = KitStates), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/recovery-kits")]
pub async fn list_recovery_kits(_: Guarded<Viewer>, s: web::Data<Services>) -> Result<web::Json<KitStates>, ApiError> {
    Ok(web::Json(KitStates { items: recovery::states(&s).await?, next: None }))
}

/// Make a recovery kit
///
/// Everything that a person needs to restore with nothing but restic: addresses, passwords, commands. It is handed over once and kept nowhere.
#[utoipa::path(operation_id = "makeRecoveryKit", tag = "repositories", request_body = KitRequest, responses((status = 200, body = [u8], content_type = "application/octet-stream"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("admin"))))]
#[post("/recovery-kits")]
pub async fn make_recovery_kit(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    input: Input<KitRequest>,
) -> Result<HttpResponse, ApiError> {
    let request = input.read()?;
    let closed = match (request.passphrase, request.plain) {
        (Some(passphrase), false) => Closed::With(passphrase),
        (None, true) => Closed::Not,
        (Some(_), true) => return Err(ActError::field("/plain", "goes with no passphrase").into()),
        (None, false) => {
            return Err(
                ActError::field("/passphrase", "needed, unless you ask for a plain kit with \"plain\": true").into()
            );
        }
    };
    Ok(handed_over(recovery::make(&s, &who.actor, request.repository_id, closed).await?))
}
