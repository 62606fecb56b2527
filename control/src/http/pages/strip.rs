//! A host's last 30 days as a strip of bars, each state with a shape of its own. Not how well the host is protected now; that is its badge.

use super::zone;
use crate::domain::fleet::Host;
use crate::domain::job::JobState;
use crate::http::problem::ApiError;
use crate::service::{Services, hosts, snapshots};
use crate::words::{fleet as words, size};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Days of a strip.
const DAYS: i64 = 30;
const SECONDS: i64 = 86_400;

/// What a day came to, the best first: a day is as bad as the worst that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Day {
    Quiet,
    Good,
    Runs,
    Warned,
    Missed,
    Failed,
}

/// A strip, ready to draw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Strip {
    /// All good days as one path.
    pub good: String,
    /// All days without a run as one path.
    pub quiet: String,
    /// Each other day: its class, its path and its title.
    pub others: Vec<(&'static str, String, String)>,
    /// The same in words.
    pub label: String,
}

const fn day_of(state: JobState) -> Day {
    match state {
        JobState::Succeeded => Day::Good,
        JobState::Warning => Day::Warned,
        JobState::Failed | JobState::Lost => Day::Failed,
        JobState::Missed => Day::Missed,
        JobState::Running | JobState::Dispatched | JobState::Queued => Day::Runs,
        JobState::Cancelled | JobState::Skipped => Day::Quiet,
    }
}

/// The strip of days, the oldest first; `last` is the newest as days since 1970.
fn strip(days: &[Day], last: i64) -> Strip {
    let mut strip = Strip::default();
    let mut trouble = None;
    let first = last + 1 - i64::try_from(days.len()).unwrap_or(0);
    for ((n, day), x) in (first..).zip(days).zip((0u32..).map(|n| f64::from(n).mul_add(8.0, 2.5))) {
        let date = Timestamp::from_seconds(n * SECONDS).to_utc();
        let mut other = |class, path: String, word: &str| {
            strip.others.push((class, path, words::day::told(&date.format("%a %-d %b").to_string(), word)));
        };
        match day {
            Day::Good => drop(write!(strip.good, "M{x} 4.5v11")),
            Day::Quiet => drop(write!(strip.quiet, "M{x} 10v.01")),
            Day::Runs => other("h-r", format!("M{x} 4.5v11"), words::day::RUNS),
            Day::Warned => other("h-w", format!("M{x} 4.5v5.2M{x} 15.5v.01"), words::day::WARNED),
            Day::Missed => {
                let from = x - 1.75;
                let path = format!("M{from} 4.5a1.75 1.75 0 0 1 3.5 0v11a1.75 1.75 0 0 1-3.5 0z");
                other("h-m", path, words::day::MISSED);
            }
            Day::Failed => other("h-f", format!("M{x} 4.5v2M{x} 13.5v2"), words::day::FAILED),
        }
        if matches!(day, Day::Missed | Day::Failed) {
            trouble = Some(date.format("%-d %B").to_string());
        }
    }
    strip.label = label(days, trouble);
    strip
}

fn label(days: &[Day], trouble: Option<String>) -> String {
    let count = |day| days.iter().filter(|d| **d == day).count();
    let sums = words::Days {
        all: days.len(),
        good: count(Day::Good),
        warned: count(Day::Warned),
        missed: count(Day::Missed),
        failed: count(Day::Failed),
        runs: count(Day::Runs),
        quiet: count(Day::Quiet),
    };
    words::days(sums, trouble.as_deref())
}

/// A strip of these states, one a day, up to an instant.
#[must_use]
pub(super) fn sample(states: &[JobState], last: Timestamp) -> Strip {
    let days: Vec<Day> = states.iter().map(|state| day_of(*state)).collect();
    strip(&days, last.seconds().div_euclid(SECONDS))
}

/// The strips of hosts, in their order.
///
/// # Errors
/// When the database fails.
pub async fn strips(s: &Services, hosts: &[Host], now: Timestamp) -> Result<Vec<Strip>, ApiError> {
    // Days of the viewer. The clock may have changed within the month; then the days before are off by that hour.
    let offset = zone::offset(now);
    let last = (now.seconds() + offset).div_euclid(SECONDS);
    let since = Timestamp::from_seconds((last + 1 - DAYS) * SECONDS - offset);
    let mut worst: HashMap<(HostId, i64), Day> = HashMap::new();
    for (host, day, state, _) in hosts::days(s, hosts.iter().map(|h| h.id).collect(), since, offset).await? {
        let seen = worst.entry((host, day)).or_insert(Day::Quiet);
        *seen = (*seen).max(day_of(state));
    }
    let of = |host: &Host| -> Vec<Day> {
        (last + 1 - DAYS..=last).map(|day| worst.get(&(host.id, day)).copied().unwrap_or(Day::Quiet)).collect()
    };
    Ok(hosts.iter().map(|host| strip(&of(host), last)).collect())
}

