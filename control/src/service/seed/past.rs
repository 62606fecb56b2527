//! The past of a seeded schedule: each fire of its line with an end that fits its host's fate, the newest snapshots, and the track that comes
//! of it.

use super::cast::Fate;
use super::{GIB, Member, Plan, Sown, ZONE};
use crate::domain::job::{JobResult, JobState};
use crate::domain::place::Place;
use crate::domain::protection::Track;
use crate::domain::schedule::Schedule;
use crate::service::ActError;
use crate::store::past::{PastFire, insert};
use crate::store::snapshots::Origin;
use crate::store::{Conn, protection, snapshots};
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{BackupSummary, Cause, CauseCode, ItemError, SnapshotRecord, Task};
use restic_manager_shared::wire::progress::{LogLevel, LogLine};
use std::time::Duration;

/// How long a locked repository has been so.
pub(super) const LOCKED: Duration = Duration::from_secs(33 * 3600);
/// How long a host that is gone has been silent.
pub(super) const GONE: Duration = Duration::from_secs(6 * 24 * 3600);
/// For how long a host that warns has done so.
const WARNS: Duration = Duration::from_secs(3 * 24 * 3600);
/// Snapshots that retention has left of each schedule.
const KEPT: usize = 10;

/// Puts the past of a schedule in.
pub(super) fn sow(
    conn: &mut Conn,
    plan: Plan,
    member: &mut Member,
    schedule: &Schedule,
    sown: &mut Sown,
) -> Result<(), ActError> {
    let task = Task::Backup { repository_id: member.repository, backup: schedule.backup(), dry_run: false };
    let task = serde_json::to_string(&task).map_err(|_| ActError::Internal("a task cannot be written"))?;
    let fires = fires(plan, schedule);
    let first_kept = fires.len().saturating_sub(KEPT);
    let (mut track, mut failure) = (None, None);
    for (n, due) in fires.into_iter().enumerate() {
        let (state, result) = end(plan, member, due);
        let took = Duration::from_secs(20 + member.kind.size / 4 + member.dice.below(90));
        let ended = due + if state == JobState::Missed { Duration::from_secs(60) } else { took };
        let ran = state != JobState::Missed;
        let result = timed(result, took, command(member, schedule));
        // All of a large fleet's past would be told at length.
        let lines =
            if n >= first_kept { log(state, (due, ended), schedule, &result) } else { vec![last(state, ended)] };
        let past = PastFire {
            host_id: member.id,
            schedule_id: schedule.id,
            repository_id: member.repository,
            task: ran.then_some(&*task),
            state,
            due,
            ended,
            result: ran.then_some(&result),
            lines: &lines,
        };
        let job_id = insert(conn, &past)?;
        sown.jobs += 1;
        let summary = result.summary.as_ref();
        let bytes = summary.map(|s| i64::try_from(s.total_bytes_processed).unwrap_or(i64::MAX));
        track = Track::after(track, due, state, bytes);
        if ran {
            let failed = matches!(state, JobState::Failed | JobState::Lost);
            failure = failed.then(|| (job_id, result.cause.as_ref().map(|c| c.code)));
        }
        if let Some(record) = summary.filter(|_| n >= first_kept).and_then(|s| snapshot(member, schedule, due, s)) {
            let place = Place { repository: member.repository, host: None };
            let origin = Origin {
                place,
                host_id: Some(member.id),
                schedule_id: Some(schedule.id),
                job_id: Some(job_id),
                attested: true,
                listed_by: None,
            };
            snapshots::put(conn, origin, &record, ended)?;
            sown.snapshots += 1;
        }
    }
    if let Some(track) = track {
        protection::put_track(conn, schedule.id, &track)?;
        protection::put_failure(conn, schedule.id, failure)?;
    }
    Ok(())
}

/// The same end, after so long.
fn timed(result: JobResult, took: Duration, command: String) -> JobResult {
    let in_all = |s: BackupSummary| BackupSummary { total_duration: took.as_secs_f64(), ..s };
    JobResult { summary: result.summary.map(in_all), command: Some(command), ..result }
}

/// The command line of a run.
pub(super) fn command(member: &Member, schedule: &Schedule) -> String {
    format!("restic backup --json --host {} --exclude *.tmp {}", member.name, schedule.paths.join(" "))
}

fn last(state: JobState, at: Timestamp) -> LogLine {
    LogLine { at, level: level(state), text: state.to_string() }
}

