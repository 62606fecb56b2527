//! The environment of a restic run: cleared, then exactly what the job needs. The repository's address and password go into files
//! of a folder that only this user can read and that is removed when the job ends.

use crate::config::Inherited;
use crate::state_dir::{StateDir, StateError, make_private_dir, write_private};
use restic_manager_shared::id::JobId;
use restic_manager_shared::restic::address::Location;
use restic_manager_shared::restic::version::Version;
use restic_manager_shared::wire::state::RepositorySecrets;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// `RESTIC_REST_USERNAME` was seen to work from here on; before, the credentials stand in the address. By restic's CHANGELOG.md it works
/// since 0.16.1 (#4480), but the address is no worse, being in a file.
const REST_VARIABLES: Version = Version::new(0, 18, 0);
/// Families of variables by which backends take credentials and settings.
const ALLOWED: [&str; 7] = ["AWS_", "B2_", "AZURE_", "GOOGLE_", "OS_", "ST_", "RCLONE_"];
/// Endings of names whose values are run as programs: those are this host's to decide.
const RUNS_PROGRAMS: [&str; 5] = ["COMMAND", "_SSH", "EXECUTABLE", "EXECUTABLES", "_MAPPER"];

/// What is the same for all jobs of an agent.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// What the agent inherited.
    pub inherited: Inherited,
    /// The proxy from the agent's settings.
    pub proxy: Option<String>,
    /// Certificate authorities for the storage, the system's among them.
    pub ca: Option<PathBuf>,
}

/// A job's private folder. Dropping it removes it.
#[derive(Debug)]
pub struct JobDir {
    path: PathBuf,
}

impl JobDir {
    /// Makes the folder.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn make(state: &StateDir, job: JobId) -> Result<Self, StateError> {
        let path = state.jobs().join(job.to_string());
        make_private_dir(&path)?;
        Ok(Self { path })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file into it.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, StateError> {
        let path = self.path.join(name);
        write_private(&path, bytes)?;
        Ok(path)
    }
}

impl Drop for JobDir {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), error = %e, "cannot remove the job's folder");
        }
    }
}

/// The variables of one run.
pub type Variables = BTreeMap<OsString, OsString>;

/// What a program of this host is given that is not restic: where it is, and nothing that opens a repository or names one.
#[must_use]
pub fn plain(state: &StateDir, around: &Surroundings) -> Variables {
    base(state, &around.inherited)
}

/// The variables that are the same for every repository.
#[must_use]
pub fn surroundings(state: &StateDir, around: &Surroundings) -> Variables {
    let mut vars = base(state, &around.inherited);
    vars.insert("RESTIC_CACHE_DIR".into(), state.cache().into_os_string());
    // One status a second is what is forwarded; more only costs.
    vars.insert("RESTIC_PROGRESS_FPS".into(), "1".into());
    network(&mut vars, around);
    vars
}

/// Where a rest-server's credentials go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpCredentials {
    /// Into variables of restic's own.
    Variables,
    /// Into the address, which is in a file: for restic versions that know no such variables, and for a run with two repositories.
    Address,
}

impl HttpCredentials {
    /// For this version, unless the run itself asks for something else.
    #[must_use]
    pub fn for_version(version: Version) -> Self {
        if version >= REST_VARIABLES { Self::Variables } else { Self::Address }
    }
}

/// Writes the secret files of the repository to work on and adds its variables.
///
/// # Errors
/// When the disk refuses.
pub fn target(
    vars: &mut Variables,
    dir: &JobDir,
    url: &str,
    secrets: &RepositorySecrets,
    http: HttpCredentials,
) -> Result<(), StateError> {
    backend(vars, secrets);
    let mut address = Location::parse(url).plain();
    if let (Some(user), Some(password)) = (&secrets.rest_username, &secrets.rest_password) {
        match http {
            HttpCredentials::Variables => {
                vars.insert("RESTIC_REST_USERNAME".into(), user.into());
                vars.insert("RESTIC_REST_PASSWORD".into(), password.reveal().into());
            }
            HttpCredentials::Address => address = Location::parse(url).with_credentials(user, password.reveal()),
        }
    }
    vars.insert("RESTIC_REPOSITORY_FILE".into(), dir.write("repository", address.as_bytes())?.into());
    vars.insert("RESTIC_PASSWORD_FILE".into(), dir.write("password", secrets.password.reveal().as_bytes())?.into());
    Ok(())
}

