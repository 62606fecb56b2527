//! The wire contract between agent and control plane: JSON bodies of `/agent/v1`. Types only grow: a field may be added with a
//! default, never renamed or removed, because agents of older versions are out there.

pub mod cause;
pub mod changes;
pub mod enroll;
pub mod fire;
pub mod job;
pub mod job_secrets;
pub mod operation;
pub mod pause;
pub mod poll;
pub mod problem;
pub mod progress;
pub mod query;
pub mod recall;
pub mod release;
pub mod restore;
pub mod state;
pub mod task;

/// The minor version of `/agent/v1` that this build speaks.
pub const PROTOCOL: u16 = 3;
/// The oldest minor version that this build still serves.
pub const OLDEST_PROTOCOL: u16 = 1;
/// The largest body of a request or an answer, in bytes.
pub const MAX_BODY: usize = 1 << 20;
/// The longest that a poll is held, in seconds; common proxies cut idle requests at 60.
pub const MAX_HOLD: u32 = 55;
/// How long a running job lives without a sign from its agent, in seconds.
pub const LEASE: u32 = 120;
/// How often an agent says that a job still runs when there is nothing else to say, in seconds.
pub const HEARTBEAT: u32 = 30;
