//! The long poll: answered at once when something differs, otherwise parked until something does or the hold ends.

use super::operations::{address_for, around, open_of};
use super::{ActError, Refusal, Services, fires, random, rollouts, state};
use crate::domain::delivery::{Delivery, Open, Room, plan, waits_for};
use crate::domain::job::JobState;
use crate::store::hosts::{HostRecord, Seen};
use crate::store::jobs::JobRecord;
use crate::store::{Conn, hosts, jobs};
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Offer;
use restic_manager_shared::wire::poll::{PollRequest, PollResponse};
use restic_manager_shared::wire::release::{FailedUpdate, ReleaseOffer, UpdateFact};
use restic_manager_shared::wire::{MAX_HOLD, OLDEST_PROTOCOL};
use std::collections::HashMap;
use std::time::Duration;

/// Holds end up to this much early, so that agents that came at once do not come back at once.
const JITTER_MS: u32 = 3_000;
/// Names of hooks that are kept of one host.
const MAX_HOOKS: usize = 200;
/// Characters that are kept of what it says about an update.
const MAX_TEXT: usize = 1_000;
/// When the server stops, agents come back within this time.
const RETURN_MS: u32 = 10_000;

/// What a look at the database found.
struct Look {
    host: HostRecord,
    state: Option<state::Plain>,
    open: Vec<JobRecord>,
    /// All open jobs of their repositories.
    around: Vec<Open>,
    /// How many more the fleet may run.
    fleet: usize,
    /// Addresses of repositories that are not the host's own, by job.
    addresses: HashMap<JobId, String>,
}

/// Answers a poll.
///
/// # Errors
/// The agent is too old, or another agent speaks for the host.
pub async fn poll(s: &Services, host: HostId, request: &PollRequest) -> Result<PollResponse, ActError> {
    if request.protocol < OLDEST_PROTOCOL {
        return Err(Refusal::AgentTooOld.into());
    }
    // An agent that has yet to tell again what ran since an export was taken would seem to have missed it.
    if knows_of_import(s, request) {
        fires::judge_told(s, host, &request.fires).await?;
    }
    let (parked, other) = s.presence.arrive(host, request.instance, seen(request));
    let ticket = s.hub.hosts.ticket(host);
    if other {
        s.hub.hosts.wake(host);
        // An agent that was killed and came back looks the same until its dead connection is noticed, so this alone is no alarm.
        tracing::info!(%host, "another agent process took over the poll");
    }
    let mut stopping = s.stopping.clone();
    let hold = Duration::from_secs(request.hold.clamp(1, MAX_HOLD).into())
        .saturating_sub(Duration::from_millis(random::below(JITTER_MS).into()));
    let deadline = tokio::time::Instant::now() + hold.max(Duration::from_millis(500));
    loop {
        let mut next = std::pin::pin!(ticket.next());
        next.as_mut().enable();
        if parked.superseded() {
            return Err(Refusal::DuplicateAgent.into());
        }
        let release = match look(s, host, request).await? {
            Looked::Answer(answer) => return Ok(*answer),
            Looked::Quiet(release) => release,
        };
        if *stopping.borrow() {
            return Ok(PollResponse { pause_ms: random::below(RETURN_MS), release, ..quiet(s) });
        }
        tokio::select! {
            () = next => {}
            _ = stopping.changed() => {}
            () = tokio::time::sleep_until(deadline) => return Ok(PollResponse { release, ..quiet(s) }),
        }
    }
}

/// Whether the agent knows that this control plane came out of an export, if it did.
fn knows_of_import(s: &Services, request: &PollRequest) -> bool {
    s.restored.as_ref().is_none_or(|restored| request.restored.as_ref() == Some(&restored.id))
}

fn seen(request: &PollRequest) -> Seen {
    Seen {
        at: Timestamp::now(),
        held_version: request.state_version,
        agent_version: request.agent_version.chars().take(100).collect(),
        restic_version: request.restic_version.as_ref().map(|v| v.chars().take(100).collect()),
        hooks: request.hooks.clone().map(|mut hooks| {
            hooks.truncate(MAX_HOOKS);
            hooks
        }),
        update: request.update.clone().map(trimmed),
        agent_is_news: false,
    }
}

/// What an agent says of its updates, within bounds.
fn trimmed(fact: UpdateFact) -> UpdateFact {
    let short = |text: String| text.chars().take(MAX_TEXT).collect::<String>();
    UpdateFact {
        target: short(fact.target),
        wanted: fact.wanted.map(short),
        trouble: fact.trouble.map(short),
        failed: fact.failed.map(|f| FailedUpdate { version: short(f.version), error: short(f.error), at: f.at }),
        ..fact
    }
}

