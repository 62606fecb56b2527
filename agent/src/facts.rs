//! What the agent can tell about its machine. Nothing here fails: what cannot be found out is left empty.

use restic_manager_shared::release::{self, STAMP};
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::wire::PROTOCOL;
use restic_manager_shared::wire::enroll::{HostFacts, Os};
use std::hint::black_box;

/// Version and platform, where they can be read out of the file without running it: that is how a release is signed for any platform.
/// The version that the agent tells comes from here too, so that the two cannot differ.
#[used]
static STAMPED: [u8; STAMP] =
    release::stamp(env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH, PROTOCOL);

/// The agent's version.
#[must_use]
pub fn version() -> &'static str {
    let field = black_box(&STAMPED).get(16..48).unwrap_or_default();
    std::str::from_utf8(field).unwrap_or_default().trim_end()
}

/// Where this agent runs, as releases name it.
#[must_use]
pub fn target() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// The machine as it is now.
#[must_use]
pub fn gather(restic: Option<Version>) -> HostFacts {
    HostFacts {
        hostname: hostname(),
        os: if cfg!(windows) { Os::Windows } else { Os::Linux },
        os_version: os_version(),
        arch: std::env::consts::ARCH.to_owned(),
        timezone: iana_time_zone::get_timezone().ok(),
        agent_version: version().to_owned(),
        restic_version: restic.map(|v| v.to_string()),
    }
}

/// The machine's IANA time zone, as it is now; UTC if it has none that has a name.
#[must_use]
pub fn zone() -> String {
    iana_time_zone::get_timezone().unwrap_or_else(|_| "UTC".to_owned())
}

#[cfg(unix)]
fn first_line(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.lines().map(str::trim).find(|l| !l.is_empty()).map(str::to_owned)
}

/// The machine's own name, as restic writes it into its locks.
#[cfg(unix)]
#[must_use]
pub fn hostname() -> String {
    first_line("/proc/sys/kernel/hostname")
        .or_else(|| first_line("/etc/hostname"))
        .unwrap_or_else(|| "localhost".into())
}

#[cfg(unix)]
fn os_version() -> String {
    let text = std::fs::read_to_string("/etc/os-release").or_else(|_| std::fs::read_to_string("/usr/lib/os-release"));
    pretty_name(&text.unwrap_or_default())
}

#[cfg(any(unix, test))]
fn pretty_name(os_release: &str) -> String {
    let value = os_release.lines().find_map(|l| l.trim().strip_prefix("PRETTY_NAME=")).unwrap_or_default();
    value.trim_matches(['"', '\'']).to_owned()
}

#[cfg(windows)]
fn first_output(program: &str, args: &[&str]) -> Option<String> {
    let out = std::process::Command::new(program).args(args).output().ok()?;
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    text.lines().map(str::trim).find(|l| !l.is_empty()).map(str::to_owned)
}

/// The machine's own name, as restic writes it into its locks.
#[cfg(windows)]
#[must_use]
pub fn hostname() -> String {
    first_output("hostname", &[]).unwrap_or_else(|| "localhost".into())
}

#[cfg(windows)]
fn os_version() -> String {
    first_output("cmd", &["/c", "ver"]).unwrap_or_else(|| "Windows".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stamp_says_what_the_agent_says() {
        let stamp = release::read_stamp(&STAMPED).expect("reads");
        assert_eq!((stamp.version.as_str(), stamp.target), (version(), target()));
        assert_eq!((version(), stamp.protocol), (env!("CARGO_PKG_VERSION"), PROTOCOL));
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        assert_eq!(
            pretty_name("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"),
            "Debian GNU/Linux 12 (bookworm)"
        );
        assert_eq!(pretty_name(""), "");
        assert!(zone().parse::<chrono_tz::Tz>().is_ok(), "{}", zone());
        assert!(!gather(None).hostname.is_empty());
    }
}
