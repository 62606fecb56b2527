//! Couriers: they carry messages to mail servers and webhooks that administrators have named. These are the only connections that the
//! control plane opens besides its database; none goes to a host.

mod mail;
mod shape;
mod webhook;

use crate::domain::channel::Settings;
use crate::domain::notice::Notice;
use crate::words::courier as words;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use std::time::Duration;

/// How long a whole delivery may take. Who takes one holds it for longer.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// What is shown of what the other side said, in characters.
const SHOWN: usize = 300;

/// What a channel keeps secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secrets {
    /// A webhook's address.
    pub url: Option<Secret>,
    /// A password, token, or the key that messages are signed with.
    pub secret: Option<Secret>,
}

/// What the other side said to a message that it took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its answer, cut short.
    pub said: String,
    /// SHA-256 of what was sent, hex.
    pub digest: String,
}

/// The couriers.
#[derive(Clone, Debug)]
pub struct Couriers {
    web: reqwest::Client,
}

impl Couriers {
    /// Makes them ready.
    ///
    /// # Errors
    /// When there is no TLS to be had; the text says why.
    pub fn new() -> Result<Self, String> {
        Ok(Self { web: webhook::client()? })
    }

    /// Carries a message.
    ///
    /// # Errors
    /// In plain words, why it did not arrive, or may not have.
    pub async fn carry(
        &self,
        settings: &Settings,
        secrets: &Secrets,
        notice: &Notice,
        now: Timestamp,
    ) -> Result<Taken, String> {
        let carried = async {
            match settings {
                Settings::Smtp(smtp) => mail::send(smtp, secrets, notice).await,
                Settings::Webhook(hook) => webhook::send(&self.web, hook, secrets, notice, now).await,
            }
        };
        match tokio::time::timeout(PATIENCE, carried).await {
            Ok(came_of_it) => came_of_it,
            Err(_) => Err(words::no_answer(PATIENCE.as_secs())),
        }
    }
}

/// What the other side said, fit to be shown: one line, no control characters, not too long.
fn shown(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let parts: Vec<&str> = plain.split_whitespace().collect();
    crate::domain::notice::cut(&parts.join(" "), SHOWN)
}

/// The innermost cause of an error: the outer ones say only that there is one.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    shown(&last.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_is_shown_in_one_short_line() {
        assert_eq!(shown(" not\r\n\0found\t"), "not found");
        assert_eq!(shown(&"x".repeat(400)).chars().count(), SHOWN);
    }
}
