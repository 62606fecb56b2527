//! What the control plane's tests share: both databases, the real server as a process, and an agent that speaks the protocol by hand.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)] // each test file uses its own part

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use control::store::{Db, Target};
use reqwest::{Client, Method, RequestBuilder};
use restic_manager_shared::id::{ControlId, HostId, InstanceId};
use restic_manager_shared::jwt;
use restic_manager_shared::seal;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::PROTOCOL;
use restic_manager_shared::wire::enroll::{EnrollResponse, proof_message};
use restic_manager_shared::wire::poll::{HeldJob, PollRequest, PollResponse};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// The PostgreSQL server that `deploy/test` starts for the tests.
#[allow(clippy::disallowed_methods)] // how the test script tells the tests
fn postgres_url() -> String {
    std::env::var("RESTIC_MANAGER_TEST_POSTGRES")
        .expect("RESTIC_MANAGER_TEST_POSTGRES names no PostgreSQL server: run the tests with ./deploy/test")
}

/// A database of a test's own, of each kind.
pub struct Database {
    pub name: &'static str,
    pub target: Target,
    _dir: Option<TempDir>,
}

/// One fresh SQLite file and one fresh PostgreSQL database.
pub fn databases() -> Vec<Database> {
    let dir = TempDir::new().unwrap();
    let sqlite = Target::Sqlite(dir.path().join("test.db"));
    vec![
        Database { name: "SQLite", target: sqlite, _dir: Some(dir) },
        Database { name: "PostgreSQL", target: Target::Postgres(fresh_postgres()), _dir: None },
    ]
}

/// A fresh PostgreSQL database; the whole cluster is thrown away after the tests.
pub fn fresh_postgres() -> String {
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, PgConnection};
    let url = postgres_url();
    let name = format!("t{}", InstanceId::new().0.simple());
    let mut admin = PgConnection::establish(&url).expect("the test PostgreSQL answers");
    admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database is made");
    let (head, _) = url.rsplit_once('/').expect("the URL ends with /database");
    format!("{head}/{name}")
}

pub fn open(database: &Database) -> Db {
    Db::open(&database.target).unwrap_or_else(|e| panic!("{}: {e}", database.name))
}

/// The real program, serving.
pub struct Server {
    child: Child,
    pub url: String,
    pub dir: TempDir,
    pub http: Client,
}

pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_restic-manager"));
    command.env_remove("DATABASE_URL").env("RUST_LOG", "info").stdin(Stdio::null());
    command
}

pub fn client() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl Server {
    pub fn start() -> Self {
        Self::start_in(TempDir::new().unwrap(), &[])
    }

    pub fn start_in(dir: TempDir, more: &[&str]) -> Self {
        let (child, url) = spawn(dir.path(), more);
        Self { child, url, dir, http: client() }
    }

    /// Stops it as an operator would, and answers the data folder.
    pub fn stop(mut self) -> TempDir {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "the server ended with {ended}");
        std::mem::replace(&mut self.dir, TempDir::new().unwrap())
    }

    pub fn token(&self, role: &str) -> String {
        let out = program().args(["token", "add", role, "--role", role, "--data-dir"]).arg(self.dir.path()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    pub fn request(&self, method: Method, path: &str, token: Option<&str>) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.url));
        match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends JSON and answers status and JSON.
    pub async fn call(&self, token: &str, method: Method, path: &str, body: Value) -> (u16, Value) {
        let mut request = self.request(method, path, Some(token));
        if !body.is_null() {
            request = request.json(&body);
        }
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }

    pub async fn get(&self, token: &str, path: &str) -> Value {
        let (status, body) = self.call(token, Method::GET, path, Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    pub async fn post(&self, token: &str, path: &str, body: Value) -> (u16, Value) {
        self.call(token, Method::POST, path, body).await
    }

    /// Adds a repository and an enrolled host with these initial paths.
    pub async fn host(&self, admin: &str, name: &str, paths: &[&str]) -> FakeAgent {
        let repositories = self.get(admin, "/api/v1/repositories").await;
        let repository = match repositories["items"][0]["id"].as_str() {
            Some(id) => id.to_owned(),
            None => {
                let body = json!({"name": "main", "url": "rest:http://127.0.0.1:9/{host}/", "password": "secret"});
                let (status, made) = self.post(admin, "/api/v1/repositories", body).await;
                assert_eq!(status, 201, "{made}");
                made["id"].as_str().unwrap().to_owned()
            }
        };
        let body = json!({"host_name": name, "initial_paths": paths, "repository_id": repository,
            "rest_username": "u", "rest_password": "p"});
        let (status, made) = self.post(admin, "/api/v1/enrollment-tokens", body).await;
        assert_eq!(status, 201, "{made}");
        let mut agent = FakeAgent::new(self);
        let (status, body) = agent.enroll(made["token"].as_str().unwrap()).await;
        assert_eq!(status, 200, "{body}");
        agent
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(dir: &Path, more: &[&str]) -> (Child, String) {
    let listen: &[&str] = if more.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
    let mut child = program()
        .args(["serve", "--data-dir"])
        .arg(dir)
        .args(listen)
        .args(more)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    loop {
        let mut line = String::new();
        assert!(log.read_line(&mut line).unwrap() > 0, "the server ended early:\n{said}");
        said.push_str(&line);
        if let Some((_, url)) = line.trim_end().split_once("listening url=") {
            let url = url.to_owned();
            // Keep reading, or the server would block on a full pipe.
            std::thread::spawn(move || {
                let mut line = String::new();
                while log.read_line(&mut line).is_ok_and(|n| n > 0) {
                    let _ = std::io::stderr().write_all(line.as_bytes());
                    line.clear();
                }
            });
            return (child, url);
        }
    }
}

/// An agent that speaks the protocol by hand.
pub struct FakeAgent {
    http: Client,
    url: String,
    signing: Vec<u8>,
    pub signing_public: Vec<u8>,
    sealing_private: Vec<u8>,
    sealing_public: Vec<u8>,
    pub host: HostId,
    pub control: ControlId,
    pub control_key: Vec<u8>,
    pub instance: InstanceId,
    pub state_version: i64,
}

impl FakeAgent {
    pub fn new(server: &Server) -> Self {
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
        let response = request.send().await.unwrap();
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
            spooled: 0,
            agent_version: "0.1.0".into(),
            restic_version: Some("0.18.0".into()),
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
