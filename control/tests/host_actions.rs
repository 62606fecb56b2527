//! Acts on many hosts at once: each keeps its own rules, the same key does nothing twice, and pages ask before and tell afterwards.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};

/// Three hosts: one with a manual schedule, one with two that could be meant, and one whose agent has yet to come.
struct Fleet {
    server: ControlPlane,
    token: String,
    plain: FakeAgent,
    torn: FakeAgent,
    pending: String,
}

impl Fleet {
    async fn new() -> Self {
        let server = ControlPlane::start();
        let admin = server.token("admin");
        let mut plain = server.host(&admin, "a-plain", &["/etc"]).await;
        let torn = server.host(&admin, "b-torn", &["/etc"]).await;
        let body = json!({"name": "second", "paths": ["/srv"], "manual": true});
        assert_eq!(server.post(&admin, &format!("/api/v1/hosts/{}/schedules", torn.host), body).await.0, 201);
        let token = json!({"host_name": "c-pending", "initial_paths": ["/etc"], "tags": ["acme"]});
        let (status, made) = server.post(&admin, "/api/v1/enrollment-tokens", token).await;
        assert_eq!(status, 201, "{made}");
        plain.poll(&[], 1).await;
        let pending = made["host_id"].as_str().unwrap().to_owned();
        Self { token: server.token("operator"), server, plain, torn, pending }
    }

    fn ids(&self) -> Vec<String> {
        vec![self.plain.host.to_string(), self.torn.host.to_string(), self.pending.clone()]
    }

