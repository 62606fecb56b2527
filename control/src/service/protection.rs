//! Protection: keeping what schedules' backups came to, in the same transaction as the job's end, and telling the fleet's counts of it.

use super::{ActError, Services, general};
use crate::domain::job::{Job, JobResult, JobState};
use crate::domain::pause::{Paused, spans};
use crate::domain::protection::{Protection, Track, standing};
use crate::domain::schedule::Schedule;
use crate::store::jobs::JobRecord;
use crate::store::next_runs::{self, Coming};
use crate::store::protection::Failing;
use crate::store::{Conn, host_search, hosts, jobs, protection, schedules};
use restic_manager_shared::id::{HostId, JobId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{CauseCode, Task};
use std::collections::HashMap;
use std::time::Duration;

/// Hosts that are judged in one transaction after an upgrade.
const AT_ONCE: i64 = 200;

/// Notes how a run of a schedule ended, and what that makes of its host. A dry run backs nothing up, and of a job that was recalled nobody
/// knows what it was asked to do.
pub(super) fn ended(
    conn: &mut Conn,
    record: &JobRecord,
    state: JobState,
    result: &JobResult,
    now: Timestamp,
) -> Result<(), ActError> {
    let job = &record.job;
    let (Some(Task::Backup { dry_run: false, .. }), Some(schedule)) = (&record.task, job.schedule_id) else {
        return Ok(());
    };
    let before = protection::track_of(conn, schedule)?;
    let bytes = result.summary.as_ref().map(|s| i64::try_from(s.total_bytes_processed).unwrap_or(i64::MAX));
    let cause = result.cause.as_ref().map(|c| c.code);
    let after = Track::after(before, job.started_at.unwrap_or(job.queued_at), state, bytes);
    match after {
        Some(track) if after != before => protection::put_track(conn, schedule, &track)?,
        _ => return Ok(()),
    }
    if after.map(|t| (t.run_at, t.last_end)) != before.map(|t| (t.run_at, t.last_end)) {
        let failed = matches!(state, JobState::Failed | JobState::Lost).then_some((job.id, cause));
        protection::put_failure(conn, schedule, failed)?;
    }
    judge(conn, job.host_id, now)
}

/// Works out how a host stands: after the end of a run, and after every change of its schedules.
pub(super) fn judge(conn: &mut Conn, host: HostId, now: Timestamp) -> Result<(), ActError> {
    let record = hosts::get(conn, host)?;
    let (zone, pauses) = record.map_or_else(Default::default, |h| (h.timezone, h.pauses));
    let mut tracks: HashMap<_, _> = protection::tracks_of_host(conn, host)?.into_iter().collect();
    let schedules = schedules::of_host(conn, host)?.into_iter();
    let with_tracks: Vec<_> = schedules.map(|s| (tracks.remove(&s.id), s)).map(|(track, s)| (s, track)).collect();
    let manual_limit = general::load(conn)?.manual_limit();
    plan_next(conn, host, with_tracks.iter().map(|(s, _)| s), (zone.as_deref(), &pauses), now)?;
    Ok(protection::put_standing(conn, host, &standing(&with_tracks, zone.as_deref(), manual_limit), now)?)
}

/// Keeps when the schedules of a host run next, given its zone and its own pauses.
pub(super) fn plan_next<'a>(
    conn: &mut Conn,
    host: HostId,
    schedules: impl Iterator<Item = &'a Schedule>,
    (zone, pauses): (Option<&str>, &[Paused]),
    now: Timestamp,
) -> Result<(), ActError> {
    let next = schedules.filter_map(|s| Some((s.id, s.next_run(zone, &spans(pauses, &s.pauses), now)?))).collect();
    Ok(next_runs::put(conn, host, &next)?)
}

/// Goes on with the next runs that have gone by. Answers of how many hosts.
///
/// # Errors
/// When the database fails.
pub async fn follow_the_clock(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let mut followed = 0;
    loop {
        let some =
            s.db.write(move |conn| {
                let some = next_runs::gone_by(conn, now, AT_ONCE)?;
                for host in &some {
                    let record = hosts::get(conn, *host)?;
                    let (zone, pauses) = record.map_or_else(Default::default, |h| (h.timezone, h.pauses));
                    let planned = schedules::of_host(conn, *host)?;
                    plan_next(conn, *host, planned.iter(), (zone.as_deref(), &pauses), now)?;
                }
                Ok::<_, ActError>(some.len())
            })
            .await?;
        followed += some;
        if some == 0 {
            return Ok(followed);
        }
    }
}

/// When each of these hosts runs next, of those that do.
///
/// # Errors
/// When the database fails.
pub async fn next_of_hosts(
    s: &Services,
    ids: Vec<HostId>,
    now: Timestamp,
) -> Result<HashMap<HostId, Timestamp>, ActError> {
    s.db.read(move |conn| Ok(next_runs::of_hosts(conn, &ids, now)?.into_iter().collect())).await
}

