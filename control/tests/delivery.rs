//! Delivery against the real server: enrolment, long poll, Run now, claim, chunks, the end, and each of their refusals.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_shared::id::InstanceId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::poll::{HeldJob, HeldPhase};
use restic_manager_shared::wire::state::seal_name;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use serde_json::{Value, json};
use std::time::Duration;

fn code(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or(""))
}

fn finish(attempt: i32, end: &str) -> Value {
    let now = Timestamp::now();
    json!({"attempt": attempt, "end": end, "exit_code": 0, "started_at": now, "finished_at": now,
        "summary": {"files_new": 3, "snapshot_id": "a".repeat(64)},
        "snapshots": [{"id": "a".repeat(64), "time": now, "hostname": "web-01", "paths": ["/etc"], "tags": ["x"]}]})
}

#[tokio::test]
async fn a_token_makes_one_host_and_its_paths_become_a_manual_schedule() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "web-01", &["/etc", "/srv"]).await;
    let schedules = server.get(&admin, &format!("/api/v1/hosts/{}/schedules", agent.host)).await;
    let first = &schedules["items"][0];
    assert_eq!(schedules["items"].as_array().unwrap().len(), 1);
    assert_eq!((&first["manual"], &first["enabled"], &first["cron"]), (&json!(true), &json!(true), &Value::Null));
    assert_eq!(first["paths"], json!(["/etc", "/srv"]));
    let host = server.get(&admin, &format!("/api/v1/hosts/{}", agent.host)).await;
    assert!(host.get("paths").is_none(), "a host has no paths of its own");
}

#[tokio::test]
async fn tokens_that_do_not_work_say_why() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let make = |body: Value| async {
        server.post(&admin, "/api/v1/enrollment-tokens", body).await.1["token"].as_str().unwrap().to_owned()
    };
    let mut agent = FakeAgent::new(&server);
    assert_eq!(code(&agent.enroll("rme_nothing").await), (401, "token_unknown"));
    let revoked = make(json!({"host_name": "a"})).await;
    let token = make(json!({"host_name": "a"})).await;
    assert_eq!(code(&agent.enroll(&revoked).await), (410, "token_revoked"));
    assert_eq!(agent.enroll(&token).await.0, 200);
    assert_eq!(code(&FakeAgent::new(&server).enroll(&token).await), (410, "token_used"));
    let second = make(json!({"host_name": "b"})).await;
    assert_eq!(code(&agent.enroll(&second).await), (409, "key_in_use"));
    assert_eq!(FakeAgent::new(&server).enroll(&second).await.0, 200, "a refused enrolment does not use the token up");
    let windows = make(json!({"host_name": "c", "initial_paths": ["C:\\Users"]})).await;
    assert_eq!(code(&FakeAgent::new(&server).enroll(&windows).await), (422, "invalid"));
    let taken = server.post(&admin, "/api/v1/enrollment-tokens", json!({"host_name": "a"})).await;
    assert_eq!(code(&taken), (409, "name_taken"));
    let mut forged = FakeAgent::new(&server).enroll_body(&second);
    forged["sealing_key"] = FakeAgent::new(&server).enroll_body(&second)["sealing_key"].clone();
    assert_eq!(code(&agent.send("/agent/v1/enroll", None, &forged).await), (403, "bad_proof"));
}

#[tokio::test]
async fn an_expired_token_says_so() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let (_, made) =
        server.post(&admin, "/api/v1/enrollment-tokens", json!({"host_name": "a", "valid_seconds": 1})).await;
    let until = Timestamp::parse(made["expires_at"].as_str().unwrap()).unwrap();
    // The one thing to wait for here is the clock itself.
    while Timestamp::now() <= until {
        tokio::time::sleep(until.since(Timestamp::now()) + Duration::from_millis(1)).await;
    }
    let answer = FakeAgent::new(&server).enroll(made["token"].as_str().unwrap()).await;
    assert_eq!(code(&answer), (410, "token_expired"));
}

