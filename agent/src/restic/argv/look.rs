//! The arguments of commands that only look.

use super::Builder;
use restic_manager_shared::wire::operation::{ReadData, StatsMode};

/// No file is called so.
const NOBODYS_NAME: &str = "restic-manager looks for nothing";

impl Builder<'_> {
    pub(super) fn snapshots(&mut self, ids: &[String], all_hosts: bool) {
        self.command(["snapshots", "--json"]);
        if ids.is_empty() && !all_hosts {
            let host = self.context.host;
            self.words(["--host", host]);
        }
        ids.iter().for_each(|id| self.push(id));
    }

    pub(super) fn ls(&mut self, snapshot: &str, path: &str, recursive: bool) {
        self.command(["ls", "--json"]);
        self.flag(recursive, "--recursive");
        self.words(["--", snapshot, path]);
    }

    pub(super) fn find(&mut self, pattern: &str, snapshots: &[String], ignore_case: bool) {
        self.command(["find", "--json"]);
        self.flag(ignore_case, "--ignore-case");
        for id in snapshots {
            self.words(["--snapshot", id]);
        }
        if snapshots.is_empty() {
            let host = self.context.host;
            self.words(["--host", host]);
        }
        self.words(["--", pattern]);
    }

    pub(super) fn find_packs(&mut self, packs: &[String]) {
        self.words(["find", "--json", "--no-lock", "--pack"]);
        self.operands(packs);
    }

    /// Past the cache, which may still hold what the storage has lost.
    pub(super) fn find_unreadable(&mut self, snapshot: Option<&str>) {
        self.words(["find", "--json", "--no-lock", "--no-cache"]);
        if let Some(snapshot) = snapshot {
            self.words(["--snapshot", snapshot]);
        }
        self.words(["--", NOBODYS_NAME]);
    }

    pub(super) fn stats(&mut self, mode: StatsMode, snapshots: &[String]) {
        let word = match mode {
            StatsMode::RestoreSize => "restore-size",
            StatsMode::FilesByContents => "files-by-contents",
            StatsMode::RawData => "raw-data",
            StatsMode::BlobsPerFile => "blobs-per-file",
        };
        self.command(["stats", "--json", "--mode", word]);
        self.operands(snapshots);
    }

    pub(super) fn diff(&mut self, from: &str, to: &str, metadata: bool) {
        self.command(["diff", "--json"]);
        self.flag(metadata, "--metadata");
        self.words(["--", from, to]);
    }

    /// Without `--json`: that says nothing until it is over, which may be hours.
    pub(super) fn check(&mut self, read_data: ReadData, limit_download_kib: Option<u32>) {
        self.command(["check"]);
        match read_data {
            ReadData::Nothing => {}
            ReadData::Everything => self.push("--read-data"),
            ReadData::Part { part, of } => self.value("--read-data-subset", &format!("{part}/{of}")),
            ReadData::Percent { percent } => self.value("--read-data-subset", &format!("{percent}%")),
        }
        self.number("--limit-download", limit_download_kib);
    }
}
