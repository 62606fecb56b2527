//! A scripted restic: says what the real one was recorded saying, quickly, and writes down each backup that was started. The agent clears
//! its environment, so it finds its script beside the name that it was started by: `seed`, or `run` if chance should not decide; `hold` as
//! long as it shall not end; and `starts` to write to. It moves no data.

#![allow(clippy::unwrap_used)] // a script that does not run as written must show

use restic_manager_tests::dice::Dice;
use std::fs::{File, OpenOptions, read_to_string};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::exit;
use std::time::Duration;

/// How long a backup takes at most, in milliseconds.
const PACE: u64 = 150;

fn main() {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some("version") => say(
            r#"{"message_type":"version","version":"0.18.0","go_version":"go1.24.4","go_os":"linux","go_arch":"amd64"}"#,
        ),
        Some("cat") => say(r#"{"version":2,"id":"43491054be27f71651af504eed72571d8f7a43084c093133b814115e1aa3ac2f"}"#),
        Some("init") => say(
            r#"{"message_type":"initialized","id":"7480f6f937a8fde7a6a93d27f01f851ffec580374b7511b6f3a7acaeb9bf6add","repository":"/r"}"#,
        ),
        Some("snapshots") => say("[]"),
        Some("backup") => exit(backup(&args)),
        other => {
            eprintln!("the fake knows no {other:?}");
            exit(1);
        }
    }
}

/// A pipe that nobody reads any more ends the real restic too.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        exit(1);
    }
}

fn backup(args: &[String]) -> i32 {
    let home: PathBuf = Path::new(&args[0]).parent().unwrap().to_owned();
    let job = args.iter().find_map(|a| a.strip_prefix("rm-job-")).unwrap_or("none");
    let starts = home.join("starts");
    let before = read_to_string(&starts).unwrap_or_default().lines().count();
    let seed: u64 = read_to_string(home.join("seed")).unwrap_or_default().trim().parse().unwrap_or(0);
    let mut dice = Dice::new(seed, &format!("run {before}"));
    let by_chance = (dice.below(30), dice.below(PACE), dice.below(100));
    let (lines, millis, luck) = ordered(&home).unwrap_or(by_chance);
    note(&starts, &format!("{job} {} {lines}\n", std::process::id()));
    let pause = Duration::from_millis(millis) / u32::try_from(lines + 1).unwrap();
    for n in 1..=lines {
        std::thread::sleep(pause);
        say(&format!("chaos {n} of {lines}"));
        let share = n as f64 / lines as f64;
        say(&format!(
            r#"{{"message_type":"status","percent_done":{share},"total_files":{lines},"files_done":{n},"total_bytes":{},"bytes_done":{}}}"#,
            lines * 1000,
            n * 1000
        ));
    }
    std::thread::sleep(pause);
    while home.join("hold").exists() {
        std::thread::sleep(Duration::from_millis(20));
    }
    end(luck, job)
}

/// So many lines in so many milliseconds, and a good end, if that is said.
fn ordered(home: &Path) -> Option<(u64, u64, u64)> {
    let text = read_to_string(home.join("run")).ok()?;
    let (lines, millis) = text.trim().split_once(' ')?;
    Some((lines.parse().ok()?, millis.parse().ok()?, 99))
}

fn note(file: &Path, line: &str) {
    // One write to a file opened for appending: several runs at once do not mix.
    let mut file: File = OpenOptions::new().create(true).append(true).open(file).unwrap();
    file.write_all(line.as_bytes()).unwrap();
}

/// Mostly well, sometimes not: unreadable files, a lock, a fatal error.
fn end(luck: u64, job: &str) -> i32 {
    match luck {
        0..4 => {
            eprintln!(
                r#"{{"message_type":"exit_error","code":11,"message":"unable to create lock in backend: repository is already locked"}}"#
            );
            return 11;
        }
        4..10 => {
            eprintln!(
                r#"{{"message_type":"exit_error","code":1,"message":"Fatal: unable to save snapshot: a scripted failure"}}"#
            );
            return 1;
        }
        _ => {}
    }
    let unread = luck < 15;
    if unread {
        eprintln!(
            r#"{{"message_type":"error","error":{{"message":"open /srv/secret: permission denied"}},"during":"archival","item":"/srv/secret"}}"#
        );
    }
    let id = job.replace('-', "").repeat(2);
    say(&format!(
        r#"{{"message_type":"summary","files_new":1,"files_changed":0,"files_unmodified":0,"dirs_new":1,"dirs_changed":0,"dirs_unmodified":0,"data_blobs":1,"tree_blobs":1,"data_added":1000,"data_added_packed":900,"total_files_processed":1,"total_bytes_processed":1000,"total_duration":0.1,"backup_start":"2026-11-23T06:57:23.444963267Z","backup_end":"2026-11-23T06:57:24.572675929Z","snapshot_id":"{id}"}}"#
    ));
    if unread { 3 } else { 0 }
}
