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

impl Diff {
    /// Takes a line; false if it is none of a comparison.
    pub fn line(&mut self, line: &str) -> bool {
        if !line.starts_with('{') {
            return false;
        }
        let Ok(read) = serde_json::from_str::<Line>(line) else { return false };
        match read.message_type.as_str() {
            "change" if self.changes.len() < MAX_ENTRIES => {
                self.changes.push(Change { path: read.path, modifier: read.modifier });
            }
            "change" => self.omitted += 1,
            "statistics" => {
                self.figures = Some(Figures {
                    changed_files: read.changed_files,
                    added: read.added.unwrap_or_default(),
                    removed: read.removed.unwrap_or_default(),
                });
            }
            _ => return false,
        }
        true
    }
}
