//! What differs between two snapshots, over the API: page by page, or all of it as a file.

use super::Errors;
use crate::http::csv::{Csv, KIND, attachment};
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::changes::{self, Asked, Pair, Told};
use crate::service::queries::Patience;
use crate::service::{ActError, Refusal, Services};
use actix_web::web::Bytes;
use actix_web::{HttpResponse, get, web};
use futures_util::stream::try_unfold;
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::wire::changes::{ChangeItem, ChangeKind, ChangeSums, ChangesPage};
use restic_manager_shared::wire::query::{Indexing, MAX_PAGE};
use serde::{Deserialize, Serialize};

/// A page of changes.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct ChangeList {
    /// Changes; folders sum up what is below them, unless `flat` was asked for.
    pub items: Vec<ChangeItem>,
    /// All that changed in the folder and below. Only on the first page.
    pub sums: ChangeSums,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
    /// The snapshots are being read for the first time, and this is how far: there are no items yet. Ask again in a moment.
    pub indexing: Option<Indexing>,
    /// The host that looked.
    pub host_id: HostId,
    /// The older snapshot.
    pub from: String,
    /// The newer snapshot.
    pub to: String,
}

/// Which changes.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ChangesQuery {
    /// The older snapshot; if left out, the one that the same schedule of the same host made before.
    pub from: Option<String>,
    /// The newer snapshot. Needed.
    #[serde(default)]
    pub to: String,
    /// Only in this folder and below, absolute.
    pub under: Option<String>,
    /// One by one, however deep, instead of summed up by folder.
    #[serde(default)]
    pub flat: bool,
    /// A part of a name; with `*`, `?` or `[...]` a whole name; with a `/` a whole path.
    pub pattern: Option<String>,
    /// Only this kind.
    pub kind: Option<ChangeKind>,
    /// Items in the answer.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// The host that should look.
    pub host_id: Option<HostId>,
}

/// List what changed
///
/// Between two snapshots, a folder at a time with sums of what is below, or one by one. The first look reads both snapshots whole; until
/// that is done the answer says how far it is.
#[utoipa::path(operation_id = "listChanges", tag = "snapshots", params(("id" = RepositoryId, Path), ChangesQuery), responses((status = 200, body = ChangeList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/changes")]
pub async fn list_changes(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<ChangesQuery>,
) -> Result<web::Json<ChangeList>, ApiError> {
    let query = query.into_inner();
    let limit = super::files::limit(query.limit)?;
    let pair = changes::pair(&s, *id, query.from.as_deref(), &query.to).await?;
    let asked = Asked {
        under: folder(query.under)?,
        flat: query.flat,
        pattern: query.pattern.unwrap_or_default(),
        kind: query.kind,
        after: query.cursor,
        limit,
    };
    let (host_id, told) = changes::ask(&s, &pair, query.host_id, asked, Patience::Full).await?;
    let (page, indexing) = match told {
        Told::Page(page) => (page, None),
        Told::Indexing(far) => (ChangesPage::default(), Some(far)),
    };
    let ChangesPage { items, sums, next } = page;
    Ok(web::Json(ChangeList { items, sums, next, indexing, host_id, from: pair.older.id, to: pair.newer.id }))
}

fn folder(under: Option<String>) -> Result<String, ActError> {
    match under {
        None => Ok("/".to_owned()),
        Some(under) if under.starts_with('/') => Ok(under),
        Some(_) => Err(ActError::field("/under", "the folder as the snapshot has it, from / on")),
    }
}

/// How a file of changes is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileFormat {
    /// Comma-separated, with a line of names first.
    #[default]
    Csv,
    /// One array.
    Json,
}

/// Which changes, and how they are written.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DownloadQuery {
    /// The older snapshot; if left out, the one that the same schedule of the same host made before.
    pub from: Option<String>,
    /// The newer snapshot. Needed.
    #[serde(default)]
    pub to: String,
    /// Only in this folder and below, absolute.
    pub under: Option<String>,
    /// A part of a name; with `*`, `?` or `[...]` a whole name; with a `/` a whole path.
    pub pattern: Option<String>,
    /// Only this kind.
    pub kind: Option<ChangeKind>,
    /// `csv` or `json`.
    #[serde(default)]
    #[param(inline)]
    pub format: FileFormat,
    /// The host that should look.
    pub host_id: Option<HostId>,
}

/// Download what changed
///
/// All changes between two snapshots, one by one, as a file. While the snapshots are being read for the first time it is refused with
/// `still_reading`; ask again in a moment. A download that breaks off before its end was cut: it is never passed off as whole.
#[utoipa::path(operation_id = "downloadChanges", tag = "snapshots", params(("id" = RepositoryId, Path), DownloadQuery), responses((status = 200, description = "The changes", content((String = "text/csv"), (Vec<ChangeItem> = "application/json"))), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/repositories/{id}/changes/download")]
pub async fn download_changes(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<DownloadQuery>,
) -> Result<HttpResponse, ApiError> {
    download(s, *id, query.into_inner()).await
}

