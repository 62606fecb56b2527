//! Freezing a host's retention, so that nothing of it is forgotten, and letting it run again.

use super::door::{View, go};
use super::engine::Page;
use super::form::FormErrors;
use super::repository::access::Sure;
use super::view::asked_by;
use crate::domain::fleet::{Freeze, Host};
use crate::http::guard::{Admin, Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::{Services, hosts};
use crate::words::Moment;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Why a host's retention does not run.
#[derive(Clone, Debug, Serialize)]
pub struct Frozen {
    /// Why.
    pub reason: String,
    /// Since when.
    pub since: Moment,
    /// Who did it.
    pub by: String,
}

impl Frozen {
    /// A freeze, for people.
    #[must_use]
    pub fn new(freeze: &Freeze, now: Timestamp) -> Self {
        Self { reason: freeze.reason.clone(), since: Moment::new(freeze.since, now), by: asked_by(&freeze.by) }
    }
}

/// Asks why a host's retention should not run.
#[derive(Debug, Serialize)]
pub struct HostFreezePage {
    /// The host's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What was typed.
    pub reason: String,
    /// What is wrong with it.
    pub errors: FormErrors,
}

impl Page for HostFreezePage {
    const TEMPLATE: &'static str = "pages/host-freeze.html";
    const NAV: &'static str = "hosts";
}

/// Asks once before a host's retention runs again.
#[derive(Debug, Serialize)]
pub struct HostThawPage {
    /// The host's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why it is frozen.
    pub frozen: Option<Frozen>,
}

impl Page for HostThawPage {
    const TEMPLATE: &'static str = "pages/host-thaw.html";
    const NAV: &'static str = "hosts";
}

fn page(host: Host, reason: String, errors: FormErrors) -> HostFreezePage {
    HostFreezePage { id: host.id.to_string(), name: host.name, reason, errors }
}

/// Asks why.
#[get("/hosts/{id}/freeze")]
pub async fn ask(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(hosts::get(&s, *id).await?, String::new(), FormErrors::default())).await
}

/// Why.
#[derive(Debug, Deserialize)]
pub struct FreezeForm {
    #[serde(default)]
    reason: String,
}

/// Freezes a host's retention.
#[post("/hosts/{id}/freeze")]
pub async fn stop(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    form: SafeForm<FreezeForm>,
) -> Result<HttpResponse, ApiError> {
    let reason = form.0.reason;
    match hosts::freeze(&s, &who.actor, *id, Some(reason.trim().to_owned())).await {
        Ok(_) => Ok(go(&format!("/hosts/{id}?done=frozen"))),
        Err(error) => {
            let errors = FormErrors::of(error, &["reason"])?;
            view.again(&who, &page(hosts::get(&s, *id).await?, reason, errors)).await
        }
    }
}

/// Asks before a host's retention runs again.
#[get("/hosts/{id}/thaw")]
pub async fn ask_thaw(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    let host = hosts::get(&s, *id).await?;
    let frozen = host.frozen.as_ref().map(|f| Frozen::new(f, Timestamp::now()));
    view.show(&who, &HostThawPage { id: host.id.to_string(), name: host.name, frozen }).await
}

/// Lets a host's retention run again.
#[post("/hosts/{id}/thaw")]
pub async fn thaw(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    hosts::freeze(&s, &who.actor, *id, None).await?;
    Ok(go(&format!("/hosts/{id}?done=thawed")))
}
