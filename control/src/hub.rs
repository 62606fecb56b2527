//! Wake-ups in memory: who waits for a host's or a job's next change is told to look again. A wake-up is a hint, never the truth: a
//! waiter registers its interest first, then looks, then waits, and looks again at the end whatever happened.

use restic_manager_shared::id::{HostId, JobId};
use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use tokio::sync::Notify;

/// Waiters by subject. Holds an entry only while somebody waits.
#[derive(Debug)]
pub struct Wakes<K: Eq + Hash + Copy + Display> {
    waiting: Mutex<HashMap<K, Arc<Notify>>>,
    /// What this is called among servers that share a database, and where it is passed on to them.
    elsewhere: OnceLock<(&'static str, Sender<String>)>,
}

impl<K: Eq + Hash + Copy + Display> Default for Wakes<K> {
    fn default() -> Self {
        Self { waiting: Mutex::new(HashMap::new()), elsewhere: OnceLock::new() }
    }
}

impl<K: Eq + Hash + Copy + Display> Wakes<K> {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<K, Arc<Notify>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A ticket to wait with. Take it before looking.
    pub fn ticket(&self, key: K) -> Ticket<'_, K> {
        let notify = Arc::clone(self.map().entry(key).or_default());
        Ticket { wakes: self, key, notify }
    }

    /// Tells all who wait for it to look again, also at other servers.
    pub fn wake(&self, key: K) {
        self.wake_here(key);
        if let Some((name, servers)) = self.elsewhere.get() {
            let _ = servers.send(format!("{name} {key}"));
        }
    }

    /// Tells those who wait at this server.
    fn wake_here(&self, key: K) {
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
pub struct Ticket<'a, K: Eq + Hash + Copy + Display> {
    wakes: &'a Wakes<K>,
    key: K,
    notify: Arc<Notify>,
}

impl<K: Eq + Hash + Copy + Display> Ticket<'_, K> {
    /// The next wake-up. Pin it and call `enable()` before looking, or one that comes in between is lost.
    pub fn next(&self) -> tokio::sync::futures::Notified<'_> {
        self.notify.notified()
    }
}

impl<K: Eq + Hash + Copy + Display> Drop for Ticket<'_, K> {
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

impl Hub {
    /// From now on what wakes here is to be passed on to other servers: this is where it comes out. Once is enough.
    pub fn passed_on(&self) -> Receiver<String> {
        let (words, passed_on) = channel();
        let _ = self.hosts.elsewhere.set(("host", words.clone()));
        let _ = self.jobs.elsewhere.set(("job", words));
        passed_on
    }

    /// Another server has passed this on. What does not read is another version's.
    pub fn heard(&self, word: &str) {
        match word.split_once(' ') {
            Some(("host", id)) => drop(id.parse().map(|id| self.hosts.wake_here(id))),
            Some(("job", id)) => drop(id.parse().map(|id| self.jobs.wake_here(id))),
            _ => {}
        }
    }
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

    #[tokio::test]
    async fn what_wakes_here_wakes_at_another_server_and_is_not_passed_back() {
        let (here, there) = (Hub::default(), Hub::default());
        let (passed_on, back) = (here.passed_on(), there.passed_on());
        let (host, job) = (HostId::new(), JobId::new());
        let (host_ticket, job_ticket) = (there.hosts.ticket(host), there.jobs.ticket(job));
        let (mut of_host, mut of_job) = (std::pin::pin!(host_ticket.next()), std::pin::pin!(job_ticket.next()));
        of_host.as_mut().enable();
        of_job.as_mut().enable();
        here.hosts.wake(host);
        here.jobs.wake(job);
        passed_on.try_iter().for_each(|word| there.heard(&word));
        tokio::join!(of_host, of_job);
        ["", "host", "host x", "moon 1"].into_iter().for_each(|word| there.heard(word));
        assert_eq!(back.try_iter().count(), 0);
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
