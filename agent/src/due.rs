//! Which fires of a schedule are due, and what to do about those that were slept through. Pure: the clock, and what was done before,
//! come from outside.

use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::spread::spread;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::MAX_STOOD_FOR;
use restic_manager_shared::wire::pause::{Pause, first_free, paused_at};
use restic_manager_shared::wire::state::Firing;
use std::collections::VecDeque;
use std::time::Duration;

/// A start that is late by less is on time: the scheduler looks at least this often, and a busy host may be slow.
const GRACE: Duration = Duration::from_secs(90);
/// Fires longer ago are not counted any more; beyond the longest catch-up there is.
const LOOK_BACK: Duration = Duration::from_secs(32 * 86_400);

/// When a schedule fires on this host.
#[derive(Clone, Debug)]
pub struct Line {
    /// The cron line.
    pub cron: Crontab,
    /// The zone it is read in.
    pub zone: Tz,
    /// What becomes of its fires.
    pub firing: Firing,
    /// Times in which it does not fire: the schedule's own and its host's.
    pub pauses: Vec<Pause>,
    /// Whose: the spread depends on it.
    pub host: HostId,
    /// Which.
    pub schedule: ScheduleId,
}

/// What to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// No fire is due.
    Nothing,
    /// Start the schedule once.
    Fire {
        /// The newest fire that is due: it gives the job its name.
        due: Timestamp,
        /// Earlier ones that the run stands for, oldest first, at most [`MAX_STOOD_FOR`].
        stands_for: Vec<Timestamp>,
        /// How many more there were.
        more: u64,
    },
    /// Fires went by too long ago to be made up for; the newest of them.
    TooLate {
        /// When it was due.
        due: Timestamp,
    },
}

