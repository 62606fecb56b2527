//! Hosts: seeing them, changing name and tags, deleting.

use super::{ActError, Listed, Noun, Refusal, Services, audit, page};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::fleet::{Freeze, Host, check_host_name, check_host_tags};
use crate::domain::permission::Actor;
use crate::domain::watch::Limits;
use crate::store::host_search::{self, DayEnd, Filter, Order, rank};
use crate::store::{Conn, StoreError, alerts, credentials, hosts};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::problem::FieldError;

/// Hosts by name. The cursor is the name of the last one seen.
///
/// # Errors
/// When the database fails.
pub async fn list(s: &Services, cursor: Option<String>, limit: i64) -> Result<Listed<Host>, ActError> {
    found(s, Filter::default(), cursor, limit).await
}

/// Hosts by name that a filter lets through. The cursor is the name of the last one seen.
///
/// # Errors
/// When the database fails.
pub async fn found(s: &Services, filter: Filter, cursor: Option<String>, limit: i64) -> Result<Listed<Host>, ActError> {
    let now = Timestamp::now();
    let records = s
        .db
        .read(move |conn| Ok::<_, ActError>(host_search::list(conn, &filter, &Order::Name(cursor), limit + 1, now)?))
        .await?;
    let items = records.into_iter().map(|r| view(s, r, now)).collect();
    Ok(page(items, limit, |h: &Host| h.name.clone()))
}

/// The cursor after a host.
fn after(order: &Order, host: &Host) -> String {
    match order {
        Order::Name(_) => host.name.clone(),
        Order::Worst(_) => format!("{} {}", rank(host.protection.state), host.name),
    }
}

/// The order that a cursor goes on with.
#[must_use]
pub fn order(by_name: bool, cursor: Option<&str>) -> Order {
    if by_name {
        return Order::Name(cursor.map(Into::into));
    }
    let at = cursor.and_then(|c| c.split_once(' ')).and_then(|(rank, name)| Some((rank.parse().ok()?, name.into())));
    Order::Worst(at)
}

/// Hosts as people look for them, and how many there are in all.
///
/// # Errors
/// When the database fails.
pub async fn search(s: &Services, filter: Filter, order: Order, limit: i64) -> Result<(Listed<Host>, i64), ActError> {
    let now = Timestamp::now();
    let by = order.clone();
    let (records, all) =
        s.db.read(move |conn| {
            let records = host_search::list(conn, &filter, &by, limit + 1, now)?;
            Ok::<_, ActError>((records, host_search::count(conn, &filter, now)?))
        })
        .await?;
    let items = records.into_iter().map(|r| view(s, r, now)).collect();
    Ok((page(items, limit, |h: &Host| after(&order, h)), all))
}

/// The first hosts of such a list, where nobody asks how many there are.
///
/// # Errors
/// When the database fails.
pub async fn first(s: &Services, filter: Filter, order: Order, limit: i64) -> Result<Vec<Host>, ActError> {
    let now = Timestamp::now();
    let records =
        s.db.read(move |conn| Ok::<_, ActError>(host_search::list(conn, &filter, &order, limit, now)?)).await?;
    Ok(records.into_iter().map(|r| view(s, r, now)).collect())
}

/// Which of these hosts may back up to which repository.
///
/// # Errors
/// When the database fails.
pub async fn repositories(s: &Services, ids: Vec<HostId>) -> Result<Vec<(HostId, RepositoryId)>, ActError> {
    s.db.read(move |conn| Ok(credentials::held_by(conn, &ids)?)).await
}

/// What became of these hosts' backups, by the days of a clock that is so many seconds ahead of UTC.
///
/// # Errors
/// When the database fails.
pub async fn days(s: &Services, ids: Vec<HostId>, since: Timestamp, offset: i64) -> Result<Vec<DayEnd>, ActError> {
    s.db.read(move |conn| Ok(host_search::days(conn, &ids, since, offset)?)).await
}

/// One host.
///
/// # Errors
/// When there is no such host.
pub async fn get(s: &Services, id: HostId) -> Result<Host, ActError> {
    let record = s.db.read(move |conn| load(conn, id)).await?;
    Ok(view(s, record, Timestamp::now()))
}

