//! The forms of operations: which fields each has, as a table that the page walks, and what they ask for. Whether that is allowed and makes
//! sense is decided in `service::operations`.

use super::super::form::{FormErrors, chosen, commas, lines, number, typed};
use crate::domain::job::JobKind;
use crate::words::operation::form::{self as words, Words};
use crate::words::wrong as wrongs;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::operation::{CopySource, PruneOptions, ReadData, StatsMode, TagChange};
use serde::Serialize;
use std::collections::BTreeMap;

/// What was typed, by the field's name.
pub type Values = BTreeMap<String, String>;

/// A field of an operation's form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What stands above it.
    pub label: &'static str,
    /// What stands below it.
    pub hint: &'static str,
    /// How it looks: `line`, `number`, `area`, `box`, `choice`, or `repository`.
    pub look: &'static str,
    /// What it offers, if it is a choice: the value and its words.
    pub options: &'static [(&'static str, &'static str)],
    /// It may not be empty.
    pub needed: bool,
}

const fn field(look: &'static str, name: &'static str, (label, hint): Words) -> Field {
    Field { name, label, hint, look, options: &[], needed: false }
}

const fn needed(field: Field) -> Field {
    Field { needed: true, ..field }
}

const fn choice(name: &'static str, (label, hint): Words, options: &'static [(&'static str, &'static str)]) -> Field {
    Field { name, label, hint, look: "choice", options, needed: false }
}

const SNAPSHOTS: Field = needed(field("area", "snapshots", words::SNAPSHOTS));
const SOME: Field = field("area", "snapshots", words::SOME);
const DRY_RUN: Field = field("box", "dry_run", words::DRY_RUN);
const LIMIT_DOWN: Field = field("number", "limit_download_kib", words::LIMIT_DOWN);
const LIMIT_UP: Field = field("number", "limit_upload_kib", words::LIMIT_UP);
const READ: &[(&str, &str)] = &[
    ("nothing", words::READ_NOTHING),
    ("percent", words::READ_PERCENT),
    ("part", words::READ_PART),
    ("everything", words::READ_EVERYTHING),
];
const MODES: &[(&str, &str)] = &[
    ("raw_data", words::COUNT_STORED),
    ("restore_size", words::COUNT_RESTORED),
    ("files_by_contents", words::COUNT_FILES),
    ("blobs_per_file", words::COUNT_BLOBS),
];

const LIST: &[Field] = &[field("box", "all_hosts", words::ALL_HOSTS)];
const STATS: &[Field] = &[choice("mode", words::MODE, MODES), SOME];
const FORGET: &[Field] = &[SNAPSHOTS, DRY_RUN];
const UNLOCK: &[Field] = &[field("box", "remove_all", words::REMOVE_ALL)];
const REPAIR_INDEX: &[Field] = &[field("box", "read_all_packs", words::READ_ALL_PACKS)];
const KEY: &[Field] = &[needed(field("line", "key", words::KEY))];
const LS: &[Field] = &[
    needed(field("line", "snapshot", words::SNAPSHOT)),
    needed(field("line", "path", words::FOLDER)),
    field("box", "recursive", words::RECURSIVE),
];
const FIND: &[Field] =
    &[needed(field("line", "pattern", words::PATTERN)), field("box", "ignore_case", words::IGNORE_CASE), SOME];
const DIFF: &[Field] = &[
    needed(field("line", "from", words::FROM)),
    needed(field("line", "to", words::TO)),
    field("box", "metadata", words::METADATA),
];
const CHECK: &[Field] = &[
    choice("read", words::READ, READ),
    field("number", "percent", words::PERCENT),
    field("number", "part", words::PART),
    field("number", "parts", words::PARTS),
    LIMIT_DOWN,
];
const PRUNE: &[Field] = &[
    DRY_RUN,
    field("line", "max_unused", words::MAX_UNUSED),
    field("line", "max_repack_size", words::MAX_REPACK_SIZE),
    field("box", "repack_cacheable_only", words::CACHEABLE_ONLY),
    field("box", "repack_small", words::REPACK_SMALL),
    field("box", "repack_uncompressed", words::REPACK_UNCOMPRESSED),
    LIMIT_UP,
    LIMIT_DOWN,
];
const COPY: &[Field] = &[needed(field("repository", "source", words::SOURCE)), SOME];
const TAG: &[Field] = &[
    SNAPSHOTS,
    field("line", "add", words::ADD_TAGS),
    field("line", "remove", words::REMOVE_TAGS),
    field("line", "set", words::SET_TAGS),
];
const REWRITE: &[Field] = &[
    SNAPSHOTS,
    needed(field("area", "excludes", words::EXCLUDES)),
    DRY_RUN,
    field("box", "forget", words::FORGET_ORIGINALS),
];
const REPAIR_PACKS: &[Field] = &[needed(field("area", "packs", words::PACKS))];
const REPAIR_SNAPSHOTS: &[Field] = &[SOME, DRY_RUN, field("box", "forget", words::FORGET_DAMAGED)];

