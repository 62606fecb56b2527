//! Acts on many hosts at once, in writes of a bounded size. What each host does is decided in `domain::host_action`, from what few queries tell
//! of all of them; it is then done as the act on one host alone would be, with its own entry in the audit log.

use super::jobs::{Request, queue_backup};
use super::operations::online_now;
use super::pauses::{Change, change_host, checked};
use super::{ActError, Refusal, Services, audit, rollouts};
use crate::domain::asked_update::{Agent, Offered, Update};
use crate::domain::host_action::{Effect, Facts, HostAct, Step, Why, check_tag, plan};
use crate::domain::job::Job;
use crate::domain::pause::current;
use crate::domain::permission::Actor;
use crate::domain::schedule::Schedule;
use crate::store::host_search::{self, Filter};
use crate::store::hosts::HostRecord;
use crate::store::releases::{self, Told};
use crate::store::rows::at_once;
use crate::store::{Conn, credentials, hosts, open_jobs, schedules};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Hosts of one act at most.
pub const MOST: usize = 10_000;
/// Hosts in one write.
const AT_ONCE: usize = 100;

/// Which hosts are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// These.
    Hosts(Vec<HostId>),
    /// All that a list narrowed like this holds.
    All(Filter),
}

/// What became of one host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct HostOutcome {
    /// Which.
    pub host_id: HostId,
    /// Its name; empty if there is no such host.
    pub host: String,
    /// How it ended.
    pub effect: Effect,
    /// Why nothing was done; none if something was.
    pub code: Option<String>,
    /// What is done, or why not, in words.
    pub note: String,
    /// The schedule that runs.
    pub schedule_id: Option<ScheduleId>,
    /// The job that was queued, or that is in the way; the first, if it is several.
    pub job_id: Option<JobId>,
    /// All jobs that were queued.
    pub job_ids: Vec<JobId>,
}

impl HostOutcome {
    fn done(host: &HostRecord, note: impl Into<String>) -> Self {
        Self {
            host_id: host.id,
            host: host.name.clone(),
            effect: Effect::Done,
            code: None,
            note: note.into(),
            schedule_id: None,
            job_id: None,
            job_ids: vec![],
        }
    }

    fn not(host: &HostRecord, why: &Why) -> Self {
        let job_id = if let Why::Running(job) = why { Some(*job) } else { None };
        let code = Some(why.code().to_owned());
        Self { effect: why.effect(), code, job_id, ..Self::done(host, why.text()) }
    }

    fn missing(host_id: HostId) -> Self {
        Self {
            host_id,
            host: String::new(),
            effect: Effect::Refused,
            code: Some("host_not_found".into()),
            note: "there is no such host".into(),
            schedule_id: None,
            job_id: None,
            job_ids: vec![],
        }
    }
}

/// The hosts that are meant, each once.
///
/// # Errors
/// Too many, or the database fails.
pub async fn resolve(s: &Services, target: Target) -> Result<Vec<HostId>, ActError> {
    let too_many = |field| ActError::field(field, format!("at most {MOST} hosts at once: narrow it"));
    match target {
        Target::Hosts(ids) if ids.len() > MOST => Err(too_many("/host_ids")),
        Target::Hosts(ids) => {
            let mut seen = HashSet::new();
            Ok(ids.into_iter().filter(|id| seen.insert(*id)).collect())
        }
        Target::All(filter) => {
            let (now, limit) = (Timestamp::now(), i64::try_from(MOST).unwrap_or(i64::MAX) + 1);
            let ids = s.db.read(move |conn| Ok::<_, ActError>(host_search::ids(conn, &filter, limit, now)?)).await?;
            if ids.len() > MOST { Err(too_many("/filter")) } else { Ok(ids) }
        }
    }
}

/// A host that was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Which.
    pub id: HostId,
    /// Its name.
    pub name: String,
    /// Its tags.
    pub tags: Vec<String>,
}

