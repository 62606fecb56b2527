//! Repositories end to end: what is proven of credentials, locks of the dead, changing a password with no gap, damage that is found, and
//! accounts at the storage. Every part real.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::agent::Agent;
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use restic_manager_tests::storage::OpenServer;
use restic_manager_tests::tools::{newest_rest_server, rest_server};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;

async fn credential(fleet: &Fleet, host: &str) -> Value {
    let all = fleet.of_repository("/credentials").await;
    let found = all["items"].as_array().unwrap().iter().find(|c| c["host_name"] == host).cloned();
    found.unwrap_or_else(|| panic!("{host} among {all}"))
}

#[tokio::test]
async fn append_only_is_proven_by_itself_and_a_credential_that_can_delete_is_an_alert() {
    let fleet = Fleet::with_upkeep(&["web-01", "bad"], json!({"init_if_missing": true})).await;
    let writable = fleet.storage.writable();
    let source = fleet.source("srv");
    let mut web = fleet.host("web-01", &[&source]).await;
    web.start();
    fleet.ended(&fleet.run_now(&web).await).await;
    // Meant to append only, but its address lets it delete.
    let bad = fleet.keeper("bad", &writable).await;
    let path = format!("/api/v1/hosts/{}/credentials/{}", bad.host, fleet.repository);
    let body = json!({"mode": "append_only", "rest_username": "bad", "rest_password": "pw-bad", "url": writable.url()});
    assert_eq!(fleet.control.call(&fleet.admin, reqwest::Method::PUT, &path, body).await.0, 204);
    fleet.storage.restic("bad", PASSWORD, &["init"]);
    let mut bad = bad;
    bad.start();
    let proof = |c: &Value| c["proof"]["can_delete"].as_str().map(str::to_owned);
    for (host, want) in [("web-01", "append_only"), ("bad", "can_delete")] {
        loop {
            let known = credential(&fleet, host).await;
            // The first may have come before there was a repository.
            if proof(&known).as_deref() == Some(want) && known["proof"]["exists"] == true {
                assert!(known["proof_at"].is_string(), "{known}");
                break;
            }
            let task = json!({"kind": "probe", "repository_id": fleet.repository});
            let id = if host == "bad" { &bad.host } else { &web.host };
            fleet.operate(json!({"host_id": id, "task": task})).await;
        }
    }
    let alerts = fleet.control.get(&fleet.admin, "/api/v1/alerts?open=true").await;
    let kinds: Vec<&Value> = alerts["items"].as_array().unwrap().iter().map(|a| &a["kind"]).collect();
    assert!(kinds.contains(&&json!("credential_can_delete")), "{alerts}");
    let health = fleet.of_repository("/health").await;
    assert_eq!(health["level"], "critical", "{health}");
    assert!(
        fleet.storage.restic("web-01", PASSWORD, &["snapshots", "--json", "--no-lock"]).len() > 10,
        "nothing was lost"
    );
}

#[tokio::test]
async fn append_only_is_told_for_each_server_of_the_protocol() {
    let fleet = Fleet::start(&["web-01"]).await;
    let mut web = fleet.host("web-01", &[&fleet.source("srv")]).await;
    web.start();
    let servers = [
        ("rest-server 0.13", OpenServer::rest(&rest_server(), true), "append_only"),
        ("rest-server 0.13, writable", OpenServer::rest(&rest_server(), false), "can_delete"),
        ("rest-server 0.14", OpenServer::rest(&newest_rest_server(), true), "append_only"),
        ("rest-server 0.14, writable", OpenServer::rest(&newest_rest_server(), false), "can_delete"),
        ("rclone", OpenServer::rclone(true), "append_only"),
        ("rclone, writable", OpenServer::rclone(false), "can_delete"),
    ];
    for (name, server, want) in &servers {
        let body = json!({"name": name, "url": server.url, "password": PASSWORD});
        let (status, made) = fleet.control.post(&fleet.admin, "/api/v1/repositories", body).await;
        assert_eq!(status, 201, "{made}");
        let repository = made["id"].as_str().unwrap();
        let path = format!("/api/v1/hosts/{}/credentials/{repository}", web.host);
        assert_eq!(fleet.control.call(&fleet.admin, reqwest::Method::PUT, &path, json!({})).await.0, 204);
        let on = |kind: &str| json!({"host_id": web.host, "task": {"kind": kind, "repository_id": repository}});
        assert_eq!(fleet.operate(on("init")).await["state"], "succeeded", "{name}");
        let probe = fleet.operate(on("probe")).await;
        assert_eq!(
            (&probe["state"], &probe["outcome"]["can_delete"]),
            (&json!("succeeded"), &json!(want)),
            "{name}: {probe}"
        );
        assert_eq!(
            (&probe["outcome"]["exists"], &probe["outcome"]["password_ok"]),
            (&json!(true), &json!(true)),
            "{name}"
        );
    }
}

/// Every process below this one that runs this restic command.
fn restics(word: &str) -> Vec<u32> {
    let out = Command::new("pgrep").args(["-f", &format!("restic {word} ")]).output().unwrap();
    String::from_utf8_lossy(&out.stdout).lines().filter_map(|l| l.parse().ok()).collect()
}

