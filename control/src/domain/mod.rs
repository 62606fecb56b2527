//! The rules, pure: no database, no HTTP, no clock, no randomness. What a thing is, what may be done with it, and what is wrong
//! with an input, each as a function that a table can test.

pub mod alert;
pub mod asked_update;
pub mod attestation;
pub mod audit;
pub mod backend;
pub mod backup_options;
pub mod calendar;
pub mod channel;
pub mod delivery;
pub mod doctor;
pub mod drill;
pub mod fires;
pub mod first_steps;
pub mod fleet;
pub mod forget;
pub mod health;
pub mod host_action;
pub mod job;
pub mod locks;
pub mod missed;
pub mod notice;
pub mod operation;
pub mod pause;
pub mod permission;
pub mod place;
pub mod protection;
pub mod reading;
pub mod release;
pub mod repository;
pub mod restore;
pub mod retention;
pub mod rotation;
pub mod run_now;
pub mod schedule;
pub mod snapshot;
pub mod speed;
pub mod strict;
pub mod summary;
pub mod task_input;
mod text_enum;
pub mod upkeep;
pub mod watch;

pub use text_enum::UnknownName;
pub(crate) use text_enum::text_enum;
