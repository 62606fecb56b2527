//! Browsing end to end: questions about what is in a snapshot, asked over the poll, answered by the real agent from what the real restic
//! lists.
#![cfg(unix)]
#![allow(clippy::expect_used)] // a test that cannot go on says so
#![allow(clippy::disallowed_methods)] // and measures its own patience

mod common;

use common::AgentUnderTest;
use common::control::Control;
use common::gate::Gate;
use common::tools::{RestServer, Restic, all_restics, restic, source};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::changes::{ChangeKind, ChangesAsk, ChangesPage};
use restic_manager_shared::wire::job::{CauseCode, End, Task};
use restic_manager_shared::wire::query::{MAX_PAGE, QueryAnswer, QueryAsk, QueryPage};
use restic_manager_shared::wire::state::BackupSpec;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
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
        Self { server, control, agent, files: source(2, 4), repository }
    }

    fn backs_up(&self) -> String {
        let paths = vec![text(self.files.path())];
        let backup = BackupSpec { paths, ..BackupSpec::default() };
        let job = self.control.offer(Task::Backup { repository_id: self.repository, backup, dry_run: false });
        let report = self.control.end_of(job);
        assert_eq!(report.end, End::Succeeded, "{report:?}");
        report.snapshots[0].id.clone()
    }

    fn asks(&self, ask: &QueryAsk) -> QueryAnswer {
        self.control.asks(self.repository, ask)
    }

    fn page(&self, ask: &QueryAsk) -> QueryPage {
        match self.asks(ask) {
            QueryAnswer::Ready(page) => page,
            other => panic!("no page: {other:?}"),
        }
    }

    fn refused(&self, ask: &QueryAsk) -> CauseCode {
        match self.asks(ask) {
            QueryAnswer::Refused(cause) => cause.code,
            other => panic!("not refused: {other:?}"),
        }
    }

    fn changes(&self, ask: &ChangesAsk) -> ChangesPage {
        loop {
            match self.asks(&ask.clone().into()) {
                QueryAnswer::Changes(page) => return page,
                QueryAnswer::Indexing(_) => {}
                other => panic!("no changes: {other:?}"),
            }
        }
    }

    /// All pages of a search.
    fn finds(&self, snapshots: &[String], pattern: &str, limit: u32) -> Vec<(String, String)> {
        let (mut after, mut all) = (None, Vec::new());
        loop {
            let page = self.page(&QueryAsk::Search {
                snapshots: snapshots.to_vec(),
                pattern: pattern.into(),
                under: "/".into(),
                match_case: false,
                after,
                limit,
            });
            assert!(page.entries.len() <= limit as usize);
            all.extend(page.entries.into_iter().map(|e| (e.snapshot.expect("named"), e.path)));
            match page.next {
                Some(next) => after = Some(next),
                None => return all,
            }
        }
    }
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn folder(snapshot: &str, path: &str, after: Option<String>, limit: u32) -> QueryAsk {
    QueryAsk::Folder { snapshot: snapshot.into(), path: path.into(), after, limit }
}

