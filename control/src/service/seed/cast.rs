//! Who plays in a seeded fleet: machines with their systems, schedules and fates. Beyond the first of them, the same kinds come again under
//! numbered names.

use restic_manager_shared::wire::enroll::Os;

/// What has become of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// All is well.
    Well,
    /// Something could not be read, these last days.
    Warns,
    /// Its repository is locked.
    Locked,
    /// It has been silent for days.
    Gone,
    /// Its agent never came.
    Never,
}

/// A kind of machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) name: &'static str,
    pub(super) os: Os,
    pub(super) system: &'static str,
    pub(super) tags: &'static [&'static str],
    /// Which of [`REPOSITORIES`].
    pub(super) repository: usize,
    /// Name, cron line (none: manual) and path of each schedule.
    pub(super) schedules: &'static [(&'static str, Option<&'static str>, &'static str)],
    /// GiB of data.
    pub(super) size: u64,
    pub(super) fate: Fate,
}

/// Who keeps a repository, and what went wrong with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Keeper {
    /// Its name; a member of the first round.
    pub(super) host: &'static str,
    /// A prune of its was killed, and its lock is still there.
    pub(super) left_lock: bool,
    /// Its last prune failed.
    pub(super) prune_fails: bool,
}

const fn keeper(host: &'static str) -> Option<Keeper> {
    Some(Keeper { host, left_lock: false, prune_fails: false })
}

/// Name, address, size limit in GiB, and keeper. One has none: then its storage only grows.
pub(super) const REPOSITORIES: [(&str, &str, Option<u64>, Option<Keeper>); 5] = [
    ("dc-main", "rest:https://backup.example.org:8000/dc-main", Some(8192), keeper("nas-01")),
    (
        "db-vault",
        "rest:https://backup.example.org:8000/db-vault",
        Some(2048),
        Some(Keeper { host: "nas-01", left_lock: true, prune_fails: false }),
    ),
    ("laptops", "s3:https://s3.example.org/laptops", None, None),
    (
        "offsite-sftp",
        "sftp:backup@offsite.example.net:/srv/restic",
        Some(2048),
        Some(Keeper { host: "mon-01", left_lock: false, prune_fails: true }),
    ),
    ("windows-fs", "rest:https://backup.example.org:8000/windows-fs", Some(4096), keeper("nas-01")),
];

type Lines = &'static [(&'static str, Option<&'static str>, &'static str)];
const WEB: Lines = &[("www and config", Some("0 */2 * * *"), "/var/www"), ("system", Some("40 3 * * *"), "/etc")];
const DATABASE: Lines =
    &[("dumps", Some("0 */4 * * *"), "/var/backups/postgres"), ("system", Some("20 1 * * *"), "/etc")];
const NIGHTLY: Lines = &[("system", Some("10 2 * * *"), "/srv")];
const LAPTOP: Lines = &[("home", Some("30 12 * * mon-fri"), "/home")];
const WORKSTATION: Lines = &[("Arbeitsdaten", Some("30 7,13 * * mon-fri"), r"C:\Users")];
const SERVER: Lines =
    &[("shares", Some("30 2 * * *"), r"D:\Shares"), ("system state", Some("0 1 * * *"), r"C:\ProgramData")];
const MANUAL: Lines = &[("initial", None, "/home/kiosk")];
const ODD: Lines = &[(
    "נתונים יומיים 📦 with a name that goes on for rather longer than anybody would think reasonable",
    Some("15 4 * * *"),
    "/srv/データ/🎬 film",
)];

const DEBIAN: &str = "Debian GNU/Linux 13";
const WINDOWS: &str = "Windows Server 2025";
const WINDOWS_11: &str = "Windows 11 Pro";

macro_rules! kind {
    ($name:literal, $os:ident, $system:expr, $tags:expr, $repository:literal, $schedules:ident, $size:literal, $fate:ident) => {
        Kind {
            name: $name,
            os: Os::$os,
            system: $system,
            tags: &$tags,
            repository: $repository,
            schedules: $schedules,
            size: $size,
            fate: Fate::$fate,
        }
    };
}

