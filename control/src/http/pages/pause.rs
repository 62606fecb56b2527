//! Pausing a host or a schedule on a page: until when is chosen in words or typed in the viewer's zone. What a pause does is not decided here.

use super::door::{View, go};
use super::engine::Page;
use super::form::{FormErrors, typed};
use super::hosts::Pressed;
use super::view::asked_by;
use super::zone::{instant, local, viewer};
use crate::domain::pause::{PauseInput, Paused};
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::{Services, hosts, pauses, schedules};
use crate::words::Moment;
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use chrono::{Days, NaiveDateTime, NaiveTime, TimeDelta};
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const WEEK: Duration = Duration::from_secs(7 * 86_400);
/// The hour at which a morning begins.
const MORNING: TimeDelta = TimeDelta::hours(6);
/// How browsers send a day with a time.
const TYPED: &str = "%Y-%m-%dT%H:%M";
/// The names of the fields, as errors find them.
pub const FIELDS: [&str; 2] = ["until", "reason"];

/// A pause that holds, for people.
#[derive(Clone, Debug, Serialize)]
pub struct PausedWords {
    /// `Paused until Fri 06:00`, or `Paused` if it has no end.
    pub words: String,
    /// Until when.
    pub until: Option<Moment>,
    /// Since when.
    pub since: Moment,
    /// Who did it.
    pub by: String,
    /// Why.
    pub reason: Option<String>,
}

impl PausedWords {
    /// A pause as it looks from now.
    #[must_use]
    pub fn new(paused: &Paused, now: Timestamp) -> Self {
        let until = paused.until.map(|until| Moment::new(until, now));
        Self {
            words: crate::words::attention::paused(until.as_ref()),
            until,
            since: Moment::new(paused.from, now),
            by: asked_by(&paused.by),
            reason: paused.reason.clone(),
        }
    }

    /// In one sentence: until when, and by whom.
    #[must_use]
    pub fn sentence(&self) -> String {
        crate::words::attention::paused_by(&self.words, &self.by)
    }
}

/// What is typed of a pause.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct PauseForm {
    /// `hour`, `morning`, `week`, `at` or `open`.
    pub choice: String,
    /// The day and time that `at` means, in the viewer's zone.
    pub until: String,
    /// Why.
    pub reason: String,
}

impl PauseForm {
    /// The form before anything is typed: until tomorrow morning.
    #[must_use]
    pub fn blank(now: Timestamp) -> Self {
        let until = morning(local(now)).format(TYPED).to_string();
        Self { choice: "hour".into(), until, reason: String::new() }
    }

    /// The pause that is meant. What is wrong is noted.
    #[must_use]
    pub fn input(&self, now: Timestamp, wrong: &mut FormErrors) -> PauseInput {
        let until = match until(&self.choice, &self.until, now, local(now)) {
            Ok(until) => until,
            Err(why) => {
                wrong.add("until", why);
                None
            }
        };
        PauseInput { until, reason: typed(&self.reason) }
    }
}

/// The next morning on a clock.
fn morning(now: NaiveDateTime) -> NaiveDateTime {
    now.checked_add_days(Days::new(1)).unwrap_or(now).date().and_time(NaiveTime::MIN) + MORNING
}

/// Until when a choice means.
fn until(choice: &str, at: &str, now: Timestamp, clock: NaiveDateTime) -> Result<Option<Timestamp>, &'static str> {
    match choice {
        "hour" => Ok(Some(now + HOUR)),
        "morning" => Ok(Some(instant(morning(clock), viewer()))),
        "week" => Ok(Some(now + WEEK)),
        "open" => Ok(None),
        "at" => {
            let read = NaiveDateTime::parse_from_str(at.trim().get(..16).unwrap_or_default(), TYPED);
            read.map(|at| Some(instant(at, viewer()))).map_err(|_| wrong::TIME)
        }
        _ => Err(wrong::UNTIL),
    }
}

/// Asks until when a host or a schedule is to be paused.
#[derive(Debug, Serialize)]
pub struct PausePage {
    /// Its identity.
    pub id: String,
    /// Whether it is a schedule.
    pub of_schedule: bool,
    /// Its name.
    pub name: String,
    /// Its host's identity.
    pub host_id: String,
    /// Its host's name.
    pub host: String,
    /// The pause that holds, which this one replaces.
    pub paused: Option<PausedWords>,
    /// What was typed.
    pub form: PauseForm,
    /// What is wrong with it.
    pub errors: FormErrors,
}

impl Page for PausePage {
    const TEMPLATE: &'static str = "pages/pause.html";
    const NAV: &'static str = "hosts";
}

