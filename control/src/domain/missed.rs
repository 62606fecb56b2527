//! Which fires should have been: worked out from the line that was in force on the host, and from how far its agent says that it
//! followed it. A fire that lies within that, and is at the control plane in no form, was missed. A host that is silent misses nothing
//! yet: it may have run, and will tell.
//!
//! A change counts from the moment the host has it, and so does the end: until its agent hears that a schedule is disabled or has
//! another line, the old line is owed, and the agent's last word on it says how far. After it nothing is owed until a line begins anew.
//! Of a deleted schedule what ran is recorded, and nothing is missed: nobody waits for it.
//!
//! A fire that fell into a pause is owed by nobody, whenever its agent tells of that time.

use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::FireLedger;
use restic_manager_shared::wire::pause::{Pause, is_excused};

/// The most fires that are judged at once; the rest waits for the next time.
const AT_ONCE: usize = 2_000;

/// What follows from what an agent told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Fires that should be there by now, oldest first.
    pub owed: Vec<Timestamp>,
    /// How far that is judged, and by which line; what to compare with next time.
    pub judged: FireLedger,
}

/// Compares what was judged before with what is told now. An agent that says less than before (its clock was set back, or it tells again
/// what it told) changes nothing.
#[must_use]
pub fn judge(before: Option<&FireLedger>, told: &FireLedger, now: Timestamp) -> Judgement {
    let until = told.until.min(now);
    let Some(before) = before else {
        // The first word of this schedule: nothing was followed before its line was there.
        return within(told, told.since.min(until), until);
    };
    let same_line = (&before.cron, &before.timezone) == (&told.cron, &told.timezone);
    if until <= before.until && is_past(before, told, same_line) {
        return Judgement { owed: vec![], judged: before.clone() };
    }
    if same_line && !before.ended {
        // Also when the line began anew: an agent that lost its memory was meant to follow it all along.
        return within(told, before.until, until.max(before.until));
    }
    let change = told.since.min(until).max(before.until);
    if before.ended {
        return within(told, change, until.max(change));
    }
    let old = within(before, before.until, change);
    if old.judged.until < change {
        return old;
    }
    let new = within(told, change, until.max(change));
    Judgement { owed: [old.owed, new.owed].concat(), judged: new.judged }
}

/// Whether an agent tells of a line that it had before what was judged last, as it does until it is answered, or when a request was slow.
/// The end of what was judged last is news.
fn is_past(before: &FireLedger, told: &FireLedger, same_line: bool) -> bool {
    let same_stretch = same_line && (before.since == told.since || told.until > before.since);
    before.ended || (told.ended && !same_stretch)
}

/// The fires of a line after `from` and up to `until`.
fn within(line: &FireLedger, from: Timestamp, until: Timestamp) -> Judgement {
    let mut owed = Vec::new();
    let mut judged = FireLedger { until, ..line.clone() };
    if let (Ok(cron), Ok(zone)) = (line.cron.parse::<Crontab>(), line.timezone.parse::<Tz>()) {
        let mut after = from.to_utc();
        while let Some(due) = cron.next_after(after, zone).filter(|due| Timestamp::from(*due) <= until) {
            if owed.len() == AT_ONCE {
                (judged.until, judged.ended) = (Timestamp::from(after), false);
                break;
            }
            owed.push(Timestamp::from(due));
            after = due;
        }
    }
    Judgement { owed, judged }
}

/// What remains owed of these fires, given the schedule's pauses and its host's. `start` tells when a fire starts, which is later than it is
/// due where starts are spread.
#[must_use]
pub fn without_paused(
    owed: Vec<Timestamp>,
    pauses: &[Pause],
    start: impl Fn(Timestamp) -> Timestamp,
) -> Vec<Timestamp> {
    if pauses.is_empty() {
        return owed;
    }
    owed.into_iter().filter(|due| !is_excused(pauses, *due, start(*due))).collect()
}

