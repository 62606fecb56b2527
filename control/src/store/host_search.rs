//! Hosts as people look for them: narrowed, sorted by how much they need a person, page by page; and what their last weeks were like.

use super::bridge::{parse, to_json};
use super::conn::Backend;
use super::hosts::{HostRecord, Row};
use super::schema::{hosts, jobs, schedules};
use super::{Conn, StoreResult};
use crate::domain::fleet::Lifecycle;
use crate::domain::job::{JobKind, JobState};
use crate::domain::protection::Protection;
use diesel::dsl::{AsExprOf, count_star, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Text};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::Os;
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// What a list of hosts is narrowed to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// In its name or tags.
    pub text: Option<String>,
    /// How well it is protected; empty for all.
    pub states: Vec<Protection>,
    /// Its system.
    pub os: Option<Os>,
    /// A tag that it has.
    pub tag: Option<String>,
    /// A repository that one of its schedules backs up to.
    pub repository: Option<RepositoryId>,
}

/// The order of a list, and the last host of the page before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// By name.
    Name(Option<String>),
    /// Who needs a person most comes first.
    Worst(Option<(i32, String)>),
}

/// Where a state stands in the order.
#[must_use]
pub const fn rank(state: Protection) -> i32 {
    match state {
        Protection::Failing => 0,
        Protection::TooOld => 1,
        Protection::Never => 2,
        Protection::Unplanned => 3,
        Protection::Warning => 4,
        Protection::Protected => 5,
    }
}

/// `Standing::of` and [`rank`] as the database works them out.
fn rank_sql(now: Timestamp) -> String {
    format!(
        "(CASE WHEN hosts.lifecycle = 'pending' THEN 2 WHEN NOT hosts.planned THEN 3 WHEN hosts.protected_until IS NULL THEN 2 \
         WHEN hosts.protected_until > {} THEN CASE WHEN hosts.trouble = 'none' THEN 5 ELSE 4 END \
         ELSE CASE WHEN hosts.trouble = 'failed' THEN 0 ELSE 1 END END)",
        now.micros()
    )
}

/// A pattern that finds the text anywhere.
pub(super) fn anywhere(text: &str) -> String {
    format!("%{}", beginning(text))
}

