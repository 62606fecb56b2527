//! Alerts: conditions that hold for a subject. Opened once, updated while they hold, resolved when they end.

use super::bridge::{from_json, parse, time, to_json};
use super::schema::alerts;
use super::{Conn, StoreResult};
use crate::domain::alert::{Alert, AlertKind, Severity};
use diesel::prelude::*;
use restic_manager_shared::id::AlertId;
use restic_manager_shared::time::Timestamp;

type Row = (String, String, String, String, String, i64, i64, Option<i64>, Option<String>, Option<i64>);

fn alert(row: Row) -> StoreResult<Alert> {
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
    })
}

/// Says that a condition holds: opens an alert, or updates the open one. Answers whether it is new.
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
    let changed = diesel::update(open)
        .set((alerts::severity.eq(severity.as_str()), alerts::detail.eq(&detail), alerts::updated_at.eq(now.micros())))
        .execute(conn)?;
    if changed > 0 {
        return Ok(false);
    }
    diesel::insert_into(alerts::table)
        .values((
            alerts::id.eq(AlertId::new().to_string()),
            alerts::kind.eq(kind.as_str()),
            alerts::subject.eq(subject),
            alerts::severity.eq(severity.as_str()),
            alerts::detail.eq(detail),
            alerts::opened_at.eq(now.micros()),
            alerts::updated_at.eq(now.micros()),
        ))
        .execute(conn)?;
    Ok(true)
}

/// Says that a condition no longer holds.
///
/// # Errors
/// When the database fails.
pub fn resolve(conn: &mut Conn, (kind, subject): (AlertKind, &str), now: Timestamp) -> StoreResult<bool> {
    let open = alerts::table
        .filter(alerts::kind.eq(kind.as_str()))
        .filter(alerts::subject.eq(subject))
        .filter(alerts::resolved_at.is_null());
    let values = (alerts::resolved_at.eq(now.micros()), alerts::updated_at.eq(now.micros()));
    Ok(diesel::update(open).set(values).execute(conn)? > 0)
}

/// Marks an open alert as seen. False if there is no such open alert.
///
/// # Errors
/// When the database fails.
pub fn acknowledge(conn: &mut Conn, id: AlertId, by: &str, now: Timestamp) -> StoreResult<bool> {
    let open = alerts::table.find(id.to_string()).filter(alerts::resolved_at.is_null());
    let values = (alerts::acknowledged_at.eq(now.micros()), alerts::acknowledged_by.eq(by));
    Ok(diesel::update(open).set(values).execute(conn)? > 0)
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
    let values = (alerts::resolved_at.eq(now.micros()), alerts::updated_at.eq(now.micros()));
    diesel::update(open).set(values).execute(conn)?;
    Ok(())
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
