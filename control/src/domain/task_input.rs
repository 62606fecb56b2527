//! What is wrong with the parameters of an operation, before anything is queued.

use super::schedule::check_lines;
use restic_manager_shared::restic::snapshot::is_whole_id;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::operation::{PruneOptions, ReadData, TagChange};
use restic_manager_shared::wire::problem::FieldError;
use restic_manager_shared::wire::restore::{MAX_DRILL_FILES, MAX_RESTORE_PATH_BYTES, MAX_RESTORE_PATHS, RestoreTarget};

/// Ids in one job: an offer must fit a request body.
const MOST_IDS: usize = 5_000;
/// Parts of a read-data cycle, as restic takes them.
const MOST_PARTS: u32 = 256;

fn at(pointer: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: format!("/task{}", pointer.into()), detail: detail.into() }
}

/// Everything that is wrong; empty means fine.
#[must_use]
pub fn check_task(task: &Task) -> Vec<FieldError> {
    match task {
        Task::Backup { .. } => vec![at("", "a backup is a run of a schedule: POST /api/v1/schedules/{id}/run")],
        Task::KeyAdd { .. } => {
            vec![at("", "a password is changed with POST /api/v1/repositories/{id}/rotate-password")]
        }
        Task::WriteAccount { .. } => vec![at("", "an account is written with POST /api/v1/repositories/{id}/accounts")],
        Task::Unlock { dead, .. } if !dead.is_empty() => {
            vec![at("/dead", "is worked out by the server; leave it out")]
        }
        Task::Init { .. }
        | Task::Snapshots { .. }
        | Task::Unlock { .. }
        | Task::Locks { .. }
        | Task::RepairIndex { .. }
        | Task::KeyList { .. }
        | Task::CacheCleanup {}
        | Task::Version {}
        | Task::Probe { .. } => vec![],
        Task::Ls { snapshot, path, .. } => [check_id(snapshot, "/snapshot"), check_path(path)].concat(),
        Task::Find { pattern, snapshots, .. } => check_find(pattern, snapshots),
        Task::Stats { snapshots, .. } => check_ids(snapshots, "/snapshots", 0),
        Task::Diff { from, to, .. } => [check_id(from, "/from"), check_id(to, "/to")].concat(),
        Task::Check { read_data, limit_download_kib, .. } => {
            let mut wrong = check_read(*read_data);
            wrong.extend(check_limit(*limit_download_kib, "/limit_download_kib"));
            wrong
        }
        Task::Forget { snapshots, .. } => check_ids(snapshots, "/snapshots", 1),
        Task::Prune { options, .. } => check_prune(options, "/options"),
        Task::Copy { repository_id, from } => {
            let mut wrong = check_ids(&from.snapshots, "/from/snapshots", 0);
            if from.repository_id == *repository_id {
                wrong.push(at("/from/repository_id", "is the same repository"));
            }
            wrong
        }
        Task::Tag { snapshots, change, .. } => [check_ids(snapshots, "/snapshots", 1), check_change(change)].concat(),
        Task::Rewrite { snapshots, excludes, .. } => {
            let mut wrong = check_ids(snapshots, "/snapshots", 1);
            if excludes.is_empty() {
                wrong.push(at("/excludes", "name at least one pattern"));
            }
            wrong.extend(check_lines(excludes, "/task/excludes"));
            wrong
        }
        Task::Restore { snapshot, paths, target, .. } => check_restore(snapshot, paths, target),
        Task::Archive { snapshot, path, target, .. } => {
            [check_id(snapshot, "/snapshot"), check_path(path), check_host_path(target, "/target")].concat()
        }
        Task::Drill { snapshot, paths, random, .. } => check_drill(snapshot, paths, *random),
        Task::RepairPacks { packs, .. } => check_ids(packs, "/packs", 1),
        Task::RepairSnapshots { snapshots, .. } => check_ids(snapshots, "/snapshots", 0),
        Task::KeyRemove { key, .. } => {
            let fine = matches!(key.len(), 8..=64) && key.bytes().all(|b| b.is_ascii_hexdigit());
            if fine { vec![] } else { vec![at("/key", "a key's id, 8 to 64 hex digits")] }
        }
    }
}

fn check_find(pattern: &str, snapshots: &[String]) -> Vec<FieldError> {
    let mut wrong = check_ids(snapshots, "/snapshots", 0);
    if pattern.trim().is_empty() || pattern.len() > 1000 || pattern.chars().any(char::is_control) {
        wrong.push(at("/pattern", "1 to 1000 characters, without control characters"));
    }
    wrong
}

