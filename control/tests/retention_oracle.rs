//! The oracle of retention: random histories and random policies, where the real `restic forget --dry-run` must keep the same snapshots
//! for the same reasons. Nothing is removed here.
//!
//! One repository holds the snapshots of three zones. Each carries about half of the tags h0 to h39, so that `forget --tag h7` or
//! `--tag h7,h30` looks at another random history each time. The seed is fixed: a failure comes again.
//!
//! What it showed about restic, and what the rules here build on:
//! * hour, day, week, month and year are read off the UTC offset that is written into each snapshot, whatever zone `forget` runs in;
//!   a stretch (`--keep-within`) goes back on the calendar of the newest snapshot's offset, or of the process's zone if it has the same
//!   offset at that instant. So every snapshot here is made with its zone's offset, and `forget` runs in that zone;
//! * snapshots of the same instant come in any order, from one run to the next;
//! * 0.14 does not keep the oldest snapshot while a rule has room left, and knows no `unlimited`;
//! * where a policy would keep nothing, 0.18 and later refuse, and 0.14 would remove everything.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use control::domain::attestation::{self, Attestation, Doubt, Report, SLACK};
use control::domain::forget::{self, Event, Facts, Gate, Guards, Question};
use control::domain::retention::{Candidate, Count, Fate, Retention, Within, apply};
use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const ZONES: [Tz; 3] = [Tz::Europe__Berlin, Tz::America__New_York, Tz::Pacific__Auckland];
const SEED: u64 = 4;

/// A repository as `restic init` makes it, but for one thing: its key is derived from the password "oracle" with next to no work, because
/// hundreds of processes open it.
const CONFIG: &str = "4vScBtvpHJCjHsvC6rEj8oJ/s1M/ZDMp02zAIUXEdmmbz8FgMRAKiIuLWSpX/rVH2LGY/VO8AhssrFL4qh7vNCdM2syaRhTZ8uvUzMHP4kDPo765dgOhmhPQcCV5MyWM7pYz/cptDyoFqlpkVuPKVl98RBpigCNwWlEC3BvnBRcNvNxYyTOpXv8pVDlZiO+4fxWuvAotrEP0yAI=";
const KEY: &str = r#"{"created":"2026-01-01T00:00:00Z","username":"oracle","hostname":"oracle","kdf":"scrypt","N":16,"r":1,"p":1,"salt":"/ot8lVWojKNsVzQMbtJb6h19an4nJQTLIN2GxFEFKeQ/kS4/hzHCzclDal0bU8JlpYfTFOCIE2sqxZzQzacpgw==","data":"EYXVGI4h9aTHyYhzpVrzaIxFLrmjHQadSYPJJoEuqKo7A9vbcrcsinJ+4k3MU7sAVtyN5piVmHdrG7L847xibUYlBAZEKGQb/tiKqG7bNnamZ7rrJ65RGSmWej0PwvEJ+a9I5H3YmzcM9VM2ywTs3TsFxqFHYK6ws3zAi9LeQrgno3bWSEhu9kxhUdm9o7EcYCQLFewIG+2zJ5GCGSwOqw=="}"#;
/// SHA-256 of the key file.
const KEY_ID: &str = "5b3f94177be8fb44bc513b37b64c7bfb1eeda2fbf282445a64d044d47a944d6b";

/// Numbers that look random and are the same on every run and machine (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// A release of restic, as the test script installs it.
struct Restic {
    suite: &'static str,
    program: PathBuf,
    version: String,
}

impl Restic {
    fn of(suite: &'static str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let program = root.join(".cache").join(suite).join("usr/bin/restic");
        assert!(program.exists(), "{} is missing: run ./deploy/test, which installs it", program.display());
        let said = Command::new(&program).arg("version").output().unwrap();
        let version = String::from_utf8(said.stdout).unwrap().split(' ').nth(1).unwrap().to_owned();
        Self { suite, program, version }
    }

