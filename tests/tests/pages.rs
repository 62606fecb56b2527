//! The main path as a person goes it, in a real browser: sign in, add a host, run its schedule, see the snapshot. With JavaScript and
//! without.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use fantoccini::Locator;
use restic_manager_tests::agent::Agent;
use restic_manager_tests::browser::Browser;
use restic_manager_tests::control::program;
use restic_manager_tests::fleet::{Fleet, PASSWORD};
use serde_json::json;
use std::path::Path;

const LOGIN: &str = "correct horse battery";

async fn sign_in(fleet: &Fleet, browser: &Browser) {
    let mut add = program();
    add.args(["user", "add", "anna", "--role", "admin", "--data-dir"]).arg(fleet.control.dir.path());
    assert!(add.env("RESTIC_MANAGER_PASSWORD", LOGIN).status().unwrap().success());
    browser.page.goto(&format!("{}/hosts", fleet.control.url)).await.unwrap();
    browser.fill("name", "anna").await;
    browser.fill("password", LOGIN).await;
    browser.press("Sign in").await;
    browser.sees("Hosts").await;
}

/// Fills in Add host and runs what the page says on the "machine".
async fn add_host(fleet: &Fleet, browser: &Browser, name: &str, source: &Path) -> Agent {
    browser.page.goto(&format!("{}/hosts/add", fleet.control.url)).await.unwrap();
    browser.sees("Initial schedule · manual").await;
    tell_of_host(browser, name, source).await;
    let command = browser.wait("#cmd-l").await.text().await.unwrap();
    browser.sees("manual schedule").await;
    browser.page.refresh().await.unwrap();
    assert_eq!(browser.wait("#cmd-l").await.text().await.unwrap(), command, "loading it again changes nothing");
    enroll(fleet, &command).await
}

/// Fills in the form of a host and sends it.
async fn tell_of_host(browser: &Browser, name: &str, source: &Path) {
    browser.fill("name", name).await;
    browser.fill("paths", source.to_str().unwrap()).await;
    browser.wait("details.fold > summary").await.click().await.unwrap();
    browser.wait("select[name=repository]").await.select_by_label("main").await.unwrap();
    browser.fill("rest_username", name).await;
    browser.fill("rest_password", &format!("pw-{name}")).await;
    browser.press("Make install command").await;
}

/// Runs a command on the "machine".
async fn enroll(fleet: &Fleet, command: &str) -> Agent {
    let token = command.split_whitespace().find(|word| word.starts_with("rme_")).expect(command);
    let hosts = fleet.control.get(&fleet.admin, "/api/v1/hosts").await;
    Agent::enroll(&fleet.control, &json!({"token": token, "host_id": hosts["items"][0]["id"]})).unwrap()
}

/// What the page loaded from other servers.
async fn foreign(browser: &Browser) -> Vec<String> {
    let entries =
        browser.page.execute("return performance.getEntriesByType('resource').map(e => e.name)", vec![]).await.unwrap();
    let own = browser.page.current_url().await.unwrap().origin().ascii_serialization();
    entries
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|u| u.as_str())
        .filter(|u| !u.starts_with(&own))
        .map(ToOwned::to_owned)
        .collect()
}

#[tokio::test]
async fn from_add_host_to_the_snapshot() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("web-01");
    let browser = Browser::start(true).await;
    sign_in(&fleet, &browser).await;
    let mut agent = add_host(&fleet, &browser, "web-01", &source).await;
    agent.start();
    browser.press("Schedules of web-01").await;
    browser.sees("— run-now only —").await;
    fleet.until_online(&agent).await;
    browser.page.refresh().await.unwrap();
    browser.press("Run now").await;
    browser.sees("Backup of web-01").await;
    browser.sees("Succeeded").await;
    assert_eq!(foreign(&browser).await, Vec::<String>::new(), "a page loads nothing from elsewhere");
    let jobs = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/jobs", agent.host)).await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1, "one press is one job");
    let id = jobs["items"][0]["result"]["summary"]["snapshot_id"].as_str().unwrap().to_owned();
    browser.page.goto(&format!("{}/hosts/{}/snapshots", fleet.control.url, agent.host)).await.unwrap();
    browser.sees(&id[..8]).await;
    fleet.storage.assert_equals_source("web-01", PASSWORD, &id, &source);
    browser.end().await;
}

#[tokio::test]
async fn the_first_steps_lead_to_the_dashboard() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("web-01");
    let browser = Browser::start(true).await;
    sign_in(&fleet, &browser).await;
    browser.page.goto(&format!("{}/", fleet.control.url)).await.unwrap();
    browser.sees("Add your first host").await;
    tell_of_host(&browser, "web-01", &source).await;
    browser.sees("Waiting for the agent").await;
    let mut agent = enroll(&fleet, &browser.wait("#cmd-l").await.text().await.unwrap()).await;
    agent.start();
    browser.sees("web-01 is connected").await;
    fleet.until_online(&agent).await;
    browser.press("Run now").await;
    browser.sees("The first backup has succeeded").await;
    browser.press("Give the schedule a time").await;
    browser.sees("— run-now only —").await;
    browser.page.goto(&format!("{}/", fleet.control.url)).await.unwrap();
    browser.sees("of 1 host protected").await;
    browser.end().await;
}