/// The fields of an operation's form; none if it is asked for elsewhere.
#[must_use]
pub const fn fields(kind: JobKind) -> Option<&'static [Field]> {
    match kind {
        JobKind::Backup | JobKind::KeyAdd | JobKind::WriteAccount => None,
        JobKind::Restore | JobKind::Archive | JobKind::Drill => None,
        JobKind::Init
        | JobKind::Locks
        | JobKind::KeyList
        | JobKind::Probe
        | JobKind::CacheCleanup
        | JobKind::Version => Some(&[]),
        JobKind::Snapshots => Some(LIST),
        JobKind::Ls => Some(LS),
        JobKind::Find => Some(FIND),
        JobKind::Stats => Some(STATS),
        JobKind::Diff => Some(DIFF),
        JobKind::Check => Some(CHECK),
        JobKind::Forget => Some(FORGET),
        JobKind::Prune => Some(PRUNE),
        JobKind::Unlock => Some(UNLOCK),
        JobKind::Copy => Some(COPY),
        JobKind::Tag => Some(TAG),
        JobKind::Rewrite => Some(REWRITE),
        JobKind::RepairIndex => Some(REPAIR_INDEX),
        JobKind::RepairPacks => Some(REPAIR_PACKS),
        JobKind::RepairSnapshots => Some(REPAIR_SNAPSHOTS),
        JobKind::KeyRemove => Some(KEY),
    }
}

/// Where errors of services find their fields.
pub const NAMES: [&str; 20] = [
    "host_id",
    "of_host_id",
    "snapshots",
    "snapshot",
    "path",
    "pattern",
    "from",
    "to",
    "percent",
    "read_data",
    "limit_download_kib",
    "limit_upload_kib",
    "max_unused",
    "max_repack_size",
    "add",
    "remove",
    "set",
    "excludes",
    "packs",
    "key",
];

/// What a form asks for; none, with what is wrong, if it cannot be read.
pub fn task(kind: JobKind, repository_id: RepositoryId, values: &Values, wrong: &mut FormErrors) -> Option<Task> {
    let text = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
    let ticked = |name: &str| !text(name).is_empty();
    let trimmed = |name: &str| text(name).trim().to_owned();
    let ids = |name: &str| text(name).split_whitespace().map(ToOwned::to_owned).collect::<Vec<_>>();
    let task = match kind {
        JobKind::Backup | JobKind::KeyAdd | JobKind::WriteAccount => return None,
        JobKind::Restore | JobKind::Archive | JobKind::Drill => return None,
        JobKind::Init => Task::Init { repository_id },
        JobKind::Snapshots => Task::Snapshots { repository_id, all_hosts: ticked("all_hosts") },
        JobKind::Ls => Task::Ls {
            repository_id,
            snapshot: trimmed("snapshot"),
            path: text("path").to_owned(),
            recursive: ticked("recursive"),
        },
        JobKind::Find => Task::Find {
            repository_id,
            pattern: text("pattern").to_owned(),
            snapshots: ids("snapshots"),
            ignore_case: ticked("ignore_case"),
        },
        JobKind::Stats => Task::Stats { repository_id, mode: mode(text("mode")), snapshots: ids("snapshots") },
        JobKind::Diff => {
            Task::Diff { repository_id, from: trimmed("from"), to: trimmed("to"), metadata: ticked("metadata") }
        }
        JobKind::Check => Task::Check {
            repository_id,
            read_data: read(values, wrong),
            limit_download_kib: number(text("limit_download_kib"), "limit_download_kib", wrong),
        },
        JobKind::Forget => Task::Forget { repository_id, snapshots: ids("snapshots"), dry_run: ticked("dry_run") },
        JobKind::Prune => Task::Prune { repository_id, options: prune(values, wrong) },
        JobKind::Unlock => Task::Unlock { repository_id, dead: vec![], remove_all: ticked("remove_all") },
        JobKind::Locks => Task::Locks { repository_id },
        JobKind::Copy => Task::Copy { repository_id, from: source(values, wrong)? },
        JobKind::Tag => Task::Tag { repository_id, snapshots: ids("snapshots"), change: change(values) },
        JobKind::Rewrite => Task::Rewrite {
            repository_id,
            snapshots: ids("snapshots"),
            excludes: lines(text("excludes")),
            forget: ticked("forget"),
            dry_run: ticked("dry_run"),
        },
        JobKind::RepairIndex => Task::RepairIndex { repository_id, read_all_packs: ticked("read_all_packs") },
        JobKind::RepairPacks => Task::RepairPacks { repository_id, packs: ids("packs") },
        JobKind::RepairSnapshots => Task::RepairSnapshots {
            repository_id,
            snapshots: ids("snapshots"),
            forget: ticked("forget"),
            dry_run: ticked("dry_run"),
        },
        JobKind::KeyList => Task::KeyList { repository_id },
        JobKind::KeyRemove => Task::KeyRemove { repository_id, key: trimmed("key") },
        JobKind::CacheCleanup => Task::CacheCleanup {},
        JobKind::Version => Task::Version {},
        JobKind::Probe => Task::Probe { repository_id },
    };
    Some(task)
}

