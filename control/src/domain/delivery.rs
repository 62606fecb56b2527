//! What a poll is answered with: the difference between what the server wants of a host and what its agent says it has.

use super::job::JobState;
use restic_manager_shared::id::JobId;
use restic_manager_shared::wire::poll::{HeldJob, HeldPhase};

/// An unfinished job, as far as delivery is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub id: JobId,
    /// Queued, dispatched or running.
    pub state: JobState,
    /// Whether somebody asked for it to stop.
    pub cancel: bool,
}

/// What to say about jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Jobs to offer, oldest first.
    pub offer: Vec<JobId>,
    /// Jobs to stop.
    pub cancel: Vec<JobId>,
}

/// Offers what waits and the agent does not have, as far as it has room; stops what runs and should not.
#[must_use]
pub fn plan(open: &[Open], held: &[HeldJob], free_slots: usize) -> Delivery {
    let phase = |id: JobId| held.iter().find(|h| h.id == id).map(|h| h.phase);
    let waits = |job: &&Open| matches!(job.state, JobState::Queued | JobState::Dispatched) && phase(job.id).is_none();
    // A fire counts as running from the start, also while it waits for its turn on the host.
    let goes_on = |id| matches!(phase(id), Some(HeldPhase::Running | HeldPhase::Accepted));
    let stop = |job: &&Open| job.state == JobState::Running && job.cancel && goes_on(job.id);
    Delivery {
        offer: open.iter().filter(waits).take(free_slots).map(|job| job.id).collect(),
        cancel: open.iter().filter(stop).map(|job| job.id).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_difference_is_said() {
        let id = JobId::new();
        let held = |phase| vec![HeldJob { id, attempt: 1, phase }];
        let none = Delivery::default;
        let offer = || Delivery { offer: vec![id], cancel: vec![] };
        let stop = || Delivery { offer: vec![], cancel: vec![id] };
        for (state, cancel, held, slots, said) in [
            (JobState::Queued, false, vec![], 1, offer()),
            (JobState::Queued, false, vec![], 0, none()),
            (JobState::Dispatched, false, vec![], 1, offer()),
            (JobState::Dispatched, false, held(HeldPhase::Accepted), 1, none()),
            (JobState::Running, false, held(HeldPhase::Running), 1, none()),
            (JobState::Running, true, held(HeldPhase::Running), 1, stop()),
            (JobState::Running, true, held(HeldPhase::Accepted), 1, stop()),
            (JobState::Running, true, held(HeldPhase::Finished), 1, none()),
            (JobState::Running, true, vec![], 1, none()),
        ] {
            assert_eq!(plan(&[Open { id, state, cancel }], &held, slots), said, "{state} {cancel} {held:?} {slots}");
        }
    }
}
