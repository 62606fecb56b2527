//! Which hosts may use a repository, with what, and what is proven of it: giving and taking credentials, and making accounts at a
//! rest-server. Secrets go in and never come out.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::{FormErrors, typed, typed_secret};
use super::super::host_choice::{self, HostChoice};
use super::super::hosts::PAGE;
use super::overview::Proof;
use super::{Head, Opened, Users};
use crate::domain::backend::{Setting, settings};
use crate::domain::repository::Backend;
use crate::http::guard::{Admin, Guarded, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::accounts::{self, AccountInput};
use crate::service::repositories::CredentialInput;
use crate::service::{Services, hosts, repositories, repository_users};
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::state::CredentialMode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Who may use a repository.
#[derive(Debug, Serialize)]
pub struct AccessPage {
    /// The head.
    pub head: Head,
    /// This page of the hosts that may, by name.
    pub users: Vec<UserRow>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Only those whose name holds this.
    pub find: String,
    /// All hosts, to let in.
    pub hosts: HostChoice,
    /// Those that may use it already, to write an account.
    pub writers: Users,
    /// What a credential takes here.
    pub settings: &'static [Setting],
    /// Whether it takes a rest-server's user and password.
    pub rest: bool,
    /// What was typed, but for secrets.
    pub form: BTreeMap<String, String>,
    /// What is wrong with it.
    pub errors: FormErrors,
    /// What was typed for an account.
    pub account: BTreeMap<String, String>,
    /// What is wrong with that.
    pub account_errors: FormErrors,
}

impl Page for AccessPage {
    const TEMPLATE: &'static str = "pages/repository-hosts.html";
    const NAV: &'static str = "repositories";
}

/// A host that may use it.
#[derive(Debug, Serialize)]
pub struct UserRow {
    /// The host, and what is proven.
    pub proof: Proof,
    /// Its own address of the repository.
    pub url: Option<String>,
    /// How many of its schedules back up there.
    pub schedules: usize,
}

/// What a form sends, by the field's name. Each may be a secret.
type Typed = BTreeMap<String, Secret>;

fn text<'a>(form: &'a Typed, name: &str) -> &'a str {
    form.get(name).map(Secret::reveal).unwrap_or_default()
}

fn mode(word: &str) -> CredentialMode {
    if word == "full" { CredentialMode::Full } else { CredentialMode::AppendOnly }
}

async fn page(s: &Services, id: RepositoryId, find: &str, cursor: Option<String>) -> Result<AccessPage, ApiError> {
    let opened = Opened::of(s, id).await?;
    let row = |c: repositories::CredentialView| UserRow {
        proof: Proof::new(&c, opened.now),
        url: c.url.clone(),
        schedules: c.schedules,
    };
    let later = cursor.is_some();
    let listed = repository_users::list(s, id, find, cursor, PAGE).await?;
    Ok(AccessPage {
        head: opened.head("hosts"),
        users: listed.items.into_iter().map(row).collect(),
        next: listed.next,
        later,
        find: find.to_owned(),
        hosts: HostChoice::of(s, "").await?,
        writers: Users::of(s, id).await?,
        settings: settings(opened.repository.backend),
        rest: opened.repository.backend == Backend::Rest,
        form: BTreeMap::new(),
        errors: FormErrors::default(),
        account: BTreeMap::new(),
        account_errors: FormErrors::default(),
    })
}

/// What may be shown again of what was typed.
fn again(form: &Typed, settings: &[Setting]) -> BTreeMap<String, String> {
    let secret = |name: &str| name == "rest_password" || settings.iter().any(|s| s.secret && s.name == name);
    let shown = form.iter().filter(|(name, _)| !secret(name) && *name != "csrf");
    shown.map(|(name, value)| (name.clone(), value.reveal().to_owned())).collect()
}

/// Who may use a repository.
#[get("/repositories/{id}/hosts")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<BTreeMap<String, String>>,
) -> Result<HttpResponse, ApiError> {
    let mut form = query.into_inner();
    let (find, cursor) = (form.remove("find").unwrap_or_default(), form.remove("cursor"));
    let shown = page(&s, *id, find.trim(), cursor).await?;
    if let Some(host) = form.get_mut("host") {
        *host = HostChoice::of(&s, host).await?.value;
    }
    view.show(&who, &AccessPage { form, ..shown }).await
}

fn credential(form: &Typed, settings: &[Setting]) -> CredentialInput {
    let given = settings.iter().filter(|s| !text(form, s.name).is_empty());
    CredentialInput {
        mode: mode(text(form, "mode")),
        rest_username: typed(text(form, "rest_username")),
        rest_password: form.get("rest_password").and_then(typed_secret),
        env: given.map(|s| (s.name.to_owned(), Secret::new(text(form, s.name).trim()))).collect(),
        url: typed(text(form, "url")),
    }
}

