//! The agent's settings: `agent.toml` in the state folder, written by `enroll`, edited by people. Holds no secret, except that a
//! proxy's address may carry a password, which is why the file is private too.

use crate::state_dir::{StateDir, StateError};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const FILE: &str = "agent.toml";

/// The settings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The control plane's address, such as `https://backup.example.org`.
    pub server: String,
    /// The proxy for everything that leaves the host; without one, `HTTP_PROXY` and its like count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proxy: Option<String>,
    /// A PEM file of certificate authorities to trust besides the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// The restic binary; without one it is looked for on the PATH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restic: Option<PathBuf>,
    /// How many jobs may run at the same time.
    #[serde(default = "two")]
    pub max_jobs: u32,
    /// For how many seconds a new version of the agent may fail to reach the control plane before the one before it is put back.
    #[serde(default = "ten_minutes")]
    pub prove_seconds: u64,
    /// What to log, in the syntax of `tracing` filters such as `info` or `agent=debug`.
    #[serde(default = "info")]
    pub log: String,
}

fn two() -> u32 {
    2
}

fn ten_minutes() -> u64 {
    600
}

fn info() -> String {
    "info".to_owned()
}

impl Config {
    /// Settings for a server, everything else as it comes.
    #[must_use]
    pub fn new(server: &str) -> Self {
        let server = server.trim_end_matches('/').to_owned();
        Self {
            server,
            proxy: None,
            ca_file: None,
            restic: None,
            max_jobs: two(),
            prove_seconds: ten_minutes(),
            log: info(),
        }
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is missing or does not parse.
    pub fn load(dir: &StateDir) -> Result<Self, StateError> {
        let corrupt = |reason: String| StateError::Corrupt { path: dir.file(FILE), reason };
        let bytes =
            dir.read(FILE)?.ok_or_else(|| corrupt("it is missing; run `restic-manager-agent enroll`".into()))?;
        let text = String::from_utf8(bytes).map_err(|_| corrupt("it is not UTF-8".into()))?;
        let config: Self = toml::from_str(&text).map_err(|e| corrupt(e.to_string()))?;
        Ok(Self { max_jobs: config.max_jobs.max(1), ..config })
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, dir: &StateDir) -> Result<(), StateError> {
        let text =
            toml::to_string(self).map_err(|e| StateError::Corrupt { path: dir.file(FILE), reason: e.to_string() })?;
        dir.replace(FILE, text.as_bytes())
    }
}

/// What the agent takes from the environment it was started in. Read once, by the command line; restic is given these and no more.
#[derive(Clone, Debug, Default)]
pub struct Inherited {
    /// Where programs are found.
    pub path: Option<String>,
    /// `NO_PROXY`.
    pub no_proxy: Option<String>,
    /// `HTTP_PROXY`.
    pub http_proxy: Option<String>,
    /// `HTTPS_PROXY`.
    pub https_proxy: Option<String>,
    /// Windows' own folder, without which nothing there can open a socket.
    pub system_root: Option<String>,
    /// The user's home folder: keys of sftp and rclone lie in it.
    pub home: Option<String>,
}

impl Inherited {
    /// The first file of this name on the PATH.
    #[must_use]
    pub fn find_on_path(&self, name: &str) -> Option<PathBuf> {
        let path = self.path.as_deref()?;
        std::env::split_paths(path).map(|dir| dir.join(name)).find(|file| is_program(file))
    }
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata().is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_the_file_and_unknown_ones_are_refused() {
        let tmp = tempfile::tempdir().expect("dir");
        let dir = StateDir::open(tmp.path()).expect("opens");
        assert!(Config::load(&dir).expect_err("missing").to_string().contains("enroll"));
        let config = Config { proxy: Some("http://p:3128".into()), ..Config::new("https://x/") };
        config.save(&dir).expect("saves");
        assert_eq!(Config::load(&dir).expect("loads"), config);
        assert_eq!(config.server, "https://x");
        dir.replace(FILE, b"server = \"x\"\npaths = [\"/etc\"]\n").expect("writes");
        assert!(Config::load(&dir).expect_err("unknown").to_string().contains("paths"));
    }
}
