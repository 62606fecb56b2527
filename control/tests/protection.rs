//! Protection as people see it: the state of a host follows the ends of its runs and the changes of its schedules, and a sown fleet shows
//! each state on the dashboard, in the list and over the API.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use restic_manager_tests::control::{ControlPlane, program};
use restic_manager_tests::fake_agent::FakeAgent;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use support::fresh_postgres;
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

/// What each line of the hosts' list begins with; the id of the host follows.
const LINE: &str = "<a class=\"plain name\" href=\"/hosts/";

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

fn sow(dir: &TempDir, hosts: &str, database: &[&str]) -> std::process::Output {
    let args = ["dev", "seed", "--hosts", hosts, "--days", "12", "--data-dir"];
    program().args(args).arg(dir.path()).args(database).output().unwrap()
}

#[tokio::test]
async fn a_sown_fleet_is_told_truly_by_both_databases() {
    let url = fresh_postgres();
    for database in [&[][..], &["--database-url", &url]] {
        let dir = TempDir::new().unwrap();
        let sown = sow(&dir, "24", database);
        assert!(sown.status.success(), "{}", String::from_utf8_lossy(&sown.stderr));
        let again = sow(&dir, "24", database);
        assert!(!again.status.success() && String::from_utf8_lossy(&again.stderr).contains("not empty"), "{again:?}");
        let server = ControlPlane::start_in(dir, database);
        let (fine, said) = server.doctor();
        assert!(fine, "{said}");
        let eve = Visitor::sign_in(&server, "viewer").await;
        the_dashboard_is_true(&eve).await;
        a_tag_of_hosts_narrows_every_page(&eve).await;
        hosts_are_found_by_what_they_are(&eve).await;
        snapshots_are_listed_by_day(&eve).await;
        everything_is_found(&eve).await;
    }
}

async fn the_dashboard_is_true(eve: &Visitor<'_>) {
    let dashboard = eve.open("/").await.text;
    assert!(dashboard.contains("<b>20</b> of 24 hosts protected"), "{dashboard}");
    for count in ["Hosts<span class=\"n\">24</span>", "Repositories<span class=\"n\">5</span>"] {
        assert!(dashboard.contains(count), "the navigation says {count}: {dashboard}");
    }
    assert!(dashboard.contains("4 need you: 2 are failing, 1 is too old, 1 was never backed up."), "{dashboard}");
    assert_eq!(dashboard.matches(">db-vault is locked</b>").count(), 1, "two hosts, one item: {dashboard}");
    assert!(dashboard.contains("laptop-jo is offline") && dashboard.contains("kiosk-02 has never connected"));
    let listed = dashboard.split("<caption class=\"vh\">Hosts, worst first").nth(1).unwrap();
    let at = |name: &str| listed.find(&format!(">{name}</a>")).unwrap();
    assert!(at("db-01") < at("laptop-jo") && at("laptop-jo") < at("kiosk-02") && at("kiosk-02") < at("fs-berlin"));
    assert!(!dashboard.contains("Remove lock"), "a viewer could not");
    assert!(dashboard.contains("3 of 5 repositories"), "append-only is proven of the first three: {dashboard}");
    let stored = dashboard.split("<dt>Stored</dt>").nth(1).unwrap();
    assert!(stored.contains("TiB</dd>") && stored.contains("in 7 days"), "{stored}");
    // Something runs every two hours; the soonest comes first, and what only runs by hand is not waited for.
    let next = dashboard.split("id=\"next\"").nth(1).unwrap();
    assert!(next.contains("web-01") && next.contains("more</span>") && !next.contains("kiosk-02"), "{next}");
    let times: Vec<&str> = next.split("datetime=\"").skip(1).map(|t| t.split('"').next().unwrap()).collect();
    assert!(times.len() == 6 && times.is_sorted(), "{times:?}");
}

