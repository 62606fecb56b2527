//! Enrolment: makes the host's two keys, trades the one-time token for an identity, and writes everything down.

use crate::client::{self, ClientError, setup};
use crate::config::Config;
use crate::desired;
use crate::facts;
use crate::identity::Identity;
use crate::restic::binary::Finder;
use crate::state_dir::{StateDir, StateError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use restic_manager_shared::jwt;
use restic_manager_shared::release::ReleaseKey;
use restic_manager_shared::seal;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::PROTOCOL;
use restic_manager_shared::wire::enroll::{EnrollResponse, HostFacts, proof_message};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use zeroize::Zeroizing;

/// The host could not be enrolled.
#[derive(Debug, thiserror::Error)]
pub enum EnrollError {
    /// It is enrolled already.
    #[error("this state folder is enrolled already, as host {0}; use another --state-dir, or --force to enrol it anew")]
    AlreadyEnrolled(String),
    /// The token is empty.
    #[error("the enrollment token is missing; give --token or set RESTIC_MANAGER_TOKEN")]
    NoToken,
    /// The server said no, or does not answer.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// Something about the state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// No keys could be made.
    #[error("the system gave no randomness for the host's keys")]
    Keys,
    /// The server's answer holds no usable key.
    #[error("the server's answer holds no usable public key")]
    BadKey,
}

/// What was asked for.
#[derive(Debug)]
pub struct Wish {
    /// The settings to keep.
    pub config: Config,
    /// The one-time token.
    pub token: Secret,
    /// The host's name, if the token carries none.
    pub name: Option<String>,
    /// Enrol anew a folder that is enrolled.
    pub force: bool,
    /// The keys that sign releases of the agent. Without one, those that are pinned already stay.
    pub release_keys: Vec<ReleaseKey>,
}

struct Keys {
    signing: Zeroizing<Vec<u8>>,
    sealing: Zeroizing<Vec<u8>>,
    sealing_public: Vec<u8>,
}

/// Enrols the host.
///
/// # Errors
/// [`EnrollError`]; nothing is written then.
pub async fn enroll(dir: &StateDir, wish: Wish, finder: &Finder) -> Result<Identity, EnrollError> {
    let _lock = dir.lock()?;
    if let Some(identity) = Identity::load(dir)?.filter(|_| !wish.force) {
        return Err(EnrollError::AlreadyEnrolled(identity.host_id.to_string()));
    }
    if wish.token.is_empty() {
        return Err(EnrollError::NoToken);
    }
    let http = setup::control_client(wish.config.proxy.as_deref(), wish.config.ca_file.as_deref())?;
    let (sealing, sealing_public) = seal::generate();
    let keys = Keys { signing: jwt::generate_signing_key().map_err(|_| EnrollError::Keys)?, sealing, sealing_public };
    let facts = facts::gather(finder.find().await.ok().map(|r| r.version));
    let body = request(&wish, &keys, &facts)?;
    let answer = client::enroll(&http, &wish.config.server, &body).await?;
    if !wish.release_keys.is_empty() {
        crate::update::keys::pin(dir, &wish.release_keys)?;
    }
    keep(dir, &wish.config, keys, answer)
}

fn request(wish: &Wish, keys: &Keys, facts: &HostFacts) -> Result<serde_json::Value, EnrollError> {
    let pair = Ed25519KeyPair::from_pkcs8(&keys.signing).map_err(|_| EnrollError::Keys)?;
    let proof = pair.sign(&proof_message(wish.token.reveal(), &keys.sealing_public));
    Ok(serde_json::json!({
        "protocol": PROTOCOL,
        "token": wish.token.reveal(),
        "name": wish.name,
        "signing_key": B64.encode(pair.public_key().as_ref()),
        "sealing_key": B64.encode(&keys.sealing_public),
        "proof": B64.encode(proof.as_ref()),
        "facts": facts,
    }))
}

/// The identity is written last: with it, the rest is there too.
fn keep(dir: &StateDir, config: &Config, keys: Keys, answer: EnrollResponse) -> Result<Identity, EnrollError> {
    let control_key = B64.decode(&answer.control_key).ok().filter(|k| k.len() == 32).ok_or(EnrollError::BadKey)?;
    let identity = Identity {
        host_id: answer.host_id,
        host_name: answer.host_name,
        control_id: answer.control_id,
        control_key,
        signing_key: keys.signing,
        sealing_key: keys.sealing,
    };
    config.save(dir)?;
    desired::save(dir, &answer.state)?;
    identity.save(dir)?;
    Ok(identity)
}