#[test]
fn folders_names_and_versions_with_every_restic() {
    let longest = "y".repeat(255);
    let odd = [
        &b"new\nline"[..],
        b"bad \xff byte",
        "right \u{202e}tfel".as_bytes(),
        longest.as_bytes(),
        b"-rf",
        "\u{1f600}".as_bytes(),
        b"..almost",
    ];
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let v = restic.version;
        let top = text(bench.files.path());
        for name in odd {
            std::fs::write(bench.files.path().join(OsStr::from_bytes(name)), "x").expect("writes");
        }
        std::fs::create_dir(bench.files.path().join("a folder")).expect("makes");
        std::fs::write(bench.files.path().join("a folder/inside"), "123").expect("writes");
        std::os::unix::fs::symlink("nowhere", bench.files.path().join("a link")).expect("links");
        let first = bench.backs_up();
        std::fs::write(bench.files.path().join("a folder/inside"), "12345").expect("writes");
        std::fs::remove_file(bench.files.path().join("-rf")).expect("removes");
        let second = bench.backs_up();

        let page = bench.page(&folder(&first, &top, None, 100));
        let lossy = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        let mut want: BTreeSet<String> = odd.iter().map(|n| format!("{top}/{}", lossy(n))).collect();
        want.extend(["a folder", "a link", "file 0", "file 1"].map(|n| format!("{top}/{n}")));
        assert_eq!(page.entries.iter().map(|e| e.path.clone()).collect::<BTreeSet<_>>(), want, "{v}");
        assert_eq!((page.total, page.next.is_none()), (Some(11), true), "{v}");
        let first_entry = &page.entries[0];
        assert_eq!(
            (first_entry.kind.as_str(), first_entry.size),
            ("dir", Some(3)),
            "{v}: folders first, with their size"
        );
        assert!(first_entry.mtime.is_some() && first_entry.permissions.starts_with('d'), "{v}");
        assert!(page.entries.iter().any(|e| e.kind == "symlink"), "{v}");
        let root = bench.page(&folder(&first, "/", None, 10));
        assert_eq!(root.total, Some(1), "{v}: {root:?}");

        let found = bench.finds(&[second.clone(), first.clone()], "INSIDE", 1);
        let inside = format!("{top}/a folder/inside");
        assert_eq!(found, [(second.clone(), inside.clone()), (first.clone(), inside.clone())], "{v}: newest first");
        let found = bench.finds(&[second.clone(), first.clone()], "-?f", 10);
        assert_eq!(found, [(first.clone(), format!("{top}/-rf"))], "{v}");

        let third = bench.backs_up();
        let ask = QueryAsk::Versions { snapshots: vec![third.clone(), second, first], path: inside.clone() };
        let page = bench.page(&ask);
        let sizes: Vec<_> = page.entries.iter().map(|e| e.size).collect();
        assert_eq!(
            sizes,
            [Some(5), Some(5), Some(3)],
            "{v}: from the indexes, and from restic for the one without: {page:?}"
        );
        assert_eq!(page.entries[0].snapshot.as_deref(), Some(third.as_str()), "{v}");

        assert_eq!(bench.refused(&folder(&third, "/no/such", None, 10)), CauseCode::PathMissing, "{v}");
        assert_eq!(bench.refused(&folder(&"1".repeat(64), "/", None, 10)), CauseCode::SnapshotMissing, "{v}");
        assert_eq!(bench.refused(&folder("latest", "/", None, 10)), CauseCode::SnapshotMissing, "{v}");
    }
}

#[test]
fn fifty_thousand_entries_page_and_an_index_outlives_what_happens_to_it() {
    let mut bench = Bench::new(&restic());
    let big = bench.files.path().join("big");
    std::fs::create_dir(&big).expect("makes");
    for n in 0..50_000 {
        std::fs::write(big.join(format!("{n:05}")), "").expect("writes");
    }
    let snapshot = bench.backs_up();
    let everything = |bench: &Bench| {
        let (mut after, mut seen) = (None, 0);
        loop {
            let page = bench.page(&folder(&snapshot, &text(&big), after, MAX_PAGE));
            assert_eq!(page.total, Some(50_000));
            assert!(page.entries[0].path.ends_with(&format!("/{seen:05}")), "in order, none twice");
            seen += page.entries.len();
            match page.next {
                Some(next) => after = Some(next),
                None => return seen,
            }
        }
    };
    assert_eq!(everything(&bench), 50_000);

    // After a restart, and with the storage away, the index is still there.
    bench.server.kill();
    bench.agent.kill();
    bench.agent.run();
    assert_eq!(everything(&bench), 50_000);

    // Torn by a crash of the machine: made anew, which takes the storage.
    bench.server.run();
    let trees = bench.agent.dir.path().join("trees");
    let file = std::fs::read_dir(&trees).expect("reads").next().expect("one").expect("entry").path();
    let bytes = std::fs::read(&file).expect("reads");
    assert!(bytes.len() / 50_000 < 80, "{} bytes", bytes.len());
    std::fs::write(&file, &bytes[..bytes.len() / 2]).expect("writes");
    assert_eq!(everything(&bench), 50_000);
    // Or damaged where only reading finds it out.
    let mut bytes = std::fs::read(&file).expect("reads");
    bytes[100_000] ^= 1;
    std::fs::write(&file, &bytes).expect("writes");
    let (mut after, mut refusals) = (None, 0);
    loop {
        match bench.asks(&folder(&snapshot, &text(&big), after.clone(), MAX_PAGE)) {
            QueryAnswer::Ready(page) if page.next.is_none() => break,
            QueryAnswer::Ready(page) => after = page.next,
            QueryAnswer::Refused(cause) => {
                assert!(cause.message.contains("damaged"), "{cause:?}");
                refusals += 1;
            }
            QueryAnswer::Indexing(_) => {}
            QueryAnswer::Changes(_) => panic!("nobody asked for changes"),
        }
    }
    assert_eq!(refusals, 1, "it is told once, and asking again makes it anew");
    assert_eq!(everything(&bench), 50_000);
}

