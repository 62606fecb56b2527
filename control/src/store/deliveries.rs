//! Deliveries: the news that channels are to have, kept from the moment that an alert opens or ends, in the same transaction, until the other
//! side has taken them. Several servers may look for what is due: a guarded update lets one of them take it.

use super::alerts::News;
use super::bridge::parse;
use super::channels::ChannelRecord;
use super::schema::{alerts, deliveries, host_credentials, hosts, schedules};
use super::{Conn, StoreResult, bridge, channels};
use crate::domain::alert::About;
use crate::domain::channel::{DeliveryState, What, again_after};
use diesel::dsl::{count_star, max, min, sql};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use restic_manager_shared::id::{AlertId, ChannelId, DeliveryId, MessageId};
use restic_manager_shared::time::Timestamp;
use std::time::Duration;

/// The round of what somebody had sent, as against what was due.
pub(super) const BY_HAND: i64 = 1;
/// What the partial index asks for, to the letter.
const WAITING: &str = "deliveries.state = 'pending'";

pub(super) fn waiting() -> diesel::expression::SqlLiteral<Bool> {
    sql::<Bool>(WAITING)
}

/// A row to be.
struct New {
    alert: AlertId,
    channel: ChannelId,
    what: What,
    round: i64,
    due: Timestamp,
    now: Timestamp,
}

/// Puts a row in unless the channel was told the same before.
fn put(conn: &mut Conn, new: &New) -> StoreResult<bool> {
    macro_rules! insert {
        ($c:expr) => {
            diesel::insert_into(deliveries::table)
                .values((
                    deliveries::id.eq(DeliveryId::new().to_string()),
                    deliveries::channel_id.eq(new.channel.to_string()),
                    deliveries::alert_id.eq(new.alert.to_string()),
                    deliveries::what.eq(new.what.as_str()),
                    deliveries::round.eq(new.round),
                    deliveries::state.eq(DeliveryState::Pending.as_str()),
                    deliveries::attempts.eq(0),
                    deliveries::created_at.eq(new.now.micros()),
                    deliveries::next_attempt_at.eq(new.due.micros()),
                ))
                .on_conflict_do_nothing()
                .execute($c)?
        };
    }
    let added = match conn {
        Conn::Pg(c) => insert!(c),
        Conn::Sqlite(c) => insert!(c),
    };
    Ok(added > 0)
}

fn after_grouping(channel: &ChannelRecord, now: Timestamp) -> Timestamp {
    let window = if channel.settings.groups() { channel.rules.group_seconds } else { 0 };
    now + Duration::from_secs(window.into())
}

/// Queues that an alert has opened, or got worse, for each channel whose rules ask for it.
///
/// # Errors
/// When the database fails.
pub(super) fn opened(conn: &mut Conn, news: &News<'_>, now: Timestamp) -> StoreResult<()> {
    let all = channels::told_of_alerts(conn)?;
    let by_tags = all.iter().any(|c| !c.rules.tags.is_empty());
    let tags = if by_tags { tags_about(conn, news.subject)? } else { vec![] };
    for channel in all {
        if let Some(what) = channel.rules.news(news.kind, news.severity, news.was, &tags) {
            let due = after_grouping(&channel, now);
            put(conn, &New { alert: news.id, channel: channel.id, what, round: 0, due, now })?;
        }
    }
    Ok(())
}

/// Queues that an alert has ended, for the channels that know of it.
///
/// # Errors
/// When the database fails.
pub(super) fn resolved(conn: &mut Conn, alert: AlertId, now: Timestamp) -> StoreResult<()> {
    let know = who_knows(conn, alert)?;
    if know.is_empty() {
        return Ok(());
    }
    for channel in channels::told_of_alerts(conn)?.into_iter().filter(|c| c.rules.send_resolved && know.contains(&c.id))
    {
        let due = after_grouping(&channel, now);
        put(conn, &New { alert, channel: channel.id, what: What::Resolved, round: 0, due, now })?;
    }
    Ok(())
}

/// The channels that were told of an alert, or are about to be.
fn who_knows(conn: &mut Conn, alert: AlertId) -> StoreResult<Vec<ChannelId>> {
    let rows = deliveries::table
        .filter(deliveries::alert_id.eq(alert.to_string()))
        .filter(deliveries::state.ne(DeliveryState::GivenUp.as_str()))
        .select(deliveries::channel_id)
        .distinct()
        .load::<String>(conn)?;
    rows.iter().map(|id| parse("deliveries.channel_id", id)).collect()
}

