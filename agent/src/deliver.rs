//! The courier: one task for each job that brings its progress, and at last its end, to the control plane, however long that takes.
//! At most one chunk a second, a sign of life in time, and nothing thrown away that the server has not confirmed.

use crate::app::Agent;
use crate::backoff::Backoff;
use crate::client::ClientError;
use crate::outbox::Outbox;
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::HEARTBEAT;
use restic_manager_shared::wire::job::FinishReport;
use restic_manager_shared::wire::progress::{LogLevel, Progress};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Between two chunks of a job.
const PACE: Duration = Duration::from_secs(1);
/// A sign of life goes out some time before it is due.
const LIFE: Duration = Duration::from_secs(HEARTBEAT as u64 * 4 / 5);

/// Where a running job puts what it has to say.
#[derive(Debug)]
pub struct Feed {
    outbox: Mutex<Outbox>,
    end: Mutex<Option<FinishReport>>,
    news: Notify,
}

impl Feed {
    /// A feed around an outbox.
    #[must_use]
    pub fn new(outbox: Outbox) -> Self {
        Self { outbox: Mutex::new(outbox), end: Mutex::default(), news: Notify::new() }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A log line, secrets out.
    pub fn log(&self, at: Timestamp, level: LogLevel, text: &str) {
        self.outbox().log(at, level, text);
        self.news.notify_one();
    }

    /// How far it is, secrets out.
    pub fn report(&self, progress: &Progress) {
        self.outbox().report(progress);
        self.news.notify_one();
    }

    /// The job has ended.
    pub fn finish(&self, report: FinishReport) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(report);
        self.news.notify_one();
    }

    fn end(&self) -> Option<FinishReport> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Brings everything of one job to the server. Returns when the end is confirmed, or nobody wants it.
pub async fn deliver(agent: Arc<Agent>, job: JobId, feed: Arc<Feed>) {
    let mut courier = Courier { agent, job, feed, last: None, backoff: Backoff::default() };
    loop {
        let ended = courier.feed.end();
        if courier.feed.outbox().has_news() || (ended.is_none() && courier.is_due()) {
            courier.send_chunk(ended.is_none()).await;
            continue;
        }
        match ended {
            Some(report) => {
                if courier.send_end(&report).await {
                    break;
                }
            }
            None => courier.wait_for_news().await,
        }
    }
    if let Err(e) = courier.agent.journal.forget(job) {
        tracing::error!(%job, error = %e, "cannot remove a confirmed job from the journal");
    }
    courier.agent.roster.remove(job);
}

struct Courier {
    agent: Arc<Agent>,
    job: JobId,
    feed: Arc<Feed>,
    last: Option<Instant>,
    backoff: Backoff,
}

impl Courier {
    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= LIFE)
    }

    async fn wait_for_news(&self) {
        let left = self.last.map_or(Duration::ZERO, |last| LIFE.saturating_sub(last.elapsed()));
        let _ = timeout(left, self.feed.news.notified()).await;
    }

    async fn send_chunk(&mut self, anyway: bool) {
        if let Some(last) = self.last {
            sleep_until(last + PACE).await;
        }
        let now = self.agent.client.now();
        let Some(chunk) = self.feed.outbox().next_chunk(now, anyway).cloned() else { return };
        if !chunk.lines.is_empty() {
            self.keep(&chunk);
        }
        self.last = Some(Instant::now());
        match self.agent.client.chunk(self.job, &chunk).await {
            Ok(answer) => {
                self.backoff.reset();
                self.feed.outbox().stored(answer.stored);
                // After a gap the numbers change, and what is kept is written anew with them.
                self.drop_kept(if answer.stored < chunk.seq { i64::MAX } else { answer.stored });
                if answer.cancel {
                    self.agent.roster.stop(self.job, crate::restic::process::StopReason::Cancelled);
                }
            }
            Err(e) => self.chunk_failed(&e, chunk.seq).await,
        }
    }

    async fn chunk_failed(&mut self, error: &ClientError, seq: i64) {
        let job = self.job;
        if error.is_gone() {
            tracing::warn!(%job, %error, "the control plane wants no more progress of this job; it runs on and its end will be reported");
            self.feed.outbox().mute();
            self.drop_kept(i64::MAX);
        } else if error.is_unacceptable() {
            tracing::error!(%job, seq, %error, "the control plane does not take a progress chunk; it is left out");
            self.feed.outbox().drop_first();
            self.drop_kept(seq);
        } else {
            tracing::debug!(%job, %error, "progress waits");
            // With the server away, what waits goes to the disk, so that it also outlives this process.
            let now = self.agent.client.now();
            let chunks: Vec<_> = self.feed.outbox().pack_all(now).cloned().collect();
            chunks.iter().for_each(|c| self.keep(c));
            self.pause(error).await;
        }
    }

    /// Sends the end; says whether that is over.
    async fn send_end(&mut self, report: &FinishReport) -> bool {
        let job = self.job;
        match self.agent.client.finish(job, report).await {
            Ok(()) => {
                tracing::info!(%job, end = ?report.end, "the job's end is confirmed");
                true
            }
            Err(e) if e.is_gone() => {
                tracing::warn!(%job, error = %e, "the control plane does not want the job's end; it is dropped");
                true
            }
            Err(e) => {
                if e.is_unacceptable() {
                    tracing::error!(%job, error = %e, "the control plane does not understand the job's end; it stays in the journal");
                } else {
                    tracing::debug!(%job, error = %e, "the job's end waits");
                }
                self.pause(&e).await;
                false
            }
        }
    }

    /// While the job runs, its signs of life go on at some pace; an end that waits may wait longer.
    async fn pause(&mut self, error: &ClientError) {
        let wait = error.retry_after().unwrap_or(Duration::ZERO).min(crate::backoff::CAP) + self.backoff.next_wait();
        tokio::select! {
            () = sleep(wait.max(Duration::from_millis(200))) => {}
            () = self.agent.contact.notified() => {}
        }
    }

    fn keep(&self, chunk: &restic_manager_shared::wire::progress::ChunkRequest) {
        if let Err(e) = self.agent.journal.keep_chunk(self.job, chunk) {
            tracing::warn!(job = %self.job, error = %e, "a progress chunk cannot be put on disk; it is kept in memory only");
        }
    }

    fn drop_kept(&self, up_to: i64) {
        if let Err(e) = self.agent.journal.drop_chunks(self.job, up_to) {
            tracing::warn!(job = %self.job, error = %e, "confirmed progress cannot be removed from the journal");
        }
    }
}
