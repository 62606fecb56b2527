//! Channels: where people are told of alerts, the rules that say of which, and how often a message is tried. Not the messages themselves;
//! those are `notice`.

use super::alert::{AlertKind, Severity};
use super::repository::check_name;
use super::summary::SummaryPlan;
use super::text_enum;
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

text_enum! {
    /// What a webhook's other side understands.
    Preset {
        /// Our own JSON, signed.
        Generic = "generic",
        /// Slack, and what takes its messages.
        Slack = "slack",
        /// Discord.
        Discord = "discord",
        /// ntfy: a topic that phones listen to.
        Ntfy = "ntfy",
        /// Gotify.
        Gotify = "gotify",
        /// Microsoft Teams, through a workflow's webhook.
        Teams = "teams",
        /// PagerDuty's events.
        PagerDuty = "pagerduty",
    }
}

text_enum! {
    /// How the way to a mail server is protected.
    Security {
        /// Plain at first, then TLS or nothing.
        StartTls = "starttls",
        /// TLS from the first byte.
        Tls = "tls",
        /// Nothing: for a server on this very machine.
        Plain = "plain",
    }
}

text_enum! {
    /// What a message says of an alert.
    What {
        /// It has opened.
        Opened = "opened",
        /// It was a warning and is critical now.
        Worsened = "worsened",
        /// It is still open.
        Reminder = "reminder",
        /// Its cause is gone.
        Resolved = "resolved",
        /// Nothing of an alert: it sums up the day.
        Summary = "summary",
        /// Nothing: somebody tries the channel.
        Test = "test",
    }
}

text_enum! {
    /// How far a delivery is.
    DeliveryState {
        /// It waits for its turn, or for another try.
        Pending = "pending",
        /// The other side has taken it.
        Sent = "sent",
        /// A test that did not arrive; it is not tried again.
        Failed = "failed",
        /// It was tried for days, or its channel was paused.
        GivenUp = "given_up",
    }
}

/// A mail server and who gets mail through it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Smtp {
    /// The server's name.
    pub host: String,
    /// Its port, 587 for most.
    pub port: u16,
    /// How the way there is protected.
    pub security: Security,
    /// Who signs in there; none if nobody has to.
    pub username: Option<String>,
    /// The address that mail comes from.
    pub from: String,
    /// Whom it goes to.
    pub to: Vec<String>,
}

/// An address on the web that takes messages. The address itself is a secret with many services, so only its beginning is here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Webhook {
    /// What is there.
    pub preset: Preset,
    /// Scheme, host and port of its address.
    pub origin: String,
}

/// Where a channel leads, without its secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Settings {
    /// Mail.
    Smtp(Smtp),
    /// A webhook.
    Webhook(Webhook),
}

impl Settings {
    /// What has to stay the same for a kept secret to go there: nobody gets at a secret by naming another address for it.
    #[must_use]
    pub fn peer(&self) -> String {
        match self {
            Self::Smtp(smtp) => format!("smtp {} {} {}", smtp.host, smtp.port, smtp.security),
            Self::Webhook(hook) => format!("{} {}", hook.preset, hook.origin),
        }
    }

    /// Whether several alerts may go in one message. PagerDuty opens and ends an incident for each.
    #[must_use]
    pub fn groups(&self) -> bool {
        !matches!(self, Self::Webhook(Webhook { preset: Preset::PagerDuty, .. }))
    }
}

/// Of which alerts a channel tells, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    /// Whether it tells of alerts at all. One that does not only has its daily summary.
    #[serde(default = "yes")]
    pub alerts: bool,
    /// Nothing milder.
    #[serde(default = "warning")]
    pub min_severity: Severity,
    /// Only these conditions; all if empty.
    #[serde(default)]
    pub kinds: Vec<AlertKind>,
    /// Only what concerns hosts with one of these tags; everything if empty.
    #[serde(default)]
    #[schema(max_items = 50)]
    pub tags: Vec<String>,
    /// Whether the end of an alert is told.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// After how many hours an alert that nobody has acknowledged is told again; never if left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 720)]
    pub remind_hours: Option<u16>,
    /// How many seconds a message waits for more alerts to go with it.
    #[serde(default = "a_minute")]
    #[schema(minimum = 0, maximum = 3600)]
    pub group_seconds: u16,
}

