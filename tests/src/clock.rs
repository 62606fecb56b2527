//! The clock that a program of ours sees, by libfaketime: one that goes faster, timers and all, or one that is set forward and back while
//! the program runs. The program reads the clock as always; what it starts sees the true time.

use restic_manager_shared::time::Timestamp;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// A clock for one program or several.
#[derive(Debug)]
pub struct Clock {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// So many times as fast as the true one since it was made; a program that is started again does not fall behind.
    Fast { rate: u32, began: Timestamp },
    /// Off by what the file says. The machine's own time since boot, which nobody can set, stays true.
    Settable { dir: TempDir },
}

/// Where Debian puts it.
fn library() -> PathBuf {
    let arch = std::env::consts::ARCH;
    let path = PathBuf::from(format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketime.so.1"));
    assert!(path.exists(), "{} is missing: run ./deploy/test, which installs faketime", path.display());
    path
}

impl Clock {
    /// Goes so many times as fast as the true one.
    #[must_use]
    pub fn fast(rate: u32) -> Self {
        Self { kind: Kind::Fast { rate, began: Timestamp::now() } }
    }

    /// True until it is set.
    #[must_use]
    pub fn settable() -> Self {
        let clock = Self { kind: Kind::Settable { dir: TempDir::new().unwrap() } };
        clock.set(0);
        clock
    }

    /// Sets it so many seconds off the true time. Programs see that within a second.
    pub fn set(&self, seconds: i64) {
        let Kind::Settable { dir } = &self.kind else { panic!("a fast clock cannot be set") };
        let fresh = dir.path().join("fresh");
        std::fs::write(&fresh, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(fresh, dir.path().join("offset")).unwrap();
    }

    /// Makes a program that is about to start see this clock.
    pub fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", library());
        match &self.kind {
            Kind::Fast { rate, began } => {
                let passed = Timestamp::now().since(*began).as_secs_f64();
                command.env("FAKETIME", format!("+{:.3} x{rate}", passed * f64::from(rate - 1)));
            }
            Kind::Settable { dir } => {
                command.env("FAKETIME_TIMESTAMP_FILE", dir.path().join("offset"));
                command.env("FAKETIME_CACHE_DURATION", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            }
        }
    }
}

/// Removes what the library leaves of a program that was killed: another one of the same number would not start.
pub fn sweep(pid: u32) {
    for name in [format!("faketime_shm_{pid}"), format!("sem.faketime_sem_{pid}")] {
        let _ = std::fs::remove_file(PathBuf::from("/dev/shm").join(name));
    }
}
