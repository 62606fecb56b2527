//! Watching the fleet: what holds for hosts becomes alerts, and what holds no more ends them. The rule is `domain::watch`.

use super::{ActError, Services, general};
use crate::domain::alert::Alert;
use crate::domain::watch::{Change, Condition, KINDS, changes, conditions, quiet};
use crate::store::{alerts, hosts};
use restic_manager_shared::time::Timestamp;

/// Alerts that are opened or ended in one write.
const AT_ONCE: usize = 200;

fn condition(alert: Alert) -> Condition {
    Condition { kind: alert.kind, subject: alert.subject, severity: alert.severity, detail: alert.detail }
}

/// Opens and ends alerts until they say what holds for each host. Answers how many were changed.
///
/// # Errors
/// When the database fails.
pub async fn look(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let seen = s.presence.all_seen();
    let (mut watched, open, general) =
        s.db.read(move |conn| {
            Ok::<_, ActError>((hosts::watched(conn, now)?, alerts::open_of(conn, &KINDS)?, general::load(conn)?))
        })
        .await?;
    for host in &mut watched {
        host.last_seen = host.last_seen.max(seen.get(&host.id).copied());
    }
    let open: Vec<Condition> = open.into_iter().map(condition).collect();
    let changes = changes(&open, &conditions(&watched, general, s.started_at, now), &quiet(&watched));
    for some in changes.chunks(AT_ONCE) {
        let some = some.to_vec();
        s.db.write(move |conn| {
            for change in &some {
                match change {
                    Change::Holds(c) => drop(alerts::raise(conn, (c.kind, &c.subject), c.severity, &c.detail, now)?),
                    Change::Ended(kind, subject) => drop(alerts::resolve(conn, (*kind, subject), now)?),
                }
            }
            Ok::<_, ActError>(())
        })
        .await?;
    }
    Ok(changes.len())
}
