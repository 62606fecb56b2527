//! Freeing the space that no snapshot needs.

use super::{Repository, Work};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use restic_manager_shared::wire::operation::{Outcome, PruneOptions};

impl Work<'_> {
    pub(super) async fn prune(&self, repository: &Repository, options: &PruneOptions) -> Done {
        let outcome = |gathered| match gathered {
            Gathered::Prune(figures) => Some(Outcome::Prune(figures)),
            _ => None,
        };
        self.simply(repository, Operation::Prune { options }, outcome).await
    }
}
