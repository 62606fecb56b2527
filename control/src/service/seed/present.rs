//! What goes on in a seeded fleet: a backup that runs, and one that waits. Nobody goes on with them, so they stay as they are for a day.

use super::{DAY, GIB, Member, Plan, Sown};
use crate::domain::schedule::Schedule;
use crate::domain::speed::follow;
use crate::service::ActError;
use crate::store::jobs::NewJob;
use crate::store::{Conn, jobs};
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::progress::{LogLevel, LogLine, Phase, Progress};
use std::time::Duration;

/// Who runs.
const RUNS: &str = "api-01";
/// Who waits.
const WAITS: &str = "git-01";
/// How long it has run, in seconds.
const RUN_FOR: u64 = 8 * 60;

/// Has the first schedule of some hosts run or wait.
pub(super) fn sow(
    conn: &mut Conn,
    plan: Plan,
    member: &mut Member,
    schedule: &Schedule,
    sown: &mut Sown,
) -> Result<(), ActError> {
    match member.name.as_str() {
        WAITS => {
            queue(conn, member, schedule, plan.now - Duration::from_secs(30))?;
        }
        RUNS => run(conn, plan, member, schedule)?,
        _ => return Ok(()),
    }
    sown.jobs += 1;
    Ok(())
}

fn line(at: Timestamp, text: impl Into<String>) -> LogLine {
    LogLine { at, level: LogLevel::Info, text: text.into() }
}

fn queue(conn: &mut Conn, member: &mut Member, schedule: &Schedule, at: Timestamp) -> Result<JobId, ActError> {
    let id = JobId(member.dice.uuid());
    let new = NewJob {
        id,
        host_id: member.id,
        schedule_id: Some(schedule.id),
        task: Task::Backup { repository_id: member.repository, backup: schedule.backup(), dry_run: false },
        of_host_id: None,
        state_version: 1,
        requested_by: "user:admin".into(),
        idempotency_key: None,
        priority: 0,
        chore: None,
        secrets_sealed: None,
        now: at,
    };
    jobs::insert(conn, &new, &line(at, "queued by user:admin"))?;
    Ok(id)
}

fn run(conn: &mut Conn, plan: Plan, member: &mut Member, schedule: &Schedule) -> Result<(), ActError> {
    let began = plan.now - Duration::from_secs(RUN_FOR);
    let (lease, command) = (plan.now + DAY, super::past::command(member, schedule));
    let id = queue(conn, member, schedule, began)?;
    let Some(attempt) = jobs::dispatch(conn, id, began)? else { return Ok(()) };
    jobs::claim(conn, member.id, id, attempt, began, lease)?;
    let lines = [line(began, command.clone()), line(began + Duration::from_secs(9), "using the parent snapshot")];
    let mut at: Option<Progress> = None;
    for step in 0..=40u64 {
        let (seconds, total) = (step * RUN_FOR / 40, member.kind.size * GIB);
        // Now faster, now slower.
        let done = total / 100 * step * 3 / 2 + total / 400 * member.dice.below(2);
        let newest = progress(seconds, (done.min(total), total), &command);
        at = Some(follow(at.as_ref(), newest));
    }
    jobs::chunk(conn, (id, attempt, 1), at.as_ref(), &lines, lease)?;
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // a share
fn progress(seconds: u64, (done, total): (u64, u64), command: &str) -> Progress {
    let files = total / GIB * 900;
    Progress {
        phase: Phase::Running,
        percent: Some(done as f64 / total.max(1) as f64),
        files_done: files * (done >> 20) / (total >> 20).max(1),
        files_total: files,
        bytes_done: done,
        bytes_total: total,
        seconds_elapsed: seconds,
        seconds_remaining: (seconds > 0 && done > 0).then(|| seconds * ((total - done) >> 20) / (done >> 20).max(1)),
        current_files: vec!["/var/www/uploads/2026/11/a report.pdf".into()],
        command: Some(command.to_owned()),
        ..Progress::default()
    }
}
