//! What came of a restore or a drill, for people.

use super::{Told, good, many, number, size, table};
use restic_manager_shared::wire::restore::{DrillReport, DrilledFile, Proof, RestoreAction, RestoreReport};

pub(super) fn restored(report: &RestoreReport) -> Told {
    let dry = report.dry_run;
    let mut figures = vec![("Place", report.target.clone()), ("Bytes", size(report.bytes))];
    figures.extend(report.created.map(|n| (if dry { "Would be new" } else { "New" }, number(n))));
    figures.extend(report.overwritten.map(|n| (if dry { "Would be overwritten" } else { "Overwritten" }, number(n))));
    figures.extend(report.kept.map(|n| ("Left as they are", number(n))));
    if report.deleted > 0 {
        figures.push((if dry { "Would be removed" } else { "Removed" }, number(report.deleted)));
    }
    figures.extend(report.verified.map(|n| ("Read back and equal", number(n))));
    figures.extend(report.free_bytes.map(|n| ("Free before", size(n))));
    let row = |path: &str, action| {
        let word = match action {
            RestoreAction::Overwrite => "overwritten",
            RestoreAction::Delete => "removed",
            RestoreAction::Unknown => "changed",
        };
        vec![path.to_owned(), word.to_owned()]
    };
    let rows = report.examples.iter().map(|e| row(&e.path, e.action)).collect();
    let tables = table("Would change", &["Path", "What"], rows, report.examples_omitted);
    let entries = many(report.restored, "file or folder", "files and folders");
    let lead = if dry { format!("A restore would bring back {entries}") } else { format!("{entries} restored") };
    let told = Told { figures, tables, ..good(lead) };
    if report.partial {
        let meaning = "It ended in the middle. What is there stays, and the same restore again goes on from it.";
        return Told { icon: "warn", class: "warn", meaning: meaning.into(), ..told };
    }
    let meaning = if dry { "Nothing was done.".into() } else { String::new() };
    Told { meaning, ..told }
}

pub(super) fn drilled(report: &DrillReport) -> Told {
    let figures = vec![
        ("Proven", number(report.proven)),
        ("Not proven", number(report.failed)),
        ("Restored", size(report.bytes)),
        ("Files in the snapshot", number(report.snapshot_files)),
    ];
    let row = |f: &DrilledFile| vec![f.path.clone(), size(f.size), proof(f.proof).to_owned(), f.note.clone()];
    let rows = report.files.iter().map(row).collect();
    let tables = table("Files", &["Path", "Size", "Proof", "Note"], rows, 0);
    if report.failed == 0 {
        let lead = format!("{} proven restorable", many(report.proven, "file is", "files are"));
        return Told { figures, tables, ..good(lead) };
    }
    let lead = format!("{} not be proven restorable", many(report.failed, "file could", "files could"));
    Told { icon: "shield-no", class: "bad", lead, figures, tables, ..Told::default() }
}

const fn proof(proof: Proof) -> &'static str {
    match proof {
        Proof::EqualToSource => "equal to the file on the host",
        Proof::HashVerified => "its hashes fit",
        Proof::Differs => "differs",
        Proof::NotRestored => "could not be restored",
        Proof::NotThere => "not in the snapshot",
        Proof::Unknown => "unknown",
    }
}
