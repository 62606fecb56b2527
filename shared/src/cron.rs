//! Cron lines as crontab(5) means them: five fields, names, ranges, steps, lists, `@daily` and friends, in an IANA time zone.
//!
//! The `cron` crate does the matching, but it means something else by a line (seconds first, Sunday is 1, both day fields must
//! match, its own idea of daylight saving), so it is only ever fed a translated line in a zone without gaps. What local times mean
//! at a clock change is decided here: a fixed time that is skipped fires right after the jump, one that happens twice fires once;
//! a line that repeats follows real elapsed time.

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// The widest jump that a zone's clock makes within one day, with room to spare; days that a zone skips whole are handled apart.
const SLACK: TimeDelta = TimeDelta::hours(25);

/// One of the five fields, to say where a line is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// 1 to 31.
    DayOfMonth,
    /// 1 to 12 or `jan` to `dec`.
    Month,
    /// 0 to 7 or `sun` to `sat`; 0 and 7 are Sunday.
    DayOfWeek,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::DayOfMonth => "day of month",
            Self::Month => "month",
            Self::DayOfWeek => "day of week",
        })
    }
}

/// Why a line is not a cron line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CronError {
    /// Not five fields.
    #[error("a cron line has 5 fields (minute, hour, day of month, month, day of week), this one has {0}")]
    FieldCount(usize),
    /// An `@name` that is not known.
    #[error("{0} is not known; use @hourly, @daily, @weekly, @monthly or @yearly")]
    UnknownShorthand(String),
    /// One field is wrong.
    #[error("{field}: {reason}")]
    Field {
        /// Which.
        field: Field,
        /// What is wrong with it.
        reason: String,
    },
}

/// A cron line.
#[derive(Clone, Debug)]
pub struct Crontab {
    /// One or two schedules; it fires when any of them does.
    parts: Vec<cron::Schedule>,
    /// The numbers of the five fields, in their order on the line.
    sets: [BTreeSet<u32>; 5],
    /// Which of the five fields begin with `*`.
    stars: [bool; 5],
}

struct Range {
    field: Field,
    low: u32,
    high: u32,
    names: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const RANGES: [Range; 5] = [
    Range { field: Field::Minute, low: 0, high: 59, names: &[] },
    Range { field: Field::Hour, low: 0, high: 23, names: &[] },
    Range { field: Field::DayOfMonth, low: 1, high: 31, names: &[] },
    Range { field: Field::Month, low: 1, high: 12, names: &MONTHS },
    Range { field: Field::DayOfWeek, low: 0, high: 7, names: &WEEKDAYS },
];

impl Range {
    fn fail(&self, reason: impl Into<String>) -> CronError {
        CronError::Field { field: self.field, reason: reason.into() }
    }

    fn number(&self, text: &str) -> Result<u32, CronError> {
        if let Some(at) = self.names.iter().position(|n| text.eq_ignore_ascii_case(n)) {
            return Ok(u32::try_from(at).unwrap_or(0) + if self.field == Field::Month { 1 } else { 0 });
        }
        let n = text
            .bytes()
            .all(|b| b.is_ascii_digit())
            .then(|| text.parse::<u32>().ok())
            .flatten()
            .ok_or_else(|| self.fail(format!("'{text}' is not a number or a name")))?;
        if n < self.low || n > self.high {
            return Err(self.fail(format!("{n} is not within {} to {}", self.low, self.high)));
        }
        Ok(n)
    }

