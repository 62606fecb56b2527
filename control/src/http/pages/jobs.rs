//! One job while it runs and after, and cancelling it. The list is `job_list`.

use super::cause::{self, Told};
use super::door::{LiveQuery, View, go};
use super::engine::Page;
use super::failed::{self, Alike, LockFacts};
use super::hosts::{Pressed, SnapshotRow, press_key};
use super::names::Names;
use super::outcome::{self, Told as Outcome};
use super::progress::{self, Live};
use super::remedy::{Places, Remedy, remedy};
use super::restore::Ran;
use super::run_now::RunButton;
use super::view::{Badge, asked_by, job_badge, kind_word, took};
use super::waits::{self, Waits};
use crate::domain::fleet::HostState;
use crate::domain::job::{Job, JobKind, JobResult, JobState};
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::{Refusal, Services, hosts, jobs, run_now, schedules, snapshots};
use crate::words::Moment;
use crate::words::cause::cancelled_by;
use crate::words::things;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use restic_manager_shared::wire::progress::{LogLevel, LogLine};
use serde::Serialize;
use std::time::Duration;

/// The most log lines on a page; the script keeps as many.
const LINES: usize = 500;

/// One job.
#[derive(Debug, Serialize)]
pub struct JobPage {
    /// What changes while it runs.
    pub now: JobNow,
    /// Where the browser's copy of the log ends.
    pub cursor: String,
    /// The log so far.
    pub lines: Vec<Line>,
    /// Whether earlier lines are left out.
    pub cut: bool,
    /// The job's repository.
    pub repository_id: Option<String>,
    /// Its name.
    pub repository: String,
    /// Why it did not simply succeed.
    pub told: Option<Told>,
    /// Where the first thing to do is done.
    pub remedy: Option<Remedy>,
    /// restic's own words, or the agent's.
    pub message: String,
    /// restic's exit status.
    pub exit_code: Option<i32>,
    /// The restic version that ran.
    pub restic: Option<String>,
    /// Items that could not be read.
    pub items: Vec<Item>,
    /// How many more there were.
    pub items_omitted: u64,
    /// What a backup did.
    pub summary: Option<Summary>,
    /// What came of another operation.
    pub outcome: Option<Outcome>,
    /// What somebody put together in the restore wizard, if the job does that.
    pub restore: Option<Ran>,
    /// The newest snapshot of its host, if the job failed.
    pub newest: Option<SnapshotRow>,
    /// Whether to run its schedule now is the first thing to do.
    pub run_first: bool,
    /// What else fails for the same cause.
    pub alike: Option<Alike>,
    /// What is known of the locks in its way.
    pub locks: Option<LockFacts>,
}

impl Page for JobPage {
    const TEMPLATE: &'static str = "pages/job.html";
    const NAV: &'static str = "jobs";
}

/// What changes while a job runs.
#[derive(Debug, Serialize)]
pub struct JobNow {
    /// Its identity.
    pub id: String,
    /// Its operation.
    pub kind: &'static str,
    /// Its host's identity.
    pub host_id: String,
    /// Its host's name.
    pub host: String,
    /// Its schedule, if it is there still.
    pub schedule_id: Option<String>,
    /// What it is about.
    pub about: String,
    /// Its state.
    pub badge: Badge,
    /// The same in words, with who cancelled it.
    pub state: String,
    /// Whether nothing more is expected.
    pub finished: bool,
    /// Whether it runs.
    pub running: bool,
    /// Run now of its schedule, once it has ended; none while that is not enabled.
    pub again: Option<RunButton>,
    /// Whether its host has a snapshot to restore from, if it failed.
    pub restore: bool,
    /// The same press twice is one job.
    pub key: String,
    /// Whether it is a backup.
    pub backup: bool,
    /// What it waits for.
    pub waits: Option<Waits>,
    /// Whose own repository it works on, if that is not its host’s.
    pub of: Option<String>,
    /// Where its percent comes from: `json`, `text` or `unknown`.
    pub source: &'static str,
    /// Whether somebody asked it to stop.
    pub cancelling: bool,
    /// How far it is.
    pub progress: Option<Live>,
    /// The command line, secrets out.
    pub command: Option<String>,
    /// Who asked for it.
    pub by: String,
    /// When it was due, if its schedule started it.
    pub due: Option<Moment>,
    /// Earlier fires that it stands for, oldest first.
    pub stands_for: Vec<Moment>,
    /// How many more there were.
    pub stands_for_more: u64,
    /// When it was queued.
    pub queued: Moment,
    /// When it was offered.
    pub dispatched: Option<Moment>,
    /// When it started.
    pub started: Option<Moment>,
    /// When it ended.
    pub ended: Option<Moment>,
    /// Seconds it took.
    pub took: Option<f64>,
    /// How often it was offered.
    pub attempt: i32,
}

/// A line of the log.
#[derive(Debug, Serialize)]
pub struct Line {
    /// When.
    pub at: Moment,
    /// The colour's class.
    pub class: &'static str,
    /// The words.
    pub text: String,
}

