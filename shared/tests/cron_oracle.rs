//! Cron lines against an independent oracle: the crate croner, which was written by others from the same crontab(5). Random lines, zones
//! and instants with a fixed seed, half of the instants within a day of a clock change.
//!
//! Where croner is known to mean something else, the line is put to it in other words, never left out:
//!
//! - It takes only one minute and one hour for a fixed time; a list such as `15 2,3` runs twice when a clock goes back. So a fixed line
//!   is put to it as one line for each time of day, and the earliest answer counts.
//! - It takes `*/2` in a day field as a restriction, so that either day field may match; in crontab(5) a field that begins with `*` never
//!   restricts that way. So for such lines it is told that both day fields must match.
//! - It knows no weekday range that wraps (`fri-mon`). So weekdays are put to it as lists.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use chrono::{DateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::CronParser;
use restic_manager_shared::cron::Crontab;

const TRIPLES: usize = 12_000;
/// Fires asked for in a row from each instant.
const STEPS: usize = 2;
const SEED: u64 = 0x5eed_0c20;
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const ZONES: [Tz; 9] = [
    Tz::Europe__Berlin,
    Tz::America__New_York,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Casablanca,
    Tz::Africa__Cairo,
    Tz::America__St_Johns,
    Tz::America__Santiago,
    Tz::Asia__Kathmandu,
    Tz::UTC,
];

/// SplitMix64: the same numbers everywhere, for ever.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn within(&mut self, low: u32, high: u32) -> u32 {
        low + u32::try_from(self.next() % u64::from(high - low + 1)).unwrap()
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.within(0, u32::try_from(choices.len()).unwrap() - 1) as usize]
    }
}

/// A field as it is written, and the numbers that were meant when it was.
struct Written {
    text: String,
    numbers: Vec<u32>,
}

fn star(low: u32, high: u32, step: u32) -> Written {
    let text = if step == 1 { "*".to_owned() } else { format!("*/{step}") };
    Written { text, numbers: (low..=high).step_by(step as usize).collect() }
}

/// A field without `*`: a list of numbers, names and ranges, with and without steps.
fn restricted(dice: &mut Dice, low: u32, high: u32, names: &[&str]) -> Written {
    let mut written = Written { text: String::new(), numbers: vec![] };
    for _ in 0..dice.of(&[1, 1, 1, 2, 3]) {
        let (from, to) = (dice.within(low, high), dice.within(low, high));
        let (from, to) = (from.min(to), from.max(to));
        let word = |n: u32| match names.get((n - low) as usize) {
            Some(name) if n.is_multiple_of(2) => (*name).to_owned(),
            _ => n.to_string(),
        };
        let (text, numbers) = match dice.within(0, 4) {
            0 if to - from <= 6 => (format!("{}-{}", word(from), word(to)), (from..=to).collect()),
            1 => {
                let step = dice.within(2, 20);
                (format!("{}-{}/{step}", word(from), word(to)), (from..=to).step_by(step as usize).collect())
            }
            _ => (word(from), vec![from]),
        };
        written.text += &format!("{}{text}", if written.text.is_empty() { "" } else { "," });
        written.numbers.extend(numbers);
    }
    written
}

fn weekdays(dice: &mut Dice) -> Written {
    let (from, length) = (dice.within(0, 6), dice.within(0, 5));
    let name = |n: u32| WEEKDAYS[n as usize % 7];
    match dice.within(0, 3) {
        0 => Written { text: name(from).into(), numbers: vec![from] },
        1 => Written { text: if from == 0 { "7".into() } else { from.to_string() }, numbers: vec![from] },
        2 => Written { text: format!("{from},{}", name(from + length)), numbers: vec![from, (from + length) % 7] },
        _ => Written {
            text: format!("{}-{}", name(from), name(from + length)),
            numbers: (from..=from + length).map(|n| n % 7).collect(),
        },
    }
}

/// A line of ours, and what croner is asked instead.
struct Pair {
    line: String,
    theirs: Vec<Cron>,
}

