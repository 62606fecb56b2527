//! Every page of the product on a seeded server, in a real browser: at all widths, in both themes, with a wide font, with large text and
//! with names as long and as odd as they may be. Walks the pages' sources, so that a new page cannot be forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_shared::release::SigningKey;
use restic_manager_tests::browser::{Browser, PASSWORD, Settings};
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::looks::{self, WIDTHS, Wrong};
use restic_manager_tests::release;
use restic_manager_tests::seeded::{Seeded, endless, sown_with};
use restic_manager_tests::tools::root;
use restic_manager_tests::visitor::Visitor;
use serde_json::json;
use std::collections::BTreeSet;
use std::path::Path;

/// A page to open: the route that answers it, where it is, and the status that it is answered with.
struct Visit {
    route: &'static str,
    at: String,
    status: u16,
}

/// Routes that show no page: a file, and a way to another page.
const NO_PAGE: [&str; 1] = ["/repositories/{id}/changes/download"];

/// What only somebody sees who is not signed in, or on a server that holds nothing or was started for it: opened
/// by the tests of their own.
const APART: [&str; 3] = ["/login", "/setup", "/states"];

fn visit(route: &'static str, at: impl Into<String>) -> Visit {
    Visit { route, at: at.into(), status: 200 }
}

fn lists() -> Vec<Visit> {
    let mut visits: Vec<Visit> = [
        "/",
        "/alerts",
        "/alerts/channels",
        "/alerts/channels/add",
        "/drills",
        "/hosts",
        "/hosts/add",
        "/jobs",
        "/recovery",
        "/repositories",
        "/repositories/add",
        "/restore",
        "/restore/find",
        "/search",
        "/settings/audit",
        "/settings/general",
        "/settings/releases",
        "/settings/releases/advance",
        "/settings/releases/roll-back",
        "/settings/tokens",
        "/settings/users",
        "/snapshots",
    ]
    .map(|route| visit(route, route))
    .into();
    visits.extend([
        visit("/hosts", "/hosts?q=nothing-is-called-so"),
        visit("/hosts/actions", "/hosts/actions?do=pause&all=1"),
        visit("/hosts/actions", "/hosts/actions?do=update_agent&all=1"),
        visit("/jobs", "/jobs?state=failed"),
        visit("/jobs", "/jobs?kind=prune&host=nobody"),
        visit("/alerts", "/alerts?show=all"),
        visit("/restore", "/restore?day=2025-01-01"),
        visit("/search", "/search?q=a"),
        visit("/search", format!("/search?q={}", endless())),
        visit("/snapshots/compare", "/snapshots/compare"),
        Visit { route: "", at: "/there-is-no-such-page".into(), status: 404 },
    ]);
    visits
}

fn of_the_host(it: &Seeded) -> Vec<Visit> {
    let (host, schedule, jobs) = (it.host, &it.schedule, &it.jobs);
    vec![
        visit("/hosts/{id}", format!("/hosts/{host}")),
        visit("/hosts/{id}/freeze", format!("/hosts/{host}/freeze")),
        visit("/hosts/{id}/jobs", format!("/hosts/{host}/jobs")),
        visit("/hosts/{id}/pause", format!("/hosts/{host}/pause")),
        visit("/hosts/{id}/remove", format!("/hosts/{host}/remove")),
        visit("/hosts/{id}/run", format!("/hosts/{host}/run")),
        visit("/hosts/{id}/settings", format!("/hosts/{host}/settings")),
        visit("/hosts/actions", format!("/hosts/actions?do=run&host={host}")),
        visit("/hosts/{id}/schedules", format!("/hosts/{host}/schedules")),
        visit("/hosts/{id}/schedules/new", format!("/hosts/{host}/schedules/new")),
        visit("/hosts/{id}/snapshots", format!("/hosts/{host}/snapshots")),
        visit("/hosts/{id}/thaw", format!("/hosts/{host}/thaw")),
        visit("/schedules/{id}/edit", format!("/schedules/{schedule}/edit")),
        visit("/schedules/{id}/edit", format!("/schedules/{}/edit", it.manual)),
        visit("/schedules/{id}/pause", format!("/schedules/{schedule}/pause")),
        visit("/schedules/{id}/delete", format!("/schedules/{schedule}/delete")),
        visit("/jobs/{id}", format!("/jobs/{}", jobs.running)),
        visit("/jobs/{id}", format!("/jobs/{}", jobs.failed)),
        visit("/jobs/{id}", format!("/jobs/{}", jobs.warned)),
        visit("/jobs/{id}", format!("/jobs/{}", jobs.queued)),
        visit("/jobs/{id}/cancel", format!("/jobs/{}/cancel", jobs.running)),
    ]
}

