//! Repositories and the hosts' credentials for them. Secrets go in, and out only sealed to an agent.

use super::{ActError, Listed, Noun, Refusal, Services, audit, page};
use crate::domain::backend::check_settings;
use crate::domain::permission::Actor;
use crate::domain::repository::{Repository, check_ca, check_name, check_password, check_url};
use crate::domain::upkeep::Plan;
use crate::store::credentials::CredentialRecord;
use crate::store::repositories::RepositoryRecord;
use crate::store::{Conn, StoreError, credentials, hosts, repositories, schedules};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::operation::{DeleteVerdict, ProbeReport};
use restic_manager_shared::wire::problem::FieldError;
use restic_manager_shared::wire::state::{CredentialMode, RepositorySecrets};
use serde::Deserialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a person or script says a repository is.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryInput {
    /// Its name here.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// restic's URL, without credentials; `{host}` stands for the host's name.
    #[schema(min_length = 1, max_length = 2000)]
    pub url: String,
    /// restic's repository password. Left out in an update, the one that is kept stays.
    #[serde(default)]
    pub password: Option<Secret>,
    /// Whether a host's first backup makes the repository when there is none at the address.
    #[serde(default)]
    pub init_if_missing: bool,
    /// How large the storage may get, in bytes: the page says when it is full at the present growth.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 9_007_199_254_740_991_u64)]
    pub quota_bytes: Option<u64>,
    /// Certificate authorities of the storage, as PEM, besides those that the hosts trust already.
    #[serde(default)]
    #[schema(max_length = 100_000)]
    pub ca_pem: Option<String>,
}

/// What a host uses at a repository's storage.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialInput {
    /// What it may do there.
    #[serde(default = "append_only")]
    pub mode: CredentialMode,
    /// HTTP user of a rest-server.
    #[serde(default)]
    pub rest_username: Option<String>,
    /// HTTP password of a rest-server.
    #[serde(default)]
    pub rest_password: Option<Secret>,
    /// Settings for other storage, such as `AWS_ACCESS_KEY_ID`; which ones a storage takes is listed under `/api/v1/backends`.
    #[serde(default)]
    pub env: BTreeMap<String, Secret>,
    /// Another address of the same repository for this host, such as the writable server that only the maintenance host reaches.
    #[serde(default)]
    pub url: Option<String>,
}

const fn append_only() -> CredentialMode {
    CredentialMode::AppendOnly
}

/// What is wrong with a credential.
pub(super) fn check_credential(input: &CredentialInput) -> Vec<FieldError> {
    let mut wrong = Vec::new();
    let bad = |text: &str| text.len() > 1000 || text.chars().any(char::is_control);
    if input.rest_username.as_deref().is_some_and(|u| u.is_empty() || u.contains(':') || bad(u)) {
        wrong.push(FieldError {
            pointer: "/rest_username".into(),
            detail: "not empty, without ':' and control characters".into(),
        });
    }
    if input.rest_password.as_ref().is_some_and(|p| p.is_empty() || bad(p.reveal())) {
        wrong.push(FieldError {
            pointer: "/rest_password".into(),
            detail: "not empty, without control characters".into(),
        });
    }
    if input.rest_username.is_some() != input.rest_password.is_some() {
        wrong.push(FieldError { pointer: "/rest_password".into(), detail: "user and password belong together".into() });
    }
    let values = input.env.iter().map(|(name, value)| (name.as_str(), value.reveal()));
    wrong.extend(check_settings(values));
    wrong
}

/// Encrypts what a host uses at a storage, for the row of that id.
pub(super) fn seal_credential(s: &Services, id: Uuid, input: &CredentialInput) -> Result<String, ActError> {
    let secrets = RepositorySecrets {
        password: Secret::default(),
        rest_username: input.rest_username.clone(),
        rest_password: input.rest_password.clone(),
        env: input.env.clone(),
    };
    s.vault
        .seal(("host_credentials", "secrets", &id.to_string()), &secrets.to_json())
        .map_err(|_| ActError::Internal("a secret cannot be encrypted"))
}

