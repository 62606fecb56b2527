//! What a poll is answered with: the difference between what the server wants of a host and what its agent says it has. And what a job
//! waits for that is not offered yet.

use super::job::JobState;
use super::operation::Sharing;
use super::place::Place;
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::poll::{HeldJob, HeldPhase};
use serde::Serialize;
use std::time::Duration;

/// After so long a job that needs the repository for itself no longer lets others go before it. What schedules start on their hosts by
/// themselves does not ask; restic's own lock then makes one wait for the other.
pub const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// An unfinished job, as far as delivery is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub id: JobId,
    /// On which host.
    pub host: HostId,
    /// Queued, dispatched or running.
    pub state: JobState,
    /// Whether somebody asked for it to stop.
    pub cancel: bool,
    /// The restic repository that it works on.
    pub place: Option<Place>,
    /// How it gets on with others there.
    pub sharing: Sharing,
    /// It removes locks that the dead left: other work of its host there waits for that, as not every restic waits for a lock.
    pub cleans: bool,
    /// Larger goes first.
    pub priority: i32,
    /// When it was queued.
    pub queued_at: Timestamp,
}

impl Open {
    const fn is_out(&self) -> bool {
        matches!(self.state, JobState::Dispatched | JobState::Running)
    }

    /// The order in which jobs that wait are offered.
    fn rank(&self) -> (std::cmp::Reverse<i32>, Timestamp, JobId) {
        (std::cmp::Reverse(self.priority), self.queued_at, self.id)
    }

    fn shares_with(&self, other: &Self) -> bool {
        match (self.sharing, other.sharing) {
            (Sharing::Free, _) | (_, Sharing::Free) | (Sharing::Shared, Sharing::Shared) => true,
            (Sharing::Exclusive, _) | (_, Sharing::Exclusive) => false,
        }
    }
}

/// Why a queued job is not offered yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum WaitsFor {
    /// Its host is offline.
    Host,
    /// The host does as many jobs as it takes.
    Slot,
    /// The whole fleet does as many jobs as it may.
    FleetLimit,
    /// Another job of the host works on the same repository.
    Turn {
        /// Which.
        job: JobId,
    },
    /// A job has the repository for itself.
    Exclusive {
        /// Which.
        job: JobId,
        /// Where.
        host: HostId,
    },
    /// It needs the repository for itself, and others work on it.
    Others {
        /// One of them.
        job: JobId,
        /// Where.
        host: HostId,
        /// How many there are.
        count: u64,
    },
}

/// What a job waits for in its repository, among all open jobs there; none if it may go.
#[must_use]
pub fn waits_for(job: &Open, others: &[Open], now: Timestamp) -> Option<WaitsFor> {
    let same = |o: &&Open| o.id != job.id && o.place.is_some() && o.place == job.place;
    if job.sharing == Sharing::Free {
        return None;
    }
    let cleans = |o: &&Open| o.cleans && o.host == job.host && (o.is_out() || o.rank() < job.rank());
    if let Some(cleaning) = others.iter().filter(same).find(cleans) {
        return Some(WaitsFor::Turn { job: cleaning.id });
    }
    let out: Vec<&Open> = others.iter().filter(same).filter(|o| o.is_out() && o.sharing != Sharing::Free).collect();
    if let Some(turn) = out.iter().find(|o| o.host == job.host) {
        return Some(WaitsFor::Turn { job: turn.id });
    }
    let in_the_way: Vec<&&Open> = out.iter().filter(|o| !job.shares_with(o)).collect();
    if let Some(first) = in_the_way.first() {
        return Some(if first.sharing == Sharing::Exclusive {
            WaitsFor::Exclusive { job: first.id, host: first.host }
        } else {
            WaitsFor::Others { job: first.id, host: first.host, count: in_the_way.len() as u64 }
        });
    }
    // Otherwise a busy fleet would never leave a gap.
    let overdue = |o: &&Open| {
        o.state == JobState::Queued
            && o.sharing == Sharing::Exclusive
            && now.since(o.queued_at) >= PATIENCE
            && o.rank() < job.rank()
    };
    let overdue = others.iter().filter(same).filter(|o| !job.shares_with(o)).find(overdue)?;
    Some(WaitsFor::Exclusive { job: overdue.id, host: overdue.host })
}

/// What to say about jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Jobs to offer, in order.
    pub offer: Vec<JobId>,
    /// Jobs to stop.
    pub cancel: Vec<JobId>,
}

/// How much room there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// How many more the agent would start now.
    pub agent: usize,
    /// How many more the fleet may start now.
    pub fleet: usize,
}

