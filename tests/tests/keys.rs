//! Keys: where they lead, that they do nothing while somebody types or has turned them off, that the focus can be seen wherever it stops,
//! and that a dialog keeps it and gives it back.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::browser::Browser;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::seeded::{Seeded, sown};
use serde_json::{Value, json};

const TAB: &str = "\u{e004}";
const ESCAPE: &str = "\u{e00c}";

/// A browser that is signed in, on the dashboard.
async fn signed_in(control: &ControlPlane, settings: bool) -> Browser {
    let browser = Browser::start(settings).await;
    browser.sign_in_as(control, ("anna", "admin"), "/").await;
    browser.sees("Needs attention").await;
    browser
}

async fn open(browser: &Browser, control: &ControlPlane, path: &str) {
    browser.page.goto(&format!("{}{path}", control.url)).await.unwrap();
}

/// Where the page is, once it is there.
async fn at(browser: &Browser, path: &str) {
    browser.until(&format!("document.readyState === 'complete' && location.pathname === {}", json!(path))).await;
}

#[tokio::test]
async fn keys_lead_where_the_list_says() {
    let control = sown();
    let browser = signed_in(&control, true).await;
    let ways = [
        ("h", "/hosts"),
        ("j", "/jobs"),
        ("s", "/snapshots"),
        ("r", "/repositories"),
        ("a", "/alerts"),
        ("e", "/settings/users"),
        ("f", "/restore"),
        ("d", "/"),
    ];
    for (key, path) in ways {
        browser.keys("g").await;
        browser.keys(key).await;
        at(&browser, path).await;
    }
    // The list tells of each of them, and of the others.
    browser.keys("?").await;
    browser.until("document.querySelector('#keys').matches(':modal')").await;
    let told = browser
        .value("[...document.querySelectorAll('#keys dt')].map((d) => d.textContent.replace(/ /g, '')).join(' ')")
        .await;
    let told = told.as_str().unwrap();
    let mut missing: Vec<&str> =
        ways.iter().map(|(key, _)| *key).filter(|key| !told.contains(&format!("g{key}"))).collect();
    missing.extend(["/", "?", "Esc"].iter().filter(|key| !told.split(' ').any(|t| t == **key)));
    assert_eq!(missing, Vec::<&str>::new(), "{told}");
    // In a dialog keys lead nowhere.
    browser.keys("g").await;
    browser.keys("h").await;
    browser.keys(ESCAPE).await;
    browser.until("!document.querySelector('#keys').open").await;
    assert_eq!(browser.value("location.pathname").await, "/");
    // A letter alone, or one that comes after another, does nothing.
    for keys in ["h", "gxh", "gg"] {
        for key in keys.chars() {
            browser.keys(&key.to_string()).await;
        }
    }
    assert_eq!(browser.value("location.pathname").await, "/");
    browser.end().await;
}

#[tokio::test]
async fn search_has_a_key_and_typing_is_typing() {
    let control = sown();
    let browser = signed_in(&control, true).await;
    browser.keys("/").await;
    assert_eq!(browser.value("document.activeElement.id").await, "search");
    assert_eq!(browser.value("document.activeElement.value").await, "", "the key itself is not typed");
    browser.keys("gh?/").await;
    assert_eq!(browser.value("document.activeElement.value").await, "gh?/");
    assert_eq!(browser.value("document.querySelector('#keys').open").await, json!(false));
    assert_eq!(browser.value("location.pathname").await, "/");
    // Where there is no room for the field, the key opens its page.
    browser.resize(390, 800).await;
    open(&browser, &control, "/hosts").await;
    browser.keys("/").await;
    at(&browser, "/search").await;
    browser.end().await;
}

