//! Recall: after the control plane came back out of an export, agents tell again what happened since. What they ran is there once more, and
//! nothing runs twice.

use super::job::Task;
use crate::id::ScheduleId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// That a control plane came out of an export: what happened after `since` is known to the agents only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Restored {
    /// Names this import.
    pub id: String,
    /// The moment that was exported.
    pub since: Timestamp,
}

/// `POST /agent/v1/jobs/{id}/recall`: a job that was offered to this host, ran, and was confirmed, before its end is told once more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecallRequest {
    /// The attempt that ran.
    pub attempt: i32,
    /// What was asked of it.
    pub task: Task,
    /// For which schedule.
    #[serde(default)]
    pub schedule_id: Option<ScheduleId>,
    /// The desired state that was in force.
    pub state_version: i64,
    /// When the agent took it.
    pub accepted_at: Timestamp,
}

/// The end is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RecallResponse {
    /// Under this attempt.
    pub attempt: i32,
}
