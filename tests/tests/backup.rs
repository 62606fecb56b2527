//! The whole way, every part real: from an enrollment token to a snapshot that equals its source, and what goes wrong on it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use restic_manager_tests::tools::oldest_restic;
use serde_json::{Value, json};

#[tokio::test]
async fn a_new_host_makes_a_snapshot_that_equals_its_source() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    agent.start();
    let job = fleet.ended(&fleet.run_now(&agent).await).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["result"]["summary"]["files_new"], 2, "{job}");
    let command = job["result"]["command"].as_str().unwrap();
    assert!(command.contains("backup") && !command.contains("pw-web-01") && !command.contains(PASSWORD), "{command}");

    let snapshots = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/snapshots", agent.host)).await;
    let snapshot = &snapshots["items"][0];
    assert_eq!((&snapshot["job_id"], &snapshot["schedule_id"]), (&job["id"], &job["schedule_id"]));
    assert_eq!((&snapshot["hostname"], &snapshot["paths"]), (&json!("web-01"), &json!([source])));
    fleet.storage.assert_equals_source("web-01", PASSWORD, snapshot["id"].as_str().unwrap(), &source);
    let host = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}", agent.host)).await;
    assert_eq!((&host["state"], &host["in_force"]), (&json!("online"), &json!(true)));
}

#[tokio::test]
async fn the_oldest_restic_works_too() {
    let fleet = Fleet::start(&["old"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("old", &[&source]).await.with_restic(oldest_restic());
    agent.start();
    let job = fleet.ended(&fleet.run_now(&agent).await).await;
    assert_eq!((&job["state"], &job["result"]["restic_version"]), (&json!("succeeded"), &json!("0.14.0")), "{job}");
    let snapshots = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/snapshots", agent.host)).await;
    let id = snapshots["items"][0]["id"].as_str().unwrap();
    assert_eq!(id.len(), 64, "restic 0.14 says 8 digits; the whole id is looked up");
    fleet.storage.assert_equals_source("old", PASSWORD, id, &source);
}

#[tokio::test]
async fn a_path_that_is_not_there_is_a_warning_with_its_name() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let missing = source.join("not there");
    let mut agent = fleet.host("web-01", &[&source, &missing]).await;
    agent.start();
    let job = fleet.ended(&fleet.run_now(&agent).await).await;
    assert_eq!(job["state"], "warning", "{job}");
    assert!(job["result"]["item_errors"].to_string().contains("not there"), "{job}");
    assert!(job["result"]["summary"]["snapshot_id"].is_string(), "there is a snapshot all the same");
}

async fn fails_with(fleet: &Fleet, host: &str, cause: &str) -> Value {
    let source = fleet.source("srv");
    let mut agent = fleet.host(host, &[&source]).await;
    agent.start();
    let job = fleet.ended(&fleet.run_now(&agent).await).await;
    assert_eq!((&job["state"], &job["result"]["cause"]["code"]), (&json!("failed"), &json!(cause)), "{job}");
    job
}

#[tokio::test]
async fn a_repository_that_is_not_there_is_said_and_can_be_made() {
    let fleet = Fleet::with_repository(&["web-01"], json!({})).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    agent.start();
    let job = fleet.ended(&fleet.run_now(&agent).await).await;
    assert_eq!(job["result"]["cause"]["code"], "repository_missing", "{job}");
    let path = format!("/api/v1/repositories/{}/init", fleet.repository);
    let (status, made) = fleet.control.post(&fleet.admin, &path, json!({"host_id": agent.host})).await;
    assert_eq!(status, 202, "{made}");
    assert_eq!(fleet.ended(made["job"]["id"].as_str().unwrap()).await["state"], "succeeded");
    assert_eq!(fleet.ended(&fleet.run_now(&agent).await).await["state"], "succeeded");
}

#[tokio::test]
async fn a_wrong_repository_password_is_told_apart() {
    let fleet = Fleet::with_repository(&["web-01"], json!({"password": "not this one"})).await;
    fleet.storage.restic("web-01", PASSWORD, &["init"]);
    fails_with(&fleet, "web-01", "wrong_password").await;
}

#[tokio::test]
async fn a_wrong_storage_user_is_told_apart() {
    let fleet = Fleet::start(&["somebody-else"]).await;
    fails_with(&fleet, "web-01", "storage_unauthorized").await;
}

#[tokio::test]
async fn storage_that_does_not_answer_is_found_out_before_restic_waits_for_it() {
    let fleet = Fleet::with_repository(&["web-01"], json!({"url": "rest:http://127.0.0.1:9/{host}/"})).await;
    let job = fails_with(&fleet, "web-01", "repository_unreachable").await;
    assert_eq!(job["result"]["exit_code"], Value::Null, "restic was not started: {job}");
}

#[tokio::test]
async fn a_cancelled_backup_ends_cleanly() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    fleet.slow_source(&agent, &source, 40, 2048).await;
    agent.start();
    let job = fleet.run_now(&agent).await;
    fleet.until_running(&job).await;
    let (status, _) = fleet.control.post(&fleet.admin, &format!("/api/v1/jobs/{job}/cancel"), Value::Null).await;
    assert_eq!(status, 202);
    let job = fleet.ended(&job).await;
    assert_eq!(job["state"], "cancelled", "{job}");
    assert_eq!(fleet.storage.restic("web-01", PASSWORD, &["list", "locks", "--no-lock"]).trim(), "", "no lock is left");
    assert_eq!(fleet.storage.restic("web-01", PASSWORD, &["snapshots", "--json"]).trim(), "[]");
}

