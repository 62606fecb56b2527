//! Changing a repository's password with no gap. The steps are decided in `domain::rotation`; here each is one transaction.

use super::jobs::{Ask, Request, queue};
use super::operations::{choose_host, online_now};
use super::repositories::{load as load_repository, seal_password};
use super::state::encrypt_job;
use super::{ActError, Refusal, Services, audit, random};
use crate::domain::alert::{AlertKind, Severity};
use crate::domain::job::JobState;
use crate::domain::permission::Actor;
use crate::domain::place::{Place, is_per_host};
use crate::domain::repository::check_password;
use crate::domain::rotation::{Next, Rotation, Stage, Step, StepEnd, next};
use crate::store::hosts::HostRecord;
use crate::store::jobs::JobRecord;
use crate::store::{Conn, alerts, credentials, hosts, jobs, repositories, snapshots};
use restic_manager_shared::id::{HostId, JobId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::operation::{JobSecrets, Outcome};
use restic_manager_shared::wire::state::CredentialMode;

/// Where the new password waits, encrypted, until its key is there.
pub(super) const PENDING: &str = "pending_password";

/// Begins a change of password: a key for it is added. Left out, a strong one is made; nobody needs to know it. Where each host has a
/// repository of its own, a key is added to each that is there.
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
    let places = s.db.read(move |conn| places_there(conn, id)).await?;
    let secrets = JobSecrets { new_password: Some(password.clone()), ..JobSecrets::default() };
    let mut jobs = vec![];
    for place in places {
        let job = JobId::new();
        jobs.push((place, job, encrypt_job(s, job, &secrets)?));
    }
    let pending = s
        .vault
        .seal(("repositories", PENDING, &id.to_string()), password.reveal())
        .map_err(|_| ActError::Internal("a secret cannot be encrypted"))?;
    let (actor, now, online) = (actor.clone(), Timestamp::now(), online_now(s));
    let (rotation, hosts) = s.db.write(move |conn| begin(conn, &actor, id, jobs, &pending, now, &online)).await?;
    hosts.into_iter().for_each(|host| s.hub.hosts.wake(host));
    Ok(rotation)
}

/// The restic repositories that are there: one, or one of each host that has made its own.
fn places_there(conn: &mut Conn, id: RepositoryId) -> Result<Vec<Place>, ActError> {
    let record = load_repository(conn, id)?;
    if !is_per_host(&record.repository.url) {
        return Ok(vec![Place { repository: id, host: None }]);
    }
    Ok(snapshots::count_by_place(conn, id)?.into_iter().map(|(place, _)| place).collect())
}

fn begin(
    conn: &mut Conn,
    actor: &Actor,
    id: RepositoryId,
    jobs: Vec<(Place, JobId, String)>,
    pending: &str,
    now: Timestamp,
    online: &impl Fn(&HostRecord) -> bool,
) -> Result<(Rotation, Vec<HostId>), ActError> {
    let mut record = load_repository(conn, id)?;
    let ended = |r: &Rotation| matches!(r.stage, Stage::OldKeyStays | Stage::Stuck);
    if record.repository.rotation.as_ref().is_some_and(|r| !ended(r)) {
        return Err(Refusal::RotationUnderWay.into());
    }
    if jobs.is_empty() {
        return Err(ActError::field("/password", "there is no repository yet: change the password that is kept here"));
    }
    if !credentials::of_repository(conn, id)?.iter().any(|c| c.mode == CredentialMode::Full) {
        return Err(ActError::field(
            "/password",
            "no host has a full credential, so the old key would stay and still open the repository: give one to a host first",
        ));
    }
    let (mut steps, mut hosts) = (vec![], vec![]);
    for (place, job, sealed) in jobs {
        let task = Task::KeyAdd { repository_id: id };
        let host = choose_host(conn, &task, None, place.host, online)?;
        let request = Request { actor: actor.clone(), now, key: None };
        queue(conn, &request, Ask { id: job, of: place.host, secrets_sealed: Some(sealed), ..Ask::of(host, task) })?;
        steps.push(Step { of_host_id: place.host, job: Some(job), old_key: None, new_key: None });
        hosts.push(host);
    }
    let rotation = Rotation { stage: Stage::Adding, since: now, steps, trouble: None };
    record.repository.rotation = Some(rotation.clone());
    repositories::update(conn, &record)?;
    repositories::put_pending_password(conn, id, Some(pending))?;
    let detail = serde_json::json!({"repositories": rotation.steps.len()});
    audit::record(conn, actor, now, "repository.rotate_password", &format!("repository:{id}"), &detail)?;
    Ok((rotation, hosts))
}

