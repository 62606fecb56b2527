//! Jobs that wait or run, and who asked for them.

use restic_manager_shared::wire::progress::Phase;

/// What goes on in a job; backups say more.
#[must_use]
pub const fn phase(phase: Phase, backup: bool) -> &'static str {
    match (phase, backup) {
        (Phase::Preparing, _) => "Checks before restic starts",
        (Phase::Starting, _) => "restic opens the repository",
        (Phase::Running, false) => "restic works",
        (Phase::Finishing, false) => "restic finishes",
        (Phase::Running, true) => "Reading and storing",
        (Phase::Finishing, true) => "All is read; restic stores the rest and writes the snapshot",
        (Phase::WaitingForRepository, _) => "The storage does not answer; restic tries again",
        (Phase::WaitingForLock, _) => "Waits for another restic to give up its lock",
        (Phase::Stopping, _) => "Stopping; restic cleans up",
    }
}

/// How long it still takes, as far as such a guess can be trusted.
#[must_use]
pub fn left(seconds: u64) -> String {
    match seconds {
        0..60 => "less than a minute".into(),
        60..5400 => format!("{} min", (seconds + 30) / 60),
        5400..86_400 => {
            let minutes = (seconds + 300) / 600 * 10;
            match minutes % 60 {
                0 => format!("{} h", minutes / 60),
                rest => format!("{} h {rest} min", minutes / 60),
            }
        }
        _ => format!("{} h", (seconds + 1800) / 3600),
    }
}

/// A time since a job started.
#[must_use]
pub fn after(span: &str) -> String {
    format!("after {span}")
}

/// What the picture of a speed shows.
#[must_use]
pub fn throughput(span: &str, now: &str, most: &str) -> String {
    format!("Throughput over {span}: now {now} a second, at most {most} a second")
}

/// How much is done of what is counted. The unit comes from restic.
#[must_use]
pub fn units(done: &str, total: Option<&str>, unit: &str) -> String {
    match total {
        Some(total) => format!("{done} of {total} {unit}"),
        None => format!("{done} {unit}, of how many is not known"),
    }
}

/// What a job waits for that no other job is in the way of.
pub mod waits {
    /// The host has been told.
    pub const OFFERED: &str = "It is offered to the host, which takes it now.";
    /// The host has not taken it yet.
    pub const SLOT: &str = "The host takes it as soon as it has room.";
    /// Too many jobs run.
    pub const FLEET: &str = "Waits for a free place: as many jobs run as the whole fleet may.";

    /// The host is not there.
    #[must_use]
    pub fn host(host: &str) -> String {
        format!("{host} is offline. The job waits until it is back.")
    }

    /// The job that is in the way.
    #[must_use]
    pub fn other(kind: &str, host: &str) -> String {
        format!("{kind} on {host}")
    }

    /// What stands before the job that is in the way, and after it.
    pub type Around = (&'static str, String);

    /// It comes first.
    #[must_use]
    pub fn turn() -> Around {
        ("Waits for", ", which works on this repository from the same host.".into())
    }

    /// It has the repository for itself.
    #[must_use]
    pub fn exclusive() -> Around {
        ("Waits for", ", which has the repository for itself.".into())
    }

    /// It is one of `count` that have to end, because this job needs the repository for itself.
    #[must_use]
    pub fn others(count: u64) -> Around {
        let rest = match count {
            0 | 1 => ": it needs the repository for itself.".to_owned(),
            2 => " and 1 other job: it needs the repository for itself.".to_owned(),
            n => format!(" and {} other jobs: it needs the repository for itself.", n - 1),
        };
        ("Waits for", rest)
    }
}

/// Who asked for a job: `user:anna` is shown as `anna`.
#[must_use]
pub fn asked_by(label: &str) -> String {
    match label.split_once(':') {
        Some(("user" | "system", name)) => name.to_owned(),
        Some(("token", name)) => format!("{name} (API token)"),
        _ => label.to_owned(),
    }
}

/// How an entry of a comparison changed.
pub mod change {
    /// It is new.
    pub const ADDED: &str = "added";
    /// It is gone.
    pub const REMOVED: &str = "removed";
    /// It has other content.
    pub const CHANGED: &str = "changed";
    /// It has the same content.
    pub const METADATA: &str = "only owner, mode or times changed";
}

/// A restore to where files were backed up from.
pub const IN_PLACE: &str = "where they were";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guess_is_told_as_exactly_as_it_can_be_trusted() {
        for (seconds, text) in [
            (0, "less than a minute"),
            (59, "less than a minute"),
            (60, "1 min"),
            (241, "4 min"),
            (5399, "90 min"),
            (5400, "1 h 30 min"),
            (7100, "2 h"),
            (8100, "2 h 20 min"),
            (90_000, "25 h"),
        ] {
            assert_eq!(left(seconds), text, "{seconds}");
        }
    }
}
