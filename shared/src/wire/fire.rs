//! Fires: what an agent tells of the runs that its own scheduler starts. A fire is named by its schedule and the instant it was due,
//! so that the same fire told twice is one job.

use super::job::Task;
use crate::id::{JobId, ScheduleId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The most fires that a report names as stood for; the rest is counted.
pub const MAX_STOOD_FOR: usize = 100;

/// `POST /agent/v1/fires`: a fire was due and this became of it. Kept on the agent's disk until it is answered with 200; chunks and
/// the end of its job follow only then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FireReport {
    /// [`JobId::of_fire`] of the schedule and the due instant.
    pub id: JobId,
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// When it was due, without the schedule's spread.
    pub due: Timestamp,
    /// When the agent acted on it.
    pub fired_at: Timestamp,
    /// The desired state that was in force on the host.
    pub state_version: i64,
    /// What became of it.
    pub outcome: FireOutcome,
    /// Earlier fires that this run stands for, oldest first: the host slept or was down through them.
    #[serde(default)]
    pub stands_for: Vec<Timestamp>,
    /// How many more there were.
    #[serde(default)]
    pub stands_for_more: u64,
}

/// What became of a fire.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "outcome", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // fires are few, and each is one of these for a moment
pub enum FireOutcome {
    /// A job runs, or has run.
    Run {
        /// What it does.
        task: Task,
    },
    /// The last run of the schedule was still going on.
    Skipped {
        /// That run.
        because_of: JobId,
    },
}

/// How far an agent has got with a schedule: every fire due after `since` and up to `until` was decided on, and whatever became of it
/// is at the control plane already. What should have been in that time and is not there was missed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FireLedger {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// The cron line in force on the host.
    pub cron: String,
    /// The IANA zone that it is read in there.
    pub timezone: String,
    /// Since when it is in force there.
    pub since: Timestamp,
    /// How far it was followed.
    pub until: Timestamp,
    /// Whether it is followed no longer, because the schedule is disabled, deleted or has another line by now: nothing is owed of it
    /// after `until`. Told until it is answered.
    #[serde(default)]
    pub ended: bool,
}
