//! Releases of the agent: taking them in, keeping their files, handing them out, withdrawing them. The files lie in a folder, not in the
//! database: servers that share a database need that folder in common. Which host is offered one is for [`rollouts`](super::rollouts).

use super::{ActError, Noun, ReleaseRefusal, Services, audit};
use crate::domain::permission::Actor;
use crate::domain::release::Rollout;
use crate::store::releases::ReleaseRecord;
use crate::store::{Conn, StoreError, releases};
use restic_manager_shared::id::HostId;
use restic_manager_shared::release::{Manifest, SignedManifest, is_target, is_version, sha256_of};
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::PROTOCOL;
use serde::Serialize;
use std::collections::HashMap;
use std::io::{self, Seek as _};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::fs::{self, File};
use tokio::io::AsyncWriteExt as _;

/// The longest notes.
const MOST_NOTES: usize = 2_000;

/// What offers are made from, read anew at each change and every few seconds.
#[derive(Clone, Debug)]
pub struct Current {
    /// The roll-out that counts.
    pub rollout: Rollout,
    /// What was signed, by version and platform; only what can be fetched.
    pub signed: HashMap<(String, String), SignedManifest>,
    /// When a person said last that what failed on a host may be tried again.
    pub forgiven: HashMap<HostId, Timestamp>,
    /// When a person asked in this roll-out for the update of a host, whatever its stage.
    pub asked: HashMap<HostId, Timestamp>,
}

/// Where the files of releases are, and what offers are made from.
#[derive(Debug)]
pub struct Releases {
    folder: PathBuf,
    current: RwLock<Option<Arc<Current>>>,
}

impl Releases {
    /// Files in this folder.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self { folder, current: RwLock::new(None) }
    }

    /// What offers are made from; none while there is no roll-out.
    #[must_use]
    pub fn current(&self) -> Option<Arc<Current>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set_current(&self, current: Option<Current>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = current.map(Arc::new);
    }

    /// Version and platform are checked before they become a name.
    fn file(&self, version: &str, target: &str) -> Option<PathBuf> {
        (is_version(version) && is_target(target)).then(|| self.folder.join(format!("{version}_{target}")))
    }
}

/// A release for one platform, as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Release {
    /// The agent's version.
    pub version: String,
    /// Where it runs, such as `linux-x86_64`.
    pub target: String,
    /// SHA-256 of the binary, hex.
    pub sha256: String,
    /// Its size in bytes.
    pub size: i64,
    /// The key that signed it, by the first digits of its SHA-256. Whether it counts is for each host to say.
    pub key: String,
    /// Whether hosts may go back to it from a newer one.
    pub rollback: bool,
    /// When it was signed.
    pub published_at: Option<Timestamp>,
    /// What is new in it.
    pub notes: String,
    /// Who uploaded it.
    pub uploaded_by: String,
    /// When.
    pub uploaded_at: Timestamp,
    /// Whether its file is here.
    pub has_file: bool,
    /// When it was withdrawn.
    pub withdrawn_at: Option<Timestamp>,
}

fn view(s: &Services, r: ReleaseRecord) -> Release {
    let manifest: Option<Manifest> = serde_json::from_str(&r.signed.manifest).ok();
    let on_disk = s.releases.file(&r.version, &r.target).is_some_and(|path| path.exists());
    let key = r.signed.key.parse::<restic_manager_shared::release::ReleaseKey>().map(|k| k.short());
    Release {
        has_file: r.file_at.is_some() && on_disk,
        version: r.version,
        target: r.target,
        sha256: r.sha256,
        size: r.size,
        key: key.unwrap_or_default(),
        rollback: manifest.as_ref().is_some_and(|m| m.rollback),
        published_at: manifest.map(|m| m.published_at),
        notes: r.notes,
        uploaded_by: r.uploaded_by,
        uploaded_at: r.uploaded_at,
        withdrawn_at: r.withdrawn_at,
    }
}

/// All releases, the newest upload first.
///
/// # Errors
/// When the database fails.
pub async fn list(s: &Services) -> Result<Vec<Release>, ActError> {
    let all = s.db.read(|conn| Ok::<_, ActError>(releases::list(conn)?)).await?;
    Ok(all.into_iter().map(|r| view(s, r)).collect())
}

