//! Files and folders in snapshots: the lines of `ls --json` and the elements of `find --json`, gathered up to a bound and counted on.

use super::lenient;
use crate::time::Timestamp;
use crate::wire::operation::{Entry, MAX_ENTRIES};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Node {
    #[serde(deserialize_with = "lenient::text")]
    path: String,
    #[serde(rename = "type", deserialize_with = "lenient::text")]
    kind: String,
    #[serde(deserialize_with = "lenient::maybe_count")]
    size: Option<u64>,
    #[serde(deserialize_with = "lenient::text")]
    mtime: String,
    #[serde(deserialize_with = "lenient::text")]
    permissions: String,
    #[serde(deserialize_with = "lenient::text")]
    struct_type: String,
    #[serde(deserialize_with = "lenient::text")]
    message_type: String,
}

impl From<Node> for Entry {
    fn from(n: Node) -> Self {
        Self {
            path: n.path,
            kind: n.kind,
            size: n.size,
            mtime: Timestamp::parse(&n.mtime).ok(),
            permissions: n.permissions,
            snapshot: None,
        }
    }
}

/// What `ls` has listed so far.
#[derive(Debug, Default)]
pub struct Listing {
    /// Whether the snapshot was named, which comes first.
    pub opened: bool,
    /// The first entries.
    pub entries: Vec<Entry>,
    /// How many more there were.
    pub omitted: u64,
}

impl Listing {
    /// Takes a line; false if it is none of a listing.
    pub fn line(&mut self, line: &str) -> bool {
        if !line.starts_with('{') {
            return false;
        }
        let Ok(node) = serde_json::from_str::<Node>(line) else { return false };
        match (node.struct_type.as_str(), node.message_type.as_str()) {
            ("node", _) | (_, "node") => put(&mut self.entries, &mut self.omitted, || node.into()),
            ("snapshot", _) | (_, "snapshot") => self.opened = true,
            _ => return false,
        }
        true
    }
}

fn put(entries: &mut Vec<Entry>, omitted: &mut u64, entry: impl FnOnce() -> Entry) {
    if entries.len() < MAX_ENTRIES { entries.push(entry()) } else { *omitted += 1 }
}

/// What `find` has found so far.
#[derive(Debug, Default)]
pub struct Found {
    /// The first entries.
    pub entries: Vec<Entry>,
    /// How many more there were.
    pub omitted: u64,
}

impl Found {
    /// Takes an element of the array: all matches in one snapshot. What is cut off counts as far as it goes.
    pub fn element(&mut self, text: &str) {
        let mut of_one = Vec::new();
        let mut more = 0;
        let mut snapshot = None;
        let mut json = serde_json::Deserializer::from_str(text);
        let _ = OfSnapshot { entries: &mut of_one, more: &mut more, snapshot: &mut snapshot }.deserialize(&mut json);
        for mut entry in of_one {
            entry.snapshot.clone_from(&snapshot);
            put(&mut self.entries, &mut self.omitted, || entry);
        }
        self.omitted += more;
    }
}

struct OfSnapshot<'a> {
    entries: &'a mut Vec<Entry>,
    more: &'a mut u64,
    snapshot: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for OfSnapshot<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OfSnapshot<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the matches in a snapshot")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "matches" => map.next_value_seed(Matches { entries: &mut *self.entries, more: &mut *self.more })?,
                "snapshot" => *self.snapshot = Some(map.next_value()?),
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct Matches<'a> {
    entries: &'a mut Vec<Entry>,
    more: &'a mut u64,
}

impl<'de> DeserializeSeed<'de> for Matches<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Matches<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("matches")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while self.entries.len() < MAX_ENTRIES {
            match seq.next_element::<Node>()? {
                Some(node) => self.entries.push(node.into()),
                None => return Ok(()),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {
            *self.more += 1;
        }
        Ok(())
    }
}

/// The snapshots that `find --pack --json` names in an element of its array.
#[must_use]
pub fn touched_snapshot(element: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Blob {
        snapshot: String,
    }
    serde_json::from_str::<Blob>(element).ok().map(|b| b.snapshot)
}
