//! Bringing files back. Before restic starts the agent looks where they would really land, whether this host allows that, whether it can
//! be written to and has room, and that no other restore works there. What restic says afterwards is counted; what it could not do decides
//! how the job ends, because its own summary does not tell.

use super::{Repository, Work, worked};
use crate::place::{self, Claim, Unusable};
use crate::report::Done;
use crate::restic::argv::{Operation, Restore};
use crate::restic::command::Command;
use crate::restic::gather::Gathered;
use crate::restic::judge::Verdict;
use crate::restic::needs::Ability;
use crate::restic::pattern;
use restic_manager_shared::restic::restore::Restored;
use restic_manager_shared::wire::job::{CauseCode, End, ItemError, MAX_ITEM_ERRORS};
use restic_manager_shared::wire::operation::Outcome;
use restic_manager_shared::wire::progress::LogLevel;
use restic_manager_shared::wire::restore::{Overwrite, RestoreReport, RestoreTarget};
use std::path::{Path, PathBuf};

/// Old versions take paths as arguments, of which a system allows only so many bytes.
const ARGUMENTS: usize = 512 * 1024;
/// What a file system needs besides the files themselves.
const SPARE: u64 = 1024 * 1024;

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) snapshot: &'a str,
    pub(super) paths: &'a [String],
    pub(super) target: &'a RestoreTarget,
    pub(super) overwrite: Overwrite,
    pub(super) delete: bool,
    pub(super) verify: bool,
    pub(super) dry_run: bool,
}

/// Where it goes.
struct Landing {
    /// What restic is told.
    target: PathBuf,
    /// The places that are written to.
    places: Vec<PathBuf>,
}

impl From<Unusable> for Verdict {
    fn from(unusable: Unusable) -> Self {
        Self::failed(CauseCode::TargetUnusable, unusable.to_string())
    }
}

