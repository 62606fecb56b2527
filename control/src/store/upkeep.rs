//! What is known of each repository's chores, its sizes over time, and its locks.

use super::bridge::{from_json, parse, parse_opt, place_host, time, to_json};
use super::jobs::open;
use super::schema::{jobs, place_sizes, repository_chores, repository_locks, repository_samples};
use super::{Conn, StoreResult};
use crate::domain::health::Sample;
use crate::domain::place::Place;
use crate::domain::upkeep::{Chore, ChoreState};
use diesel::prelude::*;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::LockRecord;

#[derive(Queryable, Selectable)]
#[diesel(table_name = repository_chores)]
struct Row {
    place: String,
    chore: String,
    followed_until: Option<i64>,
    asked_by: Option<String>,
    last_job_id: Option<String>,
    last_state: Option<String>,
    last_done_at: Option<i64>,
    last_success_at: Option<i64>,
    cycle: Option<String>,
    note: Option<String>,
}

fn state(row: Row) -> StoreResult<ChoreState> {
    Ok(ChoreState {
        chore: parse("repository_chores.chore", &row.chore)?,
        of_host_id: place_host("repository_chores.place", &row.place)?,
        followed_until: time(row.followed_until),
        asked_by: row.asked_by,
        last_job_id: parse_opt("repository_chores.last_job_id", row.last_job_id.as_deref())?,
        last_state: parse_opt("repository_chores.last_state", row.last_state.as_deref())?,
        last_done_at: time(row.last_done_at),
        last_success_at: time(row.last_success_at),
        cycle: row.cycle.as_deref().map(|c| from_json("repository_chores.cycle", c)).transpose()?,
        note: row.note,
    })
}

