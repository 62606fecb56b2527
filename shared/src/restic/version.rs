//! A restic version: read from `restic version --json`, or from the sentence that 0.14 prints instead.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// Major, minor, patch. Ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The first number.
    pub major: u32,
    /// The second number.
    pub minor: u32,
    /// The third number; 0 if it is not given.
    pub patch: u32,
}

/// The oldest restic that jobs are run with.
pub const OLDEST: Version = Version::new(0, 14, 0);

/// The text names no version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a restic version")]
pub struct NotAVersion;

#[derive(Deserialize)]
struct Json {
    version: String,
}

impl Version {
    /// A version of three numbers.
    #[must_use]
    pub const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self { major, minor, patch }
    }

    /// What `restic version --json` printed, in either form.
    ///
    /// # Errors
    /// [`NotAVersion`] if no line of it names a restic version.
    pub fn from_output(stdout: &str) -> Result<Self, NotAVersion> {
        stdout.lines().find_map(|line| Self::from_line(line.trim())).ok_or(NotAVersion)
    }

    fn from_line(line: &str) -> Option<Self> {
        match serde_json::from_str::<Json>(line) {
            Ok(json) => json.version.parse().ok(),
            Err(_) => line.strip_prefix("restic ")?.split_whitespace().next()?.parse().ok(),
        }
    }

    /// Has JSON for `init` and `version`, the exit statuses 10 to 12, `RESTIC_REST_*` and whole snapshot ids in a summary.
    #[must_use]
    pub fn is_modern(self) -> bool {
        self >= Self::new(0, 17, 0)
    }
}

impl FromStr for Version {
    type Err = NotAVersion;

    /// `0.18.0`, `0.18`, `v0.18.0-dev (compiled manually)`: what follows the numbers is passed over.
    fn from_str(text: &str) -> Result<Self, NotAVersion> {
        let text = text.trim().trim_start_matches('v');
        let end = text.find(|c: char| c != '.' && !c.is_ascii_digit()).unwrap_or(text.len());
        let mut numbers = text.get(..end).unwrap_or_default().split('.').map(str::parse);
        let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else { return Err(NotAVersion) };
        Ok(Self { major, minor, patch: numbers.next().and_then(Result::ok).unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let cases = [
            (r#"{"message_type":"version","version":"0.18.0","go_version":"go1.24.4"}"#, Ok(Version::new(0, 18, 0))),
            ("restic 0.14.0 compiled with go1.19.8 on linux/amd64", Ok(Version::new(0, 14, 0))),
            ("warning: x\nrestic 0.19.1-dev (compiled manually)", Ok(Version::new(0, 19, 1))),
            ("restic 1.2 compiled", Ok(Version::new(1, 2, 0))),
            ("restic", Err(NotAVersion)),
            ("bash: restic: not found", Err(NotAVersion)),
            ("", Err(NotAVersion)),
            (r#"{"version":7}"#, Err(NotAVersion)),
        ];
        for (text, want) in cases {
            assert_eq!(Version::from_output(text), want, "{text}");
        }
        assert!(Version::new(0, 9, 9) < Version::new(0, 14, 0));
        assert!(Version::new(0, 17, 0).is_modern() && !Version::new(0, 16, 9).is_modern());
    }
}
