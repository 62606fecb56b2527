//! Jobs: one run of one operation on one host. Here: the states, which may follow which, and what Run now means.

use super::delivery::WaitsFor;
pub use super::operation::JobKind;
use super::place::Place;
use super::schedule::Schedule;
use super::text_enum;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{BackupSummary, Cause, End, ItemError};
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::progress::{LogLine, Progress};
use serde::{Deserialize, Serialize};

text_enum! {
    /// Where a job is in its life.
    JobState {
        /// Waits for its host.
        Queued = "queued",
        /// Offered to the agent, not yet claimed.
        Dispatched = "dispatched",
        /// Claimed: restic runs.
        Running = "running",
        /// restic ended with 0.
        Succeeded = "succeeded",
        /// There is a snapshot, but something could not be read.
        Warning = "warning",
        /// It did not work.
        Failed = "failed",
        /// Somebody stopped it.
        Cancelled = "cancelled",
        /// Its agent went silent in mid-run; the true end replaces this if it comes.
        Lost = "lost",
        /// A fire that found the last run still running.
        Skipped = "skipped",
        /// A fire that should have been and was not.
        Missed = "missed",
    }
}

impl JobState {
    /// Whether nothing more is expected of it (a lost job may still be corrected).
    #[must_use]
    pub const fn finished(self) -> bool {
        match self {
            Self::Queued | Self::Dispatched | Self::Running => false,
            Self::Succeeded
            | Self::Warning
            | Self::Failed
            | Self::Cancelled
            | Self::Lost
            | Self::Skipped
            | Self::Missed => true,
        }
    }

    /// Whether an agent's report of the end may be stored over this state. The true end replaces "lost", and an agent that claimed
    /// before a cancel arrived still says how it ended.
    #[must_use]
    pub const fn takes_end(self) -> bool {
        matches!(self, Self::Running | Self::Lost)
    }
}

impl From<End> for JobState {
    fn from(end: End) -> Self {
        match end {
            End::Succeeded => Self::Succeeded,
            End::Warning => Self::Warning,
            End::Failed => Self::Failed,
            End::Cancelled => Self::Cancelled,
        }
    }
}

/// One run of one operation on one host.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Job {
    /// Its identity.
    pub id: JobId,
    /// The host.
    pub host_id: HostId,
    /// The schedule that it is a run of.
    pub schedule_id: Option<ScheduleId>,
    /// The repository that it works on.
    pub repository_id: Option<RepositoryId>,
    /// Whose own repository it works on, where the repository's address holds `{host}`.
    pub of_host_id: Option<HostId>,
    /// The operation.
    pub kind: JobKind,
    /// Where it is in its life.
    pub state: JobState,
    /// How often it was offered to the agent.
    pub attempt: i32,
    /// Who asked for it, such as `user:anna`.
    pub requested_by: String,
    /// When it was due, if a schedule started it.
    pub due_at: Option<Timestamp>,
    /// Which earlier fires the run stands for, if the host slept or was down through some.
    pub stands_for: Option<StandsFor>,
    /// When it was asked for, or due.
    pub queued_at: Timestamp,
    /// When it was last offered.
    pub dispatched_at: Option<Timestamp>,
    /// When the agent claimed it.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// When somebody asked for it to stop.
    pub cancel_requested_at: Option<Timestamp>,
    /// Who did, such as `user:anna`.
    pub cancel_requested_by: Option<String>,
    /// Its newest event; pass it as `after` to the events.
    pub seq: i64,
    /// How far it is.
    pub progress: Option<Progress>,
    /// How it ended.
    pub result: Option<JobResult>,
    /// What came of it, for operations other than a backup.
    pub outcome: Option<Outcome>,
    /// What it waits for, while it is queued.
    pub waits_for: Option<WaitsFor>,
}

impl Job {
    /// The restic repository that it works on, if it works on one.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        self.repository_id.map(|repository| Place { repository, host: self.of_host_id })
    }
}

/// Fires that were slept through and that one run makes up for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct StandsFor {
    /// When they were due, oldest first.
    pub fires: Vec<Timestamp>,
    /// How many more there were before these.
    pub more: u64,
}

impl StandsFor {
    /// Whether a fire is among them.
    #[must_use]
    pub fn covers(&self, due: Timestamp) -> bool {
        self.fires.contains(&due) || (self.more > 0 && self.fires.first().is_some_and(|first| due < *first))
    }
}

/// How a job ended.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct JobResult {
    /// Why, unless it succeeded.
    pub cause: Option<Cause>,
    /// restic's exit status; none if it did not exit by itself.
    pub exit_code: Option<i32>,
    /// What a backup did.
    pub summary: Option<BackupSummary>,
    /// Items that could not be read or written.
    pub item_errors: Vec<ItemError>,
    /// How many more there were.
    pub item_errors_omitted: u64,
    /// The restic command line, secrets out.
    pub command: Option<String>,
    /// The restic version that ran.
    pub restic_version: Option<String>,
}

/// What a watcher of a job gets: all that came after its cursor.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct JobEvents {
    /// Where the job is in its life.
    pub state: JobState,
    /// The newest event; pass it as `after` next time.
    pub seq: i64,
    /// How far it is.
    pub progress: Option<Progress>,
    /// Log lines after the cursor, oldest first, at most some hundred a time.
    pub lines: Vec<LogLine>,
    /// Whether nothing more is expected.
    pub finished: bool,
}

/// Why a host's Run now does not know which schedule is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PickRefused {
    /// There is none that is enabled.
    NoneEnabled,
    /// There are several; a person picks one in the Schedules tab.
    Several,
}

/// Which schedule a host's Run now means: the only enabled manual one; else the only enabled one; else a person picks. It never guesses.
///
/// # Errors
/// [`PickRefused`] if it is not clear.
pub fn pick_schedule(schedules: &[Schedule]) -> Result<&Schedule, PickRefused> {
    let enabled: Vec<&Schedule> = schedules.iter().filter(|s| s.enabled).collect();
    let manual: Vec<&Schedule> = enabled.iter().copied().filter(|s| s.manual).collect();
    match (manual.as_slice(), enabled.as_slice()) {
        ([only], _) | (_, [only]) => Ok(only),
        (_, []) => Err(PickRefused::NoneEnabled),
        _ => Err(PickRefused::Several),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(enabled: bool, manual: bool) -> Schedule {
        Schedule { enabled, manual, ..Schedule::sample() }
    }

    #[test]
    fn run_now_on_a_host_never_guesses() {
        let (manual, cron, off, manual_off) =
            (|| schedule(true, true), || schedule(true, false), || schedule(false, false), || schedule(false, true));
        for (given, picked) in [
            (vec![], Err(PickRefused::NoneEnabled)),
            (vec![off()], Err(PickRefused::NoneEnabled)),
            (vec![manual()], Ok(0)),
            (vec![cron()], Ok(0)),
            (vec![cron(), manual()], Ok(1)),
            (vec![cron(), cron(), manual()], Ok(2)),
            (vec![cron(), manual_off()], Ok(0)),
            (vec![cron(), off()], Ok(0)),
            (vec![cron(), cron()], Err(PickRefused::Several)),
            (vec![manual(), manual()], Err(PickRefused::Several)),
            (vec![manual(), manual(), cron()], Err(PickRefused::Several)),
        ] {
            let got = pick_schedule(&given).map(|s| s.id);
            assert_eq!(
                got,
                picked.map(|n: usize| given[n].id),
                "{:?}",
                given.iter().map(|s| (s.enabled, s.manual)).collect::<Vec<_>>()
            );
        }
    }
}
