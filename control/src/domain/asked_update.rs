//! An update that a person asks for on one host, out of the stage that the host is in. It belongs to the roll-out that runs: it is offered
//! while that runs, and is void when another one begins or hosts go back. Only the decision; nothing here is offered.

use super::fleet::Lifecycle;
use super::release::{Rollout, RolloutState};
use restic_manager_shared::id::HostId;
use restic_manager_shared::release::compare;
use restic_manager_shared::wire::release::{CannotUpdate, UpdateFact};
use std::cmp::Ordering;
use std::collections::HashSet;

/// The roll-out that counts, and the platforms that its release has a file for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The roll-out.
    pub rollout: Rollout,
    /// Such as `linux-x86_64`.
    pub targets: HashSet<String>,
}

/// What is known of a host's agent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agent<'a> {
    /// The version that it runs.
    pub version: &'a str,
    /// What it says of updates; none if it says nothing.
    pub fact: Option<&'a UpdateFact>,
    /// The release that did not work there, until a person says that it may be tried again.
    pub refused: Option<&'a str>,
    /// Whether it was asked for in this roll-out.
    pub asked: bool,
}

/// What a host is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// The version that it runs.
    pub from: &'a str,
    /// The release.
    pub to: &'a str,
    /// Whether it did not work there before, and is tried again.
    pub again: bool,
}

/// Why a host is offered nothing new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoUpdate {
    /// There was never a roll-out.
    NoRollout,
    /// A person stopped the roll-out.
    Paused,
    /// It stopped by itself.
    Stopped,
    /// Hosts go back.
    RolledBack,
    /// No agent has come yet.
    NotEnrolled,
    /// Its agent does not say whether it can replace itself.
    Unknown,
    /// Its agent never replaces itself.
    Cannot(CannotUpdate),
    /// The release has no file for its platform.
    NoFile,
    /// Nobody can say whether its version is older.
    Incomparable,
    /// It runs the release.
    Same,
    /// It runs a newer one.
    Newer,
    /// It is offered the release already.
    Already,
}

impl NoUpdate {
    /// The stable code for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::NoRollout => "no_rollout",
            Self::Paused => "rollout_paused",
            Self::Stopped => "rollout_stopped",
            Self::RolledBack => "rolled_back",
            Self::NotEnrolled => "host_not_enrolled",
            Self::Unknown => "update_unknown",
            Self::Cannot(CannotUpdate::NoKey) => "no_release_key",
            Self::Cannot(CannotUpdate::Forbidden) => "updates_forbidden",
            Self::Cannot(CannotUpdate::NotWritable) => "program_not_writable",
            Self::Cannot(CannotUpdate::Other) => "cannot_update",
            Self::NoFile => "no_release_file",
            Self::Incomparable => "version_unknown",
            Self::Same => "up_to_date",
            Self::Newer => "newer_version",
            Self::Already => "update_offered",
        }
    }

    /// In words that follow “left out:”.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::NoRollout => "no release is rolled out: publish and roll out a release first",
            Self::Paused => "the roll-out is paused: let it go on first",
            Self::Stopped => "the roll-out stopped because an update did not work: let it go on first",
            Self::RolledBack => "the roll-out was rolled back: roll out another release first",
            Self::NotEnrolled => "no agent has come yet",
            Self::Unknown => "its agent has not said that it can update itself",
            Self::Cannot(CannotUpdate::NoKey) => "no release key is pinned on it",
            Self::Cannot(CannotUpdate::Forbidden) => "its own policy forbids updates",
            Self::Cannot(CannotUpdate::NotWritable) => "its agent may not write to the folder of its program",
            Self::Cannot(CannotUpdate::Other) => "its agent says that it cannot update itself",
            Self::NoFile => "the release has no file for its platform",
            Self::Incomparable => "its version cannot be compared with the release",
            Self::Same => "it runs this release",
            Self::Newer => "it runs a newer version",
            Self::Already => "it is offered the release already",
        }
    }

    /// Whether nothing is in the way, only nothing to do.
    #[must_use]
    pub const fn is_idle(self) -> bool {
        match self {
            Self::Same | Self::Newer | Self::Already => true,
            Self::NoRollout
            | Self::Paused
            | Self::Stopped
            | Self::RolledBack
            | Self::NotEnrolled
            | Self::Unknown
            | Self::Cannot(_)
            | Self::NoFile
            | Self::Incomparable => false,
        }
    }
}

