//! The first step: which snapshot. Beside it what somebody has left half-way.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::hosts::{PAGE, SnapshotRow};
use super::super::names::Names;
use super::super::words::Moment;
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::snapshots::{self, Filter};
use crate::service::{ActError, Services, restores};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, RepositoryId, RestoreId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Which snapshot.
#[derive(Debug, Serialize)]
pub struct RestoreStartPage {
    /// Hosts to choose from.
    pub hosts: Vec<(String, String)>,
    /// The host that is chosen.
    pub host: String,
    /// Its snapshots, or those of all, newest first.
    pub snapshots: Vec<Pick>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// What was left half-way.
    pub unfinished: Vec<Left>,
}

impl Page for RestoreStartPage {
    const TEMPLATE: &'static str = "pages/restore-start.html";
    const NAV: &'static str = "restore";
}

/// A snapshot to choose.
#[derive(Debug, Serialize)]
pub struct Pick {
    /// The snapshot.
    pub snapshot: SnapshotRow,
    /// The repository that holds it.
    pub repository: String,
    /// That repository's name.
    pub repository_name: String,
    /// Whose files they are.
    pub host: String,
}

/// A restore that was left half-way.
#[derive(Debug, Serialize)]
pub struct Left {
    /// Its identity.
    pub id: String,
    /// The snapshot's first eight digits.
    pub short: String,
    /// How much is ticked.
    pub ticked: usize,
    /// When it was last touched.
    pub at: Moment,
}

/// Of which host.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    host: String,
    cursor: Option<String>,
}

/// Shows snapshots to choose from.
#[get("/restore")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let Wanted { host, cursor } = query.into_inner();
    let (now, later) = (Timestamp::now(), cursor.is_some());
    let filter = Filter { host: host.parse::<HostId>().ok(), ..Filter::default() };
    let listed = snapshots::list(&s, filter, cursor, PAGE).await?;
    let mut names = Names::default();
    let mut picks = vec![];
    for snapshot in &listed.items {
        let from = match snapshot.host_id {
            Some(host) => names.host(&s, host).await?,
            None => snapshot.hostname.clone(),
        };
        picks.push(Pick {
            snapshot: SnapshotRow::new(snapshot, now),
            repository: snapshot.repository_id.to_string(),
            repository_name: names.repository(&s, snapshot.repository_id).await?.unwrap_or_default(),
            host: from,
        });
    }
    let hosts = restores::goals(&s).await?.into_iter().map(|g| (g.id.to_string(), g.name)).collect();
    let left = restores::unfinished(&s, &who.actor).await?;
    let unfinished = left
        .iter()
        .map(|r| Left {
            id: r.id.to_string(),
            short: r.snapshot_id.chars().take(8).collect(),
            ticked: r.draft.paths.len(),
            at: Moment::new(r.updated_at, now),
        })
        .collect();
    let page = RestoreStartPage { hosts, host, snapshots: picks, next: listed.next, later, unfinished };
    view.show(&who, &page).await
}

/// The snapshot that was chosen: repository and id.
#[derive(Debug, Deserialize)]
pub struct PickForm {
    #[serde(default)]
    pick: String,
}

/// Begins with a snapshot.
#[post("/restore")]
pub async fn begin(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    form: SafeForm<PickForm>,
) -> Result<HttpResponse, ApiError> {
    let picked = form.0.pick.split_once(' ').and_then(|(r, id)| Some((r.parse::<RepositoryId>().ok()?, id.to_owned())));
    let (repository, snapshot) = picked.ok_or_else(|| ActError::field("/pick", "choose a snapshot"))?;
    let id = restores::begin(&s, &who.actor, repository, snapshot).await?;
    Ok(go(&format!("/restore/{id}/files")))
}

/// Nothing but the token.
#[derive(Debug, Deserialize)]
pub struct LeaveForm {}

/// Leaves a restore for good.
#[post("/restore/{id}/leave")]
pub async fn leave(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
    _form: SafeForm<LeaveForm>,
) -> Result<HttpResponse, ApiError> {
    restores::leave(&s, &who.actor, *id).await?;
    Ok(go("/restore"))
}
