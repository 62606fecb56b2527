//! Acts on many hosts at once: what each of them does, or why it does nothing. Only the decision, host by host; each is what the act on one
//! host alone would come to, and none guesses.

use super::asked_update::{Agent, NoUpdate, Offered, Update, ask};
use super::fleet::{Lifecycle, check_host_tags};
use super::pause::PauseInput;
use super::permission::Role;
use super::run_now::Runner;
use super::schedule::Schedule;
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::wire::problem::FieldError;
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};

/// Tags of one host at most.
const MAX_TAGS: usize = 100;

/// What is done to each host. It grows: another act is another variant, with its own arm in [`plan`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum HostAct {
    /// Runs the only enabled manual schedule, else the only enabled one. A host that is offline runs it when it is back.
    Run {
        /// Leave out hosts that are offline now.
        #[serde(default)]
        online_only: bool,
        /// All enabled schedules of each host that can start now, not the one that is meant.
        #[serde(default)]
        all_schedules: bool,
    },
    /// Adds a tag.
    AddTag {
        /// The tag.
        #[schema(min_length = 1, max_length = 100)]
        tag: String,
    },
    /// Takes a tag away.
    RemoveTag {
        /// The tag.
        #[schema(min_length = 1, max_length = 100)]
        tag: String,
    },
    /// Pauses the host; a pause that holds is replaced.
    Pause(PauseInput),
    /// Ends the host's pause.
    Resume {},
    /// Offers the release of the roll-out that runs now, whatever stage the host is in; where it did not work before, it is tried again.
    /// For administrators.
    UpdateAgent {},
}

impl HostAct {
    /// Who may do it.
    #[must_use]
    pub const fn needs(&self) -> Role {
        match self {
            Self::Run { .. } | Self::AddTag { .. } | Self::RemoveTag { .. } | Self::Pause(_) | Self::Resume {} => {
                Role::Operator
            }
            // As all that brings releases to hosts.
            Self::UpdateAgent {} => Role::Admin,
        }
    }
}

/// What is wrong with a tag of a host, if something is.
#[must_use]
pub fn check_tag(tag: &str) -> Option<FieldError> {
    let detail = "1 to 100 bytes without commas, control characters or spaces at its ends";
    check_host_tags(&[tag.to_owned()]).map(|_| FieldError { pointer: "/tag".into(), detail: detail.into() })
}

/// What is known of a host when it is decided.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// Which it is.
    pub id: HostId,
    /// Its life.
    pub lifecycle: Lifecycle,
    /// Whether its agent is there.
    pub online: bool,
    /// Its tags.
    pub tags: &'a [String],
    /// Whether it is paused now.
    pub paused: bool,
    /// Its schedules.
    pub schedules: &'a [Schedule],
    /// Jobs of its schedules that are not over.
    pub open: &'a HashMap<ScheduleId, JobId>,
    /// Repositories that it has a credential for.
    pub credentials: &'a HashSet<RepositoryId>,
    /// The roll-out that counts.
    pub offered: Option<&'a Offered>,
    /// What is known of its agent.
    pub agent: Option<Agent<'a>>,
}

/// What a host is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Step<'a> {
    /// Run these schedules.
    Run(Vec<&'a Schedule>),
    /// Have these tags.
    Tag(Vec<String>),
    /// Change its pause.
    Pause,
    /// Be offered this release.
    Update(Update<'a>),
}

/// How an act on one host ended, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// It was done, or would be.
    Done,
    /// It was so already.
    Unchanged,
    /// A rule says no.
    Refused,
}

/// Why a host does nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Why {
    /// No agent has come yet.
    NotEnrolled,
    /// Its agent is silent, and such hosts are left out.
    Offline,
    /// No schedule is enabled.
    NoneEnabled,
    /// Several could be meant.
    Several,
    /// The schedule has no repository.
    NoRepository,
    /// The host has no credential for it.
    NoCredential,
    /// The last run is not over.
    Running(JobId),
    /// The tag is there.
    HasTag,
    /// The tag is not there.
    LacksTag,
    /// There is no room for another tag.
    TooManyTags,
    /// No pause holds.
    NotPaused,
    /// Its agent is offered nothing new.
    NoUpdate(NoUpdate),
}

