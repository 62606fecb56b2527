//! Which schedules this host follows and how far it has got with each. A change of a line counts from the moment it is here; the same
//! is told to the control plane, so that both sides agree on which line a fire belongs to.

use crate::due::{Decision, Line};
use crate::journal::{Journal, JournalError};
use chrono_tz::Tz;
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::FireLedger;
use restic_manager_shared::wire::state::{DesiredState, ScheduleSpec};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A clock that goes back by less was only corrected a little.
const SET_BACK: Duration = Duration::from_secs(60);

#[derive(Debug)]
struct Followed {
    line: Line,
    ledger: FireLedger,
    fired: HashSet<Timestamp>,
}

/// What is followed. The journal has the same, and is the truth after a restart.
#[derive(Debug, Default)]
pub struct Fires {
    followed: Mutex<BTreeMap<ScheduleId, Followed>>,
    /// Whether what an earlier process followed was looked at.
    taken_up: AtomicBool,
}

/// A fire to act on, or to let go.
#[derive(Clone, Debug)]
pub struct Due {
    /// The schedule.
    pub schedule: ScheduleId,
    /// What to do.
    pub decision: Decision,
}

impl Fires {
    fn followed(&self) -> MutexGuard<'_, BTreeMap<ScheduleId, Followed>> {
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Follows what the desired state says, from now on where it differs from what was followed. Manual and disabled schedules, and
    /// those that have no repository yet, do not fire. Answers whether a line ended: the control plane should hear of it.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn sync(
        &self,
        state: &DesiredState,
        host: HostId,
        host_zone: &str,
        now: Timestamp,
        journal: &Journal,
    ) -> Result<bool, JournalError> {
        let mut followed = self.followed();
        let read = |spec: &ScheduleSpec| {
            let (line, ledger) = read(spec, host, host_zone)?;
            Some((Line { pauses: [&*state.pauses, &spec.pauses].concat(), ..line }, ledger))
        };
        let active = state.schedules.iter().filter(|s| s.enabled && !s.manual && s.repository_id.is_some());
        let wanted: Vec<(Line, FireLedger)> = active.filter_map(read).collect();
        let is_wanted = |l: &FireLedger| wanted.iter().any(|(_, w)| is_same_line(w, l));
        let mut ended = false;
        if !self.taken_up.load(Ordering::Relaxed) {
            // When the change came is not known any more: no more is said than that it was followed so far.
            for last in journal.ledgers()?.iter().filter(|l| !is_wanted(l)) {
                journal.unfollow(last)?;
                ended = true;
            }
            self.taken_up.store(true, Ordering::Relaxed);
        }
        let over: Vec<ScheduleId> = followed.iter().filter(|(_, f)| !is_wanted(&f.ledger)).map(|(id, _)| *id).collect();
        for id in over {
            if let Some(known) = followed.get(&id) {
                let last = FireLedger { until: known.line.over(known.ledger.until, now), ..known.ledger.clone() };
                journal.unfollow(&last)?;
            }
            followed.remove(&id);
            ended = true;
        }
        for (line, fresh) in wanted {
            match followed.get_mut(&fresh.schedule_id) {
                Some(known) => (known.line.firing, known.line.pauses) = (line.firing, line.pauses),
                None => drop(followed.insert(fresh.schedule_id, begin(line, fresh, now, journal)?)),
            }
        }
        Ok(ended)
    }

    /// The clock went back: what lies ahead of it now is decided on when it comes. Fires that were acted on stay known.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn set_back(&self, now: Timestamp, journal: &Journal) -> Result<(), JournalError> {
        for known in self.followed().values_mut().filter(|f| f.ledger.until > now + SET_BACK) {
            tracing::warn!(schedule = %known.ledger.schedule_id, "the clock was set back; the schedule goes on from now, and nothing runs twice");
            known.ledger.until = now;
            known.ledger.since = known.ledger.since.min(now);
            journal.follow(&known.ledger)?;
        }
        Ok(())
    }

    /// What is due now.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> Vec<Due> {
        let decide = |f: &Followed| f.line.decide(f.ledger.until, now, |due| f.fired.contains(&due));
        let all = self.followed();
        all.iter()
            .map(|(id, f)| Due { schedule: *id, decision: decide(f) })
            .filter(|d| d.decision != Decision::Nothing)
            .collect()
    }

    /// A schedule's fires up to here were acted on. In memory; the journal is written with the fire itself.
    pub fn decided(&self, schedule: ScheduleId, due: Timestamp, stands_for: &[Timestamp]) {
        if let Some(known) = self.followed().get_mut(&schedule) {
            known.ledger.until = due;
            known.fired.insert(due);
            known.fired.extend(stands_for);
        }
    }

    /// A schedule's fires up to here were let go.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn let_go(&self, schedule: ScheduleId, due: Timestamp, journal: &Journal) -> Result<(), JournalError> {
        let mut followed = self.followed();
        let Some(known) = followed.get_mut(&schedule) else { return Ok(()) };
        known.ledger.until = due;
        journal.follow(&known.ledger)
    }

    /// How long until the next start, if there is one.
    #[must_use]
    pub fn next_in(&self, now: Timestamp) -> Option<Duration> {
        let next = |f: &Followed| f.line.wakes(f.ledger.until, now).map(|at| at.since(now));
        self.followed().values().filter_map(next).min()
    }

    /// How far each schedule was followed, as the control plane may count on it: a fire that it has not heard of is not settled. Lines
    /// that ended come first, in order.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn ledgers(&self, now: Timestamp, journal: &Journal) -> Result<Vec<FireLedger>, JournalError> {
        let mut ledgers = journal.ended()?;
        let settled = |f: &Followed| FireLedger { until: f.line.settled(f.ledger.until, now), ..f.ledger.clone() };
        ledgers.extend(self.followed().values().map(settled));
        // After it was looked how far each is: a fire is in the journal before it counts as decided.
        let untold = journal.unannounced()?;
        let told = |ledger: FireLedger| match untold.get(&ledger.schedule_id) {
            Some(due) if *due <= ledger.until => {
                let until = Timestamp::from_micros(due.micros() - 1).max(ledger.since);
                FireLedger { until, ended: false, ..ledger }
            }
            _ => ledger,
        };
        Ok(ledgers.into_iter().map(told).collect())
    }

    /// The control plane has heard this.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn heard(&self, told: &[FireLedger], journal: &Journal) -> Result<(), JournalError> {
        told.iter().filter(|l| l.ended).try_for_each(|last| journal.end_is_known(last))
    }
}

