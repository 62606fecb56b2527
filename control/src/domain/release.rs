//! Releases of the agent and how they spread: which host is offered which release, and when the next stage begins. Pure; whether a release
//! is rightly signed is for the agents to say, with keys that the server does not have.

use super::fleet::ONLINE_WITHIN;
use super::text_enum;
use restic_manager_shared::id::{HostId, RolloutId};
use restic_manager_shared::release::compare;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::time::Duration;
use uuid::Uuid;

/// The most stages of a roll-out.
const MOST_STAGES: usize = 10;
/// The longest that a stage has to hold, in hours.
const LONGEST: u32 = 720;

text_enum! {
    /// What a roll-out does.
    RolloutState {
        /// It goes on from stage to stage by itself.
        Running = "running",
        /// A person stopped it; nobody new is offered the release.
        Paused = "paused",
        /// An update failed on a host, so it stopped by itself.
        Stopped = "stopped",
        /// Every host is to run the release.
        Done = "done",
        /// Hosts go back to the release from before.
        RolledBack = "rolled_back",
    }
}

/// A stage: which hosts, and what has to hold before the next one begins. A host that is in one stage is in all later ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = RolloutStage)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Hosts with this tag.
    #[serde(default)]
    pub tag: Option<String>,
    /// And this share of all hosts; the same hosts for each release.
    #[schema(maximum = 100)]
    pub percent: u8,
    /// So many hosts of it have to run the release in good health, or all that can if there are fewer; 0 for all that can.
    #[serde(default)]
    pub healthy: u32,
    /// For so many hours.
    #[serde(default)]
    #[schema(maximum = 720)]
    pub hours: u32,
}

/// The stages that are used when none are given: a canary, a quarter, most, everybody.
#[must_use]
pub fn usual_stages() -> Vec<Stage> {
    let stage =
        |tag: Option<&str>, percent, healthy, hours| Stage { tag: tag.map(Into::into), percent, healthy, hours };
    vec![stage(Some("canary"), 5, 1, 24), stage(None, 25, 2, 12), stage(None, 80, 5, 12), stage(None, 100, 0, 0)]
}

/// What is wrong with stages.
#[must_use]
pub fn check_stages(stages: &[Stage]) -> Vec<FieldError> {
    let mut wrong = vec![];
    let mut add = |pointer: String, detail: &str| wrong.push(FieldError { pointer, detail: detail.into() });
    if !(1..=MOST_STAGES).contains(&stages.len()) {
        add("/stages".into(), "1 to 10 stages");
    }
    let mut before = 0;
    for (n, stage) in stages.iter().enumerate() {
        if stage.percent > 100 || stage.percent < before {
            add(format!("/stages/{n}/percent"), "0 to 100, and not less than the stage before");
        }
        if stage.hours > LONGEST {
            add(format!("/stages/{n}/hours"), "0 to 720 hours");
        }
        if stage.tag.as_ref().is_some_and(|tag| tag.trim().is_empty() || tag.len() > 100) {
            add(format!("/stages/{n}/tag"), "1 to 100 characters, or none");
        }
        before = stage.percent;
    }
    if stages.last().is_some_and(|last| last.percent != 100) {
        add("/stages".into(), "the last stage is 100 percent");
    }
    wrong
}

/// How a release spreads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Rollout {
    /// Its identity.
    pub id: RolloutId,
    /// The release.
    pub version: String,
    /// The release that all hosts had before, to go back to.
    pub previous: Option<String>,
    /// Its stages.
    pub stages: Vec<Stage>,
    /// The stage that it is in, counted from 0.
    pub stage: u32,
    /// Since when it is in it.
    pub stage_since: Timestamp,
    /// What it does.
    pub state: RolloutState,
    /// Why it stopped.
    pub note: Option<String>,
    /// Who started it.
    pub started_by: String,
    /// When.
    pub started_at: Timestamp,
}

impl Rollout {
    /// The stage that it is in.
    #[must_use]
    pub fn now_in(&self) -> Option<&Stage> {
        self.stages.get(self.stage as usize)
    }