/// The restic that runs out of this agent's state folder.
fn restic_of(agent: &Agent) -> u32 {
    let state = agent.dir.path().join("state");
    let ours = |pid: &u32| {
        let vars = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        String::from_utf8_lossy(&vars).contains(state.to_str().unwrap())
    };
    restics("backup").into_iter().find(ours).expect("restic runs")
}

#[tokio::test]
async fn a_killed_backup_s_lock_goes_by_itself_and_others_go_on() {
    // One repository for both hosts.
    let fleet = Fleet::start(&["web-01", "web-02", "keeper"]).await;
    let shared = fleet.storage.writable();
    let fleet = fleet.sharing(&shared).await;
    let (one, two) = (fleet.source("one"), fleet.source("two"));
    let mut first = fleet.host("web-01", &[&one]).await;
    let mut second = fleet.host("web-02", &[&two]).await;
    first.start();
    second.start();
    fleet.ended(&fleet.run_now(&second).await).await;
    fleet.slow_source(&first, &one, 40, 2048).await;
    fleet.until_online(&first).await;
    let job = fleet.run_now(&first).await;
    fleet.until_running(&job).await;
    let pid = restic_of(&first);
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    let job = fleet.ended(&job).await;
    assert_eq!((&job["state"], &job["result"]["cause"]["code"]), (&json!("failed"), &json!("restic_crashed")), "{job}");
    // An exclusive operation on the other host: without the clean-up the dead lock would stop it.
    let check = json!({"kind": "check", "repository_id": fleet.repository});
    let check = fleet.operate(json!({"host_id": second.host, "task": check})).await;
    assert_eq!(check["state"], "succeeded", "{check}");
    let jobs = fleet.control.get(&fleet.admin, "/api/v1/jobs?kind=unlock").await;
    let unlock = &jobs["items"][0];
    assert_eq!((&unlock["host_id"], &unlock["requested_by"]), (&json!(first.host), &json!("system:locks")), "{jobs}");
    let unlock = fleet.ended(unlock["id"].as_str().unwrap()).await;
    assert_eq!(unlock["outcome"]["removed"][0]["pid"], pid, "{unlock}");
    assert_eq!(fleet.of_repository("/locks").await["items"], json!([]));
}

#[tokio::test]
async fn exclusive_work_waits_for_a_backup_and_says_so() {
    let fleet = Fleet::start(&["web-01", "keeper"]).await;
    let writable = fleet.storage.writable();
    let source = fleet.source("srv");
    let mut web = fleet.host("web-01", &[&source]).await;
    let mut keeper = fleet.keeper("keeper", &writable).await;
    keeper.start();
    web.start();
    fleet.ended(&fleet.run_now(&web).await).await;
    fleet.slow_source(&web, &source, 24, 4096).await;
    fleet.until_online(&web).await;
    let backup = fleet.run_now(&web).await;
    fleet.until_running(&backup).await;
    let task = json!({"kind": "prune", "repository_id": fleet.repository});
    let (status, asked) =
        fleet.ask(json!({"host_id": keeper.host, "of_host_id": web.host, "task": task, "confirm": true})).await;
    assert_eq!(status, 202, "{asked}");
    let prune = asked["job"]["id"].as_str().unwrap();
    let waiting = fleet.control.get(&fleet.admin, &format!("/api/v1/jobs/{prune}")).await;
    assert_eq!((&waiting["state"], &waiting["waits_for"]["reason"]), (&json!("queued"), &json!("others")), "{waiting}");
    assert_eq!(waiting["waits_for"]["job"], json!(backup), "{waiting}");
    let (backup, prune) = (fleet.ended(&backup).await, fleet.ended(prune).await);
    assert_eq!((&backup["state"], &prune["state"]), (&json!("succeeded"), &json!("succeeded")), "{backup} {prune}");
    assert!(prune["started_at"].as_str() >= backup["finished_at"].as_str(), "{prune}");
}

