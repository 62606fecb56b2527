//! Repositories: the list, with how each is, and adding one. One repository by itself is in `repository`. Secrets go in and never come out.

use super::door::{LiveQuery, View, go};
use super::engine::Page;
use super::form::{FormErrors, typed, typed_secret};
use super::repository::lines::{RepositoryLine, lines, summary};
use crate::domain::repository::Repository;
use crate::http::guard::{Admin, Guarded, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::repositories::RepositoryInput;
use crate::service::{Services, repositories};
use crate::words::Moment;
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

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
    /// What they are in all: how many, how much is stored, how many are safe.
    pub summary: String,
    /// This page of them, the worst first.
    pub repositories: Vec<RepositoryLine>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Only those that hosts with this tag use.
    pub tag: String,
}

impl Page for RepositoriesPage {
    const TEMPLATE: &'static str = "pages/repositories.html";
    const NAV: &'static str = "repositories";
}

/// What changes of the first page of the list.
#[derive(Debug, Serialize)]
pub struct RepositoriesLive {
    /// Its repositories.
    pub repositories: Vec<RepositoryLine>,
}

impl Page for RepositoriesLive {
    const TEMPLATE: &'static str = "fragments/repositories.html";
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
    /// How large it may get.
    pub quota: String,
    /// Certificate authorities.
    pub ca: String,
}

impl Typed {
    /// The form of a repository as it is kept.
    #[must_use]
    pub fn of(repository: &Repository) -> Self {
        Self {
            name: repository.name.clone(),
            url: repository.url.clone(),
            init: repository.init_if_missing,
            quota: repository.quota_bytes.map(size_text).unwrap_or_default(),
            ca: repository.ca_pem.clone().unwrap_or_default(),
        }
    }
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

/// The repository form.
#[derive(Debug, Deserialize)]
pub struct RepositoryForm {
    name: String,
    url: String,
    #[serde(default)]
    password: Secret,
    #[serde(default)]
    init: Option<String>,
    #[serde(default)]
    quota: String,
    #[serde(default)]
    ca: String,
}

/// Where errors of services find their fields.
pub const FIELDS: [&str; 5] = ["name", "url", "password", "quota_bytes", "ca_pem"];

const SIZES: [(char, u32); 4] = [('K', 10), ('M', 20), ('G', 30), ('T', 40)];

/// A size such as `6T` in bytes.
fn size(text: &str) -> Option<u64> {
    let text = text.trim().trim_end_matches("iB").trim_end_matches('B').trim_end();
    let unit = SIZES.iter().find(|(letter, _)| text.to_ascii_uppercase().ends_with(*letter));
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic()).trim_end();
    let all = digits.len() + usize::from(unit.is_some());
    if digits.is_empty() || text.replace(' ', "").len() != all {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_shl(unit.map_or(0, |(_, bits)| *bits))
}

/// Bytes as the form takes them.
fn size_text(bytes: u64) -> String {
    let fits = |(_, bits): &&(char, u32)| bytes > 0 && bytes.trailing_zeros() >= *bits;
    SIZES.iter().rev().find(fits).map_or_else(|| bytes.to_string(), |(c, bits)| format!("{}{c}", bytes >> bits))
}

impl RepositoryForm {
    /// What the form asks for.
    pub fn input(&self, wrong: &mut FormErrors) -> RepositoryInput {
        let quota = typed(&self.quota);
        let quota_bytes = quota.as_deref().and_then(size);
        if quota.is_some() && quota_bytes.is_none() {
            wrong.add("quota", wrong::SIZE);
        }
        RepositoryInput {
            name: self.name.trim().to_owned(),
            url: self.url.trim().to_owned(),
            password: typed_secret(&self.password),
            init_if_missing: self.init.is_some(),
            quota_bytes,
            ca_pem: typed(&self.ca.replace("\r\n", "\n")),
        }
    }

    /// What is shown again of it.
    #[must_use]
    pub fn typed(self) -> Typed {
        Typed { name: self.name, url: self.url, init: self.init.is_some(), quota: self.quota, ca: self.ca }
    }
}

/// What the form's fields are called where services name them otherwise.
#[must_use]
pub fn named(wrong: FormErrors) -> FormErrors {
    let name = |field: String| match field.as_str() {
        "quota_bytes" => "quota".to_owned(),
        "ca_pem" => "ca".to_owned(),
        _ => field,
    };
    FormErrors { fields: wrong.fields.into_iter().map(|(field, detail)| (name(field), detail)).collect(), ..wrong }
}

/// What the list is narrowed to.
#[derive(Debug, Deserialize)]
pub struct Asked {
    #[serde(default)]
    tag: String,
    cursor: Option<String>,
}

/// All repositories.
#[get("/repositories")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let Asked { tag, cursor } = query.into_inner();
    let (later, tag) = (cursor.is_some(), tag.trim().to_owned());
    let (repositories, next) = lines(&s, &tag, cursor).await?;
    let summary = summary(&s, &tag).await?;
    view.show(&who, &RepositoriesPage { summary, repositories, next, later, tag }).await
}

/// What changed of the first page of the list.
#[get("/ui/repositories/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<LiveQuery>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let (repositories, _) = lines(&s, asked.tag.trim(), None).await?;
    view.fragment(&who, &query.cursor, "/repositories", &RepositoriesLive { repositories }).await
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
    let mut errors = FormErrors::default();
    let input = form.input(&mut errors);
    if errors.is_empty() {
        match repositories::add(&s, &who.actor, input).await {
            Ok(added) => return Ok(go(&format!("/repositories/{}/hosts?done=repository-added", added.id))),
            Err(error) => errors = named(FormErrors::of(error, &FIELDS)?),
        }
    }
    view.again(&who, &RepositoryAddPage { form: form.typed(), errors }).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_they_are_written() {
        for (text, bytes) in [
            ("6T", Some(6 << 40)),
            ("500 GiB", Some(500 << 30)),
            ("10m", Some(10 << 20)),
            ("123", Some(123)),
            ("a lot", None),
            ("6X", None),
            ("-1G", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
        for bytes in [6 << 40, 500 << 30, 1536 << 20, 1000] {
            assert_eq!(size(&size_text(bytes)), Some(bytes));
        }
    }
}
