//! Hosts: the list, one host with its tabs, and Run now on a host.

use super::destination::{self, Destination};
use super::door::{View, address};
use super::engine::Page;
use super::host_actions::{AgentAct, agent_act};
use super::job_list::OPEN;
use super::names::Names;
use super::narrowed::Narrowed;
use super::run_now::{RunButton, RunChoice, choices};
use super::schedules::{ScheduleRow, schedule_rows};
use super::strip::{self, Month, Strip};
use super::view::{HostRow, JobRow, protection_badge, running};
use crate::domain::fleet::Host;
use crate::domain::job::Job;
use crate::domain::protection::Protection;
use crate::domain::snapshot::Snapshot;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::{Listed, MAX_PAGE, Services, drills, hosts, jobs, protection, repositories, run_now, snapshots};
use crate::store::host_search;
use crate::store::jobs::Filter;
use crate::words::{Moment, capital, fleet as words, wrong};
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::HostId;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::enroll::Os;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// Entries of a list's page.
pub const PAGE: i64 = 50;

/// Which page of a list.
#[derive(Debug, Deserialize)]
pub struct Cursor {
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// A form that does nothing but say so.
#[derive(Debug, Deserialize)]
pub struct Pressed {
    /// The same press twice is one job.
    #[serde(default)]
    pub key: String,
}

impl Pressed {
    /// The key, if the form had one.
    #[must_use]
    pub fn key(self) -> Option<String> {
        Some(self.key).filter(|key| !key.is_empty())
    }
}

/// All hosts.
#[derive(Debug, Serialize)]
pub struct HostsPage {
    /// This page of them.
    pub hosts: Vec<HostLine>,
    /// How many match.
    pub matching: i64,
    /// How many there are, and how they stand.
    pub answer: String,
    /// What the list is narrowed to, as it was asked for.
    pub asked: Asked,
    /// The address of this list without its cursor.
    pub here: String,
    /// The same narrowing in the other order.
    pub other_order: String,
    /// Repositories to choose from: identity and name.
    pub repositories: Vec<(String, String)>,
    /// Protection states to choose from: spelling and word.
    pub states: Vec<(&'static str, &'static str)>,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Whether the list is narrowed.
    pub narrowed: bool,
    /// What is wrong with what was asked for.
    pub trouble: String,
    /// To what, if it is empty.
    pub empty: Narrowed,
}

impl Page for HostsPage {
    const TEMPLATE: &'static str = "pages/hosts.html";
    const NAV: &'static str = "hosts";
}

/// A host in the list, with its newest job.
#[derive(Debug, Serialize)]
pub struct HostLine {
    /// The host.
    pub host: HostRow,
    /// Its newest job.
    pub last: Option<JobRow>,
    /// Its last 30 days, where they are shown.
    pub strip: Option<Strip>,
    /// When backups of it were last proven restorable.
    pub proven: Option<Moment>,
    /// When it runs next by itself; none if it only runs when somebody says so.
    pub next: Option<Moment>,
    /// Where it may back up to, by name.
    pub repositories: String,
    /// Its Run now.
    pub run: RunButton,
    /// The same press of Run now twice is one job.
    pub key: String,
}

/// What stands above all tabs of a host.
#[derive(Debug, Serialize)]
pub struct HostHead {
    /// The host.
    pub host: HostRow,
    /// The open tab.
    pub tab: &'static str,
    /// How many schedules it has.
    pub schedules: i64,
    /// How many snapshots it has.
    pub snapshots: i64,
    /// Its Run now.
    pub run: RunButton,
    /// What can be chosen, where Run now asks.
    pub choices: Vec<RunChoice>,
    /// How many of them can start now.
    pub ready: i64,
    /// The same press of Run now twice is one job.
    pub key: String,
}

/// Repositories that are named of a host in the list.
const REPOSITORIES: usize = 2;

/// One host at a glance.
#[derive(Debug, Serialize)]
pub struct HostPage {
    /// The head.
    pub head: HostHead,
    /// Its schedules.
    pub schedules: Vec<ScheduleRow>,
    /// Its newest jobs.
    pub jobs: Vec<JobRow>,
    /// Its jobs that go on.
    pub open: Vec<JobRow>,
    /// Its newest snapshot.
    pub newest: Option<SnapshotRow>,
    /// Where its backups go.
    pub destinations: Vec<Destination>,
    /// Whether any of its schedules starts by itself.
    pub by_itself: bool,
    /// When backups of it were last proven restorable.
    pub proven: Option<Moment>,
    /// When it runs next by itself.
    pub next: Option<Moment>,
    /// Its last 30 days; none before its agent came.
    pub month: Option<Month>,
    /// What can be done about its agent.
    pub agent: Option<AgentAct>,
}

impl Page for HostPage {
    const TEMPLATE: &'static str = "pages/host.html";
    const NAV: &'static str = "hosts";
}

/// What changes on a host's pages.
#[derive(Debug, Serialize)]
pub struct HostLive(pub HostPage);

impl Page for HostLive {
    const TEMPLATE: &'static str = "fragments/host.html";
}

/// A snapshot in a list.
#[derive(Debug, Serialize)]
pub struct SnapshotRow {
    /// The first eight digits of its id, as restic prints it.
    pub short: String,
    /// Its id.
    pub id: String,
    /// The repository that holds it.
    pub repository: String,
    /// When it was taken.
    pub at: Moment,
    /// What it covers.
    pub paths: Vec<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// Files in it.
    pub files: Option<u64>,
    /// Their size.
    pub size: Option<u64>,
    /// Bytes that it added to the repository.
    pub added: Option<u64>,
    /// The job that made it.
    pub job: Option<String>,
}

impl SnapshotRow {
    /// A snapshot as a row.
    #[must_use]
    pub fn new(snapshot: &Snapshot, now: Timestamp) -> Self {
        let summary = snapshot.summary.as_ref();
        Self {
            short: snapshot.id.chars().take(8).collect(),
            id: snapshot.id.clone(),
            repository: snapshot.repository_id.to_string(),
            at: Moment::new(snapshot.time, now),
            paths: snapshot.paths.clone(),
            tags: snapshot.tags.clone(),
            files: summary.map(|s| s.total_files_processed),
            size: summary.map(|s| s.total_bytes_processed),
            added: summary.map(|s| s.data_added_packed.unwrap_or(s.data_added)),
            job: snapshot.job_id.map(|id| id.to_string()),
        }
    }
}

/// The newest job of a host.
async fn newest(s: &Services, id: HostId) -> Result<Option<Job>, ApiError> {
    Ok(jobs::list(s, filter_of(id), None, 1).await?.items.pop())
}

/// A press is known by the newest job that the person saw: pressing twice is one job, pressing after its end is another.
#[must_use]
pub fn press_key(newest: Option<&Job>) -> String {
    newest.map_or_else(|| "first".into(), |job| format!("after-{}", job.id))
}

/// Hosts with their newest jobs.
///
/// # Errors
/// When the database fails.
pub async fn lines(s: &Services, hosts: &[Host], now: Timestamp) -> Result<Vec<HostLine>, ApiError> {
    let mut names = Names::default();
    let mut lines = Vec::with_capacity(hosts.len());
    let ids: Vec<HostId> = hosts.iter().map(|h| h.id).collect();
    let proven = drills::proven(s, ids.clone()).await?;
    let next = protection::next_of_hosts(s, ids.clone(), now).await?;
    let offers = run_now::of_hosts(s, ids.clone()).await?;
    let newest = jobs::newest_of_hosts(s, ids).await?;
    hosts.iter().for_each(|host| names.know(host));
    let in_order: Vec<Job> = hosts.iter().filter_map(|h| newest.get(&h.id).cloned()).collect();
    let mut rows = names.rows(s, &in_order, now).await?.into_iter();
    for host in hosts {
        let newest = newest.get(&host.id);
        lines.push(HostLine {
            host: HostRow { running: running(newest), ..HostRow::new(host, now) },
            run: RunButton::of_host(offers.get(&host.id)),
            last: newest.and_then(|_| rows.next()),
            strip: None,
            proven: proven.get(&host.id).map(|at| Moment::new(*at, now)),
            next: next.get(&host.id).map(|at| Moment::new(*at, now)),
            repositories: String::new(),
            key: press_key(newest),
        });
    }
    Ok(lines)
}

/// What stands above a host's tabs.
///
/// # Errors
/// When there is no such host.
pub async fn head(s: &Services, id: HostId, tab: &'static str, now: Timestamp) -> Result<HostHead, ApiError> {
    let host = hosts::get(s, id).await?;
    let schedules = crate::service::schedules::of_host(s, id).await?.len();
    let (offer, newest) = (run_now::of_host(s, id).await?, newest(s, id).await?);
    let (choices, ready) = choices(offer.as_ref());
    Ok(HostHead {
        host: HostRow { running: running(newest.as_ref()), ..HostRow::new(&host, now) },
        run: RunButton::of_host(offer.as_ref()),
        choices,
        ready,
        tab,
        schedules: i64::try_from(schedules).unwrap_or(i64::MAX),
        snapshots: snapshots::count_of_host(s, id).await?,
        key: press_key(newest.as_ref()),
    })
}

/// The jobs of a host.
pub(super) fn filter_of(host: HostId) -> Filter {
    Filter { host: Some(host), ..Filter::default() }
}

async fn overview(s: &Services, id: HostId, tab: &'static str, agent: Option<AgentAct>) -> Result<HostPage, ApiError> {
    let now = Timestamp::now();
    let head = head(s, id, tab, now).await?;
    let recent = jobs::list(s, filter_of(id), None, 8).await?;
    let going = jobs::list(s, Filter { states: OPEN.into(), ..filter_of(id) }, None, 8).await?;
    let newest = snapshots::of_host(s, id, None, 1).await?.items.pop();
    let host = hosts::get(s, id).await?;
    let month = if head.host.pending { None } else { Some(strip::month(s, &host, now).await?) };
    let mut names = Names::default();
    let schedules = schedule_rows(s, id, &head.host, now).await?;
    Ok(HostPage {
        destinations: destination::of_host(s, id, now).await?,
        by_itself: schedules.iter().any(|schedule| schedule.by_itself),
        schedules,
        open: names.rows(s, &going.items, now).await?,
        jobs: names.rows(s, &recent.items, now).await?,
        next: protection::next_of_hosts(s, vec![id], now).await?.get(&id).map(|at| Moment::new(*at, now)),
        month,
        agent,
        newest: newest.map(|snapshot| SnapshotRow::new(&snapshot, now)),
        proven: drills::proven(s, vec![id]).await?.get(&id).map(|at| Moment::new(*at, now)),
        head,
    })
}

/// What a list of hosts is narrowed to, and in which order it comes.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Asked {
    /// In the name or tags.
    pub q: String,
    /// A protection state.
    pub state: String,
    /// `linux` or `windows`.
    pub os: String,
    /// A tag.
    pub tag: String,
    /// A repository's identity.
    pub repository: String,
    /// `name`; else the worst first.
    pub sort: String,
    /// `next` of the page before.
    #[serde(skip_serializing)]
    pub cursor: Option<String>,
}