#[test]
fn what_changed_with_every_restic() {
    for restic in all_restics() {
        let bench = Bench::new(&restic);
        let at = |name: &str| bench.files.path().join(name);
        std::fs::create_dir_all(at("docs/old")).expect("makes");
        for name in ["stays", "grows", "docs/goes", "docs/old/goes too", "mode"] {
            std::fs::write(at(name), "123").expect("writes");
        }
        let older = bench.backs_up();
        std::fs::write(at("grows"), "123456").expect("writes");
        std::fs::remove_file(at("docs/goes")).expect("removes");
        std::fs::remove_dir_all(at("docs/old")).expect("removes");
        let odd = at("docs").join(OsStr::from_bytes(b"-new\n*"));
        std::fs::write(&odd, "12345678").expect("writes");
        std::fs::set_permissions(at("mode"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("sets");
        let newer = bench.backs_up();
        let top = text(bench.files.path());
        let ask = ChangesAsk {
            from: older.clone(),
            to: newer.clone(),
            under: top.clone(),
            flat: false,
            pattern: String::new(),
            kinds: vec![],
            after: None,
            limit: 100,
        };
        let page = bench.changes(&ask);
        let told = |page: &ChangesPage| -> Vec<_> {
            let name = |path: &str| path.strip_prefix(&top).expect("below").to_owned();
            page.items.iter().map(|i| (name(&i.path), i.change, i.before, i.after)).collect()
        };
        use ChangeKind::{Added, Changed, Metadata, Removed};
        let version = &restic.version;
        let want = [
            ("/docs".to_owned(), Some(Metadata), None, None),
            ("/grows".to_owned(), Some(Changed), Some(3), Some(6)),
            ("/mode".to_owned(), Some(Metadata), Some(3), Some(3)),
        ];
        assert_eq!(told(&page), want, "{version:?}");
        let docs = page.items[0].below.expect("sums");
        assert_eq!((docs.added, docs.removed, docs.added_bytes, docs.removed_bytes), (1, 3, 8, 6), "{version:?}");
        assert_eq!((page.sums.added, page.sums.removed, page.sums.changed), (1, 3, 1), "{version:?}");
        let removed = ChangesAsk { flat: true, kinds: vec![Removed], limit: 2, ..ask.clone() };
        let first = bench.changes(&removed);
        let second = bench.changes(&ChangesAsk { after: first.next.clone(), ..removed });
        let all: Vec<_> = [told(&first), told(&second)].concat().into_iter().map(|(path, ..)| path).collect();
        assert_eq!(all, ["/docs/goes", "/docs/old", "/docs/old/goes too"], "{version:?}");
        assert_eq!(second.next, None, "{version:?}");
        let odd = bench.changes(&ChangesAsk { flat: true, pattern: "-NEW".into(), ..ask.clone() });
        assert_eq!(told(&odd), [("/docs/-new\n*".to_owned(), Some(Added), None, Some(8))], "{version:?}");
        let same = bench.changes(&ChangesAsk { to: older.clone(), ..ask.clone() });
        assert_eq!((same.items.len(), same.sums.total()), (0, 0), "{version:?}");
        let gone = ChangesAsk { to: "0".repeat(64), ..ask };
        assert_eq!(bench.refused(&gone.into()), CauseCode::SnapshotMissing, "{version:?}");
    }
}

/// An index that turns out damaged while two are compared is made anew, like one that is looked into.
#[test]
fn a_damaged_index_does_not_stand_in_the_way_of_comparing() {
    let bench = Bench::new(&restic());
    let older = bench.backs_up();
    std::fs::write(bench.files.path().join("fresh"), "x").expect("writes");
    let newer = bench.backs_up();
    for snapshot in [&older, &newer] {
        bench.page(&folder(snapshot, "/", None, 10));
    }
    for file in std::fs::read_dir(bench.agent.dir.path().join("trees")).expect("reads") {
        let file = file.expect("entry").path();
        let mut bytes = std::fs::read(&file).expect("reads");
        // All but the table of contents, which the last line leads to.
        let end = bytes.len() - 16;
        let contents = u64::from_le_bytes(bytes[end..end + 8].try_into().expect("eight bytes"));
        bytes[..usize::try_from(contents).expect("small")].fill(0x55);
        std::fs::write(&file, bytes).expect("writes");
    }
    let (from, to, under) = (older, newer, "/".to_owned());
    let ask = ChangesAsk { from, to, under, flat: true, pattern: "fresh".into(), kinds: vec![], after: None, limit: 9 };
    assert_eq!(bench.refused(&ask.clone().into()), CauseCode::AgentDisk, "it is told once");
    let page = bench.changes(&ask);
    assert_eq!((page.items.len(), page.items[0].after), (1, Some(1)));
}

#[test]
fn the_hosts_policy_has_the_last_word_on_looking_too() {
    let bench = Bench::new(&restic());
    let snapshot = bench.backs_up();
    let ask = folder(&snapshot, "/", None, 10);
    bench.page(&ask);
    let policy = bench.agent.dir.path().join("policy.toml");
    for text in ["mode = \"backup-only\"\n", "operations = [\"backup\"]\n", "not understood"] {
        std::fs::write(&policy, text).expect("writes");
        assert_eq!(bench.refused(&ask), CauseCode::PolicyForbids, "{text}: also what is in the index already");
    }
    std::fs::write(&policy, "operations = [\"ls\"]\n").expect("writes");
    bench.page(&ask);
    assert_eq!(bench.refused(&QueryAsk::Unknown), CauseCode::Unknown, "a question from the future is answered");
}

#[test]
fn versions_that_take_long_are_looked_for_once_however_often_somebody_asks() {
    let bench = Bench::new(&restic());
    let snapshot = bench.backs_up();
    let gate = Gate::before(bench.server.port());
    let url = bench.server.url("r").replace(&bench.server.port().to_string(), &gate.port().to_string());
    let repository = bench.control.repository(&url, true, &bench.server.secrets());
    let path = text(&bench.files.path().join("file 0"));
    let ask = QueryAsk::Versions { snapshots: vec![snapshot.clone()], path: path.clone() };
    gate.close_after(0);
    for _ in 0..2 {
        let answer = bench.control.ask(repository, ask.clone());
        let QueryAnswer::Indexing(so_far) = answer else { panic!("not looking: {answer:?}") };
        assert_eq!((so_far.snapshot.as_str(), so_far.snapshots_left), (snapshot.as_str(), 1));
    }
    gate.open();
    let QueryAnswer::Ready(page) = bench.control.asks(repository, &ask) else { panic!("no page") };
    assert_eq!(page.entries.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), [path.as_str()]);
    // What was found once stands: the storage is not asked again.
    gate.close_after(0);
    let QueryAnswer::Ready(again) = bench.control.ask(repository, ask) else { panic!("no page") };
    assert_eq!(again, page);
    gate.open();
}
