//! Retention: which snapshots of a schedule are kept, in restic's terms and with restic's results (0.17 and later), worked out here so
//! that the maintenance host is told ids and never a policy. Not who may remove or when: that is `forget`.
//!
//! One thing is decided otherwise than in restic. restic reads a snapshot's hour, day, week, month and year off the UTC offset that was
//! written into it, so the zone of the process that made it decides; here it is the zone of the schedule, for all its snapshots. Where
//! both are the same, so are the results.

use super::text_enum;
use chrono::{Datelike, NaiveDateTime, Timelike};
use chrono_tz::Tz;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::cmp::Reverse;
use std::fmt;

mod foresight;
mod policy;
mod within;

pub use foresight::{Foreseen, foresee};
pub use policy::{Count, NoPolicy, NotCount, Policy, Retention};
pub use within::{NotWithin, Within};

/// A snapshot as a policy sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// restic's id; decides the order of snapshots of one instant, which in restic is left to chance.
    pub id: &'a str,
    /// Its own time.
    pub time: Timestamp,
    /// All its tags.
    pub tags: &'a [String],
}

text_enum! {
    /// What a rule keeps one snapshot of.
    Slot {
        /// Each snapshot is its own.
        Last = "last",
        /// An hour on the clock; one that a clock change repeats is one.
        Hourly = "hourly",
        /// A day.
        Daily = "daily",
        /// An ISO week.
        Weekly = "weekly",
        /// A month.
        Monthly = "monthly",
        /// A year.
        Yearly = "yearly",
    }
}

impl Slot {
    /// The number of the slot that the `nth` newest snapshot lies in: equal for two neighbours if they share it.
    fn number(self, wall: NaiveDateTime, nth: usize) -> i64 {
        let (year, day) = (i64::from(wall.year()), i64::from(wall.num_days_from_ce()));
        match self {
            Self::Last => i64::try_from(nth).unwrap_or(i64::MAX),
            Self::Hourly => day * 24 + i64::from(wall.hour()),
            Self::Daily => day,
            Self::Weekly => i64::from(wall.iso_week().year()) * 100 + i64::from(wall.iso_week().week()),
            Self::Monthly => year * 12 + i64::from(wall.month0()),
            Self::Yearly => year,
        }
    }
}

/// Why a policy keeps a snapshot. As text in restic's own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "rule", rename_all = "snake_case")]
#[schema(as = KeepReason)]
pub enum Reason {
    /// It has all tags of one of the lists.
    Tags {
        /// The list.
        tags: Vec<String>,
    },
    /// It is not older than so much before the newest.
    Within {
        /// So much.
        within: Within,
    },
    /// It is the newest of its hour, day or other slot.
    Slot {
        /// Of which.
        slot: Slot,
        /// The stretch that the rule looks at, if it does not count.
        within: Option<Within>,
        /// It is not the newest of its slot but the oldest snapshot of all, kept while the rule has room left, so that history reaches
        /// back as far as it can.
        oldest: bool,
    },
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tags { tags } => write!(f, "has tags [{}]", tags.join(", ")),
            Self::Within { within } => write!(f, "within {within}"),
            Self::Slot { slot, within, oldest } => {
                f.write_str(if *oldest { "oldest " } else { "" })?;
                match within {
                    Some(within) => write!(f, "{slot} within {within}"),
                    None => write!(f, "{slot} snapshot"),
                }
            }
        }
    }
}

/// What a policy says of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stays, for these reasons (at least one).
    Keep(Vec<Reason>),
    /// No rule keeps it.
    Remove,
}

/// What a policy says of each snapshot, in the order in which they are given. Snapshots of the future do not count as the newest from
/// which a stretch is measured.
#[must_use]
pub fn apply(policy: Policy<'_>, snapshots: &[Candidate<'_>], zone: Tz, now: Timestamp) -> Vec<Fate> {
    let newest = snapshots.iter().map(|s| s.time).filter(|time| *time < now).max();
    let since = |within: Within| newest.map_or(Timestamp::from_micros(i64::MIN), |newest| within.before(newest, zone));
    let mut rules: Vec<Rule> = rules(policy, since);
    let recent = policy.keep_within.map(|within| (within, since(within)));

    let mut order: Vec<usize> = (0..snapshots.len()).collect();
    order.sort_by_key(|n| (Reverse(snapshots[*n].time), snapshots[*n].id));
    let mut fates = vec![Fate::Remove; snapshots.len()];
    for (nth, &index) in order.iter().enumerate() {
        let snapshot = &snapshots[index];
        let place = Place {
            time: snapshot.time,
            wall: snapshot.time.to_utc().with_timezone(&zone).naive_local(),
            nth,
            oldest: nth + 1 == order.len(),
        };
        let fits = |list: &&Vec<String>| list.iter().all(|tag| snapshot.tags.contains(tag));
        let tags = policy.keep_tags.iter().filter(fits).map(|list| Reason::Tags { tags: list.clone() });
        let within = recent.filter(|(_, since)| snapshot.time > *since).map(|(within, _)| Reason::Within { within });
        let slots = rules.iter_mut().filter_map(|rule| rule.keeps(&place));
        let reasons: Vec<Reason> = tags.chain(within).chain(slots).collect();
        if !reasons.is_empty() {
            fates[index] = Fate::Keep(reasons);
        }
    }
    fates
}

