//! After a loss: with the control plane gone, its kit restores the data; with an export, it comes back and agents go on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::control::{client, program};
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use restic_manager_tests::tools::{oldest_restic, output, restic};
use serde_json::{Value, json};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// A kit's file.
async fn kit(fleet: &Fleet, body: Value) -> Vec<u8> {
    let request = fleet.control.request(reqwest::Method::POST, "/api/v1/recovery-kits", Some(&fleet.admin));
    let response = request.json(&body).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response.bytes().await.unwrap().to_vec()
}

/// The blocks of commands in a kit, as one script.
fn script(kit: &str) -> String {
    let blocks = kit.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    format!("set -eu\n{}", blocks.collect::<String>())
}

/// Follows a kit's steps in an empty folder with nothing but a shell and restic.
fn follow(kit: &str, restic: &Path) -> TempDir {
    let dir = TempDir::new().unwrap();
    let path = format!("{}:/usr/bin:/bin", restic.parent().unwrap().display());
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", &script(kit)]).current_dir(dir.path()).env_clear().env("PATH", path).env("HOME", dir.path());
    output(&mut shell);
    dir
}

async fn due(fleet: &Fleet) -> bool {
    let states = fleet.control.get(&fleet.admin, "/api/v1/recovery-kits").await;
    assert_eq!(states["items"].as_array().unwrap().len(), 1, "{states}");
    states["items"][0]["due"].as_bool().unwrap()
}

#[tokio::test]
async fn a_kit_restores_without_a_control_plane_and_says_when_another_is_due() {
    let fleet = Fleet::start(&["web-01", "db-01"]).await;
    let mut agents = Vec::new();
    for name in ["web-01", "db-01"] {
        let source = fleet.source(name);
        let mut agent = fleet.host(name, &[&source]).await;
        agent.start();
        assert_eq!(fleet.ended(&fleet.run_now(&agent).await).await["state"], "succeeded");
        agents.push((agent, name, source));
    }
    assert!(due(&fleet).await, "none was made");
    let plain = String::from_utf8(kit(&fleet, json!({"plain": true})).await).unwrap();
    assert!(!due(&fleet).await);
    let closed = kit(&fleet, json!({"passphrase": "correct horse battery"})).await;
    let path = format!("/api/v1/hosts/{}/credentials/{}", agents[0].0.host, fleet.repository);
    let body = json!({"rest_username": "web-01", "rest_password": "pw-web-01"});
    let (status, _) = fleet.control.call(&fleet.admin, reqwest::Method::PUT, &path, body).await;
    assert_eq!(status, 204);
    assert!(due(&fleet).await, "a credential was set since");

    // The control plane, its database and its key are gone, and so are the agents.
    let Fleet { control, storage, sources, .. } = fleet;
    drop(control.stop());
    let kept: Vec<_> = agents.into_iter().map(|(_, name, source)| (name, source)).collect();
    let opened = age::Decryptor::new(&closed[..]).unwrap();
    let passphrase = age::scrypt::Identity::new("correct horse battery".to_owned().into());
    let mut text = String::new();
    opened.decrypt([&passphrase as &dyn age::Identity].into_iter()).unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(script(&text), script(&plain), "the closed one holds the same");
    for restic in [restic(), oldest_restic()] {
        let dir = follow(&text, &restic);
        for (name, source) in &kept {
            let restored = dir.path().join("restored").join(name).join(source.strip_prefix("/").unwrap());
            output(Command::new("diff").args(["-r", "--no-dereference"]).arg(source).arg(restored));
        }
    }
    drop((storage, sources));
}