/// Takes every change of password one step further, where it can go. Answers how many went on.
///
/// # Errors
/// When the database fails.
pub async fn advance(s: &Services, now: Timestamp) -> Result<usize, ActError> {
    let rotating = s.db.read(|conn| Ok::<_, ActError>(repositories::all(conn)?)).await?;
    let mut count = 0;
    for record in rotating.into_iter().filter(|r| r.repository.rotation.is_some()) {
        count += usize::from(advance_one(s, record.repository.id, now).await?);
    }
    Ok(count)
}

async fn advance_one(s: &Services, id: RepositoryId, now: Timestamp) -> Result<bool, ActError> {
    // The new password is encrypted for the place where it waits; only here can it be encrypted for the place where it counts.
    let pending = s.db.read(move |conn| Ok::<_, ActError>(repositories::pending_password(conn, id)?)).await?;
    let new_password = match pending {
        Some(pending) => {
            let place = ("repositories", PENDING, &*id.to_string());
            let password = s.vault.open_sealed(place, &pending);
            let password = password.map_err(|_| ActError::Internal("a secret in the database does not open"))?;
            Some(seal_password(s, id, &password)?)
        }
        None => None,
    };
    let online = online_now(s);
    let wake = s.db.write(move |conn| step(conn, id, new_password, now, &online)).await?;
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
    let jobs = jobs_of(conn, &rotation)?;
    let ends: Vec<StepEnd> = jobs.iter().map(|job| job.as_ref().and_then(ended)).collect();
    let holders = credentials::of_repository(conn, id)?;
    let can_remove = holders.iter().any(|c| c.mode == CredentialMode::Full);
    let mut all_hold = true;
    for credential in &holders {
        all_hold &= hosts::get(conn, credential.host_id)?.is_none_or(|h| h.held_version >= h.schedule_version);
    }
    let mut wake = vec![];
    let (stage, since) = (rotation.stage, now);
    let stuck = |why: String| Some(Rotation { stage: Stage::Stuck, since, trouble: Some(why), ..rotation.clone() });
    let rotation = match next(stage, &ends, all_hold, can_remove) {
        Next::Wait => return Ok(vec![]),
        Next::Push => {
            let sealed = new_password.ok_or(ActError::Internal("the new password is gone"))?;
            record.password_sealed = sealed;
            repositories::put_pending_password(conn, id, None)?;
            wake = raise_all(conn, id)?;
            Some(Rotation { stage: Stage::Pushing, since: now, steps: with_keys(&rotation, &jobs), trouble: None })
        }
        Next::Verify => {
            let probe = |_: &Step| Some(Task::Probe { repository_id: id });
            match ask_all(conn, &rotation, Stage::Verifying, now, online, &mut wake, probe) {
                Err(ActError::Refused(refusal)) => stuck(refusal.title().to_owned()),
                other => Some(other?),
            }
        }
        Next::RemoveOld => {
            let remove = |step: &Step| Some(Task::KeyRemove { repository_id: id, key: step.old_key.clone()? });
            match ask_all(conn, &rotation, Stage::Removing, now, online, &mut wake, remove) {
                Err(ActError::Refused(refusal)) => stuck(refusal.title().to_owned()),
                other => Some(other?),
            }
        }
        Next::LeaveOld => Some(Rotation { stage: Stage::OldKeyStays, since, ..rotation.clone() }),
        Next::Done => None,
        Next::Stop(why) => stuck(why),
    };
    tell(conn, id, rotation.as_ref(), now)?;
    record.repository.rotation = rotation;
    repositories::update(conn, &record)?;
    Ok(wake)
}

