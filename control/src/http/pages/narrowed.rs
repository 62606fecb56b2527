//! What a list says when its filter leaves nothing: which filter that is, and what there is without it.

use super::host_choice::HostChoice;
use super::view::{kind_word, protection_badge};
use super::{hosts, job_list, snapshots};
use crate::domain::job::{JobKind, JobState};
use crate::domain::protection::Protection;
use crate::words::Moment;
use crate::words::filter::{self as words, Part};
use serde::Serialize;

/// An empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Narrowed {
    /// What nothing matches: `“web”, state Failing`.
    pub to: String,
    /// What there is without that, as a sentence; empty if it was not looked up.
    pub without: String,
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
        let to = words::filter(&[
            (Part::Text, &asked.q),
            (Part::State, state),
            (Part::System, word(&[("linux", "Linux"), ("windows", "Windows")], &asked.os)),
            (Part::Tag, &asked.tag),
            (Part::Repository, word(repositories, &asked.repository)),
        ]);
        Self { to, without: words::without_hosts(all) }
    }

    /// Jobs; `day` is how many ended in the last 24 hours.
    #[must_use]
    pub fn jobs(asked: &job_list::Asked, choice: &HostChoice, repositories: &[(String, String)], day: i64) -> Self {
        let one = asked.state.parse::<JobState>().map_or("", |state| state.as_str());
        let group = word(&words::JOBS, &asked.state);
        let to = words::filter(&[
            (Part::State, if group.is_empty() { one } else { group }),
            (Part::Kind, asked.kind.parse::<JobKind>().map_or("", kind_word)),
            (Part::Host, choice.shown()),
            (Part::Repository, word(repositories, &asked.repository)),
            (Part::HostTag, &asked.tag),
            (Part::Time, word(&words::TIMES, &asked.time)),
        ]);
        Self { to, without: words::without_jobs(day) }
    }

    /// Snapshots; `newest` is when the newest of all was taken.
    #[must_use]
    pub fn snapshots(
        asked: &snapshots::Asked,
        choice: &HostChoice,
        repositories: &[(String, String)],
        newest: Option<&Moment>,
    ) -> Self {
        let to = words::filter(&[
            (Part::Host, choice.shown()),
            (Part::HostTag, &asked.tag),
            (Part::Repository, word(repositories, &asked.repository)),
            (Part::Tag, &asked.snapshot_tag),
            (Part::Until, &asked.until),
        ]);
        Self { to, without: words::without_snapshots(newest) }
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
        let told = Narrowed::jobs(&asked, &choice, &[], 1204);
        assert_eq!(told.to, "state failed, kind Prune, host db-01, time last 7 days");
        assert_eq!(told.without, "Without the filter, 1,204 ended in the last 24 hours.");
    }
}
