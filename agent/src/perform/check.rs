//! Testing that a repository is sound, and, when it is not, finding out which snapshots suffer.

use super::{Repository, Work, worked};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use restic_manager_shared::restic::check::Findings;
use restic_manager_shared::wire::job::CauseCode;
use restic_manager_shared::wire::operation::{CheckReport, Outcome, ReadData};
use restic_manager_shared::wire::progress::LogLevel;
use std::collections::BTreeSet;

/// Looking through all snapshots for more packs than this helps nobody: then most of them suffer.
const MOST_PACKS: usize = 50;
/// Each snapshot that is looked at for itself costs a start of restic.
const MOST_LOOKS: usize = 200;
/// The most snapshots that are named.
const MOST_SNAPSHOTS: usize = 1_000;

impl Work<'_> {
    pub(super) async fn check(&self, r: &Repository, read_data: ReadData, limit_download_kib: Option<u32>) -> Done {
        let mut run = match self.run(r, Operation::Check { read_data, limit_download_kib }).await {
            Ok(run) => run,
            Err(verdict) => return self.failed(verdict),
        };
        let mut done = self.done(&run);
        let damaged = done.verdict.code() == Some(CauseCode::RepositoryDamaged);
        let Gathered::Check(findings) = run.transcript.take_gathered() else { return done };
        if !worked(&done) && !damaged {
            return done;
        }
        let broken_snapshots = if damaged { self.touched(r, &findings).await } else { BTreeSet::new() };
        if let (true, Some(cause)) = (damaged, &mut done.verdict.cause) {
            cause.message = in_words(&findings, &broken_snapshots);
            self.say(LogLevel::Error, &cause.message);
        }
        done.outcome = Some(Outcome::Check(CheckReport {
            read_data,
            // What it says besides of a sound repository is advice.
            errors: if damaged { findings.errors.max(1) } else { 0 },
            broken_packs: findings.damaged_packs.union(&findings.missing_packs).cloned().collect(),
            broken_snapshots: broken_snapshots.into_iter().take(MOST_SNAPSHOTS).collect(),
            suggest_repair_index: findings.suggest_repair_index,
            suggest_prune: findings.suggest_prune,
            messages: findings.messages,
        }));
        done
    }

    /// Snapshots that need a pack that is damaged or missing, or that cannot be read themselves. As far as it can be found out: the
    /// repository is damaged, so looking may fail too.
    async fn touched(&self, repository: &Repository, findings: &Findings) -> BTreeSet<String> {
        let mut touched = BTreeSet::new();
        self.say(LogLevel::Info, "looking which snapshots need what is broken");
        self.add_unreadable(&mut touched, repository).await;
        let packs: Vec<String> =
            findings.damaged_packs.union(&findings.missing_packs).take(MOST_PACKS).cloned().collect();
        if !packs.is_empty() {
            self.add(&mut touched, repository, Operation::FindPacks { packs: &packs }).await;
        }
        if !findings.snapshots.is_empty() {
            match self.ids(repository).await {
                Ok(ids) => touched
                    .extend(ids.into_iter().filter(|id| findings.snapshots.iter().any(|start| id.starts_with(start)))),
                Err(verdict) => self.say_why(&verdict),
            }
        }
        touched
    }

    /// By packs only files are found: a snapshot whose folders are broken hides what it needs. One look over all says whether there are such;
    /// restic looks at what they share only once, so then each is looked at for itself.
    async fn add_unreadable(&self, touched: &mut BTreeSet<String>, repository: &Repository) {
        self.add(touched, repository, Operation::FindUnreadable { snapshot: None }).await;
        if touched.is_empty() {
            return;
        }
        let ids = match self.ids(repository).await {
            Ok(ids) => ids,
            Err(verdict) => return self.say_why(&verdict),
        };
        let left: Vec<String> = ids.into_iter().filter(|id| !touched.contains(id)).collect();
        if left.len() > MOST_LOOKS {
            let text = format!("{} more snapshots may be touched; {MOST_LOOKS} of them are looked at", left.len());
            self.say(LogLevel::Warning, &text);
        }
        for id in left.iter().take(MOST_LOOKS) {
            if self.stop.borrow().is_some() {
                return;
            }
            self.add(touched, repository, Operation::FindUnreadable { snapshot: Some(id) }).await;
        }
    }

    async fn add(&self, touched: &mut BTreeSet<String>, repository: &Repository, operation: Operation<'_>) {
        match self.run(repository, operation).await {
            Ok(mut run) => {
                if let Gathered::Touched(ids) = run.transcript.take_gathered() {
                    touched.extend(ids);
                }
            }
            Err(verdict) => self.say_why(&verdict),
        }
    }

    fn say_why(&self, verdict: &crate::restic::judge::Verdict) {
        let why = verdict.cause.as_ref().map_or("", |c| c.message.as_str());
        self.say(LogLevel::Warning, &format!("it cannot be found out which snapshots suffer: {why}"));
    }
}

fn in_words(findings: &Findings, snapshots: &BTreeSet<String>) -> String {
    let packs = findings.damaged_packs.len() + findings.missing_packs.len();
    let mut words = format!("the repository is damaged: {} errors", findings.errors.max(1));
    if packs > 0 {
        words.push_str(&format!(", {packs} packs damaged or missing"));
    }
    if !snapshots.is_empty() {
        words.push_str(&format!(", {} snapshots touched", snapshots.len()));
    }
    if let Some(first) = findings.messages.first() {
        words.push_str(&format!(". The first: {first}"));
    }
    words
}
