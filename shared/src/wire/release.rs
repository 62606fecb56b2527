//! The agent's own releases on the wire: what the control plane would have a host run, and how far its agent is with that. An offer is part
//! of every answer as long as it holds, so that one that is taken back is heard of too.

use crate::release::SignedManifest;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The release that a host should run. The agent fetches it with `GET /agent/v1/releases/{version}/{target}`, if a key signed it that it has
/// pinned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ReleaseOffer {
    /// The version.
    pub version: String,
    /// What was signed.
    pub signed: SignedManifest,
}

/// Why an agent never updates itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CannotUpdate {
    /// No release key is pinned on the host.
    NoKey,
    /// The host's own policy forbids it.
    Forbidden,
    /// The agent may not write to the folder that its program is in.
    NotWritable,
    /// A reason that this version does not know.
    #[serde(other)]
    Other,
}

/// How far an agent is with an update.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum UpdatePhase {
    /// There is none.
    #[default]
    Idle,
    /// The binary is being fetched.
    Fetching,
    /// It is there and checked, and waits until no job runs.
    Waiting,
    /// The new binary is tried and put in place.
    Installing,
    /// The new version runs and has yet to reach the control plane.
    Proving,
    /// A step that this version does not know.
    #[serde(other)]
    Other,
}

/// What an agent says of its own updates, with each poll.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UpdateFact {
    /// Where it runs, such as `linux-x86_64`.
    pub target: String,
    /// Why it never updates itself, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cannot: Option<CannotUpdate>,
    /// The release that it was offered and has not done with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<String>,
    /// How far it is.
    #[serde(default)]
    pub phase: UpdatePhase,
    /// What is in the way just now; it goes on trying.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    /// The last update that did not work. It is not tried again until it is offered anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<FailedUpdate>,
}

/// An update that did not work. The host runs the version from before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailedUpdate {
    /// Which.
    pub version: String,
    /// Why, for people.
    pub error: String,
    /// When.
    pub at: Timestamp,
}
