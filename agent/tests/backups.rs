//! Whole jobs: the real agent, real restics of every version at hand, a real append-only rest-server.
#![cfg(unix)]
#![allow(clippy::expect_used)] // a test that cannot go on says so
#![allow(clippy::disallowed_methods)] // and measures its own patience

mod common;

use common::AgentUnderTest;
use common::control::Control;
use common::tools::{RestServer, Restic, all_restics, restic, source};
use restic_manager_shared::id::{JobId, RepositoryId};
use restic_manager_shared::restic::snapshot::{is_whole_id, parse_list};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::job::{CauseCode, End, FinishReport, SnapshotRecord, Task, job_tag};
use restic_manager_shared::wire::progress::Phase;
use restic_manager_shared::wire::state::{BackupOptions, BackupSpec, RepositorySecrets};
use std::path::Path;
use std::time::{Duration, Instant};

fn backup(repository_id: RepositoryId, path: &Path) -> Task {
    let paths = vec![path.to_string_lossy().into_owned()];
    Task::Backup {
        repository_id,
        backup: BackupSpec { paths, tags: vec!["daily".into()], ..BackupSpec::default() },
        dry_run: false,
    }
}

/// Slow enough to be caught in the middle.
fn slow_backup(repository_id: RepositoryId, path: &Path) -> Task {
    let paths = vec![path.to_string_lossy().into_owned()];
    let options = BackupOptions { limit_upload_kib: Some(1024), ..BackupOptions::default() };
    Task::Backup { repository_id, backup: BackupSpec { paths, options, ..BackupSpec::default() }, dry_run: false }
}

fn code(report: &FinishReport) -> Option<CauseCode> {
    report.cause.as_ref().map(|c| c.code)
}

fn until_it_moves(control: &Control, job: JobId) {
    control.until("progress", |m| {
        let moving = |p: &Phase| matches!(p, Phase::Running | Phase::Finishing);
        m.chunks.get(&job)?.iter().filter_map(|c| c.status.as_ref()).any(|s| moving(&s.phase)).then_some(())
    });
}

#[test]
fn a_first_backup_makes_the_repository_and_reports_the_snapshot_as_restic_lists_it() {
    for restic in all_restics() {
        let (server, control, files) = (RestServer::start(), Control::start(), source(20, 400));
        let agent = AgentUnderTest::start(&control, &restic);
        let repository = control.repository(&server.url("r"), true, &server.secrets());
        let job = control.offer(backup(repository, files.path()));
        let report = control.end_of(job);
        let v = restic.version;
        assert_eq!((report.end, code(&report), report.exit_code), (End::Succeeded, None, Some(0)), "{v}: {report:?}");
        let summary = report.summary.clone().expect("a summary");
        assert_eq!((summary.files_new, summary.total_bytes_processed), (20, 409_600), "{v}");
        assert!(summary.snapshot_id.as_deref().is_some_and(is_whole_id), "{v}: {summary:?}");
        let listed = parse_list(&server.ask(&restic, "r", &["snapshots", "--json"])).expect("a list");
        let listed: Vec<SnapshotRecord> = listed.into_iter().map(|s| s.try_into().expect("an entry")).collect();
        let ours = &report.snapshots[0];
        assert_eq!((listed.len(), report.snapshots.len()), (1, 1), "{v}");
        assert_eq!(
            (&ours.id, ours.time, &ours.hostname, &ours.paths, &ours.tags),
            (&listed[0].id, listed[0].time, &listed[0].hostname, &listed[0].paths, &listed[0].tags),
            "{v}"
        );
        assert!(ours.tags.contains(&job_tag(job)) && ours.hostname == "web1");
        assert!(control.lines(job).iter().any(|l| l.contains("restic backup --json --host web1")), "{v}");
        assert_eq!(report.command.as_deref().map(|c| c.starts_with("restic backup --json")), Some(true));

        let report = control.end_of(control.offer(Task::Snapshots { repository_id: repository, all_hosts: false }));
        assert!(report.snapshots_complete && report.end == End::Succeeded, "{v}: {report:?}");
        assert_eq!(report.snapshots.iter().map(|s| &s.id).collect::<Vec<_>>(), [&ours.id], "{v}");
        nothing_leaked(&control, &agent, &report);
    }
}

