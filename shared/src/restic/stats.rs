//! The object that `stats --json` prints. Fields that are zero are left out by newer versions.

use super::lenient;
use crate::wire::operation::{StatsMode, StatsReport};
use serde::Deserialize;

#[derive(Deserialize)]
struct Raw {
    #[serde(default, deserialize_with = "lenient::count")]
    total_size: u64,
    #[serde(default, deserialize_with = "lenient::count")]
    total_file_count: u64,
    #[serde(default, deserialize_with = "lenient::count")]
    total_blob_count: u64,
    #[serde(default, deserialize_with = "lenient::maybe_count")]
    total_uncompressed_size: Option<u64>,
    #[serde(default)]
    compression_ratio: Option<f64>,
    #[serde(default)]
    compression_progress: Option<f64>,
    #[serde(default)]
    compression_space_saving: Option<f64>,
    // Always there, also when nothing was counted.
    #[serde(deserialize_with = "lenient::count")]
    snapshots_count: u64,
}

/// Reads a line of output; none if it is not the object.
#[must_use]
pub fn parse(line: &str, mode: StatsMode) -> Option<StatsReport> {
    let raw: Raw = serde_json::from_str(line).ok()?;
    let (files, blobs) = match mode {
        StatsMode::RestoreSize | StatsMode::FilesByContents => (true, false),
        StatsMode::RawData => (false, true),
        StatsMode::BlobsPerFile => (true, true),
    };
    Some(StatsReport {
        mode,
        total_size: raw.total_size,
        total_file_count: files.then_some(raw.total_file_count),
        total_blob_count: blobs.then_some(raw.total_blob_count),
        snapshots_count: Some(raw.snapshots_count),
        total_uncompressed_size: raw.total_uncompressed_size,
        compression_ratio: raw.compression_ratio,
        compression_progress: raw.compression_progress,
        compression_space_saving: raw.compression_space_saving,
        storage_free: None,
        storage_total: None,
    })
}
