//! Acts on many hosts: the question, which names each host and what it will do, and what became of them.

use super::door::{View, address};
use super::engine::Page;
use super::form::{FormErrors, chosen};
use super::hosts::Asked;
use super::pause::{FIELDS as OF_PAUSE, PauseForm};
use crate::domain::asked_update::NoUpdate;
use crate::domain::host_action::{Effect, HostAct};
use crate::domain::pause::PauseInput;
use crate::domain::permission::Actor;
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::host_actions::{self, Chosen, HostOutcome, Target};
use crate::service::{ActError, Services};
use crate::words::{host_action as words, wrong};
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts of a group that are named on a page.
const NAMED: usize = 500;

/// What can be done to many hosts from a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Run now.
    Run,
    /// Add a tag.
    AddTag,
    /// Remove a tag.
    RemoveTag,
    /// Pause.
    Pause,
    /// Resume.
    Resume,
    /// Update the agent.
    UpdateAgent,
}

impl Kind {
    fn read(text: &str) -> Result<Self, ActError> {
        match text {
            "run" => Ok(Self::Run),
            "add_tag" => Ok(Self::AddTag),
            "remove_tag" => Ok(Self::RemoveTag),
            "pause" => Ok(Self::Pause),
            "resume" => Ok(Self::Resume),
            "update_agent" => Ok(Self::UpdateAgent),
            _ => Err(ActError::field("/do", wrong::ACT)),
        }
    }

    /// What is said of it.
    const fn words(self) -> words::Act {
        match self {
            Self::Run => words::RUN,
            Self::AddTag => words::ADD_TAG,
            Self::RemoveTag => words::REMOVE_TAG,
            Self::Pause => words::PAUSE,
            Self::Resume => words::RESUME,
            Self::UpdateAgent => words::UPDATE_AGENT,
        }
    }

    const fn icon(self) -> &'static str {
        match self {
            Self::Run | Self::Resume => "play",
            Self::AddTag | Self::RemoveTag => "tag",
            Self::Pause => "pause",
            Self::UpdateAgent => "release",
        }
    }

    /// Whether each host does something of its own.
    const fn differs(self) -> bool {
        match self {
            Self::Run | Self::UpdateAgent => true,
            Self::AddTag | Self::RemoveTag | Self::Pause | Self::Resume => false,
        }
    }

    /// The act, as it is told beforehand; none where that waits for what is typed.
    fn told(self, all: bool) -> Option<HostAct> {
        match self {
            Self::Run => Some(HostAct::Run { online_only: true, all_schedules: all }),
            Self::Pause => Some(HostAct::Pause(PauseInput::default())),
            Self::Resume => Some(HostAct::Resume {}),
            Self::UpdateAgent => Some(HostAct::UpdateAgent {}),
            Self::AddTag | Self::RemoveTag => None,
        }
    }
}

/// Hosts that do the same, or do nothing for the same reason.
#[derive(Debug, Serialize)]
pub struct Group {
    /// The icon's name.
    pub icon: &'static str,
    /// The colour's class.
    pub class: &'static str,
    /// What they do, or why not.
    pub what: String,
    /// How many they are.
    pub count: i64,
    /// Some of them.
    pub hosts: Vec<Line>,
    /// How many more there are.
    pub more: i64,
}

/// One host of a group.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Its page.
    pub href: String,
    /// Its name.
    pub name: String,
    /// What it does.
    pub note: String,
    /// The jobs that it made.
    pub jobs: Vec<String>,
}

impl Line {
    fn new(outcome: &HostOutcome, with_note: bool) -> Self {
        Self {
            href: format!("/hosts/{}", outcome.host_id),
            name: if outcome.host.is_empty() { outcome.host_id.to_string() } else { outcome.host.clone() },
            note: if with_note { outcome.note.clone() } else { String::new() },
            jobs: jobs_of(outcome),
        }
    }
}

/// The jobs that were queued, or the one that is in the way.
fn jobs_of(outcome: &HostOutcome) -> Vec<String> {
    let one = outcome.job_id.filter(|_| outcome.job_ids.is_empty());
    outcome.job_ids.iter().copied().chain(one).map(|id| id.to_string()).collect()
}

