//! The desired state that the control plane sent last, kept in `state.json` so that it counts also while the control plane is away.

use crate::state_dir::{StateDir, StateError};
use restic_manager_shared::wire::state::DesiredState;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

const FILE: &str = "state.json";

/// The state that counts now.
#[derive(Debug)]
pub struct Desired {
    dir: StateDir,
    held: Mutex<Arc<DesiredState>>,
    news: Notify,
}

impl Desired {
    /// Reads the file. A missing or damaged one counts as version 0: the control plane then sends the state again.
    #[must_use]
    pub fn load(dir: &StateDir, host_name: &str) -> Self {
        let none = DesiredState {
            version: 0,
            host_name: host_name.to_owned(),
            schedules: Vec::new(),
            repositories: Vec::new(),
            pauses: Vec::new(),
        };
        let read = dir.read(FILE).ok().flatten().and_then(|bytes| {
            let state = serde_json::from_slice(&bytes);
            state.inspect_err(|e| tracing::warn!(error = %e, "state.json is damaged and will be fetched again")).ok()
        });
        Self { dir: dir.clone(), held: Mutex::new(Arc::new(read.unwrap_or(none))), news: Notify::new() }
    }

    /// What counts now.
    #[must_use]
    pub fn get(&self) -> Arc<DesiredState> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a newer state on disk, then in force.
    ///
    /// # Errors
    /// When the disk refuses; then the old state stays in force.
    pub fn put(&self, state: DesiredState) -> Result<(), StateError> {
        save(&self.dir, &state)?;
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
        self.news.notify_one();
        Ok(())
    }

    /// Waits until another state is in force.
    pub async fn changed(&self) {
        self.news.notified().await;
    }
}

/// Writes the file.
///
/// # Errors
/// When the disk refuses.
pub fn save(dir: &StateDir, state: &DesiredState) -> Result<(), StateError> {
    let json =
        serde_json::to_vec(state).map_err(|e| StateError::Corrupt { path: dir.file(FILE), reason: e.to_string() })?;
    dir.replace(FILE, &json)
}