/// Where a snapshot stands among all, newest first.
struct Place {
    time: Timestamp,
    wall: NaiveDateTime,
    nth: usize,
    oldest: bool,
}

/// One rule on its way from the newest snapshot to the oldest.
struct Rule {
    slot: Slot,
    reach: Reach,
    /// The slot that it has a snapshot of last.
    filled: Option<i64>,
}

/// How far a rule goes.
enum Reach {
    /// So many slots more.
    Count(Count),
    /// To the snapshots after an instant.
    Since(Timestamp, Within),
}

fn rules(policy: Policy<'_>, since: impl Fn(Within) -> Timestamp) -> Vec<Rule> {
    let counted = policy.counts().into_iter().filter_map(|(slot, count)| Some((slot, Reach::Count(count?))));
    let within = policy.withins().into_iter().filter_map(|(slot, within)| {
        let within = within?;
        Some((slot, Reach::Since(since(within), within)))
    });
    counted.chain(within).map(|(slot, reach)| Rule { slot, reach, filled: None }).collect()
}

impl Rule {
    /// Whether the rule keeps the next snapshot, and then why.
    fn keeps(&mut self, place: &Place) -> Option<Reason> {
        let (open, within) = match &self.reach {
            Reach::Count(Count::Unlimited) => (true, None),
            Reach::Count(Count::Of(left)) => (*left > 0, None),
            Reach::Since(since, within) => (place.time > *since, Some(*within)),
        };
        let number = self.slot.number(place.wall, place.nth);
        let filled = self.filled == Some(number);
        if !open || (filled && !place.oldest) {
            return None;
        }
        self.filled = Some(number);
        if let Reach::Count(Count::Of(left)) = &mut self.reach {
            *left -= 1;
        }
        Some(Reason::Slot { slot: self.slot, within, oldest: filled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn retention(rules: serde_json::Value) -> Retention {
        serde_json::from_value(rules).expect("a policy")
    }

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).expect("time")
    }

    /// The times that stay with the reasons, newest first.
    fn kept(rules: serde_json::Value, zone: Tz, times: &[&str]) -> Vec<String> {
        let retention = retention(rules);
        let snapshots: Vec<Candidate> =
            times.iter().map(|time| Candidate { id: time, time: at(time), tags: &[] }).collect();
        let fates = apply(retention.policy().expect("rules"), &snapshots, zone, at("2030-01-01T00:00:00Z"));
        let told = |(time, fate): (&&str, Fate)| match fate {
            Fate::Keep(reasons) => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                Some(format!("{time}: {}", reasons.join(", ")))
            }
            Fate::Remove => None,
        };
        times.iter().zip(fates).filter_map(told).collect()
    }

    #[test]
    fn each_rule_keeps_the_newest_of_its_slot_and_the_oldest_of_all() {
        let times = ["2027-03-05T12:00:00Z", "2027-03-05T11:30:00Z", "2027-03-04T12:00:00Z", "2027-02-28T12:00:00Z"];
        for (rules, expected) in [
            (json!({"keep_last": 1}), vec!["2027-03-05T12:00:00Z: last snapshot"]),
            (
                json!({"keep_daily": 2}),
                vec!["2027-03-05T12:00:00Z: daily snapshot", "2027-03-04T12:00:00Z: daily snapshot"],
            ),
            (
                json!({"keep_monthly": -1, "keep_within": "1h"}),
                vec![
                    "2027-03-05T12:00:00Z: within 1h, monthly snapshot",
                    "2027-03-05T11:30:00Z: within 1h",
                    "2027-02-28T12:00:00Z: monthly snapshot",
                ],
            ),
            (
                json!({"keep_yearly": 2}),
                vec!["2027-03-05T12:00:00Z: yearly snapshot", "2027-02-28T12:00:00Z: oldest yearly snapshot"],
            ),
            (
                json!({"keep_within_weekly": "1m"}),
                vec!["2027-03-05T12:00:00Z: weekly within 1m", "2027-02-28T12:00:00Z: weekly within 1m"],
            ),
        ] {
            assert_eq!(kept(rules.clone(), Tz::UTC, &times), expected, "{rules}");
        }
    }

