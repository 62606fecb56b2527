//! The arguments of commands that change what is in a repository.

use super::Builder;
use crate::restic::needs::Ability;
use restic_manager_shared::wire::operation::{PruneOptions, TagChange};
use std::path::Path;

impl Builder<'_> {
    /// A dry run takes no lock, so that it never stands in a backup's way.
    pub(super) fn forget(&mut self, ids: &[String], dry_run: bool) {
        if dry_run {
            self.words(["forget", "--dry-run", "--no-lock"]);
        } else {
            self.command(["forget"]);
        }
        self.operands(ids);
    }

    pub(super) fn prune(&mut self, options: &PruneOptions) {
        self.command(["prune"]);
        self.flag(options.dry_run, "--dry-run");
        if let Some(limit) = &options.max_unused {
            self.value("--max-unused", limit);
        }
        if let Some(size) = &options.max_repack_size {
            self.value("--max-repack-size", size);
        }
        self.flag(options.repack_cacheable_only, "--repack-cacheable-only");
        let by_itself = Ability::RepacksSmallItself.is_in(self.context.version);
        self.flag(options.repack_small && !by_itself, "--repack-small");
        self.flag(options.repack_uncompressed, "--repack-uncompressed");
        self.number("--limit-upload", options.limit_upload_kib);
        self.number("--limit-download", options.limit_download_kib);
    }

    pub(super) fn unlock(&mut self, all: bool) {
        self.push("unlock");
        self.flag(all, "--remove-all");
    }

    /// With `-v` it says also what it passes over.
    pub(super) fn copy(&mut self, snapshots: &[String]) {
        self.command(["copy", "--verbose"]);
        if snapshots.is_empty() {
            let host = self.context.host;
            self.words(["--host", host]);
        }
        self.operands(snapshots);
    }

    pub(super) fn tag(&mut self, snapshots: &[String], change: &TagChange) {
        self.command(["tag", "--json"]);
        match &change.set {
            // One empty tag is restic's word for none.
            Some(tags) if tags.is_empty() => self.value("--set", ""),
            Some(tags) => tags.iter().for_each(|t| self.value("--set", t)),
            None => {
                change.add.iter().for_each(|t| self.value("--add", t));
                change.remove.iter().for_each(|t| self.value("--remove", t));
            }
        }
        self.operands(snapshots);
    }

    pub(super) fn rewrite(&mut self, snapshots: &[String], excludes: &[String], forget: bool, dry_run: bool) {
        self.command(["rewrite"]);
        self.flag(forget, "--forget");
        self.flag(dry_run, "--dry-run");
        self.patterns(excludes);
        self.operands(snapshots);
    }

    pub(super) fn repair_index(&mut self, read_all_packs: bool) {
        if Ability::RepairIndex.is_in(self.context.version) {
            self.command(["repair", "index"]);
        } else {
            self.command(["rebuild-index"]);
        }
        self.flag(read_all_packs, "--read-all-packs");
    }

    pub(super) fn repair_packs(&mut self, packs: &[String]) {
        self.command(["repair", "packs"]);
        self.operands(packs);
    }

    pub(super) fn repair_snapshots(&mut self, snapshots: &[String], forget: bool, dry_run: bool) {
        self.command(["repair", "snapshots"]);
        self.flag(forget, "--forget");
        self.flag(dry_run, "--dry-run");
        self.operands(snapshots);
    }

    pub(super) fn key_add(&mut self, password_file: &Path) {
        let host = self.context.host;
        self.command(["key", "add", "--host", host]);
        self.push("--new-password-file");
        self.line.args.push(password_file.as_os_str().to_owned());
        self.line.shown.push_str(" <file>");
    }
}
