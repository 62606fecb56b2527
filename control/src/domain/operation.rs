//! Operations: the one table of what can be asked of restic. For each: who may ask, which credential it needs, whether others must wait,
//! what it destroys, and which restic it takes. API, pages, documentation and tests walk it.

use super::permission::Role;
use super::text_enum;
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::restore::{Overwrite, RestoreTarget};
use restic_manager_shared::wire::state::CredentialMode;
use serde::Serialize;

text_enum! {
    /// The operation.
    JobKind {
        /// Make a snapshot.
        Backup = "backup",
        /// Make the repository.
        Init = "init",
        /// List the snapshots.
        Snapshots = "snapshots",
        /// List a folder.
        Ls = "ls",
        /// Look for names.
        Find = "find",
        /// Count.
        Stats = "stats",
        /// Compare.
        Diff = "diff",
        /// Test.
        Check = "check",
        /// Remove snapshots.
        Forget = "forget",
        /// Free space.
        Prune = "prune",
        /// Remove locks.
        Unlock = "unlock",
        /// List locks.
        Locks = "locks",
        /// Copy snapshots from another repository.
        Copy = "copy",
        /// Change tags.
        Tag = "tag",
        /// Take paths out of snapshots.
        Rewrite = "rewrite",
        /// Make the index anew.
        RepairIndex = "repair_index",
        /// Save what can be saved of damaged packs.
        RepairPacks = "repair_packs",
        /// Make damaged snapshots usable.
        RepairSnapshots = "repair_snapshots",
        /// List keys.
        KeyList = "key_list",
        /// Add a key.
        KeyAdd = "key_add",
        /// Remove a key.
        KeyRemove = "key_remove",
        /// Remove old caches on the host.
        CacheCleanup = "cache_cleanup",
        /// Ask which restic there is.
        Version = "version",
        /// Test the connection and what the credential can do.
        Probe = "probe",
        /// Write an account into the storage's file of accounts.
        WriteAccount = "write_account",
        /// Bring files back.
        Restore = "restore",
        /// Make an archive on the host.
        Archive = "archive",
        /// Prove that files can be restored.
        Drill = "drill",
    }
}

text_enum! {
    /// Which credential an operation needs on the host that runs it.
    Need {
        /// None: it works on no repository.
        Nothing = "nothing",
        /// Any: what it does, an append-only credential may do too.
        Any = "any",
        /// A full one: on an append-only one it would half-succeed and leave litter, so it is refused before it starts.
        Full = "full",
    }
}

text_enum! {
    /// How an operation gets on with others in the same repository.
    Sharing {
        /// It takes no lock.
        Free = "free",
        /// It runs beside other shared ones.
        Shared = "shared",
        /// It runs alone: others wait for it, and it for others.
        Exclusive = "exclusive",
    }
}

