//! Roll-outs of releases: starting, pausing, going on, going back; the offer to each host that polls; and the look at the gates, again and
//! again. The newest roll-out is the one that counts.

use super::releases::Current;
use super::{ActError, Noun, ReleaseRefusal, Services, audit};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::asked_update::{Offered, Update};
use crate::domain::fleet::ONLINE_WITHIN;
use crate::domain::permission::Actor;
use crate::domain::release::{
    Candidate, Gate, Member, Next, Rollout, RolloutState, Stage, check_stages, gate, next, offer, usual_stages,
};
use crate::store::hosts::HostRecord;
use crate::store::releases::{AgentRow, Refused, ReleaseRecord, Turn};
use crate::store::{Conn, alerts, releases};
use restic_manager_shared::id::{HostId, RolloutId};
use restic_manager_shared::release::Manifest;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::poll::PollRequest;
use restic_manager_shared::wire::release::{ReleaseOffer, UpdatePhase};
use serde::Serialize;
use std::collections::{HashMap, HashSet};

/// Hosts with a failed update that are told at most.
const MOST_REFUSED: i64 = 50;

/// What a host that polls is to run, if it is something else.
pub(super) fn offer_to(s: &Services, host: &HostRecord, request: &PollRequest) -> Option<ReleaseOffer> {
    let fact = request.update.as_ref()?;
    let current = s.releases.current()?;
    let failed = fact.failed.as_ref().filter(|f| current.forgiven.get(&host.id).is_none_or(|at| f.at > *at));
    let candidate = Candidate {
        id: host.id,
        tags: &host.tags,
        version: &request.agent_version,
        able: fact.cannot.is_none() && fact.phase != UpdatePhase::Proving,
        refused: failed.map(|f| f.version.as_str()),
        asked: current.asked.contains_key(&host.id),
    };
    let version = offer(&current.rollout, &candidate)?.to_owned();
    let signed = current.signed.get(&(version.clone(), fact.target.clone()))?.clone();
    Some(ReleaseOffer { version, signed })
}

/// Whether an agent that asked so has heard of this offer, or of there being none.
pub(super) fn is_known(request: &PollRequest, offer: Option<&ReleaseOffer>) -> bool {
    let wanted = request.update.as_ref().and_then(|fact| fact.wanted.as_deref());
    wanted == offer.map(|offer| offer.version.as_str())
}

/// Reads anew what offers are made from. Hosts whose update was asked for since the last reading, here or at another server, look again.
///
/// # Errors
/// When the database fails.
pub async fn refresh(s: &Services) -> Result<(), ActError> {
    let current = s.db.read(read_current).await?;
    let before = s.releases.current();
    let known = |host: &HostId, at: &Timestamp| before.as_ref().is_some_and(|b| b.asked.get(host) == Some(at));
    let asked = current.iter().flat_map(|c| &c.asked);
    let news: Vec<HostId> = asked.filter(|(host, at)| !known(host, at)).map(|(host, _)| *host).collect();
    s.releases.set_current(current);
    news.into_iter().for_each(|host| s.hub.hosts.wake(host));
    Ok(())
}

fn read_current(conn: &mut Conn) -> Result<Option<Current>, ActError> {
    let Some(rollout) = releases::newest_rollout(conn)? else { return Ok(None) };
    let ready = releases::list(conn)?.into_iter().filter(ReleaseRecord::is_ready);
    let signed = ready.map(|r| ((r.version, r.target), r.signed)).collect();
    let forgiven = releases::forgiven(conn)?.into_iter().collect();
    let asked = releases::asked(conn, rollout.id)?.into_iter().collect();
    Ok(Some(Current { rollout, signed, forgiven, asked }))
}

/// What a person who asks for an update may get: the roll-out that counts, and where its release runs.
pub(super) fn offered(conn: &mut Conn) -> Result<Option<Offered>, ActError> {
    let Some(rollout) = releases::newest_rollout(conn)? else { return Ok(None) };
    let targets = targets(&rollout, &releases::list(conn)?);
    Ok(Some(Offered { rollout, targets }))
}

