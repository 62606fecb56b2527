//! The real control plane as a process, and what a script says to it.

use crate::clock::{self, Clock};
use crate::fake_agent::FakeAgent;
use crate::tools::built;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// The real program, serving.
pub struct ControlPlane {
    child: Child,
    pub url: String,
    pub dir: TempDir,
    pub http: Client,
    more: Vec<String>,
    clock: Option<Arc<Clock>>,
}

pub fn program() -> Command {
    let mut command = Command::new(built("restic-manager"));
    command.env_remove("DATABASE_URL").env("RUST_LOG", "info").stdin(Stdio::null());
    command
}

pub fn client() -> Client {
    rustls::crypto::ring::default_provider().install_default().ok();
    Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap()
}

impl ControlPlane {
    pub fn start() -> Self {
        Self::start_in(TempDir::new().unwrap(), &[])
    }

    pub fn start_in(dir: TempDir, more: &[&str]) -> Self {
        Self::start_with(dir, more, None)
    }

    /// With another clock, also when it is started again.
    pub fn start_with(dir: TempDir, more: &[&str], clock: Option<Arc<Clock>>) -> Self {
        let (child, url) = spawn(dir.path(), more, clock.as_deref());
        let listen = more.iter().position(|a| *a == "--listen");
        let kept = more.iter().enumerate().filter(|(n, _)| listen.is_none_or(|at| *n != at && *n != at + 1));
        let more = kept.map(|(_, a)| (*a).to_owned()).collect();
        Self { child, url, dir, http: client(), more, clock }
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Stops it as an operator would, and answers the data folder.
    pub fn stop(mut self) -> TempDir {
        let status = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(status.success());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "the server ended with {ended}");
        std::mem::replace(&mut self.dir, TempDir::new().unwrap())
    }

    /// Stops it and starts it again, on the same address and data.
    pub fn restart(self) -> Self {
        let address = self.url.trim_start_matches("http://").to_owned();
        Self::start_in(self.stop(), &["--listen", &address])
    }

    /// As a power cut would: no chance to tidy up.
    pub fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        clock::sweep(self.child.id());
    }

    /// Starts it again after a crash, on the same address and data.
    pub fn revive(&mut self) {
        let address = self.url.trim_start_matches("http://").to_owned();
        let more: Vec<&str> = self.more.iter().map(String::as_str).chain(["--listen", &address]).collect();
        self.child = spawn(self.dir.path(), &more, self.clock.as_deref()).0;
    }

    /// The program, to do something with this server's data.
    pub fn tool(&self, words: &[&str]) -> Command {
        let mut command = program();
        command.args(words).arg("--data-dir").arg(self.dir.path());
        if let Some(at) = self.more.iter().position(|a| a == "--database-url") {
            command.args(&self.more[at..at + 2]);
        }
        command
    }

    /// What the doctor prints of the data, with its log if it could not look, and whether it is content.
    pub fn doctor(&self) -> (bool, String) {
        let out = self.tool(&["doctor"]).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let (said, log) = (text(out.stdout), text(out.stderr));
        (out.status.success(), if said.is_empty() { log } else { said })
    }

    pub fn token(&self, role: &str) -> String {
        let out = self.tool(&["token", "add", role, "--role", role]).output().unwrap();
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

impl Drop for ControlPlane {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        clock::sweep(self.child.id());
    }
}

#[allow(clippy::zombie_processes)] // a server that ends early fails the test
fn spawn(dir: &Path, more: &[&str], clock: Option<&Clock>) -> (Child, String) {
    let listen: &[&str] = if more.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
    let mut command = program();
    command.args(["serve", "--data-dir"]).arg(dir).args(listen).args(more).stderr(Stdio::piped());
    if !more.contains(&"--upkeep-seconds") {
        // Nothing but what a test asks for.
        command.args(["--upkeep-seconds", "0"]);
    }
    if let Some(clock) = clock {
        clock.give(&mut command);
    }
    let mut child = command.spawn().unwrap();
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
