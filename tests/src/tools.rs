//! The programs that the tests run: our own as they were built, and restic, rest-server and the browser as `deploy/test` installs them.

use std::path::{Path, PathBuf};
use std::process::Command;

/// One of our own programs, from the same build as the running test.
pub fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    // Tests lie in target/<profile>/deps, the bench beside our programs.
    let path =
        test.ancestors().skip(1).take(2).map(|dir| dir.join(name)).find(|path| path.exists()).unwrap_or_default();
    assert!(path.exists(), "{name} is not built: run the tests with ./deploy/test");
    path
}

/// The project's folder.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn cached(suite: &str, name: &str) -> PathBuf {
    let path = root().join(".cache").join(suite).join("usr/bin").join(name);
    assert!(path.exists(), "{} is missing: run ./deploy/test, which installs it", path.display());
    path
}

/// restic 0.18, the reference.
pub fn restic() -> PathBuf {
    cached("trixie", "restic")
}

/// restic 0.14, the oldest that must work.
pub fn oldest_restic() -> PathBuf {
    cached("bookworm", "restic")
}

/// rest-server.
pub fn rest_server() -> PathBuf {
    cached("trixie", "restic-rest-server")
}

/// The newest rest-server.
pub fn newest_rest_server() -> PathBuf {
    cached("sid", "restic-rest-server")
}

/// Runs a command to its end and answers what it printed.
pub fn output(command: &mut Command) -> String {
    let out = command.output().unwrap();
    assert!(out.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}
