//! The journal: what the agent has promised, on disk before it acts. Jobs it accepted and how far they are, ends that the server has
//! not confirmed, and log chunks of ended jobs that wait; a running job's log is in its [`logbook`](crate::logbook).
//! SQLite, every write through to the disk before it counts.

mod bound;
mod fires;
mod told;

pub use fires::Spooled;

use crate::state_dir::StateDir;
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::FireReport;
use restic_manager_shared::wire::job::{FinishReport, Offer};
use restic_manager_shared::wire::progress::ChunkRequest;
use rusqlite::{Connection, ErrorCode, OptionalExtension as _, params};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

const FILE: &str = "journal.db";
const SCHEMA_VERSION: i64 = 3;
const SCHEMA: &str = "
    CREATE TABLE jobs (
        id TEXT PRIMARY KEY, attempt INTEGER NOT NULL, offer TEXT, phase TEXT NOT NULL,
        pid INTEGER, birth TEXT, accepted_at INTEGER NOT NULL, started_at INTEGER,
        fire TEXT, schedule TEXT, due INTEGER) STRICT;
    CREATE TABLE ledgers (
        schedule TEXT PRIMARY KEY, cron TEXT NOT NULL, timezone TEXT NOT NULL,
        since INTEGER NOT NULL, until INTEGER NOT NULL) STRICT;
    CREATE TABLE fired (schedule TEXT NOT NULL, due INTEGER NOT NULL, PRIMARY KEY (schedule, due)) STRICT;
    CREATE TABLE reports (id TEXT PRIMARY KEY, report TEXT NOT NULL) STRICT;
    CREATE TABLE chunks (id TEXT NOT NULL, seq INTEGER NOT NULL, chunk TEXT NOT NULL, PRIMARY KEY (id, seq)) STRICT;
    PRAGMA user_version = 1;";
/// What version 2 has more: lines that are followed no longer, until the control plane knows.
const ENDED: &str = "
    CREATE TABLE ended (
        schedule TEXT NOT NULL, cron TEXT NOT NULL, timezone TEXT NOT NULL,
        since INTEGER NOT NULL, until INTEGER NOT NULL) STRICT;
    PRAGMA user_version = 2;";

/// The journal cannot do what it is for.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk or SQLite refuses.
    #[error("the agent's journal cannot be used: {0}")]
    Database(#[from] rusqlite::Error),
    /// A record cannot be turned into JSON.
    #[error("a journal record cannot be written: {0}")]
    Json(#[from] serde_json::Error),
    /// A later agent has been here.
    #[error("the journal {0} was written by a newer agent; install that version again")]
    Newer(PathBuf),
    /// The damaged file cannot be put aside.
    #[error("the journal is damaged and cannot be moved aside: {0}")]
    MoveAside(std::io::Error),
}

/// How far a job is, as the journal knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Offered and written down, not known to be claimed.
    Accepted,
    /// Claimed; restic may have run.
    Started,
    /// Ended; the report waits to be confirmed.
    Finished,
}

impl Phase {
    const fn word(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Started => "started",
            Self::Finished => "finished",
        }
    }

    fn from_word(word: &str) -> Self {
        match word {
            "accepted" => Self::Accepted,
            "finished" => Self::Finished,
            _ => Self::Started,
        }
    }
}

/// A job in the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What was offered.
    pub offer: Offer,
    /// How far it is.
    pub phase: Phase,
    /// The child that was started last: its number and its birth.
    pub child: Option<(u32, Option<String>)>,
    /// When it started.
    pub started_at: Option<Timestamp>,
    /// The fire that it came from, while the control plane does not know it; the agent starts it without a claim.
    pub fire: Option<FireReport>,
    /// Whether it came from a fire at all.
    pub fired: bool,
}

/// The open journal.
#[derive(Debug)]
pub struct Journal {
    db: Mutex<Connection>,
    most_bytes: i64,
}

impl Journal {
    /// Opens the journal, or makes it. A damaged one is moved aside with a loud error, so that the host keeps being backed up.
    ///
    /// # Errors
    /// When the disk refuses, or a newer agent wrote it.
    pub fn open(dir: &StateDir) -> Result<Self, JournalError> {
        let path = dir.file(FILE);
        let db = match open(&path) {
            Err(JournalError::Database(e)) if is_damage(&e) => {
                let aside = move_aside(&path).map_err(JournalError::MoveAside)?;
                tracing::error!(error = %e, moved_to = %aside.display(), "the journal was damaged; starting a new one. Ends of jobs that were not yet confirmed may be missing at the control plane");
                open(&path)?
            }
            other => other?,
        };
        Ok(Self { db: Mutex::new(db), most_bytes: bound::MOST_BYTES })
    }

