//! Finding the restic binary and asking it for its version. The answer is kept until the file changes.

use crate::config::Inherited;
use restic_manager_shared::restic::version::{OLDEST, Version};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::process::Command;

const PATIENCE: Duration = Duration::from_secs(20);

/// A restic that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restic {
    /// Where it is.
    pub path: PathBuf,
    /// What it says it is.
    pub version: Version,
}

/// There is no restic to use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRestic {
    /// No such file.
    #[error("no restic was found: install it (0.14 or later), or name it with --restic or in agent.toml")]
    NotFound,
    /// It is there but does not run.
    #[error("{path} does not run: {reason}")]
    DoesNotRun {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is too old.
    #[error("{path} is restic {found}; 0.14 or later is needed")]
    TooOld {
        /// Which.
        path: PathBuf,
        /// What it says it is.
        found: Version,
    },
}

type Stamp = (PathBuf, Option<SystemTime>, u64);

/// Finds restic anew for each job, so that an update or a later install counts without a restart.
#[derive(Debug)]
pub struct Finder {
    named: Option<PathBuf>,
    inherited: Inherited,
    known: Mutex<Option<(Stamp, Version)>>,
}

impl Finder {
    /// Looks for the named binary, or on the PATH if none is named.
    #[must_use]
    pub fn new(named: Option<PathBuf>, inherited: Inherited) -> Self {
        Self { named, inherited, known: Mutex::new(None) }
    }

    /// The restic to use now.
    ///
    /// # Errors
    /// [`NoRestic`] says what is wrong.
    pub async fn find(&self) -> Result<Restic, NoRestic> {
        let name = if cfg!(windows) { "restic.exe" } else { "restic" };
        let found = self.named.clone().or_else(|| self.inherited.find_on_path(name)).ok_or(NoRestic::NotFound)?;
        let path = std::path::absolute(&found).unwrap_or(found);
        let meta = path.metadata().map_err(|_| NoRestic::NotFound)?;
        let stamp = (path.clone(), meta.modified().ok(), meta.len());
        if let Some(version) = self.remembered(&stamp) {
            return Ok(Restic { path, version });
        }
        let version = ask(&path).await?;
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some((stamp, version));
        Ok(Restic { path, version })
    }

    /// The version found last, without looking again.
    #[must_use]
    pub fn last_version(&self) -> Option<Version> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(|(_, v)| *v)
    }

    fn remembered(&self, stamp: &Stamp) -> Option<Version> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(s, _)| s == stamp).map(|(_, v)| *v)
    }
}

async fn ask(path: &Path) -> Result<Version, NoRestic> {
    let broken = |reason: String| NoRestic::DoesNotRun { path: path.to_owned(), reason };
    let mut command = Command::new(path);
    command.args(["version", "--json"]).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, command.output())
        .await
        .map_err(|_| broken("`restic version` did not end".into()))?
        .map_err(|e| broken(e.to_string()))?;
    let version = Version::from_output(&String::from_utf8_lossy(&output.stdout))
        .map_err(|_| broken("`restic version` printed no version".into()))?;
    if version < OLDEST { Err(NoRestic::TooOld { path: path.to_owned(), found: version }) } else { Ok(version) }
}
