//! Finding a file without knowing its snapshot: by name in the newest snapshot of each schedule of a host, or in all of them; and all versions of
//! one file. Each can be had back from its row.

use super::super::door::{View, address};
use super::super::engine::Page;
use super::super::form::one_line;
use super::super::host_choice::{self, HostChoice};
use super::super::names::Names;
use super::super::paths::visible;
use crate::domain::snapshot::Snapshot;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::queries::{self, Among, Files, Looked, Patience};
use crate::service::snapshots::{self};
use crate::service::{ActError, Noun, Refusal, Services};
use crate::words::Moment;
use crate::words::{things, wrong};
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::Entry;
use restic_manager_shared::wire::query::QueryAsk;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Entries of a page.
const LIMIT: u32 = 200;

/// What was found.
#[derive(Debug, Serialize)]
pub struct RestoreFindPage {
    /// Which host.
    pub choice: HostChoice,
    /// That host's identity and name, once it is chosen.
    pub host: Option<(String, String)>,
    /// The repositories that hold snapshots of it: identity, name, and whether this is the one that is looked in.
    pub repositories: Vec<(String, String, bool)>,
    /// The one that is looked in.
    pub repository: String,
    /// What was looked for.
    pub find: String,
    /// In all snapshots, not only the newest ones.
    pub all: bool,
    /// For versions: the path.
    pub path: String,
    /// The same, to read.
    pub shown: String,
    /// What is there.
    pub entries: Vec<Found>,
    /// The next page's address.
    pub next: Option<String>,
    /// How many snapshots were looked in.
    pub searched: usize,
    /// Snapshots are being read for the first time: so many entries of this one so far, and so many snapshots left.
    pub indexing: Option<(u64, u32)>,
    /// Why nothing can be shown.
    pub trouble: String,
    /// The answer is awaited: where it is waited for without script.
    pub awaited: Option<String>,
}

impl Page for RestoreFindPage {
    const TEMPLATE: &'static str = "pages/restore-find.html";
    const NAV: &'static str = "restore";
}

/// A file in a snapshot.
#[derive(Debug, Serialize)]
pub struct Found {
    /// The whole path.
    pub path: String,
    /// The same, to read.
    pub name: String,
    /// A folder.
    pub folder: bool,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was last changed.
    pub changed: Option<Moment>,
    /// The snapshot.
    pub snapshot: String,
    /// Its first eight digits.
    pub short: String,
    /// When that was taken.
    pub taken: Option<Moment>,
    /// Of versions: whether it is the same as in the snapshot before, as far as size and time tell. None of the oldest.
    pub same: Option<bool>,
}

/// What is looked for.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    host: String,
    #[serde(default)]
    repository: String,
    #[serde(default)]
    find: String,
    #[serde(default)]
    all: String,
    #[serde(default)]
    path: String,
    #[serde(default)]
    cursor: String,
}

impl Wanted {
    fn url(&self, page: &str) -> String {
        let parts = [("host", &self.host), ("repository", &self.repository), ("find", &self.find), ("all", &self.all)];
        let parts = parts.into_iter().chain([("path", &self.path), ("cursor", &self.cursor)]);
        address(page, &parts.map(|(name, value)| (name, value.as_str())).collect::<Vec<_>>())
    }
}

