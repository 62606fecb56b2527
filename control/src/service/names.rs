//! Names for the identities that lists carry, all of a page at once.

use super::{ActError, Services};
use crate::store::names;
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};

/// Of what the names are wanted, and afterwards the names of what is there.
#[derive(Clone, Debug, Default)]
pub struct Named<H, S, R> {
    /// Hosts.
    pub hosts: Vec<H>,
    /// Schedules.
    pub schedules: Vec<S>,
    /// Repositories.
    pub repositories: Vec<R>,
}

/// Whose names are wanted.
pub type Wanted = Named<HostId, ScheduleId, RepositoryId>;
/// The names of those that are there.
pub type Found = Named<(HostId, String), (ScheduleId, String), (RepositoryId, String)>;

impl Wanted {
    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.schedules.is_empty() && self.repositories.is_empty()
    }
}

/// The names of those that are there.
///
/// # Errors
/// When the database fails.
pub async fn of(s: &Services, wanted: Wanted) -> Result<Found, ActError> {
    s.db.read(move |conn| {
        Ok(Named {
            hosts: names::of_hosts(conn, &wanted.hosts)?,
            schedules: names::of_schedules(conn, &wanted.schedules)?,
            repositories: names::of_repositories(conn, &wanted.repositories)?,
        })
    })
    .await
}