#[tokio::test]
async fn a_restart_of_the_control_plane_does_not_disturb_a_backup() {
    let mut fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    fleet.slow_source(&agent, &source, 24, 2048).await;
    agent.start();
    let job = fleet.run_now(&agent).await;
    fleet.until_running(&job).await;
    fleet.control = fleet.control.restart();
    let job = fleet.ended(&job).await;
    assert_eq!((&job["state"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{job}");
    let snapshots = fleet.storage.restic("web-01", PASSWORD, &["snapshots", "--json"]);
    assert_eq!(serde_json::from_str::<Vec<Value>>(&snapshots).unwrap().len(), 1, "nothing ran twice");
}

#[tokio::test]
async fn an_agent_that_dies_in_mid_run_says_so_when_it_is_back() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    fleet.slow_source(&agent, &source, 40, 1024).await;
    agent.start();
    let job = fleet.run_now(&agent).await;
    fleet.until_running(&job).await;
    agent.kill();
    agent.start();
    let job = fleet.ended(&job).await;
    assert_eq!(
        (&job["state"], &job["result"]["cause"]["code"]),
        (&json!("failed"), &json!("agent_restarted")),
        "{job}"
    );
    let mut schedule = fleet.schedule(&agent).await;
    schedule["options"] = json!({});
    fleet.put_schedule(schedule).await;
    let again = fleet.ended(&fleet.run_now(&agent).await).await;
    assert_eq!(again["state"], "succeeded", "{again}");
}

#[tokio::test]
async fn an_offline_host_gets_its_job_when_it_is_back() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    let job = fleet.run_now(&agent).await;
    let state = fleet.control.get(&fleet.admin, &format!("/api/v1/jobs/{job}")).await["state"].clone();
    assert_eq!(state, "queued");
    agent.start();
    assert_eq!(fleet.ended(&job).await["state"], "succeeded");
}

#[tokio::test]
async fn a_changed_schedule_is_in_force_at_the_next_run() {
    let fleet = Fleet::start(&["web-01"]).await;
    let (first, second) = (fleet.source("first"), fleet.source("second"));
    let mut agent = fleet.host("web-01", &[&first]).await;
    agent.start();
    let mut schedule = fleet.schedule(&agent).await;
    schedule["paths"] = json!([second]);
    schedule["excludes"] = json!(["empty"]);
    schedule["tags"] = json!(["nightly"]);
    fleet.put_schedule(schedule).await;
    let job = fleet.ended(&fleet.run_now(&agent).await).await;
    assert_eq!((&job["state"], &job["result"]["summary"]["files_new"]), (&json!("succeeded"), &json!(1)), "{job}");
    let snapshots = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/snapshots", agent.host)).await;
    assert_eq!(
        (&snapshots["items"][0]["paths"], &snapshots["items"][0]["tags"]),
        (&json!([second]), &json!(["nightly"]))
    );
}

#[tokio::test]
async fn a_listing_finds_foreign_snapshots_and_misses_removed_ones() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    agent.start();
    let job = fleet.ended(&fleet.run_now(&agent).await).await;
    fleet.storage.restic(
        "web-01",
        PASSWORD,
        &["backup", "--host", "web-01", "--tag", "by hand", source.to_str().unwrap()],
    );
    let made = job["result"]["summary"]["snapshot_id"].as_str().unwrap();
    std::fs::remove_file(fleet.storage.dir.path().join("web-01/snapshots").join(made)).unwrap();
    let path = format!("/api/v1/repositories/{}/snapshots/refresh", fleet.repository);
    let (status, listed) = fleet.control.post(&fleet.admin, &path, json!({"host_id": agent.host})).await;
    assert_eq!(status, 202, "{listed}");
    assert_eq!(fleet.ended(listed["job"]["id"].as_str().unwrap()).await["state"], "succeeded");
    let snapshots = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/snapshots", agent.host)).await;
    let items = snapshots["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{snapshots}");
    assert_eq!((&items[0]["tags"], &items[0]["job_id"]), (&json!(["by hand"]), &Value::Null));
}

#[tokio::test]
async fn bodies_that_are_too_large_or_not_json_are_refused() {
    let fleet = Fleet::start(&[]).await;
    let send = |kind: &'static str, body: Vec<u8>| {
        fleet
            .control
            .request(Method::POST, "/api/v1/repositories", Some(&fleet.admin))
            .header("content-type", kind)
            .body(body)
            .send()
    };
    let code = |answer: Value| answer["code"].as_str().unwrap_or_default().to_owned();
    let large = send("application/json", vec![b' '; (1 << 20) + 1]).await.unwrap();
    assert_eq!((large.status().as_u16(), code(large.json().await.unwrap()).as_str()), (413, "too_large"));
    let text = send("text/plain", b"{}".to_vec()).await.unwrap();
    assert_eq!((text.status().as_u16(), code(text.json().await.unwrap()).as_str()), (415, "unsupported_media_type"));
}