/// Writes the secret files of the repository to copy from and adds its variables. `Err` of a name: both repositories need that variable,
/// with different values, and restic has only one of it.
///
/// # Errors
/// When the disk refuses.
pub fn source(
    vars: &mut Variables,
    dir: &JobDir,
    url: &str,
    secrets: &RepositorySecrets,
) -> Result<Result<(), String>, StateError> {
    for (name, value) in secrets.env.iter().filter(|(name, _)| is_allowed(name)) {
        if vars.get(OsStr::new(name)).is_some_and(|held| held != value.reveal()) {
            return Ok(Err(name.clone()));
        }
    }
    backend(vars, secrets);
    let location = Location::parse(url);
    let address = match (&secrets.rest_username, &secrets.rest_password) {
        (Some(user), Some(password)) => location.with_credentials(user, password.reveal()),
        (Some(_), None) | (None, _) => location.plain(),
    };
    let address = dir.write("from-repository", address.as_bytes())?;
    let password = dir.write("from-password", secrets.password.reveal().as_bytes())?;
    vars.insert("RESTIC_FROM_REPOSITORY_FILE".into(), address.into());
    vars.insert("RESTIC_FROM_PASSWORD_FILE".into(), password.into());
    Ok(Ok(()))
}

fn backend(vars: &mut Variables, secrets: &RepositorySecrets) {
    for (name, value) in secrets.env.iter().filter(|(name, _)| is_allowed(name)) {
        vars.insert(name.into(), value.reveal().into());
    }
}

fn base(state: &StateDir, inherited: &Inherited) -> Variables {
    let home = inherited.home.clone().map_or_else(|| state.root().as_os_str().to_owned(), OsString::from);
    let tmp = state.tmp().into_os_string();
    let mut vars = Variables::from([
        ("HOME".into(), home.clone()),
        ("TMPDIR".into(), tmp.clone()),
        ("TZ".into(), "UTC".into()),
        ("LANG".into(), "C.UTF-8".into()),
    ]);
    if let Some(path) = &inherited.path {
        vars.insert("PATH".into(), path.into());
    }
    if let Some(root) = &inherited.system_root {
        vars.insert("SystemRoot".into(), root.into());
        vars.insert("USERPROFILE".into(), home);
        vars.insert("TEMP".into(), tmp.clone());
        vars.insert("TMP".into(), tmp);
    }
    vars
}

/// The settings' proxy goes before the environment's.
fn network(vars: &mut Variables, around: &Surroundings) {
    let from_env = &around.inherited;
    let pairs = [
        ("HTTP_PROXY", around.proxy.as_ref().or(from_env.http_proxy.as_ref())),
        ("HTTPS_PROXY", around.proxy.as_ref().or(from_env.https_proxy.as_ref())),
        ("NO_PROXY", from_env.no_proxy.as_ref()),
    ];
    for (name, value) in pairs {
        if let Some(value) = value {
            vars.insert(name.into(), value.into());
        }
    }
}

/// Whether a variable from the control plane may reach restic.
#[must_use]
pub fn is_allowed(name: &str) -> bool {
    let plain = name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
    plain && ALLOWED.iter().any(|p| name.starts_with(p)) && !RUNS_PROGRAMS.iter().any(|e| name.ends_with(e))
}

#[cfg(test)]
mod tests {
    use super::*;
    use restic_manager_shared::secret::Secret;

