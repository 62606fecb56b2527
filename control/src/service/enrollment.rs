//! Enrolment: a token is made for a host to be, and an agent trades it for an identity. Paths given with the token become an enabled,
//! editable manual schedule in the same transaction.

use super::hosts::load as load_host;
use super::installs::{Install, install};
use super::random::{PlainToken, TokenHash};
use super::repositories::{CredentialInput, check_credential, seal_credential};
use super::{ActError, Refusal, Services, audit, drills, state};
use crate::domain::drill::DrillPlan;
use crate::domain::fleet::{Lifecycle, check_host_name, check_host_tags, tidy_host_name};
use crate::domain::permission::Actor;
use crate::domain::schedule::{Retention, Schedule, check_paths};
use crate::store::credentials::{CredentialRecord, mode_text};
use crate::store::enrollment::{self, TokenRecord};
use crate::store::hosts::Enrolled;
use crate::store::{Conn, StoreError, credentials, hosts, repositories, schedules};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as B64;
use restic_manager_shared::id::{HostId, RepositoryId, ScheduleId, TokenId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::OLDEST_PROTOCOL;
use restic_manager_shared::wire::enroll::{EnrollRequest, EnrollResponse, proof_message};
use restic_manager_shared::wire::problem::FieldError;
use restic_manager_shared::wire::state::{BackupOptions, CredentialMode, Firing};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// The name of the schedule that initial paths become.
pub const INITIAL_SCHEDULE: &str = "Initial schedule";
const DEFAULT_LIFE: u32 = 24 * 3600;
const MAX_LIFE: u32 = 30 * 24 * 3600;

/// What a host to be is given.
#[derive(Clone, Debug, Default, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TokenInput {
    /// The host's name; the agent names itself if there is none.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 63)]
    pub host_name: Option<String>,
    /// A known host that gets a new agent (new disk, lost key). Then name and paths are left out. One that still waits for its first agent
    /// keeps what its last token brought: paths, and the repository with its credential if none is named here.
    #[serde(default)]
    pub host_id: Option<HostId>,
    /// Paths that become a manual schedule when the host enrols.
    #[serde(default)]
    #[schema(max_items = 10_000)]
    pub initial_paths: Vec<String>,
    /// Free labels of the host.
    #[serde(default)]
    #[schema(max_items = 100)]
    pub tags: Vec<String>,
    /// The repository that the host backs up to.
    #[serde(default)]
    pub repository_id: Option<RepositoryId>,
    /// What the host's credential may do there; append-only if left out.
    #[serde(default)]
    pub mode: Option<CredentialMode>,
    /// HTTP user of a rest-server.
    #[serde(default)]
    pub rest_username: Option<String>,
    /// HTTP password of a rest-server.
    #[serde(default)]
    pub rest_password: Option<Secret>,
    /// Environment for other storage, such as `AWS_ACCESS_KEY_ID`.
    #[serde(default)]
    pub env: BTreeMap<String, Secret>,
    /// Seconds that the token is good for; a day if left out, 30 days at most.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 2_592_000)]
    pub valid_seconds: Option<u32>,
}

/// A new enrollment token, shown once.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct NewToken {
    /// The token's record.
    pub id: TokenId,
    /// The token itself. It is not kept and cannot be shown again.
    pub token: String,
    /// The host that it makes.
    pub host_id: HostId,
    /// The host's name; a stand-in until the agent names itself, if none was given.
    pub host_name: String,
    /// Until when it works.
    pub expires_at: Timestamp,
    /// What to run on the machine.
    pub install: Install,
}

