//! Channels: where they lead, with their secrets encrypted, and their rules.

use super::bridge::{from_json, parse, time, to_json};
use super::schema::channels;
use super::{Conn, StoreResult};
use crate::domain::channel::{Rules, Settings};
use crate::domain::summary::SummaryPlan;
use diesel::prelude::*;
use restic_manager_shared::id::ChannelId;
use restic_manager_shared::time::Timestamp;

/// A channel's record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelRecord {
    /// Identity.
    pub id: ChannelId,
    /// Its name.
    pub name: String,
    /// Where it leads.
    pub settings: Settings,
    /// Its secrets, encrypted; none if it has none.
    pub secrets_sealed: Option<String>,
    /// Whether anything is sent there.
    pub enabled: bool,
    /// Of what it tells.
    pub rules: Rules,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed.
    pub updated_at: Timestamp,
    /// When it has its daily summary, if it has one.
    pub summary: Option<SummaryPlan>,
    /// When the next one is due. Kept by `summaries`: a change of the channel leaves it alone.
    pub summary_due: Option<Timestamp>,
}

pub(super) type Row = (String, String, String, Option<String>, bool, String, i64, i64, Option<String>, Option<i64>);

fn plan_text(c: &ChannelRecord) -> StoreResult<Option<String>> {
    c.summary.as_ref().map(|plan| to_json("channels.summary", plan)).transpose()
}

pub(super) fn channel(row: Row) -> StoreResult<ChannelRecord> {
    Ok(ChannelRecord {
        id: parse("channels.id", &row.0)?,
        name: row.1,
        settings: from_json("channels.settings", &row.2)?,
        secrets_sealed: row.3,
        enabled: row.4,
        rules: from_json("channels.rules", &row.5)?,
        created_at: Timestamp::from_micros(row.6),
        updated_at: Timestamp::from_micros(row.7),
        summary: row.8.map(|plan| from_json("channels.summary", &plan)).transpose()?,
        summary_due: time(row.9),
    })
}

/// Adds a channel.
///
/// # Errors
/// When the name is taken, or the database fails.
pub fn insert(conn: &mut Conn, c: &ChannelRecord) -> StoreResult<()> {
    diesel::insert_into(channels::table)
        .values((
            channels::id.eq(c.id.to_string()),
            channels::name.eq(&c.name),
            channels::settings.eq(to_json("channels.settings", &c.settings)?),
            channels::secrets_sealed.eq(&c.secrets_sealed),
            channels::enabled.eq(c.enabled),
            channels::rules.eq(to_json("channels.rules", &c.rules)?),
            channels::created_at.eq(c.created_at.micros()),
            channels::updated_at.eq(c.updated_at.micros()),
            channels::summary.eq(plan_text(c)?),
            channels::summary_due.eq(c.summary_due.map(Timestamp::micros)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Changes a channel. False if it is gone.
///
/// # Errors
/// When the name is taken, or the database fails.
pub fn update(conn: &mut Conn, c: &ChannelRecord) -> StoreResult<bool> {
    let changed = diesel::update(channels::table.find(c.id.to_string()))
        .set((
            channels::name.eq(&c.name),
            channels::settings.eq(to_json("channels.settings", &c.settings)?),
            channels::secrets_sealed.eq(&c.secrets_sealed),
            channels::enabled.eq(c.enabled),
            channels::rules.eq(to_json("channels.rules", &c.rules)?),
            channels::updated_at.eq(c.updated_at.micros()),
            channels::summary.eq(plan_text(c)?),
        ))
        .execute(conn)?;
    Ok(changed > 0)
}

/// Deletes a channel and what was sent there. False if it is gone already.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut Conn, id: ChannelId) -> StoreResult<bool> {
    Ok(diesel::delete(channels::table.find(id.to_string())).execute(conn)? > 0)
}

/// A channel.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: ChannelId) -> StoreResult<Option<ChannelRecord>> {
    channels::table.find(id.to_string()).first::<Row>(conn).optional()?.map(channel).transpose()
}

/// All channels, by name.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn) -> StoreResult<Vec<ChannelRecord>> {
    channels::table.order((channels::name, channels::id)).load::<Row>(conn)?.into_iter().map(channel).collect()
}

/// The channels that are told of alerts.
///
/// # Errors
/// When the database fails.
pub(super) fn told_of_alerts(conn: &mut Conn) -> StoreResult<Vec<ChannelRecord>> {
    let enabled = channels::table.filter(channels::enabled.eq(true)).load::<Row>(conn)?.into_iter().map(channel);
    enabled.filter(|c| !matches!(c, Ok(c) if !c.rules.alerts)).collect()
}

/// How many channels there are.
///
/// # Errors
/// When the database fails.
pub fn count(conn: &mut Conn) -> StoreResult<i64> {
    Ok(channels::table.count().get_result(conn)?)
}
