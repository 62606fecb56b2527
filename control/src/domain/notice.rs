//! Notices: what a message tells: of one or many alerts, how the day was, or only that it arrives. Who gets it and when is `channel`; how it is said is in `words::notice`, and in which shape
//! it gets there is the courier's.

use super::alert::{AlertKind, Severity};
use super::channel::What;
use super::summary::Summary;
use restic_manager_shared::id::AlertId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// The most alerts that a message names; of more it says how many.
pub const NAMED: usize = 20;

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
    /// The alerts, the worst first; [`NAMED`] at most. None in a test or a summary.
    pub items: Vec<Item>,
    /// How many more there are.
    pub more: i64,
    /// The summary, if it is one.
    pub summary: Option<Summary>,
    /// Where they can be looked at.
    pub link: Option<String>,
}

impl Notice {
    /// Whether it only says that the channel works.
    #[must_use]
    pub fn is_test(&self) -> bool {
        self.items.is_empty() && self.more == 0 && self.summary.is_none()
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

    /// Whether all of it is over, or was well all day.
    #[must_use]
    pub fn is_over(&self) -> bool {
        if let Some(summary) = &self.summary {
            return summary.is_well();
        }
        !self.is_test() && self.more == 0 && self.items.iter().all(|i| i.event == What::Resolved)
    }
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
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
    }
}
