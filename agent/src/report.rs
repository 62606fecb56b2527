//! The finish report: what came of a job, made to fit the wire.

use crate::outbox::fit_line;
use crate::restic::judge::Verdict;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::MAX_BODY;
use restic_manager_shared::wire::job::{BackupSummary, FinishReport, ItemError, MAX_ITEM_ERRORS, SnapshotRecord};
use restic_manager_shared::wire::operation::Outcome;

/// Room for the HTTP side of things.
const LARGEST: usize = MAX_BODY - 16 * 1024;

/// What came of it.
#[derive(Debug)]
pub struct Done {
    /// How it ended and why.
    pub verdict: Verdict,
    /// restic's exit status.
    pub exit_code: Option<i32>,
    /// What a backup did.
    pub summary: Option<BackupSummary>,
    /// Snapshots that were made or listed.
    pub snapshots: Vec<SnapshotRecord>,
    /// Whether these are all.
    pub snapshots_complete: bool,
    /// What could not be handled.
    pub items: Vec<ItemError>,
    /// How much more could not be handled.
    pub items_omitted: u64,
    /// The command line.
    pub command: Option<String>,
    /// restic's version.
    pub restic_version: Option<String>,
    /// What came of an operation.
    pub outcome: Option<Outcome>,
    /// The restic processes that ran, all of them gone.
    pub pids: Vec<u32>,
}

impl From<Verdict> for Done {
    fn from(verdict: Verdict) -> Self {
        Self {
            verdict,
            exit_code: None,
            summary: None,
            snapshots: Vec::new(),
            snapshots_complete: false,
            items: Vec::new(),
            items_omitted: 0,
            command: None,
            restic_version: None,
            outcome: None,
            pids: Vec::new(),
        }
    }
}

/// Builds the report.
#[must_use]
pub fn build(attempt: i32, done: Done, started_at: Timestamp, finished_at: Timestamp) -> FinishReport {
    let mut report = FinishReport {
        attempt,
        end: done.verdict.end,
        cause: done.verdict.cause,
        exit_code: done.exit_code,
        started_at,
        finished_at,
        summary: done.summary,
        snapshots: done.snapshots,
        snapshots_complete: done.snapshots_complete,
        item_errors: done.items,
        item_errors_omitted: done.items_omitted,
        command: done.command.map(|c| fit_line(&c)),
        restic_version: done.restic_version,
        outcome: done.outcome,
        pids: done.pids,
    };
    if let Some(cause) = &mut report.cause {
        cause.message = fit_line(&cause.message);
    }
    for item in &mut report.item_errors {
        item.item = fit_line(&item.item);
        item.message = fit_line(&item.message);
    }
    fit(report, LARGEST)
}

/// Leaves out what people miss least until the report is small enough: item errors beyond the most, snapshots' figures, then the
/// oldest snapshots, and then the list is no longer complete.
fn fit(mut report: FinishReport, largest: usize) -> FinishReport {
    let excess = report.item_errors.len().saturating_sub(MAX_ITEM_ERRORS);
    report.item_errors.truncate(MAX_ITEM_ERRORS);
    report.item_errors_omitted += excess as u64;
    while size(&report) > largest {
        if report.snapshots.len() > 1 && report.snapshots.iter().any(|s| s.summary.is_some()) {
            report.snapshots.iter_mut().for_each(|s| s.summary = None);
        } else if report.item_errors.len() > 20 {
            let half = report.item_errors.len() / 2;
            report.item_errors_omitted += half as u64;
            report.item_errors.truncate(report.item_errors.len() - half);
        } else if report.snapshots.len() > 1 {
            // restic lists the oldest first.
            report.snapshots.drain(..report.snapshots.len().div_ceil(4));
            report.snapshots_complete = false;
        } else if !report.outcome.as_mut().is_some_and(shorten) {
            break;
        }
    }
    report
}

