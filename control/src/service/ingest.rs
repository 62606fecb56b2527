//! What agents report of their jobs: claim, chunks, the end. Each is one item of the writer's next group. A report that was sent twice
//! is answered like the first.

use super::outcomes::Settled;
use super::{ActError, Noun, Refusal, Services, listing, outcomes, protection, upkeep};
use crate::domain::job::{JobResult, JobState};
use crate::domain::speed::follow;
use crate::store::jobs::{self, JobRecord};
use crate::store::{Conn, hosts};
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{Cause, CauseCode, ClaimResponse, End, FinishReport};
use restic_manager_shared::wire::operation::SnapshotsPart;
use restic_manager_shared::wire::progress::{ChunkRequest, ChunkResponse, LogLevel, LogLine};

fn load(conn: &mut Conn, host: HostId, id: JobId) -> Result<JobRecord, ActError> {
    jobs::get(conn, id)?.filter(|r| r.job.host_id == host).ok_or(ActError::NotFound(Noun::Job))
}

/// Lets an agent start a job, if the attempt that it was offered still counts.
///
/// # Errors
/// `StaleAttempt` if another offer was made since, or the job was cancelled.
pub async fn claim(s: &Services, host: HostId, id: JobId, attempt: i32) -> Result<ClaimResponse, ActError> {
    let now = Timestamp::now();
    let lease = now + s.leased();
    s.db.write(move |conn| {
        if jobs::claim(conn, host, id, attempt, now, lease)? {
            return Ok(());
        }
        let job = load(conn, host, id)?.job;
        let again = job.attempt == attempt && matches!(job.state, JobState::Running | JobState::Lost);
        if again { Ok(()) } else { Err(ActError::from(Refusal::StaleAttempt)) }
    })
    .await?;
    s.hub.jobs.wake(id);
    Ok(ClaimResponse { lease: s.lease })
}

/// Stores a chunk of progress. A chunk that is there already is dropped; one that comes too early is answered with what is there.
///
/// # Errors
/// `StaleAttempt` if another attempt counts, `JobFinished` if the job has ended.
pub async fn chunk(s: &Services, host: HostId, id: JobId, chunk: ChunkRequest) -> Result<ChunkResponse, ActError> {
    let now = Timestamp::now();
    let lease = now + s.leased();
    let answer =
        s.db.write(move |conn| {
            let key = (id, chunk.attempt, chunk.seq);
            let record = load(conn, host, id)?;
            let status = chunk.status.clone().map(|status| follow(record.job.progress.as_ref(), status));
            if let Some(cancel) = jobs::chunk(conn, key, status.as_ref(), &chunk.lines, lease)? {
                return Ok(ChunkResponse { stored: chunk.seq, cancel });
            }
            if record.job.attempt != chunk.attempt {
                return Err(Refusal::StaleAttempt.into());
            }
            if !record.job.state.takes_end() {
                return Err(ActError::from(Refusal::JobFinished));
            }
            Ok(ChunkResponse { stored: record.chunk_seq, cancel: record.job.cancel_requested_at.is_some() })
        })
        .await?;
    s.presence.touch(host, now);
    s.hub.jobs.wake(id);
    Ok(answer)
}

/// Stores how a job ended, and the snapshots that it made or listed.
///
/// # Errors
/// `StaleAttempt` if this attempt never counted.
pub async fn finish(s: &Services, host: HostId, id: JobId, report: FinishReport) -> Result<(), ActError> {
    let now = Timestamp::now();
    let settled =
        s.db.write(move |conn| {
            let record = load(conn, host, id)?;
            let (state, result) = (JobState::from(report.end), result_of(&report));
            // The agent's clock may be off: the end lies between the question and now. So may ours: if that was set back, it is at the
            // question.
            let at = report.finished_at.min(now).max(record.job.queued_at);
            let said = LogLine { at, level: level_of(report.end), text: words_of(&report) };
            if jobs::finish(conn, (id, report.attempt), state, &result, at, &said)? {
                jobs::keep_outcome(conn, id, report.outcome.as_ref(), &report.pids)?;
                protection::ended(conn, &record, state, &result, now)?;
                listing::of_report(conn, &record, &report, now)?;
                return outcomes::settle(conn, &record, &report, now);
            }
            let again = record.job.attempt == report.attempt && record.job.state == state;
            if again { Ok(Settled::default()) } else { Err(ActError::from(Refusal::StaleAttempt)) }
        })
        .await?;
    s.presence.touch(host, now);
    s.hub.jobs.wake(id);
    s.hub.hosts.wake(host);
    settled.wake.into_iter().for_each(|host| s.hub.hosts.wake(host));
    if let Some(repository) = settled.chore_of {
        // The report is stored; what does not start now starts with the next look.
        if let Err(error) = upkeep::start_asked(s, repository, now).await {
            tracing::error!(%repository, %error, "the next chore did not start");
        }
    }
    Ok(())
}

