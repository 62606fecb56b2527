//! What local times mean when clocks change, zone by zone: as tables of what is known to have happened, and as properties over two years
//! of a simulated clock. What a line means on a quiet day is checked against an oracle in `cron_oracle`.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use chrono::{DateTime, Datelike, LocalResult, NaiveDateTime, TimeDelta, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use proptest::collection::btree_set;
use proptest::prelude::*;
use restic_manager_shared::cron::Crontab;
use std::collections::BTreeSet;

const ZONES: [Tz; 6] = [
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Casablanca,
    Tz::Pacific__Apia,
    Tz::UTC,
];

fn told(line: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
    let cron: Crontab = line.parse().unwrap();
    let from = DateTime::parse_from_rfc3339(from).unwrap().to_utc();
    cron.fires(from, zone).take(count).map(|at| at.with_timezone(&zone).format("%d %b %H:%M %:z").to_string()).collect()
}

#[test]
fn a_fixed_time_that_is_skipped_fires_right_after_the_jump() {
    for (zone, line, from, fires) in [
        (Tz::Europe__Berlin, "30 2 * * *", "2027-03-27T12:00:00Z", ["28 Mar 03:00 +02:00", "29 Mar 02:30 +02:00"]),
        // Two skipped times are one fire: they are due at the same instant.
        (Tz::Europe__Berlin, "0,30 2 * * *", "2027-03-27T12:00:00Z", ["28 Mar 03:00 +02:00", "29 Mar 02:00 +02:00"]),
        // So are a skipped time and one that is due when the jump ends.
        (Tz::Europe__Berlin, "30 2,3 * * *", "2027-03-27T12:00:00Z", ["28 Mar 03:00 +02:00", "28 Mar 03:30 +02:00"]),
        (Tz::America__New_York, "15 2 * * *", "2027-03-13T12:00:00Z", ["14 Mar 03:00 -04:00", "15 Mar 02:15 -04:00"]),
        (
            Tz::Australia__Lord_Howe,
            "15 2 * * *",
            "2026-10-03T00:00:00Z",
            ["04 Oct 02:30 +11:00", "05 Oct 02:15 +11:00"],
        ),
        (
            Tz::Australia__Lord_Howe,
            "45 2 * * *",
            "2026-10-03T00:00:00Z",
            ["04 Oct 02:45 +11:00", "05 Oct 02:45 +11:00"],
        ),
        // The end of Ramadan 2026, when Morocco goes back to its summer clock.
        (Tz::Africa__Casablanca, "30 2 * * *", "2026-03-21T12:00:00Z", ["22 Mar 03:00 +01:00", "23 Mar 02:30 +01:00"]),
        // Samoa had no 30 December 2011; the day after began at once.
        (Tz::Pacific__Apia, "30 2 * * *", "2011-12-29T12:30:00Z", ["31 Dec 00:00 +14:00", "31 Dec 02:30 +14:00"]),
        (Tz::Pacific__Apia, "0 2 30 * *", "2011-12-29T12:00:00Z", ["31 Dec 00:00 +14:00", "30 Jan 02:00 +14:00"]),
        (Tz::UTC, "30 2 * * *", "2027-03-27T12:00:00Z", ["28 Mar 02:30 +00:00", "29 Mar 02:30 +00:00"]),
    ] {
        assert_eq!(told(line, zone, from, 2), fires, "{line} in {zone}");
    }
}

#[test]
fn a_fixed_time_that_happens_twice_fires_the_first_time() {
    for (zone, line, from, fires) in [
        (Tz::Europe__Berlin, "30 2 * * *", "2026-10-24T12:00:00Z", ["25 Oct 02:30 +02:00", "26 Oct 02:30 +01:00"]),
        (Tz::Europe__Berlin, "30 2 * * *", "2026-10-25T00:30:00Z", ["26 Oct 02:30 +01:00", "27 Oct 02:30 +01:00"]),
        (Tz::Europe__Berlin, "15 2,3 * * *", "2026-10-24T12:00:00Z", ["25 Oct 02:15 +02:00", "25 Oct 03:15 +01:00"]),
        (Tz::America__New_York, "30 1 * * *", "2026-11-01T00:00:00Z", ["01 Nov 01:30 -04:00", "02 Nov 01:30 -05:00"]),
        (
            Tz::Australia__Lord_Howe,
            "45 1 * * *",
            "2026-04-04T00:00:00Z",
            ["05 Apr 01:45 +11:00", "06 Apr 01:45 +10:30"],
        ),
        (Tz::Africa__Casablanca, "30 2 * * *", "2026-02-14T12:00:00Z", ["15 Feb 02:30 +01:00", "16 Feb 02:30 +00:00"]),
        (Tz::Pacific__Apia, "30 3 * * *", "2012-03-31T00:00:00Z", ["01 Apr 03:30 +14:00", "02 Apr 03:30 +13:00"]),
    ] {
        assert_eq!(told(line, zone, from, 2), fires, "{line} in {zone}");
    }
}

