//! Operations when something is wrong: storages that refuse, fill up or go away, damage, locks that were left behind, long lists, and
//! people who change their minds.
#![cfg(unix)]
#![allow(clippy::expect_used)] // a test that cannot go on says so
#![allow(clippy::disallowed_methods)] // and measures its own patience

mod common;

use common::AgentUnderTest;
use common::control::Control;
use common::tools::{RestServer, all_restics, restic, source};
use restic_manager_shared::id::{JobId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{CauseCode, End, FinishReport, Task};
use restic_manager_shared::wire::operation::{DeadProcess, JobSecrets, Outcome, PruneOptions, ReadData, TagChange};
use restic_manager_shared::wire::progress::{Phase, Progress};
use restic_manager_shared::wire::state::{BackupOptions, BackupSpec, RepositorySecrets};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

fn backup(repository_id: RepositoryId, path: &Path, limit_upload_kib: Option<u32>) -> Task {
    let paths = vec![path.to_string_lossy().into_owned()];
    let options = BackupOptions { limit_upload_kib, ..BackupOptions::default() };
    Task::Backup { repository_id, backup: BackupSpec { paths, options, ..BackupSpec::default() }, dry_run: false }
}

fn code(report: &FinishReport) -> Option<CauseCode> {
    report.cause.as_ref().map(|c| c.code)
}

fn ended(control: &Control, task: Task) -> FinishReport {
    control.end_of(control.offer(task))
}

/// Waits for a status of the job that is so.
fn status(control: &Control, job: JobId, what: &str, is: impl Fn(&Progress) -> bool) -> Progress {
    control.until(what, |m| m.chunks.get(&job)?.iter().filter_map(|c| c.status.clone()).find(|s| is(s)))
}

fn ids(server: &RestServer, restic: &common::tools::Restic) -> Vec<String> {
    server.ask(restic, "r", &["list", "snapshots"]).lines().map(str::to_owned).collect()
}

#[test]
fn what_removes_is_refused_on_an_append_only_credential_before_it_starts() {
    let (server, control, files) = (RestServer::start(), Control::start(), source(2, 20));
    let _agent = AgentUnderTest::start(&control, &restic());
    let r = control.repository(&server.url("r"), true, &server.secrets());
    let snapshots = vec![ended(&control, backup(r, files.path(), None)).snapshots[0].id.clone()];
    let change = TagChange { add: vec!["x".into()], ..TagChange::default() };
    for task in [
        Task::Forget { repository_id: r, snapshots: snapshots.clone(), dry_run: false },
        Task::Prune { repository_id: r, options: PruneOptions::default() },
        Task::Tag { repository_id: r, snapshots: snapshots.clone(), change },
        Task::Rewrite {
            repository_id: r,
            snapshots: snapshots.clone(),
            excludes: vec!["x".into()],
            forget: true,
            dry_run: false,
        },
        Task::RepairIndex { repository_id: r, read_all_packs: false },
        Task::KeyRemove { repository_id: r, key: "abcdef01".into() },
    ] {
        let report = ended(&control, task);
        assert_eq!((code(&report), report.pids.len()), (Some(CauseCode::CredentialAppendOnly), 0), "{report:?}");
    }
    assert_eq!(ids(&server, &restic()), snapshots);
}

/// The credential is said to be full, and the storage says no.
#[test]
fn a_refused_removal_is_told_whatever_restic_says() {
    for restic in all_restics() {
        let (server, control, files) = (RestServer::start(), Control::start(), source(2, 20));
        let _agent = AgentUnderTest::start(&control, &restic);
        let r = control.full(&server.url("r"), &server.secrets());
        let id = ended(&control, backup(r, files.path(), None)).snapshots[0].id.clone();
        let report = ended(&control, Task::Forget { repository_id: r, snapshots: vec![id.clone()], dry_run: false });
        let v = restic.version;
        assert_eq!((report.end, code(&report)), (End::Failed, Some(CauseCode::RemovalRefused)), "{v}: {report:?}");
        assert!(report.cause.as_ref().is_some_and(|c| c.message.contains(&id)), "{v}");
        let left = Outcome::Forget { dry_run: false, removed: vec![], left: vec![id] };
        assert_eq!(report.outcome, Some(left), "{v}");
    }
}

#[test]
fn a_flipped_byte_is_found_and_the_snapshots_it_touches_are_named() {
    for restic in all_restics() {
        let (server, control, files) = (RestServer::with(&[]), Control::start(), source(1, 2000));
        let _agent = AgentUnderTest::start(&control, &restic);
        let r = control.full(&server.url("r"), &server.secrets());
        let touched = ended(&control, backup(r, files.path(), None)).snapshots[0].id.clone();
        let other = source(1, 10);
        assert_eq!(ended(&control, backup(r, other.path(), None)).end, End::Succeeded);
        let pack = largest(&server.folder("r").join("data"));
        flip(&pack);
        let check = |read_data| Task::Check { repository_id: r, read_data, limit_download_kib: None };
        let v = restic.version;
        let structure = ended(&control, check(ReadData::Nothing));
        assert_eq!(structure.end, End::Succeeded, "{v}: only reading finds it");
        let report = ended(&control, check(ReadData::Everything));
        assert_eq!((report.end, code(&report)), (End::Failed, Some(CauseCode::RepositoryDamaged)), "{v}: {report:?}");
        let Some(Outcome::Check(found)) = report.outcome else { panic!("{v}") };
        let name = pack.file_name().expect("a name").to_string_lossy().into_owned();
        assert_eq!((found.broken_packs, found.broken_snapshots), (vec![name.clone()], vec![touched]), "{v}");
        assert!(found.errors > 0 && found.messages.iter().any(|m| m.contains(&name)), "{v}: {:?}", found.messages);

        let repair = ended(&control, Task::RepairPacks { repository_id: r, packs: vec![name] });
        if restic.version.minor < 17 {
            assert_eq!(code(&repair), Some(CauseCode::ResticTooOld), "{v}");
            continue;
        }
        assert_eq!(repair.end, End::Succeeded, "{v}: {repair:?}");
        let snapshots = Task::RepairSnapshots { repository_id: r, snapshots: vec![], forget: true, dry_run: false };
        let repaired = ended(&control, snapshots);
        let Some(Outcome::Repair { replaced, .. }) = &repaired.outcome else { panic!("{v}: {repaired:?}") };
        assert!(replaced.len() == 1 && replaced[0].old.len() == 64 && replaced[0].new.len() == 64, "{v}: {replaced:?}");
        assert_eq!(ended(&control, check(ReadData::Everything)).end, End::Succeeded, "{v}");
    }
}

/// A damaged folder hides what lies below it, so it cannot be found by its pack.
#[test]
fn a_flipped_byte_in_a_folder_names_the_snapshots_that_have_it_and_no_other() {
    for restic in all_restics() {
        let (server, control) = (RestServer::with(&[]), Control::start());
        let _agent = AgentUnderTest::start(&control, &restic);
        let r = control.full(&server.url("r"), &server.secrets());
        let (whole, broken, v) = (source(1, 20), source(2, 64), restic.version);
        assert_eq!(ended(&control, backup(r, whole.path(), None)).end, End::Succeeded, "{v}");
        let before = packs(&server.folder("r").join("data"));
        let first = ended(&control, backup(r, broken.path(), None)).snapshots[0].id.clone();
        // Folders have a pack of their own, which is smaller than that of the files.
        let added = packs(&server.folder("r").join("data")).into_iter().filter(|p| !before.contains(p));
        let tree = added.min_by_key(|p| p.metadata().expect("there").len()).expect("a pack");
        let second = ended(&control, backup(r, broken.path(), None)).snapshots[0].id.clone();
        flip_at(&tree, 40);
        let check = Task::Check { repository_id: r, read_data: ReadData::Nothing, limit_download_kib: None };
        let report = ended(&control, check);
        assert_eq!(code(&report), Some(CauseCode::RepositoryDamaged), "{v}: {report:?}");
        let Some(Outcome::Check(found)) = &report.outcome else { panic!("{v}: {report:?}") };
        // What plain restic cannot list.
        let mut want = vec![first, second];
        want.retain(|id| server.try_to_ask(&restic, "r", &["ls", "--no-lock", id]).is_none());
        want.sort();
        assert!(!want.is_empty(), "{v}");
        assert_eq!(found.broken_snapshots, want, "{v}: {:?}", found.messages);
        assert!(report.cause.is_some_and(|c| c.message.contains(&format!("{} snapshots touched", want.len()))), "{v}");
    }
}

#[test]
fn a_lost_index_is_made_anew() {
    for restic in all_restics() {
        let (server, control, files) = (RestServer::with(&[]), Control::start(), source(2, 50));
        let _agent = AgentUnderTest::start(&control, &restic);
        let r = control.full(&server.url("r"), &server.secrets());
        assert_eq!(ended(&control, backup(r, files.path(), None)).end, End::Succeeded);
        for file in std::fs::read_dir(server.folder("r").join("index")).expect("there").flatten() {
            std::fs::remove_file(file.path()).expect("removes");
        }
        let check = Task::Check { repository_id: r, read_data: ReadData::Nothing, limit_download_kib: None };
        let report = ended(&control, check.clone());
        let v = restic.version;
        assert_eq!(code(&report), Some(CauseCode::RepositoryDamaged), "{v}: {report:?}");
        let repair = ended(&control, Task::RepairIndex { repository_id: r, read_all_packs: false });
        assert_eq!(repair.end, End::Succeeded, "{v}: {repair:?}");
        assert_eq!(ended(&control, check).end, End::Succeeded, "{v}");
    }
}

fn packs(folder: &Path) -> Vec<PathBuf> {
    let folders = std::fs::read_dir(folder).expect("there").flatten();
    folders.flat_map(|f| std::fs::read_dir(f.path()).expect("there").flatten()).map(|f| f.path()).collect()
}

fn largest(folder: &Path) -> PathBuf {
    packs(folder).into_iter().max_by_key(|f| f.metadata().expect("there").len()).expect("one")
}

fn flip(file: &Path) {
    flip_at(file, 1000);
}

fn flip_at(file: &Path, byte: usize) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).expect("sets");
    let mut bytes = std::fs::read(file).expect("reads");
    bytes[byte] ^= 1;
    std::fs::write(file, bytes).expect("writes");
}

