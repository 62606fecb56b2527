//! Hosts.

use super::bridge::{from_json, parse, time, to_json};
use super::schedules::{pauses_of, pauses_text};
use super::schema::hosts;
use super::{Conn, StoreError, StoreResult, releases};
use crate::domain::fleet::{Freeze, Host, Lifecycle, host_state};
use crate::domain::pause::{Paused, current};
use crate::domain::protection::{HostProtection, Standing};
use crate::domain::watch::{Limits, Watched};
use diesel::prelude::*;
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::{HostFacts, Os};
use restic_manager_shared::wire::release::UpdateFact;

/// A host as it is kept.
#[derive(Clone, Debug)]
pub struct HostRecord {
    /// Identity.
    pub id: HostId,
    /// Name, unique.
    pub name: String,
    /// Pending, enrolled or retired.
    pub lifecycle: Lifecycle,
    /// The machine's own name.
    pub hostname: String,
    /// Operating system family.
    pub os: Option<Os>,
    /// Operating system for people.
    pub os_version: String,
    /// Processor architecture.
    pub arch: String,
    /// IANA time zone.
    pub timezone: Option<String>,
    /// The agent's version.
    pub agent_version: String,
    /// The host's restic version.
    pub restic_version: Option<String>,
    /// Free labels.
    pub tags: Vec<String>,
    /// Base64 of the agent's Ed25519 public key.
    pub signing_key: Option<String>,
    /// Base64 of the agent's X25519 public key.
    pub sealing_key: Option<String>,
    /// The version of what it should do.
    pub schedule_version: i64,
    /// The version that its agent said it holds.
    pub held_version: i64,
    /// When its agent was last heard from, as of the last write-back.
    pub last_seen_at: Option<Timestamp>,
    /// When it was added.
    pub created_at: Timestamp,
    /// When its agent enrolled.
    pub enrolled_at: Option<Timestamp>,
    /// Why its retention does not run, if it is frozen.
    pub frozen: Option<Freeze>,
    /// Its pauses that are remembered, oldest first.
    pub pauses: Vec<Paused>,
    /// Names in its folder of hooks.
    pub hooks: Vec<String>,
    /// When alerts tell of it.
    pub limits: Limits,
    /// How well it is protected.
    pub standing: Standing,
}

impl HostRecord {
    /// What people see of it, given what is known in memory of its last sign.
    #[must_use]
    pub fn view(self, seen: Option<&Seen>, now: Timestamp) -> Host {
        let last_seen_at = seen.map(|s| s.at).max(self.last_seen_at);
        let held_version = seen.map_or(self.held_version, |s| s.held_version);
        Host {
            id: self.id,
            state: host_state(self.lifecycle, last_seen_at, now),
            name: self.name,
            hostname: self.hostname,
            os: self.os,
            os_version: self.os_version,
            arch: self.arch,
            timezone: self.timezone,
            agent_version: seen.map_or(self.agent_version, |s| s.agent_version.clone()),
            restic_version: seen.map_or(self.restic_version, |s| s.restic_version.clone()),
            tags: self.tags,
            schedule_version: self.schedule_version,
            held_version,
            in_force: held_version >= self.schedule_version,
            last_seen_at,
            created_at: self.created_at,
            enrolled_at: self.enrolled_at,
            frozen: self.frozen,
            limits: self.limits,
            paused: current(&self.pauses, now).cloned(),
            protection: HostProtection {
                state: self.standing.of(self.lifecycle, now),
                last_good_at: self.standing.good_at,
                until: self.standing.protected_until,
                bytes: self.standing.good_bytes,
            },
            hooks: seen.and_then(|s| s.hooks.clone()).unwrap_or(self.hooks),
            update: seen.and_then(|s| s.update.clone()),
        }
    }
}

/// What a poll says of its host; written back in groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// The version of the desired state that the agent holds.
    pub held_version: i64,
    /// The agent's version.
    pub agent_version: String,
    /// The host's restic version.
    pub restic_version: Option<String>,
    /// Names in its folder of hooks; none if the agent does not say.
    pub hooks: Option<Vec<String>>,
    /// How far it is with updates of itself; none if the agent does not say.
    pub update: Option<UpdateFact>,
    /// Whether it said something new of its version and updates since the last write-back.
    pub agent_is_news: bool,
}

