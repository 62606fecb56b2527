//! Logbooks across kills, torn writes, full files and disks that refuse.

use super::*;
use proptest::prelude::*;
use std::fs::OpenOptions;

const NOW: Timestamp = Timestamp::from_seconds(1);

struct Host {
    _tmp: tempfile::TempDir,
    dir: StateDir,
    job: JobId,
}

impl Host {
    fn new() -> Self {
        let tmp = tempfile::tempdir().expect("dir");
        let dir = StateDir::open(tmp.path()).expect("opens");
        Self { _tmp: tmp, dir, job: JobId::new() }
    }

    fn open(&self) -> Logbook {
        Logbook::open(&self.dir, self.job, 1)
    }

    /// As after `kill -9`: only the file is left.
    fn killed(&self, book: Logbook) -> Vec<ChunkRequest> {
        std::mem::forget(book);
        left_behind(&self.dir, self.job, 1, NOW)
    }

    fn file(&self) -> PathBuf {
        path(&self.dir, self.job)
    }
}

/// Chunks as (number, lines).
fn told(chunks: &[ChunkRequest]) -> Vec<(i64, Vec<&str>)> {
    chunks.iter().map(|c| (c.seq, c.lines.iter().map(|l| l.text.as_str()).collect())).collect()
}

fn say(book: &mut Logbook, lines: &[&str]) {
    lines.iter().for_each(|line| book.log(NOW, LogLevel::Info, line));
}

#[test]
fn a_line_outlives_the_agent_from_the_moment_it_is_heard() {
    let host = Host::new();
    let mut book = host.open();
    say(&mut book, &["one", "two"]);
    assert_eq!(told(&host.killed(book)), [(1, vec!["one", "two"])]);
}

#[test]
fn what_was_on_its_way_keeps_its_number_and_what_is_stored_is_not_told_again() {
    let host = Host::new();
    let mut book = host.open();
    say(&mut book, &["one"]);
    assert_eq!(book.next_chunk(NOW, false).map(|c| c.seq), Some(1));
    book.stored(1);
    // A sign of life without lines, stored; then one whose answer never came.
    assert_eq!(book.next_chunk(NOW, true).map(|c| c.seq), Some(2));
    book.stored(2);
    say(&mut book, &["two"]);
    assert_eq!(book.next_chunk(NOW, false).map(|c| c.seq), Some(3));
    say(&mut book, &["three"]);
    assert_eq!(told(&host.killed(book)), [(3, vec!["two"]), (4, vec!["three"])]);

    // A job that had not started goes on under the next number.
    let mut again = host.open();
    say(&mut again, &["four"]);
    assert_eq!(told(&again.pack_all(NOW)), [(3, vec!["two"]), (4, vec!["three", "four"])]);
}

#[test]
fn a_torn_last_write_costs_only_itself() {
    let host = Host::new();
    let mut book = host.open();
    say(&mut book, &["one", "two"]);
    std::mem::forget(book);
    let length = fs::metadata(host.file()).expect("there").len();
    OpenOptions::new().write(true).open(host.file()).and_then(|f| f.set_len(length - 5)).expect("tears");
    let mut again = host.open();
    say(&mut again, &["three"]);
    assert_eq!(told(&host.killed(again)), [(1, vec!["one", "three"])]);
}

#[test]
fn another_attempt_begins_anew_and_files_that_nobody_needs_go() {
    let host = Host::new();
    let mut book = host.open();
    say(&mut book, &["one"]);
    std::mem::forget(book);
    let mut other = Logbook::open(&host.dir, host.job, 2);
    say(&mut other, &["two"]);
    assert_eq!(told(&host.killed(other)), []);
    assert_eq!(told(&left_behind(&host.dir, host.job, 2, NOW)), [(1, vec!["two"])]);
    sweep(&host.dir, &HashSet::from([host.job]));
    assert!(host.file().exists());
    sweep(&host.dir, &HashSet::new());
    assert!(!host.file().exists());
    let mut book = host.open();
    book.close();
    assert!(!host.file().exists());
}

