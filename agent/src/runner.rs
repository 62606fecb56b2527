//! One job from its offer to its report: wait for the repository's turn, claim, note the start, perform, note the end. The order is
//! what makes a job run exactly once: nothing starts before the claim is won and the start is on disk.

use crate::app::Agent;
use crate::backoff::Backoff;
use crate::client::ClientError;
use crate::deliver::{Ended, Feed, deliver, forget};
use crate::logbook::Logbook;
use crate::perform::perform;
use crate::reach;
use crate::report::{self, Done};
use crate::restic::judge::Verdict;
use crate::restic::process::{Stop, StopReason};
use crate::roster::pressed;
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::LEASE;
use restic_manager_shared::wire::fire::FireReport;
use restic_manager_shared::wire::job::{CauseCode, ClaimRequest, Offer};
use restic_manager_shared::wire::poll::HeldPhase;
use restic_manager_shared::wire::progress::LogLevel;
use std::sync::Arc;
use std::time::Duration;

/// Before the second try; each later wait is four times as long, up to about an hour.
const RETRY_FIRST: Duration = Duration::from_secs(60);

/// Takes in an offer: on disk first. An offer that cannot be written down is claimed and ended at once, so that a person learns why.
pub fn accept(agent: &Arc<Agent>, offer: Offer) {
    match agent.journal.take_back_if_told(offer.id) {
        Ok(false) => {}
        Ok(true) => {
            tracing::warn!(job = %offer.id, "a job was offered that has ended here before; its end is told again");
            agent.roster.add(offer.id, offer.schedule_id, offer.attempt, HeldPhase::Finished);
            return agent.spool(offer.id);
        }
        // Offered again with the next poll.
        Err(e) => {
            return tracing::error!(job = %offer.id, error = %e, "the journal cannot be read; the job is not taken");
        }
    }
    let written = agent.journal.accept(&offer, agent.client.now());
    let Some(stop) = agent.roster.add(offer.id, offer.schedule_id, offer.attempt, HeldPhase::Accepted) else { return };
    tracing::info!(job = %offer.id, attempt = offer.attempt, kind = crate::policy::kind(&offer.task), "job accepted");
    let refusal = written.err().map(|e| {
        tracing::error!(job = %offer.id, error = %e, "the job cannot be written down and will not run");
        Verdict::failed(CauseCode::AgentDisk, e.to_string())
    });
    tokio::spawn(run(Arc::clone(agent), offer, stop, refusal));
}

/// Runs an offered job that is in the journal and the roster.
pub async fn run(agent: Arc<Agent>, mut offer: Offer, mut stop: Stop, refusal: Option<Verdict>) {
    let turn = tokio::select! {
        turn = agent.roster.turn(offer.task.lane()) => Some(turn),
        reason = pressed(&mut stop) => match reason {
            // It never ran here: the control plane hears of its end all the same.
            StopReason::Cancelled => None,
            // It stays in the journal and is claimed after the restart.
            StopReason::AgentStops | StopReason::Unreachable | StopReason::FeederFailed => return,
        },
    };
    let Some((attempt, lease)) = claim(&agent, offer.id, &mut stop).await else { return };
    offer.attempt = attempt;
    agent.roster.set_phase(offer.id, HeldPhase::Running);
    let started_at = agent.client.now();
    let feed = Arc::new(Feed::new(Logbook::open(&agent.dir, offer.id, attempt)));
    tokio::spawn(deliver(Arc::clone(&agent), offer.id, Arc::clone(&feed), None, lease));
    let done = match refusal {
        Some(verdict) => verdict.into(),
        None => start(&agent, &offer, &feed, stop, started_at).await,
    };
    end(&agent, &offer, &feed, done, started_at).await;
    drop(turn);
}

/// Runs a fire that is in the journal and the roster. Nobody is asked: the control plane may be away. It hears of the fire at once, so
/// that people see it wait and can cancel it.
pub async fn run_fire(agent: Arc<Agent>, offer: Offer, fire: Option<FireReport>, stop: Stop, refusal: Option<Verdict>) {
    let feed = Arc::new(Feed::new(Logbook::open(&agent.dir, offer.id, offer.attempt)));
    tokio::spawn(deliver(Arc::clone(&agent), offer.id, Arc::clone(&feed), fire, LEASE));
    let mut started_at = agent.client.now();
    let done = match refusal {
        Some(verdict) => verdict.into(),
        None => match tries(&agent, &offer, &feed, stop, &mut started_at).await {
            Some(done) => done,
            // It never started; it stays in the journal and starts after the restart.
            None => return,
        },
    };
    end(&agent, &offer, &feed, done, started_at).await;
}

