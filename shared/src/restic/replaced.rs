//! Snapshots that get new ids: the lines of `tag`, `rewrite`, `repair snapshots` and `copy`. Text names ids by their first eight digits.

use super::lenient;
use crate::wire::operation::Replaced;
use serde::Deserialize;

/// What was said so far.
#[derive(Debug, Default)]
pub struct Replacements {
    /// Old and new ids, as far as restic names them: whole, or their beginnings.
    pub pairs: Vec<Replaced>,
    /// Snapshots that would get a new id, were it not for the dry run.
    pub would: Vec<String>,
    /// Old ids that were removed.
    pub removed: Vec<String>,
    /// Snapshots that restic says it changed, whether it names them or not.
    pub changed: u64,
    /// Snapshots saved; for `copy`.
    pub saved: u64,
    /// Snapshots passed over; for `copy`.
    pub skipped: u64,
    current: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct TagLine {
    #[serde(deserialize_with = "lenient::text")]
    message_type: String,
    #[serde(deserialize_with = "lenient::text")]
    old_snapshot_id: String,
    #[serde(deserialize_with = "lenient::text")]
    new_snapshot_id: String,
    #[serde(deserialize_with = "lenient::count")]
    changed_snapshots: u64,
}

impl Replacements {
    /// Takes a line; false if it says nothing of the kind.
    pub fn line(&mut self, line: &str) -> bool {
        let text = line.trim();
        if text.starts_with('{') { self.json(text) } else { self.text(text) }
    }

    fn json(&mut self, text: &str) -> bool {
        let Ok(read) = serde_json::from_str::<TagLine>(text) else { return false };
        match read.message_type.as_str() {
            "changed" => self.pairs.push(Replaced { old: read.old_snapshot_id, new: read.new_snapshot_id }),
            "summary" => self.changed = read.changed_snapshots,
            _ => return false,
        }
        true
    }

    fn text(&mut self, text: &str) -> bool {
        if let Some(id) = text.strip_prefix("saved new snapshot ").and_then(hex) {
            let old = self.current.clone().unwrap_or_default();
            self.pairs.push(Replaced { old, new: id.to_owned() });
        } else if text == "would save new snapshot" {
            self.would.extend(self.current.clone());
        } else if let Some(id) = text.strip_prefix("removed old snapshot ").and_then(hex) {
            self.removed.push(id.to_owned());
        } else if let Some(rest) = text.strip_prefix("snapshot ") {
            return self.snapshot(rest);
        } else if text.starts_with("skipping source snapshot ") || text.starts_with("skipping snapshot ") {
            self.skipped += 1;
        } else if let Some(count) = text.strip_prefix("modified tags on ").or_else(|| text.strip_prefix("modified ")) {
            self.changed = count.split(' ').next().and_then(|n| n.parse().ok()).unwrap_or(0);
        } else {
            return false;
        }
        true
    }

    /// `1a2b3c4d of [/srv] at ...` begins one; `1a2b3c4d saved` of `copy` ends one.
    fn snapshot(&mut self, rest: &str) -> bool {
        let Some((id, rest)) = rest.split_once(' ') else { return false };
        if hex(id).is_none() {
            return false;
        }
        if rest == "saved" || rest.starts_with("saved, copied from") {
            self.saved += 1;
        } else if rest.starts_with("of ") {
            self.current = Some(id.to_owned());
        } else {
            return false;
        }
        true
    }
}

fn hex(text: &str) -> Option<&str> {
    (text.len() >= 8 && text.bytes().all(|b| b.is_ascii_hexdigit())).then_some(text)
}
