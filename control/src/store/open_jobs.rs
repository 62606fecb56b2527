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
        .filter(jobs::schedule_id.is_not_null())
        .filter(open())
        .select((jobs::schedule_id.assume_not_null(), jobs::id))
        .load::<(String, String)>(conn)?;
    rows.iter().map(|(s, id)| Ok((parse("jobs.schedule_id", s)?, parse("jobs.id", id)?))).collect()
}
