//! Channels with a real mail server and a real web server at their other end: what goes wrong is tried again, a restart loses nothing, and
//! nothing that arrived goes out twice. The clock is the test's.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use control::domain::alert::{AlertKind, Severity};
use control::domain::channel::{DeliveryState, Preset, Rules, Security, What};
use control::service::channel_input::{ChannelInput, SmtpInput, WebhookInput};
use control::service::channels::ChannelView;
use control::service::{ActError, Services, alerts, channels, navigation, notices};
use control::store::alerts as store;
use restic_manager_shared::id::AlertId;
use restic_manager_shared::secret::Secret;
use ring::hmac;
use support::peers::{MailServer, WebServer};
use support::{admin, at, databases, services};
use tempfile::TempDir;

const LOCK: (AlertKind, &str) = (AlertKind::ForeignLock, "repository:x");

fn hook(name: &str, preset: Preset, url: &str, secret: Option<&str>) -> ChannelInput {
    let webhook = WebhookInput { preset, url: Some(Secret::new(url)), secret: secret.map(Secret::new) };
    ChannelInput {
        name: name.into(),
        enabled: true,
        smtp: None,
        webhook: Some(webhook),
        rules: Rules::default(),
        summary: None,
    }
}

fn mail(name: &str, port: u16, user: Option<&str>) -> ChannelInput {
    let smtp = SmtpInput {
        host: "127.0.0.1".into(),
        port,
        security: Security::Plain,
        username: user.map(Into::into),
        password: user.map(|_| Secret::new("hunter2 hunter2")),
        from: "backup@example.org".into(),
        to: vec!["ops@example.org".into(), "anna@example.org".into()],
    };
    ChannelInput {
        name: name.into(),
        enabled: true,
        smtp: Some(smtp),
        webhook: None,
        rules: Rules::default(),
        summary: None,
    }
}

