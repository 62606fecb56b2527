//! The dashboard: how many hosts are protected, what needs a person, what runs. On a fresh installation it leads through the
//! first backup instead.

use super::attention::{self, Item, Scope};
use super::door::{LiveQuery, View, address};
use super::engine::Page;
use super::hosts::{HostLine, lines};
use super::names::Names;
use super::strip::{axis, strips};
use super::view::{JobRow, Link};
use super::welcome;
use crate::domain::fleet::Host;
use crate::domain::job::{Job, JobState};
use crate::domain::permission::Role;
use crate::domain::protection::Protection;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::health::{self, Capacity};
use crate::service::protection::{self, Figures};
use crate::service::{Services, hosts, jobs, recovery};
use crate::store::host_search::{self, Order};
use crate::store::jobs::Filter;
use crate::store::next_runs;
use crate::words::{Moment, fleet as words};
use actix_web::{HttpRequest, HttpResponse, get, web};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Hosts on the dashboard; the rest is in the list.
const SHOWN: i64 = 25;

/// Instants under "Up next".
const INSTANTS: i64 = 6;
/// Hosts that are named at each.
const NAMED: i64 = 3;
/// Jobs that go on, on the dashboard.
const OPEN: i64 = 10;
/// Repositories on the dashboard.
const REPOSITORIES: usize = 8;

