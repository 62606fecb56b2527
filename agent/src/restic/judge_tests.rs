//! The judge's table of truth, and its judgement of every recorded run.

use super::super::argv::Operation;
use super::super::gather::Gathered;
use super::super::output::Transcript;
use super::*;
use restic_manager_shared::restic::array::{Cutter, Piece};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::PruneOptions;
use std::path::{Path, PathBuf};

const V14: Version = Version::new(0, 14, 0);
const V18: Version = Version::new(0, 18, 0);

fn evidence(version: Version, command: Command, exit: Exit, words: &str) -> Evidence<'_> {
    Evidence {
        version,
        command,
        exit,
        stopped: None,
        killed: false,
        result: false,
        unknown_ids: &[],
        missing_paths: 0,
        last_words: words,
        all_words: words,
    }
}

/// What sftp and S3 were seen to say, by restic 0.14 and 0.18.
#[test]
fn the_words_of_ssh_and_of_s3() {
    let session =
        "Fatal: unable to open repository at sftp://root@127.0.0.1:1//x: unable to start the sftp session, error: EOF";
    for (words, want) in [
        ("subprocess ssh: ssh: connect to host 127.0.0.1 port 1: Connection refused", CauseCode::RepositoryUnreachable),
        ("subprocess ssh: Host key verification failed.", CauseCode::StorageTls),
        (
            "subprocess ssh: root@127.0.0.1: Permission denied (publickey,keyboard-interactive).",
            CauseCode::StorageUnauthorized,
        ),
    ] {
        let all = format!("{words}\n{session}");
        let e = Evidence { last_words: session, ..evidence(V18, Command::Snapshots, Exit::Code(1), &all) };
        assert_eq!(judge(&e).code(), Some(want), "{words}");
    }
    let key = "Fatal: unable to open config file: Stat: The AWS Access Key Id you provided does not exist in our records.\n\
               Is there a repository at the following location?";
    assert_eq!(by_words(key), Some(CauseCode::StorageUnauthorized));
}

#[test]
fn status_command_and_stop_decide_before_words() {
    use CauseCode as C;
    use Command::{Backup, Init, Snapshots};
    use Exit::{Code, Signal};
    use StopReason::{AgentStops, Cancelled, Unreachable};
    let cases = [
        (Backup, Code(0), None, true, End::Succeeded, None),
        (Backup, Code(0), None, false, End::Failed, Some(C::ResticFailed)),
        (Init, Code(0), None, true, End::Succeeded, None),
        (Snapshots, Code(0), None, false, End::Failed, Some(C::ResticFailed)),
        (Backup, Code(3), None, true, End::Warning, Some(C::SourceUnreadable)),
        (Backup, Code(3), None, false, End::Failed, Some(C::ResticFailed)),
        (Snapshots, Code(3), None, true, End::Failed, Some(C::ResticFailed)),
        (Backup, Code(2), None, false, End::Failed, Some(C::ResticCrashed)),
        (Backup, Code(10), None, false, End::Failed, Some(C::RepositoryMissing)),
        (Backup, Code(11), None, false, End::Failed, Some(C::RepositoryLocked)),
        (Backup, Code(12), None, false, End::Failed, Some(C::WrongPassword)),
        (Backup, Code(130), None, false, End::Failed, Some(C::ResticFailed)),
        (Backup, Code(77), None, false, End::Failed, Some(C::ResticFailed)),
        (Backup, Signal(9), None, false, End::Failed, Some(C::ResticCrashed)),
        (Backup, Signal(13), None, true, End::Failed, Some(C::ResticCrashed)),
        // 0.18 answers 1 to a cancelled backup, 0.19 130, and one that does not listen is killed.
        (Backup, Code(1), Some(Cancelled), false, End::Cancelled, Some(C::Cancelled)),
        (Backup, Code(130), Some(Cancelled), false, End::Cancelled, Some(C::Cancelled)),
        (Backup, Signal(9), Some(Cancelled), false, End::Cancelled, Some(C::Cancelled)),
        (Backup, Code(0), Some(Cancelled), true, End::Succeeded, None),
        (Backup, Code(3), Some(Cancelled), true, End::Warning, Some(C::SourceUnreadable)),
        (Backup, Code(0), Some(Cancelled), false, End::Cancelled, Some(C::Cancelled)),
        (Backup, Code(1), Some(AgentStops), false, End::Failed, Some(C::AgentRestarted)),
        (Backup, Code(1), Some(Unreachable), false, End::Failed, Some(C::RepositoryUnreachable)),
    ];
    for (command, exit, stopped, result, end, code) in cases {
        let verdict = judge(&Evidence { stopped, result, ..evidence(V18, command, exit, "") });
        assert_eq!((verdict.end, verdict.code()), (end, code), "{command:?} {exit:?} {stopped:?} result={result}");
    }
    let missing = Evidence { result: true, missing_paths: 2, ..evidence(V14, Backup, Code(0), "") };
    assert_eq!(judge(&missing).end, End::Warning);
}