fn nothing_leaked(control: &Control, agent: &AgentUnderTest, report: &FinishReport) {
    let told = format!("{:?} {report:?} {}", control.memory().chunks, agent.log());
    for secret in ["repo secret", "pw/1 %", "pw%2F1"] {
        assert!(!told.contains(secret), "{secret} is in what left the job");
    }
    let left = std::fs::read_dir(agent.dir.path().join("jobs")).expect("there").count();
    assert_eq!(left, 0, "a job's folder was left behind");
}

#[test]
fn each_trouble_has_its_cause_within_seconds() {
    for restic in all_restics() {
        troubles(&restic);
    }
}

fn troubles(restic: &Restic) {
    let (server, control, files) = (RestServer::start(), Control::start(), source(2, 4));
    let _agent = AgentUnderTest::start(&control, restic);
    let good = server.secrets();
    let wrong = RepositorySecrets { password: Secret::new("not it"), ..server.secrets() };
    let stranger = RepositorySecrets { rest_password: Some(Secret::new("nope")), ..server.secrets() };
    let there = control.repository(&server.url("there"), true, &good);
    let ended = |task: Task| {
        let began = Instant::now();
        let report = control.end_of(control.offer(task));
        assert!(began.elapsed() < Duration::from_secs(30), "took {:?}", began.elapsed());
        (report.end, code(&report))
    };
    let gone = files.path().join("gone");
    assert_eq!(ended(Task::Init { repository_id: there }), (End::Succeeded, None));
    assert_eq!(ended(Task::Init { repository_id: there }), (End::Failed, Some(CauseCode::RepositoryExists)));
    assert_eq!(ended(backup(there, &gone)), (End::Failed, Some(CauseCode::SourceMissing)));
    let local = files.path().join("no repository").to_string_lossy().into_owned();
    let cases = [
        (server.url("there"), &wrong, CauseCode::WrongPassword),
        (server.url("there"), &stranger, CauseCode::StorageUnauthorized),
        (server.url("missing"), &good, CauseCode::RepositoryMissing),
        ("rest:http://127.0.0.1:1/alice/x".to_owned(), &good, CauseCode::RepositoryUnreachable),
        (local, &good, CauseCode::RepositoryMissing),
    ];
    for (url, secrets, want) in cases {
        let repository = control.repository(&url, false, secrets);
        assert_eq!(ended(backup(repository, files.path())), (End::Failed, Some(want)), "{} {url}", restic.version);
    }
    assert_eq!(ended(backup(RepositoryId::new(), &gone)), (End::Failed, Some(CauseCode::CredentialMissing)));
    let partly = BackupSpec {
        paths: [files.path(), &gone].map(|p| p.to_string_lossy().into_owned()).into(),
        ..BackupSpec::default()
    };
    let partly = Task::Backup { repository_id: there, backup: partly, dry_run: false };
    assert_eq!(ended(partly), (End::Warning, Some(CauseCode::SourceUnreadable)));
}

#[test]
fn a_cancelled_backup_leaves_no_snapshot_and_no_lock() {
    for restic in all_restics() {
        let (server, control, files) = (RestServer::start(), Control::start(), source(8, 60_000));
        let _agent = AgentUnderTest::start(&control, &restic);
        let repository = control.repository(&server.url("r"), true, &server.secrets());
        let job = control.offer(slow_backup(repository, files.path()));
        until_it_moves(&control, job);
        control.memory().cancel.push(job);
        let report = control.end_of(job);
        assert_eq!((report.end, code(&report)), (End::Cancelled, Some(CauseCode::Cancelled)), "{}", restic.version);
        assert_eq!(server.ask(&restic, "r", &["list", "locks"]).trim(), "");
        assert_eq!(server.ask(&restic, "r", &["snapshots", "--json"]).trim(), "[]");
    }
}

#[test]
fn the_job_goes_on_while_the_control_plane_is_away() {
    let (server, control, files) = (RestServer::start(), Control::start(), source(8, 12_000));
    let agent = AgentUnderTest::start(&control, &restic());
    let repository = control.repository(&server.url("r"), true, &server.secrets());
    let job = control.offer(slow_backup(repository, files.path()));
    until_it_moves(&control, job);
    control.memory().away = true;
    let end = Instant::now() + Duration::from_secs(60);
    while !agent.status().contains("ended, not yet confirmed") {
        assert!(Instant::now() < end, "the job does not end without the control plane");
    }
    control.memory().away = false;
    let report = control.end_of(job);
    assert_eq!(report.end, End::Succeeded);
    let memory = control.memory();
    let seqs: Vec<i64> = memory.chunks[&job].iter().map(|c| c.seq).collect();
    assert!(seqs.windows(2).all(|w| w[1] == w[0] + 1) && seqs[0] == 1, "{seqs:?}");
    assert_eq!(memory.claims.len(), 1);
}

