//! Saying that an alert is known, why, and until which day it is quiet for that; and taking it back.

use super::alerts::row;
use super::door::{View, go};
use super::engine::Page;
use super::form::{FormErrors, typed};
use super::names::Names;
use super::repository::access::Sure;
use super::zone::viewer;
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::alerts::Acknowledgement;
use crate::service::{Services, alerts};
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use chrono::{NaiveDate, NaiveTime, TimeZone as _, Utc};
use restic_manager_shared::id::AlertId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Asks why an alert is known, and until when.
#[derive(Debug, Serialize)]
pub struct AlertAcknowledgePage {
    /// The alert's identity.
    pub id: String,
    /// Its condition.
    pub title: String,
    /// What it is about.
    pub detail: String,
    /// Its subject's name.
    pub subject: String,
    /// The reason that was typed.
    pub reason: String,
    /// The day that was typed.
    pub until: String,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for AlertAcknowledgePage {
    const TEMPLATE: &'static str = "pages/alert-acknowledge.html";
    const NAV: &'static str = "alerts";
}

/// Why, and until when.
#[derive(Debug, Default, Deserialize)]
pub struct AcknowledgeForm {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    until: String,
}

/// The end of a day on the viewer's clock, or the nearest instant that this clock shows.
fn end_of(day: &str) -> Option<Timestamp> {
    let next = day.parse::<NaiveDate>().ok()?.succ_opt()?.and_time(NaiveTime::MIN);
    let at = viewer().from_local_datetime(&next).earliest().map(|at| at.with_timezone(&Utc));
    Some(Timestamp::from(at.unwrap_or_else(|| Utc.from_utc_datetime(&next))))
}

impl AcknowledgeForm {
    fn read(&self, wrong: &mut FormErrors) -> Acknowledgement {
        let until = typed(&self.until).and_then(|day| {
            let end = end_of(&day);
            if end.is_none() {
                wrong.add("until", wrong::DAY_OR_EMPTY);
            }
            end
        });
        Acknowledgement { reason: typed(&self.reason), until }
    }
}

async fn page(
    s: &Services,
    id: AlertId,
    form: AcknowledgeForm,
    errors: FormErrors,
) -> Result<AlertAcknowledgePage, ApiError> {
    let alert = alerts::get(s, id).await?;
    let row = row(s, &alert, &mut Names::default(), Timestamp::now()).await?;
    Ok(AlertAcknowledgePage {
        id: row.id,
        title: row.title,
        detail: row.detail,
        subject: row.subject,
        reason: form.reason,
        until: form.until,
        errors,
    })
}

/// Asks why, and until when.
#[get("/alerts/{id}/acknowledge")]
pub async fn ask(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<AlertId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, *id, AcknowledgeForm::default(), FormErrors::default()).await?).await
}

/// Says that an alert is known.
#[post("/alerts/{id}/acknowledge")]
pub async fn acknowledge(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<AlertId>,
    form: SafeForm<AcknowledgeForm>,
) -> Result<HttpResponse, ApiError> {
    let form = form.0;
    let mut errors = FormErrors::default();
    let how = form.read(&mut errors);
    if errors.is_empty() {
        match alerts::acknowledge(&s, &who.actor, *id, how).await {
            Ok(()) => return Ok(go("/alerts?done=acknowledged")),
            Err(error) => errors = FormErrors::of(error, &["reason", "until"])?,
        }
    }
    view.again(&who, &page(&s, *id, form, errors).await?).await
}

/// Takes back that an alert is known.
#[post("/alerts/{id}/reopen")]
pub async fn reopen(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<AlertId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    alerts::reopen(&s, &who.actor, *id).await?;
    Ok(go("/alerts?done=reopened"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_ends_at_midnight() {
        let at = |text| Timestamp::parse(text).ok();
        assert_eq!(end_of("2027-01-31"), at("2027-02-01T00:00:00Z"));
        assert_eq!(end_of("31.1.2027"), None);
        assert_eq!(end_of(""), None);
    }
}
