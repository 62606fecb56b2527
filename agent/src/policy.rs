//! What this host allows, whatever the control plane asks: `policy.toml` in the state folder, written by the host's own people. The
//! agent never writes it.

use crate::state_dir::{StateDir, StateError};
use restic_manager_shared::wire::job::Task;
use serde::Deserialize;
use std::path::{Path, PathBuf};

const FILE: &str = "policy.toml";

/// How much is allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Every kind of job.
    #[default]
    Full,
    /// Backups, and nothing else.
    BackupOnly,
}

/// Whether the agent may replace itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Updating {
    /// By a release that a pinned key signed.
    #[default]
    Signed,
    /// Never: this host's people install new versions themselves.
    Never,
}

/// The host's policy. Without a file everything is allowed but writing accounts, which needs the name of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// How much is allowed.
    pub mode: Mode,
    /// The kinds of jobs that are allowed, if not all are; the words of [`KINDS`].
    pub operations: Option<Vec<String>>,
    /// The storage's file of accounts (`.htpasswd`) that a job may write a line into.
    pub accounts_file: Option<PathBuf>,
    /// The only folders that a restore or an archive may write to, links followed; everywhere if none are named.
    pub restore_roots: Option<Vec<PathBuf>>,
    /// Whether the agent may replace itself.
    pub updates: Updating,
    /// Where the programs lie whose output may be backed up, instead of `hooks` in the state folder.
    pub hooks_dir: Option<PathBuf>,
}

/// The host's own policy says no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// Only backups are allowed.
    #[error(
        "this host does not allow it: its policy.toml says mode = \"backup-only\", and a job of kind \"{0}\" is not a backup"
    )]
    NotABackup(&'static str),
    /// This kind is not among those that are allowed.
    #[error("this host does not allow it: \"{0}\" is not among the operations in its policy.toml")]
    NotListed(&'static str),
    /// It is not in the folders that are allowed.
    #[error("this host does not allow it: {0} is not in the restore_roots of its policy.toml")]
    OutsideRoots(String),
    /// No file is named.
    #[error("this host does not allow it: its policy.toml names no accounts_file")]
    NoAccountsFile,
}

/// The words for the kinds of tasks.
pub const KINDS: [&str; 28] = [
    "backup",
    "init",
    "snapshots",
    "ls",
    "find",
    "stats",
    "diff",
    "check",
    "forget",
    "prune",
    "unlock",
    "locks",
    "copy",
    "tag",
    "rewrite",
    "repair_index",
    "repair_packs",
    "repair_snapshots",
    "key_list",
    "key_add",
    "key_remove",
    "cache_cleanup",
    "version",
    "probe",
    "write_account",
    "restore",
    "archive",
    "drill",
];

/// The word for a task.
#[must_use]
pub const fn kind(task: &Task) -> &'static str {
    match task {
        Task::Backup { .. } => "backup",
        Task::Init { .. } => "init",
        Task::Snapshots { .. } => "snapshots",
        Task::Ls { .. } => "ls",
        Task::Find { .. } => "find",
        Task::Stats { .. } => "stats",
        Task::Diff { .. } => "diff",
        Task::Check { .. } => "check",
        Task::Forget { .. } => "forget",
        Task::Prune { .. } => "prune",
        Task::Unlock { .. } => "unlock",
        Task::Locks { .. } => "locks",
        Task::Copy { .. } => "copy",
        Task::Tag { .. } => "tag",
        Task::Rewrite { .. } => "rewrite",
        Task::RepairIndex { .. } => "repair_index",
        Task::RepairPacks { .. } => "repair_packs",
        Task::RepairSnapshots { .. } => "repair_snapshots",
        Task::KeyList { .. } => "key_list",
        Task::KeyAdd { .. } => "key_add",
        Task::KeyRemove { .. } => "key_remove",
        Task::CacheCleanup {} => "cache_cleanup",
        Task::Version {} => "version",
        Task::Probe { .. } => "probe",
        Task::WriteAccount { .. } => "write_account",
        Task::Restore { .. } => "restore",
        Task::Archive { .. } => "archive",
        Task::Drill { .. } => "drill",
    }
}

