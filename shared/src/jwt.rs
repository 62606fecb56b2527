//! The agent's identity on each request: a short-lived JWT that the agent signs with its own Ed25519 key. The server holds public
//! keys only. Signing runs on `ring`; no other algorithm exists in this build, so none can be chosen by a header.

use crate::id::{ControlId, HostId};
use crate::time::Timestamp;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode,
};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use signature::{Signer, Verifier};
use std::time::Duration;
use zeroize::Zeroizing;

/// The longest life a token may claim, in seconds.
pub const MAX_LIFE: u64 = 300;
/// How far the two clocks may be apart, in seconds.
pub const LEEWAY: u64 = 60;
const TYPE: &str = "agent+jwt";

struct EdSign(Ed25519KeyPair);
impl Signer<Vec<u8>> for EdSign {
    fn try_sign(&self, message: &[u8]) -> Result<Vec<u8>, signature::Error> {
        Ok(self.0.sign(message).as_ref().to_vec())
    }
}
impl JwtSigner for EdSign {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

struct EdVerify([u8; 32]);
impl Verifier<Vec<u8>> for EdVerify {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        UnparsedPublicKey::new(&ED25519, self.0).verify(message, signature).map_err(|_| signature::Error::new())
    }
}
impl JwtVerifier for EdVerify {
    fn algorithm(&self) -> Algorithm {
        Algorithm::EdDSA
    }
}

fn signer(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    if *algorithm != Algorithm::EdDSA || key.family() != AlgorithmFamily::Ed {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes()).map_err(|_| ErrorKind::InvalidEddsaKey)?;
    Ok(Box::new(EdSign(pair)))
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    if *algorithm != Algorithm::EdDSA || key.family() != AlgorithmFamily::Ed {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    let raw = key.try_get_as_bytes()?.try_into().map_err(|_| ErrorKind::InvalidEddsaKey)?;
    Ok(Box::new(EdVerify(raw)))
}

static PROVIDER: CryptoProvider =
    CryptoProvider { signer_factory: signer, verifier_factory: verifier, key_utils: KeyUtils::new_unimplemented() };

/// Makes `ring` the only provider of this process. Called on each use, so that no caller can forget it.
fn install_provider() {
    let _ = CryptoProvider::install_default(&PROVIDER);
}

/// No randomness could be had from the system.
#[derive(Debug, thiserror::Error)]
#[error("the system gave no randomness for a key")]
pub struct NoRandomness;

/// A new Ed25519 private key, as PKCS#8.
///
/// # Errors
/// [`NoRandomness`] if the operating system refuses.
pub fn generate_signing_key() -> Result<Zeroizing<Vec<u8>>, NoRandomness> {
    Ed25519KeyPair::generate_pkcs8(&SystemRandom::new())
        .map(|doc| Zeroizing::new(doc.as_ref().to_vec()))
        .map_err(|_| NoRandomness)
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    iat: u64,
    exp: u64,
}

/// Signs a token that says "I am this host, speaking to this control plane", good for [`MAX_LIFE`] seconds from `now`.
///
/// # Errors
/// When the key is not PKCS#8 of an Ed25519 key.
pub fn sign(pkcs8: &[u8], host: HostId, control: ControlId, now: Timestamp) -> Result<String, Error> {
    install_provider();
    let iat = u64::try_from(now.seconds()).unwrap_or(0);
    let mut header = Header::new(Algorithm::EdDSA);
    header.typ = Some(TYPE.into());
    header.kid = Some(host.to_string());
    let claims = Claims { iss: host.to_string(), aud: control.to_string(), iat, exp: iat + MAX_LIFE };
    encode(&header, &claims, &EncodingKey::from_ed_der(pkcs8))
}

/// Why a token is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not a token, or not one of ours: wrong signature, audience, algorithm or shape.
    #[error("the token is not valid")]
    Invalid,
    /// The agent's clock differs from ours by more than [`LEEWAY`].
    #[error("the clocks differ")]
    ClockSkew,
    /// It claims to live longer than [`MAX_LIFE`].
    #[error("the token lives too long")]
    TooLong,
}