const fn warning() -> Severity {
    Severity::Warning
}

const fn yes() -> bool {
    true
}

const fn a_minute() -> u16 {
    60
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            alerts: yes(),
            min_severity: warning(),
            kinds: vec![],
            tags: vec![],
            send_resolved: yes(),
            remind_hours: None,
            group_seconds: a_minute(),
        }
    }
}

impl Rules {
    /// Whether the channel is told of an alert about hosts with these tags.
    #[must_use]
    pub fn tell(&self, kind: AlertKind, severity: Severity, tags: &[String]) -> bool {
        self.alerts
            && severity >= self.min_severity
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && (self.tags.is_empty() || self.tags.iter().any(|tag| tags.contains(tag)))
    }

    /// What the channel is told when an alert opens, or when one that was milder before gets worse.
    #[must_use]
    pub fn news(&self, kind: AlertKind, severity: Severity, was: Option<Severity>, tags: &[String]) -> Option<What> {
        if !self.tell(kind, severity, tags) {
            return None;
        }
        match was {
            None => Some(What::Opened),
            Some(was) if was >= severity => None,
            Some(was) if self.tell(kind, was, tags) => Some(What::Worsened),
            Some(_) => Some(What::Opened),
        }
    }
}

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;

/// How long to wait after so many attempts that failed; none to give up.
#[must_use]
pub const fn again_after(attempts: i32) -> Option<Duration> {
    let seconds = match attempts {
        ..=1 => MINUTE,
        2 => 5 * MINUTE,
        3 => 15 * MINUTE,
        4 => HOUR,
        5 => 3 * HOUR,
        6 => 6 * HOUR,
        7 => 12 * HOUR,
        8 => 24 * HOUR,
        9.. => return None,
    };
    Some(Duration::from_secs(seconds))
}

fn wrong(pointer: &str, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.into(), detail: detail.into() }
}

/// Whether a text is short and has nothing in it that would break a line.
fn plain(text: &str, most: usize) -> bool {
    !text.is_empty() && text.chars().count() <= most && !text.chars().any(char::is_control)
}

/// What is wrong with the rules.
#[must_use]
pub fn check_rules(rules: &Rules) -> Vec<FieldError> {
    let mut errors = vec![];
    if rules.tags.len() > 50 || rules.tags.iter().any(|tag| !plain(tag, 100)) {
        errors.push(wrong("/rules/tags", "50 tags at most, each of 1 to 100 characters without control characters"));
    }
    if rules.kinds.len() > AlertKind::ALL.len() {
        errors.push(wrong("/rules/kinds", "each condition once"));
    }
    if rules.remind_hours.is_some_and(|hours| !(1..=720).contains(&hours)) {
        errors.push(wrong("/rules/remind_hours", "1 to 720 hours, or left out"));
    }
    if rules.group_seconds > 3600 {
        errors.push(wrong("/rules/group_seconds", "0 to 3600 seconds"));
    }
    errors
}

/// What is wrong with having a summary there, or none.
#[must_use]
pub fn check_summary(settings: &Settings, rules: &Rules, summary: Option<&SummaryPlan>) -> Vec<FieldError> {
    let mut errors = vec![];
    if summary.is_some_and(|plan| !plan.has_time()) {
        errors.push(wrong("/summary/at", "a time of day such as 08:00"));
    }
    if summary.is_some_and(|plan| !plan.has_zone()) {
        errors.push(wrong("/summary/timezone", "not an IANA time zone such as Europe/Berlin"));
    }
    match (settings, summary) {
        (Settings::Webhook(Webhook { preset: Preset::PagerDuty, .. }), Some(_)) => {
            errors.push(wrong("/summary", "PagerDuty takes incidents, and a summary is none"));
        }
        (_, None) if !rules.alerts => {
            errors.push(wrong("/rules/alerts", "a channel that tells of no alerts has a daily summary"));
        }
        (_, Some(_) | None) => {}
    }
    errors
}

