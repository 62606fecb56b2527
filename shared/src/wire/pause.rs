//! Pauses: times in which a schedule does not fire by itself. What fell into one is owed by nobody, neither then nor afterwards. Not a
//! switch: a disabled schedule has no line at all, a paused one keeps its own and goes on with it.

use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// From one instant up to another, which is not part of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Pause {
    /// The first instant of it.
    pub from: Timestamp,
    /// The first instant after it; none if it has no end yet.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

impl Pause {
    /// Whether an instant lies within.
    #[must_use]
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }

    /// Whether a fire that is due at one instant, and starts at another because starts are spread, falls into it.
    #[must_use]
    pub fn takes(&self, due: Timestamp, start: Timestamp) -> bool {
        self.from <= start && self.until.is_none_or(|until| due < until)
    }
}

/// The pause that an instant lies in. Where there are several, the one that ends last.
#[must_use]
pub fn paused_at(pauses: &[Pause], at: Timestamp) -> Option<Pause> {
    pauses.iter().copied().filter(|p| p.holds(at)).max_by_key(|p| (p.until.is_none(), p.until))
}

/// Whether a fire falls into one of them.
#[must_use]
pub fn is_excused(pauses: &[Pause], due: Timestamp, start: Timestamp) -> bool {
    pauses.iter().any(|p| p.takes(due, start))
}

/// The first fire after an instant that falls into no pause: when it is due, and when it starts. `next` tells the fires of a line.
#[must_use]
pub fn first_free(
    pauses: &[Pause],
    after: Timestamp,
    next: impl Fn(Timestamp) -> Option<(Timestamp, Timestamp)>,
) -> Option<(Timestamp, Timestamp)> {
    let mut after = after;
    loop {
        let (due, start) = next(after)?;
        let Some(pause) = pauses.iter().find(|p| p.takes(due, start)) else { return Some((due, start)) };
        // Over the whole pause at once: a line may fire each minute of a year.
        after = due.max(Timestamp::from_micros(pause.until?.micros() - 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn pause(from: i64, until: Option<i64>) -> Pause {
        Pause { from: at(from), until: until.map(at) }
    }

    #[test]
    fn the_end_is_not_part_of_it() {
        for (from, until, due, start, taken) in [
            (100, Some(200), 99, 99, false),
            (100, Some(200), 100, 100, true),
            (100, Some(200), 199, 199, true),
            (100, Some(200), 200, 200, false),
            (100, None, 1_000_000, 1_000_000, true),
            // It would start within.
            (100, Some(200), 90, 110, true),
            // It was due within, and would start after it.
            (100, Some(200), 190, 210, true),
            (100, Some(200), 200, 210, false),
            // Not a moment long.
            (100, Some(100), 100, 100, false),
        ] {
            assert_eq!(is_excused(&[pause(from, until)], at(due), at(start)), taken, "{from} {until:?} {due} {start}");
        }
    }

    #[test]
    fn the_longest_of_several_counts() {
        let (short, long, open) = (pause(0, Some(50)), pause(10, Some(90)), pause(20, None));
        assert_eq!(paused_at(&[short, long], at(15)), Some(long));
        assert_eq!(paused_at(&[long, open, short], at(25)), Some(open));
        assert_eq!(paused_at(&[short, long], at(90)), None);
    }

    #[test]
    fn the_first_free_fire_is_looked_for_over_all_pauses() {
        let each_ten = |after: Timestamp| {
            let due = at((after.seconds().div_euclid(10) + 1) * 10);
            Some((due, due + Duration::from_secs(3)))
        };
        let due = |pauses: &[Pause], after: i64| first_free(pauses, at(after), each_ten).map(|(due, _)| due.seconds());
        assert_eq!(due(&[], 5), Some(10));
        assert_eq!(due(&[pause(0, Some(30))], 5), Some(30), "it ends when a fire is due");
        assert_eq!(due(&[pause(0, Some(31))], 5), Some(40));
        assert_eq!(due(&[pause(12, Some(25))], 5), Some(30), "10 would start at 13");
        assert_eq!(due(&[pause(0, Some(30)), pause(30, Some(60))], 5), Some(60), "two that follow each other");
        assert_eq!(due(&[pause(0, Some(1_000_000_000))], 5), Some(1_000_000_000), "and not one by one");
        assert_eq!(due(&[pause(25, None)], 5), Some(10));
        assert_eq!(due(&[pause(25, None)], 25), None);
    }

    #[test]
    fn an_end_may_be_left_out_on_the_wire() {
        let told: Pause = serde_json::from_str("{\"from\":\"2026-11-27T10:00:00Z\"}").expect("reads");
        assert_eq!(told.until, None);
    }
}