#[tokio::test]
async fn a_kit_is_asked_for_with_care() {
    let fleet = Fleet::start(&["web-01"]).await;
    let _agent = fleet.host("web-01", &[]).await;
    for (body, pointer) in [
        (json!({}), "/passphrase"),
        (json!({"passphrase": "too short"}), "/passphrase"),
        (json!({"passphrase": "long enough to hold", "plain": true}), "/plain"),
    ] {
        let (status, said) = fleet.control.post(&fleet.admin, "/api/v1/recovery-kits", body).await;
        assert_eq!((status, said["errors"][0]["pointer"].as_str()), (422, Some(pointer)), "{said}");
    }
    assert!(due(&fleet).await);
    let audit = fleet.control.get(&fleet.admin, "/api/v1/audit-events").await;
    assert!(!audit.to_string().contains("recovery_kit.make"), "nothing was handed over");
}

/// Has the control plane's program do something with its state.
fn state(what: &str, data: &Path, file: &Path) {
    output(program().args(["state", what, "--data-dir"]).arg(data).arg(file));
}

/// (requested by, state) of a host's jobs, oldest first.
async fn jobs(fleet: &Fleet, host: &str) -> Vec<(String, String)> {
    let page = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{host}/jobs?limit=200")).await;
    let text = |job: &Value, field: &str| job[field].as_str().unwrap().to_owned();
    page["items"].as_array().unwrap().iter().rev().map(|j| (text(j, "requested_by"), text(j, "state"))).collect()
}

#[tokio::test]
async fn after_an_import_agents_go_on_and_what_ran_since_is_there_once() {
    let mut fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("srv");
    let mut agent = fleet.host("web-01", &[&source]).await;
    agent.start();
    assert_eq!(fleet.ended(&fleet.run_now(&agent).await).await["state"], "succeeded");
    agent.stop();
    let schedule = fleet.schedule(&agent).await;
    let path = format!("/api/v1/schedules/{}/run", schedule["id"].as_str().unwrap());
    let (status, queued) = fleet.control.post(&fleet.admin, &path, json!({})).await;
    assert_eq!(status, 202, "{queued}");

    let export = fleet.sources.path().join("export");
    state("export", fleet.control.dir.path(), &export);
    agent.start();
    assert_eq!(fleet.ended(queued["job"]["id"].as_str().unwrap()).await["state"], "succeeded");
    assert_eq!(fleet.ended(&fleet.run_now(&agent).await).await["state"], "succeeded");
    let minutely = json!({"name": "minutely", "paths": [source], "cron": "* * * * *", "timezone": "UTC",
        "repository_id": fleet.repository});
    let path = format!("/api/v1/hosts/{}/schedules", agent.host);
    let (status, made) = fleet.control.post(&fleet.admin, &path, minutely).await;
    assert_eq!(status, 201, "{made}");
    let fired = loop {
        let all = jobs(&fleet, &agent.host).await;
        let ended = |(by, state): &&(String, String)| by == "system:schedule" && state == "succeeded";
        if all.iter().filter(ended).count() == 1 {
            break all.len();
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    assert_eq!(fired, 4);
    // The host must not fire again before it is known how often it did.
    agent.stop();

    fleet.control.crash();
    fleet.control.dir = TempDir::new().unwrap();
    state("import", fleet.control.dir.path(), &export);
    fleet.control.revive();
    fleet.control.http = client();
    assert_eq!(jobs(&fleet, &agent.host).await.len(), 2, "as it was when it was exported");
    agent.start();
    let all = loop {
        let all = jobs(&fleet, &agent.host).await;
        if all.len() == 4 && all.iter().all(|(_, state)| state == "succeeded") {
            break all;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    };
    let asked: Vec<&str> = all.iter().map(|(by, _)| by.as_str()).collect();
    assert_eq!(asked, ["token:admin", "token:admin", "system:recall", "system:schedule"]);
    let snapshots = || -> Value {
        serde_json::from_str(&fleet.storage.restic("web-01", PASSWORD, &["snapshots", "--json"])).unwrap()
    };
    assert_eq!(snapshots().as_array().unwrap().len(), 4, "nothing ran twice");
    // The schedule that was made after the export is gone with it; what is there goes on.
    fleet.until_online(&agent).await;
    assert_eq!(fleet.ended(&fleet.run_now(&agent).await).await["state"], "succeeded");
    let (content, said) = fleet.control.doctor();
    assert!(content, "{said}");
}
