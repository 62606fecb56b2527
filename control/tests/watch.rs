//! Of which hosts somebody is told: a sown fleet's failing and overdue hosts become alerts by themselves, once each, and the settings and limits
//! of hosts change what is told.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reqwest::Method;
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::{ControlPlane, program};
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use support::fresh_postgres;
use tempfile::TempDir;

const AT_ONCE: [&str; 4] = ["--upkeep-seconds", "1", "--settle-seconds", "0"];

/// Open alerts of hosts, as kind, subject and severity.
async fn told(server: &ControlPlane, admin: &str) -> BTreeSet<(String, String, String)> {
    let alerts = server.get(admin, "/api/v1/alerts?limit=200").await;
    let word = |alert: &Value, of: &str| alert[of].as_str().unwrap_or_default().to_owned();
    let of_hosts = |a: &&Value| {
        a["resolved_at"].is_null()
            && ["backup_failed", "backup_overdue", "host_offline"].contains(&a["kind"].as_str().unwrap())
    };
    let listed: Vec<_> = alerts["items"].as_array().unwrap().iter().filter(of_hosts).collect();
    let set: BTreeSet<_> = listed.iter().map(|a| (word(a, "kind"), word(a, "subject"), word(a, "severity"))).collect();
    assert_eq!(set.len(), listed.len(), "each condition is told once");
    set
}

/// Waits until it is told so.
async fn until(
    server: &ControlPlane,
    admin: &str,
    what: &str,
    fine: impl Fn(&BTreeSet<(String, String, String)>) -> bool,
) -> BTreeSet<(String, String, String)> {
    for _ in 0..600 {
        let told = told(server, admin).await;
        if fine(&told) {
            return told;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{what}: {:?}", told(server, admin).await)
}

#[tokio::test]
async fn alerts_follow_how_hosts_stand_on_both_databases() {
    let url = fresh_postgres();
    for database in [&[][..], &["--database-url", &url]] {
        let dir = TempDir::new().unwrap();
        let args = ["dev", "seed", "--hosts", "24", "--days", "12", "--data-dir"];
        assert!(program().args(args).arg(dir.path()).args(database).output().unwrap().status.success());
        let server = ControlPlane::start_in(dir, &[database, &AT_ONCE].concat());
        let admin = server.token("admin");
        the_sown_fleet_is_told_of(&server, &admin).await;
        settings_change_what_is_told(&server, &admin).await;
    }
}

async fn the_sown_fleet_is_told_of(server: &ControlPlane, admin: &str) {
    let hosts = server.get(admin, "/api/v1/hosts?limit=200").await;
    let mut failing = BTreeSet::new();
    for host in hosts["items"].as_array().unwrap() {
        let subject = format!("host:{}", host["id"].as_str().unwrap());
        match host["protection"]["state"].as_str().unwrap() {
            "failing" => drop(failing.insert(("backup_failed".to_owned(), subject, "critical".to_owned()))),
            "too_old" => drop(failing.insert(("backup_overdue".to_owned(), subject, "critical".to_owned()))),
            _ => {}
        }
    }
    assert!(failing.len() >= 3, "the fleet has trouble: {failing:?}");
    let told = until(server, admin, "failing and overdue hosts", |told| told.is_superset(&failing)).await;
    let critical: BTreeSet<_> = told.iter().filter(|(_, _, severity)| severity == "critical").cloned().collect();
    assert_eq!(critical, failing, "and nobody else is told of as badly");
}

/// Hosts that are protected, by backups of more than two hours ago.
async fn not_lately_backed_up(server: &ControlPlane, admin: &str) -> Vec<Value> {
    let hosts = server.get(admin, "/api/v1/hosts?state=protected&limit=200").await;
    let long_ago = (Timestamp::now() - Duration::from_secs(2 * 3600)).to_string();
    let old = |host: &Value| host["protection"]["last_good_at"].as_str().is_some_and(|at| at < long_ago.as_str());
    hosts["items"].as_array().unwrap().iter().filter(|host| old(host)).cloned().collect()
}

async fn settings_change_what_is_told(server: &ControlPlane, admin: &str) {
    let offline = |told: &BTreeSet<(String, String, String)>| told.iter().any(|(kind, _, _)| kind == "host_offline");
    assert!(!offline(&told(server, admin).await), "nobody asked for silent hosts");
    let host = not_lately_backed_up(server, admin).await.remove(0);
    let path = format!("/api/v1/hosts/{}", host["id"].as_str().unwrap());
    let limits = json!({"name": host["name"], "tags": host["tags"], "limits": {"backup_hours": 0}});
    let (status, refused) = server.call(admin, Method::PUT, &path, limits).await;
    assert_eq!((status, &refused["errors"][0]["pointer"]), (422, &json!("/limits/backup_hours")), "{refused}");
    let change = |hours: Value| json!({"name": host["name"], "tags": host["tags"], "limits": {"backup_hours": hours}});
    let of_it = |told: &BTreeSet<(String, String, String)>| {
        told.iter()
            .any(|(kind, subject, _)| kind == "backup_overdue" && subject.ends_with(host["id"].as_str().unwrap()))
    };
    assert!(!of_it(&told(server, admin).await));
    let (status, changed) = server.call(admin, Method::PUT, &path, change(json!(1))).await;
    assert_eq!((status, &changed["limits"]["backup_hours"]), (200, &json!(1)), "{changed}");
    until(server, admin, "its own limit", of_it).await;
    assert_eq!(
        server.call(admin, Method::PUT, &path, json!({"name": host["name"]})).await.1["limits"]["backup_hours"],
        1
    );
    assert_eq!(server.call(admin, Method::PUT, &path, change(Value::Null)).await.0, 200);
    until(server, admin, "the end of it", |told| !of_it(told)).await;
}

#[tokio::test]
async fn hosts_and_what_holds_in_general_are_set_on_pages() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "web-01", &["/etc"]).await;
    let anna = Visitor::sign_in(&server, "admin").await;
    let page = format!("/hosts/{}/settings", agent.host);
    let sent = anna.submit(&page, &[("name", "web 01"), ("tags", "a, b"), ("backup_hours", "many")]).await;
    assert_eq!(sent.status, 422);
    assert!(sent.text.contains("value=\"web 01\"") && sent.text.contains("value=\"many\""), "what was typed stays");
    let fields = [("name", "web-02"), ("tags", "prod, web"), ("backup_hours", "30"), ("offline_hours", "")];
    let saved = anna.submit(&page, &fields).await;
    assert_eq!((saved.status, saved.location.as_str()), (303, format!("{page}?done=saved").as_str()), "{}", saved.text);
    let host = server.get(&admin, &format!("/api/v1/hosts/{}", agent.host)).await;
    assert_eq!((&host["name"], &host["tags"]), (&json!("web-02"), &json!(["prod", "web"])), "{host}");
    assert_eq!(host["limits"], json!({"backup_hours": 30, "offline_hours": null}), "{host}");

    let refused = anna.submit("/settings/general", &[("manual_limit_days", "0"), ("offline_alert_hours", "x")]).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    let saved = anna.submit("/settings/general", &[("manual_limit_days", "30"), ("offline_alert_hours", "12")]).await;
    assert_eq!(saved.status, 303, "{}", saved.text);
    let general = server.get(&admin, "/api/v1/settings").await;
    assert_eq!(general, json!({"manual_limit_days": 30, "offline_alert_hours": 12}));

    assert!(anna.open(&format!("/hosts/{}/remove", agent.host)).await.text.contains("Remove web-02?"));
    let gone = anna.submit(&format!("/hosts/{}/remove", agent.host), &[]).await;
    assert_eq!((gone.status, gone.location.as_str()), (303, "/hosts?done=host-removed"));
    assert_eq!(anna.open(&page).await.status, 404);
}

