//! The journal across restarts, kills and damage.

use super::*;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::job::{End, Task};
use restic_manager_shared::wire::progress::{LogLevel, LogLine};
use std::io::{Seek as _, SeekFrom, Write as _};

fn offer(attempt: i32) -> Offer {
    let task = Task::Init { repository_id: RepositoryId::new() };
    Offer { id: JobId::new(), attempt, schedule_id: None, state_version: 1, task, repository_url: None, secrets: None }
}

fn report(attempt: i32) -> FinishReport {
    let at = Timestamp::from_seconds(5);
    FinishReport {
        attempt,
        end: End::Succeeded,
        cause: None,
        exit_code: Some(0),
        started_at: at,
        finished_at: at,
        summary: None,
        snapshots: Vec::new(),
        snapshots_complete: false,
        item_errors: Vec::new(),
        item_errors_omitted: 0,
        command: None,
        restic_version: None,
        outcome: None,
        pids: Vec::new(),
    }
}

fn chunk(seq: i64) -> ChunkRequest {
    ChunkRequest { attempt: 1, seq, status: None, lines: Vec::new() }
}

#[test]
fn what_was_written_is_there_after_a_kill() {
    let tmp = tempfile::tempdir().expect("dir");
    let dir = StateDir::open(tmp.path()).expect("opens");
    let (now, one, two) = (Timestamp::from_seconds(9), offer(1), offer(2));
    let journal = Journal::open(&dir).expect("opens");
    journal.accept(&one, now).expect("writes");
    journal.accept(&two, now).expect("writes");
    journal.start(one.id, now).expect("writes");
    journal.child(one.id, 77, Some("b")).expect("writes");
    // A killed process closes nothing.
    std::mem::forget(journal);

    let journal = Journal::open(&dir).expect("opens again");
    let entries = journal.entries().expect("reads");
    assert_eq!(entries[0].child, Some((77, Some("b".into()))));
    assert_eq!((entries[0].phase, entries[0].started_at), (Phase::Started, Some(now)));
    assert_eq!((entries[1].phase, &entries[1].offer), (Phase::Accepted, &two));
    assert!(journal.finish(one.id, &report(1), &[chunk(1), chunk(2)]).expect("writes"));
    assert!(!journal.finish(JobId::new(), &report(1), &[]).expect("writes"), "nobody knows this job");
    journal.drop_chunks(one.id, 1).expect("writes");
    assert_eq!(journal.waiting().expect("counts"), 2);
    std::mem::forget(journal);

    let journal = Journal::open(&dir).expect("opens again");
    assert_eq!(journal.report(one.id).expect("reads"), Some(report(1)));
    assert_eq!(journal.chunks(one.id).expect("reads"), [chunk(2)]);
    journal.replace_chunks(one.id, &[chunk(1), chunk(3)]).expect("writes");
    assert_eq!(journal.chunks(one.id).expect("reads"), [chunk(1), chunk(3)]);
    journal.forget(one.id).expect("writes");
    assert_eq!((journal.waiting().expect("counts"), journal.entries().expect("reads").len()), (0, 1));
}

#[test]
fn a_newer_attempt_replaces_an_offer_only_before_the_start() {
    let tmp = tempfile::tempdir().expect("dir");
    let journal = Journal::open(&StateDir::open(tmp.path()).expect("opens")).expect("opens");
    let now = Timestamp::from_seconds(9);
    let first = offer(1);
    journal.accept(&first, now).expect("writes");
    journal.accept(&Offer { attempt: 2, ..first.clone() }, now).expect("writes");
    assert_eq!(journal.entries().expect("reads")[0].offer.attempt, 2);
    journal.start(first.id, now).expect("writes");
    journal.accept(&Offer { attempt: 3, ..first }, now).expect("writes");
    assert_eq!(journal.entries().expect("reads")[0].offer.attempt, 2);
}

#[test]
fn a_damaged_journal_is_moved_aside_and_a_newer_one_is_refused() {
    let tmp = tempfile::tempdir().expect("dir");
    let dir = StateDir::open(tmp.path()).expect("opens");
    let path = dir.file(FILE);
    std::fs::write(&path, b"this is not a database, but it is long enough to be looked at as one").expect("writes");
    let journal = Journal::open(&dir).expect("starts anew");
    for n in 0..200 {
        journal.replace_chunks(JobId::new(), &[chunk(n)]).expect("writes");
    }
    journal.db().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("checkpoints");
    drop(journal);
    let mut file = std::fs::OpenOptions::new().write(true).open(&path).expect("opens");
    file.seek(SeekFrom::Start(100)).and_then(|_| file.write_all(&[0xAA; 9000])).expect("scribbles");
    drop(file);
    assert_eq!(Journal::open(&dir).expect("starts anew").waiting().expect("counts"), 0);
    let aside = |e: &std::fs::DirEntry| e.file_name().to_string_lossy().contains("damaged-");
    assert!(std::fs::read_dir(dir.root()).expect("lists").flatten().any(|e| aside(&e)));

    Connection::open(&path).and_then(|db| db.execute_batch("PRAGMA user_version = 99")).expect("sets");
    assert!(matches!(Journal::open(&dir), Err(JournalError::Newer(_))));
}

