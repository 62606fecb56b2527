//! Drills that ended, the evidence of each file, and how far each schedule's plan was followed.

use super::bridge::{from_json, parse, parse_opt, time, to_json};
use super::conn::Backend;
use super::schedules::{drill as plan_of, pauses_of};
use super::schema::{drill_states, drilled_files, drills, hosts, schedules};
use super::{Conn, StoreResult};
use crate::domain::drill::{Drill, DrillPlan, DrilledEvidence};
use crate::domain::pause::spans;
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::pause::Pause;
use restic_manager_shared::wire::restore::{DrilledFile, Proof};
use sha2::{Digest, Sha256};

/// Drills kept of a schedule, or of a host's snapshots that belong to none; the oldest go.
const KEPT: i64 = 500;
/// Files of a schedule whose evidence is kept; those that were proven longest ago go, and may be chosen by chance again.
const FILES_KEPT: i64 = 5_000;
/// Rows that go at a time.
const AT_A_TIME: i64 = 1_000;

/// How far a schedule's plan was followed, and what was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Up to which instant its fires were acted on.
    pub followed_until: Timestamp,
    /// When its backups were last proven.
    pub proven_at: Option<Timestamp>,
    /// Out of which snapshot.
    pub proven_snapshot: Option<String>,
    /// The newest drill.
    pub last_job_id: Option<JobId>,
    /// What is in the way of the next one, or was wrong with the last.
    pub note: Option<String>,
}

type StateRow = (i64, Option<i64>, Option<String>, Option<String>, Option<String>);

fn state_of(row: StateRow) -> StoreResult<State> {
    Ok(State {
        followed_until: Timestamp::from_micros(row.0),
        proven_at: time(row.1),
        proven_snapshot: row.2,
        last_job_id: parse_opt("drill_states.last_job_id", row.3.as_deref())?,
        note: row.4.as_deref().map(|n| from_json("drill_states.note", n)).transpose()?,
    })
}

/// How far a schedule's plan was followed; none if it never had one and was never drilled.
///
/// # Errors
/// When the database fails.
pub fn state(conn: &mut Conn, schedule: ScheduleId) -> StoreResult<Option<State>> {
    drill_states::table
        .find(schedule.to_string())
        .select((
            drill_states::followed_until,
            drill_states::proven_at,
            drill_states::proven_snapshot_id,
            drill_states::last_job_id,
            drill_states::note,
        ))
        .first::<StateRow>(conn)
        .optional()?
        .map(state_of)
        .transpose()
}

/// Keeps how far a schedule's plan was followed.
///
/// # Errors
/// When the database fails.
pub fn put_state(conn: &mut Conn, schedule: ScheduleId, s: &State) -> StoreResult<()> {
    let id = schedule.to_string();
    let values = (
        drill_states::followed_until.eq(s.followed_until.micros()),
        drill_states::proven_at.eq(s.proven_at.map(Timestamp::micros)),
        drill_states::proven_snapshot_id.eq(s.proven_snapshot.as_deref()),
        drill_states::last_job_id.eq(s.last_job_id.map(|id| id.to_string())),
        drill_states::note.eq(s.note.as_ref().map(|n| to_json("drill_states.note", n)).transpose()?),
    );
    if diesel::update(drill_states::table.find(&id)).set(values.clone()).execute(conn)? == 0 {
        diesel::insert_into(drill_states::table).values((drill_states::schedule_id.eq(id), values)).execute(conn)?;
    }
    Ok(())
}

/// Says that a schedule's fires were acted on up to an instant. False if somebody else has said so already.
///
/// # Errors
/// When the database fails.
pub fn follow(conn: &mut Conn, schedule: ScheduleId, from: Timestamp, to: Timestamp) -> StoreResult<bool> {
    let as_seen = drill_states::table.find(schedule.to_string()).filter(drill_states::followed_until.eq(from.micros()));
    Ok(diesel::update(as_seen).set(drill_states::followed_until.eq(to.micros())).execute(conn)? > 0)
}

