//! What changed between two snapshots: all of it under its folders where it fits one page, else a folder at a time with sums of what is below, or
//! what a filter finds. What is gone or was different can be had back from its row.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::form::one_line;
use super::super::hosts::SnapshotRow;
use super::super::names::Names;
use super::super::paths::{above, folder_of, last, visible};
use crate::http::api::changes::{DownloadQuery, download};
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::changes::{self, Asked, Pair, Told};
use crate::service::queries::Patience;
use crate::service::{ActError, Refusal, Services, repositories};
use crate::words::job::change;
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::changes::{ChangeItem, ChangeKind, ChangeSums, ChangesPage};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Changes of a page.
const LIMIT: u32 = 200;
/// Entries of "where most changed".
const MOST: usize = 5;

/// What changed between two snapshots.
#[derive(Debug, Serialize)]
pub struct RepositoryChangesPage {
    /// The repository's identity.
    pub repository: String,
    /// Its name.
    pub name: String,
    /// Whose files they are.
    pub host: String,
    /// The older snapshot.
    pub older: SnapshotRow,
    /// The newer snapshot.
    pub newer: SnapshotRow,
    /// The other way round.
    pub swapped: String,
    /// This very page again.
    pub again: String,
    /// Where the folder and the filter are, to be given along by the forms.
    pub here: Here,
    /// The folders above, each with its address.
    pub above: Vec<(String, String)>,
    /// The kinds to choose from: word, address, whether it is chosen, how many.
    pub kinds: Vec<KindChoice>,
    /// The changes.
    pub rows: Vec<Row>,
    /// All of them are here, under their folders.
    pub whole: bool,
    /// The answer is awaited: where it is waited for without script.
    pub awaited: Option<String>,
    /// All that changed here and below; on a later page it is not known again.
    pub sums: Option<Sums>,
    /// Where most changed: name, bytes, and of a thousand how much.
    pub most: Vec<(String, u64, u64)>,
    /// The next page.
    pub next: Option<String>,
    /// The first page, if this is not it.
    pub first: Option<String>,
    /// All of it as a file: the word and the address.
    pub files: Vec<(&'static str, String)>,
    /// The snapshots are being read for the first time: so many entries so far.
    pub indexing: Option<u64>,
    /// Why nothing can be shown.
    pub trouble: String,
}

impl Page for RepositoryChangesPage {
    const TEMPLATE: &'static str = "pages/repository-changes.html";
    const NAV: &'static str = "repositories";
}

/// A kind of change to choose.
#[derive(Debug, Serialize)]
pub struct KindChoice {
    /// Its word.
    pub word: &'static str,
    /// Its address.
    pub url: String,
    /// It is chosen.
    pub chosen: bool,
    /// How many there are here and below.
    pub count: Option<u64>,
}

/// Sums, with how much of a thousand each kind is.
#[derive(Debug, Serialize)]
pub struct Sums {
    /// The sums.
    pub of: ChangeSums,
    /// Bars.
    pub bars: Vec<super::super::dashboard::Bar>,
}

/// A change, or a folder that holds some.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The whole path.
    pub path: String,
    /// What to call it.
    pub name: String,
    /// The folder that stands above this row and those that follow.
    pub group: Option<String>,
    /// It is a folder.
    pub folder: bool,
    /// The sign before it, its colour's class and its word; empty for a folder that only holds changes.
    pub sign: (&'static str, &'static str, &'static str),
    /// Bytes before.
    pub before: Option<u64>,
    /// Bytes now.
    pub after: Option<u64>,
    /// What changed below it.
    pub below: Option<ChangeSums>,
    /// Where it is opened.
    pub open: Option<String>,
    /// The older snapshot has it, and it is not the same any more.
    pub back: bool,
}

const fn sign(kind: ChangeKind) -> (&'static str, &'static str, &'static str) {
    match kind {
        ChangeKind::Added => ("+", "add", change::ADDED),
        ChangeKind::Removed => ("-", "del", change::REMOVED),
        ChangeKind::Changed => ("~", "mod", change::CHANGED),
        ChangeKind::Metadata => ("M", "", change::METADATA),
    }
}

impl Row {
    fn new(item: ChangeItem, here: &Here, found: bool) -> Self {
        let name = visible(if found { &item.path } else { last(&item.path) });
        let open = item.below.map(|_| Here { under: item.path.clone(), ..here.clone() }.url());
        Self {
            name,
            group: None,
            folder: item.folder,
            sign: item.change.map_or(("", "", ""), sign),
            before: item.before,
            after: item.after,
            below: item.below,
            open,
            back: matches!(item.change, Some(ChangeKind::Removed | ChangeKind::Changed)),
            path: item.path,
        }
    }
}

/// What is compared, where, and what the list is narrowed to.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Here {
    /// The repository; it stands in the address itself.
    #[serde(skip_deserializing)]
    pub repository: String,
    /// The older snapshot.
    #[serde(default)]
    pub from: String,
    /// The newer.
    #[serde(default)]
    pub to: String,
    /// The folder.
    #[serde(default)]
    pub under: String,
    /// What names are looked for.
    #[serde(default)]
    pub find: String,
    /// The kind.
    #[serde(default)]
    pub kind: String,
    /// Where the page begins.
    #[serde(default)]
    pub cursor: String,
}

