//! Repositories: where backups go. Here: what a repository URL may be. Its password and the hosts' credentials are kept apart.

use super::rotation::Rotation;
use super::text_enum;
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::problem::FieldError;
use serde::Serialize;

text_enum! {
    /// The kind of storage, from the URL's beginning, as restic tells them apart.
    Backend {
        /// `rest:http(s)://`
        Rest = "rest",
        /// `s3:`
        S3 = "s3",
        /// `sftp:`
        Sftp = "sftp",
        /// `b2:`
        B2 = "b2",
        /// `azure:`
        Azure = "azure",
        /// `gs:`
        Gs = "gs",
        /// `swift:`
        Swift = "swift",
        /// `rclone:`
        Rclone = "rclone",
        /// An absolute path on the host.
        Local = "local",
    }
}

/// A restic repository.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Repository {
    /// Its identity.
    pub id: RepositoryId,
    /// Its name here.
    pub name: String,
    /// restic's URL; `{host}` stands for the host's name. Never holds credentials.
    pub url: String,
    /// The kind of storage.
    pub backend: Backend,
    /// Whether a host's first backup makes the repository when there is none at the address.
    pub init_if_missing: bool,
    /// The host that forgets, prunes and checks. It needs a full credential.
    pub maintenance_host_id: Option<HostId>,
    /// How large the storage may get, in bytes; none if nobody said.
    pub quota_bytes: Option<u64>,
    /// Certificate authorities of the storage, as PEM, besides those that the hosts trust already.
    pub ca_pem: Option<String>,
    /// The change of its password that is under way.
    pub rotation: Option<Rotation>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

fn wrong(detail: impl Into<String>) -> FieldError {
    FieldError { pointer: "/url".into(), detail: detail.into() }
}

/// The backend that a repository URL names.
///
/// # Errors
/// A field error that says what to write instead: an unknown scheme, a relative path, credentials inside the URL.
pub fn check_url(url: &str) -> Result<Backend, FieldError> {
    if url.is_empty() || url.len() > 2000 || url.chars().any(char::is_control) {
        return Err(wrong("1 to 2000 characters, without control characters"));
    }
    if url.replace("{host}", "").contains(['{', '}']) {
        return Err(wrong("the only placeholder is {host}"));
    }
    let windows_path = matches!(url.as_bytes(), [drive, b':', b'\\' | b'/', ..] if drive.is_ascii_alphabetic());
    if url.starts_with('/') || windows_path {
        return Ok(Backend::Local);
    }
    let Some((scheme, rest)) = url.split_once(':') else {
        return Err(wrong("write an absolute path or a restic URL such as rest:https://backup.example.org:8000/"));
    };
    if rest.is_empty() {
        return Err(wrong("nothing follows the scheme"));
    }
    match scheme {
        "rest" => check_rest(rest).map(|()| Backend::Rest),
        "http" | "https" => Err(wrong(format!("for a rest-server write rest:{url}"))),
        "local" => {
            if rest.starts_with('/') {
                Ok(Backend::Local)
            } else {
                Err(wrong("the path must be absolute"))
            }
        }
        other => match other.parse::<Backend>() {
            Ok(backend) => Ok(backend),
            Err(_) => Err(wrong(format!("'{other}' is not a storage that restic knows"))),
        },
    }
}

fn check_rest(address: &str) -> Result<(), FieldError> {
    let parsed = url::Url::parse(&address.replace("{host}", "host")).map_err(|e| wrong(format!("not a URL: {e}")))?;
    if !matches!(parsed.scheme(), "http" | "https") {
        return Err(wrong("a rest-server is reached by rest:http:// or rest:https://"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err(wrong(
            "user and password do not belong in the URL; give them as rest_username and rest_password of the host",
        ));
    }
    if parsed.query().is_some() || parsed.fragment().is_some() {
        return Err(wrong("a rest-server's URL has no '?' and no '#'"));
    }
    Ok(())
}

/// The URL for one host.
#[must_use]
pub fn url_for(url: &str, host_name: &str) -> String {
    url.replace("{host}", host_name)
}

/// What is wrong with the name of a repository, schedule, token or user.
#[must_use]
pub fn check_name(name: &str, pointer: &str) -> Option<FieldError> {
    let fine = (1..=100).contains(&name.chars().count()) && !name.chars().any(char::is_control) && name.trim() == name;
    (!fine).then(|| FieldError {
        pointer: pointer.into(),
        detail: "1 to 100 characters, no control characters, no space at either end".into(),
    })
}

/// What is wrong with a repository password. restic takes any text, but trims the file that it is read from.
#[must_use]
pub fn check_password(password: &str) -> Option<FieldError> {
    let fine = !password.is_empty()
        && password.len() <= 1000
        && password.trim() == password
        && !password.chars().any(char::is_control);
    (!fine).then(|| FieldError {
        pointer: "/password".into(),
        detail: "1 to 1000 characters, no control characters, no space at either end (restic would drop it)".into(),
    })
}

/// What is wrong with certificate authorities given as text.
#[must_use]
pub fn check_ca(pem: &str) -> Option<FieldError> {
    let whole = pem.contains("-----BEGIN CERTIFICATE-----") && pem.contains("-----END CERTIFICATE-----");
    let fine =
        whole && pem.len() <= 100_000 && pem.chars().all(|c| c == '\n' || c == '\r' || c == '\t' || !c.is_control());
    (!fine).then(|| FieldError {
        pointer: "/ca_pem".into(),
        detail: "certificates as PEM text, beginning with -----BEGIN CERTIFICATE-----".into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_their_backend_or_say_what_is_wrong() {
        for (url, backend) in [
            ("rest:http://127.0.0.1:8000/", Backend::Rest),
            ("rest:https://backup.example.org/{host}/", Backend::Rest),
            ("s3:https://s3.example.org/bucket", Backend::S3),
            ("sftp:user@host:/srv/restic", Backend::Sftp),
            ("/srv/restic", Backend::Local),
            ("C:\\restic", Backend::Local),
            ("local:/srv/restic", Backend::Local),
        ] {
            assert_eq!(check_url(url), Ok(backend), "{url}");
        }
        for (url, hint) in [
            ("I\u{e2}0\u{f0}", "absolute path"),
            ("C", "absolute path"),
            ("\u{1f692}:\\x", "not a storage"),
            ("", "1 to 2000"),
            ("backup", "absolute path"),
            ("local:srv", "absolute"),
            ("https://x/", "rest:https://x/"),
            ("rest:ftp://x/", "rest:http"),
            ("rest:http://", "not a URL"),
            ("rest:http://u:p@x/", "do not belong in the URL"),
            ("rest:http://x/?a=b", "no '?'"),
            ("gopher:x", "gopher"),
            ("rest:http://x/{name}", "{host}"),
            ("s3:", "nothing follows"),
        ] {
            let said = check_url(url).err().map(|e| e.detail).unwrap_or_default();
            assert!(said.contains(hint), "{url}: {said}");
        }
    }
}