/// What a run said.
fn log(state: JobState, (due, ended): (Timestamp, Timestamp), schedule: &Schedule, result: &JobResult) -> Vec<LogLine> {
    let line = |after: u64, level, text: String| LogLine { at: due + Duration::from_secs(after), level, text };
    let mut lines = vec![];
    if state != JobState::Missed {
        let cron = schedule.cron.as_deref().unwrap_or_default();
        lines.push(line(0, LogLevel::Info, format!("started by its schedule ({cron})")));
        lines.extend(result.command.iter().map(|command| line(1, LogLevel::Info, command.clone())));
    }
    if let Some(summary) = &result.summary {
        lines.push(line(3, LogLevel::Info, "using the parent snapshot".into()));
        let items = result.item_errors.iter().map(|e| format!("{}: {}", e.item, e.message));
        lines.extend(items.map(|text| line(8, LogLevel::Warning, text)));
        let (files, snapshot) = (summary.total_files_processed, summary.snapshot_id.as_deref().unwrap_or_default());
        lines.push(line(18, LogLevel::Info, format!("{files} files processed")));
        lines.push(line(
            19,
            LogLevel::Info,
            format!("snapshot {} saved", snapshot.chars().take(8).collect::<String>()),
        ));
    }
    lines.extend(
        result.cause.iter().filter(|_| result.summary.is_none()).map(|c| line(2, LogLevel::Error, c.message.clone())),
    );
    lines.push(last(state, ended));
    lines
}

/// When the schedule fired, oldest first.
fn fires(plan: Plan, schedule: &Schedule) -> Vec<Timestamp> {
    let Some(cron) = schedule.cron.as_deref().and_then(|c| c.parse::<Crontab>().ok()) else { return vec![] };
    let zone: Tz = ZONE.parse().unwrap_or(Tz::UTC);
    let (from, until) = (plan.now - plan.days * super::DAY, plan.now - Duration::from_secs(1800));
    cron.fires(from.to_utc(), zone).map(Timestamp::from).take_while(|due| *due < until).collect()
}

fn end(plan: Plan, member: &mut Member, due: Timestamp) -> (JobState, JobResult) {
    let age = plan.now.since(due);
    let chance = member.dice.below(1000);
    match member.fate {
        Fate::Gone if age < GONE => return (JobState::Missed, JobResult::default()),
        Fate::Locked if age < LOCKED => return failed(CauseCode::RepositoryLocked, Some(11)),
        Fate::Warns if age < WARNS => return warned(member),
        Fate::Well | Fate::Warns | Fate::Locked | Fate::Gone | Fate::Never => {}
    }
    // Lately all went well where nothing is wrong: a fleet is mostly quiet.
    match chance {
        0..4 if age > super::DAY => failed(CauseCode::RepositoryUnreachable, Some(1)),
        4..6 if age > super::DAY => failed(CauseCode::AgentLost, None),
        6..14 if age > super::DAY => warned(member),
        _ => (JobState::Succeeded, done(member, Some(0))),
    }
}

fn done(member: &mut Member, exit_code: Option<i32>) -> JobResult {
    let size = member.kind.size * GIB;
    let added = size / 500 + member.dice.below(size / 250);
    let files = member.kind.size * 900 + member.dice.below(500);
    let changed = files / 200;
    JobResult {
        exit_code,
        summary: Some(BackupSummary {
            files_new: changed / 3,
            files_changed: changed,
            files_unmodified: files - changed - changed / 3,
            data_added: added * 2,
            data_added_packed: Some(added),
            total_files_processed: files,
            total_bytes_processed: size + added,
            total_duration: 30.0,
            snapshot_id: Some(member.dice.digest()),
            ..BackupSummary::default()
        }),
        restic_version: Some("0.19.1".into()),
        ..JobResult::default()
    }
}

fn warned(member: &mut Member) -> (JobState, JobResult) {
    let item = r"D:\Shares\Projekte\Übersicht 2026 📊.xlsx".to_owned();
    let cause = Cause { code: CauseCode::SourceUnreadable, message: "some of the source could not be read".into() };
    let result = JobResult {
        cause: Some(cause),
        item_errors: vec![ItemError { item, message: "open: the process cannot access the file".into() }],
        ..done(member, Some(3))
    };
    (JobState::Warning, result)
}

fn failed(code: CauseCode, exit_code: Option<i32>) -> (JobState, JobResult) {
    let (state, message) = match code {
        CauseCode::RepositoryLocked => {
            (JobState::Failed, "repository is already locked exclusively by PID 31177 on nas-01 by root")
        }
        CauseCode::AgentLost => (JobState::Lost, "the agent stopped answering"),
        _ => (JobState::Failed, "dial tcp 192.0.2.10:8000: connect: connection refused"),
    };
    (state, JobResult { cause: Some(Cause { code, message: message.into() }), exit_code, ..JobResult::default() })
}

const fn level(state: JobState) -> LogLevel {
    match state {
        JobState::Failed | JobState::Lost => LogLevel::Error,
        JobState::Warning | JobState::Missed => LogLevel::Warning,
        JobState::Queued
        | JobState::Dispatched
        | JobState::Running
        | JobState::Succeeded
        | JobState::Cancelled
        | JobState::Skipped => LogLevel::Info,
    }
}

fn snapshot(member: &Member, schedule: &Schedule, due: Timestamp, summary: &BackupSummary) -> Option<SnapshotRecord> {
    Some(SnapshotRecord {
        id: summary.snapshot_id.clone()?,
        time: due,
        hostname: member.name.clone(),
        username: Some("root".into()),
        paths: schedule.paths.clone(),
        tags: vec![],
        parent: None,
        summary: Some(summary.clone()),
    })
}
