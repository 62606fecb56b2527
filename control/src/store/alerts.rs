//! Alerts: conditions that hold for a subject. Opened once, updated while they hold, resolved when they end.

use super::bridge::{from_json, parse, time, to_json};
use super::schema::alerts;
use super::{Conn, StoreResult, deliveries};
use crate::domain::alert::{Alert, AlertKind, Severity};
use diesel::prelude::*;
use restic_manager_shared::id::AlertId;
use restic_manager_shared::time::Timestamp;

pub(super) type Row = (
    String,
    String,
    String,
    String,
    String,
    i64,
    i64,
    Option<i64>,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<i64>,
);

/// What channels are told of when an alert opens or gets worse.
pub(super) struct News<'a> {
    /// Which.
    pub id: AlertId,
    /// Its condition.
    pub kind: AlertKind,
    /// What it is about.
    pub subject: &'a str,
    /// How bad it is.
    pub severity: Severity,
    /// How bad it was, if it was open before.
    pub was: Option<Severity>,
}

pub(super) fn alert(row: Row) -> StoreResult<Alert> {
    Ok(Alert {
        id: parse("alerts.id", &row.0)?,
        kind: parse("alerts.kind", &row.1)?,
        subject: row.2,
        severity: parse("alerts.severity", &row.3)?,
        detail: from_json("alerts.detail", &row.4)?,
        opened_at: Timestamp::from_micros(row.5),
        updated_at: Timestamp::from_micros(row.6),
        acknowledged_at: time(row.7),
        acknowledged_by: row.8,
        resolved_at: time(row.9),
        acknowledged_reason: row.10.map(|text| from_json("alerts.acknowledged_reason", &text)).transpose()?,
        acknowledged_until: time(row.11),
    })
}

/// Says that a condition holds: opens an alert, or updates the open one. Answers whether it is new. What channels are to be told of it
/// is kept with it.
///
/// # Errors
/// When the database fails.
pub fn raise(
    conn: &mut Conn,
    (kind, subject): (AlertKind, &str),
    severity: Severity,
    detail: &str,
    now: Timestamp,
) -> StoreResult<bool> {
    let detail = to_json("alerts.detail", &detail)?;
    let open = alerts::table
        .filter(alerts::kind.eq(kind.as_str()))
        .filter(alerts::subject.eq(subject))
        .filter(alerts::resolved_at.is_null());
    if let Some((id, was)) = open.select((alerts::id, alerts::severity)).first::<(String, String)>(conn).optional()? {
        diesel::update(alerts::table.find(&id))
            .set((
                alerts::severity.eq(severity.as_str()),
                alerts::detail.eq(&detail),
                alerts::updated_at.eq(now.micros()),
            ))
            .execute(conn)?;
        let was: Severity = parse("alerts.severity", &was)?;
        if severity > was {
            let news = News { id: parse("alerts.id", &id)?, kind, subject, severity, was: Some(was) };
            deliveries::opened(conn, &news, now)?;
        }
        return Ok(false);
    }
    let id = AlertId::new();
    diesel::insert_into(alerts::table)
        .values((
            alerts::id.eq(id.to_string()),
            alerts::kind.eq(kind.as_str()),
            alerts::subject.eq(subject),
            alerts::severity.eq(severity.as_str()),
            alerts::detail.eq(detail),
            alerts::opened_at.eq(now.micros()),
            alerts::updated_at.eq(now.micros()),
        ))
        .execute(conn)?;
    deliveries::opened(conn, &News { id, kind, subject, severity, was: None }, now)?;
    Ok(true)
}

/// Says that a condition no longer holds. Channels that know of it are to be told.
///
/// # Errors
/// When the database fails.
pub fn resolve(conn: &mut Conn, (kind, subject): (AlertKind, &str), now: Timestamp) -> StoreResult<bool> {
    let open = alerts::table
        .filter(alerts::kind.eq(kind.as_str()))
        .filter(alerts::subject.eq(subject))
        .filter(alerts::resolved_at.is_null());
    let ids = open.select(alerts::id).load::<String>(conn)?;
    end(conn, &ids, now)?;
    Ok(!ids.is_empty())
}

