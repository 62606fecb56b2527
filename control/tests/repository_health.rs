//! How a repository is, as people see it: nothing is called healthy before anybody looked, what is open is told, a lock leads to who holds it,
//! and what takes something away for good is asked about.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::control::{ControlPlane, program};
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A server with an administrator's token, and one repository that a host with an append-only credential backs up to.
struct Scene {
    server: ControlPlane,
    admin: String,
    agent: FakeAgent,
    repository: String,
}

impl Scene {
    async fn new() -> Self {
        let server = ControlPlane::start();
        let admin = server.token("admin");
        let body = json!({"name": "vault", "url": "rest:http://127.0.0.1:9/vault/", "password": "secret"});
        let (status, made) = server.post(&admin, "/api/v1/repositories", body).await;
        assert_eq!(status, 201, "{made}");
        let agent = server.host(&admin, "web-01", &["/etc"]).await;
        Self { repository: made["id"].as_str().unwrap().to_owned(), server, admin, agent }
    }

    fn at(&self, tab: &str) -> String {
        format!("/repositories/{}{tab}", self.repository)
    }

    /// Ends the job that is offered next, which is of this kind.
    async fn end(&mut self, kind: &str, report: Value) {
        let offer = self.agent.poll(&[], 5).await.offers.remove(0);
        assert_eq!(serde_json::to_value(&offer).unwrap()["task"]["kind"], kind);
        let job = format!("/agent/v1/jobs/{}", offer.id);
        assert_eq!(self.agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
        let mut finish = json!({"attempt": offer.attempt, "started_at": "2026-01-01T00:00:00Z",
            "finished_at": "2026-01-01T00:01:00Z"});
        finish.as_object_mut().unwrap().extend(report.as_object().unwrap().clone());
        let (status, answer) = self.agent.post(&format!("{job}/finish"), finish).await;
        assert_eq!(status, 200, "{answer}");
    }

    async fn run(&mut self, report: Value) {
        let path = format!("/api/v1/hosts/{}/run", self.agent.host);
        assert_eq!(self.server.post(&self.admin, &path, json!({})).await.0, 202);
        self.end("backup", report).await;
    }

    async fn health(&self) -> Value {
        self.server.get(&self.admin, &format!("/api/v1/repositories/{}/health", self.repository)).await
    }
}

#[tokio::test]
async fn nothing_is_healthy_before_anybody_looked() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let body = json!({"name": "new", "url": "rest:http://127.0.0.1:9/new/", "password": "secret"});
    let made = server.post(&admin, "/api/v1/repositories", body).await.1;
    let path = format!("/repositories/{}", made["id"].as_str().unwrap());
    assert_eq!(server.get(&admin, &format!("/api/v1{path}/health")).await["level"], "unknown");
    let anna = Visitor::sign_in(&server, "admin").await;
    for page in [anna.open("/repositories").await.text, anna.open(&path).await.text] {
        assert!(page.contains("Not looked at yet") && !page.contains("Healthy"), "{page}");
    }
    let page = anna.open(&path).await.text;
    assert!(page.contains("No check has succeeded yet") && !page.contains("nothing to do"), "{page}");
    let asked = anna.open(&format!("{path}/locks/remove")).await.text;
    assert!(asked.contains("Nobody has looked at the locks yet"), "{asked}");
}