/// The tags of the hosts that a subject is about: the host it names, its schedule's host, or else the hosts that use its repository.
fn tags_about(conn: &mut Conn, subject: &str) -> StoreResult<Vec<String>> {
    let lists: Vec<String> = match About::of(subject) {
        About { host: Some(host), .. } => hosts::table.find(host.to_string()).select(hosts::tags).load(conn)?,
        About { schedule: Some(schedule), .. } => {
            let host = schedules::table.find(schedule.to_string()).select(schedules::host_id);
            hosts::table.filter(hosts::id.eq_any(host)).select(hosts::tags).load(conn)?
        }
        About { repository: Some(repository), .. } => host_credentials::table
            .inner_join(hosts::table)
            .filter(host_credentials::repository_id.eq(repository.to_string()))
            .select(hosts::tags)
            .distinct()
            .load(conn)?,
        About { host: None, schedule: None, repository: None } => vec![],
    };
    let mut all = vec![];
    for list in lists {
        all.extend(bridge::from_json::<Vec<String>>("hosts.tags", &list)?);
    }
    Ok(all)
}

/// Alerts in one statement.
const AT_ONCE: usize = 1000;

/// Queues reminders of open alerts that nobody has acknowledged and that their channels last heard of long enough ago.
///
/// # Errors
/// When the database fails.
pub fn remind(conn: &mut Conn, now: Timestamp) -> StoreResult<usize> {
    let reminded: Vec<_> = channels::told_of_alerts(conn)?
        .into_iter()
        .filter_map(|c| Some((c.id, now - Duration::from_secs(u64::from(c.rules.remind_hours?) * 3600))))
        .collect();
    if reminded.is_empty() {
        return Ok(0);
    }
    let open = alerts::table.filter(alerts::resolved_at.is_null()).filter(alerts::acknowledged_at.is_null());
    let open = open.select(alerts::id).load::<String>(conn)?;
    let mut added = 0;
    for (channel, since) in reminded {
        for part in open.chunks(AT_ONCE) {
            added += remind_channel(conn, channel, since, part, now)?;
        }
    }
    Ok(added)
}

fn remind_channel(
    conn: &mut Conn,
    channel: ChannelId,
    since: Timestamp,
    open: &[String],
    now: Timestamp,
) -> StoreResult<usize> {
    let due = deliveries::table
        .filter(deliveries::alert_id.eq_any(open))
        .filter(deliveries::channel_id.eq(channel.to_string()))
        .group_by(deliveries::alert_id)
        .having(max(deliveries::created_at).le(since.micros()))
        .select((deliveries::alert_id, count_star()))
        .load::<(Option<String>, i64)>(conn)?;
    let mut added = 0;
    for (alert, round) in due {
        let alert = parse("deliveries.alert_id", alert.as_deref().unwrap_or_default())?;
        added += usize::from(put(conn, &New { alert, channel, what: What::Reminder, round, due: now, now })?);
    }
    Ok(added)
}

/// Queues a reminder of one alert for all channels that know of it: what was acknowledged for a time is open again.
///
/// # Errors
/// When the database fails.
pub fn remind_of(conn: &mut Conn, alert: AlertId, now: Timestamp) -> StoreResult<()> {
    let know = who_knows(conn, alert)?;
    let told = deliveries::table.filter(deliveries::alert_id.eq(alert.to_string()));
    let round: i64 = told.count().get_result(conn)?;
    for channel in channels::told_of_alerts(conn)?.into_iter().filter(|c| know.contains(&c.id)) {
        put(conn, &New { alert, channel: channel.id, what: What::Reminder, round, due: now, now })?;
    }
    Ok(())
}

/// Whether anything is due.
///
/// # Errors
/// When the database fails.
pub fn any_due(conn: &mut Conn, now: Timestamp) -> StoreResult<bool> {
    let due = deliveries::table.filter(waiting()).filter(deliveries::next_attempt_at.le(now.micros()));
    Ok(due.select(deliveries::id).first::<String>(conn).optional()?.is_some())
}

/// A message that somebody has taken to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its identity: the same for each try.
    pub message: MessageId,
    /// Where it goes.
    pub channel: ChannelId,
    /// Which try this is.
    pub attempt: i32,
}

/// Takes messages that are due, so many at most, and holds them until `until`: who does not tell by then what came of one leaves it to
/// the next. What waits for a channel goes with the first that is due.
///
/// # Errors
/// When the database fails.
pub fn take(conn: &mut Conn, now: Timestamp, until: Timestamp, most: i64) -> StoreResult<Vec<Taken>> {
    let due = deliveries::table
        .filter(waiting())
        .filter(deliveries::next_attempt_at.le(now.micros()))
        .group_by((deliveries::channel_id, deliveries::batch))
        .order(min(deliveries::next_attempt_at))
        .select((deliveries::channel_id, deliveries::batch))
        .limit(most)
        .load::<(String, Option<String>)>(conn)?;
    let mut taken = vec![];
    for (channel, batch) in due {
        match batch {
            Some(message) => taken.extend(take_again(conn, &channel, &message, now, until)?),
            None => taken.extend(take_new(conn, &channel, now, until, most)?),
        }
    }
    Ok(taken)
}

