//! A fleet under faults: real control plane and agents, a fake restic, a bad network, and kills; Run now as scripts press it, again and
//! again with the same key until there is an answer. What must hold in the end is `verdict`'s business.

use crate::agent::Agent;
use crate::control::ControlPlane;
use crate::dice::Dice;
use crate::proxy::Proxy;
use crate::tools::built;
use crate::torment::{self, Kills};
use crate::verdict::{self, Figures, Host};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tempfile::TempDir;

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub seed: u64,
    pub jobs: usize,
    pub agents: usize,
    /// Schedules of each host, each with its own repository.
    pub lanes: usize,
    /// Of a hundred requests of agents, so many meet a fault.
    pub faults: u64,
    pub kills: bool,
}

impl Plan {
    /// As the tests run it.
    #[must_use]
    pub const fn new(seed: u64, jobs: usize, agents: usize) -> Self {
        Self { seed, jobs, agents, lanes: 4, faults: 8, kills: true }
    }
}

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

    /// Run now; answers the job.
    pub async fn run(&self, schedule: &str, key: &str) -> String {
        let path = format!("/api/v1/schedules/{schedule}/run");
        let (status, answer) = self.call(Method::POST, &path, Some(key), &Value::Null).await;
        assert!(matches!(status, 200 | 202), "{key}: {status} {answer}");
        answer["job"]["id"].as_str().unwrap().to_owned()
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

/// A fleet, not yet under faults.
pub struct Bed {
    pub control: ControlPlane,
    pub proxy: Proxy,
    pub script: Script,
    pub agents: Vec<(Agent, Vec<String>)>,
    _repositories: TempDir,
}

impl Bed {
    /// Control plane, proxy, and agents that run, each with so many schedules.
    pub async fn start(plan: &Plan) -> Self {
        let control = ControlPlane::start();
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
        let mut agents = Vec::new();
        for n in 0..plan.agents {
            agents.push(host(&script, &proxy, plan, &repositories, n).await);
        }
        Self { control, proxy, script, agents, _repositories: dir }
    }
}

async fn host(script: &Script, proxy: &Proxy, plan: &Plan, repositories: &[String], n: usize) -> (Agent, Vec<String>) {
    let body = json!({"host_name": format!("host-{n}"), "initial_paths": [], "repository_id": repositories[0]});
    let made = script.make("/api/v1/enrollment-tokens", body).await;
    let agent = Agent::enroll_at(&proxy.url, &made).unwrap();
    let home = agent.dir.path().to_owned();
    std::fs::write(home.join("seed"), Dice::new(plan.seed, &format!("restic {n}")).throw().to_string()).unwrap();
    // The name in the agent's own folder is what the fake is started by, and where it finds its script.
    std::os::unix::fs::symlink(built("fake-restic"), home.join("restic")).unwrap();
    let mut agent = agent.with_restic(home.join("restic"));
    let mut schedules = Vec::new();
    for (lane, repository) in repositories.iter().enumerate() {
        let path = format!("/api/v1/hosts/{}/credentials/{repository}", agent.host);
        let (status, said) = script.call(Method::PUT, &path, None, &json!({})).await;
        assert_eq!(status, 204, "{said}");
        let body =
            json!({"name": format!("lane {lane}"), "paths": ["/srv"], "manual": true, "repository_id": repository});
        let made = script.make(&format!("/api/v1/hosts/{}/schedules", agent.host), body).await;
        schedules.push(made["id"].as_str().unwrap().to_owned());
    }
    agent.start();
    (agent, schedules)
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
    let Bed { control, proxy, script, agents, _repositories } = Bed::start(&plan).await;
    let homes: Vec<PathBuf> = agents.iter().map(|(a, _)| a.dir.path().to_owned()).collect();
    let kills = Arc::new(Kills::default());
    kills.enough.store(!plan.kills, Ordering::Relaxed);
    proxy.faults(plan.faults);
    let lanes = plan.agents * plan.lanes;
    let (mut pressing, mut tormented) = (Vec::new(), Vec::new());
    for (n, (agent, schedules)) in agents.into_iter().enumerate() {
        for (k, schedule) in schedules.into_iter().enumerate() {
            let count = (plan.jobs + lanes - 1 - (n * plan.lanes + k)) / lanes;
            let name = format!("{} {n} {k}", plan.seed);
            let dice = Dice::new(plan.seed, &name);
            pressing.push(tokio::spawn(lane(script.clone(), schedule, name, count, dice)));
        }
        let dice = Dice::new(plan.seed, &format!("agent {n}"));
        tormented.push(tokio::spawn(torment::agent(agent, dice, Arc::clone(&kills))));
    }
    let reaper = tokio::spawn(torment::restic(homes, Dice::new(plan.seed, "restic"), Arc::clone(&kills)));
    let control = tokio::spawn(torment::control(control, Dice::new(plan.seed, "control"), Arc::clone(&kills)));
    let mut pressed = Vec::new();
    for lane in pressing {
        pressed.extend(lane.await.unwrap());
    }
    kills.enough.store(true, Ordering::Relaxed);
    proxy.faults(0);
    reaper.await.unwrap();
    let control = control.await.unwrap();
    let mut hosts = Vec::new();
    for agent in tormented {
        let (agent, deaths) = agent.await.unwrap();
        hosts.push(Host { agent, deaths });
    }
    let mut figures = verdict::hold(&script, &control, &hosts, &pressed).await;
    figures.seed = plan.seed;
    figures.faults = proxy.done();
    figures.killed = [&kills.agents, &kills.control, &kills.restic].map(|n| n.load(Ordering::Relaxed));
    figures
}
