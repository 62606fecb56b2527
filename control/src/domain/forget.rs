//! Forget: which snapshots of one schedule in one repository may be removed, and why each of the others stays. The policy speaks first
//! (`retention`), over snapshots that are ours alone (`attestation`); then the guards: a floor, a ceiling and a freeze. What comes out
//! are ids for `restic forget`, never a policy.

use super::attestation::{Attestation, Doubt};
use super::retention::{Candidate, Fate, NoPolicy, Reason, Retention, apply};
use chrono_tz::Tz;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A snapshot of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts<'a> {
    /// restic's id.
    pub id: &'a str,
    /// Its own time.
    pub time: Timestamp,
    /// All its tags.
    pub tags: &'a [String],
    /// Whether it is ours.
    pub attestation: Attestation,
}

/// What a run of forget may not do, whatever the policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ForgetGuards)]
pub struct Guards {
    /// So many attested snapshots stay at least, the newest first. Never less than one.
    #[schema(minimum = 1, maximum = 1000)]
    pub floor: u32,
    /// At most so much of a schedule's attested snapshots goes in one run without a person.
    #[schema(minimum = 0, maximum = 100)]
    pub ceiling_percent: u8,
    /// But so many may always go: of few snapshots one is a large part.
    #[schema(minimum = 0, maximum = 1000)]
    pub ceiling_free: u32,
}

impl Default for Guards {
    fn default() -> Self {
        Self { floor: 3, ceiling_percent: 50, ceiling_free: 3 }
    }
}

/// Why nothing of a schedule is removed for now, such as a tripwire that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = RetentionFreeze)]
pub struct Freeze {
    /// In words.
    pub reason: String,
    /// Since when.
    pub since: Timestamp,
}

/// All that a run of forget depends on.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The schedule's snapshots in the repository, in any order.
    pub snapshots: &'a [Facts<'a>],
    /// Which of them to keep.
    pub retention: &'a Retention,
    /// The schedule's zone.
    pub zone: Tz,
    /// What may not be done.
    pub guards: Guards,
    /// Whether nothing may be removed at all.
    pub freeze: Option<&'a Freeze>,
    /// The ids that a person has seen and agreed to remove, if more than the ceiling are to go.
    pub confirmed: Option<&'a BTreeSet<String>>,
}

/// Why a snapshot stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "because", rename_all = "snake_case")]
#[schema(as = KeptBecause)]
pub enum Because {
    /// A rule of the policy keeps it.
    Rule {
        /// Which.
        reason: Reason,
    },
    /// It is not ours, as far as we know: it is not removed, and takes no other's place.
    Unattested {
        /// What is the matter with it.
        doubt: Doubt,
    },
    /// The policy would remove it, but too few would be left.
    Floor {
        /// So many stay.
        at_least: u32,
    },
    /// There is no keep rule.
    NoRule,
    /// The keep rules say nothing that can be applied.
    WrongRule,
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule { reason } => reason.fmt(f),
            Self::Unattested { doubt } => write!(f, "unattested: {doubt}"),
            Self::Floor { at_least } => write!(f, "no keep rule covers it, but the floor is {at_least}"),
            Self::NoRule => f.write_str("there is no keep rule, so everything stays"),
            Self::WrongRule => f.write_str("the keep rules are wrong, so everything stays"),
        }
    }
}

/// What is decided about a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "decision", rename_all = "snake_case")]
#[schema(as = ForgetDecision)]
pub enum Decision {
    /// It stays.
    Keep {
        /// Why, at least one.
        because: Vec<Because>,
    },
    /// No rule keeps it: it goes when the plan is carried out.
    Forget,
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keep { because } => {
                let words: Vec<String> = because.iter().map(ToString::to_string).collect();
                f.write_str(&words.join(", "))
            }
            Self::Forget => f.write_str("no keep rule covers it"),
        }
    }
}

