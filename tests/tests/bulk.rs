//! Many hosts at once in a real browser: with script the ticked ones are counted and one tick takes all of the page; without script the same
//! forms do the same.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::browser::Browser;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::seeded::sown;
use serde_json::json;

/// A list of some of the fleet's hosts.
const LIST: &str = "/hosts?q=web&sort=name";

async fn listed(control: &ControlPlane, script: bool, name: &str) -> Browser {
    let browser = Browser::start(script).await;
    browser.sign_in_as(control, (name, "operator"), LIST).await;
    browser.sees("web-01").await;
    browser
}

/// The hosts of the list that are paused now.
async fn paused(control: &ControlPlane, admin: &str) -> Vec<String> {
    let hosts = control.get(admin, "/api/v1/hosts?limit=200").await;
    let paused = hosts["items"].as_array().unwrap().iter().filter(|host| !host["paused"].is_null());
    paused.map(|host| host["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_is_ticked_is_counted_and_one_tick_takes_the_page() {
    let control = sown();
    let admin = control.token("admin");
    let browser = listed(&control, true, "anna").await;
    let told = "document.querySelector('#bulk-n').textContent";
    let all = "((all) => [all.hidden, all.checked, all.indeterminate])(document.querySelector('#pick-all'))";
    let shown = "getComputedStyle(document.querySelector('#bulk')).display !== 'none'";
    assert_eq!(browser.value(all).await, json!([false, false, false]));
    assert_eq!(browser.value(shown).await, json!(false), "nothing is ticked");
    browser.wait("[aria-label='Select web-01']").await.click().await.unwrap();
    assert_eq!(browser.value(told).await, "1 selected");
    assert_eq!(browser.value(all).await, json!([false, false, true]), "some of them");
    assert_eq!(browser.value(shown).await, json!(true));
    browser.wait("#pick-all").await.click().await.unwrap();
    let rows = browser.value("document.querySelectorAll('.pick').length").await.as_u64().unwrap();
    assert!(rows >= 2, "{rows}");
    assert_eq!(browser.value(told).await, format!("{rows} selected"));
    assert_eq!(browser.value(all).await, json!([false, true, false]));
    browser.wait("[aria-label='Select web-02']").await.click().await.unwrap();
    assert_eq!(browser.value(told).await, format!("{} selected", rows - 1));

    browser.press("Pause…").await;
    browser.sees(&format!("Pause {}", rows - 1)).await;
    assert_eq!(paused(&control, &admin).await, [""; 0], "a question changes nothing");
    browser.wait("main .ask button").await.click().await.unwrap();
    browser.sees("paused").await;
    let now = paused(&control, &admin).await;
    assert!(now.contains(&"web-01".to_owned()) && !now.contains(&"web-02".to_owned()), "{now:?}");
    // Back at the list, what is ticked and what is counted agree again.
    browser.page.goto(&format!("{}{LIST}", control.url)).await.unwrap();
    browser.sees("web-01").await;
    assert_eq!(browser.value(told).await, "0 selected");
    browser.end().await;
}

#[tokio::test]
async fn the_same_is_done_without_script() {
    let control = sown();
    let admin = control.token("admin");
    let browser = listed(&control, false, "ben").await;
    browser.wait("[aria-label='Select web-01']").await.click().await.unwrap();
    browser.wait("[aria-label='Select web-02']").await.click().await.unwrap();
    browser.press("Add tag…").await;
    browser.sees("Add tag").await;
    browser.fill("tag", "of-this-test").await;
    browser.wait("main .ask button").await.click().await.unwrap();
    browser.sees("web-02").await;
    let hosts = control.get(&admin, "/api/v1/hosts?tag=of-this-test").await;
    let names: Vec<&str> = hosts["items"].as_array().unwrap().iter().map(|h| h["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["web-01", "web-02"]);
    // And one alone, from its row.
    browser.page.goto(&format!("{}/hosts?q=laptop-anna", control.url)).await.unwrap();
    browser.press("Run now on laptop-anna").await;
    browser.sees("Backup of laptop-anna").await;
    browser.end().await;
}

#[tokio::test]
async fn only_administrators_update_agents_and_hear_what_has_to_be_first() {
    let control = sown();
    let browser = listed(&control, false, "ben").await;
    let offered = "document.querySelectorAll('#bulk [value=update_agent]').length";
    assert_eq!(browser.value(offered).await, json!(0), "an operator would be refused");
    browser.end().await;
    let browser = Browser::start(false).await;
    browser.sign_in_as(&control, ("anna", "admin"), LIST).await;
    browser.wait("[aria-label='Select web-01']").await.click().await.unwrap();
    browser.press("Update agent…").await;
    browser.sees("publish and roll out a release first").await;
    assert_eq!(browser.value("document.querySelectorAll('main .ask button').length").await, json!(0));
    browser.press("Agent releases").await;
    browser.sees("There is no release").await;
    browser.end().await;
}
