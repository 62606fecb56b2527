//! The store's contract, the same on SQLite and PostgreSQL: what the rest of the control plane relies on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::fleet::Lifecycle;
use control::domain::job::{JobResult, JobState};
use control::domain::upkeep::Plan;
use control::store::jobs::{Filter, NewJob};
use control::store::{Conn, Db, OpenError, StoreError, StoreResult, Target, audit, hosts, jobs, migrate, settings};
use diesel::connection::SimpleConnection;
use diesel::{Connection, RunQueryDsl};
use restic_manager_shared::id::{HostId, JobId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::progress::{LogLevel, LogLine};
use std::collections::HashSet;
use support::{databases, open};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn line(text: &str) -> LogLine {
    LogLine { at: at(1), level: LogLevel::Info, text: text.into() }
}

/// A host and a repository, with one queued job.
fn seed(conn: &mut Conn, name: &str) -> StoreResult<(HostId, JobId)> {
    let (host, job, repository) = (HostId::new(), JobId::new(), RepositoryId::new());
    hosts::insert_pending(conn, host, name, &["a".into()], at(1))?;
    control::store::repositories::insert(
        conn,
        &control::store::repositories::RepositoryRecord {
            repository: control::domain::repository::Repository {
                id: repository,
                name: name.into(),
                url: "/srv".into(),
                backend: control::domain::repository::Backend::Local,
                init_if_missing: false,
                maintenance_host_id: None,
                quota_bytes: None,
                ca_pem: None,
                rotation: None,
                created_at: at(1),
                updated_at: at(1),
            },
            password_sealed: "v1.x".into(),
            plan: Plan::default(),
        },
    )?;
    let new = NewJob {
        id: job,
        host_id: host,
        schedule_id: None,
        task: Task::Init { repository_id: repository },
        state_version: 1,
        requested_by: "user:x".into(),
        idempotency_key: Some(format!("key {name}")),
        of_host_id: None,
        priority: 0,
        chore: None,
        secrets_sealed: None,
        now: at(2),
    };
    jobs::insert(conn, &new, &line("queued"))?;
    Ok((host, job))
}

async fn seeded(db: &Db) -> (HostId, JobId) {
    db.write(|conn| seed(conn, "one")).await.unwrap()
}

#[tokio::test]
async fn a_job_moves_only_along_its_life() {
    for database in databases() {
        let db = open(&database);
        let (host, job) = seeded(&db).await;
        let name = database.name;
        db.write(move |conn| {
            assert!(!jobs::claim(conn, host, job, 0, at(3), at(9))?, "{name}: not offered yet");
            assert_eq!(jobs::dispatch(conn, job, at(3))?, Some(1), "{name}");
            assert_eq!(jobs::dispatch(conn, job, at(4))?, Some(2), "{name}: offered again");
            assert!(!jobs::claim(conn, host, job, 1, at(5), at(9))?, "{name}: an older offer");
            assert!(!jobs::claim(conn, HostId::new(), job, 2, at(5), at(9))?, "{name}: another host");
            assert!(jobs::claim(conn, host, job, 2, at(5), at(9))?, "{name}");
            assert_eq!(jobs::dispatch(conn, job, at(5))?, None, "{name}: it runs");
            let chunk = |conn: &mut Conn, seq| jobs::chunk(conn, (job, 2, seq), None, &[line("x")], at(20));
            assert_eq!(chunk(conn, 2)?, None, "{name}: a gap");
            assert_eq!(chunk(conn, 1)?, Some(false), "{name}");
            assert_eq!(chunk(conn, 1)?, None, "{name}: a duplicate");
            assert!(jobs::request_cancel(conn, job, at(6), &line("stop"))?, "{name}");
            assert!(!jobs::request_cancel(conn, job, at(6), &line("stop"))?, "{name}: asked before");
            assert_eq!(chunk(conn, 2)?, Some(true), "{name}: and hears of the cancel");
            assert!(jobs::lease_ended(conn, at(20), 10)?.is_empty(), "{name}");
            assert_eq!(jobs::lease_ended(conn, at(21), 10)?, [(job, 2)], "{name}");
            let end = |conn: &mut Conn, state| {
                jobs::finish(conn, (job, 2), state, &JobResult::default(), at(22), &line("end"))
            };
            assert!(end(conn, JobState::Lost)?, "{name}");
            assert!(end(conn, JobState::Succeeded)?, "{name}: the true end replaces lost");
            assert!(!end(conn, JobState::Failed)?, "{name}: it has an end");
            let log = jobs::log_after(conn, job, 0, 100)?;
            let texts: Vec<&str> = log.iter().flat_map(|(_, lines)| lines).map(|l| l.text.as_str()).collect();
            assert_eq!(texts, ["queued", "x", "stop", "x", "end", "end"], "{name}");
            assert!(log.windows(2).all(|w| w[0].0 < w[1].0), "{name}: events count up");
            assert_eq!(jobs::get(conn, job)?.unwrap().job.state, JobState::Succeeded, "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn one_bad_item_does_not_fail_its_neighbours() {
    for database in databases() {
        let db = open(&database);
        let name = database.name;
        let good = |key: &'static str| db.write(move |conn| settings::set(conn, key, "1"));
        let panicking = db.write(|conn| -> StoreResult<()> {
            settings::set(conn, "panicked", "1")?;
            panic!("a bug in one act");
        });
        let duplicate = db.write(|conn| {
            settings::set(conn, "half", "1")?;
            hosts::insert_pending(conn, HostId::new(), "same", &[], at(1))?;
            hosts::insert_pending(conn, HostId::new(), "same", &[], at(1))
        });
        let (a, b, c, d) = tokio::join!(good("first"), panicking, duplicate, good("second"));
        assert!(a.is_ok() && d.is_ok(), "{name}: {a:?} {d:?}");
        assert!(matches!(b, Err(StoreError::Database(_))), "{name}: {b:?}");
        assert!(matches!(c, Err(StoreError::Duplicate(_))), "{name}: {c:?}");
        let kept = db
            .read(|conn| {
                let mut kept = vec![];
                for key in ["first", "panicked", "half", "second"] {
                    kept.extend(settings::get(conn, key)?.map(|_| key));
                }
                Ok::<_, StoreError>(kept)
            })
            .await
            .unwrap();
        assert_eq!(kept, ["first", "second"], "{name}: nothing is half done");
        assert!(good("third").await.is_ok(), "{name}: the writer goes on");
    }
}

#[tokio::test]
async fn many_writers_lose_nothing() {
    for database in databases() {
        let db = open(&database);
        let acts = (0..300).map(|n| {
            let db = db.clone();
            tokio::spawn(async move {
                db.write(move |conn| {
                    let entry = audit::Entry {
                        at: at(n),
                        actor: "user:x".into(),
                        address: String::new(),
                        action: "test".into(),
                        subject: n.to_string(),
                        detail: "{}".into(),
                    };
                    audit::append(conn, &entry)
                })
                .await
            })
        });
        for act in acts.collect::<Vec<_>>() {
            act.await.unwrap().unwrap();
        }
        let entries = db.read(|conn| audit::list(conn, None, 1000)).await.unwrap();
        let subjects: HashSet<&str> = entries.iter().map(|e| e.entry.subject.as_str()).collect();
        assert_eq!((entries.len(), subjects.len()), (300, 300), "{}", database.name);
        let mut before = String::new();
        for entry in entries.iter().rev() {
            assert_eq!(
                entry.hash,
                audit::chain(&before, entry.seq, &entry.entry),
                "{}: the chain holds",
                database.name
            );
            before.clone_from(&entry.hash);
        }
    }
}

#[tokio::test]
async fn lists_page_without_gaps_or_doubles() {
    for database in databases() {
        let db = open(&database);
        let name = database.name;
        db.write(|conn| {
            let (host, _) = seed(conn, "one")?;
            for n in 0..25 {
                let new = NewJob {
                    id: JobId::new(),
                    host_id: host,
                    schedule_id: None,
                    task: jobs::by_key(conn, "key one")?.unwrap().task.unwrap(),
                    state_version: 1,
                    requested_by: "user:x".into(),
                    idempotency_key: None,
                    of_host_id: None,
                    priority: 0,
                    chore: None,
                    secrets_sealed: None,
                    now: at(2 + n / 5),
                };
                jobs::insert(conn, &new, &line("queued"))?;
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
        let (mut seen, mut before) = (vec![], None);
        loop {
            let page = db.read(move |conn| jobs::list(conn, &Filter::default(), before, 7)).await.unwrap();
            let Some(last) = page.last() else { break };
            before = Some((last.queued_at, last.id));
            seen.extend(page.iter().map(|j| j.id));
        }
        assert_eq!(seen.len(), 26, "{name}");
        assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 26, "{name}");
    }
}

#[derive(diesel::QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    n: i64,
}

const TABLES: [&str; 4] = ["hosts", "repositories", "jobs", "job_log"];

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
        seeded(&db).await;
        let mut conn = connect(&database.target);
        let before = counts(&mut conn);
        migrate::up(&mut conn).unwrap();
        assert_eq!(counts(&mut conn), before, "{}: no row disappears", database.name);
        migrate::down(&mut conn).unwrap();
        migrate::up(&mut conn).unwrap();
        assert_eq!(counts(&mut conn), [0; 4], "{}", database.name);
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

#[tokio::test]
async fn deleting_a_host_takes_its_jobs_with_it_and_nothing_else() {
    for database in databases() {
        let db = open(&database);
        let (host, job) = seeded(&db).await;
        let (other, kept) = db.write(|conn| seed(conn, "two")).await.unwrap();
        db.write(move |conn| {
            assert!(hosts::delete(conn, host)?);
            assert!(!hosts::delete(conn, host)?);
            assert!(jobs::get(conn, job)?.is_none());
            assert!(jobs::get(conn, kept)?.is_some());
            assert_eq!(hosts::get(conn, other)?.unwrap().lifecycle, Lifecycle::Pending);
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}
