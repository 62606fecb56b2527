//! A host's tabs that are lists: its jobs and its snapshots.

use super::door::View;
use super::engine::Page;
use super::hosts::{Cursor, HostHead, PAGE, SnapshotRow, filter_of, head};
use super::names::Names;
use super::view::JobRow;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::{Services, jobs, snapshots};
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;

/// A host's jobs.
#[derive(Debug, Serialize)]
pub struct HostJobsPage {
    /// The head.
    pub head: HostHead,
    /// This page of them, newest first.
    pub jobs: Vec<JobRow>,
    /// The next page.
    pub next: Option<String>,
}

impl Page for HostJobsPage {
    const TEMPLATE: &'static str = "pages/host-jobs.html";
    const NAV: &'static str = "hosts";
}

/// A host's snapshots.
#[derive(Debug, Serialize)]
pub struct HostSnapshotsPage {
    /// The head.
    pub head: HostHead,
    /// This page of them, newest first.
    pub snapshots: Vec<SnapshotRow>,
    /// The next page.
    pub next: Option<String>,
}

impl Page for HostSnapshotsPage {
    const TEMPLATE: &'static str = "pages/host-snapshots.html";
    const NAV: &'static str = "hosts";
}

/// A host's jobs.
#[get("/hosts/{id}/jobs")]
pub async fn host_jobs(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    page: web::Query<Cursor>,
) -> Result<HttpResponse, ApiError> {
    let now = Timestamp::now();
    let head = head(&s, *id, "jobs", now).await?;
    let listed = jobs::list(&s, filter_of(*id), page.into_inner().cursor, PAGE).await?;
    let jobs = Names::default().rows(&s, &listed.items, now).await?;
    view.show(&who, &HostJobsPage { head, jobs, next: listed.next }).await
}

/// A host's snapshots.
#[get("/hosts/{id}/snapshots")]
pub async fn host_snapshots(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    page: web::Query<Cursor>,
) -> Result<HttpResponse, ApiError> {
    let now = Timestamp::now();
    let head = head(&s, *id, "snapshots", now).await?;
    let listed = snapshots::of_host(&s, *id, page.into_inner().cursor, PAGE).await?;
    let snapshots = listed.items.iter().map(|snapshot| SnapshotRow::new(snapshot, now)).collect();
    view.show(&who, &HostSnapshotsPage { head, snapshots, next: listed.next }).await
}
