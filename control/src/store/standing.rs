//! How a repository stands, as far as it is kept elsewhere: open alerts about it, schedules whose newest backup failed, and when somebody
//! last checked it or looked at its locks. What that comes to is decided in `domain::health`.

use super::bridge::{from_json, from_word, parse, place_host, time};
use super::conn::Backend;
use super::credentials::mode_of;
use super::schema::{alerts, host_credentials, hosts, jobs, place_sizes, schedule_tracks, schedules};
use super::{Conn, StoreResult};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::job::{JobKind, JobState};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use restic_manager_shared::wire::operation::ProbeReport;
use restic_manager_shared::wire::state::CredentialMode;
use std::collections::{BTreeMap, HashMap};

/// Open alerts of a repository that are looked at.
const ALERTS: i64 = 500;
/// Its newest checks that are looked at.
const CHECKS: i64 = 300;

/// Open alerts about a repository, a part of it, or a credential for it: their kind, how bad they are and what they say. The oldest first.
///
/// # Errors
/// When the database fails.
pub fn open_alerts(conn: &mut Conn, id: RepositoryId) -> StoreResult<Vec<(AlertKind, Severity, String)>> {
    let about =
        alerts::subject.like(format!("repository:{id}%")).or(alerts::subject.like(format!("%/repository:{id}")));
    let rows = alerts::table
        .filter(alerts::resolved_at.is_null())
        .filter(about)
        .order(alerts::id)
        .limit(ALERTS)
        .select((alerts::kind, alerts::severity, alerts::detail))
        .load::<(String, String, String)>(conn)?;
    rows.iter()
        .map(|(kind, severity, detail)| {
            let severity = parse("alerts.severity", severity)?;
            Ok((parse("alerts.kind", kind)?, severity, from_json("alerts.detail", detail)?))
        })
        .collect()
}

/// How the newest backups of a repository's enabled schedules ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backups {
    /// Schedules that have run.
    pub schedules: u64,
    /// How many of them failed, by cause.
    pub failed: Vec<(Option<CauseCode>, u64)>,
}

/// How the newest backups of a repository's enabled schedules ended.
///
/// # Errors
/// When the database fails.
pub fn backups(conn: &mut Conn, id: RepositoryId) -> StoreResult<Backups> {
    let rows = schedules::table
        .inner_join(schedule_tracks::table.on(schedule_tracks::schedule_id.eq(schedules::id)))
        .filter(schedules::repository_id.eq(id.to_string()))
        .filter(schedules::enabled)
        .group_by((schedule_tracks::last_end, schedule_tracks::cause))
        .select((schedule_tracks::last_end, schedule_tracks::cause, diesel::dsl::count_star()))
        .load::<(String, Option<String>, i64)>(conn)?;
    let (mut found, mut failed) = (Backups::default(), BTreeMap::<Option<String>, u64>::new());
    for (end, cause, n) in rows {
        let n = u64::try_from(n).unwrap_or(0);
        found.schedules += n;
        if [JobState::Failed.as_str(), JobState::Lost.as_str()].contains(&end.as_str()) {
            *failed.entry(cause).or_default() += n;
        }
    }
    for (cause, n) in failed {
        found.failed.push((cause.map(|c| from_word("schedule_tracks.cause", &c)).transpose()?, n));
    }
    Ok(found)
}

/// Of these hosts, where and why the newest backup of an enabled schedule failed; of several one that is told first.
///
/// # Errors
/// When the database fails.
pub fn causes(conn: &mut Conn, of: &[HostId]) -> StoreResult<HashMap<HostId, (RepositoryId, CauseCode)>> {
    let of: Vec<String> = of.iter().map(ToString::to_string).collect();
    let rows = schedules::table
        .inner_join(schedule_tracks::table.on(schedule_tracks::schedule_id.eq(schedules::id)))
        .filter(schedules::host_id.eq_any(of))
        .filter(schedules::enabled)
        .filter(schedule_tracks::last_end.eq_any([JobState::Failed.as_str(), JobState::Lost.as_str()]))
        .filter(schedules::repository_id.is_not_null())
        .filter(schedule_tracks::cause.is_not_null())
        .order(schedules::id)
        .select((
            schedules::host_id,
            schedules::repository_id.assume_not_null(),
            schedule_tracks::cause.assume_not_null(),
        ))
        .load::<(String, String, String)>(conn)?;
    let mut found = HashMap::new();
    for (host, repository, cause) in rows {
        let told = (parse("schedules.repository_id", &repository)?, from_word("schedule_tracks.cause", &cause)?);
        found.entry(parse("schedules.host_id", &host)?).or_insert(told);
    }
    Ok(found)
}

/// When each place of a repository was last checked without an error, whoever asked for it, among its newest checks.
///
/// # Errors
/// When the database fails.
pub fn checks(conn: &mut Conn, id: RepositoryId) -> StoreResult<BTreeMap<Option<HostId>, Timestamp>> {
    let rows = jobs::table
        .filter(jobs::repository_id.eq(id.to_string()))
        .filter(jobs::kind.eq(JobKind::Check.as_str()))
        .order((jobs::queued_at.desc(), jobs::id.desc()))
        .limit(CHECKS)
        .select((jobs::place, jobs::state, jobs::finished_at))
        .load::<(String, String, Option<i64>)>(conn)?;
    let mut found = BTreeMap::<Option<HostId>, Timestamp>::new();
    for (place, state, at) in rows {
        let (true, Some(at)) = (state == JobState::Succeeded.as_str(), at) else { continue };
        let at = Timestamp::from_micros(at);
        let known = found.entry(place_host("jobs.place", &place)?).or_insert(at);
        *known = (*known).max(at);
    }
    Ok(found)
}

