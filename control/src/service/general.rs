//! General settings: what holds for all hosts that say nothing else.

use super::{ActError, Services, audit};
use crate::domain::permission::Actor;
use crate::domain::watch::General;
use crate::store::{Conn, protection, settings};
use restic_manager_shared::time::Timestamp;

/// The setting that holds them.
const KEY: &str = "general";

/// What holds now.
///
/// # Errors
/// When the database fails.
pub async fn get(s: &Services) -> Result<General, ActError> {
    s.db.read(load).await
}

/// The same, on a connection.
pub(super) fn load(conn: &mut Conn) -> Result<General, ActError> {
    let Some(text) = settings::get(conn, KEY)? else { return Ok(General::default()) };
    serde_json::from_str(&text).map_err(|_| ActError::Internal("the general settings in the database are damaged"))
}

/// Changes them. Where it matters for how hosts stand, all are judged anew in the background.
///
/// # Errors
/// Wrong values.
pub async fn put(s: &Services, actor: &Actor, general: General) -> Result<General, ActError> {
    let wrong = general.check();
    if !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let before = load(conn)?;
        let broken = |_| ActError::Internal("the general settings do not become JSON");
        settings::set(conn, KEY, &serde_json::to_string(&general).map_err(broken)?)?;
        if before.manual_limit() != general.manual_limit() {
            protection::forget_standings(conn)?;
        }
        let detail = serde_json::to_value(general).map_err(broken)?;
        Ok::<_, ActError>(audit::record(conn, &actor, now, "settings.update", "settings:general", &detail)?)
    })
    .await?;
    Ok(general)
}