/// The hosts that are meant and there, by name.
///
/// # Errors
/// Too many, or the database fails.
pub async fn chosen(s: &Services, target: Target) -> Result<Vec<Chosen>, ActError> {
    let ids = resolve(s, target).await?;
    let mut found: Vec<Chosen> =
        s.db.read(move |conn| {
            let mut found = vec![];
            for some in ids.chunks(AT_ONCE) {
                let hosts = hosts::of_ids(conn, some)?;
                found.extend(hosts.into_iter().map(|h| Chosen { id: h.id, name: h.name, tags: h.tags }));
            }
            Ok::<_, ActError>(found)
        })
        .await?;
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

fn check(act: HostAct, now: Timestamp) -> Result<HostAct, ActError> {
    match act {
        HostAct::AddTag { ref tag } | HostAct::RemoveTag { ref tag } => match check_tag(tag) {
            Some(wrong) => Err(ActError::Invalid(vec![wrong])),
            None => Ok(act),
        },
        HostAct::Pause(input) => checked(input, now).map(HostAct::Pause),
        HostAct::Run { .. } | HostAct::Resume {} | HostAct::UpdateAgent {} => Ok(act),
    }
}

/// Whether somebody may do this to hosts at all.
fn may(actor: &Actor, act: &HostAct) -> Result<(), ActError> {
    if actor.role.covers(act.needs()) { Ok(()) } else { Err(Refusal::Forbidden.into()) }
}

/// Says what each host would do. Nothing is changed.
///
/// # Errors
/// It is not theirs to do, a wrong tag or pause, too many hosts, or the database fails.
pub async fn preview(s: &Services, actor: &Actor, act: HostAct, target: Target) -> Result<Vec<HostOutcome>, ActError> {
    may(actor, &act)?;
    let now = Timestamp::now();
    let (act, ids) = (Arc::new(check(act, now)?), resolve(s, target).await?);
    let online = Arc::new(online_now(s));
    let mut outcomes = Vec::with_capacity(ids.len());
    for some in ids.chunks(AT_ONCE) {
        let (act, online, some) = (Arc::clone(&act), Arc::clone(&online), some.to_vec());
        outcomes.extend(
            s.db.read(move |conn| each(conn, &some, &act, &*online, now, |_, asked| Ok(asked.told(&act)))).await?,
        );
    }
    Ok(outcomes)
}

/// Does it, some hosts in each transaction. If the database fails in the middle, what was done before stays; the same request with the same
/// key does the rest.
///
/// # Errors
/// It is not theirs to do, a wrong tag or pause, too many hosts, or the database fails.
pub async fn act(
    s: &Services,
    actor: &Actor,
    act: HostAct,
    target: Target,
    key: Option<String>,
) -> Result<Vec<HostOutcome>, ActError> {
    may(actor, &act)?;
    let now = Timestamp::now();
    Request::new(actor, "hosts", key.clone())?;
    let (act, ids) = (Arc::new(check(act, now)?), resolve(s, target).await?);
    let done = in_parts(s, actor, &act, &ids, (key, now)).await;
    if matches!(*act, HostAct::UpdateAgent {}) {
        // Offers are made from what was read; also of what was done before the database failed. Whoever was asked for is woken by this.
        rollouts::refresh(s).await?;
    }
    done
}

async fn in_parts(
    s: &Services,
    actor: &Actor,
    act: &Arc<HostAct>,
    ids: &[HostId],
    (key, now): (Option<String>, Timestamp),
) -> Result<Vec<HostOutcome>, ActError> {
    let online = Arc::new(online_now(s));
    let mut outcomes = Vec::with_capacity(ids.len());
    for some in ids.chunks(AT_ONCE) {
        let (act, online, some) = (Arc::clone(act), Arc::clone(&online), some.to_vec());
        let (actor, key) = (actor.clone(), key.clone());
        let done =
            s.db.write(move |conn| {
                each(conn, &some, &act, &*online, now, |conn, asked| {
                    carry_out(conn, &actor, &act, asked, key.clone(), now)
                })
            })
            .await?;
        done.iter().filter(|o| o.effect == Effect::Done).for_each(|o| s.hub.hosts.wake(o.host_id));
        outcomes.extend(done);
    }
    Ok(outcomes)
}

/// One host, and what it is to do.
struct Asked<'a> {
    host: &'a HostRecord,
    online: bool,
    schedules: &'a [Schedule],
    offered: Option<&'a Offered>,
    step: Result<Step<'a>, Why>,
}

