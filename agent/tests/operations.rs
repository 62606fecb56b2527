//! Every operation end to end: the real agent, restics of every version at hand, a real rest-server that lets everything be done.
#![cfg(unix)]
#![allow(clippy::expect_used)] // a test that cannot go on says so
#![allow(clippy::disallowed_methods)] // and measures its own patience

mod common;

use common::AgentUnderTest;
use common::control::Control;
use common::tools::{RestServer, Restic, all_restics, source};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::restic::snapshot::is_whole_id;
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::job::{CauseCode, End, FinishReport, Task};
use restic_manager_shared::wire::operation::{
    CopySource, DeleteVerdict, JobSecrets, Outcome, PruneOptions, ReadData, StatsMode, TagChange,
};
use restic_manager_shared::wire::state::{BackupOptions, BackupSpec, RepositorySecrets, StdinSource};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use tempfile::TempDir;

/// A host with a repository that it may do everything with, and a folder to back up.
struct Bench {
    restic: Restic,
    server: RestServer,
    control: Control,
    agent: AgentUnderTest,
    files: TempDir,
    repository: RepositoryId,
}

impl Bench {
    fn new(restic: &Restic) -> Self {
        let (server, control) = (RestServer::with(&[]), Control::start());
        let agent = AgentUnderTest::start(&control, restic);
        let repository = control.full(&server.url("r"), &server.secrets());
        Self { restic: restic.clone(), server, control, agent, files: source(6, 900), repository }
    }

    fn ends(&self, task: Task) -> FinishReport {
        self.control.end_of(self.control.offer(task))
    }

    /// Ends well, and gives what came of it.
    fn does(&self, task: Task) -> Outcome {
        let report = self.ends(task);
        assert_eq!((report.end, code(&report)), (End::Succeeded, None), "{}: {report:?}", self.restic.version);
        report.outcome.unwrap_or_else(|| panic!("{}: no outcome", self.restic.version))
    }

    /// A backup's snapshot.
    fn backs_up(&self) -> String {
        let report = self.ends(backup(self.repository, self.files.path(), BackupOptions::default(), false));
        assert_eq!(report.end, End::Succeeded, "{}: {report:?}", self.restic.version);
        assert!(!report.pids.is_empty(), "the report names the processes");
        report.snapshots[0].id.clone()
    }

    fn is(&self, major: u32, minor: u32) -> bool {
        self.restic.version >= Version::new(major, minor, 0)
    }

    fn ids(&self) -> Vec<String> {
        let text = self.server.ask(&self.restic, "r", &["list", "snapshots"]);
        text.lines().filter(|l| is_whole_id(l)).map(str::to_owned).collect()
    }
}

fn backup(repository_id: RepositoryId, path: &Path, options: BackupOptions, dry_run: bool) -> Task {
    let paths = vec![path.to_string_lossy().into_owned()];
    Task::Backup { repository_id, backup: BackupSpec { paths, options, ..BackupSpec::default() }, dry_run }
}

fn code(report: &FinishReport) -> Option<CauseCode> {
    report.cause.as_ref().map(|c| c.code)
}

