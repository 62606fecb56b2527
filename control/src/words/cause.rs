//! Why a job did not simply succeed, in plain words: what happened, what it means, what to do. restic's own words stand beside it,
//! unchanged; nothing is read out of them here.

use restic_manager_shared::wire::job::CauseCode;

/// The names that a cause is told with.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    /// The host.
    pub host: &'a str,
    /// The repository.
    pub repository: &'a str,
}

/// What happened.
#[must_use]
pub fn title(code: CauseCode, Names { host, repository }: Names<'_>) -> String {
    match code {
        CauseCode::RepositoryMissing => format!("There is no repository at the address of {repository}"),
        CauseCode::RepositoryLocked => format!("The repository {repository} is locked"),
        CauseCode::WrongPassword => format!("The password kept for {repository} does not open it"),
        CauseCode::RepositoryUnreachable => format!("{repository} cannot be reached"),
        CauseCode::StorageUnauthorized => {
            format!("The storage of {repository} refuses this host\u{2019}s user or password")
        }
        CauseCode::StorageForbidden => format!("This host may not write to {repository}"),
        CauseCode::StorageFull => format!("The storage of {repository} is full"),
        CauseCode::StorageTls => format!("The certificate of {repository}\u{2019}s storage is not trusted"),
        CauseCode::RepositoryExists => format!("There is a repository at the address of {repository} already"),
        CauseCode::SourceUnreadable => "Some files were skipped".into(),
        CauseCode::SourceMissing => format!("None of the paths is there on {host}"),
        CauseCode::Cancelled => "Cancelled".into(),
        CauseCode::AgentRestarted => format!("The agent on {host} was stopped in the middle of this run"),
        CauseCode::AgentLost => format!("{host} stopped answering"),
        CauseCode::ResticUnavailable => format!("There is no working restic on {host}"),
        CauseCode::ResticCrashed => format!("restic crashed on {host}"),
        CauseCode::ResticTooOld => format!("restic on {host} is too old for this"),
        CauseCode::CredentialMissing => format!("{host} has no usable credential for {repository}"),
        CauseCode::AgentDisk => format!("The agent\u{2019}s own disk on {host} is full or not writable"),
        CauseCode::ResticFailed => format!("restic failed on {host}"),
        CauseCode::RepositoryDamaged => format!("The repository {repository} is damaged"),
        CauseCode::SnapshotMissing => format!("A snapshot that this needs is not in {repository}"),
        CauseCode::PolicyForbids => format!("{host} does not allow this"),
        CauseCode::CredentialAppendOnly => format!("The credential of {host} can only append"),
        CauseCode::RemovalRefused => format!("The storage of {repository} refused to remove something"),
        CauseCode::PathMissing => "Something that was asked for is not in the snapshot".into(),
        CauseCode::TargetUnusable => format!("The place to restore to cannot be used on {host}"),
        CauseCode::TargetFull => format!("There is not enough room on {host}"),
        CauseCode::RestoreIncomplete => "Not everything was restored with all that belongs to it".into(),
        CauseCode::RestoreDiffers => format!("What was restored from {repository} is not what was backed up"),
        CauseCode::HookFailed => format!("A hook of {host} failed"),
        CauseCode::Unknown => format!("The job failed on {host}"),
    }
}

/// Somebody stopped it.
#[must_use]
pub fn cancelled_by(who: &str) -> String {
    format!("Cancelled by {who}")
}

/// A lock that is known: whose process it is.
#[must_use]
pub fn lock_of(pid: u32, user: &str, hostname: &str, exclusive: bool) -> String {
    let (kind, of) = (if exclusive { "exclusive" } else { "shared" }, if user.is_empty() { "" } else { " of " });
    format!("{kind}, process {pid}{of}{user} on {hostname}")
}

