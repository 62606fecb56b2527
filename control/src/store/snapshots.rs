//! Snapshots' metadata.

use super::bridge::{from_json, parse, parse_opt, to_json};
use super::schema::snapshots;
use super::{Conn, StoreResult};
use crate::domain::snapshot::Snapshot;
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{SnapshotRecord, job_tag, schedule_tag};
use std::collections::HashSet;

/// Where a snapshot comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The repository that holds it.
    pub repository_id: RepositoryId,
    /// The host whose data it is.
    pub host_id: HostId,
    /// The schedule that made it.
    pub schedule_id: Option<ScheduleId>,
    /// The job that made it.
    pub job_id: Option<JobId>,
}

type Row = (String, String, String, Option<String>, Option<String>, i64, String, i64, Option<i64>);

fn snapshot(row: Row) -> StoreResult<Snapshot> {
    let record: SnapshotRecord = from_json("snapshots.record", &row.6)?;
    let (schedule_id, job_id) =
        (parse_opt("snapshots.schedule_id", row.3.as_deref())?, parse_opt("snapshots.job_id", row.4.as_deref())?);
    let ours: Vec<String> = schedule_id.map(schedule_tag).into_iter().chain(job_id.map(job_tag)).collect();
    Ok(Snapshot {
        id: row.1,
        repository_id: parse("snapshots.repository_id", &row.0)?,
        host_id: parse("snapshots.host_id", &row.2)?,
        schedule_id,
        job_id,
        time: Timestamp::from_micros(row.5),
        hostname: record.hostname,
        username: record.username,
        paths: record.paths,
        tags: record.tags.into_iter().filter(|tag| !ours.contains(tag)).collect(),
        parent: record.parent,
        summary: record.summary,
    })
}

/// Stores what is known of a snapshot. What a listing does not know (its job, its figures) is kept from before.
///
/// # Errors
/// When the database fails.
pub fn put(conn: &mut Conn, origin: Origin, record: &SnapshotRecord, now: Timestamp) -> StoreResult<()> {
    let key = (origin.repository_id.to_string(), record.id.clone());
    let known: Option<String> = snapshots::table.find(key.clone()).select(snapshots::record).first(conn).optional()?;
    let Some(known) = known else {
        diesel::insert_into(snapshots::table)
            .values((
                snapshots::repository_id.eq(&key.0),
                snapshots::snapshot_id.eq(&key.1),
                snapshots::host_id.eq(origin.host_id.to_string()),
                snapshots::schedule_id.eq(origin.schedule_id.map(|id| id.to_string())),
                snapshots::job_id.eq(origin.job_id.map(|id| id.to_string())),
                snapshots::time.eq(record.time.micros()),
                snapshots::record.eq(to_json("snapshots.record", record)?),
                snapshots::first_seen_at.eq(now.micros()),
            ))
            .execute(conn)?;
        return Ok(());
    };
    let known: SnapshotRecord = from_json("snapshots.record", &known)?;
    let merged = SnapshotRecord {
        summary: record.summary.clone().or(known.summary),
        parent: record.parent.clone().or(known.parent),
        ..record.clone()
    };
    diesel::update(snapshots::table.find(key))
        .set((
            snapshots::record.eq(to_json("snapshots.record", &merged)?),
            snapshots::time.eq(merged.time.micros()),
            snapshots::gone_at.eq(None::<i64>),
        ))
        .execute(conn)?;
    Ok(())
}

/// Notes that the host's snapshots that are not in `there` are gone from the repository.
///
/// # Errors
/// When the database fails.
pub fn mark_gone(
    conn: &mut Conn,
    repository: RepositoryId,
    host: HostId,
    there: &HashSet<&str>,
    now: Timestamp,
) -> StoreResult<()> {
    let known: Vec<String> = snapshots::table
        .filter(snapshots::repository_id.eq(repository.to_string()))
        .filter(snapshots::host_id.eq(host.to_string()))
        .filter(snapshots::gone_at.is_null())
        .select(snapshots::snapshot_id)
        .load(conn)?;
    let gone: Vec<&String> = known.iter().filter(|id| !there.contains(id.as_str())).collect();
    for part in gone.chunks(500) {
        diesel::update(
            snapshots::table
                .filter(snapshots::repository_id.eq(repository.to_string()))
                .filter(snapshots::snapshot_id.eq_any(part.iter().copied())),
        )
        .set(snapshots::gone_at.eq(now.micros()))
        .execute(conn)?;
    }
    Ok(())
}

/// A place in a list, newest first: everything older than this.
pub type Before = (Timestamp, String);

/// A host's snapshots that are still there, newest first.
///
/// # Errors
/// When the database fails.
pub fn of_host(conn: &mut Conn, host: HostId, before: Option<&Before>, limit: i64) -> StoreResult<Vec<Snapshot>> {
    let (at, id) = before.map_or((i64::MAX, ""), |(at, id)| (at.micros(), id.as_str()));
    let rows = snapshots::table
        .filter(snapshots::host_id.eq(host.to_string()))
        .filter(snapshots::gone_at.is_null())
        .filter(snapshots::time.lt(at).or(snapshots::time.eq(at).and(snapshots::snapshot_id.lt(id.to_owned()))))
        .order((snapshots::time.desc(), snapshots::snapshot_id.desc()))
        .limit(limit)
        .load::<Row>(conn)?;
    rows.into_iter().map(snapshot).collect()
}

/// How many snapshots a host has.
///
/// # Errors
/// When the database fails.
pub fn count_of_host(conn: &mut Conn, host: HostId) -> StoreResult<i64> {
    Ok(snapshots::table
        .filter(snapshots::host_id.eq(host.to_string()))
        .filter(snapshots::gone_at.is_null())
        .count()
        .get_result(conn)?)
}
