//! Drills: starting those that are due by a schedule's plan, keeping what they proved, and telling when a backup was last proven
//! restorable. A drill that a person asked for counts as much as one by plan.

use super::hosts::load as load_host;
use super::jobs::{Ask, Request, queue};
use super::operations::{online_now, place_of};
use super::schedules::load as load_schedule;
use super::{ActError, Listed, Services, after, at_and_id, page};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::drill::{
    Drill, DrillCounts, DrillRecord, DrillStanding, DrillVerdict, DrilledEvidence, Seen, due, that_fit, verdict,
};
use crate::domain::pause::{Paused, spans, takes_drill};
use crate::domain::schedule::{Schedule, zone};
use crate::domain::snapshot::Snapshot;
pub use crate::store::drills::Filter;
use crate::store::drills::{Planned, Source, State};
use crate::store::hosts::HostRecord;
use crate::store::jobs::JobRecord;
use crate::store::{Conn, StoreError, alerts, drills, hosts, schedules, snapshots, upkeep};
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{FinishReport, Task};
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::pause::first_free;
use restic_manager_shared::wire::restore::{DrillReport, DrilledFile, MAX_DRILL_FILES};
use std::collections::HashMap;

/// Drills let people's jobs go first.
const BEHIND: i32 = -10;
/// How the chore of a schedule's drill is called; the schedule's identity follows. Only one of a name is open at a time.
const CHORE: &str = "drill:";
/// Characters of a note that are kept.
const MAX_NOTE: usize = 1_000;

/// Drills that ended, the newest first. The cursor is `<microseconds>.<job id>`.
///
/// # Errors
/// A cursor that is not one of this list, or the database fails.
pub async fn list(s: &Services, filter: Filter, cursor: Option<String>, limit: i64) -> Result<Listed<Drill>, ActError> {
    let before = after(cursor, at_and_id)?;
    let items = s.db.read(move |conn| Ok::<_, ActError>(drills::list(conn, &filter, before, limit + 1)?)).await?;
    Ok(page(items, limit, |d| format!("{}.{}", d.at.micros(), d.job_id)))
}

