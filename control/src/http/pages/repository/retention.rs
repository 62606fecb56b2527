//! What retention would do in a repository: each schedule's snapshots, whether they stay or go and why; and carrying it out on a person's
//! word. Decided in `domain::forget`; only what the person has seen goes.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::{Head, Opened};
use crate::domain::forget::{Because, Decision, Entry, Gate};
use crate::http::guard::{Guarded, Operator, SafeForm, Viewer};
use crate::http::problem::ApiError;
use crate::service::retention::{self, SchedulePlan};
use crate::service::{ActError, Services};
use crate::words::Moment;
use crate::words::wrong;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Snapshots of each decision that the page of one schedule shows; the rest is counted.
const SHOWN: usize = 200;
/// Those that a page of many schedules shows of each.
const GLANCE: usize = 12;
/// Schedules of which something would go on a page.
const SCHEDULES: usize = 50;
/// Schedules with nothing to remove that are named.
const NAMED: usize = 50;
/// Ids that one carrying out takes.
const MOST: usize = 5_000;

/// What retention would do.
#[derive(Debug, Serialize)]
pub struct RetentionPage {
    /// The head.
    pub head: Head,
    /// Schedules of which something would go, or that need a look; this page of them.
    pub plans: Vec<PlanView>,
    /// Some of those with nothing to remove.
    pub quiet: Vec<Quiet>,
    /// How many of those there are.
    pub quiet_count: usize,
    /// How many schedules there are.
    pub schedules: usize,
    /// How many snapshots would go in all.
    pub goes: usize,
    /// How many of these the button on this page removes.
    pub sent: usize,
    /// How many of those that can go are left for other pages, or the next time.
    pub left: usize,
    /// The page after this one.
    pub next: Option<usize>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Whether only one schedule is shown.
    pub only: bool,
}

/// A schedule with nothing to remove.
#[derive(Debug, Serialize)]
pub struct Quiet {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub schedule: String,
    /// Its host's identity.
    pub host_id: String,
    /// Its host's name.
    pub host: String,
    /// How many snapshots stay.
    pub stays: usize,
}

/// What is shown of the schedules.
#[derive(Debug, Default, Deserialize)]
pub struct RetentionQuery {
    /// Only this schedule.
    #[serde(default)]
    schedule: String,
    /// Which page, from none.
    #[serde(default)]
    page: usize,
}

impl Page for RetentionPage {
    const TEMPLATE: &'static str = "pages/repository-retention.html";
    const NAV: &'static str = "repositories";
}

/// What retention says of one schedule.
#[derive(Debug, Serialize)]
pub struct PlanView {
    /// The schedule.
    pub id: String,
    /// Its name.
    pub schedule: String,
    /// Its host's identity.
    pub host_id: String,
    /// Its host's name.
    pub host: String,
    /// The zone in which its days begin.
    pub timezone: String,
    /// The icon of the gate.
    pub icon: &'static str,
    /// Its colour's class.
    pub class: &'static str,
    /// The gate in words.
    pub gate: String,
    /// Whether its host is frozen.
    pub frozen: bool,
    /// Snapshots in all.
    pub all: usize,
    /// Those that go.
    pub goes: Vec<Row>,
    /// How many more go than are shown.
    pub goes_more: usize,
    /// How many go.
    pub goes_count: usize,
    /// Those that stay.
    pub stays: Vec<Row>,
    /// How many more stay than are shown.
    pub stays_more: usize,
    /// How many stay.
    pub stays_count: usize,
    /// How many among them no job of ours vouches for.
    pub unattested: usize,
    /// All ids that go, with spaces between.
    pub ids: String,
}

/// A snapshot and what is decided about it.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The first digits of its id.
    pub short: String,
    /// Its id.
    pub id: String,
    /// Its own time.
    pub at: Moment,
    /// Why it stays or goes.
    pub text: String,
    /// Nobody vouches for it.
    pub unattested: bool,
}

fn unattested(entry: &Entry) -> bool {
    match &entry.decision {
        Decision::Keep { because } => because.iter().any(|b| matches!(b, Because::Unattested { .. })),
        Decision::Forget => false,
    }
}

fn row(entry: &Entry, now: Timestamp) -> Row {
    Row {
        short: entry.id.chars().take(8).collect(),
        id: entry.id.clone(),
        at: Moment::new(entry.time, now),
        text: entry.text.clone(),
        unattested: unattested(entry),
    }
}

