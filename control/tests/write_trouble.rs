//! A server that cannot write to its database says so on each page, as long as that is so.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::store::{Conn, StoreError, Target};
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, RunQueryDsl as _, SqliteConnection};
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::visitor::Visitor;
use serde_json::json;
use support::{databases, open};

#[tokio::test]
async fn what_is_in_the_way_is_known_until_something_is_written() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let write = || db.write(|conn| Ok::<_, StoreError>(diesel::sql_query("DELETE FROM settings").execute(conn)?));
        write().await.unwrap();
        assert_eq!(db.trouble(), None, "{name}");
        match &database.target {
            Target::Sqlite(path) => {
                let mut other = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
                other.batch_execute("BEGIN IMMEDIATE").unwrap();
                assert!(write().await.is_err(), "{name}: another program holds the lock");
                let first = db.trouble().expect("it is known");
                assert!(first.why.contains("locked"), "{name}: {first:?}");
                other.batch_execute("ROLLBACK").unwrap();
            }
            Target::Postgres(_) => {
                let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                    WHERE datname = current_database() AND pid <> pg_backend_pid()";
                db.read(move |conn: &mut Conn| Ok::<_, StoreError>(conn.batch_execute(end)?)).await.unwrap();
                assert!(write().await.is_err(), "{name}: its connection is gone");
                assert!(db.trouble().is_some(), "{name}");
            }
        }
        write().await.unwrap();
        assert_eq!(db.trouble(), None, "{name}: it works again");
    }
}

#[tokio::test]
async fn each_page_says_that_nothing_is_kept() {
    let server = ControlPlane::start();
    let token = server.token("admin");
    let (anna, eve) = (Visitor::sign_in(&server, "admin").await, Visitor::sign_in(&server, "viewer").await);
    let words = "This server cannot write to its database";
    assert!(!anna.open("/hosts").await.text.contains(words));
    let mut files = server.dir.path().read_dir().unwrap().map(|e| e.unwrap().path());
    let file = files.find(|p| p.extension().is_some_and(|e| e == "db")).unwrap();
    let mut other = SqliteConnection::establish(&file.to_string_lossy()).unwrap();
    other.batch_execute("BEGIN IMMEDIATE").unwrap();
    let body = json!({"name": "main", "url": "rest:http://127.0.0.1:9/{host}/", "password": "secret"});
    let (status, said) = server.post(&token, "/api/v1/repositories", body.clone()).await;
    assert_eq!((status, &said["code"]), (503, &json!("database_unavailable")), "{said}");
    for path in ["/", "/hosts", "/alerts/channels"] {
        let (page, hers) = (anna.open(path).await.text, eve.open(path).await.text);
        assert!(page.contains(words) && page.contains("locked"), "{path}: {page}");
        assert!(
            hers.contains(words) && !hers.contains("locked"),
            "{path}: what the database says is for administrators"
        );
    }
    other.batch_execute("ROLLBACK").unwrap();
    assert_eq!(server.post(&token, "/api/v1/repositories", body).await.0, 201);
    assert!(!anna.open("/hosts").await.text.contains(words), "it is over");
}
