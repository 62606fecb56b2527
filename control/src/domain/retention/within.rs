//! A stretch of the calendar such as `1y5m7d2h`, as restic's `--keep-within` options take it. Not a duration: a month is as long as the
//! month it goes back over, and a day ends when the clock on the wall says so.

use chrono::{DateTime, Datelike, NaiveDate, Offset, TimeDelta};
use chrono_tz::Tz;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// Years, months, days and hours; at least one of them is not 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Within {
    years: u32,
    months: u32,
    days: u32,
    hours: u32,
}

/// The text is no such stretch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "write years, months, days and hours in this order, such as 1y5m7d2h, 14d or 2y; each number 1 to 999999, at least one"
)]
pub struct NotWithin;

/// Six digits: restic counts hours in nanoseconds of 64 bits, and with more than 2,562,047 of them it plans to remove everything.
const MOST_DIGITS: usize = 6;
/// The same rule for those who only read the specification.
const PATTERN: &str = "^([1-9][0-9]{0,5}y)?([1-9][0-9]{0,5}m)?([1-9][0-9]{0,5}d)?([1-9][0-9]{0,5}h)?$";

impl FromStr for Within {
    type Err = NotWithin;

    fn from_str(text: &str) -> Result<Self, NotWithin> {
        let mut rest = text;
        let [years, months, days, hours] = ['y', 'm', 'd', 'h'].map(|unit| take(&mut rest, unit));
        let said = Self { years, months, days, hours };
        let nothing = (years, months, days, hours) == (0, 0, 0, 0);
        if nothing || !rest.is_empty() { Err(NotWithin) } else { Ok(said) }
    }
}

/// The number before this unit, taken off; 0 and nothing taken if the text does not go on with one.
fn take(text: &mut &str, unit: char) -> u32 {
    let Some((digits, rest)) = text.split_once(unit) else { return 0 };
    let plain = digits.len() <= MOST_DIGITS && !digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
    match digits.parse() {
        Ok(number) if plain => {
            *text = rest;
            number
        }
        _ => 0,
    }
}

impl fmt::Display for Within {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.years, 'y'), (self.months, 'm'), (self.days, 'd'), (self.hours, 'h')];
        parts.into_iter().filter(|(n, _)| *n > 0).try_for_each(|(n, unit)| write!(f, "{n}{unit}"))
    }
}

impl Within {
    /// The instant so far before another, on the zone's calendar. What lies beyond the calendar is the beginning of time.
    ///
    /// Years, months and days go back on the date, and a day that the month does not have runs over into the next one (a month before
    /// 31 March is 3 March). Hours are elapsed time.
    #[must_use]
    pub fn before(self, at: Timestamp, zone: Tz) -> Timestamp {
        let wall = at.to_utc().with_timezone(&zone).naive_local();
        let midnight = wall.date().and_time(chrono::NaiveTime::MIN);
        let back = self.date_before(wall.date()).map(|date| date.and_time(chrono::NaiveTime::MIN) + (wall - midnight));
        let instant = back.and_then(|back| instant(back.and_utc(), zone));
        let hours = TimeDelta::hours(i64::from(self.hours));
        instant.map_or(Timestamp::from_micros(i64::MIN), |instant| Timestamp::from(instant) - hours)
    }

    fn date_before(self, date: NaiveDate) -> Option<NaiveDate> {
        let back = i64::from(self.years) * 12 + i64::from(self.months);
        let months = i64::from(date.year()) * 12 + i64::from(date.month0()) - back;
        let year = i32::try_from(months.div_euclid(12)).ok()?;
        let month = u32::try_from(months.rem_euclid(12)).ok()? + 1;
        let days = i64::from(date.day0()) - i64::from(self.days);
        NaiveDate::from_ymd_opt(year, month, 1)?.checked_add_signed(TimeDelta::days(days))
    }
}

/// The instant at which the zone's clock shows this (given as if it were UTC). Where a clock change makes it two or none, the choice is
/// that of restic's calendar: the offset in force is looked up at the reading itself, then once more at what that gives.
fn instant(wall: DateTime<chrono::Utc>, zone: Tz) -> Option<DateTime<chrono::Utc>> {
    let offset = |at: &DateTime<chrono::Utc>| {
        TimeDelta::seconds(i64::from(at.with_timezone(&zone).offset().fix().local_minus_utc()))
    };
    let first = wall.checked_sub_signed(offset(&wall))?;
    wall.checked_sub_signed(offset(&first))
}

