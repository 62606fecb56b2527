//! The rules, pure: no database, no HTTP, no clock, no randomness. What a thing is, what may be done with it, and what is wrong
//! with an input, each as a function that a table can test.

pub mod attestation;
pub mod delivery;
pub mod doctor;
pub mod fires;
pub mod fleet;
pub mod forget;
pub mod health;
pub mod job;
pub mod locks;
pub mod missed;
pub mod permission;
pub mod reading;
pub mod repository;
pub mod retention;
pub mod schedule;
pub mod snapshot;
mod text_enum;
pub mod upkeep;

pub use text_enum::UnknownName;
pub(crate) use text_enum::text_enum;
