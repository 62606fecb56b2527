//! What the agent's tests run against: a small scripted control plane, a real rest-server, and the real agent as a process. The control
//! plane here is not the product's; it only speaks its language.
#![allow(dead_code)] // each test file uses its part

pub mod control;
pub mod gate;
pub mod tools;

use control::Control;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tools::Restic;

/// An enrolled agent that can be started, stopped and killed.
pub struct AgentUnderTest {
    pub dir: TempDir,
    pub restic: Restic,
    child: Option<Child>,
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_restic-manager-agent"));
    // What an administrator may have given the service is not for what it starts.
    let of_service = [("AWS_SECRET_ACCESS_KEY", "of the service"), ("RESTIC_PASSWORD", "of the service")];
    command.stdin(Stdio::null()).env("TZ", "UTC").envs(of_service);
    command
}

impl AgentUnderTest {
    /// Enrols and starts.
    pub fn start(control: &Control, restic: &Restic) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let output = program()
            .args(["enroll", "--server", &control.url(), "--state-dir"])
            .arg(dir.path())
            .env("RESTIC_MANAGER_TOKEN", "token")
            .output()
            .expect("runs");
        assert!(output.status.success(), "enroll: {}", String::from_utf8_lossy(&output.stderr));
        let mut agent = Self { dir, restic: restic.clone(), child: None };
        agent.run();
        agent
    }

    /// Starts it (again).
    pub fn run(&mut self) {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_file()).expect("log");
        let mut command = program();
        command.args(["run", "--log", "agent=debug", "--state-dir"]).arg(self.dir.path());
        command.arg("--restic").arg(&self.restic.path).stderr(log).stdout(Stdio::null());
        self.child = Some(command.spawn().expect("starts"));
    }

    fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// `status`.
    pub fn status(&self) -> String {
        let output = program().args(["status", "--state-dir"]).arg(self.dir.path()).output().expect("runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// As `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).expect("killed");
        }
    }

    /// As systemd stops it; gives its exit status.
    pub fn terminate(&mut self) -> Option<i32> {
        let mut child = self.child.take().expect("running");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        child.wait().expect("ends").code()
    }
}

impl Drop for AgentUnderTest {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the agent's log\n{}", self.log());
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
