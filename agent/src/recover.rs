//! After a restart: what the journal says is made true again. Jobs that never started are claimed anew, ends are sent, and a run that
//! the old agent left behind is ended and reported as what it is, with the log that the old agent had heard.

use crate::app::Agent;
use crate::journal::{Entry, JournalError, Phase};
use crate::logbook;
use crate::perform::hooked;
use crate::report::{self, Done};
use crate::restic::judge::Verdict;
use crate::restic::signal;
use crate::runner;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{CauseCode, FinishReport};
use restic_manager_shared::wire::poll::HeldPhase;
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// How long a left-over restic may take to clean up. Its output goes nowhere any more, so it mostly dies at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes up everything in the journal.
///
/// # Errors
/// When the journal cannot be read.
pub async fn recover(agent: &Arc<Agent>) -> Result<(), JournalError> {
    let mut logs = HashSet::new();
    for entry in agent.journal.entries()? {
        let (job, attempt) = (entry.offer.id, entry.offer.attempt);
        match entry.phase {
            Phase::Accepted => {
                logs.insert(job);
                if let Some(stop) = agent.roster.add(job, entry.offer.schedule_id, attempt, HeldPhase::Accepted) {
                    let agent = Arc::clone(agent);
                    if entry.fired {
                        tokio::spawn(runner::run_fire(agent, entry.offer, entry.fire, stop, None));
                    } else {
                        tokio::spawn(runner::run(agent, entry.offer, stop, None));
                    }
                }
            }
            Phase::Started | Phase::Finished => {
                let report = abandoned(agent, &entry).await;
                let waiting = logbook::left_behind(&agent.dir, job, attempt, agent.client.now());
                agent.journal.finish(job, &report, &waiting)?;
            }
        }
    }
    logbook::sweep(&agent.dir, &logs);
    for job in agent.journal.finished()? {
        // The control plane must not offer these again; fires it never offers.
        if let Some(attempt) = agent.journal.offered(job)? {
            agent.roster.add(job, None, attempt, HeldPhase::Finished);
        }
        agent.spool(job);
    }
    Ok(())
}

/// What is said of a job whose own report cannot be read any more.
#[must_use]
pub fn damaged(now: Timestamp) -> FinishReport {
    let message = "the agent's record of how this run ended is damaged; its log may say more";
    report::build(1, Done::from(Verdict::failed(CauseCode::AgentDisk, message)), now, now)
}

/// Ends what is left of a run, and says so.
async fn abandoned(agent: &Agent, entry: &Entry) -> FinishReport {
    let how = match end_child(entry).await {
        Left::Gone => "restic had ended with it",
        Left::Ended => "the restic that was still running was stopped",
    };
    if entry.phase == Phase::Started {
        hooked::make_up(agent, &entry.offer).await;
    }
    let message = format!(
        "the agent ended while the job ran, and started again later; {how}. A lock of it may be left in the repository"
    );
    tracing::warn!(job = %entry.offer.id, "{message}");
    let now = agent.client.now();
    let pids = entry.child.iter().map(|(pid, _)| *pid).collect();
    let done = Done { pids, ..Done::from(Verdict::failed(CauseCode::AgentRestarted, message)) };
    report::build(entry.offer.attempt, done, entry.started_at.unwrap_or(now), now)
}

enum Left {
    Gone,
    Ended,
}

/// Makes sure that the child is gone: asks it to end, waits a little, then kills it. A process of the same number that was born at
/// another time is somebody else's and is left alone.
async fn end_child(entry: &Entry) -> Left {
    let Some((pid, Some(birth))) = &entry.child else { return Left::Gone };
    let is_ours = || signal::birth(*pid).as_ref() == Some(birth);
    if !is_ours() {
        return Left::Gone;
    }
    signal::end_group(*pid, false);
    let gone = async {
        while is_ours() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    if tokio::time::timeout(PATIENCE, gone).await.is_err() {
        signal::end_group(*pid, true);
    }
    Left::Ended
}