#[tokio::test]
async fn keys_are_turned_off_and_on_again() {
    let control = sown();
    let browser = signed_in(&control, true).await;
    browser.page.execute("document.querySelector('.side details.menu').open = true", vec![]).await.unwrap();
    browser.wait(".side [name=keys][value=off]").await.click().await.unwrap();
    browser.until("document.documentElement.dataset.keys === 'off'").await;
    for key in ["?", "/", "g", "h"] {
        browser.keys(key).await;
    }
    assert_eq!(browser.value("document.querySelector('#keys').open").await, json!(false));
    assert_eq!(browser.value("document.activeElement === document.body").await, json!(true));
    assert_eq!(browser.value("location.pathname").await, "/");
    // On other pages too; and Escape still closes what is open.
    open(&browser, &control, "/hosts").await;
    assert_eq!(browser.value("document.documentElement.dataset.keys").await, "off");
    let menu = "document.querySelector('.side details.menu')";
    browser.page.execute(&format!("{menu}.open = true"), vec![]).await.unwrap();
    browser.keys(ESCAPE).await;
    browser.until(&format!("!{menu}.open")).await;
    browser.page.execute(&format!("{menu}.open = true"), vec![]).await.unwrap();
    browser.wait(".side [name=keys][value=on]").await.click().await.unwrap();
    browser.until("!document.documentElement.dataset.keys").await;
    at(&browser, "/hosts").await;
    browser.keys("g").await;
    browser.keys("d").await;
    at(&browser, "/").await;
    browser.end().await;
}

/// What has the focus, and whether that can be seen. The ring may be a child's or the border of a field.
const STOP: &str = "(() => { const e = document.activeElement, s = getComputedStyle(e), b = e.getBoundingClientRect();
    if (e === document.body) return null;
    const seen = s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2 && b.width > 0 && b.height > 0 && b.bottom > 0;
    return [e.outerHTML.slice(0, 90), e.className, seen]; })()";

/// Goes through a page from stop to stop.
async fn stops(browser: &Browser, most: usize) {
    browser.keys(TAB).await;
    let first = browser.value(STOP).await;
    assert_eq!(first[1], "skip", "the first stop skips to the content");
    let mut hidden = vec![];
    for _ in 0..most {
        let stop = browser.value(STOP).await;
        if stop == Value::Null {
            break;
        }
        if stop[2] != json!(true) {
            hidden.push(stop[0].as_str().unwrap().to_owned());
        }
        browser.keys(TAB).await;
    }
    assert!(hidden.is_empty(), "the focus cannot be seen on:\n{}", hidden.join("\n"));
}

#[tokio::test]
async fn the_focus_is_seen_at_every_stop() {
    let it = Seeded::start().await;
    let browser = signed_in(&it.control, true).await;
    for path in [
        "/".to_owned(),
        "/hosts".into(),
        format!("/schedules/{}/edit", it.schedule),
        format!("/jobs/{}", it.jobs.running),
    ] {
        open(&browser, &it.control, &path).await;
        stops(&browser, 70).await;
    }
    // The link does skip.
    open(&browser, &it.control, "/hosts").await;
    browser.keys(TAB).await;
    browser.keys("\u{e007}").await;
    browser.until("location.hash === '#main'").await;
    browser.keys(TAB).await;
    assert_eq!(browser.value("document.activeElement.closest('main') !== null").await, json!(true));
    browser.end().await;
}

#[tokio::test]
async fn a_dialog_keeps_the_focus_and_gives_it_back() {
    let it = Seeded::start().await;
    let browser = signed_in(&it.control, true).await;
    open(&browser, &it.control, &format!("/jobs/{}", it.jobs.running)).await;
    let opener = browser.wait("[data-dialog=dlg-cancel]").await;
    browser.page.execute("document.querySelector('[data-dialog=dlg-cancel]').focus()", vec![]).await.unwrap();
    opener.send_keys("\u{e007}").await.unwrap();
    browser.until("document.querySelector('#dlg-cancel').matches(':modal')").await;
    // The first thing that Enter would press is the harmless one.
    assert_eq!(browser.value("document.activeElement.textContent.trim()").await, "Keep running");
    for _ in 0..6 {
        browser.keys(TAB).await;
        let within =
            "document.activeElement === document.body || document.activeElement.closest('#dlg-cancel') !== null";
        assert_eq!(browser.value(within).await, json!(true), "the page behind a dialog cannot be reached");
    }
    browser.keys(ESCAPE).await;
    browser.until("!document.querySelector('#dlg-cancel').open").await;
    assert_eq!(browser.value("document.activeElement.dataset.dialog").await, "dlg-cancel", "the focus is where it was");
    browser.end().await;
}
