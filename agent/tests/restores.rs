//! Restores end to end: the real agent, restics of every version at hand, a real rest-server. What is asserted is what is on the disk
//! afterwards.
#![cfg(unix)]
#![allow(clippy::expect_used)] // a test that cannot go on says so
#![allow(clippy::disallowed_methods)] // and measures its own patience

mod common;

use common::AgentUnderTest;
use common::control::Control;
use common::tools::{RestServer, Restic, all_restics, restic, source};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::wire::job::{CauseCode, End, FinishReport, Task};
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::restore::{Overwrite, RestoreAction, RestoreReport, RestoreTarget};
use restic_manager_shared::wire::state::BackupSpec;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// A host with a repository that it can only add to, and a folder to back up.
struct Bench {
    restic: Restic,
    _server: RestServer,
    control: Control,
    agent: AgentUnderTest,
    files: TempDir,
    to: TempDir,
    repository: RepositoryId,
}

impl Bench {
    fn new(restic: &Restic) -> Self {
        let (server, control) = (RestServer::start(), Control::start());
        let agent = AgentUnderTest::start(&control, restic);
        let repository = control.repository(&server.url("r"), true, &server.secrets());
        let to = tempfile::tempdir().expect("dir");
        Self { restic: restic.clone(), _server: server, control, agent, files: source(3, 90), to, repository }
    }

    fn ends(&self, task: Task) -> FinishReport {
        self.control.end_of(self.control.offer(task))
    }

    fn backs_up(&self) -> String {
        let paths = vec![text(self.files.path())];
        let backup = BackupSpec { paths, ..BackupSpec::default() };
        let report = self.ends(Task::Backup { repository_id: self.repository, backup, dry_run: false });
        assert_eq!(report.end, End::Succeeded, "{}: {report:?}", self.restic.version);
        report.snapshots[0].id.clone()
    }

    fn task(&self, snapshot: &str, paths: &[String]) -> Wish {
        Wish {
            repository: self.repository,
            snapshot: snapshot.into(),
            paths: paths.to_vec(),
            target: RestoreTarget::Folder { path: text(self.to.path()) },
            overwrite: Overwrite::Always,
            delete: false,
            dry_run: false,
        }
    }

    /// Where a file of the source comes to.
    fn restored(&self, name: impl AsRef<Path>) -> PathBuf {
        let file = self.files.path().join(name);
        self.to.path().canonicalize().expect("there").join(file.strip_prefix("/").expect("absolute"))
    }

    fn plans(&self) -> bool {
        self.restic.version >= Version::new(0, 17, 0)
    }
}

#[derive(Clone)]
struct Wish {
    repository: RepositoryId,
    snapshot: String,
    paths: Vec<String>,
    target: RestoreTarget,
    overwrite: Overwrite,
    delete: bool,
    dry_run: bool,
}

