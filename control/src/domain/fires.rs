//! Fires: when a cron line will run, and what a clock change does to that. What a line means is decided in `shared::cron`; here is only
//! what a person should be told about it before they save it.

use super::reading::{and, reading};
use super::retention::{Foreseen, Retention, foresee};
use super::schedule::{self, ScheduleInput};
use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use restic_manager_shared::cron::Crontab;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};

/// The most fires of one preview.
pub const MOST: u32 = 50;
const USUAL: u32 = 5;

/// A cron line that somebody thinks of using.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewInput {
    /// A crontab(5) line of five fields.
    #[schema(example = "30 2 * * *")]
    pub cron: String,
    /// IANA zone of the line; UTC if none.
    #[serde(default)]
    pub timezone: Option<String>,
    /// Which snapshots would be kept; all if not said.
    #[serde(default, deserialize_with = "super::strict::object")]
    pub retention: Retention,
    /// How many fires, 5 if not said.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 50)]
    pub count: Option<u32>,
    /// Fires after this instant; now if none.
    #[serde(default)]
    pub from: Option<Timestamp>,
}

/// What a cron line does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Preview {
    /// The line in plain words.
    #[schema(example = "every weekday at 02:30")]
    pub text: String,
    /// When it fires next, in order.
    pub fires: Vec<Fire>,
    /// What the rules keep in the long run, by this line alone; none if they keep everything.
    pub kept: Option<Foreseen>,
}

/// One time at which a line fires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Fire {
    /// The instant.
    pub at: Timestamp,
    /// The same in the line's zone, with its UTC offset.
    #[schema(example = "2027-03-28T03:00:00+02:00")]
    pub local: String,
    /// What a clock change does to this fire; left out if nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub note: Option<String>,
}

/// Reads a line and says when it fires. `now` counts if the input names no instant.
///
/// # Errors
/// Everything that is wrong, by field, in the words that saving a schedule would use.
pub fn preview(input: &PreviewInput, now: Timestamp) -> Result<Preview, Vec<FieldError>> {
    let mut wrong = check(&input.cron, input.timezone.as_deref());
    let count = input.count.unwrap_or(USUAL);
    if !(1..=MOST).contains(&count) {
        wrong.push(FieldError { pointer: "/count".into(), detail: format!("1 to {MOST}") });
    }
    wrong.extend(input.retention.check("/retention"));
    let zone = input.timezone.as_deref().and_then(|name| name.parse().ok()).unwrap_or(Tz::UTC);
    match input.cron.parse() {
        Ok(cron) if wrong.is_empty() => {
            let fires = fires(&cron, zone, input.from.unwrap_or(now), count as usize);
            let kept = input.retention.policy().ok().map(|policy| foresee(policy, &cron, zone, now));
            Ok(Preview { text: reading(&cron), fires, kept })
        }
        _ => Err(wrong),
    }
}

/// What is wrong with a line and its zone: the rules of a schedule about when, and no others; the rest is given as one that passes.
#[must_use]
pub fn check(cron: &str, timezone: Option<&str>) -> Vec<FieldError> {
    let input = ScheduleInput {
        name: "preview".into(),
        paths: vec!["/".into()],
        cron: Some(cron.to_owned()),
        timezone: timezone.map(ToOwned::to_owned),
        ..ScheduleInput::default()
    };
    schedule::check(&input, None)
}

/// The next fires of a line after an instant.
#[must_use]
pub fn fires(cron: &Crontab, zone: Tz, after: Timestamp, count: usize) -> Vec<Fire> {
    let mut before = after.to_utc();
    let fire = |at: DateTime<Utc>| {
        let note = note(cron, zone, before, at);
        before = at;
        Fire { at: at.into(), local: at.with_timezone(&zone).to_rfc3339(), note }
    };
    cron.fires(after.to_utc(), zone).take(count).map(fire).collect()
}

/// A clock that goes forward.
struct Jump {
    /// What it shows when it jumps.
    from: NaiveDateTime,
    /// What it shows then.
    to: NaiveDateTime,
}

fn local(at: DateTime<Utc>, zone: Tz) -> NaiveDateTime {
    at.with_timezone(&zone).naive_local()
}

fn offset(at: DateTime<Utc>, zone: Tz) -> i32 {
    at.with_timezone(&zone).offset().fix().local_minus_utc()
}

/// The clock's jumps forward after `before` and not after `at`; not those of more than ten years ago, which nobody asks about.
fn jumps(zone: Tz, before: DateTime<Utc>, at: DateTime<Utc>) -> impl Iterator<Item = Jump> {
    let before = before.max(at - TimeDelta::days(3653));
    let days = (0..=(at - before).num_days()).map(move |n| before + TimeDelta::days(n));
    days.filter_map(move |day| jump(zone, day, at.min(day + TimeDelta::days(1))))
}

