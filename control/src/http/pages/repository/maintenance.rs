//! The maintenance of a repository: its plan as a form, how far each chore is, and doing them now.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::{FormErrors, number, typed};
use super::super::host_choice;
use super::super::names::Names;
use super::super::schedule_form::ticked;
use super::super::view::{Badge, job_badge};
use super::super::when;
use super::question::QuestionPage;
use super::{Head, Opened, Users};
use crate::domain::upkeep::{Chore, Plan, Window};
use crate::http::guard::{Admin, Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::Services;
use crate::service::upkeep::{self, ChoreView, Upkeep};
use crate::words::Moment;
use crate::words::repository as words;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::PruneOptions;
use serde::{Deserialize, Serialize};

/// A repository's maintenance.
#[derive(Debug, Serialize)]
pub struct MaintenancePage {
    /// The head.
    pub head: Head,
    /// Each chore, those that failed first; at most some.
    pub chores: Vec<ChoreRow>,
    /// How many more there are.
    pub more: usize,
    /// Whether each host's own repository has chores of its own.
    pub places: bool,
    /// The cron lines of the form, in the order of the chores.
    pub lines: Vec<CronLine>,
    /// What was typed.
    pub form: PlanForm,
    /// Hosts to choose from.
    pub users: Users,
    /// All IANA zones.
    pub zones: Vec<&'static str>,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for MaintenancePage {
    const TEMPLATE: &'static str = "pages/repository-maintenance.html";
    const NAV: &'static str = "repositories";
}

/// How far a chore is.
#[derive(Debug, Serialize)]
pub struct ChoreRow {
    /// Its word.
    pub chore: &'static str,
    /// Its name.
    pub title: &'static str,
    /// Whose own repository, where each host has one.
    pub of: Option<String>,
    /// How it stands.
    pub badge: Badge,
    /// Whether it goes on, or was asked for.
    pub open: bool,
    /// Whether it takes something away for good.
    pub removes: bool,
    /// When it last ended.
    pub last: Option<Moment>,
    /// When it is due next.
    pub next: Option<Moment>,
    /// What came of it, or what is in the way.
    pub note: String,
    /// The job that did it last.
    pub job: Option<String>,
    /// How much of the data is read in this cycle, for the chore that reads it.
    pub read: Option<String>,
}

/// A chore's cron line in the form.
#[derive(Debug, Serialize)]
pub struct CronLine {
    /// The field's name.
    pub field: &'static str,
    /// The chore's name.
    pub title: &'static str,
    /// The line.
    pub value: String,
    /// The line in words.
    pub words: Option<String>,
    /// What is wrong with it.
    pub wrong: Option<String>,
    /// The next run.
    pub next: Option<when::NextRun>,
}

/// What the form sends. A box that is not ticked sends nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanForm {
    host: String,
    timezone: String,
    from: String,
    to: String,
    snapshots: String,
    forget: String,
    prune: String,
    check: String,
    read_data: String,
    stats: String,
    read_data_parts: String,
    limit_download_kib: String,
    max_unused: String,
    max_repack_size: String,
    repack_cacheable_only: Option<String>,
    repack_small: Option<String>,
    repack_uncompressed: Option<String>,
    limit_upload: String,
    limit_download: String,
    floor: String,
    ceiling_percent: String,
    /// Pressed to see what the lines mean; nothing is saved then.
    #[serde(skip_serializing)]
    show_lines: Option<String>,
}

/// Chores on the page; where each host has a repository of its own there are thousands.
const SHOWN: usize = 50;

const FIELDS: [&str; 18] = [
    "maintenance_host_id",
    "timezone",
    "from",
    "to",
    "snapshots",
    "forget",
    "prune",
    "check",
    "read_data",
    "stats",
    "read_data_parts",
    "max_unused",
    "max_repack_size",
    "limit_upload_kib",
    "limit_download_kib",
    "floor",
    "ceiling_percent",
    "window",
];

fn text(value: Option<impl ToString>) -> String {
    value.map(|v| v.to_string()).unwrap_or_default()
}