#[test]
fn looking_at_snapshots() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let (r, v) = (bench.repository, restic.version);
        let first = bench.backs_up();
        std::fs::write(bench.files.path().join("new one"), "hello").expect("writes");
        std::fs::remove_file(bench.files.path().join("file 0")).expect("removes");
        let second = bench.backs_up();

        let top = bench.files.path().to_string_lossy().into_owned();
        let ls = |path: &str, recursive| Task::Ls {
            repository_id: r,
            snapshot: second.clone(),
            path: path.into(),
            recursive,
        };
        let Outcome::Ls { entries, omitted } = bench.does(ls(&top, false)) else { panic!("{v}") };
        assert_eq!((entries.len(), omitted), (7, 0), "{v}: the folder and six files");
        assert!(entries.iter().any(|e| e.path.ends_with("/new one") && e.size == Some(5)), "{v}");
        let Outcome::Ls { entries, .. } = bench.does(ls("/", true)) else { panic!("{v}") };
        assert!(entries.len() >= 8, "{v}: {entries:?}");
        let gone = bench.ends(ls("/no/such/folder", false));
        assert_eq!((gone.end, gone.outcome.is_none()), (End::Failed, true), "{v}");

        let find = |pattern: &str, snapshots: &[String]| Task::Find {
            repository_id: r,
            pattern: pattern.into(),
            snapshots: snapshots.to_vec(),
            ignore_case: true,
        };
        let Outcome::Find { entries, .. } = bench.does(find("FILE*", &[])) else { panic!("{v}") };
        assert_eq!(entries.len(), 11, "{v}: six in the first, five in the second");
        let Outcome::Find { entries, .. } = bench.does(find("new one", std::slice::from_ref(&second))) else {
            panic!("{v}")
        };
        assert_eq!(entries[0].snapshot.as_ref(), Some(&second), "{v}");
        let Outcome::Find { entries, .. } = bench.does(find("none", &[])) else { panic!("{v}") };
        assert!(entries.is_empty(), "{v}");

        for mode in [StatsMode::RestoreSize, StatsMode::FilesByContents, StatsMode::RawData, StatsMode::BlobsPerFile] {
            let task = Task::Stats { repository_id: r, mode, snapshots: vec![] };
            let Outcome::Stats(stats) = bench.does(task) else { panic!("{v}") };
            assert_eq!((stats.mode, stats.snapshots_count), (mode, Some(2)), "{v}");
            assert!(stats.total_size > 900_000, "{v} {stats:?}");
        }
        let task = Task::Stats { repository_id: r, mode: StatsMode::RestoreSize, snapshots: vec![second.clone()] };
        let Outcome::Stats(stats) = bench.does(task) else { panic!("{v}") };
        assert_eq!(stats.snapshots_count, Some(1), "{v}");

        let diff = Task::Diff { repository_id: r, from: first.clone(), to: second.clone(), metadata: false };
        let Outcome::Diff { changes, added, removed, .. } = bench.does(diff) else { panic!("{v}") };
        assert_eq!((changes.len(), added.files, removed.files), (2, 1, 1), "{v}: {changes:?}");

        let nobody = "1".repeat(64);
        for task in [
            Task::Ls { repository_id: r, snapshot: nobody.clone(), path: "/".into(), recursive: false },
            Task::Diff { repository_id: r, from: first.clone(), to: nobody.clone(), metadata: false },
            Task::Stats { repository_id: r, mode: StatsMode::RestoreSize, snapshots: vec![nobody.clone()] },
            find("x", std::slice::from_ref(&nobody)),
        ] {
            let report = bench.ends(task);
            assert_eq!((report.end, code(&report)), (End::Failed, Some(CauseCode::SnapshotMissing)), "{v}: {report:?}");
        }
    }
}

#[test]
fn forgetting_pruning_and_checking() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let (r, v) = (bench.repository, restic.version);
        let first = bench.backs_up();
        let big = source(1, 3000);
        std::fs::copy(big.path().join("file 0"), bench.files.path().join("big")).expect("copies");
        let second = bench.backs_up();
        std::fs::remove_file(bench.files.path().join("big")).expect("removes");
        let third = bench.backs_up();

        let forget = |ids: &[&String], dry_run| Task::Forget {
            repository_id: r,
            snapshots: ids.iter().map(|s| (*s).clone()).collect(),
            dry_run,
        };
        let dry = bench.does(forget(&[&second], true));
        let want = |dry_run, removed| Outcome::Forget { dry_run, removed, left: vec![] };
        assert_eq!(dry, want(true, vec![second.clone()]), "{v}");
        assert_eq!(bench.ids().len(), 3, "{v}");
        assert_eq!(bench.does(forget(&[&second], false)), want(false, vec![second.clone()]), "{v}");
        assert_eq!(bench.ids().len(), 2, "{v}");
        assert_eq!(bench.does(forget(&[&second], false)), want(false, vec![second.clone()]), "{v}: gone is gone");
        assert_eq!(code(&bench.ends(forget(&[&second], true))), Some(CauseCode::SnapshotMissing), "{v}");
        let empty = bench.ends(Task::Forget { repository_id: r, snapshots: vec![], dry_run: false });
        assert_eq!(empty.end, End::Failed, "{v}: nothing is not everything");
        assert_eq!(bench.ids().len(), 2, "{v}");

        let prune = |dry_run| {
            let options =
                PruneOptions { max_unused: Some("0".into()), repack_small: true, dry_run, ..PruneOptions::default() };
            Task::Prune { repository_id: r, options }
        };
        let Outcome::Prune(dry) = bench.does(prune(true)) else { panic!("{v}") };
        assert!(dry.dry_run && dry.total_bytes > Some(3_000_000), "{v}: {dry:?}");
        let job = bench.control.offer(prune(false));
        let report = bench.control.end_of(job);
        let Some(Outcome::Prune(figures)) = report.outcome else { panic!("{v}: {report:?}") };
        assert!(!figures.dry_run && figures.total_bytes == dry.total_bytes, "{v}: {figures:?}");
        assert!(figures.remaining_bytes.is_some() && figures.unused_bytes == Some(0), "{v}");
        assert!(bench.control.lines(job).iter().any(|l| l == "done"), "{v}: {:?}", bench.control.lines(job));
        let Outcome::Prune(nothing) = bench.does(prune(false)) else { panic!("{v}") };
        assert_eq!(nothing.total_bytes, Some(0), "{v}");

        for read_data in [
            ReadData::Nothing,
            ReadData::Everything,
            ReadData::Part { part: 1, of: 2 },
            ReadData::Part { part: 2, of: 2 },
            ReadData::Percent { percent: 50 },
        ] {
            let task = Task::Check { repository_id: r, read_data, limit_download_kib: None };
            let Outcome::Check(report) = bench.does(task) else { panic!("{v}") };
            assert_eq!(
                (report.read_data, report.errors, report.broken_packs.len()),
                (read_data, 0, 0),
                "{v}: {report:?}"
            );
        }
        assert_eq!(bench.ids().len(), 2, "{v}: {first} and {third} stay");
    }
}