fn load(conn: &mut Conn, version: &str, target: &str) -> Result<ReleaseRecord, ActError> {
    releases::get(conn, version, target)?.ok_or(ActError::NotFound(Noun::Release))
}

async fn find(s: &Services, version: &str, target: &str) -> Result<ReleaseRecord, ActError> {
    let (version, target) = (version.to_owned(), target.to_owned());
    s.db.read(move |conn| load(conn, &version, &target)).await
}

fn checked(signed: &SignedManifest) -> Result<Manifest, ActError> {
    let manifest = signed.open_unpinned().map_err(|e| ActError::field("/signed", e.to_string()))?;
    if manifest.protocol > PROTOCOL {
        let text = format!(
            "the agent speaks version {} of the protocol and this server {PROTOCOL}: update the server first",
            manifest.protocol
        );
        return Err(ActError::field("/signed", text));
    }
    Ok(manifest)
}

/// Takes in what was signed; the release then waits for its file. The same one twice is one.
///
/// # Errors
/// When the signature does not fit, the server is too old for it, or another release has its version and platform.
pub async fn add(s: &Services, actor: &Actor, signed: SignedManifest, notes: String) -> Result<Release, ActError> {
    let manifest = checked(&signed)?;
    if notes.len() > MOST_NOTES {
        return Err(ActError::field("/notes", "at most 2,000 characters"));
    }
    let (actor, now) = (actor.clone(), Timestamp::now());
    let record = ReleaseRecord {
        version: manifest.version,
        target: manifest.target,
        sha256: manifest.sha256,
        size: i64::try_from(manifest.size).unwrap_or(i64::MAX),
        signed,
        notes: notes.trim().to_owned(),
        uploaded_by: actor.label(),
        uploaded_at: now,
        file_at: None,
        withdrawn_at: None,
    };
    let kept = s.db.write(move |conn| insert(conn, &actor, record, now)).await?;
    Ok(view(s, kept))
}

fn insert(conn: &mut Conn, actor: &Actor, record: ReleaseRecord, now: Timestamp) -> Result<ReleaseRecord, ActError> {
    if let Some(held) = releases::get(conn, &record.version, &record.target)? {
        let same = held.sha256 == record.sha256 && held.withdrawn_at.is_none();
        return if same { Ok(held) } else { Err(ReleaseRefusal::Exists.into()) };
    }
    releases::insert(conn, &record).map_err(|e| match e {
        StoreError::Duplicate(_) => ReleaseRefusal::Exists.into(),
        other => ActError::from(other),
    })?;
    let subject = format!("release:{}:{}", record.version, record.target);
    let detail = serde_json::json!({"sha256": record.sha256, "key": record.signed.key});
    audit::record(conn, actor, now, "release.add", &subject, &detail)?;
    Ok(record)
}

