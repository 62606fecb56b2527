//! What stands beside the names in the navigation, on every page: read in one go.

use super::{ActError, Services};
use crate::domain::job::JobState;
use crate::store::{alerts, hosts, jobs, repositories};
use serde::Serialize;

/// Counts of what people go to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Hosts, those that are yet to come among them.
    pub hosts: i64,
    /// Repositories.
    pub repositories: i64,
    /// Jobs that run now.
    pub running: i64,
    /// Open alerts that nobody has acknowledged.
    pub alerts: i64,
}

/// Counts them.
///
/// # Errors
/// When the database fails.
pub async fn counts(s: &Services) -> Result<Counts, ActError> {
    s.db.read(|conn| {
        Ok(Counts {
            hosts: hosts::count(conn)?,
            repositories: repositories::count(conn)?,
            running: jobs::count_open(conn, &[JobState::Running])?,
            alerts: alerts::waiting(conn)?,
        })
    })
    .await
}
