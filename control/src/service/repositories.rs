//! Repositories and the hosts' credentials for them. Secrets go in, and out only sealed to an agent.

use super::{ActError, Listed, Noun, Refusal, Services, audit, page};
use crate::domain::permission::Actor;
use crate::domain::repository::{Repository, check_name, check_password, check_url};
use crate::store::credentials::CredentialRecord;
use crate::store::repositories::RepositoryRecord;
use crate::store::{Conn, StoreError, credentials, hosts, repositories, schedules};
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
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
}

/// What a host uses at a repository's storage.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
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
    /// Environment for other storage, such as `AWS_ACCESS_KEY_ID`.
    #[serde(default)]
    pub env: BTreeMap<String, Secret>,
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
    for (name, value) in &input.env {
        let known = ["AWS_", "B2_", "AZURE_", "GOOGLE_", "OS_", "ST_", "RCLONE_"].iter().any(|p| name.starts_with(p));
        if !known || bad(value.reveal()) || bad(name) {
            wrong.push(FieldError {
                pointer: format!("/env/{name}"),
                detail: "only AWS_*, B2_*, AZURE_*, GOOGLE_*, OS_*, ST_* and RCLONE_* reach restic".into(),
            });
        }
    }
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
    if wrong.is_empty() { Ok(()) } else { Err(ActError::Invalid(wrong)) }
}

fn seal_password(s: &Services, id: RepositoryId, password: &Secret) -> Result<String, ActError> {
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

/// One repository.
///
/// # Errors
/// When there is no such repository.
pub async fn get(s: &Services, id: RepositoryId) -> Result<Repository, ActError> {
    s.db.read(move |conn| Ok(load(conn, id)?.repository)).await
}

fn load(conn: &mut Conn, id: RepositoryId) -> Result<RepositoryRecord, ActError> {
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
        created_at: now,
        updated_at: now,
    };
    let record = RepositoryRecord { repository: repository.clone(), password_sealed };
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
                    updated_at: now,
                    ..old.repository
                },
                password_sealed: sealed.clone().unwrap_or(old.password_sealed),
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
    let wrong = check_credential(&input);
    if !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    let (actor, now, id) = (actor.clone(), Timestamp::now(), RepositoryId::new().0);
    let secrets_sealed = seal_credential(s, id, &input)?;
    let record =
        CredentialRecord { id, host_id: host, repository_id: repository, mode: input.mode, secrets_sealed, at: now };
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
