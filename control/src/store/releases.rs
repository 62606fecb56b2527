//! Releases of the agent, roll-outs, and what each agent said of itself.

use super::bridge::{from_json, parse, time, to_json};
use super::schema::{host_agents, hosts, releases, rollouts};
use super::{Conn, StoreResult};
use crate::domain::fleet::Lifecycle;
use crate::domain::release::{Rollout, RolloutState};
use diesel::prelude::*;
use restic_manager_shared::id::{HostId, RolloutId};
use restic_manager_shared::release::SignedManifest;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::release::{FailedUpdate, UpdateFact};

/// A release for one platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseRecord {
    /// The version.
    pub version: String,
    /// The platform.
    pub target: String,
    /// SHA-256 of the binary, hex.
    pub sha256: String,
    /// Its size in bytes.
    pub size: i64,
    /// What was signed.
    pub signed: SignedManifest,
    /// What is new in it.
    pub notes: String,
    /// Who uploaded it.
    pub uploaded_by: String,
    /// When.
    pub uploaded_at: Timestamp,
    /// When its file was there.
    pub file_at: Option<Timestamp>,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Timestamp>,
}

impl ReleaseRecord {
    /// Whether hosts can be offered it.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        self.file_at.is_some() && self.withdrawn_at.is_none()
    }
}

type Row = (String, String, String, i64, String, String, String, i64, Option<i64>, Option<i64>);

fn release(row: Row) -> StoreResult<ReleaseRecord> {
    Ok(ReleaseRecord {
        version: row.0,
        target: row.1,
        sha256: row.2,
        size: row.3,
        signed: from_json("releases.signed", &row.4)?,
        notes: row.5,
        uploaded_by: row.6,
        uploaded_at: Timestamp::from_micros(row.7),
        file_at: time(row.8),
        withdrawn_at: time(row.9),
    })
}

