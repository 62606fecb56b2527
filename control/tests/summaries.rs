//! Daily summaries on both databases, with a real web server and a real mail server at the other end: each goes out once at its time, and says what
//! the database says. The clock is the test's.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::alert::{AlertKind, Severity};
use control::domain::channel::{DeliveryState, Preset, Rules, Security, What};
use control::domain::job::JobState;
use control::domain::summary::SummaryPlan;
use control::service::channel_input::{ChannelInput, SmtpInput, WebhookInput};
use control::service::channels::ChannelView;
use control::service::{ActError, Services, channels, notices, seed, summaries};
use control::store::{
    Conn, StoreError, Target, alerts as store, day_figures, host_search, jobs, migrate, summaries as rows,
};
use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, RunQueryDsl as _};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde_json::{Value, json};
use std::time::Duration;
use support::peers::{MailServer, WebServer};
use support::plan::{insert_many, plan, statements};
use support::{admin, at, databases, open, seeded, services};
use tempfile::TempDir;

const LOCK: (AlertKind, &str) = (AlertKind::ForeignLock, "repository:x");
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn eight() -> SummaryPlan {
    SummaryPlan { at: "08:00".into(), timezone: "Europe/Berlin".into() }
}

/// A channel that only has a summary.
fn hook(name: &str, url: &str, tags: &[&str]) -> ChannelInput {
    let webhook = WebhookInput { preset: Preset::Generic, url: Some(Secret::new(url)), secret: None };
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    let rules = Rules { alerts: false, tags, ..Rules::default() };
    let (smtp, summary) = (None, Some(eight()));
    ChannelInput { name: name.into(), enabled: true, smtp, webhook: Some(webhook), rules, summary }
}

/// A fleet whose past ends when the next summary is due. Answers when that is.
async fn sow(s: &Services) -> Timestamp {
    let now = eight().next_after(Timestamp::now()).unwrap();
    seed::sow(s, seed::Plan { hosts: 24, days: 3, jobs: 0, seed: 7, now }).await.unwrap();
    now
}

/// What is due is put on its way and sent. Answers how many of each.
async fn go(s: &Services, now: Timestamp) -> (usize, usize) {
    (summaries::queue_due(s, now).await.unwrap(), notices::send_due(s, now).await.unwrap())
}

async fn view(s: &Services, channel: &ChannelView) -> ChannelView {
    channels::get(s, channel.id).await.unwrap()
}

/// What a summary has to say of the hosts, the jobs and the alerts, by the database.
async fn truth(s: &Services, tags: &[&str], since: Timestamp, now: Timestamp) -> Value {
    let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
    s.db.read(move |conn| {
        let all = host_search::list(conn, &host_search::Filter::default(), &host_search::Order::Worst(None), 100, now)?;
        let mine: Vec<_> = all.iter().filter(|h| tags.is_empty() || h.tags.iter().any(|t| tags.contains(t))).collect();
        let stands = |h: &&&control::store::hosts::HostRecord| h.standing.of(h.lifecycle, now).counts();
        let worst: Vec<_> = mine.iter().filter(|h| !stands(h)).take(10).map(|h| h.name.clone()).collect();
        let jobs = jobs::list(conn, &jobs::Filter::default(), None, 10_000)?;
        let lately = jobs.iter().filter(|j| j.finished_at.is_some_and(|at| at >= since && at < now));
        let lately: Vec<_> = lately.filter(|j| mine.iter().any(|h| h.id == j.host_id)).collect();
        let count = |states: &[JobState]| lately.iter().filter(|j| states.contains(&j.state)).count();
        let summaries = lately.iter().filter_map(|j| j.result.as_ref()?.summary.as_ref());
        let added: u64 = summaries.map(|s| s.data_added_packed.unwrap_or(s.data_added)).sum();
        let jobs = json!({"succeeded": count(&[JobState::Succeeded]), "warnings": count(&[JobState::Warning]), "added_bytes": added,
            "failed": count(&[JobState::Failed, JobState::Lost]), "missed": count(&[JobState::Missed])});
        let protected = mine.iter().filter(stands).count();
        Ok::<_, ActError>(json!({"hosts": mine.len(), "protected": protected, "worst": worst, "jobs": jobs}))
    })
    .await
    .unwrap()
}

fn told(summary: &Value) -> Value {
    let worst: Vec<_> = summary["at_risk"].as_array().unwrap().iter().map(|h| h["name"].clone()).collect();
    json!({"hosts": summary["hosts"], "protected": summary["protected"], "worst": worst, "jobs": summary["jobs"]})
}

