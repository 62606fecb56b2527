//! A restore that is being put together: which files of a snapshot, to which host and place, over what. Each step of the wizard changes a
//! little of it, and it becomes a job in the end.

use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::wire::enroll::Os;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::restore::{Overwrite, RestoreTarget};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What was chosen so far. The defaults are those that can do no harm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Draft {
    /// What was ticked: files, and folders with all below them. Never one below another.
    pub paths: BTreeSet<String>,
    /// The host that it goes to.
    pub host: Option<HostId>,
    /// Where there.
    pub target: Option<RestoreTarget>,
    /// What becomes of files that are there.
    pub overwrite: Overwrite,
    /// Remove what is in the restored folders and not in the snapshot.
    pub delete: bool,
    /// Read back what was written.
    pub verify: bool,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            paths: BTreeSet::new(),
            host: None,
            target: None,
            overwrite: Overwrite::IfChanged,
            delete: false,
            verify: true,
        }
    }
}

/// How an entry is ticked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ticked {
    /// Not at all.
    No,
    /// Itself.
    Yes,
    /// With a folder above it.
    Above,
    /// Something below it.
    Below,
}

/// Whether a folder is written as this system writes one: from `/` on, or from a drive on.
#[must_use]
pub fn is_folder_of(os: Os, path: &str) -> bool {
    let drive = matches!(path.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    match os {
        Os::Windows => drive,
        Os::Linux => path.starts_with('/'),
    }
}

/// The folder that is proposed to restore to, on a day such as `2026-11-28`.
#[must_use]
pub fn proposed(os: Os, day: &str) -> String {
    match os {
        Os::Windows => format!("C:\\Restore\\{day}"),
        Os::Linux => format!("/var/tmp/restore-{day}"),
    }
}

/// The deepest folder of a snapshot that holds all that was backed up, as restic lists it: there a person begins to look. `paths` are as the
/// host names them.
#[must_use]
pub fn first_folder(paths: &[String]) -> String {
    let listed = |path: &String| {
        let slashes = path.replace('\\', "/");
        let parts = if is_folder_of(Os::Windows, path) { slashes.replacen(':', "", 1) } else { path.clone() };
        parts.split('/').filter(|part| !part.is_empty()).map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let mut all = paths.iter().map(listed);
    let first = all.next().unwrap_or_default();
    let common = all
        .fold(first, |so_far, path| so_far.into_iter().zip(path).take_while(|(a, b)| a == b).map(|(a, _)| a).collect());
    format!("/{}", common.join("/"))
}

fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches('/');
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/') && rest.len() > 1)
}

impl Draft {
    /// How an entry is ticked.
    #[must_use]
    pub fn ticked(&self, path: &str) -> Ticked {
        if self.paths.contains(path) {
            Ticked::Yes
        } else if self.paths.iter().any(|p| is_below(path, p)) {
            Ticked::Above
        } else if self.paths.iter().any(|p| is_below(p, path)) {
            Ticked::Below
        } else {
            Ticked::No
        }
    }

    /// Takes over a page of entries that was shown, with those of it that are ticked now. What is below a ticked folder comes with it, and
    /// is not named on its own.
    pub fn tick(&mut self, shown: &[String], ticked: &[String]) {
        self.paths.retain(|p| !shown.contains(p) || ticked.contains(p));
        for path in ticked {
            if self.ticked(path) != Ticked::Above {
                self.paths.retain(|p| !is_below(p, path));
                self.paths.insert(path.clone());
            }
        }
    }

    /// The job that it becomes. None while host or place are not chosen.
    #[must_use]
    pub fn task(&self, repository_id: RepositoryId, snapshot: &str, dry_run: bool) -> Option<Task> {
        let target = self.target.clone()?;
        Some(Task::Restore {
            repository_id,
            snapshot: snapshot.to_owned(),
            paths: self.paths.iter().filter(|p| *p != "/").cloned().collect(),
            target,
            overwrite: self.overwrite,
            delete: self.delete,
            verify: self.verify && !dry_run,
            dry_run,
        })
    }

    /// Whether it could change files that are there already. Then a person ticks that it is meant.
    #[must_use]
    pub fn in_place(&self) -> bool {
        matches!(self.target, Some(RestoreTarget::Original)) && (self.overwrite != Overwrite::Never || self.delete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(paths: &[&str]) -> Draft {
        Draft { paths: paths.iter().map(|p| (*p).to_owned()).collect(), ..Draft::default() }
    }

    #[test]
    fn a_folder_is_of_the_kind_that_its_host_has() {
        for (os, path, want) in [
            (Os::Linux, "/srv", true),
            (Os::Linux, "C:\\Restore", false),
            (Os::Linux, "srv", false),
            (Os::Windows, "C:\\Restore", true),
            (Os::Windows, "d:/x", true),
            (Os::Windows, "C:", false),
            (Os::Windows, "/var/tmp", false),
        ] {
            assert_eq!(is_folder_of(os, path), want, "{os:?} {path}");
        }
        for os in [Os::Linux, Os::Windows] {
            assert!(is_folder_of(os, &proposed(os, "2026-11-28")), "{os:?}");
        }
    }

    #[test]
    fn looking_begins_where_the_paths_part() {
        for (paths, want) in [
            (vec![], "/"),
            (vec!["/etc"], "/etc"),
            (vec!["/srv/a/x", "/srv/a/y"], "/srv/a"),
            (vec!["/srv/a", "/srv/ab"], "/srv"),
            (vec!["/srv", "/srv/a"], "/srv"),
            (vec!["/etc", "/srv"], "/"),
            (vec!["C:\\Users\\anna", "C:\\Users\\eve"], "/C/Users"),
            (vec!["C:\\Users", "D:\\Data"], "/"),
            (vec!["/with\\back"], "/with\\back"),
        ] {
            let paths: Vec<String> = paths.into_iter().map(ToOwned::to_owned).collect();
            assert_eq!(first_folder(&paths), want, "{paths:?}");
        }
    }

    #[test]
    fn ticks_reach_down_and_show_above() {
        let draft = draft(&["/srv/a", "/etc/hosts"]);
        for (path, want) in [
            ("/srv/a", Ticked::Yes),
            ("/srv/a/b/c", Ticked::Above),
            ("/srv/ab", Ticked::No),
            ("/srv", Ticked::Below),
            ("/", Ticked::Below),
            ("/etc/hosts.allow", Ticked::No),
        ] {
            assert_eq!(draft.ticked(path), want, "{path}");
        }
        assert_eq!(Draft { paths: ["/".to_owned()].into(), ..Draft::default() }.ticked("/x"), Ticked::Above);
    }

    #[test]
    fn a_page_of_ticks_replaces_what_it_showed_and_nothing_else() {
        let strings = |all: &[&str]| all.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>();
        for (before, shown, ticked, after) in [
            (vec!["/a", "/b"], vec!["/a", "/c"], vec!["/c"], vec!["/b", "/c"]),
            // A folder takes in what was ticked below it.
            (vec!["/a/x", "/a/y", "/b"], vec!["/a", "/b"], vec!["/a", "/b"], vec!["/a", "/b"]),
            // What is below a ticked folder is not named again.
            (vec!["/a"], vec!["/a/x"], vec!["/a/x"], vec!["/a"]),
            (vec!["/a"], vec!["/a"], vec![], vec![]),
        ] {
            let mut it = draft(&before);
            it.tick(&strings(&shown), &strings(&ticked));
            assert_eq!(it, draft(&after), "{before:?} {shown:?} {ticked:?}");
        }
    }

    #[test]
    fn only_what_can_change_files_that_are_there_is_asked_about_by_name() {
        for (target, overwrite, delete, want) in [
            (RestoreTarget::Original, Overwrite::IfChanged, false, true),
            (RestoreTarget::Original, Overwrite::Never, false, false),
            (RestoreTarget::Original, Overwrite::Never, true, true),
            (RestoreTarget::Folder { path: "/x".into() }, Overwrite::Always, true, false),
        ] {
            let it = Draft { target: Some(target), overwrite, delete, ..Draft::default() };
            assert_eq!(it.in_place(), want, "{it:?}");
        }
    }
}