/// Tries until it works, or the cause is not one that passes, or all tries are used. The repository is free for others between tries.
/// None if the agent stops before the first.
async fn tries(
    agent: &Arc<Agent>,
    offer: &Offer,
    feed: &Feed,
    mut stop: Stop,
    started_at: &mut Timestamp,
) -> Option<Done> {
    let schedule = offer.schedule_id;
    let spec = agent.desired.get().schedules.iter().find(|s| Some(s.id) == schedule).map(|s| s.firing);
    let retries = spec.unwrap_or_default().retries;
    let mut tried = 0;
    loop {
        let turn = tokio::select! {
            turn = agent.roster.turn(offer.task.lane()) => Some(turn),
            reason = pressed(&mut stop) => match reason {
                StopReason::Cancelled => None,
                StopReason::AgentStops | StopReason::Unreachable | StopReason::FeederFailed if tried == 0 => return None,
                StopReason::AgentStops | StopReason::Unreachable | StopReason::FeederFailed => None,
            },
        };
        agent.roster.set_phase(offer.id, HeldPhase::Running);
        if tried == 0 {
            *started_at = agent.client.now();
            if let Some(repository) = offer.task.repository_id() {
                reach::wait_for_name(agent, repository, stop.clone()).await;
            }
        }
        let done = start(agent, offer, feed, stop.clone(), *started_at).await;
        drop(turn);
        let Some(wait) = retry_after(&done.verdict, tried, retries) else { return Some(done) };
        tried += 1;
        let text = format!("trying again in {} min ({tried} of {retries})", wait.as_secs() / 60);
        feed.log(agent.client.now(), LogLevel::Warning, &text);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = pressed(&mut stop) => {}
        }
    }
}

/// How long to wait before the next try; none if there is none. Only what passes by itself is tried again: a storage that does not
/// answer, a lock that somebody holds. A wrong password stays wrong.
fn retry_after(verdict: &Verdict, tried: u32, retries: u32) -> Option<Duration> {
    let passes = matches!(verdict.code(), Some(CauseCode::RepositoryUnreachable | CauseCode::RepositoryLocked));
    (passes && tried < retries).then(|| RETRY_FIRST * 4_u32.saturating_pow(tried.min(3)))
}

async fn start(agent: &Arc<Agent>, offer: &Offer, feed: &Feed, stop: Stop, now: Timestamp) -> Done {
    match agent.journal.start(offer.id, now) {
        Ok(()) => perform(agent, offer, feed, stop).await,
        Err(e) => Verdict::failed(CauseCode::AgentDisk, e.to_string()).into(),
    }
}

/// Claims until there is an answer. Gives the attempt that won and its lease in seconds, or none if the job is not ours.
async fn claim(agent: &Arc<Agent>, job: JobId, stop: &mut Stop) -> Option<(i32, u32)> {
    let mut backoff = Backoff::default();
    loop {
        let attempt = agent.roster.attempt(job)?;
        match agent.client.claim(job, ClaimRequest { attempt }).await {
            Ok(answer) => return Some((attempt, answer.lease)),
            // A newer offer came while the claim was on its way.
            Err(e) if e.is_gone() && agent.roster.attempt(job).is_some_and(|now| now > attempt) => {}
            Err(e) if e.is_gone() => {
                tracing::info!(%job, attempt, error = %e, "the job is not ours to run");
                forget(agent, job);
                return None;
            }
            Err(e) => {
                let wait = wait_after(&e, &mut backoff);
                tracing::warn!(%job, error = %e, "cannot claim the job yet");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = agent.contact.notified() => {}
                    // A cancelled job is claimed too, to be ended.
                    () = until_agent_stops(stop) => return None,
                }
            }
        }
    }
}

async fn until_agent_stops(stop: &mut Stop) {
    if stop.wait_for(|r| *r == Some(StopReason::AgentStops)).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn wait_after(error: &ClientError, backoff: &mut Backoff) -> Duration {
    error.retry_after().unwrap_or(Duration::from_millis(200)).min(crate::backoff::CAP) + backoff.next_wait()
}

/// The report goes to the disk, and only then to the courier. A disk that refuses delays the report, but does not lose it while the
/// agent lives.
async fn end(agent: &Arc<Agent>, offer: &Offer, feed: &Feed, done: Done, started_at: Timestamp) {
    let report = report::build(offer.attempt, done, started_at, agent.client.now());
    let written = agent.journal.finish(offer.id, &report, &feed.waiting(agent.client.now()));
    if let Err(e) = &written {
        tracing::error!(job = %offer.id, error = %e, "the job's end cannot be put on disk; it is sent from memory");
    }
    tracing::info!(job = %offer.id, end = ?report.end, cause = ?report.cause.as_ref().map(|c| c.code), "job ended");
    agent.roster.set_phase(offer.id, HeldPhase::Finished);
    feed.finish(Ended { report: Some(report), on_disk: matches!(written, Ok(true)) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_by_itself_is_tried_again() {
        let minutes = |code, tried, retries| {
            retry_after(&Verdict::failed(code, ""), tried, retries).map(|wait| wait.as_secs() / 60)
        };
        for (code, tried, retries, want) in [
            (CauseCode::RepositoryUnreachable, 0, 3, Some(1)),
            (CauseCode::RepositoryUnreachable, 1, 3, Some(4)),
            (CauseCode::RepositoryLocked, 2, 3, Some(16)),
            (CauseCode::RepositoryLocked, 9, 10, Some(64)),
            (CauseCode::RepositoryLocked, 3, 3, None),
            (CauseCode::RepositoryUnreachable, 0, 0, None),
            (CauseCode::WrongPassword, 0, 3, None),
            (CauseCode::Cancelled, 0, 3, None),
        ] {
            assert_eq!(minutes(code, tried, retries), want, "{code:?} {tried} {retries}");
        }
    }
}
