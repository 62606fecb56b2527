//! Queries: questions about snapshots that people wait for, answered beside the jobs. What is asked twice is answered once; what takes
//! long is answered with how far it is.

mod changes;

use crate::app::Agent;
use crate::finds::Wanted;
use crate::perform::reading::{self, Reading};
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use crate::restic::judge::Verdict;
use crate::restic::pattern;
use crate::restic::process::StopReason;
use crate::tree::cache::{Kept, Key, Making};
use crate::tree::glob::Pattern;
use crate::tree::make::{self, Look};
use crate::tree::{Node, Tree, TreeError};
use restic_manager_shared::id::{JobId, QueryId};
use restic_manager_shared::restic::snapshot::is_whole_id;
use restic_manager_shared::wire::job::{Cause, CauseCode, Offer, Task};
use restic_manager_shared::wire::operation::Entry;
use restic_manager_shared::wire::query::{
    Indexing, MAX_PAGE, MAX_PAGE_BYTES, MAX_QUERY_SNAPSHOTS, Query, QueryAnswer, QueryAsk, QueryPage,
};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// So long a question waits for an index before it is told how far that is: a small one is there by then.
const PATIENCE: Duration = Duration::from_millis(1500);
/// Looking for versions of a file takes no longer. Nobody waits so long for one answer: it goes on while they ask again.
const LONGEST_FIND: Duration = Duration::from_secs(600);

/// The questions that are not answered yet.
#[derive(Debug, Default)]
pub struct Queries(Mutex<HashSet<QueryId>>);

impl Queries {
    /// Which they are.
    #[must_use]
    pub fn held(&self) -> Vec<QueryId> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    fn take(&self, id: QueryId) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id)
    }

    fn done(&self, id: QueryId) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }
}

/// Takes a question in, and answers it in its own time.
pub fn accept(agent: &Arc<Agent>, query: Query) {
    if !agent.queries.take(query.id) {
        return;
    }
    let agent = Arc::clone(agent);
    tokio::spawn(async move {
        let answer = answer(&agent, &query).await.unwrap_or_else(QueryAnswer::Refused);
        if let Err(e) = agent.client.answer(query.id, &answer).await {
            tracing::debug!(query = %query.id, error = %e, "an answer did not get through; who still waits asks again");
        }
        agent.queries.done(query.id);
    });
}

fn refused(code: CauseCode, message: impl Into<String>) -> Cause {
    Cause { code, message: message.into() }
}

fn cause(verdict: Verdict) -> Cause {
    verdict.cause.unwrap_or_else(|| refused(CauseCode::ResticFailed, "restic ended and did not say why"))
}

/// A question as the job that it would be: what the host's policy and its credentials are asked about.
fn as_offer(query: &Query, snapshot: &str) -> Offer {
    let (repository_id, snapshot, path) = (query.repository_id, snapshot.to_owned(), "/".to_owned());
    Offer {
        id: JobId::new(),
        attempt: 1,
        schedule_id: None,
        state_version: 0,
        task: Task::Ls { repository_id, snapshot, path, recursive: true },
        repository_url: query.repository_url.clone(),
        secrets: None,
    }
}

async fn answer(agent: &Arc<Agent>, query: &Query) -> Result<QueryAnswer, Cause> {
    reading::allowed(agent, &as_offer(query, "")).map_err(cause)?;
    let snapshots = match &query.ask {
        QueryAsk::Folder { snapshot, .. } => std::slice::from_ref(snapshot),
        QueryAsk::Search { snapshots, .. } | QueryAsk::Versions { snapshots, .. } => snapshots,
        QueryAsk::Changes(ask) => &[ask.from.clone(), ask.to.clone()],
        QueryAsk::Unknown => {
            return Err(refused(CauseCode::Unknown, "the agent on this host is too old for the question"));
        }
    };
    if snapshots.is_empty() || snapshots.len() > MAX_QUERY_SNAPSHOTS || !snapshots.iter().all(|s| is_whole_id(s)) {
        return Err(refused(CauseCode::SnapshotMissing, "the snapshots are not named by their whole ids"));
    }
    match &query.ask {
        QueryAsk::Folder { snapshot, path, after, limit } => {
            folder(agent, query, snapshot, path, after.as_deref(), *limit).await
        }
        QueryAsk::Search { pattern, under, match_case, after, limit, .. } => {
            let search = Search { pattern: Pattern::new(pattern, *match_case), under, limit: *limit };
            search.run(agent, query, snapshots, after.as_deref()).await
        }
        QueryAsk::Versions { path, .. } => versions(agent, query, snapshots, path).await,
        QueryAsk::Changes(ask) => changes::answer(agent, query, ask).await,
        QueryAsk::Unknown => Err(refused(CauseCode::Unknown, "the agent on this host is too old for the question")),
    }
}

