//! Drills, archives, and restores that something gets in the way of: the real agent, the real restic, files on a real disk.
#![cfg(unix)]
#![allow(clippy::expect_used)] // a test that cannot go on says so
#![allow(clippy::disallowed_methods)] // and measures its own patience

mod common;

use common::AgentUnderTest;
use common::control::Control;
use common::gate::Gate;
use common::tools::{RestServer, Restic, all_restics, restic, source};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::job::{CauseCode, End, FinishReport, Task};
use restic_manager_shared::wire::operation::{JobSecrets, Outcome};
use restic_manager_shared::wire::progress::{ChunkRequest, Phase};
use restic_manager_shared::wire::restore::{ArchiveFormat, DrillReport, Overwrite, Proof, RestoreTarget};
use restic_manager_shared::wire::state::BackupSpec;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

struct Bench {
    server: RestServer,
    control: Control,
    agent: AgentUnderTest,
    files: TempDir,
    repository: RepositoryId,
}

impl Bench {
    fn new(restic: &Restic) -> Self {
        let (server, control) = (RestServer::start(), Control::start());
        let agent = AgentUnderTest::start(&control, restic);
        let repository = control.repository(&server.url("r"), true, &server.secrets());
        Self { server, control, agent, files: source(6, 600), repository }
    }

    fn ends(&self, task: Task) -> FinishReport {
        self.control.end_of(self.control.offer(task))
    }

    fn backs_up(&self) -> String {
        let paths = vec![text(self.files.path())];
        let backup = BackupSpec { paths, ..BackupSpec::default() };
        let report = self.ends(Task::Backup { repository_id: self.repository, backup, dry_run: false });
        assert_eq!(report.end, End::Succeeded, "{report:?}");
        report.snapshots[0].id.clone()
    }

    fn file(&self, name: &str) -> String {
        text(&self.files.path().join(name))
    }

    fn drill(&self, snapshot: &str, paths: &[String], random: u32, max_bytes: u64) -> FinishReport {
        let (repository_id, snapshot, paths) = (self.repository, snapshot.to_owned(), paths.to_vec());
        self.ends(Task::Drill { repository_id, snapshot, paths, random, max_bytes })
    }

    fn restore(&self, snapshot: &str, to: &Path) -> Task {
        Task::Restore {
            repository_id: self.repository,
            snapshot: snapshot.into(),
            paths: vec![],
            target: RestoreTarget::Folder { path: text(to) },
            overwrite: Overwrite::Always,
            delete: false,
            verify: false,
            dry_run: false,
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn code(report: &FinishReport) -> Option<CauseCode> {
    report.cause.as_ref().map(|c| c.code)
}

fn told(report: &FinishReport) -> DrillReport {
    match &report.outcome {
        Some(Outcome::Drill(told)) => told.clone(),
        other => panic!("no account of a drill: {other:?} {report:?}"),
    }
}

/// Flips a byte in the middle of every pack.
fn damage(repository: &Path) {
    let mut damaged = 0;
    for folder in std::fs::read_dir(repository.join("data")).expect("reads").flatten() {
        for pack in std::fs::read_dir(folder.path()).expect("reads").flatten() {
            let mut bytes = std::fs::read(pack.path()).expect("reads");
            // Trees are small and stay whole, so that the files can be found at all.
            if bytes.len() < 50_000 {
                continue;
            }
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            let mut mode = pack.metadata().expect("there").permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o600);
            std::fs::set_permissions(pack.path(), mode).expect("opens");
            std::fs::write(pack.path(), bytes).expect("writes");
            damaged += 1;
        }
    }
    assert!(damaged > 0);
}

#[test]
fn a_drill_proves_files_and_finds_a_flipped_byte() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        let snapshot = bench.backs_up();
        std::fs::write(bench.file("file 1"), "worked on since").expect("writes");
        std::fs::remove_file(bench.file("file 2")).expect("removes");
        let named = [bench.file("file 0"), bench.file("file 1"), bench.file("file 2"), bench.file("never there")];
        let report = bench.drill(&snapshot, &named, 2, 0);
        assert_eq!((report.end, code(&report)), (End::Succeeded, None), "{v}: {report:?}");
        let drill = told(&report);
        let proof = |name: &str| drill.files.iter().find(|f| f.path == bench.file(name)).map(|f| f.proof);
        assert_eq!(proof("file 0"), Some(Proof::EqualToSource), "{v}: {drill:?}");
        assert_eq!(proof("file 1"), Some(Proof::HashVerified), "{v}: {drill:?}");
        assert_eq!(proof("file 2"), Some(Proof::HashVerified), "{v}: {drill:?}");
        assert_eq!(proof("never there"), Some(Proof::NotThere), "{v}: {drill:?}");
        assert_eq!(
            (drill.proven, drill.failed, drill.snapshot_files, drill.files.len()),
            (5, 0, 6, 6),
            "{v}: {drill:?}"
        );
        let jobs = std::fs::read_dir(bench.agent.dir.path().join("jobs")).expect("reads").count();
        assert_eq!(jobs, 0, "{v}: the scratch folder is gone");

        let little = told(&bench.drill(&snapshot, &[], 6, 250_000));
        assert_eq!((little.proven, little.left_out), (2, 4), "{v}: no more bytes than allowed: {little:?}");

        damage(&bench.server.folder("r"));
        let report = bench.drill(&snapshot, &[], 6, 0);
        assert_eq!(report.end, End::Failed, "{v}: {report:?}");
        let found = matches!(code(&report), Some(CauseCode::RestoreDiffers | CauseCode::RepositoryDamaged));
        assert!(found && told(&report).failed > 0, "{v}: {report:?}");
    }
}