    /// Whether there is no stage after this one.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.stage as usize + 1 >= self.stages.len()
    }

    /// Whether the host is in the stage that it is in, or was in an earlier one.
    #[must_use]
    pub fn covers(&self, id: HostId, tags: &[String]) -> bool {
        let share = share_of(id);
        self.stages
            .iter()
            .take(self.stage as usize + 1)
            .any(|stage| share < stage.percent || stage.tag.as_ref().is_some_and(|tag| tags.contains(tag)))
    }

    /// The release that all hosts should have that are not in the stage yet: what the next roll-out goes back to.
    #[must_use]
    pub fn baseline(&self) -> Option<&str> {
        if self.state == RolloutState::Done { Some(&self.version) } else { self.previous.as_deref() }
    }
}

/// The host's fixed place among a hundred.
#[must_use]
pub fn share_of(id: HostId) -> u8 {
    let place = Uuid::new_v5(&id.0, b"release");
    let [a, b, c, d, ..] = *place.as_bytes();
    u8::try_from((u64::from(u32::from_be_bytes([a, b, c, d])) * 100) >> 32).unwrap_or(99)
}

/// A host, as far as offers are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// Which.
    pub id: HostId,
    /// Its labels.
    pub tags: &'a [String],
    /// The version that it runs.
    pub version: &'a str,
    /// Whether its agent replaces itself at all.
    pub able: bool,
    /// The release that did not work there, until a person says that it may be tried again.
    pub refused: Option<&'a str>,
    /// Whether a person asked for its update in this roll-out, out of its stage.
    pub asked: bool,
}

/// The release that a host is offered; none if it has what it should have, or may not have it.
#[must_use]
pub fn offer<'a>(rollout: &'a Rollout, host: &Candidate<'_>) -> Option<&'a str> {
    let order = |version: &str| compare(host.version, version);
    let newer = |version: &&'a str| order(version) == Some(Ordering::Less);
    let (version, previous) = (rollout.version.as_str(), rollout.previous.as_deref());
    let wanted = match rollout.state {
        RolloutState::Running if host.asked || rollout.covers(host.id, host.tags) => Some(version).filter(newer),
        RolloutState::Running => previous.filter(newer),
        RolloutState::Done => Some(version).filter(newer),
        RolloutState::Paused | RolloutState::Stopped => None,
        // Only what this roll-out brought is taken back: what somebody installed by hand stays.
        RolloutState::RolledBack => previous.filter(|p| newer(p) || host.version == version),
    };
    wanted.filter(|version| host.able && host.refused != Some(*version))
}

/// A host of the stage, or one that is offered the release out of it, as far as the gate is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whether it is in the stage. One that a person asked for is not waited for and opens no gate; where it fails, that counts.
    pub inside: bool,
    /// Whether it runs the release.
    pub has: bool,
    /// Since when it runs what it runs.
    pub since: Option<Timestamp>,
    /// Whether the release did not work there.
    pub failed: bool,
    /// Whether its agent replaces itself, and there is a release for its platform.
    pub able: bool,
    /// Whether it was heard from lately.
    pub online: bool,
}

/// How the hosts of the stage are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RolloutGate)]
pub struct Gate {
    /// Hosts in the stage.
    pub hosts: usize,
    /// Those that can update themselves.
    pub able: usize,
    /// Those that run the release.
    pub updated: usize,
    /// Those that have run it in good health for as long as the stage asks.
    pub healthy: usize,
    /// How many healthy ones the stage asks for.
    pub needed: usize,
    /// Those where it did not work, in the stage or asked for.
    pub failed: usize,
    /// Hosts out of the stage whose update a person asked for.
    pub asked: usize,
}

/// Counts the hosts of a stage.
#[must_use]
pub fn gate(rollout: &Rollout, members: &[Member], now: Timestamp) -> Gate {
    let Some(stage) = rollout.now_in() else { return Gate::default() };
    let long = Duration::from_secs(u64::from(stage.hours) * 3600);
    let count = |f: &dyn Fn(&Member) -> bool| members.iter().filter(|m| m.inside && f(m)).count();
    let able = count(&|m| m.able || m.has);
    let all = usize::try_from(stage.healthy).unwrap_or(usize::MAX);
    Gate {
        hosts: count(&|_| true),
        able,
        updated: count(&|m| m.has),
        healthy: count(&|m| m.has && m.online && !m.failed && m.since.is_some_and(|at| now.since(at) >= long)),
        needed: if all == 0 { able } else { all.min(able) },
        failed: members.iter().filter(|m| m.failed).count(),
        asked: members.iter().filter(|m| !m.inside).count(),
    }
}

