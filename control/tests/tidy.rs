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

/// The services that need words: what they put together is text.
const TELLERS: [&str; 2] = ["control/src/service/notices.rs", "control/src/service/recovery.rs"];

/// Details of wrong fields: the API's contract, in English; a page shows them beside the field.
const FIELD: &str = "what is wrong with a field, as the API answers it";
/// Texts that the API answers beside a code or typed value: its contract, in English; a page shows the same text.
const ANSWER: &str = "what the API answers beside a code";
const STORED: &str = "details of alerts and of wrong fields, stored and answered as they are";
const COMMAND: &str = "what a command prints";
const INSIDE: &str = "a mistake in a template, found by tests";
const SAMPLES: &str = "samples on a page for tests, which is not of the product";

/// Who may say sentences outside of `words`, and why. It only shrinks: a file that says none any more has to go.
const SPEAKERS: [(&str, &str); 29] = [
    ("control/src/courier/shape.rs", "a header"),
    ("control/src/domain/backend.rs", FIELD),
    ("control/src/domain/backup_options.rs", FIELD),
    ("control/src/domain/channel.rs", FIELD),
    ("control/src/domain/drill.rs", FIELD),
    ("control/src/domain/fleet.rs", FIELD),
    ("control/src/domain/pause.rs", FIELD),
    ("control/src/domain/release.rs", FIELD),
    ("control/src/domain/repository.rs", FIELD),
    ("control/src/domain/retention/policy.rs", FIELD),
    ("control/src/domain/retention/within.rs", FIELD),
    ("control/src/domain/schedule.rs", FIELD),
    ("control/src/domain/strict.rs", FIELD),
    ("control/src/domain/task_input.rs", FIELD),
    ("control/src/domain/asked_update.rs", ANSWER),
    ("control/src/domain/attestation.rs", ANSWER),
    ("control/src/domain/fires.rs", ANSWER),
    ("control/src/domain/forget.rs", ANSWER),
    ("control/src/domain/health/trouble.rs", ANSWER),
    ("control/src/domain/host_action.rs", ANSWER),
    ("control/src/domain/locks.rs", ANSWER),
    ("control/src/domain/operation.rs", ANSWER),
    ("control/src/domain/reading.rs", ANSWER),
    ("control/src/domain/retention.rs", ANSWER),
    ("control/src/domain/upkeep.rs", ANSWER),
    ("control/src/domain/watch.rs", STORED),
    ("control/src/domain/doctor.rs", COMMAND),
    ("control/src/http/pages/engine.rs", INSIDE),
    ("control/src/http/pages/states.rs", SAMPLES),
];

/// What is read out of a source file by the law of words: string literals of the program itself. Comments, attributes, log lines and errors of the
/// inside (which are logged and never shown) are no words for people; neither are test modules.
fn literals(text: &str) -> Vec<String> {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let skipped =
        ["#[", "#![", "tracing::debug!(", "tracing::info!(", "tracing::warn!(", "tracing::error!(", "::Internal("];
    let (mut rest, mut found, mut inside) = (&text[..end], vec![], 0usize);
    while let Some(first) = rest.chars().next() {
        let mut step = first.len_utf8();
        if rest.starts_with("//") {
            step = rest.find('\n').unwrap_or(rest.len());
        } else if let Some(opened) = skipped.iter().find(|s| inside == 0 && rest.starts_with(**s)) {
            (inside, step) = (1, opened.len());
        } else if rest.starts_with("r\"") || rest.starts_with("r#\"") {
            let (open, close) = if rest.starts_with("r\"") { (2, "\"") } else { (3, "\"#") };
            let length = rest[open..].find(close).unwrap();
            found.extend((inside == 0).then(|| rest[open..open + length].to_owned()));
            step = open + length + close.len();
        } else if first == '"' {
            let mut escaped = false;
            let closes = |c: char| {
                let ends = c == '"' && !escaped;
                escaped = c == '\\' && !escaped;
                ends
            };
            let length = rest[1..].find(closes).unwrap();
            found.extend((inside == 0).then(|| rest[1..=length].to_owned()));
            step = length + 2;
        } else if rest.starts_with("'\\") || rest.chars().nth(2) == Some('\'') && first == '\'' {
            let from = if rest.starts_with("'\\") { 3 } else { 1 + rest[1..].chars().next().unwrap().len_utf8() };
            step = from + rest[from..].find('\'').unwrap() + 1;
        } else if inside > 0 {
            inside = match first {
                '(' | '[' => inside + 1,
                ')' | ']' => inside - 1,
                _ => inside,
            };
        }
        rest = &rest[step..];
    }
    found
}