#[test]
fn tags_and_rewrites() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let (r, v) = (bench.repository, restic.version);
        let (first, second) = (bench.backs_up(), bench.backs_up());
        let tag = |change| Task::Tag { repository_id: r, snapshots: vec![first.clone()], change };
        let add = TagChange { add: vec!["pinned".into()], ..TagChange::default() };
        let Outcome::Tag { replaced } = bench.does(tag(add.clone())) else { panic!("{v}") };
        assert_eq!((replaced.len(), &replaced[0].old), (1, &first), "{v}: {replaced:?}");
        assert!(is_whole_id(&replaced[0].new) && bench.ids().contains(&replaced[0].new), "{v}");
        let report = bench.ends(tag(add));
        assert_eq!(code(&report), Some(CauseCode::SnapshotMissing), "{v}: it has another id now: {report:?}");
        assert_eq!(bench.ends(tag(TagChange::default())).end, End::Failed, "{v}: no change is no tag");

        let excludes = vec!["file 0".to_owned()];
        let rewrite = |forget, dry_run| Task::Rewrite {
            repository_id: r,
            snapshots: vec![second.clone()],
            excludes: excludes.clone(),
            forget,
            dry_run,
        };
        if !bench.is(0, 15) {
            let report = bench.ends(rewrite(false, true));
            assert_eq!(code(&report), Some(CauseCode::ResticTooOld), "{v}");
            let words = report.cause.expect("a cause").message;
            assert!(words.contains("needs restic 0.15 or later on this host, which has 0.14.0"), "{words}");
            continue;
        }
        let Outcome::Rewrite { dry_run: true, replaced, forgotten: false } = bench.does(rewrite(true, true)) else {
            panic!("{v}")
        };
        assert_eq!((replaced[0].old.as_str(), replaced[0].new.as_str()), (second.as_str(), ""), "{v}");
        assert_eq!(bench.ids().len(), 2, "{v}");
        let Outcome::Rewrite { dry_run: false, replaced, forgotten: true } = bench.does(rewrite(true, false)) else {
            panic!("{v}")
        };
        assert_eq!(replaced[0].old, second, "{v}");
        let left = bench.ids();
        assert!(left.contains(&replaced[0].new) && !left.contains(&second) && left.len() == 2, "{v}: {left:?}");
        let ls = bench.server.ask(&restic, "r", &["ls", &replaced[0].new]);
        assert!(!ls.contains("file 0") && ls.contains("file 1"), "{v}");
    }
}

#[test]
fn copying_to_a_second_repository() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        let (first, _) = (bench.backs_up(), bench.backs_up());
        let other = RestServer::with(&[]);
        let secrets = RepositorySecrets { password: Secret::new("another secret"), ..other.secrets() };
        let target = bench.control.full(&other.url("copy"), &secrets);
        assert_eq!(bench.ends(Task::Init { repository_id: target }).end, End::Succeeded, "{v}");
        let copy = |snapshots: &[String]| Task::Copy {
            repository_id: target,
            from: CopySource { repository_id: bench.repository, snapshots: snapshots.to_vec() },
        };
        let Outcome::Copy { copied, .. } = bench.does(copy(&[first])) else { panic!("{v}") };
        assert_eq!(copied, 1, "{v}");
        let Outcome::Copy { copied, skipped } = bench.does(copy(&[])) else { panic!("{v}") };
        assert_eq!((copied, skipped), (1, 1), "{v}");
        let Outcome::Copy { copied, skipped } = bench.does(copy(&[])) else { panic!("{v}") };
        assert_eq!((copied, skipped), (0, 2), "{v}");
    }
}

