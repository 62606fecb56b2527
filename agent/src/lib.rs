//! The agent: polls the control plane, drives the real restic, reports. It listens on no port and runs no command line that came
//! over the wire.

pub mod accounts;
pub mod app;
pub mod backoff;
pub mod bundle;
pub mod client;
pub mod clock;
pub mod config;
pub mod deliver;
pub mod desired;
pub mod due;
pub mod enroll;
pub mod facts;
pub mod fires;
pub mod hooks;
pub mod identity;
pub mod journal;
pub mod logbook;
pub mod outbox;
pub mod perform;
pub mod policy;
pub mod poll;
pub mod reach;
pub mod reconcile;
pub mod recover;
pub mod redact;
pub mod report;
pub mod restic;
pub mod roster;
pub mod runner;
pub mod scheduler;
pub mod space;
pub mod spool;
pub mod state_dir;
pub mod status;