impl Here {
    fn kind(&self) -> Option<ChangeKind> {
        ChangeKind::ALL.into_iter().find(|kind| kind.as_str() == self.kind)
    }

    /// Its address: the first page of it.
    fn url(&self) -> String {
        format!("/repositories/{}/changes?{}", self.repository, self.query("find"))
    }

    fn query(&self, find: &str) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let parts =
            [("from", &self.from), ("to", &self.to), ("under", &self.under), (find, &self.find), ("kind", &self.kind)];
        for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }

    fn file(&self, format: &str) -> String {
        format!("/repositories/{}/changes/download?{}&format={format}", self.repository, self.query("pattern"))
    }
}

/// Shows what changed.
#[get("/repositories/{id}/changes")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<Here>,
) -> Result<HttpResponse, ApiError> {
    let here = query.into_inner();
    let from = Some(here.from.as_str()).filter(|from| !from.is_empty());
    let pair = match changes::pair(&s, *id, from, &here.to).await {
        // The first of its kind: which other it can be compared with is chosen in the list.
        Err(ActError::Invalid(_)) if from.is_none() => {
            return Ok(go(&format!("/repositories/{id}/snapshots?wrong=alone")));
        }
        pair => pair?,
    };
    let here = Here { repository: id.to_string(), from: pair.older.id.clone(), to: pair.newer.id.clone(), ..here };
    let page = page(&s, &view, &pair, here).await?;
    view.show(&who, &page).await
}

/// All of it as a file.
#[get("/repositories/{id}/changes/download")]
pub async fn file(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<DownloadQuery>,
) -> Result<HttpResponse, ApiError> {
    download(s, *id, query.into_inner()).await
}

async fn page(s: &Services, view: &View, pair: &Pair, here: Here) -> Result<RepositoryChangesPage, ApiError> {
    let page = blank(s, pair, here).await?;
    let (here, patience) = (&page.here, view.patience());
    let (first, searched) = (here.cursor.is_empty(), !here.find.trim().is_empty());
    let flat = Asked { flat: true, ..asked(here) };
    let mut told = changes::ask(s, pair, None, if first { flat } else { asked(here) }, patience).await;
    let fits = matches!(&told, Ok((_, Told::Page(page))) if first && page.next.is_none());
    if first && !fits && !searched && matches!(told, Ok((_, Told::Page(_)))) {
        // Too much for one list: folder by folder.
        told = changes::ask(s, pair, None, asked(here), patience).await;
    }
    Ok(match told {
        Ok((_, Told::Page(told))) if fits => whole(page, told),
        Ok((_, Told::Page(told))) => filled(page, told, searched, !first),
        Ok((_, Told::Indexing(far))) => RepositoryChangesPage { indexing: Some(far.entries), ..page },
        Err(ActError::Refused(Refusal::NoAnswer)) if patience == Patience::Glance => {
            RepositoryChangesPage { awaited: Some(view.awaited()), ..page }
        }
        Err(ActError::Refused(refusal)) if refusal.is_of_looking() => {
            RepositoryChangesPage { trouble: one_line(&ActError::Refused(refusal)), ..page }
        }
        Err(error) => return Err(error.into()),
    })
}

