//! Jobs of all hosts: those that go on first, then the newest, narrowed by what the address says.

use super::door::{View, address};
use super::engine::Page;
use super::host_choice::{self, HostChoice};
use super::hosts::PAGE;
use super::names::Names;
use super::narrowed::Narrowed;
use super::view::{JobRow, kind_word};
use crate::domain::job::{JobKind, JobState};
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::{ActError, MAX_PAGE, Services, jobs, protection, repositories};
use crate::store::jobs::Filter;
use crate::words::wrong;
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The states of jobs that go on.
pub const OPEN: [JobState; 3] = [JobState::Queued, JobState::Dispatched, JobState::Running];
/// The states of jobs that came to nothing, but did not fail.
const OTHER: [JobState; 4] = [JobState::Cancelled, JobState::Lost, JobState::Missed, JobState::Skipped];
/// Jobs that go on and stand before the others.
const OPEN_FIRST: i64 = 20;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The list.
#[derive(Debug, Serialize)]
pub struct JobsPage {
    /// On the first page those that go on; then the newest.
    pub jobs: Vec<JobRow>,
    /// The next page.
    pub next: Option<String>,
    /// What the list is narrowed to, as it was asked for.
    pub asked: Asked,
    /// The filters by state: address, word, and whether it is this one.
    pub states: Vec<(String, &'static str, bool)>,
    /// Kinds to choose from: spelling and word.
    pub kinds: Vec<(&'static str, &'static str)>,
    /// The field for a host.
    pub choice: HostChoice,
    /// Repositories to choose from: identity and name.
    pub repositories: Vec<(String, String)>,
    /// The address of this list without its cursor.
    pub here: String,
    /// Whether the list is narrowed.
    pub narrowed: bool,
    /// To what, if it is empty.
    pub empty: Narrowed,
    /// Whether this is not the first page.
    pub later: bool,
    /// How jobs of the last day ended: succeeded, with warnings, failed.
    pub day: (i64, i64, i64),
    /// What is wrong with what was asked for.
    pub trouble: String,
}

impl Page for JobsPage {
    const TEMPLATE: &'static str = "pages/jobs.html";
    const NAV: &'static str = "jobs";
}

/// What changes of it.
#[derive(Debug, Serialize)]
pub struct JobsLive(pub JobsPage);

impl Page for JobsLive {
    const TEMPLATE: &'static str = "fragments/jobs.html";
}

/// What the list is narrowed to.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Asked {
    /// A state, `open` or `other`; empty for all.
    pub state: String,
    /// A kind.
    pub kind: String,
    /// A host's identity or name.
    pub host: String,
    /// A repository's identity.
    pub repository: String,
    /// A tag of the host.
    pub tag: String,
    /// `day`, `week`, `month`; else all.
    pub time: String,
    /// `next` of the page before; what the browser has, for a fragment.
    #[serde(skip_serializing)]
    pub cursor: Option<String>,
}

/// The states that a word means: none of them for all; nothing if it is no state.
fn states(word: &str) -> Option<Vec<JobState>> {
    match word {
        "" => Some(vec![]),
        "open" => Some(OPEN.into()),
        "other" => Some(OTHER.into()),
        state => state.parse().ok().map(|state| vec![state]),
    }
}

/// The segment that a state stands in.
fn segment(word: &str) -> &str {
    match states(word).as_deref() {
        Some([state]) if OPEN.contains(state) => "open",
        Some([state]) if OTHER.contains(state) => "other",
        Some(_) | None => word,
    }
}

/// How far back a word goes.
fn reach(word: &str) -> Option<Duration> {
    match word {
        "day" => Some(DAY),
        "week" => Some(DAY * 7),
        "month" => Some(DAY * 30),
        _ => None,
    }
}

impl Asked {
    /// The same list, narrowed to another state.
    fn address(&self, state: &str) -> String {
        let asked = [("state", state), ("kind", &*self.kind), ("host", &*self.host), ("repository", &*self.repository)];
        address("/jobs", &[&asked[..], &[("tag", &*self.tag), ("time", &*self.time)]].concat())
    }

    async fn filter(&self, s: &Services, now: Timestamp) -> Result<Filter, ActError> {
        let states = states(&self.state).ok_or_else(|| ActError::field("/state", wrong::no_state(&self.state)))?;
        let repository = Some(self.repository.trim()).filter(|id| !id.is_empty());
        let repository =
            repository.map(|id| id.parse().map_err(|_| ActError::field("/repository", wrong::NO_REPOSITORY)));
        Ok(Filter {
            repository: repository.transpose()?,
            host: host_choice::read(s, &self.host).await?.map(|host| host.id),
            host_tag: Some(self.tag.trim().to_owned()).filter(|tag| !tag.is_empty()),
            kinds: self.kind.parse().into_iter().collect(),
            states,
            since: reach(&self.time).map(|reach| now - reach),
            ..Filter::default()
        })
    }
}

