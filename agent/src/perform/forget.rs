//! Removing snapshots by their ids. What restic says of it counts little: some versions end with 0 though the storage refused, so the
//! snapshots that are left are looked up afterwards.

use super::{Repository, Work};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::judge::Verdict;
use restic_manager_shared::wire::job::{CauseCode, End};
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::progress::LogLevel;
use std::collections::BTreeSet;

/// So many ids fit a command line on every system.
const AT_ONCE: usize = 400;

impl Work<'_> {
    pub(super) async fn forget(&self, repository: &Repository, ids: &[String], dry_run: bool) -> Done {
        let mut done = self.forget_all(repository, ids, dry_run).await;
        let there: BTreeSet<String> = match self.ids(repository).await {
            Ok(there) => there.into_iter().collect(),
            Err(verdict) => {
                self.say(LogLevel::Warning, "it cannot be looked up which snapshots are left");
                if done.verdict.end == End::Succeeded {
                    done.verdict = verdict;
                }
                return done;
            }
        };
        let (left, gone): (Vec<String>, Vec<String>) = ids.iter().cloned().partition(|id| there.contains(id));
        done.verdict = if dry_run { preview(done.verdict, &gone) } else { result(done.verdict, &left) };
        let (removed, left) = if dry_run { (left, Vec::new()) } else { (gone, left) };
        done.outcome = Some(Outcome::Forget { dry_run, removed, left });
        done
    }

    async fn forget_all(&self, repository: &Repository, ids: &[String], dry_run: bool) -> Done {
        let mut last = None;
        for part in ids.chunks(AT_ONCE) {
            let done = match self.run(repository, Operation::Forget { ids: part, dry_run }).await {
                Ok(run) => self.done(&run),
                Err(verdict) => self.failed(verdict),
            };
            let goes_on = done.verdict.end == End::Succeeded;
            last = Some(done);
            if !goes_on {
                break;
            }
        }
        last.unwrap_or_else(|| Verdict::failed(CauseCode::ResticFailed, "nothing was named").into())
    }
}

/// A dry run names what is there.
fn preview(verdict: Verdict, missing: &[String]) -> Verdict {
    match verdict.end {
        End::Succeeded if !missing.is_empty() => Verdict::failed(
            CauseCode::SnapshotMissing,
            format!("not in the repository (any more): {}", missing.join(", ")),
        ),
        End::Succeeded | End::Warning | End::Failed | End::Cancelled => verdict,
    }
}

/// What is left although restic was content, or because the storage said no.
fn result(verdict: Verdict, left: &[String]) -> Verdict {
    let refused = match verdict.code() {
        None | Some(CauseCode::RemovalRefused | CauseCode::StorageForbidden) => !left.is_empty(),
        Some(_) => false,
    };
    if refused {
        let message = format!(
            "the storage did not remove {} of the snapshots, and they are still there: {}. Is the credential append-only?",
            left.len(),
            left.join(", ")
        );
        return Verdict::failed(CauseCode::RemovalRefused, message);
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_decides() {
        let fine = || Verdict { end: End::Succeeded, cause: None };
        let said = |code| Verdict::failed(code, "x");
        let left = vec!["a".to_owned()];
        for (verdict, left, want) in [
            (fine(), &[][..], None),
            (fine(), &left[..], Some(CauseCode::RemovalRefused)),
            (said(CauseCode::StorageForbidden), &left[..], Some(CauseCode::RemovalRefused)),
            (said(CauseCode::RemovalRefused), &left[..], Some(CauseCode::RemovalRefused)),
            (said(CauseCode::RepositoryLocked), &left[..], Some(CauseCode::RepositoryLocked)),
            (Verdict::because(End::Cancelled, CauseCode::Cancelled, ""), &left[..], Some(CauseCode::Cancelled)),
        ] {
            assert_eq!(result(verdict.clone(), left).code(), want, "{verdict:?}");
        }
        assert_eq!(preview(fine(), &left).code(), Some(CauseCode::SnapshotMissing));
        assert_eq!(preview(fine(), &[]).code(), None);
    }
}