fn check(input: &TokenInput) -> Result<CredentialInput, ActError> {
    let mut wrong: Vec<FieldError> = input.host_name.as_deref().and_then(check_host_name).into_iter().collect();
    if !input.initial_paths.is_empty() {
        wrong.extend(check_paths(&input.initial_paths, None, "/initial_paths"));
    }
    let field = |pointer: &str, detail: &str| FieldError { pointer: pointer.into(), detail: detail.into() };
    if input.host_id.is_some() && (input.host_name.is_some() || !input.initial_paths.is_empty()) {
        wrong.push(field(
            "/host_id",
            "a known host keeps its name and schedules: leave out host_name and initial_paths",
        ));
    }
    if input.valid_seconds.is_some_and(|n| n == 0 || n > MAX_LIFE) {
        wrong.push(field("/valid_seconds", "1 to 2592000 (30 days)"));
    }
    wrong.extend(check_host_tags(&input.tags));
    let credential = CredentialInput {
        mode: input.mode.unwrap_or(CredentialMode::AppendOnly),
        rest_username: input.rest_username.clone(),
        rest_password: input.rest_password.clone(),
        env: input.env.clone(),
        url: None,
    };
    wrong.extend(check_credential(&credential));
    let secret = input.rest_username.is_some() || !input.env.is_empty();
    if input.repository_id.is_none() && secret {
        wrong.push(field("/repository_id", "a credential needs the repository that it is for"));
    }
    if wrong.is_empty() { Ok(credential) } else { Err(ActError::Invalid(wrong)) }
}

/// What the token's record keeps of a credential: mode, then the encrypted secrets of a row that is made at enrolment.
fn pack(mode: CredentialMode, row: Uuid, sealed: &str) -> String {
    format!("{} {row} {sealed}", mode_text(mode))
}

pub(super) fn unpack(packed: &str) -> Option<(CredentialMode, Uuid, String)> {
    let mut parts = packed.splitn(3, ' ');
    let mode = match parts.next()? {
        "append_only" => CredentialMode::AppendOnly,
        "full" => CredentialMode::Full,
        _ => return None,
    };
    Some((mode, parts.next()?.parse().ok()?, parts.next()?.to_owned()))
}

/// Makes an enrollment token. `base_url` is how agents reach this server.
///
/// # Errors
/// Wrong fields, no such repository or host, or the name belongs to a host that has its agent.
pub async fn create_token(
    s: &Services,
    actor: &Actor,
    input: TokenInput,
    base_url: &str,
) -> Result<NewToken, ActError> {
    let credential = check(&input)?;
    let (token, row) = (PlainToken::new("rme_"), TokenId::new().0);
    let sealed = input.repository_id.map(|_| seal_credential(s, row, &credential)).transpose()?;
    let (actor, now) = (actor.clone(), Timestamp::now());
    let life = Duration::from_secs(input.valid_seconds.unwrap_or(DEFAULT_LIFE).into());
    let mut record = TokenRecord {
        id: TokenId::new(),
        token_hash: token.hash().as_str().to_owned(),
        host_id: HostId::new(),
        named: input.host_name.is_some() || input.host_id.is_some(),
        initial_paths: input.initial_paths.clone(),
        repository_id: input.repository_id,
        credential_sealed: sealed.map(|sealed| pack(credential.mode, row, &sealed)),
        created_by: actor.label(),
        created_at: now,
        expires_at: now + life,
        used_at: None,
        revoked_at: None,
    };
    let (record, host_name) =
        s.db.write(move |conn| {
            let name = store_token(conn, &input, &mut record, &actor)?;
            Ok::<_, ActError>((record, name))
        })
        .await?;
    Ok(NewToken {
        id: record.id,
        token: token.reveal().to_owned(),
        host_id: record.host_id,
        host_name,
        expires_at: record.expires_at,
        install: install(base_url, token.reveal()),
    })
}