#[tokio::test]
async fn a_password_is_changed_with_no_gap() {
    let fleet = Fleet::with_upkeep(&["web-01", "keeper"], json!({})).await;
    let shared = fleet.storage.writable();
    let fleet = fleet.sharing(&shared).await;
    let source = fleet.source("srv");
    let mut web = fleet.host("web-01", &[&source]).await;
    let path = format!("/api/v1/hosts/{}/credentials/{}", web.host, fleet.repository);
    let body = json!({"mode": "full", "rest_username": "web-01", "rest_password": "pw-web-01"});
    assert_eq!(fleet.control.call(&fleet.admin, reqwest::Method::PUT, &path, body).await.0, 204);
    web.start();
    assert_eq!(fleet.ended(&fleet.run_now(&web).await).await["state"], "succeeded");
    let rotate = format!("/api/v1/repositories/{}/rotate-password", fleet.repository);
    let new = "another password";
    let (status, answer) = fleet.control.post(&fleet.admin, &rotate, json!({"password": new})).await;
    assert_eq!(status, 202, "{answer}");
    let (status, again) = fleet.control.post(&fleet.admin, &rotate, json!({})).await;
    assert_eq!((status, &again["code"]), (409, &json!("rotation_under_way")));
    loop {
        let rotation = fleet.of_repository("").await["rotation"].clone();
        assert!(rotation.is_null() || rotation["stage"] != "stuck", "{rotation}");
        if rotation.is_null() {
            break;
        }
        // In between, backups work all the same.
        let job = fleet.ended(&fleet.run_now(&web).await).await;
        assert_eq!(job["state"], "succeeded", "{rotation} {job}");
    }
    let open_with = |password: &str| {
        let repository = fleet.storage.dir.path().join("shared");
        let args = ["-r", repository.to_str().unwrap(), "cat", "config", "--no-cache"];
        let mut command = Command::new(restic_manager_tests::tools::restic());
        command.args(args).env("RESTIC_PASSWORD", password).output().unwrap().status.success()
    };
    assert!(open_with(new) && !open_with(PASSWORD), "only the new password opens it");
}

/// The largest pack: one of data.
fn largest_pack(repository: &Path) -> PathBuf {
    let dirs = std::fs::read_dir(repository.join("data")).unwrap().flatten();
    let packs = dirs.flat_map(|dir| std::fs::read_dir(dir.path()).unwrap().flatten().map(|e| e.path()));
    packs.max_by_key(|pack| pack.metadata().unwrap().len()).unwrap()
}

fn flip_a_byte(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::write(file, bytes).unwrap();
}

#[tokio::test]
async fn a_flipped_byte_is_found_by_the_read_data_cycle_and_the_touched_snapshot_is_named() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut web = fleet.host("web-01", &[&source]).await;
    fleet.slow_source(&web, &source, 1, 100_000).await;
    web.start();
    let backup = fleet.ended(&fleet.run_now(&web).await).await;
    let snapshot = backup["result"]["summary"]["snapshot_id"].as_str().unwrap();
    fleet.plan(&web.host, json!({"read_data_parts": 2})).await;
    flip_a_byte(&largest_pack(&fleet.storage.dir.path().join("web-01")));
    let mut found = None;
    for _ in 0..2 {
        let chores = fleet.maintain(&["read_data"]).await;
        let chore = chores.into_iter().find(|c| c["chore"] == "read_data").unwrap();
        if chore["last_state"] == "failed" {
            found = Some(chore);
            break;
        }
    }
    let chore = found.expect("found within its cycle");
    let job =
        fleet.control.get(&fleet.admin, &format!("/api/v1/jobs/{}", chore["last_job_id"].as_str().unwrap())).await;
    assert_eq!(job["result"]["cause"]["code"], "repository_damaged", "{job}");
    assert!(!job["outcome"]["broken_packs"].as_array().unwrap().is_empty(), "{job}");
    assert!(job["outcome"]["broken_snapshots"].to_string().contains(&snapshot[..8]), "{snapshot} in {job}");
    let alerts = fleet.control.get(&fleet.admin, "/api/v1/alerts?open=true").await;
    assert!(alerts["items"].to_string().contains("repository_damaged"), "{alerts}");
    assert_eq!(fleet.of_repository("/health").await["level"], "critical");
}

#[tokio::test]
async fn an_account_is_written_by_the_agent_beside_the_storage_if_its_policy_allows_it() {
    let fleet = Fleet::start(&["keeper"]).await;
    let mut keeper = fleet.host("keeper", &[]).await;
    let mut web = fleet.host("web-01", &[&fleet.source("srv")]).await;
    keeper.start();
    let path = format!("/api/v1/repositories/{}/accounts", fleet.repository);
    let body = json!({"host_id": web.host, "write_on": keeper.host});
    let (status, answer) = fleet.control.post(&fleet.admin, &path, body.clone()).await;
    assert_eq!(status, 201, "{answer}");
    let refused = fleet.ended(answer["job"]["job"]["id"].as_str().unwrap()).await;
    assert_eq!(refused["result"]["cause"]["code"], "policy_forbids", "{refused}");
    let accounts = fleet.storage.dir.path().join(".htpasswd");
    let policy = format!("accounts_file = {accounts:?}\n");
    std::fs::write(keeper.dir.path().join("state/policy.toml"), policy).unwrap();
    let (_, answer) = fleet.control.post(&fleet.admin, &path, body).await;
    let written = fleet.ended(answer["job"]["job"]["id"].as_str().unwrap()).await;
    assert_eq!((&written["state"], &written["outcome"]["user"]), (&json!("succeeded"), &json!("web-01")), "{written}");
    let line = answer["line"].as_str().unwrap();
    let file = std::fs::read_to_string(&accounts).unwrap();
    assert!(file.lines().any(|l| l == line) && file.contains("keeper:"), "{file}");
    // rest-server reads its accounts anew when it is told to.
    fleet.storage.reload();
    web.start();
    let job = fleet.ended(&fleet.run_now(&web).await).await;
    assert_eq!(job["state"], "succeeded", "{job}");
}
