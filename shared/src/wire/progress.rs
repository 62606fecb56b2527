//! Progress chunks: numbered batches of what a running job says. Statuses coalesce to the newest, lines are kept in order.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /agent/v1/jobs/{id}/chunks`. Numbers start at 1 and grow by 1.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChunkRequest {
    /// The attempt that was claimed.
    pub attempt: i32,
    /// Which chunk of the attempt.
    pub seq: i64,
    /// The newest status, if it changed.
    #[serde(default)]
    pub status: Option<Progress>,
    /// Log lines since the last chunk.
    #[serde(default)]
    pub lines: Vec<LogLine>,
}

/// The answer to a chunk, also to a repeated one (which is dropped) and one that comes too early (which is not stored).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChunkResponse {
    /// The last chunk that the server has; the next one to send is this plus 1.
    pub stored: i64,
    /// Whether the job should stop.
    pub cancel: bool,
}

/// How far a job is. Whatever is not known is left out rather than made up.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Progress {
    /// What goes on.
    pub phase: Phase,
    /// Share of the data that was read, 0 to 1; never falls.
    pub percent: Option<f64>,
    /// Regular files done.
    pub files_done: u64,
    /// Regular files found so far.
    pub files_total: u64,
    /// Bytes read (not uploaded).
    pub bytes_done: u64,
    /// Bytes found so far.
    pub bytes_total: u64,
    /// Items that failed so far.
    pub errors: u64,
    /// Seconds since restic started.
    pub seconds_elapsed: u64,
    /// restic's own guess of the seconds left.
    pub seconds_remaining: Option<u64>,
    /// Paths being read now, a few at most.
    pub current_files: Vec<String>,
    /// What restic does right now, in its own words, for operations of several steps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What is counted in the step, such as `packs`; bytes and files have their own fields.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// How many of them are done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_done: Option<u64>,
    /// Of how many; none if restic does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub units_total: Option<u64>,
    /// The restic process; a lock in the repository names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The command line that runs, secrets out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Points of the way so far, oldest first. The server adds them; agents leave them out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub track: Vec<Point>,
}

/// How much of a job was done at some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "openapi", schema(as = ProgressPoint))]
pub struct Point {
    /// Seconds since restic started.
    pub seconds: u64,
    /// Bytes done by then.
    pub bytes: u64,
}

/// What goes on inside a running job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Checks before restic starts.
    #[default]
    Preparing,
    /// restic opens the repository and looks at the source.
    Starting,
    /// Data moves.
    Running,
    /// All is read; restic uploads the rest and writes the snapshot.
    Finishing,
    /// restic retries because the storage does not answer.
    WaitingForRepository,
    /// restic waits for a lock.
    WaitingForLock,
    /// Somebody cancelled; restic cleans up.
    Stopping,
}

/// One line of a job's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct LogLine {
    /// When.
    pub at: Timestamp,
    /// How bad.
    pub level: LogLevel,
    /// The words, secrets out, at most [`MAX_LINE`] bytes.
    pub text: String,
}

/// The longest log line in bytes; the rest is cut.
pub const MAX_LINE: usize = 4096;

/// How bad a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Said in passing.
    Info,
    /// Worth a look.
    Warning,
    /// Something failed.
    Error,
}
