//! The arguments of a restic run. Pure. Only flags that every restic since 0.14 knows are used. A secret never becomes an argument, because every user of the
//! machine can read those.

use restic_manager_shared::wire::state::{BackupOptions, BackupSpec, Compression};
use std::ffi::OsString;
use std::path::Path;

/// More bytes of paths or patterns than this go through a file: systems limit what a command line may hold.
const LONGEST_LIST: usize = 64 * 1024;

/// What restic is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation<'a> {
    /// Make a snapshot, with these tags besides the spec's own.
    Backup {
        /// What, and how.
        spec: &'a BackupSpec,
        /// More tags.
        tags: &'a [String],
    },
    /// Make the repository.
    Init,
    /// List this host's snapshots, or only those that the ids name.
    Snapshots {
        /// Ids or their beginnings; none for all of this host.
        ids: &'a [String],
    },
}

/// A list that goes into a file beside the job's secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListFile {
    /// Its name in the job's folder.
    pub name: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// A command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The arguments.
    pub args: Vec<OsString>,
    /// Files that the arguments name and that must be there first.
    pub files: Vec<ListFile>,
    /// What a person is shown.
    pub shown: String,
}

/// Builds the command line. `dir` is the job's folder, `ca` a file of certificate authorities for the storage.
#[must_use]
pub fn build(operation: Operation<'_>, host: &str, dir: &Path, ca: Option<&Path>) -> CommandLine {
    let mut line = Builder { line: CommandLine { shown: "restic".into(), ..CommandLine::default() }, dir };
    match operation {
        Operation::Backup { spec, tags } => line.backup(spec, tags, host),
        Operation::Init => line.words(["init", "--json"]),
        Operation::Snapshots { ids } => line.snapshots(ids, host),
    }
    if let Some(ca) = ca {
        line.cacert(ca);
    }
    line.line
}

struct Builder<'a> {
    line: CommandLine,
    dir: &'a Path,
}