#[test]
fn a_line_that_repeats_follows_elapsed_time() {
    for (zone, line, from, fires) in [
        (
            Tz::Europe__Berlin,
            "*/30 * * * *",
            "2027-03-28T00:00:00Z",
            ["28 Mar 01:30 +01:00", "28 Mar 03:00 +02:00", "28 Mar 03:30 +02:00"],
        ),
        (
            Tz::Europe__Berlin,
            "0 * * * *",
            "2026-10-24T23:30:00Z",
            ["25 Oct 02:00 +02:00", "25 Oct 02:00 +01:00", "25 Oct 03:00 +01:00"],
        ),
        (
            Tz::Australia__Lord_Howe,
            "*/15 * * * *",
            "2026-10-03T15:15:00Z",
            ["04 Oct 02:30 +11:00", "04 Oct 02:45 +11:00", "04 Oct 03:00 +11:00"],
        ),
        (
            Tz::Australia__Lord_Howe,
            "*/15 * * * *",
            "2026-04-04T14:45:00Z",
            ["05 Apr 01:30 +10:30", "05 Apr 01:45 +10:30", "05 Apr 02:00 +10:30"],
        ),
        (
            Tz::Pacific__Apia,
            "0 */12 * * *",
            "2011-12-29T12:00:00Z",
            ["29 Dec 12:00 -10:00", "31 Dec 00:00 +14:00", "31 Dec 12:00 +14:00"],
        ),
        (
            Tz::Africa__Casablanca,
            "0 * * * *",
            "2026-03-22T00:30:00Z",
            ["22 Mar 01:00 +00:00", "22 Mar 03:00 +01:00", "22 Mar 04:00 +01:00"],
        ),
    ] {
        assert_eq!(told(line, zone, from, 3), fires, "{line} in {zone}");
    }
}

/// Minutes, hours and weekdays of a line, as numbers: what the properties judge by, without asking the parser.
#[derive(Clone, Debug)]
struct Plan {
    minutes: BTreeSet<u32>,
    hours: BTreeSet<u32>,
    weekdays: BTreeSet<u32>,
}

fn list(numbers: &BTreeSet<u32>) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Plan {
    fn due(&self, wall: NaiveDateTime) -> bool {
        wall.second() == 0
            && self.minutes.contains(&wall.minute())
            && self.hours.contains(&wall.hour())
            && self.weekdays.contains(&wall.weekday().num_days_from_sunday())
    }
}

fn zone() -> impl Strategy<Value = Tz> {
    proptest::sample::select(ZONES.to_vec())
}

/// The first of January of some year; Samoa's is that of the year that lost a day.
fn start(zone: Tz, year: i32) -> DateTime<Utc> {
    let year = if zone == Tz::Pacific__Apia { 2011 } else { year };
    Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap()
}

const TWO_YEARS: TimeDelta = TimeDelta::days(730);

