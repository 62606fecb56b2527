//! Spreading starts: hosts that all back up at 02:00 should not all start at 02:00. Each schedule of each host has a fixed place in
//! the spread, so that its start is as predictable as an unspread one.

use crate::id::{HostId, ScheduleId};
use crate::wire::state::Firing;
use std::time::Duration;
use uuid::Uuid;

/// How long after the due instant a schedule starts, given the time to its next fire. Never more than a quarter of that time.
#[must_use]
pub fn spread(host: HostId, schedule: ScheduleId, firing: Firing, to_next: Option<Duration>) -> Duration {
    let width = width(firing, to_next);
    let place = Uuid::new_v5(&host.0, schedule.0.as_bytes());
    // 32 bits of a hash, as a share of the width.
    let share = u64::from(u32::from_be_bytes([
        place.as_bytes()[0],
        place.as_bytes()[1],
        place.as_bytes()[2],
        place.as_bytes()[3],
    ]));
    Duration::from_millis((u64::try_from(width.as_millis()).unwrap_or(u64::MAX) * share) >> 32)
}

/// How wide the spread is: what a person is shown as "between 02:00 and 02:10".
#[must_use]
pub fn width(firing: Firing, to_next: Option<Duration>) -> Duration {
    let wanted = Duration::from_secs(u64::from(firing.jitter_minutes.min(720)) * 60);
    to_next.map_or(wanted, |gap| wanted.min(gap / 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_schedule_has_its_own_place_within_the_width() {
        let (host, minutes) = (HostId::new(), |n| Firing { jitter_minutes: n, ..Firing::default() });
        let day = Some(Duration::from_secs(86_400));
        let places: Vec<Duration> = (0..1000).map(|_| spread(host, ScheduleId::new(), minutes(10), day)).collect();
        assert!(places.iter().all(|p| *p < Duration::from_secs(600)));
        let late = places.iter().filter(|p| **p > Duration::from_secs(300)).count();
        assert!((400..600).contains(&late), "{late} of 1000 in the later half");
        let one = ScheduleId::new();
        assert_eq!(spread(host, one, minutes(10), day), spread(host, one, minutes(10), day));
        assert_eq!(spread(host, one, minutes(0), day), Duration::ZERO);
        assert!(spread(host, one, minutes(10), Some(Duration::from_secs(60))) < Duration::from_secs(15));
        assert_eq!(width(minutes(10), None), Duration::from_secs(600));
    }
}
