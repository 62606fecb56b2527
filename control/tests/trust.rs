//! What an agent's word is worth: it speaks of what its own jobs were asked to do, and of nothing else. A host that was taken over must not get
//! a forged snapshot vouched for, nor another host's out of the way.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use serde_json::{Value, json};

async fn repository(server: &ControlPlane, admin: &str) -> String {
    server.get(admin, "/api/v1/repositories").await["items"][0]["id"].as_str().unwrap().to_owned()
}

/// Runs the host's schedule and reports that it made this snapshot, with whatever else.
async fn back_up(server: &ControlPlane, admin: &str, agent: &mut FakeAgent, snapshot: &str, more: Value) -> u16 {
    let (status, answer) = server.post(admin, &format!("/api/v1/hosts/{}/run", agent.host), Value::Null).await;
    assert_eq!(status, 202, "{answer}");
    let offer = agent.poll(&[], 5).await.offers.remove(0);
    let claim = agent.post(&format!("/agent/v1/jobs/{}/claim", offer.id), json!({"attempt": offer.attempt})).await;
    assert_eq!(claim.0, 200, "{}", claim.1);
    let now = Timestamp::now();
    let mut report = json!({"attempt": offer.attempt, "end": "succeeded", "exit_code": 0, "started_at": now,
        "finished_at": now, "summary": {"snapshot_id": snapshot},
        "snapshots": [{"id": snapshot, "time": now, "hostname": "h", "paths": ["/etc"], "tags": []}]});
    report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    agent.post(&format!("/agent/v1/jobs/{}/finish", offer.id), report).await.0
}

/// The snapshots of the repository: (first letter, host, attested).
async fn listed(server: &ControlPlane, admin: &str) -> Vec<(String, String, bool)> {
    let path = format!("/api/v1/repositories/{}/snapshots", repository(server, admin).await);
    let list = server.get(admin, &path).await;
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let row = |s: &Value| (text(&s["id"])[..1].to_owned(), text(&s["host_id"]), s["attested"] == true);
    let mut rows: Vec<_> = list["items"].as_array().unwrap().iter().map(row).collect();
    rows.sort();
    rows
}

#[tokio::test]
async fn an_outcome_counts_only_for_the_operation_that_was_asked_for() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    let host = agent.host.to_string();
    let (real, forged) = ("a".repeat(64), "f".repeat(64));
    assert_eq!(back_up(&server, &admin, &mut agent, &real, json!({})).await, 200);
    for outcome in [
        json!({"kind": "tag", "replaced": [{"old": real, "new": forged}]}),
        json!({"kind": "rewrite", "dry_run": false, "forgotten": true, "replaced": [{"old": real, "new": forged}]}),
        json!({"kind": "repair", "dry_run": false, "replaced": [{"old": real, "new": forged}]}),
        json!({"kind": "forget", "dry_run": false, "removed": [real], "left": []}),
    ] {
        // The report itself is stored: the run has ended, whatever else it says.
        assert_eq!(back_up(&server, &admin, &mut agent, &"b".repeat(64), json!({"outcome": outcome})).await, 200);
        let want = [("a".to_owned(), host.clone(), true), ("b".to_owned(), host.clone(), true)];
        assert_eq!(listed(&server, &admin).await, want, "{outcome}");
    }
}

#[tokio::test]
async fn a_schedule_fires_backups_and_nothing_else() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "web-01", &["/etc"]).await;
    let id = repository(&server, &admin).await;
    let body = json!({"name": "Hourly", "paths": ["/srv"], "cron": "0 * * * *", "repository_id": id});
    let path = format!("/api/v1/hosts/{}/schedules", agent.host);
    let (status, made) = server.call(&admin, Method::POST, &path, body).await;
    assert_eq!(status, 201, "{made}");
    let schedule = made["id"].as_str().unwrap().parse().unwrap();
    let due = Timestamp::from_seconds(Timestamp::now().seconds() / 3600 * 3600);
    let task = json!({"kind": "tag", "repository_id": id, "snapshots": ["a".repeat(64)], "change": {"add": ["x"]}});
    let fire = json!({"id": JobId::of_fire(schedule, due), "schedule_id": schedule, "due": due, "fired_at": due,
        "state_version": 2, "outcome": {"outcome": "run", "task": task}});
    let (status, answer) = agent.post("/agent/v1/fires", fire).await;
    assert_eq!((status, answer["code"].as_str()), (422, Some("invalid")), "{answer}");
}

#[tokio::test]
async fn nobody_takes_a_snapshot_from_the_host_that_made_it() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let mut mine = server.host(&admin, "mine", &["/etc"]).await;
    let mut other = server.host(&admin, "other", &["/etc"]).await;
    let id = "a".repeat(64);
    assert_eq!(back_up(&server, &admin, &mut mine, &id, json!({})).await, 200);
    assert_eq!(listed(&server, &admin).await, [("a".to_owned(), mine.host.to_string(), true)]);
    let path = format!("/api/v1/repositories/{}/snapshots", repository(&server, &admin).await);
    let before = server.get(&admin, &path).await;
    let forged = json!([{"id": id, "time": Timestamp::now(), "hostname": "other", "paths": ["/tmp"], "tags": ["x"]}]);
    assert_eq!(back_up(&server, &admin, &mut other, &id, json!({"snapshots": forged})).await, 200);
    assert_eq!(server.get(&admin, &path).await, before);
}