/// What is proven of each file of a schedule that was ever drilled, as far as that is kept.
///
/// # Errors
/// No such schedule, or the database fails.
pub async fn evidence(
    s: &Services,
    schedule: ScheduleId,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<DrilledEvidence>, ActError> {
    let after = cursor.unwrap_or_default();
    if !after.chars().all(|c| c.is_ascii_hexdigit()) || !matches!(after.len(), 0 | 64) {
        return Err(ActError::field("/cursor", "not a cursor of this list"));
    }
    let items =
        s.db.read(move |conn| {
            load_schedule(conn, schedule)?;
            Ok::<_, ActError>(drills::evidence(conn, schedule, &after, limit + 1)?)
        })
        .await?;
    let Listed { items, next } = page(items, limit, |(key, _)| key.clone());
    Ok(Listed { items: items.into_iter().map(|(_, found)| found).collect(), next })
}

/// How each schedule of a host stands.
///
/// # Errors
/// When there is no such host.
pub async fn standing(s: &Services, host: HostId, now: Timestamp) -> Result<Vec<DrillStanding>, ActError> {
    s.db.read(move |conn| {
        let record = load_host(conn, host)?;
        let mut found = vec![];
        for schedule in schedules::of_host(conn, host)? {
            let state = drills::state(conn, schedule.id)?;
            found.push(stands(schedule, state, (record.timezone.as_deref(), &record.pauses), now));
        }
        Ok(found)
    })
    .await
}

fn stands(
    schedule: Schedule,
    state: Option<State>,
    (host_zone, host_pauses): (Option<&str>, &[Paused]),
    now: Timestamp,
) -> DrillStanding {
    let pauses = spans(host_pauses, &schedule.pauses);
    let zone = zone(schedule.timezone.as_deref(), host_zone);
    let next_at = schedule.drill.as_ref().filter(|_| schedule.enabled).and_then(|plan| {
        let next = |after| plan.next(zone, after).map(|due| (due, due));
        first_free(&pauses, now, next).map(|(due, _)| due)
    });
    let (proven_at, proven_snapshot, last_job_id, note) =
        state.map_or((None, None, None, None), |s| (s.proven_at, s.proven_snapshot, s.last_job_id, s.note));
    DrillStanding {
        schedule_id: schedule.id,
        schedule: schedule.name,
        plan: schedule.drill,
        next_at,
        proven_at,
        proven_snapshot,
        last_job_id,
        note,
    }
}

/// When backups of these hosts were last proven restorable. Hosts where nothing was are left out.
///
/// # Errors
/// When the database fails.
pub async fn proven(s: &Services, hosts: Vec<HostId>) -> Result<HashMap<HostId, Timestamp>, ActError> {
    s.db.read(move |conn| Ok(drills::proven(conn, &hosts)?.into_iter().collect())).await
}

/// A plan begins to count when it is given, changed, or switched on again: fires of the time before are nobody's.
pub(super) fn plan_changed(
    conn: &mut Conn,
    old: Option<&Schedule>,
    new: &Schedule,
    now: Timestamp,
) -> Result<(), ActError> {
    let counts_on = old.is_some_and(|old| {
        let when = |s: &Schedule| (s.enabled, s.timezone.clone(), s.drill.as_ref().map(|d| d.cron.clone()));
        when(old) == when(new)
    });
    if new.drill.is_none() || counts_on {
        return Ok(());
    }
    let state = drills::state(conn, new.id)?.unwrap_or_else(|| blank(now));
    Ok(drills::put_state(conn, new.id, &State { followed_until: now, note: None, ..state })?)
}

const fn blank(now: Timestamp) -> State {
    State { followed_until: now, proven_at: None, proven_snapshot: None, last_job_id: None, note: None }
}

/// Nobody can prove what is gone, so nothing is to be known of it either.
pub(super) fn schedule_gone(conn: &mut Conn, schedule: &Schedule, now: Timestamp) -> Result<(), ActError> {
    alerts::resolve(conn, (AlertKind::DrillFailed, &subject(schedule)), now)?;
    Ok(())
}

fn subject(schedule: &Schedule) -> String {
    format!("host:{}/schedule:{}", schedule.host_id, schedule.id)
}

/// Starts the drills that are due. Answers how many were started.
///
/// # Errors
/// When the database fails.
pub async fn start_due(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let online = online_now(s);
    let due =
        s.db.read(move |conn| {
            let mut found = vec![];
            for planned in drills::planned(conn, None)? {
                if fire(conn, &planned, &online, now)?.is_some() {
                    found.push(planned.schedule_id);
                }
            }
            Ok::<_, ActError>(found)
        })
        .await?;
    let mut started = 0;
    for schedule in due {
        let online = online_now(s);
        if let Some(host) = s.db.write(move |conn| start(conn, schedule, &online, now)).await? {
            s.hub.hosts.wake(host);
            started += 1;
        }
    }
    Ok(started)
}

/// The newest snapshot of a schedule that a job of ours made: a forged one proves nothing.
fn newest(conn: &mut Conn, planned: &Planned) -> Result<Option<Snapshot>, ActError> {
    let filter = snapshots::Filter {
        repository: Some(planned.repository_id),
        schedule: Some(planned.schedule_id),
        attested: Some(true),
        ..snapshots::Filter::default()
    };
    Ok(snapshots::list(conn, &filter, None, 1)?.pop())
}

/// The fire that a drill would stand for now. The cheap questions come first: most plans are not due.
fn fire(
    conn: &mut Conn,
    planned: &Planned,
    online: &impl Fn(&HostRecord) -> bool,
    now: Timestamp,
) -> Result<Option<Timestamp>, ActError> {
    let zone = zone(planned.timezone.as_deref(), None);
    let if_it_can =
        Seen { enabled: true, has_snapshot: true, online: true, open: false, followed_until: planned.followed_until };
    let falls_away = |due| takes_drill(&planned.pauses, due, now);
    if due(&planned.plan, zone, if_it_can, now).is_none_or(falls_away) {
        return Ok(None);
    }
    let Some(host) = hosts::get(conn, planned.host_id)? else { return Ok(None) };
    let seen = Seen {
        online: online(&host),
        has_snapshot: newest(conn, planned)?.is_some(),
        open: is_open(conn, planned)?,
        ..if_it_can
    };
    Ok(due(&planned.plan, zone, seen, now))
}

fn chore(schedule: ScheduleId) -> String {
    format!("{CHORE}{schedule}")
}

fn is_open(conn: &mut Conn, planned: &Planned) -> Result<bool, ActError> {
    let any = Task::Locks { repository_id: planned.repository_id };
    let Some(place) = place_of(conn, &any, planned.host_id)? else { return Ok(false) };
    Ok(upkeep::is_open(conn, place, &chore(planned.schedule_id))?)
}

/// Starts a drill if it is still due, looking once more inside the transaction. Answers the host to wake.
fn start(
    conn: &mut Conn,
    schedule: ScheduleId,
    online: &impl Fn(&HostRecord) -> bool,
    now: Timestamp,
) -> Result<Option<HostId>, ActError> {
    let Some(planned) = drills::planned(conn, Some(schedule))?.pop() else { return Ok(None) };
    let Some(fire) = fire(conn, &planned, online, now)? else { return Ok(None) };
    let Some(snapshot) = newest(conn, &planned)? else { return Ok(None) };
    // Of several servers that look at the same time, one says that it acts on the fire.
    if !drills::follow(conn, schedule, planned.followed_until, fire)? {
        return Ok(None);
    }
    let oldest = drills::oldest(conn, schedule, planned.plan.oldest_files.into())?;
    let task = Task::Drill {
        repository_id: planned.repository_id,
        snapshot: snapshot.id,
        paths: that_fit(oldest, planned.plan.oldest_files),
        random: planned.plan.random_files,
        max_bytes: planned.plan.max_bytes,
    };
    let ask = Ask { priority: BEHIND, chore: Some(chore(schedule)), ..Ask::of(planned.host_id, task) };
    let mut state = drills::state(conn, schedule)?.unwrap_or_else(|| blank(fire));
    let wake = match queue(conn, &Request::system("drills", now), ask) {
        Ok(job) => {
            state.last_job_id = Some(job.id);
            state.note = None;
            Some(planned.host_id)
        }
        Err(ActError::Store(StoreError::Duplicate(_))) => return Ok(None),
        Err(ActError::Refused(refusal)) => {
            state.note = Some(format!("{}. {}", refusal.title(), refusal.detail()));
            None
        }
        Err(error) => return Err(error),
    };
    drills::put_state(conn, schedule, &state)?;
    Ok(wake)
}

/// Keeps what a drill came to, in the transaction of its job's end.
pub(super) fn ended(
    conn: &mut Conn,
    record: &JobRecord,
    (snapshot, named): (&str, &[String]),
    report: &FinishReport,
    now: Timestamp,
) -> Result<(), ActError> {
    let drilled = match &report.outcome {
        Some(Outcome::Drill(drilled)) => Some(bounded(drilled)),
        _ => None,
    };
    let counts = drilled.as_ref().map(DrillCounts::of);
    let (Some(verdict), Some(repository)) = (verdict(report.end, counts), record.job.repository_id) else {
        return Ok(());
    };
    let known = snapshots::get(conn, repository, snapshot)?;
    let by_plan = record.chore.as_deref().and_then(|c| c.strip_prefix(CHORE)).and_then(|id| id.parse().ok());
    let schedule = match by_plan.or_else(|| known.as_ref().and_then(|k| k.schedule_id)) {
        Some(id) => schedules::get(conn, id)?,
        None => None,
    };
    let drill = Drill {
        job_id: record.job.id,
        host_id: record.job.host_id,
        schedule_id: schedule.as_ref().map(|s| s.id),
        repository_id: Some(repository),
        // A host that was cut off may tell late. Its clock may be off.
        at: report.finished_at.min(now).max(record.job.queued_at),
        verdict,
        record: DrillRecord {
            snapshot: snapshot.to_owned(),
            snapshot_time: known.map(|k| k.time),
            planned: by_plan.is_some(),
            counts: counts.unwrap_or_default(),
            note: report.cause.as_ref().map(|c| c.message.chars().take(MAX_NOTE).collect()),
        },
    };
    drills::put(conn, &drill)?;
    let Some(schedule) = schedule else { return Ok(()) };
    if let Some(drilled) = &drilled {
        let source = Source { schedule: schedule.id, job: drill.job_id, snapshot, at: drill.at };
        drills::keep_files(conn, source, &drilled.files)?;
        drills::left_out(conn, schedule.id, &not_among(named, &drilled.files), drill.at)?;
    }
    stands_now(conn, &schedule, &drill, now)?;
    told(conn, &schedule, &drill, now)
}

/// No more of a report than a drill may have files.
fn bounded(report: &DrillReport) -> DrillReport {
    let mut report = report.clone();
    report.files.truncate(MAX_DRILL_FILES);
    report
}

fn not_among<'a>(named: &'a [String], files: &[DrilledFile]) -> Vec<&'a str> {
    let there: std::collections::HashSet<&str> = files.iter().map(|f| f.path.as_str()).collect();
    named.iter().map(String::as_str).filter(|path| !there.contains(path)).collect()
}

