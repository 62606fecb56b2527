//! A running job's log on disk. Each step of its [`outbox`](crate::outbox) is appended to a file before it is taken, so that a line
//! that was read outlives an agent that is killed. The same steps make the same chunks under the same numbers again, and a chunk that
//! was on its way is known by its number. Not for ended jobs: what waits of those is in the journal.

use crate::outbox::{Outbox, Step};
use crate::state_dir::{StateDir, append_private};
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::progress::{ChunkRequest, LogLevel, Progress};
use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// A file that grows beyond this, and beyond twice what it would be, is written anew from what still waits.
const LARGE: u64 = 1024 * 1024;

/// An outbox and the file that it can be made from again.
#[derive(Debug)]
pub struct Logbook {
    outbox: Outbox,
    page: Option<Page>,
}

impl Logbook {
    /// Goes on with what the file says of this attempt, or begins it. A disk that refuses leaves the log in memory only.
    #[must_use]
    pub fn open(dir: &StateDir, job: JobId, attempt: i32) -> Self {
        let path = path(dir, job);
        let known = replay(&path, attempt);
        let opened = match &known {
            Some(_) => Page::go_on(&path),
            None => Page::begin(&path, &[Step::Begin { attempt, next_seq: 1 }]),
        };
        let page = opened.inspect_err(|e| complain(&path, e)).ok();
        Self { outbox: known.unwrap_or_else(|| Outbox::new(attempt, Vec::new())), page }
    }

    /// Without a file, for what is on disk elsewhere.
    #[must_use]
    pub const fn in_memory(outbox: Outbox) -> Self {
        Self { outbox, page: None }
    }

    /// A log line. When too many wait it is counted and left out, unless it is an error.
    pub fn log(&mut self, at: Timestamp, level: LogLevel, text: &str) {
        let step = self.outbox.intake(at, level, text);
        self.step(step);
    }

    /// How far the job is; replaces what was not sent yet. Not on disk: the next one says more.
    pub fn report(&mut self, progress: &Progress) {
        self.outbox.report(progress);
    }

    /// Whether there is anything that the server has not heard.
    #[must_use]
    pub fn has_news(&self) -> bool {
        self.outbox.has_news()
    }

    /// The next chunk to send. With `anyway` there is one even without news, as a sign of life. The same chunk comes again until the
    /// server has it.
    pub fn next_chunk(&mut self, at: Timestamp, anyway: bool) -> Option<ChunkRequest> {
        if self.outbox.wants_packing(anyway) {
            self.step(Step::Packed(at));
        }
        self.outbox.first().cloned()
    }

    /// Packs all lines that wait, and answers all chunks that the server has not confirmed. One without lines is among them: were its
    /// number missing, the others would be renumbered, and a copy of a request that comes late would tell its lines once more.
    pub fn pack_all(&mut self, at: Timestamp) -> Vec<ChunkRequest> {
        while self.outbox.has_loose_lines() {
            self.step(Step::Packed(at));
        }
        self.outbox.chunks().cloned().collect()
    }

    /// The server has everything up to this chunk.
    pub fn stored(&mut self, seq: i64) {
        self.step(Step::Stored(seq));
    }

    /// The server will never take the first chunk.
    pub fn drop_first(&mut self) {
        self.step(Step::Dropped);
    }

    /// Nobody wants to hear of this job any more.
    pub fn mute(&mut self) {
        self.outbox.mute();
        self.close();
    }

    /// Brings the file through to the disk, so that it also outlives a power cut.
    pub fn sync(&mut self) {
        if let Some(page) = &self.page
            && let Err(e) = page.file.sync_data()
        {
            tracing::warn!(path = %page.path.display(), error = %e, "the job's log cannot be synced to the disk");
        }
    }

    /// What waits is on disk elsewhere, or unwanted: the file goes.
    pub fn close(&mut self) {
        if let Some(page) = self.page.take() {
            page.remove();
        }
    }

