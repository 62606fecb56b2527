//! The track of a running job: how many bytes it had done after how many seconds, a few points over its whole life, for a picture of its speed.
//! The server keeps it beside the newest progress; agents tell none.

use restic_manager_shared::wire::progress::{Point, Progress};

/// Points that are kept; then every other one goes, so that they still reach back to the start.
const MOST: usize = 60;

/// The newest progress, with the track up to it. One that falls back begins anew, as when a job is run once more.
#[must_use]
pub fn follow(before: Option<&Progress>, newest: Progress) -> Progress {
    let now = Point { seconds: newest.seconds_elapsed, bytes: newest.bytes_done };
    let mut track: Vec<Point> = before.map(|b| b.track.clone()).unwrap_or_default();
    match track.last() {
        Some(last) if last.seconds > now.seconds || last.bytes > now.bytes => track = vec![now],
        Some(last) if last.seconds == now.seconds => {}
        Some(_) | None => track.push(now),
    }
    if track.len() > MOST {
        let newest = track.len() - 1;
        let mut n = 0usize;
        track.retain(|_| {
            n += 1;
            (n - 1).is_multiple_of(2) || n - 1 == newest
        });
    }
    Progress { track, ..newest }
}

/// Seconds since the start, and bytes a second on the way there from the point before; oldest first.
#[must_use]
#[allow(clippy::cast_precision_loss)] // a speed for people
pub fn speeds(track: &[Point]) -> Vec<(u64, f64)> {
    track
        .windows(2)
        .filter_map(|pair| {
            let (from, to) = (pair.first()?, pair.last()?);
            let seconds = to.seconds.checked_sub(from.seconds).filter(|s| *s > 0)?;
            Some((to.seconds, to.bytes.saturating_sub(from.bytes) as f64 / seconds as f64))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64, bytes: u64) -> Progress {
        Progress { seconds_elapsed: seconds, bytes_done: bytes, ..Progress::default() }
    }

    #[test]
    fn a_track_reaches_from_the_start_to_now_and_stays_short() {
        let mut kept = follow(None, at(0, 0));
        for second in 1..=1000 {
            kept = follow(Some(&kept), at(second, second * 100));
            assert!(kept.track.len() <= MOST + 1, "{second}: {}", kept.track.len());
            assert_eq!(kept.track.first().map(|p| p.seconds), Some(0), "{second}");
            assert_eq!(kept.track.last().map(|p| p.seconds), Some(second), "{second}");
        }
        assert!(speeds(&kept.track).iter().all(|(_, speed)| (*speed - 100.0).abs() < 0.01));
    }

    #[test]
    fn what_falls_back_begins_anew_and_what_stands_still_adds_nothing() {
        let begun = follow(Some(&follow(None, at(5, 100))), at(9, 300));
        for (next, points) in [(at(9, 300), 2), (at(10, 300), 3), (at(1, 0), 1), (at(12, 200), 1)] {
            assert_eq!(follow(Some(&begun), next.clone()).track.len(), points, "{next:?}");
        }
        assert_eq!(speeds(&begun.track), [(9, 50.0)]);
        assert!(speeds(&[]).is_empty());
    }
}
