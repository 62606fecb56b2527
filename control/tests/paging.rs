//! A hundred thousand snapshots: pages come by cursor, each snapshot once and in order, from an index and not from a sort of all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::store::jobs;
use control::store::snapshots::{self, Filter};
use control::store::{Conn, StoreError};
use diesel::RunQueryDsl;
use diesel::sql_types::Text;
use support::{databases, open, seeded};

const MANY: i64 = 100_000;

/// Puts them in without going through the store one by one.
fn fill(conn: &mut Conn, repository: &str) {
    let row = |n: &str, pad: &str| {
        format!(
            "'{repository}', {pad}, {n} * 1000000, '{{\"id\":\"' || {pad} || '\",\"time\":\"1970-01-02T00:00:00Z\",\
             \"hostname\":\"h\",\"paths\":[\"/srv\"],\"tags\":[]}}', '', TRUE, 1"
        )
    };
    let columns = "repository_id, snapshot_id, time, record, place, attested, first_seen_at";
    let sql = match conn {
        Conn::Sqlite(_) => format!(
            "INSERT INTO snapshots ({columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
             SELECT {} FROM n",
            row("i", "printf('%064d', i)")
        ),
        Conn::Pg(_) => format!(
            "INSERT INTO snapshots ({columns}) SELECT {} FROM generate_series(1::bigint, {MANY}) AS n(i)",
            row("i", "lpad(i::text, 64, '0')")
        ),
    };
    diesel::sql_query(sql).execute(conn).unwrap();
    diesel::sql_query("ANALYZE snapshots").execute(conn).unwrap();
}

#[derive(diesel::QueryableByName)]
struct Step {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// How SQLite would look for a page in the middle.
fn plan(conn: &mut Conn, repository: &str) -> Option<String> {
    let Conn::Sqlite(c) = conn else { return None };
    let sql = format!(
        "EXPLAIN QUERY PLAN SELECT * FROM snapshots WHERE gone_at IS NULL AND time <= 50000000000 \
         AND (time < 50000000000 OR (time = 50000000000 AND snapshot_id < 'x')) AND repository_id = '{repository}' \
         ORDER BY time DESC, snapshot_id DESC LIMIT 51"
    );
    let steps: Vec<Step> = diesel::sql_query(sql).load(c).unwrap();
    Some(steps.into_iter().map(|s| s.detail).collect::<Vec<_>>().join("; "))
}

#[tokio::test]
async fn each_of_many_snapshots_is_on_one_page() {
    for database in databases() {
        let db = open(&database);
        let (_, job) = seeded(&db).await;
        let name = database.name;
        db.write(move |conn| {
            let repository = jobs::get(conn, job)?.unwrap().job.repository_id.unwrap();
            fill(conn, &repository.to_string());
            let filter = Filter { repository: Some(repository), ..Filter::default() };
            let (mut before, mut seen) = (None, MANY);
            loop {
                let page = snapshots::list(conn, &filter, before.as_ref(), 200)?;
                for snapshot in &page {
                    assert_eq!(snapshot.id.parse::<i64>().unwrap(), seen, "{name}: newest first, each once");
                    seen -= 1;
                }
                let Some(last) = page.last() else { break };
                before = Some((last.time, last.id.clone()));
            }
            assert_eq!(seen, 0, "{name}: all of them");
            if let Some(plan) = plan(conn, &repository.to_string()) {
                assert!(
                    plan.contains("USING INDEX snapshots_by_repository") && !plan.contains("TEMP B-TREE"),
                    "{plan}"
                );
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}