#[test]
fn logs_make_room_but_ends_stay() {
    let tmp = tempfile::tempdir().expect("dir");
    let dir = StateDir::open(tmp.path()).expect("opens");
    let journal = Journal { most_bytes: 1 << 20, ..Journal::open(&dir).expect("opens") };
    let text = "x".repeat(4000);
    let jobs: Vec<Offer> = (0..100).map(|_| offer(1)).collect();
    for (n, job) in jobs.iter().enumerate() {
        let at = Timestamp::from_seconds(n as i64);
        journal.accept(job, at).expect("writes");
        let line = || vec![LogLine { at, level: LogLevel::Info, text: text.clone() }];
        let chunks: Vec<_> = (1..=10).map(|seq| ChunkRequest { lines: line(), ..chunk(seq) }).collect();
        journal.finish(job.id, &report(1), &chunks).expect("writes");
    }
    let size = std::fs::metadata(dir.file(FILE)).expect("there").len();
    assert!(size < 3 << 20, "{size} bytes");
    assert_eq!(journal.finished().expect("reads").len(), jobs.len(), "each end is there");
    let of = |job: &Offer| journal.spooled(job.id).expect("reads").expect("there");
    let (first, last) = (of(&jobs[0]), of(&jobs[99]));
    assert!(first.report.is_some() && first.chunks.len() == 1);
    assert!(first.chunks[0].lines[0].text.contains("left out"));
    assert_eq!(last.chunks.len(), 10, "the newest log is whole");
}

#[test]
fn what_was_confirmed_can_be_told_again_and_is_not_run_again() {
    use restic_manager_shared::wire::recall::Restored;
    let tmp = tempfile::tempdir().expect("dir");
    let journal = Journal::open(&StateDir::open(tmp.path()).expect("opens")).expect("opens");
    let at = |day: i64| Timestamp::from_seconds(day * 86_400);
    let (old, new, waits) = (offer(1), offer(3), offer(1));
    for (offer, accepted) in [(&old, at(1)), (&new, at(20)), (&waits, at(20))] {
        journal.accept(offer, accepted).expect("writes");
    }
    for offer in [&old, &new] {
        journal.start(offer.id, at(20)).expect("writes");
        journal.finish(offer.id, &report(offer.attempt), &[chunk(1)]).expect("writes");
    }
    for job in [old.id, new.id, waits.id] {
        journal.forget(job).expect("writes");
    }
    assert_eq!(journal.waiting().expect("counts"), 0, "all is told");
    assert!(!journal.take_back_if_told(waits.id).expect("reads"), "what never ended here may run");

    // The control plane comes out of an export of day 15.
    let restored = |id: &str| Restored { id: id.into(), since: at(15) };
    assert_eq!(journal.restored().expect("reads"), None);
    assert_eq!(journal.tell_again(&restored("a")).expect("writes"), [new.id], "the old one it knows");
    assert_eq!(journal.restored().expect("reads").as_deref(), Some("a"));
    assert!(journal.tell_again(&restored("a")).expect("writes").is_empty(), "once is enough");
    let spooled = journal.spooled(new.id).expect("reads").expect("waits");
    let recall = spooled.recall.expect("the job itself may be forgotten");
    assert_eq!((recall.attempt, recall.task, recall.accepted_at), (3, new.task.clone(), at(20)));
    assert_eq!((spooled.report, spooled.chunks), (Some(report(3)), vec![]), "its log is not kept");

    // Told again, and forgotten once more; now an older job is offered that had ended long ago.
    journal.forget(new.id).expect("writes");
    assert!(journal.take_back_if_told(old.id).expect("writes"));
    assert_eq!(journal.finished().expect("reads"), [old.id]);
    assert_eq!(
        journal.tell_again(&restored("b")).expect("writes"),
        [new.id],
        "another import asks for all of it again"
    );
}

#[test]
fn a_fire_that_was_confirmed_is_told_again_with_its_fire() {
    use restic_manager_shared::id::ScheduleId;
    use restic_manager_shared::wire::fire::FireOutcome;
    use restic_manager_shared::wire::recall::Restored;
    let tmp = tempfile::tempdir().expect("dir");
    let journal = Journal::open(&StateDir::open(tmp.path()).expect("opens")).expect("opens");
    let (schedule, due) = (ScheduleId::new(), Timestamp::from_seconds(86_400));
    let fire = FireReport {
        id: JobId::of_fire(schedule, due),
        schedule_id: schedule,
        due,
        fired_at: due,
        state_version: 1,
        outcome: FireOutcome::Skipped { because_of: JobId::new() },
        stands_for: Vec::new(),
        stands_for_more: 0,
    };
    journal.fire(&fire, None).expect("writes");
    journal.announced(fire.id).expect("writes");
    journal.forget(fire.id).expect("writes");
    let restored = Restored { id: "a".into(), since: due };
    assert_eq!(journal.tell_again(&restored).expect("writes"), [fire.id]);
    let spooled = journal.spooled(fire.id).expect("reads").expect("waits");
    assert_eq!((spooled.fire, spooled.report, spooled.recall), (Some(fire.clone()), None, None));
    assert_eq!(journal.unannounced().expect("reads").get(&schedule), Some(&due), "and is not settled before that");
}
