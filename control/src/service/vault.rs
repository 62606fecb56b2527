//! Encryption at rest: secrets in the database are XChaCha20-Poly1305 under a master key that lies in a file beside it, never in it.
//! Each value is bound to its table, column and row: one that is moved does not open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};
use restic_manager_shared::secret::Secret;
use std::io::{ErrorKind, Write};
use std::path::Path;
use zeroize::Zeroizing;

const NONCE: usize = 24;

/// Why a secret cannot be opened, or the key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key file is missing though the database has secrets.
    #[error(
        "the master key file {0} is missing, but the database holds secrets encrypted with it. Put the file back from your \
         backup of the data folder. Without it the stored repository passwords cannot be read: restore an older copy of both \
         the database and the key file, or start with an empty data folder and add repositories and hosts again"
    )]
    Missing(String),
    /// The key file does not hold a key.
    #[error("the master key file {0} does not hold a key (base64 of 32 bytes): put the right file back")]
    Malformed(String),
    /// The key file cannot be read or written.
    #[error("the master key file {path} cannot be used: {error}")]
    Io {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The value does not open.
    #[error("a secret in the database does not open: the master key is another one, or the value was moved or altered")]
    CannotOpen,
}

/// The master key.
pub struct Vault {
    key: Zeroizing<[u8; 32]>,
}

impl Vault {
    /// Reads the key file; makes one if there is none and `fresh` says that nothing was encrypted yet.
    ///
    /// # Errors
    /// [`VaultError`] says what to do.
    pub fn open(path: &Path, fresh: bool) -> Result<Self, VaultError> {
        let name = path.display().to_string();
        match std::fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => {
                let raw =
                    B64.decode(text.trim()).map(Zeroizing::new).map_err(|_| VaultError::Malformed(name.clone()))?;
                let key = raw.as_slice().try_into().map_err(|_| VaultError::Malformed(name))?;
                Ok(Self { key: Zeroizing::new(key) })
            }
            Err(e) if e.kind() == ErrorKind::NotFound && fresh => {
                let key = super::random::bytes::<32>();
                write_private(path, B64.encode(key).as_bytes())
                    .map_err(|error| VaultError::Io { path: name, error })?;
                Ok(Self { key: Zeroizing::new(key) })
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Err(VaultError::Missing(name)),
            Err(error) => Err(VaultError::Io { path: name, error }),
        }
    }

    fn bound(place: (&str, &str, &str)) -> Vec<u8> {
        let mut aad = b"restic-manager at rest v1".to_vec();
        for part in [place.0, place.1, place.2] {
            aad.extend((part.len() as u64).to_be_bytes());
            aad.extend(part.as_bytes());
        }
        aad
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new((&*self.key).into())
    }

    /// Encrypts a text for one place: (table, column, row).
    ///
    /// # Errors
    /// Only for texts of many gigabytes.
    pub fn seal(&self, place: (&str, &str, &str), plain: &str) -> Result<String, VaultError> {
        let nonce = super::random::bytes::<24>();
        let payload = Payload { msg: plain.as_bytes(), aad: &Self::bound(place) };
        let text = self.cipher().encrypt(&XNonce::from(nonce), payload).map_err(|_| VaultError::CannotOpen)?;
        Ok(format!("v1.{}", B64.encode([&nonce[..], &text].concat())))
    }

    /// Decrypts what was encrypted for this place.
    ///
    /// # Errors
    /// [`VaultError::CannotOpen`] with another key, or from another place.
    pub fn open_sealed(&self, place: (&str, &str, &str), sealed: &str) -> Result<Secret, VaultError> {
        let raw = sealed.strip_prefix("v1.").and_then(|b| B64.decode(b).ok()).ok_or(VaultError::CannotOpen)?;
        let (nonce, text) = raw.split_at_checked(NONCE).ok_or(VaultError::CannotOpen)?;
        let nonce = XNonce::try_from(nonce).map_err(|_| VaultError::CannotOpen)?;
        let payload = Payload { msg: text, aad: &Self::bound(place) };
        let plain = self.cipher().decrypt(&nonce, payload).map_err(|_| VaultError::CannotOpen)?;
        String::from_utf8(plain).map(Secret::new).map_err(|_| VaultError::CannotOpen)
    }
}

pub(super) fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_in_its_place_with_its_key_only() {
        let dir = tempfile::tempdir().expect("dir");
        let vault = Vault::open(&dir.path().join("a"), true).expect("makes a key");
        let other = Vault::open(&dir.path().join("b"), true).expect("makes a key");
        let place = ("repositories", "password", "1");
        let sealed = vault.seal(place, "secret").expect("seals");
        let again = Vault::open(&dir.path().join("a"), false).expect("reads the key");
        assert_eq!(again.open_sealed(place, &sealed).expect("opens").reveal(), "secret");
        assert!(other.open_sealed(place, &sealed).is_err());
        assert!(vault.open_sealed(("repositories", "password", "2"), &sealed).is_err());
        assert!(vault.open_sealed(place, "v1.AAAA").is_err());
        assert!(!sealed.contains("secret"));
    }

    #[test]
    fn a_missing_key_is_not_replaced_when_there_are_secrets() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("master.key");
        assert!(matches!(Vault::open(&path, false), Err(VaultError::Missing(_))));
        assert!(!path.exists());
        std::fs::write(&path, "short").expect("writes");
        assert!(matches!(Vault::open(&path, true), Err(VaultError::Malformed(_))));
    }
}