impl Asked {
    /// The same, as the list takes it.
    pub(super) fn filter(&self) -> host_search::Filter {
        let text = |t: &str| Some(t.trim().to_owned()).filter(|t| !t.is_empty());
        host_search::Filter {
            text: text(&self.q),
            states: self.state.parse().into_iter().collect(),
            os: match self.os.as_str() {
                "linux" => Some(Os::Linux),
                "windows" => Some(Os::Windows),
                _ => None,
            },
            tag: text(&self.tag),
            repository: self.repository.parse().ok(),
        }
    }

    /// What is asked for that there is not; empty if nothing is wrong.
    pub(super) fn trouble(&self) -> String {
        let unknown = !self.state.is_empty() && self.state.parse::<Protection>().is_err();
        if unknown { wrong::no_state(&self.state) } else { String::new() }
    }

    /// Whether the list is narrowed at all.
    fn narrowed(&self) -> bool {
        self.filter() != host_search::Filter::default()
    }

    /// The address of the list in an order.
    pub(super) fn address(&self, sort: &str) -> String {
        address(
            "/hosts",
            &[
                ("q", &self.q),
                ("state", &self.state),
                ("os", &self.os),
                ("tag", &self.tag),
                ("repository", &self.repository),
                ("sort", sort),
            ],
        )
    }
}

