//! What needs a person, one item for each cause: a lock that blocks many hosts is one item. Alerts come with their subjects; hosts that are not
//! protected come grouped by what their newest run said.

use super::alerts::alert_rows;
use super::door::address;
use super::names::Names;
use super::pause::PausedWords;
use super::view::Link;
use crate::domain::fleet::{Host, HostState};
use crate::domain::protection::Protection;
use crate::http::problem::ApiError;
use crate::service::protection::Figures;
use crate::service::{Services, hosts, protection};
use crate::store::host_search::{Filter, Order};
use crate::store::protection::Failing;
use crate::words::things;
use crate::words::{Moment, attention as words};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use serde::Serialize;

/// Hosts that are named in one item.
const NAMED: usize = 3;
/// Items on the dashboard; the rest is under Alerts and Hosts.
const ITEMS: usize = 8;

/// For whom it is, and what it is about.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Whether they may do something about it.
    pub operator: bool,
    /// Only hosts with this tag.
    pub tag: Option<&'a str>,
    /// When it is.
    pub now: Timestamp,
}

impl Scope<'_> {
    /// Where such hosts are listed.
    fn hosts(&self, narrowed: &[(&str, &str)]) -> String {
        address("/hosts", &[narrowed, &[("tag", self.tag.unwrap_or_default())]].concat())
    }
}

/// One thing that needs a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// The icon's name.
    pub icon: &'static str,
    /// The colour's class.
    pub class: &'static str,
    /// What is wrong.
    pub what: String,
    /// What that means.
    pub why: String,
    /// Whom it is about.
    pub about: Vec<Link>,
    /// What there is to do, the first of it first.
    pub acts: Vec<Link>,
}

const LOCK: &str = "lock";

impl Item {
    /// Whether it leads there.
    fn is_about(&self, href: Option<&str>) -> bool {
        self.acts.iter().any(|act| Some(act.href.as_str()) == href)
    }
}

/// A cause that hosts have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cause {
    code: Option<CauseCode>,
    repository: Option<RepositoryId>,
}

fn link(host: &Host) -> Link {
    Link { href: format!("/hosts/{}", host.id), text: words::name(&host.name, host.paused.is_some()) }
}

fn named(hosts: &[Host]) -> Vec<Link> {
    hosts.iter().map(link).collect()
}

/// Hosts that fail for one cause, one item for each. They come by name, so that the schedules of one host follow each other.
fn grouped(failing: Vec<Failing>) -> Vec<(Cause, Vec<Failing>)> {
    let mut causes: Vec<(Cause, Vec<Failing>)> = vec![];
    for one in failing {
        let cause = Cause { code: one.cause, repository: one.repository };
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, hosts)) if hosts.last().is_some_and(|known| known.host == one.host) => {}
            Some((_, hosts)) => hosts.push(one),
            None => causes.push((cause, vec![one])),
        }
    }
    causes.sort_by_key(|(_, hosts)| std::cmp::Reverse(hosts.len()));
    causes
}

async fn failing(s: &Services, names: &mut Names, scope: Scope<'_>) -> Result<Vec<Item>, ApiError> {
    let mut items = vec![];
    let failing = protection::failing(s, scope.tag.map(Into::into), scope.now).await?;
    for (cause, hosts) in grouped(failing).into_iter().take(ITEMS) {
        let name = match cause.repository {
            Some(id) => names.repository(s, id).await?.unwrap_or_else(|| things::REPOSITORY.into()),
            None => words::A_REPOSITORY.into(),
        };
        let mut acts = vec![];
        if let (Some(CauseCode::RepositoryLocked), Some(id)) = (cause.code, cause.repository) {
            // Whether it is stale, its page says; so looking comes first.
            acts.push(Link { href: format!("/repositories/{id}"), text: words::LOOK_AT_LOCK.into() });
            if scope.operator {
                let href = format!("/repositories/{id}/locks/remove");
                acts.push(Link { href, text: words::REMOVE_LOCKS.into() });
            }
        }
        if let Some(job) = hosts.iter().find_map(|f| f.job) {
            acts.push(Link { href: format!("/jobs/{job}"), text: words::WHY.into() });
        }
        let mut about: Vec<Link> = hosts
            .iter()
            .take(NAMED)
            .map(|f| Link { href: format!("/hosts/{}", f.host), text: words::name(&f.name, f.paused) })
            .collect();
        if let (true, Some(id)) = (hosts.len() > NAMED, cause.repository) {
            let id = id.to_string();
            let href = scope.hosts(&[("state", Protection::Failing.as_str()), ("repository", &id)]);
            about.push(Link { href, text: words::more(hosts.len() - NAMED) });
        }
        items.push(Item {
            icon: if cause.code == Some(CauseCode::RepositoryLocked) { LOCK } else { "bad" },
            class: "bad",
            what: words::failing(&name, cause.code),
            why: words::failing_means(hosts.len()),
            about,
            acts,
        });
    }
    Ok(items)
}

