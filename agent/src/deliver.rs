//! The courier: one task for each job that brings its progress, and at last its end, to the control plane, however long that takes.
//! At most one chunk a second, a sign of life well within the lease, and nothing thrown away that the server has not confirmed. A fire is
//! told before anything else of its job. What is over and on disk while the control plane is away is left to the [`spool`](crate::spool).

use crate::app::Agent;
use crate::backoff::Backoff;
use crate::client::ClientError;
use crate::journal::Spooled;
use crate::logbook::Logbook;
use crate::outbox::Outbox;
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::FireReport;
use restic_manager_shared::wire::job::FinishReport;
use restic_manager_shared::wire::progress::{ChunkRequest, LogLevel, Progress};
use restic_manager_shared::wire::recall::RecallRequest;
use restic_manager_shared::wire::{HEARTBEAT, LEASE};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};

/// Between two chunks of a job.
const PACE: Duration = Duration::from_secs(1);
/// Signs of life in a lease: a few may be lost.
const LIVES: u32 = 5;

/// Where a running job puts what it has to say.
#[derive(Debug)]
pub struct Feed {
    book: Mutex<Logbook>,
    end: Mutex<Option<Ended>>,
    news: Notify,
    over: Notify,
}

/// A job's end.
#[derive(Clone, Debug)]
pub struct Ended {
    /// How; none for a fire that was skipped.
    pub report: Option<FinishReport>,
    /// Whether it is in the journal, with all that waits.
    pub on_disk: bool,
}

impl Feed {
    /// A feed into a logbook.
    #[must_use]
    pub fn new(book: Logbook) -> Self {
        Self { book: Mutex::new(book), end: Mutex::default(), news: Notify::new(), over: Notify::new() }
    }

    fn book(&self) -> MutexGuard<'_, Logbook> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A log line, secrets out.
    pub fn log(&self, at: Timestamp, level: LogLevel, text: &str) {
        self.book().log(at, level, text);
        self.news.notify_one();
    }

    /// How far it is, secrets out.
    pub fn report(&self, progress: &Progress) {
        self.book().report(progress);
        self.news.notify_one();
    }

    /// The log lines that the server has not confirmed, as chunks for the disk.
    #[must_use]
    pub fn waiting(&self, now: Timestamp) -> Vec<ChunkRequest> {
        self.book().pack_all(now)
    }

