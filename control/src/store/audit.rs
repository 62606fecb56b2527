//! The audit log: who did what to what, from where. Each entry's hash covers the one before it, so that a removed or altered entry
//! shows.

use super::schema::audit_events;
use super::{Conn, StoreResult};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use restic_manager_shared::time::Timestamp;
use sha2::{Digest, Sha256};

/// One entry.
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// Who, such as `user:anna`.
    pub actor: String,
    /// From which address.
    pub address: String,
    /// What, such as `schedule.update`.
    pub action: String,
    /// To what, such as `schedule:<id>`.
    pub subject: String,
    /// More, as JSON; never a secret.
    pub detail: String,
}

/// An entry with its place in the chain.
#[derive(Clone, Debug)]
pub struct Chained {
    /// Counts up by one, without gaps.
    pub seq: i64,
    /// SHA-256 over the hash before and this entry, hex.
    pub hash: String,
    /// The entry.
    pub entry: Entry,
}

/// The hash of an entry that follows one with the hash `before`. Each part is prefixed by its length, so that moving a character
/// from one to the next shows.
#[must_use]
pub fn chain(before: &str, seq: i64, e: &Entry) -> String {
    let mut hash = Sha256::new();
    for part in
        [before, &seq.to_string(), &e.at.micros().to_string(), &e.actor, &e.address, &e.action, &e.subject, &e.detail]
    {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}

/// Appends an entry.
///
/// # Errors
/// When the database fails.
pub fn append(conn: &mut Conn, e: &Entry) -> StoreResult<()> {
    if let Conn::Pg(c) = conn {
        // Several servers may share one PostgreSQL; the chain has one end. Held until the commit.
        c.batch_execute("SELECT pg_advisory_xact_lock(7120312)")?;
    }
    let last = audit_events::table
        .order(audit_events::seq.desc())
        .select((audit_events::seq, audit_events::hash))
        .first::<(i64, String)>(conn)
        .optional()?;
    let (seq, before) = last.map_or((1, String::new()), |(seq, hash)| (seq + 1, hash));
    diesel::insert_into(audit_events::table)
        .values((
            audit_events::seq.eq(seq),
            audit_events::at.eq(e.at.micros()),
            audit_events::actor.eq(&e.actor),
            audit_events::address.eq(&e.address),
            audit_events::action.eq(&e.action),
            audit_events::subject.eq(&e.subject),
            audit_events::detail.eq(&e.detail),
            audit_events::hash.eq(chain(&before, seq, e)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Entries before `before` (none for the newest), newest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn, before: Option<i64>, limit: i64) -> StoreResult<Vec<Chained>> {
    type Row = (i64, i64, String, String, String, String, String, String);
    let rows = audit_events::table
        .filter(audit_events::seq.lt(before.unwrap_or(i64::MAX)))
        .order(audit_events::seq.desc())
        .limit(limit)
        .load::<Row>(conn)?;
    let entry = |r: Row| Chained {
        seq: r.0,
        hash: r.7,
        entry: Entry {
            at: Timestamp::from_micros(r.1),
            actor: r.2,
            address: r.3,
            action: r.4,
            subject: r.5,
            detail: r.6,
        },
    };
    Ok(rows.into_iter().map(entry).collect())
}
