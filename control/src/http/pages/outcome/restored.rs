//! What came of a restore or a drill, for people; how it is said is in `words::restored`.

use super::{Table, Told, good, table};
use crate::words::job::IN_PLACE;
use crate::words::restored::{self as words, figure};
use crate::words::{number, size};
use restic_manager_shared::wire::restore::{DrillReport, DrilledFile, RestoreAction, RestoreExample, RestoreReport};

pub(super) fn restored(report: &RestoreReport) -> Told {
    let dry = report.dry_run;
    let place = if report.target == "/" { IN_PLACE.to_owned() } else { report.target.clone() };
    let mut figures = vec![(figure::PLACE, place), (figure::BYTES, size(report.bytes))];
    figures.extend(report.created.map(|n| (figure::new(dry), number(n))));
    figures.extend(report.overwritten.map(|n| (figure::overwritten(dry), number(n))));
    figures.extend(report.kept.map(|n| (figure::KEPT, number(n))));
    if report.deleted > 0 {
        figures.push((figure::removed(dry), number(report.deleted)));
    }
    figures.extend(report.verified.map(|n| (figure::VERIFIED, number(n))));
    figures.extend(report.free_bytes.map(|n| (figure::FREE, size(n))));
    let lead = match brought(report) {
        Some(n) => words::files(n, dry),
        None => words::restored(report.restored, dry),
    };
    let told = Told { figures, tables: one_by_one(report), ..good(lead) };
    if report.partial {
        return Told { icon: "warn", class: "warn", meaning: words::PARTIAL.into(), ..told };
    }
    let meaning = if dry { crate::words::outcome::DRY.into() } else { String::new() };
    Told { meaning, ..told }
}

/// How many files were written or would be, where this restic tells them from folders.
pub(in crate::http::pages) fn brought(report: &RestoreReport) -> Option<u64> {
    Some(report.created?.saturating_add(report.overwritten?))
}

/// What would happen to each file: first what is there, then what is new.
fn one_by_one(report: &RestoreReport) -> Vec<Table> {
    let row = |e: &RestoreExample| {
        let bytes = if e.action == RestoreAction::Delete { String::new() } else { size(e.size) };
        vec![e.path.clone(), words::action(e.action).to_owned(), bytes]
    };
    let rows = report.examples.iter().chain(&report.new_examples).map(row).collect();
    let new = report.new_examples.len() as u64;
    // An agent that names no new files does not leave some of them out.
    let more = report.created.filter(|_| new > 0).map_or(0, |all| all.saturating_sub(new));
    let (title, columns) = words::WOULD_HAPPEN;
    table(title, &columns, rows, report.examples_omitted.saturating_add(more))
}

pub(super) fn drilled(report: &DrillReport) -> Told {
    let figures = vec![
        (figure::PROVEN, number(report.proven)),
        (figure::NOT_PROVEN, number(report.failed)),
        (figure::RESTORED, size(report.bytes)),
        (figure::OF, number(report.snapshot_files)),
    ];
    let row = |f: &DrilledFile| vec![f.path.clone(), size(f.size), words::proof(f.proof).to_owned(), f.note.clone()];
    let rows = report.files.iter().map(row).collect();
    let (title, columns) = words::FILES;
    let tables = table(title, &columns, rows, 0);
    if report.failed == 0 {
        return Told { figures, tables, ..good(words::proven(report.proven)) };
    }
    let lead = words::not_proven(report.failed);
    Told { icon: "shield-no", class: "bad", lead, figures, tables, ..Told::default() }
}