    /// The numbers that a field stands for.
    fn expand(&self, text: &str) -> Result<BTreeSet<u32>, CronError> {
        let mut set = BTreeSet::new();
        for item in text.split(',') {
            let (body, step) = match item.split_once('/') {
                Some((body, step)) => {
                    let n = step.parse::<u32>().ok().filter(|n| *n > 0);
                    (body, Some(n.ok_or_else(|| self.fail(format!("'{step}' is not a step")))?))
                }
                None => (item, None),
            };
            let (from, to) = if body == "*" {
                (self.low, if self.field == Field::DayOfWeek { 6 } else { self.high })
            } else if let Some((a, b)) = body.split_once('-') {
                let (from, mut to) = (self.number(a)?, self.number(b)?);
                if to < from && self.field == Field::DayOfWeek {
                    to += 7; // fri-mon
                }
                if to < from {
                    return Err(self.fail(format!("the range '{body}' runs backwards")));
                }
                (from, to)
            } else {
                let n = self.number(body)?;
                if let Some(step) = step {
                    return Err(
                        self.fail(format!("'{item}' is unclear; write '*/{step}' or '{n}-{}/{step}'", self.high))
                    );
                }
                (n, n)
            };
            let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
            set.extend((from..=to).step_by(step).map(|n| if self.field == Field::DayOfWeek { n % 7 } else { n }));
        }
        Ok(set)
    }
}

fn list(set: &BTreeSet<u32>, name: impl Fn(u32) -> String) -> String {
    set.iter().map(|n| name(*n)).collect::<Vec<_>>().join(",")
}

impl FromStr for Crontab {
    type Err = CronError;

    fn from_str(line: &str) -> Result<Self, CronError> {
        let line = match line.trim() {
            "@yearly" | "@annually" => "0 0 1 1 *",
            "@monthly" => "0 0 1 * *",
            "@weekly" => "0 0 * * 0",
            "@daily" | "@midnight" => "0 0 * * *",
            "@hourly" => "0 * * * *",
            other if other.starts_with('@') => return Err(CronError::UnknownShorthand(other.to_owned())),
            other => other,
        };
        let fields: Vec<&str> = line.split_whitespace().collect();
        if fields.len() != RANGES.len() {
            return Err(CronError::FieldCount(fields.len()));
        }
        let mut sets: [BTreeSet<u32>; 5] = Default::default();
        let mut stars = [false; 5];
        for (at, (range, text)) in RANGES.iter().zip(&fields).enumerate() {
            sets[at] = range.expand(text)?;
            stars[at] = text.starts_with('*');
        }
        let numbers = |at: usize| list(&sets[at], |n| n.to_string());
        let weekdays = list(&sets[4], |n| WEEKDAYS[n as usize % 7].to_owned());
        let inner = |days: &str, weekdays: &str| {
            let text = format!("0 {} {} {days} {} {weekdays}", numbers(0), numbers(1), numbers(3));
            cron::Schedule::from_str(&text).map_err(|e| RANGES[0].fail(e.to_string()))
        };
        // crontab(5): both day fields restricted means either; a field that starts with `*` is not restricted.
        let parts = if !stars[2] && !stars[4] {
            vec![inner(&numbers(2), "*")?, inner("*", &weekdays)?]
        } else {
            vec![inner(&numbers(2), &weekdays)?]
        };
        Ok(Self { parts, sets, stars })
    }
}

impl Crontab {
    /// The numbers that a field stands for; Sunday is 0.
    #[must_use]
    pub fn numbers(&self, field: Field) -> &BTreeSet<u32> {
        &self.sets[field as usize]
    }

    /// Whether a day counts when either day field holds it. Else it must be in both.
    #[must_use]
    pub const fn either_day(&self) -> bool {
        !self.stars[Field::DayOfMonth as usize] && !self.stars[Field::DayOfWeek as usize]
    }

    /// Whether the line repeats (`*` or `*/n` for the minute or the hour) and so follows elapsed time when a clock changes. Else it
    /// names times of day, and each of them counts once a day.
    #[must_use]
    pub const fn repeats(&self) -> bool {
        self.stars[Field::Minute as usize] || self.stars[Field::Hour as usize]
    }

    /// The instants after `after` at which the line fires in the zone, one after the other. They end where the inner crate's calendar
    /// does, in the year 2100.
    pub fn fires(&self, after: DateTime<Utc>, zone: Tz) -> impl Iterator<Item = DateTime<Utc>> {
        std::iter::successors(self.next_after(after, zone), move |at| self.next_after(*at, zone))
    }

