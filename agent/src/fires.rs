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
    /// those that have no repository yet, do not fire.
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
    ) -> Result<(), JournalError> {
        let mut followed = self.followed();
        let mut wanted = HashSet::new();
        for spec in state.schedules.iter().filter(|s| s.enabled && !s.manual && s.repository_id.is_some()) {
            let Some((line, cron, zone)) = read(spec, host, host_zone) else { continue };
            wanted.insert(spec.id);
            match followed.get_mut(&spec.id).filter(|f| f.ledger.cron == cron && f.ledger.timezone == zone) {
                Some(known) => known.line.firing = spec.firing,
                None => drop(followed.insert(spec.id, begin(line, cron, zone, now, journal)?)),
            }
        }
        let gone: Vec<ScheduleId> = followed.keys().filter(|id| !wanted.contains(id)).copied().collect();
        for id in gone {
            journal.unfollow(id)?;
            followed.remove(&id);
        }
        Ok(())
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
        let next = |f: &Followed| f.line.next(f.ledger.until).map(|(_, start)| start.since(now));
        self.followed().values().filter_map(next).min()
    }

    /// How far each schedule was followed, as the control plane may count on it: a fire that it has not heard of is not settled.
    ///
    /// # Errors
    /// When the journal cannot be used.
    pub fn ledgers(&self, now: Timestamp, journal: &Journal) -> Result<Vec<FireLedger>, JournalError> {
        let untold = journal.unannounced()?;
        let settled = |f: &Followed| {
            let until = f.line.settled(f.ledger.until, now);
            let told = untold.get(&f.ledger.schedule_id).map(|due| Timestamp::from_micros(due.micros() - 1));
            FireLedger { until: told.map_or(until, |told| told.min(until)), ..f.ledger.clone() }
        };
        Ok(self.followed().values().map(settled).collect())
    }
}

fn read(spec: &ScheduleSpec, host: HostId, host_zone: &str) -> Option<(Line, String, String)> {
    let text = spec.cron.clone()?;
    let zone_name = spec.timezone.clone().unwrap_or_else(|| host_zone.to_owned());
    let (Ok(cron), Ok(zone)) = (text.parse(), zone_name.parse::<Tz>()) else {
        tracing::error!(schedule = %spec.id, cron = text, zone = zone_name, "this agent does not understand when the schedule runs; a newer one may");
        return None;
    };
    Some((Line { cron, zone, firing: spec.firing, host, schedule: spec.id }, text, zone_name))
}

/// Takes up a line: where the journal left it if it is the same, else from now.
fn begin(
    line: Line,
    cron: String,
    timezone: String,
    now: Timestamp,
    journal: &Journal,
) -> Result<Followed, JournalError> {
    let schedule = line.schedule;
    let known = journal.ledgers()?.into_iter().find(|l| l.schedule_id == schedule);
    let ledger = match known.filter(|l| l.cron == cron && l.timezone == timezone) {
        Some(ledger) => ledger,
        None => {
            let ledger = FireLedger { schedule_id: schedule, cron, timezone, since: now, until: now };
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