/// Offers what waits and the agent does not have, as far as there is room and nothing else is in its way; stops what runs and should not.
/// `open` are the host's open jobs, `others` all open jobs of their repositories.
#[must_use]
pub fn plan(open: &[Open], others: &[Open], held: &[HeldJob], room: Room, now: Timestamp) -> Delivery {
    let phase = |id: JobId| held.iter().find(|h| h.id == id).map(|h| h.phase);
    // A fire counts as running from the start, also while it waits for its turn on the host.
    let goes_on = |id| matches!(phase(id), Some(HeldPhase::Running | HeldPhase::Accepted));
    let stop = |job: &&Open| job.state == JobState::Running && job.cancel && goes_on(job.id);
    let mut around = others.to_vec();
    let mut waiting: Vec<&Open> = open
        .iter()
        .filter(|j| matches!(j.state, JobState::Queued | JobState::Dispatched) && phase(j.id).is_none())
        .collect();
    // What was offered before keeps its place: the answer may have been lost, and others wait for it already.
    waiting.sort_by_key(|j| (j.state != JobState::Dispatched, j.rank()));
    let mut offer = vec![];
    for job in waiting {
        let again = job.state == JobState::Dispatched;
        if offer.len() >= room.agent || (!again && offer.len() >= room.fleet) {
            break;
        }
        if again || waits_for(job, &around, now).is_none() {
            offer.push(job.id);
            around.push(Open { state: JobState::Dispatched, ..*job });
        }
    }
    Delivery { offer, cancel: open.iter().filter(stop).map(|job| job.id).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::RepositoryId;

    fn job(state: JobState) -> Open {
        Open {
            id: JobId::new(),
            host: HostId::new(),
            state,
            cancel: false,
            place: None,
            sharing: Sharing::Shared,
            cleans: false,
            priority: 0,
            queued_at: Timestamp::from_seconds(0),
        }
    }

    fn somewhere() -> Option<Place> {
        Some(Place { repository: RepositoryId::new(), host: None })
    }

    const ROOM: Room = Room { agent: 9, fleet: 9 };

    fn now() -> Timestamp {
        Timestamp::from_seconds(60)
    }

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
            let open = [Open { id, cancel, ..job(state) }];
            let room = Room { agent: slots, fleet: 9 };
            assert_eq!(plan(&open, &open, &held, room, now()), said, "{state} {cancel} {held:?} {slots}");
        }
    }

    #[test]
    fn run_now_goes_first_and_a_repository_takes_one_job_of_a_host_at_a_time() {
        let (host, place) = (HostId::new(), somewhere());
        let base = Open { host, place, ..job(JobState::Queued) };
        let chore = Open { id: JobId::new(), priority: -10, ..base };
        let first = Open { id: JobId::new(), queued_at: Timestamp::from_seconds(5), ..base };
        let second = Open { id: JobId::new(), queued_at: Timestamp::from_seconds(6), ..base };
        let elsewhere = Open { id: JobId::new(), place: somewhere(), ..second };
        let open = [chore, first, second, elsewhere];
        assert_eq!(plan(&open, &open, &[], ROOM, now()).offer, [first.id, elsewhere.id]);
        assert_eq!(plan(&open, &open, &[], Room { agent: 9, fleet: 1 }, now()).offer, [first.id]);
        // What was offered is offered again, whatever came since.
        let out = Open { state: JobState::Dispatched, ..chore };
        let open = [out, first, second];
        assert_eq!(plan(&open, &open, &[], ROOM, now()).offer, [out.id]);
        assert_eq!(waits_for(&first, &open, now()), Some(WaitsFor::Turn { job: out.id }));
    }

    #[test]
    fn exclusive_work_waits_for_others_and_they_for_it() {
        let place = somewhere();
        let backup = Open { place, ..job(JobState::Running) };
        let queued = Open { place, ..job(JobState::Queued) };
        let prune = Open { place, sharing: Sharing::Exclusive, ..job(JobState::Queued) };
        let pruning = Open { state: JobState::Running, ..prune };
        let look = Open { place, sharing: Sharing::Free, ..job(JobState::Queued) };
        let late = Timestamp::from_seconds(3600);
        let others = Some(WaitsFor::Others { job: backup.id, host: backup.host, count: 1 });
        let exclusive = Some(WaitsFor::Exclusive { job: prune.id, host: prune.host });
        let newer = Open { queued_at: Timestamp::from_seconds(1), ..queued };
        for (it, around, when, want) in [
            (&prune, &[backup][..], now(), others),
            (&queued, &[pruning][..], now(), exclusive),
            (&queued, &[backup][..], now(), None),
            (&look, &[pruning][..], now(), None),
            (&pruning, &[look][..], now(), None),
            (&Open { host: backup.host, ..look }, &[backup][..], now(), None),
            (&Open { host: backup.host, ..queued }, &[backup][..], now(), Some(WaitsFor::Turn { job: backup.id })),
            (&newer, &[prune, backup][..], now(), None),
            (&newer, &[prune, backup][..], late, exclusive),
            (&Open { priority: 1, ..newer }, &[prune, backup][..], late, None),
        ] {
            assert_eq!(waits_for(it, around, when), want, "{it:?} among {around:?}");
        }
        let cleans = Open { cleans: true, priority: 100, queued_at: Timestamp::from_seconds(9), ..look };
        let own = Open { host: cleans.host, ..prune };
        assert_eq!(waits_for(&own, &[cleans], now()), Some(WaitsFor::Turn { job: cleans.id }));
        assert_eq!(waits_for(&prune, &[cleans], now()), None, "its host may be away for long");
        let foreign = Open { place: somewhere(), ..prune };
        assert_eq!(waits_for(&foreign, &[backup], now()), None);
    }
}
