//! A stretch of a repository's history as a picture shows it: what lies in it, with no more points than can be told apart.

use super::super::text_enum;
use super::Sample;
use restic_manager_shared::time::Timestamp;
use std::time::Duration;

/// Points of a picture.
const POINTS: i64 = 240;
const DAY: u64 = 86_400;

text_enum! {
    /// How far back a picture goes.
    Stretch {
        /// 30 days.
        Month = "month",
        /// 12 months.
        Year = "year",
        /// As far as there is anything.
        All = "all",
    }
}

impl Stretch {
    /// When it begins; none if it has no beginning.
    #[must_use]
    pub fn since(self, now: Timestamp) -> Option<Timestamp> {
        let days = match self {
            Self::Month => 30,
            Self::Year => 365,
            Self::All => return None,
        };
        Some(now - Duration::from_secs(days * DAY))
    }

    /// What of a history, oldest first, lies in it. Of samples that lie so near to each other that a picture does not tell them apart, the last stays;
    /// the first and the last of all do.
    #[must_use]
    pub fn of(self, samples: &[Sample], now: Timestamp) -> Vec<Sample> {
        let since = self.since(now);
        let within: Vec<Sample> = samples.iter().filter(|s| since.is_none_or(|since| s.at >= since)).copied().collect();
        let (Some(first), Some(last)) = (within.first().copied(), within.last()) else { return within };
        let span = (last.at.micros() - first.at.micros()).max(1);
        let slot = |s: &Sample| (i128::from(s.at.micros() - first.at.micros()) * i128::from(POINTS)) / i128::from(span);
        let mut kept: Vec<Sample> = vec![];
        for sample in within {
            match kept.last_mut().filter(|last| last.at != first.at && slot(last) == slot(&sample)) {
                Some(last) => *last = sample,
                None => kept.push(sample),
            }
        }
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(days: impl Iterator<Item = i64>) -> Vec<Sample> {
        let sample = |day: i64| Sample {
            at: Timestamp::from_seconds(day * 86_400),
            raw_size: u64::try_from(day).unwrap_or(0),
            uncompressed_size: None,
            restore_size: None,
            snapshots: 1,
            free: None,
        };
        days.map(sample).collect()
    }

    #[test]
    fn a_stretch_keeps_its_ends_and_few_points() {
        let now = Timestamp::from_seconds(5000 * 86_400);
        let history = samples(1..=5000);
        for (stretch, first, most) in [(Stretch::Month, 4970, 31), (Stretch::Year, 4635, 242), (Stretch::All, 1, 242)] {
            let kept = stretch.of(&history, now);
            assert_eq!((kept[0].raw_size, kept.last().map(|s| s.raw_size)), (first, Some(5000)), "{stretch:?}");
            assert!(kept.len() <= most && kept.len() >= most.min(200), "{stretch:?}: {}", kept.len());
            assert!(kept.is_sorted_by(|a, b| a.at < b.at), "{stretch:?}");
        }
        for (days, kept) in [(0..0, 0), (4999..5000, 1), (4999..5001, 2), (10..20, 0)] {
            assert_eq!(Stretch::Month.of(&samples(days.clone()), now).len(), kept, "{days:?}");
        }
        assert!(Stretch::ALL.iter().all(|s| s.as_str().parse() == Ok(*s)));
    }
}
