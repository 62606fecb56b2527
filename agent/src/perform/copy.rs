//! Copying snapshots from another repository into this one.

use super::{Repository, Work};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use restic_manager_shared::wire::operation::{CopySource, Outcome};

impl Work<'_> {
    pub(super) async fn copy(&self, repository: &Repository, from: &CopySource) -> Done {
        let outcome = |gathered| match gathered {
            Gathered::Replaced(said) => Some(Outcome::Copy { copied: said.saved, skipped: said.skipped }),
            _ => None,
        };
        self.simply(repository, Operation::Copy { snapshots: &from.snapshots }, outcome).await
    }
}
