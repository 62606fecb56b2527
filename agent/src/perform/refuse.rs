//! What is refused before anything starts: operations that would half-succeed on a credential that can only append, and lists of snapshots
//! that are empty or hold something else than whole ids, because to restic an empty list means all. The control plane refuses these too;
//! a host does not rely on it.

use crate::restic::judge::Verdict;
use restic_manager_shared::restic::snapshot::is_whole_id;
use restic_manager_shared::wire::job::{CauseCode, Task};
use restic_manager_shared::wire::state::CredentialMode;

/// Whether the task may be tried with such a credential.
pub(super) fn check(task: &Task, mode: CredentialMode) -> Result<(), Verdict> {
    if mode == CredentialMode::AppendOnly && removes(task) {
        return Err(Verdict::failed(
            CauseCode::CredentialAppendOnly,
            format!(
                "this host's credential can only append, and {} removes: it would half-succeed and leave litter. It runs where the full \
                 credential is",
                crate::policy::kind(task)
            ),
        ));
    }
    lists(task)
}

/// Whether it takes anything out of the repository besides locks.
const fn removes(task: &Task) -> bool {
    match task {
        Task::Forget { dry_run, .. } => !*dry_run,
        Task::Prune { options, .. } => !options.dry_run,
        Task::Rewrite { forget, dry_run, .. } | Task::RepairSnapshots { forget, dry_run, .. } => *forget && !*dry_run,
        Task::Tag { .. } | Task::RepairIndex { .. } | Task::RepairPacks { .. } | Task::KeyRemove { .. } => true,
        Task::Backup { .. }
        | Task::Init { .. }
        | Task::Snapshots { .. }
        | Task::Ls { .. }
        | Task::Find { .. }
        | Task::Stats { .. }
        | Task::Diff { .. }
        | Task::Check { .. }
        | Task::Unlock { .. }
        | Task::Locks { .. }
        | Task::Copy { .. }
        | Task::KeyList { .. }
        | Task::KeyAdd { .. }
        | Task::CacheCleanup {}
        | Task::Version {}
        | Task::Probe { .. }
        | Task::Restore { .. }
        | Task::Archive { .. }
        | Task::Drill { .. }
        | Task::WriteAccount { .. } => false,
    }
}

/// Every id must be whole, and where a list decides what is changed it must not be empty.
fn lists(task: &Task) -> Result<(), Verdict> {
    match task {
        Task::Forget { snapshots, .. } | Task::Tag { snapshots, .. } | Task::Rewrite { snapshots, .. } => {
            named(snapshots)
        }
        Task::RepairPacks { packs, .. } => named(packs),
        Task::Find { snapshots, .. } | Task::Stats { snapshots, .. } | Task::RepairSnapshots { snapshots, .. } => {
            whole(snapshots)
        }
        Task::Copy { from, .. } => whole(&from.snapshots),
        Task::Ls { snapshot, .. }
        | Task::Restore { snapshot, .. }
        | Task::Archive { snapshot, .. }
        | Task::Drill { snapshot, .. } => whole(std::slice::from_ref(snapshot)),
        Task::Diff { from, to, .. } => whole(std::slice::from_ref(from)).and_then(|()| whole(std::slice::from_ref(to))),
        Task::KeyRemove { key, .. } if key.len() < 8 || !key.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Err(Verdict::failed(CauseCode::ResticFailed, format!("{key:?} is no id of a key")))
        }
        Task::KeyRemove { .. }
        | Task::Backup { .. }
        | Task::Init { .. }
        | Task::Snapshots { .. }
        | Task::Check { .. }
        | Task::Prune { .. }
        | Task::Unlock { .. }
        | Task::Locks { .. }
        | Task::RepairIndex { .. }
        | Task::KeyList { .. }
        | Task::KeyAdd { .. }
        | Task::CacheCleanup {}
        | Task::Version {}
        | Task::Probe { .. }
        | Task::WriteAccount { .. } => Ok(()),
    }
}

fn named(ids: &[String]) -> Result<(), Verdict> {
    if ids.is_empty() {
        return Err(Verdict::failed(
            CauseCode::ResticFailed,
            "nothing was named; to restic that would mean everything",
        ));
    }
    whole(ids)
}

fn whole(ids: &[String]) -> Result<(), Verdict> {
    match ids.iter().find(|id| !is_whole_id(id)) {
        Some(id) => Err(Verdict::failed(CauseCode::ResticFailed, format!("{id:?} is not a whole id"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::RepositoryId;
    use restic_manager_shared::wire::operation::{PruneOptions, TagChange};

    #[test]
    fn what_removes_needs_a_full_credential() {
        let r = RepositoryId::new();
        let ids = vec!["a".repeat(64)];
        let forget = |dry_run| Task::Forget { repository_id: r, snapshots: ids.clone(), dry_run };
        let prune =
            |dry_run| Task::Prune { repository_id: r, options: PruneOptions { dry_run, ..PruneOptions::default() } };
        let rewrite = |forget, dry_run| Task::Rewrite {
            repository_id: r,
            snapshots: ids.clone(),
            excludes: vec!["x".into()],
            forget,
            dry_run,
        };
        for (task, allowed) in [
            (forget(false), false),
            (forget(true), true),
            (prune(false), false),
            (prune(true), true),
            (rewrite(true, false), false),
            (rewrite(true, true), true),
            (rewrite(false, false), true),
            (Task::Tag { repository_id: r, snapshots: ids.clone(), change: TagChange::default() }, false),
            (Task::KeyRemove { repository_id: r, key: "abcdef01".into() }, false),
            (Task::KeyAdd { repository_id: r }, true),
            (Task::RepairIndex { repository_id: r, read_all_packs: false }, false),
            (Task::RepairPacks { repository_id: r, packs: ids.clone() }, false),
            (Task::Unlock { repository_id: r, dead: vec![], remove_all: true }, true),
        ] {
            let refused = check(&task, CredentialMode::AppendOnly).err().and_then(|v| v.code());
            assert_eq!(refused, (!allowed).then_some(CauseCode::CredentialAppendOnly), "{task:?}");
            assert_eq!(check(&task, CredentialMode::Full), Ok(()), "{task:?}");
        }
    }

    #[test]
    fn an_empty_list_and_half_an_id_are_refused() {
        let r = RepositoryId::new();
        for ids in [vec![], vec!["latest".to_owned()], vec!["--all".to_owned()], vec!["abcd1234".to_owned()]] {
            let task = Task::Forget { repository_id: r, snapshots: ids.clone(), dry_run: false };
            assert!(check(&task, CredentialMode::Full).is_err(), "{ids:?}");
        }
        let all = Task::Stats { repository_id: r, mode: Default::default(), snapshots: vec![] };
        assert_eq!(check(&all, CredentialMode::AppendOnly), Ok(()));
        let key = Task::KeyRemove { repository_id: r, key: "--help".into() };
        assert!(check(&key, CredentialMode::Full).is_err());
    }
}
