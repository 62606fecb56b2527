//! The calendar beside the snapshots to choose from: a month with the days that have some, each a link that narrows the list to it. Days are the
//! viewer's.

use super::super::door::address;
use super::super::zone;
use crate::domain::calendar::Month;
use crate::http::problem::ApiError;
use crate::service::Services;
use crate::service::snapshots::{self, Days, Filter, MOST};
use crate::words::calendar as words;
use chrono::{Datelike as _, NaiveDate};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// A month.
#[derive(Debug, Default, Serialize)]
pub struct Calendar {
    /// Its name.
    pub name: String,
    /// The same in short.
    pub short: String,
    /// Its weeks from Monday on; none for what lies in another month.
    pub weeks: Vec<Vec<Option<Cell>>>,
    /// The month before, if there may be snapshots: its name and address.
    pub before: Option<(String, String)>,
    /// The month after it, if it has begun.
    pub after: Option<(String, String)>,
    /// What is counted, as sentences.
    pub notes: Vec<String>,
}

/// A day of it.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// The day of the month.
    pub day: u32,
    /// How many snapshots, in words.
    pub label: String,
    /// The list of that day; none if it has no snapshot.
    pub url: Option<String>,
    /// The list is narrowed to it.
    pub chosen: bool,
    /// It is today.
    pub today: bool,
}

/// What the list is narrowed to, as the address says it.
#[derive(Clone, Copy, Debug)]
pub struct Here<'a> {
    /// The host's identity.
    pub host: &'a str,
    /// A tag of snapshots.
    pub tag: &'a str,
    /// A day.
    pub day: Option<NaiveDate>,
}

impl Here<'_> {
    fn url(self, day: &str, month: &str) -> String {
        address("/restore", &[("host", self.host), ("tag", self.tag), ("day", day), ("month", month)])
    }
}

/// When a day of the viewer's begins, and when it ends.
#[must_use]
pub fn bounds(day: NaiveDate) -> (Timestamp, Timestamp) {
    (zone::begins(day), zone::ends(day))
}

/// The calendar: of the month that is asked for, or else of the chosen day, or else of today. `host` is the name of the one that is chosen.
///
/// # Errors
/// When the database fails.
pub async fn calendar(
    s: &Services,
    filter: Filter,
    here: Here<'_>,
    (month, host): (&str, Option<&str>),
    now: Timestamp,
) -> Result<Calendar, ApiError> {
    let today = zone::local(now).date();
    let month = month.trim().parse().unwrap_or_else(|_| Month::of(here.day.unwrap_or(today)));
    let any_tag = filter.tag.is_some() && filter.host.is_none();
    let days = snapshots::days(s, filter, month.days().into_iter().map(bounds).collect()).await?;
    let mut notes = vec![note(&days, host)];
    notes.extend(any_tag.then(|| words::ANY_TAG.to_owned()));
    Ok(Calendar { notes, ..drawn(month, &days, here, today) })
}

fn note(days: &Days, host: Option<&str>) -> String {
    let Some(oldest) = days.oldest.map(|at| zone::local(at).date()) else { return words::NONE.into() };
    match host.zip(days.of_host) {
        Some((host, n)) => words::has(host, n, oldest),
        None => words::all_hosts(oldest),
    }
}

fn drawn(month: Month, days: &Days, here: Here<'_>, today: NaiveDate) -> Calendar {
    let cell = |day: NaiveDate| {
        let count = days.counts.get(day.day0() as usize).copied().unwrap_or(0);
        Cell {
            day: day.day(),
            label: words::holds(day, count, MOST),
            url: (count > 0).then(|| here.url(&day.to_string(), "")),
            chosen: here.day == Some(day),
            today: day == today,
        }
    };
    let oldest = days.oldest.map_or(today, |at| zone::local(at).date());
    let chosen = here.day.map(|day| day.to_string()).unwrap_or_default();
    let turn = |to: Month| (words::month(to.first()), here.url(&chosen, &to.to_string()));
    Calendar {
        name: words::month(month.first()),
        short: words::month_short(month.first()),
        weeks: month.weeks().into_iter().map(|week| week.into_iter().map(|day| day.map(cell)).collect()).collect(),
        before: month.before().filter(|to| *to >= Month::of(oldest)).map(turn),
        after: month.after().filter(|to| *to <= Month::of(today)).map(turn),
        notes: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::calendar::day;
    use crate::words::told_in;
    use chrono_tz::Tz;

    #[test]
    fn a_month_links_the_days_that_have_snapshots_and_the_months_that_may() {
        let today = day("2026-11-19").expect("a day");
        let mut counts = vec![0; 30];
        counts[18] = 25;
        let oldest = Timestamp::parse("2026-11-02T08:00:00Z").ok();
        let here = Here { host: "h", tag: "", day: Some(today) };
        let november: Month = "2026-11".parse().expect("a month");
        let drawn = drawn(november, &Days { counts, oldest, of_host: None }, here, today);
        let cells: Vec<&Cell> = drawn.weeks.iter().flatten().flatten().collect();
        let linked: Vec<_> = cells.iter().filter_map(|c| Some((c.day, c.url.as_deref()?, c.chosen))).collect();
        assert_eq!(linked, [(19, "/restore?host=h&day=2026-11-19", true)]);
        assert_eq!(cells[18].label, "19 November, 25 snapshots");
        assert_eq!((drawn.before, drawn.after), (None, None), "nothing is older, and nothing newer");
        let october = Here { day: None, ..here };
        let october = super::drawn("2026-10".parse().expect("a month"), &Days::default(), october, today);
        let after = ("November 2026".to_owned(), "/restore?host=h&month=2026-11".to_owned());
        assert_eq!((october.before, october.after), (None, Some(after)));
    }

    #[tokio::test]
    async fn a_day_is_as_long_as_the_viewers_clock_says() {
        let hours = |text: &str| {
            let (since, until) = bounds(day(text).expect("a day"));
            (since.to_string(), until.since(since).as_secs() / 3600)
        };
        for (zone, text, since, long) in [
            (Tz::UTC, "2026-11-19", "2026-11-19T00:00:00Z", 24),
            (Tz::Europe__Berlin, "2026-11-19", "2026-11-18T23:00:00Z", 24),
            (Tz::Europe__Berlin, "2026-10-25", "2026-10-24T22:00:00Z", 25),
            (Tz::Europe__Berlin, "2026-03-29", "2026-03-28T23:00:00Z", 23),
        ] {
            assert_eq!(told_in(zone, async { hours(text) }).await, (since.to_owned(), long), "{text} {zone}");
        }
    }
}