#[test]
fn the_lock_of_a_killed_restic_goes_and_a_living_one_of_the_same_machine_stays() {
    for restic in all_restics() {
        let (server, control, files) = (RestServer::start(), Control::start(), source(8, 60_000));
        let _agent = AgentUnderTest::start(&control, &restic);
        let r = control.repository(&server.url("r"), true, &server.secrets());
        let v = restic.version;
        let from = Timestamp::now();
        let job = control.offer(backup(r, files.path(), Some(512)));
        let moving = |s: &Progress| s.pid.is_some() && matches!(s.phase, Phase::Running | Phase::Finishing);
        let pid = status(&control, job, "a backup that moves", moving).pid.expect("a process");
        assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill").success());
        let report = control.end_of(job);
        assert_eq!(code(&report), Some(CauseCode::ResticCrashed), "{v}: {report:?}");
        assert!(report.pids.contains(&pid), "{v}: {:?}", report.pids);
        let dead = DeadProcess { pid, from, until: Timestamp::now() };

        // Another restic of this machine works on.
        let mut living = Command::new(&restic.path)
            .args(["backup", "--no-cache", "--limit-upload", "256"])
            .arg(files.path())
            .env("RESTIC_REPOSITORY", server.url("r").replace("http://", "http://alice:pw%2F1%20%25@"))
            .env("RESTIC_PASSWORD", "repo secret")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("runs");
        while server.ask(&restic, "r", &["list", "locks"]).lines().count() < 2 {
            assert!(living.try_wait().expect("known").is_none(), "{v}: the other restic ended");
        }
        let locks = ended(&control, Task::Locks { repository_id: r });
        let Some(Outcome::Locks { left, .. }) = locks.outcome else { panic!("{v}: {locks:?}") };
        assert_eq!(left.len(), 2, "{v}: {left:?}");

        let unlock = |dead: Vec<DeadProcess>| Task::Unlock { repository_id: r, dead, remove_all: false };
        let alive = DeadProcess { pid: living.id(), ..dead };
        let report = ended(&control, unlock(vec![alive]));
        let Some(Outcome::Locks { removed, left }) = report.outcome else { panic!("{v}: {report:?}") };
        assert_eq!((removed.len(), left.len()), (0, 2), "{v}: what lives is not dead because somebody says so");
        let report = ended(&control, unlock(vec![dead]));
        let Some(Outcome::Locks { removed, left }) = report.outcome else { panic!("{v}: {report:?}") };
        assert_eq!(removed.iter().map(|l| l.pid).collect::<Vec<_>>(), [pid], "{v}");
        assert_eq!(left.iter().map(|l| l.pid).collect::<Vec<_>>(), [living.id()], "{v}");
        assert!(living.try_wait().expect("known").is_none(), "{v}: it works on");
        living.kill().and_then(|()| living.wait()).expect("killed");

        let all = ended(&control, Task::Unlock { repository_id: r, dead: vec![], remove_all: true });
        let Some(Outcome::Locks { removed, left }) = all.outcome else { panic!("{v}: {all:?}") };
        assert_eq!((removed.len(), left.len()), (1, 0), "{v}");
    }
}

