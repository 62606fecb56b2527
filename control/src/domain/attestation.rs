//! Attestation: whether a snapshot is what a job of ours made, or only says so. Anybody with an append-only credential can write a
//! snapshot with any time, host, tags and `original`; what nobody can write is the report that the job's agent gave to the control plane.
//! Not what follows from it for retention: that is `forget`.

use restic_manager_shared::id::JobId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// How far a snapshot's time may lie outside of its job's window: a host's clock is corrected by the server's, but not to the second.
pub const SLACK: Duration = Duration::from_secs(300);

/// A snapshot as the repository lists it. All of this may be forged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// restic's id, 64 hex digits: the hash of all the rest, so it cannot be chosen.
    pub id: &'a str,
    /// The first snapshot that it was made of by `tag` or `rewrite`, as it says.
    pub original: Option<&'a str>,
    /// Its time, as it says.
    pub time: Timestamp,
}

/// What a job of ours said: that it made a snapshot, and when it ran by the server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// The job.
    pub job_id: JobId,
    /// When the job started.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Timestamp,
}

/// Whether a snapshot is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "attestation", rename_all = "snake_case")]
pub enum Attestation {
    /// A job of ours made it.
    Attested {
        /// The job; none if a person vouches for it, or the job is no longer known here.
        job_id: Option<JobId>,
    },
    /// Nobody can say where it is from.
    Unattested {
        /// Why not.
        doubt: Doubt,
    },
}

/// Why a snapshot is not taken for ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Doubt {
    /// No job of ours reported it.
    Unknown,
    /// Its time has not come yet.
    Future,
    /// Its time lies before the job that reported it.
    Backdated {
        /// By so many seconds.
        seconds: u64,
    },
    /// Its time lies after the job that reported it.
    Postdated {
        /// By so many seconds.
        seconds: u64,
    },
    /// It says that it was made of a snapshot of ours, but that one is still there. Changing a snapshot replaces it, so this is a copy.
    OriginalPresent,
    /// Another snapshot says that it was made of the same one.
    OriginalShared,
    /// Its job made another snapshot too; a job makes one.
    JobShared,
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("no job of ours reported it"),
            Self::Future => f.write_str("its time lies in the future"),
            Self::Backdated { seconds } => write!(f, "its time lies {seconds} s before the job that reported it"),
            Self::Postdated { seconds } => write!(f, "its time lies {seconds} s after the job that reported it"),
            Self::OriginalPresent => f.write_str("the snapshot that it says it replaces is still there"),
            Self::OriginalShared => f.write_str("two snapshots say that they replace the same one"),
            Self::JobShared => f.write_str("the job that reported it reported another one too"),
        }
    }
}

impl Attestation {
    /// Why it is not attested, if it is not.
    #[must_use]
    pub const fn doubt(self) -> Option<Doubt> {
        match self {
            Self::Attested { .. } => None,
            Self::Unattested { doubt } => Some(doubt),
        }
    }
}

/// Whether a time lies within a job's window, give or take the slack.
///
/// # Errors
/// On which side it lies outside, and how far from the window itself.
pub fn attest(time: Timestamp, report: Report, slack: Duration) -> Result<JobId, Doubt> {
    if time + slack < report.started {
        return Err(Doubt::Backdated { seconds: report.started.since(time).as_secs() });
    }
    if time > report.ended + slack {
        return Err(Doubt::Postdated { seconds: time.since(report.ended).as_secs() });
    }
    Ok(report.job_id)
}

