//! When schedules run next: kept, so that what comes next of thousands of hosts is a look at an index. Worked out in `service::protection`.

use super::bridge::parse;
use super::conn::Backend;
use super::host_search::has_tag;
use super::schema::{hosts, next_runs};
use super::{Conn, StoreResult};
use diesel::dsl::count_star;
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use std::collections::BTreeMap;

/// The next runs of a host's schedules.
///
/// # Errors
/// When the database fails.
pub fn of_host(conn: &mut Conn, host: HostId) -> StoreResult<BTreeMap<ScheduleId, Timestamp>> {
    let rows = next_runs::table
        .filter(next_runs::host_id.eq(host.to_string()))
        .select((next_runs::schedule_id, next_runs::at))
        .load::<(String, i64)>(conn)?;
    rows.iter().map(|(id, at)| Ok((parse("next_runs.schedule_id", id)?, Timestamp::from_micros(*at)))).collect()
}

/// Keeps the next runs of a host's schedules, over what was kept. Nothing is written if nothing changed.
///
/// # Errors
/// When the database fails.
pub fn put(conn: &mut Conn, host: HostId, runs: &BTreeMap<ScheduleId, Timestamp>) -> StoreResult<()> {
    if of_host(conn, host)? == *runs {
        return Ok(());
    }
    diesel::delete(next_runs::table.filter(next_runs::host_id.eq(host.to_string()))).execute(conn)?;
    for (schedule, at) in runs {
        diesel::insert_into(next_runs::table)
            .values((
                next_runs::schedule_id.eq(schedule.to_string()),
                next_runs::host_id.eq(host.to_string()),
                next_runs::at.eq(at.micros()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// Hosts with a next run that has gone by.
///
/// # Errors
/// When the database fails.
pub fn gone_by(conn: &mut Conn, now: Timestamp, limit: i64) -> StoreResult<Vec<HostId>> {
    let rows = next_runs::table
        .filter(next_runs::at.le(now.micros()))
        .select(next_runs::host_id)
        .distinct()
        .limit(limit)
        .load::<String>(conn)?;
    rows.iter().map(|id| parse("next_runs.host_id", id)).collect()
}

/// When each of these hosts runs next, of those that do.
///
/// # Errors
/// When the database fails.
pub fn of_hosts(conn: &mut Conn, ids: &[HostId], now: Timestamp) -> StoreResult<Vec<(HostId, Timestamp)>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = next_runs::table
        .filter(next_runs::host_id.eq_any(ids))
        .filter(next_runs::at.gt(now.micros()))
        .group_by(next_runs::host_id)
        .select((next_runs::host_id, diesel::dsl::min(next_runs::at)))
        .load::<(String, Option<i64>)>(conn)?;
    let known = rows.into_iter().filter_map(|(id, at)| Some((id, at?)));
    known.map(|(id, at)| Ok((parse("next_runs.host_id", &id)?, Timestamp::from_micros(at)))).collect()
}

/// What starts at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// The instant.
    pub at: Timestamp,
    /// How many runs there are.
    pub runs: i64,
    /// Hosts of some of them, by name.
    pub hosts: Vec<(HostId, String)>,
}

/// The next instants at which something starts, on all hosts or on those with a tag, each with some of its hosts.
///
/// # Errors
/// When the database fails.
pub fn coming(
    conn: &mut Conn,
    tag: Option<&str>,
    now: Timestamp,
    (instants, named): (i64, i64),
) -> StoreResult<Vec<Coming>> {
    let mut next = next_runs::table
        .filter(next_runs::at.gt(now.micros()))
        .group_by(next_runs::at)
        .select((next_runs::at, count_star()))
        .order(next_runs::at)
        .limit(instants)
        .into_boxed::<Backend>();
    if let Some(tag) = tag {
        next = next.filter(next_runs::host_id.eq_any(hosts::table.filter(has_tag(tag)?).select(hosts::id)));
    }
    let next = next.load::<(i64, i64)>(conn)?;
    let mut coming = Vec::with_capacity(next.len());
    for (at, runs) in next {
        let mut rows = next_runs::table
            .inner_join(hosts::table)
            .filter(next_runs::at.eq(at))
            .order(next_runs::schedule_id) // as the index has them
            .select((hosts::id, hosts::name))
            .limit(named)
            .into_boxed::<Backend>();
        if let Some(tag) = tag {
            rows = rows.filter(has_tag(tag)?);
        }
        let rows = rows.load::<(String, String)>(conn)?;
        let mut some: Vec<(HostId, String)> = vec![];
        for (id, name) in rows {
            let id = parse("hosts.id", &id)?;
            if some.iter().all(|(known, _)| *known != id) {
                some.push((id, name));
            }
        }
        coming.push(Coming { at: Timestamp::from_micros(at), runs, hosts: some });
    }
    Ok(coming)
}
