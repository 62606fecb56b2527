//! What came of a restore or a drill, for people; how it is said is in `words::restored`.

use super::{Told, good, table};
use crate::words::restored::{self as words, figure};
use crate::words::{number, size};
use restic_manager_shared::wire::restore::{DrillReport, DrilledFile, RestoreReport};

pub(super) fn restored(report: &RestoreReport) -> Told {
    let dry = report.dry_run;
    let mut figures = vec![(figure::PLACE, report.target.clone()), (figure::BYTES, size(report.bytes))];
    figures.extend(report.created.map(|n| (figure::new(dry), number(n))));
    figures.extend(report.overwritten.map(|n| (figure::overwritten(dry), number(n))));
    figures.extend(report.kept.map(|n| (figure::KEPT, number(n))));
    if report.deleted > 0 {
        figures.push((figure::removed(dry), number(report.deleted)));
    }
    figures.extend(report.verified.map(|n| (figure::VERIFIED, number(n))));
    figures.extend(report.free_bytes.map(|n| (figure::FREE, size(n))));
    let rows = report.examples.iter().map(|e| vec![e.path.clone(), words::action(e.action).to_owned()]).collect();
    let (title, columns) = words::WOULD_CHANGE;
    let tables = table(title, &columns, rows, report.examples_omitted);
    let told = Told { figures, tables, ..good(words::restored(report.restored, dry)) };
    if report.partial {
        return Told { icon: "warn", class: "warn", meaning: words::PARTIAL.into(), ..told };
    }
    let meaning = if dry { crate::words::outcome::DRY.into() } else { String::new() };
    Told { meaning, ..told }
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
