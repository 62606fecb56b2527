//! General settings: what holds for all hosts that say nothing else.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::{FormErrors, number};
use crate::domain::watch::General;
use crate::http::guard::{Admin, Guarded, SafeForm};
use crate::http::problem::ApiError;
use crate::service::{Services, general};
use actix_web::{HttpResponse, get, post, web};
use serde::{Deserialize, Serialize};

/// The fields that errors can stand beside.
const FIELDS: [&str; 2] = ["manual_limit_days", "offline_alert_hours"];

/// The general settings.
#[derive(Debug, Serialize)]
pub struct SettingsGeneralPage {
    /// The open tab.
    pub tab: &'static str,
    /// What the fields hold.
    pub form: GeneralForm,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for SettingsGeneralPage {
    const TEMPLATE: &'static str = "pages/settings-general.html";
    const NAV: &'static str = "settings";
}

/// What the form sends.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct GeneralForm {
    manual_limit_days: String,
    offline_alert_hours: String,
}

impl From<General> for GeneralForm {
    fn from(general: General) -> Self {
        Self {
            manual_limit_days: general.manual_limit_days.to_string(),
            offline_alert_hours: general.offline_alert_hours.map(|n| n.to_string()).unwrap_or_default(),
        }
    }
}

impl GeneralForm {
    /// What is asked for; what the form leaves empty has its default.
    fn general(&self, wrong: &mut FormErrors) -> General {
        let usual = General::default();
        General {
            manual_limit_days: number(&self.manual_limit_days, "manual_limit_days", wrong)
                .unwrap_or(usual.manual_limit_days),
            offline_alert_hours: number(&self.offline_alert_hours, "offline_alert_hours", wrong),
        }
    }
}

/// Shows them.
#[get("/settings/general")]
pub async fn show(who: Guarded<Admin>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    let form = general::get(&s).await?.into();
    view.show(&who, &SettingsGeneralPage { tab: "general", form, errors: FormErrors::default() }).await
}

/// Saves them.
#[post("/settings/general")]
pub async fn save(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<GeneralForm>,
) -> Result<HttpResponse, ApiError> {
    let (form, mut errors) = (form.0, FormErrors::default());
    let wanted = form.general(&mut errors);
    if errors.is_empty() {
        match general::put(&s, &who.actor, wanted).await {
            Ok(_) => return Ok(go("/settings/general?done=general-saved")),
            Err(error) => errors = FormErrors::of(error, &FIELDS)?,
        }
    }
    view.again(&who, &SettingsGeneralPage { tab: "general", form, errors }).await
}