/// What it means.
#[must_use]
pub const fn meaning(code: CauseCode) -> &'static str {
    match code {
        CauseCode::RepositoryMissing => "The storage answers, but holds no restic repository there.",
        CauseCode::RepositoryLocked => "Another restic holds its lock. While the lock is there, nobody else can write.",
        CauseCode::WrongPassword => "It was changed elsewhere, or the address now leads to another repository.",
        CauseCode::RepositoryUnreachable => "Nothing answers at its address from this host. No data was moved.",
        CauseCode::StorageUnauthorized => "The storage answers, but does not let this host in.",
        CauseCode::StorageForbidden => {
            "The storage knows this host\u{2019}s user, but does not allow what restic asked for."
        }
        CauseCode::StorageFull => "Older snapshots are not harmed. Nothing new can be stored until there is room.",
        CauseCode::StorageTls => "The host refuses to talk to a storage that it cannot identify.",
        CauseCode::RepositoryExists => "Nothing was changed there.",
        CauseCode::SourceUnreadable => {
            "restic could not read all that it was given. The snapshot is usable; it only lacks what is listed below."
        }
        CauseCode::SourceMissing => "There was nothing to back up, so no snapshot was made.",
        CauseCode::Cancelled => "What was uploaded stays and makes the next run faster. No snapshot was made.",
        CauseCode::AgentRestarted => "The run was ended with it. No snapshot was made by it.",
        CauseCode::AgentLost => {
            "It is not known how this run ended. If the agent comes back and has a result, it replaces this."
        }
        CauseCode::ResticUnavailable => "The agent runs the restic that is installed there, and found none that runs.",
        CauseCode::ResticCrashed => "It did not end by itself. Memory that ran out is a common reason.",
        CauseCode::ResticTooOld => "The job needs something that this version lacks.",
        CauseCode::CredentialMissing => "restic was not started.",
        CauseCode::AgentDisk => "The agent notes a job on disk before it starts it, so it did not start this one.",
        CauseCode::RepositoryDamaged => {
            "Some of what is stored is lost or altered. Which snapshots need it is listed below as far as it could be found out; the others can be restored."
        }
        CauseCode::SnapshotMissing => {
            "It was removed meanwhile, or by somebody else. The list here is brought up to date by itself."
        }
        CauseCode::PolicyForbids => "The policy file on the host has the last word, whatever is asked for here.",
        CauseCode::CredentialAppendOnly => "On it this would half-succeed and leave litter, so restic was not started.",
        CauseCode::RemovalRefused => {
            "Nothing is lost, but nothing was removed either: the storage lets this user only add."
        }
        CauseCode::PathMissing => "restic was not started. A path counts exactly as the snapshot lists it.",
        CauseCode::TargetUnusable => "The agent looked before the start. Nothing was changed there.",
        CauseCode::TargetFull => "What is at the target already stays. The same restore again goes on from there.",
        CauseCode::RestoreIncomplete => {
            "What is not listed below was restored. What is listed lacks its content, its owner, or something else of it."
        }
        CauseCode::RestoreDiffers => "What is listed below cannot be trusted to come back from this snapshot.",
        CauseCode::HookFailed => {
            "If it was the one before the backup, nothing was backed up. If it was the one after it, the snapshot is whole, but what the hook was to do is not done."
        }
        CauseCode::ResticFailed => "It could not finish its work. Its own words below say why.",
        CauseCode::Unknown => "The agent names a reason that this server does not know. Its own words stand below.",
    }
}

/// What to do, first things first.
#[must_use]
pub const fn steps(code: CauseCode) -> &'static [&'static str] {
    match code {
        CauseCode::RepositoryMissing => &[
            "Check the address on the repository\u{2019}s page.",
            "If the repository is new, let a host make it: tick \u{201c}Make it if it is missing\u{201d} there, and run again.",
        ],
        CauseCode::RepositoryLocked => &[
            "See on the repository\u{2019}s page who holds the lock. If that process still runs, wait for it.",
            "If it does not, remove the lock there, then run again.",
        ],
        CauseCode::WrongPassword => &["Enter the right password on the repository\u{2019}s page."],
        CauseCode::RepositoryUnreachable => {
            &["Check that the storage runs and that this host can reach it.", "Then run again."]
        }
        CauseCode::StorageUnauthorized | CauseCode::CredentialMissing => {
            &["Give the host the right storage user and password on the repository\u{2019}s page."]
        }
        CauseCode::StorageForbidden => {
            &["Check what that user may do at the storage, and that the address is the user\u{2019}s own."]
        }
        CauseCode::StorageFull => &["Make room at the storage, or give it more.", "Then run again."],
        CauseCode::StorageTls => &["Check the certificate, or give the agent the authority that signed it."],
        CauseCode::RepositoryExists => &["If it is yours, enter its password and use it."],
        CauseCode::SourceUnreadable => &[
            "See the list below. A path that is gone can be taken out of the schedule; a file that is open elsewhere is often readable next time.",
        ],
        CauseCode::SourceMissing => &["Check the schedule\u{2019}s paths, and that the disk is mounted."],
        CauseCode::Cancelled => &[],
        CauseCode::AgentRestarted => &["Run again."],
        CauseCode::AgentLost => &["Check that the machine is on and reaches this server."],
        CauseCode::ResticUnavailable => &["Install restic on the host, or tell the agent where it is."],
        CauseCode::ResticCrashed => &["See its last words below and the machine\u{2019}s own log."],
        CauseCode::ResticTooOld => &["Install a newer restic on the host."],
        CauseCode::AgentDisk => &["Make room on the host, then run again."],
        CauseCode::RepositoryDamaged => &[
            "Copy the repository\u{2019}s files away before anything else.",
            "Run repair packs for the damaged packs, then repair snapshots.",
            "Run a backup of each host: what its source still has is stored anew.",
        ],
        CauseCode::SnapshotMissing => &["List the snapshots anew, and choose again."],
        CauseCode::PolicyForbids => &["If it should be allowed, change policy.toml on the host."],
        CauseCode::CredentialAppendOnly | CauseCode::RemovalRefused => {
            &["Let the repository\u{2019}s maintenance host do it, with a full credential."]
        }
        CauseCode::PathMissing => &["Browse the snapshot, and choose again."],
        CauseCode::TargetUnusable => &["Choose another folder, or let the agent write there."],
        CauseCode::TargetFull => &["Make room there or choose another folder.", "Then restore again."],
        CauseCode::RestoreIncomplete => &["See the list below. To set owners the agent must run as root."],
        CauseCode::RestoreDiffers => {
            &["Run a check that reads the data.", "Run a backup: what the source still has is stored anew."]
        }
        CauseCode::HookFailed => {
            &["See its own words below, and mend the program in the host\u{2019}s hooks folder.", "Then run again."]
        }
        CauseCode::ResticFailed | CauseCode::Unknown => &["Act on what it says, then run again."],
    }
}

