//! Search over everything, for scripts.

use super::Errors;
use crate::domain::job::{JobKind, JobState};
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::{ActError, Services, search};
use actix_web::{get, web};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What is looked for.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct SearchQuery {
    /// A part of a name, path, address or tag, or at least four digits that an identity begins with. Needed.
    // Not by its type: who may ask is found out first.
    #[serde(default)]
    #[param(max_length = 200)]
    pub q: String,
}

/// A thing that was found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SearchHit {
    /// A host, by its name, host name or tags.
    Host {
        /// Which.
        id: HostId,
        /// Its name.
        name: String,
    },
    /// A schedule, by its name or paths.
    Schedule {
        /// Which.
        id: ScheduleId,
        /// Its name.
        name: String,
        /// Whose.
        host_id: HostId,
        /// Its host's name.
        host: String,
    },
    /// A repository, by its name or address.
    Repository {
        /// Which.
        id: RepositoryId,
        /// Its name.
        name: String,
        /// Its address.
        url: String,
    },
    /// A job, by the beginning of its identity.
    Job {
        /// Which.
        id: JobId,
        /// What it does.
        operation: JobKind,
        /// How it is.
        state: JobState,
        /// Its host's name.
        host: String,
        /// When it was queued.
        queued_at: Timestamp,
    },
    /// A snapshot, by the beginning of its id.
    Snapshot {
        /// Its whole id.
        id: String,
        /// Where it is.
        repository_id: RepositoryId,
        /// When it was taken.
        time: Timestamp,
    },
}

/// What was found.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SearchHits {
    /// By kind, of each at most twenty.
    pub items: Vec<SearchHit>,
}

/// Search
///
/// Finds hosts, schedules and repositories by a part of their name, jobs and snapshots by the beginning of their identity.
#[utoipa::path(operation_id = "search", tag = "server", params(SearchQuery), responses((status = 200, body = SearchHits), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/search")]
pub async fn search_all(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<SearchQuery>,
) -> Result<web::Json<SearchHits>, ApiError> {
    if query.q.trim().is_empty() {
        return Err(ActError::field("/q", "what is looked for, 1 to 200 bytes").into());
    }
    let found = search::find(&s, &query.q).await?;
    let hosts = found.hosts.into_iter().map(|(id, name)| SearchHit::Host { id, name });
    let schedules = found.schedules.into_iter().map(|f| SearchHit::Schedule {
        id: f.id,
        name: f.name,
        host_id: f.host,
        host: f.host_name,
    });
    let repositories = found.repositories.into_iter().map(|(id, name, url)| SearchHit::Repository { id, name, url });
    let jobs = found.jobs.into_iter().map(|f| SearchHit::Job {
        id: f.id,
        operation: f.kind,
        state: f.state,
        host: f.host_name,
        queued_at: f.at,
    });
    let snapshots =
        found.snapshots.into_iter().map(|f| SearchHit::Snapshot { id: f.id, repository_id: f.repository, time: f.at });
    let items = hosts.chain(schedules).chain(repositories).chain(jobs).chain(snapshots).collect();
    Ok(web::Json(SearchHits { items }))
}