/// Adds a release that waits for its file.
///
/// # Errors
/// `Duplicate` if there is one of that version for that platform.
pub fn insert(conn: &mut Conn, r: &ReleaseRecord) -> StoreResult<()> {
    diesel::insert_into(releases::table)
        .values((
            releases::version.eq(&r.version),
            releases::target.eq(&r.target),
            releases::sha256.eq(&r.sha256),
            releases::size.eq(r.size),
            releases::signed.eq(to_json("releases.signed", &r.signed)?),
            releases::notes.eq(&r.notes),
            releases::uploaded_by.eq(&r.uploaded_by),
            releases::uploaded_at.eq(r.uploaded_at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// One release.
///
/// # Errors
/// When the database fails.
pub fn get(conn: &mut Conn, version: &str, target: &str) -> StoreResult<Option<ReleaseRecord>> {
    releases::table.find((version, target)).first::<Row>(conn).optional()?.map(release).transpose()
}

/// All releases, the newest upload first. There are few.
///
/// # Errors
/// When the database fails.
pub fn list(conn: &mut Conn) -> StoreResult<Vec<ReleaseRecord>> {
    let order = (releases::uploaded_at.desc(), releases::version.desc(), releases::target);
    releases::table.order(order).load::<Row>(conn)?.into_iter().map(release).collect()
}

/// The file of a release is there. False if there is no such release.
///
/// # Errors
/// When the database fails.
pub fn set_file(conn: &mut Conn, version: &str, target: &str, now: Timestamp) -> StoreResult<bool> {
    let row = releases::table.find((version, target));
    Ok(diesel::update(row).set(releases::file_at.eq(now.micros())).execute(conn)? > 0)
}

/// Withdraws a release. False if it is not there, or was withdrawn before.
///
/// # Errors
/// When the database fails.
pub fn withdraw(conn: &mut Conn, version: &str, target: &str, now: Timestamp) -> StoreResult<bool> {
    let row = releases::table.find((version, target)).filter(releases::withdrawn_at.is_null());
    Ok(diesel::update(row).set(releases::withdrawn_at.eq(now.micros())).execute(conn)? > 0)
}

type RolloutRow = (String, String, Option<String>, String, i32, i64, String, Option<String>, String, i64);

fn rollout(row: RolloutRow) -> StoreResult<Rollout> {
    Ok(Rollout {
        id: parse("rollouts.id", &row.0)?,
        version: row.1,
        previous: row.2,
        stages: from_json("rollouts.stages", &row.3)?,
        stage: u32::try_from(row.4).unwrap_or(0),
        stage_since: Timestamp::from_micros(row.5),
        state: parse("rollouts.state", &row.6)?,
        note: row.7,
        started_by: row.8,
        started_at: Timestamp::from_micros(row.9),
    })
}

/// The newest roll-out: the one that counts.
///
/// # Errors
/// When the database fails.
pub fn newest_rollout(conn: &mut Conn) -> StoreResult<Option<Rollout>> {
    // Ids count up with time.
    rollouts::table.order(rollouts::id.desc()).first::<RolloutRow>(conn).optional()?.map(rollout).transpose()
}

/// Adds a roll-out.
///
/// # Errors
/// When the database fails.
pub fn insert_rollout(conn: &mut Conn, r: &Rollout) -> StoreResult<()> {
    diesel::insert_into(rollouts::table)
        .values((
            rollouts::id.eq(r.id.to_string()),
            rollouts::version.eq(&r.version),
            rollouts::previous.eq(r.previous.as_deref()),
            rollouts::stages.eq(to_json("rollouts.stages", &r.stages)?),
            rollouts::stage.eq(i32::try_from(r.stage).unwrap_or(0)),
            rollouts::stage_since.eq(r.stage_since.micros()),
            rollouts::state.eq(r.state.as_str()),
            rollouts::note.eq(r.note.as_deref()),
            rollouts::started_by.eq(&r.started_by),
            rollouts::started_at.eq(r.started_at.micros()),
        ))
        .execute(conn)?;
    Ok(())
}

/// What a roll-out becomes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The stage.
    pub stage: u32,
    /// Since when.
    pub stage_since: Timestamp,
    /// What it does.
    pub state: RolloutState,
    /// Why.
    pub note: Option<String>,
}

/// Turns a roll-out, if it is still in the state and stage that were seen. False if it is not.
///
/// # Errors
/// When the database fails.
pub fn turn(conn: &mut Conn, seen: &Rollout, turn: &Turn) -> StoreResult<bool> {
    let row = rollouts::table
        .find(seen.id.to_string())
        .filter(rollouts::state.eq(seen.state.as_str()))
        .filter(rollouts::stage.eq(i32::try_from(seen.stage).unwrap_or(0)));
    let values = (
        rollouts::stage.eq(i32::try_from(turn.stage).unwrap_or(0)),
        rollouts::stage_since.eq(turn.stage_since.micros()),
        rollouts::state.eq(turn.state.as_str()),
        rollouts::note.eq(turn.note.as_deref()),
    );
    Ok(diesel::update(row).set(values).execute(conn)? > 0)
}

/// Keeps what an agent said of itself. A failure is kept until the version runs after all.
///
/// # Errors
/// When the database fails.
pub fn note_agent(
    conn: &mut Conn,
    host: HostId,
    version: &str,
    fact: Option<&UpdateFact>,
    now: Timestamp,
) -> StoreResult<()> {
    let row = || host_agents::table.find(host.to_string());
    let held = row().select(host_agents::version).first::<String>(conn).optional()?;
    let text = fact.map(|f| to_json("host_agents.fact", f)).transpose()?;
    match held {
        None => drop(
            diesel::insert_into(host_agents::table)
                .values((
                    host_agents::host_id.eq(host.to_string()),
                    host_agents::version.eq(version),
                    host_agents::since.eq(now.micros()),
                    host_agents::fact.eq(text),
                ))
                .execute(conn)?,
        ),
        Some(held) => {
            diesel::update(row()).set(host_agents::fact.eq(text)).execute(conn)?;
            if held != version {
                let since = (host_agents::version.eq(version), host_agents::since.eq(now.micros()));
                diesel::update(row()).set(since).execute(conn)?;
                diesel::update(row().filter(host_agents::failed_version.eq(version)))
                    .set((host_agents::failed_version.eq(None::<String>), host_agents::failed_error.eq(None::<String>)))
                    .execute(conn)?;
            }
        }
    }
    if let Some(failed) = fact.and_then(|f| f.failed.as_ref()).filter(|f| f.version != version) {
        let values = (
            host_agents::failed_version.eq(&failed.version),
            host_agents::failed_error.eq(&failed.error),
            host_agents::failed_at.eq(failed.at.micros()),
        );
        diesel::update(row()).set(values).execute(conn)?;
    }
    Ok(())
}

/// A release that did not work on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Where.
    pub host: HostId,
    /// The host's name.
    pub name: String,
    /// What.
    pub failed: FailedUpdate,
    /// A person has said since then that it may be tried again.
    pub forgiven: bool,
}

/// What did not work where, the newest first.
///
/// # Errors
/// When the database fails.
pub fn refused(conn: &mut Conn, limit: i64) -> StoreResult<Vec<Refused>> {
    type Found = (String, String, Option<String>, Option<String>, Option<i64>, Option<i64>);
    let rows = host_agents::table
        .inner_join(hosts::table)
        .filter(host_agents::failed_version.is_not_null())
        .order((host_agents::failed_at.desc(), host_agents::host_id))
        .limit(limit)
        .select((
            host_agents::host_id,
            hosts::name,
            host_agents::failed_version,
            host_agents::failed_error,
            host_agents::failed_at,
            host_agents::forgiven_at,
        ))
        .load::<Found>(conn)?;
    let refused = |r: Found| {
        let at = r.4.unwrap_or(0);
        Ok(Refused {
            host: parse("host_agents.host_id", &r.0)?,
            name: r.1,
            failed: FailedUpdate {
                version: r.2.unwrap_or_default(),
                error: r.3.unwrap_or_default(),
                at: Timestamp::from_micros(at),
            },
            forgiven: r.5.is_some_and(|forgiven| forgiven >= at),
        })
    };
    rows.into_iter().map(refused).collect()
}

/// Says that what failed on a host so far may be tried again. False if nothing is known of its agent.
///
/// # Errors
/// When the database fails.
pub fn forgive(conn: &mut Conn, host: HostId) -> StoreResult<bool> {
    let failed = host_agents::table.find(host.to_string()).filter(host_agents::failed_at.is_not_null());
    Ok(diesel::update(failed).set(host_agents::forgiven_at.eq(host_agents::failed_at)).execute(conn)? > 0)
}

/// A host's agent, for the gates of a roll-out.
#[derive(Clone, Debug)]
pub struct AgentRow {
    /// Which host.
    pub host: HostId,
    /// Its labels.
    pub tags: Vec<String>,
    /// When it was last heard from.
    pub last_seen_at: Option<Timestamp>,
    /// The version that it runs.
    pub version: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What it says of updates.
    pub fact: Option<UpdateFact>,
    /// The release that did not work, and when, unless it may be tried again.
    pub refused: Option<(String, Timestamp)>,
    /// The roll-out in which a person asked for its update.
    pub asked: Option<RolloutId>,
}

/// What did not work, unless a person has said since then that it may be tried again.
fn still_refused(version: Option<String>, at: Option<i64>, forgiven: Option<i64>) -> Option<(String, Timestamp)> {
    let open = forgiven.is_none_or(|forgiven| at.is_some_and(|at| at > forgiven));
    version.zip(time(at)).filter(|_| open)
}

fn asked_in(rollout: Option<&str>) -> StoreResult<Option<RolloutId>> {
    rollout.map(|id| parse("host_agents.asked_rollout", id)).transpose()
}

/// All enrolled hosts.
///
/// # Errors
/// When the database fails.
pub fn agents(conn: &mut Conn) -> StoreResult<Vec<AgentRow>> {
    type Found = (
        String,
        String,
        Option<i64>,
        String,
        Option<(String, i64, Option<String>, Option<String>, Option<i64>, Option<i64>, Option<String>)>,
    );
    let rows = hosts::table
        .left_join(host_agents::table)
        .filter(hosts::lifecycle.eq(Lifecycle::Enrolled.as_str()))
        .select((
            hosts::id,
            hosts::tags,
            hosts::last_seen_at,
            hosts::agent_version,
            (
                host_agents::version,
                host_agents::since,
                host_agents::fact,
                host_agents::failed_version,
                host_agents::failed_at,
                host_agents::forgiven_at,
                host_agents::asked_rollout,
            )
                .nullable(),
        ))
        .load::<Found>(conn)?;
    let agent = |r: Found| {
        let (version, since, fact, refused, asked) = match r.4 {
            None => (r.3, None, None, None, None),
            Some((version, since, fact, failed, at, forgiven, asked)) => {
                let fact = fact.as_deref().map(|f| from_json("host_agents.fact", f)).transpose()?;
                let refused = still_refused(failed, at, forgiven);
                (version, Some(Timestamp::from_micros(since)), fact, refused, asked_in(asked.as_deref())?)
            }
        };
        Ok(AgentRow {
            host: parse("hosts.id", &r.0)?,
            tags: from_json("hosts.tags", &r.1)?,
            last_seen_at: time(r.2),
            version,
            since,
            fact,
            refused,
            asked,
        })
    };
    rows.into_iter().map(agent).collect()
}

/// What an agent said of itself, for a person who asks for its update.
#[derive(Clone, Debug)]
pub struct Told {
    /// The version that it runs.
    pub version: String,
    /// What it says of updates.
    pub fact: Option<UpdateFact>,
    /// The release that did not work, unless it may be tried again.
    pub refused: Option<String>,
    /// The roll-out in which a person asked for its update.
    pub asked: Option<RolloutId>,
}

/// What the agents of these hosts said of themselves; none of those that said nothing yet.
///
/// # Errors
/// When the database fails.
pub fn told_of(conn: &mut Conn, hosts: &[HostId]) -> StoreResult<Vec<(HostId, Told)>> {
    type Found = (String, String, Option<String>, Option<String>, Option<i64>, Option<i64>, Option<String>);
    let ids: Vec<String> = hosts.iter().map(ToString::to_string).collect();
    let rows = host_agents::table
        .filter(host_agents::host_id.eq_any(ids))
        .select((
            host_agents::host_id,
            host_agents::version,
            host_agents::fact,
            host_agents::failed_version,
            host_agents::failed_at,
            host_agents::forgiven_at,
            host_agents::asked_rollout,
        ))
        .load::<Found>(conn)?;
    let told = |(host, version, fact, failed, at, forgiven, asked): Found| {
        let told = Told {
            version,
            fact: fact.as_deref().map(|f| from_json("host_agents.fact", f)).transpose()?,
            refused: still_refused(failed, at, forgiven).map(|(version, _)| version),
            asked: asked_in(asked.as_deref())?,
        };
        Ok((parse("host_agents.host_id", &host)?, told))
    };
    rows.into_iter().map(told).collect()
}

/// A person asks for the update of a host in this roll-out. False if nothing is known of its agent.
///
/// # Errors
/// When the database fails.
pub fn ask(conn: &mut Conn, host: HostId, rollout: RolloutId, now: Timestamp) -> StoreResult<bool> {
    let asked = (host_agents::asked_rollout.eq(rollout.to_string()), host_agents::asked_at.eq(now.micros()));
    Ok(diesel::update(host_agents::table.find(host.to_string())).set(asked).execute(conn)? > 0)
}

/// The hosts whose update somebody asked for in this roll-out, and when.
///
/// # Errors
/// When the database fails.
pub fn asked(conn: &mut Conn, rollout: RolloutId) -> StoreResult<Vec<(HostId, Timestamp)>> {
    let rows = host_agents::table
        .filter(host_agents::asked_rollout.eq(rollout.to_string()))
        .select((host_agents::host_id, host_agents::asked_at))
        .load::<(String, Option<i64>)>(conn)?;
    rows.into_iter()
        .map(|(host, at)| Ok((parse("host_agents.host_id", &host)?, Timestamp::from_micros(at.unwrap_or(0)))))
        .collect()
}

/// How many enrolled hosts run which version.
///
/// # Errors
/// When the database fails.
pub fn versions(conn: &mut Conn) -> StoreResult<Vec<(String, i64)>> {
    Ok(hosts::table
        .filter(hosts::lifecycle.eq(Lifecycle::Enrolled.as_str()))
        .group_by(hosts::agent_version)
        .select((hosts::agent_version, diesel::dsl::count_star()))
        .load(conn)?)
}

/// When somebody last said that what failed may be tried again, by host; only hosts where something failed.
///
/// # Errors
/// When the database fails.
pub fn forgiven(conn: &mut Conn) -> StoreResult<Vec<(HostId, Timestamp)>> {
    let rows = host_agents::table
        .filter(host_agents::forgiven_at.is_not_null())
        .select((host_agents::host_id, host_agents::forgiven_at))
        .load::<(String, Option<i64>)>(conn)?;
    rows.into_iter()
        .map(|(host, at)| Ok((parse("host_agents.host_id", &host)?, Timestamp::from_micros(at.unwrap_or(0)))))
        .collect()
}
