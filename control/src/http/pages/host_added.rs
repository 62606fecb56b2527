//! A host to be: what to run on its machine, the wait for its agent, and a new command in place of one that was lost. The page can be loaded
//! again; it makes nothing.

use super::door::{LiveQuery, View, go};
use super::engine::Page;
use super::programs::{Program, programs};
use super::view::HostRow;
use crate::domain::fleet::HostState;
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::params::Site;
use crate::http::problem::ApiError;
use crate::service::installs::{self, Command};
use crate::service::{Services, hosts, jobs};
use crate::store::jobs::Filter;
use crate::words::Moment;
use actix_web::{HttpRequest, HttpResponse, get, post, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What to run on a machine.
#[derive(Debug, Serialize)]
pub struct HostAddedPage {
    /// How far it is.
    pub wait: EnrollLive,
    /// What to run on Linux; empty if the token is not kept here.
    pub linux: String,
    /// What to run on Windows.
    pub windows: String,
    /// The agent's program, to download.
    pub programs: Vec<Program>,
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
    /// Whether its agent names it.
    pub unnamed: bool,
    /// Whether the token still works.
    pub lives: bool,
    /// Until when it does.
    pub expires: Option<Moment>,
    /// The paths that become a schedule.
    pub paths: Vec<String>,
    /// The repository that was chosen.
    pub repository: String,
}

impl Page for EnrollLive {
    const TEMPLATE: &'static str = "fragments/enroll.html";
}

/// Asks before a new command takes the place of the last one.
#[derive(Debug, Serialize)]
pub struct HostInstallPage {
    /// The host.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// The token that is void then.
    pub token: String,
    /// Whether that one still works.
    pub lives: bool,
    /// The paths that become a schedule.
    pub paths: Vec<String>,
    /// The repository that was chosen.
    pub repository: String,
    /// Its user at the storage.
    pub rest_username: String,
}

impl Page for HostInstallPage {
    const TEMPLATE: &'static str = "pages/host-install.html";
    const NAV: &'static str = "hosts";
}

/// How far a host is, given what it was given.
///
/// # Errors
/// When there is no such host.
pub async fn wait(s: &Services, id: HostId, given: Option<&Command>) -> Result<EnrollLive, ApiError> {
    let (host, now) = (hosts::get(s, id).await?, Timestamp::now());
    let filter = Filter { host: Some(id), ..Filter::default() };
    Ok(EnrollLive {
        connected: host.state != HostState::Pending,
        ran: !jobs::list(s, filter, None, 1).await?.items.is_empty(),
        host: HostRow::new(&host, now),
        unnamed: given.is_some_and(|g| !g.named),
        lives: given.is_some_and(|g| g.lives),
        expires: given.map(|g| Moment::new(g.expires_at, now)),
        paths: given.map(|g| g.paths.clone()).unwrap_or_default(),
        repository: given.and_then(|g| g.repository.clone()).map(|(_, name)| name).unwrap_or_default(),
    })
}

/// What to run on a host's machine, for who made it; then that its agent has come.
#[get("/hosts/{id}/added")]
pub async fn show(
    who: Guarded<Operator>,
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    site: web::Data<Site>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    let given = installs::of_host(&s, &who.actor, *id, &site.base_url(&req)).await?;
    let wait = wait(&s, *id, given.as_ref()).await?;
    let install = given.and_then(|g| g.install).filter(|_| !wait.connected);
    let (linux, windows) = install.map(|i| (i.linux, i.windows)).unwrap_or_default();
    view.show(&who, &HostAddedPage { wait, linux, windows, programs: programs(&s).await? }).await
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
    let given = installs::of_host(&s, &who.actor, *id, "").await?;
    view.fragment(&who, &query.cursor, &format!("/hosts/{id}"), &wait(&s, *id, given.as_ref()).await?).await
}

/// Asks before a host gets a new command; one that has its agent needs none.
#[get("/hosts/{id}/install")]
pub async fn ask(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    let host = hosts::get(&s, *id).await?;
    let given = installs::of_host(&s, &who.actor, *id, "").await?;
    let Some(given) = given.filter(|_| host.state == HostState::Pending) else {
        return Ok(go(&format!("/hosts/{id}")));
    };
    let page = HostInstallPage {
        id: id.to_string(),
        name: host.name,
        tags: host.tags,
        token: given.token.to_string(),
        lives: given.lives,
        paths: given.paths,
        repository: given.repository.map(|(_, name)| name).unwrap_or_default(),
        rest_username: given.rest_username.unwrap_or_default(),
    };
    view.show(&who, &page).await
}

/// Which command is to be replaced.
#[derive(Debug, Deserialize)]
pub struct Replaced {
    #[serde(default)]
    token: String,
}

/// Makes a host a new command of what it was given with the last one. Pressed twice it makes one.
#[post("/hosts/{id}/install")]
pub async fn renew(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    form: SafeForm<Replaced>,
) -> Result<HttpResponse, ApiError> {
    installs::renew(&s, &who.actor, *id, form.0.token.parse().ok()).await?;
    Ok(go(&format!("/hosts/{id}/added")))
}