/// The next fire that could be owed: until the agent has told of it there is nothing to judge.
#[must_use]
pub fn next_owed(judged: &FireLedger) -> Option<Timestamp> {
    if judged.ended {
        return None;
    }
    let (cron, zone) = (judged.cron.parse::<Crontab>().ok()?, judged.timezone.parse::<Tz>().ok()?);
    cron.next_after(judged.until.to_utc(), zone).map(Timestamp::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::ScheduleId;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(&format!("2026-03-{text}:00Z")).expect("valid")
    }

    fn ledger(cron: &str, since: &str, until: &str) -> FireLedger {
        FireLedger {
            schedule_id: ScheduleId(uuid::Uuid::nil()),
            cron: cron.into(),
            timezone: "UTC".into(),
            since: at(since),
            until: at(until),
            ended: false,
        }
    }

    #[test]
    fn only_what_was_followed_is_owed() {
        let nightly = |since, until| ledger("30 2 * * *", since, until);
        let later = |since, until| ledger("45 3 * * *", since, until);
        for (case, before, told, owed, until) in [
            ("first word", None, nightly("01T12:00", "03T12:00"), vec!["02T02:30", "03T02:30"], "03T12:00"),
            (
                "goes on",
                Some(nightly("01T12:00", "02T12:00")),
                nightly("01T12:00", "03T12:00"),
                vec!["03T02:30"],
                "03T12:00",
            ),
            ("nothing new", Some(nightly("01T12:00", "03T12:00")), nightly("01T12:00", "03T12:00"), vec![], "03T12:00"),
            (
                "its clock was set back",
                Some(nightly("01T12:00", "03T12:00")),
                nightly("01T12:00", "02T01:00"),
                vec![],
                "03T12:00",
            ),
            ("a clock ahead of ours", None, nightly("01T12:00", "09T12:00"), vec!["02T02:30", "03T02:30"], "04T00:00"),
            (
                "it lost its memory",
                Some(nightly("01T12:00", "02T12:00")),
                nightly("03T11:00", "03T12:00"),
                vec!["03T02:30"],
                "03T12:00",
            ),
            (
                "another line, after the old one fired",
                Some(nightly("01T12:00", "02T12:00")),
                later("03T03:00", "03T12:00"),
                vec!["03T02:30", "03T03:45"],
                "03T12:00",
            ),
            (
                "another line, before the old one fired",
                Some(nightly("01T12:00", "02T12:00")),
                later("03T02:00", "03T03:00"),
                vec![],
                "03T03:00",
            ),
        ] {
            let judgement = judge(before.as_ref(), &told, at("04T00:00"));
            assert_eq!(judgement.owed, owed.iter().map(|t| at(t)).collect::<Vec<_>>(), "{case}");
            assert_eq!((judgement.judged.until, &judgement.judged.cron), (at(until), &told.cron), "{case}");
        }
        assert_eq!(next_owed(&nightly("01T12:00", "03T12:00")), Some(at("04T02:30")));
    }

    /// "nightly", or "later" for another line; since when, until when; and "ended" if it is over.
    fn spelled(text: &str) -> FireLedger {
        let words: Vec<&str> = text.split(' ').collect();
        let cron = if words[0] == "nightly" { "30 2 * * *" } else { "45 3 * * *" };
        FireLedger { ended: words.len() > 3, ..ledger(cron, words[1], words[2]) }
    }

    /// The case, what was judged, what is told, what is owed, how far it is judged then, and whether that is an end.
    type Ending = (&'static str, &'static str, &'static str, &'static [&'static str], &'static str, bool);

    #[rustfmt::skip]
    const ENDINGS: [Ending; 12] = [
        ("first and last word", "", "nightly 01T12:00 02T12:00 ended", &["02T02:30"], "02T12:00", true),
        ("disabled, and the fire before that did not run",
            "nightly 01T12:00 02T12:00", "nightly 01T12:00 03T12:00 ended", &["03T02:30"], "03T12:00", true),
        ("its end is told again",
            "nightly 01T12:00 03T12:00 ended", "nightly 01T12:00 03T12:00 ended", &[], "03T12:00", true),
        ("its end, with nothing since the last word",
            "nightly 01T12:00 02T12:00", "nightly 01T12:00 02T12:00 ended", &[], "02T12:00", true),
        ("enabled for no time at all",
            "nightly 02T12:00 02T12:00", "nightly 02T12:00 02T12:00 ended", &[], "02T12:00", true),
        ("a poll that was slow does not open it again",
            "nightly 01T12:00 03T12:00 ended", "nightly 01T12:00 03T11:00", &[], "03T12:00", true),
        ("enabled again: the time between is not owed",
            "nightly 01T12:00 02T12:00 ended", "nightly 05T12:00 06T12:00", &["06T02:30"], "06T12:00", false),
        ("enabled again with another line",
            "nightly 01T12:00 02T12:00 ended", "later 05T03:00 05T12:00", &["05T03:45"], "05T12:00", false),
        ("an end is told again when the line runs anew",
            "nightly 05T12:00 06T12:00", "nightly 01T12:00 02T12:00 ended", &[], "06T12:00", false),
        ("an end is told again when another line runs",
            "later 05T12:00 06T12:00", "nightly 01T12:00 05T12:00 ended", &[], "06T12:00", false),
        ("a line that came and went between two words",
            "nightly 01T12:00 02T12:00", "later 03T03:00 04T03:00 ended", &["03T02:30", "03T03:45"], "04T03:00", true),
        ("its clock was set back, then it ended",
            "nightly 01T12:00 03T12:00", "nightly 01T12:00 02T01:00 ended", &[], "03T12:00", true),
    ];

    #[test]
    fn nothing_is_owed_of_a_line_that_ended() {
        for (case, before, told, owed, until, is_end) in ENDINGS {
            let before = (!before.is_empty()).then(|| spelled(before));
            let Judgement { owed: found, judged } = judge(before.as_ref(), &spelled(told), at("08T00:00"));
            assert_eq!(found, owed.iter().map(|t| at(t)).collect::<Vec<_>>(), "{case}");
            assert_eq!((judged.until, judged.ended), (at(until), is_end), "{case}");
            assert_eq!(next_owed(&judged).is_none(), is_end, "{case}");
        }
    }

    #[test]
    fn nothing_is_missed_within_a_pause() {
        let told = ledger("30 2 * * *", "01T12:00", "06T12:00");
        let owed = |pauses: &[(&str, &str)]| {
            let pause =
                |(from, until): &(&str, &str)| Pause { from: at(from), until: (!until.is_empty()).then(|| at(until)) };
            let pauses: Vec<Pause> = pauses.iter().map(pause).collect();
            let owed = without_paused(judge(None, &told, at("08T00:00")).owed, &pauses, |due| due);
            owed.iter().map(|t| t.to_string()[8..10].to_owned()).collect::<Vec<_>>().join(" ")
        };
        for (pauses, want) in [
            (&[][..], "02 03 04 05 06"),
            (&[("03T00:00", "04T00:00")], "02 04 05 06"),
            // It ends at the instant of a fire, which is owed again; it begins at one, which is not.
            (&[("03T00:00", "04T02:30")], "02 04 05 06"),
            (&[("03T02:30", "04T02:31")], "02 05 06"),
            (&[("03T02:31", "04T02:30")], "02 03 04 05 06"),
            (&[("04T00:00", "")], "02 03"),
            // Of its own and of its host.
            (&[("02T00:00", "03T00:00"), ("05T00:00", "06T00:00")], "03 04 06"),
            (&[("02T00:00", "05T00:00"), ("03T00:00", "04T00:00")], "05 06"),
            // Before its line was there.
            (&[("01T00:00", "01T12:00")], "02 03 04 05 06"),
        ] {
            assert_eq!(owed(pauses), want, "{pauses:?}");
        }
        // It was due before the pause, and its place in the spread lies within.
        let pause = [Pause { from: at("03T02:40"), until: Some(at("03T04:00")) }];
        let late = |due: Timestamp| due + std::time::Duration::from_secs(900);
        assert_eq!(without_paused(vec![at("02T02:30"), at("03T02:30")], &pause, late), [at("02T02:30")]);
    }

    #[test]
    fn a_long_time_is_judged_in_parts_and_completely() {
        let told = ledger("*/5 * * * *", "01T00:00", "20T00:00");
        let (mut before, mut seen) = (None, vec![]);
        loop {
            let Judgement { owed, judged } = judge(before.as_ref(), &told, at("20T00:00"));
            seen.extend(owed);
            let done = judged.until == at("20T00:00");
            before = Some(judged);
            if done {
                break;
            }
        }
        assert_eq!(seen.len(), 19 * 288);
        assert!(seen.is_sorted_by(|a, b| a < b));
    }
}
