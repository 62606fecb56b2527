//! Why a job did not simply succeed, as a page shows it: an icon, and the words of `words::cause`.

use crate::domain::job::JobState;
use crate::words::cause as words;
pub use crate::words::cause::Names;
use restic_manager_shared::wire::job::CauseCode;
use serde::Serialize;

/// What a person is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// The icon that goes with it.
    pub icon: &'static str,
    /// What happened.
    pub title: String,
    /// What it means.
    pub meaning: String,
    /// What to do, first things first.
    pub steps: Vec<&'static str>,
}

/// A cause in plain words.
#[must_use]
pub fn explain(code: CauseCode, names: Names<'_>) -> Told {
    Told {
        icon: icon(code),
        title: words::title(code, names),
        meaning: words::meaning(code).into(),
        steps: words::steps(code).to_vec(),
    }
}

const fn icon(code: CauseCode) -> &'static str {
    match code {
        CauseCode::RepositoryMissing | CauseCode::RepositoryExists => "repo",
        CauseCode::RepositoryLocked | CauseCode::StorageForbidden => "lock",
        CauseCode::WrongPassword | CauseCode::StorageUnauthorized | CauseCode::CredentialMissing => "key",
        CauseCode::RepositoryUnreachable => "offline",
        CauseCode::StorageFull | CauseCode::AgentDisk => "gauge",
        CauseCode::StorageTls => "shield-no",
        CauseCode::SourceUnreadable | CauseCode::AgentRestarted => "warn",
        CauseCode::SourceMissing => "folder",
        CauseCode::Cancelled => "off",
        CauseCode::AgentLost => "never",
        CauseCode::ResticUnavailable => "wrench",
        CauseCode::ResticTooOld => "release",
        CauseCode::RepositoryDamaged => "shield-no",
        CauseCode::SnapshotMissing | CauseCode::PathMissing => "never",
        CauseCode::TargetUnusable => "folder",
        CauseCode::TargetFull => "gauge",
        CauseCode::RestoreIncomplete => "warn",
        CauseCode::RestoreDiffers => "shield-no",
        CauseCode::HookFailed => "hook",
        CauseCode::PolicyForbids | CauseCode::CredentialAppendOnly | CauseCode::RemovalRefused => "lock",
        CauseCode::ResticCrashed | CauseCode::ResticFailed | CauseCode::Unknown => "bad",
    }
}

/// Why nothing came of a fire.
#[must_use]
pub fn nothing_came(state: JobState, Names { host, .. }: Names<'_>) -> Option<Told> {
    let told = |icon, (title, meaning, steps): words::Nothing| Told {
        icon,
        title,
        meaning: meaning.into(),
        steps: steps.to_vec(),
    };
    match state {
        JobState::Skipped => Some(told("off", words::skipped())),
        JobState::Missed => Some(told("clock", words::missed(host))),
        JobState::Queued
        | JobState::Dispatched
        | JobState::Running
        | JobState::Succeeded
        | JobState::Warning
        | JobState::Failed
        | JobState::Cancelled
        | JobState::Lost => None,
    }
}