#[tokio::test]
async fn secrets_reach_the_agent_sealed_and_nobody_else() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    agent.state_version = 0;
    let state = agent.poll(&[], 1).await.state.expect("an older version is told the newer one");
    let repository = &state.repositories[0];
    assert_eq!(repository.url, "rest:http://127.0.0.1:9/web-01/");
    let secrets: Value = serde_json::from_str(&agent.open(&seal_name(repository.id), &repository.secrets)).unwrap();
    assert_eq!((&secrets["password"], &secrets["rest_password"]), (&json!("secret"), &json!("p")));
    let seen = server.get(&admin, "/api/v1/repositories").await.to_string();
    assert!(!seen.contains("secret"), "{seen}");
}

#[tokio::test]
async fn run_now_wakes_a_parked_poll_and_runs_exactly_once() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    let run = format!("/api/v1/hosts/{}/run", agent.host);
    let queue = async {
        let mut request = server.request(reqwest::Method::POST, &run, Some(&admin));
        request = request.header("Idempotency-Key", "click");
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let (answer, first) = tokio::join!(agent.poll(&[], 55), queue);
    let again: Value = server
        .request(reqwest::Method::POST, &run, Some(&admin))
        .header("Idempotency-Key", "click")
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(first["job"]["id"], again["job"]["id"], "a double click is one job");
    let offer = answer.offers.first().expect("the parked poll was woken").clone();
    let busy = server.post(&admin, &run, Value::Null).await;
    assert_eq!(code(&busy), (409, "already_running"));

    // The answer was lost: the next poll brings the same job as a newer attempt, and the older one counts no more.
    let repeated = agent.poll(&[], 5).await.offers.remove(0);
    assert_eq!((repeated.id, repeated.attempt), (offer.id, offer.attempt + 1));
    let path = |act: &str| format!("/agent/v1/jobs/{}/{act}", offer.id);
    let stale = agent.post(&path("claim"), json!({"attempt": offer.attempt})).await;
    assert_eq!(code(&stale), (409, "stale_attempt"));
    let claim = json!({"attempt": repeated.attempt});
    assert_eq!(agent.post(&path("claim"), claim.clone()).await.0, 200);
    assert_eq!(
        agent.post(&path("claim"), claim).await.0,
        200,
        "a repeated claim of the same attempt is answered alike"
    );
    let held = [HeldJob { id: offer.id, attempt: repeated.attempt, phase: HeldPhase::Running }];
    assert!(agent.poll(&held, 1).await.offers.is_empty());

    let chunk = |seq: i64| {
        json!({"attempt": repeated.attempt, "seq": seq, "status": {"phase": "running", "percent": 0.5},
        "lines": [{"at": Timestamp::now(), "level": "info", "text": format!("line {seq}")}]})
    };
    assert_eq!(agent.post(&path("chunks"), chunk(1)).await.1["stored"], 1);
    assert_eq!(agent.post(&path("chunks"), chunk(1)).await.1["stored"], 1, "a repeated chunk is dropped");
    assert_eq!(agent.post(&path("chunks"), chunk(3)).await.1["stored"], 1, "a gap is answered with what is there");
    assert_eq!(agent.post(&path("chunks"), chunk(2)).await.1["stored"], 2);
    assert_eq!(agent.post(&path("finish"), finish(repeated.attempt, "succeeded")).await.0, 200);
    assert_eq!(
        agent.post(&path("finish"), finish(repeated.attempt, "succeeded")).await.0,
        200,
        "the end may be told twice"
    );
    let late = agent.post(&path("chunks"), chunk(3)).await;
    assert_eq!(code(&late), (409, "job_finished"));

    let events = server.get(&admin, &format!("/api/v1/jobs/{}/events?after=0&wait=5", offer.id)).await;
    let lines: Vec<&str> = events["lines"].as_array().unwrap().iter().map(|l| l["text"].as_str().unwrap()).collect();
    assert_eq!(lines.iter().filter(|l| l.starts_with("line")).count(), 2, "{lines:?}");
    assert_eq!((&events["state"], &events["finished"]), (&json!("succeeded"), &json!(true)));
    let snapshots = server.get(&admin, &format!("/api/v1/hosts/{}/snapshots", agent.host)).await;
    assert_eq!(snapshots["items"][0]["job_id"], first["job"]["id"]);
    assert_eq!(snapshots["items"][0]["schedule_id"], first["job"]["schedule_id"]);
}

