//! A size over time as a picture: paths for an SVG that the page stretches, and the same as a table. Only geometry; what is counted is
//! decided in `service::health`.

use crate::domain::health::Sample;
use crate::words::repository::stored;
use crate::words::{Moment, bytes};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::fmt::Write as _;

/// The picture's own units.
const WIDE: f64 = 600.0;
const HIGH: f64 = 160.0;
/// Rows of the table.
const ROWS: usize = 24;

/// The stored size over time.
#[derive(Debug, Serialize)]
pub struct Chart {
    /// The line.
    pub line: String,
    /// The area below it.
    pub area: String,
    /// How high the quota lies, if it lies in the picture.
    pub quota: Option<String>,
    /// What the upper edge stands for.
    pub top: String,
    /// Half of it.
    pub half: String,
    /// The first day.
    pub from: Moment,
    /// The last.
    pub to: Moment,
    /// What it shows, in a sentence.
    pub label: String,
    /// The newest figures, as a table.
    pub rows: Vec<Row>,
}

/// A row of the table.
#[derive(Debug, Serialize)]
pub struct Row {
    /// When.
    pub at: Moment,
    /// Bytes that were stored.
    pub stored: u64,
    /// Bytes that restoring everything would have written.
    pub restore: Option<u64>,
    /// How many snapshots there were.
    pub snapshots: u64,
}

/// The picture of these figures, oldest first; none if there are fewer than two.
#[must_use]
#[allow(clippy::cast_precision_loss)] // a picture
pub fn chart(samples: &[Sample], quota: Option<u64>, now: Timestamp) -> Option<Chart> {
    let (first, last) = (samples.first()?, samples.last()?);
    let span = (last.at.micros() - first.at.micros()) as f64;
    if span <= 0.0 {
        return None;
    }
    let largest = samples.iter().map(|s| s.raw_size).max().unwrap_or(0) as f64;
    let quota = quota.map(|q| q as f64).filter(|q| *q <= largest * 3.0);
    let top = (largest * 1.1).max(quota.unwrap_or(0.0)).max(1.0);
    let y = |size: f64| HIGH - size / top * HIGH;
    let mut line = String::new();
    for (n, sample) in samples.iter().enumerate() {
        let x = (sample.at.micros() - first.at.micros()) as f64 / span * WIDE;
        let _ = write!(line, "{}{x:.1} {:.1}", if n == 0 { "M" } else { "L" }, y(sample.raw_size as f64));
    }
    let rows = samples.iter().rev().take(ROWS).map(|s| Row {
        at: Moment::new(s.at, now),
        stored: s.raw_size,
        restore: s.restore_size,
        snapshots: s.snapshots,
    });
    let (from, to) = (Moment::new(first.at, now), Moment::new(last.at, now));
    Some(Chart {
        area: format!("{line}L{WIDE} {HIGH}L0 {HIGH}Z"),
        line,
        quota: quota.map(|q| format!("M0 {0:.1}H{WIDE}", y(q))),
        top: bytes(top),
        half: bytes(top / 2.0),
        label: stored((&bytes(first.raw_size as f64), &from.short), (&bytes(last.raw_size as f64), &to.short)),
        from,
        to,
        rows: rows.collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_figure_is_no_picture_and_two_are_a_line() {
        let at = |day: i64, raw_size| Sample {
            at: Timestamp::from_seconds(day * 86_400),
            raw_size,
            uncompressed_size: None,
            restore_size: None,
            snapshots: 1,
            free: None,
        };
        let now = Timestamp::from_seconds(10 * 86_400);
        assert!(chart(&[at(1, 5)], None, now).is_none());
        let drawn = chart(&[at(1, 100), at(2, 200)], Some(300), now).expect("two figures");
        assert_eq!(drawn.line, "M0.0 106.7L600.0 53.3");
        assert_eq!(drawn.quota.as_deref(), Some("M0 0.0H600"));
        assert_eq!(drawn.rows.len(), 2);
    }
}
