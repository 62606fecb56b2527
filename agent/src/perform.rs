//! What a job does, from its task to a judgement: policy, restic, secrets, pre-flight, the run itself. Knows neither the claim nor
//! the journal; the runner does.

mod run;

use crate::app::Agent;
use crate::deliver::Feed;
use crate::policy::Policy;
use crate::redact::Redactor;
use crate::report::Done;
use crate::restic::argv::Operation;
use crate::restic::binary::{NoRestic, Restic};
use crate::restic::env::{self, JobDir, Variables};
use crate::restic::judge::{self, Command, Evidence, Verdict};
use crate::restic::preflight::{self, Answer};
use crate::restic::process::{Exit, Stop};
use crate::restic::url::brings_its_own_settings;
use crate::state_dir::StateError;
use restic_manager_shared::restic::snapshot::{is_whole_id, parse_list};
use restic_manager_shared::wire::job::{
    BackupSummary, CauseCode, End, Offer, SnapshotRecord, Task, job_tag, schedule_tag,
};
use restic_manager_shared::wire::progress::LogLevel;
use restic_manager_shared::wire::state::{BackupSpec, RepositorySecrets, RepositorySpec};
use run::Run;

/// Does the job.
pub async fn perform(agent: &Agent, offer: &Offer, feed: &Feed, stop: Stop) -> Done {
    match Work::prepare(agent, offer, feed, stop).await {
        Ok(mut work) => {
            let done = work.task().await;
            work.cleaned(done)
        }
        Err(verdict) => verdict.into(),
    }
}

struct Work<'a> {
    agent: &'a Agent,
    offer: &'a Offer,
    feed: &'a Feed,
    stop: Stop,
    restic: Restic,
    repository: RepositorySpec,
    host: String,
    secrets: RepositorySecrets,
    redactor: Redactor,
    dir: JobDir,
    vars: Variables,
}

impl<'a> Work<'a> {
    async fn prepare(agent: &'a Agent, offer: &'a Offer, feed: &'a Feed, stop: Stop) -> Result<Self, Verdict> {
        let policy = Policy::load(&agent.dir).map_err(|e| Verdict::failed(CauseCode::Unknown, e.to_string()))?;
        policy.allow(&offer.task).map_err(|e| Verdict::failed(CauseCode::Unknown, e.to_string()))?;
        let restic = agent.finder.find().await.map_err(|e| {
            let code = if matches!(e, NoRestic::TooOld { .. }) {
                CauseCode::ResticTooOld
            } else {
                CauseCode::ResticUnavailable
            };
            Verdict::failed(code, e.to_string())
        })?;
        let state = agent.desired.get();
        let id = offer.task.repository_id();
        let repository = state.repositories.iter().find(|r| r.id == id).cloned().ok_or_else(|| {
            Verdict::failed(CauseCode::CredentialMissing, "this host has no credential for the repository")
        })?;
        if brings_its_own_settings(&repository.url) {
            return Err(Verdict::failed(
                CauseCode::ResticFailed,
                "this host takes rclone remotes only by a name that is configured on it",
            ));
        }
        let secrets = agent
            .identity
            .unseal(&repository)
            .map_err(|e| Verdict::failed(CauseCode::CredentialMissing, e.to_string()))?;
        let disk = |e: StateError| Verdict::failed(CauseCode::AgentDisk, e.to_string());
        let dir = JobDir::make(&agent.dir, offer.id).map_err(disk)?;
        let vars = env::prepare(&dir, &agent.dir, &agent.surroundings, &repository.url, &secrets, restic.version)
            .map_err(disk)?;
        let redactor = Redactor::of(&secrets);
        let work = Self {
            agent,
            offer,
            feed,
            stop,
            restic,
            repository,
            host: state.host_name.clone(),
            secrets,
            redactor,
            dir,
            vars,
        };
        work.warn_of_dropped_variables();
        Ok(work)
    }

    fn warn_of_dropped_variables(&self) {
        for name in self.secrets.env.keys().filter(|n| !env::is_allowed(n)) {
            self.say(
                LogLevel::Warning,
                &format!("the variable {name} is not passed to restic: it is no setting of a backend"),
            );
        }
    }

    fn say(&self, level: LogLevel, text: &str) {
        self.feed.log(self.agent.client.now(), level, &self.redactor.clean(text));
    }

    async fn task(&mut self) -> Done {
        let mut known_missing = false;
        match preflight::ask(&self.repository.url, &self.secrets, &self.agent.surroundings).await {
            Answer::Hopeless(code, why) => return self.failed(code, &why),
            Answer::Missing => known_missing = true,
            Answer::Ready | Answer::Unknown => {}
        }
        let offer = self.offer;
        match &offer.task {
            Task::Init { .. } => self.init().await,
            Task::Backup { backup, .. } => self.backup(backup, known_missing).await,
            Task::Snapshots { .. } if known_missing => self.missing(),
            Task::Snapshots { .. } => self.snapshots().await,
        }
    }

    fn failed(&self, code: CauseCode, why: &str) -> Done {
        self.say(LogLevel::Error, why);
        Verdict::failed(code, why).into()
    }

    fn missing(&self) -> Done {
        self.failed(
            CauseCode::RepositoryMissing,
            "there is no repository at the address yet; it has to be made (init) first",
        )
    }

    async fn init(&mut self) -> Done {
        match self.run(Command::Init, Operation::Init).await {
            Ok(run) => self.done(&run),
            Err(verdict) => verdict.into(),
        }
    }

