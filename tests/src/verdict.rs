//! What must hold after any chaos: each job has one end, restic was started at most once for it, each line of its log is there once and in
//! order, the agents have nothing left to say, and the database does not contradict itself.

use crate::agent::Agent;
use crate::chaos::Script;
use crate::control::ControlPlane;
use crate::proxy::Fault;
use restic_manager_shared::time::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;

/// A host after the chaos.
pub struct Host {
    pub agent: Agent,
    /// When its agent was killed, in microseconds.
    pub deaths: Vec<i64>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub seed: u64,
    pub jobs: usize,
    pub starts: usize,
    pub states: BTreeMap<String, usize>,
    pub causes: BTreeMap<String, usize>,
    pub lines: usize,
    /// Lines of jobs that were not sent when their agent was killed, and of which the log says nothing.
    pub lines_lost_with_agents: usize,
    pub faults: BTreeMap<Fault, u64>,
    /// Agents, control plane, restic.
    pub killed: [u64; 3],
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [agents, control, restic] = self.killed;
        writeln!(f, "seed {}: {} jobs, lost 0, doubled 0, restic started {} times", self.seed, self.jobs, self.starts)?;
        writeln!(f, "  ends {:?}", self.states)?;
        writeln!(f, "  causes {:?}", self.causes)?;
        writeln!(f, "  faults {:?}", self.faults)?;
        writeln!(f, "  killed: {agents} agents, {control} control planes, {restic} restics")?;
        write!(f, "  {} log lines, {} lost with killed agents", self.lines, self.lines_lost_with_agents)
    }
}

/// One start of the fake: how many lines it means to print.
type Starts = HashMap<String, Vec<usize>>;

fn starts(agent: &Agent) -> Starts {
    let mut starts = Starts::new();
    let text = std::fs::read_to_string(agent.dir.path().join("starts")).unwrap_or_default();
    for line in text.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        starts.entry(words[0].to_owned()).or_default().push(words[2].parse().unwrap());
    }
    starts
}

/// Holds the fleet to all of it.
pub async fn hold(script: &Script, control: &ControlPlane, hosts: &[Host], pressed: &[String]) -> Figures {
    let mut figures = Figures { jobs: pressed.len(), ..Figures::default() };
    let distinct: HashSet<&String> = pressed.iter().collect();
    assert_eq!(distinct.len(), pressed.len(), "two keys gave one job");
    for host in hosts {
        until_told(&host.agent).await;
        let starts = starts(&host.agent);
        let jobs = jobs_of(script, &host.agent.host).await;
        for job in &jobs {
            assert!(distinct.contains(&job["id"].as_str().unwrap().to_owned()), "a job that nobody asked for: {job}");
            one(script, job, &starts, &host.deaths, &mut figures).await;
        }
        assert!(starts.keys().all(|id| jobs.iter().any(|j| j["id"] == **id)), "restic ran for a job that is not there");
    }
    assert_eq!(figures.states.values().sum::<usize>(), pressed.len(), "jobs were lost or doubled: {figures:?}");
    let (content, said) = control.doctor();
    assert!(content && said.trim() == "ok", "the doctor says:\n{said}");
    figures
}

/// Waits until the agent's journal is empty.
async fn until_told(agent: &Agent) {
    let patience = async {
        while !is_told(agent) {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    // Longer than the longest wait between two tries.
    let told = tokio::time::timeout(Duration::from_secs(90), patience).await;
    assert!(told.is_ok(), "the agent's journal does not empty:\n{}\n{}", agent.status(), agent.log());
}

fn is_told(agent: &Agent) -> bool {
    let status = agent.status();
    status.lines().any(|l| l.starts_with("to be sent") && l.contains(" 0 records")) && !status.contains("\njob  ")
}

async fn jobs_of(script: &Script, host: &str) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = script.get(&format!("/api/v1/hosts/{host}/jobs?limit=200{cursor}")).await;
        all.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str().or_else(|| page["next_cursor"].as_str()) {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return all,
        }
    }
}

async fn one(script: &Script, job: &Value, starts: &Starts, deaths: &[i64], figures: &mut Figures) {
    let (id, state) = (job["id"].as_str().unwrap(), job["state"].as_str().unwrap());
    assert!(
        ["succeeded", "warning", "failed"].contains(&state),
        "not an end, or lost though its agent came back: {job}"
    );
    *figures.states.entry(state.to_owned()).or_default() += 1;
    let cause = job["result"]["cause"]["code"].as_str().unwrap_or("none");
    *figures.causes.entry(cause.to_owned()).or_default() += 1;
    let started = starts.get(id).map_or(&[][..], Vec::as_slice);
    assert!(started.len() <= 1, "restic was started {} times for one job: {job}", started.len());
    assert!(state == "failed" || started.len() == 1, "it succeeded without restic: {job}");
    figures.starts += started.len();
    let lines = log_of(script, id).await;
    let numbers: Vec<usize> =
        lines.iter().filter_map(|l| l.strip_prefix("chaos ")?.split(' ').next()?.parse().ok()).collect();
    assert!(numbers.windows(2).all(|w| w[0] < w[1]), "lines are doubled or out of order: {numbers:?} {job}");
    figures.lines += numbers.len();
    let ends =
        lines.iter().filter(|l| l.starts_with("succeeded") || l.starts_with("ended with") || l.starts_with("failed"));
    assert_eq!(ends.count(), 1, "one end is said once: {lines:?} {job}");
    let is_whole = numbers.iter().copied().eq(1..=numbers.len());
    let meant = started.first().copied().unwrap_or(0);
    let killed = cause == "restic_crashed" || cause == "agent_restarted";
    if (is_whole && (numbers.len() == meant || cause == "restic_crashed"))
        || lines.iter().any(|l| l.contains("were left out"))
    {
        return;
    }
    // What an agent held in memory when it was killed is gone.
    let died = deaths.iter().any(|at| (time(job, "started_at")..time(job, "finished_at") + 15_000_000).contains(at));
    assert!(died || cause == "agent_restarted", "lines are missing ({numbers:?} of {meant}): {job}");
    if !killed {
        figures.lines_lost_with_agents += meant - numbers.len();
    }
}

fn time(job: &Value, field: &str) -> i64 {
    serde_json::from_value::<Timestamp>(job[field].clone()).map_or(0, |t| t.micros())
}

async fn log_of(script: &Script, id: &str) -> Vec<String> {
    let (mut lines, mut seq) = (Vec::new(), 0);
    loop {
        let events = script.get(&format!("/api/v1/jobs/{id}/events?after={seq}")).await;
        let page = events["lines"].as_array().unwrap();
        lines.extend(page.iter().map(|l| l["text"].as_str().unwrap().to_owned()));
        let next = events["seq"].as_i64().unwrap();
        if page.is_empty() || next <= seq {
            return lines;
        }
        seq = next;
    }
}
