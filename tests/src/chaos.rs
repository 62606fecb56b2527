//! A fleet under faults: real control plane and agents, a fake restic, a bad network, kills, full disks and clocks that are set; schedules
//! that fire each minute, and Run now as scripts press it, again and again with the same key until there is an answer. What must hold in
//! the end is `verdict`'s business.

use crate::agent::Agent;
use crate::clock::Clock;
use crate::control::ControlPlane;
use crate::dice::Dice;
use crate::proxy::Proxy;
use crate::tools::built;
use crate::torment::{self, Kills};
use crate::verdict::{self, ClocksSet, Figures, Host, Pressed};
use reqwest::{Client, Method};
use restic_manager_shared::time::Timestamp;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;

/// What the time does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Time {
    /// Nothing special.
    True,
    /// It goes so many times as fast for control plane and agents, so that minutely schedules fire often.
    Fast(u32),
    /// Each clock is set forward and back by up to an hour and a half.
    Moved,
}

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub jobs: usize,
    pub agents: usize,
    /// Schedules of each host, each with its own repository.
    pub lanes: usize,
    /// Schedules of each host that fire each minute.
    pub crons: usize,
    /// Of a hundred requests of agents, so many meet a fault.
    pub faults: u64,
    pub kills: bool,
    pub time: Time,
    /// Whether the last host's disk is full now and then. It is not killed: what cannot be written down dies with its agent.
    pub disk: bool,
    /// For how many seconds a job may be silent.
    pub lease: u32,
}

impl Plan {
    /// As the tests run it.
    #[must_use]
    pub const fn new(seed: u64, jobs: usize, agents: usize, time: Time) -> Self {
        // As usual in fast time; else as short as is bearable, so that leases end here too.
        let lease = if matches!(time, Time::Fast(_)) { 120 } else { 6 };
        Self { seed, jobs, agents, lanes: 4, crons: 2, faults: 8, kills: true, time, disk: true, lease }
    }

    /// One host with one schedule, no chance.
    #[must_use]
    pub const fn calm() -> Self {
        let still = Self::new(7, 1, 1, Time::True);
        Self { lanes: 1, crons: 0, faults: 0, kills: false, disk: false, ..still }
    }

    fn clock(&self, shared: Option<&Arc<Clock>>) -> Option<Arc<Clock>> {
        match self.time {
            Time::True => None,
            Time::Fast(rate) => Some(shared.cloned().unwrap_or_else(|| Arc::new(Clock::fast(rate)))),
            Time::Moved => Some(Arc::new(Clock::settable())),
        }
    }
}

/// A small disk, in KiB.
const DISK: u32 = 8 * 1024;
/// What an agent keeps of each job that it told of, in KiB, and as much again while its journal is tidied up.
const TOLD: usize = 5;

/// A script that does not give up: what it asked is asked again until there is an answer.
#[derive(Clone)]
pub struct Script {
    url: String,
    token: String,
    http: Client,
}

impl Script {
    pub fn of(control: &ControlPlane, token: &str) -> Self {
        Self { url: control.url.clone(), token: token.to_owned(), http: control.http.clone() }
    }