impl PlanForm {
    fn of(upkeep: &Upkeep) -> Self {
        let (plan, prune) = (&upkeep.plan, &upkeep.plan.prune_options);
        let (from, to) = plan.window.clone().map(|w| (w.from, w.to)).unwrap_or_default();
        Self {
            host: text(upkeep.maintenance_host_id),
            timezone: plan.timezone.clone(),
            from,
            to,
            snapshots: text(plan.snapshots.as_deref()),
            forget: text(plan.forget.as_deref()),
            prune: text(plan.prune.as_deref()),
            check: text(plan.check.as_deref()),
            read_data: text(plan.read_data.as_deref()),
            stats: text(plan.stats.as_deref()),
            read_data_parts: plan.read_data_parts.to_string(),
            limit_download_kib: text(plan.limit_download_kib),
            max_unused: text(prune.max_unused.as_deref()),
            max_repack_size: text(prune.max_repack_size.as_deref()),
            repack_cacheable_only: ticked(prune.repack_cacheable_only),
            repack_small: ticked(prune.repack_small),
            repack_uncompressed: ticked(prune.repack_uncompressed),
            limit_upload: text(prune.limit_upload_kib),
            limit_download: text(prune.limit_download_kib),
            floor: plan.floor.to_string(),
            ceiling_percent: plan.ceiling_percent.to_string(),
            show_lines: None,
        }
    }

    fn line(&self, chore: Chore) -> &str {
        match chore {
            Chore::Snapshots => &self.snapshots,
            Chore::Forget => &self.forget,
            Chore::Prune => &self.prune,
            Chore::Check => &self.check,
            Chore::ReadData => &self.read_data,
            Chore::Stats => &self.stats,
        }
    }

    fn plan(&self, wrong: &mut FormErrors) -> Plan {
        let usual = Plan::default();
        let window = (typed(&self.from).is_some() || typed(&self.to).is_some())
            .then(|| Window { from: self.from.trim().into(), to: self.to.trim().into() });
        Plan {
            timezone: typed(&self.timezone).unwrap_or(usual.timezone),
            window,
            snapshots: typed(&self.snapshots),
            forget: typed(&self.forget),
            prune: typed(&self.prune),
            check: typed(&self.check),
            read_data: typed(&self.read_data),
            stats: typed(&self.stats),
            read_data_parts: number(&self.read_data_parts, "read_data_parts", wrong).unwrap_or(usual.read_data_parts),
            prune_options: PruneOptions {
                max_unused: typed(&self.max_unused),
                max_repack_size: typed(&self.max_repack_size),
                repack_cacheable_only: self.repack_cacheable_only.is_some(),
                repack_small: self.repack_small.is_some(),
                repack_uncompressed: self.repack_uncompressed.is_some(),
                dry_run: false,
                limit_upload_kib: number(&self.limit_upload, "limit_upload", wrong),
                limit_download_kib: number(&self.limit_download, "limit_download", wrong),
            },
            limit_download_kib: number(&self.limit_download_kib, "limit_download_kib", wrong),
            floor: number(&self.floor, "floor", wrong).unwrap_or(usual.floor),
            ceiling_percent: number(&self.ceiling_percent, "ceiling_percent", wrong).unwrap_or(usual.ceiling_percent),
        }
    }
}

fn cron_line(form: &PlanForm, chore: Chore, now: Timestamp) -> CronLine {
    let value = form.line(chore).to_owned();
    let runs = when::Runs::typed(&value, &form.timezone, None, now);
    CronLine {
        field: chore.as_str(),
        title: chore.title(),
        value,
        words: runs.words,
        wrong: runs.wrong.into_iter().next(),
        next: runs.next.into_iter().next(),
    }
}

fn chore_badge(view: &ChoreView) -> Badge {
    match view.state.last_state {
        _ if view.open => Badge { class: "run", icon: "run", word: words::CHORE_GOES_ON, loud: true },
        _ if view.state.asked_by.is_some() => Badge { class: "", icon: "queued", word: words::CHORE_ASKED, loud: true },
        Some(state) => job_badge(state),
        None => Badge { class: "mute", icon: "never", word: words::CHORE_NEVER, loud: false },
    }
}

async fn chore_row(s: &Services, view: &ChoreView, names: &mut Names, now: Timestamp) -> Result<ChoreRow, ApiError> {
    let state = &view.state;
    let of = match state.of_host_id {
        Some(host) => Some(names.host(s, host).await?),
        None => None,
    };
    let read = state.cycle.as_ref().map(|c| words::read(c.done.len(), c.of.into()));
    Ok(ChoreRow {
        chore: state.chore.as_str(),
        title: state.chore.title(),
        of,
        badge: chore_badge(view),
        open: view.open || state.asked_by.is_some(),
        removes: removes(Some(state.chore)),
        last: state.last_done_at.map(|at| Moment::new(at, now)),
        next: view.next_at.map(|at| Moment::new(at, now)),
        note: crate::words::capital(state.note.as_deref().unwrap_or_default()),
        job: state.last_job_id.map(|id| id.to_string()),
        read,
    })
}

