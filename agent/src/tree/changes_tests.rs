//! Changes as restic tells them, read back by folder and as a list.

use super::super::look::tests::{node, tree_of};
use super::*;

fn noted(changes: &[(&str, &str)]) -> (tempfile::TempDir, Changes) {
    let older = [
        ("/srv", "dir", None),
        ("/srv/gone.txt", "file", Some(5)),
        ("/srv/sub", "dir", None),
        ("/srv/sub/x", "file", Some(7)),
    ];
    let newer = [
        ("/srv", "dir", None),
        ("/srv/new\nline", "file", Some(11)),
        ("/srv/sub", "dir", None),
        ("/srv/sub/deep", "dir", None),
        ("/srv/sub/deep/y", "file", Some(100)),
        ("/srv/sub/x", "file", Some(9)),
        ("/srv/subway", "file", Some(1)),
    ];
    let tree =
        |nodes: &[(&str, &str, Option<u64>)]| tree_of(nodes.iter().map(|(path, kind, size)| node(path, kind, *size)));
    let ((_a, older), (_b, newer)) = (tree(&older), tree(&newer));
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("c");
    let mut noting = Noting::new(File::create(&path).expect("creates"), older, newer);
    changes.iter().for_each(|(path, modifier)| noting.change(path, modifier).expect("takes"));
    noting.finish().expect("finishes");
    let changes = Changes::open(&path).expect("opens");
    (dir, changes)
}

/// As restic tells them.
const SAID: [(&str, &str); 8] = [
    ("/srv/", "U"),
    ("/srv/gone.txt", "-"),
    ("/srv/new\nline", "+"),
    ("/srv/sub/", "U"),
    ("/srv/sub/deep/", "+"),
    ("/srv/sub/deep/y", "+"),
    ("/srv/sub/x", "MU"),
    ("/srv/subway", "+"),
];

fn all(under: &str) -> Wanted {
    Wanted { under: under.into(), pattern: None, kinds: vec![] }
}

#[test]
fn a_folder_sums_up_what_is_below() {
    let (_dir, changes) = noted(&SAID);
    let shown = |under: &str| -> Vec<(String, Option<ChangeKind>, u64)> {
        let items = changes.folder(&all(under)).expect("reads");
        items.into_iter().map(|i| (i.path, i.change, i.below.map_or(0, |b| b.total()))).collect()
    };
    use ChangeKind::{Added, Changed, Metadata, Removed};
    assert_eq!(shown(""), [("/srv".into(), Some(Metadata), 7)]);
    assert_eq!(
        shown("/srv"),
        [
            ("/srv/sub".into(), Some(Metadata), 3),
            ("/srv/gone.txt".into(), Some(Removed), 0),
            ("/srv/new\nline".into(), Some(Added), 0),
            ("/srv/subway".into(), Some(Added), 0),
        ]
    );
    assert_eq!(shown("/srv/sub"), [("/srv/sub/deep".into(), Some(Added), 1), ("/srv/sub/x".into(), Some(Changed), 0)]);
    assert!(shown("/none").is_empty());
    let sums = changes.sums("/srv/sub").expect("reads");
    assert_eq!((sums.added, sums.changed, sums.added_bytes, sums.changed_bytes), (2, 1, 100, 9));
    let only = Wanted { kinds: vec![Removed], ..all("") };
    let items = changes.folder(&only).expect("reads");
    assert_eq!((items.len(), items[0].change, items[0].below.map(|b| b.removed_bytes)), (1, None, Some(5)));
}

#[test]
fn a_flat_list_goes_on_where_it_stopped() {
    let (_dir, changes) = noted(&SAID);
    for page in 1..9 {
        let (mut seen, mut from) = (Vec::new(), (0, 0));
        loop {
            let mut left = page;
            let room = |_: &str| {
                left -= 1;
                left >= 0
            };
            let (items, next) = changes.flat(&all(""), from, room).expect("reads");
            seen.extend(items.into_iter().map(|i| if i.folder { i.path + "/" } else { i.path }));
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        assert_eq!(seen, SAID.map(|(path, _)| path), "pages of {page}");
    }
    let named = Wanted { pattern: Some(Pattern::new("SUB", false)), ..all("/srv") };
    let (items, _) = changes.flat(&named, (0, 0), |_| true).expect("reads");
    assert_eq!(items.iter().map(|i| i.path.as_str()).collect::<Vec<_>>(), ["/srv/sub", "/srv/subway"]);
    let (items, _) = changes.flat(&all("/srv/sub"), (0, 0), |_| true).expect("reads");
    assert_eq!((items[2].before, items[2].after), (Some(7), Some(9)));
}

#[test]
fn many_changes_take_several_blocks_and_what_is_torn_is_not_believed() {
    let paths: Vec<String> = (0..20_000).map(|n| format!("/srv/{n:05}")).collect();
    let said: Vec<(&str, &str)> = paths.iter().map(|p| (p.as_str(), "+")).collect();
    let (dir, changes) = noted(&said);
    assert!(changes.blocks.len() > 3);
    assert_eq!(changes.sums("").expect("reads").added, 20_000);
    let path = dir.path().join("c");
    let whole = std::fs::read(&path).expect("reads");
    for bad in [whole.len() / 2, whole.len() - 20, whole.len() - 1] {
        let mut touched = whole.clone();
        touched[bad] ^= 1;
        std::fs::write(&path, touched).expect("writes");
        assert!(Changes::open(&path).and_then(|c| c.sums("")).is_err(), "byte {bad}");
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("writes");
    assert!(Changes::open(&path).is_err());
}
