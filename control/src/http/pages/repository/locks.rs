//! The locks of a repository: who holds each and whether that process still runs, looking anew, and the page that asks before they are removed.

use super::super::door::{View, go};
use super::super::engine::Page;
use super::super::names::Names;
use super::Opened;
use crate::domain::locks::{Judged, Unknown, Verdict};
use crate::domain::operation::destruction;
use crate::http::guard::{Guarded, Operator, SafeForm};
use crate::http::problem::ApiError;
use crate::service::locks::{self, Locks};
use crate::service::{ActError, Services};
use crate::words::Moment;
use crate::words::repository as words;
use actix_web::{HttpResponse, get, post, web};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The locks of a repository.
#[derive(Debug, Serialize)]
pub struct LockList {
    /// Each of them.
    pub items: Vec<LockRow>,
    /// When somebody last looked.
    pub seen: Option<Moment>,
    /// Hosts on which a plain unlock removes the dead ones and no other.
    pub unlock_on: Vec<(String, String)>,
    /// Whether removing all would do no harm.
    pub all_dead: bool,
    /// Whether some lock stands in the way of removing the dead ones.
    pub blocked: bool,
}

/// A lock.
#[derive(Debug, Serialize)]
pub struct LockRow {
    /// The machine's own name.
    pub hostname: String,
    /// The user there.
    pub username: String,
    /// The process there.
    pub pid: u32,
    /// Whether it shuts out everybody else.
    pub exclusive: bool,
    /// When it was made or renewed.
    pub at: Moment,
    /// The icon's name.
    pub icon: &'static str,
    /// The colour's class.
    pub class: &'static str,
    /// Whose it is, in words.
    pub text: String,
    /// Whether its process still runs, in words.
    pub process: &'static str,
    /// The jobs that it may belong to, by the hosts' names.
    pub jobs: Vec<(String, String)>,
}

fn lock_row(judged: &Judged, now: Timestamp) -> LockRow {
    let (icon, class, holders) = match &judged.verdict {
        Verdict::Held { by } => ("lock", "run", vec![by]),
        Verdict::Dead { of } => ("unlock", "warn", of.iter().collect()),
        Verdict::Unknown { why: Unknown::NotOurs } => ("warn", "warn", vec![]),
        Verdict::Unknown { why: Unknown::Unconfirmed { by } } => ("clock", "warn", vec![by]),
        Verdict::Unknown { why: Unknown::Ambiguous { of } } => ("warn", "warn", of.iter().collect()),
    };
    let lock = &judged.lock;
    LockRow {
        hostname: lock.hostname.clone(),
        username: lock.username.clone(),
        pid: lock.pid,
        exclusive: lock.exclusive,
        at: Moment::new(lock.time, now),
        icon,
        class,
        text: crate::words::capital(&judged.text),
        process: words::process(&judged.verdict),
        jobs: holders.iter().map(|h| (h.job_id.to_string(), h.host.clone())).collect(),
    }
}

/// The locks of a repository as they were last seen.
///
/// # Errors
/// When the database fails.
pub(super) async fn lock_list(
    s: &Services,
    locks: &Locks,
    names: &mut Names,
    now: Timestamp,
) -> Result<LockList, ApiError> {
    let mut unlock_on = vec![];
    for host in &locks.cleanup.unlock_on {
        unlock_on.push((host.to_string(), names.host(s, *host).await?));
    }
    Ok(LockList {
        items: locks.items.iter().map(|judged| lock_row(judged, now)).collect(),
        seen: locks.seen_at.map(|at| Moment::new(at, now)),
        unlock_on,
        all_dead: locks.cleanup.remove_all,
        blocked: !locks.cleanup.blocked_by.is_empty(),
    })
}

/// Asks before the locks of a repository are removed.
#[derive(Debug, Serialize)]
pub struct UnlockPage {
    /// The repository's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its locks.
    pub locks: LockList,
    /// Whether a job that runs here holds one of them.
    pub held: bool,
    /// What removing all of them does, in a sentence.
    pub what: String,
    /// The task that does it, as JSON.
    pub task: String,
    /// The places that have locks: whose own repository it is where each host has one, its name, and how many locks.
    pub places: Vec<(String, String, usize)>,
    /// The same press twice is one job.
    pub key: String,
}

impl Page for UnlockPage {
    const TEMPLATE: &'static str = "pages/repository-unlock.html";
    const NAV: &'static str = "repositories";
}

async fn places(s: &Services, locks: &Locks, names: &mut Names) -> Result<Vec<(String, String, usize)>, ApiError> {
    let mut counts = BTreeMap::<Option<HostId>, usize>::new();
    for judged in &locks.items {
        *counts.entry(judged.lock.of_host_id).or_default() += 1;
    }
    let mut places = vec![];
    for (host, count) in counts {
        places.push(match host {
            Some(host) => (host.to_string(), names.host(s, host).await?, count),
            None => (String::new(), String::new(), count),
        });
    }
    Ok(places)
}

/// Asks before the locks of a repository are removed: whose they are, since when, and whether those processes still run.
#[get("/repositories/{id}/locks/remove")]
pub async fn ask_remove(
    who: Guarded<Operator>,
    view: View,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
) -> Result<HttpResponse, ApiError> {
    let (opened, mut names) = (Opened::of(&s, *id).await?, Names::default());
    let locks = locks::of_repository(&s, *id).await?;
    let task = Task::Unlock { repository_id: *id, dead: vec![], remove_all: true };
    let head = opened.head("overview");
    let page = UnlockPage {
        id: id.to_string(),
        held: locks.items.iter().any(|judged| matches!(judged.verdict, Verdict::Held { .. })),
        places: places(&s, &locks, &mut names).await?,
        locks: lock_list(&s, &locks, &mut names, opened.now).await?,
        what: destruction(&task).unwrap_or_default(),
        task: serde_json::to_string(&task).map_err(|_| ActError::Internal("a task cannot be written"))?,
        name: opened.repository.name,
        key: head.key,
    };
    view.show(&who, &page).await
}

/// Nothing but the press.
#[derive(Debug, Deserialize)]
pub struct LookForm {}

/// Looks at the locks anew, in each restic repository that this one stands for.
#[post("/repositories/{id}/locks/look")]
pub async fn look_at_locks(
    who: Guarded<Operator>,
    s: web::Data<Services>,
    id: web::Path<RepositoryId>,
    _form: SafeForm<LookForm>,
) -> Result<HttpResponse, ApiError> {
    let jobs = locks::look(&s, &who.actor, *id).await?;
    Ok(match jobs.as_slice() {
        [one] => go(&format!("/jobs/{}", one.job.id)),
        [] => go(&format!("/repositories/{id}?done=nothing-to-look-at")),
        _ => go(&format!("/repositories/{id}?done=locks-asked")),
    })
}
