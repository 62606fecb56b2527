//! Looking into snapshots: the question reaches a host through its poll, and the answer comes back to who asked.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::query::QueryAsk;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use serde_json::{Value, json};

struct Setup {
    server: ControlPlane,
    admin: String,
    agent: FakeAgent,
    repository: String,
}

const SNAPSHOT: &str = "abababababababababababababababababababababababababababababababab";

impl Setup {
    /// A host with one snapshot.
    async fn new() -> Self {
        let server = ControlPlane::start();
        let admin = server.token("admin");
        let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
        let repositories = server.get(&admin, "/api/v1/repositories").await;
        let repository = repositories["items"][0]["id"].as_str().unwrap().to_owned();
        let (status, _) = server.post(&admin, &format!("/api/v1/hosts/{}/run", agent.host), Value::Null).await;
        assert_eq!(status, 202);
        let offer = agent.poll(&[], 5).await.offers.remove(0);
        let job = format!("/agent/v1/jobs/{}", offer.id);
        assert_eq!(agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
        let now = Timestamp::now();
        let report = json!({"attempt": offer.attempt, "end": "succeeded", "exit_code": 0, "started_at": now,
            "finished_at": now, "summary": {"snapshot_id": SNAPSHOT},
            "snapshots": [{"id": SNAPSHOT, "time": now, "hostname": "web-01", "paths": ["/etc"], "tags": []}]});
        assert_eq!(agent.post(&format!("{job}/finish"), report).await.0, 200);
        Self { server, admin, agent, repository }
    }

    fn at(&self, rest: &str) -> String {
        format!("/api/v1/repositories/{}{rest}", self.repository)
    }

    /// Asks, has the agent answer with this, and gives what was asked of it and what came of it.
    async fn ask(&mut self, path: &str, answer: Value) -> (QueryAsk, (u16, Value)) {
        let path = self.at(path);
        let asked = self.server.call(&self.admin, reqwest::Method::GET, &path, Value::Null);
        let agent = &mut self.agent;
        let looked = async {
            let query = loop {
                if let Some(query) = agent.poll(&[], 5).await.queries.pop() {
                    break query;
                }
            };
            let (status, said) = agent.post(&format!("/agent/v1/queries/{}/answer", query.id), answer).await;
            assert_eq!(status, 200, "{said}");
            query.ask
        };
        let (told, ask) = tokio::join!(asked, looked);
        (ask, told)
    }
}

#[tokio::test]
async fn a_folder_is_listed_by_the_host_that_has_the_snapshot() {
    let mut s = Setup::new().await;
    let folder = format!("/snapshots/{SNAPSHOT}/files");
    let entry = json!({"path": "/etc/a\nb", "type": "file", "size": 5, "permissions": "-rw-r--r--"});
    let page = json!({"answer": "ready", "entries": [entry], "next": "n", "total": 7});
    let (ask, (status, told)) = s.ask(&format!("{folder}?path=/etc&limit=1&cursor=c"), page).await;
    let want = QueryAsk::Folder { snapshot: SNAPSHOT.into(), path: "/etc".into(), after: Some("c".into()), limit: 1 };
    assert_eq!((status, ask), (200, want), "{told}");
    assert_eq!(told["items"][0]["path"], "/etc/a\nb");
    assert_eq!((&told["next"], &told["total"], &told["host_id"]), (&json!("n"), &json!(7), &json!(s.agent.host)));

    let far = json!({"answer": "indexing", "snapshot": SNAPSHOT, "entries": 1000, "snapshots_left": 1});
    let (_, (status, told)) = s.ask(&folder, far).await;
    assert_eq!((status, &told["indexing"]["entries"], &told["items"]), (200, &json!(1000), &json!([])), "{told}");

    let no = json!({"answer": "refused", "code": "policy_forbids", "message": "this host shows nobody its files"});
    let (_, (status, told)) = s.ask(&folder, no).await;
    assert_eq!((status, told["code"].as_str()), (409, Some("look_failed")), "{told}");
    assert!(told["detail"].as_str().unwrap().contains("shows nobody"), "{told}");
}

#[tokio::test]
async fn names_and_versions_are_looked_for_in_the_newest_snapshots_of_a_host() {
    let mut s = Setup::new().await;
    let (host, nothing) = (s.agent.host, json!({"answer": "ready"}));
    let (ask, (status, _)) = s.ask(&format!("/files?pattern=*.conf&of_host_id={host}"), nothing.clone()).await;
    assert!(
        matches!(&ask, QueryAsk::Search { snapshots, pattern, .. } if snapshots == &[SNAPSHOT] && pattern == "*.conf")
    );
    assert_eq!(status, 200);
    let (ask, (status, _)) = s.ask(&format!("/versions?path=/etc/hosts&of_host_id={host}"), nothing).await;
    assert_eq!(ask, QueryAsk::Versions { snapshots: vec![SNAPSHOT.into()], path: "/etc/hosts".into() });
    assert_eq!(status, 200);
}

#[tokio::test]
async fn what_cannot_be_looked_up_is_said_at_once() {
    let s = Setup::new().await;
    for (path, status, code) in [
        (format!("/snapshots/{}/files", "0".repeat(64)), 404, "snapshot_not_found"),
        (format!("/snapshots/{SNAPSHOT}/files?path=etc"), 422, "invalid"),
        (format!("/snapshots/{SNAPSHOT}/files?limit=5000"), 422, "invalid"),
        ("/files?pattern=%20".into(), 422, "invalid"),
        ("/files".into(), 422, "invalid"),
        ("/versions?path=etc".into(), 422, "invalid"),
    ] {
        let told = s.server.call(&s.admin, reqwest::Method::GET, &s.at(&path), Value::Null).await;
        assert_eq!((told.0, told.1["code"].as_str()), (status, Some(code)), "{path}: {}", told.1);
    }
    // An agent from before there were questions.
    let path = s.at(&format!("/snapshots/{SNAPSHOT}/files"));
    let asked = s.server.call(&s.admin, reqwest::Method::GET, &path, Value::Null);
    let mut old = s.agent.poll_body(&[], 5);
    old["protocol"] = json!(2);
    let agent = &s.agent;
    let polls = async {
        loop {
            let (status, body) = agent.post("/agent/v1/poll", old.clone()).await;
            assert_eq!((status, body["queries"].as_array().map(Vec::len)), (200, Some(0)), "{body}");
        }
    };
    tokio::select! {
        told = asked => assert_eq!((told.0, told.1["code"].as_str()), (426, Some("agent_too_old"))),
        () = polls => {}
    }
}
