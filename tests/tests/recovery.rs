//! After a loss: with the control plane gone, its kit restores the data; with an export, it comes back and agents go on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::fleet::Fleet;
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
