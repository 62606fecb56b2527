//! Finds: restic looks for the versions of one path in snapshots that have no index here. That may take longer than anybody waits for one
//! answer, so it goes on by itself, and who asks again gets what it found. Snapshots never change, so what was found stays true.

use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::job::Cause;
use restic_manager_shared::wire::operation::Entry;
use std::collections::HashSet;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;

/// Finds that are kept, those that go on too; the oldest that has ended goes.
const KEPT: usize = 16;

/// What is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The repository.
    pub repository: RepositoryId,
    /// Its address, where it is not the host's own.
    pub url: Option<String>,
    /// The path.
    pub path: String,
    /// The snapshots without an index.
    pub snapshots: Vec<String>,
}

impl Wanted {
    /// Whether what was found for this also answers another: the same path, in snapshots that were all looked at.
    fn answers(&self, other: &Self) -> bool {
        let looked: HashSet<&String> = self.snapshots.iter().collect();
        (self.repository, &self.url, &self.path) == (other.repository, &other.url, &other.path)
            && other.snapshots.iter().all(|s| looked.contains(s))
    }
}

/// How far a find is.
#[derive(Clone, Debug)]
enum State {
    On,
    Found(Arc<Vec<Entry>>),
    Failed(Cause),
}

#[derive(Debug)]
struct Find {
    wanted: Wanted,
    state: watch::Receiver<State>,
}

/// The finds of an agent, the oldest first.
#[derive(Debug, Default)]
pub struct Finds(Mutex<Vec<Find>>);

impl Finds {
    /// What is there of it, after waiting so long at most; nothing if that goes on still. `begin` is called if nobody looks for it yet. A
    /// failure is told once: who asks again has it tried again.
    ///
    /// # Errors
    /// Why it cannot be found.
    pub async fn look<F>(
        &self,
        wanted: Wanted,
        patience: Duration,
        begin: impl FnOnce(Wanted) -> F,
    ) -> Result<Option<Arc<Vec<Entry>>>, Cause>
    where
        F: Future<Output = Result<Vec<Entry>, Cause>> + Send + 'static,
    {
        let mut state = self.join(wanted.clone(), begin);
        let ended = match timeout(patience, state.wait_for(|s| !matches!(s, State::On))).await {
            Ok(Ok(state)) => state.clone(),
            // Its task is gone without a word: as if it had never begun.
            Ok(Err(_)) => {
                self.forget(&wanted);
                State::On
            }
            Err(_) => State::On,
        };
        match ended {
            State::On => Ok(None),
            State::Found(entries) => Ok(Some(entries)),
            State::Failed(cause) => {
                self.forget(&wanted);
                Err(cause)
            }
        }
    }

    fn join<F>(&self, wanted: Wanted, begin: impl FnOnce(Wanted) -> F) -> watch::Receiver<State>
    where
        F: Future<Output = Result<Vec<Entry>, Cause>> + Send + 'static,
    {
        let mut finds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(find) = finds.iter().find(|find| find.wanted.answers(&wanted)) {
            return find.state.clone();
        }
        if finds.len() >= KEPT {
            let ended = finds.iter().position(|find| !matches!(*find.state.borrow(), State::On));
            finds.remove(ended.unwrap_or(0));
        }
        let (told, state) = watch::channel(State::On);
        finds.push(Find { wanted: wanted.clone(), state: state.clone() });
        let work = begin(wanted);
        tokio::spawn(async move {
            let ended = work.await.map_or_else(State::Failed, |entries| State::Found(Arc::new(entries)));
            told.send_replace(ended);
        });
        state
    }

    fn forget(&self, wanted: &Wanted) {
        let mut finds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        finds.retain(|find| !find.wanted.answers(wanted) || matches!(*find.state.borrow(), State::Found(_)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::wire::job::CauseCode;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::oneshot;

    fn wanted(path: &str, snapshots: &[&str]) -> Wanted {
        let snapshots = snapshots.iter().map(|s| (*s).to_owned()).collect();
        Wanted { repository: RepositoryId(uuid::Uuid::nil()), url: None, path: path.into(), snapshots }
    }

    const SHORT: Duration = Duration::from_millis(10);
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn who_asks_again_gets_what_was_found_and_it_is_looked_for_once() {
        let finds = Finds::default();
        let begun = AtomicUsize::new(0);
        let (end, ends) = oneshot::channel::<()>();
        let slow = |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            async {
                ends.await.expect("ended");
                Ok(vec![])
            }
        };
        let never = |_| {
            begun.fetch_add(1, Ordering::Relaxed);
            async { Ok(vec![]) }
        };
        assert_eq!(finds.look(wanted("/a", &["1", "2"]), SHORT, slow).await, Ok(None), "it goes on");
        // Fewer snapshots are left when others have an index by now.
        assert_eq!(finds.look(wanted("/a", &["2"]), SHORT, never).await, Ok(None));
        end.send(()).expect("somebody waits");
        assert_eq!(finds.look(wanted("/a", &["1", "2"]), LONG, never).await, Ok(Some(Arc::new(vec![]))));
        assert_eq!(begun.load(Ordering::Relaxed), 1);
        for (path, snapshots) in [("/b", &["1"][..]), ("/a", &["1", "3"])] {
            finds.look(wanted(path, snapshots), LONG, never).await.expect("found");
        }
        assert_eq!(begun.load(Ordering::Relaxed), 3, "another path, and a snapshot that was not looked at");
    }

    #[tokio::test]
    async fn a_failure_is_told_once_and_only_so_many_are_kept() {
        let finds = Finds::default();
        let fails = |_| async { Err(Cause { code: CauseCode::RepositoryUnreachable, message: "x".into() }) };
        assert!(finds.look(wanted("/a", &["1"]), LONG, fails).await.is_err());
        assert!(finds.look(wanted("/a", &["1"]), LONG, |_| async { Ok(vec![]) }).await.is_ok());
        for n in 0..3 * KEPT {
            finds.look(wanted(&n.to_string(), &["1"]), LONG, |_| async { Ok(vec![]) }).await.expect("found");
        }
        assert_eq!(finds.0.lock().expect("whole").len(), KEPT);
    }
}
