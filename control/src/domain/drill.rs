//! Drills: some files of a schedule's newest snapshot are restored and compared from time to time, by the schedule's own plan, so that
//! "can be restored" is known and not hoped. What one file's proof is, the agent finds out; what follows from it is decided here.

use super::text_enum;
use super::upkeep::newest_fire;
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::End;
use restic_manager_shared::wire::problem::FieldError;
use restic_manager_shared::wire::restore::{DrillReport, Proof};
use serde::{Deserialize, Serialize};

/// The most files of each kind in a drill: both kinds together are the most that a drill takes.
const MAX_FILES: u32 = 500;
/// The most bytes of paths that are asked for by name: the offer must fit a body.
const MAX_PATH_BYTES: usize = 256 * 1024;

/// When a schedule is drilled, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillPlan {
    /// A crontab(5) line of five fields, in the schedule's zone.
    pub cron: String,
    /// So many files by chance, each of the snapshot as likely as any other.
    #[serde(default = "random_files")]
    #[schema(minimum = 1, maximum = 500)]
    pub random_files: u32,
    /// And so many of those that were drilled before: what failed first, then what was longest ago.
    #[serde(default = "oldest_files")]
    #[schema(maximum = 500)]
    pub oldest_files: u32,
    /// No more bytes than this in all; 0 for no limit.
    #[serde(default = "max_bytes")]
    pub max_bytes: u64,
}

const fn random_files() -> u32 {
    20
}

const fn oldest_files() -> u32 {
    10
}

const fn max_bytes() -> u64 {
    1 << 30
}

impl DrillPlan {
    /// A plan of this line, else as usual.
    #[must_use]
    pub fn at(cron: &str) -> Self {
        Self {
            cron: cron.to_owned(),
            random_files: random_files(),
            oldest_files: oldest_files(),
            max_bytes: max_bytes(),
        }
    }

    /// What a new schedule gets: once a week in the daytime, when machines are on and backups are not running. The day and the minute come
    /// from the schedule's identity, so that a fleet does not drill all at once.
    #[must_use]
    pub fn usual(schedule: ScheduleId) -> Self {
        // The last bits of an identity are random.
        let [.., a, b, c] = *schedule.0.as_bytes();
        Self::at(&format!("{} {} * * {}", u32::from(a) % 60, 9 + u32::from(b) % 9, u32::from(c) % 7))
    }

    /// When it is due next after an instant.
    #[must_use]
    pub fn next(&self, zone: Tz, after: Timestamp) -> Option<Timestamp> {
        self.cron.parse::<Crontab>().ok()?.next_after(after.to_utc(), zone).map(Timestamp::from)
    }
}

/// What is wished of a schedule's plan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Option<DrillPlan>")]
pub enum DrillWish {
    /// Nothing was said: a new schedule gets the usual plan, a known one keeps its own.
    #[default]
    AsItIs,
    /// No drills.
    No,
    /// This plan.
    By(DrillPlan),
}

impl From<Option<DrillPlan>> for DrillWish {
    fn from(plan: Option<DrillPlan>) -> Self {
        plan.map_or(Self::No, Self::By)
    }
}

impl DrillWish {
    /// The plan that comes of it.
    #[must_use]
    pub fn or(self, as_it_is: Option<DrillPlan>) -> Option<DrillPlan> {
        match self {
            Self::AsItIs => as_it_is,
            Self::No => None,
            Self::By(plan) => Some(plan),
        }
    }
}

/// Everything that is wrong with a plan; empty means fine.
#[must_use]
pub fn check_plan(wish: &DrillWish) -> Vec<FieldError> {
    let DrillWish::By(plan) = wish else { return vec![] };
    let at = |name: &str, detail: String| FieldError { pointer: format!("/drill/{name}"), detail };
    let mut wrong = vec![];
    match plan.cron.parse::<Crontab>() {
        Err(error) => wrong.push(at("cron", error.to_string())),
        Ok(cron) if cron.next_after(chrono::DateTime::UNIX_EPOCH, Tz::UTC).is_none() => {
            wrong.push(at("cron", "day of month: there is no such day in that month, so it would never run".into()));
        }
        Ok(_) => {}
    }
    if !(1..=MAX_FILES).contains(&plan.random_files) {
        wrong.push(at("random_files", format!("1 to {MAX_FILES}")));
    }
    if plan.oldest_files > MAX_FILES {
        wrong.push(at("oldest_files", format!("at most {MAX_FILES}")));
    }
    // Both databases and JSON in scripts count up to there.
    if plan.max_bytes > 1 << 53 {
        wrong.push(at("max_bytes", "at most 9007199254740992; 0 for no limit".into()));
    }
    wrong
}

/// What is known of a schedule when it is asked whether its drill is due.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The schedule runs at all.
    pub enabled: bool,
    /// It has a snapshot that a job of ours made.
    pub has_snapshot: bool,
    /// Its host is there.
    pub online: bool,
    /// A drill of it is waiting or running.
    pub open: bool,
    /// Up to which instant its fires were acted on.
    pub followed_until: Timestamp,
}

