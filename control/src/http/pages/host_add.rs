//! Add host: a form, then the install lines with a token that is shown once, and the wait for the agent. Paths given here travel with
//! the token and become a manual schedule when the host enrols.

use super::door::{LiveQuery, View};
use super::engine::Page;
use super::form::{FormErrors, chosen, commas, lines, typed, typed_secret};
use super::view::HostRow;
use crate::domain::fleet::HostState;
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::params::Site;
use crate::http::problem::ApiError;
use crate::service::enrollment::{self, NewToken, TokenInput};
use crate::service::{Services, hosts, jobs, repositories};
use crate::store::jobs::Filter;
use crate::words::Moment;
use crate::words::wrong;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A repository to choose from.
#[derive(Clone, Debug, Serialize)]
pub struct Choice {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub url: String,
}

/// All repositories, to choose from.
///
/// # Errors
/// When the database fails.
pub async fn choices(s: &Services) -> Result<Vec<Choice>, ApiError> {
    let listed = repositories::list(s, None, 1000).await?;
    let choice = |r: crate::domain::repository::Repository| Choice { id: r.id.to_string(), name: r.name, url: r.url };
    Ok(listed.items.into_iter().map(choice).collect())
}

/// The form, and what was typed into it.
#[derive(Debug, Default, Serialize)]
pub struct HostAddPage {
    /// What was typed.
    pub form: Typed,
    /// Repositories to choose from.
    pub repositories: Vec<Choice>,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for HostAddPage {
    const TEMPLATE: &'static str = "pages/host-add.html";
    const NAV: &'static str = "hosts";
}

/// What was typed, but for the password.
#[derive(Debug, Default, Serialize)]
pub struct Typed {
    /// The name.
    pub name: String,
    /// Paths, one on each line.
    pub paths: String,
    /// The repository.
    pub repository: String,
    /// The storage's user.
    pub rest_username: String,
    /// Labels.
    pub tags: String,
    /// Hours.
    pub valid: String,
}

/// The install lines.
#[derive(Debug, Serialize)]
pub struct HostAddedPage {
    /// The host to be.
    pub host_id: String,
    /// Its name.
    pub name: String,
    /// Whether the agent will name itself.
    pub unnamed: bool,
    /// What to run on Linux.
    pub linux: String,
    /// What to run on Windows.
    pub windows: String,
    /// Until when the token works.
    pub expires: Moment,
    /// The paths that become a schedule.
    pub paths: Vec<String>,
    /// Whether a repository was chosen.
    pub has_repository: bool,
    /// The wait for the agent.
    pub wait: EnrollLive,
}

impl Page for HostAddedPage {
    const TEMPLATE: &'static str = "pages/host-added.html";
    const NAV: &'static str = "hosts";
}

/// How far a new host is.
#[derive(Debug, Serialize)]
pub struct EnrollLive {
    /// The host.
    pub host: HostRow,
    /// Whether its agent has come.
    pub connected: bool,
    /// Whether it has run anything.
    pub ran: bool,
}

impl Page for EnrollLive {
    const TEMPLATE: &'static str = "fragments/enroll.html";
}

/// The add-host form.
#[derive(Debug, Deserialize)]
pub struct HostForm {
    name: String,
    #[serde(default)]
    paths: String,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    rest_username: String,
    #[serde(default)]
    rest_password: Secret,
    #[serde(default)]
    tags: String,
    #[serde(default)]
    valid: String,
}

impl HostForm {
    fn input(&self, wrong: &mut FormErrors) -> TokenInput {
        TokenInput {
            host_name: typed(&self.name),
            initial_paths: lines(&self.paths),
            tags: commas(&self.tags),
            repository_id: chosen(&self.repository, "repository", wrong),
            rest_username: typed(&self.rest_username),
            rest_password: typed_secret(&self.rest_password),
            valid_seconds: hours(&self.valid, wrong),
            ..TokenInput::default()
        }
    }

