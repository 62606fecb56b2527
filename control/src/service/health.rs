//! Health of a repository.

use super::ActError;
use crate::store::Conn;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::StatsReport;

/// Keeps what was counted.
pub(super) fn counted(
    _conn: &mut Conn,
    _repository: RepositoryId,
    _stats: &StatsReport,
    _now: Timestamp,
) -> Result<(), ActError> {
    Ok(())
}