/// An enabled schedule with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// Which.
    pub schedule_id: ScheduleId,
    /// Its host.
    pub host_id: HostId,
    /// Where its backups are.
    pub repository_id: RepositoryId,
    /// Its plan.
    pub plan: DrillPlan,
    /// Its own zone, or its host's.
    pub timezone: Option<String>,
    /// Up to which instant its fires were acted on.
    pub followed_until: Timestamp,
    /// Times in which nothing of it starts by itself: its own and its host's.
    pub pauses: Vec<Pause>,
}

type PlannedRow = (String, String, String, Option<String>, Option<String>, Option<String>, i64, Paused);
/// The pauses of the host and of the schedule.
type Paused = (Option<String>, Option<String>);

/// All enabled schedules that have a plan and a repository; or one, if it is such a one.
///
/// # Errors
/// When the database fails.
pub fn planned(conn: &mut Conn, one: Option<ScheduleId>) -> StoreResult<Vec<Planned>> {
    let mut query = drill_states::table
        .inner_join(schedules::table)
        .inner_join(hosts::table.on(hosts::id.eq(schedules::host_id)))
        .filter(schedules::enabled.eq(true))
        .filter(schedules::drill.is_not_null())
        .filter(schedules::repository_id.is_not_null())
        .select((
            schedules::id,
            schedules::host_id,
            schedules::repository_id.assume_not_null(),
            schedules::drill,
            schedules::timezone,
            hosts::timezone,
            drill_states::followed_until,
            (hosts::pauses, schedules::pauses),
        ))
        .into_boxed::<Backend>();
    if let Some(one) = one {
        query = query.filter(schedules::id.eq(one.to_string()));
    }
    let mut found = vec![];
    for (id, host, repository, plan, own, of_host, followed, (host_pauses, own_pauses)) in
        query.load::<PlannedRow>(conn)?
    {
        let Some(plan) = plan_of(plan.as_deref())? else { continue };
        found.push(Planned {
            schedule_id: parse("schedules.id", &id)?,
            host_id: parse("schedules.host_id", &host)?,
            repository_id: parse("schedules.repository_id", &repository)?,
            plan,
            timezone: own.or(of_host),
            followed_until: Timestamp::from_micros(followed),
            pauses: spans(
                &pauses_of("hosts.pauses", host_pauses.as_deref())?,
                &pauses_of("schedules.pauses", own_pauses.as_deref())?,
            ),
        });
    }
    Ok(found)
}

/// When backups of these hosts were last proven: the newest of all their schedules. Hosts where nothing was are left out.
///
/// # Errors
/// When the database fails.
pub fn proven(conn: &mut Conn, hosts: &[HostId]) -> StoreResult<Vec<(HostId, Timestamp)>> {
    let ids: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let rows: Vec<(String, Option<i64>)> = drill_states::table
        .inner_join(schedules::table)
        .filter(schedules::host_id.eq_any(ids))
        .filter(drill_states::proven_at.is_not_null())
        .group_by(schedules::host_id)
        .select((schedules::host_id, diesel::dsl::max(drill_states::proven_at)))
        .load(conn)?;
    rows.into_iter()
        .filter_map(|(host, at)| Some((host, time(at)?)))
        .map(|(host, at)| Ok((parse("schedules.host_id", &host)?, at)))
        .collect()
}

type Row = (String, String, Option<String>, Option<String>, i64, String, String);

fn drill(row: Row) -> StoreResult<Drill> {
    Ok(Drill {
        job_id: parse("drills.job_id", &row.0)?,
        host_id: parse("drills.host_id", &row.1)?,
        schedule_id: parse_opt("drills.schedule_id", row.2.as_deref())?,
        repository_id: parse_opt("drills.repository_id", row.3.as_deref())?,
        at: Timestamp::from_micros(row.4),
        verdict: parse("drills.verdict", &row.5)?,
        record: from_json("drills.record", &row.6)?,
    })
}

