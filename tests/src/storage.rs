//! A real rest-server, append-only with private repositories, and plain restic beside it.

use crate::tools::{output, rest_server, restic};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

/// A rest-server that knows these users, each with the password `pw-<name>`.
pub struct RestServer {
    child: Child,
    mode: Vec<String>,
    pub port: u16,
    pub dir: Arc<TempDir>,
}

impl RestServer {
    pub fn start(users: &[&str]) -> Self {
        let dir = Arc::new(TempDir::new().unwrap());
        let line = |user: &&str| {
            let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, format!("pw-{user}").as_bytes());
            format!("{user}:{{SHA}}{}\n", B64.encode(hash))
        };
        std::fs::write(dir.path().join(".htpasswd"), users.iter().map(line).collect::<String>()).unwrap();
        Self::serve(dir, &["--append-only", "--private-repos"])
    }

    /// A second one over the same data, for the maintenance host: everybody whom it knows may do everything everywhere.
    pub fn writable(&self) -> Self {
        Self::serve(Arc::clone(&self.dir), &[])
    }

    /// A third one over the same data, which takes no more than so many bytes.
    pub fn small(&self, bytes: u64) -> Self {
        Self::serve(Arc::clone(&self.dir), &["--max-size", &bytes.to_string()])
    }

    /// As if its machine lost power.
    pub fn kill(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }

    /// Starts it again, where it was.
    pub fn back(&mut self) {
        let mode: Vec<&str> = self.mode.iter().map(String::as_str).collect();
        (self.child, _) = Self::spawn(&self.dir, &mode, self.port);
    }

    fn serve(dir: Arc<TempDir>, more: &[&str]) -> Self {
        let (child, port) = Self::spawn(&dir, more, 0);
        Self { child, mode: more.iter().map(|m| (*m).to_owned()).collect(), port, dir }
    }

    fn spawn(dir: &TempDir, more: &[&str], port: u16) -> (Child, u16) {
        let mut child = Command::new(rest_server())
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .args(more)
            .arg("--path")
            .arg(dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let port = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "rest-server ended early");
            if let Some((_, address)) = line.trim().split_once("start server on ") {
                break address.rsplit(':').next().unwrap().parse().unwrap();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        (child, port)
    }

    /// Has it read its accounts anew.
    pub fn reload(&self) {
        assert!(Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status().unwrap().success());
    }

    /// The URL template that gives each host its own repository.
    pub fn url(&self) -> String {
        format!("rest:http://127.0.0.1:{}/{{host}}/", self.port)
    }

    /// Plain restic, as that user, without restic-manager.
    pub fn restic(&self, user: &str, password: &str, args: &[&str]) -> String {
        output(&mut self.restic_command(user, password, args))
    }

    pub fn restic_command(&self, user: &str, password: &str, args: &[&str]) -> Command {
        let mut command = Command::new(restic());
        command
            .env("RESTIC_REPOSITORY", format!("rest:http://{user}:pw-{user}@127.0.0.1:{}/{user}/", self.port))
            .env("RESTIC_PASSWORD", password)
            .env("RESTIC_CACHE_DIR", self.dir.path().join(".cache"))
            .args(args);
        command
    }

    /// Restores a snapshot with plain restic and compares it with the source, byte for byte.
    pub fn assert_equals_source(&self, user: &str, password: &str, snapshot: &str, source: &Path) {
        let target = TempDir::new().unwrap();
        self.restic(user, password, &["restore", snapshot, "--target", target.path().to_str().unwrap()]);
        let restored = target.path().join(source.strip_prefix("/").unwrap());
        output(Command::new("diff").args(["-r", "--no-dereference"]).arg(source).arg(restored));
    }
}

impl Drop for RestServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Another server of restic's REST protocol, without accounts, on a folder of its own.
pub struct OpenServer {
    child: Child,
    pub url: String,
    _dir: TempDir,
}

impl OpenServer {
    /// rest-server, from this binary.
    pub fn rest(program: &Path, append_only: bool) -> Self {
        let mut command = Command::new(program);
        command.args(["--listen", "127.0.0.1:0", "--no-auth"]);
        Self::start(command, "--path", append_only, "start server on ")
    }

    /// `rclone serve restic`.
    pub fn rclone(append_only: bool) -> Self {
        let mut command = Command::new("rclone");
        command.args(["serve", "restic", "--addr", "127.0.0.1:0", "-v"]);
        Self::start(command, "", append_only, "http://")
    }

    fn start(mut command: Command, path: &str, append_only: bool, said: &str) -> Self {
        let dir = TempDir::new().unwrap();
        if append_only {
            command.arg("--append-only");
        }
        if !path.is_empty() {
            command.arg(path);
        }
        command.arg(dir.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        let port: u16 = loop {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "{command:?} ended early");
            if let Some((_, address)) = line.trim().split_once(said) {
                break address.trim_end_matches(['/', ']']).rsplit(':').next().unwrap().parse().unwrap();
            }
        };
        std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
        Self { child, url: format!("rest:http://127.0.0.1:{port}/repo/"), _dir: dir }
    }
}

impl Drop for OpenServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
