//! Which fires should have been: worked out from the line that was in force on the host, and from how far its agent says that it
//! followed it. A fire that lies within that, and is at the control plane in no form, was missed. A host that is silent misses nothing
//! yet: it may have run, and will tell.

use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::fire::FireLedger;

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

/// Compares what was judged before with what is told now. An agent that says less than before (its clock was set back) changes nothing.
#[must_use]
pub fn judge(before: Option<&FireLedger>, told: &FireLedger, now: Timestamp) -> Judgement {
    let until = told.until.min(now);
    let Some(before) = before else {
        // The first word of this schedule: nothing was followed before its line was there.
        return within(told, told.since.min(until), until);
    };
    if before.cron == told.cron && before.timezone == told.timezone {
        // Also when the line began anew: an agent that lost its memory was meant to follow it all along.
        return within(told, before.until, until.max(before.until));
    }
    let change = told.since.min(until).max(before.until);
    let old = within(before, before.until, change);
    if old.judged.until < change {
        return old;
    }
    let new = within(told, change, until.max(change));
    Judgement { owed: [old.owed, new.owed].concat(), judged: new.judged }
}

/// The fires of a line after `from` and up to `until`.
fn within(line: &FireLedger, from: Timestamp, until: Timestamp) -> Judgement {
    let mut owed = Vec::new();
    let mut judged = FireLedger { until, ..line.clone() };
    if let (Ok(cron), Ok(zone)) = (line.cron.parse::<Crontab>(), line.timezone.parse::<Tz>()) {
        let mut after = from.to_utc();
        while let Some(due) = cron.next_after(after, zone).filter(|due| Timestamp::from(*due) <= until) {
            if owed.len() == AT_ONCE {
                judged.until = Timestamp::from(after);
                break;
            }
            owed.push(Timestamp::from(due));
            after = due;
        }
    }
    Judgement { owed, judged }
}

/// The next fire that could be owed: until the agent has told of it there is nothing to judge.
#[must_use]
pub fn next_owed(judged: &FireLedger) -> Option<Timestamp> {
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
