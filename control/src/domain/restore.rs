//! A restore that is being put together: which files of a snapshot, to which host and place, over what. Each step of the wizard changes a
//! little of it, and it becomes a job in the end.

use restic_manager_shared::id::{HostId, RepositoryId};
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

    /// Whether it could change files that are there already. Then a person types the host's name.
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
