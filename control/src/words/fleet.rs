//! Many hosts: how they stand, and what is done to them together.

use super::figures::count;
use crate::domain::protection::Protection;

/// How many hosts need a person, and why. `stand` is how many stand so; `all` how many are not protected.
#[must_use]
pub fn sentence(stand: impl Fn(Protection) -> i64, all: i64) -> String {
    let part = |state: Protection| match (state, stand(state)) {
        (_, 0) => None,
        (Protection::Failing, 1) => Some("1 is failing".to_owned()),
        (Protection::Failing, n) => Some(format!("{n} are failing")),
        (Protection::TooOld, 1) => Some("1 is too old".to_owned()),
        (Protection::TooOld, n) => Some(format!("{n} are too old")),
        (Protection::Never, 1) => Some("1 was never backed up".to_owned()),
        (Protection::Never, n) => Some(format!("{n} were never backed up")),
        (Protection::Unplanned, 1) => Some("1 has no schedule".to_owned()),
        (Protection::Unplanned, n) => Some(format!("{n} have no schedule")),
        (Protection::Protected | Protection::Warning, _) => None,
    };
    let states = [Protection::Failing, Protection::TooOld, Protection::Never, Protection::Unplanned];
    let parts = states.into_iter().filter_map(part).collect::<Vec<_>>().join(", ");
    match all {
        0 => "Every host has a backup that is young enough.".into(),
        1 => format!("1 needs you: {parts}."),
        n => format!("{n} need you: {parts}."),
    }
}

/// How many hosts there are, and how many of them are protected.
#[must_use]
pub fn protected(protected: i64, all: i64) -> String {
    match all {
        1 if protected == 1 => "1 host, protected.".into(),
        1 => "1 host, not protected.".into(),
        n => format!("{} of {} hosts are protected.", count(protected), count(n)),
    }
}

/// All hosts.
#[must_use]
pub fn all(n: i64) -> String {
    format!("All {}", count(n))
}

/// Hosts that need a person.
#[must_use]
pub fn need_you(n: i64) -> String {
    format!("Need you {}", count(n))
}

/// Hosts with warnings.
#[must_use]
pub fn warnings(n: i64) -> String {
    format!("Warnings {}", count(n))
}

/// A system's name without what nobody asks for in a list.
#[must_use]
pub fn system(name: &str) -> String {
    let name = name.split(" (").next().unwrap_or(name);
    name.replace(" GNU/Linux", "").replace("Microsoft ", "").replace(" LTS", "")
}

/// Repositories of a host: some by name, and how many more.
#[must_use]
pub fn some(names: &[&str], shown: usize) -> String {
    let text = names.iter().take(shown).copied().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(shown) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}

/// What a day of a host came to, with its date.
pub mod day {
    /// A job runs.
    pub const RUNS: &str = "running now";
    /// A job ended so.
    pub const WARNED: &str = "finished with warnings";
    /// A fire was missed.
    pub const MISSED: &str = "missed";
    /// A job failed.
    pub const FAILED: &str = "failed";

    /// A date and what is said of it.
    #[must_use]
    pub fn told(date: &str, what: &str) -> String {
        format!("{date}: {what}")
    }
}

/// How many days of a strip came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Days {
    /// All of them.
    pub all: usize,
    /// Days on which all went well.
    pub good: usize,
    /// Days with warnings.
    pub warned: usize,
    /// Days with missed fires.
    pub missed: usize,
    /// Days with failures.
    pub failed: usize,
    /// Days on which something runs.
    pub runs: usize,
    /// Days on which nothing was to run.
    pub quiet: usize,
}

/// A strip of days in words; `trouble` is the last day on which something went wrong.
#[must_use]
pub fn days(days: Days, trouble: Option<&str>) -> String {
    let mut parts = vec![format!("{} days succeeded", days.good)];
    let some = |n: usize, text: String| (n > 0).then_some(text);
    parts.extend(some(days.warned, format!("{} with warnings", days.warned)));
    parts.extend(some(days.missed, format!("{} missed", days.missed)));
    parts.extend(some(days.failed, format!("{} failed", days.failed)));
    parts.extend(some(days.runs, format!("{} running now", days.runs)));
    parts.extend(some(days.quiet, format!("{} with no run planned", days.quiet)));
    let (all, parts) = (days.all, parts.join(", "));
    match trouble {
        Some(trouble) => format!("Last {all} days: {parts}. Last trouble: {trouble}"),
        None => format!("Last {all} days: {parts}"),
    }
}

/// How much a host's last days added, on how many of them.
#[must_use]
pub fn added(days: i64, size: &str, on: usize) -> String {
    format!("Data added in the last {days} days: {size} on {on} days")
}

/// The day that added most.
#[must_use]
pub fn most(size: &str, day: &str) -> String {
    format!("most: {size} on {day}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systems_are_short_in_lists() {
        for (long, short) in [
            ("Debian GNU/Linux 13 (trixie)", "Debian 13"),
            ("Ubuntu 24.04 LTS", "Ubuntu 24.04"),
            ("Microsoft Windows Server 2025", "Windows Server 2025"),
            ("Rocky Linux 10", "Rocky Linux 10"),
            ("", ""),
        ] {
            assert_eq!(system(long), short);
        }
        assert_eq!(some(&["main", "offsite", "old"], 2), "main, offsite and 1 more");
        assert_eq!(protected(20, 1024), "20 of 1,024 hosts are protected.");
    }
}