impl Work<'_> {
    pub(super) async fn restore(&self, r: &Repository, wanted: &Wanted<'_>) -> Done {
        // The top is everything.
        let whole = wanted.paths.iter().any(|p| p.trim_matches('/').is_empty());
        let wanted = &Wanted { paths: if whole { &[] } else { wanted.paths }, ..*wanted };
        match self.ready(r, wanted).await {
            Ok((landing, free, _claim)) => self.bring_back(r, wanted, &landing, free).await,
            Err(verdict) => self.failed(verdict),
        }
    }

    /// Everything that can be known before the start.
    async fn ready(
        &self,
        r: &Repository,
        wanted: &Wanted<'_>,
    ) -> Result<(Landing, Option<u64>, Option<Claim>), Verdict> {
        let operation = Operation::Restore(arguments(wanted, wanted.paths, Path::new("/")));
        if let Some(lack) = operation.lacks(self.restic.version) {
            return Err(Verdict::failed(CauseCode::ResticTooOld, lack.lack(self.restic.version)));
        }
        let landing = self.landing(r, wanted).await?;
        for place in &landing.places {
            self.policy.allow_place(place).map_err(|e| Verdict::failed(CauseCode::PolicyForbids, e.to_string()))?;
            place::writable(place.parent().filter(|_| !place.is_dir()).unwrap_or(place))?;
        }
        self.spares_the_agent(r, wanted, &landing).await?;
        self.may_be_overwritten(wanted, &landing)?;
        let claim = if wanted.dry_run { None } else { Some(self.agent.places.claim(landing.places.clone())?) };
        let free = place::free_bytes(&landing.target);
        if let (Some(free), false) = (free, wanted.dry_run) {
            self.fits(r, wanted, &landing, free).await?;
        }
        Ok((landing, free, claim))
    }

    async fn landing(&self, r: &Repository, wanted: &Wanted<'_>) -> Result<Landing, Verdict> {
        let (target, in_place) = match wanted.target {
            RestoreTarget::Original if cfg!(windows) => {
                let message = "restic on Windows restores below a folder; name one, and move what is needed from there";
                return Err(Verdict::failed(CauseCode::TargetUnusable, message));
            }
            RestoreTarget::Original => (PathBuf::from("/"), true),
            RestoreTarget::Folder { path } => (place::real(&place::exact(path)?)?, false),
        };
        let everything = if wanted.paths.is_empty() { self.covered(r, wanted.snapshot).await? } else { Vec::new() };
        let mut places = Vec::new();
        for path in wanted.paths.iter().chain(&everything) {
            let lands = place::below(&target, path)?;
            // restic would put a folder in the place of a link on the way, or, before 0.17, go through it.
            place::no_link_between(&target, &lands)?;
            places.push(lands);
        }
        if places.is_empty() || !in_place {
            places = vec![target.clone()];
        }
        places.sort();
        // A place around another stands for both.
        places.dedup_by(|later, earlier| place::is_within(later, earlier));
        Ok(Landing { target, places })
    }

    /// The paths that a snapshot covers, as they are in it.
    async fn covered(&self, r: &Repository, snapshot: &str) -> Result<Vec<String>, Verdict> {
        let ids = [snapshot.to_owned()];
        let mut run = self.run(r, Operation::Snapshots { ids: &ids, all_hosts: true }).await?;
        let done = self.done(&run);
        let Gathered::Snapshots(list) = run.transcript.take_gathered() else { return Ok(Vec::new()) };
        if !worked(&done) {
            return Err(done.verdict);
        }
        let found = list.records.into_iter().find(|s| s.id == snapshot);
        let found = found.ok_or_else(|| Verdict::failed(CauseCode::SnapshotMissing, "the snapshot is not there"))?;
        Ok(found.paths.iter().map(|p| place::in_snapshot(p)).collect())
    }

    /// The agent's own folder holds what this host allows: nothing that comes from a repository may replace it.
    async fn spares_the_agent(&self, r: &Repository, wanted: &Wanted<'_>, landing: &Landing) -> Result<(), Verdict> {
        let own = self.agent.dir.root();
        let own = own.canonicalize().unwrap_or_else(|_| own.to_owned());
        if landing.places.iter().any(|p| place::is_within(p, &own)) {
            return Err(Unusable::Own(own).into());
        }
        let is_around = landing.places.iter().any(|p| place::is_within(&own, p));
        let Some(inside) = own.strip_prefix(&landing.target).ok().filter(|_| is_around) else {
            return Ok(());
        };
        let path = format!("/{}", inside.to_string_lossy());
        // What the snapshot does not have would be removed.
        if wanted.delete {
            return Err(Unusable::Own(own).into());
        }
        let mut run = self.run(r, Operation::Ls { snapshot: wanted.snapshot, path: &path, recursive: false }).await?;
        let done = self.done(&run);
        let Gathered::Listing(listing) = run.transcript.take_gathered() else { return Ok(()) };
        if !worked(&done) {
            return Err(done.verdict);
        }
        if listing.entries.is_empty() { Ok(()) } else { Err(Unusable::Own(own).into()) }
    }

    /// A restic that only knows how to overwrite may be used where nothing is, when nothing may be overwritten.
    fn may_be_overwritten(&self, wanted: &Wanted<'_>, landing: &Landing) -> Result<(), Verdict> {
        if Ability::RestorePlans.is_in(self.restic.version) || wanted.overwrite != Overwrite::Never {
            return Ok(());
        }
        let empty = |folder: &Path| match std::fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_none(),
            Err(e) => e.kind() == std::io::ErrorKind::NotFound,
        };
        if matches!(wanted.target, RestoreTarget::Folder { .. }) && empty(&landing.target) {
            return Ok(());
        }
        let lack = Ability::RestorePlans.lack(self.restic.version);
        let message = format!("{lack}. Without it, what may overwrite nothing can go to an empty folder only");
        Err(Verdict::failed(CauseCode::ResticTooOld, message))
    }

    /// Whether there is room for what would be written, as far as this restic tells before.
    async fn fits(&self, r: &Repository, wanted: &Wanted<'_>, landing: &Landing, free: u64) -> Result<(), Verdict> {
        if !Ability::RestorePlans.is_in(self.restic.version) {
            return Ok(());
        }
        self.say(LogLevel::Info, "looking how much would be written");
        let ask = Restore { dry_run: true, verify: false, ..arguments(wanted, wanted.paths, &landing.target) };
        let mut run = self.run(r, Operation::Restore(ask)).await?;
        let done = self.done(&run);
        if !worked(&done) {
            return Err(done.verdict);
        }
        let Gathered::Restored(plan) = run.transcript.take_gathered() else { return Ok(()) };
        nothing_matched(wanted, &plan)?;
        if plan.bytes.saturating_add(SPARE) <= free {
            return Ok(());
        }
        let message =
            format!("{} bytes would be written, and {} has {free} bytes free", plan.bytes, landing.target.display());
        Err(Verdict::failed(CauseCode::TargetFull, message))
    }

    async fn bring_back(&self, r: &Repository, wanted: &Wanted<'_>, landing: &Landing, free: Option<u64>) -> Done {
        let plans = Ability::RestorePlans.is_in(self.restic.version);
        if let Some(loose) = wanted.paths.iter().find(|p| pattern::is_loose(p)) {
            let text = format!(
                "{loose:?} cannot be named to restic exactly; another name that differs only in that may come back too"
            );
            self.say(LogLevel::Warning, &text);
        }
        let mut whole: Option<(Done, Restored)> = None;
        for paths in portions(wanted.paths, if plans { usize::MAX } else { ARGUMENTS }) {
            let ask = arguments(wanted, paths, &landing.target);
            let mut run = match self.run(r, Operation::Restore(ask)).await {
                Ok(run) => run,
                Err(verdict) => return self.failed(verdict),
            };
            let done = judged(self.done(&run), run.transcript.lacking(), run.transcript.items().1);
            let Gathered::Restored(heard) = run.transcript.take_gathered() else { return done };
            let goes_on = matches!(done.verdict.end, End::Succeeded | End::Warning);
            whole = Some(match whole {
                Some((before, _)) if goes_on => (later(before, done), *heard),
                Some(_) | None => (done, *heard),
            });
            if !goes_on {
                break;
            }
        }
        let Some((mut done, heard)) = whole else { return self.missing() };
        if let (true, Err(verdict)) = (worked(&done), nothing_matched(wanted, &heard)) {
            done.verdict = verdict;
            return done;
        }
        if !wanted.dry_run {
            not_there(&mut done, wanted, landing);
        }
        done.outcome = Some(Outcome::Restore(account(wanted, landing, free, plans, &done, heard)));
        done
    }
}

