//! One job's outgoing progress: the newest status, the log lines in order, packed into numbered chunks that are kept until the server
//! has them. Bounded. Pure: who sends, and when, is the courier's business, and the disk is the [`logbook`](crate::logbook)'s.

use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::progress::{ChunkRequest, LogLevel, LogLine, MAX_LINE, Progress};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The most log lines that wait; errors are kept beyond it.
pub const MAX_WAITING_LINES: usize = 10_000;
/// The most bytes of log lines that wait.
pub const MAX_WAITING_BYTES: usize = 4 * 1024 * 1024;
/// A chunk holds no more text than this; escaped as JSON it stays below the largest body.
const CHUNK_BYTES: usize = 384 * 1024;
/// Nor more lines.
const CHUNK_LINES: usize = 2_000;

/// One change of an outbox. The same ones in the same order make the same outbox again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It begins here.
    Begin {
        /// Which attempt's it is.
        attempt: i32,
        /// The number of the next chunk.
        next_seq: i64,
    },
    /// A chunk that was packed before.
    Kept(Box<ChunkRequest>),
    /// A log line came.
    Line(LogLine),
    /// So many lines came and found no room.
    LeftOut(u64),
    /// The next chunk was packed.
    Packed(Timestamp),
    /// The server has everything up to this chunk.
    Stored(i64),
    /// The server will never take the first chunk.
    Dropped,
}

/// What waits to be sent.
#[derive(Debug)]
pub struct Outbox {
    attempt: i32,
    next_seq: i64,
    status: Option<Progress>,
    status_is_new: bool,
    lines: VecDeque<LogLine>,
    chunks: VecDeque<ChunkRequest>,
    waiting_lines: usize,
    waiting_bytes: usize,
    omitted: u64,
    muted: bool,
}

impl Outbox {
    /// For an attempt at a job, with chunks that an earlier run of the agent could not send.
    #[must_use]
    pub fn new(attempt: i32, left_over: Vec<ChunkRequest>) -> Self {
        let next_seq = left_over.last().map_or(1, |c| c.seq + 1);
        Self {
            attempt,
            next_seq,
            status: None,
            status_is_new: false,
            lines: VecDeque::new(),
            chunks: left_over.into(),
            waiting_lines: 0,
            waiting_bytes: 0,
            omitted: 0,
            muted: false,
        }
    }

    /// What a log line comes to. When too many wait it is counted and left out, unless it is an error.
    #[must_use]
    pub fn intake(&self, at: Timestamp, level: LogLevel, text: &str) -> Step {
        let full = self.waiting_lines >= MAX_WAITING_LINES || self.waiting_bytes >= MAX_WAITING_BYTES;
        if self.muted || (full && level != LogLevel::Error) {
            return Step::LeftOut(1);
        }
        Step::Line(LogLine { at, level, text: fit_line(text) })
    }

    /// Takes a step.
    pub fn take(&mut self, step: Step) {
        match step {
            Step::Begin { attempt, next_seq } => (self.attempt, self.next_seq) = (attempt, next_seq),
            Step::Kept(chunk) => {
                chunk.lines.iter().for_each(|line| self.count(line));
                self.next_seq = chunk.seq + 1;
                self.chunks.push_back(*chunk);
            }
            Step::Line(line) => {
                self.count(&line);
                self.lines.push_back(line);
            }
            Step::LeftOut(lines) => self.omitted += lines,
            Step::Packed(at) => self.pack(at),
            Step::Stored(seq) => self.stored(seq),
            Step::Dropped => self.drop_first(),
        }
    }

    /// The steps that make this outbox, without its past.
    #[must_use]
    pub fn steps(&self) -> Vec<Step> {
        let next_seq = self.chunks.front().map_or(self.next_seq, |c| c.seq);
        let begin = Step::Begin { attempt: self.attempt, next_seq };
        let chunks = self.chunks.iter().cloned().map(|chunk| Step::Kept(Box::new(chunk)));
        let lines = self.lines.iter().cloned().map(Step::Line);
        [begin].into_iter().chain(chunks).chain(lines).chain([Step::LeftOut(self.omitted)]).collect()
    }

