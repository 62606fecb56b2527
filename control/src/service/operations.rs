//! Operations: what a person or script asks of restic besides a run of a schedule. The rules stand in the table of `domain::operation`;
//! here they meet the database.

use super::jobs::{Ask, Queued, Request, queue, queued};
use super::{ActError, Noun, Refusal, Services, restores};
use crate::domain::delivery::{Open, WaitsFor, waits_for as in_the_way};
use crate::domain::fleet::{HostState, Lifecycle, host_state};
use crate::domain::job::{Job, JobKind, JobState};
use crate::domain::operation::{Candidate, Unfit, destruction, fit, pick_host};
use crate::domain::permission::Actor;
use crate::domain::place::{Place, is_per_host};
use crate::domain::repository::url_for;
use crate::domain::task_input::check_task;
use crate::store::hosts::HostRecord;
use crate::store::jobs::JobRecord;
use crate::store::{Conn, credentials, hosts, jobs, repositories};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::state::CredentialMode;
use serde::Deserialize;

/// What a person or script asks for.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobInput {
    /// The host that does it; left out, the repository's maintenance host, or one that can.
    #[serde(default)]
    pub host_id: Option<HostId>,
    /// Whose own repository is meant, where the repository's address holds `{host}`; left out, that of the host that does it.
    #[serde(default)]
    pub of_host_id: Option<HostId>,
    /// What to do.
    pub task: Task,
    /// Must be true for what takes something away for good; the refusal without it says what that is.
    #[serde(default)]
    pub confirm: bool,
}

/// Queues an operation.
///
/// # Errors
/// Wrong parameters, a role that does not cover it, a confirmation that is missing, or no host that can do it.
pub async fn request(s: &Services, actor: &Actor, input: JobInput, key: Option<String>) -> Result<Queued, ActError> {
    let kind = JobKind::from(&input.task);
    if !actor.role.covers(kind.operation().role) {
        return Err(Refusal::Forbidden.into());
    }
    let wrong = check_task(&input.task);
    if !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    if let Some(what) = destruction(&input.task)
        && !input.confirm
    {
        return Err(Refusal::ConfirmationNeeded(what).into());
    }
    if let (Task::Restore { .. }, Some(host)) = (&input.task, input.host_id) {
        return restores::request(s, actor, (host, input.of_host_id), input.task, key).await;
    }
    let subject = input.task.repository_id().map_or_else(String::new, |id| id.to_string());
    let request = Request::new(actor, &format!("{kind}:{subject}"), key)?;
    let JobInput { host_id, of_host_id, task, .. } = input;
    let online = online_now(s);
    let job =
        s.db.write(move |conn| {
            if let Some(job) = request.known(conn)? {
                return Ok(job);
            }
            let of = of_host_id.or(host_id);
            let host = choose_host(conn, &task, host_id, of, &online)?;
            queue(conn, &request, Ask { of, ..Ask::of(host, task) })
        })
        .await?;
    queued(s, job).await
}

/// Tells whether a host is online, from what is known in memory and what was written back.
pub(super) fn online_now(s: &Services) -> impl Fn(&HostRecord) -> bool + Send + 'static {
    let seen = s.presence.all_seen();
    let now = Timestamp::now();
    move |host| {
        let last = seen.get(&host.id).copied().max(host.last_seen_at);
        host_state(host.lifecycle, last, now) == HostState::Online
    }
}