fn tell(conn: &mut Conn, id: RepositoryId, rotation: Option<&Rotation>, now: Timestamp) -> Result<(), ActError> {
    let about = (AlertKind::RotationStuck, &*format!("repository:{id}"));
    match rotation.and_then(|r| r.trouble.as_deref()) {
        Some(why) => drop(alerts::raise(conn, about, Severity::Warning, why, now)?),
        None => drop(alerts::resolve(conn, about, now)?),
    }
    Ok(())
}

fn jobs_of(conn: &mut Conn, rotation: &Rotation) -> Result<Vec<Option<JobRecord>>, ActError> {
    let mut found = vec![];
    for step in &rotation.steps {
        found.push(match step.job {
            Some(job) => jobs::get(conn, job)?,
            None => None,
        });
    }
    Ok(found)
}

/// The steps with the keys that their jobs added and found.
fn with_keys(rotation: &Rotation, jobs: &[Option<JobRecord>]) -> Vec<Step> {
    let keys = |record: &JobRecord| match &record.job.outcome {
        Some(Outcome::Keys { keys, added, .. }) => {
            (keys.iter().find(|k| k.current).map(|k| k.id.clone()), added.clone())
        }
        _ => (None, None),
    };
    let step = |(step, job): (&Step, &Option<JobRecord>)| {
        let (old_key, new_key) = job.as_ref().map(keys).unwrap_or_default();
        Step { job: None, old_key, new_key, ..step.clone() }
    };
    rotation.steps.iter().zip(jobs).map(step).collect()
}

/// Queues the next job of each step that has one.
fn ask_all(
    conn: &mut Conn,
    rotation: &Rotation,
    stage: Stage,
    now: Timestamp,
    online: &impl Fn(&HostRecord) -> bool,
    wake: &mut Vec<HostId>,
    task: impl Fn(&Step) -> Option<Task>,
) -> Result<Rotation, ActError> {
    let mut steps = vec![];
    for step in &rotation.steps {
        let Some(task) = task(step) else { continue };
        let host = choose_host(conn, &task, None, step.of_host_id, online)?;
        let ask = Ask { of: step.of_host_id, ..Ask::of(host, task) };
        let job = queue(conn, &Request::system("rotation", now), ask)?;
        wake.push(host);
        steps.push(Step { job: Some(job.id), ..step.clone() });
    }
    Ok(Rotation { stage, since: now, steps, trouble: None })
}

/// How the job of a step ended; none while it is open.
fn ended(record: &JobRecord) -> StepEnd {
    let job = &record.job;
    if !job.state.finished() {
        return None;
    }
    let password_fits = match &job.outcome {
        Some(Outcome::Probe(probe)) => probe.password_ok == Some(true),
        _ => true,
    };
    let cause = job.result.as_ref().and_then(|r| r.cause.as_ref()).map(|c| c.message.clone());
    Some(match job.state {
        JobState::Succeeded if password_fits => Ok(()),
        JobState::Succeeded => Err("the new password does not open the repository".into()),
        _ => Err(cause.unwrap_or_else(|| format!("the job ended as {}", job.state))),
    })
}

fn raise_all(conn: &mut Conn, repository: RepositoryId) -> Result<Vec<HostId>, ActError> {
    let told = credentials::hosts_of(conn, repository)?;
    for host in &told {
        hosts::raise_version(conn, *host)?;
    }
    Ok(told)
}
