//! Who was told: deliveries as people see them, by alert and by channel. Not how they get on their way; that is `deliveries`.

use super::bridge::{parse, parse_opt, time};
use super::deliveries::waiting;
use super::schema::deliveries;
use super::{Conn, StoreResult};
use crate::domain::channel::{DeliveryState, What};
use diesel::dsl::{count_star, max};
use diesel::prelude::*;
use restic_manager_shared::id::{AlertId, ChannelId, DeliveryId, MessageId};
use restic_manager_shared::time::Timestamp;

/// A delivery, as people see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// Identity.
    pub id: DeliveryId,
    /// Where it goes.
    pub channel: ChannelId,
    /// Of which alert it tells; none in a test.
    pub alert: Option<AlertId>,
    /// What it tells.
    pub what: What,
    /// How far it is.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: i32,
    /// Since when it waits.
    pub created_at: Timestamp,
    /// When it is tried next; of no meaning once it is settled.
    pub next_attempt_at: Timestamp,
    /// Why the last try came to nothing.
    pub last_error: Option<String>,
    /// When the other side took it.
    pub sent_at: Option<Timestamp>,
    /// In which message it goes, once it was tried.
    pub message: Option<MessageId>,
    /// SHA-256 of what was sent, hex.
    pub digest: Option<String>,
}

type Row = (
    String,
    String,
    Option<String>,
    String,
    i64,
    String,
    Option<String>,
    i32,
    i64,
    i64,
    Option<String>,
    Option<i64>,
    Option<String>,
    Option<String>,
);

fn delivery(row: Row) -> StoreResult<DeliveryRecord> {
    Ok(DeliveryRecord {
        id: parse("deliveries.id", &row.0)?,
        channel: parse("deliveries.channel_id", &row.1)?,
        alert: parse_opt("deliveries.alert_id", row.2.as_deref())?,
        what: parse("deliveries.what", &row.3)?,
        state: parse("deliveries.state", &row.5)?,
        message: parse_opt("deliveries.batch", row.6.as_deref())?,
        attempts: row.7,
        created_at: Timestamp::from_micros(row.8),
        next_attempt_at: Timestamp::from_micros(row.9),
        last_error: row.10,
        sent_at: time(row.11),
        digest: row.12,
    })
}

/// Who was told of an alert, the newest first. `before` is the id of the last one seen.
///
/// # Errors
/// When the database fails.
pub fn of_alert(
    conn: &mut Conn,
    alert: AlertId,
    before: Option<DeliveryId>,
    limit: i64,
) -> StoreResult<Vec<DeliveryRecord>> {
    let mut query =
        deliveries::table.filter(deliveries::alert_id.eq(alert.to_string())).into_boxed::<super::conn::Backend>();
    if let Some(before) = before {
        query = query.filter(deliveries::id.lt(before.to_string()));
    }
    query.order(deliveries::id.desc()).limit(limit).load::<Row>(conn)?.into_iter().map(delivery).collect()
}

/// A place in the list of a channel, newest first: everything that was queued before this.
pub type Before = (Timestamp, DeliveryId);

/// What goes to a channel and what went there, the newest first.
///
/// # Errors
/// When the database fails.
pub fn of_channel(
    conn: &mut Conn,
    channel: ChannelId,
    before: Option<Before>,
    limit: i64,
) -> StoreResult<Vec<DeliveryRecord>> {
    let mut query =
        deliveries::table.filter(deliveries::channel_id.eq(channel.to_string())).into_boxed::<super::conn::Backend>();
    if let Some((at, id)) = before {
        let (at, id) = (at.micros(), id.to_string());
        // The first says the same once more, in a way that an index can follow.
        query = query
            .filter(deliveries::created_at.le(at))
            .filter(deliveries::created_at.lt(at).or(deliveries::created_at.eq(at).and(deliveries::id.lt(id))));
    }
    let rows = query.order((deliveries::created_at.desc(), deliveries::id.desc())).limit(limit).load::<Row>(conn)?;
    rows.into_iter().map(delivery).collect()
}

/// How one channel stands to one alert: by state, how many messages, the newest of them, and the last trouble.
pub type Told = (AlertId, ChannelId, DeliveryState, Option<Timestamp>, Option<String>);

/// Who was told of these alerts, all of a page at once.
///
/// # Errors
/// When the database fails.
pub fn of_alerts(conn: &mut Conn, ids: &[AlertId]) -> StoreResult<Vec<Told>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = deliveries::table
        .filter(deliveries::alert_id.eq_any(ids))
        .group_by((deliveries::alert_id, deliveries::channel_id, deliveries::state))
        .select((
            deliveries::alert_id,
            deliveries::channel_id,
            deliveries::state,
            max(deliveries::sent_at),
            max(deliveries::last_error),
        ))
        .load::<(Option<String>, String, String, Option<i64>, Option<String>)>(conn)?;
    rows.into_iter()
        .map(|(alert, channel, state, at, error)| {
            Ok((
                parse("deliveries.alert_id", alert.as_deref().unwrap_or_default())?,
                parse("deliveries.channel_id", &channel)?,
                parse("deliveries.state", &state)?,
                time(at),
                error,
            ))
        })
        .collect()
}

/// The newest delivery that a channel has tried or waits to try again.
///
/// # Errors
/// When the database fails.
pub fn newest(conn: &mut Conn, channel: ChannelId) -> StoreResult<Option<DeliveryRecord>> {
    let of = deliveries::table
        .filter(deliveries::channel_id.eq(channel.to_string()))
        .filter(deliveries::attempts.gt(0))
        .order((deliveries::created_at.desc(), deliveries::id.desc()));
    of.first::<Row>(conn).optional()?.map(delivery).transpose()
}

/// How many pieces of news wait for each channel.
///
/// # Errors
/// When the database fails.
pub fn waiting_by_channel(conn: &mut Conn) -> StoreResult<Vec<(ChannelId, i64)>> {
    let rows = deliveries::table
        .filter(waiting())
        .group_by(deliveries::channel_id)
        .select((deliveries::channel_id, count_star()))
        .load::<(String, i64)>(conn)?;
    rows.into_iter().map(|(id, n)| Ok((parse("deliveries.channel_id", &id)?, n))).collect()
}
