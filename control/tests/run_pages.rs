//! Run now on pages: it is offered where it would not be refused, it asks where several schedules could be meant, and a press that is not taken
//! leads back to where it was made.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::json;

/// A server with a host that is online, and its schedules; the host may run as many as are asked for.
async fn with_schedules(more: &[&str]) -> (ControlPlane, FakeAgent, Vec<String>) {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    let of_host = format!("/api/v1/hosts/{}/schedules", agent.host);
    let known = server.get(&admin, &of_host).await;
    let repository = known["items"][0]["repository_id"].clone();
    for name in more {
        let body = json!({"name": name, "paths": ["/srv"], "manual": true, "repository_id": repository});
        let (status, made) = server.post(&admin, &of_host, body).await;
        assert_eq!(status, 201, "{made}");
    }
    agent.poll(&[], 1).await;
    let known = server.get(&admin, &of_host).await;
    let ids = known["items"].as_array().unwrap().iter().map(|s| s["id"].as_str().unwrap().to_owned()).collect();
    (server, agent, ids)
}

/// The agent takes what it is offered, and says how far it is.
async fn runs(agent: &mut FakeAgent, percent: f64) -> String {
    let offer = agent.poll(&[], 5).await.offers.remove(0);
    let job = format!("/agent/v1/jobs/{}", offer.id);
    assert_eq!(agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
    let lines = json!([{"at": "2026-01-01T00:00:30Z", "level": "info", "text": "restic backup --json /etc"}]);
    let status = json!({"phase": "running", "percent": percent, "files_done": 1, "files_total": 2, "bytes_done": 10_000_000,
        "bytes_total": 20_000_000, "seconds_elapsed": 10, "seconds_remaining": 241});
    let chunk = json!({"attempt": offer.attempt, "seq": 1, "lines": lines, "status": status});
    assert_eq!(agent.post(&format!("{job}/chunks"), chunk).await.0, 200);
    offer.id.to_string()
}

#[tokio::test]
async fn a_host_that_runs_says_so_and_offers_no_second_run() {
    let (server, mut agent, schedules) = with_schedules(&[]).await;
    let mut anna = Visitor::sign_in(&server, "operator").await;
    // Not the first steps: nothing was backed up yet.
    anna.cookie.push_str("; rm_first_steps=left");
    let host = format!("/hosts/{}", agent.host);
    let pages = ["/hosts".to_owned(), host.clone(), format!("{host}/schedules")];
    for path in &pages {
        let text = anna.open(path).await.text;
        assert!(text.contains("/run\"") && !text.contains("disabled title"), "{path}: {text}");
    }
    let pressed = anna.submit(&format!("{host}/run"), &[("key", "k"), ("back", &host)]).await;
    assert!(pressed.status == 303 && pressed.location.starts_with("/jobs/"), "{} {}", pressed.status, pressed.text);
    let job = runs(&mut agent, 0.625).await;
    for path in &pages {
        let text = anna.open(path).await.text;
        assert!(text.contains("disabled title=\"Runs already\""), "{path}: {text}");
        assert!(text.contains(&format!("href=\"/jobs/{job}\">Runs already")), "{path}: {text}");
    }
    for path in ["/", "/hosts", &host] {
        assert!(anna.open(path).await.text.contains("Running 62 %"), "{path}");
    }
    // Somebody else was quicker: the page that it was pressed on says so.
    for (path, form) in [
        (format!("{host}/run"), vec![("back", "/hosts?tag=a")]),
        (format!("{host}/run"), vec![("back", "/hosts?tag=a"), ("schedule", "all")]),
        (format!("/schedules/{}/run", schedules[0]), vec![("back", "/hosts?tag=a")]),
    ] {
        let late = anna.submit(&path, &form).await;
        assert_eq!((late.status, late.location.as_str()), (303, "/hosts?tag=a&refused=already_running"), "{path}");
    }
    let told = anna.open("/hosts?refused=already_running").await.text;
    assert!(told.contains("role=\"alert\"") && told.contains("runs already, or waits to"), "{told}");
    let elsewhere = anna.submit(&format!("{host}/run"), &[("back", "//evil.example")]).await;
    assert_eq!(elsewhere.location, "/?refused=already_running");
}

#[tokio::test]
async fn several_schedules_are_a_question() {
    let (server, mut agent, schedules) = with_schedules(&["second", "<b>third</b>"]).await;
    let (anna, eve) = (Visitor::sign_in(&server, "operator").await, Visitor::sign_in(&server, "viewer").await);
    let host = format!("/hosts/{}", agent.host);
    for path in ["/hosts", &host] {
        assert!(anna.open(path).await.text.contains("Run now…"), "{path}");
        assert!(!eve.open(path).await.text.contains("Run now…"), "{path}");
    }
    assert_eq!(eve.open(&format!("{host}/run")).await.status, 403);
    let unclear = anna.submit(&format!("{host}/run"), &[("back", "/hosts")]).await;
    assert_eq!((unclear.status, unclear.location), (303, format!("{host}/run?back=%2Fhosts")));
    let ask = anna.open(&format!("{host}/run?back=%2Fhosts")).await.text;
    for part in ["second", "&lt;b&gt;third", "All of them", "href=\"/hosts\"", "value=\"all\""] {
        assert!(ask.contains(part), "{part}: {ask}");
    }
    let one = anna.submit(&format!("{host}/run"), &[("schedule", &schedules[1]), ("key", "a")]).await;
    assert!(one.status == 303 && one.location.starts_with("/jobs/"), "{}", one.location);
    let job = runs(&mut agent, 0.1).await;
    assert_eq!(one.location, format!("/jobs/{job}"));
    assert!(
        anna.open(&format!("{host}/run")).await.text.contains("Runs already"),
        "the one that runs cannot be chosen"
    );
    let rest = anna.submit(&format!("{host}/run"), &[("schedule", "all"), ("key", "b")]).await;
    assert_eq!((rest.status, rest.location), (303, format!("/jobs?state=open&host={}", agent.host)));
    let token = server.token("viewer");
    let open = server.get(&token, &format!("/api/v1/jobs?host_id={}", agent.host)).await;
    assert_eq!(open["items"].as_array().unwrap().len(), 3, "each runs once: {open}");
    let again = anna.submit(&format!("{host}/run"), &[("schedule", "all"), ("key", "b")]).await;
    assert_eq!(again.location, format!("/jobs?state=open&host={}", agent.host), "the same press is the same jobs");
    assert!(anna.open(&host).await.text.contains("disabled title=\"Runs already\""), "now all of them run");
}

#[tokio::test]
async fn many_hosts_run_their_only_schedule_or_all() {
    let (server, agent, _) = with_schedules(&["second"]).await;
    let anna = Visitor::sign_in(&server, "operator").await;
    let host = agent.host.to_string();
    let only = anna.open(&format!("/hosts/actions?do=run&host={host}")).await.text;
    assert!(only.contains("0 of 1 host?") && only.contains("several enabled schedules"), "{only}");
    let all = format!("/hosts/actions?do=run&amp;host={host}&amp;schedules=all");
    assert!(only.contains(&all), "{only}");
    let asked = anna.open(&all.replace("&amp;", "&")).await.text;
    assert!(asked.contains("Run now on 1 host?") && asked.contains("“second”"), "{asked}");
    let form = [("do", "run"), ("ids", host.as_str()), ("key", "k"), ("schedules", "all")];
    let done = anna.submit("/hosts/actions", &form).await.text;
    assert_eq!(done.matches("href=\"/jobs/").count(), 2, "{done}");
    let unknown = anna.open("/hosts/actions?do=run&all=1&state=bogus").await;
    assert_eq!(unknown.status, 422, "what is no state is not all hosts: {}", unknown.text);
}

#[tokio::test]
async fn lists_know_every_state_and_no_other() {
    let (server, mut agent, _) = with_schedules(&[]).await;
    let anna = Visitor::sign_in(&server, "operator").await;
    anna.submit(&format!("/hosts/{}/run", agent.host), &[]).await;
    let job = runs(&mut agent, 0.5).await;
    let repository = server.get(&server.token("viewer"), "/api/v1/repositories").await["items"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let row = format!("href=\"/jobs/{job}\"");
    for (query, shown) in [
        ("state=running", true),
        ("state=open", true),
        ("state=other", false),
        ("state=lost", false),
        ("state=bogus", false),
        (&*format!("repository={repository}"), true),
        ("repository=01900000-0000-7000-8000-000000000000", false),
        ("repository=x", false),
    ] {
        let page = anna.open(&format!("/jobs?{query}")).await;
        assert_eq!((page.status, page.text.contains(&row)), (200, shown), "{query}: {}", page.text);
    }
    let lost = anna.open("/jobs?state=lost").await.text;
    assert!(lost.contains("aria-current=\"true\">Cancelled, lost, missed") && lost.contains("state lost"), "{lost}");
    assert!(anna.open("/jobs?state=bogus").await.text.contains("There is no state bogus"));
    let hosts = anna.open("/hosts?state=bogus").await.text;
    assert!(hosts.contains("There is no state bogus") && !hosts.contains(">web-01<"), "{hosts}");
    assert!(anna.open("/jobs").await.text.contains("http-equiv=\"refresh\""), "it looks again without script");
}
