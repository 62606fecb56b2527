//! The long poll: says what is held, hears what should be, does what follows. How long to ask to be held is learned from the path:
//! a proxy that cuts idle requests shows as polls that die at about the same age.

use crate::app::Agent;
use crate::backoff::{self, Backoff};
use crate::client::ClientError;
use crate::facts;
use crate::hooks;
use crate::queries;
use crate::reconcile::{Held, Plan, reconcile};
use crate::restic::process::StopReason;
use crate::runner;
use restic_manager_shared::wire::fire::FireLedger;
use restic_manager_shared::wire::poll::{HeldPhase, PollRequest};
use restic_manager_shared::wire::recall::Restored;
use restic_manager_shared::wire::{MAX_HOLD, PROTOCOL};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

/// Beyond the hold, an answer may take so long.
const SLACK: Duration = Duration::from_secs(15);
/// Between two polls when the path holds none.
const PLAIN: Duration = Duration::from_secs(3);
/// Shorter holds are no holds.
const SHORTEST: u32 = 3;
/// The server ends holds up to so much early.
const EARLY: Duration = Duration::from_secs(4);
/// Good polls before a longer hold is tried.
const QUIET: u32 = 10;

/// How long to ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    seconds: u32,
    last_cut: Option<Duration>,
    quiet: u32,
    needed: u32,
}

impl Default for Hold {
    fn default() -> Self {
        Self { seconds: MAX_HOLD, last_cut: None, quiet: 0, needed: QUIET }
    }
}

impl Hold {
    /// Seconds to ask for; 0 when the path holds nothing.
    #[must_use]
    pub const fn seconds(&self) -> u32 {
        self.seconds
    }

    /// A poll died at this age. Twice at about the same age: something on the way cuts there.
    pub fn cut(&mut self, age: Duration) {
        self.quiet = 0;
        let same = self.last_cut.is_some_and(|last| last.abs_diff(age) <= (age / 5).max(Duration::from_secs(1)));
        if !same {
            self.last_cut = Some(age);
            return;
        }
        self.last_cut = None;
        let below = u32::try_from(age.as_secs() * 4 / 5).unwrap_or(MAX_HOLD);
        let lower = below.min(self.seconds.saturating_sub(1));
        self.seconds = if lower < SHORTEST { 0 } else { lower };
        // The same limit is found again at each try: try less and less often.
        self.needed = (self.needed * 2).min(32 * QUIET);
    }

    /// A poll was answered. It says something about the path only if it lasted.
    pub fn answered(&mut self, age: Duration) {
        if age + EARLY < Duration::from_secs(self.seconds.into()) {
            return;
        }
        self.last_cut = None;
        self.quiet += 1;
        if self.quiet >= self.needed && self.seconds < MAX_HOLD {
            self.quiet = 0;
            self.seconds = (self.seconds.max(SHORTEST) * 5 / 4 + 1).min(MAX_HOLD);
        }
    }
}

/// Polls until the agent is to stop.
pub async fn run(agent: &Arc<Agent>, mut stop: watch::Receiver<bool>) {
    let mut poller =
        Poller { agent, hold: Hold::default(), asked: MAX_HOLD, backoff: Backoff::default(), complained: false };
    loop {
        let pause = tokio::select! {
            pause = poller.once() => pause,
            // Something here changed that the control plane should know: the parked poll is given up for a new one.
            () = agent.roster.freed.notified() => Duration::from_millis(50),
            _ = stop.wait_for(|s| *s) => return,
        };
        tokio::select! {
            () = sleep(pause) => {}
            _ = stop.wait_for(|s| *s) => return,
        }
    }
}

struct Poller<'a> {
    agent: &'a Arc<Agent>,
    hold: Hold,
    asked: u32,
    backoff: Backoff,
    complained: bool,
}

