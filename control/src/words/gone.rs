//! What is said instead of the name of something that was deleted, or that nobody knows.

/// A host.
pub const HOST: &str = "a deleted host";
/// A schedule.
pub const SCHEDULE: &str = "a deleted schedule";
/// A repository.
pub const REPOSITORY: &str = "a deleted repository";
/// Of a drill.
pub const NO_SCHEDULE: &str = "no schedule that is known";
/// Something in the audit log.
#[must_use]
pub fn since(kind: &str, id: &str) -> String {
    format!("{kind} {id}, deleted since")
}
/// What a job is about that has no repository.
pub const HOST_ITSELF: &str = "the host itself";