/// Offers a host the release of the roll-out out of its stage, and once more where it did not work.
pub(super) fn ask(
    conn: &mut Conn,
    actor: &Actor,
    host: &HostRecord,
    (rollout, update): (&Rollout, Update<'_>),
    now: Timestamp,
) -> Result<(), ActError> {
    releases::ask(conn, host.id, rollout.id, now)?;
    if update.again {
        releases::forgive(conn, host.id)?;
    }
    let detail = serde_json::json!({
        "name": host.name, "version": update.to, "from": update.from, "again": update.again, "rollout": rollout.id,
    });
    Ok(audit::record(conn, actor, now, "host.update_agent", &format!("host:{}", host.id), &detail)?)
}

/// The platforms that a roll-out's release can be fetched for.
fn targets(rollout: &Rollout, all: &[ReleaseRecord]) -> HashSet<String> {
    all.iter().filter(|r| r.version == rollout.version && r.is_ready()).map(|r| r.target.clone()).collect()
}

/// A roll-out, with how it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct RolloutView {
    /// The roll-out.
    #[serde(flatten)]
    pub rollout: Rollout,
    /// How the hosts of its stage are.
    pub gate: Gate,
    /// Enrolled hosts.
    pub hosts: usize,
    /// Those that run its release.
    pub updated: usize,
    /// Whether it can be rolled back, to `previous`.
    pub can_roll_back: bool,
}

fn member(
    row: &AgentRow,
    rollout: &Rollout,
    targets: &HashSet<String>,
    seen: Option<Timestamp>,
    now: Timestamp,
) -> Member {
    let last = row.last_seen_at.max(seen);
    let refused = row.refused.as_ref().filter(|(version, _)| *version == rollout.version);
    let may = |row: &AgentRow| row.fact.as_ref().is_some_and(|f| f.cannot.is_none() && targets.contains(&f.target));
    // What has not been proven may be taken back in a moment.
    let is_proving = row.fact.as_ref().is_some_and(|fact| fact.phase == UpdatePhase::Proving);
    Member {
        inside: rollout.covers(row.host, &row.tags),
        has: row.version == rollout.version && !is_proving,
        since: row.since,
        // What failed before a person let it go on stopped it then; that host stays without the release.
        failed: refused.is_some_and(|(_, at)| *at > rollout.stage_since),
        able: refused.is_none() && may(row),
        online: last.is_some_and(|at| now.since(at) <= ONLINE_WITHIN),
    }
}

fn members(rollout: &Rollout, rows: &[AgentRow], all: &[ReleaseRecord], s: &Services, now: Timestamp) -> Vec<Member> {
    let targets = targets(rollout, all);
    let seen: HashMap<HostId, Timestamp> = s.presence.all_seen();
    let of_it = rows.iter().filter(|row| rollout.covers(row.host, &row.tags) || row.asked == Some(rollout.id));
    of_it.map(|row| member(row, rollout, &targets, seen.get(&row.host).copied(), now)).collect()
}

/// Whether a release to go back to is there and was signed for that.
fn can_go_back(rollout: &Rollout, all: &[ReleaseRecord]) -> bool {
    let rollback = |r: &ReleaseRecord| serde_json::from_str::<Manifest>(&r.signed.manifest).is_ok_and(|m| m.rollback);
    let previous = rollout.previous.as_ref();
    rollout.state != RolloutState::RolledBack
        && previous.is_some_and(|p| all.iter().any(|r| r.version == *p && r.is_ready() && rollback(r)))
}

/// The roll-out that counts; none if there was never one.
///
/// # Errors
/// When the database fails.
pub async fn current(s: &Services) -> Result<Option<RolloutView>, ActError> {
    let read = s.db.read(|conn| {
        let Some(rollout) = releases::newest_rollout(conn)? else { return Ok::<_, ActError>(None) };
        Ok(Some((rollout, releases::agents(conn)?, releases::list(conn)?)))
    });
    let Some((rollout, rows, all)) = read.await? else { return Ok(None) };
    let now = Timestamp::now();
    let gate = gate(&rollout, &members(&rollout, &rows, &all, s, now), now);
    Ok(Some(RolloutView {
        gate,
        hosts: rows.len(),
        updated: rows.iter().filter(|row| row.version == rollout.version).count(),
        can_roll_back: can_go_back(&rollout, &all),
        rollout,
    }))
}