fn number(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

fn group(icon: &'static str, class: &'static str, what: String, mut hosts: Vec<Line>) -> Group {
    let count = hosts.len();
    hosts.truncate(NAMED);
    Group { icon, class, what, count: number(count), more: number(count - hosts.len()), hosts }
}

/// Outcomes by what they have in common: first what is done, then what needs nothing, then what is refused.
fn grouped(kind: Kind, outcomes: &[HostOutcome], done: bool) -> Vec<Group> {
    let of = |effect| outcomes.iter().filter(move |o| o.effect == effect);
    let mut groups = vec![];
    let first: Vec<Line> = of(Effect::Done).map(|o| Line::new(o, kind.differs())).collect();
    if !first.is_empty() {
        let (icon, class) = if done { ("ok", "ok") } else { (kind.icon(), "mute") };
        groups.push(group(icon, class, if done { kind.words().did } else { kind.words().will }.into(), first));
    }
    for (effect, icon, class) in [(Effect::Unchanged, "info", "mute"), (Effect::Refused, "warn", "warn")] {
        let mut by_reason: BTreeMap<&str, Vec<Line>> = BTreeMap::new();
        of(effect).for_each(|o| by_reason.entry(&o.note).or_default().push(Line::new(o, false)));
        groups.extend(by_reason.into_iter().map(|(why, hosts)| group(icon, class, words::left_out(why), hosts)));
    }
    groups
}

/// Asks once before something is done to many hosts.
#[derive(Debug, Serialize)]
pub struct HostActionsPage {
    /// What.
    pub kind: Kind,
    /// The question's verb.
    pub verb: &'static str,
    /// How many hosts were chosen.
    pub chosen: i64,
    /// How many of them do something.
    pub count: i64,
    /// Why none of them can do anything, where that lies with the roll-out.
    pub blocked: Option<&'static str>,
    /// The identities of all, between spaces.
    pub ids: String,
    /// What each of them does.
    pub groups: Vec<Group>,
    /// The tag that was typed.
    pub tag: String,
    /// Tags that the hosts have.
    pub tags: Vec<String>,
    /// The pause that was typed.
    pub form: PauseForm,
    /// The same press twice is done once.
    pub key: String,
    /// The list that they were chosen from, or the host's page.
    pub back: String,
    /// The host whose page this came from.
    pub origin: Option<String>,
    /// Run now: the same question for the one schedule that is meant, and for all of them: address, words, and whether it is this one.
    pub which: Vec<(String, &'static str, bool)>,
    /// `all` if all schedules of each host are meant.
    pub schedules: &'static str,
    /// What is wrong.
    pub errors: FormErrors,
}

impl Page for HostActionsPage {
    const TEMPLATE: &'static str = "pages/host-actions.html";
    const NAV: &'static str = "hosts";
}

/// What became of them.
#[derive(Debug, Serialize)]
pub struct HostActionsDonePage {
    /// What was done.
    pub kind: Kind,
    /// In how many cases.
    pub done: i64,
    /// Of how many hosts.
    pub chosen: i64,
    /// What each of them did.
    pub groups: Vec<Group>,
    /// The tag.
    pub tag: String,
    /// The list that they were chosen from, or the host's page.
    pub back: String,
    /// The host whose page this came from.
    pub origin: Option<String>,
}

impl Page for HostActionsDonePage {
    const TEMPLATE: &'static str = "pages/host-actions-done.html";
    const NAV: &'static str = "hosts";
}

/// The fields of a form, of which some come several times.
struct Sent<'a>(&'a [(String, String)]);

impl Sent<'_> {
    fn one(&self, name: &str) -> &str {
        self.0.iter().rev().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }

    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// What the list was narrowed to.
    fn asked(&self) -> Asked {
        let field = |name: &str| self.one(name).to_owned();
        Asked {
            q: field("q"),
            state: field("state"),
            os: field("os"),
            tag: field("of_tag"),
            repository: field("repository"),
            sort: field("sort"),
            cursor: None,
        }
    }

    fn target(&self) -> Result<Target, ActError> {
        if !self.one("all").is_empty() {
            let asked = self.asked();
            if !asked.trouble().is_empty() {
                return Err(ActError::field("/state", asked.trouble()));
            }
            return Ok(Target::All(asked.filter()));
        }
        hosts(self.all("host"))
    }

    /// Whether all schedules of each host are meant.
    fn each(&self) -> bool {
        self.one("schedules") == "all"
    }

    /// The same question, for the schedule that is meant and for all of them.
    fn which(&self) -> Vec<(String, &'static str, bool)> {
        let rest = self.0.iter().filter(|(name, _)| name != "schedules").map(|(name, v)| (name.as_str(), v.as_str()));
        let rest: Vec<(&str, &str)> = rest.collect();
        let to = |which: &str| address("/hosts/actions", &[&rest[..], &[("schedules", which)]].concat());
        vec![(to(""), words::ONLY_SCHEDULE, !self.each()), (to("all"), words::ALL_SCHEDULES, self.each())]
    }

    fn pause(&self) -> PauseForm {
        let field = |name: &str| self.one(name).to_owned();
        PauseForm { choice: field("choice"), until: field("until"), reason: field("reason") }
    }
}

