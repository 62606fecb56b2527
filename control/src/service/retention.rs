//! Retention of a repository's schedules: what stays and what goes and why, and the job that removes what goes. The rules are in
//! `domain::{retention, attestation, forget}`; only ids travel.

use super::jobs::{Ask, Queued, Request, queue, queued};
use super::operations::{choose_host, online_now};
use super::repositories::load as load_repository;
use super::{ActError, Refusal, Services};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::attestation::{Attestation, Doubt, Listed, Report, SLACK, judge};
use crate::domain::forget::{Event, Facts, Freeze, Gate, Guards, Plan, Question, plan};
use crate::domain::permission::{Actor, Role};
use crate::domain::place::Place;
use crate::domain::schedule::{Schedule, zone};
use crate::domain::snapshot::Snapshot;
use crate::domain::upkeep::Chore;
use crate::store::repositories::RepositoryRecord;
use crate::store::{Conn, StoreError, alerts, jobs, schedules, snapshots};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Ids in one job; the rest goes the next time.
const MOST: usize = 5_000;
/// Chores let people's jobs go first.
const BEHIND: i32 = -10;

/// What retention says of one schedule's snapshots.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct SchedulePlan {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// Its name.
    pub schedule: String,
    /// Its host.
    pub host_id: HostId,
    /// The host's name.
    pub host: String,
    /// The zone in which its days begin.
    pub timezone: String,
    /// Every snapshot, whether it stays or goes, and why.
    #[serde(flatten)]
    pub plan: Plan,
    /// The same gate in words.
    pub gate_text: String,
}

/// Whether some schedule of a place has a keep rule at all.
pub(super) fn any_policy(conn: &mut Conn, place: Place) -> Result<bool, ActError> {
    Ok(of_place(conn, place)?.iter().any(|s| !s.retention.keeps_everything()))
}

/// The schedules that back up to a place.
fn of_place(conn: &mut Conn, place: Place) -> Result<Vec<Schedule>, ActError> {
    let mut schedules = schedules::of_repository(conn, place.repository)?;
    schedules.retain(|s| place.host.is_none_or(|host| s.host_id == host));
    Ok(schedules)
}

/// What retention would do in a repository now.
///
/// # Errors
/// When there is no such repository.
pub async fn preview(s: &Services, id: RepositoryId) -> Result<Vec<SchedulePlan>, ActError> {
    s.db.read(move |conn| plans(conn, Place { repository: id, host: None }, None, Timestamp::now())).await
}

/// The plans of a place's schedules; of all of a repository if the place is nobody's own.
fn plans(
    conn: &mut Conn,
    place: Place,
    confirmed: Option<&BTreeSet<String>>,
    now: Timestamp,
) -> Result<Vec<SchedulePlan>, ActError> {
    let record = load_repository(conn, place.repository)?;
    let mut found = vec![];
    for schedule in of_place(conn, place)? {
        found.push(plan_of(conn, &record, &schedule, confirmed, now)?);
    }
    found.sort_by(|a, b| (&a.host, &a.schedule).cmp(&(&b.host, &b.schedule)));
    Ok(found)
}

fn plan_of(
    conn: &mut Conn,
    record: &RepositoryRecord,
    schedule: &Schedule,
    confirmed: Option<&BTreeSet<String>>,
    now: Timestamp,
) -> Result<SchedulePlan, ActError> {
    let host = super::hosts::load(conn, schedule.host_id)?;
    let rows = snapshots::of_schedule(conn, record.repository.id, schedule.id)?;
    let attestations = attestations(conn, &rows, now)?;
    let facts: Vec<Facts<'_>> = rows
        .iter()
        .zip(attestations)
        .map(|(row, attestation)| Facts { id: &row.id, time: row.time, tags: &row.tags, attestation })
        .collect();
    let zone = zone(schedule.timezone.as_deref(), host.timezone.as_deref());
    let freeze = host.frozen.map(|f| Freeze { reason: f.reason, since: f.since });
    let guards = Guards {
        floor: record.plan.floor,
        ceiling_percent: u8::try_from(record.plan.ceiling_percent.min(100)).unwrap_or(100),
        ..Guards::default()
    };
    let question = Question {
        snapshots: &facts,
        retention: &schedule.retention,
        zone,
        guards,
        freeze: freeze.as_ref(),
        confirmed,
    };
    let plan = plan(&question, now);
    Ok(SchedulePlan {
        schedule_id: schedule.id,
        schedule: schedule.name.clone(),
        host_id: host.id,
        host: host.name,
        timezone: zone.name().to_owned(),
        gate_text: plan.gate.to_string(),
        plan,
    })
}

