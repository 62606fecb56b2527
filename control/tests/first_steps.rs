//! From an empty server to the first backup, as a person goes it without script: the first steps in place of the dashboard, the page with a
//! new host's command, and a new command in place of one that was lost.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};

/// The enrollment token that a page shows, if it does.
fn token(page: &str) -> Option<String> {
    let from = page.find("rme_")?;
    Some(page[from..].chars().take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c)).collect())
}

async fn repository(server: &ControlPlane, admin: &str) -> String {
    let body = json!({"name": "main", "url": "rest:http://127.0.0.1:9/{host}/", "password": "secret"});
    let (status, made) = server.post(admin, "/api/v1/repositories", body).await;
    assert_eq!(status, 201, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

async fn hosts(server: &ControlPlane, token: &str) -> Vec<Value> {
    server.get(token, "/api/v1/hosts").await["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn the_page_with_a_command_can_be_loaded_again() {
    let server = ControlPlane::start();
    let (anna, other) = (Visitor::sign_in(&server, "operator").await, Visitor::sign_in(&server, "admin").await);
    let admin = server.token("admin");
    let main = repository(&server, &admin).await;
    let blank = anna.open("/hosts/add").await.text;
    assert!(blank.contains("<details class=\"fold\">") && blank.contains("Repository main, storage user"), "{blank}");
    let wrong = anna.submit("/hosts/add", &[("name", "web-01"), ("paths", "/etc"), ("rest_username", "u")]).await;
    assert!(wrong.status == 422 && wrong.text.contains("<details class=\"fold\" open>"), "{}", wrong.text);

    let form = [("name", "web-01"), ("paths", "/etc\r\n/srv"), ("repository", &*main), ("valid", "24"), ("key", "k1")];
    let added = anna.submit("/hosts/add", &form).await;
    let host = hosts(&server, &admin).await.remove(0)["id"].as_str().unwrap().to_owned();
    let page = format!("/hosts/{host}/added");
    assert_eq!((added.status, &added.location), (303, &page), "{}", added.text);
    let first = anna.open(&page).await.text;
    let shown = token(&first).expect(&first);
    assert!(first.contains("http-equiv=\"refresh\"") && first.contains("restic-manager-agent.service"), "{first}");
    assert_eq!(token(&anna.open(&page).await.text).as_ref(), Some(&shown), "loading it again changes nothing");
    assert_eq!(anna.submit("/hosts/add", &form).await.location, page, "the same form twice is one host");
    assert_eq!(token(&anna.open(&page).await.text).as_ref(), Some(&shown), "and one command");
    let elsewhere = other.open(&page).await.text;
    assert!(token(&elsewhere).is_none() && elsewhere.contains("Make a new command"), "{elsewhere}");

    let mut agent = FakeAgent::new(&server);
    let (status, said) = agent.enroll(&shown).await;
    assert_eq!(status, 200, "{said}");
    let after = anna.open(&page).await.text;
    assert!(after.contains("web-01 is connected") && after.contains("Your paths are a schedule"), "{after}");
    assert!(token(&after).is_none() && !after.contains("http-equiv=\"refresh\""), "{after}");
    assert_eq!(anna.submit("/hosts/add", &form).await.location, page, "sent once more it leads there again");
    assert_eq!(hosts(&server, &admin).await.len(), 1);
}

#[tokio::test]
async fn a_waiting_host_gets_a_new_command_of_what_it_was_given() {
    let server = ControlPlane::start();
    let anna = Visitor::sign_in(&server, "operator").await;
    let admin = server.token("admin");
    let main = repository(&server, &admin).await;
    let form = [
        ("name", "web-01"),
        ("paths", "/etc\r\n/srv"),
        ("repository", &*main),
        ("rest_username", "storage-user"),
        ("rest_password", "storage-password"),
        ("tags", "nightly"),
        ("valid", "168"),
    ];
    let page = anna.submit("/hosts/add", &form).await.location;
    let first = token(&anna.open(&page).await.text).unwrap();
    let cookie = anna.cookie.clone();
    let server = server.restart();
    let anna = Visitor { server: &server, cookie };
    let forgotten = anna.open(&page).await.text;
    assert!(token(&forgotten).is_none() && forgotten.contains("not shown any more"), "{forgotten}");

    let install = page.replace("/added", "/install");
    assert_eq!(anna.open("/hosts/add?name=web-01").await.location, install);
    let ask = anna.open(&install).await.text;
    for given in ["main", "storage-user", "nightly", "/etc", "/srv", "stops working at once"] {
        assert!(ask.contains(given), "{given}: {ask}");
    }
    assert!(!ask.contains("storage-password"), "{ask}");
    let old = ask.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(anna.submit(&install, &[("token", &old)]).await.location, page);
    let second = token(&anna.open(&page).await.text).unwrap();
    assert_ne!(first, second);
    assert_eq!(anna.submit(&install, &[("token", &old)]).await.status, 303);
    assert_eq!(token(&anna.open(&page).await.text), Some(second.clone()), "pressed twice it makes one");

    let mut agent = FakeAgent::new(&server);
    let (status, said) = agent.enroll(&first).await;
    assert_eq!((status, said["code"].as_str()), (410, Some("token_revoked")), "{said}");
    let (status, said) = agent.enroll(&second).await;
    assert_eq!((status, &said["host_name"]), (200, &json!("web-01")), "{said}");
    let schedules = server.get(&admin, &format!("/api/v1/hosts/{}/schedules", agent.host)).await;
    assert_eq!(schedules["items"][0]["paths"], json!(["/etc", "/srv"]), "{schedules}");
    assert_eq!(said["state"]["repositories"].as_array().unwrap().len(), 1, "with its credential: {said}");
    let host = hosts(&server, &admin).await.remove(0);
    assert_eq!(host["tags"], json!(["nightly"]));
    assert_eq!(anna.open(&install).await.location, format!("/hosts/{}", agent.host), "it has its agent");
}

#[tokio::test]
async fn a_mistake_in_setup_keeps_the_token() {
    let server = ControlPlane::start();
    let stranger = Visitor { server: &server, cookie: String::new() };
    let form = [("token", "rms_typed"), ("name", "anna"), ("password", "correct horse"), ("again", "battery staple")];
    let page = stranger.send("/setup", &form).await;
    assert!(page.status == 422 && page.text.contains("value=\"rms_typed\""), "{}", page.text);
    assert!(!page.text.contains("correct horse"));
}

/// Takes the job that waits for the agent, and says that it runs.
async fn started(agent: &mut FakeAgent) -> String {
    let offer = agent.poll(&[], 5).await.offers.remove(0);
    let job = format!("/agent/v1/jobs/{}", offer.id);
    assert_eq!(agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
    let chunk = json!({"attempt": offer.attempt, "seq": 1, "lines": [], "status": {"phase": "running", "percent": 0.4,
        "files_done": 1, "files_total": 2, "bytes_done": 10, "bytes_total": 20}});
    assert_eq!(agent.post(&format!("{job}/chunks"), chunk).await.0, 200);
    job
}

async fn ended(agent: &FakeAgent, job: &str, how: Value) {
    let now = Timestamp::now();
    let mut finish = json!({"attempt": 1, "started_at": now, "finished_at": now});
    finish.as_object_mut().unwrap().extend(how.as_object().unwrap().clone());
    let (status, said) = agent.post(&format!("{job}/finish"), finish).await;
    assert_eq!(status, 200, "{said}");
}

#[tokio::test]
async fn the_first_steps_are_done_in_place() {
    let server = ControlPlane::start();
    let (anna, eve) = (Visitor::sign_in(&server, "admin").await, Visitor::sign_in(&server, "viewer").await);
    let wrong = anna.submit("/welcome/repository", &[("name", "main"), ("url", ""), ("password", "secret")]).await;
    assert!(wrong.status == 422 && wrong.text.contains("value=\"main\""), "{}", wrong.text);
    let form = [("name", "main"), ("url", "rest:http://127.0.0.1:9/{host}/"), ("password", "secret"), ("init", "1")];
    let made = anna.submit("/welcome/repository", &form).await;
    assert!(made.status == 303 && made.location.starts_with("/?"), "{} {}", made.location, made.text);
    let second = anna.open("/").await.text;
    assert!(second.contains("action=\"/welcome/host\"") && second.contains("recovery kit"), "{second}");
    let wrong = anna.submit("/welcome/host", &[("name", "web-01"), ("paths", "")]).await;
    assert!(wrong.status == 422 && wrong.text.contains("First backup in 3 steps"), "{}", wrong.text);
    let repositories = server.get(&server.token("viewer"), "/api/v1/repositories").await;
    let main = repositories["items"][0]["id"].as_str().unwrap().to_owned();
    let form =
        [("name", "web-01"), ("paths", "/etc"), ("repository", &*main), ("rest_username", "u"), ("rest_password", "p")];
    assert_eq!(anna.submit("/welcome/host", &form).await.location, "/");
    let waiting = anna.open("/").await.text;
    let shown = token(&waiting).expect(&waiting);
    assert!(
        waiting.contains("Waiting for the agent") && waiting.contains("data-poll=\"/ui/welcome/live\""),
        "{waiting}"
    );
    assert!(token(&eve.open("/").await.text).is_none(), "the command is its maker's alone");

    let mut agent = FakeAgent::new(&server);
    assert_eq!(agent.enroll(&shown).await.0, 200);
    agent.poll(&[], 0).await;
    let third = anna.open("/").await.text;
    assert!(third.contains("web-01 is connected") && third.contains("action=\"/welcome/run\""), "{third}");
    assert!(third.contains("Download the recovery kit"), "{third}");
    assert!(!eve.open("/").await.text.contains("/welcome/run"), "a viewer may not");
    let run = [("host", &*agent.host.to_string()), ("key", "first")];
    assert_eq!(anna.submit("/welcome/run", &run).await.location, "/");
    let job = started(&mut agent).await;
    assert!(anna.open("/").await.text.contains("40 %"));
    let again = anna.submit("/welcome/run", &[("host", &*agent.host.to_string()), ("key", "other")]).await;
    assert!(again.status == 422 && again.text.contains("First backup in 3 steps"), "refused in place: {}", again.text);
    ended(
        &agent,
        &job,
        json!({"end": "failed", "cause": {"code": "wrong_password", "message": "no key"}, "exit_code": 12}),
    )
    .await;
    let failed = anna.open("/").await.text;
    assert!(failed.contains("does not open it") && failed.contains("/welcome/run"), "{failed}");

    let key = failed.split("name=\"key\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(anna.submit("/welcome/run", &[("host", &*agent.host.to_string()), ("key", &key)]).await.location, "/");
    let job = started(&mut agent).await;
    ended(&agent, &job, json!({"end": "succeeded", "exit_code": 0})).await;
    let live = anna.open("/ui/welcome/live").await.text;
    assert!(live.contains("The first backup has succeeded"), "{live}");
    let dashboard = anna.open("/").await.text;
    assert!(dashboard.contains("of 1 hosts protected") || dashboard.contains("of 1 host protected"), "{dashboard}");
}

#[tokio::test]
async fn who_wants_the_dashboard_gets_it() {
    let server = ControlPlane::start();
    let mut anna = Visitor::sign_in(&server, "operator").await;
    assert!(!anna.open("/").await.text.contains("/welcome/leave"), "there is nothing to see yet");
    let admin = server.token("admin");
    server.host(&admin, "web-01", &["/etc"]).await;
    assert!(anna.open("/").await.text.contains("/welcome/leave"));
    assert_eq!(anna.submit("/welcome/leave", &[]).await.location, "/");
    let first = anna.cookie.clone();
    anna.cookie = format!("{first}; rm_first_steps=left");
    assert!(anna.open("/").await.text.contains("Hosts, worst first"));
    anna.cookie = first;
    server.host(&admin, "web-02", &["/etc"]).await;
    assert!(anna.open("/").await.text.contains("Hosts, worst first"), "a fleet has its dashboard");
}
