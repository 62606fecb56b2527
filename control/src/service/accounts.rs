//! Accounts at a rest-server: each host has one of its own, so that with `--private-repos` none reaches another's data. The line for the
//! server's `.htpasswd` is shown, or written by the agent beside the server where its policy allows it.

use super::jobs::{Ask, Queued, Request, queue, queued};
use super::repositories::{CredentialInput, load as load_repository, put_credential};
use super::state::encrypt_job;
use super::{ActError, Services, random};
use crate::domain::permission::Actor;
use crate::domain::repository::Backend;
use restic_manager_shared::id::{HostId, JobId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::wire::job::Task;
use restic_manager_shared::wire::operation::JobSecrets;
use restic_manager_shared::wire::state::CredentialMode;
use serde::Deserialize;

/// bcrypt's work factor: what htpasswd -B uses is 5; rest-server checks each new connection, so it must stay quick.
const COST: u32 = 8;

/// What a person or script asks for.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountInput {
    /// The host that gets the account.
    pub host_id: HostId,
    /// Its name there; left out, the host's name.
    #[serde(default)]
    pub user: Option<String>,
    /// What the account is for.
    #[serde(default = "append_only")]
    pub mode: CredentialMode,
    /// The host beside the storage, whose agent writes the line; left out, a person does.
    #[serde(default)]
    pub write_on: Option<HostId>,
}

const fn append_only() -> CredentialMode {
    CredentialMode::AppendOnly
}

/// A new account.
#[derive(Debug)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// The line for the server's `.htpasswd`: name, colon, bcrypt hash. It is no secret, but need not be shown around.
    pub line: String,
    /// The job that writes it.
    pub job: Option<Queued>,
}

/// Makes an account with a password that nobody sees, gives it to the host, and has its line written where a host was named for it.
///
/// # Errors
/// The repository is not at a rest-server, or a host is missing something.
pub async fn create(
    s: &Services,
    actor: &Actor,
    repository: RepositoryId,
    input: AccountInput,
) -> Result<Account, ActError> {
    let host = super::hosts::get(s, input.host_id).await?;
    let record = s.db.read(move |conn| load_repository(conn, repository)).await?;
    if record.repository.backend != Backend::Rest {
        return Err(ActError::field("/host_id", "only a rest-server has accounts; this repository is elsewhere"));
    }
    let user = input.user.unwrap_or(host.name);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    if user.is_empty() || user.len() > 100 || !user.chars().all(plain) {
        return Err(ActError::field("/user", "1 to 100 letters, digits, dots, hyphens or underscores"));
    }
    let password = Secret::new(random::PlainToken::new("").reveal());
    let line = htpasswd_line(&user, &password).await?;
    let credential = CredentialInput {
        mode: input.mode,
        rest_username: Some(user.clone()),
        rest_password: Some(password),
        ..CredentialInput::default()
    };
    put_credential(s, actor, input.host_id, repository, credential).await?;
    let job = match input.write_on {
        Some(writer) => Some(write(s, actor, repository, writer, &user, &line).await?),
        None => None,
    };
    Ok(Account { user, line, job })
}

async fn htpasswd_line(user: &str, password: &Secret) -> Result<String, ActError> {
    let plain = password.clone();
    let hash = tokio::task::spawn_blocking(move || bcrypt::hash(plain.reveal(), COST))
        .await
        .map_err(|_| ActError::Internal("hashing was cut short"))?
        .map_err(|_| ActError::Internal("the password cannot be hashed"))?;
    Ok(format!("{user}:{hash}"))
}

async fn write(
    s: &Services,
    actor: &Actor,
    repository_id: RepositoryId,
    on: HostId,
    user: &str,
    line: &str,
) -> Result<Queued, ActError> {
    let job = JobId::new();
    let secrets = JobSecrets { account_line: Some(Secret::new(line)), ..JobSecrets::default() };
    let sealed = encrypt_job(s, job, &secrets)?;
    let request = Request::new(actor, &format!("account:{repository_id}:{user}"), None)?;
    let task = Task::WriteAccount { repository_id, user: user.to_owned() };
    let job = s
        .db
        .write(move |conn| queue(conn, &request, Ask { id: job, secrets_sealed: Some(sealed), ..Ask::of(on, task) }))
        .await?;
    queued(s, job).await
}