/// What a roll-out does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// It waits for its gate.
    Wait,
    /// The next stage begins.
    Stage,
    /// That was the last one.
    Finish,
    /// It did not work on so many hosts: it stops.
    Stop(usize),
}

/// What a roll-out does next, given how the hosts of its stage are.
#[must_use]
pub fn next(rollout: &Rollout, gate: Gate, now: Timestamp) -> Next {
    let Some(stage) = rollout.now_in().filter(|_| rollout.state == RolloutState::Running) else { return Next::Wait };
    if gate.failed > 0 {
        return Next::Stop(gate.failed);
    }
    let long = Duration::from_secs(u64::from(stage.hours) * 3600);
    // Before its agents were heard from nobody is known to be able: that is not yet a stage without hosts.
    let long = if gate.able == 0 { long.max(ONLINE_WITHIN) } else { long };
    if gate.healthy < gate.needed || now.since(rollout.stage_since) < long {
        return Next::Wait;
    }
    if rollout.is_last() { Next::Finish } else { Next::Stage }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(state: RolloutState, stage: u32) -> Rollout {
        Rollout {
            id: RolloutId::new(),
            version: "0.3.0".into(),
            previous: Some("0.2.0".into()),
            stages: vec![
                Stage { tag: Some("canary".into()), percent: 0, healthy: 1, hours: 2 },
                Stage { tag: None, percent: 100, healthy: 0, hours: 0 },
            ],
            stage,
            stage_since: Timestamp::from_seconds(0),
            state,
            note: None,
            started_by: "user:x".into(),
            started_at: Timestamp::from_seconds(0),
        }
    }

    #[test]
    fn each_host_is_offered_one_release_or_none() {
        use RolloutState::{Done, Paused, RolledBack, Running, Stopped};
        let (canary, plain) = (vec!["canary".to_owned()], vec![]);
        for (state, stage, tags, version, want) in [
            (Running, 0, &canary, "0.2.0", Some("0.3.0")),
            (Running, 0, &plain, "0.2.0", None),
            (Running, 0, &plain, "0.1.0", Some("0.2.0")),
            (Running, 1, &plain, "0.2.0", Some("0.3.0")),
            (Running, 1, &plain, "0.3.0", None),
            (Running, 1, &plain, "0.4.0", None),
            (Running, 1, &plain, "unknown", None),
            (Paused, 1, &canary, "0.2.0", None),
            (Stopped, 1, &canary, "0.2.0", None),
            (Done, 1, &plain, "0.1.0", Some("0.3.0")),
            (RolledBack, 1, &plain, "0.3.0", Some("0.2.0")),
            (RolledBack, 1, &plain, "0.4.0", None),
            (RolledBack, 1, &plain, "0.2.0", None),
            (RolledBack, 1, &plain, "0.1.0", Some("0.2.0")),
        ] {
            let rollout = rollout(state, stage);
            let host = Candidate { id: HostId::new(), tags, version, able: true, refused: None, asked: false };
            assert_eq!(offer(&rollout, &host), want, "{state} {stage} {tags:?} {version}");
            assert_eq!(offer(&rollout, &Candidate { able: false, ..host }), None);
            assert_eq!(offer(&rollout, &Candidate { refused: want, ..host }), None, "not again by itself");
        }
        let first = Rollout { previous: None, ..rollout(Running, 0) };
        let host = Candidate {
            id: HostId::new(),
            tags: &plain,
            version: "0.1.0",
            able: true,
            refused: Some("0.2.0"),
            asked: false,
        };
        assert_eq!(offer(&first, &host), None);
        assert_eq!(offer(&rollout(Done, 1), &host), Some("0.3.0"), "another release is tried");
    }

    #[test]
    fn what_was_asked_for_is_offered_while_the_roll_out_runs() {
        use RolloutState::{Done, Paused, RolledBack, Running, Stopped};
        for (state, version, want) in [
            (Running, "0.2.0", Some("0.3.0")),
            (Running, "0.1.0", Some("0.3.0")),
            (Running, "0.3.0", None),
            (Running, "0.4.0", None),
            (Paused, "0.2.0", None),
            (Stopped, "0.2.0", None),
            (Done, "0.2.0", Some("0.3.0")),
            (RolledBack, "0.3.0", Some("0.2.0")),
            (RolledBack, "0.2.0", None),
        ] {
            let host = Candidate { id: HostId::new(), tags: &[], version, able: true, refused: None, asked: true };
            let rollout = rollout(state, 0);
            assert_eq!(offer(&rollout, &host), want, "{state} {version}");
            assert_eq!(offer(&rollout, &Candidate { able: false, ..host }), None);
            assert_eq!(offer(&rollout, &Candidate { refused: want, ..host }), None, "not again by itself");
        }
    }

    #[test]
    fn shares_are_even_and_stay() {
        let ids: Vec<HostId> = (0..10_000).map(|_| HostId::new()).collect();
        let below = |percent: u8| ids.iter().filter(|id| share_of(**id) < percent).count();
        assert!((400..600).contains(&below(5)), "{}", below(5));
        assert!((2300..2700).contains(&below(25)), "{}", below(25));
        assert_eq!((below(0), below(100)), (0, 10_000));
        let known: HostId = "0190a000-0000-7000-8000-000000000001".parse().expect("valid");
        assert_eq!(share_of(known), share_of(known));
    }

    #[test]
    fn gates_open_by_health_and_time_and_close_by_one_failure() {
        let at = |hours: i64| Timestamp::from_seconds(hours * 3600);
        let good = Member { inside: true, has: true, since: Some(at(0)), failed: false, able: true, online: true };
        let behind = Member { has: false, ..good };
        let failed = Member { failed: true, ..behind };
        let unable = Member { able: false, ..behind };
        let silent = Member { online: false, ..good };
        let fresh = Member { since: Some(at(2)), ..good };
        let asked = Member { inside: false, ..good };
        let asked_behind = Member { inside: false, ..behind };
        let asked_failed = Member { inside: false, ..failed };
        let running = RolloutState::Running;
        for (stage, members, hours, want) in [
            (0, vec![good, behind], 3, Next::Stage),
            (0, vec![good, behind], 1, Next::Wait),
            (0, vec![behind], 3, Next::Wait),
            (0, vec![silent], 3, Next::Wait),
            (0, vec![fresh], 3, Next::Wait),
            (0, vec![fresh], 4, Next::Stage),
            (0, vec![good, failed], 3, Next::Stop(1)),
            (0, vec![behind, asked], 3, Next::Wait),
            (0, vec![good, asked_behind], 3, Next::Stage),
            (0, vec![good, asked_failed], 3, Next::Stop(1)),
            (0, vec![asked], 1, Next::Wait),
            (0, vec![unable], 3, Next::Stage),
            (0, vec![], 3, Next::Stage),
            (0, vec![], 1, Next::Wait),
            (1, vec![], 0, Next::Wait),
            (1, vec![unable], 0, Next::Wait),
            (1, vec![unable], 1, Next::Finish),
            (1, vec![good, good], 0, Next::Finish),
            (1, vec![good, behind], 9, Next::Wait),
            (1, vec![good, unable], 9, Next::Finish),
        ] {
            let rollout = rollout(running, stage);
            let gate = gate(&rollout, &members, at(hours));
            assert_eq!(next(&rollout, gate, at(hours)), want, "stage {stage}, {members:?}, after {hours} h: {gate:?}");
        }
        for state in [RolloutState::Paused, RolloutState::Stopped, RolloutState::Done, RolloutState::RolledBack] {
            let rollout = rollout(state, 0);
            let gate = gate(&rollout, &[good, failed], at(3));
            assert_eq!(next(&rollout, gate, at(3)), Next::Wait, "{state}");
        }
    }

    #[test]
    fn stages_grow_to_everybody() {
        assert!(check_stages(&usual_stages()).is_empty());
        let stage = |percent| Stage { tag: None, percent, healthy: 0, hours: 0 };
        for (stages, fine) in [
            (vec![stage(100)], true),
            (vec![stage(10), stage(100)], true),
            (vec![], false),
            (vec![stage(50)], false),
            (vec![stage(100), stage(50)], false),
            (vec![stage(101)], false),
            (vec![Stage { hours: 721, ..stage(100) }], false),
            (vec![Stage { tag: Some(" ".into()), ..stage(100) }], false),
        ] {
            assert_eq!(check_stages(&stages).is_empty(), fine, "{stages:?}");
        }
    }
}
