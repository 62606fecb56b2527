//! The store's contract, the same on SQLite and PostgreSQL: what the rest of the control plane relies on.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::alert::{AlertKind, Severity};
use control::domain::fleet::Lifecycle;
use control::domain::job::{JobResult, JobState, StandsFor};
use control::domain::place::Place;
use control::domain::schedule::{Retention, Schedule};
use control::store::fires::{self, NewFire};
use control::store::jobs::{Filter, NewJob};
use control::store::{Conn, StoreError, StoreResult, alerts, audit, hosts, jobs, schedules, settings, snapshots};
use restic_manager_shared::id::{HostId, JobId, ScheduleId};
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::state::{BackupOptions, Firing};
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use support::{at, databases, line, open, origin, record, seed, seeded};

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
            assert!(jobs::request_cancel(conn, job, ("user:anna", at(6)), &line("stop"))?, "{name}");
            assert!(!jobs::request_cancel(conn, job, ("user:anna", at(6)), &line("stop"))?, "{name}: asked before");
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
        let entries = db.read(|conn| audit::list(conn, &audit::Filter::default(), None, 1000)).await.unwrap();
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

#[tokio::test]
async fn one_open_job_does_a_chore_however_often_it_was_due() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let (host, job) = seeded(&db).await;
        let task =
            db.read(move |conn| Ok::<_, StoreError>(jobs::get(conn, job)?.unwrap().task.unwrap())).await.unwrap();
        let chore = move |of: Option<HostId>, task: Task| NewJob {
            id: JobId::new(),
            host_id: host,
            schedule_id: None,
            task,
            of_host_id: of,
            state_version: 1,
            requested_by: "system:maintenance".into(),
            idempotency_key: None,
            priority: -10,
            chore: Some("prune".into()),
            secrets_sealed: None,
            now: at(3),
        };
        let (t1, t2, t3, t4) = (task.clone(), task.clone(), task.clone(), task);
        let first = chore(None, t1);
        let id = first.id;
        db.write(move |conn| jobs::insert(conn, &first, &line("queued"))).await.unwrap();
        let second = db.write(move |conn| jobs::insert(conn, &chore(None, t2), &line("queued"))).await;
        assert!(matches!(second, Err(StoreError::Duplicate(_))), "{name}: {second:?}");
        let elsewhere = db.write(move |conn| jobs::insert(conn, &chore(Some(host), t3), &line("queued"))).await;
        assert!(elsewhere.is_ok(), "{name}: another place is another chore: {elsewhere:?}");
        let result = JobResult::default();
        db.write(move |conn| jobs::cancel_waiting(conn, id, &result, ("user:anna", at(4)), &line("cancelled")))
            .await
            .unwrap();
        let again = db.write(move |conn| jobs::insert(conn, &chore(None, t4), &line("queued"))).await;
        assert!(again.is_ok(), "{name}: the next may come when the last is over: {again:?}");
    }
}

