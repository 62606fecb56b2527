//! What every version printed for every operation becomes what the wire carries; what none ever printed does no harm.
#![allow(clippy::expect_used)] // a test that cannot go on says so

use proptest::prelude::*;
use restic_manager_shared::restic::array::{Cutter, Piece};
use restic_manager_shared::restic::check::Findings;
use restic_manager_shared::restic::diff::Diff;
use restic_manager_shared::restic::listing::{Found, Listing, touched_snapshot};
use restic_manager_shared::restic::replaced::Replacements;
use restic_manager_shared::restic::text::Counter;
use restic_manager_shared::restic::{keys, locks, prune, stats};
use restic_manager_shared::wire::operation::{MAX_ENTRIES, PruneReport, StatsMode, StatsReport};
use std::path::Path;

const VERSIONS: [&str; 3] = ["0.14", "0.18", "0.19"];

fn read(version: &str, case: &str, stream: &str) -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/restic").join(version).join(case).join(stream);
    let bytes = std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn elements(text: &str) -> Vec<String> {
    let mut out = Vec::new();
    Cutter::new(1 << 24).feed(text.as_bytes(), |p| {
        if let Piece::Element(e) = p {
            out.push(String::from_utf8_lossy(&e).into_owned());
        }
    });
    out
}

#[test]
fn folders_and_matches() {
    for version in VERSIONS {
        let mut listing = Listing::default();
        let text = read(version, "ls-json-dir-nonrecursive", "stdout");
        assert!(text.lines().all(|l| listing.line(l)), "{version}");
        assert!(listing.opened);
        assert_eq!((listing.entries.len(), listing.omitted), (15, 0), "{version}");
        let first = &listing.entries[0];
        assert_eq!((first.path.as_str(), first.kind.as_str(), first.size), ("/srv/demo", "dir", None));
        assert!(first.mtime.is_some() && first.permissions == "drwxr-xr-x");
        assert!(listing.entries.iter().any(|e| e.kind == "file" && e.size.is_some()));
        let mut nothing = Listing::default();
        read(version, "ls-json-missing-path", "stdout").lines().for_each(|l| {
            let _ = nothing.line(l);
        });
        assert_eq!((nothing.opened, nothing.entries.len()), (true, 0), "{version}");

        let mut found = Found::default();
        elements(&read(version, "find-json", "stdout")).iter().for_each(|e| found.element(e));
        assert!(found.entries.len() >= 20 && found.omitted == 0, "{version}: {}", found.entries.len());
        assert!(found.entries.iter().all(|e| e.snapshot.as_ref().is_some_and(|s| s.len() == 64) && e.size.is_some()));
        assert_eq!(elements(&read(version, "find-json-none", "stdout")), [""; 0]);
    }
}