/// What is asked for, or how far it is.
enum Ready<T> {
    There(T),
    Not(Indexing),
}

async fn ready<T: Kept>(agent: &Arc<Agent>, query: &Query, key: &Key) -> Result<Ready<T>, Cause> {
    let snapshot = &key.snapshot;
    let offer = as_offer(query, snapshot);
    let work = match make::look(agent, key, &offer) {
        Look::There(kept) => return Ok(Ready::There(kept)),
        Look::Making(work) => work,
    };
    let mut state = work.watch();
    let ended = timeout(PATIENCE, state.wait_for(|s| *s != Making::On)).await;
    let ended = match ended {
        Ok(Ok(state)) => state.clone(),
        Ok(Err(_)) | Err(_) => Making::On,
    };
    match ended {
        Making::Done => match make::look(agent, key, &offer) {
            Look::There(kept) => Ok(Ready::There(kept)),
            Look::Making(work) => Ok(Ready::Not(indexing(snapshot, work.so_far()))),
        },
        Making::On => Ok(Ready::Not(indexing(snapshot, work.so_far()))),
        Making::Failed(cause) => {
            agent.trees.forget_work(key);
            Err(cause)
        }
    }
}

fn indexing(snapshot: &str, entries: u64) -> Indexing {
    Indexing { snapshot: snapshot.to_owned(), entries, snapshots_left: 1 }
}

/// Reads a tree where it may take its time. A tree that turns out damaged is forgotten, and made anew for who asks again.
async fn read<T: Send + 'static>(
    agent: &Arc<Agent>,
    key: &Key,
    act: impl FnOnce() -> Result<T, TreeError> + Send + 'static,
) -> Result<T, Cause> {
    let read = tokio::task::spawn_blocking(act).await;
    match read {
        Ok(Ok(read)) => Ok(read),
        Ok(Err(e)) => {
            if matches!(e, TreeError::Damaged) {
                agent.trees.remove(key);
            }
            Err(refused(CauseCode::AgentDisk, format!("{e}; ask again")))
        }
        Err(_) => Err(refused(CauseCode::AgentDisk, "the index could not be read; ask again")),
    }
}

/// Counts entries and bytes of a page.
struct Page {
    entries: u32,
    bytes: usize,
}

impl Page {
    const fn new(limit: u32) -> Self {
        let entries = if limit == 0 || limit > MAX_PAGE { MAX_PAGE } else { limit };
        Self { entries, bytes: MAX_PAGE_BYTES }
    }

    /// Takes an entry with a path of so much text; false if there is no room. Text may take six times its length as JSON.
    fn take(&mut self, path: &str) -> bool {
        let escaped = path.chars().filter(|c| c.is_control() || matches!(c, '"' | '\\')).count();
        let cost = 320 + path.len() + 6 * escaped;
        if self.entries == 0 || cost > self.bytes {
            return false;
        }
        self.entries -= 1;
        self.bytes -= cost;
        true
    }

    const fn is_full(&self) -> bool {
        // A path is at most about 4 KiB on all systems, and may need six times as much.
        self.entries == 0 || self.bytes < 32 * 1024
    }
}

