//! How the databases look for things: with the two million jobs of a large fleet in mind, nothing that happens all the time may look through
//! every job that ever was.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::job::{JobKind, JobState};
use control::store::jobs::{self, Filter};
use control::store::{Conn, StoreError, upkeep};
use diesel::connection::{Connection as _, InstrumentationEvent};
use diesel::sql_types::Text;
use diesel::{QueryableByName, RunQueryDsl as _};
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use std::sync::{Arc, Mutex};
use support::{at, databases, open, seeded};

/// Ended jobs of the host, its schedule and its repository.
const MANY: i64 = 50_000;

fn fill(conn: &mut Conn, host: HostId, schedule: Option<ScheduleId>, repository: RepositoryId) {
    let schedule = schedule.map_or_else(|| "NULL".to_owned(), |id| format!("'{id}'"));
    let row = |n: &str, id: &str| {
        format!(
            "{id}, '{host}', {schedule}, '{repository}', 'backup', 'succeeded', 'x', {n} * 1000000, {n} * 1000000, '', 1, 1"
        )
    };
    let columns = "id, host_id, schedule_id, repository_id, kind, state, requested_by, queued_at, started_at, place, \
         state_version, attempt";
    let sql = match conn {
        Conn::Sqlite(_) => format!(
            "INSERT INTO jobs ({columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
             SELECT {} FROM n",
            row("i", "printf('00000000-0000-7000-8000-%012d', i)")
        ),
        Conn::Pg(_) => format!(
            "INSERT INTO jobs ({columns}) SELECT {} FROM generate_series(1::bigint, {MANY}) AS n(i)",
            row("i", "'00000000-0000-7000-8000-' || lpad(i::text, 12, '0')")
        ),
    };
    diesel::sql_query(sql).execute(conn).unwrap();
}

/// The statements that an act makes.
fn statements<T>(conn: &mut Conn, act: impl FnOnce(&mut Conn) -> T) -> Vec<String> {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hearing = Arc::clone(&heard);
    let watch = move |event: InstrumentationEvent<'_>| {
        if let InstrumentationEvent::StartQuery { query, .. } = event {
            hearing.lock().unwrap().push(query.to_string());
        }
    };
    match conn {
        Conn::Sqlite(c) => c.set_instrumentation(watch),
        Conn::Pg(c) => c.set_instrumentation(watch),
    }
    act(conn);
    let heard = heard.lock().unwrap();
    heard.iter().map(|text| text.split(" -- binds:").next().unwrap().to_owned()).collect()
}

#[derive(QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text, column_name = "QUERY PLAN")]
    plan: String,
}

/// How it would be done, without knowing what stands in the places of the parameters: what is prepared once is done so for all.
fn plan(conn: &mut Conn, statement: &str) -> String {
    match conn {
        Conn::Sqlite(c) => {
            let steps: Vec<Step> = diesel::sql_query(format!("EXPLAIN QUERY PLAN {statement}")).load(c).unwrap();
            steps.into_iter().map(|s| s.detail).collect::<Vec<_>>().join("; ")
        }
        Conn::Pg(c) => {
            let parameters = (1..).take_while(|n| statement.contains(&format!("${n}"))).count();
            let nothing = vec!["NULL"; parameters].join(", ");
            let arguments = if parameters > 0 { format!("({nothing})") } else { String::new() };
            for sql in ["SET LOCAL plan_cache_mode = force_generic_plan", &format!("PREPARE looked AS {statement}")] {
                diesel::sql_query(sql).execute(c).unwrap();
            }
            let explain = format!("EXPLAIN (COSTS OFF) EXECUTE looked{arguments}");
            let lines: Vec<Line> = diesel::sql_query(explain).load(c).unwrap();
            diesel::sql_query("DEALLOCATE looked").execute(c).unwrap();
            lines.into_iter().map(|l| l.plan).collect::<Vec<_>>().join("; ")
        }
    }
}

type Act = fn(&mut Conn, HostId, RepositoryId, ScheduleId) -> bool;

/// What happens with each poll, each page and each minute, and the index that it must go by.
const ALL_THE_TIME: [(&str, &str, Act); 10] = [
    ("the open jobs of a host", "jobs_open", |c, host, _, _| jobs::open_of_host(c, host).is_ok()),
    ("those of its repositories", "jobs_open", |c, _, r, _| jobs::open_of_repositories(c, &[r]).is_ok()),
    ("who waits for a repository", "jobs_open", |c, _, r, _| jobs::waiting_hosts(c, r).is_ok()),
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
                assert!(by_index && !plan.contains("Seq Scan"), "{name}: {what}: {plan}\n{}", made[0]);
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}