fn quiet(s: &Services) -> PollResponse {
    PollResponse {
        server_time: Timestamp::now(),
        state: None,
        offers: vec![],
        cancel: vec![],
        queries: vec![],
        hold: MAX_HOLD,
        pause_ms: 0,
        restored: s.restored.clone(),
        release: None,
    }
}

/// What a look led to.
enum Looked {
    /// There is something to say.
    Answer(Box<PollResponse>),
    /// There is not; the offered release, which the agent has heard of, is in each answer.
    Quiet(Option<ReleaseOffer>),
}

/// The answer, if there is something to say.
async fn look(s: &Services, host: HostId, request: &PollRequest) -> Result<Looked, ActError> {
    let (held, limit) = (request.state_version, s.fleet_limit);
    let found = s.db.read(move |conn| look_at(conn, host, held, limit)).await?;
    let open: Vec<Open> = found.open.iter().map(open_of).collect();
    let room = Room { agent: request.free_slots.try_into().unwrap_or(usize::MAX), fleet: found.fleet };
    let Delivery { offer, mut cancel } = plan(&open, &found.around, &request.jobs, room, Timestamp::now());
    cancel.retain(|id| s.presence.tell_cancel(host, *id));
    let offers = dispatch(s, &found, offer).await?;
    let state = found.state.map(|plain| state::seal_to(s, plain)).transpose()?;
    let queries = s.questions.of(host, request.protocol, &request.queries);
    let quiet_here = offers.is_empty() && cancel.is_empty() && queries.is_empty();
    let release = rollouts::offer_to(s, &found.host, request);
    let knows = knows_of_import(s, request) && rollouts::is_known(request, release.as_ref());
    if state.is_none() && quiet_here && knows {
        return Ok(Looked::Quiet(release));
    }
    Ok(Looked::Answer(Box::new(PollResponse { state, offers, cancel, queries, release, ..quiet(s) })))
}

fn look_at(conn: &mut Conn, host: HostId, held: i64, limit: Option<u32>) -> Result<Look, ActError> {
    let record = hosts::get(conn, host)?.ok_or(Refusal::AgentUnknown)?;
    let state = if record.schedule_version == held { None } else { Some(state::read(conn, host)?) };
    let open = jobs::open_of_host(conn, host)?;
    let ours: Vec<Open> = open.iter().map(open_of).collect();
    let around = around(conn, &ours)?;
    let fleet = match limit {
        // Nothing waits: there is nothing to count for.
        Some(limit) if !open.is_empty() => {
            let running = jobs::count_open(conn, &[JobState::Dispatched, JobState::Running])?;
            usize::try_from(i64::from(limit) - running).unwrap_or(0)
        }
        _ => usize::MAX,
    };
    let mut addresses = HashMap::new();
    for record in &open {
        if let Some(address) = address_for(conn, record)? {
            addresses.insert(record.job.id, address);
        }
    }
    Ok(Look { host: record, state, open, around, fleet, addresses })
}

/// Whether nothing in its repository stands in a job's way.
fn may_go(conn: &mut Conn, id: JobId, now: Timestamp) -> Result<bool, ActError> {
    let Some(record) = jobs::get(conn, id)? else { return Ok(false) };
    let open = open_of(&record);
    // What was offered before keeps its place.
    if open.state == JobState::Dispatched {
        return Ok(true);
    }
    let others = around(conn, std::slice::from_ref(&open))?;
    Ok(waits_for(&open, &others, now).is_none())
}

async fn dispatch(s: &Services, found: &Look, ids: Vec<JobId>) -> Result<Vec<Offer>, ActError> {
    if ids.is_empty() {
        return Ok(vec![]);
    }
    let now = Timestamp::now();
    let numbered =
        s.db.write(move |conn| {
            let mut numbered = Vec::new();
            for id in ids {
                // Another host's poll may have been quicker since this one looked. Only here, one after the other, is it sure.
                if !may_go(conn, id, now)? {
                    continue;
                }
                if let Some(attempt) = jobs::dispatch(conn, id, now)? {
                    numbered.push((id, attempt));
                }
            }
            Ok::<_, ActError>(numbered)
        })
        .await?;
    let mut offers = vec![];
    for (id, attempt) in numbered {
        let Some(record) = found.open.iter().find(|r| r.job.id == id) else { continue };
        let Some(task) = record.task.clone() else { continue };
        s.hub.jobs.wake(id);
        let secrets =
            record.secrets_sealed.as_deref().map(|text| state::seal_job(s, &found.host, id, text)).transpose()?;
        offers.push(Offer {
            id,
            attempt,
            schedule_id: record.job.schedule_id,
            state_version: record.state_version,
            task,
            repository_url: found.addresses.get(&id).cloned(),
            secrets,
        });
    }
    Ok(offers)
}
