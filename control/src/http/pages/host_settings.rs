//! A host's settings: what it is called, when somebody is told of it, and taking it out of here.

use super::door::{View, go};
use super::engine::Page;
use super::form::{FormErrors, commas, number};
use super::hosts::{HostHead, head};
use super::names::Names;
use super::repository::access::Sure;
use crate::domain::fleet::Host;
use crate::domain::watch::{General, Limits};
use crate::http::guard::{Admin, Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::hosts::HostChange;
use crate::service::{Services, general, hosts, schedules};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The fields that errors can stand beside.
const FIELDS: [&str; 4] = ["name", "tags", "backup_hours", "offline_hours"];

/// A host's settings.
#[derive(Debug, Serialize)]
pub struct HostSettingsPage {
    /// The head.
    pub head: HostHead,
    /// What the fields hold.
    pub form: SettingsForm,
    /// Where its schedules back up to.
    pub targets: Vec<Target>,
    /// What holds where the host says nothing.
    pub general: General,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for HostSettingsPage {
    const TEMPLATE: &'static str = "pages/host-settings.html";
    const NAV: &'static str = "hosts";
}

/// Where a schedule backs up to.
#[derive(Debug, Serialize)]
pub struct Target {
    /// The schedule's identity.
    pub schedule: String,
    /// Its name.
    pub name: String,
    /// The repository's identity and name; none if it has none.
    pub repository: Option<(String, String)>,
}

/// What the form sends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SettingsForm {
    name: String,
    tags: String,
    backup_hours: String,
    offline_hours: String,
}

impl SettingsForm {
    fn of(host: &Host) -> Self {
        let text = |n: Option<u32>| n.map(|n| n.to_string()).unwrap_or_default();
        Self {
            name: host.name.clone(),
            tags: host.tags.join(", "),
            backup_hours: text(host.limits.backup_hours),
            offline_hours: text(host.limits.offline_hours),
        }
    }

    fn change(&self, wrong: &mut FormErrors) -> HostChange {
        let limits = Limits {
            backup_hours: number(&self.backup_hours, "backup_hours", wrong),
            offline_hours: number(&self.offline_hours, "offline_hours", wrong),
        };
        HostChange { name: self.name.trim().to_owned(), tags: commas(&self.tags), limits: Some(limits) }
    }
}

async fn page(
    s: &Services,
    id: HostId,
    typed: Option<SettingsForm>,
    errors: FormErrors,
) -> Result<HostSettingsPage, ApiError> {
    let (host, mut names, mut targets) = (hosts::get(s, id).await?, Names::default(), vec![]);
    for schedule in schedules::of_host(s, id).await? {
        let name = match schedule.repository_id {
            Some(id) => names.repository(s, id).await?.map(|name| (id.to_string(), name)),
            None => None,
        };
        targets.push(Target { schedule: schedule.id.to_string(), name: schedule.name, repository: name });
    }
    Ok(HostSettingsPage {
        head: head(s, id, "settings", Timestamp::now()).await?,
        form: typed.unwrap_or_else(|| SettingsForm::of(&host)),
        targets,
        general: general::get(s).await?,
        errors,
    })
}

/// Shows them.
#[get("/hosts/{id}/settings")]
pub async fn show(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, *id, None, FormErrors::default()).await?).await
}

/// Saves them.
#[post("/hosts/{id}/settings")]
pub async fn save(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    form: SafeForm<SettingsForm>,
) -> Result<HttpResponse, ApiError> {
    let (form, mut errors) = (form.0, FormErrors::default());
    let change = form.change(&mut errors);
    if errors.is_empty() {
        match hosts::update(&s, &who.actor, *id, change).await {
            Ok(_) => return Ok(go(&format!("/hosts/{id}/settings?done=saved"))),
            Err(error) => errors = FormErrors::of(error, &FIELDS)?,
        }
    }
    view.again(&who, &page(&s, *id, Some(form), errors).await?).await
}

/// Asks once before a host is removed.
#[derive(Debug, Serialize)]
pub struct HostRemovePage {
    /// The head.
    pub head: HostHead,
}

impl Page for HostRemovePage {
    const TEMPLATE: &'static str = "pages/host-remove.html";
    const NAV: &'static str = "hosts";
}

/// Asks before a host is removed.
#[get("/hosts/{id}/remove")]
pub async fn ask_remove(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &HostRemovePage { head: head(&s, *id, "settings", Timestamp::now()).await? }).await
}

/// Removes a host; its snapshots stay where they are.
#[post("/hosts/{id}/remove")]
pub async fn remove(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    hosts::delete(&s, &who.actor, *id).await?;
    Ok(go("/hosts?done=host-removed"))
}
