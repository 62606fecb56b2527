//! Schedules: a host's Schedules tab, the form, deleting, and Run now on a row.

use super::door::{View, go};
use super::engine::Page;
use super::form::FormErrors;
use super::hosts::{HostHead, Pressed, head, press_key};
use super::names::Names;
use super::pause::PausedWords;
use super::run_now::RunButton;
use super::schedule_form::{FIELDS, ScheduleForm, all_wrong, named, ticked};
use super::schedule_preview::{Preview, RepositoryChoice, choices, preview};
use super::view::{HostRow, JobRow};
use super::when::{self, NextRun, Runs};
use crate::domain::fleet::Host;
use crate::domain::pause::Paused;
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::{Services, drills, hosts, jobs, run_now, schedules};
use crate::store::jobs::Filter;
use crate::words::Moment;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::Os;
use serde::Serialize;

/// A schedule in a list.
#[derive(Debug, Serialize)]
pub struct ScheduleRow {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its paths.
    pub paths: Vec<String>,
    /// How many excludes it has.
    pub excludes: usize,
    /// Its tags.
    pub tags: Vec<String>,
    /// Whether it runs at all.
    pub enabled: bool,
    /// The pause of its own that it is in.
    pub paused: Option<PausedWords>,
    /// Whether there is anything that it does by itself.
    pub by_itself: bool,
    /// Whether it only runs when somebody says so.
    pub manual: bool,
    /// Its cron line.
    pub cron: String,
    /// The line in words.
    pub words: Option<String>,
    /// Its zone, if it has one of its own.
    pub timezone: Option<String>,
    /// When it runs next.
    pub next: Option<NextRun>,
    /// What it keeps.
    pub keeps: String,
    /// Its repository's name.
    pub repository: Option<String>,
    /// Its newest job.
    pub last: Option<JobRow>,
    /// When its backups were last proven restorable.
    pub proven: Option<Moment>,
    /// When they are drilled, in words.
    pub drilled: Option<String>,
    /// Its Run now.
    pub run: RunButton,
    /// The same press of Run now twice is one job.
    pub key: String,
}

/// A host's schedules as rows.
///
/// # Errors
/// When there is no such host.
pub async fn schedule_rows(
    s: &Services,
    host: HostId,
    of: &HostRow,
    now: Timestamp,
) -> Result<Vec<ScheduleRow>, ApiError> {
    let mut names = Names::default();
    let mut rows = vec![];
    let standing = drills::standing(s, host, now).await?;
    let offer = run_now::of_host(s, host).await?;
    for schedule in schedules::of_host(s, host).await? {
        let filter = Filter { schedule: Some(schedule.id), ..Filter::default() };
        let newest = jobs::list(s, filter, None, 1).await?.items.pop();
        let repository = match schedule.repository_id {
            Some(id) => names.repository(s, id).await?,
            None => None,
        };
        let pauses: Vec<_> = of.pause.into_iter().chain(schedule.paused.as_ref().map(Paused::span)).collect();
        rows.push(ScheduleRow {
            id: schedule.id.to_string(),
            excludes: schedule.excludes.len(),
            words: schedule.cron.as_deref().and_then(when::words),
            next: when::next_run(&schedule, of.timezone.as_deref(), &pauses, now),
            paused: schedule.paused.as_ref().map(|p| PausedWords::new(p, now)),
            by_itself: schedule.enabled && (!schedule.manual || schedule.drill.is_some()),
            keeps: when::keeps(&schedule),
            repository,
            proven: standing
                .iter()
                .find(|d| d.schedule_id == schedule.id)
                .and_then(|d| Some(Moment::new(d.proven_at?, now))),
            drilled: schedule.drill.as_ref().map(|d| when::words(&d.cron).unwrap_or_else(|| d.cron.clone())),
            run: RunButton::of_schedule(offer.as_ref(), schedule.id, of.online),
            key: press_key(newest.as_ref()),
            last: names.rows(s, newest.as_slice(), now).await?.pop(),
            name: schedule.name,
            paths: schedule.paths,
            tags: schedule.tags,
            enabled: schedule.enabled,
            manual: schedule.manual,
            cron: schedule.cron.unwrap_or_default(),
            timezone: schedule.timezone,
        });
    }
    Ok(rows)
}