/// A snapshot with what is decided about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ForgetEntry)]
pub struct Entry {
    /// restic's id.
    pub id: String,
    /// Its own time.
    pub time: Timestamp,
    /// What is decided.
    #[serde(flatten)]
    pub decision: Decision,
    /// The same in words.
    pub text: String,
}

/// Whether a plan may be carried out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[schema(as = ForgetGate)]
pub enum Gate {
    /// There is nothing to remove.
    Nothing,
    /// It may.
    Open,
    /// A person must look at it first: more would go than the ceiling allows.
    NeedsPerson {
        /// So many would go.
        removes: usize,
        /// Of so many attested ones.
        of: usize,
        /// So many may go without a person.
        allowed: usize,
    },
    /// Nothing is removed for now.
    Frozen {
        /// Why and since when.
        freeze: Freeze,
    },
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("there is nothing to remove"),
            Self::Open => f.write_str("ready"),
            Self::NeedsPerson { removes, of, allowed } => {
                write!(
                    f,
                    "would remove {removes} of {of} snapshots, more than the {allowed} that may go without a person"
                )
            }
            Self::Frozen { freeze } => write!(f, "retention is frozen since {}: {}", freeze.since, freeze.reason),
        }
    }
}

/// Something that a person should be told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
#[schema(as = ForgetEvent)]
pub enum Event {
    /// There are snapshots that no job of ours made, or that lie about their time.
    Unattested {
        /// Which.
        ids: Vec<String>,
    },
    /// The ceiling was reached.
    CeilingReached {
        /// So many would go.
        removes: usize,
        /// Of so many.
        of: usize,
    },
}

/// What a run of forget is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = ForgetPlan)]
pub struct Plan {
    /// Every snapshot of the schedule, newest first.
    pub entries: Vec<Entry>,
    /// Whether it may be carried out.
    pub gate: Gate,
    /// What a person should be told of.
    pub events: Vec<Event>,
}

impl Plan {
    /// The ids that the policy selects, whether or not they may be removed now: what a person is asked to confirm.
    #[must_use]
    pub fn selected(&self) -> Vec<&str> {
        let goes = |entry: &&Entry| entry.decision == Decision::Forget;
        self.entries.iter().filter(goes).map(|entry| entry.id.as_str()).collect()
    }

    /// The ids to give to `restic forget`; none while the gate is not open.
    #[must_use]
    pub fn to_forget(&self) -> Vec<&str> {
        match self.gate {
            Gate::Open => self.selected(),
            Gate::Nothing | Gate::NeedsPerson { .. } | Gate::Frozen { .. } => vec![],
        }
    }
}

/// Works out what a run of forget is to do.
#[must_use]
pub fn plan(question: &Question<'_>, now: Timestamp) -> Plan {
    let (ours, doubtful): (Vec<&Facts<'_>>, Vec<&Facts<'_>>) =
        question.snapshots.iter().partition(|s| s.attestation.doubt().is_none());
    let mut decisions = decide(question, &ours, now);
    hold_floor(&mut decisions, &ours, question.guards.floor.max(1));
    for snapshot in &doubtful {
        let because = snapshot.attestation.doubt().map(|doubt| Because::Unattested { doubt });
        decisions.insert(snapshot.id, Decision::Keep { because: because.into_iter().collect() });
    }
    let gate = gate(question, &decisions, ours.len());
    let mut entries: Vec<Entry> = question.snapshots.iter().filter_map(|s| entry(s, &decisions)).collect();
    entries.sort_by(|a, b| (b.time, &a.id).cmp(&(a.time, &b.id)));
    Plan { events: events(&doubtful, &gate), entries, gate }
}

fn entry(snapshot: &Facts<'_>, decisions: &BTreeMap<&str, Decision>) -> Option<Entry> {
    let decision = decisions.get(snapshot.id)?.clone();
    Some(Entry { id: snapshot.id.to_owned(), time: snapshot.time, text: decision.to_string(), decision })
}