/// An item that could not be read.
#[derive(Debug, Serialize)]
pub struct Item {
    /// Its path.
    pub path: String,
    /// What restic said.
    pub message: String,
}

/// What a backup did.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// restic's figures.
    pub figures: restic_manager_shared::wire::job::BackupSummary,
    /// Bytes added to the repository.
    pub added: u64,
    /// The first digits of the snapshot's id.
    pub short: String,
}

/// What changed of a job since the browser's cursor.
#[derive(Debug, Serialize)]
pub struct JobLive {
    /// What changes.
    pub now: JobNow,
    /// New lines of the log.
    pub lines: Vec<Line>,
    /// Where the browser's copy of the log then ends.
    pub cursor: String,
    /// What the browser's tab says.
    pub title: String,
    /// Whether the browser should load the page anew: the end has more to say.
    pub reload: bool,
}

impl Page for JobLive {
    const TEMPLATE: &'static str = "fragments/job.html";
}

/// Asks once before a job is stopped.
#[derive(Debug, Serialize)]
pub struct JobCancelPage {
    /// The job.
    pub now: JobNow,
}

impl Page for JobCancelPage {
    const TEMPLATE: &'static str = "pages/job-cancel.html";
    const NAV: &'static str = "jobs";
}

fn line(line: LogLine, now: Timestamp) -> Line {
    let class = match line.level {
        LogLevel::Info => "",
        LogLevel::Warning => "warn",
        LogLevel::Error => "bad",
    };
    Line { at: Moment::new(line.at, now), class, text: line.text }
}

impl JobNow {
    /// What is known of a job now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn of(s: &Services, job: &Job, names: &mut Names) -> Result<Self, ApiError> {
        let now = Timestamp::now();
        let host = names.host(s, job.host_id).await?;
        let online = hosts::get(s, job.host_id).await?.state == HostState::Online;
        let finished = job.state.finished();
        let (mut again, mut schedule_id) = (None, None);
        if let Some(id) = job.schedule_id
            && names.schedule(s, id).await?.is_some()
        {
            if finished && schedules::get(s, id).await?.enabled {
                let offer = run_now::of_host(s, job.host_id).await?;
                again = Some(RunButton::of_schedule(offer.as_ref(), id, online));
            }
            schedule_id = Some(id.to_string());
        }
        let of = match job.of_host_id.filter(|of| *of != job.host_id) {
            Some(of) => Some(names.host(s, of).await?),
            None => None,
        };
        let stood_for = job.stands_for.clone().unwrap_or_default();
        let moment = |at: Option<Timestamp>| at.map(|at| Moment::new(at, now));
        Ok(Self {
            id: job.id.to_string(),
            kind: kind_word(job.kind),
            host_id: job.host_id.to_string(),
            waits: waits::of(s, job, names).await?,
            of,
            source: job.kind.operation().progress.as_str(),
            host,
            schedule_id,
            about: names.about(s, job).await?,
            badge: job_badge(job.state),
            state: match &job.cancel_requested_by {
                Some(by) if job.state == JobState::Cancelled => cancelled_by(&asked_by(by)),
                Some(_) | None => job_badge(job.state).word.to_owned(),
            },
            finished,
            running: job.state == JobState::Running,
            again,
            restore: false,
            key: press_key(Some(job)),
            backup: job.kind == JobKind::Backup,
            cancelling: job.cancel_requested_at.is_some() && !finished,
            progress: progress::live(job, now),
            command: job.progress.as_ref().and_then(|p| p.command.clone()),
            by: asked_by(&job.requested_by),
            due: moment(job.due_at),
            stands_for: stood_for.fires.iter().map(|at| Moment::new(*at, now)).collect(),
            stands_for_more: stood_for.more,
            queued: Moment::new(job.queued_at, now),
            dispatched: moment(job.dispatched_at),
            started: moment(job.started_at),
            ended: moment(job.finished_at),
            took: took(job, now),
            attempt: job.attempt,
        })
    }
}

/// The log up to now, its end, and whether lines were left out.
async fn log(s: &Services, id: JobId) -> Result<(Vec<LogLine>, i64, bool), ApiError> {
    let (mut lines, mut after, mut cut) = (vec![], 0, false);
    loop {
        let events = jobs::events(s, id, after, Duration::ZERO).await?;
        let more = events.seq > after;
        after = events.seq;
        lines.extend(events.lines);
        if lines.len() > LINES {
            cut = true;
            lines.drain(..lines.len() - LINES);
        }
        if events.finished || !more {
            return Ok((lines, after, cut));
        }
    }
}

fn summary(result: &JobResult) -> Option<Summary> {
    let figures = result.summary.clone()?;
    let short = figures.snapshot_id.as_deref().unwrap_or_default().chars().take(8).collect();
    Some(Summary { added: figures.data_added_packed.unwrap_or(figures.data_added), short, figures })
}

