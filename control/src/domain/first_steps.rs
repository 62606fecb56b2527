//! The first steps of an installation: a repository, a host, its first backup. They take the dashboard's place until there is something to see
//! on it.

/// What is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether there is a repository.
    pub repository: bool,
    /// How many hosts there are; more than two need not be counted.
    pub hosts: usize,
    /// Whether the first one's agent has come.
    pub connected: bool,
    /// Whether a backup of it has succeeded, or did but for a few files.
    pub backed_up: bool,
    /// Whether the person has asked for the dashboard.
    pub left: bool,
}

/// The step to take next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connect a repository.
    Repository,
    /// Add a host, or wait for its agent.
    Host,
    /// Run its first backup.
    Run,
}

/// The step to take next; none where the dashboard is to be shown. Without a host there is nothing on it, so nobody gets past that.
#[must_use]
pub fn next_step(facts: Facts) -> Option<Step> {
    match facts {
        Facts { hosts: 2.., .. } => None,
        Facts { hosts: 1, backed_up, left, .. } if backed_up || left => None,
        Facts { repository: false, .. } => Some(Step::Repository),
        Facts { hosts: 1, connected: true, .. } => Some(Step::Run),
        Facts { .. } => Some(Step::Host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_go_on_until_there_is_something_to_see() {
        let facts =
            |repository, hosts, connected, backed_up, left| Facts { repository, hosts, connected, backed_up, left };
        for (given, step) in [
            (facts(false, 0, false, false, false), Some(Step::Repository)),
            (facts(false, 0, false, false, true), Some(Step::Repository)),
            (facts(true, 0, false, false, true), Some(Step::Host)),
            (facts(true, 1, false, false, false), Some(Step::Host)),
            (facts(true, 1, false, false, true), None),
            (facts(false, 1, true, false, false), Some(Step::Repository)),
            (facts(true, 1, true, false, false), Some(Step::Run)),
            (facts(true, 1, true, true, false), None),
            (facts(true, 2, false, false, false), None),
            (facts(false, 5, true, false, false), None),
        ] {
            assert_eq!(next_step(given), step, "{given:?}");
        }
    }
}
