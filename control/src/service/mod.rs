//! The acts: one function for each thing that a person, a script, an agent or the server itself may do, with its rule, its audit entry
//! and its transaction in one place. The same act comes through every door: page, API, agent, background.

pub mod accounts;
pub mod agents;
pub mod alerts;
pub mod audit;
pub mod changes;
pub mod channel_input;
pub mod channels;
pub mod doctor;
pub mod drills;
pub mod enrollment;
pub mod error;
pub mod exports;
mod findings;
pub mod fires;
pub mod general;
pub mod health;
pub mod host_actions;
pub mod hosts;
pub mod identity;
pub mod ingest;
pub mod installs;
pub mod jobs;
mod listing;
pub mod locks;
pub mod names;
pub mod navigation;
pub mod notices;
pub mod operations;
mod outcomes;
pub mod pauses;
pub mod poll;
pub mod protection;
pub mod queries;
pub mod random;
pub mod recall;
pub mod recovery;
mod release_refusal;
pub mod releases;
pub mod repositories;
pub mod repository_users;
pub mod restores;
pub mod retention;
pub mod rollouts;
pub mod rotation;
pub mod run_now;
pub mod schedules;
pub mod search;
pub mod seed;
pub mod snapshots;
pub mod state;
pub mod summaries;
pub mod tokens;
pub mod upkeep;
pub mod user_admin;
pub mod users;
pub mod vault;
pub mod watch;

pub use error::{ActError, Noun, Refusal};
pub use release_refusal::ReleaseRefusal;

use crate::courier::Couriers;
use crate::hub::Hub;
use crate::presence::Presence;
use crate::store::Db;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::recall::Restored;
use std::str::FromStr;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::watch::Receiver;

/// Everything that the acts need, built once in `app`.
pub struct Services {
    /// The database.
    pub db: Db,
    /// Wake-ups.
    pub hub: Hub,
    /// Who was heard from.
    pub presence: Presence,
    /// Encryption at rest.
    pub vault: vault::Vault,
    /// Who this control plane is.
    pub identity: identity::Identity,
    /// How far schedules were judged.
    pub judged: fires::Judged,
    /// Agents' tokens that were checked already.
    pub agent_tokens: agents::TokenCache,
    /// Questions that wait for hosts.
    pub questions: queries::Questions,
    /// Files of releases, and what offers are made from.
    pub releases: releases::Releases,
    /// Uses of API tokens that are not written down yet.
    pub token_uses: tokens::Uses,
    /// Install commands that may be shown again.
    pub shown: installs::Shown,
    /// Limits on signing in.
    pub gate: users::Gate,
    /// How long a running job may be silent, in seconds; agents are told, and give signs of life in time.
    pub lease: u32,
    /// That the database came out of an export, if it did.
    pub restored: Option<Restored>,
    /// When this process started.
    pub started_at: Timestamp,
    /// Who carries messages to channels.
    pub couriers: Couriers,
    /// Says that there may be something to send.
    pub outbox: Notify,
    /// How people reach this server, if it was told.
    pub public_url: Option<String>,
    /// How many jobs the whole fleet may run at the same time; none for no limit.
    pub fleet_limit: Option<u32>,
    /// Becomes true when the server stops: held requests are answered at once.
    pub stopping: Receiver<bool>,
}

impl Services {
    /// Why nothing can be written to the database, if that is so.
    #[must_use]
    pub fn trouble(&self) -> Option<crate::store::Trouble> {
        self.db.trouble()
    }

    /// How long a running job may be silent.
    #[must_use]
    pub fn leased(&self) -> Duration {
        Duration::from_secs(self.lease.into())
    }
}

/// A page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed<T> {
    /// The entries.
    pub items: Vec<T>,
    /// Where the next page begins; none if this is the last.
    pub next: Option<String>,
}

/// The most entries of a page.
pub const MAX_PAGE: i64 = 200;

/// Where a page of a list begins: what its cursor says, if there is one.
///
/// # Errors
/// When it is not one of this list.
pub(crate) fn after<T>(cursor: Option<String>, read: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, ActError> {
    cursor.map(|c| read(&c).ok_or_else(|| ActError::field("/cursor", "not a cursor of this list"))).transpose()
}

/// Reads a cursor of the form `<microseconds>.<id>`.
pub(crate) fn at_and_id<T: FromStr>(cursor: &str) -> Option<(Timestamp, T)> {
    let (at, id) = cursor.split_once('.')?;
    Some((Timestamp::from_micros(at.parse().ok()?), id.parse().ok()?))
}

/// Cuts a list that was asked for with one entry more than the page holds.
pub(crate) fn page<T>(mut items: Vec<T>, limit: i64, cursor: impl FnOnce(&T) -> String) -> Listed<T> {
    let limit = usize::try_from(limit).unwrap_or(0);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more { items.last().map(cursor) } else { None };
    Listed { items, next }
}
