//! What a job does, from its task to a judgement: policy, restic, secrets, pre-flight, the run itself. Knows neither the claim nor
//! the journal; the runner does. Here is what all jobs share; each kind of work has its own file.

mod account;
mod apart;
mod archive;
mod backup;
mod check;
mod copy;
mod drill;
mod forget;
pub(crate) mod hooked;
mod keys;
mod limits;
mod locks;
mod look;
mod parts;
mod probe;
mod prune;
pub(crate) mod reading;
mod refuse;
mod repair;
mod replace;
mod restore;
mod run;

use crate::app::Agent;
use crate::bundle;
use crate::deliver::Feed;
use crate::policy::Policy;
use crate::redact::Redactor;
use crate::report::Done;
use crate::restic::binary::{NoRestic, Restic};
use crate::restic::env::{self, HttpCredentials, JobDir, Surroundings, Variables};
use crate::restic::judge::{self, Evidence, Verdict};
use crate::restic::preflight::{self, Answer};
use crate::restic::process::{Exit, Stop};
use crate::state_dir::StateError;
use restic_manager_shared::id::RepositoryId;
use restic_manager_shared::restic::address::brings_its_own_settings;
use restic_manager_shared::wire::job::{CauseCode, End, Offer, Task};
use restic_manager_shared::wire::operation::{JobSecrets, Outcome};
use restic_manager_shared::wire::progress::LogLevel;
use restic_manager_shared::wire::state::{CredentialMode, DesiredState, RepositorySecrets, RepositorySpec};
use restore::Wanted;
use run::Run;
use std::sync::{Arc, Mutex, PoisonError};

/// Does the job.
pub async fn perform(agent: &Arc<Agent>, offer: &Offer, feed: &Feed, stop: Stop) -> Done {
    match Work::prepare(agent, offer, feed, stop).await {
        Ok(work) => {
            let done = match &work.repository {
                Some(repository) => work.on(repository).await,
                None => work.apart().await,
            };
            work.cleaned(done)
        }
        Err(verdict) => verdict.into(),
    }
}

struct Work<'a> {
    agent: &'a Arc<Agent>,
    offer: &'a Offer,
    feed: &'a Feed,
    stop: Stop,
    policy: Policy,
    restic: Restic,
    state: Arc<DesiredState>,
    repository: Option<Repository>,
    secrets: JobSecrets,
    redactor: Redactor,
    dir: JobDir,
    /// How the storage is reached: the agent's way, with the authorities that the repository brings.
    around: Surroundings,
    /// What restic is given that concerns no repository.
    vars: Variables,
    /// The processes that ran.
    pids: Mutex<Vec<u32>>,
}

/// A repository with all that opens it.
struct Repository {
    spec: RepositorySpec,
    secrets: RepositorySecrets,
    vars: Variables,
    /// The one to copy from.
    source: Option<(RepositorySpec, RepositorySecrets)>,
}

impl<'a> Work<'a> {
    async fn prepare(agent: &'a Arc<Agent>, offer: &'a Offer, feed: &'a Feed, stop: Stop) -> Result<Self, Verdict> {
        let forbids = |e: String| Verdict::failed(CauseCode::PolicyForbids, e);
        let policy = Policy::load(&agent.dir).map_err(|e| forbids(e.to_string()))?;
        policy.allow(&offer.task).map_err(|e| forbids(e.to_string()))?;
        let restic = agent.finder.find().await.map_err(|e| no_restic(&e))?;
        let state = agent.desired.get();
        let credential = |e: String| Verdict::failed(CauseCode::CredentialMissing, e);
        let secrets = agent.identity.unseal_job(offer).map_err(|e| credential(e.to_string()))?;
        let disk = |e: StateError| Verdict::failed(CauseCode::AgentDisk, e.to_string());
        let dir = JobDir::make(&agent.dir, offer.id).map_err(disk)?;
        let around = surroundings(agent, offer, (&state, &secrets), &dir).map_err(disk)?;
        let vars = env::surroundings(&agent.dir, &around);
        let repository = match offer.task.repository_id() {
            Some(id) => Some(Repository::open(agent, offer, (&state, &secrets), id, &dir, &vars, &restic)?),
            None => None,
        };
        let known = repository.iter().flat_map(|r| {
            let of_source = r.source.iter().flat_map(|(_, secrets)| secrets.values());
            r.secrets.values().into_iter().chain(of_source)
        });
        let redactor = Redactor::new(known.chain(secrets.values()));
        let pids = Mutex::default();
        let work = Self {
            agent,
            offer,
            feed,
            stop,
            policy,
            restic,
            state,
            repository,
            secrets,
            redactor,
            dir,
            around,
            vars,
            pids,
        };
        work.warn_of_dropped_variables();
        Ok(work)
    }

