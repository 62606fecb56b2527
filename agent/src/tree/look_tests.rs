//! Tests of making and reading trees, on lines as restic prints them.

use super::super::grow::Growing;
use super::*;

pub(in crate::tree) fn node(path: &str, kind: &str, size: Option<u64>) -> String {
    let name = path.rsplit('/').next().expect("a name");
    serde_json::json!({"name": name, "type": kind, "path": path, "size": size, "permissions": "-rw-r--r--",
        "mtime": "2026-11-04T02:00:00.5Z", "message_type": "node", "struct_type": "node"})
    .to_string()
}

pub(in crate::tree) fn tree_of(lines: impl IntoIterator<Item = String>) -> (tempfile::TempDir, Tree) {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("t");
    let mut growing = Growing::new(std::io::BufWriter::new(File::create(&path).expect("creates")));
    growing.line(r#"{"time":"2026-11-04T02:00:00Z","struct_type":"snapshot"}"#).expect("takes");
    for line in lines {
        growing.line(&line).expect("takes");
    }
    assert!(growing.begun);
    growing.finish().expect("finishes");
    let tree = Tree::open(&path).expect("opens");
    (dir, tree)
}

fn small() -> (tempfile::TempDir, Tree) {
    tree_of([
        node("/srv", "dir", None),
        node("/srv/a.txt", "file", Some(3)),
        node("/srv/b", "dir", None),
        node("/srv/b/-rf", "file", Some(10)),
        node("/srv/b/new\nline", "file", Some(20)),
        node("/srv/b.txt", "symlink", None),
        node("/srv/c", "dir", None),
        // Not listed on the way, as from another tool.
        node("/var/deep/er/x", "file", Some(7)),
    ])
}

fn names(tree: &Tree, path: &str, from: u64) -> Vec<String> {
    let (nodes, _) = tree.list(path, from, |_| true).expect("reads").expect("is a folder");
    nodes.into_iter().map(|n| n.name).collect()
}

#[test]
fn folders_come_first_and_know_what_is_below_them() {
    let (_dir, tree) = small();
    assert_eq!(names(&tree, "/", 0), ["srv", "var"]);
    assert_eq!(names(&tree, "/srv", 0), ["b", "c", "a.txt", "b.txt"]);
    assert_eq!(names(&tree, "/srv/", 2), ["a.txt", "b.txt"]);
    assert_eq!(names(&tree, "/srv/b", 0), ["-rf", "new\nline"]);
    assert!(names(&tree, "/srv/c", 0).is_empty());
    let srv = tree.entry("/srv").expect("reads").expect("there");
    assert_eq!((srv.size, &*srv.kind, srv.is_folder()), (Some(33), "dir", true));
    let link = tree.entry("/srv/b.txt").expect("reads").expect("there");
    assert_eq!((&*link.kind, link.size), ("symlink", None));
    assert_eq!(link.mtime.map(|t| t.micros() % 1_000_000), Some(500_000));
    for gone in ["/none", "/srv/a.txt/x", "/srv/B"] {
        assert!(tree.entry(gone).expect("reads").is_none(), "{gone}");
        assert!(tree.list(gone, 0, |_| true).expect("reads").is_none(), "{gone}");
    }
    assert!(tree.list("/srv/a.txt", 0, |_| true).expect("reads").is_none(), "a file is no folder");
    assert_eq!(tree.files, 5);
}

#[test]
fn a_search_goes_on_where_it_stopped_and_finds_each_once() {
    let (_dir, tree) = small();
    for page in 1..4 {
        let (mut all, mut after) = (Vec::new(), Vec::new());
        loop {
            let mut room = page;
            let full = |_: &str| {
                room -= 1;
                room == 0
            };
            let found = tree.search("/", &Pattern::new("*", true), &after, full).expect("reads").expect("a folder");
            all.extend(found.hits.into_iter().map(|(path, _)| path));
            match found.next {
                Some(next) => after = next,
                None => break,
            }
        }
        let want = [
            "/srv",
            "/srv/b",
            "/srv/b/-rf",
            "/srv/b/new\nline",
            "/srv/c",
            "/srv/a.txt",
            "/srv/b.txt",
            "/var",
            "/var/deep",
        ];
        assert_eq!(all[..9], want, "pages of {page}");
        assert_eq!(all.len(), 11, "pages of {page}");
    }
    let found = tree.search("/srv/b", &Pattern::new("RF", false), &[], |_| false).expect("reads").expect("a folder");
    assert_eq!(found.hits[0].0, "/srv/b/-rf");
    assert!(tree.search("/none", &Pattern::new("x", false), &[], |_| false).expect("reads").is_none());
}

#[test]
fn a_folder_of_fifty_thousand_pages_and_takes_few_bytes() {
    let file = |n: u64| node(&format!("/big/some file name {n:06}"), "file", Some(n));
    let folders = (0..5_000).flat_map(|n| {
        let folder = format!("/big/folder {n:05}");
        [node(&folder, "dir", None), node(&format!("{folder}/in it"), "file", Some(1))]
    });
    let lines = std::iter::once(node("/big", "dir", None)).chain(folders).chain((0..50_000).map(file));
    let (dir, tree) = tree_of(lines);
    let mut seen = 0;
    while seen < 55_000 {
        let mut room = 1_000;
        let take = |_: &Node| {
            room -= 1;
            room >= 0
        };
        let (page, total) = tree.list("/big", seen, take).expect("reads").expect("a folder");
        assert_eq!((page.len(), total), (1_000, 55_000));
        let first =
            if seen < 5_000 { format!("folder {seen:05}") } else { format!("some file name {:06}", seen - 5_000) };
        assert_eq!(page[0].name, first);
        seen += 1_000;
    }
    let bytes = dir.path().join("t").metadata().expect("there").len();
    assert!(bytes / tree.entries < 50, "{bytes} bytes for {} entries", tree.entries);
}

#[test]
fn what_is_torn_or_touched_is_not_believed() {
    let (dir, tree) = small();
    drop(tree);
    let path = dir.path().join("t");
    let whole = std::fs::read(&path).expect("reads");
    let reads = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("writes");
        let tree = Tree::open(&path)?;
        let mut all = 0;
        tree.files(|_, _| all += 1).map(|()| all)
    };
    assert_eq!(reads(&whole).expect("reads"), 5);
    for cut in 0..whole.len() {
        assert!(reads(&whole[..cut]).is_err(), "cut at {cut}");
    }
    for n in 0..whole.len() {
        let mut bad = whole.clone();
        bad[n] ^= 0x10;
        assert!(reads(&bad).is_err(), "byte {n}");
    }
}
