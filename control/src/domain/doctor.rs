//! What the doctor finds: where rows of the database contradict themselves or each other. Pure: it is given the columns as they are,
//! unread, because what does not parse is a finding too and not an error.

use super::job::JobState;

/// A job's columns that must agree with its state.
#[derive(Clone, Debug, Default)]
pub struct JobFacts {
    /// Its identity.
    pub id: String,
    /// The schedule that it is a run of.
    pub schedule_id: Option<String>,
    /// The state, as stored.
    pub state: String,
    /// The number of its newest offer.
    pub attempt: i32,
    /// Set when a schedule started it.
    pub due_at: Option<i64>,
    /// Set when it was offered.
    pub dispatched_at: Option<i64>,
    /// Set when it was claimed.
    pub started_at: Option<i64>,
    /// Set when it ended.
    pub finished_at: Option<i64>,
    /// Set while it runs.
    pub lease_until: Option<i64>,
    /// The last chunk stored.
    pub chunk_seq: i64,
    /// Its newest event.
    pub event_seq: i64,
    /// The newest event in its log, if there is one.
    pub last_log: Option<i64>,
    /// The oldest event in its log, if there is one.
    pub first_log: Option<i64>,
}

/// What is wrong with a job, one sentence each.
#[must_use]
pub fn job(f: &JobFacts) -> Vec<String> {
    let Ok(state) = f.state.parse::<JobState>() else {
        return vec![format!("job {}: no such state: {}", f.id, f.state)];
    };
    let rules = [
        (state.finished() == f.finished_at.is_some(), "finished_at disagrees with the state"),
        ((state == JobState::Running) == f.lease_until.is_some(), "the lease disagrees with the state"),
        (state != JobState::Running || f.started_at.is_some(), "it runs without having started"),
        (state != JobState::Running || f.attempt >= 1, "it runs without an attempt"),
        (
            state != JobState::Dispatched || (f.attempt >= 1 && f.dispatched_at.is_some()),
            "it is offered without an offer",
        ),
        (state != JobState::Queued || (f.attempt == 0 && f.dispatched_at.is_none()), "it is queued, but was offered"),
        (!waits(state) || f.started_at.is_none(), "it waits, but has started"),
        (!ran(state) || (f.started_at.is_some() && f.attempt >= 1), "it ended without having started"),
        (!never_ran(state) || f.started_at.is_none(), "it never was, but has started"),
        (!never_ran(state) || f.due_at.is_some(), "only a fire can be skipped or missed"),
        (f.started_at.is_some() || f.chunk_seq == 0, "it has progress, but never started"),
        (f.chunk_seq >= 0 && f.chunk_seq < f.event_seq, "its chunks outnumber its events"),
        (f.first_log.is_some_and(|first| first >= 1), "its log has no beginning"),
        (f.last_log.is_none_or(|last| last <= f.event_seq), "its log goes beyond its newest event"),
    ];
    rules.iter().filter(|(good, _)| !good).map(|(_, what)| format!("job {} ({}): {what}", f.id, f.state)).collect()
}

const fn waits(state: JobState) -> bool {
    matches!(state, JobState::Queued | JobState::Dispatched)
}

const fn ran(state: JobState) -> bool {
    matches!(state, JobState::Succeeded | JobState::Warning | JobState::Failed | JobState::Lost)
}

const fn never_ran(state: JobState) -> bool {
    matches!(state, JobState::Skipped | JobState::Missed)
}

/// Schedules with more than one unfinished job that a person asked for. Fires may wait behind a run.
#[must_use]
pub fn schedules(jobs: &[JobFacts]) -> Vec<String> {
    let open = |f: &&JobFacts| f.due_at.is_none() && f.state.parse::<JobState>().is_ok_and(|s| !s.finished());
    let mut of: Vec<&str> = jobs.iter().filter(open).filter_map(|f| f.schedule_id.as_deref()).collect();
    of.sort_unstable();
    let mut doubled: Vec<&str> = of.windows(2).filter(|w| w[0] == w[1]).map(|w| w[0]).collect();
    doubled.dedup();
    doubled.iter().map(|id| format!("schedule {id}: more than one job is open")).collect()
}

