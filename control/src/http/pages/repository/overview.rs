//! The first tab of a repository: whether it is healthy and safe, how large it is and grows, its locks, and what goes on there.

use super::super::chart::{Chart, chart};
use super::super::door::{LiveQuery, View, address};
use super::super::engine::Page;
use super::super::names::Names;
use super::super::recovery::KitRow;
use super::super::view::JobRow;
use super::locks::{LockList, lock_list};
use super::{Head, OpenJob, Opened, open_jobs};
use crate::domain::health::{Level, Stretch, Trouble as Known, Weighed};
use crate::domain::job::{Job, JobState};
use crate::domain::place::is_per_host;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::health::{self, HealthView};
use crate::service::locks;
use crate::service::repositories::CredentialView;
use crate::service::{Services, recovery, repository_users, upkeep};
use crate::words::Moment;
use crate::words::repository as words;
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::DeleteVerdict;
use restic_manager_shared::wire::state::CredentialMode;
use serde::{Deserialize, Serialize};

/// A repository at a glance.
#[derive(Debug, Serialize)]
pub struct RepositoryPage {
    /// The head.
    pub head: Head,
    /// What is not as it should be, the worst first.
    pub troubles: Vec<Trouble>,
    /// Whether a check has found damage.
    pub damaged: bool,
    /// What holds.
    pub figures: Figures,
    /// Its size over time; none before there are two counts.
    pub chart: Option<Chart>,
    /// How far back it can go: the word, the address, and whether it does; none before there are two counts.
    pub stretches: Vec<(&'static str, String, bool)>,
    /// What is proven of hosts' credentials, those first of which it is not proven that they can only append.
    pub proofs: Vec<Proof>,
    /// The hosts that take most room.
    pub largest: Vec<Room>,
    /// The newest job of it that came to a good end: the storage answered then.
    pub reached: Option<Moment>,
    /// Whether it has certificate authorities of its own.
    pub authorities: bool,
    /// Its locks.
    pub locks: LockList,
    /// Jobs that are not over.
    pub open: Vec<OpenJob>,
    /// The newest jobs.
    pub jobs: Vec<JobRow>,
    /// The host that maintains it.
    pub maintains: Option<(String, String)>,
    /// Its recovery kit; none if no host can open it yet.
    pub kit: Option<KitRow>,
}

impl Page for RepositoryPage {
    const TEMPLATE: &'static str = "pages/repository.html";
    const NAV: &'static str = "repositories";
}

/// How much room a host takes.
#[derive(Debug, Serialize)]
pub struct Room {
    /// Its identity.
    pub id: String,
    /// Its name.
    pub host: String,
    /// Bytes.
    pub bytes: u64,
    /// How much that is of the largest, in thousandths.
    pub share: u64,
}

/// Hosts whose proof is shown; the others are on the Hosts tab.
const PROOFS: i64 = 8;
/// Hosts whose room is shown.
const LARGEST: i64 = 6;

/// What changes of it while somebody looks: the verdict, its newest jobs, and what goes on.
#[derive(Debug, Serialize)]
pub struct RepositoryLive {
    /// The same page.
    #[serde(flatten)]
    pub page: RepositoryPage,
}

impl Page for RepositoryLive {
    const TEMPLATE: &'static str = "fragments/repository.html";
}

/// Something that is not as it should be.
#[derive(Debug, Serialize)]
pub struct Trouble {
    /// The icon's name.
    pub icon: &'static str,
    /// The colour's class.
    pub class: &'static str,
    /// What it is.
    pub text: String,
}

/// The figures of a repository.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Snapshots that no job of ours made.
    pub unattested: u64,
    /// Bytes that are stored.
    pub stored: Option<u64>,
    /// Bytes that may be stored.
    pub quota: Option<u64>,
    /// The share of that in percent.
    pub used_percent: Option<u64>,
    /// Bytes that restoring everything would write.
    pub restore: Option<u64>,
    /// How many times smaller by storing what is equal once.
    pub deduplication: Option<String>,
    /// How many times smaller by compressing.
    pub compression: Option<String>,
    /// Bytes a day that it grows; less than none if it shrinks.
    pub growth: Option<f64>,
    /// Whether it shrinks.
    pub shrinks: bool,
    /// When it is full.
    pub full: String,
    /// Bytes that are free there, if that is known.
    pub free: Option<u64>,
    /// When the figures were taken.
    pub counted: Option<Moment>,
    /// When a check last found no error.
    pub checked: Option<Moment>,
    /// How much of the data this cycle has read, in percent.
    pub read_percent: Option<i64>,
    /// When all of it was last read.
    pub whole: Option<Moment>,
    /// Append-only credentials.
    pub append_only: u64,
    /// Of these, proven.
    pub proven: u64,
    /// Full credentials.
    pub full_credentials: u64,
}

