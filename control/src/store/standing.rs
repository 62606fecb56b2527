//! How a repository stands, as far as it is kept elsewhere: open alerts about it, schedules whose newest backup failed, and when somebody
//! last checked it or looked at its locks. What that comes to is decided in `domain::health`.

use super::bridge::{from_json, from_word, parse, place_host};
use super::schema::{alerts, jobs, schedule_tracks, schedules};
use super::{Conn, StoreResult};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::job::{JobKind, JobState};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use std::collections::BTreeMap;

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
