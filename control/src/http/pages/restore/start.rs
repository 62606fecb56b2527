//! The first step: which snapshot. Beside it what somebody has left half-way.

use super::super::door::{View, address, go};
use super::super::engine::Page;
use super::super::form::one_line;
use super::super::host_choice::{self, HostChoice};
use super::super::hosts::{PAGE, SnapshotRow};
use super::super::names::Names;
use super::super::zone;
use super::calendar::{Calendar, Here, bounds, calendar};
use crate::domain::permission::Actor;
use crate::domain::snapshot::Snapshot;
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::snapshots::{self, Filter};
use crate::service::{ActError, Listed, Services, restores};
use crate::words::{self, Moment, day, wrong};
use actix_web::{HttpResponse, get, post, web};
use chrono::NaiveDate;
use restic_manager_shared::id::{RepositoryId, RestoreId};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Which snapshot.
#[derive(Debug, Serialize)]
pub struct RestoreStartPage {
    /// Which host.
    pub choice: HostChoice,
    /// The identity of the one that is chosen.
    pub host: String,
    /// Why nothing can be shown.
    pub trouble: String,
    /// The snapshot's tag that is asked for.
    pub tag: String,
    /// The day that the list is narrowed to, as the address says it.
    pub day: String,
    /// The same, to read.
    pub on: String,
    /// The list without the day.
    pub any_day: String,
    /// The month that was asked for.
    pub month: String,
    /// A month, with the days that have snapshots.
    pub calendar: Calendar,
    /// Its snapshots, or those of all, newest first, by day.
    pub days: Vec<Day>,
    /// The address of this list without its cursor.
    pub here: String,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// What was left half-way.
    pub unfinished: Vec<Left>,
}

impl Page for RestoreStartPage {
    const TEMPLATE: &'static str = "pages/restore-start.html";
    const NAV: &'static str = "restore";
}

/// The snapshots of one day.
#[derive(Debug, Serialize)]
pub struct Day {
    /// Which day, in the viewer's zone.
    pub name: String,
    /// Those of it.
    pub picks: Vec<Pick>,
}

/// A snapshot to choose.
#[derive(Debug, Serialize)]
pub struct Pick {
    /// The snapshot.
    pub snapshot: SnapshotRow,
    /// The time of the day, to the minute.
    pub time: String,
    /// The repository that holds it.
    pub repository: String,
    /// That repository's name.
    pub repository_name: String,
    /// Whose files they are.
    pub host: String,
}

/// A restore that was left half-way.
#[derive(Debug, Serialize)]
pub struct Left {
    /// Its identity.
    pub id: String,
    /// The snapshot's first eight digits.
    pub short: String,
    /// How much is ticked.
    pub ticked: usize,
    /// When it was last touched.
    pub at: Moment,
}

/// Of which host.
#[derive(Debug, Default, Deserialize)]
pub struct Wanted {
    #[serde(default)]
    host: String,
    #[serde(default)]
    tag: String,
    #[serde(default)]
    day: String,
    #[serde(default)]
    month: String,
    cursor: Option<String>,
}

/// Shows snapshots to choose from.
#[get("/restore")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<Wanted>,
) -> Result<HttpResponse, ApiError> {
    let wanted = query.into_inner();
    let (now, later, tag) = (Timestamp::now(), wanted.cursor.is_some(), wanted.tag.trim().to_owned());
    let choice = HostChoice::of(&s, &wanted.host).await?;
    let (narrowed, trouble) = match narrow(&s, &wanted, &tag).await {
        Ok(narrowed) => (narrowed, String::new()),
        Err(error @ ActError::Invalid(_)) => (Narrow::default(), one_line(&error)),
        Err(error) => return Err(error.into()),
    };
    let listed = if trouble.is_empty() {
        snapshots::list(&s, narrowed.filter.clone(), wanted.cursor, PAGE).await?
    } else {
        Listed { items: vec![], next: None }
    };
    let host = narrowed.filter.host.map(|id| id.to_string()).unwrap_or_default();
    let here = Here { host: &host, tag: &tag, day: narrowed.day };
    let of = (wanted.month.as_str(), narrowed.host.as_deref());
    let calendar = calendar(&s, narrowed.filter.clone(), here, of, now).await?;
    let day = narrowed.day.map(|day| day.to_string()).unwrap_or_default();
    let today = zone::local(now).date();
    let page = RestoreStartPage {
        choice,
        trouble,
        on: narrowed.day.map(|day| words::calendar::day(day, today)).unwrap_or_default(),
        any_day: address("/restore", &[("host", &host), ("tag", &tag)]),
        here: address("/restore", &[("host", &host), ("tag", &tag), ("day", &day), ("month", &wanted.month)]),
        days: days(&s, &listed.items, now).await?,
        unfinished: unfinished(&s, &who.actor, now).await?,
        next: listed.next,
        later,
        month: wanted.month,
        calendar,
        host,
        tag,
        day,
    };
    view.show(&who, &page).await
}

