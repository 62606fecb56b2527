//! Enrolment: an agent trades a one-time token for an identity of its own.

use super::state::DesiredState;
use crate::id::{ControlId, HostId};
use crate::secret::Secret;
use serde::{Deserialize, Serialize};

/// The operating system family of a host; decides what a path may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Os {
    /// Linux, and whatever else has slashes.
    Linux,
    /// Windows: drive letters and backslashes.
    Windows,
}

/// What an agent knows about the machine it runs on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HostFacts {
    /// The machine's own name.
    pub hostname: String,
    /// Its operating system family.
    pub os: Os,
    /// Name and version for people, such as `Debian GNU/Linux 12`.
    #[serde(default)]
    pub os_version: String,
    /// `x86_64`, `aarch64`, ...
    pub arch: String,
    /// IANA time zone, where it is known.
    #[serde(default)]
    pub timezone: Option<String>,
    /// The agent's version.
    pub agent_version: String,
    /// The version of the restic binary, if one was found.
    #[serde(default)]
    pub restic_version: Option<String>,
}

/// `POST /agent/v1/enroll`.
#[derive(Clone, Debug, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrollRequest {
    /// The minor protocol version that the agent speaks.
    pub protocol: u16,
    /// The enrollment token.
    pub token: Secret,
    /// The name to use when the token does not carry one.
    #[serde(default)]
    pub name: Option<String>,
    /// Base64 of the agent's Ed25519 public key (32 bytes): it signs.
    pub signing_key: String,
    /// Base64 of the agent's X25519 public key (32 bytes): secrets are sealed to it.
    pub sealing_key: String,
    /// Base64 of the signature, by the signing key, over [`proof_message`]: shows that one party holds both keys.
    pub proof: String,
    /// The machine.
    pub facts: HostFacts,
}

/// What the agent signs to prove that both its keys belong together and to this token.
#[must_use]
pub fn proof_message(token: &str, sealing_key: &[u8]) -> Vec<u8> {
    [b"restic-manager enroll v1\n".as_slice(), token.as_bytes(), b"\n", sealing_key].concat()
}

/// The answer to an enrolment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct EnrollResponse {
    /// The host's identity from now on.
    pub host_id: HostId,
    /// The host's name, as the control plane calls it.
    pub host_name: String,
    /// The audience of the agent's tokens.
    pub control_id: ControlId,
    /// Base64 of the control plane's Ed25519 public key, to be pinned: it signs what is sealed.
    pub control_key: String,
    /// What the host should do.
    pub state: DesiredState,
}
