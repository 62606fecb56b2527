//! When a schedule runs, as pages show it. What a cron line means is decided in `shared::cron`, how it is told in `domain::reading` and
//! `domain::fires`, not here.

use crate::domain::fires::{Fire, check, fires};
use crate::domain::reading::reading;
use crate::domain::schedule::{Schedule, zone};
use crate::words::Moment;
use crate::words::capital;
use chrono::Datelike;
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::spread;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::pause::Pause;
use serde::Serialize;

/// A run to come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NextRun {
    /// The day, in the schedule's zone; with the year unless it is this one.
    pub day: String,
    /// The time of day there.
    pub time: String,
    /// The end of the time in which it starts, if its starts are spread.
    pub until: Option<String>,
    /// The instant.
    pub at: Moment,
    /// What a clock change does to it.
    pub note: Option<String>,
}

/// What a cron line does, as the card beside the schedule form shows it while the line is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Runs {
    /// The zone that the line is read in.
    pub zone: String,
    /// The line in words; none if there is no valid line.
    pub words: Option<String>,
    /// What is wrong; empty if nothing is, or nothing is typed yet.
    pub wrong: Vec<String>,
    /// The next runs.
    pub next: Vec<NextRun>,
}

impl Runs {
    /// The runs of a line as it is typed, in its zone or else the host's.
    #[must_use]
    pub fn typed(line: &str, timezone: &str, host: Option<&str>, now: Timestamp) -> Self {
        let own = Some(timezone.trim()).filter(|zone| !zone.is_empty());
        let told = own.or(host).unwrap_or("UTC").to_owned();
        if line.trim().is_empty() {
            return Self { zone: told, ..Self::default() };
        }
        let wrong: Vec<String> = check(line, own).iter().map(|e| capital(&e.detail)).collect();
        match line.parse() {
            Ok(cron) if wrong.is_empty() => {
                let next = next_runs(&cron, zone(own, host), now, 5);
                Self { zone: told, words: words(line), wrong, next }
            }
            _ => Self { zone: told, wrong, ..Self::default() },
        }
    }
}

/// A valid cron line in words, with a capital letter.
#[must_use]
pub fn words(line: &str) -> Option<String> {
    line.parse().ok().map(|cron| capital(&reading(&cron)))
}

/// The next runs of a cron line.
#[must_use]
pub fn next_runs(cron: &Crontab, zone: Tz, now: Timestamp, most: usize) -> Vec<NextRun> {
    runs_after(cron, zone, (now, now), most)
}

/// The runs after an instant, as they look from now.
fn runs_after(cron: &Crontab, zone: Tz, (after, now): (Timestamp, Timestamp), most: usize) -> Vec<NextRun> {
    let this_year = now.to_utc().with_timezone(&zone).year();
    let run = |fire: Fire| {
        let local = fire.at.to_utc().with_timezone(&zone);
        NextRun {
            day: local.format(if local.year() == this_year { "%a %-d %b" } else { "%a %-d %b %Y" }).to_string(),
            time: local.format("%H:%M").to_string(),
            until: None,
            at: Moment::new(fire.at, now),
            note: fire.note.as_deref().map(capital),
        }
    };
    fires(cron, zone, after, most).into_iter().map(run).collect()
}

/// The next run of a schedule that runs by itself, given the times in which it does not.
#[must_use]
pub fn next_run(schedule: &Schedule, host_zone: Option<&str>, pauses: &[Pause], now: Timestamp) -> Option<NextRun> {
    let line = schedule.cron.as_deref().filter(|_| schedule.enabled && !schedule.manual)?;
    let (cron, zone) = (line.parse().ok()?, zone(schedule.timezone.as_deref(), host_zone));
    let due = schedule.next_run(host_zone, pauses, now)?;
    let just_before = Timestamp::from_micros(due.micros() - 1);
    let mut run = runs_after(&cron, zone, (just_before, now), 1).pop()?;
    let due = due.to_utc();
    let gap = cron.next_after(due, zone).and_then(|after| (after - due).to_std().ok());
    let width = spread::width(schedule.firing, gap);
    run.until = (width.as_secs() >= 60).then(|| (due + width).with_timezone(&zone).format("%H:%M").to_string());
    Some(run)
}

/// What a schedule keeps, in words.
#[must_use]
pub fn keeps(schedule: &Schedule) -> String {
    crate::words::schedule::keeps(&schedule.retention)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_told_in_the_zone() {
        let now = Timestamp::parse("2026-11-23T20:00:00Z").expect("valid");
        let runs = Runs::typed("30 2 * * *", "", Some("Europe/Berlin"), now);
        assert_eq!((runs.zone.as_str(), runs.words.as_deref()), ("Europe/Berlin", Some("Every day at 02:30")));
        assert_eq!(runs.next.len(), 5);
        assert_eq!((runs.next[0].day.as_str(), runs.next[0].time.as_str()), ("Tue 24 Nov", "02:30"));
        assert_eq!(Runs::typed("@yearly", "", None, now).next[0].day, "Fri 1 Jan 2027");
    }

    #[test]
    fn a_line_that_is_wrong_says_why_and_an_empty_one_says_nothing() {
        let now = Timestamp::parse("2026-11-23T20:00:00Z").expect("valid");
        assert_eq!(Runs::typed("61 * * * *", "", None, now).wrong, ["Minute: 61 is not within 0 to 59"]);
        assert_eq!(Runs::typed("0 2 * * *", "Mars/Base", None, now).wrong.len(), 1);
        assert_eq!(Runs::typed(" ", "", None, now), Runs { zone: "UTC".into(), ..Runs::default() });
    }
}
