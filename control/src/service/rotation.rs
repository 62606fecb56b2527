//! Changing a repository's password with no gap. The steps are decided in `domain::rotation`; here each is one transaction.

use super::jobs::{Ask, Request, queue};
use super::operations::{choose_host, online_now};
use super::repositories::{load as load_repository, seal_password};
use super::state::encrypt_job;
use super::{ActError, Refusal, Services, audit, random};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::permission::Actor;
use crate::domain::place::is_per_host;
use crate::domain::repository::check_password;
use crate::domain::rotation::{Next, Rotation, Stage, next};
use crate::store::hosts::HostRecord;
use crate::store::jobs::JobRecord;
use crate::store::repositories::RepositoryRecord;
use crate::store::{Conn, alerts, credentials, hosts, jobs, repositories};
use restic_manager_shared::id::{HostId, JobId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::{End, FinishReport, Task};
use restic_manager_shared::wire::operation::{JobSecrets, Outcome};
use restic_manager_shared::wire::state::CredentialMode;

/// Where the new password waits, encrypted, until its key is there.
pub(super) const PENDING: &str = "pending_password";

/// Begins a change of password: a host adds a key for it. Left out, a strong one is made; nobody needs to know it.
///
/// # Errors
/// A password that restic would not take, a change that is under way, or no host that can do it.
pub async fn start(
    s: &Services,
    actor: &Actor,
    id: RepositoryId,
    password: Option<Secret>,
) -> Result<Rotation, ActError> {
    if let Some(wrong) = password.as_ref().and_then(|p| check_password(p.reveal())) {
        return Err(ActError::Invalid(vec![wrong]));
    }
    let password = password.unwrap_or_else(|| Secret::new(random::PlainToken::new("").reveal()));
    let (actor, now, job) = (actor.clone(), Timestamp::now(), JobId::new());
    let secrets = JobSecrets { new_password: Some(password.clone()), ..JobSecrets::default() };
    let sealed_job = encrypt_job(s, job, &secrets)?;
    let pending = s
        .vault
        .seal(("repositories", PENDING, &id.to_string()), password.reveal())
        .map_err(|_| ActError::Internal("a secret cannot be encrypted"))?;
    let online = online_now(s);
    let (rotation, host) =
        s.db.write(move |conn| {
            let mut record = load_repository(conn, id)?;
            let goes_on = record
                .repository
                .rotation
                .as_ref()
                .is_some_and(|r| !matches!(r.stage, Stage::OldKeyStays | Stage::Stuck));
            if goes_on {
                return Err(ActError::from(Refusal::RotationUnderWay));
            }
            if is_per_host(&record.repository.url) {
                return Err(Refusal::RotationPerHost.into());
            }
            let task = Task::KeyAdd { repository_id: id };
            let host = choose_host(conn, &task, None, None, &online)?;
            let request = Request { actor: actor.clone(), ..Request::system("rotation", now) };
            queue(conn, &request, Ask { id: job, secrets_sealed: Some(sealed_job), ..Ask::of(host, task) })?;
            let rotation = Rotation {
                stage: Stage::Adding,
                since: now,
                job: Some(job),
                old_key: None,
                new_key: None,
                trouble: None,
            };
            record.repository.rotation = Some(rotation.clone());
            repositories::update(conn, &record)?;
            repositories::put_pending_password(conn, id, Some(&pending))?;
            let subject = format!("repository:{id}");
            audit::record(conn, &actor, now, "repository.rotate_password", &subject, &serde_json::json!({"job": job}))?;
            Ok((rotation, host))
        })
        .await?;
    s.hub.hosts.wake(host);
    Ok(rotation)
}

/// What follows when the job of a step ends: after the key was added the new password is the one in force, and every host hears of it.
pub(super) fn step_ended(
    conn: &mut Conn,
    job: &JobRecord,
    repository: RepositoryId,
    report: &FinishReport,
    now: Timestamp,
) -> Result<(), ActError> {
    let mut record = load_repository(conn, repository)?;
    let Some(rotation) = record.repository.rotation.clone().filter(|r| r.job == Some(job.job.id)) else {
        return Ok(());
    };
    if rotation.stage != Stage::Adding {
        return Ok(());
    }
    let Some(Outcome::Keys { keys, added: Some(added), .. }) =
        report.outcome.as_ref().filter(|_| report.end == End::Succeeded)
    else {
        return Ok(());
    };
    let old_key = keys.iter().find(|k| k.current).map(|k| k.id.clone());
    // The new password stays where it waits until the background, which knows the master key, puts it in force.
    record.repository.rotation = Some(Rotation {
        stage: Stage::Pushing,
        since: now,
        job: None,
        old_key,
        new_key: Some(added.clone()),
        trouble: None,
    });
    repositories::update(conn, &record)?;
    Ok(())
}

/// Takes every change of password one step further, where it can go. Answers how many went on.
///
/// # Errors
/// When the database fails.
pub async fn advance(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let rotating = s.db.read(|conn| Ok::<_, ActError>(repositories::all(conn)?)).await?;
    let mut count = 0;
    for record in rotating.into_iter().filter(|r| r.repository.rotation.is_some()) {
        count += usize::from(advance_one(s, record, now).await?);
    }
    Ok(count)
}

async fn advance_one(s: &Services, record: RepositoryRecord, now: Timestamp) -> Result<bool, ActError> {
    let id = record.repository.id;
    let pending = s.db.read(move |conn| Ok::<_, ActError>(repositories::pending_password(conn, id)?)).await?;
    let taken = match (&record.repository.rotation, pending) {
        (Some(rotation), Some(pending)) if rotation.stage == Stage::Pushing => {
            let place = ("repositories", PENDING, &*id.to_string());
            let password = s
                .vault
                .open_sealed(place, &pending)
                .map_err(|_| ActError::Internal("a secret in the database does not open"))?;
            Some(seal_password(s, id, &password)?)
        }
        _ => None,
    };
    let online = online_now(s);
    let wake = s.db.write(move |conn| step(conn, id, taken, now, &online)).await?;
    let went_on = !wake.is_empty();
    wake.into_iter().for_each(|host| s.hub.hosts.wake(host));
    Ok(went_on)
}

/// One step of one repository. Answers the hosts that should hear of it.
fn step(
    conn: &mut Conn,
    id: RepositoryId,
    new_password: Option<String>,
    now: Timestamp,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<Vec<HostId>, ActError> {
    let mut record = load_repository(conn, id)?;
    let Some(rotation) = record.repository.rotation.clone() else { return Ok(vec![]) };
    if let Some(sealed) = new_password
        && repositories::pending_password(conn, id)?.is_some()
    {
        // From here on the new password is the one in force.
        record.password_sealed = sealed;
        repositories::update(conn, &record)?;
        repositories::put_pending_password(conn, id, None)?;
        return raise_all(conn, id);
    }
    let job = match rotation.job {
        Some(job) => jobs::get(conn, job)?,
        None => None,
    };
    let end = job.as_ref().filter(|r| r.job.state.finished()).map(ended);
    let holders = credentials::of_repository(conn, id)?;
    let can_remove = holders.iter().any(|c| c.mode == CredentialMode::Full);
    let mut all_hold = true;
    for credential in &holders {
        all_hold &= hosts::get(conn, credential.host_id)?.is_none_or(|h| h.held_version >= h.schedule_version);
    }
    let with = |stage, job| Rotation { stage, job, since: now, ..rotation.clone() };
    let (rotation, host) = match next(&rotation, end, all_hold, can_remove) {
        Next::Wait => return Ok(vec![]),
        Next::Verify => {
            let (job, host) = ask(conn, Task::Probe { repository_id: id }, now, online)?;
            (Some(with(Stage::Verifying, Some(job))), Some(host))
        }
        Next::RemoveOld => {
            let key = rotation.old_key.clone().unwrap_or_default();
            let (job, host) = ask(conn, Task::KeyRemove { repository_id: id, key }, now, online)?;
            (Some(with(Stage::Removing, Some(job))), Some(host))
        }
        Next::LeaveOld => (Some(with(Stage::OldKeyStays, None)), None),
        Next::Done => (None, None),
        Next::Stop(why) => (Some(Rotation { trouble: Some(why), ..with(Stage::Stuck, None) }), None),
    };
    let about = (AlertKind::RotationStuck, &*format!("repository:{id}"));
    match rotation.as_ref().and_then(|r| r.trouble.as_deref()) {
        Some(why) => drop(alerts::raise(conn, about, Severity::Warning, why, now)?),
        None => drop(alerts::resolve(conn, about, now)?),
    }
    record.repository.rotation = rotation;
    repositories::update(conn, &record)?;
    Ok(host.into_iter().collect())
}

fn ask(
    conn: &mut Conn,
    task: Task,
    now: Timestamp,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<(JobId, HostId), ActError> {
    let host = choose_host(conn, &task, None, None, online)?;
    let job = queue(conn, &Request::system("rotation", now), Ask::of(host, task))?;
    Ok((job.id, host))
}

/// How the job of a step ended.
fn ended(record: &JobRecord) -> Result<(), String> {
    let job = &record.job;
    let password_fits = match &job.outcome {
        Some(Outcome::Probe(probe)) => probe.password_ok == Some(true),
        _ => true,
    };
    let cause = job.result.as_ref().and_then(|r| r.cause.as_ref()).map(|c| c.message.clone());
    match job.state {
        crate::domain::job::JobState::Succeeded if password_fits => Ok(()),
        crate::domain::job::JobState::Succeeded => Err("the new password does not open the repository".into()),
        _ => Err(cause.unwrap_or_else(|| format!("the job ended as {}", job.state))),
    }
}

fn raise_all(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<HostId>, ActError> {
    let told = credentials::hosts_of(conn, repository)?;
    for host in &told {
        hosts::raise_version(conn, *host)?;
    }
    Ok(told)
}
