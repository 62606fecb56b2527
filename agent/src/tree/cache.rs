//! Which trees there are on disk: by repository and snapshot, least recently used out, and which are being made.

use super::changes::Changes;
use super::{Tree, TreeError};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::job::Cause;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

/// How many bytes all trees may take.
const ROOM: u64 = 1024 * 1024 * 1024;
/// A failure is told to those who asked so short a time ago.
const STALE: Duration = Duration::from_secs(30);
/// The end of a finished file's name.
const FINISHED: &str = "tree";

/// Which tree, or which changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The repository.
    pub repository: RepositoryId,
    /// The whole snapshot id, which was looked at to be one.
    pub snapshot: String,
    /// For changes: the older snapshot's.
    pub since: Option<String>,
}

impl Key {
    /// A snapshot's tree.
    #[must_use]
    pub fn tree(repository: RepositoryId, snapshot: &str) -> Self {
        Self { repository, snapshot: snapshot.to_owned(), since: None }
    }

    /// What differs between two snapshots.
    #[must_use]
    pub fn changes(repository: RepositoryId, since: &str, snapshot: &str) -> Self {
        Self { since: Some(since.to_owned()), ..Self::tree(repository, snapshot) }
    }
}

/// What is kept: a tree, or changes.
pub trait Kept: Sized {
    /// Opens a finished file.
    ///
    /// # Errors
    /// [`TreeError::Damaged`] if it is none.
    fn open(path: &Path) -> Result<Self, TreeError>;
}

impl Kept for Tree {
    fn open(path: &Path) -> Result<Self, TreeError> {
        Self::open(path)
    }
}

impl Kept for Changes {
    fn open(path: &Path) -> Result<Self, TreeError> {
        Self::open(path)
    }
}

/// How far a tree is that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Making {
    /// It goes on.
    On,
    /// It is there.
    Done,
    /// It was not to be.
    Failed(Cause),
}

/// A tree that is being made.
#[derive(Debug)]
pub struct Work {
    /// Files and folders so far.
    pub entries: AtomicU64,
    /// When somebody asked last.
    asked: Mutex<Instant>,
    state: watch::Sender<Making>,
}

impl Work {
    /// When somebody asked last.
    #[must_use]
    pub fn asked(&self) -> Instant {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches for the end.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<Making> {
        self.state.subscribe()
    }

    /// It has ended.
    pub fn end(&self, state: Making) {
        self.state.send_replace(state);
    }
}

/// The trees of an agent.
#[derive(Debug)]
pub struct Trees {
    dir: PathBuf,
    room: u64,
    works: Mutex<HashMap<Key, Arc<Work>>>,
    /// One is made at a time: it costs what a listing of restic costs.
    pub turn: Semaphore,
}

impl Trees {
    /// In a folder that is made if need be. What was not finished is removed.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub fn open(dir: PathBuf) -> Result<Self, crate::state_dir::StateError> {
        Self::with_room(dir, ROOM)
    }