/// A pattern that finds what begins with the text.
pub(super) fn beginning(text: &str) -> String {
    let mut pattern = String::new();
    for c in text.chars() {
        if matches!(c, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}

type HasTag = SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, AsExprOf<String, Text>>>;

/// Whether a host has a tag.
///
/// # Errors
/// None that comes up: a tag is text.
pub(super) fn has_tag(tag: &str) -> StoreResult<HasTag> {
    let pattern = anywhere(&to_json("hosts.tags", &tag)?);
    Ok(sql::<Bool>("hosts.tags LIKE ").bind::<Text, _>(pattern).sql(" ESCAPE '!'"))
}

type Query<'a> = hosts::BoxedQuery<'a, Backend>;

fn narrowed<'a>(filter: &Filter, now: Timestamp) -> StoreResult<Query<'a>> {
    let mut query = hosts::table.filter(hosts::lifecycle.ne(Lifecycle::Retired.as_str())).into_boxed::<Backend>();
    if let Some(text) = &filter.text {
        let pattern = anywhere(&text.to_lowercase());
        let found = sql::<Bool>("lower(hosts.name || ' ' || hosts.tags) LIKE ").bind::<Text, _>(pattern);
        query = query.filter(found.sql(" ESCAPE '!'"));
    }
    if let Some(tag) = &filter.tag {
        query = query.filter(has_tag(tag)?);
    }
    if let Some(os) = filter.os {
        query = query.filter(hosts::os.eq(super::hosts::os_text(os)));
    }
    if let Some(repository) = filter.repository {
        let there = schedules::table.filter(schedules::repository_id.eq(repository.to_string()));
        query = query.filter(hosts::id.eq_any(there.select(schedules::host_id)));
    }
    if !filter.states.is_empty() {
        let ranks: Vec<i32> = filter.states.iter().map(|s| rank(*s)).collect();
        query = query.filter(sql::<Integer>(&rank_sql(now)).eq_any(ranks));
    }
    Ok(query)
}

/// A page of hosts.
///
/// # Errors
/// When the database fails.
pub fn list(
    conn: &mut Conn,
    filter: &Filter,
    order: &Order,
    limit: i64,
    now: Timestamp,
) -> StoreResult<Vec<HostRecord>> {
    let mut query = narrowed(filter, now)?;
    let rank = || sql::<Integer>(&rank_sql(now));
    query = match order {
        Order::Name(after) => query.filter(hosts::name.gt(after.clone().unwrap_or_default())).order(hosts::name.asc()),
        Order::Worst(None) => query.order((rank(), hosts::name.asc())),
        Order::Worst(Some((at, name))) => query
            .filter(rank().gt(*at).or(rank().eq(*at).and(hosts::name.gt(name.clone()))))
            .order((rank(), hosts::name.asc())),
    };
    // Which ones, from an index that holds all that is asked and sorted by; only the few are read whole.
    let ids: Vec<String> = query.limit(limit).select(hosts::id).load(conn)?;
    whole(conn, &ids)
}

/// The hosts with these ids, in their order.
fn whole(conn: &mut Conn, ids: &[String]) -> StoreResult<Vec<HostRecord>> {
    let rows: Vec<Row> = hosts::table.filter(hosts::id.eq_any(ids)).select(Row::as_select()).load(conn)?;
    let mut found = HashMap::new();
    for row in rows {
        let record = HostRecord::try_from(row)?;
        found.insert(record.id.to_string(), record);
    }
    Ok(ids.iter().filter_map(|id| found.remove(id)).collect())
}

/// Which hosts there are, by name.
///
/// # Errors
/// When the database fails.
pub fn ids(conn: &mut Conn, filter: &Filter, limit: i64, now: Timestamp) -> StoreResult<Vec<HostId>> {
    let rows = narrowed(filter, now)?.order(hosts::name.asc()).limit(limit).select(hosts::id).load::<String>(conn)?;
    rows.iter().map(|id| parse("hosts.id", id)).collect()
}

/// With a tag of so many hosts at most what they did is looked up host by host: each is found by index, however little it is among all.
/// Of a tag of more hosts there is some among the newest of all before long.
const FEW: usize = 50;

/// A list of what the hosts with a tag did, put together from each host's own, if these hosts are few.
///
/// # Errors
/// When the database fails.
pub(super) fn of_few<T>(
    conn: &mut Conn,
    tag: &str,
    limit: i64,
    of_one: impl Fn(&mut Conn, HostId) -> StoreResult<Vec<T>>,
    order: impl Fn(&T, &T) -> Ordering,
) -> StoreResult<Option<Vec<T>>> {
    let Some(hosts) = few_tagged(conn, tag)? else { return Ok(None) };
    let mut all = vec![];
    for host in hosts {
        all.extend(of_one(conn, host)?);
    }
    all.sort_unstable_by(order);
    all.truncate(usize::try_from(limit).unwrap_or(0));
    Ok(Some(all))
}

/// The hosts with a tag if they are few, removed ones too: what they did is still listed.
fn few_tagged(conn: &mut Conn, tag: &str) -> StoreResult<Option<Vec<HostId>>> {
    let limit = i64::try_from(FEW + 1).unwrap_or(i64::MAX);
    let rows = hosts::table.filter(has_tag(tag)?).limit(limit).select(hosts::id).load::<String>(conn)?;
    if rows.len() > FEW {
        return Ok(None);
    }
    rows.iter().map(|id| parse("hosts.id", id)).collect::<StoreResult<_>>().map(Some)
}

/// How many hosts there are.
///
/// # Errors
/// When the database fails.
pub fn count(conn: &mut Conn, filter: &Filter, now: Timestamp) -> StoreResult<i64> {
    Ok(narrowed(filter, now)?.count().get_result(conn)?)
}

/// How many hosts stand how, of those with one of these tags, or of all if none is named; no state is named that nobody is in.
///
/// # Errors
/// When the database fails.
pub fn standings(conn: &mut Conn, tags: &[String], now: Timestamp) -> StoreResult<Vec<(Protection, i64)>> {
    let by = rank_sql(now);
    let grouped = hosts::table.group_by(sql::<Integer>(&by)).select((sql::<Integer>(&by), count_star()));
    let mut query = grouped.into_boxed::<Backend>();
    for tag in tags {
        query = query.or_filter(has_tag(tag)?);
    }
    let rows = query.filter(hosts::lifecycle.ne(Lifecycle::Retired.as_str())).load::<(i32, i64)>(conn)?;
    let of = |at: i32| Protection::ALL.iter().copied().find(|state| rank(*state) == at);
    Ok(rows.into_iter().filter_map(|(at, n)| Some((of(at)?, n))).collect())
}

/// The hosts with one of these tags, or all if none is named; not those that were removed.
fn with_tags<'a>(tags: &[String]) -> StoreResult<Query<'a>> {
    let mut query = hosts::table.into_boxed::<Backend>();
    for tag in tags {
        query = query.or_filter(has_tag(tag)?);
    }
    Ok(query.filter(hosts::lifecycle.ne(Lifecycle::Retired.as_str())))
}

/// The ids of hosts with one of these tags.
pub(super) fn ids_with_tags(conn: &mut Conn, tags: &[String]) -> StoreResult<HashSet<String>> {
    Ok(with_tags(tags)?.select(hosts::id).load::<String>(conn)?.into_iter().collect())
}

/// Hosts that are not protected, the worst first, of those with one of these tags, or of all if none is named.
///
/// # Errors
/// When the database fails.
pub fn worst_with_tags(conn: &mut Conn, tags: &[String], limit: i64, now: Timestamp) -> StoreResult<Vec<HostRecord>> {
    let at = || sql::<Integer>(&rank_sql(now));
    let unprotected: Vec<i32> = Protection::ALL.iter().filter(|s| !s.counts()).map(|s| rank(*s)).collect();
    let worst = with_tags(tags)?.filter(at().eq_any(unprotected)).order((at(), hosts::name.asc()));
    let ids = worst.limit(limit).select(hosts::id).load::<String>(conn)?;
    whole(conn, &ids)
}

/// How a host's backups of one day ended: host, days since 1970, state, how many.
pub type DayEnd = (HostId, i64, JobState, i64);

/// What became of the backups of these hosts, by the day that they were due, on a clock that is so many seconds ahead of UTC.
///
/// # Errors
/// When the database fails.
pub fn days(conn: &mut Conn, ids: &[HostId], since: Timestamp, offset: i64) -> StoreResult<Vec<DayEnd>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let by = format!("jobs.host_id, (jobs.queued_at + {}) / {DAY}, jobs.state", offset * 1_000_000);
    let rows = jobs::table
        .filter(jobs::host_id.eq_any(ids))
        .filter(jobs::queued_at.ge(since.micros()))
        .filter(jobs::kind.eq(JobKind::Backup.as_str()))
        .group_by(sql::<(Text, BigInt, Text)>(&by))
        .select(sql::<(Text, BigInt, Text, BigInt)>(&format!("{by}, COUNT(*)")))
        .load::<(String, i64, String, i64)>(conn)?;
    rows.into_iter()
        .map(|(host, day, state, n)| Ok((parse("jobs.host_id", &host)?, day, parse("jobs.state", &state)?, n)))
        .collect()
}
