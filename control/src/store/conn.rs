//! One connection type for two databases.

#![allow(missing_docs)] // the derive makes public items without docs

/// A connection to either database; one query code serves both.
#[derive(diesel::MultiConnection)]
pub enum Conn {
    /// PostgreSQL.
    Pg(diesel::PgConnection),
    /// SQLite.
    Sqlite(diesel::SqliteConnection),
}

/// The backend type of [`Conn`], for boxed queries.
pub type Backend = MultiBackend;
