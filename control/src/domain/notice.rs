//! Notices: what a message says of one or many alerts, as text for people and in the shape that each kind of receiver takes. Pure: who gets
//! it and when is `channel`, and how it gets there the courier's.

use super::alert::{AlertKind, Severity};
use super::channel::{Preset, What, topic};
use restic_manager_shared::id::AlertId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// The most alerts that a message names; of more it says how many.
pub const NAMED: usize = 20;
/// Where PagerDuty takes events.
pub const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// One piece of news in a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What happened to the alert.
    pub event: What,
    /// The alert.
    pub id: AlertId,
    /// Its condition.
    pub kind: AlertKind,
    /// How bad it is.
    pub severity: Severity,
    /// The condition in words.
    pub title: &'static str,
    /// What exactly is wrong.
    pub detail: String,
    /// What it is about, for programs.
    pub subject: String,
    /// What it is about, by name.
    pub about: String,
    /// Since when.
    pub opened_at: Timestamp,
    /// When it ended.
    pub resolved_at: Option<Timestamp>,
}

/// What one message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The message's identity: a receiver that has seen it has seen this message.
    pub message: String,
    /// The alerts, the worst first; [`NAMED`] at most. None in a test.
    pub items: Vec<Item>,
    /// How many more there are.
    pub more: i64,
    /// Where they can be looked at.
    pub link: Option<String>,
}

/// A request to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Where to.
    pub url: String,
    /// The JSON.
    pub body: String,
    /// What else it carries.
    pub headers: Vec<(&'static str, String)>,
}

const fn word(event: What) -> &'static str {
    match event {
        What::Opened => "New",
        What::Worsened => "Worse",
        What::Reminder => "Still open",
        What::Resolved => "Resolved",
        What::Test => "Test",
    }
}

impl Item {
    /// The item in one line.
    #[must_use]
    pub fn line(&self) -> String {
        let level = if self.event == What::Resolved { String::new() } else { format!(" ({})", self.severity) };
        let about = if self.about.is_empty() { String::new() } else { format!(": {}", self.about) };
        format!("{}{level}: {}{about}", word(self.event), self.title)
    }
}