#[test]
fn an_archive_is_whole_or_not_there() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        let snapshot = bench.backs_up();
        let to = tempfile::tempdir().expect("dir");
        let target = text(&to.path().join("a file.tar"));
        let archive = |path: &str, target: &str, format| Task::Archive {
            repository_id: bench.repository,
            snapshot: snapshot.clone(),
            path: path.into(),
            format,
            target: target.into(),
        };
        let top = text(bench.files.path());
        let report = bench.ends(archive(&top, &target, ArchiveFormat::Tar));
        assert_eq!(report.end, End::Succeeded, "{v}: {report:?}");
        let Some(Outcome::Archive { bytes, .. }) = report.outcome else { panic!("{v}: {report:?}") };
        assert_eq!(std::fs::metadata(&target).expect("there").len(), bytes, "{v}");
        let list = Command::new("tar").args(["-tf", &target]).output().expect("tar runs");
        let list = String::from_utf8_lossy(&list.stdout).into_owned();
        assert_eq!(list.matches("file ").count(), 6, "{v}: {list}");
        let zip = text(&to.path().join("a.zip"));
        assert_eq!(bench.ends(archive(&top, &zip, ArchiveFormat::Zip)).end, End::Succeeded, "{v}");
        assert!(std::fs::read(&zip).expect("reads").starts_with(b"PK"), "{v}");

        let again = bench.ends(archive(&top, &target, ArchiveFormat::Tar));
        assert_eq!(code(&again), Some(CauseCode::TargetUnusable), "{v}: a file is never replaced: {again:?}");
        let gone = bench.ends(archive("/no/such", &text(&to.path().join("b.tar")), ArchiveFormat::Tar));
        assert_eq!(code(&gone), Some(CauseCode::PathMissing), "{v}: {gone:?}");
        let own = text(&bench.agent.dir.path().join("x.tar"));
        assert_eq!(code(&bench.ends(archive(&top, &own, ArchiveFormat::Tar))), Some(CauseCode::TargetUnusable), "{v}");
        assert_eq!(std::fs::read_dir(to.path()).expect("reads").count(), 2, "{v}: nothing unfinished is left");
    }
}

#[test]
fn a_host_without_a_credential_restores_with_that_of_the_job_and_only_then() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        let snapshot = bench.backs_up();
        let other = Control::start();
        let agent = AgentUnderTest::start(&other, &restic);
        let to = tempfile::tempdir().expect("dir");
        let task = bench.restore(&snapshot, to.path());
        let without = other.end_of(other.offer(task.clone()));
        assert_eq!(code(&without), Some(CauseCode::CredentialMissing), "{v}: {without:?}");
        let secrets = JobSecrets { repository: Some(bench.server.secrets()), ..JobSecrets::default() };
        let with = other.end_of(other.offer_at(task.clone(), &secrets, &bench.server.url("r")));
        assert_eq!(with.end, End::Succeeded, "{v}: {with:?}");
        let landed = to.path().join(bench.files.path().strip_prefix("/").expect("absolute")).join("file 0");
        assert_eq!(std::fs::read(landed).expect("there"), std::fs::read(bench.file("file 0")).expect("there"), "{v}");
        let after = other.end_of(other.offer(task));
        assert_eq!(code(&after), Some(CauseCode::CredentialMissing), "{v}: nothing of it is kept");
        let said = format!("{with:?}{}", agent.log());
        assert!(!said.contains("repo secret") && !said.contains("pw/1 %"), "{v}: no secret is told");
    }
}