/// Whether a text is a mail address as mail servers take it: one part before the last @, a domain after it.
fn is_address(text: &str) -> bool {
    let odd = |c: char| {
        !c.is_ascii_graphic() || matches!(c, '<' | '>' | '(' | ')' | ',' | ';' | ':' | '\\' | '"' | '[' | ']')
    };
    let domain_like = |d: &str| {
        d.split('.').all(|part| {
            !part.is_empty()
                && part.len() <= 63
                && !part.starts_with('-')
                && !part.ends_with('-')
                && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
        })
    };
    let local_like = |l: &str| (1..=64).contains(&l.len()) && l.split('.').all(|part| !part.is_empty());
    text.len() <= 254
        && !text.contains(odd)
        && text.split_once('@').is_some_and(|(local, domain)| local_like(local) && domain_like(domain))
}

/// What is wrong with a mail server's settings.
#[must_use]
pub fn check_smtp(smtp: &Smtp) -> Vec<FieldError> {
    let mut errors = vec![];
    let host = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '_');
    if smtp.host.is_empty() || smtp.host.len() > 253 || !smtp.host.chars().all(host) {
        errors.push(wrong("/smtp/host", "a server's name or address, such as mail.example.org"));
    }
    if smtp.port == 0 {
        errors.push(wrong("/smtp/port", "1 to 65535"));
    }
    if smtp.username.as_deref().is_some_and(|name| !plain(name, 250)) {
        errors.push(wrong("/smtp/username", "1 to 250 characters without control characters, or left out"));
    }
    if !is_address(&smtp.from) {
        errors.push(wrong("/smtp/from", "a mail address, such as backup@example.org"));
    }
    if smtp.to.is_empty() || smtp.to.len() > 50 {
        errors.push(wrong("/smtp/to", "1 to 50 mail addresses"));
    }
    let odd = smtp.to.iter().enumerate().filter(|(_, to)| !is_address(to));
    errors.extend(odd.map(|(n, _)| wrong(&format!("/smtp/to/{n}"), "not a mail address")));
    errors
}

/// The beginning of a webhook's address, which may be shown: scheme, host and port.
///
/// # Errors
/// What is wrong with the address.
pub fn check_hook(preset: Preset, address: &str) -> Result<String, FieldError> {
    let pointer = "/webhook/url";
    if !plain(address, 2000) {
        return Err(wrong(pointer, "1 to 2000 characters, without control characters"));
    }
    let url = url::Url::parse(address).map_err(|e| wrong(pointer, format!("not a URL: {e}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong(pointer, "begins with https:// or http:// and names a server"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(pointer, "user and password do not belong in the address"));
    }
    if preset == Preset::Ntfy && topic(&url).is_none() {
        return Err(wrong(pointer, "ends with a topic, such as https://ntfy.sh/my-backups"));
    }
    Ok(url.origin().ascii_serialization())
}

/// The topic that an ntfy address names.
pub fn topic(url: &url::Url) -> Option<String> {
    let last = url.path_segments()?.rfind(|part| !part.is_empty())?;
    Some(last.to_owned())
}

/// What is wrong with a secret of a channel.
#[must_use]
pub fn check_secret(secret: &str, pointer: &str) -> Option<FieldError> {
    // An HTTP header or a sign-in takes it.
    let fine = secret.chars().count() <= 1000 && !secret.chars().any(char::is_control);
    (!fine).then(|| wrong(pointer, "1000 characters at most, no control characters"))
}

/// What is wrong with a channel's name.
#[must_use]
pub fn check_channel_name(name: &str) -> Option<FieldError> {
    check_name(name, "/name")
}

#[cfg(test)]
#[path = "channel_tests.rs"]
mod tests;
