//! Fires against the real server: what agents tell of their own runs, and which are missing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_shared::id::{JobId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::FireLedger;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use serde_json::{Value, json};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// A whole hour, some hours ago.
fn hours_ago(n: u32) -> Timestamp {
    let now = Timestamp::now().seconds();
    Timestamp::from_seconds(now - now.rem_euclid(3600)) - n * HOUR
}

struct Setup {
    server: ControlPlane,
    admin: String,
    agent: FakeAgent,
    schedule: ScheduleId,
    repository: String,
}

impl Setup {
    /// A host with a schedule that fires at each full hour.
    async fn hourly() -> Self {
        let server = ControlPlane::start();
        let admin = server.token("admin");
        let agent = server.host(&admin, "web-01", &["/etc"]).await;
        let repositories = server.get(&admin, "/api/v1/repositories").await;
        let repository = repositories["items"][0]["id"].as_str().unwrap().to_owned();
        let body = json!({"name": "Hourly", "paths": ["/srv"], "cron": "0 * * * *", "repository_id": repository});
        let (status, made) = server.post(&admin, &format!("/api/v1/hosts/{}/schedules", agent.host), body).await;
        assert_eq!(status, 201, "{made}");
        let schedule = made["id"].as_str().unwrap().parse().unwrap();
        Self { server, admin, agent, schedule, repository }
    }

    fn fire(&self, due: Timestamp) -> Value {
        json!({"id": JobId::of_fire(self.schedule, due), "schedule_id": self.schedule, "due": due, "fired_at": due,
            "state_version": 2, "outcome": {"outcome": "run", "task": {"kind": "backup",
            "repository_id": self.repository, "backup": {"paths": ["/srv"]}}}})
    }

    fn end(&mut self, since: Timestamp, until: Timestamp) {
        self.follow(since, until);
        self.agent.fires[0].ended = true;
    }

    fn follow(&mut self, since: Timestamp, until: Timestamp) {
        self.agent.fires = vec![FireLedger {
            schedule_id: self.schedule,
            cron: "0 * * * *".into(),
            timezone: "UTC".into(),
            since,
            until,
            ended: false,
        }];
    }

    /// The schedule's jobs, oldest first: (due, state).
    async fn jobs(&self) -> Vec<(String, String)> {
        let jobs = self.server.get(&self.admin, &format!("/api/v1/hosts/{}/jobs", self.agent.host)).await;
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        jobs["items"].as_array().unwrap().iter().rev().map(|j| (text(&j["due_at"]), text(&j["state"]))).collect()
    }
}

fn told(due: Timestamp, state: &str) -> (String, String) {
    (due.to_string(), state.to_owned())
}

#[tokio::test]
async fn a_fire_that_is_told_twice_is_one_job() {
    let s = Setup::hourly().await;
    let due = hours_ago(2);
    for _ in 0..2 {
        assert_eq!(s.agent.post("/agent/v1/fires", s.fire(due)).await.0, 200);
    }
    assert_eq!(s.jobs().await, [told(due, "running")]);
    let job = JobId::of_fire(s.schedule, due);
    let finish = json!({"attempt": 1, "end": "succeeded", "exit_code": 0, "started_at": due, "finished_at": due + HOUR,
        "snapshots": [{"id": "a".repeat(64), "time": due, "hostname": "web-01", "paths": ["/srv"]}]});
    for _ in 0..2 {
        assert_eq!(s.agent.post(&format!("/agent/v1/jobs/{job}/finish"), finish.clone()).await.0, 200);
    }
    assert_eq!(s.agent.post("/agent/v1/fires", s.fire(due)).await.0, 200, "told once more, after its end");
    assert_eq!(s.jobs().await, [told(due, "succeeded")]);
    let snapshots = s.server.get(&s.admin, &format!("/api/v1/hosts/{}/snapshots", s.agent.host)).await;
    assert_eq!(snapshots["items"][0]["schedule_id"], json!(s.schedule));
}