impl Policy {
    /// Reads the file.
    ///
    /// # Errors
    /// When the file is there but cannot be understood: then nothing may run, rather than too much.
    pub fn load(dir: &StateDir) -> Result<Self, StateError> {
        let Some(bytes) = dir.read(FILE)? else { return Ok(Self::default()) };
        let corrupt = |reason: String| StateError::Corrupt { path: dir.file(FILE), reason };
        let text = String::from_utf8(bytes).map_err(|_| corrupt("it is not UTF-8".into()))?;
        let policy: Self = toml::from_str(&text).map_err(|e| corrupt(e.to_string()))?;
        let unknown = policy.operations.iter().flatten().find(|o| !KINDS.contains(&o.as_str()));
        match unknown {
            Some(word) => Err(corrupt(format!("there is no operation \"{word}\"; there are {}", KINDS.join(", ")))),
            None => Ok(policy),
        }
    }

    /// Whether the task may run here.
    ///
    /// # Errors
    /// [`Forbidden`] if not.
    pub fn allow(&self, task: &Task) -> Result<(), Forbidden> {
        let kind = kind(task);
        if self.mode == Mode::BackupOnly && !matches!(task, Task::Backup { .. }) {
            return Err(Forbidden::NotABackup(kind));
        }
        if self.operations.as_ref().is_some_and(|allowed| !allowed.iter().any(|o| o == kind)) {
            return Err(Forbidden::NotListed(kind));
        }
        if matches!(task, Task::WriteAccount { .. }) && self.accounts_file.is_none() {
            return Err(Forbidden::NoAccountsFile);
        }
        Ok(())
    }
}

impl Policy {
    /// Whether a restore may write to a place, which is where it really is. A root that is not there allows nothing.
    ///
    /// # Errors
    /// [`Forbidden::OutsideRoots`] if not.
    pub fn allow_place(&self, real: &Path) -> Result<(), Forbidden> {
        let Some(roots) = &self.restore_roots else { return Ok(()) };
        let within = |root: &PathBuf| root.canonicalize().is_ok_and(|root| real.starts_with(root));
        let outside = || Forbidden::OutsideRoots(real.display().to_string());
        if roots.iter().any(within) { Ok(()) } else { Err(outside()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::RepositoryId;
    use restic_manager_shared::wire::state::BackupSpec;

    fn loaded(text: &str) -> Result<Policy, StateError> {
        let tmp = tempfile::tempdir().expect("dir");
        let dir = StateDir::open(tmp.path()).expect("opens");
        dir.replace(FILE, text.as_bytes()).expect("writes");
        Policy::load(&dir)
    }

    #[test]
    fn the_file_decides_and_a_bad_one_allows_nothing() {
        let tmp = tempfile::tempdir().expect("dir");
        let none = Policy::load(&StateDir::open(tmp.path()).expect("opens")).expect("no file");
        let repository_id = RepositoryId::new();
        let backup = Task::Backup { repository_id, backup: BackupSpec::default(), dry_run: false };
        let list = Task::Snapshots { repository_id, all_hosts: false };
        let account = Task::WriteAccount { repository_id, user: "u".into() };
        assert_eq!(none.allow(&list), Ok(()));
        assert_eq!(none.allow(&account), Err(Forbidden::NoAccountsFile));
        let only = loaded("mode = \"backup-only\"\n").expect("reads");
        assert_eq!(only.allow(&backup), Ok(()));
        assert_eq!(only.allow(&list), Err(Forbidden::NotABackup("snapshots")));
        let some =
            loaded("operations = [\"snapshots\", \"write_account\"]\naccounts_file = \"/srv/x\"\n").expect("reads");
        assert_eq!(some.allow(&list), Ok(()));
        assert_eq!(some.allow(&account), Ok(()));
        assert_eq!(some.allow(&backup), Err(Forbidden::NotListed("backup")));
        for bad in ["mode = \"everything\"\n", "operations = [\"snapshot\"]\n", "operation = []\n"] {
            assert!(loaded(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_words_are_those_of_the_wire() {
        let task = Task::RepairIndex { repository_id: RepositoryId::new(), read_all_packs: false };
        let json = serde_json::to_value(&task).expect("json");
        assert_eq!(json["kind"], kind(&task));
        assert!(KINDS.contains(&kind(&task)));
    }
}
