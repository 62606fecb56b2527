//! Filters, forms and questions without script, and what script adds to them: nothing that would be missed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::browser::Browser;
use restic_manager_tests::seeded::{LONG_NAME, Seeded};
use restic_manager_tests::visitor::Visitor;
use serde_json::json;

async fn signed_in(it: &Seeded, script: bool) -> Browser {
    let browser = Browser::start(script).await;
    browser.sign_in_as(&it.control, ("anna", "admin"), "/").await;
    browser.sees("Needs attention").await;
    browser
}

async fn open(browser: &Browser, it: &Seeded, path: &str) {
    browser.page.goto(&format!("{}{path}", it.control.url)).await.unwrap();
}

#[tokio::test]
async fn hosts_are_filtered_and_a_schedule_is_run_without_script() {
    let it = Seeded::start().await;
    let browser = signed_in(&it, false).await;
    open(&browser, &it, "/hosts").await;
    browser.wait("#f-q").await.send_keys("laptop").await.unwrap();
    browser.press("Apply").await;
    browser.sees("laptop-anna").await;
    assert!(!browser.text().await.contains("web-01"), "the others are left out");
    let address = browser.page.current_url().await.unwrap();
    assert!(address.query().unwrap().contains("q=laptop"), "a filter can be passed on: {address}");
    browser.press("Clear filter").await;
    browser.press(LONG_NAME).await;
    browser.press("All 2").await;
    let run = format!("form[action='/schedules/{}/run'] button", it.schedule);
    browser.wait(&run).await.click().await.unwrap();
    browser.sees(&format!("Backup of {LONG_NAME}")).await;
    browser.end().await;
}

#[tokio::test]
async fn a_question_is_a_page_without_script() {
    let it = Seeded::start().await;
    let browser = signed_in(&it, false).await;
    open(&browser, &it, &format!("/jobs/{}", it.jobs.running)).await;
    browser.press("Cancel job").await;
    browser.sees("Cancel Backup").await;
    assert!(browser.page.current_url().await.unwrap().path().ends_with("/cancel"));
    browser.wait("main form button").await.click().await.unwrap();
    browser.sees("Asked the job to stop.").await;
    browser.end().await;
}

#[tokio::test]
async fn what_is_wrong_stands_beside_its_field_and_what_was_typed_is_kept() {
    let it = Seeded::start().await;
    for script in [false, true] {
        let browser = signed_in_again(&it, script).await;
        open(&browser, &it, &format!("/hosts/{}/schedules/new", it.host)).await;
        browser.fill("name", "Nightly of this test").await;
        browser.fill("paths", "/srv/kept").await;
        browser.fill("cron", "61 2 * * *").await;
        browser.press("Add schedule").await;
        browser.wait("#cron-err").await;
        let beside = "document.querySelector('#cron-err').closest('.field').querySelector('#cron') !== null";
        assert_eq!(browser.value(beside).await, json!(true));
        let field =
            "[cron.value, cron.getAttribute('aria-invalid'), cron.getAttribute('aria-describedby').split(' ')[0]]";
        let field = format!("((cron) => {field})(document.querySelector('#cron'))");
        assert_eq!(browser.value(&field).await, json!(["61 2 * * *", "true", "cron-err"]));
        let others = "[document.querySelector('#name').value, document.querySelector('#paths').value]";
        assert_eq!(browser.value(others).await, json!(["Nightly of this test", "/srv/kept"]));
        if script {
            assert_eq!(browser.value("document.activeElement.id").await, "problems", "it is told at once");
        }
        browser.end().await;
    }
}

/// The same person, who is there already from the second time on.
async fn signed_in_again(it: &Seeded, script: bool) -> Browser {
    let browser = Browser::start(script).await;
    let name = if script { "anna" } else { "otto" };
    browser.sign_in_as(&it.control, (name, "admin"), "/").await;
    browser.sees("Needs attention").await;
    browser
}

#[tokio::test]
async fn live_pages_load_again_by_themselves_without_script() {
    let it = Seeded::start().await;
    let browser = signed_in(&it, false).await;
    let live = [
        "/".to_owned(),
        format!("/hosts/{}", it.host),
        format!("/hosts/{}/schedules", it.host),
        format!("/jobs/{}", it.jobs.running),
    ];
    for path in live {
        open(&browser, &it, &path).await;
        let every = "+document.querySelector('meta[http-equiv=refresh]').content";
        assert!(browser.value(every).await.as_f64().unwrap() >= 5.0, "{path}");
    }
    // The last of them does.
    browser.page.execute("document.body.dataset.old = ''", vec![]).await.unwrap();
    browser.until("document.readyState === 'complete' && !('old' in document.body.dataset)").await;
    // What has ended does not.
    open(&browser, &it, &format!("/jobs/{}", it.jobs.failed)).await;
    assert_eq!(browser.value("document.querySelector('meta[http-equiv=refresh]')").await, json!(null));
    browser.end().await;
}

