//! Agent releases: what there is, how the one that is rolled out spreads, and where it did not work. What is done about it is in
//! [`rollout`](super::rollout).

use super::super::door::{LiveQuery, View, go};
use super::super::engine::Page;
use super::super::form::FormErrors;
use super::super::view::{Badge, asked_by};
use super::upload;
use crate::domain::release::{Gate, Rollout, RolloutState, Stage, usual_stages};
use crate::http::guard::{Admin, Guarded};
use crate::http::problem::ApiError;
use crate::service::releases::Release;
use crate::service::rollouts::RolloutView;
use crate::service::{Services, releases, rollouts};
use crate::words::Moment;
use crate::words::{release as words, state};
use actix_multipart::Multipart;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// Releases, the roll-out, and the forms for both.
#[derive(Debug, Serialize)]
pub struct SettingsReleasesPage {
    /// The open tab.
    pub tab: &'static str,
    /// The roll-out that counts.
    pub rollout: Option<RolloutCard>,
    /// All releases.
    pub releases: Vec<ReleaseRow>,
    /// Versions that can be rolled out.
    pub ready: Vec<String>,
    /// Versions in the fleet: which, how many hosts, their share in percent.
    pub versions: Vec<(String, i64, i64)>,
    /// Where updates did not work.
    pub failed: Vec<FailedRow>,
    /// The stages of the form for a roll-out.
    pub stages: Vec<StageFields>,
    /// The version that was chosen there.
    pub chosen: String,
    /// What is wrong with a form.
    pub errors: FormErrors,
}

impl Page for SettingsReleasesPage {
    const TEMPLATE: &'static str = "pages/settings-releases.html";
    const NAV: &'static str = "settings";
}

/// How the roll-out spreads.
#[derive(Debug, Serialize)]
pub struct ReleasesLive {
    /// The roll-out that counts.
    pub rollout: Option<RolloutCard>,
    /// Versions in the fleet: which, how many hosts, their share in percent.
    pub versions: Vec<(String, i64, i64)>,
    /// Where updates did not work.
    pub failed: Vec<FailedRow>,
}

impl Page for ReleasesLive {
    const TEMPLATE: &'static str = "fragments/releases.html";
}

/// The roll-out at a glance.
#[derive(Debug, Serialize)]
pub struct RolloutCard {
    /// What it does, as a heading.
    pub title: String,
    /// Its state.
    pub badge: Badge,
    /// The stage, in words.
    pub at: String,
    /// Enrolled hosts.
    pub hosts: usize,
    /// Those that run the release.
    pub updated: usize,
    /// The release.
    pub version: String,
    /// The one before.
    pub previous: Option<String>,
    /// When it was started.
    pub started: Moment,
    /// By whom.
    pub by: String,
    /// Its stages.
    pub stages: Vec<StageCard>,
    /// Why it stopped.
    pub note: Option<String>,
    /// How the gate of this stage stands.
    pub gate: Gate,
    /// What can be done with it.
    pub can_pause: bool,
    /// What can be done with it.
    pub can_resume: bool,
    /// What can be done with it.
    pub can_roll_back: bool,
}

/// A stage at a glance.
#[derive(Debug, Serialize)]
pub struct StageCard {
    /// Who.
    pub name: String,
    /// What has to hold.
    pub what: String,
    /// `done`, `now` or empty.
    pub class: &'static str,
    /// How it stands.
    pub badge: Badge,
}

/// A release in the list.
#[derive(Debug, Serialize)]
pub struct ReleaseRow {
    /// The version.
    pub version: String,
    /// The platform.
    pub target: String,
    /// Its size.
    pub size: i64,
    /// The key that signed it.
    pub key: String,
    /// Whether hosts may go back to it.
    pub rollback: bool,
    /// How it stands.
    pub badge: Badge,
    /// What is new in it.
    pub notes: String,
    /// When it came.
    pub uploaded: Moment,
    /// From whom.
    pub by: String,
    /// Whether it can be withdrawn.
    pub live: bool,
    /// Whether its file can be downloaded.
    pub file: bool,
}

/// A failed update.
#[derive(Debug, Serialize)]
pub struct FailedRow {
    /// The host's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The release.
    pub version: String,
    /// Why.
    pub error: String,
    /// When.
    pub at: Moment,
    /// It may be tried again.
    pub forgiven: bool,
}

/// A stage as it is typed.
#[derive(Clone, Debug, Default, Serialize)]
pub struct StageFields {
    /// The tag.
    pub tag: String,
    /// The share.
    pub percent: String,
    /// How many healthy hosts.
    pub healthy: String,
    /// For how long.
    pub hours: String,
}

impl StageFields {
    fn new(stage: &Stage) -> Self {
        Self {
            tag: stage.tag.clone().unwrap_or_default(),
            percent: stage.percent.to_string(),
            healthy: stage.healthy.to_string(),
            hours: stage.hours.to_string(),
        }
    }
}

const fn badge(class: &'static str, icon: &'static str, word: &'static str, loud: bool) -> Badge {
    Badge { class, icon, word, loud }
}

const fn rollout_badge(state: RolloutState) -> Badge {
    match state {
        RolloutState::Running => badge("run", "run", state::rollout(state), true),
        RolloutState::Paused => badge("", "pause", state::rollout(state), true),
        RolloutState::Stopped => badge("bad", "bad", state::rollout(state), true),
        RolloutState::Done => badge("ok", "ok", state::rollout(state), false),
        RolloutState::RolledBack => badge("warn", "back", state::rollout(state), true),
    }
}

