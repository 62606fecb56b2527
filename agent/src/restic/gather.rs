//! What a command prints besides progress and words: its result, gathered as it comes and bounded, so that a listing of a million files
//! costs no more memory than one of a thousand.

use super::argv::Operation;
use restic_manager_shared::restic::check::Findings;
use restic_manager_shared::restic::diff::Diff;
use restic_manager_shared::restic::listing::{Found, Listing, touched_snapshot};
use restic_manager_shared::restic::locks::listed_id;
use restic_manager_shared::restic::replaced::Replacements;
use restic_manager_shared::restic::restore::Restored;
use restic_manager_shared::restic::snapshot::Snapshot;
use restic_manager_shared::restic::snapshot::is_whole_id;
use restic_manager_shared::restic::{keys, prune, stats};
use restic_manager_shared::wire::job::SnapshotRecord;
use restic_manager_shared::wire::operation::{KeyRecord, PruneReport, StatsMode, StatsReport};
use std::collections::BTreeSet;

/// More snapshots than this a repository does not have; a listing that goes on is not one.
const MAX_SNAPSHOTS: usize = 2_000_000;
/// The longest document, such as a lock.
const MAX_DOCUMENT: usize = 256 * 1024;
/// More keys than anybody has.
const MAX_KEYS: usize = 10_000;

/// A list of snapshots.
#[derive(Debug, Default)]
pub struct Snapshots {
    /// Whether a list came at all.
    pub begun: bool,
    /// The snapshots.
    pub records: Vec<SnapshotRecord>,
    /// Why an entry could not be read.
    pub bad: Option<String>,
}

/// What is gathered for a command.
#[derive(Debug, Default)]
pub enum Gathered {
    /// Nothing beside messages and words.
    #[default]
    Words,
    /// Snapshots.
    Snapshots(Snapshots),
    /// Ids, one a line.
    Ids(Vec<String>),
    /// A document of several lines.
    Document(String),
    /// A folder.
    Listing(Listing),
    /// Matches, and whether there was a list of them.
    Found(bool, Found),
    /// Snapshots that need certain packs.
    Touched(BTreeSet<String>),
    /// Counts.
    Stats(StatsMode, Option<StatsReport>),
    /// Differences.
    Diff(Diff),
    /// What is broken.
    Check(Findings),
    /// Figures of a prune.
    Prune(PruneReport),
    /// Snapshots with new ids.
    Replaced(Replacements),
    /// Keys, and whether there was a list of them.
    Keys(bool, Vec<KeyRecord>),
    /// The id of a new key.
    NewKey(Option<String>),
    /// What was restored.
    Restored(Box<Restored>),
}

impl Gathered {
    /// What is to be gathered.
    #[must_use]
    pub fn of(operation: &Operation<'_>) -> Self {
        match operation {
            Operation::Backup(_)
            | Operation::Init
            | Operation::Forget { .. }
            | Operation::Unlock { .. }
            | Operation::RepairIndex { .. }
            | Operation::RepairPacks { .. }
            | Operation::KeyRemove { .. }
            // These go elsewhere than through the transcript.
            | Operation::Dump { .. }
            | Operation::Tree { .. }
            | Operation::CacheCleanup => Self::Words,
            Operation::Restore(_) => Self::Restored(Box::default()),
            Operation::Snapshots { .. } => Self::Snapshots(Snapshots::default()),
            Operation::ListSnapshots | Operation::ListLocks => Self::Ids(Vec::new()),
            Operation::CatLock { .. } | Operation::CatConfig => Self::Document(String::new()),
            Operation::Ls { .. } => Self::Listing(Listing::default()),
            Operation::Find { .. } => Self::Found(false, Found::default()),
            Operation::FindPacks { .. } | Operation::FindUnreadable { .. } => Self::Touched(BTreeSet::new()),
            Operation::Stats { mode, .. } => Self::Stats(*mode, None),
            Operation::Diff { .. } => Self::Diff(Diff::default()),
            Operation::Check { .. } => Self::Check(Findings::default()),
            Operation::Prune { options } => {
                Self::Prune(PruneReport { dry_run: options.dry_run, ..PruneReport::default() })
            }
            Operation::Copy { .. }
            | Operation::Tag { .. }
            | Operation::Rewrite { .. }
            | Operation::RepairSnapshots { .. } => Self::Replaced(Replacements::default()),
            Operation::KeyList => Self::Keys(false, Vec::new()),
            Operation::KeyAdd { .. } => Self::NewKey(None),
        }
    }

