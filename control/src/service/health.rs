//! Health of a repository: its figures over time, and everything that is not as it should be, put together from what jobs reported.

use super::repositories::load as load_repository;
use super::{ActError, Services, locks};
use crate::domain::health::{
    AppendOnly, Findings, Full, Health, Limits, Ratios, ReadCycle, Sample, full, growth_per_day, ratios, thin, verdict,
};
use crate::domain::locks::Verdict;
use crate::domain::upkeep::{Chore, ChoreState};
use crate::store::{Conn, credentials, hosts, snapshots, upkeep};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{DeleteVerdict, StatsMode, StatsReport};
use restic_manager_shared::wire::state::CredentialMode;
use serde::Serialize;
use std::time::Duration;

/// The growth is taken from so many days.
const GROWTH_DAYS: u32 = 30;
/// Of more snapshots than this the sum of their sizes is not taken: it would hold up the writer.
const SUMMED: i64 = 20_000;
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
    /// When the quota is used up at that rate.
    pub full: Full,
    /// How far the data is read back in this cycle.
    pub cycle: Option<ReadCycle>,
    /// The same in percent.
    pub read_percent: Option<f64>,
    /// When a check last found no error.
    pub checked_at: Option<Timestamp>,
    /// Each chore that was done.
    pub chores: Vec<ChoreState>,
    /// Hosts with an append-only credential, and with a full one.
    pub credentials: CredentialCounts,
}

/// How many hosts may do what.
#[derive(Clone, Copy, Debug, Default, Serialize, utoipa::ToSchema)]
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
    s.db.read(move |conn| view(conn, id, (dead, unknown), Timestamp::now())).await
}

fn view(
    conn: &mut Conn,
    id: RepositoryId,
    (dead_locks, unknown_locks): (usize, usize),
    now: Timestamp,
) -> Result<HealthView, ActError> {
    let record = load_repository(conn, id)?;
    let samples = upkeep::samples(conn, id)?;
    let sample = samples.last().copied();
    let growth = growth_per_day(&samples, GROWTH_DAYS, now);
    let free = record.repository.quota_bytes.zip(sample).map(|(quota, s)| quota.saturating_sub(s.raw_size));
    let full = full(free, growth, now);
    let chores = upkeep::chores(conn, id)?;
    let (all, unattested) = snapshots::count_of_repository(conn, id)?;
    let (append_only, credentials) = proofs(conn, id, now)?;
    let checked_at = newest_check(&chores);
    let findings = Findings {
        // A repository that holds nothing yet needs no check.
        known_since: (all > 0).then_some(record.repository.created_at),
        checked_at,
        failed: chores.iter().filter(|c| c.last_state.is_some_and(failed)).map(|c| c.chore).collect(),
        dead_locks,
        unknown_locks,
        append_only,
        full_in_days: full.days(),
        unattested: usize::try_from(unattested).unwrap_or(0),
    };
    let cycle = chores.iter().find(|c| c.chore == Chore::ReadData).and_then(|c| c.cycle.clone());
    Ok(HealthView {
        health: verdict(&findings, Limits::default(), now),
        snapshots: u64::try_from(all).unwrap_or(0),
        unattested: u64::try_from(unattested).unwrap_or(0),
        ratios: sample.as_ref().map(ratios).unwrap_or_default(),
        sample,
        growth_per_day: growth,
        full,
        read_percent: cycle.as_ref().map(ReadCycle::percent),
        cycle,
        checked_at,
        chores,
        credentials,
    })
}

const fn failed(state: crate::domain::job::JobState) -> bool {
    use crate::domain::job::JobState;
    matches!(state, JobState::Failed | JobState::Lost)
}

fn newest_check(chores: &[ChoreState]) -> Option<Timestamp> {
    let checks = chores.iter().filter(|c| matches!(c.chore, Chore::Check | Chore::ReadData));
    checks.filter_map(|c| c.last_success_at).max()
}

/// What is proven of each append-only credential, by the host's name, and how many there are of each kind.
fn proofs(
    conn: &mut Conn,
    id: RepositoryId,
    now: Timestamp,
) -> Result<(Vec<(String, AppendOnly)>, CredentialCounts), ActError> {
    let (mut found, mut counts) = (vec![], CredentialCounts::default());
    for credential in credentials::of_repository(conn, id)? {
        if credential.mode == CredentialMode::Full {
            counts.full += 1;
            continue;
        }
        let Some(host) = hosts::get(conn, credential.host_id)? else { continue };
        let proof = match credential.proof {
            Some((probe, at)) if now.since(at) <= PROOF_HOLDS => match probe.can_delete {
                DeleteVerdict::AppendOnly => AppendOnly::Proven,
                DeleteVerdict::CanDelete => AppendOnly::CanDelete,
                DeleteVerdict::CannotTell => AppendOnly::CannotTell,
            },
            Some(_) | None => AppendOnly::NotProbed,
        };
        counts.append_only += 1;
        counts.proven += u64::from(proof == AppendOnly::Proven);
        found.push((host.name, proof));
    }
    found.sort();
    Ok((found, counts))
}

/// A repository's figures over time, oldest first.
///
/// # Errors
/// When there is no such repository.
pub async fn history(s: &Services, id: RepositoryId) -> Result<Vec<Sample>, ActError> {
    s.db.read(move |conn| {
        load_repository(conn, id)?;
        Ok(upkeep::samples(conn, id)?)
    })
    .await
}

/// Keeps what was counted, and thins what is old.
pub(super) fn counted(
    conn: &mut Conn,
    repository: RepositoryId,
    stats: &StatsReport,
    now: Timestamp,
) -> Result<(), ActError> {
    if stats.mode != StatsMode::RawData {
        return Ok(());
    }
    let (count, _) = snapshots::count_of_repository(conn, repository)?;
    let restore_size = if count <= SUMMED { snapshots::total_size(conn, repository)? } else { None };
    let sample = Sample {
        at: now,
        raw_size: stats.total_size,
        uncompressed_size: stats.total_uncompressed_size,
        restore_size,
        snapshots: stats.snapshots_count.unwrap_or_else(|| u64::try_from(count).unwrap_or(0)),
    };
    upkeep::put_sample(conn, repository, &sample)?;
    let at: Vec<Timestamp> = upkeep::samples(conn, repository)?.iter().map(|s| s.at).collect();
    let stays = thin(&at, now);
    let goes: Vec<Timestamp> = at.iter().zip(stays).filter(|(_, stays)| !stays).map(|(at, _)| *at).collect();
    Ok(upkeep::drop_samples(conn, repository, &goes)?)
}