    #[test]
    fn the_zone_says_what_a_day_and_an_hour_are() {
        let midnight = ["2027-03-05T23:30:00Z", "2027-03-05T22:30:00Z"];
        let one = ["2027-03-05T23:30:00Z: daily snapshot", "2027-03-05T22:30:00Z: oldest daily snapshot"];
        let two = ["2027-03-05T23:30:00Z: daily snapshot", "2027-03-05T22:30:00Z: daily snapshot"];
        assert_eq!(kept(json!({"keep_daily": 9}), Tz::UTC, &midnight), one);
        assert_eq!(kept(json!({"keep_daily": 9}), Tz::Europe__Berlin, &midnight), two);
        // 02:30 happens twice that night: one hour on the clock.
        let twice = ["2026-10-25T02:30:00+01:00", "2026-10-25T02:30:00+02:00", "2026-10-25T01:30:00+02:00"];
        let hours = ["2026-10-25T02:30:00+01:00: hourly snapshot", "2026-10-25T01:30:00+02:00: hourly snapshot"];
        assert_eq!(kept(json!({"keep_hourly": 2}), Tz::Europe__Berlin, &twice), hours);
    }

    #[test]
    fn the_future_is_kept_but_nothing_is_measured_from_it() {
        let times = ["2031-01-01T00:00:00Z", "2027-03-05T12:00:00Z", "2027-03-01T12:00:00Z"];
        let expected = ["2031-01-01T00:00:00Z: within 1d", "2027-03-05T12:00:00Z: within 1d"];
        assert_eq!(kept(json!({"keep_within": "1d"}), Tz::UTC, &times), expected);
    }

    #[test]
    fn tag_lists_mean_all_of_their_tags() {
        let tagged = |tags: &[&str]| tags.iter().map(ToString::to_string).collect::<Vec<_>>();
        let retention = retention(json!({"keep_tags": [["a", "b"], ["c"]]}));
        for (tags, reasons) in [
            (tagged(&["b", "x", "a"]), vec!["has tags [a, b]"]),
            (tagged(&["a", "c", "b"]), vec!["has tags [a, b]", "has tags [c]"]),
            (tagged(&["a"]), vec![]),
            (tagged(&[]), vec![]),
        ] {
            let snapshot = Candidate { id: "1", time: at("2027-01-01T00:00:00Z"), tags: &tags };
            let fates = apply(retention.policy().expect("rules"), &[snapshot], Tz::UTC, at("2027-01-02T00:00:00Z"));
            let told = match &fates[0] {
                Fate::Keep(reasons) => reasons.iter().map(ToString::to_string).collect(),
                Fate::Remove => vec![],
            };
            assert_eq!(told, reasons, "{tags:?}");
        }
    }

    proptest! {
        #[test]
        fn more_room_never_removes_more(times in prop::collection::vec(0..200_000_000i64, 1..40), n in 1..20u32) {
            let ids: Vec<String> = times.iter().enumerate().map(|(n, time)| format!("{n}-{time}")).collect();
            let snapshots: Vec<Candidate> = times
                .iter()
                .zip(&ids)
                .map(|(time, id)| Candidate { id, time: Timestamp::from_seconds(*time), tags: &[] })
                .collect();
            let fates = |n: u32| {
                let retention = Retention { keep_daily: Some(Count::Of(n)), ..Retention::default() };
                apply(retention.policy().expect("rule"), &snapshots, Tz::Europe__Berlin, Timestamp::from_seconds(i64::MAX / 1_000_000))
            };
            let (few, many) = (fates(n), fates(n + 1));
            prop_assert!(few.iter().any(|fate| *fate != Fate::Remove), "the newest always stays");
            // The oldest of all may be kept for the room that is left, and then is in a slot of its own or the last of one.
            for (few, many) in few.iter().zip(&many) {
                prop_assert!(*few == Fate::Remove || *many != Fate::Remove);
            }
        }

        #[test]
        fn the_order_of_the_input_does_not_matter(times in prop::collection::vec(0..9_000_000i64, 1..30)) {
            let ids: Vec<String> = (0..times.len()).map(|n| n.to_string()).collect();
            let mut snapshots: Vec<Candidate> = times
                .iter()
                .zip(&ids)
                .map(|(time, id)| Candidate { id, time: Timestamp::from_seconds(*time), tags: &[] })
                .collect();
            let retention = retention(json!({"keep_last": 2, "keep_hourly": 3, "keep_within_daily": "20d"}));
            let policy = retention.policy().expect("rules");
            let now = Timestamp::from_seconds(10_000_000);
            let forwards = apply(policy, &snapshots, Tz::UTC, now);
            snapshots.reverse();
            let mut backwards = apply(policy, &snapshots, Tz::UTC, now);
            backwards.reverse();
            prop_assert_eq!(forwards, backwards);
        }
    }
}