/// How many enrolled hosts run which version, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn versions(s: &Services) -> Result<Vec<(String, i64)>, ActError> {
    let mut versions = s.db.read(|conn| Ok::<_, ActError>(releases::versions(conn)?)).await?;
    let order = |a: &str, b: &str| restic_manager_shared::release::compare(b, a).unwrap_or_else(|| b.cmp(a));
    versions.sort_by(|(a, _), (b, _)| order(a, b));
    Ok(versions)
}

/// Where updates did not work, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn refused(s: &Services) -> Result<Vec<Refused>, ActError> {
    s.db.read(|conn| Ok(releases::refused(conn, MOST_REFUSED)?)).await
}

fn about(rollout: &Rollout) -> String {
    format!("release:{}", rollout.version)
}

fn note(conn: &mut Conn, actor: &Actor, action: &str, rollout: &Rollout, now: Timestamp) -> Result<(), ActError> {
    let detail = serde_json::json!({"version": rollout.version, "previous": rollout.previous, "stage": rollout.stage});
    Ok(audit::record(conn, actor, now, action, &format!("rollout:{}", rollout.id), &detail)?)
}

/// Starts a roll-out; the one before it ends there.
///
/// # Errors
/// When the stages are not valid, there is no release of that version with its file, or it is being rolled out already.
pub async fn start(
    s: &Services,
    actor: &Actor,
    version: String,
    stages: Option<Vec<Stage>>,
) -> Result<RolloutView, ActError> {
    let stages = stages.unwrap_or_else(usual_stages);
    let wrong = check_stages(&stages);
    if !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        if !releases::list(conn)?.iter().any(|r| r.version == version && r.is_ready()) {
            return Err(ActError::NotFound(Noun::Release));
        }
        let before = releases::newest_rollout(conn)?;
        let is_same = |r: &Rollout| r.version == version && r.state != RolloutState::RolledBack;
        if before.as_ref().is_some_and(is_same) {
            return Err(ReleaseRefusal::RolledOut.into());
        }
        if let Some(before) = &before {
            alerts::resolve(conn, (AlertKind::RolloutStopped, &about(before)), now)?;
        }
        let previous = before.as_ref().and_then(Rollout::baseline).filter(|p| **p != version).map(str::to_owned);
        let rollout = Rollout {
            id: RolloutId::new(),
            version,
            previous,
            stages,
            stage: 0,
            stage_since: now,
            state: RolloutState::Running,
            note: None,
            started_by: actor.label(),
            started_at: now,
        };
        releases::insert_rollout(conn, &rollout)?;
        note(conn, &actor, "rollout.start", &rollout, now)
    })
    .await?;
    changed(s).await
}

/// What a person does with a roll-out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Nobody new is offered the release.
    Pause,
    /// It goes on where it was; what failed on hosts is left alone there.
    Resume,
    /// The next stage begins now, whatever its gate says.
    Advance,
    /// Hosts go back to the release from before.
    RollBack,
}

impl Act {
    const fn word(self) -> &'static str {
        match self {
            Self::Pause => "rollout.pause",
            Self::Resume => "rollout.resume",
            Self::Advance => "rollout.advance",
            Self::RollBack => "rollout.roll_back",
        }
    }

    /// What the roll-out becomes; none if it is not in a state for it.
    fn turn(self, r: &Rollout, now: Timestamp) -> Option<Turn> {
        let turn = |stage, state| Turn { stage, stage_since: now, state, note: None };
        match (self, r.state) {
            (Self::Pause, RolloutState::Running) => {
                Some(Turn { stage_since: r.stage_since, ..turn(r.stage, RolloutState::Paused) })
            }
            (Self::Resume, RolloutState::Paused | RolloutState::Stopped) => Some(turn(r.stage, RolloutState::Running)),
            (Self::Advance, RolloutState::Running) if r.is_last() => Some(turn(r.stage, RolloutState::Done)),
            (Self::Advance, RolloutState::Running) => Some(turn(r.stage + 1, RolloutState::Running)),
            (
                Self::RollBack,
                RolloutState::Running | RolloutState::Paused | RolloutState::Stopped | RolloutState::Done,
            ) => Some(turn(r.stage, RolloutState::RolledBack)),
            (Self::Pause | Self::Resume | Self::Advance | Self::RollBack, _) => None,
        }
    }
}

