//! What restic can do since when: the one table of minimum versions. restic ends with `unknown flag` before it contacts anything, so what a
//! version does not know is refused or left out before it starts.

use restic_manager_shared::restic::version::Version;

/// Something that not every supported restic can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// `rewrite`.
    Rewrite,
    /// `repair index`, before that `rebuild-index`.
    RepairIndex,
    /// `repair snapshots`.
    RepairSnapshots,
    /// `repair packs` without being asked for as an experiment.
    RepairPacks,
    /// `--retry-lock`.
    RetryLock,
    /// `--read-concurrency`.
    ReadConcurrency,
    /// `--skip-if-unchanged`.
    SkipIfUnchanged,
    /// `--compression fastest` and `better`.
    MoreCompressions,
    /// `restore --json`.
    RestoreInJson,
    /// `restore` with `--overwrite`, `--delete`, `--dry-run`, `--include-file`, and `-vv` in JSON.
    RestorePlans,
    /// `prune --repack-small` is what it does anyway, and says so with a warning.
    RepacksSmallItself,
}

/// What is done for a restic that cannot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// The job fails and says which version it needs.
    Refuse,
    /// The option is left out and the job's log says so.
    LeaveOut,
    /// The agent does it in another way.
    OtherWay,
}

/// Ability, first version that has it, what is done without, and its name for people. The versions were compared with restic's own
/// CHANGELOG.md; the number of its entry stands beside each.
#[rustfmt::skip] // a table reads by its columns
pub const TABLE: &[(Ability, Version, Without, &str)] = &[
    (Ability::Rewrite, Version::new(0, 15, 0), Without::Refuse, "rewriting snapshots"), // 0.15.0 #14
    (Ability::RepairIndex, Version::new(0, 16, 0), Without::OtherWay, "repair index"), // 0.16.0 #1759
    (Ability::RepairSnapshots, Version::new(0, 16, 0), Without::Refuse, "repairing snapshots"), // 0.16.0 #1759
    (Ability::RepairPacks, Version::new(0, 17, 0), Without::Refuse, "repairing packs"), // 0.17.0 #828; in 0.16.1 (#4523) an experiment
    (Ability::RetryLock, Version::new(0, 16, 0), Without::OtherWay, "waiting for a lock"), // 0.16.0 #719
    (Ability::ReadConcurrency, Version::new(0, 15, 0), Without::LeaveOut, "read concurrency"), // 0.15.0 #2750
    (Ability::SkipIfUnchanged, Version::new(0, 17, 0), Without::LeaveOut, "no snapshot when nothing changed"), // 0.17.0 #662
    (Ability::MoreCompressions, Version::new(0, 19, 0), Without::LeaveOut, "the compressions fastest and better"), // 0.19.0 #4728
    (Ability::RestoreInJson, Version::new(0, 16, 0), Without::OtherWay, "restore in JSON"),
    (Ability::RestorePlans, Version::new(0, 17, 0), Without::Refuse, "a restore with a preview or a choice of what to overwrite"),
    (Ability::RepacksSmallItself, Version::new(0, 19, 0), Without::OtherWay, "repacking small packs by itself"), // 0.19.0 #5293
];

impl Ability {
    /// The first version that has it, and its name.
    #[must_use]
    pub fn since(self) -> (Version, &'static str) {
        let line = TABLE.iter().find(|(ability, ..)| *ability == self);
        line.map_or((Version::new(u32::MAX, 0, 0), ""), |(_, version, _, name)| (*version, name))
    }

    /// Whether this version has it.
    #[must_use]
    pub fn is_in(self, version: Version) -> bool {
        version >= self.since().0
    }

    /// What a person is told whose restic does not have it.
    #[must_use]
    pub fn lack(self, found: Version) -> String {
        let (needed, name) = self.since();
        format!(
            "{name} needs restic {}.{} or later on this host, which has {found}; see https://restic.net",
            needed.major, needed.minor
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_names_each_ability_once_and_tells_versions_apart() {
        for (ability, version, _, name) in TABLE {
            assert_eq!(TABLE.iter().filter(|(a, ..)| a == ability).count(), 1, "{ability:?}");
            assert!(ability.is_in(*version) && !ability.is_in(Version::new(0, 14, 0)), "{name}");
        }
        assert_eq!(
            Ability::Rewrite.lack(Version::new(0, 14, 0)),
            "rewriting snapshots needs restic 0.15 or later on this host, which has 0.14.0; see https://restic.net"
        );
    }
}
