//! The one page that asks before something is taken away for good: what it does, where, with which parameters. The task travels through the
//! page and is checked anew when it comes back.

use super::super::engine::Page;
use super::super::names::Names;
use crate::domain::job::JobKind;
use crate::domain::operation::destruction;
use crate::http::problem::ApiError;
use crate::service::operations::JobInput;
use crate::service::{ActError, Services, repositories};
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::wire::job::Task;
use serde::Serialize;

/// Asks before something is taken away.
#[derive(Debug, Serialize)]
pub struct AskPage {
    /// The repository's identity.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The operation's name.
    pub title: &'static str,
    /// What it takes away, in a sentence.
    pub what: String,
    /// The host that was chosen to do it.
    pub host: Option<String>,
    /// Whose own repository is meant.
    pub of: Option<String>,
    /// Parameters worth seeing.
    pub list: Vec<String>,
    /// How many more there are.
    pub more: usize,
    /// The task as JSON.
    pub task: String,
    /// The host's identity.
    pub host_id: String,
    /// The identity of the one whose repository is meant.
    pub of_host_id: String,
    /// The same press twice is one job.
    pub key: String,
}

impl Page for AskPage {
    const TEMPLATE: &'static str = "pages/operation-ask.html";
    const NAV: &'static str = "repositories";
}

/// Parameters that are shown at most.
const SHOWN: usize = 20;

fn parameters(task: &Task) -> Vec<String> {
    match task {
        Task::Forget { snapshots, .. } => snapshots.clone(),
        Task::RepairPacks { packs, .. } => packs.clone(),
        Task::Rewrite { snapshots, excludes, .. } => excludes.iter().chain(snapshots).cloned().collect(),
        Task::RepairSnapshots { snapshots, .. } => snapshots.clone(),
        Task::KeyRemove { key, .. } => vec![key.clone()],
        _ => vec![],
    }
}

/// The question about a task.
///
/// # Errors
/// When there is no such repository.
pub async fn ask_page(s: &Services, id: RepositoryId, input: &JobInput, key: String) -> Result<AskPage, ApiError> {
    let (repository, mut names) = (repositories::get(s, id).await?, Names::default());
    let mut list = parameters(&input.task);
    let more = list.len().saturating_sub(SHOWN);
    list.truncate(SHOWN);
    let host = match input.host_id {
        Some(host) => Some(names.host(s, host).await?),
        None => None,
    };
    let of = match input.of_host_id {
        Some(host) => Some(names.host(s, host).await?),
        None => None,
    };
    Ok(AskPage {
        id: id.to_string(),
        name: repository.name,
        title: JobKind::from(&input.task).operation().title,
        what: destruction(&input.task).unwrap_or_default(),
        host,
        of,
        list,
        more,
        task: serde_json::to_string(&input.task).map_err(|_| ActError::Internal("a task cannot be written"))?,
        host_id: input.host_id.map(|h| h.to_string()).unwrap_or_default(),
        of_host_id: input.of_host_id.map(|h| h.to_string()).unwrap_or_default(),
        key,
    })
}
