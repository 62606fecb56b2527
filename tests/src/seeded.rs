//! A control plane with a believable fleet of 24 hosts and its past, and one machine more whose agent speaks by hand: it has jobs in every
//! state, and names as long and as odd as they may be. Its agent answers whoever looks into its snapshots.

use crate::control::{ControlPlane, program};
use crate::fake_agent::FakeAgent;
use crate::visitor::Visitor;
use reqwest::Method;
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::poll::{HeldJob, HeldPhase};
use restic_manager_shared::wire::query::QueryAsk;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// The longest name that a host may have, with no place to break it.
pub const LONG_NAME: &str = "a-second-machine-with-the-longest-name-that-a-host-may-have-xyz";

/// A name of 200 letters with no place to break it.
#[must_use]
pub fn endless() -> String {
    format!("endless{}", "x".repeat(193))
}

/// From right to left, with pictures and a sign that turns the direction.
pub const ODD: &str = "נתונים\u{202e}יומיים👩‍🚒データ🎬";

/// The server, what is in it, and the agent that answers.
pub struct Seeded {
    pub control: ControlPlane,
    /// An administrator's API token.
    pub admin: String,
    /// The host with the odd names.
    pub host: HostId,
    /// A repository of the seed, with figures of a month.
    pub repository: String,
    /// The repository with an odd name; the host may do everything there.
    pub odd_repository: String,
    /// A schedule of the host by cron, with odd names.
    pub schedule: String,
    /// The manual schedule that the host came with.
    pub manual: String,
    /// Its jobs.
    pub jobs: Jobs,
    /// Snapshots of the host, the newer one first.
    pub snapshots: [String; 2],
    agent: JoinHandle<()>,
}

/// A job in each state that looks different.
#[derive(Clone, Debug)]
pub struct Jobs {
    pub running: String,
    pub attempt: i32,
    pub failed: String,
    pub warned: String,
    pub queued: String,
}

/// Starts a server on a folder seeded with a fleet of 24 hosts.
#[must_use]
pub fn sown() -> ControlPlane {
    sown_with(24, 30)
}

/// Starts a server on a folder seeded with so many hosts and days of their past.
#[must_use]
pub fn sown_with(hosts: u32, days: u32) -> ControlPlane {
    let dir = TempDir::new().unwrap();
    let mut seed = program();
    seed.args(["dev", "seed", "--hosts", &hosts.to_string(), "--days", &days.to_string(), "--data-dir"]);
    let seed = seed.arg(dir.path()).output().unwrap();
    assert!(seed.status.success(), "{}", String::from_utf8_lossy(&seed.stderr));
    ControlPlane::start_in(dir, &[])
}

/// What the agent's host was told, while it is set up.
struct Setup<'a> {
    control: &'a ControlPlane,
    admin: &'a str,
    agent: &'a mut FakeAgent,
    held: Vec<HeldJob>,
}

