//! The arguments of `backup`.

use super::{Builder, LONGEST_LIST, length};
use crate::restic::needs::Ability;
use restic_manager_shared::wire::state::{BackupOptions, BackupSpec, Compression};

/// A backup. Of a hook it reads the output, which the agent pipes: a program that restic starts (`--stdin-from-command`) inherits its secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup<'a> {
    /// What, and how.
    pub spec: &'a BackupSpec,
    /// Tags besides the spec's own.
    pub tags: &'a [String],
    /// Say what would be done, and make no snapshot.
    pub dry_run: bool,
    /// Limits that hold now, in KiB/s: upload and download.
    pub limits: (Option<u32>, Option<u32>),
}

impl Builder<'_> {
    pub(super) fn backup(&mut self, backup: &Backup<'_>) {
        let host = self.context.host;
        self.words(["backup", "--json", "--host", host]);
        if let Some(patience) = self.patience {
            self.words(["--retry-lock", patience]);
        }
        for tag in backup.spec.tags.iter().chain(backup.tags) {
            self.words(["--tag", tag]);
        }
        self.flag(backup.dry_run, "--dry-run");
        self.number("--limit-upload", backup.limits.0);
        self.number("--limit-download", backup.limits.1);
        self.options(&backup.spec.options);
        match &backup.spec.options.stdin {
            Some(source) => {
                self.value("--stdin-filename", &source.filename);
                self.push("--stdin");
            }
            None => {
                self.sources(&backup.spec.options);
                self.patterns(&backup.spec.excludes);
                self.paths(&backup.spec.paths);
            }
        }
    }

    /// What counts for every backup.
    fn options(&mut self, options: &BackupOptions) {
        if let Some(compression) = options.compression {
            self.compression(compression);
        }
        self.number("--pack-size", options.pack_size_mib);
        if options.skip_if_unchanged && self.may(Ability::SkipIfUnchanged) {
            self.push("--skip-if-unchanged");
        }
    }

    /// What counts for files only.
    fn sources(&mut self, options: &BackupOptions) {
        self.flag(options.one_file_system, "--one-file-system");
        self.flag(options.exclude_caches, "--exclude-caches");
        for file in &options.exclude_files {
            self.value("--exclude-file", file);
        }
        for name in &options.exclude_if_present {
            self.value("--exclude-if-present", name);
        }
        if let Some(size) = &options.exclude_larger_than {
            self.value("--exclude-larger-than", size);
        }
        if options.read_concurrency.is_some() && self.may(Ability::ReadConcurrency) {
            self.number("--read-concurrency", options.read_concurrency);
        }
        if options.use_fs_snapshot {
            self.fs_snapshot();
        }
    }

    fn fs_snapshot(&mut self) {
        if cfg!(windows) {
            self.push("--use-fs-snapshot");
        } else {
            self.line
                .left_out
                .push("a shadow copy of the files is there on Windows only; they are read as they are".into());
        }
    }

    fn compression(&mut self, compression: Compression) {
        let word = match compression {
            Compression::Auto => "auto",
            Compression::Off => "off",
            Compression::Max => "max",
            Compression::Fastest | Compression::Better if !self.may(Ability::MoreCompressions) => return,
            Compression::Fastest => "fastest",
            Compression::Better => "better",
        };
        self.words(["--compression", word]);
    }

    pub(super) fn patterns(&mut self, patterns: &[String]) {
        if length(patterns) <= LONGEST_LIST {
            for pattern in patterns {
                self.value("--exclude", pattern);
            }
            return;
        }
        let lines: String = patterns.iter().map(|p| escape_pattern(p) + "\n").collect();
        self.list("--exclude-file", "excludes", lines.into_bytes(), &format!("<{} patterns>", patterns.len()));
    }

    fn paths(&mut self, paths: &[String]) {
        if length(paths) <= LONGEST_LIST {
            self.push("--");
            paths.iter().for_each(|p| self.push(p));
            return;
        }
        let bytes = paths.iter().flat_map(|p| p.bytes().chain([0])).collect();
        self.list("--files-from-raw", "paths", bytes, &format!("<{} paths>", paths.len()));
    }
}

/// A pattern as a line of an exclude file, where `$` names a variable, `#` begins a comment and blanks at the ends are dropped.
pub(super) fn escape_pattern(pattern: &str) -> String {
    let mut text = pattern.replace('$', "$$");
    if text.starts_with(['#', ' ', '\t']) {
        let first = text.remove(0);
        text.insert_str(0, &format!("[{first}]"));
    }
    if let Some(last) = text.chars().last().filter(|c| matches!(c, ' ' | '\t')) {
        text.pop();
        text.push_str(&format!("[{last}]"));
    }
    text
}