/// A host's last 30 days at large: how they ended, and what was added on each.
#[derive(Clone, Debug, Serialize)]
pub struct Month {
    /// How they ended.
    pub strip: Strip,
    /// A bar for each day on which something was added: its path and its title.
    pub bars: Vec<Bar>,
    /// The bars in words.
    pub label: String,
    /// The day on which most was added, in words.
    pub most: String,
    /// The first day.
    pub from: String,
}

/// A bar: its path and its title.
type Bar = (String, String);

/// How high the bars may be.
const HIGH: f64 = 36.0;

/// Bars of bytes by day, the oldest first; `last` is the newest as days since 1970.
#[allow(clippy::cast_precision_loss)] // a picture
fn bars(added: &[u64], last: i64) -> (Vec<Bar>, Option<(u64, String)>) {
    let most = added.iter().copied().max().unwrap_or(0).max(1);
    let first = last + 1 - i64::try_from(added.len()).unwrap_or(0);
    let name = |day: i64| Timestamp::from_seconds(day * SECONDS).to_utc().format("%a %-d %b").to_string();
    let mut bars = vec![];
    let mut top = None;
    for ((day, n), x) in (first..).zip(added).zip((0u32..).map(|n| f64::from(n).mul_add(8.0, 2.5))) {
        if *n > 0 {
            let high = (*n as f64 / most as f64 * HIGH).max(1.0);
            bars.push((format!("M{x} 40v-{high:.1}"), words::day::told(&name(day), &size(*n))));
        }
        if *n == most {
            top = Some((*n, name(day)));
        }
    }
    (bars, top)
}

/// The last 30 days of a host.
///
/// # Errors
/// When the database fails.
pub async fn month(s: &Services, host: &Host, now: Timestamp) -> Result<Month, ApiError> {
    let offset = zone::offset(now);
    let day = |at: Timestamp| (at.seconds() + offset).div_euclid(SECONDS);
    let last = day(now);
    let since = Timestamp::from_seconds((last + 1 - DAYS) * SECONDS - offset);
    let mut added = vec![0; usize::try_from(DAYS).unwrap_or(0)];
    for (at, n) in snapshots::added(s, host.id, since).await? {
        let slot = usize::try_from(day(at) - (last + 1 - DAYS)).ok().and_then(|n| added.get_mut(n));
        slot.into_iter().for_each(|sum| *sum += n);
    }
    let (bars, top) = bars(&added, last);
    let all = size(added.iter().sum());
    Ok(Month {
        strip: strips(s, std::slice::from_ref(host), now).await?.pop().unwrap_or_default(),
        label: words::added(DAYS, &all, bars.len()),
        most: top.map(|(n, day)| words::most(&size(n), &day)).unwrap_or_default(),
        from: axis(now),
        bars,
    })
}

/// The first and the last day of a strip, for its axis.
#[must_use]
pub fn axis(now: Timestamp) -> String {
    let days = Duration::from_secs(u64::try_from((DAYS - 1) * SECONDS).unwrap_or(0));
    (now - days).to_utc().with_timezone(&zone::viewer()).format("%-d %b").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strip_says_in_words_what_it_draws() {
        let days = [Day::Good, Day::Quiet, Day::Failed, Day::Good];
        let strip = strip(&days, 20_776); // 19 November 2026
        assert_eq!(strip.good, "M2.5 4.5v11M26.5 4.5v11");
        assert_eq!(strip.others, [("h-f", "M18.5 4.5v2M18.5 13.5v2".into(), "Wed 18 Nov: failed".into())]);
        assert_eq!(
            strip.label,
            "Last 4 days: 2 days succeeded, 1 failed, 1 with no run planned. Last trouble: 18 November"
        );
    }

    #[test]
    fn bars_are_as_high_as_what_was_added() {
        let (bars, top) = bars(&[0, 2048, 1024], 20_776);
        assert_eq!(bars[0], ("M10.5 40v-36.0".into(), "Wed 18 Nov: 2.0 KiB".into()));
        assert_eq!(bars[1].0, "M18.5 40v-18.0");
        assert_eq!(top, Some((2048, "Wed 18 Nov".into())));
        assert_eq!(super::bars(&[0, 0], 20_776), (vec![], None));
    }

    #[test]
    fn a_day_is_as_bad_as_the_worst_of_it() {
        assert!(day_of(JobState::Failed) > day_of(JobState::Warning));
        assert!(day_of(JobState::Warning) > day_of(JobState::Succeeded));
    }
}
