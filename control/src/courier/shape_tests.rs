//! What each kind of receiver is sent.

use super::*;
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::notice::{Item, NAMED};
use crate::domain::summary::{Jobs, Summary};
use restic_manager_shared::time::Timestamp;

fn item(event: What, severity: Severity) -> Item {
    Item {
        event,
        id: "0190a000-0000-7000-8000-000000000001".parse().expect("valid"),
        kind: AlertKind::ForeignLock,
        severity,
        title: crate::words::alert::title(AlertKind::ForeignLock),
        detail: "held by <root>@db-01 & nobody else".into(),
        subject: "repository:x".into(),
        about: "Repository main".into(),
        opened_at: Timestamp::from_seconds(1_800_000_000),
        resolved_at: (event == What::Resolved).then(|| Timestamp::from_seconds(1_800_003_600)),
    }
}

fn notice(items: Vec<Item>, more: i64) -> Notice {
    Notice { message: "m1".into(), items, more, summary: None, link: Some("https://backup.example.org/alerts".into()) }
}

fn sent(preset: Preset, url: &str, secret: Option<&str>, notice: &Notice) -> (Request, Value) {
    let request = request(notice, preset, url, secret);
    let body = serde_json::from_str(&request.body).expect("JSON");
    (request, body)
}

#[test]
fn a_title_says_what_happened_and_how_often() {
    let (new, over) = (item(What::Opened, Severity::Critical), item(What::Resolved, Severity::Critical));
    for (notice, expected) in [
        (notice(vec![], 0), "Test message"),
        (notice(vec![new.clone()], 0), "New (critical): A lock that nothing known explains: Repository main"),
        (notice(vec![over.clone()], 0), "Resolved: A lock that nothing known explains: Repository main"),
        (notice(vec![new.clone(); 20], 1980), "New: A lock that nothing known explains, 2000 alerts"),
        (notice(vec![new, over], 0), "2 alerts"),
    ] {
        assert_eq!(title(&notice), format!("[restic-manager] {expected}"));
    }
}

#[test]
fn the_text_names_some_and_counts_the_rest() {
    let told = text(&notice(vec![item(What::Resolved, Severity::Warning)], 3));
    assert_eq!(
        told,
        "Resolved: A lock that nothing known explains: Repository main\nheld by <root>@db-01 & nobody else\n\
         Since 2027-01-15 08:00 UTC, ended 2027-01-15 09:00 UTC\n\nAnd 3 more.\n\nSee https://backup.example.org/alerts"
    );
    assert!(text(&notice(vec![], 0)).starts_with("This is a test."));
}

#[test]
fn each_receiver_gets_its_own_shape() {
    let one = notice(vec![item(What::Opened, Severity::Critical)], 0);
    let (_, body) = sent(Preset::Generic, "https://x/in", None, &one);
    assert_eq!(
        (&body["message"], &body["alerts"][0]["event"], &body["more"]),
        (&json!("m1"), &json!("opened"), &json!(0))
    );
    let (_, body) = sent(Preset::Slack, "https://x/in", None, &one);
    assert!(body["text"].as_str().expect("text").contains("held by &lt;root&gt;@db-01 &amp; nobody"), "{body}");
    let (_, body) = sent(Preset::Discord, "https://x/in", None, &one);
    assert_eq!(body["allowed_mentions"], json!({"parse": []}));
    let (request, body) = sent(Preset::Ntfy, "https://push.example.org/sub/topic", Some("tk_1"), &one);
    assert_eq!(
        (request.url.as_str(), &body["topic"], &body["priority"]),
        ("https://push.example.org/sub/", &json!("topic"), &json!(5))
    );
    assert_eq!(request.headers, [("authorization", "Bearer tk_1".to_owned())]);
    let (request, body) = sent(Preset::Gotify, "https://g.example.org/", Some("app"), &one);
    assert_eq!((request.url.as_str(), &body["priority"]), ("https://g.example.org/message", &json!(8)));
    assert_eq!(request.headers, [("x-gotify-key", "app".to_owned())]);
    let (_, body) = sent(Preset::Teams, "https://x/in", None, &one);
    assert_eq!(body["attachments"][0]["content"]["body"][0]["color"], "Attention");
}

#[test]
fn a_summary_is_typed_for_scripts_and_calm_for_phones() {
    let at = Timestamp::from_seconds(1_800_000_000);
    let well = Summary {
        at,
        since: at,
        timezone: "UTC".into(),
        tags: vec![],
        hosts: 3,
        protected: 3,
        jobs: Jobs::default(),
        at_risk: vec![],
        at_risk_more: 0,
        alerts: vec![],
        alerts_more: 0,
    };
    let ill = Summary { protected: 1, ..well.clone() };
    for (summary, priority, title) in
        [(well, 2, "[restic-manager] All 3 hosts protected"), (ill, 3, "[restic-manager] 1 of 3 hosts protected")]
    {
        let notice = Notice { summary: Some(summary), ..notice(vec![], 0) };
        let (_, body) = sent(Preset::Generic, "https://x/in", None, &notice);
        assert_eq!((&body["test"], &body["alerts"], &body["summary"]["hosts"]), (&json!(false), &json!([]), &json!(3)));
        let (_, body) = sent(Preset::Ntfy, "https://x/t", None, &notice);
        assert_eq!((&body["priority"], body["title"].as_str()), (&json!(priority), Some(title)));
        let (_, body) = sent(Preset::Slack, "https://x/in", None, &notice);
        assert!(body["text"].as_str().expect("text").starts_with(&format!("*{title}*\n")), "{body}");
    }
}

#[test]
fn an_incident_at_pagerduty_ends_with_its_alert() {
    for (event, action) in [(What::Opened, "trigger"), (What::Worsened, "trigger"), (What::Resolved, "resolve")] {
        let (_, body) =
            sent(Preset::PagerDuty, PAGERDUTY, Some("key"), &notice(vec![item(event, Severity::Warning)], 0));
        let told = (&body["event_action"], &body["dedup_key"], &body["payload"]["severity"], &body["routing_key"]);
        let id = json!("0190a000-0000-7000-8000-000000000001");
        assert_eq!(told, (&json!(action), &id, &json!("warning"), &json!("key")));
    }
    let (_, body) = sent(Preset::PagerDuty, PAGERDUTY, Some("key"), &notice(vec![], 0));
    assert_eq!((&body["dedup_key"], &body["payload"]["severity"]), (&json!("m1"), &json!("info")));
}

#[test]
fn long_messages_are_cut_where_receivers_cut_them() {
    let long = Item { detail: "ü".repeat(5000), ..item(What::Opened, Severity::Warning) };
    let many = notice(vec![long; NAMED], 0);
    let (_, body) = sent(Preset::Discord, "https://x/in", None, &many);
    let content = body["content"].as_str().expect("text");
    assert!(content.chars().count() <= 2000 && content.ends_with('…'));
}

#[test]
fn how_urgent_it_is_follows_from_what_holds_now() {
    let (new, over) = (item(What::Opened, Severity::Warning), item(What::Resolved, Severity::Critical));
    for (items, priority) in [(vec![], 3), (vec![new.clone()], 3), (vec![over.clone()], 2), (vec![new, over], 3)] {
        let (_, body) = sent(Preset::Ntfy, "https://x/t", None, &notice(items, 0));
        assert_eq!(body["priority"], priority);
    }
}
