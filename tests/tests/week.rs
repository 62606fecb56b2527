//! A week without the control plane, for fifty hosts. Simulated is the clock alone: the week before now is played through each agent's own
//! scheduler. What it starts is real: journal, runs of the (scripted) restic, spool, and in the end the replay to the
//! real control plane over real connections.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use agent::app::Agent;
use agent::config::{Config, Inherited};
use agent::enroll::{Wish, enroll};
use agent::restic::binary::Finder;
use agent::state_dir::StateDir;
use agent::{poll, scheduler, spool};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::chaos::Script;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::tools::built;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;

const HOSTS: usize = 50;
const EVERY: i64 = 8 * 3600;
const FIRES: i64 = 7 * 86_400 / EVERY;
const CRON: &str = "0 */8 * * *";

/// The fires of the week that ends now.
fn week() -> Vec<Timestamp> {
    let now = Timestamp::now().seconds();
    let last = now - now.rem_euclid(EVERY);
    (0..FIRES).rev().map(|n| Timestamp::from_seconds(last - n * EVERY)).collect()
}

async fn make_host(script: &Script, repository: &str, url: &str, restic: &Path, n: usize) -> (Arc<Agent>, TempDir) {
    let body = json!({"host_name": format!("host-{n}"), "initial_paths": [], "repository_id": repository});
    let made = script.make("/api/v1/enrollment-tokens", body).await;
    let home = TempDir::new().unwrap();
    let dir = StateDir::open(home.path()).unwrap();
    let config = Config { restic: Some(restic.to_owned()), ..Config::new(url) };
    let token = Secret::new(made["token"].as_str().unwrap());
    let finder = Finder::new(config.restic.clone(), Inherited::default());
    enroll(&dir, Wish { config: config.clone(), token, name: None, force: false, release_keys: vec![] }, &finder)
        .await
        .unwrap();
    let agent = Arc::new(Agent::build(dir, &config, Inherited::default(), None, None).unwrap());
    let body =
        json!({"name": "all day", "paths": ["/srv"], "cron": CRON, "timezone": "UTC", "repository_id": repository});
    script.make(&format!("/api/v1/hosts/{}/schedules", agent.identity.host_id), body).await;
    (agent, home)
}

/// Polls until the schedule is here.
async fn until_it_has_its_schedule(agent: &Arc<Agent>) {
    let (press, stop) = watch::channel(false);
    tokio::select! {
        () = poll::run(agent, stop) => {}
        () = until(|| agent.desired.get().schedules.iter().any(|s| s.cron.is_some())) => {}
    }
    drop(press);
}

async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Plays the week: at each instant what is due starts, and runs to its end.
async fn live(agent: Arc<Agent>, fires: Vec<Timestamp>) -> Arc<Agent> {
    let begin = fires[0] - Duration::from_secs(60);
    let follows = agent.fires.sync(&agent.desired.get(), agent.identity.host_id, "UTC", begin, &agent.journal);
    follows.unwrap();
    for (n, due) in fires.iter().enumerate() {
        scheduler::start_due(&agent, *due + Duration::from_secs(1)).unwrap();
        until(|| agent.spool.len() == n + 1).await;
    }
    agent
}

fn restic(dir: &Path) -> PathBuf {
    std::fs::write(dir.join("run"), "3 0").unwrap();
    std::os::unix::fs::symlink(built("fake-restic"), dir.join("restic")).unwrap();
    dir.join("restic")
}

/// The fires of each host in the order in which the control plane stored them.
fn as_stored(control: &ControlPlane) -> HashMap<String, Vec<Timestamp>> {
    let file = control.dir.path().join("restic-manager.db");
    let db = rusqlite::Connection::open_with_flags(file, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let mut query = db.prepare("SELECT host_id, due_at FROM jobs WHERE due_at IS NOT NULL ORDER BY rowid").unwrap();
    let mut stored: HashMap<String, Vec<Timestamp>> = HashMap::new();
    let rows = query.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))).unwrap();
    for (host, due) in rows.map(Result::unwrap) {
        stored.entry(host).or_default().push(Timestamp::from_micros(due));
    }
    stored
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_week_without_the_control_plane_is_told_once_and_in_order() {
    let mut control = ControlPlane::start();
    let script = Script::of(&control, &control.token("admin"));
    let home = TempDir::new().unwrap();
    let restic = restic(home.path());
    let url = format!("{}/repository/{{host}}", home.path().display());
    let made = script.make("/api/v1/repositories", json!({"name": "main", "url": url, "password": "p"})).await;
    let (mut agents, mut homes) = (Vec::new(), Vec::new());
    for n in 0..HOSTS {
        let (agent, home) = make_host(&script, made["id"].as_str().unwrap(), &control.url, &restic, n).await;
        until_it_has_its_schedule(&agent).await;
        agents.push(agent);
        homes.push(home);
    }
    control.crash();
    let fires = week();
    let mut lives = JoinSet::new();
    agents.into_iter().for_each(|agent| drop(lives.spawn(live(agent, fires.clone()))));
    let agents = lives.join_all().await;

    control.revive();
    let back = Timestamp::now();
    let (_press, stop) = watch::channel(false);
    for agent in &agents {
        let (agent, stop) = (Arc::clone(agent), stop.clone());
        tokio::spawn(async move { tokio::join!(poll::run(&agent, stop.clone()), spool::run(&agent, stop)) });
    }
    until(|| agents.iter().all(|a| a.journal.waiting().unwrap() == 0)).await;
    let jobs = HOSTS * fires.len();
    println!("{HOSTS} hosts told {jobs} fires of a week in {} s", Timestamp::now().since(back).as_secs_f64());

    let stored = as_stored(&control);
    for agent in &agents {
        let host = agent.identity.host_id.to_string();
        assert_eq!(stored.get(&host), Some(&fires), "host {host}: each fire once, and in order");
        let listed = script.get(&format!("/api/v1/hosts/{host}/jobs?limit=200")).await;
        let ended = |j: &&Value| j["state"] == "succeeded" && j["due_at"].is_string();
        assert_eq!(listed["items"].as_array().unwrap().iter().filter(ended).count(), fires.len(), "{listed}");
    }
    let (content, said) = control.doctor();
    assert!(content, "the doctor says:\n{said}");
}