/// What the link says that leads to where the first thing to do is done; none if that is no page of ours.
#[must_use]
pub const fn remedy(code: CauseCode) -> Option<&'static str> {
    match code {
        CauseCode::RepositoryLocked => Some("Look at the lock"),
        CauseCode::RepositoryMissing | CauseCode::RepositoryExists => Some("Check the address"),
        CauseCode::WrongPassword => Some("Enter the password"),
        CauseCode::StorageUnauthorized | CauseCode::CredentialMissing => Some("Give it a credential"),
        CauseCode::StorageForbidden => Some("Its credential"),
        CauseCode::StorageFull | CauseCode::RepositoryUnreachable | CauseCode::StorageTls => {
            Some("Open the repository")
        }
        CauseCode::SourceUnreadable | CauseCode::SourceMissing => Some("Open the schedule"),
        CauseCode::AgentLost
        | CauseCode::AgentDisk
        | CauseCode::ResticUnavailable
        | CauseCode::ResticCrashed
        | CauseCode::ResticTooOld
        | CauseCode::PolicyForbids => Some("Open the host"),
        CauseCode::RepositoryDamaged => Some("Repair"),
        CauseCode::SnapshotMissing => Some("List snapshots"),
        CauseCode::RestoreDiffers => Some("Check the data"),
        CauseCode::CredentialAppendOnly | CauseCode::RemovalRefused => Some("Do it on the maintenance host"),
        CauseCode::PathMissing | CauseCode::TargetUnusable | CauseCode::TargetFull | CauseCode::RestoreIncomplete => {
            Some("Restore files")
        }
        CauseCode::Cancelled
        | CauseCode::AgentRestarted
        | CauseCode::ResticFailed
        | CauseCode::HookFailed
        | CauseCode::Unknown => None,
    }
}

/// What is told of a fire that came to nothing: what happened, what it means, what to do.
pub type Nothing = (String, &'static str, &'static [&'static str]);

/// A fire that was passed over, because the run before was not over.
#[must_use]
pub fn skipped() -> Nothing {
    (
        "The last run was still going on".into(),
        "One run of a schedule at a time: this fire was passed over, and its own next one comes as usual.",
        &["If this happens often, let the schedule fire less often."],
    )
}

/// A fire that a host slept through.
#[must_use]
pub fn missed(host: &str) -> Nothing {
    (
        format!("{host} did not run this"),
        "The host has followed the schedule past this time without running it: it slept or was down for longer than the schedule makes up for.",
        &["Run the schedule now.", "Let it make up for fires that are later, under Fires in its form."],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_has_words_of_its_own() {
        let names = Names { host: "web-01", repository: "dc-main" };
        let all = [
            CauseCode::RepositoryMissing,
            CauseCode::RepositoryLocked,
            CauseCode::WrongPassword,
            CauseCode::RepositoryUnreachable,
            CauseCode::StorageUnauthorized,
            CauseCode::StorageForbidden,
            CauseCode::StorageFull,
            CauseCode::StorageTls,
            CauseCode::RepositoryExists,
            CauseCode::SourceUnreadable,
            CauseCode::SourceMissing,
            CauseCode::Cancelled,
            CauseCode::AgentRestarted,
            CauseCode::AgentLost,
            CauseCode::ResticUnavailable,
            CauseCode::ResticCrashed,
            CauseCode::ResticTooOld,
            CauseCode::CredentialMissing,
            CauseCode::AgentDisk,
            CauseCode::ResticFailed,
            CauseCode::RepositoryDamaged,
            CauseCode::SnapshotMissing,
            CauseCode::PolicyForbids,
            CauseCode::CredentialAppendOnly,
            CauseCode::RemovalRefused,
            CauseCode::PathMissing,
            CauseCode::TargetUnusable,
            CauseCode::TargetFull,
            CauseCode::RestoreIncomplete,
            CauseCode::RestoreDiffers,
            CauseCode::HookFailed,
        ];
        let titles: std::collections::BTreeSet<String> = all.iter().map(|code| title(*code, names)).collect();
        assert_eq!(titles.len(), all.len());
    }
}