text_enum! {
    /// Where its progress comes from.
    Source {
        /// restic's JSON status lines: real percent.
        Json = "json",
        /// restic's text lines: percent within each step.
        Text = "text",
        /// restic says nothing until it is done.
        Unknown = "unknown",
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Operation {
    /// Which.
    pub kind: JobKind,
    /// Its name for people.
    pub title: &'static str,
    /// What it does, in a sentence.
    pub does: &'static str,
    /// Who may ask for it.
    pub role: Role,
    /// Which credential it needs.
    pub need: Need,
    /// How it gets on with others.
    pub sharing: Sharing,
    /// It takes something away that does not come back.
    pub destroys: bool,
    /// It is tried again by itself when the storage is away or locked.
    pub retried: bool,
    /// The oldest restic that can do it.
    #[serde(serialize_with = "as_text")]
    #[schema(value_type = String)]
    pub since: Version,
    /// Where its progress comes from.
    pub progress: Source,
}

fn as_text<S: serde::Serializer>(version: &Version, s: S) -> Result<S::Ok, S::Error> {
    s.collect_str(version)
}

// Compared with restic's own CHANGELOG.md: `rewrite` is of 0.15.0 (#14), `repair snapshots` of 0.16.0 (#1759), `repair packs` without being
// an experiment of 0.17.0 (#828). All else is older than 0.14, `repair index` by its old name.
const V14: Version = Version::new(0, 14, 0);
const V15: Version = Version::new(0, 15, 0);
const V16: Version = Version::new(0, 16, 0);
const V17: Version = Version::new(0, 17, 0);

type Line = (JobKind, &'static str, Role, Need, Sharing, bool, bool, Version, Source, &'static str);

#[rustfmt::skip] // a table reads by its columns
const TABLE: [Line; 28] = {
    use JobKind as K;
    use Need::{Any, Full, Nothing};
    use Role::{Admin, Operator};
    use Sharing::{Exclusive, Free, Shared};
    use Source::{Json, Text, Unknown};
    [
        // kind              title                       who       credential sharing  destroys retried since progress
        (K::Backup,          "Backup",                   Operator, Any,     Shared,    false, true,  V14, Json,    "Makes a snapshot of a schedule's paths."),
        (K::Init,            "Make repository",          Admin,    Any,     Shared,    false, false, V14, Unknown, "Makes the repository at its address."),
        (K::Snapshots,       "List snapshots",           Operator, Any,     Shared,    false, true,  V14, Unknown, "Compares the list here with what is in the repository."),
        (K::Ls,              "List a folder",            Operator, Any,     Shared,    false, false, V14, Unknown, "Lists a folder of a snapshot."),
        (K::Find,            "Find files",               Operator, Any,     Shared,    false, false, V14, Unknown, "Looks for names in snapshots."),
        (K::Stats,           "Sizes",                    Operator, Any,     Shared,    false, true,  V14, Unknown, "Counts what is stored."),
        (K::Diff,            "Compare",                  Operator, Any,     Shared,    false, false, V14, Unknown, "Says what differs between two snapshots."),
        (K::Check,           "Check",                    Operator, Any,     Exclusive, false, true,  V14, Text,    "Tests that the repository is sound; reads the stored data too if asked."),
        (K::Forget,          "Forget snapshots",         Operator, Full,    Exclusive, true,  true,  V14, Unknown, "Removes snapshots. Their data goes with the next prune."),
        (K::Prune,           "Prune",                    Operator, Full,    Exclusive, true,  true,  V14, Text,    "Deletes the data that no snapshot needs."),
        (K::Unlock,          "Remove locks",             Operator, Any,     Free,      true,  false, V14, Unknown, "Removes locks that dead processes left; all locks if asked."),
        (K::Locks,           "List locks",               Operator, Any,     Free,      false, true,  V14, Unknown, "Lists who works on the repository."),
        (K::Copy,            "Copy snapshots",           Operator, Any,     Shared,    false, true,  V14, Text,    "Copies snapshots from another repository."),
        (K::Tag,             "Change tags",              Operator, Full,    Exclusive, false, false, V14, Unknown, "Changes the tags of snapshots; they get new ids by it."),
        (K::Rewrite,         "Remove paths from history", Admin,   Full,    Exclusive, true,  false, V15, Text,    "Writes snapshots anew without some paths."),
        (K::RepairIndex,     "Repair the index",         Admin,    Full,    Exclusive, false, false, V14, Text,    "Makes the index anew from what is stored."),
        (K::RepairPacks,     "Repair packs",             Admin,    Full,    Exclusive, true,  false, V17, Text,    "Saves what can be saved of damaged packs, and removes them."),
        (K::RepairSnapshots, "Repair snapshots",         Admin,    Full,    Exclusive, true,  false, V16, Text,    "Writes damaged snapshots anew without what is lost."),
        (K::KeyList,         "List keys",                Admin,    Any,     Shared,    false, false, V14, Unknown, "Lists the keys that open the repository."),
        (K::KeyAdd,          "Add a key",                Admin,    Any,     Shared,    false, false, V14, Unknown, "Adds a password that opens the repository."),
        (K::KeyRemove,       "Remove a key",             Admin,    Full,    Exclusive, true,  false, V14, Unknown, "Takes a password away."),
        (K::CacheCleanup,    "Clean the cache",          Operator, Nothing, Free,      false, false, V14, Unknown, "Removes caches on the host that nothing has used for a month."),
        (K::Version,         "Ask for restic's version", Operator, Nothing, Free,      false, false, V14, Unknown, "Says which restic the host has."),
        (K::Probe,           "Test the connection",      Operator, Any,     Free,      false, false, V14, Unknown, "Asks whether the storage answers, the password fits, and the credential can delete. Changes nothing."),
        (K::WriteAccount,    "Write an account",         Admin,    Any,     Free,      false, false, V14, Unknown, "Writes a host's account into the storage's file of accounts."),
        (K::Restore,         "Restore",                  Operator, Any,     Shared,    false, false, V14, Json,    "Brings files back from a snapshot."),
        (K::Archive,         "Make an archive",          Operator, Any,     Shared,    false, false, V14, Unknown, "Writes a folder of a snapshot into an archive on the host."),
        (K::Drill,           "Restore drill",            Operator, Any,     Shared,    false, true,  V14, Unknown, "Restores some files to a scratch folder, proves them, and removes them."),
    ]
};

/// The table.
pub fn operations() -> impl Iterator<Item = Operation> {
    TABLE.iter().copied().map(row)
}

const fn row(line: Line) -> Operation {
    let (kind, title, role, need, sharing, destroys, retried, since, progress, does) = line;
    Operation { kind, title, does, role, need, sharing, destroys, retried, since, progress }
}

impl JobKind {
    /// Its row. The table has the order of the names, which a test holds.
    #[must_use]
    pub const fn operation(self) -> Operation {
        row(TABLE[self as usize])
    }
}

impl From<&Task> for JobKind {
    fn from(task: &Task) -> Self {
        match task {
            Task::Backup { .. } => Self::Backup,
            Task::Init { .. } => Self::Init,
            Task::Snapshots { .. } => Self::Snapshots,
            Task::Ls { .. } => Self::Ls,
            Task::Find { .. } => Self::Find,
            Task::Stats { .. } => Self::Stats,
            Task::Diff { .. } => Self::Diff,
            Task::Check { .. } => Self::Check,
            Task::Forget { .. } => Self::Forget,
            Task::Prune { .. } => Self::Prune,
            Task::Unlock { .. } => Self::Unlock,
            Task::Locks { .. } => Self::Locks,
            Task::Copy { .. } => Self::Copy,
            Task::Tag { .. } => Self::Tag,
            Task::Rewrite { .. } => Self::Rewrite,
            Task::RepairIndex { .. } => Self::RepairIndex,
            Task::RepairPacks { .. } => Self::RepairPacks,
            Task::RepairSnapshots { .. } => Self::RepairSnapshots,
            Task::KeyList { .. } => Self::KeyList,
            Task::KeyAdd { .. } => Self::KeyAdd,
            Task::KeyRemove { .. } => Self::KeyRemove,
            Task::CacheCleanup {} => Self::CacheCleanup,
            Task::Version {} => Self::Version,
            Task::Probe { .. } => Self::Probe,
            Task::WriteAccount { .. } => Self::WriteAccount,
            Task::Restore { .. } => Self::Restore,
            Task::Archive { .. } => Self::Archive,
            Task::Drill { .. } => Self::Drill,
        }
    }
}

/// Which credential this very task needs: what only looks needs less than what acts.
#[must_use]
pub fn need_of(task: &Task) -> Need {
    match task {
        Task::Forget { dry_run: true, .. } | Task::Rewrite { dry_run: true, .. } => Need::Any,
        Task::RepairSnapshots { dry_run: true, .. } => Need::Any,
        Task::Prune { options, .. } if options.dry_run => Need::Any,
        other => JobKind::from(other).operation().need,
    }
}

/// What this very task takes away for good, in a sentence that a person is asked about; none if nothing.
#[must_use]
pub fn destruction(task: &Task) -> Option<String> {
    let count = |n: usize, one: &str, many: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {many}") };
    let snapshots = |n| count(n, "snapshot", "snapshots");
    match task {
        Task::Forget { snapshots: ids, dry_run: false, .. } => {
            Some(format!("removes {} from the repository; what no other needs is deleted by the next prune", snapshots(ids.len())))
        }
        Task::Prune { options, .. } if !options.dry_run => {
            Some("deletes all data that no snapshot needs; forgotten snapshots cannot be recovered afterwards".into())
        }
        Task::Unlock { remove_all: true, .. } => Some(
            "removes all locks, also those of jobs that run now; a prune that starts meanwhile could damage their backups"
                .into(),
        ),
        Task::Rewrite { snapshots: ids, excludes, forget: true, dry_run: false, .. } => Some(format!(
            "takes {} out of {} and removes the originals",
            count(excludes.len(), "pattern", "patterns"),
            snapshots(ids.len())
        )),
        Task::RepairSnapshots { forget: true, dry_run: false, .. } => {
            Some("replaces damaged snapshots by copies without what is lost, and removes the originals".into())
        }
        Task::RepairPacks { packs, .. } => Some(format!(
            "saves what can be saved of {} and removes the rest",
            count(packs.len(), "damaged pack", "damaged packs")
        )),
        Task::Restore { dry_run: false, target, overwrite, delete, .. } => overwritten(target, *overwrite, *delete),
        Task::KeyRemove { key, .. } => {
            Some(format!("removes the key {key}; whoever has only its password loses the repository"))
        }
        _ => None,
    }
}

/// What a restore takes away of what is on the host now.
fn overwritten(target: &RestoreTarget, overwrite: Overwrite, delete: bool) -> Option<String> {
    let place = match target {
        RestoreTarget::Original => "in the original place",
        RestoreTarget::Folder { .. } => "in the folder",
    };
    match (overwrite, delete) {
        (Overwrite::Never, false) => None,
        (Overwrite::Never, true) => Some(format!("removes what is {place} now and not in the snapshot")),
        (Overwrite::Always | Overwrite::IfChanged | Overwrite::IfNewer, false) => {
            Some(format!("overwrites files that are {place} now with those of the snapshot"))
        }
        (Overwrite::Always | Overwrite::IfChanged | Overwrite::IfNewer, true) => Some(format!(
            "overwrites files that are {place} now with those of the snapshot, and removes what the snapshot does not have"
        )),
    }
}

/// Why a host cannot do it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has no credential for the repository.
    NoCredential,
    /// Its credential can only append.
    AppendOnly,
    /// Its restic is too old.
    TooOld {
        /// What is needed.
        needed: Version,
        /// What it has.
        has: Version,
    },
}

/// Whether a host can do a task, given its credential and its restic (none if it is not known: its agent will say).
///
/// # Errors
/// [`Unfit`] says what is missing.
pub fn fit(task: &Task, mode: Option<CredentialMode>, restic: Option<Version>) -> Result<(), Unfit> {
    let operation = JobKind::from(task).operation();
    match (need_of(task), mode) {
        (Need::Nothing, _) | (Need::Any, Some(_)) | (Need::Full, Some(CredentialMode::Full)) => {}
        (Need::Any | Need::Full, None) => return Err(Unfit::NoCredential),
        (Need::Full, Some(CredentialMode::AppendOnly)) => return Err(Unfit::AppendOnly),
    }
    match restic {
        Some(has) if has < operation.since => Err(Unfit::TooOld { needed: operation.since, has }),
        _ => Ok(()),
    }
}

/// A host that could run a task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate<H> {
    /// Which.
    pub host: H,
    /// What its credential may do.
    pub mode: CredentialMode,
    /// Its agent was heard from just now.
    pub online: bool,
    /// It is the repository's maintenance host.
    pub maintains: bool,
}

