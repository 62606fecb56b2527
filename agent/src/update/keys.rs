//! The keys that releases are checked with: `update.keys` in the state folder, one on each line. Given when the host enrols, or written by
//! the host's own people; nothing that comes from the control plane changes it.

use crate::state_dir::{StateDir, StateError};
use restic_manager_shared::release::ReleaseKey;
use std::fmt::Write as _;

const FILE: &str = "update.keys";

/// The pinned keys; none if there is no file.
///
/// # Errors
/// When the file cannot be read or holds something else.
pub fn pinned(dir: &StateDir) -> Result<Vec<ReleaseKey>, StateError> {
    let Some(bytes) = dir.read(FILE)? else { return Ok(Vec::new()) };
    let corrupt = |reason: String| StateError::Corrupt { path: dir.file(FILE), reason };
    let text = String::from_utf8(bytes).map_err(|_| corrupt("it is not UTF-8".into()))?;
    ReleaseKey::read_all(&text).map_err(|e| corrupt(e.to_string()))
}

/// Pins these keys and no others.
///
/// # Errors
/// When the disk refuses.
pub fn pin(dir: &StateDir, keys: &[ReleaseKey]) -> Result<(), StateError> {
    let mut text =
        String::from("# Keys that sign releases of the agent. Without one, the agent never replaces itself.\n");
    for key in keys {
        let _ = writeln!(text, "{key}");
    }
    dir.replace(FILE, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::release::SigningKey;

    #[test]
    fn keys_are_kept_and_a_damaged_file_pins_nothing() {
        let tmp = tempfile::tempdir().expect("dir");
        let dir = StateDir::open(tmp.path()).expect("opens");
        assert_eq!(pinned(&dir).expect("no file"), []);
        let key = SigningKey::generate().and_then(|k| k.public()).expect("key");
        pin(&dir, &[key]).expect("writes");
        assert_eq!(pinned(&dir).expect("reads"), [key]);
        dir.replace(FILE, b"rmk1:short\n").expect("writes");
        assert!(pinned(&dir).is_err());
    }
}
