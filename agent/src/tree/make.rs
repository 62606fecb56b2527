//! Making the tree of a snapshot with restic, or the changes between two, for as long as somebody asks for it.

use super::cache::{Kept, Key, Making, Work};
use super::changes::Noting;
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
use std::io::{BufWriter, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::sleep_until;

/// Nobody has asked for so long: whoever waited is gone.
const ABANDONED: Duration = Duration::from_secs(60);

/// What is asked for if it is there, or its making, which begins with this if need be.
pub enum Look<T> {
    /// It is there.
    There(T),
    /// It is being made.
    Making(Arc<Work>),
}

/// Looks for a tree, or for changes. The offer says what a job that lists the snapshot would be.
#[must_use]
pub fn look<T: Kept>(agent: &Arc<Agent>, key: &Key, offer: &Offer) -> Look<T> {
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

/// What takes down restic's lines.
trait Taking {
    /// Takes a line of JSON; false if it is for others.
    fn line(&mut self, line: &str) -> Result<bool, TreeError>;
    /// How much there is so far.
    fn count(&self) -> u64;
    /// Whether restic said what it was asked for.
    fn is_told(&self) -> bool;
    /// Ends it.
    fn finish(self) -> Result<(), TreeError>;
}

impl<W: Write + Seek> Taking for Growing<W> {
    fn line(&mut self, line: &str) -> Result<bool, TreeError> {
        Self::line(self, line).map(|()| true)
    }

    fn count(&self) -> u64 {
        self.entries
    }

    fn is_told(&self) -> bool {
        self.begun
    }

    fn finish(self) -> Result<(), TreeError> {
        Self::finish(self).map(drop)
    }
}

impl<W: Write> Taking for Noting<W> {
    fn line(&mut self, line: &str) -> Result<bool, TreeError> {
        Self::line(self, line)
    }

    fn count(&self) -> u64 {
        self.changes
    }

    fn is_told(&self) -> bool {
        self.ended
    }

    fn finish(self) -> Result<(), TreeError> {
        Self::finish(self)
    }
}

async fn make(agent: &Arc<Agent>, key: &Key, offer: &Offer, work: &Work) -> Result<(), Verdict> {
    let _turn = agent.trees.turn.acquire().await;
    let reading = Reading::open(agent, offer).await?;
    let path = agent.trees.unfinished(key);
    let file = write_private(&path, b"").map_err(|e| Verdict::failed(CauseCode::AgentDisk, e.to_string()));
    let file = file.and_then(|()| File::create(&path).map_err(|e| disk(e.into())))?;
    let out = BufWriter::with_capacity(256 * 1024, file);
    let taken = match &key.since {
        None => {
            let operation = Operation::Tree { snapshot: &key.snapshot };
            take(&reading, operation, Growing::new(out), work).await.map_err(Untaken::verdict)
        }
        Some(since) => note(agent, key, since, &reading, out, work).await,
    };
    let finished = taken.and_then(|()| agent.trees.keep(key).map_err(disk));
    if finished.is_err() {
        let _ = std::fs::remove_file(&path);
    }
    finished
}

/// Notes what differs. A tree that turns out damaged is forgotten, and made anew for who asks again.
async fn note(
    agent: &Agent,
    key: &Key,
    since: &str,
    reading: &Reading<'_>,
    out: BufWriter<File>,
    work: &Work,
) -> Result<(), Verdict> {
    let trees = [since, &key.snapshot].map(|snapshot| Key::tree(key.repository, snapshot));
    let [Some(older), Some(newer)] = trees.each_ref().map(|key| agent.trees.get::<Tree>(key)) else {
        return Err(Verdict::failed(CauseCode::AgentDisk, "the index of a snapshot is gone again; ask again"));
    };
    let operation = Operation::Diff { from: since, to: &key.snapshot, metadata: true };
    let taken = take(reading, operation, Noting::new(out, older, newer), work).await;
    if matches!(taken, Err(Untaken::Index(TreeError::Damaged))) {
        trees.iter().for_each(|key| agent.trees.remove(key));
    }
    taken.map_err(Untaken::verdict)
}

fn disk(e: TreeError) -> Verdict {
    Verdict::failed(CauseCode::AgentDisk, e.to_string())
}

/// Why restic's lines were not taken down to the end.
enum Untaken {
    /// restic did not tell all.
    Restic(Verdict),
    /// A file here does not play along.
    Index(TreeError),
}

impl Untaken {
    fn verdict(self) -> Verdict {
        match self {
            Self::Restic(verdict) => verdict,
            Self::Index(e) => disk(e),
        }
    }
}

/// Runs restic and takes down what it tells, to the end.
async fn take(
    reading: &Reading<'_>,
    operation: Operation<'_>,
    mut taking: impl Taking,
    work: &Work,
) -> Result<(), Untaken> {
    let mut refused = None;
    let took = |line: &str| {
        if !line.starts_with('{') || refused.is_some() {
            return refused.is_some();
        }
        let taken = taking.line(line);
        work.entries.store(taking.count(), Ordering::Relaxed);
        taken.unwrap_or_else(|e| {
            refused = Some(e);
            true
        })
    };
    let ran = reading.run(operation, took, abandoned(work)).await;
    // First: what was refused was kept from those who judge how restic ended.
    if let Some(e) = refused {
        return Err(Untaken::Index(e));
    }
    ran.map_err(Untaken::Restic)?;
    if !taking.is_told() {
        let untold = Verdict::failed(CauseCode::SnapshotMissing, "restic did not tell what is in the snapshot");
        return Err(Untaken::Restic(untold));
    }
    taking.finish().map_err(Untaken::Index)
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
