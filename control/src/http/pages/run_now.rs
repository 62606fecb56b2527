//! Run now on pages: the button that a host or a schedule has, the question which schedule is meant, and the press. A press that is not taken
//! leads back to where it was made, and that page says why. What is offered is decided in `domain::run_now`.

use super::door::{View, go, own_path};
use super::engine::Page;
use super::hosts::press_key;
use super::names::Names;
use crate::domain::host_action::{Effect, HostAct, Why};
use crate::domain::run_now::RunNow;
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::host_actions::{self, Target};
use crate::service::run_now::{self, Offer};
use crate::service::{ActError, Refusal, Services, jobs};
use crate::store::jobs::Filter;
use crate::words::run_now as words;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, ScheduleId};
use serde::{Deserialize, Serialize};

/// The button.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunButton {
    /// `press`, `ask`, `offline` or `not`.
    pub does: &'static str,
    /// Why it cannot be pressed.
    pub why: &'static str,
    /// The job that is in the way.
    pub job: Option<String>,
}

impl RunButton {
    fn not(why: &Why) -> Self {
        let job = if let Why::Running(job) = why { Some(job.to_string()) } else { None };
        Self { does: if *why == Why::Offline { "offline" } else { "not" }, why: words::why(why), job }
    }

    /// That of a host.
    #[must_use]
    pub fn of_host(offer: Option<&Offer>) -> Self {
        match offer.map(|o| &o.run) {
            Some(RunNow::Press(_)) => Self { does: "press", ..Self::default() },
            Some(RunNow::Ask) => Self { does: "ask", ..Self::default() },
            Some(RunNow::Not(why)) => Self::not(why),
            None => Self::not(&Why::NoneEnabled),
        }
    }

    /// That of an enabled schedule of a host that is online or not.
    #[must_use]
    pub fn of_schedule(offer: Option<&Offer>, id: ScheduleId, online: bool) -> Self {
        let choice = offer.and_then(|o| o.choices.iter().find(|c| c.id == id));
        match choice.map(|c| &c.ready) {
            _ if !online => Self::not(&Why::Offline),
            Some(Ok(())) => Self { does: "press", ..Self::default() },
            Some(Err(why)) => Self::not(why),
            None => Self::not(&Why::NoneEnabled),
        }
    }
}

/// A schedule to choose.
#[derive(Clone, Debug, Serialize)]
pub struct RunChoice {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it backs up.
    pub paths: String,
    /// Why it cannot be chosen; empty if it can.
    pub why: &'static str,
}

/// The schedules of an offer, and how many of them can be chosen.
#[must_use]
pub fn choices(offer: Option<&Offer>) -> (Vec<RunChoice>, i64) {
    let all = offer.map(|o| o.choices.as_slice()).unwrap_or_default();
    let choice = |c: &run_now::Choice| RunChoice {
        id: c.id.to_string(),
        name: c.name.clone(),
        paths: c.paths.join("  "),
        why: c.ready.as_ref().err().map(words::why).unwrap_or_default(),
    };
    let ready = all.iter().filter(|c| c.ready.is_ok()).count();
    (all.iter().map(choice).collect(), i64::try_from(ready).unwrap_or(i64::MAX))
}

/// Asks which schedule is meant.
#[derive(Debug, Serialize)]
pub struct HostRunPage {
    /// The host's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its enabled schedules.
    pub choices: Vec<RunChoice>,
    /// How many of them can start now.
    pub ready: i64,
    /// Why nothing can be started.
    pub button: RunButton,
    /// The same press twice is one job.
    pub key: String,
    /// Where to go back to.
    pub back: String,
}

impl Page for HostRunPage {
    const TEMPLATE: &'static str = "pages/host-run.html";
    const NAV: &'static str = "hosts";
}

/// Where the question was asked from.
#[derive(Debug, Deserialize)]
pub struct From {
    #[serde(default)]
    back: String,
}

/// What the button sends.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunForm {
    /// The same press twice is one job.
    key: String,
    /// The schedule that is meant; `all` for all of them, empty for the only one.
    schedule: String,
    /// The page that it was pressed on.
    back: String,
}

