//! Exports: everything that the control plane knows in one file, to move it to another machine or another kind of database, or to come
//! back after a loss. The file is made at one moment of a server that goes on working, and holds the master key: whoever has it and can
//! read it has the fleet's secrets.
//!
//! The format: compressed with gzip, encrypted with age if there is a passphrase; lines of JSON. First a [`Head`], then each row with its
//! table, last a [`Tail`] that tells a whole file from a torn one.

use super::vault::VaultError;
use super::{audit, identity, random};
use crate::domain::permission::Actor;
use crate::store::{Conn, OpenError, StoreError, Target, doctor, migrate, rows, settings};
use age::secrecy::SecretString;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use restic_manager_shared::secret::Secret;
use restic_manager_shared::time::Timestamp;
use restic_manager_shared::wire::recall::Restored;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// What the first line says that this is.
const FORMAT: &str = "restic-manager export 1";
/// How a file encrypted with age begins.
const AGE: &[u8] = b"age-encryption.org/";
/// Rows are put into the database so many bytes at a time.
const BATCH: usize = 512 * 1024;
/// The setting that says which export this control plane came out of.
pub const RESTORED: &str = "restored";

/// The first line.
#[derive(Debug, Serialize, Deserialize)]
struct Head {
    format: String,
    at: Timestamp,
    migrations: Vec<String>,
    control_id: String,
    master_key: Secretly,
}

/// A secret that is meant to be written into this one file.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
struct Secretly(String);

impl std::fmt::Debug for Secretly {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

/// A row.
#[derive(Debug, Serialize, Deserialize)]
struct Carried<'a> {
    table: std::borrow::Cow<'a, str>,
    #[serde(borrow)]
    row: &'a RawValue,
}

/// The last line.
#[derive(Debug, Serialize, Deserialize)]
struct Tail {
    rows: u64,
    sha256: String,
}

/// What came of an export or import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// The moment that was exported.
    pub at: Timestamp,
    /// How many rows.
    pub rows: u64,
}

/// Why a file cannot be made or taken.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The master key cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The file cannot be read or written.
    #[error("{path} cannot be used: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// It is not one of ours, or not whole.
    #[error("{0}. Nothing was changed; take another export")]
    Unreadable(String),
    /// It is encrypted.
    #[error("the export is encrypted: name the file that holds its passphrase with --passphrase-file")]
    Locked,
    /// The passphrase is another one.
    #[error("the passphrase does not open this export")]
    WrongPassphrase,
    /// There is something already.
    #[error("the database is not empty (it has {0}): import into a new one, so that nothing is overwritten")]
    NotEmpty(String),
    /// Another installation's key is there.
    #[error("{0} holds another master key: import into a new data folder, so that no key is overwritten")]
    OtherKey(String),
}

impl ExportError {
    fn file(path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.display().to_string();
        move |error| Self::File { path: path.clone(), error }
    }
}

/// Writes an export. The server may be at work; the file holds one moment, and is there whole or not at all.
///
/// # Errors
/// When the database or the key cannot be read or the file cannot be written.
pub fn export(
    target: &Target,
    key_file: &Path,
    to: &Path,
    passphrase: Option<&Secret>,
    now: Timestamp,
) -> Result<Counted, ExportError> {
    let key = std::fs::read_to_string(key_file).map_err(ExportError::file(key_file))?;
    let mut conn = doctor::open(target)?;
    let part = to.with_extension("part");
    let done = new_file(&part).and_then(|file| {
        let counted = written(&mut conn, key.trim(), file, passphrase, now).map_err(|e| e.at(&part))?;
        std::fs::rename(&part, to).and_then(|()| sync_folder(to)).map_err(ExportError::file(to))?;
        Ok(counted)
    });
    if done.is_err() {
        let _ = std::fs::remove_file(&part);
    }
    done
}

/// A failure in the midst of writing.
enum Cut {
    Store(StoreError),
    Io(io::Error),
}

impl Cut {
    fn at(self, path: &Path) -> ExportError {
        match self {
            Self::Store(error) => error.into(),
            Self::Io(error) => ExportError::file(path)(error),
        }
    }
}