#[tokio::test]
async fn what_a_complete_list_does_not_name_is_gone_and_nothing_else() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let (host, job) = seeded(&db).await;
        db.write(move |conn| {
            let repository = jobs::get(conn, job)?.unwrap().job.repository_id.unwrap();
            let listing = JobId::new();
            let here = Place { repository, host: None };
            let there = Place { repository, host: Some(host) };
            let put = |conn: &mut Conn, place, n: u8, listed_by, seen| {
                snapshots::put(conn, origin(place, host, listed_by), &record(n), at(seen))
            };
            put(conn, here, 1, None, 10)?;
            put(conn, here, 2, None, 10)?;
            put(conn, there, 3, None, 10)?;
            put(conn, here, 4, None, 30)?;
            put(conn, here, 1, Some(listing), 20)?;
            let gone = snapshots::mark_unlisted_gone(conn, here, None, listing, at(20), at(21))?;
            assert_eq!(gone, 1, "{name}: the second; not the one elsewhere, nor the one that came meanwhile");
            let filter = snapshots::Filter { repository: Some(repository), ..Default::default() };
            let left = snapshots::list(conn, &filter, None, 10)?;
            assert_eq!(left.len(), 3, "{name}");
            assert_eq!(snapshots::count_by_place(conn, repository)?.len(), 2, "{name}");
            let old = record(1).id;
            snapshots::replaced(conn, repository, (&old, &record(9).id), at(40))?;
            snapshots::mark_gone(conn, repository, &[old], at(40))?;
            let new = snapshots::get(conn, repository, &record(9).id)?.unwrap();
            assert_eq!((new.host_id, new.of_host_id), (Some(host), None), "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

fn anna() -> alerts::Acknowledged<'static> {
    alerts::Acknowledged { by: "user:anna", ..alerts::Acknowledged::default() }
}

#[tokio::test]
async fn an_alert_is_opened_once_updated_and_resolved() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        db.write(move |conn| {
            let about = (AlertKind::MaintenanceFailed, "repository:x/prune");
            assert!(alerts::raise(conn, about, Severity::Warning, "first", at(1))?, "{name}");
            assert!(!alerts::raise(conn, about, Severity::Critical, "second", at(2))?, "{name}: it is open already");
            let open = alerts::list(conn, true, None, 10)?;
            assert_eq!(open.len(), 1, "{name}");
            assert_eq!((open[0].detail.as_str(), open[0].severity), ("second", Severity::Critical), "{name}");
            assert!(alerts::acknowledge(conn, open[0].id, anna(), at(3))?, "{name}");
            assert!(alerts::resolve(conn, about, at(4))?, "{name}");
            assert!(!alerts::resolve(conn, about, at(5))?, "{name}: it is over");
            assert!(!alerts::acknowledge(conn, open[0].id, anna(), at(6))?, "{name}");
            assert!(alerts::raise(conn, about, Severity::Warning, "again", at(7))?, "{name}: a new one");
            assert_eq!(alerts::list(conn, false, None, 10)?.len(), 2, "{name}");
            for subject in ["repository:x", "repository:x/host:h", "repository:y"] {
                alerts::raise(conn, (AlertKind::RepositoryDamaged, subject), Severity::Critical, subject, at(8))?;
            }
            let about = |conn: &mut Conn, limit| {
                let found = alerts::open_about(conn, AlertKind::RepositoryDamaged, "repository:x", limit)?;
                Ok::<_, StoreError>(found.into_iter().map(|a| a.subject).collect::<Vec<_>>())
            };
            assert_eq!(about(conn, 10)?, ["repository:x", "repository:x/host:h"], "{name}");
            assert_eq!(about(conn, 1)?, ["repository:x"], "{name}");
            alerts::resolve(conn, (AlertKind::RepositoryDamaged, "repository:x"), at(9))?;
            assert_eq!(about(conn, 10)?, ["repository:x/host:h"], "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_fire_is_known_by_when_it_was_due_whatever_the_clock_said_when_it_came() {
    for database in databases() {
        let db = open(&database);
        let (host, _) = seeded(&db).await;
        let name = database.name;
        db.write(move |conn| {
            let schedule = Schedule {
                id: ScheduleId::new(),
                host_id: host,
                repository_id: None,
                name: "minutely".into(),
                enabled: true,
                manual: false,
                cron: Some("* * * * *".into()),
                timezone: None,
                firing: Firing::default(),
                paused: None,
                pauses: vec![],
                drill: None,
                paths: vec!["/srv".into()],
                excludes: vec![],
                tags: vec![],
                retention: Retention::default(),
                options: BackupOptions::default(),
                created_at: at(1),
                updated_at: at(1),
            };
            schedules::insert(conn, &schedule)?;
            let stands_for = StandsFor { fires: vec![at(240)], more: 0 };
            let fire = NewFire {
                id: JobId::of_fire(schedule.id, at(300)),
                host_id: host,
                schedule_id: Some(schedule.id),
                repository_id: None,
                of_host_id: None,
                task: None,
                state: JobState::Skipped,
                due: at(300),
                // The server's own clock was behind.
                queued_at: at(100),
                fired_at: at(100),
                stands_for: Some(&stands_for),
                state_version: 1,
                lease: at(400),
            };
            assert!(fires::put(conn, &fire, &line("skipped"))?, "{name}");
            let known = fires::known_since(conn, schedule.id, at(240))?;
            assert_eq!(known, [(at(300), Some(stands_for))], "{name}");
            assert!(fires::known_since(conn, schedule.id, at(301))?.is_empty(), "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

/// Seven of the eight readers are held; the rest of the reads go through the last one, one after the other, as they came.
#[tokio::test]
async fn reads_that_wait_are_answered_in_the_order_they_came() {
    for database in databases() {
        let db = open(&database);
        let (let_go, held) = std::sync::mpsc::channel::<()>();
        let held = Arc::new(Mutex::new(held));
        let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
        let holders: Vec<_> = (0..7)
            .map(|_| {
                let (db, held, begun) = (db.clone(), Arc::clone(&held), begun.clone());
                tokio::spawn(async move {
                    db.read(move |_| {
                        begun.send(()).unwrap();
                        Ok::<_, StoreError>(held.lock().unwrap().recv().is_ok())
                    })
                    .await
                })
            })
            .collect();
        for _ in 0..7 {
            has_begun.recv().await.unwrap();
        }
        let order = Arc::new(Mutex::new(Vec::new()));
        // Tasks of a runtime of one thread begin in the order in which they were made.
        let read = |n| {
            let (db, order) = (db.clone(), Arc::clone(&order));
            tokio::spawn(async move {
                db.read(move |conn| {
                    settings::get(conn, "nothing")?;
                    order.lock().unwrap().push(n);
                    Ok::<_, StoreError>(())
                })
                .await
            })
        };
        for read in (0..50).map(read).collect::<Vec<_>>() {
            read.await.unwrap().unwrap();
        }
        assert_eq!(*order.lock().unwrap(), (0..50).collect::<Vec<_>>(), "{}", database.name);
        for _ in 0..7 {
            let_go.send(()).unwrap();
        }
        for holder in holders {
            assert!(holder.await.unwrap().unwrap(), "{}", database.name);
        }
    }
}