/// The jump forward in a stretch of at most a day: no zone changes twice in that.
fn jump(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Jump> {
    let (mut low, mut high) = (from, to);
    if offset(low, zone) >= offset(high, zone) {
        return None;
    }
    while high - low > TimeDelta::seconds(1) {
        let middle = low + (high - low) / 2;
        if offset(middle, zone) == offset(to, zone) { high = middle } else { low = middle }
    }
    // Clocks change on whole seconds; halving ends within one of them.
    let change = DateTime::from_timestamp(high.timestamp(), 0)?;
    let shift = TimeDelta::seconds(i64::from(offset(to, zone) - offset(from, zone)));
    Some(Jump { from: local(change, zone) - shift, to: local(change, zone) })
}

/// What a clock change does to the fire at `at`, where the one before was at `before`.
fn note(cron: &Crontab, zone: Tz, before: DateTime<Utc>, at: DateTime<Utc>) -> Option<String> {
    let mut jumps = jumps(zone, before, at).map(|jump| (skipped(cron, &jump), jump));
    if let Some((skipped, jump)) = jumps.find(|(skipped, _)| !skipped.is_empty()) {
        return Some(told(cron, &jump, &skipped, local(at, zone)));
    }
    let twice = zone.from_local_datetime(&local(at, zone));
    let (first, second) = (twice.earliest()?.to_utc(), twice.latest()?.to_utc());
    match (first == second, cron.repeats()) {
        (true, _) => None,
        (false, false) => Some("this time happens twice that day; it runs the first time".into()),
        (false, true) => {
            let which = if at == first { "first" } else { "second" };
            Some(format!("this time happens twice that day; it runs both times, this is the {which}"))
        }
    }
}

/// The local times that the line names and the clock jumps over.
fn skipped(cron: &Crontab, jump: &Jump) -> Vec<NaiveDateTime> {
    // UTC has no jumps: there the line fires at every local time that it names.
    let named = cron.fires((jump.from - TimeDelta::seconds(1)).and_utc(), Tz::UTC).map(|at| at.naive_utc());
    named.take_while(|wall| *wall < jump.to).collect()
}

fn told(cron: &Crontab, jump: &Jump, skipped: &[NaiveDateTime], at: NaiveDateTime) -> String {
    let one_day = jump.from.date() == jump.to.date();
    let name = |wall: &NaiveDateTime| wall.format(if one_day { "%H:%M" } else { "%-d %b %H:%M" }).to_string();
    let clock = format!("the clock jumps from {} to {}", name(&jump.from), name(&jump.to));
    let that_day = if one_day { " that day" } else { "" };
    match skipped {
        _ if cron.repeats() && one_day && jump.to.date() != at.date() => {
            format!("before this run, on {}, {clock}", jump.to.format("%-d %b"))
        }
        _ if cron.repeats() => format!("before this run {clock}"),
        [only] => format!("{} does not exist{that_day}: {clock}", name(only)),
        few if (2..=3).contains(&few.len()) => {
            format!("{} do not exist{that_day}: {clock}", and(few.iter().map(name).collect()))
        }
        [first, .., last] => format!("{} to {} do not exist{that_day}: {clock}", name(first), name(last)),
        [] => clock,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(cron: &str, zone: &str, from: &str, count: u32) -> Vec<(String, String)> {
        let input = PreviewInput {
            cron: cron.into(),
            timezone: Some(zone.into()),
            count: Some(count),
            from: None,
            retention: Retention::default(),
        };
        let fires = preview(&input, Timestamp::parse(from).expect("time")).expect(cron).fires;
        fires.into_iter().map(|f| (f.local, f.note.unwrap_or_default())).collect()
    }

    /// Line, zone, the instant before, the local time of the next fire, and its note.
    type Case = (&'static str, &'static str, &'static str, &'static str, &'static str);

    const BERLIN: &str = "Europe/Berlin";
    const SPRING: &str = "2027-03-27T12:00:00Z";
    const THREE: &str = "2027-03-28T03:00:00+02:00";
    const JUMPS: [Case; 7] = [
        ("30 2 * * *", BERLIN, SPRING, THREE, "02:30 does not exist that day: the clock jumps from 02:00 to 03:00"),
        (
            "0,30 2 * * *",
            BERLIN,
            SPRING,
            THREE,
            "02:00 and 02:30 do not exist that day: the clock jumps from 02:00 to 03:00",
        ),
        (
            "0-50/10 2 * * *",
            BERLIN,
            SPRING,
            THREE,
            "02:00 to 02:50 do not exist that day: the clock jumps from 02:00 to 03:00",
        ),
        ("*/30 * * * *", BERLIN, "2027-03-28T00:30:00Z", THREE, "before this run the clock jumps from 02:00 to 03:00"),
        (
            "*/30 2 * * 0",
            BERLIN,
            "2027-03-24T00:00:00Z",
            "2027-04-04T02:00:00+02:00",
            "before this run, on 28 Mar, the clock jumps from 02:00 to 03:00",
        ),
        (
            "15 2 * * *",
            "Australia/Lord_Howe",
            "2026-10-03T00:00:00Z",
            "2026-10-04T02:30:00+11:00",
            "02:15 does not exist that day: the clock jumps from 02:00 to 02:30",
        ),
        (
            "30 2 * * *",
            "Pacific/Apia",
            "2011-12-29T12:30:00Z",
            "2011-12-31T00:00:00+14:00",
            "30 Dec 02:30 does not exist: the clock jumps from 30 Dec 00:00 to 31 Dec 00:00",
        ),
    ];
    const FOLDS: [Case; 3] = [
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24T12:00:00Z",
            "2026-10-25T02:30:00+02:00",
            "this time happens twice that day; it runs the first time",
        ),
        (
            "0 * * * *",
            BERLIN,
            "2026-10-24T23:30:00Z",
            "2026-10-25T02:00:00+02:00",
            "this time happens twice that day; it runs both times, this is the first",
        ),
        (
            "0 * * * *",
            BERLIN,
            "2026-10-25T00:00:00Z",
            "2026-10-25T02:00:00+01:00",
            "this time happens twice that day; it runs both times, this is the second",
        ),
    ];
    const QUIET: [Case; 4] = [
        ("30 2 * * *", BERLIN, "2027-03-26T12:00:00Z", "2027-03-27T02:30:00+01:00", ""),
        ("30 2 * * *", BERLIN, "2027-03-28T12:00:00Z", "2027-03-29T02:30:00+02:00", ""),
        ("30 3 * * *", BERLIN, SPRING, "2027-03-28T03:30:00+02:00", ""),
        ("0 3 * * *", BERLIN, SPRING, THREE, ""),
    ];

    #[test]
    fn notes_stand_only_where_a_clock_change_matters() {
        for (cron, zone, from, local, note) in JUMPS.into_iter().chain(FOLDS).chain(QUIET) {
            assert_eq!(
                ask(cron, zone, from, 1),
                [(local.to_owned(), note.to_owned())],
                "{cron} in {zone} after {from}"
            );
        }
    }

    #[test]
    fn a_preview_says_what_is_wrong_by_field() {
        let now = Timestamp::parse("2026-11-23T20:00:00Z").expect("time");
        let wrong = |cron: &str, zone: Option<&str>, count| {
            let input = PreviewInput {
                cron: cron.into(),
                timezone: zone.map(Into::into),
                count,
                from: None,
                retention: Retention::default(),
            };
            preview(&input, now).err().into_iter().flatten().map(|e| e.pointer).collect::<Vec<_>>()
        };
        assert_eq!(wrong("30 2 * * *", None, None), Vec::<String>::new());
        assert_eq!(wrong("61 2 * * *", Some("Mars/Base"), Some(51)), ["/cron", "/timezone", "/count"]);
        assert_eq!(wrong("", None, Some(0)), ["/cron", "/count"]);
        assert_eq!(wrong("0 0 31 2 *", None, None), ["/cron"]);
    }

    #[test]
    fn five_fires_are_told_unless_asked_otherwise() {
        let now = Timestamp::parse("2026-11-23T20:00:00Z").expect("time");
        let input = PreviewInput { cron: "30 2 * * 1-5".into(), ..PreviewInput::default() };
        let told = preview(&input, now).expect("valid");
        assert_eq!((told.text.as_str(), told.fires.len()), ("every weekday at 02:30", 5));
        assert_eq!(told.fires[0].local, "2026-11-24T02:30:00+00:00");
        let later = PreviewInput { from: Timestamp::parse("2027-01-01T00:00:00+01:00").ok(), ..input };
        assert_eq!(preview(&later, now).expect("valid").fires[0].at.to_string(), "2027-01-01T02:30:00Z");
        // The ends of what RFC 3339 can say: no fire, or the first there is, but never a panic.
        for from in ["0000-01-01T00:00:00Z", "9999-12-31T23:59:59Z"] {
            let far = PreviewInput {
                from: Timestamp::parse(from).ok(),
                timezone: Some("Pacific/Apia".into()),
                ..later.clone()
            };
            assert!(preview(&far, now).is_ok(), "{from}");
        }
    }
}
