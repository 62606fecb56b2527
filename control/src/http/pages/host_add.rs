//! Add host: the form. Paths given here travel with the token and become a manual schedule when the host enrols. The page that shows what to
//! run is `host_added`.

use super::door::{View, go};
use super::engine::Page;
use super::form::{FormErrors, chosen, commas, lines, typed, typed_secret};
use super::programs::{Program, programs};
use crate::domain::fleet::HostState;
use crate::domain::permission::Actor;
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::enrollment::TokenInput;
use crate::service::random::{bytes, hex};
use crate::service::{Services, hosts, installs, repositories};
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::secret::Secret;
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
    /// The agent's program, to download.
    pub programs: Vec<Program>,
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
    /// Tells one form from another: sent twice it is one host.
    pub key: String,
    /// Whether what is folded away has to be looked at.
    pub open: bool,
}

impl Typed {
    /// An empty form. The only repository that there is is chosen already.
    #[must_use]
    pub fn blank(repositories: &[Choice]) -> Self {
        let only = if let [only] = repositories { only.id.clone() } else { String::new() };
        let open = repositories.len() > 1;
        Self { repository: only, valid: "24".into(), key: hex(&bytes::<8>()), open, ..Self::default() }
    }
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
    #[serde(default)]
    key: String,
}

/// Fields that are folded away.
const FOLDED: [&str; 5] = ["repository", "rest_username", "rest_password", "tags", "valid"];

impl HostForm {
    /// All that was sent, to know the same form again; none if it says nothing that tells it from others.
    fn whole(&self) -> String {
        let password = self.rest_password.reveal();
        let key = if self.key.is_empty() { hex(&bytes::<8>()) } else { self.key.clone() };
        [&key, &self.name, &self.paths, &self.repository, &self.rest_username, password, &self.tags, &self.valid]
            .join("\0")
    }

    /// Makes the host to be; else what is wrong with the form.
    ///
    /// # Errors
    /// What is not about the form.
    pub async fn make(&self, s: &Services, actor: &Actor) -> Result<Result<HostId, FormErrors>, ApiError> {
        let mut errors = FormErrors::default();
        let input = self.input(&mut errors);
        if input.initial_paths.is_empty() {
            errors.add("paths", wrong::PATHS);
        }
        if !errors.is_empty() {
            return Ok(Err(errors));
        }
        match installs::make(s, actor, input, &self.whole()).await {
            Ok(host) => Ok(Ok(host)),
            Err(error) => Ok(Err(named(FormErrors::of(error, &FIELDS)?))),
        }
    }

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

    /// What is shown again of it.
    #[must_use]
    pub fn typed(self, errors: &FormErrors) -> Typed {
        Typed {
            open: self.repository.is_empty() || FOLDED.iter().any(|field| errors.fields.contains_key(*field)),
            key: self.key,
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

/// A name from the address.
#[derive(Debug, Deserialize)]
pub struct Prefill {
    #[serde(default)]
    name: String,
}

/// The form; for a host that waits already, what makes it a new command.
#[get("/hosts/add")]
pub async fn blank(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    prefill: web::Query<Prefill>,
) -> Result<HttpResponse, ApiError> {
    let name = prefill.into_inner().name;
    if !name.is_empty()
        && let Some(host) = hosts::by_name(&s, &name).await?.filter(|host| host.state == HostState::Pending)
    {
        return Ok(go(&format!("/hosts/{}/install", host.id)));
    }
    let repositories = choices(&s).await?;
    let form = Typed { name, ..Typed::blank(&repositories) };
    view.show(&who, &HostAddPage { form, repositories, programs: programs(&s).await?, errors: FormErrors::default() })
        .await
}

/// Makes a host to be, and goes to the page that shows its command.
#[post("/hosts/add")]
pub async fn add(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<HostForm>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    match form.make(&s, &who.actor).await? {
        Ok(host) => Ok(go(&format!("/hosts/{host}/added"))),
        Err(errors) => {
            let (repositories, programs) = (choices(&s).await?, programs(&s).await?);
            let page = HostAddPage { form: form.typed(&errors), repositories, programs, errors };
            view.again(&who, &page).await
        }
    }
}
