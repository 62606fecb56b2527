//! One connection type for two databases, a pool for readers, and one writer. Reads and writes run off the async threads.

use super::conn::Conn;
use super::writer::Writer;
use super::{StoreError, Trouble, migrate, slow};
use diesel::connection::{Connection as _, SimpleConnection};
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool, R2D2Connection};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Which database.
#[derive(Clone, Debug)]
pub enum Target {
    /// A file; made on first use.
    Sqlite(PathBuf),
    /// A `postgres://` URL.
    Postgres(String),
}

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No connection.
    #[error("the database cannot be opened: {0}")]
    Connect(String),
    /// A newer version of restic-manager has used it.
    #[error(
        "the database was used by a newer version of restic-manager (it has migration {0}, which this version does not know): \
         start that version, or restore a copy of the database from before the upgrade"
    )]
    Newer(String),
    /// A migration failed; the database is as it was before it.
    #[error("the database could not be brought up to date: {0}")]
    Migrate(String),
}

/// Opens connections to a target. Not `Conn::establish`: that tries each backend in turn and hides the real error.
#[derive(Clone, Debug)]
pub(super) struct Manager {
    pub target: Target,
    pub read_only: bool,
}

impl Manager {
    pub fn open(&self) -> Result<Conn, OpenError> {
        let failed = |e: &dyn std::fmt::Display| OpenError::Connect(e.to_string());
        match &self.target {
            Target::Postgres(url) => {
                let mut c = PgConnection::establish(url).map_err(|e| failed(&e))?;
                c.set_instrumentation(slow::Watch::default());
                if self.read_only {
                    c.batch_execute("SET default_transaction_read_only = on").map_err(|e| failed(&e))?;
                }
                Ok(Conn::Pg(c))
            }
            Target::Sqlite(path) => {
                let mut c = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| failed(&e))?;
                c.set_instrumentation(slow::Watch::default());
                // busy_timeout first: the switch to WAL itself may meet a lock.
                c.batch_execute(
                    "PRAGMA busy_timeout = 10000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                     PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -8192;",
                )
                .map_err(|e| failed(&e))?;
                if self.read_only {
                    c.batch_execute("PRAGMA query_only = ON").map_err(|e| failed(&e))?;
                }
                Ok(Conn::Sqlite(c))
            }
        }
    }
}

impl ManageConnection for Manager {
    type Connection = Conn;
    type Error = OpenError;

    fn connect(&self) -> Result<Conn, OpenError> {
        self.open()
    }

    fn is_valid(&self, conn: &mut Conn) -> Result<(), OpenError> {
        match conn {
            // A file does not go away; asking it each time costs a statement per read.
            Conn::Sqlite(_) => Ok(()),
            Conn::Pg(c) => c.ping().map_err(|e| OpenError::Connect(e.to_string())),
        }
    }

    fn has_broken(&self, conn: &mut Conn) -> bool {
        std::thread::panicking() || conn.is_broken()
    }
}

/// Readers at once. SQLite reads from the page cache, PostgreSQL waits for the network; both are well served by a few.
const READERS: u32 = 8;
/// How long a read waits for its turn. A client has given up before.
const TURN: Duration = Duration::from_secs(60);

/// The database.
#[derive(Clone)]
pub struct Db {
    readers: Pool<Manager>,
    /// Who may take a reader, first come, first served. The pool itself would let whoever wakes first go first, and each that waits in it
    /// holds a thread.
    turns: Arc<Semaphore>,
    writer: Writer,
}

impl Db {
    /// Opens it and brings its schema up to date.
    ///
    /// # Errors
    /// [`OpenError`] says what is in the way and what to do.
    pub fn open(target: &Target) -> Result<Self, OpenError> {
        let manager = Manager { target: target.clone(), read_only: false };
        let mut conn = manager.open()?;
        migrate::up(&mut conn)?;
        let readers = Pool::builder()
            .max_size(READERS)
            .min_idle(Some(1))
            .connection_timeout(Duration::from_secs(10))
            .test_on_check_out(true)
            .build(Manager { read_only: true, ..manager.clone() })
            .map_err(|e| OpenError::Connect(e.to_string()))?;
        let turns = Arc::new(Semaphore::new(READERS as usize));
        Ok(Self { readers, turns, writer: Writer::start(manager, conn) })
    }

    /// Runs a read on a reader's connection, off the async threads.
    ///
    /// # Errors
    /// What the closure answers, or that no connection could be had.
    pub async fn read<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    {
        let readers = self.readers.clone();
        let busy = || StoreError::Unavailable("every reader is busy".into());
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned());
        let turn = turn.await.map_err(|_| busy())?.map_err(|_| busy())?;
        tokio::task::spawn_blocking(move || {
            // Kept to the end of the read, even if nobody waits for its answer any more.
            let _turn = turn;
            let mut conn = readers.get().map_err(|e| StoreError::Unavailable(e.to_string()))?;
            f(&mut conn)
        })
        .await
        .map_err(|e| StoreError::Database(e.to_string()))?
    }

    /// Runs a change as one transaction and answers after it is durable. Changes that come at the same time share a commit; one that
    /// fails leaves the others alone.
    ///
    /// # Errors
    /// What the closure answers (then nothing of it is kept), or that the commit failed.
    pub async fn write<T, E, F>(&self, f: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
        F: FnOnce(&mut Conn) -> Result<T, E> + Send + 'static,
    {
        self.writer.write(f).await
    }

    /// Why nothing can be written, if the newest try came to that.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        self.writer.trouble()
    }
}
