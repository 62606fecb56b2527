//! The spool: jobs that have ended and wait in the journal for the control plane. They are told one after the other, oldest first, so
//! that a week without a control plane replays in order and costs neither memory nor a storm of requests.

use crate::app::Agent;
use crate::backoff::Backoff;
use crate::deliver::{Told, deliver_spooled};
use crate::journal::{JournalError, Spooled};
use restic_manager_shared::id::JobId;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// A job's turn: how often it was refused, and its place in the journal. One that is not understood must not hold up the others.
type Turn = (u32, i64, JobId);

/// Which jobs wait, by turn.
#[derive(Debug, Default)]
pub struct Spool {
    waiting: Mutex<BTreeSet<Turn>>,
    news: Notify,
}

impl Spool {
    /// One more has ended and is in the journal, at this place.
    pub fn add(&self, job: JobId, place: i64) {
        self.waiting().insert((0, place, job));
        self.news.notify_one();
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting().len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn waiting(&self) -> MutexGuard<'_, BTreeSet<Turn>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first(&self) -> Option<Turn> {
        self.waiting().first().copied()
    }

    fn is(&self, turn: Turn, told: Told) {
        match told {
            Told::All => drop(self.waiting().remove(&turn)),
            Told::Refused => {
                let mut waiting = self.waiting();
                waiting.remove(&turn);
                waiting.insert((turn.0 + 1, turn.1, turn.2));
            }
            Told::Later => {}
        }
    }
}

/// Tells what waits, until the agent is to stop.
pub async fn run(agent: &Arc<Agent>, mut stop: watch::Receiver<bool>) {
    let mut backoff = Backoff::default();
    loop {
        let step = async {
            match agent.spool.first() {
                None => agent.spool.news.notified().await,
                Some(first) => {
                    let told = tell(agent, first.2).await;
                    agent.spool.is(first, told);
                    if told == Told::All {
                        backoff.reset();
                        return;
                    }
                    tokio::select! {
                        () = sleep(backoff.next_wait()) => {}
                        () = agent.contact.notified() => {}
                    }
                }
            }
        };
        tokio::select! {
            () = step => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

async fn tell(agent: &Arc<Agent>, job: JobId) -> Told {
    match agent.journal.spooled(job) {
        Ok(Some(spooled)) => deliver_spooled(agent, job, spooled).await,
        Ok(None) => Told::All,
        Err(JournalError::Json(e)) => {
            tracing::error!(%job, error = %e, "the job's record in the journal cannot be read");
            deliver_spooled(agent, job, unreadable(agent, job)).await
        }
        Err(e) => {
            tracing::error!(%job, error = %e, "the journal cannot be read");
            Told::Later
        }
    }
}

/// What can still be said of a job whose record is damaged.
fn unreadable(agent: &Agent, job: JobId) -> Spooled {
    let report = crate::recover::damaged(agent.client.now());
    let chunks = agent.journal.chunks(job).unwrap_or_default();
    Spooled { fire: None, report: Some(report), chunks, attempt: 1, recall: None }
}
