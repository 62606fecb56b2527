//! The second step: which files. A tree that opens in place, or a folder at a time without script, or what a search finds; what is ticked is kept
//! with each press of a button, so moving about loses nothing. A page comes at once: what its host has not answered yet is asked for once more.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::one_line;
use super::super::names::Names;
use super::super::paths::{above, folder_of, last, visible};
use super::{Head, there};
use crate::domain::restore::{Draft, Ticked, first_folder};
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::queries::{self, Files, Looked, Patience};
use crate::service::restores::Opened;
use crate::service::{ActError, Refusal, Services, restores};
use crate::words::Moment;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::RestoreId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::Entry;
use restic_manager_shared::wire::query::{QueryAsk, QueryPage};
use serde::{Deserialize, Serialize};

/// Entries of a page.
const LIMIT: u32 = 200;

/// A folder of the snapshot, or what was found.
#[derive(Debug, Serialize)]
pub struct RestoreFilesPage {
    /// The head.
    pub head: Head,
    /// The folder.
    pub path: String,
    /// The folders above it: path and name.
    pub above: Vec<(String, String)>,
    /// What was searched for.
    pub find: String,
    /// What is there.
    pub entries: Vec<Row>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// Where this one began.
    pub cursor: String,
    /// How many there are, where that is known.
    pub total: Option<u64>,
    /// The snapshot is being read for the first time: so many entries so far.
    pub indexing: Option<u64>,
    /// Why nothing can be shown.
    pub trouble: String,
    /// The answer is awaited: where it is waited for without script.
    pub awaited: Option<String>,
}

impl Page for RestoreFilesPage {
    const TEMPLATE: &'static str = "pages/restore-files.html";
    const NAV: &'static str = "restore";
}

/// The lines of a folder that is opened in place.
#[derive(Debug, Serialize)]
pub struct RestoreFolder {
    /// What is there.
    pub entries: Vec<Row>,
    /// Nothing was searched for: names stand without their folders.
    pub find: String,
    /// Where it goes on.
    pub next: Option<String>,
    /// The snapshot is being read for the first time: so many entries so far.
    pub indexing: Option<u64>,
    /// Why nothing can be shown.
    pub trouble: String,
}

impl Page for RestoreFolder {
    const TEMPLATE: &'static str = "fragments/restore-folder.html";
}

/// An entry.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The whole path.
    pub path: String,
    /// What to call it: its name, or its path among what was found. Characters that would disturb the page are made visible.
    pub name: String,
    /// Whether it can be opened.
    pub folder: bool,
    /// What it is, if neither file nor folder.
    pub kind: String,
    /// Bytes.
    pub size: Option<u64>,
    /// When it was last changed.
    pub at: Option<Moment>,
    /// Its rights.
    pub permissions: String,
    /// It is ticked.
    pub ticked: bool,
    /// A folder above it is ticked: it comes along.
    pub along: bool,
    /// Something below it is ticked.
    pub partly: bool,
}

impl Row {
    fn new(entry: Entry, draft: &Draft, found: bool, now: Timestamp) -> Self {
        let ticked = draft.ticked(&entry.path);
        let name = if found { entry.path.as_str() } else { last(&entry.path) };
        let folder = entry.kind == "dir";
        Self {
            name: visible(name),
            folder,
            kind: if folder || entry.kind == "file" { String::new() } else { entry.kind },
            size: entry.size,
            at: entry.mtime.map(|at| Moment::new(at, now)),
            permissions: entry.permissions,
            ticked: ticked == Ticked::Yes,
            along: ticked == Ticked::Above,
            partly: ticked == Ticked::Below,
            path: entry.path,
        }
    }
}

/// Where in the snapshot.
#[derive(Debug, Default, Deserialize)]
pub struct Where {
    #[serde(default)]
    path: String,
    #[serde(default)]
    find: String,
    #[serde(default)]
    cursor: String,
}

/// Shows a folder, or what a search finds.
#[get("/restore/{id}/files")]
pub async fn show(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
    query: web::Query<Where>,
) -> Result<HttpResponse, ApiError> {
    let opened = restores::get(&s, &who.actor, *id).await?;
    let page = page(&s, &view, &opened, query.into_inner()).await?;
    view.show(&who, &page).await
}

/// A folder's lines, for the tree that opens in place.
#[get("/ui/restore/{id}/folder")]
pub async fn lines(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
    query: web::Query<Where>,
) -> Result<HttpResponse, ApiError> {
    let opened = restores::get(&s, &who.actor, *id).await?;
    let looked = look(&s, &opened, (&query.path, "", &query.cursor), Patience::Full).await?;
    let mut piece =
        RestoreFolder { entries: vec![], find: String::new(), next: None, indexing: None, trouble: String::new() };
    match looked {
        Seen::Page(page) => {
            let now = Timestamp::now();
            let row = |entry| Row::new(entry, &opened.restore.draft, false, now);
            (piece.entries, piece.next) = (page.entries.into_iter().map(row).collect(), page.next);
        }
        Seen::Indexing(entries) => piece.indexing = Some(entries),
        Seen::Awaited => piece.trouble = one_line(&Refusal::NoAnswer.into()),
        Seen::Trouble(refusal) => piece.trouble = one_line(&ActError::Refused(refusal)),
    }
    view.piece(&who, &piece).await
}