/// Ends open alerts. Channels that know of them are to be told.
fn end(conn: &mut Conn, ids: &[String], now: Timestamp) -> StoreResult<()> {
    let values = (alerts::resolved_at.eq(now.micros()), alerts::updated_at.eq(now.micros()));
    for id in ids {
        diesel::update(alerts::table.find(id)).set(values).execute(conn)?;
        deliveries::resolved(conn, parse("alerts.id", id)?, now)?;
    }
    Ok(())
}

/// Who says that an alert is known, why, and until when that is to hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Acknowledged<'a> {
    /// Who.
    pub by: &'a str,
    /// Why.
    pub reason: Option<&'a str>,
    /// Until when; none as long as the alert is open.
    pub until: Option<Timestamp>,
}

/// Marks an open alert as seen. False if there is no such open alert.
///
/// # Errors
/// When the database fails.
pub fn acknowledge(conn: &mut Conn, id: AlertId, how: Acknowledged<'_>, now: Timestamp) -> StoreResult<bool> {
    let open = alerts::table.find(id.to_string()).filter(alerts::resolved_at.is_null());
    let reason = how.reason.map(|text| to_json("alerts.acknowledged_reason", &text)).transpose()?;
    let values = Known {
        acknowledged_at: Some(now.micros()),
        acknowledged_by: Some(how.by.to_owned()),
        acknowledged_reason: reason,
        acknowledged_until: how.until.map(Timestamp::micros),
    };
    Ok(diesel::update(open).set(values).execute(conn)? > 0)
}

/// What a row keeps of it; nothing, for an alert that nobody knows of.
#[derive(Default, AsChangeset)]
#[diesel(table_name = alerts, treat_none_as_null = true)]
struct Known {
    acknowledged_at: Option<i64>,
    acknowledged_by: Option<String>,
    acknowledged_reason: Option<String>,
    acknowledged_until: Option<i64>,
}

/// Takes back that an open alert is known. False if there is no such alert.
///
/// # Errors
/// When the database fails.
pub fn reopen(conn: &mut Conn, id: AlertId) -> StoreResult<bool> {
    let known = alerts::table.find(id.to_string()).filter(alerts::resolved_at.is_null());
    let known = known.filter(alerts::acknowledged_at.is_not_null());
    Ok(diesel::update(known).set(Known::default()).execute(conn)? > 0)
}

/// Ends what was acknowledged until now; answers which alerts are open again.
///
/// # Errors
/// When the database fails.
pub fn lapse(conn: &mut Conn, now: Timestamp) -> StoreResult<Vec<AlertId>> {
    let over = alerts::table.filter(alerts::resolved_at.is_null()).filter(alerts::acknowledged_until.le(now.micros()));
    let ids = diesel::update(over).set(Known::default()).returning(alerts::id).get_results::<String>(conn)?;
    ids.iter().map(|id| parse("alerts.id", id)).collect()
}

/// One alert.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: AlertId) -> StoreResult<Option<Alert>> {
    alerts::table.find(id.to_string()).first::<Row>(conn).optional()?.map(alert).transpose()
}

/// These alerts, in no order. Those that are not there are left out.
///
/// # Errors
/// When the database fails.
pub fn of_ids(conn: &mut Conn, ids: &[AlertId]) -> StoreResult<Vec<Alert>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    alerts::table.filter(alerts::id.eq_any(ids)).load::<Row>(conn)?.into_iter().map(alert).collect()
}

/// Alerts, the newest first; only open ones if asked so. `before` is the id of the last one seen.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn, open_only: bool, before: Option<AlertId>, limit: i64) -> StoreResult<Vec<Alert>> {
    let mut query = alerts::table.into_boxed::<super::conn::Backend>();
    if open_only {
        query = query.filter(alerts::resolved_at.is_null());
    }
    if let Some(before) = before {
        query = query.filter(alerts::id.lt(before.to_string()));
    }
    // Ids count up with time.
    query.order(alerts::id.desc()).limit(limit).load::<Row>(conn)?.into_iter().map(alert).collect()
}