async fn folder(
    agent: &Arc<Agent>,
    query: &Query,
    snapshot: &str,
    path: &str,
    after: Option<&str>,
    limit: u32,
) -> Result<QueryAnswer, Cause> {
    let key = Key::tree(query.repository_id, snapshot);
    let tree: Tree = match ready(agent, query, &key).await? {
        Ready::There(tree) => tree,
        Ready::Not(indexing) => return Ok(QueryAnswer::Indexing(indexing)),
    };
    let from: u64 = after.map_or(Ok(0), str::parse).map_err(|_| bad_cursor())?;
    let folder = path.trim_end_matches('/').to_owned();
    let listed = read(agent, &key, move || {
        let mut page = Page::new(limit);
        let found = tree.list(&folder, from, |node: &Node| page.take(&format!("{folder}/{}", node.name)))?;
        Ok(found.map(|(nodes, total)| {
            let told = from + nodes.len() as u64;
            let next = (told < total && !nodes.is_empty()).then(|| told.to_string());
            let entries = nodes.into_iter().map(|n| n.entry(&folder, None)).collect();
            QueryPage { entries, next, total: Some(total) }
        }))
    });
    let page =
        listed.await?.ok_or_else(|| refused(CauseCode::PathMissing, "there is no such folder in the snapshot"))?;
    Ok(QueryAnswer::Ready(page))
}

fn bad_cursor() -> Cause {
    refused(CauseCode::Unknown, "the place to go on from is none of this agent's")
}

struct Search<'a> {
    pattern: Pattern,
    under: &'a str,
    limit: u32,
}

impl Search<'_> {
    /// One snapshot after the other. A page may be empty and still go on: then the next snapshot has to be read first.
    async fn run(
        &self,
        agent: &Arc<Agent>,
        query: &Query,
        snapshots: &[String],
        after: Option<&str>,
    ) -> Result<QueryAnswer, Cause> {
        let (first, mut trail) = cursor(after).ok_or_else(bad_cursor)?;
        let mut page = Page::new(self.limit);
        let mut entries: Vec<Entry> = Vec::new();
        for (n, snapshot) in snapshots.iter().enumerate().skip(first) {
            let key = Key::tree(query.repository_id, snapshot);
            let tree: Tree = match ready(agent, query, &key).await? {
                Ready::There(tree) => tree,
                Ready::Not(_) if n > first => {
                    return Ok(QueryAnswer::Ready(QueryPage { entries, next: Some(n.to_string()), total: None }));
                }
                Ready::Not(indexing) => {
                    let snapshots_left = u32::try_from(snapshots.len() - n).unwrap_or(u32::MAX);
                    return Ok(QueryAnswer::Indexing(Indexing { snapshots_left, ..indexing }));
                }
            };
            let (pattern, under, from) = (self.pattern.clone(), self.under.to_owned(), std::mem::take(&mut trail));
            let found = read(agent, &key, move || {
                let found = tree.search(&under, &pattern, &from, |path| {
                    page.take(path);
                    page.is_full()
                })?;
                Ok((found, page))
            });
            let (found, left) = found.await?;
            page = left;
            let Some(found) = found else { continue };
            entries.extend(found.hits.into_iter().map(|(path, node)| {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                node.entry(parent, Some(snapshot))
            }));
            if let Some(next) = found.next {
                let trail = next.iter().map(u64::to_string).collect::<Vec<_>>().join(".");
                return Ok(QueryAnswer::Ready(QueryPage { entries, next: Some(format!("{n}:{trail}")), total: None }));
            }
        }
        Ok(QueryAnswer::Ready(QueryPage { entries, next: None, total: None }))
    }
}

/// The number of a snapshot, and in it the numbers of entries from the top down.
fn cursor(text: Option<&str>) -> Option<(usize, Vec<u64>)> {
    let Some(text) = text else { return Some((0, Vec::new())) };
    let (snapshot, trail) = text.split_once(':').unwrap_or((text, ""));
    let trail = trail.split('.').filter(|n| !n.is_empty()).map(str::parse).collect::<Result<_, _>>();
    Some((snapshot.parse().ok()?, trail.ok()?))
}

