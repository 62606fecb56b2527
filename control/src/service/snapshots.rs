//! Snapshots' metadata: seeing it.

pub use crate::store::snapshot_days::MOST;
pub use crate::store::snapshots::Filter;

use super::hosts::load as load_host;
use super::repositories::load as load_repository;
use super::{ActError, Listed, Noun, Services, after, at_and_id, audit, page};
use crate::domain::permission::Actor;
use crate::domain::snapshot::Snapshot;
use crate::store::{snapshot_days, snapshots};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;

/// Snapshots that are still there, newest first. The cursor is `<microseconds>.<snapshot id>`.
///
/// # Errors
/// No such host or repository, or a cursor that is not one of this list.
pub async fn list(
    s: &Services,
    filter: Filter,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Snapshot>, ActError> {
    let before = after(cursor, at_and_id)?;
    let items =
        s.db.read(move |conn| {
            if let Some(host) = filter.host {
                load_host(conn, host)?;
            }
            if let Some(repository) = filter.repository {
                load_repository(conn, repository)?;
            }
            Ok::<_, ActError>(snapshots::list(conn, &filter, before.as_ref(), limit + 1)?)
        })
        .await?;
    Ok(page(items, limit, |x| format!("{}.{}", x.time.micros(), x.id)))
}

/// A host's snapshots, newest first.
///
/// # Errors
/// No such host, or a cursor that is not one of this list.
pub async fn of_host(
    s: &Services,
    host: HostId,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Snapshot>, ActError> {
    list(s, Filter { host: Some(host), ..Filter::default() }, cursor, limit).await
}

/// Vouches for snapshots that no job of ours made, such as those from before restic-manager came: from then on retention counts them.
///
/// # Errors
/// When one of them is not there.
pub async fn vouch(s: &Services, actor: &Actor, repository: RepositoryId, ids: Vec<String>) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        load_repository(conn, repository)?;
        for id in &ids {
            if !snapshots::vouch(conn, repository, id)? {
                return Err(ActError::NotFound(Noun::Snapshot));
            }
        }
        let detail = serde_json::json!({"snapshots": ids});
        Ok(audit::record(conn, &actor, now, "snapshots.vouch", &format!("repository:{repository}"), &detail)?)
    })
    .await
}

/// The repositories that hold snapshots of a host, the one with the newest first.
///
/// # Errors
/// When the database fails.
pub async fn repositories_of_host(s: &Services, host: HostId) -> Result<Vec<RepositoryId>, ActError> {
    Ok(s.db.read(move |conn| snapshots::repositories_of_host(conn, host)).await?)
}

/// When snapshots of a host were taken since an instant, and the bytes that each added.
///
/// # Errors
/// When the database fails.
pub async fn added(s: &Services, host: HostId, since: Timestamp) -> Result<Vec<(Timestamp, u64)>, ActError> {
    s.db.read(move |conn| Ok(snapshots::added(conn, host, since)?)).await
}

/// How many snapshots a host has.
///
/// # Errors
/// When the database fails.
pub async fn count_of_host(s: &Services, host: HostId) -> Result<i64, ActError> {
    s.db.read(move |conn| Ok(snapshots::count_of_host(conn, host)?)).await
}

/// When snapshots were taken: how many on each of some days, and since when there are any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// How many on each day, at most [`MOST`].
    pub counts: Vec<i64>,
    /// When the oldest of the host, or of all, was taken.
    pub oldest: Option<Timestamp>,
    /// How many the host has; none without a host.
    pub of_host: Option<i64>,
}

/// How many of a host's snapshots, or of all, were taken on each of these days, each with its beginning and its end. A tag counts where there is a
/// host: among all hosts it would be looked for in every snapshot.
///
/// # Errors
/// When the database fails.
pub async fn days(s: &Services, filter: Filter, days: Vec<(Timestamp, Timestamp)>) -> Result<Days, ActError> {
    let tag = filter.tag.filter(|_| filter.host.is_some());
    let filter = Filter { host: filter.host, tag, ..Filter::default() };
    s.db.read(move |conn| {
        Ok(Days {
            counts: snapshot_days::counts(conn, &filter, &days)?,
            oldest: snapshot_days::oldest(conn, filter.host)?,
            of_host: filter.host.map(|host| snapshots::count_of_host(conn, host)).transpose()?,
        })
    })
    .await
}
