//! Work that only looks: snapshots, folders, names, counts, differences.

use super::{Repository, Work, worked};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use crate::restic::judge::Verdict;
use crate::space;
use restic_manager_shared::restic::address::Location;
use restic_manager_shared::wire::job::{CauseCode, End, SnapshotRecord};
use restic_manager_shared::wire::operation::{Outcome, StatsMode, StatsReport};

/// Longer lists travel in parts before the report.
const FITS: usize = 200;

impl Work<'_> {
    /// Runs one operation and makes an outcome of what it gathered, if it worked.
    pub(super) async fn simply(
        &self,
        repository: &Repository,
        operation: Operation<'_>,
        outcome: impl FnOnce(Gathered) -> Option<Outcome>,
    ) -> Done {
        let mut run = match self.run(repository, operation).await {
            Ok(run) => run,
            Err(verdict) => return self.failed(verdict),
        };
        let mut done = self.done(&run);
        if worked(&done) {
            done.outcome = outcome(run.transcript.take_gathered());
        }
        done
    }

    pub(super) async fn snapshots(&self, repository: &Repository, all_hosts: bool) -> Done {
        let (mut done, list) = self.list(repository, &[], all_hosts).await;
        let Some(list) = list else { return done };
        done.outcome = Some(Outcome::Snapshots { count: list.len() as u64 });
        if list.len() <= FITS {
            done.snapshots = list;
        } else if let Err(verdict) = self.send_in_parts(list).await {
            return Done { verdict, outcome: None, ..done };
        }
        done.snapshots_complete = true;
        done
    }

    /// Snapshots with all that is known of them; none if they cannot be listed.
    pub(super) async fn list(
        &self,
        repository: &Repository,
        ids: &[String],
        all_hosts: bool,
    ) -> (Done, Option<Vec<SnapshotRecord>>) {
        let mut run = match self.run(repository, Operation::Snapshots { ids, all_hosts }).await {
            Ok(run) => run,
            Err(verdict) => return (self.failed(verdict), None),
        };
        let mut done = self.done(&run);
        match run.transcript.take_gathered() {
            Gathered::Snapshots(list) if worked(&done) => (done, Some(list.records)),
            Gathered::Snapshots(list) => {
                if let (Some(bad), None | Some(CauseCode::ResticFailed)) = (list.bad, done.verdict.code()) {
                    done.verdict = Verdict::failed(CauseCode::ResticFailed, bad);
                }
                (done, None)
            }
            _ => (done, None),
        }
    }

    /// The ids of all snapshots, or why they cannot be listed. Takes no lock.
    pub(super) async fn ids(&self, repository: &Repository) -> Result<Vec<String>, Verdict> {
        self.listed(repository, Operation::ListSnapshots).await
    }

    pub(super) async fn listed(&self, repository: &Repository, what: Operation<'_>) -> Result<Vec<String>, Verdict> {
        let mut run = self.run(repository, what).await?;
        let done = self.done(&run);
        match run.transcript.take_gathered() {
            Gathered::Ids(ids) if done.verdict.end == End::Succeeded => Ok(ids),
            _ => Err(done.verdict),
        }
    }

    pub(super) async fn ls(&self, repository: &Repository, snapshot: &str, path: &str, recursive: bool) -> Done {
        let operation = Operation::Ls { snapshot, path, recursive };
        let done = self.simply(repository, operation, |gathered| match gathered {
            Gathered::Listing(l) => Some(Outcome::Ls { entries: l.entries, omitted: l.omitted }),
            _ => None,
        });
        let done = done.await;
        // restic has no word for a folder that is not there. The top of a snapshot always is.
        let nothing = matches!(&done.outcome, Some(Outcome::Ls { entries, .. }) if entries.is_empty());
        if nothing && !path.trim_matches('/').is_empty() {
            let verdict = Verdict::failed(CauseCode::ResticFailed, format!("{path} is not in the snapshot"));
            return Done { verdict, outcome: None, ..done };
        }
        done
    }

    pub(super) async fn find(&self, r: &Repository, pattern: &str, snapshots: &[String], ignore_case: bool) -> Done {
        let operation = Operation::Find { pattern, snapshots, ignore_case };
        let outcome = |gathered| match gathered {
            Gathered::Found(_, f) => Some(Outcome::Find { entries: f.entries, omitted: f.omitted }),
            _ => None,
        };
        self.simply(r, operation, outcome).await
    }

    pub(super) async fn stats(&self, repository: &Repository, mode: StatsMode, snapshots: &[String]) -> Done {
        let space = Location::parse(&repository.spec.url).local().and_then(|folder| space::of(&folder));
        let outcome = |gathered| match gathered {
            Gathered::Stats(_, report) => report.map(|report| {
                let (storage_free, storage_total) = (space.map(|s| s.free), space.map(|s| s.total));
                Outcome::Stats(StatsReport { storage_free, storage_total, ..report })
            }),
            _ => None,
        };
        self.simply(repository, Operation::Stats { mode, snapshots }, outcome).await
    }

    pub(super) async fn diff(&self, repository: &Repository, from: &str, to: &str, metadata: bool) -> Done {
        let outcome = |gathered| match gathered {
            Gathered::Diff(d) => d.figures.map(|f| Outcome::Diff {
                changes: d.changes,
                omitted: d.omitted,
                changed_files: f.changed_files,
                added: f.added,
                removed: f.removed,
            }),
            _ => None,
        };
        self.simply(repository, Operation::Diff { from, to, metadata }, outcome).await
    }
}
