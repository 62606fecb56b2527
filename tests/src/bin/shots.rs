//! Takes pictures of the product's pages for people who read about it: a sown fleet, a real Chromium, fixed sizes. Run by `deploy/shots`, which
//! says where they go. Not a test: what pages must look like is measured in `tests/looks.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use restic_manager_tests::browser::Browser;
use restic_manager_tests::seeded::sown;
use restic_manager_tests::{control::ControlPlane, looks};
use serde_json::json;
use std::path::{Path, PathBuf};

/// A picture: its name, its page, its width and height in CSS pixels, its theme.
struct Shot {
    name: &'static str,
    at: String,
    size: (u32, u32),
    theme: &'static str,
}

const DESK: (u32, u32) = (1440, 900);
const PHONE: (u32, u32) = (390, 844);

fn shot(name: &'static str, at: impl Into<String>, size: (u32, u32), theme: &'static str) -> Shot {
    Shot { name, at: at.into(), size, theme }
}

/// The newest job that failed, a host, one of its schedules and a repository of the fleet.
async fn places(control: &ControlPlane) -> [String; 4] {
    let admin = control.token("admin");
    let first = |list: serde_json::Value, name: &str| {
        let items = list["items"].as_array().unwrap().clone();
        let found = items.iter().find(|item| item["name"] == name).or(items.first()).unwrap();
        found["id"].as_str().unwrap().to_owned()
    };
    let host = first(control.get(&admin, "/api/v1/hosts?limit=200").await, "web-01");
    let schedule = first(control.get(&admin, &format!("/api/v1/hosts/{host}/schedules")).await, "");
    let repository = first(control.get(&admin, "/api/v1/repositories").await, "dc-main");
    let job = first(control.get(&admin, "/api/v1/jobs?state=failed&limit=1").await, "");
    [job, host, schedule, repository]
}

async fn shots(control: &ControlPlane) -> Vec<Shot> {
    let [job, host, schedule, repository] = places(control).await;
    vec![
        shot("dashboard", "/", DESK, "light"),
        shot("dashboard-dark", "/", DESK, "dark"),
        shot("dashboard-phone", "/", PHONE, "light"),
        shot("hosts", "/hosts", DESK, "light"),
        shot("hosts-phone", "/hosts", PHONE, "dark"),
        shot("host", format!("/hosts/{host}"), DESK, "dark"),
        shot("schedule", format!("/schedules/{schedule}/edit"), DESK, "light"),
        shot("job-failed", format!("/jobs/{job}"), DESK, "light"),
        shot("repository", format!("/repositories/{repository}"), DESK, "dark"),
        shot("snapshots", "/snapshots", DESK, "light"),
    ]
}

async fn take(browser: &Browser, origin: &str, shot: &Shot, folder: &Path) {
    browser.resize(shot.size.0, shot.size.1).await;
    looks::theme(browser, shot.theme).await;
    browser.page.goto(&format!("{origin}{}", shot.at)).await.unwrap();
    browser.until("document.readyState === 'complete'").await;
    let picture = browser.tell("Page.captureScreenshot", json!({"format": "png"})).await;
    let bytes = B64.decode(picture["data"].as_str().unwrap()).unwrap();
    std::fs::write(folder.join(format!("{}.png", shot.name)), bytes).unwrap();
}

#[tokio::main]
async fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("a folder to put the pictures into"));
    std::fs::create_dir_all(&folder).unwrap();
    let control = sown();
    let browser = Browser::start(true).await;
    browser.sign_in_as(&control, ("anna", "admin"), "/").await;
    browser.sees("protected").await;
    for shot in shots(&control).await {
        take(&browser, &control.url, &shot, &folder).await;
    }
    browser.end().await;
}