    /// Takes a line of standard output; true if nobody else needs to hear it.
    pub fn line(&mut self, line: &str) -> bool {
        match self {
            Self::Words | Self::Found(..) | Self::Keys(..) => false,
            Self::Touched(ids) => unreadable_snapshot(line).is_some_and(|id| ids.insert(id.to_owned())),
            // Old versions print no list where they mean an empty one.
            Self::Snapshots(list) => {
                let empty = line.trim() == "null";
                list.begun |= empty;
                empty
            }
            Self::Ids(ids) => listed_id(line).map(|id| ids.push(id.to_owned())).is_some(),
            Self::Document(text) => {
                if text.len() + line.len() < MAX_DOCUMENT {
                    text.push_str(line);
                    text.push('\n');
                }
                true
            }
            Self::Listing(listing) => listing.line(line),
            Self::Stats(mode, report) => {
                let read = line.starts_with('{').then(|| stats::parse(line, *mode)).flatten();
                let is_it = read.is_some();
                *report = read.or(*report);
                is_it
            }
            Self::Diff(diff) => diff.line(line),
            Self::Check(findings) => {
                findings.advice(line);
                false
            }
            Self::Prune(figures) => {
                prune::line(figures, line);
                false
            }
            Self::Restored(restored) => restored.line(line),
            Self::Replaced(replaced) => replaced.line(line) && line.starts_with('{'),
            Self::NewKey(id) => {
                *id = keys::added_id(line).map(str::to_owned).or_else(|| id.take());
                false
            }
        }
    }

    /// A list begins.
    pub fn begin(&mut self) {
        match self {
            Self::Snapshots(list) => list.begun = true,
            Self::Found(begun, _) | Self::Keys(begun, _) => *begun = true,
            Self::Words
            | Self::Ids(_)
            | Self::Document(_)
            | Self::Listing(_)
            | Self::Touched(_)
            | Self::Stats(..)
            | Self::Diff(_)
            | Self::Check(_)
            | Self::Prune(_)
            | Self::Replaced(_)
            | Self::NewKey(_)
            | Self::Restored(_) => {}
        }
    }

    /// Takes an element of a list.
    pub fn element(&mut self, text: &str) {
        match self {
            Self::Snapshots(list) => list.take(text),
            Self::Found(_, found) => found.element(text),
            Self::Touched(ids) => ids.extend(touched_snapshot(text)),
            Self::Keys(_, keys) if keys.len() < MAX_KEYS => keys.extend(keys::parse(text)),
            Self::Keys(..)
            | Self::Words
            | Self::Ids(_)
            | Self::Document(_)
            | Self::Listing(_)
            | Self::Stats(..)
            | Self::Diff(_)
            | Self::Check(_)
            | Self::Prune(_)
            | Self::Replaced(_)
            | Self::NewKey(_)
            | Self::Restored(_) => {}
        }
    }

    /// Takes a line of standard error.
    pub fn error(&mut self, line: &str) {
        if let Self::Check(findings) = self {
            findings.error(line);
        }
    }

    /// Whether the result that the command should print is there. None for a command that prints none.
    #[must_use]
    pub const fn is_whole(&self) -> Option<bool> {
        match self {
            Self::Snapshots(list) => Some(list.begun && list.bad.is_none()),
            Self::Listing(listing) => Some(listing.opened),
            Self::Found(begun, _) | Self::Keys(begun, _) => Some(*begun),
            Self::Stats(_, report) => Some(report.is_some()),
            Self::Diff(diff) => Some(diff.figures.is_some()),
            Self::Document(text) => Some(!text.is_empty()),
            Self::Words
            | Self::Ids(_)
            | Self::Touched(_)
            | Self::Check(_)
            | Self::Prune(_)
            | Self::Replaced(_)
            | Self::NewKey(_)
            // Old versions print none.
            | Self::Restored(_) => None,
        }
    }
}

impl Snapshots {
    fn take(&mut self, text: &str) {
        let read = serde_json::from_str::<Snapshot>(text).map_err(|e| e.to_string());
        match read.and_then(|s| SnapshotRecord::try_from(s).map_err(|e| e.to_string())) {
            Ok(record) if self.records.len() < MAX_SNAPSHOTS => self.records.push(record),
            Ok(_) => self.bad = Some("the list of snapshots does not end".into()),
            Err(e) => self.bad = Some(e),
        }
    }
}

/// `find` tells of a folder that it cannot load, and goes on: ` ... which belongs to snapshot ID`, in every version.
fn unreadable_snapshot(line: &str) -> Option<&str> {
    line.split_once("which belongs to snapshot ").map(|(_, id)| id.trim()).filter(|id| is_whole_id(id))
}
