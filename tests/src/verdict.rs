//! What must hold after any chaos: each job has one end, restic was started at most once for it, each line of its log is there once and in
//! order, each fire that was due is there once, the agents have nothing left to say, and the database does not contradict itself.

use crate::agent::Agent;
use crate::chaos::Script;
use crate::control::ControlPlane;
use crate::proxy::Fault;
use restic_manager_shared::time::Timestamp;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::time::Duration;
use tokio::task::JoinSet;

/// Logs that are read at the same time.
const AT_ONCE: usize = 8;

/// The jobs that were asked for.
pub type Pressed = Vec<String>;

/// A host after the chaos.
pub struct Host {
    pub agent: Agent,
    /// Its schedules that fired each minute.
    pub crons: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    pub seed: u64,
    pub seconds: u64,
    /// Jobs that were asked for.
    pub pressed: usize,
    /// Jobs that schedules started, or skipped.
    pub fires: usize,
    /// Fires that a later one stood for.
    pub stood_for: usize,
    /// Fires that the end of their schedule came upon.
    pub cut_off: usize,
    pub starts: usize,
    pub states: BTreeMap<String, usize>,
    pub causes: BTreeMap<String, usize>,
    /// Jobs that were taken for lost, and whose true end came.
    pub corrected: usize,
    pub lines: usize,
    /// Lines that restic wrote and that no agent lived to read.
    pub unread: usize,
    pub faults: BTreeMap<Fault, u64>,
    /// What else was done, and how often.
    pub torments: BTreeMap<&'static str, u64>,
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, seconds, pressed, fires, starts, .. } = self;
        writeln!(f, "seed {seed}: {} jobs in {seconds} s, lost 0, doubled 0", pressed + fires)?;
        writeln!(f, "  {pressed} by Run now, {fires} by schedules, restic started {starts} times")?;
        writeln!(f, "  fires: {} stood for by later ones, {} cut off by the end", self.stood_for, self.cut_off)?;
        writeln!(f, "  ends {:?}, of which {} were taken for lost before", self.states, self.corrected)?;
        writeln!(f, "  causes {:?}", self.causes)?;
        writeln!(f, "  faults {:?}", self.faults)?;
        writeln!(f, "  torments {:?}", self.torments)?;
        write!(
            f,
            "  {} log lines, each once; {} more were in no agent's hands when it was killed",
            self.lines, self.unread
        )
    }
}

/// Starts of the fake by job: how many lines each means to print.
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

/// From when to when clocks were set: in that time schedules are held to each minute of the true time. What they fired by a wrong clock
/// outside of it is there once at most, and nobody waited for it.
#[derive(Clone, Copy, Debug)]
pub struct ClocksSet {
    pub from: Timestamp,
    pub until: Timestamp,
}

/// Holds the fleet to all of it.
pub async fn hold(
    script: &Script,
    control: &ControlPlane,
    hosts: &[Host],
    pressed: &Pressed,
    set: Option<ClocksSet>,
) -> Figures {
    let mut figures = Figures { pressed: pressed.len(), ..Figures::default() };
    let distinct: HashSet<&str> = pressed.iter().map(String::as_str).collect();
    assert_eq!(distinct.len(), pressed.len(), "two keys gave one job");
    let mut found = 0;
    for host in hosts {
        until_told(&host.agent).await;
        let jobs = settled(script, &host.agent.host).await;
        let starts = starts(&host.agent);
        let logs = logs_of(script, &jobs).await;
        for job in jobs.iter().filter(|job| !is_clean_up(job)) {
            let asked_for = distinct.contains(text(job, "id"));
            assert!(asked_for != job["due_at"].is_string(), "a job that nobody asked for: {job}");
            found += usize::from(asked_for);
            one(job, &logs[text(job, "id")], &starts, &mut figures);
        }
        assert!(starts.keys().all(|id| jobs.iter().any(|j| j["id"] == **id)), "restic ran for a job that is not there");
        for cron in &host.crons {
            fires(&jobs, cron, set, &mut figures);
        }
    }
    assert_eq!(found, pressed.len(), "jobs were lost: {figures:?}");
    let (content, said) = control.doctor();
    assert!(content && said.trim() == "ok", "the doctor says:\n{said}");
    figures
}

fn text<'a>(job: &'a Value, field: &str) -> &'a str {
    job[field].as_str().unwrap_or_default()
}

/// The control plane's own work after a restic was killed, or a backup met a lock: locks are looked for, and those of the dead removed.
fn is_clean_up(job: &Value) -> bool {
    job["requested_by"] == "system:locks" && (job["kind"] == "unlock" || job["kind"] == "locks")
}

