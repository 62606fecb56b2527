//! The spool: jobs that have ended and wait in the journal for the control plane. They are told one after the other, oldest first, so
//! that a week without a control plane replays in order and costs neither memory nor a storm of requests.

use crate::app::Agent;
use crate::backoff::Backoff;
use crate::deliver::{Told, deliver_spooled};
use crate::journal::{JournalError, Spooled};
use restic_manager_shared::id::JobId;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

/// Which jobs wait, oldest first.
#[derive(Debug, Default)]
pub struct Spool {
    waiting: Mutex<VecDeque<JobId>>,
    news: Notify,
}

impl Spool {
    /// One more has ended and is in the journal.
    pub fn add(&self, job: JobId) {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(job);
        self.news.notify_one();
    }

    fn first(&self) -> Option<JobId> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).front().copied()
    }

    fn first_is(&self, told: Told) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        match told {
            Told::All => drop(waiting.pop_front()),
            // One that is not understood must not hold up the others.
            Told::Refused => waiting.rotate_left(1),
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
                Some(job) => {
                    let told = tell(agent, job).await;
                    agent.spool.first_is(told);
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
    Spooled { fire: None, report: Some(report), chunks: agent.journal.chunks(job).unwrap_or_default(), attempt: 1 }
}