/// Leaves out the last quarter of an outcome's longest list; false if there is nothing left that could be left out.
fn shorten(outcome: &mut Outcome) -> bool {
    fn cut<T>(list: &mut Vec<T>) -> u64 {
        let gone = if list.len() > 1 { list.len().div_ceil(4) } else { 0 };
        list.truncate(list.len() - gone);
        gone as u64
    }
    let gone = match outcome {
        Outcome::Ls { entries, omitted } | Outcome::Find { entries, omitted } => {
            let gone = cut(entries);
            *omitted += gone;
            gone
        }
        Outcome::Diff { changes, omitted, .. } => {
            let gone = cut(changes);
            *omitted += gone;
            gone
        }
        Outcome::Check(report) => {
            cut(&mut report.messages) + cut(&mut report.broken_snapshots) + cut(&mut report.broken_packs)
        }
        Outcome::Forget { removed, left, .. } => {
            if removed.len() > left.len() {
                cut(removed)
            } else {
                cut(left)
            }
        }
        Outcome::Locks { removed, left } => {
            if removed.len() > left.len() {
                cut(removed)
            } else {
                cut(left)
            }
        }
        Outcome::Tag { replaced } | Outcome::Rewrite { replaced, .. } | Outcome::Repair { replaced, .. } => {
            cut(replaced)
        }
        Outcome::Keys { keys, .. } => cut(keys),
        Outcome::Cache { said } => cut(said),
        Outcome::Probe(report) => cut(&mut report.evidence),
        Outcome::Restore(report) => {
            // What is new does not matter as much as what would go, and its number is told beside it.
            let new = cut(&mut report.new_examples);
            let gone = if new == 0 { cut(&mut report.examples) } else { 0 };
            report.examples_omitted += gone;
            new + gone
        }
        Outcome::Drill(report) => cut(&mut report.files),
        Outcome::Snapshots { .. }
        | Outcome::Archive { .. }
        | Outcome::Stats(_)
        | Outcome::Prune(_)
        | Outcome::Copy { .. }
        | Outcome::Version { .. }
        | Outcome::Account { .. }
        | Outcome::Unknown => 0,
    };
    gone > 0
}

fn size(report: &FinishReport) -> usize {
    serde_json::to_vec(report).map_or(0, |json| json.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::wire::job::{CauseCode, End};
    use restic_manager_shared::wire::operation::Entry;

    fn snapshot(n: i64) -> SnapshotRecord {
        SnapshotRecord {
            id: format!("{n:064x}"),
            time: Timestamp::from_seconds(n),
            hostname: "h".into(),
            username: None,
            paths: vec!["/srv".into()],
            tags: Vec::new(),
            parent: None,
            summary: Some(BackupSummary::default()),
        }
    }

    #[test]
    fn a_report_fits_whatever_is_in_it() {
        let mut done = Done::from(Verdict::failed(CauseCode::ResticFailed, "x".repeat(1 << 21)));
        done.snapshots = (0..9000).map(snapshot).collect();
        done.snapshots_complete = true;
        done.items = (0..500).map(|n| ItemError { item: format!("/{n}"), message: "m".repeat(9000) }).collect();
        let now = Timestamp::from_seconds(1);
        let report = build(1, done, now, now);
        assert!(size(&report) <= LARGEST);
        assert_eq!(report.item_errors.len() as u64 + report.item_errors_omitted, 500);
        assert!(!report.snapshots_complete && report.snapshots.len() > 1000);
        assert_eq!(report.snapshots.last().map(|s| s.time), Some(Timestamp::from_seconds(8999)), "the newest stay");
    }

    #[test]
    fn a_long_listing_is_cut_and_counted() {
        let entry = |n: u64| Entry {
            path: format!("/{n}/{}", "x".repeat(4000)),
            kind: "file".into(),
            size: None,
            mtime: None,
            permissions: String::new(),
            snapshot: None,
        };
        let mut done = Done::from(Verdict { end: End::Succeeded, cause: None });
        done.outcome = Some(Outcome::Ls { entries: (0..2000).map(entry).collect(), omitted: 7 });
        let now = Timestamp::from_seconds(1);
        let report = build(1, done, now, now);
        assert!(size(&report) <= LARGEST);
        let Some(Outcome::Ls { entries, omitted }) = report.outcome else { panic!("no listing") };
        assert_eq!(entries.len() as u64 + omitted, 2007);
        assert!(entries.len() > 150);
    }

    #[test]
    fn a_small_list_stays_whole() {
        let mut done = Done::from(Verdict::failed(CauseCode::Unknown, ""));
        done.snapshots = (0..100).map(snapshot).collect();
        done.snapshots_complete = true;
        let now = Timestamp::from_seconds(1);
        let report = build(1, done, now, now);
        assert!(report.snapshots_complete && report.snapshots.iter().all(|s| s.summary.is_some()));
    }
}