fn check_input(input: &RepositoryInput, password_needed: bool) -> Result<(), ActError> {
    let mut wrong: Vec<FieldError> = check_name(&input.name, "/name").into_iter().collect();
    wrong.extend(check_url(&input.url).err());
    match &input.password {
        Some(password) => wrong.extend(check_password(password.reveal())),
        None if password_needed => wrong.extend(check_password("")),
        None => {}
    }
    if input.quota_bytes.is_some_and(|n| n == 0 || n > 9_007_199_254_740_991) {
        wrong.push(FieldError { pointer: "/quota_bytes".into(), detail: "1 to 9007199254740991, or left out".into() });
    }
    wrong.extend(input.ca_pem.as_deref().and_then(check_ca));
    if wrong.is_empty() { Ok(()) } else { Err(ActError::Invalid(wrong)) }
}

pub(super) fn seal_password(s: &Services, id: RepositoryId, password: &Secret) -> Result<String, ActError> {
    s.vault
        .seal(("repositories", "password", &id.to_string()), password.reveal())
        .map_err(|_| ActError::Internal("a secret cannot be encrypted"))
}

fn name_taken(error: StoreError) -> ActError {
    match error {
        StoreError::Duplicate(_) => Refusal::NameTaken("repository").into(),
        other => other.into(),
    }
}

/// Repositories by name. The cursor is the name of the last one seen.
///
/// # Errors
/// When the database fails.
pub async fn list(s: &Services, cursor: Option<String>, limit: i64) -> Result<Listed<Repository>, ActError> {
    let items =
        s.db.read(move |conn| Ok::<_, ActError>(repositories::list(conn, cursor.as_deref(), limit + 1)?)).await?;
    Ok(page(items, limit, |r| r.name.clone()))
}

/// The repositories that hosts with a tag use.
///
/// # Errors
/// When the database fails.
pub async fn list_of_tagged(
    s: &Services,
    tag: String,
    cursor: Option<String>,
    limit: i64,
) -> Result<Listed<Repository>, ActError> {
    let items = s
        .db
        .read(move |conn| Ok::<_, ActError>(repositories::list_of_tagged(conn, &tag, cursor.as_deref(), limit + 1)?))
        .await?;
    Ok(page(items, limit, |r| r.name.clone()))
}

/// One repository.
///
/// # Errors
/// When there is no such repository.
pub async fn get(s: &Services, id: RepositoryId) -> Result<Repository, ActError> {
    s.db.read(move |conn| Ok(load(conn, id)?.repository)).await
}

pub(super) fn load(conn: &mut Conn, id: RepositoryId) -> Result<RepositoryRecord, ActError> {
    repositories::get(conn, id)?.ok_or(ActError::NotFound(Noun::Repository))
}

/// Adds a repository. Nothing is made at the storage: the first host does that.
///
/// # Errors
/// Wrong fields, or the name is taken.
pub async fn add(s: &Services, actor: &Actor, input: RepositoryInput) -> Result<Repository, ActError> {
    check_input(&input, true)?;
    let (id, actor, now) = (RepositoryId::new(), actor.clone(), Timestamp::now());
    let password_sealed = seal_password(s, id, &input.password.clone().unwrap_or_default())?;
    let backend = check_url(&input.url).map_err(|e| ActError::Invalid(vec![e]))?;
    let repository = Repository {
        id,
        name: input.name,
        url: input.url,
        backend,
        init_if_missing: input.init_if_missing,
        maintenance_host_id: None,
        quota_bytes: input.quota_bytes,
        ca_pem: input.ca_pem,
        rotation: None,
        created_at: now,
        updated_at: now,
    };
    let record = RepositoryRecord { repository: repository.clone(), password_sealed, plan: Plan::default() };
    s.db.write(move |conn| {
        repositories::insert(conn, &record).map_err(name_taken)?;
        let detail = serde_json::json!({"name": record.repository.name, "url": record.repository.url});
        Ok::<_, ActError>(audit::record(conn, &actor, now, "repository.add", &format!("repository:{id}"), &detail)?)
    })
    .await?;
    Ok(repository)
}

