//! What came of an operation, for people: a sentence, figures, a table, and what to do. What restic reported is decided on the agent, and how it
//! is said in `words::outcome`; here it is only put together.

pub mod restored;

use crate::domain::job::Job;
use crate::words::outcome::{self as words, advice, figure, heading};
use crate::words::{Moment, number, size};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{
    Change, CheckReport, DeleteVerdict, DiffSide, Entry, KeyRecord, LockRecord, Outcome, ProbeReport, PruneReport,
    Replaced, StatsReport,
};
use serde::Serialize;

/// Ids that a link carries at most: an address has its limits.
const LINKED: usize = 100;

/// What came of an operation.
#[derive(Debug, Default, Serialize)]
pub struct Told {
    /// The icon's name.
    pub icon: &'static str,
    /// The colour's class.
    pub class: &'static str,
    /// The answer in a sentence.
    pub lead: String,
    /// What it means.
    pub meaning: String,
    /// Figures.
    pub figures: Vec<(&'static str, String)>,
    /// Lists.
    pub tables: Vec<Table>,
    /// Lines in restic's or the agent's words.
    pub said: Vec<String>,
    /// What to do, and where.
    pub steps: Vec<Step>,
}

/// A list.
#[derive(Debug, Serialize)]
pub struct Table {
    /// What it lists.
    pub title: String,
    /// Its columns.
    pub columns: Vec<&'static str>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
    /// How many more there were.
    pub omitted: u64,
}

/// Something to do.
#[derive(Debug, Serialize)]
pub struct Step {
    /// What.
    pub text: String,
    /// Where.
    pub href: Option<String>,
    /// What the link says.
    pub link: &'static str,
}

fn good(lead: String) -> Told {
    Told { icon: "ok", class: "ok", lead, ..Told::default() }
}

fn table(title: &str, columns: &[&'static str], rows: Vec<Vec<String>>, omitted: u64) -> Vec<Table> {
    if rows.is_empty() {
        return vec![];
    }
    vec![Table { title: title.to_owned(), columns: columns.to_vec(), rows, omitted }]
}

/// What came of a job, if it has an outcome to tell.
#[must_use]
pub fn tell(job: &Job, now: Timestamp) -> Option<Told> {
    let told = match job.outcome.as_ref()? {
        Outcome::Snapshots { count } => good(words::snapshots(*count)),
        Outcome::Ls { entries, omitted } => Told {
            tables: table(heading::FILES_AND_FOLDERS, &heading::ENTRIES, rows(entries, now), *omitted),
            ..good(words::listed(entries.len() as u64 + omitted))
        },
        Outcome::Find { entries, omitted } => found(entries, *omitted, now),
        Outcome::Stats(stats) => counted(stats),
        Outcome::Diff { changes, omitted, changed_files, added, removed } => {
            differ(changes, *omitted, *changed_files, added, removed)
        }
        Outcome::Check(check) => checked(check, job.repository_id),
        Outcome::Forget { dry_run, removed, left } => forgotten(*dry_run, removed, left),
        Outcome::Prune(prune) => pruned(prune),
        Outcome::Locks { removed, left } => locks(removed, left, now),
        Outcome::Copy { copied, skipped } => Told {
            meaning: if *skipped > 0 { words::there_already(*skipped) } else { String::new() },
            ..good(words::copied(*copied))
        },
        Outcome::Tag { replaced } => {
            Told { icon: "tag", tables: pairs(replaced), ..good(words::tagged(replaced.len() as u64)) }
        }
        Outcome::Rewrite { dry_run, replaced, forgotten } => rewritten(*dry_run, replaced, *forgotten),
        Outcome::Repair { dry_run, replaced } => Told {
            icon: "wrench",
            tables: pairs(replaced),
            meaning: words::REPAIRED_THEN.into(),
            ..good(words::repaired(replaced.len() as u64, *dry_run))
        },
        Outcome::Keys { keys, added, removed } => key_list(keys, added.as_deref(), removed.as_deref()),
        Outcome::Cache { said } => Told { said: said.clone(), ..good(words::CACHE.into()) },
        Outcome::Version { version } => good(words::version(version)),
        Outcome::Probe(probe) => probed(probe),
        Outcome::Account { user } => good(words::account(user)),
        Outcome::Restore(report) => restored::restored(report),
        Outcome::Archive { path, bytes } => Told {
            figures: vec![(figure::FILE, path.clone()), (figure::SIZE, size(*bytes))],
            ..good(words::ARCHIVE.into())
        },
        Outcome::Drill(report) => restored::drilled(report),
        Outcome::Unknown => Told {
            icon: "info",
            class: "mute",
            lead: words::UNKNOWN.0.into(),
            meaning: words::UNKNOWN.1.into(),
            ..Told::default()
        },
    };
    Some(told)
}

fn rows(entries: &[Entry], now: Timestamp) -> Vec<Vec<String>> {
    let row = |e: &Entry| {
        vec![
            e.path.clone(),
            e.kind.clone(),
            e.size.map(size).unwrap_or_default(),
            e.mtime.map(|at| Moment::new(at, now).full).unwrap_or_default(),
            e.permissions.clone(),
        ]
    };
    entries.iter().map(row).collect()
}

fn found(entries: &[Entry], omitted: u64, now: Timestamp) -> Told {
    if entries.is_empty() {
        return Told { icon: "search", class: "mute", lead: words::NOTHING_FOUND.into(), ..Told::default() };
    }
    let row = |e: &Entry| {
        let short: String = e.snapshot.as_deref().unwrap_or_default().chars().take(8).collect();
        let at = e.mtime.map(|at| Moment::new(at, now).full).unwrap_or_default();
        vec![e.path.clone(), short, e.size.map(size).unwrap_or_default(), at]
    };
    let rows = entries.iter().map(row).collect();
    Told {
        tables: table(heading::FOUND, &heading::FINDS, rows, omitted),
        ..good(words::found(entries.len() as u64 + omitted))
    }
}

fn counted(stats: &StatsReport) -> Told {
    let mut figures = vec![(figure::SIZE, size(stats.total_size))];
    figures.extend(stats.total_uncompressed_size.map(|n| (figure::UNCOMPRESSED, size(n))));
    figures.extend(stats.compression_ratio.map(|n| (figure::COMPRESSION, format!("{n:.2}\u{d7}"))));
    figures.extend(stats.compression_space_saving.map(|n| (figure::SAVED, format!("{n:.0} %"))));
    figures.extend(stats.total_file_count.map(|n| (figure::FILES_AND_FOLDERS, number(n))));
    figures.extend(stats.total_blob_count.map(|n| (figure::BLOBS, number(n))));
    figures.extend(stats.snapshots_count.map(|n| (figure::SNAPSHOTS, number(n))));
    Told { icon: "gauge", figures, ..good(words::counted(stats.mode, stats.total_size)) }
}

fn differ(changes: &[Change], omitted: u64, changed: u64, added: &DiffSide, removed: &DiffSide) -> Told {
    let rows = changes.iter().map(|c| vec![c.path.clone(), words::change(&c.modifier)]).collect();
    Told {
        icon: "diff",
        figures: vec![
            (figure::CHANGED_FILES, number(changed)),
            (figure::ONLY_NEWER, words::side(added)),
            (figure::ONLY_OLDER, words::side(removed)),
        ],
        tables: table(heading::DIFFERENCES, &heading::CHANGES, rows, omitted),
        ..good(words::differences(changes.len() as u64 + omitted))
    }
}

fn operation(repository: Option<RepositoryId>, kind: &str, field: &str, ids: &[String]) -> Option<String> {
    let ids: Vec<&str> = ids.iter().take(LINKED).map(String::as_str).collect();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("kind", kind);
    if !ids.is_empty() {
        query.append_pair(field, &ids.join("\n"));
    }
    repository.map(|id| format!("/repositories/{id}/operations?{}", query.finish()))
}

fn step((text, link): (&str, &'static str), href: Option<String>) -> Step {
    Step { text: text.to_owned(), href, link }
}

fn one_id(ids: &[String]) -> Vec<Vec<String>> {
    ids.iter().map(|id| vec![id.clone()]).collect()
}

fn checked(check: &CheckReport, repository: Option<RepositoryId>) -> Told {
    let figures = vec![(figure::TESTED, words::tested(check.read_data)), (figure::ERRORS, number(check.errors))];
    let lead = words::errors(check.errors);
    if check.errors == 0 {
        let prune = || step(advice::PRUNE, operation(repository, "prune", "", &[]));
        let steps = check.suggest_prune.then(prune).into_iter().collect();
        return Told { figures, steps, said: check.messages.clone(), ..good(lead) };
    }
    let mut steps = vec![step(advice::COPY_AWAY, None)];
    if check.suggest_repair_index {
        steps.push(step(advice::REPAIR_INDEX, operation(repository, "repair_index", "", &[])));
    }
    if !check.broken_packs.is_empty() {
        let href = operation(repository, "repair_packs", "packs", &check.broken_packs);
        steps.push(step(advice::REPAIR_PACKS, href));
    }
    let href = operation(repository, "repair_snapshots", "snapshots", &check.broken_snapshots);
    steps.push(step(advice::REPAIR_SNAPSHOTS, href));
    steps.push(step(advice::BACK_UP, None));
    let mut tables = table(heading::TOUCHED, &heading::SNAPSHOT, one_id(&check.broken_snapshots), 0);
    tables.extend(table(heading::PACKS, &heading::PACK, one_id(&check.broken_packs), 0));
    Told {
        icon: "shield-no",
        class: "bad",
        lead,
        meaning: words::touched(check.broken_snapshots.len() as u64),
        figures,
        tables,
        said: check.messages.clone(),
        steps,
    }
}

fn forgotten(dry_run: bool, removed: &[String], left: &[String]) -> Told {
    let title = if dry_run { heading::WOULD_GO } else { heading::REMOVED };
    let mut tables = table(title, &heading::SNAPSHOT, one_id(removed), 0);
    tables.extend(table(heading::STILL_THERE, &heading::SNAPSHOT, one_id(left), 0));
    let meaning = words::forgotten_means(left.len() as u64, dry_run);
    let told = Told { tables, meaning, ..good(words::forgotten(removed.len() as u64, dry_run)) };
    if left.is_empty() { told } else { Told { icon: "warn", class: "warn", ..told } }
}

fn pruned(prune: &PruneReport) -> Told {
    let freed = if prune.dry_run { figure::WOULD_FREE } else { figure::FREED };
    let figures = [
        (freed, prune.total_bytes),
        (figure::IN_PACKS, prune.delete_bytes),
        (figure::REWRITTEN, prune.repack_bytes),
        (figure::FREED_BY_THAT, prune.repack_frees_bytes),
        (figure::REMAINS, prune.remaining_bytes),
        (figure::UNUSED, prune.unused_bytes),
    ];
    let figures = figures.into_iter().filter_map(|(name, n)| Some((name, size(n?)))).collect();
    let meaning = if prune.dry_run { words::DRY.into() } else { String::new() };
    Told { figures, meaning, ..good(words::pruned(prune.total_bytes, prune.dry_run)) }
}

fn locks(removed: &[LockRecord], left: &[LockRecord], now: Timestamp) -> Told {
    let row = |l: &LockRecord| {
        let kind = words::lock_kind(l.exclusive).to_owned();
        vec![l.hostname.clone(), l.pid.to_string(), l.username.clone(), kind, Moment::new(l.time, now).full]
    };
    let mut tables = table(heading::REMOVED, &heading::LOCKS, removed.iter().map(row).collect(), 0);
    tables.extend(table(heading::THERE, &heading::LOCKS, left.iter().map(row).collect(), 0));
    let meaning = if left.is_empty() { "" } else { words::LOCKS_LEFT };
    let lead = words::locks(removed.len() as u64, left.len() as u64);
    Told { icon: "lock", tables, meaning: meaning.into(), ..good(lead) }
}

fn pairs(replaced: &[Replaced]) -> Vec<Table> {
    let rows = replaced.iter().map(|r| vec![r.old.clone(), r.new.clone()]).collect();
    table(heading::REPLACED, &heading::PAIRS, rows, 0)
}

fn rewritten(dry_run: bool, replaced: &[Replaced], forgotten: bool) -> Told {
    let n = replaced.len() as u64;
    let meaning = words::rewritten_means(n, dry_run, forgotten).to_owned();
    Told { icon: "edit", tables: pairs(replaced), meaning, ..good(words::rewritten(n, dry_run)) }
}

fn key_list(keys: &[KeyRecord], added: Option<&str>, removed: Option<&str>) -> Told {
    let row = |k: &KeyRecord| {
        let note = words::key_note(k.current, added == Some(k.id.as_str())).to_owned();
        vec![k.id.clone(), format!("{}@{}", k.username, k.hostname), k.created.clone(), note]
    };
    let lead = words::keys(keys.len() as u64, added, removed);
    let rows = keys.iter().map(row).collect();
    Told { icon: "key", tables: table(heading::KEYS, &heading::KEY, rows, 0), ..good(lead) }
}

fn probed(probe: &ProbeReport) -> Told {
    let (icon, class) = match (probe.exists, probe.password_ok, probe.can_delete) {
        (false, ..) => ("never", "warn"),
        (true, Some(false), _) => ("key", "bad"),
        (true, _, DeleteVerdict::AppendOnly) => ("shield", "ok"),
        (true, _, DeleteVerdict::CanDelete) => ("shield-no", "warn"),
        (true, _, DeleteVerdict::CannotTell) => ("warn", "warn"),
    };
    Told {
        icon,
        class,
        lead: words::probed(probe).into(),
        meaning: words::probed_means(probe.can_delete).into(),
        figures: vec![
            (figure::REPOSITORY, words::exists(probe.exists).to_owned()),
            (figure::PASSWORD_FITS, words::fits(probe.password_ok).to_owned()),
            (figure::CAN_DELETE, words::deletes(probe.can_delete).to_owned()),
        ],
        said: probe.evidence.clone(),
        ..Told::default()
    }
}
