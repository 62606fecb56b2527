//! A repository's address: which backend it is, and how HTTP credentials are put into it for restic versions that know no other way.

use std::path::PathBuf;
use url::Url;

/// What stands before the colon of an address that is no folder.
const BACKENDS: [&str; 10] = ["rest", "s3", "sftp", "b2", "azure", "gs", "swift", "rclone", "http", "https"];

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A rest-server: `rest:` and the URL of the repository's folder, which ends in `/`.
    Rest(Url),
    /// Anything else, as restic takes it: `s3:...`, `sftp:...`, a folder.
    Other(String),
}

impl Location {
    /// Reads restic's form. A `rest:` address that is no URL is left to restic, which will say what is wrong with it.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.strip_prefix("rest:").map(Url::parse) {
            Some(Ok(mut url)) if url.has_host() => {
                if !url.path().ends_with('/') {
                    url.set_path(&format!("{}/", url.path()));
                }
                Self::Rest(url)
            }
            Some(_) | None => Self::Other(text.to_owned()),
        }
    }

    /// The folder of a repository that lies on this machine.
    #[must_use]
    pub fn local(&self) -> Option<PathBuf> {
        let Self::Other(text) = self else { return None };
        if let Some(path) = text.strip_prefix("local:") {
            return Some(path.into());
        }
        // One letter before a colon is a drive.
        let backend = text.split_once(':').map(|(scheme, _)| scheme).filter(|s| s.len() > 1);
        let elsewhere = backend.is_some_and(|s| BACKENDS.contains(&s));
        (!elsewhere && !text.is_empty()).then(|| text.into())
    }

    /// The name of the backend.
    #[must_use]
    pub fn backend(&self) -> &str {
        match self {
            Self::Rest(_) => "rest",
            Self::Other(_) if self.local().is_some() => "local",
            Self::Other(text) => text.split_once(':').map_or("local", |(scheme, _)| scheme),
        }
    }

    /// restic's form without any change.
    #[must_use]
    pub fn plain(&self) -> String {
        match self {
            Self::Rest(url) => format!("rest:{url}"),
            Self::Other(text) => text.clone(),
        }
    }

    /// restic's form with HTTP credentials in it, encoded so that any character may be in them. Only a rest-server takes them.
    #[must_use]
    pub fn with_credentials(&self, user: &str, password: &str) -> String {
        match self {
            Self::Rest(url) => {
                let text = url.as_str();
                let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
                let host = rest.split_once('@').filter(|(info, _)| !info.contains('/')).map_or(rest, |(_, host)| host);
                format!("rest:{scheme}://{}:{}@{host}", percent_encode(user), percent_encode(password))
            }
            Self::Other(text) => text.clone(),
        }
    }
}

/// Whether the address itself could make a helper run a program: rclone takes a whole configuration in place of a remote's name. Only
/// remotes that this host has configured by name are taken.
#[must_use]
pub fn brings_its_own_settings(address: &str) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "_-.+@ ".contains(c);
    match address.strip_prefix("rclone:").map(|rest| rest.split_once(':').map_or(rest, |(remote, _)| remote)) {
        Some(remote) => remote.is_empty() || !remote.chars().all(plain),
        None => false,
    }
}

/// Every byte but letters, digits and `-._~` as `%XX`.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_a_remote_and_does_not_make_one() {
        for (address, want) in [
            ("rclone:b2 prod:bucket/x", false),
            ("rclone::sftp,ssh=\"sh -c id\":/x", true),
            ("rclone:b2,ssh=id:x", true),
            ("sftp:u@h:/x", false),
            ("/srv/r", false),
        ] {
            assert_eq!(brings_its_own_settings(address), want, "{address}");
        }
    }

    #[test]
    fn a_folder_is_told_from_a_backend() {
        for (address, backend, local) in [
            ("/srv/r", "local", Some("/srv/r")),
            ("local:/srv/r", "local", Some("/srv/r")),
            ("C:\\backups", "local", Some("C:\\backups")),
            ("/srv/a:b", "local", Some("/srv/a:b")),
            ("s3:https://h/b", "s3", None),
            ("rest:http://h/r", "rest", None),
            ("sftp:u@h:/x", "sftp", None),
        ] {
            let location = Location::parse(address);
            assert_eq!((location.backend(), location.local()), (backend, local.map(PathBuf::from)), "{address}");
        }
    }

    #[test]
    fn credentials_are_encoded_into_rest_addresses_only() {
        let cases = [
            ("rest:http://h:8000/a", "rest:http://al%20ice:p%25w%2F%40%3A@h:8000/a/"),
            ("rest:https://old:pw@h/a/", "rest:https://al%20ice:p%25w%2F%40%3A@h/a/"),
            ("rest:http://h/a@b/", "rest:http://al%20ice:p%25w%2F%40%3A@h/a@b/"),
            ("s3:https://h/b", "s3:https://h/b"),
            ("/srv/repo", "/srv/repo"),
            ("rest:nonsense", "rest:nonsense"),
        ];
        for (text, want) in cases {
            assert_eq!(Location::parse(text).with_credentials("al ice", "p%w/@:"), want);
        }
        assert_eq!(Location::parse("rest:http://h/a").plain(), "rest:http://h/a/");
    }
}
