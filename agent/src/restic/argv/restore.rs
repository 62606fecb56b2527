//! The arguments of commands that bring files back.

use super::Builder;
use crate::restic::needs::Ability;
use crate::restic::pattern;
use restic_manager_shared::wire::restore::{ArchiveFormat, Overwrite};
use std::path::Path;

/// What a restore is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restore<'a> {
    /// The whole id.
    pub snapshot: &'a str,
    /// Paths in the snapshot; none for all.
    pub paths: &'a [String],
    /// Below which folder.
    pub target: &'a Path,
    /// What becomes of what is there.
    pub overwrite: Overwrite,
    /// Remove what the snapshot does not have.
    pub delete: bool,
    /// Read back.
    pub verify: bool,
    /// Do nothing.
    pub dry_run: bool,
}

impl Restore<'_> {
    /// Whether a restic that only overwrites cannot do it. What may never be overwritten it can do where nothing is; that is looked at
    /// before.
    #[must_use]
    pub const fn needs_plans(&self) -> bool {
        self.delete || self.dry_run || matches!(self.overwrite, Overwrite::IfChanged | Overwrite::IfNewer)
    }
}

impl Builder<'_> {
    pub(super) fn restore(&mut self, restore: &Restore<'_>) {
        let plans = Ability::RestorePlans.is_in(self.context.version);
        if restore.dry_run {
            self.words(["restore", "--no-lock"]);
        } else {
            self.command(["restore"]);
        }
        if Ability::RestoreInJson.is_in(self.context.version) {
            self.push("--json");
        }
        if plans {
            let word = match restore.overwrite {
                Overwrite::Always => "always",
                Overwrite::IfChanged => "if-changed",
                Overwrite::IfNewer => "if-newer",
                Overwrite::Never => "never",
            };
            self.words(["-vv", "--overwrite", word]);
            self.flag(restore.delete, "--delete");
            self.flag(restore.dry_run, "--dry-run");
        }
        self.flag(restore.verify && !restore.dry_run, "--verify");
        self.push("--target");
        self.push(restore.target.as_os_str());
        self.includes(restore.paths, plans);
        self.words(["--", restore.snapshot]);
    }

    fn includes(&mut self, paths: &[String], from_file: bool) {
        if from_file && !paths.is_empty() {
            let lines: Vec<String> = paths.iter().map(|p| pattern::line(p)).collect();
            let bytes = format!("{}\n", lines.join("\n")).into_bytes();
            let shown = if paths.len() == 1 { "(1 path)".to_owned() } else { format!("({} paths)", paths.len()) };
            self.list("--include-file", "include", bytes, &shown);
        } else {
            paths.iter().for_each(|p| self.value("--include", &pattern::word(p)));
        }
    }

    /// Without a lock: it only reads, and may take long.
    pub(super) fn dump(&mut self, snapshot: &str, path: &str, format: ArchiveFormat) {
        let word = match format {
            ArchiveFormat::Tar => "tar",
            ArchiveFormat::Zip => "zip",
        };
        self.command(["dump", "--archive", word]);
        self.words(["--", snapshot, path]);
    }

    /// Everything in a snapshot, without a lock, so that looking never stands in the way of a job.
    pub(super) fn tree(&mut self, snapshot: &str) {
        self.words(["ls", "--json", "--no-lock", "--", snapshot]);
    }
}
