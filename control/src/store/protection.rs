//! Protection: what schedules' backups came to, what that makes of hosts, and the fleet's counts of it. The rules are in `domain::protection`.

use super::bridge::{from_word, parse, parse_opt, time, word};
use super::conn::Backend;
use super::host_search::has_tag;
use super::schedules::pauses_of;
use super::schema::{hosts, jobs, schedule_tracks, schedules};
use super::{Conn, StoreResult};
use crate::domain::fleet::Lifecycle;
use crate::domain::job::JobState;
use crate::domain::pause::current;
use crate::domain::protection::{Standing, Track, Trouble};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;

type Row = (String, i64, String, Option<i64>, Option<i64>);
/// What makes a [`Row`].
const KEPT: (
    schedule_tracks::schedule_id,
    schedule_tracks::run_at,
    schedule_tracks::last_end,
    schedule_tracks::good_at,
    schedule_tracks::good_bytes,
) = (
    schedule_tracks::schedule_id,
    schedule_tracks::run_at,
    schedule_tracks::last_end,
    schedule_tracks::good_at,
    schedule_tracks::good_bytes,
);

fn track(row: &Row) -> StoreResult<(ScheduleId, Track)> {
    let track = Track {
        run_at: Timestamp::from_micros(row.1),
        last_end: parse("schedule_tracks.last_end", &row.2)?,
        good_at: time(row.3),
        good_bytes: row.4,
    };
    Ok((parse("schedule_tracks.schedule_id", &row.0)?, track))
}

/// What a schedule's backups came to.
///
/// # Errors
/// When the database fails.
pub fn track_of(conn: &mut Conn, id: ScheduleId) -> StoreResult<Option<Track>> {
    let row = schedule_tracks::table.find(id.to_string()).select(KEPT).first::<Row>(conn).optional()?;
    row.map(|row| Ok(track(&row)?.1)).transpose()
}

/// The tracks of a host's schedules.
///
/// # Errors
/// When the database fails.
pub fn tracks_of_host(conn: &mut Conn, host: HostId) -> StoreResult<Vec<(ScheduleId, Track)>> {
    let of_host = schedules::table.filter(schedules::host_id.eq(host.to_string())).select(schedules::id);
    let rows =
        schedule_tracks::table.filter(schedule_tracks::schedule_id.eq_any(of_host)).select(KEPT).load::<Row>(conn)?;
    rows.iter().map(track).collect()
}

/// Keeps what a schedule's backups came to.
///
/// # Errors
/// When the database fails.
pub fn put_track(conn: &mut Conn, id: ScheduleId, track: &Track) -> StoreResult<()> {
    let values = (
        schedule_tracks::run_at.eq(track.run_at.micros()),
        schedule_tracks::last_end.eq(track.last_end.as_str()),
        schedule_tracks::good_at.eq(track.good_at.map(Timestamp::micros)),
        schedule_tracks::good_bytes.eq(track.good_bytes),
    );
    if diesel::update(schedule_tracks::table.find(id.to_string())).set(values).execute(conn)? == 0 {
        diesel::insert_into(schedule_tracks::table)
            .values((schedule_tracks::schedule_id.eq(id.to_string()), values))
            .execute(conn)?;
    }
    Ok(())
}

/// Keeps which run of a schedule failed last, and why; none if the last one did not.
///
/// # Errors
/// When the database fails.
pub fn put_failure(conn: &mut Conn, id: ScheduleId, failure: Option<(JobId, Option<CauseCode>)>) -> StoreResult<()> {
    let cause = failure.and_then(|(_, cause)| cause).map(|c| word("schedule_tracks.cause", &c)).transpose()?;
    diesel::update(schedule_tracks::table.find(id.to_string()))
        .set((
            schedule_tracks::last_job_id.eq(failure.map(|(job, _)| job.to_string())),
            schedule_tracks::cause.eq(cause),
        ))
        .execute(conn)?;
    Ok(())
}

/// Why a host is failing: what the last run of one of its schedules said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Which host.
    pub host: HostId,
    /// Its name.
    pub name: String,
    /// Where the schedule backs up to.
    pub repository: Option<RepositoryId>,
    /// The run.
    pub job: Option<JobId>,
    /// What it said.
    pub cause: Option<CauseCode>,
    /// Whether the host is paused now.
    pub paused: bool,
}