/// A host that waits for its agent, with its command and without.
async fn of_waiting(it: &Seeded, visitor: &Visitor<'_>) -> Vec<Visit> {
    let body = json!({"host_name": "waits-for-its-agent", "initial_paths": [format!("/srv/{}", endless()), "/etc"],
        "repository_id": it.odd_repository, "tags": ["x".repeat(100)]});
    let (status, made) = it.control.post(&it.admin, "/api/v1/enrollment-tokens", body).await;
    assert_eq!(status, 201, "{made}");
    let host = made["host_id"].as_str().unwrap();
    let form = [("name", "waits-with-a-command"), ("paths", "/srv"), ("valid", "24")];
    let shown = visitor.submit("/hosts/add", &form).await.location;
    vec![
        visit("/hosts/{id}/added", shown),
        visit("/hosts/{id}/added", format!("/hosts/{host}/added")),
        visit("/hosts/{id}/added", format!("/hosts/{}/added", it.host)),
        visit("/hosts/{id}/install", format!("/hosts/{host}/install")),
    ]
}

fn of_repositories(it: &Seeded) -> Vec<Visit> {
    let (odd, [newer, older]) = (&it.odd_repository, &it.snapshots);
    let mut visits = vec![
        visit("/repositories/{id}", format!("/repositories/{}", it.repository)),
        visit("/repositories/{id}/hosts", format!("/repositories/{}/hosts", it.repository)),
        visit("/repositories/{id}/snapshots", format!("/repositories/{}/snapshots", it.repository)),
        visit("/repositories/{id}", format!("/repositories/{odd}")),
        visit("/repositories/{id}/changes", format!("/repositories/{odd}/changes?from={older}&to={newer}")),
        visit("/repositories/{id}/delete", format!("/repositories/{odd}/delete")),
        visit("/repositories/{id}/hosts", format!("/repositories/{odd}/hosts?host={}", it.host)),
        visit("/repositories/{id}/hosts/{host}/remove", format!("/repositories/{odd}/hosts/{}/remove", it.host)),
        visit("/repositories/{id}/locks/remove", format!("/repositories/{odd}/locks/remove")),
        visit("/repositories/{id}/maintenance", format!("/repositories/{odd}/maintenance")),
        visit("/repositories/{id}/maintenance/run", format!("/repositories/{odd}/maintenance/run?chore=all")),
        visit("/repositories/{id}/rotate-password", format!("/repositories/{odd}/rotate-password")),
        visit("/repositories/{id}/operations", format!("/repositories/{odd}/operations")),
        visit(
            "/repositories/{id}/operations",
            format!("/repositories/{odd}/operations?kind=rewrite&snapshots={newer}"),
        ),
        visit("/repositories/{id}/retention", format!("/repositories/{odd}/retention")),
        visit("/repositories/{id}/settings", format!("/repositories/{odd}/settings")),
        visit("/repositories/{id}/snapshots", format!("/repositories/{odd}/snapshots")),
        visit("/repositories/{id}/snapshots", format!("/repositories/{odd}/snapshots?wrong=alone")),
        visit("/repositories/{id}", format!("/repositories/{}?span=all", it.repository)),
    ];
    let found = format!("host={}&find=film", it.host);
    visits.push(visit("/restore/find", format!("/restore/find?{found}")));
    let path = format!("/srv/{}", endless());
    visits.push(visit("/restore/versions", format!("/restore/versions?host={}&path={path}", it.host)));
    visits
}

