//! Drills over the API: what was proven restorable, when and how; as JSON and as CSV.

use super::Errors;
use crate::domain::drill::{Drill, DrillStanding, DrilledEvidence};
use crate::http::csv::{Csv, KIND, attachment};
use crate::http::guard::{Guarded, Viewer};
use crate::http::params::Paging;
use crate::http::problem::ApiError;
use crate::service::drills::Filter;
use crate::service::{ActError, Services, drills};
use actix_web::http::header;
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::{HostId, ScheduleId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// The most lines of one CSV.
const MOST_LINES: u32 = 10_000;

/// A page of drills.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DrillList {
    /// The newest first.
    pub items: Vec<Drill>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// How a host's schedules stand.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct DrillStandings {
    /// When backups of the host were last proven restorable: the newest of all its schedules.
    pub proven_at: Option<Timestamp>,
    /// Each schedule.
    pub items: Vec<DrillStanding>,
    /// There is no next page.
    pub next: Option<String>,
}

/// A page of evidence.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EvidenceList {
    /// In an order of its own, the same on each page.
    pub items: Vec<DrilledEvidence>,
    /// Pass as `cursor` for the next page.
    pub next: Option<String>,
}

/// Which drills.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DrillQuery {
    /// One host's.
    pub host_id: Option<HostId>,
    /// One schedule's.
    pub schedule_id: Option<ScheduleId>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Entries in the answer.
    #[param(minimum = 1, maximum = 200)]
    pub limit: Option<u32>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// Which drills, as CSV.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct DrillCsvQuery {
    /// One host's.
    pub host_id: Option<HostId>,
    /// One schedule's.
    pub schedule_id: Option<ScheduleId>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// Lines at most, 10000 if not said.
    #[param(minimum = 1, maximum = 10_000)]
    pub limit: Option<u32>,
    /// Where the file before ended: `cursor` of its `Link` header.
    pub cursor: Option<String>,
}

/// List drills
///
/// What each file of a drill came to is in the outcome of its job. The newest 500 of each schedule are kept.
#[utoipa::path(operation_id = "listDrills", tag = "drills", params(DrillQuery), responses((status = 200, body = DrillList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/drills")]
pub async fn list_drills(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<DrillQuery>,
) -> Result<web::Json<DrillList>, ApiError> {
    let DrillQuery { host_id, schedule_id, since, until, limit, cursor } = query.into_inner();
    let filter = Filter { host: host_id, schedule: schedule_id, since, until };
    let limit = Paging { limit, cursor: None }.limit()?;
    let page = drills::list(&s, filter, cursor, limit).await?;
    Ok(web::Json(DrillList { items: page.items, next: page.next }))
}

/// Download drills as CSV
///
/// The same as the list, for spreadsheets: a cell that looks like a formula has an apostrophe before it. Where there is more than one file
/// holds, the `Link` header says where the next begins.
#[utoipa::path(operation_id = "downloadDrills", tag = "drills", params(DrillCsvQuery), responses((status = 200, body = String, content_type = "text/csv"), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/drills.csv")]
pub async fn download_drills(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<DrillCsvQuery>,
) -> Result<HttpResponse, ApiError> {
    let DrillCsvQuery { host_id, schedule_id, since, until, limit, cursor } = query.into_inner();
    let limit = limit.unwrap_or(MOST_LINES);
    if !(1..=MOST_LINES).contains(&limit) {
        return Err(ActError::field("/limit", "1 to 10000").into());
    }
    let filter = Filter { host: host_id, schedule: schedule_id, since, until };
    let page = drills::list(&s, filter.clone(), cursor, limit.into()).await?;
    let text = csv(&s, &page.items).await?.text()?;
    let mut answer = attachment(KIND, "drills.csv").body(text);
    if let Some(next) = page.next {
        let link = format!("</api/v1/drills.csv?{}&cursor={next}>; rel=\"next\"", narrowed(&filter, limit));
        let value = header::HeaderValue::from_str(&link).map_err(|_| ActError::Internal("a link that is no header"))?;
        answer.headers_mut().insert(header::LINK, value);
    }
    Ok(answer)
}