/// A repository with something to prune, slowly.
fn prunable(control: &Control, server: &RestServer, r: RepositoryId) -> Task {
    let files = source(40, 24_000);
    let small_packs = || {
        let options = BackupOptions { pack_size_mib: Some(4), ..BackupOptions::default() };
        let paths = vec![files.path().to_string_lossy().into_owned()];
        Task::Backup {
            repository_id: r,
            backup: BackupSpec { paths, options, ..BackupSpec::default() },
            dry_run: false,
        }
    };
    let once = ended(control, small_packs());
    // Every second file, so that no pack is needed whole and none not at all.
    for n in (0..40).step_by(2) {
        std::fs::remove_file(files.path().join(format!("file {n}"))).expect("removes");
    }
    assert_eq!(ended(control, small_packs()).end, End::Succeeded);
    let snapshots = vec![once.snapshots[0].id.clone()];
    assert_eq!(ended(control, Task::Forget { repository_id: r, snapshots, dry_run: false }).end, End::Succeeded);
    assert!(server.folder("r").exists());
    let options =
        PruneOptions { max_unused: Some("0".into()), limit_download_kib: Some(2000), ..PruneOptions::default() };
    Task::Prune { repository_id: r, options }
}

#[test]
fn a_prune_shows_how_far_it_is_and_can_be_cancelled() {
    for restic in all_restics() {
        let (server, control) = (RestServer::with(&[]), Control::start());
        let _agent = AgentUnderTest::start(&control, &restic);
        let r = control.full(&server.url("r"), &server.secrets());
        let v = restic.version;
        let job = control.offer(prunable(&control, &server, r));
        let repacking = |s: &Progress| s.step.as_deref() == Some("repacking packs") && s.units_done > Some(0);
        let progress = status(&control, job, "packs being repacked", repacking);
        assert!(progress.units_total.is_some() && progress.percent.is_some_and(|p| p < 1.0), "{v}: {progress:?}");
        assert_eq!((progress.unit.as_deref(), progress.pid.is_some()), (Some("packs repacked"), true), "{v}");
        control.memory().cancel.push(job);
        let report = control.end_of(job);
        assert_eq!((report.end, code(&report)), (End::Cancelled, Some(CauseCode::Cancelled)), "{v}: {report:?}");
        let words = report.cause.expect("a cause").message;
        assert!(words.contains("no snapshot lost anything"), "{v}: {words}");
        assert_eq!(server.ask(&restic, "r", &["list", "locks"]).trim(), "", "{v}");
        let mut of_step: Vec<(String, f64)> = Vec::new();
        for s in control.memory().chunks[&job].iter().filter_map(|c| c.status.clone()) {
            let (Some(step), Some(percent)) = (s.step, s.percent) else { continue };
            assert!(
                of_step.last().is_none_or(|(last, p)| *last != step || *p <= percent),
                "{v}: {of_step:?} {percent}"
            );
            of_step.push((step, percent));
        }
        let check = Task::Check { repository_id: r, read_data: ReadData::Everything, limit_download_kib: None };
        assert_eq!(ended(&control, check).end, End::Succeeded, "{v}: nothing is harmed");
    }
}

