//! What is done about an offered release, in order: check the signature, fetch, check the file, wait until no job runs, try it, swap, start it.
//! Up to the swap everything may be left at any point. A running backup is never stopped for it.

use super::check;
use super::program::Program;
use super::record::{Boot, Record, Step, revert};
use super::{Updates, keys, rules};
use crate::app::Agent;
use crate::backoff::Backoff;
use crate::client::ClientError;
use crate::facts;
use crate::space;
use crate::state_dir::make_private_dir;
use restic_manager_shared::release::{Manifest, sha256_of};
use restic_manager_shared::wire::release::{ReleaseOffer, UpdatePhase};
use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{sleep, timeout};

const FOLDER: &str = "update";
/// Room that is left free beside a release.
const ROOM: u64 = 32 * 1024 * 1024;
/// Between two looks whether there is room by now.
const FULL: Duration = Duration::from_secs(600);
/// For so long a moment is waited for when no job happens to run; then none begins until those that run have ended.
const PATIENCE: Duration = Duration::from_secs(6 * 3600);
/// Between two looks whether a job runs.
const LOOK: Duration = Duration::from_secs(2);
/// A file that was fetched whole and is not the one that was signed is fetched once more: a cache on the way may have been stale.
const FETCHES: u32 = 2;

/// Does what is offered until the agent is to stop. True if another program was put in place: that one is to run.
pub async fn run(agent: &Arc<Agent>, mut stop: watch::Receiver<bool>) -> bool {
    tokio::select! {
        again = work(agent) => again,
        _ = stop.wait_for(|s| *s) => false,
    }
}

async fn work(agent: &Arc<Agent>) -> bool {
    let updates = &agent.updates;
    if !updates.proved().await && updates.give_up(agent) {
        return true;
    }
    loop {
        let offer = updates.next().await;
        let done = tokio::select! {
            done = attempt(agent, &offer) => done,
            () = updates.other_than(&offer) => {
                tracing::info!(version = offer.version, "the release is no longer offered");
                updates.set_phase(UpdatePhase::Idle);
                continue;
            }
        };
        match done {
            Ok(()) => return true,
            Err(error) => updates.failed(&offer.version, error, agent.client.now()),
        }
        // The control plane hears of it now, and not at the end of the running poll.
        agent.roster.freed.notify_one();
    }
}

impl Updates {
    /// Waits until a new version has reached the control plane. False if it does not in time.
    async fn proved(&self) -> bool {
        let wait = async {
            loop {
                let news = self.news.notified();
                tokio::pin!(news);
                news.as_mut().enable();
                if !self.held().record.is_proving() {
                    return;
                }
                news.await;
            }
        };
        timeout(self.prove_within, wait).await.is_ok()
    }

    /// Puts the version from before back. False if that cannot be done.
    fn give_up(&self, agent: &Agent) -> bool {
        let Some(program) = &self.program else { return false };
        let reason = format!("it did not reach the control plane within {} seconds", self.prove_within.as_secs());
        tracing::error!(reason, "the version of the agent from before is put back");
        let mut held = self.held();
        let boot = revert(&self.dir, program, held.record.clone(), reason, agent.client.now());
        held.record = Record::load(&self.dir);
        held.phase = UpdatePhase::Idle;
        boot == Boot::Restart
    }

    /// The next offer.
    async fn next(&self) -> ReleaseOffer {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if let Some(offer) = self.held().offer.clone() {
                return offer;
            }
            news.await;
        }
    }

    /// Waits until something else is offered.
    async fn other_than(&self, offer: &ReleaseOffer) {
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            news.as_mut().enable();
            if self.held().offer.as_ref() != Some(offer) {
                return;
            }
            news.await;
        }
    }
}

/// Nothing new begins while this lives.
struct Closed<'a> {
    updates: &'a Updates,
    _slots: Option<OwnedSemaphorePermit>,
}

impl<'a> Closed<'a> {
    /// At a moment when no job runs. If there is none for long, jobs that come wait for it.
    async fn when_quiet(agent: &'a Agent) -> Self {
        let patience = async {
            loop {
                if let Some(slots) = agent.roster.quiet_now() {
                    return slots;
                }
                sleep(LOOK).await;
            }
        };
        let slots = timeout(PATIENCE, patience).await.ok();
        agent.updates.closing.store(true, Ordering::Relaxed);
        let mut closed = Self { updates: &agent.updates, _slots: slots };
        if closed._slots.is_none() {
            closed._slots = agent.roster.quiet().await;
        }
        closed
    }
}

impl Drop for Closed<'_> {
    fn drop(&mut self) {
        self.updates.closing.store(false, Ordering::Relaxed);
    }
}