    async fn act(&self, body: Value) -> Value {
        let (status, answer) = self.server.post(&self.token, "/api/v1/host-actions", body).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn names(&self, query: &str) -> Vec<String> {
        let listed = self.server.get(&self.token, &format!("/api/v1/hosts?{query}")).await;
        listed["items"].as_array().unwrap().iter().map(|h| h["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Each host of an answer: name, effect, code.
fn told(answer: &Value) -> Vec<(String, String, String)> {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    answer["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|i| (text(&i["host"]), text(&i["effect"]), text(&i["code"])))
        .collect()
}

fn is(host: &str, effect: &str, code: &str) -> (String, String, String) {
    (host.into(), effect.into(), code.into())
}

#[tokio::test]
async fn each_host_runs_what_is_meant_or_says_why_not() {
    let mut fleet = Fleet::new().await;
    let body = |dry: bool| json!({"action": {"kind": "run"}, "host_ids": fleet.ids(), "dry_run": dry});
    let want = [
        is("a-plain", "done", ""),
        is("b-torn", "refused", "pick_schedule"),
        is("c-pending", "refused", "host_not_enrolled"),
    ];
    let before = fleet.act(body(true)).await;
    assert_eq!(told(&before), want, "{before}");
    assert_eq!(
        (&before["items"][0]["job_id"], &before["done"], &before["refused"]),
        (&Value::Null, &json!(1), &json!(2))
    );
    let after = fleet.act(body(false)).await;
    assert_eq!(told(&after), want, "{after}");
    let job = after["items"][0]["job_id"].as_str().unwrap();
    assert_eq!(fleet.plain.poll(&[], 5).await.offers[0].id.to_string(), job, "the host gets it");
    let again = fleet.act(json!({"action": {"kind": "run"}, "host_ids": fleet.ids()})).await;
    assert_eq!(told(&again)[0], is("a-plain", "refused", "already_running"), "{again}");
}

#[tokio::test]
async fn the_same_key_is_the_same_job() {
    let fleet = Fleet::new().await;
    let send = async || {
        let body = json!({"action": {"kind": "run"}, "filter": {"q": "plain"}});
        let request = fleet.server.http.post(format!("{}/api/v1/host-actions", fleet.server.url));
        let request = request.bearer_auth(&fleet.token).header("idempotency-key", "once").json(&body);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let (first, second) = (send().await, send().await);
    assert_eq!((&first["done"], &first["items"].as_array().unwrap().len()), (&json!(1), &1), "{first}");
    assert_eq!(first["items"][0]["job_id"], second["items"][0]["job_id"], "{second}");
}

#[tokio::test]
async fn tags_and_pauses_of_many_hosts() {
    let mut fleet = Fleet::new().await;
    let add = json!({"action": {"kind": "add_tag", "tag": "acme"}, "filter": {}});
    let want = [is("a-plain", "done", ""), is("b-torn", "done", ""), is("c-pending", "unchanged", "has_tag")];
    let added = fleet.act(add).await;
    assert_eq!(told(&added), want, "{added}");
    assert_eq!(fleet.names("tag=acme").await, ["a-plain", "b-torn", "c-pending"]);
    let remove =
        json!({"action": {"kind": "remove_tag", "tag": "acme"}, "host_ids": [fleet.torn.host, fleet.torn.host]});
    assert_eq!(told(&fleet.act(remove).await), [is("b-torn", "done", "")], "named twice, done once");
    assert_eq!(fleet.names("tag=acme").await, ["a-plain", "c-pending"]);
    assert_eq!(fleet.names("os=linux&q=b-").await, ["b-torn"]);
    assert_eq!(fleet.names("state=never&limit=2").await, ["a-plain", "b-torn"]);

    fleet.plain.poll(&[], 1).await;
    let paused = fleet.act(json!({"action": {"kind": "pause", "reason": "moving"}, "filter": {"tag": "acme"}})).await;
    assert_eq!((&paused["done"], &paused["unchanged"]), (&json!(2), &json!(0)), "{paused}");
    let state = fleet.plain.poll(&[], 5).await.state.expect("the agent hears of it");
    assert_eq!((state.pauses.len(), state.pauses[0].until), (1, None));
    let host = fleet.server.get(&fleet.token, &format!("/api/v1/hosts/{}", fleet.plain.host)).await;
    assert_eq!(host["paused"]["reason"], "moving");
    let resumed = fleet.act(json!({"action": {"kind": "resume"}, "filter": {}})).await;
    let want = [is("a-plain", "done", ""), is("b-torn", "unchanged", "not_paused"), is("c-pending", "done", "")];
    assert_eq!(told(&resumed), want, "{resumed}");
}

#[tokio::test]
async fn what_is_asked_is_checked() {
    let fleet = Fleet::new().await;
    let nobody = "01900000-0000-7000-8000-000000000000";
    let missing = fleet.act(json!({"action": {"kind": "resume"}, "host_ids": [nobody]})).await;
    assert_eq!(told(&missing), [is("", "refused", "host_not_found")]);
    for (body, status) in [
        (json!({"action": {"kind": "run"}}), 422),
        (json!({"action": {"kind": "run"}, "host_ids": [], "filter": {}}), 422),
        (json!({"action": {"kind": "add_tag", "tag": "a,b"}, "host_ids": []}), 422),
        (json!({"action": {"kind": "pause", "until": "2020-01-01T00:00:00Z"}, "host_ids": []}), 422),
        (json!({"action": {"kind": "add_tag", "tag": "x"}, "filter": {"q": "a\u{0}"}}), 422),
        (json!({"action": {"kind": "burn"}, "host_ids": []}), 400),
        (json!({"action": {"kind": "run"}, "filter": {"colour": "red"}}), 400),
    ] {
        let (got, answer) = fleet.server.post(&fleet.token, "/api/v1/host-actions", body.clone()).await;
        assert_eq!(got, status, "{body}: {answer}");
    }
    let viewer = fleet.server.token("viewer");
    let body = json!({"action": {"kind": "resume"}, "filter": {}});
    assert_eq!(fleet.server.post(&viewer, "/api/v1/host-actions", body).await.0, 403);
}

#[tokio::test]
async fn pages_ask_before_and_tell_afterwards() {
    let fleet = Fleet::new().await;
    let (anna, eve) =
        (Visitor::sign_in(&fleet.server, "operator").await, Visitor::sign_in(&fleet.server, "viewer").await);
    let list = anna.open("/hosts").await.text;
    assert!(list.contains("class=\"pick\"") && list.contains("id=\"bulk\""), "{list}");
    let seen = eve.open("/hosts").await.text;
    assert!(!seen.contains("class=\"pick\"") && !seen.contains("id=\"bulk\""), "a viewer could not");
    let ticked = fleet.ids().iter().map(|id| format!("&host={id}")).collect::<String>();

    let ask = anna.open(&format!("/hosts/actions?do=run{ticked}")).await;
    assert_eq!(ask.status, 200, "{}", ask.text);
    for part in ["1 of 3 hosts?", "schedule “Initial schedule”", "several enabled schedules", "no agent has come yet"]
    {
        assert!(ask.text.contains(part), "{part}: {}", ask.text);
    }
    let ids = fleet.ids().join(" ");
    let done = anna.submit("/hosts/actions", &[("do", "run"), ("ids", &ids), ("key", "k")]).await;
    assert!(done.status == 200 && done.text.contains("done on 1 of 3 hosts"), "{}", done.text);
    assert!(done.text.contains("href=\"/jobs/"), "{}", done.text);
    assert_eq!(eve.submit("/hosts/actions", &[("do", "run"), ("ids", &ids)]).await.status, 403);
    assert_eq!(anna.send("/hosts/actions", &[("do", "run"), ("ids", &ids)]).await.status, 403, "without the token");

    let wrong = anna.submit("/hosts/actions", &[("do", "add_tag"), ("ids", &ids), ("tag", "a,b")]).await;
    assert!(
        wrong.status == 422 && wrong.text.contains("without commas") && wrong.text.contains("value=\"a,b\""),
        "{}",
        wrong.text
    );
    let all = anna.open("/hosts/actions?do=add_tag&all=1&q=pending").await.text;
    assert!(all.contains("Add a tag to 1 host?") && all.contains("c-pending") && !all.contains("a-plain"), "{all}");
    for pointless in ["/hosts/actions?do=run", "/hosts/actions?do=run&host=x", "/hosts/actions?do=burn&all=1"] {
        assert_eq!(anna.open(pointless).await.status, 422, "{pointless}");
    }
}

#[tokio::test]
async fn a_pause_is_made_on_a_page_and_told_on_all() {
    let fleet = Fleet::new().await;
    let (anna, eve) =
        (Visitor::sign_in(&fleet.server, "operator").await, Visitor::sign_in(&fleet.server, "viewer").await);
    let host = format!("/hosts/{}", fleet.plain.host);
    assert!(anna.open(&host).await.text.contains("Pause…") && !eve.open(&host).await.text.contains("Pause…"));
    assert_eq!(eve.open(&format!("{host}/pause")).await.status, 403);
    let wrong = anna.submit(&format!("{host}/pause"), &[("choice", "at"), ("until", "soon"), ("reason", "why")]).await;
    assert!(wrong.status == 422 && wrong.text.contains("A day and a time") && wrong.text.contains("value=\"why\""));
    let past = anna.submit(&format!("{host}/pause"), &[("choice", "at"), ("until", "2020-01-01T06:00")]).await;
    assert!(past.status == 422 && past.text.contains("Lies in the past"), "{}", past.text);
    let hostile = "<script>alert(1)</script>";
    let form = [("choice", "at"), ("until", "2030-12-24T18:00"), ("reason", hostile)];
    assert_eq!(anna.submit(&format!("{host}/pause"), &form).await.status, 303);
    for path in [host.clone(), format!("{host}/schedules"), "/hosts".into(), format!("{host}/pause")] {
        let page = anna.open(&path).await.text;
        assert!(page.contains("Paused until 24 Dec 2030, 18:00") && !page.contains(hostile), "{path}: {page}");
    }
    let seen = eve.open(&host).await.text;
    assert!(seen.contains("By operator") && !seen.contains("/resume"), "{seen}");
    let item = eve.open("/").await.text;
    assert!(item.contains("Needs attention"), "{item}");
    assert_eq!(anna.submit(&format!("{host}/resume"), &[]).await.status, 303);
    assert!(!anna.open(&host).await.text.contains("Paused until"));

    let schedules = fleet.server.get(&fleet.token, &format!("/api/v1{host}/schedules")).await;
    let own = format!("/schedules/{}", schedules["items"][0]["id"].as_str().unwrap());
    assert_eq!(anna.submit(&format!("{own}/pause"), &[("choice", "open")]).await.status, 303);
    let tab = anna.open(&format!("{host}/schedules")).await.text;
    assert!(tab.contains("Paused</span>") && tab.contains(&format!("action=\"{own}/resume\"")), "{tab}");
    assert_eq!(anna.submit(&format!("{own}/resume"), &[]).await.status, 303);
}