impl From<StoreError> for Cut {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for Cut {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn new_file(path: &Path) -> Result<File, ExportError> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map_err(ExportError::file(path))
}

fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn written(
    conn: &mut Conn,
    key: &str,
    file: File,
    passphrase: Option<&Secret>,
    now: Timestamp,
) -> Result<Counted, Cut> {
    let file = BufWriter::new(file);
    let file = match passphrase {
        None => lines(conn, key, file, now)?,
        Some(passphrase) => {
            let age = age::Encryptor::with_user_passphrase(SecretString::from(passphrase.reveal().to_owned()));
            let (inner, counted) = lines(conn, key, age.wrap_output(file)?, now)?;
            (inner.finish()?, counted)
        }
    };
    let (file, counted) = file;
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(counted)
}

/// Writes all lines, compressed; gives back what they went into.
fn lines<W: Write>(conn: &mut Conn, key: &str, to: W, now: Timestamp) -> Result<(W, Counted), Cut> {
    let mut out = Lines { to: GzEncoder::new(to, Compression::default()), hash: Sha256::new(), rows: 0 };
    let mut cut = None;
    doctor::at_one_moment(conn, |conn| {
        let control_id = settings::get(conn, identity::ID)?.unwrap_or_default();
        let head = Head {
            format: FORMAT.to_owned(),
            at: now,
            migrations: rows::migrations(conn)?,
            control_id,
            master_key: Secretly(key.to_owned()),
        };
        cut = all(conn, &mut out, &head).err();
        Ok(())
    })?;
    cut.map_or(Ok(()), Err)?;
    let tail = Tail { rows: out.rows, sha256: random::hex(&out.hash.finalize()) };
    serde_json::to_writer(&mut out.to, &tail).map_err(io::Error::from)?;
    out.to.write_all(b"\n")?;
    Ok((out.to.finish()?, Counted { at: now, rows: out.rows }))
}

fn all<W: Write>(conn: &mut Conn, out: &mut Lines<W>, head: &Head) -> Result<(), Cut> {
    out.line(&serde_json::to_string(head).map_err(io::Error::from)?)?;
    for table in rows::TABLES {
        rows::each_row(conn, table, |row| {
            out.rows += 1;
            out.line(&format!("{{\"table\":\"{table}\",\"row\":{row}}}")).map_err(Cut::from)
        })?;
    }
    Ok(())
}

struct Lines<W: Write> {
    to: GzEncoder<W>,
    hash: Sha256,
    rows: u64,
}

impl<W: Write> Lines<W> {
    fn line(&mut self, text: &str) -> io::Result<()> {
        for bytes in [text.as_bytes(), b"\n"] {
            self.hash.update(bytes);
            self.to.write_all(bytes)?;
        }
        Ok(())
    }
}

/// Takes an export into an empty database, of whichever kind, and puts its master key beside it. All of it or nothing.
///
/// # Errors
/// When the file is not whole, the passphrase is wrong, or something is there already.
pub fn import(
    target: &Target,
    key_file: &Path,
    from: &Path,
    passphrase: Option<&Secret>,
    now: Timestamp,
) -> Result<Counted, ExportError> {
    let mut file = Import::open(from, passphrase)?;
    let head = file.head()?;
    let has_key = key_is_there(key_file, &head.master_key)?;
    let mut conn = rows::open_empty(target, &head.migrations)?;
    let taken = rows::at_once(&mut conn, |conn| {
        let filled = rows::filled(conn)?;
        if !filled.is_empty() {
            return Err(ExportError::NotEmpty(filled.join(", ")));
        }
        rows::clear_settings(conn)?;
        let count = file.rows_into(conn)?;
        note(conn, &head, count, now)?;
        if !has_key {
            super::vault::write_private(key_file, head.master_key.0.as_bytes()).map_err(ExportError::file(key_file))?;
        }
        Ok(Counted { at: head.at, rows: count })
    });
    if taken.is_err() && !has_key {
        // Only what was written a moment ago: a key that was there before is the same one, and stays.
        let _ = std::fs::remove_file(key_file);
    }
    let counted = taken?;
    migrate::up(&mut conn)?;
    Ok(counted)
}

/// Whether this very key is there already.
fn key_is_there(key_file: &Path, key: &Secretly) -> Result<bool, ExportError> {
    match std::fs::read_to_string(key_file) {
        Ok(text) if text.trim() == key.0 => Ok(true),
        Ok(_) => Err(ExportError::OtherKey(key_file.display().to_string())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ExportError::file(key_file)(error)),
    }
}

/// Notes where this database came from: agents tell again what happened since.
fn note(conn: &mut Conn, head: &Head, count: u64, now: Timestamp) -> Result<(), ExportError> {
    let restored = Restored { id: random::hex(&random::bytes::<16>()), since: head.at };
    let said = serde_json::json!({"exported_at": head.at, "rows": count});
    settings::set(conn, RESTORED, &serde_json::to_string(&restored).unwrap_or_default())?;
    audit::record(conn, &Actor::system("command line"), now, "state.import", "state", &said)?;
    Ok(())
}

/// Which export the database came out of, if it did.
///
/// # Errors
/// When the database fails.
pub fn restored(conn: &mut Conn) -> Result<Option<Restored>, StoreError> {
    let Some(text) = settings::get(conn, RESTORED)? else { return Ok(None) };
    let corrupt = |_| StoreError::Corrupt { what: "settings.restored", value: text.clone() };
    serde_json::from_str(&text).map(Some).map_err(corrupt)
}

/// An export that is being read.
struct Import {
    lines: BufReader<Box<dyn Read>>,
    hash: Sha256,
    line: String,
}

impl Import {
    fn open(path: &Path, passphrase: Option<&Secret>) -> Result<Self, ExportError> {
        let failed = ExportError::file(path);
        let mut file = BufReader::new(File::open(path).map_err(&failed)?);
        let is_encrypted = file.fill_buf().map_err(&failed)?.starts_with(AGE);
        let plain: Box<dyn Read> = match (is_encrypted, passphrase) {
            (false, _) => Box::new(file),
            (true, None) => return Err(ExportError::Locked),
            (true, Some(passphrase)) => Box::new(decrypted(file, passphrase)?),
        };
        let lines = BufReader::new(Box::new(GzDecoder::new(plain)) as Box<dyn Read>);
        Ok(Self { lines, hash: Sha256::new(), line: String::new() })
    }