fn take_again(
    conn: &mut Conn,
    channel: &str,
    message: &str,
    now: Timestamp,
    until: Timestamp,
) -> StoreResult<Option<Taken>> {
    let due = deliveries::table
        .filter(deliveries::batch.eq(message))
        .filter(waiting())
        .filter(deliveries::next_attempt_at.le(now.micros()));
    let attempts = diesel::update(due)
        .set((deliveries::attempts.eq(deliveries::attempts + 1), deliveries::next_attempt_at.eq(until.micros())))
        .returning(deliveries::attempts)
        .get_results::<i32>(conn)?;
    let Some(attempt) = attempts.into_iter().max() else { return Ok(None) };
    let (message, channel) = (parse("deliveries.batch", message)?, parse("deliveries.channel_id", channel)?);
    Ok(Some(Taken { message, channel, attempt }))
}

/// What waits for a channel and is in no message yet: all in one, or each in its own where the receiver wants it so.
fn take_new(conn: &mut Conn, channel: &str, now: Timestamp, until: Timestamp, most: i64) -> StoreResult<Vec<Taken>> {
    let id: ChannelId = parse("deliveries.channel_id", channel)?;
    let Some(record) = channels::get(conn, id)? else { return Ok(vec![]) };
    let parts: Vec<Option<String>> = if record.settings.groups() {
        vec![None]
    } else {
        let each = deliveries::table
            .filter(waiting())
            .filter(deliveries::channel_id.eq(channel))
            .filter(deliveries::next_attempt_at.le(now.micros()))
            .filter(deliveries::batch.is_null());
        let ids = each.order(deliveries::id).select(deliveries::id).limit(most).load::<String>(conn)?;
        ids.into_iter().map(Some).collect()
    };
    let mut taken = vec![];
    for one in parts {
        let message = MessageId::new();
        if begin(conn, channel, one.as_deref(), message, until)? > 0 {
            taken.push(Taken { message, channel: id, attempt: 1 });
        }
    }
    Ok(taken)
}

fn begin(
    conn: &mut Conn,
    channel: &str,
    one: Option<&str>,
    message: MessageId,
    until: Timestamp,
) -> StoreResult<usize> {
    let values = (
        deliveries::batch.eq(message.to_string()),
        deliveries::attempts.eq(1),
        deliveries::next_attempt_at.eq(until.micros()),
    );
    let new = deliveries::table
        .filter(waiting())
        .filter(deliveries::channel_id.eq(channel))
        .filter(deliveries::batch.is_null());
    Ok(match one {
        Some(id) => diesel::update(new.filter(deliveries::id.eq(id))).set(values).execute(conn)?,
        None => diesel::update(new).set(values).execute(conn)?,
    })
}

/// Notes that the other side has taken a message, also one that was given up meanwhile.
///
/// # Errors
/// When the database fails.
pub fn sent(conn: &mut Conn, taken: &Taken, digest: &str, now: Timestamp) -> StoreResult<usize> {
    let of = deliveries::table
        .filter(deliveries::batch.eq(taken.message.to_string()))
        .filter(deliveries::state.ne(DeliveryState::Sent.as_str()));
    let values = (
        deliveries::state.eq(DeliveryState::Sent.as_str()),
        deliveries::sent_at.eq(now.micros()),
        deliveries::digest.eq(digest),
        deliveries::last_error.eq(None::<String>),
    );
    Ok(diesel::update(of).set(values).execute(conn)?)
}

/// Notes that a try came to nothing, why, and when the next is. Passed over if somebody else has tried since.
///
/// # Errors
/// When the database fails.
pub fn failed(conn: &mut Conn, taken: &Taken, why: &str, now: Timestamp) -> StoreResult<usize> {
    let of = deliveries::table
        .filter(deliveries::batch.eq(taken.message.to_string()))
        .filter(waiting())
        .filter(deliveries::attempts.eq(taken.attempt));
    let (state, next) = match again_after(taken.attempt) {
        Some(wait) => (DeliveryState::Pending, now + wait),
        None => (DeliveryState::GivenUp, now),
    };
    let values = (
        deliveries::state.eq(state.as_str()),
        deliveries::next_attempt_at.eq(next.micros()),
        deliveries::last_error.eq(why),
    );
    Ok(diesel::update(of).set(values).execute(conn)?)
}