/// When somebody last looked at a repository's locks, be it to remove them; none if nobody has.
///
/// # Errors
/// When the database fails.
pub fn looked_at_locks(conn: &mut Conn, id: RepositoryId) -> StoreResult<Option<Timestamp>> {
    let mut newest = None;
    for kind in [JobKind::Locks, JobKind::Unlock] {
        let at = jobs::table
            .filter(jobs::repository_id.eq(id.to_string()))
            .filter(jobs::kind.eq(kind.as_str()))
            .filter(jobs::state.eq(JobState::Succeeded.as_str()))
            .order((jobs::queued_at.desc(), jobs::id.desc()))
            .select(jobs::finished_at)
            .first::<Option<i64>>(conn)
            .optional()?;
        newest = newest.max(at.flatten().map(Timestamp::from_micros));
    }
    Ok(newest)
}

/// A host that may use a repository.
#[derive(Clone, Debug)]
pub struct User {
    /// Which.
    pub host: HostId,
    /// Its name.
    pub name: String,
    /// What its credential may do.
    pub mode: CredentialMode,
    /// Its own address of the repository.
    pub url: Option<String>,
    /// What the last probe found.
    pub proof: Option<ProbeReport>,
    /// When.
    pub proof_at: Option<Timestamp>,
}

type UserRow = (String, String, String, Option<String>, Option<String>, Option<i64>);

fn user(row: UserRow) -> StoreResult<User> {
    let (host, name, mode, url, proof, at) = row;
    Ok(User {
        host: parse("host_credentials.host_id", &host)?,
        name,
        mode: mode_of(&mode)?,
        url,
        proof: proof.map(|p| from_json("host_credentials.proof", &p)).transpose()?,
        proof_at: time(at),
    })
}

/// Which of the hosts that may use a repository are asked for.
#[derive(Clone, Debug)]
pub enum Which {
    /// Those whose name holds this, by name, after this one.
    Named {
        /// Part of the name, in small letters; empty for all.
        find: String,
        /// The name of the last one seen.
        after: Option<String>,
    },
    /// Those first of which it is not proven that they can only append.
    Doubtful,
}

/// Hosts that may use a repository.
///
/// # Errors
/// When the database fails.
pub fn users(conn: &mut Conn, id: RepositoryId, which: &Which, limit: i64) -> StoreResult<Vec<User>> {
    let mut query = host_credentials::table
        .inner_join(hosts::table)
        .filter(host_credentials::repository_id.eq(id.to_string()))
        .select((
            host_credentials::host_id,
            hosts::name,
            host_credentials::mode,
            host_credentials::url,
            host_credentials::proof,
            host_credentials::proof_at,
        ))
        .limit(limit)
        .into_boxed::<Backend>();
    match which {
        Which::Named { find, after } => {
            let part = format!("%{}%", find.replace('!', "!!").replace('%', "!%").replace('_', "!_"));
            query = query.filter(sql::<Bool>("lower(hosts.name) LIKE ").bind::<Text, _>(part).sql(" ESCAPE '!'"));
            if let Some(after) = after {
                query = query.filter(hosts::name.gt(after.clone()));
            }
            query = query.order(hosts::name);
        }
        Which::Doubtful => {
            let proven = "CASE WHEN host_credentials.mode = 'append_only' AND host_credentials.proof_verdict = 'append_only' THEN 1 ELSE 0 END";
            query = query.order((sql::<Integer>(proven), hosts::name));
        }
    }
    query.load::<UserRow>(conn)?.into_iter().map(user).collect()
}

/// How many schedules of these hosts back up to a repository.
///
/// # Errors
/// When the database fails.
pub fn schedules_of(conn: &mut Conn, id: RepositoryId, of: &[HostId]) -> StoreResult<HashMap<HostId, usize>> {
    let of: Vec<String> = of.iter().map(ToString::to_string).collect();
    let rows = schedules::table
        .filter(schedules::repository_id.eq(id.to_string()))
        .filter(schedules::host_id.eq_any(of))
        .group_by(schedules::host_id)
        .select((schedules::host_id, diesel::dsl::count_star()))
        .load::<(String, i64)>(conn)?;
    rows.into_iter()
        .map(|(host, n)| Ok((parse("schedules.host_id", &host)?, usize::try_from(n).unwrap_or(0))))
        .collect()
}

/// The hosts that take most room in a repository, and how much; the largest first. Where each host has a repository of its own, what is
/// stored in it; where they share one, how much their newest good backups hold.
///
/// # Errors
/// When the database fails.
pub fn largest(conn: &mut Conn, id: RepositoryId, own: bool, limit: i64) -> StoreResult<Vec<(HostId, u64)>> {
    let rows = if own {
        place_sizes::table
            .filter(place_sizes::repository_id.eq(id.to_string()))
            .filter(place_sizes::place.ne(""))
            .order((place_sizes::bytes.desc(), place_sizes::place))
            .limit(limit)
            .select((place_sizes::place, place_sizes::bytes))
            .load::<(String, i64)>(conn)?
    } else {
        let bytes = "CAST(SUM(COALESCE(schedule_tracks.good_bytes, 0)) AS BIGINT)";
        schedules::table
            .inner_join(schedule_tracks::table.on(schedule_tracks::schedule_id.eq(schedules::id)))
            .filter(schedules::repository_id.eq(id.to_string()))
            .group_by(schedules::host_id)
            .order((sql::<BigInt>(bytes).desc(), schedules::host_id))
            .limit(limit)
            .select((schedules::host_id, sql::<BigInt>(bytes)))
            .load::<(String, i64)>(conn)?
    };
    let rows = rows.into_iter().filter(|(_, bytes)| *bytes > 0);
    rows.map(|(host, bytes)| Ok((parse("largest.host", &host)?, u64::try_from(bytes).unwrap_or(0)))).collect()
}