/// From the indexes that there are; for the other snapshots restic is asked once.
async fn versions(agent: &Arc<Agent>, query: &Query, snapshots: &[String], path: &str) -> Result<QueryAnswer, Cause> {
    let path = path.trim_end_matches('/').to_owned();
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
    let mut found: Vec<Entry> = Vec::new();
    let mut unread = Vec::new();
    for snapshot in snapshots {
        let key = Key::tree(query.repository_id, snapshot);
        let Some(tree) = agent.trees.get::<Tree>(&key) else {
            unread.push(snapshot.clone());
            continue;
        };
        let wanted = path.clone();
        let node = read(agent, &key, move || tree.entry(&wanted)).await?;
        found.extend(node.map(|n| n.entry(&parent, Some(snapshot))));
    }
    if let Some(first) = unread.first().cloned() {
        let snapshots_left = u32::try_from(unread.len()).unwrap_or(u32::MAX);
        let left: HashSet<String> = unread.iter().cloned().collect();
        let Some(entries) = find(agent, query, unread, &path).await? else {
            return Ok(QueryAnswer::Indexing(Indexing { snapshots_left, ..indexing(&first, 0) }));
        };
        let is_asked = |e: &&Entry| e.path == path && e.snapshot.as_ref().is_some_and(|id| left.contains(id));
        found.extend(entries.iter().filter(is_asked).cloned());
    }
    let place = |e: &Entry| e.snapshot.as_ref().and_then(|id| snapshots.iter().position(|s| s == id));
    found.sort_by_key(place);
    let total = Some(found.len() as u64);
    let mut page = Page::new(MAX_PAGE);
    let entries = found.into_iter().take_while(|e| page.take(&e.path)).collect();
    Ok(QueryAnswer::Ready(QueryPage { entries, next: None, total }))
}

/// What restic finds of a path; none if it still looks.
async fn find(
    agent: &Arc<Agent>,
    query: &Query,
    snapshots: Vec<String>,
    path: &str,
) -> Result<Option<Arc<Vec<Entry>>>, Cause> {
    let (repository, url) = (query.repository_id, query.repository_url.clone());
    let wanted = Wanted { repository, url, path: path.to_owned(), snapshots };
    let (looks, offer) = (Arc::clone(agent), as_offer(query, ""));
    let begin = |wanted: Wanted| async move { ask_restic(&looks, &offer, &wanted.snapshots, &wanted.path).await };
    agent.finds.look(wanted, PATIENCE, begin).await
}

async fn ask_restic(agent: &Agent, offer: &Offer, snapshots: &[String], path: &str) -> Result<Vec<Entry>, Cause> {
    let reading = Reading::open(agent, offer).await.map_err(cause)?;
    let pattern = pattern::word(path);
    let find = Operation::Find { pattern: &pattern, snapshots, ignore_case: false };
    let enough = async {
        tokio::time::sleep(LONGEST_FIND).await;
        StopReason::Unreachable
    };
    let mut transcript = reading.run(find, |_| false, enough).await.map_err(cause)?;
    match transcript.take_gathered() {
        Gathered::Found(_, found) => Ok(found.entries),
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_bounded_by_entries_and_by_bytes() {
        let mut page = Page::new(2);
        assert!(page.take("/a") && page.take("/b") && !page.take("/c"));
        let mut page = Page::new(0);
        let long = format!("/{}", "\n".repeat(4000));
        let count = (0..2000).take_while(|_| page.take(&long)).count();
        let json = serde_json::to_string(&long).expect("json").len() * count;
        assert!(count > 5 && json < MAX_PAGE_BYTES, "{count} entries are {json} bytes");
    }

    #[test]
    fn cursors_are_read_or_refused() {
        assert_eq!(cursor(None), Some((0, vec![])));
        assert_eq!(cursor(Some("3")), Some((3, vec![])));
        assert_eq!(cursor(Some("3:1.0.7")), Some((3, vec![1, 0, 7])));
        for bad in ["", "x", "1:x", "-1", "1:2.-3"] {
            assert_eq!(cursor(Some(bad)), None, "{bad}");
        }
    }
}
