//! A month of a calendar: its days as weeks that begin on Monday, and the months beside it. It knows no zone: when a day begins somewhere is said
//! where times are told.

use chrono::{Datelike as _, Months, NaiveDate};
use std::fmt;
use std::str::FromStr;

/// Years that can be asked for.
const YEARS: std::ops::RangeInclusive<i32> = 1971..=9998;

/// A month of a year, by its first day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Month(NaiveDate);

impl Month {
    /// The month of a day.
    #[must_use]
    pub fn of(day: NaiveDate) -> Self {
        Self(day.with_day(1).unwrap_or(day))
    }

    /// Its first day.
    #[must_use]
    pub const fn first(self) -> NaiveDate {
        self.0
    }

    /// The month before it.
    #[must_use]
    pub fn before(self) -> Option<Self> {
        self.0.checked_sub_months(Months::new(1)).map(Self)
    }

    /// The month after it.
    #[must_use]
    pub fn after(self) -> Option<Self> {
        self.0.checked_add_months(Months::new(1)).map(Self)
    }

    /// Its days.
    #[must_use]
    pub fn days(self) -> Vec<NaiveDate> {
        self.0.iter_days().take_while(|day| day.month() == self.0.month()).collect()
    }

    /// Its weeks, from Monday to Sunday; none for what lies in another month.
    #[must_use]
    pub fn weeks(self) -> Vec<Vec<Option<NaiveDate>>> {
        let blank = self.0.weekday().num_days_from_monday() as usize;
        let mut cells: Vec<Option<NaiveDate>> = vec![None; blank];
        cells.extend(self.days().into_iter().map(Some));
        cells.resize(cells.len().next_multiple_of(7), None);
        cells.chunks(7).map(<[_]>::to_vec).collect()
    }
}

impl fmt::Display for Month {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m"))
    }
}

/// It is no month such as `2026-11`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a month such as 2026-11")]
pub struct NoMonth;

impl FromStr for Month {
    type Err = NoMonth;

    fn from_str(text: &str) -> Result<Self, NoMonth> {
        let first: NaiveDate = format!("{text}-01").parse().map_err(|_| NoMonth)?;
        if YEARS.contains(&first.year()) { Ok(Self(first)) } else { Err(NoMonth) }
    }
}

/// A day such as `2026-11-19`, if it is one that can be asked for.
#[must_use]
pub fn day(text: &str) -> Option<NaiveDate> {
    text.parse::<NaiveDate>().ok().filter(|day| YEARS.contains(&day.year()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_month_is_weeks_from_monday() {
        for (month, days, weeks, blank, before, after) in [
            ("2026-11", 30, 6, 6, "2026-10", "2026-12"),
            ("2027-02", 28, 4, 0, "2027-01", "2027-03"),
            ("2028-02", 29, 5, 1, "2028-01", "2028-03"),
            ("2026-12", 31, 5, 1, "2026-11", "2027-01"),
            ("2027-01", 31, 5, 4, "2026-12", "2027-02"),
        ] {
            let found: Month = month.parse().expect(month);
            assert_eq!(found.to_string(), month);
            assert_eq!(found.days().len(), days, "{month}");
            let table = found.weeks();
            assert!(table.iter().all(|week| week.len() == 7), "{month}");
            assert_eq!((table.len(), table[0].iter().filter(|day| day.is_none()).count()), (weeks, blank), "{month}");
            assert_eq!(table.concat().into_iter().flatten().collect::<Vec<_>>(), found.days(), "{month}");
            assert_eq!(found.before().map(|m| m.to_string()).as_deref(), Some(before));
            assert_eq!(found.after().map(|m| m.to_string()).as_deref(), Some(after));
        }
    }

    #[test]
    fn what_is_no_month_or_day_is_not_taken_for_one() {
        for text in ["", "2026", "2026-13", "2026-11-02", "november", "0001-01", "20260-01", "+99999-01"] {
            assert_eq!(text.parse::<Month>(), Err(NoMonth), "{text}");
        }
        for text in ["", "2026-11", "2026-02-30", "0001-01-01", "today"] {
            assert_eq!(day(text), None, "{text}");
        }
        assert_eq!(day("2026-11-19").map(Month::of), "2026-11".parse().ok());
    }
}
