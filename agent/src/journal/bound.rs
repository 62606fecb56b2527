//! The journal's bound on disk. Ends of jobs are small and always kept; their logs are not, so when too much waits, the logs of the jobs
//! that ended first make room, and say so.

use super::JournalError;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::progress::{ChunkRequest, LogLevel, LogLine};
use rusqlite::{Connection, OptionalExtension as _, params};

/// The most that the journal's file may hold: months of ends and weeks of logs.
pub(super) const MOST_BYTES: i64 = 128 * 1024 * 1024;

/// Drops what was confirmed long ago, then the logs of the oldest ended jobs, until the rest fits.
pub(super) fn make_room(db: &Connection, most: i64) -> Result<(), JournalError> {
    while used(db)? > most && (super::told::drop_oldest(db)? || drop_oldest_log(db)?) {}
    Ok(())
}

fn used(db: &Connection) -> Result<i64, JournalError> {
    let number = |pragma: &str| db.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0));
    Ok((number("page_count")? - number("freelist_count")?) * number("page_size")?)
}

/// Puts one line in the place of the oldest log that has more; false if there is none.
fn drop_oldest_log(db: &Connection) -> Result<bool, JournalError> {
    let oldest = db
        .query_row(
            "SELECT c.id, j.attempt, min(c.seq) FROM chunks c JOIN jobs j ON j.id = c.id
             WHERE j.phase = 'finished' GROUP BY c.id HAVING sum(length(c.chunk)) > 1000
             ORDER BY j.accepted_at, j.rowid LIMIT 1",
            [],
            |row| Ok((row.get::<_, String>(0)?, row.get::<_, i32>(1)?, row.get::<_, i64>(2)?)),
        )
        .optional()?;
    let Some((id, attempt, seq)) = oldest else { return Ok(false) };
    let text = "the log was left out here: too much waited on the host for the control plane".to_owned();
    let line = LogLine { at: Timestamp::now(), level: LogLevel::Warning, text };
    let note = ChunkRequest { attempt, seq, status: None, lines: vec![line] };
    db.execute("DELETE FROM chunks WHERE id = ?1", [&id])?;
    db.execute(
        "INSERT INTO chunks (id, seq, chunk) VALUES (?1, ?2, ?3)",
        params![id, seq, serde_json::to_string(&note)?],
    )?;
    Ok(true)
}
