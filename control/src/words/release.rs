//! Releases of the agent and their roll-out, as pages say it.

use crate::domain::release::{RolloutState, Stage};
use restic_manager_shared::wire::release::UpdatePhase;

/// A stage that is over.
pub const PASSED: &str = "Passed";
/// The stage that goes on.
pub const NOW: &str = "Now";
/// The stage at which a roll-out rests.
pub const HERE: &str = "Here";
/// A stage to come.
pub const WAITING: &str = "Waiting";
/// A release that is not offered any more.
pub const WITHDRAWN: &str = "Withdrawn";
/// A release that can be rolled out.
pub const READY: &str = "Ready";
/// A release whose file is not there.
pub const NO_FILE: &str = "File missing";

/// Where a roll-out is.
#[must_use]
pub fn title(state: RolloutState, version: &str) -> String {
    match state {
        RolloutState::Running => format!("Rolling out {version}"),
        RolloutState::Paused | RolloutState::Stopped => format!("The roll-out of {version} rests"),
        RolloutState::Done => format!("{version} is for every host"),
        RolloutState::RolledBack => format!("{version} is rolled back"),
    }
}

/// At which stage.
#[must_use]
pub fn at(stage: u32, of: usize) -> String {
    format!("Stage {stage} of {of}")
}

/// Whom a stage is for.
#[must_use]
pub fn who(stage: &Stage) -> String {
    match &stage.tag {
        Some(tag) => format!("Tag {tag} and {} %", stage.percent),
        None if stage.percent == 100 => "Everybody".to_owned(),
        None => format!("{} %", stage.percent),
    }
}

/// What a stage waits for.
#[must_use]
pub fn gate(stage: &Stage) -> String {
    match (stage.healthy, stage.hours) {
        (0, 0) => "all that can".to_owned(),
        (0, hours) => format!("all that can, {hours} h"),
        (healthy, 0) => format!("{healthy} healthy"),
        (healthy, hours) => format!("{healthy} healthy, {hours} h"),
    }
}

/// How far the update of a host's agent to a version is.
#[must_use]
pub fn update(phase: UpdatePhase, version: &str) -> String {
    match phase {
        UpdatePhase::Fetching => format!("{version} is fetched"),
        UpdatePhase::Waiting => format!("{version} waits until no job runs"),
        UpdatePhase::Installing => format!("{version} is put in place"),
        UpdatePhase::Proving => PROVING.into(),
        UpdatePhase::Idle | UpdatePhase::Other => format!("{version} is offered"),
    }
}

/// A new version runs, and has to show that it works.
pub const PROVING: &str = "new version, not proven yet";

/// An update that did not work.
#[must_use]
pub fn failed(version: &str) -> String {
    format!("update to {version} failed")
}

/// What is asked about: each a question, what the button says, and what is said of it.
pub mod ask {
    /// The next stage.
    pub const ADVANCE: (&str, &str) = ("Begin the next stage now?", "Begin the next stage");
    /// Back to the version from before.
    pub const ROLL_BACK: (&str, &str) = ("Roll back?", "Roll back");
    /// What the button says that withdraws a release.
    pub const WITHDRAW: &str = "Withdraw";
    /// Where the question came from.
    pub const RELEASES: &str = "Agent releases";
    /// What the button says that starts a roll-out.
    pub const START: &str = "Roll out";
    /// There is no roll-out.
    pub const NOTHING: &str = "Nothing is rolled out.";

    /// What it means to begin the next stage.
    #[must_use]
    pub fn advance(healthy: usize, needed: usize, version: &str) -> Vec<String> {
        vec![
            format!("{healthy} of {needed} healthy hosts that this stage asks for run {version}."),
            "The next stage does not wait for the rest. Running jobs are not stopped for an update.".to_owned(),
        ]
    }

    /// What it means to roll back; `previous` is the version from before.
    #[must_use]
    pub fn roll_back(updated: usize, version: &str, previous: Option<&str>) -> Vec<String> {
        vec![
            match previous {
                Some(previous) => {
                    format!("{updated} hosts run {version}. As they connect they go back to {previous}.")
                }
                None => format!(
                    "{updated} hosts run {version}. As they connect they go back to nothing: there is no release from before."
                ),
            },
            "Backups go on, and no job is stopped for it. Schedules, repositories and snapshots do not change."
                .to_owned(),
        ]
    }

    /// The question before a roll-out.
    #[must_use]
    pub fn start(version: &str) -> String {
        format!("Roll {version} out?")
    }

    /// What a roll-out in these stages does; each is the tag that it is narrowed to and the share of hosts in percent.
    #[must_use]
    pub fn start_means(stages: &[(Option<&str>, u8)]) -> Vec<String> {
        let stage = |(tag, percent): &(Option<&str>, u8)| match tag {
            Some(tag) if *percent == 0 => format!("hosts with the tag {tag}"),
            Some(tag) => format!("hosts with the tag {tag} and {percent} % of all"),
            None => format!("{percent} % of all hosts"),
        };
        let stages: Vec<String> = stages.iter().map(stage).collect();
        vec![
            format!("It is offered in this order: {}.", stages.join(", then ")),
            "Hosts take it with their next poll, once no job of theirs runs. One update that fails stops the roll-out.".into(),
            "A roll-out of another release that is under way ends. Schedules, repositories and snapshots do not change.".into(),
        ]
    }

    /// The question about a release.
    #[must_use]
    pub fn withdraw(version: &str, target: &str) -> String {
        format!("Withdraw {version} for {target}?")
    }

    /// What it means to withdraw it.
    #[must_use]
    pub fn withdraw_means() -> Vec<String> {
        vec![
            "Nobody is offered it any more, and its file is deleted here. It cannot be added again under this version."
                .into(),
            "Hosts that run it go on running it.".into(),
        ]
    }
}
