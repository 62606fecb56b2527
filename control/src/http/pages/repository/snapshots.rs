//! The snapshots of a repository, page by page; vouching for those that no job of ours made; and where to go with some that were ticked.

use super::super::door::{View, address, go};
use super::super::engine::Page;
use super::super::hosts::{PAGE, SnapshotRow};
use super::super::names::Names;
use super::{Head, Opened};
use crate::domain::operation::JobKind;
use crate::http::guard::{Admin, Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::snapshots::{self, Filter};
use crate::service::{ActError, Services, changes, repositories};
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::RepositoryId;
use serde::{Deserialize, Serialize};

/// A repository's snapshots.
#[derive(Debug, Serialize)]
pub struct RepositorySnapshotsPage {
    /// The head.
    pub head: Head,
    /// This page of them, newest first.
    pub snapshots: Vec<Row>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// What the list is narrowed to.
    pub show: &'static str,
    /// How many nobody vouches for.
    pub unattested: u64,
    /// Where in the list this is, for the way back.
    pub cursor: String,
    /// Why nothing was done with those that were ticked.
    pub undone: &'static str,
}

impl Page for RepositorySnapshotsPage {
    const TEMPLATE: &'static str = "pages/repository-snapshots.html";
    const NAV: &'static str = "repositories";
}

/// A snapshot in the list.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The snapshot.
    pub snapshot: SnapshotRow,
    /// Its host's identity, if it is one of ours.
    pub host_id: Option<String>,
    /// Its host's name, or what restic calls it.
    pub host: String,
    /// The schedule that made it.
    pub schedule: Option<String>,
    /// A job of ours, or a person, vouches for it.
    pub attested: bool,
}

/// What the list is narrowed to.
#[derive(Debug, Deserialize)]
pub struct SnapshotsQuery {
    #[serde(default)]
    show: String,
    cursor: Option<String>,
    #[serde(default)]
    wrong: String,
}

fn narrowed(word: &str) -> (&'static str, Option<bool>) {
    match word {
        "unattested" => ("unattested", Some(false)),
        "attested" => ("attested", Some(true)),
        _ => ("", None),
    }
}

/// A repository's snapshots.
#[get("/repositories/{id}/snapshots")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<SnapshotsQuery>,
) -> Result<HttpResponse, ApiError> {
    let opened = Opened::of(&s, *id).await?;
    let SnapshotsQuery { show, cursor, wrong } = query.into_inner();
    let ((show, attested), later) = (narrowed(&show), cursor.is_some());
    let filter = Filter { repository: Some(*id), attested, ..Filter::default() };
    let listed = snapshots::list(&s, filter, cursor.clone(), PAGE).await?;
    let mut names = Names::default();
    names.learn_of_snapshots(&s, &listed.items).await?;
    let mut rows = vec![];
    for snapshot in &listed.items {
        let host = match snapshot.host_id {
            Some(host) => names.host(&s, host).await?,
            None => snapshot.hostname.clone(),
        };
        let schedule = match snapshot.schedule_id {
            Some(schedule) => names.schedule(&s, schedule).await?,
            None => None,
        };
        let host_id = snapshot.host_id.map(|id| id.to_string());
        let attested = snapshot.attested;
        rows.push(Row { snapshot: SnapshotRow::new(snapshot, opened.now), host_id, host, schedule, attested });
    }
    let unattested = opened.health.unattested;
    let head = opened.head("snapshots");
    let page = RepositorySnapshotsPage {
        head,
        snapshots: rows,
        next: listed.next,
        later,
        show,
        unattested,
        cursor: cursor.unwrap_or_default(),
        undone: match wrong.as_str() {
            "ticks" => wrong::TICK_SNAPSHOTS,
            "hosts" => wrong::TWO_HOSTS,
            "alone" => wrong::NO_EARLIER,
            _ => "",
        },
    };
    view.show(&who, &page).await
}

type Sent = Vec<(String, String)>;

/// Back to the list as it was, to say what is wrong with what was ticked.
fn back(id: RepositoryId, form: &Sent, wrong: &str) -> HttpResponse {
    let value = |name: &str| form.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default();
    let asked = [("show", value("show")), ("cursor", value("cursor")), ("wrong", wrong)];
    go(&address(&format!("/repositories/{id}/snapshots"), &asked))
}

/// Where to go with the snapshots that were ticked.
#[post("/repositories/{id}/snapshots")]
pub async fn pick(
    _: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<Sent>,
) -> Result<HttpResponse, ApiError> {
    let value = |name: &str| form.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).unwrap_or_default();
    let picked: Vec<&str> = form.0.iter().filter(|(n, _)| n == "id").map(|(_, v)| v.as_str()).collect();
    if picked.is_empty() {
        return Ok(back(*id, &form.0, "ticks"));
    }
    let kind: JobKind = value("kind").parse().map_err(|_| ActError::field("/kind", wrong::NO_OPERATION))?;
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    if kind == JobKind::Diff {
        // The list is newest first: the older is what is compared with. One alone is compared with the one before it.
        let (newer, older) = (picked[0], picked.last().copied().filter(|_| picked.len() > 1));
        match changes::pair(&s, *id, older, newer).await {
            Err(ActError::Invalid(_)) => {
                return Ok(back(*id, &form.0, if older.is_some() { "hosts" } else { "alone" }));
            }
            other => drop(other?),
        }
        if let Some(older) = older {
            query.append_pair("from", older);
        }
        query.append_pair("to", newer);
        return Ok(go(&format!("/repositories/{id}/changes?{}", query.finish())));
    }
    query.append_pair("kind", kind.as_str());
    match kind {
        JobKind::Ls => drop(query.append_pair("snapshot", picked[0])),
        _ => drop(query.append_pair("snapshots", &picked.join("\n"))),
    }
    Ok(go(&format!("/repositories/{id}/operations?{}", query.finish())))
}

/// Asks once before somebody vouches for snapshots.
#[derive(Debug, Serialize)]
pub struct VouchPage {
    /// The repository's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The snapshots' ids.
    pub ids: Vec<String>,
    /// The same with spaces between.
    pub sent: String,
}

impl Page for VouchPage {
    const TEMPLATE: &'static str = "pages/repository-vouch.html";
    const NAV: &'static str = "repositories";
}

/// Vouches for the snapshots that were ticked: first it is asked, then it is done.
#[post("/repositories/{id}/snapshots/vouch")]
pub async fn vouch(
    who: Guarded<Admin>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<Sent>,
) -> Result<HttpResponse, ApiError> {
    let given = form.0.iter().filter(|(n, _)| n == "id").flat_map(|(_, v)| v.split_whitespace());
    let ids: Vec<String> = given.map(ToOwned::to_owned).collect();
    if ids.is_empty() {
        return Ok(back(*id, &form.0, "ticks"));
    }
    if form.0.iter().any(|(n, _)| n == "sure") {
        snapshots::vouch(&s, &who.actor, *id, ids).await?;
        return Ok(go(&format!("/repositories/{id}/snapshots?done=vouched")));
    }
    let repository = repositories::get(&s, *id).await?;
    let page = VouchPage { id: id.to_string(), name: repository.name, sent: ids.join(" "), ids };
    view.show(&who, &page).await
}
