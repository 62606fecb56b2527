//! Pages as a browser gets them, with content that tries to break out of its place: each one answers, escapes, asks strangers to sign
//! in, and shows nobody a button that would be refused.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_shared::id::{JobId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::json;
use std::time::Duration;

/// Text in every place that takes text.
const HOSTILE: &str = "<script>alert(1)</script>\"'{{ 7 * 7 }}&amp;\u{202e}ü";

/// A host with a hostile schedule, and jobs that wait, run and failed.
async fn seeded(server: &ControlPlane) -> (FakeAgent, String, Vec<String>) {
    let admin = server.token("admin");
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    let body = json!({"name": HOSTILE, "paths": [format!("/srv/{HOSTILE}")], "excludes": [HOSTILE], "tags": ["nightly"],
        "cron": "30 2 * * *", "enabled": false, "timezone": "Europe/Berlin", "retention": {"keep_daily": 7}});
    let (status, made) = server.post(&admin, &format!("/api/v1/hosts/{}/schedules", agent.host), body).await;
    assert_eq!(status, 201, "{made}");
    let mut jobs = vec![];
    for cause in [Some("wrong_password"), None] {
        let (_, queued) = server.post(&admin, &format!("/api/v1/hosts/{}/run", agent.host), json!({})).await;
        let id = queued["job"]["id"].as_str().unwrap().to_owned();
        let offer = agent.poll(&[], 5).await.offers.remove(0);
        let job = format!("/agent/v1/jobs/{id}");
        assert_eq!(agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
        let chunk = json!({"attempt": offer.attempt, "seq": 1, "lines": [{"at": "2026-01-01T00:00:30Z", "level": "warning", "text": HOSTILE}],
            "status": {"phase": "running", "percent": 0.5, "files_done": 1, "files_total": 2, "bytes_done": 10, "bytes_total": 20,
            "current_files": [HOSTILE]}});
        let (status, answer) = agent.post(&format!("{job}/chunks"), chunk).await;
        assert_eq!(status, 200, "{answer}");
        if let Some(cause) = cause {
            let finish = json!({"attempt": offer.attempt, "end": "failed", "started_at": "2026-01-01T00:00:00Z",
                "finished_at": "2026-01-01T00:01:00Z", "cause": {"code": cause, "message": HOSTILE}, "exit_code": 12});
            let (status, answer) = agent.post(&format!("{job}/finish"), finish).await;
            assert_eq!(status, 200, "{answer}");
        }
        jobs.push(id);
    }
    let schedule: ScheduleId = made["id"].as_str().unwrap().parse().unwrap();
    let due = Timestamp::from_seconds(1_767_230_000);
    let skipped = JobId::of_fire(schedule, due);
    let fire = json!({"id": skipped, "schedule_id": schedule, "due": due, "fired_at": due, "state_version": 2,
        "outcome": {"outcome": "skipped", "because_of": jobs[0]}, "stands_for": [due - Duration::from_secs(86_400)]});
    assert_eq!(agent.post("/agent/v1/fires", fire).await.0, 200);
    jobs.push(skipped.to_string());
    (agent, schedule.to_string(), jobs)
}

#[tokio::test]
async fn every_page_answers_and_escapes() {
    let server = ControlPlane::start();
    let anna = Visitor::sign_in(&server, "admin").await;
    assert!(anna.open("/").await.text.contains("Welcome"), "the first steps");
    let (agent, schedule, jobs) = seeded(&server).await;
    let admin = server.token("operator");
    let repository = server.get(&admin, "/api/v1/repositories").await["items"][0]["id"].as_str().unwrap().to_owned();
    let host = agent.host;
    let mut paths: Vec<String> =
        ["/", "/hosts", "/hosts/add", "/jobs", "/repositories", "/repositories/add", "/ui/dashboard/live"]
            .map(Into::into)
            .into();
    for tab in [
        "",
        "/snapshots",
        "/retention",
        "/maintenance",
        "/operations",
        "/hosts",
        "/settings",
        "/delete",
        "/locks/remove",
        "/rotate-password",
        "/maintenance/run?chore=all",
        "/maintenance/run?chore=prune",
    ] {
        paths.push(format!("/repositories/{repository}{tab}"));
    }
    let typed = "kind=rewrite&excludes=%3Cscript%3Ealert(1)%3C/script%3E&snapshots=%7B%7B%207*7%20%7D%7D";
    paths.push(format!("/repositories/{repository}/operations?{typed}"));
    paths.push(format!("/repositories/{repository}/hosts?host=%3Cscript%3Ealert(1)&url=%3Cscript%3Ealert(1)"));
    paths.push(format!("/repositories/{repository}/hosts/{host}/remove"));
    paths.extend(["/alerts", "/alerts?show=all"].map(Into::into));
    paths.extend([format!("/hosts/{host}/freeze"), format!("/hosts/{host}/thaw"), format!("/hosts/{host}/pause")]);
    paths.extend([format!("/schedules/{schedule}/pause"), "/hosts/actions?do=pause&all=1".into()]);
    paths.push("/hosts/actions?do=update_agent&all=1".into());
    paths.push(format!("/hosts/actions?do=run&host={host}&q=%3Cscript%3Ealert(1)&of_tag=%7B%7B%207*7%20%7D%7D"));
    for tab in ["", "/run", "/schedules", "/schedules/new", "/jobs", "/snapshots", "/settings", "/remove"] {
        paths.push(format!("/hosts/{host}{tab}"));
    }
    let typed = "cron=%3Cscript%3Ealert(1)&timezone=%7B%7B%207*7%20%7D%7D";
    for live in [
        format!("hosts/{host}/live"),
        format!("hosts/{host}/enroll"),
        format!("hosts/{host}/runs?{typed}"),
        format!("jobs/{}/live", jobs[1]),
        "repositories/live".into(),
        "settings/releases/live".into(),
    ] {
        paths.push(format!("/ui/{live}"));
    }
    paths.extend([format!("/schedules/{schedule}/edit"), format!("/schedules/{schedule}/delete")]);
    paths.extend(jobs.iter().map(|job| format!("/jobs/{job}")));
    paths.push(format!("/jobs/{}/cancel", jobs[1]));
    for path in paths {
        let page = anna.open(&path).await;
        assert_eq!((page.status, page.html), (200, true), "{path}: {}", page.text);
        assert!(!page.text.contains("<script>alert"), "{path} lets script through");
        assert!(!page.text.contains("49&amp;"), "{path} reads data as a template");
        assert!(page.policy.contains("default-src 'none'") || page.policy.contains("default-src 'self'"), "{path}");
        assert!(!page.policy.contains("unsafe-inline"), "{path}: {}", page.policy);
    }
    let form = anna.open(&format!("/schedules/{schedule}/edit")).await.text;
    assert!(form.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "what was typed stands there as text");
    let failed = anna.open(&format!("/jobs/{}", jobs[0])).await.text;
    assert!(failed.contains("does not open it") && failed.contains("exit status 12"), "{failed}");
    let skipped = anna.open(&format!("/jobs/{}", jobs[2])).await.text;
    assert!(skipped.contains("The last run was still going on") && skipped.contains("Stands for"), "{skipped}");
}

#[tokio::test]
async fn strangers_are_asked_to_sign_in_and_come_back() {
    let server = ControlPlane::start();
    let stranger = Visitor { server: &server, cookie: String::new() };
    assert_eq!(stranger.open("/hosts?q=a").await.location, "/setup", "nobody is there yet");
    Visitor::sign_in(&server, "viewer").await;
    let sent_on = stranger.open("/hosts?q=a").await;
    assert_eq!((sent_on.status, sent_on.location.as_str()), (303, "/login?next=%2Fhosts%3Fq%3Da"));
    assert!(stranger.open("/login?next=//evil.example").await.text.contains("name=\"next\" value=\"/\""));
    let wrong = stranger.send("/login", &[("name", "viewer"), ("password", "wrong horse battery")]).await;
    let unknown = stranger.send("/login", &[("name", "nobody"), ("password", "wrong horse battery")]).await;
    assert_eq!((wrong.status, unknown.status), (422, 422));
    let message = |page: &str| page.split("role=\"alert\"").nth(1).unwrap().split("</div>").next().unwrap().to_owned();
    assert_eq!(message(&wrong.text), message(&unknown.text), "it is not told who exists");
    assert_eq!(stranger.open("/setup").await.location, "/login", "setup is over");
}

#[tokio::test]
async fn a_refusal_is_a_page_for_people_and_json_for_programs() {
    let server = ControlPlane::start();
    let anna = Visitor::sign_in(&server, "admin").await;
    for path in ["/nothing", "/hosts/01900000-0000-7000-8000-000000000000", "/hosts/not-an-id"] {
        let page = anna.open(path).await;
        assert_eq!((page.status, page.html), (404, true), "{path}: {}", page.text);
    }
    for path in ["/api/v1/nothing", "/agent/v1/nothing"] {
        let answer = anna.open(path).await;
        assert_eq!((answer.status, answer.html), (404, false), "{path}: {}", answer.text);
        let told: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(told["status"], 404, "{path}");
    }
}

#[tokio::test]
async fn a_viewer_sees_no_button_that_would_be_refused() {
    let server = ControlPlane::start();
    let (anna, eve) = (Visitor::sign_in(&server, "operator").await, Visitor::sign_in(&server, "viewer").await);
    let (agent, schedule, jobs) = seeded(&server).await;
    let host = agent.host;
    let (run, cancel) = (format!("/hosts/{host}/run"), format!("/jobs/{}/cancel", jobs[1]));
    for (path, act) in [
        (format!("/hosts/{host}"), "Run now"),
        (format!("/hosts/{host}/schedules"), "Run now"),
        (format!("/jobs/{}", jobs[1]), "Cancel"),
        ("/hosts".to_owned(), "/hosts/add"),
    ] {
        assert!(anna.open(&path).await.text.contains(act), "{path} lacks {act}");
        assert!(!eve.open(&path).await.text.contains(act), "{path} shows a viewer {act}");
    }
    for path in [&run, &cancel, &format!("/schedules/{schedule}/delete")] {
        assert_eq!(eve.submit(path, &[("key", "k")]).await.status, 403, "{path}");
        assert_eq!(anna.send(path, &[("key", "k")]).await.status, 403, "{path} without the form's token");
    }
    assert_eq!(eve.open("/hosts/add").await.status, 403);
    let (first, second) = (anna.submit(&cancel, &[]).await, anna.submit(&cancel, &[]).await);
    assert_eq!((first.status, second.status), (303, 303), "cancelling twice is as good as once: {}", second.text);
}

#[tokio::test]
async fn the_schedule_form_shows_what_a_line_does_and_saves_nothing() {
    let server = ControlPlane::start();
    let anna = Visitor::sign_in(&server, "operator").await;
    let (agent, schedule, _) = seeded(&server).await;
    let (new, edit) = (format!("/hosts/{}/schedules/new", agent.host), format!("/schedules/{schedule}/edit"));
    let token = server.token("viewer");
    let before = server.get(&token, &format!("/api/v1/hosts/{}/schedules", agent.host)).await;
    for path in [&new, &edit] {
        let typed = [
            ("name", ""),
            ("cron", "0 3 * * 1-5"),
            ("timezone", "Europe/Berlin"),
            ("paths", "/typed"),
            ("show_runs", "1"),
        ];
        let page = anna.submit(path, &typed).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
        assert!(page.text.contains("Every weekday at 03:00"), "{path}: {}", page.text);
        assert!(
            page.text.contains("/typed") && page.text.contains("value=\"0 3 * * 1-5\""),
            "{path} forgot what was typed"
        );
        let wrong = anna.submit(path, &[("cron", "61 3 * * *"), ("show_runs", "1")]).await;
        assert!(wrong.text.contains("Minute: 61 is not within 0 to 59"), "{path}: {}", wrong.text);
    }
    assert_eq!(
        server.get(&token, &format!("/api/v1/hosts/{}/schedules", agent.host)).await,
        before,
        "nothing is saved"
    );
    let card = anna.open(&format!("/ui/hosts/{}/runs?cron=30+2+1+*+fri", agent.host)).await;
    assert_eq!((card.status, card.html), (200, true));
    assert!(card.text.contains("At 02:30 on day 1 of the month or on Fridays"), "{}", card.text);
    assert!(!card.text.contains("<html"), "a fragment is no page");
}

#[tokio::test]
async fn a_line_can_be_tried_over_the_api() {
    let server = ControlPlane::start();
    let token = server.token("viewer");
    let path = "/api/v1/schedules/preview";
    let ask = json!({"cron": "30 2 * * *", "timezone": "Europe/Berlin", "count": 2, "from": "2027-03-27T12:00:00Z"});
    let (status, told) = server.post(&token, path, ask).await;
    assert_eq!((status, told["text"].as_str()), (200, Some("every day at 02:30")), "{told}");
    let note = "02:30 does not exist that day: the clock jumps from 02:00 to 03:00";
    assert_eq!(
        told["fires"],
        json!([
            {"at": "2027-03-28T01:00:00Z", "local": "2027-03-28T03:00:00+02:00", "note": note},
            {"at": "2027-03-29T00:30:00Z", "local": "2027-03-29T02:30:00+02:00"},
        ])
    );
    let (_, told) = server.post(&token, path, json!({"cron": "@hourly"})).await;
    assert_eq!(told["fires"].as_array().unwrap().len(), 5);
    let (status, told) =
        server.post(&token, path, json!({"cron": "0 25 * * *", "timezone": "Mars/Base", "count": 51})).await;
    let wrong: Vec<_> = told["errors"].as_array().unwrap().iter().map(|e| e["pointer"].as_str().unwrap()).collect();
    assert_eq!((status, wrong), (422, vec!["/cron", "/timezone", "/count"]), "{told}");
    assert_eq!(server.post(&token, path, json!({"timezone": "UTC"})).await.0, 400, "a line is needed");
}

#[tokio::test]
async fn components_in_all_states_are_only_for_tests() {
    let server = ControlPlane::start();
    assert_eq!(Visitor::sign_in(&server, "admin").await.open("/states").await.status, 404);
    let server = ControlPlane::start_in(tempfile::TempDir::new().unwrap(), &["--component-states"]);
    let page = Visitor::sign_in(&server, "viewer").await.open("/states").await;
    assert_eq!((page.status, page.html), (200, true), "{}", page.text);
    assert!(!page.text.contains("<b>fett") && page.text.contains("{{ 7 * 7 }}"), "{}", page.text);
}

#[tokio::test]
async fn an_empty_list_says_which_filter_it_is_and_what_there_is_without_it() {
    let server = ControlPlane::start();
    let anna = Visitor::sign_in(&server, "operator").await;
    let (agent, ..) = seeded(&server).await;
    for (path, says) in [
        ("/hosts?q=postgras&tag=%3Cb%3E&os=windows", "No host matches “postgras”, system Windows, tag &lt;b&gt;"),
        ("/hosts?state=failing", "1 host without the filter."),
        ("/jobs?kind=prune&time=week", "No job matches kind Prune, time last 7 days"),
        ("/jobs?kind=prune", "ended in the last 24 hours"),
        ("/snapshots?snapshot_tag=nothing", "No snapshot matches tag nothing"),
        ("/snapshots?tag=nothing", "No snapshot matches host tag nothing"),
        ("/repositories?tag=nothing", "No host with the tag nothing uses a repository"),
    ] {
        let page = anna.open(path).await.text;
        assert!(page.contains(says) && page.contains("Clear filter"), "{path}: {page}");
    }
    let pages = [format!("/hosts/{}", agent.host), format!("/hosts/{}/schedules", agent.host), "/hosts".to_owned()];
    for path in &pages {
        assert!(anna.open(path).await.text.contains("Run now"), "{path}");
    }
}