#[test]
fn keys_come_and_go_and_a_password_can_be_rotated() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let (r, v) = (bench.repository, restic.version);
        bench.backs_up();
        let Outcome::Keys { keys, .. } = bench.does(Task::KeyList { repository_id: r }) else { panic!("{v}") };
        assert_eq!((keys.len(), keys[0].current), (1, true), "{v}");
        let old = keys[0].id.clone();
        let without = bench.ends(Task::KeyAdd { repository_id: r });
        assert_eq!(code(&without), Some(CauseCode::CredentialMissing), "{v}");
        let newline = JobSecrets { new_password: Some(Secret::new("two\nlines")), ..JobSecrets::default() };
        let report = bench.control.end_of(bench.control.offer_with(Task::KeyAdd { repository_id: r }, &newline));
        assert_eq!(report.end, End::Failed, "{v}: restic would take another password");

        let secrets = JobSecrets { new_password: Some(Secret::new("new $ecret")), ..JobSecrets::default() };
        let job = bench.control.offer_with(Task::KeyAdd { repository_id: r }, &secrets);
        let report = bench.control.end_of(job);
        let Some(Outcome::Keys { keys, added: Some(added), .. }) = report.outcome.clone() else {
            panic!("{v}: {report:?}")
        };
        assert_eq!(keys.len(), 2, "{v}");
        assert!(keys.iter().any(|k| k.id == added) && added != old, "{v}");
        let told = format!("{:?} {report:?} {}", bench.control.memory().chunks, bench.agent.log());
        assert!(!told.contains("new $ecret"), "{v}");

        let refused = bench.ends(Task::KeyRemove { repository_id: r, key: old.clone() });
        assert_eq!(refused.end, End::Failed, "{v}: the key in use stays");
        let rotated = RepositorySecrets { password: Secret::new("new $ecret"), ..bench.server.secrets() };
        let again = bench.control.full(&bench.server.url("r"), &rotated);
        let Outcome::Keys { keys, removed, .. } =
            bench.does(Task::KeyRemove { repository_id: again, key: old.clone() })
        else {
            panic!("{v}")
        };
        assert_eq!((keys.len(), removed), (1, Some(old)), "{v}");
        let late = bench.ends(Task::KeyList { repository_id: r });
        assert_eq!(code(&late), Some(CauseCode::WrongPassword), "{v}");
    }
}

#[test]
fn what_needs_no_repository() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let Outcome::Version { version } = bench.does(Task::Version {}) else { panic!("no version") };
        assert_eq!(version, restic.version.to_string());
        let Outcome::Cache { said } = bench.does(Task::CacheCleanup {}) else { panic!("no cache") };
        assert!(!said.is_empty(), "{version}");
    }
}