fn arguments<'a>(wanted: &Wanted<'a>, paths: &'a [String], target: &'a Path) -> Restore<'a> {
    Restore {
        snapshot: wanted.snapshot,
        paths,
        target,
        overwrite: wanted.overwrite,
        delete: wanted.delete,
        verify: wanted.verify,
        dry_run: wanted.dry_run,
    }
}

/// Paths in portions of so many bytes; one of none for everything.
fn portions(paths: &[String], bytes: usize) -> Vec<&[String]> {
    let mut portions = Vec::new();
    let (mut from, mut size) = (0, 0);
    for (n, path) in paths.iter().enumerate() {
        let cost = path.len().saturating_add(32);
        if n > from && size + cost > bytes {
            portions.extend(paths.get(from..n));
            (from, size) = (n, 0);
        }
        size += cost;
    }
    portions.extend(paths.get(from..));
    portions
}

/// An end by what lacks its content and what lacks only its owner or the like.
fn judged(mut done: Done, lacking: u64, items: u64) -> Done {
    let code = done.verdict.code();
    let by_items = done.verdict.end == End::Failed
        && items > 0
        && !matches!(code, Some(CauseCode::RepositoryDamaged | CauseCode::AgentRestarted));
    if !by_items {
        return done;
    }
    let full = done.items.iter().any(|i| i.message.contains("no space left") || i.message.contains("not enough space"));
    done.verdict = if full {
        let message =
            format!("there was not enough room: {lacking} entries lack content; {}", Command::Restore.when_stopped());
        Verdict::failed(CauseCode::TargetFull, message)
    } else if lacking > 0 {
        Verdict::failed(CauseCode::RestoreIncomplete, format!("{lacking} errors: some of it was not restored"))
    } else {
        let message =
            format!("the content is there, but of {items} entries the owner, mode or attributes could not be set");
        Verdict::because(End::Warning, CauseCode::RestoreIncomplete, message)
    };
    done
}

/// Two portions as one: the worse end counts.
fn later(before: Done, mut now: Done) -> Done {
    now.items.extend(before.items);
    let excess = now.items.len().saturating_sub(MAX_ITEM_ERRORS);
    now.items.truncate(MAX_ITEM_ERRORS);
    now.items_omitted += before.items_omitted + excess as u64;
    if before.verdict.end != End::Succeeded && now.verdict.end == End::Succeeded {
        now.verdict = before.verdict;
    }
    now
}

