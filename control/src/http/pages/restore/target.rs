//! The last steps: where to and over what, what that would do, and doing it.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::FormErrors;
use super::super::host_choice::{self, HostChoice};
use super::super::names::Names;
use super::super::outcome::{self, Told};
use super::super::view::JobRow;
use super::{Head, there};
use crate::domain::job::JobState;
use crate::domain::restore::Draft;
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::restores::{Aim, Opened};
use crate::service::{ActError, Services, jobs, restores};
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, RestoreId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::restore::{Overwrite, RestoreTarget};
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

impl TargetForm {
    fn of(draft: &Draft, now: Timestamp) -> Self {
        let word = POLICIES.iter().find(|(_, policy)| *policy == draft.overwrite).map_or("", |(word, _)| word);
        let (place, folder) = match &draft.target {
            Some(RestoreTarget::Original) => ("original", String::new()),
            Some(RestoreTarget::Folder { path }) => ("folder", path.clone()),
            None => ("folder", String::new()),
        };
        let proposed = format!("/var/tmp/restore-{}", now.to_utc().format("%Y-%m-%d"));
        let on = |flag: bool| flag.then(|| "1".to_owned());
        Self {
            host: draft.host.map(|id| id.to_string()).unwrap_or_default(),
            place: place.into(),
            folder: if folder.is_empty() { proposed } else { folder },
            overwrite: word.into(),
            delete: on(draft.delete),
            verify: on(draft.verify),
        }
    }

    /// `host` is the one that the field names.
    fn read(&self, host: Option<HostId>) -> Result<Aim, FormErrors> {
        let mut wrong = FormErrors::default();
        if host.is_none() {
            wrong.add("host", wrong::HOST);
        }
        let target = match self.place.as_str() {
            "original" => Some(RestoreTarget::Original),
            "folder" => Some(RestoreTarget::Folder { path: self.folder.trim().to_owned() }),
            _ => {
                wrong.add("place", wrong::PLACE);
                None
            }
        };
        let overwrite = POLICIES.iter().find(|(word, _)| *word == self.overwrite).map(|(_, policy)| *policy);
        if overwrite.is_none() {
            wrong.add("overwrite", wrong::OVERWRITE);
        }
        match (host, target, overwrite) {
            (Some(host), Some(target), Some(overwrite)) if wrong.is_empty() => {
                Ok(Aim { host, target, overwrite, delete: self.delete.is_some(), verify: self.verify.is_some() })
            }
            _ => Err(wrong),
        }
    }
}

async fn target_page(
    s: &Services,
    opened: &Opened,
    form: TargetForm,
    errors: FormErrors,
) -> Result<RestoreTargetPage, ApiError> {
    let head = Head::of(s, opened, 3, &mut Names::default()).await?;
    let choice = HostChoice::of(s, &form.host).await?;
    Ok(RestoreTargetPage { head, choice, form, errors })
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
    let form = TargetForm::of(&opened.restore.draft, Timestamp::now());
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
        Ok(host) => form.read(host.map(|host| host.id)),
        Err(error) => Err(FormErrors::of(error, &FIELDS)?),
    };
    let errors = match read {
        Err(wrong) => wrong,
        Ok(aim) => {
            restores::aim(&s, &who.actor, *id, aim).await?;
            match restores::preview(&s, &who.actor, *id).await {
                Ok(_) => return Ok(go(&format!("/restore/{id}/preview"))),
                Err(error) => FormErrors::of(error, &FIELDS)?,
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
    /// The host that it goes to.
    pub host: String,
    /// The place there.
    pub place: String,
    /// The host's name is to be typed: files that are there may change.
    pub typed: bool,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for RestorePreviewPage {
    const TEMPLATE: &'static str = "pages/restore-preview.html";
    const NAV: &'static str = "restore";
}

async fn preview_page(s: &Services, opened: &Opened, errors: FormErrors) -> Result<RestorePreviewPage, ApiError> {
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
    let row = names.rows(s, std::slice::from_ref(&job), now).await?.remove(0);
    Ok(RestorePreviewPage {
        head,
        ended,
        fine: matches!(job.state, JobState::Succeeded | JobState::Warning),
        trouble: cause.map(|c| c.message.clone()).unwrap_or_default(),
        outcome: outcome::tell(&job, now),
        job: row,
        host,
        place,
        typed: draft.in_place(),
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
) -> Result<HttpResponse, ApiError> {
    let opened = restores::get(&s, &who.actor, *id).await?;
    if let Some(job) = opened.restore.job_id {
        return Ok(go(&format!("/jobs/{job}")));
    }
    if opened.restore.preview_job_id.is_none() {
        return Ok(go(&format!("/restore/{id}/target")));
    }
    view.show(&who, &preview_page(&s, &opened, FormErrors::default()).await?).await
}

/// The host's name, as it was typed.
#[derive(Debug, Deserialize)]
pub struct RunForm {
    #[serde(default)]
    typed: String,
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
    let page = preview_page(&s, &opened, FormErrors::default()).await?;
    let mut errors = FormErrors::default();
    if !page.fine {
        errors.general = wrong::PREVIEW_SAYS_NO.into();
    } else if page.typed && form.0.typed.trim() != page.host {
        errors.add("typed", wrong::type_to_go_on(&page.host));
    }
    if errors.is_empty() {
        let job = restores::run(&s, &who.actor, *id).await?;
        return Ok(go(&format!("/jobs/{job}")));
    }
    view.again(&who, &RestorePreviewPage { errors, ..page }).await
}
