//! The courier: one task for each job that brings its progress, and at last its end, to the control plane, however long that takes.
//! At most one chunk a second, a sign of life in time, and nothing thrown away that the server has not confirmed. A fire is told before
//! anything else of its job. What is over and on disk while the control plane is away is left to the [`spool`](crate::spool).

use crate::app::Agent;
use crate::backoff::Backoff;
use crate::client::ClientError;
use crate::journal::Spooled;
use crate::outbox::Outbox;
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::HEARTBEAT;
use restic_manager_shared::wire::fire::FireReport;
use restic_manager_shared::wire::job::FinishReport;
use restic_manager_shared::wire::progress::{ChunkRequest, LogLevel, Progress};
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
    end: Mutex<Option<Ended>>,
    news: Notify,
}

/// A job's end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How; none for a fire that was skipped.
    pub report: Option<FinishReport>,
    /// Whether it is in the journal.
    pub on_disk: bool,
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

    /// The log lines that the server has not confirmed, as chunks for the disk.
    #[must_use]
    pub fn waiting(&self, now: Timestamp) -> Vec<ChunkRequest> {
        self.outbox().pack_all(now).cloned().collect()
    }

    /// The job has ended.
    pub fn finish(&self, ended: Ended) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        self.news.notify_one();
    }

    fn end(&self) -> Option<Ended> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What came of telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// All is told, or nobody wants it.
    All,
    /// The server cannot be reached now.
    Later,
    /// The server does not understand the end. It stays, and others go first.
    Refused,
}

/// Brings everything of one job to the server while it runs. Returns when the end is confirmed, or nobody wants it, or the job is over
/// and waits on disk.
pub async fn deliver(agent: Arc<Agent>, job: JobId, feed: Arc<Feed>, fire: Option<FireReport>) {
    let is_fire = fire.is_some();
    let mut courier = Courier::new(Arc::clone(&agent), job, feed, fire);
    while courier.tell().await != Told::All {
        if courier.may_wait_on_disk() {
            agent.spool.add(job);
            if is_fire {
                // The control plane never offers a fire, so it need not hear with each poll that it is here.
                agent.roster.remove(job);
            }
            return;
        }
        courier.pause().await;
    }
    forget(&agent, job);
}

/// Brings an ended job from the journal to the server.
pub async fn deliver_spooled(agent: &Arc<Agent>, job: JobId, spooled: Spooled) -> Told {
    let feed = Arc::new(Feed::new(Outbox::new(spooled.attempt, spooled.chunks)));
    feed.finish(Ended { report: spooled.report, on_disk: true });
    let mut courier = Courier::new(Arc::clone(agent), job, feed, spooled.fire);
    let told = courier.tell().await;
    if told == Told::All {
        forget(&courier.agent, job);
    }
    told
}

fn forget(agent: &Agent, job: JobId) {
    if let Err(e) = agent.journal.forget(job) {
        tracing::error!(%job, error = %e, "cannot remove a confirmed job from the journal");
    }
    agent.roster.remove(job);
}

struct Courier {
    agent: Arc<Agent>,
    job: JobId,
    feed: Arc<Feed>,
    fire: Option<FireReport>,
    last: Option<Instant>,
    /// How long the server wants to be left alone.
    asked: Duration,
    backoff: Backoff,
}

impl Courier {
    fn new(agent: Arc<Agent>, job: JobId, feed: Arc<Feed>, fire: Option<FireReport>) -> Self {
        Self { agent, job, feed, fire, last: None, asked: Duration::ZERO, backoff: Backoff::default() }
    }

    /// Tells what there is, as it comes, until the end.
    async fn tell(&mut self) -> Told {
        loop {
            if let Some(fire) = self.fire.take()
                && !self.announce(&fire).await
            {
                self.fire = Some(fire);
                return Told::Later;
            }
            let ended = self.feed.end();
            if self.feed.outbox().has_news() || (ended.is_none() && self.is_due()) {
                if !self.send_chunk(ended.is_none()).await {
                    return Told::Later;
                }
                continue;
            }
            match ended {
                Some(Ended { report: Some(report), .. }) => return self.send_end(&report).await,
                Some(Ended { report: None, .. }) => return Told::All,
                None => self.wait_for_news().await,
            }
        }
    }

