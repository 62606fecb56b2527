//! One repository, tab by tab: what stands above all tabs of it, and what the tabs share.

pub mod access;
pub mod ask;
pub mod changes;
pub mod fields;
pub mod lines;
pub mod locks;
pub mod maintenance;
pub mod operations;
pub mod overview;
pub mod question;
pub mod retention;
pub mod settings;
pub mod snapshots;

use super::names::Names;
use super::repositories::RepositoryRow;
use super::view::{Badge, JobRow};
use crate::domain::health::Level;
use crate::domain::job::Job;
use crate::domain::place::is_per_host;
use crate::domain::repository::Repository;
use crate::http::problem::ApiError;
use crate::service::health::{self, HealthView};
use crate::service::{Services, alerts, jobs, repositories, repository_users};
use crate::store::jobs::Filter;
use crate::words::state;
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// What stands above all tabs of a repository.
#[derive(Debug, Serialize)]
pub struct Head {
    /// The repository.
    pub repository: RepositoryRow,
    /// The open tab.
    pub tab: &'static str,
    /// How it is on the whole.
    pub badge: Badge,
    /// How many snapshots it holds.
    pub snapshots: u64,
    /// How many hosts may use it.
    pub hosts: u64,
    /// Each host has a repository of its own there.
    pub per_host: bool,
    /// The same press twice is one job.
    pub key: String,
    /// Hosts have credentials, and none of them may delete: nothing can be forgotten or pruned.
    pub none_can_forget: bool,
}

/// A repository with its health, as every tab begins.
pub struct Opened {
    /// It.
    pub repository: Repository,
    /// How it is.
    pub health: HealthView,
    /// Damage that a check has found and that no later one has found gone, whoever asked for it.
    pub damage: Vec<String>,
    /// Its newest jobs.
    pub newest: Vec<Job>,
    /// When it was looked at.
    pub now: Timestamp,
}

impl Opened {
    /// Looks a repository up.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn of(s: &Services, id: RepositoryId) -> Result<Self, ApiError> {
        let repository = repositories::get(s, id).await?;
        let health = health::of_repository(s, id).await?;
        let filter = Filter { repository: Some(id), ..Filter::default() };
        let newest = jobs::list(s, filter, None, 8).await?.items;
        let damage = alerts::damage(s, id).await?.into_iter().map(|alert| alert.detail).collect();
        Ok(Self { repository, health, damage, newest, now: Timestamp::now() })
    }

    /// What stands above its tabs.
    #[must_use]
    pub fn head(&self, tab: &'static str) -> Head {
        let counts = self.health.credentials;
        Head {
            repository: RepositoryRow::new(&self.repository, self.now),
            tab,
            badge: level_badge(self.health.health.level),
            snapshots: self.health.snapshots,
            hosts: counts.append_only + counts.full,
            per_host: is_per_host(&self.repository.url),
            key: super::hosts::press_key(self.newest.first()),
            none_can_forget: counts.append_only > 0 && counts.full == 0,
        }
    }
}

/// How a repository is, for its head.
#[must_use]
pub const fn level_badge(level: Level) -> Badge {
    match level {
        Level::Unknown => Badge { class: "mute", icon: "never", word: state::level(level), loud: false },
        Level::Ok => Badge { class: "ok", icon: "ok", word: state::level(level), loud: true },
        Level::Warning => Badge { class: "warn", icon: "warn", word: state::level(level), loud: true },
        Level::Critical => Badge { class: "bad", icon: "bad", word: state::level(level), loud: true },
    }
}

/// A host that may use a repository, to choose.
#[derive(Clone, Debug, Serialize)]
pub struct UserChoice {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What its credential may do.
    pub mode: &'static str,
}

/// The hosts that may use a repository, to choose from.
#[derive(Debug, Serialize)]
pub struct Users {
    /// They, by name; none if the name is typed.
    pub items: Vec<UserChoice>,
    /// There are too many for a list.
    pub typed: bool,
}

/// A list of more hosts than this is no help, and there is one in each of many forms.
const FEW: i64 = 30;

impl Users {
    /// The hosts that may use a repository.
    ///
    /// # Errors
    /// When there is no such repository.
    pub async fn of(s: &Services, id: RepositoryId) -> Result<Self, ApiError> {
        let listed = repository_users::list(s, id, "", None, FEW).await?;
        let typed = listed.next.is_some();
        let choice = |c: repositories::CredentialView| UserChoice {
            id: c.host_id.to_string(),
            name: c.host_name,
            mode: crate::words::repository::mode(c.mode),
        };
        let items = if typed { vec![] } else { listed.items.into_iter().map(choice).collect() };
        Ok(Self { items, typed })
    }

    /// What stands in the field: the identity of a choice, or the name where it is typed.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn value(&self, s: &Services, names: &mut Names, chosen: &str) -> Result<String, ApiError> {
        match chosen.parse::<HostId>() {
            Ok(host) if self.typed => names.host(s, host).await,
            _ => Ok(chosen.to_owned()),
        }
    }
}

/// A job that is not over, with what it waits for.
#[derive(Debug, Serialize)]
pub struct OpenJob {
    /// The job.
    pub job: JobRow,
    /// What it waits for.
    pub waits: Option<super::waits::Waits>,
}

/// The jobs of a repository that are not over, in the order in which they were asked for.
///
/// # Errors
/// When the database fails.
pub async fn open_jobs(s: &Services, id: RepositoryId, names: &mut Names) -> Result<Vec<OpenJob>, ApiError> {
    use crate::domain::job::JobState::{Dispatched, Queued, Running};
    let now = Timestamp::now();
    let filter = Filter { repository: Some(id), states: vec![Queued, Dispatched, Running], ..Filter::default() };
    let mut found = vec![];
    for job in jobs::list(s, filter, None, 20).await?.items.into_iter().rev() {
        let job = jobs::get(s, job.id).await?;
        let waits = super::waits::of(s, &job, names).await?;
        if let Some(row) = names.rows(s, std::slice::from_ref(&job), now).await?.pop() {
            found.push(OpenJob { job: row, waits });
        }
    }
    Ok(found)
}