#[tokio::test]
async fn a_lock_that_backups_meet_is_looked_at_told_and_removed_from_one_page() {
    let mut it = Scene::new().await;
    let met = json!({"end": "failed", "exit_code": 11, "cause": {"code": "repository_locked", "message": "locked"}});
    it.run(met.clone()).await;
    let health = it.health().await;
    assert_eq!(health["level"], "critical", "{health}");
    assert_eq!(health["troubles"][0]["trouble"], "backups_fail", "{health}");
    let lock = json!({"id": "ab".repeat(32), "time": "2026-01-01T00:00:00Z", "exclusive": true, "hostname": "elsewhere",
        "username": "root", "pid": 4711});
    let seen = json!({"kind": "locks", "removed": [], "left": [lock]});
    it.end("locks", json!({"end": "succeeded", "exit_code": 0, "outcome": seen})).await;
    it.run(met).await;
    let looks = it.server.get(&it.admin, "/api/v1/jobs?kind=locks").await;
    assert_eq!(looks["items"].as_array().unwrap().len(), 1, "a look that was just made is not made again");

    let anna = Visitor::sign_in(&it.server, "admin").await;
    let page = anna.open(&it.at("")).await.text;
    assert!(page.contains("The newest backup failed: it is locked"), "{page}");
    let alerts = anna.open("/alerts").await.text;
    let remove = it.at("/locks/remove");
    assert!(alerts.contains(&format!("href=\"{remove}\"")) && alerts.contains("Remove lock…"), "{alerts}");
    let asked = anna.open(&remove).await.text;
    for words in ["process 4711 of root on elsewhere", "nobody here knows whether its process runs", "Look again"] {
        assert!(asked.contains(words), "{words}: {asked}");
    }
    let task = json!({"kind": "unlock", "repository_id": it.repository, "remove_all": true}).to_string();
    let done = anna.submit(&it.at("/operations/confirm"), &[("task", &task)]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let cookie = anna.cookie;
    it.end(
        "unlock",
        json!({"end": "succeeded", "exit_code": 0, "outcome": {"kind": "locks", "removed": [], "left": []}}),
    )
    .await;
    let anna = Visitor { server: &it.server, cookie };
    assert!(anna.open(&it.at("")).await.text.contains("None, as of"), "somebody has looked");
    let eve = Visitor::sign_in(&it.server, "viewer").await;
    assert_eq!(eve.open(&remove).await.status, 403);
    assert!(!eve.open("/alerts").await.text.contains("/locks/remove"));
}

#[tokio::test]
async fn a_check_that_somebody_asked_for_is_a_check() {
    let mut it = Scene::new().await;
    let task = json!({"task": {"kind": "check", "repository_id": it.repository}});
    assert_eq!(it.server.post(&it.admin, "/api/v1/jobs", task).await.0, 202);
    it.end("check", json!({"end": "succeeded", "exit_code": 0, "outcome": {"kind": "check", "errors": 0}})).await;
    assert!(it.health().await["checked_at"].is_string());
    let anna = Visitor::sign_in(&it.server, "admin").await;
    let page = anna.open(&it.at("")).await.text;
    assert!(!page.contains("No check has succeeded yet"), "{page}");
}

#[tokio::test]
async fn what_cannot_come_about_is_not_promised() {
    let it = Scene::new().await;
    let anna = Visitor::sign_in(&it.server, "admin").await;
    for tab in ["/retention", "/maintenance"] {
        let page = anna.open(&it.at(tab)).await.text;
        assert!(page.contains("Nothing is forgotten or pruned here"), "{tab}: {page}");
    }
    let asked = anna.open(&it.at("/maintenance/run?chore=prune")).await.text;
    assert!(asked.contains("No host has a full credential") && !asked.contains("btn-d"), "{asked}");
    let asked = anna.open(&it.at("/rotate-password")).await.text;
    assert!(asked.contains("the old password would still open") && !asked.contains("btn-d"), "{asked}");
    let refused = anna.submit(&it.at("/rotate-password"), &[("new_password", "")]).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(it.health().await["troubles"].to_string().contains("none_can_forget"));

    let credential = json!({"mode": "full", "rest_username": "u", "rest_password": "p"});
    let path = format!("/api/v1/hosts/{}/credentials/{}", it.agent.host, it.repository);
    assert_eq!(it.server.call(&it.admin, reqwest::Method::PUT, &path, credential).await.0, 204);
    assert!(!anna.open(&it.at("/retention")).await.text.contains("Nothing is forgotten or pruned here"));
    assert!(it.health().await["troubles"].to_string().contains("none_append_only"));
}

#[tokio::test]
async fn what_removes_is_asked_about() {
    let it = Scene::new().await;
    let credential = json!({"mode": "full", "rest_username": "u", "rest_password": "p"});
    let path = format!("/api/v1/hosts/{}/credentials/{}", it.agent.host, it.repository);
    assert_eq!(it.server.call(&it.admin, reqwest::Method::PUT, &path, credential).await.0, 204);
    let anna = Visitor::sign_in(&it.server, "admin").await;
    let run = it.at("/maintenance/run");
    for (chore, words) in
        [("prune", "cannot be recovered"), ("forget", "no keep rule"), ("all", "Run all chores in vault now?")]
    {
        for page in [anna.open(&format!("{run}?chore={chore}")).await, anna.submit(&run, &[("chore", chore)]).await] {
            assert_eq!(page.status, 200, "{chore}: {}", page.text);
            assert!(page.text.contains(words) && page.text.contains("name=\"sure\""), "{chore}: {}", page.text);
        }
    }
    let jobs = it.server.get(&it.admin, "/api/v1/jobs?kind=prune").await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 0, "what was only asked about is not done");
    assert_eq!(anna.submit(&run, &[("chore", "prune"), ("sure", "1")]).await.status, 303);
    let page = anna.open(&it.at("/maintenance")).await.text;
    assert!(page.contains("Run now…") && page.contains("Run all now…"), "{page}");

    let made = it.server.post(&it.admin, "/api/v1/api-tokens", json!({"name": "deploy", "role": "viewer"})).await;
    let tokens = it.server.get(&it.admin, "/api/v1/api-tokens").await;
    let token = tokens["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|t| t["name"] == "deploy")
        .unwrap_or_else(|| panic!("{made:?}"));
    let path = format!("/settings/tokens/{}/revoke", token["id"].as_str().unwrap());
    assert!(anna.open("/settings/tokens").await.text.contains(&format!("href=\"{path}\"")), "a question comes first");
    assert!(anna.open(&path).await.text.contains("Revoke the token deploy?"));
    assert_eq!(anna.submit(&path, &[]).await.status, 303);
}

#[tokio::test]
async fn a_repository_of_many_hosts_comes_in_pages_and_hosts_are_named() {
    let dir = TempDir::new().unwrap();
    let args = ["dev", "seed", "--hosts", "400", "--days", "2", "--data-dir"];
    assert!(program().args(args).arg(dir.path()).output().unwrap().status.success());
    let server = ControlPlane::start_in(dir, &[]);
    let admin = server.token("admin");
    let mut most = (0, String::new(), Value::Null);
    for repository in server.get(&admin, "/api/v1/repositories").await["items"].as_array().unwrap() {
        let path = format!("/repositories/{}", repository["id"].as_str().unwrap());
        let users = server.get(&admin, &format!("/api/v1{path}/credentials")).await["items"].clone();
        let count = users.as_array().unwrap().len();
        if count > most.0 {
            most = (count, path, users[count - 1].clone());
        }
    }
    let (count, path, last) = most;
    assert!(count > 60, "the fleet is large enough: {count}");
    let anna = Visitor::sign_in(&server, "admin").await;
    for (tab, kib) in [("", 100), ("/hosts", 250), ("/operations", 200), ("/retention", 400), ("/maintenance", 250)] {
        let page = anna.open(&format!("{path}{tab}")).await;
        assert_eq!(page.status, 200, "{tab}");
        assert!(page.text.len() < kib * 1024, "{tab} has {} bytes", page.text.len());
    }
    let name = last["host_name"].as_str().unwrap();
    let row = format!("href=\"/hosts/{}\"", last["host_id"].as_str().unwrap());
    let hosts = anna.open(&format!("{path}/hosts")).await.text;
    assert!(hosts.contains("rel=\"next\"") && !hosts.contains(&row), "the last one is on another page");
    assert!(anna.open(&format!("{path}/hosts?find={name}")).await.text.contains(&row), "it is found by its name");
    let asked = anna.submit(&format!("{path}/operations"), &[("kind", "locks"), ("host", name)]).await;
    assert_eq!(asked.status, 303, "{}", asked.text);
    let wrong = anna.submit(&format!("{path}/operations"), &[("kind", "locks"), ("host", "nobody-of-that-name")]).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);

    let list = anna.open("/repositories").await.text;
    for words in ["repositories \u{b7} ", "append-only, proven", "Ransomware-safe", "Last check"] {
        assert!(list.contains(words), "{words}: {list}");
    }
    let cut = list.split("class=\"sub brk\">").skip(1).map(|s| s.split('<').next().unwrap().len()).max();
    assert!(cut.unwrap_or(0) < 400, "a trouble names few hosts: {list}");
    assert_eq!(anna.open(&format!("/ui{path}/live?cursor=x")).await.status, 200);
}
