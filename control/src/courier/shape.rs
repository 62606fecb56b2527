//! Messages in the shape that each kind of webhook takes. What they say is in `words::notice`.

use crate::domain::channel::What;
use crate::domain::channel::{Preset, topic};
use crate::domain::notice::{Notice, cut};
use crate::words::notice::{OPEN, text, title};
use serde_json::{Value, json};

/// Where PagerDuty takes events.
pub(super) const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

/// A request to a webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Where to.
    pub(super) url: String,
    /// The JSON.
    pub(super) body: String,
    /// What else it carries.
    pub(super) headers: Vec<(&'static str, String)>,
}

/// The request that tells a receiver of this kind. `secret` is what it asks for: a token, or a routing key.
pub(super) fn request(notice: &Notice, preset: Preset, url: &str, secret: Option<&str>) -> Request {
    Shape(notice).request(preset, url, secret)
}

struct Shape<'a>(&'a Notice);

impl Shape<'_> {
    fn request(&self, preset: Preset, url: &str, secret: Option<&str>) -> Request {
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
        json!({"version": 1, "message": self.0.message, "test": self.0.is_test(), "title": title(self.0), "text": text(self.0),
            "alerts": self.0.items, "more": self.0.more, "summary": self.0.summary, "link": self.0.link})
    }

    fn slack(&self) -> String {
        let escaped = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        format!("*{}*\n{}", escaped(&title(self.0)), escaped(&cut(&text(self.0), 3500)))
    }

    fn discord(&self) -> Value {
        // Nobody is called by a name that stands in an alert.
        json!({"content": cut(&format!("**{}**\n{}", title(self.0), text(self.0)), 1990), "allowed_mentions": {"parse": []}})
    }

    fn level<T>(&self, over: T, test: T, warning: T, critical: T) -> T {
        match () {
            () if self.0.is_test() => test,
            () if self.0.is_over() => over,
            () if self.0.is_critical() => critical,
            () => warning,
        }
    }

    fn ntfy(&self, url: &str) -> (String, Value) {
        let parsed = url::Url::parse(url).ok();
        let topic = parsed.as_ref().and_then(topic).unwrap_or_default();
        // ntfy takes JSON at its root.
        let root = url.trim_end_matches('/').strip_suffix(&topic).unwrap_or(url).to_owned();
        let mut body = json!({"topic": topic, "title": title(self.0), "message": cut(&text(self.0), 3500),
            "priority": self.level(2, 3, 3, 5),
            "tags": [self.level("white_check_mark", "bell", "warning", "rotating_light")]});
        if let Some(link) = &self.0.link {
            body["click"] = json!(link);
        }
        (root, body)
    }

    fn gotify(&self) -> Value {
        let mut body =
            json!({"title": title(self.0), "message": cut(&text(self.0), 8000), "priority": self.level(2, 4, 5, 8)});
        if let Some(link) = &self.0.link {
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
        let mut parts = vec![block(title(self.0), json!({"weight": "Bolder", "color": colour}))];
        parts.extend(cut(&text(self.0), 12_000).split("\n\n").map(|part| block(part.replace('\n', "\n\n"), json!({}))));
        let mut card = json!({"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard",
            "version": "1.4", "body": parts});
        if let Some(link) = &self.0.link {
            card["actions"] = json!([{"type": "Action.OpenUrl", "title": OPEN, "url": link}]);
        }
        json!({"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]})
    }

    fn pagerduty(&self, key: &str) -> Value {
        let (action, dedup, severity) = match self.0.items.first() {
            Some(item) if item.event == What::Resolved => ("resolve", item.id.to_string(), item.severity.as_str()),
            Some(item) => ("trigger", item.id.to_string(), item.severity.as_str()),
            None => ("trigger", self.0.message.clone(), "info"),
        };
        let source = self.0.items.first().map(|i| i.about.clone()).filter(|a| !a.is_empty());
        let mut event = json!({"routing_key": key, "event_action": action, "dedup_key": dedup, "client": "restic-manager",
            "payload": {"summary": cut(&title(self.0), 1000), "source": source.unwrap_or_else(|| "restic-manager".into()),
                "severity": severity, "custom_details": {"text": text(self.0)}}});
        if let Some(link) = &self.0.link {
            event["client_url"] = json!(link);
        }
        event
    }
}

#[cfg(test)]
#[path = "shape_tests.rs"]
mod tests;
