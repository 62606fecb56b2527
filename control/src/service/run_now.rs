//! Run now, before it is pressed: what the hosts on a page offer, found out for all of them in a few queries. The rule is in `domain::run_now`.

use super::host_actions::Known;
use super::operations::online_now;
use super::{ActError, Services};
use crate::domain::host_action::{HostAct, Why};
use crate::domain::run_now::{RunNow, Runner};
use crate::domain::schedule::Schedule;
use restic_manager_shared::id::{HostId, ScheduleId};
use std::collections::{HashMap, HashSet};

/// A schedule that could be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Which.
    pub id: ScheduleId,
    /// Its name.
    pub name: String,
    /// What it backs up.
    pub paths: Vec<String>,
    /// Whether it can start now.
    pub ready: Result<(), Why>,
}

/// What a host offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What its Run now does.
    pub run: RunNow,
    /// Its enabled schedules.
    pub choices: Vec<Choice>,
}

/// What these hosts offer.
///
/// # Errors
/// When the database fails.
pub async fn of_hosts(s: &Services, ids: Vec<HostId>) -> Result<HashMap<HostId, Offer>, ActError> {
    let online = online_now(s);
    s.db.read(move |conn| {
        let act = HostAct::Run { online_only: true, all_schedules: false };
        let known = Known::of(conn, &ids, &act)?;
        let (no_schedules, no_credentials) = (vec![], HashSet::new());
        let offers = known.hosts.iter().map(|host| {
            let runner = Runner {
                lifecycle: host.lifecycle,
                online: online(host),
                schedules: known.schedules.get(&host.id).unwrap_or(&no_schedules),
                open: &known.open,
                credentials: known.credentials.get(&host.id).unwrap_or(&no_credentials),
            };
            (host.id, offer(&runner))
        });
        Ok(offers.collect())
    })
    .await
}

fn offer(runner: &Runner<'_>) -> Offer {
    let choice =
        |s: &Schedule| Choice { id: s.id, name: s.name.clone(), paths: s.paths.clone(), ready: runner.ready(s) };
    Offer { run: runner.offer(), choices: runner.schedules.iter().filter(|s| s.enabled).map(choice).collect() }
}

/// What one host offers; nothing if there is no such host.
///
/// # Errors
/// When the database fails.
pub async fn of_host(s: &Services, id: HostId) -> Result<Option<Offer>, ActError> {
    Ok(of_hosts(s, vec![id]).await?.remove(&id))
}
