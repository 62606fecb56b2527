//! Health of a repository: its figures over time, and everything that is not as it should be, put together from what jobs reported.

use super::findings::{Counted, gather, went_wrong};
use super::repositories::load as load_repository;
use super::{ActError, Services, locks};
use crate::domain::health::{
    AppendOnly, Full, Health, Limits, Ratios, ReadCycle, Sample, full, growth_per_day, ratios, room, thin, verdict,
};
use crate::domain::locks::Verdict;
use crate::domain::place::Place;
use crate::domain::upkeep::ChoreState;
use crate::store::credentials::Standing;
use crate::store::{Conn, credentials, repositories, snapshots, upkeep};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{DeleteVerdict, StatsMode, StatsReport};
use restic_manager_shared::wire::state::CredentialMode;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// The growth is taken from so many days.
const GROWTH_DAYS: u32 = 30;
/// Of more snapshots than this the sum of their sizes is not taken: it would hold up the writer.
const SUMMED: i64 = 20_000;
/// Chores that are shown at most.
const SHOWN: usize = 300;
/// How long a proof of what a credential can do is believed.
const PROOF_HOLDS: Duration = Duration::from_secs(3 * 24 * 3600);

/// How a repository is.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct HealthView {
    /// On the whole, and its troubles.
    #[serde(flatten)]
    pub health: Health,
    /// Snapshots that are there.
    pub snapshots: u64,
    /// Those among them that no job of ours vouches for.
    pub unattested: u64,
    /// The newest figures; none before the first count.
    pub sample: Option<Sample>,
    /// What deduplication and compression save.
    pub ratios: Ratios,
    /// Bytes that it grows a day, over the last month.
    pub growth_per_day: Option<f64>,
    /// When the quota or the disk, as far as they are known, is used up at that rate.
    pub full: Full,
    /// How much of the data was read back in this cycle, in percent.
    pub read_percent: Option<f64>,
    /// When all of it was last read.
    pub whole_at: Option<Timestamp>,
    /// When a check last found no error; where each host has a repository of its own, the one for which that is longest ago.
    pub checked_at: Option<Timestamp>,
    /// Each chore that was done, those that failed first, at most some hundreds.
    pub chores: Vec<ChoreState>,
    /// Hosts with an append-only credential, and with a full one.
    pub credentials: CredentialCounts,
    /// Its locks, as they were last seen.
    pub locks: LockCounts,
}

/// How many locks there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct LockCounts {
    /// In all.
    pub all: usize,
    /// Of processes that are gone.
    pub dead: usize,
    /// Of which nobody knows whose they are, or whether they are in use.
    pub unknown: usize,
    /// When somebody last looked; none if nobody has.
    pub seen_at: Option<Timestamp>,
}

/// How many hosts may do what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct CredentialCounts {
    /// Meant to append only.
    pub append_only: u64,
    /// Of these, proven.
    pub proven: u64,
    /// Full.
    pub full: u64,
}

/// How a repository is now.
///
/// # Errors
/// When there is no such repository.
pub async fn of_repository(s: &Services, id: RepositoryId) -> Result<HealthView, ActError> {
    let locks = locks::of_repository(s, id).await?;
    let dead = locks.items.iter().filter(|l| l.verdict.dead()).count();
    let unknown = locks.items.iter().filter(|l| matches!(l.verdict, Verdict::Unknown { .. })).count();
    let counts = LockCounts { all: locks.items.len(), dead, unknown, seen_at: locks.seen_at };
    s.db.read(move |conn| view(conn, id, counts, Timestamp::now())).await
}

fn view(conn: &mut Conn, id: RepositoryId, locks: LockCounts, now: Timestamp) -> Result<HealthView, ActError> {
    let record = load_repository(conn, id)?;
    let figures = figures(&upkeep::samples(conn, id)?, now);
    let free = figures.sample.and_then(|sample| room(record.repository.quota_bytes, &sample));
    let full = full(free, figures.growth, now);
    let chores = upkeep::chores(conn, id)?;
    let (all, unattested) = snapshots::count_of_repository(conn, id)?;
    let (append_only, credentials) = proofs(conn, id, now)?;
    let counted = Counted {
        record: &record,
        chores: &chores,
        locks: (locks.dead, locks.unknown),
        snapshots: (all, unattested),
        append_only,
        credentials,
        full_in_days: full.days(),
        sized: figures.sample.is_some(),
    };
    let findings = gather(conn, counted)?;
    let cycles: Vec<&ReadCycle> = chores.iter().filter_map(|c| c.cycle.as_ref()).collect();
    let read_percent =
        (!cycles.is_empty()).then(|| cycles.iter().map(|c| c.percent()).sum::<f64>() / cycles.len() as f64);
    let whole_at = cycles.iter().map(|c| c.completed_at).min().flatten();
    Ok(HealthView {
        health: verdict(&findings, Limits::default(), now),
        snapshots: u64::try_from(all).unwrap_or(0),
        unattested: u64::try_from(unattested).unwrap_or(0),
        ratios: figures.sample.as_ref().map(ratios).unwrap_or_default(),
        sample: figures.sample,
        growth_per_day: figures.growth,
        full,
        read_percent,
        whole_at,
        checked_at: findings.checked_at,
        chores: shown(chores),
        credentials,
        locks,
    })
}

