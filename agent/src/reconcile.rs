//! What to do about a poll's answer, given what is held. Pure, and level-triggered: the same answer twice changes nothing the second
//! time, and one that got lost comes again.

use restic_manager_shared::id::JobId;
use restic_manager_shared::wire::job::Offer;
use restic_manager_shared::wire::poll::{HeldJob, HeldPhase, PollResponse};
use restic_manager_shared::wire::query::Query;
use restic_manager_shared::wire::state::DesiredState;

/// What the agent has.
#[derive(Clone, Debug, Default)]
pub struct Held {
    /// The version of the desired state.
    pub version: i64,
    /// Its jobs.
    pub jobs: Vec<HeldJob>,
    /// How many more it takes.
    pub free_slots: u32,
}

/// What follows from the answer, to be done in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Keep this state. It may be older than what is held: a control plane restored from a backup is right all the same.
    pub save: Option<DesiredState>,
    /// Stop these jobs.
    pub cancel: Vec<JobId>,
    /// Answer these, beside the jobs.
    pub queries: Vec<Query>,
    /// Write down and run these.
    pub accept: Vec<Offer>,
    /// An offer needs a newer state than there is: ask again before anything else.
    pub state_is_behind: bool,
}

/// Compares.
#[must_use]
pub fn reconcile(held: &Held, answer: PollResponse) -> Plan {
    let save = answer.state.filter(|s| s.version != held.version);
    let version = save.as_ref().map_or(held.version, |s| s.version);
    let mut plan = Plan { save, queries: answer.queries, ..Plan::default() };
    let phase = |id: JobId| held.jobs.iter().find(|j| j.id == id);
    let mut room = held.free_slots;
    for offer in answer.offers {
        match phase(offer.id) {
            // Known: only a newer attempt at a job that waits is news.
            Some(job) if job.phase == HeldPhase::Accepted && offer.attempt > job.attempt => plan.accept.push(offer),
            Some(_) => {}
            None if offer.state_version > version => plan.state_is_behind = true,
            None if room == 0 || plan.accept.iter().any(|o| o.id == offer.id) => {}
            None => {
                room -= 1;
                plan.accept.push(offer);
            }
        }
    }
    plan.cancel =
        answer.cancel.into_iter().filter(|id| phase(*id).is_some_and(|j| j.phase != HeldPhase::Finished)).collect();
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::RepositoryId;
    use restic_manager_shared::time::Timestamp;
    use restic_manager_shared::wire::job::Task;

    fn offer(id: JobId, attempt: i32, state_version: i64) -> Offer {
        let task = Task::Init { repository_id: RepositoryId(id.0) };
        Offer { id, attempt, schedule_id: None, state_version, task, repository_url: None, secrets: None }
    }

    fn answer(offers: Vec<Offer>, cancel: Vec<JobId>, version: Option<i64>) -> PollResponse {
        let state = version.map(|version| DesiredState {
            version,
            host_name: "h".into(),
            schedules: Vec::new(),
            repositories: Vec::new(),
            pauses: Vec::new(),
        });
        let (server_time, queries) = (Timestamp::from_seconds(0), Vec::new());
        PollResponse {
            server_time,
            state,
            offers,
            cancel,
            queries,
            hold: 55,
            pause_ms: 0,
            restored: None,
            release: None,
        }
    }

    #[test]
    fn each_difference_has_one_answer() {
        let (a, b, c) = (JobId::new(), JobId::new(), JobId::new());
        let job = |id, attempt, phase| HeldJob { id, attempt, phase };
        let held = |jobs: Vec<HeldJob>, free_slots| Held { version: 5, jobs, free_slots };
        let accepts =
            |held: &Held, answer| reconcile(held, answer).accept.iter().map(|o| (o.id, o.attempt)).collect::<Vec<_>>();

        assert_eq!(reconcile(&held(vec![], 2), answer(vec![], vec![], None)), Plan::default());
        // New offers, as many as there is room for, each once.
        let two = vec![offer(a, 1, 5), offer(a, 1, 5), offer(b, 1, 4), offer(c, 1, 5)];
        assert_eq!(accepts(&held(vec![], 2), answer(two, vec![], None)), [(a, 1), (b, 1)]);
        // Known ones change nothing, unless a waiting one is offered anew.
        for (phase, attempt, want) in [
            (HeldPhase::Accepted, 1, vec![]),
            (HeldPhase::Accepted, 2, vec![(a, 2)]),
            (HeldPhase::Running, 2, vec![]),
            (HeldPhase::Finished, 2, vec![]),
        ] {
            let held = held(vec![job(a, 1, phase)], 0);
            assert_eq!(accepts(&held, answer(vec![offer(a, attempt, 5)], vec![], None)), want, "{phase:?} {attempt}");
        }
        // An offer ahead of the state waits for the state, and comes with it.
        let plan = reconcile(&held(vec![], 2), answer(vec![offer(a, 1, 6)], vec![], None));
        assert!(plan.state_is_behind && plan.accept.is_empty());
        let plan = reconcile(&held(vec![], 2), answer(vec![offer(a, 1, 6)], vec![], Some(6)));
        assert!(!plan.state_is_behind && plan.accept.len() == 1 && plan.save.is_some());
        // The same state again is no news; another one is, even an older one.
        assert_eq!(reconcile(&held(vec![], 2), answer(vec![], vec![], Some(5))).save, None);
        assert!(reconcile(&held(vec![], 2), answer(vec![], vec![], Some(4))).save.is_some());
        // Only what is still going on can be cancelled.
        let jobs = vec![job(a, 1, HeldPhase::Running), job(b, 1, HeldPhase::Finished)];
        assert_eq!(reconcile(&held(jobs, 0), answer(vec![], vec![a, b, c], None)).cancel, [a]);
    }
}