fn asked(here: &Here) -> Asked {
    Asked {
        under: here.under.clone(),
        flat: !here.find.trim().is_empty(),
        pattern: here.find.clone(),
        kind: here.kind(),
        after: Some(here.cursor.clone()).filter(|cursor| !cursor.is_empty()),
        limit: LIMIT,
    }
}

/// All changes, under their folders.
fn whole(page: RepositoryChangesPage, told: ChangesPage) -> RepositoryChangesPage {
    let mut sizes: BTreeMap<String, u64> = BTreeMap::new();
    for item in &told.items {
        let bytes = sizes.entry(visible(folder_of(&item.path))).or_default();
        *bytes = bytes.saturating_add(own_bytes(item));
    }
    let (sums, here) = (told.sums, &page.here);
    RepositoryChangesPage {
        kinds: kinds(here, Some(sums)),
        sums: Some(Sums { of: sums, bars: bars(sums) }),
        most: most(sizes.into_iter().collect()),
        rows: grouped(told.items, here),
        whole: true,
        ..page
    }
}

fn grouped(mut items: Vec<ChangeItem>, here: &Here) -> Vec<Row> {
    items.sort_by(|a, b| (folder_of(&a.path), &a.path).cmp(&(folder_of(&b.path), &b.path)));
    let mut above: Option<String> = None;
    let row = |item: ChangeItem| {
        let folder = folder_of(&item.path).to_owned();
        let group = (above.as_deref() != Some(folder.as_str())).then(|| visible(&folder));
        above = Some(folder);
        Row { group, ..Row::new(item, here, false) }
    };
    items.into_iter().map(row).collect()
}

async fn blank(s: &Services, pair: &Pair, here: Here) -> Result<RepositoryChangesPage, ApiError> {
    let (now, id) = (Timestamp::now(), pair.newer.repository_id);
    let host = match pair.newer.host_id {
        Some(host) => Names::default().host(s, host).await?,
        None => pair.newer.hostname.clone(),
    };
    let folder = |(path, name): (String, String)| (Here { under: path, ..here.clone() }.url(), name);
    Ok(RepositoryChangesPage {
        repository: id.to_string(),
        name: repositories::get(s, id).await?.name,
        host,
        older: SnapshotRow::new(&pair.older, now),
        newer: SnapshotRow::new(&pair.newer, now),
        swapped: Here { from: here.to.clone(), to: here.from.clone(), ..here.clone() }.url(),
        again: here.url(),
        above: above(&here.under).into_iter().map(folder).collect(),
        kinds: vec![],
        rows: vec![],
        whole: false,
        awaited: None,
        sums: None,
        most: vec![],
        next: None,
        first: None,
        files: vec![("CSV", here.file("csv")), ("JSON", here.file("json"))],
        indexing: None,
        trouble: String::new(),
        here,
    })
}

fn filled(page: RepositoryChangesPage, told: ChangesPage, flat: bool, later: bool) -> RepositoryChangesPage {
    let here = &page.here;
    let sums = (!later).then_some(told.sums);
    let most = if flat || later { vec![] } else { most(told.items.iter().map(sized).collect()) };
    RepositoryChangesPage {
        kinds: kinds(here, sums),
        next: told.next.map(|next| format!("{}&cursor={next}", here.url())),
        first: later.then(|| here.url()),
        rows: told.items.into_iter().map(|item| Row::new(item, here, flat)).collect(),
        sums: sums.map(|of| Sums { of, bars: bars(of) }),
        most,
        ..page
    }
}

fn bars(sums: ChangeSums) -> Vec<super::super::dashboard::Bar> {
    let n = |n: u64| i64::try_from(n).unwrap_or(i64::MAX / 8);
    super::super::dashboard::bars(&[
        ("fill-ok", n(sums.added)),
        ("fill-warn", n(sums.changed)),
        ("fill-bad", n(sums.removed)),
        ("fill-mute", n(sums.metadata)),
    ])
}

