//! What came of an operation, for people: a sentence, figures, a table, and what to do. What restic reported is decided on the agent; here it
//! is only told.

mod restored;

use super::words::{Moment, bytes, count};
use crate::domain::job::Job;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{
    Change, CheckReport, DeleteVerdict, DiffSide, Entry, KeyRecord, LockRecord, Outcome, ProbeReport, PruneReport,
    ReadData, Replaced, StatsMode, StatsReport,
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

#[allow(clippy::cast_precision_loss)] // a size for people
fn size(n: u64) -> String {
    bytes(n as f64)
}

fn number(n: u64) -> String {
    count(i64::try_from(n).unwrap_or(i64::MAX))
}

fn many(n: u64, one: &str, several: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {several}", number(n)) }
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
        Outcome::Snapshots { count } => {
            good(format!("{} in the repository", many(*count, "snapshot is", "snapshots are")))
        }
        Outcome::Ls { entries, omitted } => Told {
            tables: table(
                "Files and folders",
                &["Path", "Kind", "Size", "Changed", "Rights"],
                rows(entries, now),
                *omitted,
            ),
            ..good(format!("{} listed", many(entries.len() as u64 + omitted, "entry", "entries")))
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
            meaning: if *skipped > 0 {
                format!("{} there already.", many(*skipped, "was", "were"))
            } else {
                String::new()
            },
            ..good(format!("{} copied", many(*copied, "snapshot", "snapshots")))
        },
        Outcome::Tag { replaced } => tagged(replaced),
        Outcome::Rewrite { dry_run, replaced, forgotten } => rewritten(*dry_run, replaced, *forgotten),
        Outcome::Repair { dry_run, replaced } => repaired(*dry_run, replaced),
        Outcome::Keys { keys, added, removed } => key_list(keys, added.as_deref(), removed.as_deref()),
        Outcome::Cache { said } => Told { said: said.clone(), ..good("Old caches were looked for".into()) },
        Outcome::Version { version } => good(format!("The host has restic {version}")),
        Outcome::Probe(probe) => probed(probe),
        Outcome::Account { user } => {
            good(format!("The account {user} stands in the storage\u{2019}s file of accounts"))
        }
        Outcome::Restore(report) => restored::restored(report),
        Outcome::Archive { path, bytes } => Told {
            figures: vec![("File", path.clone()), ("Size", size(*bytes))],
            ..good("The archive is on the host".into())
        },
        Outcome::Drill(report) => restored::drilled(report),
        Outcome::Unknown => Told {
            icon: "info",
            class: "mute",
            lead: "The agent reports something that this server does not know".into(),
            meaning: "It is newer than the server. The log below has its words.".into(),
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
        return Told { icon: "search", class: "mute", lead: "Nothing was found".into(), ..Told::default() };
    }
    let row = |e: &Entry| {
        let short: String = e.snapshot.as_deref().unwrap_or_default().chars().take(8).collect();
        let at = e.mtime.map(|at| Moment::new(at, now).full).unwrap_or_default();
        vec![e.path.clone(), short, e.size.map(size).unwrap_or_default(), at]
    };
    let rows = entries.iter().map(row).collect();
    Told {
        tables: table("Found", &["Path", "Snapshot", "Size", "Changed"], rows, omitted),
        ..good(format!("{} found", many(entries.len() as u64 + omitted, "entry was", "entries were")))
    }
}

fn counted(stats: &StatsReport) -> Told {
    let what = match stats.mode {
        StatsMode::RestoreSize => "A restore would write",
        StatsMode::FilesByContents => "Files, equal ones once, come to",
        StatsMode::RawData => "Stored are",
        StatsMode::BlobsPerFile => "Blobs, for each file, come to",
    };
    let mut figures = vec![("Size", size(stats.total_size))];
    figures.extend(stats.total_uncompressed_size.map(|n| ("Before compression", size(n))));
    figures.extend(stats.compression_ratio.map(|n| ("Compression", format!("{n:.2}\u{d7}"))));
    figures.extend(stats.compression_space_saving.map(|n| ("Saved by it", format!("{n:.0} %"))));
    figures.extend(stats.total_file_count.map(|n| ("Files and folders", number(n))));
    figures.extend(stats.total_blob_count.map(|n| ("Blobs", number(n))));
    figures.extend(stats.snapshots_count.map(|n| ("Snapshots", number(n))));
    Told { icon: "gauge", figures, ..good(format!("{what} {}", size(stats.total_size))) }
}

fn side(side: &DiffSide) -> String {
    format!("{} in {}", size(side.bytes), many(side.files, "file", "files"))
}

fn differ(changes: &[Change], omitted: u64, changed: u64, added: &DiffSide, removed: &DiffSide) -> Told {
    let word = |modifier: &str| {
        let words = modifier.chars().map(|c| match c {
            '+' => "added",
            '-' => "removed",
            'M' => "changed",
            'T' => "other type",
            'U' => "metadata",
            _ => "changed",
        });
        words.collect::<Vec<_>>().join(", ")
    };
    let rows = changes.iter().map(|c| vec![c.path.clone(), word(&c.modifier)]).collect();
    Told {
        icon: "diff",
        figures: vec![
            ("Changed files", number(changed)),
            ("Only in the newer", side(added)),
            ("Only in the older", side(removed)),
        ],
        tables: table("Differences", &["Path", "What"], rows, omitted),
        ..good(match changes.len() as u64 + omitted {
            0 => "The two do not differ".into(),
            n => format!("{} between the two", many(n, "difference", "differences")),
        })
    }
}

fn read_words(read: ReadData) -> String {
    match read {
        ReadData::Nothing => "the structure only".into(),
        ReadData::Everything => "the structure and all data".into(),
        ReadData::Part { part, of } => format!("the structure and part {part} of {of} of the data"),
        ReadData::Percent { percent } => format!("the structure and {percent} % of the data"),
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

fn step(text: impl Into<String>, link: &'static str, href: Option<String>) -> Step {
    Step { text: text.into(), href, link }
}

fn checked(check: &CheckReport, repository: Option<RepositoryId>) -> Told {
    let figures = vec![("Tested", read_words(check.read_data)), ("Errors", number(check.errors))];
    if check.errors == 0 {
        let steps = if check.suggest_prune {
            vec![step(
                "restic advises to prune: some data is stored twice.",
                "Prune",
                operation(repository, "prune", "", &[]),
            )]
        } else {
            vec![]
        };
        return Told { figures, steps, said: check.messages.clone(), ..good("No error was found".into()) };
    }
    let mut steps = vec![step("Copy the repository\u{2019}s files away before anything else.", "", None)];
    if check.suggest_repair_index {
        let href = operation(repository, "repair_index", "", &[]);
        steps.push(step("Make the index anew.", "Repair the index", href));
    }
    if !check.broken_packs.is_empty() {
        let href = operation(repository, "repair_packs", "packs", &check.broken_packs);
        steps.push(step("Save what can be saved of the damaged packs.", "Repair packs", href));
    }
    let href = operation(repository, "repair_snapshots", "snapshots", &check.broken_snapshots);
    steps.push(step("Write the snapshots that are touched anew, without what is lost.", "Repair snapshots", href));
    steps.push(step("Run a backup of each host: what its source still has is stored anew.", "", None));
    let one = |ids: &[String]| ids.iter().map(|id| vec![id.clone()]).collect();
    let mut tables = table("Snapshots that are touched", &["Snapshot"], one(&check.broken_snapshots), 0);
    tables.extend(table("Damaged packs", &["Pack"], one(&check.broken_packs), 0));
    Told {
        icon: "shield-no",
        class: "bad",
        lead: format!("{} found", many(check.errors, "error was", "errors were")),
        meaning: if check.broken_snapshots.is_empty() {
            "Which snapshots are touched could not be found out.".into()
        } else {
            format!(
                "{} touched; all others can be restored.",
                many(check.broken_snapshots.len() as u64, "snapshot is", "snapshots are")
            )
        },
        figures,
        tables,
        said: check.messages.clone(),
        steps,
    }
}

fn forgotten(dry_run: bool, removed: &[String], left: &[String]) -> Told {
    let n = removed.len() as u64;
    let words =
        if dry_run { "snapshot would go;snapshots would go" } else { "snapshot was removed;snapshots were removed" };
    let (one, several) = words.split_once(';').unwrap_or_default();
    let one_id = |ids: &[String]| ids.iter().map(|id| vec![id.clone()]).collect();
    let mut tables = table(if dry_run { "Would go" } else { "Removed" }, &["Snapshot"], one_id(removed), 0);
    tables.extend(table("Still there", &["Snapshot"], one_id(left), 0));
    let told = Told { tables, ..good(many(n, one, several)) };
    if left.is_empty() {
        let meaning = if dry_run { "Nothing was done." } else { "Their data goes with the next prune." };
        return Told { meaning: meaning.into(), ..told };
    }
    let meaning = format!("{} still there: the storage did not let them go.", many(left.len() as u64, "is", "are"));
    Told { icon: "warn", class: "warn", meaning, ..told }
}

fn pruned(prune: &PruneReport) -> Told {
    let mut figures = vec![];
    figures.extend(prune.total_bytes.map(|n| (if prune.dry_run { "Would free" } else { "Freed" }, size(n))));
    figures.extend(prune.delete_bytes.map(|n| ("In packs that go", size(n))));
    figures.extend(prune.repack_bytes.map(|n| ("Rewritten", size(n))));
    figures.extend(prune.repack_frees_bytes.map(|n| ("Freed by that", size(n))));
    figures.extend(prune.remaining_bytes.map(|n| ("Remains", size(n))));
    figures.extend(prune.unused_bytes.map(|n| ("Unused, stays", size(n))));
    let freed = prune.total_bytes.map_or_else(|| "an unknown amount".into(), size);
    let lead = if prune.dry_run { format!("A prune would free {freed}") } else { format!("{freed} freed") };
    let meaning = if prune.dry_run { "Nothing was done.".into() } else { String::new() };
    Told { figures, meaning, ..good(super::form::capital(&lead)) }
}

fn locks(removed: &[LockRecord], left: &[LockRecord], now: Timestamp) -> Told {
    let row = |l: &LockRecord| {
        let kind = if l.exclusive { "exclusive" } else { "shared" };
        vec![l.hostname.clone(), l.pid.to_string(), l.username.clone(), kind.into(), Moment::new(l.time, now).full]
    };
    let columns = ["Machine", "Process", "User", "Kind", "Made or renewed"];
    let mut tables = table("Removed", &columns, removed.iter().map(row).collect(), 0);
    tables.extend(table("There", &columns, left.iter().map(row).collect(), 0));
    let lead = match (removed.len() as u64, left.len() as u64) {
        (0, 0) => "There are no locks".into(),
        (0, n) => many(n, "lock is there", "locks are there"),
        (n, 0) => format!("{} removed; none is left", many(n, "lock was", "locks were")),
        (n, m) => format!("{} removed, {} left", many(n, "lock was", "locks were"), many(m, "is", "are")),
    };
    let meaning = if left.is_empty() { "" } else { "The repository\u{2019}s page says whose they are." };
    Told { icon: "lock", tables, meaning: meaning.into(), ..good(lead) }
}

fn pairs(replaced: &[Replaced]) -> Vec<Table> {
    let rows = replaced.iter().map(|r| vec![r.old.clone(), r.new.clone()]).collect();
    table("Replaced", &["Was", "Is now"], rows, 0)
}

fn tagged(replaced: &[Replaced]) -> Told {
    let lead = match replaced.len() as u64 {
        0 => "No snapshot was changed".into(),
        1 => "1 snapshot has other tags and another id now".into(),
        n => format!("{} snapshots have other tags and other ids now", number(n)),
    };
    Told { icon: "tag", tables: pairs(replaced), ..good(lead) }
}

fn rewritten(dry_run: bool, replaced: &[Replaced], forgotten: bool) -> Told {
    let n = replaced.len() as u64;
    let lead = match (n, dry_run) {
        (0, true) => "No snapshot would be changed".into(),
        (0, false) => "No snapshot holds what was to be taken out".into(),
        (n, true) => format!("{} written anew", many(n, "snapshot would be", "snapshots would be")),
        (n, false) => format!("{} written anew", many(n, "snapshot was", "snapshots were")),
    };
    let meaning = match (n, dry_run, forgotten) {
        (0, ..) => "",
        (_, true, _) => "Nothing was done.",
        (_, false, true) => "The originals are gone. Their data goes with the next prune.",
        (_, false, false) => "The originals are still there, with what was taken out of the copies.",
    };
    Told { icon: "edit", tables: pairs(replaced), meaning: meaning.into(), ..good(lead) }
}

fn repaired(dry_run: bool, replaced: &[Replaced]) -> Told {
    let lead = match (replaced.len() as u64, dry_run) {
        (0, true) => "Nothing would be changed".into(),
        (0, false) => "The repair is done".into(),
        (n, true) => format!("{} replaced", many(n, "snapshot would be", "snapshots would be")),
        (n, false) => format!("{} replaced", many(n, "snapshot was", "snapshots were")),
    };
    Told { icon: "wrench", tables: pairs(replaced), meaning: "Run a check to see how it is now.".into(), ..good(lead) }
}

fn key_list(keys: &[KeyRecord], added: Option<&str>, removed: Option<&str>) -> Told {
    let row = |k: &KeyRecord| {
        let note = match () {
            () if k.current => "this host\u{2019}s",
            () if added == Some(k.id.as_str()) => "new",
            () => "",
        };
        vec![k.id.clone(), format!("{}@{}", k.username, k.hostname), k.created.clone(), note.into()]
    };
    let lead = match (added, removed) {
        (Some(key), _) => format!("The key {key} was added"),
        (None, Some(key)) => format!("The key {key} was removed"),
        (None, None) => format!("{} the repository", many(keys.len() as u64, "key opens", "keys open")),
    };
    let rows = keys.iter().map(row).collect();
    Told { icon: "key", tables: table("Keys", &["Key", "Made by", "When", ""], rows, 0), ..good(lead) }
}

fn probed(probe: &ProbeReport) -> Told {
    let fits = match probe.password_ok {
        Some(true) => "yes",
        Some(false) => "no",
        None => "not tried",
    };
    let (icon, class, deletes) = match probe.can_delete {
        DeleteVerdict::AppendOnly => ("shield", "ok", "no: it can only append"),
        DeleteVerdict::CanDelete => ("shield-no", "warn", "yes"),
        DeleteVerdict::CannotTell => ("warn", "warn", "cannot tell"),
    };
    let (icon, class, lead) = match (probe.exists, probe.password_ok) {
        (false, _) => ("never", "warn", "There is no repository at the address"),
        (true, Some(false)) => ("key", "bad", "The repository is there, but the password does not open it"),
        (true, _) => (icon, class, "The storage answers, and the repository is there"),
    };
    let meaning = match probe.can_delete {
        DeleteVerdict::AppendOnly => {
            "Proven that this credential cannot delete backups. Nothing was changed by the test."
        }
        DeleteVerdict::CanDelete => {
            "This credential can delete backups. That is right for a maintenance host, and wrong for any other."
        }
        DeleteVerdict::CannotTell => "Whether the credential can delete could not be found out.",
    };
    Told {
        icon,
        class,
        lead: lead.into(),
        meaning: meaning.into(),
        figures: vec![
            ("Repository", if probe.exists { "there" } else { "not there" }.to_owned()),
            ("Password fits", fits.to_owned()),
            ("Can delete", deletes.to_owned()),
        ],
        said: probe.evidence.clone(),
        ..Told::default()
    }
}