/// Open alerts that nobody has acknowledged and that are not of these kinds, the newest first.
///
/// # Errors
/// When the database fails.
pub fn unknown_beside(conn: &mut Conn, kinds: &[AlertKind], limit: i64) -> StoreResult<Vec<Alert>> {
    let kinds: Vec<&str> = kinds.iter().map(|k| k.as_str()).collect();
    let unknown = alerts::table
        .filter(alerts::resolved_at.is_null())
        .filter(alerts::acknowledged_at.is_null())
        .filter(alerts::kind.ne_all(kinds));
    unknown.order(alerts::id.desc()).limit(limit).load::<Row>(conn)?.into_iter().map(alert).collect()
}

/// Open alerts, acknowledged or not, that are not of these kinds, the newest first.
///
/// # Errors
/// When the database fails.
pub fn open_beside(conn: &mut Conn, kinds: &[AlertKind], limit: i64) -> StoreResult<Vec<Alert>> {
    let kinds: Vec<&str> = kinds.iter().map(|k| k.as_str()).collect();
    let open = alerts::table.filter(alerts::resolved_at.is_null()).filter(alerts::kind.ne_all(kinds));
    open.order(alerts::id.desc()).limit(limit).load::<Row>(conn)?.into_iter().map(alert).collect()
}

/// Open alerts of a kind, the newest first: those that nobody has acknowledged, or those that somebody has.
///
/// # Errors
/// When the database fails.
pub fn open_of_kind(conn: &mut Conn, kind: AlertKind, known: bool, limit: i64) -> StoreResult<Vec<Alert>> {
    let mut open = alerts::table
        .filter(alerts::kind.eq(kind.as_str()))
        .filter(alerts::resolved_at.is_null())
        .into_boxed::<super::conn::Backend>();
    open = if known {
        open.filter(alerts::acknowledged_at.is_not_null())
    } else {
        open.filter(alerts::acknowledged_at.is_null())
    };
    open.order(alerts::id.desc()).limit(limit).load::<Row>(conn)?.into_iter().map(alert).collect()
}

/// How many open alerts of a kind nobody has acknowledged, and since when the oldest of them holds.
///
/// # Errors
/// When the database fails.
pub fn crowd(conn: &mut Conn, kind: AlertKind) -> StoreResult<(i64, Option<Timestamp>)> {
    let open = alerts::table
        .filter(alerts::kind.eq(kind.as_str()))
        .filter(alerts::resolved_at.is_null())
        .filter(alerts::acknowledged_at.is_null());
    let (n, since) = open.select((diesel::dsl::count_star(), diesel::dsl::min(alerts::opened_at))).first(conn)?;
    Ok((n, time(since)))
}

/// How many open alerts nobody has acknowledged.
///
/// # Errors
/// When the database fails.
pub fn waiting(conn: &mut Conn) -> StoreResult<i64> {
    let open = alerts::table.filter(alerts::resolved_at.is_null()).filter(alerts::acknowledged_at.is_null());
    Ok(open.count().get_result(conn)?)
}

/// All open alerts of these kinds.
///
/// # Errors
/// When the database fails.
pub fn open_of(conn: &mut Conn, kinds: &[AlertKind]) -> StoreResult<Vec<Alert>> {
    let kinds: Vec<&str> = kinds.iter().map(|k| k.as_str()).collect();
    let open = alerts::table.filter(alerts::kind.eq_any(kinds)).filter(alerts::resolved_at.is_null());
    open.load::<Row>(conn)?.into_iter().map(alert).collect()
}

/// Ends all that holds for a subject or a part of it, because it is gone.
///
/// # Errors
/// When the database fails.
pub fn resolve_about(conn: &mut Conn, subject: &str, now: Timestamp) -> StoreResult<()> {
    let open = alerts::table.filter(alerts::resolved_at.is_null()).filter(alerts::subject.like(format!("{subject}%")));
    let ids = open.select(alerts::id).load::<String>(conn)?;
    end(conn, &ids, now)
}

/// The open alerts of a kind about a subject or a part of it: their subjects begin with it. The oldest first.
///
/// # Errors
/// When the database fails.
pub fn open_about(conn: &mut Conn, kind: AlertKind, subject: &str, limit: i64) -> StoreResult<Vec<Alert>> {
    let open = alerts::table
        .filter(alerts::kind.eq(kind.as_str()))
        .filter(alerts::resolved_at.is_null())
        .filter(alerts::subject.like(format!("{subject}%")));
    open.order(alerts::id).limit(limit).load::<Row>(conn)?.into_iter().map(alert).collect()
}
