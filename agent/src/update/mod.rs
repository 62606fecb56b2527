//! The agent's own updates: a release that the control plane offers and a pinned key signed is fetched, checked, tried and put in the place of
//! the running program, and the one before it comes back if the new one does not reach the control plane. Whether a host gets an offer is
//! not decided here.

pub mod check;
pub mod keys;
pub mod program;
pub mod record;
pub mod rules;
pub mod work;

pub use record::{Boot, boot, guard};

use crate::facts;
use crate::policy::{Policy, Updating};
use crate::state_dir::StateDir;
use program::Program;
use record::Record;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::release::{CannotUpdate, FailedUpdate, ReleaseOffer, UpdateFact, UpdatePhase};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// What is under way.
#[derive(Debug, Default)]
struct Held {
    offer: Option<ReleaseOffer>,
    phase: UpdatePhase,
    trouble: Option<String>,
    record: Record,
}

/// The agent's updates, as far as they are.
#[derive(Debug)]
pub struct Updates {
    dir: StateDir,
    program: Option<Program>,
    /// Whether its folder took a file when the agent started.
    writable: bool,
    prove_within: Duration,
    held: Mutex<Held>,
    closing: AtomicBool,
    news: Notify,
}

impl Updates {
    /// Reads how far the last update got. `exe` is this very program; without it nothing can be replaced.
    #[must_use]
    pub fn open(dir: &StateDir, exe: Option<PathBuf>, prove_within: Duration) -> Self {
        let record = Record::load(dir);
        let program = exe.map(Program::new);
        let phase = if record.is_proving() { UpdatePhase::Proving } else { UpdatePhase::Idle };
        Self {
            dir: dir.clone(),
            writable: program.as_ref().is_some_and(Program::is_replaceable),
            program,
            prove_within,
            held: Mutex::new(Held { record, phase, ..Held::default() }),
            closing: AtomicBool::new(false),
            news: Notify::new(),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why this agent never replaces itself, if it does not. Asked each time: people change these files while it runs.
    #[must_use]
    pub fn cannot(&self) -> Option<CannotUpdate> {
        cannot(&self.dir, self.writable)
    }

    /// What is told with each poll.
    #[must_use]
    pub fn fact(&self) -> UpdateFact {
        let cannot = self.cannot();
        let held = self.held();
        UpdateFact {
            target: facts::target(),
            cannot,
            wanted: held.offer.as_ref().map(|o| o.version.clone()),
            phase: held.phase,
            trouble: held.trouble.clone(),
            failed: held.record.failed.clone(),
        }
    }

    /// The control plane answered, with this offer or none. An answer is also what proves a new version.
    pub fn heard(&self, offer: Option<&ReleaseOffer>) {
        let mut held = self.held();
        if held.record.is_proving() {
            tracing::info!(
                version = facts::version(),
                "the new version of the agent has reached the control plane and stays"
            );
            held.record = Record::default();
            self.save(&held.record);
            held.phase = UpdatePhase::Idle;
            self.news.notify_waiters();
        }
        if held.offer.as_ref() != offer {
            held.offer = offer.cloned();
            held.trouble = None;
            self.news.notify_waiters();
        }
    }

    /// Whether a new version has yet to be answered by the control plane.
    #[must_use]
    pub fn is_proving(&self) -> bool {
        self.held().record.is_proving()
    }

    /// Whether nothing new should begin.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Relaxed)
    }

    fn set_phase(&self, phase: UpdatePhase) {
        self.held().phase = phase;
    }

    fn set_trouble(&self, trouble: Option<String>) {
        self.held().trouble = trouble;
    }

    /// An update did not work. It is told until another one is taken up.
    fn failed(&self, version: &str, error: String, now: Timestamp) {
        tracing::error!(version, error, "the update of the agent did not work");
        let mut held = self.held();
        held.record = Record { step: None, failed: Some(FailedUpdate { version: version.to_owned(), error, at: now }) };
        self.save(&held.record);
        (held.offer, held.phase, held.trouble) = (None, UpdatePhase::Idle, None);
    }

    fn save(&self, record: &Record) {
        if let Err(e) = record.save(&self.dir) {
            tracing::error!(error = %e, "cannot write down how far the agent's update is");
        }
    }
}

fn cannot(dir: &StateDir, writable: bool) -> Option<CannotUpdate> {
    match Policy::load(dir) {
        Ok(policy) if policy.updates == Updating::Signed => {}
        Ok(_) | Err(_) => return Some(CannotUpdate::Forbidden),
    }
    match keys::pinned(dir) {
        Ok(keys) if !keys.is_empty() => {}
        Ok(_) | Err(_) => return Some(CannotUpdate::NoKey),
    }
    (!writable).then_some(CannotUpdate::NotWritable)
}

/// What `status` tells of updates.
#[must_use]
pub fn describe(dir: &StateDir) -> String {
    let record = Record::load(dir);
    let writable = std::env::current_exe().is_ok_and(|exe| Program::new(exe).is_replaceable());
    let may = match cannot(dir, writable) {
        None => "signed releases are taken",
        Some(CannotUpdate::NoKey) => "never: no release key is pinned in update.keys",
        Some(CannotUpdate::Forbidden) => "never: policy.toml does not allow it, or cannot be read",
        Some(CannotUpdate::NotWritable) => "never: the folder of the agent's program cannot be written to",
        Some(CannotUpdate::Other) => "never",
    };
    match (record.step, record.failed) {
        (Some(step), _) => format!("{may}; {} to {} is under way", step.from, step.to),
        (None, Some(failed)) => format!("{may}; {} did not work: {}", failed.version, failed.error),
        (None, None) => may.to_owned(),
    }
}