/// The host of that name, if there is one.
///
/// # Errors
/// When the database fails.
pub async fn by_name(s: &Services, name: &str) -> Result<Option<Host>, ActError> {
    let name = name.to_owned();
    let record = s.db.read(move |conn| Ok::<_, ActError>(hosts::by_name(conn, &name)?)).await?;
    Ok(record.map(|record| view(s, record, Timestamp::now())))
}

fn view(s: &Services, record: hosts::HostRecord, now: Timestamp) -> Host {
    let seen = s.presence.get(record.id);
    record.view(seen.as_ref(), now)
}

pub(super) fn load(conn: &mut Conn, id: HostId) -> Result<hosts::HostRecord, ActError> {
    hosts::get(conn, id)?.ok_or(ActError::NotFound(Noun::Host))
}

/// What can be said of a host.
#[derive(Clone, Debug)]
pub struct HostChange {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub tags: Vec<String>,
    /// When alerts tell of it; none leaves that as it is.
    pub limits: Option<Limits>,
}

impl HostChange {
    fn check(&self) -> Vec<FieldError> {
        let name = check_host_name(&self.name).map(|wrong| FieldError { pointer: "/name".into(), ..wrong });
        let limits = self.limits.map(Limits::check).unwrap_or_default();
        name.into_iter().chain(check_host_tags(&self.tags)).chain(limits).collect()
    }
}

/// Changes a host's name, tags and limits. The name is restic's `--host` and may stand in repository URLs, so the agent hears of it.
///
/// # Errors
/// Wrong fields, no such host, or the name is taken.
pub async fn update(s: &Services, actor: &Actor, id: HostId, change: HostChange) -> Result<Host, ActError> {
    let wrong = change.check();
    if !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let HostChange { name, tags, limits } = change;
        let changed = hosts::update(conn, id, &name, &tags).map_err(|e| match e {
            StoreError::Duplicate(_) => Refusal::NameTaken("host").into(),
            other => ActError::from(other),
        })?;
        if !changed {
            return Err(ActError::NotFound(Noun::Host));
        }
        if let Some(limits) = limits {
            hosts::set_limits(conn, id, limits)?;
        }
        hosts::raise_version(conn, id)?;
        let detail = serde_json::json!({"name": name, "tags": tags, "limits": limits});
        Ok(audit::record(conn, &actor, now, "host.update", &format!("host:{id}"), &detail)?)
    })
    .await?;
    s.hub.hosts.wake(id);
    get(s, id).await
}

/// Deletes a host with its schedules, jobs and snapshots' metadata; its key is refused at once. The repository keeps its snapshots.
///
/// # Errors
/// When there is no such host.
pub async fn delete(s: &Services, actor: &Actor, id: HostId) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let host = load(conn, id)?;
        hosts::delete(conn, id)?;
        alerts::resolve_about(conn, &format!("host:{id}"), now)?;
        let detail = serde_json::json!({"name": host.name});
        Ok::<_, ActError>(audit::record(conn, &actor, now, "host.delete", &format!("host:{id}"), &detail)?)
    })
    .await?;
    s.agent_tokens.forget(id);
    s.presence.forget(id);
    s.hub.hosts.wake(id);
    Ok(())
}

/// Freezes a host's retention: nothing of it is forgotten until a person lets it run again.
///
/// # Errors
/// When there is no such host, or no reason is given.
pub async fn freeze(s: &Services, actor: &Actor, id: HostId, reason: Option<String>) -> Result<Host, ActError> {
    if reason.as_deref().is_some_and(|r| r.trim().is_empty() || r.len() > 1000) {
        return Err(ActError::field("/reason", "1 to 1000 characters"));
    }
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        let frozen = reason.map(|reason| Freeze { reason, since: now, by: actor.label() });
        if !hosts::set_frozen(conn, id, frozen.as_ref())? {
            return Err(ActError::NotFound(Noun::Host));
        }
        let about = (AlertKind::RetentionFrozen, &*format!("host:{id}"));
        match &frozen {
            Some(freeze) => drop(alerts::raise(conn, about, Severity::Warning, &freeze.reason, now)?),
            None => drop(alerts::resolve(conn, about, now)?),
        }
        let action = if frozen.is_some() { "host.freeze" } else { "host.thaw" };
        let detail = serde_json::json!({"reason": frozen.map(|f| f.reason)});
        Ok(audit::record(conn, &actor, now, action, &format!("host:{id}"), &detail)?)
    })
    .await?;
    get(s, id).await
}