impl Poller<'_> {
    /// One poll and what follows from it; gives the pause before the next.
    async fn once(&mut self) -> Duration {
        let held = self.agent.roster.held(self.agent.desired.get().version);
        // An answer is what proves a new version: it is not waited for longer than need be.
        let most = if self.agent.updates.is_proving() { 1 } else { self.asked };
        let seconds = self.hold.seconds().min(most);
        let request = self.request(&held, seconds);
        let began = Instant::now();
        let result = self.agent.client.poll(&request, Duration::from_secs(u64::from(seconds)) + SLACK).await;
        let age = began.elapsed();
        match result {
            Ok(answer) => {
                self.came_through(age);
                self.agent.updates.heard(answer.release.as_ref());
                if let Err(e) = self.agent.fires.heard(&request.fires, &self.agent.journal) {
                    tracing::warn!(error = %e, "cannot note what the control plane knows of schedules; it is told again");
                }
                self.asked = answer.hold.min(MAX_HOLD);
                let pause = Duration::from_millis(u64::from(answer.pause_ms));
                if let Some(restored) = &answer.restored {
                    self.tell_again(restored);
                }
                let plan = reconcile(&held, answer);
                // An early answer that changes nothing must not become a storm of polls.
                let idle = plan == Plan::default() && age < PLAIN && seconds > 0;
                let pause = if idle { pause.max(PLAIN.saturating_sub(age)) } else { pause };
                self.act(plan, pause)
            }
            Err(e) => self.failed(&e, age, seconds),
        }
    }

    fn request(&self, held: &Held, hold: u32) -> PollRequest {
        PollRequest {
            protocol: PROTOCOL,
            instance: self.agent.instance,
            state_version: held.version,
            jobs: held.jobs.clone(),
            // What runs ends first; nothing new begins before the new version runs.
            free_slots: if self.agent.updates.is_closing() { 0 } else { held.free_slots },
            fires: self.ledgers(),
            spooled: self.agent.journal.waiting().unwrap_or(0),
            agent_version: facts::version().to_owned(),
            restic_version: self.agent.finder.last_version().map(|v| v.to_string()),
            hooks: Some(hooks::names(&self.agent.dir)),
            restored: self.agent.journal.restored().unwrap_or_default(),
            queries: self.agent.queries.held(),
            update: Some(self.agent.updates.fact()),
            hold,
        }
    }

    fn ledgers(&self) -> Vec<FireLedger> {
        let agent = self.agent;
        agent.fires.ledgers(agent.client.now(), &agent.journal).unwrap_or_else(|e| {
            tracing::error!(error = %e, "cannot say how far schedules were followed");
            Vec::new()
        })
    }

    /// The control plane came out of an export: what happened since is told again, before anything that it offers is looked at.
    fn tell_again(&self, restored: &Restored) {
        let again = self.agent.journal.tell_again(restored).unwrap_or_else(|e| {
            tracing::error!(error = %e, "cannot tell a restored control plane what happened; it is tried again");
            Vec::new()
        });
        for job in again {
            if let Ok(Some(attempt)) = self.agent.journal.offered(job) {
                self.agent.roster.add(job, None, attempt, HeldPhase::Finished);
            }
            self.agent.spool(job);
        }
    }

    fn came_through(&mut self, age: Duration) {
        self.hold.answered(age);
        self.backoff.reset();
        self.agent.heard(None);
        if self.complained {
            self.complained = false;
            tracing::info!("the control plane answers again");
        }
    }

    fn act(&mut self, plan: Plan, pause: Duration) -> Duration {
        if let Some(state) = plan.save {
            tracing::info!(version = state.version, "new desired state");
            if let Err(e) = self.agent.desired.put(state) {
                tracing::error!(error = %e, "the desired state cannot be put on disk; the old one stays in force");
                return pause.max(self.backoff.next_wait() + PLAIN);
            }
        }
        for job in plan.cancel {
            self.agent.roster.stop(job, StopReason::Cancelled);
        }
        for query in plan.queries {
            queries::accept(self.agent, query);
        }
        for offer in plan.accept {
            runner::accept(self.agent, offer);
        }
        if plan.state_is_behind {
            tracing::warn!("a job was offered that needs a newer state than the control plane sent");
            return pause.max(PLAIN);
        }
        if self.hold.seconds() == 0 { pause.max(PLAIN) } else { pause }
    }

    fn failed(&mut self, error: &ClientError, age: Duration, asked: u32) -> Duration {
        self.agent.heard(Some(error.to_string()));
        if self.is_cut(error, age, asked) {
            let before = self.hold.seconds();
            self.hold.cut(age);
            if self.hold.seconds() != before {
                tracing::info!(
                    hold = self.hold.seconds(),
                    "something on the way cuts idle requests; asking for shorter holds"
                );
            }
            return backoff::jitter(PLAIN);
        }
        if error.code() == Some("duplicate_agent") {
            tracing::error!(
                "another agent with this host's identity is connected: two machines, or a copied state folder. One of them must be enrolled anew"
            );
        } else if !self.complained {
            tracing::warn!(%error, "the control plane cannot be reached or refuses; trying again and again");
        }
        self.complained = true;
        error.retry_after().unwrap_or(Duration::ZERO).min(10 * backoff::CAP) + self.backoff.next_wait()
    }

    /// Whether the path gave up on a request that was being held, as opposed to a server that is not there.
    fn is_cut(&self, error: &ClientError, age: Duration, asked: u32) -> bool {
        let held = asked > 0 && age >= Duration::from_millis(1500);
        match error {
            ClientError::Cut(_) | ClientError::Timeout => held,
            ClientError::Problem(r) => held && r.code.is_empty() && matches!(r.status, 408 | 502 | 504),
            ClientError::Unreachable(_)
            | ClientError::Tls(_)
            | ClientError::BadAnswer(_)
            | ClientError::Setup(_)
            | ClientError::Key => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a path that cuts at `limit` seconds makes of the hold.
    fn after(limit: u64, polls: u32, hold: &mut Hold) -> u32 {
        for _ in 0..polls {
            let asked = u64::from(hold.seconds());
            if asked >= limit {
                hold.cut(Duration::from_secs(limit))
            } else {
                hold.answered(Duration::from_secs(asked))
            }
        }
        hold.seconds()
    }

    #[test]
    fn holds_settle_below_what_the_path_allows() {
        for (limit, want) in [(100, 55), (55, 44), (30, 24), (10, 8), (4, 3), (2, 0)] {
            assert_eq!(after(limit, 4, &mut Hold::default()), want, "a path that cuts at {limit} s");
        }
    }

    #[test]
    fn one_cut_is_an_accident_and_two_of_different_age_are_two() {
        let mut hold = Hold::default();
        hold.cut(Duration::from_secs(30));
        hold.cut(Duration::from_secs(10));
        assert_eq!(hold.seconds(), 55);
        hold.cut(Duration::from_secs(11));
        assert_eq!(hold.seconds(), 8);
    }

    #[test]
    fn quiet_raises_the_hold_slowly_and_never_for_good() {
        let mut hold = Hold::default();
        assert_eq!(after(30, 2, &mut hold), 24);
        let tries = (0..400).filter(|_| after(30, 1, &mut hold) >= 30).count();
        assert!(tries < 12, "{tries} of 400 polls were lost to trying");
        assert!(after(100, 2000, &mut hold) == 55, "a path that got better is used");
        // Answers that came at once say nothing about the path.
        let mut busy = Hold { seconds: 24, ..Hold::default() };
        (0..500).for_each(|_| busy.answered(Duration::from_millis(5)));
        assert_eq!(busy.seconds(), 24);
    }
}
