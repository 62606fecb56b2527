//! Retention.

use super::ActError;
use crate::store::Conn;
use restic_manager_shared::id::{HostId, JobId, RepositoryId};
use restic_manager_shared::time::Timestamp;

/// What comes after the list of a forget chore.
pub(super) struct AfterList {
    pub(super) note: String,
    pub(super) job: Option<JobId>,
}

pub(super) fn any_policy(_conn: &mut Conn, _repository: RepositoryId) -> Result<bool, ActError> {
    Ok(false)
}

pub(super) fn after_list(
    _conn: &mut Conn,
    _repository: RepositoryId,
    _host: HostId,
    _now: Timestamp,
) -> Result<AfterList, ActError> {
    Ok(AfterList { note: String::new(), job: None })
}
