//! Lines that restic prints for people: how far a step is, which step it is, sizes with their units. For the commands that know no JSON.

/// A line such as `[0:03] 45.23%  12 / 26 packs repacked`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Counter {
    /// Seconds since the step began.
    pub seconds: u64,
    /// Share done, 0 to 1; none if restic does not know the whole.
    pub share: Option<f64>,
    /// How many are done.
    pub done: u64,
    /// Of how many.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: String,
}

impl Counter {
    /// Reads a line; none if it is another one.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let (clock, rest) = line.trim().strip_prefix('[')?.split_once(']')?;
        let seconds = seconds(clock)?;
        let mut rest = rest.trim_start();
        let mut share = None;
        if let Some((percent, after)) = rest.split_once('%')
            && let Ok(percent) = percent.trim().parse::<f64>()
        {
            share = (percent.is_finite()).then_some((percent / 100.0).clamp(0.0, 1.0));
            rest = after.trim_start();
        }
        let (done, rest) = number(rest)?;
        match rest.trim_start().strip_prefix('/').map(str::trim_start).and_then(number) {
            Some((total, unit)) => Some(Self { seconds, share, done, total: Some(total), unit: unit.trim().into() }),
            None => Some(Self { seconds, share, done, total: None, unit: rest.trim().into() }),
        }
    }
}

/// `3:07` or `1:02:03`.
fn seconds(clock: &str) -> Option<u64> {
    let mut sum = 0_u64;
    for part in clock.split(':') {
        sum = sum.checked_mul(60)?.checked_add(part.parse().ok()?)?;
    }
    clock.contains(':').then_some(sum)
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    Some((digits.parse().ok()?, rest))
}

/// How the lines begin that say what restic does next.
const STEPS: &[&str] = &[
    "loading ",
    "load ",
    "finding ",
    "searching ",
    "collecting ",
    "repacking ",
    "rebuilding ",
    "deleting ",
    "removing ",
    "check ",
    "read ",
    "reading ",
    "getting ",
    "saving ",
    "salvaging ",
    "snapshot ",
    "copy started",
];

/// What restic does next, if the line says so.
#[must_use]
pub fn step(line: &str) -> Option<&str> {
    let line = line.trim();
    STEPS.iter().any(|s| line.starts_with(s)).then(|| line.trim_end_matches('.'))
}

/// Whether the line says that somebody else's lock is waited for.
#[must_use]
pub fn waits_for_lock(line: &str) -> bool {
    line.starts_with("repo already locked, waiting up to")
}

/// `12.810 MiB` in bytes; the rounding is restic's.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // bounded by the comparison
pub fn bytes(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let scale: u64 = match unit.trim() {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        "PiB" => 1 << 50,
        _ => return None,
    };
    let value = number.parse::<f64>().ok().filter(|n| n.is_finite() && *n >= 0.0)? * scale as f64;
    (value < 9.0e18).then_some(value.round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn counter(seconds: u64, share: Option<f64>, done: u64, total: Option<u64>, unit: &str) -> Option<Counter> {
        Some(Counter { seconds, share, done, total, unit: unit.into() })
    }

    #[test]
    fn counters_of_every_command() {
        for (line, want) in [
            ("[0:03] 45.23%  12 / 26 packs repacked", counter(3, Some(0.4523), 12, Some(26), "packs repacked")),
            ("[1:02:03] 100.00%  7 / 7 snapshots", counter(3723, Some(1.0), 7, Some(7), "snapshots")),
            ("[0:00]          0 packs copied", counter(0, None, 0, None, "packs copied")),
            ("[0:00]          0 old indexes deleted", counter(0, None, 0, None, "old indexes deleted")),
            ("[0:01] 250.00%  5 / 2 packs", counter(1, Some(1.0), 5, Some(2), "packs")),
            ("[x] 1 / 2 packs", None),
            ("[{\"id\":1}]", None),
            ("repacking packs", None),
            ("[0:01]", None),
            ("", None),
        ] {
            assert_eq!(Counter::parse(line), want, "{line}");
        }
    }

    #[test]
    fn steps_and_sizes() {
        for (line, want) in [
            ("loading all snapshots...", Some("loading all snapshots")),
            (
                "finding data that is still in use for 3 snapshots",
                Some("finding data that is still in use for 3 snapshots"),
            ),
            ("check snapshots, trees and blobs", Some("check snapshots, trees and blobs")),
            ("  copy started, this may take a while...", Some("copy started, this may take a while")),
            ("to repack:  2 blobs / 683.811 KiB", None),
            ("done", None),
            ("", None),
        ] {
            assert_eq!(step(line), want, "{line}");
        }
        for (text, want) in [
            ("0 B", Some(0)),
            ("683.811 KiB", Some(700_222)),
            ("12.810 MiB", Some(13_432_259)),
            ("2 GiB", Some(2_147_483_648)),
            ("1.5 TiB", Some(1_649_267_441_664)),
            ("-1 B", None),
            ("NaN B", None),
            ("9999999 PiB", None),
            ("12", None),
            ("1 GB", None),
        ] {
            assert_eq!(bytes(text), want, "{text}");
        }
        assert!(waits_for_lock("repo already locked, waiting up to 2m0s for the lock"));
    }

    proptest! {
        #[test]
        fn junk_is_no_harm(line in "\\PC{0,80}", clock in "[0-9:]{0,12}", rest in "[0-9 /%.a-z]{0,40}") {
            let _ = (Counter::parse(&line), step(&line), bytes(&line));
            if let Some(c) = Counter::parse(&format!("[{clock}] {rest}")) {
                prop_assert!(c.share.is_none_or(|s| (0.0..=1.0).contains(&s)));
            }
        }
    }
}
