//! How a run ended and why, from all that is known about it. Pure. restic's exit status alone does not say: its meaning differs by
//! version and command, and before 0.17 nearly everything is 1 and only the words tell.

use super::command::Command;
use super::process::{Exit, StopReason};
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::wire::job::{Cause, CauseCode, End};

/// All that is known.
#[derive(Clone, Debug)]
pub struct Evidence<'a> {
    /// The restic that ran.
    pub version: Version,
    /// What it was asked.
    pub command: Command,
    /// How the process ended.
    pub exit: Exit,
    /// Why it was stopped from outside, if it was.
    pub stopped: Option<StopReason>,
    /// It had to be killed.
    pub killed: bool,
    /// It said what it did: the summary of a backup, the list of snapshots, the word of a new repository.
    pub result: bool,
    /// Ids of snapshots that it was given and did not find.
    pub unknown_ids: &'a [String],
    /// Given paths that were not there.
    pub missing_paths: u64,
    /// Its last words.
    pub last_words: &'a str,
    /// All of its standard error that is kept.
    pub all_words: &'a str,
}

/// The judgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// How it ended.
    pub end: End,
    /// Why, unless it succeeded.
    pub cause: Option<Cause>,
}

impl Verdict {
    /// An end with a cause.
    #[must_use]
    pub fn because(end: End, code: CauseCode, message: impl Into<String>) -> Self {
        Self { end, cause: Some(Cause { code, message: message.into() }) }
    }

    /// A failure.
    #[must_use]
    pub fn failed(code: CauseCode, message: impl Into<String>) -> Self {
        Self::because(End::Failed, code, message)
    }

    /// The cause's code, if there is one.
    #[must_use]
    pub fn code(&self) -> Option<CauseCode> {
        self.cause.as_ref().map(|c| c.code)
    }
}

const SUCCEEDED: Verdict = Verdict { end: End::Succeeded, cause: None };

/// Judges a run.
#[must_use]
pub fn judge(e: &Evidence<'_>) -> Verdict {
    match (e.exit, e.stopped) {
        // It was done before the stop reached it.
        (Exit::Code(0 | 3), Some(_)) if e.result => by_status(e, if e.exit == Exit::Code(0) { 0 } else { 3 }),
        (_, Some(reason)) => stopped(e, reason),
        (Exit::Signal(signal), None) => Verdict::failed(CauseCode::ResticCrashed, died_by(signal, e.last_words)),
        (Exit::Code(status), None) => by_status(e, status),
    }
}

fn stopped(e: &Evidence<'_>, reason: StopReason) -> Verdict {
    match reason {
        StopReason::Cancelled => {
            let left = if e.killed { ". It had to be killed, and a lock of it may have stayed" } else { "" };
            let message = format!("cancelled; {}{left}", e.command.when_stopped());
            Verdict::because(End::Cancelled, CauseCode::Cancelled, message)
        }
        StopReason::FeederFailed => Verdict::failed(
            CauseCode::SourceUnreadable,
            format!("the hook failed, so no snapshot was made: {}", or(e.last_words, "it said nothing")),
        ),
        StopReason::AgentStops => Verdict::failed(
            CauseCode::AgentRestarted,
            "the agent was stopped while the job ran, and stopped restic with it",
        ),
        StopReason::Unreachable => {
            let code = by_words(e.all_words).filter(|c| *c != CauseCode::RepositoryMissing);
            let message = last_line(e.all_words).unwrap_or("the storage does not answer");
            Verdict::failed(code.unwrap_or(CauseCode::RepositoryUnreachable), message)
        }
    }
}

fn by_status(e: &Evidence<'_>, status: i32) -> Verdict {
    match status {
        0 => done(e),
        // Since 0.19; before, only a look afterwards tells.
        3 if e.command == Command::Forget => {
            Verdict::failed(CauseCode::RemovalRefused, or(e.last_words, "the storage refused to remove snapshots"))
        }
        3 if e.command == Command::Backup && e.result => Verdict::because(
            End::Warning,
            CauseCode::SourceUnreadable,
            "the snapshot was made, but some of the source could not be read",
        ),
        2 => Verdict::failed(CauseCode::ResticCrashed, or(e.last_words, "restic crashed")),
        10 => Verdict::failed(CauseCode::RepositoryMissing, or(e.last_words, "there is no repository at the address")),
        11 => Verdict::failed(CauseCode::RepositoryLocked, or(e.last_words, "the repository is locked")),
        12 => Verdict::failed(CauseCode::WrongPassword, or(e.last_words, "wrong password or no key found")),
        130 => Verdict::failed(CauseCode::ResticFailed, "restic was interrupted, but not by this agent"),
        _ => {
            let words = if e.all_words.is_empty() { e.last_words } else { e.all_words };
            // Of a session that did not begin ssh has said before why.
            let is_told = e.command == Command::Check || e.last_words.contains(NO_SESSION);
            let last = if is_told { None } else { by_words(e.last_words) };
            let missing = misses_a_snapshot(words).then_some(CauseCode::SnapshotMissing);
            let code = last.or(missing).or_else(|| by_words(words)).unwrap_or(CauseCode::ResticFailed);
            Verdict::failed(code, or(e.last_words, &format!("restic ended with status {status} and said nothing")))
        }
    }
}