impl Why {
    /// The stable code for programs; that of the same refusal of the act on one host.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::NotEnrolled => "host_not_enrolled",
            Self::Offline => "host_offline",
            Self::NoneEnabled | Self::Several => "pick_schedule",
            Self::NoRepository => "no_repository",
            Self::NoCredential => "no_credential",
            Self::Running(_) => "already_running",
            Self::HasTag => "has_tag",
            Self::LacksTag => "lacks_tag",
            Self::TooManyTags => "too_many_tags",
            Self::NotPaused => "not_paused",
            Self::NoUpdate(why) => why.code(),
        }
    }

    /// In words that follow “left out:”.
    #[must_use]
    pub const fn text(&self) -> &'static str {
        match self {
            Self::NotEnrolled => "no agent has come yet",
            Self::Offline => "offline",
            Self::NoneEnabled => "no enabled schedule",
            Self::Several => "several enabled schedules could be meant",
            Self::NoRepository => "its schedule has no repository",
            Self::NoCredential => "no credential for the repository of its schedule",
            Self::Running(_) => "its last run is not over",
            Self::HasTag => "the tag is there already",
            Self::LacksTag => "the tag is not there",
            Self::TooManyTags => "there are 100 tags already",
            Self::NotPaused => "not paused",
            Self::NoUpdate(why) => why.text(),
        }
    }

    /// Whether nothing is in the way, only nothing to do.
    #[must_use]
    pub const fn effect(&self) -> Effect {
        match self {
            Self::HasTag | Self::LacksTag | Self::NotPaused => Effect::Unchanged,
            Self::NoUpdate(why) if why.is_idle() => Effect::Unchanged,
            Self::NotEnrolled
            | Self::Offline
            | Self::NoneEnabled
            | Self::Several
            | Self::NoRepository
            | Self::NoCredential
            | Self::Running(_)
            | Self::TooManyTags
            | Self::NoUpdate(_) => Effect::Refused,
        }
    }
}

/// What a host does.
///
/// # Errors
/// Why it does nothing.
pub fn plan<'a>(act: &HostAct, host: Facts<'a>) -> Result<Step<'a>, Why> {
    match act {
        HostAct::Run { online_only, all_schedules: true } => host.runner().all(*online_only).map(Step::Run),
        HostAct::Run { online_only, .. } => host.runner().only(*online_only).map(|only| Step::Run(vec![only])),
        HostAct::AddTag { tag } if host.tags.contains(tag) => Err(Why::HasTag),
        HostAct::AddTag { .. } if host.tags.len() >= MAX_TAGS => Err(Why::TooManyTags),
        HostAct::AddTag { tag } => Ok(Step::Tag(host.tags.iter().chain([tag]).cloned().collect())),
        HostAct::RemoveTag { tag } if !host.tags.contains(tag) => Err(Why::LacksTag),
        HostAct::RemoveTag { tag } => Ok(Step::Tag(host.tags.iter().filter(|t| *t != tag).cloned().collect())),
        HostAct::Resume {} if !host.paused => Err(Why::NotPaused),
        HostAct::Pause(_) | HostAct::Resume {} => Ok(Step::Pause),
        HostAct::UpdateAgent {} => {
            ask(host.offered, (host.id, host.tags, host.lifecycle), host.agent).map(Step::Update).map_err(Why::NoUpdate)
        }
    }
}

