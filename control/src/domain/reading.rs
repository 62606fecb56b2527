//! A cron line read aloud: "every weekday at 02:30". Every valid line has a reading, and it leaves nothing out; how clocks that change
//! bend it is told by `fires`.

use restic_manager_shared::cron::{Crontab, Field};
use std::collections::BTreeSet;

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
/// More times of day than this are told as minutes and hours.
const MOST_TIMES: usize = 6;

type Numbers = BTreeSet<u32>;

/// What the line says, in plain words, without a full stop.
#[must_use]
pub fn reading(cron: &Crontab) -> String {
    let (days, months) = (days(cron), months(cron.numbers(Field::Month)));
    let (minutes, hours) = (cron.numbers(Field::Minute), cron.numbers(Field::Hour));
    let paced = hours.len() > 2 && minutes.len() == 1 && step(hours, 24).is_some();
    if minutes.len() * hours.len() > MOST_TIMES || paced {
        let rest = [days.on(months.as_deref()), months.filter(|_| !days.holds_month()).map(|m| format!("in {m}"))];
        return std::iter::once(repeating(minutes, hours))
            .chain(rest.into_iter().flatten())
            .collect::<Vec<_>>()
            .join(", ");
    }
    let times = hours.iter().flat_map(|h| minutes.iter().map(move |m| format!("{h:02}:{m:02}"))).collect();
    let at = format!("at {}", and(times));
    let when = match (&days, days.on(months.as_deref())) {
        (Days::Every, _) => format!("every day {at}"),
        (Days::Week(set), _) if is_workweek(set) => format!("every weekday {at}"),
        (Days::Week(set), _) if set.len() == 1 => format!("every {} {at}", weekday_names(set).concat()),
        (_, on) => [Some(at), on].into_iter().flatten().collect::<Vec<_>>().join(" "),
    };
    match months.filter(|_| !days.holds_month()) {
        Some(months) => format!("{when}{} in {months}", if matches!(days, Days::Either(..)) { "," } else { "" }),
        None => when,
    }
}

/// Which days count.
enum Days {
    Every,
    Month(Numbers),
    Week(Numbers),
    /// Days of the month, and weekdays: one of them is enough.
    Either(Numbers, Numbers),
    /// Days of the month, and weekdays: only days that are both.
    Both(Numbers, Numbers),
}

fn days(cron: &Crontab) -> Days {
    let (of_month, of_week) = (cron.numbers(Field::DayOfMonth).clone(), cron.numbers(Field::DayOfWeek).clone());
    match (of_month.len() == 31, of_week.len() == 7, cron.either_day()) {
        // `1-31` with a weekday: each day is one of the first.
        (true, true, _) | (true, _, true) | (_, true, true) => Days::Every,
        (true, false, false) => Days::Week(of_week),
        (false, true, false) => Days::Month(of_month),
        (false, false, true) => Days::Either(of_month, of_week),
        (false, false, false) => Days::Both(of_month, of_week),
    }
}

impl Days {
    /// Whether [`Self::on`] names the months already.
    const fn holds_month(&self) -> bool {
        matches!(self, Self::Month(_))
    }

    /// The days with "on"; none if all count.
    fn on(&self, months: Option<&str>) -> Option<String> {
        match self {
            Self::Every => None,
            Self::Month(set) => Some(format!("on {} of {}", day_numbers(set), months.unwrap_or("the month"))),
            Self::Week(set) => Some(format!("on {}", weekdays(set, "and"))),
            Self::Either(set, week) => {
                Some(format!("on {} of the month or on {}", day_numbers(set), weekdays(week, "and")))
            }
            Self::Both(set, week) => {
                Some(format!("on {} of the month if it is a {}", day_numbers(set), list(weekday_names(week), "or")))
            }
        }
    }
}

fn day_numbers(set: &Numbers) -> String {
    let word = if set.len() == 1 { "day" } else { "days" };
    format!("{word} {}", and(spans(set, |n| n.to_string())))
}

fn is_workweek(set: &Numbers) -> bool {
    set.iter().copied().eq(1..=5)
}