/// What is proven of a host's credential.
#[derive(Debug, Serialize)]
pub struct Proof {
    /// The host's identity.
    pub host_id: String,
    /// Its name.
    pub host: String,
    /// What its credential is meant to do.
    pub mode: &'static str,
    /// The icon's name.
    pub icon: &'static str,
    /// The colour's class.
    pub class: &'static str,
    /// What the last probe found.
    pub verdict: &'static str,
    /// When.
    pub at: Option<Moment>,
    /// What was asked and answered.
    pub evidence: Vec<String>,
}

impl Proof {
    /// A credential with what is proven of it.
    #[must_use]
    pub fn new(credential: &CredentialView, now: Timestamp) -> Self {
        let append_only = credential.mode == CredentialMode::AppendOnly;
        let verdict = credential.proof.as_ref().map(|p| p.can_delete);
        let (icon, class) = match verdict {
            None => ("never", "mute"),
            Some(DeleteVerdict::AppendOnly) if append_only => ("shield", "ok"),
            Some(DeleteVerdict::AppendOnly) => ("shield-no", "warn"),
            Some(DeleteVerdict::CanDelete) if append_only => ("shield-no", "bad"),
            Some(DeleteVerdict::CanDelete) => ("ok", "ok"),
            Some(DeleteVerdict::CannotTell) if append_only => ("warn", "warn"),
            Some(DeleteVerdict::CannotTell) => ("warn", "mute"),
        };
        let verdict = words::proof(verdict, append_only);
        Self {
            host_id: credential.host_id.to_string(),
            host: credential.host_name.clone(),
            mode: words::mode(credential.mode),
            icon,
            class,
            verdict,
            at: credential.proof_at.map(|at| Moment::new(at, now)),
            evidence: credential.proof.as_ref().map(|p| p.evidence.clone()).unwrap_or_default(),
        }
    }
}

#[allow(clippy::cast_possible_truncation)] // 0 to 100
fn figures(view: &HealthView, quota: Option<u64>, now: Timestamp) -> Figures {
    let moment = |at: Option<Timestamp>| at.map(|at| Moment::new(at, now));
    let stored = view.sample.map(|s| s.raw_size);
    Figures {
        unattested: view.unattested,
        stored,
        quota,
        used_percent: stored.zip(quota).map(|(stored, quota)| stored.saturating_mul(100) / quota.max(1)),
        restore: view.sample.and_then(|s| s.restore_size),
        deduplication: words::times(view.ratios.deduplication.or(view.ratios.both)),
        compression: words::times(view.ratios.compression),
        growth: view.growth_per_day.map(f64::abs),
        shrinks: view.growth_per_day.is_some_and(|g| g < 0.0),
        full: words::full(view.full, quota.is_some() || view.sample.is_some_and(|s| s.free.is_some())),
        free: view.sample.and_then(|s| s.free),
        counted: moment(view.sample.map(|s| s.at)),
        checked: moment(view.checked_at),
        read_percent: view.read_percent.map(|p| p.floor() as i64),
        whole: moment(view.whole_at),
        append_only: view.credentials.append_only,
        proven: view.credentials.proven,
        full_credentials: view.credentials.full,
    }
}

/// Damage stands above all else.
fn troubles(opened: &Opened) -> Vec<Trouble> {
    let look = |level| match level {
        Level::Unknown => ("never", "mute"),
        Level::Ok => ("ok", "ok"),
        Level::Warning => ("warn", "warn"),
        Level::Critical => ("bad", "bad"),
    };
    let trouble = |t: &Weighed| {
        let (icon, class) = look(t.level);
        Trouble { icon, class, text: crate::words::capital(&t.text) }
    };
    let damage = |detail: &String| Trouble { icon: "shield-no", class: "bad", text: words::damaged(detail) };
    // The alert says more of the damage than the verdict does.
    let told = |t: &&Weighed| t.trouble != Known::Damaged;
    let weighed = opened.health.health.troubles.iter().filter(told).map(trouble);
    opened.damage.iter().map(damage).chain(weighed).collect()
}

