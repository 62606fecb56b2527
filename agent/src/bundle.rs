//! One file of certificate authorities for restic: the system's and the settings' own. restic trusts either what the system trusts or
//! what a file holds, never both.

use crate::state_dir::{StateDir, StateError};
use std::path::{Path, PathBuf};

const FILE: &str = "ca-bundle.pem";
/// Where systems keep theirs.
const SYSTEM: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Writes the file and says where it is.
///
/// # Errors
/// When `own` cannot be read, or the disk refuses.
pub fn with_system(dir: &StateDir, own: &Path) -> Result<PathBuf, StateError> {
    let mut pem = std::fs::read(own).map_err(|source| StateError::Io { act: "read", path: own.to_owned(), source })?;
    if let Some(system) = SYSTEM.iter().find_map(|path| std::fs::read(path).ok()) {
        pem.push(b'\n');
        pem.extend(system);
    }
    dir.replace(FILE, &pem)?;
    Ok(dir.file(FILE))
}