fn hosts<'a>(ids: impl Iterator<Item = &'a str>) -> Result<Target, ActError> {
    let mut wrong = FormErrors::default();
    let ids: Vec<HostId> = ids.filter_map(|id| chosen(id, "host", &mut wrong)).collect();
    match ids.is_empty() || !wrong.is_empty() {
        true => Err(ActError::field("/hosts", wrong::TICK_HOSTS)),
        false => Ok(Target::Hosts(ids)),
    }
}

/// Where the hosts were chosen, and the host whose page it was: that one, if the act came from there, else the list. It is our own address and
/// nothing else.
fn back<'a>(sent: &Sent<'_>, mut hosts: impl Iterator<Item = (HostId, &'a str)>) -> (String, Option<String>) {
    match (sent.one("from"), hosts.next(), hosts.next()) {
        ("host", Some((id, name)), None) => (format!("/hosts/{id}"), Some(name.to_owned())),
        _ => {
            let asked = sent.asked();
            (asked.address(&asked.sort), None)
        }
    }
}

/// What an administrator can do about the agent of one host, on the host's page.
#[derive(Debug, Serialize)]
pub struct AgentAct {
    /// The page that asks; none where there is nothing to ask.
    pub href: Option<String>,
    /// What it says.
    pub text: &'static str,
}

/// What somebody can do about the agent of one host; none if that is nothing.
///
/// # Errors
/// When the database fails.
pub async fn agent_act(s: &Services, actor: &Actor, id: HostId) -> Result<Option<AgentAct>, ApiError> {
    if !actor.role.covers(HostAct::UpdateAgent {}.needs()) {
        return Ok(None);
    }
    let told = host_actions::preview(s, actor, HostAct::UpdateAgent {}, Target::Hosts(vec![id])).await?;
    let act = |href, text| Some(AgentAct { href, text });
    Ok(match told.first().map(|o| (o.effect, o.code.as_deref())) {
        Some((Effect::Done, _)) => {
            act(Some(format!("/hosts/actions?do=update_agent&from=host&host={id}")), words::UPDATE_NOW)
        }
        Some((_, Some("update_offered"))) => act(None, words::IS_OFFERED),
        _ => None,
    })
}

/// What lies with the roll-out, and so stands against all of them.
fn blocked(told: &[HostOutcome]) -> Option<&'static str> {
    let code = told.first()?.code.as_deref()?;
    NoUpdate::OF_ROLLOUT.into_iter().find(|why| why.code() == code).map(NoUpdate::text)
}

