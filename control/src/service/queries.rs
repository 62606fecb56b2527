//! Queries: a person or script wants to see into a snapshot, and a host that has a credential for it looks. The question waits in memory for
//! the host's poll, and the request waits for the answer. Nothing of it is kept: who still wants to know asks again.

use super::operations::online_now;
use super::{ActError, Noun, Refusal, Services};
use crate::domain::fleet::Lifecycle;
use crate::domain::repository::url_for;
use crate::domain::snapshot::Snapshot;
use crate::store::hosts::HostRecord;
use crate::store::snapshots::Filter;
use crate::store::{Conn, credentials, hosts, repositories, snapshots};
use restic_manager_shared::id::{HostId, QueryId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::query::{Indexing, MAX_QUERY_SNAPSHOTS, Query, QueryAnswer, QueryAsk, QueryPage};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How long an answer is waited for. A snapshot that has to be read first is answered at once with how far that is.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long a page waits before it comes without the answer and says that it is awaited.
const GLANCE: Duration = Duration::from_millis(400);
/// The first version of the agent protocol with queries.
const SINCE: u16 = 3;
/// Questions that may wait for one host.
const MOST: usize = 64;

type Answered = Result<QueryAnswer, Refusal>;

/// Questions that wait for hosts.
#[derive(Debug, Default)]
pub struct Questions(Mutex<HashMap<HostId, Vec<Asked>>>);

#[derive(Debug)]
struct Asked {
    query: Query,
    answer: oneshot::Sender<Answered>,
}

/// A question that is waited for; nobody waits any more when it is dropped.
struct Waiting<'a> {
    questions: &'a Questions,
    host: HostId,
    id: QueryId,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        drop(self.questions.take(self.host, self.id));
    }
}

impl Questions {
    fn map(&self) -> MutexGuard<'_, HashMap<HostId, Vec<Asked>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, host: HostId, query: Query) -> Result<(Waiting<'_>, oneshot::Receiver<Answered>), Refusal> {
        let (answer, answered) = oneshot::channel();
        let id = query.id;
        let mut map = self.map();
        let asked = map.entry(host).or_default();
        if asked.len() >= MOST {
            return Err(Refusal::RateLimited(PATIENCE));
        }
        asked.push(Asked { query, answer });
        Ok((Waiting { questions: self, host, id }, answered))
    }

    fn take(&self, host: HostId, id: QueryId) -> Option<Asked> {
        let mut map = self.map();
        let asked = map.get_mut(&host)?;
        let found = asked.iter().position(|a| a.query.id == id).map(|at| asked.swap_remove(at));
        if asked.is_empty() {
            map.remove(&host);
        }
        found
    }

    /// What a host should look up that it does not know of yet. An agent that is too old for questions answers none: who waits is told.
    pub(super) fn of(&self, host: HostId, protocol: u16, known: &[QueryId]) -> Vec<Query> {
        if protocol < SINCE {
            let asked = self.map().remove(&host).unwrap_or_default();
            for question in asked {
                let _ = question.answer.send(Err(Refusal::AgentTooOld));
            }
            return Vec::new();
        }
        let map = self.map();
        let asked = map.get(&host).into_iter().flatten().map(|a| &a.query);
        asked.filter(|q| !known.contains(&q.id)).cloned().collect()
    }
}

/// Hands an answer to who waits for it.
///
/// # Errors
/// Nobody waits any more.
pub fn answer(s: &Services, host: HostId, id: QueryId, answer: QueryAnswer) -> Result<(), ActError> {
    s.presence.touch(host, Timestamp::now());
    let asked = s.questions.take(host, id).ok_or(ActError::NotFound(Noun::Query))?;
    asked.answer.send(Ok(answer)).map_err(|_| ActError::NotFound(Noun::Query))
}

/// Where a question is to be looked up.
#[derive(Clone, Debug)]
pub struct Looked {
    /// The repository.
    pub repository: RepositoryId,
    /// Whose own it is, where each host has one.
    pub of: Option<HostId>,
    /// The host that should look; one that can if none is named.
    pub by: Option<HostId>,
}

/// An answer, and who gave it.
#[derive(Clone, Debug)]
pub struct Told {
    /// The host that looked.
    pub host: HostId,
    /// What it said.
    pub answer: QueryAnswer,
}

/// How long an answer is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    /// A moment: what is not there by then is asked for once more by who shows that it is awaited.
    Glance,
    /// As long as a person waits.
    Full,
}

impl Patience {
    const fn span(self) -> Duration {
        match self {
            Self::Glance => GLANCE,
            Self::Full => PATIENCE,
        }
    }
}

