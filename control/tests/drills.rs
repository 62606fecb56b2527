//! Drills: what is kept of them on both databases, what the API and the pages tell, and that one is started once whoever looks.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::drill::{Drill, DrillCounts, DrillPlan, DrillRecord, DrillVerdict};
use control::domain::schedule::{Retention, Schedule};
use control::store::drills::{self, Source, State};
use control::store::{Conn, StoreError, schedules};
use reqwest::Method;
use restic_manager_shared::id::{HostId, JobId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{Offer, Task};
use restic_manager_shared::wire::restore::{DrilledFile, Proof};
use restic_manager_shared::wire::state::{BackupOptions, Firing};
use restic_manager_tests::control::{ControlPlane, program};
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use support::{at, databases, fresh_postgres, open, seeded};
use tempfile::TempDir;

fn schedule(conn: &mut Conn, host: HostId, name: &str) -> Result<ScheduleId, StoreError> {
    let schedule = Schedule {
        id: ScheduleId::new(),
        host_id: host,
        repository_id: None,
        name: name.into(),
        enabled: true,
        manual: true,
        cron: None,
        timezone: None,
        firing: Firing::default(),
        paused: None,
        pauses: vec![],
        paths: vec!["/srv".into()],
        excludes: vec![],
        tags: vec![],
        retention: Retention::default(),
        options: BackupOptions::default(),
        drill: Some(DrillPlan::at("0 10 * * *")),
        created_at: at(1),
        updated_at: at(1),
    };
    schedules::insert(conn, &schedule)?;
    assert_eq!(schedules::get(conn, schedule.id)?.unwrap(), schedule);
    Ok(schedule.id)
}

fn file(path: &str, proof: Proof) -> DrilledFile {
    DrilledFile { path: path.into(), size: 7, proof, note: String::new() }
}

fn drill(host: HostId, schedule: Option<ScheduleId>, n: i64) -> Drill {
    Drill {
        job_id: JobId::new(),
        host_id: host,
        schedule_id: schedule,
        repository_id: None,
        at: at(n),
        verdict: DrillVerdict::Proven,
        record: DrillRecord {
            snapshot: "a".repeat(64),
            snapshot_time: Some(at(1)),
            planned: true,
            counts: DrillCounts { proven: 3, ..DrillCounts::default() },
            note: Some("n\0ul".into()),
        },
    }
}

#[tokio::test]
async fn evidence_says_what_waits_longest_and_what_is_gone_is_forgotten() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let (host, _) = seeded(&db).await;
        db.write(move |conn| {
            let id = schedule(conn, host, "one")?;
            let long = format!("/{}", "ü".repeat(4_000));
            let snapshot = "a".repeat(64);
            let from = |n| Source { schedule: id, job: JobId::new(), snapshot: &snapshot, at: at(n) };
            let proven = |path: &str| file(path, Proof::EqualToSource);
            drills::keep_files(conn, from(10), &[proven("/old"), proven("/bad"), proven("/gone"), proven("/big")])?;
            drills::keep_files(conn, from(20), &[proven(&long), file("/bad", Proof::Differs)])?;
            let oldest = |conn: &mut Conn, n| drills::oldest(conn, id, n);
            assert_eq!(oldest(conn, 1)?, ["/bad"], "{name}: what failed comes first");
            assert!(oldest(conn, 9)?.contains(&long), "{name}: no path is too long");
            drills::keep_files(conn, from(30), &[proven("/old"), file("/gone", Proof::NotThere)])?;
            drills::left_out(conn, id, &["/big", "/never seen"], at(40))?;
            assert_eq!(oldest(conn, 9)?, ["/bad", &long, "/old", "/big"], "{name}");
            let all = drills::evidence(conn, id, "", 9)?;
            let bad = all.iter().map(|(_, e)| e).find(|e| e.path == "/bad").unwrap();
            assert_eq!((bad.proof, bad.drilled_at, bad.proven_at), (Proof::Differs, at(20), Some(at(10))), "{name}");
            let after = drills::evidence(conn, id, &all[0].0, 9)?;
            assert_eq!(after, all[1..], "{name}: pages follow each other");
            schedules::delete(conn, id)?;
            assert_eq!(drills::evidence(conn, id, "", 9)?, [], "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn drills_outlive_their_schedule_and_only_the_newest_are_kept() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let (host, _) = seeded(&db).await;
        db.write(move |conn| {
            let (id, other) = (schedule(conn, host, "one")?, schedule(conn, host, "two")?);
            drills::put(conn, &drill(host, Some(other), 5))?;
            for n in 0..510 {
                drills::put(conn, &drill(host, Some(id), 10 + n))?;
            }
            let of = |schedule| drills::Filter { schedule: Some(schedule), ..drills::Filter::default() };
            let kept = drills::list(conn, &of(id), None, 999)?;
            assert_eq!((kept.len(), kept[0].at, kept[499].at), (500, at(519), at(20)), "{name}");
            let before = (kept[9].at, kept[9].job_id);
            assert_eq!(drills::list(conn, &of(id), Some(before), 2)?, kept[10..12], "{name}");
            let narrow = drills::Filter { since: Some(at(30)), until: Some(at(32)), ..of(id) };
            assert_eq!(drills::list(conn, &narrow, None, 9)?.len(), 2, "{name}");
            // Told once more it is the same one.
            drills::put(conn, &Drill { verdict: DrillVerdict::Differs, ..kept[0].clone() })?;
            let again = drills::list(conn, &of(id), None, 999)?;
            assert_eq!((again.len(), again[0].verdict), (500, DrillVerdict::Differs), "{name}");
            schedules::delete(conn, other)?;
            let of_host = drills::Filter { host: Some(host), ..drills::Filter::default() };
            let last = drills::list(conn, &of_host, None, 999)?.pop().unwrap();
            assert_eq!((last.schedule_id, last.at), (None, at(5)), "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_fire_is_followed_by_one_and_the_newest_proof_of_a_host_counts() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let (host, _) = seeded(&db).await;
        db.write(move |conn| {
            let (id, other) = (schedule(conn, host, "one")?, schedule(conn, host, "two")?);
            let blank =
                State { followed_until: at(10), proven_at: None, proven_snapshot: None, last_job_id: None, note: None };
            drills::put_state(conn, id, &blank)?;
            assert_eq!(drills::proven(conn, &[host])?, [], "{name}");
            assert!(drills::follow(conn, id, at(10), at(20))?, "{name}: the first acts on it");
            assert!(!drills::follow(conn, id, at(10), at(20))?, "{name}: the second does not");
            let proven = |n| State { proven_at: Some(at(n)), note: Some("n\0te".into()), ..blank.clone() };
            drills::put_state(conn, id, &proven(30))?;
            drills::put_state(conn, other, &proven(40))?;
            assert_eq!(drills::state(conn, other)?, Some(proven(40)), "{name}");
            assert_eq!(drills::proven(conn, &[host, HostId::new()])?, [(host, at(40))], "{name}");
            assert_eq!(drills::planned(conn, None)?, [], "{name}: nothing to drill without a repository");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

async fn claimed(agent: &mut FakeAgent) -> Offer {
    let offer = agent.poll(&[], 50).await.offers.remove(0);
    let claim = agent.post(&format!("/agent/v1/jobs/{}/claim", offer.id), json!({"attempt": offer.attempt})).await;
    assert_eq!(claim.0, 200, "{}", claim.1);
    offer
}

async fn finish(agent: &FakeAgent, offer: &Offer, more: Value) {
    let now = Timestamp::now();
    let mut report =
        json!({"attempt": offer.attempt, "end": "succeeded", "exit_code": 0, "started_at": now, "finished_at": now});
    report.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = agent.post(&format!("/agent/v1/jobs/{}/finish", offer.id), report).await;
    assert_eq!(status, 200, "{answer}");
}

/// A host with a snapshot, and its schedule.
async fn with_snapshot(server: &ControlPlane, admin: &str, name: &str) -> (FakeAgent, Value) {
    let mut agent = server.host(admin, name, &["/etc"]).await;
    let (status, answer) = server.post(admin, &format!("/api/v1/hosts/{}/run", agent.host), Value::Null).await;
    assert_eq!(status, 202, "{answer}");
    let offer = claimed(&mut agent).await;
    let id = "a".repeat(64);
    let snapshots = json!([{"id": id, "time": Timestamp::now(), "hostname": "h", "paths": ["/etc"], "tags": []}]);
    finish(&agent, &offer, json!({"summary": {"snapshot_id": id}, "snapshots": snapshots})).await;
    let schedule = server.get(admin, &format!("/api/v1/hosts/{}/schedules", agent.host)).await["items"][0].clone();
    (agent, schedule)
}

/// The schedule as it is sent back, with this plan.
fn with_plan(schedule: &Value, plan: Value) -> Value {
    let mut body = schedule.clone();
    for name in ["id", "host_id", "created_at", "updated_at", "paused"] {
        body.as_object_mut().unwrap().remove(name);
    }
    body["drill"] = plan;
    body
}

/// A drill that a person asks for, which finds this.
async fn drilled(server: &ControlPlane, admin: &str, agent: &mut FakeAgent, report: Value) -> String {
    let repository = server.get(admin, "/api/v1/repositories").await["items"][0]["id"].clone();
    let task = json!({"kind": "drill", "repository_id": repository, "snapshot": "a".repeat(64), "random": 3});
    let (status, answer) = server.post(admin, "/api/v1/jobs", json!({"host_id": agent.host, "task": task})).await;
    assert_eq!(status, 202, "{answer}");
    let offer = claimed(agent).await;
    finish(agent, &offer, report).await;
    offer.id.to_string()
}

fn found(files: &[(&str, &str)]) -> Value {
    let files: Vec<Value> =
        files.iter().map(|(path, proof)| json!({"path": path, "size": 5, "proof": proof, "note": ""})).collect();
    json!({"kind": "drill", "snapshot": "a".repeat(64), "files": files, "bytes": 10, "snapshot_files": 9})
}

#[tokio::test]
async fn what_a_drill_proves_is_told_everywhere_and_an_alert_holds_while_it_does_not() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let (mut agent, schedule) = with_snapshot(&server, &admin, "web-01").await;
    let mut renamed = with_plan(&schedule, schedule["drill"].clone());
    renamed["name"] = json!("=cmd()");
    let path = format!("/api/v1/schedules/{}", schedule["id"].as_str().unwrap());
    assert_eq!(server.call(&admin, Method::PUT, &path, renamed).await.0, 200);
    let anna = Visitor::sign_in(&server, "operator").await;
    let host = format!("/hosts/{}", agent.host);
    assert!(anna.open(&host).await.text.contains(">never</a>"), "nothing is proven yet");

    let bad = json!({"end": "failed", "cause": {"code": "restore_differs", "message": "=1+1 <script>alert(1)</script>"},
        "outcome": found(&[("/etc/a", "equal_to_source"), ("/etc/b", "differs")])});
    let job = drilled(&server, &admin, &mut agent, bad).await;
    let list = server.get(&admin, &format!("/api/v1/drills?host_id={}", agent.host)).await;
    let one = &list["items"][0];
    assert_eq!((one["verdict"].as_str(), one["job_id"].as_str()), (Some("differs"), Some(&*job)), "{list}");
    assert_eq!((&one["proven"], &one["failed"], &one["planned"]), (&json!(1), &json!(1), &json!(false)), "{list}");
    assert_eq!(one["schedule_id"], schedule["id"], "the snapshot's schedule is known");
    let alerts = async || server.get(&admin, "/api/v1/alerts?open=true").await["items"].clone();
    assert_eq!(alerts().await[0]["kind"], "drill_failed");
    assert_eq!(alerts().await[0]["severity"], "critical");
    let path = format!("/api/v1/hosts/{}/drills", agent.host);
    let standing = async || server.get(&admin, &path).await;
    assert_eq!(standing().await["proven_at"], Value::Null);

    let good = json!({"outcome": found(&[("/etc/a", "hash_verified"), ("/etc/b", "equal_to_source")])});
    drilled(&server, &admin, &mut agent, good).await;
    assert_eq!(alerts().await, json!([]), "it ends with the next that succeeds");
    let now = standing().await;
    assert!(now["proven_at"].is_string() && now["items"][0]["proven_snapshot"] == "a".repeat(64), "{now}");
    let files = format!("/api/v1/schedules/{}/drilled-files", schedule["id"].as_str().unwrap());
    let files = server.get(&admin, &files).await;
    assert_eq!(files["items"].as_array().unwrap().len(), 2, "{files}");

    for (path, text) in [
        (host.clone(), "Last proven restorable"),
        (format!("{host}/schedules"), "proven restorable"),
        ("/".into(), "proven restorable"),
        ("/drills".into(), "Does not come back"),
        (format!("/drills?host={}", agent.host), "Last proven restorable"),
    ] {
        let page = anna.open(&path).await;
        assert_eq!((page.status, page.html), (200, true), "{path}: {}", page.text);
        assert!(page.text.contains(text), "{path}: {}", page.text);
        assert!(!page.text.contains("<script>alert"), "{path} lets script through");
    }
    let csv = anna.open("/api/v1/drills.csv").await.text;
    let lines: Vec<&str> = csv.split("\r\n").collect();
    assert_eq!(lines.len(), 4, "a head, two drills, and the end of the last line: {csv}");
    assert!(lines[2].contains("\"differs\",\"web-01\",\"'=cmd()\"") && lines[2].contains("\"'=1+1 <script>"), "{csv}");
    let one = server.request(Method::GET, "/api/v1/drills.csv?limit=1", Some(&admin)).send().await.unwrap();
    let link = one.headers()["link"].to_str().unwrap().to_owned();
    let next = link.split(['<', '>']).nth(1).unwrap();
    assert!(anna.open(next).await.text.contains("\"differs\""), "{link}");
    for wrong in ["drills?cursor=x", "drills?limit=0", "drills.csv?limit=10001", "drills?since=today"] {
        let (status, _) = server.call(&admin, Method::GET, &format!("/api/v1/{wrong}"), Value::Null).await;
        assert!((400..423).contains(&status), "{wrong}: {status}");
    }
}

#[tokio::test]
async fn a_new_schedule_is_drilled_weekly_unless_somebody_says_otherwise() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let (agent, first) = with_snapshot(&server, &admin, "web-01").await;
    assert!(first["drill"]["cron"].is_string(), "also the one of Add host: {first}");
    let path = format!("/api/v1/hosts/{}/schedules", agent.host);
    let mut body = json!({"name": "two", "paths": ["/srv"], "manual": true});
    let (_, made) = server.post(&admin, &path, body.clone()).await;
    assert_eq!((&made["drill"]["random_files"], &made["drill"]["oldest_files"]), (&json!(20), &json!(10)), "{made}");
    let one = format!("/api/v1/schedules/{}", made["id"].as_str().unwrap());
    let put = async |body: &Value| server.call(&admin, Method::PUT, &one, body.clone()).await;
    assert_eq!(put(&body).await.1["drill"], made["drill"], "silence keeps it");
    body["drill"] = json!({"cron": "0 25 * * *"});
    let (status, wrong) = put(&body).await;
    assert_eq!((status, &wrong["errors"][0]["pointer"]), (422, &json!("/drill/cron")), "{wrong}");
    body["drill"] = Value::Null;
    assert_eq!(put(&body).await.1["drill"], Value::Null);

    let anna = Visitor::sign_in(&server, "operator").await;
    let edit = format!("/schedules/{}/edit", made["id"].as_str().unwrap());
    let form = |cron: &'static str| {
        let plan = [("drill", "1"), ("drill_cron", cron), ("random_files", "5"), ("drill_size", "64")];
        [("name", "two"), ("paths", "/srv"), ("manual", "1"), ("enabled", "1")]
            .into_iter()
            .chain(plan)
            .collect::<Vec<_>>()
    };
    let wrong = anna.submit(&edit, &form("0 25 * * *")).await;
    assert_eq!(wrong.status, 422, "{}", wrong.text);
    assert!(wrong.text.contains("id=\"drill_cron-err\""), "{}", wrong.text);
    assert_eq!(anna.submit(&edit, &form("0 5 * * 1")).await.status, 303);
    let saved = server.get(&admin, &one).await;
    let want = json!({"cron": "0 5 * * 1", "random_files": 5, "oldest_files": 10, "max_bytes": 64 << 20});
    assert_eq!(saved["drill"], want);
    let page = anna.open(&edit).await.text;
    assert!(page.contains("Drill, if by plan: Every Monday at 05:00"), "told in plain words: {page}");
}

#[tokio::test]
async fn two_servers_on_one_postgresql_start_a_due_drill_once() {
    let url = fresh_postgres();
    let more = ["--database-url", url.as_str(), "--upkeep-seconds", "1"];
    let one = ControlPlane::start_in(TempDir::new().unwrap(), &more);
    let dir = TempDir::new().unwrap();
    std::fs::copy(one.dir.path().join("master.key"), dir.path().join("master.key")).unwrap();
    let _other = ControlPlane::start_in(dir, &more);
    let mut add = program();
    add.args(["token", "add", "admin", "--role", "admin", "--data-dir"]).arg(one.dir.path());
    let admin = String::from_utf8(add.args(["--database-url", &url]).output().unwrap().stdout).unwrap();
    let admin = admin.trim();
    let (mut agent, schedule) = with_snapshot(&one, admin, "web-01").await;
    let path = format!("/api/v1/schedules/{}", schedule["id"].as_str().unwrap());
    let body = with_plan(&schedule, json!({"cron": "* * * * *", "random_files": 2}));
    assert_eq!(one.call(admin, Method::PUT, &path, body).await.0, 200);
    // Each fire is one drill, whoever looked first.
    for count in 1..=2 {
        // The repository's own chores and proofs come too; they are left to wait.
        let drill = loop {
            let offers = agent.poll(&[], 5).await.offers;
            if let Some(offer) = offers.into_iter().find(|o| matches!(o.task, Task::Drill { .. })) {
                break offer;
            }
        };
        let jobs = one.get(admin, "/api/v1/jobs?kind=drill").await;
        assert_eq!(jobs["items"].as_array().unwrap().len(), count, "{jobs}");
        assert_eq!(jobs["items"][0]["requested_by"], "system:drills", "{jobs}");
        let claim = agent.post(&format!("/agent/v1/jobs/{}/claim", drill.id), json!({"attempt": drill.attempt})).await;
        assert_eq!(claim.0, 200, "{}", claim.1);
        finish(&agent, &drill, json!({"outcome": found(&[("/etc/a", "equal_to_source")])})).await;
        let Task::Drill { snapshot, random, paths, .. } = drill.task else { panic!("{drill:?}") };
        assert_eq!((snapshot, random), ("a".repeat(64), 2));
        let again = if count == 1 { vec![] } else { vec!["/etc/a".to_owned()] };
        assert_eq!(paths, again, "what was proven before is proven again");
    }
    let drills = one.get(admin, "/api/v1/drills").await;
    assert!(drills["items"].as_array().unwrap().iter().all(|d| d["planned"] == true), "{drills}");
}
