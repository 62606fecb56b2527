//! The last steps: where to and over what, what that would do, and doing it.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::FormErrors;
use super::super::host_choice::{self, HostChoice};
use super::super::names::Names;
use super::super::outcome::restored::brought;
use super::super::outcome::{self, Told};
use super::super::view::JobRow;
use super::super::zone::viewer;
use super::would::{Asked, Would, would};
use super::{Head, there};
use crate::domain::fleet::Host;
use crate::domain::job::JobState;
use crate::domain::restore::{Draft, is_folder_of, proposed};
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::restores::{Aim, Opened};
use crate::service::{ActError, Services, hosts, jobs, restores};
use crate::words::restored::{self, question};
use crate::words::{size, wrong};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::RestoreId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::Os;
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::restore::{Overwrite, RestoreReport, RestoreTarget};
use serde::{Deserialize, Serialize};

/// The fields of the form.
const FIELDS: [&str; 4] = ["host", "place", "folder", "overwrite"];

/// Where to, and over what.
#[derive(Debug, Serialize)]
pub struct RestoreTargetPage {
    /// The head.
    pub head: Head,
    /// Which host.
    pub choice: HostChoice,
    /// Those of the list that run Windows.
    pub windows: Vec<String>,
    /// The folders that are proposed: on Linux, on Windows.
    pub proposed: (String, String),
    /// What is chosen.
    pub form: TargetForm,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for RestoreTargetPage {
    const TEMPLATE: &'static str = "pages/restore-target.html";
    const NAV: &'static str = "restore";
}

/// What is chosen.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TargetForm {
    /// The host.
    #[serde(default)]
    pub host: String,
    /// `original` or `folder`.
    #[serde(default)]
    pub place: String,
    /// The folder.
    #[serde(default)]
    pub folder: String,
    /// What becomes of files that are there.
    #[serde(default)]
    pub overwrite: String,
    /// Remove what is not in the snapshot.
    #[serde(default)]
    pub delete: Option<String>,
    /// Read back what was written.
    #[serde(default)]
    pub verify: Option<String>,
}

const POLICIES: [(&str, Overwrite); 4] = [
    ("never", Overwrite::Never),
    ("if_changed", Overwrite::IfChanged),
    ("if_newer", Overwrite::IfNewer),
    ("always", Overwrite::Always),
];

/// Today, as it stands in the name of a folder.
fn today(now: Timestamp) -> String {
    now.to_utc().with_timezone(&viewer()).format("%Y-%m-%d").to_string()
}

/// A place that this host can have: what was proposed for the other system and left as it was becomes what is proposed for its own.
fn folder_on(host: &Host, typed: &str, day: &str) -> Result<String, String> {
    let typed = typed.trim();
    let (Some(os), other) = (host.os, [Os::Linux, Os::Windows]) else { return Ok(typed.to_owned()) };
    let untouched = other.into_iter().any(|other| other != os && typed == proposed(other, day));
    match os {
        _ if untouched => Ok(proposed(os, day)),
        _ if is_folder_of(os, typed) => Ok(typed.to_owned()),
        Os::Windows => Err(wrong::folder_of_windows(&host.name, &proposed(os, day))),
        Os::Linux => Err(wrong::folder_of_linux(&host.name, &proposed(os, day))),
    }
}

impl TargetForm {
    fn of(draft: &Draft, os: Os, day: &str) -> Self {
        let word = POLICIES.iter().find(|(_, policy)| *policy == draft.overwrite).map_or("", |(word, _)| word);
        let (place, folder) = match &draft.target {
            Some(RestoreTarget::Original) => ("original", String::new()),
            Some(RestoreTarget::Folder { path }) => ("folder", path.clone()),
            None => ("folder", String::new()),
        };
        let on = |flag: bool| flag.then(|| "1".to_owned());
        Self {
            host: draft.host.map(|id| id.to_string()).unwrap_or_default(),
            place: place.into(),
            folder: if folder.is_empty() { proposed(os, day) } else { folder },
            overwrite: word.into(),
            delete: on(draft.delete),
            verify: on(draft.verify),
        }
    }

    fn target(&self, host: Option<&Host>, day: &str, wrong: &mut FormErrors) -> Option<RestoreTarget> {
        let windows = host.is_some_and(|host| host.os == Some(Os::Windows));
        match self.place.as_str() {
            "original" if windows => wrong.add("place", wrong::NOT_IN_PLACE),
            "original" => return Some(RestoreTarget::Original),
            "folder" => match host.map_or_else(|| Ok(self.folder.clone()), |host| folder_on(host, &self.folder, day)) {
                Ok(path) => return Some(RestoreTarget::Folder { path }),
                Err(why) => wrong.add("folder", why),
            },
            _ => wrong.add("place", wrong::PLACE),
        }
        None
    }

