//! The agent: polls the control plane, drives the real restic, reports. It listens on no port and runs no command line that came
//! over the wire.

pub mod config;
pub mod state_dir;
pub mod identity;
pub mod facts;
pub mod policy;
pub mod backoff;
pub mod redact;
pub mod client;
pub mod restic;
