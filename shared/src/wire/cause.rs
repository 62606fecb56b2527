//! Causes: why a job did not simply succeed, as a kind that programs know and words for people.

use serde::{Deserialize, Serialize};

/// Why a job did not simply succeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Cause {
    /// What kind of trouble.
    pub code: CauseCode,
    /// restic's own words, or the agent's, secrets out.
    pub message: String,
}

/// The kinds of trouble that a person is told about in plain words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CauseCode {
    /// There is no repository at the address (exit status 10).
    RepositoryMissing,
    /// Somebody else holds the repository's lock (exit status 11).
    RepositoryLocked,
    /// The repository password does not open it (exit status 12).
    WrongPassword,
    /// The storage answers to nobody at the address: refused, timed out, no such name.
    RepositoryUnreachable,
    /// The storage refuses the HTTP user or password (401).
    StorageUnauthorized,
    /// The storage lets this user in but not do this (403).
    StorageForbidden,
    /// The storage has no room (507, ENOSPC).
    StorageFull,
    /// The storage's certificate is not trusted.
    StorageTls,
    /// A repository is there already (init).
    RepositoryExists,
    /// Some of the source could not be read.
    SourceUnreadable,
    /// None of the source is there.
    SourceMissing,
    /// Somebody cancelled it.
    Cancelled,
    /// The agent died in mid-run; the run was ended.
    AgentRestarted,
    /// The agent stopped answering; set by the server.
    AgentLost,
    /// There is no restic on the host, or it does not run.
    ResticUnavailable,
    /// restic died by a signal or crashed.
    ResticCrashed,
    /// restic's version lacks what the job needs.
    ResticTooOld,
    /// The host has no usable credential for the repository.
    CredentialMissing,
    /// The agent's own disk is full or not writable.
    AgentDisk,
    /// restic ended with another error; its words say which.
    ResticFailed,
    /// The repository is damaged.
    RepositoryDamaged,
    /// A snapshot that the job needs is not there (any more).
    SnapshotMissing,
    /// The host's own policy forbids it.
    PolicyForbids,
    /// The host's credential can only append; the operation would half-succeed.
    CredentialAppendOnly,
    /// The storage refused to remove what should go.
    RemovalRefused,
    /// A path that was asked for is not in the snapshot.
    PathMissing,
    /// The place to restore to cannot be used: not writable, a link that leads elsewhere, another restore works there.
    TargetUnusable,
    /// The place to restore to has not enough room.
    TargetFull,
    /// Some of what was asked for was not restored, or not with all that belongs to it.
    RestoreIncomplete,
    /// What was restored is not what was backed up.
    RestoreDiffers,
    /// A hook before or after the backup failed, or took too long.
    HookFailed,
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}
