//! The storage's file of accounts (`.htpasswd` of a rest-server): one line for each user. Written by a job only if this host's policy names
//! the file, and only ever one line of it.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The account cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The name or the line is not usable.
    #[error("{0}")]
    Bad(&'static str),
    /// The file cannot be read or written.
    #[error("cannot write {path}: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// Puts the user's line into the file, in place of the one that the user has, and as one act.
///
/// # Errors
/// [`AccountError`]; the file is then as it was.
pub fn write(path: &Path, user: &str, line: &str) -> Result<(), AccountError> {
    let line = checked(user, line)?;
    let io = |source| AccountError::Io { path: path.to_owned(), source };
    let old = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(io(e)),
    };
    replace(path, &with(&old, user, line)).map_err(io)
}

/// The line without its end, if it is a line of this user and nothing else.
fn checked<'a>(user: &str, line: &'a str) -> Result<&'a str, AccountError> {
    let line = line.trim_end_matches(['\r', '\n']);
    let plain = |c: char| !c.is_control() && c != ':' && !c.is_whitespace() && c != '/' && c != '\\';
    if user.is_empty() || user.len() > 128 || user.starts_with(['#', '.']) || !user.chars().all(plain) {
        return Err(AccountError::Bad(
            "the account's name is not usable: no colon, slash, blank or control character may be in it",
        ));
    }
    match line.split_once(':') {
        Some((name, hash)) if name == user && !hash.is_empty() && !hash.chars().any(char::is_control) => Ok(line),
        Some(_) | None => Err(AccountError::Bad("the account's line is not one of this user")),
    }
}

/// The file's text with the user's line in it.
fn with(old: &str, user: &str, line: &str) -> String {
    let mut done = false;
    let mut out = String::with_capacity(old.len() + line.len() + 1);
    for held in old.lines() {
        if held.split_once(':').is_some_and(|(name, _)| name == user) {
            if !done {
                out.push_str(line);
                out.push('\n');
            }
            done = true;
        } else {
            out.push_str(held);
            out.push('\n');
        }
    }
    if !done {
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// A new file takes the old one's place, with its mode and owner: the storage's own user must still be able to read it.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    // What an earlier try left behind, or a link that somebody laid there, is not written through.
    match fs::remove_file(&fresh) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        Ok(()) | Err(_) => {}
    }
    let mut file = create(&fresh)?;
    let written = like(path, &file).and_then(|()| file.write_all(text.as_bytes())).and_then(|()| file.sync_all());
    let done = written.and_then(|()| fs::rename(&fresh, path));
    if done.is_err() {
        let _ = fs::remove_file(&fresh);
    }
    done
}

#[cfg(unix)]
fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    File::options().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(not(unix))]
fn create(path: &Path) -> io::Result<File> {
    File::options().write(true).create_new(true).open(path)
}

#[cfg(unix)]
fn like(old: &Path, fresh: &File) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, fchown};
    match fs::metadata(old) {
        Ok(meta) => {
            let own = fresh.metadata()?;
            if (own.uid(), own.gid()) != (meta.uid(), meta.gid()) {
                fchown(fresh, Some(meta.uid()), Some(meta.gid()))?;
            }
            fresh.set_permissions(meta.permissions())
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
    }
}

/// Windows gives a new file the folder's own access list.
#[cfg(not(unix))]
fn like(_old: &Path, _fresh: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_replaced_or_appended_and_the_others_stay() {
        for (old, want) in [
            ("", "al:2\n"),
            ("bo:1", "bo:1\nal:2\n"),
            ("al:1\nbo:1\n", "al:2\nbo:1\n"),
            ("# al:x\nbo:1\nal:1\nal:0\n", "# al:x\nbo:1\nal:2\n"),
            ("alan:1\n", "alan:1\nal:2\n"),
        ] {
            assert_eq!(with(old, "al", "al:2"), want, "{old:?}");
        }
    }

    #[test]
    fn what_is_no_account_is_refused() {
        for (user, line) in [
            ("a:b", "a:b:x"),
            ("a\nroot", "a\nroot:x"),
            ("", ":x"),
            ("a", "b:x"),
            ("a", "a:"),
            ("a", "a:x\nb:y"),
            ("../a", "../a:x"),
            ("a b", "a b:x"),
            ("#a", "#a:x"),
        ] {
            assert!(checked(user, line).is_err(), "{user:?} {line:?}");
        }
        assert_eq!(checked("web-1.x", "web-1.x:$2y$05$abc\n").expect("fine"), "web-1.x:$2y$05$abc");
    }

    #[cfg(unix)]
    #[test]
    fn mode_and_owner_stay() {
        use std::os::unix::fs::PermissionsExt as _;
        let tmp = tempfile::tempdir().expect("dir");
        let path = tmp.path().join(".htpasswd");
        fs::write(&path, "bo:1\n").expect("writes");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).expect("sets");
        write(&path, "al", "al:2").expect("writes");
        assert_eq!(fs::read_to_string(&path).expect("reads"), "bo:1\nal:2\n");
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(tmp.path()).expect("there").count(), 1);
    }
}
