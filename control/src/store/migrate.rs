//! Migrations: two folders of the same names, one for each database, embedded in the binary.

use super::conn::Conn;
use super::db::OpenError;
use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use std::error::Error;

const SQLITE: EmbeddedMigrations = embed_migrations!("../migrations/sqlite");
const POSTGRES: EmbeddedMigrations = embed_migrations!("../migrations/postgres");
/// An arbitrary number that names our lock: two servers that start at once must not both migrate.
const PG_LOCK: i64 = 7_120_311;

/// Brings the schema up to date.
///
/// # Errors
/// [`OpenError::Newer`] if the database knows migrations that this build does not; [`OpenError::Migrate`] if one failed.
pub fn up(conn: &mut Conn) -> Result<(), OpenError> {
    let failed = |e: Box<dyn Error + Send + Sync>| OpenError::Migrate(e.to_string());
    match conn {
        Conn::Sqlite(c) => {
            refuse_newer(c, &SQLITE)?;
            c.run_pending_migrations(SQLITE).map(drop).map_err(failed)
        }
        Conn::Pg(c) => {
            c.batch_execute(&format!("SELECT pg_advisory_lock({PG_LOCK})")).map_err(|e| failed(e.into()))?;
            let outcome =
                refuse_newer(c, &POSTGRES).and_then(|()| c.run_pending_migrations(POSTGRES).map(drop).map_err(failed));
            c.batch_execute(&format!("SELECT pg_advisory_unlock({PG_LOCK})")).map_err(|e| failed(e.into()))?;
            outcome
        }
    }
}

/// Runs those migrations only that rows from elsewhere were written under, so that they fit; `up` runs the rest over them.
///
/// # Errors
/// [`OpenError::Newer`] if this build does not know one of them; [`OpenError::Migrate`] if one failed.
pub fn up_through(conn: &mut Conn, versions: &[String]) -> Result<(), OpenError> {
    match conn {
        Conn::Sqlite(c) => run_through(c, SQLITE, versions),
        Conn::Pg(c) => run_through(c, POSTGRES, versions),
    }
}

fn run_through<DB: diesel::backend::Backend, C: MigrationHarness<DB>>(
    conn: &mut C,
    source: EmbeddedMigrations,
    versions: &[String],
) -> Result<(), OpenError>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let failed = |e: Box<dyn Error + Send + Sync>| OpenError::Migrate(e.to_string());
    refuse_newer(conn, &source)?;
    let mut known: Vec<_> = MigrationSource::<DB>::migrations(&source).map_err(failed)?;
    known.sort_by_key(|m| m.name().version().to_string());
    let is_unknown = |version: &&String| !known.iter().any(|m| m.name().version().to_string() == **version);
    if let Some(unknown) = versions.iter().find(is_unknown) {
        return Err(OpenError::Newer(unknown.clone()));
    }
    let applied: Vec<String> = conn.applied_migrations().map_err(failed)?.iter().map(ToString::to_string).collect();
    for migration in known {
        let version = migration.name().version().to_string();
        if versions.contains(&version) && !applied.contains(&version) {
            conn.run_migration(&*migration).map_err(failed)?;
        }
    }
    Ok(())
}

/// Takes every migration back. Only tests use it.
///
/// # Errors
/// When a `down.sql` fails.
pub fn down(conn: &mut Conn) -> Result<(), OpenError> {
    let failed = |e: Box<dyn Error + Send + Sync>| OpenError::Migrate(e.to_string());
    match conn {
        Conn::Sqlite(c) => c.revert_all_migrations(SQLITE).map(drop).map_err(failed),
        Conn::Pg(c) => c.revert_all_migrations(POSTGRES).map(drop).map_err(failed),
    }
}

/// Takes the last so many migrations back. Only tests use it.
///
/// # Errors
/// When a `down.sql` fails.
pub fn down_by(conn: &mut Conn, count: usize) -> Result<(), OpenError> {
    let failed = |e: Box<dyn Error + Send + Sync>| OpenError::Migrate(e.to_string());
    for _ in 0..count {
        match conn {
            Conn::Sqlite(c) => c.revert_last_migration(SQLITE).map(drop).map_err(failed)?,
            Conn::Pg(c) => c.revert_last_migration(POSTGRES).map(drop).map_err(failed)?,
        }
    }
    Ok(())
}

fn refuse_newer<DB: diesel::backend::Backend, C: MigrationHarness<DB>>(
    conn: &mut C,
    source: &EmbeddedMigrations,
) -> Result<(), OpenError>
where
    EmbeddedMigrations: MigrationSource<DB>,
{
    let failed = |e: Box<dyn Error + Send + Sync>| OpenError::Migrate(e.to_string());
    let known: Vec<MigrationVersion<'static>> = source
        .migrations()
        .map_err(failed)?
        .iter()
        .map(|m| Migration::<DB>::name(m.as_ref()).version().as_owned())
        .collect();
    let applied = conn.applied_migrations().map_err(failed)?;
    match applied.into_iter().find(|version| !known.contains(version)) {
        Some(version) => Err(OpenError::Newer(version.to_string())),
        None => Ok(()),
    }
}
