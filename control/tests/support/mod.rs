//! Both databases, fresh for each test.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)] // each test file uses its own part

use control::store::{Db, Target};
use restic_manager_shared::id::InstanceId;
use tempfile::TempDir;

/// The PostgreSQL server that `deploy/test` starts for the tests.
#[allow(clippy::disallowed_methods)] // how the test script tells the tests
fn postgres_url() -> String {
    std::env::var("RESTIC_MANAGER_TEST_POSTGRES")
        .expect("RESTIC_MANAGER_TEST_POSTGRES names no PostgreSQL server: run the tests with ./deploy/test")
}

/// A database of a test's own, of each kind.
pub struct Database {
    pub name: &'static str,
    pub target: Target,
    _dir: Option<TempDir>,
}

/// One fresh SQLite file and one fresh PostgreSQL database.
pub fn databases() -> Vec<Database> {
    let dir = TempDir::new().unwrap();
    let sqlite = Target::Sqlite(dir.path().join("test.db"));
    vec![
        Database { name: "SQLite", target: sqlite, _dir: Some(dir) },
        Database { name: "PostgreSQL", target: Target::Postgres(fresh_postgres()), _dir: None },
    ]
}

/// A fresh PostgreSQL database; the whole cluster is thrown away after the tests.
pub fn fresh_postgres() -> String {
    use diesel::connection::SimpleConnection;
    use diesel::{Connection, PgConnection};
    let url = postgres_url();
    let name = format!("t{}", InstanceId::new().0.simple());
    let mut admin = PgConnection::establish(&url).expect("the test PostgreSQL answers");
    admin.batch_execute(&format!("CREATE DATABASE {name}")).expect("a database is made");
    let (head, _) = url.rsplit_once('/').expect("the URL ends with /database");
    format!("{head}/{name}")
}

pub fn open(database: &Database) -> Db {
    Db::open(&database.target).unwrap_or_else(|e| panic!("{}: {e}", database.name))
}