impl Line {
    /// The first fire after an instant that falls into no pause, and when it starts.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<(Timestamp, Timestamp)> {
        first_free(&self.pauses, after, |after| self.named(after))
    }

    /// When it is to be looked again, given up to when it was followed: at the next start, or at the end of a pause.
    #[must_use]
    pub fn wakes(&self, until: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let (_, start) = self.next(until)?;
        match paused_at(&self.pauses, now) {
            None => Some(start),
            Some(pause) => pause.until.map(|end| end.max(start)),
        }
    }

    /// The first fire that the line names after an instant, and when it starts, whatever is paused.
    fn named(&self, after: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let due = self.cron.next_after(after.to_utc(), self.zone)?;
        let gap = self.cron.next_after(due, self.zone).and_then(|next| (next - due).to_std().ok());
        let due = Timestamp::from(due);
        Some((due, due + spread(self.host, self.schedule, self.firing, gap)))
    }

    /// What to do about the fires after `until`, which are not decided on yet. `fired` knows those that were: a clock that was set back
    /// comes by them again. In a pause nothing starts: what was due before it, and slept through, is decided on when it ends.
    pub fn decide(&self, until: Timestamp, now: Timestamp, fired: impl Fn(Timestamp) -> bool) -> Decision {
        if paused_at(&self.pauses, now).is_some() {
            return Decision::Nothing;
        }
        let mut after = until.max(now - LOOK_BACK);
        let mut passed: VecDeque<Timestamp> = VecDeque::new();
        let (mut more, mut newest_start) = (0, now);
        while let Some((due, start)) = self.next(after).filter(|(_, start)| *start <= now) {
            after = due;
            if fired(due) {
                continue;
            }
            newest_start = start;
            passed.push_back(due);
            if passed.len() > MAX_STOOD_FOR + 1 {
                passed.pop_front();
                more += 1;
            }
        }
        let Some(due) = passed.pop_back() else { return Decision::Nothing };
        let catch_up = Duration::from_secs(u64::from(self.firing.catch_up_minutes) * 60);
        let on_time = now.since(newest_start) <= GRACE;
        if !on_time && now.since(due) > catch_up {
            return Decision::TooLate { due };
        }
        if catch_up.is_zero() {
            (passed, more) = (VecDeque::new(), 0);
        }
        Decision::Fire { due, stands_for: passed.into(), more }
    }

    /// Up to when there is nothing left to decide: now, or just before a fire that waits for its place in the spread.
    #[must_use]
    pub fn settled(&self, until: Timestamp, now: Timestamp) -> Timestamp {
        match self.next(until) {
            Some((due, _)) if due <= now => Timestamp::from_micros(due.micros() - 1),
            _ => now.max(until),
        }
    }

    /// Up to when the line counts if it ends now: what should have started by now should have been, what waits for its place in the
    /// spread not any more.
    #[must_use]
    pub fn over(&self, until: Timestamp, now: Timestamp) -> Timestamp {
        let mut after = until.max(now - LOOK_BACK);
        while let Some((due, _)) = self.next(after).filter(|(_, start)| *start <= now) {
            after = due;
        }
        self.settled(after, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(cron: &str, catch_up_minutes: u32, jitter_minutes: u32) -> Line {
        Line {
            cron: cron.parse().expect("valid"),
            zone: Tz::UTC,
            firing: Firing { catch_up_minutes, jitter_minutes, ..Firing::default() },
            pauses: vec![],
            host: HostId::new(),
            schedule: ScheduleId::new(),
        }
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(&format!("2026-03-{text}:00Z")).expect("valid")
    }

    fn fire(due: &str, stands_for: &[&str]) -> Decision {
        Decision::Fire { due: at(due), stands_for: stands_for.iter().map(|t| at(t)).collect(), more: 0 }
    }

    #[test]
    fn one_run_makes_up_for_what_was_slept_through() {
        let late = |due: &str| Decision::TooLate { due: at(due) };
        for (cron, catch_up, until, now, want) in [
            ("30 2 * * *", 1440, "01T03:00", "02T02:29", Decision::Nothing),
            ("30 2 * * *", 1440, "01T03:00", "02T02:30", fire("02T02:30", &[])),
            ("30 2 * * *", 1440, "02T02:30", "02T02:31", Decision::Nothing),
            // Slept through three: one run, which names the two others.
            ("30 2 * * *", 1440, "01T03:00", "04T09:00", fire("04T02:30", &["02T02:30", "03T02:30"])),
            // The window is for the newest.
            ("30 2 * * *", 60, "01T03:00", "04T09:00", late("04T02:30")),
            ("30 2 * * *", 60, "03T03:00", "04T03:29", fire("04T02:30", &[])),
            ("30 2 * * *", 0, "03T03:00", "04T02:33", late("04T02:30")),
            ("30 2 * * *", 0, "01T03:00", "04T02:30", fire("04T02:30", &[])),
            ("0 0 31 2 *", 1440, "01T03:00", "04T02:33", Decision::Nothing),
        ] {
            assert_eq!(line(cron, catch_up, 0).decide(at(until), at(now), |_| false), want, "{cron} {until} {now}");
        }
    }

    #[test]
    fn what_fired_before_the_clock_was_set_back_does_not_fire_again() {
        let line = line("30 2 * * *", 1440, 0);
        let fired = |due: Timestamp| due == at("02T02:30");
        assert_eq!(line.decide(at("02T02:10"), at("02T02:40"), fired), Decision::Nothing);
        assert_eq!(line.decide(at("02T02:10"), at("03T02:30"), fired), fire("03T02:30", &[]));
    }

    #[test]
    fn a_year_ahead_is_one_run_and_a_bounded_look_back() {
        let year_ahead = Timestamp::parse("2027-03-02T09:00:00Z").expect("valid");
        let decision = line("*/5 * * * *", 1440, 0).decide(at("02T09:00"), year_ahead, |_| false);
        let Decision::Fire { due, stands_for, more } = decision else { panic!("{decision:?}") };
        assert_eq!((due, stands_for.len()), (year_ahead, MAX_STOOD_FOR));
        assert_eq!(more, 32 * 288 - 1 - MAX_STOOD_FOR as u64);
    }

    #[test]
    fn a_fire_waits_for_its_place_in_the_spread() {
        let line = line("0 2 * * *", 1440, 60);
        let (due, start) = line.next(at("01T12:00")).expect("fires");
        assert!(start >= due && start < due + Duration::from_secs(3600));
        assert_eq!(line.decide(at("01T12:00"), start - Duration::from_secs(1), |_| false), Decision::Nothing);
        assert_eq!(line.decide(at("01T12:00"), start, |_| false), fire("02T02:00", &[]));
        assert_eq!(line.settled(at("01T12:00"), start).micros(), due.micros() - 1, "until it is decided");
        assert_eq!(line.settled(due, start), start);
        assert_eq!(line.settled(at("01T12:00"), at("01T13:00")), at("01T13:00"));
        // When the line ends.
        let before = |instant: Timestamp| Timestamp::from_micros(instant.micros() - 1);
        for (until, now, want) in [
            ("01T12:00", at("01T13:00"), at("01T13:00")),
            ("01T12:00", due, before(due)),
            ("01T12:00", start, start),
            ("01T12:00", at("05T02:00"), before(at("05T02:00"))),
            ("05T12:00", at("04T12:00"), at("05T12:00")),
        ] {
            assert_eq!(line.over(at(until), now), want, "{until} {now}");
        }
    }

    fn paused(line: Line, pauses: &[(&str, &str)]) -> Line {
        let pause =
            |(from, until): &(&str, &str)| Pause { from: at(from), until: (!until.is_empty()).then(|| at(until)) };
        Line { pauses: pauses.iter().map(pause).collect(), ..line }
    }

    /// Pauses, catch-up, up to when it was followed, now, and what is decided.
    type Paused = (&'static [(&'static str, &'static str)], u32, &'static str, &'static str, Decision);

    #[test]
    fn nothing_starts_in_a_pause_and_what_fell_into_it_is_not_made_up_for() {
        const NIGHT: &[(&str, &str)] = &[("02T01:00", "02T04:00")];
        let cases: [Paused; 12] = [
            (NIGHT, 1440, "01T03:00", "02T02:30", Decision::Nothing),
            (NIGHT, 1440, "01T03:00", "02T04:00", Decision::Nothing),
            (NIGHT, 1440, "01T03:00", "03T02:30", fire("03T02:30", &[])),
            // It ends at the very instant of a fire: that one runs. It begins at one: that one does not.
            (&[("02T01:00", "02T02:30")], 1440, "01T03:00", "02T02:30", fire("02T02:30", &[])),
            (&[("02T02:30", "02T04:00")], 1440, "01T03:00", "02T02:30", Decision::Nothing),
            (&[("02T02:30", "02T04:00")], 1440, "01T03:00", "03T02:30", fire("03T02:30", &[])),
            // Slept through before the pause: held while it lasts, made up for afterwards; only what the pause took is not named.
            (&[("03T01:00", "04T01:00")], 4320, "01T03:00", "03T12:00", Decision::Nothing),
            (&[("03T01:00", "04T01:00")], 4320, "01T03:00", "04T01:00", fire("02T02:30", &[])),
            (&[("03T01:00", "04T01:00")], 4320, "01T03:00", "04T02:30", fire("04T02:30", &["02T02:30"])),
            (&[("03T01:00", "04T01:00")], 60, "01T03:00", "04T01:00", Decision::TooLate { due: at("02T02:30") }),
            // Without an end.
            (&[("02T01:00", "")], 1440, "01T03:00", "20T02:30", Decision::Nothing),
            // Of the host and of its own: the longer one holds.
            (
                &[("02T01:00", "02T02:00"), ("02T01:30", "03T02:00")],
                1440,
                "01T03:00",
                "03T02:30",
                fire("03T02:30", &[]),
            ),
        ];
        for (pauses, catch_up, until, now, want) in cases {
            let line = paused(line("30 2 * * *", catch_up, 0), pauses);
            assert_eq!(line.decide(at(until), at(now), |_| false), want, "{pauses:?} {now}");
        }
    }

    #[test]
    fn a_paused_line_is_followed_all_the_same_and_wakes_when_there_is_something_to_do() {
        let line = |pauses| paused(line("30 2 * * *", 1440, 0), pauses);
        let open = line(&[("02T01:00", "")]);
        assert_eq!((open.next(at("02T00:00")), open.wakes(at("02T00:00"), at("02T12:00"))), (None, None));
        assert_eq!(open.settled(at("01T03:00"), at("05T12:00")), at("05T12:00"), "nothing is left to decide");
        let till_four = line(&[("02T01:00", "02T04:00")]);
        assert_eq!(till_four.wakes(at("01T03:00"), at("02T02:00")), Some(at("03T02:30")));
        assert_eq!(till_four.settled(at("01T03:00"), at("02T12:00")), at("02T12:00"));
        // One that was slept through is held: not settled, and looked at again when the pause ends.
        let held = line(&[("02T05:00", "02T09:00")]);
        assert_eq!(held.settled(at("01T03:00"), at("02T06:00")).micros(), at("02T02:30").micros() - 1);
        assert_eq!(held.wakes(at("01T03:00"), at("02T06:00")), Some(at("02T09:00")));
    }

    #[test]
    fn a_start_that_falls_into_a_pause_does_not_come_later() {
        let plain = line("0 2 * * *", 1440, 60);
        let (due, start) = plain.next(at("01T12:00")).expect("fires");
        let pauses = vec![Pause { from: due + Duration::from_micros(1), until: Some(start + Duration::from_secs(1)) }];
        let paused = Line { pauses, ..plain };
        if start > due {
            assert_eq!(paused.next(at("01T12:00")).map(|(due, _)| due), Some(at("03T02:00")));
        }
    }
}