/// Which host a token claims to be from. Proves nothing: it only picks the key to check with.
#[must_use]
pub fn claimed_host(token: &str) -> Option<HostId> {
    let header = decode_header(token).ok()?;
    (header.typ.as_deref() == Some(TYPE)).then_some(header.kid?)?.parse().ok()
}

/// Checks a token with the host's public key. Answers how long it may be trusted without another check.
///
/// # Errors
/// [`Refused`] says whether it is wrong or only out of time.
pub fn verify(
    token: &str,
    public: &[u8],
    host: HostId,
    control: ControlId,
    now: Timestamp,
) -> Result<Duration, Refused> {
    install_provider();
    if public.len() != 32 {
        return Err(Refused::Invalid);
    }
    let mut rules = Validation::new(Algorithm::EdDSA);
    // Times are judged below against the caller's clock, to tell a wrong clock from a wrong token.
    rules.validate_exp = false;
    rules.set_audience(&[control.to_string()]);
    rules.set_issuer(&[host.to_string()]);
    rules.set_required_spec_claims(&["exp", "aud", "iss"]);
    let claims =
        decode::<Claims>(token, &DecodingKey::from_ed_der(public), &rules).map_err(|_| Refused::Invalid)?.claims;
    let now = u64::try_from(now.seconds()).unwrap_or(0);
    if claims.exp.saturating_sub(claims.iat) > MAX_LIFE {
        return Err(Refused::TooLong);
    }
    if claims.iat > now + LEEWAY || claims.exp + LEEWAY < now {
        return Err(Refused::ClockSkew);
    }
    Ok(Duration::from_secs((claims.exp + LEEWAY).saturating_sub(now)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::KeyPair as _;

    fn pair() -> (Zeroizing<Vec<u8>>, Vec<u8>) {
        let private = generate_signing_key().expect("key");
        let public = Ed25519KeyPair::from_pkcs8(&private).expect("pkcs8").public_key().as_ref().to_vec();
        (private, public)
    }

    #[test]
    fn a_token_speaks_for_one_host_to_one_control_plane_for_minutes() {
        let (private, public) = pair();
        let (host, control, now) = (HostId::new(), ControlId::new(), Timestamp::from_seconds(1_800_000_000));
        let token = sign(&private, host, control, now).expect("signs");
        assert_eq!(claimed_host(&token), Some(host));
        let check = |at: i64| verify(&token, &public, host, control, Timestamp::from_seconds(1_800_000_000 + at));
        assert_eq!(check(0), Ok(Duration::from_secs(MAX_LIFE + LEEWAY)));
        assert_eq!(check(-30), Ok(Duration::from_secs(MAX_LIFE + LEEWAY + 30)));
        assert_eq!(check(3600), Err(Refused::ClockSkew));
        assert_eq!(check(-3600), Err(Refused::ClockSkew));
        assert_eq!(verify(&token, &pair().1, host, control, now), Err(Refused::Invalid));
        assert_eq!(verify(&token, &public, HostId::new(), control, now), Err(Refused::Invalid));
        assert_eq!(verify(&token, &public, host, ControlId::new(), now), Err(Refused::Invalid));
        assert_eq!(verify(&token, &public[..31], host, control, now), Err(Refused::Invalid));
        assert_eq!(verify("a.b.c", &public, host, control, now), Err(Refused::Invalid));
    }

    #[test]
    fn a_token_that_claims_a_long_life_is_refused() {
        install_provider();
        let (private, public) = pair();
        let (host, control) = (HostId::new(), ControlId::new());
        let claims = Claims { iss: host.to_string(), aud: control.to_string(), iat: 100, exp: 100 + MAX_LIFE + 1 };
        let token =
            encode(&Header::new(Algorithm::EdDSA), &claims, &EncodingKey::from_ed_der(&private)).expect("signs");
        assert_eq!(verify(&token, &public, host, control, Timestamp::from_seconds(100)), Err(Refused::TooLong));
    }
}
