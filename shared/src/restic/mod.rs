//! What restic prints, as types: its version, its JSON messages, its snapshot lists. Everything is read tolerantly, because the
//! versions differ and all of it comes from another program. No process is run here.

mod lenient;
pub mod message;
pub mod snapshot;
pub mod version;
