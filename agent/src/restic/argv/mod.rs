//! The arguments of a restic run, by operation and version. Pure. A flag that a version does not know is never given to it. A secret never
//! becomes an argument, because every user of the machine can read those.

mod backup;
mod look;
mod maintain;
mod operation;
mod restore;

pub use backup::Backup;
pub use operation::Operation;
pub use restore::Restore;

use super::needs::Ability;
use restic_manager_shared::restic::version::Version;
use std::ffi::OsString;
use std::path::Path;

/// More bytes of paths or patterns than this go through a file: systems limit what a command line may hold.
const LONGEST_LIST: usize = 64 * 1024;

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
    /// What was asked for and left out, because this restic or this system does not know it.
    pub left_out: Vec<String>,
}

/// What the arguments depend on besides the operation.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The host's name for restic.
    pub host: &'a str,
    /// The job's folder.
    pub dir: &'a Path,
    /// A file of certificate authorities for the storage.
    pub ca: Option<&'a Path>,
    /// The restic that will run.
    pub version: Version,
}

/// Builds the command line.
#[must_use]
pub fn build(operation: Operation<'_>, context: Context<'_>) -> CommandLine {
    let mut line = Builder {
        line: CommandLine { shown: "restic".into(), ..CommandLine::default() },
        context,
        patience: operation.command().patience().filter(|_| Ability::RetryLock.is_in(context.version)),
    };
    line.operation(operation);
    if let Some(ca) = context.ca {
        line.cacert(ca);
    }
    line.line
}

struct Builder<'a> {
    line: CommandLine,
    context: Context<'a>,
    patience: Option<&'static str>,
}

impl Builder<'_> {
    fn operation(&mut self, operation: Operation<'_>) {
        match operation {
            Operation::Backup(backup) => self.backup(&backup),
            Operation::Init => self.words(["init", "--json"]),
            Operation::Snapshots { ids, all_hosts } => self.snapshots(ids, all_hosts),
            Operation::ListSnapshots => self.words(["list", "snapshots", "--no-lock"]),
            Operation::ListLocks => self.words(["list", "locks", "--no-lock"]),
            Operation::CatLock { id } => self.words(["cat", "lock", id, "--no-lock"]),
            Operation::CatConfig => self.words(["cat", "config", "--no-lock"]),
            Operation::Ls { snapshot, path, recursive } => self.ls(snapshot, path, recursive),
            Operation::Find { pattern, snapshots, ignore_case } => self.find(pattern, snapshots, ignore_case),
            Operation::FindPacks { packs } => self.find_packs(packs),
            Operation::FindUnreadable { snapshot } => self.find_unreadable(snapshot),
            Operation::Stats { mode, snapshots } => self.stats(mode, snapshots),
            Operation::Diff { from, to, metadata } => self.diff(from, to, metadata),
            Operation::Check { read_data, limit_download_kib } => self.check(read_data, limit_download_kib),
            Operation::Forget { ids, dry_run } => self.forget(ids, dry_run),
            Operation::Prune { options } => self.prune(options),
            Operation::Unlock { all } => self.unlock(all),
            Operation::Copy { snapshots } => self.copy(snapshots),
            Operation::Tag { snapshots, change } => self.tag(snapshots, change),
            Operation::Rewrite { snapshots, excludes, forget, dry_run } => {
                self.rewrite(snapshots, excludes, forget, dry_run);
            }
            Operation::RepairIndex { read_all_packs } => self.repair_index(read_all_packs),
            Operation::RepairPacks { packs } => self.repair_packs(packs),
            Operation::RepairSnapshots { snapshots, forget, dry_run } => {
                self.repair_snapshots(snapshots, forget, dry_run);
            }
            Operation::KeyList => self.command(["key", "list", "--json"]),
            Operation::KeyAdd { password_file } => self.key_add(password_file),
            Operation::KeyRemove { key } => {
                self.command(["key", "remove"]);
                self.words(["--", key]);
            }
            Operation::CacheCleanup => self.words(["cache", "--cleanup"]),
            Operation::Restore(restore) => self.restore(&restore),
            Operation::Dump { snapshot, path, format } => self.dump(snapshot, path, format),
            Operation::Tree { snapshot } => self.tree(snapshot),
        }
    }

    fn push(&mut self, arg: impl Into<OsString>) {
        let arg = arg.into();
        self.line.shown.push(' ');
        self.line.shown.push_str(&quote(&arg.to_string_lossy()));
        self.line.args.push(arg);
    }

    fn words<const N: usize>(&mut self, words: [&str; N]) {
        words.into_iter().for_each(|w| self.push(w));
    }

    /// The command, and how long it waits for a lock.
    fn command<const N: usize>(&mut self, words: [&str; N]) {
        self.words(words);
        if let Some(patience) = self.patience {
            self.words(["--retry-lock", patience]);
        }
    }

    fn flag(&mut self, wanted: bool, flag: &str) {
        if wanted {
            self.push(flag);
        }
    }

    fn number(&mut self, flag: &str, value: Option<u32>) {
        if let Some(value) = value {
            self.words([flag, &value.to_string()]);
        }
    }

    /// A value goes into the flag's own word, so that one that begins with `-` is no flag.
    fn value(&mut self, flag: &str, value: &str) {
        self.push(format!("{flag}={value}"));
    }

    /// What follows is never a flag.
    fn operands(&mut self, operands: &[String]) {
        if !operands.is_empty() {
            self.push("--");
            operands.iter().for_each(|o| self.push(o));
        }
    }

    /// Goes in front of what follows `--`, right after the command.
    fn cacert(&mut self, ca: &Path) {
        let at = 1.min(self.line.args.len());
        self.line.args.splice(at..at, ["--cacert".into(), ca.as_os_str().to_owned()]);
    }

    fn list(&mut self, flag: &str, name: &'static str, bytes: Vec<u8>, shown: &str) {
        self.line.args.push(flag.into());
        self.line.args.push(self.context.dir.join(name).into_os_string());
        self.line.shown.push_str(&format!(" {flag} {shown}"));
        self.line.files.push(ListFile { name, bytes });
    }

    /// Whether the option may be given; if not, people are told that it is not.
    fn may(&mut self, ability: Ability) -> bool {
        let can = ability.is_in(self.context.version);
        if !can {
            self.line.left_out.push(ability.lack(self.context.version));
        }
        can
    }
}

fn length(list: &[String]) -> usize {
    list.iter().map(|s| s.len() + 1).sum()
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
#[path = "tests.rs"]
mod tests;