    async fn backup(&mut self, spec: &BackupSpec, known_missing: bool) -> Done {
        let may_init = self.repository.init_if_missing;
        if known_missing {
            if !may_init {
                return self.missing();
            }
            if let Some(failed) = self.init_first().await {
                return failed;
            }
        }
        let done = self.backup_once(spec).await;
        let is_missing = done.verdict.code() == Some(CauseCode::RepositoryMissing);
        if !is_missing || known_missing || !may_init {
            return done;
        }
        match self.init_first().await {
            Some(failed) => failed,
            None => self.backup_once(spec).await,
        }
    }

    /// Makes the repository; gives what came of it unless it is there now.
    async fn init_first(&mut self) -> Option<Done> {
        self.say(LogLevel::Info, "there is no repository at the address yet: making it");
        let done = self.init().await;
        let is_there = done.verdict.end == End::Succeeded || done.verdict.code() == Some(CauseCode::RepositoryExists);
        (!is_there).then_some(done)
    }

    async fn backup_once(&mut self, spec: &BackupSpec) -> Done {
        let tags: Vec<String> =
            self.offer.schedule_id.map(schedule_tag).into_iter().chain([job_tag(self.offer.id)]).collect();
        let run = match self.run(Command::Backup, Operation::Backup { spec, tags: &tags }).await {
            Ok(run) => run,
            Err(verdict) => return verdict.into(),
        };
        let mut done = self.done(&run);
        done.summary = run.transcript.summary().map(BackupSummary::from);
        if matches!(done.verdict.end, End::Succeeded | End::Warning) {
            done.snapshots = self.made(spec, &tags, &run, done.summary.as_mut()).await;
            done.snapshots.iter().for_each(|s| self.say(LogLevel::Info, &format!("made snapshot {}", s.id)));
        }
        done
    }

    /// The snapshot that a backup made. Old versions say only the beginning of its id, and have to be asked again.
    async fn made(
        &mut self,
        spec: &BackupSpec,
        tags: &[String],
        run: &Run,
        summary: Option<&mut BackupSummary>,
    ) -> Vec<SnapshotRecord> {
        let Some(summary) = summary else { return Vec::new() };
        let Some(id) = summary.snapshot_id.clone() else { return Vec::new() };
        if !is_whole_id(&id) {
            summary.snapshot_id = None;
            let mut found = self.list(std::slice::from_ref(&id)).await.1.unwrap_or_default();
            found.retain(|s| s.id.starts_with(&id));
            found.truncate(1);
            for record in &mut found {
                summary.snapshot_id = Some(record.id.clone());
                record.summary = Some(summary.clone());
            }
            return found;
        }
        let gone =
            |path: &String| run.transcript.items().0.iter().any(|i| i.item == *path && i.message == "does not exist");
        let split = spec.tags.iter().chain(tags).flat_map(|t| t.split(',')).map(str::to_owned);
        vec![SnapshotRecord {
            id,
            time: run.transcript.summary().and_then(|s| s.started()).unwrap_or_else(|| self.agent.client.now()),
            hostname: self.host.clone(),
            username: None,
            paths: spec.paths.iter().filter(|p| !gone(p)).map(|p| tidy_path(p)).collect(),
            tags: split.filter(|t| !t.is_empty()).collect(),
            parent: None,
            summary: Some(summary.clone()),
        }]
    }

    async fn snapshots(&mut self) -> Done {
        let (mut done, list) = self.list(&[]).await;
        if let Some(list) = list {
            done.snapshots = list;
            done.snapshots_complete = done.verdict.end == End::Succeeded;
        }
        done
    }

    async fn list(&mut self, ids: &[String]) -> (Done, Option<Vec<SnapshotRecord>>) {
        let run = match self.run(Command::Snapshots, Operation::Snapshots { ids }).await {
            Ok(run) => run,
            Err(verdict) => return (verdict.into(), None),
        };
        let done = self.done(&run);
        if done.verdict.end != End::Succeeded {
            return (done, None);
        }
        let list = parse_list(run.transcript.list().unwrap_or_default())
            .and_then(|list| list.into_iter().map(SnapshotRecord::try_from).collect::<Result<Vec<_>, _>>());
        match list {
            Ok(list) => (done, Some(list)),
            Err(e) => (self.failed(CauseCode::ResticFailed, &e.to_string()), None),
        }
    }

    fn done(&self, run: &Run) -> Done {
        let t = &run.transcript;
        let verdict = judge::judge(&Evidence {
            version: self.restic.version,
            command: run.command,
            exit: run.ended.exit,
            stopped: run.ended.stopped,
            result: match run.command {
                Command::Backup => t.summary().is_some(),
                // Not every version says so in JSON.
                Command::Init => t.initialized() || run.ended.exit == Exit::Code(0),
                Command::Snapshots => t.list().is_some(),
            },
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

    /// Takes the secrets out of everything that leaves the host.
    fn cleaned(&self, mut done: Done) -> Done {
        let clean = |text: &mut String| *text = self.redactor.clean(text);
        done.verdict.cause.iter_mut().for_each(|c| clean(&mut c.message));
        for item in &mut done.items {
            clean(&mut item.item);
            clean(&mut item.message);
        }
        done.command = self.redactor.clean_maybe(done.command);
        done.restic_version.get_or_insert_with(|| self.restic.version.to_string());
        done
    }
}

/// As restic writes it into the snapshot: without a slash at the end.
fn tidy_path(path: &str) -> String {
    let short = path.trim_end_matches('/');
    if short.is_empty() { "/".to_owned() } else { short.to_owned() }
}
