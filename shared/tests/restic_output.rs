//! Every recorded line of real restics is read, and read right; what no restic ever printed does no harm.
#![allow(clippy::expect_used)] // a test that cannot go on says so

use proptest::prelude::*;
use restic_manager_shared::restic::message::{ItemFault, Line, Message, Status, Summary, plain_words};
use restic_manager_shared::restic::snapshot::{is_whole_id, parse_list};
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{BackupSummary, SnapshotRecord};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/restic")
}

fn read(version: &str, case: &str, stream: &str) -> String {
    let path = root().join(version).join(case).join(stream);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn messages(version: &str, case: &str, stream: &str) -> Vec<Message> {
    let message = |line: &str| match Line::parse(line) {
        Line::Message(message) => Some(message),
        Line::Text(_) => None,
    };
    read(version, case, stream).lines().filter_map(message).collect()
}

fn summary(version: &str, case: &str) -> Summary {
    let is_summary = |m| if let Message::Summary(s) = m { Some(s) } else { None };
    messages(version, case, "stdout").into_iter().find_map(is_summary).expect("a summary")
}

#[test]
fn every_recorded_json_line_is_a_known_message() {
    let mut seen = 0;
    for version in std::fs::read_dir(root()).expect("fixtures").flatten() {
        for case in std::fs::read_dir(version.path()).expect("cases").flatten() {
            for stream in ["stdout", "stderr"] {
                let text =
                    String::from_utf8_lossy(&std::fs::read(case.path().join(stream)).expect("there")).into_owned();
                for line in text.lines().filter(|l| l.starts_with("{\"message_type")) {
                    seen += 1;
                    match Line::parse(line) {
                        // These have readers of their own.
                        Line::Message(Message::Unknown(kind)) => {
                            let others = ["version", "node", "snapshot", "change", "statistics", "changed"];
                            assert!(others.contains(&kind.as_str()), "{line}");
                        }
                        Line::Message(_) => {}
                        Line::Text(text) => panic!("{:?} not read: {text}", case.path()),
                    }
                }
            }
        }
    }
    assert!(seen > 300, "only {seen} recorded lines were found");
}

#[test]
fn versions() {
    for (name, want) in [("0.14", (0, 14, 0)), ("0.18", (0, 18, 0)), ("0.19", (0, 19, 1))] {
        let found = Version::from_output(&read(name, "version-json", "stdout"));
        assert_eq!(found, Ok(Version::new(want.0, want.1, want.2)));
    }
}

#[test]
fn a_summary_says_the_same_in_each_version() {
    for version in ["0.14", "0.18", "0.19"] {
        let summary = summary(version, "backup-first-json");
        let wire = BackupSummary::from(&summary);
        assert_eq!((wire.files_new, wire.total_bytes_processed), (78, 20_710_188), "{version}");
        assert_eq!(wire.data_added_packed.is_some(), version != "0.14");
        assert_eq!(is_whole_id(&wire.snapshot_id.expect("made")), version != "0.14");
        assert_eq!(summary.started().is_some(), version != "0.14");
    }
}

#[test]
fn garbage_numbers_are_not_passed_on() {
    let skipped = BackupSummary::from(&summary("0.18", "backup-skip-if-unchanged-json"));
    assert_eq!((skipped.snapshot_id, skipped.total_duration), (None, 0.0));
    let dry = BackupSummary::from(&summary("0.18", "backup-dry-run-json"));
    assert_eq!(dry.snapshot_id, None, "a dry run names a snapshot that does not exist");
    let guesses: Vec<u64> = messages("0.18", "backup-stdin-json", "stdout")
        .into_iter()
        .filter_map(|m| if let Message::Status(s) = m { s.seconds_left() } else { None })
        .collect();
    assert!(guesses.iter().all(|s| *s < 1_000_000), "{guesses:?}");
    let line = r#"{"message_type":"status","percent_done":-3,"files_done":-1,"total_files":1e300,"bytes_done":null,
        "total_bytes":"many","seconds_remaining":57607755193986,"current_files":null,"error_count":2.0}"#;
    let Line::Message(Message::Status(status)) = Line::parse(line) else { panic!("no status") };
    assert_eq!(status, Status { seconds_remaining: Some(57_607_755_193_986), error_count: 2, ..Status::default() });
    assert_eq!(status.seconds_left(), None);
}