impl Asked<'_> {
    /// What an update is, in words.
    fn of_update(&self, Update { from, to, again }: Update<'_>) -> String {
        let again = if again { ", which did not work there and is tried again" } else { "" };
        let waits = if self.online { "" } else { "; it is offline, and hears of it when it is back" };
        format!("{from} to {to}{again}{waits}")
    }

    /// What it does, in words.
    fn told(&self, act: &HostAct) -> HostOutcome {
        let step = match &self.step {
            Ok(step) => step,
            Err(why) => return HostOutcome::not(self.host, why),
        };
        match (step, act) {
            (Step::Run(schedules), _) => {
                let waits = if self.online { "" } else { "; it is offline, and the job waits until it is back" };
                let note = format!("{}{waits}", called(schedules));
                HostOutcome { schedule_id: schedules.first().map(|s| s.id), ..HostOutcome::done(self.host, note) }
            }
            (Step::Tag(_), HostAct::RemoveTag { .. }) => HostOutcome::done(self.host, "loses the tag"),
            (Step::Tag(_), _) => HostOutcome::done(self.host, "gets the tag"),
            (Step::Pause, HostAct::Resume {}) => HostOutcome::done(self.host, "goes on"),
            (Step::Pause, _) => HostOutcome::done(self.host, "is paused"),
            (Step::Update(update), _) => HostOutcome::done(self.host, self.of_update(*update)),
        }
    }
}

/// What all of some hosts are decided by, in a few queries.
pub(super) struct Known {
    pub(super) hosts: Vec<HostRecord>,
    pub(super) schedules: HashMap<HostId, Vec<Schedule>>,
    pub(super) open: HashMap<ScheduleId, JobId>,
    pub(super) credentials: HashMap<HostId, HashSet<RepositoryId>>,
    offered: Option<Offered>,
    agents: HashMap<HostId, Told>,
}

impl Known {
    pub(super) fn of(conn: &mut Conn, ids: &[HostId], act: &HostAct) -> Result<Self, ActError> {
        let (runs, updates, schedules) = match act {
            HostAct::Run { .. } => (true, false, true),
            HostAct::Pause(_) | HostAct::Resume {} => (false, false, true),
            HostAct::AddTag { .. } | HostAct::RemoveTag { .. } => (false, false, false),
            HostAct::UpdateAgent {} => (false, true, false),
        };
        let mut known = Self {
            hosts: hosts::of_ids(conn, ids)?,
            schedules: HashMap::new(),
            open: HashMap::new(),
            credentials: HashMap::new(),
            offered: None,
            agents: HashMap::new(),
        };
        if schedules {
            for schedule in schedules::of_hosts(conn, ids)? {
                known.schedules.entry(schedule.host_id).or_default().push(schedule);
            }
        }
        if runs {
            known.open = open_jobs::of_schedules(conn, ids)?.into_iter().collect();
            for (host, repository) in credentials::held_by(conn, ids)? {
                known.credentials.entry(host).or_default().insert(repository);
            }
        }
        if updates {
            known.offered = rollouts::offered(conn)?;
            known.agents = releases::told_of(conn, ids)?.into_iter().collect();
        }
        Ok(known)
    }

    fn agent(&self, host: HostId) -> Option<Agent<'_>> {
        let told = self.agents.get(&host)?;
        let rollout = self.offered.as_ref().map(|offered| offered.rollout.id);
        Some(Agent {
            version: &told.version,
            fact: told.fact.as_ref(),
            refused: told.refused.as_deref(),
            asked: told.asked.is_some() && told.asked == rollout,
        })
    }
}