    fn secrets() -> RepositorySecrets {
        RepositorySecrets {
            password: Secret::new("repo pw"),
            rest_username: Some("al".into()),
            rest_password: Some(Secret::new("p/w")),
            env: [("AWS_ACCESS_KEY_ID", "k"), ("LD_PRELOAD", "x"), ("RCLONE_PASSWORD_COMMAND", "sh"), ("PATH", "/x")]
                .map(|(k, v)| (k.to_owned(), Secret::new(v)))
                .into(),
        }
    }

    fn run(version: Version) -> (Variables, String) {
        let tmp = tempfile::tempdir().expect("dir");
        let state = StateDir::open(tmp.path()).expect("opens");
        let dir = JobDir::make(&state, JobId::new()).expect("makes");
        let around = Surroundings { proxy: Some("http://p".into()), ..Surroundings::default() };
        let mut vars = surroundings(&state, &around);
        let http = HttpCredentials::for_version(version);
        target(&mut vars, &dir, "rest:http://h/r", &secrets(), http).expect("prepares");
        let file = vars.get(&OsString::from("RESTIC_REPOSITORY_FILE")).expect("set");
        (vars.clone(), std::fs::read_to_string(file).expect("there"))
    }

    #[test]
    fn new_versions_take_credentials_by_variables_and_old_ones_in_the_address() {
        let get =
            |vars: &Variables, name: &str| vars.get(&OsString::from(name)).map(|v| v.to_string_lossy().into_owned());
        let (new, address) = run(Version::new(0, 18, 0));
        assert_eq!(address, "rest:http://h/r/");
        assert_eq!(get(&new, "RESTIC_REST_PASSWORD").as_deref(), Some("p/w"));
        assert_eq!(get(&new, "AWS_ACCESS_KEY_ID").as_deref(), Some("k"));
        assert_eq!(get(&new, "HTTPS_PROXY").as_deref(), Some("http://p"));
        for name in ["LD_PRELOAD", "PATH", "RCLONE_PASSWORD_COMMAND", "RESTIC_PASSWORD", "RESTIC_HOST"] {
            assert_eq!(get(&new, name), None, "{name}");
        }
        let (old, address) = run(Version::new(0, 14, 0));
        assert_eq!(address, "rest:http://al:p%2Fw@h/r/");
        assert_eq!(get(&old, "RESTIC_REST_PASSWORD"), None);
    }

    #[test]
    fn two_repositories_share_no_variable_with_two_values() {
        let tmp = tempfile::tempdir().expect("dir");
        let state = StateDir::open(tmp.path()).expect("opens");
        let dir = JobDir::make(&state, JobId::new()).expect("makes");
        let mut vars = surroundings(&state, &Surroundings::default());
        target(&mut vars, &dir, "rest:http://h/r", &secrets(), HttpCredentials::Address).expect("prepares");
        assert_eq!(source(&mut vars, &dir, "rest:http://g/s", &secrets()).expect("prepares"), Ok(()));
        let file = vars.get(OsStr::new("RESTIC_FROM_REPOSITORY_FILE")).expect("set");
        assert_eq!(std::fs::read_to_string(file).expect("there"), "rest:http://al:p%2Fw@g/s/");
        assert!(!vars.contains_key(OsStr::new("RESTIC_REST_PASSWORD")));
        let other = [("AWS_ACCESS_KEY_ID".to_owned(), Secret::new("other"))].into();
        let other = RepositorySecrets { env: other, ..secrets() };
        let clash = source(&mut vars, &dir, "s3:h/b", &other).expect("prepares");
        assert_eq!(clash, Err("AWS_ACCESS_KEY_ID".to_owned()));
    }

    #[test]
    fn the_folder_is_gone_with_the_job() {
        let tmp = tempfile::tempdir().expect("dir");
        let state = StateDir::open(tmp.path()).expect("opens");
        let dir = JobDir::make(&state, JobId::new()).expect("makes");
        let file = dir.write("password", b"x").expect("writes");
        drop(dir);
        assert!(!file.exists());
    }
}