/// Keeps a drill that ended, over what was known of the same one. Those that are too many go.
///
/// # Errors
/// When the database fails.
pub fn put(conn: &mut Conn, d: &Drill) -> StoreResult<()> {
    diesel::delete(drills::table.find(d.job_id.to_string())).execute(conn)?;
    diesel::insert_into(drills::table)
        .values((
            drills::job_id.eq(d.job_id.to_string()),
            drills::host_id.eq(d.host_id.to_string()),
            drills::schedule_id.eq(d.schedule_id.map(|id| id.to_string())),
            drills::repository_id.eq(d.repository_id.map(|id| id.to_string())),
            drills::at.eq(d.at.micros()),
            drills::verdict.eq(d.verdict.as_str()),
            drills::record.eq(to_json("drills.record", &d.record)?),
        ))
        .execute(conn)?;
    trim(conn, d)
}

fn trim(conn: &mut Conn, newest: &Drill) -> StoreResult<()> {
    let mut query = drills::table.select(drills::job_id).into_boxed::<Backend>();
    query = match newest.schedule_id {
        Some(id) => query.filter(drills::schedule_id.eq(id.to_string())),
        None => query.filter(drills::host_id.eq(newest.host_id.to_string())).filter(drills::schedule_id.is_null()),
    };
    let too_many: Vec<String> =
        query.order((drills::at.desc(), drills::job_id.desc())).offset(KEPT).limit(AT_A_TIME).load(conn)?;
    diesel::delete(drills::table.filter(drills::job_id.eq_any(too_many))).execute(conn)?;
    Ok(())
}

/// What a list of drills is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One host's.
    pub host: Option<HostId>,
    /// One schedule's.
    pub schedule: Option<ScheduleId>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// A place in the list, newest first: everything older than this.
pub type Before = (Timestamp, JobId);

/// Drills, the newest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn, filter: &Filter, before: Option<Before>, limit: i64) -> StoreResult<Vec<Drill>> {
    let mut query = drills::table.into_boxed::<Backend>();
    if let Some((at, id)) = before {
        let at = at.micros();
        // Says the same once more, in a way that an index can follow.
        query = query
            .filter(drills::at.le(at))
            .filter(drills::at.lt(at).or(drills::at.eq(at).and(drills::job_id.lt(id.to_string()))));
    }
    if let Some(host) = filter.host {
        query = query.filter(drills::host_id.eq(host.to_string()));
    }
    if let Some(schedule) = filter.schedule {
        query = query.filter(drills::schedule_id.eq(schedule.to_string()));
    }
    if let Some(since) = filter.since {
        query = query.filter(drills::at.ge(since.micros()));
    }
    if let Some(until) = filter.until {
        query = query.filter(drills::at.lt(until.micros()));
    }
    let rows = query.order((drills::at.desc(), drills::job_id.desc())).limit(limit).load::<Row>(conn)?;
    rows.into_iter().map(drill).collect()
}

/// A path's key: paths may be longer than an index takes.
fn key_of(path: &str) -> String {
    Sha256::digest(path).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where evidence comes from.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Whose.
    pub schedule: ScheduleId,
    /// The drill.
    pub job: JobId,
    /// Its snapshot.
    pub snapshot: &'a str,
    /// When it ended.
    pub at: Timestamp,
}

/// Keeps what a drill found out about files. What is no longer in the snapshot is forgotten: it can never be proven again.
///
/// # Errors
/// When the database fails.
pub fn keep_files(conn: &mut Conn, source: Source<'_>, files: &[DrilledFile]) -> StoreResult<()> {
    for file in files {
        let id = (source.schedule.to_string(), key_of(&file.path));
        if file.proof == Proof::NotThere {
            diesel::delete(drilled_files::table.find(id)).execute(conn)?;
            continue;
        }
        let is_proven = matches!(file.proof, Proof::EqualToSource | Proof::HashVerified);
        let last = drilled_files::table.find(id.clone()).select(drilled_files::proven_at);
        let last: Option<i64> = last.first::<Option<i64>>(conn).optional()?.flatten();
        let values = (
            drilled_files::file.eq(to_json("drilled_files.file", file)?),
            drilled_files::snapshot_id.eq(source.snapshot),
            drilled_files::job_id.eq(source.job.to_string()),
            drilled_files::failed.eq(!is_proven),
            drilled_files::drilled_at.eq(source.at.micros()),
            drilled_files::proven_at.eq(if is_proven { Some(source.at.micros()) } else { last }),
        );
        if diesel::update(drilled_files::table.find(id.clone())).set(values.clone()).execute(conn)? == 0 {
            diesel::insert_into(drilled_files::table)
                .values((drilled_files::schedule_id.eq(id.0), drilled_files::path_key.eq(id.1), values))
                .execute(conn)?;
        }
    }
    trim_files(conn, source.schedule)
}

