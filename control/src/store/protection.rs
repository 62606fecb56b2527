//! Protection: what schedules' backups came to, what that makes of hosts, and the fleet's counts of it. The rules are in `domain::protection`.

use super::bridge::{parse, time};
use super::schema::{hosts, jobs, schedule_tracks, schedules};
use super::{Conn, StoreResult};
use crate::domain::fleet::Lifecycle;
use crate::domain::job::JobState;
use crate::domain::protection::{Standing, Track};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;

type Row = (String, i64, String, Option<i64>, Option<i64>);

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
    let row = schedule_tracks::table.find(id.to_string()).first::<Row>(conn).optional()?;
    row.map(|row| Ok(track(&row)?.1)).transpose()
}

/// The tracks of a host's schedules.
///
/// # Errors
/// When the database fails.
pub fn tracks_of_host(conn: &mut Conn, host: HostId) -> StoreResult<Vec<(ScheduleId, Track)>> {
    let of_host = schedules::table.filter(schedules::host_id.eq(host.to_string())).select(schedules::id);
    let rows = schedule_tracks::table.filter(schedule_tracks::schedule_id.eq_any(of_host)).load::<Row>(conn)?;
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

/// How all hosts stand that are not retired.
///
/// # Errors
/// When the database fails.
pub fn standings(conn: &mut Conn) -> StoreResult<Vec<(Lifecycle, Standing)>> {
    let rows = hosts::table
        .filter(hosts::lifecycle.ne(Lifecycle::Retired.as_str()))
        .select((
            hosts::lifecycle,
            hosts::planned,
            hosts::good_at,
            hosts::good_bytes,
            hosts::protected_until,
            hosts::trouble,
        ))
        .load::<(String, bool, Option<i64>, Option<i64>, Option<i64>, String)>(conn)?;
    rows.into_iter()
        .map(|(lifecycle, planned, good_at, good_bytes, until, trouble)| {
            let standing = Standing {
                planned,
                good_at: time(good_at),
                good_bytes,
                protected_until: time(until),
                trouble: parse("hosts.trouble", &trouble)?,
            };
            Ok((parse("hosts.lifecycle", &lifecycle)?, standing))
        })
        .collect()
}

/// How many jobs ended in each state since an instant.
///
/// # Errors
/// When the database fails.
pub fn ended_since(conn: &mut Conn, since: Timestamp) -> StoreResult<Vec<(JobState, i64)>> {
    let rows = jobs::table
        .filter(jobs::finished_at.ge(since.micros()))
        .group_by(jobs::state)
        .select((jobs::state, diesel::dsl::count_star()))
        .load::<(String, i64)>(conn)?;
    rows.into_iter().map(|(state, n)| Ok((parse("jobs.state", &state)?, n))).collect()
}