/// The query that narrows a list so; the limit is always said, so that more can be put behind it.
fn narrowed(filter: &Filter, limit: u32) -> String {
    let said = [
        ("host_id", filter.host.map(|id| id.to_string())),
        ("schedule_id", filter.schedule.map(|id| id.to_string())),
        ("since", filter.since.map(|at| at.to_string())),
        ("until", filter.until.map(|at| at.to_string())),
        ("limit", Some(limit.to_string())),
    ];
    let pairs: Vec<String> = said.into_iter().filter_map(|(name, v)| Some(format!("{name}={}", v?))).collect();
    pairs.join("&")
}

async fn csv(s: &Services, drills: &[Drill]) -> Result<Csv, ApiError> {
    let mut names = crate::http::pages::names::Names::default();
    let mut csv = Csv::new(&[
        "ended_at",
        "verdict",
        "host",
        "schedule",
        "repository",
        "snapshot",
        "snapshot_time",
        "asked_by",
        "files_proven",
        "equal_to_source",
        "hash_verified",
        "files_failed",
        "files_not_there",
        "files_left_out",
        "bytes",
        "files_in_snapshot",
        "note",
        "job_id",
    ]);
    for drill in drills {
        let (record, counts) = (&drill.record, &drill.record.counts);
        let schedule = match drill.schedule_id {
            Some(id) => names.schedule(s, id).await?,
            None => None,
        };
        let repository = match drill.repository_id {
            Some(id) => names.repository(s, id).await?,
            None => None,
        };
        let told = [
            drill.at.to_string(),
            drill.verdict.to_string(),
            names.host(s, drill.host_id).await?,
            schedule.unwrap_or_default(),
            repository.unwrap_or_default(),
            record.snapshot.clone(),
            record.snapshot_time.map(|at| at.to_string()).unwrap_or_default(),
            if record.planned { "plan".into() } else { "person".into() },
        ];
        let counted = [
            counts.proven,
            counts.equal_to_source,
            counts.hash_verified,
            counts.failed,
            counts.not_there,
            counts.left_out,
            counts.bytes,
            counts.snapshot_files,
        ];
        let last = [record.note.clone().unwrap_or_default(), drill.job_id.to_string()];
        csv.line(told.into_iter().chain(counted.map(|n| n.to_string())).chain(last));
    }
    Ok(csv)
}

/// Show how a host's drills stand
///
/// Of each schedule: its plan, when its drill is due next, and when its backups were last proven restorable.
#[utoipa::path(operation_id = "getHostDrills", tag = "drills", params(("id" = HostId, Path)), responses((status = 200, body = DrillStandings), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/hosts/{id}/drills")]
pub async fn get_host_drills(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<web::Json<DrillStandings>, ApiError> {
    let items = drills::standing(&s, *id, Timestamp::now()).await?;
    let proven_at = items.iter().filter_map(|standing| standing.proven_at).max();
    Ok(web::Json(DrillStandings { proven_at, items, next: None }))
}

/// List what is proven of a schedule's files
///
/// The last drill of each file: out of which snapshot, when, and how. The newest 5000 files are kept.
#[utoipa::path(operation_id = "listDrilledFiles", tag = "drills", params(("id" = ScheduleId, Path), Paging), responses((status = 200, body = EvidenceList), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/schedules/{id}/drilled-files")]
pub async fn list_drilled_files(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    id: web::Path<ScheduleId>,
    paging: web::Query<Paging>,
) -> Result<web::Json<EvidenceList>, ApiError> {
    let limit = paging.limit()?;
    let page = drills::evidence(&s, *id, paging.into_inner().cursor, limit).await?;
    Ok(web::Json(EvidenceList { items: page.items, next: page.next }))
}
