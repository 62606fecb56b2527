//! Pauses: kept by both databases, heard by agents, and whatever falls into one is neither missed nor planned.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::drill::DrillPlan;
use control::domain::pause::{PauseInput, Paused, begun, ended};
use control::domain::schedule::{Retention, Schedule};
use control::store::{Db, StoreError, Target, drills, host_search, hosts, schedules};
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::FireLedger;
use restic_manager_shared::wire::state::{BackupOptions, Firing};
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use std::time::Duration;
use support::{at, databases, open, seeded};

const HOUR: Duration = Duration::from_secs(3600);

fn schedule(host: HostId) -> Schedule {
    Schedule {
        id: ScheduleId::new(),
        host_id: host,
        repository_id: None,
        name: "hourly".into(),
        enabled: true,
        manual: false,
        cron: Some("0 * * * *".into()),
        timezone: None,
        paths: vec!["/srv".into()],
        excludes: vec![],
        tags: vec![],
        options: BackupOptions::default(),
        retention: Retention::default(),
        firing: Firing::default(),
        drill: Some(DrillPlan::at("0 10 * * *")),
        paused: None,
        pauses: vec![],
        created_at: at(1),
        updated_at: at(1),
    }
}

#[tokio::test]
async fn both_databases_keep_pauses() {
    for database in databases() {
        let db = open(&database);
        let (host, _) = seeded(&db).await;
        let name = database.name;
        db.write(move |conn| {
            assert!(hosts::get(conn, host)?.unwrap().pauses.is_empty(), "{name}");
            let input = PauseInput { until: Some(at(500)), reason: Some("a new disk".into()) };
            let pauses = begun(&[], &input, "user:anna", at(100));
            assert!(hosts::set_pauses(conn, host, &pauses)?, "{name}");
            assert!(!hosts::set_pauses(conn, HostId::new(), &pauses)?, "{name}: no such host");
            let paused = |conn: &mut _, now| {
                Ok::<_, StoreError>(hosts::get(conn, host)?.unwrap().view(None, at(now)).paused.map(|p: Paused| p.by))
            };
            assert_eq!(paused(conn, 499)?, Some("user:anna".into()), "{name}");
            assert_eq!(paused(conn, 500)?, None, "{name}: it ends by itself");
            hosts::set_pauses(conn, host, &ended(&pauses, at(200)))?;
            assert_eq!(paused(conn, 300)?, None, "{name}: it was ended");
            assert_eq!(hosts::get(conn, host)?.unwrap().pauses.len(), 1, "{name}: and is remembered");
            hosts::set_pauses(conn, host, &[])?;
            assert!(hosts::get(conn, host)?.unwrap().pauses.is_empty(), "{name}");

            let mut kept = schedule(host);
            schedules::insert(conn, &kept)?;
            assert!(schedules::set_pauses(conn, kept.id, &pauses)?, "{name}");
            kept.pauses.clone_from(&pauses);
            assert_eq!(schedules::get(conn, kept.id)?.as_ref(), Some(&kept), "{name}");
            kept.name = "renamed".into();
            kept.pauses.clear();
            schedules::update(conn, &kept)?;
            let after = schedules::of_hosts(conn, &[host, HostId::new()])?;
            assert_eq!((after.len(), after[0].pauses.len()), (1, 1), "{name}: a change of the schedule keeps them");

            assert!(hosts::set_tags(conn, host, &["x".into(), "y".into()])?, "{name}");
            assert_eq!(hosts::of_ids(conn, &[host, HostId::new()])?[0].tags, ["x", "y"], "{name}");
            let tagged = |tag: &str| host_search::Filter { tag: Some(tag.into()), ..host_search::Filter::default() };
            assert_eq!(host_search::ids(conn, &tagged("y"), 10, at(1))?, [host], "{name}");
            assert!(host_search::ids(conn, &tagged("z"), 10, at(1))?.is_empty(), "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_planned_drill_knows_the_pauses_of_its_schedule_and_its_host() {
    for database in databases() {
        let db = open(&database);
        let (host, job) = seeded(&db).await;
        let name = database.name;
        db.write(move |conn| {
            let repository = control::store::jobs::get(conn, job)?.unwrap().job.repository_id;
            let kept = Schedule { repository_id: repository, ..schedule(host) };
            schedules::insert(conn, &kept)?;
            let state = drills::State {
                followed_until: at(1),
                proven_at: None,
                proven_snapshot: None,
                last_job_id: None,
                note: None,
            };
            drills::put_state(conn, kept.id, &state)?;
            let pauses = |from| begun(&[], &PauseInput::default(), "user:anna", at(from));
            hosts::set_pauses(conn, host, &pauses(10))?;
            schedules::set_pauses(conn, kept.id, &pauses(20))?;
            let planned = drills::planned(conn, Some(kept.id))?.remove(0);
            assert_eq!(planned.pauses.iter().map(|p| p.from).collect::<Vec<_>>(), [at(10), at(20)], "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

/// A whole hour, some hours ago.
fn hours_ago(n: u32) -> Timestamp {
    let now = Timestamp::now().seconds();
    Timestamp::from_seconds(now - now.rem_euclid(3600)) - n * HOUR
}

struct Setup {
    server: ControlPlane,
    token: String,
    agent: FakeAgent,
    schedule: ScheduleId,
}

impl Setup {
    /// A host with a schedule that fires at each full hour.
    async fn hourly() -> Self {
        let server = ControlPlane::start();
        let admin = server.token("admin");
        let agent = server.host(&admin, "web-01", &[]).await;
        let repositories = server.get(&admin, "/api/v1/repositories").await;
        let repository = repositories["items"][0]["id"].as_str().unwrap().to_owned();
        let body = json!({"name": "Hourly", "paths": ["/srv"], "cron": "0 * * * *", "repository_id": repository});
        let (status, made) = server.post(&admin, &format!("/api/v1/hosts/{}/schedules", agent.host), body).await;
        assert_eq!(status, 201, "{made}");
        let schedule = made["id"].as_str().unwrap().parse().unwrap();
        Self { token: server.token("operator"), server, agent, schedule }
    }

    fn host(&self) -> String {
        format!("/api/v1/hosts/{}", self.agent.host)
    }

    fn own(&self) -> String {
        format!("/api/v1/schedules/{}", self.schedule)
    }

    async fn post(&self, path: String, body: Value) -> Value {
        let (status, answer) = self.server.post(&self.token, &path, body).await;
        assert_eq!(status, 200, "{path}: {answer}");
        answer
    }

    /// Tells that the schedule was followed, and did nothing.
    async fn follow(&mut self, since: Timestamp, until: Timestamp) {
        let (cron, timezone) = ("0 * * * *".into(), "UTC".into());
        let told = FireLedger { schedule_id: self.schedule, cron, timezone, since, until, ended: false };
        self.agent.fires = vec![told];
        self.agent.poll(&[], 1).await;
    }

    /// When the fires that are taken for missed were due.
    async fn missed(&self) -> Vec<String> {
        let jobs = self.server.get(&self.token, &format!("{}/jobs", self.host())).await;
        let missed = jobs["items"].as_array().unwrap().iter().rev().filter(|j| j["state"] == "missed");
        missed.map(|j| j["due_at"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_pause_is_told_to_the_agent_and_shown_and_ends() {
    let mut s = Setup::hourly().await;
    let until = Timestamp::now() + 48 * HOUR;
    let host = s.post(format!("{}/pause", s.host()), json!({"until": until, "reason": "a new disk"})).await;
    assert_eq!((&host["paused"]["until"], &host["paused"]["reason"]), (&json!(until), &json!("a new disk")), "{host}");
    assert_eq!(host["paused"]["by"], "token:operator");
    let state = s.agent.poll(&[], 5).await.state.expect("the agent hears of it");
    assert_eq!((state.pauses.len(), state.pauses[0].until), (1, Some(until)));
    assert!(state.schedules[0].pauses.is_empty());
    // What does not start is not planned before the end.
    let mut eve = Visitor::sign_in(&s.server, "viewer").await;
    // Not the first steps: nothing was backed up yet.
    eve.cookie.push_str("; rm_first_steps=left");
    let page = eve.open("/").await.text;
    let next = page.split("id=\"next\"").nth(1).unwrap().split("datetime=\"").nth(1).unwrap()[..13].to_owned();
    assert!(next.as_str() >= &until.to_string()[..13], "{next} lies within the pause");

    let schedule = s.post(format!("{}/pause", s.own()), json!({})).await;
    assert_eq!(schedule["paused"]["until"], Value::Null, "{schedule}");
    assert!(schedule["paused"]["from"].is_string());
    let state = s.agent.poll(&[], 5).await.state.unwrap();
    assert_eq!(state.schedules[0].pauses.len(), 1);
    assert!(eve.open("/").await.text.contains("Nothing is planned"), "no end, no next run");
    // A person may run it all the same.
    let (status, queued) = s.server.post(&s.token, &format!("{}/run", s.own()), json!({})).await;
    assert_eq!(status, 202, "{queued}");

    assert_eq!(s.post(format!("{}/resume", s.host()), json!({})).await["paused"], Value::Null);
    assert_eq!(s.post(format!("{}/resume", s.host()), json!({})).await["paused"], Value::Null, "twice is as good");
    assert!(s.server.get(&s.token, &s.own()).await["paused"].is_object(), "it is paused by itself");
    assert_eq!(s.post(format!("{}/resume", s.own()), json!({})).await["paused"], Value::Null);
    assert!(!eve.open("/").await.text.contains("Nothing is planned"));
    let admin = s.server.token("admin");
    let audit = s.server.get(&admin, "/api/v1/audit-events?limit=200").await;
    let done = |action: &str| audit["items"].as_array().unwrap().iter().filter(|e| e["action"] == action).count();
    let counts = ["host.pause", "host.resume", "schedule.pause", "schedule.resume"].map(done);
    assert_eq!(counts, [1, 1, 1, 1], "what changes nothing leaves no entry");
}

#[tokio::test]
async fn a_pause_is_checked_and_guarded() {
    let s = Setup::hourly().await;
    let past = json!({"until": "2020-01-01T00:00:00Z", "reason": " "});
    for path in [s.host(), s.own()] {
        let (status, answer) = s.server.post(&s.token, &format!("{path}/pause"), past.clone()).await;
        let wrong: Vec<_> =
            answer["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        assert_eq!((status, wrong), (422, vec!["/until", "/reason"]), "{answer}");
    }
    let nobody = format!("/api/v1/hosts/{}/pause", HostId::new());
    assert_eq!(s.server.post(&s.token, &nobody, json!({})).await.0, 404);
    let viewer = s.server.token("viewer");
    assert_eq!(s.server.post(&viewer, &format!("{}/pause", s.host()), json!({})).await.0, 403);
}

#[tokio::test]
async fn what_fell_into_a_pause_was_not_missed_however_late_it_is_told() {
    let mut s = Setup::hourly().await;
    let paused = |from, until| Paused { from, until: Some(until), reason: None, by: "user:anna".into() };
    // As if they had been made then: of the host from four to two hours ago, of the schedule at six hours ago.
    let db = Db::open(&Target::Sqlite(s.server.dir.path().join("restic-manager.db"))).unwrap();
    let (host, schedule) = (s.agent.host, s.schedule);
    db.write(move |conn| {
        hosts::set_pauses(conn, host, &[paused(hours_ago(4), hours_ago(2))])?;
        let minute = Duration::from_secs(60);
        schedules::set_pauses(conn, schedule, &[paused(hours_ago(6) - minute, hours_ago(6) + minute)])
    })
    .await
    .unwrap();
    s.follow(hours_ago(8) + Duration::from_secs(1), hours_ago(1) + Duration::from_secs(60)).await;
    let want = [7, 5, 2, 1].map(|n| hours_ago(n).to_string());
    assert_eq!(s.missed().await, want, "the one at the very end of the pause is owed");
    // Ended by hand meanwhile, and told again: nothing comes after all.
    s.post(format!("{}/resume", s.host()), json!({})).await;
    s.server = s.server.restart();
    s.follow(hours_ago(8) + Duration::from_secs(1), hours_ago(0) + Duration::from_secs(1)).await;
    assert_eq!(s.missed().await.len(), 5, "only what was due since");
}
