//! Run now, before it is pressed: what a host or a schedule can be told, so that no page offers what would be refused. It never guesses; where
//! several schedules could be meant, a person is asked. Whether a press still holds is decided again when it comes.

use super::fleet::Lifecycle;
use super::host_action::Why;
use super::job::{PickRefused, pick_schedule};
use super::schedule::Schedule;
use restic_manager_shared::id::{JobId, RepositoryId, ScheduleId};
use std::collections::{HashMap, HashSet};

/// What is known of a host when it is told to run.
#[derive(Clone, Copy, Debug)]
pub struct Runner<'a> {
    /// Its life.
    pub lifecycle: Lifecycle,
    /// Whether its agent is there.
    pub online: bool,
    /// Its schedules.
    pub schedules: &'a [Schedule],
    /// Jobs of schedules that are not over.
    pub open: &'a HashMap<ScheduleId, JobId>,
    /// Repositories that it has a credential for.
    pub credentials: &'a HashSet<RepositoryId>,
}

/// What a host's Run now does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunNow {
    /// One press runs this schedule.
    Press(ScheduleId),
    /// Several could be meant: a person is asked.
    Ask,
    /// Nothing can be run, for this reason.
    Not(Why),
}

impl<'a> Runner<'a> {
    /// Whether the host can be told anything.
    fn reachable(&self, online_only: bool) -> Result<(), Why> {
        match (self.lifecycle, self.online || !online_only) {
            (Lifecycle::Pending | Lifecycle::Retired, _) => Err(Why::NotEnrolled),
            (Lifecycle::Enrolled, false) => Err(Why::Offline),
            (Lifecycle::Enrolled, true) => Ok(()),
        }
    }

    /// Whether one of its enabled schedules can start now.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn ready(&self, schedule: &Schedule) -> Result<(), Why> {
        let repository = schedule.repository_id.ok_or(Why::NoRepository)?;
        if !self.credentials.contains(&repository) {
            return Err(Why::NoCredential);
        }
        self.open.get(&schedule.id).map_or(Ok(()), |job| Err(Why::Running(*job)))
    }

    /// The one schedule that is meant.
    ///
    /// # Errors
    /// Why nothing runs.
    pub fn only(&self, online_only: bool) -> Result<&'a Schedule, Why> {
        self.reachable(online_only)?;
        let schedule = pick_schedule(self.schedules).map_err(|refused| match refused {
            PickRefused::NoneEnabled => Why::NoneEnabled,
            PickRefused::Several => Why::Several,
        })?;
        self.ready(schedule).map(|()| schedule)
    }

    /// All enabled schedules that can start now.
    ///
    /// # Errors
    /// Why not even one can.
    pub fn all(&self, online_only: bool) -> Result<Vec<&'a Schedule>, Why> {
        self.reachable(online_only)?;
        let (mut ready, mut why) = (vec![], Why::NoneEnabled);
        for schedule in self.schedules.iter().filter(|s| s.enabled) {
            match self.ready(schedule) {
                Ok(()) => ready.push(schedule),
                Err(not) => why = not,
            }
        }
        if ready.is_empty() { Err(why) } else { Ok(ready) }
    }

    /// What the host's Run now does on a page.
    #[must_use]
    pub fn offer(&self) -> RunNow {
        match self.only(true) {
            Ok(schedule) => RunNow::Press(schedule.id),
            Err(Why::Several) => self.all(true).map_or_else(RunNow::Not, |_| RunNow::Ask),
            Err(why) => RunNow::Not(why),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(enabled: bool, manual: bool, repository_id: Option<RepositoryId>) -> Schedule {
        Schedule { enabled, manual, repository_id, ..Schedule::sample() }
    }

    #[test]
    fn what_is_offered_would_not_be_refused() {
        let (here, elsewhere) = (RepositoryId::new(), RepositoryId::new());
        let credentials = HashSet::from([here]);
        let cron = || schedule(true, false, Some(here));
        let (busy, busy_too, manual) = (cron(), cron(), schedule(true, true, Some(here)));
        let open = HashMap::from([(busy.id, JobId::new()), (busy_too.id, JobId::new())]);
        let runs = |s: &Schedule| RunNow::Not(Why::Running(open[&s.id]));
        let (one, other) = (cron(), cron());
        for (what, online, schedules, want) in [
            ("its only one", true, vec![one.clone()], RunNow::Press(one.id)),
            ("the manual one", true, vec![one.clone(), manual.clone()], RunNow::Press(manual.id)),
            ("two", true, vec![one.clone(), other.clone()], RunNow::Ask),
            ("two, of which one runs", true, vec![busy.clone(), other], RunNow::Ask),
            ("two that run", true, vec![busy.clone(), busy_too.clone()], runs(&busy_too)),
            ("one that runs", true, vec![busy.clone()], runs(&busy)),
            ("offline", false, vec![one.clone()], RunNow::Not(Why::Offline)),
            ("none", true, vec![], RunNow::Not(Why::NoneEnabled)),
            ("disabled", true, vec![schedule(false, false, Some(here))], RunNow::Not(Why::NoneEnabled)),
            ("nowhere", true, vec![schedule(true, true, None)], RunNow::Not(Why::NoRepository)),
            ("no key", true, vec![schedule(true, true, Some(elsewhere))], RunNow::Not(Why::NoCredential)),
        ] {
            let runner = Runner {
                lifecycle: Lifecycle::Enrolled,
                online,
                schedules: &schedules,
                open: &open,
                credentials: &credentials,
            };
            assert_eq!(runner.offer(), want, "{what}");
            let pending = Runner { lifecycle: Lifecycle::Pending, ..runner };
            assert_eq!(pending.offer(), RunNow::Not(Why::NotEnrolled), "{what}, pending");
        }
    }

    #[test]
    fn all_means_those_that_can_start() {
        let here = RepositoryId::new();
        let (one, busy, off) =
            (schedule(true, false, Some(here)), schedule(true, true, Some(here)), schedule(false, false, None));
        let (open, credentials) = (HashMap::from([(busy.id, JobId::new())]), HashSet::from([here]));
        let schedules = [one.clone(), busy, off];
        let lifecycle = Lifecycle::Enrolled;
        let runner = Runner { lifecycle, online: false, schedules: &schedules, open: &open, credentials: &credentials };
        assert_eq!(runner.all(false).map(|all| all.iter().map(|s| s.id).collect::<Vec<_>>()), Ok(vec![one.id]));
        assert_eq!(runner.all(true), Err(Why::Offline));
    }
}