#[test]
fn listings_stop_storing_and_count_on() {
    let mut listing = Listing::default();
    let mut many = String::from("{\"matches\":[");
    for n in 0..MAX_ENTRIES + 50 {
        listing.line(&format!(r#"{{"path":"/{n}","type":"file","struct_type":"node"}}"#));
        many.push_str(&format!(r#"{{"path":"/{n}","type":"file"}},"#));
    }
    assert_eq!((listing.entries.len(), listing.omitted), (MAX_ENTRIES, 50));
    let mut found = Found::default();
    found.element(&format!("{}],\"hits\":1,\"snapshot\":\"ab\"}}", many.trim_end_matches(',')));
    assert_eq!((found.entries.len(), found.omitted), (MAX_ENTRIES, 50));
    assert_eq!(found.entries[0].snapshot.as_deref(), Some("ab"));
    // Cut off in the middle, what came counts.
    let mut cut = Found::default();
    cut.element(&many);
    assert_eq!((cut.entries.len(), cut.omitted), (MAX_ENTRIES, 50));
}

#[test]
fn counts() {
    for version in VERSIONS {
        let of = |case: &str, mode| stats::parse(read(version, case, "stdout").trim(), mode).expect("counts");
        let size = of("stats-json-restore-size", StatsMode::RestoreSize);
        assert_eq!((size.total_size, size.total_file_count, size.snapshots_count), (103_878_359, Some(518), Some(7)));
        assert_eq!(size.total_blob_count, None);
        let raw = of("stats-json-raw-data", StatsMode::RawData);
        assert!(raw.total_blob_count.is_some_and(|n| n > 100) && raw.total_file_count.is_none());
        assert_eq!(raw.compression_ratio.is_some(), version != "0.14");
        let blobs = of("stats-json-blobs-per-file", StatsMode::BlobsPerFile);
        assert!(blobs.total_blob_count.is_some() && blobs.total_file_count == Some(78));
        let none = of("stats-json-empty-filter", StatsMode::RestoreSize);
        let want = StatsReport { total_file_count: Some(0), snapshots_count: Some(0), ..StatsReport::default() };
        assert_eq!(none, want, "{version}: what is left out is nothing, not unknown");
    }
    assert_eq!(stats::parse("{}", StatsMode::RawData), None);
}

#[test]
fn differences() {
    for version in VERSIONS {
        let mut diff = Diff::default();
        assert!(read(version, "diff-json", "stdout").lines().all(|l| diff.line(l)), "{version}");
        let figures = diff.figures.expect("figures");
        assert_eq!((diff.changes.len(), figures.changed_files, figures.added.files), (4, 1, 1), "{version}");
        assert_eq!((diff.changes[0].path.as_str(), diff.changes[0].modifier.as_str()), ("/srv/demo/docs/new.txt", "+"));
        assert!(figures.added.bytes > 30_000 && figures.removed.tree_blobs == 4);
    }
}

fn findings(version: &str, case: &str) -> Findings {
    let mut findings = Findings::default();
    read(version, case, "stdout").lines().for_each(|l| findings.advice(l));
    read(version, case, "stderr").lines().for_each(|l| findings.error(l));
    findings
}

#[test]
fn what_is_broken() {
    for version in VERSIONS {
        let sound = findings(version, "check-text");
        assert_eq!((sound.errors, sound.messages.len(), sound.suggest_prune), (0, 0, false), "{version}");
        let corrupt = findings(version, "check-text-corrupt-pack");
        assert_eq!((corrupt.errors, corrupt.damaged_packs.len()), (1, 1), "{version}: {corrupt:?}");
        assert!(corrupt.missing_packs.is_empty() && !corrupt.suggest_prune && !corrupt.suggest_repair_index);
        let missing = findings(version, "check-text-missing-pack");
        assert_eq!((missing.errors, missing.missing_packs.len()), (1, 1), "{version}: {missing:?}");
        assert!(missing.damaged_packs.is_empty());
    }
    let mut findings = Findings::default();
    for line in [
        "error: load <snapshot/80faaf9ddd>: invalid data returned",
        "error: failed to load snapshot b3fa2e15: LoadRaw(<snapshot/b3fa2e15c7>): invalid data returned",
        "error for tree c26b6e36:",
        "  id c26b6e3624cb5fe67f16ffd664d41cfb150b121c367bdeaa0d2aa3a2c5f1169f not found in repository",
        "Load(<data/1>) returned error, retrying after 5s: x",
        "Duplicate packs are non-critical, you can run `restic repair index' to correct this.",
        "This is non-critical, you can run `restic prune` to correct this.",
        "",
    ] {
        findings.error(line);
    }
    assert_eq!((findings.errors, findings.messages.len()), (3, 4));
    assert_eq!(findings.snapshots.iter().map(String::as_str).collect::<Vec<_>>(), ["80faaf9ddd", "b3fa2e15"]);
    assert!(findings.suggest_repair_index && findings.suggest_prune);
}

#[test]
fn progress_on_a_pipe() {
    for version in VERSIONS {
        for (case, units) in [
            ("check-readdata-text-notty-fps-2", &["snapshots", "packs"][..]),
            ("prune-text", &["snapshots", "packs processed", "packs repacked"][..]),
        ] {
            let text = read(version, case, "stdout");
            let counters: Vec<Counter> = text.lines().filter_map(Counter::parse).collect();
            for unit in units {
                let last =
                    counters.iter().rfind(|c| c.unit == *unit).unwrap_or_else(|| panic!("{version} {case} {unit}"));
                assert_eq!((last.share, last.total), (Some(1.0), Some(last.done)), "{version} {case}");
            }
        }
    }
}

#[test]
fn figures_of_a_prune() {
    for (version, delete) in [("0.14", 1_364), ("0.18", 1_375), ("0.19", 0)] {
        let mut report = PruneReport::default();
        read(version, "prune-text", "stdout").lines().for_each(|l| {
            let _ = prune::line(&mut report, l);
        });
        assert_eq!((report.delete_bytes, report.unused_bytes), (Some(delete), Some(0)), "{version}: {report:?}");
        assert!(report.repack_bytes > Some(600_000) && report.repack_frees_bytes > Some(600_000), "{version}");
        assert_eq!(report.remaining_bytes, Some(1_411_383), "{version}");
        assert!(report.total_bytes >= report.repack_frees_bytes);
        let mut nothing = PruneReport::default();
        read(version, "prune-text-nothing", "stdout").lines().for_each(|l| {
            let _ = prune::line(&mut nothing, l);
        });
        assert_eq!(nothing.total_bytes, Some(0));
    }
}

fn replaced(version: &str, case: &str) -> Replacements {
    let mut replaced = Replacements::default();
    read(version, case, "stdout").lines().for_each(|l| {
        let _ = replaced.line(l);
    });
    replaced
}

#[test]
fn new_ids_and_copies() {
    for version in VERSIONS {
        let tag = replaced(version, "tag-json-add");
        let named = usize::from(version != "0.14");
        assert_eq!((tag.changed, tag.pairs.len()), (1, named), "{version}");
        assert!(tag.pairs.iter().all(|p| p.old.len() == 64 && p.new.len() == 64));
        assert_eq!(replaced(version, "tag-json-noop").changed, 0);
        let again = replaced(version, "copy-text-again");
        assert_eq!((again.saved, again.skipped > 5), (0, version == "0.14"), "{version}");
        assert!(replaced(version, "copy-json").saved >= 2, "{version}");
    }
    for version in ["0.18", "0.19"] {
        let keeps = replaced(version, "rewrite-text");
        assert_eq!((keeps.changed, keeps.pairs.len(), keeps.removed.len()), (1, 1, 0), "{version}");
        assert!(keeps.pairs.iter().all(|p| p.old.len() == 8 && p.new.len() == 8 && p.old != p.new));
        let forgets = replaced(version, "rewrite-json-forget");
        assert_eq!((forgets.pairs.len(), forgets.removed.len()), (2, 2), "{version}");
        assert_eq!(forgets.pairs[0].old, forgets.removed[0]);
        let dry = replaced(version, "rewrite-json-dry-run");
        assert_eq!((dry.pairs.len(), dry.would.len()), (0, 1), "{version}");
        let repair = replaced(version, "repair-snapshots");
        assert_eq!((repair.pairs.len(), repair.removed.len(), repair.changed), (1, 1, 1), "{version}");
    }
}

#[test]
fn locks_and_keys() {
    for version in VERSIONS {
        let text = read(version, "cancel-prune-sigkill-then-cat-lock", "stdout");
        let lock = locks::parse("ab", &format!("noise\n{text}")).expect("a lock");
        assert_eq!((lock.exclusive, lock.hostname.as_str(), lock.username.as_str()), (true, "vm", "root"), "{version}");
        assert!(lock.pid > 1000 && lock.time.seconds() > 1_700_000_000);
        let ids = read(version, "list-snapshots", "stdout");
        assert!(ids.lines().all(|l| locks::listed_id(l).is_some()), "{version}");

        let listed = elements(&read(version, "key-list-json-two", "stdout"));
        let listed: Vec<_> = listed.iter().filter_map(|e| keys::parse(e)).collect();
        assert_eq!((listed.len(), listed.iter().filter(|k| k.current).count()), (3, 1), "{version}");
        assert!(listed.iter().any(|k| k.username == "ops" && k.hostname == "vault" && !k.created.is_empty()));
        let added = read(version, "key-add-json", "stdout").lines().find_map(keys::added_id).map(str::len);
        assert_eq!(added, (version != "0.14").then_some(64), "{version}");
    }
    assert_eq!(locks::parse("ab", "}{"), None);
    assert_eq!(keys::parse(r#"{"id":"--help"}"#), None);
}

proptest! {
    #[test]
    fn junk_is_no_harm(line in "\\PC{0,120}", body in "[\\[\\]{}\",:0-9a-z.e-]{0,80}", n in 0_usize..6) {
        let kind = ["node", "snapshot", "change", "statistics", "changed", "summary"][n];
        let json = format!("{{\"message_type\":\"{kind}\",{body}}}");
        for text in [line.as_str(), json.as_str(), body.as_str()] {
            let _ = (Listing::default().line(text), Diff::default().line(text), Replacements::default().line(text));
            Found::default().element(text);
            Findings::default().error(text);
            let _ = (stats::parse(text, StatsMode::RawData), keys::parse(text), keys::added_id(text));
            let _ = (locks::parse("x", text), locks::listed_id(text), touched_snapshot(text));
            let _ = prune::line(&mut PruneReport::default(), text);
        }
    }
}