/// Puts a token in, in place of the host's last one; answers the host's name.
fn store_token(
    conn: &mut Conn,
    input: &TokenInput,
    record: &mut TokenRecord,
    actor: &Actor,
) -> Result<String, ActError> {
    if let Some(id) = input.repository_id
        && repositories::get(conn, id)?.is_none()
    {
        return Err(ActError::field("/repository_id", "there is no such repository"));
    }
    let now = record.created_at;
    let (host, name) = host_for(conn, input, record.host_id, now)?;
    record.host_id = host;
    if input.host_id.is_some() && load_host(conn, host)?.lifecycle == Lifecycle::Pending {
        inherit(conn, record)?;
    }
    enrollment::revoke_of_host(conn, host, now)?;
    enrollment::insert(conn, record)?;
    let detail = serde_json::json!({"host": host, "name": name, "initial_paths": record.initial_paths});
    let subject = format!("enrollment_token:{}", record.id);
    audit::record(conn, actor, now, "enrollment_token.add", &subject, &detail)?;
    Ok(name)
}

/// A host that still waits gets with its new token what the last one would have brought.
fn inherit(conn: &mut Conn, record: &mut TokenRecord) -> Result<(), ActError> {
    let Some(last) = enrollment::newest_of_host(conn, record.host_id)? else { return Ok(()) };
    record.named = last.named;
    record.initial_paths = last.initial_paths;
    if record.repository_id.is_none() {
        record.repository_id = last.repository_id;
        record.credential_sealed = last.credential_sealed.filter(|_| last.repository_id.is_some());
    }
    Ok(())
}

/// The host that a token is for: a known one, one that still waits under that name, or a new one.
fn host_for(conn: &mut Conn, input: &TokenInput, new: HostId, now: Timestamp) -> Result<(HostId, String), ActError> {
    if let Some(id) = input.host_id {
        return Ok((id, load_host(conn, id)?.name));
    }
    let name = input.host_name.clone().unwrap_or_else(|| format!("new-host-{}", &new.to_string()[28..]));
    match hosts::by_name(conn, &name)? {
        Some(host) if host.lifecycle == Lifecycle::Pending => {
            hosts::update(conn, host.id, &name, &input.tags)?;
            Ok((host.id, name))
        }
        Some(_) => Err(Refusal::NameTaken("host").into()),
        None => {
            hosts::insert_pending(conn, new, &name, &input.tags, now)?;
            Ok((new, name))
        }
    }
}

/// An agent's keys, checked for shape.
fn check_keys(request: &EnrollRequest) -> Result<(), ActError> {
    let raw = |text: &str, pointer: &str| -> Result<Vec<u8>, ActError> {
        let bytes = B64.decode(text).ok().filter(|b| b.len() == 32);
        bytes.ok_or_else(|| ActError::field(pointer, "base64 of 32 bytes"))
    };
    let signing = raw(&request.signing_key, "/signing_key")?;
    let sealing = raw(&request.sealing_key, "/sealing_key")?;
    let proof = B64.decode(&request.proof).map_err(|_| ActError::field("/proof", "base64"))?;
    UnparsedPublicKey::new(&ED25519, &signing)
        .verify(&proof_message(request.token.reveal(), &sealing), &proof)
        .map_err(|_| Refusal::BadProof.into())
}

/// Makes a host of an agent.
///
/// # Errors
/// The token is unknown, used, expired or revoked; the key belongs to another host.
pub async fn enroll(s: &Services, request: EnrollRequest, address: String) -> Result<EnrollResponse, ActError> {
    if request.protocol < OLDEST_PROTOCOL {
        return Err(Refusal::AgentTooOld.into());
    }
    check_keys(&request)?;
    if request.facts.hostname.len() > 255 || request.facts.os_version.len() > 200 {
        return Err(ActError::field("/facts", "host name or system name is too long"));
    }
    let now = Timestamp::now();
    let host = s.db.write(move |conn| accept(conn, &request, &address, now)).await?;
    s.agent_tokens.forget(host);
    s.presence.forget(host);
    let plain = s.db.read(move |conn| state::read(conn, host)).await?;
    let state = state::seal_to(s, plain)?;
    Ok(EnrollResponse {
        host_id: host,
        host_name: state.host_name.clone(),
        control_id: s.identity.id,
        control_key: s.identity.public_key(),
        state,
    })
}

