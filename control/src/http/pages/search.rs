//! Search over everything. One hit is gone to at once; several are a page.

use super::door::{View, go};
use super::engine::Page;
use super::names::Names;
use super::view::{Badge, Link, job_badge, kind_word};
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::Services;
use crate::service::search::{self, Found};
use crate::words::Moment;
use crate::words::things;
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct SearchPage {
    /// What was looked for.
    pub q: String,
    /// Hits by kind, those kinds that have some.
    pub kinds: Vec<Kind>,
    /// How many there are.
    pub hits: usize,
}

impl Page for SearchPage {
    const TEMPLATE: &'static str = "pages/search.html";
}

/// The hits of one kind.
#[derive(Debug, Serialize)]
pub struct Kind {
    /// Its word, in the plural.
    pub name: &'static str,
    /// The icon's name.
    pub icon: &'static str,
    /// The hits.
    pub hits: Vec<Hit>,
    /// There may be more than are shown.
    pub more: bool,
}

/// A hit.
#[derive(Debug, Serialize)]
pub struct Hit {
    /// Where it is, and its name.
    pub link: Link,
    /// More about it.
    pub detail: String,
    /// Its state, if it has one.
    pub badge: Option<Badge>,
    /// When it was, if it is of a time.
    pub at: Option<Moment>,
}

fn hit(href: String, text: String, detail: String) -> Hit {
    Hit { link: Link { href, text }, detail, badge: None, at: None }
}

fn kind(name: &'static str, icon: &'static str, hits: Vec<Hit>) -> Option<Kind> {
    let more = i64::try_from(hits.len()).is_ok_and(|n| n >= search::MOST);
    (!hits.is_empty()).then_some(Kind { name, icon, hits, more })
}

async fn kinds(s: &Services, found: Found, now: Timestamp) -> Result<Vec<Kind>, ApiError> {
    let mut names = Names::default();
    let hosts = found.hosts.into_iter().map(|(id, name)| hit(format!("/hosts/{id}"), name, String::new()));
    let schedules =
        found.schedules.into_iter().map(|f| hit(format!("/schedules/{}", f.id), f.name, things::of(&f.host_name)));
    let repositories =
        found.repositories.into_iter().map(|(id, name, url)| hit(format!("/repositories/{id}"), name, url));
    let jobs = found.jobs.into_iter().map(|f| Hit {
        badge: Some(job_badge(f.state)),
        at: Some(Moment::new(f.at, now)),
        ..hit(format!("/jobs/{}", f.id), format!("{} {}", kind_word(f.kind), f.host_name), f.id.to_string())
    });
    let (hosts, schedules, jobs) = (hosts.collect(), schedules.collect(), jobs.collect());
    let mut snapshots = vec![];
    for f in found.snapshots {
        let repository = names.repository(s, f.repository).await?.unwrap_or_default();
        let href = format!("/repositories/{}/changes?to={}", f.repository, f.id);
        let short: String = f.id.chars().take(8).collect();
        snapshots.push(Hit { at: Some(Moment::new(f.at, now)), ..hit(href, short, things::within(&repository)) });
    }
    let all = [
        kind("Hosts", "host", hosts),
        kind("Schedules", "clock", schedules),
        kind("Repositories", "repo", repositories.collect()),
        kind("Jobs", "job", jobs),
        kind("Snapshots", "snapshot", snapshots),
    ];
    Ok(all.into_iter().flatten().collect())
}

/// What is looked for.
#[derive(Debug, Deserialize)]
pub struct SearchQuery {
    #[serde(default)]
    q: String,
}

/// Looks for something.
#[get("/search")]
pub async fn find(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    query: web::Query<SearchQuery>,
) -> Result<HttpResponse, ApiError> {
    let q = query.into_inner().q;
    let kinds = kinds(&s, search::find(&s, &q).await?, Timestamp::now()).await?;
    let hits = kinds.iter().map(|kind| kind.hits.len()).sum();
    match kinds.first().and_then(|kind| kind.hits.first()) {
        Some(only) if hits == 1 => Ok(go(&only.link.href)),
        _ => view.show(&who, &SearchPage { q, kinds, hits }).await,
    }
}
