//! Wake-ups in memory: who waits for a host's or a job's next change is told to look again. A wake-up is a hint, never the truth: a
//! waiter registers its interest first, then looks, then waits, and looks again at the end whatever happened.

use restic_manager_shared::id::{HostId, JobId};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// Waiters by subject. Holds an entry only while somebody waits.
#[derive(Debug)]
pub struct Wakes<K: Eq + Hash + Copy> {
    waiting: Mutex<HashMap<K, Arc<Notify>>>,
}

impl<K: Eq + Hash + Copy> Default for Wakes<K> {
    fn default() -> Self {
        Self { waiting: Mutex::new(HashMap::new()) }
    }
}

impl<K: Eq + Hash + Copy> Wakes<K> {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<K, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket to wait with. Take it before looking.
    pub fn ticket(&self, key: K) -> Ticket<'_, K> {
        let notify = Arc::clone(self.map().entry(key).or_default());
        Ticket { wakes: self, key, notify }
    }

    /// Tells all who wait for it to look again.
    pub fn wake(&self, key: K) {
        if let Some(notify) = self.map().get(&key) {
            notify.notify_waiters();
        }
    }

    /// How many subjects are waited for.
    pub fn len(&self) -> usize {
        self.map().len()
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.map().is_empty()
    }
}

/// The right to be woken.
#[derive(Debug)]
pub struct Ticket<'a, K: Eq + Hash + Copy> {
    wakes: &'a Wakes<K>,
    key: K,
    notify: Arc<Notify>,
}

impl<K: Eq + Hash + Copy> Ticket<'_, K> {
    /// The next wake-up. Pin it and call `enable()` before looking, or one that comes in between is lost.
    pub fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl<K: Eq + Hash + Copy> Drop for Ticket<'_, K> {
    fn drop(&mut self) {
        let mut map = self.wakes.map();
        // The map's and this one: nobody else waits.
        if Arc::strong_count(&self.notify) == 2 {
            map.remove(&self.key);
        }
    }
}

/// All wake-ups of this process.
#[derive(Debug, Default)]
pub struct Hub {
    /// Something a host should know has changed.
    pub hosts: Wakes<HostId>,
    /// A job has moved on.
    pub jobs: Wakes<JobId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wake_between_registering_and_waiting_is_not_lost() {
        let wakes = Wakes::<u8>::default();
        let ticket = wakes.ticket(1);
        let mut next = std::pin::pin!(ticket.next());
        next.as_mut().enable();
        wakes.wake(1);
        next.await;
    }

    #[test]
    fn nothing_is_kept_when_nobody_waits() {
        let wakes = Wakes::<u8>::default();
        let (a, b) = (wakes.ticket(1), wakes.ticket(1));
        assert_eq!(wakes.len(), 1);
        drop(a);
        assert_eq!(wakes.len(), 1);
        drop(b);
        assert!(wakes.is_empty());
        wakes.wake(1);
    }
}
