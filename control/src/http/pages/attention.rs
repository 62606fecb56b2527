//! What needs a person, one item for each cause: a lock that blocks many hosts is one item. Alerts come with their subjects; hosts that are not
//! protected come grouped by what their newest run said.

use super::alerts::alert_rows;
use super::names::Names;
use super::pause::PausedWords;
use super::view::Link;
use crate::domain::fleet::{Host, HostState};
use crate::domain::protection::Protection;
use crate::http::problem::ApiError;
use crate::service::{Services, hosts, protection};
use crate::store::host_search::{Filter, Order};
use crate::store::protection::Failing;
use crate::words::gone;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use serde::Serialize;

/// Hosts that are named in one item.
const NAMED: usize = 3;
/// Items on the dashboard; the rest is under Alerts and Hosts.
const ITEMS: usize = 8;

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

/// A host's name, and that it is paused if it is.
fn name_of(name: &str, paused: bool) -> String {
    if paused { format!("{name} (paused)") } else { name.to_owned() }
}

fn link(host: &Host) -> Link {
    Link { href: format!("/hosts/{}", host.id), text: name_of(&host.name, host.paused.is_some()) }
}

fn named(hosts: &[Host]) -> Vec<Link> {
    hosts.iter().take(NAMED).map(link).collect()
}

fn plural(n: i64) -> &'static str {
    if n == 1 { "" } else { "s" }
}

const fn words(code: Option<CauseCode>) -> &'static str {
    match code {
        Some(CauseCode::RepositoryLocked) => "is locked",
        Some(CauseCode::RepositoryMissing) => "is not at its address",
        Some(CauseCode::WrongPassword) => "does not open with its password",
        Some(CauseCode::RepositoryUnreachable) => "cannot be reached",
        Some(CauseCode::StorageUnauthorized | CauseCode::StorageForbidden) => "refuses the credential",
        Some(CauseCode::StorageFull) => "has no room left",
        Some(CauseCode::RepositoryDamaged) => "is damaged",
        _ => "takes no backups",
    }
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

async fn failing(s: &Services, names: &mut Names, operator: bool, now: Timestamp) -> Result<Vec<Item>, ApiError> {
    let mut items = vec![];
    for (cause, hosts) in grouped(protection::failing(s, now).await?).into_iter().take(ITEMS) {
        let name = match cause.repository {
            Some(id) => names.repository(s, id).await?.unwrap_or_else(|| gone::REPOSITORY.into()),
            None => "A repository".into(),
        };
        let mut acts = vec![];
        if let (Some(CauseCode::RepositoryLocked), Some(id)) = (cause.code, cause.repository) {
            // Whether it is stale, its page says; so looking comes first.
            acts.push(Link { href: format!("/repositories/{id}"), text: "Look at the lock".into() });
            if operator {
                let href = format!("/repositories/{id}/operations?kind=unlock&remove_all=1");
                acts.push(Link { href, text: "Remove all locks…".into() });
            }
        }
        if let Some(job) = hosts.iter().find_map(|f| f.job) {
            acts.push(Link { href: format!("/jobs/{job}"), text: "Why".into() });
        }
        let n = i64::try_from(hosts.len()).unwrap_or(0);
        let mut about: Vec<Link> = hosts
            .iter()
            .take(NAMED)
            .map(|f| Link { href: format!("/hosts/{}", f.host), text: name_of(&f.name, f.paused) })
            .collect();
        if let (true, Some(id)) = (hosts.len() > NAMED, cause.repository) {
            let href = format!("/hosts?state=failing&repository={id}");
            about.push(Link { href, text: format!("{} more", hosts.len() - NAMED) });
        }
        items.push(Item {
            icon: if cause.code == Some(CauseCode::RepositoryLocked) { LOCK } else { "bad" },
            class: "bad",
            what: format!("{name} {}", words(cause.code)),
            why: format!("{n} host{} cannot back up there, and the newest backups are too old:", plural(n)),
            about,
            acts,
        });
    }
    Ok(items)
}

/// Hosts that are unprotected without a failure, by how.
async fn silent(s: &Services, state: Protection, now: Timestamp) -> Result<Option<Item>, ApiError> {
    let filter = Filter { states: vec![state], ..Filter::default() };
    let (listed, n) = hosts::search(s, filter, Order::Name(None), 3).await?;
    let Some(first) = listed.items.first() else { return Ok(None) };
    let one = n == 1;
    let (icon, class, what, why) = match state {
        Protection::TooOld if one && first.state == HostState::Offline => (
            "offline",
            "bad",
            format!("{} is offline, and its newest backup is too old", first.name),
            "Last good backup",
        ),
        Protection::TooOld if one => {
            ("clock", "bad", format!("The newest backup of {} is too old", first.name), "Last good backup")
        }
        Protection::TooOld => ("clock", "bad", format!("The newest backups of {n} hosts are too old"), ""),
        Protection::Never if one && first.state == HostState::Pending => {
            ("never", "warn", format!("{} has never connected", first.name), "Added")
        }
        Protection::Never if one => ("never", "warn", format!("{} was never backed up in full", first.name), "Added"),
        Protection::Never => ("never", "warn", format!("{n} hosts were never backed up"), ""),
        _ => (
            "never",
            "warn",
            format!("{n} host{} {} no enabled schedule", plural(n), if one { "has" } else { "have" }),
            "",
        ),
    };
    let at = if state == Protection::Never { Some(first.created_at) } else { first.protection.last_good_at };
    let since =
        at.filter(|_| one && !why.is_empty()).map(|at| format!("{why} {}.", crate::words::Moment::new(at, now).ago));
    let paused = first.paused.as_ref().filter(|_| one).map(|p| PausedWords::new(p, now).sentence());
    let acts = if one {
        vec![Link { href: format!("/hosts/{}", first.id), text: "Open host".into() }]
    } else {
        vec![Link { href: format!("/hosts?state={state}"), text: format!("All {n}") }]
    };
    let about = if one { vec![] } else { named(&listed.items) };
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
pub async fn items(s: &Services, names: &mut Names, operator: bool, now: Timestamp) -> Result<Vec<Item>, ApiError> {
    let mut items = failing(s, names, operator, now).await?;
    for state in [Protection::TooOld, Protection::Never, Protection::Unplanned] {
        items.extend(silent(s, state, now).await?);
    }
    for alert in alert_rows(s, names, now).await? {
        // The lock is why hosts fail: they are one item.
        if alert.icon == LOCK && items.iter().any(|i| i.icon == LOCK && i.is_about(alert.href.as_deref())) {
            continue;
        }
        let acts = alert.href.map(|href| Link { href, text: "Open".into() });
        items.push(Item {
            icon: alert.icon,
            class: alert.class,
            what: alert.title.into(),
            why: format!("{}: {}", alert.subject, alert.detail),
            about: vec![],
            acts: acts.into_iter().collect(),
        });
    }
    items.sort_by_key(|item| item.class != "bad");
    items.truncate(ITEMS);
    Ok(items)
}