/// What each page says of the two hosts with the tag, and the API with it.
async fn a_tag_of_hosts_narrows_every_page(eve: &Visitor<'_>) {
    let dashboard = eve.open("/?tag=db").await.text;
    assert!(dashboard.contains("<b>0</b> of 2 hosts protected") && dashboard.contains("2 need you: 2 are failing."));
    assert!(dashboard.contains(">db-vault is locked</b>") && !dashboard.contains("laptop-jo"), "{dashboard}");
    assert!(dashboard.contains("of 1 repository"), "the one that they use: {dashboard}");
    let next = dashboard.split("id=\"next\"").nth(1).unwrap();
    assert!(next.contains(">db-01</a>") && !next.contains("web-01") && !next.contains("more</span>"), "{next}");
    let other = eve.open("/?tag=kiosk").await.text;
    assert!(
        other.contains("<b>1</b> of 2 hosts protected") && other.contains("kiosk-02 has never connected"),
        "{other}"
    );
    assert!(!other.contains("is locked"), "another customer's: {other}");
    assert!(eve.open("/?tag=nobody-has-it").await.text.contains("No host has the tag nobody-has-it"));
    let live = eve.open("/ui/dashboard/live?tag=db&cursor=").await.text;
    assert!(
        live.contains("<b>0</b> of 2 hosts protected") && live.contains("/hosts?state=protected&amp;tag=db"),
        "{live}"
    );

    let snapshots = eve.open("/snapshots?tag=db").await.text;
    let picks = between(&snapshots, "aria-label=\"Select snapshot ", "\"");
    assert!(picks.len() > 10 && picks.iter().all(|p| p.ends_with("of db-01") || p.ends_with("of db-02")), "{picks:?}");
    let times = between(&snapshots, "<b><time datetime=\"", "\"");
    assert!(times.iter().rev().is_sorted(), "the newest first: {times:?}");
    let of_many = eve.open("/snapshots?tag=prod&host=web-01").await.text;
    let picks = between(&of_many, "aria-label=\"Select snapshot ", "\"");
    assert!(!picks.is_empty() && picks.iter().all(|p| p.ends_with("of web-01")), "{picks:?}");
    let repositories = eve.open("/repositories?tag=db").await.text;
    assert_eq!(between(&repositories, "class=\"plain name\" href=\"/repositories/", "<").len(), 1, "{repositories}");
    for (path, page) in [("/", &dashboard), ("/snapshots", &snapshots), ("/repositories", &repositories)] {
        for to in ["/", "/hosts", "/jobs", "/snapshots", "/repositories", "/alerts"] {
            assert!(page.contains(&format!("<a href=\"{to}?tag=db\"")), "{path} hands the tag on to {to}");
        }
    }

    let api = eve.server.token("viewer");
    let fleet = eve.server.get(&api, "/api/v1/fleet?host_tag=db").await;
    assert_eq!((&fleet["hosts"], &fleet["protected"]), (&json!(2), &json!(0)), "{fleet}");
    assert_eq!(fleet["by_protection"], json!([{"state": "failing", "hosts": 2}]));
    let all = eve.server.get(&api, "/api/v1/fleet").await;
    assert_eq!((&all["hosts"], &all["protected"]), (&json!(24), &json!(20)), "{all}");
    let ended = |fleet: &Value| -> i64 {
        fleet["ended_last_day"].as_array().unwrap().iter().map(|e| e["jobs"].as_i64().unwrap()).sum()
    };
    assert!(ended(&fleet) > 0 && ended(&fleet) < ended(&all), "{fleet} {all}");
    assert!(all["next_runs"].as_array().unwrap().len() == 6 && all["next_runs"][0]["hosts"][0]["name"].is_string());
    let repositories = eve.server.get(&api, "/api/v1/repositories?host_tag=db").await;
    assert_eq!(repositories["items"].as_array().unwrap().len(), 1, "{repositories}");
    let snapshots = eve.server.get(&api, "/api/v1/snapshots?host_tag=db&limit=5").await;
    let next = format!("/api/v1/snapshots?host_tag=db&limit=5&cursor={}", snapshots["next"].as_str().unwrap());
    let again = eve.server.get(&api, &next).await;
    let (first, second) = (&snapshots["items"], &again["items"]);
    let place = |s: &Value| (s["time"].as_str().unwrap().to_owned(), s["id"].as_str().unwrap().to_owned());
    assert!(place(&first[4]) > place(&second[0]), "the next page goes on: {first} {second}");
}

async fn hosts_are_found_by_what_they_are(eve: &Visitor<'_>) {
    for (query, names) in [
        ("state=failing", vec!["db-01", "db-02"]),
        ("q=BERLIN", vec!["fs-berlin"]),
        ("q=100%25", vec![]),
        ("tag=%F0%9F%8E%AC+film", vec!["a-machine-whose-name-is-as-long-as-a-host-name-may-be-at-most-x"]),
        ("os=windows&state=warning", vec!["design-ws-07", "fs-berlin"]),
    ] {
        let page = eve.open(&format!("/hosts?{query}")).await.text;
        let found = page.matches(LINE).count();
        assert_eq!(found, names.len(), "{query}");
        assert!(names.iter().all(|name| page.contains(&format!(">{name}</a>"))), "{query}: {page}");
    }
}

/// The values of an attribute or what else stands between the two.
fn between<'a>(page: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    page.split(before).skip(1).map(|rest| rest.split(after).next().unwrap()).collect()
}

