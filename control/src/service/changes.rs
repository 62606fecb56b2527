//! What differs between two snapshots: asked of a host that can read both, a page at a time. Not the job that compares, whose outcome is kept.

use super::queries::{self, Looked, Patience};
use super::{ActError, Refusal, Services};
use crate::domain::snapshot::Snapshot;
use crate::store::snapshots::{self, Filter};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::wire::changes::{ChangeKind, ChangesAsk, ChangesPage};
use restic_manager_shared::wire::query::{Indexing, QueryAnswer};

/// Two snapshots of one restic repository.
#[derive(Clone, Debug)]
pub struct Pair {
    /// What it was.
    pub older: Snapshot,
    /// What it is.
    pub newer: Snapshot,
}

/// Looks the two up. If the older is not named, it is the one that the same schedule of the same host made before.
///
/// # Errors
/// One of them is not there, or they are not in the same restic repository.
pub async fn pair(s: &Services, repository: RepositoryId, from: Option<&str>, to: &str) -> Result<Pair, ActError> {
    let newer = queries::snapshot(s, repository, to).await?;
    let older = match from {
        Some(from) => queries::snapshot(s, repository, from).await?,
        None => before(s, newer.clone()).await?,
    };
    if older.of_host_id != newer.of_host_id {
        let why = "each host has a repository of its own there: choose two snapshots of the same host";
        return Err(ActError::field("/from", why));
    }
    Ok(Pair { older, newer })
}

async fn before(s: &Services, newer: Snapshot) -> Result<Snapshot, ActError> {
    let filter = Filter {
        repository: Some(newer.repository_id),
        host: newer.host_id,
        schedule: newer.schedule_id,
        ..Filter::default()
    };
    let at = (newer.time, newer.id);
    let found = s.db.read(move |conn| snapshots::list(conn, &filter, Some(&at), 1)).await?.pop();
    found.ok_or_else(|| ActError::field("/from", "there is no earlier one to compare with: name one"))
}

/// Which of the changes.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// In this folder and below; empty for everywhere.
    pub under: String,
    /// One by one, however deep.
    pub flat: bool,
    /// What they are called, if not anything.
    pub pattern: String,
    /// Only this kind.
    pub kind: Option<ChangeKind>,
    /// `next` of the page before.
    pub after: Option<String>,
    /// How many at most.
    pub limit: u32,
}

/// A page, or how far the reading of the snapshots is.
#[derive(Clone, Debug)]
pub enum Told {
    /// Here it is.
    Page(ChangesPage),
    /// They are being read for the first time.
    Indexing(Indexing),
}

/// Asks.
///
/// # Errors
/// No host can look, none answers, or the one that does says why not.
pub async fn ask(
    s: &Services,
    pair: &Pair,
    by: Option<HostId>,
    asked: Asked,
    patience: Patience,
) -> Result<(HostId, Told), ActError> {
    let Asked { under, flat, pattern, kind, after, limit } = asked;
    let ask = ChangesAsk {
        from: pair.older.id.clone(),
        to: pair.newer.id.clone(),
        under: if under.starts_with('/') { under } else { "/".to_owned() },
        flat,
        pattern,
        kinds: kind.into_iter().collect(),
        after,
        limit,
    };
    let of = pair.newer.of_host_id.or(pair.newer.host_id);
    let looked = Looked { repository: pair.newer.repository_id, of, by };
    let told = queries::ask(s, looked, ask.into(), patience).await?;
    match told.answer {
        QueryAnswer::Changes(page) => Ok((told.host, Told::Page(page))),
        QueryAnswer::Indexing(far) => Ok((told.host, Told::Indexing(far))),
        QueryAnswer::Refused(cause) => Err(Refusal::LookFailed(cause).into()),
        QueryAnswer::Ready(_) => Err(Refusal::NoAnswer.into()),
    }
}
