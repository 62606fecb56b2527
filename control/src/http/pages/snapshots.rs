//! The snapshots of all hosts, newest first and by day: what was saved when, what changed between two of them, and the way to its files. What
//! only concerns one repository, such as forgetting, is done on that repository's own page.

use super::door::{View, address, go};
use super::engine::Page;
use super::host_choice::{self, HostChoice};
use super::hosts::{PAGE, SnapshotRow};
use super::names::Names;
use super::narrowed::Narrowed;
use super::zone;
use crate::domain::snapshot::Snapshot;
use crate::http::guard::{Guarded, Viewer};
use crate::http::problem::ApiError;
use crate::service::snapshots::{self, Filter};
use crate::service::{ActError, MAX_PAGE, Services, changes, repositories};
use crate::words::wrong;
use crate::words::{Moment, day};
use actix_web::{HttpResponse, get, web};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Snapshots of all hosts.
#[derive(Debug, Serialize)]
pub struct SnapshotsPage {
    /// This page of them by day, newest first.
    pub days: Vec<Day>,
    /// How many are on this page.
    pub shown: usize,
    /// Which host.
    pub choice: HostChoice,
    /// The host's identity, once it is chosen.
    pub host: Option<String>,
    /// Repositories to choose from: identity and name.
    pub repositories: Vec<(String, String)>,
    /// What the list is narrowed to, as it was asked for.
    pub asked: Asked,
    /// The address of this list without its cursor.
    pub here: String,
    /// The next page.
    pub next: Option<String>,
    /// Whether this is not the first page.
    pub later: bool,
    /// Whether the list is narrowed.
    pub narrowed: bool,
    /// To what, if it is empty.
    pub empty: Narrowed,
    /// Why nothing can be shown.
    pub trouble: String,
    /// Why the two that were ticked cannot be compared.
    pub uncompared: &'static str,
}

impl Page for SnapshotsPage {
    const TEMPLATE: &'static str = "pages/snapshots.html";
    const NAV: &'static str = "snapshots";
}

/// The snapshots of one day.
#[derive(Debug, Serialize)]
pub struct Day {
    /// Which day, in the viewer's zone.
    pub name: String,
    /// Those of it.
    pub rows: Vec<Row>,
}

/// A snapshot in the list.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The snapshot.
    pub snapshot: SnapshotRow,
    /// Its host's identity, if it is one of ours.
    pub host_id: Option<String>,
    /// Its host's name, or what restic calls it.
    pub host: String,
    /// Its repository's name.
    pub repository: String,
}

/// What the list is narrowed to.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Asked {
    /// A host's identity or name.
    pub host: String,
    /// A tag of hosts.
    pub tag: String,
    /// A repository's identity.
    pub repository: String,
    /// A tag of snapshots.
    pub snapshot_tag: String,
    /// A day: that day and older.
    pub until: String,
    /// What was wrong with what was ticked to compare: `ticks`, `repositories` or `alone`.
    #[serde(skip_serializing)]
    pub wrong: String,
    /// `next` of the page before.
    #[serde(skip_serializing)]
    pub cursor: Option<String>,
}

impl Asked {
    /// The end of the day that was asked for, in the viewer's zone; none if no day was.
    fn until(&self) -> Result<Option<Timestamp>, ActError> {
        Ok(zone::day("/until", &self.until)?.map(zone::ends))
    }

    fn address(&self) -> String {
        address(
            "/snapshots",
            &[
                ("host", &self.host),
                ("tag", &self.tag),
                ("repository", &self.repository),
                ("snapshot_tag", &self.snapshot_tag),
                ("until", &self.until),
            ],
        )
    }
}

async fn filter(s: &Services, asked: &Asked) -> Result<Filter, ActError> {
    let tag = |typed: &str| Some(typed.trim().to_owned()).filter(|tag| !tag.is_empty());
    Ok(Filter {
        host: host_choice::read(s, &asked.host).await?.map(|host| host.id),
        repository: asked.repository.parse().ok(),
        host_tag: tag(&asked.tag),
        tag: tag(&asked.snapshot_tag),
        until: asked.until()?,
        ..Filter::default()
    })
}