async fn page(s: &Services, actor: &Actor, sent: &Sent<'_>, target: Target) -> Result<HostActionsPage, ApiError> {
    let kind = Kind::read(sent.one("do"))?;
    let found = host_actions::chosen(s, target).await?;
    let (groups, blocked) = match kind.told(sent.each()) {
        Some(act) => {
            let ids = found.iter().map(|c| c.id).collect();
            let told = host_actions::preview(s, actor, act, Target::Hosts(ids)).await?;
            (grouped(kind, &told, false), blocked(&told))
        }
        None => (vec![group("host", "mute", words::CHOSEN.into(), found.iter().map(plain).collect())], None),
    };
    let tags: BTreeSet<&String> = found.iter().flat_map(|c| &c.tags).collect();
    let does = groups.first().filter(|g| g.class == "mute" && g.icon != "info");
    let now = Timestamp::now();
    let (back, origin) = back(sent, found.iter().map(|c| (c.id, c.name.as_str())));
    Ok(HostActionsPage {
        kind,
        verb: kind.words().verb,
        chosen: number(found.len()),
        count: does.map_or(0, |g| g.count),
        blocked,
        ids: found.iter().map(|c| c.id.to_string()).collect::<Vec<_>>().join(" "),
        tags: tags.into_iter().take(NAMED).cloned().collect(),
        groups,
        tag: String::new(),
        form: PauseForm::blank(now),
        key: now.micros().to_string(),
        back,
        origin,
        which: if kind == Kind::Run { sent.which() } else { vec![] },
        schedules: if sent.each() { "all" } else { "" },
        errors: FormErrors::default(),
    })
}

fn plain(host: &Chosen) -> Line {
    Line { href: format!("/hosts/{}", host.id), name: host.name.clone(), note: host.tags.join(", "), jobs: vec![] }
}

/// Says what the ticked hosts, or all that match, will do.
#[get("/hosts/actions")]
pub async fn ask(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    ticked: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, ApiError> {
    let sent = Sent(&ticked);
    let target = sent.target()?;
    view.show(&who, &page(&s, &who.actor, &sent, target).await?).await
}

/// The act that a form means. What is wrong is noted.
fn act_of(kind: Kind, sent: &Sent<'_>, now: Timestamp, errors: &mut FormErrors) -> HostAct {
    let tag = sent.one("tag").trim().to_owned();
    match kind {
        Kind::Run => HostAct::Run { online_only: true, all_schedules: sent.each() },
        Kind::AddTag => HostAct::AddTag { tag },
        Kind::RemoveTag => HostAct::RemoveTag { tag },
        Kind::Pause => HostAct::Pause(sent.pause().input(now, errors)),
        Kind::Resume => HostAct::Resume {},
        Kind::UpdateAgent => HostAct::UpdateAgent {},
    }
}

/// Does it, and says what became of each.
#[post("/hosts/actions")]
pub async fn carry_out(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    form: SafeForm<Vec<(String, String)>>,
) -> Result<HttpResponse, ApiError> {
    let (sent, mut errors) = (Sent(&form.0), FormErrors::default());
    let (kind, target) = (Kind::read(sent.one("do"))?, hosts(sent.one("ids").split_whitespace())?);
    let act = act_of(kind, &sent, Timestamp::now(), &mut errors);
    if errors.is_empty() {
        let key = Some(sent.one("key").to_owned()).filter(|key| !key.is_empty());
        match host_actions::act(&s, &who.actor, act, target.clone(), key).await {
            Ok(outcomes) => return view.show(&who, &done(kind, &sent, &outcomes)).await,
            Err(error) => errors = FormErrors::of(error, &[&OF_PAUSE[..], &["tag"]].concat())?,
        }
    }
    let again = page(&s, &who.actor, &sent, target).await?;
    let (tag, form) = (sent.one("tag").to_owned(), sent.pause());
    view.again(&who, &HostActionsPage { tag, form, errors, ..again }).await
}

fn done(kind: Kind, sent: &Sent<'_>, outcomes: &[HostOutcome]) -> HostActionsDonePage {
    let (back, origin) = back(sent, outcomes.iter().map(|o| (o.host_id, o.host.as_str())));
    HostActionsDonePage {
        kind,
        done: number(outcomes.iter().filter(|o| o.effect == Effect::Done).count()),
        chosen: number(outcomes.len()),
        groups: grouped(kind, outcomes, true),
        tag: sent.one("tag").trim().to_owned(),
        back,
        origin,
    }
}
