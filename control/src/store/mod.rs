//! The database, and the only place that knows diesel. One file for each noun; each function is one statement or a few that belong
//! together, on a connection that the caller's transaction holds. What may be done is decided elsewhere.

pub mod alerts;
pub mod alerts_by_tag;
pub mod audit;
mod bridge;
pub mod channels;
mod conn;
pub mod credentials;
pub mod day_figures;
pub mod db;
pub mod deliveries;
pub mod doctor;
pub mod drills;
pub mod enrollment;
pub mod fires;
pub mod host_search;
pub mod hosts;
mod job_list;
mod job_steps;
pub mod jobs;
pub mod migrate;
pub mod names;
pub mod next_runs;
pub mod open_jobs;
pub mod past;
pub mod protection;
pub mod recovery;
pub mod relay;
pub mod releases;
pub mod repositories;
pub mod restores;
pub mod rows;
pub mod schedules;
mod schema;
pub mod search;
pub mod settings;
mod slow;
pub mod snapshot_days;
pub mod snapshots;
pub mod standing;
pub mod summaries;
pub mod tokens;
pub mod told;
pub mod upkeep;
pub mod users;
mod writer;

pub use conn::Conn;
pub use db::{Db, OpenError, Target};

/// Why the database did not do as it was told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// A row with this unique value is there already.
    #[error("duplicate: {0}")]
    Duplicate(String),
    /// Something still refers to the row.
    #[error("still in use: {0}")]
    StillUsed(String),
    /// A row holds what this version cannot read.
    #[error("the database holds an unreadable {what}: {value}")]
    Corrupt {
        /// Which column, such as `jobs.state`.
        what: &'static str,
        /// What it holds.
        value: String,
    },
    /// The database cannot be reached, or the server is stopping.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// Anything else that it said.
    #[error("database error: {0}")]
    Database(String),
}

/// Why nothing can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// Since the first try that came to nothing.
    pub since: restic_manager_shared::time::Timestamp,
    /// What the database said at the newest.
    pub why: String,
}

/// What a store function answers.
pub type StoreResult<T> = Result<T, StoreError>;

impl From<diesel::result::Error> for StoreError {
    fn from(error: diesel::result::Error) -> Self {
        use diesel::result::{DatabaseErrorKind as Kind, Error};
        match error {
            Error::DatabaseError(Kind::UniqueViolation, info) => Self::Duplicate(info.message().to_owned()),
            Error::DatabaseError(Kind::ForeignKeyViolation | Kind::RestrictViolation, info) => {
                Self::StillUsed(info.message().to_owned())
            }
            Error::DatabaseError(Kind::ClosedConnection | Kind::UnableToSendCommand, info) => {
                Self::Unavailable(info.message().to_owned())
            }
            other => Self::Database(other.to_string()),
        }
    }
}
