//! A window of the day such as `22:00-06:00`: on a local clock, over midnight if it ends before it begins.

use chrono::{NaiveTime, Timelike};
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// From this minute on, to before that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    from: NaiveTime,
    to: NaiveTime,
}

/// The text is no window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write two different times of day, such as 22:00-06:00")]
pub struct NotWindow;

const PATTERN: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$";

impl FromStr for Window {
    type Err = NotWindow;

    fn from_str(text: &str) -> Result<Self, NotWindow> {
        let time = |text: &str| {
            let parsed = NaiveTime::parse_from_str(text, "%H:%M").map_err(|_| NotWindow)?;
            if text.len() == 5 { Ok(parsed) } else { Err(NotWindow) }
        };
        let (from, to) = text.split_once('-').ok_or(NotWindow)?;
        let (from, to) = (time(from)?, time(to)?);
        if from == to { Err(NotWindow) } else { Ok(Self { from, to }) }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.from.format("%H:%M"), self.to.format("%H:%M"))
    }
}

impl Window {
    /// Whether it is open at an instant.
    #[must_use]
    pub fn open(self, at: Timestamp, zone: Tz) -> bool {
        let wall = at.to_utc().with_timezone(&zone).time();
        match self.from < self.to {
            true => self.from <= wall && wall < self.to,
            false => self.from <= wall || wall < self.to,
        }
    }

    /// When it opens next; none while it is open. A beginning that a clock change skips is right after the change, as for a cron line.
    #[must_use]
    pub fn opens_after(self, now: Timestamp, zone: Tz) -> Option<Timestamp> {
        if self.open(now, zone) {
            return None;
        }
        let line = format!("{} {} * * *", self.from.minute(), self.from.hour());
        let next = line.parse::<Crontab>().ok()?.next_after(now.to_utc(), zone)?;
        Some(next.into())
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(de::Error::custom)
    }
}

impl utoipa::PartialSchema for Window {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        utoipa::openapi::schema::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .pattern(Some(PATTERN))
            .description(Some("two different times of day, such as 22:00-06:00"))
            .into()
    }
}

impl utoipa::ToSchema for Window {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("UpkeepWindow")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_window_may_go_over_midnight() {
        for (window, local, open) in [
            ("22:00-06:00", "21:59", false),
            ("22:00-06:00", "22:00", true),
            ("22:00-06:00", "00:00", true),
            ("22:00-06:00", "05:59", true),
            ("22:00-06:00", "06:00", false),
            ("01:30-02:00", "01:29", false),
            ("01:30-02:00", "01:30", true),
            ("01:30-02:00", "02:00", false),
            ("00:00-23:59", "23:58", true),
        ] {
            let at = Timestamp::parse(&format!("2027-01-15T{local}:00+01:00")).expect("time");
            assert_eq!(
                window.parse::<Window>().expect(window).open(at, Tz::Europe__Berlin),
                open,
                "{window} at {local}"
            );
        }
        for wrong in ["", "22:00", "22:00-22:00", "24:00-06:00", "9:00-10:00", "22:00 - 06:00", "22:00-06:00:00"] {
            assert_eq!(wrong.parse::<Window>(), Err(NotWindow), "{wrong}");
        }
    }

    #[test]
    fn it_opens_right_after_a_change_that_skips_its_beginning() {
        let window: Window = "02:30-04:00".parse().expect("valid");
        let now = Timestamp::parse("2027-03-28T00:00:00Z").expect("time");
        assert_eq!(
            window.opens_after(now, Tz::Europe__Berlin).map(|t| t.to_string()),
            Some("2027-03-28T01:00:00Z".into())
        );
    }

    proptest! {
        #[test]
        fn it_is_shut_until_it_opens(from in 0..1440u32, to in 0..1440u32, minutes in 0..2_000_000i64) {
            prop_assume!(from != to);
            let text = format!("{:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60);
            let window: Window = text.parse().expect("valid");
            prop_assert_eq!(window.to_string(), text);
            let now = Timestamp::from_seconds(1_700_000_000 + minutes * 60);
            let opens = window.opens_after(now, Tz::UTC);
            prop_assert_eq!(opens.is_none(), window.open(now, Tz::UTC));
            if let Some(opens) = opens {
                prop_assert!(window.open(opens, Tz::UTC) && opens > now);
                prop_assert!(!window.open(Timestamp::from_seconds(opens.seconds() - 1), Tz::UTC));
            }
        }
    }
}
