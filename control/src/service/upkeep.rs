//! Upkeep: starting the chores that are due, one after the other in each repository, noting how they ended, and proving each credential
//! once a day.

use super::jobs::{Ask, Request, queue};
use super::operations::{choose_host, online_now, place_of};
use super::outcomes::subject;
use super::repositories::load as load_repository;
use super::{ActError, Noun, Refusal, Services, audit, retention};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::job::JobState;
use crate::domain::permission::Actor;
use crate::domain::place::{Place, is_per_host};
use crate::domain::upkeep::{Chore, ChoreState, Due, Plan, check_plan, cycle_after, cycle_of, due, read_next};
use crate::store::hosts::HostRecord;
use crate::store::jobs::JobRecord;
use crate::store::repositories::RepositoryRecord;
use crate::store::{Conn, StoreError, alerts, credentials, hosts, repositories, snapshots, upkeep};
use restic_manager_shared::id::{HostId, JobId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{End, FinishReport, Task};
use restic_manager_shared::wire::operation::{ReadData, StatsMode};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// Chores let people's jobs go first.
const BEHIND: i32 = -10;
/// Chores of one repository that are open at a time.
const AT_ONCE: usize = 8;
/// Chores that are listed at most.
const SHOWN: usize = 300;
/// How long a proof of what a credential can do is believed.
const PROOF_HOLDS: Duration = Duration::from_secs(24 * 3600);
/// Proofs asked for at one look.
const PROOFS: i64 = 50;

/// A repository's plan, and how far each chore is.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Upkeep {
    /// The host that does it; none if nobody was named: then a host with a full credential does.
    pub maintenance_host_id: Option<HostId>,
    /// The plan.
    pub plan: Plan,
    /// Each chore.
    pub chores: Vec<ChoreView>,
}

/// A chore, and when it is due next.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct ChoreView {
    /// What is known of it.
    #[serde(flatten)]
    pub state: ChoreState,
    /// When it is due next by the plan.
    pub next_at: Option<Timestamp>,
    /// It goes on now.
    pub open: bool,
}

/// A repository's plan and how far it is. Where each host has a repository of its own, the chores of at most some hundreds are listed,
/// those that failed first.
///
/// # Errors
/// When there is no such repository.
pub async fn get(s: &Services, id: RepositoryId) -> Result<Upkeep, ActError> {
    s.db.read(move |conn| {
        let now = Timestamp::now();
        let record = load_repository(conn, id)?;
        let seen = Seen::read(conn, id)?;
        let mut chores = vec![];
        for place in places(conn, &record)? {
            chores.extend(Chore::ALL.iter().map(|chore| ChoreView {
                next_at: record.plan.next(*chore, now),
                open: seen.open_in(place).contains(chore),
                state: seen.state(place, *chore),
            }));
        }
        let failed = |c: &ChoreView| matches!(c.state.last_state, Some(JobState::Failed | JobState::Lost));
        chores.sort_by_key(|c| !failed(c));
        chores.truncate(SHOWN);
        let maintenance_host_id = record.repository.maintenance_host_id;
        Ok(Upkeep { maintenance_host_id, chores, plan: record.plan })
    })
    .await
}

/// What is known of a repository's chores, read at once: by the host that each place is of, as thousands of hosts may have one each.
struct Seen {
    states: HashMap<Option<HostId>, Vec<ChoreState>>,
    open: HashMap<Option<HostId>, Vec<Chore>>,
    filled: HashSet<Option<HostId>>,
}

impl Seen {
    fn read(conn: &mut Conn, id: RepositoryId) -> Result<Self, ActError> {
        let (mut states, mut open) = (HashMap::<_, Vec<_>>::new(), HashMap::<_, Vec<_>>::new());
        for state in upkeep::chores(conn, id)? {
            states.entry(state.of_host_id).or_default().push(state);
        }
        for (place, chore) in upkeep::open_chores(conn, id)? {
            open.entry(place.host).or_default().push(chore);
        }
        let counts = snapshots::count_by_place(conn, id)?;
        let filled = counts.into_iter().filter(|(_, count)| *count > 0).map(|(place, _)| place.host).collect();
        Ok(Self { states, open, filled })
    }

    fn of(&self, place: Place) -> &[ChoreState] {
        self.states.get(&place.host).map_or(&[], Vec::as_slice)
    }

