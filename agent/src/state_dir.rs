//! The state folder: everything the agent keeps, in one folder that nobody else may read. Knows where things lie and how a file is
//! replaced so that a crash leaves the old or the new one; not what is in them.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Something about the state folder went wrong.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Reading or writing failed.
    #[error("cannot {act} {path}: {source}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another agent runs on this folder.
    #[error("another agent is running with the state folder {0}; each agent needs a folder of its own")]
    InUse(PathBuf),
    /// A file is there but does not hold what it should.
    #[error("{path} cannot be read: {reason}")]
    Corrupt {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl StateError {
    fn io(act: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { act, path, source }
    }
}

/// The folder.
#[derive(Clone, Debug)]
pub struct StateDir {
    root: PathBuf,
}

/// Held while an agent runs on the folder; the system releases it when the process ends, however it ends.
#[derive(Debug)]
pub struct StateLock {
    _file: File,
}

impl StateDir {
    /// Makes the folder if need be, closed to others.
    ///
    /// # Errors
    /// When the folder cannot be made or written to.
    pub fn open(root: &Path) -> Result<Self, StateError> {
        let dir = Self { root: std::path::absolute(root).map_err(StateError::io("find", root))? };
        make_private_dir(&dir.root)?;
        make_private_dir(&dir.cache())?;
        make_private_dir(&dir.jobs())?;
        make_private_dir(&dir.logs())?;
        make_private_dir(&dir.tmp())?;
        Ok(dir)
    }

    /// The folder as it is, without making anything.
    #[must_use]
    pub fn at(root: &Path) -> Self {
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    /// Takes the folder for this process.
    ///
    /// # Errors
    /// [`StateError::InUse`] if another process has it.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let path = self.root.join("lock");
        let file = private_options().truncate(false).open(&path).map_err(StateError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(StateLock { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StateError::InUse(self.root.clone())),
            Err(TryLockError::Error(e)) => Err(StateError::io("lock", &path)(e)),
        }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file of the folder by name.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// restic's cache.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// Where each running job has a folder of its own for secrets and lists.
    #[must_use]
    pub fn jobs(&self) -> PathBuf {
        self.root.join("jobs")
    }

    /// Logs of running jobs, as far as the control plane has not confirmed them.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// restic's temporary files.
    #[must_use]
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Removes what a killed agent left in the job folders.
    pub fn sweep_jobs(&self) {
        let Ok(entries) = fs::read_dir(self.jobs()) else { return };
        for entry in entries.flatten() {
            if let Err(e) = fs::remove_dir_all(entry.path()) {
                tracing::warn!(path = %entry.path().display(), error = %e, "cannot remove a left-over job folder");
            }
        }
    }

    /// Replaces a file as one act, with the bytes on the disk before the name points to them.
    ///
    /// # Errors
    /// When the disk refuses; the old file is then untouched.
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), StateError> {
        let path = self.file(name);
        let fresh = self.file(&format!("{name}.new"));
        write_private(&fresh, bytes)?;
        fs::rename(&fresh, &path).map_err(StateError::io("replace", &path))?;
        sync_dir(&self.root)
    }

    /// A file's bytes, if it is there.
    ///
    /// # Errors
    /// When it is there but cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>, StateError> {
        let path = self.file(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(StateError::io("read", &path)(e)),
        }
    }

    /// Removes a file; one that is not there is fine.
    ///
    /// # Errors
    /// When it is there and cannot be removed.
    pub fn remove(&self, name: &str) -> Result<(), StateError> {
        let path = self.file(name);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(StateError::io("remove", &path)(e)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// Makes a folder, closed to others; an existing one is closed too.
///
/// # Errors
/// When the system refuses.
pub fn make_private_dir(path: &Path) -> Result<(), StateError> {
    fs::create_dir_all(path).map_err(StateError::io("make the folder", path))?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o700))
            .map_err(StateError::io("close the folder", path))?;
    }
    Ok(())
}

/// Writes a file that only this user may read, through to the disk.
///
/// # Errors
/// When the system refuses.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), StateError> {
    let mut file = private_options().truncate(true).open(path).map_err(StateError::io("write", path))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(StateError::io("write", path))
}

/// Opens a file that only this user may read, to write at its end.
///
/// # Errors
/// When the system refuses.
pub fn append_private(path: &Path) -> io::Result<File> {
    private_options().write(false).append(true).open(path)
}

fn private_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options
}

#[cfg(unix)]
fn sync_dir(path: &Path) -> Result<(), StateError> {
    File::open(path).and_then(|d| d.sync_all()).map_err(StateError::io("sync", path))
}

/// Windows keeps a rename without being asked.
#[cfg(not(unix))]
fn sync_dir(_path: &Path) -> Result<(), StateError> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_private_and_for_one() {
        let tmp = tempfile::tempdir().expect("dir");
        let dir = StateDir::open(&tmp.path().join("a/b")).expect("opens");
        dir.replace("x", b"one").expect("writes");
        dir.replace("x", b"two").expect("writes");
        assert_eq!(dir.read("x").expect("reads"), Some(b"two".to_vec()));
        assert_eq!(dir.read("y").expect("reads"), None);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = |p: &Path| fs::metadata(p).expect("there").permissions().mode() & 0o777;
            assert_eq!((mode(dir.root()), mode(&dir.file("x"))), (0o700, 0o600));
        }
        let held = dir.lock().expect("free");
        assert!(matches!(dir.lock(), Err(StateError::InUse(_))));
        drop(held);
        dir.lock().expect("free again");
        dir.remove("x").expect("removes");
        dir.remove("x").expect("nothing to remove");
    }
}
