//! Schedules over weeks of a simulated clock: hosts that sleep, crash and have their clocks set. Whatever happens, no fire runs twice and
//! none is forgotten.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use agent::due::{Decision, Line};
use chrono_tz::Tz;
use proptest::prelude::*;
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::state::Firing;
use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

const START: i64 = 1_772_000_000; // February 2026, so that weeks of it cross a change of the clocks

#[derive(Clone, Debug)]
enum Event {
    /// Awake for so many minutes, looking at the clock all the time.
    Awake(u32),
    /// Asleep, down or without power for so many minutes.
    Gone(u32),
    /// Somebody sets the clock back by so many minutes.
    SetBack(u32),
}

/// A host's memory, as the journal keeps it.
struct Simulated {
    line: Line,
    now: Timestamp,
    until: Timestamp,
    fired: HashSet<Timestamp>,
    runs: Vec<Timestamp>,
    stood_for: BTreeSet<Timestamp>,
    let_go: BTreeSet<Timestamp>,
}

impl Simulated {
    fn look(&mut self) {
        match self.line.decide(self.until, self.now, |due| self.fired.contains(&due)) {
            Decision::Nothing => {}
            Decision::Fire { due, stands_for, more } => {
                assert_eq!(more, 0);
                self.until = due;
                self.fired.insert(due);
                self.fired.extend(&stands_for);
                self.runs.push(due);
                self.stood_for.extend(stands_for);
            }
            Decision::TooLate { due } => {
                let mut at = self.until;
                while let Some((slot, _)) = self.line.next(at).filter(|(slot, _)| *slot <= due) {
                    self.let_go.insert(slot);
                    at = slot;
                }
                self.until = due;
            }
        }
    }

    fn live(&mut self, event: &Event) {
        match event {
            Event::Awake(minutes) => {
                let end = self.now + Duration::from_secs(u64::from(*minutes) * 60);
                while self.now < end {
                    // As the scheduler sleeps: until the next start, at most a while.
                    let next = self.line.next(self.until).map_or(end, |(_, start)| start);
                    let step = next.since(self.now).clamp(Duration::from_secs(1), Duration::from_secs(900));
                    self.now = self.now + step;
                    self.look();
                }
            }
            Event::Gone(minutes) => self.now = self.now + Duration::from_secs(u64::from(*minutes) * 60),
            Event::SetBack(minutes) => {
                self.now = self.now - Duration::from_secs(u64::from(*minutes) * 60);
                self.until = self.until.min(self.now);
            }
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (1_u32..4000).prop_map(Event::Awake),
        3 => (1_u32..6000).prop_map(Event::Gone),
        1 => (1_u32..600).prop_map(Event::SetBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_fire_runs_twice_and_none_is_forgotten(
        events in prop::collection::vec(event(), 1..16),
        cron in prop::sample::select(vec!["30 2 * * *", "0 */4 * * *", "15 9 * * 1-5", "0 3 1,15 * *", "5 1,13 * * *"]),
        zone in prop::sample::select(vec![Tz::UTC, Tz::Europe__Berlin, Tz::America__New_York, Tz::Australia__Lord_Howe]),
        catch_up_minutes in prop::sample::select(vec![0_u32, 60, 1440, 44_640]),
        jitter_minutes in prop::sample::select(vec![0_u32, 10, 120]),
    ) {
        let start = Timestamp::from_seconds(START);
        let line = Line {
            cron: cron.parse().expect("valid"),
            zone,
            firing: Firing { catch_up_minutes, jitter_minutes, ..Firing::default() },
            pauses: vec![],
            host: HostId::new(),
            schedule: ScheduleId::new(),
        };
        let (fired, runs) = (HashSet::new(), Vec::new());
        let mut host = Simulated { line, now: start, until: start, fired, runs, stood_for: BTreeSet::new(), let_go: BTreeSet::new() };
        let mut latest = start;
        for event in &events {
            host.live(event);
            host.look();
            latest = latest.max(host.now);
        }
        let distinct: BTreeSet<Timestamp> = host.runs.iter().copied().collect();
        prop_assert_eq!(distinct.len(), host.runs.len(), "a fire ran twice: {:?}", host.runs);
        if events.iter().all(|e| !matches!(e, Event::Gone(_) | Event::SetBack(_))) {
            prop_assert!(host.stood_for.is_empty() && host.let_go.is_empty(), "an awake host misses nothing");
        }
        let mut at = start;
        while let Some((due, _)) = host.line.next(at).filter(|(_, started)| *started <= host.now) {
            let known = distinct.contains(&due) || host.stood_for.contains(&due) || host.let_go.contains(&due);
            // Without a window nothing is stood for, and what lay before a run on time is let go with it.
            let before_a_run = catch_up_minutes == 0 && distinct.range(due..).next().is_some();
            prop_assert!(known || before_a_run, "{due} was forgotten");
            at = due;
        }
    }
}
