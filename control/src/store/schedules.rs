//! Schedules.

use super::bridge::{from_json, parse, parse_opt, to_json};
use super::schema::schedules;
use super::{Conn, StoreResult};
use crate::domain::drill::DrillPlan;
use crate::domain::pause::Paused;
use crate::domain::schedule::Schedule;
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::state::BackupSpec;

/// The plan of a schedule's drills.
pub(super) fn drill(text: Option<&str>) -> StoreResult<Option<DrillPlan>> {
    text.map(|text| from_json("schedules.drill", text)).transpose()
}

/// A list of pauses as it is kept: nothing for none.
pub(super) fn pauses_of(column: &'static str, text: Option<&str>) -> StoreResult<Vec<Paused>> {
    Ok(text.map(|text| from_json(column, text)).transpose()?.unwrap_or_default())
}

/// The same on its way back.
pub(super) fn pauses_text(column: &'static str, pauses: &[Paused]) -> StoreResult<Option<String>> {
    if pauses.is_empty() { Ok(None) } else { to_json(column, &pauses).map(Some) }
}

type Row = (
    String,
    String,
    Option<String>,
    String,
    bool,
    bool,
    Option<String>,
    Option<String>,
    String,
    String,
    String,
    i64,
    i64,
    Option<String>,
    Option<String>,
);

fn schedule(row: Row) -> StoreResult<Schedule> {
    let backup: BackupSpec = from_json("schedules.backup", &row.8)?;
    Ok(Schedule {
        id: parse("schedules.id", &row.0)?,
        host_id: parse("schedules.host_id", &row.1)?,
        repository_id: parse_opt("schedules.repository_id", row.2.as_deref())?,
        name: row.3,
        enabled: row.4,
        manual: row.5,
        cron: row.6,
        timezone: row.7,
        paths: backup.paths,
        excludes: backup.excludes,
        tags: backup.tags,
        options: backup.options,
        retention: from_json("schedules.retention", &row.9)?,
        firing: from_json("schedules.firing", &row.10)?,
        drill: drill(row.13.as_deref())?,
        paused: None,
        pauses: pauses_of("schedules.pauses", row.14.as_deref())?,
        created_at: Timestamp::from_micros(row.11),
        updated_at: Timestamp::from_micros(row.12),
    })
}

/// Adds a schedule.
///
/// # Errors
/// `Duplicate` if the host has one of that name.
pub fn insert(conn: &mut Conn, s: &Schedule) -> StoreResult<()> {
    diesel::insert_into(schedules::table)
        .values((
            schedules::id.eq(s.id.to_string()),
            schedules::host_id.eq(s.host_id.to_string()),
            schedules::repository_id.eq(s.repository_id.map(|id| id.to_string())),
            schedules::name.eq(&s.name),
            schedules::enabled.eq(s.enabled),
            schedules::manual.eq(s.manual),
            schedules::cron.eq(s.cron.as_deref()),
            schedules::timezone.eq(s.timezone.as_deref()),
            schedules::backup.eq(to_json("schedules.backup", &s.backup())?),
            schedules::retention.eq(to_json("schedules.retention", &s.retention)?),
            schedules::firing.eq(to_json("schedules.firing", &s.firing)?),
            schedules::drill.eq(s.drill.as_ref().map(|d| to_json("schedules.drill", d)).transpose()?),
            schedules::created_at.eq(s.created_at.micros()),
            schedules::updated_at.eq(s.updated_at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Stores a changed schedule. False if it is not there.
///
/// # Errors
/// `Duplicate` if the host has another of that name.
pub fn update(conn: &mut Conn, s: &Schedule) -> StoreResult<bool> {
    let changed = diesel::update(schedules::table.find(s.id.to_string()))
        .set((
            schedules::repository_id.eq(s.repository_id.map(|id| id.to_string())),
            schedules::name.eq(&s.name),
            schedules::enabled.eq(s.enabled),
            schedules::manual.eq(s.manual),
            schedules::cron.eq(s.cron.as_deref()),
            schedules::timezone.eq(s.timezone.as_deref()),
            schedules::backup.eq(to_json("schedules.backup", &s.backup())?),
            schedules::retention.eq(to_json("schedules.retention", &s.retention)?),
            schedules::firing.eq(to_json("schedules.firing", &s.firing)?),
            schedules::drill.eq(s.drill.as_ref().map(|d| to_json("schedules.drill", d)).transpose()?),
            schedules::updated_at.eq(s.updated_at.micros()),
        ))
        .execute(conn)?;
    Ok(changed > 0)
}

/// One schedule.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: ScheduleId) -> StoreResult<Option<Schedule>> {
    schedules::table.find(id.to_string()).first::<Row>(conn).optional()?.map(schedule).transpose()
}

/// A host's schedules, oldest first. A host has a handful, so they come all at once.
///
/// # Errors
/// When the database fails.
pub fn of_host(conn: &mut Conn, host: HostId) -> StoreResult<Vec<Schedule>> {
    let rows = schedules::table
        .filter(schedules::host_id.eq(host.to_string()))
        .order((schedules::created_at, schedules::id))
        .load::<Row>(conn)?;
    rows.into_iter().map(schedule).collect()
}

/// All schedules that back up to a repository.
///
/// # Errors
/// When the database fails.
pub fn of_repository(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<Schedule>> {
    let rows = schedules::table
        .filter(schedules::repository_id.eq(repository.to_string()))
        .order((schedules::created_at, schedules::id))
        .load::<Row>(conn)?;
    rows.into_iter().map(schedule).collect()
}

/// Keeps a schedule's pauses. False if it is not there.
///
/// # Errors
/// When the database fails.
pub fn set_pauses(conn: &mut Conn, id: ScheduleId, pauses: &[Paused]) -> StoreResult<bool> {
    let text = pauses_text("schedules.pauses", pauses)?;
    Ok(diesel::update(schedules::table.find(id.to_string())).set(schedules::pauses.eq(text)).execute(conn)? > 0)
}

/// The schedules of these hosts, oldest first.
///
/// # Errors
/// When the database fails.
pub fn of_hosts(conn: &mut Conn, hosts: &[HostId]) -> StoreResult<Vec<Schedule>> {
    let ids: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let rows = schedules::table
        .filter(schedules::host_id.eq_any(ids))
        .order((schedules::host_id, schedules::created_at, schedules::id))
        .load::<Row>(conn)?;
    rows.into_iter().map(schedule).collect()
}

/// Deletes a schedule; its jobs and snapshots stay. False if it is not there.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut Conn, id: ScheduleId) -> StoreResult<bool> {
    Ok(diesel::delete(schedules::table.find(id.to_string())).execute(conn)? > 0)
}

/// Gives the repository to the host's schedules that have none yet.
///
/// # Errors
/// When the database fails.
pub fn adopt_repository(conn: &mut Conn, host: HostId, repository: RepositoryId) -> StoreResult<usize> {
    Ok(diesel::update(
        schedules::table.filter(schedules::host_id.eq(host.to_string())).filter(schedules::repository_id.is_null()),
    )
    .set(schedules::repository_id.eq(repository.to_string()))
    .execute(conn)?)
}