fn accept(conn: &mut Conn, request: &EnrollRequest, address: &str, now: Timestamp) -> Result<HostId, ActError> {
    let token =
        enrollment::by_hash(conn, TokenHash::of(request.token.reveal()).as_str())?.ok_or(Refusal::TokenUnknown)?;
    if token.used_at.is_some() {
        return Err(Refusal::TokenUsed.into());
    }
    if token.revoked_at.is_some() {
        return Err(Refusal::TokenRevoked.into());
    }
    if token.expires_at <= now {
        return Err(Refusal::TokenExpired.into());
    }
    if hosts::key_known(conn, &request.signing_key)? {
        return Err(Refusal::KeyInUse.into());
    }
    if !enrollment::consume(conn, token.id, now)? {
        return Err(Refusal::TokenUsed.into());
    }
    let host = load_host(conn, token.host_id)?;
    let name = if token.named || host.lifecycle != Lifecycle::Pending { host.name } else { free_name(conn, request)? };
    let wrong = check_paths(&token.initial_paths, Some(request.facts.os), "/initial_paths");
    if !token.initial_paths.is_empty() && !wrong.is_empty() {
        return Err(ActError::Invalid(wrong));
    }
    let enrolled = Enrolled {
        name: &name,
        signing_key: &request.signing_key,
        sealing_key: &request.sealing_key,
        facts: &request.facts,
    };
    hosts::enroll(conn, host.id, &enrolled, now).map_err(|e| match e {
        StoreError::Duplicate(_) => Refusal::KeyInUse.into(),
        other => ActError::from(other),
    })?;
    equip(conn, &token, now)?;
    super::protection::judge(conn, host.id, now)?;
    hosts::raise_version(conn, host.id)?;
    let actor = Actor { address: address.to_owned(), ..Actor::system("agent") };
    let detail = serde_json::json!({"name": name, "token": token.id, "made_by": token.created_by});
    audit::record(conn, &actor, now, "host.enroll", &format!("host:{}", host.id), &detail)?;
    Ok(host.id)
}

/// The agent's own idea of its name, made free by a number if another host has it.
fn free_name(conn: &mut Conn, request: &EnrollRequest) -> Result<String, ActError> {
    let wanted = tidy_host_name(request.name.as_deref().unwrap_or(&request.facts.hostname));
    if hosts::by_name(conn, &wanted)?.is_none() {
        return Ok(wanted);
    }
    let stem: String = wanted.chars().take(56).collect();
    for n in 2..10_000 {
        let name = format!("{stem}-{n}");
        if hosts::by_name(conn, &name)?.is_none() {
            return Ok(name);
        }
    }
    Err(Refusal::NameTaken("host").into())
}

/// Gives the new host its credential and its first schedule.
fn equip(conn: &mut Conn, token: &TokenRecord, now: Timestamp) -> Result<(), ActError> {
    let host_id = token.host_id;
    if let (Some(repository_id), Some(packed)) = (token.repository_id, &token.credential_sealed) {
        let (mode, id, secrets_sealed) = unpack(packed).ok_or(ActError::Internal("an enrollment token is damaged"))?;
        credentials::put(
            conn,
            &CredentialRecord { id, host_id, repository_id, mode, secrets_sealed, at: now, url: None, proof: None },
        )?;
    }
    if token.initial_paths.is_empty() {
        return Ok(());
    }
    let id = ScheduleId::new();
    let schedule = Schedule {
        id,
        host_id,
        repository_id: token.repository_id,
        name: INITIAL_SCHEDULE.into(),
        enabled: true,
        manual: true,
        cron: None,
        timezone: None,
        paths: token.initial_paths.clone(),
        excludes: vec![],
        tags: vec![],
        options: BackupOptions::default(),
        firing: Firing::default(),
        paused: None,
        pauses: vec![],
        drill: Some(DrillPlan::usual(id)),
        retention: Retention::default(),
        created_at: now,
        updated_at: now,
    };
    schedules::insert(conn, &schedule)?;
    drills::plan_changed(conn, None, &schedule, now)
}
