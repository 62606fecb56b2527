//! What a list says when its filter leaves nothing: which filter that is, and what there is without it.

use super::host_choice::HostChoice;
use super::view::{kind_word, protection_badge};
use super::words::{Moment, count};
use super::{hosts, job_list, snapshots};
use crate::domain::job::JobKind;
use crate::domain::protection::Protection;
use serde::Serialize;

/// An empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Narrowed {
    /// What nothing matches: `“web”, state Failing`.
    pub to: String,
    /// What there is without that, as a sentence; empty if it was not looked up.
    pub without: String,
}

/// The parts of a filter that say something, with their names; what has no name stands in quotes.
fn words(parts: &[(&str, &str)]) -> String {
    let said = parts.iter().map(|(name, value)| (*name, value.trim())).filter(|(_, value)| !value.is_empty());
    let said = said.map(|(name, value)| match name {
        "" => format!("“{value}”"),
        name => format!("{name} {value}"),
    });
    said.collect::<Vec<_>>().join(", ")
}

/// The word for a value among those that there are to choose from.
fn word<'a, W: AsRef<str>, T: AsRef<str>>(all: &'a [(W, T)], value: &str) -> &'a str {
    all.iter().find(|(w, _)| !value.is_empty() && w.as_ref() == value).map_or("", |(_, text)| text.as_ref())
}

impl Narrowed {
    /// Hosts; `all` is how many there are.
    #[must_use]
    pub fn hosts(asked: &hosts::Asked, repositories: &[(String, String)], all: i64) -> Self {
        let state = asked.state.parse::<Protection>().map_or("", |state| protection_badge(state).word);
        let to = words(&[
            ("", &asked.q),
            ("state", state),
            ("system", word(&[("linux", "Linux"), ("windows", "Windows")], &asked.os)),
            ("tag", &asked.tag),
            ("repository", word(repositories, &asked.repository)),
        ]);
        let hosts = if all == 1 { "host" } else { "hosts" };
        Self { to, without: format!("{} {hosts} without the filter.", count(all)) }
    }

    /// Jobs; `day` is how many ended in the last 24 hours.
    #[must_use]
    pub fn jobs(asked: &job_list::Asked, choice: &HostChoice, day: i64) -> Self {
        let time = [("day", "last 24 hours"), ("week", "last 7 days"), ("month", "last 30 days")];
        let states =
            [("open", "running or queued"), ("failed", "failed"), ("warning", "warning"), ("succeeded", "succeeded")];
        let to = words(&[
            ("state", word(&states, &asked.state)),
            ("kind", asked.kind.parse::<JobKind>().map_or("", kind_word)),
            ("host", choice.shown()),
            ("host tag", &asked.tag),
            ("time", word(&time, &asked.time)),
        ]);
        Self { to, without: format!("Without the filter, {} ended in the last 24 hours.", count(day)) }
    }

    /// Snapshots; `newest` is when the newest of all was taken.
    #[must_use]
    pub fn snapshots(
        asked: &snapshots::Asked,
        choice: &HostChoice,
        repositories: &[(String, String)],
        newest: Option<&Moment>,
    ) -> Self {
        let to = words(&[
            ("host", choice.shown()),
            ("repository", word(repositories, &asked.repository)),
            ("tag", &asked.tag),
            ("until", &asked.until),
        ]);
        let without = newest.map(|at| format!("Without the filter, the newest was taken {}.", at.ago));
        Self { to, without: without.unwrap_or_else(|| "There is none without the filter either.".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_told_by_the_parts_that_say_something() {
        let repositories = [("r1".to_owned(), "main".to_owned())];
        let asked = |q: &str, state: &str, tag: &str, repository: &str| hosts::Asked {
            q: q.into(),
            state: state.into(),
            tag: tag.into(),
            repository: repository.into(),
            ..hosts::Asked::default()
        };
        for (asked, to) in [
            (asked(" web ", "", "", ""), "“web”"),
            (asked("web", "failing", "acme", "r1"), "“web”, state Failing, tag acme, repository main"),
            (asked("", "no-such-state", "", "r2"), ""),
        ] {
            assert_eq!(Narrowed::hosts(&asked, &repositories, 24).to, to);
        }
        assert_eq!(Narrowed::hosts(&asked("x", "", "", ""), &[], 1).without, "1 host without the filter.");
        let choice = HostChoice { hosts: vec![("h1".into(), "db-01".into(), true)], typed: false, value: "h1".into() };
        let asked =
            job_list::Asked { state: "failed".into(), kind: "prune".into(), time: "week".into(), ..Default::default() };
        let told = Narrowed::jobs(&asked, &choice, 1204);
        assert_eq!(told.to, "state failed, kind Prune, host db-01, time last 7 days");
        assert_eq!(told.without, "Without the filter, 1,204 ended in the last 24 hours.");
    }
}
