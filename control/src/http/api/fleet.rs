//! The fleet in figures over the API: what the dashboard says of it.

use super::Errors;
use crate::domain::job::JobState;
use crate::domain::protection::Protection;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::{Services, protection};
use crate::store::next_runs::Coming;
use actix_web::{get, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Instants at which something starts that are told.
const INSTANTS: i64 = 6;
/// Hosts that are named at each.
const NAMED: i64 = 20;

/// Which part of the fleet.
#[derive(Clone, Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct FleetQuery {
    /// Hosts with this tag.
    pub host_tag: Option<String>,
}

/// The fleet in figures.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct FleetView {
    /// Hosts in all.
    pub hosts: i64,
    /// That count as protected, with warnings or without.
    pub protected: i64,
    /// Hosts by how well they are protected; no state is named in which none is.
    pub by_protection: Vec<HostsIn>,
    /// Jobs that ended within the last 24 hours, by how.
    pub ended_last_day: Vec<JobsIn>,
    /// The next instants at which something starts by itself, the soonest first.
    pub next_runs: Vec<NextRuns>,
}

/// How many hosts stand so.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct HostsIn {
    /// How.
    pub state: Protection,
    /// How many.
    pub hosts: i64,
}

/// How many jobs ended so.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct JobsIn {
    /// How.
    pub state: JobState,
    /// How many.
    pub jobs: i64,
}

/// What starts at one instant.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NextRuns {
    /// When.
    pub at: Timestamp,
    /// How many runs.
    pub runs: i64,
    /// Some of the hosts, at most twenty.
    pub hosts: Vec<NextHost>,
}

/// A host that runs then.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct NextHost {
    /// Which.
    pub id: HostId,
    /// Its name.
    pub name: String,
}

impl From<Coming> for NextRuns {
    fn from(coming: Coming) -> Self {
        let hosts = coming.hosts.into_iter().map(|(id, name)| NextHost { id, name }).collect();
        Self { at: coming.at, runs: coming.runs, hosts }
    }
}

/// The fleet in figures
///
/// How many hosts are protected, how the last day's jobs ended, and what starts next: of all hosts, or of those with a tag.
#[utoipa::path(operation_id = "getFleet", tag = "hosts", params(FleetQuery), responses((status = 200, body = FleetView), Errors), security(("bearer" = [])), extensions(("x-role" = json!("viewer"))))]
#[get("/fleet")]
pub async fn get_fleet(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    query: web::Query<FleetQuery>,
) -> Result<web::Json<FleetView>, ApiError> {
    let (now, tag) = (Timestamp::now(), query.into_inner().host_tag);
    let (figures, next) = tokio::try_join!(
        protection::figures(&s, tag.clone(), now),
        protection::coming(&s, tag, now, (INSTANTS, NAMED))
    )?;
    let by_protection = Protection::ALL.iter().map(|state| HostsIn { state: *state, hosts: figures.stand(&[*state]) });
    let ended = JobState::ALL.iter().map(|state| JobsIn { state: *state, jobs: figures.ended(&[*state]) });
    Ok(web::Json(FleetView {
        hosts: figures.stand(Protection::ALL),
        protected: figures.stand(&[Protection::Protected, Protection::Warning]),
        by_protection: by_protection.filter(|some| some.hosts > 0).collect(),
        ended_last_day: ended.filter(|some| some.jobs > 0).collect(),
        next_runs: next.into_iter().map(NextRuns::from).collect(),
    }))
}
