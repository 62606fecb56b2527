//! What `list locks` and `cat lock` print.

use super::lenient;
use super::snapshot::is_whole_id;
use crate::time::Timestamp;
use crate::wire::operation::LockRecord;
use serde::Deserialize;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(deserialize_with = "lenient::text")]
    time: String,
    exclusive: bool,
    #[serde(deserialize_with = "lenient::text")]
    hostname: String,
    #[serde(deserialize_with = "lenient::text")]
    username: String,
    #[serde(deserialize_with = "lenient::count")]
    pid: u64,
}

/// A lock from what `cat lock ID` printed, which may have text around it; none if there is no lock in it.
#[must_use]
pub fn parse(id: &str, stdout: &str) -> Option<LockRecord> {
    let json = stdout.get(stdout.find('{')?..=stdout.rfind('}')?)?;
    let raw: Raw = serde_json::from_str(json).ok()?;
    Some(LockRecord {
        id: id.to_owned(),
        time: Timestamp::parse(&raw.time).ok()?,
        exclusive: raw.exclusive,
        hostname: raw.hostname,
        username: raw.username,
        pid: u32::try_from(raw.pid).ok()?,
    })
}

/// A whole id alone on a line, as `restic list` prints it.
#[must_use]
pub fn listed_id(line: &str) -> Option<&str> {
    Some(line.trim()).filter(|l| is_whole_id(l))
}