/// Looks for names.
#[get("/restore/find")]
pub async fn search(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let wanted = query.into_inner();
    let all = !wanted.all.is_empty();
    let (page, snapshots) = begin(&s, &wanted, all).await?;
    if wanted.find.trim().is_empty() || snapshots.is_empty() {
        return view.show(&who, &page).await;
    }
    let ask = QueryAsk::Search {
        snapshots: snapshots.iter().map(|f| f.id.clone()).collect(),
        pattern: wanted.find.trim().to_owned(),
        under: "/".to_owned(),
        match_case: false,
        after: Some(wanted.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        limit: LIMIT,
    };
    let next = |next| Wanted { cursor: next, ..wanted.clone() }.url("/restore/find");
    let page = look(&s, &view, page, &snapshots, ask, next).await?;
    view.show(&who, &page).await
}

/// All versions of a file.
#[get("/restore/versions")]
pub async fn versions(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let wanted = query.into_inner();
    if !wanted.path.starts_with('/') {
        return Err(ActError::field("/path", wrong::PATH).into());
    }
    let (page, snapshots) = begin(&s, &wanted, true).await?;
    if snapshots.is_empty() {
        return Err(ActError::NotFound(Noun::Snapshot).into());
    }
    let ids = snapshots.iter().map(|f| f.id.clone()).collect();
    let ask = QueryAsk::Versions { snapshots: ids, path: wanted.path.clone() };
    let page = look(&s, &view, page, &snapshots, ask, |_| String::new()).await?;
    view.show(&who, &RestoreFindPage { entries: marked(page.entries), next: None, ..page }).await
}

/// The page without what was found, and the snapshots to look in.
async fn begin(s: &Services, wanted: &Wanted, all: bool) -> Result<(RestoreFindPage, Vec<Snapshot>), ApiError> {
    let (host, trouble) = match host_choice::read(s, &wanted.host).await {
        Ok(host) => (host, String::new()),
        Err(error @ ActError::Invalid(_)) => (None, one_line(&error)),
        Err(error) => return Err(error.into()),
    };
    let repositories = match &host {
        Some(host) => holding(s, host.id).await?,
        None => vec![],
    };
    let chosen = wanted.repository.parse::<RepositoryId>().ok().filter(|id| repositories.iter().any(|r| r.0 == *id));
    let chosen = chosen.or(repositories.first().map(|r| r.0));
    let snapshots = match (&host, chosen) {
        (Some(host), Some(repository)) => {
            let among = Among { host: Some(host.id), schedule: None };
            let found = queries::newest(s, repository, among).await?;
            if all { found } else { newest_of_each(found) }
        }
        _ => vec![],
    };
    let page = RestoreFindPage {
        choice: HostChoice::of(s, &wanted.host).await?,
        host: host.map(|host| (host.id.to_string(), host.name)),
        repositories: repositories.into_iter().map(|(id, name)| (id.to_string(), name, Some(id) == chosen)).collect(),
        repository: chosen.map(|id| id.to_string()).unwrap_or_default(),
        find: wanted.find.clone(),
        all,
        shown: visible(&wanted.path),
        path: wanted.path.clone(),
        entries: vec![],
        next: None,
        searched: snapshots.len(),
        indexing: None,
        trouble,
        awaited: None,
    };
    Ok((page, snapshots))
}

/// The repositories that hold snapshots of a host, the one with the newest first.
async fn holding(s: &Services, host: HostId) -> Result<Vec<(RepositoryId, String)>, ApiError> {
    let mut names = Names::default();
    let mut found = vec![];
    for repository in snapshots::repositories_of_host(s, host).await? {
        let name = names.repository(s, repository).await?.unwrap_or_else(|| things::REPOSITORY.into());
        found.push((repository, name));
    }
    Ok(found)
}

/// The newest of each schedule, of those that no schedule made the newest, too.
fn newest_of_each(snapshots: Vec<Snapshot>) -> Vec<Snapshot> {
    let mut seen: HashSet<Option<ScheduleId>> = HashSet::new();
    snapshots.into_iter().filter(|snapshot| seen.insert(snapshot.schedule_id)).collect()
}

async fn look(
    s: &Services,
    view: &View,
    page: RestoreFindPage,
    snapshots: &[Snapshot],
    ask: QueryAsk,
    next: impl Fn(String) -> String,
) -> Result<RestoreFindPage, ApiError> {
    let Some(first) = snapshots.first() else { return Ok(page) };
    let now = Timestamp::now();
    let looked = Looked { repository: first.repository_id, of: first.of_host_id.or(first.host_id), by: None };
    let taken: HashMap<&str, Timestamp> = snapshots.iter().map(|f| (f.id.as_str(), f.time)).collect();
    let row = |entry: Entry| {
        let snapshot = entry.snapshot.unwrap_or_default();
        Found {
            name: visible(&entry.path),
            folder: entry.kind == "dir",
            size: entry.size,
            changed: entry.mtime.map(|at| Moment::new(at, now)),
            short: snapshot.chars().take(8).collect(),
            taken: taken.get(snapshot.as_str()).map(|at| Moment::new(*at, now)),
            same: None,
            path: entry.path,
            snapshot,
        }
    };
    Ok(match queries::files(s, looked, ask, view.patience()).await {
        Ok((_, Files::Page(found))) => RestoreFindPage {
            entries: found.entries.into_iter().map(row).collect(),
            next: found.next.map(next),
            ..page
        },
        Ok((_, Files::Indexing(far))) => RestoreFindPage { indexing: Some((far.entries, far.snapshots_left)), ..page },
        Err(ActError::Refused(Refusal::NoAnswer)) if view.patience() == Patience::Glance => {
            RestoreFindPage { awaited: Some(view.awaited()), ..page }
        }
        Err(ActError::Refused(refusal)) if refusal.is_of_looking() => {
            RestoreFindPage { trouble: one_line(&ActError::Refused(refusal)), ..page }
        }
        Err(error) => return Err(error.into()),
    })
}

/// Marks what is the same as in the next older snapshot of the list.
fn marked(mut entries: Vec<Found>) -> Vec<Found> {
    let what = |f: &Found| (f.size, f.changed.as_ref().map(|at| at.iso.clone()));
    for n in 1..entries.len() {
        entries[n - 1].same = Some(what(&entries[n - 1]) == what(&entries[n]));
    }
    entries
}