impl<'a> Facts<'a> {
    fn runner(&self) -> Runner<'a> {
        Runner {
            lifecycle: self.lifecycle,
            online: self.online,
            schedules: self.schedules,
            open: self.open,
            credentials: self.credentials,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::id::HostId;

    fn schedule(enabled: bool, manual: bool, repository_id: Option<RepositoryId>) -> Schedule {
        Schedule { enabled, manual, repository_id, ..Schedule::sample() }
    }

    #[test]
    fn a_run_takes_the_schedule_that_is_meant_or_says_why_not() {
        let (here, elsewhere) = (RepositoryId::new(), RepositoryId::new());
        let cron = schedule(true, false, Some(here));
        let busy = schedule(true, false, Some(here));
        let open = HashMap::from([(busy.id, JobId::new())]);
        let running = Why::Running(open[&busy.id]);
        let credentials = HashSet::from([here]);
        let (all, online) = (
            HostAct::Run { online_only: false, all_schedules: false },
            HostAct::Run { online_only: true, all_schedules: false },
        );
        for (what, act, lifecycle, is_online, schedules, want) in [
            ("its only one", &all, Lifecycle::Enrolled, true, vec![cron.clone()], Ok(0)),
            (
                "the manual one of two",
                &all,
                Lifecycle::Enrolled,
                true,
                vec![cron.clone(), schedule(true, true, Some(here))],
                Ok(1),
            ),
            ("offline: it waits", &all, Lifecycle::Enrolled, false, vec![cron.clone()], Ok(0)),
            ("offline: left out", &online, Lifecycle::Enrolled, false, vec![cron.clone()], Err(Why::Offline)),
            ("pending", &online, Lifecycle::Pending, false, vec![cron.clone()], Err(Why::NotEnrolled)),
            ("two", &all, Lifecycle::Enrolled, true, vec![cron.clone(), busy.clone()], Err(Why::Several)),
            ("none", &all, Lifecycle::Enrolled, true, vec![schedule(false, false, Some(here))], Err(Why::NoneEnabled)),
            ("nowhere", &all, Lifecycle::Enrolled, true, vec![schedule(true, true, None)], Err(Why::NoRepository)),
            (
                "no key",
                &all,
                Lifecycle::Enrolled,
                true,
                vec![schedule(true, true, Some(elsewhere))],
                Err(Why::NoCredential),
            ),
            ("busy", &all, Lifecycle::Enrolled, true, vec![busy.clone()], Err(running)),
        ] {
            let facts = Facts {
                lifecycle,
                online: is_online,
                tags: &[],
                paused: true,
                schedules: &schedules,
                open: &open,
                credentials: &credentials,
                offered: None,
                agent: None,
                id: HostId::new(),
            };
            let want = want.map(|n: usize| Step::Run(vec![&schedules[n]]));
            assert_eq!(plan(act, facts), want, "{what}");
        }
    }

    #[test]
    fn tags_and_pauses_change_what_is_not_so_already() {
        let (open, credentials) = (HashMap::new(), HashSet::new());
        let words = |n: &[&str]| n.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
        let full: Vec<String> = (0..MAX_TAGS).map(|n| format!("t{n}")).collect();
        let act = |act: HostAct, tags: &[String], paused: bool| {
            let facts = Facts {
                lifecycle: Lifecycle::Pending,
                online: false,
                tags,
                paused,
                schedules: &[],
                open: &open,
                credentials: &credentials,
                offered: None,
                agent: None,
                id: HostId::new(),
            };
            plan(&act, facts).map(|step| match step {
                Step::Tag(tags) => tags,
                Step::Pause | Step::Run(_) | Step::Update(_) => vec![],
            })
        };
        let (add, remove) =
            (|t: &str| HostAct::AddTag { tag: t.into() }, |t: &str| HostAct::RemoveTag { tag: t.into() });
        assert_eq!(act(add("b"), &words(&["a"]), false), Ok(words(&["a", "b"])));
        assert_eq!(act(add("a"), &words(&["a"]), false), Err(Why::HasTag));
        assert_eq!(act(add("b"), &full, false), Err(Why::TooManyTags));
        assert_eq!(act(remove("a"), &words(&["a", "b"]), false), Ok(words(&["b"])));
        assert_eq!(act(remove("c"), &words(&["a"]), false), Err(Why::LacksTag));
        for (change, paused, want) in [
            (HostAct::Pause(PauseInput::default()), false, Ok(vec![])),
            (HostAct::Pause(PauseInput::default()), true, Ok(vec![])),
            (HostAct::Resume {}, true, Ok(vec![])),
            (HostAct::Resume {}, false, Err(Why::NotPaused)),
            (HostAct::UpdateAgent {}, false, Err(Why::NoUpdate(NoUpdate::NoRollout))),
        ] {
            assert_eq!(act(change, &[], paused), want);
        }
    }

    #[test]
    fn tags_are_plain() {
        for (tag, fine) in
            [("acme", true), ("two words", true), ("", false), (" a", false), ("a,b", false), ("a\u{0}", false)]
        {
            assert_eq!(check_tag(tag).is_none(), fine, "{tag:?}");
        }
    }
}
