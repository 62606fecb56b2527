//! A real agent as a process, enrolled with a real control plane.

use crate::clock::{self, Clock};
use crate::control::ControlPlane;
use crate::disk::Disk;
use crate::tools::{built, restic};
use serde_json::Value;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use tempfile::TempDir;

pub struct Agent {
    child: Option<Child>,
    /// Its state folder's own, if it has one.
    pub disk: Option<Disk>,
    pub dir: TempDir,
    pub host: String,
    restic: PathBuf,
    clock: Option<Arc<Clock>>,
    /// Programs that come before the system's.
    programs: Option<PathBuf>,
    /// The agent's own program.
    pub program: PathBuf,
}

impl Agent {
    /// Runs `enroll`; what it printed on failure is the error.
    pub fn enroll(control: &ControlPlane, made: &Value) -> Result<Self, String> {
        Self::enroll_at(&control.url, made)
    }

    /// The same, through another address, such as a proxy's.
    pub fn enroll_at(url: &str, made: &Value) -> Result<Self, String> {
        Self::enroll_with(url, made, TempDir::new().unwrap(), built("restic-manager-agent"), &[])
    }

    /// The same, with a program of its own and more arguments.
    pub fn enroll_with(url: &str, made: &Value, dir: TempDir, program: PathBuf, more: &[&str]) -> Result<Self, String> {
        let out = Command::new(&program)
            .args(["enroll", "--server", url, "--state-dir"])
            .arg(dir.path().join("state"))
            .args(more)
            .env("RESTIC_MANAGER_TOKEN", made["token"].as_str().unwrap())
            .env("NO_PROXY", "127.0.0.1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let host = made["host_id"].as_str().unwrap_or_default().to_owned();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        if out.status.success() {
            Ok(Self { child: None, disk: None, dir, host, restic: restic(), clock: None, programs: None, program })
        } else {
            Err(said)
        }
    }

    /// Uses another restic from the next start on.
    pub fn with_restic(mut self, restic: PathBuf) -> Self {
        self.restic = restic;
        self
    }

    /// Finds these programs before the system's from the next start on.
    pub fn with_programs(mut self, folder: PathBuf) -> Self {
        self.programs = Some(folder);
        self
    }

    /// Sees another clock from the next start on.
    pub fn with_clock(mut self, clock: Option<Arc<Clock>>) -> Self {
        self.clock = clock;
        self
    }

    /// Puts the state folder on a small disk of its own, if that can be done here.
    pub fn with_disk(mut self, kib: u32) -> Self {
        self.disk = Disk::under(&self.dir.path().join("state"), kib);
        self
    }

    pub fn start(&mut self) {
        assert!(self.child.is_none(), "the agent runs already");
        let log = File::options().create(true).append(true).open(self.dir.path().join("log")).unwrap();
        let mut command = Command::new(&self.program);
        command.args(["run", "--state-dir"]).arg(self.dir.path().join("state"));
        command.arg("--restic").arg(&self.restic).env("NO_PROXY", "127.0.0.1");
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        if let Some(folder) = &self.programs {
            let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            command.env("PATH", format!("{}:{system}", folder.display()));
        }
        if let Some(clock) = &self.clock {
            clock.give(&mut command);
        }
        self.child = Some(command.spawn().unwrap());
    }

    /// As a power cut would: no chance to tidy up.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("the agent runs");
        child.kill().unwrap();
        child.wait().unwrap();
        clock::sweep(child.id());
    }

    /// As a service manager would.
    pub fn stop(&mut self) {
        let mut child = self.child.take().expect("the agent runs");
        assert!(Command::new("kill").arg(child.id().to_string()).status().unwrap().success());
        child.wait().unwrap();
    }

    /// Waits until the process has ended by itself.
    pub fn wait(&mut self) {
        self.child.take().expect("the agent runs").wait().unwrap();
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the agent runs").id()
    }

    /// What `status` prints.
    pub fn status(&self) -> String {
        let state = self.dir.path().join("state");
        crate::tools::output(Command::new(&self.program).args(["status", "--state-dir"]).arg(state))
    }

    /// Waits until the log says this.
    pub async fn until_said(&self, text: &str) {
        while !self.log().contains(text) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
            clock::sweep(child.id());
        }
        let log = self.log();
        if std::thread::panicking() {
            eprintln!("the agent's log:\n{log}");
        } else {
            assert!(!log.contains("panicked at"), "the agent panicked:\n{log}");
        }
    }
}
