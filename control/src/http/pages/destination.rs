//! Where a host's backups go: its repositories, what it may do there, and whether that is proven.

use crate::http::problem::ApiError;
use crate::service::repositories::Access;
use crate::service::{Services, repositories};
use crate::words::Moment;
use crate::words::capital;
use crate::words::repository::{mode, proof};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::DeleteVerdict;
use restic_manager_shared::wire::state::CredentialMode;
use serde::Serialize;

/// A repository of a host.
#[derive(Debug, Serialize)]
pub struct Destination {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What the host may do there.
    pub mode: String,
    /// The icon of that.
    pub icon: &'static str,
    /// The colour of that.
    pub class: &'static str,
    /// What the last probe found.
    pub proof: &'static str,
    /// When.
    pub proven: Option<Moment>,
}

/// The repositories that a host may use.
///
/// # Errors
/// When the database fails.
pub async fn of_host(s: &Services, host: HostId, now: Timestamp) -> Result<Vec<Destination>, ApiError> {
    Ok(repositories::of_host(s, host).await?.into_iter().map(|held| row(held, now)).collect())
}

fn row(held: Access, now: Timestamp) -> Destination {
    let verdict = held.proof.map(|(verdict, _)| verdict);
    let (icon, class) = match (held.mode, verdict) {
        (CredentialMode::AppendOnly, Some(DeleteVerdict::AppendOnly)) => ("shield", "ok"),
        (CredentialMode::AppendOnly, Some(DeleteVerdict::CanDelete)) => ("shield-no", "bad"),
        (CredentialMode::AppendOnly, _) => ("shield", "mute"),
        (CredentialMode::Full, _) => ("wrench", "mute"),
    };
    Destination {
        id: held.repository.to_string(),
        name: held.name,
        mode: capital(mode(held.mode)),
        icon,
        class,
        proof: proof(verdict, held.mode == CredentialMode::AppendOnly),
        proven: held.proof.map(|(_, at)| Moment::new(at, now)),
    }
}
