//! Pauses as people make them: a host or one schedule does not fire by itself for a while. What a pause does to fires is decided in
//! `shared::wire::pause`, the same for the agent, which has to know it offline; here is who paused what, why, and how the list of them is kept.

use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::pause::{Pause, is_excused};
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How long a pause that is over is kept: an agent may tell that late how far it followed its schedules.
const KEPT: Duration = Duration::from_secs(400 * 86_400);
/// Pauses that are kept at most, the newest.
const MOST: usize = 100;
/// How long after its end an agent still needs to know a pause: it makes up for fires that are not older than 31 days.
const TOLD: Duration = Duration::from_secs(35 * 86_400);
/// The longest pause with an end.
const LONGEST: Duration = Duration::from_secs(3_660 * 86_400);
/// The longest reason, in characters.
const MAX_REASON: usize = 1_000;

/// A pause, and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Paused {
    /// Since when nothing starts by itself.
    pub from: Timestamp,
    /// When it ends by itself; none if only a person ends it.
    pub until: Option<Timestamp>,
    /// Why, for people.
    pub reason: Option<String>,
    /// Who did it.
    pub by: String,
}

impl Paused {
    /// Its time alone.
    #[must_use]
    pub const fn span(&self) -> Pause {
        Pause { from: self.from, until: self.until }
    }
}

/// What a person or script says of a pause.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PauseInput {
    /// When it ends by itself; left out, only a person ends it.
    #[serde(default)]
    pub until: Option<Timestamp>,
    /// Why, for people.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: Option<String>,
}

/// What is wrong with a pause that begins now. Empty means fine.
#[must_use]
pub fn check(input: &PauseInput, now: Timestamp) -> Vec<FieldError> {
    let at = |pointer: &str, detail: &str| FieldError { pointer: pointer.into(), detail: detail.into() };
    let mut wrong = vec![];
    match input.until {
        Some(until) if until <= now => wrong.push(at("/until", "lies in the past")),
        Some(until) if until > now + LONGEST => {
            wrong.push(at("/until", "at most ten years from now; leave it out for no end"))
        }
        Some(_) | None => {}
    }
    let fits = |r: &str| !r.trim().is_empty() && r.chars().count() <= MAX_REASON && !r.chars().any(char::is_control);
    if input.reason.as_deref().is_some_and(|r| !fits(r)) {
        wrong.push(at("/reason", "1 to 1000 characters on one line, or left out"));
    }
    wrong
}

/// The pause of a list that holds at an instant.
#[must_use]
pub fn current(pauses: &[Paused], now: Timestamp) -> Option<&Paused> {
    pauses.iter().rev().find(|p| p.span().holds(now))
}

/// The list after a pause begins now, in place of one that holds.
#[must_use]
pub fn begun(pauses: &[Paused], input: &PauseInput, by: &str, now: Timestamp) -> Vec<Paused> {
    let mut after = ended(pauses, now);
    let reason = input.reason.as_deref().map(|r| r.trim().to_owned());
    after.push(Paused { from: now, until: input.until, reason, by: by.to_owned() });
    after.drain(..after.len().saturating_sub(MOST));
    after
}

/// The list after what holds has ended now. What was over long ago is forgotten.
#[must_use]
pub fn ended(pauses: &[Paused], now: Timestamp) -> Vec<Paused> {
    let end = |p: &Paused| if p.span().holds(now) { Paused { until: Some(now), ..p.clone() } } else { p.clone() };
    pauses.iter().map(end).filter(|p| p.until.is_none_or(|until| until > now - KEPT)).collect()
}

/// The times of the pauses that an agent needs to know now.
#[must_use]
pub fn to_tell(pauses: &[Paused], now: Timestamp) -> Vec<Pause> {
    pauses.iter().map(Paused::span).filter(|p| p.until.is_none_or(|until| until > now - TOLD)).collect()
}

/// The times of a host's pauses and of one schedule's own.
#[must_use]
pub fn spans(of_host: &[Paused], own: &[Paused]) -> Vec<Pause> {
    of_host.iter().chain(own).map(Paused::span).collect()
}

/// Whether a drill that was due at an instant falls away: what starts in a pause does not, and what was due in one is nobody's.
#[must_use]
pub fn takes_drill(pauses: &[Pause], due: Timestamp, now: Timestamp) -> bool {
    is_excused(pauses, due, due) || is_excused(pauses, now, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(86_400);

    fn at(days: u64) -> Timestamp {
        Timestamp::from_seconds(1_700_000_000) + DAY * u32::try_from(days).expect("few")
    }

    fn paused(from: u64, until: Option<u64>) -> Paused {
        Paused { from: at(from), until: until.map(at), reason: None, by: "user:anna".into() }
    }

    #[test]
    fn one_pause_follows_another_and_each_is_remembered() {
        let input = PauseInput { until: Some(at(9)), reason: Some(" holidays ".into()) };
        let list = begun(&[], &PauseInput::default(), "user:anna", at(1));
        assert_eq!(list, [paused(1, None)]);
        let list = begun(&list, &input, "user:ben", at(2));
        assert_eq!((list[0].until, list[1].from, list[1].until), (Some(at(2)), at(2), Some(at(9))));
        assert_eq!((list[1].by.as_str(), list[1].reason.as_deref()), ("user:ben", Some("holidays")));
        assert_eq!(current(&list, at(3)).map(|p| p.from), Some(at(2)));
        assert_eq!(current(&list, at(9)), None, "it is over at its end");
        let list = ended(&list, at(4));
        assert_eq!((list.len(), current(&list, at(4))), (2, None));
        assert_eq!(ended(&list, at(5)), list, "ending what has ended changes nothing");
    }

    #[test]
    fn what_is_over_is_told_for_weeks_and_kept_for_a_year() {
        let list = [paused(1, Some(2)), paused(100, None)];
        assert_eq!(to_tell(&list, at(30)).len(), 2);
        assert_eq!(to_tell(&list, at(40)).len(), 1);
        assert_eq!(ended(&list, at(110)).len(), 2);
        assert_eq!(ended(&list, at(403)).len(), 1);
        let mut many = vec![];
        for day in 0..150 {
            many = begun(&many, &PauseInput::default(), "x", at(day));
        }
        assert_eq!((many.len(), many[99].from), (MOST, at(149)));
    }

    #[test]
    fn an_end_lies_ahead_and_a_reason_says_something() {
        let wrong = |until: Option<Timestamp>, reason: Option<&str>| {
            let input = PauseInput { until, reason: reason.map(Into::into) };
            check(&input, at(10)).into_iter().map(|e| e.pointer).collect::<Vec<_>>()
        };
        assert_eq!(wrong(None, None), Vec::<String>::new());
        assert_eq!(wrong(Some(at(11)), Some("disk swap")), Vec::<String>::new());
        assert_eq!(wrong(Some(at(10)), Some(" ")), ["/until", "/reason"]);
        assert_eq!(wrong(Some(at(9)), Some("a\nb")), ["/until", "/reason"]);
        assert_eq!(wrong(Some(at(10_000)), Some(&"x".repeat(1001))), ["/until", "/reason"]);
    }

    #[test]
    fn a_drill_of_a_paused_schedule_falls_away() {
        let pauses = [paused(5, Some(7)).span()];
        for (due, now, taken) in [(4, 4, false), (4, 5, true), (6, 6, true), (6, 8, true), (7, 7, false)] {
            assert_eq!(takes_drill(&pauses, at(due), at(now)), taken, "{due} {now}");
        }
    }
}
