//! Jobs that are not over, as they are looked for of many hosts at once. Of one host or repository `jobs` tells.

use super::bridge::parse;
use super::jobs::open;
use super::schema::jobs;
use super::{Conn, StoreResult};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId, ScheduleId};

/// The jobs of these hosts' schedules that are not over: of each schedule one.
///
/// # Errors
/// When the database fails.
pub fn of_schedules(conn: &mut Conn, hosts: &[HostId]) -> StoreResult<Vec<(ScheduleId, JobId)>> {
    let ids: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let rows = jobs::table
        .filter(jobs::host_id.eq_any(ids))
        .filter(open())
        .select((jobs::schedule_id, jobs::id))
        .load::<(Option<String>, String)>(conn)?;
    // Those of no schedule are left out here: a condition for it would lead PostgreSQL to the index of all jobs of schedules.
    let of_one = rows.iter().filter_map(|(schedule, id)| Some((schedule.as_deref()?, id)));
    of_one.map(|(schedule, id)| Ok((parse("jobs.schedule_id", schedule)?, parse("jobs.id", id)?))).collect()
}
