//! Progress out of real and awkward output.

use super::*;

const T0: Timestamp = Timestamp::from_seconds(100);

fn status(percent: f64, files: u64, bytes: u64) -> String {
    serde_json::json!({"message_type": "status", "percent_done": percent, "total_files": 10, "files_done": files,
        "total_bytes": 1000, "bytes_done": bytes, "current_files": ["a", "b", "c", "d", "e"]})
    .to_string()
}

#[test]
fn percent_never_falls_and_all_read_is_not_done() {
    let mut t = Transcript::default();
    let phases: Vec<(Option<f64>, Phase)> = [(0.5, 5, 500), (0.4, 5, 500), (1.0, 10, 1000)]
        .map(|(p, f, b)| {
            assert_eq!(t.stdout(&status(p, f, b)), Said::Progress);
            (t.progress().percent, t.progress().phase)
        })
        .into();
    assert_eq!(phases, [(Some(0.5), Phase::Running), (Some(0.5), Phase::Running), (Some(1.0), Phase::Finishing)]);
    assert_eq!(t.progress().current_files.len(), 4);
    assert!(t.summary().is_none());
    t.stdout(
        r#"{"message_type":"summary","total_files_processed":12,"total_bytes_processed":1200,"snapshot_id":"ab"}"#,
    );
    assert_eq!((t.progress().files_done, t.progress().bytes_total, t.summary().is_some()), (12, 1200, true));
}

#[test]
fn retries_show_as_waiting_until_something_moves() {
    let mut t = Transcript::default();
    let retry = "Load(<data/1>) returned error, retrying after 5s: dial tcp: refused";
    assert!(matches!(t.stderr(retry, T0), Said::Log(LogLevel::Warning, _)));
    assert_eq!(t.progress().phase, Phase::WaitingForRepository);
    let later = T0 + Duration::from_secs(60);
    assert!(t.is_stuck(later, Duration::from_secs(60)) && !t.is_stuck(T0, Duration::from_secs(60)));
    // restic goes on sending statuses that say nothing new.
    t.stdout(&status(0.0, 0, 0));
    assert_eq!(t.progress().phase, Phase::WaitingForRepository);
    t.stdout(&status(0.1, 1, 10));
    assert_eq!(t.progress().phase, Phase::Running);
    t.stderr(retry, T0);
    assert!(!t.is_stuck(later, Duration::from_secs(60)), "one that has moved data is left to its own retries");
    t.stderr("Load(<data/1>) operation successful after 2 retries", later);
    assert_eq!(t.progress().phase, Phase::Running);
}

#[test]
fn item_errors_are_counted_once_and_bounded() {
    let mut t = Transcript::default();
    let fault = |item: &str, during: &str| {
        serde_json::json!({"message_type": "error", "error": {"message": "denied"}, "during": during, "item": item})
            .to_string()
    };
    t.stderr(&fault("/locked", "scan"), T0);
    assert_eq!(t.stderr(&fault("/locked", "archival"), T0), Said::Nothing);
    assert_eq!(t.items().1, 1);
    (0..5000).for_each(|n| drop(t.stderr(&fault(&format!("/f{n}"), "archival"), T0)));
    assert_eq!((t.items().0.len(), t.items().1, t.progress().errors), (MAX_ITEM_ERRORS, 5001, 5001));
    assert_eq!(t.stderr(&fault("/last", "archival"), T0), Said::Nothing, "not each of thousands is a log line");
}

#[test]
fn last_words_are_the_exit_error_or_the_fatal_lines() {
    let mut t = Transcript::default();
    t.stderr("some warning", T0);
    t.stderr("Fatal: unable to open config file: 404", T0);
    t.stderr("Is there a repository at the following location?", T0);
    assert_eq!(t.last_words(), "unable to open config file: 404\nIs there a repository at the following location?");
    t.stderr(r#"{"message_type":"exit_error","code":10,"message":"Fatal: no repository"}"#, T0);
    assert_eq!(t.last_words(), "no repository");
    (0..9000).for_each(|_| drop(t.stderr("a line of many words that fills the memory", T0)));
    assert!(t.all_words().len() < 2 * TAIL);
}

#[test]
fn text_shows_steps_and_counters_and_never_goes_back_in_a_step() {
    let mut t = Transcript::default();
    let mut seen = Vec::new();
    for line in [
        "repo already locked, waiting up to 15m0s for the lock",
        "loading indexes...",
        "collecting packs for deletion and repacking",
        "[0:00] 100.00%  12 / 12 packs processed",
        "to repack:             2 blobs / 683.811 KiB",
        "repacking packs",
        "[0:01] 50.00%  1 / 2 packs repacked",
        "[0:02] 40.00%  0 / 2 packs repacked",
        "rebuilding index",
        "[0:00] 100.00%  2 / 2 indexes processed",
        "[0:00]          0 old indexes deleted",
    ] {
        t.stdout(line);
        let p = t.progress();
        seen.push((p.phase, p.step.clone().unwrap_or_default(), p.percent, p.units_done));
    }
    let running = |step: &str, percent, done| (Phase::Running, step.to_owned(), percent, done);
    let collecting = "collecting packs for deletion and repacking";
    assert_eq!(
        seen,
        [
            (Phase::WaitingForLock, String::new(), None, None),
            running("loading indexes", None, None),
            running(collecting, None, None),
            running(collecting, Some(1.0), Some(12)),
            running(collecting, Some(1.0), Some(12)),
            running("repacking packs", None, None),
            running("repacking packs", Some(0.5), Some(1)),
            running("repacking packs", Some(0.5), Some(1)),
            running("rebuilding index", None, None),
            running("rebuilding index", Some(1.0), Some(2)),
            running("rebuilding index (old indexes deleted)", None, Some(0)),
        ]
    );
}

#[test]
fn a_full_storage_is_not_waited_for_however_far_it_got() {
    let mut t = Transcript::default();
    let later = T0 + Duration::from_secs(61);
    t.stdout(r#"{"message_type":"status","percent_done":0.5,"total_files":2,"files_done":1,"total_bytes":20,"bytes_done":10}"#);
    let full = "Save(<data/581c41b590>) returned error, retrying after 734ms: unexpected HTTP response (507): 507 Insufficient Storage";
    t.stderr(full, T0);
    t.stdout(r#"{"message_type":"status","percent_done":0.6,"total_files":2,"files_done":1,"total_bytes":20,"bytes_done":12}"#);
    assert!(t.is_stuck(later, Duration::from_secs(60)));
    t.stderr("Save(<data/581c41b590>) operation successful after 3 retries", later);
    assert!(!t.is_stuck(later, Duration::from_secs(60)), "somebody made room");
}
