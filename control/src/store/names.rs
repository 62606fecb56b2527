//! Names of hosts, schedules and repositories by their identities, many at once: what lists show instead of identities.

use super::bridge::parse;
use super::schema::{hosts, repositories, schedules};
use super::{Conn, StoreResult};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};

/// Identities in one statement: SQLite takes 32,766 parameters, PostgreSQL 65,535.
const AT_ONCE: usize = 1000;

macro_rules! names {
    ($(#[$doc:meta])* $name:ident, $table:ident, $id:ty) => {
        $(#[$doc])*
        ///
        /// # Errors
        /// When the database fails.
        pub fn $name(conn: &mut Conn, ids: &[$id]) -> StoreResult<Vec<($id, String)>> {
            let mut found = Vec::with_capacity(ids.len());
            for part in ids.chunks(AT_ONCE) {
                let part: Vec<String> = part.iter().map(ToString::to_string).collect();
                let rows = $table::table
                    .filter($table::id.eq_any(part))
                    .select(($table::id, $table::name))
                    .load::<(String, String)>(conn)?;
                for (id, name) in rows {
                    found.push((parse(concat!(stringify!($table), ".id"), &id)?, name));
                }
            }
            Ok(found)
        }
    };
}

names! {
    /// The names of those hosts that are there.
    of_hosts, hosts, HostId
}
names! {
    /// The names of those schedules that are there.
    of_schedules, schedules, ScheduleId
}
names! {
    /// The names of those repositories that are there.
    of_repositories, repositories, RepositoryId
}
