//! Upkeep: what a repository needs from time to time, by its plan: forget, prune, check, reading the data back, counting, listing. A chore
//! is state and not a queue: what was due ten times while its host was away is due once.

use super::backup_options::minute_of_day;
use super::health::{Part, ReadCycle};
use super::operation::JobKind;
use super::task_input::check_prune;
use super::text_enum;
use chrono::{TimeZone as _, Timelike as _};
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{PruneOptions, ReadData};
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};

text_enum! {
    /// A chore, in the order in which chores that are due together are done.
    Chore {
        /// Compare the list of snapshots with the repository.
        Snapshots = "snapshots",
        /// Remove what the schedules' retention does not keep.
        Forget = "forget",
        /// Free the space that no snapshot needs.
        Prune = "prune",
        /// Test the structure.
        Check = "check",
        /// Read a part of the stored data back; after all parts everything was read.
        ReadData = "read_data",
        /// Count what is stored.
        Stats = "stats",
    }
}

impl Chore {
    /// The operation that does it. Forgetting begins with a list, so that it decides about what is really there.
    #[must_use]
    pub const fn kind(self) -> JobKind {
        match self {
            Self::Snapshots => JobKind::Snapshots,
            Self::Forget => JobKind::Forget,
            Self::Prune => JobKind::Prune,
            Self::Check | Self::ReadData => JobKind::Check,
            Self::Stats => JobKind::Stats,
        }
    }

    /// Its name for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Snapshots => "List snapshots",
            Self::Forget => "Forget by retention",
            Self::Prune => "Prune",
            Self::Check => "Check the structure",
            Self::ReadData => "Read a part of the data",
            Self::Stats => "Count sizes",
        }
    }
}

/// Local hours in which chores may start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// From, `HH:MM`.
    pub from: String,
    /// To, `HH:MM`; earlier than `from` means the next day.
    pub to: String,
}

impl Window {
    /// Whether a minute of the day lies in it.
    #[must_use]
    pub fn holds(&self, minute: u32) -> bool {
        match (minute_of_day(&self.from), minute_of_day(&self.to)) {
            (Some(from), Some(to)) if from <= to => (from..to).contains(&minute),
            (Some(from), Some(to)) => minute >= from || minute < to,
            _ => true,
        }
    }
}

/// A repository's maintenance plan. A chore without a cron line is never due.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// IANA zone of the lines and of the window.
    pub timezone: String,
    /// When chores may start; always if none.
    pub window: Option<Window>,
    /// Cron line of listing the snapshots.
    pub snapshots: Option<String>,
    /// Cron line of forgetting.
    pub forget: Option<String>,
    /// Cron line of pruning.
    pub prune: Option<String>,
    /// Cron line of checking the structure.
    pub check: Option<String>,
    /// Cron line of reading a part of the data.
    pub read_data: Option<String>,
    /// Cron line of counting.
    pub stats: Option<String>,
    /// In how many parts the data is read: after so many runs all of it was.
    #[schema(minimum = 1, maximum = 256)]
    pub read_data_parts: u32,
    /// How prune works.
    pub prune_options: PruneOptions,
    /// Download limit of check in KiB/s; none means no limit.
    #[schema(minimum = 1, maximum = 4_294_967_295_u64)]
    pub limit_download_kib: Option<u32>,
    /// At least so many attested snapshots of each schedule stay, whatever its retention says.
    #[schema(minimum = 1, maximum = 1000)]
    pub floor: u32,
    /// More than this share of a schedule's snapshots in percent is never removed in one run without a person.
    #[schema(minimum = 1, maximum = 100)]
    pub ceiling_percent: u32,
}

impl Default for Plan {
    fn default() -> Self {
        let line = |text: &str| Some(text.to_owned());
        Self {
            timezone: "UTC".into(),
            window: None,
            snapshots: line("40 3 * * *"),
            forget: line("0 4 * * *"),
            prune: line("30 4 * * sun"),
            check: line("0 6 * * sun"),
            read_data: line("30 6 * * *"),
            stats: line("30 5 * * *"),
            read_data_parts: 30,
            prune_options: PruneOptions::default(),
            limit_download_kib: None,
            floor: 3,
            ceiling_percent: 50,
        }
    }
}

