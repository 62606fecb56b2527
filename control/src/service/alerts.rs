//! Alerts: seeing them and saying that one is known. They are opened and resolved by what they are about.

use super::{ActError, Listed, Noun, Services, after, audit, page};
use crate::domain::alert::{About, Alert, AlertKind};
use crate::domain::permission::Actor;
use crate::domain::watch::KINDS;
use crate::store::alerts::{self, Acknowledged};
use crate::store::{alerts_by_tag, standing};
use restic_manager_shared::id::{AlertId, HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::CauseCode;
use serde::Deserialize;
use std::collections::HashMap;
use std::time::Duration;

/// Hosts for which the same holds that are told one by one; more are told as how many they are.
const FEW: i64 = 5;
/// Damaged places of one repository that are told at most.
const DAMAGE: i64 = 20;

/// Alerts, the newest first. The cursor is the id of the last one seen.
///
/// # Errors
/// When the cursor is not one of ours, or the database fails.
pub async fn list(
    s: &Services,
    open_only: bool,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Alert>, ActError> {
    let before = after(cursor, |c| c.parse::<AlertId>().ok())?;
    let items = s.db.read(move |conn| Ok::<_, ActError>(alerts::list(conn, open_only, before, limit + 1)?)).await?;
    Ok(page(items, limit, |a| a.id.to_string()))
}

/// Open alerts about hosts with a tag, the newest first. The cursor is the id of the last one seen.
///
/// # Errors
/// When the cursor is not one of ours, or the database fails.
pub async fn open_of_tag(
    s: &Services,
    tag: String,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Alert>, ActError> {
    let before = after(cursor, |c| c.parse::<AlertId>().ok())?;
    let items = s.db.read(move |conn| Ok::<_, ActError>(alerts_by_tag::open(conn, &tag, before, limit + 1)?)).await?;
    Ok(page(items, limit, |a| a.id.to_string()))
}

/// These alerts, all of a page at once.
///
/// # Errors
/// When the database fails.
pub async fn of_ids(s: &Services, ids: Vec<AlertId>) -> Result<Vec<Alert>, ActError> {
    s.db.read(move |conn| Ok(alerts::of_ids(conn, &ids)?)).await
}

/// Open alerts that nobody has acknowledged and that are not of these kinds, all or those about hosts with a tag, the newest first.
///
/// # Errors
/// When the database fails.
pub async fn unknown_beside(
    s: &Services,
    tag: Option<String>,
    kinds: &'static [AlertKind],
    limit: i64,
) -> Result<Vec<Alert>, ActError> {
    s.db.read(move |conn| {
        Ok(match tag {
            Some(tag) => alerts_by_tag::unknown_beside(conn, &tag, kinds, limit)?,
            None => alerts::unknown_beside(conn, kinds, limit)?,
        })
    })
    .await
}

/// Many hosts for which the same holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crowd {
    /// What holds.
    pub kind: AlertKind,
    /// For how many.
    pub hosts: i64,
    /// Since when it holds for one.
    pub since: Option<Timestamp>,
}

/// What is open: the alerts, and in place of those that hold for many hosts at once how many there are.
///
/// # Errors
/// When the database fails.
pub async fn open(s: &Services, limit: i64) -> Result<(Vec<Alert>, Vec<Crowd>), ActError> {
    s.db.read(move |conn| {
        let (mut listed, mut crowds) = (alerts::open_beside(conn, &KINDS, limit)?, vec![]);
        for kind in KINDS {
            let (hosts, since) = alerts::crowd(conn, kind)?;
            if hosts > FEW {
                crowds.push(Crowd { kind, hosts, since });
            } else {
                listed.extend(alerts::open_of_kind(conn, kind, false, FEW)?);
            }
            listed.extend(alerts::open_of_kind(conn, kind, true, limit)?);
        }
        Ok((listed, crowds))
    })
    .await
}

/// What checks have found broken in a repository, or in the places of it, and no later check has found whole. The oldest first.
///
/// # Errors
/// When the database fails.
pub async fn damage(s: &Services, id: RepositoryId) -> Result<Vec<Alert>, ActError> {
    s.db.read(move |conn| {
        Ok(alerts::open_about(conn, AlertKind::RepositoryDamaged, &format!("repository:{id}"), DAMAGE)?)
    })
    .await
}

/// Of the hosts whose backups fail, where and why the newest one did.
///
/// # Errors
/// When the database fails.
pub async fn causes(s: &Services, alerts: &[Alert]) -> Result<HashMap<HostId, (RepositoryId, CauseCode)>, ActError> {
    let failing = alerts.iter().filter(|alert| alert.kind == AlertKind::BackupFailed && alert.resolved_at.is_none());
    let hosts: Vec<HostId> = failing.filter_map(|alert| About::of(&alert.subject).host).collect();
    if hosts.is_empty() {
        return Ok(HashMap::new());
    }
    s.db.read(move |conn| Ok(standing::causes(conn, &hosts)?)).await
}

/// That an alert is known: why, and until when it is quiet for that.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// Why, for people.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1000)]
    pub reason: Option<String>,
    /// Until when; as long as the alert is open if left out.
    #[serde(default)]
    pub until: Option<Timestamp>,
}

/// The longest that an alert is quiet by a date.
const QUIET: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

fn check(how: &Acknowledgement, now: Timestamp) -> Result<(), ActError> {
    let fine = |text: &str| !text.trim().is_empty() && text.chars().count() <= 1000 && !text.contains(char::is_control);
    if how.reason.as_deref().is_some_and(|reason| !fine(reason)) {
        return Err(ActError::field("/reason", "1 to 1000 characters without control characters, or left out"));
    }
    if how.until.is_some_and(|until| until <= now || until.since(now) > QUIET) {
        return Err(ActError::field("/until", "in the future, within ten years"));
    }
    Ok(())
}

/// Says that an open alert is known: no channel is reminded of it until the date that was given, or else for as long as it is open.
///
/// # Errors
/// When there is no such open alert, or fields are wrong.
pub async fn acknowledge(s: &Services, actor: &Actor, id: AlertId, how: Acknowledgement) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    check(&how, now)?;
    s.db.write(move |conn| {
        let by = actor.label();
        let told = Acknowledged { by: &by, reason: how.reason.as_deref(), until: how.until };
        if !alerts::acknowledge(conn, id, told, now)? {
            return Err(ActError::NotFound(Noun::Alert));
        }
        let detail = serde_json::json!({"reason": how.reason, "until": how.until});
        Ok(audit::record(conn, &actor, now, "alert.acknowledge", &format!("alert:{id}"), &detail)?)
    })
    .await
}

/// Takes it back that an open alert is known.
///
/// # Errors
/// When there is no such open alert that is.
pub async fn reopen(s: &Services, actor: &Actor, id: AlertId) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        if !alerts::reopen(conn, id)? {
            return Err(ActError::NotFound(Noun::Alert));
        }
        Ok(audit::record(conn, &actor, now, "alert.reopen", &format!("alert:{id}"), &serde_json::json!({}))?)
    })
    .await
}

/// One alert.
///
/// # Errors
/// When there is no such alert.
pub async fn get(s: &Services, id: AlertId) -> Result<Alert, ActError> {
    s.db.read(move |conn| alerts::get(conn, id)?.ok_or(ActError::NotFound(Noun::Alert))).await
}
