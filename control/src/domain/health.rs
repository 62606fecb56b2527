//! A repository's health.

use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A repository's sizes at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Sample {
    /// When.
    pub at: Timestamp,
}