/// The fleet at a glance.
#[derive(Debug, Serialize)]
pub struct DashboardPage {
    /// The fleet.
    pub fleet: Fleet,
    /// Repositories that need a new recovery kit; only administrators can make one, and are told.
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

/// The fleet in figures, what needs a person, and its worst hosts: all of it, or the hosts with a tag.
#[derive(Debug, Serialize)]
pub struct Fleet {
    /// The tag, if it is narrowed to one.
    pub tag: String,
    /// The same, as the further part of an address.
    pub and_tag: String,
    /// Which of the hosts are listed, as the further part of an address.
    pub and_show: String,
    /// Which can be: where, in words, and whether they are.
    pub choices: Vec<(String, String, bool)>,
    /// Hosts in all.
    pub total: i64,
    /// That count as protected.
    pub protected: i64,
    /// Of those, without a warning.
    pub quiet: i64,
    /// Of those, with one.
    pub warned: i64,
    /// Whose newest backups are too old.
    pub at_risk: i64,
    /// That were never backed up, or have no schedule.
    pub never: i64,
    /// The same in a sentence.
    pub sentence: String,
    /// Bars of the four, as shares of 1000.
    pub bars: Vec<Bar>,
    /// Jobs of the last 24 hours that ended.
    pub ended: i64,
    /// That succeeded.
    pub succeeded: i64,
    /// With warnings.
    pub warnings: i64,
    /// That failed, were lost or missed.
    pub failed: i64,
    /// What starts next.
    pub next: Vec<Coming>,
    /// How full each repository is; the fullest, if there are many.
    pub capacities: Vec<CapacityRow>,
    /// Repositories.
    pub repositories: usize,
    /// That no backup host can delete from, as far as was proven lately.
    pub safe: usize,
    /// Bytes that are stored in all of them; none before the first count.
    pub stored: Option<u64>,
    /// Bytes by which that grows in a week.
    pub weekly: Option<i64>,
    /// What needs a person.
    pub attention: Vec<Item>,
    /// The first day of the strips.
    pub axis: String,
    /// Those that need a person first.
    pub hosts: Vec<HostLine>,
    /// Jobs that go on.
    pub open: Vec<JobRow>,
}

/// What starts at one instant.
#[derive(Debug, Serialize)]
pub struct Coming {
    /// When.
    pub at: Moment,
    /// Some of the hosts.
    pub hosts: Vec<Link>,
    /// How many runs there are besides.
    pub more: i64,
}

/// How full a repository is.
#[derive(Debug, Serialize)]
pub struct CapacityRow {
    /// Where it is shown.
    pub href: String,
    /// Its name.
    pub name: String,
    /// Whether its backup hosts can only append, as far as was proven lately.
    pub safe: bool,
    /// Whether any host backs up to it.
    pub used: bool,
    /// Bytes that are stored.
    pub stored: Option<u64>,
    /// Bytes that may be.
    pub quota: Option<u64>,
    /// The one of the other, in percent.
    pub percent: Option<u64>,
    /// The colour of that.
    pub class: &'static str,
}

impl CapacityRow {
    fn new(capacity: &Capacity) -> Self {
        let percent = capacity.stored.zip(capacity.quota).filter(|(_, quota)| *quota > 0);
        let percent = percent.map(|(stored, quota)| stored.saturating_mul(100) / quota);
        Self {
            href: format!("/repositories/{}", capacity.id),
            name: capacity.name.clone(),
            safe: capacity.credentials.safe(),
            used: capacity.credentials.append_only + capacity.credentials.full > 0,
            stored: capacity.stored,
            quota: capacity.quota,
            percent,
            class: match percent {
                Some(95..) => "bad",
                Some(85..) => "warn",
                Some(_) | None => "mute",
            },
        }
    }
}

/// The repositories that are shown: all, or the fullest if there are many.
fn fullest(all: &[Capacity]) -> Vec<CapacityRow> {
    let mut rows: Vec<CapacityRow> = all.iter().map(CapacityRow::new).collect();
    if rows.len() > REPOSITORIES {
        rows.sort_by_key(|row| std::cmp::Reverse((row.percent, row.stored)));
        rows.truncate(REPOSITORIES);
    }
    rows
}

impl Coming {
    fn new(coming: next_runs::Coming, now: Timestamp) -> Self {
        let hosts = coming.hosts.into_iter();
        let hosts: Vec<Link> =
            hosts.map(|(id, name)| Link { href: format!("/hosts/{id}/schedules"), text: name }).collect();
        let shown = i64::try_from(hosts.len()).unwrap_or(0);
        Self { at: Moment::new(coming.at, now), hosts, more: coming.runs - shown }
    }
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

fn sentence(figures: &Figures) -> String {
    let all = figures.hosts.iter().filter(|(state, _)| !state.counts()).map(|(_, n)| n).sum();
    words::sentence(|state| figures.stand(&[state]), all)
}

/// Hosts, each with its last 30 days.
async fn with_strips(s: &Services, hosts: &[Host], now: Timestamp) -> Result<Vec<HostLine>, ApiError> {
    let (mut shown, strips) = tokio::try_join!(lines(s, hosts, now), strips(s, hosts, now))?;
    for (line, strip) in shown.iter_mut().zip(strips) {
        line.strip = Some(strip);
    }
    Ok(shown)
}

/// The further part of an address that has a query already; nothing if there is no value.
fn further(name: &str, value: &str) -> String {
    address("", &[(name, value)]).replacen('?', "&", 1)
}

async fn rows(s: &Services, jobs: &[Job], now: Timestamp) -> Result<Vec<JobRow>, ApiError> {
    Names::default().rows(s, jobs, now).await
}

/// Reads side by side what does not wait for each other: in a row they are most of what the page takes.
async fn fleet(s: &Services, asked: &Asked, operator: bool) -> Result<Fleet, ApiError> {
    let (now, tag) = (Timestamp::now(), asked.tag());
    let states = vec![JobState::Queued, JobState::Dispatched, JobState::Running];
    let open = Filter { states, host_tag: tag.clone(), ..Filter::default() };
    let worst =
        host_search::Filter { states: asked.states().into(), tag: tag.clone(), ..host_search::Filter::default() };
    let (figures, next, open, all, worst) = tokio::try_join!(
        protection::figures(s, tag.clone(), now),
        protection::coming(s, tag.clone(), now, (INSTANTS, NAMED)),
        jobs::list(s, open, None, OPEN),
        health::capacities(s, tag.clone()),
        hosts::first(s, worst, Order::Worst(None), SHOWN),
    )?;
    let scope = Scope { operator, tag: tag.as_deref(), now };
    let (attention, hosts, open) =
        tokio::try_join!(attention::items(s, &figures, scope), with_strips(s, &worst, now), rows(s, &open.items, now))?;
    let (quiet, warned) = (figures.stand(&[Protection::Protected]), figures.stand(&[Protection::Warning]));
    let at_risk = figures.stand(&[Protection::Failing, Protection::TooOld]);
    let never = figures.stand(&[Protection::Never, Protection::Unplanned]);
    Ok(Fleet {
        choices: asked.choices(&figures),
        and_show: further("show", &asked.show),
        and_tag: further("tag", asked.tag.trim()),
        total: quiet + warned + at_risk + never,
        protected: quiet + warned,
        quiet,
        warned,
        at_risk,
        never,
        sentence: sentence(&figures),
        bars: bars(&[("fill-ok", quiet), ("fill-warn", warned), ("fill-bad", at_risk), ("fill-mute", never)]),
        ended: figures.ended.values().sum(),
        succeeded: figures.ended(&[JobState::Succeeded]),
        warnings: figures.ended(&[JobState::Warning]),
        failed: figures.ended(&[JobState::Failed, JobState::Lost, JobState::Missed]),
        next: next.into_iter().map(|coming| Coming::new(coming, now)).collect(),
        repositories: all.len(),
        safe: all.iter().filter(|c| c.credentials.safe()).count(),
        stored: all.iter().filter_map(|c| c.stored).reduce(u64::saturating_add),
        weekly: all.iter().filter_map(|c| c.growth_per_day).reduce(i64::saturating_add).map(|day| day * 7),
        capacities: fullest(&all),
        attention,
        axis: axis(now),
        hosts,
        open,
        tag: tag.unwrap_or_default(),
    })
}

fn is_operator(who: &Guarded<Viewer>) -> bool {
    who.actor.role.covers(Role::Operator)
}

/// What the dashboard is narrowed to.
#[derive(Debug, Deserialize)]
pub struct Asked {
    /// To hosts with this tag.
    #[serde(default)]
    tag: String,
    /// Which of the hosts are listed.
    #[serde(default)]
    show: String,
}

/// Hosts that need a person.
const NEED: [Protection; 4] = [Protection::Failing, Protection::TooOld, Protection::Never, Protection::Unplanned];

impl Asked {
    /// Whether it is narrowed at all.
    #[must_use]
    pub fn narrowed(&self) -> bool {
        self.tag().is_some()
    }