/// All jobs of a host, once the clean-ups among them have ended.
async fn settled(script: &Script, host: &str) -> Vec<Value> {
    loop {
        let jobs = jobs_of(script, host).await;
        if jobs.iter().all(|job| !is_clean_up(job) || job["finished_at"].is_string()) {
            return jobs;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
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

/// All jobs of a host.
pub async fn jobs_of(script: &Script, host: &str) -> Vec<Value> {
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

/// Holds a minutely schedule to it: from its first fire to its last, each minute is there once, as a run, as skipped, or stood for.
fn fires(jobs: &[Value], schedule: &str, set: Option<ClocksSet>, figures: &mut Figures) {
    let mine: Vec<&Value> = jobs.iter().filter(|j| text(j, "schedule_id") == schedule).collect();
    let mut minutes: Vec<(i64, bool)> = Vec::new();
    for job in &mine {
        minutes.push((minute(&job["due_at"]), job["state"] == "missed"));
        assert!(job["stands_for"]["more"].as_u64().unwrap_or(0) == 0, "no clock went that far: {job}");
        let stood_for = job["stands_for"]["fires"].as_array().map_or(&[][..], Vec::as_slice);
        minutes.extend(stood_for.iter().map(|due| (minute(due), false)));
    }
    minutes.sort_unstable();
    assert!(minutes.windows(2).all(|w| w[0].0 < w[1].0), "a fire of {schedule} is there twice: {minutes:?}");
    let owed: Vec<i64> = minutes.iter().map(|(minute, _)| *minute).filter(|m| is_owed(*m, set)).collect();
    assert!(owed.windows(2).all(|w| w[0] + 1 == w[1]), "fires of {schedule} are missing: {minutes:?} {set:?}");
    let last = set.map(|set| set.until.seconds() / 60);
    assert!(last.is_none() || owed.last().copied() == last, "{schedule} did not fire to the end: {minutes:?} {set:?}");
    // The last one may have come at the moment in which its host heard that the schedule is over.
    let missed = minutes.iter().filter(|(_, missed)| *missed).count();
    assert!(
        missed == usize::from(minutes.last().is_some_and(|(_, m)| *m)),
        "fires of {schedule} were missed: {minutes:?}"
    );
    figures.fires += mine.len();
    figures.stood_for += minutes.len() - mine.len();
    figures.cut_off += missed;
}

fn is_owed(minute: i64, set: Option<ClocksSet>) -> bool {
    set.is_none_or(|set| (set.from.seconds() / 60 + 1..=set.until.seconds() / 60).contains(&minute))
}

fn minute(at: &Value) -> i64 {
    serde_json::from_value::<Timestamp>(at.clone()).unwrap().seconds() / 60
}

fn one(job: &Value, lines: &[String], starts: &Starts, figures: &mut Figures) {
    let (id, state) = (text(job, "id"), text(job, "state"));
    *figures.states.entry(state.to_owned()).or_default() += 1;
    let cause = job["result"]["cause"]["code"].as_str().unwrap_or("none");
    *figures.causes.entry(cause.to_owned()).or_default() += 1;
    let started = starts.get(id).map_or(&[][..], Vec::as_slice);
    if matches!(state, "skipped" | "missed") && job["due_at"].is_string() {
        assert!(started.is_empty() && lines.len() == 1, "it did not run, but restic did: {job} {lines:?}");
        return;
    }
    let is_end = ["succeeded", "warning", "failed"].contains(&state);
    assert!(is_end, "not an end, or lost though its agent came back: {job} {lines:?}");
    assert!(started.len() <= 1, "restic was started {} times for one job: {job}", started.len());
    assert!(state == "failed" || started.len() == 1, "it succeeded without restic: {job}");
    figures.starts += started.len();
    let ends =
        lines.iter().filter(|l| l.starts_with("succeeded") || l.starts_with("ended with") || l.starts_with("failed"));
    assert_eq!(ends.count(), 1, "one end is said once: {lines:?} {job}");
    figures.corrected += usize::from(lines.iter().any(|l| l == "the agent stopped answering"));
    let heard: Vec<usize> =
        lines.iter().filter_map(|l| l.strip_prefix("chaos ")?.split(' ').next()?.parse().ok()).collect();
    assert!(heard.iter().copied().eq(1..=heard.len()), "lines are lost, doubled or out of order: {heard:?} {job}");
    figures.lines += heard.len();
    // Only what a killed restic did not write, and what a killed agent did not read, may be missing, and only at the end.
    let missing = started.first().map_or(0, |meant| meant - heard.len());
    assert!(
        missing == 0 || matches!(cause, "restic_crashed" | "agent_restarted"),
        "the log ends early: {heard:?} {job}"
    );
    figures.unread += missing;
}

/// The logs of all jobs, read a few at a time.
async fn logs_of(script: &Script, jobs: &[Value]) -> HashMap<String, Vec<String>> {
    let (mut reading, mut logs) = (JoinSet::new(), HashMap::new());
    for job in jobs {
        let (script, id) = (script.clone(), text(job, "id").to_owned());
        reading.spawn(async move { (log_of(&script, &id).await, id) });
        if reading.len() >= AT_ONCE {
            let (log, id) = reading.join_next().await.unwrap().unwrap();
            logs.insert(id, log);
        }
    }
    logs.extend(reading.join_all().await.into_iter().map(|(log, id)| (id, log)));
    logs
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