#[tokio::test]
async fn the_same_way_without_javascript() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("web-01");
    let browser = Browser::start(false).await;
    sign_in(&fleet, &browser).await;
    let mut agent = add_host(&fleet, &browser, "web-01", &source).await;
    agent.start();
    fleet.until_online(&agent).await;
    browser.page.goto(&format!("{}/hosts/{}/schedules", fleet.control.url, agent.host)).await.unwrap();
    browser.press("Run now").await;
    browser.sees("Backup of web-01").await;
    browser.reload_until("Succeeded").await;
    browser.end().await;
}

#[tokio::test]
async fn the_manual_checkbox_hides_the_cron_field_and_the_server_checks_again() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("web-01");
    let browser = Browser::start(true).await;
    sign_in(&fleet, &browser).await;
    let agent = add_host(&fleet, &browser, "web-01", &source).await;
    let form = format!("{}/hosts/{}/schedules/new", fleet.control.url, agent.host);
    browser.page.goto(&form).await.unwrap();
    let cron = browser.wait("[name=cron]").await;
    assert!(cron.is_displayed().await.unwrap());
    browser.wait("[name=manual]").await.click().await.unwrap();
    assert!(!cron.is_displayed().await.unwrap(), "a manual schedule has no cron line");
    browser.wait("[name=manual]").await.click().await.unwrap();
    browser.fill("name", "Nightly").await;
    browser.fill("paths", "/srv").await;
    browser.fill("cron", "61 2 * * *").await;
    browser.press("Add schedule").await;
    browser.sees("minute").await;
    let kept = browser.page.find(Locator::Css("[name=cron]")).await.unwrap().prop("value").await.unwrap();
    assert_eq!(kept.as_deref(), Some("61 2 * * *"), "what was typed is kept");
    browser.fill("cron", "30 2 * * *").await;
    browser.press("Add schedule").await;
    browser.sees("30 2 * * *").await;
    let schedules = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/schedules", agent.host)).await;
    assert_eq!(schedules["items"][1]["cron"], "30 2 * * *");
    browser.end().await;
}

#[tokio::test]
async fn the_schedule_form_reads_the_cron_line_while_it_is_typed() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("web-01");
    let browser = Browser::start(true).await;
    sign_in(&fleet, &browser).await;
    let agent = add_host(&fleet, &browser, "web-01", &source).await;
    browser.page.goto(&format!("{}/hosts/{}/schedules/new", fleet.control.url, agent.host)).await.unwrap();
    browser.fill("timezone", "Europe/Berlin").await;
    browser.fill("cron", "0 3 * * 1-5").await;
    browser.sees("Every weekday at 03:00").await;
    let zone = browser.wait("#runs .card-h span").await.text().await.unwrap();
    assert_eq!(zone, "Europe/Berlin");
    browser.fill("cron", "0 3 * * 1-9").await;
    browser.sees("Day of week: 9 is not within 0 to 7").await;
    browser.press("Weekly").await;
    browser.sees("Every Sunday at 02:30").await;
    assert!(!browser.text().await.contains("Show next runs"), "the button is for browsers without script");
    browser.end().await;
}

#[tokio::test]
async fn without_javascript_a_button_shows_the_next_runs() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("web-01");
    let browser = Browser::start(false).await;
    sign_in(&fleet, &browser).await;
    let agent = add_host(&fleet, &browser, "web-01", &source).await;
    browser.page.goto(&format!("{}/hosts/{}/schedules/new", fleet.control.url, agent.host)).await.unwrap();
    browser.fill("name", "Nightly").await;
    browser.fill("cron", "0 3 * * 1-5").await;
    browser.press("Show next runs").await;
    browser.sees("Every weekday at 03:00").await;
    let name = browser.wait("[name=name]").await.prop("value").await.unwrap();
    assert_eq!(name.as_deref(), Some("Nightly"), "what was typed is kept");
    let schedules = fleet.control.get(&fleet.admin, &format!("/api/v1/hosts/{}/schedules", agent.host)).await;
    assert_eq!(schedules["items"].as_array().unwrap().len(), 1, "nothing is saved");
    browser.end().await;
}

/// Goes through a repository's pages: its health, its plan, what retention would do, and an operation that only looks.
async fn through_a_repository(script: bool) {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("web-01");
    let browser = Browser::start(script).await;
    sign_in(&fleet, &browser).await;
    let agent = add_host(&fleet, &browser, "web-01", &source).await;
    let page = format!("{}/repositories/{}", fleet.control.url, fleet.repository);
    browser.page.goto(&page).await.unwrap();
    browser.sees("Is it healthy, is it safe?").await;
    browser.press("Maintenance").await;
    browser.sees("Read a part of the data").await;
    browser.fill("prune", "0 3 * * 1-5").await;
    browser.press("Read the lines").await;
    browser.sees("Every weekday at 03:00").await;
    browser.press("Save plan").await;
    browser.sees("Plan saved").await;
    let kept = fleet.control.get(&fleet.admin, &format!("/api/v1/repositories/{}/maintenance", fleet.repository)).await;
    assert_eq!(kept["plan"]["prune"], "0 3 * * 1-5");
    browser.page.goto(&format!("{page}/retention")).await.unwrap();
    browser.sees("Nothing would go").await;
    browser.page.goto(&format!("{page}/operations?kind=probe")).await.unwrap();
    browser.press("Test the connection").await;
    browser.sees("Test the connection, on web-01").await;
    assert_eq!(foreign(&browser).await, Vec::<String>::new(), "a page loads nothing from elsewhere");
    drop(agent);
    browser.end().await;
}

#[tokio::test]
async fn the_pages_of_a_repository() {
    through_a_repository(true).await;
}

#[tokio::test]
async fn the_pages_of_a_repository_without_javascript() {
    through_a_repository(false).await;
}
