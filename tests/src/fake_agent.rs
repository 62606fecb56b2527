//! An agent that speaks the protocol by hand: for what a well-behaved agent never does.

use crate::control::ControlPlane;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use reqwest::Client;
use restic_manager_shared::id::{ControlId, HostId, InstanceId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::PROTOCOL;
use restic_manager_shared::wire::enroll::{EnrollResponse, proof_message};
use restic_manager_shared::wire::fire::FireLedger;
use restic_manager_shared::wire::poll::{HeldJob, PollRequest, PollResponse};
use restic_manager_shared::{jwt, seal};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

/// An agent that speaks the protocol by hand.
pub struct FakeAgent {
    http: Client,
    pub url: String,
    signing: Vec<u8>,
    pub signing_public: Vec<u8>,
    sealing_private: Vec<u8>,
    sealing_public: Vec<u8>,
    pub host: HostId,
    pub control: ControlId,
    pub control_key: Vec<u8>,
    pub instance: InstanceId,
    pub state_version: i64,
    /// What its polls say of schedules.
    pub fires: Vec<FireLedger>,
}

impl FakeAgent {
    pub fn new(server: &ControlPlane) -> Self {
        let signing = jwt::generate_signing_key().unwrap().to_vec();
        let signing_public = Ed25519KeyPair::from_pkcs8(&signing).unwrap().public_key().as_ref().to_vec();
        let (sealing_private, sealing_public) = seal::generate();
        Self {
            http: server.http.clone(),
            url: server.url.clone(),
            signing,
            signing_public,
            sealing_private: sealing_private.to_vec(),
            sealing_public,
            host: HostId::new(),
            control: ControlId::new(),
            control_key: vec![],
            instance: InstanceId::new(),
            state_version: 0,
            fires: vec![],
        }
    }

    pub fn enroll_body(&self, token: &str) -> Value {
        let pair = Ed25519KeyPair::from_pkcs8(&self.signing).unwrap();
        json!({
            "protocol": PROTOCOL, "token": token,
            "signing_key": B64.encode(&self.signing_public), "sealing_key": B64.encode(&self.sealing_public),
            "proof": B64.encode(pair.sign(&proof_message(token, &self.sealing_public))),
            "facts": {"hostname": "fake", "os": "linux", "os_version": "Debian", "arch": "x86_64",
                      "timezone": "Europe/Berlin", "agent_version": "0.1.0", "restic_version": "0.18.0"},
        })
    }

    pub async fn enroll(&mut self, token: &str) -> (u16, Value) {
        let (status, body) = self.send("/agent/v1/enroll", None, &self.enroll_body(token)).await;
        if status == 200 {
            let answer: EnrollResponse = serde_json::from_value(body.clone()).unwrap();
            (self.host, self.control) = (answer.host_id, answer.control_id);
            self.control_key = B64.decode(&answer.control_key).unwrap();
            self.state_version = answer.state.version;
        }
        (status, body)
    }

    pub fn token_at(&self, now: Timestamp) -> String {
        jwt::sign(&self.signing, self.host, self.control, now).unwrap()
    }

    pub fn token(&self) -> String {
        self.token_at(Timestamp::now())
    }

    pub async fn send(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = self.http.post(format!("{}{path}", self.url)).json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        // A connection that was kept from before a restart of the server fails once, and agents try again.
        let response = match request.try_clone().unwrap().send().await {
            Ok(response) => response,
            Err(_) => request.send().await.unwrap(),
        };
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.send(path, Some(&self.token()), &body).await
    }

    pub fn poll_body(&self, jobs: &[HeldJob], hold: u32) -> Value {
        serde_json::to_value(PollRequest {
            protocol: PROTOCOL,
            instance: self.instance,
            state_version: self.state_version,
            jobs: jobs.to_vec(),
            free_slots: 2,
            fires: self.fires.clone(),
            spooled: 0,
            agent_version: "0.1.0".into(),
            hooks: None,
            restic_version: Some("0.18.0".into()),
            restored: None,
            queries: vec![],
            update: None,
            hold,
        })
        .unwrap()
    }

    pub async fn poll(&mut self, jobs: &[HeldJob], hold: u32) -> PollResponse {
        let (status, body) = self.post("/agent/v1/poll", self.poll_body(jobs, hold)).await;
        assert_eq!(status, 200, "{body}");
        let answer: PollResponse = serde_json::from_value(body).unwrap();
        if let Some(state) = &answer.state {
            self.state_version = state.version;
        }
        answer
    }

    pub fn open(&self, name: &str, sealed: &seal::Sealed) -> String {
        let plain = seal::open(&self.control_key, &self.sealing_private, self.host, name, sealed).unwrap();
        String::from_utf8(plain.to_vec()).unwrap()
    }
}