impl Notice {
    /// Whether it only says that the channel works.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.items.is_empty() && self.more == 0
    }

    /// How many alerts it is about.
    #[must_use]
    pub fn count(&self) -> i64 {
        i64::try_from(self.items.len()).unwrap_or(i64::MAX).saturating_add(self.more)
    }

    /// Whether anything that is wrong now is critical.
    #[must_use]
    pub fn is_critical(&self) -> bool {
        self.items.iter().any(|i| i.event != What::Resolved && i.severity == Severity::Critical)
    }

    /// Whether all of it is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !self.is_test() && self.more == 0 && self.items.iter().all(|i| i.event == What::Resolved)
    }

    /// The subject of a mail, the title elsewhere.
    #[must_use]
    pub fn title(&self) -> String {
        let text = match (self.items.as_slice(), self.more) {
            ([], _) => "Test message".to_owned(),
            ([one], 0) => one.line(),
            ([first, ..], _) if self.items.iter().all(|i| (i.kind, i.event) == (first.kind, first.event)) => {
                format!("{}: {}, {} alerts", word(first.event), first.title, self.count())
            }
            (..) => format!("{} alerts", self.count()),
        };
        format!("[restic-manager] {text}")
    }

    /// All of it as plain text.
    #[must_use]
    pub fn text(&self) -> String {
        if self.is_test() {
            return "This is a test. Alerts of restic-manager reach this channel.".to_owned();
        }
        let mut parts: Vec<String> = self.items.iter().map(paragraph).collect();
        if self.more > 0 {
            parts.push(format!("And {} more.", self.more));
        }
        parts.extend(self.link.as_ref().map(|link| format!("See {link}")));
        parts.join("\n\n")
    }

    /// The request that tells a receiver of this kind. `secret` is what it asks for: a token, or a routing key.
    #[must_use]
    pub fn request(&self, preset: Preset, url: &str, secret: Option<&str>) -> Request {
        let (url, body, headers) = match preset {
            Preset::Generic => (url.to_owned(), self.generic(), vec![]),
            Preset::Slack => (url.to_owned(), json!({"text": self.slack()}), vec![]),
            Preset::Discord => (url.to_owned(), self.discord(), vec![]),
            Preset::Ntfy => {
                let (root, body) = self.ntfy(url);
                (root, body, secret.map(|s| ("authorization", format!("Bearer {s}"))).into_iter().collect())
            }
            Preset::Gotify => {
                let headers = secret.map(|s| ("x-gotify-key", s.to_owned())).into_iter().collect();
                (format!("{}/message", url.trim_end_matches('/')), self.gotify(), headers)
            }
            Preset::Teams => (url.to_owned(), self.teams(), vec![]),
            Preset::PagerDuty => (url.to_owned(), self.pagerduty(secret.unwrap_or_default()), vec![]),
        };
        Request { url, body: body.to_string(), headers }
    }

    fn generic(&self) -> Value {
        json!({"version": 1, "message": self.message, "test": self.is_test(), "title": self.title(), "text": self.text(),
            "alerts": self.items, "more": self.more, "link": self.link})
    }

    fn slack(&self) -> String {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("*{}*\n{}", escaped(&self.title()), escaped(&cut(&self.text(), 3500)))
    }

    fn discord(&self) -> Value {
        // Nobody is called by a name that stands in an alert.
        json!({"content": cut(&format!("**{}**\n{}", self.title(), self.text()), 1990), "allowed_mentions": {"parse": []}})
    }

    fn level<T>(&self, over: T, test: T, warning: T, critical: T) -> T {
        match () {
            () if self.is_test() => test,
            () if self.is_over() => over,
            () if self.is_critical() => critical,
            () => warning,
        }
    }

    fn ntfy(&self, url: &str) -> (String, Value) {
        let parsed = url::Url::parse(url).ok();
        let topic = parsed.as_ref().and_then(topic).unwrap_or_default();
        // ntfy takes JSON at its root.
        let root = url.trim_end_matches('/').strip_suffix(&topic).unwrap_or(url).to_owned();
        let mut body = json!({"topic": topic, "title": self.title(), "message": cut(&self.text(), 3500),
            "priority": self.level(2, 3, 3, 5),
            "tags": [self.level("white_check_mark", "bell", "warning", "rotating_light")]});
        if let Some(link) = &self.link {
            body["click"] = json!(link);
        }
        (root, body)
    }

    fn gotify(&self) -> Value {
        let mut body =
            json!({"title": self.title(), "message": cut(&self.text(), 8000), "priority": self.level(2, 4, 5, 8)});
        if let Some(link) = &self.link {
            body["extras"] = json!({"client::notification": {"click": {"url": link}}});
        }
        body
    }

    fn teams(&self) -> Value {
        let colour = self.level("Good", "Default", "Warning", "Attention");
        let block = |text: String, more: Value| {
            let mut block = json!({"type": "TextBlock", "text": text, "wrap": true});
            if let (Value::Object(to), Value::Object(from)) = (&mut block, more) {
                to.extend(from);
            }
            block
        };
        let mut parts = vec![block(self.title(), json!({"weight": "Bolder", "color": colour}))];
        parts.extend(cut(&self.text(), 12_000).split("\n\n").map(|part| block(part.replace('\n', "\n\n"), json!({}))));
        let mut card = json!({"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard",
            "version": "1.4", "body": parts});
        if let Some(link) = &self.link {
            card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open", "url": link}]);
        }
        json!({"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]})
    }

    fn pagerduty(&self, key: &str) -> Value {
        let (action, dedup, severity) = match self.items.first() {
            Some(item) if item.event == What::Resolved => ("resolve", item.id.to_string(), item.severity.as_str()),
            Some(item) => ("trigger", item.id.to_string(), item.severity.as_str()),
            None => ("trigger", self.message.clone(), "info"),
        };
        let source = self.items.first().map(|i| i.about.clone()).filter(|a| !a.is_empty());
        let mut event = json!({"routing_key": key, "event_action": action, "dedup_key": dedup, "client": "restic-manager",
            "payload": {"summary": cut(&self.title(), 1000), "source": source.unwrap_or_else(|| "restic-manager".into()),
                "severity": severity, "custom_details": {"text": self.text()}}});
        if let Some(link) = &self.link {
            event["client_url"] = json!(link);
        }
        event
    }
}

fn paragraph(item: &Item) -> String {
    let since = item.opened_at.to_utc().format("%Y-%m-%d %H:%M UTC");
    let ended = item.resolved_at.map(|at| format!(", ended {}", at.to_utc().format("%Y-%m-%d %H:%M UTC")));
    format!("{}\n{}\nSince {since}{}", item.line(), item.detail, ended.unwrap_or_default())
}

/// A text of so many characters at most; what is cut says so.
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;