/// The fire that a drill would stand for now, if one is to be started: the newest, however many passed while its host was away.
#[must_use]
pub fn due(plan: &DrillPlan, zone: Tz, seen: Seen, now: Timestamp) -> Option<Timestamp> {
    if !seen.enabled || !seen.has_snapshot || !seen.online || seen.open {
        return None;
    }
    newest_fire(&plan.cron.parse().ok()?, zone, seen.followed_until, now)
}

/// The paths to be asked for by name, out of those that wait longest: as many as an offer can carry.
#[must_use]
pub fn that_fit(paths: Vec<String>, most: u32) -> Vec<String> {
    let mut bytes = 0;
    let fits = |path: &String| {
        bytes += path.len();
        bytes <= MAX_PATH_BYTES
    };
    paths.into_iter().take(most as usize).take_while(fits).collect()
}

text_enum! {
    /// What a drill came to.
    DrillVerdict {
        /// Every file was restored and is what was backed up.
        Proven = "proven",
        /// A file is not what was backed up, or could not be restored.
        Differs = "differs",
        /// It did not come to an end, so nothing is known.
        Failed = "failed",
        /// Nothing that was asked for is in the snapshot.
        Nothing = "nothing",
    }
}

/// How many files came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default)]
pub struct DrillCounts {
    /// Proven, in all.
    pub proven: u64,
    /// Of those: byte for byte as the file on the host.
    pub equal_to_source: u64,
    /// Of those: read back by restic, and its hashes fit.
    pub hash_verified: u64,
    /// Not what was backed up, or not restored.
    pub failed: u64,
    /// Asked for, and no longer in the snapshot.
    pub not_there: u64,
    /// Left out because they would have been too much.
    pub left_out: u64,
    /// Bytes restored.
    pub bytes: u64,
    /// Files in the snapshot.
    pub snapshot_files: u64,
}

impl DrillCounts {
    /// Counted from the files themselves: the sums of a report are not believed.
    #[must_use]
    pub fn of(report: &DrillReport) -> Self {
        let count = |proofs: &[Proof]| report.files.iter().filter(|f| proofs.contains(&f.proof)).count() as u64;
        let (equal_to_source, hash_verified) = (count(&[Proof::EqualToSource]), count(&[Proof::HashVerified]));
        Self {
            proven: equal_to_source + hash_verified,
            equal_to_source,
            hash_verified,
            failed: count(&[Proof::Differs, Proof::NotRestored]),
            not_there: count(&[Proof::NotThere]),
            left_out: report.left_out,
            bytes: report.bytes,
            snapshot_files: report.snapshot_files,
        }
    }
}

/// What a drill came to; none if somebody stopped it.
#[must_use]
pub fn verdict(end: End, counts: Option<DrillCounts>) -> Option<DrillVerdict> {
    Some(match (end, counts) {
        (End::Cancelled, _) => return None,
        (_, Some(counts)) if counts.failed > 0 => DrillVerdict::Differs,
        (End::Succeeded | End::Warning, Some(counts)) if counts.proven > 0 => DrillVerdict::Proven,
        (End::Succeeded | End::Warning, Some(_)) => DrillVerdict::Nothing,
        (End::Succeeded | End::Warning | End::Failed, _) => DrillVerdict::Failed,
    })
}

/// A drill that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Drill {
    /// Its job; what each file came to is in that job's outcome.
    pub job_id: JobId,
    /// The host that did it.
    pub host_id: HostId,
    /// The schedule that made the snapshot; none if it was deleted or is not known.
    pub schedule_id: Option<ScheduleId>,
    /// The repository; none if it was deleted.
    pub repository_id: Option<RepositoryId>,
    /// When it ended.
    pub at: Timestamp,
    /// What it came to.
    pub verdict: DrillVerdict,
    /// The rest.
    #[serde(flatten)]
    pub record: DrillRecord,
}

/// What is kept of a drill besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct DrillRecord {
    /// The snapshot.
    pub snapshot: String,
    /// When the snapshot was taken.
    pub snapshot_time: Option<Timestamp>,
    /// It was due by the plan; else a person asked for it.
    pub planned: bool,
    /// How many files came to what.
    #[serde(flatten)]
    pub counts: DrillCounts,
    /// Why, if not all is proven.
    pub note: Option<String>,
}

/// The evidence that there is of one file: its last drill.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DrilledEvidence {
    /// Its path in the snapshot.
    pub path: String,
    /// Its size there.
    pub size: u64,
    /// What the last drill of it found.
    pub proof: Proof,
    /// Why, if it is not proven.
    pub note: String,
    /// The snapshot that it was last drilled from.
    pub snapshot: String,
    /// The job that did.
    pub job_id: JobId,
    /// When that was.
    pub drilled_at: Timestamp,
    /// When it was last proven.
    pub proven_at: Option<Timestamp>,
}