#[tokio::test]
async fn a_summary_goes_out_once_at_its_time_over_a_failure_and_a_restart() {
    for database in databases() {
        let (dir, web, name) = (TempDir::new().unwrap(), WebServer::start(), database.name);
        let s = services(&database, &dir).await;
        let due = sow(&s).await;
        let channel = channels::add(&s, &admin(), hook("All", &web.url, &[])).await.unwrap();
        assert_eq!(channel.summary_next_at, Some(due), "{name}");
        s.db.write(|conn| Ok::<_, ActError>(store::raise(conn, LOCK, Severity::Critical, "held\0", at(1000))?))
            .await
            .unwrap();
        assert_eq!(view(&s, &channel).await.waiting, 0, "{name}: it is told of no alert");
        assert_eq!(go(&s, due - SECOND).await, (0, 0), "{name}: not yet");
        web.answer("503 Service Unavailable");
        assert_eq!(go(&s, due).await, (1, 1), "{name}");
        assert_eq!(go(&s, due + SECOND).await, (0, 0), "{name}: once");
        let failed = view(&s, &channel).await;
        let last = failed.last.unwrap();
        assert_eq!((last.what, last.state, last.attempts), (What::Summary, DeliveryState::Pending, 1), "{name}");
        assert_eq!((failed.summary_next_at, failed.summary_sent_at), (eight().next_after(due), None), "{name}");
        drop(s);
        let s = services(&database, &dir).await;
        assert_eq!(go(&s, due + 60 * SECOND).await, (0, 1), "{name}");
        assert_eq!(go(&s, due + 120 * SECOND).await, (0, 0), "{name}");
        assert_eq!(view(&s, &channel).await.summary_sent_at, Some(due + 60 * SECOND), "{name}");
        let posted = web.posted();
        assert_eq!((posted.len(), &posted[0].body), (2, &posted[1].body), "{name}: the same again");
        assert_eq!(posted[0].header("idempotency-key"), posted[1].header("idempotency-key"), "{name}");
        let body = posted[1].json();
        let summary = &body["summary"];
        assert_eq!(told(summary), truth(&s, &[], due - DAY, due).await, "{name}: {body}");
        assert!(summary["jobs"]["added_bytes"].as_i64().unwrap() > 1 << 30, "{name}: {body}");
        let (protected, hosts) = (summary["protected"].as_i64().unwrap(), summary["hosts"].as_i64().unwrap());
        assert_eq!(body["title"], format!("[restic-manager] {protected} of {hosts} hosts protected"), "{name}");
        assert_eq!((&body["alerts"], &body["test"]), (&json!([]), &json!(false)), "{name}");
        assert_eq!(
            (&summary["at_risk"][0]["state"], &summary["at_risk"][0]["cause"]),
            (&json!("failing"), &json!("repository_locked"))
        );
        assert_eq!(summary["alerts"][0]["severity"], "critical", "{name}: {body}");
        assert_eq!(body["link"], "https://backup.example.org/", "{name}");
        let text = body["text"].as_str().unwrap();
        assert!(text.contains("is locked") && text.contains("Open alerts:") && text.contains("CE"), "{name}: {text}");
        // One that waits goes with the plan.
        let next = view(&s, &channel).await.summary_next_at.unwrap();
        web.answer("503 Service Unavailable");
        assert_eq!(go(&s, next).await, (1, 1), "{name}");
        let input = ChannelInput { summary: None, rules: Rules::default(), ..hook("All", &web.url, &[]) };
        let without = channels::update(&s, &admin(), channel.id, input).await.unwrap();
        assert_eq!((without.waiting, without.summary_next_at), (0, None), "{name}");
        assert_eq!(go(&s, next + 2 * DAY).await, (0, 0), "{name}");
    }
}