    /// 0.14: another rule for the oldest snapshot, and no `unlimited`.
    fn old(&self) -> bool {
        self.suite == "bookworm"
    }

    fn run(&self, repository: &Path, zone: &str, args: &[String]) -> Output {
        let mut command = Command::new(&self.program);
        command.arg("--no-cache").args(args).current_dir(repository.parent().unwrap());
        command.env("RESTIC_REPOSITORY", repository).env("RESTIC_PASSWORD", "oracle").env("TZ", zone);
        command.output().unwrap()
    }
}

fn json(output: &Output, what: &dyn std::fmt::Debug) -> Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{what:?}: {e}: {stderr}"))
}

/// What a snapshot is to be.
struct Plan {
    zone: Tz,
    at: DateTime<Utc>,
    tags: Vec<String>,
}

/// A snapshot as restic lists it.
struct Listed {
    id: String,
    time: DateTime<FixedOffset>,
    tags: Vec<String>,
}

fn utc(text: &str) -> DateTime<Utc> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S").unwrap().and_utc()
}

fn offset(zone: Tz, at: DateTime<Utc>) -> TimeDelta {
    TimeDelta::seconds(i64::from(at.with_timezone(&zone).offset().fix().local_minus_utc()))
}

/// Hours around the clock changes of two years.
fn clock_changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let hours = (0..17_520).map(|n| utc("2024-01-01 00:00:00") + TimeDelta::hours(n));
    hours.filter(|at| offset(zone, *at) != offset(zone, *at - TimeDelta::hours(1))).collect()
}

/// About fifty instants of one zone: scattered over the years, in its DST nights, at the ends of months and years, in the same second,
/// many in the last days, and one of the future.
fn instants(zone: Tz, dice: &mut Dice) -> Vec<DateTime<Utc>> {
    let mut all = vec![utc("2099-05-05 05:05:05")];
    all.extend((0..16).map(|_| utc("2021-01-01 00:00:00") + TimeDelta::seconds(dice.below(180_000_000) as i64)));
    for change in clock_changes(zone) {
        all.extend((0..3).map(|_| change + TimeDelta::minutes(dice.below(240) as i64 - 120)));
    }
    let ends = [(2023, 12, 31), (2024, 2, 29), (2024, 3, 31), (2024, 12, 30), (2025, 1, 1), (2025, 8, 31)];
    for (year, month, day) in ends {
        let wall = NaiveDate::from_ymd_opt(year, month, day).unwrap().and_hms_opt(dice.pick(&[0, 23]), 59, 59).unwrap();
        all.push(zone.from_local_datetime(&wall).earliest().unwrap().to_utc());
    }
    let last = utc("2026-09-20 00:00:00");
    all.extend((0..12).map(|_| last - TimeDelta::minutes(dice.below(6_000) as i64)));
    let twins: Vec<_> = (0..3).map(|_| dice.pick(&all)).collect();
    all.extend(twins);
    all
}

/// How many clock changes of a zone have a history of their own: one forwards, one back.
const EDGES: usize = 2;

/// A history whose newest snapshot is, on the clock, a day after a time that a change of the clock skips or repeats, and that has a
/// snapshot at each instant which could be meant by that, and right before and after it. One more is three hours old to the second.
fn edge(zone: Tz, change: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let forwards = offset(zone, change) > offset(zone, change - TimeDelta::hours(1));
    let newest = change + TimeDelta::minutes(24 * 60 + if forwards { -30 } else { 30 });
    let around = [-91, -90, -89, -60, -31, -30, -29, 0, 29, 30, 31, 60, 90];
    around
        .into_iter()
        .map(|minutes| change + TimeDelta::minutes(minutes))
        .chain([newest - TimeDelta::hours(3), newest])
        .collect()
}

