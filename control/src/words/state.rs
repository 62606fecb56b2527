//! Words of states, as badges show them.

use crate::domain::drill::DrillVerdict;
use crate::domain::fleet::HostState;
use crate::domain::health::Level;
use crate::domain::job::JobState;
use crate::domain::permission::Role;
use crate::domain::protection::Protection;
use crate::domain::release::RolloutState;

/// A job's.
#[must_use]
pub const fn job(state: JobState) -> &'static str {
    match state {
        JobState::Queued => "Queued",
        JobState::Dispatched => "Dispatched",
        JobState::Running => "Running",
        JobState::Succeeded => "Succeeded",
        JobState::Warning => "Warning",
        JobState::Failed => "Failed",
        JobState::Cancelled => "Cancelled",
        JobState::Lost => "Lost",
        JobState::Skipped => "Skipped",
        JobState::Missed => "Missed",
    }
}

/// What lists of jobs are narrowed to, by the value in the address.
pub const JOBS: [(&str, &str); 6] = [
    ("", "All"),
    ("open", "Running and queued"),
    ("failed", "Failed"),
    ("warning", "Warnings"),
    ("succeeded", "Succeeded"),
    ("other", "Cancelled, lost, missed"),
];

/// A host's connection.
#[must_use]
pub const fn host(state: HostState) -> &'static str {
    match state {
        HostState::Pending => "Never seen",
        HostState::Online => "Online",
        HostState::Offline => "Offline",
        HostState::Retired => "Retired",
    }
}

/// How well a host is protected.
#[must_use]
pub const fn protection(state: Protection) -> &'static str {
    match state {
        Protection::Protected => "Protected",
        Protection::Warning => "Warning",
        Protection::Failing => "Failing",
        Protection::TooOld => "Too old",
        Protection::Never => "Never backed up",
        Protection::Unplanned => "No schedule",
    }
}

/// A host that is being backed up now; how far, if that is known.
#[must_use]
pub fn running(percent: Option<i64>) -> String {
    match percent {
        Some(percent) => format!("Running {percent} %"),
        None => "Running".into(),
    }
}

/// How a repository is.
#[must_use]
pub const fn level(level: Level) -> &'static str {
    match level {
        Level::Unknown => "Not looked at yet",
        Level::Ok => "Healthy",
        Level::Warning => "Look at it",
        Level::Critical => "In danger",
    }
}

/// What a drill came to.
#[must_use]
pub const fn drill(verdict: DrillVerdict) -> &'static str {
    match verdict {
        DrillVerdict::Proven => "Proven",
        DrillVerdict::Differs => "Does not come back",
        DrillVerdict::Failed => "Could not be drilled",
        DrillVerdict::Nothing => "Nothing to prove",
    }
}

/// A roll-out's.
#[must_use]
pub const fn rollout(state: RolloutState) -> &'static str {
    match state {
        RolloutState::Running => "Rolling out",
        RolloutState::Paused => "Paused",
        RolloutState::Stopped => "Stopped",
        RolloutState::Done => "With everybody",
        RolloutState::RolledBack => "Rolled back",
    }
}

/// What people do here, and the least role that may. The API says of each operation which role it needs.
pub const RIGHTS: [(&str, Role); 8] = [
    ("See hosts, jobs, snapshots, repositories, alerts", Role::Viewer),
    ("Search and browse what is in snapshots", Role::Viewer),
    ("Run now, cancel, acknowledge alerts", Role::Operator),
    ("Add hosts, edit, pause and delete schedules", Role::Operator),
    ("Restore files, check, forget, prune, remove locks", Role::Operator),
    ("Repositories, their repair, credentials and plans", Role::Admin),
    ("Recovery kits, channels, releases of the agent", Role::Admin),
    ("Users, tokens, audit log, removing hosts", Role::Admin),
];

/// What a role may do, each more than the one before.
#[must_use]
pub const fn may(role: Role) -> &'static str {
    match role {
        Role::Viewer => "Sees hosts, jobs, snapshots and alerts",
        Role::Operator => "Also runs, cancels and restores, edits schedules, adds hosts",
        Role::Admin => "Also repositories, credentials, users, tokens and deleting",
    }
}