pub(super) const fn os_text(os: Os) -> &'static str {
    match os {
        Os::Linux => "linux",
        Os::Windows => "windows",
    }
}

fn os_of(text: &str) -> StoreResult<Os> {
    match text {
        "linux" => Ok(Os::Linux),
        "windows" => Ok(Os::Windows),
        other => Err(StoreError::Corrupt { what: "hosts.os", value: other.to_owned() }),
    }
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = hosts)]
pub(super) struct Row {
    id: String,
    name: String,
    lifecycle: String,
    hostname: String,
    os: Option<String>,
    os_version: String,
    arch: String,
    timezone: Option<String>,
    agent_version: String,
    restic_version: Option<String>,
    tags: String,
    signing_key: Option<String>,
    sealing_key: Option<String>,
    schedule_version: i64,
    held_version: i64,
    last_seen_at: Option<i64>,
    created_at: i64,
    enrolled_at: Option<i64>,
    frozen: Option<String>,
    hooks: String,
    planned: bool,
    good_at: Option<i64>,
    good_bytes: Option<i64>,
    protected_until: Option<i64>,
    trouble: String,
    limits: Option<String>,
    pauses: Option<String>,
}

impl TryFrom<Row> for HostRecord {
    type Error = StoreError;
    fn try_from(row: Row) -> StoreResult<Self> {
        Ok(Self {
            id: parse("hosts.id", &row.id)?,
            name: row.name,
            lifecycle: parse("hosts.lifecycle", &row.lifecycle)?,
            hostname: row.hostname,
            os: row.os.as_deref().map(os_of).transpose()?,
            os_version: row.os_version,
            arch: row.arch,
            timezone: row.timezone,
            agent_version: row.agent_version,
            restic_version: row.restic_version,
            tags: from_json("hosts.tags", &row.tags)?,
            signing_key: row.signing_key,
            sealing_key: row.sealing_key,
            schedule_version: row.schedule_version,
            held_version: row.held_version,
            last_seen_at: time(row.last_seen_at),
            created_at: Timestamp::from_micros(row.created_at),
            enrolled_at: time(row.enrolled_at),
            frozen: row.frozen.as_deref().map(|f| from_json("hosts.frozen", f)).transpose()?,
            hooks: from_json("hosts.hooks", &row.hooks)?,
            limits: limits(row.limits.as_deref())?,
            pauses: pauses_of("hosts.pauses", row.pauses.as_deref())?,
            standing: Standing {
                planned: row.planned,
                good_at: time(row.good_at),
                good_bytes: row.good_bytes,
                protected_until: time(row.protected_until),
                trouble: parse("hosts.trouble", &row.trouble)?,
            },
        })
    }
}

