//! What changed, and what was there before: comparing snapshots, finding a file, its versions; as a person does it in a real browser and as a
//! script does it, with the real restic.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use reqwest::Method;
use restic_manager_tests::agent::Agent;
use restic_manager_tests::browser::Browser;
use restic_manager_tests::fleet::Fleet;
use serde_json::Value;
use std::path::PathBuf;

/// More than any page, and more than a job's outcome holds.
const MANY: usize = 2_500;

struct Bench {
    fleet: Fleet,
    _web: Agent,
    source: PathBuf,
    /// Snapshots, the oldest first.
    snapshots: Vec<String>,
}

impl Bench {
    /// Three backups of a folder: a report that grows, a note that goes, and many files that come.
    async fn new() -> Self {
        let fleet = Fleet::start(&["web-01"]).await;
        let source = fleet.source("web-01");
        let mut web = fleet.host("web-01", &[&source]).await;
        web.start();
        let mut bench = Self { fleet, _web: web, source, snapshots: vec![] };
        bench.write("report.txt", "one");
        bench.write("note.txt", "to be lost");
        bench.backs_up().await;
        bench.backs_up().await;
        bench.write("report.txt", "two, longer");
        std::fs::remove_file(bench.source.join("note.txt")).unwrap();
        std::fs::create_dir(bench.source.join("many")).unwrap();
        for n in 0..MANY {
            bench.write(&format!("many/{n:05}"), "x");
        }
        bench.backs_up().await;
        bench
    }

    fn write(&self, name: &str, content: &str) {
        std::fs::write(self.source.join(name), content).unwrap();
    }

    fn at(&self, name: &str) -> String {
        self.source.join(name).to_str().unwrap().to_owned()
    }

    async fn backs_up(&mut self) {
        let job = self.fleet.ended(&self.fleet.run_now(&self._web).await).await;
        assert_eq!(job["state"], "succeeded", "{job}");
        self.snapshots.push(job["result"]["summary"]["snapshot_id"].as_str().unwrap().to_owned());
    }

    /// Asks until the first look into the snapshots is over.
    async fn changes(&self, query: &str) -> Value {
        loop {
            let found = self.fleet.of_repository(&format!("/changes?{query}")).await;
            if found["indexing"].is_null() {
                return found;
            }
        }
    }

    /// Asks until the snapshots have been read.
    async fn download(&self, query: &str) -> (u16, String) {
        let path = format!("/api/v1/repositories/{}/changes/download?{query}", self.fleet.repository);
        loop {
            let request = self.fleet.control.request(Method::GET, &path, Some(&self.fleet.admin));
            let answer = request.send().await.unwrap();
            if answer.status() != 503 {
                return (answer.status().as_u16(), answer.text().await.unwrap());
            }
            assert!(answer.headers().contains_key("retry-after"), "it says when to ask again");
            let problem = answer.text().await.unwrap();
            assert!(problem.contains("still_reading"), "{problem}");
        }
    }

    async fn signed_in(&self, script: bool) -> Browser {
        let browser = Browser::start(script).await;
        let path = format!("/repositories/{}/snapshots", self.fleet.repository);
        browser.sign_in_as(&self.fleet.control, ("anna", "operator"), &path).await;
        browser
    }
}