/// The same for a page's link.
///
/// # Errors
/// As over the API.
pub async fn download(
    s: web::Data<Services>,
    id: RepositoryId,
    query: DownloadQuery,
) -> Result<HttpResponse, ApiError> {
    let pair = changes::pair(&s, id, query.from.as_deref(), &query.to).await?;
    let asked = Asked {
        under: folder(query.under)?,
        flat: true,
        pattern: query.pattern.unwrap_or_default(),
        kind: query.kind,
        after: None,
        limit: MAX_PAGE,
    };
    let (host, told) = changes::ask(&s, &pair, query.host_id, asked.clone(), Patience::Full).await?;
    let Told::Page(first) = told else { return Err(Refusal::StillReading.into()) };
    let short = |id: &str| id.chars().take(8).collect::<String>();
    let (kind, end) = match query.format {
        FileFormat::Csv => (KIND, "csv"),
        FileFormat::Json => ("application/json", "json"),
    };
    let name = format!("changes-{}-{}.{end}", short(&pair.older.id), short(&pair.newer.id));
    let download = Download { s, pair, host, asked, format: query.format, begun: false };
    let stream = try_unfold((download, Some(first)), |(mut download, page)| async move {
        let Some(page) = page else { return Ok::<_, actix_web::Error>(None) };
        let (text, next) = download.piece(page).await.map_err(ApiError::from)?;
        Ok(Some((Bytes::from(text), (download, next))))
    });
    Ok(attachment(kind, &name).streaming(stream))
}

/// A download under way.
struct Download {
    s: web::Data<Services>,
    pair: Pair,
    host: HostId,
    asked: Asked,
    format: FileFormat,
    begun: bool,
}

impl Download {
    /// A page as text, and the page after it.
    async fn piece(&mut self, page: ChangesPage) -> Result<(Vec<u8>, Option<ChangesPage>), ActError> {
        let first = !std::mem::replace(&mut self.begun, true);
        let last = page.next.is_none();
        let text = match self.format {
            FileFormat::Csv => table(&page.items, first).text()?,
            FileFormat::Json => {
                json(&page.items, first, last).ok_or(ActError::Internal("changes cannot be written as JSON"))?
            }
        };
        if last {
            return Ok((text, None));
        }
        self.asked.after = page.next;
        match changes::ask(&self.s, &self.pair, Some(self.host), self.asked.clone(), Patience::Full).await? {
            (_, Told::Page(next)) => Ok((text, Some(next))),
            (_, Told::Indexing(_)) => Err(Refusal::StillReading.into()),
        }
    }
}

fn table(items: &[ChangeItem], first: bool) -> Csv {
    let head = ["change", "path", "type", "bytes_before", "bytes_after"];
    let mut csv = if first { Csv::new(&head) } else { Csv::continued() };
    let size = |size: Option<u64>| size.map_or_else(String::new, |n| n.to_string());
    for item in items {
        let change = item.change.map_or("", ChangeKind::as_str).to_owned();
        let kind = if item.folder { "folder" } else { "file" }.to_owned();
        csv.line([change, item.path.clone(), kind, size(item.before), size(item.after)]);
    }
    csv
}

fn json(items: &[ChangeItem], first: bool, last: bool) -> Option<Vec<u8>> {
    let mut out = if first { b"[".to_vec() } else { Vec::new() };
    for (n, item) in items.iter().enumerate() {
        out.extend_from_slice(if first && n == 0 { b"\n" } else { b",\n" });
        serde_json::to_writer(&mut out, item).ok()?;
    }
    if last {
        out.extend_from_slice(b"\n]\n");
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, change: ChangeKind) -> ChangeItem {
        ChangeItem { path: path.into(), change: Some(change), folder: false, before: None, after: Some(7), below: None }
    }

    #[test]
    fn pages_join_to_one_file() {
        let pages = [vec![item("/a,\"b\"\n", ChangeKind::Added)], vec![], vec![item("/c", ChangeKind::Changed)]];
        let (mut as_csv, mut as_json) = (Vec::new(), Vec::new());
        for (n, page) in pages.iter().enumerate() {
            as_csv.extend(table(page, n == 0).text().expect("writes"));
            as_json.extend(json(page, n == 0, n == 2).expect("writes"));
        }
        let text = String::from_utf8(as_csv).expect("text");
        let want = [
            "\"change\",\"path\",\"type\",\"bytes_before\",\"bytes_after\"\r\n",
            "\"added\",\"/a,\"\"b\"\"\n\",\"file\",\"\",\"7\"\r\n",
            "\"changed\",\"/c\",\"file\",\"\",\"7\"\r\n",
        ];
        assert_eq!(text, want.concat());
        let read: Vec<ChangeItem> = serde_json::from_slice(&as_json).expect("one array");
        assert_eq!(read, pages.concat());
        assert_eq!(json(&[], true, true).expect("writes"), b"[\n]\n");
    }
}