impl From<Wish> for Task {
    fn from(w: Wish) -> Self {
        Self::Restore {
            repository_id: w.repository,
            snapshot: w.snapshot,
            paths: w.paths,
            target: w.target,
            overwrite: w.overwrite,
            delete: w.delete,
            verify: true,
            dry_run: w.dry_run,
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn code(report: &FinishReport) -> Option<CauseCode> {
    report.cause.as_ref().map(|c| c.code)
}

fn told(report: &FinishReport) -> RestoreReport {
    match &report.outcome {
        Some(Outcome::Restore(told)) => told.clone(),
        other => panic!("no account of a restore: {other:?} {report:?}"),
    }
}

#[test]
fn odd_names_come_back_as_they_were_and_nothing_else_does() {
    let longest = "x".repeat(255);
    let names: Vec<&OsStr> = [
        &b"new\nline"[..],
        b"bad \xff\xfe bytes",
        "right \u{202e}tfel".as_bytes(),
        longest.as_bytes(),
        b"-rf",
        "\u{1f600} smile".as_bytes(),
        b"..",
        b"..almost",
        b"* ? [a] $HOME {b}",
        b"back\\slash",
        b" spaces at both ends ",
        b"# no comment",
        b"!not",
    ]
    .into_iter()
    .filter(|n| *n != b"..")
    .map(OsStr::from_bytes)
    .collect();
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        for name in &names {
            std::fs::write(bench.files.path().join(name), name.as_bytes()).expect("writes");
        }
        std::fs::write(bench.files.path().join("a X b [a] $HOME {b}"), "a bystander").expect("writes");
        let snapshot = bench.backs_up();
        // As restic lists them.
        let paths: Vec<String> = names.iter().map(|n| text(&bench.files.path().join(n))).collect();
        let report = bench.ends(bench.task(&snapshot, &paths).into());
        assert_eq!((report.end, code(&report)), (End::Succeeded, None), "{v}: {report:?}");
        for name in &names {
            let bytes = std::fs::read(bench.restored(name)).unwrap_or_else(|e| panic!("{v}: {name:?}: {e}"));
            assert_eq!(bytes, name.as_bytes(), "{v}");
        }
        assert!(!bench.restored("file 0").exists(), "{v}: only what was ticked");
        assert!(!bench.restored("a X b [a] $HOME {b}").exists(), "{v}: names are not globs");
        let told = told(&report);
        assert_eq!(told.verified, Some(names.len() as u64), "{v}: {told:?}");
        assert!(!told.partial && told.free_bytes.is_some(), "{v}");
    }
}

#[test]
fn what_is_there_is_overwritten_by_the_policy_and_a_preview_says_so_before() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        let snapshot = bench.backs_up();
        let wish = bench.task(&snapshot, &["/".to_owned()]);
        let first = bench.ends(Wish { overwrite: Overwrite::Never, ..wish.clone() }.into());
        assert_eq!(first.end, End::Succeeded, "{v}: into an empty folder nothing is overwritten: {first:?}");
        let file = bench.restored("file 1");
        let original = std::fs::read(&file).expect("restored");
        let change = || std::fs::write(&file, "mine, and newer").expect("writes");
        if !bench.plans() {
            change();
            for overwrite in [Overwrite::Never, Overwrite::IfChanged, Overwrite::IfNewer] {
                let refused = bench.ends(Wish { overwrite, ..wish.clone() }.into());
                assert_eq!(code(&refused), Some(CauseCode::ResticTooOld), "{v} {overwrite:?}");
                assert_eq!(std::fs::read_to_string(&file).expect("reads"), "mine, and newer", "{v}");
            }
            let preview = bench.ends(Wish { dry_run: true, ..wish.clone() }.into());
            assert_eq!(code(&preview), Some(CauseCode::ResticTooOld), "{v}");
            assert_eq!(bench.ends(wish.into()).end, End::Succeeded, "{v}");
            assert_eq!(std::fs::read(&file).expect("reads"), original, "{v}");
            continue;
        }
        for (overwrite, replaced) in [
            (Overwrite::Always, true),
            (Overwrite::IfChanged, true),
            (Overwrite::IfNewer, false),
            (Overwrite::Never, false),
        ] {
            change();
            let wish = Wish { overwrite, ..wish.clone() };
            let preview = told(&bench.ends(Wish { dry_run: true, ..wish.clone() }.into()));
            assert!(preview.dry_run && std::fs::read(&file).expect("reads") != original, "{v}: nothing was done");
            assert_eq!(preview.overwritten, Some(u64::from(replaced)), "{v} {overwrite:?}: {preview:?}");
            let named = preview.examples.iter().any(|e| e.path.ends_with("/file 1"));
            assert_eq!(named, replaced, "{v} {overwrite:?}");
            let done = told(&bench.ends(wish.into()));
            assert_eq!((done.overwritten, done.kept), (preview.overwritten, preview.kept), "{v}: as the preview said");
            assert_eq!(std::fs::read(&file).expect("reads") == original, replaced, "{v} {overwrite:?}");
        }
        let extra = bench.restored("extra");
        std::fs::write(&extra, "not in the snapshot").expect("writes");
        let only = vec![text(bench.files.path())];
        let wish = Wish { delete: true, paths: only, ..wish };
        let preview = told(&bench.ends(Wish { dry_run: true, ..wish.clone() }.into()));
        assert!(
            preview.examples.iter().any(|e| e.action == RestoreAction::Delete && e.path.ends_with("/extra")),
            "{v}"
        );
        assert!(extra.exists(), "{v}");
        assert_eq!(told(&bench.ends(wish.into())).deleted, 1, "{v}");
        assert!(!extra.exists(), "{v}");
    }
}

#[test]
fn in_place_files_come_back_where_they_were() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        let snapshot = bench.backs_up();
        let (lost, kept) = (bench.files.path().join("file 0"), bench.files.path().join("file 1"));
        let original = std::fs::read(&lost).expect("reads");
        std::fs::remove_file(&lost).expect("removes");
        std::fs::write(&kept, "worked on since").expect("writes");
        let wish = Wish { target: RestoreTarget::Original, ..bench.task(&snapshot, &[text(&lost)]) };
        let report = bench.ends(wish.into());
        assert_eq!(report.end, End::Succeeded, "{v}: {report:?}");
        assert_eq!(std::fs::read(&lost).expect("reads"), original, "{v}");
        assert_eq!(std::fs::read_to_string(&kept).expect("reads"), "worked on since", "{v}: nothing else is touched");
    }
}

