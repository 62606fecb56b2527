//! A month of snapshots in words.

use super::figures::count;
use chrono::{Datelike as _, NaiveDate};

/// A month by its first day, such as `November 2026`.
#[must_use]
pub fn month(first: NaiveDate) -> String {
    first.format("%B %Y").to_string()
}

/// The same in short, such as `Nov 2026`.
#[must_use]
pub fn month_short(first: NaiveDate) -> String {
    first.format("%b %Y").to_string()
}

/// A day that a list is narrowed to; with the year unless it is this one.
#[must_use]
pub fn day(day: NaiveDate, today: NaiveDate) -> String {
    day.format(if day.year() == today.year() { "%a %-d %b" } else { "%a %-d %b %Y" }).to_string()
}

/// What a day of the month holds; `most` is where counting ends.
#[must_use]
pub fn holds(day: NaiveDate, n: i64, most: i64) -> String {
    let day = day.format("%-d %B");
    match n {
        0 => format!("{day}, no snapshot"),
        1 => format!("{day}, 1 snapshot"),
        n if n >= most => format!("{day}, {} snapshots or more", count(most)),
        n => format!("{day}, {} snapshots", count(n)),
    }
}

/// How many snapshots a host has, and since when.
#[must_use]
pub fn has(host: &str, n: i64, oldest: NaiveDate) -> String {
    let day = oldest.format("%-d %b %Y");
    match n {
        1 => format!("{host} has 1 snapshot, of {day}."),
        n => format!("{host} has {} snapshots, back to {day}.", count(n)),
    }
}

/// Since when there are snapshots of any host.
#[must_use]
pub fn all_hosts(oldest: NaiveDate) -> String {
    format!("Snapshots of all hosts, back to {}.", oldest.format("%-d %b %Y"))
}

/// The days count more than the list shows.
pub const ANY_TAG: &str = "The days count snapshots of any tag. Choose a host to count those of this tag.";
/// There is nothing to count.
pub const NONE: &str = "There is no snapshot yet.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_says_how_many() {
        let day = NaiveDate::from_ymd_opt(2026, 11, 19).expect("a day");
        for (n, said) in [
            (0, "19 November, no snapshot"),
            (1, "19 November, 1 snapshot"),
            (25, "19 November, 25 snapshots"),
            (1000, "19 November, 1,000 snapshots or more"),
        ] {
            assert_eq!(holds(day, n, 1000), said);
        }
        assert_eq!(has("web-01", 614, day), "web-01 has 614 snapshots, back to 19 Nov 2026.");
    }
}