/// What is known of a repository's chores; those that were never due are not among them.
///
/// # Errors
/// When the database fails.
pub fn chores(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<ChoreState>> {
    let rows = repository_chores::table
        .filter(repository_chores::repository_id.eq(repository.to_string()))
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(state).collect()
}

/// One chore's state, a new one if nothing is known.
///
/// # Errors
/// When the database fails.
pub fn chore(conn: &mut Conn, place: Place, chore: Chore) -> StoreResult<ChoreState> {
    let row = repository_chores::table
        .find((place.repository.to_string(), place.text(), chore.as_str()))
        .select(Row::as_select())
        .first(conn)
        .optional()?;
    row.map_or_else(|| Ok(ChoreState { of_host_id: place.host, ..ChoreState::new(chore) }), state)
}

/// What is kept of a chore.
macro_rules! kept {
    ($s:expr) => {
        (
            repository_chores::followed_until.eq($s.followed_until.map(Timestamp::micros)),
            repository_chores::asked_by.eq($s.asked_by.as_deref()),
            repository_chores::last_job_id.eq($s.last_job_id.map(|id| id.to_string())),
            repository_chores::last_state.eq($s.last_state.map(|x| x.as_str())),
            repository_chores::last_done_at.eq($s.last_done_at.map(Timestamp::micros)),
            repository_chores::last_success_at.eq($s.last_success_at.map(Timestamp::micros)),
            repository_chores::cycle.eq($s
                .cycle
                .as_ref()
                .map(|c| to_json("repository_chores.cycle", c))
                .transpose()?),
            repository_chores::note.eq($s.note.as_deref()),
        )
    };
}

/// Keeps a chore's state.
///
/// # Errors
/// When the database fails.
pub fn put_chore(conn: &mut Conn, place: Place, s: &ChoreState) -> StoreResult<()> {
    let key = (place.repository.to_string(), place.text(), s.chore.as_str());
    if diesel::select(diesel::dsl::exists(repository_chores::table.find(key.clone()))).get_result::<bool>(conn)? {
        diesel::update(repository_chores::table.find(key)).set(kept!(s)).execute(conn)?;
    } else {
        diesel::insert_into(repository_chores::table)
            .values((
                repository_chores::repository_id.eq(key.0),
                repository_chores::place.eq(key.1),
                repository_chores::chore.eq(key.2),
                kept!(s),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The chores of a repository that have an open job, with their places.
///
/// # Errors
/// When the database fails.
pub fn open_chores(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<(Place, Chore)>> {
    let rows: Vec<(String, Option<String>)> = jobs::table
        .filter(jobs::repository_id.eq(repository.to_string()))
        .filter(open())
        .filter(jobs::chore.is_not_null())
        .select((jobs::place, jobs::chore))
        .load(conn)?;
    let mut found = vec![];
    for (place, chore) in rows {
        // Others than those of the plan have names of their own.
        let Some(chore) = chore.and_then(|name| name.parse().ok()) else { continue };
        found.push((Place { repository, host: place_host("jobs.place", &place)? }, chore));
    }
    Ok(found)
}

/// Whether an open job does this chore.
///
/// # Errors
/// When the database fails.
pub fn is_open(conn: &mut Conn, place: Place, chore: &str) -> StoreResult<bool> {
    Ok(diesel::select(diesel::dsl::exists(
        jobs::table
            .filter(jobs::repository_id.eq(place.repository.to_string()))
            .filter(jobs::place.eq(place.text()))
            .filter(jobs::chore.eq(chore))
            .filter(open()),
    ))
    .get_result(conn)?)
}

/// Adds a sample of a place's sizes.
///
/// # Errors
/// When the database fails.
pub fn put_sample(conn: &mut Conn, place: Place, sample: &Sample) -> StoreResult<()> {
    let key = (place.repository.to_string(), place.text(), sample.at.micros());
    diesel::delete(repository_samples::table.find(key.clone())).execute(conn)?;
    diesel::insert_into(repository_samples::table)
        .values((
            repository_samples::repository_id.eq(key.0),
            repository_samples::place.eq(key.1),
            repository_samples::at.eq(key.2),
            repository_samples::sample.eq(to_json("repository_samples.sample", sample)?),
        ))
        .execute(conn)?;
    Ok(())
}

/// The samples of a repository's places, oldest first.
///
/// # Errors
/// When the database fails.
pub fn samples(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<(Place, Sample)>> {
    let rows: Vec<(String, String)> = repository_samples::table
        .filter(repository_samples::repository_id.eq(repository.to_string()))
        .order(repository_samples::at)
        .select((repository_samples::place, repository_samples::sample))
        .load(conn)?;
    rows.iter()
        .map(|(place, text)| {
            let host = place_host("repository_samples.place", place)?;
            Ok((Place { repository, host }, from_json("repository_samples.sample", text)?))
        })
        .collect()
}

/// The samples of a place, oldest first.
///
/// # Errors
/// When the database fails.
pub fn samples_of_place(conn: &mut Conn, place: Place) -> StoreResult<Vec<Sample>> {
    let rows: Vec<String> = repository_samples::table
        .filter(repository_samples::repository_id.eq(place.repository.to_string()))
        .filter(repository_samples::place.eq(place.text()))
        .order(repository_samples::at)
        .select(repository_samples::sample)
        .load(conn)?;
    rows.iter().map(|text| from_json("repository_samples.sample", text)).collect()
}

/// How large a place is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlaceSize {
    /// Of which repository.
    pub repository: RepositoryId,
    /// Bytes that are stored there.
    pub bytes: u64,
    /// Bytes by which that grows a day.
    pub growth_per_day: Option<i64>,
}

/// How large every place is, as last counted.
///
/// # Errors
/// When the database fails.
pub fn place_sizes(conn: &mut Conn) -> StoreResult<Vec<PlaceSize>> {
    let rows: Vec<(String, i64, Option<i64>)> = place_sizes::table
        .select((place_sizes::repository_id, place_sizes::bytes, place_sizes::growth_per_day))
        .load(conn)?;
    rows.into_iter()
        .map(|(id, bytes, growth_per_day)| {
            let repository = parse("place_sizes.repository_id", &id)?;
            Ok(PlaceSize { repository, bytes: u64::try_from(bytes).unwrap_or(0), growth_per_day })
        })
        .collect()
}

/// Keeps how large a place is, and by how many bytes a day it grows.
///
/// # Errors
/// When the database fails.
pub fn put_size(conn: &mut Conn, place: Place, sample: &Sample, growth: Option<f64>) -> StoreResult<()> {
    let key = (place.repository.to_string(), place.text());
    diesel::delete(place_sizes::table.find(key.clone())).execute(conn)?;
    diesel::insert_into(place_sizes::table)
        .values((
            place_sizes::repository_id.eq(key.0),
            place_sizes::place.eq(key.1),
            place_sizes::at.eq(sample.at.micros()),
            place_sizes::bytes.eq(i64::try_from(sample.raw_size).unwrap_or(i64::MAX)),
            place_sizes::growth_per_day.eq(growth.map(|bytes| bytes.round() as i64)),
        ))
        .execute(conn)?;
    Ok(())
}

/// Drops samples of a place.
///
/// # Errors
/// When the database fails.
pub fn drop_samples(conn: &mut Conn, place: Place, at: &[Timestamp]) -> StoreResult<()> {
    let at: Vec<i64> = at.iter().map(|t| t.micros()).collect();
    for part in at.chunks(500) {
        diesel::delete(
            repository_samples::table
                .filter(repository_samples::repository_id.eq(place.repository.to_string()))
                .filter(repository_samples::place.eq(place.text()))
                .filter(repository_samples::at.eq_any(part.iter().copied())),
        )
        .execute(conn)?;
    }
    Ok(())
}

/// Keeps which locks a place has, over what was known.
///
/// # Errors
/// When the database fails.
pub fn put_locks(conn: &mut Conn, place: Place, locks: &[LockRecord], now: Timestamp) -> StoreResult<()> {
    let (id, text) = (place.repository.to_string(), place.text());
    diesel::delete(
        repository_locks::table
            .filter(repository_locks::repository_id.eq(&id))
            .filter(repository_locks::place.eq(&text)),
    )
    .execute(conn)?;
    for lock in locks {
        diesel::insert_into(repository_locks::table)
            .values((
                repository_locks::repository_id.eq(&id),
                repository_locks::place.eq(&text),
                repository_locks::lock_id.eq(&lock.id),
                repository_locks::record.eq(to_json("repository_locks.record", lock)?),
                repository_locks::seen_at.eq(now.micros()),
            ))
            .execute(conn)?;
    }
    Ok(())
}

/// The locks of a repository's places as they were last seen, and when.
///
/// # Errors
/// When the database fails.
pub fn locks(conn: &mut Conn, repository: RepositoryId) -> StoreResult<Vec<(Place, LockRecord, Timestamp)>> {
    let rows: Vec<(String, String, i64)> = repository_locks::table
        .filter(repository_locks::repository_id.eq(repository.to_string()))
        .order((repository_locks::place, repository_locks::lock_id))
        .select((repository_locks::place, repository_locks::record, repository_locks::seen_at))
        .load(conn)?;
    rows.into_iter()
        .map(|(place, text, at)| {
            let host = place_host("repository_locks.place", &place)?;
            let lock = from_json("repository_locks.record", &text)?;
            Ok((Place { repository, host }, lock, Timestamp::from_micros(at)))
        })
        .collect()
}
