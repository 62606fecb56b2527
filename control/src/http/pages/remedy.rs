//! Where the first thing to do after a failed job is done: the link below its cause. What is to be done, and what the link says, stands in
//! `words::cause`.

use super::door::address;
use crate::domain::permission::Role;
use restic_manager_shared::wire::job::CauseCode;
use serde::Serialize;

/// A way to where it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remedy {
    /// Where.
    pub href: String,
    /// What it says.
    pub text: &'static str,
    /// The word of the role that can do it there; others are not sent there.
    pub role: &'static str,
}

/// What a job is about, as far as it is there still.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    /// The host's identity.
    pub host: &'a str,
    /// The repository's.
    pub repository: Option<&'a str>,
    /// The schedule's.
    pub schedule: Option<&'a str>,
}

impl Places<'_> {
    fn at_repository(&self, tab: &str) -> Option<String> {
        self.repository.map(|id| format!("/repositories/{id}{tab}"))
    }

    fn credential(&self) -> Option<String> {
        self.repository.map(|id| address(&format!("/repositories/{id}/hosts"), &[("host", self.host)]))
    }
}

/// The first thing to do, where a page of ours is the place for it.
#[must_use]
pub fn remedy(code: CauseCode, at: Places<'_>) -> Option<Remedy> {
    let host = || Some(format!("/hosts/{}", at.host));
    let restore = || Some(format!("/restore?host={}", at.host));
    let (role, href) = match code {
        CauseCode::RepositoryLocked => (Role::Viewer, at.at_repository("#locks")),
        CauseCode::RepositoryMissing | CauseCode::RepositoryExists => (Role::Admin, at.at_repository("/settings")),
        CauseCode::WrongPassword => (Role::Admin, at.at_repository("/settings")),
        CauseCode::StorageUnauthorized | CauseCode::CredentialMissing => (Role::Admin, at.credential()),
        CauseCode::StorageForbidden => (Role::Admin, at.credential()),
        CauseCode::StorageFull | CauseCode::RepositoryUnreachable | CauseCode::StorageTls => {
            (Role::Viewer, at.at_repository(""))
        }
        CauseCode::SourceUnreadable | CauseCode::SourceMissing => {
            (Role::Operator, at.schedule.map(|id| format!("/schedules/{id}/edit")))
        }
        CauseCode::AgentLost
        | CauseCode::AgentDisk
        | CauseCode::ResticUnavailable
        | CauseCode::ResticCrashed
        | CauseCode::ResticTooOld
        | CauseCode::PolicyForbids => (Role::Viewer, host()),
        CauseCode::RepositoryDamaged => (Role::Admin, at.at_repository("/operations?kind=repair_packs")),
        CauseCode::SnapshotMissing => (Role::Operator, at.at_repository("/operations?kind=snapshots")),
        CauseCode::RestoreDiffers => (Role::Operator, at.at_repository("/operations?kind=check")),
        CauseCode::CredentialAppendOnly | CauseCode::RemovalRefused => {
            (Role::Operator, at.at_repository("/operations"))
        }
        CauseCode::PathMissing | CauseCode::TargetUnusable | CauseCode::TargetFull | CauseCode::RestoreIncomplete => {
            (Role::Operator, restore())
        }
        CauseCode::Cancelled
        | CauseCode::AgentRestarted
        | CauseCode::ResticFailed
        | CauseCode::HookFailed
        | CauseCode::Unknown => return None,
    };
    let text = crate::words::cause::remedy(code)?;
    href.map(|href| Remedy { href, text, role: role.as_str() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_to_do_has_a_place_where_it_is_done() {
        let all = Places { host: "h", repository: Some("r"), schedule: Some("s") };
        let gone = Places { repository: None, schedule: None, ..all };
        for (code, href, role) in [
            (CauseCode::RepositoryLocked, "/repositories/r#locks", "viewer"),
            (CauseCode::WrongPassword, "/repositories/r/settings", "admin"),
            (CauseCode::StorageUnauthorized, "/repositories/r/hosts?host=h", "admin"),
            (CauseCode::SourceUnreadable, "/schedules/s/edit", "operator"),
            (CauseCode::RepositoryDamaged, "/repositories/r/operations?kind=repair_packs", "admin"),
        ] {
            let told = remedy(code, all).expect("there is one");
            assert_eq!((told.href.as_str(), told.role), (href, role));
            assert_eq!(remedy(code, gone), None, "what is gone is not linked to");
        }
        assert_eq!(remedy(CauseCode::AgentLost, gone).map(|r| r.href).as_deref(), Some("/hosts/h"));
        assert_eq!(remedy(CauseCode::Cancelled, all), None);
    }
}