impl RunForm {
    fn key(&self) -> Option<String> {
        Some(self.key.clone()).filter(|key| !key.is_empty())
    }
}

/// Where a press was made; the page of its host if that is not said.
fn back_to(back: &str, host: HostId) -> String {
    if back.is_empty() { format!("/hosts/{host}") } else { own_path(back).to_owned() }
}

/// Back to where it was pressed, with the reason.
fn refused(back: &str, code: &str) -> HttpResponse {
    let mark = if back.contains('?') { '&' } else { '?' };
    go(&format!("{back}{mark}refused={code}"))
}

/// A refusal as the page says it where it was pressed; what it has no words for is an error as ever.
fn answer(asked: Result<jobs::Queued, ActError>, back: &str) -> Result<HttpResponse, ApiError> {
    match asked {
        Ok(queued) => Ok(go(&format!("/jobs/{}", queued.job.id))),
        Err(ActError::Refused(refusal)) if !words::refused(refusal.code()).is_empty() => {
            Ok(refused(back, refusal.code()))
        }
        Err(error) => Err(error.into()),
    }
}

/// Asks which schedule of a host is to run.
#[get("/hosts/{id}/run")]
pub async fn ask(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    from: web::Query<From>,
) -> Result<HttpResponse, ApiError> {
    let offer = run_now::of_host(&s, *id).await?;
    let newest = jobs::list(&s, Filter { host: Some(*id), ..Filter::default() }, None, 1).await?.items.pop();
    let (choices, ready) = choices(offer.as_ref());
    let page = HostRunPage {
        id: id.to_string(),
        name: Names::default().host(&s, *id).await?,
        choices,
        ready,
        button: RunButton::of_host(offer.as_ref()),
        key: press_key(newest.as_ref()),
        back: back_to(&from.back, *id),
    };
    view.show(&who, &page).await
}

/// Runs the schedule that is chosen, or all, or the one that is meant if that is clear.
#[post("/hosts/{id}/run")]
pub async fn run(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    form: SafeForm<RunForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let back = back_to(&form.back, *id);
    match form.schedule.as_str() {
        "" => match jobs::run_host(&s, &who.actor, *id, form.key()).await {
            // Since the page was opened a second one has come: now it has to be asked.
            Err(ActError::Refused(Refusal::PickSchedule(_))) if has_choices(&s, *id).await? => {
                Ok(go(&super::door::address(&format!("/hosts/{id}/run"), &[("back", &back)])))
            }
            other => answer(other, &back),
        },
        "all" => all(&s, &who, *id, &form, &back).await,
        schedule => match schedule.parse::<ScheduleId>() {
            Ok(schedule) => answer(jobs::run_schedule(&s, &who.actor, schedule, false, form.key()).await, &back),
            Err(_) => Ok(refused(&back, "pick_schedule")),
        },
    }
}

async fn has_choices(s: &Services, id: HostId) -> Result<bool, ApiError> {
    Ok(run_now::of_host(s, id).await?.is_some_and(|offer| !offer.choices.is_empty()))
}

async fn all(
    s: &Services,
    who: &Guarded<Operator>,
    id: HostId,
    form: &RunForm,
    back: &str,
) -> Result<HttpResponse, ApiError> {
    let act = HostAct::Run { online_only: false, all_schedules: true };
    let told = host_actions::act(s, &who.actor, act, Target::Hosts(vec![id]), form.key()).await?.pop();
    Ok(match told {
        Some(told) if told.effect == Effect::Done => match told.job_ids.as_slice() {
            [only] => go(&format!("/jobs/{only}")),
            _ => go(&format!("/jobs?state=open&host={id}")),
        },
        Some(told) => refused(back, told.code.as_deref().unwrap_or("pick_schedule")),
        None => refused(back, "pick_schedule"),
    })
}

/// Runs a schedule now.
#[post("/schedules/{id}/run")]
pub async fn run_schedule(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    form: SafeForm<RunForm>,
) -> Result<HttpResponse, ApiError> {
    let back = if form.0.back.is_empty() { "/jobs" } else { own_path(&form.0.back) };
    answer(jobs::run_schedule(&s, &who.actor, *id, false, form.0.key()).await, back)
}
