//! After waking up the network may not be there yet: a fire waits, for a while, until its repository's name can be looked up.

use crate::app::Agent;
use crate::restic::process::Stop;
use crate::roster::pressed;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::restic::address::Location;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// Waiting longer helps nobody: the try then fails with its real cause, and is made again.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two look-ups.
const PACE: Duration = Duration::from_secs(3);

/// Waits until the name of the repository's server resolves, the patience ends or the job is stopped. A repository without a server, or
/// behind a proxy that looks names up itself, is not waited for.
pub async fn wait_for_name(agent: &Agent, repository: RepositoryId, mut stop: Stop) {
    let state = agent.desired.get();
    let url = state.repositories.iter().find(|r| r.id == repository).map(|r| Location::parse(&r.url));
    let Some(Location::Rest(url)) = url else { return };
    let (Some(url::Host::Domain(name)), None) = (url.host(), &agent.surroundings.proxy) else { return };
    let place = (name.to_owned(), url.port_or_known_default().unwrap_or(443));
    let resolves = async {
        while tokio::net::lookup_host(&place).await.is_err() {
            sleep(PACE).await;
        }
    };
    tokio::select! {
        _ = timeout(PATIENCE, resolves) => {}
        _ = pressed(&mut stop) => {}
    }
}
