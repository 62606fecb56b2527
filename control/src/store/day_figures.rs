//! What a daily summary counts: how jobs ended within a time, why hosts fail, and the worst hosts and alerts, of all hosts or of those with some tags.
//! A few statements, whose cost follows the jobs of that time and not those that ever were.

use super::bridge::{from_word, parse, parse_opt};
use super::host_search;
use super::schema::{jobs, schedule_tracks, schedules};
use super::{Conn, StoreResult};
use crate::domain::job::JobState;
use diesel::dsl::{count_star, sql};
use diesel::prelude::*;
use diesel::sql_types::{Double, Nullable};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;

/// How many jobs ended so, and the bytes that they added.
pub type Ended = (JobState, i64, f64);

/// How jobs ended from one instant to before another, those of hosts with one of these tags, or all if none is named. A state may
/// come more than once.
///
/// # Errors
/// When the database fails.
pub fn ended(conn: &mut Conn, tags: &[String], since: Timestamp, until: Timestamp) -> StoreResult<Vec<Ended>> {
    // A sum of whole numbers may grow too large for the database.
    let added = || sql::<Nullable<Double>>("SUM(CAST(jobs.added_bytes AS DOUBLE PRECISION))");
    let ended = jobs::table.filter(jobs::finished_at.ge(since.micros())).filter(jobs::finished_at.lt(until.micros()));
    let rows: Vec<(String, i64, Option<f64>)> = if tags.is_empty() {
        ended.group_by(jobs::state).select((jobs::state, count_star(), added())).load(conn)?
    } else {
        let theirs = host_search::ids_with_tags(conn, tags)?;
        let by_host = ended.group_by((jobs::host_id, jobs::state));
        let by_host = by_host.select((jobs::host_id, jobs::state, count_star(), added()));
        let rows: Vec<(String, String, i64, Option<f64>)> = by_host.load(conn)?;
        rows.into_iter().filter(|row| theirs.contains(&row.0)).map(|(_, state, n, bytes)| (state, n, bytes)).collect()
    };
    rows.into_iter().map(|(state, n, bytes)| Ok((parse("jobs.state", &state)?, n, bytes.unwrap_or_default()))).collect()
}

/// Of which host the last run failed, why, and where the backup was to go.
pub type Cause = (HostId, Option<CauseCode>, Option<RepositoryId>);

/// Why the last runs of these hosts failed, where the backups were to go, once for each schedule that fails.
///
/// # Errors
/// When the database fails.
pub fn causes(conn: &mut Conn, hosts: &[HostId]) -> StoreResult<Vec<Cause>> {
    let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let rows = schedules::table
        .inner_join(schedule_tracks::table.on(schedule_tracks::schedule_id.eq(schedules::id)))
        .filter(schedules::host_id.eq_any(hosts))
        .filter(schedules::enabled)
        .filter(schedule_tracks::last_end.eq_any([JobState::Failed.as_str(), JobState::Lost.as_str()]))
        .order(schedules::id)
        .select((schedules::host_id, schedule_tracks::cause, schedules::repository_id))
        .load::<(String, Option<String>, Option<String>)>(conn)?;
    rows.into_iter()
        .map(|(host, cause, repository)| {
            Ok((
                parse("schedules.host_id", &host)?,
                cause.map(|c| from_word("schedule_tracks.cause", &c)).transpose()?,
                parse_opt("schedules.repository_id", repository.as_deref())?,
            ))
        })
        .collect()
}
