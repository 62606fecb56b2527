//! Secrets of one job: sealed to its host, carried in its offer, and of no use after it.

use super::state::RepositorySecrets;
use crate::secret::Secret;
use serde::Deserialize;

/// Secrets for one job only. Travel sealed for the use [`job_seal_name`], so they serialise through [`JobSecrets::to_json`] alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct JobSecrets {
    /// The password of a key to add.
    pub new_password: Option<Secret>,
    /// The line of an account for the storage's `.htpasswd`: user, colon, hash.
    pub account_line: Option<Secret>,
    /// What opens the repository at the offer's own address, for a host that has no credential for it: it counts for this job alone.
    pub repository: Option<RepositorySecrets>,
    /// Certificate authorities of that storage, as PEM. No secret, but sealed with it.
    pub ca_pem: Option<String>,
}

impl JobSecrets {
    /// The JSON that is sealed, or encrypted at rest.
    #[must_use]
    pub fn to_json(&self) -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new(
            serde_json::json!({
                "new_password": self.new_password.as_ref().map(Secret::reveal),
                "account_line": self.account_line.as_ref().map(Secret::reveal),
                "repository": self.repository.as_ref().map(RepositorySecrets::to_value),
                "ca_pem": self.ca_pem,
            })
            .to_string(),
        )
    }

    /// Every value that must never leave the host in a log line.
    #[must_use]
    pub fn values(&self) -> Vec<&str> {
        let own = [&self.new_password, &self.account_line].into_iter().flatten().map(Secret::reveal);
        own.chain(self.repository.iter().flat_map(RepositorySecrets::values)).collect()
    }
}

/// The sealing use of a job's own secrets.
#[must_use]
pub fn job_seal_name(id: crate::id::JobId) -> String {
    format!("job/{id}")
}
