//! What the control plane has confirmed, kept for a while: one that comes back out of an export has forgotten it. It is told again then,
//! and what had run is not run again when it is offered again.

use super::{Journal, JournalError};
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::recall::Restored;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

/// What version 3 has more.
pub(super) const SCHEMA: &str = "
    ALTER TABLE jobs ADD COLUMN told_fire TEXT;
    ALTER TABLE jobs ADD COLUMN recalled INTEGER NOT NULL DEFAULT 0;
    CREATE TABLE told (
        place INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, attempt INTEGER NOT NULL, offer TEXT, accepted_at INTEGER NOT NULL,
        fire TEXT, schedule TEXT, due INTEGER, report TEXT) STRICT;
    CREATE TABLE restored (id TEXT NOT NULL) STRICT;
    PRAGMA user_version = 3;";
/// The most ends that are kept: months of a host with a job an hour.
const MOST: i64 = 3_000;
/// Longer reports (lists of thousands of entries) are not worth their place.
const LONGEST: i64 = 64 * 1024;
/// Jobs that began so long before the export was taken may have ended after it.
const SLACK: i64 = 7 * 86_400 * 1_000_000;

impl Journal {
    /// The import that this agent has told everything since.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn restored(&self) -> Result<Option<String>, JournalError> {
        Ok(self.db().query_row("SELECT id FROM restored", [], |row| row.get(0)).optional()?)
    }

    /// The control plane came out of an export: what was confirmed since waits to be told again. Answers which, oldest first.
    ///
    /// # Errors
    /// When the disk refuses; then the same is to be done again.
    pub fn tell_again(&self, restored: &Restored) -> Result<Vec<JobId>, JournalError> {
        let mut db = self.db();
        let tx = db.transaction()?;
        let known: Option<String> = tx.query_row("SELECT id FROM restored", [], |row| row.get(0)).optional()?;
        if known.as_ref() == Some(&restored.id) {
            return Ok(Vec::new());
        }
        let ids = since(&tx, restored.since.micros() - SLACK)?;
        ids.iter().try_for_each(|id| take_back(&tx, id).map(drop))?;
        tx.execute("DELETE FROM restored", [])?;
        tx.execute("INSERT INTO restored (id) VALUES (?1)", [&restored.id])?;
        tx.commit()?;
        Ok(ids.iter().filter_map(|id| id.parse().ok()).collect())
    }

    /// A job is offered. If it has ended here before, its end waits to be told again, and the answer is true.
    ///
    /// # Errors
    /// When the disk refuses; then the job must not run.
    pub fn take_back_if_told(&self, job: JobId) -> Result<bool, JournalError> {
        let mut db = self.db();
        let sql = "SELECT 1 FROM told WHERE id = ?1";
        let is_told = db.query_row(sql, [job.to_string()], |_| Ok(())).optional()?.is_some();
        if !is_told {
            return Ok(false);
        }
        let tx = db.transaction()?;
        let taken = take_back(&tx, &job.to_string())?;
        tx.commit()?;
        Ok(taken)
    }
}

fn since(db: &Connection, from: i64) -> Result<Vec<String>, JournalError> {
    let mut query = db.prepare("SELECT id FROM told WHERE accepted_at >= ?1 ORDER BY place")?;
    let rows = query.query_map([from], |row| row.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts an end that was confirmed back among those that wait. The fire that it came from is told again too; a job that was offered has to be
/// recalled first.
fn take_back(tx: &Transaction<'_>, id: &str) -> Result<bool, JournalError> {
    let moved = tx.execute(
        "INSERT OR IGNORE INTO jobs (id, attempt, offer, phase, accepted_at, fire, schedule, due, recalled)
         SELECT id, attempt, offer, 'finished', accepted_at, fire, schedule, due, fire IS NULL FROM told WHERE id = ?1",
        [id],
    )?;
    tx.execute(
        "INSERT OR IGNORE INTO reports (id, report) SELECT id, report FROM told WHERE id = ?1 AND report IS NOT NULL",
        [id],
    )?;
    tx.execute("DELETE FROM told WHERE id = ?1", [id])?;
    Ok(moved > 0)
}

/// Keeps a job that is about to go, if it has ended.
pub(super) fn keep(tx: &Transaction<'_>, id: &str) -> Result<(), JournalError> {
    tx.execute(
        "INSERT OR REPLACE INTO told (id, attempt, offer, accepted_at, fire, schedule, due, report)
         SELECT j.id, j.attempt, j.offer, j.accepted_at, coalesce(j.fire, j.told_fire), j.schedule, j.due, r.report
         FROM jobs j LEFT JOIN reports r ON r.id = j.id
         WHERE j.id = ?1 AND j.phase = 'finished' AND coalesce(length(r.report), 0) <= ?2",
        params![id, LONGEST],
    )?;
    tx.execute("DELETE FROM told WHERE place <= (SELECT max(place) FROM told) - ?1", [MOST])?;
    Ok(())
}

/// Drops the oldest of what is kept, some at a time; false if there is nothing.
pub(super) fn drop_oldest(db: &Connection) -> Result<bool, JournalError> {
    Ok(db.execute("DELETE FROM told WHERE place <= (SELECT min(place) FROM told) + 100", [])? > 0)
}

/// When a job that is to be recalled was taken; none if it need not be.
pub(super) fn recalled(db: &Connection, id: &str) -> Result<Option<(String, Timestamp)>, JournalError> {
    let sql = "SELECT offer, accepted_at FROM jobs WHERE id = ?1 AND recalled = 1 AND offer IS NOT NULL";
    let row = db.query_row(sql, [id], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
    Ok(row.map(|(offer, at)| (offer, Timestamp::from_micros(at))))
}
