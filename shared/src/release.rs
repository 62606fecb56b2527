//! Releases of the agent: what a signed manifest says, how it is signed and checked, and the stamp by which a binary tells version and
//! platform without being run. The private key is never on a server; this file does not say who keeps it.

use crate::time::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// The largest binary that is taken, in bytes.
pub const MAX_SIZE: u64 = 200 * 1024 * 1024;
/// The longest version and target.
pub const MAX_NAME: usize = 31;
const PURPOSE: &[u8] = b"restic-manager agent release v1\n";
const KEY_MARK: &str = "rmk1:";

/// Why a release is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRelease {
    /// A key is not an Ed25519 key in our spelling.
    #[error("the release key is not valid; it looks like rmk1:... and is made by restic-manager release keygen")]
    BadKey,
    /// It was signed by a key that is not pinned.
    #[error("it is signed by the key {0}, which is not among the pinned ones")]
    UnknownKey(String),
    /// The signature does not match.
    #[error("its signature does not match")]
    BadSignature,
    /// The manifest does not read.
    #[error("its manifest cannot be read: {0}")]
    BadManifest(String),
    /// The file is not the one that was signed.
    #[error("the file is not the one that was signed: {0}")]
    OtherFile(String),
    /// The file holds no stamp, so it is no agent.
    #[error("the file is no restic-manager-agent: it holds no stamp with version and platform")]
    NoStamp,
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Manifest {
    /// The agent's version, such as `0.2.0`.
    pub version: String,
    /// Where it runs, such as `linux-x86_64`.
    pub target: String,
    /// SHA-256 of the binary, hex.
    pub sha256: String,
    /// Its size in bytes.
    pub size: u64,
    /// The minor version of the agent protocol that it speaks; a server that does not know it yet does not take the release.
    pub protocol: u16,
    /// Whether hosts with a newer version may be taken back to it.
    #[serde(default)]
    pub rollback: bool,
    /// When it was signed.
    pub published_at: Timestamp,
}

impl Manifest {
    fn check(self) -> Result<Self, BadRelease> {
        let bad = |text: &str| Err(BadRelease::BadManifest(text.to_owned()));
        if !is_version(&self.version) {
            return bad("the version is not like 1.2.3");
        }
        if !is_target(&self.target) {
            return bad("the target is not like linux-x86_64");
        }
        if self.sha256.len() != 64 || !self.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return bad("the SHA-256 is not 64 hex digits");
        }
        if !(1..=MAX_SIZE).contains(&self.size) {
            return bad("the size is not 1 byte to 200 MiB");
        }
        Ok(self)
    }

    /// Whether these bytes are the binary.
    ///
    /// # Errors
    /// [`BadRelease::OtherFile`] if not.
    pub fn matches(&self, size: u64, sha256: &str) -> Result<(), BadRelease> {
        if size != self.size {
            return Err(BadRelease::OtherFile(format!("it has {size} bytes instead of {}", self.size)));
        }
        if sha256 != self.sha256 {
            return Err(BadRelease::OtherFile("its SHA-256 differs".into()));
        }
        Ok(())
    }
}

/// A manifest with its signature, as a file and on the wire. The manifest travels as the very text that was signed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct SignedManifest {
    /// The manifest as JSON text.
    pub manifest: String,
    /// The public key that it was signed with, `rmk1:...`.
    pub key: String,
    /// Base64 of the Ed25519 signature.
    pub signature: String,
}

impl SignedManifest {
    /// The manifest, if one of these keys signed it.
    ///
    /// # Errors
    /// [`BadRelease`]; without a key nothing is taken.
    pub fn open(&self, pinned: &[ReleaseKey]) -> Result<Manifest, BadRelease> {
        let named: ReleaseKey = self.key.parse()?;
        let key = pinned.iter().find(|key| **key == named).ok_or_else(|| BadRelease::UnknownKey(named.short()))?;
        self.open_with(key)
    }

