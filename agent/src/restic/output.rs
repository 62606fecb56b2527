//! What a run of restic has said so far: lines in, progress and log lines out, and at the end what the judge needs. Texts are still
//! restic's own here; the redactor comes after.

use super::command::Command;
use super::gather::Gathered;
use restic_manager_shared::restic::message::{ExitError, ItemFault, Line, Message, Status, Summary, plain_words};
use restic_manager_shared::restic::restore::{fault_line, is_about_metadata};
use restic_manager_shared::restic::text::{self, Counter};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{ItemError, MAX_ITEM_ERRORS};
use restic_manager_shared::wire::progress::{LogLevel, Phase, Progress};
use std::collections::VecDeque;
use std::time::Duration;

/// How much of standard error is kept for the judge and for people.
const TAIL: usize = 64 * 1024;
/// More item errors than this are counted but not logged one by one.
const LOGGED_ITEMS: u64 = 1000;
/// More lines of standard output than this are not logged.
const LOGGED_LINES: u64 = 2000;
/// So many of them are kept.
const KEPT_LINES: usize = 100;
/// How many of the files being read are shown.
const SHOWN_FILES: usize = 4;

/// What a line amounts to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Nothing that anybody needs to hear of.
    Nothing,
    /// The progress changed.
    Progress,
    /// Words for the log.
    Log(LogLevel, String),
}

/// All that was said.
#[derive(Debug, Default)]
pub struct Transcript {
    progress: Progress,
    summary: Option<Summary>,
    exit_error: Option<ExitError>,
    items: Vec<ItemError>,
    items_seen: u64,
    lacking: u64,
    tail: VecDeque<String>,
    tail_bytes: usize,
    gathered: Gathered,
    said: Vec<String>,
    logged: u64,
    initialized: bool,
    missing_paths: u64,
    unknown_ids: Vec<String>,
    retrying_since: Option<Timestamp>,
    full_since: Option<Timestamp>,
    moved: bool,
}

impl Transcript {
    /// For a run whose result is gathered so.
    #[must_use]
    pub fn new(gathered: Gathered) -> Self {
        Self { gathered, ..Self::default() }
    }

    /// Hears a line of standard output.
    pub fn stdout(&mut self, line: &str) -> Said {
        if self.gathered.line(line) {
            return Said::Nothing;
        }
        match Line::parse(line) {
            Line::Message(message) => self.message(message, line),
            Line::Text(text) if text.is_empty() => Said::Nothing,
            Line::Text(text) => self.text(text),
        }
    }

    /// Standard output begins a list.
    pub fn begin(&mut self) {
        self.gathered.begin();
    }

    /// Hears an element of a list on standard output.
    pub fn element(&mut self, text: &str) {
        self.gathered.element(text);
    }

    fn text(&mut self, text: String) -> Said {
        if let Some(counter) = Counter::parse(&text) {
            self.count(counter);
            return Said::Progress;
        }
        self.initialized |= text.starts_with("created restic repository");
        if text::waits_for_lock(&text) {
            self.progress.phase = Phase::WaitingForLock;
        } else if let Some(step) = text::step(&text) {
            self.step(step.to_owned());
        }
        if self.said.len() < KEPT_LINES {
            self.said.push(text.clone());
        }
        self.logged += 1;
        match self.logged.cmp(&LOGGED_LINES) {
            std::cmp::Ordering::Less => Said::Log(LogLevel::Info, text),
            std::cmp::Ordering::Equal => Said::Log(LogLevel::Info, "restic says more than is kept here".into()),
            std::cmp::Ordering::Greater => Said::Progress,
        }
    }

    /// restic goes on to something else: nothing is known of it yet.
    fn step(&mut self, step: String) {
        self.moves();
        let p = &mut self.progress;
        (p.step, p.percent, p.unit, p.units_done, p.units_total) = (Some(step), None, None, None, None);
    }

    fn count(&mut self, counter: Counter) {
        self.moves();
        let p = &mut self.progress;
        // A step that counts one thing and then another is two steps.
        if p.unit.as_ref().is_some_and(|unit| *unit != counter.unit) {
            let whole = p.step.as_deref().unwrap_or_default();
            let name = whole.split_once(" (").map_or(whole, |(name, _)| name);
            p.step = Some(format!("{name} ({})", counter.unit));
            (p.percent, p.units_done) = (None, None);
        }
        p.percent = counter.share.map(|s| s.max(p.percent.unwrap_or(0.0)));
        p.units_done = Some(counter.done.max(p.units_done.unwrap_or(0)));
        p.units_total = counter.total;
        p.unit = Some(counter.unit);
    }

