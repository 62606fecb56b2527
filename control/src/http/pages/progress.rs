//! How far a running job is, in words and figures: percent where restic tells it, what it counts, and an honest "unknown" otherwise.

use super::speed::{Speed, speed as speed_chart};
use super::view::percent;
use crate::domain::job::{Job, JobKind};
use crate::words::{Moment, job as words, number};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::progress::Progress;
use serde::Serialize;
use std::time::Duration;

/// How far a job is.
#[derive(Debug, Serialize)]
pub struct Live {
    /// What goes on, in words.
    pub phase: &'static str,
    /// Percent, if known.
    pub percent: Option<i64>,
    /// What is counted, such as `12 of 26 packs`.
    pub units: Option<String>,
    /// When it may be done, if restic has a guess.
    pub done_at: Option<Moment>,
    /// Its speed so far, once there is something to draw.
    pub chart: Option<Speed>,
    /// restic's figures.
    pub at: Progress,
    /// Bytes a second on average.
    pub speed: Option<f64>,
}

/// What is counted in the step, and how much of it is done.
fn units(at: &Progress) -> Option<String> {
    let (unit, done) = (at.unit.as_deref()?, at.units_done?);
    let total = at.units_total.map(number);
    Some(words::units(&number(done), total.as_deref(), unit))
}

/// How far a job is, if it has said so yet.
#[must_use]
pub fn live(job: &Job, now: Timestamp) -> Option<Live> {
    let at = job.progress.clone()?;
    let done_at = at.seconds_remaining.map(|left| Moment::new(now + Duration::from_secs(left), now));
    #[allow(clippy::cast_precision_loss)] // a speed for people
    let speed = (at.seconds_elapsed > 0 && at.bytes_done > 0).then(|| at.bytes_done as f64 / at.seconds_elapsed as f64);
    let phase = words::phase(at.phase, job.kind == JobKind::Backup);
    let chart = speed_chart(&at);
    Some(Live { phase, percent: percent(job), units: units(&at), speed, done_at, chart, at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_told_as_far_as_it_is_known() {
        let at = |total| Progress {
            unit: Some("packs".into()),
            units_done: Some(1200),
            units_total: total,
            ..Progress::default()
        };
        assert_eq!(units(&at(Some(2600))).as_deref(), Some("1,200 of 2,600 packs"));
        assert_eq!(units(&at(None)).as_deref(), Some("1,200 packs, of how many is not known"));
        assert_eq!(units(&Progress::default()), None);
    }
}