#[test]
fn a_stuck_restic_says_why() {
    let words = "Stat(<config/>) returned error, retrying after 5s: tls: failed to verify certificate: x509: unknown";
    let e = Evidence { stopped: Some(StopReason::Unreachable), ..evidence(V18, Command::Backup, Exit::Code(1), words) };
    assert_eq!(judge(&e).code(), Some(CauseCode::StorageTls));
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/tests/fixtures/restic")
}

fn replay(version: &str, case: &str, gathered: Gathered) -> (Transcript, Exit) {
    let dir = fixtures().join(version).join(case);
    let read = |name: &str| {
        String::from_utf8_lossy(
            &std::fs::read(dir.join(name)).unwrap_or_else(|e| panic!("{version}/{case}/{name}: {e}")),
        )
        .into_owned()
    };
    let mut transcript = Transcript::new(gathered);
    let mut cutter = Cutter::new(1 << 24);
    let mut hear = |piece| match piece {
        Piece::Line(line) => drop(transcript.stdout(&String::from_utf8_lossy(&line))),
        Piece::Begin => transcript.begin(),
        Piece::Element(element) => transcript.element(&String::from_utf8_lossy(&element)),
    };
    cutter.feed(read("stdout").as_bytes(), &mut hear);
    cutter.end(&mut hear);
    read("stderr").lines().for_each(|l| drop(transcript.stderr(l, Timestamp::from_seconds(0))));
    let code: i32 = read("exit").trim().parse().expect("a number");
    (transcript, if code < 0 { Exit::Signal(-code) } else { Exit::Code(code) })
}

fn judged(version: &str, case: &str, command: Command, stopped: Option<StopReason>) -> Verdict {
    let prune = PruneOptions::default();
    let gathered = match command {
        Command::Snapshots => Gathered::Snapshots(Default::default()),
        Command::Check => Gathered::Check(Default::default()),
        Command::Prune => Gathered::of(&Operation::Prune { options: &prune }),
        Command::Tag | Command::Copy | Command::Rewrite => Gathered::Replaced(Default::default()),
        Command::KeyList => Gathered::of(&Operation::KeyList),
        _ => Gathered::Words,
    };
    let (transcript, exit) = replay(version, case, gathered);
    let result = match command {
        Command::Init => transcript.initialized(),
        _ => transcript.result(command).unwrap_or(exit == Exit::Code(0)),
    };
    judge(&Evidence {
        version: version.parse().expect("version"),
        command,
        exit,
        stopped,
        killed: false,
        result,
        unknown_ids: transcript.unknown_ids(),
        missing_paths: transcript.missing_paths(),
        last_words: &transcript.last_words(),
        all_words: &transcript.all_words(),
    })
}

