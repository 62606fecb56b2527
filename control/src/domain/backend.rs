//! Settings of each kind of storage: what restic takes from the environment, which of it is secret, and what it is for. Pages make their forms
//! from this table; agents pass nothing else on.

use super::repository::Backend;
use restic_manager_shared::wire::problem::FieldError;
use serde::Serialize;

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Setting {
    /// The variable's name.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// It is shown to nobody.
    pub secret: bool,
    /// The storage does not work without it.
    pub needed: bool,
}

const fn secret(name: &'static str, title: &'static str, needed: bool) -> Setting {
    Setting { name, title, secret: true, needed }
}

const fn plain(name: &'static str, title: &'static str, needed: bool) -> Setting {
    Setting { name, title, secret: false, needed }
}

const S3: &[Setting] = &[
    plain("AWS_ACCESS_KEY_ID", "Access key", true),
    secret("AWS_SECRET_ACCESS_KEY", "Secret key", true),
    secret("AWS_SESSION_TOKEN", "Session token", false),
    plain("AWS_DEFAULT_REGION", "Region", false),
    plain("AWS_PROFILE", "Profile on the host", false),
];
const B2: &[Setting] = &[plain("B2_ACCOUNT_ID", "Key id", true), secret("B2_ACCOUNT_KEY", "Application key", true)];
const AZURE: &[Setting] = &[
    plain("AZURE_ACCOUNT_NAME", "Account", true),
    secret("AZURE_ACCOUNT_KEY", "Account key", false),
    secret("AZURE_ACCOUNT_SAS", "Shared access signature", false),
    plain("AZURE_ENDPOINT_SUFFIX", "Endpoint suffix", false),
];
const GS: &[Setting] = &[
    plain("GOOGLE_PROJECT_ID", "Project", false),
    plain("GOOGLE_APPLICATION_CREDENTIALS", "Path of the key file on the host", false),
    secret("GOOGLE_ACCESS_TOKEN", "Access token", false),
];
const SWIFT: &[Setting] = &[
    plain("OS_AUTH_URL", "Identity service", false),
    plain("OS_REGION_NAME", "Region", false),
    plain("OS_USERNAME", "User", false),
    plain("OS_USER_ID", "User id", false),
    secret("OS_PASSWORD", "Password", false),
    plain("OS_TENANT_ID", "Tenant id", false),
    plain("OS_TENANT_NAME", "Tenant", false),
    plain("OS_USER_DOMAIN_NAME", "User's domain", false),
    plain("OS_USER_DOMAIN_ID", "User's domain id", false),
    plain("OS_PROJECT_NAME", "Project", false),
    plain("OS_PROJECT_DOMAIN_NAME", "Project's domain", false),
    plain("OS_PROJECT_DOMAIN_ID", "Project's domain id", false),
    plain("OS_TRUST_ID", "Trust id", false),
    plain("OS_APPLICATION_CREDENTIAL_ID", "Application credential id", false),
    plain("OS_APPLICATION_CREDENTIAL_NAME", "Application credential", false),
    secret("OS_APPLICATION_CREDENTIAL_SECRET", "Application credential's secret", false),
    plain("OS_STORAGE_URL", "Storage URL", false),
    secret("OS_AUTH_TOKEN", "Token", false),
    plain("ST_AUTH", "Identity service (version 1)", false),
    plain("ST_USER", "User (version 1)", false),
    secret("ST_KEY", "Key (version 1)", false),
];
const RCLONE: &[Setting] = &[
    plain("RCLONE_BWLIMIT", "Bandwidth limit", false),
    plain("RCLONE_CONFIG", "Path of the configuration on the host", false),
];

/// The settings of a kind of storage. A rest-server's user and password have fields of their own; sftp and rclone are configured on the
/// host.
#[must_use]
pub const fn settings(backend: Backend) -> &'static [Setting] {
    match backend {
        Backend::Rest | Backend::Sftp | Backend::Local => &[],
        Backend::S3 => S3,
        Backend::B2 => B2,
        Backend::Azure => AZURE,
        Backend::Gs => GS,
        Backend::Swift => SWIFT,
        Backend::Rclone => RCLONE,
    }
}

/// What is wrong with the settings of a credential.
#[must_use]
pub fn check_settings<'a>(values: impl Iterator<Item = (&'a str, &'a str)>) -> Vec<FieldError> {
    let bad = |text: &str| text.len() > 4000 || text.chars().any(char::is_control);
    let known = |name: &str| Backend::ALL.iter().flat_map(|b| settings(*b)).any(|s| s.name == name);
    let wrong = values.filter_map(|(name, value)| {
        let detail = if !known(name) {
            "is no setting of a storage that reaches restic; GET /api/v1/backends lists those that do"
        } else if bad(value) {
            "at most 4000 characters, without control characters such as line breaks"
        } else {
            return None;
        };
        Some(FieldError {
            pointer: format!("/env/{}", name.chars().take(60).collect::<String>()),
            detail: detail.into(),
        })
    });
    wrong.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_settings_without_line_breaks_pass() {
        for (name, value, fine) in [
            ("AWS_ACCESS_KEY_ID", "k", true),
            ("AWS_SECRET_ACCESS_KEY", "a\nb", false),
            ("LD_PRELOAD", "/x.so", false),
            ("RCLONE_PASSWORD_COMMAND", "sh", false),
            ("RESTIC_PASSWORD", "x", false),
        ] {
            assert_eq!(check_settings([(name, value)].into_iter()).is_empty(), fine, "{name}");
        }
    }

    #[test]
    fn names_are_unique_within_a_storage() {
        for backend in Backend::ALL {
            let mut names: Vec<&str> = settings(*backend).iter().map(|s| s.name).collect();
            names.sort_unstable();
            let all = names.len();
            names.dedup();
            assert_eq!(names.len(), all, "{backend}");
        }
    }
}