    fn warn_of_dropped_variables(&self) {
        let names = self.repository.iter().flat_map(|r| r.secrets.env.keys());
        for name in names.filter(|n| !env::is_allowed(n)) {
            self.say(
                LogLevel::Warning,
                &format!("the variable {name} is not passed to restic: it is no setting of a backend"),
            );
        }
    }

    fn say(&self, level: LogLevel, text: &str) {
        self.feed.log(self.agent.client.now(), level, &self.redactor.clean(text));
    }

    /// Works on a repository.
    async fn on(&self, repository: &Repository) -> Done {
        if let Err(verdict) = refuse::check(&self.offer.task, repository.spec.mode) {
            return self.failed(verdict);
        }
        // These look for themselves whether the storage answers, or do not need it.
        match &self.offer.task {
            Task::Probe { .. } => self.probe(repository).await,
            Task::WriteAccount { user, .. } => self.write_account(user),
            task => self.open_and_do(repository, task).await,
        }
    }

    async fn open_and_do(&self, repository: &Repository, task: &Task) -> Done {
        let known_missing = match self.reach(repository).await {
            Ok(there) => !there,
            Err(verdict) => return self.failed(verdict),
        };
        match task {
            Task::Backup { backup, dry_run, .. } => {
                let run = self.backup(repository, backup, *dry_run, known_missing);
                self.between_hooks(&backup.options, *dry_run, run).await
            }
            Task::Init { .. } => self.init(repository).await,
            _ if known_missing => self.missing(),
            task => self.look_or_maintain(repository, task).await,
        }
    }

    /// Asks the storage, and that of the source, before restic does. Whether there is a repository, as far as it says.
    async fn reach(&self, repository: &Repository) -> Result<bool, Verdict> {
        let around = &self.around;
        if let Some((spec, secrets)) = &repository.source {
            match preflight::ask(&spec.url, secrets, around, &repository.vars).await {
                Answer::Hopeless(code, why) => return Err(Verdict::failed(code, format!("the source: {why}"))),
                Answer::Missing => {
                    return Err(Verdict::failed(CauseCode::RepositoryMissing, "the source: there is no repository"));
                }
                Answer::Ready | Answer::Unknown => {}
            }
        }
        match preflight::ask(&repository.spec.url, &repository.secrets, around, &repository.vars).await {
            Answer::Hopeless(code, why) => Err(Verdict::failed(code, why)),
            Answer::Missing => Ok(false),
            Answer::Ready | Answer::Unknown => Ok(true),
        }
    }

    async fn look_or_maintain(&self, r: &Repository, task: &Task) -> Done {
        match task {
            Task::Snapshots { all_hosts, .. } => self.snapshots(r, *all_hosts).await,
            Task::Ls { snapshot, path, recursive, .. } => self.ls(r, snapshot, path, *recursive).await,
            Task::Find { pattern, snapshots, ignore_case, .. } => self.find(r, pattern, snapshots, *ignore_case).await,
            Task::Stats { mode, snapshots, .. } => self.stats(r, *mode, snapshots).await,
            Task::Diff { from, to, metadata, .. } => self.diff(r, from, to, *metadata).await,
            Task::Check { read_data, limit_download_kib, .. } => self.check(r, *read_data, *limit_download_kib).await,
            Task::Forget { snapshots, dry_run, .. } => self.forget(r, snapshots, *dry_run).await,
            Task::Prune { options, .. } => self.prune(r, options).await,
            Task::Unlock { dead, remove_all, .. } => self.unlock(r, dead, *remove_all).await,
            Task::Locks { .. } => self.locks(r).await,
            Task::Copy { from, .. } => self.copy(r, from).await,
            Task::Tag { snapshots, change, .. } => self.tag(r, snapshots, change).await,
            Task::Rewrite { snapshots, excludes, forget, dry_run, .. } => {
                self.rewrite(r, snapshots, excludes, *forget, *dry_run).await
            }
            Task::RepairIndex { read_all_packs, .. } => self.repair_index(r, *read_all_packs).await,
            Task::RepairPacks { packs, .. } => self.repair_packs(r, packs).await,
            Task::RepairSnapshots { snapshots, forget, dry_run, .. } => {
                self.repair_snapshots(r, snapshots, *forget, *dry_run).await
            }
            Task::KeyList { .. } => self.key_list(r).await,
            Task::KeyAdd { .. } => self.key_add(r).await,
            Task::KeyRemove { key, .. } => self.key_remove(r, key).await,
            Task::Restore { snapshot, paths, target, overwrite, delete, verify, dry_run, .. } => {
                let (overwrite, delete, verify, dry_run) = (*overwrite, *delete, *verify, *dry_run);
                self.restore(r, &Wanted { snapshot, paths, target, overwrite, delete, verify, dry_run }).await
            }
            Task::Archive { snapshot, path, format, target, .. } => {
                self.archive(r, &archive::Wanted { snapshot, path, format: *format, target }).await
            }
            Task::Drill { snapshot, paths, random, max_bytes, .. } => {
                let (random, max_bytes) = (*random, *max_bytes);
                self.drill(r, &drill::Wanted { snapshot, paths, random, max_bytes }).await
            }
            // Done before it came here.
            Task::Backup { .. } | Task::Init { .. } | Task::Probe { .. } | Task::WriteAccount { .. } => self.missing(),
            Task::CacheCleanup {} | Task::Version {} => self.apart().await,
        }
    }