/// The host that does a task: the one that was named, or the best that can. `of` says whose own repository is meant, where each host has
/// one: then only that host and those that may reach all of them come into question.
pub(super) fn choose_host(
    conn: &mut Conn,
    task: &Task,
    named: Option<HostId>,
    of: Option<HostId>,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<HostId, ActError> {
    if let Some(host) = named {
        return Ok(host);
    }
    let Some(repository) = task.repository_id() else {
        return Err(ActError::field("/host_id", "name the host: this works on no repository"));
    };
    let record = repositories::get(conn, repository)?.ok_or(ActError::NotFound(Noun::Repository))?;
    let per_host = is_per_host(&record.repository.url);
    if per_host && of.is_none() {
        return Err(ActError::field("/of_host_id", "each host has a repository of its own there: name whose is meant"));
    }
    let mut candidates = vec![];
    for credential in credentials::of_repository(conn, repository)? {
        let maintains = record.repository.maintenance_host_id == Some(credential.host_id);
        let reaches = !per_host || maintains || of == Some(credential.host_id);
        let Some(host) = hosts::get(conn, credential.host_id)?.filter(|h| h.lifecycle == Lifecycle::Enrolled) else {
            continue;
        };
        if reaches {
            candidates.push(Candidate { host: host.id, mode: credential.mode, online: online(&host), maintains });
        }
    }
    pick_host(task, &candidates).ok_or_else(|| Refusal::NoHostCan.into())
}

/// The restic repository that a task of this host works on.
pub(super) fn place_of(conn: &mut Conn, task: &Task, of: HostId) -> Result<Option<Place>, ActError> {
    let Some(id) = task.repository_id() else { return Ok(None) };
    let record = repositories::get(conn, id)?.ok_or(ActError::NotFound(Noun::Repository))?;
    Ok(Some(Place::of(id, &record.repository.url, of)))
}

/// The address of the repository for a job, where it is not the host's own.
pub(super) fn address_for(conn: &mut Conn, record: &JobRecord) -> Result<Option<String>, ActError> {
    let job = &record.job;
    let Some(repository) = job.repository_id else { return Ok(None) };
    // A credential that is lent is for the repository's own address.
    let is_lent = job.kind == JobKind::Restore && record.secrets_sealed.is_some();
    let own = credentials::get(conn, job.host_id, repository)?.filter(|_| !is_lent);
    let of = job.of_host_id.filter(|of| *of != job.host_id);
    if own.is_some() && of.is_none() {
        return Ok(None);
    }
    let whose = hosts::get(conn, of.unwrap_or(job.host_id))?;
    let (Some(record), Some(host)) = (repositories::get(conn, repository)?, whose) else { return Ok(None) };
    let own = own.and_then(|c| c.url);
    Ok(Some(url_for(own.as_deref().unwrap_or(&record.repository.url), &host.name)))
}

/// Whether this host can do the task: its credential, or one that is lent to it for a restore, and its restic.
pub(super) fn check_host(conn: &mut Conn, host: &HostRecord, task: &Task, lent: bool) -> Result<(), ActError> {
    let lent = (lent && matches!(task, Task::Restore { .. })).then_some(CredentialMode::AppendOnly);
    let restic: Option<Version> = host.restic_version.as_deref().and_then(|v| v.parse().ok());
    let also = match task {
        Task::Copy { from, .. } => Some(from.repository_id),
        _ => None,
    };
    for repository in task.repository_id().into_iter().chain(also) {
        repositories::get(conn, repository)?.ok_or(ActError::NotFound(Noun::Repository))?;
        let mode = credentials::get(conn, host.id, repository)?.map(|c| c.mode).or(lent);
        // A source is only read.
        let needs = if Some(repository) == also { Task::Locks { repository_id: repository } } else { task.clone() };
        fit(&needs, mode, restic).map_err(refusal)?;
    }
    if task.repository_id().is_none() {
        fit(task, None, restic).map_err(refusal)?;
    }
    Ok(())
}

fn refusal(unfit: Unfit) -> ActError {
    match unfit {
        Unfit::NoCredential => Refusal::NoCredential,
        Unfit::AppendOnly => Refusal::CredentialAppendOnly,
        Unfit::TooOld { needed, has } => Refusal::ResticTooOld { needed, has },
    }
    .into()
}

/// An open job, as far as delivery is concerned.
pub(super) fn open_of(record: &JobRecord) -> Open {
    let job = &record.job;
    Open {
        id: job.id,
        host: job.host_id,
        state: job.state,
        cancel: job.cancel_requested_at.is_some(),
        place: job.place(),
        sharing: job.kind.operation().sharing,
        cleans: job.kind == JobKind::Unlock,
        priority: record.priority,
        queued_at: job.queued_at,
    }
}

/// All open jobs of the repositories of these.
pub(super) fn around(conn: &mut Conn, open: &[Open]) -> Result<Vec<Open>, ActError> {
    let mut repositories: Vec<RepositoryId> = open.iter().filter_map(|o| Some(o.place?.repository)).collect();
    repositories.sort_unstable();
    repositories.dedup();
    if repositories.is_empty() {
        return Ok(vec![]);
    }
    Ok(jobs::open_of_repositories(conn, &repositories)?.iter().map(open_of).collect())
}

/// What a queued job waits for in its repository.
pub(super) fn waits_for(conn: &mut Conn, job: &Job) -> Result<Option<WaitsFor>, ActError> {
    if job.state != JobState::Queued {
        return Ok(None);
    }
    let Some(record) = jobs::get(conn, job.id)? else { return Ok(None) };
    let open = open_of(&record);
    let others = around(conn, std::slice::from_ref(&open))?;
    Ok(in_the_way(&open, &others, Timestamp::now()))
}