    fn with_room(dir: PathBuf, room: u64) -> Result<Self, crate::state_dir::StateError> {
        crate::state_dir::make_private_dir(&dir)?;
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            if entry.path().extension().is_none_or(|e| e != FINISHED) {
                let _ = fs::remove_file(entry.path());
            }
        }
        Ok(Self { dir, room, works: Mutex::default(), turn: Semaphore::new(1) })
    }

    fn file(&self, key: &Key) -> PathBuf {
        let since = key.since.as_ref().map_or_else(String::new, |since| format!("{since}-"));
        self.dir.join(format!("{}-{since}{}.{FINISHED}", key.repository, key.snapshot))
    }

    /// Where a tree is written before it is finished.
    #[must_use]
    pub fn unfinished(&self, key: &Key) -> PathBuf {
        self.file(key).with_extension("new")
    }

    /// Opens what is there. What is damaged is removed, and counts as not there.
    #[must_use]
    pub fn get<T: Kept>(&self, key: &Key) -> Option<T> {
        let path = self.file(key);
        match T::open(&path) {
            Ok(tree) => {
                touch(&path);
                Some(tree)
            }
            Err(TreeError::Io(e)) if e.kind() == std::io::ErrorKind::NotFound => None,
            Err(e) => {
                tracing::warn!(path = %path.display(), error = %e, "a snapshot's index is made anew");
                self.remove(key);
                None
            }
        }
    }

    /// Forgets a tree.
    pub fn remove(&self, key: &Key) {
        let _ = fs::remove_file(self.file(key));
    }

    /// Takes in a tree that is written, and makes room.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep(&self, key: &Key) -> Result<(), TreeError> {
        let path = self.file(key);
        fs::rename(self.unfinished(key), &path)?;
        self.make_room(&path);
        Ok(())
    }

    fn make_room(&self, newest: &Path) {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(&self.dir)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|e| {
                let meta = e.metadata().ok()?;
                Some((meta.modified().ok()?, meta.len(), e.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files.iter().filter(|(_, _, path)| path != newest) {
            if total <= self.room {
                return;
            }
            if fs::remove_file(path).is_ok() {
                total -= size;
            }
        }
    }

    /// The making of a tree, and whether it begins with this. A failed one is given once, and then forgotten: who asks again tries again.
    #[must_use]
    pub fn work(&self, key: &Key) -> (Arc<Work>, bool) {
        let mut works = self.works.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(work) = works.get(key).filter(|w| w.counts()) {
            let work = Arc::clone(work);
            *work.asked.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            return (work, false);
        }
        let state = watch::Sender::new(Making::On);
        let work = Arc::new(Work { entries: AtomicU64::new(0), asked: Mutex::new(Instant::now()), state });
        works.insert(key.clone(), Arc::clone(&work));
        (work, true)
    }

    /// The making has ended and was heard of.
    pub fn forget_work(&self, key: &Key) {
        self.works.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

impl Work {
    /// Whether who asks now hears of it: one that goes on, or has just failed. A finished one whose tree is gone, and a failure that
    /// nobody heard of in time, are begun anew.
    fn counts(&self) -> bool {
        match &*self.state.borrow() {
            Making::On => true,
            Making::Done => false,
            Making::Failed(_) => self.asked().elapsed() < STALE,
        }
    }

    /// Files and folders so far.
    #[must_use]
    pub fn so_far(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }
}

/// Its time says when it was last used.
fn touch(path: &Path) {
    let file = fs::File::options().append(true).open(path);
    // The time of the file system's own clock; nothing is decided by it but what goes first.
    let touched = file.and_then(|f| f.set_modified(restic_manager_shared::time::Timestamp::now().to_utc().into()));
    if let Err(e) = touched {
        tracing::debug!(path = %path.display(), error = %e, "cannot note that an index was used");
    }
}

#[cfg(test)]
mod tests {
    use super::super::grow::Growing;
    use super::*;

    fn key(n: u8) -> Key {
        Key::tree(RepositoryId(uuid::Uuid::nil()), &format!("{n:064x}"))
    }

    fn grow(trees: &Trees, key: &Key) {
        let mut growing = Growing::new(fs::File::create(trees.unfinished(key)).expect("creates"));
        for n in 0..100 {
            let line = format!(r#"{{"struct_type":"node","type":"file","path":"/file {n}","size":1}}"#);
            growing.line(&line).expect("takes");
        }
        growing.finish().expect("finishes");
        trees.keep(key).expect("keeps");
    }

    #[test]
    fn the_least_recently_used_go_first_and_unfinished_ones_at_the_start() {
        let tmp = tempfile::tempdir().expect("dir");
        let trees = Trees::with_room(tmp.path().into(), u64::MAX).expect("opens");
        grow(&trees, &key(1));
        let size = fs::metadata(trees.file(&key(1))).expect("there").len();
        let trees = Trees::with_room(tmp.path().into(), 2 * size).expect("opens");
        grow(&trees, &key(2));
        let old = |n: u8, seconds: u64| {
            let file = fs::File::options().append(true).open(trees.file(&key(n))).expect("opens");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).expect("sets");
        };
        old(1, 10);
        old(2, 20);
        assert!(trees.get::<Tree>(&key(1)).is_some(), "used now, so it stays");
        grow(&trees, &key(3));
        assert!(
            trees.get::<Tree>(&key(1)).is_some()
                && trees.get::<Tree>(&key(2)).is_none()
                && trees.get::<Tree>(&key(3)).is_some()
        );
        fs::write(trees.unfinished(&key(4)), "half").expect("writes");
        fs::write(trees.file(&key(3)), "damaged").expect("writes");
        let trees = Trees::with_room(tmp.path().into(), u64::MAX).expect("opens");
        assert!(!trees.unfinished(&key(4)).exists());
        assert!(trees.get::<Tree>(&key(3)).is_none() && !trees.file(&key(3)).exists(), "what is damaged is removed");
        assert!(trees.get::<Tree>(&key(1)).is_some(), "and the others outlive a restart");
    }
}