/// Which host runs a task that names none: the maintenance host if its credential does, else one that does and is online, else any that
/// does. None if no host can.
#[must_use]
pub fn pick_host<H: Clone>(task: &Task, candidates: &[Candidate<H>]) -> Option<H> {
    let able = candidates.iter().filter(|c| fit(task, Some(c.mode), None).is_ok());
    able.max_by_key(|c| (c.maintains, c.online, c.mode == CredentialMode::Full)).map(|c| c.host.clone())
}

/// The table as documentation, in Markdown.
#[must_use]
pub fn markdown() -> String {
    let yes = |b: bool| if b { "yes" } else { "" };
    let mut text = String::from(
        "# Operations\n\nMade from the table in the code by `restic-manager operations`.\n\n\
         | operation | what it does | who may ask | credential | beside others | destroys | tried again | restic | progress |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    for o in operations() {
        text.push_str(&format!(
            "| `{}` | {} | {} | {} | {} | {} | {} | {}.{} | {} |\n",
            o.kind,
            o.does,
            o.role,
            o.need,
            o.sharing,
            yes(o.destroys),
            yes(o.retried),
            o.since.major,
            o.since.minor,
            o.progress
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::RepositoryId;
    use restic_manager_shared::wire::operation::PruneOptions;

    #[test]
    fn the_table_has_the_order_of_the_names() {
        assert_eq!(TABLE.len(), JobKind::ALL.len());
        for kind in JobKind::ALL {
            assert_eq!(kind.operation().kind, *kind);
        }
    }

    #[test]
    fn what_takes_no_lock_waits_for_no_turn_on_its_host() {
        let repository_id = RepositoryId::new();
        for task in [
            Task::Probe { repository_id },
            Task::Locks { repository_id },
            Task::Unlock { repository_id, dead: vec![], remove_all: false },
            Task::WriteAccount { repository_id, user: "u".into() },
            Task::Init { repository_id },
            Task::KeyList { repository_id },
            Task::Version {},
        ] {
            let free = JobKind::from(&task).operation().sharing == Sharing::Free;
            assert_eq!(task.lane().is_none(), free, "{task:?}");
        }
    }

    #[test]
    fn what_only_an_append_only_credential_would_half_do_is_refused() {
        let repository_id = RepositoryId::new();
        let (full, append) = (Some(CredentialMode::Full), Some(CredentialMode::AppendOnly));
        let prune =
            |dry_run| Task::Prune { repository_id, options: PruneOptions { dry_run, ..PruneOptions::default() } };
        let rewrite =
            Task::Rewrite { repository_id, snapshots: vec![], excludes: vec![], forget: true, dry_run: false };
        for (task, mode, version, want) in [
            (prune(false), full, None, Ok(())),
            (prune(false), append, None, Err(Unfit::AppendOnly)),
            (prune(true), append, None, Ok(())),
            (prune(true), None, None, Err(Unfit::NoCredential)),
            (Task::Version {}, None, None, Ok(())),
            (rewrite.clone(), full, Some(V14), Err(Unfit::TooOld { needed: V15, has: V14 })),
            (rewrite, full, Some(V16), Ok(())),
        ] {
            assert_eq!(fit(&task, mode, version), want, "{task:?} {mode:?}");
        }
    }

    #[test]
    fn the_maintenance_host_goes_first_and_then_who_is_there() {
        let candidate = |host, mode, online, maintains| Candidate { host, mode, online, maintains };
        let (full, append) = (CredentialMode::Full, CredentialMode::AppendOnly);
        let repository_id = RepositoryId::new();
        let forget = Task::Forget { repository_id, snapshots: vec![], dry_run: false };
        let list = Task::Locks { repository_id };
        let fleet =
            [candidate(1, append, true, false), candidate(2, full, false, true), candidate(3, full, true, false)];
        assert_eq!(pick_host(&forget, &fleet), Some(2), "also while it is offline: it is the one that may");
        assert_eq!(pick_host(&forget, &fleet[..1]), None);
        assert_eq!(pick_host(&list, &fleet[..1]), Some(1));
        assert_eq!(pick_host(&list, &[candidate(1, append, false, false), candidate(3, append, true, false)]), Some(3));
    }

    #[test]
    fn what_destroys_says_what() {
        let repository_id = RepositoryId::new();
        let forget = |dry_run| Task::Forget { repository_id, snapshots: vec!["a".into()], dry_run };
        assert!(destruction(&forget(false)).is_some_and(|t| t.contains("1 snapshot ")));
        assert_eq!(destruction(&forget(true)), None);
        let restore = |overwrite, delete, dry_run| Task::Restore {
            repository_id,
            snapshot: "ab".repeat(32),
            paths: vec![],
            target: RestoreTarget::Original,
            overwrite,
            delete,
            verify: true,
            dry_run,
        };
        assert!(destruction(&restore(Overwrite::Always, false, false)).is_some_and(|t| t.starts_with("overwrites")));
        assert!(destruction(&restore(Overwrite::Never, true, false)).is_some_and(|t| t.starts_with("removes")));
        assert_eq!(destruction(&restore(Overwrite::Never, false, false)), None);
        assert_eq!(destruction(&restore(Overwrite::Always, true, true)), None, "a preview does nothing");
        assert!(destruction(&Task::Unlock { repository_id, dead: vec![], remove_all: true }).is_some());
        assert_eq!(destruction(&Task::Unlock { repository_id, dead: vec![], remove_all: false }), None);
    }
}