    fn open_in(&self, place: Place) -> &[Chore] {
        self.open.get(&place.host).map_or(&[], Vec::as_slice)
    }

    fn state(&self, place: Place, chore: Chore) -> ChoreState {
        let known = self.of(place).iter().find(|s| s.chore == chore);
        known.cloned().unwrap_or_else(|| ChoreState { of_host_id: place.host, ..ChoreState::new(chore) })
    }

    /// The chore that is due in a place, if one is. One that holds nothing yet needs nothing.
    fn due(&self, record: &RepositoryRecord, place: Place, now: Timestamp) -> Option<Due> {
        let due = due(&record.plan, self.of(place), self.open_in(place), record.repository.created_at, now)?;
        (due.asked_by.is_some() || self.holds(place)).then_some(due)
    }

    /// Whether there is anything in it.
    fn holds(&self, place: Place) -> bool {
        self.filled.contains(&place.host)
    }

    /// How many more chores may start.
    fn room(&self) -> usize {
        AT_ONCE.saturating_sub(self.open.values().map(Vec::len).sum())
    }
}

/// The places of a repository: one, or one for each host that may use it.
pub(super) fn places(conn: &mut Conn, record: &RepositoryRecord) -> Result<Vec<Place>, ActError> {
    let repository = record.repository.id;
    if !is_per_host(&record.repository.url) {
        return Ok(vec![Place { repository, host: None }]);
    }
    let hosts = credentials::hosts_of(conn, repository)?;
    Ok(hosts.into_iter().map(|host| Place { repository, host: Some(host) }).collect())
}

/// Changes a repository's plan and maintenance host.
///
/// # Errors
/// Wrong fields, or a host that cannot do it.
pub async fn put(
    s: &Services,
    actor: &Actor,
    id: RepositoryId,
    host: Option<HostId>,
    plan: Plan,
) -> Result<Upkeep, ActError> {
    let wrong = check_plan(&plan);
    if !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let mut record = load_repository(conn, id)?;
        if let Some(host) = host {
            hosts::get(conn, host)?.ok_or(ActError::NotFound(Noun::Host))?;
            credentials::get(conn, host, id)?.ok_or(Refusal::NoCredential)?;
        }
        record.repository.maintenance_host_id = host;
        record.repository.updated_at = now;
        record.plan = plan;
        repositories::update(conn, &record)?;
        let detail = serde_json::json!({"maintenance_host": host, "plan": record.plan});
        Ok::<_, ActError>(audit::record(conn, &actor, now, "repository.plan", &format!("repository:{id}"), &detail)?)
    })
    .await?;
    get(s, id).await
}

/// A person asks for chores now, whatever the plan and its window say. They start in order, one after the other.
///
/// # Errors
/// No such repository, or no host that can do them.
pub async fn run_now(s: &Services, actor: &Actor, id: RepositoryId, chores: Vec<Chore>) -> Result<Upkeep, ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    let online = online_now(s);
    s.db.write(move |conn| {
        let record = load_repository(conn, id)?;
        let seen = Seen::read(conn, id)?;
        for place in places(conn, &record)?.into_iter().filter(|p| p.host.is_none() || seen.holds(*p)) {
            for chore in &chores {
                host_for(conn, &record, place, *chore, &online)?;
                let state = upkeep::chore(conn, place, *chore)?;
                upkeep::put_chore(conn, place, &ChoreState { asked_by: Some(actor.label()), ..state })?;
            }
        }
        let detail = serde_json::json!({"chores": chores});
        audit::record(conn, &actor, now, "repository.maintain", &format!("repository:{id}"), &detail)?;
        Ok::<_, ActError>(())
    })
    .await?;
    start_asked(s, id, now).await?;
    get(s, id).await
}

/// Starts what a person asked for in a repository and nothing stands in the way of. Answers how many chores were started.
///
/// # Errors
/// When the database fails.
pub async fn start_asked(s: &Services, id: RepositoryId, now: Timestamp) -> Result<usize, ActError> {
    let due =
        s.db.read(move |conn| {
            let record = load_repository(conn, id)?;
            let seen = Seen::read(conn, id)?;
            let mut places = places(conn, &record)?;
            places.retain(|place| seen.due(&record, *place, now).is_some_and(|due| due.asked_by.is_some()));
            places.truncate(seen.room());
            Ok::<_, ActError>(places)
        })
        .await?;
    start_all(s, due, now).await
}