#[tokio::test]
async fn days_of_downtime_are_one_summary_and_none_comes_long_after_its_time() {
    for database in databases() {
        let (dir, web, name) = (TempDir::new().unwrap(), WebServer::start(), database.name);
        let s = services(&database, &dir).await;
        let channel = channels::add(&s, &admin(), hook("All", &web.url, &[])).await.unwrap();
        let due = channel.summary_next_at.unwrap();
        assert_eq!(go(&s, due).await, (1, 1), "{name}");
        assert_eq!(go(&s, due + 4 * DAY + 2 * HOUR).await, (1, 1), "{name}: one for four");
        assert_eq!(go(&s, due + 4 * DAY + 3 * HOUR).await, (0, 0), "{name}");
        let last = &web.posted()[1].json()["summary"];
        assert_eq!(last["since"], due.to_string(), "{name}: since the last one");
        assert_eq!(go(&s, due + 6 * DAY + 12 * HOUR).await, (0, 0), "{name}: too late");
        let next = view(&s, &channel).await.summary_next_at.unwrap();
        assert!(next > due + 6 * DAY + 12 * HOUR && next <= due + 7 * DAY + HOUR, "{name}: {next}");
        assert_eq!(go(&s, next).await, (1, 1), "{name}");
        // A summary of somebody's own moves nothing, and counts a day.
        let sent = summaries::send_now(&s, &admin(), channel.id, next + HOUR).await.unwrap();
        assert!(sent.delivered, "{name}: {}", sent.said);
        let by_hand = web.posted().pop().unwrap().json();
        assert_eq!(by_hand["summary"]["since"], (next + HOUR - DAY).to_string(), "{name}");
        let after = view(&s, &channel).await;
        assert_eq!(after.summary_sent_at, Some(next + HOUR), "{name}");
        assert_eq!(go(&s, after.summary_next_at.unwrap()).await, (1, 1), "{name}");
        assert_eq!(web.posted().pop().unwrap().json()["summary"]["since"], next.to_string(), "{name}");
    }
}

#[tokio::test]
async fn two_servers_on_one_database_make_one_summary() {
    let database = databases().pop().unwrap();
    let (dir, other, web) = (TempDir::new().unwrap(), TempDir::new().unwrap(), WebServer::start());
    let one = services(&database, &dir).await;
    std::fs::copy(dir.path().join("master.key"), other.path().join("master.key")).unwrap();
    let two = services(&database, &other).await;
    let mut due = at(0);
    for n in 0..5 {
        let channel = channels::add(&one, &admin(), hook(&n.to_string(), &web.url, &[])).await.unwrap();
        due = channel.summary_next_at.unwrap();
    }
    let (a, b) = tokio::join!(summaries::queue_due(&one, due), summaries::queue_due(&two, due));
    assert_eq!(a.unwrap() + b.unwrap(), 5);
    let (a, b) = tokio::join!(notices::send_due(&one, due), notices::send_due(&two, due));
    assert_eq!((a.unwrap() + b.unwrap(), web.posted().len()), (5, 5));
}

#[tokio::test]
async fn a_channel_of_tags_sums_up_their_hosts_only() {
    for database in databases() {
        let (dir, web, name) = (TempDir::new().unwrap(), WebServer::start(), database.name);
        let s = services(&database, &dir).await;
        let due = sow(&s).await;
        channels::add(&s, &admin(), hook("Some", &web.url, &["db", "office"])).await.unwrap();
        s.db.write(|conn| Ok::<_, ActError>(store::raise(conn, LOCK, Severity::Critical, "of nobody", at(1000))?))
            .await
            .unwrap();
        assert_eq!(go(&s, due).await, (1, 1), "{name}");
        let body = web.posted()[0].json();
        let summary = &body["summary"];
        assert_eq!(told(summary), truth(&s, &["db", "office"], due - DAY, due).await, "{name}: {body}");
        let (mine, all) = (summary["hosts"].as_i64().unwrap(), 24);
        assert!(mine > 0 && mine < all, "{name}: {body}");
        assert!(
            body["text"].as_str().unwrap().starts_with("Hosts with one of the tags db, office: "),
            "{name}: {body}"
        );
        assert!(!body.to_string().contains("of nobody"), "{name}: {body}");
        let none = channels::add(&s, &admin(), hook("None", &web.url, &["nobody's"])).await.unwrap();
        summaries::send_now(&s, &admin(), none.id, due).await.unwrap();
        let body = web.posted().pop().unwrap().json();
        let jobs = json!({"succeeded": 0, "warnings": 0, "failed": 0, "missed": 0, "added_bytes": 0});
        let nothing = json!({"hosts": 0, "protected": 0, "worst": [], "jobs": jobs});
        assert_eq!((told(&body["summary"]), &body["summary"]["alerts"]), (nothing, &json!([])), "{name}: {body}");
    }
}

