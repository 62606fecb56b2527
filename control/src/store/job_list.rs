//! Lists of jobs, newest first, narrowed to what somebody looks for.

use super::conn::Backend;
use super::jobs::{JobRecord, Row, open};
use super::schema::{hosts, jobs};
use super::{Conn, StoreResult, host_search};
use crate::domain::job::{Job, JobKind, JobState};
use diesel::dsl::sql;
use diesel::expression::SqlLiteral;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;

const OPEN: [&str; 3] = ["queued", "dispatched", "running"];

const TROUBLED: [&str; 6] = ["failed", "lost", "missed", "warning", "cancelled", "skipped"];

/// A job that did not simply succeed. Word for word the condition of the index of such jobs.
fn troubled() -> SqlLiteral<Bool> {
    sql("jobs.state IN ('failed', 'lost', 'missed', 'warning', 'cancelled', 'skipped')")
}

/// What a list of jobs is narrowed to.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// One host's.
    pub host: Option<HostId>,
    /// Of hosts with this tag.
    pub host_tag: Option<String>,
    /// One schedule's.
    pub schedule: Option<ScheduleId>,
    /// One repository's.
    pub repository: Option<RepositoryId>,
    /// Of these kinds; empty for all.
    pub kinds: Vec<JobKind>,
    /// In these states; empty for all.
    pub states: Vec<JobState>,
    /// Queued since then.
    pub since: Option<Timestamp>,
}

/// A place in a list, newest first: everything queued before this.
pub type Before = (Timestamp, JobId);

/// Jobs, newest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn, filter: &Filter, before: Option<Before>, limit: i64) -> StoreResult<Vec<Job>> {
    if let (Some(tag), None) = (&filter.host_tag, filter.host) {
        let of_one = |conn: &mut Conn, host| {
            narrowed(conn, &Filter { host: Some(host), host_tag: None, ..filter.clone() }, before, limit)
        };
        let newest_first = |a: &Job, b: &Job| (b.queued_at, b.id).cmp(&(a.queued_at, a.id));
        if let Some(all) = host_search::of_few(conn, tag, limit, of_one, newest_first)? {
            return Ok(all);
        }
    }
    narrowed(conn, filter, before, limit)
}

fn narrowed(conn: &mut Conn, filter: &Filter, before: Option<Before>, limit: i64) -> StoreResult<Vec<Job>> {
    let mut query = jobs::table.select(Row::as_select()).into_boxed::<Backend>();
    if let Some(tag) = &filter.host_tag {
        let tagged = hosts::table.filter(host_search::has_tag(tag)?).select(hosts::id);
        query = query.filter(jobs::host_id.eq_any(tagged));
    }
    if let Some(host) = filter.host {
        query = query.filter(jobs::host_id.eq(host.to_string()));
    }
    if let Some(schedule) = filter.schedule {
        query = query.filter(jobs::schedule_id.eq(schedule.to_string()));
    }
    if let Some(repository) = filter.repository {
        query = query.filter(jobs::repository_id.eq(repository.to_string()));
    }
    if !filter.kinds.is_empty() {
        let kinds: Vec<&'static str> = filter.kinds.iter().map(|k| k.as_str()).collect();
        query = query.filter(jobs::kind.eq_any(kinds));
    }
    if !filter.states.is_empty() {
        let states: Vec<&'static str> = filter.states.iter().map(|s| s.as_str()).collect();
        if states.iter().all(|state| OPEN.contains(state)) {
            query = query.filter(open());
        } else if states.iter().all(|state| TROUBLED.contains(state)) {
            query = query.filter(troubled());
        }
        query = query.filter(jobs::state.eq_any(states));
    }
    if let Some(since) = filter.since {
        query = query.filter(jobs::queued_at.ge(since.micros()));
    }
    if let Some((at, id)) = before {
        let (at, id) = (at.micros(), id.to_string());
        // The first says the same once more, in a way that an index can follow.
        query = query
            .filter(jobs::queued_at.le(at))
            .filter(jobs::queued_at.lt(at).or(jobs::queued_at.eq(at).and(jobs::id.lt(id))));
    }
    let rows = query.order((jobs::queued_at.desc(), jobs::id.desc())).limit(limit).load(conn)?;
    rows.into_iter().map(|row| Ok(JobRecord::try_from(row)?.job)).collect()
}