#[test]
fn a_disk_that_refuses_leaves_the_log_in_memory() {
    let host = Host::new();
    fs::remove_dir(host.dir.logs()).expect("removes");
    fs::write(host.dir.logs(), "no folder").expect("writes");
    let mut book = host.open();
    say(&mut book, &["one"]);
    assert_eq!(told(&book.pack_all(NOW)), [(1, vec!["one"])]);
    book.stored(1);
    book.close();
}

#[test]
fn a_long_run_has_a_short_file() {
    let host = Host::new();
    let mut book = host.open();
    let text = "x".repeat(1000);
    for seq in 1..=6000 {
        say(&mut book, &[&text]);
        book.next_chunk(NOW, false);
        book.stored(seq);
    }
    let bytes = fs::metadata(host.file()).expect("there").len();
    assert!(bytes < 2 * LARGE, "{bytes} bytes");
    say(&mut book, &["last"]);
    assert_eq!(told(&host.killed(book)), [(6001, vec!["last"])]);
}

/// A control plane behind a network that may hold a request back, and deliver it long after it was given up.
#[derive(Default)]
struct Far {
    stored: i64,
    lines: Vec<String>,
    held: Vec<ChunkRequest>,
}

impl Far {
    /// As [`ChunkResponse`](restic_manager_shared::wire::progress::ChunkResponse) has it.
    fn hears(&mut self, chunk: &ChunkRequest) -> i64 {
        if chunk.seq == self.stored + 1 {
            self.stored = chunk.seq;
            self.lines.extend(chunk.lines.iter().map(|l| l.text.clone()));
        }
        self.stored
    }
}

proptest! {
    /// However late a copy of a request arrives, each line is told once and in order.
    #[test]
    fn copies_that_come_late_say_nothing_twice(steps in prop::collection::vec((0_u8..6, any::<prop::sample::Index>()), 0..80)) {
        let host = Host::new();
        let (mut book, mut far, mut said, mut ended) = (host.open(), Far::default(), Vec::new(), false);
        for (n, (step, which)) in steps.iter().enumerate() {
            match step {
                0 if !ended => {
                    said.push(format!("line {n}"));
                    say(&mut book, &[&format!("line {n}")]);
                }
                // A request that is given up, with news or as a sign of life.
                1 => far.held.extend(book.next_chunk(NOW, !ended)),
                2 => {
                    if let Some(chunk) = book.next_chunk(NOW, !ended) {
                        book.stored(far.hears(&chunk));
                    }
                }
                3 if !far.held.is_empty() => {
                    let late = far.held.swap_remove(which.index(far.held.len()));
                    far.hears(&late);
                }
                // The job ends, or its agent; what waits goes by way of the journal.
                4 | 5 => {
                    let killed = *step == 5 && !ended;
                    let waiting = if killed { left_behind(&host.dir, host.job, 1, NOW) } else { book.pack_all(NOW) };
                    book = Logbook::in_memory(Outbox::new(1, waiting));
                    ended = true;
                }
                _ => {}
            }
        }
        while let Some(chunk) = book.next_chunk(NOW, false) {
            book.stored(far.hears(&chunk));
        }
        for late in std::mem::take(&mut far.held) {
            far.hears(&late);
        }
        prop_assert_eq!(far.lines, said);
    }

    /// Whatever happened, the file makes the same outbox again; so does what it is shortened to.
    #[test]
    fn the_file_makes_the_same_outbox(steps in prop::collection::vec(0_u8..8, 0..60)) {
        let host = Host::new();
        let mut book = host.open();
        for (n, step) in steps.iter().enumerate() {
            match step {
                0..3 => say(&mut book, &[&format!("line {n}")]),
                3 => book.step(Step::LeftOut(1)),
                4 | 5 => drop(book.next_chunk(NOW, *step == 5)),
                6 => book.stored(book.outbox.first().map_or(0, |c| c.seq)),
                _ => book.drop_first(),
            }
        }
        let mut shortened = Outbox::new(9, Vec::new());
        book.outbox.steps().into_iter().for_each(|s| shortened.take(s));
        let want = format!("{:?}", book.outbox);
        prop_assert_eq!(format!("{shortened:?}"), want.clone());
        let replayed = replay(&host.file(), 1).expect("there");
        prop_assert_eq!(format!("{replayed:?}"), want);
    }
}