#[test]
fn what_cannot_be_is_refused_before_anything_is_written() {
    let bench = Bench::new(&restic());
    let snapshot = bench.backs_up();
    let wish = bench.task(&snapshot, &[text(&bench.files.path().join("file 0"))]);
    let to = bench.to.path();
    std::fs::create_dir(to.join("allowed")).expect("makes");
    std::fs::create_dir(to.join("secret")).expect("makes");
    std::os::unix::fs::symlink(to.join("secret"), to.join("allowed/way out")).expect("links");
    std::os::unix::fs::symlink("/nowhere/at/all", to.join("allowed/dangling")).expect("links");
    std::fs::write(to.join("a file"), "x").expect("writes");
    let policy = format!("restore_roots = [{:?}]\n", text(&to.join("allowed")));
    std::fs::write(bench.agent.dir.path().join("policy.toml"), policy).expect("writes");
    let into = |path: String| Wish { target: RestoreTarget::Folder { path }, ..wish.clone() };
    let own = text(&bench.agent.dir.path().join("x"));
    for (path, want) in [
        (text(&to.join("secret")), CauseCode::PolicyForbids),
        (text(&to.join("allowed/way out/in")), CauseCode::PolicyForbids),
        (text(&to.join("allowed/../secret")), CauseCode::TargetUnusable),
        ("relative".into(), CauseCode::TargetUnusable),
        (text(&to.join("allowed/dangling/x")), CauseCode::TargetUnusable),
        (text(&to.join("a file/x")), CauseCode::TargetUnusable),
        (own, CauseCode::PolicyForbids),
    ] {
        let report = bench.ends(into(path.clone()).into());
        assert_eq!((report.end, code(&report)), (End::Failed, Some(want)), "{path}: {report:?}");
    }
    let original = Wish { target: RestoreTarget::Original, ..wish.clone() };
    assert_eq!(code(&bench.ends(original.into())), Some(CauseCode::PolicyForbids), "the original place is no root");
    assert_eq!(std::fs::read_dir(to.join("secret")).expect("reads").count(), 0, "nothing came through the link");
    let fine = bench.ends(into(text(&to.join("allowed/new/deep"))).into());
    assert_eq!(fine.end, End::Succeeded, "{fine:?}");

    // A link below the target, on the way of what is restored.
    let trap = to.join("allowed/trap");
    let first = bench.files.path().components().nth(1).expect("a part").as_os_str().to_owned();
    std::fs::create_dir(&trap).expect("makes");
    std::os::unix::fs::symlink(to.join("secret"), trap.join(first)).expect("links");
    let report = bench.ends(into(text(&trap)).into());
    assert_eq!(code(&report), Some(CauseCode::TargetUnusable), "{report:?}");

    std::fs::remove_file(bench.agent.dir.path().join("policy.toml")).expect("removes");
    let own = bench.ends(into(text(&bench.agent.dir.path().join("x"))).into());
    assert_eq!(code(&own), Some(CauseCode::TargetUnusable), "the agent's own folder: {own:?}");

    let missing = Wish { paths: vec!["/no/such/path".into()], ..wish.clone() };
    assert_eq!(code(&bench.ends(missing.into())), Some(CauseCode::PathMissing));
    let gone = Wish { snapshot: "1".repeat(64), ..wish };
    assert_eq!(code(&bench.ends(gone.into())), Some(CauseCode::SnapshotMissing));
}

#[test]
fn the_agents_own_folder_is_not_restored_over() {
    let bench = Bench::new(&restic());
    let own = bench.agent.dir.path();
    let backup = BackupSpec { paths: vec![text(own)], ..BackupSpec::default() };
    let report = bench.ends(Task::Backup { repository_id: bench.repository, backup, dry_run: false });
    let snapshot = report.snapshots[0].id.clone();
    let parent = text(own.parent().expect("a parent"));
    let wish = Wish { target: RestoreTarget::Original, ..bench.task(&snapshot, &[parent]) };
    let refused = bench.ends(wish.into());
    assert_eq!(code(&refused), Some(CauseCode::TargetUnusable), "{refused:?}");
    // Nor is it removed, because another snapshot does not have it.
    let snapshot = bench.backs_up();
    let parent = text(own.parent().expect("a parent"));
    let target = RestoreTarget::Original;
    let wish = Wish { target, delete: true, dry_run: true, ..bench.task(&snapshot, &[parent]) };
    let refused = bench.ends(wish.into());
    assert_eq!(code(&refused), Some(CauseCode::TargetUnusable), "{refused:?}");
}

#[test]
fn ten_thousand_ticked_paths_go_through() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        for n in 0..10_000 {
            std::fs::write(bench.files.path().join(format!("small {n}")), "x").expect("writes");
        }
        let snapshot = bench.backs_up();
        let paths: Vec<String> = (0..10_000).map(|n| text(&bench.files.path().join(format!("small {n}")))).collect();
        let mut wish = bench.task(&snapshot, &paths);
        // Each node is held against each pattern; restic takes its time.
        wish.overwrite = Overwrite::Always;
        let report = bench.ends(wish.into());
        assert_eq!(report.end, End::Succeeded, "{}: {:?}", restic.version, report.cause);
        let there = std::fs::read_dir(bench.restored("")).expect("reads").count();
        assert_eq!(there, 10_000, "{}: and not the three others", restic.version);
    }
}