    /// `host` is the one that the field names.
    fn read(&self, host: Option<&Host>, day: &str) -> Result<Aim, FormErrors> {
        let mut wrong = FormErrors::default();
        if host.is_none() {
            wrong.add("host", wrong::HOST);
        }
        let target = self.target(host, day, &mut wrong);
        let overwrite = POLICIES.iter().find(|(word, _)| *word == self.overwrite).map(|(_, policy)| *policy);
        if overwrite.is_none() {
            wrong.add("overwrite", wrong::OVERWRITE);
        }
        match (host, target, overwrite) {
            (Some(host), Some(target), Some(overwrite)) if wrong.is_empty() => Ok(Aim {
                host: host.id,
                target,
                overwrite,
                delete: self.delete.is_some(),
                verify: self.verify.is_some(),
            }),
            _ => Err(wrong),
        }
    }
}

/// What a task's own check finds wrong with the folder stands beside the field of the folder.
fn of_task(error: ActError) -> Result<FormErrors, ApiError> {
    let mut errors = FormErrors::of(error, &[FIELDS.as_slice(), &["path"]].concat())?;
    if let Some(wrong) = errors.fields.remove("path") {
        errors.add("folder", wrong);
    }
    Ok(errors)
}

async fn target_page(
    s: &Services,
    opened: &Opened,
    form: TargetForm,
    errors: FormErrors,
) -> Result<RestoreTargetPage, ApiError> {
    let head = Head::of(s, opened, 3, &mut Names::default()).await?;
    let choice = HostChoice::of(s, &form.host).await?;
    let windows = host_choice::windows(s, &choice).await?;
    let day = today(Timestamp::now());
    let proposed = (proposed(Os::Linux, &day), proposed(Os::Windows, &day));
    Ok(RestoreTargetPage { head, choice, windows, proposed, form, errors })
}

/// Shows where it goes.
#[get("/restore/{id}/target")]
pub async fn show(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
) -> Result<HttpResponse, ApiError> {
    let opened = restores::get(&s, &who.actor, *id).await?;
    let draft = &opened.restore.draft;
    let os = match draft.host {
        Some(host) => hosts::get(&s, host).await.ok().and_then(|host| host.os),
        None => None,
    };
    let form = TargetForm::of(draft, os.unwrap_or(Os::Linux), &today(Timestamp::now()));
    view.show(&who, &target_page(&s, &opened, form, FormErrors::default()).await?).await
}

/// Keeps where it goes, and has the host say what that would do.
#[post("/restore/{id}/target")]
pub async fn aim(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
    form: SafeForm<TargetForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let read = match host_choice::read(&s, &form.host).await {
        Ok(host) => form.read(host.as_ref(), &today(Timestamp::now())),
        Err(error) => Err(FormErrors::of(error, &FIELDS)?),
    };
    let errors = match read {
        Err(wrong) => wrong,
        Ok(aim) => {
            restores::aim(&s, &who.actor, *id, aim).await?;
            match restores::preview(&s, &who.actor, *id).await {
                Ok(_) => return Ok(go(&format!("/restore/{id}/preview"))),
                Err(error) => of_task(error)?,
            }
        }
    };
    let opened = restores::get(&s, &who.actor, *id).await?;
    view.again(&who, &target_page(&s, &opened, form, errors).await?).await
}

/// What it would do.
#[derive(Debug, Serialize)]
pub struct RestorePreviewPage {
    /// The head.
    pub head: Head,
    /// The job that looks.
    pub job: JobRow,
    /// Whether it has ended.
    pub ended: bool,
    /// Whether it found that the restore can be done.
    pub fine: bool,
    /// Why not.
    pub trouble: String,
    /// What it found.
    pub outcome: Option<Told>,
    /// The same file by file, if the agent names files.
    pub would: Option<Would>,
    /// The host that it goes to.
    pub host: String,
    /// The place there.
    pub place: String,
    /// What was asked about it: icon, colour's class, question, answer.
    pub verdicts: Vec<Verdict>,
    /// What is to be ticked, if files that are there may change.
    pub agree: Option<String>,
    /// What the button does.
    pub press: String,
    /// What is wrong.
    pub errors: FormErrors,
}

/// A question of a preview with its answer.
#[derive(Debug, Serialize)]
pub struct Verdict {
    /// The icon's name, and the colour's class.
    pub state: &'static str,
    /// What was asked.
    pub question: &'static str,
    /// What was found.
    pub answer: String,
}

