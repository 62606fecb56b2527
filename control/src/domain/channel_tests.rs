//! What channels are told of, how long they wait, and what they refuse.

use super::*;
use Severity::{Critical, Warning};
use What::{Opened, Worsened};

fn tags(names: &[&str]) -> Vec<String> {
    names.iter().map(|n| (*n).to_owned()).collect()
}

#[test]
fn rules_say_which_channels_are_told() {
    let (lock, drill) = (AlertKind::ForeignLock, AlertKind::DrillFailed);
    let all = Rules::default();
    let critical = Rules { min_severity: Critical, ..Rules::default() };
    let locks = Rules { kinds: vec![lock], ..Rules::default() };
    let prod = Rules { tags: tags(&["prod", "acme"]), ..Rules::default() };
    for (rules, kind, severity, of, told) in [
        (&all, lock, Warning, vec![], true),
        (&critical, lock, Warning, vec![], false),
        (&critical, lock, Critical, vec![], true),
        (&locks, lock, Warning, vec![], true),
        (&locks, drill, Critical, vec![], false),
        (&prod, lock, Critical, vec![], false),
        (&prod, lock, Warning, tags(&["lab"]), false),
        (&prod, lock, Warning, tags(&["lab", "acme"]), true),
    ] {
        assert_eq!(rules.tell(kind, severity, &of), told, "{rules:?} {kind} {severity} {of:?}");
    }
}

#[test]
fn an_alert_that_gets_worse_is_told_to_those_who_did_not_know_and_to_those_who_did() {
    let kind = AlertKind::RepositoryDamaged;
    let (all, critical) = (Rules::default(), Rules { min_severity: Critical, ..Rules::default() });
    for (rules, severity, was, news) in [
        (&all, Warning, None, Some(Opened)),
        (&all, Critical, Some(Warning), Some(Worsened)),
        (&all, Critical, Some(Critical), None),
        (&all, Warning, Some(Critical), None),
        (&critical, Warning, None, None),
        (&critical, Critical, Some(Warning), Some(Opened)),
        (&critical, Critical, Some(Critical), None),
    ] {
        assert_eq!(rules.news(kind, severity, was, &[]), news, "{rules:?} {severity} {was:?}");
    }
}

#[test]
fn a_message_is_tried_for_days_and_then_given_up() {
    let waits: Vec<_> = (1..=9).map(|n| again_after(n).map(|d| d.as_secs() / 60)).collect();
    let minutes = [1, 5, 15, 60, 180, 360, 720, 1440].map(Some);
    assert_eq!(waits, [&minutes[..], &[None]].concat());
}

#[test]
fn settings_that_make_no_sense_are_refused_at_their_field() {
    let good = Smtp {
        host: "mail.example.org".into(),
        port: 587,
        security: Security::StartTls,
        username: Some("backup".into()),
        from: "backup@example.org".into(),
        to: vec!["ops@example.org".into(), "a.b+c@localhost".into()],
    };
    assert_eq!(check_smtp(&good), []);
    for (smtp, pointer) in [
        (Smtp { host: "mail example".into(), ..good.clone() }, "/smtp/host"),
        (Smtp { host: String::new(), ..good.clone() }, "/smtp/host"),
        (Smtp { port: 0, ..good.clone() }, "/smtp/port"),
        (Smtp { username: Some("a\0b".into()), ..good.clone() }, "/smtp/username"),
        (Smtp { from: "backup".into(), ..good.clone() }, "/smtp/from"),
        (Smtp { from: "a\r\nBcc: x@example.org".into(), ..good.clone() }, "/smtp/from"),
        (Smtp { to: vec![], ..good.clone() }, "/smtp/to"),
        (Smtp { to: vec!["ops@example.org".into(), "x@".into()], ..good.clone() }, "/smtp/to/1"),
        (Smtp { to: vec!["Ops <ops@example.org>".into()], ..good.clone() }, "/smtp/to/0"),
    ] {
        let pointers: Vec<_> = check_smtp(&smtp).into_iter().map(|e| e.pointer).collect();
        assert_eq!(pointers, [pointer], "{smtp:?}");
    }
}

#[test]
fn of_a_webhook_s_address_only_the_beginning_is_shown() {
    for (preset, address, origin) in [
        (Preset::Slack, "https://hooks.slack.com/services/T0/B0/secret", Some("https://hooks.slack.com")),
        (Preset::Generic, "http://127.0.0.1:8123/in?key=secret", Some("http://127.0.0.1:8123")),
        (Preset::Ntfy, "https://ntfy.sh/topic", Some("https://ntfy.sh")),
        (Preset::Ntfy, "https://ntfy.sh/", None),
        (Preset::Generic, "ftp://example.org/", None),
        (Preset::Generic, "https://user:pass@example.org/", None),
        (Preset::Generic, "example.org/in", None),
        (Preset::Generic, "https://example.org/\0", None),
        (Preset::Generic, "", None),
    ] {
        assert_eq!(check_hook(preset, address).ok().as_deref(), origin, "{address}");
    }
}

#[test]
fn rules_are_bounded() {
    for (rules, count) in [
        (Rules::default(), 0),
        (Rules { remind_hours: Some(0), ..Rules::default() }, 1),
        (Rules { group_seconds: 3601, ..Rules::default() }, 1),
        (Rules { tags: tags(&["a\0"]), ..Rules::default() }, 1),
        (Rules { tags: vec!["a".into(); 51], remind_hours: Some(721), ..Rules::default() }, 2),
    ] {
        assert_eq!(check_rules(&rules).len(), count, "{rules:?}");
    }
}