    /// The manifest, if it was signed by the key that it names. Says that nothing was altered, not who signed.
    ///
    /// # Errors
    /// [`BadRelease`].
    pub fn open_unpinned(&self) -> Result<Manifest, BadRelease> {
        self.open_with(&self.key.parse()?)
    }

    fn open_with(&self, key: &ReleaseKey) -> Result<Manifest, BadRelease> {
        let signature = B64.decode(&self.signature).map_err(|_| BadRelease::BadSignature)?;
        let message = signed_bytes(&self.manifest);
        UnparsedPublicKey::new(&ED25519, key.0).verify(&message, &signature).map_err(|_| BadRelease::BadSignature)?;
        let manifest: Manifest =
            serde_json::from_str(&self.manifest).map_err(|e| BadRelease::BadManifest(e.to_string()))?;
        manifest.check()
    }
}

fn signed_bytes(manifest: &str) -> Vec<u8> {
    [PURPOSE, manifest.as_bytes()].concat()
}

/// A public key that releases are checked with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ReleaseKey([u8; 32]);

impl ReleaseKey {
    /// The first digits of its SHA-256, to name it before people.
    #[must_use]
    pub fn short(&self) -> String {
        hex(&digest(&SHA256, &self.0).as_ref()[..4])
    }

    /// All keys of a text: one on each line, `#` begins a comment.
    ///
    /// # Errors
    /// When a line is neither.
    pub fn read_all(text: &str) -> Result<Vec<Self>, BadRelease> {
        text.lines()
            .map(|line| line.split('#').next().unwrap_or_default().trim())
            .filter(|line| !line.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl FromStr for ReleaseKey {
    type Err = BadRelease;
    fn from_str(text: &str) -> Result<Self, BadRelease> {
        let raw = text.trim().strip_prefix(KEY_MARK).and_then(|b| B64.decode(b).ok()).ok_or(BadRelease::BadKey)?;
        raw.try_into().map(Self).map_err(|_| BadRelease::BadKey)
    }
}

impl fmt::Display for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{KEY_MARK}{}", B64.encode(self.0))
    }
}

impl fmt::Debug for ReleaseKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The private key that signs releases. It neither prints nor serialises by accident.
pub struct SigningKey {
    pkcs8: Zeroizing<Vec<u8>>,
    pair: Ed25519KeyPair,
}

impl SigningKey {
    /// A new key pair.
    ///
    /// # Errors
    /// [`BadRelease::BadKey`] when the system has no randomness.
    pub fn generate() -> Result<Self, BadRelease> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| BadRelease::BadKey)?;
        Self::from_pkcs8(Zeroizing::new(pkcs8.as_ref().to_vec()))
    }

    fn from_pkcs8(pkcs8: Zeroizing<Vec<u8>>) -> Result<Self, BadRelease> {
        let pair = Ed25519KeyPair::from_pkcs8(&pkcs8).map_err(|_| BadRelease::BadKey)?;
        Ok(Self { pkcs8, pair })
    }

    /// Reads what [`to_text`](Self::to_text) wrote.
    ///
    /// # Errors
    /// [`BadRelease::BadKey`].
    pub fn from_text(text: &str) -> Result<Self, BadRelease> {
        let raw = text.trim().strip_prefix("rms1:").and_then(|b| B64.decode(b).ok()).ok_or(BadRelease::BadKey)?;
        Self::from_pkcs8(Zeroizing::new(raw))
    }

    /// The key as text, for its file.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        Zeroizing::new(format!("rms1:{}\n", B64.encode(&*self.pkcs8)))
    }

    /// What agents pin.
    ///
    /// # Errors
    /// [`BadRelease::BadKey`], never in practice.
    pub fn public(&self) -> Result<ReleaseKey, BadRelease> {
        self.pair.public_key().as_ref().try_into().map(ReleaseKey).map_err(|_| BadRelease::BadKey)
    }

    /// Signs a manifest.
    ///
    /// # Errors
    /// When the manifest is not sound.
    pub fn sign(&self, manifest: Manifest) -> Result<SignedManifest, BadRelease> {
        let manifest = serde_json::to_string(&manifest.check()?).map_err(|e| BadRelease::BadManifest(e.to_string()))?;
        let signature = B64.encode(self.pair.sign(&signed_bytes(&manifest)).as_ref());
        Ok(SignedManifest { manifest, key: self.public()?.to_string(), signature })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

/// SHA-256 of bytes, hex.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hex(digest(&SHA256, bytes).as_ref())
}