fn trim_files(conn: &mut Conn, schedule: ScheduleId) -> StoreResult<()> {
    let too_many: Vec<String> = drilled_files::table
        .filter(drilled_files::schedule_id.eq(schedule.to_string()))
        .order((drilled_files::failed.desc(), drilled_files::drilled_at.desc(), drilled_files::path_key))
        .select(drilled_files::path_key)
        .offset(FILES_KEPT)
        .limit(AT_A_TIME)
        .load(conn)?;
    for part in too_many.chunks(500) {
        diesel::delete(
            drilled_files::table
                .filter(drilled_files::schedule_id.eq(schedule.to_string()))
                .filter(drilled_files::path_key.eq_any(part)),
        )
        .execute(conn)?;
    }
    Ok(())
}

/// Says that these were asked for and left out as too much, so that others come before them the next time.
///
/// # Errors
/// When the database fails.
pub fn left_out(conn: &mut Conn, schedule: ScheduleId, paths: &[&str], at: Timestamp) -> StoreResult<()> {
    for path in paths {
        diesel::update(drilled_files::table.find((schedule.to_string(), key_of(path))))
            .set(drilled_files::drilled_at.eq(at.micros()))
            .execute(conn)?;
    }
    Ok(())
}

/// The paths that wait longest for a proof: what failed first, then what was drilled longest ago.
///
/// # Errors
/// When the database fails.
pub fn oldest(conn: &mut Conn, schedule: ScheduleId, limit: i64) -> StoreResult<Vec<String>> {
    let rows: Vec<String> = drilled_files::table
        .filter(drilled_files::schedule_id.eq(schedule.to_string()))
        .order((drilled_files::failed.desc(), drilled_files::drilled_at, drilled_files::path_key))
        .select(drilled_files::file)
        .limit(limit)
        .load(conn)?;
    rows.iter().map(|text| Ok(from_json::<DrilledFile>("drilled_files.file", text)?.path)).collect()
}

type FileRow = (String, String, String, String, i64, Option<i64>);

/// The evidence of a schedule's files, in an order of its own. `after` is the key of the last one seen; answers each with its key.
///
/// # Errors
/// When the database fails.
pub fn evidence(
    conn: &mut Conn,
    schedule: ScheduleId,
    after: &str,
    limit: i64,
) -> StoreResult<Vec<(String, DrilledEvidence)>> {
    let rows: Vec<FileRow> = drilled_files::table
        .filter(drilled_files::schedule_id.eq(schedule.to_string()))
        .filter(drilled_files::path_key.gt(after.to_owned()))
        .order(drilled_files::path_key)
        .select((
            drilled_files::path_key,
            drilled_files::file,
            drilled_files::snapshot_id,
            drilled_files::job_id,
            drilled_files::drilled_at,
            drilled_files::proven_at,
        ))
        .limit(limit)
        .load(conn)?;
    rows.into_iter()
        .map(|(key, file, snapshot, job, drilled_at, proven_at)| {
            let DrilledFile { path, size, proof, note } = from_json("drilled_files.file", &file)?;
            let found = DrilledEvidence {
                path,
                size,
                proof,
                note,
                snapshot,
                job_id: parse("drilled_files.job_id", &job)?,
                drilled_at: Timestamp::from_micros(drilled_at),
                proven_at: time(proven_at),
            };
            Ok((key, found))
        })
        .collect()
}