/// Gives a host a credential.
#[post("/repositories/{id}/hosts")]
pub async fn let_in(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<Typed>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let shown = page(&s, *id, "", None).await?;
    let mut errors = FormErrors::default();
    let host = host_choice::field(&s, text(&form, "host"), "host", &mut errors).await?;
    if host.is_none() {
        errors.add("host", wrong::HOST);
    }
    for setting in shown.settings.iter().filter(|s| s.needed && text(&form, s.name).trim().is_empty()) {
        errors.add(setting.name, wrong::NEEDED_BY_STORAGE);
    }
    if let Some(host) = host.filter(|_| errors.is_empty()) {
        match repositories::put_credential(&s, &who.actor, host, *id, credential(&form, shown.settings)).await {
            Ok(()) => return Ok(go(&format!("/repositories/{id}/hosts?done=credential-saved"))),
            Err(error) => {
                let mut known = vec!["rest_username", "rest_password", "url"];
                known.extend(shown.settings.iter().map(|s| s.name));
                errors = FormErrors::of(error, &known)?;
            }
        }
    }
    let form = again(&form, shown.settings);
    view.again(&who, &AccessPage { form, errors, ..shown }).await
}

/// An account that was made: its line is shown this once.
#[derive(Debug, Serialize)]
pub struct AccountPage {
    /// The repository's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The account's name.
    pub user: String,
    /// The line for the server's file of accounts.
    pub line: String,
    /// The job that writes it.
    pub job: Option<String>,
    /// Whether the host that writes it is online.
    pub online: bool,
}

impl Page for AccountPage {
    const TEMPLATE: &'static str = "pages/repository-account.html";
    const NAV: &'static str = "repositories";
}

/// Makes an account at a rest-server for a host.
#[post("/repositories/{id}/accounts")]
pub async fn account(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<Typed>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let mut errors = FormErrors::default();
    let host = host_choice::field(&s, text(&form, "account_host"), "account_host", &mut errors).await?;
    let write_on = host_choice::field(&s, text(&form, "write_on"), "write_on", &mut errors).await?;
    if host.is_none() {
        errors.add("account_host", wrong::HOST);
    }
    if let Some(host_id) = host.filter(|_| errors.is_empty()) {
        let (user, mode) = (typed(text(&form, "user")), mode(text(&form, "account_mode")));
        match accounts::create(&s, &who.actor, *id, AccountInput { host_id, user, mode, write_on }).await {
            Ok(made) => {
                let name = repositories::get(&s, *id).await?.name;
                let online = made.job.as_ref().is_some_and(|q| q.host_online);
                let job = made.job.map(|q| q.job.id.to_string());
                let page = AccountPage { id: id.to_string(), name, user: made.user, line: made.line, job, online };
                return view.show(&who, &page).await;
            }
            Err(error) => errors = FormErrors::of(error, &["user"])?,
        }
    }
    let shown = AccessPage { account: again(&form, &[]), account_errors: errors, ..page(&s, *id, "", None).await? };
    view.again(&who, &shown).await
}

/// Asks once before a host loses its credential.
#[derive(Debug, Serialize)]
pub struct CredentialRemovePage {
    /// The repository's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The host's identity.
    pub host_id: String,
    /// Its name.
    pub host: String,
}

impl Page for CredentialRemovePage {
    const TEMPLATE: &'static str = "pages/credential-remove.html";
    const NAV: &'static str = "repositories";
}

/// Asks before a host loses its credential.
#[get("/repositories/{id}/hosts/{host}/remove")]
pub async fn ask_remove(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    ids: web::Path<(RepositoryId, HostId)>,
) -> Result<HttpResponse, ApiError> {
    let (id, host) = ids.into_inner();
    let (repository, host) = (repositories::get(&s, id).await?, hosts::get(&s, host).await?);
    let page = CredentialRemovePage {
        id: id.to_string(),
        name: repository.name,
        host_id: host.id.to_string(),
        host: host.name,
    };
    view.show(&who, &page).await
}

/// A form with nothing but its token.
#[derive(Debug, Deserialize)]
pub struct Sure {}

/// Takes a host's credential away.
#[post("/repositories/{id}/hosts/{host}/remove")]
pub async fn remove(
    who: Guarded<Admin>,
    s: web::Data<Services>,
    ids: web::Path<(RepositoryId, HostId)>,
    _form: SafeForm<Sure>,
) -> Result<HttpResponse, ApiError> {
    let (id, host) = ids.into_inner();
    repositories::remove_credential(&s, &who.actor, host, id).await?;
    Ok(go(&format!("/repositories/{id}/hosts?done=credential-removed")))
}
