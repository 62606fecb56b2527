//! The pages of a repository as a browser gets them: what each form asks for arrives, what destroys is asked about once, what agents report
//! is told and escaped, and nobody sees a button that would be refused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::{Answer, Visitor};
use serde_json::{Value, json};

/// Text in every place that takes text.
const HOSTILE: &str = "<script>alert(1)</script>\"'{{ 7 * 7 }}&amp;\u{202e}ü";

fn id(n: u8) -> String {
    format!("{n:02x}").repeat(32)
}

/// A repository with a hostile name at one address for all, a host with a full credential and a nightly schedule.
struct Seeded {
    server: ControlPlane,
    admin: String,
    agent: FakeAgent,
    repository: String,
}

impl Seeded {
    async fn new() -> Self {
        let server = ControlPlane::start();
        let admin = server.token("admin");
        let body = json!({"name": HOSTILE, "url": "rest:http://127.0.0.1:9/all/", "password": "secret",
            "ca_pem": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"});
        let (status, made) = server.post(&admin, "/api/v1/repositories", body).await;
        assert_eq!(status, 201, "{made}");
        let repository = made["id"].as_str().unwrap().to_owned();
        let agent = server.host(&admin, "web-01", &["/etc"]).await;
        let credential = json!({"mode": "full", "rest_username": "u", "rest_password": "p"});
        let path = format!("/api/v1/hosts/{}/credentials/{repository}", agent.host);
        assert_eq!(server.call(&admin, reqwest::Method::PUT, &path, credential).await.0, 204);
        Self { server, admin, agent, repository }
    }

    fn at(&self, tab: &str) -> String {
        format!("/repositories/{}{tab}", self.repository)
    }

    /// Takes the next job that is offered and ends it with this outcome; answers its id.
    async fn finish(&mut self, outcome: Value) -> String {
        let offer = self.agent.poll(&[], 5).await.offers.remove(0);
        let job = format!("/agent/v1/jobs/{}", offer.id);
        assert_eq!(self.agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
        let finish = json!({"attempt": offer.attempt, "end": "succeeded", "started_at": "2026-01-01T00:00:00Z",
            "finished_at": "2026-01-01T00:01:00Z", "exit_code": 0, "outcome": outcome});
        let (status, answer) = self.agent.post(&format!("{job}/finish"), finish).await;
        assert_eq!(status, 200, "{answer}");
        offer.id.to_string()
    }

    /// Has the host list these snapshots, which no job of ours made.
    async fn list(&mut self, snapshots: &[String]) {
        let task = json!({"kind": "snapshots", "repository_id": self.repository, "all_hosts": true});
        let (status, _) = self.server.post(&self.admin, "/api/v1/jobs", json!({"task": task})).await;
        assert_eq!(status, 202);
        let offer = self.agent.poll(&[], 5).await.offers.remove(0);
        let job = format!("/agent/v1/jobs/{}", offer.id);
        assert_eq!(self.agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
        let record = |id: &String| {
            json!({"id": id, "time": "2026-01-01T00:00:00Z", "hostname": HOSTILE, "username": HOSTILE,
                "paths": [HOSTILE], "tags": [HOSTILE]})
        };
        let records: Vec<Value> = snapshots.iter().map(record).collect();
        let finish = json!({"attempt": offer.attempt, "end": "succeeded", "started_at": "2026-01-01T00:00:00Z",
            "finished_at": "2026-01-01T00:01:00Z", "exit_code": 0, "snapshots": records, "snapshots_complete": true,
            "outcome": {"kind": "snapshots", "count": records.len()}});
        let (status, answer) = self.agent.post(&format!("{job}/finish"), finish).await;
        assert_eq!(status, 200, "{answer}");
    }
}

fn fine(page: &Answer, path: &str) {
    assert!(page.html, "{path}: {}", page.text);
    assert!(!page.text.contains("<script>alert"), "{path} lets script through");
    assert!(!page.text.contains("49&amp;"), "{path} reads data as a template");
    assert!(!page.policy.contains("unsafe-inline"), "{path}: {}", page.policy);
}

fn outcomes() -> Vec<(Value, &'static str)> {
    let entry = json!({"path": HOSTILE, "type": HOSTILE, "size": 5, "mtime": "2026-01-01T00:00:00Z",
        "permissions": HOSTILE, "snapshot": HOSTILE});
    let lock = json!({"id": id(1), "time": "2026-01-01T00:00:00Z", "exclusive": true, "hostname": HOSTILE,
        "username": HOSTILE, "pid": 7});
    let pair = json!({"old": HOSTILE, "new": HOSTILE});
    let side = json!({"files": 2, "bytes": 2048});
    vec![
        (json!({"kind": "ls", "entries": [entry], "omitted": 3}), "4 entries listed"),
        (json!({"kind": "find", "entries": [entry], "omitted": 0}), "1 entry was found"),
        (json!({"kind": "find", "entries": [], "omitted": 0}), "Nothing was found"),
        (json!({"kind": "stats", "mode": "raw_data", "total_size": 1024}), "Stored are 1.0 KiB"),
        (
            json!({"kind": "diff", "changes": [{"path": HOSTILE, "modifier": "+"}], "omitted": 0, "changed_files": 1,
                "added": side, "removed": side}),
            "1 difference between the two",
        ),
        (json!({"kind": "check", "errors": 0, "messages": [HOSTILE]}), "No error was found"),
        (
            json!({"kind": "check", "errors": 2, "broken_packs": [id(2)], "broken_snapshots": [id(3)],
                "suggest_repair_index": true, "messages": [HOSTILE]}),
            "1 snapshot is touched; all others can be restored",
        ),
        (json!({"kind": "forget", "dry_run": false, "removed": [id(4)], "left": [id(5)]}), "did not let them go"),
        (json!({"kind": "prune", "dry_run": true, "total_bytes": 2048}), "A prune would free 2.0 KiB"),
        (json!({"kind": "locks", "removed": [], "left": [lock]}), "1 lock is there"),
        (json!({"kind": "copy", "copied": 2, "skipped": 1}), "2 snapshots copied"),
        (json!({"kind": "tag", "replaced": [pair]}), "1 snapshot has other tags"),
        (
            json!({"kind": "rewrite", "dry_run": false, "replaced": [pair], "forgotten": false}),
            "originals are still there",
        ),
        (json!({"kind": "repair", "dry_run": false, "replaced": [pair]}), "1 snapshot was replaced"),
        (
            json!({"kind": "keys", "keys": [{"id": id(6), "current": true, "username": HOSTILE, "hostname": HOSTILE,
                "created": HOSTILE}], "added": null, "removed": null}),
            "1 key opens the repository",
        ),
        (json!({"kind": "cache", "said": [HOSTILE]}), "Old caches were looked for"),
        (json!({"kind": "version", "version": HOSTILE}), "The host has restic"),
        (
            json!({"kind": "probe", "exists": true, "password_ok": true, "can_delete": "can_delete",
                "evidence": [HOSTILE]}),
            "This credential can delete backups",
        ),
        (json!({"kind": "account", "user": HOSTILE}), "file of accounts"),
        (json!({"kind": "of_the_future"}), "something that this server does not know"),
    ]
}

/// The task whose outcome changes what is known of the repository; of the others a page tells whatever the task was.
fn task_of(outcome: &Value, repository: &str) -> Value {
    match outcome["kind"].as_str().unwrap() {
        "stats" => json!({"kind": "stats", "repository_id": repository, "mode": "raw_data"}),
        kind @ ("check" | "locks" | "probe") => json!({"kind": kind, "repository_id": repository}),
        _ => json!({"kind": "find", "repository_id": repository, "pattern": "x"}),
    }
}

#[tokio::test]
async fn what_came_of_each_operation_is_told() {
    let mut it = Seeded::new().await;
    let anna = Visitor::sign_in(&it.server, "admin").await.cookie;
    for (outcome, words) in outcomes() {
        let body = json!({"task": task_of(&outcome, &it.repository), "host_id": it.agent.host});
        let (status, answer) = it.server.post(&it.admin, "/api/v1/jobs", body).await;
        assert_eq!(status, 202, "{answer}");
        let job = it.finish(outcome).await;
        let anna = Visitor { server: &it.server, cookie: anna.clone() };
        let page = anna.open(&format!("/jobs/{job}")).await;
        fine(&page, words);
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    let anna = Visitor { server: &it.server, cookie: anna };
    for tab in ["", "/hosts", "/maintenance", "/snapshots"] {
        let page = anna.open(&it.at(tab)).await;
        fine(&page, tab);
        assert_eq!(page.status, 200);
    }
    let overview = anna.open(&it.at("")).await.text;
    assert!(overview.contains("No job of ours made it"), "the lock is shown with what is known of it: {overview}");
    assert!(overview.contains("Remove lock…"), "{overview}");
    let alerts = anna.open("/alerts").await;
    fine(&alerts, "/alerts");
    assert!(alerts.text.contains("is damaged</b>"), "{}", alerts.text);
    let alert = alerts.text.split("/acknowledge").next().and_then(|head| head.rsplit("/alerts/").next()).unwrap();
    assert_eq!(anna.submit(&format!("/alerts/{alert}/acknowledge"), &[]).await.status, 303);
    assert!(anna.open("/alerts").await.text.contains("known to admin"));
}

#[tokio::test]
async fn each_form_asks_for_its_operation_and_what_destroys_is_asked_about() {
    let it = Seeded::new().await;
    let anna = Visitor::sign_in(&it.server, "admin").await;
    let table = it.server.get(&it.admin, "/api/v1/operations").await;
    let path = it.at("/operations");
    let ids = format!("{}\r\n{}", id(7), id(8));
    let host = it.agent.host.to_string();
    let fields = [
        ("host", host.as_str()),
        ("snapshots", &ids),
        ("snapshot", &id(7)),
        ("path", "/"),
        ("pattern", HOSTILE),
        ("from", &id(7)),
        ("to", &id(8)),
        ("add", "a"),
        ("excludes", HOSTILE),
        ("packs", &ids),
        ("key", &id(9)),
    ];
    for operation in table["items"].as_array().unwrap() {
        let kind = operation["kind"].as_str().unwrap();
        let mut form = vec![("kind", kind)];
        // What a box sends when it is ticked.
        form.extend(fields.iter().filter(|(name, _)| kind != "diff" || *name != "snapshots").copied());
        form.push(("forget", "1"));
        form.push(("remove_all", "1"));
        let answer = anna.submit(&path, &form).await;
        let want = match kind {
            "backup" | "key_add" | "write_account" | "copy" | "restore" | "archive" | "drill" => 422,
            _ if operation["destroys"] == true => 200,
            _ => 303,
        };
        assert_eq!(answer.status, want, "{kind}: {}", answer.text);
        if want == 303 {
            assert!(answer.location.starts_with("/jobs/"), "{kind}: {}", answer.location);
        } else {
            fine(&answer, kind);
        }
        if want == 200 {
            assert!(answer.text.contains("operations/confirm"), "{kind} is asked about: {}", answer.text);
        }
    }
    let jobs = it.server.get(&it.admin, "/api/v1/jobs?kind=forget").await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 0, "what was only asked about is not done");
    let task = json!({"kind": "forget", "repository_id": it.repository, "snapshots": [id(7)], "dry_run": false});
    let (confirm, sent) = (it.at("/operations/confirm"), task.to_string());
    let done = anna.submit(&confirm, &[("task", &sent), ("host", &host)]).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let elsewhere = json!({"kind": "forget", "repository_id": it.agent.host, "snapshots": [id(7)], "dry_run": false});
    let wrong = anna.submit(&confirm, &[("task", &elsewhere.to_string()), ("host", &host)]).await;
    assert_eq!(wrong.status, 422, "a task is about the repository of its page: {}", wrong.text);
    let shown = anna.submit(&path, &[("kind", "ls"), ("snapshot", HOSTILE), ("path", "/")]).await;
    assert_eq!(shown.status, 422);
    fine(&shown, "ls");
    assert!(shown.text.contains("A whole id, 64 hex digits"), "{}", shown.text);
}

#[tokio::test]
async fn the_plan_is_read_aloud_and_saved() {
    let it = Seeded::new().await;
    let anna = Visitor::sign_in(&it.server, "admin").await;
    let (path, host) = (it.at("/maintenance"), it.agent.host.to_string());
    let plan = [
        ("host", host.as_str()),
        ("timezone", "Europe/Berlin"),
        ("prune", "0 3 * * 1-5"),
        ("floor", "5"),
        ("max_unused", "10%"),
        ("from", "22:00"),
        ("to", "06:00"),
    ];
    let shown = anna.submit(&path, &[plan.as_slice(), &[("show_lines", "1")]].concat()).await;
    assert_eq!(shown.status, 200);
    assert!(shown.text.contains("Every weekday at 03:00"), "{}", shown.text);
    let kept = it.server.get(&it.admin, &format!("/api/v1{path}")).await;
    assert_eq!(kept["maintenance_host_id"], Value::Null, "reading the lines saves nothing");
    assert_eq!(anna.submit(&path, &plan).await.status, 303);
    let kept = it.server.get(&it.admin, &format!("/api/v1{path}")).await;
    assert_eq!(kept["maintenance_host_id"], host.as_str());
    assert_eq!((&kept["plan"]["prune"], &kept["plan"]["check"]), (&json!("0 3 * * 1-5"), &Value::Null));
    assert_eq!(kept["plan"]["window"], json!({"from": "22:00", "to": "06:00"}));
    let wrong = anna.submit(&path, &[("prune", "61 * * * *"), ("max_unused", HOSTILE), ("floor", "0")]).await;
    assert_eq!(wrong.status, 422);
    fine(&wrong, &path);
    assert!(wrong.text.contains("id=\"floor-err\"") && wrong.text.contains("id=\"max_unused-err\""), "{}", wrong.text);
    let asked = anna.submit(&it.at("/maintenance/run"), &[("chore", "stats")]).await;
    assert_eq!(asked.status, 303, "{}", asked.text);
    let jobs = it.server.get(&it.admin, "/api/v1/jobs?kind=stats").await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn saving_keeps_the_quota_and_the_authorities_and_credentials_come_and_go() {
    let it = Seeded::new().await;
    let anna = Visitor::sign_in(&it.server, "admin").await;
    let api = format!("/api/v1/repositories/{}", it.repository);
    let page = anna.open(&it.at("/settings")).await.text;
    let ca = "-----BEGIN CERTIFICATE-----\r\nAAAA\r\n-----END CERTIFICATE-----";
    assert!(page.contains("AAAA"), "the form holds what is kept: {page}");
    let form = [("name", "main"), ("url", "rest:http://127.0.0.1:9/all/"), ("quota", "6T"), ("ca", ca)];
    assert_eq!(anna.submit(&it.at("/settings"), &form).await.status, 303);
    let kept = it.server.get(&it.admin, &api).await;
    assert_eq!(kept["quota_bytes"], 6_u64 << 40);
    assert_eq!(kept["ca_pem"], ca.replace("\r\n", "\n"));
    let host = it.agent.host.to_string();
    let made = anna.submit(&it.at("/accounts"), &[("account_host", &host), ("user", "web-01")]).await;
    assert_eq!(made.status, 200, "{}", made.text);
    assert!(made.text.contains("web-01:$2"), "the line is shown: {}", made.text);
    let given = anna.submit(&it.at("/hosts"), &[("host", &host), ("mode", "full"), ("url", "/srv/all")]).await;
    assert_eq!(given.status, 303, "{}", given.text);
    let used = it.server.get(&it.admin, &format!("{api}/credentials")).await;
    assert_eq!((&used["items"][0]["mode"], &used["items"][0]["url"]), (&json!("full"), &json!("/srv/all")));
    let rotated = anna.submit(&it.at("/rotate-password"), &[("new_password", "")]).await;
    assert_eq!(rotated.status, 303, "{}", rotated.text);
    assert!(anna.open(&it.at("/settings")).await.text.contains("A host adds the key"));
    let removed = anna.submit(&it.at(&format!("/hosts/{host}/remove")), &[]).await;
    assert!(removed.status == 303 || removed.text.contains("The credential is in use"), "{}", removed.text);
}

#[tokio::test]
async fn nobody_vouches_or_forgets_by_one_press() {
    let mut it = Seeded::new().await;
    it.list(&[id(1), id(2)]).await;
    let it = it;
    let anna = Visitor::sign_in(&it.server, "admin").await;
    let page = anna.open(&it.at("/snapshots?show=unattested")).await;
    fine(&page, "snapshots");
    assert!(page.text.contains("unattested") && page.text.contains(&id(1)), "{}", page.text);
    let (one, two) = (id(1), id(2));
    let picked = anna.submit(&it.at("/snapshots"), &[("id", &one), ("id", &two), ("kind", "forget")]).await;
    assert_eq!(picked.status, 303);
    let form = anna.open(&picked.location).await;
    assert!(form.text.contains(&format!("{one}\n{two}")), "the ids stand in the form: {}", form.text);
    let asked = anna.submit(&it.at("/snapshots/vouch"), &[("id", &one)]).await;
    assert_eq!(asked.status, 200);
    assert!(asked.text.contains("Vouch for 1 snapshot?"), "{}", asked.text);
    let sure = anna.submit(&it.at("/snapshots/vouch"), &[("id", &one), ("sure", "1")]).await;
    assert_eq!(sure.status, 303);
    let left = it.server.get(&it.admin, &format!("/api/v1{}?attested=false", it.at("/snapshots"))).await;
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
    let nothing = anna.submit(&it.at("/retention/ask"), &[("ids-x", &one)]).await;
    assert_eq!(nothing.status, 422, "what retention does not select is not removed: {}", nothing.text);
}

#[tokio::test]
async fn a_host_is_frozen_with_a_reason_and_thawed_by_an_administrator() {
    let it = Seeded::new().await;
    let (anna, olga) = (Visitor::sign_in(&it.server, "admin").await, Visitor::sign_in(&it.server, "operator").await);
    let host = format!("/hosts/{}", it.agent.host);
    assert_eq!(olga.submit(&format!("{host}/freeze"), &[("reason", " ")]).await.status, 422);
    assert_eq!(olga.submit(&format!("{host}/freeze"), &[("reason", HOSTILE)]).await.status, 303);
    let page = olga.open(&host).await;
    fine(&page, &host);
    assert!(page.text.contains("Retention is frozen") && !page.text.contains("/thaw"), "{}", page.text);
    assert_eq!(olga.submit(&format!("{host}/thaw"), &[]).await.status, 403);
    assert!(anna.open(&host).await.text.contains("/thaw"));
    let asked = anna.open(&format!("{host}/thaw")).await;
    fine(&asked, "thaw");
    assert_eq!(anna.submit(&format!("{host}/thaw"), &[]).await.status, 303);
    assert!(!anna.open(&host).await.text.contains("Retention is frozen"));
}

#[tokio::test]
async fn a_viewer_sees_no_button_that_would_be_refused() {
    let mut it = Seeded::new().await;
    it.list(&[id(1)]).await;
    let it = it;
    let (olga, eve) = (Visitor::sign_in(&it.server, "operator").await, Visitor::sign_in(&it.server, "viewer").await);
    for tab in ["", "/snapshots", "/retention", "/maintenance", "/operations", "/hosts", "/settings"] {
        let page = eve.open(&it.at(tab)).await;
        assert_eq!(page.status, 200, "{tab}");
        let forms: Vec<&str> = page.text.split("method=\"post\" action=\"").skip(1).collect();
        let acts = forms.iter().map(|f| f.split('"').next().unwrap());
        let refused: Vec<&str> = acts
            .filter(|a| !matches!(*a, "/theme" | "/zone" | "/keys" | "/logout"))
            .filter(|a| page.text.contains(&format!("action=\"{a}\"")))
            .collect();
        let buttons: Vec<&str> = refused
            .iter()
            .filter(|a| {
                let form = page.text.split(&format!("action=\"{a}\"")).nth(1).unwrap();
                form.split("</form>").next().unwrap().contains("<button")
            })
            .copied()
            .collect();
        assert_eq!(buttons, Vec::<&str>::new(), "{tab} shows a viewer a button");
    }
    let page = olga.open(&it.at("/operations")).await.text;
    let form = |kind: &str| page.contains(&format!("name=\"kind\" value=\"{kind}\""));
    assert!(form("check") && form("prune") && !form("rewrite") && !form("key_remove"), "by role");
    for (path, fields) in [
        (it.at("/operations"), vec![("kind", "check")]),
        (it.at("/maintenance"), vec![]),
        (it.at("/maintenance/run"), vec![("chore", "all"), ("sure", "1")]),
        (it.at("/retention"), vec![("ids", "x")]),
        (it.at("/hosts"), vec![]),
        (it.at("/settings"), vec![("name", "x"), ("url", "/x")]),
        (it.at("/delete"), vec![]),
        (it.at("/snapshots/vouch"), vec![("id", "x")]),
    ] {
        assert_eq!(eve.submit(&path, &fields).await.status, 403, "{path}");
        assert_eq!(olga.send(&path, &fields).await.status, 403, "{path} without the form's token");
    }
}

/// Claims the offer that is open and ends it with these locks.
async fn lists_locks(agent: &mut FakeAgent, left: Value) {
    let offer = agent.poll(&[], 5).await.offers.remove(0);
    let job = format!("/agent/v1/jobs/{}", offer.id);
    assert_eq!(agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
    let finish = json!({"attempt": offer.attempt, "end": "succeeded", "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:01:00Z", "exit_code": 0, "outcome": {"kind": "locks", "removed": [], "left": left}});
    let (status, answer) = agent.post(&format!("{job}/finish"), finish).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn looking_again_at_locks_looks_at_every_host_s_own_repository() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let mut agents = vec![];
    for name in ["web-01", "web-02", "web-03"] {
        agents.push(server.host(&admin, name, &["/etc"]).await);
    }
    let repositories = server.get(&admin, "/api/v1/repositories").await;
    let repository = repositories["items"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/repositories/{repository}/locks/look");
    let anna = Visitor::sign_in(&server, "admin").await;
    let nowhere = anna.submit(&path, &[]).await;
    assert_eq!((nowhere.status, nowhere.location.ends_with("?done=nothing-to-look-at")), (303, true));
    // The third has never worked there.
    for agent in &mut agents[..2] {
        let task = json!({"kind": "locks", "repository_id": repository});
        let (status, answer) = server.post(&admin, "/api/v1/jobs", json!({"task": task, "host_id": agent.host})).await;
        assert_eq!(status, 202, "{answer}");
        lists_locks(agent, json!([])).await;
    }
    let (status, first) = server.post(&admin, &format!("/api/v1{path}"), json!({})).await;
    assert_eq!(status, 202, "{first}");
    let of = |answer: &Value| {
        let jobs = answer["items"].as_array().unwrap();
        jobs.iter().map(|j| (j["job"]["of_host_id"].clone(), j["job"]["id"].clone())).collect::<Vec<_>>()
    };
    let mut places: Vec<Value> = of(&first).into_iter().map(|(host, _)| host).collect();
    places.sort_by_key(ToString::to_string);
    let mut want: Vec<Value> = agents[..2].iter().map(|a| json!(a.host)).collect();
    want.sort_by_key(ToString::to_string);
    assert_eq!(places, want);
    let (_, again) = server.post(&admin, &format!("/api/v1{path}"), json!({})).await;
    assert_eq!(of(&again), of(&first), "a look that is pending is not doubled");
    let pressed = anna.submit(&path, &[]).await;
    assert_eq!((pressed.status, pressed.location.ends_with("?done=locks-asked")), (303, true));
    for (n, agent) in agents[..2].iter_mut().enumerate() {
        let lock = json!({"id": id(u8::try_from(n).unwrap()), "time": "2026-01-01T00:00:00Z", "exclusive": false,
            "hostname": "elsewhere", "pid": 7});
        lists_locks(agent, json!([lock])).await;
    }
    let locks = server.get(&admin, &format!("/api/v1/repositories/{repository}/locks")).await;
    assert_eq!(locks["items"].as_array().unwrap().len(), 2, "each host's lock is known: {locks}");
    let olga = Visitor::sign_in(&server, "viewer").await;
    assert_eq!(olga.submit(&path, &[]).await.status, 403);
}

#[tokio::test]
async fn the_picture_of_the_size_goes_as_far_back_as_is_asked() {
    let mut it = Seeded::new().await;
    let anna = Visitor::sign_in(&it.server, "viewer").await.cookie;
    for total in [1024, 4096] {
        let task = json!({"kind": "stats", "repository_id": it.repository, "mode": "raw_data"});
        let body = json!({"task": task, "host_id": it.agent.host});
        assert_eq!(it.server.post(&it.admin, "/api/v1/jobs", body).await.0, 202);
        it.finish(json!({"kind": "stats", "mode": "raw_data", "total_size": total})).await;
    }
    let anna = Visitor { server: &it.server, cookie: anna };
    for (query, chosen) in
        [("", "12 months"), ("?span=month", "30 days"), ("?span=all", "All"), ("?span=x", "12 months")]
    {
        let page = anna.open(&it.at(query)).await.text;
        assert!(page.contains("class=\"plot\""), "{query}: {page}");
        assert_eq!(page.matches("#size-h\" aria-current=\"true\"").count(), 1, "{query}: {page}");
        assert!(page.contains(&format!("aria-current=\"true\">{chosen}</a>")), "{query}: {page}");
        assert!(page.contains(&format!("{}?span=month#size-h", it.at(""))), "{query}: {page}");
    }
    let live = anna.open(&format!("/ui{}/live", it.at(""))).await;
    assert_eq!(live.status, 200);
    assert!(!live.text.contains("class=\"plot\""), "what is looked at anew leaves the picture: {}", live.text);
}