    fn count(&mut self, line: &LogLine) {
        self.waiting_lines += 1;
        self.waiting_bytes += line.text.len();
    }

    /// How far the job is; replaces what was not sent yet.
    pub fn report(&mut self, progress: &Progress) {
        if self.status.as_ref() != Some(progress) {
            self.status = Some(progress.clone());
            self.status_is_new = true;
        }
    }

    /// Whether there is anything that the server has not heard.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.muted && (self.status_is_new || !self.lines.is_empty() || !self.chunks.is_empty())
    }

    /// Whether the next chunk has yet to be packed. With `anyway` there is one even without news.
    #[must_use]
    pub fn wants_packing(&self, anyway: bool) -> bool {
        !self.muted && self.chunks.is_empty() && (anyway || self.has_news())
    }

    /// Whether there are lines in no chunk.
    #[must_use]
    pub fn has_loose_lines(&self) -> bool {
        !self.muted && !self.lines.is_empty()
    }

    /// The chunk to send now.
    #[must_use]
    pub fn first(&self) -> Option<&ChunkRequest> {
        self.chunks.front()
    }

    /// The chunks that are packed, in order.
    pub fn chunks(&self) -> impl Iterator<Item = &ChunkRequest> {
        self.chunks.iter()
    }

    fn pack(&mut self, at: Timestamp) {
        let mut lines = Vec::new();
        if self.omitted > 0 {
            let text = format!("{} lines were left out here, because too many waited", self.omitted);
            let note = LogLine { at, level: LogLevel::Warning, text };
            self.omitted = 0;
            self.count(&note);
            lines.push(note);
        }
        let mut bytes = 0;
        while let Some(line) = self.lines.front() {
            bytes += line.text.len();
            if !lines.is_empty() && (bytes > CHUNK_BYTES || lines.len() >= CHUNK_LINES) {
                break;
            }
            lines.extend(self.lines.pop_front());
        }
        self.status_is_new = false;
        let chunk = ChunkRequest { attempt: self.attempt, seq: self.next_seq, status: self.status.clone(), lines };
        self.next_seq += 1;
        self.chunks.push_back(chunk);
    }

    /// If the server has less than was dropped here, the numbers go on from what it has.
    fn stored(&mut self, stored: i64) {
        while let Some(chunk) = self.chunks.pop_front_if(|c| c.seq <= stored) {
            self.release(&chunk);
        }
        let mut seq = stored.max(0) + 1;
        for chunk in &mut self.chunks {
            chunk.seq = seq;
            seq += 1;
        }
        self.next_seq = seq;
    }

    /// The lines are counted as left out.
    fn drop_first(&mut self) {
        if let Some(chunk) = self.chunks.pop_front() {
            self.release(&chunk);
            self.omitted += chunk.lines.len() as u64;
            self.stored(chunk.seq - 1);
        }
    }

    /// Nobody wants to hear of this job any more.
    pub fn mute(&mut self) {
        self.muted = true;
        self.lines.clear();
        self.chunks.clear();
    }

    fn release(&mut self, chunk: &ChunkRequest) {
        self.waiting_lines = self.waiting_lines.saturating_sub(chunk.lines.len());
        let bytes: usize = chunk.lines.iter().map(|l| l.text.len()).sum();
        self.waiting_bytes = self.waiting_bytes.saturating_sub(bytes);
    }
}

