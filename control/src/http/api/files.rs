//! What is in snapshots, over the API: folders, names, versions of a file. A host looks, and the answer says which.

use super::Errors;
use crate::domain::snapshot::Snapshot;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::queries::{Among, Files, Looked, Patience};
use crate::service::{ActError, Services, queries};
use actix_web::{get, web};
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use restic_manager_shared::wire::operation::Entry;
use restic_manager_shared::wire::query::{Indexing, MAX_PAGE, QueryAsk, QueryPage};
use serde::{Deserialize, Serialize};

/// A page of files.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FileList {
    /// Files, folders and links.
    pub items: Vec<Entry>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
    /// How many there are on all pages, where that is known.
    pub total: Option<u64>,
    /// The snapshot is being read for the first time, and this is how far: there are no items yet. Ask again in a moment.
    pub indexing: Option<Indexing>,
    /// The host that looked.
    pub host_id: HostId,
}

impl FileList {
    fn of((host_id, files): (HostId, Files)) -> Self {
        let (page, indexing) = match files {
            Files::Page(page) => (page, None),
            Files::Indexing(far) => (QueryPage::default(), Some(far)),
        };
        Self { items: page.entries, next: page.next, total: page.total, indexing, host_id }
    }
}

/// How much, and from where on.
pub(super) fn limit(limit: Option<u32>) -> Result<u32, ActError> {
    match limit.unwrap_or(200) {
        limit @ 1..=MAX_PAGE => Ok(limit),
        _ => Err(ActError::field("/limit", format!("1 to {MAX_PAGE}"))),
    }
}

fn in_snapshot(snapshot: &Snapshot, by: Option<HostId>) -> Looked {
    Looked { repository: snapshot.repository_id, of: snapshot.of_host_id.or(snapshot.host_id), by }
}

/// A folder of a snapshot.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FolderQuery {
    /// The folder, absolute; `/` if left out.
    pub path: Option<String>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// The host that should look.
    pub host_id: Option<HostId>,
}

/// List a folder
///
/// Folders first, then by name. The first look into a snapshot reads it whole; until that is done the answer says how far it is.
#[utoipa::path(operation_id = "listFolder", tag = "snapshots", params(("id" = RepositoryId, Path), ("snapshot" = String, Path), FolderQuery), responses((status = 200, body = FileList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/snapshots/{snapshot}/files")]
pub async fn list_folder(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    path: web::Path<(RepositoryId, String)>,
    query: web::Query<FolderQuery>,
) -> Result<web::Json<FileList>, ApiError> {
    let (id, snapshot) = path.into_inner();
    let query = query.into_inner();
    let limit = limit(query.limit)?;
    let found = queries::snapshot(&s, id, &snapshot).await?;
    let path = query.path.unwrap_or_else(|| "/".to_owned());
    if !path.starts_with('/') {
        return Err(ActError::field("/path", "the folder as the snapshot has it, from / on").into());
    }
    let looked = in_snapshot(&found, query.host_id);
    let ask = QueryAsk::Folder { snapshot: found.id, path, after: query.cursor, limit };
    Ok(web::Json(FileList::of(queries::files(&s, looked, ask, Patience::Full).await?)))
}

/// What is looked for.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// A part of a name; with `*`, `?` or `[...]` a whole name; with a `/` a whole path. Needed.
    // Not by its type: who may ask is found out first.
    #[serde(default)]
    pub pattern: String,
    /// One snapshot; else the newest of the host or schedule, up to 500.
    pub snapshot: Option<String>,
    /// Those of a host.
    pub of_host_id: Option<HostId>,
    /// Those of a schedule.
    pub schedule_id: Option<ScheduleId>,
    /// Only below this folder.
    pub under: Option<String>,
    /// Capitals count.
    #[serde(default)]
    pub match_case: bool,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// The host that should look.
    pub host_id: Option<HostId>,
}

/// Search for files
///
/// In one snapshot, or in the newest of a host or schedule, the newest first.
#[utoipa::path(operation_id = "searchFiles", tag = "snapshots", params(("id" = RepositoryId, Path), SearchQuery), responses((status = 200, body = FileList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/files")]
pub async fn search_files(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<SearchQuery>,
) -> Result<web::Json<FileList>, ApiError> {
    let query = query.into_inner();
    let limit = limit(query.limit)?;
    if query.pattern.trim().is_empty() {
        return Err(ActError::field("/pattern", "what to look for").into());
    }
    let among = Among { host: query.of_host_id, schedule: query.schedule_id };
    let found = snapshots(&s, *id, query.snapshot.as_deref(), among).await?;
    let Some(first) = found.first() else { return Err(ActError::NotFound(crate::service::Noun::Snapshot).into()) };
    let looked = in_snapshot(first, query.host_id);
    let ask = QueryAsk::Search {
        snapshots: found.into_iter().map(|f| f.id).collect(),
        pattern: query.pattern,
        under: query.under.unwrap_or_else(|| "/".to_owned()),
        match_case: query.match_case,
        after: query.cursor,
        limit,
    };
    Ok(web::Json(FileList::of(queries::files(&s, looked, ask, Patience::Full).await?)))
}

async fn snapshots(
    s: &Services,
    repository: RepositoryId,
    one: Option<&str>,
    among: Among,
) -> Result<Vec<Snapshot>, ActError> {
    match one {
        Some(id) => Ok(vec![queries::snapshot(s, repository, id).await?]),
        None => queries::newest(s, repository, among).await,
    }
}

/// Of what.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct VersionsQuery {
    /// The path, absolute. Needed.
    #[serde(default)]
    pub path: String,
    /// In the snapshots of a host.
    pub of_host_id: Option<HostId>,
    /// In the snapshots of a schedule.
    pub schedule_id: Option<ScheduleId>,
    /// The host that should look.
    pub host_id: Option<HostId>,
}

/// List the versions of a file
///
/// An entry for each of the newest 500 snapshots that has it, the newest first.
#[utoipa::path(operation_id = "listVersions", tag = "snapshots", params(("id" = RepositoryId, Path), VersionsQuery), responses((status = 200, body = FileList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/versions")]
pub async fn list_versions(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<VersionsQuery>,
) -> Result<web::Json<FileList>, ApiError> {
    let query = query.into_inner();
    if !query.path.starts_with('/') {
        return Err(ActError::field("/path", "the path as the snapshot has it, from / on").into());
    }
    let among = Among { host: query.of_host_id, schedule: query.schedule_id };
    let found = queries::newest(&s, *id, among).await?;
    let Some(first) = found.first() else { return Err(ActError::NotFound(crate::service::Noun::Snapshot).into()) };
    let looked = in_snapshot(first, query.host_id);
    let ask = QueryAsk::Versions { snapshots: found.into_iter().map(|f| f.id).collect(), path: query.path };
    Ok(web::Json(FileList::of(queries::files(&s, looked, ask, Patience::Full).await?)))
}
