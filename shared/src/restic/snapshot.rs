//! Entries of `restic snapshots --json`, and their way to the wire.

use super::lenient;
use super::message::Summary;
use crate::time::Timestamp;
use crate::wire::job::{BackupSummary, SnapshotRecord};
use serde::Deserialize;

/// One entry, as restic lists it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// 64 hex digits.
    #[serde(deserialize_with = "lenient::text")]
    pub id: String,
    /// RFC 3339 with an offset.
    #[serde(deserialize_with = "lenient::text")]
    pub time: String,
    /// The host name it was made under.
    #[serde(deserialize_with = "lenient::text")]
    pub hostname: String,
    /// The user who made it.
    #[serde(deserialize_with = "lenient::maybe_text")]
    pub username: Option<String>,
    /// What it covers.
    #[serde(deserialize_with = "lenient::texts")]
    pub paths: Vec<String>,
    /// Its tags.
    #[serde(deserialize_with = "lenient::texts")]
    pub tags: Vec<String>,
    /// What it was compared with.
    #[serde(deserialize_with = "lenient::maybe_text")]
    pub parent: Option<String>,
    /// Figures, in snapshots made by 0.17 and later.
    pub summary: Option<Summary>,
}

/// The output holds no list of snapshots, or an entry that makes no sense.
#[derive(Debug, thiserror::Error)]
pub enum BadList {
    /// There is no JSON array in it.
    #[error("restic printed no list of snapshots")]
    Missing,
    /// The array is not one of snapshots.
    #[error("restic's list of snapshots cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// An entry has no 64-digit id or no time.
    #[error("restic listed a snapshot without a usable id or time: {0:?}")]
    Entry(String),
}

/// The snapshots in what `restic snapshots --json` printed, which may have text around it.
///
/// # Errors
/// [`BadList`] if there is no list in it, or one that cannot be read.
pub fn parse_list(stdout: &str) -> Result<Vec<Snapshot>, BadList> {
    let line = stdout.lines().map(str::trim).find(|l| l.starts_with('[') || *l == "null").ok_or(BadList::Missing)?;
    Ok(serde_json::from_str::<Option<Vec<Snapshot>>>(line)?.unwrap_or_default())
}

/// Whether the text is a whole snapshot id: 64 hex digits.
#[must_use]
pub fn is_whole_id(id: &str) -> bool {
    id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit())
}

impl TryFrom<Snapshot> for SnapshotRecord {
    type Error = BadList;

    fn try_from(s: Snapshot) -> Result<Self, BadList> {
        let time = Timestamp::parse(&s.time).map_err(|_| BadList::Entry(s.id.clone()))?;
        if !is_whole_id(&s.id) {
            return Err(BadList::Entry(s.id));
        }
        let summary =
            s.summary.map(|figures| BackupSummary { snapshot_id: Some(s.id.clone()), ..BackupSummary::from(&figures) });
        Ok(Self {
            id: s.id,
            time,
            hostname: s.hostname,
            username: s.username,
            paths: s.paths,
            tags: s.tags,
            parent: s.parent,
            summary,
        })
    }
}
