//! Drills by plan, end to end: the real control plane, agent, restic and rest-server. A backup is proven restorable without anybody asking,
//! and a byte that flips in the repository is found by the next drill.

#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::fleet::Fleet;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The largest pack: one of data.
fn largest_pack(repository: &Path) -> PathBuf {
    let dirs = std::fs::read_dir(repository.join("data")).unwrap().flatten();
    let packs = dirs.flat_map(|dir| std::fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.path()));
    packs.max_by_key(|pack| pack.metadata().unwrap().len()).unwrap()
}

/// Flips a byte in the middle; twice is as it was.
fn flip_a_byte(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::set_permissions(file, PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(file, bytes).unwrap();
}

/// Waits for a drill of this verdict that ended after those seen so far.
async fn drilled(fleet: &Fleet, verdict: &str) -> Value {
    loop {
        let list = fleet.control.get(&fleet.admin, "/api/v1/drills?limit=1").await;
        if list["items"][0]["verdict"] == verdict {
            return list["items"][0].clone();
        }
        let open = fleet.control.get(&fleet.admin, "/api/v1/jobs?kind=drill&limit=1").await;
        match open["items"][0]["id"].as_str().filter(|_| open["items"][0]["finished_at"].is_null()) {
            Some(job) => drop(fleet.ended(job).await),
            None => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
        }
    }
}

#[tokio::test]
async fn a_schedule_drills_by_itself_and_a_flipped_byte_is_found_by_the_next_drill() {
    let fleet = Fleet::with_upkeep(&["web-01"], json!({"init_if_missing": true})).await;
    let source = fleet.source("srv");
    let mut web = fleet.host("web-01", &[&source]).await;
    fleet.slow_source(&web, &source, 1, 100_000).await;
    web.start();
    let backup = fleet.ended(&fleet.run_now(&web).await).await;
    assert_eq!(backup["state"], "succeeded", "{backup}");
    let anna = Visitor::sign_in(&fleet.control, "viewer").await;
    let host = format!("/hosts/{}", web.host);
    assert!(anna.open(&host).await.text.contains(">never</a>"), "nothing is proven yet");

    let mut schedule = fleet.schedule(&web).await;
    schedule["drill"] = json!({"cron": "* * * * *", "random_files": 50, "oldest_files": 10});
    fleet.put_schedule(schedule).await;
    let good = drilled(&fleet, "proven").await;
    assert_eq!((&good["planned"], &good["failed"]), (&json!(true), &json!(0)), "{good}");
    assert_eq!(good["equal_to_source"], good["snapshot_files"], "nothing has changed since: {good}");
    assert_eq!(good["snapshot"], backup["result"]["summary"]["snapshot_id"]);
    let page = anna.open(&host).await.text;
    assert!(page.contains("Last proven restorable") && !page.contains(">never</a>"), "{page}");
    let page = anna.open("/drills").await.text;
    assert!(page.contains("Proven") && page.contains("by plan"), "{page}");
    let left = std::fs::read_dir(web.dir.path().join("state").join("jobs")).map_or(0, Iterator::count);
    assert_eq!(left, 0, "what was restored is removed");

    let pack = largest_pack(&fleet.storage.dir.path().join("web-01"));
    flip_a_byte(&pack);
    let bad = drilled(&fleet, "differs").await;
    assert!(bad["failed"].as_u64().is_some_and(|n| n > 0), "{bad}");
    let alerts = fleet.control.get(&fleet.admin, "/api/v1/alerts?open=true").await;
    assert!(alerts["items"].to_string().contains("drill_failed"), "{alerts}");
    let proven_at =
        fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/drills", web.host)).await["proven_at"].clone();
    assert_eq!(proven_at, good["at"], "what was proven last stays known");

    // One that a person asks for counts as much.
    flip_a_byte(&pack);
    let task = json!({"kind": "drill", "repository_id": fleet.repository, "snapshot": good["snapshot"], "random": 50});
    let job = fleet.operate(json!({"host_id": web.host, "task": task})).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    let list = fleet.control.get(&fleet.admin, "/api/v1/drills").await;
    let again = list["items"].as_array().unwrap().iter().find(|d| d["job_id"] == job["id"]).unwrap();
    assert_eq!((&again["verdict"], &again["planned"]), (&json!("proven"), &json!(false)), "{again}");
    let alerts = fleet.control.get(&fleet.admin, "/api/v1/alerts?open=true").await;
    assert!(!alerts["items"].to_string().contains("drill_failed"), "{alerts}");
}
