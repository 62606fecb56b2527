//! How the databases look for things: with the two million jobs of a large fleet in mind, nothing that happens all the time may look through
//! every job that ever was.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::job::{JobKind, JobState};
use control::store::jobs::{self, Filter};
use control::store::{Conn, StoreError, host_search, open_jobs, search, standing, upkeep};
use diesel::RunQueryDsl as _;
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use support::plan::{insert_many, plan, statements};
use support::{at, databases, open, seeded};

/// Ended jobs of the host, its schedule and its repository.
const MANY: i64 = 50_000;

fn fill(conn: &mut Conn, host: HostId, schedule: Option<ScheduleId>, repository: RepositoryId) {
    let schedule = schedule.map_or_else(|| "NULL".to_owned(), |id| format!("'{id}'"));
    let into = "jobs (id, host_id, schedule_id, repository_id, kind, state, requested_by, queued_at, started_at, place, \
                state_version, attempt)";
    insert_many(conn, into, MANY, 12, |n, padded| {
        format!(
            "'00000000-0000-7000-8000-' || {padded}, '{host}', {schedule}, '{repository}', 'backup', 'succeeded', 'x', \
             {n} * 1000000, {n} * 1000000, '', 1, 1"
        )
    });
}

type Act = fn(&mut Conn, HostId, RepositoryId, ScheduleId) -> bool;

/// What happens with each poll, each page and each minute, and the index that it must go by.
const ALL_THE_TIME: [(&str, &str, Act); 17] = [
    ("the open jobs of a host", "jobs_open", |c, host, _, _| jobs::open_of_host(c, host).is_ok()),
    ("those of its repositories", "jobs_open", |c, _, r, _| jobs::open_of_repositories(c, &[r]).is_ok()),
    ("who waits for a repository", "jobs_open", |c, _, r, _| jobs::waiting_hosts(c, r).is_ok()),
    ("what schedules of many hosts run", "jobs_open", |c, host, _, _| {
        open_jobs::of_schedules(c, &[host, HostId::default()]).is_ok()
    }),
    ("how many run", "jobs_open", |c, _, _, _| jobs::count_open(c, &[JobState::Running]).is_ok()),
    ("whose lease ended", "jobs_leased", |c, _, _, _| jobs::lease_ended(c, at(5), 10).is_ok()),
    ("which chores are under way", "jobs_o", |c, _, r, _| upkeep::open_chores(c, r).is_ok()),
    ("what runs, newest first", "jobs_open_by_time", |c, _, _, _| {
        let states = vec![JobState::Queued, JobState::Dispatched, JobState::Running];
        jobs::list(c, &Filter { states, ..Filter::default() }, None, 10).is_ok()
    }),
    ("a repository's newest jobs", "jobs_by_repository", |c, _, r, _| jobs::recent_of_repository(c, r, 10).is_ok()),
    ("a repository's jobs of a kind", "jobs_by_repository_and_kind", |c, _, r, _| {
        let filter = Filter { repository: Some(r), kinds: vec![JobKind::Backup], ..Filter::default() };
        jobs::list(c, &filter, None, 10).is_ok()
    }),
    ("a repository's newest checks", "jobs_by_repository_and_kind", |c, _, r, _| standing::checks(c, r).is_ok()),
    ("what became of hosts' backups", "jobs_by_host_and_kind", |c, host, _, _| {
        host_search::days(c, &[host, HostId::default()], at(5), 0).is_ok()
    }),
    ("the newest jobs of listed hosts", "jobs_by_host", |c, host, _, _| jobs::newest_of_hosts(c, &[host]).is_ok()),
    ("jobs by the beginning of an id", "sqlite_autoindex_jobs_1", |c, _, _, _| search::jobs(c, "0193", 20).is_ok()),
    ("the newest that failed", "jobs_troubled", |c, _, _, _| {
        let states = vec![JobState::Failed, JobState::Lost];
        jobs::list(c, &Filter { states, ..Filter::default() }, None, 10).is_ok()
    }),
    ("the newest of a kind", "jobs_by_kind", |c, _, _, _| {
        jobs::list(c, &Filter { kinds: vec![JobKind::Prune], ..Filter::default() }, None, 10).is_ok()
    }),
    ("a schedule's jobs", "jobs_by_schedule", |c, _, _, schedule| {
        jobs::list(c, &Filter { schedule: Some(schedule), ..Filter::default() }, None, 10).is_ok()
    }),
];

#[tokio::test]
async fn what_happens_all_the_time_goes_by_an_index() {
    for database in databases() {
        let db = open(&database);
        let (host, job) = seeded(&db).await;
        let name = database.name;
        db.write(move |conn| {
            let record = jobs::get(conn, job)?.unwrap().job;
            let (repository, schedule) = (record.repository_id.unwrap(), record.schedule_id);
            fill(conn, host, schedule, repository);
            // SQLite has to do without knowing how many there are: nobody counts for it in the product.
            if let Conn::Pg(_) = conn {
                diesel::sql_query("ANALYZE jobs").execute(conn).unwrap();
            }
            for (what, index, act) in ALL_THE_TIME {
                let made =
                    statements(conn, |c| assert!(act(c, host, repository, schedule.unwrap_or_default()), "{what}"));
                assert_eq!(made.len(), 1, "{name}: {what}: {made:?}");
                let plan = plan(conn, &made[0]);
                // PostgreSQL counts, and knows that here everything is of one repository.
                let by_index = plan.contains(index) || (matches!(conn, Conn::Pg(_)) && !index.starts_with("jobs_o"));
                assert!(by_index && !plan.contains("Seq Scan on jobs"), "{name}: {what}: {plan}\n{}", made[0]);
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}
