//! The long poll: the agent says what is, the server answers with what should be, as soon as the two differ.

use super::fire::FireLedger;
use super::job::Offer;
use super::query::Query;
use super::recall::Restored;
use super::release::{ReleaseOffer, UpdateFact};
use super::state::DesiredState;
use crate::id::{InstanceId, JobId, QueryId};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// `POST /agent/v1/poll`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PollRequest {
    /// The minor protocol version that the agent speaks.
    pub protocol: u16,
    /// This start of the agent; two agents with one key are told apart by it.
    pub instance: InstanceId,
    /// The version of the desired state that it holds; 0 for none.
    pub state_version: i64,
    /// Jobs that it has.
    #[serde(default)]
    pub jobs: Vec<HeldJob>,
    /// How many more jobs it would start now.
    pub free_slots: u32,
    /// How far it has got with each cron schedule that it follows.
    #[serde(default)]
    pub fires: Vec<FireLedger>,
    /// Records that wait on its disk to be sent.
    #[serde(default)]
    pub spooled: u64,
    /// Its version.
    pub agent_version: String,
    /// The restic version it found.
    #[serde(default)]
    pub restic_version: Option<String>,
    /// Names in the host's own folder of hooks; only these can be named in a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Vec<String>>,
    /// The import of an export since which it has told everything; without it the control plane does not judge what is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<String>,
    /// Questions that it has and has not answered yet: they are not sent again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<QueryId>,
    /// How far it is with updates of itself; none from agents that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<UpdateFact>,
    /// Seconds that it would like to be held.
    pub hold: u32,
}

/// A job that the agent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HeldJob {
    /// Which.
    pub id: JobId,
    /// The attempt that it has.
    pub attempt: i32,
    /// How far it is.
    pub phase: HeldPhase,
}

/// How far an agent is with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum HeldPhase {
    /// In the journal, not yet claimed.
    Accepted,
    /// Claimed; restic runs or is about to.
    Running,
    /// Ended; the report is not yet confirmed.
    Finished,
}

/// The answer. Empty lists and no state mean that nothing differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct PollResponse {
    /// The server's clock.
    pub server_time: Timestamp,
    /// The whole desired state, when the agent's is older.
    #[serde(default)]
    pub state: Option<DesiredState>,
    /// Jobs that wait for this host.
    #[serde(default)]
    pub offers: Vec<Offer>,
    /// Jobs that should stop.
    #[serde(default)]
    pub cancel: Vec<JobId>,
    /// Questions that people wait for; each is answered with `POST /agent/v1/queries/{id}/answer`, and comes again until it is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queries: Vec<Query>,
    /// Seconds to ask for next time.
    pub hold: u32,
    /// Milliseconds to wait before the next poll, so that agents that return all at once spread out.
    #[serde(default)]
    pub pause_ms: u32,
    /// That this control plane came out of an export, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restored: Option<Restored>,
    /// The release of the agent that this host should run, in every answer while it should and does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<ReleaseOffer>,
}
