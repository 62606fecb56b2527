//! Schedules that fire by themselves, with every part real.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use serde_json::{Value, json};

#[tokio::test]
async fn a_schedule_fires_while_the_control_plane_is_away_and_tells_when_it_is_back() {
    let mut fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    let body =
        json!({"name": "Each minute", "paths": [source], "cron": "* * * * *", "repository_id": fleet.repository});
    let path = format!("/api/v1/hosts/{}/schedules", agent.host);
    let (status, schedule) = fleet.control.post(&fleet.admin, &path, body).await;
    assert_eq!(status, 201, "{schedule}");
    agent.start();
    fleet.until_online(&agent).await;
    let address = fleet.control.url.trim_start_matches("http://").to_owned();
    let data = fleet.control.stop();
    agent.until_said("job ended").await;
    agent.kill();
    agent.start();
    fleet.control = ControlPlane::start_in(data, &["--listen", &address]);
    let job = loop {
        let jobs = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/jobs", agent.host)).await;
        match jobs["items"].as_array().unwrap().last() {
            Some(job) if !job["finished_at"].is_null() => break job.clone(),
            _ => tokio::task::yield_now().await,
        }
    };
    assert_eq!((&job["state"], &job["kind"]), (&json!("succeeded"), &json!("backup")), "{job}");
    let due = Timestamp::parse(job["due_at"].as_str().unwrap()).unwrap();
    let id = JobId::of_fire(schedule["id"].as_str().unwrap().parse().unwrap(), due);
    assert_eq!((&job["id"], due.seconds() % 60), (&json!(id), 0));
    let snapshot = job["result"]["summary"]["snapshot_id"].as_str().unwrap();
    fleet.storage.assert_equals_source("web-01", PASSWORD, snapshot, &source);
    let events = fleet.control.get(&fleet.admin, &format!("/api/v1/jobs/{id}/events")).await;
    let lines: Vec<&Value> = events["lines"].as_array().unwrap().iter().map(|l| &l["text"]).collect();
    assert!(lines.len() > 2 && lines[0].as_str().unwrap().starts_with("due at "), "{lines:?}");
}
