//! A repository on each kind of storage that can be run here, from its making to a prune: real agent, real restic, a real server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_tests::agent::Agent;
use restic_manager_tests::backends::{S3, Sshd};
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use serde_json::{Value, json};
use std::path::PathBuf;

/// One storage with a host that may do everything there.
struct Bench<'a> {
    fleet: &'a Fleet,
    web: &'a Agent,
    repository: String,
    schedule: String,
    source: PathBuf,
}

impl<'a> Bench<'a> {
    /// Adds the repository, the host's credential with its typed fields, and a schedule that is run by hand.
    async fn new(fleet: &'a Fleet, web: &'a Agent, url: &str, credential: Value) -> Self {
        let body = json!({"name": url, "url": url, "password": PASSWORD});
        let (status, made) = fleet.control.post(&fleet.admin, "/api/v1/repositories", body).await;
        assert_eq!(status, 201, "{made}");
        let repository = made["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/hosts/{}/credentials/{repository}", web.host);
        let (status, answer) = fleet.control.call(&fleet.admin, Method::PUT, &path, credential).await;
        assert_eq!(status, 204, "{answer}");
        let source = fleet.source("there");
        let input = json!({"name": "there", "paths": [source], "manual": true, "repository_id": repository});
        let path = format!("/api/v1/hosts/{}/schedules", web.host);
        let (status, made) = fleet.control.post(&fleet.admin, &path, input).await;
        assert_eq!(status, 201, "{made}");
        let schedule = made["id"].as_str().unwrap().to_owned();
        Self { fleet, web, repository, schedule, source }
    }

    async fn does(&self, mut task: Value) -> Value {
        task["repository_id"] = json!(self.repository);
        let job = self.fleet.operate(json!({"host_id": self.web.host, "task": task, "confirm": true})).await;
        assert_eq!(job["state"], "succeeded", "{task}: {job}");
        job["outcome"].clone()
    }

    async fn backs_up(&self, content: &str) -> String {
        std::fs::write(self.source.join("changing"), content).unwrap();
        let path = format!("/api/v1/schedules/{}/run", self.schedule);
        let (status, answer) = self.fleet.control.post(&self.fleet.admin, &path, Value::Null).await;
        assert_eq!(status, 202, "{answer}");
        let job = self.fleet.ended(answer["job"]["id"].as_str().unwrap()).await;
        assert_eq!(job["state"], "succeeded", "{job}");
        job["result"]["summary"]["snapshot_id"].as_str().unwrap().to_owned()
    }

    /// All that a repository goes through. Answers what was found of the right to delete.
    async fn whole_life(&self) -> Value {
        let before = self.does(json!({"kind": "probe"})).await;
        assert_eq!((&before["exists"], &before["password_ok"]), (&json!(false), &Value::Null), "{before}");
        self.does(json!({"kind": "init"})).await;
        let proof = self.does(json!({"kind": "probe"})).await;
        assert_eq!((&proof["exists"], &proof["password_ok"]), (&json!(true), &json!(true)), "{proof}");
        let made = [self.backs_up("one").await, self.backs_up("two").await];
        let listed = self.does(json!({"kind": "snapshots", "all_hosts": true})).await;
        assert_eq!(listed["count"], 2, "{listed}");
        assert_eq!(self.does(json!({"kind": "check", "read_data": {"read": "everything"}})).await["errors"], 0);
        let forgot = self.does(json!({"kind": "forget", "snapshots": [made[0]]})).await;
        assert_eq!(forgot["removed"], json!([made[0]]), "{forgot}");
        self.does(json!({"kind": "prune", "options": {"max_unused": "0"}})).await;
        assert_eq!(self.does(json!({"kind": "locks"})).await["left"], json!([]));
        assert_eq!(self.does(json!({"kind": "check"})).await["errors"], 0);
        proof
    }

    /// A job of the kind on this repository fails for this reason.
    async fn fails(&self, kind: &str) -> Value {
        let task = json!({"kind": kind, "repository_id": self.repository});
        let job = self.fleet.operate(json!({"host_id": self.web.host, "task": task})).await;
        assert_eq!(job["state"], "failed", "{job}");
        job["result"]["cause"]["code"].clone()
    }
}

#[tokio::test]
async fn sftp_with_a_real_sshd() {
    let fleet = Fleet::start(&["web-01"]).await;
    let sshd = Sshd::start();
    let mut web = fleet.host("web-01", &[]).await.with_programs(sshd.programs());
    web.start();
    let bench = Bench::new(&fleet, &web, &sshd.url(), json!({"mode": "full"})).await;
    let proof = bench.whole_life().await;
    assert_eq!(proof["can_delete"], "cannot_tell", "{proof}");
    sshd.forget_the_key();
    assert_eq!(bench.fails("locks").await, "storage_unauthorized");
    drop(sshd);
    assert_eq!(bench.fails("locks").await, "repository_unreachable");
}

#[tokio::test]
async fn s3_with_a_real_server() {
    let fleet = Fleet::start(&["web-01"]).await;
    let s3 = S3::start();
    let mut web = fleet.host("web-01", &[]).await;
    web.start();
    let env = json!({"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"});
    let bench = Bench::new(&fleet, &web, &s3.url(), json!({"mode": "full", "env": env})).await;
    let proof = bench.whole_life().await;
    assert_eq!(proof["can_delete"], "can_delete", "{proof}");
    assert!(
        proof["evidence"].to_string().contains("an object that cannot exist in data/: the storage answers 204"),
        "{proof}"
    );
    drop(s3);
    assert_eq!(bench.fails("locks").await, "repository_unreachable");
}

#[tokio::test]
async fn a_folder_of_the_host_says_what_its_disk_has_free() {
    let fleet = Fleet::start(&["web-01"]).await;
    let mut web = fleet.host("web-01", &[]).await;
    web.start();
    let folder = fleet.sources.path().join("repository");
    let bench = Bench::new(&fleet, &web, folder.to_str().unwrap(), json!({"mode": "full"})).await;
    bench.does(json!({"kind": "init"})).await;
    bench.backs_up("one").await;
    let counted = bench.does(json!({"kind": "stats", "mode": "raw_data"})).await;
    let (free, total) = (counted["storage_free"].as_u64().unwrap(), counted["storage_total"].as_u64().unwrap());
    assert!(0 < free && free < total, "{counted}");
    let health = fleet.control.get(&fleet.admin, &format!("/api/v1/repositories/{}/health", bench.repository)).await;
    assert_eq!(health["sample"]["free"], free, "{health}");
    // How fast it grows takes days to know.
    assert_eq!(health["full"], json!({"kind": "unknown"}), "{health}");
}