async fn snapshots_are_listed_by_day(eve: &Visitor<'_>) {
    let page = eve.open("/snapshots").await.text;
    let days = between(&page, "scope=\"rowgroup\">", "<");
    assert!(days[0].starts_with("Today, ") || days[0].starts_with("Yesterday, "), "{days:?}");
    let times = between(&page, "<b><time datetime=\"", "\"");
    assert!(times.len() == 50 && times.iter().rev().is_sorted(), "the newest first: {times:?}");
    let of_db = eve.open("/snapshots?host=db-01").await.text;
    let picks = between(&of_db, "name=\"s\" value=\"", "\"");
    assert!(picks.len() >= 2 && between(&of_db, "Select snapshot ", "\"").iter().all(|s| s.ends_with("db-01")));
    // The days of the list are the viewer's; a day that was long ago has nothing before it.
    assert!(eve.open("/snapshots?until=2001-01-01").await.text.contains("No snapshot matches"));
    assert!(eve.open("/snapshots?until=soon").await.text.contains("A day such as"));
    assert!(eve.open("/snapshots?host=nobody").await.text.contains("There is no host nobody"));
    assert!(eve.open("/snapshots?snapshot_tag=none-has-it").await.text.contains("No snapshot matches"));

    let ticked = |picks: &[&str]| {
        let pairs = picks.iter().map(|pick| ("s", *pick));
        format!(
            "/snapshots/compare?{}",
            url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
        )
    };
    let id = |pick: &str| pick.split_once(' ').unwrap().1.to_owned();
    let two = eve.open(&ticked(&picks[..2])).await;
    assert!(two.location.ends_with(&format!("/changes?from={}&to={}", id(picks[1]), id(picks[0]))), "{}", two.location);
    assert!(eve.open(&ticked(&picks[..1])).await.location.ends_with(&format!("/changes?to={}", id(picks[0]))));
    let none = eve.open("/snapshots/compare").await;
    assert_eq!((none.status, none.location.as_str()), (303, "/snapshots?wrong=ticks"), "back to the list");
    let of_laptop = eve.open("/snapshots?host=laptop-anna").await.text;
    let apart = [picks[0], between(&of_laptop, "name=\"s\" value=\"", "\"")[0]];
    let refused = eve.open(&ticked(&apart)).await;
    let list = eve.open(&refused.location).await;
    assert!(
        list.status == 200 && list.text.contains("in different repositories"),
        "{}: {}",
        refused.location,
        list.text
    );
}

async fn everything_is_found(eve: &Visitor<'_>) {
    let hosts = eve.open("/search?q=db-0").await.text;
    assert!(hosts.contains(">db-01</a>") && hosts.contains(">db-02</a>"), "{hosts}");
    let host = eve.open("/search?q=laptop-anna").await;
    assert!(host.status == 303 && host.location.starts_with("/hosts/"), "one hit is gone to: {}", host.location);
    let path = eve.open("/search?q=postgres").await.text;
    assert!(path.contains(">dumps</a>") && path.contains("of db-01"), "by the path of a schedule: {path}");
    let on_windows = eve.open("/search?q=c:%5Cusers").await.text;
    assert!(on_windows.contains(">Arbeitsdaten</a>"), "a path with a backslash: {on_windows}");
    let of_the_format = eve.open("/search?q=exclude").await.text;
    assert!(of_the_format.contains("Nothing is called that"), "what is kept beside paths is no name: {of_the_format}");
    for nothing in [
        "/search?q=%00",
        "/snapshots?tag=%00",
        "/snapshots?host=%00",
        "/hosts?q=%00",
        "/?tag=%00",
        "/repositories?tag=%00",
    ] {
        assert_eq!(eve.open(nothing).await.status, 400, "{nothing}");
    }
    let repository = eve.open("/search?q=offsite.example").await;
    assert!(repository.location.starts_with("/repositories/"), "by its address: {}", repository.text);
    let snapshots = eve.open("/snapshots").await.text;
    let short = between(&snapshots, "<code>", "<")[0];
    let snapshot = eve.open(&format!("/search?q={short}")).await;
    assert!(snapshot.location.contains(&format!("/changes?to={short}")), "{}", snapshot.text);
    let jobs = eve.open("/jobs").await.text;
    let job = between(&jobs, "href=\"/jobs/", "\"").into_iter().find(|id| id.len() == 36).unwrap();
    assert_eq!(eve.open(&format!("/search?q={}", &job[..13])).await.location, format!("/jobs/{job}"));
    assert!(eve.open("/search?q=%25_%21").await.text.contains("Nothing is called that"));
}

#[tokio::test]
async fn every_host_is_on_one_page_of_the_list() {
    let dir = TempDir::new().unwrap();
    assert!(sow(&dir, "120", &[]).status.success());
    let server = ControlPlane::start_in(dir, &[]);
    let eve = Visitor::sign_in(&server, "viewer").await;
    for order in ["/hosts", "/hosts?sort=name"] {
        let (mut seen, mut next) = (vec![], Some(order.to_owned()));
        while let Some(path) = next.take() {
            let page = eve.open(&path).await.text;
            seen.extend(page.split(LINE).skip(1).map(|part| part[..36].to_owned()));
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
