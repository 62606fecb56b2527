//! Trees: what is in a snapshot, on disk, small, and in the order in which people look at it. Made from one listing of restic in constant
//! memory, read a folder at a time, kept until room is needed, and never trusted: each piece carries its checksum, and a file that does
//! not hold what it should is made anew.
//!
//! A file is a row of blocks. Entries of a folder stand together, folders before files, each in restic's order; a folder's own block says
//! where they are, and comes after them, because restic lists a folder before what is in it and the sizes are known only then. The last
//! block is the table of contents, and a line at the very end says where it is: without that the file was never finished. What differs
//! between two snapshots is kept beside them in the same way.

pub mod cache;
pub mod changes;
mod format;
pub mod glob;
pub mod grow;
mod look;
pub mod make;

pub use look::Tree;

use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::Entry;
use std::sync::Arc;

/// A kind with permissions.
type Attr = (Arc<str>, Arc<str>);

/// Something is wrong with a tree's file.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// The disk says no.
    #[error("the index of the snapshot cannot be read or written: {0}")]
    Io(#[from] std::io::Error),
    /// It does not hold what it should.
    #[error("the index of the snapshot is damaged")]
    Damaged,
}

/// An entry of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// `file`, `dir`, ...; shared, because a tree has few of them.
    pub kind: Arc<str>,
    /// As `ls -l` writes it; shared too.
    pub permissions: Arc<str>,
    /// Bytes; of a folder the sum of all below it.
    pub size: Option<u64>,
    /// When it was changed.
    pub mtime: Option<Timestamp>,
    /// Where its own block is, if it is a folder.
    folder: Option<u64>,
}

impl Node {
    /// Whether it is a folder.
    #[must_use]
    pub const fn is_folder(&self) -> bool {
        self.folder.is_some()
    }

    /// As it travels.
    #[must_use]
    pub fn entry(self, parent: &str, snapshot: Option<&str>) -> Entry {
        Entry {
            path: format!("{}/{}", parent.trim_end_matches('/'), self.name),
            kind: self.kind.to_string(),
            size: self.size,
            mtime: self.mtime,
            permissions: self.permissions.to_string(),
            snapshot: snapshot.map(str::to_owned),
        }
    }
}