/// Decides for each of some hosts, in the order of their names, and hands it on. Ids that are no host come last.
fn each(
    conn: &mut Conn,
    ids: &[HostId],
    act: &HostAct,
    online: &impl Fn(&HostRecord) -> bool,
    now: Timestamp,
    mut f: impl FnMut(&mut Conn, Asked<'_>) -> Result<HostOutcome, ActError>,
) -> Result<Vec<HostOutcome>, ActError> {
    let known = Known::of(conn, ids, act)?;
    let (no_schedules, no_credentials) = (vec![], HashSet::new());
    let mut outcomes = Vec::with_capacity(ids.len());
    for host in &known.hosts {
        let schedules = known.schedules.get(&host.id).unwrap_or(&no_schedules);
        let facts = Facts {
            id: host.id,
            lifecycle: host.lifecycle,
            online: online(host),
            tags: &host.tags,
            paused: current(&host.pauses, now).is_some(),
            schedules,
            open: &known.open,
            credentials: known.credentials.get(&host.id).unwrap_or(&no_credentials),
            offered: known.offered.as_ref(),
            agent: known.agent(host.id),
        };
        let step = plan(act, facts);
        let asked = Asked { host, online: facts.online, schedules, offered: facts.offered, step };
        outcomes.push(f(conn, asked)?);
    }
    let there: HashSet<HostId> = known.hosts.iter().map(|h| h.id).collect();
    outcomes.extend(ids.iter().filter(|id| !there.contains(id)).map(|id| HostOutcome::missing(*id)));
    Ok(outcomes)
}

fn carry_out(
    conn: &mut Conn,
    actor: &Actor,
    act: &HostAct,
    asked: Asked<'_>,
    key: Option<String>,
    now: Timestamp,
) -> Result<HostOutcome, ActError> {
    let told = asked.told(act);
    if matches!(act, HostAct::Run { .. }) {
        return run(conn, actor, &asked, told, (act, key));
    }
    match (&asked.step, act) {
        (Ok(Step::Tag(tags)), _) => {
            hosts::set_tags(conn, asked.host.id, tags)?;
            let detail = json!({"name": asked.host.name, "tags": tags});
            audit::record(conn, actor, now, "host.update", &format!("host:{}", asked.host.id), &detail)?;
        }
        (Ok(Step::Pause), HostAct::Pause(input)) => {
            change_host(conn, actor, (asked.host, asked.schedules), &Change::Begin(input.clone()), now)?;
        }
        (Ok(Step::Pause), _) => {
            change_host(conn, actor, (asked.host, asked.schedules), &Change::End, now)?;
        }
        (Ok(Step::Update(update)), _) => {
            if let Some(offered) = asked.offered {
                rollouts::ask(conn, actor, asked.host, (&offered.rollout, *update), now)?;
            }
        }
        (Ok(Step::Run(_)) | Err(_), _) => {}
    }
    Ok(told)
}

/// Schedules by their names.
fn called(schedules: &[&Schedule]) -> String {
    let names: Vec<String> = schedules.iter().map(|s| format!("\u{201c}{}\u{201d}", s.name)).collect();
    format!("schedule{} {}", if names.len() == 1 { "" } else { "s" }, names.join(", "))
}

/// Queues a run of each schedule as Run now on it would. The same key twice is the same job, which the second time is under way already.
fn run(
    conn: &mut Conn,
    actor: &Actor,
    asked: &Asked<'_>,
    told: HostOutcome,
    (act, key): (&HostAct, Option<String>),
) -> Result<HostOutcome, ActError> {
    let each = matches!(act, HostAct::Run { all_schedules: true, .. });
    let of_host = format!("host:{}", asked.host.id);
    if !each && let Some(job) = Request::new(actor, &of_host, key.clone())?.known(conn)? {
        return Ok(again(told, &job));
    }
    let schedules: Vec<&Schedule> = match &asked.step {
        Ok(Step::Run(schedules)) => schedules.clone(),
        // The first time has set all of them going.
        Err(Why::Running(_)) if each => asked.schedules.iter().filter(|s| s.enabled).collect(),
        Ok(_) | Err(_) => return Ok(told),
    };
    let (mut job_ids, mut refused) = (vec![], None);
    for schedule in schedules {
        let target = if each { format!("{of_host}:{}", schedule.id) } else { of_host.clone() };
        let request = Request::new(actor, &target, key.clone())?;
        if let Some(job) = request.known(conn)? {
            job_ids.push(job.id);
            continue;
        }
        // In a savepoint of its own: what one refuses does not undo the others.
        match at_once(conn, |conn| queue_backup(conn, &request, schedule, false)) {
            Ok(job) => job_ids.push(job.id),
            Err(ActError::Refused(refusal)) => refused = Some(refusal),
            Err(error) => return Err(error),
        }
    }
    match (job_ids.first().copied(), refused) {
        (None, Some(refusal)) => {
            let code = Some(refusal.code().to_owned());
            Ok(HostOutcome { effect: Effect::Refused, code, note: refusal.title().to_lowercase(), ..told })
        }
        (Some(first), _) if told.effect != Effect::Done => {
            let known = HostOutcome { effect: Effect::Done, code: None, note: AGAIN.to_owned(), ..told };
            Ok(HostOutcome { job_id: Some(first), job_ids, ..known })
        }
        (job_id, _) => Ok(HostOutcome { job_id: job_id.or(told.job_id), job_ids, ..told }),
    }
}

/// What is said of a job that the same press has queued before.
const AGAIN: &str = "was asked for already";

fn again(told: HostOutcome, job: &Job) -> HostOutcome {
    let known =
        HostOutcome { effect: Effect::Done, code: None, note: AGAIN.to_owned(), schedule_id: job.schedule_id, ..told };
    HostOutcome { job_id: Some(job.id), job_ids: vec![job.id], ..known }
}