/// Does something with the roll-out that counts.
///
/// # Errors
/// When there is none, or it is not in a state for it.
pub async fn act(s: &Services, actor: &Actor, act: Act) -> Result<RolloutView, ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let rollout = releases::newest_rollout(conn)?.ok_or(ActError::NotFound(Noun::Rollout))?;
        if act == Act::RollBack && !can_go_back(&rollout, &releases::list(conn)?) {
            return Err(ReleaseRefusal::NothingToGoBackTo.into());
        }
        let turn = act.turn(&rollout, now).ok_or_else(|| ReleaseRefusal::State(rollout.state.as_str()))?;
        if !releases::turn(conn, &rollout, &turn)? {
            return Err(ReleaseRefusal::State(rollout.state.as_str()).into());
        }
        alerts::resolve(conn, (AlertKind::RolloutStopped, &about(&rollout)), now)?;
        note(conn, &actor, act.word(), &rollout, now)
    })
    .await?;
    changed(s).await
}

/// Reads anew, and lets hosts that are to hear of it look again.
async fn changed(s: &Services) -> Result<RolloutView, ActError> {
    refresh(s).await?;
    wake(s);
    current(s).await?.ok_or(ActError::NotFound(Noun::Rollout))
}

/// Parked polls of hosts that may be offered something else than before are answered.
fn wake(s: &Services) {
    s.presence.all_seen().keys().for_each(|host| s.hub.hosts.wake(*host));
}

/// Lets a release be tried again on a host where it did not work.
///
/// # Errors
/// When nothing failed there.
pub async fn retry(s: &Services, actor: &Actor, host: HostId) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        super::hosts::load(conn, host)?;
        if !releases::forgive(conn, host)? {
            return Err(ActError::from(ReleaseRefusal::NothingFailed));
        }
        Ok(audit::record(conn, &actor, now, "host.update_retry", &format!("host:{host}"), &serde_json::json!({}))?)
    })
    .await?;
    refresh(s).await?;
    s.hub.hosts.wake(host);
    Ok(())
}

/// Looks whether the next stage may begin, or the roll-out has to stop. Again and again; of several servers one turns it.
///
/// # Errors
/// When the database fails.
pub async fn advance(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let read = s.db.read(|conn| {
        let running = releases::newest_rollout(conn)?.filter(|r| r.state == RolloutState::Running);
        let Some(rollout) = running else { return Ok::<_, ActError>(None) };
        Ok(Some((rollout, releases::agents(conn)?, releases::list(conn)?)))
    });
    let Some((rollout, rows, all)) = read.await? else {
        refresh(s).await?;
        return Ok(0);
    };
    let members = members(&rollout, &rows, &all, s, now);
    let gate = gate(&rollout, &members, now);
    let turned = |stage, state, note| Turn { stage, stage_since: now, state, note };
    let turn = match next(&rollout, gate, now) {
        Next::Wait => None,
        Next::Stage => Some(turned(rollout.stage + 1, RolloutState::Running, None)),
        Next::Finish => Some(turned(rollout.stage, RolloutState::Done, None)),
        Next::Stop(n) => {
            let note = format!("the update did not work on {n} {}", if n == 1 { "host" } else { "hosts" });
            Some(turned(rollout.stage, RolloutState::Stopped, Some(note)))
        }
    };
    let Some(turn) = turn else {
        refresh(s).await?;
        return Ok(0);
    };
    let done = s.db.write(move |conn| carry_out(conn, &rollout, &turn, now)).await?;
    refresh(s).await?;
    wake(s);
    Ok(usize::from(done))
}

fn carry_out(conn: &mut Conn, rollout: &Rollout, turn: &Turn, now: Timestamp) -> Result<bool, ActError> {
    if !releases::turn(conn, rollout, turn)? {
        return Ok(false);
    }
    if let Some(why) = &turn.note {
        let detail = format!("The roll-out of agent {} stopped: {why}", rollout.version);
        alerts::raise(conn, (AlertKind::RolloutStopped, &about(rollout)), Severity::Warning, &detail, now)?;
    }
    let action = match turn.state {
        RolloutState::Stopped => "rollout.stop",
        RolloutState::Done => "rollout.done",
        RolloutState::Running | RolloutState::Paused | RolloutState::RolledBack => "rollout.stage",
    };
    let after = Rollout { stage: turn.stage, ..rollout.clone() };
    note(conn, &Actor::system("roll-outs"), action, &after, now)?;
    Ok(true)
}
