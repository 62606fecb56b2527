//! Run now: why it cannot be pressed, and why a press was not taken.

use crate::domain::host_action::Why;

/// Why a button cannot be pressed.
#[must_use]
pub const fn why(why: &Why) -> &'static str {
    match why {
        Why::Running(_) => "Runs already",
        Why::NoRepository => "No repository chosen",
        Why::NoCredential => "No credential for its repository",
        Why::NoneEnabled => "No enabled schedule",
        Why::Several => "Several schedules",
        Why::NotEnrolled => "No agent yet",
        Why::Offline | Why::HasTag | Why::LacksTag | Why::TooManyTags | Why::NotPaused | Why::NoUpdate(_) => "Offline",
    }
}

/// What the page says where a press was not taken, by the code of the refusal; other codes say nothing.
#[must_use]
pub fn refused(code: &str) -> &'static str {
    match code {
        "already_running" => "Nothing was started: the schedule runs already, or waits to.",
        "schedule_disabled" => "Nothing was started: the schedule is disabled. Enable it first.",
        "no_repository" => {
            "Nothing was started: the schedule has no repository. Edit it and choose where its backups go."
        }
        "no_credential" => "Nothing was started: the host has no credential for the repository of the schedule.",
        "host_not_enrolled" => "Nothing was started: no agent has come yet.",
        "host_offline" => "Nothing was started: the host is offline.",
        "pick_schedule" => "Nothing was started: the host has no enabled schedule.",
        _ => "",
    }
}
