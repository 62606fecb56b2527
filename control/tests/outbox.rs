//! The outbox of alerts on both databases: who is told of what, once, and what becomes of it.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::alert::{AlertKind, Severity};
use control::domain::channel::{DeliveryState, Preset, Rules, Settings, Webhook, What};
use control::store::alerts::{self, Acknowledged};
use control::store::channels::{self, ChannelRecord};
use control::store::deliveries::{self, Taken};
use control::store::{Conn, StoreError, StoreResult, jobs, told};
use diesel::RunQueryDsl as _;
use restic_manager_shared::id::{AlertId, ChannelId, DeliveryId, MessageId};
use restic_manager_shared::time::Timestamp;
use support::plan::{insert_many, plan, statements};
use support::{at, databases, open, seeded};

const LOCK: (AlertKind, &str) = (AlertKind::ForeignLock, "repository:x");

fn channel(conn: &mut Conn, name: &str, preset: Preset, rules: Rules) -> StoreResult<ChannelId> {
    let record = ChannelRecord {
        id: ChannelId::new(),
        name: name.into(),
        settings: Settings::Webhook(Webhook { preset, origin: "https://example.org".into() }),
        secrets_sealed: None,
        enabled: true,
        rules,
        created_at: at(1),
        updated_at: at(1),
        summary: None,
        summary_due: None,
    };
    channels::insert(conn, &record)?;
    assert_eq!(channels::get(conn, record.id)?.unwrap(), record);
    Ok(record.id)
}

fn raise(conn: &mut Conn, about: (AlertKind, &str), severity: Severity, now: Timestamp) -> StoreResult<AlertId> {
    alerts::raise(conn, about, severity, "detail", now)?;
    Ok(alerts::list(conn, true, None, 1)?[0].id)
}

/// What channels were told of an alert, the oldest first.
fn said(conn: &mut Conn, alert: AlertId) -> StoreResult<Vec<(ChannelId, What, DeliveryState)>> {
    let mut all = told::of_alert(conn, alert, None, 100)?;
    all.reverse();
    Ok(all.into_iter().map(|d| (d.channel, d.what, d.state)).collect())
}

fn take(conn: &mut Conn, now: Timestamp) -> StoreResult<Vec<Taken>> {
    deliveries::take(conn, now, at(now.seconds() + 100), 50)
}