fn edge_queries() -> Vec<Query> {
    let day = |text: &str| Some(text.parse::<Within>().unwrap());
    let mut queries = vec![];
    for (n, zone) in ZONES.into_iter().enumerate() {
        for e in 0..EDGES {
            let tags = vec![format!("z{n}"), format!("e{e}")];
            for text in ["3h", "1d", "1d1h", "24h"] {
                let all = Retention { keep_within: day(text), ..Retention::default() };
                let hourly = Retention { keep_within_hourly: day(text), ..Retention::default() };
                let query = |retention| Query { zone, run_in: zone, tags: tags.clone(), retention };
                queries.extend([all, hourly].map(query));
            }
        }
    }
    queries
}

fn plans() -> Vec<Plan> {
    let mut dice = Dice(SEED);
    let mut plans = vec![];
    for (n, zone) in ZONES.into_iter().enumerate() {
        for at in instants(zone, &mut dice) {
            let half: Vec<String> = (0..40).filter(|_| dice.chance(50)).map(|h| format!("h{h}")).collect();
            let few: Vec<String> = (0..4).filter(|_| dice.chance(15)).map(|k| format!("k{k}")).collect();
            plans.push(Plan { zone, at, tags: [vec![format!("z{n}")], half, few].concat() });
        }
        for (e, change) in clock_changes(zone).into_iter().take(EDGES).enumerate() {
            let tags = [format!("z{n}"), format!("e{e}")];
            plans.extend(edge(zone, change).into_iter().map(|at| Plan { zone, at, tags: tags.to_vec() }));
        }
    }
    plans
}

/// A zone of this offset all year round, which names an instant where the real zone's clock is ambiguous.
fn fixed_zone(offset: TimeDelta) -> String {
    match offset.num_hours() {
        0 => "UTC".into(),
        hours => format!("Etc/GMT{:+}", -hours),
    }
}

