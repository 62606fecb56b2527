//! Alerts that are about hosts with a tag: by the host or the schedule that they name, or else by the repository that such hosts use. And the worst of
//! them.

use super::schema::{alerts as table, hosts, schedules};
use super::{Conn, StoreResult, alerts, credentials, host_search};
use crate::domain::alert::{About, Alert, AlertKind};
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use restic_manager_shared::id::{AlertId, RepositoryId};
use std::collections::HashSet;

/// Alerts that are looked at together.
const AT_ONCE: i64 = 500;

/// What hosts with a tag have to do with.
#[derive(Default)]
struct Concerned {
    hosts: HashSet<String>,
    schedules: HashSet<String>,
    repositories: HashSet<RepositoryId>,
}

impl Concerned {
    fn load(conn: &mut Conn, tag: &str) -> StoreResult<Self> {
        let hosts = hosts::table.filter(host_search::has_tag(tag)?).select(hosts::id).load(conn)?;
        let theirs = hosts::table.filter(host_search::has_tag(tag)?).select(hosts::id);
        let schedules = schedules::table.filter(schedules::host_id.eq_any(theirs)).select(schedules::id).load(conn)?;
        let set = |ids: Vec<String>| ids.into_iter().collect();
        let repositories = credentials::repositories_of_tagged(conn, tag)?;
        Ok(Self { hosts: set(hosts), schedules: set(schedules), repositories })
    }

    /// The same for any of some tags.
    fn load_all(conn: &mut Conn, tags: &[String]) -> StoreResult<Self> {
        let mut all = Self::default();
        for tag in tags {
            let theirs = Self::load(conn, tag)?;
            all.hosts.extend(theirs.hosts);
            all.schedules.extend(theirs.schedules);
            all.repositories.extend(theirs.repositories);
        }
        Ok(all)
    }

    fn is_in(&self, alert: &Alert) -> bool {
        match About::of(&alert.subject) {
            About { host: Some(host), .. } => self.hosts.contains(&host.to_string()),
            About { schedule: Some(schedule), .. } => self.schedules.contains(&schedule.to_string()),
            About { repository: Some(repository), .. } => self.repositories.contains(&repository),
            About { host: None, schedule: None, repository: None } => false,
        }
    }
}

/// Open alerts about hosts with a tag, the newest first. `before` is the id of the last one seen.
///
/// # Errors
/// When the database fails.
pub fn open(conn: &mut Conn, tag: &str, before: Option<AlertId>, limit: i64) -> StoreResult<Vec<Alert>> {
    chosen(conn, tag, before, limit, |_| true)
}

/// Of these, those that nobody has acknowledged and that are not of these kinds.
///
/// # Errors
/// When the database fails.
pub fn unknown_beside(conn: &mut Conn, tag: &str, kinds: &[AlertKind], limit: i64) -> StoreResult<Vec<Alert>> {
    chosen(conn, tag, None, limit, |alert| alert.acknowledged_at.is_none() && !kinds.contains(&alert.kind))
}

fn chosen(
    conn: &mut Conn,
    tag: &str,
    before: Option<AlertId>,
    limit: i64,
    keep: impl Fn(&Alert) -> bool,
) -> StoreResult<Vec<Alert>> {
    let most = usize::try_from(limit).unwrap_or(0);
    let concerned = Concerned::load(conn, tag)?;
    let (mut found, mut before) = (vec![], before);
    while found.len() < most {
        let page = alerts::list(conn, true, before, AT_ONCE)?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        found.extend(page.into_iter().filter(|alert| keep(alert) && concerned.is_in(alert)));
    }
    found.truncate(most);
    Ok(found)
}

/// Open alerts, the worst first and those that somebody knows of last, so many at most, and how many there are: those about hosts with one of these
/// tags, or all if none is named.
///
/// # Errors
/// When the database fails.
pub fn worst(conn: &mut Conn, tags: &[String], limit: i64) -> StoreResult<(Vec<Alert>, i64)> {
    // "critical" comes before "warning".
    let known = || sql::<Bool>("alerts.acknowledged_at IS NOT NULL");
    let open = || table::table.filter(table::resolved_at.is_null());
    let worst = || open().order((known(), table::severity, table::opened_at, table::id));
    if tags.is_empty() {
        let rows = worst().limit(limit).load::<alerts::Row>(conn)?;
        let named = rows.into_iter().map(alerts::alert).collect::<StoreResult<_>>()?;
        return Ok((named, open().count().get_result(conn)?));
    }
    let concerned = Concerned::load_all(conn, tags)?;
    let all = worst().load::<alerts::Row>(conn)?.into_iter().map(alerts::alert).collect::<StoreResult<Vec<Alert>>>()?;
    let mut named: Vec<Alert> = all.into_iter().filter(|alert| concerned.is_in(alert)).collect();
    let count = i64::try_from(named.len()).unwrap_or(i64::MAX);
    named.truncate(usize::try_from(limit).unwrap_or(0));
    Ok((named, count))
}