/// Asks and waits for the answer.
///
/// # Errors
/// No host can look, or none answers in time.
pub async fn ask(s: &Services, looked: Looked, ask: QueryAsk, patience: Patience) -> Result<Told, ActError> {
    let online = online_now(s);
    let (host, url) =
        s.db.read(move |conn| reader(conn, &looked, &online).map(|r| (r, looked)))
            .await
            .map(|((host, url), looked)| ((host, looked), url))?;
    let (host, looked) = host;
    let query = Query {
        id: QueryId::new(),
        repository_id: looked.repository,
        repository_url: url,
        // Who looks again asks the same: what is found out for the one serves the other.
        deadline: Timestamp::now() + PATIENCE,
        ask,
    };
    let (waiting, answered) = s.questions.put(host, query)?;
    s.hub.hosts.wake(host);
    let answered = tokio::time::timeout(patience.span(), answered).await;
    drop(waiting);
    match answered {
        Ok(Ok(answer)) => Ok(Told { host, answer: answer? }),
        Ok(Err(_)) | Err(_) => Err(Refusal::NoAnswer.into()),
    }
}

/// Entries of snapshots, or how far the reading of one is.
#[derive(Clone, Debug)]
pub enum Files {
    /// Here they are.
    Page(QueryPage),
    /// A snapshot is being read for the first time.
    Indexing(Indexing),
}

/// Asks for entries: what is in a folder, what a search finds, versions. Answers who looked, too.
///
/// # Errors
/// No host can look, none answers in time, or the one that does says why not.
pub async fn files(
    s: &Services,
    looked: Looked,
    asked: QueryAsk,
    patience: Patience,
) -> Result<(HostId, Files), ActError> {
    let told = ask(s, looked, asked, patience).await?;
    match told.answer {
        QueryAnswer::Ready(page) => Ok((told.host, Files::Page(page))),
        QueryAnswer::Indexing(far) => Ok((told.host, Files::Indexing(far))),
        QueryAnswer::Refused(cause) => Err(Refusal::LookFailed(cause).into()),
        QueryAnswer::Changes(_) => Err(Refusal::NoAnswer.into()),
    }
}

/// The host that looks, and the repository's address where it is not the host's own: the one that was named, the one whose snapshots they
/// are, the maintenance host, any other; of those that are online.
fn reader(
    conn: &mut Conn,
    looked: &Looked,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<(HostId, Option<String>), ActError> {
    let record = repositories::get(conn, looked.repository)?.ok_or(ActError::NotFound(Noun::Repository))?;
    let maintains = record.repository.maintenance_host_id;
    let mut found = Vec::new();
    for credential in credentials::of_repository(conn, looked.repository)? {
        let id = credential.host_id;
        let reaches = looked.of.is_none() || looked.of == Some(id) || maintains == Some(id);
        let named = looked.by.is_none_or(|by| by == id);
        let Some(host) = hosts::get(conn, id)?.filter(|h| h.lifecycle == Lifecycle::Enrolled && reaches && named)
        else {
            continue;
        };
        let rank = (!online(&host), looked.of != Some(id), maintains != Some(id), id);
        found.push((rank, host, credential.url));
    }
    let Some((rank, host, own)) = found.into_iter().min_by_key(|(rank, ..)| *rank) else {
        return Err(Refusal::NoHostCan.into());
    };
    if rank.0 {
        return Err(Refusal::HostOffline(host.name).into());
    }
    let of = looked.of.filter(|of| *of != host.id).map(|of| hosts::get(conn, of)).transpose()?.flatten();
    let url = of.map(|of| url_for(own.as_deref().unwrap_or(&record.repository.url), &of.name));
    Ok((host.id, url))
}

/// A snapshot that can be looked into.
///
/// # Errors
/// It is not there, or not any more.
pub async fn snapshot(s: &Services, repository: RepositoryId, id: &str) -> Result<Snapshot, ActError> {
    let id = id.to_owned();
    s.db.read(move |conn| snapshots::get(conn, repository, &id)?.ok_or(ActError::NotFound(Noun::Snapshot))).await
}

/// Which snapshots a search goes through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Among {
    /// Those of a host.
    pub host: Option<HostId>,
    /// Those of a schedule.
    pub schedule: Option<ScheduleId>,
}

/// The newest snapshots of a host or schedule in one restic repository, newest first, as many as one question may be about.
///
/// # Errors
/// There is none.
pub async fn newest(s: &Services, repository: RepositoryId, among: Among) -> Result<Vec<Snapshot>, ActError> {
    let filter =
        Filter { repository: Some(repository), host: among.host, schedule: among.schedule, ..Filter::default() };
    let limit = i64::try_from(MAX_QUERY_SNAPSHOTS).unwrap_or(i64::MAX);
    let mut found = s.db.read(move |conn| snapshots::list(conn, &filter, None, limit)).await?;
    let of = found.first().ok_or(ActError::NotFound(Noun::Snapshot))?.of_host_id;
    // One question goes to one restic repository.
    found.retain(|snapshot| snapshot.of_host_id == of);
    Ok(found)
}