const STATES: [Protection; 6] = [
    Protection::Failing,
    Protection::TooOld,
    Protection::Never,
    Protection::Unplanned,
    Protection::Warning,
    Protection::Protected,
];

/// Where each of these hosts may back up to.
async fn used(s: &Services, hosts: &[Host], names: &[(String, String)]) -> Result<Vec<String>, ApiError> {
    let held = hosts::repositories(s, hosts.iter().map(|h| h.id).collect()).await?;
    let of = |host: &Host| {
        let theirs = held.iter().filter(|(by, _)| *by == host.id).map(|(_, repository)| repository.to_string());
        let theirs: HashSet<String> = theirs.collect();
        let named = names.iter().filter(|(id, _)| theirs.contains(id)).map(|(_, name)| name.as_str());
        words::some(&named.collect::<Vec<_>>(), REPOSITORIES)
    };
    Ok(hosts.iter().map(of).collect())
}

/// How many hosts there are and how they stand, of those with the tag if one is asked for.
async fn answer(s: &Services, asked: &Asked, now: Timestamp) -> Result<String, ApiError> {
    let figures = protection::standings(s, asked.filter().tag, now).await?;
    let all = figures.stand(Protection::ALL);
    let good = figures.stand(&[Protection::Protected, Protection::Warning]);
    Ok(match all - good {
        0 => words::protected(good, all),
        bad => format!("{} {}", words::protected(good, all), words::sentence(|state| figures.stand(&[state]), bad)),
    })
}

