//! Lists of snapshots: what jobs made and what they found in a repository, tied to hosts and schedules. A list that is complete also says
//! what is gone.

use super::ActError;
use crate::domain::attestation::{Report, SLACK, attest};
use crate::domain::place::Place;
use crate::store::jobs::JobRecord;
use crate::store::snapshots::{self, Origin};
use crate::store::{Conn, hosts, schedules};
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{FinishReport, SnapshotRecord, Task, schedule_tag};
use std::collections::HashMap;

/// Stores what a finish report says of snapshots.
pub(super) fn of_report(
    conn: &mut Conn,
    record: &JobRecord,
    report: &FinishReport,
    now: Timestamp,
) -> Result<(), ActError> {
    // The repository may have been forgotten while the job ran; then there is nothing to tie snapshots to.
    let Some(place) = record.job.place() else { return Ok(()) };
    if matches!(record.task, Some(Task::Backup { .. })) {
        return made(conn, place, record, report, now);
    }
    part(conn, record, &report.snapshots, now)?;
    if let (Some(Task::Snapshots { all_hosts, .. }), true) = (&record.task, report.snapshots_complete) {
        let host = (!all_hosts).then_some(record.job.host_id);
        let since = record.job.started_at.unwrap_or(record.job.queued_at);
        snapshots::mark_unlisted_gone(conn, place, host, record.job.id, since, now)?;
    }
    Ok(())
}

/// A backup's own snapshots. The job vouches for one whose time lies in the job's own.
fn made(
    conn: &mut Conn,
    place: Place,
    record: &JobRecord,
    report: &FinishReport,
    now: Timestamp,
) -> Result<(), ActError> {
    let job = &record.job;
    let window = Report { job_id: job.id, started: job.started_at.unwrap_or(job.queued_at), ended: now };
    // A job makes one; more than that is no report of a backup.
    let vouches = report.snapshots.len() == 1;
    for snapshot in &report.snapshots {
        let origin = Origin {
            place,
            host_id: Some(job.host_id),
            schedule_id: job.schedule_id,
            job_id: Some(job.id),
            attested: vouches && attest(snapshot.time, window, SLACK).is_ok(),
            listed_by: None,
        };
        snapshots::put(conn, origin, snapshot, now)?;
    }
    Ok(())
}

/// Stores a part of a list, if a list was asked for.
pub(super) fn part(
    conn: &mut Conn,
    record: &JobRecord,
    list: &[SnapshotRecord],
    now: Timestamp,
) -> Result<(), ActError> {
    let (Some(place), Some(Task::Snapshots { .. })) = (record.job.place(), &record.task) else { return Ok(()) };
    let mut names = Names::default();
    for snapshot in list {
        let host_id = names.host(conn, &snapshot.hostname)?;
        let schedule_id = names.schedule(conn, host_id, &snapshot.tags)?;
        let origin =
            Origin { place, host_id, schedule_id, job_id: None, attested: false, listed_by: Some(record.job.id) };
        snapshots::put(conn, origin, snapshot, now)?;
    }
    Ok(())
}

/// Whose a listed snapshot is, by restic's host name and our tag. Neither proves anything: whoever writes a snapshot chooses both.
#[derive(Default)]
struct Names {
    hosts: HashMap<String, Option<HostId>>,
    schedules: HashMap<String, Option<(ScheduleId, HostId)>>,
}

impl Names {
    fn host(&mut self, conn: &mut Conn, hostname: &str) -> Result<Option<HostId>, ActError> {
        if let Some(known) = self.hosts.get(hostname) {
            return Ok(*known);
        }
        let found = hosts::by_name(conn, hostname)?.map(|h| h.id);
        self.hosts.insert(hostname.to_owned(), found);
        Ok(found)
    }

    fn schedule(
        &mut self,
        conn: &mut Conn,
        host: Option<HostId>,
        tags: &[String],
    ) -> Result<Option<ScheduleId>, ActError> {
        let Some(tag) = tags.iter().find(|t| t.starts_with("rm-schedule-")) else { return Ok(None) };
        if !self.schedules.contains_key(tag) {
            let id = tag.trim_start_matches("rm-schedule-").parse::<ScheduleId>().ok();
            let found = match id.filter(|id| schedule_tag(*id) == *tag) {
                Some(id) => schedules::get(conn, id)?.map(|s| (s.id, s.host_id)),
                None => None,
            };
            self.schedules.insert(tag.clone(), found);
        }
        let found = self.schedules.get(tag).copied().flatten();
        Ok(found.filter(|(_, of)| Some(*of) == host).map(|(id, _)| id))
    }
}
