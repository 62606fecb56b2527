//! What a restore would do file by file, as its preview lists it: all of it or one kind, page by page. What is named was chosen by the agent; how
//! much there is of each kind is counted whole.

use super::super::door::address;
use super::super::paths::visible;
use crate::words::restored as words;
use restic_manager_shared::wire::restore::{RestoreAction, RestoreExample, RestoreReport};
use serde::{Deserialize, Serialize};

/// Files of a page.
const LIMIT: usize = 100;

/// What is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// The kind: `new`, `replaced` or `deleted`; all else is all of them.
    pub show: String,
    /// How many were on the pages before.
    pub from: usize,
}

/// The files.
#[derive(Debug, Serialize)]
pub struct Would {
    /// The kinds to choose from.
    pub kinds: Vec<Kind>,
    /// This page of them.
    pub rows: Vec<Row>,
    /// The next page.
    pub next: Option<String>,
    /// The first page, if this is not it.
    pub first: Option<String>,
    /// How many more there are of which no name is known.
    pub unnamed: u64,
}

/// A kind to choose.
#[derive(Debug, Serialize)]
pub struct Kind {
    /// Its word.
    pub word: &'static str,
    /// Its address.
    pub url: String,
    /// It is chosen.
    pub chosen: bool,
    /// How many there are.
    pub count: u64,
}

/// A file.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The sign before it, its colour's class, and its word.
    pub sign: (&'static str, &'static str, &'static str),
    /// Its path.
    pub path: String,
    /// The size that it gets; none of what goes.
    pub size: Option<u64>,
}

impl Row {
    fn new(e: &RestoreExample) -> Self {
        let (sign, class) = match e.action {
            RestoreAction::Create => ("+", "add"),
            RestoreAction::Delete => ("\u{2212}", "del"),
            RestoreAction::Overwrite | RestoreAction::Unknown => ("~", "mod"),
        };
        let size = (e.action != RestoreAction::Delete).then_some(e.size);
        Self { sign: (sign, class, words::would_be(e.action)), path: visible(&e.path), size }
    }
}

/// The kind of an address; none for all.
fn kind(show: &str) -> Option<RestoreAction> {
    match show {
        "new" => Some(RestoreAction::Create),
        "replaced" => Some(RestoreAction::Overwrite),
        "deleted" => Some(RestoreAction::Delete),
        _ => None,
    }
}

/// The files of a preview at this address; none if the agent names none. What is deleted is a kind of its own where that is asked for.
#[must_use]
pub fn would(report: &RestoreReport, deletes: bool, page: &str, asked: &Asked) -> Option<Would> {
    let all: Vec<&RestoreExample> = report.examples.iter().chain(&report.new_examples).collect();
    if all.is_empty() {
        return None;
    }
    let chosen = kind(&asked.show);
    let named = |of: Option<RestoreAction>| all.iter().filter(move |e| of.is_none_or(|of| e.action == of));
    // Where a count is not known, what is named is all that is known.
    let known = |of: RestoreAction, count: Option<u64>| count.unwrap_or(0).max(named(Some(of)).count() as u64);
    let created = known(RestoreAction::Create, report.created);
    let replaced = known(RestoreAction::Overwrite, report.overwritten);
    let deleted = known(RestoreAction::Delete, Some(report.deleted));
    let sum = created.saturating_add(replaced).saturating_add(deleted).max(all.len() as u64);
    let mut kinds = vec![("", words::kind::ALL, sum), ("new", words::kind::NEW, created)];
    kinds.push(("replaced", words::kind::REPLACED, replaced));
    if deletes || deleted > 0 {
        kinds.push(("deleted", words::kind::DELETED, deleted));
    }
    let show = chosen.map_or("", |_| asked.show.as_str());
    let count = kinds.iter().find(|(value, ..)| *value == show).map_or(0, |(.., count)| *count);
    let of_kind = named(chosen).count();
    let end = asked.from.saturating_add(LIMIT);
    let at = |show: &str, from: &str| address(page, &[("show", show), ("from", from)]);
    Some(Would {
        rows: named(chosen).skip(asked.from).take(LIMIT).map(|e| Row::new(e)).collect(),
        next: (end < of_kind).then(|| at(show, &end.to_string())),
        first: (asked.from > 0).then(|| at(show, "")),
        unnamed: if end < of_kind { 0 } else { count.saturating_sub(of_kind as u64) },
        kinds: kinds
            .into_iter()
            .map(|(value, word, count)| Kind { word, url: at(value, ""), chosen: value == show, count })
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(created: Option<u64>, replaced: u64, deleted: u64, names: (usize, usize, usize)) -> RestoreReport {
        let example = |action| move |n: usize| RestoreExample { path: format!("/f{n}"), action, size: 1 };
        RestoreReport {
            dry_run: true,
            created,
            overwritten: Some(replaced),
            deleted,
            examples: (0..names.1)
                .map(example(RestoreAction::Overwrite))
                .chain((0..names.2).map(example(RestoreAction::Delete)))
                .collect(),
            new_examples: (0..names.0).map(example(RestoreAction::Create)).collect(),
            ..RestoreReport::default()
        }
    }

    #[test]
    fn each_kind_is_counted_whole_and_listed_page_by_page() {
        let all = report(Some(716), 2, 0, (500, 2, 0));
        for (show, from, rows, unnamed, next) in [
            ("", 0, 100, 0, Some("/p?from=100")),
            ("", 500, 2, 216, None),
            ("new", 0, 100, 0, Some("/p?show=new&from=100")),
            ("new", 400, 100, 216, None),
            ("replaced", 0, 2, 0, None),
            ("other", 0, 100, 0, Some("/p?from=100")),
            ("new", usize::MAX, 0, 216, None),
        ] {
            let found = would(&all, false, "/p", &Asked { show: show.into(), from }).expect("files");
            assert_eq!(
                (found.rows.len(), found.unnamed, found.next.as_deref()),
                (rows, unnamed, next),
                "{show} {from}"
            );
            assert_eq!(found.first.is_some(), from > 0, "{show} {from}");
        }
        let counts = |report: &RestoreReport, deletes| {
            let found = would(report, deletes, "/p", &Asked::default()).expect("files");
            found.kinds.into_iter().map(|kind| (kind.word, kind.count)).collect::<Vec<_>>()
        };
        assert_eq!(counts(&all, false), [("All", 718), ("New", 716), ("Replaced", 2)]);
        assert_eq!(counts(&all, true), [("All", 718), ("New", 716), ("Replaced", 2), ("Deleted", 0)]);
        let gone = report(None, 0, 3, (0, 0, 3));
        assert_eq!(counts(&gone, false), [("All", 3), ("New", 0), ("Replaced", 0), ("Deleted", 3)]);
        assert!(would(&report(Some(5), 0, 0, (0, 0, 0)), true, "/p", &Asked::default()).is_none());
    }
}
