//! Protection as people see it: the state of a host follows the ends of its runs and the changes of its schedules, and a sown fleet shows
//! each state on the dashboard, in the list and over the API.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::control::{ControlPlane, program};
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A run of the host's only schedule that ends so.
async fn run(server: &ControlPlane, admin: &str, agent: &mut FakeAgent, end: &str) {
    let (status, queued) = server.post(admin, &format!("/api/v1/hosts/{}/run", agent.host), json!({})).await;
    assert_eq!(status, 202, "{queued}");
    let job = format!("/agent/v1/jobs/{}", queued["job"]["id"].as_str().unwrap());
    let offer = agent.poll(&[], 5).await.offers.remove(0);
    assert_eq!(agent.post(&format!("{job}/claim"), json!({"attempt": offer.attempt})).await.0, 200);
    let finish = json!({"attempt": offer.attempt, "end": end, "started_at": "2026-01-01T00:00:00Z",
        "finished_at": "2026-01-01T00:01:00Z", "summary": {"total_bytes_processed": 4096},
        "cause": {"code": "source_unreadable", "message": "x"}});
    let (status, answer) = agent.post(&format!("{job}/finish"), finish).await;
    assert_eq!(status, 200, "{answer}");
}

async fn protection(server: &ControlPlane, admin: &str, agent: &FakeAgent) -> Value {
    server.get(admin, &format!("/api/v1/hosts/{}", agent.host)).await["protection"].clone()
}

#[tokio::test]
async fn a_host_is_protected_once_it_was_backed_up_and_as_long_as_something_is_planned() {
    let server = ControlPlane::start();
    let admin = server.token("admin");
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    assert_eq!(protection(&server, &admin, &agent).await["state"], "never");
    run(&server, &admin, &mut agent, "failed").await;
    assert_eq!(protection(&server, &admin, &agent).await["state"], "never", "nothing good yet");
    run(&server, &admin, &mut agent, "succeeded").await;
    let good = protection(&server, &admin, &agent).await;
    assert_eq!((&good["state"], &good["bytes"]), (&json!("protected"), &json!(4096)), "{good}");
    run(&server, &admin, &mut agent, "warning").await;
    assert_eq!(protection(&server, &admin, &agent).await["state"], "warning");
    run(&server, &admin, &mut agent, "failed").await;
    let failed = protection(&server, &admin, &agent).await;
    assert_eq!(failed["state"], "warning", "the backup before it still counts: {failed}");

    let schedules = server.get(&admin, &format!("/api/v1/hosts/{}/schedules", agent.host)).await;
    let (id, repository) = (schedules["items"][0]["id"].as_str().unwrap(), &schedules["items"][0]["repository_id"]);
    let change = async |enabled: bool| {
        let body = json!({"name": "initial", "paths": ["/etc"], "manual": true, "enabled": enabled, "repository_id": repository});
        server.call(&admin, reqwest::Method::PUT, &format!("/api/v1/schedules/{id}"), body).await
    };
    assert_eq!(change(false).await.0, 200);
    assert_eq!(protection(&server, &admin, &agent).await["state"], "unplanned");
    assert_eq!(change(true).await.0, 200);
    assert_eq!(protection(&server, &admin, &agent).await["state"], "warning", "what its backups came to was kept");
    let daily = json!({"name": "daily", "paths": ["/srv"], "cron": "0 2 * * *", "repository_id": repository});
    let (status, made) = server.post(&admin, &format!("/api/v1/hosts/{}/schedules", agent.host), daily).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(protection(&server, &admin, &agent).await["state"], "never", "a schedule that never ran");
}

fn sow(dir: &TempDir, hosts: &str) -> std::process::Output {
    let args = ["dev", "seed", "--hosts", hosts, "--days", "12", "--data-dir"];
    program().args(args).arg(dir.path()).output().unwrap()
}

#[tokio::test]
async fn a_sown_fleet_is_told_truly() {
    let dir = TempDir::new().unwrap();
    let sown = sow(&dir, "24");
    assert!(sown.status.success(), "{}", String::from_utf8_lossy(&sown.stderr));
    let again = sow(&dir, "24");
    assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("not empty"), "{again:?}");
    let server = ControlPlane::start_in(dir, &[]);
    let (fine, said) = server.doctor();
    assert!(fine, "{said}");

    let eve = Visitor::sign_in(&server, "viewer").await;
    let dashboard = eve.open("/").await.text;
    assert!(dashboard.contains("<b>20</b> of 24 hosts protected"), "{dashboard}");
    assert!(dashboard.contains("4 need you: 2 are failing, 1 is too old, 1 was never backed up."), "{dashboard}");
    assert_eq!(dashboard.matches(">db-vault is locked</b>").count(), 1, "two hosts, one item: {dashboard}");
    assert!(dashboard.contains("laptop-jo is offline") && dashboard.contains("kiosk-02 has never connected"));
    let listed = dashboard.split("Hosts, worst first").nth(1).unwrap();
    let at = |name: &str| listed.find(&format!(">{name}</a>")).unwrap();
    assert!(at("db-01") < at("laptop-jo") && at("laptop-jo") < at("kiosk-02") && at("kiosk-02") < at("fs-berlin"));

    for (query, names) in [
        ("state=failing", vec!["db-01", "db-02"]),
        ("q=BERLIN", vec!["fs-berlin"]),
        ("q=100%25", vec![]),
        ("tag=%F0%9F%8E%AC+film", vec!["a-machine-whose-name-is-as-long-as-a-host-name-may-be-at-most-x"]),
        ("os=windows&state=warning", vec!["design-ws-07", "fs-berlin"]),
    ] {
        let page = eve.open(&format!("/hosts?{query}")).await.text;
        let found = page.matches("<tr role=\"row\" id=\"h-").count();
        assert_eq!(found, names.len(), "{query}");
        assert!(names.iter().all(|name| page.contains(&format!(">{name}</a>"))), "{query}: {page}");
    }
}

#[tokio::test]
async fn every_host_is_on_one_page_of_the_list() {
    let dir = TempDir::new().unwrap();
    assert!(sow(&dir, "120").status.success());
    let server = ControlPlane::start_in(dir, &[]);
    let eve = Visitor::sign_in(&server, "viewer").await;
    for order in ["/hosts", "/hosts?sort=name"] {
        let (mut seen, mut next) = (vec![], Some(order.to_owned()));
        while let Some(path) = next.take() {
            let page = eve.open(&path).await.text;
            seen.extend(page.split("id=\"h-").skip(1).map(|part| part[..36].to_owned()));
            let link = page.split("rel=\"next\"").next().filter(|before| before.len() < page.len());
            next = link
                .and_then(|before| before.rsplit("href=\"").next())
                .map(|href| href.split('"').next().unwrap().replace("&amp;", "&"));
        }
        let all = seen.len();
        seen.sort();
        seen.dedup();
        assert_eq!((all, seen.len()), (120, 120), "{order}");
    }
}
