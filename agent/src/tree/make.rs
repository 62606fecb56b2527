//! Making the tree of a snapshot with restic, for as long as somebody asks for it.

use super::cache::{Key, Making, Work};
use super::grow::Growing;
use super::{Tree, TreeError};
use crate::app::Agent;
use crate::perform::reading::Reading;
use crate::restic::argv::Operation;
use crate::restic::judge::Verdict;
use crate::restic::process::StopReason;
use crate::state_dir::write_private;
use restic_manager_shared::wire::job::{Cause, CauseCode, Offer};
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep_until;

/// Nobody has asked for so long: whoever waited is gone.
const ABANDONED: Duration = Duration::from_secs(60);

/// The tree if it is there, or its making, which begins with this if need be.
pub enum Look {
    /// It is there.
    There(Tree),
    /// It is being made.
    Making(Arc<Work>),
}

/// Looks for a tree. The offer says what a job that lists the snapshot would be.
#[must_use]
pub fn look(agent: &Arc<Agent>, key: &Key, offer: &Offer) -> Look {
    if let Some(tree) = agent.trees.get(key) {
        agent.trees.forget_work(key);
        return Look::There(tree);
    }
    let (work, begins) = agent.trees.work(key);
    if begins {
        let (agent, key, offer, work) = (Arc::clone(agent), key.clone(), offer.clone(), Arc::clone(&work));
        tokio::spawn(async move {
            let made = make(&agent, &key, &offer, &work).await;
            let state = made.err().map_or(Making::Done, |verdict| Making::Failed(cause(verdict)));
            if let Making::Failed(cause) = &state {
                tracing::info!(snapshot = %key.snapshot, why = %cause.message, "a snapshot's index was not made");
            }
            work.end(state);
        });
    }
    Look::Making(work)
}

/// Waits for the tree, however long that takes.
///
/// # Errors
/// Why it cannot be made.
pub async fn wait(agent: &Arc<Agent>, key: &Key, offer: &Offer) -> Result<Tree, Cause> {
    loop {
        let work = match look(agent, key, offer) {
            Look::There(tree) => return Ok(tree),
            Look::Making(work) => work,
        };
        let mut state = work.watch();
        let again = sleep_until(work.asked() + ABANDONED / 2);
        tokio::select! {
            ended = state.wait_for(|s| *s != Making::On) => {
                let failed = match ended.as_deref() { Ok(Making::Failed(cause)) => Some(cause.clone()), Ok(_) | Err(_) => None };
                if let Some(cause) = failed {
                    agent.trees.forget_work(key);
                    return Err(cause);
                }
            }
            () = again => {}
        }
    }
}

fn cause(verdict: Verdict) -> Cause {
    let unknown = || Cause { code: CauseCode::ResticFailed, message: "restic ended and did not say why".into() };
    verdict.cause.unwrap_or_else(unknown)
}

async fn make(agent: &Arc<Agent>, key: &Key, offer: &Offer, work: &Work) -> Result<(), Verdict> {
    let disk = |e: TreeError| Verdict::failed(CauseCode::AgentDisk, e.to_string());
    let _turn = agent.trees.turn.acquire().await;
    let reading = Reading::open(agent, offer).await?;
    let path = agent.trees.unfinished(key);
    let file = write_private(&path, b"").map_err(|e| Verdict::failed(CauseCode::AgentDisk, e.to_string()));
    let file = file.and_then(|()| File::create(&path).map_err(|e| disk(e.into())))?;
    let mut growing = Growing::new(BufWriter::with_capacity(256 * 1024, file));
    let mut refused = None;
    let took = |line: &str| {
        if !line.starts_with('{') || refused.is_some() {
            return refused.is_some();
        }
        refused = growing.line(line).err();
        work.entries.store(growing.entries, Ordering::Relaxed);
        true
    };
    let ran = reading.run(Operation::Tree { snapshot: &key.snapshot }, took, abandoned(work)).await;
    let finished = match (ran, refused) {
        (Err(verdict), _) => Err(verdict),
        (Ok(_), Some(e)) => Err(disk(e)),
        (Ok(_), None) if !growing.begun => {
            Err(Verdict::failed(CauseCode::SnapshotMissing, "restic did not list the snapshot"))
        }
        (Ok(_), None) => growing.finish().map(drop).and_then(|()| agent.trees.keep(key)).map_err(disk),
    };
    if finished.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    finished
}

async fn abandoned(work: &Work) -> StopReason {
    loop {
        let until = work.asked() + ABANDONED;
        sleep_until(until).await;
        if work.asked() + ABANDONED <= until {
            return StopReason::Cancelled;
        }
    }
}
