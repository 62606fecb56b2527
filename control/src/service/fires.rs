//! Fires: what agents tell of the runs that their own schedulers started, and which of those that should have been are missing.

use super::{ActError, Noun, Services};
use crate::domain::job::{JobState, StandsFor};
use crate::domain::missed::{Judgement, judge, next_owed, without_paused};
use crate::domain::pause::spans;
use crate::domain::place::Place;
use crate::domain::schedule::Schedule;
use crate::store::fires::{self, NewFire};
use crate::store::{Conn, hosts, repositories, schedules};
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::{FireLedger, FireOutcome, FireReport, MAX_STOOD_FOR};
use restic_manager_shared::wire::job::{ClaimResponse, Task};
use restic_manager_shared::wire::pause::Pause;
use restic_manager_shared::wire::progress::{LogLevel, LogLine};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How far each schedule was judged by this process, so that a poll in which no fire went by costs no query.
#[derive(Debug, Default)]
pub struct Judged(Mutex<HashMap<ScheduleId, (FireLedger, Option<Timestamp>)>>);

impl Judged {
    fn map(&self) -> MutexGuard<'_, HashMap<ScheduleId, (FireLedger, Option<Timestamp>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is told changes anything.
    fn is_news(&self, told: &FireLedger) -> bool {
        let map = self.map();
        let Some((judged, next)) = map.get(&told.schedule_id) else { return true };
        let other = (&judged.cron, &judged.timezone, judged.ended) != (&told.cron, &told.timezone, told.ended);
        other || next.is_some_and(|next| next <= told.until)
    }

    fn note(&self, judged: FireLedger) {
        let next = next_owed(&judged);
        self.map().insert(judged.schedule_id, (judged, next));
    }
}

/// Stores a fire that an agent acted on. The same one told twice is one job.
///
/// # Errors
/// The schedule is another host's, or the identity is not that of the fire.
pub async fn tell(s: &Services, host: HostId, fire: FireReport) -> Result<ClaimResponse, ActError> {
    if fire.id != JobId::of_fire(fire.schedule_id, fire.due) {
        return Err(ActError::field("/id", "is not the identity of this schedule's fire"));
    }
    if fire.stands_for.len() > MAX_STOOD_FOR {
        return Err(ActError::field("/stands_for", format!("at most {MAX_STOOD_FOR}; count the rest")));
    }
    // The task is kept as the host tells it, and what a job was asked to do decides what its outcome is believed to have done.
    if matches!(&fire.outcome, FireOutcome::Run { task } if !matches!(task, Task::Backup { .. })) {
        return Err(ActError::field("/outcome/task", "a schedule fires backups and nothing else"));
    }
    let (id, now) = (fire.id, Timestamp::now());
    let lease = now + s.leased();
    s.db.write(move |conn| store(conn, host, &fire, now, lease)).await?;
    s.presence.touch(host, now);
    s.hub.jobs.wake(id);
    Ok(ClaimResponse { lease: s.lease })
}

fn store(conn: &mut Conn, host: HostId, fire: &FireReport, now: Timestamp, lease: Timestamp) -> Result<(), ActError> {
    let schedule = schedules::get(conn, fire.schedule_id)?;
    if schedule.as_ref().is_some_and(|s| s.host_id != host) {
        return Err(ActError::NotFound(Noun::Schedule));
    }
    let (task, state) = match &fire.outcome {
        FireOutcome::Run { task } => (Some(task), JobState::Running),
        FireOutcome::Skipped { .. } => (None, JobState::Skipped),
    };
    // Schedule and repository may have been deleted while the host was away.
    let named = match task {
        Some(task) => task.repository_id(),
        None => schedule.as_ref().and_then(|s| s.repository_id),
    };
    let place = place_of(conn, named, host)?;
    let stands_for = StandsFor { fires: fire.stands_for.clone(), more: fire.stands_for_more };
    let new = NewFire {
        id: fire.id,
        host_id: host,
        schedule_id: schedule.map(|s| s.id),
        repository_id: place.map(|p| p.repository),
        of_host_id: place.and_then(|p| p.host),
        task,
        state,
        due: fire.due,
        queued_at: fire.due.min(now),
        fired_at: fire.fired_at.min(now),
        stands_for: (!stands_for.fires.is_empty()).then_some(&stands_for),
        state_version: fire.state_version,
        lease,
    };
    fires::put(conn, &new, &first_line(fire))?;
    Ok(())
}

/// The restic repository that a fire of this host works on, unless it was forgotten meanwhile.
fn place_of(conn: &mut Conn, repository: Option<RepositoryId>, host: HostId) -> Result<Option<Place>, ActError> {
    let Some(id) = repository else { return Ok(None) };
    Ok(repositories::get(conn, id)?.map(|r| Place::of(id, &r.repository.url, host)))
}