/// Whether each snapshot is ours: a job of ours reported it and its time lies in that job's, or a person vouches for it.
fn attestations(conn: &mut Conn, rows: &[Snapshot], now: Timestamp) -> Result<Vec<Attestation>, ActError> {
    let ids: Vec<JobId> = rows.iter().filter_map(|r| r.job_id).collect();
    let windows: BTreeMap<JobId, (Timestamp, Timestamp)> =
        jobs::windows(conn, &ids)?.into_iter().map(|(id, from, until)| (id, (from, until.unwrap_or(now)))).collect();
    let report = |row: &Snapshot| {
        let job_id = row.job_id.filter(|_| row.attested)?;
        let (started, ended) = *windows.get(&job_id)?;
        Some((row.id.clone(), Report { job_id, started, ended }))
    };
    let reports: BTreeMap<String, Report> = rows.iter().filter_map(report).collect();
    let listed: Vec<Listed<'_>> = rows.iter().map(|r| Listed { id: &r.id, original: None, time: r.time }).collect();
    let judged = judge(&listed, &reports, SLACK, now);
    let vouched = |row: &Snapshot| row.attested && !reports.contains_key(&row.id);
    Ok(rows
        .iter()
        .zip(judged)
        .map(|(row, judged)| match judged {
            Attestation::Unattested { doubt: Doubt::Unknown } if vouched(row) => Attestation::Attested { job_id: None },
            other => other,
        })
        .collect())
}

/// What comes after the list of a forget chore.
pub(super) struct AfterList {
    /// What is noted of the chore.
    pub(super) note: String,
    /// The job that forgets, if there is something to forget.
    pub(super) job: Option<JobId>,
}

/// Decides what goes, now that it is known what is there, and has the same host remove it.
pub(super) fn after_list(conn: &mut Conn, place: Place, host: HostId, now: Timestamp) -> Result<AfterList, ActError> {
    let plans = plans(conn, place, None, now)?;
    tell(conn, place.repository, &plans, now)?;
    let ids: Vec<String> = plans.iter().flat_map(|p| p.plan.to_forget()).take(MOST).map(ToOwned::to_owned).collect();
    let held = plans.iter().filter(|p| matches!(p.plan.gate, Gate::NeedsPerson { .. } | Gate::Frozen { .. })).count();
    let kept = match held {
        0 => String::new(),
        n => format!("; {n} schedules wait for a person"),
    };
    if ids.is_empty() {
        return Ok(AfterList { note: format!("nothing to remove{kept}"), job: None });
    }
    let note = format!("removes {} snapshots{kept}", ids.len());
    let task = Task::Forget { repository_id: place.repository, snapshots: ids, dry_run: false };
    let ask =
        Ask { priority: BEHIND, of: place.host, chore: Some(Chore::Forget.as_str().into()), ..Ask::of(host, task) };
    match queue(conn, &Request::system("retention", now), ask) {
        Ok(job) => Ok(AfterList { note, job: Some(job.id) }),
        Err(ActError::Refused(refusal)) => Ok(AfterList { note: refusal.title().to_owned(), job: None }),
        Err(ActError::Store(StoreError::Duplicate(_))) => Ok(AfterList { note, job: None }),
        Err(error) => Err(error),
    }
}