    fn step(&mut self, step: Step) {
        if let Some(page) = &mut self.page
            && let Err(e) = page.append(&step)
        {
            complain(&page.path, &e);
            self.close();
        }
        self.outbox.take(step);
        if let Some(page) = self.page.as_mut().filter(|p| p.bytes > p.limit) {
            page.limit = page.bytes * 2;
            match Page::begin(&page.path, &self.outbox.steps()) {
                Ok(fresh) => *page = fresh,
                Err(e) => {
                    tracing::debug!(path = %page.path.display(), error = %e, "the job's log stays as long as it is")
                }
            }
        }
    }
}

/// What the server has not confirmed of a run that an earlier process left behind.
#[must_use]
pub fn left_behind(dir: &StateDir, job: JobId, attempt: i32, now: Timestamp) -> Vec<ChunkRequest> {
    replay(&path(dir, job), attempt).map(|outbox| Logbook::in_memory(outbox).pack_all(now)).unwrap_or_default()
}

/// Removes all files but those of these jobs.
pub fn sweep(dir: &StateDir, keep: &HashSet<JobId>) {
    let Ok(entries) = fs::read_dir(dir.logs()) else { return };
    let keep: HashSet<PathBuf> = keep.iter().map(|job| path(dir, *job)).collect();
    for file in entries.flatten().map(|e| e.path()).filter(|p| !keep.contains(p)) {
        if let Err(e) = fs::remove_file(&file) {
            tracing::warn!(path = %file.display(), error = %e, "cannot remove a left-over log");
        }
    }
}

fn path(dir: &StateDir, job: JobId) -> PathBuf {
    dir.logs().join(format!("{job}.log"))
}

fn complain(path: &Path, error: &io::Error) {
    tracing::warn!(path = %path.display(), %error, "the job's log cannot be put on disk; it is kept in memory only");
}

/// The outbox that a file's steps make. None if there is no file, or it is another attempt's. A step that was torn by the end of the
/// process was not taken, and is left out.
fn replay(path: &Path, attempt: i32) -> Option<Outbox> {
    let text = fs::read(path).ok()?;
    let mut steps = text.split(|b| *b == b'\n').filter_map(|line| serde_json::from_slice::<Step>(line).ok());
    let begin = steps.next().filter(|s| matches!(s, Step::Begin { attempt: of, .. } if *of == attempt))?;
    let mut outbox = Outbox::new(attempt, Vec::new());
    outbox.take(begin);
    steps.for_each(|step| outbox.take(step));
    Some(outbox)
}

/// The open file.
#[derive(Debug)]
struct Page {
    path: PathBuf,
    file: File,
    bytes: u64,
    limit: u64,
}

impl Page {
    /// A new file with these steps, in the place of an old one in one act.
    fn begin(path: &Path, steps: &[Step]) -> io::Result<Self> {
        let fresh = path.with_extension("new");
        let _ = fs::remove_file(&fresh);
        let mut page = Self { path: path.to_owned(), file: append_private(&fresh)?, bytes: 0, limit: LARGE };
        let written = steps.iter().try_for_each(|s| page.append(s)).and_then(|()| fs::rename(&fresh, path));
        if let Err(e) = written {
            let _ = fs::remove_file(&fresh);
            return Err(e);
        }
        page.limit = LARGE.max(page.bytes * 2);
        Ok(page)
    }

    /// The file that is there. What was torn off at its end must not run into the next step.
    fn go_on(path: &Path) -> io::Result<Self> {
        let mut file = append_private(path)?;
        file.write_all(b"\n")?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, limit: LARGE.max(bytes * 2) })
    }

    /// One step, one write.
    fn append(&mut self, step: &Step) -> io::Result<()> {
        let mut line = serde_json::to_vec(step)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    fn remove(self) {
        if let Err(e) = fs::remove_file(&self.path)
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), error = %e, "cannot remove a job's log");
        }
    }
}

#[cfg(test)]
#[path = "logbook_tests.rs"]
mod tests;