    /// Reads the next line; false at the end.
    fn next(&mut self) -> Result<bool, ExportError> {
        self.line.clear();
        let read = self.lines.read_line(&mut self.line).map_err(|e| torn(&e))?;
        Ok(read > 0)
    }

    fn head(&mut self) -> Result<Head, ExportError> {
        let not_ours = || ExportError::Unreadable("the file is not an export of restic-manager".into());
        if !self.next().map_err(|_| not_ours())? {
            return Err(not_ours());
        }
        let head: Head = serde_json::from_str(&self.line).map_err(|_| not_ours())?;
        if head.format != FORMAT {
            return Err(ExportError::Unreadable(format!(
                "the file is a \"{}\", which this version cannot read",
                head.format
            )));
        }
        self.hash.update(self.line.as_bytes());
        Ok(head)
    }

    /// Puts all rows into the database; answers how many, once the last line says that they are all.
    fn rows_into(&mut self, conn: &mut Conn) -> Result<u64, ExportError> {
        let mut batch = Batch::default();
        while self.next()? {
            if let Ok(tail) = serde_json::from_str::<Tail>(&self.line) {
                batch.put(conn)?;
                let hash = random::hex(&self.hash.clone().finalize());
                // Also what compression and encryption have to say at the end counts.
                let is_whole = (tail.rows, &tail.sha256) == (batch.count, &hash) && !self.next()?;
                let altered = || ExportError::Unreadable("the export was altered".into());
                return is_whole.then_some(batch.count).ok_or_else(altered);
            }
            self.hash.update(self.line.as_bytes());
            let carried: Carried = serde_json::from_str(&self.line).map_err(|e| torn(&e.into()))?;
            let Some(table) = rows::TABLES.into_iter().find(|t| *t == carried.table) else {
                return Err(ExportError::Unreadable(format!(
                    "the export has a table {} that is not known",
                    carried.table
                )));
            };
            batch.add(conn, table, carried.row.get())?;
        }
        Err(ExportError::Unreadable("the export ends in the middle".into()))
    }
}

fn decrypted(file: BufReader<File>, passphrase: &Secret) -> Result<impl Read + use<>, ExportError> {
    let identity = age::scrypt::Identity::new(SecretString::from(passphrase.reveal().to_owned()));
    let wrong = |error| match error {
        age::DecryptError::Io(error) => torn(&error),
        _ => ExportError::WrongPassphrase,
    };
    let open = age::Decryptor::new_buffered(file).map_err(wrong)?;
    open.decrypt(std::iter::once(&identity as &dyn age::Identity)).map_err(wrong)
}

fn torn(error: &io::Error) -> ExportError {
    ExportError::Unreadable(format!("the export is damaged ({error})"))
}

/// Rows of one table that go into the database together.
#[derive(Default)]
struct Batch {
    table: &'static str,
    rows: String,
    count: u64,
}

impl Batch {
    fn add(&mut self, conn: &mut Conn, table: &'static str, row: &str) -> Result<(), ExportError> {
        if table != self.table || self.rows.len() > BATCH {
            self.put(conn)?;
            self.table = table;
        }
        self.rows.push(if self.rows.is_empty() { '[' } else { ',' });
        self.rows.push_str(row);
        self.count += 1;
        Ok(())
    }

