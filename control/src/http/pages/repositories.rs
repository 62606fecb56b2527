//! Repositories: the list, adding, one repository with its settings, and which hosts may use it. Secrets go in and never come out.

use super::door::{View, go};
use super::engine::Page;
use super::form::{FormErrors, chosen, typed, typed_secret};
use super::words::Moment;
use crate::domain::repository::Repository;
use crate::http::guard::{Admin, Guarded, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::repositories::{CredentialInput, RepositoryInput};
use crate::service::{Services, hosts, repositories};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::state::CredentialMode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A repository in a list.
#[derive(Debug, Serialize)]
pub struct RepositoryRow {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
    /// The kind of storage.
    pub kind: &'static str,
    /// Whether the first backup makes it.
    pub init_if_missing: bool,
    /// When it was added.
    pub added: Moment,
}

impl RepositoryRow {
    /// A repository as a row.
    #[must_use]
    pub fn new(repository: &Repository, now: Timestamp) -> Self {
        Self {
            id: repository.id.to_string(),
            name: repository.name.clone(),
            url: repository.url.clone(),
            kind: repository.backend.as_str(),
            init_if_missing: repository.init_if_missing,
            added: Moment::new(repository.created_at, now),
        }
    }
}

/// All repositories.
#[derive(Debug, Serialize)]
pub struct RepositoriesPage {
    /// This page of them, by name.
    pub repositories: Vec<RepositoryRow>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
}

impl Page for RepositoriesPage {
    const TEMPLATE: &'static str = "pages/repositories.html";
    const NAV: &'static str = "repositories";
}

/// What was typed, but for the password.
#[derive(Debug, Default, Serialize)]
pub struct Typed {
    /// The name.
    pub name: String,
    /// The address.
    pub url: String,
    /// Whether the first backup makes it.
    pub init: bool,
}

/// The form of a new repository.
#[derive(Debug, Default, Serialize)]
pub struct RepositoryAddPage {
    /// What was typed.
    pub form: Typed,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for RepositoryAddPage {
    const TEMPLATE: &'static str = "pages/repository-add.html";
    const NAV: &'static str = "repositories";
}

/// One repository.
#[derive(Debug, Serialize)]
pub struct RepositoryPage {
    /// It.
    pub repository: RepositoryRow,
    /// What was typed.
    pub form: Typed,
    /// What is wrong with that.
    pub errors: FormErrors,
    /// Hosts to let in.
    pub hosts: Vec<HostChoice>,
    /// The host that was chosen to be let in.
    pub chosen: String,
    /// The storage user that was typed.
    pub rest_username: String,
    /// What is wrong with that.
    pub credential_errors: FormErrors,
}

impl Page for RepositoryPage {
    const TEMPLATE: &'static str = "pages/repository.html";
    const NAV: &'static str = "repositories";
}

/// A host to choose.
#[derive(Debug, Serialize)]
pub struct HostChoice {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
}

/// The repository form.
#[derive(Debug, Deserialize)]
pub struct RepositoryForm {
    name: String,
    url: String,
    #[serde(default)]
    password: Secret,
    #[serde(default)]
    init: Option<String>,
}

impl RepositoryForm {
    fn input(&self) -> RepositoryInput {
        RepositoryInput {
            name: self.name.trim().to_owned(),
            url: self.url.trim().to_owned(),
            password: typed_secret(&self.password),
            init_if_missing: self.init.is_some(),
            quota_bytes: None,
            ca_pem: None,
        }
    }

    fn typed(self) -> Typed {
        Typed { name: self.name, url: self.url, init: self.init.is_some() }
    }
}

/// The form that lets a host in.
#[derive(Debug, Deserialize)]
pub struct CredentialForm {
    #[serde(default)]
    host: String,
    #[serde(default)]
    rest_username: String,
    #[serde(default)]
    rest_password: Secret,
}

const FIELDS: [&str; 3] = ["name", "url", "password"];

async fn page(s: &Services, id: RepositoryId) -> Result<RepositoryPage, ApiError> {
    let repository = repositories::get(s, id).await?;
    let listed = hosts::list(s, None, 1000).await?;
    Ok(RepositoryPage {
        form: Typed { name: repository.name.clone(), url: repository.url.clone(), init: repository.init_if_missing },
        repository: RepositoryRow::new(&repository, Timestamp::now()),
        errors: FormErrors::default(),
        hosts: listed.items.into_iter().map(|h| HostChoice { id: h.id.to_string(), name: h.name }).collect(),
        chosen: String::new(),
        rest_username: String::new(),
        credential_errors: FormErrors::default(),
    })
}

/// All repositories.
#[get("/repositories")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<super::hosts::Cursor>,
) -> Result<HttpResponse, ApiError> {
    let (now, later) = (Timestamp::now(), query.cursor.is_some());
    let listed = repositories::list(&s, query.into_inner().cursor, super::hosts::PAGE).await?;
    let rows = listed.items.iter().map(|r| RepositoryRow::new(r, now)).collect();
    view.show(&who, &RepositoriesPage { repositories: rows, next: listed.next, later }).await
}

/// The form of a new repository.
#[get("/repositories/add")]
pub async fn blank(who: Guarded<Admin>, view: View) -> Result<HttpResponse, ApiError> {
    view.show(&who, &RepositoryAddPage { form: Typed { init: true, ..Typed::default() }, ..Default::default() }).await
}

/// Adds a repository.
#[post("/repositories/add")]
pub async fn add(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<RepositoryForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    match repositories::add(&s, &who.actor, form.input()).await {
        Ok(added) => Ok(go(&format!("/repositories/{}?done=repository-added", added.id))),
        Err(error) => {
            let errors = FormErrors::of(error, &FIELDS)?;
            view.again(&who, &RepositoryAddPage { form: form.typed(), errors }).await
        }
    }
}

/// One repository.
#[get("/repositories/{id}")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, *id).await?).await
}

/// Saves what is known of a repository.
#[post("/repositories/{id}")]
pub async fn save(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<RepositoryForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    match repositories::update(&s, &who.actor, *id, form.input()).await {
        Ok(_) => Ok(go(&format!("/repositories/{id}?done=repository-saved"))),
        Err(error) => {
            let errors = FormErrors::of(error, &FIELDS)?;
            view.again(&who, &RepositoryPage { form: form.typed(), errors, ..page(&s, *id).await? }).await
        }
    }
}

/// Lets a host use a repository.
#[post("/repositories/{id}/hosts")]
pub async fn let_in(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<CredentialForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let mut errors = FormErrors::default();
    let host: Option<HostId> = chosen(&form.host, "host", &mut errors);
    if host.is_none() {
        errors.add("host", "Choose a host");
    }
    if let Some(host) = host.filter(|_| errors.is_empty()) {
        let input = CredentialInput {
            mode: CredentialMode::AppendOnly,
            rest_username: typed(&form.rest_username),
            rest_password: typed_secret(&form.rest_password),
            env: BTreeMap::new(),
            url: None,
        };
        match repositories::put_credential(&s, &who.actor, host, *id, input).await {
            Ok(()) => return Ok(go(&format!("/repositories/{id}?done=credential-saved"))),
            Err(error) => errors = FormErrors::of(error, &["rest_username", "rest_password"])?,
        }
    }
    let shown = RepositoryPage {
        chosen: form.host,
        rest_username: form.rest_username,
        credential_errors: errors,
        ..page(&s, *id).await?
    };
    view.again(&who, &shown).await
}
