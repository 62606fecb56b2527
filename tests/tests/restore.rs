//! Getting a file back, as a person does it in a real browser and as a script does it, with the real restic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::agent::Agent;
use restic_manager_tests::browser::Browser;
use restic_manager_tests::fleet::Fleet;
use restic_manager_tests::tools::{output, restic};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

async fn sign_in(fleet: &Fleet, browser: &Browser) {
    browser.sign_in_as(&fleet.control, ("anna", "operator"), "/restore").await;
}

/// A host with a snapshot of a folder that has names of all kinds; then a file of it is gone.
async fn lost(fleet: &Fleet, host: &str) -> (Agent, PathBuf) {
    let source = fleet.source(host);
    for name in ["gone.txt", "-dash", "two\nlines", "👩‍🚒 *?[a]", "kept"] {
        std::fs::write(source.join(name), name).unwrap();
    }
    let mut agent = fleet.host(host, &[&source]).await;
    agent.start();
    assert_eq!(fleet.ended(&fleet.run_now(&agent).await).await["state"], "succeeded");
    std::fs::remove_file(source.join("gone.txt")).unwrap();
    (agent, source)
}

/// Clicks, and again if the page was replaced in between.
async fn click(browser: &Browser, css: &str) {
    for _ in 0..5 {
        if browser.wait(css).await.click().await.is_ok() {
            return;
        }
    }
    panic!("{css} cannot be clicked:\n{}", browser.text().await);
}

/// Ticks what a search finds and goes on to the target.
async fn find_and_tick(browser: &Browser, script: bool, name: &str) {
    browser.press("Browse its files").await;
    browser.sees("What do you want back?").await;
    if script {
        // Until then the page waits for the host, and what is shown is replaced.
        browser.wait("input[name=tick]").await;
    }
    browser.fill("find", name).await;
    browser.press("Find").await;
    // Not a tick of the folder that was shown before the search.
    let found = format!("input[name=tick][value$='{name}']");
    if script {
        // The folder before it may show the same file, and is about to go.
        browser.until("location.search.includes('find=')").await;
    } else {
        browser.reload_until(name).await;
    }
    let tick = async || click(browser, &found).await;
    tick().await;
    browser.press("Keep ticks").await;
    click(browser, "button[name=untick]").await;
    browser.sees("nothing: all of it").await;
    tick().await;
    browser.press("Choose target").await;
    browser.sees("Which place?").await;
}

async fn wizard(script: bool) {
    let fleet = Fleet::start(&["web-01"]).await;
    let (_agent, source) = lost(&fleet, "web-01").await;
    let browser = Browser::start(script).await;
    sign_in(&fleet, &browser).await;
    find_and_tick(&browser, script, "gone.txt").await;
    browser.sees(source.join("gone.txt").to_str().unwrap()).await;

    // Into another folder first.
    let target = fleet.sources.path().join("back");
    browser.fill("folder", target.to_str().unwrap()).await;
    browser.press("Preview").await;
    browser.reload_until("This would happen").await;
    browser.sees("A restore would bring back").await;
    assert!(!target.exists(), "nothing is written by looking");
    // Left half-way, and found again.
    browser.page.goto(&format!("{}/restore", fleet.control.url)).await.unwrap();
    browser.press("1 ticked").await;
    browser.press("Choose target").await;
    browser.press("Preview").await;
    browser.reload_until("This would happen").await;
    browser.press("Restore").await;
    browser.reload_until("Succeeded").await;
    let restored = target.join(source.strip_prefix("/").unwrap()).join("gone.txt");
    assert_eq!(std::fs::read_to_string(restored).unwrap(), "gone.txt");
    browser.end().await;
}

#[tokio::test]
async fn a_file_comes_back_through_the_wizard() {
    wizard(true).await;
}

#[tokio::test]
async fn and_without_javascript() {
    wizard(false).await;
}

