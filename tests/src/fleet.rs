//! A small fleet: one control plane, one rest-server, and hosts with agents that back up to it.

use crate::agent::Agent;
use crate::control::ControlPlane;
use crate::storage::RestServer;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The repository password of every fleet.
pub const PASSWORD: &str = "repository password";

pub struct Fleet {
    pub control: ControlPlane,
    pub storage: RestServer,
    pub admin: String,
    pub repository: String,
    pub sources: TempDir,
}

impl Fleet {
    /// A fleet whose hosts may be called so. Its repository is made by a host's first backup.
    pub async fn start(hosts: &[&str]) -> Self {
        Self::with_repository(hosts, json!({"init_if_missing": true})).await
    }

    pub async fn with_repository(hosts: &[&str], change: Value) -> Self {
        Self::made(ControlPlane::start(), hosts, change).await
    }

    /// A fleet whose control plane looks after repositories by itself, every second.
    pub async fn with_upkeep(hosts: &[&str], change: Value) -> Self {
        let control = ControlPlane::start_in(TempDir::new().unwrap(), &["--upkeep-seconds", "1"]);
        Self::made(control, hosts, change).await
    }

    async fn made(control: ControlPlane, hosts: &[&str], change: Value) -> Self {
        let storage = RestServer::start(hosts);
        let admin = control.token("admin");
        let mut body = json!({"name": "main", "url": storage.url(), "password": PASSWORD});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, made) = control.post(&admin, "/api/v1/repositories", body).await;
        assert_eq!(status, 201, "{made}");
        let repository = made["id"].as_str().unwrap().to_owned();
        Self { control, storage, admin, repository, sources: TempDir::new().unwrap() }
    }

    /// The same fleet, from now on with one repository for all hosts, on that server.
    pub async fn sharing(self, server: &RestServer) -> Self {
        let body = json!({"name": "shared", "url": format!("rest:http://127.0.0.1:{}/shared/", server.port),
            "password": PASSWORD, "init_if_missing": true});
        let (status, made) = self.control.post(&self.admin, "/api/v1/repositories", body).await;
        assert_eq!(status, 201, "{made}");
        Self { repository: made["id"].as_str().unwrap().to_owned(), ..self }
    }

    /// A folder to back up, with a few files in it.
    pub fn source(&self, name: &str) -> PathBuf {
        let dir = self.sources.path().join(name);
        std::fs::create_dir_all(dir.join("folder")).unwrap();
        std::fs::write(dir.join("a file with ü"), "hello").unwrap();
        std::fs::write(dir.join("folder/empty"), "").unwrap();
        std::os::unix::fs::symlink("folder", dir.join("link")).unwrap();
        dir
    }

    /// A host with an enrolled agent that is not started yet, and these initial paths.
    pub async fn host(&self, name: &str, paths: &[&Path]) -> Agent {
        let body = json!({"host_name": name, "initial_paths": paths, "repository_id": self.repository,
            "rest_username": name, "rest_password": format!("pw-{name}")});
        let (status, made) = self.control.post(&self.admin, "/api/v1/enrollment-tokens", body).await;
        assert_eq!(status, 201, "{made}");
        Agent::enroll(&self.control, &made).unwrap()
    }

    /// A host that maintains the repository through a writable server over the same data. Its name must be among the fleet's.
    pub async fn keeper(&self, name: &str, writable: &RestServer) -> Agent {
        let agent = self.host(name, &[]).await;
        let body = json!({"mode": "full", "rest_username": name, "rest_password": format!("pw-{name}"), "url": writable.url()});
        let path = format!("/api/v1/hosts/{}/credentials/{}", agent.host, self.repository);
        let (status, answer) = self.control.call(&self.admin, Method::PUT, &path, body).await;
        assert_eq!(status, 204, "{answer}");
        agent
    }

    /// Sets the repository's plan.
    pub async fn plan(&self, maintenance_host: &str, plan: Value) {
        let path = format!("/api/v1/repositories/{}/maintenance", self.repository);
        let body = json!({"maintenance_host_id": maintenance_host, "plan": plan});
        let (status, answer) = self.control.call(&self.admin, Method::PUT, &path, body).await;
        assert_eq!(status, 200, "{answer}");
    }

    /// Asks for an operation and answers what was said to that.
    pub async fn ask(&self, body: Value) -> (u16, Value) {
        self.control.post(&self.admin, "/api/v1/jobs", body).await
    }

    /// Asks for an operation and waits for its end.
    pub async fn operate(&self, body: Value) -> Value {
        let (status, answer) = self.ask(body).await;
        assert_eq!(status, 202, "{answer}");
        self.ended(answer["job"]["id"].as_str().unwrap()).await
    }

    /// What the API says about the repository under this path.
    pub async fn of_repository(&self, path: &str) -> Value {
        self.control.get(&self.admin, &format!("/api/v1/repositories/{}{path}", self.repository)).await
    }

    /// Has chores done now, and waits until none is open any more. Answers the chores.
    pub async fn maintain(&self, chores: &[&str]) -> Vec<Value> {
        let path = format!("/api/v1/repositories/{}/maintenance/run", self.repository);
        let (status, answer) = self.control.post(&self.admin, &path, json!({"chores": chores})).await;
        assert_eq!(status, 202, "{answer}");
        loop {
            let said = self.of_repository("/maintenance").await;
            let all = said["chores"].as_array().unwrap();
            let waits = |c: &&Value| c["open"] == true || !c["asked_by"].is_null();
            match all.iter().find(waits) {
                None => return all.clone(),
                Some(chore) => {
                    if let Some(job) = chore["last_job_id"].as_str() {
                        self.watch(job, |_| false).await;
                    }
                }
            }
        }
    }

    /// Waits until the agent holds what it should do.
    pub async fn until_online(&self, agent: &Agent) {
        let path = format!("/api/v1/hosts/{}", agent.host);
        loop {
            let host = self.control.get(&self.admin, &path).await;
            if host["state"] == "online" && host["in_force"] == true {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Presses Run now on the host and answers the job's id.
    pub async fn run_now(&self, agent: &Agent) -> String {
        let path = format!("/api/v1/hosts/{}/run", agent.host);
        let (status, answer) = self.control.post(&self.admin, &path, Value::Null).await;
        assert_eq!(status, 202, "{answer}");
        answer["job"]["id"].as_str().unwrap().to_owned()
    }

    /// Watches the job until `enough` says so, and answers what was seen last.
    pub async fn watch(&self, job: &str, enough: impl Fn(&Value) -> bool) -> Value {
        let mut seq = 0;
        loop {
            let events = self.control.get(&self.admin, &format!("/api/v1/jobs/{job}/events?after={seq}&wait=50")).await;
            if enough(&events) || events["finished"] == true {
                return events;
            }
            seq = events["seq"].as_i64().unwrap();
        }
    }

    /// Waits for the end of the job and answers all of it.
    pub async fn ended(&self, job: &str) -> Value {
        self.watch(job, |_| false).await;
        self.control.get(&self.admin, &format!("/api/v1/jobs/{job}")).await
    }

    /// Waits until data moves.
    pub async fn until_running(&self, job: &str) {
        let moving = |e: &Value| e["progress"]["bytes_done"].as_u64().is_some_and(|n| n > 0);
        let events = self.watch(job, moving).await;
        assert!(moving(&events), "the job ended before it ran: {events}");
    }

    /// Makes the host's schedule slow enough to be met in the middle: this much random data at this rate.
    pub async fn slow_source(&self, agent: &Agent, source: &Path, mib: usize, kib_per_second: u32) {
        let mut data = Vec::with_capacity(mib << 20);
        while data.len() < mib << 20 {
            data.extend(ring::digest::digest(&ring::digest::SHA256, &data.len().to_be_bytes()).as_ref());
        }
        for (n, part) in data.chunks(1 << 18).enumerate() {
            std::fs::write(source.join(format!("part-{n}")), part).unwrap();
        }
        let mut schedule = self.schedule(agent).await;
        schedule["options"] = json!({"limit_upload_kib": kib_per_second});
        self.put_schedule(schedule).await;
    }

    /// The host's first schedule.
    pub async fn schedule(&self, agent: &Agent) -> Value {
        self.control.get(&self.admin, &format!("/api/v1/hosts/{}/schedules", agent.host)).await["items"][0].clone()
    }

    pub async fn put_schedule(&self, mut schedule: Value) {
        let id = schedule["id"].as_str().unwrap().to_owned();
        let fields = schedule.as_object_mut().unwrap();
        for name in ["id", "host_id", "created_at", "updated_at", "paused"] {
            fields.remove(name);
        }
        let path = format!("/api/v1/schedules/{id}");
        let (status, answer) = self.control.call(&self.admin, Method::PUT, &path, schedule).await;
        assert_eq!(status, 200, "{answer}");
    }
}
