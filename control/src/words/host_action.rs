//! What is done to many hosts at once, as pages ask and tell it.

/// What is said of an act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    /// What the page asks, before the hosts that are meant.
    pub verb: &'static str,
    /// What the hosts that do something will do; of one host or many.
    pub will: &'static str,
    /// What they did.
    pub did: &'static str,
}

/// Run now.
pub const RUN: Act = Act { verb: "Run now on", will: "will run", did: "told to run" };
/// Add a tag.
pub const ADD_TAG: Act = Act { verb: "Add a tag to", will: "will get the tag", did: "got the tag" };
/// Take a tag away.
pub const REMOVE_TAG: Act = Act { verb: "Remove a tag from", will: "will lose the tag", did: "lost the tag" };
/// Pause.
pub const PAUSE: Act = Act { verb: "Pause", will: "will be paused", did: "paused" };
/// Resume.
pub const RESUME: Act = Act { verb: "Resume", will: "will go on", did: "resumed" };
/// Update the agent.
pub const UPDATE_AGENT: Act =
    Act { verb: "Update the agent on", will: "will be offered the release", did: "offered the release" };

/// Run now: the schedule that is meant.
pub const ONLY_SCHEDULE: &str = "Each host\u{2019}s only schedule";
/// Run now: all of them.
pub const ALL_SCHEDULES: &str = "All enabled schedules";

/// Hosts that are meant, before it is known what each does.
pub const CHOSEN: &str = "chosen";
/// What leads to the question whether one agent is updated.
pub const UPDATE_NOW: &str = "update now\u{2026}";
/// An agent that is to update itself.
pub const IS_OFFERED: &str = "is offered a new release";

/// Hosts that do nothing; why, the API says (`domain::host_action`).
#[must_use]
pub fn left_out(why: &str) -> String {
    format!("left out: {why}")
}
