//! The real programs that tests need, and a rest-server of their own. What is missing fails the test, loudly.

use restic_manager_shared::restic::version::Version;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::state::RepositorySecrets;
use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const HINT: &str = "run ./deploy/test, which installs what the tests need";

/// A real restic.
#[derive(Clone, Debug)]
pub struct Restic {
    pub path: PathBuf,
    pub version: Version,
}

fn cache() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.cache")
}

fn on_path(name: &str) -> Option<PathBuf> {
    let output = Command::new("sh").args(["-c", &format!("command -v {name}")]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    (!text.trim().is_empty()).then(|| text.trim().into())
}

/// Every restic there is: of the PATH, and of the releases that the test script unpacks.
pub fn all_restics() -> Vec<Restic> {
    let unpacked = ["trixie", "bookworm", "sid"].map(|suite| cache().join(suite).join("usr/bin/restic"));
    let mut found: Vec<Restic> = Vec::new();
    for path in on_path("restic").into_iter().chain(unpacked.into_iter().filter(|p| p.exists())) {
        let output = Command::new(&path).args(["version", "--json"]).output().expect("restic runs");
        let version = Version::from_output(&String::from_utf8_lossy(&output.stdout)).expect("a version");
        if !found.iter().any(|r| r.version == version) {
            found.push(Restic { path, version });
        }
    }
    assert!(!found.is_empty(), "there is no restic: {HINT}");
    found
}

/// The newest of them.
pub fn restic() -> Restic {
    all_restics().into_iter().max_by_key(|r| r.version).expect("one at least")
}

/// A rest-server with private repositories, for the user `alice`.
pub struct RestServer {
    program: PathBuf,
    mode: Vec<String>,
    child: Option<Child>,
    port: u16,
    data: Arc<TempDir>,
}

impl RestServer {
    /// Append-only.
    pub fn start() -> Self {
        Self::with(&["--append-only"])
    }

    /// With these flags.
    pub fn with(mode: &[&str]) -> Self {
        let data = tempfile::tempdir().expect("dir");
        // SHA-1 of `pw/1 %`.
        std::fs::write(data.path().join(".htpasswd"), format!("alice:{{SHA}}{}\n", sha1_base64("pw/1 %")))
            .expect("writes");
        Self::over(Arc::new(data), mode)
    }

    /// A second one over the same folder.
    pub fn beside(&self, mode: &[&str]) -> Self {
        Self::over(Arc::clone(&self.data), mode)
    }

    fn over(data: Arc<TempDir>, mode: &[&str]) -> Self {
        let unpacked = cache().join("trixie/usr/bin/restic-rest-server");
        let program = on_path("rest-server")
            .or_else(|| on_path("restic-rest-server"))
            .or_else(|| unpacked.exists().then_some(unpacked));
        let program = program.unwrap_or_else(|| panic!("there is no rest-server: {HINT}"));
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let mode = mode.iter().map(|m| (*m).to_owned()).collect();
        let mut server = Self { program, mode, child: None, port, data };
        server.run();
        server
    }

    /// Starts it (again).
    pub fn run(&mut self) {
        let child = Command::new(&self.program)
            .args(["--path", &self.data.path().to_string_lossy(), "--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--private-repos")
            .args(&self.mode)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        self.child = Some(child);
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "rest-server does not listen");
            std::thread::yield_now();
        }
    }

    /// As if its machine lost power.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("killed");
        }
    }

    /// The folder of a repository.
    pub fn folder(&self, repository: &str) -> PathBuf {
        self.data.path().join("alice").join(repository)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self, repository: &str) -> String {
        format!("rest:http://127.0.0.1:{}/alice/{repository}", self.port)
    }

    pub fn secrets(&self) -> RepositorySecrets {
        RepositorySecrets {
            password: Secret::new("repo secret"),
            rest_username: Some("alice".into()),
            rest_password: Some(Secret::new("pw/1 %")),
            env: std::collections::BTreeMap::new(),
        }
    }

    /// restic itself, on one of its repositories; what it prints.
    pub fn ask(&self, restic: &Restic, repository: &str, args: &[&str]) -> String {
        self.try_to_ask(restic, repository, args).unwrap_or_else(|| panic!("{args:?} failed"))
    }

    /// The same; none if it fails.
    pub fn try_to_ask(&self, restic: &Restic, repository: &str, args: &[&str]) -> Option<String> {
        let url = self.url(repository).replace("http://", "http://alice:pw%2F1%20%25@");
        let output = Command::new(&restic.path)
            .args(args)
            .env("RESTIC_REPOSITORY", url)
            .env("RESTIC_PASSWORD", "repo secret")
            .arg("--no-cache")
            .output()
            .expect("runs");
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for RestServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn sha1_base64(text: &str) -> String {
    use base64::Engine as _;
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest)
}

/// A folder with files in it, of so many KiB in all, none of it compressible.
pub fn source(files: u32, kib: usize) -> TempDir {
    let dir = tempfile::tempdir().expect("dir");
    let random = ring::rand::SystemRandom::new();
    let each = kib * 1024 / files as usize;
    for n in 0..files {
        let mut bytes = vec![0; each];
        ring::rand::SecureRandom::fill(&random, &mut bytes).expect("random");
        let mut file = std::fs::File::create(dir.path().join(format!("file {n}"))).expect("creates");
        file.write_all(&bytes).expect("writes");
    }
    dir
}