fn mode(word: &str) -> StatsMode {
    match word {
        "restore_size" => StatsMode::RestoreSize,
        "files_by_contents" => StatsMode::FilesByContents,
        "blobs_per_file" => StatsMode::BlobsPerFile,
        _ => StatsMode::RawData,
    }
}

fn read(values: &Values, wrong: &mut FormErrors) -> ReadData {
    let text = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
    let mut figure = |name: &str| {
        let given = number(text(name), name, wrong);
        if given.is_none() {
            wrong.add(name, wrongs::WHOLE_NUMBER);
        }
        given.unwrap_or(0)
    };
    match text("read") {
        "everything" => ReadData::Everything,
        "percent" => ReadData::Percent { percent: figure("percent") },
        "part" => ReadData::Part { part: figure("part"), of: figure("parts") },
        _ => ReadData::Nothing,
    }
}

fn prune(values: &Values, wrong: &mut FormErrors) -> PruneOptions {
    let text = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
    PruneOptions {
        max_unused: typed(text("max_unused")),
        max_repack_size: typed(text("max_repack_size")),
        repack_cacheable_only: !text("repack_cacheable_only").is_empty(),
        repack_small: !text("repack_small").is_empty(),
        repack_uncompressed: !text("repack_uncompressed").is_empty(),
        dry_run: !text("dry_run").is_empty(),
        limit_upload_kib: number(text("limit_upload_kib"), "limit_upload_kib", wrong),
        limit_download_kib: number(text("limit_download_kib"), "limit_download_kib", wrong),
    }
}

fn source(values: &Values, wrong: &mut FormErrors) -> Option<CopySource> {
    let text = |name: &str| values.get(name).map(String::as_str).unwrap_or_default();
    let repository_id = chosen(text("source"), "source", wrong);
    if repository_id.is_none() {
        wrong.add("source", wrongs::REPOSITORY);
    }
    let snapshots = text("snapshots").split_whitespace().map(ToOwned::to_owned).collect();
    Some(CopySource { repository_id: repository_id?, snapshots })
}

fn change(values: &Values) -> TagChange {
    let list = |name: &str| commas(values.get(name).map(String::as_str).unwrap_or_default());
    let set = list("set");
    TagChange { add: list("add"), remove: list("remove"), set: (!set.is_empty()).then_some(set) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::operation::operations;

    #[test]
    fn every_operation_with_a_form_makes_its_own_task() {
        let repository = RepositoryId::new();
        let values: Values = [("source", RepositoryId::new().to_string())].map(|(k, v)| (k.to_owned(), v)).into();
        for operation in operations() {
            let made = task(operation.kind, repository, &values, &mut FormErrors::default());
            assert_eq!(made.is_some(), fields(operation.kind).is_some(), "{}", operation.kind);
            if let Some(made) = made {
                assert_eq!(JobKind::from(&made), operation.kind);
            }
        }
    }

    #[test]
    fn how_much_a_check_reads_needs_its_figures() {
        let check = |pairs: &[(&str, &str)]| {
            let values: Values = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
            let mut wrong = FormErrors::default();
            (read(&values, &mut wrong), wrong.is_empty())
        };
        assert_eq!(check(&[]), (ReadData::Nothing, true));
        assert_eq!(
            check(&[("read", "part"), ("part", "2"), ("parts", "7")]),
            (ReadData::Part { part: 2, of: 7 }, true)
        );
        assert!(!check(&[("read", "percent")]).1);
    }
}
