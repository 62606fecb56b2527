//! Operations end to end: real control plane, agents, restic and rest-servers. Backup hosts append only; one host maintains what they make.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_tests::agent::Agent;
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use restic_manager_tests::storage::RestServer;
use serde_json::{Value, json};
use std::path::PathBuf;

/// A fleet with one backup host, one maintenance host, and a writable server beside the append-only one.
struct Scene {
    fleet: Fleet,
    writable: RestServer,
    web: Agent,
    keeper: Agent,
    source: PathBuf,
}

impl Scene {
    async fn set() -> Self {
        Self::with(Fleet::start(&["web-01", "keeper"]).await).await
    }

    async fn with(fleet: Fleet) -> Self {
        let writable = fleet.storage.writable();
        let source = fleet.source("srv");
        let mut web = fleet.host("web-01", &[&source]).await;
        let mut keeper = fleet.keeper("keeper", &writable).await;
        web.start();
        keeper.start();
        fleet.until_online(&keeper).await;
        Self { fleet, writable, web, keeper, source }
    }

    /// Changes something and backs it up; answers the snapshot's id.
    async fn backup(&self, content: &str) -> String {
        std::fs::write(self.source.join("changing"), content).unwrap();
        let job = self.fleet.ended(&self.fleet.run_now(&self.web).await).await;
        assert_eq!(job["state"], "succeeded", "{job}");
        job["result"]["summary"]["snapshot_id"].as_str().unwrap().to_owned()
    }

    /// An operation on the backup host's repository, done by the maintenance host.
    async fn maintain(&self, task: Value) -> Value {
        let task = self.task(task);
        self.fleet
            .operate(json!({"of_host_id": self.web.host, "host_id": self.keeper.host, "task": task, "confirm": true}))
            .await
    }

    fn task(&self, mut task: Value) -> Value {
        task["repository_id"] = json!(self.fleet.repository);
        task
    }

    /// The snapshots that plain restic finds in the backup host's repository.
    fn there(&self) -> Vec<String> {
        let said = self.fleet.storage.restic("web-01", PASSWORD, &["snapshots", "--json", "--no-lock"]);
        let list: Vec<Value> = serde_json::from_str(&said).unwrap();
        list.iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect()
    }

    async fn keep(&self, retention: Value) {
        let mut schedule = self.fleet.schedule(&self.web).await;
        schedule["retention"] = retention;
        self.fleet.put_schedule(schedule).await;
    }
}

fn succeeded(job: &Value) -> &Value {
    assert_eq!(job["state"], "succeeded", "{job}");
    &job["outcome"]
}

#[tokio::test]
async fn retention_prune_and_check_run_on_the_maintenance_host() {
    let scene = Scene::set().await;
    let mut made = vec![];
    for n in 0..4 {
        made.push(scene.backup(&n.to_string()).await);
    }
    scene.keep(json!({"keep_last": 1})).await;
    scene.fleet.plan(&scene.keeper.host, json!({"floor": 1})).await;
    let preview = scene.fleet.of_repository("/retention").await;
    let plan = &preview["items"][0];
    assert_eq!((&plan["host"], &plan["gate"]["kind"]), (&json!("web-01"), &json!("open")), "{plan}");
    let gone = plan["entries"].as_array().unwrap().iter().filter(|e| e["decision"] == "forget").count();
    assert_eq!(gone, 3, "{plan}");

    let chores = scene.fleet.maintain(&["forget", "prune", "check", "stats"]).await;
    let of_web = |name: &str| {
        let found = chores.iter().find(|c| c["of_host_id"] == json!(scene.web.host) && c["chore"] == name);
        found.unwrap_or_else(|| panic!("{name} among {chores:?}"))
    };
    for name in ["forget", "prune", "check", "stats"] {
        assert_eq!(of_web(name)["last_state"], "succeeded", "{name}: {:?}", of_web(name));
    }
    assert_eq!(scene.there(), made[3..], "the newest stays");
    let listed = scene.fleet.of_repository("/snapshots").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
    assert_eq!(listed["items"][0]["attested"], true);
    scene.fleet.storage.assert_equals_source("web-01", PASSWORD, &made[3], &scene.source);
    let health = scene.fleet.of_repository("/health").await;
    assert!(health["sample"]["raw_size"].as_u64().unwrap() > 0 && health["checked_at"].is_string(), "{health}");
}