/// Works out the SHA-256 of a stream.
///
/// # Errors
/// When it cannot be read.
pub fn sha256_of(mut from: impl std::io::Read) -> std::io::Result<(u64, String)> {
    let (mut context, mut buffer, mut size) = (ring::digest::Context::new(&SHA256), vec![0_u8; 64 * 1024], 0_u64);
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok((size, hex(context.finish().as_ref()))),
            n => {
                context.update(&buffer[..n]);
                size += n as u64;
            }
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether the text is a version as releases have it: `1.2.3`, or `1.2.3-rc.1`.
#[must_use]
pub fn is_version(text: &str) -> bool {
    (5..=MAX_NAME).contains(&text.len()) && !text.contains('+') && semver::Version::parse(text).is_ok()
}

/// Whether the text names a platform: an operating system and an architecture in Rust's words.
#[must_use]
pub fn is_target(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    text.len() <= MAX_NAME
        && text.split_once('-').is_some_and(|(os, arch)| {
            !os.is_empty() && !arch.is_empty() && os.chars().all(plain) && arch.chars().all(plain)
        })
}

/// Which of two versions is newer; none if one of them is no version.
#[must_use]
pub fn compare(a: &str, b: &str) -> Option<Ordering> {
    Some(semver::Version::parse(a).ok()?.cmp(&semver::Version::parse(b).ok()?))
}

/// Length of a [`stamp`].
pub const STAMP: usize = 16 + 32 + 32 + 8 + 4;
const MARK: &[u8; 16] = b"RMAGENT-STAMP/1|";
const END: &[u8; 4] = b"|END";

/// What a binary says about itself in a place that can be found without running it.
#[must_use]
pub const fn stamp(version: &str, os: &str, arch: &str, protocol: u16) -> [u8; STAMP] {
    let out = put([b' '; STAMP], 0, MARK);
    let out = put(out, 16, version.as_bytes());
    let out = put(out, 48, os.as_bytes());
    let out = put(out, 48 + os.len(), b"-");
    let mut out = put(out, 48 + os.len() + 1, arch.as_bytes());
    let (mut rest, mut at) = (protocol, 80 + 5);
    while at > 80 {
        at -= 1;
        out[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    put(out, 88, END)
}

const fn put(mut out: [u8; STAMP], at: usize, text: &[u8]) -> [u8; STAMP] {
    let mut n = 0;
    while n < text.len() {
        out[at + n] = text[n];
        n += 1;
    }
    out
}

/// What a stamp says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The version.
    pub version: String,
    /// The platform.
    pub target: String,
    /// The protocol's minor version.
    pub protocol: u16,
}

/// Reads a stamp.
#[must_use]
pub fn read_stamp(bytes: &[u8]) -> Option<Stamp> {
    if bytes.get(..16)? != MARK || bytes.get(88..92)? != END {
        return None;
    }
    let text = |from: usize, to: usize| std::str::from_utf8(&bytes[from..to]).ok().map(str::trim_end);
    let stamp = Stamp {
        version: text(16, 48)?.to_owned(),
        target: text(48, 80)?.to_owned(),
        protocol: text(80, 88)?.parse().ok()?,
    };
    (is_version(&stamp.version) && is_target(&stamp.target)).then_some(stamp)
}

/// Finds the stamp in a binary.
///
/// # Errors
/// [`BadRelease::NoStamp`].
pub fn find_stamp(binary: &[u8]) -> Result<Stamp, BadRelease> {
    let starts = binary.iter().enumerate().filter(|(_, b)| **b == MARK[0]).map(|(n, _)| n);
    starts.filter_map(|at| read_stamp(&binary[at..])).next().ok_or(BadRelease::NoStamp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        Manifest {
            version: "0.2.0".into(),
            target: "linux-x86_64".into(),
            sha256: sha256(b"binary"),
            size: 6,
            protocol: 3,
            rollback: false,
            published_at: Timestamp::from_seconds(1),
        }
    }

    #[test]
    fn only_pinned_keys_and_untouched_manifests_count() {
        let (ours, other) = (SigningKey::generate().expect("key"), SigningKey::generate().expect("key"));
        let pinned = [ours.public().expect("public")];
        let signed = ours.sign(manifest()).expect("signs");
        assert_eq!(signed.open(&pinned), Ok(manifest()));
        assert_eq!(signed.open_unpinned(), Ok(manifest()));
        assert!(matches!(signed.open(&[]), Err(BadRelease::UnknownKey(_))), "no key takes nothing");
        assert!(matches!(other.sign(manifest()).expect("signs").open(&pinned), Err(BadRelease::UnknownKey(_))));
        let forged = SignedManifest { key: pinned[0].to_string(), ..other.sign(manifest()).expect("signs") };
        assert_eq!(forged.open(&pinned), Err(BadRelease::BadSignature));
        let altered = SignedManifest { manifest: signed.manifest.replace("0.2.0", "0.3.0"), ..signed.clone() };
        assert_eq!(altered.open(&pinned), Err(BadRelease::BadSignature));
        let again = SigningKey::from_text(&ours.to_text()).expect("reads");
        assert_eq!(again.sign(manifest()).expect("signs").open(&pinned), Ok(manifest()));
    }

    #[test]
    fn manifests_are_sound() {
        let key = SigningKey::generate().expect("key");
        for bad in [
            Manifest { version: "2".into(), ..manifest() },
            Manifest { version: "0.2.0+x".into(), ..manifest() },
            Manifest { version: "../../../etc".into(), ..manifest() },
            Manifest { target: "linux".into(), ..manifest() },
            Manifest { target: "linux-../x".into(), ..manifest() },
            Manifest { sha256: "AB".into(), ..manifest() },
            Manifest { size: 0, ..manifest() },
            Manifest { size: MAX_SIZE + 1, ..manifest() },
        ] {
            assert!(matches!(key.sign(bad.clone()), Err(BadRelease::BadManifest(_))), "{bad:?}");
        }
        assert_eq!(manifest().matches(6, &sha256(b"binary")), Ok(()));
        assert!(manifest().matches(7, &sha256(b"binary")).is_err() && manifest().matches(6, &sha256(b"b")).is_err());
        assert_eq!(sha256_of(&b"binary"[..]).expect("reads"), (6, sha256(b"binary")));
    }

    #[test]
    fn a_stamp_is_found_among_other_bytes() {
        let made = stamp("0.2.0-rc.1", "linux", "x86_64", 12);
        let binary = [b"RMAGENT-STAMP/1|nothing of it RRR".as_slice(), &made, b"after"].concat();
        let want = Stamp { version: "0.2.0-rc.1".into(), target: "linux-x86_64".into(), protocol: 12 };
        assert_eq!(find_stamp(&binary), Ok(want));
        assert_eq!(find_stamp(&binary[..60]), Err(BadRelease::NoStamp));
    }

    #[test]
    fn versions_compare_by_their_parts() {
        for (a, b, want) in [
            ("0.2.0", "0.10.0", Some(Ordering::Less)),
            ("1.0.0", "1.0.0-rc.1", Some(Ordering::Greater)),
            ("1.0.0", "1.0.0", Some(Ordering::Equal)),
            ("one", "1.0.0", None),
        ] {
            assert_eq!(compare(a, b), want, "{a} {b}");
        }
        let text = "# ours\nrmk1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= # spare\n\n";
        assert_eq!(ReleaseKey::read_all(text).map(|k| k.len()), Ok(1));
        assert!(ReleaseKey::read_all("ssh-ed25519 AAAA").is_err());
    }
}
