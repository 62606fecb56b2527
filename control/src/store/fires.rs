//! Fires: jobs that schedules start on their hosts, and how far each schedule was judged.

use super::bridge::{from_json, parse, to_json};
use super::jobs::append_log;
use super::schema::{jobs, schedule_ledgers};
use super::{Conn, StoreResult};
use crate::domain::job::{JobKind, JobState, StandsFor};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::FireLedger;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::progress::LogLine;

/// Who starts what a schedule starts.
const BY_SCHEDULE: &str = "system:schedule";

/// A fire as it is kept.
#[derive(Clone, Debug)]
pub struct NewFire<'a> {
    /// The job's identity.
    pub id: JobId,
    /// Whose.
    pub host_id: HostId,
    /// Of which schedule; none if it was deleted meanwhile.
    pub schedule_id: Option<ScheduleId>,
    /// Where to.
    pub repository_id: Option<RepositoryId>,
    /// Whose own repository it is, where the address holds `{host}`.
    pub of_host_id: Option<HostId>,
    /// What it does; none if nothing came of it.
    pub task: Option<&'a Task>,
    /// Running, skipped or missed.
    pub state: JobState,
    /// When it was due.
    pub due: Timestamp,
    /// Where it stands among other jobs: when it was due, unless the host's clock was ahead.
    pub queued_at: Timestamp,
    /// When the agent acted on it.
    pub fired_at: Timestamp,
    /// What else it stands for.
    pub stands_for: Option<&'a StandsFor>,
    /// The desired state that was in force.
    pub state_version: i64,
    /// Until when it lives without a sign.
    pub lease: Timestamp,
}

/// Stores a fire, with its first log line. What was taken for missed is corrected: the fire itself, and what it stands for. One that is
/// there already stays. Answers whether
/// it is new.
///
/// # Errors
/// When the database fails.
pub fn put(conn: &mut Conn, new: &NewFire<'_>, line: &LogLine) -> StoreResult<bool> {
    let taken_for_missed = jobs::table.find(new.id.to_string()).filter(jobs::state.eq(JobState::Missed.as_str()));
    if new.state != JobState::Missed {
        diesel::delete(taken_for_missed).execute(conn)?;
        forget_missed(conn, new)?;
    }
    let there = diesel::select(diesel::dsl::exists(jobs::table.find(new.id.to_string()))).get_result::<bool>(conn)?;
    if there {
        return Ok(false);
    }
    let runs = new.state == JobState::Running;
    diesel::insert_into(jobs::table)
        .values((
            (
                jobs::id.eq(new.id.to_string()),
                jobs::host_id.eq(new.host_id.to_string()),
                jobs::schedule_id.eq(new.schedule_id.map(|id| id.to_string())),
                jobs::repository_id.eq(new.repository_id.map(|id| id.to_string())),
                jobs::kind.eq(new.task.map_or(JobKind::Backup, JobKind::from).as_str()),
                jobs::state.eq(new.state.as_str()),
                jobs::attempt.eq(i32::from(runs)),
                jobs::state_version.eq(new.state_version),
                jobs::place.eq(new.of_host_id.map(|id| id.to_string()).unwrap_or_default()),
            ),
            (
                jobs::task.eq(new.task.map(|t| to_json("jobs.task", t)).transpose()?),
                jobs::requested_by.eq(BY_SCHEDULE),
                jobs::due_at.eq(new.due.micros()),
                jobs::stands_for.eq(new.stands_for.map(|s| to_json("jobs.stands_for", s)).transpose()?),
                jobs::queued_at.eq(new.queued_at.micros()),
                jobs::started_at.eq(runs.then_some(new.fired_at.micros())),
                jobs::finished_at.eq((!runs).then_some(new.fired_at.micros())),
                jobs::lease_until.eq(runs.then_some(new.lease.micros())),
            ),
        ))
        .execute(conn)?;
    append_log(conn, new.id, 1, std::slice::from_ref(line))?;
    Ok(true)
}

/// Removes what was taken for missed and is not, because this fire stands for it.
fn forget_missed(conn: &mut Conn, new: &NewFire<'_>) -> StoreResult<()> {
    let (Some(schedule), Some(stands_for)) = (new.schedule_id, new.stands_for) else { return Ok(()) };
    let missed = jobs::table
        .filter(jobs::schedule_id.eq(schedule.to_string()))
        .filter(jobs::state.eq(JobState::Missed.as_str()))
        .filter(jobs::due_at.lt(new.due.micros()))
        .select((jobs::id, jobs::due_at))
        .load::<(String, Option<i64>)>(conn)?;
    let covered =
        missed.into_iter().filter(|(_, due)| due.is_some_and(|d| stands_for.covers(Timestamp::from_micros(d))));
    for (id, _) in covered {
        diesel::delete(jobs::table.find(id)).execute(conn)?;
    }
    Ok(())
}

/// A fire of a schedule that is there in some form, with what else it stands for.
pub type Known = (Timestamp, Option<StandsFor>);

/// What is there of a schedule's fires that were due since an instant, whenever they came.
///
/// # Errors
/// When the database fails.
pub fn known_since(conn: &mut Conn, schedule: ScheduleId, since: Timestamp) -> StoreResult<Vec<Known>> {
    let rows = jobs::table
        .filter(jobs::schedule_id.eq(schedule.to_string()))
        .filter(jobs::due_at.is_not_null())
        .filter(jobs::due_at.ge(since.micros()))
        .select((jobs::due_at, jobs::stands_for))
        .load::<(Option<i64>, Option<String>)>(conn)?;
    rows.into_iter()
        .map(|(due, stands_for)| {
            let stands_for = stands_for.as_deref().map(|s| from_json("jobs.stands_for", s)).transpose()?;
            Ok((Timestamp::from_micros(due.unwrap_or_default()), stands_for))
        })
        .collect()
}

/// How far a schedule was judged, and by which line.
///
/// # Errors
/// When the database fails.
pub fn ledger(conn: &mut Conn, schedule: ScheduleId) -> StoreResult<Option<FireLedger>> {
    let row = schedule_ledgers::table
        .find(schedule.to_string())
        .first::<(String, String, String, i64, i64, bool)>(conn)
        .optional()?;
    row.map(|(id, cron, timezone, since, until, ended)| {
        Ok(FireLedger {
            schedule_id: parse("schedule_ledgers.schedule_id", &id)?,
            cron,
            timezone,
            since: Timestamp::from_micros(since),
            until: Timestamp::from_micros(until),
            ended,
        })
    })
    .transpose()
}

/// Keeps how far a schedule was judged.
///
/// # Errors
/// When the database fails.
pub fn put_ledger(conn: &mut Conn, judged: &FireLedger) -> StoreResult<()> {
    let line = (
        schedule_ledgers::cron.eq(&judged.cron),
        schedule_ledgers::timezone.eq(&judged.timezone),
        schedule_ledgers::since.eq(judged.since.micros()),
        schedule_ledgers::until.eq(judged.until.micros()),
        schedule_ledgers::ended.eq(judged.ended),
    );
    let changed =
        diesel::update(schedule_ledgers::table.find(judged.schedule_id.to_string())).set(line).execute(conn)?;
    if changed == 0 {
        diesel::insert_into(schedule_ledgers::table)
            .values((schedule_ledgers::schedule_id.eq(judged.schedule_id.to_string()), line))
            .execute(conn)?;
    }
    Ok(())
}