impl Setup<'_> {
    async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.control.post(self.admin, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {made}");
        made
    }

    async fn put(&self, path: &str, body: Value) {
        let (status, said) = self.control.call(self.admin, Method::PUT, path, body).await;
        assert!((200..300).contains(&status), "{path}: {status} {said}");
    }

    /// Runs a schedule as far as claimed; answers the job and its attempt.
    async fn claimed(&mut self, schedule: &str) -> (String, i32) {
        let queued = self.made(&format!("/api/v1/schedules/{schedule}/run"), json!({})).await;
        let id = queued["job"]["id"].as_str().unwrap().to_owned();
        let offer = loop {
            let polled = self.agent.poll(&self.held, 5).await;
            if let Some(offer) = polled.offers.into_iter().find(|o| o.id.to_string() == id) {
                break offer;
            }
        };
        let (status, said) =
            self.agent.post(&format!("/agent/v1/jobs/{id}/claim"), json!({"attempt": offer.attempt})).await;
        assert_eq!(status, 200, "{said}");
        (id, offer.attempt)
    }

    async fn told(&self, job: &str, attempt: i32, percent: f64) {
        let line = |n: u32, level: &str, text: String| json!({"at": format!("2026-01-01T00:{:02}:{:02}Z", n / 60, n % 60), "level": level, "text": text});
        let mut lines: Vec<Value> = (0..60).map(|n| line(n, "info", format!("read file {n}"))).collect();
        lines.push(line(61, "warning", format!("/srv/{} cannot be read", endless())));
        lines.push(line(62, "error", format!("/srv/{ODD}: permission denied")));
        let status = json!({"phase": "running", "percent": percent, "files_done": 12_345, "files_total": 24_690,
            "bytes_done": 12_884_901_888u64, "bytes_total": 25_769_803_776u64, "seconds_elapsed": 3725, "errors": 2,
            "current_files": [format!("/srv/{}", endless()), format!("/srv/{ODD}/film.mkv")]});
        let chunk = json!({"attempt": attempt, "seq": 1, "lines": lines, "status": status});
        let (status, said) = self.agent.post(&format!("/agent/v1/jobs/{job}/chunks"), chunk).await;
        assert_eq!(status, 200, "{said}");
    }

    /// Ends a job; `end` says how and what came of it.
    async fn ended(&self, job: &str, attempt: i32, end: Value) {
        let now = Timestamp::now();
        let mut report = json!({"attempt": attempt, "started_at": now, "finished_at": now});
        report.as_object_mut().unwrap().extend(end.as_object().unwrap().clone());
        let (status, said) = self.agent.post(&format!("/agent/v1/jobs/{job}/finish"), report).await;
        assert_eq!(status, 200, "{said}");
    }

    /// Runs a schedule to its snapshot.
    async fn backed_up(&mut self, schedule: &str, digit: &str, end: &str) -> (String, String) {
        let snapshot = digit.repeat(32);
        let (job, attempt) = self.claimed(schedule).await;
        let (code, warned) = if end == "warning" { (3, endless()) } else { (0, String::new()) };
        let items: Vec<Value> = (0..code)
            .map(|n| json!({"item": format!("/srv/{warned}{n}"), "message": format!("{ODD}: denied")}))
            .collect();
        let record = json!({"id": snapshot, "time": Timestamp::now(), "hostname": LONG_NAME, "username": "root",
            "paths": [format!("/srv/{}", endless()), format!("/srv/{ODD}")], "tags": [endless(), ODD, "nightly"]});
        let report = json!({"end": end, "exit_code": code, "item_errors": items, "summary": {"snapshot_id": snapshot,
            "files_new": 12_345, "data_added": 4_294_967_296u64, "total_files_processed": 24_690,
            "total_bytes_processed": 25_769_803_776u64, "total_duration": 3725.0}, "snapshots": [record]});
        self.ended(&job, attempt, report).await;
        (job, snapshot)
    }

    /// A repository with an odd name, where the host may do everything.
    async fn odd_repository(&self) -> String {
        let name = format!("{ODD} {}", "y".repeat(60));
        let url = format!("rest:https://backup.example.org:8000/{}/{{host}}/", "z".repeat(150));
        let made = self.made("/api/v1/repositories", json!({"name": name, "url": url, "password": "secret"})).await;
        let id = made["id"].as_str().unwrap().to_owned();
        let credential = json!({"mode": "full", "rest_username": "u", "rest_password": "p"});
        self.put(&format!("/api/v1/hosts/{}/credentials/{id}", self.agent.host), credential).await;
        id
    }

    async fn odd_schedule(&self, repository: &str) -> String {
        let body = json!({"name": format!("{ODD} {}", "w".repeat(50)), "repository_id": repository,
            "paths": [format!("/srv/{}", endless()), format!("/srv/{ODD}")], "excludes": [endless(), ODD],
            "tags": [endless(), ODD, "nightly"], "cron": "30 2 * * mon-fri", "enabled": true, "timezone": "America/Argentina/ComodRivadavia",
            "retention": {"keep_daily": 7, "keep_weekly": 5, "keep_monthly": 12, "keep_yearly": 10}});
        let made = self.made(&format!("/api/v1/hosts/{}/schedules", self.agent.host), body).await;
        made["id"].as_str().unwrap().to_owned()
    }
}

impl Seeded {
    /// Starts it all.
    pub async fn start() -> Self {
        let control = sown();
        let admin = control.token("admin");
        let repositories = control.get(&admin, "/api/v1/repositories").await;
        let of_web = repositories["items"].as_array().unwrap().iter().find(|r| r["name"] == "dc-main").unwrap();
        let repository = of_web["id"].as_str().unwrap().to_owned();
        let mut agent = control.host(&admin, LONG_NAME, &[&format!("/srv/{}", endless())]).await;
        let host = agent.host;
        let listed = control.get(&admin, &format!("/api/v1/hosts/{host}/schedules")).await;
        let manual = listed["items"][0]["id"].as_str().unwrap().to_owned();
        let mut setup = Setup { control: &control, admin: &admin, agent: &mut agent, held: vec![] };
        setup
            .put(&format!("/api/v1/hosts/{host}"), json!({"name": LONG_NAME, "tags": ["t".repeat(50), ODD, "prod"]}))
            .await;
        let odd_repository = setup.odd_repository().await;
        let schedule = setup.odd_schedule(&odd_repository).await;
        let (_, older) = setup.backed_up(&schedule, "ab", "succeeded").await;
        let (warned, newer) = setup.backed_up(&schedule, "cd", "warning").await;
        let (failed, attempt) = setup.claimed(&manual).await;
        setup.told(&failed, attempt, 0.4).await;
        let message = format!("unable to open repository at rest:https://{}: {ODD}", endless());
        let cause = json!({"end": "failed", "exit_code": 12, "cause": {"code": "wrong_password", "message": message}});
        setup.ended(&failed, attempt, cause).await;
        let (running, attempt) = setup.claimed(&manual).await;
        setup.told(&running, attempt, 0.5).await;
        let task = json!({"kind": "check", "repository_id": repository});
        let hosts = control.get(&admin, "/api/v1/hosts").await;
        let other = hosts["items"].as_array().unwrap().iter().find(|h| h["name"] == "web-01").unwrap()["id"].clone();
        let queued = setup.made("/api/v1/jobs", json!({"task": task, "host_id": other})).await;
        let queued = queued["job"]["id"].as_str().unwrap().to_owned();
        let held = HeldJob { id: running.parse().unwrap(), attempt, phase: HeldPhase::Running };
        let jobs = Jobs { running, attempt, failed, warned, queued };
        let agent = tokio::spawn(serve(agent, held));
        Self {
            control,
            admin,
            host,
            repository,
            odd_repository,
            schedule,
            manual,
            jobs,
            snapshots: [newer, older],
            agent,
        }
    }