/// A host's schedules.
#[derive(Debug, Serialize)]
pub struct HostSchedulesPage {
    /// The head.
    pub head: HostHead,
    /// The schedules.
    pub schedules: Vec<ScheduleRow>,
}

impl Page for HostSchedulesPage {
    const TEMPLATE: &'static str = "pages/host-schedules.html";
    const NAV: &'static str = "hosts";
}

/// The form of a new or a known schedule.
#[derive(Debug, Serialize)]
pub struct SchedulePage {
    /// The schedule; none for a new one.
    pub id: Option<String>,
    /// Its host's identity.
    pub host_id: String,
    /// Its host's name.
    pub host: String,
    /// Its host's zone.
    pub host_zone: String,
    /// What was typed.
    pub form: ScheduleForm,
    /// Names of hooks on the host.
    pub hooks: Vec<String>,
    /// The host runs Windows.
    pub is_windows: bool,
    /// Repositories to choose from.
    pub repositories: Vec<RepositoryChoice>,
    /// All IANA zones.
    pub zones: Vec<&'static str>,
    /// What the cron line does.
    pub runs: Runs,
    /// What the line of its drills does.
    pub drill: Runs,
    /// What is wrong.
    pub errors: FormErrors,
    /// What it comes to.
    pub preview: Preview,
}

impl Page for SchedulePage {
    const TEMPLATE: &'static str = "pages/schedule.html";
    const NAV: &'static str = "hosts";
}

/// Asks once before a schedule is deleted.
#[derive(Debug, Serialize)]
pub struct ScheduleDeletePage {
    /// Which.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its host's identity.
    pub host_id: String,
    /// Its host's name.
    pub host: String,
    /// Its paths.
    pub paths: Vec<String>,
}

impl Page for ScheduleDeletePage {
    const TEMPLATE: &'static str = "pages/schedule-delete.html";
    const NAV: &'static str = "hosts";
}

async fn page(
    s: &Services,
    host: &Host,
    id: Option<ScheduleId>,
    form: ScheduleForm,
    errors: FormErrors,
) -> Result<SchedulePage, ApiError> {
    Ok(SchedulePage {
        id: id.map(|id| id.to_string()),
        host_id: host.id.to_string(),
        host: host.name.clone(),
        host_zone: host.timezone.clone().unwrap_or_default(),
        repositories: choices(s, host).await?,
        zones: chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect(),
        runs: Runs::typed(&form.cron, &form.timezone, host.timezone.as_deref(), Timestamp::now()),
        drill: Runs::typed(&form.drill_cron, &form.timezone, host.timezone.as_deref(), Timestamp::now()),
        preview: preview(s, host, &form, Timestamp::now()).await?,
        hooks: host.hooks.clone(),
        is_windows: host.os == Some(Os::Windows),
        form,
        errors,
    })
}

/// A host's Schedules tab.
#[get("/hosts/{id}/schedules")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    let now = Timestamp::now();
    let head = head(&s, *id, "schedules", now).await?;
    let schedules = schedule_rows(&s, *id, &head.host, now).await?;
    view.show(&who, &HostSchedulesPage { head, schedules }).await
}

/// The form of a new schedule.
#[get("/hosts/{id}/schedules/new")]
pub async fn new(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    let host = hosts::get(&s, *id).await?;
    let used = schedules::of_host(&s, *id).await?.into_iter().find_map(|schedule| schedule.repository_id);
    let form = ScheduleForm {
        repository: used.map(|id| id.to_string()).unwrap_or_default(),
        enabled: ticked(true),
        ..ScheduleForm::blank()
    };
    view.show(&who, &page(&s, &host, None, form, FormErrors::default()).await?).await
}