async fn largest(s: &Services, opened: &Opened, names: &mut Names) -> Result<Vec<Room>, ApiError> {
    let own = is_per_host(&opened.repository.url);
    let found = repository_users::largest(s, opened.repository.id, own, LARGEST).await?;
    let most = found.first().map_or(1, |(_, bytes)| *bytes).max(1);
    let mut rooms = vec![];
    for (host, bytes) in found {
        let share = u64::try_from(u128::from(bytes) * 1000 / u128::from(most)).unwrap_or(1000);
        rooms.push(Room { id: host.to_string(), host: names.host(s, host).await?, bytes, share });
    }
    Ok(rooms)
}

async fn maintains(
    s: &Services,
    host: Option<HostId>,
    names: &mut Names,
) -> Result<Option<(String, String)>, ApiError> {
    match host {
        Some(host) => Ok(Some((host.to_string(), names.host(s, host).await?))),
        None => Ok(None),
    }
}

/// When its storage last answered, as far as its newest jobs say.
fn reached(opened: &Opened) -> Option<Moment> {
    let good = |job: &&Job| matches!(job.state, JobState::Succeeded | JobState::Warning);
    let at = opened.newest.iter().filter(good).filter_map(|job| job.finished_at).max();
    at.map(|at| Moment::new(at, opened.now))
}

/// How far back the picture goes.
#[derive(Debug, Default, Deserialize)]
pub struct SpanQuery {
    /// `month`, `year` or `all`; a year if it says nothing.
    #[serde(default)]
    span: String,
}

impl SpanQuery {
    fn stretch(&self) -> Stretch {
        self.span.parse().unwrap_or(Stretch::Year)
    }
}

fn stretches(id: RepositoryId, chosen: Stretch) -> Vec<(&'static str, String, bool)> {
    let choice = |one: Stretch| {
        let span = if one == Stretch::Year { "" } else { one.as_str() };
        (words::stretch(one), address(&format!("/repositories/{id}"), &[("span", span)]), one == chosen)
    };
    Stretch::ALL.iter().copied().map(choice).collect()
}

async fn page(s: &Services, id: RepositoryId, stretch: Stretch) -> Result<RepositoryPage, ApiError> {
    let opened = Opened::of(s, id).await?;
    let (now, mut names) = (opened.now, Names::default());
    let locks = locks::of_repository(s, id).await?;
    let used = repository_users::doubtful(s, id, PROOFS).await?;
    let samples = health::history(s, id).await?;
    let quota = opened.repository.quota_bytes;
    let host = upkeep::get(s, id).await?.maintenance_host_id;
    let kit = recovery::state_of(s, id).await?.map(|state| KitRow::new(&state, now));
    Ok(RepositoryPage {
        head: opened.head("overview"),
        kit,
        damaged: !opened.damage.is_empty(),
        troubles: troubles(&opened),
        figures: figures(&opened.health, quota, now),
        chart: chart(&stretch.of(&samples, now), quota, now),
        stretches: if samples.len() > 1 { stretches(id, stretch) } else { vec![] },
        largest: largest(s, &opened, &mut names).await?,
        reached: reached(&opened),
        authorities: opened.repository.ca_pem.is_some(),
        proofs: used.iter().map(|c| Proof::new(c, now)).collect(),
        locks: lock_list(s, &locks, &mut names, now).await?,
        open: open_jobs(s, id, &mut names).await?,
        jobs: names.rows(s, &opened.newest, now).await?,
        maintains: maintains(s, host, &mut names).await?,
    })
}

/// A repository at a glance.
#[get("/repositories/{id}")]
pub async fn show(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    span: web::Query<SpanQuery>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, *id, span.stretch()).await?).await
}

/// What changed of it since the browser looked.
#[get("/ui/repositories/{id}/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    query: web::Query<LiveQuery>,
) -> Result<HttpResponse, ApiError> {
    // The picture is no part of it: what was chosen of it stays.
    let live = RepositoryLive { page: page(&s, *id, Stretch::Year).await? };
    view.fragment(&who, &query.cursor, &format!("/repositories/{id}"), &live).await
}
