//! Drills: some files of a snapshot are really restored, to a scratch folder of the job, and held against what they should be. Equal to the
//! file on the host, where that has not changed since, is the best proof; that restic read the file back and its hashes fit is the second.

use super::{Repository, Work};
use crate::backoff;
use crate::place;
use crate::report::Done;
use crate::restic::argv::{Operation, Restore};
use crate::restic::judge::Verdict;
use crate::roster::pressed;
use crate::tree::cache::Key;
use crate::tree::{Node, Tree, TreeError, make};
use restic_manager_shared::id::JobId;
use restic_manager_shared::wire::job::{CauseCode, End, ItemError, Offer};
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::progress::LogLevel;
use restic_manager_shared::wire::restore::{DrillReport, DrilledFile, MAX_DRILL_FILES, Overwrite, Proof};
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read as _};
use std::path::{Path, PathBuf};

/// What a file system needs besides the files themselves.
const SPARE: u64 = 16 * 1024 * 1024;

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) snapshot: &'a str,
    pub(super) paths: &'a [String],
    pub(super) random: u32,
    pub(super) max_bytes: u64,
}

/// What is drilled.
#[derive(Default)]
struct Chosen {
    files: Vec<(String, Node)>,
    /// Asked for by name, and not in the snapshot.
    not_there: Vec<String>,
    left_out: u64,
    bytes: u64,
    all_files: u64,
}

/// How restic ended, for the proofs.
struct Evidence {
    scratch: PathBuf,
    /// It read back what it wrote.
    verified: bool,
    items: HashMap<String, String>,
}

impl Work<'_> {
    pub(super) async fn drill(&self, r: &Repository, wanted: &Wanted<'_>) -> Done {
        match self.choose(r, wanted).await {
            Ok(chosen) => self.prove(r, wanted, chosen).await,
            Err(verdict) => self.failed(verdict),
        }
    }

    async fn choose(&self, r: &Repository, wanted: &Wanted<'_>) -> Result<Chosen, Verdict> {
        self.say(LogLevel::Info, "looking what is in the snapshot");
        let key = Key::tree(r.spec.id, wanted.snapshot);
        // Its secrets go into a folder of its own.
        let offer = Offer { id: JobId::new(), secrets: None, ..self.offer.clone() };
        let mut stop = self.stop.clone();
        let tree = tokio::select! {
            tree = make::wait(self.agent, &key, &offer) => tree,
            reason = pressed(&mut stop) => return Err(super::run::stopped_before(reason)),
        };
        let tree = tree.map_err(|c| Verdict::failed(c.code, c.message))?;
        let (paths, random, max) = (wanted.paths.to_vec(), wanted.random as usize, wanted.max_bytes);
        let chosen = tokio::task::spawn_blocking(move || choose(&tree, paths, random, max)).await;
        let lost = |e: String| Verdict::failed(CauseCode::AgentDisk, e);
        let chosen = chosen.map_err(|e| lost(e.to_string()))?.map_err(|e| lost(e.to_string()))?;
        if chosen.files.is_empty() && chosen.not_there.is_empty() {
            let message = "the snapshot has no file that could be proven";
            return Err(Verdict::failed(CauseCode::PathMissing, message));
        }
        let free = place::free_bytes(self.dir.path()).unwrap_or(u64::MAX);
        if chosen.bytes.saturating_add(SPARE) > free {
            let message = format!("{} bytes would be restored, and the agent's disk has {free} free", chosen.bytes);
            return Err(Verdict::failed(CauseCode::TargetFull, message));
        }
        Ok(chosen)
    }

    async fn prove(&self, r: &Repository, wanted: &Wanted<'_>, chosen: Chosen) -> Done {
        let scratch = self.dir.path().join("drill");
        let paths: Vec<String> = chosen.files.iter().map(|(path, _)| path.clone()).collect();
        let restore = Restore {
            snapshot: wanted.snapshot,
            paths: &paths,
            target: &scratch,
            overwrite: Overwrite::Always,
            delete: false,
            verify: true,
            dry_run: false,
        };
        let (mut done, items) = if paths.is_empty() {
            (Done::from(Verdict { end: End::Succeeded, cause: None }), HashMap::new())
        } else {
            let run = match self.run(r, Operation::Restore(restore)).await {
                Ok(run) => run,
                Err(verdict) => return self.failed(verdict),
            };
            let items =
                run.transcript.items().0.iter().map(|ItemError { item, message }| (item.clone(), message.clone()));
            let items = items.collect();
            (self.done(&run), items)
        };
        let restored_something = scratch.exists();
        let about_files = done.verdict.end == End::Succeeded
            || (restored_something && !done.items.is_empty())
            || done.verdict.code() == Some(CauseCode::RepositoryDamaged);
        if !about_files || done.verdict.end == End::Cancelled {
            return done;
        }
        self.say(LogLevel::Info, "comparing what was restored");
        let evidence = Evidence { scratch, verified: done.verdict.end == End::Succeeded, items };
        let snapshot = wanted.snapshot.to_owned();
        let report = tokio::task::spawn_blocking(move || account(&snapshot, chosen, &evidence)).await;
        let report = match report {
            Ok(report) => report,
            Err(e) => return self.failed(Verdict::failed(CauseCode::AgentDisk, e.to_string())),
        };
        done.verdict = verdict(&report, done.verdict);
        if let Some(cause) = &done.verdict.cause {
            self.say(LogLevel::Error, &cause.message);
        }
        done.outcome = Some(Outcome::Drill(report));
        done
    }
}