/// What the policy says about the snapshots that are ours.
fn decide<'a>(question: &Question<'_>, ours: &[&Facts<'a>], now: Timestamp) -> BTreeMap<&'a str, Decision> {
    let all =
        |because: Because| ours.iter().map(|s| (s.id, Decision::Keep { because: vec![because.clone()] })).collect();
    let policy = match question.retention.policy() {
        Ok(policy) => policy,
        Err(NoPolicy::KeepsEverything) => return all(Because::NoRule),
        Err(NoPolicy::Wrong(_)) => return all(Because::WrongRule),
    };
    let candidates: Vec<Candidate<'_>> =
        ours.iter().map(|s| Candidate { id: s.id, time: s.time, tags: s.tags }).collect();
    let decision = |fate| match fate {
        Fate::Keep(reasons) => {
            Decision::Keep { because: reasons.into_iter().map(|reason| Because::Rule { reason }).collect() }
        }
        Fate::Remove => Decision::Forget,
    };
    let fates = apply(policy, &candidates, question.zone, now);
    ours.iter().zip(fates).map(|(s, fate)| (s.id, decision(fate))).collect()
}

/// Keeps the newest of those that would go until enough are left.
fn hold_floor<'a>(decisions: &mut BTreeMap<&'a str, Decision>, ours: &[&Facts<'a>], floor: u32) {
    let mut going: Vec<&&Facts<'_>> = ours.iter().filter(|s| decisions.get(s.id) == Some(&Decision::Forget)).collect();
    going.sort_by(|a, b| (b.time, a.id).cmp(&(a.time, b.id)));
    let missing = (floor as usize).saturating_sub(ours.len() - going.len());
    for snapshot in going.into_iter().take(missing) {
        decisions.insert(snapshot.id, Decision::Keep { because: vec![Because::Floor { at_least: floor }] });
    }
}

fn gate(question: &Question<'_>, decisions: &BTreeMap<&str, Decision>, of: usize) -> Gate {
    let going: Vec<&str> = decisions.iter().filter(|(_, d)| **d == Decision::Forget).map(|(id, _)| *id).collect();
    let guards = question.guards;
    let allowed = (of * usize::from(guards.ceiling_percent.min(100)) / 100).max(guards.ceiling_free as usize);
    let agreed = question.confirmed.is_some_and(|seen| going.iter().all(|id| seen.contains(*id)));
    match question.freeze {
        _ if going.is_empty() => Gate::Nothing,
        Some(freeze) => Gate::Frozen { freeze: freeze.clone() },
        None if going.len() > allowed && !agreed => Gate::NeedsPerson { removes: going.len(), of, allowed },
        None => Gate::Open,
    }
}

fn events(doubtful: &[&Facts<'_>], gate: &Gate) -> Vec<Event> {
    let mut ids: Vec<String> = doubtful.iter().map(|s| s.id.to_owned()).collect();
    ids.sort();
    let unattested = (!ids.is_empty()).then_some(Event::Unattested { ids });
    let ceiling = match gate {
        Gate::NeedsPerson { removes, of, .. } => Some(Event::CeilingReached { removes: *removes, of: *of }),
        Gate::Nothing | Gate::Open | Gate::Frozen { .. } => None,
    };
    unattested.into_iter().chain(ceiling).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::retention::Count;
    use proptest::prelude::*;
    use restic_manager_shared::id::JobId;

    const DAY: i64 = 86_400;
    const NOW: Timestamp = Timestamp::from_seconds(1_000 * DAY);
    const OURS: Attestation = Attestation::Attested { job_id: Some(JobId(uuid::Uuid::nil())) };
    const NOT_OURS: Attestation = Attestation::Unattested { doubt: Doubt::Unknown };

    /// One a day, `n` of them, the last one today; named by their day.
    fn daily(ids: &[String]) -> Vec<Facts<'_>> {
        let newest = 999 - ids.len() as i64 + 1;
        let time = |n: i64| Timestamp::from_seconds((newest + n) * DAY);
        (0..).zip(ids).map(|(n, id)| Facts { id, time: time(n), tags: &[], attestation: OURS }).collect()
    }

    fn ids(n: usize) -> Vec<String> {
        (0..n).map(|n| format!("real{n:02}")).collect()
    }

    fn keep_last(n: u32) -> Retention {
        Retention { keep_last: Some(Count::Of(n)), ..Retention::default() }
    }

    fn ask<'a>(snapshots: &'a [Facts<'a>], retention: &'a Retention, guards: Guards) -> Question<'a> {
        Question { snapshots, retention, zone: Tz::UTC, guards, freeze: None, confirmed: None }
    }

    const LAX: Guards = Guards { floor: 1, ceiling_percent: 100, ceiling_free: 0 };

    #[test]
    fn forged_snapshots_neither_displace_nor_go() {
        let (real, forged) = (ids(5), ["f1", "f2", "f3", "f4", "f5"]);
        let retention = Retention { keep_daily: Some(Count::Of(5)), ..Retention::default() };
        let mut all = daily(&real);
        // Later on the same days: a policy alone would take them for the daily ones.
        all.extend(daily(&real).iter().zip(forged).map(|(s, id)| Facts {
            id,
            time: s.time + std::time::Duration::from_secs(3600),
            attestation: NOT_OURS,
            ..*s
        }));
        let made = plan(&ask(&all, &retention, LAX), NOW);
        assert_eq!((made.selected(), &made.gate), (vec![], &Gate::Nothing));
        assert_eq!(made.events, [Event::Unattested { ids: forged.map(Into::into).to_vec() }]);
        assert!(made.entries.iter().filter(|e| e.id.starts_with('f')).all(|e| e.text.starts_with("unattested")));
    }

    #[test]
    fn the_floor_keeps_the_newest_of_those_that_would_go() {
        let real = ids(6);
        let snapshots = daily(&real);
        for (floor, kept) in [(0, 2), (1, 2), (2, 2), (4, 4), (9, 6)] {
            let (retention, guards) = (keep_last(2), Guards { floor, ..LAX });
            let made = plan(&ask(&snapshots, &retention, guards), NOW);
            let stay: Vec<&str> =
                made.entries.iter().filter(|e| e.decision != Decision::Forget).map(|e| e.id.as_str()).collect();
            let newest: Vec<&str> = real.iter().rev().take(kept).map(String::as_str).collect();
            assert_eq!(stay, newest, "floor {floor}");
        }
        let nothing = Retention { keep_tags: vec![vec!["nobody".into()]], ..Retention::default() };
        let made = plan(&ask(&snapshots, &nothing, Guards { floor: 0, ..LAX }), NOW);
        assert_eq!(
            (made.selected().len(), made.entries[0].text.as_str()),
            (5, "no keep rule covers it, but the floor is 1")
        );
    }

    #[test]
    fn more_than_the_ceiling_needs_a_person_who_saw_it() {
        let real = ids(10);
        let snapshots = daily(&real);
        for (keeps, percent, free, gate) in [
            (10, 0, 0, Gate::Nothing),
            (7, 30, 0, Gate::Open),
            (6, 30, 0, Gate::NeedsPerson { removes: 4, of: 10, allowed: 3 }),
            (6, 30, 4, Gate::Open),
            (9, 0, 0, Gate::NeedsPerson { removes: 1, of: 10, allowed: 0 }),
        ] {
            let (retention, guards) =
                (keep_last(keeps), Guards { floor: 1, ceiling_percent: percent, ceiling_free: free });
            let made = plan(&ask(&snapshots, &retention, guards), NOW);
            assert_eq!(made.gate, gate, "keep {keeps}, {percent} %, {free}");
            assert_eq!(made.to_forget().is_empty(), made.gate != Gate::Open);
        }
        let (retention, guards) = (keep_last(6), Guards { floor: 1, ceiling_percent: 30, ceiling_free: 0 });
        let open = ask(&snapshots, &retention, guards);
        let mut seen: BTreeSet<String> = plan(&open, NOW).selected().into_iter().map(Into::into).collect();
        assert_eq!(plan(&Question { confirmed: Some(&seen), ..open.clone() }, NOW).to_forget().len(), 4);
        seen.pop_first();
        let gate = plan(&Question { confirmed: Some(&seen), ..open }, NOW).gate;
        assert!(matches!(gate, Gate::NeedsPerson { .. }), "one more than the person saw");
    }

    #[test]
    fn nothing_goes_while_frozen_or_without_a_rule() {
        let real = ids(6);
        let snapshots = daily(&real);
        let freeze = Freeze { reason: "tripwire: 80 % of the files changed".into(), since: Timestamp::from_seconds(0) };
        let retention = keep_last(5);
        let frozen = plan(&Question { freeze: Some(&freeze), ..ask(&snapshots, &retention, LAX) }, NOW);
        assert_eq!((frozen.selected().len(), frozen.to_forget().len()), (1, 0));
        assert!(frozen.gate.to_string().contains("tripwire"));
        for (retention, because) in [(Retention::default(), Because::NoRule), (keep_last(0), Because::WrongRule)] {
            let made = plan(&ask(&snapshots, &retention, LAX), NOW);
            let expected = Decision::Keep { because: vec![because] };
            assert!(made.gate == Gate::Nothing && made.entries.iter().all(|e| e.decision == expected));
        }
    }

    #[test]
    fn a_page_and_a_script_can_read_it() {
        let real = ids(2);
        let (snapshots, retention) = (daily(&real), keep_last(1));
        let made = serde_json::to_value(plan(&ask(&snapshots, &retention, LAX), NOW)).expect("json");
        let (newest, oldest) = (&made["entries"][0], &made["entries"][1]);
        assert_eq!((&newest["decision"], &newest["text"]), (&"keep".into(), &"last snapshot".into()));
        assert_eq!(newest["because"][0]["reason"]["slot"], "last");
        assert_eq!((&oldest["decision"], &made["gate"]["kind"]), (&"forget".into(), &"open".into()));
    }

    proptest! {
        #[test]
        fn guards_hold_for_every_history(
            times in prop::collection::vec((0..900 * DAY, any::<bool>()), 1..40),
            (keep, floor, percent, free) in (1..9u32, 0..9u32, 0..=100u8, 0..4u32),
        ) {
            let names = ids(times.len());
            let snapshots: Vec<Facts<'_>> = times.iter().zip(&names).map(|((time, ours), id)| Facts {
                id,
                time: Timestamp::from_seconds(*time),
                tags: &[],
                attestation: if *ours { OURS } else { NOT_OURS },
            }).collect();
            let retention = Retention { keep_weekly: Some(Count::Of(keep)), ..Retention::default() };
            let guards = Guards { floor, ceiling_percent: percent, ceiling_free: free };
            let made = plan(&ask(&snapshots, &retention, guards), NOW);
            let ours = snapshots.iter().filter(|s| s.attestation == OURS).count();
            prop_assert_eq!(made.entries.len(), snapshots.len());
            prop_assert!(made.selected().iter().all(|id| snapshots.iter().any(|s| s.id == *id && s.attestation == OURS)));
            prop_assert!(ours - made.selected().len() >= ours.min(floor.max(1) as usize));
            let gone = made.to_forget().len();
            prop_assert!(gone <= free as usize || gone * 100 <= ours * usize::from(percent));
            // Those that are not ours change nothing for those that are.
            let alone: Vec<Facts<'_>> = snapshots.iter().filter(|s| s.attestation == OURS).copied().collect();
            let without = plan(&ask(&alone, &retention, guards), NOW);
            prop_assert_eq!(made.selected(), without.selected());
        }
    }
}