/// How a schedule stands: its plan, and when its backups were last proven.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct DrillStanding {
    /// The schedule.
    pub schedule_id: ScheduleId,
    /// Its name.
    pub schedule: String,
    /// Its plan; none if it is not drilled by itself.
    pub plan: Option<DrillPlan>,
    /// When its drill is due next; none if it has no plan or is disabled.
    pub next_at: Option<Timestamp>,
    /// When its backups were last proven restorable; none if never.
    pub proven_at: Option<Timestamp>,
    /// Out of which snapshot.
    pub proven_snapshot: Option<String>,
    /// The newest drill's job.
    pub last_job_id: Option<JobId>,
    /// What is in the way of the next one, or was wrong with the last.
    pub note: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::wire::restore::DrilledFile;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    #[test]
    fn a_drill_is_due_once_however_often_its_time_came_and_only_when_it_can_be_done() {
        let plan = DrillPlan::at("0 10 * * *");
        let fine = Seen {
            enabled: true,
            has_snapshot: true,
            online: true,
            open: false,
            followed_until: at("2026-01-01T00:00:00Z"),
        };
        let now = at("2026-01-11T12:00:00Z");
        let newest = Some(at("2026-01-11T09:00:00Z"));
        for (seen, want) in [
            (fine, newest),
            (Seen { enabled: false, ..fine }, None),
            (Seen { has_snapshot: false, ..fine }, None),
            (Seen { online: false, ..fine }, None),
            (Seen { open: true, ..fine }, None),
            (Seen { followed_until: at("2026-01-11T09:00:00Z"), ..fine }, None),
            (Seen { followed_until: at("2026-01-11T08:59:59Z"), ..fine }, newest),
            (Seen { followed_until: at("2026-02-01T00:00:00Z"), ..fine }, None),
        ] {
            assert_eq!(due(&plan, chrono_tz::Europe::Berlin, seen, now), want, "{seen:?}");
        }
    }

    #[test]
    fn the_usual_plan_is_valid_and_spread() {
        let plans: std::collections::HashSet<String> = (0..200_u128)
            .map(|n| {
                let id = ScheduleId(uuid::Uuid::from_u128(n * 7_919_123));
                let plan = DrillPlan::usual(id);
                assert_eq!(plan, DrillPlan::usual(id));
                assert_eq!(check_plan(&DrillWish::By(plan.clone())), vec![]);
                plan.cron
            })
            .collect();
        assert!(plans.len() > 150, "{}", plans.len());
    }

    #[test]
    fn what_is_wrong_with_a_plan_is_said_at_its_field() {
        let plan = DrillPlan { random_files: 0, oldest_files: 501, max_bytes: u64::MAX, ..DrillPlan::at("0 25 * * *") };
        let wrong: Vec<String> = check_plan(&DrillWish::By(plan)).into_iter().map(|e| e.pointer).collect();
        assert_eq!(wrong, ["/drill/cron", "/drill/random_files", "/drill/oldest_files", "/drill/max_bytes"]);
        assert_eq!(check_plan(&DrillWish::By(DrillPlan::at("0 0 31 2 *"))).len(), 1);
    }

    #[test]
    fn null_takes_a_plan_away_and_silence_keeps_it() {
        #[derive(Deserialize)]
        struct Body {
            #[serde(default)]
            drill: DrillWish,
        }
        let old = Some(DrillPlan::at("0 10 * * *"));
        for (text, want) in [
            ("{}", old.clone()),
            (r#"{"drill": null}"#, None),
            (r#"{"drill": {"cron": "@weekly"}}"#, Some(DrillPlan::at("@weekly"))),
        ] {
            let body: Body = serde_json::from_str(text).expect("valid");
            assert_eq!(body.drill.or(old.clone()), want, "{text}");
        }
    }

    #[test]
    fn a_verdict_is_only_as_good_as_the_files() {
        let file = |proof| DrilledFile { path: "/a".into(), size: 1, proof, note: String::new() };
        let counts = |proofs: &[Proof]| {
            let files = proofs.iter().map(|p| file(*p)).collect();
            // What the report itself sums up does not count.
            Some(DrillCounts::of(&DrillReport { files, proven: 9, ..DrillReport::default() }))
        };
        for (end, counts, want) in [
            (End::Succeeded, counts(&[Proof::EqualToSource, Proof::HashVerified]), Some(DrillVerdict::Proven)),
            (End::Succeeded, counts(&[Proof::EqualToSource, Proof::Differs]), Some(DrillVerdict::Differs)),
            (End::Failed, counts(&[Proof::NotRestored]), Some(DrillVerdict::Differs)),
            (End::Succeeded, counts(&[Proof::NotThere]), Some(DrillVerdict::Nothing)),
            (End::Failed, counts(&[Proof::HashVerified]), Some(DrillVerdict::Failed)),
            (End::Succeeded, None, Some(DrillVerdict::Failed)),
            (End::Failed, None, Some(DrillVerdict::Failed)),
            (End::Cancelled, None, None),
        ] {
            assert_eq!(verdict(end, counts), want, "{end:?} {counts:?}");
        }
    }

    #[test]
    fn no_more_paths_are_named_than_an_offer_carries() {
        let long = "x".repeat(MAX_PATH_BYTES / 2);
        assert_eq!(that_fit(vec![long.clone(), long.clone(), "a".into()], 9).len(), 2);
        assert_eq!(that_fit(vec!["a".into(), "b".into()], 1), ["a"]);
    }
}