async fn raise(s: &Services, about: (AlertKind, &'static str), now: i64) -> AlertId {
    s.db.write(move |conn| {
        store::raise(conn, about, Severity::Critical, "held by <db-01>", at(now))?;
        Ok::<_, ActError>(store::list(conn, true, None, 1)?[0].id)
    })
    .await
    .unwrap()
}

async fn resolve(s: &Services, now: i64) {
    s.db.write(move |conn| Ok::<_, ActError>(store::resolve(conn, LOCK, at(now))?)).await.unwrap();
}

async fn last(s: &Services, channel: &ChannelView) -> (DeliveryState, String) {
    let last = channels::get(s, channel.id).await.unwrap().last.unwrap();
    (last.state, last.last_error.unwrap_or_default())
}

#[tokio::test]
async fn a_webhook_that_fails_first_is_told_once_in_the_end_over_a_restart() {
    for database in databases() {
        let (dir, web, name) = (TempDir::new().unwrap(), WebServer::start(), database.name);
        let s = services(&database, &dir).await;
        let url = format!("{}/in?key=hidden", web.url);
        let channel = channels::add(&s, &admin(), hook("Pager", Preset::Generic, &url, Some("k"))).await.unwrap();
        assert_eq!(channel.webhook.as_ref().unwrap().origin, web.url, "{name}: the address is a secret");
        let alert = raise(&s, LOCK, 1000).await;
        assert_eq!(notices::send_due(&s, at(1059)).await.unwrap(), 0, "{name}: it waits for more");
        web.answer("503 Service Unavailable");
        assert_eq!(notices::send_due(&s, at(1060)).await.unwrap(), 1, "{name}");
        let (state, why) = last(&s, &channel).await;
        assert_eq!((state, why), (DeliveryState::Pending, format!("{} answered 503: said so", web.url)), "{name}");
        assert_eq!(notices::send_due(&s, at(1061)).await.unwrap(), 0, "{name}: not yet");
        drop(s);
        let s = services(&database, &dir).await;
        assert_eq!(notices::send_due(&s, at(1120)).await.unwrap(), 1, "{name}");
        assert_eq!(last(&s, &channel).await, (DeliveryState::Sent, String::new()), "{name}");
        resolve(&s, 2000).await;
        for now in [2060, 2061, 9000, 900_000] {
            notices::follow_the_clock(&s, at(now)).await.unwrap();
            notices::send_due(&s, at(now)).await.unwrap();
        }
        let posted = web.posted();
        assert_eq!(posted.len(), 3, "{name}: failed, taken, resolved");
        let keys: Vec<_> = posted.iter().map(|p| p.header("idempotency-key").unwrap()).collect();
        assert!(keys[0] == keys[1] && keys[1] != keys[2], "{name}: {keys:?}");
        let events: Vec<_> = posted.iter().map(|p| p.json()["alerts"][0]["event"].clone()).collect();
        assert_eq!(events, ["opened", "opened", "resolved"], "{name}");
        assert_eq!(posted[2].json()["alerts"][0]["id"], alert.to_string(), "{name}");
        assert_eq!(
            (posted[0].path.as_str(), &posted[0].json()["link"]),
            ("/in?key=hidden", &"https://backup.example.org/alerts".into())
        );
        for one in &posted {
            let stamp = one.header("x-restic-manager-timestamp").unwrap();
            let sent = one.header("x-restic-manager-signature").unwrap().strip_prefix("sha256=").unwrap();
            let key = hmac::Key::new(hmac::HMAC_SHA256, b"k");
            let tag = hmac::sign(&key, format!("{stamp}.{}", one.body).as_bytes());
            let hex: String = tag.as_ref().iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(sent, hex, "{name}");
        }
        let told = channels::deliveries_of(&s, alert, None, 10).await.unwrap().items;
        let told: Vec<_> = told.iter().map(|d| (d.channel.as_str(), d.what, d.state, d.attempts, d.sent_at)).collect();
        let sent = DeliveryState::Sent;
        let all =
            [("Pager", What::Resolved, sent, 1, Some(at(2060))), ("Pager", What::Opened, sent, 2, Some(at(1120)))];
        assert_eq!(told, all, "{name}");
    }
}

#[tokio::test]
async fn two_servers_on_one_database_send_a_message_once() {
    let database = databases().pop().unwrap();
    let (dir, other, web) = (TempDir::new().unwrap(), TempDir::new().unwrap(), WebServer::start());
    let one = services(&database, &dir).await;
    std::fs::copy(dir.path().join("master.key"), other.path().join("master.key")).unwrap();
    let two = services(&database, &other).await;
    let input = ChannelInput {
        rules: Rules { group_seconds: 0, ..Rules::default() },
        ..hook("Pager", Preset::PagerDuty, &format!("{}/v2/enqueue", web.url), Some("routing"))
    };
    channels::add(&one, &admin(), input).await.unwrap();
    for subject in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        raise(&one, (AlertKind::ForeignLock, subject), 100).await;
    }
    let (a, b) = tokio::join!(notices::send_due(&one, at(200)), notices::send_due(&two, at(200)));
    assert_eq!(a.unwrap() + b.unwrap(), 10);
    let mut keys: Vec<_> = web.posted().iter().map(|p| p.json()["dedup_key"].to_string()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!((keys.len(), web.posted().len()), (10, 10));
}

#[tokio::test]
async fn mail_goes_through_the_server_to_all_and_says_what_the_server_says() {
    let database = databases().remove(0);
    let (dir, server) = (TempDir::new().unwrap(), MailServer::start());
    let s = services(&database, &dir).await;
    let channel = channels::add(&s, &admin(), mail("Ops", server.port, Some("backup"))).await.unwrap();
    for (subject, now) in [("a", 1000), ("b", 1030), ("c", 1059)] {
        raise(&s, (AlertKind::ForeignLock, subject), now).await;
    }
    server.refuse(Some("550 no such\u{1} user here"));
    assert_eq!(notices::send_due(&s, at(1060)).await.unwrap(), 1);
    let (state, why) = last(&s, &channel).await;
    assert!(state == DeliveryState::Pending && why.contains("refused it: 550 no such user here"), "{why}");
    server.refuse(None);
    assert_eq!(notices::send_due(&s, at(1120)).await.unwrap(), 1);
    let mails = server.mails();
    assert_eq!(mails.len(), 1, "one for all three");
    let mail = &mails[0];
    assert_eq!(mail.user.as_deref(), Some("/backup/hunter2 hunter2"));
    assert!(mail.from.contains("<backup@example.org>"), "{}", mail.from);
    assert_eq!(mail.to, ["RCPT TO:<ops@example.org>", "RCPT TO:<anna@example.org>"]);
    assert!(
        mail.data.contains("Subject: [restic-manager] New: A lock that nothing known explains, 3 alerts"),
        "{}",
        mail.data
    );
    let id = channels::get(&s, channel.id).await.unwrap().last.unwrap().message_id.unwrap();
    assert!(mail.data.contains(&format!("Message-ID: <{id}@example.org>")), "{}", mail.data);
    assert_eq!(mail.data.matches("held by <db-01>").count(), 3, "{}", mail.data);
    let tested = channels::test(&s, &admin(), channel.id).await.unwrap();
    assert_eq!((tested.delivered, tested.said.as_str()), (true, "250 kept as 42"));
}

#[tokio::test]
async fn what_is_in_the_way_is_told_in_words_and_without_the_address() {
    let database = databases().remove(0);
    let (dir, web) = (TempDir::new().unwrap(), WebServer::start());
    let s = services(&database, &dir).await;
    let say = async |input: ChannelInput| {
        let channel = channels::add(&s, &admin(), input).await.unwrap();
        let tested = channels::test(&s, &admin(), channel.id).await.unwrap();
        assert!(!tested.said.contains("hidden"), "{}", tested.said);
        (tested.delivered, tested.said)
    };
    web.answer("302 Found\r\nlocation: http://127.0.0.1:1/elsewhere");
    let (delivered, said) = say(hook("a", Preset::Slack, &format!("{}/hidden", web.url), None)).await;
    assert!(!delivered && said.contains("302 and points elsewhere"), "{said}");
    assert_eq!(web.posted().len(), 1, "it is not followed");
    let (delivered, said) = say(hook("b", Preset::Slack, "http://127.0.0.1:1/hidden", None)).await;
    assert!(!delivered && said.contains("could not be reached"), "{said}");
    let (delivered, said) = say(hook("c", Preset::Discord, &format!("{}/hidden", web.url), None)).await;
    assert!(delivered && said == "200 said so", "{said}");
    let (delivered, said) = say(mail("d", 1, None)).await;
    assert!(!delivered && said.contains("127.0.0.1:1"), "{said}");
    let refused = channels::add(&s, &admin(), mail("d", 25, None)).await.err().unwrap();
    assert!(matches!(refused, ActError::Refused(_)), "{refused}");
}

#[tokio::test]
async fn new_settings_are_tried_at_once_and_a_pause_gives_up() {
    let database = databases().remove(0);
    let (dir, web) = (TempDir::new().unwrap(), WebServer::start());
    let s = services(&database, &dir).await;
    let input = || hook("Chat", Preset::Slack, "http://127.0.0.1:1/", None);
    let channel = channels::add(&s, &admin(), input()).await.unwrap();
    raise(&s, LOCK, 1000).await;
    notices::send_due(&s, at(1060)).await.unwrap();
    assert_eq!(last(&s, &channel).await.0, DeliveryState::Pending);
    channels::update(&s, &admin(), channel.id, hook("Chat", Preset::Slack, &web.url, None)).await.unwrap();
    // Changes are made on the real clock, which is far ahead of the test's.
    assert_eq!(notices::send_due(&s, at(9_000_000_000)).await.unwrap(), 1);
    assert_eq!((last(&s, &channel).await.0, web.posted().len()), (DeliveryState::Sent, 1));
    raise(&s, (AlertKind::DrillFailed, "host:x"), 2000).await;
    let paused = channels::update(&s, &admin(), channel.id, ChannelInput { enabled: false, ..input() }).await.unwrap();
    assert_eq!((paused.enabled, paused.waiting), (false, 0));
    raise(&s, (AlertKind::DrillFailed, "host:y"), 2001).await;
    assert_eq!(notices::send_due(&s, at(9_000_000_100)).await.unwrap(), 0);
}

#[tokio::test]
async fn an_acknowledgement_ends_with_its_date() {
    let database = databases().remove(0);
    let (dir, web) = (TempDir::new().unwrap(), WebServer::start());
    let s = services(&database, &dir).await;
    channels::add(&s, &admin(), hook("Chat", Preset::Slack, &web.url, None)).await.unwrap();
    let alert = raise(&s, LOCK, 1000).await;
    notices::send_due(&s, at(1060)).await.unwrap();
    let soon = restic_manager_shared::time::Timestamp::now() + std::time::Duration::from_secs(3600);
    let how = |reason: &str, until| alerts::Acknowledgement { reason: Some(reason.into()), until };
    for (reason, until) in [("", None), ("a\0", None), ("fine", Some(at(1)))] {
        assert!(matches!(
            alerts::acknowledge(&s, &admin(), alert, how(reason, until)).await,
            Err(ActError::Invalid(_))
        ));
    }
    alerts::acknowledge(&s, &admin(), alert, how("Old box", Some(soon))).await.unwrap();
    assert_eq!(navigation::counts(&s).await.unwrap().alerts, 0);
    assert_eq!(notices::follow_the_clock(&s, soon).await.unwrap(), 1);
    assert_eq!(navigation::counts(&s).await.unwrap().alerts, 1);
    notices::send_due(&s, soon).await.unwrap();
    let posted = web.posted();
    assert_eq!(posted.len(), 2);
    assert!(posted[1].json()["text"].as_str().unwrap().contains("Still open (critical)"), "{}", posted[1].body);
}
