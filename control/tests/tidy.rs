//! The laws of the house, held by a program: who may know whom, how files open, how long they may be, and that both databases have the
//! same migrations.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Files that may be over 500 lines. It only shrinks.
const LONG: [&str; 0] = [];
const MOST_LINES: usize = 500;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files_under(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_under(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    found
}

fn sources() -> Vec<(String, String)> {
    let members = ["shared/src", "control/src", "control/tests", "agent/src", "tests/src", "tests/tests"];
    members
        .iter()
        .map(|dir| root().join(dir))
        .filter(|dir| dir.exists())
        .flat_map(|dir| files_under(&dir, "rs"))
        .map(|path| {
            (path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Code without comments, so that prose may name what code may not.
fn code(text: &str) -> String {
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn offenders(word: &str, allowed: impl Fn(&str) -> bool, within: &str) -> Vec<String> {
    sources()
        .into_iter()
        .filter(|(path, text)| path.starts_with(within) && !allowed(path) && code(text).contains(word))
        .map(|(path, _)| path)
        .collect()
}

#[test]
fn each_crate_is_known_only_where_it_may_be() {
    let none: Vec<String> = vec![];
    assert_eq!(
        offenders("diesel", |p| p.starts_with("control/src/store/"), "control/src"),
        none,
        "diesel lives in store"
    );
    let web = |p: &str| {
        p.starts_with("control/src/http/")
            || matches!(p, "control/src/app.rs" | "control/src/main.rs")
            || p.starts_with("control/src/background/")
    };
    assert_eq!(offenders("actix_web", web, "control/src"), none, "actix_web lives at the doors");
    // Messages to channels that administrators have named are all that the control plane sends by itself; nothing goes to a host.
    let couriers = |p: &str| p.starts_with("control/src/courier/");
    for word in ["reqwest", "lettre"] {
        assert_eq!(offenders(word, couriers, "control/src"), none, "only couriers open connections: {word}");
    }
    let clients = |p: &str| p.starts_with("agent/src/client") || p == "agent/src/restic/preflight.rs";
    assert_eq!(offenders("reqwest", clients, "agent/src"), none, "reqwest lives in the agent's clients");
    for word in ["agent::", "restic_manager_agent"] {
        let own = |p: &str| p.starts_with("control/src/http/routes.rs") || p.starts_with("control/src/http/agent/");
        assert_eq!(offenders(&format!("use {word}"), own, "control/src"), none, "control does not know the agent");
    }
    assert_eq!(offenders("control::", |_| false, "agent/src"), none, "the agent does not know control");
}

#[test]
fn control_s_layers_look_only_inwards() {
    let none: Vec<String> = vec![];
    for word in ["async ", "crate::store", "crate::service", "crate::http", "Timestamp::now"] {
        assert_eq!(offenders(word, |_| false, "control/src/domain"), none, "domain is pure: {word}");
    }
    for word in ["crate::service", "crate::http", "crate::hub"] {
        assert_eq!(offenders(word, |_| false, "control/src/store"), none, "store knows only domain: {word}");
    }
    assert_eq!(offenders("crate::http", |_| false, "control/src/service"), none, "services do not know their doors");
    // Filters and records are the store's words; its functions are not for the doors.
    for noun in [
        "hosts",
        "schedules",
        "repositories",
        "users",
        "tokens",
        "snapshots",
        "settings",
        "credentials",
        "enrollment",
        "channels",
        "deliveries",
        "told",
    ] {
        let word = format!("store::{noun}::");
        assert_eq!(offenders(&word, |_| false, "control/src/http"), none, "doors go through services: {word}");
    }
}

#[test]
fn each_file_says_what_it_is_and_is_short() {
    for (path, text) in sources() {
        assert!(text.starts_with("//!"), "{path} does not open with //!");
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES || LONG.contains(&path.as_str()), "{path} has {lines} lines");
    }
}

#[test]
fn functions_are_short() {
    for (path, text) in sources().into_iter().filter(|(path, _)| !path.contains("/tests/")) {
        let mut started: Option<(usize, usize)> = None;
        for (number, line) in text.lines().enumerate() {
            let indent = line.len() - line.trim_start().len();
            let head = line.trim_start();
            let opens = [
                "fn ",
                "pub fn ",
                "async fn ",
                "pub async fn ",
                "pub(super) fn ",
                "pub(crate) fn ",
                "const fn ",
                "pub const fn ",
            ];
            if opens.iter().any(|o| head.starts_with(o)) && started.is_none() {
                started = Some((number, indent));
            }
            if let Some((from, level)) = started
                && indent == level
                && (line.trim_end() == format!("{}}}", " ".repeat(level)) || line.trim_end().ends_with("{}"))
            {
                assert!(number - from <= 60, "{path}:{} is a function of {} lines", from + 1, number - from);
                started = None;
            }
        }
    }
}

#[test]
fn both_databases_have_the_same_migrations() {
    let names = |kind: &str| -> Vec<String> {
        let dir = root().join("migrations").join(kind);
        let mut names: Vec<String> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    assert_eq!(names("sqlite"), names("postgres"));
    for kind in ["sqlite", "postgres"] {
        for name in names(kind) {
            for file in ["up.sql", "down.sql"] {
                assert!(root().join("migrations").join(kind).join(&name).join(file).exists(), "{kind}/{name}/{file}");
            }
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    let words = ["todo!", "unimplemented!", "#[ignore", "FIXME", "XXX"].map(|w| w.to_owned());
    for (path, text) in sources().into_iter().filter(|(path, _)| !path.ends_with("tidy.rs")) {
        for word in &words {
            assert!(!text.contains(word.as_str()), "{path} holds {word}");
        }
    }
}
