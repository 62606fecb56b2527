//! Sealing: secrets that only one agent can open, whoever carries them. HPKE (RFC 9180) with X25519, HKDF-SHA256 and
//! ChaCha20-Poly1305. Sealing alone does not say who sealed, so the control plane signs each envelope with the key that the agent
//! pinned when it enrolled.

use crate::id::HostId;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use hpke::{
    Deserializable, OpModeR, OpModeS, Serializable, aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256,
};
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const INFO: &[u8] = b"restic-manager seal v1";
const FORMAT: u8 = 1;
const ENCAPPED: usize = 32;

/// Why an envelope could not be made or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// A key is not 32 bytes of the right kind.
    #[error("the sealing key is not valid")]
    BadKey,
    /// The envelope was not signed by the control plane that this agent enrolled with.
    #[error("the sealed value is not signed by this control plane")]
    BadSignature,
    /// The envelope is cut, altered, or meant for somebody else.
    #[error("the sealed value cannot be opened with this host's key")]
    CannotOpen,
}

/// A secret that one host can open, signed by the control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Sealed {
    /// Base64 of format byte, encapsulated key (32 bytes), ciphertext with tag.
    pub blob: String,
    /// Base64 of the control plane's Ed25519 signature over purpose and blob.
    pub signature: String,
}

/// The agent's key pair for sealing, as raw bytes: (private, public).
#[must_use]
pub fn generate() -> (Zeroizing<Vec<u8>>, Vec<u8>) {
    let (private, public) = <X25519HkdfSha256 as hpke::Kem>::gen_keypair();
    (Zeroizing::new(private.to_bytes().to_vec()), public.to_bytes().to_vec())
}

/// What binds an envelope to one host and one use: an envelope moved elsewhere does not open.
fn purpose(host: HostId, name: &str) -> Vec<u8> {
    format!("{host}\n{name}").into_bytes()
}

fn signed_bytes(purpose: &[u8], blob: &[u8]) -> Vec<u8> {
    [INFO, b"\n", purpose, b"\n", blob].concat()
}

/// Seals `plain` to the host's public sealing key, for the named use (such as `repository/<id>`).
///
/// # Errors
/// [`SealError::BadKey`] if the public key is not a usable X25519 key.
pub fn seal(
    signer: &Ed25519KeyPair,
    public: &[u8],
    host: HostId,
    name: &str,
    plain: &[u8],
) -> Result<Sealed, SealError> {
    let aad = purpose(host, name);
    let key = <X25519HkdfSha256 as hpke::Kem>::PublicKey::from_bytes(public).map_err(|_| SealError::BadKey)?;
    let (encapped, text) = hpke::single_shot_seal::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &key,
        INFO,
        plain,
        &aad,
    )
    .map_err(|_| SealError::BadKey)?;
    let blob = [&[FORMAT][..], &encapped.to_bytes(), &text].concat();
    let signature = signer.sign(&signed_bytes(&aad, &blob));
    Ok(Sealed { blob: B64.encode(blob), signature: B64.encode(signature) })
}

/// Opens an envelope that was sealed to this host for this use by the pinned control plane.
///
/// # Errors
/// [`SealError::BadSignature`] if another key signed it, [`SealError::CannotOpen`] if it is not for this host, use or key.
pub fn open(
    control_key: &[u8],
    private: &[u8],
    host: HostId,
    name: &str,
    sealed: &Sealed,
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let aad = purpose(host, name);
    let blob = B64.decode(&sealed.blob).map_err(|_| SealError::CannotOpen)?;
    let signature = B64.decode(&sealed.signature).map_err(|_| SealError::BadSignature)?;
    UnparsedPublicKey::new(&ED25519, control_key)
        .verify(&signed_bytes(&aad, &blob), &signature)
        .map_err(|_| SealError::BadSignature)?;
    let (Some(&FORMAT), Some(encapped), Some(text)) = (blob.first(), blob.get(1..=ENCAPPED), blob.get(ENCAPPED + 1..))
    else {
        return Err(SealError::CannotOpen);
    };
    let key = <X25519HkdfSha256 as hpke::Kem>::PrivateKey::from_bytes(private).map_err(|_| SealError::BadKey)?;
    let encapped =
        <X25519HkdfSha256 as hpke::Kem>::EncappedKey::from_bytes(encapped).map_err(|_| SealError::CannotOpen)?;
    hpke::single_shot_open::<ChaCha20Poly1305, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &key,
        &encapped,
        INFO,
        text,
        &aad,
    )
    .map(Zeroizing::new)
    .map_err(|_| SealError::CannotOpen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jwt::generate_signing_key;
    use ring::signature::KeyPair as _;

    fn signer() -> Ed25519KeyPair {
        Ed25519KeyPair::from_pkcs8(&generate_signing_key().expect("key")).expect("pkcs8")
    }

    #[test]
    fn only_the_addressee_opens_it_and_only_for_its_use() {
        let control = signer();
        let pin = control.public_key().as_ref().to_vec();
        let (private, public) = generate();
        let (host, other) = (HostId::new(), HostId::new());
        let sealed = seal(&control, &public, host, "repository/a", b"secret").expect("seals");
        assert_eq!(open(&pin, &private, host, "repository/a", &sealed).expect("opens").as_slice(), b"secret");

        let (stranger, _) = generate();
        assert_eq!(open(&pin, &stranger, host, "repository/a", &sealed), Err(SealError::CannotOpen));
        assert_eq!(open(&pin, &private, other, "repository/a", &sealed), Err(SealError::BadSignature));
        assert_eq!(open(&pin, &private, host, "repository/b", &sealed), Err(SealError::BadSignature));
        let impostor = signer().public_key().as_ref().to_vec();
        assert_eq!(open(&impostor, &private, host, "repository/a", &sealed), Err(SealError::BadSignature));
        let cut = Sealed { blob: sealed.blob[..20].into(), ..sealed };
        assert!(open(&pin, &private, host, "repository/a", &cut).is_err());
        assert_eq!(seal(&control, &[0; 32], host, "x", b"").err(), Some(SealError::BadKey));
    }
}
