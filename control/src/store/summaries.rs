//! Daily summaries on their way: which channel's is due, that one server gets it, and what each of them said. From then on they go the way of all
//! messages; that is `deliveries`. What they count is `day_figures`.

use super::bridge::{from_json, time, to_json};
use super::channels::{ChannelRecord, Row, channel};
use super::deliveries::{BY_HAND, tried, waiting};
use super::schema::{channels, deliveries};
use super::{Conn, StoreResult};
use crate::domain::channel::{DeliveryState, What};
use crate::domain::summary::Summary;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Bool;
use restic_manager_shared::id::{ChannelId, DeliveryId, MessageId};
use restic_manager_shared::time::Timestamp;

/// What the partial index asks for, to the letter.
const SUMMARIES: &str = "deliveries.what = 'summary'";
/// The round of those that were due.
const DUE: i64 = 0;

/// The channels whose summary is due.
///
/// # Errors
/// When the database fails.
pub fn due(conn: &mut Conn, now: Timestamp) -> StoreResult<Vec<ChannelRecord>> {
    let due = channels::table.filter(channels::enabled.eq(true)).filter(channels::summary_due.le(now.micros()));
    due.order(channels::summary_due).load::<Row>(conn)?.into_iter().map(channel).collect()
}

/// Says when a channel's summary is due, whatever was said before.
///
/// # Errors
/// When the database fails.
pub fn set_due(conn: &mut Conn, id: ChannelId, due: Option<Timestamp>) -> StoreResult<()> {
    let due = due.map(Timestamp::micros);
    diesel::update(channels::table.find(id.to_string())).set(channels::summary_due.eq(due)).execute(conn)?;
    Ok(())
}

/// Goes on from one due time to the next. False if somebody else has, or the channel was changed meanwhile.
///
/// # Errors
/// When the database fails.
pub fn claim(conn: &mut Conn, id: ChannelId, due: Timestamp, next: Option<Timestamp>) -> StoreResult<bool> {
    let still = channels::table.find(id.to_string()).filter(channels::summary_due.eq(due.micros()));
    let changed = diesel::update(still).set(channels::summary_due.eq(next.map(Timestamp::micros))).execute(conn)?;
    Ok(changed > 0)
}

/// Puts a summary on its way as a message of its own, in place of older ones that have not arrived yet; those say `why`.
///
/// # Errors
/// When the database fails.
pub fn queue(conn: &mut Conn, id: ChannelId, summary: &Summary, why: &str, now: Timestamp) -> StoreResult<()> {
    give_up(conn, id, why)?;
    diesel::insert_into(deliveries::table)
        .values((
            deliveries::id.eq(DeliveryId::new().to_string()),
            deliveries::channel_id.eq(id.to_string()),
            deliveries::what.eq(What::Summary.as_str()),
            deliveries::round.eq(DUE),
            deliveries::state.eq(DeliveryState::Pending.as_str()),
            // It is a message already, so that no alert goes with it.
            deliveries::batch.eq(MessageId::new().to_string()),
            deliveries::attempts.eq(0),
            deliveries::created_at.eq(now.micros()),
            deliveries::next_attempt_at.eq(now.micros()),
            deliveries::summary.eq(to_json("deliveries.summary", summary)?),
        ))
        .execute(conn)?;
    Ok(())
}

/// Gives up the summaries that a channel waits for.
///
/// # Errors
/// When the database fails.
pub fn give_up(conn: &mut Conn, id: ChannelId, why: &str) -> StoreResult<()> {
    let waiting = deliveries::table
        .filter(waiting())
        .filter(deliveries::channel_id.eq(id.to_string()))
        .filter(deliveries::what.eq(What::Summary.as_str()));
    let given_up = (deliveries::state.eq(DeliveryState::GivenUp.as_str()), deliveries::last_error.eq(why));
    diesel::update(waiting).set(given_up).execute(conn)?;
    Ok(())
}

/// Keeps what came of a summary that somebody had sent at once.
///
/// # Errors
/// When the database fails.
pub fn sent_by_hand(
    conn: &mut Conn,
    (channel, message): (ChannelId, MessageId),
    summary: &Summary,
    came_of_it: Result<&str, &str>,
    now: Timestamp,
) -> StoreResult<()> {
    let says = to_json("deliveries.summary", summary)?;
    tried(conn, (channel, message), (What::Summary, Some(&says)), came_of_it, now)
}

/// When the newest summary that arrived was made, of those that were due.
///
/// # Errors
/// When the database fails.
pub fn last_made(conn: &mut Conn, id: ChannelId) -> StoreResult<Option<Timestamp>> {
    let made = deliveries::table
        .filter(sql::<Bool>(SUMMARIES))
        .filter(deliveries::channel_id.eq(id.to_string()))
        .filter(deliveries::state.eq(DeliveryState::Sent.as_str()))
        .filter(deliveries::round.ne(BY_HAND))
        .order(deliveries::created_at.desc());
    Ok(time(made.select(deliveries::created_at).first(conn).optional()?))
}

/// When the newest summary arrived, also one that somebody had sent.
///
/// # Errors
/// When the database fails.
pub fn last_sent(conn: &mut Conn, id: ChannelId) -> StoreResult<Option<Timestamp>> {
    let sent = deliveries::table
        .filter(sql::<Bool>(SUMMARIES))
        .filter(deliveries::channel_id.eq(id.to_string()))
        .filter(deliveries::state.eq(DeliveryState::Sent.as_str()))
        .order(deliveries::created_at.desc());
    Ok(time(sent.select(deliveries::sent_at).first::<Option<i64>>(conn).optional()?.flatten()))
}

/// What a message says, if it is a summary.
///
/// # Errors
/// When the database fails.
pub fn of_message(conn: &mut Conn, message: MessageId) -> StoreResult<Option<Summary>> {
    let of = deliveries::table.filter(deliveries::batch.eq(message.to_string()));
    let says = of.select(deliveries::summary).first::<Option<String>>(conn).optional()?.flatten();
    says.map(|says| from_json("deliveries.summary", &says)).transpose()
}
