//! The speed of a running job as a picture: paths for an SVG that the page stretches, and the same as a table. Only geometry.

use crate::domain::speed::speeds;
use crate::words::{bytes, job as words, span};
use restic_manager_shared::wire::progress::Progress;
use serde::Serialize;
use std::fmt::Write as _;

/// The picture's own units.
const WIDE: f64 = 600.0;
const HIGH: f64 = 120.0;
/// Rows of the table.
const ROWS: usize = 12;

/// The speed over time.
#[derive(Debug, Serialize)]
pub struct Speed {
    /// The line.
    pub line: String,
    /// The area below it.
    pub area: String,
    /// Bytes a second now.
    pub now: f64,
    /// What the upper edge stands for.
    pub top: String,
    /// The time since the start at the left edge, in words.
    pub from: String,
    /// What it shows, in a sentence.
    pub label: String,
    /// The newest figures: time since the start, and bytes a second.
    pub rows: Vec<(String, f64)>,
}

/// The picture of a job's speed; none while there is too little to draw.
#[must_use]
#[allow(clippy::cast_precision_loss)] // a picture
pub fn speed(at: &Progress) -> Option<Speed> {
    let speeds = speeds(&at.track);
    let ((first, _), (last, now)) = (*speeds.first()?, *speeds.last()?);
    let (wide, most) =
        (last.checked_sub(first).filter(|s| *s > 0)? as f64, speeds.iter().map(|(_, s)| *s).fold(0.0, f64::max));
    let top = (most * 1.1).max(1.0);
    let mut line = String::new();
    for (n, (seconds, speed)) in speeds.iter().enumerate() {
        let x = seconds.saturating_sub(first) as f64 / wide * WIDE;
        let _ = write!(line, "{}{x:.1} {:.1}", if n == 0 { "M" } else { "L" }, HIGH - speed / top * HIGH);
    }
    Some(Speed {
        area: format!("{line}L{WIDE} {HIGH}L0 {HIGH}Z"),
        line,
        now,
        top: bytes(top),
        from: words::after(&span(first as f64)),
        label: words::throughput(&span(wide), &bytes(now), &bytes(most)),
        rows: speeds.iter().rev().take(ROWS).map(|(at, speed)| (span(*at as f64), *speed)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::wire::progress::Point;

    #[test]
    fn a_picture_needs_two_speeds() {
        let track = |points: &[(u64, u64)]| Progress {
            track: points.iter().map(|(seconds, bytes)| Point { seconds: *seconds, bytes: *bytes }).collect(),
            ..Progress::default()
        };
        assert!(speed(&track(&[])).is_none() && speed(&track(&[(0, 0), (10, 1000)])).is_none());
        let drawn = speed(&track(&[(0, 0), (10, 1000), (20, 1000)])).expect("two speeds");
        assert_eq!(drawn.line, "M0.0 10.9L600.0 120.0");
        assert_eq!((drawn.now, drawn.rows.len()), (0.0, 2));
    }
}
