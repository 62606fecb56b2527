//! Who was heard from and when, in memory. A poll that says nothing new writes nothing: this is written back in groups.

use crate::store::hosts::Seen;
use restic_manager_shared::id::{HostId, InstanceId, JobId};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an agent has to act on a cancel before it is told again.
const TELL_AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug)]
struct Entry {
    seen: Seen,
    dirty: bool,
    instance: InstanceId,
    parked: u32,
    told: HashMap<JobId, Instant>,
}

/// Who was heard from.
#[derive(Debug, Default)]
pub struct Presence {
    hosts: Mutex<HashMap<HostId, Entry>>,
}

/// A poll that is being held. While it lives, another agent with the same key shows.
#[derive(Debug)]
pub struct Parked<'a> {
    presence: &'a Presence,
    host: HostId,
    instance: InstanceId,
}

impl Presence {
    fn map(&self) -> MutexGuard<'_, HashMap<HostId, Entry>> {
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A poll has come. The second value says that another agent process polls as the same host right now.
    pub fn arrive(&self, host: HostId, instance: InstanceId, seen: Seen) -> (Parked<'_>, bool) {
        let mut map = self.map();
        let entry = map.entry(host).or_insert_with(|| Entry {
            seen: Seen { agent_is_news: true, ..seen.clone() },
            dirty: true,
            instance,
            parked: 0,
            told: HashMap::new(),
        });
        let other = entry.instance != instance && entry.parked > 0;
        if entry.instance != instance {
            (entry.instance, entry.parked) = (instance, 0);
            entry.told.clear();
        }
        let same = entry.seen.agent_version == seen.agent_version && entry.seen.update == seen.update;
        let agent_is_news = entry.seen.agent_is_news || !same;
        entry.seen = Seen { agent_is_news, ..seen };
        entry.dirty = true;
        entry.parked += 1;
        (Parked { presence: self, host, instance }, other)
    }

    /// What is known of a host.
    pub fn get(&self, host: HostId) -> Option<Seen> {
        self.map().get(&host).map(|e| e.seen.clone())
    }

    /// When each host was last heard from.
    pub fn all_seen(&self) -> HashMap<HostId, restic_manager_shared::time::Timestamp> {
        self.map().iter().map(|(id, entry)| (*id, entry.seen.at)).collect()
    }

    /// A sign of life other than a poll.
    pub fn touch(&self, host: HostId, now: restic_manager_shared::time::Timestamp) {
        if let Some(entry) = self.map().get_mut(&host) {
            entry.seen.at = entry.seen.at.max(now);
            entry.dirty = true;
        }
    }

    /// Whether the agent should be told now to stop the job; not again for a while after it was.
    #[allow(clippy::disallowed_methods)] // a wait that is measured; no rule depends on this clock
    pub fn tell_cancel(&self, host: HostId, job: JobId) -> bool {
        let mut map = self.map();
        let Some(entry) = map.get_mut(&host) else { return true };
        entry.told.retain(|_, at| at.elapsed() < TELL_AGAIN);
        if entry.told.contains_key(&job) {
            return false;
        }
        entry.told.insert(job, Instant::now());
        true
    }

    /// What has to be written back since the last time.
    pub fn take_dirty(&self) -> Vec<(HostId, Seen)> {
        self.map()
            .iter_mut()
            .filter_map(|(id, e)| {
                std::mem::take(&mut e.dirty).then(|| {
                    let seen = e.seen.clone();
                    e.seen.agent_is_news = false;
                    (*id, seen)
                })
            })
            .collect()
    }

    /// Forgets a host.
    pub fn forget(&self, host: HostId) {
        self.map().remove(&host);
    }
}

impl Parked<'_> {
    /// Whether another agent process has taken this one's place.
    pub fn superseded(&self) -> bool {
        self.presence.map().get(&self.host).is_some_and(|e| e.instance != self.instance)
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        let mut map = self.presence.map();
        if let Some(entry) = map.get_mut(&self.host)
            && entry.instance == self.instance
        {
            entry.parked = entry.parked.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::time::Timestamp;

    fn seen(at: i64) -> Seen {
        Seen {
            at: Timestamp::from_seconds(at),
            held_version: 1,
            agent_version: "1".into(),
            restic_version: None,
            hooks: None,
            update: None,
            agent_is_news: false,
        }
    }

    #[test]
    fn two_agents_with_one_key_show_but_a_restarted_one_does_not() {
        let presence = Presence::default();
        let (host, a, b) = (HostId::new(), InstanceId::new(), InstanceId::new());
        let (first, other) = presence.arrive(host, a, seen(1));
        assert!(!other && !first.superseded());
        let (second, other) = presence.arrive(host, b, seen(2));
        assert!(other && first.superseded() && !second.superseded());
        drop((first, second));
        assert!(!presence.arrive(host, a, seen(3)).1);
    }

    #[test]
    fn only_what_changed_is_written_back() {
        let presence = Presence::default();
        let host = HostId::new();
        drop(presence.arrive(host, InstanceId::new(), seen(1)));
        assert_eq!(presence.take_dirty().len(), 1);
        assert!(presence.take_dirty().is_empty());
        presence.touch(host, Timestamp::from_seconds(9));
        assert_eq!(presence.take_dirty()[0].1.at, Timestamp::from_seconds(9));
    }

    #[test]
    fn a_cancel_is_not_repeated_at_once() {
        let presence = Presence::default();
        let (host, job) = (HostId::new(), JobId::new());
        drop(presence.arrive(host, InstanceId::new(), seen(1)));
        assert!(presence.tell_cancel(host, job));
        assert!(!presence.tell_cancel(host, job));
        assert!(presence.tell_cancel(host, JobId::new()));
    }
}