impl Plan {
    /// The cron line of a chore.
    #[must_use]
    pub fn line(&self, chore: Chore) -> Option<&str> {
        match chore {
            Chore::Snapshots => self.snapshots.as_deref(),
            Chore::Forget => self.forget.as_deref(),
            Chore::Prune => self.prune.as_deref(),
            Chore::Check => self.check.as_deref(),
            Chore::ReadData => self.read_data.as_deref(),
            Chore::Stats => self.stats.as_deref(),
        }
    }

    fn zone(&self) -> Tz {
        self.timezone.parse().unwrap_or(Tz::UTC)
    }

    /// When a chore is due next after an instant; none if never.
    #[must_use]
    pub fn next(&self, chore: Chore, after: Timestamp) -> Option<Timestamp> {
        let cron = self.line(chore)?.parse::<Crontab>().ok()?;
        cron.next_after(after.to_utc(), self.zone()).map(Timestamp::from)
    }

    /// Whether chores may start now.
    #[must_use]
    pub fn open(&self, now: Timestamp) -> bool {
        let Some(window) = &self.window else { return true };
        let local = self.zone().from_utc_datetime(&now.to_utc().naive_utc());
        window.holds(local.hour() * 60 + local.minute())
    }
}

/// Everything that is wrong with a plan; empty means fine.
#[must_use]
pub fn check_plan(plan: &Plan) -> Vec<FieldError> {
    let at = |pointer: &str, detail: String| FieldError { pointer: format!("/{pointer}"), detail };
    let mut wrong = vec![];
    if plan.timezone.parse::<Tz>().is_err() {
        wrong.push(at("timezone", "not an IANA time zone such as Europe/Berlin".into()));
    }
    for chore in Chore::ALL {
        if let Some(Err(error)) = plan.line(*chore).map(str::parse::<Crontab>) {
            wrong.push(at(chore.as_str(), error.to_string()));
        }
    }
    if let Some(window) = &plan.window {
        for (name, time) in [("from", &window.from), ("to", &window.to)] {
            if minute_of_day(time).is_none() {
                wrong.push(at(&format!("window/{name}"), "a time of day such as 22:00".into()));
            }
        }
    }
    wrong.extend(check_prune(&plan.prune_options, "").into_iter().map(|mut e| {
        e.pointer = e.pointer.replacen("/task", "/prune_options", 1);
        e
    }));
    if plan.limit_download_kib == Some(0) {
        wrong.push(at("limit_download_kib", "at least 1 KiB/s, or left out for no limit".into()));
    }
    for (name, given, most) in [
        ("read_data_parts", plan.read_data_parts, 256),
        ("floor", plan.floor, 1000),
        ("ceiling_percent", plan.ceiling_percent, 100),
    ] {
        if !(1..=most).contains(&given) {
            wrong.push(at(name, format!("1 to {most}")));
        }
    }
    wrong
}

/// What is known of a chore of a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ChoreState {
    /// Which.
    pub chore: Chore,
    /// Whose own repository, where the address holds `{host}`.
    pub of_host_id: Option<HostId>,
    /// Up to which instant its fires were acted on.
    pub followed_until: Option<Timestamp>,
    /// A person asked for it.
    pub asked_by: Option<String>,
    /// The job that did it last, or does it now.
    pub last_job_id: Option<JobId>,
    /// How that ended; none while it goes on.
    pub last_state: Option<super::job::JobState>,
    /// When it last ended.
    pub last_done_at: Option<Timestamp>,
    /// When it last succeeded.
    pub last_success_at: Option<Timestamp>,
    /// How far the data is read; for the chore that reads it.
    pub cycle: Option<ReadCycle>,
    /// What came of it, or what is in the way.
    pub note: Option<String>,
}