#[test]
fn every_version_of_the_same_trouble_gets_the_same_cause() {
    use CauseCode as C;
    use Command::{Backup, Check, Copy, Forget, Init, KeyList, KeyRemove, Prune, Snapshots, Tag};
    let cases = [
        ("check-text", Check, End::Succeeded, None),
        ("check-text-corrupt-pack", Check, End::Failed, Some(C::RepositoryDamaged)),
        ("check-text-missing-pack", Check, End::Failed, Some(C::RepositoryDamaged)),
        ("prune-text", Prune, End::Succeeded, None),
        ("prune-text-nothing", Prune, End::Succeeded, None),
        ("conc-prune-during-backup", Prune, End::Failed, Some(C::RepositoryLocked)),
        ("conc-prune-retry-lock-text", Prune, End::Succeeded, None),
        ("tag-json-add", Tag, End::Succeeded, None),
        ("tag-json-noop", Tag, End::Succeeded, None),
        ("tag-json-missing-snapshot", Tag, End::Failed, Some(C::SnapshotMissing)),
        ("forget-json-by-unknown-id", Forget, End::Succeeded, None),
        ("copy-wrong-from-password", Copy, End::Failed, Some(C::WrongPassword)),
        ("copy-text-again", Copy, End::Succeeded, None),
        ("key-list-json-two", KeyList, End::Succeeded, None),
        ("key-remove-current-refused", KeyRemove, End::Failed, Some(C::ResticFailed)),
        ("backup-first-json", Backup, End::Succeeded, None),
        ("backup-unreadable-json", Backup, End::Warning, Some(C::SourceUnreadable)),
        ("backup-unreadable-dir-json", Backup, End::Warning, Some(C::SourceUnreadable)),
        ("backup-one-path-missing-json", Backup, End::Warning, Some(C::SourceUnreadable)),
        ("backup-all-paths-missing-json", Backup, End::Failed, Some(C::SourceMissing)),
        ("backup-server-quota-exceeded-json", Backup, End::Failed, Some(C::StorageFull)),
        ("backup-server-gone-midway-json", Backup, End::Failed, Some(C::RepositoryUnreachable)),
        ("backup-server-restarted-midway-json", Backup, End::Succeeded, None),
        ("cancel-backup-sigkill-json", Backup, End::Failed, Some(C::ResticCrashed)),
        ("conc-backup-during-prune", Backup, End::Failed, Some(C::RepositoryLocked)),
        ("err-wrong-password-json", Snapshots, End::Failed, Some(C::WrongPassword)),
        ("err-repo-missing-backup-json", Backup, End::Failed, Some(C::RepositoryMissing)),
        ("err-repo-missing-local-json", Snapshots, End::Failed, Some(C::RepositoryMissing)),
        ("err-unreachable-json", Snapshots, End::Failed, Some(C::RepositoryUnreachable)),
        ("err-unreachable-init-json", Init, End::Failed, Some(C::RepositoryUnreachable)),
        ("err-dns-json", Snapshots, End::Failed, Some(C::RepositoryUnreachable)),
        ("err-http-bad-credentials-json", Snapshots, End::Failed, Some(C::StorageUnauthorized)),
        ("err-init-bad-credentials", Init, End::Failed, Some(C::StorageUnauthorized)),
        ("err-unknown-flag", Backup, End::Failed, Some(C::ResticTooOld)),
        ("err-no-password", Snapshots, End::Failed, Some(C::CredentialMissing)),
        ("ao14-init-again", Init, End::Failed, Some(C::RepositoryExists)),
        ("init-json", Init, End::Succeeded, None),
        ("snapshots-json", Snapshots, End::Succeeded, None),
        ("snapshots-empty-json", Snapshots, End::Succeeded, None),
    ];
    let mut judged_runs = 0;
    for version in ["0.14", "0.18", "0.19"] {
        for (case, command, end, code) in cases {
            if !fixtures().join(version).join(case).exists() {
                continue;
            }
            let verdict = judged(version, case, command, None);
            assert_eq!((verdict.end, verdict.code()), (end, code), "{version}/{case}: {verdict:?}");
            judged_runs += 1;
        }
    }
    assert!(judged_runs > 100, "only {judged_runs} recorded runs were found");
}

#[test]
fn a_cancelled_backup_is_cancelled_in_every_version() {
    for (version, case) in [
        ("0.14", "cancel-backup-sigint-json"),
        ("0.18", "cancel-backup-sigint-json"),
        ("0.19", "cancel-backup-sigint-json"),
        ("0.18", "cancel-backup-sigterm-json"),
        ("0.19", "cancel-backup-sigterm-json"),
    ] {
        let verdict = judged(version, case, Command::Backup, Some(StopReason::Cancelled));
        assert_eq!(verdict.end, End::Cancelled, "{version}/{case}");
        assert_ne!(judged(version, case, Command::Backup, None).end, End::Succeeded);
    }
}

#[test]
fn a_cancelled_prune_is_cancelled_and_says_what_it_left() {
    for version in ["0.14", "0.18", "0.19"] {
        let verdict = judged(version, "cancel-prune-sigint", Command::Prune, Some(StopReason::Cancelled));
        assert_eq!(verdict.end, End::Cancelled, "{version}");
        assert!(verdict.cause.is_some_and(|c| c.message.contains("no snapshot lost anything")), "{version}");
        assert_ne!(judged(version, "cancel-prune-sigint", Command::Prune, None).end, End::Succeeded, "{version}");
    }
    let killed = Evidence {
        killed: true,
        stopped: Some(StopReason::Cancelled),
        ..evidence(V18, Command::Check, Exit::Signal(9), "")
    };
    assert!(judge(&killed).cause.is_some_and(|c| c.message.contains("a lock of it may have stayed")));
}