/// Opens and resolves the alerts that follow from the plans.
fn tell(conn: &mut Conn, repository: RepositoryId, plans: &[SchedulePlan], now: Timestamp) -> Result<(), ActError> {
    for it in plans {
        let subject = format!("repository:{repository}/schedule:{}", it.schedule_id);
        let unattested = it.plan.events.iter().find_map(|e| match e {
            Event::Unattested { ids } => Some(ids.len()),
            Event::CeilingReached { .. } => None,
        });
        let about = (AlertKind::UnattestedSnapshots, subject.as_str());
        match unattested {
            Some(n) => {
                let detail = format!(
                    "{n} snapshots that say they are of \u{201c}{}\u{201d} on {} were made by no job that is known here. They are kept, and take no \
                     other's place. If they are yours, vouch for them; if not, somebody else holds this host's credential",
                    it.schedule, it.host
                );
                alerts::raise(conn, about, Severity::Critical, &detail, now)?;
            }
            None => drop(alerts::resolve(conn, about, now)?),
        }
        let about = (AlertKind::RetentionCeiling, subject.as_str());
        match &it.plan.gate {
            Gate::NeedsPerson { .. } => {
                let detail = format!("\u{201c}{}\u{201d} on {}: {}", it.schedule, it.host, it.plan.gate);
                alerts::raise(conn, about, Severity::Warning, &detail, now)?;
            }
            Gate::Nothing | Gate::Open | Gate::Frozen { .. } => drop(alerts::resolve(conn, about, now)?),
        }
    }
    Ok(())
}

/// Removes what retention does not keep, now and on a person's word: `confirmed` are the ids that the person has seen. What has come to be
/// selected since then is not removed. One job for each restic repository; asked for twice, what is gone is no longer selected.
///
/// # Errors
/// Nothing is to be removed, a host is frozen, or no host can do it.
pub async fn carry_out(
    s: &Services,
    actor: &Actor,
    repository_id: RepositoryId,
    confirmed: BTreeSet<String>,
) -> Result<Vec<Queued>, ActError> {
    if !actor.role.covers(Role::Operator) {
        return Err(Refusal::Forbidden.into());
    }
    let (actor, now) = (actor.clone(), Timestamp::now());
    let online = online_now(s);
    let jobs =
        s.db.write(move |conn| {
            let everywhere = Place { repository: repository_id, host: None };
            let plans = plans(conn, everywhere, Some(&confirmed), now)?;
            let going = selected(conn, repository_id, &plans, &confirmed)?;
            if going.is_empty() {
                let frozen = plans.iter().find(|p| matches!(p.plan.gate, Gate::Frozen { .. }));
                return Err(match frozen {
                    Some(frozen) => Refusal::RetentionFrozen(frozen.gate_text.clone()).into(),
                    None => {
                        ActError::field("/snapshots", "retention selects none of these now; look at the preview again")
                    }
                });
            }
            let mut jobs = vec![];
            for (place, ids) in going {
                let task = Task::Forget { repository_id, snapshots: ids, dry_run: false };
                let request = Request { actor: actor.clone(), now, key: None };
                let host = choose_host(conn, &task, None, place.host, &online)?;
                jobs.push(queue(conn, &request, Ask { of: place.host, ..Ask::of(host, task) })?);
            }
            Ok(jobs)
        })
        .await?;
    let mut answers = vec![];
    for job in jobs {
        answers.push(queued(s, job).await?);
    }
    Ok(answers)
}

/// The ids that retention selects and a person has seen, by place.
fn selected(
    conn: &mut Conn,
    repository: RepositoryId,
    plans: &[SchedulePlan],
    confirmed: &BTreeSet<String>,
) -> Result<BTreeMap<Place, Vec<String>>, ActError> {
    let record = load_repository(conn, repository)?;
    let mut going: BTreeMap<Place, Vec<String>> = BTreeMap::new();
    for it in plans {
        let place = Place::of(repository, &record.repository.url, it.host_id);
        let ids = it.plan.to_forget().into_iter().filter(|id| confirmed.contains(*id));
        let list = going.entry(place).or_default();
        list.extend(ids.map(ToOwned::to_owned));
        list.truncate(MOST);
    }
    going.retain(|_, ids| !ids.is_empty());
    Ok(going)
}
