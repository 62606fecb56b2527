//! What `key list --json` and `key add` print.

use super::lenient;
use crate::wire::operation::KeyRecord;
use serde::Deserialize;

#[derive(Deserialize)]
struct Raw {
    #[serde(default)]
    current: bool,
    #[serde(deserialize_with = "lenient::text")]
    id: String,
    #[serde(default, rename = "userName", deserialize_with = "lenient::text")]
    username: String,
    #[serde(default, rename = "hostName", deserialize_with = "lenient::text")]
    hostname: String,
    #[serde(default, deserialize_with = "lenient::text")]
    created: String,
}

/// A key from an element of the list; none if it is none.
#[must_use]
pub fn parse(element: &str) -> Option<KeyRecord> {
    let raw: Raw = serde_json::from_str(element).ok()?;
    let is_id = raw.id.len() >= 8 && raw.id.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then_some(KeyRecord {
        id: raw.id,
        current: raw.current,
        username: raw.username,
        hostname: raw.hostname,
        created: raw.created,
    })
}

/// The id that `key add` names, which 0.14 does not.
#[must_use]
pub fn added_id(line: &str) -> Option<&str> {
    let id = line.trim().strip_prefix("saved new key with ID ")?;
    (!id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit())).then_some(id)
}