impl Serialize for Within {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Within {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl utoipa::PartialSchema for Within {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .min_length(Some(2))
            .pattern(Some(PATTERN))
            .description(Some("years, months, days and hours, such as 1y5m7d2h"))
            .into()
    }
}

impl utoipa::ToSchema for Within {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("KeepWithin")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_what_restic_takes_without_surprise_is_taken() {
        for text in ["1y", "5m", "7d", "2h", "1y5m7d2h", "999999h", "1y2h"] {
            assert_eq!(text.parse::<Within>().map(|w| w.to_string()), Ok(text.to_owned()));
            assert_eq!(serde_json::from_str::<Within>(&format!("\"{text}\"")).expect("json").to_string(), text);
        }
        // A repeated unit counts once in restic, a zero is no rule at all, and 9999999h overflows there.
        for text in ["", "0d", "1d2d", "-1d", "5", "h", "2h1y", "1w", "9999999h", "07d", "1y ", "+1d", "1.5d", "१d"] {
            assert_eq!(text.parse::<Within>(), Err(NotWithin), "{text:?}");
        }
    }

    #[test]
    fn it_goes_back_on_the_calendar_and_hours_by_the_clock() {
        let berlin = Tz::Europe__Berlin;
        for (within, zone, from, to) in [
            ("1m", Tz::UTC, "2027-03-31T12:00:00Z", "2027-03-03T12:00:00Z"),
            ("1y", Tz::UTC, "2028-02-29T12:00:00Z", "2027-03-01T12:00:00Z"),
            ("1m1d", Tz::UTC, "2027-05-31T12:00:00Z", "2027-04-30T12:00:00Z"),
            ("14m", Tz::UTC, "2027-01-15T00:00:00Z", "2025-11-15T00:00:00Z"),
            ("36h", Tz::UTC, "2027-01-02T00:00:00Z", "2026-12-31T12:00:00Z"),
            // Over the night of 28 March: a day is 23 hours there.
            ("1d", berlin, "2027-03-28T12:00:00+02:00", "2027-03-27T12:00:00+01:00"),
            ("24h", berlin, "2027-03-28T12:00:00+02:00", "2027-03-27T11:00:00+01:00"),
            // A reading that the clock jumps over, and one that it shows twice.
            ("1d", berlin, "2027-03-29T02:30:00+02:00", "2027-03-28T03:30:00+02:00"),
            ("1d", berlin, "2026-10-26T02:30:00+01:00", "2026-10-25T02:30:00+01:00"),
            ("1d", Tz::America__New_York, "2026-11-02T01:30:00-05:00", "2026-11-01T01:30:00-04:00"),
        ] {
            let at = |text| Timestamp::parse(text).expect("time");
            assert_eq!(
                within.parse::<Within>().expect(within).before(at(from), zone),
                at(to),
                "{within} before {from}"
            );
        }
        let far: Within = "999999y".parse().expect("valid");
        assert_eq!(far.before(Timestamp::from_seconds(0), Tz::UTC), Timestamp::from_micros(i64::MIN));
    }

    proptest! {
        #[test]
        fn text_and_back_is_the_same(years in 0..999_999u32, months in 0..99u32, days in 0..999u32, hours in 1..99u32) {
            let within = Within { years, months, days, hours };
            prop_assert_eq!(within.to_string().parse(), Ok(within));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "[0-9ymdh .-]{0,12}") {
            if let Ok(within) = text.parse::<Within>() {
                prop_assert_eq!(within.to_string(), text);
            }
        }

        #[test]
        fn longer_goes_further_back(days in 1..4000u32, seconds in 0..4_000_000_000i64) {
            let (at, zone) = (Timestamp::from_seconds(seconds), Tz::Europe__Berlin);
            let of = |days| Within { years: 0, months: 0, days, hours: 0 };
            prop_assert!(of(days + 1).before(at, zone) < of(days).before(at, zone));
        }
    }
}
