//! Restores, archives and drills on the wire: where to, over what, and what came of it. The tasks themselves are in [`super::job`].

use serde::{Deserialize, Serialize};

/// The most examples of a preview that travel; the rest is counted.
pub const MAX_EXAMPLES: usize = 500;
/// The most files of a drill.
pub const MAX_DRILL_FILES: usize = 1_000;
/// The most paths of a restore.
pub const MAX_RESTORE_PATHS: usize = 20_000;
/// The most bytes of all paths of a restore together: an offer must fit a body.
pub const MAX_RESTORE_PATH_BYTES: usize = 700 * 1024;

/// Where files are brought back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "to", rename_all = "snake_case")]
pub enum RestoreTarget {
    /// Where they were.
    Original,
    /// Below a folder of the host, with their whole paths: `/srv/a` comes to `FOLDER/srv/a`.
    Folder {
        /// An absolute path on the host; made if it is not there.
        path: String,
    },
}

/// What becomes of files that are there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Overwrite {
    /// They are replaced unless their content is the same.
    Always,
    /// They are replaced if size or time differ, without reading those that do not.
    IfChanged,
    /// They are replaced if the snapshot's is newer.
    IfNewer,
    /// They stay.
    #[default]
    Never,
}

/// Of which format an archive is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ArchiveFormat {
    /// tar.
    #[default]
    Tar,
    /// zip.
    Zip,
}

/// What a restore did, or with a dry run would do. What could not be restored or set is among the report's `item_errors`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct RestoreReport {
    /// Nothing was done.
    pub dry_run: bool,
    /// The real place on the host, links followed; `/` for where they were.
    pub target: String,
    /// Files that were not there before (empty folders count as such); none if this restic does not tell them apart.
    pub created: Option<u64>,
    /// Files that were there and were replaced.
    pub overwritten: Option<u64>,
    /// Files that were there and were left as they are: the same already, or kept by the overwrite policy.
    pub kept: Option<u64>,
    /// Entries removed because the snapshot does not have them.
    pub deleted: u64,
    /// Files and folders restored in all.
    pub restored: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Files with content that were read back and found equal; none if that was not asked for, or did not come to its end.
    pub verified: Option<u64>,
    /// Free bytes at the target before the start; none if the system does not say.
    pub free_bytes: Option<u64>,
    /// What would be overwritten or deleted, at most [`MAX_EXAMPLES`]; with a dry run only.
    pub examples: Vec<RestoreExample>,
    /// How many more there were.
    pub examples_omitted: u64,
    /// Files that would be new, at most [`MAX_EXAMPLES`]; with a dry run only. Older agents name none. How many there are says `created`.
    pub new_examples: Vec<RestoreExample>,
    /// It ended in the middle: what was restored so far is at the target, and the same restore again goes on from there.
    pub partial: bool,
}

/// What a restore would do to one entry that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RestoreExample {
    /// The path in the snapshot; of what is deleted the path on the host.
    pub path: String,
    /// What.
    pub action: RestoreAction,
    /// The size that it would have; 0 for what is deleted.
    #[serde(default)]
    pub size: u64,
}

/// What a restore does to an entry that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum RestoreAction {
    /// It is replaced.
    Overwrite,
    /// It is removed.
    Delete,
    /// It was not there before.
    Create,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// How a file was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Byte for byte as the file on the host, which has not changed since the snapshot.
    EqualToSource,
    /// The file on the host has changed or is gone; restic read the restored file back and its hashes fit.
    HashVerified,
    /// It was restored, but is not what was backed up.
    Differs,
    /// It could not be restored.
    NotRestored,
    /// It is not in the snapshot.
    NotThere,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

/// What a drill found out about one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DrilledFile {
    /// Its path in the snapshot.
    pub path: String,
    /// Its size there.
    pub size: u64,
    /// What was found out.
    pub proof: Proof,
    /// Why, if it is not proven.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

/// What a drill found out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct DrillReport {
    /// The snapshot.
    pub snapshot: String,
    /// Each file, at most [`MAX_DRILL_FILES`].
    pub files: Vec<DrilledFile>,
    /// How many are proven.
    pub proven: u64,
    /// How many are not what was backed up, or could not be restored.
    pub failed: u64,
    /// How many were left out because they would have been too much.
    pub left_out: u64,
    /// Bytes restored.
    pub bytes: u64,
    /// How many files the snapshot has.
    pub snapshot_files: u64,
}
