//! A hundred thousand snapshots: pages come by cursor, each snapshot once and in order, from an index and not from a sort of all.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::store::snapshot_days;
use control::store::snapshots::{self, Filter};
use control::store::{Conn, StoreError};
use control::store::{hosts, jobs};
use diesel::RunQueryDsl;
use restic_manager_shared::id::HostId;
use support::plan::{insert_many, plan, statements};
use support::{at, databases, open, seeded};

const MANY: i64 = 100_000;

fn fill(conn: &mut Conn, repository: &str) {
    let into = "snapshots (repository_id, snapshot_id, time, record, place, attested, first_seen_at)";
    insert_many(conn, into, MANY, 64, |n, padded| {
        format!(
            "'{repository}', {padded}, {n} * 1000000, '{{\"id\":\"' || {padded} || '\",\"time\":\"1970-01-02T00:00:00Z\",\
             \"hostname\":\"h\",\"paths\":[\"/srv\"],\"tags\":[]}}', '', TRUE, 1"
        )
    });
    diesel::sql_query("ANALYZE snapshots").execute(conn).unwrap();
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
            let middle = (at(MANY / 2), "x".to_owned());
            let made = statements(conn, |c| snapshots::list(c, &filter, Some(&middle), 51).unwrap());
            if let Conn::Sqlite(_) = conn {
                let plan = plan(conn, &made[0]);
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

/// Few hosts with a tag are asked one by one, many all at once: the list is the same.
#[tokio::test]
async fn jobs_of_hosts_with_a_tag_are_listed_newest_first() {
    for database in databases() {
        let db = open(&database);
        let (_, job) = seeded(&db).await;
        let name = database.name;
        db.write(move |conn| {
            let repository = jobs::get(conn, job)?.unwrap().job.repository_id.unwrap();
            for n in 0..60 {
                let host = HostId::new();
                let tags: &[&str] = if n < 3 { &["acme", "ac%"] } else { &["many"] };
                hosts::insert_pending(conn, host, &format!("h{n}"), &tags.iter().map(ToString::to_string).collect::<Vec<_>>(), at(1))?;
                let into = "jobs (id, host_id, repository_id, kind, state, requested_by, queued_at, place, state_version, attempt)";
                insert_many(conn, into, 20, 9, |m, padded| {
                    format!("'{n:08}-0000-7000-8000-000' || {padded}, '{host}', '{repository}', 'backup', 'succeeded', 'x', {m} * 60000000 + {n}, '', 1, 1")
                });
            }
            for (tag, all) in [("acme", 60), ("ac%", 60), ("many", 57 * 20), ("a%", 0), ("acm", 0), ("a", 1)] {
                let filter = jobs::Filter { host_tag: Some(tag.into()), ..jobs::Filter::default() };
                let (mut before, mut seen) = (None, vec![]);
                loop {
                    let page = jobs::list(conn, &filter, before, 50)?;
                    let Some(last) = page.last() else { break };
                    before = Some((last.queued_at, last.id));
                    seen.extend(page.into_iter().map(|job| (job.queued_at, job.id)));
                }
                assert_eq!(seen.len(), all, "{name}: {tag}");
                assert!(seen.is_sorted_by(|a, b| a > b), "{name}: {tag}: newest first, each once");
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

/// A month is one statement, whose days follow an index as far as they are counted.
#[tokio::test]
async fn the_days_of_a_month_are_counted_up_to_a_limit() {
    for database in databases() {
        let db = open(&database);
        let (host, job) = seeded(&db).await;
        let name = database.name;
        db.write(move |conn| {
            let repository = jobs::get(conn, job)?.unwrap().job.repository_id.unwrap();
            fill(conn, &repository.to_string());
            let theirs = format!("UPDATE snapshots SET host_id = '{host}' WHERE time > {}", at(MANY - 100).micros());
            diesel::sql_query(theirs).execute(conn).unwrap();
            diesel::sql_query("UPDATE snapshots SET gone_at = 1 WHERE time <= 10 * 1000000").execute(conn).unwrap();
            let tags = format!(
                "UPDATE snapshots SET record = replace(record, '\"tags\":[]', '\"tags\":[\"app\"]') WHERE time > {}",
                at(MANY - 7).micros()
            );
            diesel::sql_query(tags).execute(conn).unwrap();
            let days = [(at(0), at(501)), (at(501), at(601)), (at(1000), at(60_000)), (at(MANY), at(MANY + 9))];
            let all = Filter::default();
            assert_eq!(snapshot_days::counts(conn, &all, &days)?, [490, 100, snapshot_days::MOST, 1], "{name}");
            let of_host = Filter { host: Some(host), ..Filter::default() };
            let days_of_host = [(at(0), at(501)), (at(MANY - 50), at(MANY + 1))];
            assert_eq!(snapshot_days::counts(conn, &of_host, &days_of_host)?, [0, 51], "{name}");
            let tagged = Filter { tag: Some("app".to_owned()), ..of_host.clone() };
            assert_eq!(snapshot_days::counts(conn, &tagged, &days_of_host)?, [0, 7], "{name}");
            assert_eq!(snapshot_days::oldest(conn, None)?, Some(at(11)), "{name}: what is gone is not the oldest");
            assert_eq!(snapshot_days::oldest(conn, Some(host))?, Some(at(MANY - 99)), "{name}");
            for (filter, index) in [(&all, "snapshots_by_time"), (&of_host, "snapshots_by_host")] {
                let made = statements(conn, |c| snapshot_days::counts(c, filter, &days).unwrap());
                assert_eq!(made.len(), 1, "{name}");
                if let Conn::Sqlite(_) = conn {
                    let plan = plan(conn, &made[0]);
                    assert!(plan.contains(index), "{index}: {plan}");
                }
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}