/// Those that a person wants to see first.
fn shown(mut chores: Vec<ChoreState>) -> Vec<ChoreState> {
    chores.sort_by_key(|c| (!c.last_state.is_some_and(went_wrong), c.chore, c.of_host_id));
    chores.truncate(SHOWN);
    chores
}

/// The figures of all places of a repository together.
#[derive(Default)]
struct Figures {
    sample: Option<Sample>,
    growth: Option<f64>,
}

fn figures(samples: &[(Place, Sample)], now: Timestamp) -> Figures {
    let mut places: BTreeMap<Place, Vec<Sample>> = BTreeMap::new();
    for (place, sample) in samples {
        places.entry(*place).or_default().push(*sample);
    }
    let mut sum = Figures::default();
    for history in places.values() {
        let growth = growth_per_day(history, GROWTH_DAYS, now);
        sum.growth = match (sum.growth, growth) {
            (Some(a), Some(b)) => Some(a + b),
            (known, other) => known.or(other),
        };
        sum.sample = match (sum.sample, history.last()) {
            (Some(all), Some(one)) => Some(together(all, *one)),
            (known, other) => known.or(other.copied()),
        };
    }
    sum
}

fn together(a: Sample, b: Sample) -> Sample {
    let both = |a: Option<u64>, b: Option<u64>| a.zip(b).map(|(a, b)| a.saturating_add(b));
    Sample {
        at: a.at.max(b.at),
        raw_size: a.raw_size.saturating_add(b.raw_size),
        uncompressed_size: both(a.uncompressed_size, b.uncompressed_size),
        restore_size: both(a.restore_size, b.restore_size),
        snapshots: a.snapshots.saturating_add(b.snapshots),
        // They may be on one disk or on several: the fullest counts.
        free: a.free.into_iter().chain(b.free).min(),
    }
}

/// What a proof of an append-only credential says, if there is one that counts.
const fn proven(proof: Option<DeleteVerdict>) -> AppendOnly {
    match proof {
        Some(DeleteVerdict::AppendOnly) => AppendOnly::Proven,
        Some(DeleteVerdict::CanDelete) => AppendOnly::CanDelete,
        Some(DeleteVerdict::CannotTell) => AppendOnly::CannotTell,
        None => AppendOnly::NotProbed,
    }
}

impl CredentialCounts {
    const fn add(&mut self, standing: &Standing) {
        match standing.mode {
            CredentialMode::Full => self.full += standing.count,
            CredentialMode::AppendOnly => {
                self.append_only += standing.count;
                if matches!(standing.proof, Some(DeleteVerdict::AppendOnly)) {
                    self.proven += standing.count;
                }
            }
        }
    }

    /// Whether no host that backs up can delete, as far as was proven lately.
    #[must_use]
    pub const fn safe(&self) -> bool {
        self.append_only > 0 && self.proven == self.append_only
    }
}

/// What is said of each append-only credential that is not proven to be so, by the host's name, and how many there are of each kind.
fn proofs(
    conn: &mut Conn,
    id: RepositoryId,
    now: Timestamp,
) -> Result<(Vec<(String, AppendOnly)>, CredentialCounts), ActError> {
    let since = now - PROOF_HOLDS;
    let mut counts = CredentialCounts::default();
    for standing in credentials::standings(conn, &[id], since)? {
        counts.add(&standing);
    }
    if counts.append_only == counts.proven {
        return Ok((vec![], counts));
    }
    let doubtful = credentials::not_append_only(conn, id, since)?;
    Ok((doubtful.into_iter().map(|(host, proof)| (host, proven(proof))).collect(), counts))
}