    fn moves(&mut self) {
        self.moved = true;
        self.retrying_since = None;
        self.progress.phase = Phase::Running;
    }

    /// Hears a line of standard error.
    pub fn stderr(&mut self, line: &str, now: Timestamp) -> Said {
        match Line::parse(line) {
            Line::Message(message) => self.message(message, line),
            Line::Text(text) if text.is_empty() => Said::Nothing,
            Line::Text(text) => {
                if let Some(fault) = fault_line(&text) {
                    self.remember(&text);
                    return self.fault(fault, line);
                }
                self.gathered.error(line);
                self.remember(&text);
                self.words(text, now)
            }
        }
    }

    fn message(&mut self, message: Message, line: &str) -> Said {
        match message {
            Message::Status(status) => self.status(&status),
            Message::Summary(summary) => {
                self.all_done(&summary);
                self.summary = Some(summary);
                Said::Progress
            }
            Message::Error(fault) => self.fault(fault, line),
            Message::ExitError(error) => {
                let words = error.words();
                self.remember(&words);
                self.exit_error = Some(error);
                Said::Log(LogLevel::Error, words)
            }
            Message::Initialized => {
                self.initialized = true;
                Said::Log(LogLevel::Info, "created the repository".into())
            }
            Message::VerboseStatus => Said::Nothing,
            Message::Unknown(_) => Said::Log(LogLevel::Info, line.trim().to_owned()),
        }
    }

    fn status(&mut self, status: &Status) -> Said {
        let p = &mut self.progress;
        let grown = status.bytes_done > p.bytes_done || status.files_done > p.files_done;
        self.moved |= grown;
        if grown {
            self.retrying_since = None;
        }
        p.percent = Some(status.percent_done.clamp(p.percent.unwrap_or(0.0), 1.0));
        p.files_done = p.files_done.max(status.files_done);
        p.bytes_done = p.bytes_done.max(status.bytes_done);
        p.files_total = p.files_total.max(status.total_files);
        p.bytes_total = p.bytes_total.max(status.total_bytes);
        p.errors = p.errors.max(status.error_count);
        p.seconds_elapsed = p.seconds_elapsed.max(status.seconds_elapsed);
        p.seconds_remaining = status.seconds_left();
        p.current_files = status.current_files.iter().take(SHOWN_FILES).cloned().collect();
        // An answer of a busy scan may say 1.0 before anything was found.
        let all_read = status.percent_done >= 1.0 && status.total_bytes > 0;
        if self.retrying_since.is_none() {
            p.phase = if all_read { Phase::Finishing } else { Phase::Running };
        }
        Said::Progress
    }

    /// The summary's figures are the last word; a short run has no status at all.
    fn all_done(&mut self, summary: &Summary) {
        let p = &mut self.progress;
        p.phase = Phase::Finishing;
        p.percent = Some(1.0);
        (p.files_done, p.files_total) = (summary.total_files_processed, summary.total_files_processed);
        (p.bytes_done, p.bytes_total) = (summary.total_bytes_processed, summary.total_bytes_processed);
        p.seconds_remaining = None;
        p.current_files.clear();
        self.moved = true;
    }

    fn fault(&mut self, fault: ItemFault, line: &str) -> Said {
        let message = if fault.message.is_empty() { "could not be read".to_owned() } else { fault.message };
        self.lacking += u64::from(fault.during == "restore" && !is_about_metadata(&message));
        let known = self.items.iter().any(|i| i.item == fault.item && !fault.item.is_empty());
        // restic names an unreadable folder twice, in the scan and in the backup.
        if known || (fault.during == "scan" && self.items.len() >= MAX_ITEM_ERRORS) {
            return Said::Nothing;
        }
        self.items_seen += 1;
        self.progress.errors = self.progress.errors.max(self.items_seen);
        let text = if fault.item.is_empty() && message.is_empty() {
            line.trim().to_owned()
        } else {
            format!("{}: {message}", fault.item)
        };
        if self.items.len() < MAX_ITEM_ERRORS {
            self.items.push(ItemError { item: fault.item, message });
        }
        if self.items_seen <= LOGGED_ITEMS { Said::Log(LogLevel::Warning, text) } else { Said::Nothing }
    }