    fn tag(&self) -> Option<String> {
        Some(self.tag.trim().to_owned()).filter(|tag| !tag.is_empty())
    }

    fn states(&self) -> &'static [Protection] {
        match self.show.as_str() {
            "need" => &NEED,
            "warnings" => &[Protection::Warning],
            _ => &[],
        }
    }

    /// Which hosts can be listed: where, what it says with how many there are, and whether that is what is listed.
    fn choices(&self, figures: &Figures) -> Vec<(String, String, bool)> {
        let one = |which: &str, states: &'static [Protection], text: fn(i64) -> String| {
            let href = format!("{}#fleet", address("/", &[("show", which), ("tag", self.tag.trim())]));
            let counted = if states.is_empty() { Protection::ALL } else { states };
            (href, text(figures.stand(counted)), self.states() == states)
        };
        vec![
            one("", &[], words::all),
            one("need", &NEED, words::need_you),
            one("warnings", &[Protection::Warning], words::warnings),
        ]
    }
}

/// The dashboard, or the first steps.
#[get("/")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    req: HttpRequest,
    s: web::Data<Services>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    if let Some(first_steps) = welcome::instead(&s, &who, &req, &asked).await? {
        return view.show(&who, &first_steps).await;
    }
    let kits_due = match who.actor.role {
        Role::Admin => recovery::states(&s).await?.iter().filter(|kit| kit.due).count(),
        Role::Operator | Role::Viewer => 0,
    };
    view.show(&who, &DashboardPage { fleet: fleet(&s, &asked, is_operator(&who)).await?, kits_due }).await
}

/// What changed on the dashboard.
#[get("/ui/dashboard/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<LiveQuery>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let page = DashboardLive { fleet: fleet(&s, &asked, is_operator(&who)).await? };
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
        let of = |hosts: &[(Protection, i64)]| {
            sentence(&Figures { hosts: hosts.iter().copied().collect(), ..Figures::default() })
        };
        assert_eq!(of(&[(Protection::Protected, 3)]), "Every host has a backup that is young enough.");
        assert_eq!(of(&[(Protection::Warning, 1), (Protection::TooOld, 1)]), "1 needs you: 1 is too old.");
        assert_eq!(
            of(&[(Protection::Failing, 2), (Protection::TooOld, 1), (Protection::Never, 1)]),
            "4 need you: 2 are failing, 1 is too old, 1 was never backed up."
        );
    }
}
