//! Command lines, by operation and version.

use super::backup::escape_pattern;
use super::*;
use restic_manager_shared::wire::operation::{PruneOptions, ReadData, StatsMode, TagChange};
use restic_manager_shared::wire::state::{BackupOptions, BackupSpec, Compression, StdinSource};

const V14: Version = Version::new(0, 14, 0);
const V18: Version = Version::new(0, 18, 0);
const V19: Version = Version::new(0, 19, 1);

fn line(operation: Operation<'_>, version: Version, ca: Option<&Path>) -> CommandLine {
    build(operation, Context { host: "web 1", dir: Path::new("/j"), ca, version })
}

fn shown(operation: Operation<'_>, version: Version) -> String {
    line(operation, version, None).shown
}

fn spec() -> BackupSpec {
    BackupSpec {
        paths: vec!["/srv/a b".into(), "-x".into()],
        excludes: vec!["*.tmp".into(), "$HOME".into()],
        tags: vec!["daily".into()],
        options: BackupOptions {
            one_file_system: true,
            exclude_caches: true,
            compression: Some(Compression::Fastest),
            exclude_files: vec!["/etc/ex".into()],
            exclude_if_present: vec![".nobackup".into()],
            exclude_larger_than: Some("2G".into()),
            skip_if_unchanged: true,
            read_concurrency: Some(4),
            pack_size_mib: Some(64),
            ..BackupOptions::default()
        },
    }
}

fn backup<'a>(spec: &'a BackupSpec, tags: &'a [String]) -> Backup<'a> {
    Backup { spec, tags, dry_run: false, limits: (Some(5), Some(6)) }
}

#[test]
fn a_backup_has_all_its_options_and_says_what_a_version_lacks() {
    let (spec, tags) = (spec(), ["rm-job-1".to_owned()]);
    let operation = Operation::Backup(backup(&spec, &tags));
    assert_eq!(
        shown(operation, V19),
        "restic backup --json --host 'web 1' --retry-lock 5m --tag daily --tag rm-job-1 --limit-upload 5 --limit-download 6 \
         --compression fastest --pack-size 64 --skip-if-unchanged --one-file-system --exclude-caches --exclude-file=/etc/ex \
         --exclude-if-present=.nobackup --exclude-larger-than=2G --read-concurrency 4 '--exclude=*.tmp' '--exclude=$HOME' \
         -- '/srv/a b' -x"
    );
    let old = line(operation, V14, None);
    assert_eq!(
        old.shown,
        "restic backup --json --host 'web 1' --tag daily --tag rm-job-1 --limit-upload 5 --limit-download 6 --pack-size 64 \
         --one-file-system --exclude-caches --exclude-file=/etc/ex --exclude-if-present=.nobackup --exclude-larger-than=2G \
         '--exclude=*.tmp' '--exclude=$HOME' -- '/srv/a b' -x"
    );
    assert_eq!(old.left_out.len(), 3, "{:?}", old.left_out);
    assert!(old.left_out[0].contains("needs restic 0.19 or later on this host, which has 0.14.0"));
    let dry = Operation::Backup(Backup { dry_run: true, limits: (None, None), ..backup(&spec, &[]) });
    assert!(shown(dry, V18).contains("--tag daily --dry-run --pack-size"));
}

#[test]
fn a_hook_s_output_is_read_and_no_program_is_named() {
    let stdin = Some(StdinSource { hook: "dump".into(), filename: "db.sql".into() });
    let spec = BackupSpec { options: BackupOptions { stdin, ..BackupOptions::default() }, ..spec() };
    for version in [V14, V18] {
        let line = shown(Operation::Backup(backup(&spec, &[])), version);
        assert!(line.ends_with("--stdin-filename=db.sql --stdin") && !line.contains("/srv"), "{line}");
    }
}

#[test]
fn looking() {
    let ids = ["ab12".to_owned()];
    let cases = [
        (Operation::Init, "init --json"),
        (Operation::Snapshots { ids: &[], all_hosts: false }, "snapshots --json --retry-lock 5m --host 'web 1'"),
        (Operation::Snapshots { ids: &[], all_hosts: true }, "snapshots --json --retry-lock 5m"),
        (Operation::Snapshots { ids: &ids, all_hosts: false }, "snapshots --json --retry-lock 5m ab12"),
        (Operation::ListSnapshots, "list snapshots --no-lock"),
        (Operation::CatLock { id: "ab" }, "cat lock ab --no-lock"),
        (
            Operation::Ls { snapshot: "ab", path: "/-x", recursive: true },
            "ls --json --retry-lock 5m --recursive -- ab /-x",
        ),
        (
            Operation::Find { pattern: "-x*", snapshots: &ids, ignore_case: true },
            "find --json --retry-lock 5m --ignore-case --snapshot ab12 -- '-x*'",
        ),
        (
            Operation::Find { pattern: "x", snapshots: &[], ignore_case: false },
            "find --json --retry-lock 5m --host 'web 1' -- x",
        ),
        (Operation::FindPacks { packs: &ids }, "find --json --no-lock --pack -- ab12"),
        (
            Operation::Stats { mode: StatsMode::RawData, snapshots: &ids },
            "stats --json --mode raw-data --retry-lock 5m -- ab12",
        ),
        (Operation::Diff { from: "a", to: "b", metadata: true }, "diff --json --retry-lock 5m --metadata -- a b"),
        (
            Operation::Check { read_data: ReadData::Part { part: 2, of: 7 }, limit_download_kib: Some(9) },
            "check --retry-lock 15m --read-data-subset=2/7 --limit-download 9",
        ),
        (
            Operation::Check { read_data: ReadData::Percent { percent: 5 }, limit_download_kib: None },
            "check --retry-lock 15m --read-data-subset=5%",
        ),
    ];
    for (operation, want) in cases {
        assert_eq!(shown(operation, V18), format!("restic {want}"));
        assert!(!shown(operation, V14).contains("--retry-lock"), "{operation:?}");
    }
}

