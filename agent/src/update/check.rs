//! The trial of a new version before it is put in place: `self-check`, run by the version that is to be replaced. It opens what a start opens,
//! takes nothing and changes nothing, asks the control plane for its own release as this host, and says its version.

use super::keys;
use crate::client::{Client, ClientError, setup};
use crate::config::Config;
use crate::facts;
use crate::identity::Identity;
use crate::policy::Policy;
use crate::state_dir::{StateDir, StateError};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;
use tokio::process::Command;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(90);
const TRIES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(5);

/// A version does not work here.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It cannot read what is in the state folder.
    #[error(transparent)]
    State(#[from] StateError),
    /// It does not get through to the control plane.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no identity.
    #[error("this host is not enrolled")]
    NotEnrolled,
}

/// What `self-check` does.
///
/// # Errors
/// [`CheckError`]: what does not work.
pub async fn self_check(dir: &StateDir) -> Result<(), CheckError> {
    let config = Config::load(dir)?;
    let identity = Identity::load(dir)?.ok_or(CheckError::NotEnrolled)?;
    Policy::load(dir)?;
    keys::pinned(dir)?;
    let http = setup::control_client(config.proxy.as_deref(), config.ca_file.as_deref())?;
    let client = Client::new(http, &config.server, Arc::new(identity));
    client.try_release(facts::version(), &facts::target()).await?;
    Ok(())
}

/// The line that `self-check` prints when all is well.
#[must_use]
pub fn verdict(version: &str) -> String {
    format!("version={version} works here")
}

/// Runs `self-check` of a program. More than once if need be: the control plane may be away for a moment.
///
/// # Errors
/// Why it does not work, for people.
pub async fn try_out(program: &Path, dir: &StateDir, version: &str) -> Result<(), String> {
    let mut outcome = try_once(program, dir, version).await;
    for _ in 1..TRIES {
        if outcome.is_ok() {
            break;
        }
        sleep(PAUSE).await;
        outcome = try_once(program, dir, version).await;
    }
    outcome
}

async fn try_once(program: &Path, dir: &StateDir, version: &str) -> Result<(), String> {
    let mut command = Command::new(program);
    command.arg("self-check").arg("--state-dir").arg(dir.root()).stdin(Stdio::null()).kill_on_drop(true);
    let out = tokio::time::timeout(PATIENCE, command.output()).await;
    let out = out.map_err(|_| "it did not end its self-check in time".to_owned())?;
    let out = out.map_err(|e| format!("it does not start: {e}"))?;
    let said = String::from_utf8_lossy(&out.stdout);
    if out.status.success() && said.lines().any(|line| line == verdict(version)) {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&out.stderr);
    let last = errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
    Err(format!("its self-check failed ({}): {}", out.status, last.chars().take(500).collect::<String>()))
}