/// Who is told of alerts: a channel with an odd name, and an alert that is open.
async fn of_channels(it: &Seeded) -> Vec<Visit> {
    let name = format!("Pager {}", "x".repeat(60));
    let url = format!("http://127.0.0.1:9/{}", endless());
    let channel = json!({"name": name, "webhook": {"preset": "generic", "url": url, "secret": "signing-key"},
        "summary": {"at": "08:00", "timezone": "America/Argentina/ComodRivadavia"}});
    let (status, made) = it.control.post(&it.admin, "/api/v1/channels", channel).await;
    assert_eq!(status, 201, "{made}");
    let channel = format!("/alerts/channels/{}", made["id"].as_str().unwrap());
    let alerts = it.control.get(&it.admin, "/api/v1/alerts").await;
    let alert = alerts["items"].as_array().unwrap().iter().find(|a| a["resolved_at"].is_null()).unwrap();
    vec![
        visit("/alerts/channels/{id}", channel.clone()),
        visit("/alerts/channels/{id}/edit", format!("{channel}/edit")),
        visit("/alerts/channels/{id}/delete", format!("{channel}/delete")),
        visit("/alerts/channels/add", "/alerts/channels/add?kind=webhook"),
        visit("/alerts/{id}/acknowledge", format!("/alerts/{}/acknowledge", alert["id"].as_str().unwrap())),
    ]
}

/// A release that is rolled out.
async fn of_releases(it: &Seeded) -> Vec<Visit> {
    let (version, target) = ("0.2.0", release::TARGET);
    release::publish(&it.control, &it.admin, &SigningKey::generate().unwrap(), version).await;
    let (status, started) = it.control.post(&it.admin, "/api/v1/rollout", json!({"version": version})).await;
    assert_eq!(status, 201, "{started}");
    let withdraw = format!("/settings/releases/{version}/{target}/withdraw");
    vec![visit("/settings/releases/{version}/{target}/withdraw", withdraw)]
}

/// A token that may be taken back.
async fn of_tokens(it: &Seeded) -> Vec<Visit> {
    let tokens = it.control.get(&it.admin, "/api/v1/api-tokens").await;
    let token = tokens["items"][0]["id"].as_str().unwrap();
    vec![visit("/settings/tokens/{id}/revoke", format!("/settings/tokens/{token}/revoke"))]
}

/// The steps of a restore, each of a draft that has come so far.
async fn of_restores(it: &Seeded, visitor: &Visitor<'_>) -> Vec<Visit> {
    let path = format!("/srv/{}", endless());
    let (first, second) = (it.restore(visitor, None).await, it.restore(visitor, Some(&path)).await);
    let third = it.restore(visitor, Some(&path)).await;
    let host = it.host.to_string();
    let folder = format!("/var/tmp/{}", endless());
    let aim = [
        ("host", host.as_str()),
        ("place", "folder"),
        ("folder", &folder),
        ("overwrite", "if_changed"),
        ("verify", "1"),
    ];
    let aimed = visitor.submit(&format!("/restore/{third}/target"), &aim).await;
    assert_eq!(aimed.status, 303, "{}", aimed.text);
    let preview = format!("/restore/{third}/preview");
    for _ in 0..100 {
        if visitor.open(&preview).await.text.contains("This would happen") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    vec![
        visit("/restore/{id}/files", format!("/restore/{first}/files")),
        visit("/restore/{id}/target", format!("/restore/{second}/target")),
        visit("/restore/{id}/preview", preview),
    ]
}

/// All pages for somebody who may do everything.
async fn visits(it: &Seeded, visitor: &Visitor<'_>) -> Vec<Visit> {
    let users = visitor.open("/settings/users").await.text;
    let user = users.split("href=\"/settings/users/").nth(1).unwrap().split('"').next().unwrap();
    let mut visits = lists();
    visits.push(visit("/settings/users/{id}", format!("/settings/users/{user}")));
    visits.extend(of_the_host(it));
    visits.extend(of_waiting(it, visitor).await);
    visits.extend(of_repositories(it));
    visits.extend(of_restores(it, visitor).await);
    visits.extend(of_channels(it).await);
    visits.extend(of_tokens(it).await);
    visits.extend(of_releases(it).await);
    // The running job's agent says nothing more: its page comes before it counts as lost.
    visits.sort_by_key(|v| !v.route.starts_with("/jobs/"));
    visits
}

fn routes(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in folder.read_dir().unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            routes(&entry.path(), found);
            continue;
        }
        let source = std::fs::read_to_string(entry.path()).unwrap();
        found.extend(source.split("#[get(\"").skip(1).map(|after| after.split('"').next().unwrap().to_owned()));
    }
}

