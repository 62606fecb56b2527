//! A list of snapshots too long for a report, on its way to the control plane in parts. Sent again until each is stored: a part that comes
//! twice does no harm.

use super::Work;
use crate::backoff::Backoff;
use crate::restic::judge::Verdict;
use crate::restic::process::StopReason;
use crate::roster::pressed;
use restic_manager_shared::wire::job::{CauseCode, End, SnapshotRecord};
use restic_manager_shared::wire::operation::SnapshotsPart;
use restic_manager_shared::wire::progress::{LogLevel, Phase, Progress};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// The most snapshots in a part.
const MOST: usize = 1_000;
/// The most bytes of them.
const BYTES: usize = 512 * 1024;
/// With the control plane away for longer, the job ends: the repository's next backup waits behind it.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

impl Work<'_> {
    /// Sends the whole list.
    pub(super) async fn send_in_parts(&self, list: Vec<SnapshotRecord>) -> Result<(), Verdict> {
        let total = list.len() as u64;
        let mut sent = 0;
        for snapshots in split(list) {
            let count = snapshots.len() as u64;
            self.send(SnapshotsPart { attempt: self.offer.attempt, snapshots }).await?;
            sent += count;
            self.feed.report(&Progress {
                phase: Phase::Finishing,
                step: Some("sending the list".into()),
                unit: Some("snapshots".into()),
                units_done: Some(sent),
                units_total: Some(total),
                ..Progress::default()
            });
        }
        Ok(())
    }

    async fn send(&self, part: SnapshotsPart) -> Result<(), Verdict> {
        let mut backoff = Backoff::default();
        let end = Instant::now() + PATIENCE;
        let mut stop = self.stop.clone();
        loop {
            if let Some(reason) = *self.stop.borrow() {
                return Err(stopped(reason));
            }
            let error = match self.agent.client.snapshots(self.offer.id, &part).await {
                Ok(()) => return Ok(()),
                Err(e) if e.is_gone() || e.is_unacceptable() => {
                    return Err(Verdict::failed(
                        CauseCode::Unknown,
                        format!("the control plane does not take the list: {e}"),
                    ));
                }
                Err(e) => e,
            };
            if Instant::now() >= end {
                return Err(Verdict::failed(CauseCode::Unknown, format!("the list cannot be sent: {error}")));
            }
            self.say(LogLevel::Warning, &format!("a part of the list waits to be sent: {error}"));
            let wait = error.retry_after().unwrap_or(Duration::ZERO).min(crate::backoff::CAP) + backoff.next_wait();
            tokio::select! {
                () = sleep(wait.max(Duration::from_millis(200))) => {}
                () = self.agent.contact.notified() => {}
                reason = pressed(&mut stop) => return Err(stopped(reason)),
            }
        }
    }
}

fn stopped(reason: StopReason) -> Verdict {
    match reason {
        StopReason::Cancelled => {
            Verdict::because(End::Cancelled, CauseCode::Cancelled, "cancelled while the list was being sent")
        }
        StopReason::AgentStops | StopReason::Unreachable | StopReason::FeederFailed => {
            Verdict::failed(CauseCode::AgentRestarted, "the agent was stopped while the list was being sent")
        }
    }
}

/// Parts that each fit a request, in order.
fn split(list: Vec<SnapshotRecord>) -> Vec<Vec<SnapshotRecord>> {
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (Vec::new(), 0);
    for record in list {
        let size = serde_json::to_vec(&record).map_or(0, |json| json.len() + 1);
        if !part.is_empty() && (part.len() >= MOST || bytes + size > BYTES) {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += size;
        part.push(record);
    }
    parts.extend((!part.is_empty()).then_some(part));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::time::Timestamp;

    fn record(n: i64, path: &str) -> SnapshotRecord {
        SnapshotRecord {
            id: format!("{n:064x}"),
            time: Timestamp::from_seconds(n),
            hostname: "h".into(),
            username: None,
            paths: vec![path.to_owned()],
            tags: Vec::new(),
            parent: None,
            summary: None,
        }
    }

    #[test]
    fn parts_fit_and_nothing_is_lost() {
        let short: Vec<_> = (0..2_500).map(|n| record(n, "/srv")).collect();
        let parts = split(short.clone());
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [1000, 1000, 500]);
        assert_eq!(parts.concat(), short);
        let long: Vec<_> = (0..300).map(|n| record(n, &"x".repeat(4000))).collect();
        let parts = split(long);
        assert!(parts.iter().all(|p| serde_json::to_vec(p).expect("json").len() <= BYTES + 2));
        assert_eq!(parts.iter().map(Vec::len).sum::<usize>(), 300);
        assert_eq!(split(vec![record(1, &"x".repeat(2 * BYTES))]).len(), 1, "one that is too large alone goes alone");
        assert!(split(Vec::new()).is_empty());
    }
}
