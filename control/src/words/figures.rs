//! Figures as people read them: sizes in restic's units, counts with thousands apart, spans of time, and instants both as "3 min ago" and
//! in full.

use super::viewer::viewer;
use chrono::Datelike as _;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/// A size, such as `1.2 GiB`.
#[must_use]
pub fn bytes(n: f64) -> String {
    let (mut value, mut unit) = (n.max(0.0), 0);
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    match unit {
        0 => format!("{value:.0} B"),
        _ if value >= 99.95 => format!("{value:.0} {}", UNITS[unit]),
        _ => format!("{value:.1} {}", UNITS[unit]),
    }
}

/// A count with thousands apart, such as `66,310`.
#[must_use]
pub fn count(n: i64) -> String {
    let digits = n.unsigned_abs().to_string();
    let mut text = String::from(if n < 0 { "-" } else { "" });
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A span of seconds, such as `3 min 2 s`: the largest unit and the one after it.
#[must_use]
pub fn span(seconds: f64) -> String {
    if seconds > 0.0 && seconds < 1.0 {
        return "under 1 s".into();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // below zero becomes zero, fractions go
    let s = seconds.max(0.0) as u64;
    let (first, second) = match s {
        0..60 => return format!("{s} s"),
        60..3600 => ((s / 60, "min"), (s % 60, "s")),
        3600..86_400 => ((s / 3600, "h"), (s % 3600 / 60, "min")),
        _ => ((s / 86_400, "d"), (s % 86_400 / 3600, "h")),
    };
    match second.0 {
        0 => format!("{} {}", first.0, first.1),
        n => format!("{} {} {n} {}", first.0, first.1, second.1),
    }
}

/// A distance in time by its largest unit alone, such as `3 min`.
fn roughly(s: u64) -> String {
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..172_800 => format!("{} h", s / 3600),
        _ => format!("{} d", s / 86_400),
    }
}

/// An instant as a page shows it, in the viewer's zone. Only the full form names the zone; the shell does for all others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// For machines.
    pub iso: String,
    /// In full, for the title.
    pub full: String,
    /// The minute, with as much of the day as is needed: `14:30`, `Fri 14:30` within a week, `13 Nov, 14:30`.
    pub short: String,
    /// The time of day to the second.
    pub clock: String,
    /// From now, such as `3 min ago` or `in 2 h`.
    pub ago: String,
}

impl Moment {
    /// How an instant looks from now.
    #[must_use]
    pub fn new(at: Timestamp, now: Timestamp) -> Self {
        let local = at.to_utc().with_timezone(&viewer());
        let (past, ahead) = (now.since(at).as_secs(), at.since(now).as_secs());
        let ago = match (past, ahead) {
            (0, 0) => "just now".into(),
            (_, 0) => format!("{} ago", roughly(past)),
            _ => format!("in {}", roughly(ahead)),
        };
        let today = now.to_utc().with_timezone(&viewer());
        let days = (local.date_naive() - today.date_naive()).num_days();
        let short = match days {
            0 => "%H:%M",
            -6..=6 => "%a %H:%M",
            _ if local.year() == today.year() => "%-d %b, %H:%M",
            _ => "%-d %b %Y, %H:%M",
        };
        Self {
            iso: at.to_string(),
            full: local.format("%a %-d %b %Y, %H:%M:%S %Z").to_string(),
            short: local.format(short).to_string(),
            clock: local.format("%H:%M:%S").to_string(),
            ago,
        }
    }
}

/// The day of an instant, as a heading in a list.
#[must_use]
pub fn day(at: Timestamp, now: Timestamp) -> String {
    let (local, today) = (at.to_utc().with_timezone(&viewer()), now.to_utc().with_timezone(&viewer()));
    let name = local.format(if local.year() == today.year() { "%a %-d %b" } else { "%a %-d %b %Y" });
    match (today.date_naive() - local.date_naive()).num_days() {
        0 => format!("Today, {name}"),
        1 => format!("Yesterday, {name}"),
        _ => name.to_string(),
    }
}

/// The same with a capital letter.
#[must_use]
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// A size that is counted, such as `1.2 GiB`.
#[must_use]
#[allow(clippy::cast_precision_loss)] // a size for people
pub fn size(n: u64) -> String {
    bytes(n as f64)
}

/// A count that is never below zero, such as `66,310`.
#[must_use]
pub fn number(n: u64) -> String {
    count(i64::try_from(n).unwrap_or(i64::MAX))
}

/// One sentence for one, another for several; the second gets the count as people read it.
#[must_use]
pub fn plural(n: u64, one: &str, several: impl FnOnce(String) -> String) -> String {
    if n == 1 { one.to_owned() } else { several(number(n)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        for (n, text) in [
            (0.0, "0 B"),
            (1023.0, "1023 B"),
            (1024.0, "1.0 KiB"),
            (1_048_575.0, "1.0 MiB"),
            (29.7 * 1024.0 * 1024.0 * 1024.0, "29.7 GiB"),
            (500.0 * 1024.0, "500 KiB"),
            (-1.0, "0 B"),
        ] {
            assert_eq!(bytes(n), text);
        }
        for (n, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (66_310, "66,310"), (-1_234_567, "-1,234,567")] {
            assert_eq!(count(n), text);
        }
        for (n, text) in [
            (0.0, "0 s"),
            (0.4, "under 1 s"),
            (59.9, "59 s"),
            (60.0, "1 min"),
            (182.0, "3 min 2 s"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(span(n), text);
        }
    }

    #[test]
    fn days_are_headings() {
        let now = Timestamp::parse("2026-11-23T00:30:00Z").expect("valid");
        for (at, heading) in [
            ("2026-11-23T00:00:00Z", "Today, Mon 23 Nov"),
            ("2026-11-22T23:59:59Z", "Yesterday, Sun 22 Nov"),
            ("2026-11-16T12:00:00Z", "Mon 16 Nov"),
            ("2025-12-31T12:00:00Z", "Wed 31 Dec 2025"),
        ] {
            assert_eq!(day(Timestamp::parse(at).expect("valid"), now), heading);
        }
    }

    #[test]
    fn instants_are_told_from_now_and_in_full() {
        let now = Timestamp::parse("2026-11-23T20:00:00Z").expect("valid");
        let look = |text: &str| Moment::new(Timestamp::parse(text).expect("valid"), now);
        assert_eq!(look("2026-11-23T20:00:00Z").ago, "just now");
        assert_eq!(look("2026-11-23T19:57:00Z").ago, "3 min ago");
        assert_eq!(look("2026-11-23T22:00:00Z").ago, "in 2 h");
        for (at, short) in [
            ("2026-11-23T19:57:00Z", "19:57"),
            ("2026-11-24T01:30:00Z", "Tue 01:30"),
            ("2026-11-17T20:00:00Z", "Tue 20:00"),
            ("2026-11-16T20:00:00Z", "16 Nov, 20:00"),
            ("2027-01-02T20:00:00Z", "2 Jan 2027, 20:00"),
        ] {
            assert_eq!(look(at).short, short);
        }
        assert_eq!(look("2026-11-20T19:57:01Z").full, "Fri 20 Nov 2026, 19:57:01 UTC");
    }
}