#[tokio::test]
async fn a_script_reads_every_change() {
    let bench = Bench::new().await;
    let (first, last) = (&bench.snapshots[0], &bench.snapshots[2]);
    let under = bench.at("");
    let under = under.trim_end_matches('/');
    let top = bench.changes(&format!("to={last}&under={under}")).await;
    assert_eq!(top["from"], *bench.snapshots[1], "compared with the one before, if none is named");
    assert_eq!(top["sums"]["removed"], 1, "{top}");
    assert_eq!((&top["sums"]["changed"], &top["sums"]["changed_bytes"]), (&Value::from(1), &Value::from(11)), "{top}");
    let many = &top["items"][0];
    assert_eq!((&many["path"], &many["below"]["added"]), (&bench.at("many").into(), &MANY.into()), "{top}");
    let (status, csv) = bench.download(&format!("from={first}&to={last}&kind=added")).await;
    assert_eq!(status, 200, "{csv}");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("\"change\",\"path\",\"type\",\"bytes_before\",\"bytes_after\""));
    let paths: Vec<&str> = lines.filter(|l| l.ends_with(",\"file\",\"\",\"1\"")).collect();
    assert_eq!(paths.len(), MANY, "each of them");
    let (_, json) = bench.download(&format!("from={first}&to={last}&under={under}&format=json")).await;
    let all: Vec<Value> = serde_json::from_str(&json).unwrap();
    let lost = all.iter().find(|item| item["change"] == "removed").unwrap();
    assert_eq!((&lost["path"], &lost["before"]), (&bench.at("note.txt").into(), &10.into()));
    let (status, problem) = bench.download(&format!("to={first}")).await;
    assert_eq!(status, 422, "{problem}");
    assert!(problem.contains("no earlier one"), "{problem}");
}

async fn compares(script: bool) {
    let bench = Bench::new().await;
    let browser = bench.signed_in(script).await;
    for n in [2, 0] {
        browser.wait(&format!("input[value='{}']", bench.snapshots[n])).await.click().await.unwrap();
    }
    browser.press("Compare").await;
    browser.reload_until("In sum").await;
    browser.sees("What changed on web-01").await;
    for folder in bench.source.components().skip(1) {
        let name = folder.as_os_str().to_str().unwrap();
        browser.wait(&format!(".difflist a[href*='{name}']")).await.click().await.unwrap();
        browser.wait(&format!("nav[aria-label=Folder] a[href*='{name}'][aria-current]")).await;
    }
    browser.sees("2,500 added").await;
    browser.sees("3 B to 11 B").await;
    browser.fill("find", "note").await;
    browser.press("Find").await;
    browser.sees("note.txt").await;
    browser.press("Restore").await;
    browser.sees("Which place?").await;
    browser.sees(&bench.at("note.txt")).await;
    browser.end().await;
}

#[tokio::test]
async fn two_snapshots_are_compared_and_what_is_gone_is_had_back() {
    compares(true).await;
}

#[tokio::test]
async fn and_without_javascript() {
    compares(false).await;
}

#[tokio::test]
async fn a_file_is_found_without_knowing_its_snapshot_and_an_older_version_is_had_back() {
    let bench = Bench::new().await;
    let browser = bench.signed_in(false).await;
    browser.page.goto(&format!("{}/restore", bench.fleet.control.url)).await.unwrap();
    browser.press("Find a file").await;
    browser.wait("#host option:nth-child(2)").await.click().await.unwrap();
    browser.fill("find", "note").await;
    browser.press("Find").await;
    browser.reload_until("Nothing is called that").await;
    browser.press("Look in all snapshots").await;
    browser.reload_until("note.txt").await;
    browser.fill("find", "report.*").await;
    browser.press("Find").await;
    browser.reload_until("report.txt").await;
    browser.press("Versions").await;
    browser.reload_until("3 versions").await;
    browser.sees("as in the one before").await;
    browser.sees("differs from the one before").await;
    let older = format!("input[value='{} {}'] ~ button", bench.fleet.repository, bench.snapshots[1]);
    browser.wait(&older).await.click().await.unwrap();
    browser.sees("Which place?").await;
    let target = bench.fleet.sources.path().join("back");
    browser.fill("folder", target.to_str().unwrap()).await;
    browser.press("Preview").await;
    browser.reload_until("This would happen").await;
    browser.press("Restore").await;
    browser.reload_until("Succeeded").await;
    let restored = target.join(bench.source.strip_prefix("/").unwrap()).join("report.txt");
    assert_eq!(std::fs::read_to_string(restored).unwrap(), "one");
    browser.end().await;
}
