//! One job as its page tells it: how far and how fast while it runs, who cancelled it, and beside a failure what else fails for the same cause
//! and what is known of the lock in its way.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};

/// A job that its agent took: its identity, its address for the agent, and the attempt.
async fn claimed(server: &ControlPlane, token: &str, agent: &mut FakeAgent) -> (String, String, i64) {
    let (status, queued) = server.post(token, &format!("/api/v1/hosts/{}/run", agent.host), json!({})).await;
    assert_eq!(status, 202, "{queued}");
    let offer = agent.poll(&[], 5).await.offers.remove(0);
    let job = format!("/agent/v1/jobs/{}", offer.id);
    assert_eq!(agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
    (offer.id.to_string(), job, offer.attempt.into())
}

async fn ends(agent: &FakeAgent, job: &str, attempt: i64, end: &str, cause: Value, exit: i64) {
    let finish = json!({"attempt": attempt, "end": end, "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:01:00Z", "cause": cause, "exit_code": exit});
    let (status, answer) = agent.post(&format!("{job}/finish"), finish).await;
    assert_eq!(status, 200, "{answer}");
}

#[tokio::test]
async fn a_running_job_tells_its_command_its_speed_and_when_it_may_be_done() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let anna = Visitor::sign_in(&server, "operator").await;
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    let (id, job, attempt) = claimed(&server, &admin, &mut agent).await;
    for seq in 1..=4u64 {
        let status = json!({"phase": "running", "percent": 0.1, "files_done": seq, "files_total": 9, "bytes_done": seq * seq * 1_000_000,
            "bytes_total": 90_000_000, "seconds_elapsed": seq * 10, "seconds_remaining": 241, "command": "restic backup --json <b>"});
        let chunk = json!({"attempt": attempt, "seq": seq, "lines": [], "status": status});
        let (code, answer) = agent.post(&format!("{job}/chunks"), chunk).await;
        assert_eq!(code, 200, "{answer}");
    }
    let told = server.get(&admin, &format!("/api/v1/jobs/{id}")).await;
    assert_eq!(told["progress"]["track"].as_array().unwrap().len(), 4, "{told}");
    for path in [format!("/jobs/{id}"), format!("/ui/jobs/{id}/live")] {
        let text = anna.open(&path).await.text;
        for part in
            ["restic backup --json &lt;b&gt;", "Throughput", "684 KiB</b> a second now", "4 min left", "done at about"]
        {
            assert!(text.contains(part), "{path} lacks {part}: {text}");
        }
    }
    let cancelled = anna.submit(&format!("/jobs/{id}/cancel"), &[]).await;
    assert_eq!(cancelled.status, 303, "{}", cancelled.text);
    ends(&agent, &job, attempt, "cancelled", json!({"code": "cancelled", "message": "stopped"}), 130).await;
    let text = anna.open(&format!("/jobs/{id}")).await.text;
    assert!(text.contains("Cancelled by operator") && text.contains("Run again"), "{text}");
    assert_eq!(server.get(&admin, &format!("/api/v1/jobs/{id}")).await["cancel_requested_by"], "user:operator");
    assert!(anna.open("/jobs?state=other").await.text.contains(&format!("href=\"/jobs/{id}\"")));
}

#[tokio::test]
async fn a_failure_is_told_with_what_fails_alike_and_the_lock() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let anna = Visitor::sign_in(&server, "viewer").await;
    let away = json!({"code": "repository_unreachable", "message": "connection refused"});
    let mut failed = vec![];
    let mut agents = vec![];
    for name in ["db-01", "db-02"] {
        let mut agent = server.host(&admin, name, &["/etc"]).await;
        let (id, job, attempt) = claimed(&server, &admin, &mut agent).await;
        ends(&agent, &job, attempt, "failed", away.clone(), 1).await;
        failed.push(id);
        agents.push(agent);
    }
    let text = anna.open(&format!("/jobs/{}", failed[0])).await.text;
    assert!(text.contains("Same cause") && text.contains("holds up 2 hosts"), "{text}");
    assert!(text.contains(&format!("href=\"/jobs/{}\"", failed[1])), "{text}");
    let locked = json!({"code": "repository_locked", "message": "already locked by PID 31177"});
    let (id, job, attempt) = claimed(&server, &admin, &mut agents[0]).await;
    ends(&agents[0], &job, attempt, "failed", locked, 11).await;
    let text = anna.open(&format!("/jobs/{id}")).await.text;
    assert!(text.contains("No lock is known") && !text.contains("its own words below say who"), "{text}");
    assert!(!text.contains("Same cause"), "each host has a repository of its own here: {text}");
}