    fn typed(self) -> Typed {
        Typed {
            name: self.name,
            paths: self.paths,
            repository: self.repository,
            rest_username: self.rest_username,
            tags: self.tags,
            valid: self.valid,
        }
    }
}

fn hours(text: &str, wrong: &mut FormErrors) -> Option<u32> {
    let hours = super::form::number(text, "valid", wrong)?;
    if !(1..=720).contains(&hours) {
        wrong.add("valid", "1 to 720 hours");
    }
    hours.checked_mul(3600)
}

/// What the form's fields are called where services name them otherwise.
fn named(wrong: FormErrors) -> FormErrors {
    let name = |field: String| match field.as_str() {
        "host_name" => "name".to_owned(),
        "initial_paths" => "paths".to_owned(),
        "repository_id" => "repository".to_owned(),
        "valid_seconds" => "valid".to_owned(),
        _ => field,
    };
    FormErrors { fields: wrong.fields.into_iter().map(|(field, detail)| (name(field), detail)).collect(), ..wrong }
}

const FIELDS: [&str; 8] =
    ["host_name", "name", "initial_paths", "repository_id", "rest_username", "rest_password", "tags", "valid_seconds"];

/// A name from the address, for a new command for a host that still waits.
#[derive(Debug, Deserialize)]
pub struct Prefill {
    #[serde(default)]
    name: String,
}

/// The form.
#[get("/hosts/add")]
pub async fn blank(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    prefill: web::Query<Prefill>,
) -> Result<HttpResponse, ApiError> {
    let repositories = choices(&s).await?;
    let only = if let [only] = repositories.as_slice() { only.id.clone() } else { String::new() };
    let form = Typed { name: prefill.into_inner().name, repository: only, valid: "24".into(), ..Typed::default() };
    view.show(&who, &HostAddPage { form, repositories, errors: FormErrors::default() }).await
}

/// Makes the token and shows it, once.
#[post("/hosts/add")]
pub async fn add(
    who: Guarded<Operator>,
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    site: web::Data<Site>,
    form: SafeForm<HostForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    let mut errors = FormErrors::default();
    let input = form.input(&mut errors);
    if input.initial_paths.is_empty() {
        errors.add("paths", wrong::PATHS);
    }
    if errors.is_empty() {
        match enrollment::create_token(&s, &who.actor, input.clone(), &site.base_url(&req)).await {
            Ok(token) => return view.show(&who, &added(&s, &input, token).await?).await,
            Err(error) => errors = named(FormErrors::of(error, &FIELDS)?),
        }
    }
    let page = HostAddPage { form: form.typed(), repositories: choices(&s).await?, errors };
    view.again(&who, &page).await
}

async fn added(s: &Services, input: &TokenInput, token: NewToken) -> Result<HostAddedPage, ApiError> {
    Ok(HostAddedPage {
        host_id: token.host_id.to_string(),
        name: token.host_name,
        unnamed: input.host_name.is_none(),
        linux: token.install.linux,
        windows: token.install.windows,
        expires: Moment::new(token.expires_at, Timestamp::now()),
        paths: input.initial_paths.clone(),
        has_repository: input.repository_id.is_some(),
        wait: wait(s, token.host_id).await?,
    })
}

async fn wait(s: &Services, id: HostId) -> Result<EnrollLive, ApiError> {
    let host = hosts::get(s, id).await?;
    let filter = Filter { host: Some(id), ..Filter::default() };
    let ran = !jobs::list(s, filter, None, 1).await?.items.is_empty();
    let connected = host.state != HostState::Pending;
    Ok(EnrollLive { host: HostRow::new(&host, Timestamp::now()), connected, ran })
}

/// How far a new host is.
#[get("/ui/hosts/{id}/enroll")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    view.fragment(&who, &query.cursor, &format!("/hosts/{id}"), &wait(&s, *id).await?).await
}
