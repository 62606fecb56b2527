//! Forgetting.

use restic_manager_shared::time::Timestamp;

/// Whether a snapshot's time lies in the time of the job that reported it.
#[must_use]
pub fn attest(time: Timestamp, from: Timestamp, until: Timestamp) -> bool {
    time >= from && time <= until
}