/// Every page is visited, and nothing else.
fn complete(visits: &[Visit]) {
    let mut there = BTreeSet::new();
    routes(&root().join("control/src/http/pages"), &mut there);
    there.retain(|route| !route.starts_with("/ui/"));
    assert!(there.len() > 40, "the walk finds the pages");
    let told = visits.iter().map(|v| v.route).chain(NO_PAGE).chain(APART).filter(|route| !route.is_empty());
    assert_eq!(told.map(ToOwned::to_owned).collect::<BTreeSet<_>>(), there, "each page is visited");
}

/// What is measured on each page.
#[derive(Clone, Copy)]
struct Measures {
    geometry: &'static [u32],
    colours: bool,
}

async fn look(browser: &Browser, origin: &str, visit: &Visit, measures: Measures) -> Wrong {
    browser.resize(1440, 900).await;
    browser.page.goto(&format!("{origin}{}", visit.at)).await.unwrap();
    let mut wrong = looks::complaints(browser, visit.status).await;
    if measures.colours {
        wrong.extend(looks::colours(browser).await);
        wrong.extend(looks::names(browser).await);
    }
    wrong.extend(looks::geometry(browser, measures.geometry).await);
    wrong.extend(browser.complaints().await.into_iter().filter(|said| visit.status < 400 || !said.contains(&visit.at)));
    // A number in the address says nothing.
    wrong
        .into_iter()
        .map(|w| format!("{} ({}): {w}", visit.route, visit.at.chars().take(60).collect::<String>()))
        .collect()
}

/// Looks at all pages, those of an empty server and those before the sign-in too.
async fn look_at_all(settings: Settings, theme: &str, measures: Measures) {
    let it = Seeded::start().await;
    let visitor = Visitor::sign_in(&it.control, "admin").await;
    let visits = visits(&it, &visitor).await;
    complete(&visits);
    let browser = Browser::start_with(settings).await;
    looks::prepare(&browser).await;
    let mut wrong = vec![];
    browser.page.goto(&format!("{}/login", it.control.url)).await.unwrap();
    looks::theme(&browser, theme).await;
    wrong.extend(look(&browser, &it.control.url, &visit("/login", "/login?next=/hosts"), measures).await);
    wrong.extend(looks::tokens(&browser).await);
    // Restores that were begun are the visitor's own.
    browser.sign_in(&it.control, ("admin", PASSWORD), "/login").await;
    browser.sees("Hosts").await;
    for visit in &visits {
        wrong.extend(look(&browser, &it.control.url, visit, measures).await);
    }
    let empty = ControlPlane::start();
    wrong.extend(look(&browser, &empty.url, &visit("/setup", "/setup"), measures).await);
    browser.sign_in_as(&empty, ("anna", "admin"), "/login").await;
    browser.sees("First backup").await;
    for path in ["/", "/hosts", "/jobs", "/snapshots", "/repositories", "/alerts", "/restore", "/recovery", "/drills"] {
        wrong.extend(look(&browser, &empty.url, &visit("empty", path), measures).await);
    }
    browser.end().await;
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test]
async fn all_pages_in_the_light_theme_at_all_widths() {
    let measures = Measures { geometry: &WIDTHS, colours: true };
    look_at_all(Settings { script: true, text: 16 }, "light", measures).await;
}

