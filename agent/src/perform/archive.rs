//! An archive of a folder of a snapshot, as a file on the host. It has its name only when it is whole, and never replaces a file.

use super::{Repository, Work, worked};
use crate::place::{self, Claim, Unusable};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::judge::Verdict;
use crate::tree::Tree;
use crate::tree::cache::Key;
use restic_manager_shared::id::JobId;
use restic_manager_shared::wire::job::CauseCode;
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::restore::ArchiveFormat;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) snapshot: &'a str,
    pub(super) path: &'a str,
    pub(super) format: ArchiveFormat,
    pub(super) target: &'a str,
}

/// A file that is not whole yet; it goes unless it is kept.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.0.display(), error = %e, "cannot remove an unfinished archive");
            }
            Ok(()) | Err(_) => {}
        }
    }
}

impl Work<'_> {
    pub(super) async fn archive(&self, r: &Repository, wanted: &Wanted<'_>) -> Done {
        match self.place_of_archive(r, wanted) {
            Ok((target, unfinished, _claim)) => self.write_archive(r, wanted, &target, unfinished).await,
            Err(verdict) => self.failed(verdict),
        }
    }

    fn place_of_archive(&self, r: &Repository, wanted: &Wanted<'_>) -> Result<(PathBuf, Unfinished, Claim), Verdict> {
        let written = place::exact(wanted.target)?;
        let (Some(folder), Some(name)) = (written.parent(), written.file_name()) else {
            return Err(Unusable::Vague(wanted.target.to_owned()).into());
        };
        let folder = place::real(folder)?;
        let target = folder.join(name);
        self.policy.allow_place(&target).map_err(|e| Verdict::failed(CauseCode::PolicyForbids, e.to_string()))?;
        let own = self.agent.dir.root().canonicalize().unwrap_or_else(|_| self.agent.dir.root().to_owned());
        if place::is_within(&target, &own) {
            return Err(Unusable::Own(own).into());
        }
        if !folder.is_dir() {
            return Err(Unusable::InTheWay(folder, "there is no such folder").into());
        }
        if target.symlink_metadata().is_ok() {
            return Err(Unusable::InTheWay(target, "it is there already, and an archive replaces nothing").into());
        }
        self.has_room(r, wanted, &folder)?;
        let claim = self.agent.places.claim(vec![target.clone()])?;
        let unfinished = begin(&folder, name, self.offer.id)?;
        Ok((target, unfinished, claim))
    }

    /// Where the index of the snapshot is there it says how much will come.
    fn has_room(&self, r: &Repository, wanted: &Wanted<'_>, folder: &Path) -> Result<(), Verdict> {
        let key = Key::tree(r.spec.id, wanted.snapshot);
        let node = self.agent.trees.get::<Tree>(&key).and_then(|tree| tree.entry(wanted.path).ok().flatten());
        match (node.and_then(|n| n.size), place::free_bytes(folder)) {
            (Some(size), Some(free)) if wanted.format == ArchiveFormat::Tar && size > free => {
                let message = format!("the archive needs {size} bytes, and {} has {free} free", folder.display());
                Err(Verdict::failed(CauseCode::TargetFull, message))
            }
            (Some(_) | None, _) => Ok(()),
        }
    }

    async fn write_archive(&self, r: &Repository, wanted: &Wanted<'_>, target: &Path, unfinished: Unfinished) -> Done {
        let operation = Operation::Dump { snapshot: wanted.snapshot, path: wanted.path, format: wanted.format };
        let run = match self.run_to_file(r, operation, &unfinished.0).await {
            Ok(run) => run,
            Err(verdict) => return self.failed(verdict),
        };
        let mut done = self.done(&run);
        if !worked(&done) {
            let words = run.transcript.all_words() + &run.transcript.last_words();
            if words.contains("not found in snapshot") {
                let message = format!("{:?} is not in the snapshot", wanted.path);
                done.verdict = Verdict::failed(CauseCode::PathMissing, message);
            } else if words.contains("no space left") {
                done.verdict =
                    Verdict::failed(CauseCode::TargetFull, "there was not enough room; the archive was removed");
            }
            return done;
        }
        match name(&unfinished.0, target) {
            Ok(bytes) => done.outcome = Some(Outcome::Archive { path: target.display().to_string(), bytes }),
            Err(source) => {
                done.verdict = Unusable::NotWritable { path: target.to_owned(), source }.into();
            }
        }
        done
    }
}

fn begin(folder: &Path, name: &std::ffi::OsStr, job: JobId) -> Result<Unfinished, Verdict> {
    let path =
        folder.join(format!(".{}.{job}.unfinished", name.to_string_lossy().chars().take(100).collect::<String>()));
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(&path) {
        Ok(_) => Ok(Unfinished(path)),
        Err(source) => Err(Unusable::NotWritable { path: folder.to_owned(), source }.into()),
    }
}

/// Gives a whole file its name, unless that is taken meanwhile; and how many bytes it has.
fn name(unfinished: &Path, target: &Path) -> io::Result<u64> {
    fs::File::open(unfinished)?.sync_all()?;
    match fs::hard_link(unfinished, target) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Err(e),
        // Some file systems have no links.
        Err(_) if target.symlink_metadata().is_err() => fs::rename(unfinished, target)?,
        Err(e) => return Err(e),
    }
    Ok(target.metadata()?.len())
}