const fn look(gate: &Gate) -> (&'static str, &'static str) {
    match gate {
        Gate::Nothing => ("ok", "mute"),
        Gate::Open => ("check", "ok"),
        Gate::NeedsPerson { .. } => ("warn", "warn"),
        Gate::Frozen { .. } => ("lock", "warn"),
    }
}

/// A schedule's plan; `room` is how many more ids may be sent, `most` how many snapshots of each decision are shown.
fn plan_view(plan: &SchedulePlan, room: &mut usize, most: usize, now: Timestamp) -> PlanView {
    let (goes, stays): (Vec<&Entry>, Vec<&Entry>) =
        plan.plan.entries.iter().partition(|e| e.decision == Decision::Forget);
    let frozen = matches!(plan.plan.gate, Gate::Frozen { .. });
    let sent: Vec<&str> = if frozen { vec![] } else { goes.iter().take(*room).map(|e| e.id.as_str()).collect() };
    *room -= sent.len();
    // What nobody vouches for first: a person should see it.
    let shown = |entries: &[&Entry]| {
        let (odd, usual): (Vec<&Entry>, Vec<&Entry>) = entries.iter().partition(|e| unattested(e));
        odd.into_iter().chain(usual).take(most).map(|e| row(e, now)).collect()
    };
    let (icon, class) = look(&plan.plan.gate);
    PlanView {
        id: plan.schedule_id.to_string(),
        schedule: plan.schedule.clone(),
        host_id: plan.host_id.to_string(),
        host: plan.host.clone(),
        timezone: plan.timezone.clone(),
        icon,
        class,
        gate: crate::words::capital(&plan.gate_text),
        frozen,
        all: plan.plan.entries.len(),
        goes_more: goes.len().saturating_sub(most),
        goes_count: goes.len(),
        stays_more: stays.len().saturating_sub(most),
        stays_count: stays.len(),
        unattested: stays.iter().filter(|e| unattested(e)).count(),
        ids: sent.join(" "),
        goes: shown(&goes),
        stays: shown(&stays),
    }
}

/// Whether nothing would go and nothing needs a look.
fn is_quiet(plan: &SchedulePlan) -> bool {
    matches!(plan.plan.gate, Gate::Nothing) && !plan.plan.entries.iter().any(unattested)
}

fn quiet(plan: &SchedulePlan) -> Quiet {
    Quiet {
        id: plan.schedule_id.to_string(),
        schedule: plan.schedule.clone(),
        host_id: plan.host_id.to_string(),
        host: plan.host.clone(),
        stays: plan.plan.entries.len(),
    }
}

fn forgotten(plan: &SchedulePlan) -> usize {
    plan.plan.entries.iter().filter(|e| e.decision == Decision::Forget).count()
}

async fn page(s: &Services, id: RepositoryId, asked: &RetentionQuery) -> Result<RetentionPage, ApiError> {
    let opened = Opened::of(s, id).await?;
    let all = retention::preview(s, id).await?;
    let only = !asked.schedule.is_empty();
    let (calm, busy): (Vec<&SchedulePlan>, Vec<&SchedulePlan>) = match only {
        true => (vec![], all.iter().filter(|p| p.schedule_id.to_string() == asked.schedule).collect()),
        false => all.iter().partition(|p| is_quiet(p)),
    };
    let (first, most) = (asked.page.saturating_mul(SCHEDULES), if only { SHOWN } else { GLANCE });
    let mut room = MOST;
    let here = busy.iter().skip(first).take(SCHEDULES);
    let plans: Vec<PlanView> = here.map(|plan| plan_view(plan, &mut room, most, opened.now)).collect();
    let frozen = |plan: &&&SchedulePlan| matches!(plan.plan.gate, Gate::Frozen { .. });
    let can_go: usize = busy.iter().filter(|p| !frozen(p)).map(|p| forgotten(p)).sum();
    let sent = MOST - room;
    Ok(RetentionPage {
        head: opened.head("retention"),
        quiet: calm.iter().take(NAMED).map(|plan| quiet(plan)).collect(),
        quiet_count: calm.len(),
        schedules: all.len(),
        goes: busy.iter().map(|p| forgotten(p)).sum(),
        sent,
        left: can_go.saturating_sub(sent),
        next: (busy.len() > first.saturating_add(SCHEDULES)).then_some(asked.page.saturating_add(1)),
        later: asked.page > 0,
        only,
        plans,
    })
}

