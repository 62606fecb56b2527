//! Restores: put together step by step, looked at before, and started. What a page chooses here, a script says in one request for a job.

use super::jobs::{Ask, Queued, Request, queue, queued};
use super::{ActError, Noun, Refusal, Services, state};
use crate::domain::operation::JobKind;
use crate::domain::permission::Actor;
use crate::domain::place::is_per_host;
use crate::domain::restore::Draft;
use crate::domain::snapshot::Snapshot;
use crate::domain::task_input::check_task;
use crate::store::restores::RestoreRecord;
use crate::store::{Conn, credentials, repositories, restores, snapshots};
use restic_manager_shared::id::{HostId, JobId, RepositoryId, RestoreId};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::operation::JobSecrets;
use restic_manager_shared::wire::restore::{Overwrite, RestoreTarget};
use std::time::Duration;

/// One that nobody touches for so long is removed.
const KEPT: Duration = Duration::from_secs(90 * 86_400);
/// How many unfinished ones a person sees.
const SHOWN: i64 = 20;

/// A restore with its snapshot.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The restore.
    pub restore: RestoreRecord,
    /// The snapshot; none if it is gone meanwhile.
    pub snapshot: Option<Snapshot>,
}

/// Begins to put one together. The snapshot's own host is where it goes to, until another is chosen.
///
/// # Errors
/// The snapshot is not there.
pub async fn begin(
    s: &Services,
    actor: &Actor,
    repository: RepositoryId,
    snapshot: String,
    paths: Vec<String>,
) -> Result<RestoreId, ActError> {
    let (by, now) = (actor.label(), Timestamp::now());
    s.db.write(move |conn| {
        restores::delete_before(conn, now - KEPT)?;
        let snapshot = snapshots::get(conn, repository, &snapshot)?.ok_or(ActError::NotFound(Noun::Snapshot))?;
        let mut draft = Draft { host: snapshot.of_host_id.or(snapshot.host_id), ..Draft::default() };
        draft.tick(&[], &paths);
        let restore = RestoreRecord {
            id: RestoreId::new(),
            repository_id: repository,
            snapshot_id: snapshot.id,
            created_by: by,
            draft,
            preview_job_id: None,
            job_id: None,
            created_at: now,
            updated_at: now,
        };
        restores::insert(conn, &restore)?;
        Ok(restore.id)
    })
    .await
}

/// One that this person puts together.
///
/// # Errors
/// There is none, or it is another person's.
pub async fn get(s: &Services, actor: &Actor, id: RestoreId) -> Result<Opened, ActError> {
    let by = actor.label();
    s.db.read(move |conn| {
        let restore = load(conn, &by, id)?;
        let snapshot = snapshots::get(conn, restore.repository_id, &restore.snapshot_id)?;
        Ok(Opened { restore, snapshot })
    })
    .await
}

/// The one whose job this is, whoever put it together: a job and what it does are seen by all.
///
/// # Errors
/// When the database fails.
pub async fn of_job(s: &Services, job: JobId) -> Result<Option<Opened>, ActError> {
    s.db.read(move |conn| {
        let Some(restore) = restores::of_job(conn, job)? else { return Ok(None) };
        let snapshot = snapshots::get(conn, restore.repository_id, &restore.snapshot_id)?;
        Ok(Some(Opened { restore, snapshot }))
    })
    .await
}

fn load(conn: &mut Conn, by: &str, id: RestoreId) -> Result<RestoreRecord, ActError> {
    restores::get(conn, id)?.filter(|r| r.created_by == by).ok_or(ActError::NotFound(Noun::Restore))
}

/// Those of a person that have not been started.
///
/// # Errors
/// When the database fails.
pub async fn unfinished(s: &Services, actor: &Actor) -> Result<Vec<RestoreRecord>, ActError> {
    let by = actor.label();
    Ok(s.db.read(move |conn| restores::unfinished(conn, &by, SHOWN)).await?)
}

/// Leaves one.
///
/// # Errors
/// There is none.
pub async fn leave(s: &Services, actor: &Actor, id: RestoreId) -> Result<(), ActError> {
    let by = actor.label();
    s.db.write(move |conn| {
        load(conn, &by, id)?;
        Ok(restores::delete(conn, id)?)
    })
    .await
}

/// Takes over a page of entries that was shown, with those that are ticked.
///
/// # Errors
/// There is no such restore.
pub async fn tick(
    s: &Services,
    actor: &Actor,
    id: RestoreId,
    shown: Vec<String>,
    ticked: Vec<String>,
) -> Result<(), ActError> {
    change(s, actor, id, move |draft| draft.tick(&shown, &ticked)).await
}

/// Where to, and over what.
#[derive(Clone, Debug)]
pub struct Aim {
    /// The host.
    pub host: HostId,
    /// The place there.
    pub target: RestoreTarget,
    /// What becomes of files that are there.
    pub overwrite: Overwrite,
    /// Remove what is not in the snapshot.
    pub delete: bool,
    /// Read back what was written.
    pub verify: bool,
}

/// Takes over where it goes.
///
/// # Errors
/// There is no such restore.
pub async fn aim(s: &Services, actor: &Actor, id: RestoreId, aim: Aim) -> Result<(), ActError> {
    change(s, actor, id, move |draft| {
        let Aim { host, target, overwrite, delete, verify } = aim;
        *draft = Draft {
            paths: std::mem::take(&mut draft.paths),
            host: Some(host),
            target: Some(target),
            overwrite,
            delete,
            verify,
        };
    })
    .await
}