fn pair(dice: &mut Dice) -> Pair {
    let steps = [1, 1, 2, 5, 7, 15, 20, 30];
    let minute = if dice.within(0, 3) == 0 { star(0, 59, dice.of(&steps)) } else { restricted(dice, 0, 59, &[]) };
    let hour = if dice.within(0, 2) == 0 { star(0, 23, dice.of(&[1, 2, 3, 5])) } else { restricted(dice, 0, 23, &[]) };
    let day =
        if dice.within(0, 2) > 0 { star(1, 31, dice.of(&[1, 1, 1, 2, 10])) } else { restricted(dice, 1, 31, &[]) };
    let month = if dice.within(0, 3) > 0 { star(1, 12, dice.of(&[1, 1, 5])) } else { restricted(dice, 1, 12, &MONTHS) };
    let weekday = if dice.within(0, 2) > 0 { star(0, 6, dice.of(&[1, 1, 1, 2, 3])) } else { weekdays(dice) };
    let starts = |field: &Written| field.text.starts_with('*');
    let parser = CronParser::builder().dom_and_dow(starts(&day) || starts(&weekday)).build();
    let list = weekday.numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let on = if starts(&weekday) { weekday.text.clone() } else { list };
    let ask = |minute: &str, hour: &str| {
        let line = format!("{minute} {hour} {} {} {on}", day.text, month.text);
        parser.parse(&line).unwrap_or_else(|e| panic!("croner does not take {line}: {e}"))
    };
    let theirs = if starts(&minute) || starts(&hour) {
        vec![ask(&minute.text, &hour.text)]
    } else {
        let times = hour.numbers.iter().flat_map(|h| minute.numbers.iter().map(move |m| (m, h)));
        times.map(|(m, h)| ask(&m.to_string(), &h.to_string())).collect()
    };
    let line = format!("{} {} {} {} {}", minute.text, hour.text, day.text, month.text, weekday.text);
    Pair { line, theirs }
}

fn day(year: i32) -> DateTime<Utc> {
    Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).unwrap()
}

/// The days, in UTC, on which the zone's clock changes.
fn changes(zone: Tz) -> Vec<DateTime<Utc>> {
    let offset = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local() - at.naive_utc();
    let days = (0..365 * 8).map(|n| day(2024) + TimeDelta::days(n));
    days.filter(|d| offset(*d) != offset(*d + TimeDelta::days(1))).collect()
}

/// The earliest of croner's answers; none if it gives up, which is how it says never.
fn asked(theirs: &[Cron], after: DateTime<Utc>, zone: Tz) -> Option<DateTime<Utc>> {
    let after = after.with_timezone(&zone);
    theirs.iter().filter_map(|cron| cron.find_next_occurrence(&after, false).ok()).min().map(|at| at.to_utc())
}

#[test]
fn croner_says_the_same() {
    let mut dice = Dice(SEED);
    let changes: Vec<Vec<DateTime<Utc>>> = ZONES.iter().map(|zone| changes(*zone)).collect();
    let (mut compared, mut changed) = (0, 0);
    while compared < TRIPLES {
        let Pair { line, theirs } = pair(&mut dice);
        // A fixed line with many times of day costs croner one search for each.
        if theirs.len() > 30 {
            continue;
        }
        let cron: Crontab = line.parse().unwrap_or_else(|e| panic!("{line}: {e}"));
        let at = dice.within(0, u32::try_from(ZONES.len()).unwrap() - 1) as usize;
        let zone = ZONES[at];
        let mut after = if changes[at].is_empty() || dice.within(0, 1) == 0 {
            day(2024) + TimeDelta::seconds(i64::from(dice.within(0, 7 * 365 * 86_400)))
        } else {
            changed += 1;
            dice.of(&changes[at]) + TimeDelta::minutes(i64::from(dice.within(0, 48 * 60))) - TimeDelta::hours(24)
        };
        for _ in 0..STEPS {
            let (ours, other) = (cron.next_after(after, zone), asked(&theirs, after, zone));
            assert_eq!(ours, other, "`{line}` in {zone} after {after}");
            let Some(next) = ours else { break };
            after = next;
        }
        compared += 1;
    }
    assert!(changed > TRIPLES / 4, "only {changed} instants were near a clock change");
}

#[test]
fn an_error_names_the_field_and_says_why() {
    for (line, said) in [
        ("60 * * * *", "minute: 60 is not within 0 to 59"),
        ("* 24 * * *", "hour: 24 is not within 0 to 23"),
        ("* * 32 * *", "day of month: 32 is not within 1 to 31"),
        ("* * * 13 *", "month: 13 is not within 1 to 12"),
        ("* * * * 8", "day of week: 8 is not within 0 to 7"),
        ("* * * smarch *", "month: 'smarch' is not a number or a name"),
        ("* 5-2 * * *", "hour: the range '5-2' runs backwards"),
        ("5/15 * * * *", "minute: '5/15' is unclear; write '*/15' or '5-59/15'"),
        ("* */0 * * *", "hour: '0' is not a step"),
        ("* , * * *", "hour: '' is not a number or a name"),
        ("0 2 L * *", "day of month: 'L' is not a number or a name"),
        ("0 2 * * 1#2", "day of week: '1#2' is not a number or a name"),
        ("0 2 * *", "a cron line has 5 fields (minute, hour, day of month, month, day of week), this one has 4"),
        ("@reboot", "@reboot is not known; use @hourly, @daily, @weekly, @monthly or @yearly"),
    ] {
        assert_eq!(line.parse::<Crontab>().unwrap_err().to_string(), said, "{line}");
    }
}