/// To restic it is no error when nothing is as asked for. To the person who asked it is.
fn nothing_matched(wanted: &Wanted<'_>, heard: &Restored) -> Result<(), Verdict> {
    let nothing = heard.summary && heard.restored + heard.kept + heard.created + heard.overwritten == 0;
    if !nothing || wanted.paths.is_empty() {
        return Ok(());
    }
    let first = wanted.paths.first().map_or("", String::as_str);
    Err(Verdict::failed(CauseCode::PathMissing, format!("nothing of what was asked for is in the snapshot: {first:?}")))
}

/// Adds what was asked for by name and is not at the target now.
fn not_there(done: &mut Done, wanted: &Wanted<'_>, landing: &Landing) {
    if !worked(done) {
        return;
    }
    let absent = |path: &&String| {
        let lands = place::below(&landing.target, path);
        !pattern::is_loose(path) && lands.is_ok_and(|p| p.symlink_metadata().is_err())
    };
    let absent: Vec<&String> = wanted.paths.iter().filter(absent).collect();
    if absent.is_empty() {
        return;
    }
    let message = format!("{} of {} paths are not in the snapshot", absent.len(), wanted.paths.len());
    done.verdict = if absent.len() == wanted.paths.len() {
        Verdict::failed(CauseCode::PathMissing, message)
    } else {
        Verdict::because(End::Warning, CauseCode::RestoreIncomplete, message)
    };
    let room = MAX_ITEM_ERRORS.saturating_sub(done.items.len());
    done.items_omitted += absent.len().saturating_sub(room) as u64;
    let item = |path: &String| ItemError { item: path.clone(), message: "not in the snapshot".into() };
    done.items.extend(absent.into_iter().take(room).map(item));
}

fn account(
    wanted: &Wanted<'_>,
    landing: &Landing,
    free_bytes: Option<u64>,
    plans: bool,
    done: &Done,
    heard: Restored,
) -> RestoreReport {
    let ended_well = matches!(done.verdict.end, End::Succeeded | End::Warning);
    let counted = |n: u64| plans.then_some(n);
    let read_back = wanted.verify && !wanted.dry_run && ended_well;
    let (examples, examples_omitted, new_examples) = if wanted.dry_run {
        (heard.examples, heard.examples_omitted, heard.new_examples)
    } else {
        (Vec::new(), 0, Vec::new())
    };
    RestoreReport {
        dry_run: wanted.dry_run,
        target: landing.target.display().to_string(),
        created: counted(heard.created),
        overwritten: counted(heard.overwritten),
        kept: counted(heard.kept),
        deleted: heard.deleted,
        restored: heard.restored.max(heard.created + heard.overwritten),
        bytes: heard.bytes,
        verified: if read_back { heard.verified.or(counted(heard.written_files)) } else { None },
        free_bytes,
        examples,
        examples_omitted,
        new_examples,
        partial: !wanted.dry_run && !ended_well,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_keep_all_paths_in_order() {
        let paths: Vec<String> = (0..10).map(|n| format!("/{n}")).collect();
        let split = portions(&paths, 100);
        assert!(split.len() > 1);
        assert_eq!(split.concat(), paths);
        assert_eq!(portions(&[], 100), [&[] as &[String]], "nothing named is everything, once");
        assert_eq!(portions(&paths, usize::MAX).len(), 1);
    }

    #[test]
    fn what_lacks_only_its_owner_is_a_warning() {
        let done = |message: &str| {
            let mut done = Done::from(Verdict::failed(CauseCode::ResticFailed, "There were 2 errors"));
            done.items = vec![ItemError { item: "/a".into(), message: message.into() }];
            done
        };
        for (message, lacking, end, code) in [
            ("lchown /t/a: operation not permitted", 0, End::Warning, CauseCode::RestoreIncomplete),
            ("open /t/a: permission denied", 2, End::Failed, CauseCode::RestoreIncomplete),
            ("write /t/a: no space left on device", 2, End::Failed, CauseCode::TargetFull),
        ] {
            let judged = judged(done(message), lacking, 2);
            assert_eq!((judged.verdict.end, judged.verdict.code()), (end, Some(code)), "{message}");
        }
    }
}