/// Those that go on and the newest others, and the next page.
async fn listed(
    s: &Services,
    filter: Filter,
    cursor: Option<String>,
    now: Timestamp,
) -> Result<(Vec<JobRow>, Option<String>), ApiError> {
    let first = filter.states.is_empty() && cursor.is_none();
    let mut shown = if first {
        let open = Filter { states: OPEN.into(), ..filter.clone() };
        jobs::list(s, open, None, OPEN_FIRST).await?.items
    } else {
        vec![]
    };
    let mut listed = jobs::list(s, filter, cursor, PAGE).await?;
    listed.items.retain(|job| shown.iter().all(|known| known.id != job.id));
    shown.append(&mut listed.items);
    Ok((Names::default().rows(s, &shown, now).await?, listed.next))
}

async fn page(s: &Services, mut asked: Asked) -> Result<JobsPage, ApiError> {
    let now = Timestamp::now();
    let cursor = asked.cursor.take();
    let later = cursor.is_some();
    let ((jobs, next), trouble) = match asked.filter(s, now).await {
        Ok(filter) => (listed(s, filter, cursor, now).await?, String::new()),
        Err(ActError::Invalid(wrong)) => {
            let detail = wrong.first().map(|w| crate::words::capital(&w.detail)).unwrap_or_default();
            ((vec![], None), detail)
        }
        Err(other) => return Err(other.into()),
    };
    let shown = segment(&asked.state).to_owned();
    if states(&asked.state).is_none() {
        asked.state.clear();
    }
    let ended = protection::last_day(s, now).await?;
    let here = asked.address(&asked.state);
    let choice = HostChoice::of(s, &asked.host).await?;
    let repositories = repositories::list(s, None, MAX_PAGE).await?.items;
    let repositories: Vec<_> = repositories.into_iter().map(|r| (r.id.to_string(), r.name)).collect();
    let day = (
        ended.ended(&[JobState::Succeeded]),
        ended.ended(&[JobState::Warning]),
        ended.ended(&[JobState::Failed, JobState::Lost, JobState::Missed]),
    );
    Ok(JobsPage {
        empty: if jobs.is_empty() {
            Narrowed::jobs(&asked, &choice, &repositories, day.0 + day.1 + day.2)
        } else {
            Narrowed::default()
        },
        states: crate::words::state::JOBS.iter().map(|(w, text)| (asked.address(w), *text, *w == shown)).collect(),
        kinds: JobKind::ALL.iter().map(|k| (k.as_str(), kind_word(*k))).collect(),
        choice,
        repositories,
        narrowed: here != "/jobs",
        day,
        jobs,
        next,
        asked,
        here,
        later,
        trouble,
    })
}

/// Shows it.
#[get("/jobs")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    view.show(&who, &page(&s, asked.into_inner()).await?).await
}

/// What changed of its first page.
#[get("/ui/jobs/live")]
pub async fn live(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let mut asked = asked.into_inner();
    let cursor = asked.cursor.take().unwrap_or_default();
    let page = page(&s, asked).await?;
    let path = page.here.clone();
    view.fragment(&who, &cursor, &path, &JobsLive(page)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrowing_stays_in_the_address() {
        let asked = Asked { kind: "prune".into(), host: "a b".into(), time: "week".into(), ..Asked::default() };
        assert_eq!(asked.address("failed"), "/jobs?state=failed&kind=prune&host=a+b&time=week");
        assert_eq!(Asked::default().address(""), "/jobs");
        assert_eq!((reach("day"), reach("ever")), (Some(DAY), None));
    }

    #[test]
    fn each_state_can_be_asked_for_and_stands_in_a_segment() {
        for state in JobState::ALL {
            assert_eq!(states(state.as_str()), Some(vec![*state]));
            let segment = segment(state.as_str());
            assert!(crate::words::state::JOBS.iter().any(|(word, _)| *word == segment), "{state} in {segment}");
        }
        assert_eq!((states(""), states("bogus")), (Some(vec![]), None));
        assert_eq!((segment("lost"), segment("running"), segment("open")), ("other", "open", "open"));
    }
}