/// What retention would do.
#[get("/repositories/{id}/retention")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    asked: web::Query<RetentionQuery>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, *id, &asked).await?).await
}

/// Asks once before snapshots are removed.
#[derive(Debug, Serialize)]
pub struct RetentionAskPage {
    /// The repository's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// How many snapshots go of each host, with the schedule's name.
    pub hosts: Vec<Going>,
    /// How many in all.
    pub count: usize,
    /// How many that were seen are no longer selected.
    pub dropped: usize,
    /// Their ids, with spaces between.
    pub ids: String,
    /// The first digits of some of them.
    pub some: Vec<String>,
}

impl Page for RetentionAskPage {
    const TEMPLATE: &'static str = "pages/repository-retention-ask.html";
    const NAV: &'static str = "repositories";
}

/// How many snapshots of a schedule go.
#[derive(Debug, Serialize)]
pub struct Going {
    /// The host.
    pub host: String,
    /// The schedule.
    pub schedule: String,
    /// How many.
    pub count: usize,
    /// Of how many.
    pub of: usize,
    /// More than may go without a person.
    pub beyond: bool,
}

/// The ids that were seen, as the form sends them: one field for each schedule, and which schedule is meant if only one is.
type Fields = Vec<(String, String)>;

fn seen(fields: &Fields) -> BTreeSet<String> {
    let only = fields.iter().find(|(name, _)| name == "only").map(|(_, schedule)| format!("ids-{schedule}"));
    let meant = |name: &str| only.as_ref().map_or_else(|| name.starts_with("ids"), |only| name == only);
    let lists = fields.iter().filter(|(name, _)| meant(name));
    lists.flat_map(|(_, ids)| ids.split_whitespace()).map(ToOwned::to_owned).collect()
}

fn going(plans: &[SchedulePlan], seen: &BTreeSet<String>) -> (Vec<Going>, Vec<String>) {
    let (mut hosts, mut ids) = (vec![], vec![]);
    for plan in plans.iter().filter(|p| !matches!(p.plan.gate, Gate::Frozen { .. })) {
        let meant: Vec<String> =
            plan.plan.selected().into_iter().filter(|id| seen.contains(*id)).map(ToOwned::to_owned).collect();
        if !meant.is_empty() {
            hosts.push(Going {
                host: plan.host.clone(),
                schedule: plan.schedule.clone(),
                count: meant.len(),
                of: plan.plan.entries.len(),
                beyond: matches!(plan.plan.gate, Gate::NeedsPerson { .. }),
            });
        }
        ids.extend(meant);
    }
    (hosts, ids)
}

/// Asks before the snapshots that were seen are removed.
#[post("/repositories/{id}/retention/ask")]
pub async fn ask(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<Fields>,
) -> Result<HttpResponse, ApiError> {
    let (repository, seen) = (crate::service::repositories::get(&s, *id).await?, seen(&form.0));
    let (hosts, ids) = going(&retention::preview(&s, *id).await?, &seen);
    if ids.is_empty() {
        return Err(ActError::field("/snapshots", wrong::NOTHING_SELECTED).into());
    }
    let page = RetentionAskPage {
        id: id.to_string(),
        name: repository.name,
        hosts,
        count: ids.len(),
        dropped: seen.len() - ids.len(),
        some: ids.iter().take(12).map(|id| id.chars().take(8).collect()).collect(),
        ids: ids.join(" "),
    };
    view.show(&who, &page).await
}

/// The snapshots that a person agreed to remove.
#[derive(Debug, Deserialize)]
pub struct CarryOut {
    ids: String,
}

/// Removes what retention does not keep, of what was seen.
#[post("/repositories/{id}/retention")]
pub async fn carry_out(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    form: SafeForm<CarryOut>,
) -> Result<HttpResponse, ApiError> {
    let confirmed = form.0.ids.split_whitespace().map(ToOwned::to_owned).collect();
    let jobs = retention::carry_out(&s, &who.actor, *id, confirmed).await?;
    Ok(match jobs.as_slice() {
        [only] => go(&format!("/jobs/{}", only.job.id)),
        _ => go(&format!("/repositories/{id}?done=retention-started")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_schedule_s_button_sends_only_its_own() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut fields = vec![field("csrf", "x"), field("ids-a", "1 2"), field("ids-b", "3")];
        assert_eq!(seen(&fields).len(), 3);
        fields.push(field("only", "b"));
        assert_eq!(seen(&fields).into_iter().collect::<Vec<_>>(), ["3"]);
    }
}