    fn db(&self) -> MutexGuard<'_, Connection> {
        self.db.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down an offer. One that is known and not yet started takes over the newer attempt.
    ///
    /// # Errors
    /// When the disk refuses; then the offer must not be claimed.
    pub fn accept(&self, offer: &Offer, now: Timestamp) -> Result<(), JournalError> {
        let json = serde_json::to_string(offer)?;
        self.db().execute(
            "INSERT INTO jobs (id, attempt, offer, phase, accepted_at) VALUES (?1, ?2, ?3, 'accepted', ?4)
             ON CONFLICT (id) DO UPDATE SET attempt = ?2, offer = ?3 WHERE phase = 'accepted'",
            params![offer.id.to_string(), offer.attempt, json, now.micros()],
        )?;
        Ok(())
    }

    /// The claim was won: restic starts next.
    ///
    /// # Errors
    /// When the disk refuses; then restic must not start.
    pub fn start(&self, job: JobId, now: Timestamp) -> Result<(), JournalError> {
        self.db().execute(
            "UPDATE jobs SET phase = ?2, started_at = ?3 WHERE id = ?1",
            params![job.to_string(), Phase::Started.word(), now.micros()],
        )?;
        Ok(())
    }

    /// The child that works on a job now.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn child(&self, job: JobId, pid: u32, birth: Option<&str>) -> Result<(), JournalError> {
        let id = job.to_string();
        self.db().execute("UPDATE jobs SET pid = ?2, birth = ?3 WHERE id = ?1", params![id, pid, birth])?;
        Ok(())
    }

    /// How a job ended, with the log chunks that wait, so that a kill right after it loses neither. On the disk when this returns true;
    /// false for a job that could not be written down when it began.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(&self, job: JobId, report: &FinishReport, waiting: &[ChunkRequest]) -> Result<bool, JournalError> {
        let (id, json) = (job.to_string(), serde_json::to_string(report)?);
        let mut db = self.db();
        let tx = db.transaction()?;
        let known = tx.execute("UPDATE jobs SET phase = ?2 WHERE id = ?1", params![id, Phase::Finished.word()])? > 0;
        for chunk in waiting.iter().filter(|_| known) {
            put_chunk(&tx, job, chunk)?;
        }
        if known {
            tx.execute("INSERT OR REPLACE INTO reports (id, report) VALUES (?1, ?2)", params![id, json])?;
        }
        tx.commit()?;
        bound::make_room(&db, self.most_bytes)?;
        Ok(known)
    }

    /// A job's unconfirmed end.
    ///
    /// # Errors
    /// When the disk refuses or the record does not parse.
    pub fn report(&self, job: JobId) -> Result<Option<FinishReport>, JournalError> {
        let json: Option<String> = self
            .db()
            .query_row("SELECT report FROM reports WHERE id = ?1", [job.to_string()], |row| row.get(0))
            .optional()?;
        Ok(json.map(|j| serde_json::from_str(&j)).transpose()?)
    }

    /// Keeps these chunks of an ended job and no others: their numbers have changed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn replace_chunks(&self, job: JobId, chunks: &[ChunkRequest]) -> Result<(), JournalError> {
        let mut db = self.db();
        let tx = db.transaction()?;
        tx.execute("DELETE FROM chunks WHERE id = ?1", [job.to_string()])?;
        chunks.iter().try_for_each(|chunk| put_chunk(&tx, job, chunk))?;
        tx.commit()?;
        Ok(())
    }

    /// Drops a job's chunks up to this number.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn drop_chunks(&self, job: JobId, up_to: i64) -> Result<(), JournalError> {
        self.db().execute("DELETE FROM chunks WHERE id = ?1 AND seq <= ?2", params![job.to_string(), up_to])?;
        Ok(())
    }

    /// A job's chunks that wait, in order. One that does not parse is left out.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn chunks(&self, job: JobId) -> Result<Vec<ChunkRequest>, JournalError> {
        let db = self.db();
        let mut query = db.prepare("SELECT chunk FROM chunks WHERE id = ?1 ORDER BY seq")?;
        let rows = query.query_map([job.to_string()], |row| row.get::<_, String>(0))?;
        let texts = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(texts.iter().filter_map(|t| serde_json::from_str(t).ok()).collect())
    }

    /// All about a job is confirmed, or nobody wants it: it goes. If it has ended, how is kept a while longer.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget(&self, job: JobId) -> Result<(), JournalError> {
        let id = job.to_string();
        let mut db = self.db();
        // A full disk may have room for less, not for more.
        forget(&mut db, &id, true).or_else(|_| forget(&mut db, &id, false))
    }

    /// All jobs that have not ended, oldest first. A record that does not parse is reported and left out.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn entries(&self) -> Result<Vec<Entry>, JournalError> {
        let db = self.db();
        let mut query = db.prepare(
            "SELECT offer, phase, pid, birth, started_at, fire, due FROM jobs
             WHERE phase <> 'finished' ORDER BY accepted_at, rowid",
        )?;
        let rows = query.query_map([], |row| {
            let (offer, phase): (String, String) = (row.get(0)?, row.get(1)?);
            let (pid, birth, started): (Option<u32>, Option<String>, Option<i64>) =
                (row.get(2)?, row.get(3)?, row.get(4)?);
            let (fire, due): (Option<String>, Option<i64>) = (row.get(5)?, row.get(6)?);
            Ok((offer, phase, pid.map(|p| (p, birth)), started, fire, due))
        })?;
        let mut entries = Vec::new();
        for row in rows {
            let (offer, phase, child, started, fire, due) = row?;
            let read = serde_json::from_str(&offer)
                .and_then(|offer| Ok((offer, fire.map(|f| serde_json::from_str(&f)).transpose()?)));
            match read {
                Ok((offer, fire)) => entries.push(Entry {
                    offer,
                    phase: Phase::from_word(&phase),
                    child,
                    started_at: started.map(Timestamp::from_micros),
                    fire,
                    fired: due.is_some(),
                }),
                Err(e) => tracing::error!(error = %e, "a job in the journal cannot be read and is left out"),
            }
        }
        Ok(entries)
    }

    /// How many records wait to be sent.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn waiting(&self) -> Result<u64, JournalError> {
        let sql = "SELECT (SELECT count(*) FROM jobs WHERE phase = 'finished') + (SELECT count(*) FROM chunks)";
        let count: i64 = self.db().query_row(sql, [], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }
}

