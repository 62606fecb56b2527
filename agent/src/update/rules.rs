//! Which offered release this agent takes, whatever the control plane says. Pure.

use restic_manager_shared::release::{BadRelease, Manifest, ReleaseKey};
use restic_manager_shared::wire::release::ReleaseOffer;
use self_update::version::cmp_versions;
use std::cmp::Ordering;

/// An offer that is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The signature or the manifest is not right.
    #[error("the release is refused: {0}")]
    Bad(#[from] BadRelease),
    /// What was signed is not what was offered.
    #[error("the release is refused: {0} was offered, and {1} was signed")]
    OtherVersion(String, String),
    /// It is for another platform.
    #[error("the release is refused: it is for {0}, and this host is {1}")]
    OtherTarget(String, String),
    /// It is older, and was not signed for going back.
    #[error("the release is refused: {0} is older than {1}, and it was not signed as one to go back to")]
    Older(String, String),
    /// It is what runs.
    #[error("the release is refused: {0} runs already")]
    Same(String),
}

/// What was signed, if it may run here.
///
/// # Errors
/// [`NotTaken`] if not.
pub fn take(offer: &ReleaseOffer, keys: &[ReleaseKey], running: &str, target: &str) -> Result<Manifest, NotTaken> {
    let manifest = offer.signed.open(keys)?;
    if manifest.version != offer.version {
        return Err(NotTaken::OtherVersion(offer.version.clone(), manifest.version));
    }
    if manifest.target != target {
        return Err(NotTaken::OtherTarget(manifest.target, target.to_owned()));
    }
    let order = cmp_versions(&manifest.version, running).map_err(|e| BadRelease::BadManifest(e.to_string()))?;
    match order {
        Ordering::Greater => Ok(manifest),
        Ordering::Less if manifest.rollback => Ok(manifest),
        Ordering::Less => Err(NotTaken::Older(manifest.version, running.to_owned())),
        Ordering::Equal => Err(NotTaken::Same(manifest.version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::release::{SigningKey, sha256};
    use restic_manager_shared::time::Timestamp;

    #[test]
    fn only_newer_releases_for_this_platform_by_a_pinned_key_are_taken() {
        let (ours, other) = (SigningKey::generate().expect("key"), SigningKey::generate().expect("key"));
        let pinned = [ours.public().expect("public")];
        let offer = |key: &SigningKey, offered: &str, version: &str, target: &str, rollback| {
            let manifest = Manifest {
                version: version.into(),
                target: target.into(),
                sha256: sha256(b"x"),
                size: 1,
                protocol: 3,
                rollback,
                published_at: Timestamp::from_seconds(1),
            };
            ReleaseOffer { version: offered.into(), signed: key.sign(manifest).expect("signs") }
        };
        let linux = "linux-x86_64";
        for (what, offer, taken) in [
            ("newer", offer(&ours, "0.2.0", "0.2.0", linux, false), true),
            ("another key", offer(&other, "0.2.0", "0.2.0", linux, false), false),
            ("named otherwise", offer(&ours, "0.3.0", "0.2.0", linux, false), false),
            ("another platform", offer(&ours, "0.2.0", "0.2.0", "windows-x86_64", false), false),
            ("the same", offer(&ours, "0.1.0", "0.1.0", linux, true), false),
            ("older", offer(&ours, "0.0.9", "0.0.9", linux, false), false),
            ("older, to go back to", offer(&ours, "0.0.9", "0.0.9", linux, true), true),
            ("ten is more than nine", offer(&ours, "0.1.10", "0.1.10", linux, false), true),
        ] {
            assert_eq!(take(&offer, &pinned, "0.1.0", linux).is_ok(), taken, "{what}");
            assert!(take(&offer, &[], "0.1.0", linux).is_err(), "{what} without a key");
        }
    }
}
