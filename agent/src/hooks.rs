//! Hooks: programs of this host whose output can be backed up. They lie in a folder of the host's own and are named, never sent: the
//! control plane can choose one and can bring none. Only what nobody but root and the agent's user could have written counts.

use crate::policy::Policy;
use crate::state_dir::StateDir;
use std::fs::Metadata;
use std::path::{Path, PathBuf};

/// The folder in the state folder.
const FOLDER: &str = "hooks";
/// More names than this are not told.
const MOST: usize = 200;

/// A hook cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoHook {
    /// There is no such file.
    #[error("this host has no hook \"{0}\"")]
    Missing(String),
    /// Others could have written it, or it cannot be run.
    #[error("the hook \"{name}\" is not used: {reason}")]
    Unfit {
        /// Which.
        name: String,
        /// Why.
        reason: &'static str,
    },
}

/// Where the hooks lie.
#[must_use]
pub fn folder(dir: &StateDir, policy: &Policy) -> PathBuf {
    policy.hooks_dir.clone().unwrap_or_else(|| dir.file(FOLDER))
}

/// The names of the hooks that can be used now.
#[must_use]
pub fn names(dir: &StateDir) -> Vec<String> {
    let Ok(policy) = Policy::load(dir) else { return Vec::new() };
    let folder = folder(dir, &policy);
    let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|e| e.file_name().into_string().ok()).filter(|name| find(&folder, name).is_ok()).collect();
    names.sort();
    names.truncate(MOST);
    names
}

/// The program of a name.
///
/// # Errors
/// [`NoHook`] if there is none that can be used.
pub fn find(folder: &Path, name: &str) -> Result<PathBuf, NoHook> {
    let plain = |c: char| c.is_alphanumeric() || "._-".contains(c);
    if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
        return Err(NoHook::Missing(name.to_owned()));
    }
    let unfit = |reason| NoHook::Unfit { name: name.to_owned(), reason };
    let path = folder.join(name);
    // Not through a link: what it points to may be anybody's.
    let file = path.symlink_metadata().map_err(|_| NoHook::Missing(name.to_owned()))?;
    let around = folder.metadata().map_err(|_| NoHook::Missing(name.to_owned()))?;
    if !file.is_file() {
        return Err(unfit("it is not a file"));
    }
    if !is_program(&path, &file) {
        return Err(unfit("it is not executable"));
    }
    if !is_ours(&file) {
        return Err(unfit("others than root and the agent's user may write it"));
    }
    if !is_ours(&around) {
        return Err(unfit("others than root and the agent's user may write its folder"));
    }
    Ok(path)
}

#[cfg(unix)]
fn is_program(_path: &Path, file: &Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_program(path: &Path, _file: &Metadata) -> bool {
    let kind = path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase);
    matches!(kind.as_deref(), Some("exe" | "cmd" | "bat"))
}

#[cfg(unix)]
#[allow(unsafe_code)]
fn is_ours(file: &Metadata) -> bool {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    // SAFETY: takes nothing and cannot fail.
    let me = unsafe { libc::geteuid() };
    (file.uid() == 0 || file.uid() == me) && file.permissions().mode() & 0o022 == 0
}

/// On Windows the state folder's own access list, which the installer sets, is what keeps others out.
#[cfg(not(unix))]
fn is_ours(_file: &Metadata) -> bool {
    true
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn only_programs_that_nobody_else_could_write_are_hooks() {
        let tmp = tempfile::tempdir().expect("dir");
        let dir = StateDir::open(tmp.path()).expect("opens");
        assert_eq!(names(&dir), [""; 0]);
        let hooks = dir.file(FOLDER);
        std::fs::create_dir(&hooks).expect("makes");
        for (name, mode) in
            [("good", 0o700), ("also.good-1", 0o755), ("open", 0o777), ("data", 0o600), (".hidden", 0o700)]
        {
            std::fs::write(hooks.join(name), "#!/bin/sh\n").expect("writes");
            std::fs::set_permissions(hooks.join(name), std::fs::Permissions::from_mode(mode)).expect("sets");
        }
        std::fs::create_dir(hooks.join("folder")).expect("makes");
        std::os::unix::fs::symlink("/bin/sh", hooks.join("link")).expect("links");
        assert_eq!(names(&dir), ["also.good-1", "good"]);
        for name in ["../good", "/bin/sh", "", "none", "a b", "link", "open", "data"] {
            assert!(find(&hooks, name).is_err(), "{name}");
        }
        std::fs::set_permissions(&hooks, std::fs::Permissions::from_mode(0o777)).expect("sets");
        assert_eq!(names(&dir), [""; 0], "a folder that anybody may write holds nobody's hooks");
    }
}
