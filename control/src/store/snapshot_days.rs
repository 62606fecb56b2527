//! How many snapshots were taken on each day of a month. A day is counted up to a limit: whether there are a thousand or more of a large fleet
//! makes no difference to who looks for a day.

use super::conn::Backend;
use super::schema::snapshots;
use super::snapshots::Filter;
use super::{Conn, StoreResult};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;

/// Where counting a day ends.
pub const MOST: i64 = 1000;

#[derive(QueryableByName)]
struct Counted {
    #[diesel(sql_type = BigInt)]
    day: i64,
    #[diesel(sql_type = BigInt)]
    count: i64,
}

/// The statement: a row for each day, whose count follows an index from the day's beginning to its end, or to the limit.
fn statement(conn: &Conn, filter: &Filter, days: &[(Timestamp, Timestamp)]) -> String {
    let days =
        days.iter().enumerate().map(|(n, (since, until))| format!("({n}, {}, {})", since.micros(), until.micros()));
    let days = days.collect::<Vec<_>>().join(", ");
    // An identity holds nothing but digits and letters.
    let host = filter.host.map(|host| format!(" AND s.host_id = '{host}'")).unwrap_or_default();
    let tag = match (&filter.tag, conn) {
        (None, _) => "",
        (Some(_), Conn::Sqlite(_)) => {
            " AND EXISTS (SELECT 1 FROM json_each(s.record, '$.tags') AS t WHERE t.value = ?)"
        }
        (Some(_), Conn::Pg(_)) => " AND (s.record::jsonb -> 'tags') @> to_jsonb($1::text)",
    };
    format!(
        "WITH days(n, since, until) AS (VALUES {days}) \
         SELECT CAST(d.n AS BIGINT) AS day, (SELECT COUNT(*) FROM (SELECT 1 FROM snapshots AS s WHERE s.gone_at IS NULL \
         AND s.time >= d.since AND s.time < d.until{host}{tag} LIMIT {MOST}) AS x) AS count FROM days AS d"
    )
}

/// How many snapshots, of those that the host and the tag of a filter leave, were taken between each two instants; at most [`MOST`].
///
/// # Errors
/// When the database fails.
pub fn counts(conn: &mut Conn, filter: &Filter, days: &[(Timestamp, Timestamp)]) -> StoreResult<Vec<i64>> {
    let mut counts = vec![0; days.len()];
    if days.is_empty() {
        return Ok(counts);
    }
    let query = diesel::sql_query(statement(conn, filter, days));
    let rows: Vec<Counted> = match (conn, filter.tag.clone()) {
        (Conn::Sqlite(c), None) => query.load(c)?,
        (Conn::Sqlite(c), Some(tag)) => query.bind::<Text, _>(tag).load(c)?,
        (Conn::Pg(c), None) => query.load(c)?,
        (Conn::Pg(c), Some(tag)) => query.bind::<Text, _>(tag).load(c)?,
    };
    for row in rows {
        if let Some(count) = usize::try_from(row.day).ok().and_then(|n| counts.get_mut(n)) {
            *count = row.count;
        }
    }
    Ok(counts)
}

/// When the oldest snapshot that is still there was taken, of a host or of all.
///
/// # Errors
/// When the database fails.
pub fn oldest(conn: &mut Conn, host: Option<HostId>) -> StoreResult<Option<Timestamp>> {
    let mut query = snapshots::table
        .filter(snapshots::gone_at.is_null())
        .order(snapshots::time)
        .limit(1)
        .select(snapshots::time)
        .into_boxed::<Backend>();
    if let Some(host) = host {
        query = query.filter(snapshots::host_id.eq(host.to_string()));
    }
    Ok(query.load::<i64>(conn)?.pop().map(Timestamp::from_micros))
}