/// A file that is coming in. What is not finished is removed.
pub struct Incoming {
    record: ReleaseRecord,
    file: Option<File>,
    path: PathBuf,
    to: PathBuf,
    size: i64,
    finished: bool,
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.finished {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn broken(error: &io::Error) -> ActError {
    tracing::error!(%error, "the file of a release cannot be kept");
    ActError::Internal("the file of a release cannot be kept")
}

/// Begins to take a release's file in.
///
/// # Errors
/// When there is no such release, or it was withdrawn.
pub async fn receive(s: &Services, version: &str, target: &str) -> Result<Incoming, ActError> {
    let record = find(s, version, target).await?;
    if record.withdrawn_at.is_some() {
        return Err(ReleaseRefusal::Withdrawn.into());
    }
    let to = s.releases.file(version, target).ok_or(ActError::NotFound(Noun::Release))?;
    fs::create_dir_all(&s.releases.folder).await.map_err(|e| broken(&e))?;
    // Two uploads at once do not write into one file.
    let path = to.with_file_name(format!("{}.{}.part", record.sha256, super::random::below(u32::MAX)));
    let file = Some(File::create(&path).await.map_err(|e| broken(&e))?);
    Ok(Incoming { record, file, path, to, size: 0, finished: false })
}

impl Incoming {
    /// Takes the next piece. Nothing beyond the signed size is taken.
    ///
    /// # Errors
    /// When it is more than was signed, or the disk refuses.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), ActError> {
        self.size += i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        if self.size > self.record.size {
            return Err(other_file(&format!("it has more than {} bytes", self.record.size)));
        }
        match &mut self.file {
            Some(file) => file.write_all(bytes).await.map_err(|e| broken(&e)),
            None => Err(ActError::Internal("the file of a release has ended")),
        }
    }

    /// The file is whole: keeps it, if it is the one that was signed.
    ///
    /// # Errors
    /// When it is not, or the disk refuses.
    pub async fn finish(mut self, s: &Services, actor: &Actor) -> Result<Release, ActError> {
        let Some(file) = self.file.take() else { return Err(ActError::Internal("the file of a release has ended")) };
        file.sync_all().await.map_err(|e| broken(&e))?;
        drop(file);
        let path = self.path.clone();
        let read = tokio::task::spawn_blocking(move || sha256_of(std::fs::File::open(path)?)).await;
        let (size, sha256) =
            read.map_err(|_| ActError::Internal("the file of a release cannot be read"))?.map_err(|e| broken(&e))?;
        let manifest = checked(&self.record.signed)?;
        manifest.matches(size, &sha256).map_err(|e| other_file(&e.to_string()))?;
        fs::rename(&self.path, &self.to).await.map_err(|e| broken(&e))?;
        self.finished = true;
        let (actor, now) = (actor.clone(), Timestamp::now());
        let (version, target) = (self.record.version.clone(), self.record.target.clone());
        let kept =
            s.db.write(move |conn| {
                releases::set_file(conn, &version, &target, now)?;
                let subject = format!("release:{version}:{target}");
                audit::record(conn, &actor, now, "release.file", &subject, &serde_json::json!({"size": size}))?;
                load(conn, &version, &target)
            })
            .await?;
        super::rollouts::refresh(s).await?;
        Ok(view(s, kept))
    }
}

fn other_file(why: &str) -> ActError {
    ActError::field("/file", why)
}

/// The file of a release, to be handed out, and its size.
///
/// # Errors
/// When there is no such release, it was withdrawn, or its file is not here.
pub async fn open_file(s: &Services, version: &str, target: &str, from: u64) -> Result<(std::fs::File, u64), ActError> {
    let record = find(s, version, target).await?;
    if !record.is_ready() {
        return Err(ActError::NotFound(Noun::Release));
    }
    let path = s.releases.file(version, target).ok_or(ActError::NotFound(Noun::Release))?;
    let opened = tokio::task::spawn_blocking(move || {
        let mut file = std::fs::File::open(path)?;
        file.seek(io::SeekFrom::Start(from))?;
        let size = file.metadata()?.len();
        Ok::<_, io::Error>((file, size))
    })
    .await;
    match opened.map_err(|_| ActError::Internal("the file of a release cannot be opened"))? {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::error!(
                version,
                target,
                "the file of a release is not on this server; upload it again, or share the folder"
            );
            Err(ActError::NotFound(Noun::Release))
        }
        opened => opened.map_err(|e: io::Error| broken(&e)),
    }
}

/// Withdraws a release: nobody is offered it any more, and nobody gets its file. Hosts that run it go on.
///
/// # Errors
/// When there is no such release, or it was withdrawn before.
pub async fn withdraw(s: &Services, actor: &Actor, version: &str, target: &str) -> Result<Release, ActError> {
    let (actor, now) = (actor.clone(), Timestamp::now());
    let (v, t) = (version.to_owned(), target.to_owned());
    let kept =
        s.db.write(move |conn| {
            let held = load(conn, &v, &t)?;
            if !releases::withdraw(conn, &v, &t, now)? {
                return Ok(held);
            }
            audit::record(conn, &actor, now, "release.withdraw", &format!("release:{v}:{t}"), &serde_json::json!({}))?;
            load(conn, &v, &t)
        })
        .await?;
    if let Some(file) = s.releases.file(version, target) {
        let _ = fs::remove_file(file).await;
    }
    super::rollouts::refresh(s).await?;
    Ok(view(s, kept))
}
