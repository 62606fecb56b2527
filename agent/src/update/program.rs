//! The agent's own program as files: the one that runs, the one before it, and the one to come. All three lie in one folder, so that each
//! step is a rename and a power cut leaves a whole program under the name that the service manager starts.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

/// Where the program and its neighbours are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    exe: PathBuf,
}

fn beside(exe: &Path, ending: &str) -> PathBuf {
    let mut name = exe.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    exe.with_file_name(name)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => Ok(()),
    }
}

impl Program {
    /// The program at this path.
    #[must_use]
    pub const fn new(exe: PathBuf) -> Self {
        Self { exe }
    }

    /// The program that this one was kept from: `x` for `x.previous`. None for any other.
    #[must_use]
    pub fn of_previous(previous: &Path) -> Option<Self> {
        let name = previous.file_name()?.to_str()?.strip_suffix(".previous")?;
        Some(Self::new(previous.with_file_name(name)))
    }

    /// What the service manager starts.
    #[must_use]
    pub fn exe(&self) -> &Path {
        &self.exe
    }

    /// The version from before.
    #[must_use]
    pub fn previous(&self) -> PathBuf {
        beside(&self.exe, ".previous")
    }

    /// The version to come.
    #[must_use]
    pub fn fresh(&self) -> PathBuf {
        beside(&self.exe, ".new")
    }

    /// Whether the folder takes another program.
    #[must_use]
    pub fn is_replaceable(&self) -> bool {
        let probe = beside(&self.exe, ".probe");
        File::create(&probe).and_then(|_| fs::remove_file(&probe)).is_ok()
    }

    /// Puts a copy of a file beside the program, ready to run, through to the disk.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn stage(&self, from: &Path) -> io::Result<PathBuf> {
        let fresh = self.fresh();
        remove(&fresh)?;
        fs::copy(from, &fresh)?;
        fs::set_permissions(&fresh, self.exe.metadata()?.permissions())?;
        File::options().write(true).open(&fresh)?.sync_all()?;
        Ok(fresh)
    }

    /// Removes the version to come.
    pub fn unstage(&self) {
        if let Err(e) = remove(&self.fresh()) {
            tracing::warn!(error = %e, "cannot remove what was fetched of an update");
        }
    }

    /// Puts the staged program in place and keeps the running one as the previous. There is a whole program at its name at any moment.
    ///
    /// # Errors
    /// When the system refuses; the running program is then in place.
    #[cfg(unix)]
    pub fn swap(&self) -> io::Result<()> {
        let previous = self.previous();
        remove(&previous)?;
        if fs::hard_link(&self.exe, &previous).is_err() {
            // Some file systems have no hard links.
            fs::copy(&self.exe, &previous)?;
            File::options().write(true).open(&previous)?.sync_all()?;
        }
        fs::rename(self.fresh(), &self.exe)?;
        self.sync()
    }

    /// Windows keeps a running program from being replaced, but lets it be renamed: between the two renames there is none at its name, and
    /// the first is taken back when the second fails.
    ///
    /// # Errors
    /// When the system refuses; the running program is then in place.
    #[cfg(not(unix))]
    pub fn swap(&self) -> io::Result<()> {
        let previous = self.previous();
        remove(&previous)?;
        fs::rename(&self.exe, &previous)?;
        if let Err(e) = fs::rename(self.fresh(), &self.exe) {
            fs::rename(&previous, &self.exe)?;
            return Err(e);
        }
        Ok(())
    }

    /// Puts the previous program back.
    ///
    /// # Errors
    /// When there is none, or the system refuses.
    #[cfg(unix)]
    pub fn put_back(&self) -> io::Result<()> {
        fs::rename(self.previous(), &self.exe)?;
        self.sync()
    }

    /// Puts the previous program back; the one that runs is set aside.
    ///
    /// # Errors
    /// When there is none, or the system refuses.
    #[cfg(not(unix))]
    pub fn put_back(&self) -> io::Result<()> {
        let (previous, aside) = (self.previous(), beside(&self.exe, ".failed"));
        previous.metadata()?;
        remove(&aside)?;
        fs::rename(&self.exe, &aside)?;
        if let Err(e) = fs::rename(&previous, &self.exe) {
            fs::rename(&aside, &self.exe)?;
            return Err(e);
        }
        Ok(())
    }

    #[cfg(unix)]
    fn sync(&self) -> io::Result<()> {
        self.exe.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_swap_keeps_the_program_from_before_and_can_be_undone() {
        let tmp = tempfile::tempdir().expect("dir");
        let program = Program::new(tmp.path().join("agent"));
        let read = |path: PathBuf| fs::read_to_string(path).ok();
        fs::write(program.exe(), "old").expect("writes");
        fs::write(tmp.path().join("part"), "new").expect("writes");
        assert!(program.put_back().is_err(), "there is nothing to put back");
        assert_eq!(read(program.exe().into()).as_deref(), Some("old"));
        assert!(program.is_replaceable());
        for _ in 0..2 {
            program.stage(&tmp.path().join("part")).expect("stages");
            program.swap().expect("swaps");
            let there = (read(program.exe().into()), read(program.previous()), read(program.fresh()));
            assert_eq!(there, (Some("new".into()), Some("old".into()), None));
            program.put_back().expect("puts back");
            assert_eq!(read(program.exe().into()).as_deref(), Some("old"));
        }
        assert_eq!(Program::of_previous(&program.previous()), Some(program.clone()));
        assert_eq!(Program::of_previous(program.exe()), None);
        assert!(!Program::new(tmp.path().join("none/agent")).is_replaceable());
    }
}