fn forget(db: &mut Connection, id: &str, keep: bool) -> Result<(), JournalError> {
    let tx = db.transaction()?;
    if keep {
        told::keep(&tx, id)?;
    }
    for table in ["jobs", "reports", "chunks"] {
        tx.execute(&format!("DELETE FROM {table} WHERE id = ?1"), [id])?;
    }
    Ok(tx.commit()?)
}

fn put_chunk(db: &Connection, job: JobId, chunk: &ChunkRequest) -> Result<(), JournalError> {
    let json = serde_json::to_string(chunk)?;
    db.execute(
        "INSERT OR REPLACE INTO chunks (id, seq, chunk) VALUES (?1, ?2, ?3)",
        params![job.to_string(), chunk.seq, json],
    )?;
    Ok(())
}

fn open(path: &Path) -> Result<Connection, JournalError> {
    let db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;")?;
    let health: String = db.query_row("PRAGMA quick_check", [], |row| row.get(0))?;
    if health != "ok" {
        let damage = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
        return Err(rusqlite::Error::SqliteFailure(damage, Some(health)).into());
    }
    match db.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? {
        0 => db.execute_batch(&format!("BEGIN IMMEDIATE; {SCHEMA} {ENDED} {} COMMIT;", told::SCHEMA))?,
        1 => db.execute_batch(&format!("BEGIN IMMEDIATE; {ENDED} {} COMMIT;", told::SCHEMA))?,
        2 => db.execute_batch(&format!("BEGIN IMMEDIATE; {} COMMIT;", told::SCHEMA))?,
        SCHEMA_VERSION => {}
        _ => return Err(JournalError::Newer(path.to_owned())),
    }
    Ok(db)
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

fn move_aside(path: &Path) -> std::io::Result<PathBuf> {
    let aside = path.with_extension(format!("damaged-{}", Timestamp::now().seconds()));
    std::fs::rename(path, &aside)?;
    for suffix in ["-wal", "-shm"] {
        let mut beside = path.as_os_str().to_owned();
        beside.push(suffix);
        let _ = std::fs::remove_file(PathBuf::from(beside));
    }
    Ok(aside)
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
