//! The desired state: everything a host should do, whole, with a version. An agent that holds an older version gets the newer one.

use crate::id::{RepositoryId, ScheduleId};
use crate::seal::Sealed;
use crate::secret::Secret;
use crate::wire::pause::Pause;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// All that a host should do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DesiredState {
    /// Raised by every change; larger is newer.
    pub version: i64,
    /// The host's name, given to restic as `--host`.
    pub host_name: String,
    /// What to back up, and when.
    pub schedules: Vec<ScheduleSpec>,
    /// Where to.
    pub repositories: Vec<RepositorySpec>,
    /// Times in which no schedule of this host fires by itself, also some that are over: they count against what is made up for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
}

/// One schedule, as the agent needs it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ScheduleSpec {
    /// Its identity.
    pub id: ScheduleId,
    /// Its name.
    pub name: String,
    /// A disabled schedule is sent too, so that the agent can say so.
    pub enabled: bool,
    /// Run-now only: the agent's scheduler passes over it.
    pub manual: bool,
    /// The crontab(5) line; never with `manual`.
    #[serde(default)]
    pub cron: Option<String>,
    /// IANA zone of the line; the host's own if there is none.
    #[serde(default)]
    pub timezone: Option<String>,
    /// How its fires are treated.
    #[serde(default)]
    pub firing: Firing,
    /// Where to; none until somebody picks a repository.
    #[serde(default)]
    pub repository_id: Option<RepositoryId>,
    /// What to back up.
    pub backup: BackupSpec,
    /// Times in which it does not fire by itself, besides those of its host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pauses: Vec<Pause>,
}

/// How the fires of a cron schedule are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct Firing {
    /// How many minutes late a fire may still be made up for, after the host slept or was down; 0 for never.
    #[cfg_attr(feature = "openapi", schema(maximum = 44_640))]
    pub catch_up_minutes: u32,
    /// Starts are spread over so many minutes after the due time; each host and schedule has its own fixed place in them. Never more
    /// than a quarter of the time to the next fire.
    #[cfg_attr(feature = "openapi", schema(maximum = 720))]
    pub jitter_minutes: u32,
    /// What becomes of a fire that finds the last run still running.
    pub overlap: Overlap,
    /// How often a run is tried again when the repository cannot be reached or is locked; never for other causes.
    #[cfg_attr(feature = "openapi", schema(maximum = 10))]
    pub retries: u32,
}

impl Default for Firing {
    fn default() -> Self {
        Self { catch_up_minutes: 24 * 60, jitter_minutes: 0, overlap: Overlap::Skip, retries: 3 }
    }
}

/// What becomes of a fire that finds the last run of its schedule still running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is recorded as skipped.
    #[default]
    Skip,
    /// It runs after it; a second one that would wait is recorded as skipped.
    Queue,
}

/// What a backup covers. Lives in the schedule, and is copied into each job of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct BackupSpec {
    /// Absolute paths on the host.
    pub paths: Vec<String>,
    /// restic exclude patterns.
    #[serde(default)]
    pub excludes: Vec<String>,
    /// Tags written into the snapshot.
    #[serde(default)]
    pub tags: Vec<String>,
    /// How restic should run.
    #[serde(default)]
    pub options: BackupOptions,
}

/// Options of a backup. Each has restic's default when left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(default)]
pub struct BackupOptions {
    /// Stay on the file systems of the paths (`--one-file-system`).
    pub one_file_system: bool,
    /// Skip folders with a CACHEDIR.TAG (`--exclude-caches`).
    pub exclude_caches: bool,
    /// Upload limit in KiB/s (`--limit-upload`); none means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 4_294_967_295_u64))]
    pub limit_upload_kib: Option<u32>,
    /// Download limit in KiB/s (`--limit-download`); none means no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 4_294_967_295_u64))]
    pub limit_download_kib: Option<u32>,
    /// How hard to compress (`--compression`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// Other limits in certain hours; the first that holds when the run starts counts, and replaces the two above.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timed_limits: Vec<TimedLimit>,
    /// Files on the host that hold exclude patterns (`--exclude-file`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_files: Vec<String>,
    /// Skip folders that hold a file of this name, or `name:header` (`--exclude-if-present`).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_if_present: Vec<String>,
    /// Skip larger files: a number with `k`, `M`, `G` or `T` (`--exclude-larger-than`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude_larger_than: Option<String>,
    /// Make no snapshot when nothing changed (`--skip-if-unchanged`, restic 0.17 and later).
    pub skip_if_unchanged: bool,
    /// Files read at the same time (`--read-concurrency`, restic 0.15 and later).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 128))]
    pub read_concurrency: Option<u32>,
    /// Size of the packs in MiB (`--pack-size`).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 4, maximum = 128))]
    pub pack_size_mib: Option<u32>,
    /// Read files from a shadow copy (`--use-fs-snapshot`, Windows).
    pub use_fs_snapshot: bool,
    /// Back up what a hook of the host prints, as one file, instead of paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stdin: Option<StdinSource>,
    /// A hook of the host that runs before the backup; when it fails, nothing is backed up. Its name in the host's own folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// A hook of the host that runs after the backup, however that ended, and also when the hook before it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How long each of the two may take, in minutes; 60 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 1440))]
    pub hook_limit_minutes: Option<u32>,
}

