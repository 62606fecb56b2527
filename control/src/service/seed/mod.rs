//! The seed: a believable fleet with its past, put into an empty database for tests, pictures and measurements. The same seed number gives
//! the same hosts with the same past. No agent belongs to it, so its hosts count as heard from for a day.

mod cast;
mod dice;
mod keepers;
mod past;
mod present;

use super::repositories::{self as repository_acts, CredentialInput, RepositoryInput};
use super::{ActError, Services, protection as standing};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::drill::DrillPlan;
use crate::domain::health::Sample;
use crate::domain::permission::Actor;
use crate::domain::place::Place;
use crate::domain::retention::Count;
use crate::domain::schedule::{Retention, Schedule};
use crate::store::credentials::CredentialRecord;
use crate::store::hosts::Enrolled;
use crate::store::past as past_jobs;
use crate::store::{Conn, StoreError, alerts, credentials, hosts, rows, schedules, upkeep};
use cast::{Fate, Kind, REPOSITORIES, member};
use dice::Dice;
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::HostFacts;
use restic_manager_shared::wire::operation::{DeleteVerdict, ProbeReport};
use restic_manager_shared::wire::state::{BackupOptions, CredentialMode, Firing};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
const GIB: u64 = 1 << 30;
/// Hosts in one transaction.
const AT_ONCE: usize = 20;
/// The host that has a manual and a disabled schedule beside its others.
const EXTRAS: &str = "web-02";
const ZONE: &str = "Europe/Berlin";

/// How large a fleet, and how long its past.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Hosts.
    pub hosts: usize,
    /// Days that they have been backed up.
    pub days: u32,
    /// At least so many jobs: the past is repeated before it began until there are.
    pub jobs: usize,
    /// The same number gives the same fleet.
    pub seed: u64,
    /// Where the past ends.
    pub now: Timestamp,
}