/// What the list is narrowed to.
#[derive(Default)]
struct Narrow {
    filter: Filter,
    host: Option<String>,
    day: Option<NaiveDate>,
}

async fn narrow(s: &Services, wanted: &Wanted, tag: &str) -> Result<Narrow, ActError> {
    let host = host_choice::read(s, &wanted.host).await?;
    let day = zone::day("/day", &wanted.day)?;
    let (since, until) = day.map(bounds).unzip();
    let tag = Some(tag.to_owned()).filter(|tag| !tag.is_empty());
    let filter = Filter { host: host.as_ref().map(|host| host.id), tag, since, until, ..Filter::default() };
    Ok(Narrow { filter, host: host.map(|host| host.name), day })
}

/// What somebody left half-way.
async fn unfinished(s: &Services, actor: &Actor, now: Timestamp) -> Result<Vec<Left>, ApiError> {
    let left = restores::unfinished(s, actor).await?;
    Ok(left
        .iter()
        .map(|r| Left {
            id: r.id.to_string(),
            short: r.snapshot_id.chars().take(8).collect(),
            ticked: r.draft.paths.len(),
            at: Moment::new(r.updated_at, now),
        })
        .collect())
}

/// Snapshots to choose from, by day.
async fn days(s: &Services, listed: &[Snapshot], now: Timestamp) -> Result<Vec<Day>, ApiError> {
    let (mut names, mut days) = (Names::default(), Vec::<Day>::new());
    names.learn_of_snapshots(s, listed).await?;
    for snapshot in listed {
        let host = match snapshot.host_id {
            Some(host) => names.host(s, host).await?,
            None => snapshot.hostname.clone(),
        };
        let row = SnapshotRow::new(snapshot, now);
        let pick = Pick {
            time: row.at.clock.chars().take(5).collect(),
            snapshot: row,
            repository: snapshot.repository_id.to_string(),
            repository_name: names.repository(s, snapshot.repository_id).await?.unwrap_or_default(),
            host,
        };
        let name = day(snapshot.time, now);
        match days.last_mut().filter(|day| day.name == name) {
            Some(day) => day.picks.push(pick),
            None => days.push(Day { name, picks: vec![pick] }),
        }
    }
    Ok(days)
}

/// Begins with a snapshot (`pick`: repository and id), and with the paths in it (`tick`) that are known to be wanted: then the next
/// question is where to.
#[post("/restore")]
pub async fn begin(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    form: SafeForm<Vec<(String, String)>>,
) -> Result<HttpResponse, ApiError> {
    let all = |name: &str| form.0.iter().filter(|(n, _)| n == name).map(|(_, v)| v.clone()).collect::<Vec<_>>();
    let (pick, paths) = (all("pick").pop().unwrap_or_default(), all("tick"));
    let picked = pick.split_once(' ').and_then(|(r, id)| Some((r.parse::<RepositoryId>().ok()?, id.to_owned())));
    let (repository, snapshot) = picked.ok_or_else(|| ActError::field("/pick", wrong::SNAPSHOT))?;
    let next = if paths.is_empty() { "files" } else { "target" };
    let id = restores::begin(&s, &who.actor, repository, snapshot, paths).await?;
    Ok(go(&format!("/restore/{id}/{next}")))
}

/// Nothing but the token.
#[derive(Debug, Deserialize)]
pub struct LeaveForm {}

/// Leaves a restore for good.
#[post("/restore/{id}/leave")]
pub async fn leave(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RestoreId>,
    _form: SafeForm<LeaveForm>,
) -> Result<HttpResponse, ApiError> {
    restores::leave(&s, &who.actor, *id).await?;
    Ok(go("/restore"))
}
