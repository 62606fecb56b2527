//! What restic prints, as types: its version, its JSON messages, its lists, the lines that it prints as text. Everything is read
//! tolerantly, because the versions differ and all of it comes from another program. No process is run here.

pub mod address;
pub mod array;
pub mod check;
pub mod diff;
pub mod keys;
mod lenient;
pub mod listing;
pub mod locks;
pub mod message;
pub mod prune;
pub mod replaced;
pub mod restore;
pub mod snapshot;
pub mod stats;
pub mod text;
pub mod version;