#[tokio::test]
async fn the_tree_opens_in_place_and_what_is_ticked_is_counted_at_once() {
    let fleet = Fleet::start(&["web-01"]).await;
    let source = fleet.source("web-01");
    std::fs::create_dir_all(source.join("sub/deep")).unwrap();
    for name in ["sub/one", "sub/deep/two"] {
        std::fs::write(source.join(name), name).unwrap();
    }
    let mut agent = fleet.host("web-01", &[&source]).await;
    agent.start();
    assert_eq!(fleet.ended(&fleet.run_now(&agent).await).await["state"], "succeeded");
    let browser = Browser::start(true).await;
    sign_in(&fleet, &browser).await;
    browser.press("Browse its files").await;
    let (source, sub) = (source.display().to_string(), source.join("sub").display().to_string());
    let tick = |path: &str| format!("input[name=tick][value='{path}']");
    // It begins at what was backed up, and a folder opens without a new page.
    browser.wait(&tick(&sub)).await;
    browser.value("(window.here = true)").await;
    assert_eq!(browser.value("document.querySelector('[name=go] .if-none').checkVisibility()").await, true);
    browser.wait(&format!(".twist[value='{sub}']")).await.click().await.unwrap();
    browser.wait(&tick(&format!("{sub}/one"))).await.click().await.unwrap();
    let is = |path: &str, what: &str| format!("document.querySelector(\"{}\").{what}", tick(path));
    browser.until(&is(&sub, "indeterminate")).await;
    browser.until("/^1, 7 B/.test(document.querySelector('#ticked-n').textContent)").await;
    assert_eq!(browser.value("document.querySelector('[name=go] .if-some').checkVisibility()").await, true);
    // A folder takes in what is below it, and gives it back as it was not: unticked.
    browser.wait(&tick(&sub)).await.click().await.unwrap();
    browser.until(&is(&format!("{sub}/one"), "disabled")).await;
    browser.wait(&format!(".twist[value='{sub}/deep']")).await.click().await.unwrap();
    browser.wait(&format!("{}:checked", tick(&format!("{sub}/deep/two")))).await;
    browser.wait(&format!("#ticked-list [name=untick][value='{sub}']")).await.click().await.unwrap();
    browser.until("document.querySelector('#ticked-n').textContent === 'nothing: all of it'").await;
    browser.wait(&tick(&format!("{sub}/deep"))).await.click().await.unwrap();
    assert_eq!(browser.value("window.here").await, true, "all of it on one page");
    browser.press("Choose target").await;
    browser.sees("Which place?").await;
    browser.sees(&format!("{sub}/deep")).await;
    assert!(!browser.text().await.contains(&format!("{sub}/one")), "{source}");
    browser.end().await;
}

/// The real restic, that lists a snapshot once a file is there: its path, and the file's.
fn listing_waits(fleet: &Fleet) -> (PathBuf, PathBuf) {
    let (script, gate) = (fleet.sources.path().join("restic"), fleet.sources.path().join("go on"));
    let (real, held) = (restic(), gate.display());
    let wait = format!("case \" $* \" in *' ls '*) while [ ! -e '{held}' ]; do sleep 0.05; done;; esac");
    std::fs::write(&script, format!("#!/bin/sh\n{wait}\nexec '{}' \"$@\"\n", real.display())).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    (script, gate)
}

#[tokio::test]
async fn what_is_typed_survives_a_page_that_looks_again_by_itself() {
    let fleet = Fleet::start(&["web-01"]).await;
    let (restic, gate) = listing_waits(&fleet);
    let source = fleet.source("web-01");
    let mut agent = fleet.host("web-01", &[&source]).await.with_restic(restic);
    agent.start();
    assert_eq!(fleet.ended(&fleet.run_now(&agent).await).await["state"], "succeeded");
    let browser = Browser::start(true).await;
    sign_in(&fleet, &browser).await;
    browser.press("Browse its files").await;
    browser.sees("This page looks again by itself").await;
    browser.value("(window.before = document.querySelector('[data-again]'), true)").await;
    browser.until("!window.before.isConnected").await;
    browser.sees("This page looks again by itself").await;
    browser.fill("find", "empty").await;
    browser.value("document.activeElement.blur()").await;
    browser.value("window.typed = performance.now()").await;
    // Twice the time after which it would look again.
    browser.until("performance.now() > window.typed + 4000").await;
    assert_eq!(browser.value("document.querySelector('[name=find]').value").await, "empty");
    std::fs::write(gate, "").unwrap();
    browser.press("Find").await;
    browser.wait("input[name=tick][value$='empty']").await;
    browser.end().await;
}

