//! Who this agent is: its host id, its two private keys, and the control plane it belongs to. Kept in `identity.json`.

use crate::state_dir::{StateDir, StateError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use restic_manager_shared::id::{ControlId, HostId};
use restic_manager_shared::seal::{self, SealError, Sealed};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::job::Offer;
use restic_manager_shared::wire::operation::{JobSecrets, job_seal_name};
use restic_manager_shared::wire::state::{RepositorySecrets, RepositorySpec, seal_name};
use serde::Deserialize;
use zeroize::Zeroizing;

const FILE: &str = "identity.json";

/// The agent's identity. Neither prints nor serialises its keys by accident.
pub struct Identity {
    /// The host's identity.
    pub host_id: HostId,
    /// The host's name at the control plane when it enrolled.
    pub host_name: String,
    /// The control plane's identity: the audience of every token.
    pub control_id: ControlId,
    /// The control plane's public key, pinned when the host enrolled.
    pub control_key: Vec<u8>,
    /// The private key that signs, PKCS#8.
    pub signing_key: Zeroizing<Vec<u8>>,
    /// The private key that opens sealed secrets.
    pub sealing_key: Zeroizing<Vec<u8>>,
}

#[derive(Deserialize)]
struct OnDisk {
    host_id: HostId,
    host_name: String,
    control_id: ControlId,
    control_key: String,
    signing_key: Secret,
    sealing_key: Secret,
}

/// The secrets of a repository or a job could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    /// The envelope does not open.
    #[error("the repository's credential cannot be opened: {0}")]
    Seal(#[from] SealError),
    /// It opened, but holds something else.
    #[error("the repository's credential cannot be read")]
    Shape,
    /// There is no repository password in it.
    #[error("the repository's credential has no password")]
    Empty,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("host_id", &self.host_id).finish_non_exhaustive()
    }
}

impl Identity {
    /// Reads the file; none means that the host is not enrolled.
    ///
    /// # Errors
    /// When the file is there but cannot be read.
    pub fn load(dir: &StateDir) -> Result<Option<Self>, StateError> {
        let Some(bytes) = dir.read(FILE)?.map(Zeroizing::new) else { return Ok(None) };
        let corrupt = |reason: String| StateError::Corrupt { path: dir.file(FILE), reason };
        let disk: OnDisk = serde_json::from_slice(&bytes).map_err(|e| corrupt(e.to_string()))?;
        let raw = |text: &str| B64.decode(text).map_err(|_| corrupt("a key is not base64".into()));
        Ok(Some(Self {
            host_id: disk.host_id,
            host_name: disk.host_name,
            control_id: disk.control_id,
            control_key: raw(&disk.control_key)?,
            signing_key: Zeroizing::new(raw(disk.signing_key.reveal())?),
            sealing_key: Zeroizing::new(raw(disk.sealing_key.reveal())?),
        }))
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, dir: &StateDir) -> Result<(), StateError> {
        let text = serde_json::json!({
            "host_id": self.host_id,
            "host_name": self.host_name,
            "control_id": self.control_id,
            "control_key": B64.encode(&self.control_key),
            "signing_key": B64.encode(&*self.signing_key),
            "sealing_key": B64.encode(&*self.sealing_key),
        });
        dir.replace(FILE, Zeroizing::new(text.to_string()).as_bytes())
    }

    /// Opens a repository's secrets.
    ///
    /// # Errors
    /// [`SecretsError`] if they are not for this host, not from its control plane, or empty.
    pub fn unseal(&self, repository: &RepositorySpec) -> Result<RepositorySecrets, SecretsError> {
        self.unseal_named(&seal_name(repository.id), &repository.secrets)
    }

    /// Opens a job's own secrets; none if it has none.
    ///
    /// # Errors
    /// [`SecretsError`] if they are not for this host and job, or not from its control plane.
    pub fn unseal_job(&self, offer: &Offer) -> Result<JobSecrets, SecretsError> {
        let Some(sealed) = &offer.secrets else { return Ok(JobSecrets::default()) };
        let name = job_seal_name(offer.id);
        let plain = seal::open(&self.control_key, &self.sealing_key, self.host_id, &name, sealed)?;
        serde_json::from_slice(&plain).map_err(|_| SecretsError::Shape)
    }

    fn unseal_named(&self, name: &str, sealed: &Sealed) -> Result<RepositorySecrets, SecretsError> {
        let plain = seal::open(&self.control_key, &self.sealing_key, self.host_id, name, sealed)?;
        let secrets: RepositorySecrets = serde_json::from_slice(&plain).map_err(|_| SecretsError::Shape)?;
        if secrets.password.is_empty() { Err(SecretsError::Empty) } else { Ok(secrets) }
    }
}