fn stage_cards(rollout: &Rollout) -> Vec<StageCard> {
    let card = |(n, stage): (usize, &Stage)| {
        let (passed, is_now) = (n < rollout.stage as usize, n == rollout.stage as usize);
        let all = rollout.state == RolloutState::Done;
        StageCard {
            name: words::who(stage),
            what: words::gate(stage),
            class: if passed || all {
                "done"
            } else if is_now {
                "now"
            } else {
                ""
            },
            badge: match rollout.state {
                _ if passed || all => badge("ok", "ok", words::PASSED, false),
                RolloutState::Running if is_now => badge("run", "run", words::NOW, false),
                _ if is_now => badge("mute", "pause", words::HERE, false),
                _ => badge("mute", "queued", words::WAITING, false),
            },
        }
    };
    rollout.stages.iter().enumerate().map(card).collect()
}

fn rollout_card(view: RolloutView, now: Timestamp) -> RolloutCard {
    let RolloutView { rollout, gate, hosts, updated, can_roll_back } = view;
    let stopped = matches!(rollout.state, RolloutState::Paused | RolloutState::Stopped);
    RolloutCard {
        title: words::title(rollout.state, &rollout.version),
        badge: rollout_badge(rollout.state),
        at: words::at(rollout.stage + 1, rollout.stages.len()),
        hosts,
        updated,
        started: Moment::new(rollout.started_at, now),
        by: asked_by(&rollout.started_by),
        stages: stage_cards(&rollout),
        note: rollout.note,
        gate,
        can_pause: rollout.state == RolloutState::Running,
        can_resume: stopped,
        can_roll_back,
        version: rollout.version,
        previous: rollout.previous,
    }
}

fn release_row(r: Release, now: Timestamp) -> ReleaseRow {
    ReleaseRow {
        badge: match (r.withdrawn_at, r.has_file) {
            (Some(_), _) => badge("mute", "off", words::WITHDRAWN, false),
            (None, true) => badge("ok", "ok", words::READY, false),
            (None, false) => badge("warn", "warn", words::NO_FILE, true),
        },
        live: r.withdrawn_at.is_none(),
        file: r.has_file && r.withdrawn_at.is_none(),
        version: r.version,
        target: r.target,
        size: r.size,
        key: r.key,
        rollback: r.rollback,
        notes: r.notes,
        uploaded: Moment::new(r.uploaded_at, now),
        by: asked_by(&r.uploaded_by),
    }
}

fn shares(versions: Vec<(String, i64)>) -> Vec<(String, i64, i64)> {
    let all: i64 = versions.iter().map(|(_, n)| n).sum::<i64>().max(1);
    versions.into_iter().map(|(version, n)| (version, n, n * 100 / all)).collect()
}

async fn spread(s: &Services, now: Timestamp) -> Result<ReleasesLive, ApiError> {
    let failed = rollouts::refused(s).await?.into_iter().map(|r| FailedRow {
        id: r.host.to_string(),
        name: r.name,
        version: r.failed.version,
        error: r.failed.error,
        at: Moment::new(r.failed.at, now),
        forgiven: r.forgiven,
    });
    Ok(ReleasesLive {
        rollout: rollouts::current(s).await?.map(|r| rollout_card(r, now)),
        versions: shares(rollouts::versions(s).await?),
        failed: failed.collect(),
    })
}

/// The page with what was typed and what is wrong with it.
pub(super) async fn page(
    s: &Services,
    chosen: String,
    stages: Vec<StageFields>,
    errors: FormErrors,
) -> Result<SettingsReleasesPage, ApiError> {
    let now = Timestamp::now();
    let all = releases::list(s).await?;
    let mut ready: Vec<String> =
        all.iter().filter(|r| r.withdrawn_at.is_none() && r.has_file).map(|r| r.version.clone()).collect();
    ready.dedup();
    let ReleasesLive { rollout, versions, failed } = spread(s, now).await?;
    Ok(SettingsReleasesPage {
        tab: "releases",
        rollout,
        releases: all.into_iter().map(|r| release_row(r, now)).collect(),
        ready,
        versions,
        failed,
        stages,
        chosen,
        errors,
    })
}

/// The stages that are proposed.
pub(super) fn proposed() -> Vec<StageFields> {
    usual_stages().iter().map(StageFields::new).collect()
}

/// Shows releases and the roll-out.
#[get("/settings/releases")]
pub async fn show(who: Guarded<Admin>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, String::new(), proposed(), FormErrors::default()).await?).await
}

/// How the roll-out has gone on since the cursor.
#[get("/ui/settings/releases/live")]
pub async fn live(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    view.fragment(&who, &query.cursor, "/settings/releases", &spread(&s, Timestamp::now()).await?).await
}

/// Takes a release in: what was signed, and the binary.
#[post("/settings/releases/add")]
pub async fn add(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    req: HttpRequest,
    form: Multipart,
) -> Result<HttpResponse, ApiError> {
    match upload::take(&s, &who.actor, &req, form).await {
        Ok(()) => Ok(go("/settings/releases?done=release-added")),
        Err(ApiError::Act(error)) => {
            let errors = FormErrors::of(error, &upload::FIELDS)?;
            view.again(&who, &page(&s, String::new(), proposed(), errors).await?).await
        }
        Err(other) => Err(other),
    }
}
