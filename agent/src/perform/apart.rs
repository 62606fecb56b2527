//! Work that concerns no repository: which restic there is, and caches that nobody uses any more.

use super::run::Pipes;
use super::{Work, worked};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::judge::Verdict;
use restic_manager_shared::wire::job::{End, Task};
use restic_manager_shared::wire::operation::Outcome;

/// More of restic's lines than this are not told.
const MOST: usize = 100;

impl Work<'_> {
    pub(super) async fn apart(&self) -> Done {
        if matches!(self.offer.task, Task::CacheCleanup {}) { self.clean_cache().await } else { self.version() }
    }

    fn version(&self) -> Done {
        let version = self.restic.version.to_string();
        Done { outcome: Some(Outcome::Version { version }), ..Done::from(Verdict { end: End::Succeeded, cause: None }) }
    }

    async fn clean_cache(&self) -> Done {
        let run = match self.run_in(self.dir.path(), &self.vars, Operation::CacheCleanup, Pipes::default()).await {
            Ok(run) => run,
            Err(verdict) => return self.failed(verdict),
        };
        let mut done = self.done(&run);
        if worked(&done) {
            done.outcome = Some(Outcome::Cache { said: run.transcript.said().iter().take(MOST).cloned().collect() });
        }
        done
    }
}
