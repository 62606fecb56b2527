//! Tests of places.

use super::*;

#[test]
fn a_path_that_is_not_exact_is_none() {
    for bad in ["", "srv", "./srv", "/srv/../etc", "/srv/./x", "/..", "/srv/x\0y", "/srv/.."] {
        assert!(exact(bad).is_err(), "{bad:?}");
    }
    for good in ["/", "/srv/x", "/srv/..x/y..", "/srv/-x"] {
        assert!(cfg!(windows) || exact(good).is_ok(), "{good:?}");
    }
}

#[test]
fn names_of_other_systems() {
    for (name, can_be) in [
        ("plain.txt", true),
        ("ümlaut", true),
        ("a:b", false),
        ("what?", false),
        ("back\\slash", false),
        ("trailing.", false),
        ("trailing ", false),
        ("CON", false),
        ("con.txt", false),
        ("COM1.log", false),
        ("COMMON", true),
        ("new\nline", false),
    ] {
        assert_eq!(is_windows_name(name), can_be, "{name:?}");
    }
}

#[cfg(unix)]
#[test]
fn entries_come_below_their_folder_and_nowhere_else() {
    let t = Path::new("/t");
    for (entry, want) in [
        ("/srv/a", Some("/t/srv/a")),
        ("/", Some("/t")),
        ("/srv//a", Some("/t/srv/a")),
        ("/..x/y", Some("/t/..x/y")),
        ("/srv/../../etc", None),
        ("/C/Users/x", Some("/t/C/Users/x")),
    ] {
        assert_eq!(below(t, entry).ok(), want.map(PathBuf::from), "{entry}");
    }
}

#[cfg(unix)]
#[test]
fn links_are_followed_also_above_what_is_not_there_yet() {
    use std::os::unix::fs::symlink;
    let tmp = tempfile::tempdir().expect("dir");
    let root = tmp.path().canonicalize().expect("real");
    std::fs::create_dir_all(root.join("allowed")).expect("makes");
    std::fs::create_dir_all(root.join("secret")).expect("makes");
    symlink(root.join("secret"), root.join("allowed/link")).expect("links");
    symlink(root.join("nowhere"), root.join("allowed/dangling")).expect("links");
    std::fs::write(root.join("allowed/file"), "x").expect("writes");
    assert_eq!(real(&root.join("allowed/new/deep")).expect("real"), root.join("allowed/new/deep"));
    assert_eq!(real(&root.join("allowed/link/new/deep")).expect("real"), root.join("secret/new/deep"));
    assert!(real(&root.join("allowed/dangling/x")).is_err());
    assert!(real(&root.join("allowed/file/x")).is_err());
    assert!(no_link_between(&root, &root.join("allowed/link/x")).is_err());
    assert!(no_link_between(&root, &root.join("allowed/link")).is_ok(), "restic replaces it");
    assert!(no_link_between(&root, &root.join("allowed/new/x")).is_ok());
}

#[test]
fn two_restores_do_not_share_a_place() {
    let places = Places::default();
    let claim = |path: &str| places.claim(vec![path.into()]);
    let first = claim("/srv/a").expect("free");
    for (path, free) in [("/srv/a", false), ("/srv/a/b", false), ("/srv", false), ("/srv/ab", true)] {
        assert_eq!(claim(path).is_ok(), free, "{path}");
    }
    drop(first);
    assert!(claim("/srv").is_ok());
}

#[test]
fn a_host_and_its_snapshots_write_paths_differently() {
    for (host, snapshot) in [("/srv/x", "/srv/x"), ("C:\\Users\\x", "/C/Users/x"), ("D:\\", "/D/"), ("rel", "/rel")] {
        assert_eq!(in_snapshot(host), snapshot, "{host}");
    }
}
