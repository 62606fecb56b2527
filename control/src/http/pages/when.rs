//! When a schedule runs, in words: the usual cron lines in plain English, the rest as they are written, and the next runs. What a cron
//! line means is decided in `shared::cron`, not here.

use super::words::Moment;
use crate::domain::schedule::Schedule;
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A run to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NextRun {
    /// The day, in the schedule's zone.
    pub day: String,
    /// The time of day there.
    pub time: String,
    /// The instant.
    pub at: Moment,
}

/// A cron line in words; none for lines that are better read as they are.
#[must_use]
pub fn describe(line: &str) -> Option<String> {
    match line.trim() {
        "@hourly" => return Some("Every hour".into()),
        "@daily" | "@midnight" => return Some("Every day at 00:00".into()),
        "@weekly" => return Some("Every Sunday at 00:00".into()),
        "@monthly" => return Some("On the 1st of each month at 00:00".into()),
        "@yearly" | "@annually" => return Some("On 1 January at 00:00".into()),
        _ => {}
    }
    let fields: Vec<&str> = line.split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return None };
    if *month != "*" {
        return None;
    }
    let number = |text: &str, most: u32| text.parse::<u32>().ok().filter(|n| *n <= most);
    match (number(minute, 59), *hour, *day, *weekday) {
        (None, "*", "*", "*") => every(minute, "minutes"),
        (Some(m), "*", "*", "*") => Some(format!("Every hour at :{m:02}")),
        (Some(m), h, "*", "*") if h.starts_with("*/") => every(h, "hours").map(|text| format!("{text}, at :{m:02}")),
        (Some(m), h, d, w) => {
            let time = number(h, 23).map(|h| format!("{h:02}:{m:02}"))?;
            on_days(d, w).map(|days| format!("{days} at {time}"))
        }
        _ => None,
    }
}

fn every(step: &str, unit: &str) -> Option<String> {
    let n: u32 = step.strip_prefix("*/")?.parse().ok()?;
    let even = if unit == "minutes" { 60 } else { 24 };
    (n > 1 && even % n == 0).then(|| format!("Every {n} {unit}"))
}

fn on_days(day: &str, weekday: &str) -> Option<String> {
    match (day, weekday) {
        ("*", "*") => Some("Every day".into()),
        ("*", "1-5") => Some("Monday to Friday".into()),
        ("*", w) => w.parse::<usize>().ok().filter(|w| *w <= 7).map(|w| format!("Every {}", DAYS[w % 7])),
        (d, "*") => d.parse::<u32>().ok().filter(|d| (1..=28).contains(d)).map(|d| format!("On day {d} of each month")),
        _ => None,
    }
}

/// The zone that a line is read in: the schedule's own, else the host's, else UTC.
#[must_use]
pub fn zone(schedule: Option<&str>, host: Option<&str>) -> Tz {
    schedule.or(host).and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC)
}

/// The next runs of a cron line; none if the line is not valid.
#[must_use]
pub fn next_runs(line: &str, zone: Tz, now: Timestamp, most: usize) -> Vec<NextRun> {
    let Ok(cron) = line.parse::<Crontab>() else { return vec![] };
    let mut after = now.to_utc();
    let mut runs = vec![];
    while runs.len() < most
        && let Some(next) = cron.next_after(after, zone)
    {
        let local = next.with_timezone(&zone);
        runs.push(NextRun {
            day: local.format("%a %-d %b").to_string(),
            time: local.format("%H:%M").to_string(),
            at: Moment::new(Timestamp::from(next), now),
        });
        after = next;
    }
    runs
}

/// The next run of a schedule that runs by itself.
#[must_use]
pub fn next_run(schedule: &Schedule, host_zone: Option<&str>, now: Timestamp) -> Option<NextRun> {
    let line = schedule.cron.as_deref().filter(|_| schedule.enabled && !schedule.manual)?;
    next_runs(line, zone(schedule.timezone.as_deref(), host_zone), now, 1).pop()
}

/// What a schedule keeps, in words.
#[must_use]
pub fn keeps(schedule: &Schedule) -> String {
    let r = schedule.retention;
    let rules = [
        (r.keep_last, "last"),
        (r.keep_hourly, "hourly"),
        (r.keep_daily, "daily"),
        (r.keep_weekly, "weekly"),
        (r.keep_monthly, "monthly"),
        (r.keep_yearly, "yearly"),
    ];
    let kept: Vec<String> = rules.iter().filter_map(|(n, word)| n.map(|n| format!("{n} {word}"))).collect();
    if kept.is_empty() { "everything".into() } else { kept.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_lines_are_said_in_words() {
        for (line, words) in [
            ("30 * * * *", Some("Every hour at :30")),
            ("30 2 * * *", Some("Every day at 02:30")),
            ("0 4 * * 1", Some("Every Monday at 04:00")),
            ("0 4 * * 7", Some("Every Sunday at 04:00")),
            ("0 4 1 * *", Some("On day 1 of each month at 04:00")),
            ("15 9 * * 1-5", Some("Monday to Friday at 09:15")),
            ("*/15 * * * *", Some("Every 15 minutes")),
            ("*/7 * * * *", None),
            ("0 */4 * * *", Some("Every 4 hours, at :00")),
            ("@daily", Some("Every day at 00:00")),
            ("0 4 1 6 *", None),
            ("0 4 1 * 1", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(describe(line).as_deref(), words, "{line}");
        }
    }

    #[test]
    fn next_runs_are_told_in_the_zone() {
        let now = Timestamp::parse("2026-11-23T20:00:00Z").expect("valid");
        let runs = next_runs("30 2 * * *", zone(Some("Europe/Berlin"), None), now, 2);
        assert_eq!(runs.len(), 2);
        assert_eq!((runs[0].day.as_str(), runs[0].time.as_str()), ("Tue 24 Nov", "02:30"));
        assert!(next_runs("broken", Tz::UTC, now, 2).is_empty());
    }
}