#[test]
fn a_prune_outlives_a_storage_that_goes_away_for_a_while() {
    let (mut server, control) = (RestServer::with(&[]), Control::start());
    let restic = restic();
    let _agent = AgentUnderTest::start(&control, &restic);
    let r = control.full(&server.url("r"), &server.secrets());
    let job = control.offer(prunable(&control, &server, r));
    status(&control, job, "packs being repacked", |s| {
        s.step.as_deref() == Some("repacking packs") && s.units_done > Some(0)
    });
    server.kill();
    status(&control, job, "that the storage is away", |s| s.phase == Phase::WaitingForRepository);
    server.run();
    let report = control.end_of(job);
    assert_eq!(report.end, End::Succeeded, "{report:?}");
    assert!(matches!(report.outcome, Some(Outcome::Prune(figures)) if figures.total_bytes > Some(1_000_000)));
}

#[test]
fn a_full_storage_is_named_as_such() {
    let newest = restic();
    let (server, control, files) = (RestServer::with(&["--max-size", "3000000"]), Control::start(), source(2, 6000));
    let _agent = AgentUnderTest::start(&control, &newest);
    let r = control.full(&server.url("r"), &server.secrets());
    let report = ended(&control, backup(r, files.path(), None));
    assert_eq!((report.end, code(&report)), (End::Failed, Some(CauseCode::StorageFull)), "{report:?}");
}