#[tokio::test]
async fn forged_snapshots_displace_nothing_and_are_told_of() {
    let scene = Scene::set().await;
    let real = [scene.backup("1").await, scene.backup("2").await];
    let schedule = scene.fleet.schedule(&scene.web).await;
    let tag = format!("rm-schedule-{}", schedule["id"].as_str().unwrap());
    let source = scene.source.to_str().unwrap();
    for day in 1..=5 {
        let time = format!("2035-01-0{day} 10:00:00");
        let args = ["backup", "--host", "web-01", "--tag", &tag, "--time", &time, source];
        scene.fleet.storage.restic("web-01", PASSWORD, &args);
    }
    scene.keep(json!({"keep_daily": 5})).await;
    scene.fleet.plan(&scene.keeper.host, json!({"floor": 1})).await;
    scene.fleet.maintain(&["forget"]).await;
    let there = scene.there();
    assert_eq!(there.len(), 7, "nothing was removed");
    assert!(real.iter().all(|id| there.contains(id)), "real {real:?} among {there:?}");
    let alerts = scene.fleet.control.get(&scene.fleet.admin, "/api/v1/alerts?open=true").await;
    let unattested: Vec<&Value> =
        alerts["items"].as_array().unwrap().iter().filter(|a| a["kind"] == "unattested_snapshots").collect();
    assert_eq!(unattested.len(), 1, "{alerts}");
    assert!(unattested[0]["detail"].as_str().unwrap().starts_with("5 snapshots"), "{unattested:?}");
    let preview = scene.fleet.of_repository("/retention").await;
    let entries = preview["items"][0]["entries"].as_array().unwrap();
    assert_eq!(
        entries.iter().filter(|e| e["text"].as_str().unwrap().starts_with("unattested")).count(),
        5,
        "{preview}"
    );
}

#[tokio::test]
async fn a_person_is_asked_before_more_than_the_ceiling_goes() {
    let scene = Scene::set().await;
    for n in 0..6 {
        scene.backup(&n.to_string()).await;
    }
    scene.keep(json!({"keep_last": 1})).await;
    scene.fleet.plan(&scene.keeper.host, json!({"floor": 1, "ceiling_percent": 10})).await;
    scene.fleet.maintain(&["forget"]).await;
    assert_eq!(scene.there().len(), 6, "5 of 6 are too many for a run by itself");
    let preview = scene.fleet.of_repository("/retention").await;
    assert_eq!(preview["items"][0]["gate"]["kind"], "needs_person", "{preview}");
    let entries = preview["items"][0]["entries"].as_array().unwrap();
    let ids: Vec<&Value> = entries.iter().filter(|e| e["decision"] == "forget").map(|e| &e["id"]).collect();
    let path = format!("/api/v1/repositories/{}/retention", scene.fleet.repository);
    let (status, answer) = scene.fleet.control.post(&scene.fleet.admin, &path, json!({"snapshots": ids})).await;
    assert_eq!(status, 202, "{answer}");
    let job = scene.fleet.ended(answer["items"][0]["job"]["id"].as_str().unwrap()).await;
    assert_eq!(succeeded(&job)["removed"].as_array().unwrap().len(), 5, "{job}");
    assert_eq!(scene.there().len(), 1);
    let freeze = format!("/api/v1/hosts/{}/freeze", scene.web.host);
    assert_eq!(scene.fleet.control.post(&scene.fleet.admin, &freeze, json!({"reason": "odd changes"})).await.0, 200);
    scene.backup("7").await;
    let preview = scene.fleet.of_repository("/retention").await;
    assert_eq!(preview["items"][0]["gate"]["kind"], "frozen", "{preview}");
}

