//! What this host allows, whatever the control plane asks: `policy.toml` in the state folder, written by the host's own people. The
//! agent never writes it.

use crate::state_dir::{StateDir, StateError};
use restic_manager_shared::wire::job::Task;
use serde::Deserialize;

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

/// The host's policy. Without a file everything is allowed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// How much is allowed.
    #[serde(default)]
    pub mode: Mode,
}

/// The host's own policy says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "this host does not allow it: its policy.toml says mode = \"backup-only\", and a job of kind \"{kind}\" is not a backup"
)]
pub struct Forbidden {
    /// The kind of job that was asked for.
    pub kind: &'static str,
}

/// The word for a task.
#[must_use]
pub const fn kind(task: &Task) -> &'static str {
    match task {
        Task::Backup { .. } => "backup",
        Task::Init { .. } => "init",
        Task::Snapshots { .. } => "snapshots",
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
        toml::from_str(&text).map_err(|e| corrupt(e.to_string()))
    }

    /// Whether the task may run here.
    ///
    /// # Errors
    /// [`Forbidden`] if not.
    pub const fn allow(&self, task: &Task) -> Result<(), Forbidden> {
        match (self.mode, task) {
            (Mode::Full, _) | (Mode::BackupOnly, Task::Backup { .. }) => Ok(()),
            (Mode::BackupOnly, Task::Init { .. } | Task::Snapshots { .. }) => Err(Forbidden { kind: kind(task) }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::RepositoryId;
    use restic_manager_shared::wire::state::BackupSpec;

    #[test]
    fn backup_only_is_deaf_to_all_but_backups() {
        let tmp = tempfile::tempdir().expect("dir");
        let dir = StateDir::open(tmp.path()).expect("opens");
        assert_eq!(Policy::load(&dir).expect("none").mode, Mode::Full);
        dir.replace(FILE, b"mode = \"backup-only\"\n").expect("writes");
        let policy = Policy::load(&dir).expect("reads");
        let repository_id = RepositoryId::new();
        assert_eq!(policy.allow(&Task::Backup { repository_id, backup: BackupSpec::default() }), Ok(()));
        assert_eq!(policy.allow(&Task::Snapshots { repository_id }), Err(Forbidden { kind: "snapshots" }));
        assert_eq!(policy.allow(&Task::Init { repository_id }), Err(Forbidden { kind: "init" }));
        dir.replace(FILE, b"mode = \"everything\"\n").expect("writes");
        assert!(Policy::load(&dir).is_err());
    }
}