fn make_repository(dir: &Path, restic: &Restic) -> PathBuf {
    use base64::Engine as _;
    let repository = dir.join("repository");
    for folder in ["keys", "locks", "index", "snapshots", "data"] {
        fs::create_dir_all(repository.join(folder)).unwrap();
    }
    fs::write(repository.join("config"), base64::engine::general_purpose::STANDARD.decode(CONFIG).unwrap()).unwrap();
    fs::write(repository.join("keys").join(KEY_ID), KEY).unwrap();
    fs::write(dir.join("file"), "nothing much").unwrap();
    let plans = plans();
    in_two_threads(&plans, |plan| {
        let offset = offset(plan.zone, plan.at);
        let wall = (plan.at + offset).format("%Y-%m-%d %H:%M:%S").to_string();
        let args = ["backup", "--quiet", "file", "--time", &wall, "--tag", &plan.tags.join(",")].map(ToOwned::to_owned);
        let output = restic.run(&repository, &fixed_zone(offset), &args);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    repository
}

fn in_two_threads<T: Sync, R: Send>(items: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let parts = items.chunks(items.len().div_ceil(2));
        let threads: Vec<_> = parts.map(|part| scope.spawn(|| part.iter().map(&act).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

/// The snapshots of the repository, each with the offset of its zone, or nothing that follows would prove anything.
fn listed(repository: &Path, restic: &Restic) -> Vec<Listed> {
    let output = restic.run(repository, "UTC", &["snapshots", "--json"].map(ToOwned::to_owned));
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let of = |value: &Value| Listed {
        id: text(&value["id"]),
        time: DateTime::parse_from_rfc3339(value["time"].as_str().unwrap()).unwrap(),
        tags: value["tags"].as_array().unwrap().iter().map(text).collect(),
    };
    let listed: Vec<Listed> = json(&output, &"snapshots").as_array().unwrap().iter().map(of).collect();
    let mut expected: Vec<_> = plans().into_iter().map(|p| (p.at, offset(p.zone, p.at), p.tags)).collect();
    let seconds = |t: &DateTime<FixedOffset>| TimeDelta::seconds(i64::from(t.offset().local_minus_utc()));
    let mut found: Vec<_> = listed.iter().map(|s| (s.time.to_utc(), seconds(&s.time), s.tags.clone())).collect();
    expected.sort();
    found.sort();
    assert_eq!(found, expected, "restic knows the zones (is tzdata installed?)");
    listed
}

/// A question to the oracle.
#[derive(Debug)]
struct Query {
    zone: Tz,
    /// The zone that forget runs in.
    run_in: Tz,
    /// All snapshots with these tags.
    tags: Vec<String>,
    retention: Retention,
}

fn within(dice: &mut Dice) -> Within {
    loop {
        let parts = [('y', 2), ('m', 14), ('d', 40), ('h', 60)];
        let said = parts.map(
            |(unit, most)| if dice.chance(40) { format!("{}{unit}", 1 + dice.below(most)) } else { String::new() },
        );
        if let Ok(within) = said.concat().parse() {
            return within;
        }
    }
}

fn random_retention(dice: &mut Dice, old: bool, stretches: bool) -> Retention {
    let mut count = |percent| {
        let unlimited = dice.chance(10) && !old;
        let of = dice.pick(&[1, 1, 2, 3, 4, 7, 12, 30]);
        dice.chance(percent).then_some(if unlimited { Count::Unlimited } else { Count::Of(of) })
    };
    let counts = [30, 25, 40, 30, 30, 25].map(&mut count);
    let mut stretch = || (stretches && dice.chance(20)).then(|| within(dice));
    let stretches: [Option<Within>; 6] = std::array::from_fn(|_| stretch());
    let tags = [vec!["k0"], vec!["k1", "k2"], vec!["k3"], vec!["h3", "k0"]];
    Retention {
        keep_last: counts[0],
        keep_hourly: counts[1],
        keep_daily: counts[2],
        keep_weekly: counts[3],
        keep_monthly: counts[4],
        keep_yearly: counts[5],
        keep_within: stretches[0],
        keep_within_hourly: stretches[1],
        keep_within_daily: stretches[2],
        keep_within_weekly: stretches[3],
        keep_within_monthly: stretches[4],
        keep_within_yearly: stretches[5],
        keep_tags: tags
            .into_iter()
            .filter(|_| dice.chance(12))
            .map(|list| list.into_iter().map(ToOwned::to_owned).collect())
            .collect(),
    }
}

/// Of ten queries one runs `forget` in a zone that is not the snapshots': there without stretches, which see that zone.
fn random_query(dice: &mut Dice, old: bool) -> Query {
    let n = usize::try_from(dice.below(ZONES.len() as u64)).unwrap();
    let abroad = dice.chance(10);
    let mut tags = vec![format!("z{n}"), format!("h{}", dice.below(40))];
    if dice.chance(40) {
        tags.push(format!("h{}", dice.below(40)));
    }
    let retention = loop {
        let retention = random_retention(dice, old, !abroad);
        if !retention.keeps_everything() {
            break retention;
        }
    };
    Query { zone: ZONES[n], run_in: if abroad { ZONES[(n + 1) % ZONES.len()] } else { ZONES[n] }, tags, retention }
}

impl Query {
    fn args(&self) -> Vec<String> {
        let mut args =
            ["forget", "--dry-run", "--json", "--no-lock", "--group-by", "", "--tag"].map(ToOwned::to_owned).to_vec();
        args.push(self.tags.join(","));
        let mut add = |option: String, value: String| args.extend([option, value]);
        for (slot, count) in self.retention.counts() {
            count.into_iter().for_each(|count| add(format!("--keep-{slot}"), count.to_string()));
        }
        self.retention.keep_within.into_iter().for_each(|within| add("--keep-within".into(), within.to_string()));
        for (slot, within) in self.retention.withins() {
            within.into_iter().for_each(|within| add(format!("--keep-within-{slot}"), within.to_string()));
        }
        self.retention.keep_tags.iter().for_each(|list| add("--keep-tag".into(), list.join(",")));
        args
    }
}

/// The kept snapshots with restic's words for why; none if it plans to keep nothing.
type Kept = BTreeMap<String, Vec<String>>;

fn restic_says(restic: &Restic, repository: &Path, query: &Query) -> Kept {
    let output = restic.run(repository, query.run_in.name(), &query.args());
    let refuses = String::from_utf8_lossy(&output.stderr).contains("refusing to delete last snapshot");
    if refuses || (output.status.success() && output.stdout.is_empty()) {
        return Kept::new();
    }
    let groups = json(&output, query);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    assert_eq!(groups.as_array().unwrap().len(), 1, "{query:?}");
    // A reason names its snapshot without the id, but stands at the same place as the snapshot itself.
    let ids = list(&groups[0]["keep"]).into_iter().map(|s| s["id"].as_str().unwrap().to_owned());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let reasons = list(&groups[0]["reasons"]).into_iter().map(|r| list(&r["matches"]).iter().map(text).collect());
    ids.zip(reasons).collect()
}

/// What we say, if snapshots of the same instant come in the order of `ranks`.
fn we_say(query: &Query, history: &[&Listed], ranks: &[String], old: bool, now: Timestamp) -> Kept {
    let candidates: Vec<Candidate> = history
        .iter()
        .zip(ranks)
        .map(|(s, rank)| Candidate { id: rank, time: s.time.to_utc().into(), tags: &s.tags })
        .collect();
    let fates = apply(query.retention.policy().unwrap(), &candidates, query.zone, now);
    let mut kept = Kept::new();
    for (snapshot, fate) in history.iter().zip(fates) {
        let reasons = match fate {
            Fate::Keep(reasons) => reasons.iter().map(ToString::to_string).collect(),
            Fate::Remove => vec![],
        };
        let reasons: Vec<String> = reasons.into_iter().filter(|r| !(old && r.starts_with("oldest "))).collect();
        if !reasons.is_empty() {
            kept.insert(snapshot.id.clone(), reasons);
        }
    }
    kept
}

/// Every order in which restic may see snapshots of the same instant, as a rank for each.
fn orders(history: &[&Listed]) -> Vec<Vec<String>> {
    let mut orders: Vec<Vec<usize>> = vec![vec![]];
    for (n, snapshot) in history.iter().enumerate() {
        let twin = |other: &&usize| history[**other].time == snapshot.time;
        let twins = orders[0].iter().filter(twin).count();
        // It may stand before or behind each of those of its instant that are placed already.
        let placed = |order: &Vec<usize>| -> Vec<Vec<usize>> {
            let first = order.iter().position(|other| twin(&other)).unwrap_or(order.len());
            (0..=twins).map(|k| [&order[..first + k], &[n], &order[first + k..]].concat()).collect()
        };
        orders = orders.iter().flat_map(placed).collect();
    }
    let rank = |order: &Vec<usize>, n: usize| format!("{:04}", order.iter().position(|m| *m == n).unwrap());
    orders.iter().map(|order| (0..history.len()).map(|n| rank(order, n)).collect()).collect()
}

/// Asks both and compares. Answers how many snapshots were judged, and how many of them stay.
fn ask(restic: &Restic, repository: &Path, all: &[Listed], query: &Query, now: Timestamp) -> (usize, usize) {
    let history: Vec<&Listed> = all.iter().filter(|s| query.tags.iter().all(|tag| s.tags.contains(tag))).collect();
    let theirs = restic_says(restic, repository, query);
    let ours: Vec<Kept> =
        orders(&history).iter().map(|ranks| we_say(query, &history, ranks, restic.old(), now)).collect();
    assert!(
        ours.contains(&theirs),
        "restic {}: {query:?}\n{:?}\nrestic: {theirs:#?}\nwe: {:#?}",
        restic.version,
        history.iter().map(|s| (s.time.to_rfc3339(), &s.id[..8])).collect::<Vec<_>>(),
        ours[0]
    );
    (history.len(), theirs.len())
}

#[test]
fn retention_is_restic_s() {
    let dir = tempfile::tempdir().unwrap();
    let reference = Restic::of("trixie");
    let repository = make_repository(dir.path(), &reference);
    let all = listed(&repository, &reference);
    let now = Timestamp::now();
    let mut dice = Dice(SEED);
    let mut told = vec![];
    for (restic, histories) in [(reference, 400), (Restic::of("bookworm"), 60), (Restic::of("sid"), 60)] {
        let random = (0..histories).map(|_| random_query(&mut dice, restic.old()));
        let queries: Vec<Query> = random.chain(edge_queries()).collect();
        let judged = in_two_threads(&queries, |query| ask(&restic, &repository, &all, query, now));
        let (snapshots, kept) = judged.into_iter().fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        assert!(kept > histories && snapshots > kept + histories, "the histories say something");
        told.push(format!("{} with restic {} ({kept} of {snapshots} kept)", queries.len(), restic.version));
    }
    // Past the test runner, which shows what is printed only of tests that fail.
    writeln!(std::io::stderr(), "retention oracle: histories and policies: {}", told.join(", ")).unwrap();
}

/// Whoever holds an append-only credential adds five snapshots with the same host and tags, later on the days of the real ones. A policy
/// alone then removes four of the five real ones, as restic's own does; of what a job of ours vouches for, it removes none.
#[test]
fn forged_snapshots_displace_no_real_one() {
    let day = |n: i64, hour: i64| Timestamp::from(utc("2026-09-01 00:00:00") + TimeDelta::hours(24 * n + hour));
    let (now, retention) = (day(6, 0), Retention { keep_daily: Some(Count::Of(7)), ..Retention::default() });
    let named = |kind: &str, hour: i64| (0..5).map(|n| (format!("{kind}{n}"), day(n, hour))).collect::<Vec<_>>();
    let real = named("real", 2);
    // One of the forged says that it replaces a real one.
    let all = [real.clone(), named("forged", 3)].concat();

    let candidates: Vec<_> = all.iter().map(|(id, time)| Candidate { id, time: *time, tags: &[] }).collect();
    let fates = apply(retention.policy().unwrap(), &candidates, Tz::UTC, now);
    assert_eq!(
        fates[..5].iter().filter(|fate| **fate == Fate::Remove).count(),
        4,
        "the attack works on a policy alone"
    );

    let reports =
        real.iter().map(|(id, time)| (id.clone(), Report { job_id: JobId::new(), started: *time, ended: *time }));
    let original = |id: &str| (id == "forged0").then_some("real0");
    let listed: Vec<_> =
        all.iter().map(|(id, time)| attestation::Listed { id, original: original(id), time: *time }).collect();
    let judged = attestation::judge(&listed, &reports.collect(), SLACK, now);
    let facts = |((id, time), attestation): (&'_ (String, Timestamp), Attestation)| (id.clone(), *time, attestation);
    let facts: Vec<_> = all.iter().zip(judged).map(facts).collect();
    let snapshots: Vec<_> =
        facts.iter().map(|(id, time, a)| Facts { id, time: *time, tags: &[], attestation: *a }).collect();
    let guards = Guards { floor: 0, ceiling_percent: 100, ceiling_free: 1000 };
    let question =
        Question { snapshots: &snapshots, retention: &retention, zone: Tz::UTC, guards, freeze: None, confirmed: None };
    let plan = forget::plan(&question, now);
    assert_eq!((plan.selected().len(), plan.gate), (0, Gate::Nothing), "zero real snapshots are selected");
    let forged = (0..5).map(|n| format!("forged{n}")).collect();
    assert_eq!(plan.events, [Event::Unattested { ids: forged }], "one event");
    assert_eq!(snapshots[5].attestation.doubt(), Some(Doubt::OriginalPresent));
}
