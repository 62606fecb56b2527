//! Channels: where they lead, with their secrets encrypted, and their rules.

use super::bridge::{from_json, parse, to_json};
use super::schema::channels;
use super::{Conn, StoreResult};
use crate::domain::channel::{Rules, Settings};
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
}

type Row = (String, String, String, Option<String>, bool, String, i64, i64);

fn channel(row: Row) -> StoreResult<ChannelRecord> {
    Ok(ChannelRecord {
        id: parse("channels.id", &row.0)?,
        name: row.1,
        settings: from_json("channels.settings", &row.2)?,
        secrets_sealed: row.3,
        enabled: row.4,
        rules: from_json("channels.rules", &row.5)?,
        created_at: Timestamp::from_micros(row.6),
        updated_at: Timestamp::from_micros(row.7),
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

/// The channels that something is sent to.
///
/// # Errors
/// When the database fails.
pub(super) fn enabled(conn: &mut Conn) -> StoreResult<Vec<ChannelRecord>> {
    channels::table.filter(channels::enabled.eq(true)).load::<Row>(conn)?.into_iter().map(channel).collect()
}

/// How many channels there are.
///
/// # Errors
/// When the database fails.
pub fn count(conn: &mut Conn) -> StoreResult<i64> {
    Ok(channels::table.count().get_result(conn)?)
}
