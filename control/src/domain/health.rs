//! Health: what a repository's history of figures says (how it grows, when it is full, what deduplication and compression save), how much
//! of its data was read in this cycle, and, in `verdict`, how it is on the whole.

use chrono::Datelike;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

mod cycle;
mod stretch;
mod trouble;
mod verdict;

pub use cycle::{NotPart, Part, ReadCycle};
pub use stretch::Stretch;
pub use trouble::Trouble;
pub use verdict::{
    AppendOnly, Failing, Findings, Health, Level, Limits, OpenAlert, Weighed, lies_with_repository, verdict,
};

/// A repository's figures at one time, as restic's `stats` tells them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = HealthSample)]
pub struct Sample {
    /// When they were taken.
    pub at: Timestamp,
    /// Bytes that are stored.
    pub raw_size: u64,
    /// The same before compression; restic 0.17 and later say it.
    pub uncompressed_size: Option<u64>,
    /// Bytes that restoring every snapshot would write.
    pub restore_size: Option<u64>,
    /// How many snapshots there are.
    pub snapshots: u64,
    /// Bytes that are free where it is stored, if an agent can see that: a folder of its host.
    #[serde(default)]
    pub free: Option<u64>,
}

/// How much more can be stored: what is left of the quota or of the disk, whichever is less. None if neither is known.
#[must_use]
pub fn room(quota: Option<u64>, sample: &Sample) -> Option<u64> {
    let of_quota = quota.map(|quota| quota.saturating_sub(sample.raw_size));
    match (of_quota, sample.free) {
        (Some(quota), Some(disk)) => Some(quota.min(disk)),
        (known, other) => known.or(other),
    }
}

const DAY: Duration = Duration::from_secs(86_400);
const MICROS_PER_DAY: f64 = 86_400e6;
/// The samples of so long all stay.
const ALL_OF: Duration = DAY.saturating_mul(2);
/// One a day stays for so long, and after that one a week.
const DAILY_FOR: Duration = DAY.saturating_mul(90);

/// What is stored is so many times smaller than what it stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
#[schema(as = HealthRatios)]
pub struct Ratios {
    /// By storing what is equal once.
    pub deduplication: Option<f64>,
    /// By compressing it.
    pub compression: Option<f64>,
    /// By both.
    pub both: Option<f64>,
}

/// The ratios of a sample; each is left out if a figure is not known, or nothing is stored.
#[must_use]
pub fn ratios(sample: &Sample) -> Ratios {
    let over = |part: Option<u64>, whole: Option<u64>| match (part, whole) {
        (Some(part), Some(whole)) if whole > 0 => Some(part as f64 / whole as f64),
        _ => None,
    };
    Ratios {
        deduplication: over(sample.restore_size, sample.uncompressed_size),
        compression: over(sample.uncompressed_size, Some(sample.raw_size)),
        both: over(sample.restore_size, Some(sample.raw_size)),
    }
}

/// By how many bytes a day the repository grew in the last so many days. None if there are fewer than three days with samples.
///
/// The middle of the slopes between all days (Theil and Sen): a prune that makes it small at once, or one sample that is wrong, does
/// not bend it as it would a line of least squares.
#[must_use]
pub fn growth_per_day(samples: &[Sample], days: u32, now: Timestamp) -> Option<f64> {
    let since = now - DAY.saturating_mul(days);
    let recent = samples.iter().filter(|sample| sample.at >= since && sample.at <= now);
    let mut by_day: BTreeMap<i64, &Sample> = BTreeMap::new();
    for sample in recent {
        let last = by_day.entry(day(sample.at)).or_insert(sample);
        if sample.at >= last.at {
            *last = sample;
        }
    }
    let points: Vec<&Sample> = by_day.into_values().collect();
    let slope = |a: &Sample, b: &Sample| {
        let days = (b.at.micros() - a.at.micros()) as f64 / MICROS_PER_DAY;
        (b.raw_size as f64 - a.raw_size as f64) / days
    };
    let pairs = points.iter().enumerate().flat_map(|(n, a)| points[n + 1..].iter().map(move |b| slope(a, b)));
    let slopes: Vec<f64> = pairs.collect();
    if points.len() < 3 { None } else { median(slopes) }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (low, high) = (values.get((values.len().checked_sub(1)?) / 2)?, values.get(values.len() / 2)?);
    Some((low + high) / 2.0)
}