/// Monday first, as people say it.
fn weekday_names(set: &Numbers) -> Vec<String> {
    (1..=7).map(|n| n % 7).filter(|n| set.contains(n)).map(|n| WEEKDAYS[n as usize].to_owned()).collect()
}

fn weekdays(set: &Numbers, join: &str) -> String {
    if is_workweek(set) {
        return "weekdays".into();
    }
    list(weekday_names(set).into_iter().map(|name| name + "s").collect(), join)
}

fn months(set: &Numbers) -> Option<String> {
    (set.len() < 12).then(|| and(spans(set, |n| MONTHS[(n as usize + 11) % 12].to_owned())))
}

/// Minutes and hours that are too many to name each time.
fn repeating(minutes: &Numbers, hours: &Numbers) -> String {
    let every_hour = hours.len() == 24;
    let regular = step(minutes, 60);
    let one = (minutes.len() == 1).then(|| minutes.iter().next().map(|m| format!(":{m:02}"))).flatten();
    match (regular, one) {
        (Some(n), _) => {
            let pace = if n == 1 { "every minute".to_owned() } else { format!("every {n} minutes") };
            if every_hour { pace } else { format!("{pace} {}", stretches(hours, minutes)) }
        }
        (None, Some(at)) if every_hour => format!("every hour at {at}"),
        (None, Some(at)) => match step(hours, 24) {
            Some(n) => format!("every {n} hours at {at}"),
            None => format!("at {at} of {}", hour_numbers(hours)),
        },
        (None, None) => {
            let at = and(minutes_named(minutes));
            format!("at {at} of {}", if every_hour { "every hour".into() } else { hour_numbers(hours) })
        }
    }
}

/// Each minute by name, but runs of them from and to.
fn minutes_named(minutes: &Numbers) -> Vec<String> {
    spans(minutes, |m| format!(":{m:02}"))
}

fn hour_numbers(hours: &Numbers) -> String {
    if let Some(n) = step(hours, 24) {
        return format!("every {} hour from 00", ordinal(n));
    }
    let word = if hours.len() == 1 { "hour" } else { "hours" };
    format!("{word} {}", and(spans(hours, |h| format!("{h:02}"))))
}

/// The stretches of the day in which something happens at a regular pace.
fn stretches(hours: &Numbers, minutes: &Numbers) -> String {
    if let Some(n) = step(hours, 24) {
        return format!("of every {} hour from 00", ordinal(n));
    }
    let last = minutes.last().copied().unwrap_or_default();
    let parts = runs(hours).into_iter().map(|(from, to)| format!("from {from:02}:00 to {to:02}:{last:02}"));
    and(parts.collect())
}

fn ordinal(n: u32) -> String {
    let end = match n {
        2 => "nd",
        3 => "rd",
        _ => "th",
    };
    format!("{n}{end}")
}

/// The step, if the numbers are 0, n, 2n and so on, and the last is n before the whole: only then is the pace even.
fn step(set: &Numbers, whole: u32) -> Option<u32> {
    let n = whole.checked_div(u32::try_from(set.len()).ok()?)?;
    (set.len() > 1 && whole.is_multiple_of(n) && set.iter().copied().eq((0..whole).step_by(n as usize))).then_some(n)
}

/// Unbroken runs, as first and last.
fn runs(set: &Numbers) -> Vec<(u32, u32)> {
    let mut runs: Vec<(u32, u32)> = vec![];
    for n in set {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *n => *last = *n,
            _ => runs.push((*n, *n)),
        }
    }
    runs
}

/// The numbers by name; runs of three and more as "a to b".
fn spans(set: &Numbers, name: impl Fn(u32) -> String) -> Vec<String> {
    let mut words = vec![];
    for (from, to) in runs(set) {
        if to - from >= 2 {
            words.push(format!("{} to {}", name(from), name(to)));
        } else {
            words.extend((from..=to).map(&name));
        }
    }
    words
}

/// `a, b and c`.
#[must_use]
pub(super) fn and(words: Vec<String>) -> String {
    list(words, "and")
}