    fn words(&mut self, text: String, now: Timestamp) -> Said {
        if text.contains("returned error, retrying after") {
            self.retrying_since.get_or_insert(now);
            if text.contains("507 Insufficient Storage") || text.contains("no space left on device") {
                self.full_since.get_or_insert(now);
            }
            self.progress.phase = Phase::WaitingForRepository;
            return Said::Log(LogLevel::Warning, text);
        }
        if text.contains("operation successful after") {
            (self.retrying_since, self.full_since) = (None, None);
            self.progress.phase = if self.moved { Phase::Running } else { Phase::Starting };
            return Said::Log(LogLevel::Info, text);
        }
        if let Some(path) = text.strip_suffix(" does not exist, skipping") {
            self.missing_paths += 1;
            let item = ItemError { item: path.to_owned(), message: "does not exist".into() };
            self.items_seen += 1;
            if self.items.len() < MAX_ITEM_ERRORS {
                self.items.push(item);
            }
            return Said::Log(LogLevel::Warning, text);
        }
        if let Some(id) = text.strip_prefix("Ignoring \"").and_then(|rest| rest.split('"').next()) {
            self.unknown_ids.push(id.to_owned());
        }
        let level = if text.starts_with("Fatal:") { LogLevel::Error } else { LogLevel::Warning };
        let level = if text.contains("signal") && text.contains("cleaning up") { LogLevel::Info } else { level };
        Said::Log(level, text)
    }

    fn remember(&mut self, text: &str) {
        self.tail_bytes += text.len();
        self.tail.push_back(text.to_owned());
        while self.tail_bytes > TAIL && self.tail.len() > 1 {
            self.tail_bytes -= self.tail.pop_front().map_or(0, |t| t.len());
        }
    }

    /// The phase as the runner knows it, which restic does not say.
    pub fn set_phase(&mut self, phase: Phase) {
        self.progress.phase = phase;
    }

    /// The command line that it is the transcript of, secrets out.
    pub fn set_command(&mut self, shown: String) {
        self.progress.command = Some(shown);
    }

    /// How far it is.
    #[must_use]
    pub const fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Whether restic has got nowhere but retries for so long that nobody should wait any more. A full storage does not become empty by
    /// waiting, however far restic got before: versions from 0.17 to 0.18 would try for a quarter of an hour.
    #[must_use]
    pub fn is_stuck(&self, now: Timestamp, patience: Duration) -> bool {
        let for_long = |since: Option<Timestamp>| since.is_some_and(|since| now.since(since) >= patience);
        (!self.moved && for_long(self.retrying_since)) || for_long(self.full_since)
    }

    /// What a backup did.
    #[must_use]
    pub const fn summary(&self) -> Option<&Summary> {
        self.summary.as_ref()
    }

    /// The first lines of standard output that were neither progress nor a result.
    #[must_use]
    pub fn said(&self) -> &[String] {
        &self.said
    }

    /// What was gathered.
    #[must_use]
    pub const fn gathered(&self) -> &Gathered {
        &self.gathered
    }

    /// What was gathered, to keep.
    pub fn take_gathered(&mut self) -> Gathered {
        std::mem::take(&mut self.gathered)
    }

    /// The process that restic is, while it runs.
    pub fn set_pid(&mut self, pid: Option<u32>) {
        self.progress.pid = pid;
    }

    /// Ids of snapshots that restic was given and did not find.
    #[must_use]
    pub fn unknown_ids(&self) -> &[String] {
        &self.unknown_ids
    }

    /// Whether restic said that it made a repository.
    #[must_use]
    pub const fn initialized(&self) -> bool {
        self.initialized
    }

    /// Whether the result that the command should print is there; none for a command that prints none.
    #[must_use]
    pub fn result(&self, command: Command) -> Option<bool> {
        match command {
            Command::Backup => Some(self.summary.is_some()),
            _ => self.gathered.is_whole(),
        }
    }

    /// How many of the given paths were not there.
    #[must_use]
    pub const fn missing_paths(&self) -> u64 {
        self.missing_paths
    }

    /// Items that could not be handled: the first of them, and how many there were in all.
    #[must_use]
    pub fn items(&self) -> (&[ItemError], u64) {
        (&self.items, self.items_seen)
    }

    /// Errors of a restore that leave something without its content.
    #[must_use]
    pub const fn lacking(&self) -> u64 {
        self.lacking
    }

    /// restic's last words: its exit error, else its `Fatal:` lines, else the end of what it said.
    #[must_use]
    pub fn last_words(&self) -> String {
        if let Some(error) = &self.exit_error {
            return error.words();
        }
        let from = self.tail.iter().rposition(|l| l.starts_with("Fatal:"));
        let from = from.unwrap_or_else(|| self.tail.len().saturating_sub(5));
        let text: Vec<&str> = self.tail.iter().skip(from).map(String::as_str).collect();
        plain_words(&text.join("\n"))
    }

    /// All that is kept of standard error, for telling causes apart.
    #[must_use]
    pub fn all_words(&self) -> String {
        self.tail.iter().map(String::as_str).collect::<Vec<_>>().join("\n")
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
