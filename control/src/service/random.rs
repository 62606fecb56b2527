//! Randomness has its home here: tokens at their birth, and the hash that is kept of them.

use restic_manager_shared::secret::Secret;
use sha2::{Digest, Sha256};

/// A token as it is shown once: to be copied, never stored.
#[derive(Clone, Debug)]
pub struct PlainToken(Secret);

/// What is kept of a token. 256 random bits need no slow hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenHash(String);

impl PlainToken {
    /// A new token: the prefix says what it is for (and lets secret scanners find it), 32 random bytes make it.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        use base64::Engine as _;
        let random = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes::<32>());
        Self(Secret::new(format!("{prefix}{random}")))
    }

    /// A token that was made already.
    #[must_use]
    pub fn known(token: impl Into<String>) -> Self {
        Self(Secret::new(token))
    }

    /// The token, for the one time it is shown.
    #[must_use]
    pub fn reveal(&self) -> &str {
        self.0.reveal()
    }

    /// What is kept of it.
    #[must_use]
    pub fn hash(&self) -> TokenHash {
        TokenHash::of(self.0.reveal())
    }
}

impl TokenHash {
    /// The hash of a token that somebody presents.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(hex(&Sha256::digest(token.as_bytes())))
    }

    /// Hex.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Random bytes from the operating system's generator.
#[must_use]
#[allow(clippy::disallowed_methods)] // the one home of randomness
pub fn bytes<const N: usize>() -> [u8; N]
where
    rand::distr::StandardUniform: rand::distr::Distribution<[u8; N]>,
{
    rand::random()
}

/// A random number below `bound`, to spread things out.
#[must_use]
pub fn below(bound: u32) -> u32 {
    if bound == 0 { 0 } else { u32::from_be_bytes(bytes::<4>()) % bound }
}