#[tokio::test]
async fn a_mail_tells_the_number_in_its_subject_and_a_newer_one_takes_its_place() {
    let database = databases().remove(0);
    let (dir, server) = (TempDir::new().unwrap(), MailServer::start());
    let s = services(&database, &dir).await;
    let smtp = SmtpInput {
        host: "127.0.0.1".into(),
        port: server.port,
        security: Security::Plain,
        username: None,
        password: None,
        from: "backup@example.org".into(),
        to: vec!["ops@example.org".into()],
    };
    let (rules, summary) = (Rules::default(), Some(eight()));
    let input = ChannelInput { name: "Ops".into(), enabled: true, smtp: Some(smtp), webhook: None, rules, summary };
    let due = sow(&s).await;
    let channel = channels::add(&s, &admin(), input.clone()).await.unwrap();
    // An alert goes in a message of its own.
    s.db.write(move |conn| Ok::<_, ActError>(store::raise(conn, LOCK, Severity::Critical, "held", due - 60 * SECOND)?))
        .await
        .unwrap();
    assert_eq!(view(&s, &channel).await.waiting, 1);
    server.refuse(Some("451 later"));
    assert_eq!(go(&s, due).await.0, 1);
    server.refuse(None);
    let next = view(&s, &channel).await.summary_next_at.unwrap();
    assert_eq!(summaries::queue_due(&s, next).await.unwrap(), 1);
    notices::send_due(&s, next).await.unwrap();
    let all = channels::deliveries_to(&s, channel.id, None, 100).await.unwrap().items;
    let summaries: Vec<_> = all.iter().filter(|d| d.what == What::Summary).map(|d| d.state).collect();
    assert_eq!(summaries, [DeliveryState::Sent, DeliveryState::GivenUp]);
    let mails = server.mails();
    let subjects: Vec<_> = mails.iter().filter_map(|m| m.data.lines().find(|l| l.starts_with("Subject: "))).collect();
    let ours: Vec<_> = subjects.iter().filter(|l| l.contains("of 24 hosts protected")).collect();
    assert_eq!((ours.len(), mails.len()), (1, 2), "{subjects:?}");
    // A pause has no summary; afterwards the next one comes.
    let paused = channels::update(&s, &admin(), channel.id, ChannelInput { enabled: false, ..input.clone() }).await;
    assert_eq!(paused.unwrap().summary_next_at, None);
    assert_eq!(go(&s, next + 9 * DAY).await, (0, 0));
    let again = channels::update(&s, &admin(), channel.id, input).await.unwrap();
    assert_eq!(again.summary_next_at, Some(due));
}

#[tokio::test]
async fn what_was_added_before_the_upgrade_is_counted_after_it() {
    for database in databases() {
        let (dir, name) = (TempDir::new().unwrap(), database.name);
        let s = services(&database, &dir).await;
        let now = sow(&s).await;
        let added = async |s: &Services| {
            s.db.read(move |conn| {
                let ended = day_figures::ended(conn, &[], now - 2 * DAY, now)?;
                Ok::<_, ActError>(ended.into_iter().map(|(_, _, bytes)| bytes).sum::<f64>())
            })
            .await
            .unwrap()
        };
        let before = added(&s).await;
        drop(s);
        let mut conn = match &database.target {
            Target::Sqlite(_) => {
                let mut c = diesel::SqliteConnection::establish(dir.path().join("restic-manager.db").to_str().unwrap())
                    .unwrap();
                // The database that was just closed may still be writing its log back.
                c.batch_execute("PRAGMA busy_timeout = 10000; PRAGMA foreign_keys = ON").unwrap();
                Conn::Sqlite(c)
            }
            Target::Postgres(url) => Conn::Pg(diesel::PgConnection::establish(url).unwrap()),
        };
        migrate::down_by(&mut conn, 1).unwrap();
        migrate::up(&mut conn).unwrap();
        drop(conn);
        let after = added(&services(&database, &dir).await).await;
        assert!(before > 1e9 && (after - before).abs() < 1.0, "{name}: {before} {after}");
    }
}

#[tokio::test]
async fn summaries_are_found_and_counted_by_index() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let (host, _) = seeded(&db).await;
        db.write(move |conn| {
            let into =
                "jobs (id, host_id, kind, state, requested_by, queued_at, finished_at, place, state_version, attempt)";
            insert_many(conn, into, 50_000, 12, |n, padded| {
                format!(
                    "'00000000-0000-7000-8000-' || {padded}, '{host}', 'backup', 'succeeded', 'x', {n}, {n}, '', 1, 1"
                )
            });
            if let Conn::Pg(_) = conn {
                diesel::sql_query("ANALYZE jobs").execute(conn).unwrap();
            }
            let id = restic_manager_shared::id::ChannelId::new();
            type Act<'a> = &'a dyn Fn(&mut Conn) -> bool;
            let acts: [(&str, Act<'_>); 3] = [
                ("jobs_by_end", &|c| day_figures::ended(c, &[], at(5), at(6)).is_ok()),
                ("deliveries_", &|c| rows::last_made(c, id).is_ok()),
                ("deliveries_", &|c| rows::last_sent(c, id).is_ok()),
            ];
            for (index, act) in acts {
                let made = statements(conn, |c| assert!(act(c), "{index}"));
                assert_eq!(made.len(), 1, "{name}: {made:?}");
                let plan = plan(conn, &made[0]);
                assert!(plan.contains(index), "{name}: {plan}");
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}
