//! Operations: the whole table of what can be asked of restic, each with what it needs and a form for whoever may ask. What destroys is
//! asked about once more.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::FormErrors;
use super::super::host_add::{Choice, choices};
use super::super::host_choice;
use super::super::names::Names;
use super::ask::ask_page;
use super::fields::{Field, NAMES, Values, fields, task};
use super::{Head, Opened, Users};
use crate::domain::job::JobKind;
use crate::domain::operation::{Need, Operation, destruction, operations as table};
use crate::domain::permission::Role;
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::operations::{self, JobInput};
use crate::service::random::TokenHash;
use crate::service::{ActError, Services, repositories};
use crate::words::{operation as words, wrong};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::wire::job::Task;
use serde::{Deserialize, Serialize};

/// What can be asked of restic in a repository.
#[derive(Debug, Serialize)]
pub struct OperationsPage {
    /// The head.
    pub head: Head,
    /// The operations, in groups.
    pub groups: Vec<Group>,
    /// The hosts that may use the repository.
    pub users: Users,
    /// Other repositories.
    pub repositories: Vec<Choice>,
    /// What was typed.
    pub typed: Values,
    /// Which operation's form is open.
    pub open: String,
    /// What is wrong with it.
    pub errors: FormErrors,
}

impl Page for OperationsPage {
    const TEMPLATE: &'static str = "pages/repository-operations.html";
    const NAV: &'static str = "repositories";
}

/// Operations that belong together.
#[derive(Debug, Serialize)]
pub struct Group {
    /// What they have in common.
    pub title: &'static str,
    /// They.
    pub operations: Vec<Offered>,
}

/// An operation, and its form.
#[derive(Debug, Serialize)]
pub struct Offered {
    /// Its word.
    pub kind: &'static str,
    /// Its name.
    pub title: &'static str,
    /// What it does.
    pub does: &'static str,
    /// Who may ask.
    pub role: &'static str,
    /// Whether this person may.
    pub may: bool,
    /// Which credential it needs.
    pub need: &'static str,
    /// How it gets on with others.
    pub sharing: &'static str,
    /// Whether it takes something away for good.
    pub destroys: bool,
    /// The oldest restic that can do it.
    pub since: String,
    /// Its fields.
    pub fields: &'static [Field],
    /// Where it is asked for, if not here.
    pub elsewhere: Option<&'static str>,
    /// It works on a host and not on a repository, so the host must be named.
    pub of_host: bool,
}

/// The groups, in the order of the page.
const GROUPS: [&str; 4] = [words::LOOK, words::UPKEEP, words::CHANGE, words::KEYS];

const fn group(kind: JobKind) -> &'static str {
    match kind {
        JobKind::Snapshots | JobKind::Ls | JobKind::Find | JobKind::Stats | JobKind::Diff | JobKind::Locks => {
            words::LOOK
        }
        JobKind::Probe => words::LOOK,
        JobKind::Check | JobKind::Prune | JobKind::Unlock | JobKind::RepairIndex => words::UPKEEP,
        JobKind::RepairPacks | JobKind::RepairSnapshots => words::UPKEEP,
        JobKind::Backup | JobKind::Init | JobKind::Forget | JobKind::Copy | JobKind::Tag | JobKind::Rewrite => {
            words::CHANGE
        }
        JobKind::KeyList | JobKind::KeyAdd | JobKind::KeyRemove => words::KEYS,
        JobKind::CacheCleanup | JobKind::Version | JobKind::WriteAccount => words::KEYS,
        JobKind::Restore | JobKind::Archive | JobKind::Drill => words::LOOK,
    }
}

fn offered(operation: Operation, role: Role) -> Offered {
    Offered {
        kind: operation.kind.as_str(),
        title: operation.title,
        does: operation.does,
        role: operation.role.as_str(),
        may: role.covers(operation.role),
        need: words::need(operation.need),
        sharing: words::sharing(operation.sharing),
        destroys: operation.destroys,
        since: format!("{}.{}", operation.since.major, operation.since.minor),
        fields: fields(operation.kind).unwrap_or_default(),
        elsewhere: words::elsewhere(operation.kind),
        of_host: operation.need == Need::Nothing,
    }
}

async fn page(
    s: &Services,
    id: RepositoryId,
    role: Role,
    mut typed: Values,
    errors: FormErrors,
) -> Result<OperationsPage, ApiError> {
    let opened = Opened::of(s, id).await?;
    let groups = GROUPS.map(|title| Group {
        title,
        operations: table().filter(|o| group(o.kind) == title).map(|o| offered(o, role)).collect(),
    });
    let (users, mut names) = (Users::of(s, id).await?, Names::default());
    for field in ["host", "of"] {
        if let Some(value) = typed.get_mut(field) {
            *value = users.value(s, &mut names, value).await?;
        }
    }
    let mut repositories = choices(s).await?;
    repositories.retain(|r| r.id != id.to_string());
    Ok(OperationsPage {
        head: opened.head("operations"),
        groups: groups.into(),
        users,
        repositories,
        open: typed.get("kind").cloned().unwrap_or_default(),
        typed,
        errors,
    })
}

