//! What schedules keep.

use crate::domain::retention::{Foreseen, Retention};

/// All snapshots are kept.
pub const EVERYTHING: &str = "Every snapshot is kept.";

/// What a schedule keeps, in a few words.
#[must_use]
pub fn keeps(r: &Retention) -> String {
    let rules = [
        (r.keep_last, "last"),
        (r.keep_hourly, "hourly"),
        (r.keep_daily, "daily"),
        (r.keep_weekly, "weekly"),
        (r.keep_monthly, "monthly"),
        (r.keep_yearly, "yearly"),
    ];
    let counted = rules.iter().filter_map(|(n, word)| n.map(|n| format!("{n} {word}")));
    let withins = r.withins().into_iter().filter_map(|(slot, within)| Some(format!("{slot} within {}", within?)));
    let within = r.keep_within.map(|within| format!("all within {within}"));
    let tagged = (!r.keep_tags.is_empty()).then(|| "tagged ones".to_owned());
    let kept: Vec<String> = counted.chain(within).chain(withins).chain(tagged).collect();
    if kept.is_empty() { "everything".into() } else { kept.join(", ") }
}

/// What a rule keeps one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A year.
    Years,
    /// A month.
    Months,
    /// A week.
    Weeks,
    /// A day.
    Days,
    /// An hour.
    Hours,
    /// The last ones, whenever they were.
    Last,
}

/// A rule below its dots; without a count all there are.
#[must_use]
pub fn slot(which: Slot, count: Option<u32>) -> String {
    let word = match which {
        Slot::Years => "year",
        Slot::Months => "month",
        Slot::Weeks => "week",
        Slot::Days => "day",
        Slot::Hours => "hour",
        Slot::Last => "last",
    };
    match (which, count) {
        (Slot::Last, Some(n)) => format!("last {n}"),
        (Slot::Last, None) => "all".into(),
        (_, Some(1)) => format!("1 {word}"),
        (_, Some(n)) => format!("{n} {word}s"),
        (_, None) => format!("all {word}s"),
    }
}

/// What is kept in the long run.
#[must_use]
pub fn in_the_long_run(kept: Foreseen) -> String {
    let age = match kept.days {
        0 | 1 => "a day".to_owned(),
        n @ 2..60 => format!("{n} days"),
        n @ 60..730 => format!("{} months", n / 30),
        n => format!("{} years", n / 365),
    };
    match (kept.snapshots, kept.more) {
        (1, true) => format!("In the long run more than 1 snapshot, the oldest more than {age} old."),
        (1, false) => format!("In the long run about 1 snapshot, the oldest about {age} old."),
        (n, true) => format!("In the long run more than {n} snapshots, the oldest more than {age} old."),
        (n, false) => format!("In the long run about {n} snapshots, the oldest about {age} old."),
    }
}
