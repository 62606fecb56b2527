//! What is wrong with the options of a backup.

use super::schedule::check_lines;
use super::task_input::is_size;
use restic_manager_shared::wire::problem::FieldError;
use restic_manager_shared::wire::state::{BackupOptions, StdinSource, TimedLimit};

fn at(pointer: impl Into<String>, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: format!("/options{}", pointer.into()), detail: detail.into() }
}

/// Everything that is wrong; empty means fine.
#[must_use]
pub fn check_options(options: &BackupOptions) -> Vec<FieldError> {
    let mut wrong = vec![];
    for (name, limit) in
        [("limit_upload_kib", options.limit_upload_kib), ("limit_download_kib", options.limit_download_kib)]
    {
        if limit == Some(0) {
            wrong.push(at(format!("/{name}"), "at least 1 KiB/s, or left out for no limit"));
        }
    }
    for (n, limit) in options.timed_limits.iter().enumerate() {
        wrong.extend(check_timed(limit, &format!("/timed_limits/{n}")));
    }
    wrong.extend(check_lines(&options.exclude_files, "/options/exclude_files"));
    wrong.extend(check_lines(&options.exclude_if_present, "/options/exclude_if_present"));
    if options.exclude_larger_than.as_deref().is_some_and(|size| !is_size(size, false)) {
        wrong.push(at("/exclude_larger_than", "a size such as 500M or 10G"));
    }
    if options.read_concurrency.is_some_and(|n| !(1..=128).contains(&n)) {
        wrong.push(at("/read_concurrency", "1 to 128"));
    }
    if options.pack_size_mib.is_some_and(|n| !(4..=128).contains(&n)) {
        wrong.push(at("/pack_size_mib", "4 to 128 MiB"));
    }
    wrong.extend(options.stdin.iter().flat_map(check_stdin));
    for (name, hook) in [("before", &options.before), ("after", &options.after)] {
        if hook.as_deref().is_some_and(|hook| !is_hook(hook)) {
            wrong.push(at(format!("/{name}"), A_HOOK));
        }
    }
    if options.hook_limit_minutes.is_some_and(|n| !(1..=1440).contains(&n)) {
        wrong.push(at("/hook_limit_minutes", "1 to 1440 minutes"));
    }
    wrong
}

const A_HOOK: &str = "the name of a file in the host's own hooks folder, never a path";

/// A name in a folder, not a way out of it.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 200 && !text.contains(['/', '\\', '\0', '\n', '\r'])
}

fn is_hook(name: &str) -> bool {
    is_name(name) && !name.starts_with('.')
}

/// Minutes since midnight, of `HH:MM`.
#[must_use]
pub fn minute_of_day(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let digits = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    let (h, m): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (digits(hours) && digits(minutes) && h < 24 && m < 60).then_some(h * 60 + m)
}

fn check_timed(limit: &TimedLimit, pointer: &str) -> Vec<FieldError> {
    let mut wrong = vec![];
    for (name, time) in [("from", &limit.from), ("to", &limit.to)] {
        if minute_of_day(time).is_none() {
            wrong.push(at(format!("{pointer}/{name}"), "a time of day such as 08:00"));
        }
    }
    if limit.from == limit.to {
        wrong.push(at(
            format!("{pointer}/to"),
            "is the same as from; leave the hours out for a limit that always holds",
        ));
    }
    for (name, kib) in [("upload_kib", limit.upload_kib), ("download_kib", limit.download_kib)] {
        if kib == Some(0) {
            wrong.push(at(format!("{pointer}/{name}"), "at least 1 KiB/s, or left out for no limit"));
        }
    }
    wrong
}

fn check_stdin(source: &StdinSource) -> Vec<FieldError> {
    let mut wrong = vec![];
    if !is_hook(&source.hook) {
        wrong.push(at("/stdin/hook", A_HOOK));
    }
    if !is_name(&source.filename) {
        wrong.push(at("/stdin/filename", "a file name without slashes, such as database.sql"));
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_are_read_strictly() {
        for (text, want) in [
            ("00:00", Some(0)),
            ("23:59", Some(1439)),
            ("24:00", None),
            ("8:00", None),
            ("08:0", None),
            ("+8:00", None),
        ] {
            assert_eq!(minute_of_day(text), want, "{text}");
        }
    }

    #[test]
    fn each_wrong_option_is_named() {
        let stdin = |hook: &str, filename: &str| BackupOptions {
            stdin: Some(StdinSource { hook: hook.into(), filename: filename.into() }),
            ..BackupOptions::default()
        };
        let timed = |from: &str, to: &str| BackupOptions {
            timed_limits: vec![TimedLimit {
                from: from.into(),
                to: to.into(),
                upload_kib: Some(5),
                download_kib: None,
            }],
            ..BackupOptions::default()
        };
        for (options, want) in [
            (BackupOptions::default(), None),
            (stdin("dump-db", "db.sql"), None),
            (stdin("../../bin/sh", "db.sql"), Some("/options/stdin/hook")),
            (stdin("dump", "a/b"), Some("/options/stdin/filename")),
            (timed("08:00", "18:00"), None),
            (timed("22:00", "06:00"), None),
            (timed("8", "18:00"), Some("/options/timed_limits/0/from")),
            (timed("08:00", "08:00"), Some("/options/timed_limits/0/to")),
            (BackupOptions { pack_size_mib: Some(3), ..BackupOptions::default() }, Some("/options/pack_size_mib")),
            (BackupOptions { before: Some("freeze".into()), ..BackupOptions::default() }, None),
            (BackupOptions { before: Some("rm -rf /".into()), ..BackupOptions::default() }, Some("/options/before")),
            (BackupOptions { after: Some("..".into()), ..BackupOptions::default() }, Some("/options/after")),
            (
                BackupOptions { hook_limit_minutes: Some(0), ..BackupOptions::default() },
                Some("/options/hook_limit_minutes"),
            ),
            (
                BackupOptions { exclude_larger_than: Some("big".into()), ..BackupOptions::default() },
                Some("/options/exclude_larger_than"),
            ),
        ] {
            let wrong = check_options(&options);
            assert_eq!(wrong.first().map(|w| w.pointer.as_str()), want, "{options:?}");
        }
    }
}
