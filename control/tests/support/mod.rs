//! Both databases, fresh for each test.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)] // each test file uses its own part

pub mod peers;
pub mod plan;

use control::config::Data;
use control::domain::permission::Actor;
use control::domain::place::Place;
use control::domain::upkeep::Plan;
use control::service::Services;
use control::store::jobs::NewJob;
use control::store::snapshots::Origin;
use control::store::{Conn, Db, StoreResult, Target, hosts, jobs};
use restic_manager_shared::id::{HostId, InstanceId, JobId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{SnapshotRecord, Task};
use restic_manager_shared::wire::progress::{LogLevel, LogLine};
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

/// The services of a server on this database; as often as one likes, one after the other or beside each other.
pub async fn services(database: &Database, dir: &TempDir) -> Services {
    let database_url = match &database.target {
        Target::Postgres(url) => Some(url.clone()),
        Target::Sqlite(_) => None,
    };
    let data = Data { data_dir: dir.path().to_owned(), database_url, releases_dir: None };
    let (_, stopping) = tokio::sync::watch::channel(false);
    let services = control::app::open(&data, stopping).await.unwrap();
    Services { public_url: Some("https://backup.example.org/".into()), ..services }
}

/// Who acts in a test.
pub fn admin() -> Actor {
    Actor::system("test")
}

/// An instant.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// A line of a log.
pub fn line(text: &str) -> LogLine {
    LogLine { at: at(1), level: LogLevel::Info, text: text.into() }
}

/// A host and a repository, with one queued job.
pub fn seed(conn: &mut Conn, name: &str) -> StoreResult<(HostId, JobId)> {
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

/// A database with a host, a repository and a queued job.
pub async fn seeded(db: &Db) -> (HostId, JobId) {
    db.write(|conn| seed(conn, "one")).await.unwrap()
}

/// Where a snapshot comes from.
pub fn origin(place: Place, host: HostId, listed_by: Option<JobId>) -> Origin {
    Origin { place, host_id: Some(host), schedule_id: None, job_id: None, attested: true, listed_by }
}

/// A snapshot.
pub fn record(n: u8) -> SnapshotRecord {
    SnapshotRecord {
        id: format!("{n:064x}"),
        time: at(n.into()),
        hostname: "h".into(),
        username: None,
        paths: vec!["/srv".into()],
        tags: vec![],
        parent: None,
        summary: None,
    }
}
