//! The dashboard: how many hosts are there to be backed up, what runs, what ended how. On a fresh installation it leads through the
//! first backup instead.

use super::door::View;
use super::engine::Page;
use super::hosts::{HostLine, lines};
use super::names::Names;
use super::view::JobRow;
use crate::domain::fleet::{Host, HostState};
use crate::domain::job::{Job, JobState};
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::{Services, hosts, jobs, recovery, repositories};
use crate::store::jobs::Filter;
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Hosts on the dashboard; the rest is in the list.
const SHOWN: usize = 25;
/// The most hosts that are counted.
const COUNTED: i64 = 20_000;
/// The most jobs that the last day is counted from.
const DAY_JOBS: i64 = 1000;

/// The fleet at a glance.
#[derive(Debug, Serialize)]
pub struct DashboardPage {
    /// The fleet.
    pub fleet: Fleet,
    /// Repositories that need a new recovery kit.
    pub kits_due: usize,
}

impl Page for DashboardPage {
    const TEMPLATE: &'static str = "pages/dashboard.html";
    const NAV: &'static str = "dashboard";
}

/// What changes on the dashboard.
#[derive(Debug, Serialize)]
pub struct DashboardLive {
    /// The fleet.
    pub fleet: Fleet,
}

impl Page for DashboardLive {
    const TEMPLATE: &'static str = "fragments/dashboard.html";
}

/// The first steps.
#[derive(Debug, Serialize)]
pub struct WelcomePage {
    /// The repository that is there, if any.
    pub repository: Option<super::repositories::RepositoryRow>,
}

impl Page for WelcomePage {
    const TEMPLATE: &'static str = "pages/welcome.html";
    const NAV: &'static str = "dashboard";
}

/// The fleet in figures, and its first hosts and newest jobs.
#[derive(Debug, Serialize)]
pub struct Fleet {
    /// Hosts in all.
    pub total: i64,
    /// Online now.
    pub online: i64,
    /// Silent.
    pub offline: i64,
    /// Waiting for their agents.
    pub pending: i64,
    /// The same in a sentence.
    pub sentence: String,
    /// Bars of the three, as shares of 1000.
    pub bars: Vec<Bar>,
    /// Jobs of the last 24 hours that ended.
    pub ended: i64,
    /// That succeeded.
    pub succeeded: i64,
    /// With warnings.
    pub warnings: i64,
    /// That failed or were lost.
    pub failed: i64,
    /// Repositories.
    pub repositories: i64,
    /// Those that need a person first.
    pub hosts: Vec<HostLine>,
    /// Jobs that go on.
    pub open: Vec<JobRow>,
    /// The newest jobs.
    pub recent: Vec<JobRow>,
}

/// A bar of the headline.
#[derive(Debug, Serialize)]
pub struct Bar {
    /// The colour's class.
    pub class: &'static str,
    /// Where it begins, of 1000.
    pub x: i64,
    /// How wide it is, of 1000.
    pub width: i64,
}

