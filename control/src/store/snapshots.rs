//! Snapshots' metadata.

use super::bridge::{from_json, parse, parse_opt, place_host, to_json};
use super::conn::Backend;
use super::host_search::{has_tag, of_few};
use super::schema::{hosts, snapshots};
use super::{Conn, StoreResult};
use crate::domain::place::Place;
use crate::domain::snapshot::Snapshot;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{SnapshotRecord, job_tag, schedule_tag};

/// Where a snapshot comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The restic repository that holds it.
    pub place: Place,
    /// The host whose data it is, if it is one of ours.
    pub host_id: Option<HostId>,
    /// The schedule that made it.
    pub schedule_id: Option<ScheduleId>,
    /// The job that made it.
    pub job_id: Option<JobId>,
    /// Whether that job vouches for it.
    pub attested: bool,
    /// The job that listed it.
    pub listed_by: Option<JobId>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = snapshots)]
struct Row {
    repository_id: String,
    snapshot_id: String,
    host_id: Option<String>,
    schedule_id: Option<String>,
    job_id: Option<String>,
    time: i64,
    record: String,
    place: String,
    attested: bool,
}

fn snapshot(row: Row) -> StoreResult<Snapshot> {
    let record: SnapshotRecord = from_json("snapshots.record", &row.record)?;
    let schedule_id = parse_opt("snapshots.schedule_id", row.schedule_id.as_deref())?;
    let job_id = parse_opt("snapshots.job_id", row.job_id.as_deref())?;
    let ours: Vec<String> = schedule_id.map(schedule_tag).into_iter().chain(job_id.map(job_tag)).collect();
    Ok(Snapshot {
        id: row.snapshot_id,
        repository_id: parse("snapshots.repository_id", &row.repository_id)?,
        host_id: parse_opt("snapshots.host_id", row.host_id.as_deref())?,
        of_host_id: place_host("snapshots.place", &row.place)?,
        schedule_id,
        job_id,
        time: Timestamp::from_micros(row.time),
        hostname: record.hostname,
        username: record.username,
        paths: record.paths,
        tags: record.tags.into_iter().filter(|tag| !ours.contains(tag)).collect(),
        parent: record.parent,
        summary: record.summary,
        attested: row.attested,
    })
}