/// Tries what would wait for longer than until `held` at once: the settings of its channel have changed. What somebody has taken to send is
/// not held for longer than that.
///
/// # Errors
/// When the database fails.
pub fn hurry(conn: &mut Conn, channel: ChannelId, now: Timestamp, held: Timestamp) -> StoreResult<usize> {
    let of = deliveries::table
        .filter(waiting())
        .filter(deliveries::channel_id.eq(channel.to_string()))
        .filter(deliveries::last_error.is_not_null())
        .filter(deliveries::next_attempt_at.gt(held.micros()));
    Ok(diesel::update(of).set(deliveries::next_attempt_at.eq(now.micros())).execute(conn)?)
}

/// Gives up what waits for a channel that was paused.
///
/// # Errors
/// When the database fails.
pub fn give_up(conn: &mut Conn, channel: ChannelId, why: &str) -> StoreResult<usize> {
    let of = deliveries::table.filter(waiting()).filter(deliveries::channel_id.eq(channel.to_string()));
    let values = (deliveries::state.eq(DeliveryState::GivenUp.as_str()), deliveries::last_error.eq(why));
    Ok(diesel::update(of).set(values).execute(conn)?)
}

/// Keeps what came of a test.
///
/// # Errors
/// When the database fails.
pub fn tested(
    conn: &mut Conn,
    channel: ChannelId,
    message: MessageId,
    came_of_it: Result<&str, &str>,
    now: Timestamp,
) -> StoreResult<()> {
    tried(conn, (channel, message), (What::Test, None), came_of_it, now)
}

/// Keeps what came of a message that somebody had sent at once and that is not tried again; `says` is a summary, as JSON.
pub(super) fn tried(
    conn: &mut Conn,
    (channel, message): (ChannelId, MessageId),
    (what, says): (What, Option<&str>),
    came_of_it: Result<&str, &str>,
    now: Timestamp,
) -> StoreResult<()> {
    let state = if came_of_it.is_ok() { DeliveryState::Sent } else { DeliveryState::Failed };
    diesel::insert_into(deliveries::table)
        .values((
            deliveries::id.eq(DeliveryId::new().to_string()),
            deliveries::channel_id.eq(channel.to_string()),
            deliveries::what.eq(what.as_str()),
            deliveries::round.eq(BY_HAND),
            deliveries::state.eq(state.as_str()),
            deliveries::batch.eq(message.to_string()),
            deliveries::attempts.eq(1),
            deliveries::created_at.eq(now.micros()),
            deliveries::next_attempt_at.eq(now.micros()),
            deliveries::last_error.eq(came_of_it.err()),
            deliveries::sent_at.eq(came_of_it.ok().map(|_| now.micros())),
            deliveries::digest.eq(came_of_it.ok()),
            deliveries::summary.eq(says),
        ))
        .execute(conn)?;
    Ok(())
}

/// Forgets what was settled before an instant, but for alerts that are still open.
///
/// # Errors
/// When the database fails.
pub fn forget_settled(conn: &mut Conn, before: Timestamp) -> StoreResult<usize> {
    let mut gone = 0;
    for channel in channels::list(conn)? {
        let open = alerts::table.filter(alerts::resolved_at.is_null()).select(alerts::id);
        let old = deliveries::table
            .filter(deliveries::channel_id.eq(channel.id.to_string()))
            .filter(deliveries::created_at.lt(before.micros()))
            .filter(deliveries::state.ne(DeliveryState::Pending.as_str()))
            .filter(deliveries::alert_id.is_null().or(deliveries::alert_id.ne_all(open.nullable())));
        gone += diesel::delete(old).execute(conn)?;
    }
    Ok(gone)
}

/// The alerts of a message, with what it says of each: the worst first, so many at most; and how many there are.
///
/// # Errors
/// When the database fails.
pub fn contents(
    conn: &mut Conn,
    message: MessageId,
    most: i64,
) -> StoreResult<(Vec<(What, crate::domain::alert::Alert)>, i64)> {
    let of = || deliveries::table.inner_join(alerts::table).filter(deliveries::batch.eq(message.to_string()));
    let all: i64 = of().count().get_result(conn)?;
    // "critical" comes before "warning".
    let rows = of()
        .order((alerts::severity, deliveries::id))
        .select((deliveries::what, alerts::all_columns))
        .limit(most)
        .load::<(String, super::alerts::Row)>(conn)?;
    let items = rows
        .into_iter()
        .map(|(what, row)| Ok((parse("deliveries.what", &what)?, super::alerts::alert(row)?)))
        .collect::<StoreResult<Vec<_>>>()?;
    Ok((items, all))
}