#[tokio::test]
async fn each_channel_is_told_once_of_what_its_rules_ask_for() {
    use DeliveryState::Pending;
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        db.write(move |conn| {
            let all = channel(conn, "all", Preset::Generic, Rules::default())?;
            let critical = Rules { min_severity: Severity::Critical, send_resolved: false, ..Rules::default() };
            let critical = channel(conn, "critical", Preset::Generic, critical)?;
            let drills = Rules { kinds: vec![AlertKind::DrillFailed], ..Rules::default() };
            channel(conn, "drills", Preset::Generic, drills)?;
            let alert = raise(conn, LOCK, Severity::Warning, at(10))?;
            assert_eq!(said(conn, alert)?, [(all, What::Opened, Pending)], "{name}");
            raise(conn, LOCK, Severity::Warning, at(11))?;
            assert_eq!(said(conn, alert)?.len(), 1, "{name}: it is open already");
            raise(conn, LOCK, Severity::Critical, at(12))?;
            raise(conn, LOCK, Severity::Warning, at(13))?;
            raise(conn, LOCK, Severity::Critical, at(14))?;
            let mut told = said(conn, alert)?;
            told.sort_by_key(|(_, what, _)| *what);
            let worse =
                [(all, What::Opened, Pending), (critical, What::Opened, Pending), (all, What::Worsened, Pending)];
            assert!(worse.iter().all(|w| told.contains(w)) && told.len() == 3, "{name}: {told:?}");
            alerts::resolve(conn, LOCK, at(20))?;
            alerts::resolve(conn, LOCK, at(21))?;
            let told = said(conn, alert)?;
            assert_eq!((told.len(), told[3]), (4, (all, What::Resolved, Pending)), "{name}");
            assert_eq!(told::waiting_by_channel(conn)?.iter().map(|(_, n)| n).sum::<i64>(), 4, "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn tags_are_those_of_the_hosts_that_an_alert_is_about() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        let (host, job) = seeded(&db).await;
        db.write(move |conn| {
            let repository = jobs::get(conn, job)?.unwrap().job.repository_id.unwrap();
            let tag = |tag: &str| Rules { tags: vec![tag.into()], ..Rules::default() };
            let a = channel(conn, "a", Preset::Generic, tag("a"))?;
            channel(conn, "b", Preset::Generic, tag("b"))?;
            let subject = format!("host:{host}/repository:{repository}");
            let alert = raise(conn, (AlertKind::CredentialCanDelete, &subject), Severity::Critical, at(10))?;
            assert_eq!(said(conn, alert)?.iter().map(|s| s.0).collect::<Vec<_>>(), [a], "{name}");
            let subject = format!("repository:{repository}");
            let alert = raise(conn, (AlertKind::RepositoryDamaged, &subject), Severity::Critical, at(11))?;
            assert_eq!(said(conn, alert)?, [], "{name}: no host uses it");
            let alert = raise(conn, (AlertKind::ForeignLock, "something"), Severity::Critical, at(12))?;
            assert_eq!(said(conn, alert)?, [], "{name}: about nobody");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn what_comes_together_goes_together_and_is_taken_by_one() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        db.write(move |conn| {
            let chat = channel(conn, "chat", Preset::Slack, Rules::default())?;
            let pager = channel(conn, "pager", Preset::PagerDuty, Rules::default())?;
            for n in 0..30 {
                let subject = format!("repository:x/host:{n}");
                raise(conn, (AlertKind::ForeignLock, &subject), Severity::Warning, at(100 + n))?;
            }
            raise(conn, (AlertKind::RepositoryDamaged, "z"), Severity::Critical, at(150))?;
            let early = take(conn, at(150))?;
            assert!(early.len() == 31 && early.iter().all(|t| t.channel == pager), "{name}: each incident has its own");
            assert!(deliveries::any_due(conn, at(160))?, "{name}");
            let taken = take(conn, at(160))?;
            assert_eq!(taken.iter().map(|t| (t.channel, t.attempt)).collect::<Vec<_>>(), [(chat, 1)], "{name}");
            assert_eq!(take(conn, at(161))?, [], "{name}: it is taken");
            let (items, all) = deliveries::contents(conn, taken[0].message, 20)?;
            assert_eq!((items.len(), all), (20, 31), "{name}");
            assert_eq!(
                (items[0].0, items[0].1.severity),
                (What::Opened, Severity::Critical),
                "{name}: the worst first"
            );
            assert_eq!(deliveries::sent(conn, &taken[0], "d", at(162))?, 31, "{name}");
            assert_eq!(deliveries::sent(conn, &taken[0], "d", at(163))?, 0, "{name}: once");
            let newest = told::newest(conn, chat)?.unwrap();
            assert_eq!((newest.state, newest.sent_at), (DeliveryState::Sent, Some(at(162))), "{name}");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn a_message_that_does_not_arrive_is_tried_again_as_it_is_and_given_up_in_the_end() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        db.write(move |conn| {
            let chat = channel(conn, "chat", Preset::Slack, Rules { group_seconds: 0, ..Rules::default() })?;
            let alert = raise(conn, LOCK, Severity::Warning, at(10))?;
            let first = take(conn, at(10))?.remove(0);
            // Who took it has died: it is free again after a while, and counts as tried.
            assert_eq!(take(conn, at(109))?, [], "{name}");
            let second = take(conn, at(110))?.remove(0);
            assert_eq!((second.message, second.attempt), (first.message, 2), "{name}: the same message");
            assert_eq!(deliveries::failed(conn, &first, "late", at(111))?, 0, "{name}: somebody else has it");
            let mut now = at(120);
            let mut taken = second;
            loop {
                assert_eq!(deliveries::failed(conn, &taken, "refused", now)?, 1, "{name}");
                let Some(next) = told::newest(conn, chat)?.filter(|d| d.state == DeliveryState::Pending) else { break };
                now = next.next_attempt_at;
                taken = take(conn, now)?.remove(0);
            }
            assert_eq!(taken.attempt, 9, "{name}");
            let record = told::newest(conn, chat)?.unwrap();
            assert_eq!(
                (record.state, record.last_error.as_deref()),
                (DeliveryState::GivenUp, Some("refused")),
                "{name}"
            );
            alerts::resolve(conn, LOCK, now)?;
            assert_eq!(said(conn, alert)?.len(), 1, "{name}: who never heard of it is not told that it is over");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn reminders_come_while_nobody_knows_and_again_when_an_acknowledgement_ends() {
    let hours = |n: i64| at(n * 3600);
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        db.write(move |conn| {
            let rules = Rules { remind_hours: Some(4), ..Rules::default() };
            channel(conn, "often", Preset::Slack, rules)?;
            channel(conn, "once", Preset::Slack, Rules::default())?;
            let alert = raise(conn, LOCK, Severity::Warning, hours(0))?;
            for (at_hour, reminders) in [(3, 0), (4, 1), (4, 0), (7, 0), (8, 1)] {
                assert_eq!(deliveries::remind(conn, hours(at_hour))?, reminders, "{name}: {at_hour}");
            }
            let how = Acknowledged { by: "user:anna", reason: Some("n\0ul"), until: Some(hours(30)) };
            assert!(alerts::acknowledge(conn, alert, how, hours(9))?, "{name}");
            let known = alerts::get(conn, alert)?.unwrap();
            assert_eq!(
                (known.acknowledged_reason.as_deref(), known.acknowledged_until),
                (Some("n\0ul"), Some(hours(30)))
            );
            assert_eq!(deliveries::remind(conn, hours(20))?, 0, "{name}: somebody knows");
            assert_eq!(alerts::lapse(conn, hours(29))?, [], "{name}");
            assert_eq!(alerts::lapse(conn, hours(30))?, [alert], "{name}");
            deliveries::remind_of(conn, alert, hours(30))?;
            assert_eq!(alerts::get(conn, alert)?.unwrap().acknowledged_by, None, "{name}");
            let told = told::of_alert(conn, alert, None, 100)?;
            let reminders = told.iter().filter(|d| d.what == What::Reminder).count();
            assert_eq!(reminders, 4, "{name}: two, and one for each channel at the end");
            assert!(!alerts::reopen(conn, alert)?, "{name}: it is open");
            alerts::acknowledge(conn, alert, Acknowledged { by: "user:anna", ..Acknowledged::default() }, hours(31))?;
            assert!(alerts::reopen(conn, alert)?, "{name}");
            alerts::resolve(conn, LOCK, hours(40))?;
            assert_eq!(deliveries::remind(conn, hours(100))?, 0, "{name}: it is over");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

#[tokio::test]
async fn what_is_settled_is_forgotten_in_time_and_a_paused_channel_gives_up_what_waits() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        db.write(move |conn| {
            let chat = channel(conn, "chat", Preset::Slack, Rules::default())?;
            let over = raise(conn, LOCK, Severity::Warning, at(10))?;
            alerts::resolve(conn, LOCK, at(11))?;
            let open = raise(conn, (AlertKind::DrillFailed, "host:x"), Severity::Warning, at(12))?;
            let message = take(conn, at(100))?.remove(0);
            deliveries::sent(conn, &message, "d", at(101))?;
            deliveries::tested(conn, chat, MessageId::new(), Err("no\u{fffd}"), at(13))?;
            assert_eq!(deliveries::forget_settled(conn, at(10))?, 0, "{name}");
            assert_eq!(
                deliveries::forget_settled(conn, at(1000))?,
                3,
                "{name}: two of the one that is over, and the test"
            );
            assert_eq!((said(conn, over)?.len(), said(conn, open)?.len()), (0, 1), "{name}");
            raise(conn, (AlertKind::DrillFailed, "host:y"), Severity::Warning, at(102))?;
            assert_eq!(deliveries::give_up(conn, chat, "paused")?, 1, "{name}");
            assert!(!deliveries::any_due(conn, at(100_000))?, "{name}");
            assert!(channels::delete(conn, chat)? && !channels::delete(conn, chat)?, "{name}");
            assert_eq!(said(conn, open)?, [], "{name}: the record goes with the channel");
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}

type Act = fn(&mut Conn, ChannelId) -> bool;

/// What is asked every few seconds or for each page, and the index that it must go by.
const ALL_THE_TIME: [(&str, &str, Act); 8] = [
    ("whether anything is due", "deliveries_waiting", |c, _| deliveries::any_due(c, at(5)).is_ok()),
    ("what is due", "deliveries_waiting", |c, _| deliveries::take(c, at(5), at(6), 10).is_ok()),
    ("how much waits", "deliveries_waiting", |c, _| told::waiting_by_channel(c).is_ok()),
    ("who was told of listed alerts", "deliveries_once", |c, _| told::of_alerts(c, &[AlertId::new()]).is_ok()),
    ("who was told of an alert", "deliveries_once", |c, _| told::of_alert(c, AlertId::new(), None, 10).is_ok()),
    ("what a channel was last sent", "deliveries_by_channel", |c, channel| told::newest(c, channel).is_ok()),
    ("what a channel was sent", "deliveries_by_channel", |c, channel| told::of_channel(c, channel, None, 50).is_ok()),
    ("what it was sent before", "deliveries_by_channel", |c, channel| {
        told::of_channel(c, channel, Some((at(0), DeliveryId::new())), 50).is_ok()
    }),
];

#[tokio::test]
async fn the_outbox_is_looked_through_by_index_however_much_was_sent() {
    for database in databases() {
        let (db, name) = (open(&database), database.name);
        db.write(move |conn| {
            let chat = channel(conn, "chat", Preset::Slack, Rules::default())?;
            let into = "deliveries (id, channel_id, what, round, state, batch, attempts, created_at, next_attempt_at, sent_at)";
            insert_many(conn, into, 50_000, 12, |n, padded| {
                format!("'00000000-0000-7000-8000-' || {padded}, '{chat}', 'test', 0, 'sent', '00000000-0000-7000-8000-' || {padded}, 1, {n}, {n}, {n}")
            });
            if let Conn::Pg(_) = conn {
                diesel::sql_query("ANALYZE deliveries").execute(conn).unwrap();
            }
            for (what, index, act) in ALL_THE_TIME {
                let made = statements(conn, |c| assert!(act(c, chat), "{what}"));
                assert_eq!(made.len(), 1, "{name}: {what}: {made:?}");
                let plan = plan(conn, &made[0]);
                assert!(plan.contains(index) && !plan.contains("Seq Scan on deliveries"), "{name}: {what}: {plan}");
            }
            Ok::<_, StoreError>(())
        })
        .await
        .unwrap();
    }
}