/// Hosts that are unprotected without a failure, by how.
async fn silent(s: &Services, state: Protection, n: i64, scope: Scope<'_>) -> Result<Option<Item>, ApiError> {
    let (now, tag) = (scope.now, scope.tag.map(Into::into));
    let filter = Filter { states: vec![state], tag, ..Filter::default() };
    let some = hosts::first(s, filter, Order::Name(None), i64::try_from(NAMED).unwrap_or(1)).await?;
    let Some(first) = some.first() else { return Ok(None) };
    let one = n == 1;
    let (icon, class, what) = match state {
        Protection::TooOld if one && first.state == HostState::Offline => {
            ("offline", "bad", words::offline(&first.name))
        }
        Protection::TooOld if one => ("clock", "bad", words::too_old(&first.name)),
        Protection::TooOld => ("clock", "bad", words::silent(state, n)),
        Protection::Never if one && first.state == HostState::Pending => {
            ("never", "warn", words::never_connected(&first.name))
        }
        Protection::Never if one => ("never", "warn", words::never_backed_up(&first.name)),
        _ => ("never", "warn", words::silent(state, n)),
    };
    let moment = |at: Timestamp| Moment::new(at, now);
    let since = match state {
        Protection::TooOld if one => first.protection.last_good_at.map(|at| words::last_good(&moment(at))),
        Protection::Never if one => Some(words::added(&moment(first.created_at))),
        _ => None,
    };
    let paused = first.paused.as_ref().filter(|_| one).map(|p| PausedWords::new(p, now).sentence());
    let acts = if one && scope.operator && first.state == HostState::Pending {
        vec![Link { href: format!("/hosts/{}/install", first.id), text: words::INSTALL.into() }]
    } else if one {
        vec![Link { href: format!("/hosts/{}", first.id), text: words::OPEN_HOST.into() }]
    } else {
        vec![Link { href: scope.hosts(&[("state", state.as_str())]), text: words::all(n) }]
    };
    let about = if one { vec![] } else { named(&some) };
    Ok(Some(Item {
        icon,
        class,
        what,
        why: [since, paused].into_iter().flatten().collect::<Vec<_>>().join(" "),
        about,
        acts,
    }))
}

/// What needs a person now, the worst first. What only operators may do is offered to them alone.
///
/// # Errors
/// When the database fails.
pub async fn items(s: &Services, figures: &Figures, scope: Scope<'_>) -> Result<Vec<Item>, ApiError> {
    let mut names = Names::default();
    let mut items = failing(s, &mut names, scope).await?;
    for state in [Protection::TooOld, Protection::Never, Protection::Unplanned] {
        let n = figures.stand(&[state]);
        if n > 0 {
            items.extend(silent(s, state, n, scope).await?);
        }
    }
    for alert in alert_rows(s, scope.tag, &mut names, scope.now).await? {
        // The lock is why hosts fail: they are one item.
        if alert.icon == LOCK && items.iter().any(|i| i.icon == LOCK && i.is_about(alert.href.as_deref())) {
            continue;
        }
        let acts = alert.acts.into_iter().filter(|act| scope.operator || !act.operator);
        let acts = acts.map(|act| Link { href: act.href, text: act.text.into() });
        items.push(Item {
            icon: alert.icon,
            class: alert.class,
            what: alert.title,
            why: words::alert(&alert.subject, &alert.detail),
            about: vec![],
            acts: acts.collect(),
        });
    }
    items.sort_by_key(|item| item.class != "bad");
    items.truncate(ITEMS);
    Ok(items)
}