/// A host's versions: what it holds cannot be newer than what there is.
#[must_use]
pub fn host(id: &str, schedule_version: i64, held_version: i64) -> Option<String> {
    (held_version > schedule_version)
        .then(|| format!("host {id}: it holds version {held_version}, but the newest is {schedule_version}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(state: &str) -> JobFacts {
        let mut f = JobFacts { id: "j".into(), state: state.into(), event_seq: 9, ..JobFacts::default() };
        (f.first_log, f.last_log) = (Some(1), Some(9));
        match state {
            "queued" => {}
            "dispatched" => (f.attempt, f.dispatched_at) = (1, Some(1)),
            "running" => (f.attempt, f.started_at, f.lease_until) = (1, Some(1), Some(2)),
            "cancelled" => f.finished_at = Some(1),
            "skipped" | "missed" => (f.finished_at, f.due_at) = (Some(1), Some(1)),
            _ => (f.attempt, f.started_at, f.finished_at) = (1, Some(1), Some(2)),
        }
        f
    }

    const STATES: [&str; 10] =
        ["queued", "dispatched", "running", "succeeded", "warning", "failed", "cancelled", "lost", "skipped", "missed"];

    #[test]
    fn sound_jobs_have_no_findings() {
        for state in STATES {
            assert_eq!(job(&facts(state)), Vec::<String>::new(), "{state}");
        }
    }

    type Break = fn(&mut JobFacts);

    #[test]
    fn each_contradiction_is_found() {
        let table: &[(&str, Break, &str)] = &[
            ("succeeded", |f| f.finished_at = None, "finished_at"),
            ("running", |f| f.finished_at = Some(3), "finished_at"),
            ("lost", |f| f.lease_until = Some(3), "lease"),
            ("running", |f| f.lease_until = None, "lease"),
            ("running", |f| f.started_at = None, "without having started"),
            ("running", |f| f.attempt = 0, "without an attempt"),
            ("dispatched", |f| f.attempt = 0, "without an offer"),
            ("dispatched", |f| f.started_at = Some(1), "has started"),
            ("queued", |f| f.started_at = Some(1), "has started"),
            ("queued", |f| f.attempt = 1, "was offered"),
            ("failed", |f| f.started_at = None, "ended without having started"),
            ("missed", |f| f.started_at = Some(1), "never was"),
            ("skipped", |f| f.due_at = None, "only a fire"),
            ("queued", |f| f.chunk_seq = 1, "progress"),
            ("running", |f| f.chunk_seq = 9, "outnumber"),
            ("running", |f| f.chunk_seq = -1, "outnumber"),
            ("queued", |f| f.first_log = None, "no beginning"),
            ("queued", |f| f.last_log = Some(10), "beyond"),
            ("queued", |f| f.state = "asleep".into(), "no such state"),
        ];
        for (state, spoil, want) in table {
            let mut f = facts(state);
            spoil(&mut f);
            let found = job(&f);
            assert!(found.iter().any(|text| text.contains(want)), "{state}, {want}: {found:?}");
        }
    }

    #[test]
    fn a_schedule_has_one_open_job() {
        let of =
            |state: &str, due: Option<i64>| JobFacts { schedule_id: Some("s".into()), due_at: due, ..facts(state) };
        for (jobs, findings) in [
            (vec![of("running", None), of("succeeded", None)], 0),
            (vec![of("running", None), of("running", Some(1))], 0),
            (vec![of("running", None), of("queued", None), of("dispatched", None)], 1),
        ] {
            assert_eq!(schedules(&jobs).len(), findings, "{jobs:?}");
        }
    }

    #[test]
    fn a_host_holds_nothing_newer_than_there_is() {
        assert_eq!(host("h", 2, 2), None);
        assert!(host("h", 2, 3).is_some());
    }
}