/// Hosts that are failing, all or those with a tag, by name, once for each schedule that does.
///
/// # Errors
/// When the database fails.
pub fn failing(conn: &mut Conn, tag: Option<&str>, now: Timestamp) -> StoreResult<Vec<Failing>> {
    let mut query = hosts::table
        .inner_join(schedules::table.on(schedules::host_id.eq(hosts::id)))
        .inner_join(schedule_tracks::table.on(schedule_tracks::schedule_id.eq(schedules::id)))
        .filter(hosts::trouble.eq(Trouble::Failed.as_str()))
        .filter(hosts::protected_until.le(now.micros()))
        .filter(hosts::lifecycle.eq(Lifecycle::Enrolled.as_str()))
        .filter(hosts::planned)
        .filter(schedules::enabled)
        .filter(schedule_tracks::last_end.eq_any([JobState::Failed.as_str(), JobState::Lost.as_str()]))
        .order((hosts::name, schedules::id))
        .select((
            hosts::id,
            hosts::name,
            schedules::repository_id,
            schedule_tracks::last_job_id,
            schedule_tracks::cause,
            hosts::pauses,
        ))
        .into_boxed::<Backend>();
    if let Some(tag) = tag {
        query = query.filter(has_tag(tag)?);
    }
    let rows = query.load::<(String, String, Option<String>, Option<String>, Option<String>, Option<String>)>(conn)?;
    rows.into_iter()
        .map(|(host, name, repository, job, cause, pauses)| {
            Ok(Failing {
                host: parse("hosts.id", &host)?,
                name,
                repository: parse_opt("schedules.repository_id", repository.as_deref())?,
                job: parse_opt("schedule_tracks.last_job_id", job.as_deref())?,
                cause: cause.map(|c| from_word("schedule_tracks.cause", &c)).transpose()?,
                paused: current(&pauses_of("hosts.pauses", pauses.as_deref())?, now).is_some(),
            })
        })
        .collect()
}

/// How many hosts have a schedule whose last run failed for this cause in this repository, and the newest of those runs.
///
/// # Errors
/// When the database fails.
pub fn failed_alike(
    conn: &mut Conn,
    repository: RepositoryId,
    cause: CauseCode,
    limit: i64,
) -> StoreResult<(i64, Vec<JobId>)> {
    let cause = word("schedule_tracks.cause", &cause)?;
    let alike = || {
        schedules::table
            .inner_join(schedule_tracks::table.on(schedule_tracks::schedule_id.eq(schedules::id)))
            .filter(schedules::repository_id.eq(repository.to_string()))
            .filter(schedules::enabled)
            .filter(schedule_tracks::cause.eq(cause.clone()))
            .filter(schedule_tracks::last_job_id.is_not_null())
    };
    let hosts = alike()
        .select(diesel::dsl::sql::<diesel::sql_types::BigInt>("count(DISTINCT schedules.host_id)"))
        .get_result::<i64>(conn)?;
    let newest = alike()
        .order((schedule_tracks::run_at.desc(), schedules::id))
        .select(schedule_tracks::last_job_id)
        .limit(limit)
        .load::<Option<String>>(conn)?;
    let newest =
        newest.iter().flatten().map(|id| parse("schedule_tracks.last_job_id", id)).collect::<StoreResult<_>>()?;
    Ok((hosts, newest))
}

/// Keeps how a host stands.
///
/// # Errors
/// When the database fails.
pub fn put_standing(conn: &mut Conn, host: HostId, standing: &Standing, now: Timestamp) -> StoreResult<()> {
    diesel::update(hosts::table.find(host.to_string()))
        .set((
            hosts::planned.eq(standing.planned),
            hosts::good_at.eq(standing.good_at.map(Timestamp::micros)),
            hosts::good_bytes.eq(standing.good_bytes),
            hosts::protected_until.eq(standing.protected_until.map(Timestamp::micros)),
            hosts::trouble.eq(standing.trouble.as_str()),
            hosts::judged_at.eq(now.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Hosts that no standing was worked out for, as after an upgrade.
///
/// # Errors
/// When the database fails.
pub fn unjudged(conn: &mut Conn, limit: i64) -> StoreResult<Vec<HostId>> {
    let rows = hosts::table
        .filter(hosts::judged_at.is_null())
        .filter(hosts::lifecycle.ne(Lifecycle::Pending.as_str()))
        .select(hosts::id)
        .limit(limit)
        .load::<String>(conn)?;
    rows.iter().map(|id| parse("hosts.id", id)).collect()
}

/// Makes all hosts be judged anew.
///
/// # Errors
/// When the database fails.
pub fn forget_standings(conn: &mut Conn) -> StoreResult<()> {
    diesel::update(hosts::table).set(hosts::judged_at.eq(None::<i64>)).execute(conn)?;
    Ok(())
}

/// How many jobs ended in each state since an instant, of all hosts or of those with a tag.
///
/// # Errors
/// When the database fails.
pub fn ended_since(conn: &mut Conn, tag: Option<&str>, since: Timestamp) -> StoreResult<Vec<(JobState, i64)>> {
    let mut query = jobs::table
        .filter(jobs::finished_at.ge(since.micros()))
        .group_by(jobs::state)
        .select((jobs::state, diesel::dsl::count_star()))
        .into_boxed::<Backend>();
    if let Some(tag) = tag {
        query = query.filter(jobs::host_id.eq_any(hosts::table.filter(has_tag(tag)?).select(hosts::id)));
    }
    let rows = query.load::<(String, i64)>(conn)?;
    rows.into_iter().map(|(state, n)| Ok((parse("jobs.state", &state)?, n))).collect()
}