#[test]
fn all_shapes_of_an_item_error_are_read() {
    let faults = |version| -> Vec<ItemFault> {
        let fault = |m| if let Message::Error(f) = m { Some(f) } else { None };
        messages(version, "backup-unreadable-json", "stderr").into_iter().filter_map(fault).collect()
    };
    for version in ["0.18", "0.19"] {
        assert_eq!(faults(version)[0].message, "open /srv/demo/etc/secret.key: permission denied");
    }
    assert_eq!(
        (faults("0.14")[0].item.as_str(), faults("0.14")[0].message.as_str()),
        ("/srv/demo/etc/secret.key", "open: permission denied")
    );
    let shapes = [
        (r#"{"message_type":"error","message":"flat"}"#, "flat"),
        (r#"{"message_type":"error","error":{},"item":"/x"}"#, ""),
        (r#"{"message_type":"error","error":"text"}"#, "text"),
        (r#"{"message_type":"error","error":null}"#, ""),
        (r#"{"message_type":"error","error":[1,2]}"#, ""),
        (r#"{"message_type":"error","error":{"Err":99}}"#, "error 99"),
    ];
    for (line, want) in shapes {
        let Line::Message(Message::Error(fault)) = Line::parse(line) else { panic!("{line}") };
        assert_eq!(fault.message, want, "{line}");
    }
}

#[test]
fn snapshot_lists_become_records() {
    for version in ["0.14", "0.18", "0.19"] {
        let list = parse_list(&read(version, "snapshots-json", "stdout")).expect("a list");
        let records: Vec<SnapshotRecord> = list.into_iter().map(|s| s.try_into().expect("an entry")).collect();
        assert!(records.len() > 3 && records.iter().all(|r| is_whole_id(&r.id)));
        assert_eq!(records[0].time, Timestamp::parse("2026-08-01T02:00:00Z").expect("time"));
        assert_eq!(
            (records[0].tags.as_slice(), records[0].paths.as_slice()),
            (["daily".into(), "job:42".into()].as_slice(), ["/srv/demo".into()].as_slice())
        );
        assert_eq!(records[1].parent.as_ref(), Some(&records[0].id));
        let figures = records[0].summary.as_ref();
        assert_eq!(figures.map(|s| (s.files_new, s.total_duration > 0.1)), (version != "0.14").then_some((78, true)));
        assert!(parse_list(&read(version, "snapshots-empty-json", "stdout")).expect("a list").is_empty());
    }
    assert!(parse_list("null").expect("null is none").is_empty());
    assert!(parse_list("").is_err() && parse_list("[1]").is_err() && parse_list("{}").is_err());
    let no_id = parse_list(r#"[{"id":"abc","time":"2026-08-01T02:00:00Z"}]"#).expect("a list").remove(0);
    assert!(SnapshotRecord::try_from(no_id).is_err());
}

#[test]
fn last_words_are_for_people() {
    let text = "Fatal: Fatal: failed to remove one or more snapshots\nmain.init\n\tgithub.com/restic/x.go:1\nruntime.main\n\tproc.go:3";
    assert_eq!(plain_words(text), "failed to remove one or more snapshots");
    assert_eq!(plain_words("Fatal: wrong password or no key found\n"), "wrong password or no key found");
    assert_eq!(
        Line::parse("\u{1b}[2Ksignal interrupt received, cleaning up"),
        Line::Text("signal interrupt received, cleaning up".into())
    );
    assert_eq!(
        Line::parse("{\"message_type\":\"novelty\",\"x\":1}"),
        Line::Message(Message::Unknown("novelty".into()))
    );
    assert_eq!(Line::parse("{broken"), Line::Text("{broken".into()));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(line in "\\PC{0,200}", kind in "status|error|summary|exit_error|x", body in "[\\[\\]{}\",:0-9a-z.e-]{0,80}") {
        let _ = Line::parse(&line);
        let _ = Line::parse(&format!("{{\"message_type\":\"{kind}\",{body}}}"));
        let _ = parse_list(&format!("[{body}]"));
        let _ = Version::from_output(&line);
        let _ = plain_words(&line);
    }
}