/// Adds a pending host.
///
/// # Errors
/// `Duplicate` if the name is taken.
pub fn insert_pending(conn: &mut Conn, id: HostId, name: &str, tags: &[String], now: Timestamp) -> StoreResult<()> {
    diesel::insert_into(hosts::table)
        .values((
            hosts::id.eq(id.to_string()),
            hosts::name.eq(name),
            hosts::lifecycle.eq(Lifecycle::Pending.as_str()),
            hosts::tags.eq(to_json("hosts.tags", &tags)?),
            hosts::created_at.eq(now.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// One host.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, id: HostId) -> StoreResult<Option<HostRecord>> {
    hosts::table
        .find(id.to_string())
        .select(Row::as_select())
        .first(conn)
        .optional()?
        .map(HostRecord::try_from)
        .transpose()
}

/// How many hosts there are, those that are yet to come among them.
///
/// # Errors
/// When the database fails.
pub fn count(conn: &mut Conn) -> StoreResult<i64> {
    let here = [Lifecycle::Pending, Lifecycle::Enrolled].map(Lifecycle::as_str);
    Ok(hosts::table.filter(hosts::lifecycle.eq_any(here)).count().get_result(conn)?)
}

/// The host of that name.
///
/// # Errors
/// When the database fails.
pub fn by_name(conn: &mut Conn, name: &str) -> StoreResult<Option<HostRecord>> {
    hosts::table
        .filter(hosts::name.eq(name))
        .select(Row::as_select())
        .first(conn)
        .optional()?
        .map(HostRecord::try_from)
        .transpose()
}

/// Whether some host has that signing key.
///
/// # Errors
/// When the database fails.
pub fn key_known(conn: &mut Conn, signing_key: &str) -> StoreResult<bool> {
    Ok(diesel::select(diesel::dsl::exists(hosts::table.filter(hosts::signing_key.eq(signing_key)))).get_result(conn)?)
}

/// The names of these hosts.
///
/// # Errors
/// When the database fails.
pub fn names(conn: &mut Conn, ids: &[HostId]) -> StoreResult<Vec<(HostId, String)>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows =
        hosts::table.filter(hosts::id.eq_any(ids)).select((hosts::id, hosts::name)).load::<(String, String)>(conn)?;
    rows.into_iter().map(|(id, name)| Ok((parse("hosts.id", &id)?, name))).collect()
}

/// What an agent brings when it enrols.
#[derive(Clone, Debug)]
pub struct Enrolled<'a> {
    /// The host's name from now on.
    pub name: &'a str,
    /// Base64 of its Ed25519 public key.
    pub signing_key: &'a str,
    /// Base64 of its X25519 public key.
    pub sealing_key: &'a str,
    /// The machine.
    pub facts: &'a HostFacts,
}

/// Makes a pending or known host an enrolled one, with new keys.
///
/// # Errors
/// `Duplicate` if the name or the key is taken.
pub fn enroll(conn: &mut Conn, id: HostId, e: &Enrolled<'_>, now: Timestamp) -> StoreResult<()> {
    diesel::update(hosts::table.find(id.to_string()))
        .set((
            hosts::name.eq(e.name),
            hosts::lifecycle.eq(Lifecycle::Enrolled.as_str()),
            hosts::hostname.eq(&e.facts.hostname),
            hosts::os.eq(os_text(e.facts.os)),
            hosts::os_version.eq(&e.facts.os_version),
            hosts::arch.eq(&e.facts.arch),
            hosts::timezone.eq(e.facts.timezone.as_deref()),
            hosts::agent_version.eq(&e.facts.agent_version),
            hosts::restic_version.eq(e.facts.restic_version.as_deref()),
            hosts::signing_key.eq(e.signing_key),
            hosts::sealing_key.eq(e.sealing_key),
            hosts::last_seen_at.eq(now.micros()),
            hosts::enrolled_at.eq(now.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// Raises the version of what the host should do, and answers the new one. None if there is no such host.
///
/// # Errors
/// When the database fails.
pub fn raise_version(conn: &mut Conn, id: HostId) -> StoreResult<Option<i64>> {
    Ok(diesel::update(hosts::table.find(id.to_string()))
        .set(hosts::schedule_version.eq(hosts::schedule_version + 1))
        .returning(hosts::schedule_version)
        .get_result(conn)
        .optional()?)
}

/// Writes back what polls said.
///
/// # Errors
/// When the database fails.
pub fn seen(conn: &mut Conn, id: HostId, seen: &Seen) -> StoreResult<()> {
    let changed = diesel::update(hosts::table.find(id.to_string()))
        .set((
            hosts::last_seen_at.eq(seen.at.micros()),
            hosts::held_version.eq(seen.held_version),
            hosts::agent_version.eq(&seen.agent_version),
            hosts::restic_version.eq(seen.restic_version.as_deref()),
        ))
        .execute(conn)?;
    // Deleted meanwhile: nothing of it is kept.
    if changed == 0 {
        return Ok(());
    }
    if let Some(hooks) = &seen.hooks {
        diesel::update(hosts::table.find(id.to_string()))
            .set(hosts::hooks.eq(to_json("hosts.hooks", hooks)?))
            .execute(conn)?;
    }
    if seen.agent_is_news {
        releases::note_agent(conn, id, &seen.agent_version, seen.update.as_ref(), seen.at)?;
    }
    Ok(())
}

/// Freezes a host's retention, or lets it run again. False if there is no such host.
///
/// # Errors
/// When the database fails.
pub fn set_frozen(conn: &mut Conn, id: HostId, frozen: Option<&Freeze>) -> StoreResult<bool> {
    let text = frozen.map(|f| to_json("hosts.frozen", f)).transpose()?;
    Ok(diesel::update(hosts::table.find(id.to_string())).set(hosts::frozen.eq(text)).execute(conn)? > 0)
}

fn limits(text: Option<&str>) -> StoreResult<Limits> {
    text.map_or_else(|| Ok(Limits::default()), |text| from_json("hosts.limits", text))
}

/// Says when alerts tell of a host.
///
/// # Errors
/// When the database fails.
pub fn set_limits(conn: &mut Conn, id: HostId, limits: Limits) -> StoreResult<()> {
    let text = (limits != Limits::default()).then(|| to_json("hosts.limits", &limits)).transpose()?;
    diesel::update(hosts::table.find(id.to_string())).set(hosts::limits.eq(text)).execute(conn)?;
    Ok(())
}

/// What is looked at of all enrolled hosts to say of which somebody should be told.
///
/// # Errors
/// When the database fails.
pub fn watched(conn: &mut Conn, now: Timestamp) -> StoreResult<Vec<Watched>> {
    let rows =
        hosts::table.filter(hosts::lifecycle.eq(Lifecycle::Enrolled.as_str())).select(Row::as_select()).load(conn)?;
    let watched = |record: HostRecord| Watched {
        id: record.id,
        lifecycle: record.lifecycle,
        standing: record.standing,
        limits: record.limits,
        last_seen: record.last_seen_at,
        enrolled_at: record.enrolled_at,
        paused: current(&record.pauses, now).is_some(),
    };
    rows.into_iter().map(|row| HostRecord::try_from(row).map(watched)).collect()
}

/// Keeps a host's pauses. False if there is no such host.
///
/// # Errors
/// When the database fails.
pub fn set_pauses(conn: &mut Conn, id: HostId, pauses: &[Paused]) -> StoreResult<bool> {
    let text = pauses_text("hosts.pauses", pauses)?;
    Ok(diesel::update(hosts::table.find(id.to_string())).set(hosts::pauses.eq(text)).execute(conn)? > 0)
}

/// Changes a host's tags. False if there is no such host.
///
/// # Errors
/// When the database fails.
pub fn set_tags(conn: &mut Conn, id: HostId, tags: &[String]) -> StoreResult<bool> {
    let text = to_json("hosts.tags", &tags)?;
    Ok(diesel::update(hosts::table.find(id.to_string())).set(hosts::tags.eq(text)).execute(conn)? > 0)
}

/// These hosts, by name, without retired ones and those that are not there.
///
/// # Errors
/// When the database fails.
pub fn of_ids(conn: &mut Conn, ids: &[HostId]) -> StoreResult<Vec<HostRecord>> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = hosts::table
        .filter(hosts::id.eq_any(ids))
        .filter(hosts::lifecycle.ne(Lifecycle::Retired.as_str()))
        .order(hosts::name)
        .select(Row::as_select())
        .load(conn)?;
    rows.into_iter().map(HostRecord::try_from).collect()
}

/// Changes a host's name and tags. False if there is no such host.
///
/// # Errors
/// `Duplicate` if the name is taken.
pub fn update(conn: &mut Conn, id: HostId, name: &str, tags: &[String]) -> StoreResult<bool> {
    let changed = diesel::update(hosts::table.find(id.to_string()))
        .set((hosts::name.eq(name), hosts::tags.eq(to_json("hosts.tags", &tags)?)))
        .execute(conn)?;
    Ok(changed > 0)
}

/// Deletes a host with its schedules, jobs, credentials and snapshots' metadata. False if there is no such host.
///
/// # Errors
/// When the database fails.
pub fn delete(conn: &mut Conn, id: HostId) -> StoreResult<bool> {
    Ok(diesel::delete(hosts::table.find(id.to_string())).execute(conn)? > 0)
}