/// The operations; with `kind` and fields in the address one of the forms is filled in already.
#[get("/repositories/{id}/operations")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<Values>,
) -> Result<HttpResponse, ApiError> {
    let page = page(&s, *id, who.actor.role, query.into_inner(), FormErrors::default()).await?;
    view.show(&who, &page).await
}

/// A press is known by the newest job that the person saw, and by what it asks for.
fn key(press: &str, input: &JobInput) -> Result<String, ApiError> {
    let text = serde_json::to_string(&(&input.task, input.host_id, input.of_host_id))
        .map_err(|_| ActError::Internal("a task cannot be written"))?;
    Ok(format!("{press}-{}", &TokenHash::of(&text).as_str()[..16]))
}

async fn host(s: &Services, values: &Values, name: &str, wrong: &mut FormErrors) -> Result<Option<HostId>, ApiError> {
    host_choice::field(s, values.get(name).map(String::as_str).unwrap_or_default(), name, wrong).await
}

/// Asks for an operation. What destroys is asked about first.
#[post("/repositories/{id}/operations")]
pub async fn ask(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<Values>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(mut values) = form;
    values.remove("csrf");
    let mut errors = FormErrors::default();
    let kind = values.get("kind").and_then(|k| k.parse::<JobKind>().ok());
    let task = kind.and_then(|kind| task(kind, *id, &values, &mut errors));
    let host_id = host(&s, &values, "host", &mut errors).await?;
    let of_host_id = host(&s, &values, "of", &mut errors).await?;
    let press = values.get("key").cloned().unwrap_or_default();
    if let Some(task) = task.filter(|_| errors.is_empty()) {
        let input = JobInput { host_id, of_host_id, task, confirm: false };
        if may(&who, &input.task) && destruction(&input.task).is_some() && checked(&input.task, &mut errors)? {
            return view.show(&who, &ask_page(&s, *id, &input, press).await?).await;
        }
        if errors.is_empty() {
            let key = key(&press, &input)?;
            match operations::request(&s, &who.actor, input, Some(key)).await {
                Ok(queued) => return Ok(go(&format!("/jobs/{}", queued.job.id))),
                Err(error) => errors = FormErrors::of(error, &NAMES)?,
            }
        }
    } else if errors.is_empty() {
        return Err(ActError::field("/kind", wrong::NOT_ASKED_HERE).into());
    }
    view.again(&who, &page(&s, *id, who.actor.role, values, named(errors)).await?).await
}

fn may(who: &Guarded<Operator>, task: &Task) -> bool {
    who.actor.role.covers(JobKind::from(task).operation().role)
}

/// Whether the parameters are fine; a question about wrong ones would be wrong itself.
fn checked(task: &Task, errors: &mut FormErrors) -> Result<bool, ApiError> {
    let wrong = crate::domain::task_input::check_task(task);
    if wrong.is_empty() {
        return Ok(true);
    }
    *errors = FormErrors::of(ActError::Invalid(wrong), &NAMES)?;
    Ok(false)
}

/// What the form's fields are called where services name them otherwise.
fn named(wrong: FormErrors) -> FormErrors {
    let name = |field: String| match field.as_str() {
        "host_id" => "host".to_owned(),
        "of_host_id" => "of".to_owned(),
        "read_data" => "read".to_owned(),
        _ => field,
    };
    FormErrors { fields: wrong.fields.into_iter().map(|(field, detail)| (name(field), detail)).collect(), ..wrong }
}

/// What was asked about, and is meant.
#[derive(Debug, Deserialize)]
pub struct Confirmed {
    task: String,
    #[serde(default)]
    host: String,
    #[serde(default)]
    of: String,
    #[serde(default)]
    key: String,
}

/// Does what was asked about. All is checked anew: what comes back from a page is what anybody could send.
#[post("/repositories/{id}/operations/confirm")]
pub async fn confirm(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<Confirmed>,
) -> Result<HttpResponse, ApiError> {
    let SafeForm(form) = form;
    repositories::get(&s, *id).await?;
    let task: Task = serde_json::from_str(&form.task).map_err(|_| ActError::field("/task", wrong::UNREADABLE))?;
    if task.repository_id() != Some(*id) {
        return Err(ActError::field("/task", wrong::OTHER_REPOSITORY).into());
    }
    let mut wrong = FormErrors::default();
    let chosen = |text: &str, wrong: &mut FormErrors| super::super::form::chosen(text, "host", wrong);
    let (host_id, of_host_id) = (chosen(&form.host, &mut wrong), chosen(&form.of, &mut wrong));
    let input = JobInput { host_id, of_host_id, task, confirm: true };
    let key = key(&form.key, &input)?;
    let queued = operations::request(&s, &who.actor, input, Some(key)).await?;
    Ok(go(&format!("/jobs/{}", queued.job.id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_stands_in_one_group_and_has_a_form_or_says_where_to_go() {
        for operation in table() {
            assert!(GROUPS.contains(&group(operation.kind)), "{}", operation.kind);
            assert_ne!(
                fields(operation.kind).is_some(),
                words::elsewhere(operation.kind).is_some(),
                "{}",
                operation.kind
            );
        }
    }
}
