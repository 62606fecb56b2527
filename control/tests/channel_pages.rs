//! Channels and acknowledgements as the API and the pages have them: who may, what is refused, and that no secret comes out.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use reqwest::Method;
use restic_manager_shared::time::Timestamp;
use restic_manager_tests::control::ControlPlane;
use restic_manager_tests::visitor::Visitor;
use serde_json::{Value, json};
use std::time::Duration;
use support::peers::WebServer;

const HOSTILE: &str = "<script>alert(1)</script>\"'{{ 7 * 7 }}&amp;ü";

fn hook(name: &str, url: &str) -> Value {
    json!({"name": name, "webhook": {"preset": "generic", "url": url, "secret": "signing-key"}, "rules": {"group_seconds": 0}})
}

/// A frozen host is an alert; answers the alert.
async fn alert(server: &ControlPlane, admin: &str) -> String {
    let agent = server.host(admin, "web-01", &["/etc"]).await;
    let freeze = format!("/api/v1/hosts/{}/freeze", agent.host);
    let (status, said) = server.post(admin, &freeze, json!({"reason": HOSTILE})).await;
    assert_eq!(status, 200, "{said}");
    let open = server.get(admin, "/api/v1/alerts?open=true").await;
    open["items"][0]["id"].as_str().unwrap().to_owned()
}

