//! Names for the identities that jobs and snapshots carry, looked up once for each page.

use super::view::JobRow;
use crate::domain::fleet::Host;
use crate::domain::job::{Job, JobKind};
use crate::domain::snapshot::Snapshot;
use crate::http::problem::ApiError;
use crate::service::names::{self, Wanted};
use crate::service::{ActError, Services, hosts, repositories, schedules};
use crate::words::things;
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use std::collections::HashMap;

/// Names by identity. What was deleted is called so.
#[derive(Debug, Default)]
pub struct Names {
    hosts: HashMap<HostId, String>,
    schedules: HashMap<ScheduleId, Option<String>>,
    repositories: HashMap<RepositoryId, Option<String>>,
}

fn kept<T>(found: Result<T, ActError>) -> Result<Option<T>, ActError> {
    match found {
        Ok(found) => Ok(Some(found)),
        Err(ActError::NotFound(_)) => Ok(None),
        Err(other) => Err(other),
    }
}

impl Names {
    /// Names that are known already.
    pub fn know(&mut self, host: &Host) {
        self.hosts.insert(host.id, host.name.clone());
    }

    /// A host's name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn host(&mut self, s: &Services, id: HostId) -> Result<String, ApiError> {
        if let Some(name) = self.hosts.get(&id) {
            return Ok(name.clone());
        }
        let name = kept(hosts::get(s, id).await)?.map_or_else(|| things::HOST.to_owned(), |host| host.name);
        self.hosts.insert(id, name.clone());
        Ok(name)
    }

    /// A host's name; none if it was deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn known_host(&mut self, s: &Services, id: HostId) -> Result<Option<String>, ApiError> {
        Ok(Some(self.host(s, id).await?).filter(|name| name != things::HOST))
    }

    /// A schedule's name; none if it was deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn schedule(&mut self, s: &Services, id: ScheduleId) -> Result<Option<String>, ApiError> {
        if let Some(name) = self.schedules.get(&id) {
            return Ok(name.clone());
        }
        let name = kept(schedules::get(s, id).await)?.map(|schedule| schedule.name);
        self.schedules.insert(id, name.clone());
        Ok(name)
    }

    /// A repository's name; none if it was deleted.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn repository(&mut self, s: &Services, id: RepositoryId) -> Result<Option<String>, ApiError> {
        if let Some(name) = self.repositories.get(&id) {
            return Ok(name.clone());
        }
        let name = kept(repositories::get(s, id).await)?.map(|repository| repository.name);
        self.repositories.insert(id, name.clone());
        Ok(name)
    }

    /// What a job is about: its schedule, or else its repository.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn about(&mut self, s: &Services, job: &Job) -> Result<String, ApiError> {
        let about = match (job.kind, job.schedule_id, job.repository_id) {
            (JobKind::Backup, Some(schedule), _) => {
                Some(self.schedule(s, schedule).await?.unwrap_or_else(|| things::SCHEDULE.to_owned()))
            }
            (JobKind::Backup, None, _) => Some(things::SCHEDULE.to_owned()),
            (_, _, Some(repository)) => self.repository(s, repository).await?,
            (JobKind::CacheCleanup | JobKind::Version, _, None) => Some(things::HOST_ITSELF.to_owned()),
            (_, _, None) => None,
        };
        Ok(about.unwrap_or_else(|| things::REPOSITORY.to_owned()))
    }

    /// Learns in one go what the rows of these jobs show.
    async fn learn_of_jobs(&mut self, s: &Services, jobs: &[Job]) -> Result<(), ApiError> {
        let wanted = Wanted {
            hosts: jobs.iter().map(|job| job.host_id).collect(),
            schedules: jobs.iter().filter_map(|job| job.schedule_id).collect(),
            repositories: jobs.iter().filter_map(|job| job.repository_id).collect(),
        };
        self.learn(s, wanted).await
    }

    /// Learns in one go what the rows of these snapshots show.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learn_of_snapshots(&mut self, s: &Services, snapshots: &[Snapshot]) -> Result<(), ApiError> {
        let wanted = Wanted {
            hosts: snapshots.iter().filter_map(|snapshot| snapshot.host_id).collect(),
            schedules: snapshots.iter().filter_map(|snapshot| snapshot.schedule_id).collect(),
            repositories: snapshots.iter().map(|snapshot| snapshot.repository_id).collect(),
        };
        self.learn(s, wanted).await
    }

    /// Learns what is not known yet, in one go. What was deleted is learned, too: as gone.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn learn(&mut self, s: &Services, mut wanted: Wanted) -> Result<(), ApiError> {
        wanted.hosts.retain(|id| !self.hosts.contains_key(id));
        wanted.schedules.retain(|id| !self.schedules.contains_key(id));
        wanted.repositories.retain(|id| !self.repositories.contains_key(id));
        wanted.hosts.sort();
        wanted.hosts.dedup();
        wanted.schedules.sort();
        wanted.schedules.dedup();
        wanted.repositories.sort();
        wanted.repositories.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        self.hosts.extend(wanted.hosts.iter().map(|id| (*id, things::HOST.to_owned())));
        self.schedules.extend(wanted.schedules.iter().map(|id| (*id, None)));
        self.repositories.extend(wanted.repositories.iter().map(|id| (*id, None)));
        let found = names::of(s, wanted).await?;
        self.hosts.extend(found.hosts);
        self.schedules.extend(found.schedules.into_iter().map(|(id, name)| (id, Some(name))));
        self.repositories.extend(found.repositories.into_iter().map(|(id, name)| (id, Some(name))));
        Ok(())
    }

    /// Jobs as rows.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn rows(&mut self, s: &Services, jobs: &[Job], now: Timestamp) -> Result<Vec<JobRow>, ApiError> {
        self.learn_of_jobs(s, jobs).await?;
        let mut rows = Vec::with_capacity(jobs.len());
        for job in jobs {
            let (host, about) = (self.host(s, job.host_id).await?, self.about(s, job).await?);
            rows.push(JobRow::new(job, host, about, now));
        }
        Ok(rows)
    }
}