impl ChoreState {
    /// A chore that was never done.
    #[must_use]
    pub const fn new(chore: Chore) -> Self {
        Self {
            chore,
            of_host_id: None,
            followed_until: None,
            asked_by: None,
            last_job_id: None,
            last_state: None,
            last_done_at: None,
            last_success_at: None,
            cycle: None,
            note: None,
        }
    }
}

/// A chore that should be started now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// Which.
    pub chore: Chore,
    /// The newest fire that it stands for; now, if a person asked.
    pub fire: Timestamp,
    /// Who asked, unless the plan did.
    pub asked_by: Option<String>,
}

/// The chore to start now: the first in order that is due, while none is open. `since` is when the plan began to count.
#[must_use]
pub fn due(plan: &Plan, states: &[ChoreState], open: &[Chore], since: Timestamp, now: Timestamp) -> Option<Due> {
    // One after the other: a prune that starts beside its forget would free nothing.
    if !open.is_empty() {
        return None;
    }
    let state = |chore: Chore| states.iter().find(|s| s.chore == chore);
    let asked = Chore::ALL.iter().find_map(|chore| {
        let asked_by = state(*chore)?.asked_by.clone()?;
        Some(Due { chore: *chore, fire: now, asked_by: Some(asked_by) })
    });
    if asked.is_some() || !plan.open(now) {
        return asked;
    }
    Chore::ALL.iter().find_map(|chore| {
        let followed = state(*chore).and_then(|s| s.followed_until).unwrap_or(since);
        let fire = newest_fire(&plan.line(*chore)?.parse().ok()?, plan.zone(), followed, now)?;
        Some(Due { chore: *chore, fire, asked_by: None })
    })
}

/// The newest fire of a line after `after` and up to `now`.
pub(super) fn newest_fire(cron: &Crontab, zone: Tz, after: Timestamp, now: Timestamp) -> Option<Timestamp> {
    let next = |after: Timestamp| cron.next_after(after.to_utc(), zone).map(Timestamp::from).filter(|t| *t <= now);
    // However long it was, the newest lies in the last year of it, or the first is it.
    let mut newest = next(after)?;
    let mut steps = 0;
    while let Some(later) = next(newest) {
        newest = later;
        steps += 1;
        if steps > 1_000 {
            return Some(now);
        }
    }
    Some(newest)
}

/// What a check reads next: the next part of the cycle, or everything if it is not divided.
#[must_use]
pub fn read_next(cycle: &ReadCycle) -> ReadData {
    let Part { n, of } = cycle.next();
    if of == 1 { ReadData::Everything } else { ReadData::Part { part: n.into(), of: of.into() } }
}

/// The cycle as it goes on by the plan: divided anew if the plan says another number of parts.
#[must_use]
pub fn cycle_of(state: &ChoreState, plan: &Plan) -> Option<ReadCycle> {
    let of = u16::try_from(plan.read_data_parts).ok()?;
    match state.cycle.clone() {
        Some(cycle) => cycle.divided(of).ok(),
        None => ReadCycle::new(of).ok(),
    }
}