async fn until<T, F: Future<Output = Option<T>>>(what: &str, look: impl Fn() -> F) -> T {
    for _ in 0..600 {
        if let Some(found) = look().await {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{what} did not come");
}

#[tokio::test]
async fn an_alert_reaches_a_channel_and_the_api_tells_who_was_told() {
    let (server, web) = (ControlPlane::start(), WebServer::start());
    let (admin, viewer) = (server.token("admin"), server.token("viewer"));
    let (status, made) = server.post(&admin, "/api/v1/channels", hook("Pager", &format!("{}/hidden", web.url))).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("/api/v1/channels/{}", made["id"].as_str().unwrap());
    let (status, tested) = server.post(&admin, &format!("{path}/test"), Value::Null).await;
    assert_eq!((status, &tested), (200, &json!({"delivered": true, "said": "200 said so"})));
    let alert = alert(&server, &admin).await;
    let told = format!("/api/v1/alerts/{alert}/deliveries");
    let sent = until("the message", async || {
        let told = server.get(&viewer, &told).await;
        (told["items"][0]["state"] == "sent").then_some(told)
    })
    .await;
    assert_eq!((&sent["items"][0]["channel"], &sent["items"][0]["what"]), (&json!("Pager"), &json!("opened")));
    let list = format!("{path}/deliveries");
    let all = server.get(&viewer, &list).await;
    let told_of: Vec<_> = all["items"].as_array().unwrap().iter().map(|d| d["what"].as_str().unwrap()).collect();
    assert_eq!((told_of, &all["next"]), (vec!["opened", "test"], &Value::Null), "the newest first: {all}");
    let first = server.get(&viewer, &format!("{list}?limit=1")).await;
    let second = server.get(&viewer, &format!("{list}?limit=1&cursor={}", first["next"].as_str().unwrap())).await;
    assert_eq!((&first["items"][0], &second["items"][0]), (&all["items"][0], &all["items"][1]));
    assert_eq!(server.call(&viewer, Method::GET, &format!("{list}?cursor=x"), Value::Null).await.0, 422);
    for path in ["/api/v1/channels", &path, &told, &list] {
        let text = server.get(&viewer, path).await.to_string();
        assert!(!text.contains("hidden") && !text.contains("signing-key") && !text.contains("v1."), "{text}");
    }
    let eve = Visitor::sign_in(&server, "viewer").await;
    let page = eve.open("/alerts").await.text;
    assert!(page.contains("told Pager"), "{page}");
    let at = path.replace("/api/v1", "/alerts");
    let sent = eve.open(&at).await.text;
    for word in ["Opened", "Retention of web-01 is frozen", "Host web-01", "Delivered", "the channel itself"] {
        assert!(sent.contains(word), "{word}: {sent}");
    }
    assert!(!sent.contains("/hidden") && !sent.contains("Send test") && !sent.contains("<script>alert"), "{sent}");
    assert!(
        eve.open(&format!("{at}?cursor=0.{}", all["items"][0]["id"].as_str().unwrap()))
            .await
            .text
            .contains("Nothing older")
    );
    assert_eq!(server.call(&admin, Method::DELETE, &path, Value::Null).await.0, 204);
    assert_eq!(server.call(&admin, Method::DELETE, &path, Value::Null).await.0, 404);
    assert_eq!(server.get(&viewer, &told).await["items"], json!([]));
    assert_eq!(server.call(&viewer, Method::GET, &list, Value::Null).await.0, 404);
    assert_eq!(eve.open(&at).await.status, 404);
    let log = server.get(&admin, "/api/v1/audit-events").await.to_string();
    for action in ["channel.add", "channel.test", "channel.delete"] {
        assert!(log.contains(action), "{action} is not in the audit log");
    }
    assert!(!log.contains("hidden") && !log.contains("signing-key"), "{log}");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_at_its_field() {
    let server = ControlPlane::start();
    let (admin, operator) = (server.token("admin"), server.token("operator"));
    let smtp = json!({"host": "mail.example.org", "from": "a@example.org", "to": ["b@example.org"]});
    let with = |key: &str, value: Value| {
        let mut smtp = smtp.clone();
        smtp[key] = value;
        json!({"name": "a", "smtp": smtp})
    };
    for (body, status, pointer) in [
        (json!({"name": "a"}), 422, "/smtp"),
        (json!({"name": "a\u{0}", "smtp": smtp}), 422, "/name"),
        (with("from", json!("a\u{0}@example.org")), 422, "/smtp/from"),
        (with("to", json!(["b@example.org", "\u{0}"])), 422, "/smtp/to/1"),
        (with("username", json!("u")), 422, "/smtp/password"),
        (with("port", json!(70_000)), 400, ""),
        (json!({"name": "a", "webhook": {"preset": "slack", "url": "javascript:alert(1)"}}), 422, "/webhook/url"),
        (json!({"name": "a", "webhook": {"preset": "pigeon", "url": "https://x/"}}), 400, ""),
        (json!({"name": "a", "smtp": smtp, "rules": {"remind_hours": 0}}), 422, "/rules/remind_hours"),
        (json!({"name": "a", "smtp": smtp, "rules": {"tags": ["\u{0}"]}}), 422, "/rules/tags"),
        (json!({"name": "a", "smtp": smtp, "rules": {"alerts": false}}), 422, "/rules/alerts"),
        (json!({"name": "a", "smtp": smtp, "summary": {"at": "8"}}), 422, "/summary/at"),
        (json!({"name": "a", "smtp": smtp, "summary": {"at": "08:00", "timezone": "Mars"}}), 422, "/summary/timezone"),
        (json!({"name": "a", "smtp": smtp, "summary": {"at": "08:00", "zone": "UTC"}}), 400, ""),
        (
            json!({"name": "a", "webhook": {"preset": "pagerduty", "secret": "k"}, "summary": {"at": "08:00"}}),
            422,
            "/summary",
        ),
        (json!({"name": "a", "smtp": smtp, "more": 1}), 400, ""),
    ] {
        let (answered, said) = server.post(&admin, "/api/v1/channels", body.clone()).await;
        assert_eq!(answered, status, "{body}: {said}");
        assert!(pointer.is_empty() || said["errors"][0]["pointer"] == pointer, "{body}: {said}");
    }
    let fine = json!({"name": "a", "smtp": smtp});
    assert_eq!(server.post(&operator, "/api/v1/channels", fine.clone()).await.0, 403);
    let (status, made) = server.post(&admin, "/api/v1/channels", fine.clone()).await;
    assert_eq!((status, made["smtp"]["port"].as_u64()), (201, Some(587)), "{made}");
    assert_eq!(server.post(&admin, "/api/v1/channels", fine).await.0, 409, "the name is taken");
    let alert = alert(&server, &admin).await;
    let acknowledge = format!("/api/v1/alerts/{alert}/acknowledge");
    for (body, status) in [
        (json!({"reason": ""}), 422),
        (json!({"reason": "a\u{0}"}), 422),
        (json!({"until": "2001-01-01T00:00:00Z"}), 422),
        (json!({"until": "soon"}), 400),
        (json!([]), 400),
        (json!({"reason": HOSTILE, "until": "2030-01-01T00:00:00Z"}), 204),
        (Value::Null, 204),
    ] {
        let (answered, said) = server.post(&operator, &acknowledge, body.clone()).await;
        assert_eq!(answered, status, "{body}: {said}");
    }
    for status in [204, 404] {
        assert_eq!(server.call(&operator, Method::DELETE, &acknowledge, Value::Null).await.0, status);
    }
}

#[tokio::test]
async fn a_channel_is_made_tried_changed_and_deleted_on_pages() {
    let (server, web) = (ControlPlane::start(), WebServer::start());
    let anna = Visitor::sign_in(&server, "admin").await;
    assert!(anna.open("/alerts").await.text.contains("Nobody is told of alerts yet"));
    for kind in ["", "mail", "generic", "slack", "discord", "ntfy", "gotify", "teams", "pagerduty", "pigeon"] {
        let page = anna.open(&format!("/alerts/channels/add?kind={kind}")).await;
        assert_eq!((page.status, page.html), (200, true), "{kind}: {}", page.text);
    }
    let url = format!("{}/hidden", web.url);
    let form = [
        ("kind", "generic"),
        ("name", HOSTILE),
        ("enabled", "1"),
        ("url", url.as_str()),
        ("secret", "signing-key"),
        ("min_severity", "warning"),
        ("tags", "prod, acme"),
        ("send_resolved", "1"),
        ("on_foreign_lock", "1"),
        ("remind_hours", "24"),
        ("group_seconds", "30"),
    ];
    // Another kind is chosen after some of it was typed: nothing is added, and what both kinds have stays.
    let mail = anna.submit("/alerts/channels/add", &[&form[..], &[("to_kind", "mail")]].concat()).await;
    assert!(
        mail.status == 200 && mail.text.contains("name=\"host\"") && mail.text.contains("prod, acme"),
        "{}",
        mail.text
    );
    assert!(mail.text.contains("value=\"587\"") && !mail.text.contains("signing-key"), "{}", mail.text);
    assert!(!anna.open("/alerts/channels").await.text.contains("prod, acme"), "it was added");
    let wrong = anna
        .submit("/alerts/channels/add", &[&form[1..2], &[("kind", "generic"), ("remind_hours", "x")]].concat())
        .await;
    assert_eq!(wrong.status, 422);
    assert!(wrong.text.contains("A whole number, or empty") && wrong.text.contains("&lt;script&gt;"), "{}", wrong.text);
    let wrong = anna
        .submit(
            "/alerts/channels/add",
            &[("kind", "mail"), ("name", "m"), ("host", "h"), ("from", "f"), ("to", "a@b\nc")],
        )
        .await;
    assert!(wrong.status == 422 && wrong.text.contains("Line 2: not a mail address"), "{}", wrong.text);
    let added = anna.submit("/alerts/channels/add", &form).await;
    assert_eq!((added.status, added.location.as_str()), (303, "/alerts/channels?done=channel-added"), "{}", added.text);
    let token = server.token("viewer");
    let channel = server.get(&token, "/api/v1/channels").await["items"][0].clone();
    let rules = json!({"alerts": true, "min_severity": "warning", "kinds": ["foreign_lock"], "tags": ["prod", "acme"], "send_resolved": true,
        "remind_hours": 24, "group_seconds": 30});
    assert_eq!((&channel["name"], &channel["rules"]), (&json!(HOSTILE), &rules));
    let path = format!("/alerts/channels/{}", channel["id"].as_str().unwrap());
    web.answer("403 Forbidden");
    for (word, sent) in [("did not arrive", 1), ("was taken", 2)] {
        let tested = anna.submit(&format!("{path}/test"), &[]).await;
        assert!(tested.status == 200 && tested.text.contains(word), "{}", tested.text);
        assert_eq!(web.posted().len(), sent);
    }
    let sent = anna.open(&path).await.text;
    assert!(sent.contains("Test not delivered") && sent.contains("answered 403"), "{sent}");
    for page in ["/alerts/channels", &path, &format!("{path}/edit"), &format!("{path}/delete")] {
        let page = anna.open(page).await;
        assert_eq!(page.status, 200, "{}", page.text);
        assert!(!page.text.contains("<script>alert") && !page.text.contains("signing-key"));
        assert!(!page.text.contains("/hidden") && !page.text.contains("49&amp;"), "{}", page.text);
    }
    let kept = [("name", "Pager"), ("min_severity", "critical"), ("group_seconds", "0")];
    let saved = anna.submit(&format!("{path}/edit"), &kept).await;
    assert_eq!((saved.status, saved.location.as_str()), (303, "/alerts/channels?done=channel-saved"), "{}", saved.text);
    let channel = server.get(&token, "/api/v1/channels").await["items"][0].clone();
    assert_eq!((&channel["enabled"], &channel["rules"]["kinds"]), (&json!(false), &json!([])));
    let tested = anna.submit(&format!("{path}/test"), &[]).await;
    assert!(tested.text.contains("was taken"), "the kept address is used");
    assert!(web.posted()[2].header("x-restic-manager-signature").is_some(), "and the kept key");
    let gone = anna.submit(&format!("{path}/delete"), &[]).await;
    assert_eq!((gone.status, gone.location.as_str()), (303, "/alerts/channels?done=channel-deleted"));
    assert_eq!(anna.open(&format!("{path}/edit")).await.status, 404);
}

#[tokio::test]
async fn a_summary_is_asked_for_on_the_form_sent_by_a_button_and_told_on_the_list() {
    let (server, web) = (ControlPlane::start(), WebServer::start());
    let (anna, eve) = (Visitor::sign_in(&server, "admin").await, Visitor::sign_in(&server, "viewer").await);
    let (admin, operator) = (server.token("admin"), server.token("operator"));
    let mut agent = server.host(&admin, "web-01", &["/etc"]).await;
    server.post(&admin, &format!("/api/v1/hosts/{}/run", agent.host), json!({})).await;
    let offer = agent.poll(&[], 5).await.offers.remove(0);
    agent.post(&format!("/agent/v1/jobs/{}/claim", offer.id), json!({"attempt": offer.attempt})).await;
    let finish = json!({"attempt": offer.attempt, "end": "succeeded", "started_at": Timestamp::now(),
        "finished_at": Timestamp::now(), "summary": {"total_bytes_processed": 4096, "data_added": 900, "data_added_packed": 700}});
    let (status, answer) = agent.post(&format!("/agent/v1/jobs/{}/finish", offer.id), finish).await;
    assert_eq!(status, 200, "{answer}");
    let pager = anna.open("/alerts/channels/add?kind=pagerduty").await.text;
    assert!(!pager.contains("Daily summary") && !pager.contains("No alerts"), "{pager}");
    let blank = anna.open("/alerts/channels/add?kind=generic").await.text;
    assert!(blank.contains("Daily summary") && blank.contains("value=\"UTC\""), "{blank}");
    let with = |more: &[(&'static str, &'static str)]| {
        let mut form = vec![("kind", "generic"), ("name", "Chat"), ("enabled", "1"), ("url", web.url.as_str())];
        form.extend([("min_severity", "none"), ("group_seconds", "60")]);
        form.extend(more);
        form
    };
    for (more, said) in [
        (vec![], "A channel that tells of no alerts has a daily summary"),
        (vec![("at", "25:00")], "A time of day such as 08:00"),
        (vec![("at", "08:00"), ("timezone", "Mars")], "Not an IANA time zone"),
    ] {
        let wrong = anna.submit("/alerts/channels/add", &with(&more)).await;
        assert!(wrong.status == 422 && wrong.text.contains(said), "{said}: {}", wrong.text);
    }
    let added = anna.submit("/alerts/channels/add", &with(&[("at", "08:00"), ("timezone", "Europe/Berlin")])).await;
    assert_eq!(added.status, 303, "{}", added.text);
    let channel = server.get(&admin, "/api/v1/channels").await["items"][0].clone();
    assert_eq!(channel["summary"], json!({"at": "08:00", "timezone": "Europe/Berlin"}));
    assert_eq!((&channel["rules"]["alerts"], &channel["summary_sent_at"]), (&json!(false), &Value::Null));
    assert!(Timestamp::parse(channel["summary_next_at"].as_str().unwrap()).unwrap() > Timestamp::now());
    let id = channel["id"].as_str().unwrap();
    let (api, path) = (format!("/api/v1/channels/{id}/summary"), format!("/alerts/channels/{id}"));
    let list = anna.open("/alerts/channels").await.text;
    for word in ["Daily summary at 08:00 (Europe/Berlin)", "none sent yet", "Send summary"] {
        assert!(list.contains(word), "{word}: {list}");
    }
    assert!(!list.contains("Warnings and critical alerts") && !list.contains("together"), "{list}");
    assert!(!eve.open("/alerts/channels").await.text.contains("Send summary"));
    assert_eq!(eve.submit(&format!("{path}/summary"), &[]).await.status, 403);
    assert_eq!(server.post(&operator, &api, Value::Null).await.0, 403);
    let (status, sent) = server.post(&admin, &api, Value::Null).await;
    assert_eq!((status, &sent), (200, &json!({"delivered": true, "said": "200 said so"})));
    web.answer("403 Forbidden");
    for word in ["did not arrive", "was taken"] {
        let shown = anna.submit(&format!("{path}/summary"), &[]).await;
        assert!(shown.status == 200 && shown.text.contains(&format!("The summary to Chat {word}")), "{}", shown.text);
    }
    let posted = web.posted();
    let figures = |one: &Value| (one["hosts"].clone(), one["protected"].clone(), one["jobs"].clone());
    let jobs = json!({"succeeded": 1, "warnings": 0, "failed": 0, "missed": 0, "added_bytes": 700});
    assert!(posted.iter().all(|p| figures(&p.json()["summary"]) == (json!(1), json!(1), jobs.clone())), "{posted:?}");
    assert!(
        posted[0].json()["text"].as_str().unwrap().starts_with("The only host is protected, and no alert is open.")
    );
    let told = server.get(&admin, &format!("/api/v1/channels/{id}/deliveries")).await;
    let told: Vec<_> =
        told["items"].as_array().unwrap().iter().map(|d| (d["what"].clone(), d["state"].clone())).collect();
    let summary = |state: &str| (json!("summary"), json!(state));
    assert_eq!(told, [summary("sent"), summary("failed"), summary("sent")]);
    let page = anna.open(&path).await.text;
    for word in ["Daily summary", "how hosts are", "Not delivered", "Send summary now", "next in"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(anna.open("/alerts/channels").await.text.contains("last sent"));
    let edit = anna.open(&format!("{path}/edit")).await.text;
    assert!(edit.contains("value=\"08:00\"") && edit.contains("value=\"Europe/Berlin\""), "{edit}");
    assert!(edit.contains("value=\"none\" checked"), "{edit}");
    assert!(server.get(&admin, "/api/v1/audit-events").await.to_string().contains("channel.summary"));
    let plain = [("name", "Chat"), ("enabled", "1"), ("min_severity", "warning"), ("group_seconds", "60")];
    assert_eq!(anna.submit(&format!("{path}/edit"), &plain).await.status, 303);
    let (status, said) = server.post(&admin, &api, Value::Null).await;
    assert_eq!((status, &said["errors"][0]["pointer"]), (422, &json!("/summary")), "{said}");
}

#[tokio::test]
async fn an_alert_is_acknowledged_with_reason_and_day_and_opened_again() {
    let server = ControlPlane::start();
    let (anna, eve) = (Visitor::sign_in(&server, "operator").await, Visitor::sign_in(&server, "viewer").await);
    let admin = server.token("admin");
    let alert = alert(&server, &admin).await;
    let path = format!("/alerts/{alert}/acknowledge");
    let ask = anna.open(&path).await;
    assert!(
        ask.status == 200 && ask.text.contains("Retention of web-01 is frozen") && !ask.text.contains("<script>alert")
    );
    let wrong = anna.submit(&path, &[("reason", HOSTILE), ("until", "31.1.2030")]).await;
    assert!(wrong.status == 422 && wrong.text.contains("A day such as"), "{}", wrong.text);
    let done = anna.submit(&path, &[("reason", HOSTILE), ("until", "2030-01-31")]).await;
    assert_eq!((done.status, done.location.as_str()), (303, "/alerts?done=acknowledged"), "{}", done.text);
    let live = async |since: i64| anna.open(&format!("/ui/alerts/live?since={since}")).await.text;
    let (row, later) = (format!("id=\"a-{alert}\""), Timestamp::now().micros());
    let (old, new) = (live(later).await, live(0).await);
    assert!(old.contains(&row) && old.contains("quiet until") && !old.contains("new since"), "{old}");
    assert!(!new.contains(&row) && new.contains("1 new since this page was shown"), "{new}");
    let known = server.get(&admin, "/api/v1/alerts?open=true").await["items"][0].clone();
    assert_eq!(
        (&known["acknowledged_reason"], &known["acknowledged_until"]),
        (&json!(HOSTILE), &json!("2030-02-01T00:00:00Z"))
    );
    // Of the tag of another customer's hosts there is nothing; of its own there is.
    let tagged = server.get(&admin, "/api/v1/hosts").await["items"][0]["id"].as_str().unwrap().to_owned();
    let change = server
        .call(&admin, Method::PUT, &format!("/api/v1/hosts/{tagged}"), json!({"name": "web-01", "tags": ["acme"]}))
        .await;
    assert_eq!(change.0, 200, "{}", change.1);
    for (tag, found) in [("acme", 1), ("ac", 0), ("other", 0)] {
        let list = server.get(&admin, &format!("/api/v1/alerts?open=true&host_tag={tag}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), found, "{tag}: {list}");
        let page = anna.open(&format!("/alerts?tag={tag}")).await.text;
        assert_eq!(page.contains(&row), found == 1, "{tag}: {page}");
        assert!(page.contains(&format!("Nothing is open for hosts with tag {tag} that nobody knows of")), "{page}");
        assert!(page.contains(&format!("href=\"/hosts?tag={tag}\"")), "the tag goes along: {page}");
    }
    assert_eq!(server.call(&admin, Method::GET, "/api/v1/alerts?host_tag=acme", Value::Null).await.0, 422);
    let page = anna.open("/alerts").await.text;
    assert!(page.contains("quiet until") && page.contains("Reopen") && page.contains("&lt;script&gt;"), "{page}");
    for (path, act) in [("/alerts", "Reopen"), ("/alerts/channels", "Add channel")] {
        assert!(!eve.open(path).await.text.contains(act), "{path} shows a viewer {act}");
    }
    assert_eq!(eve.open("/alerts/channels/add").await.status, 403);
    assert_eq!(anna.open("/alerts/channels/add").await.status, 403, "operators read channels only");
    assert_eq!(eve.submit(&format!("/alerts/{alert}/reopen"), &[]).await.status, 403);
    assert_eq!(anna.submit(&format!("/alerts/{alert}/reopen"), &[]).await.status, 303);
    assert!(anna.open("/alerts").await.text.contains("Acknowledge…"));
}