/// The fleet of 24, and the mould of every larger one.
pub(super) const KINDS: [Kind; 24] = [
    kind!("web-01", Linux, DEBIAN, ["prod", "web"], 0, WEB, 38, Well),
    kind!("web-02", Linux, DEBIAN, ["prod", "web"], 0, WEB, 37, Well),
    kind!("api-01", Linux, DEBIAN, ["prod"], 0, WEB, 12, Well),
    kind!("git-01", Linux, DEBIAN, ["prod", "dev"], 0, WEB, 211, Well),
    kind!("db-01", Linux, DEBIAN, ["prod", "db"], 1, DATABASE, 480, Locked),
    kind!("db-02", Linux, DEBIAN, ["prod", "db"], 1, DATABASE, 465, Locked),
    kind!("mail-01", Linux, DEBIAN, ["prod"], 0, WEB, 190, Well),
    kind!("mon-01", Linux, "Ubuntu 24.04 LTS", ["infra"], 0, NIGHTLY, 22, Well),
    kind!("ci-01", Linux, "Ubuntu 24.04 LTS", ["dev"], 0, NIGHTLY, 64, Well),
    kind!("k3s-01", Linux, "Ubuntu 24.04 LTS", ["prod", "infra"], 0, NIGHTLY, 88, Well),
    kind!("pve-01", Linux, "Proxmox VE 9", ["infra"], 3, NIGHTLY, 640, Well),
    kind!("pve-02", Linux, "Proxmox VE 9", ["infra"], 3, NIGHTLY, 590, Well),
    kind!("nas-01", Linux, "Rocky Linux 10", ["infra", "files"], 3, NIGHTLY, 1900, Well),
    kind!("raspi-dns", Linux, "Raspberry Pi OS 13", ["infra", "büro"], 3, NIGHTLY, 2, Well),
    kind!("dc-01", Windows, WINDOWS, ["windows", "prod"], 4, SERVER, 46, Well),
    kind!("fs-berlin", Windows, WINDOWS, ["windows", "files"], 4, SERVER, 1340, Warns),
    kind!("fs-hamburg", Windows, WINDOWS, ["windows", "files"], 4, SERVER, 870, Well),
    kind!("acct-ws-03", Windows, WINDOWS_11, ["windows", "office"], 4, WORKSTATION, 34, Well),
    kind!("design-ws-07", Windows, WINDOWS_11, ["windows", "office"], 4, WORKSTATION, 220, Warns),
    kind!("laptop-anna", Linux, "Fedora Linux 43", ["laptop"], 2, LAPTOP, 71, Well),
    kind!("laptop-jo", Linux, "Fedora Linux 43", ["laptop"], 2, LAPTOP, 58, Gone),
    kind!("kiosk-02", Linux, DEBIAN, ["kiosk"], 2, MANUAL, 3, Never),
    kind!("kiosk-01", Linux, DEBIAN, ["kiosk"], 2, NIGHTLY, 3, Well),
    kind!(
        "a-machine-whose-name-is-as-long-as-a-host-name-may-be-at-most-x",
        Linux,
        DEBIAN,
        ["ארכיון", "🎬 film", "very-long-tag-that-somebody-once-thought-of"],
        0,
        ODD,
        920,
        Well
    ),
];

/// The nth host of a fleet: its kind, its name and its fate. In a larger fleet trouble is as rare as in life.
pub(super) fn member(n: usize) -> (Kind, String, Fate) {
    let (kind, round) = (KINDS[n % KINDS.len()], n / KINDS.len());
    if round == 0 {
        return (kind, kind.name.to_owned(), kind.fate);
    }
    let stem: String = kind.name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '-').chars().take(50).collect();
    let fate = if kind.fate == Fate::Well || round.is_multiple_of(20) { kind.fate } else { Fate::Well };
    // Numbers begin where no name of the first round can be.
    (kind, format!("{stem}-{:04}", round * 100 + n % KINDS.len()), fate)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::fleet::check_host_name;
    use std::collections::HashSet;

    #[test]
    fn names_are_allowed_and_each_is_there_once() {
        let names: Vec<String> = (0..5000).map(|n| member(n).1).collect();
        assert!(names.iter().all(|name| check_host_name(name).is_none()));
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
    }
}
