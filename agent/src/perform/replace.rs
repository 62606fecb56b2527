//! Work by which snapshots get new ids: tags, and paths taken out of them. restic often names ids by their first digits, and old versions
//! not at all; whole ids are found by looking what is there before and afterwards.

use super::{Repository, Work, worked};
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::gather::Gathered;
use crate::restic::judge::Verdict;
use restic_manager_shared::restic::replaced::Replacements;
use restic_manager_shared::restic::snapshot::is_whole_id;
use restic_manager_shared::wire::job::{CauseCode, SnapshotRecord};
use restic_manager_shared::wire::operation::{Outcome, Replaced, TagChange};
use std::collections::BTreeSet;

impl Work<'_> {
    pub(super) async fn tag(&self, repository: &Repository, snapshots: &[String], change: &TagChange) -> Done {
        if change.set.is_some() == (!change.add.is_empty() || !change.remove.is_empty()) {
            let message = "tags are either set, or added and removed; neither or both was asked for";
            return self.failed(Verdict::failed(CauseCode::ResticFailed, message));
        }
        let (looked, before) = self.list(repository, snapshots, true).await;
        let Some(before) = before else { return looked };
        let (mut done, said) = self.replacing(repository, Operation::Tag { snapshots, change }).await;
        let Some((said, words)) = said else { return done };
        let replaced = if said.pairs.is_empty() && said.changed > 0 {
            self.pairs_by_look(repository, &before).await
        } else {
            said.pairs
        };
        // A refused removal leaves both the old and the new one, and restic ends with 0.
        if worked(&done) && words.contains("(403)") {
            done.verdict = Verdict::failed(
                CauseCode::RemovalRefused,
                "the storage did not remove the snapshots without the new tags, so they are there twice. Is the credential append-only?",
            );
        }
        done.outcome = Some(Outcome::Tag { replaced });
        done
    }

    pub(super) async fn rewrite(
        &self,
        repository: &Repository,
        snapshots: &[String],
        excludes: &[String],
        forget: bool,
        dry_run: bool,
    ) -> Done {
        if excludes.is_empty() {
            let message = "no pattern was given of what is to go";
            return self.failed(Verdict::failed(CauseCode::ResticFailed, message));
        }
        let operation = Operation::Rewrite { snapshots, excludes, forget, dry_run };
        let (mut done, said) = self.replacing(repository, operation).await;
        if let Some((said, _)) = said {
            let forgotten = forget && !said.pairs.is_empty() && said.removed.len() == said.pairs.len();
            let replaced = self.whole(repository, said, snapshots).await;
            done.outcome = Some(Outcome::Rewrite { dry_run, replaced, forgotten });
        }
        done
    }

    /// Runs it; what it said of new ids and its words, unless it did nothing at all.
    pub(super) async fn replacing(
        &self,
        repository: &Repository,
        operation: Operation<'_>,
    ) -> (Done, Option<(Replacements, String)>) {
        let mut run = match self.run(repository, operation).await {
            Ok(run) => run,
            Err(verdict) => return (self.failed(verdict), None),
        };
        let done = self.done(&run);
        let words = run.transcript.all_words();
        match run.transcript.take_gathered() {
            // Also of a run that failed or was cancelled in the middle: some may have been replaced.
            Gathered::Replaced(said) if worked(&done) || !said.pairs.is_empty() => (done, Some((said, words))),
            _ => (done, None),
        }
    }

    /// Pairs of whole ids. A dry run has no new ones.
    pub(super) async fn whole(&self, repository: &Repository, said: Replacements, old: &[String]) -> Vec<Replaced> {
        if said.pairs.is_empty() {
            let would = said.would.into_iter().map(|old| Replaced { old, new: String::new() }).collect();
            return expand(would, &[], old);
        }
        let there = self.ids(repository).await.unwrap_or_default();
        expand(said.pairs, &there, old)
    }

    /// Which new snapshot is which old one, where restic says only how many there are.
    async fn pairs_by_look(&self, repository: &Repository, before: &[SnapshotRecord]) -> Vec<Replaced> {
        let (_, Some(after)) = self.list(repository, &[], true).await else { return Vec::new() };
        match_up(before, after)
    }
}

/// Beginnings of ids become whole where exactly one id begins so.
fn expand(pairs: Vec<Replaced>, there: &[String], old: &[String]) -> Vec<Replaced> {
    let whole = |start: &str, ids: &[String]| {
        let mut found = ids.iter().filter(|id| !start.is_empty() && id.starts_with(start));
        match (found.next(), found.next()) {
            (Some(id), None) => id.clone(),
            _ => start.to_owned(),
        }
    };
    let one = |p: Replaced| {
        let mut from = whole(&p.old, old);
        if !is_whole_id(&from) {
            from = whole(&p.old, there);
        }
        Replaced { old: from, new: whole(&p.new, there) }
    };
    pairs.into_iter().map(one).collect()
}

/// A snapshot keeps its time, machine and paths under its new id.
fn match_up(before: &[SnapshotRecord], after: Vec<SnapshotRecord>) -> Vec<Replaced> {
    let there: BTreeSet<String> = after.iter().map(|s| s.id.clone()).collect();
    let known: BTreeSet<&str> = before.iter().map(|s| s.id.as_str()).collect();
    let mut fresh: Vec<SnapshotRecord> = after.into_iter().filter(|s| !known.contains(s.id.as_str())).collect();
    let mut pairs = Vec::new();
    for old in before.iter().filter(|s| !there.contains(&s.id)) {
        let same = |s: &SnapshotRecord| s.time == old.time && s.hostname == old.hostname && s.paths == old.paths;
        if let Some(at) = fresh.iter().position(same) {
            pairs.push(Replaced { old: old.id.clone(), new: fresh.remove(at).id });
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::time::Timestamp;

    fn snapshot(n: u8, at: i64) -> SnapshotRecord {
        SnapshotRecord {
            id: format!("{n:064x}"),
            time: Timestamp::from_seconds(at),
            hostname: "h".into(),
            username: None,
            paths: vec!["/srv".into()],
            tags: Vec::new(),
            parent: None,
            summary: None,
        }
    }

    #[test]
    fn old_and_new_are_matched_by_what_stays() {
        let before = [snapshot(1, 10), snapshot(2, 20), snapshot(3, 30)];
        let after = vec![snapshot(4, 20), snapshot(3, 30), snapshot(9, 99), snapshot(5, 10)];
        let pairs: Vec<_> = match_up(&before, after).into_iter().map(|p| (p.old, p.new)).collect();
        let id = |n: u8| format!("{n:064x}");
        assert_eq!(pairs, [(id(1), id(5)), (id(2), id(4))]);
    }

    #[test]
    fn beginnings_become_whole_only_where_they_are_clear() {
        let ids = |list: [&str; 2]| list.map(|s| format!("{s:0<64}")).to_vec();
        let pair = |old: &str, new: &str| Replaced { old: old.into(), new: new.into() };
        let whole = expand(vec![pair("aaaa1111", "bbbb1111")], &ids(["bbbb1111", "cccc"]), &ids(["aaaa1111", "dddd"]));
        assert_eq!(whole, [pair(&format!("{:0<64}", "aaaa1111"), &format!("{:0<64}", "bbbb1111"))]);
        let unclear = expand(vec![pair("aaaa1111", "")], &[], &ids(["aaaa11112", "aaaa11113"]));
        assert_eq!(unclear, [pair("aaaa1111", "")]);
    }
}
