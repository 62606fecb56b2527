//! The first steps, in place of the dashboard until a first backup has succeeded: connect a repository, add a host, run it. Each is done
//! where it stands, and what is waited for is noticed.

use super::cause;
use super::dashboard::Asked;
use super::door::{LiveQuery, View, go};
use super::engine::Page;
use super::form::FormErrors;
use super::host_add::{self, Choice, HostForm};
use super::host_added::{self, EnrollLive};
use super::hosts::press_key;
use super::names::Names;
use super::programs::{Program, programs};
use super::repositories::{self as repository_pages, RepositoryForm, RepositoryRow};
use super::session;
use super::view::JobRow;
use crate::domain::first_steps::{Facts, Step, next_step};
use crate::domain::fleet::{Host, HostState};
use crate::domain::job::{Job, JobKind, JobState};
use crate::http::guard::{Admin, Guarded, Needed, Operator, SafeForm, Viewer};
use crate::http::params::Site;
use crate::http::problem::ApiError;
use crate::service::{Services, health, hosts, installs, jobs, recovery, repositories};
use crate::store::jobs::Filter;
use crate::words::things;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The cookie that says that somebody wants to see the dashboard, although nothing is backed up yet.
const LEFT_COOKIE: &str = "rm_first_steps";

/// The first steps.
#[derive(Debug, Default, Serialize)]
pub struct WelcomePage {
    /// The step to take: `repository`, `host`, `run`, or `done`.
    pub step: &'static str,
    /// The repository that is there, if any.
    pub repository: Option<RepositoryRow>,
    /// How its recovery kit stands: `early` before a host can open it, `due`, or `made`.
    pub kit: &'static str,
    /// The agent's program, to download.
    pub programs: Vec<Program>,
    /// Whether it is proven that no host can delete there.
    pub proven: bool,
    /// What was typed of a repository.
    pub repository_form: repository_pages::Typed,
    /// What was typed of a host.
    pub host_form: host_add::Typed,
    /// Repositories to choose from.
    pub repositories: Vec<Choice>,
    /// What is wrong.
    pub errors: FormErrors,
    /// How far the host is, if there is one.
    pub wait: Option<EnrollLive>,
    /// What to run on Linux; empty if the token is not kept here.
    pub linux: String,
    /// What to run on Windows.
    pub windows: String,
    /// Its newest backup.
    pub job: Option<JobRow>,
    /// Why that one did not succeed.
    pub told: String,
    /// The same press of Run now twice is one job.
    pub key: String,
}

impl Page for WelcomePage {
    const TEMPLATE: &'static str = "pages/welcome.html";
    const NAV: &'static str = "dashboard";
}

/// What changes of the first steps.
#[derive(Debug, Serialize)]
pub struct WelcomeLive(pub WelcomePage);

impl Page for WelcomeLive {
    const TEMPLATE: &'static str = "fragments/welcome.html";
}

fn good(job: &Job) -> bool {
    matches!(job.state, JobState::Succeeded | JobState::Warning)
}

/// Backups of a host, the newest.
async fn newest_backup(s: &Services, host: HostId, states: Vec<JobState>) -> Result<Option<Job>, ApiError> {
    let filter = Filter { host: Some(host), kinds: vec![JobKind::Backup], states, ..Filter::default() };
    Ok(jobs::list(s, filter, None, 1).await?.items.pop())
}

/// What is there of the first steps, besides what only they show.
struct There {
    step: Option<Step>,
    host: Option<Host>,
}

async fn there(s: &Services, left: bool) -> Result<There, ApiError> {
    let mut first = hosts::list(s, None, 2).await?.items;
    let count = first.len();
    let host = first.pop().filter(|_| count == 1);
    let mut facts = Facts { repository: true, hosts: count, connected: false, backed_up: false, left };
    if count < 2 {
        facts.repository = !repositories::list(s, None, 1).await?.items.is_empty();
    }
    if let Some(host) = &host {
        facts.connected = host.state != HostState::Pending;
        let states = vec![JobState::Succeeded, JobState::Warning];
        facts.backed_up = facts.connected && newest_backup(s, host.id, states).await?.is_some();
    }
    Ok(There { step: next_step(facts), host })
}

const fn step_name(step: Option<Step>) -> &'static str {
    match step {
        Some(Step::Repository) => "repository",
        Some(Step::Host) => "host",
        Some(Step::Run) => "run",
        None => "done",
    }
}

/// How the recovery kit of a repository stands.
async fn kit(s: &Services, repository: &crate::domain::repository::Repository) -> Result<&'static str, ApiError> {
    Ok(match recovery::state_of(s, repository.id).await? {
        None => "early",
        Some(state) if state.due => "due",
        Some(_) => "made",
    })
}

