//! Alerts: seeing them and saying that one is known. They are opened and resolved by what they are about.

use super::{ActError, Listed, Noun, Services, audit, page};
use crate::domain::alert::{Alert, AlertKind};
use crate::domain::permission::Actor;
use crate::store::alerts;
use restic_manager_shared::id::{AlertId, RepositoryId};
use restic_manager_shared::time::Timestamp;

/// Damaged places of one repository that are told at most.
const DAMAGE: i64 = 20;

/// Alerts, the newest first. The cursor is the id of the last one seen.
///
/// # Errors
/// When the cursor is not one of ours, or the database fails.
pub async fn list(
    s: &Services,
    open_only: bool,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Alert>, ActError> {
    let before = cursor
        .map(|c| c.parse::<AlertId>().map_err(|_| ActError::field("/cursor", "not a cursor of this list")))
        .transpose()?;
    let items = s.db.read(move |conn| Ok::<_, ActError>(alerts::list(conn, open_only, before, limit + 1)?)).await?;
    Ok(page(items, limit, |a| a.id.to_string()))
}

/// Open alerts that nobody has acknowledged and that are not of these kinds, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn unknown_beside(s: &Services, kinds: &'static [AlertKind], limit: i64) -> Result<Vec<Alert>, ActError> {
    s.db.read(move |conn| Ok(alerts::unknown_beside(conn, kinds, limit)?)).await
}

/// How many open alerts nobody has acknowledged.
///
/// # Errors
/// When the database fails.
pub async fn waiting(s: &Services) -> Result<i64, ActError> {
    s.db.read(|conn| Ok(alerts::waiting(conn)?)).await
}

/// What checks have found broken in a repository, or in the places of it, and no later check has found whole. The oldest first.
///
/// # Errors
/// When the database fails.
pub async fn damage(s: &Services, id: RepositoryId) -> Result<Vec<Alert>, ActError> {
    s.db.read(move |conn| {
        Ok(alerts::open_about(conn, AlertKind::RepositoryDamaged, &format!("repository:{id}"), DAMAGE)?)
    })
    .await
}

/// Says that an open alert is known.
///
/// # Errors
/// When there is no such open alert.
pub async fn acknowledge(s: &Services, actor: &Actor, id: AlertId) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        if !alerts::acknowledge(conn, id, &actor.label(), now)? {
            return Err(ActError::NotFound(Noun::Alert));
        }
        Ok(audit::record(conn, &actor, now, "alert.acknowledge", &format!("alert:{id}"), &serde_json::json!({}))?)
    })
    .await
}
