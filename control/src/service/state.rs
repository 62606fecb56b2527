//! The desired state of one host, built from the database and sealed to its agent.

use super::hosts::load as load_host;
use super::{ActError, Services};
use crate::domain::pause::to_tell;
use crate::domain::repository::url_for;
use crate::store::credentials::CredentialRecord;
use crate::store::hosts::HostRecord;
use crate::store::repositories::RepositoryRecord;
use crate::store::{Conn, credentials, repositories, schedules};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use restic_manager_shared::id::{HostId, JobId};
use restic_manager_shared::seal;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{JobSecrets, job_seal_name};
use restic_manager_shared::wire::state::{DesiredState, RepositorySecrets, RepositorySpec, ScheduleSpec, seal_name};

/// What the database says about a host's duties: still encrypted.
pub(super) struct Plain {
    host: HostRecord,
    schedules: Vec<ScheduleSpec>,
    repositories: Vec<(CredentialRecord, RepositoryRecord)>,
}

/// Reads it, on one connection.
pub(super) fn read(conn: &mut Conn, host: HostId) -> Result<Plain, ActError> {
    let (record, now) = (load_host(conn, host)?, Timestamp::now());
    let schedules = schedules::of_host(conn, host)?
        .into_iter()
        .map(|s| ScheduleSpec {
            backup: s.backup(),
            pauses: to_tell(&s.pauses, now),
            id: s.id,
            name: s.name,
            enabled: s.enabled,
            manual: s.manual,
            cron: s.cron,
            timezone: s.timezone,
            firing: s.firing,
            repository_id: s.repository_id,
        })
        .collect();
    let mut used = Vec::new();
    for credential in credentials::of_host(conn, host)? {
        if let Some(repository) = repositories::get(conn, credential.repository_id)? {
            used.push((credential, repository));
        }
    }
    Ok(Plain { host: record, schedules, repositories: used })
}

/// Decrypts the secrets and seals them to the agent.
pub(super) fn seal_to(s: &Services, plain: Plain) -> Result<DesiredState, ActError> {
    let public = plain
        .host
        .sealing_key
        .as_deref()
        .and_then(|k| B64.decode(k).ok())
        .ok_or(ActError::Internal("a host without a sealing key"))?;
    let repositories = plain
        .repositories
        .into_iter()
        .map(|(credential, repository)| spec(s, &plain.host, &public, &credential, &repository))
        .collect::<Result<_, _>>()?;
    Ok(DesiredState {
        version: plain.host.schedule_version,
        pauses: to_tell(&plain.host.pauses, Timestamp::now()),
        host_name: plain.host.name,
        schedules: plain.schedules,
        repositories,
    })
}

/// What opens a repository with this credential.
pub(super) fn secrets_of(
    s: &Services,
    credential: &CredentialRecord,
    record: &RepositoryRecord,
) -> Result<RepositorySecrets, ActError> {
    let broken = |_| ActError::Internal("a secret in the database does not open");
    let place = ("host_credentials", "secrets", &*credential.id.to_string());
    let text = s.vault.open_sealed(place, &credential.secrets_sealed).map_err(broken)?;
    let mut secrets: RepositorySecrets = serde_json::from_str(text.reveal())
        .map_err(|_| ActError::Internal("a credential in the database is damaged"))?;
    let place = ("repositories", "password", &*record.repository.id.to_string());
    secrets.password = s.vault.open_sealed(place, &record.password_sealed).map_err(broken)?;
    Ok(secrets)
}

fn spec(
    s: &Services,
    host: &HostRecord,
    public: &[u8],
    credential: &CredentialRecord,
    record: &RepositoryRecord,
) -> Result<RepositorySpec, ActError> {
    let repository = &record.repository;
    let secrets = secrets_of(s, credential, record)?;
    let sealed = seal::seal(&s.identity.key, public, host.id, &seal_name(repository.id), secrets.to_json().as_bytes())
        .map_err(|_| ActError::Internal("a host's sealing key is not usable"))?;
    Ok(RepositorySpec {
        id: repository.id,
        name: repository.name.clone(),
        url: url_for(credential.url.as_deref().unwrap_or(&repository.url), &host.name),
        ca_pem: repository.ca_pem.clone(),
        mode: credential.mode,
        init_if_missing: repository.init_if_missing,
        secrets: sealed,
    })
}

/// Secrets of one job, encrypted for its row.
pub(super) fn encrypt_job(s: &Services, job: JobId, secrets: &JobSecrets) -> Result<String, ActError> {
    s.vault
        .seal(("jobs", "secrets", &job.to_string()), &secrets.to_json())
        .map_err(|_| ActError::Internal("a secret cannot be encrypted"))
}

/// Secrets of one job out of its row, sealed to the agent that does it.
pub(super) fn seal_job(s: &Services, host: &HostRecord, job: JobId, encrypted: &str) -> Result<seal::Sealed, ActError> {
    let text = s
        .vault
        .open_sealed(("jobs", "secrets", &job.to_string()), encrypted)
        .map_err(|_| ActError::Internal("a secret in the database does not open"))?;
    let public = host
        .sealing_key
        .as_deref()
        .and_then(|k| B64.decode(k).ok())
        .ok_or(ActError::Internal("a host without a sealing key"))?;
    seal::seal(&s.identity.key, &public, host.id, &job_seal_name(job), text.reveal().as_bytes())
        .map_err(|_| ActError::Internal("a host's sealing key is not usable"))
}
