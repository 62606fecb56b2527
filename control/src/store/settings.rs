//! Settings: a few values of the installation itself, by name.

use super::schema::settings;
use super::{Conn, StoreResult};
use diesel::prelude::*;

/// The value of a setting.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, key: &str) -> StoreResult<Option<String>> {
    Ok(settings::table.find(key).select(settings::value).first(conn).optional()?)
}

/// Stores a setting, over what was there.
///
/// # Errors
/// When the database fails.
pub fn set(conn: &mut Conn, key: &str, value: &str) -> StoreResult<()> {
    if diesel::update(settings::table.find(key)).set(settings::value.eq(value)).execute(conn)? == 0 {
        diesel::insert_into(settings::table)
            .values((settings::key.eq(key), settings::value.eq(value)))
            .execute(conn)?;
    }
    Ok(())
}

/// Removes a setting.
///
/// # Errors
/// When the database fails.
pub fn remove(conn: &mut Conn, key: &str) -> StoreResult<()> {
    diesel::delete(settings::table.find(key)).execute(conn)?;
    Ok(())
}
