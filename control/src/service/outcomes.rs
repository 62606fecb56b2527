//! What follows from the end of a job, in the same transaction: locks of dead processes go, chores are noted, figures are kept, proofs are
//! written down, alerts opened or resolved, and whoever waited for the repository is woken.

use super::{ActError, drills, locks, upkeep};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::job::JobState;
use crate::domain::operation::Sharing;
use crate::domain::place::Place;
use crate::store::jobs::JobRecord;
use crate::store::{Conn, alerts, credentials, jobs, snapshots};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{CauseCode, End, FinishReport, Task};
use restic_manager_shared::wire::operation::{CheckReport, DeleteVerdict, Outcome, ProbeReport, Replaced};
use restic_manager_shared::wire::state::CredentialMode;

/// Who should look again after a job has ended.
#[derive(Debug, Default)]
pub(super) struct Settled {
    /// Hosts that may go on now.
    pub(super) wake: Vec<HostId>,
    /// The repository whose chore it was: the next may start.
    pub(super) chore_of: Option<RepositoryId>,
}

/// Settles everything that follows.
pub(super) fn settle(
    conn: &mut Conn,
    record: &JobRecord,
    report: &FinishReport,
    now: Timestamp,
) -> Result<Settled, ActError> {
    let job = &record.job;
    let state = JobState::from(report.end);
    let Some(place) = job.place() else { return Ok(Settled::default()) };
    keep(conn, record, place, report, now)?;
    if left_a_lock(record, report) {
        locks::clean_after(conn, record, report, now)?;
    }
    if report.cause.as_ref().is_some_and(|c| c.code == CauseCode::RepositoryLocked) {
        locks::clean_again(conn, place, now)?;
        locks::look_after(conn, place, job.host_id, now)?;
    }
    let mut wake = upkeep::chore_ended(conn, record, place, state, report, now)?;
    wake.extend(jobs::waiting_hosts(conn, place.repository)?);
    Ok(Settled { wake, chore_of: record.chore.is_some().then_some(place.repository) })
}

/// Whether restic may have left its lock behind: it died, was killed, or could not reach the storage any more. What takes no lock leaves none.
fn left_a_lock(record: &JobRecord, report: &FinishReport) -> bool {
    let died = match report.end {
        End::Succeeded | End::Warning => false,
        End::Failed => report.cause.as_ref().is_some_and(|c| {
            use CauseCode::{AgentRestarted, RepositoryUnreachable, ResticCrashed};
            matches!(c.code, ResticCrashed | AgentRestarted | RepositoryUnreachable)
        }),
        // A softly stopped restic removes its lock; one that had to be killed has no exit status.
        End::Cancelled => report.exit_code.is_none(),
    };
    died && !report.pids.is_empty() && record.job.kind.operation().sharing != Sharing::Free
}

fn keep(
    conn: &mut Conn,
    record: &JobRecord,
    place: Place,
    report: &FinishReport,
    now: Timestamp,
) -> Result<(), ActError> {
    let (repository, Some(task)) = (place.repository, &record.task) else { return Ok(()) };
    // Only what answers the job's own task counts: a backup of a host that was taken over must not forget, nor hand its forged snapshot the
    // standing of a proven one.
    match (&report.outcome, task) {
        (Some(Outcome::Forget { dry_run: false, removed, .. }), Task::Forget { dry_run: false, .. }) => {
            snapshots::mark_gone(conn, repository, removed, now)?;
        }
        (Some(Outcome::Tag { replaced }), Task::Tag { .. }) => replace(conn, repository, replaced, true, now)?,
        (Some(Outcome::Rewrite { dry_run: false, replaced, forgotten }), Task::Rewrite { .. }) => {
            replace(conn, repository, replaced, *forgotten, now)?;
        }
        (Some(Outcome::Repair { dry_run: false, replaced }), Task::RepairSnapshots { forget, .. }) => {
            replace(conn, repository, replaced, *forget, now)?;
        }
        (Some(Outcome::Locks { left, .. }), Task::Locks { .. } | Task::Unlock { .. }) => {
            locks::seen(conn, place, left, now)?;
        }
        (Some(Outcome::Check(check)), Task::Check { .. }) => checked(conn, place, check, now)?,
        (Some(Outcome::Stats(stats)), Task::Stats { .. }) => super::health::counted(conn, place, stats, now)?,
        (Some(Outcome::Probe(probe)), Task::Probe { .. }) => {
            proven(conn, record.job.host_id, repository, probe, now)?;
        }
        // Also one that found nothing out is told of.
        (_, Task::Drill { snapshot, paths, .. }) => drills::ended(conn, record, (snapshot, paths), report, now)?,
        (None, Task::Probe { .. }) => {
            // It could not even be asked: that is known now, and asked again tomorrow.
            let why = report.cause.as_ref().map(|c| c.message.clone()).unwrap_or_default();
            let probe = ProbeReport { evidence: vec![why], ..ProbeReport::default() };
            proven(conn, record.job.host_id, repository, &probe, now)?;
        }
        _ => {}
    }
    Ok(())
}

fn replace(
    conn: &mut Conn,
    repository: RepositoryId,
    replaced: &[Replaced],
    old_gone: bool,
    now: Timestamp,
) -> Result<(), ActError> {
    for pair in replaced {
        snapshots::replaced(conn, repository, (&pair.old, &pair.new), now)?;
    }
    if old_gone {
        let old: Vec<String> = replaced.iter().map(|pair| pair.old.clone()).collect();
        snapshots::mark_gone(conn, repository, &old, now)?;
    }
    Ok(())
}

fn checked(conn: &mut Conn, place: Place, check: &CheckReport, now: Timestamp) -> Result<(), ActError> {
    let about = (AlertKind::RepositoryDamaged, &*subject(place));
    if check.errors == 0 {
        alerts::resolve(conn, about, now)?;
        return Ok(());
    }
    let detail = format!(
        "check found damage: errors {}, damaged packs {}, snapshots touched {}. Run repair packs and repair snapshots, and back up anew \
         what is lost",
        check.errors,
        check.broken_packs.len(),
        check.broken_snapshots.len()
    );
    alerts::raise(conn, about, Severity::Critical, &detail, now)?;
    Ok(())
}

/// What an alert about a place is about.
pub(super) fn subject(place: Place) -> String {
    match place.host {
        Some(host) => format!("repository:{}/host:{host}", place.repository),
        None => format!("repository:{}", place.repository),
    }
}

/// Keeps what a probe found. A credential that is meant to append only and can delete is an alert.
fn proven(
    conn: &mut Conn,
    host: HostId,
    repository: RepositoryId,
    probe: &ProbeReport,
    now: Timestamp,
) -> Result<(), ActError> {
    credentials::keep_proof(conn, host, repository, probe, now)?;
    let Some(credential) = credentials::get(conn, host, repository)? else { return Ok(()) };
    let about = (AlertKind::CredentialCanDelete, &*format!("host:{host}/repository:{repository}"));
    match (credential.mode, probe.can_delete) {
        (CredentialMode::AppendOnly, DeleteVerdict::CanDelete) => {
            let detail = "the credential is meant to append only, but the storage lets it delete: whoever takes this host over can \
                          delete its backups. Put an append-only server in front of the storage, or take the right to delete away";
            alerts::raise(conn, about, Severity::Critical, detail, now)?;
        }
        (CredentialMode::AppendOnly, DeleteVerdict::AppendOnly) | (CredentialMode::Full, _) => {
            alerts::resolve(conn, about, now)?;
        }
        // Nothing new is known.
        (CredentialMode::AppendOnly, DeleteVerdict::CannotTell) => {}
    }
    Ok(())
}
