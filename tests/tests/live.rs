//! Pages that keep themselves fresh: what changes arrives, nobody is disturbed by it, and a connection that is lost is told and found again.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::browser::Browser;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::fake_agent::FakeAgent;
use serde_json::{Value, json};
use std::time::Duration;

/// A server with a host whose job runs, and a browser that looks at it.
struct Scene {
    server: ControlPlane,
    admin: String,
    agent: FakeAgent,
    job: JobId,
    attempt: i32,
    told: u32,
    browser: Browser,
}

impl Scene {
    async fn new() -> Self {
        let server = ControlPlane::start();
        let admin = server.token("admin");
        let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
        let run = format!("/api/v1/hosts/{}/run", agent.host);
        assert_eq!(server.post(&admin, &run, Value::Null).await.0, 202);
        let offer = agent.poll(&[], 5).await.offers.remove(0);
        let claim = format!("/agent/v1/jobs/{}/claim", offer.id);
        assert_eq!(agent.post(&claim, json!({"attempt": offer.attempt})).await.0, 200);
        let browser = Browser::start(true).await;
        browser.sign_in_as(&server, ("anna", "operator"), "/hosts").await;
        browser.sees("web-01").await;
        Self { server, admin, agent, job: offer.id, attempt: offer.attempt, told: 0, browser }
    }

    async fn open(&self, path: &str) {
        self.browser.page.goto(&format!("{}{path}", self.server.url)).await.unwrap();
    }

    /// The agent says how far the job is, with some lines.
    async fn tell(&mut self, percent: f64, lines: u32) {
        self.told += 1;
        let line =
            |n| json!({"at": Timestamp::now(), "level": "info", "text": format!("line {n} of message {}", self.told)});
        let status = json!({"phase": "running", "percent": percent, "files_done": 1, "files_total": 2, "bytes_done": 10, "bytes_total": 20});
        let chunk = json!({"attempt": self.attempt, "seq": self.told, "status": status, "lines": (0..lines).map(line).collect::<Vec<_>>()});
        let (status, said) = self.agent.post(&format!("/agent/v1/jobs/{}/chunks", self.job), chunk).await;
        assert_eq!(status, 200, "{said}");
    }

    async fn finish(&self) {
        let now = Timestamp::now();
        let report = json!({"attempt": self.attempt, "end": "succeeded", "exit_code": 0, "started_at": now, "finished_at": now,
            "summary": {"snapshot_id": "ab".repeat(32)}});
        let (status, said) = self.agent.post(&format!("/agent/v1/jobs/{}/finish", self.job), report).await;
        assert_eq!(status, 200, "{said}");
    }

    /// How often the page has asked.
    async fn asked(&self) -> i64 {
        let asked = "performance.getEntriesByType('resource').filter((e) => e.name.includes('/ui/')).length";
        self.browser.value(asked).await.as_i64().unwrap()
    }

