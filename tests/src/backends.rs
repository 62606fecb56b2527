//! Storage of other kinds, run for real: Debian's own sshd, and a server that speaks S3.

use crate::tools::{output, root};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).unwrap().port()
}

/// Starts a program and waits until it listens.
fn serve(mut command: Command, port: u16, log: &Path) -> Child {
    let file = std::fs::File::create(log).unwrap();
    let mut child =
        command.stdin(Stdio::null()).stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap_or_else(|e| {
            panic!("{command:?}: {e}: run the tests with ./deploy/test, which installs what they need")
        });
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = child.try_wait().unwrap();
        assert!(ended.is_none(), "{command:?} ended: {}", std::fs::read_to_string(log).unwrap());
        std::thread::yield_now();
    }
    child
}

/// An OpenSSH server of this user alone, with keys and settings of its own.
pub struct Sshd {
    child: Child,
    port: u16,
    dir: TempDir,
}

impl Sshd {
    pub fn start() -> Self {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let at = |name: &str| dir.path().join(name);
        for key in ["host", "user"] {
            output(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(at(key)));
        }
        std::fs::copy(at("user.pub"), at("authorized")).unwrap();
        let server = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPasswordAuthentication no\nSubsystem sftp internal-sftp\n",
            at("host").display(),
            at("authorized").display()
        );
        std::fs::write(at("sshd_config"), server).unwrap();
        let host = std::fs::read_to_string(at("host.pub")).unwrap();
        std::fs::write(at("known"), format!("[127.0.0.1]:{port} {host}")).unwrap();
        let client = format!(
            "IdentityFile {}\nIdentitiesOnly yes\nUserKnownHostsFile {}\nStrictHostKeyChecking yes\nBatchMode yes\n",
            at("user").display(),
            at("known").display()
        );
        std::fs::write(at("ssh_config"), client).unwrap();
        // Where sshd of root locks itself in before it knows who comes.
        let _ = std::fs::create_dir("/run/sshd");
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(at("sshd_config"));
        let child = serve(command, port, &at("log"));
        std::fs::create_dir(at("programs")).unwrap();
        // ssh looks for its settings in the home folder of the account, whatever HOME says.
        let script = format!("#!/bin/sh\nexec /usr/bin/ssh -F {} \"$@\"\n", at("ssh_config").display());
        std::fs::write(at("programs/ssh"), script).unwrap();
        std::fs::set_permissions(at("programs/ssh"), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        Self { child, port, dir }
    }

    /// A folder with an `ssh` that knows this server and has a key for it, as an administrator's settings would.
    pub fn programs(&self) -> PathBuf {
        self.dir.path().join("programs")
    }

    /// Nobody is let in any more.
    pub fn forget_the_key(&self) {
        std::fs::write(self.dir.path().join("authorized"), "").unwrap();
    }

    /// A repository on it.
    pub fn url(&self) -> String {
        let user = output(Command::new("id").arg("-un"));
        format!("sftp://{}@127.0.0.1:{}/{}/repo", user.trim(), self.port, self.dir.path().display())
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// moto's server: S3 as the SDKs of others see it.
pub struct S3 {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl S3 {
    pub fn start() -> Self {
        let (dir, port) = (TempDir::new().unwrap(), free_port());
        let mut command = Command::new(root().join(".cache/moto/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        let child = serve(command, port, &dir.path().join("log"));
        Self { child, port, _dir: dir }
    }

    /// A repository on it.
    pub fn url(&self) -> String {
        format!("s3:http://127.0.0.1:{}/backups/web-01", self.port)
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