/// Who is alive is not asked when somebody polls: one agent is busy and never polls again, the other is gone and cannot.
#[tokio::test]
async fn a_busy_agent_is_alive_by_its_progress_and_a_silent_one_is_given_up_without_any_poll() {
    let server = ControlPlane::start_in(tempfile::TempDir::new().unwrap(), &["--lease", "3"]);
    let admin = server.token("admin");
    let mut jobs = vec![];
    for name in ["busy", "silent"] {
        let mut agent = server.host(&admin, name, &["/etc"]).await;
        let (status, answer) = server.post(&admin, &format!("/api/v1/hosts/{}/run", agent.host), Value::Null).await;
        assert_eq!(status, 202, "{answer}");
        let offer = agent.poll(&[], 5).await.offers.remove(0);
        let claim = json!({"attempt": offer.attempt});
        let (status, lease) = agent.post(&format!("/agent/v1/jobs/{}/claim", offer.id), claim).await;
        assert_eq!((status, &lease["lease"]), (200, &json!(3)), "the agent is told how long it may be silent");
        jobs.push((agent, offer));
    }
    let state = |id| {
        let (server, admin) = (&server, &admin);
        async move { server.get(admin, &format!("/api/v1/jobs/{id}")).await["state"].clone() }
    };
    let (busy, its) = &jobs[0];
    let mut seq = 0;
    while state(jobs[1].1.id).await != "lost" {
        seq += 1;
        let chunk = json!({"attempt": its.attempt, "seq": seq});
        assert_eq!(busy.post(&format!("/agent/v1/jobs/{}/chunks", its.id), chunk).await.0, 200);
    }
    assert_eq!(state(its.id).await, "running");
}

#[tokio::test]
async fn a_cancel_reaches_a_waiting_and_a_running_job() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    let run = format!("/api/v1/hosts/{}/run", agent.host);
    let (_, waiting) = server.post(&admin, &run, Value::Null).await;
    let cancel = |id: &Value| format!("/api/v1/jobs/{}/cancel", id.as_str().unwrap());
    let (status, job) = server.post(&admin, &cancel(&waiting["job"]["id"]), Value::Null).await;
    assert_eq!((status, &job["state"]), (202, &json!("cancelled")));
    assert!(agent.poll(&[], 1).await.offers.is_empty());
    assert_eq!(code(&server.post(&admin, &cancel(&waiting["job"]["id"]), Value::Null).await), (409, "job_finished"));

    server.post(&admin, &run, Value::Null).await;
    let offer = agent.poll(&[], 5).await.offers.remove(0);
    agent.post(&format!("/agent/v1/jobs/{}/claim", offer.id), json!({"attempt": offer.attempt})).await;
    let held = [HeldJob { id: offer.id, attempt: offer.attempt, phase: HeldPhase::Running }];
    let path = cancel(&json!(offer.id));
    let (answer, _) = tokio::join!(agent.poll(&held, 55), server.post(&admin, &path, Value::Null));
    assert_eq!(answer.cancel, [offer.id]);
    let chunk = json!({"attempt": offer.attempt, "seq": 1});
    assert_eq!(agent.post(&format!("/agent/v1/jobs/{}/chunks", offer.id), chunk).await.1["cancel"], true);
}

#[tokio::test]
async fn a_host_with_several_schedules_wants_one_picked() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "web-01", &["/etc"]).await;
    let run = format!("/api/v1/hosts/{}/run", agent.host);
    let schedules = format!("/api/v1/hosts/{}/schedules", agent.host);
    let first = server.get(&admin, &schedules).await["items"][0].clone();
    let other = json!({"name": "More", "paths": ["/srv"], "manual": true, "repository_id": first["repository_id"]});
    assert_eq!(server.post(&admin, &schedules, other).await.0, 201);
    let answer = server.post(&admin, &run, Value::Null).await;
    assert_eq!(code(&answer), (409, "pick_schedule"));
    assert!(answer.1["detail"].as_str().unwrap().contains("Schedules tab"));
    let row = format!("/api/v1/schedules/{}/run", first["id"].as_str().unwrap());
    assert_eq!(server.post(&admin, &row, Value::Null).await.0, 202);
}