/// What comes of asking for the update of a host.
///
/// # Errors
/// Why it is offered nothing new.
pub fn ask<'a>(
    offered: Option<&'a Offered>,
    (id, tags, lifecycle): (HostId, &[String], Lifecycle),
    agent: Option<Agent<'a>>,
) -> Result<Update<'a>, NoUpdate> {
    let Offered { rollout, targets } = offered.ok_or(NoUpdate::NoRollout)?;
    let for_all = match rollout.state {
        RolloutState::Running => false,
        RolloutState::Done => true,
        RolloutState::Paused => return Err(NoUpdate::Paused),
        RolloutState::Stopped => return Err(NoUpdate::Stopped),
        RolloutState::RolledBack => return Err(NoUpdate::RolledBack),
    };
    if lifecycle != Lifecycle::Enrolled {
        return Err(NoUpdate::NotEnrolled);
    }
    let agent = agent.ok_or(NoUpdate::Unknown)?;
    let to = rollout.version.as_str();
    match compare(agent.version, to) {
        Some(Ordering::Equal) => return Err(NoUpdate::Same),
        Some(Ordering::Greater) => return Err(NoUpdate::Newer),
        None => return Err(NoUpdate::Incomparable),
        Some(Ordering::Less) => {}
    }
    let fact = agent.fact.ok_or(NoUpdate::Unknown)?;
    if let Some(cannot) = fact.cannot {
        return Err(NoUpdate::Cannot(cannot));
    }
    if !targets.contains(&fact.target) {
        return Err(NoUpdate::NoFile);
    }
    let again = agent.refused == Some(to);
    if !again && (for_all || agent.asked || rollout.covers(id, tags)) {
        return Err(NoUpdate::Already);
    }
    Ok(Update { from: agent.version, to, again })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::release::Stage;
    use restic_manager_shared::id::RolloutId;
    use restic_manager_shared::time::Timestamp;

    fn offered(state: RolloutState) -> Offered {
        let stage = |tag: Option<&str>, percent| Stage { tag: tag.map(Into::into), percent, healthy: 0, hours: 0 };
        let rollout = Rollout {
            id: RolloutId::new(),
            version: "0.3.0".into(),
            previous: Some("0.2.0".into()),
            stages: vec![stage(Some("canary"), 0), stage(None, 100)],
            stage: 0,
            stage_since: Timestamp::from_seconds(0),
            state,
            note: None,
            started_by: "user:x".into(),
            started_at: Timestamp::from_seconds(0),
        };
        Offered { rollout, targets: HashSet::from(["linux-x86_64".to_owned()]) }
    }

    fn fact(target: &str, cannot: Option<CannotUpdate>) -> UpdateFact {
        serde_json::from_value(serde_json::json!({"target": target, "cannot": cannot})).expect("a fact")
    }

    #[test]
    fn each_host_is_offered_it_or_hears_why_not() {
        use Lifecycle::{Enrolled, Pending, Retired};
        let (canary, plain) = (vec!["canary".to_owned()], vec![]);
        let good = fact("linux-x86_64", None);
        let odd = fact("linux-riscv64", None);
        let [no_key, forbidden] =
            [CannotUpdate::NoKey, CannotUpdate::Forbidden].map(|why| fact("linux-x86_64", Some(why)));
        let old = Agent { version: "0.1.0", fact: Some(&good), refused: None, asked: false };
        let yes = |again| Ok(Update { from: "0.1.0", to: "0.3.0", again });
        for (what, tags, lifecycle, agent, want) in [
            ("out of its stage", &plain, Enrolled, Some(old), yes(false)),
            ("in its stage", &canary, Enrolled, Some(old), Err(NoUpdate::Already)),
            ("asked before", &plain, Enrolled, Some(Agent { asked: true, ..old }), Err(NoUpdate::Already)),
            ("it failed in its stage", &canary, Enrolled, Some(Agent { refused: Some("0.3.0"), ..old }), yes(true)),
            (
                "it failed when asked",
                &plain,
                Enrolled,
                Some(Agent { refused: Some("0.3.0"), asked: true, ..old }),
                yes(true),
            ),
            ("another failed", &plain, Enrolled, Some(Agent { refused: Some("0.2.0"), ..old }), yes(false)),
            ("pending", &plain, Pending, None, Err(NoUpdate::NotEnrolled)),
            ("retired", &plain, Retired, Some(old), Err(NoUpdate::NotEnrolled)),
            ("nothing known", &plain, Enrolled, None, Err(NoUpdate::Unknown)),
            ("too old to say", &plain, Enrolled, Some(Agent { fact: None, ..old }), Err(NoUpdate::Unknown)),
            (
                "no key",
                &plain,
                Enrolled,
                Some(Agent { fact: Some(&no_key), ..old }),
                Err(NoUpdate::Cannot(CannotUpdate::NoKey)),
            ),
            (
                "its policy",
                &plain,
                Enrolled,
                Some(Agent { fact: Some(&forbidden), ..old }),
                Err(NoUpdate::Cannot(CannotUpdate::Forbidden)),
            ),
            ("no file", &plain, Enrolled, Some(Agent { fact: Some(&odd), ..old }), Err(NoUpdate::NoFile)),
            ("it has it", &plain, Enrolled, Some(Agent { version: "0.3.0", ..old }), Err(NoUpdate::Same)),
            ("has it, no key", &plain, Enrolled, Some(Agent { version: "0.3.0", fact: Some(&no_key), ..old }), {
                Err(NoUpdate::Same)
            }),
            ("newer", &plain, Enrolled, Some(Agent { version: "0.4.0", ..old }), Err(NoUpdate::Newer)),
            ("odd", &plain, Enrolled, Some(Agent { version: "unknown", ..old }), Err(NoUpdate::Incomparable)),
        ] {
            let offered = offered(RolloutState::Running);
            assert_eq!(ask(Some(&offered), (HostId::new(), tags, lifecycle), agent), want, "{what}");
        }
    }

    #[test]
    fn the_roll_out_has_to_run() {
        let good = fact("linux-x86_64", None);
        let old = Agent { version: "0.1.0", fact: Some(&good), refused: None, asked: true };
        let host = (HostId::new(), &[][..], Lifecycle::Enrolled);
        for (state, want) in [
            (RolloutState::Running, NoUpdate::Already),
            (RolloutState::Paused, NoUpdate::Paused),
            (RolloutState::Stopped, NoUpdate::Stopped),
            (RolloutState::Done, NoUpdate::Already),
            (RolloutState::RolledBack, NoUpdate::RolledBack),
        ] {
            assert_eq!(ask(Some(&offered(state)), host, Some(old)), Err(want), "{state}");
        }
        assert_eq!(ask(None, host, Some(old)), Err(NoUpdate::NoRollout));
        let done = offered(RolloutState::Done);
        let failed = Agent { refused: Some("0.3.0"), asked: false, ..old };
        assert_eq!(ask(Some(&done), host, Some(failed)).map(|update| update.again), Ok(true));
    }
}