fn list(mut words: Vec<String>, join: &str) -> String {
    let Some(last) = words.pop() else { return String::new() };
    if words.is_empty() { last } else { format!("{} {join} {last}", words.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_reading() {
        for (line, words) in [
            ("* * * * *", "every minute"),
            ("*/5 * * * *", "every 5 minutes"),
            ("0,30 * * * *", "every 30 minutes"),
            ("*/7 * * * *", "at :00, :07, :14, :21, :28, :35, :42, :49 and :56 of every hour"),
            ("5,20 * * * *", "at :05 and :20 of every hour"),
            ("10-20 * * * *", "at :10 to :20 of every hour"),
            ("30 * * * *", "every hour at :30"),
            ("@hourly", "every hour at :00"),
            ("0 */2 * * *", "every 2 hours at :00"),
            ("15 */4 * * *", "every 4 hours at :15"),
            ("15 */12 * * *", "every day at 00:15 and 12:15"),
            ("*/15 9-17 * * *", "every 15 minutes from 09:00 to 17:45"),
            ("*/20 9-17 * * 1-5", "every 20 minutes from 09:00 to 17:40, on weekdays"),
            ("* 2 * * *", "every minute from 02:00 to 02:59"),
            ("* 2,4-5 * * *", "every minute from 02:00 to 02:59 and from 04:00 to 05:59"),
            ("*/10 */2 * * *", "every 10 minutes of every 2nd hour from 00"),
            ("5,10 */2 * * *", "at :05 and :10 of every 2nd hour from 00"),
            (
                "1-40/3 1,2,3 * * *",
                "at :01, :04, :07, :10, :13, :16, :19, :22, :25, :28, :31, :34, :37 and :40 of hours 01 to 03",
            ),
            ("0 8-18 * * *", "at :00 of hours 08 to 18"),
            ("30 2 * * *", "every day at 02:30"),
            ("@daily", "every day at 00:00"),
            ("0 6,18 * * *", "every day at 06:00 and 18:00"),
            ("*/30 2 * * *", "every day at 02:00 and 02:30"),
            ("30 2 * * 1-5", "every weekday at 02:30"),
            ("0 3 * * mon-fri", "every weekday at 03:00"),
            ("0 4 * * 7", "every Sunday at 04:00"),
            ("@weekly", "every Sunday at 00:00"),
            ("0 4 * * 6,0", "at 04:00 on Saturdays and Sundays"),
            ("0 4 * * fri-mon", "at 04:00 on Mondays, Fridays, Saturdays and Sundays"),
            ("0 4 * * */2", "at 04:00 on Tuesdays, Thursdays, Saturdays and Sundays"),
            ("@monthly", "at 00:00 on day 1 of the month"),
            ("0 4 1,15 * *", "at 04:00 on days 1 and 15 of the month"),
            ("0 4 1-7 * *", "at 04:00 on days 1 to 7 of the month"),
            ("@yearly", "at 00:00 on day 1 of January"),
            ("0 4 1 6-8,12 *", "at 04:00 on day 1 of June to August and December"),
            ("30 2 1 * fri", "at 02:30 on day 1 of the month or on Fridays"),
            ("30 2 1 6 1-5", "at 02:30 on day 1 of the month or on weekdays, in June"),
            ("30 2 1-31 * 5", "every day at 02:30"),
            ("30 2 13 * 0-7", "every day at 02:30"),
            ("30 2 */15 * 5", "at 02:30 on days 1, 16 and 31 of the month if it is a Friday"),
            ("30 2 1,2 * */3", "at 02:30 on days 1 and 2 of the month if it is a Wednesday, Saturday or Sunday"),
            ("0 2 * 1,2 *", "every day at 02:00 in January and February"),
            ("0 2 * 6 1-5", "every weekday at 02:00 in June"),
            ("* * 24 12 *", "every minute, on day 24 of December"),
            ("* * * 12 *", "every minute, in December"),
            ("*/5 * 1 * fri", "every 5 minutes, on day 1 of the month or on Fridays"),
            ("*/5 * * 6 6", "every 5 minutes, on Saturdays, in June"),
        ] {
            assert_eq!(reading(&line.parse().expect(line)), words, "{line}");
        }
    }
}