fn check_restore(snapshot: &str, paths: &[String], target: &RestoreTarget) -> Vec<FieldError> {
    let place = match target {
        RestoreTarget::Original => vec![],
        RestoreTarget::Folder { path } => check_host_path(path, "/target/path"),
    };
    [check_id(snapshot, "/snapshot"), check_paths(paths, MAX_RESTORE_PATHS), place].concat()
}

fn check_drill(snapshot: &str, paths: &[String], random: u32) -> Vec<FieldError> {
    let mut wrong = [check_id(snapshot, "/snapshot"), check_paths(paths, MAX_DRILL_FILES)].concat();
    if !(1..=MAX_DRILL_FILES).contains(&paths.len().saturating_add(random as usize)) {
        wrong.push(at("/random", format!("with the paths together 1 to {MAX_DRILL_FILES} files")));
    }
    wrong
}

fn check_id(id: &str, pointer: &str) -> Vec<FieldError> {
    if is_whole_id(id) { vec![] } else { vec![at(pointer, "a whole id, 64 hex digits")] }
}

fn check_ids(ids: &[String], pointer: &str, least: usize) -> Vec<FieldError> {
    if !(least..=MOST_IDS).contains(&ids.len()) {
        return vec![at(pointer, format!("{least} to {MOST_IDS} ids"))];
    }
    ids.iter().enumerate().flat_map(|(n, id)| check_id(id, &format!("{pointer}/{n}"))).collect()
}

fn check_path(path: &str) -> Vec<FieldError> {
    let fine = path.starts_with('/') && path.len() <= 8192 && !path.contains('\0');
    if fine { vec![] } else { vec![at("/path", "an absolute path as restic lists it, beginning with /")] }
}

/// Paths in a snapshot.
fn check_paths(paths: &[String], most: usize) -> Vec<FieldError> {
    if paths.len() > most {
        return vec![at("/paths", format!("at most {most} paths; tick their folder instead"))];
    }
    if paths.iter().map(String::len).sum::<usize>() > MAX_RESTORE_PATH_BYTES {
        return vec![at("/paths", "too long together; tick their folder instead")];
    }
    let bad = paths.iter().position(|p| !check_path(p).is_empty());
    bad.map(|n| at(format!("/paths/{n}"), "an absolute path as restic lists it, beginning with /"))
        .into_iter()
        .collect()
}