    /// Tells the fire; false if it has to be told again.
    async fn announce(&self, fire: &FireReport) -> bool {
        let job = self.job;
        match self.agent.client.fire(fire).await {
            Ok(_) => {
                if let Err(e) = self.agent.journal.announced(job) {
                    tracing::warn!(%job, error = %e, "cannot note that the fire was told; it is told again");
                }
            }
            Err(e) if e.is_gone() || e.is_unacceptable() => {
                tracing::error!(%job, error = %e, "the control plane does not take this fire; the job runs, but nobody will hear of it");
                self.feed.outbox().mute();
            }
            Err(e) => {
                tracing::debug!(%job, error = %e, "the fire waits to be told");
                self.keep_all();
                return false;
            }
        }
        true
    }

    /// Whether the job is over and all that is to be told is in the journal.
    fn may_wait_on_disk(&self) -> bool {
        self.feed.end().is_some_and(|end| end.on_disk) && self.keep_all()
    }

    /// With the server away, what waits goes to the disk, so that it also outlives this process.
    fn keep_all(&self) -> bool {
        let now = self.agent.client.now();
        self.feed.waiting(now).iter().all(|c| self.keep(c))
    }

    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= LIFE)
    }

    async fn wait_for_news(&self) {
        let left = self.last.map_or(Duration::ZERO, |last| LIFE.saturating_sub(last.elapsed()));
        let _ = timeout(left, self.feed.news.notified()).await;
    }

    /// Sends the next chunk; false if the server cannot be reached.
    async fn send_chunk(&mut self, alive: bool) -> bool {
        if let Some(last) = self.last.filter(|_| alive) {
            sleep_until(last + PACE).await;
        }
        let now = self.agent.client.now();
        let Some(chunk) = self.feed.outbox().next_chunk(now, alive).cloned() else { return true };
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
                true
            }
            Err(e) => self.chunk_failed(&e, chunk.seq),
        }
    }

    fn chunk_failed(&mut self, error: &ClientError, seq: i64) -> bool {
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
            self.keep_all();
            self.ask_for_pause(error);
            return false;
        }
        true
    }

    async fn send_end(&mut self, report: &FinishReport) -> Told {
        let job = self.job;
        match self.agent.client.finish(job, report).await {
            Ok(()) => {
                tracing::info!(%job, end = ?report.end, "the job's end is confirmed");
                Told::All
            }
            Err(e) if e.is_gone() => {
                tracing::warn!(%job, error = %e, "the control plane does not want the job's end; it is dropped");
                Told::All
            }
            Err(e) if e.is_unacceptable() => {
                tracing::error!(%job, error = %e, "the control plane does not understand the job's end; it stays in the journal");
                Told::Refused
            }
            Err(e) => {
                tracing::debug!(%job, error = %e, "the job's end waits");
                self.ask_for_pause(&e);
                Told::Later
            }
        }
    }

    fn ask_for_pause(&mut self, error: &ClientError) {
        self.asked = error.retry_after().unwrap_or(Duration::ZERO).min(crate::backoff::CAP);
    }

    /// Waits before the server is tried again, unless it is heard from meanwhile. While a job runs, its signs of life go on at some pace.
    async fn pause(&mut self) {
        let wait = std::mem::take(&mut self.asked) + self.backoff.next_wait();
        tokio::select! {
            () = sleep(wait.max(Duration::from_millis(200))) => {}
            () = self.agent.contact.notified() => {}
        }
    }

    fn keep(&self, chunk: &ChunkRequest) -> bool {
        let kept = self.agent.journal.keep_chunk(self.job, chunk);
        if let Err(e) = &kept {
            tracing::warn!(job = %self.job, error = %e, "a progress chunk cannot be put on disk; it is kept in memory only");
        }
        kept.is_ok()
    }

    fn drop_kept(&self, up_to: i64) {
        if let Err(e) = self.agent.journal.drop_chunks(self.job, up_to) {
            tracing::warn!(job = %self.job, error = %e, "confirmed progress cannot be removed from the journal");
        }
    }
}
