//! Starting the control plane where something is in the way: it says what, and what to do, and changes nothing.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use restic_manager_tests::control::{ControlPlane, program};
use std::path::Path;
use tempfile::TempDir;

fn refused(dir: &Path, listen: &str) -> String {
    let out = program().args(["serve", "--listen", listen, "--data-dir"]).arg(dir).output().unwrap();
    assert!(!out.status.success());
    String::from_utf8_lossy(&out.stderr).into_owned()
}

#[test]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let said = refused(TempDir::new().unwrap().path(), &address);
    assert!(said.contains(&address) && said.contains("--listen"), "{said}");
}

#[test]
fn a_data_folder_that_cannot_be_written_is_named() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let said = refused(&file.join("data"), "127.0.0.1:0");
    assert!(said.contains("data folder") && said.contains("--data-dir"), "{said}");
}

#[test]
fn a_lost_master_key_is_not_replaced() {
    let dir = ControlPlane::start().stop();
    let key = dir.path().join("master.key");
    std::fs::remove_file(&key).unwrap();
    let said = refused(dir.path(), "127.0.0.1:0");
    assert!(said.contains("master.key") && said.contains("Put the file back"), "{said}");
    assert!(!key.exists());
    std::fs::write(&key, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=").unwrap();
    let said = refused(dir.path(), "127.0.0.1:0");
    assert!(said.contains("another one"), "{said}");
}

#[test]
fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let dir = ControlPlane::start().stop();
    for entry in std::fs::read_dir(dir.path()).unwrap().map(Result::unwrap) {
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode & 0o077, 0, "{:?} is {mode:o}", entry.path());
    }
}