#[test]
fn maintaining() {
    let ids = ["ab12".to_owned()];
    let excludes = ["/srv/secret".to_owned()];
    let prune = PruneOptions {
        max_unused: Some("5%".into()),
        max_repack_size: Some("10G".into()),
        repack_small: true,
        repack_uncompressed: true,
        dry_run: true,
        limit_upload_kib: Some(7),
        ..PruneOptions::default()
    };
    let add = TagChange { add: vec!["a".into()], remove: vec!["b".into()], set: None };
    let none = TagChange { set: Some(Vec::new()), ..TagChange::default() };
    let cases = [
        (Operation::Forget { ids: &ids, dry_run: false }, "forget --retry-lock 15m -- ab12"),
        (Operation::Forget { ids: &ids, dry_run: true }, "forget --dry-run --no-lock -- ab12"),
        (
            Operation::Prune { options: &prune },
            "prune --retry-lock 15m --dry-run --max-unused=5% --max-repack-size=10G --repack-small --repack-uncompressed \
             --limit-upload 7",
        ),
        (Operation::Unlock { all: true }, "unlock --remove-all"),
        (Operation::Unlock { all: false }, "unlock"),
        (Operation::Copy { snapshots: &ids }, "copy --verbose --retry-lock 5m -- ab12"),
        (Operation::Copy { snapshots: &[] }, "copy --verbose --retry-lock 5m --host 'web 1'"),
        (Operation::Tag { snapshots: &ids, change: &add }, "tag --json --retry-lock 15m --add=a --remove=b -- ab12"),
        (Operation::Tag { snapshots: &ids, change: &none }, "tag --json --retry-lock 15m --set= -- ab12"),
        (
            Operation::Rewrite { snapshots: &ids, excludes: &excludes, forget: true, dry_run: false },
            "rewrite --retry-lock 15m --forget --exclude=/srv/secret -- ab12",
        ),
        (Operation::RepairIndex { read_all_packs: true }, "repair index --retry-lock 15m --read-all-packs"),
        (Operation::RepairPacks { packs: &ids }, "repair packs --retry-lock 15m -- ab12"),
        (
            Operation::RepairSnapshots { snapshots: &[], forget: true, dry_run: true },
            "repair snapshots --retry-lock 15m --forget --dry-run",
        ),
        (Operation::KeyList, "key list --json --retry-lock 5m"),
        (
            Operation::KeyAdd { password_file: Path::new("/j/pw") },
            "key add --host 'web 1' --retry-lock 15m --new-password-file <file>",
        ),
        (Operation::KeyRemove { key: "ab12" }, "key remove --retry-lock 15m -- ab12"),
        (Operation::CacheCleanup, "cache --cleanup"),
    ];
    for (operation, want) in cases {
        assert_eq!(shown(operation, V18), format!("restic {want}"));
    }
    assert_eq!(shown(Operation::RepairIndex { read_all_packs: false }, V14), "restic rebuild-index");
    assert!(!shown(Operation::Prune { options: &prune }, V19).contains("--repack-small"), "it warns of it");
}

#[test]
fn what_an_old_version_lacks_is_known_before_it_runs() {
    let (ids, excludes) = (["ab12".to_owned()], ["/srv/secret".to_owned()]);
    for (operation, lacks) in [
        (
            Operation::Rewrite { snapshots: &ids, excludes: &excludes, forget: false, dry_run: false },
            Some(Ability::Rewrite),
        ),
        (Operation::RepairPacks { packs: &ids }, Some(Ability::RepairPacks)),
        (Operation::RepairSnapshots { snapshots: &[], forget: false, dry_run: false }, Some(Ability::RepairSnapshots)),
        (Operation::RepairIndex { read_all_packs: false }, None),
        (Operation::Copy { snapshots: &ids }, None),
    ] {
        assert_eq!((operation.lacks(V14), operation.lacks(V18)), (lacks, None), "{operation:?}");
    }
}

#[test]
fn long_lists_go_through_files() {
    let long = |c: &str| vec![c.repeat(40_000), format!("{}$x", c.repeat(40_000))];
    let spec = BackupSpec { paths: long("/p"), excludes: long("#e"), ..BackupSpec::default() };
    let line = line(Operation::Backup(Backup { limits: (None, None), ..backup(&spec, &[]) }), V14, None);
    assert_eq!(
        line.shown,
        "restic backup --json --host 'web 1' --exclude-file <2 patterns> --files-from-raw <2 paths>"
    );
    assert_eq!(line.args[5..], ["/j/excludes", "--files-from-raw", "/j/paths"].map(OsString::from));
    let text = |i: usize| String::from_utf8(line.files[i].bytes.clone()).expect("text");
    assert!(text(0).starts_with("[#]e") && text(0).ends_with("$$x\n"));
    assert!(text(1).ends_with("$x\0") && text(1).matches('\0').count() == 2);
}

#[test]
fn patterns_keep_their_meaning_in_a_file() {
    for (pattern, want) in [("#a", "[#]a"), (" a ", "[ ]a[ ]"), ("a$b", "a$$b"), ("/x/*.o", "/x/*.o"), (" ", "[ ]")] {
        assert_eq!(escape_pattern(pattern), want);
    }
}

#[test]
fn a_certificate_file_comes_right_after_the_command() {
    let line = line(Operation::Init, V18, Some(Path::new("/ca.pem")));
    assert_eq!(line.args, ["init", "--cacert", "/ca.pem", "--json"].map(OsString::from));
    assert_eq!(line.shown, "restic init --json");
}