#[tokio::test]
async fn what_holds_for_many_hosts_is_one_item() {
    let dir = TempDir::new().unwrap();
    let args = ["dev", "seed", "--hosts", "120", "--days", "3", "--data-dir"];
    assert!(program().args(args).arg(dir.path()).output().unwrap().status.success());
    let server = ControlPlane::start_in(dir, &AT_ONCE);
    let admin = server.token("admin");
    let of = |told: &BTreeSet<(String, String, String)>| told.iter().filter(|t| t.0 == "backup_overdue").count();
    let old = not_lately_backed_up(&server, &admin).await;
    assert!(old.len() > 5, "the fleet is large enough: {}", old.len());
    for host in &old[..6] {
        let path = format!("/api/v1/hosts/{}", host["id"].as_str().unwrap());
        let change = json!({"name": host["name"], "tags": host["tags"], "limits": {"backup_hours": 1}});
        assert_eq!(server.call(&admin, Method::PUT, &path, change).await.0, 200);
    }
    let all = of(&until(&server, &admin, "all that are overdue", |told| of(told) >= 6).await);
    let eve = Visitor::sign_in(&server, "operator").await;
    let page = eve.open("/alerts").await.text;
    assert_eq!(page.matches("The newest backup is too old</b>").count(), 1, "{page}");
    assert!(page.contains(&format!("On {all} hosts.")), "{all}: {page}");
    // What holds beside it is not crowded out.
    assert!(page.contains("has a lock that nothing known explains"), "{page}");
}
