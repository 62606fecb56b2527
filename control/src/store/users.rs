//! Users and their sessions.

use super::bridge::{parse, time};
use super::schema::{sessions, users};
use super::{Conn, StoreResult};
use crate::domain::permission::Role;
use diesel::prelude::*;
use restic_manager_shared::id::{SessionId, UserId};
use restic_manager_shared::time::Timestamp;

/// A user with what signs them in.
#[derive(Clone, Debug)]
pub struct UserRecord {
    /// Identity.
    pub id: UserId,
    /// Sign-in name.
    pub name: String,
    /// Argon2id, PHC text.
    pub password_hash: String,
    /// What they may do.
    pub role: Role,
    /// Refused at sign-in.
    pub disabled: bool,
    /// When they were added.
    pub created_at: Timestamp,
    /// When they last signed in.
    pub last_login_at: Option<Timestamp>,
}

type UserRow = (String, String, String, String, bool, i64, Option<i64>);

fn user(row: UserRow) -> StoreResult<UserRecord> {
    Ok(UserRecord {
        id: parse("users.id", &row.0)?,
        name: row.1,
        password_hash: row.2,
        role: parse("users.role", &row.3)?,
        disabled: row.4,
        created_at: Timestamp::from_micros(row.5),
        last_login_at: time(row.6),
    })
}

/// Adds a user.
///
/// # Errors
/// `Duplicate` if the name is taken.
pub fn insert(conn: &mut Conn, u: &UserRecord) -> StoreResult<()> {
    diesel::insert_into(users::table)
        .values((
            users::id.eq(u.id.to_string()),
            users::name.eq(&u.name),
            users::password_hash.eq(&u.password_hash),
            users::role.eq(u.role.as_str()),
            users::disabled.eq(u.disabled),
            users::created_at.eq(u.created_at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// The user of that name.
///
/// # Errors
/// When the database fails.
pub fn by_name(conn: &mut Conn, name: &str) -> StoreResult<Option<UserRecord>> {
    users::table.filter(users::name.eq(name)).first::<UserRow>(conn).optional()?.map(user).transpose()
}

/// All users, by name.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn) -> StoreResult<Vec<UserRecord>> {
    users::table.order(users::name).load::<UserRow>(conn)?.into_iter().map(user).collect()
}

/// One of them.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: UserId) -> StoreResult<Option<UserRecord>> {
    users::table.find(id.to_string()).first::<UserRow>(conn).optional()?.map(user).transpose()
}

/// Keeps a user's role, password and whether they are shut out.
///
/// # Errors
/// When the database fails.
pub fn update(conn: &mut Conn, u: &UserRecord) -> StoreResult<()> {
    diesel::update(users::table.find(u.id.to_string()))
        .set((
            users::role.eq(u.role.as_str()),
            users::disabled.eq(u.disabled),
            users::password_hash.eq(&u.password_hash),
        ))
        .execute(conn)?;
    Ok(())
}

/// Removes a user and their sessions.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut Conn, id: UserId) -> StoreResult<()> {
    diesel::delete(users::table.find(id.to_string())).execute(conn)?;
    Ok(())
}

/// Ends all sessions of a user.
///
/// # Errors
/// When the database fails.
pub fn end_sessions_of(conn: &mut Conn, id: UserId) -> StoreResult<()> {
    diesel::delete(sessions::table.filter(sessions::user_id.eq(id.to_string()))).execute(conn)?;
    Ok(())
}

/// How many users there are.
///
/// # Errors
/// When the database fails.
pub fn count(conn: &mut Conn) -> StoreResult<i64> {
    Ok(users::table.count().get_result(conn)?)
}

/// A browser's session.
#[derive(Clone, Debug)]
pub struct SessionRecord {
    /// Identity.
    pub id: SessionId,
    /// SHA-256 of the cookie, hex.
    pub token_hash: String,
    /// Whose.
    pub user_id: UserId,
    /// Since when.
    pub created_at: Timestamp,
    /// Until when.
    pub expires_at: Timestamp,
    /// Where from.
    pub address: String,
    /// What with.
    pub user_agent: String,
}

/// Starts a session, notes the sign-in, and drops sessions that have ended.
///
/// # Errors
/// When the database fails.
pub fn insert_session(conn: &mut Conn, s: &SessionRecord) -> StoreResult<()> {
    diesel::delete(sessions::table.filter(sessions::expires_at.lt(s.created_at.micros()))).execute(conn)?;
    diesel::insert_into(sessions::table)
        .values((
            sessions::id.eq(s.id.to_string()),
            sessions::token_hash.eq(&s.token_hash),
            sessions::user_id.eq(s.user_id.to_string()),
            sessions::created_at.eq(s.created_at.micros()),
            sessions::expires_at.eq(s.expires_at.micros()),
            sessions::address.eq(&s.address),
            sessions::user_agent.eq(&s.user_agent),
        ))
        .execute(conn)?;
    diesel::update(users::table.find(s.user_id.to_string()))
        .set(users::last_login_at.eq(s.created_at.micros()))
        .execute(conn)?;
    Ok(())
}

/// The user of a live session.
///
/// # Errors
/// When the database fails.
pub fn by_session(conn: &mut Conn, token_hash: &str, now: Timestamp) -> StoreResult<Option<(SessionId, UserRecord)>> {
    let row = sessions::table
        .inner_join(users::table)
        .filter(sessions::token_hash.eq(token_hash))
        .filter(sessions::expires_at.gt(now.micros()))
        .filter(users::disabled.eq(false))
        .select((sessions::id, users::all_columns))
        .first::<(String, UserRow)>(conn)
        .optional()?;
    row.map(|(id, row)| Ok((parse("sessions.id", &id)?, user(row)?))).transpose()
}

/// Ends a session.
///
/// # Errors
/// When the database fails.
pub fn end_session(conn: &mut Conn, id: SessionId) -> StoreResult<()> {
    diesel::delete(sessions::table.find(id.to_string())).execute(conn)?;
    Ok(())
}