#[tokio::test]
async fn each_looking_operation_says_what_it_found() {
    let scene = Scene::set().await;
    let (first, second) = (scene.backup("1").await, scene.backup("22").await);
    let path = scene.source.to_str().unwrap();
    let ls = scene.maintain(json!({"kind": "ls", "snapshot": second, "path": path})).await;
    let names: Vec<&str> =
        succeeded(&ls)["entries"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
    assert!(names.contains(&format!("{path}/changing").as_str()), "{names:?}");
    let find = scene.maintain(json!({"kind": "find", "pattern": "changing", "snapshots": [first, second]})).await;
    assert_eq!(succeeded(&find)["entries"].as_array().unwrap().len(), 2, "{find}");
    let diff = scene.maintain(json!({"kind": "diff", "from": first, "to": second})).await;
    assert!(succeeded(&diff)["changes"].to_string().contains("changing"), "{diff}");
    for mode in ["restore_size", "files_by_contents", "raw_data", "blobs_per_file"] {
        let stats = scene.maintain(json!({"kind": "stats", "mode": mode})).await;
        assert!(succeeded(&stats)["total_size"].as_u64().unwrap() > 0, "{stats}");
    }
    let keys = scene.maintain(json!({"kind": "key_list"})).await;
    assert_eq!(succeeded(&keys)["keys"].as_array().unwrap().len(), 1, "{keys}");
    let locks = scene.maintain(json!({"kind": "locks"})).await;
    assert_eq!(succeeded(&locks)["left"], json!([]), "{locks}");
    let listed = scene.maintain(json!({"kind": "snapshots", "all_hosts": true})).await;
    assert_eq!(succeeded(&listed)["count"], 2, "{listed}");
    let version = scene.fleet.operate(json!({"host_id": scene.web.host, "task": {"kind": "version"}})).await;
    assert_eq!(succeeded(&version)["version"], "0.18.0", "{version}");
    let cache = scene.fleet.operate(json!({"host_id": scene.web.host, "task": {"kind": "cache_cleanup"}})).await;
    succeeded(&cache);
}

#[tokio::test]
async fn each_changing_operation_changes_what_it_says() {
    let scene = Scene::set().await;
    let first = scene.backup("1").await;
    let tag = scene.maintain(json!({"kind": "tag", "snapshots": [first], "change": {"add": ["kept"]}})).await;
    let tagged = succeeded(&tag)["replaced"][0]["new"].as_str().unwrap().to_owned();
    assert_eq!(scene.there(), std::slice::from_ref(&tagged), "a tag makes a new snapshot of the old one");
    let listed = scene.fleet.of_repository("/snapshots").await;
    assert_eq!(
        (&listed["items"][0]["id"], &listed["items"][0]["attested"]),
        (&json!(tagged), &json!(true)),
        "{listed}"
    );
    let rewrite =
        json!({"kind": "rewrite", "snapshots": [tagged], "excludes": ["changing"], "forget": true, "dry_run": false});
    let rewritten = succeeded(&scene.maintain(rewrite).await)["replaced"][0]["new"].as_str().unwrap().to_owned();
    assert_eq!(scene.there(), std::slice::from_ref(&rewritten));
    let find = scene.maintain(json!({"kind": "find", "pattern": "changing", "snapshots": [rewritten]})).await;
    assert_eq!(succeeded(&find)["entries"], json!([]), "{find}");
    let prune = scene.maintain(json!({"kind": "prune", "options": {"max_unused": "0"}})).await;
    assert!(succeeded(&prune)["total_bytes"].as_u64().unwrap() > 0, "{prune}");
    for read in [json!({"read": "everything"}), json!({"read": "part", "part": 1, "of": 2})] {
        let check = scene.maintain(json!({"kind": "check", "read_data": read})).await;
        assert_eq!(succeeded(&check)["errors"], 0, "{check}");
    }
    succeeded(&scene.maintain(json!({"kind": "repair_index"})).await);
    succeeded(&scene.maintain(json!({"kind": "repair_snapshots", "dry_run": true})).await);
    let second = scene.backup("2").await;
    let forget = scene.maintain(json!({"kind": "forget", "snapshots": [second]})).await;
    assert_eq!(succeeded(&forget)["removed"], json!([second]), "{forget}");
    assert_eq!(scene.there(), [rewritten]);
    succeeded(&scene.maintain(json!({"kind": "unlock", "remove_all": true})).await);
}

#[tokio::test]
async fn what_cannot_work_is_refused_before_it_starts() {
    let scene = Scene::set().await;
    let id = scene.backup("1").await;
    let on =
        |host: &str, task: Value, confirm: bool| json!({"host_id": host, "task": scene.task(task), "confirm": confirm});
    let forget = || json!({"kind": "forget", "snapshots": [id]});
    for (body, code) in [
        (on(&scene.web.host, forget(), true), "credential_append_only"),
        (on(&scene.web.host, json!({"kind": "prune"}), true), "credential_append_only"),
        (on(&scene.keeper.host, forget(), false), "confirmation_needed"),
        (on(&scene.keeper.host, json!({"kind": "unlock", "remove_all": true}), false), "confirmation_needed"),
        (on(&scene.keeper.host, json!({"kind": "forget", "snapshots": []}), true), "invalid"),
        (json!({"task": scene.task(json!({"kind": "locks"}))}), "invalid"),
    ] {
        let (status, answer) = scene.fleet.ask(body.clone()).await;
        assert!(status == 409 || status == 422, "{body}: {status} {answer}");
        assert_eq!(answer["code"], code, "{body}: {answer}");
    }
    let operator = scene.fleet.control.token("operator");
    let rewrite = json!({"kind": "rewrite", "snapshots": [id], "excludes": ["x"]});
    let body = on(&scene.keeper.host, rewrite, true);
    let (status, answer) = scene.fleet.control.post(&operator, "/api/v1/jobs", body).await;
    assert_eq!((status, &answer["code"]), (403, &json!("forbidden")));
    assert_eq!(scene.there(), std::slice::from_ref(&id));
    // What is gone already is what was wanted; what has to be there is missed.
    let gone = scene.maintain(json!({"kind": "forget", "snapshots": ["ab".repeat(32)]})).await;
    assert_eq!(succeeded(&gone)["left"], json!([]), "{gone}");
    let missing = scene.maintain(json!({"kind": "diff", "from": id, "to": "ab".repeat(32)})).await;
    assert_eq!(missing["result"]["cause"]["code"], "snapshot_missing", "{missing}");
}

#[tokio::test]
async fn two_hosts_that_maintain_one_repository_take_turns() {
    let fleet = Fleet::start(&["web-01", "keeper", "second"]).await;
    let scene = Scene::with(fleet).await;
    let mut second = scene.fleet.keeper("second", &scene.writable).await;
    second.start();
    scene.fleet.until_online(&second).await;
    scene.backup("1").await;
    let mut jobs = vec![];
    for host in [&scene.keeper.host, &second.host, &scene.keeper.host, &second.host] {
        let task = scene.task(json!({"kind": "prune"}));
        let body = json!({"host_id": host, "of_host_id": scene.web.host, "task": task, "confirm": true});
        let (status, answer) = scene.fleet.ask(body).await;
        assert_eq!(status, 202, "{answer}");
        jobs.push(answer["job"]["id"].as_str().unwrap().to_owned());
    }
    let mut times = vec![];
    for job in &jobs {
        let job = scene.fleet.ended(job).await;
        succeeded(&job);
        let time = |name: &str| job[name].as_str().unwrap().to_owned();
        times.push((time("started_at"), time("finished_at")));
    }
    times.sort();
    assert!(times.windows(2).all(|w| w[0].1 <= w[1].0), "one after the other: {times:?}");
}

#[tokio::test]
async fn maintenance_that_nobody_can_do_says_so() {
    let scene = Scene::set().await;
    let id = scene.backup("1").await;
    scene.fleet.plan(&scene.keeper.host, json!({})).await;
    let chores = scene.fleet.maintain(&["forget"]).await;
    let forget = chores.iter().find(|c| c["chore"] == "forget" && c["of_host_id"] == json!(scene.web.host)).unwrap();
    assert!(forget["note"].as_str().unwrap().contains("no schedule has a keep rule"), "{forget}");
    assert_eq!(scene.there(), [id]);
    // The maintenance host is taken out of service; what is left can only append.
    let path = format!("/api/v1/hosts/{}", scene.keeper.host);
    assert_eq!(scene.fleet.control.call(&scene.fleet.admin, Method::DELETE, &path, Value::Null).await.0, 204);
    let path = format!("/api/v1/repositories/{}/maintenance/run", scene.fleet.repository);
    let (status, answer) = scene.fleet.control.post(&scene.fleet.admin, &path, json!({"chores": ["prune"]})).await;
    assert_eq!((status, &answer["code"]), (409, &json!("no_host_can")), "{answer}");
    let (status, answer) = scene.fleet.control.post(&scene.fleet.admin, &path, json!({"chores": ["check"]})).await;
    assert_eq!(status, 202, "what only looks, the backup host does itself: {answer}");
}
