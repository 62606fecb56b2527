//! Things by their names, and what is said instead of the name of something that was deleted, or that nobody knows.

/// A host.
pub const HOST: &str = "a deleted host";
/// A schedule.
pub const SCHEDULE: &str = "a deleted schedule";
/// A repository.
pub const REPOSITORY: &str = "a deleted repository";
/// Of a drill.
pub const NO_SCHEDULE: &str = "no schedule that is known";

/// What the audit log is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A host.
    Host,
    /// A schedule.
    Schedule,
    /// A repository.
    Repository,
    /// A user.
    User,
    /// A job.
    Job,
}

/// Something by its name.
#[must_use]
pub fn named(thing: Thing, name: &str) -> String {
    match thing {
        Thing::Host => format!("Host {name}"),
        Thing::Schedule => format!("Schedule {name}"),
        Thing::Repository => format!("Repository {name}"),
        Thing::User => format!("User {name}"),
        Thing::Job => format!("Job {name}"),
    }
}

/// Something that is not there any more.
#[must_use]
pub fn since(thing: Thing, id: &str) -> String {
    format!("{}, deleted since", named(thing, id))
}

/// Whose something is that was found.
#[must_use]
pub fn of(host: &str) -> String {
    format!("of {host}")
}

/// Where something is that was found.
#[must_use]
pub fn within(repository: &str) -> String {
    format!("in {repository}")
}

/// What a job is about that has no repository.
pub const HOST_ITSELF: &str = "the host itself";