    /// The first instant strictly after `after` at which the line fires in the zone. None if it never does (30 February).
    #[must_use]
    pub fn next_after(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        self.next_on_a_quiet_clock(after, zone).or_else(|| self.next_around_a_change(after, zone))
    }

    /// The next fire, if no clock change can have a say in it; none if one might.
    ///
    /// The first local time due after `after` is the answer when the clock stands still relative to UTC from `after` until then. When
    /// that is far away, it is enough that the clock is quiet for [`SLACK`] after `after` and before the answer: a change in between
    /// skips and repeats only local times in between, and none of those is due.
    fn next_on_a_quiet_clock(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let offset = |at: DateTime<Utc>| at.with_timezone(&zone).offset().fix();
        let wall = after.with_timezone(&zone).naive_local();
        let due = self.parts.iter().filter_map(|part| part.after(&wall.and_utc()).next()).min()?.naive_utc();
        let at = match zone.from_local_datetime(&due) {
            LocalResult::Single(at) => at.to_utc(),
            // Either of the two is due: the one that this clock reaches first. A fixed time counts only the first time.
            LocalResult::Ambiguous(..) if self.repeats() => (due - offset(after)).and_utc(),
            LocalResult::Ambiguous(..) | LocalResult::None => return None,
        };
        let quiet = if at - after <= SLACK {
            offset(after) == offset(at)
        } else {
            offset(after) == offset(after + SLACK) && offset(at - SLACK) == offset(at)
        };
        (quiet && at > after).then_some(at)
    }

    /// The next fire, whatever clocks do: everything due within [`SLACK`] around it is tried.
    fn next_around_a_change(&self, after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
        let start = after.with_timezone(&zone).naive_local() - SLACK;
        let mut best: Option<DateTime<Utc>> = None;
        for part in &self.parts {
            // The inner crate sees wall-clock time labelled UTC: a zone without gaps.
            for wall in part.after(&(Utc.from_utc_datetime(&start) - TimeDelta::seconds(1))) {
                let wall = wall.naive_utc();
                if best.is_some_and(|b| wall > b.with_timezone(&zone).naive_local() + SLACK) {
                    break;
                }
                for at in self.instants(zone, wall) {
                    if at > after && best.is_none_or(|b| at < b) {
                        best = Some(at);
                    }
                }
            }
        }
        best
    }

