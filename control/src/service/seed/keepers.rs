//! Who keeps a seeded fleet's repositories: a host with a full credential, the chores that it did, and the lock that a prune of its left.

use super::cast::{Keeper, REPOSITORIES};
use super::dice::Dice;
use super::{DAY, Plan};
use crate::domain::health::ReadCycle;
use crate::domain::job::JobState;
use crate::domain::place::Place;
use crate::domain::upkeep::{Chore, ChoreState};
use crate::service::repositories::{self as acts, CredentialInput};
use crate::service::{ActError, Services};
use crate::store::credentials::CredentialRecord;
use crate::store::{Conn, credentials, hosts, repositories, upkeep};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{DeleteVerdict, LockRecord, ProbeReport};
use restic_manager_shared::wire::state::CredentialMode;
use std::time::Duration;

/// How long ago each chore was done last, in hours; as the usual plan has it.
const DONE: [(Chore, u32); 6] = [
    (Chore::Snapshots, 9),
    (Chore::Forget, 8),
    (Chore::Prune, 5 * 24),
    (Chore::Check, 5 * 24 - 2),
    (Chore::ReadData, 6),
    (Chore::Stats, 7),
];

/// Gives each repository its keeper, if the fleet is large enough to have it.
pub(super) async fn appoint(s: &Services, plan: Plan, of: &[RepositoryId]) -> Result<(), ActError> {
    for (n, ((_, _, _, keeper), id)) in (0u64..).zip(REPOSITORIES.iter().zip(of.iter().copied())) {
        let Some(keeper) = *keeper else { continue };
        let credential_id = Dice::new(plan.seed.wrapping_add(n << 50)).uuid();
        let sealed = acts::seal_credential(s, credential_id, &CredentialInput::default())?;
        s.db.write(move |conn| {
            let Some(host) = hosts::by_name(conn, keeper.host)?.map(|record| record.id) else { return Ok(()) };
            let credential = CredentialRecord {
                id: credential_id,
                host_id: host,
                repository_id: id,
                mode: CredentialMode::Full,
                secrets_sealed: sealed,
                at: plan.now,
                url: None,
                proof: None,
            };
            credentials::put(conn, &credential)?;
            let found = ProbeReport { can_delete: DeleteVerdict::CanDelete, ..ProbeReport::default() };
            credentials::keep_proof(conn, host, id, &found, plan.now)?;
            keep(conn, (id, host), keeper, plan.now)
        })
        .await?;
    }
    Ok(())
}

fn keep(conn: &mut Conn, (id, host): (RepositoryId, HostId), keeper: Keeper, now: Timestamp) -> Result<(), ActError> {
    let Some(mut record) = repositories::get(conn, id)? else { return Ok(()) };
    record.repository.maintenance_host_id = Some(host);
    repositories::update(conn, &record)?;
    let place = Place { repository: id, host: None };
    for (chore, hours) in DONE {
        upkeep::put_chore(conn, place, &done(chore, now - Duration::from_secs(u64::from(hours) * 3600), keeper, now))?;
    }
    let lock = keeper.left_lock.then(|| lock(keeper, now));
    Ok(upkeep::put_locks(conn, place, lock.as_slice(), now)?)
}

/// Nobody does what comes next, so nothing is due for a day.
fn done(chore: Chore, at: Timestamp, keeper: Keeper, now: Timestamp) -> ChoreState {
    let failed = chore == Chore::Prune && keeper.prune_fails;
    ChoreState {
        followed_until: Some(now + DAY),
        last_state: Some(if failed { JobState::Failed } else { JobState::Succeeded }),
        last_done_at: Some(at),
        last_success_at: (!failed).then_some(at),
        cycle: (chore == Chore::ReadData).then(|| half_read(now)),
        ..ChoreState::new(chore)
    }
}

/// The usual thirty parts, one a day.
fn half_read(now: Timestamp) -> ReadCycle {
    let (of, done) = (30, 12);
    let days = |days: u16| now - u32::from(days) * DAY;
    ReadCycle { of, done: (1..=done).collect(), began_at: Some(days(done)), completed_at: Some(days(done + 1)) }
}

fn lock(keeper: Keeper, now: Timestamp) -> LockRecord {
    LockRecord {
        id: "7a4d0c1e".repeat(8),
        time: now - super::past::LOCKED,
        exclusive: true,
        hostname: keeper.host.into(),
        username: "root".into(),
        pid: 48_213,
    }
}
