//! Exports: everything comes over whole, to either kind of database, or nothing does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::place::Place;
use control::service::exports::{self, ExportError, Nightly};
use control::service::vault::{Vault, VaultError};
use control::store::{Target, doctor, jobs, rows, snapshots};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use restic_manager_shared::secret::Secret;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use support::{Database, at, databases, open, origin, record, seeded};
use tempfile::TempDir;

/// A database with something in it, and the key beside it.
async fn filled(database: &Database, dir: &Path) -> PathBuf {
    let key = dir.join("master.key");
    Vault::open(&key, true).unwrap();
    let db = open(database);
    let (host, job) = seeded(&db).await;
    db.write(move |conn| {
        let repository = jobs::get(conn, job)?.unwrap().job.repository_id.unwrap();
        snapshots::put(conn, origin(Place { repository, host: None }, host, None), &record(1), at(1))?;
        let odd = "INSERT INTO users (id, name, password_hash, role, disabled, created_at) \
             VALUES ('u', 'Zoë \"q\" ''s\\ 👩‍🚒', 'h', 'admin', TRUE, -9007199254740993)";
        diesel::sql_query(odd).execute(conn).unwrap();
        for proven in [
            format!(
                "INSERT INTO schedules (id, host_id, name, enabled, manual, backup, retention, firing, created_at, updated_at, drill) \
                 VALUES ('s', '{host}', 's', TRUE, TRUE, '{{}}', '{{}}', '{{}}', 1, 1, '{{\"cron\": \"@weekly\"}}')"
            ),
            "INSERT INTO drill_states (schedule_id, followed_until, proven_at) VALUES ('s', 1, 2)".into(),
            format!(
                "INSERT INTO drills (job_id, host_id, schedule_id, at, verdict, record) \
                 VALUES ('{job}', '{host}', 's', 2, 'proven', '{{\"snapshot\": \"a\"}}')"
            ),
            format!(
                "INSERT INTO drilled_files (schedule_id, path_key, file, snapshot_id, job_id, failed, drilled_at, proven_at) \
                 VALUES ('s', 'k', '{{\"path\": \"/\\u0000\"}}', 'a', '{job}', FALSE, 2, 2)"
            ),
        ] {
            diesel::sql_query(proven).execute(conn).unwrap();
        }
        Ok::<_, control::store::StoreError>(())
    })
    .await
    .unwrap();
    key
}

/// All rows, by table, whatever their order.
fn everything(target: &Target) -> BTreeMap<&'static str, Vec<serde_json::Value>> {
    let mut conn = doctor::open(target).unwrap();
    doctor::at_one_moment(&mut conn, |conn| {
        let mut all = BTreeMap::new();
        for table in rows::TABLES {
            let mut found: Vec<serde_json::Value> = Vec::new();
            rows::each_row(conn, table, |row| {
                found.push(plain(serde_json::from_str(row).unwrap()));
                Ok::<_, control::store::StoreError>(())
            })?;
            found.sort_by_key(ToString::to_string);
            all.insert(table, found);
        }
        Ok(all)
    })
    .unwrap()
}

/// SQLite has no booleans.
fn plain(row: serde_json::Value) -> serde_json::Value {
    let serde_json::Value::Object(mut row) = row else { panic!("{row}") };
    for value in row.values_mut() {
        if let Some(flag) = value.as_bool() {
            *value = i64::from(flag).into();
        }
    }
    row.into()
}

/// What an import adds: where it came from, in the settings and in the audit trail.
fn without_the_note(
    mut all: BTreeMap<&'static str, Vec<serde_json::Value>>,
) -> BTreeMap<&'static str, Vec<serde_json::Value>> {
    all.get_mut("settings").unwrap().retain(|row| row["key"] != exports::RESTORED);
    all.get_mut("audit_events").unwrap().retain(|row| row["action"] != "state.import");
    all
}

fn empty_like(name: &str) -> Database {
    databases().into_iter().find(|d| d.name == name).unwrap()
}

