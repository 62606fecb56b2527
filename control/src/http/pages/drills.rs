//! Drills, for people: when each schedule's backups were last proven restorable, and each drill with what it came to.

use super::door::View;
use super::engine::Page;
use super::hosts::PAGE;
use super::names::Names;
use super::when;
use crate::domain::drill::{Drill, DrillStanding, DrillVerdict};
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::drills::Filter;
use crate::service::{Services, drills, hosts};
use crate::words::Moment;
use crate::words::capital;
use crate::words::things;
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Drills.
#[derive(Debug, Serialize)]
pub struct DrillsPage {
    /// The host that it is narrowed to: identity and name.
    pub host: Option<(String, String)>,
    /// How the host's schedules stand.
    pub schedules: Vec<StandingRow>,
    /// This page of them, newest first.
    pub drills: Vec<DrillRow>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
}

impl Page for DrillsPage {
    const TEMPLATE: &'static str = "pages/drills.html";
    const NAV: &'static str = "jobs";
}

/// How a schedule stands.
#[derive(Clone, Debug, Serialize)]
pub struct StandingRow {
    /// The schedule's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its plan's line in words; none if it has no plan.
    pub plan: Option<String>,
    /// When its drill is due next.
    pub next: Option<Moment>,
    /// When it was last proven.
    pub proven: Option<Moment>,
    /// The newest drill's job.
    pub last_job: Option<String>,
    /// What is in the way, or was wrong.
    pub note: Option<String>,
}

impl StandingRow {
    /// A standing as a row.
    #[must_use]
    pub fn new(standing: &DrillStanding, now: Timestamp) -> Self {
        let moment = |at: Option<Timestamp>| at.map(|at| Moment::new(at, now));
        Self {
            id: standing.schedule_id.to_string(),
            name: standing.schedule.clone(),
            plan: standing.plan.as_ref().map(|p| when::words(&p.cron).unwrap_or_else(|| p.cron.clone())),
            next: moment(standing.next_at),
            proven: moment(standing.proven_at),
            last_job: standing.last_job_id.map(|id| id.to_string()),
            note: standing.note.as_deref().map(capital),
        }
    }
}

/// A drill in a list.
#[derive(Debug, Serialize)]
pub struct DrillRow {
    /// Its job.
    pub job: String,
    /// The host's identity.
    pub host_id: String,
    /// The host's name.
    pub host: String,
    /// The schedule's name.
    pub schedule: String,
    /// When it ended.
    pub at: Moment,
    /// The verdict's class.
    pub class: &'static str,
    /// The verdict's icon.
    pub icon: &'static str,
    /// The verdict.
    pub word: &'static str,
    /// How many files were proven.
    pub proven: u64,
    /// How many were not.
    pub failed: u64,
    /// How many of the proven are equal to the files on the host.
    pub equal: u64,
    /// Bytes restored.
    pub bytes: u64,
    /// The first digits of the snapshot's id.
    pub snapshot: String,
    /// Whether the plan asked for it.
    pub planned: bool,
    /// Why, if not all is proven.
    pub note: Option<String>,
}

const fn badge(verdict: DrillVerdict) -> (&'static str, &'static str, &'static str) {
    let (class, icon) = match verdict {
        DrillVerdict::Proven => ("ok", "ok"),
        DrillVerdict::Differs => ("bad", "bad"),
        DrillVerdict::Failed => ("warn", "warn"),
        DrillVerdict::Nothing => ("mute", "info"),
    };
    (class, icon, crate::words::state::drill(verdict))
}

async fn row(s: &Services, drill: &Drill, names: &mut Names, now: Timestamp) -> Result<DrillRow, ApiError> {
    let schedule = match drill.schedule_id {
        Some(id) => names.schedule(s, id).await?,
        None => None,
    };
    let (class, icon, word) = badge(drill.verdict);
    let (record, counts) = (&drill.record, &drill.record.counts);
    Ok(DrillRow {
        job: drill.job_id.to_string(),
        host_id: drill.host_id.to_string(),
        host: names.host(s, drill.host_id).await?,
        schedule: schedule.unwrap_or_else(|| things::NO_SCHEDULE.into()),
        at: Moment::new(drill.at, now),
        class,
        icon,
        word,
        proven: counts.proven,
        failed: counts.failed,
        equal: counts.equal_to_source,
        bytes: counts.bytes,
        snapshot: record.snapshot.chars().take(8).collect(),
        planned: record.planned,
        note: record.note.as_deref().map(capital),
    })
}

/// What the list is narrowed to.
#[derive(Debug, Deserialize)]
pub struct DrillsQuery {
    host: Option<HostId>,
    cursor: Option<String>,
}

/// All drills, or those of a host.
#[get("/drills")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<DrillsQuery>,
) -> Result<HttpResponse, ApiError> {
    let DrillsQuery { host, cursor } = query.into_inner();
    let (now, mut names, later) = (Timestamp::now(), Names::default(), cursor.is_some());
    let mut schedules = vec![];
    let mut named = None;
    if let Some(id) = host {
        let host = hosts::get(&s, id).await?;
        names.know(&host);
        named = Some((id.to_string(), host.name));
        schedules = drills::standing(&s, id, now).await?.iter().map(|d| StandingRow::new(d, now)).collect();
    }
    let listed = drills::list(&s, Filter { host, ..Filter::default() }, cursor, PAGE).await?;
    let mut rows = vec![];
    for drill in &listed.items {
        rows.push(row(&s, drill, &mut names, now).await?);
    }
    let page = DrillsPage { host: named, schedules, drills: rows, next: listed.next, later };
    view.show(&who, &page).await
}
