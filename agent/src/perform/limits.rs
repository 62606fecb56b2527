//! Which limits of transfer hold when a backup starts: those of the first span of hours that it falls into, else those of all day.

use chrono::{Timelike as _, Utc};
use chrono_tz::Tz;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::state::BackupOptions;

/// Upload and download in KiB/s.
pub(super) type Limits = (Option<u32>, Option<u32>);

/// The limits now, in the zone.
pub(super) fn now(options: &BackupOptions, now: Timestamp, zone: &str) -> Limits {
    let zone: Tz = zone.parse().unwrap_or(Tz::UTC);
    let local = now.to_utc().with_timezone(&Utc).with_timezone(&zone);
    at(options, local.hour() * 60 + local.minute())
}

fn at(options: &BackupOptions, minute: u32) -> Limits {
    let holds = options.timed_limits.iter().find(|span| match (minutes(&span.from), minutes(&span.to)) {
        (Some(from), Some(to)) if from <= to => (from..to).contains(&minute),
        // Over midnight.
        (Some(from), Some(to)) => minute >= from || minute < to,
        (None, _) | (_, None) => false,
    });
    holds.map_or((options.limit_upload_kib, options.limit_download_kib), |span| (span.upload_kib, span.download_kib))
}

/// `HH:MM` in minutes since midnight.
fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    (hours < 24 && minutes < 60).then_some(hours * 60 + minutes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::wire::state::TimedLimit;

    fn options() -> BackupOptions {
        let span = |from: &str, to: &str, upload_kib| TimedLimit {
            from: from.into(),
            to: to.into(),
            upload_kib,
            download_kib: None,
        };
        BackupOptions {
            limit_upload_kib: Some(1),
            limit_download_kib: Some(2),
            timed_limits: vec![
                span("08:00", "18:00", Some(100)),
                span("22:00", "06:00", None),
                span("x", "12:00", Some(9)),
            ],
            ..BackupOptions::default()
        }
    }

    #[test]
    fn the_first_span_that_holds_counts() {
        for (time, want) in [
            ("07:59", (Some(1), Some(2))),
            ("08:00", (Some(100), None)),
            ("17:59", (Some(100), None)),
            ("18:00", (Some(1), Some(2))),
            ("22:00", (None, None)),
            ("23:59", (None, None)),
            ("00:00", (None, None)),
            ("05:59", (None, None)),
            ("06:00", (Some(1), Some(2))),
        ] {
            assert_eq!(at(&options(), minutes(time).expect("a time")), want, "{time}");
        }
        let winter = Timestamp::parse("2026-01-05T07:30:00Z").expect("time");
        assert_eq!(now(&options(), winter, "Europe/Berlin"), (Some(100), None));
        assert_eq!(now(&options(), winter, "UTC"), (Some(1), Some(2)));
        assert_eq!(now(&options(), winter, "no zone"), (Some(1), Some(2)));
    }
}
