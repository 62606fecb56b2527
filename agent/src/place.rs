//! Places: where on this host a restore may write. A place counts by where it really is, links followed, also for the part that is not
//! there yet; the host's own policy is asked about that and not about what was written in the task.

use crate::space;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Why a place cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It says not exactly where it is.
    #[error("{0:?} is not an absolute path without . and .. in it")]
    Vague(String),
    /// A link or a file is in the way.
    #[error("{0} is in the way: {1}")]
    InTheWay(PathBuf, &'static str),
    /// The system says no.
    #[error("{path} cannot be written to: {source}")]
    NotWritable {
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is the agent's own.
    #[error("{0} is the agent's own folder; what it may do is decided there, so nothing is restored over it")]
    Own(PathBuf),
    /// Somebody else works there.
    #[error("another restore into {0} is going on")]
    Busy(PathBuf),
    /// The path cannot be on this system.
    #[error("{0:?} cannot be a path on this system")]
    NoSuchName(String),
}

/// Checks that a path says exactly where it is.
///
/// # Errors
/// [`Unusable::Vague`].
pub fn exact(path: &str) -> Result<PathBuf, Unusable> {
    let vague = || Unusable::Vague(path.to_owned());
    let written = Path::new(path);
    // `components` passes over `.` in the middle, so the text is looked at.
    let climbs = path.split(std::path::is_separator).any(|part| part == ".." || part == ".");
    let plain = written.components().all(|c| !matches!(c, Component::CurDir | Component::ParentDir));
    if written.is_absolute() && plain && !climbs && !path.contains('\0') {
        Ok(written.to_owned())
    } else {
        Err(vague())
    }
}

/// Where an exact path really is: the links of the part that is there are followed, the rest stays as written.
///
/// # Errors
/// When a link on the way leads nowhere, or a file is where a folder should be.
pub fn real(path: &Path) -> Result<PathBuf, Unusable> {
    for there in path.ancestors() {
        let Ok(found) = there.symlink_metadata() else { continue };
        let rest = path.strip_prefix(there).unwrap_or(Path::new(""));
        let real = there.canonicalize();
        let real = real.map_err(|_| Unusable::InTheWay(there.to_owned(), "it is a link that leads nowhere"))?;
        let passes = rest.as_os_str().is_empty() || real.is_dir();
        return match passes {
            true if rest.as_os_str().is_empty() => Ok(real),
            true => Ok(real.join(rest)),
            false if found.is_symlink() => Err(Unusable::InTheWay(there.to_owned(), "it is a link to a file")),
            false => Err(Unusable::InTheWay(there.to_owned(), "it is a file and not a folder")),
        };
    }
    Ok(path.to_owned())
}

/// Whether a path is in a folder or the folder itself.
#[must_use]
pub fn is_within(path: &Path, folder: &Path) -> bool {
    path.starts_with(folder)
}

/// Where an entry of a snapshot comes to below a folder of this system.
///
/// # Errors
/// When this system knows no such name.
pub fn below(folder: &Path, entry: &str) -> Result<PathBuf, Unusable> {
    let mut place = folder.to_owned();
    for part in entry.split('/').filter(|p| !p.is_empty()) {
        let strange = part == ".." || part == "." || (cfg!(windows) && !is_windows_name(part));
        if strange {
            return Err(Unusable::NoSuchName(entry.to_owned()));
        }
        place.push(part);
    }
    Ok(place)
}

/// A path of a host as its snapshots have it: on Windows `C:\\x` is `/C/x` there.
#[must_use]
pub fn in_snapshot(path: &str) -> String {
    if path.starts_with('/') {
        return path.to_owned();
    }
    let plain = path.replace('\\', "/").replacen(':', "", 1);
    format!("/{}", plain.trim_start_matches('/'))
}

/// Whether Windows can have a file of this name, as snapshots of other systems may hold them.
#[must_use]
pub fn is_windows_name(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_uppercase();
    let numbered = |device: &str| {
        let rest = stem.strip_prefix(device);
        rest.is_some_and(|n| n.len() == 1 && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let device = matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL") || numbered("COM") || numbered("LPT");
    let character = |c: char| c.is_control() || "<>:\"/\\|?*".contains(c);
    !device && !name.ends_with(['.', ' ']) && !name.contains(character)
}

/// Looks for a link on the way from a folder down to a place in it: what is restored through it would land elsewhere.
///
/// # Errors
/// [`Unusable::InTheWay`] names the link.
pub fn no_link_between(folder: &Path, place: &Path) -> Result<(), Unusable> {
    let Ok(way) = place.strip_prefix(folder) else { return Ok(()) };
    let mut at = folder.to_owned();
    let mut parts = way.components().peekable();
    while let Some(part) = parts.next() {
        at.push(part);
        // The last may be one: restic replaces it by what the snapshot has.
        if parts.peek().is_some() && at.symlink_metadata().is_ok_and(|m| m.is_symlink()) {
            return Err(Unusable::InTheWay(at, "it is a link, and what is restored below it would land elsewhere"));
        }
    }
    Ok(())
}

/// Whether the folder, or the deepest one above it that is there, can be written to.
///
/// # Errors
/// [`Unusable::NotWritable`].
pub fn writable(path: &Path) -> Result<(), Unusable> {
    let there = path.ancestors().find(|p| p.exists()).unwrap_or(path);
    may_write(there).map_err(|source| Unusable::NotWritable { path: there.to_owned(), source })
}

#[cfg(unix)]
#[allow(unsafe_code)] // one call of the system with a path that outlives it
fn may_write(path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt as _;
    let path = std::ffi::CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)?;
    // SAFETY: the path is a string that ends with a zero and lives until the call returns.
    if unsafe { libc::access(path.as_ptr(), libc::W_OK) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(not(unix))]
fn may_write(path: &Path) -> io::Result<()> {
    if path.metadata()?.permissions().readonly() { Err(io::ErrorKind::PermissionDenied.into()) } else { Ok(()) }
}

/// Free bytes for this user where the path is or will be; none if the system does not say.
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    let there = path.ancestors().find(|p| p.exists())?;
    space::of(there).map(|space| space.free)
}

/// The places that restores write to now.
#[derive(Clone, Debug, Default)]
pub struct Places(Arc<Mutex<Vec<PathBuf>>>);

/// The right to write to places; it ends when this is dropped.
#[derive(Debug)]
pub struct Claim {
    places: Places,
    mine: Vec<PathBuf>,
}

impl Places {
    /// Takes places, unless one of them, or one around or in it, is taken.
    ///
    /// # Errors
    /// [`Unusable::Busy`].
    pub fn claim(&self, mine: Vec<PathBuf>) -> Result<Claim, Unusable> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let clash = mine.iter().find(|m| taken.iter().any(|t| is_within(m, t) || is_within(t, m)));
        if let Some(clash) = clash {
            return Err(Unusable::Busy(clash.clone()));
        }
        taken.extend(mine.iter().cloned());
        drop(taken);
        Ok(Claim { places: self.clone(), mine })
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut taken = self.places.0.lock().unwrap_or_else(PoisonError::into_inner);
        for place in &self.mine {
            if let Some(at) = taken.iter().position(|t| t == place) {
                taken.swap_remove(at);
            }
        }
    }
}

#[cfg(test)]
#[path = "place_tests.rs"]
mod tests;