/// Whether people would read it as words: two words side by side, or a word beside a value.
fn is_sentence(literal: &str) -> bool {
    let shape = |token: &str| {
        let word = token.trim_matches(|c: char| !c.is_alphanumeric() && !"{}/=<_".contains(c));
        let letters = word.chars().filter(|c| c.is_alphabetic()).count();
        match () {
            () if word.starts_with('{') && word.ends_with('}') => Some(0),
            () if letters > 1 && word.chars().all(|c| c.is_alphabetic() || "-'\u{2019}".contains(c)) => Some(1),
            () => None,
        }
    };
    let shapes: Vec<Option<i32>> = literal.split_whitespace().map(shape).collect();
    shapes.windows(2).any(|pair| matches!(pair, [Some(a), Some(b)] if a + b > 0))
}

#[test]
fn what_counts_as_a_sentence() {
    for (literal, is) in [
        ("The host is offline", true),
        ("{host} fails", true),
        ("{n} hosts, all", true),
        ("schedule-saved", false),
        ("text/html; charset=utf-8", false),
        ("M{x} 4.5v11", false),
        ("/hosts/{id}", false),
        ("{} {}", false),
        ("%a %-d %b", false),
    ] {
        assert_eq!(is_sentence(literal), is, "{literal}");
    }
    let source = "#[schema(title = \"in an attribute\")]\n// \"in a comment\"\nfn f() { tracing::warn!(x, \"in a log\"); g('\"', \"told \\\"to\\\" people\") }\n\
        #[cfg(test)]\nmod tests { \"in a test\" }";
    assert_eq!(literals(source), ["told \\\"to\\\" people"]);
}

#[test]
fn sentences_for_people_live_in_one_place() {
    let rooms = ["control/src/http/pages/", "control/src/domain/", "control/src/courier/"];
    let mut said: Vec<(String, Vec<String>)> = sources()
        .into_iter()
        .filter(|(path, _)| rooms.iter().any(|room| path.starts_with(room)) && !path.ends_with("_tests.rs"))
        .map(|(path, text)| (path, literals(&text).into_iter().filter(|l| is_sentence(l)).collect()))
        .filter(|(_, said): &(String, Vec<String>)| !said.is_empty())
        .collect();
    said.sort();
    for (path, reason) in SPEAKERS {
        assert!(said.iter().any(|(p, _)| p == path), "{path} says nothing any more: take it off the list ({reason})");
    }
    said.retain(|(path, _)| SPEAKERS.iter().all(|(allowed, _)| allowed != path));
    assert!(said.is_empty(), "these sentences belong into control/src/words: {said:#?}");
}

#[test]
fn words_know_what_things_are_and_nothing_else() {
    let none: Vec<String> = vec![];
    for word in ["crate::store", "crate::service", "crate::http", "crate::hub", "crate::courier", "Timestamp::now"] {
        assert_eq!(offenders(word, |_| false, "control/src/words"), none, "words are pure: {word}");
    }
    for room in ["control/src/domain", "control/src/store"] {
        assert_eq!(offenders("crate::words", |_| false, room), none, "{room} has codes, no words");
    }
    // Services put messages together, and fill in the texts that the API answers beside its codes.
    let tellers = |p: &str| TELLERS.contains(&p);
    assert_eq!(offenders("crate::words", tellers, "control/src/service"), none, "services answer with what they know");
}