/// Starts what is due. Answers how many chores were started.
///
/// # Errors
/// When the database fails.
pub async fn start_due(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let due = s.db.read(move |conn| look(conn, now)).await?;
    start_all(s, due, now).await
}

async fn start_all(s: &Services, due: Vec<Place>, now: Timestamp) -> Result<usize, ActError> {
    let count = due.len();
    for place in due {
        let online = online_now(s);
        let wake = s.db.write(move |conn| start(conn, place, now, &online)).await?;
        wake.into_iter().for_each(|host| s.hub.hosts.wake(host));
    }
    Ok(count)
}

/// Places where a chore is due. Of one repository only so many are started at a time: one host does them all, one after the other.
fn look(conn: &mut Conn, now: Timestamp) -> Result<Vec<Place>, ActError> {
    let mut found = vec![];
    for record in repositories::all(conn)? {
        let seen = Seen::read(conn, record.repository.id)?;
        let places = places(conn, &record)?;
        found.extend(places.into_iter().filter(|place| seen.due(&record, *place, now).is_some()).take(seen.room()));
    }
    Ok(found)
}

/// Starts the chore that is due in a place, looking once more inside the transaction.
fn start(
    conn: &mut Conn,
    place: Place,
    now: Timestamp,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<Vec<HostId>, ActError> {
    let record = load_repository(conn, place.repository)?;
    let Some(due) = Seen::read(conn, place.repository)?.due(&record, place, now) else { return Ok(vec![]) };
    let mut state = upkeep::chore(conn, place, due.chore)?;
    state.followed_until = Some(state.followed_until.map_or(due.fire, |t| t.max(due.fire)));
    state.asked_by = None;
    state.note = None;
    let mut wake = vec![];
    match queue_chore(conn, &record, place, &due, &state, now, online) {
        Ok((job, host)) => {
            state.last_job_id = Some(job);
            state.last_state = None;
            wake.push(host);
        }
        // Somebody was quicker: it is pending, and that is all that is wanted.
        Err(ActError::Store(StoreError::Duplicate(_))) => return Ok(vec![]),
        Err(ActError::Refused(Refusal::NoKeepRule)) => {
            state.note = Some("no schedule has a keep rule: everything is kept".into());
        }
        Err(ActError::Refused(refusal)) => state.note = Some(format!("{}. {}", refusal.title(), refusal.detail())),
        Err(error) => return Err(error),
    }
    upkeep::put_chore(conn, place, &state)?;
    Ok(wake)
}

fn queue_chore(
    conn: &mut Conn,
    record: &RepositoryRecord,
    place: Place,
    due: &Due,
    state: &ChoreState,
    now: Timestamp,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<(JobId, HostId), ActError> {
    if due.chore == Chore::Forget && !retention::any_policy(conn, place)? {
        return Err(Refusal::NoKeepRule.into());
    }
    let host = host_for(conn, record, place, due.chore, online)?;
    let request = match &due.asked_by {
        Some(label) => Request::system(&format!("maintenance, asked for by {label}"), now),
        None => Request::system("maintenance", now),
    };
    let ask = Ask {
        priority: BEHIND,
        of: place.host,
        chore: Some(due.chore.as_str().into()),
        ..Ask::of(host, task(record, due.chore, state))
    };
    if upkeep::is_open(conn, place, due.chore.as_str())? {
        return Err(StoreError::Duplicate(due.chore.as_str().to_owned()).into());
    }
    Ok((queue(conn, &request, ask)?.id, host))
}

/// The host that does a chore: the maintenance host, or one whose credential can.
fn host_for(
    conn: &mut Conn,
    record: &RepositoryRecord,
    place: Place,
    chore: Chore,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<HostId, ActError> {
    let repository_id = record.repository.id;
    // What decides is what the chore comes to in the end: forgetting begins with a list that anybody could make.
    let needs = match chore {
        Chore::Forget => Task::Forget { repository_id, snapshots: vec![], dry_run: false },
        Chore::Prune => Task::Prune { repository_id, options: record.plan.prune_options.clone() },
        Chore::Snapshots | Chore::Check | Chore::ReadData | Chore::Stats => Task::Locks { repository_id },
    };
    choose_host(conn, &needs, None, place.host, online)
}

fn task(record: &RepositoryRecord, chore: Chore, state: &ChoreState) -> Task {
    let repository_id = record.repository.id;
    let limit_download_kib = record.plan.limit_download_kib;
    match chore {
        Chore::Snapshots | Chore::Forget => Task::Snapshots { repository_id, all_hosts: true },
        Chore::Prune => Task::Prune { repository_id, options: record.plan.prune_options.clone() },
        Chore::Check => Task::Check { repository_id, read_data: ReadData::Nothing, limit_download_kib },
        Chore::ReadData => {
            let read_data = cycle_of(state, &record.plan).map_or(ReadData::Everything, |cycle| read_next(&cycle));
            Task::Check { repository_id, read_data, limit_download_kib }
        }
        Chore::Stats => Task::Stats { repository_id, mode: StatsMode::RawData, snapshots: vec![] },
    }
}

/// Notes how a chore's job ended, and goes on where there is more to do. Answers hosts to wake.
pub(super) fn chore_ended(
    conn: &mut Conn,
    record: &JobRecord,
    place: Place,
    ended: JobState,
    report: &FinishReport,
    now: Timestamp,
) -> Result<Vec<HostId>, ActError> {
    let Some(chore) = record.chore.as_deref().and_then(|c| c.parse::<Chore>().ok()) else { return Ok(vec![]) };
    let mut state = upkeep::chore(conn, place, chore)?;
    let well = matches!(report.end, End::Succeeded | End::Warning);
    state.last_job_id = Some(record.job.id);
    state.last_state = Some(ended);
    state.last_done_at = Some(now);
    let mut wake = vec![];
    if well {
        match (chore, &record.task) {
            (Chore::Forget, Some(Task::Snapshots { .. })) => {
                let listed = record.job.host_id;
                let next = retention::after_list(conn, place, listed, now)?;
                state.note = Some(next.note);
                if let Some(job) = next.job {
                    state.last_job_id = Some(job);
                    state.last_state = None;
                    wake.push(listed);
                } else {
                    state.last_success_at = Some(now);
                }
            }
            (Chore::ReadData, Some(Task::Check { read_data, .. })) => {
                let plan = load_repository(conn, place.repository)?.plan;
                state.cycle = cycle_of(&state, &plan).map(|cycle| cycle_after(cycle, *read_data, now));
                state.last_success_at = Some(now);
            }
            _ => state.last_success_at = Some(now),
        }
    } else {
        state.note = report.cause.as_ref().map(|c| c.message.clone());
    }
    upkeep::put_chore(conn, place, &state)?;
    let about = (AlertKind::MaintenanceFailed, &*format!("{}/{chore}", subject(place)));
    if well {
        alerts::resolve(conn, about, now)?;
    } else if report.end == End::Failed {
        let why = state.note.as_deref().unwrap_or("it failed");
        alerts::raise(conn, about, Severity::Warning, &format!("{}: {why}", chore.title()), now)?;
    }
    Ok(wake)
}

/// Asks each credential once a day what it can do. Answers how many were asked.
///
/// # Errors
/// When the database fails.
pub async fn prove(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let before = now - PROOF_HOLDS;
    let online = online_now(s);
    let hosts =
        s.db.write(move |conn| {
            let mut asked = vec![];
            for credential in credentials::unproven(conn, before, PROOFS)? {
                let Some(host) = hosts::get(conn, credential.host_id)? else { continue };
                if !online(&host) {
                    continue;
                }
                let ask = Ask {
                    priority: BEHIND,
                    chore: Some(format!("probe:{}", host.id)),
                    ..Ask::of(host.id, Task::Probe { repository_id: credential.repository_id })
                };
                match probe(conn, &Request::system("proofs", now), ask) {
                    Ok(()) => asked.push(host.id),
                    // It is pending already, or cannot be asked now.
                    Err(ActError::Store(StoreError::Duplicate(_)) | ActError::Refused(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(asked)
        })
        .await?;
    hosts.iter().for_each(|host| s.hub.hosts.wake(*host));
    Ok(hosts.len())
}

/// Queues a probe unless one is pending.
fn probe(conn: &mut Conn, request: &Request, ask: Ask<'_>) -> Result<(), ActError> {
    let (Some(place), Some(chore)) = (place_of(conn, &ask.task, ask.host)?, ask.chore.as_deref()) else {
        return Ok(());
    };
    if upkeep::is_open(conn, place, chore)? {
        return Err(StoreError::Duplicate(chore.to_owned()).into());
    }
    queue(conn, request, ask).map(drop)
}
