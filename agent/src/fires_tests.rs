//! Following schedules: changes count from now, restarts change nothing, a clock that was set back repeats nothing.

use super::*;
use crate::state_dir::StateDir;
use restic_manager_shared::id::{JobId, RepositoryId};
use restic_manager_shared::wire::fire::{FireOutcome, FireReport};
use restic_manager_shared::wire::job::{Offer, Task};

fn at(text: &str) -> Timestamp {
    Timestamp::parse(&format!("2026-03-{text}:00Z")).expect("valid")
}

fn state(schedule: ScheduleId, cron: &str, zone: Option<&str>, enabled: bool) -> DesiredState {
    let spec = ScheduleSpec {
        id: schedule,
        name: "Nightly".into(),
        enabled,
        manual: false,
        cron: Some(cron.into()),
        timezone: zone.map(Into::into),
        firing: Default::default(),
        repository_id: Some(RepositoryId::new()),
        backup: Default::default(),
        pauses: Vec::new(),
    };
    DesiredState {
        version: 1,
        host_name: "h".into(),
        schedules: vec![spec],
        repositories: Vec::new(),
        pauses: Vec::new(),
    }
}

struct Host {
    id: HostId,
    journal: Journal,
    fires: Fires,
    _dir: tempfile::TempDir,
    state_dir: StateDir,
}

impl Host {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let state_dir = StateDir::open(dir.path()).expect("opens");
        let journal = Journal::open(&state_dir).expect("opens");
        Self { id: HostId::new(), journal, fires: Fires::default(), _dir: dir, state_dir }
    }

    /// As after `kill -9`: only the disk is left.
    fn restarted(self) -> Self {
        let Self { id, journal, state_dir, _dir, .. } = self;
        std::mem::forget(journal);
        let journal = Journal::open(&state_dir).expect("opens again");
        Self { id, journal, fires: Fires::default(), _dir, state_dir }
    }

    fn sync(&self, state: &DesiredState, now: &str) {
        let _ = self.fires.sync(state, self.id, "UTC", at(now), &self.journal).expect("follows");
    }

    fn due(&self, now: &str) -> Vec<Decision> {
        self.fires.due(at(now)).into_iter().map(|d| d.decision).collect()
    }

    /// Acts on a fire as the scheduler does.
    fn run(&self, schedule: ScheduleId, due: &str) -> JobId {
        self.run_for(schedule, due, &[], 0)
    }

    /// Acts on one that stands for others.
    fn run_for(&self, schedule: ScheduleId, due: &str, stands_for: &[&str], more: u64) -> JobId {
        let stands_for: Vec<Timestamp> = stands_for.iter().map(|t| at(t)).collect();
        let id = JobId::of_fire(schedule, at(due));
        let task = Task::Init { repository_id: RepositoryId::new() };
        let fire = FireReport {
            id,
            schedule_id: schedule,
            due: at(due),
            fired_at: at(due),
            state_version: 1,
            outcome: FireOutcome::Run { task: task.clone() },
            stands_for: stands_for.clone(),
            stands_for_more: more,
        };
        let offer = Offer {
            id,
            attempt: 1,
            schedule_id: Some(schedule),
            state_version: 1,
            task,
            repository_url: None,
            secrets: None,
        };
        self.journal.fire(&fire, Some(&offer)).expect("writes");
        self.fires.decided(schedule, at(due), &stands_for);
        id
    }

    fn ledgers(&self, now: &str) -> Vec<FireLedger> {
        self.fires.ledgers(at(now), &self.journal).expect("reads")
    }

    fn until(&self, now: &str) -> Timestamp {
        self.ledgers(now)[0].until
    }

    /// What is told, as (line, since, until, whether it ended).
    fn told(&self, now: &str) -> Vec<(String, Timestamp, Timestamp, bool)> {
        self.ledgers(now).into_iter().map(|l| (l.cron, l.since, l.until, l.ended)).collect()
    }

    fn poll(&self, now: &str) {
        self.fires.heard(&self.ledgers(now), &self.journal).expect("writes");
    }
}

fn fire(due: &str) -> Vec<Decision> {
    vec![Decision::Fire { due: at(due), stands_for: Vec::new(), more: 0 }]
}

#[test]
fn a_line_counts_from_the_moment_it_is_here() {
    let (host, id) = (Host::new(), ScheduleId::new());
    host.sync(&state(id, "30 2 * * *", None, true), "01T12:00");
    assert_eq!(host.due("02T02:29"), []);
    // Changed after its old time had passed unfired, and before its new one.
    host.sync(&state(id, "45 3 * * *", None, true), "02T03:00");
    assert_eq!(host.due("02T03:00"), [], "the old line counts no more, the new one not for the past");
    assert_eq!(host.due("02T03:45"), fire("02T03:45"));
    // Another zone is another line, and so is the host's own when it changes.
    host.sync(&state(id, "45 3 * * *", Some("Europe/Berlin"), true), "02T03:00");
    assert_eq!(host.due("02T03:45"), []);
    host.sync(&state(id, "45 3 * * *", Some("Europe/Berlin"), false), "02T04:00");
    assert_eq!(host.due("05T04:00"), [], "a disabled schedule does not fire");
    host.sync(&state(id, "45 3 * * *", Some("Europe/Berlin"), true), "05T05:00");
    assert_eq!(host.due("05T05:01"), [], "and does not make up for it");
}

