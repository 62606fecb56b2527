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
    add(&mut pem, system());
    dir.replace(FILE, &pem)?;
    Ok(dir.file(FILE))
}

/// One repository's authorities together with those of the settings, or else of the system.
#[must_use]
pub fn with_own(own: &str, settings: Option<&Path>) -> Vec<u8> {
    let mut pem = own.as_bytes().to_vec();
    add(&mut pem, settings.and_then(|path| std::fs::read(path).ok()).or_else(system));
    pem
}

fn system() -> Option<Vec<u8>> {
    SYSTEM.iter().find_map(|path| std::fs::read(path).ok())
}

fn add(pem: &mut Vec<u8>, more: Option<Vec<u8>>) {
    if let Some(more) = more {
        pem.push(b'\n');
        pem.extend(more);
    }
}