/// A line of at most [`MAX_LINE`] bytes without control characters.
#[must_use]
pub fn fit_line(text: &str) -> String {
    let clean: String =
        text.trim_end().chars().map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c }).collect();
    if clean.len() <= MAX_LINE {
        return clean;
    }
    let end = clean.floor_char_boundary(MAX_LINE - '…'.len_utf8());
    format!("{}…", clean.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use LogLevel::{Error, Info, Warning};

    const NOW: Timestamp = Timestamp::from_seconds(1);

    impl Outbox {
        fn log(&mut self, at: Timestamp, level: LogLevel, text: &str) {
            let step = self.intake(at, level, text);
            self.take(step);
        }

        fn next_chunk(&mut self, at: Timestamp, anyway: bool) -> Option<&ChunkRequest> {
            if self.wants_packing(anyway) {
                self.take(Step::Packed(at));
            }
            self.first()
        }

        fn pack_all(&mut self, at: Timestamp) -> impl Iterator<Item = &ChunkRequest> {
            while self.has_loose_lines() {
                self.take(Step::Packed(at));
            }
            self.chunks()
        }
    }

    fn seqs(outbox: &Outbox) -> Vec<i64> {
        outbox.chunks.iter().map(|c| c.seq).collect()
    }

    #[test]
    fn statuses_coalesce_and_lines_are_kept_in_order() {
        let mut outbox = Outbox::new(3, Vec::new());
        assert_eq!(outbox.next_chunk(NOW, false), None);
        for n in 0..5 {
            outbox.log(NOW, Info, &format!("line {n}"));
            outbox.report(&Progress { files_done: n, ..Progress::default() });
        }
        let chunk = outbox.next_chunk(NOW, false).expect("news").clone();
        assert_eq!((chunk.attempt, chunk.seq, chunk.lines.len()), (3, 1, 5));
        assert_eq!(chunk.status.as_ref().map(|s| s.files_done), Some(4));
        // Until it is confirmed it stays as it is, whatever comes.
        outbox.log(NOW, Info, "later");
        assert_eq!(outbox.next_chunk(NOW, false), Some(&chunk));
        outbox.stored(1);
        assert_eq!(outbox.next_chunk(NOW, false).map(|c| (c.seq, c.lines.len())), Some((2, 1)));
        outbox.stored(2);
        assert!(!outbox.has_news());
        assert_eq!(outbox.next_chunk(NOW, true).map(|c| c.seq), Some(3), "a sign of life");
    }

    #[test]
    fn the_server_says_where_to_go_on() {
        let mut outbox = Outbox::new(1, Vec::new());
        for n in 0..3 {
            outbox.log(NOW, Info, &n.to_string());
            outbox.pack(NOW);
        }
        assert_eq!(seqs(&outbox), [1, 2, 3]);
        outbox.stored(2);
        assert_eq!(seqs(&outbox), [3]);
        outbox.stored(0);
        assert_eq!(seqs(&outbox), [1], "a server that lost its memory gets what is left");
        let left_over = outbox.chunks.iter().cloned().collect();
        let mut again = Outbox::new(1, left_over);
        again.log(NOW, Info, "after the restart");
        assert_eq!(again.pack_all(NOW).map(|c| c.seq).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn too_many_lines_are_counted_but_errors_stay() {
        let mut outbox = Outbox::new(1, Vec::new());
        (0..MAX_WAITING_LINES + 7).for_each(|_| outbox.log(NOW, Info, "x"));
        outbox.log(NOW, Error, "it broke");
        let chunks: Vec<_> = outbox.pack_all(NOW).cloned().collect();
        let lines: Vec<_> = chunks.iter().flat_map(|c| &c.lines).collect();
        assert_eq!(lines.len(), MAX_WAITING_LINES + 2);
        assert_eq!((lines[0].level, lines[0].text.starts_with("7 lines")), (Warning, true));
        assert_eq!(lines.last().map(|l| l.text.as_str()), Some("it broke"));
        outbox.stored(chunks.len() as i64);
        outbox.log(NOW, Info, "room again");
        assert_eq!(outbox.next_chunk(NOW, false).map(|c| c.lines.len()), Some(1));
    }

    #[test]
    fn chunks_stay_below_the_largest_body() {
        let mut outbox = Outbox::new(1, Vec::new());
        (0..900).for_each(|_| outbox.log(NOW, Info, &"\"".repeat(MAX_LINE)));
        let chunks: Vec<_> = outbox.pack_all(NOW).cloned().collect();
        assert!(chunks.len() > 5);
        for chunk in chunks {
            assert!(serde_json::to_vec(&chunk).expect("json").len() < restic_manager_shared::wire::MAX_BODY);
        }
    }

    #[test]
    fn long_lines_are_cut_between_characters() {
        let line = fit_line(&"ü".repeat(MAX_LINE));
        assert!(line.len() <= MAX_LINE && line.ends_with('…'));
        assert_eq!(fit_line("a\u{1b}[2Kb\r\n"), "a [2Kb");
    }
}
