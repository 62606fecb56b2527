//! All rows of the database, to be carried elsewhere: read at one moment while others write, written into an empty database of either
//! kind. Rows travel as JSON objects, because both databases can make and take them by themselves.

use super::conn::Conn;
use super::db::{Manager, OpenError, Target};
use super::{StoreError, StoreResult, migrate};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

/// The tables that are carried, so that no row comes before one that it refers to.
pub const TABLES: [&str; 30] = [
    "settings",
    "users",
    "api_tokens",
    "hosts",
    "host_agents",
    "releases",
    "rollouts",
    "repositories",
    "recovery_kits",
    "enrollment_tokens",
    "host_credentials",
    "schedules",
    "jobs",
    "schedule_ledgers",
    "schedule_tracks",
    "next_runs",
    "job_log",
    "snapshots",
    "repository_samples",
    "place_sizes",
    "repository_locks",
    "repository_chores",
    "restores",
    "drill_states",
    "drills",
    "drilled_files",
    "alerts",
    "channels",
    "deliveries",
    "audit_events",
];
/// The tables that stay behind: who was signed in signs in again.
pub const LEFT_BEHIND: [&str; 1] = ["sessions"];
/// Rows that PostgreSQL hands over at a time.
const FETCH: usize = 500;

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    row: String,
}

#[derive(QueryableByName)]
struct Name {
    #[diesel(sql_type = Text)]
    name: String,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// Opens an empty database and makes the schema that rows of these migrations fit into.
///
/// # Errors
/// When it cannot be opened, or this version does not know one of the migrations.
pub fn open_empty(target: &Target, migrations: &[String]) -> Result<Conn, OpenError> {
    let mut conn = Manager { target: target.clone(), read_only: false }.open()?;
    migrate::up_through(&mut conn, migrations)?;
    Ok(conn)
}

/// Which migrations the database has.
///
/// # Errors
/// When the database fails.
pub fn migrations(conn: &mut Conn) -> StoreResult<Vec<String>> {
    let query = diesel::sql_query("SELECT version AS name FROM __diesel_schema_migrations ORDER BY version");
    Ok(query.load::<Name>(conn)?.into_iter().map(|n| n.name).collect())
}

/// Tables that have rows already. Settings do not count: a server that only started has some.
///
/// # Errors
/// When the database fails.
pub fn filled(conn: &mut Conn) -> StoreResult<Vec<&'static str>> {
    let mut filled = Vec::new();
    for table in TABLES {
        let query = diesel::sql_query(format!("SELECT count(*) AS count FROM {table}"));
        let found: Count = query.get_result(conn)?;
        if found.count > 0 && table != "settings" {
            filled.push(table);
        }
    }
    Ok(filled)
}

/// Hands over each row of a table as a JSON object, without holding them all.
///
/// # Errors
/// When the database fails, or what the closure answers.
pub fn each_row<E: From<StoreError>>(
    conn: &mut Conn,
    table: &str,
    mut f: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    match conn {
        Conn::Sqlite(c) => {
            let columns = columns(c, table)?;
            let pairs: Vec<String> = columns.iter().map(|name| format!("'{name}', \"{name}\"")).collect();
            let query = diesel::sql_query(format!("SELECT json_object({}) AS row FROM {table}", pairs.join(", ")));
            let rows = query.load_iter::<Row, diesel::connection::DefaultLoadingMode>(c).map_err(StoreError::from)?;
            for row in rows {
                f(&row.map_err(StoreError::from)?.row)?;
            }
            Ok(())
        }
        Conn::Pg(c) => {
            c.batch_execute(&format!(
                "DECLARE carried NO SCROLL CURSOR FOR SELECT row_to_json({table})::text AS row FROM {table}"
            ))
            .map_err(StoreError::from)?;
            loop {
                let query = diesel::sql_query(format!("FETCH {FETCH} FROM carried"));
                let rows = query.load::<Row>(c).map_err(StoreError::from)?;
                if rows.is_empty() {
                    break;
                }
                rows.iter().try_for_each(|row| f(&row.row))?;
            }
            c.batch_execute("CLOSE carried").map_err(StoreError::from)?;
            Ok(())
        }
    }
}

/// Puts rows into a table, given as a JSON list of objects. Columns that the objects do not have are empty.
///
/// # Errors
/// When a row does not fit.
pub fn put(conn: &mut Conn, table: &str, rows: &str) -> StoreResult<()> {
    match conn {
        Conn::Sqlite(c) => {
            let columns = columns(c, table)?;
            let names: Vec<String> = columns.iter().map(|name| format!("\"{name}\"")).collect();
            let values: Vec<String> = columns.iter().map(|name| format!("json_extract(value, '$.{name}')")).collect();
            let sql =
                format!("INSERT INTO {table} ({}) SELECT {} FROM json_each(?)", names.join(", "), values.join(", "));
            diesel::sql_query(sql).bind::<Text, _>(rows).execute(c)?;
        }
        Conn::Pg(c) => {
            let sql = format!("INSERT INTO {table} SELECT * FROM json_populate_recordset(NULL::{table}, $1::json)");
            diesel::sql_query(sql).bind::<Text, _>(rows).execute(c)?;
        }
    }
    Ok(())
}

/// Takes the settings away that a fresh server made for itself.
///
/// # Errors
/// When the database fails.
pub fn clear_settings(conn: &mut Conn) -> StoreResult<()> {
    diesel::delete(super::schema::settings::table).execute(conn)?;
    Ok(())
}

fn columns(conn: &mut SqliteConnection, table: &str) -> StoreResult<Vec<String>> {
    let query = diesel::sql_query("SELECT name FROM pragma_table_info(?) ORDER BY cid").bind::<Text, _>(table);
    Ok(query.load::<Name>(conn)?.into_iter().map(|n| n.name).collect())
}

/// Runs all of it, or nothing.
///
/// # Errors
/// What the closure answers.
pub fn at_once<T, E: From<StoreError>>(conn: &mut Conn, f: impl FnOnce(&mut Conn) -> Result<T, E>) -> Result<T, E> {
    let mut outcome = None;
    let ended = conn.transaction(|conn| {
        let done = f(conn);
        let is_fine = done.is_ok();
        outcome = Some(done);
        if is_fine { Ok(()) } else { Err(diesel::result::Error::RollbackTransaction) }
    });
    match (outcome, ended) {
        (Some(Ok(_)), Err(error)) => Err(StoreError::from(error).into()),
        (Some(done), _) => done,
        (None, ended) => {
            Err(ended.map_or_else(StoreError::from, |()| StoreError::Database("nothing was done".into())).into())
        }
    }
}