fn result_of(report: &FinishReport) -> JobResult {
    JobResult {
        cause: report.cause.clone(),
        exit_code: report.exit_code,
        summary: report.summary.clone(),
        item_errors: report.item_errors.clone(),
        item_errors_omitted: report.item_errors_omitted,
        command: report.command.clone(),
        restic_version: report.restic_version.clone(),
    }
}

const fn level_of(end: End) -> LogLevel {
    match end {
        End::Succeeded => LogLevel::Info,
        End::Warning | End::Cancelled => LogLevel::Warning,
        End::Failed => LogLevel::Error,
    }
}

fn words_of(report: &FinishReport) -> String {
    let how = match report.end {
        End::Succeeded => "succeeded",
        End::Warning => "ended with warnings",
        End::Failed => "failed",
        End::Cancelled => "cancelled",
    };
    match report.exit_code {
        Some(code) => format!("{how}, restic's exit status {code}"),
        None => how.to_owned(),
    }
}

/// Stores a part of a list of snapshots, ahead of the end of its job. The same part twice changes nothing.
///
/// # Errors
/// `StaleAttempt` if another attempt counts, `JobFinished` if the job has ended.
pub async fn snapshots(s: &Services, host: HostId, id: JobId, part: SnapshotsPart) -> Result<(), ActError> {
    let now = Timestamp::now();
    s.db.write(move |conn| {
        let record = load(conn, host, id)?;
        if record.job.attempt != part.attempt {
            return Err(Refusal::StaleAttempt.into());
        }
        if !record.job.state.takes_end() {
            return Err(ActError::from(Refusal::JobFinished));
        }
        listing::part(conn, &record, &part.snapshots, now)
    })
    .await?;
    s.presence.touch(host, now);
    Ok(())
}

/// Marks jobs as lost whose agents went silent. A server that was down itself gives every agent a whole lease to speak up first.
/// Answers how many.
///
/// # Errors
/// When the database fails.
pub async fn lose_silent(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    if now.since(s.started_at) < s.leased() {
        return Ok(0);
    }
    let lost =
        s.db.write(move |conn| {
            let silent = jobs::lease_ended(conn, now, 500)?;
            let message = "the agent stopped answering".to_owned();
            let cause = Cause { code: CauseCode::AgentLost, message: message.clone() };
            let result = JobResult { cause: Some(cause), ..JobResult::default() };
            let said = LogLine { at: now, level: LogLevel::Error, text: message };
            for (id, attempt) in &silent {
                if jobs::finish(conn, (*id, *attempt), JobState::Lost, &result, now, &said)?
                    && let Some(record) = jobs::get(conn, *id)?
                {
                    protection::ended(conn, &record, JobState::Lost, &result, now)?;
                }
            }
            Ok::<_, ActError>(silent)
        })
        .await?;
    lost.iter().for_each(|(id, _)| s.hub.jobs.wake(*id));
    Ok(lost.len())
}

/// Writes back who was heard from since the last time. Answers how many.
///
/// # Errors
/// When the database fails.
pub async fn write_back_seen(s: &Services) -> Result<usize, ActError> {
    let seen = s.presence.take_dirty();
    let count = seen.len();
    if count > 0 {
        s.db.write(move |conn| {
            for (host, seen) in &seen {
                hosts::seen(conn, *host, seen)?;
            }
            Ok::<_, ActError>(())
        })
        .await?;
    }
    Ok(count)
}
