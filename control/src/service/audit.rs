//! The audit trail: each act that changes something leaves an entry in the same transaction.

use super::{ActError, Listed, Services, after, page};
use crate::domain::permission::Actor;
pub use crate::store::audit::{Chained, Filter, Word};
use crate::store::{Conn, StoreResult, audit};
use restic_manager_shared::time::Timestamp;

/// The most people, tokens and the like to choose from.
const MAX_ACTORS: usize = 100;

/// Notes who did what to what. `detail` is for people and never holds a secret.
///
/// # Errors
/// When the database fails; then the act is undone too.
pub fn record(
    conn: &mut Conn,
    actor: &Actor,
    now: Timestamp,
    action: &str,
    subject: &str,
    detail: &serde_json::Value,
) -> StoreResult<()> {
    audit::append(
        conn,
        &audit::Entry {
            at: now,
            actor: actor.label(),
            address: actor.address.clone(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            detail: detail.to_string(),
        },
    )
}

/// Whether each of these entries, newest first, follows from the one before it. The oldest stands for itself.
#[must_use]
pub fn is_unbroken(entries: &[Chained]) -> bool {
    entries.windows(2).all(|pair| {
        let [later, before] = pair else { return true };
        later.seq == before.seq + 1 && later.hash == audit::chain(&before.hash, later.seq, &later.entry)
    })
}

/// Entries, newest first. The cursor is the number of the last one seen.
///
/// # Errors
/// When the cursor is not one of ours, or the database fails.
pub async fn list(
    s: &Services,
    filter: Filter,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Chained>, ActError> {
    let before = after(cursor, |c| c.parse::<i64>().ok())?;
    let items = s.db.read(move |conn| audit::list(conn, &filter, before, limit + 1)).await?;
    Ok(page(items, limit, |e| e.seq.to_string()))
}

/// Who there is to choose from: the first hundred who ever did something.
///
/// # Errors
/// When the database fails.
pub async fn actors(s: &Services) -> Result<Vec<String>, ActError> {
    Ok(s.db.read(|conn| audit::actors(conn, MAX_ACTORS)).await?)
}