    fn failed(&self, verdict: Verdict) -> Done {
        if let Some(cause) = &verdict.cause {
            self.say(LogLevel::Error, &cause.message);
        }
        verdict.into()
    }

    fn missing(&self) -> Done {
        self.failed(Verdict::failed(
            CauseCode::RepositoryMissing,
            "there is no repository at the address yet; it has to be made (init) first",
        ))
    }

    /// What a run amounts to.
    fn done(&self, run: &Run) -> Done {
        let t = &run.transcript;
        let ended_well = matches!(run.ended.exit, Exit::Code(0));
        let verdict = judge::judge(&Evidence {
            version: self.restic.version,
            command: run.command,
            exit: run.ended.exit,
            stopped: run.ended.stopped,
            killed: run.ended.killed,
            result: t.result(run.command).unwrap_or(ended_well),
            unknown_ids: t.unknown_ids(),
            missing_paths: t.missing_paths(),
            last_words: &t.last_words(),
            all_words: &t.all_words(),
        });
        let (items, seen) = t.items();
        let mut done = Done::from(verdict);
        done.exit_code = match run.ended.exit {
            Exit::Code(code) => Some(code),
            Exit::Signal(_) => None,
        };
        done.items = items.to_vec();
        done.items_omitted = seen.saturating_sub(items.len() as u64);
        done.command = Some(run.shown.clone());
        done.restic_version = Some(self.restic.version.to_string());
        done
    }

    /// Takes the secrets out of everything that leaves the host. Names of files and ids are the repository's own and stay.
    fn cleaned(&self, mut done: Done) -> Done {
        let clean = |text: &mut String| *text = self.redactor.clean(text);
        done.verdict.cause.iter_mut().for_each(|c| clean(&mut c.message));
        for item in &mut done.items {
            clean(&mut item.item);
            clean(&mut item.message);
        }
        match &mut done.outcome {
            Some(Outcome::Check(report)) => report.messages.iter_mut().for_each(clean),
            Some(Outcome::Probe(report)) => report.evidence.iter_mut().for_each(clean),
            Some(Outcome::Cache { said }) => said.iter_mut().for_each(clean),
            Some(Outcome::Drill(report)) => report.files.iter_mut().for_each(|f| clean(&mut f.note)),
            Some(_) | None => {}
        }
        done.command = self.redactor.clean_maybe(done.command);
        done.restic_version.get_or_insert_with(|| self.restic.version.to_string());
        done.pids.clone_from(&self.pids.lock().unwrap_or_else(PoisonError::into_inner));
        done
    }
}