async fn host_page(s: &Services, id: HostId, form: PauseForm, errors: FormErrors) -> Result<PausePage, ApiError> {
    let (host, now) = (hosts::get(s, id).await?, Timestamp::now());
    Ok(PausePage {
        id: id.to_string(),
        of_schedule: false,
        name: host.name.clone(),
        host_id: id.to_string(),
        paused: host.paused.as_ref().map(|p| PausedWords::new(p, now)),
        host: host.name,
        form,
        errors,
    })
}

async fn schedule_page(
    s: &Services,
    id: ScheduleId,
    form: PauseForm,
    errors: FormErrors,
) -> Result<PausePage, ApiError> {
    let (schedule, now) = (schedules::get(s, id).await?, Timestamp::now());
    let host = hosts::get(s, schedule.host_id).await?;
    Ok(PausePage {
        id: id.to_string(),
        of_schedule: true,
        paused: schedule.paused.as_ref().map(|p| PausedWords::new(p, now)),
        name: schedule.name,
        host_id: host.id.to_string(),
        host: host.name,
        form,
        errors,
    })
}

/// Asks until when a host is to be paused.
#[get("/hosts/{id}/pause")]
pub async fn ask_host(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    let page = host_page(&s, *id, PauseForm::blank(Timestamp::now()), FormErrors::default()).await?;
    view.show(&who, &page).await
}

/// Pauses a host.
#[post("/hosts/{id}/pause")]
pub async fn pause_host(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    form: SafeForm<PauseForm>,
) -> Result<HttpResponse, ApiError> {
    let (form, mut errors) = (form.0, FormErrors::default());
    let input = form.input(Timestamp::now(), &mut errors);
    if errors.is_empty() {
        match pauses::pause_host(&s, &who.actor, *id, input).await {
            Ok(_) => return Ok(go(&format!("/hosts/{id}?done=host-paused"))),
            Err(error) => errors = FormErrors::of(error, &FIELDS)?,
        }
    }
    view.again(&who, &host_page(&s, *id, form, errors).await?).await
}

/// Ends a host's pause.
#[post("/hosts/{id}/resume")]
pub async fn resume_host(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    _form: SafeForm<Pressed>,
) -> Result<HttpResponse, ApiError> {
    pauses::resume_host(&s, &who.actor, *id).await?;
    Ok(go(&format!("/hosts/{id}?done=host-resumed")))
}

/// Asks until when a schedule is to be paused.
#[get("/schedules/{id}/pause")]
pub async fn ask_schedule(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
) -> Result<HttpResponse, ApiError> {
    let page = schedule_page(&s, *id, PauseForm::blank(Timestamp::now()), FormErrors::default()).await?;
    view.show(&who, &page).await
}

/// Pauses a schedule.
#[post("/schedules/{id}/pause")]
pub async fn pause_schedule(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    form: SafeForm<PauseForm>,
) -> Result<HttpResponse, ApiError> {
    let (form, mut errors) = (form.0, FormErrors::default());
    let input = form.input(Timestamp::now(), &mut errors);
    if errors.is_empty() {
        match pauses::pause_schedule(&s, &who.actor, *id, input).await {
            Ok(paused) => return Ok(go(&format!("/hosts/{}/schedules?done=schedule-paused", paused.host_id))),
            Err(error) => errors = FormErrors::of(error, &FIELDS)?,
        }
    }
    view.again(&who, &schedule_page(&s, *id, form, errors).await?).await
}

/// Ends a schedule's own pause.
#[post("/schedules/{id}/resume")]
pub async fn resume_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    _form: SafeForm<Pressed>,
) -> Result<HttpResponse, ApiError> {
    let schedule = pauses::resume_schedule(&s, &who.actor, *id).await?;
    Ok(go(&format!("/hosts/{}/schedules?done=schedule-resumed", schedule.host_id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_means_an_instant() {
        let now = Timestamp::parse("2026-11-27T22:30:00Z").expect("valid");
        let until = |choice: &str, at: &str| {
            until(choice, at, now, local(now)).map(|t| t.map(|t| t.to_string())).map_err(|_| ())
        };
        for (choice, at, want) in [
            ("hour", "", Ok(Some("2026-11-27T23:30:00Z"))),
            ("morning", "", Ok(Some("2026-11-28T06:00:00Z"))),
            ("week", "", Ok(Some("2026-12-04T22:30:00Z"))),
            ("open", "2026-12-24T18:00", Ok(None)),
            ("at", "2026-12-24T18:00", Ok(Some("2026-12-24T18:00:00Z"))),
            ("at", "2026-12-24T18:00:30", Ok(Some("2026-12-24T18:00:00Z"))),
            ("at", "tomorrow", Err(())),
            ("at", "", Err(())),
            ("", "", Err(())),
        ] {
            assert_eq!(until(choice, at), want.map(|t: Option<&str>| t.map(ToOwned::to_owned)), "{choice} {at}");
        }
    }
}
