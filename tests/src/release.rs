//! Releases whose binary is only text: signed for real, published over the API, and what an agent by hand is offered of them.

use crate::control::ControlPlane;
use crate::fake_agent::FakeAgent;
use reqwest::Method;
use restic_manager_shared::release::{Manifest, SignedManifest, SigningKey, sha256};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::poll::PollResponse;
use serde_json::{Value, json};

/// The platform of all of them.
pub const TARGET: &str = "linux-x86_64";

/// What is fetched of a version.
#[must_use]
pub fn binary(version: &str) -> Vec<u8> {
    format!("an agent {version} ").repeat(20_000).into_bytes()
}

/// A version, signed so that hosts may go back to it.
#[must_use]
pub fn signed(key: &SigningKey, version: &str) -> SignedManifest {
    let binary = binary(version);
    let manifest = Manifest {
        version: version.into(),
        target: TARGET.into(),
        sha256: sha256(&binary),
        size: binary.len() as u64,
        protocol: 3,
        rollback: true,
        published_at: Timestamp::from_seconds(1_790_000_000),
    };
    key.sign(manifest).unwrap()
}

/// Brings the file of a version whose signature is there already.
pub async fn bring_file(control: &ControlPlane, admin: &str, version: &str) {
    let path = format!("/api/v1/releases/{version}/{TARGET}/file");
    let put = control.request(Method::PUT, &path, Some(admin)).body(binary(version)).send().await.unwrap();
    assert_eq!(put.status().as_u16(), 200);
}

/// Publishes a version, so that it can be rolled out.
pub async fn publish(control: &ControlPlane, admin: &str, key: &SigningKey, version: &str) {
    let (status, made) = control.post(admin, "/api/v1/releases", json!({"signed": signed(key, version)})).await;
    assert_eq!(status, 201, "{made}");
    bring_file(control, admin, version).await;
}

/// An agent of a version polls and says how its update stands.
pub async fn poll(agent: &FakeAgent, (version, update): (&str, Value), hold: u32) -> PollResponse {
    let mut body = agent.poll_body(&[], hold);
    (body["agent_version"], body["update"]) = (json!(version), update);
    let (status, answer) = agent.post("/agent/v1/poll", body).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_value(answer).unwrap()
}

/// The version that an agent is offered.
pub async fn offered(agent: &FakeAgent, version: &str, update: Value) -> Option<String> {
    poll(agent, (version, update), 1).await.release.map(|offer| offer.version)
}

/// What an agent says of its update that has nothing to do.
#[must_use]
pub fn idle() -> Value {
    json!({"target": TARGET})
}
