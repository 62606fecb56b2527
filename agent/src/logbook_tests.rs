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

proptest! {
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
