//! Backups between their hooks, end to end: the real agent, real restic, a real rest-server, and hooks that note when they were called.
#![cfg(unix)]
#![allow(clippy::expect_used)] // a test that cannot go on says so
#![allow(clippy::disallowed_methods)] // and measures its own patience

mod common;

use common::AgentUnderTest;
use common::control::Control;
use common::tools::{RestServer, Restic, restic, source};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::job::{CauseCode, End, FinishReport, Task};
use restic_manager_shared::wire::state::{BackupOptions, BackupSpec};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use tempfile::TempDir;

/// A host with hooks. Each notes in one file that it was called, with what.
struct Bench {
    restic: Restic,
    server: RestServer,
    control: Control,
    agent: AgentUnderTest,
    files: TempDir,
    notes: PathBuf,
    repository: RepositoryId,
}

impl Bench {
    fn new() -> Self {
        let (restic, server, control) = (restic(), RestServer::start(), Control::start());
        let agent = AgentUnderTest::start(&control, &restic);
        let repository = control.repository(&server.url("r"), true, &server.secrets());
        let files = source(8, 200);
        let notes = agent.dir.path().join("notes");
        let hooks = agent.dir.path().join("hooks");
        std::fs::create_dir(&hooks).expect("makes");
        std::fs::set_permissions(&hooks, std::fs::Permissions::from_mode(0o755)).expect("sets");
        let note = format!("echo \"$RESTIC_MANAGER_HOOK $RESTIC_MANAGER_RESULT\" >>'{}'", notes.display());
        for (name, then) in [
            ("freeze", "echo frozen"),
            ("thaw", "echo thawed; test -n \"$RESTIC_MANAGER_JOB\" && test -z \"$RESTIC_PASSWORD_FILE\""),
            ("refuses", "echo no database here >&2; exit 3"),
            ("sleeps", "exec sleep 1000"),
        ] {
            let file = hooks.join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{note}\n{then}\n")).expect("writes");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("sets");
        }
        Self { restic, server, control, agent, files, notes, repository }
    }

    fn task(&self, before: Option<&str>, after: Option<&str>, dry_run: bool) -> Task {
        let options =
            BackupOptions { before: before.map(Into::into), after: after.map(Into::into), ..BackupOptions::default() };
        let paths = vec![self.files.path().to_string_lossy().into_owned()];
        let backup = BackupSpec { paths, options, ..BackupSpec::default() };
        Task::Backup { repository_id: self.repository, backup, dry_run }
    }

    fn ends(&self, before: Option<&str>, after: Option<&str>) -> FinishReport {
        self.control.end_of(self.control.offer(self.task(before, after, false)))
    }

    /// What was noted since it was last asked.
    fn noted(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.notes).unwrap_or_default();
        let _ = std::fs::remove_file(&self.notes);
        text.lines().map(|l| l.trim().to_owned()).collect()
    }

    fn snapshots(&self) -> usize {
        self.server.ask(&self.restic, "r", &["list", "snapshots"]).lines().count()
    }
}

fn told(report: &FinishReport) -> (End, Option<CauseCode>) {
    (report.end, report.cause.as_ref().map(|c| c.code))
}

#[test]
fn hooks_run_around_a_backup_and_one_that_fails_stops_it() {
    let bench = Bench::new();
    let report = bench.ends(Some("freeze"), Some("thaw"));
    assert_eq!(told(&report), (End::Succeeded, None), "{report:?}");
    assert_eq!(bench.noted(), ["before", "after succeeded"]);

    let report = bench.ends(Some("refuses"), Some("thaw"));
    assert_eq!(told(&report), (End::Failed, Some(CauseCode::HookFailed)), "{report:?}");
    let message = report.cause.expect("a cause").message;
    assert!(message.contains("\"refuses\" before the backup") && message.contains("exit status 3"), "{message}");
    assert!(message.contains("no database here"), "its last words are told: {message}");
    assert_eq!((bench.noted(), bench.snapshots()), (vec!["before".into(), "after failed".into()], 1));

    let report = bench.ends(None, Some("refuses"));
    assert_eq!(told(&report), (End::Warning, Some(CauseCode::HookFailed)), "{report:?}");
    assert_eq!((report.snapshots.len(), bench.noted(), bench.snapshots()), (1, vec!["after succeeded".into()], 2));
}

#[test]
fn hooks_that_are_not_there_stop_it_before_anything_runs_and_dry_runs_have_none() {
    let bench = Bench::new();
    for (before, after) in [("freeze", "none"), ("../hooks/freeze", "thaw"), ("/bin/sh", "thaw")] {
        let report = bench.ends(Some(before), Some(after));
        assert_eq!(told(&report), (End::Failed, Some(CauseCode::HookFailed)), "{report:?}");
        assert_eq!(bench.noted(), [""; 0], "{before} {after}");
    }
    assert_eq!(told(&bench.ends(None, None)), (End::Succeeded, None));
    let job = bench.control.offer(bench.task(Some("refuses"), Some("thaw"), true));
    assert_eq!(told(&bench.control.end_of(job)), (End::Succeeded, None));
    assert_eq!(bench.noted(), [""; 0]);
    assert!(bench.control.lines(job).iter().any(|l| l == "a dry run runs no hooks"));
}

#[test]
fn what_a_hook_began_is_ended_after_a_cancel_and_after_a_kill() {
    let mut bench = Bench::new();
    let sleeping = |bench: &Bench| {
        let job = bench.control.offer(bench.task(Some("sleeps"), Some("thaw"), false));
        bench.control.until("the hook sleeps", |_| bench.notes.exists().then_some(()));
        job
    };
    let job = sleeping(&bench);
    bench.control.memory().cancel.push(job);
    let report = bench.control.end_of(job);
    assert_eq!(told(&report), (End::Cancelled, Some(CauseCode::Cancelled)), "{report:?}");
    assert_eq!(bench.noted(), ["before", "after cancelled"]);

    let job = sleeping(&bench);
    bench.agent.kill();
    bench.agent.run();
    let report = bench.control.end_of(job);
    assert_eq!(told(&report), (End::Failed, Some(CauseCode::AgentRestarted)), "{report:?}");
    assert_eq!(bench.noted(), ["before", "after failed"], "an agent that was killed makes up for the hook it owes");
}