#[tokio::test]
async fn an_export_moves_to_either_database_whole() {
    for name in ["SQLite", "PostgreSQL"] {
        for to in databases() {
            let from = empty_like(name);
            let dir = TempDir::new().unwrap();
            let key = filled(&from, dir.path()).await;
            let before = everything(&from.target);
            assert!(before.values().map(Vec::len).sum::<usize>() > 5, "there is something to carry");
            let (file, new_key) = (dir.path().join("e"), dir.path().join("new.key"));
            let out = exports::export(&from.target, &key, &file, None, at(50)).unwrap();
            let come = exports::import(&to.target, &new_key, &file, None, at(60)).unwrap();
            assert_eq!(out, come, "{} to {}", from.name, to.name);
            assert_eq!(without_the_note(everything(&to.target)), before, "{} to {}", from.name, to.name);
            assert_eq!(std::fs::read_to_string(&key).unwrap(), std::fs::read_to_string(&new_key).unwrap());
            open(&to).read(|conn| jobs::list(conn, &jobs::Filter::default(), None, 9)).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_passphrase_closes_it_and_only_that_one_opens_it() {
    let from = empty_like("SQLite");
    let dir = TempDir::new().unwrap();
    let key = filled(&from, dir.path()).await;
    let (file, new_key) = (dir.path().join("e"), dir.path().join("new.key"));
    let (right, wrong) = (Secret::new("open sesame"), Secret::new("open barley"));
    exports::export(&from.target, &key, &file, Some(&right), at(50)).unwrap();
    let text = std::fs::read(&file).unwrap();
    assert!(text.starts_with(b"age-encryption.org/v1"));
    let to = empty_like("SQLite");
    let import = |passphrase| exports::import(&to.target, &new_key, &file, passphrase, at(60));
    assert!(matches!(import(None), Err(ExportError::Locked)));
    assert!(matches!(import(Some(&wrong)), Err(ExportError::WrongPassphrase)));
    assert!(!new_key.exists());
    import(Some(&right)).unwrap();
}

#[tokio::test]
async fn a_file_that_is_not_whole_changes_nothing() {
    let from = empty_like("SQLite");
    let dir = TempDir::new().unwrap();
    let key = filled(&from, dir.path()).await;
    let (file, new_key) = (dir.path().join("e"), dir.path().join("new.key"));
    exports::export(&from.target, &key, &file, None, at(50)).unwrap();
    let whole = std::fs::read(&file).unwrap();
    let altered = {
        use std::io::{Read, Write};
        let mut text = String::new();
        flate2::read::GzDecoder::new(&whole[..]).read_to_string(&mut text).unwrap();
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        out.write_all(text.replace("admin", "other").as_bytes()).unwrap();
        out.finish().unwrap()
    };
    for to in databases() {
        for (case, bytes) in [
            ("torn", &whole[..whole.len() / 2]),
            ("torn at the end", &whole[..whole.len() - 9]),
            ("altered", &altered),
            ("another file", b"hello"),
            ("nothing", b""),
        ] {
            std::fs::write(&file, bytes).unwrap();
            let error = exports::import(&to.target, &new_key, &file, None, at(60)).unwrap_err();
            assert!(matches!(error, ExportError::Unreadable(_)), "{case}: {error}");
            assert!(!new_key.exists(), "{case}: no key is left behind");
        }
        std::fs::write(&file, &whole).unwrap();
        exports::import(&to.target, &new_key, &file, None, at(60)).unwrap();
        std::fs::remove_file(&new_key).unwrap();
    }
}

#[tokio::test]
async fn nothing_is_overwritten() {
    for from in databases() {
        let dir = TempDir::new().unwrap();
        let key = filled(&from, dir.path()).await;
        let file = dir.path().join("e");
        exports::export(&from.target, &key, &file, None, at(50)).unwrap();
        let error = exports::import(&from.target, &key, &file, None, at(60)).unwrap_err();
        assert!(matches!(&error, ExportError::NotEmpty(what) if what.contains("hosts")), "{error}");
        let to = empty_like(from.name);
        let other = dir.path().join("other.key");
        Vault::open(&other, true).unwrap();
        let error = exports::import(&to.target, &other, &file, None, at(60)).unwrap_err();
        assert!(matches!(error, ExportError::OtherKey(_)), "{error}");
        assert!(matches!(Vault::open(&key, false), Ok(_) | Err(VaultError::Malformed(_))), "the key is still there");
    }
}

#[tokio::test]
async fn each_table_is_carried_and_none_before_what_it_refers_to() {
    let database = empty_like("SQLite");
    drop(open(&database));
    let Target::Sqlite(path) = &database.target else { panic!("SQLite") };
    let mut c = SqliteConnection::establish(path.to_str().unwrap()).unwrap();
    c.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
    #[derive(QueryableByName)]
    struct Edge {
        #[diesel(sql_type = diesel::sql_types::Text)]
        name: String,
        #[diesel(sql_type = diesel::sql_types::Nullable<diesel::sql_types::Text>)]
        refers_to: Option<String>,
    }
    let edges: Vec<Edge> = diesel::sql_query(
        "SELECT m.name AS name, f.\"table\" AS refers_to FROM sqlite_master m \
         LEFT JOIN pragma_foreign_key_list(m.name) f ON TRUE \
         WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' AND m.name <> '__diesel_schema_migrations'",
    )
    .load(&mut c)
    .unwrap();
    let place = |name: &str| rows::TABLES.iter().position(|t| *t == name);
    for Edge { name, refers_to } in edges {
        let Some(own) = place(&name) else {
            assert!(rows::LEFT_BEHIND.contains(&name.as_str()), "{name} would be lost");
            continue;
        };
        assert!(refers_to.is_none_or(|other| place(&other) < Some(own)), "{name} comes too early");
    }
}

#[tokio::test]
async fn one_export_a_day_and_the_oldest_go() {
    let database = empty_like("SQLite");
    let dir = TempDir::new().unwrap();
    let nightly = Nightly {
        key_file: filled(&database, dir.path()).await,
        target: database.target.clone(),
        folder: dir.path().join("exports"),
        keep: 2,
    };
    let day = 86_400;
    std::fs::create_dir(&nightly.folder).unwrap();
    // Of a server that was killed, and somebody else's.
    std::fs::write(nightly.folder.join("restic-manager-1969-12-31T000000Z.export.part"), "torn").unwrap();
    std::fs::write(nightly.folder.join("notes.part"), "kept").unwrap();
    let made: Vec<bool> =
        [0, 3_600, day, day + 60, 3 * day].into_iter().map(|s| nightly.make_if_due(at(s)).unwrap()).collect();
    assert_eq!(made, [true, false, true, false, true]);
    let mut left: Vec<String> =
        std::fs::read_dir(&nightly.folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    left.sort();
    assert_eq!(left.remove(0), "notes.part");
    assert_eq!(left, ["restic-manager-1970-01-02T000000Z.export.gz", "restic-manager-1970-01-04T000000Z.export.gz"]);
    let to = empty_like("SQLite");
    exports::import(&to.target, &dir.path().join("k"), &nightly.folder.join(&left[1]), None, at(9)).unwrap();
}
