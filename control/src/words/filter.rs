//! What a list says when its filter leaves nothing.

use super::figures::{Moment, count};

/// A part of a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// A text that was looked for.
    Text,
    /// A state.
    State,
    /// An operating system.
    System,
    /// A tag.
    Tag,
    /// A tag of the host.
    HostTag,
    /// A repository.
    Repository,
    /// A kind of job.
    Kind,
    /// A host.
    Host,
    /// A stretch of time.
    Time,
    /// The last day.
    Until,
    /// The first day.
    From,
    /// Who did something.
    Who,
    /// What was done.
    Act,
    /// What something is about.
    About,
}

/// Stretches of time, by the value in the address.
pub const TIMES: [(&str, &str); 3] = [("day", "last 24 hours"), ("week", "last 7 days"), ("month", "last 30 days")];
/// Groups of states of jobs, by the value in the address.
pub const JOBS: [(&str, &str); 2] = [("open", "running or queued"), ("other", "cancelled, lost or missed")];

/// The parts of a filter that say something.
#[must_use]
pub fn filter(parts: &[(Part, &str)]) -> String {
    let said = parts.iter().map(|(part, value)| (*part, value.trim())).filter(|(_, value)| !value.is_empty());
    let said = said.map(|(part, value)| match part {
        Part::Text => format!("“{value}”"),
        Part::State => format!("state {value}"),
        Part::System => format!("system {value}"),
        Part::Tag => format!("tag {value}"),
        Part::HostTag => format!("host tag {value}"),
        Part::Repository => format!("repository {value}"),
        Part::Kind => format!("kind {value}"),
        Part::Host => format!("host {value}"),
        Part::Time => format!("time {value}"),
        Part::Until => format!("until {value}"),
        Part::From => format!("from {value}"),
        Part::Who => format!("by {value}"),
        Part::Act => format!("act {value}"),
        Part::About => format!("about {value}"),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// How many hosts there are without it.
#[must_use]
pub fn without_hosts(all: i64) -> String {
    match all {
        1 => "1 host without the filter.".into(),
        n => format!("{} hosts without the filter.", count(n)),
    }
}

/// How many jobs ended lately without it.
#[must_use]
pub fn without_jobs(day: i64) -> String {
    format!("Without the filter, {} ended in the last 24 hours.", count(day))
}

/// When the newest of all snapshots was taken.
#[must_use]
pub fn without_snapshots(newest: Option<&Moment>) -> String {
    match newest {
        Some(at) => format!("Without the filter, the newest was taken {}.", at.ago),
        None => "There is none without the filter either.".into(),
    }
}
