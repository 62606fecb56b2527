//! The hosts that may use a repository, page by page: thousands may.

use super::repositories::{CredentialView, load};
use super::{ActError, Listed, Services, page};
use crate::store::Conn;
use crate::store::standing::{self, User, Which};
use restic_manager_shared::id::{HostId, RepositoryId};

/// Hosts that may use a repository, by name, and only those whose name holds a text. The cursor is the name of the last one seen.
///
/// # Errors
/// When there is no such repository.
pub async fn list(
    s: &Services,
    id: RepositoryId,
    find: &str,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<CredentialView>, ActError> {
    let which = Which::Named { find: find.to_lowercase(), after: cursor };
    let items = s.db.read(move |conn| views(conn, id, &which, limit + 1)).await?;
    Ok(page(items, limit, |user| user.host_name.clone()))
}

/// Some of the hosts that may use a repository: those first of which it is not proven that they can only append.
///
/// # Errors
/// When there is no such repository.
pub async fn doubtful(s: &Services, id: RepositoryId, limit: i64) -> Result<Vec<CredentialView>, ActError> {
    s.db.read(move |conn| views(conn, id, &Which::Doubtful, limit)).await
}

/// The hosts that take most room, with their bytes; `own` where each has a repository of its own.
///
/// # Errors
/// When the database fails.
pub async fn largest(s: &Services, id: RepositoryId, own: bool, limit: i64) -> Result<Vec<(HostId, u64)>, ActError> {
    s.db.read(move |conn| Ok(standing::largest(conn, id, own, limit)?)).await
}

fn views(conn: &mut Conn, id: RepositoryId, which: &Which, limit: i64) -> Result<Vec<CredentialView>, ActError> {
    load(conn, id)?;
    let users = standing::users(conn, id, which, limit)?;
    let ids: Vec<HostId> = users.iter().map(|user| user.host).collect();
    let schedules = standing::schedules_of(conn, id, &ids)?;
    let view = |user: User| CredentialView {
        host_id: user.host,
        host_name: user.name,
        mode: user.mode,
        url: user.url,
        schedules: schedules.get(&user.host).copied().unwrap_or(0),
        proof: user.proof,
        proof_at: user.proof_at,
    };
    Ok(users.into_iter().map(view).collect())
}
