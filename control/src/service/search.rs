//! Search: hosts, schedules and repositories by a part of their name, jobs and snapshots by the beginning of their identity.

use super::{ActError, Services};
use crate::store::search::{self, FoundJob, FoundSchedule, FoundSnapshot};
use restic_manager_shared::id::{HostId, RepositoryId};

/// Of each kind at most so many.
pub const MOST: i64 = 20;
/// Identities are looked for from so many digits on: fewer begin too many.
const DIGITS: usize = 4;
/// More is no part of a name.
const LONGEST: usize = 200;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Hosts.
    pub hosts: Vec<(HostId, String)>,
    /// Schedules.
    pub schedules: Vec<FoundSchedule>,
    /// Repositories: identity, name, address.
    pub repositories: Vec<(RepositoryId, String, String)>,
    /// Jobs.
    pub jobs: Vec<FoundJob>,
    /// Snapshots.
    pub snapshots: Vec<FoundSnapshot>,
}

/// The text as the beginning of an identity, if it can be one.
fn identity(text: &str) -> Option<String> {
    let text = text.to_ascii_lowercase();
    let fits = text.len() >= DIGITS && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    fits.then_some(text)
}

/// Finds things. An empty text finds nothing.
///
/// # Errors
/// When the text is too long, or the database fails.
pub async fn find(s: &Services, text: &str) -> Result<Found, ActError> {
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Ok(Found::default());
    }
    if text.len() > LONGEST {
        return Err(ActError::field("/q", "at most 200 bytes"));
    }
    s.db.read(move |conn| {
        let mut found = Found {
            hosts: search::hosts(conn, &text, MOST)?,
            schedules: search::schedules(conn, &text, MOST)?,
            repositories: search::repositories(conn, &text, MOST)?,
            ..Found::default()
        };
        if let Some(beginning) = identity(&text) {
            found.jobs = search::jobs(conn, &beginning, MOST)?;
            found.snapshots = search::snapshots(conn, &beginning, MOST)?;
        }
        Ok(found)
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_begin_an_identity_is_looked_for_as_one() {
        for (text, want) in [
            ("7c41", Some("7c41")),
            ("7C41E0D2", Some("7c41e0d2")),
            ("0193-ab", Some("0193-ab")),
            ("7c4", None),
            ("web-01", None),
            ("deadbeef%", None),
        ] {
            assert_eq!(identity(text).as_deref(), want, "{text}");
        }
    }
}
