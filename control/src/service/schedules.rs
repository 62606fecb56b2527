//! Schedules: seeing, adding, changing, deleting. Each change raises the host's version in the same transaction and wakes its poll.

use super::{ActError, Noun, Refusal, Services, audit, drills, hosts::load as load_host, protection};
use crate::domain::drill::DrillPlan;
use crate::domain::permission::Actor;
use crate::domain::schedule::{Schedule, ScheduleInput, check};
use crate::store::{Conn, StoreError, credentials, hosts, repositories, schedules};
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;

/// A host's schedules.
///
/// # Errors
/// When there is no such host.
pub async fn of_host(s: &Services, host: HostId) -> Result<Vec<Schedule>, ActError> {
    let now = Timestamp::now();
    s.db.read(move |conn| {
        load_host(conn, host)?;
        Ok(schedules::of_host(conn, host)?.into_iter().map(|s| s.seen_at(now)).collect())
    })
    .await
}

/// One schedule.
///
/// # Errors
/// When there is no such schedule.
pub async fn get(s: &Services, id: ScheduleId) -> Result<Schedule, ActError> {
    Ok(s.db.read(move |conn| load(conn, id)).await?.seen_at(Timestamp::now()))
}

pub(super) fn load(conn: &mut Conn, id: ScheduleId) -> Result<Schedule, ActError> {
    schedules::get(conn, id)?.ok_or(ActError::NotFound(Noun::Schedule))
}

/// The schedule that an input asks for; `old` is what it was.
fn build(id: ScheduleId, host_id: HostId, input: ScheduleInput, old: Option<&Schedule>, now: Timestamp) -> Schedule {
    let as_it_is = old.map_or_else(|| Some(DrillPlan::usual(id)), |old| old.drill.clone());
    Schedule {
        id,
        host_id,
        repository_id: input.repository_id,
        name: input.name,
        enabled: input.enabled,
        manual: input.manual,
        cron: input.cron,
        timezone: input.timezone,
        paths: input.paths,
        excludes: input.excludes,
        tags: input.tags,
        options: input.options,
        retention: input.retention,
        firing: input.firing,
        drill: input.drill.or(as_it_is),
        paused: None,
        pauses: old.map_or_else(Vec::new, |old| old.pauses.clone()),
        created_at: old.map_or(now, |old| old.created_at),
        updated_at: now,
    }
}

fn check_repository(conn: &mut Conn, host: HostId, repository: Option<RepositoryId>) -> Result<(), ActError> {
    let Some(id) = repository else { return Ok(()) };
    if repositories::get(conn, id)?.is_none() {
        return Err(ActError::field("/repository_id", "there is no such repository"));
    }
    if !credentials::exists(conn, host, id)? {
        return Err(ActError::field(
            "/repository_id",
            "the host has no credential for this repository; give it one first",
        ));
    }
    Ok(())
}

fn name_taken(error: StoreError) -> ActError {
    match error {
        StoreError::Duplicate(_) => Refusal::NameTaken("schedule of this host").into(),
        other => other.into(),
    }
}

fn changed(conn: &mut Conn, actor: &Actor, now: Timestamp, action: &str, schedule: &Schedule) -> Result<(), ActError> {
    hosts::raise_version(conn, schedule.host_id)?;
    protection::judge(conn, schedule.host_id, now)?;
    let detail = serde_json::json!({
        "host": schedule.host_id, "name": schedule.name, "paths": schedule.paths, "manual": schedule.manual,
        "cron": schedule.cron, "enabled": schedule.enabled, "drill": schedule.drill,
    });
    Ok(audit::record(conn, actor, now, action, &format!("schedule:{}", schedule.id), &detail)?)
}

/// Adds a schedule to a host.
///
/// # Errors
/// Wrong fields, no such host, or the name is taken.
pub async fn add(s: &Services, actor: &Actor, host: HostId, input: ScheduleInput) -> Result<Schedule, ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    let schedule =
        s.db.write(move |conn| {
            let record = load_host(conn, host)?;
            let wrong = check(&input, record.os);
            if !wrong.is_empty() {
                return Err(ActError::Invalid(wrong));
            }
            check_repository(conn, host, input.repository_id)?;
            let schedule = build(ScheduleId::new(), host, input, None, now);
            schedules::insert(conn, &schedule).map_err(name_taken)?;
            drills::plan_changed(conn, None, &schedule, now)?;
            changed(conn, &actor, now, "schedule.add", &schedule)?;
            Ok(schedule)
        })
        .await?;
    s.hub.hosts.wake(host);
    Ok(schedule)
}

/// Replaces what a schedule says. A run in progress keeps its old settings.
///
/// # Errors
/// Wrong fields, no such schedule, or the name is taken.
pub async fn update(s: &Services, actor: &Actor, id: ScheduleId, input: ScheduleInput) -> Result<Schedule, ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    let schedule =
        s.db.write(move |conn| {
            let old = load(conn, id)?;
            let wrong = check(&input, load_host(conn, old.host_id)?.os);
            if !wrong.is_empty() {
                return Err(ActError::Invalid(wrong));
            }
            check_repository(conn, old.host_id, input.repository_id)?;
            let schedule = build(id, old.host_id, input, Some(&old), now);
            schedules::update(conn, &schedule).map_err(name_taken)?;
            drills::plan_changed(conn, Some(&old), &schedule, now)?;
            changed(conn, &actor, now, "schedule.update", &schedule)?;
            Ok(schedule.seen_at(now))
        })
        .await?;
    s.hub.hosts.wake(schedule.host_id);
    Ok(schedule)
}

/// Deletes a schedule. Its snapshots and jobs stay.
///
/// # Errors
/// When there is no such schedule.
pub async fn delete(s: &Services, actor: &Actor, id: ScheduleId) -> Result<HostId, ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    let host =
        s.db.write(move |conn| {
            let schedule = load(conn, id)?;
            drills::schedule_gone(conn, &schedule, now)?;
            schedules::delete(conn, id)?;
            changed(conn, &actor, now, "schedule.delete", &schedule)?;
            Ok::<_, ActError>(schedule.host_id)
        })
        .await?;
    s.hub.hosts.wake(host);
    Ok(host)
}