async fn page(
    s: &Services,
    id: RepositoryId,
    form: Option<PlanForm>,
    errors: FormErrors,
) -> Result<MaintenancePage, ApiError> {
    let opened = Opened::of(s, id).await?;
    let (kept, mut names) = (upkeep::get(s, id).await?, Names::default());
    let mut chores = vec![];
    for view in kept.chores.iter().take(SHOWN) {
        chores.push(chore_row(s, view, &mut names, opened.now).await?);
    }
    let users = Users::of(s, id).await?;
    let mut form = form.unwrap_or_else(|| PlanForm::of(&kept));
    form.host = users.value(s, &mut names, &form.host).await?;
    let head = opened.head("maintenance");
    Ok(MaintenancePage {
        places: head.per_host,
        head,
        chores,
        more: kept.chores.len().saturating_sub(SHOWN),
        lines: Chore::ALL.iter().map(|chore| cron_line(&form, *chore, opened.now)).collect(),
        form,
        users,
        zones: chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name()).collect(),
        errors,
    })
}

/// A repository's maintenance.
#[get("/repositories/{id}/maintenance")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, *id, None, FormErrors::default()).await?).await
}

/// Saves the plan.
#[post("/repositories/{id}/maintenance")]
pub async fn save(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<PlanForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    if form.show_lines.is_some() {
        return view.show(&who, &page(&s, *id, Some(form), FormErrors::default()).await?).await;
    }
    let mut errors = FormErrors::default();
    let host = host_choice::field(&s, &form.host, "host", &mut errors).await?;
    let plan = form.plan(&mut errors);
    if errors.is_empty() {
        match upkeep::put(&s, &who.actor, *id, host, plan).await {
            Ok(_) => return Ok(go(&format!("/repositories/{id}/maintenance?done=plan-saved"))),
            Err(error) => errors = FormErrors::of(error, &FIELDS)?,
        }
    }
    view.again(&who, &page(&s, *id, Some(form), errors).await?).await
}

/// Does chores now.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct RunForm {
    /// Which; all if it is `all`.
    chore: String,
    /// It was asked about, and is meant.
    sure: Option<String>,
}

impl RunForm {
    /// The chore; none for all of them.
    fn chore(&self) -> Option<Chore> {
        self.chore.parse().ok()
    }
}

/// Whether a chore takes something away for good, so that a person is asked first.
fn removes(chore: Option<Chore>) -> bool {
    match chore {
        None | Some(Chore::Forget | Chore::Prune) => true,
        Some(Chore::Snapshots | Chore::Check | Chore::ReadData | Chore::Stats) => false,
    }
}

async fn question(s: &Services, id: RepositoryId, form: &RunForm) -> Result<QuestionPage, ApiError> {
    let opened = Opened::of(s, id).await?;
    let (chore, mut names) = (form.chore(), Names::default());
    let host = match upkeep::get(s, id).await?.maintenance_host_id {
        Some(host) => Some(names.host(s, host).await?),
        None => None,
    };
    let (title, button) = words::ask::chores(chore, &opened.repository.name);
    let mut said: Vec<String> = words::ask::chores_mean(chore).into_iter().map(Into::into).collect();
    said.push(words::ask::does(host.as_deref()));
    let none_can = removes(chore) && opened.head("maintenance").none_can_forget;
    Ok(QuestionPage {
        id: id.to_string(),
        name: opened.repository.name,
        tab: ("/maintenance", words::MAINTENANCE),
        title,
        words: said,
        refused: none_can.then_some(words::ask::NONE_CAN_DELETE),
        action: format!("/repositories/{id}/maintenance/run"),
        fields: vec![("chore", form.chore.clone()), ("sure", "1".into())],
        button,
        danger: removes(chore),
    })
}

/// Asks before chores are done now.
#[get("/repositories/{id}/maintenance/run")]
pub async fn ask_run(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: web::Query<RunForm>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &question(&s, *id, &form).await?).await
}

/// Does a chore now, or all of them, one after the other. What removes something is asked about first.
#[post("/repositories/{id}/maintenance/run")]
pub async fn run(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<RunForm>,
) -> Result<HttpResponse, ApiError> {
    let chore = form.0.chore();
    if removes(chore) && form.0.sure.is_none() {
        return view.show(&who, &question(&s, *id, &form.0).await?).await;
    }
    let chores = chore.map_or_else(|| Chore::ALL.to_vec(), |chore| vec![chore]);
    upkeep::run_now(&s, &who.actor, *id, chores).await?;
    Ok(go(&format!("/repositories/{id}/maintenance?done=chores-asked")))
}