/// Stores what is known of a snapshot. What a listing does not know (its job, its figures) is kept from before. A snapshot is made once: a
/// second job that says it made it changes nothing.
///
/// # Errors
/// When the database fails.
pub fn put(conn: &mut Conn, origin: Origin, record: &SnapshotRecord, now: Timestamp) -> StoreResult<()> {
    let key = (origin.place.repository.to_string(), record.id.clone());
    let listed_by = origin.listed_by.map(|id| id.to_string());
    let job = origin.job_id.map(|id| id.to_string());
    let row = snapshots::table.find(key.clone()).select((snapshots::record, snapshots::job_id));
    let known: Option<(String, Option<String>)> = row.first(conn).optional()?;
    let Some((known, made_by)) = known else {
        diesel::insert_into(snapshots::table)
            .values((
                snapshots::repository_id.eq(&key.0),
                snapshots::snapshot_id.eq(&key.1),
                snapshots::host_id.eq(origin.host_id.map(|id| id.to_string())),
                snapshots::schedule_id.eq(origin.schedule_id.map(|id| id.to_string())),
                snapshots::job_id.eq(&job),
                snapshots::time.eq(record.time.micros()),
                snapshots::record.eq(to_json("snapshots.record", record)?),
                snapshots::place.eq(origin.place.text()),
                snapshots::attested.eq(origin.attested),
                snapshots::listed_by.eq(listed_by),
                snapshots::first_seen_at.eq(now.micros()),
            ))
            .execute(conn)?;
        return Ok(());
    };
    if job.is_some() && made_by.is_some() && job != made_by {
        return Ok(());
    }
    let known: SnapshotRecord = from_json("snapshots.record", &known)?;
    let merged = SnapshotRecord {
        summary: record.summary.clone().or(known.summary),
        parent: record.parent.clone().or(known.parent),
        ..record.clone()
    };
    diesel::update(snapshots::table.find(key.clone()))
        .set((
            snapshots::record.eq(to_json("snapshots.record", &merged)?),
            snapshots::time.eq(merged.time.micros()),
            snapshots::listed_by.eq(listed_by),
            snapshots::gone_at.eq(None::<i64>),
        ))
        .execute(conn)?;
    // A list may come before the report of the job that made the snapshot.
    if job.is_some() {
        diesel::update(snapshots::table.find(key))
            .set((
                snapshots::job_id.eq(&job),
                snapshots::schedule_id.eq(origin.schedule_id.map(|id| id.to_string())),
                snapshots::host_id.eq(origin.host_id.map(|id| id.to_string())),
                snapshots::attested.eq(origin.attested),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Notes that snapshots that a complete list of a place did not name are gone from it: of one host, or of all. Answers how many.
///
/// # Errors
/// When the database fails.
pub fn mark_unlisted_gone(
    conn: &mut Conn,
    place: Place,
    host: Option<HostId>,
    listed_by: JobId,
    listed_since: Timestamp,
    now: Timestamp,
) -> StoreResult<usize> {
    let mut gone = snapshots::table
        .filter(snapshots::repository_id.eq(place.repository.to_string()))
        .filter(snapshots::place.eq(place.text()))
        .filter(snapshots::gone_at.is_null())
        // What came into being while the list was made is not in it.
        .filter(snapshots::first_seen_at.lt(listed_since.micros()))
        .filter(snapshots::listed_by.is_null().or(snapshots::listed_by.ne(listed_by.to_string())))
        .select(snapshots::snapshot_id)
        .into_boxed::<Backend>();
    if let Some(host) = host {
        gone = gone.filter(snapshots::host_id.eq(host.to_string()));
    }
    let gone: Vec<String> = gone.load(conn)?;
    mark_gone(conn, place.repository, &gone, now)
}

/// Notes that these snapshots are gone from the repository. Answers how many were there.
///
/// # Errors
/// When the database fails.
pub fn mark_gone(conn: &mut Conn, repository: RepositoryId, ids: &[String], now: Timestamp) -> StoreResult<usize> {
    let mut count = 0;
    for part in ids.chunks(500) {
        count += diesel::update(
            snapshots::table
                .filter(snapshots::repository_id.eq(repository.to_string()))
                .filter(snapshots::snapshot_id.eq_any(part))
                .filter(snapshots::gone_at.is_null()),
        )
        .set(snapshots::gone_at.eq(now.micros()))
        .execute(conn)?;
    }
    Ok(count)
}

/// A snapshot that `tag` or `rewrite` wrote anew stands for the old one: it keeps host, schedule, job and whether it is attested.
///
/// # Errors
/// When the database fails.
pub fn replaced(
    conn: &mut Conn,
    repository: RepositoryId,
    (old, new): (&str, &str),
    now: Timestamp,
) -> StoreResult<()> {
    let key = |id: &str| (repository.to_string(), id.to_owned());
    let row: Option<Row> = snapshots::table.find(key(old)).select(Row::as_select()).first(conn).optional()?;
    let Some(row) = row else { return Ok(()) };
    let known: SnapshotRecord = from_json("snapshots.record", &row.record)?;
    let record = SnapshotRecord { id: new.to_owned(), ..known };
    let origin = Origin {
        place: Place { repository, host: place_host("snapshots.place", &row.place)? },
        host_id: parse_opt("snapshots.host_id", row.host_id.as_deref())?,
        schedule_id: parse_opt("snapshots.schedule_id", row.schedule_id.as_deref())?,
        job_id: parse_opt("snapshots.job_id", row.job_id.as_deref())?,
        attested: row.attested,
        listed_by: None,
    };
    put(conn, origin, &record, now)
}

/// A place in a list, newest first: everything older than this.
pub type Before = (Timestamp, String);

/// What a list of snapshots is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One host's.
    pub host: Option<HostId>,
    /// Of hosts with this tag.
    pub host_tag: Option<String>,
    /// One repository's.
    pub repository: Option<RepositoryId>,
    /// One schedule's.
    pub schedule: Option<ScheduleId>,
    /// Only those that are attested, or only those that are not.
    pub attested: Option<bool>,
    /// With this tag.
    pub tag: Option<String>,
    /// Taken then or later.
    pub since: Option<Timestamp>,
    /// Taken before this.
    pub until: Option<Timestamp>,
}

/// Snapshots that are still there, newest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn, filter: &Filter, before: Option<&Before>, limit: i64) -> StoreResult<Vec<Snapshot>> {
    if let (Some(tag), None) = (&filter.host_tag, filter.host) {
        let of_one = |conn: &mut Conn, host| {
            narrowed(conn, &Filter { host: Some(host), host_tag: None, ..filter.clone() }, before, limit)
        };
        let newest_first = |a: &Snapshot, b: &Snapshot| (b.time, &b.id).cmp(&(a.time, &a.id));
        if let Some(all) = of_few(conn, tag, limit, of_one, newest_first)? {
            return Ok(all);
        }
    }
    narrowed(conn, filter, before, limit)
}

fn narrowed(conn: &mut Conn, filter: &Filter, before: Option<&Before>, limit: i64) -> StoreResult<Vec<Snapshot>> {
    let (at, id) = before.map_or((i64::MAX, ""), |(at, id)| (at.micros(), id.as_str()));
    let mut query = snapshots::table
        .filter(snapshots::gone_at.is_null())
        // Says the same once more, in a way that an index can follow.
        .filter(snapshots::time.le(at))
        .filter(snapshots::time.lt(at).or(snapshots::time.eq(at).and(snapshots::snapshot_id.lt(id.to_owned()))))
        .select(Row::as_select())
        .into_boxed::<Backend>();
    if let Some(tag) = &filter.host_tag {
        let tagged = hosts::table.filter(has_tag(tag)?).select(hosts::id.nullable());
        query = query.filter(snapshots::host_id.eq_any(tagged));
    }
    if let Some(host) = filter.host {
        query = query.filter(snapshots::host_id.eq(host.to_string()));
    }
    if let Some(repository) = filter.repository {
        query = query.filter(snapshots::repository_id.eq(repository.to_string()));
    }
    if let Some(schedule) = filter.schedule {
        query = query.filter(snapshots::schedule_id.eq(schedule.to_string()));
    }
    if let Some(attested) = filter.attested {
        query = query.filter(snapshots::attested.eq(attested));
    }
    if let Some(since) = filter.since {
        query = query.filter(snapshots::time.ge(since.micros()));
    }
    if let Some(until) = filter.until {
        query = query.filter(snapshots::time.lt(until.micros()));
    }
    if let Some(tag) = &filter.tag {
        // Each database looks into JSON in its own words.
        let (before, after) = match conn {
            Conn::Sqlite(_) => {
                ("EXISTS (SELECT 1 FROM json_each(snapshots.record, '$.tags') AS t WHERE t.value = ", ")")
            }
            Conn::Pg(_) => ("(snapshots.record::jsonb -> 'tags') @> to_jsonb(", "::text)"),
        };
        query = query.filter(sql::<Bool>(before).bind::<Text, _>(tag.clone()).sql(after));
    }
    let rows = query.order((snapshots::time.desc(), snapshots::snapshot_id.desc())).limit(limit).load(conn)?;
    rows.into_iter().map(snapshot).collect()
}

/// When snapshots of a host were taken since an instant, and the bytes that each added, also of those that are gone.
///
/// # Errors
/// When the database fails.
pub fn added(conn: &mut Conn, host: HostId, since: Timestamp) -> StoreResult<Vec<(Timestamp, u64)>> {
    let rows: Vec<Row> = snapshots::table
        .filter(snapshots::host_id.eq(host.to_string()))
        .filter(snapshots::time.ge(since.micros()))
        .select(Row::as_select())
        .load(conn)?;
    let added = |s: &Snapshot| s.summary.as_ref().map_or(0, |s| s.data_added_packed.unwrap_or(s.data_added));
    rows.into_iter().map(|row| snapshot(row).map(|s| (s.time, added(&s)))).collect()
}

/// The repositories that hold snapshots of a host, the one with the newest first.
///
/// # Errors
/// When the database fails.
pub fn repositories_of_host(conn: &mut Conn, host: HostId) -> StoreResult<Vec<RepositoryId>> {
    let rows = snapshots::table
        .filter(snapshots::host_id.eq(host.to_string()))
        .filter(snapshots::gone_at.is_null())
        .group_by(snapshots::repository_id)
        .select((snapshots::repository_id, diesel::dsl::max(snapshots::time)))
        .load::<(String, Option<i64>)>(conn)?;
    let mut found = Vec::new();
    for (id, newest) in rows {
        found.push((std::cmp::Reverse(newest), parse("snapshots.repository_id", &id)?));
    }
    found.sort_by_key(|(newest, _)| *newest);
    Ok(found.into_iter().map(|(_, id)| id).collect())
}

/// All snapshots of a repository that some schedule made or, by their tag, is said to have made, and that are still there.
///
/// # Errors
/// When the database fails.
pub fn of_schedule(conn: &mut Conn, repository: RepositoryId, schedule: ScheduleId) -> StoreResult<Vec<Snapshot>> {
    let rows = snapshots::table
        .filter(snapshots::repository_id.eq(repository.to_string()))
        .filter(snapshots::schedule_id.eq(schedule.to_string()))
        .filter(snapshots::gone_at.is_null())
        .order((snapshots::time.desc(), snapshots::snapshot_id.desc()))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(snapshot).collect()
}

/// One snapshot, also one that is gone.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, repository: RepositoryId, id: &str) -> StoreResult<Option<Snapshot>> {
    snapshots::table
        .find((repository.to_string(), id.to_owned()))
        .select(Row::as_select())
        .first(conn)
        .optional()?
        .map(snapshot)
        .transpose()
}

/// Marks a snapshot that is there as attested. False if it is not there.
///
/// # Errors
/// When the database fails.
pub fn vouch(conn: &mut Conn, repository: RepositoryId, id: &str) -> StoreResult<bool> {
    let there = snapshots::table.find((repository.to_string(), id.to_owned())).filter(snapshots::gone_at.is_null());
    Ok(diesel::update(there).set(snapshots::attested.eq(true)).execute(conn)? > 0)
}

/// How many snapshots each place of a repository has.
///
/// # Errors
/// When the database fails.
pub fn count_by_place(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<(Place, i64)>> {
    let rows: Vec<(String, i64)> = snapshots::table
        .filter(snapshots::repository_id.eq(repository.to_string()))
        .filter(snapshots::gone_at.is_null())
        .group_by(snapshots::place)
        .select((snapshots::place, diesel::dsl::count_star()))
        .load(conn)?;
    rows.into_iter()
        .map(|(text, count)| Ok((Place { repository, host: place_host("snapshots.place", &text)? }, count)))
        .collect()
}

/// The bytes that all snapshots of a place stand for. None if one of them does not say: those from before restic 0.17.
///
/// # Errors
/// When the database fails.
pub fn total_size(conn: &mut Conn, place: Place) -> StoreResult<Option<u64>> {
    let records: Vec<String> = snapshots::table
        .filter(snapshots::repository_id.eq(place.repository.to_string()))
        .filter(snapshots::place.eq(place.text()))
        .filter(snapshots::gone_at.is_null())
        .select(snapshots::record)
        .load(conn)?;
    let mut total = Some(0_u64);
    for text in records {
        let record: SnapshotRecord = from_json("snapshots.record", &text)?;
        total = total.zip(record.summary.map(|s| s.total_bytes_processed)).map(|(a, b)| a.saturating_add(b));
    }
    Ok(total)
}

/// How many snapshots a repository has: all, and those that are not attested.
///
/// # Errors
/// When the database fails.
pub fn count_of_repository(conn: &mut Conn, repository: RepositoryId) -> StoreResult<(i64, i64)> {
    let there = snapshots::table
        .filter(snapshots::repository_id.eq(repository.to_string()))
        .filter(snapshots::gone_at.is_null());
    let all = there.clone().count().get_result(conn)?;
    Ok((all, there.filter(snapshots::attested.eq(false)).count().get_result(conn)?))
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

/// The hosts that have snapshots in a repository now.
///
/// # Errors
/// When the database fails.
pub fn hosts_of(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<HostId>> {
    let rows = snapshots::table
        .filter(snapshots::repository_id.eq(repository.to_string()))
        .filter(snapshots::gone_at.is_null())
        .filter(snapshots::host_id.is_not_null())
        .select(snapshots::host_id.assume_not_null())
        .distinct()
        .order(snapshots::host_id)
        .load::<String>(conn)?;
    rows.iter().map(|id| parse("snapshots.host_id", id)).collect()
}