/// The next instants at which something starts, on all hosts or on those with a tag, each with some of its hosts.
///
/// # Errors
/// When the database fails.
pub async fn coming(
    s: &Services,
    tag: Option<String>,
    now: Timestamp,
    (instants, named): (i64, i64),
) -> Result<Vec<Coming>, ActError> {
    s.db.read(move |conn| Ok(next_runs::coming(conn, tag.as_deref(), now, (instants, named))?)).await
}

/// Why each host that is failing does, all or those with a tag, by name, once for each of its schedules that fails.
///
/// # Errors
/// When the database fails.
pub async fn failing(s: &Services, tag: Option<String>, now: Timestamp) -> Result<Vec<Failing>, ActError> {
    s.db.read(move |conn| Ok(protection::failing(conn, tag.as_deref(), now)?)).await
}

/// What else failed for the same cause.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Alike {
    /// Hosts that it holds up now.
    pub hosts: i64,
    /// The newest other jobs.
    pub jobs: Vec<Job>,
}

/// What fails in a repository for the same cause as a job: the newest run of each schedule, at most `limit` of them.
///
/// # Errors
/// When the database fails.
pub async fn failed_alike(
    s: &Services,
    job: JobId,
    (repository, cause): (RepositoryId, CauseCode),
    limit: i64,
) -> Result<Alike, ActError> {
    s.db.read(move |conn| {
        let (hosts, ids) = protection::failed_alike(conn, repository, cause, limit + 1)?;
        let mut found = vec![];
        for id in ids.into_iter().filter(|id| *id != job) {
            found.extend(jobs::get(conn, id)?.map(|record| record.job));
        }
        found.truncate(usize::try_from(limit).unwrap_or(0));
        Ok(Alike { hosts, jobs: found })
    })
    .await
}

/// Judges the hosts that were not yet, as after an upgrade. Answers how many.
///
/// # Errors
/// When the database fails.
pub async fn judge_new(s: &Services) -> Result<usize, ActError> {
    let mut judged = 0;
    loop {
        let now = Timestamp::now();
        let some =
            s.db.write(move |conn| {
                let some = protection::unjudged(conn, AT_ONCE)?;
                some.iter().try_for_each(|host| judge(conn, *host, now))?;
                Ok::<_, ActError>(some.len())
            })
            .await?;
        judged += some;
        if some == 0 {
            return Ok(judged);
        }
    }
}

/// The fleet in figures.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Hosts by how well they are protected.
    pub hosts: HashMap<Protection, i64>,
    /// Jobs that ended within the last day, by how.
    pub ended: HashMap<JobState, i64>,
}

impl Figures {
    /// How many hosts stand so.
    #[must_use]
    pub fn stand(&self, states: &[Protection]) -> i64 {
        states.iter().filter_map(|s| self.hosts.get(s)).sum()
    }

    /// How many jobs ended so.
    #[must_use]
    pub fn ended(&self, states: &[JobState]) -> i64 {
        states.iter().filter_map(|s| self.ended.get(s)).sum()
    }
}

/// Counts how hosts stand now: all, or those with a tag.
///
/// # Errors
/// When the database fails.
pub async fn standings(s: &Services, tag: Option<String>, now: Timestamp) -> Result<Figures, ActError> {
    let hosts = s.db.read(move |conn| Ok::<_, ActError>(host_search::standings(conn, tag.as_slice(), now)?)).await?;
    Ok(Figures { hosts: hosts.into_iter().collect(), ..Figures::default() })
}

/// Counts how the last day's jobs ended.
///
/// # Errors
/// When the database fails.
pub async fn last_day(s: &Services, now: Timestamp) -> Result<Figures, ActError> {
    let since = now - Duration::from_secs(24 * 3600);
    let ended = s.db.read(move |conn| Ok::<_, ActError>(protection::ended_since(conn, None, since)?)).await?;
    Ok(Figures { ended: ended.into_iter().collect(), ..Figures::default() })
}

/// Counts the fleet, or its hosts with a tag: how they stand now, and how the last day's jobs ended.
///
/// # Errors
/// When the database fails.
pub async fn figures(s: &Services, tag: Option<String>, now: Timestamp) -> Result<Figures, ActError> {
    s.db.read(move |conn| {
        let ended = protection::ended_since(conn, tag.as_deref(), now - Duration::from_secs(24 * 3600))?;
        let hosts = host_search::standings(conn, tag.as_slice(), now)?;
        Ok(Figures { hosts: hosts.into_iter().collect(), ended: ended.into_iter().collect() })
    })
    .await
}
