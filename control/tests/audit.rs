//! The audit log as an administrator reads it: narrowed, by day and as CSV, on both databases.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::audit::Acts;
use control::store::audit::{self, Entry, Filter, Word};
use control::store::{Conn, StoreError};
use reqwest::Method;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use support::{at, databases, fresh_postgres, open, seeded};
use tempfile::TempDir;

fn entry(n: i64, actor: &str, action: &str, subject: &str, detail: &str) -> Entry {
    Entry {
        at: at(n),
        actor: actor.into(),
        address: "10.20.0.14".into(),
        action: action.into(),
        subject: subject.into(),
        detail: detail.into(),
    }
}

fn words(text: &[&str]) -> Vec<Word> {
    text.iter().map(|w| Word { text: (*w).into(), actions: vec![] }).collect()
}

#[tokio::test]
async fn the_log_is_narrowed_to_who_what_about_and_days() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let (host, job) = seeded(&db).await;
        db.write(move |conn| {
            let (host, job) = (format!("host:{host}"), format!("job:{job}"));
            for (n, actor, action, subject, detail) in [
                (10, "user:anna", "login", "user:1", "{}"),
                (20, "user:anna", "host.update", &*host, r#"{"name":"100%"}"#),
                (30, "user:ben", "job.run", &*job, r#"{"kind":"restore"}"#),
                (40, "user:ben", "job.run", "job:lost", r#"{"kind":"backup"}"#),
                (50, "system:agent", "host.enroll", &*host, r#"{"name":"Web"}"#),
                (60, "token:ci", "hostx_y.update", "x", "{}"),
            ] {
                audit::append(conn, &entry(n, actor, action, subject, detail))?;
            }
            let called = control::store::hosts::get(conn, host[5..].parse().unwrap())?.unwrap().name.to_lowercase();
            let acts = |acts| Filter { acts: Some(acts), ..Filter::default() };
            let with = |text: &[&str]| Filter { words: words(text), ..Filter::default() };
            let all = Filter::default();
            for (case, filter, want) in [
                ("all", all.clone(), vec![60, 50, 40, 30, 20, 10]),
                ("who", Filter { actor: Some("user:ben".into()), ..all.clone() }, vec![40, 30]),
                ("about", Filter { subject: Some(host.clone()), ..all.clone() }, vec![50, 20]),
                ("days", Filter { since: Some(at(20)), until: Some(at(40)), ..all.clone() }, vec![30, 20]),
                ("sign-ins", acts(Acts::SignIns), vec![10]),
                ("changes", acts(Acts::Changes), vec![60, 50, 20]),
                ("restores", acts(Acts::Restores), vec![30]),
                ("a code", acts(Acts::Code("host.update".into())), vec![20]),
                ("a kind", acts(Acts::Code("host".into())), vec![50, 20]),
                ("a word of the entry", with(&["web"]), vec![50]),
                ("a host's name, also of its jobs", with(&[&called]), vec![50, 30, 20]),
                ("each word", with(&[&called, "ben"]), vec![30]),
                ("no wildcard", with(&["%"]), vec![20]),
                (
                    "a word of how the act is told",
                    Filter { words: vec![Word { text: "zz".into(), actions: vec!["login".into()] }], ..all.clone() },
                    vec![10],
                ),
            ] {
                let found = audit::list(conn, &filter, None, 99)?;
                let found: Vec<_> = found.iter().map(|c| c.entry.at).collect();
                assert_eq!(found, want.into_iter().map(at).collect::<Vec<_>>(), "{name}: {case}");
            }
            let page = |conn: &mut Conn, before| {
                audit::list(conn, &Filter { subject: Some(host.clone()), ..Filter::default() }, before, 1)
            };
            let first = page(conn, None)?;
            assert_eq!(page(conn, Some(first[0].seq))?[0].entry.at, at(20), "{name}: pages keep the filter");
            assert_eq!(audit::actors(conn, 9)?, ["system:agent", "token:ci", "user:anna", "user:ben"], "{name}");
            assert_eq!(audit::actors(conn, 2)?.len(), 2, "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

/// The tests say where they come from.
const PROXY: [&str; 2] = ["--trusted-proxy", "127.0.0.1"];

async fn a_filter_and_a_file(server: &ControlPlane) {
    let token = server.token("admin");
    for (name, from) in [("zoe", "=HYPERLINK(1)"), ("ben-01", "10.20.0.31")] {
        let user = json!({"name": name, "password": "correct horse battery", "role": "viewer"});
        let request = server.request(Method::POST, "/api/v1/users", Some(&token)).json(&user);
        assert_eq!(request.header("x-forwarded-for", from).send().await.unwrap().status(), 201);
    }
    for n in 0..60 {
        let settings = server.get(&token, "/api/v1/settings").await;
        let (status, answer) = server.call(&token, Method::PUT, "/api/v1/settings", settings).await;
        assert_eq!(status, 200, "{n}: {answer}");
    }
    let anna = Visitor::sign_in(server, "admin").await;

    let page = anna.open("/settings/audit").await;
    assert_eq!((page.status, page.html), (200, true), "{}", page.text);
    assert!(page.text.contains(">Today, ") && page.text.contains("Unbroken: each entry"), "{}", page.text);
    let page = anna.open("/settings/audit?act=settings").await.text;
    assert!(page.contains("/settings/audit?act=settings&amp;cursor="), "the next page is narrowed too: {page}");
    assert!(page.contains("/api/v1/audit-events.csv?action=settings"), "{page}");
    assert!(!page.contains("Added a user</b>") && !page.contains("Unbroken: each"), "{page}");
    let page = anna.open("/settings/audit?q=added+BEN-01").await.text;
    assert_eq!(page.matches("Added a user</b>").count(), 1, "by its act in words and its name: {page}");
    let none = anna.open("/settings/audit?q=%3Cb%3E&from=2020-01-01&to=2020-01-02").await.text;
    assert!(none.contains("No entry matches “&lt;b&gt;”, from 2020-01-01, until 2020-01-02"), "{none}");
    let wrong = anna.open("/settings/audit?from=soon").await;
    assert!(wrong.status == 200 && wrong.text.contains("A day such as"), "{}", wrong.text);

    let list = server.get(&token, "/api/v1/audit-events?action=user.add&actor=token:admin").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 2, "{list}");
    let all = anna.open("/api/v1/audit-events.csv?action=settings.update").await.text;
    assert_eq!(all.split("\r\n").count(), 62, "a head, sixty lines, and the end of the last: {all}");
    let csv = anna.open("/api/v1/audit-events.csv?action=user.add&actor=token:admin").await.text;
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert!(lines[0].starts_with("\"seq\",\"at\",\"actor\",\"action\""), "{csv}");
    assert!(lines[1].contains("\"user.add\",\"Added a user\",\"User ben-01\""), "{csv}");
    assert!(lines[2].contains("\"User zoe\"") && lines[2].contains("\"'=HYPERLINK(1)\""), "no formula: {csv}");
    for wrong in [
        "audit-events?action=Host!",
        "audit-events.csv?action=Host!",
        "audit-events.csv?cursor=1",
        "audit-events?since=x",
    ] {
        let (status, _) = server.call(&token, Method::GET, &format!("/api/v1/{wrong}"), Value::Null).await;
        assert!((400..423).contains(&status), "{wrong}: {status}");
    }
    let operator = Visitor::sign_in(server, "operator").await;
    for path in ["/settings/audit", "/api/v1/audit-events.csv", "/api/v1/audit-events?q=a"] {
        assert_eq!(operator.open(path).await.status, 403, "{path}");
    }
}

#[tokio::test]
async fn an_administrator_narrows_the_log_and_takes_it_along_on_sqlite() {
    a_filter_and_a_file(&ControlPlane::start_in(TempDir::new().unwrap(), &PROXY)).await;
}

#[tokio::test]
async fn an_administrator_narrows_the_log_and_takes_it_along_on_postgresql() {
    let url = fresh_postgres();
    a_filter_and_a_file(&ControlPlane::start_in(
        TempDir::new().unwrap(),
        &[&PROXY[..], &["--database-url", &url]].concat(),
    ))
    .await;
}

#[tokio::test]
async fn a_file_longer_than_one_piece_has_each_entry_once() {
    for database in databases() {
        let dir = TempDir::new().unwrap();
        let s = support::services(&database, &dir).await;
        s.db.write(|conn| {
            (0..2_500).try_for_each(|n| audit::append(conn, &entry(n, "user:x", "login", "user:y", "{}")))
        })
        .await
        .unwrap();
        let (mut cursor, mut seen) = (None, 0);
        loop {
            let filter = Filter { acts: Some(Acts::SignIns), ..Filter::default() };
            let page = control::service::audit::list(&s, filter, cursor, 1_000).await.unwrap();
            seen += page.items.len();
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, 2_500, "{}", database.name);
    }
}
