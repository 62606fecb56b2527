//! Migrations, on both databases and on populated data: nothing disappears on the way up or down.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::place::Place;
use control::store::{Conn, Db, OpenError, Target, jobs, migrate, snapshots};
use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl};
use support::{at, databases, open, origin, record, seeded};

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

const TABLES: [&str; 5] = ["hosts", "repositories", "jobs", "job_log", "snapshots"];

/// How many migrations there are.
fn migrations() -> usize {
    std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../migrations/sqlite")).unwrap().count()
}

fn counts(conn: &mut Conn) -> Vec<i64> {
    let count = |table: &&str, conn: &mut Conn| {
        diesel::sql_query(format!("SELECT count(*) AS n FROM {table}")).get_result::<Count>(conn).unwrap().n
    };
    TABLES.iter().map(|table| count(table, conn)).collect()
}

fn connect(target: &Target) -> Conn {
    match target {
        Target::Sqlite(path) => {
            let mut c = diesel::SqliteConnection::establish(path.to_str().unwrap()).unwrap();
            // The database that was just closed may still be writing its log back.
            c.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON").unwrap();
            Conn::Sqlite(c)
        }
        Target::Postgres(url) => Conn::Pg(diesel::PgConnection::establish(url).unwrap()),
    }
}

#[tokio::test]
async fn migrations_run_up_down_and_up_on_populated_data() {
    for database in databases() {
        let db = open(&database);
        let (host, job) = seeded(&db).await;
        db.write(move |conn| {
            let repository = jobs::get(conn, job)?.unwrap().job.repository_id.unwrap();
            snapshots::put(conn, origin(Place { repository, host: None }, host, None), &record(1), at(1))
        })
        .await
        .unwrap();
        let mut conn = connect(&database.target);
        let before = counts(&mut conn);
        migrate::up(&mut conn).unwrap();
        assert_eq!(counts(&mut conn), before, "{}: no row disappears", database.name);
        for steps in 1..migrations() {
            migrate::down_by(&mut conn, steps).unwrap();
            assert_eq!(counts(&mut conn), before, "{}: no row disappears {steps} migrations back", database.name);
            migrate::up(&mut conn).unwrap();
            assert_eq!(counts(&mut conn), before, "{}: nor on the way up again", database.name);
        }
        migrate::down(&mut conn).unwrap();
        migrate::up(&mut conn).unwrap();
        assert_eq!(counts(&mut conn), [0; TABLES.len()], "{}", database.name);
        drop(db);
        seeded(&open(&database)).await;
    }
}

#[test]
fn a_database_of_a_newer_version_is_refused_untouched() {
    for database in databases() {
        drop(open(&database));
        let mut conn = connect(&database.target);
        conn.batch_execute("INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')").unwrap();
        let refused = Db::open(&database.target).err();
        assert!(matches!(refused, Some(OpenError::Newer(_))), "{}: {refused:?}", database.name);
    }
}