    /// The job has ended. If its end is in the journal, so are the log lines that wait.
    pub fn finish(&self, ended: Ended) {
        if ended.on_disk {
            self.book().close();
        }
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        self.news.notify_one();
        self.over.notify_one();
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
pub async fn deliver(agent: Arc<Agent>, job: JobId, feed: Arc<Feed>, fire: Option<FireReport>, lease: u32) {
    let is_fire = fire.is_some();
    let mut courier = Courier::new(Arc::clone(&agent), job, feed, fire);
    courier.life = life(lease);
    while courier.tell().await != Told::All {
        if courier.is_in_journal() {
            agent.spool(job);
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

/// Brings a fire to the server that was skipped and could not be written down.
pub async fn deliver_skipped(agent: Arc<Agent>, fire: FireReport) {
    let feed = Arc::new(Feed::new(Logbook::in_memory(Outbox::new(1, Vec::new()))));
    feed.finish(Ended { report: None, on_disk: false });
    deliver(agent, fire.id, feed, Some(fire), LEASE).await;
}

/// Brings an ended job from the journal to the server.
pub async fn deliver_spooled(agent: &Arc<Agent>, job: JobId, spooled: Spooled) -> Told {
    let feed = Arc::new(Feed::new(Logbook::in_memory(Outbox::new(spooled.attempt, spooled.chunks))));
    feed.finish(Ended { report: spooled.report, on_disk: true });
    let mut courier = Courier::new(Arc::clone(agent), job, feed, spooled.fire);
    courier.recall = spooled.recall;
    let told = courier.tell().await;
    if told == Told::All {
        forget(&courier.agent, job);
    }
    told
}

/// All about a job is confirmed, or nobody wants it: it goes from the journal, as soon as the disk lets it.
pub fn forget(agent: &Arc<Agent>, job: JobId) {
    agent.roster.remove(job);
    let Err(e) = agent.journal.forget(job) else { return };
    tracing::error!(%job, error = %e, "cannot remove a job from the journal yet");
    let agent = Arc::clone(agent);
    tokio::spawn(async move {
        let mut backoff = Backoff::default();
        while agent.journal.forget(job).is_err() {
            sleep(backoff.next_wait().max(PACE)).await;
        }
    });
}

/// Without anything else to say, a job that may be silent for so many seconds says that it lives.
fn life(lease: u32) -> Duration {
    (Duration::from_secs(lease.into()) / LIVES).min(Duration::from_secs(HEARTBEAT.into())).max(PACE)
}

struct Courier {
    agent: Arc<Agent>,
    job: JobId,
    feed: Arc<Feed>,
    fire: Option<FireReport>,
    /// What a control plane that came out of an export has to be told first.
    recall: Option<RecallRequest>,
    last: Option<Instant>,
    life: Duration,
    /// How long the server wants to be left alone.
    asked: Duration,
    backoff: Backoff,
}

impl Courier {
    fn new(agent: Arc<Agent>, job: JobId, feed: Arc<Feed>, fire: Option<FireReport>) -> Self {
        Self {
            agent,
            job,
            feed,
            fire,
            recall: None,
            last: None,
            life: life(LEASE),
            asked: Duration::ZERO,
            backoff: Backoff::default(),
        }
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
            if self.feed.book().has_news() || (ended.is_none() && self.is_due()) {
                if !self.send_chunk(ended.is_none()).await {
                    return Told::Later;
                }
                continue;
            }
            match ended {
                Some(Ended { report: Some(report), .. }) => return self.send_end_recalled(report).await,
                Some(Ended { report: None, .. }) => return Told::All,
                None => self.wait_for_news().await,
            }
        }
    }

    /// Tells the fire; false if it has to be told again.
    async fn announce(&mut self, fire: &FireReport) -> bool {
        let job = self.job;
        match self.agent.client.fire(fire).await {
            Ok(answer) => {
                self.life = life(answer.lease);
                if let Err(e) = self.agent.journal.announced(job) {
                    tracing::warn!(%job, error = %e, "cannot note that the fire was told; it is told again");
                }
            }
            Err(e) if e.is_gone() || e.is_unacceptable() => {
                tracing::error!(%job, error = %e, "the control plane does not take this fire; the job runs, but nobody will hear of it");
                self.feed.book().mute();
            }
            Err(e) => {
                tracing::debug!(%job, error = %e, "the fire waits to be told");
                self.feed.book().sync();
                return false;
            }
        }
        true
    }

    fn is_due(&self) -> bool {
        self.last.is_none_or(|last| last.elapsed() >= self.life)
    }

    async fn wait_for_news(&self) {
        let left = self.last.map_or(Duration::ZERO, |last| self.life.saturating_sub(last.elapsed()));
        let _ = timeout(left, self.feed.news.notified()).await;
    }

    /// Sends the next chunk; false if the server cannot be reached.
    async fn send_chunk(&mut self, alive: bool) -> bool {
        if let Some(last) = self.last.filter(|_| alive) {
            sleep_until(last + PACE).await;
        }
        let now = self.agent.client.now();
        let Some(chunk) = self.feed.book().next_chunk(now, alive) else { return true };
        self.last = Some(Instant::now());
        match self.agent.client.chunk(self.job, &chunk).await {
            Ok(answer) => {
                self.backoff.reset();
                self.feed.book().stored(answer.stored);
                if answer.stored < chunk.seq {
                    self.renumber_kept();
                } else {
                    self.drop_kept(answer.stored);
                }
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
            self.feed.book().mute();
            self.drop_kept(i64::MAX);
        } else if error.is_unacceptable() {
            tracing::error!(%job, seq, %error, "the control plane does not take a progress chunk; it is left out");
            self.feed.book().drop_first();
            self.drop_kept(seq);
        } else {
            tracing::debug!(%job, %error, "progress waits");
            self.feed.book().sync();
            self.ask_for_pause(error);
            return false;
        }
        true
    }

    /// Sends the end; of a job that may be forgotten, the job first.
    async fn send_end_recalled(&mut self, mut report: FinishReport) -> Told {
        if let Some(recall) = &self.recall {
            match self.agent.client.recall(self.job, recall).await {
                Ok(answer) => report.attempt = answer.attempt,
                Err(e) if e.is_gone() || e.is_unacceptable() => {
                    tracing::info!(job = %self.job, error = %e, "the control plane does not want the job back");
                    return Told::All;
                }
                Err(e) => {
                    self.ask_for_pause(&e);
                    return Told::Later;
                }
            }
        }
        self.send_end(&report).await
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

    /// Waits before the server is tried again, unless it is heard from or the job ends meanwhile. While a job runs, its signs of life go on at some pace.
    async fn pause(&mut self) {
        let wait = std::mem::take(&mut self.asked) + self.backoff.next_wait();
        tokio::select! {
            () = sleep(wait.max(Duration::from_millis(200))) => {}
            () = self.agent.contact.notified() => {}
            () = self.feed.over.notified() => {}
        }
    }

    /// Whether the journal holds what waits. While the job runs, its logbook does.
    fn is_in_journal(&self) -> bool {
        self.feed.end().is_some_and(|end| end.on_disk)
    }

    /// After a gap the numbers change, also those of what is kept.
    fn renumber_kept(&self) {
        let now = self.agent.client.now();
        if self.is_in_journal()
            && let Err(e) = self.agent.journal.replace_chunks(self.job, &self.feed.waiting(now))
        {
            tracing::warn!(job = %self.job, error = %e, "waiting progress cannot be renumbered in the journal");
        }
    }

    fn drop_kept(&self, up_to: i64) {
        if self.is_in_journal()
            && let Err(e) = self.agent.journal.drop_chunks(self.job, up_to)
        {
            tracing::warn!(job = %self.job, error = %e, "confirmed progress cannot be removed from the journal");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_follow_the_lease() {
        for (lease, seconds) in [(120, 24), (600, 30), (20, 4), (3, 1), (0, 1)] {
            assert_eq!(life(lease), Duration::from_secs(seconds), "a lease of {lease} s");
        }
    }
}
