//! Recovery kits: made on demand, given out once, kept nowhere. What is kept is that one was made and of which secrets, so that the pages
//! can say when another is due.

use super::random::hex;
use super::repositories::load;
use super::{ActError, Services, audit, state};
use crate::domain::permission::Actor;
use crate::domain::place::is_per_host;
use crate::domain::repository::url_for;
use crate::store::credentials::CredentialRecord;
use crate::store::recovery::KitRecord;
use crate::store::repositories::RepositoryRecord;
use crate::store::{Conn, StoreResult, credentials, hosts, recovery, repositories, snapshots};
use crate::words::recovery::{Way, kit};
use age::secrecy::SecretString;
use restic_manager_shared::id::{HostId, RepositoryId};
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::io::Write;

/// A passphrase is at least so long.
const SHORTEST: usize = 12;

/// How a kit is to be closed.
#[derive(Clone, Debug)]
pub enum Closed {
    /// Encrypted with age.
    With(Secret),
    /// Readable by whoever finds it.
    Not,
}

/// A kit, to be handed over.
#[derive(Debug)]
pub struct Made {
    /// What the file should be called.
    pub name: String,
    /// The file.
    pub content: Vec<u8>,
}

/// How a repository stands.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct KitState {
    /// Which.
    pub repository_id: RepositoryId,
    /// Its name.
    pub name: String,
    /// When the newest kit was made; none if never.
    pub made_at: Option<Timestamp>,
    /// By whom.
    pub made_by: Option<String>,
    /// Whether one is due: none was made, or a password or an address has changed since.
    pub due: bool,
}

/// How each repository stands. One that no host can open yet needs none.
///
/// # Errors
/// When the database fails.
pub async fn states(s: &Services) -> Result<Vec<KitState>, ActError> {
    s.db.read(|conn| {
        let kits = recovery::all(conn)?;
        repositories::all(conn)?.iter().filter_map(|record| kit_state(conn, record, &kits).transpose()).collect()
    })
    .await
}

/// How one repository stands; none if no host can open it yet.
///
/// # Errors
/// When it is not there or the database fails.
pub async fn state_of(s: &Services, id: RepositoryId) -> Result<Option<KitState>, ActError> {
    s.db.read(move |conn| {
        let kits = recovery::all(conn)?;
        let record = load(conn, id)?;
        kit_state(conn, &record, &kits)
    })
    .await
}

fn kit_state(
    conn: &mut Conn,
    record: &RepositoryRecord,
    kits: &HashMap<RepositoryId, KitRecord>,
) -> Result<Option<KitState>, ActError> {
    let open = doors(conn, record)?;
    if open.is_empty() {
        return Ok(None);
    }
    let made = kits.get(&record.repository.id);
    Ok(Some(KitState {
        repository_id: record.repository.id,
        name: record.repository.name.clone(),
        made_at: made.map(|m| m.made_at),
        made_by: made.map(|m| m.made_by.clone()),
        due: made.is_none_or(|m| m.basis != basis(record, &open)),
    }))
}

/// The credentials that open each restic repository behind an address: one, or one for each host.
fn doors(conn: &mut Conn, record: &RepositoryRecord) -> StoreResult<Vec<CredentialRecord>> {
    let id = record.repository.id;
    if is_per_host(&record.repository.url) {
        return credentials::of_repository(conn, id);
    }
    Ok(credentials::door(conn, id)?.into_iter().collect())
}

/// Changes with every secret and address that a kit would hold.
fn basis(record: &RepositoryRecord, doors: &[CredentialRecord]) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text.as_bytes());
    };
    add(&record.repository.url);
    add(&record.password_sealed);
    add(record.repository.ca_pem.as_deref().unwrap_or_default());
    for door in doors {
        add(&door.host_id.to_string());
        add(door.url.as_deref().unwrap_or_default());
        add(&door.secrets_sealed);
    }
    hex(&hash.finalize())
}

