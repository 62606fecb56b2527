//! The audit log: who did what to what, from where. Each entry's hash covers the one before it, so that a removed or altered entry
//! shows.

use super::conn::Backend;
use super::host_search::{anywhere, beginning};
use super::schema::audit_events;
use super::{Conn, StoreResult};
use crate::domain::audit::{Acts, JOBS, SIGN_INS};
use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
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

/// Which entries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Who, as the log spells it.
    pub actor: Option<String>,
    /// Which acts.
    pub acts: Option<Acts>,
    /// To what, as the log spells it.
    pub subject: Option<String>,
    /// Each of these has to be found.
    pub words: Vec<Word>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

/// A word of a search.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Word {
    /// In small letters, as it may stand in an entry or in the name of what the entry is about.
    pub text: String,
    /// The acts that are told with it.
    pub actions: Vec<String>,
}

type Query<'a> = audit_events::BoxedQuery<'a, Backend>;

/// Entries with a word in themselves, in how their act is told, or in the name of what they are about: of a host also its schedules
/// and jobs. Those of what was deleted are found by what the entry itself says.
fn with_word<'a>(query: Query<'a>, word: &Word) -> Query<'a> {
    let pattern = anywhere(&word.text);
    let text = || pattern.clone();
    let own = sql::<Bool>("(lower(actor || ' ' || address || ' ' || action || ' ' || subject || ' ' || detail) LIKE ")
        .bind::<Text, _>(text())
        .sql(" ESCAPE '!' OR subject IN (SELECT 'host:' || h.id FROM hosts h WHERE lower(h.name) LIKE ")
        .bind::<Text, _>(text())
        .sql(
            " ESCAPE '!' UNION ALL SELECT 'schedule:' || s.id FROM schedules s JOIN hosts h ON h.id = s.host_id \
             WHERE lower(s.name || ' ' || h.name) LIKE ",
        )
        .bind::<Text, _>(text())
        .sql(" ESCAPE '!' UNION ALL SELECT 'repository:' || r.id FROM repositories r WHERE lower(r.name) LIKE ")
        .bind::<Text, _>(text())
        .sql(" ESCAPE '!' UNION ALL SELECT 'user:' || u.id FROM users u WHERE lower(u.name) LIKE ")
        .bind::<Text, _>(text())
        .sql(
            " ESCAPE '!') OR (subject LIKE 'job:%' AND EXISTS (SELECT 1 FROM jobs j JOIN hosts h ON h.id = j.host_id \
             WHERE j.id = substr(subject, 5) AND lower(h.name) LIKE ",
        )
        .bind::<Text, _>(text())
        .sql(" ESCAPE '!')))");
    query.filter(own.or(audit_events::action.eq_any(word.actions.clone())))
}

fn with_acts<'a>(query: Query<'a>, acts: &Acts) -> Query<'a> {
    match acts {
        Acts::Changes => query.filter(audit_events::action.ne_all(SIGN_INS.iter().chain(&JOBS).copied())),
        // The detail is JSON as this program writes it, without spaces.
        Acts::Restores => {
            query.filter(audit_events::action.eq("job.run")).filter(audit_events::detail.like("%\"kind\":\"restore\"%"))
        }
        Acts::SignIns => query.filter(audit_events::action.eq_any(SIGN_INS)),
        Acts::Code(code) => {
            let below = sql::<Bool>("action LIKE ").bind::<Text, _>(beginning(&format!("{code}.")));
            query.filter(audit_events::action.eq(code.clone()).or(below.sql(" ESCAPE '!'")))
        }
    }
}

fn narrowed<'a>(filter: &Filter) -> Query<'a> {
    let mut query = audit_events::table.into_boxed::<Backend>();
    if let Some(actor) = &filter.actor {
        query = query.filter(audit_events::actor.eq(actor.clone()));
    }
    if let Some(subject) = &filter.subject {
        query = query.filter(audit_events::subject.eq(subject.clone()));
    }
    if let Some(since) = filter.since {
        query = query.filter(audit_events::at.ge(since.micros()));
    }
    if let Some(until) = filter.until {
        query = query.filter(audit_events::at.lt(until.micros()));
    }
    if let Some(acts) = &filter.acts {
        query = with_acts(query, acts);
    }
    filter.words.iter().fold(query, with_word)
}

/// Entries before `before` (none for the newest), newest first.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn, filter: &Filter, before: Option<i64>, limit: i64) -> StoreResult<Vec<Chained>> {
    type Row = (i64, i64, String, String, String, String, String, String);
    let rows = narrowed(filter)
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

/// All who ever did something, in the order of their spelling; `limit` of them at most. Each is one step in the index, however much
/// they did.
///
/// # Errors
/// When the database fails.
pub fn actors(conn: &mut Conn, limit: usize) -> StoreResult<Vec<String>> {
    let mut found: Vec<String> = vec![];
    while found.len() < limit {
        let seen = found.last().cloned().unwrap_or_default();
        let next = audit_events::table
            .filter(audit_events::actor.gt(seen))
            .order(audit_events::actor)
            .select(audit_events::actor)
            .first::<String>(conn)
            .optional()?;
        match next {
            Some(actor) => found.push(actor),
            None => break,
        }
    }
    Ok(found)
}