fn local(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

/// The minutes, in UTC, at which the zone's clock jumps; found by looking at each.
fn jumps(zone: Tz, from: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| local(at, zone) - at.naive_utc();
    let days = (0..TWO_YEARS.num_days()).map(|n| from + TimeDelta::days(n));
    let changed = days.filter(|day| offset(*day) != offset(*day + TimeDelta::days(1)));
    let minutes = changed.flat_map(|day| (1..=24 * 60).map(move |m| day + TimeDelta::minutes(m)));
    minutes.filter(|at| offset(*at) != offset(*at - TimeDelta::minutes(1))).collect()
}

/// When a local time is due: when it first happens, or, if it never does, when the clock jumps over it.
fn instant(wall: NaiveDateTime, zone: Tz, jumps: &[DateTime<Utc>]) -> DateTime<Utc> {
    match zone.from_local_datetime(&wall) {
        LocalResult::Single(at) | LocalResult::Ambiguous(at, _) => at.to_utc(),
        LocalResult::None => {
            let over =
                |at: &&DateTime<Utc>| local(**at - TimeDelta::minutes(1), zone) < wall && local(**at, zone) > wall;
            *jumps.iter().find(over).expect("a local time is missing only where a clock jumps")
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_slot_of_a_fixed_line_fires_once(
        zone in zone(), year in 2012..2035_i32,
        minutes in btree_set(0..60_u32, 1..3), hours in btree_set(0..5_u32, 1..3), weekdays in btree_set(0..7_u32, 1..=7),
    ) {
        let plan = Plan { minutes, hours, weekdays };
        let line = format!("{} {} * * {}", list(&plan.minutes), list(&plan.hours), list(&plan.weekdays));
        let (from, cron) = (start(zone, year), line.parse::<Crontab>().unwrap());
        let (until, jumps) = (from + TWO_YEARS, jumps(zone, from));
        let days = (-2..732).map(|n| from.date_naive() + TimeDelta::days(n));
        let (hours, minutes) = (&plan.hours, &plan.minutes);
        let times = days.flat_map(|d| hours.iter().flat_map(move |h| minutes.iter().map(move |m| (d, *h, *m))));
        let slots = times.map(|(d, h, m)| d.and_hms_opt(h, m, 0).unwrap()).filter(|wall| plan.due(*wall));
        // Slots that one jump skips together are due together: a set, not a list.
        let due: BTreeSet<_> = slots.map(|wall| instant(wall, zone, &jumps)).filter(|at| *at > from && *at <= until).collect();
        let fires: Vec<_> = cron.fires(from, zone).take_while(|at| *at <= until).collect();
        prop_assert!(fires.is_sorted_by(|a, b| a < b), "{line} in {zone} goes back in time");
        prop_assert_eq!(fires, due.into_iter().collect::<Vec<_>>(), "{} in {}", line, zone);
    }

    #[test]
    fn a_repeating_line_fires_whenever_the_clock_shows_a_due_minute(
        zone in zone(), year in 2012..2035_i32,
        minute_step in proptest::sample::select(vec![1, 5, 7, 10, 15, 30]), hour_step in 1..6_u32, weekdays in btree_set(0..7_u32, 5..=7),
    ) {
        let plan = Plan {
            minutes: (0..60).step_by(minute_step).collect(),
            hours: (0..24).step_by(hour_step as usize).collect(),
            weekdays,
        };
        let line = format!("*/{minute_step} */{hour_step} * * {}", list(&plan.weekdays));
        let (from, cron) = (start(zone, year), line.parse::<Crontab>().unwrap());
        // Two days around each change, and two in which there may be none.
        for middle in jumps(zone, from).into_iter().chain([from + TimeDelta::days(2)]) {
            let (begin, end) = (middle - TimeDelta::days(1), middle + TimeDelta::days(1));
            let minutes = (1..=2 * 24 * 60).map(|m| begin + TimeDelta::minutes(m));
            let due: Vec<_> = minutes.filter(|at| plan.due(local(*at, zone))).collect();
            let fires: Vec<_> = cron.fires(begin, zone).take_while(|at| *at <= end).collect();
            prop_assert_eq!(fires, due, "{} in {} around {}", line, zone, middle);
        }
    }

    #[test]
    fn the_gaps_of_a_repeating_line_are_elapsed_time(
        zone in zone(), year in 2012..2035_i32, step in proptest::sample::select(vec![5, 6, 10, 15, 30]),
    ) {
        // All of these divide half an hour, the smallest jump there is, so that no jump moves them against the hour.
        let (from, cron) = (start(zone, year), format!("*/{step} * * * *").parse::<Crontab>().unwrap());
        for middle in jumps(zone, from) {
            let begin = middle - TimeDelta::hours(30);
            let fires: Vec<_> = cron.fires(begin, zone).take_while(|at| *at <= middle + TimeDelta::hours(30)).collect();
            for pair in fires.windows(2) {
                prop_assert_eq!(pair[1] - pair[0], TimeDelta::minutes(step), "*/{} in {} after {}", step, zone, pair[0]);
            }
        }
    }
}
