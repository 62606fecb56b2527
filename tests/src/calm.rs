//! A fleet of one host where nothing happens by chance: what goes wrong is ordered by the test, and the verdict is that of the chaos.

use crate::agent::Agent;
use crate::chaos::{Bed, Plan};
use crate::torment;
use crate::verdict::{self, Figures, Host};
use std::time::Duration;

/// A calm fleet whose backups print some lines and end well.
pub async fn calm() -> Bed {
    calm_with(Plan::calm()).await
}

pub async fn calm_with(plan: Plan) -> Bed {
    let bed = Bed::start(&plan).await;
    std::fs::write(bed.home().join("run"), "20 100").unwrap();
    bed
}

/// The same, with backups that do not end before they are [released](release).
pub async fn held(plan: Plan) -> Bed {
    let bed = calm_with(plan).await;
    std::fs::write(bed.home().join("hold"), "").unwrap();
    bed
}

pub fn release(bed: &Bed) {
    std::fs::remove_file(bed.home().join("hold")).unwrap();
}

/// Waits for the end of a job, and holds the fleet to what must hold.
pub async fn judged(bed: Bed, job: &str) -> Figures {
    all_judged(bed, &[job.to_owned()]).await
}

pub async fn all_judged(bed: Bed, jobs: &[String]) -> Figures {
    for job in jobs {
        bed.script.ended(job).await;
    }
    let hosts: Vec<Host> = bed.hosts.into_iter().map(|h| Host { agent: h.agent, crons: h.crons }).collect();
    verdict::hold(&bed.script, &bed.control, &hosts, &jobs.to_vec(), None).await
}

/// Waits until restic runs on the first host, and answers its number.
pub async fn until_restic_runs(bed: &Bed) -> u32 {
    until_restics_run(bed, 1).await[0]
}

pub async fn until_restics_run(bed: &Bed, count: usize) -> Vec<u32> {
    loop {
        let running = torment::running(bed.home());
        if running.len() >= count {
            return running;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the agent's own log of a job, in its state folder, holds this, and answers all lines of restic's that it holds.
pub async fn until_heard(agent: &Agent, job: &str, text: &str) -> Vec<String> {
    let file = agent.dir.path().join("state/logs").join(format!("{job}.log"));
    loop {
        let log = std::fs::read_to_string(&file).unwrap_or_default();
        if log.contains(text) {
            let said = |step: &str| {
                serde_json::from_str::<serde_json::Value>(step).ok()?["line"]["text"].as_str().map(str::to_owned)
            };
            return log.lines().filter_map(said).filter(|l| l.starts_with("chaos ")).collect();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the host holds its newest desired state.
pub async fn until_in_force(bed: &Bed) {
    let path = format!("/api/v1/hosts/{}", bed.hosts[0].agent.host);
    while bed.script.get(&path).await["in_force"] != true {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