    /// Begins a restore of the newer snapshot, and answers its number.
    pub async fn restore(&self, visitor: &Visitor<'_>, tick: Option<&str>) -> String {
        let pick = format!("{} {}", self.odd_repository, self.snapshots[0]);
        let mut form = vec![("pick", pick.as_str())];
        form.extend(tick.map(|path| ("tick", path)));
        let answer = visitor.submit("/restore", &form).await;
        let id = answer.location.strip_prefix("/restore/").and_then(|rest| rest.split('/').next());
        id.unwrap_or_else(|| panic!("{} {}", answer.status, answer.text)).to_owned()
    }
}

impl Drop for Seeded {
    fn drop(&mut self) {
        self.agent.abort();
    }
}

/// The agent goes on with its job, answers questions, and says what restores would do.
async fn serve(mut agent: FakeAgent, held: HeldJob) {
    loop {
        let (status, body) = agent.post("/agent/v1/poll", agent.poll_body(&[held], 2)).await;
        if status != 200 {
            // The job that it holds was ended by a test, or the server stops.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
            continue;
        }
        for query in body["queries"].as_array().into_iter().flatten() {
            let ask: QueryAsk = serde_json::from_value(query["ask"].clone()).unwrap();
            let path = format!("/agent/v1/queries/{}/answer", query["id"].as_str().unwrap());
            agent.post(&path, answer(&ask)).await;
        }
        for offer in body["offers"].as_array().into_iter().flatten() {
            look(&mut agent, offer).await;
        }
    }
}

fn entry(path: &str, kind: &str, snapshot: &str) -> Value {
    json!({"path": path, "type": kind, "size": 4_294_967_296u64, "mtime": "2026-01-01T00:00:00Z",
        "permissions": "-rw-r--r--", "snapshot": snapshot})
}

fn entries(snapshot: &str) -> Value {
    let (long, odd) = (format!("/srv/{}", endless()), format!("/srv/{ODD}.mkv"));
    json!([
        entry("/srv/folder", "dir", snapshot),
        entry(&long, "file", snapshot),
        entry(&odd, "file", snapshot),
        entry("/srv/a link", "symlink", snapshot)
    ])
}

fn answer(ask: &QueryAsk) -> Value {
    match ask {
        QueryAsk::Folder { snapshot, .. } => json!({"answer": "ready", "entries": entries(snapshot), "total": 4}),
        QueryAsk::Search { snapshots, .. } | QueryAsk::Versions { snapshots, .. } => {
            json!({"answer": "ready", "entries": entries(&snapshots[0])})
        }
        QueryAsk::Changes(_) => {
            let sums = json!({"added": 12, "changed": 3, "removed": 1, "metadata": 2, "added_bytes": 1_048_576,
                "changed_bytes": 2048, "removed_bytes": 512});
            let items = json!([
                {"path": format!("/srv/{}", endless()), "folder": true, "below": sums},
                {"path": format!("/srv/{ODD}"), "change": "added", "after": 1024},
                {"path": "/srv/changed", "change": "changed", "before": 1024, "after": 4096},
                {"path": "/srv/removed", "change": "removed", "before": 1024},
                {"path": "/srv/metadata", "change": "metadata", "before": 1024, "after": 1024}]);
            json!({"answer": "changes", "items": items, "sums": sums})
        }
        QueryAsk::Unknown => json!({"answer": "refused", "code": "other", "message": "not known here"}),
    }
}

/// Ends a restore that only looks with what it would do; other jobs wait.
async fn look(agent: &mut FakeAgent, offer: &Value) {
    if !offer.to_string().contains("\"dry_run\":true") {
        return;
    }
    let (job, attempt) = (offer["id"].as_str().unwrap(), &offer["attempt"]);
    let job: JobId = job.parse().unwrap();
    agent.post(&format!("/agent/v1/jobs/{job}/claim"), json!({"attempt": attempt})).await;
    let example = |action: &str| json!({"path": format!("/srv/{}", endless()), "action": action, "size": 1024});
    let outcome = json!({"kind": "restore", "dry_run": true, "target": format!("/var/tmp/{}", endless()), "created": 3,
        "overwritten": 1, "kept": 2, "restored": 4, "bytes": 1_048_576, "free_bytes": 1_073_741_824,
        "examples": [example("overwrite"), example("delete")]});
    let now = Timestamp::now();
    let finish = json!({"attempt": attempt, "end": "succeeded", "started_at": now, "finished_at": now, "exit_code": 0,
        "outcome": outcome});
    agent.post(&format!("/agent/v1/jobs/{job}/finish"), finish).await;
}