/// One try. `Ok` means that the new program is in place.
async fn attempt(agent: &Arc<Agent>, offer: &ReleaseOffer) -> Result<(), String> {
    let updates = &agent.updates;
    if let Some(why) = updates.cannot() {
        return Err(format!("this agent does not update itself ({why:?})"));
    }
    let Some(program) = updates.program.clone() else { return Err("the agent does not know its own program".into()) };
    let pinned = keys::pinned(&agent.dir).map_err(|e| e.to_string())?;
    let manifest = rules::take(offer, &pinned, facts::version(), &facts::target()).map_err(|e| e.to_string())?;
    tracing::info!(version = manifest.version, "a release of the agent is offered and rightly signed");
    updates.set_phase(UpdatePhase::Fetching);
    let part = fetched(agent, &manifest).await?;
    updates.set_phase(UpdatePhase::Waiting);
    let closed = Closed::when_quiet(agent).await;
    updates.set_phase(UpdatePhase::Installing);
    install(agent, &program, &manifest, &part).await?;
    // Kept until the process ends: a job that began now would be cut off.
    std::mem::forget(closed);
    Ok(())
}

/// The file in the state folder, whole and the one that was signed.
async fn fetched(agent: &Agent, manifest: &Manifest) -> Result<PathBuf, String> {
    let folder = agent.dir.file(FOLDER);
    make_private_dir(&folder).map_err(|e| e.to_string())?;
    let part = folder.join(&manifest.sha256);
    sweep(&folder, &part);
    let mut wrong = String::new();
    for _ in 0..FETCHES {
        fetch(agent, manifest, &part).await;
        match checked(&part, manifest).await {
            Ok(()) => return Ok(part),
            Err(e) => wrong = e,
        }
        let _ = fs::remove_file(&part);
    }
    Err(wrong)
}

/// Removes what was fetched of others.
fn sweep(folder: &Path, keep: &Path) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten().filter(|e| e.path() != keep) {
        let _ = fs::remove_file(entry.path());
    }
}

async fn checked(file: &Path, manifest: &Manifest) -> Result<(), String> {
    let (file, manifest) = (file.to_owned(), manifest.clone());
    let check = move || {
        let (size, sha256) = File::open(file).and_then(sha256_of).map_err(|e| e.to_string())?;
        manifest.matches(size, &sha256).map_err(|e| e.to_string())
    };
    tokio::task::spawn_blocking(check).await.map_err(|e| e.to_string())?
}

fn length(file: &Path) -> u64 {
    file.metadata().map_or(0, |m| m.len())
}

/// Fetches until the file has its size, however often the line breaks.
async fn fetch(agent: &Agent, manifest: &Manifest, part: &Path) {
    let mut backoff = Backoff::default();
    while length(part) < manifest.size {
        if let Some(missing) = no_room(part, manifest.size) {
            agent.updates.set_trouble(Some(missing));
            sleep(FULL).await;
            continue;
        }
        let before = length(part);
        let Err(error) = fetch_once(agent, manifest, part).await else { continue };
        tracing::warn!(%error, "a release cannot be fetched now; it is tried again from where it broke off");
        agent.updates.set_trouble(Some(format!("it cannot be fetched now: {error}")));
        if length(part) > before {
            backoff.reset();
        }
        let told = if let ClientError::Problem(r) = &error { r.retry_after } else { None };
        sleep(backoff.next_wait() + told.unwrap_or(Duration::from_secs(1))).await;
    }
    agent.updates.set_trouble(None);
}

fn no_room(part: &Path, size: u64) -> Option<String> {
    let free = space::of(part.parent()?)?.free;
    // The copy beside the program may lie on the same disk.
    let needed = 2 * size + ROOM;
    (free < needed).then(|| format!("{} MiB have to be free on the disk of the state folder", needed / (1024 * 1024)))
}

async fn fetch_once(agent: &Agent, manifest: &Manifest, part: &Path) -> Result<(), ClientError> {
    let unwritable = |e: io::Error| ClientError::Setup(format!("the release cannot be written: {e}"));
    let open = || File::options().create(true).truncate(false).write(true).open(part);
    let mut file = open().map_err(unwritable)?;
    let from = length(part);
    let most = manifest.size;
    let mut sink = |at: u64, bytes: &[u8]| {
        if at == 0 && from > 0 {
            file.set_len(0)?;
        }
        if at + bytes.len() as u64 > most {
            return Err(io::Error::other("the server sends more than was signed"));
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(bytes)
    };
    let done = agent.client.fetch_release(&manifest.version, &manifest.target, from, &mut sink).await;
    file.sync_all().map_err(unwritable)?;
    done?;
    if length(part) < most {
        return Err(ClientError::Cut("the release ended early".into()));
    }
    Ok(())
}

/// Puts the file beside the program, tries it, and swaps. The intent is on the disk before the swap.
async fn install(agent: &Agent, program: &Program, manifest: &Manifest, part: &Path) -> Result<(), String> {
    let result = async {
        let fresh = program.stage(part).map_err(|e| format!("it cannot be put beside the program: {e}"))?;
        checked(&fresh, manifest).await?;
        check::try_out(&fresh, &agent.dir, &manifest.version).await?;
        let step = Step::swapping(facts::version(), &manifest.version);
        let record = Record { step: Some(step), failed: None };
        record.save(&agent.dir).map_err(|e| e.to_string())?;
        program.swap().map_err(|e| format!("the program cannot be replaced: {e}"))
    }
    .await;
    match &result {
        Ok(()) => tracing::info!(version = manifest.version, "the new version of the agent is in place and is started"),
        Err(_) => program.unstage(),
    }
    let _ = fs::remove_file(part);
    result
}