/// When the room is used up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = FullForecast)]
pub enum Full {
    /// Too little is known: no free space, or no history.
    Unknown,
    /// It does not grow.
    Never,
    /// At this rate, then.
    At {
        /// So many days from now; 0 if it is full.
        days: f64,
        /// The day; none if it is too far away to name.
        at: Option<Timestamp>,
    },
}

impl Full {
    /// In how many days it is full, if it ever is.
    #[must_use]
    pub const fn days(self) -> Option<f64> {
        match self {
            Self::Unknown | Self::Never => None,
            Self::At { days, .. } => Some(days),
        }
    }
}

/// The farthest that a day is named, in days.
const NAMED: f64 = 36_500.0;

/// When the bytes that are free (of the disk, or up to the quota) are used up at this growth a day.
#[must_use]
pub fn full(free: Option<u64>, growth: Option<f64>, now: Timestamp) -> Full {
    match (free, growth) {
        (None, _) => Full::Unknown,
        (Some(0), _) => Full::At { days: 0.0, at: Some(now) },
        (Some(_), None) => Full::Unknown,
        (Some(_), Some(growth)) if growth <= 0.0 => Full::Never,
        (Some(free), Some(growth)) => {
            let days = free as f64 / growth;
            let at = (days <= NAMED).then(|| now + Duration::from_secs_f64(days * DAY.as_secs_f64()));
            Full::At { days, at }
        }
    }
}

fn day(at: Timestamp) -> i64 {
    at.seconds().div_euclid(86_400)
}

/// Which samples stay in the history, in the order in which they are given: all of the last two days, the last of each day for ninety
/// days, and the last of each ISO week after that. In UTC, so that what stays does not change with a zone.
#[must_use]
pub fn thin(samples: &[Timestamp], now: Timestamp) -> Vec<bool> {
    let mut last: BTreeMap<Slot, usize> = BTreeMap::new();
    for (n, at) in samples.iter().enumerate() {
        let kept = last.entry(slot(*at, n, now)).or_insert(n);
        if samples[*kept] < *at {
            *kept = n;
        }
    }
    let mut stays = vec![false; samples.len()];
    last.into_values().for_each(|n| stays[n] = true);
    stays
}

/// What one sample is kept for.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Itself(usize),
    Day(i64),
    Week(i32, u32),
}

