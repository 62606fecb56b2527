//! Snapshots' metadata: seeing it.

use super::{ActError, Listed, Services, hosts::load as load_host, page};
use crate::domain::snapshot::Snapshot;
use crate::store::snapshots;
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;

/// A host's snapshots, newest first. The cursor is `<microseconds>.<snapshot id>`.
///
/// # Errors
/// No such host, or a cursor that is not one of this list.
pub async fn of_host(
    s: &Services,
    host: HostId,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Snapshot>, ActError> {
    let before =
        cursor.map(|c| parse(&c).ok_or_else(|| ActError::field("/cursor", "not a cursor of this list"))).transpose()?;
    let items =
        s.db.read(move |conn| {
            load_host(conn, host)?;
            Ok::<_, ActError>(snapshots::of_host(conn, host, before.as_ref(), limit + 1)?)
        })
        .await?;
    Ok(page(items, limit, |x| format!("{}.{}", x.time.micros(), x.id)))
}

fn parse(cursor: &str) -> Option<snapshots::Before> {
    let (at, id) = cursor.split_once('.')?;
    Some((Timestamp::from_micros(at.parse().ok()?), id.to_owned()))
}

/// How many snapshots a host has.
///
/// # Errors
/// When the database fails.
pub async fn count_of_host(s: &Services, host: HostId) -> Result<i64, ActError> {
    s.db.read(move |conn| Ok(snapshots::count_of_host(conn, host)?)).await
}