/// The page as things are.
async fn page<R: Needed>(
    s: &Services,
    who: &Guarded<R>,
    base_url: &str,
    there: There,
) -> Result<WelcomePage, ApiError> {
    let now = Timestamp::now();
    let repositories = host_add::choices(s).await?;
    let repository = repositories::list(s, None, 1).await?.items.pop();
    let mut page = WelcomePage {
        step: step_name(there.step),
        host_form: host_add::Typed::blank(&repositories),
        repository_form: repository_pages::Typed { init: true, ..Default::default() },
        repositories,
        programs: programs(s).await?,
        ..WelcomePage::default()
    };
    if let Some(repository) = repository {
        page.kit = kit(s, &repository).await?;
        page.proven = health::of_repository(s, repository.id).await?.credentials.safe();
        page.repository = Some(RepositoryRow::new(&repository, now));
    }
    let Some(host) = there.host else { return Ok(page) };
    let given = installs::of_host(s, &who.actor, host.id, base_url).await?;
    let wait = host_added::wait(s, host.id, given.as_ref()).await?;
    let install = given.and_then(|g| g.install).filter(|_| !wait.connected);
    (page.linux, page.windows) = install.map(|i| (i.linux, i.windows)).unwrap_or_default();
    page.wait = Some(wait);
    let newest = newest_backup(s, host.id, vec![]).await?;
    page.key = press_key(newest.as_ref());
    if let Some(job) = newest {
        page.told = told(&job, &host.name, page.repository.as_ref());
        page.job = Names::default().rows(s, &[job], now).await?.pop();
    }
    Ok(page)
}

/// Why a backup did not succeed, in a sentence.
fn told(job: &Job, host: &str, repository: Option<&RepositoryRow>) -> String {
    let cause = job.result.as_ref().and_then(|r| r.cause.as_ref());
    let repository = repository.map_or(things::REPOSITORY, |r| r.name.as_str());
    let names = cause::Names { host, repository };
    let told = match cause.filter(|_| !good(job)) {
        Some(cause) => Some(cause::explain(cause.code, names)),
        None => cause::nothing_came(job.state, names),
    };
    told.map(|told| told.title).unwrap_or_default()
}

/// The first steps, if they are to be shown in place of the dashboard.
///
/// # Errors
/// When the database fails.
pub async fn instead(
    s: &Services,
    who: &Guarded<Viewer>,
    req: &HttpRequest,
    asked: &Asked,
) -> Result<Option<WelcomePage>, ApiError> {
    let left = req.cookie(LEFT_COOKIE).is_some() || asked.narrowed();
    let there = there(s, left).await?;
    if there.step.is_none() {
        return Ok(None);
    }
    Ok(Some(page(s, who, &base_url(req), there).await?))
}

fn base_url(req: &HttpRequest) -> String {
    req.app_data::<web::Data<Site>>().map(|site| site.base_url(req)).unwrap_or_default()
}

/// What changed of the first steps.
#[get("/ui/welcome/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    let there = there(&s, false).await?;
    let page = WelcomeLive(page(&s, &who, &base_url(&req), there).await?);
    view.fragment(&who, &query.cursor, "/", &page).await
}

/// Connects the first repository.
#[post("/welcome/repository")]
pub async fn connect(
    who: Guarded<Admin>,
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    form: SafeForm<RepositoryForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let mut errors = FormErrors::default();
    let input = form.input(&mut errors);
    if errors.is_empty() {
        match repositories::add(&s, &who.actor, input).await {
            Ok(_) => return Ok(go("/?done=repository-added")),
            Err(error) => errors = repository_pages::named(FormErrors::of(error, &repository_pages::FIELDS)?),
        }
    }
    let page = page(&s, &who, &base_url(&req), there(&s, false).await?).await?;
    // Somebody else may have connected one meanwhile: then the form has to be seen all the same.
    let page = WelcomePage { step: "repository", repository: None, repository_form: form.typed(), errors, ..page };
    view.again(&who, &page).await
}

/// Adds the first host.
#[post("/welcome/host")]
pub async fn add_host(
    who: Guarded<Operator>,
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    form: SafeForm<HostForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let errors = match form.make(&s, &who.actor).await? {
        Ok(_) => return Ok(go("/")),
        Err(errors) => errors,
    };
    let page = page(&s, &who, &base_url(&req), there(&s, false).await?).await?;
    let host_form = form.typed(&errors);
    view.again(&who, &WelcomePage { step: "host", wait: None, host_form, errors, ..page }).await
}

/// Which host is to run.
#[derive(Debug, Deserialize)]
pub struct RunForm {
    host: HostId,
    #[serde(default)]
    key: String,
}

/// Runs the first backup.
#[post("/welcome/run")]
pub async fn run(
    who: Guarded<Operator>,
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    form: SafeForm<RunForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(RunForm { host, key }) = form;
    let key = Some(key).filter(|key| !key.is_empty());
    match jobs::run_host(&s, &who.actor, host, key).await {
        Ok(_) => Ok(go("/")),
        Err(error) => {
            let errors = FormErrors::of(error, &[])?;
            let page = page(&s, &who, &base_url(&req), there(&s, false).await?).await?;
            view.again(&who, &WelcomePage { errors, ..page }).await
        }
    }
}

/// Shows this browser the dashboard from now on, as soon as there is a host.
#[post("/welcome/leave")]
pub async fn leave(
    _: Guarded<Viewer>,
    req: HttpRequest,
    _form: SafeForm<serde::de::IgnoredAny>,
) -> Result<HttpResponse, ApiError> {
    Ok(session::keep(&req, LEFT_COOKIE, Some("left".into()), "/"))
}
