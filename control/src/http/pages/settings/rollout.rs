//! What people do with roll-outs and releases, and the page that asks first in the settings. Whatever takes an update to hosts, or away from them, is asked about once.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::{FormErrors, number, typed};
use super::super::repository::access::Sure;
use super::releases::{StageFields, page};
use crate::domain::release::{Stage, check_stages};
use crate::http::guard::{Admin, Guarded, SafeForm};
use crate::http::problem::ApiError;
use crate::service::rollouts::Act;
use crate::service::{Services, releases, rollouts};
use crate::words::release::ask as words;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::HostId;
use serde::Serialize;
use std::collections::HashMap;

/// Stages that the form has room for.
const ROWS: usize = 4;

/// The list that a question came from: its address, and its name.
pub type Origin = (&'static str, &'static str);

/// The list of releases.
const RELEASES: Origin = ("/settings/releases", words::RELEASES);

/// Asks once before something is done in the settings.
#[derive(Debug, Serialize)]
pub struct SettingsAskPage {
    /// Where it came from.
    pub from: Origin,
    /// The question.
    pub title: String,
    /// What it does, and what not.
    pub words: Vec<String>,
    /// Where the answer goes.
    pub action: String,
    /// What the button says.
    pub button: &'static str,
    /// What goes with it.
    pub fields: Vec<(String, String)>,
    /// Whether it takes something away.
    pub danger: bool,
}

impl Page for SettingsAskPage {
    const TEMPLATE: &'static str = "pages/settings-ask.html";
    const NAV: &'static str = "settings";
}

type Typed = HashMap<String, String>;

fn typed_stages(form: &Typed) -> Vec<StageFields> {
    let field = |name: &str, n: usize| form.get(&format!("{name}_{n}")).cloned().unwrap_or_default();
    let row = |n| StageFields {
        tag: field("tag", n),
        percent: field("percent", n),
        healthy: field("healthy", n),
        hours: field("hours", n),
    };
    (0..ROWS).map(row).collect()
}

fn read_stages(rows: &[StageFields]) -> Result<Vec<Stage>, FormErrors> {
    let mut wrong = FormErrors::default();
    let mut stages = vec![];
    for row in rows.iter().filter(|row| !row.percent.trim().is_empty()) {
        let mut read = |text: &str| number(text, "stages", &mut wrong).unwrap_or(0);
        let (percent, healthy, hours) = (read(&row.percent), read(&row.healthy), read(&row.hours));
        // What is too large is told by the rule.
        let percent = u8::try_from(percent).unwrap_or(u8::MAX);
        stages.push(Stage { tag: typed(&row.tag), percent, healthy, hours });
    }
    if wrong.is_empty() { Ok(stages) } else { Err(wrong) }
}

/// The question before a roll-out, with all that was typed.
fn ask_start(version: &str, stages: &[Stage], form: &Typed) -> SettingsAskPage {
    let typed = form.iter().filter(|(name, _)| *name != "csrf").map(|(name, value)| (name.clone(), value.clone()));
    let shares: Vec<(Option<&str>, u8)> = stages.iter().map(|s| (s.tag.as_deref(), s.percent)).collect();
    SettingsAskPage {
        from: RELEASES,
        fields: typed.chain([("sure".to_owned(), "1".to_owned())]).collect(),
        title: words::start(version),
        words: words::start_means(&shares),
        action: "/settings/releases/rollout".into(),
        button: words::START,
        danger: false,
    }
}

/// Starts a roll-out. It is asked about first.
#[post("/settings/releases/rollout")]
pub async fn start(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<Typed>,
) -> Result<HttpResponse, ApiError> {
    let version = form.0.get("version").cloned().unwrap_or_default();
    let rows = typed_stages(&form.0);
    let errors = match read_stages(&rows) {
        Err(wrong) => wrong,
        Ok(stages) if !form.0.contains_key("sure") && check_stages(&stages).is_empty() => {
            return view.show(&who, &ask_start(&version, &stages, &form.0)).await;
        }
        Ok(stages) => match rollouts::start(&s, &who.actor, version.clone(), Some(stages)).await {
            Ok(_) => return Ok(go("/settings/releases?done=rollout-started")),
            Err(error) => FormErrors::of(error, &["stages", "version"])?,
        },
    };
    view.again(&who, &page(&s, version, rows, errors).await?).await
}

/// Offers the release to nobody new.
#[post("/settings/releases/pause")]
pub async fn pause(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    rollouts::act(&s, &who.actor, Act::Pause).await?;
    Ok(go("/settings/releases?done=rollout-paused"))
}

/// Goes on.
#[post("/settings/releases/resume")]
pub async fn resume(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    rollouts::act(&s, &who.actor, Act::Resume).await?;
    Ok(go("/settings/releases?done=rollout-resumed"))
}

/// Asks before the next stage begins early.
#[get("/settings/releases/advance")]
pub async fn ask_advance(who: Guarded<Admin>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    let words = match rollouts::current(&s).await? {
        Some(r) => words::advance(r.gate.healthy, r.gate.needed, &r.rollout.version),
        None => vec![words::NOTHING.to_owned()],
    };
    let page = SettingsAskPage {
        from: RELEASES,
        fields: vec![],
        title: words::ADVANCE.0.into(),
        words,
        action: "/settings/releases/advance".into(),
        button: words::ADVANCE.1,
        danger: false,
    };
    view.show(&who, &page).await
}

/// Begins the next stage.
#[post("/settings/releases/advance")]
pub async fn advance(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    rollouts::act(&s, &who.actor, Act::Advance).await?;
    Ok(go("/settings/releases?done=rollout-advanced"))
}

/// Asks before hosts go back.
#[get("/settings/releases/roll-back")]
pub async fn ask_back(who: Guarded<Admin>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    let words = match rollouts::current(&s).await? {
        Some(r) => words::roll_back(r.updated, &r.rollout.version, r.rollout.previous.as_deref()),
        None => vec![words::NOTHING.to_owned()],
    };
    let page = SettingsAskPage {
        from: RELEASES,
        fields: vec![],
        title: words::ROLL_BACK.0.into(),
        words,
        action: "/settings/releases/roll-back".into(),
        button: words::ROLL_BACK.1,
        danger: true,
    };
    view.show(&who, &page).await
}

/// Lets hosts go back.
#[post("/settings/releases/roll-back")]
pub async fn back(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    rollouts::act(&s, &who.actor, Act::RollBack).await?;
    Ok(go("/settings/releases?done=rolled-back"))
}

/// Asks before a release is withdrawn.
#[get("/settings/releases/{version}/{target}/withdraw")]
pub async fn ask_withdraw(
    who: Guarded<Admin>,
    view: View,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, ApiError> {
    let (version, target) = path.into_inner();
    let page = SettingsAskPage {
        from: RELEASES,
        fields: vec![],
        title: words::withdraw(&version, &target),
        words: words::withdraw_means(),
        action: format!("/settings/releases/{version}/{target}/withdraw"),
        button: words::WITHDRAW,
        danger: true,
    };
    view.show(&who, &page).await
}

/// Withdraws a release.
#[post("/settings/releases/{version}/{target}/withdraw")]
pub async fn withdraw(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    path: web::Path<(String, String)>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    releases::withdraw(&s, &who.actor, &path.0, &path.1).await?;
    Ok(go("/settings/releases?done=release-withdrawn"))
}

/// Lets a failed update be tried again on a host.
#[post("/settings/releases/hosts/{id}/retry")]
pub async fn retry(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    rollouts::retry(&s, &who.actor, *id).await?;
    Ok(go("/settings/releases?done=update-retried"))
}
