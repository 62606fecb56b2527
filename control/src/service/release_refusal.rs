//! What stands against an act on releases of the agent or their roll-out.

const NO_PREVIOUS: &str = "Hosts go back only to a release that was rolled out before, is not withdrawn, and was signed with --rollback. \
    Pause the roll-out, and roll out a newer version.";

/// The rules about releases that say no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseRefusal {
    /// Another release has this version and platform.
    Exists,
    /// The release was withdrawn.
    Withdrawn,
    /// The release is rolled out already.
    RolledOut,
    /// The roll-out is in another state; the text says which.
    State(&'static str),
    /// There is no release from before that was signed for going back to.
    NothingToGoBackTo,
    /// No update failed on the host.
    NothingFailed,
}

impl ReleaseRefusal {
    /// The stable code for programs.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Exists => "release_exists",
            Self::Withdrawn => "release_withdrawn",
            Self::RolledOut => "rollout_exists",
            Self::State(_) => "rollout_state",
            Self::NothingToGoBackTo => "nothing_to_go_back_to",
            Self::NothingFailed => "nothing_failed",
        }
    }

    /// What happened, in a few words.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Exists => "There is a release of this version",
            Self::Withdrawn => "The release was withdrawn",
            Self::RolledOut => "The release is rolled out already",
            Self::State(_) => "The roll-out is not in a state for that",
            Self::NothingToGoBackTo => "There is nothing to go back to",
            Self::NothingFailed => "No update failed on this host",
        }
    }

    /// What it means and what to do.
    #[must_use]
    pub fn detail(self) -> String {
        match self {
            Self::Exists => "A version is never changed. Give the new binary a higher one, and sign it.".into(),
            Self::Withdrawn => "Sign the binary under a higher version.".into(),
            Self::RolledOut => "Look at its stage under Settings, Agent releases.".into(),
            Self::State(state) => format!("It is {}.", state.replace('_', " ")),
            Self::NothingToGoBackTo => NO_PREVIOUS.into(),
            Self::NothingFailed => "There is nothing to try again.".into(),
        }
    }
}
