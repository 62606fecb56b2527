//! The lines of `diff --json`: changes, gathered up to a bound and counted on, and the figures at the end.

use super::lenient;
use crate::wire::operation::{Change, DiffSide, MAX_ENTRIES};
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Line {
    #[serde(deserialize_with = "lenient::text")]
    message_type: String,
    #[serde(deserialize_with = "lenient::text")]
    path: String,
    #[serde(deserialize_with = "lenient::text")]
    modifier: String,
    #[serde(deserialize_with = "lenient::count")]
    changed_files: u64,
    added: Option<DiffSide>,
    removed: Option<DiffSide>,
}

/// What `diff` has said so far.
#[derive(Debug, Default)]
pub struct Diff {
    /// The first changes.
    pub changes: Vec<Change>,
    /// How many more there were.
    pub omitted: u64,
    /// The figures, which come last.
    pub figures: Option<Figures>,
}

/// The figures of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Files changed.
    pub changed_files: u64,
    /// What is only in the second.
    pub added: DiffSide,
    /// What is only in the first.
    pub removed: DiffSide,
}

/// What a line of a comparison says.
#[derive(Debug)]
pub enum Said {
    /// One change.
    Change(Change),
    /// The figures: all was told.
    Figures(Figures),
}

/// Reads a line; none if it is none of a comparison.
#[must_use]
pub fn read(line: &str) -> Option<Said> {
    if !line.starts_with('{') {
        return None;
    }
    let read = serde_json::from_str::<Line>(line).ok()?;
    match read.message_type.as_str() {
        "change" => Some(Said::Change(Change { path: read.path, modifier: read.modifier })),
        "statistics" => Some(Said::Figures(Figures {
            changed_files: read.changed_files,
            added: read.added.unwrap_or_default(),
            removed: read.removed.unwrap_or_default(),
        })),
        _ => None,
    }
}

impl Diff {
    /// Takes a line; false if it is none of a comparison.
    pub fn line(&mut self, line: &str) -> bool {
        match read(line) {
            Some(Said::Change(change)) if self.changes.len() < MAX_ENTRIES => self.changes.push(change),
            Some(Said::Change(_)) => self.omitted += 1,
            Some(Said::Figures(figures)) => self.figures = Some(figures),
            None => return false,
        }
        true
    }
}