/// The bars of counts, side by side with a small gap.
#[must_use]
pub fn bars(counts: &[(&'static str, i64)]) -> Vec<Bar> {
    let total: i64 = counts.iter().map(|(_, n)| n).sum();
    let mut bars = vec![];
    let mut before = 0;
    for (class, n) in counts.iter().filter(|(_, n)| *n > 0) {
        let (x, end) = (before * 1000 / total, (before + n) * 1000 / total);
        before += n;
        let gap = if before < total { 3 } else { 0 };
        bars.push(Bar { class, x, width: (end - x - gap).max(1) });
    }
    bars
}

fn sentence(online: i64, offline: i64, pending: i64) -> String {
    let mut parts = vec![];
    if offline > 0 {
        parts.push(format!("{offline} {} offline", if offline == 1 { "is" } else { "are" }));
    }
    if pending > 0 {
        parts.push(format!("{pending} {} for an agent", if pending == 1 { "waits" } else { "wait" }));
    }
    match (parts.is_empty(), online) {
        (true, 1) => "It is online.".into(),
        (true, _) => "All of them are online.".into(),
        (false, _) => format!("{}.", parts.join(", ")),
    }
}

/// Those that need a person first.
fn rank(host: &Host) -> u8 {
    match host.state {
        HostState::Offline => 0,
        HostState::Pending => 1,
        HostState::Online => 2,
        HostState::Retired => 3,
    }
}

async fn last_day(s: &Services, now: Timestamp) -> Result<Vec<Job>, ApiError> {
    let since = now - Duration::from_secs(24 * 3600);
    let listed = jobs::list(s, Filter::default(), None, DAY_JOBS).await?;
    Ok(listed.items.into_iter().filter(|job| job.finished_at.is_some_and(|at| at >= since)).collect())
}

async fn fleet(s: &Services, mut all: Vec<Host>) -> Result<Fleet, ApiError> {
    let now = Timestamp::now();
    let count = |state: HostState| i64::try_from(all.iter().filter(|h| h.state == state).count()).unwrap_or(0);
    let (online, offline, pending) = (count(HostState::Online), count(HostState::Offline), count(HostState::Pending));
    all.sort_by_key(|host| (rank(host), host.name.clone()));
    let total = online + offline + pending;
    all.truncate(SHOWN);
    let day = last_day(s, now).await?;
    let ended =
        |states: &[JobState]| i64::try_from(day.iter().filter(|j| states.contains(&j.state)).count()).unwrap_or(0);
    let mut names = Names::default();
    all.iter().for_each(|host| names.know(host));
    let open = Filter { states: vec![JobState::Queued, JobState::Dispatched, JobState::Running], ..Filter::default() };
    let open = jobs::list(s, open, None, 10).await?.items;
    let recent = jobs::list(s, Filter::default(), None, 10).await?.items;
    Ok(Fleet {
        total,
        online,
        offline,
        pending,
        sentence: sentence(online, offline, pending),
        bars: bars(&[("fill-ok", online), ("fill-bad", offline), ("fill-mute", pending)]),
        ended: i64::try_from(day.len()).unwrap_or(0),
        succeeded: ended(&[JobState::Succeeded]),
        warnings: ended(&[JobState::Warning]),
        failed: ended(&[JobState::Failed, JobState::Lost, JobState::Missed]),
        repositories: i64::try_from(repositories::list(s, None, 1000).await?.items.len()).unwrap_or(0),
        hosts: lines(s, &all, now).await?,
        open: names.rows(s, &open, now).await?,
        recent: names.rows(s, &recent, now).await?,
    })
}

/// The dashboard, or the first steps.
#[get("/")]
pub async fn show(who: Guarded<Viewer>, view: View, s: web::Data<Services>) -> Result<HttpResponse, ApiError> {
    let all = hosts::list(&s, None, COUNTED).await?.items;
    let repository = repositories::list(&s, None, 1).await?.items.pop();
    if all.is_empty() || repository.is_none() {
        let now = Timestamp::now();
        let repository = repository.map(|r| super::repositories::RepositoryRow::new(&r, now));
        return view.show(&who, &WelcomePage { repository }).await;
    }
    let kits_due = recovery::states(&s).await?.iter().filter(|kit| kit.due).count();
    view.show(&who, &DashboardPage { fleet: fleet(&s, all).await?, kits_due }).await
}

/// What the browser has.
#[derive(Debug, Deserialize)]
pub struct LiveQuery {
    #[serde(default)]
    cursor: String,
}

/// What changed on the dashboard.
#[get("/ui/dashboard/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    let all = hosts::list(&s, None, COUNTED).await?.items;
    let page = DashboardLive { fleet: fleet(&s, all).await? };
    view.fragment(&who, &query.cursor, "/", &page).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_fill_the_width() {
        let bars = bars(&[("a", 2), ("b", 0), ("c", 1)]);
        assert_eq!(bars.iter().map(|b| (b.class, b.x, b.width)).collect::<Vec<_>>(), [("a", 0, 663), ("c", 666, 334)]);
        assert!(super::bars(&[("a", 0)]).is_empty());
    }

    #[test]
    fn the_headline_says_what_needs_a_person() {
        assert_eq!(sentence(3, 0, 0), "All of them are online.");
        assert_eq!(sentence(1, 2, 1), "2 are offline, 1 waits for an agent.");
    }
}
