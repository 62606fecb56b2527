//! What `restore` prints: its figures and, with `-vv`, each entry. Counted and not kept, but for some examples. Its summary says the
//! same whether files were written or not (a full disk looks like a success), so errors count beside it, never it alone.

use super::lenient;
use super::message::ItemFault;
use crate::wire::restore::{MAX_EXAMPLES, RestoreAction, RestoreExample};
use serde::Deserialize;
use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

#[derive(Default, Deserialize)]
#[serde(default)]
struct Raw {
    #[serde(deserialize_with = "lenient::text")]
    message_type: String,
    #[serde(deserialize_with = "lenient::text")]
    action: String,
    #[serde(deserialize_with = "lenient::text")]
    item: String,
    #[serde(deserialize_with = "lenient::count")]
    size: u64,
    #[serde(deserialize_with = "lenient::count")]
    files_restored: u64,
    #[serde(deserialize_with = "lenient::count")]
    files_deleted: u64,
    #[serde(deserialize_with = "lenient::count")]
    bytes_restored: u64,
}

/// What was heard of a restore.
#[derive(Debug, Default)]
pub struct Restored {
    /// It said that it was done.
    pub summary: bool,
    /// Files and folders restored, by the summary.
    pub restored: u64,
    /// Bytes written, by the summary.
    pub bytes: u64,
    /// Entries that were not there before; folders that were there count too, since restic sets their times.
    pub created: u64,
    /// Files that were there and were replaced.
    pub overwritten: u64,
    /// Files that were left as they were.
    pub kept: u64,
    /// Entries removed.
    pub deleted: u64,
    /// Files with content that were written.
    pub written_files: u64,
    /// What was replaced or removed.
    pub examples: Vec<RestoreExample>,
    /// How much more.
    pub examples_omitted: u64,
    /// Files that were not there before, the first of them.
    pub new_examples: Vec<RestoreExample>,
    /// Files that restic says it read back; old versions say it.
    pub verified: Option<u64>,
    hasher: RandomState,
    folders: HashSet<u64>,
}

impl Restored {
    /// Takes a line; true if it was one of a restore's own.
    pub fn line(&mut self, line: &str) -> bool {
        if let Some(n) = line.trim().strip_prefix("finished verifying ") {
            self.verified = n.split(' ').next().and_then(|n| n.parse().ok());
            return false;
        }
        if !line.starts_with('{') {
            return false;
        }
        let Ok(raw) = serde_json::from_str::<Raw>(line) else { return false };
        match raw.message_type.as_str() {
            "verbose_status" => self.entry(raw),
            "summary" => {
                self.summary = true;
                (self.restored, self.bytes) = (raw.files_restored, raw.bytes_restored);
                self.deleted = self.deleted.max(raw.files_deleted);
            }
            _ => return false,
        }
        true
    }

    fn entry(&mut self, raw: Raw) {
        // A folder is known by what is in it, whatever became of that.
        if let Some((parent, _)) = raw.item.rsplit_once('/') {
            self.folders.insert(self.hasher.hash_one(parent));
        }
        match raw.action.as_str() {
            "restored" => {
                let is_folder = self.is_folder(&raw.item, raw.size);
                self.created += u64::from(!is_folder);
                self.written_files += u64::from(raw.size > 0);
                if !is_folder && self.new_examples.len() < MAX_EXAMPLES {
                    let action = RestoreAction::Create;
                    self.new_examples.push(RestoreExample { path: raw.item, action, size: raw.size });
                }
            }
            "updated" => {
                self.overwritten += 1;
                self.written_files += u64::from(raw.size > 0);
                self.example(raw.item, RestoreAction::Overwrite, raw.size);
            }
            "unchanged" => self.kept += 1,
            "deleted" => {
                self.deleted += 1;
                self.example(raw.item, RestoreAction::Delete, 0);
            }
            _ => {}
        }
    }

    /// restic does not say what is a folder, but a folder comes after what is in it.
    fn is_folder(&self, item: &str, size: u64) -> bool {
        size == 0 && self.folders.contains(&self.hasher.hash_one(item))
    }

    fn example(&mut self, path: String, action: RestoreAction, size: u64) {
        if self.examples.len() < MAX_EXAMPLES {
            self.examples.push(RestoreExample { path, action, size });
        } else {
            self.examples_omitted += 1;
        }
    }
}

/// The item error that old versions print as text.
#[must_use]
pub fn fault_line(line: &str) -> Option<ItemFault> {
    let rest = line.strip_prefix("ignoring error for ")?;
    let (item, message) = rest.split_once(": ")?;
    Some(ItemFault { item: item.into(), during: "restore".into(), message: message.into() })
}

/// Whether an error means that only something about the file could not be set, while its content is there.
#[must_use]
pub fn is_about_metadata(message: &str) -> bool {
    let about = ["lchown", "chown", "chmod", "xattr", "UtimesNano", "utimes", "extended attribute", "set ACL"];
    about.iter().any(|a| message.contains(a)) && !message.contains("no such file") && !message.contains("no space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_counted_by_what_became_of_them() {
        let mut r = Restored::default();
        for line in [
            r#"{"message_type":"verbose_status","action":"unchanged","item":"/srv/etc/key","size":10}"#,
            r#"{"message_type":"verbose_status","action":"updated","item":"/srv/etc/conf","size":10}"#,
            r#"{"message_type":"verbose_status","action":"restored","item":"/srv/etc/new","size":3}"#,
            r#"{"message_type":"verbose_status","action":"deleted","item":"/t/srv/etc/extra","size":0}"#,
            r#"{"message_type":"verbose_status","action":"restored","item":"/srv/etc","size":0}"#,
            r#"{"message_type":"verbose_status","action":"restored","item":"/srv","size":0}"#,
            r#"{"message_type":"summary","total_files":3,"files_restored":4,"files_deleted":1,"bytes_restored":13}"#,
        ] {
            assert!(r.line(line), "{line}");
        }
        assert!(r.summary);
        assert_eq!((r.created, r.overwritten, r.kept, r.deleted, r.written_files), (1, 1, 1, 1, 2));
        assert_eq!((r.restored, r.bytes, r.examples.len()), (4, 13, 2));
        assert_eq!(r.new_examples.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(), ["/srv/etc/new"]);
        assert!(!r.line(r#"{"message_type":"status","percent_done":0.1}"#));
    }

    #[test]
    fn a_folder_of_files_that_stay_is_no_new_file() {
        let mut r = Restored::default();
        for line in [
            r#"{"message_type":"verbose_status","action":"unchanged","item":"/srv/etc/key","size":10}"#,
            r#"{"message_type":"verbose_status","action":"restored","item":"/srv/etc","size":0}"#,
        ] {
            assert!(r.line(line), "{line}");
        }
        assert_eq!((r.created, r.kept, r.new_examples.len()), (0, 1, 0));
    }

    #[test]
    fn what_lacks_only_its_owner_is_told_from_what_lacks_content() {
        for (message, only_metadata) in [
            ("lchown /t/a: operation not permitted", true),
            ("xattr.Set /t/a user.comment: operation not supported", true),
            ("lchown /t/a: no such file or directory", false),
            ("write /t/a: no space left on device", false),
            ("open /t/a: permission denied", false),
        ] {
            assert_eq!(is_about_metadata(message), only_metadata, "{message}");
        }
        let fault = fault_line("ignoring error for /srv/a: Symlink: file exists").expect("one");
        assert_eq!((fault.item.as_str(), fault.message.as_str()), ("/srv/a", "Symlink: file exists"));
    }
}
