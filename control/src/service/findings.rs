//! What is known about a repository, gathered for its verdict: chores and checks, locks, credentials, open alerts, backups that fail. What it comes
//! to is decided in `domain::health`.

use super::ActError;
use super::health::CredentialCounts;
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::health::{AppendOnly, Failing, Findings, OpenAlert};
use crate::domain::job::JobState;
use crate::domain::rotation::Stage;
use crate::domain::upkeep::{Chore, ChoreState};
use crate::store::repositories::RepositoryRecord;
use crate::store::{Conn, standing};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use std::collections::BTreeMap;

/// What its caller has counted already.
pub(super) struct Counted<'a> {
    /// The repository.
    pub(super) record: &'a RepositoryRecord,
    /// Its chores.
    pub(super) chores: &'a [ChoreState],
    /// Locks of dead processes, and of unknown ones.
    pub(super) locks: (usize, usize),
    /// Snapshots, and those among them that nobody vouches for.
    pub(super) snapshots: (i64, i64),
    /// Hosts whose credential is not proven to append only.
    pub(super) append_only: Vec<(String, AppendOnly)>,
    /// Who may do what.
    pub(super) credentials: CredentialCounts,
    /// In how many days it is full.
    pub(super) full_in_days: Option<f64>,
    /// Whether its size was ever counted.
    pub(super) sized: bool,
}

/// Gathers what is known.
pub(super) fn gather(conn: &mut Conn, counted: Counted<'_>) -> Result<Findings, ActError> {
    let Counted { record, chores, locks, snapshots: (all, unattested), append_only, credentials, .. } = counted;
    let id = record.repository.id;
    let checks = standing::checks(conn, id)?;
    let checked_at = checked_at(chores, &checks);
    let backups = standing::backups(conn, id)?;
    let alerts = by_kind(standing::open_alerts(conn, id)?);
    let probed = credentials.proven > 0 || append_only.iter().any(|(_, proof)| *proof != AppendOnly::NotProbed);
    let looked_at = all > 0 || counted.sized || checked_at.is_some() || backups.schedules > 0 || probed;
    let forgets = record.plan.forget.is_some() || record.plan.prune.is_some();
    Ok(Findings {
        // A repository that holds nothing yet needs no check.
        known_since: (all > 0).then_some(record.repository.created_at),
        checked_at,
        failed: failed(chores, &checks),
        dead_locks: locks.0,
        unknown_locks: locks.1,
        append_only,
        full_in_days: counted.full_in_days,
        unattested: usize::try_from(unattested).unwrap_or(0),
        damaged: alerts.iter().any(|alert| alert.kind == AlertKind::RepositoryDamaged),
        looked_at,
        alerts,
        failing: backups.failed.iter().map(|(cause, count)| Failing { cause: *cause, count: *count }).collect(),
        schedules: backups.schedules,
        none_append_only: credentials.full > 0 && credentials.append_only == 0,
        none_can_forget: forgets && credentials.append_only > 0 && credentials.full == 0,
        rotation_stuck: record.repository.rotation.as_ref().is_some_and(|r| r.stage == Stage::Stuck),
    })
}

/// Whether a job of a chore ended badly.
pub(super) const fn went_wrong(state: JobState) -> bool {
    matches!(state, JobState::Failed | JobState::Lost)
}

/// Chores whose last run failed, but for a check that a later one made up for.
fn failed(chores: &[ChoreState], checks: &BTreeMap<Option<HostId>, Timestamp>) -> Vec<Chore> {
    let made_up = |c: &ChoreState| c.chore == Chore::Check && checks.get(&c.of_host_id).copied() > c.last_done_at;
    let failed = chores.iter().filter(|c| c.last_state.is_some_and(went_wrong) && !made_up(c));
    failed.map(|c| c.chore).collect()
}

/// The newest check of each place, whoever asked for it, and of these the oldest. None if a place was never checked.
fn checked_at(chores: &[ChoreState], checks: &BTreeMap<Option<HostId>, Timestamp>) -> Option<Timestamp> {
    let mut newest: BTreeMap<Option<HostId>, Option<Timestamp>> =
        checks.iter().map(|(place, at)| (*place, Some(*at))).collect();
    for chore in chores {
        let at = newest.entry(chore.of_host_id).or_default();
        if matches!(chore.chore, Chore::Check | Chore::ReadData) {
            *at = (*at).max(chore.last_success_at);
        }
    }
    newest.into_values().min().flatten()
}

/// Alerts of one kind together, those that opened first before others.
fn by_kind(alerts: Vec<(AlertKind, Severity, String)>) -> Vec<OpenAlert> {
    let mut found: Vec<OpenAlert> = vec![];
    for (kind, severity, detail) in alerts {
        match found.iter_mut().find(|known| known.kind == kind) {
            Some(known) => {
                known.count += 1;
                known.severity = known.severity.max(severity);
            }
            None => found.push(OpenAlert { kind, severity, count: 1, detail }),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chore(chore: Chore, state: JobState, at: i64) -> ChoreState {
        let at = Some(Timestamp::from_seconds(at));
        let success = at.filter(|_| !went_wrong(state));
        ChoreState { last_state: Some(state), last_done_at: at, last_success_at: success, ..ChoreState::new(chore) }
    }

    #[test]
    fn a_check_that_somebody_asked_for_counts_too() {
        let at = Timestamp::from_seconds;
        let by_hand = BTreeMap::from([(None, at(7))]);
        let none = BTreeMap::new();
        for (chores, checks, checked, wrong) in [
            (vec![], &none, None, 0),
            (vec![], &by_hand, Some(7), 0),
            (vec![chore(Chore::Stats, JobState::Succeeded, 9)], &none, None, 0),
            (vec![chore(Chore::Stats, JobState::Succeeded, 9)], &by_hand, Some(7), 0),
            (vec![chore(Chore::Check, JobState::Succeeded, 9)], &by_hand, Some(9), 0),
            (vec![chore(Chore::Check, JobState::Failed, 5)], &by_hand, Some(7), 0),
            (vec![chore(Chore::Check, JobState::Failed, 8)], &by_hand, Some(7), 1),
            (vec![chore(Chore::Prune, JobState::Lost, 5)], &by_hand, Some(7), 1),
        ] {
            assert_eq!(checked_at(&chores, checks), checked.map(at), "{chores:?}");
            assert_eq!(failed(&chores, checks).len(), wrong, "{chores:?}");
        }
    }

    #[test]
    fn alerts_of_a_kind_are_one() {
        let one = |severity, text: &str| (AlertKind::MaintenanceFailed, severity, text.to_owned());
        let found = by_kind(vec![one(Severity::Warning, "first"), one(Severity::Critical, "second")]);
        assert_eq!((found.len(), found[0].count, found[0].severity), (1, 2, Severity::Critical));
        assert_eq!(found[0].detail, "first");
    }
}