/// What came of looking.
enum Seen {
    Page(QueryPage),
    Indexing(u64),
    Awaited,
    Trouble(Refusal),
}

async fn look(s: &Services, opened: &Opened, at: (&str, &str, &str), patience: Patience) -> Result<Seen, ApiError> {
    let (path, find, cursor) = at;
    let (looked, ask) = asked(opened, path, find, cursor)?;
    Ok(match queries::files(s, looked, ask, patience).await {
        Ok((_, Files::Page(page))) => Seen::Page(page),
        Ok((_, Files::Indexing(far))) => Seen::Indexing(far.entries),
        Err(ActError::Refused(Refusal::NoAnswer)) if patience == Patience::Glance => Seen::Awaited,
        Err(ActError::Refused(refusal)) if refusal.is_of_looking() => Seen::Trouble(refusal),
        Err(error) => return Err(error.into()),
    })
}

async fn page(s: &Services, view: &View, opened: &Opened, at: Where) -> Result<RestoreFilesPage, ApiError> {
    let head = Head::of(s, opened, 2, &mut Names::default()).await?;
    let (find, patience, now) = (at.find.trim().to_owned(), view.patience(), Timestamp::now());
    let named = at.path.starts_with('/');
    let mut path = if named { at.path } else { first_folder(&there(opened)?.paths) };
    let mut seen = look(s, opened, (&path, &find, &at.cursor), patience).await?;
    if !named && matches!(seen, Seen::Trouble(Refusal::LookFailed(_))) {
        // A file was backed up by itself: it is seen in its folder.
        path = folder_of(&path).to_owned();
        seen = look(s, opened, (&path, &find, &at.cursor), patience).await?;
    }
    let page = RestoreFilesPage {
        head,
        above: above(&path),
        path,
        entries: vec![],
        next: None,
        cursor: at.cursor,
        total: None,
        indexing: None,
        trouble: String::new(),
        awaited: None,
        find,
    };
    Ok(match seen {
        Seen::Page(found) => {
            let row = |entry| Row::new(entry, &opened.restore.draft, !page.find.is_empty(), now);
            let entries = found.entries.into_iter().map(row).collect();
            RestoreFilesPage { entries, next: found.next, total: found.total, ..page }
        }
        Seen::Indexing(entries) => RestoreFilesPage { indexing: Some(entries), ..page },
        Seen::Awaited => RestoreFilesPage { awaited: Some(view.awaited()), ..page },
        Seen::Trouble(refusal) => RestoreFilesPage { trouble: one_line(&ActError::Refused(refusal)), ..page },
    })
}

fn asked(opened: &Opened, path: &str, find: &str, cursor: &str) -> Result<(Looked, QueryAsk), ApiError> {
    let snapshot = there(opened)?;
    let after = (!cursor.is_empty()).then(|| cursor.to_owned());
    let ask = if find.is_empty() {
        QueryAsk::Folder { snapshot: snapshot.id.clone(), path: path.to_owned(), after, limit: LIMIT }
    } else {
        QueryAsk::Search {
            snapshots: vec![snapshot.id.clone()],
            pattern: find.to_owned(),
            under: path.to_owned(),
            match_case: false,
            after,
            limit: LIMIT,
        }
    };
    let of = snapshot.of_host_id.or(snapshot.host_id);
    Ok((Looked { repository: snapshot.repository_id, of, by: None }, ask))
}

/// Keeps what is ticked, and goes where the button says.
#[post("/restore/{id}/files")]
pub async fn tick(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
    form: SafeForm<Vec<(String, String)>>,
) -> Result<HttpResponse, ApiError> {
    let all = |name: &str| form.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect::<Vec<_>>();
    let one = |name: &str| form.0.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v.clone());
    let (mut shown, mut ticked) = (all("shown"), all("tick"));
    if let Some(path) = one("untick") {
        // It may be on this very page, and ticked there.
        ticked.retain(|t| *t != path);
        shown.push(path);
    }
    restores::tick(&s, &who.actor, *id, shown, ticked).await?;
    let here = |name: &str| one(name).unwrap_or_default();
    let to = match (one("open"), one("search"), one("more"), one("go")) {
        (_, _, _, Some(_)) => return Ok(go(&format!("/restore/{id}/target"))),
        (Some(folder), ..) => [("path", folder), ("find", String::new()), ("cursor", String::new())],
        (None, Some(_), ..) => [("path", here("path")), ("find", here("find")), ("cursor", String::new())],
        (None, None, Some(next), _) => [("path", here("path")), ("find", here("find")), ("cursor", next)],
        (None, None, None, None) => [("path", here("path")), ("find", here("find")), ("cursor", here("cursor"))],
    };
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in to.iter().filter(|(_, v)| !v.is_empty()) {
        query.append_pair(name, value);
    }
    Ok(go(&format!("/restore/{id}/files?{}", query.finish())))
}
