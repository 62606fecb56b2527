//! What is known of a repository, as a form; changing its own password; and forgetting it.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::{FormErrors, typed_secret};
use super::super::repositories::{FIELDS, RepositoryForm, Typed, named};
use super::access::Sure;
use super::{Head, Opened};
use crate::domain::repository::Repository;
use crate::domain::rotation::{Rotation, Stage};
use crate::http::guard::{Admin, Guarded, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::{Services, repositories, rotation};
use crate::words::Moment;
use crate::words::repository as words;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A repository's settings.
#[derive(Debug, Serialize)]
pub struct RepositorySettingsPage {
    /// The head.
    pub head: Head,
    /// What was typed.
    pub form: Typed,
    /// What is wrong with it.
    pub errors: FormErrors,
    /// The change of its password that is under way.
    pub rotation: Option<RotationView>,
}

impl Page for RepositorySettingsPage {
    const TEMPLATE: &'static str = "pages/repository-settings.html";
    const NAV: &'static str = "repositories";
}

/// How far a change of password is.
#[derive(Debug, Serialize)]
pub struct RotationView {
    /// Each step.
    pub steps: Vec<Step>,
    /// How it stands, in words.
    pub text: &'static str,
    /// What is in the way.
    pub trouble: String,
    /// Since when.
    pub since: Moment,
    /// The job of this step, if one repository is changed.
    pub job: Option<String>,
    /// How many repositories it concerns: where the address holds `{host}` each host has its own.
    pub repositories: usize,
    /// Whether it goes on.
    pub open: bool,
    /// The key of the old password, if it stays in one repository.
    pub old_key: Option<String>,
}

/// A step of it.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What is done.
    pub title: &'static str,
    /// `done`, `now`, `fail`, or empty.
    pub class: &'static str,
}

fn rotation_view(rotation: &Rotation, now: Timestamp) -> RotationView {
    let at = match rotation.stage {
        Stage::OldKeyStays => Some(Stage::Removing),
        Stage::Stuck => None,
        stage => Some(stage),
    };
    let class = |stage: Stage| match at {
        Some(at) if stage < at => "done",
        Some(at) if stage == at && rotation.stage == Stage::OldKeyStays => "fail",
        Some(at) if stage == at => "now",
        _ => "",
    };
    let only = match rotation.steps.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    RotationView {
        steps: words::ROTATION.iter().map(|(stage, title)| Step { title, class: class(*stage) }).collect(),
        text: words::rotation(rotation.stage),
        trouble: crate::words::capital(rotation.trouble.as_deref().unwrap_or_default()),
        since: Moment::new(rotation.since, now),
        job: only.and_then(|step| step.job).map(|id| id.to_string()),
        repositories: rotation.steps.len(),
        open: !matches!(rotation.stage, Stage::OldKeyStays | Stage::Stuck),
        old_key: only.and_then(|step| step.old_key.clone()).filter(|_| rotation.stage == Stage::OldKeyStays),
    }
}

async fn page(s: &Services, id: RepositoryId) -> Result<RepositorySettingsPage, ApiError> {
    let opened = Opened::of(s, id).await?;
    let Repository { rotation, .. } = &opened.repository;
    Ok(RepositorySettingsPage {
        head: opened.head("settings"),
        form: Typed::of(&opened.repository),
        errors: FormErrors::default(),
        rotation: rotation.as_ref().map(|r| rotation_view(r, opened.now)),
    })
}

/// A repository's settings.
#[get("/repositories/{id}/settings")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, *id).await?).await
}

/// Saves what is known of a repository.
#[post("/repositories/{id}/settings")]
pub async fn save(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<RepositoryForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let mut errors = FormErrors::default();
    let input = form.input(&mut errors);
    if errors.is_empty() {
        match repositories::update(&s, &who.actor, *id, input).await {
            Ok(_) => return Ok(go(&format!("/repositories/{id}/settings?done=repository-saved"))),
            Err(error) => errors = named(FormErrors::of(error, &FIELDS)?),
        }
    }
    view.again(&who, &RepositorySettingsPage { form: form.typed(), errors, ..page(&s, *id).await? }).await
}

/// Asks for a new password, and says what its change does.
#[derive(Debug, Serialize)]
pub struct RepositoryPasswordPage {
    /// The head.
    pub head: Head,
    /// Why it cannot be changed.
    pub refused: Option<&'static str>,
    /// What is wrong with what was typed.
    pub errors: FormErrors,
}

impl Page for RepositoryPasswordPage {
    const TEMPLATE: &'static str = "pages/repository-password.html";
    const NAV: &'static str = "repositories";
}

async fn password_page(s: &Services, id: RepositoryId, errors: FormErrors) -> Result<RepositoryPasswordPage, ApiError> {
    let opened = Opened::of(s, id).await?;
    let under_way =
        opened.repository.rotation.as_ref().is_some_and(|r| !matches!(r.stage, Stage::OldKeyStays | Stage::Stuck));
    let refused = match opened.health.credentials.full {
        _ if under_way => Some(words::ROTATION_UNDER_WAY),
        0 => Some(words::OLD_KEY_WOULD_STAY),
        _ => None,
    };
    Ok(RepositoryPasswordPage { head: opened.head("settings"), refused, errors })
}

/// Asks for a new password.
#[get("/repositories/{id}/rotate-password")]
pub async fn ask_rotate(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &password_page(&s, *id, FormErrors::default()).await?).await
}

/// The new password.
#[derive(Debug, Deserialize)]
pub struct RotateForm {
    #[serde(default)]
    new_password: Secret,
}

/// Changes the repository's own password.
#[post("/repositories/{id}/rotate-password")]
pub async fn rotate(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<RotateForm>,
) -> Result<HttpResponse, ApiError> {
    match rotation::start(&s, &who.actor, *id, typed_secret(&form.0.new_password)).await {
        Ok(_) => Ok(go(&format!("/repositories/{id}/settings?done=rotation-started"))),
        Err(error) => {
            let mut errors = FormErrors::of(error, &["password"])?;
            if let Some(wrong) = errors.fields.remove("password") {
                errors.add("new_password", wrong);
            }
            view.again(&who, &password_page(&s, *id, errors).await?).await
        }
    }
}

/// Asks once before a repository is forgotten.
#[derive(Debug, Serialize)]
pub struct RepositoryDeletePage {
    /// The head.
    pub head: Head,
}

impl Page for RepositoryDeletePage {
    const TEMPLATE: &'static str = "pages/repository-delete.html";
    const NAV: &'static str = "repositories";
}

/// Asks before a repository is forgotten.
#[get("/repositories/{id}/delete")]
pub async fn ask_delete(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<HttpResponse, ApiError> {
    let head = Opened::of(&s, *id).await?.head("settings");
    view.show(&who, &RepositoryDeletePage { head }).await
}

/// Forgets a repository; its storage is not touched.
#[post("/repositories/{id}/delete")]
pub async fn delete(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    repositories::delete(&s, &who.actor, *id).await?;
    Ok(go("/repositories?done=repository-deleted"))
}