/// The cycle after a check that read this much and found no error.
#[must_use]
pub fn cycle_after(cycle: ReadCycle, read: ReadData, at: Timestamp) -> ReadCycle {
    match read {
        ReadData::Everything => cycle.after_all(at),
        ReadData::Part { part, of } => match (u16::try_from(part), u16::try_from(of)) {
            (Ok(n), Ok(of)) => cycle.after(Part { n, of }, at),
            _ => cycle,
        },
        ReadData::Nothing | ReadData::Percent { .. } => cycle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("a time")
    }

    fn plan() -> Plan {
        let none = None;
        Plan {
            snapshots: none.clone(),
            forget: Some("0 4 * * *".into()),
            prune: Some("0 4 * * *".into()),
            check: none.clone(),
            read_data: none.clone(),
            stats: none,
            ..Plan::default()
        }
    }

    #[test]
    fn chores_come_one_after_the_other_and_once_however_often_they_were_due() {
        let since = at("2026-01-01T00:00:00Z");
        let now = at("2026-01-11T12:00:00Z");
        let fire = at("2026-01-11T04:00:00Z");
        let done = |chore| ChoreState { followed_until: Some(fire), ..ChoreState::new(chore) };
        let asked = |chore| ChoreState { asked_by: Some("user:anna".into()), ..done(chore) };
        let by = |chore| Some(Due { chore, fire, asked_by: None });
        for (states, open, want) in [
            (vec![], vec![], by(Chore::Forget)),
            (vec![], vec![Chore::Forget], None),
            (vec![done(Chore::Forget)], vec![], by(Chore::Prune)),
            (vec![done(Chore::Forget)], vec![Chore::Forget], None),
            (vec![done(Chore::Forget), done(Chore::Prune)], vec![], None),
            (
                vec![done(Chore::Forget), done(Chore::Prune), asked(Chore::Check)],
                vec![],
                Some(Due { chore: Chore::Check, fire: now, asked_by: Some("user:anna".into()) }),
            ),
        ] {
            assert_eq!(due(&plan(), &states, &open, since, now), want, "{states:?} {open:?}");
        }
    }

    #[test]
    fn outside_its_window_only_a_person_starts_something() {
        let window = Some(Window { from: "22:00".into(), to: "06:00".into() });
        let plan = Plan { window, timezone: "Europe/Berlin".into(), ..plan() };
        let since = at("2026-01-01T00:00:00Z");
        let is_due = |now: &str| due(&plan, &[], &[], since, at(now)).is_some();
        assert!(is_due("2026-01-02T03:30:00Z"), "04:30 in Berlin");
        assert!(!is_due("2026-01-02T12:00:00Z"));
        assert!(is_due("2026-01-02T21:30:00Z"), "22:30 in Berlin");
        let asked = ChoreState { asked_by: Some("x".into()), ..ChoreState::new(Chore::Prune) };
        assert!(due(&plan, &[asked], &[], since, at("2026-01-02T12:00:00Z")).is_some());
    }

    #[test]
    fn a_cycle_covers_every_part_and_begins_anew_when_it_is_divided_otherwise() {
        let now = at("2026-01-01T00:00:00Z");
        let mut state = ChoreState::new(Chore::ReadData);
        let mut plan = Plan { read_data_parts: 3, ..plan() };
        let read = |state: &mut ChoreState, plan: &Plan| {
            let cycle = cycle_of(state, plan).expect("a cycle");
            let next = read_next(&cycle);
            state.cycle = Some(cycle_after(cycle, next, now));
            next
        };
        let part = |part, of| ReadData::Part { part, of };
        let seen: Vec<ReadData> = (0..4).map(|_| read(&mut state, &plan)).collect();
        assert_eq!(seen, [part(1, 3), part(2, 3), part(3, 3), part(1, 3)]);
        assert_eq!(state.cycle.as_ref().and_then(|c| c.completed_at), Some(now));
        plan.read_data_parts = 2;
        assert_eq!(read(&mut state, &plan), part(1, 2));
        plan.read_data_parts = 1;
        assert_eq!(read(&mut state, &plan), ReadData::Everything);
    }

    #[test]
    fn a_plan_says_what_is_wrong_with_it() {
        assert!(check_plan(&Plan::default()).is_empty());
        let bad = Plan {
            timezone: "Mars".into(),
            forget: Some("61 * * * *".into()),
            window: Some(Window { from: "25:00".into(), to: "06:00".into() }),
            read_data_parts: 0,
            prune_options: PruneOptions { max_unused: Some("x".into()), ..PruneOptions::default() },
            ..Plan::default()
        };
        let pointers: Vec<String> = check_plan(&bad).into_iter().map(|e| e.pointer).collect();
        assert_eq!(pointers, ["/timezone", "/forget", "/window/from", "/prune_options/max_unused", "/read_data_parts"]);
        assert_eq!(
            serde_json::from_str::<Plan>("{}").expect("reads"),
            Plan::default(),
            "what the database begins with"
        );
    }
}