fn stands_now(conn: &mut Conn, schedule: &Schedule, drill: &Drill, now: Timestamp) -> Result<(), ActError> {
    let mut state = drills::state(conn, schedule.id)?.unwrap_or_else(|| blank(now));
    state.last_job_id = Some(drill.job_id);
    state.note.clone_from(&drill.record.note);
    // Fires that came while it was under way are covered by it.
    if drill.record.planned {
        state.followed_until = state.followed_until.max(now);
    }
    if drill.verdict == DrillVerdict::Proven && state.proven_at.is_none_or(|at| at <= drill.at) {
        state.proven_at = Some(drill.at);
        state.proven_snapshot = Some(drill.record.snapshot.clone());
    }
    Ok(drills::put_state(conn, schedule.id, &state)?)
}

/// An alert holds from a drill that failed to the next one that proves something.
fn told(conn: &mut Conn, schedule: &Schedule, drill: &Drill, now: Timestamp) -> Result<(), ActError> {
    let about = (AlertKind::DrillFailed, &*subject(schedule));
    let why = drill.record.note.as_deref().unwrap_or("the agent did not say why");
    let name = &schedule.name;
    let (severity, detail) = match drill.verdict {
        DrillVerdict::Proven => {
            alerts::resolve(conn, about, now)?;
            return Ok(());
        }
        DrillVerdict::Nothing => return Ok(()),
        DrillVerdict::Differs => (
            Severity::Critical,
            format!("files of schedule \u{201c}{name}\u{201d} did not come back as they were: {why}"),
        ),
        DrillVerdict::Failed => {
            (Severity::Warning, format!("nothing could be proven of schedule \u{201c}{name}\u{201d}: {why}"))
        }
    };
    alerts::raise(conn, about, severity, &detail, now)?;
    Ok(())
}
