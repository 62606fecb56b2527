//! Channels and what they are told, as pages say it.

use super::figures::span;
use crate::domain::alert::Severity;
use crate::domain::channel::{Preset, Rules, What};
use crate::domain::summary::SummaryPlan;

/// The heading of a channel's form that is empty.
pub const ADD: &str = "Add channel";
/// The kind that is no webhook.
pub const MAIL: &str = "Mail";
/// A message went out.
pub const DELIVERED: &str = "Delivered";
/// A message is tried again.
pub const NOT_YET: &str = "Not delivered yet";
/// A message waits.
pub const ON_ITS_WAY: &str = "On its way";
/// A summary that somebody had sent did not arrive.
pub const NOT_DELIVERED: &str = "Not delivered";
/// A test did not arrive.
pub const TEST_FAILED: &str = "Test not delivered";
/// A message is not tried any more.
pub const GIVEN_UP: &str = "Given up";

/// Within the line of an alert: the channel has not been told, and why not.
pub mod told {
    /// It waits for its turn.
    pub const WAITS: &str = "waits";
    /// It is tried again.
    pub const NOT_YET: &str = "not delivered yet";
    /// It is not tried any more.
    pub const GIVEN_UP: &str = "given up";
}

/// What a piece of news says of an alert.
#[must_use]
pub const fn news(what: What) -> &'static str {
    match what {
        What::Opened => "Opened",
        What::Worsened => "Got worse",
        What::Reminder => "Still open",
        What::Resolved => "Ended",
        What::Summary => "Daily summary",
        What::Test => "Test",
    }
}

/// The name of a kind of receiver.
#[must_use]
pub const fn preset(preset: Preset) -> &'static str {
    match preset {
        Preset::Generic => "Webhook",
        Preset::Slack => "Slack",
        Preset::Discord => "Discord",
        Preset::Ntfy => "ntfy",
        Preset::Gotify => "Gotify",
        Preset::Teams => "Microsoft Teams",
        Preset::PagerDuty => "PagerDuty",
    }
}

/// What the secret of a kind of receiver is called; empty if it has none.
#[must_use]
pub const fn secret(preset: Preset) -> &'static str {
    match preset {
        Preset::Generic => "Signing key",
        Preset::Ntfy => "Access token",
        Preset::Gotify => "Application token",
        Preset::PagerDuty => "Routing key",
        Preset::Slack | Preset::Discord | Preset::Teams => "",
    }
}

/// Where a webhook goes.
#[must_use]
pub fn whither(kind: Preset, origin: &str) -> String {
    format!("{} at {origin}", preset(kind))
}

/// What a channel is told of; empty if of no alerts.
#[must_use]
pub fn sends(rules: &Rules) -> String {
    if !rules.alerts {
        return String::new();
    }
    let level = match rules.min_severity {
        Severity::Warning => "Warnings and critical alerts",
        Severity::Critical => "Critical alerts",
    };
    let kinds = match rules.kinds.as_slice() {
        [] => String::new(),
        [one] => format!(" of one kind: {}", super::alert::title(*one)),
        more => format!(" of {} kinds", more.len()),
    };
    format!("{level}{kinds}{}", if rules.send_resolved { ", and their end" } else { "" })
}

/// When it is told; empty if of no alerts.
#[must_use]
pub fn timing(rules: &Rules) -> String {
    if !rules.alerts {
        return String::new();
    }
    let together = match rules.group_seconds {
        0 => "each at once".to_owned(),
        n => format!("those within {} together", span(n.into())),
    };
    match rules.remind_hours {
        None => together,
        Some(1) => format!("{together}, again each hour"),
        Some(hours) => format!("{together}, again after {hours} h"),
    }
}

/// When it has its summary.
#[must_use]
pub fn summary(plan: &SummaryPlan) -> String {
    format!("Daily summary at {} ({})", plan.at, plan.timezone)
}

/// Of which hosts it is told.
#[must_use]
pub fn hosts(rules: &Rules) -> String {
    match rules.tags.as_slice() {
        [] => "all hosts".to_owned(),
        [tag] => format!("tag {tag}"),
        tags => format!("tags {}", tags.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::alert::AlertKind;

    #[test]
    fn rules_are_told_in_words() {
        let all = Rules::default();
        let few = Rules {
            min_severity: Severity::Critical,
            kinds: vec![AlertKind::ForeignLock],
            send_resolved: false,
            remind_hours: Some(24),
            group_seconds: 0,
            ..Rules::default()
        };
        let none = Rules { alerts: false, ..Rules::default() };
        assert_eq!((sends(&none).as_str(), timing(&none).as_str()), ("", ""));
        let plan = SummaryPlan { at: "08:00".into(), timezone: "UTC".into() };
        assert_eq!(summary(&plan), "Daily summary at 08:00 (UTC)");
        assert_eq!(sends(&all), "Warnings and critical alerts, and their end");
        assert_eq!(timing(&all), "those within 1 min together");
        assert_eq!(sends(&few), "Critical alerts of one kind: A lock that nothing known explains");
        assert_eq!(timing(&few), "each at once, again after 24 h");
    }
}
