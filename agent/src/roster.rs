//! Which jobs this agent has, how far each is, and the button that stops it. In memory; the journal is the truth after a restart.

use crate::reconcile::Held;
use crate::restic::process::{Stop, StopReason};
use restic_manager_shared::id::{JobId, RepositoryId, ScheduleId};
use restic_manager_shared::wire::poll::{HeldJob, HeldPhase};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as Lane, Notify, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, watch};

#[derive(Debug)]
struct Slot {
    attempt: i32,
    phase: HeldPhase,
    schedule: Option<ScheduleId>,
    button: watch::Sender<Option<StopReason>>,
}

/// The jobs at hand.
#[derive(Debug)]
pub struct Roster {
    jobs: Mutex<BTreeMap<JobId, Slot>>,
    lanes: Mutex<HashMap<RepositoryId, Arc<Lane<()>>>>,
    max: u32,
    /// One for each job that may run.
    slots: Arc<Semaphore>,
    /// Told when a slot becomes free or a job is gone: the control plane should hear of it before the running poll ends.
    pub freed: Notify,
}

impl Roster {
    /// For so many jobs at the same time.
    #[must_use]
    pub fn new(max: u32) -> Self {
        Self { jobs: Mutex::default(), lanes: Mutex::default(), max, slots: slots(max), freed: Notify::new() }
    }

    fn jobs(&self) -> MutexGuard<'_, BTreeMap<JobId, Slot>> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a job in. None if it is here already; it then takes over the attempt.
    pub fn add(&self, id: JobId, schedule: Option<ScheduleId>, attempt: i32, phase: HeldPhase) -> Option<Stop> {
        let mut jobs = self.jobs();
        if let Some(slot) = jobs.get_mut(&id) {
            slot.attempt = attempt;
            return None;
        }
        let (button, stop) = watch::channel(None);
        jobs.insert(id, Slot { attempt, phase, schedule, button });
        Some(stop)
    }

    /// The jobs of a schedule that have not ended.
    #[must_use]
    pub fn of_schedule(&self, schedule: ScheduleId) -> Vec<JobId> {
        let goes_on = |s: &Slot| s.schedule == Some(schedule) && s.phase != HeldPhase::Finished;
        self.jobs().iter().filter(|(_, slot)| goes_on(slot)).map(|(id, _)| *id).collect()
    }

    /// The attempt that was offered last.
    #[must_use]
    pub fn attempt(&self, id: JobId) -> Option<i32> {
        self.jobs().get(&id).map(|s| s.attempt)
    }

    /// A job went on.
    pub fn set_phase(&self, id: JobId, phase: HeldPhase) {
        if let Some(slot) = self.jobs().get_mut(&id) {
            slot.phase = phase;
        }
        if phase == HeldPhase::Finished {
            self.freed.notify_one();
        }
    }

    /// A job is done with.
    pub fn remove(&self, id: JobId) {
        self.jobs().remove(&id);
        self.freed.notify_one();
    }

    /// Presses a job's stop button. The first reason counts.
    pub fn stop(&self, id: JobId, reason: StopReason) {
        if let Some(slot) = self.jobs().get(&id) {
            press(slot, reason);
        }
    }

    /// Presses all stop buttons.
    pub fn stop_all(&self, reason: StopReason) {
        self.jobs().values().for_each(|slot| press(slot, reason));
    }

    /// What is held, with the version of the desired state.
    #[must_use]
    pub fn held(&self, version: i64) -> Held {
        let jobs = self.jobs();
        let busy = jobs.values().filter(|s| s.phase != HeldPhase::Finished).count();
        let free_slots = self.max.saturating_sub(u32::try_from(busy).unwrap_or(u32::MAX));
        let jobs = jobs.iter().map(|(id, s)| HeldJob { id: *id, attempt: s.attempt, phase: s.phase }).collect();
        Held { version, jobs, free_slots }
    }

    /// How many jobs run.
    #[must_use]
    pub fn running(&self) -> usize {
        self.jobs().values().filter(|s| s.phase == HeldPhase::Running).count()
    }

    /// How many jobs are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs().len()
    }

    /// Whether no job is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Waits for the repository's turn, if the job works on one, and then for a free slot.
    pub async fn turn(&self, repository: Option<RepositoryId>) -> Turn {
        let lane = match repository {
            Some(repository) => Some(self.lane(repository).lock_owned().await),
            None => None,
        };
        // Never closed, so there is always a slot to come.
        let slot = Arc::clone(&self.slots).acquire_owned().await.ok();
        Turn { _lane: lane, _slot: slot }
    }

    /// Waits until no job runs, and lets none begin while the answer is held. Jobs that come meanwhile wait, in the journal too.
    pub async fn quiet(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).acquire_many_owned(self.max.max(1)).await.ok()
    }

    /// The same, if no job runs or waits for a slot just now.
    #[must_use]
    pub fn quiet_now(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.slots).try_acquire_many_owned(self.max.max(1)).ok()
    }

    /// The lane of a repository: one job at a time, in the order they came.
    fn lane(&self, repository: RepositoryId) -> Arc<Lane<()>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner).entry(repository).or_default().clone()
    }
}

/// A job's right to run; it ends when this is dropped.
#[derive(Debug)]
pub struct Turn {
    _lane: Option<OwnedMutexGuard<()>>,
    _slot: Option<OwnedSemaphorePermit>,
}

fn slots(max: u32) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(max).unwrap_or(1).max(1)))
}

fn press(slot: &Slot, reason: StopReason) {
    slot.button.send_if_modified(|held| {
        let first = held.is_none();
        *held = held.or(Some(reason));
        first
    });
}

/// Waits until the button is pressed; for ever if nobody can press it any more.
pub async fn pressed(stop: &mut Stop) -> StopReason {
    let reason = stop.wait_for(Option::is_some).await.ok().and_then(|r| *r);
    match reason {
        Some(reason) => reason,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn quiet_waits_for_what_runs_and_holds_back_what_comes() {
        let (roster, brief) = (Roster::new(2), Duration::from_millis(50));
        let running = roster.turn(None).await;
        assert!(roster.quiet_now().is_none() && timeout(brief, roster.quiet()).await.is_err(), "a job runs");
        drop(running);
        let quiet = timeout(brief, roster.quiet()).await.expect("nothing runs").expect("never closed");
        assert!(timeout(brief, roster.turn(None)).await.is_err(), "nothing begins meanwhile");
        drop(quiet);
        drop(roster.quiet_now().expect("nothing runs"));
        assert!(timeout(brief, roster.turn(None)).await.is_ok());
    }
}
