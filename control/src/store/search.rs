//! Finding things by a part of their name, or by the beginning of their identity. Not narrowing a list; that is `host_search` and the lists'
//! own filters.

use super::bridge::{parse, to_json};
use super::host_search::anywhere;
use super::schema::{hosts, jobs, repositories, schedules, snapshots};
use super::{Conn, StoreResult};
use crate::domain::fleet::Lifecycle;
use crate::domain::job::{JobKind, JobState};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;

/// Whether a text of a row holds what is looked for, whatever the case of its letters.
macro_rules! holds {
    ($text:literal, $wanted:expr) => {
        sql::<Bool>(concat!("lower(", $text, ") LIKE "))
            .bind::<Text, _>(anywhere(&$wanted.to_lowercase()))
            .sql(" ESCAPE '!'")
    };
}

/// Hosts with it in their name, host name or tags; the shortest names first, so that an exact one leads.
///
/// # Errors
/// When the database fails.
pub fn hosts(conn: &mut Conn, text: &str, limit: i64) -> StoreResult<Vec<(HostId, String)>> {
    let rows = hosts::table
        .filter(hosts::lifecycle.ne(Lifecycle::Retired.as_str()))
        .filter(holds!("hosts.name || ' ' || hosts.hostname || ' ' || hosts.tags", text))
        .order((sql::<Integer>("length(hosts.name)"), hosts::name))
        .limit(limit)
        .select((hosts::id, hosts::name))
        .load::<(String, String)>(conn)?;
    rows.into_iter().map(|(id, name)| Ok((parse("hosts.id", &id)?, name))).collect()
}

/// A schedule that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSchedule {
    /// Which.
    pub id: ScheduleId,
    /// Its name.
    pub name: String,
    /// Whose.
    pub host: HostId,
    /// Its host's name.
    pub host_name: String,
}

/// Schedules with it in their name or paths.
///
/// # Errors
/// When the database fails.
pub fn schedules(conn: &mut Conn, text: &str, limit: i64) -> StoreResult<Vec<FoundSchedule>> {
    // Paths are kept as JSON, in which a backslash is two. Each database looks into JSON in its own words.
    let as_kept = to_json("schedules.backup", &text.to_lowercase())?;
    let paths = match conn {
        Conn::Sqlite(_) => "lower(json_extract(schedules.backup, '$.paths')) LIKE ",
        Conn::Pg(_) => "lower(schedules.backup::json ->> 'paths') LIKE ",
    };
    let in_paths = sql::<Bool>(paths).bind::<Text, _>(anywhere(as_kept.trim_matches('"'))).sql(" ESCAPE '!'");
    let rows = schedules::table
        .inner_join(hosts::table.on(hosts::id.eq(schedules::host_id)))
        .filter(holds!("schedules.name", text).or(in_paths))
        .order((schedules::name, hosts::name, schedules::id))
        .limit(limit)
        .select((schedules::id, schedules::name, hosts::id, hosts::name))
        .load::<(String, String, String, String)>(conn)?;
    rows.into_iter()
        .map(|(id, name, host, host_name)| {
            Ok(FoundSchedule { id: parse("schedules.id", &id)?, name, host: parse("hosts.id", &host)?, host_name })
        })
        .collect()
}

/// Repositories with it in their name or address.
///
/// # Errors
/// When the database fails.
pub fn repositories(conn: &mut Conn, text: &str, limit: i64) -> StoreResult<Vec<(RepositoryId, String, String)>> {
    let rows = repositories::table
        .filter(holds!("repositories.name || ' ' || repositories.url", text))
        .order(repositories::name)
        .limit(limit)
        .select((repositories::id, repositories::name, repositories::url))
        .load::<(String, String, String)>(conn)?;
    rows.into_iter().map(|(id, name, url)| Ok((parse("repositories.id", &id)?, name, url))).collect()
}

/// A job that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundJob {
    /// Which.
    pub id: JobId,
    /// What it does.
    pub kind: JobKind,
    /// How it is.
    pub state: JobState,
    /// Its host's name.
    pub host_name: String,
    /// When it was queued.
    pub at: Timestamp,
}

/// Jobs whose identity begins so.
///
/// # Errors
/// When the database fails.
pub fn jobs(conn: &mut Conn, beginning: &str, limit: i64) -> StoreResult<Vec<FoundJob>> {
    let rows = jobs::table
        .inner_join(hosts::table.on(hosts::id.eq(jobs::host_id)))
        .filter(jobs::id.ge(beginning.to_owned()))
        .filter(jobs::id.lt(beyond(beginning)))
        .order(jobs::id)
        .limit(limit)
        .select((jobs::id, jobs::kind, jobs::state, hosts::name, jobs::queued_at))
        .load::<(String, String, String, String, i64)>(conn)?;
    rows.into_iter()
        .map(|(id, kind, state, host_name, at)| {
            Ok(FoundJob {
                id: parse("jobs.id", &id)?,
                kind: parse("jobs.kind", &kind)?,
                state: parse("jobs.state", &state)?,
                host_name,
                at: Timestamp::from_micros(at),
            })
        })
        .collect()
}

/// A snapshot that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundSnapshot {
    /// Its whole id.
    pub id: String,
    /// Where it is.
    pub repository: RepositoryId,
    /// When it was taken.
    pub at: Timestamp,
}

/// Snapshots that are there and whose id begins so.
///
/// # Errors
/// When the database fails.
pub fn snapshots(conn: &mut Conn, beginning: &str, limit: i64) -> StoreResult<Vec<FoundSnapshot>> {
    let rows = snapshots::table
        // Names the repositories, so that the key can be followed: it begins with them.
        .filter(snapshots::repository_id.eq_any(repositories::table.select(repositories::id)))
        .filter(snapshots::snapshot_id.ge(beginning.to_owned()))
        .filter(snapshots::snapshot_id.lt(beyond(beginning)))
        .filter(snapshots::gone_at.is_null())
        .order((snapshots::snapshot_id, snapshots::repository_id))
        .limit(limit)
        .select((snapshots::snapshot_id, snapshots::repository_id, snapshots::time))
        .load::<(String, String, i64)>(conn)?;
    rows.into_iter()
        .map(|(id, repository, at)| {
            let repository = parse("snapshots.repository_id", &repository)?;
            Ok(FoundSnapshot { id, repository, at: Timestamp::from_micros(at) })
        })
        .collect()
}

/// A text that comes after all that begin so. Identities are of hexadecimal digits and dashes.
fn beyond(beginning: &str) -> String {
    format!("{beginning}g")
}