/// The rows of snapshots, by day.
async fn days(s: &Services, listed: &[Snapshot], now: Timestamp) -> Result<Vec<Day>, ApiError> {
    let (mut names, mut days) = (Names::default(), Vec::<Day>::new());
    names.learn_of_snapshots(s, listed).await?;
    for snapshot in listed {
        let host = match snapshot.host_id {
            Some(host) => names.host(s, host).await?,
            None => snapshot.hostname.clone(),
        };
        let repository = names.repository(s, snapshot.repository_id).await?;
        let row = Row {
            snapshot: SnapshotRow::new(snapshot, now),
            host_id: snapshot.host_id.map(|id| id.to_string()),
            host,
            repository: repository.unwrap_or_default(),
        };
        let name = day(snapshot.time, now);
        match days.last_mut().filter(|day| day.name == name) {
            Some(day) => day.rows.push(row),
            None => days.push(Day { name, rows: vec![row] }),
        }
    }
    Ok(days)
}

/// Snapshots of all hosts.
#[get("/snapshots")]
pub async fn list(
    who: Guarded<Viewer>,
    view: View,
    s: web::Data<Services>,
    asked: web::Query<Asked>,
) -> Result<HttpResponse, ApiError> {
    let (now, asked) = (Timestamp::now(), asked.into_inner());
    let (narrowed_to, trouble) = match filter(&s, &asked).await {
        Ok(filter) => (Some(filter), String::new()),
        Err(ActError::Invalid(wrong)) => (None, wrong.first().map(|w| w.detail.clone()).unwrap_or_default()),
        Err(other) => return Err(other.into()),
    };
    let host = narrowed_to.as_ref().and_then(|f| f.host).map(|id| id.to_string());
    let (items, next) = match narrowed_to {
        Some(filter) => {
            let listed = snapshots::list(&s, filter, asked.cursor.clone(), PAGE).await?;
            (listed.items, listed.next)
        }
        None => (vec![], None),
    };
    let repositories = repositories::list(&s, None, MAX_PAGE).await?.items;
    let repositories: Vec<_> = repositories.into_iter().map(|r| (r.id.to_string(), r.name)).collect();
    let choice = HostChoice::of(&s, host.as_deref().unwrap_or(&asked.host)).await?;
    let mut empty = Narrowed::default();
    if items.is_empty() {
        let newest = snapshots::list(&s, Filter::default(), None, 1).await?.items.pop();
        empty = Narrowed::snapshots(&asked, &choice, &repositories, newest.map(|n| Moment::new(n.time, now)).as_ref());
    }
    let here = asked.address();
    let page = SnapshotsPage {
        days: days(&s, &items, now).await?,
        shown: items.len(),
        choice,
        empty,
        host,
        repositories,
        narrowed: here != "/snapshots",
        here,
        next,
        later: asked.cursor.is_some(),
        trouble: crate::words::capital(&trouble),
        uncompared: match asked.wrong.as_str() {
            "ticks" => wrong::TICK_TWO,
            "repositories" => wrong::TWO_REPOSITORIES,
            "alone" => wrong::NO_EARLIER,
            _ => "",
        },
        asked,
    };
    view.show(&who, &page).await
}

/// Goes to the comparison of the two snapshots that were ticked. One alone is compared with the one before it. What cannot be compared leads
/// back to the list, with the filter that it had.
#[get("/snapshots/compare")]
pub async fn compare(
    _: Guarded<Viewer>,
    s: web::Data<Services>,
    ticked: web::Query<Vec<(String, String)>>,
) -> Result<HttpResponse, ApiError> {
    let picked: Vec<(RepositoryId, &str)> = ticked
        .iter()
        .filter(|(name, _)| name == "s")
        .filter_map(|(_, value)| value.split_once(' ').and_then(|(r, id)| Some((r.parse().ok()?, id))))
        .collect();
    let back = |wrong: &str| {
        let asked = ticked.iter().filter(|(name, _)| name != "s" && name != "wrong");
        let asked: Vec<(&str, &str)> = asked.map(|(name, value)| (name.as_str(), value.as_str())).collect();
        Ok(go(&address("/snapshots", &[asked.as_slice(), &[("wrong", wrong)]].concat())))
    };
    // The list is newest first: the older is what is compared with.
    let (repository, older, newer) = match picked.as_slice() {
        [(repository, newer)] => (*repository, None, *newer),
        [(repository, newer), (other, older)] if repository == other => (*repository, Some(*older), *newer),
        [_, _] => return back("repositories"),
        _ => return back("ticks"),
    };
    match changes::pair(&s, repository, older, newer).await {
        Err(ActError::Invalid(_)) if older.is_none() => return back("alone"),
        Err(ActError::Invalid(_)) => return back("repositories"),
        other => drop(other?),
    }
    let asked = [("from", older.unwrap_or_default()), ("to", newer)];
    Ok(go(&address(&format!("/repositories/{repository}/changes"), &asked)))
}