/// By whole days, so that a day or week is thinned as a whole and never loses its last sample.
fn slot(at: Timestamp, n: usize, now: Timestamp) -> Slot {
    let week = |at: Timestamp| at.to_utc().iso_week();
    let (full, daily) = (now - ALL_OF, now - DAILY_FOR);
    if at >= full || day(at) == day(full) {
        Slot::Itself(n)
    } else if at >= daily || week(at) == week(daily) {
        Slot::Day(day(at))
    } else {
        Slot::Week(week(at).year(), week(at).week())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::from_seconds(20_000 * 86_400 + 3_600);

    fn sample(days_ago: f64, raw_size: u64) -> Sample {
        let at = NOW - Duration::from_secs_f64(days_ago * 86_400.0);
        Sample { at, raw_size, uncompressed_size: None, restore_size: None, snapshots: 1, free: None }
    }

    #[test]
    fn the_room_is_what_ends_first() {
        for (quota, free, want) in [
            (None, None, None),
            (Some(150), None, Some(50)),
            (Some(50), None, Some(0)),
            (None, Some(7), Some(7)),
            (Some(150), Some(7), Some(7)),
            (Some(101), Some(7), Some(1)),
        ] {
            assert_eq!(room(quota, &Sample { free, ..sample(0.0, 100) }), want, "{quota:?} {free:?}");
        }
    }

    #[test]
    fn ratios_say_only_what_is_known() {
        let known = Sample { uncompressed_size: Some(200), restore_size: Some(1000), ..sample(0.0, 100) };
        assert_eq!(ratios(&known), Ratios { deduplication: Some(5.0), compression: Some(2.0), both: Some(10.0) });
        let old = Sample { restore_size: Some(1000), ..sample(0.0, 100) };
        assert_eq!(ratios(&old), Ratios { both: Some(10.0), ..Ratios::default() });
        let empty = Sample { uncompressed_size: Some(0), restore_size: Some(0), ..sample(0.0, 0) };
        assert_eq!(ratios(&empty), Ratios::default());
    }

    #[test]
    fn one_prune_does_not_bend_the_growth() {
        let steady: Vec<Sample> = (0..30).map(|n| sample(f64::from(29 - n), 1_000 + 10 * n as u64)).collect();
        assert_eq!(growth_per_day(&steady, 30, NOW).map(f64::round), Some(10.0));
        let mut pruned = steady.clone();
        pruned[28..].iter_mut().for_each(|s| s.raw_size -= 900);
        assert_eq!(growth_per_day(&pruned, 30, NOW).map(f64::round), Some(10.0));
        // Many samples of today do not outweigh the days before.
        let mut busy = steady.clone();
        busy.extend((0..40).map(|n| sample(0.04 - 0.001 * f64::from(n), 5_000)));
        assert_eq!(growth_per_day(&busy, 30, NOW).map(f64::round), Some(10.0));
        assert_eq!(growth_per_day(&steady[28..], 30, NOW), None, "two days say little");
        assert_eq!(growth_per_day(&steady, 1, NOW), None);
    }

    #[test]
    fn the_day_on_which_it_is_full() {
        for (free, growth, expected) in [
            (None, Some(1.0), Full::Unknown),
            (Some(10), None, Full::Unknown),
            (Some(10), Some(0.0), Full::Never),
            (Some(10), Some(-5.0), Full::Never),
            (Some(0), None, Full::At { days: 0.0, at: Some(NOW) }),
            (Some(20), Some(10.0), Full::At { days: 2.0, at: Some(NOW + DAY.saturating_mul(2)) }),
            (Some(1_000_000), Some(1.0), Full::At { days: 1_000_000.0, at: None }),
        ] {
            assert_eq!(full(free, growth, NOW), expected, "{free:?} {growth:?}");
        }
    }

    #[test]
    fn history_gets_thinner_with_age() {
        let hourly: Vec<Timestamp> = (0..400 * 24).map(|h| NOW - Duration::from_secs(h * 3_600)).collect();
        let stays = thin(&hourly, NOW);
        let left = |from: u64, to: u64| stays[(from * 24) as usize..(to * 24) as usize].iter().filter(|s| **s).count();
        assert_eq!(left(0, 2), 48);
        assert_eq!(left(10, 80), 70);
        assert_eq!(left(105, 105 + 70), 10);
    }

    proptest! {
        #[test]
        fn a_straight_line_is_found_again(start in 0..1_000_000u64, slope in 0..10_000u64, days in 3..60u32) {
            let samples: Vec<Sample> =
                (0..days).map(|n| sample(f64::from(days - 1 - n), start + slope * u64::from(n))).collect();
            let found = growth_per_day(&samples, 90, NOW).expect("enough days");
            prop_assert!((found - slope as f64).abs() < 0.5, "{} is not {}", found, slope);
        }

        /// Thinning every day leaves what thinning once at the end would, and twice is once.
        #[test]
        fn thinning_early_loses_nothing(mut hours in prop::collection::vec(0..10_000u64, 1..80), step in 1..400u64) {
            hours.sort_unstable();
            let all: Vec<Timestamp> = hours.iter().map(|h| Timestamp::from_seconds(0) + Duration::from_secs(h * 3_600)).collect();
            let thinned = |samples: &[Timestamp], now: Timestamp| -> Vec<Timestamp> {
                let stays = thin(samples, now);
                samples.iter().zip(stays).filter(|(_, stays)| *stays).map(|(at, _)| *at).collect()
            };
            let end = Timestamp::from_seconds(0) + Duration::from_secs(10_000 * 3_600);
            let mut left: Vec<Timestamp> = vec![];
            let mut now = Timestamp::from_seconds(0);
            let mut rest = all.as_slice();
            while now < end {
                now = (now + Duration::from_secs(step * 3_600)).min(end);
                let (come, later) = rest.split_at(rest.partition_point(|at| *at <= now));
                left.extend(come);
                rest = later;
                left = thinned(&left, now);
            }
            prop_assert_eq!(&left, &thinned(&all, end));
            prop_assert_eq!(&thinned(&left, end), &left);
        }
    }
}