/// A path on a host, of either system. What it leads to only the host knows, and its agent looks.
fn check_host_path(path: &str, pointer: &str) -> Vec<FieldError> {
    let drive = matches!(path.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    let climbs = path.split(['/', '\\']).any(|part| part == "..");
    let fine = (path.starts_with('/') || drive) && path.len() <= 4096 && !climbs && !path.chars().any(char::is_control);
    if fine { vec![] } else { vec![at(pointer, "an absolute path on the host, without .. in it")] }
}

fn check_read(read: ReadData) -> Vec<FieldError> {
    match read {
        ReadData::Nothing | ReadData::Everything => vec![],
        ReadData::Part { part, of } if (1..=MOST_PARTS).contains(&of) && (1..=of).contains(&part) => vec![],
        ReadData::Part { .. } => vec![at("/read_data", format!("part 1 to `of`, and `of` at most {MOST_PARTS}"))],
        ReadData::Percent { percent } if (1..=100).contains(&percent) => vec![],
        ReadData::Percent { .. } => vec![at("/read_data/percent", "1 to 100")],
    }
}

fn check_limit(limit: Option<u32>, pointer: &str) -> Option<FieldError> {
    (limit == Some(0)).then(|| at(pointer, "at least 1 KiB/s, or left out for no limit"))
}

/// What is wrong with the options of a prune, below `pointer`.
#[must_use]
pub fn check_prune(options: &PruneOptions, pointer: &str) -> Vec<FieldError> {
    let mut wrong = vec![];
    if options.max_unused.as_deref().is_some_and(|m| m != "unlimited" && !is_size(m, true)) {
        wrong.push(at(format!("{pointer}/max_unused"), "a share such as 5%, a size such as 2G, or unlimited"));
    }
    if options.max_repack_size.as_deref().is_some_and(|m| !is_size(m, false)) {
        wrong.push(at(format!("{pointer}/max_repack_size"), "a size such as 500M or 10G"));
    }
    wrong.extend(check_limit(options.limit_upload_kib, &format!("{pointer}/limit_upload_kib")));
    wrong.extend(check_limit(options.limit_download_kib, &format!("{pointer}/limit_download_kib")));
    wrong
}

/// A size as restic takes it: a number with k, M, G or T, or a share in percent.
#[must_use]
pub fn is_size(text: &str, percent: bool) -> bool {
    let units: &[char] = if percent { &['k', 'K', 'M', 'G', 'T', '%'] } else { &['k', 'K', 'M', 'G', 'T'] };
    let number = text.strip_suffix(units).unwrap_or(text);
    !number.is_empty() && number.len() <= 12 && number.bytes().all(|b| b.is_ascii_digit())
}

fn check_change(change: &TagChange) -> Vec<FieldError> {
    let nothing = change.add.is_empty() && change.remove.is_empty() && change.set.is_none();
    if nothing {
        return vec![at("/change", "says nothing to add, remove or set")];
    }
    if change.set.is_some() && !(change.add.is_empty() && change.remove.is_empty()) {
        return vec![at("/change/set", "goes with neither add nor remove")];
    }
    let lists = [("add", Some(&change.add)), ("remove", Some(&change.remove)), ("set", change.set.as_ref())];
    let mut wrong = vec![];
    for (name, tags) in lists {
        for (n, tag) in tags.into_iter().flatten().enumerate() {
            let plain = !tag.is_empty() && tag.len() <= 200 && tag.trim() == tag;
            if !plain || tag.contains(',') || tag.chars().any(char::is_control) {
                wrong.push(at(format!("/change/{name}/{n}"), "1 to 200 bytes, no comma, no space at either end"));
            } else if tag.starts_with("rm-schedule-") || tag.starts_with("rm-job-") {
                wrong.push(at(format!("/change/{name}/{n}"), "tags of restic-manager itself cannot be changed"));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::RepositoryId;
    use restic_manager_shared::wire::operation::CopySource;

    #[test]
    fn wrong_parameters_are_named() {
        let repository_id = RepositoryId::new();
        let id = "ab".repeat(32);
        let check = |read_data| Task::Check { repository_id, read_data, limit_download_kib: None };
        let forget = |snapshots| Task::Forget { repository_id, snapshots, dry_run: false };
        let prune = |max_unused: &str| Task::Prune {
            repository_id,
            options: PruneOptions { max_unused: Some(max_unused.into()), ..PruneOptions::default() },
        };
        let tag = |change| Task::Tag { repository_id, snapshots: vec![id.clone()], change };
        let restore = |paths: Vec<String>, path: &str| Task::Restore {
            repository_id,
            snapshot: id.clone(),
            paths,
            target: RestoreTarget::Folder { path: path.into() },
            overwrite: Default::default(),
            delete: false,
            verify: false,
            dry_run: false,
        };
        let drill = |random| Task::Drill { repository_id, snapshot: id.clone(), paths: vec![], random, max_bytes: 0 };
        let many = |n: usize| (0..n).map(|n| format!("/srv/{n}")).collect::<Vec<_>>();
        let cases = [
            (restore(many(10_000), "/srv/to"), None),
            (restore(many(0), "C:\\to"), None),
            (restore(many(30_000), "/srv/to"), Some("/task/paths")),
            (restore(vec!["/a".into(), "b".into()], "/srv/to"), Some("/task/paths/1")),
            (restore(vec![format!("/{}", "x".repeat(8000)); 100], "/srv/to"), Some("/task/paths")),
            (restore(vec![], "/srv/../etc"), Some("/task/target/path")),
            (restore(vec![], "to"), Some("/task/target/path")),
            (drill(3), None),
            (drill(0), Some("/task/random")),
            (drill(u32::MAX), Some("/task/random")),
            (forget(vec![id.clone()]), None),
            (forget(vec![]), Some("/task/snapshots")),
            (forget(vec!["abc".into()]), Some("/task/snapshots/0")),
            (check(ReadData::Part { part: 4, of: 3 }), Some("/task/read_data")),
            (check(ReadData::Part { part: 3, of: 3 }), None),
            (check(ReadData::Percent { percent: 0 }), Some("/task/read_data/percent")),
            (prune("5%"), None),
            (prune("unlimited"), None),
            (prune("; rm"), Some("/task/options/max_unused")),
            (Task::Ls { repository_id, snapshot: id.clone(), path: "x".into(), recursive: false }, Some("/task/path")),
            (
                Task::Copy { repository_id, from: CopySource { repository_id, snapshots: vec![] } },
                Some("/task/from/repository_id"),
            ),
            (tag(TagChange::default()), Some("/task/change")),
            (tag(TagChange { add: vec!["a,b".into()], ..TagChange::default() }), Some("/task/change/add/0")),
            (tag(TagChange { remove: vec!["rm-job-x".into()], ..TagChange::default() }), Some("/task/change/remove/0")),
            (Task::KeyRemove { repository_id, key: "zz".into() }, Some("/task/key")),
            (Task::KeyAdd { repository_id }, Some("/task")),
        ];
        for (task, want) in cases {
            let wrong = check_task(&task);
            assert_eq!(wrong.first().map(|w| w.pointer.as_str()), want, "{task:?}");
        }
    }
}