/// Judges all snapshots of a schedule, in the order in which they are given, by what jobs of ours reported under which id.
///
/// A snapshot that `tag` or `rewrite` made of a reported one has a new id and names the old one as its original. That is believed only
/// if the old one is gone, which takes a credential that may delete, and if nobody else names it.
#[must_use]
pub fn judge(
    listed: &[Listed<'_>],
    reports: &BTreeMap<String, Report>,
    slack: Duration,
    now: Timestamp,
) -> Vec<Attestation> {
    let mut claims: BTreeMap<&str, Claims> = BTreeMap::new();
    for snapshot in listed {
        claims.entry(snapshot.id).or_default().present = true;
        if let Some(original) = snapshot.original {
            claims.entry(original).or_default().replaced += 1;
        }
    }
    let one = |snapshot: &Listed<'_>| judge_one(snapshot, reports, &claims, slack, now);
    let found: Vec<Result<JobId, Doubt>> = listed.iter().map(one).collect();
    let mut made: BTreeMap<JobId, u32> = BTreeMap::new();
    found.iter().flatten().for_each(|job| *made.entry(*job).or_default() += 1);
    let judged = |found| match found {
        Ok(job_id) if made.get(&job_id) == Some(&1) => Attestation::Attested { job_id: Some(job_id) },
        Ok(_) => Attestation::Unattested { doubt: Doubt::JobShared },
        Err(doubt) => Attestation::Unattested { doubt },
    };
    found.into_iter().map(judged).collect()
}

/// What a listing says about an id.
#[derive(Clone, Copy, Default)]
struct Claims {
    /// There is a snapshot with it.
    present: bool,
    /// So many say that they were made of it.
    replaced: u32,
}

fn judge_one(
    snapshot: &Listed<'_>,
    reports: &BTreeMap<String, Report>,
    claims: &BTreeMap<&str, Claims>,
    slack: Duration,
    now: Timestamp,
) -> Result<JobId, Doubt> {
    if snapshot.time > now + slack {
        return Err(Doubt::Future);
    }
    if let Some(report) = reports.get(snapshot.id) {
        return attest(snapshot.time, *report, slack);
    }
    let original = snapshot.original.ok_or(Doubt::Unknown)?;
    let report = reports.get(original).ok_or(Doubt::Unknown)?;
    match claims.get(original).copied().unwrap_or_default() {
        Claims { present: true, .. } => Err(Doubt::OriginalPresent),
        Claims { present: false, replaced: 2.. } => Err(Doubt::OriginalShared),
        Claims { present: false, replaced: 0..=1 } => attest(snapshot.time, *report, slack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(100_000);

    fn job(n: u128) -> JobId {
        JobId(uuid::Uuid::from_u128(n))
    }

    fn report(n: u128, started: i64, ended: i64) -> Report {
        Report { job_id: job(n), started: Timestamp::from_seconds(started), ended: Timestamp::from_seconds(ended) }
    }

    fn listed<'a>(id: &'a str, original: Option<&'a str>, seconds: i64) -> Listed<'a> {
        Listed { id, original, time: Timestamp::from_seconds(seconds) }
    }

    /// The doubt about each; none if it is attested.
    fn doubts(snapshots: &[Listed<'_>], reports: &[(&str, Report)]) -> Vec<Option<Doubt>> {
        let reports = reports.iter().map(|(id, report)| ((*id).to_owned(), *report)).collect();
        judge(snapshots, &reports, SLACK, NOW).into_iter().map(Attestation::doubt).collect()
    }

    #[test]
    fn a_job_vouches_for_its_id_within_its_window() {
        let reports = [("a", report(1, 10_000, 11_000))];
        for (id, seconds, doubt) in [
            ("a", 10_000, None),
            ("a", 11_300, None),
            ("a", 9_700, None),
            ("a", 9_699, Some(Doubt::Backdated { seconds: 301 })),
            ("a", 11_301, Some(Doubt::Postdated { seconds: 301 })),
            ("b", 10_500, Some(Doubt::Unknown)),
            ("b", 100_301, Some(Doubt::Future)),
            ("a", 100_301, Some(Doubt::Future)),
        ] {
            assert_eq!(doubts(&[listed(id, None, seconds)], &reports), [doubt], "{id} at {seconds}");
        }
    }

    #[test]
    fn a_replaced_snapshot_is_ours_only_if_it_is_the_only_one() {
        let reports = [("old", report(1, 10_000, 11_000))];
        let (old, new) = (listed("old", None, 10_000), listed("new", Some("old"), 10_000));
        let other = listed("other", Some("old"), 10_900);
        assert_eq!(doubts(&[new], &reports), [None]);
        assert_eq!(doubts(&[old, new], &reports), [None, Some(Doubt::OriginalPresent)], "it was not replaced: forged");
        assert_eq!(doubts(&[new, other], &reports), [Some(Doubt::OriginalShared); 2]);
        assert_eq!(doubts(&[listed("new", Some("x"), 10_000)], &reports), [Some(Doubt::Unknown)]);
        let moved = listed("new", Some("old"), 20_000);
        assert_eq!(doubts(&[moved], &reports), [Some(Doubt::Postdated { seconds: 9_000 })]);
    }

    #[test]
    fn a_job_makes_one_snapshot() {
        let reports =
            [("a", report(1, 10_000, 11_000)), ("b", report(1, 10_000, 11_000)), ("c", report(2, 10_000, 11_000))];
        let all = ["a", "b", "c"].map(|id| listed(id, None, 10_000));
        assert_eq!(doubts(&all, &reports), [Some(Doubt::JobShared), Some(Doubt::JobShared), None]);
    }

    proptest! {
        /// Whatever is added to a repository, without deleting: the real ones stay attested, and nothing added is.
        #[test]
        fn additions_are_never_taken_for_ours(
            forged in prop::collection::vec((0..120_000i64, prop::option::of(0..5usize)), 0..12),
        ) {
            let ids: Vec<String> = (0..5).map(|n| format!("real{n}")).collect();
            let starts = [10_000, 20_000, 30_000, 40_000, 50_000];
            let reports: BTreeMap<String, Report> =
                ids.iter().zip(starts).zip(1..).map(|((id, start), n)| (id.clone(), report(n, start, start + 600))).collect();
            let names: Vec<String> = (0..forged.len()).map(|n| format!("forged{n}")).collect();
            let mut all: Vec<Listed<'_>> = ids.iter().zip(starts).map(|(id, start)| listed(id, None, start)).collect();
            all.extend(forged.iter().zip(&names).map(|((time, original), id)| {
                listed(id, original.map(|n| ids[n].as_str()), *time)
            }));
            let judged = judge(&all, &reports, SLACK, NOW);
            prop_assert!(judged[..5].iter().all(|one| one.doubt().is_none()));
            prop_assert!(judged[5..].iter().all(|one| one.doubt().is_some()));
        }
    }
}