    fn instants(&self, zone: Tz, wall: NaiveDateTime) -> Vec<DateTime<Utc>> {
        match zone.from_local_datetime(&wall) {
            LocalResult::Single(at) => vec![at.to_utc()],
            LocalResult::Ambiguous(first, _) if !self.repeats() => vec![first.to_utc()],
            LocalResult::Ambiguous(first, second) => vec![first.to_utc(), second.to_utc()],
            LocalResult::None if !self.repeats() => (1..=48 * 60)
                .find_map(|m| zone.from_local_datetime(&(wall + TimeDelta::minutes(m))).earliest())
                .map(|at| at.to_utc())
                .into_iter()
                .collect(),
            LocalResult::None => vec![],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(line: &str, zone: Tz, from: &str, count: usize) -> Vec<String> {
        let cron: Crontab = line.parse().expect(line);
        let mut at = DateTime::parse_from_rfc3339(from).expect("time").to_utc();
        (0..count)
            .map_while(|_| {
                at = cron.next_after(at, zone)?;
                Some(at.with_timezone(&zone).format("%a %d %b %H:%M %:z").to_string())
            })
            .collect()
    }

    #[test]
    fn weekdays_are_crontabs_and_both_day_fields_mean_either() {
        let monday = ["Mon 23 Nov 03:00 +00:00", "Mon 30 Nov 03:00 +00:00"];
        assert_eq!(fires("0 3 * * 1", Tz::UTC, "2026-11-20T00:00:00Z", 2), monday);
        assert_eq!(fires("0 3 * * mon", Tz::UTC, "2026-11-20T00:00:00Z", 2), monday);
        assert_eq!(fires("0 3 * * 7", Tz::UTC, "2026-11-20T00:00:00Z", 1), ["Sun 22 Nov 03:00 +00:00"]);
        assert_eq!(
            fires("0 3 13 * fri", Tz::UTC, "2026-12-01T00:00:00Z", 3),
            ["Fri 04 Dec 03:00 +00:00", "Fri 11 Dec 03:00 +00:00", "Sun 13 Dec 03:00 +00:00"]
        );
        assert_eq!(fires("0 0 31 2 *", Tz::UTC, "2026-12-01T00:00:00Z", 1), Vec::<String>::new());
    }

    #[test]
    fn a_clock_change_neither_skips_nor_doubles_a_fixed_time() {
        let berlin = Tz::Europe__Berlin;
        assert_eq!(
            fires("30 2 * * *", berlin, "2026-03-28T12:00:00Z", 2),
            ["Sun 29 Mar 03:00 +02:00", "Mon 30 Mar 02:30 +02:00"]
        );
        assert_eq!(
            fires("30 2 * * *", berlin, "2026-10-24T12:00:00Z", 2),
            ["Sun 25 Oct 02:30 +02:00", "Mon 26 Oct 02:30 +01:00"]
        );
        assert_eq!(
            fires("*/30 * * * *", berlin, "2026-10-25T00:29:00Z", 4),
            [
                "Sun 25 Oct 02:30 +02:00",
                "Sun 25 Oct 02:00 +01:00",
                "Sun 25 Oct 02:30 +01:00",
                "Sun 25 Oct 03:00 +01:00"
            ]
        );
    }

    #[test]
    fn a_wrong_line_names_its_field() {
        let says = |line: &str| line.parse::<Crontab>().err().map(|e| e.to_string()).unwrap_or_default();
        for (line, field) in [
            ("61 * * * *", "minute"),
            ("* 24 * * *", "hour"),
            ("* * 0 * *", "day of month"),
            ("* * * foo *", "month"),
            ("* * * * 8", "day of week"),
            ("5/15 * * * *", "minute"),
            ("9-3 * * * *", "minute"),
            ("*/0 * * * *", "minute"),
            ("+5 * * * *", "minute"),
        ] {
            assert!(says(line).starts_with(field), "{line}: {}", says(line));
        }
        assert!(says("0 0 * * * *").contains("has 6"));
        assert!(says("").contains("has 0"));
        assert!(says("@reboot").contains("@reboot"));
    }

    #[test]
    fn the_short_way_and_the_long_way_meet() {
        let lines =
            ["* * * * *", "*/7 1-3 * * *", "30 2 * * *", "15,45 0-3 * * *", "0 */5 * * 1", "30 1 1 * fri", "0 0 1 1 *"];
        let zones = [Tz::Europe__Berlin, Tz::Australia__Lord_Howe, Tz::Africa__Casablanca, Tz::Africa__Cairo, Tz::UTC];
        for (line, zone) in lines.iter().flat_map(|line| zones.map(|zone| (line, zone))) {
            let cron: Crontab = line.parse().expect(line);
            // Odd steps meet every hour of the day; around changes (the days are those of Berlin and Lord Howe) they are finer.
            for (from, step, count) in [
                ("2026-01-01T00:00:30Z", TimeDelta::minutes(60 * 241 + 13), 36),
                ("2026-03-28T12:00:00Z", TimeDelta::minutes(113), 17),
                ("2026-10-24T12:00:00Z", TimeDelta::minutes(113), 17),
                ("2026-04-04T00:00:00Z", TimeDelta::minutes(113), 17),
            ] {
                let from = DateTime::parse_from_rfc3339(from).expect("time").to_utc();
                for at in (0..count).map(|n| from + step * n) {
                    let (short, long) = (cron.next_after(at, zone), cron.next_around_a_change(at, zone));
                    assert_eq!(short, long, "{line} in {zone} after {at}");
                }
            }
        }
    }
}