    /// As if the tab was put behind another one, or taken to the front.
    async fn hide(&self, hidden: bool) {
        let script = format!(
            "Object.defineProperty(document, 'hidden', {{ configurable: true, get: () => {hidden} }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        );
        self.browser.page.execute(&script, vec![]).await.unwrap();
    }
}

const LOG: &str = "document.getElementById('log')";

#[tokio::test]
async fn a_job_is_followed_to_its_end() {
    let mut it = Scene::new().await;
    it.open(&format!("/jobs/{}", it.job)).await;
    it.tell(0.25, 100).await;
    it.browser.until("document.querySelector('#job-progress progress')?.value === 25").await;
    it.browser.until(&format!("{LOG}.children.length >= 100")).await;
    it.browser.until("document.title.includes('25')").await;
    let at_end = format!("{LOG}.scrollHeight - {LOG}.scrollTop - {LOG}.clientHeight < 24");
    assert_eq!(it.browser.value(&at_end).await, json!(true), "who looks at the end goes on with it");
    // Who reads further up is left there.
    it.browser.page.execute(&format!("{LOG}.scrollTop = 40"), vec![]).await.unwrap();
    it.tell(0.5, 20).await;
    it.browser.until("document.querySelector('#job-progress progress')?.value === 50").await;
    it.browser.until(&format!("{LOG}.lastElementChild.textContent.includes('line 19 of message 2')")).await;
    assert_eq!(it.browser.value(&format!("{LOG}.scrollTop")).await, json!(40));
    it.browser.page.execute(&format!("{LOG}.scrollTop = {LOG}.scrollHeight"), vec![]).await.unwrap();
    it.tell(0.75, 20).await;
    it.browser.until(&format!("{LOG}.lastElementChild.textContent.includes('line 19 of message 3')")).await;
    assert_eq!(it.browser.value(&at_end).await, json!(true));
    it.finish().await;
    it.browser.sees("Succeeded").await;
    it.browser.until("!document.querySelector('[data-poll]')").await;
    assert_eq!(it.browser.complaints().await, Vec::<String>::new());
    it.browser.end().await;
}

#[tokio::test]
async fn what_holds_the_focus_stays_until_it_is_left() {
    let it = Scene::new().await;
    it.open(&format!("/hosts/{}", it.agent.host)).await;
    let card = "document.getElementById('host-live')";
    it.browser.until("document.querySelector('[data-poll]').dataset.cursor !== undefined").await;
    it.browser.page.execute(&format!("{card}.mine = true; {card}.querySelector('a').focus()"), vec![]).await.unwrap();
    let cursor = it.browser.value("document.querySelector('[data-poll]').dataset.cursor").await;
    it.finish().await;
    it.browser.until(&format!("document.querySelector('[data-poll]').dataset.cursor !== {cursor}")).await;
    assert_eq!(
        it.browser.value(&format!("{card}.mine === true && {card}.contains(document.activeElement)")).await,
        json!(true)
    );
    // Once the focus has gone on, what came meanwhile is there, without waiting for the next change.
    it.browser.page.execute("document.activeElement.blur()", vec![]).await.unwrap();
    it.browser.until(&format!("{card}.mine === undefined && {card}.textContent.includes('Succeeded')")).await;
    it.browser.end().await;
}

#[tokio::test]
async fn the_focus_comes_back_to_what_opened_a_dialog() {
    let mut it = Scene::new().await;
    it.open(&format!("/jobs/{}", it.job)).await;
    it.browser.until("document.querySelector('[data-poll]').dataset.cursor !== undefined").await;
    let open = "const b = document.querySelector('main [data-dialog]'); b.mine = true; b.focus(); b.click()";
    it.browser.page.execute(open, vec![]).await.unwrap();
    it.browser.until("document.querySelector('dialog[open]') !== null").await;
    let cursor = it.browser.value("document.querySelector('[data-poll]').dataset.cursor").await;
    it.tell(0.5, 1).await;
    it.browser.until(&format!("document.querySelector('[data-poll]').dataset.cursor !== {cursor}")).await;
    it.browser.page.execute("document.querySelector('dialog[open]').close()", vec![]).await.unwrap();
    it.browser.until("document.activeElement.mine === true").await;
    it.browser.end().await;
}

#[tokio::test]
async fn run_now_runs_again_on_a_page_that_was_gone_back_to() {
    let mut it = Scene::new().await;
    it.finish().await;
    it.open("/hosts").await;
    it.browser.press("Run now on web-01").await;
    it.browser.sees("Backup of").await;
    let path = async |browser: &Browser| browser.page.current_url().await.unwrap().path().to_owned();
    let first = path(&it.browser).await;
    let offer = it.agent.poll(&[], 5).await.offers.remove(0);
    assert_eq!(first, format!("/jobs/{}", offer.id));
    let claim = format!("/agent/v1/jobs/{}/claim", offer.id);
    assert_eq!(it.agent.post(&claim, json!({"attempt": offer.attempt})).await.0, 200);
    (it.job, it.attempt) = (offer.id, offer.attempt);
    it.finish().await;
    it.browser.page.back().await.unwrap();
    it.browser.until(&format!("document.querySelector('main [name=key]')?.value === 'after-{}'", it.job)).await;
    it.browser.press("Run now on web-01").await;
    it.browser.sees("Backup of").await;
    assert_ne!(path(&it.browser).await, first, "it is another job");
    it.browser.end().await;
}

#[tokio::test]
async fn nobody_asks_for_a_page_that_nobody_sees() {
    let mut it = Scene::new().await;
    it.open(&format!("/jobs/{}", it.job)).await;
    it.browser.until("performance.getEntriesByType('resource').some((e) => e.name.includes('/ui/'))").await;
    it.hide(true).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = it.asked().await;
    it.tell(0.5, 1).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(it.asked().await, before, "a hidden tab is quiet");
    it.hide(false).await;
    it.browser.until("document.querySelector('#job-progress progress')?.value === 50").await;
    it.browser.end().await;
}

#[tokio::test]
async fn a_lost_connection_is_told_and_found_again() {
    let mut it = Scene::new().await;
    it.open(&format!("/jobs/{}", it.job)).await;
    it.browser.until("document.querySelector('#live').textContent === 'Live'").await;
    it.server.crash();
    // Longer each time.
    for seconds in [2, 4, 8] {
        it.browser
            .until(&format!("document.querySelector('#live').textContent === 'No connection, retry in {seconds} s'"))
            .await;
        assert_eq!(it.browser.value("document.querySelector('#live').dataset.state").await, "paused");
    }
    it.browser.sees("Backup of web-01").await;
    it.server.revive();
    it.browser.until("document.querySelector('#live').textContent === 'Live'").await;
    it.tell(0.5, 1).await;
    it.browser.until("document.querySelector('#job-progress progress')?.value === 50").await;
    it.browser.end().await;
}

#[tokio::test]
async fn a_repository_that_is_added_elsewhere_comes_into_the_list() {
    let it = Scene::new().await;
    it.open("/repositories").await;
    it.browser.value("window.opened = true").await;
    let second = json!({"name": "second", "url": "rest:http://127.0.0.1:9/second/", "password": "secret"});
    assert_eq!(it.server.post(&it.admin, "/api/v1/repositories", second).await.0, 201);
    it.browser.until("document.querySelector('#repositories').textContent.includes('second')").await;
    assert_eq!(it.browser.value("window.opened").await, json!(true), "the page was not loaded again");
    it.browser.end().await;
}

#[tokio::test]
async fn who_is_signed_out_meanwhile_is_asked_to_sign_in() {
    let it = Scene::new().await;
    it.open(&format!("/jobs/{}", it.job)).await;
    it.browser.page.delete_all_cookies().await.unwrap();
    it.browser.until("location.pathname === '/login'").await;
    it.browser.end().await;
}

#[tokio::test]
async fn ten_open_tabs_do_not_starve_each_other() {
    let mut it = Scene::new().await;
    let mut tabs = vec![];
    for _ in 0..10 {
        let tab = it.browser.page.new_window(true).await.unwrap().handle;
        it.browser.page.switch_to_window(tab.clone()).await.unwrap();
        it.open(&format!("/jobs/{}", it.job)).await;
        // All are looked at, as on a wall of screens.
        it.hide(false).await;
        tabs.push(tab);
    }
    it.tell(0.5, 1).await;
    for tab in tabs {
        it.browser.page.switch_to_window(tab).await.unwrap();
        it.browser.until("document.querySelector('#job-progress progress')?.value === 50").await;
        let slowest = "Math.max(...performance.getEntriesByType('resource').filter((e) => e.name.includes('/ui/')).map((e) => e.duration))";
        let slowest = it.browser.value(slowest).await.as_f64().unwrap();
        assert!(slowest < 3000.0, "an answer took {slowest} ms");
    }
    let jobs = it.server.get(&it.admin, "/api/v1/jobs").await;
    assert_eq!(jobs["items"].as_array().unwrap().len(), 1);
    it.browser.end().await;
}

#[tokio::test]
async fn open_alerts_stay_where_they_are_while_others_come_and_go() {
    let it = Scene::new().await;
    let other = it.server.host(&it.admin, "web-02", &["/etc"]).await;
    let freeze = async |host, how: Method| {
        let body = if how == Method::POST { json!({"reason": "a look"}) } else { Value::Null };
        let (status, said) = it.server.call(&it.admin, how, &format!("/api/v1/hosts/{host}/freeze"), body).await;
        assert_eq!(status, 200, "{said}");
    };
    freeze(it.agent.host, Method::POST).await;
    it.open("/alerts").await;
    let rows = "document.querySelectorAll('.alert-list li').length";
    assert_eq!(it.browser.value(rows).await, json!(1));
    freeze(other.host, Method::POST).await;
    it.browser.until("document.querySelector('#alerts-new').textContent.includes('1 new since')").await;
    assert_eq!(it.browser.value(rows).await, json!(1), "what is under the pointer stays there");
    it.browser.until("document.querySelector('#nav-alerts').textContent.startsWith('2')").await;
    freeze(it.agent.host, Method::DELETE).await;
    it.browser.until("document.querySelector('.alert-list li').textContent.includes('ended')").await;
    it.open("/alerts").await;
    it.browser.sees("web-02").await;
    assert_eq!(it.browser.value(rows).await, json!(1));
    assert_eq!(it.browser.complaints().await, Vec::<String>::new());
    it.browser.end().await;
}
