//! What `restic-manager-agent status` tells: a small file that the running agent keeps fresh, and the journal.

use crate::config::Config;
use crate::identity::Identity;
use crate::journal::{Journal, JournalError, Phase};
use crate::state_dir::{StateDir, StateError};
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

const FILE: &str = "status.json";
/// The file is not written more often, unless something changes.
const PACE: Duration = Duration::from_secs(10);

/// Ended jobs that are named; a week without a control plane leaves many.
const SHOWN: usize = 20;

/// The file's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// When the control plane answered last.
    pub last_contact: Option<Timestamp>,
    /// Why it does not answer now.
    pub error: Option<String>,
    /// The restic that was found.
    pub restic_version: Option<String>,
    #[serde(skip)]
    written: Option<Timestamp>,
}

impl Status {
    /// Notes an answer or an error; says whether the file should be written.
    pub fn note(&mut self, now: Timestamp, error: Option<String>, restic: Option<Version>) -> bool {
        let changed = self.error != error || self.written.is_none_or(|at| now.since(at) >= PACE);
        if error.is_none() {
            self.last_contact = Some(now);
        }
        self.error = error;
        self.restic_version = restic.map(|v| v.to_string());
        if changed {
            self.written = Some(now);
        }
        changed
    }

    /// Writes the file.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save(&self, dir: &StateDir) -> Result<(), StateError> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|e| StateError::Corrupt { path: dir.file(FILE), reason: e.to_string() })?;
        dir.replace(FILE, &json)
    }

    fn load(dir: &StateDir) -> Self {
        let bytes = dir.read(FILE).ok().flatten().unwrap_or_default();
        serde_json::from_slice(&bytes).unwrap_or_default()
    }
}

/// The whole status as text for people.
///
/// # Errors
/// When the state folder cannot be read.
pub fn describe(dir: &StateDir) -> Result<String, StateError> {
    let Some(identity) = Identity::load(dir)? else { return Ok("not enrolled\n".into()) };
    let (config, status) = (Config::load(dir)?, Status::load(dir));
    let mut out = String::new();
    let running = matches!(dir.lock(), Err(StateError::InUse(_)));
    let none = || "none".to_owned();
    let _ = writeln!(out, "enrolled      host {} ({})", identity.host_id, identity.host_name);
    let _ = writeln!(out, "server        {}", config.server);
    let _ =
        writeln!(out, "agent         {} {}", crate::facts::version(), if running { "running" } else { "not running" });
    let _ = writeln!(out, "last contact  {}", status.last_contact.map_or_else(|| "never".into(), |t| t.to_string()));
    if let Some(error) = &status.error {
        let _ = writeln!(out, "error         {error}");
    }
    let _ = writeln!(out, "updates       {}", crate::update::describe(dir));
    let _ = writeln!(out, "restic        {}", status.restic_version.clone().unwrap_or_else(none));
    if let Err(e) = Journal::open(dir).and_then(|journal| describe_journal(&journal, &mut out)) {
        let _ = writeln!(out, "journal       {e}");
    }
    Ok(out)
}

fn describe_journal(journal: &Journal, out: &mut String) -> Result<(), JournalError> {
    let _ = writeln!(out, "to be sent    {} records", journal.waiting()?);
    for ledger in journal.ledgers()? {
        let _ = writeln!(out, "schedule      {} {} {}", ledger.schedule_id, ledger.cron, ledger.timezone);
    }
    for entry in journal.entries()? {
        let phase = if entry.phase == Phase::Accepted { "waiting" } else { "running" };
        let _ = writeln!(out, "job           {} {} {phase}", entry.offer.id, crate::policy::kind(&entry.offer.task));
    }
    let finished = journal.finished()?;
    for job in finished.iter().take(SHOWN) {
        let _ = writeln!(out, "job           {job} ended, not yet confirmed");
    }
    if finished.len() > SHOWN {
        let _ = writeln!(out, "              and {} more", finished.len() - SHOWN);
    }
    Ok(())
}
