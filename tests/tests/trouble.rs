//! Trouble with the storage and with who looks after it, every part real: the storage goes away in mid-prune, it is full, the maintenance
//! host is retired.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_tests::agent::Agent;
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use restic_manager_tests::storage::RestServer;
use restic_manager_tests::tools::oldest_restic;
use serde_json::{Value, json};
use std::path::Path;

/// A repository of web-01 that the keeper can prune, slowly: half of what is in its packs belongs to no snapshot any more.
async fn prunable(fleet: &Fleet, web: &Agent, keeper: &Agent, source: &Path) -> Value {
    fleet.slow_source(web, source, 24, 1 << 20).await;
    let first = fleet.ended(&fleet.run_now(web).await).await;
    let snapshot = first["result"]["summary"]["snapshot_id"].as_str().unwrap();
    for n in (0..96).step_by(2) {
        std::fs::remove_file(source.join(format!("part-{n}"))).unwrap();
    }
    assert_eq!(fleet.ended(&fleet.run_now(web).await).await["state"], "succeeded");
    let on = |task: Value| json!({"host_id": keeper.host, "of_host_id": web.host, "task": task, "confirm": true});
    let task = json!({"kind": "forget", "repository_id": fleet.repository, "snapshots": [snapshot]});
    assert_eq!(fleet.operate(on(task)).await["state"], "succeeded");
    let options = json!({"max_unused": "0", "limit_download_kib": 500});
    on(json!({"kind": "prune", "repository_id": fleet.repository, "options": options}))
}

#[tokio::test]
async fn a_storage_that_goes_away_in_mid_prune_costs_one_prune_and_its_lock_goes_by_itself() {
    let fleet = Fleet::start(&["web-01", "keeper"]).await;
    let mut writable = fleet.storage.writable();
    let source = fleet.source("srv");
    let mut web = fleet.host("web-01", &[&source]).await;
    // The oldest gives up soonest: after ten tries, not after a quarter of an hour.
    let mut keeper = fleet.keeper("keeper", &writable).await.with_restic(oldest_restic());
    web.start();
    keeper.start();
    let prune = prunable(&fleet, &web, &keeper, &source).await;
    let (status, asked) = fleet.ask(prune.clone()).await;
    assert_eq!(status, 202, "{asked}");
    let job = asked["job"]["id"].as_str().unwrap();
    let repacking = |e: &Value| e["progress"]["step"] == "repacking packs" && e["progress"]["units_done"] != 0;
    let seen = fleet.watch(job, repacking).await;
    assert!(repacking(&seen), "it ended before packs were repacked: {seen}");
    writable.kill();
    let job = fleet.ended(job).await;
    let cause = &job["result"]["cause"];
    assert_eq!((&job["state"], &cause["code"]), (&json!("failed"), &json!("repository_unreachable")), "{job}");
    let locked = || fleet.storage.restic("web-01", PASSWORD, &["list", "locks", "--no-lock"]);
    assert_eq!(locked().lines().count(), 1, "restic could not remove its lock");

    // The clean-up comes to a storage that is away, too.
    let unlocks = fleet.control.get(&fleet.admin, "/api/v1/jobs?kind=unlock").await;
    let tried = fleet.ended(unlocks["items"][0]["id"].as_str().unwrap()).await;
    assert_eq!((&tried["state"], &tried["requested_by"]), (&json!("failed"), &json!("system:locks")), "{tried}");

    writable.back();
    let again = fleet.operate(prune).await;
    assert_eq!(again["state"], "succeeded", "{again}");
    assert_eq!(locked().trim(), "", "the dead lock is gone");
    let checked = fleet.storage.restic("web-01", PASSWORD, &["check", "--read-data", "--no-lock"]);
    assert!(checked.contains("no errors were found"), "{checked}");
}

#[tokio::test]
async fn a_full_storage_is_named_and_a_backup_that_finds_room_succeeds() {
    let fleet = Fleet::start(&["web-01", "keeper"]).await;
    let small = fleet.storage.small(4 << 20);
    let source = fleet.source("srv");
    let mut web = fleet.host("web-01", &[&source]).await;
    give(&fleet, &web, "web-01", &small).await;
    web.start();
    fleet.slow_source(&web, &source, 16, 1 << 20).await;
    let job = fleet.ended(&fleet.run_now(&web).await).await;
    assert_eq!((&job["state"], &job["result"]["cause"]["code"]), (&json!("failed"), &json!("storage_full")), "{job}");
    let roomy = fleet.storage.writable();
    for n in 1..64 {
        std::fs::remove_file(source.join(format!("part-{n}"))).unwrap();
    }
    give(&fleet, &web, "web-01", &roomy).await;
    assert_eq!(fleet.ended(&fleet.run_now(&web).await).await["state"], "succeeded");
}

/// Gives a host a full credential at this server.
async fn give(fleet: &Fleet, agent: &Agent, name: &str, server: &RestServer) {
    let path = format!("/api/v1/hosts/{}/credentials/{}", agent.host, fleet.repository);
    let password = format!("pw-{name}");
    let body = json!({"mode": "full", "rest_username": name, "rest_password": password, "url": server.url()});
    assert_eq!(fleet.control.call(&fleet.admin, Method::PUT, &path, body).await.0, 204);
}

#[tokio::test]
async fn a_retired_maintenance_host_is_told_of_and_another_takes_over() {
    let fleet = Fleet::start(&["web-01", "keeper", "second"]).await;
    let writable = fleet.storage.writable();
    let mut web = fleet.host("web-01", &[&fleet.source("srv")]).await;
    let mut keeper = fleet.keeper("keeper", &writable).await;
    web.start();
    keeper.start();
    fleet.ended(&fleet.run_now(&web).await).await;
    fleet.plan(&keeper.host, json!({})).await;
    let of_web = |chores: &[Value]| {
        let found = chores.iter().find(|c| c["of_host_id"] == json!(web.host) && c["chore"] == "prune");
        found.cloned().unwrap_or_else(|| panic!("{chores:?}"))
    };
    assert_eq!(of_web(&fleet.maintain(&["prune"]).await)["last_state"], "succeeded");

    let path = format!("/api/v1/hosts/{}", keeper.host);
    assert_eq!(fleet.control.call(&fleet.admin, Method::DELETE, &path, Value::Null).await.0, 204);
    let said = fleet.of_repository("/maintenance").await;
    assert_eq!(said["maintenance_host_id"], Value::Null, "{said}");
    let run = format!("/api/v1/repositories/{}/maintenance/run", fleet.repository);
    let (status, refused) = fleet.control.post(&fleet.admin, &run, json!({"chores": ["prune"]})).await;
    assert_eq!((status, &refused["code"]), (409, &json!("no_host_can")), "{refused}");
    // A check needs no right to delete: the backup host does it.
    let chores = fleet.maintain(&["check"]).await;
    assert!(chores.iter().any(|c| c["chore"] == "check" && c["last_state"] == "succeeded"), "{chores:?}");

    let mut second = fleet.keeper("second", &writable).await;
    second.start();
    fleet.plan(&second.host, json!({})).await;
    let prune = of_web(&fleet.maintain(&["prune"]).await);
    assert_eq!(prune["last_state"], "succeeded", "{prune}");
    let job =
        fleet.control.get(&fleet.admin, &format!("/api/v1/jobs/{}", prune["last_job_id"].as_str().unwrap())).await;
    assert_eq!(job["host_id"], json!(second.host), "{job}");
}
