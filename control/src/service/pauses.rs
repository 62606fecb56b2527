//! Pausing a host or one schedule, and letting it go on. Their agent hears of it at once and holds to it offline; what ends by itself needs
//! nobody. Maintenance of repositories is not a host's own work and goes on.

use super::hosts::{self, load as load_host};
use super::schedules::load as load_schedule;
use super::{ActError, Services, audit, protection};
use crate::domain::fleet::Host;
use crate::domain::pause::{PauseInput, Paused, begun, check, current, ended};
use crate::domain::permission::Actor;
use crate::domain::schedule::Schedule;
use crate::store::hosts::HostRecord;
use crate::store::{Conn, hosts as host_rows, schedules as rows};
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use serde_json::{Value, json};

/// What is to become of a pause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It begins now, in place of one that holds.
    Begin(PauseInput),
    /// It ends now.
    End,
}

impl Change {
    /// The list of pauses after it; none if nothing changes.
    fn of(&self, pauses: &[Paused], by: &str, now: Timestamp) -> Option<Vec<Paused>> {
        match self {
            Self::Begin(input) => Some(begun(pauses, input, by, now)),
            Self::End => current(pauses, now).map(|_| ended(pauses, now)),
        }
    }

    fn action(&self, noun: &str) -> String {
        format!("{noun}.{}", if matches!(self, Self::Begin(_)) { "pause" } else { "resume" })
    }

    fn detail(&self, also: Value) -> Value {
        let mut detail = match self {
            Self::Begin(input) => json!({"until": input.until, "reason": input.reason}),
            Self::End => json!({}),
        };
        if let (Value::Object(to), Value::Object(from)) = (&mut detail, also) {
            to.extend(from);
        }
        detail
    }
}

/// What is wrong with a pause, if something is.
pub(super) fn checked(input: PauseInput, now: Timestamp) -> Result<PauseInput, ActError> {
    let wrong = check(&input, now);
    if wrong.is_empty() { Ok(input) } else { Err(ActError::Invalid(wrong)) }
}

/// Changes a host's pause inside a transaction. Its schedules are handed in, so that many hosts cost one query. False if there was nothing to
/// change.
pub(super) fn change_host(
    conn: &mut Conn,
    actor: &Actor,
    (host, schedules): (&HostRecord, &[Schedule]),
    change: &Change,
    now: Timestamp,
) -> Result<bool, ActError> {
    let Some(pauses) = change.of(&host.pauses, &actor.label(), now) else { return Ok(false) };
    host_rows::set_pauses(conn, host.id, &pauses)?;
    host_rows::raise_version(conn, host.id)?;
    protection::plan_next(conn, host.id, schedules.iter(), (host.timezone.as_deref(), &pauses), now)?;
    let subject = format!("host:{}", host.id);
    audit::record(conn, actor, now, &change.action("host"), &subject, &change.detail(json!({"name": host.name})))?;
    Ok(true)
}

async fn of_host(s: &Services, actor: &Actor, id: HostId, change: Change, now: Timestamp) -> Result<Host, ActError> {
    let actor = actor.clone();
    s.db.write(move |conn| {
        let host = load_host(conn, id)?;
        let schedules = rows::of_host(conn, id)?;
        change_host(conn, &actor, (&host, &schedules), &change, now)
    })
    .await?;
    s.hub.hosts.wake(id);
    hosts::get(s, id).await
}

/// Pauses a host: none of its schedules starts by itself until the pause ends. A pause that holds is replaced.
///
/// # Errors
/// An end that has passed, an empty reason, or no such host.
pub async fn pause_host(s: &Services, actor: &Actor, id: HostId, input: PauseInput) -> Result<Host, ActError> {
    let now = Timestamp::now();
    of_host(s, actor, id, Change::Begin(checked(input, now)?), now).await
}

/// Ends a host's pause, if there is one. Schedules that are paused by themselves stay so.
///
/// # Errors
/// When there is no such host.
pub async fn resume_host(s: &Services, actor: &Actor, id: HostId) -> Result<Host, ActError> {
    of_host(s, actor, id, Change::End, Timestamp::now()).await
}

async fn of_schedule(
    s: &Services,
    actor: &Actor,
    id: ScheduleId,
    change: Change,
    now: Timestamp,
) -> Result<Schedule, ActError> {
    let actor = actor.clone();
    let schedule =
        s.db.write(move |conn| {
            let mut schedule = load_schedule(conn, id)?;
            let Some(pauses) = change.of(&schedule.pauses, &actor.label(), now) else { return Ok(schedule) };
            rows::set_pauses(conn, id, &pauses)?;
            schedule.pauses = pauses;
            host_rows::raise_version(conn, schedule.host_id)?;
            protection::judge(conn, schedule.host_id, now)?;
            let detail = change.detail(json!({"host": schedule.host_id, "name": schedule.name}));
            audit::record(conn, &actor, now, &change.action("schedule"), &format!("schedule:{id}"), &detail)?;
            Ok::<_, ActError>(schedule)
        })
        .await?;
    s.hub.hosts.wake(schedule.host_id);
    Ok(schedule.seen_at(now))
}

/// Pauses a schedule: it does not start by itself until the pause ends. A pause that holds is replaced.
///
/// # Errors
/// An end that has passed, an empty reason, or no such schedule.
pub async fn pause_schedule(
    s: &Services,
    actor: &Actor,
    id: ScheduleId,
    input: PauseInput,
) -> Result<Schedule, ActError> {
    let now = Timestamp::now();
    of_schedule(s, actor, id, Change::Begin(checked(input, now)?), now).await
}

/// Ends a schedule's own pause, if there is one. A pause of its host stays.
///
/// # Errors
/// When there is no such schedule.
pub async fn resume_schedule(s: &Services, actor: &Actor, id: ScheduleId) -> Result<Schedule, ActError> {
    of_schedule(s, actor, id, Change::End, Timestamp::now()).await
}