#[tokio::test]
async fn manual_takes_the_cron_fields_away_and_changes_the_preview() {
    let it = Seeded::start().await;
    let browser = signed_in(&it, true).await;
    open(&browser, &it, &format!("/schedules/{}/edit", it.schedule)).await;
    let seen = |css: &str| format!("document.querySelector('{css}').checkVisibility()");
    let (cron, fires, preview) = (seen("#cron"), seen("#runs .if-cron"), seen("#runs .if-manual"));
    let now = format!("[{cron}, {fires}, {preview}]");
    assert_eq!(browser.value(&now).await, json!([true, true, false]));
    browser.wait("#manual").await.click().await.unwrap();
    assert_eq!(browser.value(&now).await, json!([false, false, true]));
    assert_eq!(browser.value("document.querySelector('#cron').disabled").await, json!(true), "it is not sent");
    browser.wait("#manual").await.click().await.unwrap();
    assert_eq!(browser.value(&now).await, json!([true, true, false]));
    browser.end().await;
}

#[tokio::test]
async fn who_presses_twice_asks_once() {
    let it = Seeded::start().await;
    let browser = signed_in(&it, true).await;
    let path = format!("/api/v1/hosts/{}/jobs", it.host);
    let count = async || it.control.get(&it.admin, &path).await["items"].as_array().unwrap().len();
    let before = count().await;
    open(&browser, &it, &format!("/hosts/{}/schedules", it.host)).await;
    let press = format!(
        "const b = document.querySelector(\"form[action='/schedules/{}/run'] button\"); b.click(); b.click()",
        it.schedule
    );
    browser.page.execute(&press, vec![]).await.unwrap();
    browser.sees("Backup of").await;
    assert_eq!(count().await, before + 1);
    let first = browser.page.current_url().await.unwrap().path().to_owned();
    // Without script the same form is sent twice: the second is told of the first.
    let visitor = Visitor::sign_in(&it.control, "operator").await;
    let run = format!("/schedules/{}/run", it.manual);
    let answers = [visitor.submit(&run, &[("key", "k")]).await, visitor.submit(&run, &[("key", "k")]).await];
    assert_eq!((answers[0].status, &answers[0].location), (answers[1].status, &answers[1].location));
    assert!(count().await <= before + 2 && first.starts_with("/jobs/"));
    browser.end().await;
}

/// States of which the word or the icon is missing, or that still move.
const STATES: &str = "[...document.querySelectorAll('main :is(.pill, .st)')].filter((s) => s.checkVisibility()).filter((s) => {
    const icon = s.querySelector('svg'), box = icon?.getBoundingClientRect();
    return !s.textContent.trim() || !box || box.width < 8 || getComputedStyle(icon).stroke === getComputedStyle(document.body).backgroundColor;
}).map((s) => s.outerHTML.slice(0, 90))";

#[tokio::test]
async fn states_are_read_without_colour_and_motion() {
    let it = Seeded::start().await;
    let browser = signed_in(&it, true).await;
    let features =
        json!([{"name": "forced-colors", "value": "active"}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
    browser.tell("Emulation.setEmulatedMedia", json!({"media": "", "features": features})).await;
    for path in [
        "/".to_owned(),
        "/hosts".into(),
        "/jobs".into(),
        "/repositories".into(),
        "/alerts".into(),
        format!("/jobs/{}", it.jobs.running),
    ] {
        open(&browser, &it, &path).await;
        assert_eq!(browser.value("matchMedia('(forced-colors: active)').matches").await, json!(true));
        assert_eq!(browser.value(STATES).await, json!([]), "{path}");
        assert_eq!(browser.value("document.getAnimations().length").await, json!(0), "{path} moves");
        let bare = "[...document.querySelectorAll('main .btn, main .pill')].filter((b) => b.checkVisibility() && parseFloat(getComputedStyle(b).borderTopWidth) < 1).length";
        assert_eq!(browser.value(bare).await, json!(0), "{path}: a button or state without its edge");
        let gone = "[...document.querySelectorAll('main .strip path')].filter((p) => getComputedStyle(p).stroke === getComputedStyle(document.body).backgroundColor).length";
        assert_eq!(browser.value(gone).await, json!(0), "{path}: days that cannot be seen");
    }
    browser.end().await;
}