/// Why no fleet was put in.
#[derive(Debug, thiserror::Error)]
pub enum SowError {
    /// Something is there already.
    #[error("the database is not empty: it has {0}. A fleet is only put into a new one")]
    NotEmpty(&'static str),
    /// It failed on the way.
    #[error(transparent)]
    Act(#[from] ActError),
}

/// What was put in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sown {
    /// Hosts.
    pub hosts: usize,
    /// Schedules.
    pub schedules: usize,
    /// Jobs.
    pub jobs: usize,
    /// Snapshots.
    pub snapshots: usize,
}

/// Fills an empty database.
///
/// # Errors
/// When there is something in it, or the database fails.
pub async fn sow(s: &Services, plan: Plan) -> Result<Sown, SowError> {
    if let Some(table) = s.db.read(|conn| Ok::<_, ActError>(rows::filled(conn)?)).await?.first() {
        return Err(SowError::NotEmpty(table));
    }
    let mut repositories = Vec::with_capacity(REPOSITORIES.len());
    for (name, url, quota, _) in REPOSITORIES {
        repositories.push(add_repository(s, name, url, quota).await?);
    }
    let mut sown = Sown::default();
    for first in (0..plan.hosts).step_by(AT_ONCE) {
        let mut group = Vec::with_capacity(AT_ONCE);
        for n in first..plan.hosts.min(first + AT_ONCE) {
            group.push(cast_host(s, plan, n, &repositories)?);
        }
        let added =
            s.db.write(move |conn| {
                let mut added = Sown::default();
                group.iter_mut().try_for_each(|member| sow_host(conn, plan, member, &mut added))?;
                Ok::<_, ActError>(added)
            })
            .await?;
        sown.hosts += added.hosts;
        sown.schedules += added.schedules;
        sown.jobs += added.jobs;
        sown.snapshots += added.snapshots;
    }
    repeat(s, plan, &mut sown).await?;
    raise_alerts(s, repositories.clone(), plan.now).await?;
    stock(s, plan, repositories.clone()).await?;
    keepers::appoint(s, plan, &repositories).await?;
    Ok(sown)
}

async fn add_repository(s: &Services, name: &str, url: &str, quota: Option<u64>) -> Result<RepositoryId, ActError> {
    let input = RepositoryInput {
        name: name.into(),
        url: url.into(),
        password: Some(Secret::new(format!("a password for {name} that opens nothing"))),
        init_if_missing: false,
        quota_bytes: quota.map(|gib| gib * GIB),
        ca_pem: None,
    };
    Ok(repository_acts::add(s, &Actor::system("seed"), input).await?.id)
}

/// A host before it is written.
#[derive(Debug)]
struct Member {
    id: HostId,
    name: String,
    kind: Kind,
    fate: Fate,
    repository: RepositoryId,
    credential: CredentialRecord,
    dice: Dice,
}

fn cast_host(s: &Services, plan: Plan, n: usize, repositories: &[RepositoryId]) -> Result<Member, ActError> {
    let mut dice = Dice::new(plan.seed.wrapping_add((n as u64) << 20));
    let (kind, name, fate) = member(n);
    let (id, repository) = (HostId(dice.uuid()), repositories[kind.repository]);
    let credential_id = dice.uuid();
    let credential = CredentialRecord {
        id: credential_id,
        host_id: id,
        repository_id: repository,
        mode: CredentialMode::AppendOnly,
        secrets_sealed: repository_acts::seal_credential(s, credential_id, &CredentialInput::default())?,
        at: plan.now,
        url: None,
        proof: None,
    };
    Ok(Member { id, name, kind, fate, repository, credential, dice })
}

fn sow_host(conn: &mut Conn, plan: Plan, member: &mut Member, sown: &mut Sown) -> Result<(), ActError> {
    let tags: Vec<String> = member.kind.tags.iter().map(ToString::to_string).collect();
    let added = if member.fate == Fate::Never { plan.now - 2 * DAY } else { plan.now - (plan.days + 1) * DAY };
    hosts::insert_pending(conn, member.id, &member.name, &tags, added)?;
    sown.hosts += 1;
    if member.fate == Fate::Never {
        return Ok(());
    }
    enroll(conn, plan, member, added)?;
    credentials::put(conn, &member.credential)?;
    for line in member.kind.schedules {
        let schedule = schedule(member, *line, added);
        schedules::insert(conn, &schedule)?;
        sown.schedules += 1;
        past::sow(conn, plan, member, &schedule, sown)?;
        if member.kind.schedules.first() == Some(line) {
            present::sow(conn, plan, member, &schedule, sown)?;
        }
    }
    if member.name == EXTRAS {
        for extra in extras(member, added) {
            schedules::insert(conn, &extra)?;
            sown.schedules += 1;
        }
    }
    standing::judge(conn, member.id, plan.now)
}

fn enroll(conn: &mut Conn, plan: Plan, member: &mut Member, at: Timestamp) -> Result<(), ActError> {
    let facts = HostFacts {
        hostname: member.name.clone(),
        os: member.kind.os,
        os_version: member.kind.system.into(),
        arch: "x86_64".into(),
        timezone: Some(ZONE.into()),
        agent_version: env!("CARGO_PKG_VERSION").into(),
        restic_version: Some("0.19.1".into()),
    };
    let (signing_key, sealing_key) = (member.dice.digest(), member.dice.digest());
    let enrolled = Enrolled { name: &member.name, signing_key: &signing_key, sealing_key: &sealing_key, facts: &facts };
    hosts::enroll(conn, member.id, &enrolled, at)?;
    let seen = hosts::Seen {
        at: if member.fate == Fate::Gone { plan.now - past::GONE } else { plan.now + DAY },
        held_version: 1,
        agent_version: facts.agent_version.clone(),
        restic_version: facts.restic_version.clone(),
        hooks: None,
        update: None,
        agent_is_news: true,
    };
    Ok(hosts::seen(conn, member.id, &seen)?)
}

fn schedule(member: &mut Member, (name, cron, path): (&str, Option<&str>, &str), at: Timestamp) -> Schedule {
    let id = ScheduleId(member.dice.uuid());
    Schedule {
        id,
        drill: Some(DrillPlan::usual(id)),
        host_id: member.id,
        repository_id: Some(member.repository),
        name: name.into(),
        enabled: true,
        manual: cron.is_none(),
        cron: cron.map(Into::into),
        timezone: None,
        paths: vec![path.into()],
        excludes: vec!["*.tmp".into()],
        tags: vec![],
        options: BackupOptions::default(),
        retention: if cron.is_some() { usual() } else { Retention::default() },
        firing: Firing::default(),
        paused: None,
        pauses: vec![],
        created_at: at,
        updated_at: at,
    }
}

/// What schedules with a line keep.
fn usual() -> Retention {
    let of = |n| Some(Count::Of(n));
    Retention { keep_daily: of(7), keep_weekly: of(4), keep_monthly: of(12), ..Retention::default() }
}

/// A schedule that only runs when somebody says so, and one that is switched off.
fn extras(member: &mut Member, at: Timestamp) -> [Schedule; 2] {
    let manual = schedule(member, ("before an upgrade", None, "/srv"), at);
    let off = schedule(member, ("old uploads", Some("0 4 * * 1"), "/srv/uploads-2019"), at);
    [manual, Schedule { enabled: false, ..off }]
}

/// Repeats the past before it began, until there are as many jobs as are wanted.
async fn repeat(s: &Services, plan: Plan, sown: &mut Sown) -> Result<(), ActError> {
    let once = sown.jobs;
    let mut back = 0;
    while sown.jobs < plan.jobs && once > 0 {
        back += plan.days;
        let since = plan.now - plan.days * DAY;
        let by = back * DAY;
        sown.jobs += s.db.write(move |conn| past_jobs::repeat(conn, since, by)).await?;
    }
    Ok(())
}

/// What was counted in the repositories, day by day, and what probes of their credentials found: of the first ones that nobody can delete.
async fn stock(s: &Services, plan: Plan, repositories: Vec<RepositoryId>) -> Result<(), ActError> {
    s.db.write(move |conn| {
        for (n, repository) in (0u64..).zip(repositories) {
            let place = Place { repository, host: None };
            let mut dice = Dice::new(plan.seed.wrapping_add(n << 40));
            let (mut bytes, daily) = ((n + 1) * 180 * GIB, (n + 1) * GIB / 2);
            for day in (0..plan.days.min(90)).rev() {
                bytes += daily + dice.below(daily);
                let sample = Sample {
                    at: plan.now - day * DAY,
                    raw_size: bytes,
                    uncompressed_size: Some(bytes / 10 * 15),
                    restore_size: Some(bytes * 12),
                    snapshots: 0,
                    free: None,
                };
                upkeep::put_sample(conn, place, &sample)?;
                if day == 0 {
                    upkeep::put_size(conn, place, &sample, Some((daily + daily / 2) as f64))?;
                }
            }
            let can_delete = if n < 3 { DeleteVerdict::AppendOnly } else { DeleteVerdict::CannotTell };
            let found = ProbeReport { can_delete, ..ProbeReport::default() };
            for host in credentials::hosts_of(conn, repository)? {
                credentials::keep_proof(conn, host, repository, &found, plan.now)?;
            }
        }
        Ok::<_, StoreError>(())
    })
    .await
    .map_err(ActError::from)
}

async fn raise_alerts(s: &Services, repositories: Vec<RepositoryId>, now: Timestamp) -> Result<(), ActError> {
    s.db.write(move |conn| {
        let subject = |n: usize| format!("repository:{}", repositories[n]);
        let locked = "an exclusive lock of a prune that no longer runs is in the way";
        alerts::raise(conn, (AlertKind::ForeignLock, &subject(1)), Severity::Critical, locked, now - past::LOCKED)?;
        let failed = "prune failed: the storage at offsite.example.net was not reachable";
        alerts::raise(conn, (AlertKind::MaintenanceFailed, &subject(3)), Severity::Warning, failed, now - DAY)?;
        Ok::<_, StoreError>(())
    })
    .await
    .map_err(ActError::from)
}