fn first_line(fire: &FireReport) -> LogLine {
    let count = fire.stands_for.len() as u64 + fire.stands_for_more;
    let (level, text) = match &fire.outcome {
        FireOutcome::Skipped { because_of } => {
            (LogLevel::Warning, format!("skipped: the last run of the schedule, job {because_of}, was still going on"))
        }
        FireOutcome::Run { .. } if count == 1 => (
            LogLevel::Info,
            format!("due at {}; stands for one earlier fire that the host slept or was down through", fire.due),
        ),
        FireOutcome::Run { .. } if count > 1 => (
            LogLevel::Info,
            format!("due at {}; stands for {count} earlier fires that the host slept or was down through", fire.due),
        ),
        FireOutcome::Run { .. } => (LogLevel::Info, format!("due at {}, started by the schedule", fire.due)),
    };
    LogLine { at: fire.fired_at, level, text }
}

/// Looks at how far an agent has followed its schedules, and records fires that are missing. Answers how many.
///
/// # Errors
/// When the database fails.
pub async fn judge_told(s: &Services, host: HostId, told: &[FireLedger]) -> Result<usize, ActError> {
    let news: Vec<FireLedger> = told.iter().filter(|t| s.judged.is_news(t)).cloned().collect();
    if news.is_empty() {
        return Ok(0);
    }
    let now = Timestamp::now();
    let (judged, missed) =
        s.db.write(move |conn| {
            let (mut judged, mut missed) = (vec![], 0);
            let of_host = hosts::get(conn, host)?.map_or_else(Vec::new, |record| record.pauses);
            for told in &news {
                // One that is another host's is nothing to judge, and nobody waits for runs of one that was deleted.
                let Some(schedule) = schedules::get(conn, told.schedule_id)?.filter(|x| x.host_id == host) else {
                    continue;
                };
                let pauses = spans(&of_host, &schedule.pauses);
                let (after, owed) = judge_one(conn, &schedule, &pauses, told, now)?;
                missed += owed;
                judged.push(after);
            }
            Ok::<_, ActError>((judged, missed))
        })
        .await?;
    judged.into_iter().for_each(|j| s.judged.note(j));
    Ok(missed)
}

/// Judges one schedule, and answers how far, and how many fires are missing. A line that ended is judged to its end at once: it is not
/// told again.
fn judge_one(
    conn: &mut Conn,
    schedule: &Schedule,
    pauses: &[Pause],
    told: &FireLedger,
    now: Timestamp,
) -> Result<(FireLedger, usize), ActError> {
    let mut missed = 0;
    loop {
        let before = fires::ledger(conn, told.schedule_id)?;
        let Judgement { owed, judged } = judge(before.as_ref(), told, now);
        let owed = without_paused(owed, pauses, |due| start_of(schedule, told, due));
        missed += record_missed(conn, schedule, &owed, now)?;
        let is_news = before.as_ref() != Some(&judged);
        if is_news {
            fires::put_ledger(conn, &judged)?;
        }
        if !is_news || !told.ended || judged.ended {
            return Ok((judged, missed));
        }
    }
}

/// When a fire of the line that is told starts on its host.
fn start_of(schedule: &Schedule, told: &FireLedger, due: Timestamp) -> Timestamp {
    match (told.cron.parse::<Crontab>(), told.timezone.parse::<Tz>()) {
        (Ok(cron), Ok(zone)) => schedule.start_of(&cron, zone, due),
        _ => due,
    }
}

fn record_missed(conn: &mut Conn, schedule: &Schedule, owed: &[Timestamp], now: Timestamp) -> Result<usize, ActError> {
    let Some(first) = owed.first() else { return Ok(0) };
    let known = fires::known_since(conn, schedule.id, *first)?;
    let there: HashSet<Timestamp> = known.iter().map(|(due, _)| *due).collect();
    let stood_for = |due: Timestamp| known.iter().any(|(_, s)| s.as_ref().is_some_and(|s| s.covers(due)));
    let place = place_of(conn, schedule.repository_id, schedule.host_id)?;
    let mut missed = 0;
    for due in owed.iter().copied().filter(|due| !there.contains(due) && !stood_for(*due)) {
        let text = format!("missed: due at {due}, and the host did not run it");
        let line = LogLine { at: now, level: LogLevel::Warning, text };
        let new = NewFire {
            id: JobId::of_fire(schedule.id, due),
            host_id: schedule.host_id,
            schedule_id: Some(schedule.id),
            repository_id: place.map(|p| p.repository),
            of_host_id: place.and_then(|p| p.host),
            task: None,
            state: JobState::Missed,
            due,
            queued_at: due,
            fired_at: now,
            stands_for: None,
            state_version: 0,
            lease: now,
        };
        missed += usize::from(fires::put(conn, &new, &line)?);
    }
    Ok(missed)
}
