//! Repositories as a list shows them: how each is, whether hosts can delete from it, its size and savings, its last check and its locks.

use super::super::hosts::PAGE;
use super::super::names::Names;
use super::super::repositories::RepositoryRow;
use super::super::view::Badge;
use super::level_badge;
use crate::domain::health::Level;
use crate::domain::repository::Repository;
use crate::http::problem::ApiError;
use crate::service::health::{self, CredentialCounts, LockCounts};
use crate::service::names::Wanted;
use crate::service::{Services, repositories};
use crate::words::Moment;
use crate::words::repository as words;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// A repository in the list, and how it is.
#[derive(Debug, Serialize)]
pub struct RepositoryLine {
    /// The repository.
    pub repository: RepositoryRow,
    /// How it is on the whole.
    pub badge: Badge,
    /// The worst of its troubles.
    pub trouble: String,
    /// How many more troubles there are.
    pub more: usize,
    /// How many snapshots it holds.
    pub snapshots: u64,
    /// How many hosts may use it.
    pub hosts: u64,
    /// The host that maintains it.
    pub maintains: Option<String>,
    /// Whether hosts can delete from it.
    pub safe: Badge,
    /// Bytes that are stored.
    pub stored: Option<u64>,
    /// Bytes that may be stored.
    pub quota: Option<u64>,
    /// The share of that in percent.
    pub percent: Option<u64>,
    /// The colour of the share.
    pub fill: &'static str,
    /// How many times smaller by storing what is equal once.
    pub deduplication: Option<String>,
    /// How many times smaller by compressing.
    pub compression: Option<String>,
    /// When a check last found no error.
    pub checked: Option<Moment>,
    /// Its locks.
    pub locks: Badge,
    /// How many there are.
    pub lock_count: usize,
    #[serde(skip)]
    level: Level,
}

fn safe(counts: CredentialCounts) -> Badge {
    let badge = |class, icon, word, loud| Badge { class, icon, word, loud };
    match (counts.append_only, counts.full) {
        (0, 0) => badge("mute", "never", words::NO_HOST, false),
        (0, _) => badge("warn", "shield-no", words::ALL_CAN_DELETE, false),
        _ if counts.safe() => badge("ok", "shield", words::PROVEN, false),
        _ => badge("warn", "shield-no", words::NOT_PROVEN, false),
    }
}

const fn locks(counts: LockCounts) -> Badge {
    let (class, icon, word) = match counts {
        LockCounts { all: 0, seen_at: None, .. } => ("mute", "never", words::NOT_LOOKED),
        LockCounts { all: 0, .. } => ("ok", "unlock", words::NO_LOCKS),
        LockCounts { dead: 0, unknown: 0, .. } => ("run", "lock", words::LOCKS_IN_USE),
        LockCounts { unknown: 0, .. } => ("warn", "unlock", words::LOCKS_DEAD),
        _ => ("warn", "lock", words::LOCKS_UNKNOWN),
    };
    Badge { class, icon, word, loud: false }
}

const fn fill(percent: u64) -> &'static str {
    match percent {
        95.. => "bad",
        85.. => "warn",
        _ => "mute",
    }
}

async fn line(
    s: &Services,
    repository: &Repository,
    names: &mut Names,
    now: Timestamp,
) -> Result<RepositoryLine, ApiError> {
    let view = health::of_repository(s, repository.id).await?;
    let troubles = &view.health.troubles;
    let stored = view.sample.map(|s| s.raw_size);
    let percent = stored.zip(repository.quota_bytes).map(|(n, of)| n.saturating_mul(100) / of.max(1));
    let maintains = match repository.maintenance_host_id {
        Some(host) => Some(names.host(s, host).await?),
        None => None,
    };
    Ok(RepositoryLine {
        repository: RepositoryRow::new(repository, now),
        badge: level_badge(view.health.level),
        trouble: troubles.first().map(|t| crate::words::capital(&t.text)).unwrap_or_default(),
        more: troubles.len().saturating_sub(1),
        snapshots: view.snapshots,
        hosts: view.credentials.append_only + view.credentials.full,
        maintains,
        safe: safe(view.credentials),
        stored,
        quota: repository.quota_bytes,
        percent: percent.map(|p| p.min(100)),
        fill: fill(percent.unwrap_or(0)),
        deduplication: words::times(view.ratios.deduplication.or(view.ratios.both)),
        compression: words::times(view.ratios.compression),
        checked: view.checked_at.map(|at| Moment::new(at, now)),
        locks: locks(view.locks),
        lock_count: view.locks.all,
        level: view.health.level,
    })
}

/// A page of the list, the worst first, and the cursor of the next; all repositories, or those that hosts with a tag use.
///
/// # Errors
/// When the cursor is not one of ours, or the database fails.
pub async fn lines(
    s: &Services,
    tag: &str,
    cursor: Option<String>,
) -> Result<(Vec<RepositoryLine>, Option<String>), ApiError> {
    let (now, mut names) = (Timestamp::now(), Names::default());
    let listed = match tag {
        "" => repositories::list(s, cursor, PAGE).await?,
        tag => repositories::list_of_tagged(s, tag.to_owned(), cursor, PAGE).await?,
    };
    let mut wanted = Wanted::default();
    wanted.hosts.extend(listed.items.iter().filter_map(|r| r.maintenance_host_id));
    names.learn(s, wanted).await?;
    let mut lines = Vec::with_capacity(listed.items.len());
    for repository in &listed.items {
        lines.push(line(s, repository, &mut names, now).await?);
    }
    lines.sort_by_key(|line| std::cmp::Reverse(line.level));
    Ok((lines, listed.next))
}

/// What all repositories come to, or those that hosts with a tag use.
///
/// # Errors
/// When the database fails.
pub async fn summary(s: &Services, tag: &str) -> Result<String, ApiError> {
    let all = health::capacities(s, (!tag.is_empty()).then(|| tag.to_owned())).await?;
    let stored = all.iter().filter_map(|r| r.stored).reduce(u64::saturating_add);
    let safe = all.iter().filter(|r| r.credentials.safe()).count();
    Ok(words::summary(all.len(), stored, safe))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_looked_at_is_not_called_fine() {
        let counts = |append_only, proven, full| CredentialCounts { append_only, proven, full };
        for (counts, class) in
            [(counts(0, 0, 0), "mute"), (counts(0, 0, 1), "warn"), (counts(2, 1, 1), "warn"), (counts(2, 2, 1), "ok")]
        {
            assert_eq!(safe(counts).class, class, "{counts:?}");
        }
        let seen = Some(Timestamp::from_seconds(1));
        let counts = |all, dead, unknown, seen_at| LockCounts { all, dead, unknown, seen_at };
        for (counts, class) in [
            (counts(0, 0, 0, None), "mute"),
            (counts(0, 0, 0, seen), "ok"),
            (counts(1, 0, 0, seen), "run"),
            (counts(1, 1, 0, seen), "warn"),
            (counts(2, 1, 1, seen), "warn"),
        ] {
            assert_eq!(locks(counts).class, class, "{counts:?}");
        }
        assert_eq!([fill(84), fill(85), fill(95), fill(200)], ["mute", "warn", "bad", "bad"]);
    }
}