/// Adds a schedule.
#[post("/hosts/{id}/schedules/new")]
pub async fn add(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    form: SafeForm<ScheduleForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let host = hosts::get(&s, *id).await?;
    if form.show_runs.is_some() {
        return view.show(&who, &page(&s, &host, None, form, FormErrors::default()).await?).await;
    }
    let mut errors = FormErrors::default();
    let input = form.input(None, &mut errors);
    if errors.is_empty() {
        match schedules::add(&s, &who.actor, *id, input).await {
            Ok(_) => return Ok(go(&format!("/hosts/{id}/schedules?done=schedule-added"))),
            Err(error) => errors = named(FormErrors::of(error, &FIELDS)?),
        }
    } else {
        errors = all_wrong(errors, &input, host.os)?;
    }
    view.again(&who, &page(&s, &host, None, form, errors).await?).await
}

/// The form of a known schedule.
#[get("/schedules/{id}/edit")]
pub async fn edit(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
) -> Result<HttpResponse, ApiError> {
    let schedule = schedules::get(&s, *id).await?;
    let host = hosts::get(&s, schedule.host_id).await?;
    let form = ScheduleForm::of(&schedule);
    view.show(&who, &page(&s, &host, Some(*id), form, FormErrors::default()).await?).await
}

/// Saves a schedule.
#[post("/schedules/{id}/edit")]
pub async fn save(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    form: SafeForm<ScheduleForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let old = schedules::get(&s, *id).await?;
    let host = hosts::get(&s, old.host_id).await?;
    if form.show_runs.is_some() {
        return view.show(&who, &page(&s, &host, Some(*id), form, FormErrors::default()).await?).await;
    }
    let mut errors = FormErrors::default();
    let input = form.input(Some(&old), &mut errors);
    if errors.is_empty() {
        match schedules::update(&s, &who.actor, *id, input).await {
            Ok(saved) => return Ok(go(&format!("/hosts/{}/schedules?done=schedule-saved", saved.host_id))),
            Err(error) => errors = named(FormErrors::of(error, &FIELDS)?),
        }
    } else {
        errors = all_wrong(errors, &input, host.os)?;
    }
    view.again(&who, &page(&s, &host, Some(*id), form, errors).await?).await
}

/// The card of the next runs, for the line as it is being typed.
#[derive(Debug, Serialize)]
pub struct RunsFragment {
    /// What the cron line does.
    pub runs: Runs,
    /// What the line of its drills does.
    pub drill: Runs,
    /// What it comes to.
    pub preview: Preview,
}

impl Page for RunsFragment {
    const TEMPLATE: &'static str = "fragments/runs.html";
}

/// What a cron line would do on a host.
#[get("/ui/hosts/{id}/runs")]
pub async fn runs(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    form: web::Query<ScheduleForm>,
) -> Result<HttpResponse, ApiError> {
    let host = hosts::get(&s, *id).await?;
    let (form, now, host_zone) = (form.into_inner(), Timestamp::now(), host.timezone.as_deref());
    let read = |cron: &str| Runs::typed(cron, &form.timezone, host_zone, now);
    let preview = preview(&s, &host, &form, now).await?;
    view.piece(&who, &RunsFragment { runs: read(&form.cron), drill: read(&form.drill_cron), preview }).await
}

/// Asks before deleting.
#[get("/schedules/{id}/delete")]
pub async fn ask_delete(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
) -> Result<HttpResponse, ApiError> {
    let schedule = schedules::get(&s, *id).await?;
    let host = hosts::get(&s, schedule.host_id).await?;
    let page = ScheduleDeletePage {
        id: id.to_string(),
        name: schedule.name,
        host_id: host.id.to_string(),
        host: host.name,
        paths: schedule.paths,
    };
    view.show(&who, &page).await
}

/// Deletes a schedule.
#[post("/schedules/{id}/delete")]
pub async fn delete(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    _form: SafeForm<Pressed>,
) -> Result<HttpResponse, ApiError> {
    let host = schedules::delete(&s, &who.actor, *id).await?;
    Ok(go(&format!("/hosts/{host}/schedules?done=schedule-deleted")))
}