#[tokio::test]
async fn a_fire_belongs_to_its_own_host_and_instant() {
    let s = Setup::hourly().await;
    let other = s.server.host(&s.admin, "other", &["/etc"]).await;
    let (status, answer) = other.post("/agent/v1/fires", s.fire(hours_ago(1))).await;
    assert_eq!((status, answer["code"].as_str()), (404, Some("schedule_not_found")));
    let mut forged = s.fire(hours_ago(1));
    forged["due"] = json!(hours_ago(2));
    let (status, answer) = s.agent.post("/agent/v1/fires", forged).await;
    assert_eq!((status, answer["errors"][0]["pointer"].as_str()), (422, Some("/id")), "{answer}");
    assert_eq!(s.jobs().await, []);
    // The schedule may be gone when the host tells what it did.
    let path = format!("/api/v1/schedules/{}", s.schedule);
    assert_eq!(s.server.call(&s.admin, reqwest::Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(s.agent.post("/agent/v1/fires", s.fire(hours_ago(1))).await.0, 200);
    assert_eq!(s.jobs().await, [told(hours_ago(1), "running")]);
}

#[tokio::test]
async fn a_skipped_fire_is_recorded_with_its_reason() {
    let s = Setup::hourly().await;
    let mut fire = s.fire(hours_ago(1));
    fire["outcome"] = json!({"outcome": "skipped", "because_of": JobId::of_fire(s.schedule, hours_ago(2))});
    assert_eq!(s.agent.post("/agent/v1/fires", fire).await.0, 200);
    assert_eq!(s.jobs().await, [told(hours_ago(1), "skipped")]);
    let id = JobId::of_fire(s.schedule, hours_ago(1));
    let events = s.server.get(&s.admin, &format!("/api/v1/jobs/{id}/events")).await;
    assert!(events["lines"][0]["text"].as_str().unwrap().contains("still going on"), "{events}");
    assert_eq!(events["finished"], true);
}

#[tokio::test]
async fn what_was_followed_and_is_not_there_was_missed_and_silence_is_not() {
    let mut s = Setup::hourly().await;
    // Silent for hours: nothing is said to be missed.
    s.agent.poll(&[], 1).await;
    assert_eq!(s.jobs().await, []);
    assert_eq!(s.agent.post("/agent/v1/fires", s.fire(hours_ago(3))).await.0, 200);
    s.follow(hours_ago(4) + Duration::from_secs(1), hours_ago(2) + Duration::from_secs(60));
    for _ in 0..2 {
        s.agent.poll(&[], 1).await;
    }
    assert_eq!(s.jobs().await, [told(hours_ago(3), "running"), told(hours_ago(2), "missed")]);
    // Also after a restart of the server, which has only the database.
    s.server = s.server.restart();
    s.follow(hours_ago(4) + Duration::from_secs(1), hours_ago(1) + Duration::from_secs(60));
    s.agent.poll(&[], 1).await;
    let all = [told(hours_ago(3), "running"), told(hours_ago(2), "missed"), told(hours_ago(1), "missed")];
    assert_eq!(s.jobs().await, all);
    // The truth replaces it if it comes after all.
    assert_eq!(s.agent.post("/agent/v1/fires", s.fire(hours_ago(2))).await.0, 200);
    assert_eq!(s.jobs().await[1], told(hours_ago(2), "running"));
}

#[tokio::test]
async fn fires_that_a_later_run_stands_for_were_not_missed() {
    let mut s = Setup::hourly().await;
    let mut fire = s.fire(hours_ago(1));
    fire["stands_for"] = json!([hours_ago(3), hours_ago(2)]);
    assert_eq!(s.agent.post("/agent/v1/fires", fire).await.0, 200);
    s.follow(hours_ago(5) + Duration::from_secs(1), hours_ago(1) + Duration::from_secs(60));
    s.agent.poll(&[], 1).await;
    assert_eq!(s.jobs().await, [told(hours_ago(4), "missed"), told(hours_ago(1), "running")]);
    let job = s.server.get(&s.admin, &format!("/api/v1/jobs/{}", JobId::of_fire(s.schedule, hours_ago(1)))).await;
    assert_eq!(job["stands_for"]["fires"], json!([hours_ago(3), hours_ago(2)]));
}

#[tokio::test]
async fn what_was_taken_for_missed_is_not_if_a_later_run_stands_for_it() {
    let mut s = Setup::hourly().await;
    s.follow(hours_ago(5) + Duration::from_secs(1), hours_ago(1) - Duration::from_secs(60));
    s.agent.poll(&[], 1).await;
    let missed = [4, 3, 2].map(|n| told(hours_ago(n), "missed"));
    assert_eq!(s.jobs().await, missed);
    let mut fire = s.fire(hours_ago(1));
    fire["stands_for"] = json!([hours_ago(3), hours_ago(2)]);
    assert_eq!(s.agent.post("/agent/v1/fires", fire).await.0, 200);
    assert_eq!(s.jobs().await, [told(hours_ago(4), "missed"), told(hours_ago(1), "running")]);
}

#[tokio::test]
async fn a_disabled_schedule_owes_what_was_due_before_its_host_heard_and_nothing_after() {
    let mut s = Setup::hourly().await;
    let second = Duration::from_secs(1);
    s.follow(hours_ago(9) + second, hours_ago(8) + second);
    assert_eq!(s.agent.post("/agent/v1/fires", s.fire(hours_ago(8))).await.0, 200);
    s.agent.poll(&[], 1).await;
    // Disabled, and the host hears of it after one more fire that did not run. It tells so until there is an answer.
    s.end(hours_ago(9) + second, hours_ago(7) + second);
    for _ in 0..2 {
        s.agent.poll(&[], 1).await;
    }
    let before = [told(hours_ago(8), "running"), told(hours_ago(7), "missed")];
    assert_eq!(s.jobs().await, before);
    // Enabled again later: the hours between are nobody's.
    s.server = s.server.restart();
    s.follow(hours_ago(3) + second, hours_ago(2) + second);
    s.agent.poll(&[], 1).await;
    assert_eq!(s.jobs().await, [&before[..], &[told(hours_ago(2), "missed")]].concat());
    // Deleted: what ran is recorded, and nothing is missed.
    let path = format!("/api/v1/schedules/{}", s.schedule);
    assert_eq!(s.server.call(&s.admin, reqwest::Method::DELETE, &path, Value::Null).await.0, 204);
    s.end(hours_ago(3) + second, hours_ago(0) + second);
    s.agent.poll(&[], 1).await;
    assert_eq!(s.agent.post("/agent/v1/fires", s.fire(hours_ago(1))).await.0, 200);
    let after = [told(hours_ago(2), "missed"), told(hours_ago(1), "running")];
    assert_eq!(s.jobs().await, [&before[..], &after].concat());
}
