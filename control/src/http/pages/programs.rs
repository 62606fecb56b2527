//! The agent's program as it is offered for download: of each platform the newest release that is here.

use crate::http::problem::ApiError;
use crate::service::Services;
use crate::service::releases::{self, Release};
use serde::Serialize;

/// A program to download.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// The version.
    pub version: String,
    /// The platform.
    pub target: String,
    /// Where it is.
    pub href: String,
    /// Bytes.
    pub size: i64,
    /// What it hashes to, hex.
    pub sha256: String,
}

/// Of each platform the release that was uploaded last, if its file is here and it was not withdrawn. `all` has the newest first.
fn newest(all: Vec<Release>) -> Vec<Program> {
    let mut found: Vec<Program> = vec![];
    for release in all.into_iter().filter(|r| r.has_file && r.withdrawn_at.is_none()) {
        if found.iter().all(|known| known.target != release.target) {
            found.push(Program {
                href: format!("/api/v1/releases/{}/{}/file", release.version, release.target),
                version: release.version,
                target: release.target,
                size: release.size,
                sha256: release.sha256,
            });
        }
    }
    found.sort_by(|a, b| a.target.cmp(&b.target));
    found
}

/// What can be downloaded here.
///
/// # Errors
/// When the database fails.
pub async fn programs(s: &Services) -> Result<Vec<Program>, ApiError> {
    Ok(newest(releases::list(s).await?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::time::Timestamp;

    #[test]
    fn of_each_platform_the_newest_that_is_here() {
        let release = |version: &str, target: &str, has_file, withdrawn: bool| Release {
            version: version.into(),
            target: target.into(),
            sha256: String::new(),
            size: 1,
            key: String::new(),
            rollback: false,
            published_at: None,
            notes: String::new(),
            uploaded_by: String::new(),
            uploaded_at: Timestamp::from_seconds(0),
            has_file,
            withdrawn_at: withdrawn.then(|| Timestamp::from_seconds(1)),
        };
        let all = vec![
            release("4.0.0", "windows", false, false),
            release("3.0.0", "windows", true, true),
            release("2.0.0", "windows", true, false),
            release("2.0.0", "linux", true, false),
            release("1.0.0", "linux", true, false),
        ];
        let found: Vec<(String, String)> = newest(all).into_iter().map(|p| (p.target, p.version)).collect();
        assert_eq!(found, [("linux".into(), "2.0.0".into()), ("windows".into(), "2.0.0".into())]);
    }
}