#[test]
fn bad_credentials_and_policies_are_plain_refusals() {
    let (server, control, files) = (RestServer::with(&[]), Control::start(), source(1, 10));
    let agent = AgentUnderTest::start(&control, &restic());
    let r = control.full(&server.url("r"), &server.secrets());
    assert_eq!(ended(&control, backup(r, files.path(), None)).end, End::Succeeded);
    let newline = RepositorySecrets { rest_password: Some(Secret::new("pw/1 %\nX-Evil: 1")), ..server.secrets() };
    let bad = control.full(&server.url("r"), &newline);
    let report = ended(&control, Task::Locks { repository_id: bad });
    assert_eq!(code(&report), Some(CauseCode::StorageUnauthorized), "{report:?}");
    let wrong = RepositorySecrets { password: Secret::new("nope"), ..server.secrets() };
    let wrong = control.full(&server.url("r"), &wrong);
    for task in [
        Task::Prune { repository_id: wrong, options: PruneOptions::default() },
        Task::Check { repository_id: wrong, read_data: ReadData::Nothing, limit_download_kib: None },
        Task::KeyList { repository_id: wrong },
        Task::Locks { repository_id: wrong },
    ] {
        let report = ended(&control, task);
        assert_eq!(code(&report), Some(CauseCode::WrongPassword), "{report:?}");
    }

    let account = Task::WriteAccount { repository_id: r, user: "web2".into() };
    let secrets = JobSecrets { account_line: Some(Secret::new("web2:{SHA}abc")), ..JobSecrets::default() };
    let report = control.end_of(control.offer_with(account.clone(), &secrets));
    assert_eq!(code(&report), Some(CauseCode::PolicyForbids), "{report:?}");
    let file = agent.dir.path().join("htpasswd");
    std::fs::write(&file, "web1:x\n").expect("writes");
    let policy = format!("operations = [\"write_account\", \"locks\"]\naccounts_file = {file:?}\n");
    std::fs::write(agent.dir.path().join("policy.toml"), policy).expect("writes");
    let report = control.end_of(control.offer_with(account, &secrets));
    assert_eq!(report.outcome, Some(Outcome::Account { user: "web2".into() }), "{report:?}");
    assert_eq!(std::fs::read_to_string(&file).expect("reads"), "web1:x\nweb2:{SHA}abc\n");
    let report = ended(&control, Task::Prune { repository_id: r, options: PruneOptions::default() });
    assert_eq!(code(&report), Some(CauseCode::PolicyForbids), "{report:?}");
    assert!(report.cause.is_some_and(|c| c.message.contains("\"prune\"")));
}

#[test]
fn a_long_list_of_snapshots_travels_in_parts() {
    let restic = restic();
    let (server, control, files) = (RestServer::with(&[]), Control::start(), source(1, 1));
    let _agent = AgentUnderTest::start(&control, &restic);
    let r = control.full(&server.url("r"), &server.secrets());
    assert_eq!(ended(&control, backup(r, files.path(), None)).end, End::Succeeded);
    let many = 230;
    let url = server.url("r").replace("http://", "http://alice:pw%2F1%20%25@");
    let script = format!(
        "for i in $(seq {many}); do echo x$i > {0}/x; {1:?} backup -q --no-cache --host other --tag t$i {0}; done",
        files.path().display(),
        restic.path
    );
    let status = Command::new("sh")
        .args(["-c", &script])
        .env("RESTIC_REPOSITORY", url)
        .env("RESTIC_PASSWORD", "repo secret")
        .status();
    assert!(status.expect("runs").success());
    control.memory().refuse_parts = 2;
    let job = control.offer(Task::Snapshots { repository_id: r, all_hosts: true });
    let report = control.end_of(job);
    assert_eq!(
        (report.end, report.snapshots.len(), report.snapshots_complete),
        (End::Succeeded, 0, true),
        "{report:?}"
    );
    assert_eq!(report.outcome, Some(Outcome::Snapshots { count: many + 1 }));
    let sent: usize = control.memory().parts[&job].iter().map(|p| p.snapshots.len()).sum();
    assert_eq!(sent as u64, many + 1);
    let own = ended(&control, Task::Snapshots { repository_id: r, all_hosts: false });
    assert_eq!((own.snapshots.len(), own.snapshots_complete), (1, true));
}