/// When a schedule fires here, and a ledger of it that has yet to begin.
fn read(spec: &ScheduleSpec, host: HostId, host_zone: &str) -> Option<(Line, FireLedger)> {
    let text = spec.cron.clone()?;
    let zone_name = spec.timezone.clone().unwrap_or_else(|| host_zone.to_owned());
    let (Ok(cron), Ok(zone)) = (text.parse(), zone_name.parse::<Tz>()) else {
        tracing::error!(schedule = %spec.id, cron = text, zone = zone_name, "this agent does not understand when the schedule runs; a newer one may");
        return None;
    };
    let never = Timestamp::from_micros(0);
    let ledger =
        FireLedger { schedule_id: spec.id, cron: text, timezone: zone_name, since: never, until: never, ended: false };
    Some((Line { cron, zone, firing: spec.firing, pauses: vec![], host, schedule: spec.id }, ledger))
}

fn is_same_line(one: &FireLedger, other: &FireLedger) -> bool {
    (one.schedule_id, &one.cron, &one.timezone) == (other.schedule_id, &other.cron, &other.timezone)
}

/// Takes up a line: where the journal left it if it is the same, else from now.
fn begin(line: Line, fresh: FireLedger, now: Timestamp, journal: &Journal) -> Result<Followed, JournalError> {
    let schedule = line.schedule;
    let ledger = match journal.ledgers()?.into_iter().find(|l| is_same_line(l, &fresh)) {
        Some(ledger) => ledger,
        None => {
            let ledger = FireLedger { since: now, until: now, ..fresh };
            journal.follow(&ledger)?;
            ledger
        }
    };
    let fired = journal.fired(schedule)?.into_iter().collect();
    Ok(Followed { line, ledger, fired })
}

#[cfg(test)]
#[path = "fires_tests.rs"]
mod tests;