/// A repository among all of them: how full it is, and whether its backups can be deleted from hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// Which.
    pub id: RepositoryId,
    /// Its name.
    pub name: String,
    /// Bytes that are stored, as they were last counted.
    pub stored: Option<u64>,
    /// Bytes that may be stored.
    pub quota: Option<u64>,
    /// Bytes by which it grows a day.
    pub growth_per_day: Option<i64>,
    /// Who may do what.
    pub credentials: CredentialCounts,
}

/// How full all repositories are, or those that hosts with a tag use, by name. Takes what is kept of each place, not their histories.
///
/// # Errors
/// When the database fails.
pub async fn capacities(s: &Services, tag: Option<String>) -> Result<Vec<Capacity>, ActError> {
    let now = Timestamp::now();
    s.db.read(move |conn| {
        let mut sizes: HashMap<RepositoryId, (u64, Option<i64>)> = HashMap::new();
        for size in upkeep::place_sizes(conn)? {
            let (bytes, growth) = sizes.entry(size.repository).or_default();
            *bytes = bytes.saturating_add(size.bytes);
            *growth = growth.map_or(size.growth_per_day, |sum| Some(sum + size.growth_per_day.unwrap_or(0)));
        }
        let mut counts: HashMap<RepositoryId, CredentialCounts> = HashMap::new();
        let mut all = repositories::limits(conn)?;
        if let Some(tag) = &tag {
            let theirs = credentials::repositories_of_tagged(conn, tag)?;
            all.retain(|(id, ..)| theirs.contains(id));
        }
        let ids: Vec<RepositoryId> = all.iter().map(|(id, ..)| *id).collect();
        for standing in credentials::standings(conn, &ids, now - PROOF_HOLDS)? {
            counts.entry(standing.repository_id).or_default().add(&standing);
        }
        let all = all.into_iter().map(|(id, name, quota)| {
            let size = sizes.get(&id);
            Capacity {
                id,
                name,
                stored: size.map(|(bytes, _)| *bytes),
                quota,
                growth_per_day: size.and_then(|(_, growth)| *growth),
                credentials: counts.get(&id).copied().unwrap_or_default(),
            }
        });
        Ok(all.collect())
    })
    .await
}

/// A repository's figures over time, oldest first. Where each host has a repository of its own, what was counted on one day is summed.
///
/// # Errors
/// When there is no such repository.
pub async fn history(s: &Services, id: RepositoryId) -> Result<Vec<Sample>, ActError> {
    let samples =
        s.db.read(move |conn| {
            load_repository(conn, id)?;
            Ok::<_, ActError>(upkeep::samples(conn, id)?)
        })
        .await?;
    if samples.iter().all(|(place, _)| place.host.is_none()) {
        return Ok(samples.into_iter().map(|(_, sample)| sample).collect());
    }
    let mut days: BTreeMap<i64, BTreeMap<Place, Sample>> = BTreeMap::new();
    for (place, sample) in samples {
        days.entry(sample.at.seconds().div_euclid(86_400)).or_default().insert(place, sample);
    }
    Ok(days.into_values().filter_map(|day| day.into_values().reduce(together)).collect())
}

/// Keeps what was counted, and thins what is old.
pub(super) fn counted(conn: &mut Conn, place: Place, stats: &StatsReport, now: Timestamp) -> Result<(), ActError> {
    if stats.mode != StatsMode::RawData {
        return Ok(());
    }
    let counts = snapshots::count_by_place(conn, place.repository)?;
    let count = counts.iter().find(|(at, _)| *at == place).map_or(0, |(_, count)| *count);
    let restore_size = if count <= SUMMED { snapshots::total_size(conn, place)? } else { None };
    let sample = Sample {
        at: now,
        raw_size: stats.total_size,
        uncompressed_size: stats.total_uncompressed_size,
        restore_size,
        snapshots: stats.snapshots_count.unwrap_or_else(|| u64::try_from(count).unwrap_or(0)),
        free: stats.storage_free,
    };
    upkeep::put_sample(conn, place, &sample)?;
    let history = upkeep::samples_of_place(conn, place)?;
    let growth = growth_per_day(&history, GROWTH_DAYS, now);
    upkeep::put_size(conn, place, &sample, growth)?;
    let at: Vec<Timestamp> = history.iter().map(|s| s.at).collect();
    let stays = thin(&at, now);
    let goes: Vec<Timestamp> = at.iter().zip(stays).filter(|(_, stays)| !stays).map(|(at, _)| *at).collect();
    Ok(upkeep::drop_samples(conn, place, &goes)?)
}
