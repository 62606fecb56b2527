//! The snapshots of all hosts over the API. Those of one host or one repository are listed there.

use super::Errors;
use crate::domain::snapshot::Snapshot;
use crate::http::guard::{Guarded, Viewer};
use crate::http::params::Paging;
use crate::http::problem::ApiError;
use crate::service::{Services, snapshots};
use actix_web::{get, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A page of snapshots.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct SnapshotList {
    /// Newest first.
    pub items: Vec<Snapshot>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// Which snapshots, of all hosts.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct AllSnapshotsQuery {
    /// One host's.
    pub host_id: Option<HostId>,
    /// One repository's.
    pub repository_id: Option<RepositoryId>,
    /// Of hosts with this tag.
    pub host_tag: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Taken then or later.
    pub since: Option<Timestamp>,
    /// Taken before this.
    pub until: Option<Timestamp>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// List the snapshots of all hosts
///
/// Newest first, as far as they were reported or listed.
#[utoipa::path(operation_id = "listAllSnapshots", tag = "snapshots", params(AllSnapshotsQuery), responses((status = 200, body = SnapshotList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/snapshots")]
pub async fn list_all_snapshots(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<AllSnapshotsQuery>,
) -> Result<web::Json<SnapshotList>, ApiError> {
    let query = query.into_inner();
    let limit = Paging { limit: query.limit, cursor: None }.limit()?;
    let filter = snapshots::Filter {
        host: query.host_id,
        host_tag: query.host_tag,
        repository: query.repository_id,
        tag: query.tag,
        since: query.since,
        until: query.until,
        ..snapshots::Filter::default()
    };
    let page = snapshots::list(&s, filter, query.cursor, limit).await?;
    Ok(web::Json(SnapshotList { items: page.items, next: page.next }))
}