/// Status 0 counts only together with what restic says it did.
fn done(e: &Evidence<'_>) -> Verdict {
    // To remove one that is gone already is no trouble.
    if !e.unknown_ids.is_empty() && e.command != Command::Forget {
        let message = format!("not in the repository (any more): {}", e.unknown_ids.join(", "));
        return Verdict::failed(CauseCode::SnapshotMissing, message);
    }
    if !e.result {
        return Verdict::failed(CauseCode::ResticFailed, "restic ended with status 0 but did not say what it did");
    }
    if e.command == Command::Backup && e.missing_paths > 0 {
        // Before 0.19 a given path that is not there is no error to restic. To the person who gave it, it is.
        let message = format!("the snapshot was made without the given paths that do not exist: {}", e.missing_paths);
        return Verdict::because(End::Warning, CauseCode::SourceUnreadable, message);
    }
    SUCCEEDED
}

/// What restic says when ssh ended before it was connected, whatever the reason.
const NO_SESSION: &str = "unable to start the sftp session";

/// restic's words for each kind of trouble; the first that matches counts. Every version's words were seen in its real output.
const WORDS: &[(&str, CauseCode)] = &[
    ("wrong password or no key found", CauseCode::WrongPassword),
    ("an empty password is not", CauseCode::CredentialMissing),
    ("unknown flag:", CauseCode::ResticTooOld),
    ("unexpected HTTP response (401)", CauseCode::StorageUnauthorized),
    ("401 Unauthorized", CauseCode::StorageUnauthorized),
    ("unexpected HTTP response (403)", CauseCode::StorageForbidden),
    ("403 Forbidden", CauseCode::StorageForbidden),
    ("unexpected HTTP response (507)", CauseCode::StorageFull),
    ("507 Insufficient Storage", CauseCode::StorageFull),
    // S3 says it in the server's words, ssh in its own.
    ("Access Key Id you provided does not exist", CauseCode::StorageUnauthorized),
    ("ssh: Host key verification failed", CauseCode::StorageTls),
    ("Permission denied (", CauseCode::StorageUnauthorized),
    ("restic-temp-pack", CauseCode::AgentDisk),
    ("unable to locate cache directory", CauseCode::AgentDisk),
    ("no space left on device", CauseCode::StorageFull),
    ("x509:", CauseCode::StorageTls),
    ("tls:", CauseCode::StorageTls),
    ("server gave HTTP response to HTTPS client", CauseCode::StorageTls),
    ("unable to read root certificate", CauseCode::StorageTls),
    ("repository is already locked", CauseCode::RepositoryLocked),
    ("unable to create lock in backend", CauseCode::RepositoryLocked),
    ("config file already exists", CauseCode::RepositoryExists),
    ("connection refused", CauseCode::RepositoryUnreachable),
    ("no such host", CauseCode::RepositoryUnreachable),
    ("no route to host", CauseCode::RepositoryUnreachable),
    ("network is unreachable", CauseCode::RepositoryUnreachable),
    ("i/o timeout", CauseCode::RepositoryUnreachable),
    ("dial tcp", CauseCode::RepositoryUnreachable),
    ("connection reset by peer", CauseCode::RepositoryUnreachable),
    ("connectex:", CauseCode::RepositoryUnreachable),
    (NO_SESSION, CauseCode::RepositoryUnreachable),
    ("repository does not exist", CauseCode::RepositoryMissing),
    ("unable to open config file", CauseCode::RepositoryMissing),
    ("all source directories/files do not exist", CauseCode::SourceMissing),
    ("all target directories/files do not exist", CauseCode::SourceMissing),
    ("failed to start command:", CauseCode::SourceUnreadable),
    ("command failed:", CauseCode::SourceUnreadable),
    // Last, because a storage that cannot be reached makes restic say so too.
    ("repository contains errors", CauseCode::RepositoryDamaged),
    ("ciphertext verification failed", CauseCode::RepositoryDamaged),
    ("invalid data returned", CauseCode::RepositoryDamaged),
    ("not found in repository", CauseCode::RepositoryDamaged),
    ("packs from index missing in repo", CauseCode::RepositoryDamaged),
    ("index is not complete", CauseCode::RepositoryDamaged),
];

/// The kind of trouble that the words tell of.
#[must_use]
pub fn by_words(words: &str) -> Option<CauseCode> {
    WORDS.iter().find(|(needle, _)| words.contains(needle)).map(|(_, code)| *code)
}

/// Whether a snapshot that was named is not there. What cannot be read for another reason is another trouble.
fn misses_a_snapshot(words: &str) -> bool {
    let gone = ["no such file", "not exist", "(404)", "cannot find the file", "NoSuchKey"];
    words.lines().any(|l| {
        l.contains("no matching ID found for prefix")
            || (l.contains("failed to load snapshot") && gone.iter().any(|g| l.contains(g)))
    })
}

fn died_by(signal: i32, words: &str) -> String {
    let who = match signal {
        9 => "restic was killed (signal 9; the system does that when memory runs out)".to_owned(),
        0 => "restic was killed".to_owned(),
        n => format!("restic died by signal {n}"),
    };
    if words.is_empty() { who } else { format!("{who}: {words}") }
}

fn or<'a>(words: &'a str, otherwise: &'a str) -> &'a str {
    if words.is_empty() { otherwise } else { words }
}

fn last_line(words: &str) -> Option<&str> {
    words.lines().map(str::trim).rfind(|l| !l.is_empty())
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
