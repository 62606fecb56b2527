//! What a message to a channel says, as text for people: of alerts here, of a day in `summary`.

use crate::domain::channel::What;
use crate::domain::notice::{Item, Notice};

const fn word(event: What) -> &'static str {
    match event {
        What::Opened => "New",
        What::Worsened => "Worse",
        What::Reminder => "Still open",
        What::Resolved => "Resolved",
        What::Summary => "Summary",
        What::Test => "Test",
    }
}

/// Whom an alert is about, each if it has a name.
#[must_use]
pub fn about(repository: Option<&String>, host: Option<&String>, schedule: Option<&String>) -> String {
    let repository = repository.map(|name| format!("repository {name}"));
    let host = host.map(|name| format!("host {name}"));
    let schedule = schedule.map(|name| format!("schedule {name}"));
    [repository, host, schedule].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// One alert in one line.
#[must_use]
pub fn line(item: &Item) -> String {
    let level = if item.event == What::Resolved { String::new() } else { format!(" ({})", item.severity) };
    let about = if item.about.is_empty() { String::new() } else { format!(": {}", item.about) };
    format!("{}{level}: {}{about}", word(item.event), item.title)
}

/// The subject of a mail, the title elsewhere.
#[must_use]
pub fn title(notice: &Notice) -> String {
    if let Some(summary) = &notice.summary {
        return format!("[restic-manager] {}", super::summary::title(summary));
    }
    let text = match (notice.items.as_slice(), notice.more) {
        ([], _) => "Test message".to_owned(),
        ([one], 0) => line(one),
        ([first, ..], _) if notice.items.iter().all(|i| (i.kind, i.event) == (first.kind, first.event)) => {
            format!("{}: {}, {} alerts", word(first.event), first.title, notice.count())
        }
        (..) => format!("{} alerts", notice.count()),
    };
    format!("[restic-manager] {text}")
}

/// All of it as plain text.
#[must_use]
pub fn text(notice: &Notice) -> String {
    if let Some(summary) = &notice.summary {
        return super::summary::text(summary, notice.link.as_deref());
    }
    if notice.is_test() {
        return "This is a test. Alerts of restic-manager reach this channel.".to_owned();
    }
    let mut parts: Vec<String> = notice.items.iter().map(paragraph).collect();
    if notice.more > 0 {
        parts.push(format!("And {} more.", notice.more));
    }
    parts.extend(notice.link.as_ref().map(|link| format!("See {link}")));
    parts.join("\n\n")
}

fn paragraph(item: &Item) -> String {
    let since = item.opened_at.to_utc().format("%Y-%m-%d %H:%M UTC");
    let ended = item.resolved_at.map(|at| format!(", ended {}", at.to_utc().format("%Y-%m-%d %H:%M UTC")));
    format!("{}\n{}\nSince {since}{}", line(item), item.detail, ended.unwrap_or_default())
}

/// What a link to the alerts says.
pub const OPEN: &str = "Open";