    fn put(&mut self, conn: &mut Conn) -> Result<(), ExportError> {
        if !self.rows.is_empty() {
            self.rows.push(']');
            rows::put(conn, self.table, &self.rows)?;
            self.rows.clear();
        }
        Ok(())
    }
}

/// Between two exports that the server makes by itself.
const A_DAY: i64 = 86_400;
const NIGHTLY: &str = "restic-manager-";
const ENDING: &str = ".export.gz";
/// What one is called that is not whole.
const PART: &str = ".export.part";

/// Exports that the server makes by itself, so that a mishap with the database costs a day at most. They are not encrypted: the folder
/// beside them holds the key in any case.
#[derive(Clone, Debug)]
pub struct Nightly {
    /// Of which database.
    pub target: Target,
    /// With which key.
    pub key_file: PathBuf,
    /// Where they are kept.
    pub folder: PathBuf,
    /// How many.
    pub keep: usize,
}

impl Nightly {
    /// Makes one if the newest is a day old, and removes those that are too many. Answers whether one was made.
    ///
    /// # Errors
    /// When the database cannot be read or the folder cannot be used.
    pub fn make_if_due(&self, now: Timestamp) -> Result<bool, ExportError> {
        let failed = ExportError::file(&self.folder);
        std::fs::create_dir_all(&self.folder).map_err(&failed)?;
        // A server that was killed in the midst of one left a part of it.
        self.named(PART).and_then(|parts| self.remove(&parts)).map_err(&failed)?;
        let made = self.named(ENDING).map_err(&failed)?;
        if made.last().is_some_and(|newest| *newest > name(Timestamp::from_seconds(now.seconds() - A_DAY))) {
            return Ok(false);
        }
        export(&self.target, &self.key_file, &self.folder.join(name(now)), None, now)?;
        let made = self.named(ENDING).map_err(&failed)?;
        self.remove(&made[..made.len().saturating_sub(self.keep)]).map_err(failed)?;
        Ok(true)
    }

    fn remove(&self, names: &[String]) -> io::Result<()> {
        names.iter().try_for_each(|name| std::fs::remove_file(self.folder.join(name)))
    }

    /// The names of ours that end so, oldest first.
    fn named(&self, ending: &str) -> io::Result<Vec<String>> {
        let names: io::Result<Vec<_>> = std::fs::read_dir(&self.folder)?.map(|entry| Ok(entry?.file_name())).collect();
        let names = names?.into_iter().filter_map(|name| name.into_string().ok());
        let mut ours: Vec<String> = names.filter(|n| n.starts_with(NIGHTLY) && n.ends_with(ending)).collect();
        ours.sort();
        Ok(ours)
    }
}

/// What the export of a moment is called: names sort by time.
fn name(at: Timestamp) -> String {
    format!("{NIGHTLY}{}{ENDING}", at.to_utc().format("%Y-%m-%dT%H%M%SZ"))
}