impl Repository {
    fn open(
        agent: &Agent,
        offer: &Offer,
        (state, own): (&DesiredState, &JobSecrets),
        id: RepositoryId,
        dir: &JobDir,
        vars: &Variables,
        restic: &Restic,
    ) -> Result<Self, Verdict> {
        let disk = |e: StateError| Verdict::failed(CauseCode::AgentDisk, e.to_string());
        let (spec, secrets) = match (&own.repository, &offer.repository_url) {
            (Some(secrets), Some(url)) => Self::of_the_job(offer, id, url, secrets, own.ca_pem.clone())?,
            (Some(_), None) | (None, _) => Self::credential(agent, state, id, offer.repository_url.as_deref())?,
        };
        let mut vars = vars.clone();
        let (http, from) = match &offer.task {
            Task::Copy { from, .. } => (HttpCredentials::Address, Some(from.repository_id)),
            _ => (HttpCredentials::for_version(restic.version), None),
        };
        env::target(&mut vars, dir, &spec.url, &secrets, http).map_err(disk)?;
        let source = from.map(|id| Self::credential(agent, state, id, None)).transpose()?;
        if let Some((spec, secrets)) = &source {
            env::source(&mut vars, dir, &spec.url, secrets).map_err(disk)?.map_err(|name| {
                let message =
                    format!("the two repositories need different values of {name}, and restic takes only one");
                Verdict::failed(CauseCode::CredentialMissing, message)
            })?;
        }
        Ok(Self { spec, secrets, vars, source })
    }

    fn credential(
        agent: &Agent,
        state: &DesiredState,
        id: RepositoryId,
        address: Option<&str>,
    ) -> Result<(RepositorySpec, RepositorySecrets), Verdict> {
        let mut spec = state.repositories.iter().find(|r| r.id == id).cloned().ok_or_else(|| {
            Verdict::failed(CauseCode::CredentialMissing, "this host has no credential for the repository")
        })?;
        if let Some(address) = address {
            address.clone_into(&mut spec.url);
        }
        plain_address(&spec.url)?;
        let secrets = agent.identity.unseal(&spec);
        let secrets = secrets.map_err(|e| Verdict::failed(CauseCode::CredentialMissing, e.to_string()))?;
        Ok((spec, secrets))
    }
}

impl Repository {
    /// What came with the job itself, for a host that has no credential of its own: it may look and add, and is forgotten with the job.
    fn of_the_job(
        offer: &Offer,
        id: RepositoryId,
        url: &str,
        secrets: &RepositorySecrets,
        ca_pem: Option<String>,
    ) -> Result<(RepositorySpec, RepositorySecrets), Verdict> {
        plain_address(url)?;
        let sealed = offer.secrets.clone().filter(|_| !secrets.password.is_empty());
        let sealed = sealed
            .ok_or_else(|| Verdict::failed(CauseCode::CredentialMissing, "the job's credential has no password"))?;
        let spec = RepositorySpec {
            id,
            name: String::new(),
            url: url.to_owned(),
            ca_pem,
            mode: CredentialMode::AppendOnly,
            init_if_missing: false,
            secrets: sealed,
        };
        Ok((spec, secrets.clone()))
    }
}

fn plain_address(url: &str) -> Result<(), Verdict> {
    if brings_its_own_settings(url) {
        let message = "this host takes rclone remotes only by a name that is configured on it";
        return Err(Verdict::failed(CauseCode::ResticFailed, message));
    }
    Ok(())
}

/// The agent's surroundings, with the authorities that the repository brings besides those that are trusted already.
fn surroundings(
    agent: &Agent,
    offer: &Offer,
    (state, own): (&DesiredState, &JobSecrets),
    dir: &JobDir,
) -> Result<Surroundings, StateError> {
    let around = agent.surroundings.clone();
    let spec = state.repositories.iter().find(|r| Some(r.id) == offer.task.repository_id());
    match own.ca_pem.as_deref().or_else(|| spec.and_then(|spec| spec.ca_pem.as_deref())) {
        Some(pem) => {
            let trusted = bundle::with_own(pem, around.ca.as_deref());
            Ok(Surroundings { ca: Some(dir.write("ca.pem", &trusted)?), ..around })
        }
        None => Ok(around),
    }
}

fn no_restic(error: &NoRestic) -> Verdict {
    let code = match error {
        NoRestic::TooOld { .. } => CauseCode::ResticTooOld,
        NoRestic::NotFound | NoRestic::DoesNotRun { .. } => CauseCode::ResticUnavailable,
    };
    Verdict::failed(code, error.to_string())
}

/// Whether something was done that can be told of.
fn worked(done: &Done) -> bool {
    matches!(done.verdict.end, End::Succeeded | End::Warning)
}