fn kinds(here: &Here, sums: Option<ChangeSums>) -> Vec<KindChoice> {
    let choice = |word, kind: &str, count| KindChoice {
        word,
        url: Here { kind: kind.to_owned(), ..here.clone() }.url(),
        chosen: here.kind().map_or("", ChangeKind::as_str) == kind,
        count,
    };
    vec![
        choice("All", "", sums.map(|s| s.total())),
        choice("Added", "added", sums.map(|s| s.added)),
        choice("Changed", "changed", sums.map(|s| s.changed)),
        choice("Removed", "removed", sums.map(|s| s.removed)),
        choice("Metadata", "metadata", sums.map(|s| s.metadata)),
    ]
}

/// The bytes of what happened to an entry itself.
fn own_bytes(item: &ChangeItem) -> u64 {
    let mut own = ChangeSums::default();
    item.change.iter().for_each(|kind| own.count(*kind, item.before, item.after));
    own.bytes()
}

/// An entry of a folder, and the bytes of all that happened to it and below it.
fn sized(item: &ChangeItem) -> (String, u64) {
    let below = item.below.map_or(0, |below| below.bytes());
    (visible(last(&item.path)), own_bytes(item).saturating_add(below))
}

/// Where most bytes changed, each with how much of a thousand it is of the most.
fn most(sizes: Vec<(String, u64)>) -> Vec<(String, u64, u64)> {
    let mut found: Vec<(String, u64)> = sizes.into_iter().filter(|(_, bytes)| *bytes > 0).collect();
    found.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    found.truncate(MOST);
    let largest = found.first().map_or(1, |(_, bytes)| (*bytes).max(1));
    let share = |bytes: u64| u64::try_from(u128::from(bytes) * 1000 / u128::from(largest)).unwrap_or(1000);
    found.into_iter().map(|(name, bytes)| (name, bytes, share(bytes))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_most_changed_is_told_by_bytes() {
        let sums = ChangeSums { removed: 3, removed_bytes: 500, ..ChangeSums::default() };
        let item = |path: &str, after, below: Option<ChangeSums>| ChangeItem {
            path: path.into(),
            change: Some(ChangeKind::Added),
            folder: below.is_some(),
            before: None,
            after,
            below,
        };
        let items = [item("/a/small", Some(250), None), item("/a/dir", None, Some(sums)), item("/a/none", None, None)];
        assert_eq!(most(items.iter().map(sized).collect()), [("dir".into(), 500, 1000), ("small".into(), 250, 500)]);
    }

    #[test]
    fn all_of_it_stands_under_its_folders() {
        let item = |path: &str| ChangeItem { path: path.into(), change: Some(ChangeKind::Removed), ..ITEM };
        let told =
            ChangesPage { items: vec![item("/a/b/x"), item("/a/c"), item("/a/b.txt")], ..ChangesPage::default() };
        let rows = grouped(told.items, &Here::default());
        let shown: Vec<_> = rows.iter().map(|r| (r.group.as_deref(), r.name.as_str(), r.back)).collect();
        assert_eq!(shown, [(Some("/a"), "b.txt", true), (None, "c", true), (Some("/a/b"), "x", true)]);
    }

    const ITEM: ChangeItem =
        ChangeItem { path: String::new(), change: None, folder: false, before: None, after: None, below: None };

    #[test]
    fn addresses_keep_what_was_chosen() {
        let here =
            Here { repository: "r".into(), from: "a".into(), to: "b".into(), under: "/x y".into(), ..Here::default() };
        assert_eq!(here.url(), "/repositories/r/changes?from=a&to=b&under=%2Fx+y");
        let here = Here { find: "*.zip".into(), kind: "removed".into(), ..here };
        assert_eq!(
            here.file("csv"),
            "/repositories/r/changes/download?from=a&to=b&under=%2Fx+y&pattern=*.zip&kind=removed&format=csv"
        );
    }
}