#[test]
fn a_restart_neither_loses_nor_repeats_a_fire() {
    let (host, id) = (Host::new(), ScheduleId::new());
    let state = state(id, "30 2 * * *", None, true);
    host.sync(&state, "01T12:00");
    let host = host.restarted();
    host.sync(&state, "02T02:31");
    assert_eq!(host.due("02T02:31"), fire("02T02:30"), "due while it was down");
    host.run(id, "02T02:30");
    let host = host.restarted();
    host.sync(&state, "02T02:32");
    assert_eq!(host.due("02T02:32"), []);
    assert_eq!(host.journal.entries().expect("reads").len(), 1, "it is there to be started");
}

#[test]
fn a_clock_that_is_set_back_repeats_nothing_and_goes_on() {
    let (host, id) = (Host::new(), ScheduleId::new());
    let state = state(id, "30 2 * * *", None, true);
    host.sync(&state, "01T12:00");
    host.run(id, "02T02:30");
    // A clock that was a week ahead for a while.
    host.run(id, "09T02:30");
    let host = host.restarted();
    host.sync(&state, "02T02:10");
    host.fires.set_back(at("02T02:10"), &host.journal).expect("writes");
    assert_eq!(host.due("02T02:40"), [], "this one ran already");
    assert_eq!(host.due("03T02:30"), fire("03T02:30"), "and it does not stop for a week");
}

#[test]
fn nothing_is_settled_before_the_control_plane_knows_it() {
    let (host, id) = (Host::new(), ScheduleId::new());
    host.sync(&state(id, "30 2 * * *", None, true), "01T12:00");
    assert_eq!(host.until("02T02:00"), at("02T02:00"));
    let job = host.run(id, "02T02:30");
    host.run(id, "03T02:30");
    assert_eq!(host.until("03T05:00").micros(), at("02T02:30").micros() - 1);
    host.journal.announced(job).expect("writes");
    assert_eq!(host.until("03T05:00").micros(), at("03T02:30").micros() - 1);
    host.journal.announced(JobId::of_fire(id, at("03T02:30"))).expect("writes");
    assert_eq!(host.until("03T05:00"), at("03T05:00"));
}

#[test]
fn the_end_of_a_line_is_told_until_it_is_heard() {
    let nightly = || "30 2 * * *".to_owned();
    let (host, id) = (Host::new(), ScheduleId::new());
    host.sync(&state(id, "30 2 * * *", None, true), "01T12:00");
    host.sync(&state(id, "30 2 * * *", None, false), "03T12:00");
    let end = (nightly(), at("01T12:00"), at("03T12:00"), true);
    assert_eq!(host.told("04T12:00"), std::slice::from_ref(&end), "also what went by undecided");
    // A kill changes nothing, and neither does a new beginning.
    let host = host.restarted();
    host.sync(&state(id, "30 2 * * *", None, true), "05T12:00");
    assert_eq!(host.told("06T02:00"), [end, (nightly(), at("05T12:00"), at("06T02:00"), false)]);
    host.poll("06T02:00");
    assert_eq!(host.told("06T02:00"), [(nightly(), at("05T12:00"), at("06T02:00"), false)]);
}

#[test]
fn a_line_is_not_over_before_its_fires_are_told() {
    let (host, id) = (Host::new(), ScheduleId::new());
    host.sync(&state(id, "30 2 * * *", None, true), "01T12:00");
    let job = host.run(id, "02T02:30");
    host.sync(&state(id, "45 3 * * *", None, true), "02T12:00");
    let told = |host: &Host| host.ledgers("02T12:00")[0].clone();
    assert_eq!((told(&host).until.micros(), told(&host).ended), (at("02T02:30").micros() - 1, false));
    host.poll("02T12:00");
    host.journal.announced(job).expect("writes");
    assert_eq!((told(&host).until, told(&host).ended), (at("02T12:00"), true));
    host.poll("02T12:00");
    assert_eq!(host.told("02T12:00"), [("45 3 * * *".into(), at("02T12:00"), at("02T12:00"), false)]);
}

#[test]
fn what_an_untold_fire_stands_for_is_not_settled_either() {
    for (more, until) in [(0, at("02T02:30").micros() - 1), (9, at("01T12:00").micros())] {
        let (host, id) = (Host::new(), ScheduleId::new());
        host.sync(&state(id, "30 2 * * *", None, true), "01T12:00");
        let job = host.run_for(id, "04T02:30", &["02T02:30", "03T02:30"], more);
        assert_eq!(host.until("04T09:00").micros(), until);
        host.journal.announced(job).expect("writes");
        assert_eq!(host.until("04T09:00"), at("04T09:00"));
    }
}

#[test]
fn what_waits_for_its_place_when_the_line_ends_is_not_owed() {
    let (host, id) = (Host::new(), ScheduleId::new());
    let mut spread = state(id, "30 2 * * *", None, true);
    spread.schedules[0].firing.jitter_minutes = 360;
    host.sync(&spread, "01T12:00");
    assert_eq!(host.due("02T02:30"), [], "it waits");
    spread.schedules[0].enabled = false;
    host.sync(&spread, "02T02:30");
    assert_eq!(host.until("02T12:00").micros(), at("02T02:30").micros() - 1);
}

#[test]
fn a_change_that_was_on_disk_before_a_kill_ends_the_line_where_it_was_followed() {
    let (host, id) = (Host::new(), ScheduleId::new());
    host.sync(&state(id, "30 2 * * *", None, true), "01T12:00");
    host.run(id, "02T02:30");
    host.journal.announced(JobId::of_fire(id, at("02T02:30"))).expect("writes");
    let host = host.restarted();
    host.sync(&state(id, "45 3 * * *", None, true), "03T12:00");
    let nightly = ("30 2 * * *".to_owned(), at("01T12:00"), at("02T02:30"), true);
    assert_eq!(host.told("03T12:00"), [nightly, ("45 3 * * *".to_owned(), at("03T12:00"), at("03T12:00"), false)]);
}