#[tokio::test]
async fn what_may_change_files_that_are_there_asks_for_a_tick_that_names_host_and_count() {
    let fleet = Fleet::start(&["web-01"]).await;
    let (_agent, source) = lost(&fleet, "web-01").await;
    std::fs::write(source.join("kept"), "changed since").unwrap();
    let browser = Browser::start(true).await;
    sign_in(&fleet, &browser).await;
    find_and_tick(&browser, true, "kept").await;
    browser.wait("input[value=original]").await.click().await.unwrap();
    browser.press("Preview").await;
    browser.reload_until("This would happen").await;
    browser.sees("Would be overwritten").await;
    browser.sees("Replace 1 file on web-01").await;
    browser.value("document.getElementById('sure').required = false").await;
    browser.press("Restore 1 file").await;
    browser.sees("Tick below that files on the host may change").await;
    assert_eq!(std::fs::read_to_string(source.join("kept")).unwrap(), "changed since");
    browser.wait("#sure").await.click().await.unwrap();
    browser.press("Restore 1 file").await;
    browser.reload_until("Succeeded").await;
    assert_eq!(std::fs::read_to_string(source.join("kept")).unwrap(), "kept");
    browser.end().await;
}

#[tokio::test]
async fn files_go_to_another_host_through_the_wizard() {
    let fleet = Fleet::start(&["web-01", "db-01"]).await;
    let (mut agent, source) = lost(&fleet, "web-01").await;
    let mut other = fleet.host("db-01", &[]).await;
    other.start();
    let browser = Browser::start(true).await;
    sign_in(&fleet, &browser).await;
    find_and_tick(&browser, true, "gone.txt").await;
    // From here on the host that lost it is not needed.
    agent.stop();
    browser.wait(&format!("#host option[value='{}']", other.host)).await.click().await.unwrap();
    let target = fleet.sources.path().join("on db-01");
    browser.fill("folder", target.to_str().unwrap()).await;
    browser.press("Preview").await;
    browser.reload_until("This would happen").await;
    browser.sees("db-01").await;
    browser.press("Restore").await;
    browser.reload_until("Succeeded").await;
    let restored = target.join(source.strip_prefix("/").unwrap()).join("gone.txt");
    assert_eq!(std::fs::read_to_string(restored).unwrap(), "gone.txt");
    browser.end().await;
}

/// Asks until the first look into the snapshot is over.
async fn looked(fleet: &Fleet, path: &str) -> Value {
    loop {
        let found = fleet.of_repository(path).await;
        if found["indexing"].is_null() {
            return found;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

fn restore(fleet: &Fleet, snapshot: &str, target: &Path) -> Value {
    json!({"kind": "restore", "repository_id": fleet.repository, "snapshot": snapshot,
        "target": {"to": "folder", "path": target}, "overwrite": "never", "verify": true})
}

#[tokio::test]
async fn another_host_restores_with_a_credential_that_is_lent_for_the_job() {
    let fleet = Fleet::start(&["web-01", "db-01"]).await;
    let (mut agent, source) = lost(&fleet, "web-01").await;
    let mut other = fleet.host("db-01", &[]).await;
    other.start();
    let list = fleet.of_repository("/snapshots").await;
    let snapshot = list["items"][0]["id"].as_str().unwrap().to_owned();
    let folder = looked(&fleet, &format!("/snapshots/{snapshot}/files?path={}", source.display())).await;
    let names: Vec<&str> = folder["items"].as_array().unwrap().iter().map(|e| e["path"].as_str().unwrap()).collect();
    assert_eq!(names.len(), 8, "{folder}");
    assert!(names[0].ends_with("/folder"), "folders come first: {folder}");
    // The host that made it may be gone for good.
    agent.stop();
    let target = fleet.sources.path().join("elsewhere");
    let task = restore(&fleet, &snapshot, &target);
    let job = fleet.operate(json!({"host_id": other.host, "of_host_id": agent.host, "task": task})).await;
    assert_eq!(job["state"], "succeeded", "{job}");
    assert_eq!(job["outcome"]["verified"], 6, "{job}");
    std::fs::write(source.join("gone.txt"), "gone.txt").unwrap();
    let restored = target.join(source.strip_prefix("/").unwrap());
    output(Command::new("diff").args(["-r", "--no-dereference"]).arg(&source).arg(restored));
    // The loan is over: the same question is refused by the storage when the host asks with its own.
    let own = json!({"host_id": other.host, "task": {"kind": "ls", "repository_id": fleet.repository, "snapshot": snapshot, "path": "/"}});
    assert_ne!(fleet.operate(own).await["state"], "succeeded");
    let state = other.dir.path().join("state");
    let left = Command::new("grep").args(["-r", "pw-web-01"]).arg(&state).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&left.stdout), "", "nothing of it is left on the disk");
}
