//! Alerts that are about hosts with a tag: by the host or the schedule that they name, or else by the repository that such hosts use.

use super::schema::{host_credentials, hosts, schedules};
use super::{Conn, StoreResult, alerts, host_search};
use crate::domain::alert::{About, Alert};
use diesel::prelude::*;
use restic_manager_shared::id::AlertId;
use std::collections::HashSet;

/// Alerts that are looked at together.
const AT_ONCE: i64 = 500;

/// What hosts with a tag have to do with.
struct Concerned {
    hosts: HashSet<String>,
    schedules: HashSet<String>,
    repositories: HashSet<String>,
}

impl Concerned {
    fn load(conn: &mut Conn, tag: &str) -> StoreResult<Self> {
        let hosts = hosts::table.filter(host_search::has_tag(tag)?).select(hosts::id).load(conn)?;
        let theirs = hosts::table.filter(host_search::has_tag(tag)?).select(hosts::id);
        let schedules = schedules::table.filter(schedules::host_id.eq_any(theirs)).select(schedules::id).load(conn)?;
        let repositories = host_credentials::table
            .inner_join(hosts::table)
            .filter(host_search::has_tag(tag)?)
            .select(host_credentials::repository_id)
            .distinct()
            .load(conn)?;
        let set = |ids: Vec<String>| ids.into_iter().collect();
        Ok(Self { hosts: set(hosts), schedules: set(schedules), repositories: set(repositories) })
    }

    fn is_in(&self, alert: &Alert) -> bool {
        match About::of(&alert.subject) {
            About { host: Some(host), .. } => self.hosts.contains(&host.to_string()),
            About { schedule: Some(schedule), .. } => self.schedules.contains(&schedule.to_string()),
            About { repository: Some(repository), .. } => self.repositories.contains(&repository.to_string()),
            About { host: None, schedule: None, repository: None } => false,
        }
    }
}

/// Open alerts about hosts with a tag, the newest first. `before` is the id of the last one seen.
///
/// # Errors
/// When the database fails.
pub fn open(conn: &mut Conn, tag: &str, before: Option<AlertId>, limit: i64) -> StoreResult<Vec<Alert>> {
    let most = usize::try_from(limit).unwrap_or(0);
    let concerned = Concerned::load(conn, tag)?;
    let (mut found, mut before) = (vec![], before);
    while found.len() < most {
        let page = alerts::list(conn, true, before, AT_ONCE)?;
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        found.extend(page.into_iter().filter(|alert| concerned.is_in(alert)));
    }
    found.truncate(most);
    Ok(found)
}
