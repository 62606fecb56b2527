//! One line of restic's output in JSON mode. Types that this build does not know survive as [`Message::Unknown`], and what is not
//! JSON survives as [`Line::Text`]: restic mixes both on either stream.

use super::lenient;
use crate::time::Timestamp;
use crate::wire::job::BackupSummary;
use serde::Deserialize;
use serde_json::Value;

/// A guess of more seconds than this (a year) is garbage.
const LONGEST_GUESS: u64 = 366 * 24 * 3600;

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    /// JSON with or without a known `message_type`.
    Message(Message),
    /// Anything else, control characters of terminals removed.
    Text(String),
}

/// One JSON message.
#[derive(Clone, Debug, PartialEq)]
pub enum Message {
    /// How far a run is.
    Status(Status),
    /// One item, with `-v`.
    VerboseStatus,
    /// An item that could not be handled.
    Error(ItemFault),
    /// What a backup did.
    Summary(Summary),
    /// restic's last words.
    ExitError(ExitError),
    /// A repository was made.
    Initialized,
    /// A kind that this build does not know: its `message_type`, empty if there is none.
    Unknown(String),
}

/// `status` of a backup or a restore.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Status {
    /// Share read, 0 to 1. It may fall while the scan still runs.
    #[serde(deserialize_with = "lenient::amount")]
    pub percent_done: f64,
    /// Regular files found.
    #[serde(deserialize_with = "lenient::count")]
    pub total_files: u64,
    /// Regular files read.
    #[serde(deserialize_with = "lenient::count", alias = "files_restored")]
    pub files_done: u64,
    /// Bytes found.
    #[serde(deserialize_with = "lenient::count")]
    pub total_bytes: u64,
    /// Bytes read.
    #[serde(deserialize_with = "lenient::count", alias = "bytes_restored")]
    pub bytes_done: u64,
    /// Seconds since the start.
    #[serde(deserialize_with = "lenient::count")]
    pub seconds_elapsed: u64,
    /// A guess of the seconds left; see [`Status::seconds_left`].
    #[serde(deserialize_with = "lenient::maybe_count")]
    pub seconds_remaining: Option<u64>,
    /// Items that failed.
    #[serde(deserialize_with = "lenient::count")]
    pub error_count: u64,
    /// Paths being read.
    #[serde(deserialize_with = "lenient::texts")]
    pub current_files: Vec<String>,
}

impl Status {
    /// The guess of the seconds left, unless it is garbage.
    #[must_use]
    pub fn seconds_left(&self) -> Option<u64> {
        self.seconds_remaining.filter(|s| *s <= LONGEST_GUESS)
    }
}

/// `error`: an item that could not be handled. The text is empty where restic 0.14 lost it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ItemFault {
    /// The path; empty if there is none.
    pub item: String,
    /// `archival`, `scan`, `restore`; empty if not said.
    pub during: String,
    /// restic's words.
    pub message: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct RawFault {
    #[serde(deserialize_with = "lenient::text")]
    item: String,
    #[serde(deserialize_with = "lenient::text")]
    during: String,
    #[serde(deserialize_with = "lenient::text")]
    message: String,
    error: Value,
}

impl From<RawFault> for ItemFault {
    fn from(raw: RawFault) -> Self {
        let nested = |name: &str| raw.error.get(name).and_then(Value::as_str).unwrap_or_default();
        let message = if !raw.message.is_empty() {
            raw.message.trim_end().to_owned()
        } else if let Some(flat) = raw.error.as_str() {
            flat.to_owned()
        } else if !nested("message").is_empty() {
            nested("message").trim_end().to_owned()
        } else {
            go_error(nested("Op"), raw.error.get("Err").and_then(Value::as_i64))
        };
        Self { item: raw.item, during: raw.during, message }
    }
}

/// What can be said of a bare Go error such as `{"Op":"open","Path":"/x","Err":13}`.
fn go_error(operation: &str, errno: Option<i64>) -> String {
    let reason = match errno {
        Some(1) => "operation not permitted".to_owned(),
        Some(2) => "no such file or directory".to_owned(),
        Some(5) => "input/output error".to_owned(),
        Some(13) => "permission denied".to_owned(),
        Some(n) => format!("error {n}"),
        None => return String::new(),
    };
    if operation.is_empty() { reason } else { format!("{operation}: {reason}") }
}

