//! Settings: what holds in general, users, API tokens, the audit log, releases of the agent. For administrators.

pub mod audit;
pub mod general;
pub mod releases;
pub mod rollout;
pub mod subject;
pub mod tokens;
mod upload;
pub mod users;

use crate::domain::permission::Role;
use serde::Serialize;

/// A role to choose, and what it may do.
#[derive(Clone, Debug, Serialize)]
pub struct RoleChoice {
    /// Its word.
    pub word: &'static str,
    /// What it may do.
    pub may: &'static str,
}

/// Something that people do here, and which roles may.
#[derive(Clone, Debug, Serialize)]
pub struct RightLine {
    /// What.
    pub what: &'static str,
    /// Of each of [`roles`], whether it may.
    pub may: Vec<bool>,
}

/// All of it, as a table.
#[must_use]
pub fn rights() -> Vec<RightLine> {
    let line = |(what, needed): (&'static str, Role)| RightLine {
        what,
        may: Role::ALL.iter().map(|role| role.covers(needed)).collect(),
    };
    crate::words::state::RIGHTS.map(line).to_vec()
}

/// The roles, the weakest first.
#[must_use]
pub fn roles() -> Vec<RoleChoice> {
    let choice = |role: Role| RoleChoice { word: role.as_str(), may: crate::words::state::may(role) };
    Role::ALL.iter().copied().map(choice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::operation::JobKind;

    #[test]
    fn the_table_of_roles_agrees_with_the_operations() {
        for (what, kinds) in [
            (
                "Restore files, check, forget, prune, remove locks",
                &[JobKind::Restore, JobKind::Check, JobKind::Forget, JobKind::Prune, JobKind::Unlock][..],
            ),
            ("Run now, cancel, acknowledge alerts", &[JobKind::Backup]),
            (
                "Repositories, their repair, credentials and plans",
                &[JobKind::Init, JobKind::RepairIndex, JobKind::RepairPacks, JobKind::RepairSnapshots],
            ),
        ] {
            let line = rights().into_iter().find(|line| line.what == what).expect("a line");
            for kind in kinds {
                let may: Vec<bool> = Role::ALL.iter().map(|role| role.covers(kind.operation().role)).collect();
                assert_eq!(line.may, may, "{what}: {kind:?}");
            }
        }
    }
}
