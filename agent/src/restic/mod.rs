//! Everything about driving the restic binary: finding it, its arguments, environment, process, output and how it ended. Knows
//! neither the journal nor the control plane.

pub mod argv;
pub mod binary;
pub mod command;
pub mod env;
pub mod gather;
pub mod judge;
pub mod needs;
pub mod output;
pub mod pattern;
pub mod preflight;
pub mod process;
pub mod signal;
mod ssh;