#[tokio::test]
async fn all_pages_in_the_dark_theme() {
    look_at_all(Settings { script: true, text: 16 }, "dark", Measures { geometry: &[], colours: true }).await;
}

#[tokio::test]
async fn all_pages_with_text_of_twice_the_size() {
    let measures = Measures { geometry: &[1440], colours: false };
    look_at_all(Settings { script: true, text: 32 }, "light", measures).await;
}

/// What a list may weigh before it is packed, in bytes.
const LIGHT: u64 = 100 * 1024;

#[tokio::test]
async fn the_lists_of_5000_hosts_are_light_and_hold_together() {
    let control = sown_with(5000, 1);
    let browser = Browser::start(true).await;
    looks::prepare(&browser).await;
    browser.sign_in_as(&control, ("anna", "admin"), "/").await;
    browser.sees("hosts protected").await;
    let lists = [
        "/",
        "/hosts",
        "/hosts?q=web&sort=name",
        "/hosts?state=never",
        "/jobs",
        "/jobs?state=failed",
        "/snapshots",
        "/repositories",
        "/alerts",
        "/search?q=web",
    ];
    // Fifty hosts with the longest of names, one below the other, may weigh more.
    let longest = "/hosts?sort=name";
    let mut wrong = vec![];
    for at in lists.into_iter().chain([longest]) {
        let list = visit(at.split('?').next().unwrap(), at);
        wrong.extend(look(&browser, &control.url, &list, Measures { geometry: &[390, 1440], colours: true }).await);
        let weight = browser.value("performance.getEntriesByType('navigation')[0].decodedBodySize").await;
        if at != longest && weight.as_u64().unwrap() > LIGHT {
            wrong.push(format!("{at} weighs {weight} bytes"));
        }
    }
    browser.end().await;
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}

/// Every component in every state, with names as long and as odd as they may be: at rest, then with its menu, then with its dialog open.
#[tokio::test]
async fn every_component_in_every_state() {
    let server = ControlPlane::start_in(tempfile::TempDir::new().unwrap(), &["--component-states"]);
    let all = Measures { geometry: &WIDTHS, colours: true };
    let mut wrong = vec![];
    for (theme, text) in [("light", 16), ("dark", 16), ("light", 32)] {
        let browser = Browser::start_with(Settings { script: true, text }).await;
        looks::prepare(&browser).await;
        browser.page.goto(&format!("{}/login", server.url)).await.unwrap();
        looks::theme(&browser, theme).await;
        browser.sign_in_as(&server, (&format!("{theme}{text}"), "operator"), "/login").await;
        browser.sees("First backup").await;
        let measures = if text == 16 { all } else { Measures { geometry: &[1440], colours: false } };
        wrong.extend(look(&browser, &server.url, &visit("/states", "/states"), measures).await);
        for open in ["details.menu summary[aria-label='More for db-01']", "[data-dialog=dlg-sample]"] {
            browser.page.execute(&format!("document.querySelector(\"{open}\").click()"), vec![]).await.unwrap();
            let opened = "document.querySelector('main details.menu[open], dialog[open]') !== null";
            assert_eq!(browser.value(opened).await, json!(true), "{open}");
            wrong.extend(looks::colours(&browser).await.into_iter().map(|w| format!("{theme}, {open}: {w}")));
            let wide = looks::geometry(&browser, measures.geometry).await;
            wrong.extend(wide.into_iter().map(|w| format!("{text} px, {open}: {w}")));
        }
        browser.end().await;
    }
    assert!(wrong.is_empty(), "{} complaints:\n{}", wrong.len(), wrong.join("\n"));
}