    pub async fn call(&self, method: Method, path: &str, key: Option<&str>, body: &Value) -> (u16, Value) {
        loop {
            let mut request = self.http.request(method.clone(), format!("{}{path}", self.url)).bearer_auth(&self.token);
            if let Some(key) = key {
                request = request.header("Idempotency-Key", key);
            }
            if !body.is_null() {
                request = request.json(body);
            }
            if let Ok(response) = request.timeout(Duration::from_secs(70)).send().await {
                let status = response.status().as_u16();
                match response.text().await {
                    Ok(text) if status < 500 => return (status, serde_json::from_str(&text).unwrap_or(Value::Null)),
                    _ => {}
                }
            }
            // The server is down or goes down: there is nothing to wait for but the next try.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn get(&self, path: &str) -> Value {
        let (status, body) = self.call(Method::GET, path, None, &Value::Null).await;
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// Makes something and answers it.
    pub async fn make(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.call(Method::POST, path, None, &body).await;
        assert!((200..300).contains(&status), "{path}: {status} {made}");
        made
    }

    /// Run now; answers the job. A run that was taken for lost may be found alive meanwhile: it is waited for.
    pub async fn run(&self, schedule: &str, key: &str) -> String {
        let path = format!("/api/v1/schedules/{schedule}/run");
        loop {
            let (status, answer) = self.call(Method::POST, &path, Some(key), &Value::Null).await;
            match (status, answer["code"].as_str()) {
                (200 | 202, _) => return answer["job"]["id"].as_str().unwrap().to_owned(),
                (409, Some("already_running")) => self.ended(answer["job_id"].as_str().unwrap()).await,
                _ => panic!("{key}: {status} {answer}"),
            }
        }
    }

    /// Waits for the end of a job.
    pub async fn ended(&self, job: &str) {
        let mut seq = 0;
        loop {
            let events = self.get(&format!("/api/v1/jobs/{job}/events?after={seq}&wait=25")).await;
            if events["finished"] == true {
                return;
            }
            seq = events["seq"].as_i64().unwrap();
        }
    }
}

/// A host, with its schedules that people press and those that fire.
pub struct Bedded {
    pub agent: Agent,
    pub lanes: Vec<String>,
    pub crons: Vec<String>,
}

/// A fleet, not yet under faults.
pub struct Bed {
    pub control: ControlPlane,
    pub proxy: Proxy,
    pub script: Script,
    pub hosts: Vec<Bedded>,
    /// The control plane's clock, and each agent's, if they are not true.
    pub clocks: Vec<Arc<Clock>>,
    repositories: Vec<String>,
    _dir: TempDir,
}

impl Bed {
    /// Control plane, proxy, and agents that run, each with so many schedules.
    pub async fn start(plan: &Plan) -> Self {
        let clock = plan.clock(None);
        let lease = plan.lease.to_string();
        let control = ControlPlane::start_with(TempDir::new().unwrap(), &["--lease", &lease], clock.clone());
        let proxy = Proxy::before(&control.url, plan.seed).await;
        let script = Script::of(&control, &control.token("admin"));
        let dir = TempDir::new().unwrap();
        let mut repositories = Vec::new();
        for n in 0..plan.lanes {
            let url = format!("{}/{n}/{{host}}", dir.path().display());
            let body = json!({"name": format!("lane {n}"), "url": url, "password": "p"});
            let made = script.make("/api/v1/repositories", body).await;
            repositories.push(made["id"].as_str().unwrap().to_owned());
        }
        let mut clocks: Vec<Arc<Clock>> = clock.iter().cloned().collect();
        let mut hosts = Vec::new();
        for n in 0..plan.agents {
            let own = plan.clock(clock.as_ref());
            clocks.extend(own.clone());
            hosts.push(host(&script, &proxy, plan, &repositories, (n, own)).await);
        }
        Self { control, proxy, script, hosts, clocks, repositories, _dir: dir }
    }

    /// The first host's folder.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.hosts[0].agent.dir.path()
    }
}

async fn host(
    script: &Script,
    proxy: &Proxy,
    plan: &Plan,
    repositories: &[String],
    (n, clock): (usize, Option<Arc<Clock>>),
) -> Bedded {
    let body = json!({"host_name": format!("host-{n}"), "initial_paths": [], "repository_id": repositories[0]});
    let made = script.make("/api/v1/enrollment-tokens", body).await;
    let agent = Agent::enroll_at(&proxy.url, &made).unwrap();
    let home = agent.dir.path().to_owned();
    std::fs::write(home.join("seed"), Dice::new(plan.seed, &format!("restic {n}")).throw().to_string()).unwrap();
    // The name in the agent's own folder is what the fake is started by, and where it finds its script.
    std::os::unix::fs::symlink(built("fake-restic"), home.join("restic")).unwrap();
    let mut agent = agent.with_restic(home.join("restic")).with_clock(clock);
    if plan.disk && n + 1 == plan.agents {
        let told = TOLD * 2 * plan.jobs / plan.agents;
        agent = agent.with_disk(DISK.max(u32::try_from(told).unwrap_or(u32::MAX)));
    }
    let (mut lanes, mut crons) = (Vec::new(), Vec::new());
    for (lane, repository) in repositories.iter().enumerate() {
        let path = format!("/api/v1/hosts/{}/credentials/{repository}", agent.host);
        let (status, said) = script.call(Method::PUT, &path, None, &json!({})).await;
        assert_eq!(status, 204, "{said}");
        let body =
            json!({"name": format!("lane {lane}"), "paths": ["/srv"], "manual": true, "repository_id": repository});
        lanes.push(schedule(script, &agent, body).await);
    }
    for cron in 0..plan.crons {
        crons.push(schedule(script, &agent, minutely(cron, &repositories[cron % repositories.len()], true)).await);
    }
    agent.start();
    Bedded { agent, lanes, crons }
}

async fn schedule(script: &Script, agent: &Agent, body: Value) -> String {
    let made = script.make(&format!("/api/v1/hosts/{}/schedules", agent.host), body).await;
    made["id"].as_str().unwrap().to_owned()
}

/// Fires each minute. Not tried again: restic starts at most once for each fire.
fn minutely(n: usize, repository: &str, enabled: bool) -> Value {
    json!({"name": format!("minutely {n}"), "paths": ["/srv"], "cron": "* * * * *", "timezone": "UTC",
        "enabled": enabled, "repository_id": repository, "firing": {"retries": 0}})
}

/// Ends the schedules that fire, and waits until their host knows.
async fn quieten(script: &Script, host: &Bedded, repository_of: &[String]) {
    for (n, id) in host.crons.iter().enumerate() {
        let body = minutely(n, &repository_of[n % repository_of.len()], false);
        let (status, said) = script.call(Method::PUT, &format!("/api/v1/schedules/{id}"), None, &body).await;
        assert_eq!(status, 200, "{said}");
    }
    while script.get(&format!("/api/v1/hosts/{}", host.agent.host)).await["in_force"] != true {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until each schedule that fires has fired after an instant: what was slept through before is made up for by then.
async fn caught_up(script: &Script, host: &Bedded, after: Timestamp) {
    let is_after = |job: &Value| {
        let due = serde_json::from_value::<Timestamp>(job["due_at"].clone());
        due.is_ok_and(|due| due > after) && job["state"] != "missed"
    };
    for id in &host.crons {
        loop {
            let jobs = verdict::jobs_of(script, &host.agent.host).await;
            if jobs.iter().any(|job| job["schedule_id"] == **id && is_after(job)) {
                break;
            }
            // Minutes pass between two fires.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// One schedule's Run nows, one after the other. Some are pressed twice at once. Answers the jobs.
async fn lane(script: Script, schedule: String, name: String, count: usize, mut dice: Dice) -> Vec<String> {
    let mut jobs = Vec::new();
    for n in 0..count {
        let key = format!("{name} {n}");
        let job = if dice.chance(20) {
            let (one, other) = tokio::join!(script.run(&schedule, &key), script.run(&schedule, &key));
            assert_eq!(one, other, "{key}: the same key is the same job");
            one
        } else {
            script.run(&schedule, &key).await
        };
        script.ended(&job).await;
        jobs.push(job);
    }
    jobs
}

/// Runs a plan to its end and holds it to what must hold. Panics, with the seed, if it does not.
pub async fn run(plan: Plan) -> Figures {
    eprintln!("chaos: {plan:?}");
    let began = Timestamp::now();
    let Bed { control, proxy, script, hosts, clocks, repositories, _dir } = Bed::start(&plan).await;
    let ready = Timestamp::now();
    let proxy = Arc::new(proxy);
    let homes: Vec<PathBuf> = hosts.iter().map(|h| h.agent.dir.path().to_owned()).collect();
    let kills = Arc::new(Kills::default());
    kills.enough.store(!plan.kills, Ordering::Relaxed);
    proxy.faults(plan.faults);
    let pressing = press(&plan, &script, &hosts);
    let dice = |stream: &str| Dice::new(plan.seed, stream);
    let tormented: Vec<_> = hosts
        .into_iter()
        .enumerate()
        .map(|(n, host)| tokio::spawn(torment::host(host, dice(&format!("agent {n}")), Arc::clone(&kills))))
        .collect();
    let reaper = tokio::spawn(torment::restic(homes, dice("restic"), Arc::clone(&kills)));
    let cable = tokio::spawn(torment::network(Arc::clone(&proxy), dice("cable"), outage(&plan), Arc::clone(&kills)));
    let time = tokio::spawn(torment::clocks(clocks, plan.time, dice("clocks"), Arc::clone(&kills)));
    let control = tokio::spawn(torment::control(control, dice("control"), Arc::clone(&kills)));
    let mut pressed = Pressed::new();
    for lane in pressing {
        pressed.extend(lane.await.unwrap());
    }
    kills.enough.store(true, Ordering::Relaxed);
    proxy.faults(0);
    for torment in [reaper, cable, time] {
        torment.await.unwrap();
    }
    // The clocks are true again, which programs see within a second.
    let set = (plan.time == Time::Moved).then(|| ClocksSet { from: ready, until: Timestamp::now() });
    let control = control.await.unwrap();
    let mut hosts = Vec::new();
    for host in tormented {
        let host = host.await.unwrap();
        if let Some(set) = set {
            caught_up(&script, &host, set.until).await;
        }
        quieten(&script, &host, &repositories).await;
        hosts.push(Host { agent: host.agent, crons: host.crons });
    }
    let mut figures = verdict::hold(&script, &control, &hosts, &pressed, set).await;
    figures.seed = plan.seed;
    figures.faults = proxy.done();
    figures.torments = kills.counts();
    figures.seconds = Timestamp::now().since(began).as_secs();
    figures
}

/// All lanes, pressed at the same time.
fn press(plan: &Plan, script: &Script, hosts: &[Bedded]) -> Vec<JoinHandle<Vec<String>>> {
    let lanes = plan.agents * plan.lanes;
    let mut pressing = Vec::new();
    for (n, host) in hosts.iter().enumerate() {
        for (k, schedule) in host.lanes.iter().enumerate() {
            let count = (plan.jobs + lanes - 1 - (n * plan.lanes + k)) / lanes;
            let name = format!("{} {n} {k}", plan.seed);
            let dice = Dice::new(plan.seed, &name);
            pressing.push(tokio::spawn(lane(script.clone(), schedule.clone(), name, count, dice)));
        }
    }
    pressing
}

/// How long the cable is out, so that leases end.
fn outage(plan: &Plan) -> Duration {
    let rate = if let Time::Fast(rate) = plan.time { rate } else { 1 };
    Duration::from_secs(plan.lease.into()) / rate + Duration::from_secs(2)
}