impl Builder<'_> {
    fn push(&mut self, arg: impl Into<OsString>) {
        let arg = arg.into();
        self.line.shown.push(' ');
        self.line.shown.push_str(&quote(&arg.to_string_lossy()));
        self.line.args.push(arg);
    }

    fn words<const N: usize>(&mut self, words: [&str; N]) {
        words.into_iter().for_each(|w| self.push(w));
    }

    /// Goes in front of what follows `--`, right after the command.
    fn cacert(&mut self, ca: &Path) {
        let at = 1.min(self.line.args.len());
        self.line.args.splice(at..at, ["--cacert".into(), ca.as_os_str().to_owned()]);
    }

    fn backup(&mut self, spec: &BackupSpec, tags: &[String], host: &str) {
        self.words(["backup", "--json", "--host", host]);
        for tag in spec.tags.iter().chain(tags) {
            self.words(["--tag", tag]);
        }
        self.options(&spec.options);
        self.excludes(&spec.excludes);
        self.paths(&spec.paths);
    }

    fn options(&mut self, options: &BackupOptions) {
        if options.one_file_system {
            self.push("--one-file-system");
        }
        if options.exclude_caches {
            self.push("--exclude-caches");
        }
        if let Some(kib) = options.limit_upload_kib {
            self.words(["--limit-upload", &kib.to_string()]);
        }
        if let Some(kib) = options.limit_download_kib {
            self.words(["--limit-download", &kib.to_string()]);
        }
        if let Some(compression) = options.compression {
            self.words(["--compression", compression_word(compression)]);
        }
    }

    fn excludes(&mut self, patterns: &[String]) {
        if length(patterns) <= LONGEST_LIST {
            for pattern in patterns {
                self.push(format!("--exclude={pattern}"));
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

    fn list(&mut self, flag: &str, name: &'static str, bytes: Vec<u8>, shown: &str) {
        self.line.args.push(flag.into());
        self.line.args.push(self.dir.join(name).into_os_string());
        self.line.shown.push_str(&format!(" {flag} {shown}"));
        self.line.files.push(ListFile { name, bytes });
    }

    fn snapshots(&mut self, ids: &[String], host: &str) {
        self.words(["snapshots", "--json"]);
        if ids.is_empty() {
            self.words(["--host", host]);
        }
        ids.iter().for_each(|id| self.push(id));
    }
}

const fn compression_word(compression: Compression) -> &'static str {
    match compression {
        Compression::Auto => "auto",
        Compression::Off => "off",
        Compression::Max => "max",
    }
}

fn length(list: &[String]) -> usize {
    list.iter().map(|s| s.len() + 1).sum()
}

/// A pattern as a line of an exclude file, where `$` names a variable, `#` begins a comment and blanks at the ends are dropped.
fn escape_pattern(pattern: &str) -> String {
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

/// As a shell would need it, so that a person can copy it.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,@%+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(operation: Operation<'_>) -> String {
        build(operation, "web 1", Path::new("/j"), None).shown
    }

    fn spec() -> BackupSpec {
        BackupSpec {
            paths: vec!["/srv/a b".into(), "-x".into()],
            excludes: vec!["*.tmp".into(), "$HOME".into()],
            tags: vec!["daily".into()],
            options: BackupOptions {
                one_file_system: true,
                exclude_caches: true,
                limit_upload_kib: Some(5),
                limit_download_kib: Some(6),
                compression: Some(Compression::Max),
            },
        }
    }

    #[test]
    fn each_operation_has_its_arguments() {
        let tags = ["rm-job-1".to_owned()];
        assert_eq!(
            shown(Operation::Backup { spec: &spec(), tags: &tags }),
            "restic backup --json --host 'web 1' --tag daily --tag rm-job-1 --one-file-system --exclude-caches \
             --limit-upload 5 --limit-download 6 --compression max '--exclude=*.tmp' '--exclude=$HOME' -- '/srv/a b' -x"
        );
        assert_eq!(shown(Operation::Init), "restic init --json");
        assert_eq!(shown(Operation::Snapshots { ids: &[] }), "restic snapshots --json --host 'web 1'");
        assert_eq!(shown(Operation::Snapshots { ids: &["ab12".into()] }), "restic snapshots --json ab12");
    }

    #[test]
    fn long_lists_go_through_files() {
        let long = |c: &str| vec![c.repeat(40_000), format!("{}$x", c.repeat(40_000))];
        let spec = BackupSpec { paths: long("/p"), excludes: long("#e"), ..BackupSpec::default() };
        let line = build(Operation::Backup { spec: &spec, tags: &[] }, "h", Path::new("/j"), None);
        assert_eq!(line.shown, "restic backup --json --host h --exclude-file <2 patterns> --files-from-raw <2 paths>");
        assert_eq!(line.args[5..], ["/j/excludes", "--files-from-raw", "/j/paths"].map(OsString::from));
        let text = |i: usize| String::from_utf8(line.files[i].bytes.clone()).expect("text");
        assert!(text(0).starts_with("[#]e") && text(0).ends_with("$$x\n"));
        assert!(text(1).ends_with("$x\0") && text(1).matches('\0').count() == 2);
    }

    #[test]
    fn patterns_keep_their_meaning_in_a_file() {
        for (pattern, want) in [("#a", "[#]a"), (" a ", "[ ]a[ ]"), ("a$b", "a$$b"), ("/x/*.o", "/x/*.o"), (" ", "[ ]")]
        {
            assert_eq!(escape_pattern(pattern), want);
        }
    }

    #[test]
    fn a_certificate_file_comes_right_after_the_command() {
        let line = build(Operation::Init, "h", Path::new("/j"), Some(Path::new("/ca.pem")));
        assert_eq!(line.args, ["init", "--cacert", "/ca.pem", "--json"].map(OsString::from));
        assert_eq!(line.shown, "restic init --json");
    }
}