async fn change(
    s: &Services,
    actor: &Actor,
    id: RestoreId,
    f: impl FnOnce(&mut Draft) + Send + 'static,
) -> Result<(), ActError> {
    let (by, now) = (actor.label(), Timestamp::now());
    s.db.write(move |conn| {
        let mut restore = load(conn, &by, id)?;
        f(&mut restore.draft);
        // What was looked at before was something else.
        (restore.preview_job_id, restore.updated_at) = (None, now);
        Ok(restores::update(conn, &restore)?)
    })
    .await
}

/// Has the host say what it would do.
///
/// # Errors
/// Host or place are not chosen, or the host cannot.
pub async fn preview(s: &Services, actor: &Actor, id: RestoreId) -> Result<JobId, ActError> {
    let opened = get(s, actor, id).await?;
    let queued = queue_it(s, actor, &opened, true).await?;
    note(s, actor, id, move |restore| restore.preview_job_id = Some(queued)).await?;
    Ok(queued)
}

/// Starts it.
///
/// # Errors
/// As of a preview.
pub async fn run(s: &Services, actor: &Actor, id: RestoreId) -> Result<JobId, ActError> {
    let opened = get(s, actor, id).await?;
    if let Some(job) = opened.restore.job_id {
        return Ok(job);
    }
    let queued = queue_it(s, actor, &opened, false).await?;
    note(s, actor, id, move |restore| restore.job_id = Some(queued)).await?;
    Ok(queued)
}

async fn note(
    s: &Services,
    actor: &Actor,
    id: RestoreId,
    f: impl FnOnce(&mut RestoreRecord) + Send + 'static,
) -> Result<(), ActError> {
    let (by, now) = (actor.label(), Timestamp::now());
    s.db.write(move |conn| {
        let mut restore = load(conn, &by, id)?;
        f(&mut restore);
        restore.updated_at = now;
        Ok(restores::update(conn, &restore)?)
    })
    .await
}

async fn queue_it(s: &Services, actor: &Actor, opened: &Opened, dry_run: bool) -> Result<JobId, ActError> {
    let Opened { restore, snapshot } = opened;
    let snapshot = snapshot.as_ref().ok_or(ActError::NotFound(Noun::Snapshot))?;
    let missing = || ActError::field("/target", "choose a host and a place first");
    let host = restore.draft.host.ok_or_else(missing)?;
    let task = restore.draft.task(restore.repository_id, &restore.snapshot_id, dry_run).ok_or_else(missing)?;
    let key = format!("{}:{dry_run}:{}", restore.id, restore.updated_at.micros());
    let of = snapshot.of_host_id.or(snapshot.host_id);
    Ok(request(s, actor, (host, of), task, Some(key)).await?.job.id)
}

/// Queues a restore. A host that has no credential for the repository gets one for this job alone.
///
/// # Errors
/// Wrong parameters, a role that does not cover it, or nobody whose credential could be lent.
pub async fn request(
    s: &Services,
    actor: &Actor,
    (host, of): (HostId, Option<HostId>),
    task: Task,
    key: Option<String>,
) -> Result<Queued, ActError> {
    if !actor.role.covers(JobKind::from(&task).operation().role) {
        return Err(Refusal::Forbidden.into());
    }
    let wrong = check_task(&task);
    if !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    let job = JobId::new();
    let loan = lend(s, host, of, &task, job).await?;
    let request = Request::new(actor, &format!("restore:{host}"), key)?;
    let job =
        s.db.write(move |conn| {
            if let Some(job) = request.known(conn)? {
                return Ok(job);
            }
            queue(conn, &request, Ask { id: job, of, secrets_sealed: loan, ..Ask::of(host, task) })
        })
        .await?;
    queued(s, job).await
}

/// What opens the repository for this job, if the host has no credential of its own: that of a host that has one, to read with.
async fn lend(
    s: &Services,
    host: HostId,
    of: Option<HostId>,
    task: &Task,
    job: JobId,
) -> Result<Option<String>, ActError> {
    let Some(repository) = task.repository_id() else { return Ok(None) };
    let found =
        s.db.read(move |conn| {
            let record = repositories::get(conn, repository)?.ok_or(ActError::NotFound(Noun::Repository))?;
            let maintains = record.repository.maintenance_host_id == Some(host);
            // Where each host has a repository of its own, what opens one's does not open another's.
            let reaches = !is_per_host(&record.repository.url) || maintains || of.is_none_or(|of| of == host);
            if reaches && credentials::get(conn, host, repository)?.is_some() {
                return Ok(None);
            }
            let lender = lender(conn, repository, of)?;
            Ok::<_, ActError>(Some((record, lender)))
        })
        .await?;
    let Some((record, lender)) = found else { return Ok(None) };
    let secrets = state::secrets_of(s, &lender, &record)?;
    let secrets =
        JobSecrets { repository: Some(secrets), ca_pem: record.repository.ca_pem.clone(), ..JobSecrets::default() };
    state::encrypt_job(s, job, &secrets).map(Some)
}

/// Whose credential is lent: that of the host whose snapshots they are, else one that can append only.
fn lender(
    conn: &mut Conn,
    repository: RepositoryId,
    of: Option<HostId>,
) -> Result<credentials::CredentialRecord, ActError> {
    use restic_manager_shared::wire::state::CredentialMode;
    let all = credentials::of_repository(conn, repository)?;
    let rank = |c: &credentials::CredentialRecord| (of != Some(c.host_id), c.mode != CredentialMode::AppendOnly, c.id);
    all.into_iter().min_by_key(rank).ok_or_else(|| Refusal::NoHostCan.into())
}
