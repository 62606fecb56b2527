//! Repairs: the index, packs, snapshots.

use super::run::Pipes;
use super::{Repository, Work, worked};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::judge::Verdict;
use crate::state_dir::make_private_dir;
use restic_manager_shared::wire::job::CauseCode;
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::progress::LogLevel;

impl Work<'_> {
    pub(super) async fn repair_index(&self, repository: &Repository, read_all_packs: bool) -> Done {
        let outcome = |_| Some(Outcome::Repair { dry_run: false, replaced: Vec::new() });
        self.simply(repository, Operation::RepairIndex { read_all_packs }, outcome).await
    }

    /// restic lays copies of the damaged packs into the folder that it runs in, and then removes the packs. The copies are the last that is
    /// left of them, so they are kept.
    pub(super) async fn repair_packs(&self, repository: &Repository, packs: &[String]) -> Done {
        let kept = self.agent.dir.file("salvaged").join(self.offer.id.to_string());
        if let Err(e) = make_private_dir(&kept) {
            return self.failed(Verdict::failed(CauseCode::AgentDisk, e.to_string()));
        }
        let run = self.run_in(&kept, &repository.vars, Operation::RepairPacks { packs }, Pipes::default()).await;
        if std::fs::remove_dir(&kept).is_err() {
            self.say(LogLevel::Info, &format!("copies of the damaged packs are kept in {}", kept.display()));
        }
        match run {
            Ok(run) => {
                let mut done = self.done(&run);
                if worked(&done) {
                    done.outcome = Some(Outcome::Repair { dry_run: false, replaced: Vec::new() });
                }
                done
            }
            Err(verdict) => self.failed(verdict),
        }
    }

    pub(super) async fn repair_snapshots(
        &self,
        r: &Repository,
        snapshots: &[String],
        forget: bool,
        dry_run: bool,
    ) -> Done {
        // Without a list restic takes all, and names them by their beginnings.
        let old = if snapshots.is_empty() { self.ids(r).await.unwrap_or_default() } else { snapshots.to_vec() };
        let (mut done, said) = self.replacing(r, Operation::RepairSnapshots { snapshots, forget, dry_run }).await;
        if let Some((said, _)) = said {
            done.outcome = Some(Outcome::Repair { dry_run, replaced: self.whole(r, said, &old).await });
        }
        done
    }
}
