//! Who this control plane is: an id that agents address, and an Ed25519 key that signs what is sealed to them. Made on first start.

use super::ActError;
use super::vault::{Vault, VaultError};
use crate::store::{Conn, settings};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use restic_manager_shared::id::ControlId;
use restic_manager_shared::jwt::generate_signing_key;
use ring::signature::{Ed25519KeyPair, KeyPair};

pub(super) const ID: &str = "control_id";
const KEY: &str = "control_key";
const PLACE: (&str, &str, &str) = ("settings", "value", KEY);

/// The control plane's identity.
pub struct Identity {
    /// What agents address their tokens to.
    pub id: ControlId,
    /// Signs what is sealed.
    pub key: Ed25519KeyPair,
}

impl Identity {
    /// The public key that agents pin, in base64.
    #[must_use]
    pub fn public_key(&self) -> String {
        B64.encode(self.key.public_key().as_ref())
    }
}

/// Whether nothing was encrypted in this database yet.
///
/// # Errors
/// When the database fails.
pub fn is_fresh(conn: &mut Conn) -> Result<bool, ActError> {
    Ok(settings::get(conn, KEY)?.is_none())
}

/// Loads the identity, or makes it on first start.
///
/// # Errors
/// [`VaultError::CannotOpen`] if the master key is not the one that the database was made with.
pub fn load(conn: &mut Conn, vault: &Vault) -> Result<Result<Identity, VaultError>, ActError> {
    let broken = ActError::Internal("the control plane's own key is damaged");
    let (Some(id), Some(sealed)) = (settings::get(conn, ID)?, settings::get(conn, KEY)?) else {
        let private = generate_signing_key().map_err(|_| ActError::Internal("no randomness"))?;
        let key = Ed25519KeyPair::from_pkcs8(&private).map_err(|_| broken)?;
        let id = ControlId::new();
        let sealed = match vault.seal(PLACE, &B64.encode(&*private)) {
            Ok(sealed) => sealed,
            Err(error) => return Ok(Err(error)),
        };
        settings::set(conn, ID, &id.to_string())?;
        settings::set(conn, KEY, &sealed)?;
        return Ok(Ok(Identity { id, key }));
    };
    let private = match vault.open_sealed(PLACE, &sealed) {
        Ok(private) => private,
        Err(error) => return Ok(Err(error)),
    };
    let parsed = B64.decode(private.reveal()).ok().and_then(|raw| Ed25519KeyPair::from_pkcs8(&raw).ok());
    match (id.parse(), parsed) {
        (Ok(id), Some(key)) => Ok(Ok(Identity { id, key })),
        _ => Err(broken),
    }
}