#[tokio::test]
async fn schedules_that_make_no_sense_are_refused_by_field() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "web-01", &["/etc"]).await;
    let path = format!("/api/v1/hosts/{}/schedules", agent.host);
    for (change, pointer) in [
        (json!({"manual": true, "cron": "30 2 * * *"}), "/cron"),
        (json!({"manual": false}), "/cron"),
        (json!({"cron": "61 * * * *"}), "/cron"),
        (json!({"manual": true, "paths": []}), "/paths"),
        (json!({"manual": true, "paths": ["etc"]}), "/paths/0"),
        (json!({"manual": true, "paths": ["/a\u{0}b"]}), "/paths/0"),
        (json!({"manual": true, "paths": ["C:\\Users"]}), "/paths/0"),
        (json!({"manual": true, "repository_id": agent.host}), "/repository_id"),
    ] {
        let mut body = json!({"name": "x", "paths": ["/srv"]});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let answer = server.post(&admin, &path, body).await;
        assert_eq!(code(&answer), (422, "invalid"), "{change}");
        assert_eq!(answer.1["errors"][0]["pointer"], pointer, "{change}: {}", answer.1);
    }
    assert_eq!(server.get(&admin, &path).await["items"].as_array().unwrap().len(), 1, "nothing was half done");
}

#[tokio::test]
async fn a_wrong_clock_is_told_apart_from_a_wrong_key() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "web-01", &["/etc"]).await;
    let late = agent.token_at(Timestamp::now() - Duration::from_secs(3600));
    let answer = agent.send("/agent/v1/poll", Some(&late), &agent.poll_body(&[], 1)).await;
    assert_eq!(code(&answer), (401, "clock_skew"));
    assert!(Timestamp::parse(answer.1["server_time"].as_str().unwrap()).is_ok());
    server.call(&admin, reqwest::Method::DELETE, &format!("/api/v1/hosts/{}", agent.host), Value::Null).await;
    let answer = agent.post("/agent/v1/poll", agent.poll_body(&[], 1)).await;
    assert_eq!(code(&answer), (401, "agent_unknown"), "a removed host's key is refused at once");
}

#[tokio::test]
async fn a_cloned_agent_is_found_out() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "web-01", &["/etc"]).await;
    let parked = agent.post("/agent/v1/poll", agent.poll_body(&[], 55));
    let mut parked = std::pin::pin!(parked);
    let host = format!("/api/v1/hosts/{}", agent.host);
    let online = async { while server.get(&admin, &host).await["held_version"] == 0 {} };
    tokio::select! {
        answer = &mut parked => panic!("answered early: {answer:?}"),
        () = online => {}
    }
    let original = parked;
    let mut clone_body = agent.poll_body(&[], 1);
    clone_body["instance"] = json!(InstanceId::new());
    let token = agent.token();
    let (first, second) = tokio::join!(original, agent.send("/agent/v1/poll", Some(&token), &clone_body));
    assert_eq!(code(&first), (409, "duplicate_agent"));
    assert_eq!(second.0, 200);
}

#[tokio::test]
async fn stopping_answers_parked_polls_and_keeps_what_waits() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let agent = server.host(&admin, "web-01", &["/etc"]).await;
    let url = server.url.clone();
    let host = format!("/api/v1/hosts/{}", agent.host);
    let body = agent.poll_body(&[], 55);
    let sent = agent.post("/agent/v1/poll", body);
    let mut sent = std::pin::pin!(sent);
    let parked = async { while server.get(&admin, &host).await["held_version"] == 0 {} };
    tokio::select! {
        answer = &mut sent => panic!("answered early: {answer:?}"),
        () = parked => {}
    }
    let stopped = tokio::task::spawn_blocking(move || server.stop());
    assert_eq!(sent.await.0, 200, "the parked poll is answered, not cut");
    let again = ControlPlane::start_in(stopped.await.unwrap(), &["--listen", url.trim_start_matches("http://")]);
    let run = format!("/api/v1/hosts/{}/run", agent.host);
    assert_eq!(again.post(&admin, &run, Value::Null).await.0, 202);
    let dir = tokio::task::spawn_blocking(move || again.stop()).await.unwrap();
    let third = ControlPlane::start_in(dir, &["--listen", url.trim_start_matches("http://")]);
    let (_, answer) = agent.post("/agent/v1/poll", agent.poll_body(&[], 5)).await;
    assert_eq!(answer["offers"].as_array().unwrap().len(), 1, "a queued job survives a restart");
    drop(third);
}