/// Makes a kit of one repository, or of all.
///
/// # Errors
/// A repository that is not there, one that no host can open, or a passphrase that is too short.
pub async fn make(
    s: &Services,
    actor: &Actor,
    repository: Option<RepositoryId>,
    closed: Closed,
) -> Result<Made, ActError> {
    if matches!(&closed, Closed::With(passphrase) if passphrase.reveal().chars().count() < SHORTEST) {
        return Err(ActError::field("/passphrase", format!("at least {SHORTEST} characters: it must hold for years")));
    }
    let opened = s.db.read(move |conn| read(conn, repository)).await?;
    if repository.is_some() && opened.iter().all(|o| o.doors.is_empty()) {
        return Err(ActError::field("/repository_id", "no host has a credential for it, so nobody could open it"));
    }
    let now = Timestamp::now();
    let ways = opened.iter().map(|o| ways(s, o)).collect::<Result<Vec<_>, _>>()?.concat();
    let text = kit(&ways, now).map_err(|_| ActError::Internal("a kit cannot be written"))?;
    let made = closed_up(text, closed, now).await?;
    note(s, actor, opened, now).await?;
    Ok(made)
}

/// A repository as it is kept, with what opens it.
struct Opened {
    record: RepositoryRecord,
    doors: Vec<CredentialRecord>,
    /// Hosts that have snapshots there.
    writers: Vec<HostId>,
    names: HashMap<HostId, String>,
}

fn read(conn: &mut Conn, repository: Option<RepositoryId>) -> Result<Vec<Opened>, ActError> {
    let records = match repository {
        Some(id) => vec![load(conn, id)?],
        None => repositories::all(conn)?,
    };
    records.into_iter().map(|record| open(conn, record)).collect()
}

fn open(conn: &mut Conn, record: RepositoryRecord) -> Result<Opened, ActError> {
    let id = record.repository.id;
    let doors = doors(conn, &record)?;
    let writers = snapshots::hosts_of(conn, id)?;
    let ids: Vec<HostId> = writers.iter().copied().chain(doors.iter().map(|d| d.host_id)).collect();
    let names = hosts::names(conn, &ids)?.into_iter().collect();
    Ok(Opened { record, doors, writers, names })
}

fn ways(s: &Services, opened: &Opened) -> Result<Vec<Way>, ActError> {
    let repository = &opened.record.repository;
    let per_host = is_per_host(&repository.url);
    let way = |door: &CredentialRecord| {
        let secrets = state::secrets_of(s, door, &opened.record)?;
        let own = opened.names.get(&door.host_id).cloned().unwrap_or_default();
        let writers = opened.writers.iter().filter(|w| !per_host || **w == door.host_id);
        Ok(Way {
            name: repository.name.clone(),
            hosts: writers.filter_map(|w| opened.names.get(w).cloned()).collect(),
            url: url_for(door.url.as_deref().unwrap_or(&repository.url), &own),
            of_host: per_host.then_some(own),
            password: secrets.password,
            http: secrets.rest_username.zip(secrets.rest_password),
            env: secrets.env,
            ca_pem: repository.ca_pem.clone(),
        })
    };
    opened.doors.iter().map(way).collect()
}

async fn closed_up(text: String, closed: Closed, now: Timestamp) -> Result<Made, ActError> {
    let day = now.to_utc().format("%Y-%m-%d");
    match closed {
        Closed::Not => Ok(Made { name: format!("recovery-kit-{day}.md"), content: text.into_bytes() }),
        Closed::With(passphrase) => {
            // Deriving the key takes about a second.
            let content = tokio::task::spawn_blocking(move || encrypted(text.as_bytes(), &passphrase)).await;
            let content = content.ok().and_then(Result::ok).ok_or(ActError::Internal("a kit cannot be encrypted"))?;
            Ok(Made { name: format!("recovery-kit-{day}.md.age"), content })
        }
    }
}

fn encrypted(text: &[u8], passphrase: &Secret) -> std::io::Result<Vec<u8>> {
    let age = age::Encryptor::with_user_passphrase(SecretString::from(passphrase.reveal().to_owned()));
    let mut out = age.wrap_output(Vec::new())?;
    out.write_all(text)?;
    out.finish()
}

async fn note(s: &Services, actor: &Actor, opened: Vec<Opened>, now: Timestamp) -> Result<(), ActError> {
    let actor = actor.clone();
    s.db.write(move |conn| {
        for Opened { record, doors, .. } in opened.iter().filter(|o| !o.doors.is_empty()) {
            let id = record.repository.id;
            let made = KitRecord { basis: basis(record, doors), made_at: now, made_by: actor.label() };
            recovery::put(conn, id, &made)?;
            let subject = format!("repository:{id}");
            audit::record(conn, &actor, now, "recovery_kit.make", &subject, &serde_json::json!({}))?;
        }
        StoreResult::Ok(())
    })
    .await
    .map_err(ActError::from)
}
