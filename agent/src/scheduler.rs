//! The scheduler: starts what is due, with or without the control plane. It looks at the clock often enough to notice that the machine
//! slept or that somebody set the clock; what that means is decided in [`due`](crate::due).

use crate::app::Agent;
use crate::clock;
use crate::deliver;
use crate::due::Decision;
use crate::fires::Due;
use crate::journal::JournalError;
use crate::restic::judge::Verdict;
use crate::runner;
use restic_manager_shared::id::{JobId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::{FireOutcome, FireReport};
use restic_manager_shared::wire::job::{CauseCode, Offer, Task};
use restic_manager_shared::wire::poll::HeldPhase;
use restic_manager_shared::wire::state::{Overlap, ScheduleSpec};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// At least so often the clock is looked at.
const LOOK: Duration = Duration::from_secs(15);
/// A clock that moved this much against the machine's own time was set by somebody.
const SET: Duration = Duration::from_secs(60);
/// After the clock was set forward, the control plane's word is waited for, for so long.
const DOUBT: Duration = Duration::from_secs(90);

/// Runs until the agent is to stop.
pub async fn run(agent: &Arc<Agent>, mut stop: watch::Receiver<bool>) {
    let mut watch = Watch::new(agent.client.now());
    loop {
        let wait = match look(agent, &mut watch) {
            Ok(wait) => wait,
            Err(e) => {
                tracing::error!(error = %e, "schedules cannot be followed");
                LOOK
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            () = agent.desired.changed() => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

/// Tells when the clock was set: it and the machine's own time, which nobody can set, no longer go together.
#[derive(Debug)]
struct Watch {
    wall: Timestamp,
    own: Duration,
    doubt: Option<Doubt>,
}

/// A clock that was set forward may be wrong.
#[derive(Debug)]
struct Doubt {
    /// It is counted on all the same after this.
    until: Instant,
    /// How often the control plane had told its time when the doubt came.
    told: u64,
}

impl Watch {
    fn new(now: Timestamp) -> Self {
        Self { wall: now, own: clock::since_boot(), doubt: None }
    }

    /// Whether the clock may be counted on. One that was just set forward may be wrong; the next answer of the control plane tells.
    fn trusts(&mut self, (now, own): (Timestamp, Duration), told: u64, ask: impl FnOnce()) -> bool {
        let expected = self.wall + own.saturating_sub(self.own);
        (self.wall, self.own) = (now, own);
        if now.since(expected) > SET {
            tracing::warn!(seconds = now.since(expected).as_secs(), "the clock was set forward");
            self.doubt = Some(Doubt { until: Instant::now() + DOUBT, told });
            ask();
        } else if expected.since(now) > SET {
            self.doubt = None;
        }
        // An answer has set `now` right by itself, if it was wrong.
        self.doubt.take_if(|doubt| doubt.told < told || Instant::now() >= doubt.until);
        self.doubt.is_none()
    }
}

fn look(agent: &Arc<Agent>, watch: &mut Watch) -> Result<Duration, JournalError> {
    // Before the time: what is told meanwhile counts for the next look.
    let told = agent.client.times_told();
    let now = agent.client.now();
    let state = agent.desired.get();
    if agent.fires.sync(&state, agent.identity.host_id, &crate::facts::zone(), now, &agent.journal)? {
        // A new poll tells how far the line was followed that ended.
        agent.roster.freed.notify_one();
    }
    // A new poll brings the control plane's time.
    if !watch.trusts((now, clock::since_boot()), told, || agent.roster.freed.notify_one()) {
        return Ok(Duration::from_secs(1));
    }
    agent.fires.set_back(now, &agent.journal)?;
    start_due(agent, now)?;
    Ok(agent.fires.next_in(now).unwrap_or(LOOK).clamp(Duration::from_millis(10), LOOK))
}

/// Starts, or lets go, what is due at an instant.
///
/// # Errors
/// When the journal cannot be used.
pub fn start_due(agent: &Arc<Agent>, now: Timestamp) -> Result<(), JournalError> {
    let state = agent.desired.get();
    for Due { schedule, decision } in agent.fires.due(now) {
        match (decision, state.schedules.iter().find(|s| s.id == schedule)) {
            (Decision::Fire { due, stands_for, more }, Some(spec)) => {
                let fire = report(agent, spec, state.version, (due, stands_for, more), now);
                let stands_for = fire.stands_for.clone();
                act(agent, fire);
                agent.fires.decided(schedule, due, &stands_for);
            }
            (Decision::TooLate { due }, _) => {
                tracing::warn!(%schedule, %due, "fires went by too long ago to be made up for");
                agent.fires.let_go(schedule, due, &agent.journal)?;
            }
            (Decision::Fire { .. } | Decision::Nothing, _) => {}
        }
    }
    Ok(())
}

fn report(
    agent: &Agent,
    spec: &ScheduleSpec,
    state_version: i64,
    (due, stands_for, stands_for_more): (Timestamp, Vec<Timestamp>, u64),
    now: Timestamp,
) -> FireReport {
    let goes_on = agent.roster.of_schedule(spec.id);
    let outcome = match (blocked_by(spec.firing.overlap, &goes_on), spec.repository_id) {
        (None, Some(repository_id)) => {
            FireOutcome::Run { task: Task::Backup { repository_id, backup: spec.backup.clone(), dry_run: false } }
        }
        (blocked, _) => FireOutcome::Skipped { because_of: blocked.unwrap_or(JobId::of_fire(spec.id, due)) },
    };
    FireReport {
        id: JobId::of_fire(spec.id, due),
        schedule_id: spec.id,
        due,
        fired_at: now,
        state_version,
        outcome,
        stands_for,
        stands_for_more,
    }
}

/// The run that a fire would have to wait for, if it may not.
fn blocked_by(overlap: Overlap, goes_on: &[JobId]) -> Option<JobId> {
    match (overlap, goes_on) {
        (_, []) | (Overlap::Queue, [_]) => None,
        (Overlap::Skip | Overlap::Queue, [first, ..]) => Some(*first),
    }
}

/// Writes the fire down and starts it. One that cannot be written down is told from memory, as failed if it should have run.
fn act(agent: &Arc<Agent>, fire: FireReport) {
    let offer = match &fire.outcome {
        FireOutcome::Run { task } => Some(Offer {
            id: fire.id,
            attempt: 1,
            schedule_id: Some(fire.schedule_id),
            state_version: fire.state_version,
            task: task.clone(),
            repository_url: None,
            secrets: None,
        }),
        FireOutcome::Skipped { .. } => None,
    };
    let written = agent.journal.fire(&fire, offer.as_ref());
    let schedule: ScheduleId = fire.schedule_id;
    tracing::info!(job = %fire.id, %schedule, due = %fire.due, skipped = offer.is_none(), "a fire is due");
    let Some(offer) = offer else {
        match written {
            Ok(()) => agent.spool(fire.id),
            Err(e) => {
                tracing::error!(job = %fire.id, error = %e, "a skipped fire cannot be written down; it is told from memory");
                tokio::spawn(deliver::deliver_skipped(Arc::clone(agent), fire));
            }
        }
        return;
    };
    let refusal = written.err().map(|e| {
        tracing::error!(job = %fire.id, error = %e, "the fire cannot be written down and will not run");
        Verdict::failed(CauseCode::AgentDisk, e.to_string())
    });
    if let Some(stop) = agent.roster.add(fire.id, Some(schedule), 1, HeldPhase::Accepted) {
        tokio::spawn(runner::run_fire(Arc::clone(agent), offer, Some(fire), stop, refusal));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_forward_counts_once_the_control_plane_has_spoken() {
        let (wall, own) = (Timestamp::from_seconds(1_000_000), Duration::from_secs(500));
        let later = |seconds: u64, set: u64| {
            let passed = Duration::from_secs(seconds);
            (wall + passed + Duration::from_secs(set), own + passed)
        };
        let mut watch = Watch { wall, own, doubt: None };
        let mut asked = 0;
        // (what is shown, how often the control plane had told its time, whether the clock is counted on, asked so far)
        for (shown, told, trusts, asks) in [
            (later(10, 0), 4, true, 0),
            (later(25, 30), 4, true, 0),
            (later(30, 3_600), 4, false, 1),
            (later(31, 3_600), 4, false, 1),
            (later(32, 3_600), 5, true, 1),
            // Set forward again, and put right by the answer.
            (later(40, 7_200), 5, false, 2),
            (later(41, 0), 6, true, 2),
            // Back is no reason to doubt: nothing that ran runs again.
            (later(45, 900), 6, false, 3),
            (later(46, 0), 6, true, 3),
        ] {
            assert_eq!((watch.trusts(shown, told, || asked += 1), asked), (trusts, asks), "{shown:?} {told}");
        }
    }

    #[test]
    fn a_fire_waits_for_one_run_at_most_and_only_if_it_may() {
        let (a, b) = (JobId::new(), JobId::new());
        assert_eq!(blocked_by(Overlap::Skip, &[]), None);
        assert_eq!(blocked_by(Overlap::Skip, &[a]), Some(a));
        assert_eq!(blocked_by(Overlap::Queue, &[a]), None);
        assert_eq!(blocked_by(Overlap::Queue, &[a, b]), Some(a));
    }
}