fn verdict(report: &DrillReport, of_restic: Verdict) -> Verdict {
    if report.failed == 0 {
        return Verdict { end: End::Succeeded, cause: None };
    }
    let first = report.files.iter().find(|f| matches!(f.proof, Proof::Differs | Proof::NotRestored));
    let first = first.map(|f| format!(". The first: {}: {}", f.path, f.note)).unwrap_or_default();
    let message = format!("{} of {} files could not be proven{first}", report.failed, report.files.len());
    let damaged = of_restic.code() == Some(CauseCode::RepositoryDamaged);
    Verdict::failed(if damaged { CauseCode::RepositoryDamaged } else { CauseCode::RestoreDiffers }, message)
}

/// Those that are named, and others by chance: each file of the snapshot is as likely as any other.
fn choose(tree: &Tree, paths: Vec<String>, random: usize, max_bytes: u64) -> Result<Chosen, TreeError> {
    let mut chosen = Chosen::default();
    let mut picked: Vec<(String, Node)> = Vec::new();
    let mut seen = 0_u64;
    tree.files(|path, node| {
        if &*node.kind != "file" {
            return;
        }
        chosen.all_files += 1;
        // The name of such a file is not known exactly, so it cannot be found again.
        if path.contains('\u{fffd}') || paths.iter().any(|p| p == path) {
            return;
        }
        seen += 1;
        if picked.len() < random {
            picked.push((path.to_owned(), node.clone()));
        } else if let Some(slot) = usize::try_from(backoff::below(seen)).ok().and_then(|n| picked.get_mut(n)) {
            *slot = (path.to_owned(), node.clone());
        }
    })?;
    let mut files = Vec::new();
    for path in paths {
        match tree.entry(&path)?.filter(|n| &*n.kind == "file") {
            Some(node) => files.push((path, node)),
            None => chosen.not_there.push(path),
        }
    }
    files.extend(picked);
    for (path, node) in files {
        let bytes = chosen.bytes.saturating_add(node.size.unwrap_or(0));
        if chosen.files.len() >= MAX_DRILL_FILES || (max_bytes > 0 && bytes > max_bytes) {
            chosen.left_out += 1;
            continue;
        }
        chosen.bytes = bytes;
        chosen.files.push((path, node));
    }
    Ok(chosen)
}

fn account(snapshot: &str, chosen: Chosen, evidence: &Evidence) -> DrillReport {
    let mut report = DrillReport {
        snapshot: snapshot.to_owned(),
        bytes: chosen.bytes,
        left_out: chosen.left_out,
        snapshot_files: chosen.all_files,
        ..DrillReport::default()
    };
    for (path, node) in chosen.files {
        let (proof, note) = prove(&path, &node, evidence);
        match proof {
            Proof::EqualToSource | Proof::HashVerified => report.proven += 1,
            Proof::Differs | Proof::NotRestored => report.failed += 1,
            Proof::NotThere | Proof::Unknown => {}
        }
        report.files.push(DrilledFile { path, size: node.size.unwrap_or(0), proof, note });
    }
    let not_there = |path| DrilledFile { path, size: 0, proof: Proof::NotThere, note: String::new() };
    report.files.extend(chosen.not_there.into_iter().map(not_there));
    report
}

fn prove(path: &str, node: &Node, evidence: &Evidence) -> (Proof, String) {
    let said = evidence.items.get(path).cloned();
    let Some(restored) = place::below(&evidence.scratch, path).ok().filter(|p| p.is_file()) else {
        return (Proof::NotRestored, said.unwrap_or_else(|| "it is not among what restic restored".into()));
    };
    let size = restored.metadata().map(|m| m.len()).ok();
    if size != node.size {
        return (Proof::Differs, said.unwrap_or_else(|| "its size is not what it was".into()));
    }
    if let Some(said) = said.filter(|s| !restic_manager_shared::restic::restore::is_about_metadata(s)) {
        return (Proof::NotRestored, said);
    }
    if is_unchanged(Path::new(path), node) {
        return match equal(&restored, Path::new(path)) {
            Ok(true) => (Proof::EqualToSource, String::new()),
            Ok(false) => (Proof::Differs, "the file on the host has the same time and size, and other content".into()),
            // It cannot be read any more: as if it were gone.
            Err(_) => by_hash(evidence),
        };
    }
    by_hash(evidence)
}

fn by_hash(evidence: &Evidence) -> (Proof, String) {
    if evidence.verified {
        (Proof::HashVerified, String::new())
    } else {
        (Proof::NotRestored, "restic ended with errors before it read back what it wrote".into())
    }
}

/// Whether the file on the host is, by its size and time, the one that was backed up.
fn is_unchanged(source: &Path, node: &Node) -> bool {
    let Ok(meta) = source.symlink_metadata() else { return false };
    let mtime = meta.modified().ok().and_then(|t| t.duration_since(std::time::UNIX_EPOCH).ok());
    let mtime = mtime.and_then(|t| i64::try_from(t.as_micros()).ok());
    meta.is_file() && Some(meta.len()) == node.size && mtime.is_some() && mtime == node.mtime.map(|t| t.micros())
}

fn equal(a: &Path, b: &Path) -> io::Result<bool> {
    let (mut a, mut b) = (BufReader::new(File::open(a)?), BufReader::new(File::open(b)?));
    let (mut left, mut right) = (vec![0; 128 * 1024], vec![0; 128 * 1024]);
    loop {
        let n = a.read(&mut left)?;
        if n == 0 {
            return Ok(b.read(&mut right)? == 0);
        }
        let (Some(left), Some(right)) = (left.get(..n), right.get_mut(..n)) else { return Ok(false) };
        match b.read_exact(right) {
            Ok(()) if left == right => {}
            Ok(()) => return Ok(false),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(e) => return Err(e),
        }
    }
}