/// `summary` of a backup.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Summary {
    /// Files not in the parent.
    #[serde(deserialize_with = "lenient::count")]
    pub files_new: u64,
    /// Files that differ.
    #[serde(deserialize_with = "lenient::count")]
    pub files_changed: u64,
    /// Files as in the parent.
    #[serde(deserialize_with = "lenient::count")]
    pub files_unmodified: u64,
    /// Folders not in the parent.
    #[serde(deserialize_with = "lenient::count")]
    pub dirs_new: u64,
    /// Folders that differ.
    #[serde(deserialize_with = "lenient::count")]
    pub dirs_changed: u64,
    /// Folders as in the parent.
    #[serde(deserialize_with = "lenient::count")]
    pub dirs_unmodified: u64,
    /// Bytes of new data before compression.
    #[serde(deserialize_with = "lenient::count")]
    pub data_added: u64,
    /// Bytes added to the repository.
    #[serde(deserialize_with = "lenient::maybe_count")]
    pub data_added_packed: Option<u64>,
    /// Files looked at.
    #[serde(deserialize_with = "lenient::count")]
    pub total_files_processed: u64,
    /// Bytes looked at.
    #[serde(deserialize_with = "lenient::count")]
    pub total_bytes_processed: u64,
    /// Seconds; 0 where restic prints garbage.
    #[serde(deserialize_with = "lenient::amount")]
    pub total_duration: f64,
    /// RFC 3339, of restic 0.17 and later.
    #[serde(deserialize_with = "lenient::maybe_text")]
    pub backup_start: Option<String>,
    /// RFC 3339, of restic 0.17 and later; the year 1 when restic did not set it.
    #[serde(deserialize_with = "lenient::maybe_text")]
    pub backup_end: Option<String>,
    /// 64 hex digits, or 8 from old versions; none if no snapshot was made.
    #[serde(deserialize_with = "lenient::maybe_text")]
    pub snapshot_id: Option<String>,
    /// Nothing was written; the snapshot id names nothing.
    pub dry_run: bool,
}

impl Summary {
    /// When the backup began, if it is said and makes sense.
    #[must_use]
    pub fn started(&self) -> Option<Timestamp> {
        let start = Timestamp::parse(self.backup_start.as_deref()?).ok()?;
        (start > Timestamp::from_seconds(0)).then_some(start)
    }

    /// Seconds from start to end; taken from the two times where the summary has no duration.
    fn duration(&self) -> f64 {
        let end = self.backup_end.as_deref().and_then(|t| Timestamp::parse(t).ok());
        match (self.started(), end) {
            (Some(start), Some(end)) if self.total_duration == 0.0 => end.since(start).as_secs_f64(),
            _ => self.total_duration,
        }
    }
}

impl From<&Summary> for BackupSummary {
    fn from(s: &Summary) -> Self {
        Self {
            files_new: s.files_new,
            files_changed: s.files_changed,
            files_unmodified: s.files_unmodified,
            dirs_new: s.dirs_new,
            dirs_changed: s.dirs_changed,
            dirs_unmodified: s.dirs_unmodified,
            data_added: s.data_added,
            data_added_packed: s.data_added_packed,
            total_files_processed: s.total_files_processed,
            total_bytes_processed: s.total_bytes_processed,
            total_duration: s.duration(),
            snapshot_id: s.snapshot_id.clone().filter(|_| !s.dry_run),
        }
    }
}

/// `exit_error`: restic's last words, of 0.17 and later.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ExitError {
    /// The exit status.
    #[serde(deserialize_with = "lenient::signed")]
    pub code: i64,
    /// The words; may hold several lines and a Go stack.
    #[serde(deserialize_with = "lenient::text")]
    pub message: String,
}

impl ExitError {
    /// The words without `Fatal:` and without the Go stack.
    #[must_use]
    pub fn words(&self) -> String {
        plain_words(&self.message)
    }
}

/// An error text for people: `Fatal:` in front is dropped, and so is everything from the first line of a Go stack on.
#[must_use]
pub fn plain_words(text: &str) -> String {
    let mut text = text.trim();
    while let Some(rest) = text.strip_prefix("Fatal:") {
        text = rest.trim_start();
    }
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let stack = lines.iter().position(|l| l.starts_with('\t')).map_or(lines.len(), |i| i.saturating_sub(1).max(1));
    lines.into_iter().take(stack).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("\n")
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Kind {
    #[serde(deserialize_with = "lenient::text")]
    message_type: String,
}

impl Line {
    /// Reads one line. Never fails: what cannot be read is text.
    #[must_use]
    pub fn parse(line: &str) -> Self {
        let text = line.trim().trim_start_matches("\u{1b}[2K").trim();
        if !text.starts_with('{') {
            return Self::Text(text.to_owned());
        }
        match Self::message(text) {
            Ok(message) => Self::Message(message),
            Err(_) => Self::Text(text.to_owned()),
        }
    }

    fn message(text: &str) -> Result<Message, serde_json::Error> {
        let kind = serde_json::from_str::<Kind>(text)?.message_type;
        Ok(match kind.as_str() {
            // 0.14 sends the end of the scan as a status of its own.
            "status" if text.contains("\"action\"") => Message::VerboseStatus,
            "status" => Message::Status(serde_json::from_str(text)?),
            "verbose_status" => Message::VerboseStatus,
            "error" => Message::Error(serde_json::from_str::<RawFault>(text)?.into()),
            "summary" => Message::Summary(serde_json::from_str(text)?),
            "exit_error" => Message::ExitError(serde_json::from_str(text)?),
            "initialized" => Message::Initialized,
            _ => Message::Unknown(kind),
        })
    }
}