async fn page(s: &Services, job: &Job) -> Result<JobPage, ApiError> {
    let now = Timestamp::now();
    let mut names = Names::default();
    let (lines, end, cut) = log(s, job.id).await?;
    let repository = match job.repository_id {
        Some(id) => names.repository(s, id).await?,
        None => None,
    };
    let repository_id = job.repository_id.filter(|_| repository.is_some()).map(|id| id.to_string());
    let repository = repository.unwrap_or_else(|| things::REPOSITORY.into());
    let mut shown = JobNow::of(s, job, &mut names).await?;
    let result = job.result.clone().unwrap_or_default();
    shown.command = result.command.clone().or(shown.command);
    let call = cause::Names { host: &shown.host, repository: &repository };
    let told = match &result.cause {
        Some(cause) if cause.code == CauseCode::Cancelled => {
            Some(Told { title: shown.state.clone(), ..cause::explain(cause.code, call) })
        }
        Some(cause) => Some(cause::explain(cause.code, call)),
        None => cause::nothing_came(job.state, call),
    };
    let restore = Ran::of(s, job, &mut names).await?;
    let places =
        Places { host: &shown.host_id, repository: repository_id.as_deref(), schedule: shown.schedule_id.as_deref() };
    let remedy = result.cause.as_ref().and_then(|cause| remedy(cause.code, places));
    let outcome = outcome::tell(job, now);
    // What came of it says what to do, more exactly than the cause could.
    let told = told.filter(|_| outcome.as_ref().is_none_or(|o| o.steps.is_empty()));
    let ended_badly =
        matches!(job.state, JobState::Failed | JobState::Lost | JobState::Missed) && job.kind == JobKind::Backup;
    let newest = if ended_badly { snapshots::of_host(s, job.host_id, None, 1).await?.items.pop() } else { None };
    shown.restore = newest.is_some();
    let own_words = |code| !matches!(code, CauseCode::Cancelled);
    Ok(JobPage {
        now: shown,
        cursor: format!("ev:{end}"),
        lines: lines.into_iter().map(|l| line(l, now)).collect(),
        cut,
        repository_id,
        repository,
        told,
        remedy,
        message: result.cause.as_ref().filter(|c| own_words(c.code)).map(|c| c.message.clone()).unwrap_or_default(),
        exit_code: result.exit_code,
        summary: summary(&result),
        outcome,
        restore,
        restic: result.restic_version,
        items: result.item_errors.into_iter().map(|e| Item { path: e.item, message: e.message }).collect(),
        items_omitted: result.item_errors_omitted,
        run_first: job.state == JobState::Missed,
        alike: failed::alike(s, job, &mut names, now).await?,
        locks: failed::lock_facts(s, job, now).await?,
        newest: newest.map(|snapshot| SnapshotRow::new(&snapshot, now)),
    })
}

/// One job.
#[get("/jobs/{id}")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<JobId>,
) -> Result<HttpResponse, ApiError> {
    let job = jobs::get(&s, *id).await?;
    view.show(&who, &page(&s, &job).await?).await
}

/// What changed of a job since the cursor. When it ends the browser loads the page anew: the end has more to say.
#[get("/ui/jobs/{id}/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<JobId>,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    let after = query.cursor.strip_prefix("ev:").and_then(|n| n.parse().ok()).unwrap_or(0);
    let events = jobs::events(&s, *id, after, Duration::ZERO).await?;
    if events.seq <= after && !events.finished {
        return Ok(HttpResponse::NoContent().finish());
    }
    let job = jobs::get(&s, *id).await?;
    let shown = JobNow::of(&s, &job, &mut Names::default()).await?;
    let now = Timestamp::now();
    let lines = events.lines.into_iter().map(|l| line(l, now)).collect();
    let reload = events.finished && job.state.finished();
    let page = JobLive { title: title(&shown), now: shown, lines, cursor: format!("ev:{}", events.seq), reload };
    view.piece(&who, &page).await
}

/// What the browser's tab says.
fn title(now: &JobNow) -> String {
    let share = now.progress.as_ref().and_then(|p| p.percent).filter(|_| now.running);
    let share = share.map_or_else(|| now.badge.word.to_owned(), |n| format!("{n} %"));
    format!("{share} \u{b7} {} {} \u{b7} restic-manager", now.kind, now.host)
}

/// Asks before stopping.
#[get("/jobs/{id}/cancel")]
pub async fn ask_cancel(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<JobId>,
) -> Result<HttpResponse, ApiError> {
    let job = jobs::get(&s, *id).await?;
    if job.state.finished() {
        return Err(Refusal::JobFinished.into());
    }
    let now = JobNow::of(&s, &job, &mut Names::default()).await?;
    view.show(&who, &JobCancelPage { now }).await
}

/// Stops a job.
#[post("/jobs/{id}/cancel")]
pub async fn cancel(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<JobId>,
    _form: SafeForm<Pressed>,
) -> Result<HttpResponse, ApiError> {
    jobs::cancel(&s, &who.actor, *id).await?;
    Ok(go(&format!("/jobs/{id}?done=cancelled")))
}
