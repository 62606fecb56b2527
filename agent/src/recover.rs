//! After a restart: what the journal says is made true again. Jobs that never started are claimed anew, ends are sent, and a run that
//! the old agent left behind is ended and reported as what it is.

use crate::app::Agent;
use crate::deliver::{Feed, deliver};
use crate::journal::{Entry, JournalError, Phase};
use crate::outbox::Outbox;
use crate::report::{self, Done};
use crate::restic::judge::Verdict;
use crate::restic::signal;
use crate::runner;
use restic_manager_shared::wire::job::{CauseCode, FinishReport};
use restic_manager_shared::wire::poll::HeldPhase;
use std::sync::Arc;
use std::time::Duration;

/// How long a left-over restic may take to clean up. Its output goes nowhere any more, so it mostly dies at once.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes up everything in the journal.
///
/// # Errors
/// When the journal cannot be read.
pub async fn recover(agent: &Arc<Agent>) -> Result<(), JournalError> {
    for entry in agent.journal.entries()? {
        let job = entry.offer.id;
        match entry.phase {
            Phase::Accepted => {
                if let Some(stop) = agent.roster.add(job, entry.offer.attempt, HeldPhase::Accepted) {
                    tokio::spawn(runner::run(Arc::clone(agent), entry.offer, stop, None));
                }
            }
            Phase::Started => {
                let report = abandoned(agent, &entry).await;
                agent.journal.finish(job, &report)?;
                send(agent, &entry, report);
            }
            Phase::Finished => match agent.journal.report(job) {
                Ok(Some(report)) => send(agent, &entry, report),
                Ok(None) | Err(JournalError::Json(_)) => {
                    tracing::error!(%job, "the job's end cannot be read from the journal");
                    let report = abandoned(agent, &entry).await;
                    send(agent, &entry, report);
                }
                Err(e) => return Err(e),
            },
        }
    }
    Ok(())
}

fn send(agent: &Arc<Agent>, entry: &Entry, report: FinishReport) {
    let job = entry.offer.id;
    let left_over = agent.journal.chunks(job).unwrap_or_default();
    let feed = Arc::new(Feed::new(Outbox::new(entry.offer.attempt, left_over)));
    feed.finish(report);
    agent.roster.add(job, entry.offer.attempt, HeldPhase::Finished);
    tokio::spawn(deliver(Arc::clone(agent), job, feed));
}

/// Ends what is left of a run, and says so.
async fn abandoned(agent: &Agent, entry: &Entry) -> FinishReport {
    let how = match end_child(entry).await {
        Left::Gone => "restic had ended with it",
        Left::Ended => "the restic that was still running was stopped",
    };
    let message = format!(
        "the agent ended while the job ran, and started again later; {how}. A lock of it may be left in the repository"
    );
    tracing::warn!(job = %entry.offer.id, "{message}");
    let now = agent.client.now();
    let done = Done::from(Verdict::failed(CauseCode::AgentRestarted, message));
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