/// Limits of transfer for some hours of the day, in the schedule's zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct TimedLimit {
    /// From, `HH:MM`.
    pub from: String,
    /// To, `HH:MM`; earlier than `from` means the next day.
    pub to: String,
    /// Upload limit in KiB/s; none means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 4_294_967_295_u64))]
    pub upload_kib: Option<u32>,
    /// Download limit in KiB/s; none means no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(minimum = 1, maximum = 4_294_967_295_u64))]
    pub download_kib: Option<u32>,
}

/// A program of the host whose output is backed up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StdinSource {
    /// The hook's name in the host's own folder; never a path or a command line.
    pub hook: String,
    /// The name that the output has in the snapshot (`--stdin-filename`).
    pub filename: String,
}

/// restic's `--compression`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// restic's default.
    Auto,
    /// None at all.
    Off,
    /// As small as it gets.
    Max,
    /// Quick (restic 0.19 and later).
    Fastest,
    /// Between automatic and maximum (restic 0.19 and later).
    Better,
}

/// What a credential may do at the storage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CredentialMode {
    /// Add snapshots, never remove: what backup hosts hold.
    #[default]
    AppendOnly,
    /// Everything: what the maintenance host holds.
    Full,
}

/// One repository, as one host may use it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct RepositorySpec {
    /// Its identity.
    pub id: RepositoryId,
    /// Its name.
    pub name: String,
    /// restic's URL with `{host}` filled in, without any credentials.
    pub url: String,
    /// Certificate authorities of the storage, as PEM, besides those that the host trusts already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// What this host's credential may do.
    pub mode: CredentialMode,
    /// Whether a first backup makes the repository when there is none at the address.
    #[serde(default)]
    pub init_if_missing: bool,
    /// [`RepositorySecrets`] as JSON, sealed for the use [`seal_name`].
    pub secrets: Sealed,
}

/// The sealing use of a repository's secrets.
#[must_use]
pub fn seal_name(id: RepositoryId) -> String {
    format!("repository/{id}")
}

/// What opens a repository. Travels sealed only, so it serialises through [`RepositorySecrets::to_json`] alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct RepositorySecrets {
    /// restic's repository password.
    pub password: Secret,
    /// HTTP user of a rest-server.
    #[serde(default)]
    pub rest_username: Option<String>,
    /// HTTP password of a rest-server.
    #[serde(default)]
    pub rest_password: Option<Secret>,
    /// Environment for other backends, such as `AWS_ACCESS_KEY_ID`.
    #[serde(default)]
    pub env: BTreeMap<String, Secret>,
}

impl RepositorySecrets {
    /// The JSON that is sealed, or encrypted at rest.
    #[must_use]
    pub fn to_json(&self) -> zeroize::Zeroizing<String> {
        zeroize::Zeroizing::new(self.to_value().to_string())
    }

    /// The JSON as a value, for what is sealed around it.
    pub(super) fn to_value(&self) -> serde_json::Value {
        let env: BTreeMap<&str, &str> = self.env.iter().map(|(k, v)| (k.as_str(), v.reveal())).collect();
        serde_json::json!({
            "password": self.password.reveal(),
            "rest_username": self.rest_username,
            "rest_password": self.rest_password.as_ref().map(Secret::reveal),
            "env": env,
        })
    }

    /// Every value that must never leave the host in a log line.
    #[must_use]
    pub fn values(&self) -> Vec<&str> {
        std::iter::once(&self.password)
            .chain(self.rest_password.as_ref())
            .chain(self.env.values())
            .map(Secret::reveal)
            .filter(|v| !v.is_empty())
            .collect()
    }
}