#[test]
fn dry_runs_and_hooks() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let (r, v) = (bench.repository, restic.version);
        bench.backs_up();
        let report = bench.ends(backup(r, bench.files.path(), BackupOptions::default(), true));
        assert_eq!((report.end, report.snapshots.len()), (End::Succeeded, 0), "{v}: {report:?}");
        assert!(report.summary.is_some_and(|s| s.snapshot_id.is_none()), "{v}");
        assert_eq!(bench.ids().len(), 1, "{v}");

        let hooks = bench.agent.dir.path().join("hooks");
        std::fs::create_dir(&hooks).expect("makes");
        std::fs::set_permissions(&hooks, std::fs::Permissions::from_mode(0o755)).expect("sets");
        for (name, script) in [
            ("good", "echo one; echo two"),
            ("bad", "echo half; echo broken >&2; exit 7"),
            ("env", "pwd; tr '\\0' '\\n' </proc/self/environ"),
        ] {
            let file = hooks.join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).expect("writes");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("sets");
        }
        let stdin = |hook: &str| {
            let stdin = Some(StdinSource { hook: hook.into(), filename: "dump.sql".into() });
            backup(r, Path::new("/nowhere"), BackupOptions { stdin, ..BackupOptions::default() }, false)
        };
        let report = bench.ends(stdin("good"));
        assert_eq!((report.end, report.snapshots.len()), (End::Succeeded, 1), "{v}: {report:?}");
        let snapshot = &report.snapshots[0];
        assert_eq!(snapshot.paths, ["/dump.sql"], "{v}");
        assert_eq!(bench.server.ask(&restic, "r", &["dump", &snapshot.id, "/dump.sql"]), "one\ntwo\n", "{v}");
        let report = bench.ends(stdin("bad"));
        assert_eq!((report.end, code(&report)), (End::Failed, Some(CauseCode::SourceUnreadable)), "{v}: {report:?}");
        assert_eq!(bench.ids().len(), 2, "{v}: half a dump is no snapshot");
        assert_eq!(bench.server.ask(&restic, "r", &["list", "locks"]).trim(), "", "{v}");
        for name in ["none", "../hooks/good", "/bin/sh"] {
            assert_eq!(code(&bench.ends(stdin(name))), Some(CauseCode::SourceMissing), "{v} {name}");
        }
        bench.control.until("a poll that names the hooks", |m| {
            let names = ["bad", "env", "good"].map(str::to_owned);
            (m.hooks.as_deref() == Some(names.as_slice())).then_some(())
        });
        let env = [("AWS_SECRET_ACCESS_KEY".to_owned(), Secret::new("of the job"))].into();
        let keyed = bench.control.full(&bench.server.url("r"), &RepositorySecrets { env, ..bench.server.secrets() });
        let Task::Backup { backup: spec, .. } = stdin("env") else { panic!("{v}") };
        let report = bench.ends(Task::Backup { repository_id: keyed, backup: spec, dry_run: false });
        assert_eq!(report.end, End::Succeeded, "{v}: {report:?}");
        let seen = bench.server.ask(&restic, "r", &["dump", &report.snapshots[0].id, "/dump.sql"]);
        let (folder, vars) = seen.split_once('\n').expect("a line");
        let mut names: Vec<&str> = vars.lines().filter_map(|l| Some(l.split_once('=')?.0)).collect();
        names.sort_unstable();
        assert_eq!(names, ["HOME", "LANG", "PATH", "TMPDIR", "TZ"], "{v}: {seen}");
        assert!(!seen.contains("of the") && !folder.contains("/jobs/"), "{v}: {seen}");
    }
}

#[test]
fn probes_tell_what_a_credential_may_do() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        bench.backs_up();
        let append_only = bench.server.beside(&["--append-only"]);
        let (good, control) = (bench.server.secrets(), &bench.control);
        let probe = |repository_id| match bench.does(Task::Probe { repository_id }) {
            Outcome::Probe(report) => (report.exists, report.password_ok, report.can_delete),
            other => panic!("{v}: {other:?}"),
        };
        assert_eq!(probe(bench.repository), (true, Some(true), DeleteVerdict::CanDelete), "{v}");
        let proven = control.repository(&append_only.url("r"), false, &good);
        assert_eq!(probe(proven), (true, Some(true), DeleteVerdict::AppendOnly), "{v}");
        let nothing = control.repository(&append_only.url("none"), false, &good);
        assert_eq!(probe(nothing), (false, None, DeleteVerdict::AppendOnly), "{v}");
        let folder = bench.server.folder("r").to_string_lossy().into_owned();
        let local = control.repository(&folder, false, &good);
        assert_eq!(probe(local), (true, Some(true), DeleteVerdict::CanDelete), "{v}");
        let wrong = RepositorySecrets { password: Secret::new("nope"), ..good.clone() };
        let wrong = control.repository(&append_only.url("r"), false, &wrong);
        let report = bench.ends(Task::Probe { repository_id: wrong });
        let Some(Outcome::Probe(found)) = &report.outcome else { panic!("{v}: {report:?}") };
        assert_eq!(code(&report), Some(CauseCode::WrongPassword), "{v}");
        assert_eq!((found.password_ok, found.can_delete), (Some(false), DeleteVerdict::AppendOnly), "{v}");
        let away = control.repository("rest:http://127.0.0.1:1/alice/r", false, &good);
        let report = bench.ends(Task::Probe { repository_id: away });
        assert_eq!(code(&report), Some(CauseCode::RepositoryUnreachable), "{v}");
        assert_eq!(bench.ids().len(), 1, "{v}: nothing was lost by asking");
    }
}