fn verdicts(report: &RestoreReport) -> Vec<Verdict> {
    let (needs, free) = (size(report.bytes), report.free_bytes.map(size));
    let fits = report.free_bytes.is_none_or(|free| free >= report.bytes);
    let changes = report.overwritten != Some(0) || report.deleted > 0;
    let room = match report.free_bytes {
        None => "never",
        Some(_) if fits => "ok",
        Some(_) => "bad",
    };
    vec![
        Verdict { state: room, question: question::ROOM, answer: restored::room(&needs, free.as_deref(), fits) },
        Verdict { state: "ok", question: question::RIGHTS, answer: restored::MAY.into() },
        Verdict {
            state: if changes { "warn" } else { "ok" },
            question: question::THERE,
            answer: restored::there(report.overwritten, report.deleted),
        },
    ]
}

/// What is to be ticked before: nothing, where nothing that is there changes.
fn agree(draft: &Draft, report: Option<&RestoreReport>, host: &str) -> Option<String> {
    let (replaced, removed) = report.map_or((None, 0), |r| (r.overwritten, r.deleted));
    let changes = replaced.is_some_and(|n| n > 0) || removed > 0;
    (changes || draft.in_place()).then(|| restored::agree(replaced, removed, host))
}

impl Page for RestorePreviewPage {
    const TEMPLATE: &'static str = "pages/restore-preview.html";
    const NAV: &'static str = "restore";
}

async fn preview_page(
    s: &Services,
    opened: &Opened,
    asked: &Asked,
    errors: FormErrors,
) -> Result<RestorePreviewPage, ApiError> {
    let (mut names, now, draft) = (Names::default(), Timestamp::now(), &opened.restore.draft);
    there(opened)?;
    let looking = opened.restore.preview_job_id.ok_or_else(|| ActError::field("/target", wrong::PLACE_FIRST))?;
    let job = jobs::get(s, looking).await?;
    let head = Head::of(s, opened, 4, &mut names).await?;
    let host = names.host(s, job.host_id).await?;
    let ended = job.state.finished();
    let place = match &draft.target {
        Some(RestoreTarget::Folder { path }) => path.clone(),
        Some(RestoreTarget::Original) | None => crate::words::job::IN_PLACE.into(),
    };
    let cause = job.result.as_ref().and_then(|r| r.cause.as_ref());
    let report = match &job.outcome {
        Some(Outcome::Restore(report)) => Some(report),
        _ => None,
    };
    let row = names.rows(s, std::slice::from_ref(&job), now).await?.remove(0);
    let at = format!("/restore/{}/preview", opened.restore.id);
    let would = report.filter(|r| r.dry_run).and_then(|r| would(r, draft.delete, &at, asked));
    let told = outcome::tell(&job, now);
    Ok(RestorePreviewPage {
        head,
        ended,
        fine: matches!(job.state, JobState::Succeeded | JobState::Warning),
        trouble: cause.map(|c| c.message.clone()).unwrap_or_default(),
        // What is listed by kind is not listed twice.
        outcome: told.map(|told| if would.is_some() { Told { tables: vec![], ..told } } else { told }),
        would,
        job: row,
        verdicts: report.filter(|r| r.dry_run).map(verdicts).unwrap_or_default(),
        agree: agree(draft, report, &host),
        press: restored::press(report.and_then(brought), &host),
        host,
        place,
        errors,
    })
}

/// Shows what it would do.
#[get("/restore/{id}/preview")]
pub async fn preview(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let opened = restores::get(&s, &who.actor, *id).await?;
    if let Some(job) = opened.restore.job_id {
        return Ok(go(&format!("/jobs/{job}")));
    }
    if opened.restore.preview_job_id.is_none() {
        return Ok(go(&format!("/restore/{id}/target")));
    }
    view.show(&who, &preview_page(&s, &opened, &asked, FormErrors::default()).await?).await
}

/// That it is meant.
#[derive(Debug, Deserialize)]
pub struct RunForm {
    #[serde(default)]
    sure: Option<String>,
}

/// Starts it.
#[post("/restore/{id}/run")]
pub async fn run(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
    form: SafeForm<RunForm>,
) -> Result<HttpResponse, ApiError> {
    let opened = restores::get(&s, &who.actor, *id).await?;
    let page = preview_page(&s, &opened, &Asked::default(), FormErrors::default()).await?;
    let mut errors = FormErrors::default();
    if !page.fine {
        errors.general = wrong::PREVIEW_SAYS_NO.into();
    } else if page.agree.is_some() && form.0.sure.is_none() {
        errors.general = wrong::TICK_REPLACE.into();
    }
    if errors.is_empty() {
        let job = restores::run(&s, &who.actor, *id).await?;
        return Ok(go(&format!("/jobs/{job}")));
    }
    view.again(&who, &RestorePreviewPage { errors, ..page }).await
}
