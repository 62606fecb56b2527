//! Hosts: machines with an agent.

use super::pause::Paused;
use super::protection::HostProtection;
use super::text_enum;
use super::watch::Limits;
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::MAX_HOLD;
use restic_manager_shared::wire::enroll::Os;
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

text_enum! {
    /// What the database keeps of a host's life; whether it is online is seen, not kept.
    Lifecycle {
        /// An enrollment token was made for it; no agent came yet.
        Pending = "pending",
        /// An agent has its identity.
        Enrolled = "enrolled",
        /// Its key is refused for good.
        Retired = "retired",
    }
}

text_enum! {
    /// A host's state as people see it.
    HostState {
        /// Waits for its agent.
        Pending = "pending",
        /// The agent was heard from just now.
        Online = "online",
        /// The agent is silent.
        Offline = "offline",
        /// Taken out of service.
        Retired = "retired",
    }
}

/// How long after its last sign a host is still taken for online: one longest poll and some slack for the way.
pub const ONLINE_WITHIN: Duration = Duration::from_secs(MAX_HOLD as u64 + 35);

/// Whether the host is online, given when it was last heard from.
#[must_use]
pub fn host_state(lifecycle: Lifecycle, last_seen: Option<Timestamp>, now: Timestamp) -> HostState {
    match lifecycle {
        Lifecycle::Pending => HostState::Pending,
        Lifecycle::Retired => HostState::Retired,
        Lifecycle::Enrolled if last_seen.is_some_and(|t| now.since(t) <= ONLINE_WITHIN) => HostState::Online,
        Lifecycle::Enrolled => HostState::Offline,
    }
}

/// A machine with an agent.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Host {
    /// Its identity.
    pub id: HostId,
    /// Its name here; also restic's `--host`.
    pub name: String,
    /// Whether it can be reached now.
    pub state: HostState,
    /// The machine's own name.
    pub hostname: String,
    /// Operating system family; unknown until an agent came.
    pub os: Option<Os>,
    /// Operating system for people.
    pub os_version: String,
    /// Processor architecture.
    pub arch: String,
    /// IANA time zone, if the agent knows it.
    pub timezone: Option<String>,
    /// The agent's version.
    pub agent_version: String,
    /// The restic version on the host; none if no restic was found.
    pub restic_version: Option<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// The version of what it should do; raised by every change.
    pub schedule_version: i64,
    /// The version that its agent said it holds.
    pub held_version: i64,
    /// Whether the agent holds the newest version.
    pub in_force: bool,
    /// When its agent was last heard from.
    pub last_seen_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its agent enrolled.
    pub enrolled_at: Option<Timestamp>,
    /// Why its retention does not run, if it is frozen.
    pub frozen: Option<Freeze>,
    /// The pause that it is in now: none of its schedules starts by itself.
    pub paused: Option<Paused>,
    /// Names in its folder of hooks: only these can be named in a schedule.
    pub hooks: Vec<String>,
    /// When alerts tell of it, where that differs from the general settings.
    pub limits: Limits,
    /// Whether what it is to back up is backed up lately enough.
    pub protection: HostProtection,
}

/// While a host is frozen, nothing of it is forgotten.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Freeze {
    /// Why, for people.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
    /// Who did it.
    pub by: String,
}

/// What is wrong with a host's name. It goes into restic's `--host` and into repository URLs, so it is kept plain.
#[must_use]
pub fn check_host_name(name: &str) -> Option<FieldError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fine = (1..=63).contains(&name.len())
        && name.chars().all(plain)
        && name.starts_with(|c: char| c.is_ascii_alphanumeric());
    (!fine).then(|| FieldError {
        pointer: "/host_name".into(),
        detail: "1 to 63 letters, digits, dots, hyphens or underscores, beginning with a letter or digit".into(),
    })
}

/// What is wrong with a host's tags.
#[must_use]
pub fn check_host_tags(tags: &[String]) -> Option<FieldError> {
    let fine = tags.len() <= 100
        && tags.iter().all(|t| {
            (1..=100).contains(&t.len()) && !t.chars().any(char::is_control) && t.trim() == t && !t.contains(',')
        });
    (!fine).then(|| FieldError {
        pointer: "/tags".into(),
        detail: "at most 100, each 1 to 100 bytes without commas, control characters or spaces at its ends".into(),
    })
}

/// A usable host name out of a machine's own name.
#[must_use]
pub fn tidy_host_name(hostname: &str) -> String {
    let name: String = hostname
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '-' })
        .skip_while(|c| !c.is_ascii_alphanumeric())
        .take(63)
        .collect();
    if name.is_empty() { "host".into() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_online_while_its_polls_come() {
        let now = Timestamp::from_seconds(10_000);
        let ago = |s: i64| Some(Timestamp::from_seconds(10_000 - s));
        for (lifecycle, seen, state) in [
            (Lifecycle::Pending, None, HostState::Pending),
            (Lifecycle::Enrolled, None, HostState::Offline),
            (Lifecycle::Enrolled, ago(0), HostState::Online),
            (Lifecycle::Enrolled, ago(89), HostState::Online),
            (Lifecycle::Enrolled, ago(91), HostState::Offline),
            (Lifecycle::Retired, ago(0), HostState::Retired),
        ] {
            assert_eq!(host_state(lifecycle, seen, now), state, "{lifecycle} {seen:?}");
        }
    }

    #[test]
    fn names_are_plain() {
        for (name, fine) in
            [("web-01", true), ("a.b_c", true), ("", false), ("-x", false), ("a b", false), ("ü", false)]
        {
            assert_eq!(check_host_name(name).is_none(), fine, "{name}");
            assert!(check_host_name(&tidy_host_name(name)).is_none(), "{name}");
        }
    }
}