/// Changes what is known of a repository; every host that uses it hears of it. This does not change the repository's own password.
///
/// # Errors
/// Wrong fields, no such repository, or the name is taken.
pub async fn update(
    s: &Services,
    actor: &Actor,
    id: RepositoryId,
    input: RepositoryInput,
) -> Result<Repository, ActError> {
    check_input(&input, false)?;
    let (actor, now) = (actor.clone(), Timestamp::now());
    let backend = check_url(&input.url).map_err(|e| ActError::Invalid(vec![e]))?;
    let sealed = input.password.as_ref().map(|p| seal_password(s, id, p)).transpose()?;
    let (repository, told) =
        s.db.write(move |conn| {
            let old = load(conn, id)?;
            let record = RepositoryRecord {
                repository: Repository {
                    name: input.name,
                    url: input.url,
                    backend,
                    init_if_missing: input.init_if_missing,
                    quota_bytes: input.quota_bytes,
                    ca_pem: input.ca_pem,
                    updated_at: now,
                    ..old.repository
                },
                password_sealed: sealed.clone().unwrap_or(old.password_sealed),
                plan: old.plan,
            };
            repositories::update(conn, &record).map_err(name_taken)?;
            let told = credentials::hosts_of(conn, id)?;
            for host in &told {
                hosts::raise_version(conn, *host)?;
            }
            let detail = serde_json::json!({
                "name": record.repository.name, "url": record.repository.url, "password_changed": sealed.is_some(),
            });
            audit::record(conn, &actor, now, "repository.update", &format!("repository:{id}"), &detail)?;
            Ok::<_, ActError>((record.repository, told))
        })
        .await?;
    told.into_iter().for_each(|host| s.hub.hosts.wake(host));
    Ok(repository)
}

/// Forgets a repository; the storage is not touched.
///
/// # Errors
/// While schedules back up to it.
pub async fn delete(s: &Services, actor: &Actor, id: RepositoryId) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    let told =
        s.db.write(move |conn| {
            let record = load(conn, id)?;
            let used = repositories::schedules_using(conn, id)?;
            if used > 0 {
                return Err(ActError::from(Refusal::RepositoryInUse(used)));
            }
            let told = credentials::hosts_of(conn, id)?;
            for host in &told {
                hosts::raise_version(conn, *host)?;
            }
            repositories::delete(conn, id)?;
            let detail = serde_json::json!({"name": record.repository.name, "url": record.repository.url});
            audit::record(conn, &actor, now, "repository.delete", &format!("repository:{id}"), &detail)?;
            Ok(told)
        })
        .await?;
    told.into_iter().for_each(|host| s.hub.hosts.wake(host));
    Ok(())
}

/// Gives a host what it needs to use a repository. Schedules of the host that have no repository yet get this one.
///
/// # Errors
/// Wrong fields, no such host or repository.
pub async fn put_credential(
    s: &Services,
    actor: &Actor,
    host: HostId,
    repository: RepositoryId,
    input: CredentialInput,
) -> Result<(), ActError> {
    let mut wrong = check_credential(&input);
    wrong.extend(input.url.as_deref().and_then(|url| check_url(url).err()));
    if !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    let (actor, now, id) = (actor.clone(), Timestamp::now(), RepositoryId::new().0);
    let secrets_sealed = seal_credential(s, id, &input)?;
    let record = CredentialRecord {
        id,
        host_id: host,
        repository_id: repository,
        mode: input.mode,
        secrets_sealed,
        at: now,
        url: input.url,
        proof: None,
    };
    s.db.write(move |conn| {
        super::hosts::load(conn, host)?;
        load(conn, repository)?;
        credentials::put(conn, &record)?;
        schedules::adopt_repository(conn, host, repository)?;
        hosts::raise_version(conn, host)?;
        let detail = serde_json::json!({"host": host, "mode": record.mode});
        Ok::<_, ActError>(audit::record(
            conn,
            &actor,
            now,
            "credential.put",
            &format!("repository:{repository}"),
            &detail,
        )?)
    })
    .await?;
    s.hub.hosts.wake(host);
    Ok(())
}