#[test]
fn a_full_disk_is_found_before_the_start_and_two_restores_do_not_meet() {
    let bench = Bench::new(&restic());
    let snapshot = bench.backs_up();
    let small = tempfile::tempdir().expect("dir");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=200k", "none"]).arg(small.path()).status();
    if mounted.is_ok_and(|s| s.success()) {
        let report = bench.ends(bench.restore(&snapshot, small.path()));
        let left = std::fs::read_dir(small.path()).expect("reads").count();
        let read_only = Command::new("mount").args(["-o", "remount,ro"]).arg(small.path()).status();
        let refused = read_only.is_ok_and(|s| s.success()).then(|| bench.ends(bench.restore(&snapshot, small.path())));
        assert!(Command::new("umount").arg(small.path()).status().expect("umount").success());
        assert_eq!((code(&report), left), (Some(CauseCode::TargetFull), 0), "{report:?}");
        let refused = refused.expect("remounts");
        assert_eq!(code(&refused), Some(CauseCode::TargetUnusable), "read-only: {refused:?}");
    }

    // The second repository has a turn of its own, so both would run at once.
    let second = bench.control.repository(&bench.server.url("s"), true, &bench.server.secrets());
    let paths = vec![text(bench.files.path())];
    let backup = BackupSpec { paths, ..BackupSpec::default() };
    let other = bench.ends(Task::Backup { repository_id: second, backup, dry_run: false }).snapshots[0].id.clone();
    let to = tempfile::tempdir().expect("dir");
    let first = bench.control.offer(bench.restore(&snapshot, to.path()));
    let Task::Restore { target, paths, overwrite, .. } = bench.restore(&other, to.path()) else { panic!("a restore") };
    let task = Task::Restore {
        repository_id: second,
        snapshot: other,
        paths,
        target,
        overwrite,
        delete: false,
        verify: false,
        dry_run: false,
    };
    let ends = [bench.control.end_of(bench.control.offer(task)), bench.control.end_of(first)];
    let refused = ends.iter().filter(|r| code(r) == Some(CauseCode::TargetUnusable)).count();
    let done = ends.iter().filter(|r| r.end == End::Succeeded).count();
    assert!(done >= 1 && done + refused == 2, "one after the other, or one refused: {ends:?}");
}

#[test]
fn a_cancelled_or_killed_restore_says_what_is_there_and_goes_on_from_it() {
    let mut bench = Bench::new(&restic());
    let gate = Gate::before(bench.server.port());
    let url = bench.server.url("r").replace(&bench.server.port().to_string(), &gate.port().to_string());
    bench.files = source(30, 30 * 1024);
    bench.repository = bench.control.repository(&url, true, &bench.server.secrets());
    let snapshot = bench.backs_up();
    let to = tempfile::tempdir().expect("dir");
    let mut task = bench.restore(&snapshot, to.path());
    if let Task::Restore { overwrite, .. } = &mut task {
        *overwrite = Overwrite::IfChanged;
    }
    let landed = to.path().join(bench.files.path().strip_prefix("/").expect("absolute"));
    let from = bench.files.path().to_owned();
    let whole = |name: &str| {
        std::fs::read(landed.join(name)).is_ok_and(|b| b == std::fs::read(from.join(name)).expect("there"))
    };
    let count = || (0..30).filter(|n| whole(&format!("file {n}"))).count();

    gate.close_after(12 << 20);
    let job = bench.control.offer(task.clone());
    gate.reached();
    bench.control.memory().cancel.push(job);
    bench.control.until("it to be stopping", |m| {
        let stopping = |c: &ChunkRequest| c.status.as_ref().is_some_and(|s| s.phase == Phase::Stopping);
        m.chunks.get(&job).is_some_and(|c| c.iter().any(stopping)).then_some(())
    });
    gate.open();
    let report = bench.control.end_of(job);
    assert_eq!((report.end, code(&report)), (End::Cancelled, Some(CauseCode::Cancelled)), "{report:?}");
    assert!(report.cause.as_ref().is_some_and(|c| c.message.contains("stays at the target")), "{report:?}");
    let Some(Outcome::Restore(told)) = &report.outcome else { panic!("{report:?}") };
    assert!(told.partial && told.target == text(&to.path().canonicalize().expect("real")), "{told:?}");
    let done = count();
    assert!(done < 30, "it was in the middle: {done}");

    gate.close_after(1 << 20);
    let job = bench.control.offer(task.clone());
    gate.reached();
    bench.agent.kill();
    gate.open();
    bench.agent.run();
    let report = bench.control.end_of(job);
    assert_eq!((report.end, code(&report)), (End::Failed, Some(CauseCode::AgentRestarted)), "{report:?}");

    let report = bench.ends(task);
    assert_eq!(report.end, End::Succeeded, "{report:?}");
    assert_eq!(count(), 30, "all of it is there now");
}
