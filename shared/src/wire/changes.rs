//! What differs between two snapshots, as a person looks at it: folder by folder with sums, or as one list. Not the job that compares,
//! whose outcome is bounded; this has no end but that of the snapshots.

use super::query::QueryAsk;
use serde::{Deserialize, Serialize};

/// What happened to a file, folder or link between the older and the newer snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// Only the newer has it.
    Added,
    /// Only the older has it.
    Removed,
    /// Its content differs, or it became something else.
    Changed,
    /// Only its owner, mode or times differ.
    Metadata,
}

impl ChangeKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Added, Self::Removed, Self::Changed, Self::Metadata];

    /// By the letters that restic puts before a path: `+`, `-`, and any of `M` (content), `T` (type), `U` (metadata), `?` (the same content
    /// in other pieces).
    #[must_use]
    pub fn of_modifier(modifier: &str) -> Self {
        match modifier {
            "+" => Self::Added,
            "-" => Self::Removed,
            "U" => Self::Metadata,
            _ => Self::Changed,
        }
    }

    /// As it stands in a URL or a table.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Metadata => "metadata",
        }
    }
}

/// Which changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangesAsk {
    /// The older snapshot's whole id.
    pub from: String,
    /// The newer one's.
    pub to: String,
    /// Only in this folder and below; `/` for everywhere.
    pub under: String,
    /// Each change of its own, however deep; else what is below a folder is summed up in that folder.
    #[serde(default)]
    pub flat: bool,
    /// A name or glob as of a search; empty for all.
    #[serde(default)]
    pub pattern: String,
    /// Only these kinds; all if empty.
    #[serde(default)]
    pub kinds: Vec<ChangeKind>,
    /// Where the last page ended: its `next`.
    #[serde(default)]
    pub after: Option<String>,
    /// How many items at most.
    pub limit: u32,
}

impl From<ChangesAsk> for QueryAsk {
    fn from(ask: ChangesAsk) -> Self {
        Self::Changes(ask)
    }
}

/// Counts of changes, and the bytes of the files among them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ChangeSums {
    /// Files, folders and links that were added.
    pub added: u64,
    /// That were removed.
    pub removed: u64,
    /// Whose content changed.
    pub changed: u64,
    /// Of which only the metadata changed.
    pub metadata: u64,
    /// Bytes of what was added.
    pub added_bytes: u64,
    /// Bytes of what was removed.
    pub removed_bytes: u64,
    /// Bytes of what changed, as it is now.
    pub changed_bytes: u64,
}

impl ChangeSums {
    /// Counts one more.
    pub fn count(&mut self, kind: ChangeKind, before: Option<u64>, after: Option<u64>) {
        let size = Option::unwrap_or_default;
        match kind {
            ChangeKind::Added => {
                self.added += 1;
                self.added_bytes = self.added_bytes.saturating_add(size(after));
            }
            ChangeKind::Removed => {
                self.removed += 1;
                self.removed_bytes = self.removed_bytes.saturating_add(size(before));
            }
            ChangeKind::Changed => {
                self.changed += 1;
                self.changed_bytes = self.changed_bytes.saturating_add(size(after));
            }
            ChangeKind::Metadata => self.metadata += 1,
        }
    }

    /// How many in all.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.added + self.removed + self.changed + self.metadata
    }

    /// Bytes in all.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.added_bytes.saturating_add(self.removed_bytes).saturating_add(self.changed_bytes)
    }
}

/// A change, or a folder with all that changed below it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ChangeItem {
    /// The whole path.
    pub path: String,
    /// What happened to it itself; none for a folder that only holds changes.
    #[serde(default)]
    pub change: Option<ChangeKind>,
    /// It is a folder.
    #[serde(default)]
    pub folder: bool,
    /// Its size in the older snapshot, if it was a file there.
    #[serde(default)]
    pub before: Option<u64>,
    /// Its size in the newer one.
    #[serde(default)]
    pub after: Option<u64>,
    /// What happened below it; none in a flat list and of what is no folder.
    #[serde(default)]
    pub below: Option<ChangeSums>,
}

/// A page of changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct ChangesPage {
    /// In a folder: folders first, then by name. In a flat list: by path.
    pub items: Vec<ChangeItem>,
    /// All that changed in the folder and below, whatever the filter. Only on the first page.
    pub sums: ChangeSums,
    /// Where it goes on; none at the end.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_messages_still_decode() {
        let ask = r#"{"kind":"changes","from":"a","to":"b","under":"/","limit":10}"#;
        let want = ChangesAsk {
            from: "a".into(),
            to: "b".into(),
            under: "/".into(),
            flat: false,
            pattern: String::new(),
            kinds: vec![],
            after: None,
            limit: 10,
        };
        assert_eq!(serde_json::from_str::<QueryAsk>(ask).expect("decodes"), QueryAsk::from(want));
        let page = r#"{"items":[{"path":"/a","change":"added","after":7}],"sums":{"added":1,"added_bytes":7}}"#;
        let page: ChangesPage = serde_json::from_str(page).expect("decodes");
        assert_eq!((page.items[0].change, page.items[0].after), (Some(ChangeKind::Added), Some(7)));
        assert_eq!((page.sums.total(), page.sums.bytes()), (1, 7));
    }

    #[test]
    fn restics_letters_say_what_happened() {
        use ChangeKind::{Added, Changed, Metadata, Removed};
        for (letters, want) in [
            ("+", Added),
            ("-", Removed),
            ("M", Changed),
            ("U", Metadata),
            ("MU", Changed),
            ("T", Changed),
            ("?", Changed),
        ] {
            assert_eq!(ChangeKind::of_modifier(letters), want, "{letters}");
        }
    }
}