/// Takes a credential from a host; its schedules may not need it any more.
///
/// # Errors
/// While schedules of the host back up with it, or it has none.
pub async fn remove_credential(
    s: &Services,
    actor: &Actor,
    host: HostId,
    repository: RepositoryId,
) -> Result<(), ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    s.db.write(move |conn| {
        super::hosts::load(conn, host)?;
        load(conn, repository)?;
        let used = schedules::of_host(conn, host)?.iter().filter(|x| x.repository_id == Some(repository)).count();
        if used > 0 {
            return Err(ActError::from(Refusal::CredentialInUse(i64::try_from(used).unwrap_or(i64::MAX))));
        }
        if !credentials::remove(conn, host, repository)? {
            return Err(Refusal::NoCredential.into());
        }
        hosts::raise_version(conn, host)?;
        let detail = serde_json::json!({"host": host});
        Ok(audit::record(conn, &actor, now, "credential.remove", &format!("repository:{repository}"), &detail)?)
    })
    .await?;
    s.hub.hosts.wake(host);
    Ok(())
}

/// Who uses a repository, and what is proven of it.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct CredentialView {
    /// The host.
    pub host_id: HostId,
    /// Its name.
    pub host_name: String,
    /// What its credential is meant to do.
    pub mode: CredentialMode,
    /// Its own address of the repository, if it has one.
    pub url: Option<String>,
    /// How many of its schedules back up there.
    pub schedules: usize,
    /// What the last probe found.
    pub proof: Option<ProbeReport>,
    /// When.
    pub proof_at: Option<Timestamp>,
}

/// What one host may do in one repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Which.
    pub repository: RepositoryId,
    /// Its name.
    pub name: String,
    /// What the host's credential is meant to do.
    pub mode: CredentialMode,
    /// What the last probe found, and when.
    pub proof: Option<(DeleteVerdict, Timestamp)>,
    /// The host that forgets and prunes there.
    pub maintenance_host: Option<HostId>,
}

/// The repositories that a host may use, by name.
///
/// # Errors
/// When the database fails.
pub async fn of_host(s: &Services, host: HostId) -> Result<Vec<Access>, ActError> {
    s.db.read(move |conn| {
        let mut found = vec![];
        for held in credentials::of_host(conn, host)? {
            let repository = load(conn, held.repository_id)?.repository;
            found.push(Access {
                repository: repository.id,
                name: repository.name,
                mode: held.mode,
                proof: held.proof.map(|(report, at)| (report.can_delete, at)),
                maintenance_host: repository.maintenance_host_id,
            });
        }
        found.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(found)
    })
    .await
}

/// The hosts that may use a repository.
///
/// # Errors
/// When there is no such repository.
pub async fn used_by(s: &Services, id: RepositoryId) -> Result<Vec<CredentialView>, ActError> {
    s.db.read(move |conn| {
        load(conn, id)?;
        let mut views = vec![];
        for credential in credentials::of_repository(conn, id)? {
            let Some(host) = hosts::get(conn, credential.host_id)? else { continue };
            let schedules = schedules::of_host(conn, host.id)?;
            let (proof, proof_at) = credential.proof.unzip();
            views.push(CredentialView {
                host_id: host.id,
                host_name: host.name,
                mode: credential.mode,
                url: credential.url,
                schedules: schedules.iter().filter(|x| x.repository_id == Some(id)).count(),
                proof,
                proof_at,
            });
        }
        views.sort_by(|a, b| a.host_name.cmp(&b.host_name));
        Ok(views)
    })
    .await
}
