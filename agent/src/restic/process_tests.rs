//! Runs of real children: output whole, stops soft and hard.
#![cfg(unix)]

use super::*;

fn shell(script: &str) -> Launch {
    Launch {
        program: "/bin/sh".into(),
        args: vec!["-c".into(), script.into()],
        vars: BTreeMap::from([("PATH".into(), "/usr/bin:/bin".into())]),
        dir: "/".into(),
        feeder: None,
        output: None,
    }
}

/// Runs the script and presses stop when it prints `ready`.
async fn stopped_when_ready(script: &str, grace: Duration) -> (Ended, Vec<Output>) {
    let (tx, mut rx) = mpsc::channel(4);
    let (press, stop) = watch::channel(None);
    let run = tokio::spawn(run(shell(script), tx, stop, grace, |_| {}));
    let mut seen = Vec::new();
    while let Some(line) = rx.recv().await {
        if line == Output::Out("ready".into()) {
            press.send(Some(StopReason::Cancelled)).expect("running");
        }
        seen.push(line);
    }
    (run.await.expect("joins").expect("runs"), seen)
}

#[tokio::test]
async fn both_pipes_are_read_to_the_end() {
    let script = "i=0; while [ $i -lt 2000 ]; do echo out$i; echo err$i >&2; i=$((i+1)); done; printf tail; exit 3";
    let (ended, seen) = stopped_when_ready(script, GRACE).await;
    assert_eq!(ended, Ended { exit: Exit::Code(3), stopped: None, killed: false });
    assert_eq!(seen.len(), 4001);
    assert!(seen.contains(&Output::Out("tail".into())));
}

#[tokio::test]
async fn a_soft_stop_reaches_the_whole_group_and_lets_it_clean_up() {
    let script = "trap 'echo cleaned; exit 130' INT; sleep 600 & echo ready; wait";
    let (ended, seen) = stopped_when_ready(script, GRACE).await;
    assert_eq!(ended, Ended { exit: Exit::Code(130), stopped: Some(StopReason::Cancelled), killed: false });
    assert!(seen.contains(&Output::Out("cleaned".into())));
}

#[tokio::test]
async fn one_that_does_not_listen_is_killed() {
    let (ended, _) =
        stopped_when_ready("trap '' INT; echo ready; while :; do sleep 1; done", Duration::from_millis(50)).await;
    assert_eq!(ended, Ended { exit: Exit::Signal(libc::SIGKILL), stopped: Some(StopReason::Cancelled), killed: true });
}

#[tokio::test]
async fn a_missing_program_is_an_error() {
    let (tx, _rx) = mpsc::channel(1);
    let (_press, stop) = watch::channel(None);
    let launch = Launch { program: "/no/such/program".into(), ..shell("") };
    assert_eq!(run(launch, tx, stop, GRACE, |_| {}).await.expect_err("missing").kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_line_ends_as_on_either_system() {
    assert_eq!(["a\r", "a", "\r", ""].map(|l| text(l.as_bytes())), ["a", "a", "", ""]);
}

#[tokio::test]
async fn a_list_is_heard_element_by_element() {
    let (ended, seen) =
        stopped_when_ready(r#"echo '[{"a":1},{"b":"x]"}]'; echo '[0:01] 1 / 2 packs'; echo '[{' >&2"#, GRACE).await;
    assert_eq!(ended.exit, Exit::Code(0));
    let element = |text: &str| Output::Element(text.into());
    let out: Vec<_> = seen.iter().filter(|o| !matches!(o, Output::Err(_))).cloned().collect();
    let lines = ["", "[0:01] 1 / 2 packs"].map(|l| Output::Out(l.into()));
    assert_eq!(out, [vec![Output::Begin, element(r#"{"a":1}"#), element(r#"{"b":"x]"}"#)], lines.to_vec()].concat());
    assert!(seen.contains(&Output::Err("[{".into())));
}

/// Runs a reader with this program's output as its input.
async fn fed(script: &str, reader: &str) -> (Ended, Vec<Output>) {
    use std::os::unix::fs::PermissionsExt as _;
    let tmp = tempfile::tempdir().expect("dir");
    let hook = tmp.path().join("hook");
    std::fs::write(&hook, format!("#!/bin/sh\n{script}\n")).expect("writes");
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o700)).expect("sets");
    let (tx, mut rx) = mpsc::channel(4);
    let (_press, stop) = watch::channel(None);
    let vars = BTreeMap::from([("OF_THE_FEEDER".into(), "x".into())]);
    let feeder = Feeder { program: hook, vars, dir: tmp.path().to_owned() };
    let launch = Launch { feeder: Some(feeder), ..shell(reader) };
    let run = tokio::spawn(run(launch, tx, stop, GRACE, |_| {}));
    let mut seen = Vec::new();
    while let Some(line) = rx.recv().await {
        seen.push(line);
    }
    (run.await.expect("joins").expect("runs"), seen)
}

#[tokio::test]
async fn what_a_feeder_prints_is_the_input_and_its_failure_is_no_end_of_input() {
    let (ended, seen) = fed("echo one; echo two", "cat; echo whole").await;
    assert_eq!((ended.exit, ended.stopped), (Exit::Code(0), None));
    assert_eq!(seen, ["one", "two", "whole"].map(|l| Output::Out(l.into())));
    let (ended, seen) = fed("echo one; echo no >&2; exit 7", "cat; echo whole").await;
    assert_eq!(ended.stopped, Some(StopReason::FeederFailed));
    assert!(!seen.contains(&Output::Out("whole".into())), "it saw an end: {seen:?}");
    assert!(seen.contains(&Output::Err("no".into())));
    assert!(seen.contains(&Output::Err("Fatal: the hook failed: exit status: 7".into())), "{seen:?}");
}

#[tokio::test]
async fn a_feeder_has_an_environment_of_its_own_and_no_blame_for_a_reader_that_went_away() {
    let (_, seen) = fed("env; pwd", "cat").await;
    let has = |part: &str| seen.iter().any(|l| matches!(l, Output::Out(text) if text.contains(part)));
    assert!(has("OF_THE_FEEDER=x") && !has("PATH=/usr/bin:/bin"), "{seen:?}");
    // It would write for ever, and it started another that would too.
    let (ended, seen) = fed("yes & yes", "exec <&-; exit 12").await;
    assert_eq!((ended.exit, ended.stopped), (Exit::Code(12), None), "{seen:?}");
}