/// All hosts.
#[get("/hosts")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let (now, asked) = (Timestamp::now(), asked.into_inner());
    let order = hosts::order(asked.sort == "name", asked.cursor.as_deref());
    let trouble = capital(&asked.trouble());
    let (listed, matching) = if trouble.is_empty() {
        hosts::search(&s, asked.filter(), order, PAGE).await?
    } else {
        (Listed { items: vec![], next: None }, 0)
    };
    let repositories = repositories::list(&s, None, MAX_PAGE).await?.items;
    let repositories: Vec<_> = repositories.into_iter().map(|r| (r.id.to_string(), r.name)).collect();
    let mut empty = Narrowed::default();
    if matching == 0 && asked.narrowed() {
        let (_, all) = hosts::search(&s, host_search::Filter::default(), hosts::order(true, None), 1).await?;
        empty = Narrowed::hosts(&asked, &repositories, all);
    }
    let (mut lines, used, standings) = tokio::try_join!(
        lines(&s, &listed.items, now),
        used(&s, &listed.items, &repositories),
        answer(&s, &asked, now)
    )?;
    lines.iter_mut().zip(used).for_each(|(line, used)| line.repositories = used);
    let page = HostsPage {
        empty,
        hosts: lines,
        answer: standings,
        matching,
        next: listed.next,
        later: asked.cursor.is_some(),
        narrowed: asked.narrowed() || !trouble.is_empty(),
        trouble,
        here: asked.address(&asked.sort),
        other_order: asked.address(if asked.sort == "name" { "" } else { "name" }),
        repositories,
        states: STATES.map(|s| (s.as_str(), protection_badge(s).word)).into(),
        asked,
    };
    view.show(&who, &page).await
}

/// One host.
#[get("/hosts/{id}")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
) -> Result<HttpResponse, ApiError> {
    let agent = agent_act(&s, &who.actor, *id).await?;
    view.show(&who, &overview(&s, *id, "overview", agent).await?).await
}

/// Which tab is open, and what the browser has.
#[derive(Debug, Deserialize)]
pub struct LiveQuery {
    #[serde(default)]
    cursor: String,
    #[serde(default)]
    tab: String,
}

/// What changed on a host's pages.
#[get("/ui/hosts/{id}/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<HostId>,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    let (tab, path) = match query.tab.as_str() {
        "schedules" => ("schedules", format!("/hosts/{id}/schedules")),
        _ => ("overview", format!("/hosts/{id}")),
    };
    let page = HostLive(overview(&s, *id, tab, None).await?);
    view.fragment(&who, &query.cursor, &path, &page).await
}