#[test]
fn a_killed_agent_says_so_when_it_is_back_and_runs_nothing_twice() {
    let (server, control, files) = (RestServer::start(), Control::start(), source(8, 60_000));
    let mut agent = AgentUnderTest::start(&control, &restic());
    let repository = control.repository(&server.url("r"), true, &server.secrets());
    let job = control.offer(slow_backup(repository, files.path()));
    until_it_moves(&control, job);
    agent.kill();
    agent.run();
    let report = control.end_of(job);
    assert_eq!((report.end, code(&report)), (End::Failed, Some(CauseCode::AgentRestarted)));
    // The host is fit for the next job, and nobody works on the old one any more.
    let next = control.offer(backup(repository, &files.path().join("file 1")));
    assert_eq!(control.end_of(next).end, End::Succeeded);
    assert_eq!(control.memory().claims.iter().filter(|(id, _)| *id == job).count(), 1);
    let snapshots = parse_list(&server.ask(&restic(), "r", &["snapshots", "--json"])).expect("a list");
    assert_eq!(snapshots.len(), 1);
}

#[test]
fn a_stopped_agent_stops_restic_softly_and_reports_it_before_it_goes() {
    let (server, control, files) = (RestServer::start(), Control::start(), source(8, 60_000));
    let mut agent = AgentUnderTest::start(&control, &restic());
    let repository = control.repository(&server.url("r"), true, &server.secrets());
    let job = control.offer(slow_backup(repository, files.path()));
    until_it_moves(&control, job);
    assert_eq!(agent.terminate(), Some(0));
    let report = control.end_of(job);
    assert_eq!((report.end, code(&report)), (End::Failed, Some(CauseCode::AgentRestarted)));
    assert_eq!(server.ask(&restic(), "r", &["list", "locks"]).trim(), "");
}

#[test]
fn a_clock_that_is_an_hour_off_is_corrected() {
    let control = Control::start();
    let server = RestServer::start();
    control.memory().skew = 3600;
    let agent = AgentUnderTest::start(&control, &restic());
    let repository = control.repository(&server.url("r"), true, &server.secrets());
    let report = control.end_of(control.offer(Task::Init { repository_id: repository }));
    assert_eq!(report.end, End::Succeeded);
    let ahead = report.finished_at.since(restic_manager_shared::time::Timestamp::now());
    assert!((3500..3700).contains(&ahead.as_secs()), "{ahead:?}");
    assert!(agent.log().contains("clock differs"));
    assert!(agent.status().contains("running"), "{}", agent.status());
}

#[test]
fn jobs_of_one_repository_wait_for_each_other() {
    let (server, control, files) = (RestServer::start(), Control::start(), source(4, 40));
    let _agent = AgentUnderTest::start(&control, &restic());
    let repository = control.repository(&server.url("r"), true, &server.secrets());
    let jobs: Vec<JobId> = (0..4).map(|_| control.offer(backup(repository, files.path()))).collect();
    let mut spans: Vec<_> =
        jobs.iter().map(|j| control.end_of(*j)).map(|r| (r.started_at, r.finished_at, r.end)).collect();
    spans.sort_by_key(|s| s.0);
    assert!(spans.iter().all(|s| s.2 == End::Succeeded), "{spans:?}");
    assert!(spans.windows(2).all(|w| w[0].1 <= w[1].0), "{spans:?}");
}

#[test]
fn a_policy_is_the_hosts_own_word() {
    let control = Control::start();
    let agent = AgentUnderTest::start(&control, &restic());
    std::fs::write(agent.dir.path().join("policy.toml"), "mode = \"backup-only\"\n").expect("writes");
    let report = control.end_of(control.offer(Task::Init { repository_id: RepositoryId::new() }));
    assert_eq!(report.end, End::Failed);
    assert!(report.cause.expect("a cause").message.contains("policy.toml"));
}
